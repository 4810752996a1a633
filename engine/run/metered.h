/* What an engine has shown of the journal's replicas and of the cell's decisions, so that it can go on from there: of the core's thread.
 *
 * Rows: journal_*, judged, stale_*, rule_hits of base/meter.h. Each look sets what is a level and adds what a counter grew by. */
#ifndef TIDE_METERED_H
#define TIDE_METERED_H

#include "base/meter.h"
#include "core/stale_watch.h"
#include "port/journal.h"

struct tide_metered {
  uint64_t epoch;                         /* 0: none yet */
  struct tide_stale_stats stale;
  uint64_t hits[TIDE_RULES_MAX], hits_of; /* of the rules of the policy with this number */
};

void tide_metered_journal(struct tide_metered *metered, struct tide_meter *meter, const struct tide_journal_health *health, uint64_t epoch);
/* The fold has a feature file, and its axes are those of the meter. */
void tide_metered_decisions(struct tide_metered *metered, struct tide_meter *meter, const struct tide_fold *fold);

#endif
