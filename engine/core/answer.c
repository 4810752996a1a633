/* One decision as one JSON object: the form of replay's output lines and of the answers of the server.
 *
 * Everything in it is a function of the fold's answer, so equal journals give equal bytes. Order of members is fixed. The deciding rule is
 * the first reason; the other true rules follow in file order; shadow rules and a bare `else` are no reasons. */
#include "core/answer.h"

#include "base/json_out.h"
#include "core/fold.h"
#include "feature/fields.h"
#include "feature/quoted.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static size_t position_text(struct tide_position position, uint32_t index, char out[TIDE_POSITION_TEXT]) {
  char *at = tide_digits(out, position.epoch);
  *at++ = '-';
  at = tide_digits(at, position.seq);
  *at++ = '.';
  at = tide_digits(at, index);
  *at = '\0';
  return (size_t)(at - out);
}

const char *tide_position_text(struct tide_position position, uint32_t index, char out[TIDE_POSITION_TEXT]) {
  position_text(position, index, out);
  return out;
}

static void decimal_text(int64_t num, int decimals, struct tide_buf *out) {
  uint64_t magnitude = num < 0 ? (uint64_t)0 - (uint64_t)num : (uint64_t)num;
  uint64_t unit = 1;
  for (int i = 0; i < decimals; i++) unit *= 10;
  char text[24];
  if (num < 0) tide_buf_char(out, '-');
  tide_buf_put(out, text, (size_t)(tide_digits(text, magnitude / unit) - text));
  if (decimals <= 0) return;
  uint64_t below = magnitude % unit;
  text[0] = '.';
  for (int i = decimals; i > 0; i--, below /= 10) text[i] = (char)('0' + below % 10);
  tide_buf_put(out, text, (size_t)decimals + 1);
}

void tide_datum_text(const struct tide_field *field, const struct tide_datum *datum, struct tide_buf *out) {
  char time[TIDE_TIME_TEXT];
  switch ((enum tide_datum_kind)datum->kind) {
    case TIDE_D_NONE: return;
    case TIDE_D_TEXT: tide_buf_put(out, datum->text.ptr, datum->text.len); return;
    case TIDE_D_KEY: tide_buf_printf(out, "%016" PRIx64 "%016" PRIx64, datum->key.hi, datum->key.lo); return;
    case TIDE_D_INT:
      if (field->type == TIDE_F_TIME) tide_buf_str(out, tide_time_format((struct tide_etime){datum->num}, time));
      else if (field->type == TIDE_F_BOOL) tide_buf_str(out, datum->num ? "true" : "false");
      else if (field->type == TIDE_F_MONEY) decimal_text(datum->num, datum->exponent, out);
      else decimal_text(datum->num, field->decimals, out);
      return;
  }
}

void tide_record_id(const struct tide_spec *spec, const struct tide_record *record, struct tide_buf *out) {
  for (uint32_t i = 0; i < spec->id_count; i++) {
    if (i > 0) tide_buf_char(out, '/');
    tide_datum_text(&spec->field[spec->id[i]], &record->field[spec->id[i]], out);
  }
}

void tide_value_json(const struct tide_value *value, struct tide_buf *out) {
  char text[24];
  switch ((enum tide_vtype)value->type) {
    case TIDE_V_NULL: tide_json_null(out); return;
    case TIDE_V_BOOL: tide_json_int(out, value->yes); return;
    case TIDE_V_NUM:
      if (isfinite(value->num)) tide_json_double(out, value->num);
      else tide_json_null(out);
      return;
    case TIDE_V_TEXT: {
      size_t len = tide_text_of_code(value->code, text);
      if (len > 0) {
        tide_json_str(out, (struct tide_span){text, len});
      } else { /* a long text is known by its hash only */
        snprintf(text, sizeof text, "#%016" PRIx64, value->code);
        tide_json_cstr(out, text);
      }
      return;
    }
  }
}

static void put_span(struct tide_span piece, struct tide_buf *out) { tide_json_piece(out, piece.ptr, piece.len); }

static void put_state(enum tide_vstate state, struct tide_buf *out) {
  static const struct tide_span word[] = {
#define X(name) TIDE_SPAN("\"" #name "\""),
      TIDE_VSTATES(X)
#undef X
  };
  put_span(word[state], out);
}

