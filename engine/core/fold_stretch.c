/* Events of a group, kind by kind (README.md, "A group kind by kind").
 *
 * An event is begun when its turn comes: all that hangs on its place in the journal. Those that follow each other and share no primary entity make a stretch,
 * and are finished together: kind by kind what they see and what they add, then one after the other what is decided. So the code and the plan of one kind stay
 * near while 16 events pass. A stretch of one is finished as a single event would be told: seen by all kinds, decided, added to all kinds. */
#include "core/fold_state.h"
#include "feature/freshness.h"

struct begun {
  struct tide_group_item *item;
  uint32_t partition; /* its place in the ledger */
  enum tide_known known;
  bool is_new; /* its primary entity is */
  bool counts;
  bool incremental;
  bool waited_for;       /* an outcome came before it */
  bool asks;             /* as item->came says: nearer */
  struct tide_at parent; /* of an incremental one */
  int64_t total;
  struct tide_value *slot; /* what it sees */
  int64_t *value;          /* what its rows hold */
};

/* An odd number of cache lines, so that the same value of 16 events does not stand in one set of a cache. */
#define VALUES (TIDE_NO_ORIGIN + 1 + 8)

struct tide_stretch {
  uint32_t count;
  /* Their primary entities; side by side, because each event is compared with all before it. */
  struct tide_u128 key[TIDE_GROUP];
  uint32_t number[TIDE_GROUP];
  struct begun begun[TIDE_GROUP];
  int64_t value[TIDE_GROUP * VALUES];
  struct tide_value slot[TIDE_GROUP * TIDE_SLOTS_MAX];
};

struct tide_stretch *tide_stretch_new(void) {
  return tide_alloc(sizeof(struct tide_stretch));
}

/* Side by side, for the same reason. */
static struct tide_value *slots_of(const struct tide_fold *fold, uint32_t i) {
  uint32_t lines = (fold->spec->slot_count + 3) / 4 | 1;
  _Static_assert(TIDE_SLOTS_MAX % 8 == 0 && sizeof(struct tide_value) == 16, "four slots are a line of a cache");
  return &fold->stretch->slot[i * (lines * 4 > TIDE_SLOTS_MAX ? TIDE_SLOTS_MAX : lines * 4)];
}

/* ---- where the events of a card come from ---- */

/* Its own partition, if that tells, or what earlier ones told. TIDE_NONE: not known. */
static uint32_t home_of(const struct tide_fold *fold, const struct tide_txn *txn, uint32_t partition) {
  if (!fold->ledger.gating) return TIDE_NONE;
  if (tide_home_pack(&fold->ledger, partition)) return partition;
  if (txn->number[0] == TIDE_NO_ENTITY) return TIDE_NONE;
  return tide_home_unpack(&fold->ledger, tide_store_home(&fold->state.store[0], txn->number[0]));
}

static void note_home(struct tide_fold *fold, const struct tide_txn *txn, uint32_t partition) {
  uint32_t home = fold->ledger.declared ? tide_home_pack(&fold->ledger, partition) : 0;
  if (home && txn->number[0] != TIDE_NO_ENTITY) tide_store_set_home(&fold->state.store[0], txn->number[0], home);
}

/* ---- what a stretch can hold ---- */

/* Is it of a primary entity that one of the stretch is of? One that is looked up may stand under its previous key, so numbers tell as well. What seems the same
 * and is not ends a stretch early and changes nothing. */
static bool same_primary(const struct tide_stretch *stretch, const struct tide_txn *txn) {
  if (!txn->has_key[0]) return false;
  bool same = false;
  for (uint32_t i = 0; i < stretch->count; i++)
    same |= tide_u128_eq(stretch->key[i], txn->key[0]) | (stretch->number[i] == txn->number[0] && txn->number[0] != TIDE_NO_ENTITY);
  return same;
}

/* Does nothing that the event changes when it begins matter to those that are begun, and nothing of theirs to it? It has been looked up. */
static bool may_join(struct tide_fold *fold, const struct tide_group_item *item) {
  const struct tide_stretch *stretch = fold->stretch;
  const struct tide_store *primary = &fold->state.store[0];
  if (primary->live + stretch->count >= primary->kind->max_entities) return false;
  if (fold->ledger.gating && !tide_ledger_find(&fold->ledger, item->record.source, item->record.partition))
    return false; /* the gate will know one partition more */
  return !same_primary(stretch, &item->txn);
}

