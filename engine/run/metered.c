/* Metering what the journal and the fold know besides their own counters (metered.h).
 *
 * Counts that are no part of the fold's state may begin anew with another fold or another policy. A counter on the page must not fall, so what is added is
 * what they grew by since the last look. */
#include "run/metered.h"

static void set_known(struct tide_meter *meter, enum tide_meter_row row, bool known, uint64_t value) {
  if (known) tide_meter_set(meter, row, TIDE_METER_PLAIN, (int64_t)value);
  else tide_meter_unset(meter, row, TIDE_METER_PLAIN);
}

void tide_metered_journal(struct tide_metered *metered, struct tide_meter *meter, const struct tide_journal_health *health,
                          uint64_t epoch) {
  set_known(meter, TIDE_METER_ROW_journal_replicas, health->replicas > 0, health->replicas);
  set_known(meter, TIDE_METER_ROW_journal_quorum, health->replicas > 0, health->quorum);
  set_known(meter, TIDE_METER_ROW_journal_replicas_online, health->replicas > 0 && health->known, health->online);
  tide_meter_set(meter, TIDE_METER_ROW_journal_wait_short_total, TIDE_METER_PLAIN, (int64_t)health->shorts);
  tide_meter_set(meter, TIDE_METER_ROW_journal_epoch, TIDE_METER_PLAIN, (int64_t)epoch);
  if (metered->epoch && epoch != metered->epoch) tide_meter_add(meter, TIDE_METER_ROW_journal_epoch_changes_total, TIDE_METER_PLAIN, 1);
  metered->epoch = epoch;
}

/* By the rules' codes, so totals go on where another policy keeps a rule; the fold counts from zero under each. */
static void meter_rules(struct tide_metered *metered, struct tide_meter *meter, const struct tide_fold *fold) {
  const struct tide_policy_version *policy = tide_versions_policy(tide_fold_versions(fold));
  const uint64_t *hits = tide_fold_rule_hits(fold);
  for (uint32_t r = 0; r < policy->spec->rule_count; r++) {
    uint64_t before = metered->hits_of == policy->number && hits[r] >= metered->hits[r] ? metered->hits[r] : 0;
    uint32_t place = 0; /* "(other)" */
    metered->hits[r] = hits[r];
    if (hits[r] == before) continue;
    (void)tide_meters_place(tide_meter_all(meter), TIDE_AXIS_rule, policy->spec->rule[r].code, &place);
    tide_meter_add(meter, TIDE_METER_ROW_rule_hits_total, (struct tide_meter_at){.a = place}, (int64_t)(hits[r] - before));
  }
  metered->hits_of = policy->number;
}

/* A count of the fold's that is no part of its state may begin anew, with another fold: what the meter shows goes on. */
static void grow(struct tide_meter *meter, enum tide_meter_row row, uint32_t place, uint64_t before, uint64_t now) {
  uint64_t more = now >= before ? now - before : now;
  if (more) tide_meter_add(meter, row, (struct tide_meter_at){.a = place}, (int64_t)more);
}

/* What the fold knows of the cell's decisions: the same on every engine. */
void tide_metered_decisions(struct tide_metered *metered, struct tide_meter *meter, const struct tide_fold *fold) {
  const struct tide_spec *spec = tide_fold_spec(fold);
  const struct tide_stale_stats *now = tide_fold_stale_stats(fold), *before = &metered->stale;
  grow(meter, TIDE_METER_ROW_judged_total, 0, before->judged, now->judged);
  grow(meter, TIDE_METER_ROW_stale_verdicts_total, 0, before->right, now->right);
  grow(meter, TIDE_METER_ROW_stale_verdicts_total, 1, before->wrong, now->wrong);
  grow(meter, TIDE_METER_ROW_stale_verdicts_total, 2, before->unknown, now->unknown);
  for (uint32_t e = 0; e < spec->entity_count; e++) grow(meter, TIDE_METER_ROW_stale_reads_total, e, before->stale[e], now->stale[e]);
  tide_meter_set(meter, TIDE_METER_ROW_stale_watched, TIDE_METER_PLAIN, now->watched);
  metered->stale = *now;
  meter_rules(metered, meter, fold);
}
