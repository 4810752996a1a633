/* Differences of the fold's counters into the meter (fold_meter.h).
 *
 * Places of names are found or made as they come; of a name beyond the last place no series is kept, and the others are not touched by it. */
#include "run/fold_meter.h"

#include <string.h>

#include "core/versions.h"

#define SET(name, value) tide_meter_set(meter, TIDE_METER_ROW_##name, TIDE_METER_PLAIN, (int64_t)(value))

/* By the rules' codes, so totals go on where another policy keeps a rule; the fold counts from zero under each. */
static void meter_rules(struct tide_metered *told, struct tide_meter *meter, const struct tide_fold *fold) {
  const struct tide_policy_version *policy = tide_versions_policy(tide_fold_versions(fold));
  const uint64_t *hits = tide_fold_rule_hits(fold);
  for (uint32_t r = 0; r < policy->spec->rule_count; r++) {
    uint64_t before = told->hits_of == policy->number && hits[r] >= told->hits[r] ? told->hits[r] : 0;
    uint32_t place = 0; /* "(other)" */
    told->hits[r] = hits[r];
    if (hits[r] == before) continue;
    (void)tide_meters_place(tide_meter_all(meter), TIDE_AXIS_rule, policy->spec->rule[r].code, &place);
    tide_meter_add(meter, TIDE_METER_ROW_rule_hits_total, (struct tide_meter_at){.a = place}, (int64_t)(hits[r] - before));
  }
  told->hits_of = policy->number;
}

/* What the fold knows of the cell's decisions: the same on every engine. */
static void meter_decisions(struct tide_metered *told, struct tide_meter *meter, const struct tide_fold *fold,
                            const struct tide_spec *spec) {
  const struct tide_stale_stats *stale = tide_fold_stale_stats(fold), *was = &told->stale;
  const uint64_t verdict[] = {stale->right - was->right, stale->wrong - was->wrong, stale->unknown - was->unknown};
  tide_meter_add(meter, TIDE_METER_ROW_judged_total, TIDE_METER_PLAIN, (int64_t)(stale->judged - was->judged));
  SET(stale_watched, stale->watched);
  for (uint32_t v = 0; v < sizeof verdict / sizeof verdict[0]; v++)
    tide_meter_add(meter, TIDE_METER_ROW_stale_verdicts_total, (struct tide_meter_at){.a = v}, (int64_t)verdict[v]);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    uint32_t at;
    if (tide_meters_place(tide_meter_all(meter), TIDE_AXIS_entity, spec->entity[e].name, &at))
      tide_meter_add(meter, TIDE_METER_ROW_stale_reads_total, (struct tide_meter_at){.a = at}, (int64_t)(stale->stale[e] - was->stale[e]));
  }
  told->stale = *stale;
  meter_rules(told, meter, fold);
}

void tide_meter_fold(struct tide_metered *told, struct tide_meter *meter, uint64_t switches, const struct tide_fold *fold,
                     const struct tide_core_reads *reads) {
  const struct tide_spec *spec = tide_fold_spec(fold);
  if (switches != told->switches) { /* these begin anew with a feature file */
    told->reads = (struct tide_core_reads){0};
    told->stale = (struct tide_stale_stats){0};
    memset(told->hits, 0, sizeof told->hits);
  }
  told->switches = switches;
  meter_decisions(told, meter, fold, spec);
  const struct tide_versions *versions = tide_fold_versions(fold);
  SET(rollout_number, versions->rollout.number);
  SET(rollout_void, versions->void_number > versions->rollout.number);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    uint32_t at;
    if (!tide_meters_place(tide_meter_all(meter), TIDE_AXIS_entity, spec->entity[e].name, &at))
      continue; /* of the hundredth name no series is kept */
    tide_meter_set(meter, TIDE_METER_ROW_entities, (struct tide_meter_at){.a = at}, (int64_t)tide_fold_entities(fold, e));
    for (uint32_t s = 0; s < TIDE_S_COUNT; s++)
      tide_meter_add(meter, TIDE_METER_ROW_feature_values_total, (struct tide_meter_at){.a = at, .b = s},
                     (int64_t)(reads->count[e][s] - told->reads.count[e][s]));
  }
  told->reads = *reads;
}