/* Does it read or change more than its own entities, or an order that only single events have? */
static bool is_alone(const struct tide_fold *fold, const struct begun *begun) {
  if (begun->incremental || begun->waited_for || fold->trace.fn) return true;
  for (uint32_t e = 1; fold->plan->keeps_facts && e < fold->spec->entity_count; e++)
    if (fold->plan->kind[e].fact_count) return true; /* the ages of all facts are asked for when it is decided */
  return false;
}

/* ---- finishing ---- */

/* The entity may have been made by an event before it in the stretch. */
static inline void look(struct tide_fold *fold, uint32_t e, const struct begun *begun) {
  struct tide_txn *txn = &begun->item->txn;
  if (txn->number[e] == TIDE_NO_ENTITY && txn->has_key[e]) txn->number[e] = tide_store_find(&fold->state.store[e], txn->key[e]);
  if (begun->asks) tide_vector_kind(&fold->state, txn, e, begun->slot);
}

static inline void count_in(struct tide_fold *fold, uint32_t e, const struct begun *begun) {
  struct tide_txn *txn = &begun->item->txn;
  txn->rank[e] = 0;
  if (!begun->counts || !txn->has_key[e]) return;
  if (!begun->incremental || e == 0) tide_state_count(&fold->state, e, txn, &begun->item->came.memory, begun->value);
  fold->metrics.value[TIDE_M_entities_dropped_total] += tide_txn_capacity(&fold->state, txn, e); /* there was no room for it */
}

static void judge(struct tide_fold *fold, const struct begun *begun, struct tide_env *env, struct tide_answer *answer) {
  const struct tide_spec *spec = fold->spec;
  struct tide_txn *txn = &begun->item->txn;
  uint32_t home = home_of(fold, txn, begun->partition);
  tide_gate_judge(&fold->gate, &fold->ledger, spec, fold->commit_ms, txn->time_ms, home, fold->standing);
  tide_facts_stand(&fold->state, txn, fold->standing);
  tide_freshness_apply(spec, fold->standing, txn->has_key, begun->slot);
  tide_fold_judge(fold, txn, begun->slot, env, answer);
  struct tide_policy_version *policy = &fold->versions.policy[fold->versions.now];
  if (txn->time_ms > policy->last_ms) policy->last_ms = txn->time_ms;
  for (uint64_t left = answer->verdict.yes; left; left &= left - 1) fold->rule_hits[__builtin_ctzll(left)]++;
  tide_stale_watch_judged(fold->stale_watch, txn, answer, home, fold->commit_ms);
  if (fold->trace.fn) tide_fold_trace_txn(fold, txn, UINT32_MAX);
}

/* Its answer leaves before it is counted at its card: the answer borrows what the count changes. */
static void decide(struct tide_fold *fold, const struct begun *begun, tide_emit_fn emit, void *ctx) {
  struct tide_group_item *item = begun->item;
  struct tide_list_ctx lists;
  struct tide_env env;
  tide_event_env(fold, &item->txn, &lists, &env);
  struct tide_answer answer = tide_event_answer(fold, item, begun->known, &env);
  answer.counted = begun->counts;
  if (item->came.asks) judge(fold, begun, &env, &answer);
  tide_event_pack(fold, &answer, item->came.asks, &item->came.memory);
  if (item->came.asks) tide_event_out(fold, item, &answer, emit, ctx);
  if (begun->counts) tide_stale_watch_came(fold->stale_watch, &item->txn, item->txn.time_ms);
}

static void count_at_primary(struct tide_fold *fold, const struct begun *begun) {
  const struct tide_came *came = &begun->item->came;
  struct tide_txn *txn = &begun->item->txn;
  if (!begun->counts) {
    fold->metrics.value[TIDE_M_events_uncounted_total]++;
    return;
  }
  if (begun->incremental && came->requested != TIDE_NULL_NUM) { /* the parent first: inserting moves its place */
    struct tide_outcome none = {0};
    tide_state_outcome(&fold->state, txn->number[0], begun->parent, &none, begun->total, true);
  }
  tide_state_refer(&fold->state, txn, &came->memory, begun->value);
  count_in(fold, 0, begun);
  fold->metrics.value[begun->incremental ? TIDE_M_events_incremental_total : TIDE_M_events_counted_total]++;
  if (begun->waited_for && txn->number[0] != TIDE_NO_ENTITY) tide_fold_stubs(fold, txn, came->memory.id);
  if (begun->is_new) note_home(fold, txn, begun->partition);
}

