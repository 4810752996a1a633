/* Policies for what is staler than its budget (freshness.h).
 *
 * Order of judgement: what could not be trusted anyway (capacity, too_late, warming under `fallback`) keeps its cause, since freshness would not mend it. Then
 * the stale policy. A constant that `warming: default` put in the value's place does not get stale, and a count beyond its cap is beyond it whatever else
 * is on its way, so under `mark` it stays "more than N" (ruling 31 reads that from the state). */
#include "feature/freshness.h"

static bool is_text(const struct tide_spec *spec, uint32_t slot) { return spec->slot[slot].type == TIDE_V_TEXT; }

void tide_freshness_make_stale(const struct tide_spec *spec, const struct tide_group *group, uint32_t slot, struct tide_value *value) {
  if (value->unknown || value->state == TIDE_S_defaulted) return;
  switch ((enum tide_stale)group->stale) {
    case TIDE_STALE_DEFAULT:
      if (is_text(spec, slot)) break; /* a number is no default for a text */
      *value = tide_num(group->stale_default);
      value->state = TIDE_S_defaulted;
      value->cause = TIDE_C_stale;
      return;
    case TIDE_STALE_MARK:
      if (value->state == TIDE_S_saturated) return;
      value->state = TIDE_S_stale;
      if (value->type != TIDE_V_NULL) value->cause = TIDE_C_stale; /* what is null keeps its own cause: `is empty` asks for it */
      return;
    case TIDE_STALE_FALLBACK:
    case TIDE_STALE_RECOMPUTE: break;
  }
  value->state = TIDE_S_stale;
  value->cause = TIDE_C_stale;
  value->unknown = true;
}

void tide_freshness_apply(const struct tide_spec *spec, const struct tide_standing *standing, const bool *has_key,
                          struct tide_value *slot) {
  bool any = false;
  for (uint32_t e = 0; e < spec->entity_count; e++) any |= standing[e].state != TIDE_S_fresh;
  if (TIDE_LIKELY(!any)) return;
  for (uint32_t s = 0; s < spec->slot_count; s++) {
    uint32_t e = spec->feature[spec->slot[s].feature].entity;
    if (standing[e].state == TIDE_S_fresh || !has_key[e]) continue;
    if (standing[e].state == TIDE_S_stale) tide_freshness_make_stale(spec, &spec->group[spec->entity[e].group], s, &slot[s]);
    else if (slot[s].state == TIDE_S_fresh || slot[s].state == TIDE_S_empty) slot[s].state = TIDE_S_waived;
  }
}

bool tide_standing_within(const struct tide_spec *spec, uint32_t entity, const struct tide_standing *standing) {
  if (standing->state == TIDE_S_stale) return false;
  return !standing->has_facts || standing->facts_age_ms <= spec->group[spec->entity[entity].group].facts_ms;
}

void tide_standing_source(const struct tide_standing *standing, struct tide_buf *out) {
  tide_buf_str(out, standing->source ? standing->source : "nothing");
  if (standing->partition != TIDE_NONE) tide_buf_printf(out, "/%u", standing->partition);
}

void tide_standing_say(const struct tide_spec *spec, uint32_t entity, const struct tide_standing *standing, int64_t when_ms,
                       struct tide_buf *out) {
  char time[TIDE_TIME_TEXT], when[TIDE_TIME_TEXT], budget[TIDE_TIME_TEXT];
  tide_standing_source(standing, out);
  if (standing->undeclared) tide_buf_str(out, " is no source of this cell");
  else if (standing->partition == TIDE_NONE) tide_buf_str(out, " has no partition that is known yet");
  else if (standing->complete_ms < TIDE_TIME_MIN_MS || standing->complete_ms > TIDE_TIME_MAX_MS)
    tide_buf_str(out, " is not known to be complete at any time");
  else {
    tide_time_format((struct tide_etime){standing->complete_ms}, time); /* 2026-11-21T09:58:51.000Z */
    bool same_day = when_ms >= TIDE_TIME_MIN_MS && when_ms <= TIDE_TIME_MAX_MS &&
                    memcmp(time, tide_time_format((struct tide_etime){when_ms}, when), 10) == 0;
    tide_buf_printf(out, " complete as of %.*s%s%.8s", same_day ? 0 : 10, time, same_day ? "" : " ", time + 11);
  }
  tide_buf_printf(out, ", budget of %s %s", spec->entity[entity].name,
                  tide_duration_format(spec->group[spec->entity[entity].group].budget_ms, budget));
}
