/* Refusals for staleness and what they turned out to be (stale_watch.h).
 *
 * The watched ones stand in an array; an index from (entity, key) to them is an open-addressed table of small numbers, made anew whenever one leaves,
 * which is once a second at most. It has four places for each key that can be in it, so a look at a key that nobody watches ends after one or two. */
#include "core/stale_watch.h"

enum { INDEX = TIDE_STALE_WATCH_MAX * 32, LOOK_EVERY_MS = 1000 };
_Static_assert((INDEX & (INDEX - 1)) == 0 && INDEX >= 2 * TIDE_STALE_WATCH_MAX * TIDE_ENTITIES_MAX, "a power of two, half full at most");

struct watched {
  int64_t time_ms, since_ms; /* of the event; commit time of its decision */
  uint32_t home;
  uint32_t stale; /* bits by entity; 0: told */
  struct tide_u128 key[TIDE_ENTITIES_MAX];
};

struct tide_stale_watch {
  const struct tide_spec *spec;
  int64_t reach_ms[TIDE_ENTITIES_MAX]; /* INT64_MAX: without end; -1: no feature reads it */
  struct tide_stale_stats stats;
  int64_t looked_ms;
  uint32_t own; /* number and one of the item whose own event is counted next: it was not missing; 0: none */
  struct tide_gate gate;
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  struct watched item[TIDE_STALE_WATCH_MAX];
  uint16_t index[INDEX]; /* number of an item and one; 0: free */
};

struct tide_stale_watch *tide_stale_watch_new(const struct tide_spec *spec) {
  _Static_assert(TIDE_ENTITIES_MAX <= 32, "entities are bits of a word");
  struct tide_stale_watch *watch = tide_alloc(sizeof *watch);
  watch->spec = spec;
  watch->looked_ms = INT64_MIN;
  for (uint32_t e = 0; e < spec->entity_count; e++) watch->reach_ms[e] = -1;
  for (uint32_t s = 0; s < spec->slot_count; s++) {
    const struct tide_feature *feature = &spec->feature[spec->slot[s].feature];
    if (feature->agg == TIDE_AGG_FACT) continue; /* facts have ages of their own */
    int64_t *reach_ms = &watch->reach_ms[feature->entity];
    int64_t own_ms =
        spec->slot[s].window_ms ? spec->slot[s].window_ms + feature->inner_ms + feature->delayed_ms + feature->hop_ms : INT64_MAX;
    if (own_ms > *reach_ms) *reach_ms = own_ms;
  }
  return watch;
}

void tide_stale_watch_free(struct tide_stale_watch *watch) { tide_free(watch); }
const struct tide_stale_stats *tide_stale_watch_stats(const struct tide_stale_watch *watch) { return &watch->stats; }

static uint32_t place_of(uint32_t entity, struct tide_u128 key) {
  return (uint32_t)(key.lo ^ (key.hi >> 7) ^ entity * 0x9e3779b9u) & (INDEX - 1);
}

static void index_item(struct tide_stale_watch *watch, uint32_t number) {
  const struct watched *item = &watch->item[number];
  for (uint32_t e = 0; e < watch->spec->entity_count; e++) {
    if (!(item->stale >> e & 1)) continue;
    uint32_t at = place_of(e, item->key[e]);
    while (watch->index[at]) at = (at + 1) & (INDEX - 1);
    watch->index[at] = (uint16_t)(number + 1);
  }
}

/* The cause itself, or what made the score refuse. */
static bool is_stale_refusal(const struct tide_answer *answer) {
  const struct tide_verdict *verdict = &answer->verdict;
  if (!tide_verdict_is_refusal(verdict)) return false;
  return verdict->cause == TIDE_C_stale || (verdict->cause_slot != TIDE_NONE && answer->slot[verdict->cause_slot].cause == TIDE_C_stale);
}