void tide_stretch_end(struct tide_fold *fold, tide_emit_fn emit, void *ctx) {
  const struct begun *first = fold->stretch->begun, *end = first + fold->stretch->count, *at;
  bool single = end - first == 1;
  for (uint32_t e = 1; first < end && e < fold->spec->entity_count; e++) {
    for (at = first; at < end; at++) {
      look(fold, e, at);
      if (!single) count_in(fold, e, at);
    }
  }
  for (at = first; at < end; at++) look(fold, 0, at);
  for (at = first; at < end; at++) decide(fold, at, emit, ctx);
  for (uint32_t e = 1; single && e < fold->spec->entity_count; e++) count_in(fold, e, first);
  for (at = first; at < end; at++) count_at_primary(fold, at);
  fold->stretch->count = 0;
}

/* ---- beginning ---- */

/* What follows hangs on the event's own values, its card, and what stands before it. */
static void prepare(struct tide_fold *fold, struct begun *begun, uint32_t i) {
  begun->slot = slots_of(fold, i);
  begun->value = &fold->stretch->value[i * VALUES];
  struct tide_group_item *item = begun->item;
  struct tide_memory *memory = &item->came.memory;
  int64_t parent_amount = begun->incremental ? tide_event_amount_at(fold, item->txn.number[0], begun->parent) : TIDE_NULL_NUM;
  begun->total = tide_event_conditions(fold, item, begun->incremental, parent_amount);
  if (!begun->counts) return;
  memory->tag = fold->tag++;
  memory->uncounted = begun->incremental;
  tide_state_values(&fold->state, &item->txn, memory, begun->value);
}

void tide_fold_event(struct tide_fold *fold, struct tide_group_item *item, tide_emit_fn emit, void *ctx) {
  struct tide_stretch *stretch = fold->stretch;
  struct tide_txn *txn = &item->txn;
  if (stretch->count && txn->rotates) tide_stretch_end(fold, emit, ctx); /* looking it up moves entities */
  tide_fold_look_up(fold, txn);
  if (stretch->count && !may_join(fold, item)) {
    tide_stretch_end(fold, emit, ctx);
    tide_fold_look_up(fold, txn);
  }
  struct begun begun = {.item = item, .is_new = txn->number[0] == TIDE_NO_ENTITY, .counts = !(item->record.flags & TIDE_REC_NOCOUNT)};
  struct tide_list_ctx lists;
  struct tide_env env;
  struct tide_at known_at;
  tide_event_env(fold, txn, &lists, &env);
  tide_event_identify(fold, item);
  begun.partition = tide_event_come(fold, item, &env);
  note_home(fold, txn, begun.partition);
  begun.known = tide_event_known(fold, item, &known_at);
  enum tide_fate fate = tide_event_fate(fold, item, begun.known);
  tide_event_meter(fold, item, begun.known, fate);
  if (fate != TIDE_FATE_COUNTS) {
    tide_stretch_end(fold, emit, ctx);
    tide_event_pass(fold, item, begun.known, fate, known_at, &env, emit, ctx);
    return;
  }
  begun.incremental = tide_event_parent(fold, txn, &begun.parent);
  begun.waited_for = begun.counts && !begun.incremental && item->came.has_identity &&
                     tide_stubs_has(&fold->stubs, txn->key[0], txn->alt[0], item->came.memory.id);
  bool alone = is_alone(fold, &begun);
  if (alone) tide_stretch_end(fold, emit, ctx);
  begun.asks = item->came.asks;
  stretch->key[stretch->count] = txn->has_key[0] ? txn->key[0] : (struct tide_u128){0, 0};
  stretch->number[stretch->count] = txn->number[0];
  stretch->begun[stretch->count] = begun;
  prepare(fold, &stretch->begun[stretch->count], stretch->count);
  stretch->count++;
  if (alone || stretch->count == TIDE_GROUP) tide_stretch_end(fold, emit, ctx);
}
