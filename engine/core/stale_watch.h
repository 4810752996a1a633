/* Was a refusal for staleness right? Watched until it can be told, so that budgets can be set by facts instead of by fear.
 *
 * A decision that the fallback made because groups were stale is remembered with its time t and the keys of the entities that
 * were beyond their budget. It was
 *   right    when an event of one of these keys, or an outcome that names one, is folded behind it with a time in (t - reach, t]: it was on its way
 *            and not yet counted. reach is the longest delay and window of that entity; without end where a feature has no window;
 *   false    when all of these groups have become complete up to t and nothing such came: nothing relevant was missing, the answer would have been the same;
 *   unknown  when that did not happen within an hour of the journal's time, or an operator did not wait for one of the partitions.
 * At most TIDE_STALE_WATCH_MAX are watched at once, those that came first; under a longer outage the rest is not judged, so the verdicts are a sample.
 *
 * Nothing here is part of the state: it is not saved, not hashed and changes no answer. An event costs one comparison while nothing is watched. */
#ifndef TIDE_STALE_WATCH_H
#define TIDE_STALE_WATCH_H

#include "core/fold.h"
#include "core/gate.h"
#include "feature/state.h"

#define TIDE_STALE_WATCH_MAX 512
#define TIDE_STALE_WATCH_FOR_MS INT64_C(3600000)

struct tide_stale_stats {
  uint64_t judged;                    /* decisions whose features were computed */
  uint64_t stale[TIDE_ENTITIES_MAX];  /* of them those that read features beyond the budget of the entity's group */
  uint64_t right, wrong, unknown;     /* verdicts on refusals; wrong: a false one */
  uint32_t watched;                   /* that wait for theirs */
};

struct tide_stale_watch;
struct tide_stale_watch *tide_stale_watch_new(const struct tide_spec *spec);
void tide_stale_watch_free(struct tide_stale_watch *watch); /* NULL: nothing */
const struct tide_stale_stats *tide_stale_watch_stats(const struct tide_stale_watch *watch);

/* A decision was made, with features, for this transaction; home as tide_gate_judge had it. */
void tide_stale_watch_judged(struct tide_stale_watch *watch, const struct tide_txn *txn, const struct tide_answer *answer, uint32_t home, int64_t commit_ms);
/* An event was counted, or an outcome applied, whose event has this time. */
void tide_stale_watch_came(struct tide_stale_watch *watch, const struct tide_txn *txn, int64_t time_ms);
/* An entry was folded: what can be told is told. Looks once a second of the journal's time. */
void tide_stale_watch_settle(struct tide_stale_watch *watch, const struct tide_ledger *ledger, int64_t commit_ms);

#endif
