/* The phases of a slice that run by shards (fold_slice.h): judge, number, primary, others.
 *
 * A job takes the records that have to do with its shards, in journal order, and asks for the memory of some dozens at a time before it touches it. It writes to entities of
 * its shards, to what the slice keeps by record where that record is its own, and to nothing else. */
#include "core/fold_slice_state.h"
#include "feature/ahead.h"

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

/* What some records of the list from `from` on will touch in a kind. Returns how many entities that is. */
#define NEAR 64
static uint32_t wants_of(const struct tide_fold *fold, uint32_t e, const struct list *list, uint32_t from, struct tide_want *ret) {
  uint32_t to = list->count - from < NEAR ? list->count : from + NEAR, wants = 0;
  for (uint32_t k = from; k < to; k++) {
    struct tide_txn *txn = &fold->group[list->at[k]].txn;
    if (txn->has_key[e]) ret[wants++] = (struct tide_want){&fold->state.store[e], &txn->key[e], &txn->number[e]};
  }
  return wants;
}

/* Asks for index, entity and log. */
static void prefetch(const struct tide_fold *fold, uint32_t e, const struct list *list, uint32_t from) {
  struct tide_want want[NEAR];
  tide_ahead(want, wants_of(fold, e, list, from, want));
}

/* Looks up numbers, which mostly need nothing of the log. */
static void look_up(const struct tide_fold *fold, uint32_t e, const struct list *list, uint32_t from) {
  struct tide_want want[NEAR];
  tide_ahead_numbers(want, wants_of(fold, e, list, from, want));
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

/* What comes from here on to the events of the slice that bear this identity comes in its turn. */
static bool set_apart(struct tide_slices *slices, struct seen *seen, const struct tide_txn *txn, uint64_t id, int64_t after_ms) {
  bool counted = false;
  for (uint32_t k = 0; (k = seen_before(slices, seen, k, txn, id, after_ms)) > 0;) {
    slices->apart[seen->at[k]] = true;
    counted |= !slices->incremental[seen->at[k]];
  }
  return counted;
}

static bool increments(struct tide_slices *slices, struct seen *seen, const struct tide_group_item *item) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_spec *spec = fold->spec;
  struct tide_at at;
  uint64_t id;
  if (spec->parent_counts || !item->txn.has_key[0] ||
      !tide_fold_identity((uint64_t)fold->settings.hash_seed, &item->record, spec->parent, spec->parent_count, &id))
    return false;
  bool here = set_apart(slices, seen, &item->txn, id, item->txn.watermark_ms - fold->plan->outcome_ms);
  return here || tide_event_parent(fold, &item->txn, &at);
}

/* Which event it means. One of the slice has come after all that the card holds; it is the one, unless the outcome names another amount. */
static void judge_outcome(struct tide_slices *slices, struct seen *seen, uint32_t i) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_group_item *item = &fold->group[i];
  const struct tide_memory *memory = &item->came.memory;
  int64_t after_ms = item->txn.watermark_ms - fold->plan->outcome_ms;
  struct tide_at at;
  uint32_t place = seen_before(slices, seen, 0, &item->txn, memory->id, after_ms);
  slices->with_event[i] = false;
  slices->next_outcome[i] = 0;
  slices->found[i] = place > 0 || tide_outcome_find(fold, item, &at);
  if (!place) return;
  uint32_t event = seen->at[place];
  bool meant = memory->fp_amount == 1 || memory->fp_amount == fold->group[event].came.memory.fp_amount;
  if (!meant || slices->incremental[event]) (void)set_apart(slices, seen, &item->txn, memory->id, after_ms);
  if (slices->apart[event]) return;
  uint16_t *last = &slices->last_outcome[event];
  if (*last) slices->next_outcome[*last - 1] = (uint16_t)(i + 1);
  else slices->first_outcome[event] = (uint16_t)(i + 1);
  *last = (uint16_t)(i + 1);
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
  slices->apart[i] = false;
  slices->first_outcome[i] = slices->last_outcome[i] = 0;
  if (!slices->counts[i]) return;
  tide_event_unjudged(fold, item, known);
  item->came.memory.uncounted = slices->incremental[i];
  if (!slices->incremental[i]) (void)tide_event_conditions(fold, item, false, TIDE_NULL_NUM);
  if (!item->txn.has_key[0] || item->txn.time_ms <= item->txn.watermark_ms - fold->plan->kind[0].keep_ms) return; /* it gets no row */
  seen->at[++seen->count] = (uint16_t)i;
  chain_put(&seen->chain, item->came.memory.id, seen->count);
}