/* Names of derived values have no dot and those of features have one, so both fit one object. */
static void put_features(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  const struct tide_quoted *quoted = spec->quoted;
  TIDE_JSON_KEY(out, "features");
  tide_json_open(out, '{');
  if (answer->features_known) {
    for (uint32_t i = 0; i < spec->slot_count; i++) {
      put_span(quoted->slot[i], out);
      tide_value_json(&answer->slot[i], out);
    }
    for (uint32_t i = 0; i < spec->derived_count; i++) {
      put_span(quoted->derived[i], out);
      tide_value_json(&answer->derived[i], out);
    }
  }
  tide_json_close(out, '}');
  if (!answer->features_known) return;
  TIDE_JSON_NEXT(out, "states");
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < spec->slot_count; i++) {
    const struct tide_value *value = &answer->slot[i];
    if (value->state == TIDE_S_fresh) continue;
    put_span(quoted->slot[i], out);
    /* The cause only where it says more than the state. */
    if (value->cause == TIDE_C_none || strcmp(tide_cause_name(value->cause), tide_vstate_name(value->state)) == 0) {
      put_state(value->state, out);
    } else {
      char text[64];
      snprintf(text, sizeof text, "%s: %s", tide_vstate_name(value->state), tide_cause_name(value->cause));
      tide_json_cstr(out, text);
    }
  }
  tide_json_close(out, '}');
}

static void put_reason(const struct tide_answer *answer, const struct tide_rule *rule, const struct tide_env *env, struct tide_buf *out) {
  tide_json_open(out, '{');
  TIDE_JSON_KEY(out, "code");
  tide_json_cstr(out, rule->code);
  TIDE_JSON_NEXT(out, "text");
  size_t text = tide_json_text_begin(out);
  tide_policy_say(answer->spec, rule, env, out);
  tide_json_text_end(out, text);
  if (rule->first_slot != TIDE_NONE && answer->features_known) {
    TIDE_JSON_NEXT(out, "feature");
    tide_json_cstr(out, answer->spec->slot[rule->first_slot].name);
    TIDE_JSON_NEXT(out, "value");
    tide_value_json(&answer->slot[rule->first_slot], out);
  }
  tide_json_close(out, '}');
}

/* What raised the score, for a rule that reads it. */
static void put_score_reasons(const struct tide_answer *answer, struct tide_buf *out) {
  for (uint32_t i = 0; i < answer->score_detail->reason_count; i++) {
    const struct tide_score_reason *reason = &answer->score_detail->reason[i];
    const struct tide_model_input *input = &answer->model->input[reason->input];
    tide_json_open(out, '{');
    TIDE_JSON_KEY(out, "code");
    tide_json_cstr(out, input->code);
    TIDE_JSON_NEXT(out, "text");
    size_t text = tide_json_text_begin(out);
    tide_score_say(answer->model, answer->spec, reason, out);
    tide_json_text_end(out, text);
    TIDE_JSON_NEXT(out, "feature");
    tide_json_cstr(out, input->feature);
    TIDE_JSON_NEXT(out, "value");
    tide_value_json(&reason->value, out);
    tide_json_close(out, '}');
  }
}

static bool is_reason(const struct tide_rule *rule) { return !rule->shadow && (rule->when || rule->say_count > 0); }

/* A step of the fallback says so: "fallback model: M01". */
static void put_by(const struct tide_spec *spec, const struct tide_verdict *verdict, struct tide_buf *out) {
  if (verdict->by == TIDE_BY_NONE) {
    tide_json_null(out);
    return;
  }
  size_t text = tide_json_text_begin(out);
  if (verdict->by == TIDE_BY_FALLBACK_MODEL) tide_buf_str(out, "fallback model: ");
  tide_buf_str(out, tide_verdict_by(spec, verdict));
  tide_json_text_end(out, text);
}

static void put_reasons(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  const struct tide_verdict *verdict = &answer->verdict;
  /* A late event or a duplicate has no features: only texts over fields can be filled in. */
  bool full = answer->features_known;
  const struct tide_rule *fallback = verdict->by == TIDE_BY_FALLBACK ? &spec->fallback[verdict->rule] : NULL;
  bool by_rule = full && tide_verdict_is_rule(verdict);
  const struct tide_rule *decider = by_rule ? &spec->rule[verdict->rule] : NULL;
  uint64_t others = full && verdict->by != TIDE_BY_NONE ? verdict->yes : 0; /* true rules */
  if (by_rule) others &= ~(UINT64_C(1) << verdict->rule);
  TIDE_JSON_NEXT(out, "reasons");
  tide_json_open(out, '[');
  struct tide_value field[TIDE_FIELDS_MAX];
  struct tide_env own = {.field = field, .time = answer->time};
  const struct tide_env *env = answer->env;
  if (!env) {
    tide_fields_values(spec, answer->record->field, field);
    if (full) own.slot = answer->slot, own.derived = answer->derived;
    own.score = answer->score;
    env = &own;
  }
  if (fallback && is_reason(fallback)) put_reason(answer, fallback, env, out);
  if (decider && is_reason(decider)) {
    put_reason(answer, decider, env, out);
    if (answer->score_detail && tide_expr_reads(decider->when, TIDE_X_SCORE)) put_score_reasons(answer, out);
  }
  for (; others; others &= others - 1) {
    const struct tide_rule *rule = &spec->rule[__builtin_ctzll(others)];
    if (rule->when && is_reason(rule)) put_reason(answer, rule, env, out);
  }
  tide_json_close(out, ']');
}

