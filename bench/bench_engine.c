/* The running engine under many callers at once: what adaptive batches make of the commit path. In one process, without HTTP.
 *
 *   bench_engine [--quick] [--seconds S]      (starts its Redis with tests/support/with_redis.py and ends it)
 *
 * N callers, each with one transaction under way: when its answer comes it sends the next. A transaction is counted by four entities over ten minutes, as
 * in bench_redis, and its answer is released when its entry is durable and folded. The size of the batches is the engine's own choice: what came while
 * the last commit was under way goes into the next. One thread plays all callers and encodes their records, as the HTTP threads do.
 *
 * --quick: few transactions on each journal, and only how many were counted, which two runs must agree on. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "adapter/file.h"
#include "adapter/journal_redis.h"
#include "base/clock.h"
#include "base/num.h"
#include "run/engine.h"

enum { CARDS = 50000, LATENCIES_MAX = 8 << 20 };

static const char features[] =
    "tidemark: 1\nname: bench\nevent: {id: id, time: time, amount: amount in EUR}\ninputs:\n  default:\n    id: id\n"
    "    time: {at: time, as: epoch_ms}\n    amount: {at: amount}\n    kind: {at: kind, optional: true}\n    card: card\n    account: account\n"
    "    merchant: merchant\n    terminal: terminal\n"
    "entities: {card: card, account: account, merchant: merchant, terminal: terminal}\nfeatures:\n  card: {n: count over 10m}\n"
    "  account: {n: count over 10m}\n  merchant: {n: count over 10m}\n  terminal: {n: count over 10m}\n"
    "freshness: {default: {budget: 1h, warming: mark}}\npolicy:\n  decisions: [approve, decline]\n  rules:\n    - V1: decline when card.n_10m > 5\n"
    "    - else: approve\n  fallback:\n    - else: decline\n";

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "bench_engine: %s: %s\n", what, why);
  exit(4);
}

static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* ---- callers ---- */

struct bench {
  const struct tide_spec *spec;
  struct tide_engine *engine;
  struct tide_record *record;
  uint64_t next;
  uint32_t f_card, f_account, f_merchant, f_terminal, f_id;
  pthread_mutex_t lock;
  pthread_cond_t came;
  struct tide_offer *back; /* released, newest first */
  double *latency_ms;
  size_t latencies;
  uint64_t done, other;
};

static void on_release(void *ctx, struct tide_offer *offer) {
  struct bench *b = ctx;
  offer->folded = tide_mono_now(); /* whoever waits for it is told now */
  pthread_mutex_lock(&b->lock);
  bool first = !b->back;
  offer->next = b->back;
  b->back = offer;
  pthread_mutex_unlock(&b->lock);
  if (first) pthread_cond_signal(&b->came);
}

static void set(struct bench *b, uint32_t field, char text[24], const char *prefix, uint64_t n) {
  int len = snprintf(text, 24, "%s%llu", prefix, (unsigned long long)n);
  b->record->field[field] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = {text, (size_t)len}};
}

static void send_next(struct bench *b) {
  uint64_t n = b->next++, r = mix(n), s = mix(r), merchants = CARDS / 8;
  uint64_t merchant = (s % merchants) * ((s >> 32) % merchants) / merchants;
  char text[5][24];
  struct tide_record *record = b->record;
  record->type = TIDE_REC_EVENT;
  record->offset = n + 1;
  record->time.ms = tide_wall_now().ms;
  record->field[b->spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = record->time.ms};
  record->field[b->spec->f_amount] =
      (struct tide_datum){.kind = TIDE_D_INT, .num = (int64_t)(100 + (s >> 8) % 90000), .exponent = 2, .currency = "EUR"};
  set(b, b->f_id, text[0], "r", n);
  set(b, b->f_card, text[1], "c", r % CARDS);
  set(b, b->f_account, text[2], "a", r % CARDS / 2);
  set(b, b->f_merchant, text[3], "m", merchant);
  set(b, b->f_terminal, text[4], "t", merchant * 2 + (s >> 50) % 2);
  struct tide_offer *offer = tide_offer_new();
  enum tide_err err = tide_record_encode(b->spec, record, &offer->records);
  TIDE_CHECK(err == TIDE_OK);
  offer->record_count = 1;
  offer->offered = tide_mono_now();
  if (!tide_engine_offer(b->engine, offer)) die("offering", "the engine takes no more; it should take as many as there are callers");
}

