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
 * an event is so old that rows of its time may have gone since, the last two phases run record by record instead (`close`).
 *
 * An outcome whose event stands in the same slice mostly comes with it: `judge` knows which it means and that nothing between the two reads or changes that event, so
 * `primary` inserts the event as the outcome leaves it (feature/state.h says where that gives the same bytes; elsewhere the outcome has its turn). */
#include "core/fold_slice_state.h"

struct tide_slices *tide_slices_new(struct tide_team *team, bool first) {
  struct tide_slices *slices = tide_alloc(sizeof *slices);
  slices->team = team;
  slices->least = TIDE_SLICE_LEAST;
  slices->newest_ms = first ? INT64_MIN : INT64_MAX; /* whatever was folded before may be newer than anything */
  slices->groups = 1;
  while (tide_team_size(team) > 1 && slices->groups < GROUPS_MAX && slices->groups < 4 * tide_team_size(team)) slices->groups *= 2;
  return slices;
}

uint32_t tide_slices_records(const struct tide_team *team) {
  uint32_t threads = tide_team_size(team), records = threads == 1 ? 128 : 256 * threads;
  return records < TIDE_SLICE ? records : TIDE_SLICE;
}

void tide_slices_least(struct tide_slices *slices, uint32_t records) { slices->least = records; }
struct tide_slice_use tide_slices_use(const struct tide_slices *slices) {
  struct tide_slice_use use = slices->use;
  use.with_event = atomic_load(&slices->use_with_event);
  return use;
}

void tide_slices_free(struct tide_slices *slices) {
  if (!slices) return;
  tide_free(slices->waited);
  tide_free(slices);
}

bool tide_slices_coming(const struct tide_slices *slices) { return slices && slices->coming; }

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

static bool fits(const struct tide_group_item *item) {
  return item->skip || !(item->record.type == TIDE_REC_PROFILE || item->record.flags & TIDE_REC_STAMPED || item->txn.rotates);
}

/* Time begins with an event. */
static bool began(const struct tide_fold *fold) {
  return fold->state.watermark_ms != INT64_MIN && fold->state.history_from_ms != TIDE_HISTORY_FIRST;
}

static bool may(const struct tide_fold *fold, uint32_t count) {
  const struct tide_state *state = &fold->state;
  if (!fold->quiet || fold->digest.decisions || fold->follows || fold->generations || fold->ledger.declared || fold->ledger.gating ||
      fold->watch.decided || fold->watch.labelled || fold->trace.fn)
    return false;
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
  slices->waiting = slices->counting = 0;
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
    slices->counted[slices->counting++] = (uint16_t)i;
    item->came.memory.tag = fold->tag++;
    value[slices->incremental[i] ? TIDE_M_events_incremental_total : TIDE_M_events_counted_total]++;
    if (item->came.has_identity && !slices->incremental[i]) take_waiting(slices, i);
  }
}

/* ---- the slice ---- */

static void fold_slice(struct tide_slices *slices) {
  struct tide_fold *fold = slices->fold;
  uint32_t entities = fold->spec->entity_count;
  slices->use.records += slices->to - slices->from;
  come(slices);
  slices->coming_outcomes = tide_coming_of(fold->plan);
  tide_team_run(slices->team, slices->groups, tide_slice_judge, slices);
  settle(slices);
  atomic_store(&slices->close, false);
  for (uint32_t e = 0; e < entities; e++) atomic_store(&slices->made[e], 0);
  tide_team_run(slices->team, (size_t)entities * slices->groups, tide_slice_number, slices);
  for (uint32_t e = 0; e < entities; e++) tide_store_made(&fold->state.store[e], atomic_load(&slices->made[e]));
  if (atomic_load(&slices->close)) {
    tide_slice_close(slices);
    slices->use.closed += slices->to - slices->from;
  } else {
    tide_team_run(slices->team, slices->groups, tide_slice_primary, slices);
    tide_team_run(slices->team, (size_t)(entities - 1) * slices->groups, tide_slice_others, slices);
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
    while (to < count && fits(&fold->group[to])) to++;
    slices->from = at;
    slices->to = to;
    if (!began(fold)) {
      to = at + 1; /* the next record may be the one with which time begins */
      tide_fold_plainly(fold, at, to, emit, ctx);
    } else if (to - at >= slices->least && may(fold, to - at)) {
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