/* The entity whose staleness made the cause: of the slot that is to blame, itself or through the score. TIDE_NONE: another cause, or not known any more. */
static uint32_t stale_entity(const struct tide_answer *answer) {
  uint32_t slot = answer->verdict.cause_slot;
  if (!answer->features_known || slot == TIDE_NONE || answer->slot[slot].cause != TIDE_C_stale || !answer->slot[slot].unknown)
    return TIDE_NONE;
  uint32_t entity = answer->spec->feature[answer->spec->slot[slot].feature].entity;
  return answer->standing[entity].state == TIDE_S_stale ? entity : TIDE_NONE;
}

/* A fact that is too old by itself, while its group is not behind. */
static void put_old_fact(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  uint32_t slot = answer->verdict.cause_slot;
  if (!answer->features_known || slot == TIDE_NONE || answer->slot[slot].cause != TIDE_C_stale) return;
  const struct tide_feature *feature = &spec->feature[spec->slot[slot].feature];
  char budget[TIDE_TIME_TEXT];
  if (feature->agg != TIDE_AGG_FACT || answer->standing[feature->entity].state == TIDE_S_stale) return;
  tide_buf_printf(out, " (what was told is older than %s, budget for facts of %s)",
                  tide_duration_format(spec->group[spec->entity[feature->entity].group].facts_ms, budget),
                  spec->entity[feature->entity].name);
}

static void put_cause(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_verdict *verdict = &answer->verdict;
  if (!tide_verdict_is_refusal(verdict) || verdict->cause == TIDE_C_none) return;
  TIDE_JSON_NEXT(out, "cause");
  tide_json_cstr(out, tide_cause_name(verdict->cause));
  TIDE_JSON_NEXT(out, "detail");
  size_t detail = tide_json_text_begin(out);
  uint32_t entity = stale_entity(answer);
  if (answer->late_ms) {
    char way[TIDE_TIME_TEXT], budget[TIDE_TIME_TEXT];
    const struct tide_spec *spec = answer->spec;
    tide_buf_printf(out,
                    "the decision took %s from its commit until it could be told, beyond the budget of %s %s; it stands in the journal",
                    tide_duration_format(answer->late_ms, way), spec->entity[answer->late_entity].name,
                    tide_duration_format(spec->group[spec->entity[answer->late_entity].group].budget_ms, budget));
  } else if (entity != TIDE_NONE && verdict->cause == TIDE_C_stale) { /* who is behind, and by how much too much */
    tide_standing_say(answer->spec, entity, &answer->standing[entity], answer->time.ms, out);
  } else {
    if (verdict->cause_slot != TIDE_NONE) tide_buf_printf(out, "%s: ", answer->spec->slot[verdict->cause_slot].name);
    tide_buf_str(out, tide_cause_text(verdict->cause));
    if (entity != TIDE_NONE) {
      tide_buf_str(out, " (");
      tide_standing_say(answer->spec, entity, &answer->standing[entity], answer->time.ms, out);
      tide_buf_char(out, ')');
    }
    put_old_fact(answer, out);
    if (verdict->blocked_by != UINT16_MAX)
      tide_buf_printf(out, "; rule %s could not be answered", answer->spec->rule[verdict->blocked_by].code);
  }
  if (verdict->by == TIDE_BY_FALLBACK_MODEL && answer->model) tide_buf_printf(out, "; scored by the fallback model %s", answer->model->id);
  tide_json_text_end(out, detail);
}

/* The least trustworthy thing that the values of one entity have in common with each other: one stale window makes the group stale. A group beyond its budget
 * is stale whatever its values say instead, unless all of them were replaced. `seen`: the states of its values, a bit each. */
