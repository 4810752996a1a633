/* The phases of a slice (fold_slice.h).
 *
 *   read     record by record: bytes, keys, identity
 *   come     in order: time, watermark, rates, lists, currency
 *   judge    by shard of the primary: duplicate, conflict, late, increment? An event of the slice is not in its card yet, so those before it are looked at here
 *   settle   in order: counters, running numbers, outcomes that wait for their event
 *   number   by kind and shard: the entities that counted events need, and how many events of the same time stand before each
 *   primary  by shard of the primary: rows, outcomes; what these mean elsewhere is kept
 *   others   by kind and shard: rows, and what outcomes mean there
 *
 * In every phase that runs by shards, records are taken in journal order inside a shard. What would couple shards is not folded this way at all but plainly: records
 * whose keys rotate, profiles, records that need a stamp, kinds that are near their limit, cells with sources. Ranks are counted before the rows are there; where
 * an event is so old that rows of its time may have gone since, the last two phases run record by record instead (`close`). */
#include "core/fold_slice.h"

#include <stdatomic.h>

#define NOWHERE 0xff
#define GROUPS_MAX 16
#define READ_JOB 64

/* An outcome that had waited for an event of the slice, in the order in which they are applied. */
struct waited {
  uint32_t of; /* the event */
  struct tide_stub stub;
  bool found, elsewhere;
  struct tide_change change;
};

struct tide_slices {
  struct tide_team *team;
  struct tide_fold *fold;
  const struct tide_entry_header *header;
  uint32_t from, to; /* of the slice, in fold->group */
  unsigned groups;   /* jobs that the shards of a kind are cut into */
  uint32_t least;    /* records that make a slice */
  struct tide_slice_use use;
  bool coming;
  int64_t newest_ms; /* no event folded before this slice is newer */
  atomic_bool close; /* an event has a rank that only the order of records tells */
  atomic_uint made[TIDE_ENTITIES_MAX];
  struct waited *waited;
  uint32_t waiting, waited_cap;
  enum tide_err failed[TIDE_SLICE / READ_JOB + 1];
  struct tide_error why[TIDE_SLICE / READ_JOB + 1];
  /* by record */
  uint8_t known[TIDE_SLICE], fate[TIDE_SLICE];
  bool counts[TIDE_SLICE]; /* an event that is remembered */
  bool incremental[TIDE_SLICE], found[TIDE_SLICE], elsewhere[TIDE_SLICE];
  uint8_t home[TIDE_SLICE];                        /* shard of its primary; NOWHERE: nothing is done there */
  uint8_t to_shard[TIDE_ENTITIES_MAX][TIDE_SLICE]; /* where it changes something; NOWHERE: nothing */
  uint32_t first_waited[TIDE_SLICE], waited_count[TIDE_SLICE];
  struct tide_change change[TIDE_SLICE];         /* of an outcome, or of an increment's parent */
  int64_t value[TIDE_SLICE][TIDE_NO_ORIGIN + 1]; /* what the rows of a counted event hold */
};

struct tide_slices *tide_slices_new(struct tide_team *team, bool first) {
  struct tide_slices *slices = tide_alloc(sizeof *slices);
  slices->team = team;
  slices->least = TIDE_SLICE_LEAST;
  slices->newest_ms = first ? INT64_MIN : INT64_MAX; /* whatever was folded before may be newer than anything */
  slices->groups = 1;
  while (tide_team_size(team) > 1 && slices->groups < GROUPS_MAX && slices->groups < 4 * tide_team_size(team)) slices->groups *= 2;
  return slices;
}

void tide_slices_least(struct tide_slices *slices, uint32_t records) { slices->least = records; }
struct tide_slice_use tide_slices_use(const struct tide_slices *slices) {
  return slices->use;
}

void tide_slices_free(struct tide_slices *slices) {
  if (!slices) return;
  tide_free(slices->waited);
  tide_free(slices);
}

bool tide_slices_coming(const struct tide_slices *slices) { return slices && slices->coming; }

/* The records of the slice that a job of a phase has to do with, in order. */
struct list {
  uint32_t count;
  uint16_t at[TIDE_SLICE];
};