void tide_slice_judge(void *ctx, size_t group) {
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
    if (fold->group[i].record.type == TIDE_REC_EVENT) judge_event(slices, &seen, i);
    else judge_outcome(slices, &seen, i);
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

void tide_slice_number(void *ctx, size_t job) {
  struct tide_slices *slices = ctx;
  struct tide_fold *fold = slices->fold;
  uint32_t e = (uint32_t)(job / slices->groups), made = 0;
  size_t group = job % slices->groups;
  struct list list;
  struct chain chain;
  list.count = 0;
  for (uint32_t c = 0; c < slices->counting; c++) {
    uint16_t i = slices->counted[c];
    const struct tide_txn *txn = &fold->group[i].txn;
    bool row = txn->has_key[e] && !(e && slices->incremental[i]);
    if (row && in_group(slices, (uint8_t)tide_shard_of(txn->key[e]), group)) list.at[list.count++] = i;
  }
  chain_begin(&chain, list.count);
  for (uint32_t k = 0; k < list.count; k++) {
    if (e && k % NEAR == 0) look_up(fold, e, &list, k); /* of cards it was done to judge */
    struct tide_txn *txn = &fold->group[list.at[k]].txn;
    if (txn->number[e] == TIDE_NO_ENTITY) txn->number[e] = tide_store_make_apart(&fold->state.store[e], txn->key[e], &made);
    txn->rank[e] = e ? rank_of(slices, e, &list, &chain, k) : 0;
  }
  atomic_fetch_add(&slices->made[e], made);
}

/* ---- primary ---- */

/* Outcomes that nothing stands between: they come with their event. One that cannot leaves those behind it to their turn. */
static uint32_t take_outcomes(struct tide_slices *slices, uint32_t i) {
  const struct tide_fold *fold = slices->fold;
  uint32_t taken = 0;
  for (uint32_t o = slices->first_outcome[i]; o; o = slices->next_outcome[o - 1], taken++) {
    const struct tide_group_item *item = &fold->group[o - 1];
    if (!tide_state_change_coming(fold->plan, &slices->coming_outcomes, &fold->group[i].txn, slices->value[i], item->txn.watermark_ms,
                                  &item->record.outcome, item->came.requested, !item->came.no_rate))
      break;
    slices->with_event[o - 1] = true;
  }
  return taken;
}

/* Returns how many outcomes came with it. */
static uint32_t primary_event(struct tide_slices *slices, uint32_t i) {
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
  tide_state_refer(&fold->state, txn, &item->came.memory, slices->value[i]);
  uint32_t taken = slices->incremental[i] || slices->waited_count[i] ? 0 : take_outcomes(slices, i);
  if (txn->number[0] != TIDE_NO_ENTITY) tide_state_insert_in(&fold->state, 0, txn, &item->came.memory, slices->value[i]);
  for (uint32_t w = slices->first_waited[i]; w < slices->first_waited[i] + slices->waited_count[i]; w++) {
    struct waited *waited = &slices->waited[w];
    waited->found = tide_stub_find(fold, txn, item->came.memory.id, &at);
    if (waited->found)
      waited->elsewhere = tide_state_change(&fold->state, txn->number[0], at, txn->watermark_ms, &waited->stub.outcome,
                                            waited->stub.amount_now, waited->stub.sets_amount, &waited->change);
  }
  return taken;
}

static void primary_outcome(struct tide_slices *slices, uint32_t i) {
  struct tide_fold *fold = slices->fold;
  struct tide_group_item *item = &fold->group[i];
  struct tide_at at;
  slices->elsewhere[i] = false;
  if (!slices->found[i] || slices->with_event[i]) return;
  if (item->txn.number[0] == TIDE_NO_ENTITY) item->txn.number[0] = tide_store_find(&fold->state.store[0], item->txn.key[0]);
  TIDE_CHECK(tide_outcome_find(fold, item, &at));
  slices->elsewhere[i] = tide_state_change(&fold->state, item->txn.number[0], at, item->txn.watermark_ms, &item->record.outcome,
                                           item->came.requested, !item->came.no_rate, &slices->change[i]);
}

/* What the record does at its card, and where else it has something to do. Returns how many outcomes came with it. */
static uint32_t primary_one(struct tide_slices *slices, uint32_t i) {
  const struct tide_fold *fold = slices->fold;
  const struct tide_group_item *item = &fold->group[i];
  bool is_event = item->record.type == TIDE_REC_EVENT, row = is_event && slices->counts[i] && !slices->incremental[i];
  uint32_t taken = 0;
  if (!is_event) primary_outcome(slices, i);
  else if (slices->counts[i]) taken = primary_event(slices, i);
  else slices->elsewhere[i] = false;
  for (uint32_t e = 1; e < fold->spec->entity_count; e++) {
    uint32_t number = row ? item->txn.number[e] : slices->elsewhere[i] ? slices->change[i].number[e] : TIDE_NO_ENTITY;
    slices->to_shard[e][i] = number == TIDE_NO_ENTITY ? NOWHERE : (uint8_t)(number >> 26);
  }
  return taken;
}

void tide_slice_primary(void *ctx, size_t group) {
  struct tide_slices *slices = ctx;
  struct list list;
  uint32_t taken = 0;
  list_of(slices, slices->home, group, &list);
  for (uint32_t k = 0; k < list.count; k++) {
    if (k % NEAR == 0) prefetch(slices->fold, 0, &list, k);
    taken += primary_one(slices, list.at[k]);
  }
  atomic_fetch_add(&slices->use_with_event, taken);
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

static void prefetch_others(const struct tide_slices *slices, uint32_t e, size_t group, const struct list *list, uint32_t from) {
  uint32_t number[NEAR], count = 0;
  struct tide_want want[NEAR];
  for (uint32_t k = from; k < list->count && k < from + NEAR; k++) {
    uint32_t i = list->at[k];
    if (!in_group(slices, slices->to_shard[e][i], group)) continue;
    number[count] = slices->elsewhere[i] ? slices->change[i].number[e] : slices->fold->group[i].txn.number[e];
    want[count] = (struct tide_want){&slices->fold->state.store[e], NULL, &number[count]};
    count++;
  }
  tide_ahead(want, count);
}

void tide_slice_others(void *ctx, size_t job) {
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

void tide_slice_close(struct tide_slices *slices) {
  struct tide_fold *fold = slices->fold;
  uint32_t entities = fold->spec->entity_count;
  for (uint32_t i = slices->from; i < slices->to; i++) {
    if (slices->home[i] == NOWHERE) continue;
    struct tide_txn *txn = &fold->group[i].txn;
    bool row = fold->group[i].record.type == TIDE_REC_EVENT && slices->counts[i] && !slices->incremental[i];
    for (uint32_t e = 1; row && e < entities; e++) txn->rank[e] = tide_state_rank(&fold->state, e, txn);
    atomic_fetch_add(&slices->use_with_event, primary_one(slices, i));
    for (uint32_t e = 1; e < entities; e++) {
      if (slices->to_shard[e][i] != NOWHERE) other_one(slices, e, i);
      if (slices->waited_count[i]) other_waited(slices, e, i, 1, 0);
    }
  }
}