static enum tide_vstate group_state(const struct tide_answer *answer, uint32_t entity, unsigned seen) {
  const struct tide_spec *spec = answer->spec;
  if (seen == 1u << TIDE_S_absent) return TIDE_S_absent;
  bool behind = answer->standing[entity].state == TIDE_S_stale;
  if (seen >> TIDE_S_stale & 1 || (behind && spec->group[spec->entity[entity].group].stale != TIDE_STALE_DEFAULT)) return TIDE_S_stale;
  if (answer->standing[entity].state == TIDE_S_waived) return TIDE_S_waived; /* said in every answer, whatever else there is to say */
  if (seen >> TIDE_S_warming & 1) return TIDE_S_warming;
  if (seen >> TIDE_S_defaulted & 1) return TIDE_S_defaulted;
  return TIDE_S_fresh; /* empty and saturated say something of a window, not of its freshness */
}

static void put_standing(const struct tide_answer *answer, uint32_t entity, struct tide_buf *out) {
  const struct tide_standing *standing = &answer->standing[entity];
  TIDE_JSON_NEXT(out, "age_ms");
  if (standing->age_ms == TIDE_AGE_UNKNOWN) tide_json_null(out);
  else tide_json_int(out, standing->age_ms);
  if (standing->has_facts) {
    TIDE_JSON_NEXT(out, "facts_age_ms");
    tide_json_int(out, standing->facts_age_ms);
  }
  if (answer->spec->group[answer->spec->entity[entity].group].consistency == TIDE_CONSISTENCY_EVENTUAL) {
    TIDE_JSON_NEXT(out, "consistency");
    TIDE_JSON_WORD(out, "eventual");
  }
  if (standing->state != TIDE_S_stale) return;
  TIDE_JSON_NEXT(out, "source");
  size_t text = tide_json_text_begin(out);
  tide_standing_source(standing, out);
  tide_json_text_end(out, text);
  TIDE_JSON_NEXT(out, "as_of");
  char time[TIDE_TIME_TEXT];
  bool known = standing->complete_ms >= TIDE_TIME_MIN_MS && standing->complete_ms <= TIDE_TIME_MAX_MS;
  if (known) tide_json_cstr(out, tide_time_format((struct tide_etime){standing->complete_ms}, time));
  else tide_json_null(out);
}

void tide_answer_states(const struct tide_answer *answer, struct tide_states *ret) {
  static const uint64_t one[] = {1, 1 << 8, 1 << 16, 1 << 24, UINT64_C(1) << 32, UINT64_C(1) << 40, UINT64_C(1) << 48, UINT64_C(1) << 56};
  _Static_assert(TIDE_S_COUNT <= sizeof one / sizeof one[0], "a byte for each state");
  const struct tide_quoted *quoted = answer->spec->quoted;
  memset(ret, 0, answer->spec->entity_count * sizeof *ret);
  for (uint32_t r = 0, i = 0; r < quoted->run_count; r++) {
    struct tide_states *states = &ret[quoted->run[r].entity];
    for (uint32_t end = quoted->run[r].end; i < end;) {
      const struct tide_value *value = &answer->slot[i], *stop = value + (end - i < 255 ? end - i : 255);
      uint64_t counts = 0;
      i += (uint32_t)(stop - value);
      for (; value < stop; value++) counts += one[value->state];
      while (counts) {
        unsigned state = (unsigned)__builtin_ctzll(counts) / 8;
        uint64_t mask = UINT64_C(0xff) << (state * 8);
        states->count[state] = (uint16_t)(states->count[state] + ((counts & mask) >> (state * 8)));
        states->seen |= 1u << state;
        counts &= ~mask;
      }
    }
  }
}

static void put_freshness(const struct tide_answer *answer, struct tide_buf *out) {
  TIDE_JSON_NEXT(out, "freshness");
  tide_json_open(out, '{');
  const struct tide_spec *spec = answer->spec;
  struct tide_states own[TIDE_ENTITIES_MAX];
  const struct tide_states *states = answer->states;
  if (!states && answer->features_known) tide_answer_states(answer, own), states = own;
  for (uint32_t e = 0; states && e < spec->entity_count; e++) {
    if (!states[e].seen) continue;
    put_span(spec->quoted->entity[e], out);
    put_state(group_state(answer, e, states[e].seen), out);
    put_standing(answer, e, out);
    tide_json_close(out, '}');
  }
  tide_json_close(out, '}');
}