static bool in_group(const struct tide_slices *slices, uint8_t shard, size_t group) {
  return shard != NOWHERE && shard * slices->groups / TIDE_STORE_SHARDS == group;
}

static void list_of(const struct tide_slices *slices, const uint8_t *shard, size_t group, struct list *ret) {
  ret->count = 0;
  for (uint32_t i = slices->from; i < slices->to; i++)
    if (in_group(slices, shard[i], group)) ret->at[ret->count++] = (uint16_t)i;
}

/* Asks for what the records [from, to) of the list will touch in a kind: index, entity, log. */
#define NEAR 16
static void prefetch(const struct tide_fold *fold, uint32_t e, const struct list *list, uint32_t from) {
  const struct tide_store *store = &fold->state.store[e];
  uint32_t to = list->count - from < NEAR ? list->count : from + NEAR;
  for (uint32_t k = from; k < to; k++)
    if (fold->group[list->at[k]].txn.has_key[e]) tide_store_prefetch(store, fold->group[list->at[k]].txn.key[e]);
  for (uint32_t k = from; k < to; k++)
    if (fold->group[list->at[k]].txn.has_key[e]) tide_store_prefetch_ent(store, fold->group[list->at[k]].txn.key[e]);
  for (uint32_t k = from; k < to; k++) {
    struct tide_txn *txn = &fold->group[list->at[k]].txn;
    if (txn->has_key[e] && txn->number[e] == TIDE_NO_ENTITY) txn->number[e] = tide_store_find(store, txn->key[e]);
    if (txn->number[e] != TIDE_NO_ENTITY) tide_fold_prefetch_log(store, txn->number[e]);
  }
}

/* The records of a list that have been looked at, by a hash: of each hash the latest first. Places count from 1, so that 0 is none. */
struct chain {
  uint32_t mask;
  uint16_t head[2 * TIDE_SLICE], next[TIDE_SLICE + 1];
};

static void chain_begin(struct chain *chain, uint32_t count) {
  uint32_t cells = 2;
  while (cells < 2 * count) cells *= 2;
  chain->mask = cells - 1;
  memset(chain->head, 0, cells * sizeof chain->head[0]);
}

static uint16_t *chain_head(struct chain *chain, uint64_t hash) {
  return &chain->head[(uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 32) & chain->mask];
}

static void chain_put(struct chain *chain, uint64_t hash, uint32_t place) {
  uint16_t *head = chain_head(chain, hash);
  chain->next[place] = *head;
  *head = (uint16_t)place;
}

/* ---- read ---- */

static void read_some(void *ctx, size_t job) {
  struct tide_slices *slices = ctx;
  struct tide_fold *fold = slices->fold;
  for (uint32_t i = (uint32_t)job * READ_JOB; i < slices->to && i < (job + 1) * READ_JOB; i++) {
    struct tide_group_item *item = &fold->group[i];
    slices->failed[job] = tide_fold_read(fold, slices->header, item, &slices->why[job]);
    if (slices->failed[job]) return;
    bool at_card = !item->skip && (item->record.type == TIDE_REC_EVENT || item->record.type == TIDE_REC_OUTCOME);
    slices->home[i] = NOWHERE;
    if (!at_card) continue;
    memset(item->txn.rank, 0, sizeof item->txn.rank); /* of entities that it has not */
    tide_event_identify(fold, item);
    slices->home[i] = (uint8_t)(item->txn.has_key[0] ? tide_shard_of(item->txn.key[0]) : i % TIDE_STORE_SHARDS);
  }
}

/* ---- what can be folded this way ---- */

static bool fits(const struct tide_fold *fold, const struct tide_group_item *item) {
  if (item->skip) return true;
  if (item->record.type == TIDE_REC_PROFILE || item->record.flags & TIDE_REC_STAMPED) return false;
  for (uint32_t e = 0; e < fold->spec->entity_count; e++)
    if (item->txn.alt[e].lo || item->txn.alt[e].hi) return false;
  return true;
}