/* All that came back since the last look; waits for one. */
static unsigned take_back(struct bench *b) {
  pthread_mutex_lock(&b->lock);
  while (!b->back) pthread_cond_wait(&b->came, &b->lock);
  struct tide_offer *offer = b->back;
  b->back = NULL;
  pthread_mutex_unlock(&b->lock);
  unsigned count = 0;
  for (struct tide_offer *next; offer; offer = next, count++) {
    next = offer->next;
    if (offer->end == TIDE_END_done) b->done++;
    else b->other++;
    if (b->latencies < LATENCIES_MAX) b->latency_ms[b->latencies++] = (double)(offer->folded.ns - offer->offered.ns) / 1e6;
    offer->next = NULL;
    tide_offer_free(offer);
  }
  return count;
}

struct result {
  double rate, p50_ms, p99_ms, p999_ms, batch;
  uint64_t counted;
};

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* `seconds` 0: exactly `txns` transactions. */
static struct result drive(struct bench *b, unsigned callers, double seconds, uint64_t txns) {
  uint64_t entries = tide_engine_status(b->engine).stats.entries_own, sent = 0;
  b->latencies = 0;
  b->done = b->other = 0;
  struct tide_mono begin = tide_mono_now();
  for (unsigned i = 0; i < callers && (seconds > 0 || sent < txns); i++, sent++) send_next(b);
  uint64_t open = sent;
  double took = 0;
  while (open > 0) {
    unsigned back = take_back(b);
    open -= back;
    took = (double)(tide_mono_now().ns - begin.ns) / 1e9;
    bool more = seconds > 0 && took < seconds;
    for (unsigned i = 0; i < back && (more || (seconds <= 0 && sent < txns)); i++, sent++, open++) send_next(b);
  }
  struct result result = {.rate = (double)b->done / took, .counted = b->done};
  (void)usleep(20000); /* the counters are at most a tick old */
  entries = tide_engine_status(b->engine).stats.entries_own - entries;
  if (b->other) die("the engine", "refused some; it was not overloaded and nothing was broken");
  result.batch = entries ? (double)b->done / (double)entries : 0;
  qsort(b->latency_ms, b->latencies, sizeof *b->latency_ms, by_value);
  result.p50_ms = b->latency_ms[b->latencies / 2];
  result.p99_ms = b->latency_ms[b->latencies * 99 / 100];
  result.p999_ms = b->latency_ms[b->latencies * 999 / 1000];
  return result;
}

/* ---- journals ---- */

static void on_journal(const char *name, struct tide_journal *journal, bool quick, double seconds) {
  static const unsigned callers[] = {1, 16, 256, 10000};
  struct tide_error error = {0};
  size_t errors = 0;
  struct tide_spec *spec;
  struct bench b = {.record = tide_alloc(sizeof *b.record), .latency_ms = tide_alloc(LATENCIES_MAX * sizeof *b.latency_ms)};
  if (tide_spec_parse("bench", tide_span_of(features), &spec, &error, 1, &errors) != TIDE_OK) die("the feature file", error.text);
  b.spec = spec;
  b.f_id = tide_spec_field(spec, "id");
  b.f_card = tide_spec_field(spec, "card");
  b.f_account = tide_spec_field(spec, "account");
  b.f_merchant = tide_spec_field(spec, "merchant");
  b.f_terminal = tide_spec_field(spec, "terminal");
  pthread_mutex_init(&b.lock, NULL);
  pthread_cond_init(&b.came, NULL);
  struct tide_engine_options options = {.core = {.engine_id = 1,
                                                 .settings = tide_settings_default(),
                                                 .features = tide_span_of(features),
                                                 .batch_records_max = 2048,
                                                 .queue_max = 20000,
                                                 .heartbeat_ms = 1000},
                                        .journal = journal,
                                        .release = on_release,
                                        .ctx = &b,
                                        .tick_ms = 5};
  if (getrandom(&options.core.seed, sizeof options.core.seed, 0) != sizeof options.core.seed) die("getrandom", "failed");
  b.engine = tide_engine_start(&options, tide_fold_new());
  if (!tide_engine_wait_open(b.engine, 20000)) die(name, tide_engine_status(b.engine).trouble.text);
  for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
    struct result r = drive(&b, callers[i], quick ? 0 : seconds, callers[i] < 256 ? 200 : 2000);
    if (quick) printf("%-8s %5u callers  %llu counted\n", name, callers[i], (unsigned long long)r.counted);
    else
      printf("%-8s %5u callers  %8.0f txn/s  p50 %7.3f  p99 %7.3f  p99.9 %7.3f ms  %6.1f in a batch\n", name, callers[i], r.rate, r.p50_ms,
             r.p99_ms, r.p999_ms, r.batch);
    fflush(stdout);
  }
  tide_engine_stop(b.engine);
  if (tide_engine_join(b.engine, &error) != TIDE_OK) die(name, error.text);
  tide_engine_free(b.engine);
  journal->ops->close(journal);
  pthread_mutex_destroy(&b.lock);
  pthread_cond_destroy(&b.came);
  tide_free(b.record);
  tide_free(b.latency_ms);
  tide_spec_free(spec);
}

