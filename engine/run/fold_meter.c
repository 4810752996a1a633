/* Differences of the fold's counters into the meter (fold_meter.h).
 *
 * Places of names are found or made as they come; of a name beyond the last place no series is kept, and the others are not touched by it. */
#include "run/fold_meter.h"

#include <string.h>

#include "core/versions.h"

#define SET(name, value) tide_meter_set(meter, TIDE_METER_ROW_##name, TIDE_METER_PLAIN, (int64_t)(value))

static void set_known(struct tide_meter *meter, enum tide_meter_row row, bool known, uint64_t value) {
  if (known) tide_meter_set(meter, row, TIDE_METER_PLAIN, (int64_t)value);
  else tide_meter_unset(meter, row, TIDE_METER_PLAIN);
}

void tide_meter_journal(struct tide_metered *told, struct tide_meter *meter, const struct tide_journal_health *health, uint64_t epoch) {
  set_known(meter, TIDE_METER_ROW_journal_replicas, health->replicas > 0, health->replicas);
  set_known(meter, TIDE_METER_ROW_journal_quorum, health->replicas > 0, health->quorum);
  set_known(meter, TIDE_METER_ROW_journal_replicas_online, health->replicas > 0 && health->known, health->online);
  SET(journal_wait_short_total, health->shorts);
  SET(journal_epoch, epoch);
  if (told->epoch && epoch != told->epoch) tide_meter_add(meter, TIDE_METER_ROW_journal_epoch_changes_total, TIDE_METER_PLAIN, 1);
  told->epoch = epoch;
}

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

/* A count of the fold's that is no part of its state may begin anew, with another fold: what the meter shows goes on. */
static void grow(struct tide_meter *meter, enum tide_meter_row row, uint32_t place, uint64_t before, uint64_t now) {
  uint64_t more = now >= before ? now - before : now;
  if (more) tide_meter_add(meter, row, (struct tide_meter_at){.a = place}, (int64_t)more);
}

/* What the fold knows of the cell's decisions: the same on every engine. */
static void meter_decisions(struct tide_metered *told, struct tide_meter *meter, const struct tide_fold *fold,
                            const struct tide_spec *spec) {
  const struct tide_stale_stats *now = tide_fold_stale_stats(fold), *was = &told->stale;
  grow(meter, TIDE_METER_ROW_judged_total, 0, was->judged, now->judged);
  grow(meter, TIDE_METER_ROW_stale_verdicts_total, 0, was->right, now->right);
  grow(meter, TIDE_METER_ROW_stale_verdicts_total, 1, was->wrong, now->wrong);
  grow(meter, TIDE_METER_ROW_stale_verdicts_total, 2, was->unknown, now->unknown);
  SET(stale_watched, now->watched);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    uint32_t at;
    if (tide_meters_place(tide_meter_all(meter), TIDE_AXIS_entity, spec->entity[e].name, &at))
      grow(meter, TIDE_METER_ROW_stale_reads_total, at, was->stale[e], now->stale[e]);
  }
  told->stale = *now;
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