static bool may(const struct tide_fold *fold, uint32_t count) {
  const struct tide_state *state = &fold->state;
  if (!fold->quiet || fold->digest.decisions || fold->follows || fold->generations || fold->ledger.declared || fold->ledger.gating ||
      fold->watch.decided || fold->watch.labelled || fold->trace.fn)
    return false;
  if (state->watermark_ms == INT64_MIN || state->history_from_ms == TIDE_HISTORY_FIRST) return false; /* time has not begun */
  for (uint32_t e = 0; e < fold->spec->entity_count; e++)
    if (state->store[e].live + count > state->store[e].kind->max_entities || tide_store_has_aliases(&state->store[e])) return false;
  return true;
}

/* ---- come ---- */

static void come(struct tide_slices *slices) {
  struct tide_fold *fold = slices->fold;
  slices->coming = true;
  for (uint32_t i = slices->from; i < slices->to; i++) {
    struct tide_group_item *item = &fold->group[i];
    struct tide_list_ctx lists;
    struct tide_env env;
    if (item->skip) continue;
    if (item->record.type == TIDE_REC_EVENT) {
      tide_event_env(fold, &item->txn, &lists, &env);
      (void)tide_event_come(fold, item, &env);
    } else if (item->record.type == TIDE_REC_OUTCOME) {
      if (!tide_outcome_come(fold, item)) slices->home[i] = NOWHERE;
    } else {
      tide_fold_record(fold, item, NULL, NULL);
      item->txn.watermark_ms = fold->state.watermark_ms;
    }
  }
  slices->coming = false;
}

/* ---- judge ---- */

/* The events of the slice that have a row to come at the cards of a job, by identity. */
struct seen {
  uint32_t count;
  uint16_t at[TIDE_SLICE + 1]; /* by place */
  struct chain chain;
};

/* The latest of the same card with this identity that is newer than after_ms, before place `from` if that is not 0; 0: there is none. */
static uint32_t seen_before(const struct tide_slices *slices, struct seen *seen, uint32_t from, const struct tide_txn *txn, uint64_t id,
                            int64_t after_ms) {
  uint32_t place = from ? seen->chain.next[from] : *chain_head(&seen->chain, id);
  for (; place; place = seen->chain.next[place]) {
    const struct tide_group_item *other = &slices->fold->group[seen->at[place]];
    if (other->came.memory.id == id && tide_u128_eq(other->txn.key[0], txn->key[0]) && other->txn.time_ms > after_ms) break;
  }
  return place;
}

static enum tide_known known_of(const struct tide_slices *slices, struct seen *seen, const struct tide_group_item *item) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_memory *memory = &item->came.memory;
  struct tide_at at;
  enum tide_known known = tide_event_known(fold, item, &at);
  int64_t after_ms = item->txn.watermark_ms - fold->settings.duplicates_for_ms - 1;
  if (!item->came.has_identity) return known;
  for (uint32_t k = 0; known != TIDE_KNOWN_DUPLICATE && (k = seen_before(slices, seen, k, &item->txn, memory->id, after_ms)) > 0;) {
    const struct tide_memory *other = &fold->group[seen->at[k]].came.memory;
    bool same = other->fp_amount == memory->fp_amount && other->fp_merchant == memory->fp_merchant;
    known = same ? TIDE_KNOWN_DUPLICATE : TIDE_KNOWN_CONFLICT;
  }
  return known;
}

static bool increments(const struct tide_slices *slices, struct seen *seen, const struct tide_group_item *item) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_spec *spec = fold->spec;
  struct tide_at at;
  uint64_t id;
  if (tide_event_parent(fold, &item->txn, &at)) return true;
  if (spec->parent_counts || !item->txn.has_key[0] ||
      !tide_fold_identity((uint64_t)fold->settings.hash_seed, &item->record, spec->parent, spec->parent_count, &id))
    return false;
  int64_t after_ms = item->txn.watermark_ms - fold->plan->outcome_ms;
  for (uint32_t k = 0; (k = seen_before(slices, seen, k, &item->txn, id, after_ms)) > 0;)
    if (!slices->incremental[seen->at[k]]) return true;
  return false;
}

