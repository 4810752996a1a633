/* The merge of partitions by event time, one thread: messages per second that go in and come out in order, for 1 to 1000 partitions.
 *
 *   bench_merge [--quick]
 *
 * backlog: partitions are read in chunks of 100 as a client's fetches give them, each up to 200 messages ahead, and everything is put
 * that may be before anything is taken. live: one message at a time of a random partition, taken at once, with the ends of all logs told
 * every 150 messages (a millisecond's round trip at 150,000/s). Event times are the log's own with some milliseconds of disorder; each
 * message has a delay, so the facts are computed as in production. The hash is that of the order and the parts; the order of a backlog
 * is checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/merge.h"

enum { CHUNK = 100, AHEAD = 200, ROUND_TRIP = 150 };

static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

struct run {
  struct tide_merge *merge;
  uint32_t partitions;
  uint64_t *put; /* messages put per partition */
  struct tide_place *end;
  int64_t begin_ms, now_ms;
  uint64_t taken, parts, hash;
  int64_t last_ms;
  bool sorted;
};

static void drop(void *ctx) { (void)ctx; }

static struct tide_mono mono_of(const struct run *run) { return (struct tide_mono){run->now_ms * 1000000}; }

static void put(struct run *run, uint32_t p, int64_t time_ms) {
  struct tide_merge_item item = {.source = (uint16_t)(1 + p / 100), .partition = (uint16_t)(p % 100), .offset = run->put[p], .ctx = run};
  item.next = ++run->put[p];
  item.time_ms = time_ms;
  item.append_ms = time_ms + 5 + (int64_t)(mix(item.offset) % 40);
  item.checksum = item.next;
  tide_merge_put(run->merge, &item, mono_of(run));
}

static void take(struct run *run) {
  struct tide_merge_item item;
  struct tide_cursor_part part;
  while (tide_merge_take(run->merge, (struct tide_wall){run->now_ms}, mono_of(run), &item, &part)) {
    run->hash = mix(run->hash ^ part.next ^ (uint64_t)part.partition << 32 ^ (uint64_t)part.source << 48 ^ (uint64_t)part.seen ^
                    (uint64_t)part.delay << 20);
    run->parts += item.ctx == NULL;
    if (!item.ctx) continue;
    run->taken++;
    run->sorted &= item.time_ms >= run->last_ms;
    run->last_ms = item.time_ms;
  }
}

static void ask(struct run *run, struct tide_merge_ask *question, bool *ret_asked, bool answer) {
  if (!*ret_asked && tide_merge_ask(run->merge, (struct tide_wall){run->now_ms}, mono_of(run), question)) {
    for (uint32_t p = 0; p < run->partitions; p++) run->end[p].cursor = run->put[p];
    *ret_asked = true;
  }
  if (!*ret_asked || !answer) return;
  tide_merge_ends(run->merge, question, run->end, run->partitions, mono_of(run));
  *ret_asked = false;
}

static void backlog(struct run *run, uint64_t messages) {
  uint64_t each = messages / run->partitions, seed = 1;
  struct tide_merge_ask question;
  bool asked = tide_merge_ask(run->merge, (struct tide_wall){run->now_ms}, mono_of(run), &question);
  for (uint32_t p = 0; p < run->partitions; p++) run->end[p].cursor = each;
  ask(run, &question, &asked, true);
  while (run->taken < each * run->partitions) {
    for (uint32_t p = 0; p < run->partitions; p++) {
      if (tide_merge_held_of(run->merge, run->end[p].source, run->end[p].partition) > AHEAD - CHUNK) continue;
      for (int i = 0; i < CHUNK && run->put[p] < each; i++)
        put(run, p, run->begin_ms + (int64_t)(run->put[p] * 3 + (seed = mix(seed)) % 3));
    }
    run->now_ms++;
    take(run);
    for (uint32_t p = 0; p < run->partitions; p++) run->end[p].cursor = each;
    if (!asked) asked = tide_merge_ask(run->merge, (struct tide_wall){run->now_ms}, mono_of(run), &question);
    if (asked) tide_merge_ends(run->merge, &question, run->end, run->partitions, mono_of(run));
    asked = false;
  }
}

static void live(struct run *run, uint64_t messages) {
  struct tide_merge_ask question;
  bool asked = false;
  uint64_t seed = 2;
  for (uint64_t i = 0; i < messages; i++) {
    run->now_ms = run->begin_ms + (int64_t)(i / ROUND_TRIP);
    put(run, (uint32_t)((seed = mix(seed)) % run->partitions), run->now_ms);
    take(run);
    ask(run, &question, &asked, i % ROUND_TRIP == ROUND_TRIP - 1);
  }
  while (run->taken < messages) {
    run->now_ms++;
    ask(run, &question, &asked, true);
    take(run);
  }
}

static void measure(const char *name, void (*body)(struct run *, uint64_t), uint32_t partitions, uint64_t messages, bool quick) {
  struct tide_merge_options options = {.merge_wait_ms = 500, .catch_wait_ms = 10000, .facts_every_ms = 200};
  struct run run = {.merge = tide_merge_new(&options),
                    .partitions = partitions,
                    .begin_ms = INT64_C(1767225600000),
                    .last_ms = INT64_MIN,
                    .sorted = true};
  bool *gates = tide_alloc(partitions * sizeof *gates);
  run.put = tide_alloc(partitions * sizeof *run.put);
  run.end = tide_alloc(partitions * sizeof *run.end);
  run.now_ms = run.begin_ms + (body == backlog ? 90 * 60 * 1000 + (int64_t)(messages / partitions) * 3 : 0);
  for (uint32_t p = 0; p < partitions; p++) {
    run.end[p] = (struct tide_place){(uint16_t)(1 + p / 100), (uint16_t)(p % 100), 0};
    gates[p] = true;
  }
  tide_merge_begin(run.merge, run.end, gates, partitions, mono_of(&run), drop);
  int64_t begin_ns = tide_mono_now().ns;
  body(&run, messages);
  int64_t took_ns = tide_mono_now().ns - begin_ns;
  printf("%-8s %5u partitions", name, partitions);
  if (!quick) printf(" %11.0f messages/s %6.0f ns each", (double)run.taken / ((double)took_ns / 1e9), (double)took_ns / (double)run.taken);
  printf(" %8llu parts without one%s hash %016llx\n", (unsigned long long)run.parts, run.sorted ? "" : ", not sorted",
         (unsigned long long)run.hash);
  if (!run.sorted && body == backlog) exit(1);
  tide_merge_free(run.merge, drop);
  tide_free(gates);
  tide_free(run.put);
  tide_free(run.end);
}

int main(int argc, char **argv) {
  static const uint32_t partitions[] = {1, 12, 200, 1000};
  bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
  uint64_t messages = quick ? 20000 : 2000000;
  for (int i = 0; i < 4; i++) measure("backlog", backlog, partitions[i], messages, quick);
  for (int i = 0; i < 4; i++) measure("live", live, partitions[i], messages, quick);
  return 0;
}
