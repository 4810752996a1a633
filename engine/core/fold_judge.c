/* Deciding: which model the card is routed to, what the shadows say, what the rules make of it, and what stands for it when features cannot be trusted (fold_state.h).
 *
 * Everything in force comes from the journal (versions.h), everything else from the event and the state at its position; so every engine, replay and audit decide
 * alike. What is judged for information only - shadow models, the shadow policy - reads what the decision reads and writes nothing that it reads. */
#include "core/fold_state.h"

static uint64_t route_code(const struct tide_fold *fold, const struct tide_txn *txn) {
  const struct tide_store *cards = &fold->state.store[0];
  if (cards->kind->has_code && txn->number[0] != TIDE_NO_ENTITY) return tide_store_code(cards, txn->number[0]);
  return tide_key_code(txn->key[0]); /* what its code will be */
}

static void derive(const struct tide_fold *fold, const struct tide_value *slot, struct tide_env *env) {
  const struct tide_spec *spec = fold->spec;
  env->slot = slot;
  env->derived = fold->derived;
  tide_policy_derive(spec, env, fold->derived);
}

static void score(struct tide_fold *fold, const struct tide_txn *txn, struct tide_env *env, struct tide_answer *answer) {
  const struct tide_router *router = &fold->versions.router;
  const struct tide_model *model = tide_route(router, txn->has_key[0], txn->has_key[0] ? route_code(fold, txn) : 0);
  if (!model) return;
  tide_model_score(model, fold->spec, env, &fold->score);
  env->score = fold->score.value;
  env->score_blame = fold->score.refused_slot == TIDE_NONE ? 0 : fold->score.refused_slot + 1;
  if (env->score.type == TIDE_V_NUM) answer->score = env->score;
  answer->model = model;
  answer->score_detail = &fold->score;
}

/* Entities whose groups are within their budgets: who asks is the fallback model, where there is one. */
static uint32_t trusted_entities(const struct tide_fold *fold) {
  const struct tide_spec *spec = fold->spec;
  uint32_t trusted = 0;
  for (uint32_t e = 0; fold->versions.router.fallback && e < spec->entity_count; e++)
    trusted |= (uint32_t)tide_standing_within(spec, e, &fold->standing[e]) << e;
  return trusted;
}

/* The fallback model's score; NULL where there is none to be had. `trusted`: the entities whose groups are within their budgets: it reads no others, whatever their
 * policy would let through. */
static const struct tide_score *fallback_score(struct tide_fold *fold, uint32_t trusted, const struct tide_env *env) {
  const struct tide_router *router = &fold->versions.router;
  if (!router->fallback || (router->fallback_entities & ~trusted)) return NULL;
  tide_model_score(router->fallback, fold->spec, env, &fold->fallback_score);
  return fold->fallback_score.value.type == TIDE_V_NUM ? &fold->fallback_score : NULL;
}

static void fall_back_on_model(struct tide_fold *fold, uint32_t trusted, struct tide_env *env, struct tide_answer *answer) {
  if (answer->verdict.by != TIDE_BY_FALLBACK) return;
  const struct tide_score *said = fallback_score(fold, trusted, env);
  if (!said || !tide_policy_decide_with(answer->spec, env, said->value, &answer->verdict)) return;
  env->score = answer->score = said->value; /* what the reasons speak of */
  env->score_blame = 0;
  answer->model = fold->versions.router.fallback;
  answer->score_detail = said;
}

static void shadow_models(struct tide_fold *fold, const struct tide_env *env, struct tide_answer *answer) {
  const struct tide_router *router = &fold->versions.router;
  for (uint32_t i = 0; i < router->shadows; i++) {
    struct tide_score said;
    tide_model_score(router->shadow[i], fold->spec, env, &said);
    fold->shadow[i] = (struct tide_shadow_score){router->shadow[i], said.value};
  }
  answer->shadow = fold->shadow;
  answer->shadow_count = router->shadows;
}

/* By the same steps and with the same scores as the policy in force: the two are compared, not their models. */
static void shadow_policy(struct tide_fold *fold, uint32_t trusted, const struct tide_env *env, struct tide_answer *answer) {
  const struct tide_policy_version *shadow = &fold->versions.shadow;
  if (!shadow->spec) return;
  tide_policy_decide(shadow->spec, env, &fold->shadow_verdict);
  const struct tide_score *said = fold->shadow_verdict.by == TIDE_BY_FALLBACK ? fallback_score(fold, trusted, env) : NULL;
  if (said) (void)tide_policy_decide_with(shadow->spec, env, said->value, &fold->shadow_verdict);
  answer->shadow_verdict = &fold->shadow_verdict;
  answer->shadow_policy = shadow;
}

void tide_fold_judge(struct tide_fold *fold, const struct tide_txn *txn, const struct tide_value *slot, struct tide_env *env,
                     struct tide_answer *answer) {
  const struct tide_spec *spec = fold->spec;
  derive(fold, slot, env);
  answer->standing = fold->standing;
  answer->features_known = true;
  answer->slot = slot;
  answer->derived = fold->derived;
  score(fold, txn, env, answer);
  tide_policy_decide(answer->spec, env, &answer->verdict);
  uint32_t trusted = trusted_entities(fold);
  shadow_models(fold, env, answer);
  shadow_policy(fold, trusted, env, answer); /* before the score may become another's */
  fall_back_on_model(fold, trusted, env, answer);
  env->rule = false;
  answer->status = tide_verdict_is_refusal(&answer->verdict) ? TIDE_STATUS_REFUSED : TIDE_STATUS_SCORED;
  for (uint32_t e = 0; e < spec->entity_count && answer->status == TIDE_STATUS_REFUSED; e++)
    answer->recompute |= fold->standing[e].state == TIDE_S_stale && spec->group[spec->entity[e].group].stale == TIDE_STALE_RECOMPUTE;
}

void tide_fold_refuse(struct tide_fold *fold, struct tide_env *env, enum tide_cause cause, struct tide_answer *answer) {
  answer->status = TIDE_STATUS_REFUSED;
  for (uint32_t s = 0; s < fold->spec->slot_count; s++) {
    fold->slot[s] = tide_null(TIDE_S_absent, cause);
    fold->slot[s].unknown = true;
  }
  derive(fold, fold->slot, env); /* fallback rules may read what is derived from the message alone */
  tide_policy_fallback(answer->spec, env, cause, &answer->verdict);
  fall_back_on_model(fold, 0, env, answer);
  env->rule = false;
}