static void judge_event(struct tide_slices *slices, struct seen *seen, uint32_t i) {
  const struct tide_fold *fold = slices->fold;
  struct tide_group_item *item = &fold->group[i];
  enum tide_known known = known_of(slices, seen, item);
  enum tide_fate fate = tide_event_fate(fold, item, known);
  slices->known[i] = (uint8_t)known;
  slices->fate[i] = (uint8_t)fate;
  slices->counts[i] = fate == TIDE_FATE_COUNTS && !(item->record.flags & TIDE_REC_NOCOUNT);
  slices->incremental[i] = slices->counts[i] && increments(slices, seen, item);
  if (!slices->counts[i]) return;
  tide_event_unjudged(fold, item, known);
  item->came.memory.uncounted = slices->incremental[i];
  if (!slices->incremental[i]) (void)tide_event_conditions(fold, item, false, TIDE_NULL_NUM);
  if (!item->txn.has_key[0] || item->txn.time_ms <= item->txn.watermark_ms - fold->plan->kind[0].keep_ms) return; /* it gets no row */
  seen->at[++seen->count] = (uint16_t)i;
  chain_put(&seen->chain, item->came.memory.id, seen->count);
}

static void judge_some(void *ctx, size_t group) {
  struct tide_slices *slices = ctx;
  const struct tide_fold *fold = slices->fold;
  struct list list;
  struct seen seen;
  seen.count = 0;
  list_of(slices, slices->home, group, &list);
  chain_begin(&seen.chain, list.count);
  for (uint32_t k = 0; k < list.count; k++) {
    if (k % NEAR == 0) prefetch(fold, 0, &list, k);
    uint32_t i = list.at[k];
    struct tide_group_item *item = &fold->group[i];
    struct tide_at at;
    if (item->record.type == TIDE_REC_EVENT) judge_event(slices, &seen, i);
    else
      slices->found[i] =
          seen_before(slices, &seen, 0, &item->txn, item->came.memory.id, item->txn.watermark_ms - fold->plan->outcome_ms) > 0 ||
          tide_outcome_find(fold, item, &at);
  }
}

/* ---- settle ---- */

static void take_waiting(struct tide_slices *slices, uint32_t i) {
  struct tide_fold *fold = slices->fold;
  const struct tide_group_item *item = &fold->group[i];
  struct tide_stub stub;
  slices->first_waited[i] = slices->waiting;
  while (tide_stubs_take(&fold->stubs, item->txn.key[0], item->txn.alt[0], item->came.memory.id, &stub)) {
    if (slices->waiting == slices->waited_cap) {
      slices->waited_cap = slices->waited_cap ? slices->waited_cap * 2 : 64;
      slices->waited = tide_realloc(slices->waited, slices->waited_cap * sizeof *slices->waited);
    }
    slices->waited[slices->waiting++] = (struct waited){.of = i, .stub = stub};
    slices->waited_count[i]++;
  }
}

static void settle(struct tide_slices *slices) {
  struct tide_fold *fold = slices->fold;
  int64_t *value = fold->metrics.value, watermark_ms = INT64_MIN;
  slices->waiting = 0;
  for (uint32_t i = slices->from; i < slices->to; i++) {
    struct tide_group_item *item = &fold->group[i];
    bool is_event = item->record.type == TIDE_REC_EVENT;
    slices->waited_count[i] = 0;
    if (item->skip) continue;
    if ((is_event || item->record.type == TIDE_REC_HEARTBEAT) && item->txn.watermark_ms > watermark_ms)
      tide_fold_expire(fold, watermark_ms = item->txn.watermark_ms);
    if (slices->home[i] == NOWHERE) continue;
    if (!is_event) {
      if (slices->found[i]) value[TIDE_M_outcomes_applied_total]++;
      else tide_outcome_stub(fold, item);
      continue;
    }
    tide_event_meter(fold, item, (enum tide_known)slices->known[i], (enum tide_fate)slices->fate[i]);
    if (!slices->counts[i]) {
      value[TIDE_M_events_uncounted_total] += slices->fate[i] == TIDE_FATE_COUNTS;
      continue;
    }
    item->came.memory.tag = fold->tag++;
    value[slices->incremental[i] ? TIDE_M_events_incremental_total : TIDE_M_events_counted_total]++;
    if (item->came.has_identity && !slices->incremental[i]) take_waiting(slices, i);
  }
}

/* ---- number ---- */

/* How many events of its time stand before the k-th of the list in its entity: those that are there, and those of the slice. `close` where it is so old that rows
 * of its time may be gone when it comes. */
