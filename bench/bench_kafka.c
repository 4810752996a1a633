/* The Kafka adapters by themselves on a real broker: how fast letters leave, how fast messages come in, how long one takes from send to next.
 *
 *   bench_kafka [--quick]      (starts its broker with tests/support/with_kafka.py and ends it)
 *
 *   outlet   300-byte letters of 10,000 keys into a topic of 6 partitions, each reported as arrived (acks=all, idempotent)
 *   source   the same log read back from its begin: bytes, headers and times of every message looked at; the log is on the broker's disk, or in its page cache
 *   echo     letters at a fixed rate, read as they come: from the intended moment of sending to the moment at which `next` gave it (open loop)
 *
 * CPU is this process's own (librdkafka's threads included), in microseconds for each message. Broker and benchmark share the machine. --quick does a little of each and
 * prints hashes of what was read: two runs must print the same. Where there can be no broker it says so and ends well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "adapter/outlet_kafka.h"
#include "adapter/source_kafka.h"
#include "base/clock.h"
#include "base/hash.h"

enum { KEYS = 10000, VALUE_BYTES = 300, PLACES_MAX = 64, REPORTS = 1024 };

static struct tide_error error;
static _Noreturn void die(const char *what) {
  fprintf(stderr, "bench_kafka: %s: %s\n", what, error.text);
  exit(4);
}

static double cpu_s(void) {
  struct rusage use;
  (void)getrusage(RUSAGE_SELF, &use);
  return (double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}
static double since_s(struct tide_mono from) { return (double)(tide_mono_now().ns - from.ns) / 1e9; }

static size_t take_reports(struct tide_outlet *outlet, int wait_ms) {
  static struct tide_delivery delivery[REPORTS];
  size_t count = outlet->ops->reports(outlet, wait_ms, delivery, REPORTS);
  for (size_t i = 0; i < count; i++)
    if (delivery[i].err) {
      error = delivery[i].error;
      die("a letter did not arrive");
    }
  return count;
}

/* Hands a letter over; returns how many reports had to be taken for it. */
static size_t send_one(struct tide_outlet *outlet, uint64_t number, int64_t sent_ns) {
  char key[24], value[VALUE_BYTES + 1], sent[24];
  snprintf(key, sizeof key, "card%08llu", (unsigned long long)(number * UINT64_C(2654435761) % KEYS));
  int used = snprintf(value, sizeof value, "{\"number\":%llu,\"sent\":%lld,\"filler\":\"", (unsigned long long)number, (long long)sent_ns);
  memset(value + used, 'x', (size_t)(VALUE_BYTES - used));
  memcpy(value + VALUE_BYTES - 2, "\"}", 2);
  snprintf(sent, sizeof sent, "%lld", (long long)sent_ns);
  const struct tide_letter_header header[] = {{"traceparent", TIDE_SPAN("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}};
  struct tide_letter letter = {.kind = TIDE_LETTER_SCORE,
                               .key = tide_span_of(key),
                               .value = {value, VALUE_BYTES},
                               .header = header,
                               .header_count = 1,
                               .token = number};
  size_t reports = 0;
  enum tide_err err;
  while ((err = outlet->ops->send(outlet, &letter, &error)) == TIDE_E_AGAIN) reports += take_reports(outlet, 10);
  if (err) die("send");
  return reports;
}

static void row(const char *name, uint64_t count, double seconds, double cpu, const char *rest) {
  printf("%-8s %9llu messages  %9.0f /s  %6.2f us CPU  %s\n", name, (unsigned long long)count, (double)count / seconds,
         cpu * 1e6 / (double)count, rest);
}

static void bench_outlet(struct tide_outlet *outlet, uint64_t count, bool quick) {
  struct tide_mono from = tide_mono_now();
  double cpu = cpu_s();
  size_t reported = 0;
  for (uint64_t i = 0; i < count; i++) {
    reported += send_one(outlet, i, 0);
    if (i % 256 == 255) reported += take_reports(outlet, 0);
  }
  while (reported < count) reported += take_reports(outlet, 100);
  if (quick) printf("outlet %llu letters arrived\n", (unsigned long long)count);
  else row("outlet", count, since_s(from), cpu_s() - cpu, "");
}

static size_t seek_all(struct tide_source *source, uint64_t cursor[PLACES_MAX], bool end) {
  struct tide_place *place;
  size_t count;
  if (source->ops->places(source, &place, &count, &error)) die("places");
  if (end && source->ops->ends(source, place, count, &error)) die("ends");
  for (size_t i = 0; i < count && i < PLACES_MAX; i++) {
    cursor[i] = place[i].cursor;
    if (source->ops->seek(source, place[i].source, place[i].partition, place[i].cursor, &error)) die("seek");
  }
  tide_free(place);
  return count;
}

/* The next message; NULL ret on a poll without one. */
static bool next_data(struct tide_source *source, struct tide_message *ret) {
  enum tide_err err = source->ops->next(source, ret, &error);
  if (err && err != TIDE_E_END) die("next");
  if (!err && ret->kind == TIDE_MESSAGE_TROUBLE) {
    error = *ret->trouble;
    die("trouble");
  }
  return !err && ret->kind == TIDE_MESSAGE_DATA;
}

static void bench_source(struct tide_source *source, uint64_t count, bool quick) {
  uint64_t cursor[PLACES_MAX], hash = 0, seen = 0;
  (void)seek_all(source, cursor, false);
  struct tide_mono from = tide_mono_now(), first = from;
  double cpu = cpu_s();
  while (seen < count) {
    struct tide_message m;
    if (!next_data(source, &m)) continue;
    if (seen++ == 0) first = tide_mono_now();
    if (m.partition >= PLACES_MAX || m.offset != cursor[m.partition]++ || m.trace.len != 55) die("a message out of order");
    hash += tide_hash64(m.bytes.ptr, m.bytes.len, 1); /* the order between partitions is nobody's */
  }
  if (quick) {
    printf("source %llu messages hash %016llx\n", (unsigned long long)seen, (unsigned long long)hash);
    return;
  }
  char rest[64];
  snprintf(rest, sizeof rest, "first after %.0f ms", (double)(first.ns - from.ns) / 1e6);
  row("source", count, since_s(first), cpu_s() - cpu, rest);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void bench_echo(struct tide_outlet *outlet, struct tide_source *source, uint64_t rate, uint64_t count, bool quick) {
  uint64_t cursor[PLACES_MAX];
  (void)seek_all(source, cursor, true);
  struct tide_message m;
  struct tide_mono settle = tide_mono_now();
  while (since_s(settle) < (quick ? 0.2 : 1.5)) (void)next_data(source, &m);
  double *ms = tide_alloc(count * sizeof *ms), cpu = cpu_s();
  uint64_t sent = 0, seen = 0;
  struct tide_mono from = tide_mono_now();
  while (seen < count) {
    for (; sent < count && tide_mono_now().ns >= from.ns + (int64_t)(sent * 1000000000 / rate); sent++)
      (void)send_one(outlet, sent, from.ns + (int64_t)(sent * 1000000000 / rate));
    (void)take_reports(outlet, 0);
    while (next_data(source, &m)) {
      const char *at = memmem(m.bytes.ptr, m.bytes.len, "\"sent\":", 7);
      if (!at) die("a message without its time");
      ms[seen++] = (double)(tide_mono_now().ns - strtoll(at + 7, NULL, 10)) / 1e6;
      if (seen == count) break;
      if (sent < count && tide_mono_now().ns >= from.ns + (int64_t)(sent * 1000000000 / rate)) break;
    }
  }
  if (quick) {
    printf("echo %llu messages came back\n", (unsigned long long)seen);
  } else {
    qsort(ms, count, sizeof *ms, by_value);
    char rest[96];
    snprintf(rest, sizeof rest, "p50 %.2f  p99 %.2f  p99.9 %.2f ms", ms[count / 2], ms[count * 99 / 100], ms[count * 999 / 1000]);
    row("echo", count, since_s(from), cpu_s() - cpu, rest);
  }
  tide_free(ms);
}

int main(int argc, char **argv) {
  bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
  if (argc > 2 || (argc == 2 && !quick)) {
    fprintf(stderr, "usage: bench_kafka [--quick]\n");
    return 2;
  }
  const char *brokers = getenv("TIDE_KAFKA_BROKERS"), *missing = getenv("TIDE_KAFKA_MISSING");
  if (!brokers && !missing) {
    const char *tmp = getenv("TIDE_TMP");
    char *words[] = {"python3", "tests/support/with_kafka.py", tide_strdup(tmp && tmp[0] ? tmp : "/tmp"),
                     argv[0],   argc > 1 ? argv[1] : NULL,     NULL};
    execvp(words[0], words);
    fprintf(stderr, "bench_kafka: python3 tests/support/with_kafka.py cannot be started\n");
    return 4;
  }
  if (!brokers) {
    printf("no Kafka broker: %s\n", missing);
    return 0;
  }
  char topic[64];
  snprintf(topic, sizeof topic, "bench-%d", (int)getpid()); /* the broker makes it, with its num.partitions */
  const struct tide_kafka_setting setting[] = {{"bootstrap.servers", brokers}};
  struct tide_outlet_kafka_options out = {.topic = {topic, NULL, NULL}, .setting = setting, .setting_count = 1};
  struct tide_outlet *outlet;
  if (tide_outlet_kafka_open(&out, &outlet, &error)) die("outlet");
  const struct tide_kafka_topic in = {.source = 1, .topic = topic};
  struct tide_source_kafka_options options = {.topic = &in, .topic_count = 1, .setting = setting, .setting_count = 1, .poll_ms = 1};
  struct tide_source *source;
  if (send_one(outlet, 0, 0) || take_reports(outlet, 10000) != 1) die("the first letter");
  if (tide_source_kafka_open(&options, &source, &error)) die("source");
  uint64_t count = quick ? 20000 : 1000000;
  bench_outlet(outlet, count, quick);
  bench_source(source, count + 1, quick);
  if (quick) {
    bench_echo(outlet, source, 2000, 500, true);
  } else {
    bench_source(source, count + 1, false); /* again: from the page cache */
    bench_echo(outlet, source, 1000, 5000, false);
    bench_echo(outlet, source, 10000, 50000, false);
  }
  source->ops->close(source);
  outlet->ops->close(outlet);
  return 0;
}
