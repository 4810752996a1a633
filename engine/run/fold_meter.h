/* What the journal's replicas, the fold and the decisions made from it come to, as metrics: by names of rules and entities, so that totals go on
 * where another policy or feature file keeps a name.
 *
 * The fold counts anew under each feature file, and rules under each policy; the meter never goes back. So what was told is kept beside it, and differences are added. */
#ifndef TIDE_FOLD_METER_H
#define TIDE_FOLD_METER_H

#include "base/meter.h"
#include "core/core.h"
#include "core/stale_watch.h"
#include "port/journal.h"

/* What the meter was told last. */
struct tide_metered {
  struct tide_core_reads reads;
  struct tide_stale_stats stale;
  uint64_t switches;                      /* of the feature file, then */
  uint64_t hits[TIDE_RULES_MAX], hits_of; /* of rules; of the policy with this number */
  uint64_t epoch;                         /* of the journal; 0: none yet */
};

/* The rows journal_*: its replicas as they were last heard of, and the epoch of the fold's position. */
void tide_meter_journal(struct tide_metered *told, struct tide_meter *meter, const struct tide_journal_health *health, uint64_t epoch);

/* The meter's own thread, with a feature file that is in force. `switches`, `reads`: of the core (core.h). */
void tide_meter_fold(struct tide_metered *told, struct tide_meter *meter, uint64_t switches, const struct tide_fold *fold, const struct tide_core_reads *reads);

#endif