static uint32_t rank_of(struct tide_slices *slices, uint32_t e, const struct list *list, struct chain *chain, uint32_t k) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_kind *kind = &fold->plan->kind[e];
  const struct tide_txn *txn = &fold->group[list->at[k]].txn, *other = NULL;
  if (fold->plan->kind[0].rank_col[e] == 0xff) return 0;
  uint64_t hash = (uint64_t)txn->time_ms ^ (uint64_t)txn->number[e] << 32;
  uint32_t place = *chain_head(chain, hash), rank = 0;
  for (; place; place = chain->next[place]) {
    other = &fold->group[list->at[place - 1]].txn;
    if (other->time_ms == txn->time_ms && other->number[e] == txn->number[e]) break;
  }
  if (place) rank = other->rank[e] + 1;
  else if (txn->time_ms <= slices->newest_ms) rank = tide_state_rank(&fold->state, e, txn);
  chain_put(chain, hash, k + 1);
  int64_t raw_ms = kind->tile_ms && kind->raw_ms < kind->keep_ms ? kind->raw_ms : kind->keep_ms;
  if (rank && txn->time_ms <= txn->watermark_ms - raw_ms) atomic_store(&slices->close, true);
  return rank;
}

static void number_some(void *ctx, size_t job) {
  struct tide_slices *slices = ctx;
  struct tide_fold *fold = slices->fold;
  uint32_t e = (uint32_t)(job / slices->groups), made = 0;
  size_t group = job % slices->groups;
  struct list list;
  struct chain chain;
  list.count = 0;
  for (uint32_t i = slices->from; i < slices->to; i++) {
    const struct tide_txn *txn = &fold->group[i].txn;
    if (slices->home[i] == NOWHERE || fold->group[i].record.type != TIDE_REC_EVENT || !slices->counts[i] || (e && slices->incremental[i]) ||
        !txn->has_key[e] || !in_group(slices, (uint8_t)tide_shard_of(txn->key[e]), group))
      continue;
    list.at[list.count++] = (uint16_t)i;
  }
  chain_begin(&chain, list.count);
  for (uint32_t k = 0; k < list.count; k++) {
    if (k % NEAR == 0) prefetch(fold, e, &list, k);
    struct tide_txn *txn = &fold->group[list.at[k]].txn;
    if (txn->number[e] == TIDE_NO_ENTITY) txn->number[e] = tide_store_make_apart(&fold->state.store[e], txn->key[e], &made);
    txn->rank[e] = e ? rank_of(slices, e, &list, &chain, k) : 0;
  }
  atomic_fetch_add(&slices->made[e], made);
}

/* ---- primary ---- */

static void primary_event(struct tide_slices *slices, uint32_t i) {
  struct tide_fold *fold = slices->fold;
  struct tide_group_item *item = &fold->group[i];
  struct tide_txn *txn = &item->txn;
  struct tide_at at;
  slices->elsewhere[i] = false;
  if (slices->incremental[i]) {
    static const struct tide_outcome none = {0};
    TIDE_CHECK(tide_event_parent(fold, txn, &at));
    int64_t total = tide_event_conditions(fold, item, true, tide_event_amount_at(fold, txn->number[0], at));
    if (item->came.requested != TIDE_NULL_NUM)
      slices->elsewhere[i] = tide_state_change(&fold->state, txn->number[0], at, txn->watermark_ms, &none, total, true, &slices->change[i]);
  }
  tide_state_values(&fold->state, txn, &item->came.memory, slices->value[i]);
  if (txn->number[0] != TIDE_NO_ENTITY) tide_state_insert_in(&fold->state, 0, txn, &item->came.memory, slices->value[i]);
  for (uint32_t w = slices->first_waited[i]; w < slices->first_waited[i] + slices->waited_count[i]; w++) {
    struct waited *waited = &slices->waited[w];
    waited->found = tide_stub_find(fold, txn, item->came.memory.id, &at);
    if (waited->found)
      waited->elsewhere = tide_state_change(&fold->state, txn->number[0], at, txn->watermark_ms, &waited->stub.outcome,
                                            waited->stub.amount_now, waited->stub.sets_amount, &waited->change);
  }
}

