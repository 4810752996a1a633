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
