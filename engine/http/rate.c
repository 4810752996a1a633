/* Token buckets as times (rate.h): taking one is a comparison and an addition.
 *
 * A slot that was never used, or whose time has passed, is a full bucket; so nothing is ever refilled and no thread looks after it. A debt is bounded to one hour,
 * or a single large batch against a small rate would lock its sender out for days. */
#include "http/rate.h"

#include "base/check.h"

#include <stddef.h>

enum { WAYS = 4 };
#define DEBT_MAX_NS (INT64_C(3600) * 1000000000)

void tide_rate_set(struct tide_rate *rate, int64_t per_s, int64_t burst) {
  TIDE_CHECK(per_s >= 0 && burst >= 0);
  rate->interval_ns = per_s > 0 ? INT64_C(1000000000) / per_s : 0;
  rate->burst_ns = rate->interval_ns * (burst > 0 ? burst : per_s);
}

/* The client's slot, or the one of its set that has the least to remember. */
static struct tide_rate_slot *slot_of(struct tide_rate *rate, uint64_t client, int64_t now_ns) {
  if (client == 0) client = 1;
  struct tide_rate_slot *set = &rate->slot[client % (TIDE_RATE_SLOTS / WAYS) * WAYS], *least = set;
  for (size_t i = 0; i < WAYS; i++) {
    if (set[i].client == client) return &set[i];
    if (set[i].client == 0 || set[i].ahead_ns < least->ahead_ns) least = &set[i];
    if (least->client == 0) break; /* slots are filled in order: what follows is free as well */
  }
  *least = (struct tide_rate_slot){client, now_ns};
  return least;
}

bool tide_rate_take(struct tide_rate *rate, uint64_t client, int64_t now_ns, int64_t *ret_wait_ns) {
  if (rate->interval_ns == 0) return true;
  struct tide_rate_slot *slot = slot_of(rate, client, now_ns);
  int64_t ahead_ns = slot->ahead_ns > now_ns ? slot->ahead_ns : now_ns;
  int64_t over_ns = ahead_ns + rate->interval_ns - (now_ns + rate->burst_ns);
  if (over_ns > 0) {
    *ret_wait_ns = over_ns;
    return false;
  }
  slot->ahead_ns = ahead_ns + rate->interval_ns;
  return true;
}

void tide_rate_charge(struct tide_rate *rate, uint64_t client, int64_t count, int64_t now_ns) {
  if (rate->interval_ns == 0 || count <= 0) return;
  struct tide_rate_slot *slot = slot_of(rate, client, now_ns);
  int64_t ahead_ns = slot->ahead_ns > now_ns ? slot->ahead_ns : now_ns;
  int64_t most = (DEBT_MAX_NS + rate->burst_ns) / rate->interval_ns;
  ahead_ns += rate->interval_ns * (count < most ? count : most);
  if (ahead_ns > now_ns + rate->burst_ns + DEBT_MAX_NS) ahead_ns = now_ns + rate->burst_ns + DEBT_MAX_NS;
  slot->ahead_ns = ahead_ns;
}