static void primary_outcome(struct tide_slices *slices, uint32_t i) {
  struct tide_fold *fold = slices->fold;
  struct tide_group_item *item = &fold->group[i];
  struct tide_at at;
  slices->elsewhere[i] = false;
  if (!slices->found[i]) return;
  if (item->txn.number[0] == TIDE_NO_ENTITY) item->txn.number[0] = tide_store_find(&fold->state.store[0], item->txn.key[0]);
  TIDE_CHECK(tide_outcome_find(fold, item, &at));
  slices->elsewhere[i] = tide_state_change(&fold->state, item->txn.number[0], at, item->txn.watermark_ms, &item->record.outcome,
                                           item->came.requested, !item->came.no_rate, &slices->change[i]);
}

/* What the record does at its card, and where else it has something to do. */
static void primary_one(struct tide_slices *slices, uint32_t i) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_group_item *item = &fold->group[i];
  bool is_event = item->record.type == TIDE_REC_EVENT, row = is_event && slices->counts[i] && !slices->incremental[i];
  if (!is_event) primary_outcome(slices, i);
  else if (slices->counts[i]) primary_event(slices, i);
  else slices->elsewhere[i] = false;
  for (uint32_t e = 1; e < fold->spec->entity_count; e++) {
    uint32_t number = row ? item->txn.number[e] : slices->elsewhere[i] ? slices->change[i].number[e] : TIDE_NO_ENTITY;
    slices->to_shard[e][i] = number == TIDE_NO_ENTITY ? NOWHERE : (uint8_t)(number >> 26);
  }
}

static void primary_some(void *ctx, size_t group) {
  struct tide_slices *slices = ctx;
  struct list list;
  list_of(slices, slices->home, group, &list);
  for (uint32_t k = 0; k < list.count; k++) {
    if (k % NEAR == 0) prefetch(slices->fold, 0, &list, k);
    primary_one(slices, list.at[k]);
  }
}

/* ---- others ---- */

static void other_one(struct tide_slices *slices, uint32_t e, uint32_t i) {
  struct tide_fold *fold = slices->fold;
  const struct tide_group_item *item = &fold->group[i];
  if (slices->elsewhere[i]) tide_state_change_in(&fold->state, e, item->txn.watermark_ms, &slices->change[i]);
  else tide_state_insert_in(&fold->state, e, &item->txn, &item->came.memory, slices->value[i]);
}

/* What had waited for an event is done behind it. */
static void other_waited(struct tide_slices *slices, uint32_t e, uint32_t i, unsigned groups, size_t group) {
  struct tide_fold *fold = slices->fold;
  for (uint32_t w = slices->first_waited[i]; w < slices->first_waited[i] + slices->waited_count[i]; w++) {
    const struct waited *waited = &slices->waited[w];
    uint32_t number = waited->found && waited->elsewhere ? waited->change.number[e] : TIDE_NO_ENTITY;
    if (number != TIDE_NO_ENTITY && (number >> 26) * groups / TIDE_STORE_SHARDS == group)
      tide_state_change_in(&fold->state, e, fold->group[i].txn.watermark_ms, &waited->change);
  }
}

/* Entities first, then their logs. */
static void prefetch_others(const struct tide_slices *slices, uint32_t e, size_t group, const struct list *list, uint32_t from) {
  const struct tide_store *store = &slices->fold->state.store[e];
  uint32_t number[NEAR], count = 0;
  for (uint32_t k = from; k < list->count && k < from + NEAR; k++) {
    uint32_t i = list->at[k];
    if (!in_group(slices, slices->to_shard[e][i], group)) continue;
    number[count] = slices->elsewhere[i] ? slices->change[i].number[e] : slices->fold->group[i].txn.number[e];
    __builtin_prefetch(tide_store_ent(store, number[count++]));
  }
  for (uint32_t k = 0; k < count; k++) tide_fold_prefetch_log(store, number[k]);
}

