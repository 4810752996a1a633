/* The estimator of merge_delay.h. Invariant after each call: `all` is the sum of the slices, `above` counts what lies beyond `cut`, and
 * `cut` is the smallest bucket with `above` not more than allowed: so each message moves the cut by a few buckets, where a quantile from
 * scratch would walk over all of them. */
#include "core/merge_delay.h"

/* Bucket 0 is a delay of 0, 1..8 are those milliseconds, then (9 + sub) << octave is the upper edge of the eight buckets of (8 <<
 * octave, 16 << octave]. */
static uint32_t bucket_of(int64_t delay_ms) {
  if (delay_ms <= 8) return delay_ms > 0 ? (uint32_t)delay_ms : 0;
  uint64_t w = (uint64_t)delay_ms - 1;
  unsigned octave = 63u - (unsigned)__builtin_clzll(w) - 3u;
  uint32_t bucket = 9 + octave * 8 + (uint32_t)((w >> octave) & 7);
  return bucket < TIDE_DELAY_BUCKETS - 1 ? bucket : TIDE_DELAY_BUCKETS - 1;
}

static int64_t edge_of(uint32_t bucket) {
  if (bucket <= 8) return bucket;
  if (bucket == TIDE_DELAY_BUCKETS - 1) return TIDE_DELAY_BEYOND_MS;
  return (int64_t)(9 + (bucket - 9) % 8) << ((bucket - 9) / 8);
}

int64_t tide_delay_edge_ms(int64_t delay_ms) { return edge_of(bucket_of(delay_ms)); }

int64_t tide_delay_ms(const struct tide_delay *delay) { return edge_of(delay->cut); }

static uint32_t slot_of(int64_t second) {
  int64_t rest = second % TIDE_DELAY_SLICES;
  return (uint32_t)(rest < 0 ? rest + TIDE_DELAY_SLICES : rest);
}

static int64_t second_of(int64_t ms) { return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000); }

static void move_cut(struct tide_delay *delay) {
  uint64_t whole = delay->count - delay->in_slice[slot_of(delay->now_s - TIDE_DELAY_SECONDS)];
  uint64_t allowed = whole / 100 > 2 ? whole / 100 : 2;
  while (delay->above > allowed) delay->above -= delay->all[++delay->cut];
  while (delay->cut > 0 && delay->above + delay->all[delay->cut] <= allowed) delay->above += delay->all[delay->cut--];
}

static void forget(struct tide_delay *delay, uint32_t slot) {
  uint32_t *slice = delay->slice[slot];
  if (!slice) return;
  for (uint32_t b = 0; b < TIDE_DELAY_BUCKETS; b++) {
    delay->all[b] -= slice[b];
    if (b > delay->cut) delay->above -= slice[b];
  }
  delay->count -= delay->in_slice[slot];
  delay->in_slice[slot] = 0;
  delay->slice[slot] = NULL;
  tide_free(slice);
}

void tide_delay_advance(struct tide_delay *delay, int64_t log_ms) {
  int64_t second = second_of(log_ms);
  if (!delay->begun) {
    delay->begun = true;
    delay->now_s = second;
  }
  if (second <= delay->now_s) return;
  int64_t steps = second - delay->now_s < TIDE_DELAY_SLICES ? second - delay->now_s : TIDE_DELAY_SLICES;
  delay->now_s = second;
  for (int64_t i = 0; i < steps; i++) forget(delay, slot_of(second - i)); /* where the new seconds stand, the ones that are out stood */
  if (delay->all) move_cut(delay);
}

void tide_delay_add(struct tide_delay *delay, int64_t log_ms, int64_t delay_ms) {
  tide_delay_advance(delay, log_ms);
  uint32_t slot = slot_of(delay->now_s), bucket = bucket_of(delay_ms);
  if (!delay->all) delay->all = tide_alloc(TIDE_DELAY_BUCKETS * sizeof *delay->all);
  if (!delay->slice[slot]) delay->slice[slot] = tide_alloc(TIDE_DELAY_BUCKETS * sizeof *delay->slice[slot]);
  delay->slice[slot][bucket]++;
  delay->in_slice[slot]++;
  delay->all[bucket]++;
  delay->count++;
  if (bucket > delay->cut) delay->above++;
  move_cut(delay);
}

void tide_delay_release(struct tide_delay *delay) {
  for (uint32_t i = 0; i < TIDE_DELAY_SLICES; i++) tide_free(delay->slice[i]);
  tide_free(delay->all);
  *delay = (struct tide_delay){0};
}