/* What was judged beside the decision and had no part in it. */
static void put_shadows(const struct tide_answer *answer, struct tide_buf *out) {
  if (answer->shadow_count) {
    TIDE_JSON_NEXT(out, "shadow");
    tide_json_open(out, '[');
    for (uint32_t i = 0; i < answer->shadow_count; i++) {
      tide_json_open(out, '{');
      TIDE_JSON_KEY(out, "model");
      tide_json_cstr(out, answer->shadow[i].model->id);
      TIDE_JSON_NEXT(out, "score");
      tide_value_json(&answer->shadow[i].value, out);
      tide_json_close(out, '}');
    }
    tide_json_close(out, ']');
  }
  const struct tide_verdict *verdict = answer->shadow_verdict;
  if (!verdict) return;
  TIDE_JSON_NEXT(out, "shadow_policy");
  tide_json_open(out, '{');
  TIDE_JSON_KEY(out, "policy");
  tide_json_cstr(out, answer->shadow_policy->label);
  TIDE_JSON_NEXT(out, "decision");
  tide_json_cstr(out, answer->shadow_policy->spec->decision[verdict->decision]);
  TIDE_JSON_NEXT(out, "by");
  put_by(answer->shadow_policy->spec, verdict, out);
  TIDE_JSON_NEXT(out, "differs");
  tide_json_bool(out, verdict->decision != answer->verdict.decision);
  tide_json_close(out, '}');
}

static void put_id(const struct tide_answer *answer, struct tide_buf *out) {
  TIDE_JSON_KEY(out, "id");
  size_t text = tide_json_text_begin(out);
  tide_record_id(answer->spec, answer->record, out);
  tide_json_text_end(out, text);
}

/* Written where they stand: a copy of what was just written byte by byte waits for all of its bytes. Neither has anything to escape. */
static void put_position(struct tide_position position, uint32_t index, struct tide_buf *out) {
  tide_json_text_begin(out);
  tide_buf_reserve(out, TIDE_POSITION_TEXT + 1);
  out->len += position_text(position, index, out->ptr + out->len);
  tide_buf_char(out, '"');
}

static void put_time(struct tide_etime time, struct tide_buf *out) {
  tide_json_text_begin(out);
  tide_buf_reserve(out, TIDE_TIME_TEXT + 1);
  tide_time_format(time, out->ptr + out->len);
  out->len += TIDE_TIME_LEN;
  tide_buf_char(out, '"');
}

static void put_decision(const struct tide_answer *answer, unsigned flags, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  const struct tide_verdict *verdict = &answer->verdict;
  TIDE_JSON_NEXT(out, "status");
  if (answer->status == TIDE_STATUS_SCORED) TIDE_JSON_WORD(out, "scored");
  else TIDE_JSON_WORD(out, "refused");
  TIDE_JSON_NEXT(out, "decision");
  if (verdict->by == TIDE_BY_NONE) tide_json_null(out);
  else put_span(spec->quoted->decision[verdict->decision], out);
  TIDE_JSON_NEXT(out, "by");
  put_by(spec, verdict, out);
  TIDE_JSON_NEXT(out, "score");
  tide_value_json(&answer->score, out);
  put_cause(answer, out);
  if (!(flags & TIDE_ANSWER_NO_REASONS)) put_reasons(answer, out);
}

static void put_counted(const struct tide_answer *answer, struct tide_buf *out) {
  TIDE_JSON_NEXT(out, "counted");
  if (answer->maybe) TIDE_JSON_WORD(out, "maybe");
  else tide_json_bool(out, answer->counted);
  TIDE_JSON_NEXT(out, "duplicate");
  tide_json_bool(out, answer->duplicate);
  if (answer->duplicate) {
    TIDE_JSON_NEXT(out, "first_position");
    put_position(answer->first_position, answer->first_index, out);
  }
  if (answer->supersedes) {
    TIDE_JSON_NEXT(out, "supersedes");
    tide_json_bool(out, true);
  }
  if (answer->id_conflict) {
    TIDE_JSON_NEXT(out, "id_conflict");
    tide_json_bool(out, true);
  }
  if (answer->advised) {
    TIDE_JSON_NEXT(out, "advised");
    tide_json_bool(out, true);
  }
}

void tide_answer_json(const struct tide_answer *answer, unsigned flags, struct tide_buf *out) {
  tide_json_open(out, '{');
  if (!(flags & TIDE_ANSWER_VALUES)) {
    put_id(answer, out);
    if (!(flags & TIDE_ANSWER_RECEIPT)) put_decision(answer, flags, out);
    put_counted(answer, out);
  }
  TIDE_JSON_KEY(out, "position");
  if (answer->unplaced) tide_json_null(out);
  else put_position(answer->position, answer->index, out);
  TIDE_JSON_NEXT(out, "event_time");
  put_time(answer->time, out);
  if (flags & (TIDE_ANSWER_FEATURES | TIDE_ANSWER_VALUES)) put_features(answer, out);
  if (flags & TIDE_ANSWER_FEATURES) put_shadows(answer, out);
  if (flags & TIDE_ANSWER_FRESHNESS) put_freshness(answer, out);
  tide_json_close(out, '}');
}
