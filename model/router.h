/* Which model scores a card: sticky, by the card alone, in shares of 1/10000.
 *
 *   bucket = mix(code) mod 10000        code: 63 bits of the primary entity's first key hash (feature/entity.h), which stays with it while secret keys rotate
 *   first canary: buckets [0, w1)       second canary: buckets [10000 - w2, 10000)       live model: what lies between
 *
 * Each canary grows from an end of its own, so raising or lowering the weight of one moves cards between it and the live model only and never touches the other's. For
 * three canaries there is no such rule that looks at the card and the weights alone (README.md, ruling M11), hence two. */
#ifndef TIDE_ROUTER_H
#define TIDE_ROUTER_H

#include "model/artifact.h"

#define TIDE_BUCKETS 10000
#define TIDE_CANARIES_MAX 2
#define TIDE_SHADOWS_MAX 16

/* Models in force, all bound to the same feature file; borrowed. */
struct tide_router {
  const struct tide_model *live; /* NULL: none scores */
  const struct tide_model *canary[TIDE_CANARIES_MAX]; /* NULL: none */
  uint16_t weight[TIDE_CANARIES_MAX];                 /* of the canaries, in 1/10000; together at most TIDE_BUCKETS */
  const struct tide_model *shadow[TIDE_SHADOWS_MAX];
  uint32_t shadows;
  const struct tide_model *fallback; /* NULL: none */
  uint32_t fallback_entities;        /* tide_model_entities of it */
};

/* The share of the cards that a card with this code belongs to: 0..TIDE_BUCKETS - 1. */
uint32_t tide_route_bucket(uint64_t code);
/* The canary that has this bucket: 0 or 1; -1: none has. */
int tide_route_canary(const struct tide_router *router, uint32_t bucket);
/* The model that scores the card; a message without a primary key (has_code false) is the live model's. NULL: no model scores. */
const struct tide_model *tide_route(const struct tide_router *router, bool has_code, uint64_t code);

#endif