static void others_some(void *ctx, size_t job) {
  struct tide_slices *slices = ctx;
  uint32_t e = 1 + (uint32_t)(job / slices->groups);
  size_t group = job % slices->groups;
  const uint8_t *shard = slices->to_shard[e];
  struct list list;
  list.count = 0;
  for (uint32_t i = slices->from; i < slices->to; i++) {
    if (slices->home[i] == NOWHERE) continue;
    if (in_group(slices, shard[i], group) || slices->waited_count[i]) list.at[list.count++] = (uint16_t)i;
  }
  for (uint32_t k = 0; k < list.count; k++) {
    if (k % NEAR == 0) prefetch_others(slices, e, group, &list, k);
    uint32_t i = list.at[k];
    if (in_group(slices, shard[i], group)) other_one(slices, e, i);
    if (slices->waited_count[i]) other_waited(slices, e, i, slices->groups, group);
  }
}

/* Primary and others record by record, with ranks as they are when the record comes. */
static void close_order(struct tide_slices *slices) {
  struct tide_fold *fold = slices->fold;
  uint32_t entities = fold->spec->entity_count;
  for (uint32_t i = slices->from; i < slices->to; i++) {
    if (slices->home[i] == NOWHERE) continue;
    struct tide_txn *txn = &fold->group[i].txn;
    bool row = fold->group[i].record.type == TIDE_REC_EVENT && slices->counts[i] && !slices->incremental[i];
    for (uint32_t e = 1; row && e < entities; e++) txn->rank[e] = tide_state_rank(&fold->state, e, txn);
    primary_one(slices, i);
    for (uint32_t e = 1; e < entities; e++) {
      if (slices->to_shard[e][i] != NOWHERE) other_one(slices, e, i);
      if (slices->waited_count[i]) other_waited(slices, e, i, 1, 0);
    }
  }
}

/* ---- the slice ---- */

static void fold_slice(struct tide_slices *slices) {
  struct tide_fold *fold = slices->fold;
  uint32_t entities = fold->spec->entity_count;
  slices->use.records += slices->to - slices->from;
  come(slices);
  tide_team_run(slices->team, slices->groups, judge_some, slices);
  settle(slices);
  atomic_store(&slices->close, false);
  for (uint32_t e = 0; e < entities; e++) atomic_store(&slices->made[e], 0);
  tide_team_run(slices->team, (size_t)entities * slices->groups, number_some, slices);
  for (uint32_t e = 0; e < entities; e++) tide_store_made(&fold->state.store[e], atomic_load(&slices->made[e]));
  if (atomic_load(&slices->close)) {
    close_order(slices);
    slices->use.closed += slices->to - slices->from;
  } else {
    tide_team_run(slices->team, slices->groups, primary_some, slices);
    tide_team_run(slices->team, (size_t)(entities - 1) * slices->groups, others_some, slices);
  }
  slices->use.waited += slices->waiting;
  for (uint32_t w = 0; w < slices->waiting; w++)
    fold->metrics.value[slices->waited[w].found ? TIDE_M_outcomes_applied_total : TIDE_M_outcomes_dropped_total]++;
}

static void note_newest(struct tide_slices *slices, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) {
    const struct tide_group_item *item = &slices->fold->group[i];
    if (!item->skip && item->record.type == TIDE_REC_EVENT && item->txn.time_ms > slices->newest_ms) slices->newest_ms = item->txn.time_ms;
  }
}

enum tide_err tide_slices_fold(struct tide_fold *fold, const struct tide_entry_header *header, uint32_t count, tide_emit_fn emit, void *ctx,
                               struct tide_error *error) {
  struct tide_slices *slices = fold->slices;
  slices->fold = fold;
  slices->header = header;
  slices->from = 0;
  slices->to = count;
  size_t jobs = (count + READ_JOB - 1) / READ_JOB;
  tide_team_run(slices->team, jobs, read_some, slices);
  for (size_t job = 0; job < jobs; job++) {
    if (!slices->failed[job]) continue;
    if (error) *error = slices->why[job];
    return slices->failed[job];
  }
  for (uint32_t at = 0; at < count;) {
    uint32_t to = at;
    while (to < count && fits(fold, &fold->group[to])) to++;
    slices->from = at;
    slices->to = to;
    if (to - at >= slices->least && may(fold, to - at)) {
      fold_slice(slices);
    } else {
      if (to < count) to++; /* and the one that does not fit */
      tide_fold_plainly(fold, at, to, emit, ctx);
    }
    note_newest(slices, at, to);
    at = to;
  }
  return TIDE_OK;
}
