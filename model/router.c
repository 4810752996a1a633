/* Routing cards to models (router.h).
 *
 * The mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits in which each bit of the code moves half of the others, so that shares come out even
 * also for codes that are no good hashes. It is fixed for ever: another one would move every card. */
#include "model/router.h"

uint32_t tide_route_bucket(uint64_t code) {
  uint64_t x = code + UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (uint32_t)((x ^ (x >> 31)) % TIDE_BUCKETS);
}

int tide_route_canary(const struct tide_router *router, uint32_t bucket) {
  if (router->canary[0] && bucket < router->weight[0]) return 0;
  if (router->canary[1] && bucket >= TIDE_BUCKETS - (uint32_t)router->weight[1]) return 1;
  return -1;
}

const struct tide_model *tide_route(const struct tide_router *router, bool has_code, uint64_t code) {
  int canary = has_code ? tide_route_canary(router, tide_route_bucket(code)) : -1;
  return canary < 0 ? router->live : router->canary[canary];
}

/* `done`: derived values that were walked, so that each is walked once however often it is read. */
static uint32_t entities_of(const struct tide_spec *spec, const struct tide_expr *expr, bool done[TIDE_DERIVED_MAX]) {
  if (!expr) return 0;
  if (expr->op == TIDE_X_FEATURE) return UINT32_C(1) << spec->feature[spec->slot[expr->ref].feature].entity;
  if (expr->op == TIDE_X_DERIVED) {
    if (done[expr->ref]) return 0;
    done[expr->ref] = true;
    return entities_of(spec, spec->derived[expr->ref].expr, done);
  }
  return entities_of(spec, expr->a, done) | entities_of(spec, expr->b, done) | entities_of(spec, expr->c, done);
}

uint32_t tide_model_entities(const struct tide_model *model, const struct tide_spec *spec) {
  TIDE_CHECK(model->bound);
  bool done[TIDE_DERIVED_MAX] = {false};
  uint32_t entities = 0;
  for (uint32_t i = 0; i < model->input_count; i++) entities |= entities_of(spec, &model->input[i].leaf, done);
  return entities;
}