void tide_stale_watch_judged(struct tide_stale_watch *watch, const struct tide_txn *txn, const struct tide_answer *answer, uint32_t home,
                             int64_t commit_ms) {
  uint32_t stale = 0;
  watch->stats.judged++;
  watch->own = 0;
  for (uint32_t e = 0; e < watch->spec->entity_count; e++) {
    if (answer->standing[e].state != TIDE_S_stale || !txn->has_key[e] || watch->reach_ms[e] < 0) continue;
    stale |= 1u << e;
    watch->stats.stale[e]++;
  }
  if (!stale || watch->stats.watched == TIDE_STALE_WATCH_MAX || !is_stale_refusal(answer)) return;
  uint32_t number = watch->stats.watched++;
  watch->own = answer->counted ? number + 1 : 0;
  struct watched *item = &watch->item[number];
  *item = (struct watched){.time_ms = txn->time_ms, .since_ms = commit_ms, .home = home, .stale = stale};
  for (uint32_t e = 0; e < watch->spec->entity_count; e++)
    if (stale >> e & 1) item->key[e] = txn->key[e];
  index_item(watch, number);
}

static bool is_within(const struct tide_stale_watch *watch, const struct watched *item, uint32_t entity, int64_t time_ms) {
  int64_t reach_ms = watch->reach_ms[entity], back_ms;
  if (time_ms > item->time_ms) return false;
  return reach_ms == INT64_MAX || (!__builtin_sub_overflow(item->time_ms, time_ms, &back_ms) && back_ms < reach_ms);
}

void tide_stale_watch_came(struct tide_stale_watch *watch, const struct tide_txn *txn, int64_t time_ms) {
  if (!watch->stats.watched) return;
  uint32_t own = watch->own;
  watch->own = 0;
  for (uint32_t e = 0; e < watch->spec->entity_count; e++) {
    if (!txn->has_key[e]) continue;
    for (uint32_t at = place_of(e, txn->key[e]); watch->index[at]; at = (at + 1) & (INDEX - 1)) {
      struct watched *item = &watch->item[watch->index[at] - 1];
      if (watch->index[at] == own || !(item->stale >> e & 1) || !tide_u128_eq(item->key[e], txn->key[e]) ||
          !is_within(watch, item, e, time_ms))
        continue;
      item->stale = 0; /* it leaves the array when it is looked at next */
      watch->stats.right++;
    }
  }
}

enum told { NOT_YET, NOTHING_CAME, NOBODY_KNOWS };

static enum told look_at(struct tide_stale_watch *watch, const struct watched *item, const struct tide_ledger *ledger, int64_t commit_ms) {
  uint32_t home = item->home < ledger->partition_count ? item->home : TIDE_NONE;
  tide_gate_judge(&watch->gate, ledger, watch->spec, commit_ms, item->time_ms, home, watch->standing);
  bool complete = true, waived = false;
  for (uint32_t e = 0; e < watch->spec->entity_count; e++) {
    if (!(item->stale >> e & 1)) continue;
    if (watch->standing[e].state == TIDE_S_waived) waived = true;
    if (watch->standing[e].complete_ms < item->time_ms) complete = false;
  }
  if (waived) return NOBODY_KNOWS;
  if (complete) return NOTHING_CAME;
  return commit_ms - item->since_ms > TIDE_STALE_WATCH_FOR_MS ? NOBODY_KNOWS : NOT_YET;
}

void tide_stale_watch_settle(struct tide_stale_watch *watch, const struct tide_ledger *ledger, int64_t commit_ms) {
  if (!watch->stats.watched || (watch->looked_ms != INT64_MIN && commit_ms - watch->looked_ms < LOOK_EVERY_MS)) return;
  watch->looked_ms = commit_ms;
  tide_gate_change(&watch->gate);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < watch->stats.watched; i++) {
    const struct watched *item = &watch->item[i];
    if (!item->stale) continue;
    enum told told = look_at(watch, item, ledger, commit_ms);
    if (told == NOTHING_CAME) watch->stats.wrong++;
    else if (told == NOBODY_KNOWS) watch->stats.unknown++;
    else watch->item[kept++] = *item;
  }
  watch->stats.watched = kept;
  memset(watch->index, 0, sizeof watch->index);
  for (uint32_t i = 0; i < kept; i++) index_item(watch, i);
}