static void on_file(bool quick, double seconds) {
  const char *root = getenv("TIDE_TMP");
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_journal *journal;
  tide_buf_printf(&text, "%s/bench-XXXXXX", root && root[0] ? root : "/tmp");
  char *dir = tide_buf_take(&text);
  if (!mkdtemp(dir)) die(dir, "cannot be made");
  struct tide_journal_file_options options = {.dir = dir, .create = true};
  if (tide_journal_file_open(&options, &journal, &error) != TIDE_OK) die(dir, error.text);
  on_journal("file", journal, quick, seconds);
  tide_buf_printf(&text, "rm -rf '%s'", dir);
  if (system(tide_buf_cstr(&text)) != 0) die(dir, "cannot be removed");
  tide_buf_release(&text);
  tide_free(dir);
}

/* With both replicas (q = N = 2), the form in which nothing acknowledged is lost by any failover. */
static void on_redis(bool quick, double seconds) {
  struct tide_redis_options options = {.cell = "default",
                                       .engine_id = 1,
                                       .replicas = 2,
                                       .quorum = 2,
                                       .wait_ms = 1000,
                                       .timeout_ms = 3000,
                                       .clock_skew_max_ms = 500,
                                       .memory_percent = 90};
  struct tide_error error = {0};
  struct tide_journal *journal;
  if (tide_redis_target_parse(getenv("TIDE_REDIS_RESTORE_URL"), &options.target, &error) != TIDE_OK)
    die("TIDE_REDIS_RESTORE_URL", error.text);
  if (tide_journal_redis_init(&options, &error) != TIDE_OK) die("making the journal", error.text);
  if (tide_redis_target_parse(getenv("TIDE_REDIS_URL"), &options.target, &error) != TIDE_OK) die("TIDE_REDIS_URL", error.text);
  if (tide_journal_redis_open(&options, &journal, &error) != TIDE_OK) die("opening the journal", error.text);
  on_journal("redis", journal, quick, seconds);
}

int main(int argc, char **argv) {
  bool quick = false;
  double seconds = 2;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0) quick = true;
    else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc && atof(argv[i + 1]) > 0) seconds = atof(argv[++i]);
    else {
      fprintf(stderr, "usage: bench_engine [--quick] [--seconds S]\n");
      return 2;
    }
  }
  if (!getenv("TIDE_REDIS_URL") || !getenv("TIDE_REDIS_RESTORE_URL")) {
    const char *tmp = getenv("TIDE_TMP");
    char *words[16] = {"python3", "tests/support/with_redis.py", tide_strdup(tmp && tmp[0] ? tmp : "/tmp"), "2", argv[0]};
    for (int i = 1; i < argc && i < 8; i++) words[4 + i] = argv[i];
    execvp(words[0], words);
    die("python3 tests/support/with_redis.py", "cannot be started");
  }
  on_journal("memory", tide_journal_memory_new(), quick, seconds);
  on_file(quick, seconds);
  on_redis(quick, seconds);
  return 0;
}
