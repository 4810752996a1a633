/* A decision without the engine: where its inbox is full or it has ended, the fallback is run here, on the message alone (parts.h).
 *
 * Lists live in the state, which only the core's thread may read. So a fallback that asks a list is run twice, once as if nothing were listed and once as if
 * everything were, and the stricter of the two answers is given: not knowing never makes an answer milder. A fallback model is not asked here. */
#include "feature/fields.h"
#include "http/parts.h"

struct lists {
  bool listed, asked;
};

static bool in_list(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing) {
  (void)list, (void)operand;
  struct lists *lists = *(struct lists *const *)ctx;
  lists->asked = true;
  *ret_missing = false;
  return lists->listed;
}

static void decide(struct tide_http *http, const struct tide_record *record, struct tide_offer *offer, enum tide_offer_end end,
                   enum tide_cause cause) {
  const struct tide_spec *own = ((const struct tide_http_item *)offer->ctx)->spec;
  const struct tide_policy_version *policy = http->engine ? tide_engine_policy(http->engine) : NULL;
  if (policy && !tide_u128_eq(policy->features, own->hash)) policy = NULL; /* of another feature file: the record is not in its shape */
  const struct tide_spec *spec = policy ? policy->spec : own;
  struct tide_value field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT] = {{0}};
  struct lists lists = {0}, *ctx = &lists;
  tide_fields_values(spec, record->field, field);
  if (spec->f_amount != TIDE_NONE) dyn[TIDE_DYN_amount_now] = field[spec->f_amount];
  struct tide_env env = {.field = field, .dyn = dyn, .time = record->time, .in_list = in_list, .in_list_ctx = &ctx};
  env.score = tide_null(TIDE_S_absent, TIDE_C_score);
  env.score.unknown = true;
  struct tide_verdict verdict, other;
  tide_policy_fallback(spec, &env, cause, &verdict);
  if (lists.asked) {
    lists.listed = true;
    tide_policy_fallback(spec, &env, cause, &other);
    if (other.by == TIDE_BY_FALLBACK && other.decision > verdict.decision) verdict = other;
    env.in_list = NULL; /* a reason that names a list says "unknown" */
  }
  struct tide_answer answer = {.spec = spec,
                               .policy = policy,
                               .record = record,
                               .time = record->time,
                               .status = TIDE_STATUS_REFUSED,
                               .unplaced = true,
                               .maybe = end == TIDE_END_maybe,
                               .verdict = verdict,
                               .score = tide_null(TIDE_S_absent, TIDE_C_none)};
  tide_offer_tell(offer, &answer);
}

void tide_http_decide_locally(struct tide_http *http, struct tide_offer *offer, enum tide_offer_end end, enum tide_cause cause) {
  struct tide_span bytes = tide_buf_span(&offer->records);
  struct tide_raw_record raw;
  struct tide_record *record = tide_alloc(sizeof *record);
  offer->end = (uint8_t)end;
  offer->cause = (uint8_t)cause;
  enum tide_err err = tide_raw_take(&bytes, &raw, NULL);
  if (err == TIDE_OK) err = tide_record_decode(((const struct tide_http_item *)offer->ctx)->spec, &raw, record, NULL);
  TIDE_CHECK(err == TIDE_OK); /* this layer encoded it */
  if (record->flags & TIDE_REC_STAMPED) record->time.ms = tide_wall_now().ms;
  decide(http, record, offer, end, cause);
  tide_free(record);
}
