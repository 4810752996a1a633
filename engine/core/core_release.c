/* The last check at release: was the answer still good when it left (core_state.h)?
 *
 * The gate is part of the fold and judges by what stands in the journal, so that every engine and every audit come to the same decision. One thing cannot stand there: how
 * long an entry took to be acknowledged. A store that hangs, an engine that was stopped and goes on, a copy that arrives late: the decision was good at its position and is
 * old when it could be told. So each score takes with it how long it may be on its way: the least, over the groups that its decision read and whose `stale:` refuses, of the
 * budget less the age at its position. Past that its caller gets the fallback, cause `stale`, counted as it is; the journal's decision stays (ruling F1).
 *
 * Two clocks measure the way, and the longer one counts: the monotonic clock knows nothing of a machine that slept, and the wall clock can be set back. */
#include "core/core_state.h"

#include "feature/reads.h"

static uint32_t read_by(const struct tide_answer *answer) {
  const struct tide_spec *spec = answer->spec;
  struct tide_reads reads = tide_decision_entities(spec, &answer->verdict);
  return reads.entities | (reads.score && answer->model ? tide_model_entities(answer->model, spec) : 0);
}

/* A key that is not in the message has features that are absent whatever the time. */
static bool has_values(const struct tide_answer *answer, uint32_t entity) {
  const struct tide_spec *spec = answer->spec;
  for (uint32_t s = 0; s < spec->slot_count; s++)
    if (spec->feature[spec->slot[s].feature].entity == entity && answer->slot[s].state != TIDE_S_absent) return true;
  return false;
}

/* Since its entry was written. */
static int64_t way_of(const struct tide_core *core, const struct tide_offer *offer) {
  int64_t mono_ms = (core->now.mono.ns - offer->begun.ns) / 1000000, wall_ms = core->now.wall.ms - offer->commit_ms;
  return mono_ms > wall_ms ? mono_ms : wall_ms;
}

/* How much of its budgets was left at its position: that of its sources, and that of the facts it read. What was beyond them there had no say: the decision was made in
 * spite of it. */
static int64_t left_of(const struct tide_answer *answer, uint32_t entity) {
  const struct tide_group *group = &answer->spec->group[answer->spec->entity[entity].group];
  const struct tide_standing *standing = &answer->standing[entity];
  if (group->stale == TIDE_STALE_MARK || group->stale == TIDE_STALE_DEFAULT) return INT64_MAX;
  int64_t left_ms = INT64_MAX, facts_ms = standing->has_facts ? group->facts_ms - standing->facts_age_ms : -1;
  if (standing->state != TIDE_S_stale) left_ms = group->budget_ms - (standing->age_ms == TIDE_AGE_UNKNOWN ? 0 : standing->age_ms);
  return facts_ms >= 0 && facts_ms < left_ms ? facts_ms : left_ms;
}

/* No group at all would have been too old by now: which of them were read need not be known, of an answer that leaves in this step. */
static bool is_in_time(const struct tide_core *core, const struct tide_offer *offer, const struct tide_answer *answer) {
  int64_t way_ms = way_of(core, offer);
  for (uint32_t e = 0; e < answer->spec->entity_count; e++)
    if (way_ms > left_of(answer, e)) return false;
  return !offer->log;
}

void tide_core_bound(const struct tide_core *core, struct tide_offer *offer, const struct tide_answer *answer) {
  offer->way_ms = INT64_MAX;
  offer->commit_ms = tide_fold_commit_ms(core->fold);
  offer->time = answer->time;
  if (!tide_verdict_is_rule(&answer->verdict) || !answer->features_known || (offer->answer_flags & TIDE_ANSWER_RECEIPT)) return;
  if (TIDE_LIKELY(is_in_time(core, offer, answer))) return;
  uint32_t entities = read_by(answer);
  for (uint32_t e = 0; entities >> e; e++) {
    int64_t left_ms = left_of(answer, e);
    if (!((entities >> e) & 1) || left_ms >= offer->way_ms || !has_values(answer, e)) continue;
    offer->way_ms = left_ms;
    offer->way_entity = e;
  }
}

struct late {
  struct tide_offer *offer;
  int64_t way_ms;
  bool counted;
};

/* The fallback's answer in the place of the decision that is not told: counted and placed as that is. */
static void put_late(void *ctx, const struct tide_answer *answer) {
  const struct late *late = ctx;
  struct tide_answer told = *answer;
  told.unplaced = false;
  told.position = late->offer->position;
  told.index = late->offer->index;
  told.time = late->offer->time;
  told.counted = late->counted;
  told.late_ms = late->way_ms;
  told.late_entity = late->offer->way_entity;
  tide_offer_tell(late->offer, &told);
}

enum tide_err tide_core_done(struct tide_core *core, struct tide_offer *offer, struct tide_error *error) {
  bool bound = offer->kind == TIDE_OFFER_COMMIT && offer->told.given;
  struct late late = {offer, bound ? way_of(core, offer) : 0, offer->told.counted};
  enum tide_err err = TIDE_OK;
  if (bound && late.way_ms > offer->way_ms) {
    uint32_t generation;
    TIDE_CHECK(tide_fold_generation_of(core->fold, offer->features, &generation)); /* it was folded under it */
    core->stats.late++;
    offer->late = true;
    offer->cause = TIDE_C_stale;
    offer->told = (struct tide_told){0};
    tide_buf_clear(&offer->answer);
    err = tide_fold_ask(core->fold, TIDE_ASK_REFUSE, generation, tide_buf_span(&offer->records), TIDE_C_stale, put_late, &late, error);
  }
  tide_core_drop(core, offer, TIDE_END_done);
  return err;
}
