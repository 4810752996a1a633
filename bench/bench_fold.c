/* Fold, features and policy on one core, from entries in memory: transactions per second and what they cost in memory.
 *
 *   bench_fold [--quick | --only reference | shipped | minutes | hot | long | memory [CARDS]]
 *
 * Entries of 512 records are encoded in slices outside of the timed part. Rows that are compared run in turn, A B A B, and the median of each is
 * printed with the ratio of the medians. --quick does the same with small numbers and prints hashes only: two runs must print the
 * same. The hash is that of the decisions, so a change that changes it changed the meaning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "core/fold.h"
#include "feature/size.h"

enum { BATCH = 512, SLICE = 64, RUNS = 3 };

struct load {
  uint32_t cards, merchants;
  uint64_t warm, timed; /* events before and inside of the timed part */
  int64_t span_ms;      /* event time they cover */
  unsigned hot_pct;     /* share of traffic of one merchant */
};

static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static _Noreturn void fail(const char *what, const struct tide_error *error) {
  fprintf(stderr, "bench_fold: %s: line %d: %s\n", what, error->line, error->text);
  exit(4);
}

/* ---- feature files ---- */

/* Four entities; count, sum and distinct features over the given windows, `features` values in all. */
static char *make_file(unsigned features, const char *windows, unsigned window_count) {
  static const char *const entity[] = {"card", "merchant", "device", "ip"};
  static const char *const text[] = {"count over %s",
                                     "sum of amount over %s",
                                     "count over %s where country = NL",
                                     "max of amount over %s",
                                     "distinct of merchant over %s",
                                     "mean of amount over %s where entry = ecom",
                                     "distinct of country over %s",
                                     "count over %s where amount > 100"};
  struct tide_buf out = TIDE_BUF_INIT;
  tide_buf_str(&out, "tidemark: 1\nname: bench\nevent: {id: rrn, time: time, amount: amount in EUR, key: pan}\ninputs:\n  default:\n");
  tide_buf_str(
      &out,
      "    time: {at: time, as: epoch_ms}\n    rrn: rrn\n    amount: {at: amount}\n    pan: {at: pan}\n    kind: {at: kind, optional: true}\n");
  tide_buf_str(&out, "    merchant: merchant\n    country: country\n    entry: entry\n    device: {at: device, optional: true}\n");
  tide_buf_str(&out, "    ip: {at: ip, optional: true}\nentities: {card: pan, merchant: merchant, device: device, ip: ip}\nfeatures:\n");
  unsigned declared = (features + window_count - 1) / window_count;
  for (unsigned e = 0; e < 4; e++) {
    tide_buf_printf(&out, "  %s:\n", entity[e]);
    for (unsigned f = e; f < declared || f == e; f += 4) {
      char line[160];
      snprintf(line, sizeof line, text[(f / 4) % 8], windows);
      tide_buf_printf(&out, "    f%u: %s\n", f, line);
    }
  }
  tide_buf_str(&out, "freshness: {default: {warming: mark}}\npolicy:\n  decisions: [approve, decline]\n  rules:\n");
  tide_buf_printf(&out, "    - V1: decline when card.f0_%.*s > 5\n    - V2: decline when amount > 900\n    - else: approve\n",
                  (int)strcspn(windows, ","), windows);
  return tide_buf_take(&out);
}

static char *read_file(const char *path) {
  struct tide_buf out = TIDE_BUF_INIT;
  FILE *file = fopen(path, "rb");
  char bytes[4096];
  size_t n;
  if (!file) return NULL;
  while ((n = fread(bytes, 1, sizeof bytes, file)) > 0) tide_buf_put(&out, bytes, n);
  fclose(file);
  return tide_buf_take(&out);
}

/* ---- the stream ---- */

static struct tide_span word(char *at, const char *prefix, uint64_t n) {
  return (struct tide_span){at, (size_t)sprintf(at, "%s%08llu", prefix, (unsigned long long)n)};
}

static void set_text(const struct tide_spec *spec, struct tide_record *record, const char *name, struct tide_span text) {
  uint32_t f = tide_spec_field(spec, name);
  if (f == TIDE_NONE) return;
  struct tide_datum *datum = &record->field[f];
  if (spec->field[f].secret) *datum = (struct tide_datum){.kind = TIDE_D_KEY, .key = tide_hash128(text.ptr, text.len, 9)};
  else if (spec->field[f].type == TIDE_F_TEXT) *datum = (struct tide_datum){.kind = TIDE_D_TEXT, .text = text};
}

static void set_num(const struct tide_spec *spec, struct tide_record *record, const char *name, int64_t num) {
  uint32_t f = tide_spec_field(spec, name);
  if (f != TIDE_NONE) record->field[f] = (struct tide_datum){.kind = TIDE_D_INT, .num = num};
}

static int64_t event_time(const struct load *load, uint64_t n) {
  return INT64_C(1767225600000) + (int64_t)((double)n * ((double)load->span_ms / (double)(load->warm + load->timed)));
}

/* Event n: a function of n alone. 30 % e-commerce with device, ip and email; the rest at a terminal with a place. */
static void make_event(const struct tide_spec *spec, const struct load *load, uint64_t n, struct tide_record *record, char text[16][32]) {
  static const char *const countries[] = {"NL", "DE", "FR", "BE", "ES", "GB", "US", "IT"};
  uint64_t r = mix(n), s = mix(r);
  uint64_t card = r % load->cards, skew = (s % load->merchants) * ((s >> 32) % load->merchants) / load->merchants;
  uint64_t merchant = (s >> 20) % 100 < load->hot_pct ? 0 : skew;
  bool online = (r >> 40) % 10 < 3;
  int64_t time_ms = event_time(load, n);
  record->type = TIDE_REC_EVENT;
  record->offset = n + 1;
  record->time.ms = time_ms;
  record->key_id = 1;
  for (uint32_t f = 0; f < spec->field_count; f++) record->field[f].kind = TIDE_D_NONE;
  record->field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = time_ms};
  record->field[spec->f_amount] =
      (struct tide_datum){.kind = TIDE_D_INT, .num = (int64_t)(100 + (s >> 8) % 90000), .exponent = 2, .currency = "EUR"};
  set_text(spec, record, "rrn", word(text[0], "r", n));
  set_text(spec, record, "stan", word(text[1], "", n % 1000000));
  set_text(spec, record, "acquirer", word(text[2], "", merchant % 50));
  set_text(spec, record, "kind", TIDE_SPAN("auth"));
  set_text(spec, record, "pan", word(text[3], "9", card));
  set_text(spec, record, "account", word(text[4], "A", card / 2));
  set_text(spec, record, "merchant", word(text[5], "M", merchant));
  set_text(spec, record, "mcc", TIDE_SPAN("5411"));
  set_text(spec, record, "country", tide_span_of(countries[(s >> 16) % 8]));
  set_text(spec, record, "entry", online ? TIDE_SPAN("ecom") : TIDE_SPAN("chip"));
  set_text(spec, record, "direction", TIDE_SPAN("debit"));
  set_text(spec, record, "bin", word(text[6], "", card % 64));
  set_num(spec, record, "cnp", online);
  if (online) {
    set_text(spec, record, "device", word(text[7], "d", card));
    set_text(spec, record, "ip", word(text[8], "10.", card / 3));
    set_text(spec, record, "net", word(text[9], "10.", card / 64));
    set_text(spec, record, "email", word(text[10], "e", card));
    set_text(spec, record, "mail", word(text[10], "e", card));
  } else {
    set_text(spec, record, "terminal", word(text[11], "T", merchant * 4 + (s >> 50) % 4));
    set_num(spec, record, "lat", 520000 + (int64_t)(merchant % 1000));
    set_num(spec, record, "lon", 49000 + (int64_t)(merchant % 900));
  }
}

struct result {
  double per_s, cpu_us; /* processor time a transaction: says something on a machine that others use as well */
  uint64_t hash;
  struct tide_usage usage[TIDE_ENTITIES_MAX];
};

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Encodes entry after entry and folds them slice by slice; only the folding of the timed part is timed. */
static struct result run(const char *features, const struct load *load) {
  struct tide_error error = {0};
  size_t errors;
  struct tide_spec *spec;
  if (tide_spec_parse("bench", tide_span_of(features), &spec, &error, 1, &errors)) fail("feature file", &error);
  struct tide_settings settings = tide_settings_default();
  settings.replay = 1;
  struct tide_fold *fold = tide_fold_new();
  static struct tide_buf entry[SLICE];
  static struct tide_record record;
  struct tide_batch batch;
  struct tide_entry_header header = {.fence_nonce = 7};
  struct tide_fence fence = {.nonce = 7, .epoch = 1};
  tide_batch_begin(&batch, &entry[0], &header, NULL, 0);
  if (tide_batch_add_fence(&batch, &fence) || tide_batch_add_config(&batch, &settings, (struct tide_span){spec->text, spec->text_len}))
    fail("entry", &error);
  tide_batch_end(&batch);
  if (tide_fold_entry(fold, (struct tide_position){1, 0}, tide_buf_span(&entry[0]), NULL, NULL, &error)) fail("fold", &error);
  double seconds = 0, cpu_s = 0;
  uint64_t total = load->warm + load->timed, n = 0, seq = 1;
  char text[16][32];
  while (n < total) {
    unsigned entries = 0;
    bool timed = n >= load->warm;
    uint64_t end = timed ? total : load->warm; /* the timed part begins with a slice, also where all events fit into one */
    while (entries < SLICE && n < end) {
      header.commit_ms = event_time(load, n + BATCH < total ? n + BATCH - 1 : total - 1); /* in replay: the largest event time so far */
      tide_batch_begin(&batch, &entry[entries], &header, NULL, 0);
      for (unsigned i = 0; i < BATCH && n < total; i++, n++) {
        make_event(spec, load, n, &record, text);
        if (tide_batch_add(&batch, spec, &record)) fail("record", &error);
      }
      tide_batch_end(&batch);
      entries++;
    }
    struct tide_mono begin = tide_mono_now();
    double cpu_begin_s = cpu_seconds();
    for (unsigned i = 0; i < entries; i++)
      if (tide_fold_entry(fold, (struct tide_position){1, seq++}, tide_buf_span(&entry[i]), NULL, NULL, &error)) fail("fold", &error);
    if (timed) seconds += (double)(tide_mono_now().ns - begin.ns) / 1e9, cpu_s += cpu_seconds() - cpu_begin_s;
  }
  struct result result = {.per_s = (double)load->timed / seconds, .cpu_us = cpu_s / (double)load->timed * 1e6};
  for (uint32_t e = 0; e < spec->entity_count; e++) result.usage[e] = tide_fold_usage(fold, e);
  struct tide_digest digest = tide_fold_digest(fold);
  result.hash = digest.digest.lo ^ digest.state_hash;
  tide_fold_free(fold);
  tide_spec_free(spec);
  return result;
}

/* ---- the naive rival: all events of an entity, scanned for every feature ---- */

struct naive_log {
  struct {
    int64_t time_ms, amount;
    uint32_t merchant;
  } * event;
  uint32_t n, cap;
};

static struct result run_naive(const struct load *load, unsigned features) {
  static const int64_t windows[] = {60000, 600000, 3600000, 86400000, 604800000, 2592000000};
  struct naive_log *log[4];
  uint32_t sizes[4] = {load->cards, load->merchants, load->cards, load->cards};
  for (int e = 0; e < 4; e++) log[e] = tide_alloc(sizes[e] * sizeof **log);
  uint64_t total = load->warm + load->timed, hash = 0;
  struct tide_mono begin = tide_mono_now();
  for (uint64_t n = 0; n < total; n++) {
    if (n == load->warm) begin = tide_mono_now();
    uint64_t r = mix(n), s = mix(r);
    uint64_t merchant = (s % load->merchants) * ((s >> 32) % load->merchants) / load->merchants;
    uint64_t key[4] = {r % load->cards, merchant, r % load->cards, (r % load->cards) / 3};
    int64_t time_ms = (int64_t)((double)n * ((double)load->span_ms / (double)total));
    for (int e = 0; e < 4; e++) {
      if (e >= 2 && (r >> 40) % 10 >= 3) continue;
      struct naive_log *at = &log[e][key[e]];
      for (unsigned f = 0; n >= load->warm && f < features / 4; f++) {
        int64_t count = 0, sum = 0;
        for (uint32_t i = 0; i < at->n; i++) {
          if (at->event[i].time_ms <= time_ms - windows[f % 6]) continue;
          count++;
          sum += at->event[i].amount;
        }
        hash = mix(hash ^ (uint64_t)(count + sum));
      }
      if (at->n == at->cap) at->event = tide_realloc(at->event, (at->cap = at->cap ? at->cap * 2 : 4) * sizeof *at->event);
      at->event[at->n].time_ms = time_ms;
      at->event[at->n].merchant = (uint32_t)merchant;
      at->event[at->n++].amount = (int64_t)(100 + (s >> 8) % 90000);
    }
  }
  struct result result = {.per_s = (double)load->timed / ((double)(tide_mono_now().ns - begin.ns) / 1e9), .hash = hash};
  for (int e = 0; e < 4; e++) {
    for (uint32_t i = 0; i < sizes[e]; i++) tide_free(log[e][i].event);
    tide_free(log[e]);
  }
  return result;
}

/* ---- the table ---- */

static bool quick;

static double median(double *x) { /* of RUNS = 3 */
  double lo = x[0] < x[1] ? x[0] : x[1], hi = x[0] < x[1] ? x[1] : x[0];
  return x[2] < lo ? lo : x[2] > hi ? hi : x[2];
}

static void row(const char *name, double per_s, uint64_t hash, double ratio, const char *of) {
  if (quick) printf("%-58s %016llx\n", name, (unsigned long long)hash);
  else if (of) printf("%-58s %10.0f /s  %016llx  %5.2f x %s\n", name, per_s, (unsigned long long)hash, ratio, of);
  else printf("%-58s %10.0f /s  %016llx\n", name, per_s, (unsigned long long)hash);
  fflush(stdout);
}

static void pair(const char *name_a, const char *file_a, const struct load *a, const char *name_b, const char *file_b, const struct load *b,
                 const char *of) {
  double per_a[RUNS], per_b[RUNS];
  struct result result_a = {0}, result_b = {0};
  for (int i = 0; i < (quick ? 1 : RUNS); i++) {
    result_a = run(file_a, a);
    result_b = run(file_b, b);
    per_a[i] = result_a.per_s;
    per_b[i] = result_b.per_s;
  }
  double median_a = quick ? per_a[0] : median(per_a), median_b = quick ? per_b[0] : median(per_b);
  row(name_a, median_a, result_a.hash, 0, NULL);
  row(name_b, median_b, result_b.hash, median_b / median_a, of);
}

/* Short logs are scanned faster than they are kept exact and small; who has hundreds of events is where a rescan ends. */
static void naive_rows(const char *stream, const char *features, const struct load *load) {
  char name[2][80];
  snprintf(name[0], sizeof name[0], "the fold, 30 values, %s", stream);
  snprintf(name[1], sizeof name[1], "naive rescan of all events, %s", stream);
  struct result fold = run(features, load), naive = run_naive(load, 30);
  row(name[0], fold.per_s, fold.hash, 0, NULL);
  row(name[1], naive.per_s, naive.hash, naive.per_s / fold.per_s, "the fold");
}

/* What the stores ask the allocator for, beside what `tidemark size` says for the same population. */
static void memory(const char *features, bool quick_run) {
  struct load load = {.cards = 100000, .merchants = 5000, .warm = 500000, .timed = 500000, .span_ms = INT64_C(30) * 86400000};
  if (quick_run) load.cards = 1000, load.merchants = 50, load.warm = load.timed = 5000;
  struct tide_error error = {0};
  size_t errors;
  struct tide_spec *spec;
  struct tide_plan *plan;
  struct tide_settings settings = tide_settings_default();
  if (tide_spec_parse("bench", tide_span_of(features), &spec, &error, 1, &errors) || tide_plan_new(spec, &settings, &plan, &error))
    fail("feature file", &error);
  struct result result = run(features, &load);
  double measured = 0, predicted = 0, transactions = (double)(load.warm + load.timed);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    struct tide_population population = tide_size_assume(plan, e, load.cards, transactions / load.cards);
    population.entities = (double)result.usage[e].entities;
    population.share = strcmp(spec->entity[e].name, "account") == 0    ? 1
                       : strcmp(spec->entity[e].name, "terminal") == 0 ? 0.7
                                                                       : population.share; /* make_event */
    int64_t rows_ms = plan->kind[e].tile_ms ? plan->kind[e].raw_ms : plan->kind[e].keep_ms;
    double share_kept = rows_ms > load.span_ms ? (double)load.span_ms / (double)rows_ms : 1; /* no older ones yet */
    struct tide_kind_size size = tide_size_kind(plan, e, &population, transactions * share_kept);
    if (!quick_run)
      printf("memory: %-14s %9llu entities %8.1f MB measured %8.1f MB by tidemark size\n", spec->entity[e].name,
             (unsigned long long)result.usage[e].entities, (double)result.usage[e].bytes / 1e6, size.bytes / 1e6);
    measured += (double)result.usage[e].bytes;
    predicted += size.bytes;
  }
  if (quick_run) printf("%-58s %016llx\n", "memory", (unsigned long long)result.hash);
  else
    printf("memory: 100k cards x 10 in 30d: %.0f B a transaction, so %.2f GB per 1M cards x 10; tidemark size says %.2f times that\n",
           measured / transactions, measured / transactions * 1e7 / 1e9, predicted / measured);
  tide_plan_free(plan);
  tide_spec_free(spec);
}

/* A virtual machine gets pages that it has not used for a while from its host, each at several times the price of a page fault of its own. Who measures first would pay
 * for those behind it; so as much as the largest row takes is written once and given back. */
static void touch_memory(void) {
  size_t bytes = (size_t)1 << 30;
  char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return; /* the rows find out whether there is enough */
  memset(at, 1, bytes);
  munmap(at, bytes);
}

int main(int argc, char **argv) {
  quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
  uint32_t k = quick ? 100 : 1;
  if (!quick) touch_memory();
  struct load load = {
      .cards = 1000000 / k, .merchants = 50000 / k, .warm = 1500000 / k, .timed = 1000000 / k, .span_ms = INT64_C(30) * 86400000};
  struct load hot = load, one = load, ten = load;
  struct load longer = {
      .cards = quick ? 100 : 2000, .merchants = quick ? 100 : 2000, .warm = 1000000 / k, .timed = 50000 / k, .span_ms = load.span_ms};
  hot.hot_pct = 50;
  ten.cards = load.cards / 10;
  one.cards = load.cards;
  char *reference = make_file(30, "1m, 10m, 1h, 24h, 7d, 30d", 6), *minutes = make_file(30, "60s, 59s, 58s, 57s, 56s, 55s", 6);
  char *shipped = read_file("config/defaults/features.yaml");
  if (!shipped) {
    fprintf(stderr, "bench_fold: config/defaults/features.yaml is not here: run it from the top of the repository\n");
    return 4;
  }
  if (argc > 2 && strcmp(argv[1], "--only") == 0 && strcmp(argv[2], "memory") == 0) {
    memory(shipped, false);
    return 0;
  }
  if (argc > 2 && strcmp(argv[1], "--only") == 0) { /* one run of one row, for a profiler */
    if (strcmp(argv[2], "long") == 0) load = longer;
    if (argc > 3) { /* so many cards, with as many events each: an instruction count needs no million */
      uint32_t cards = (uint32_t)atoi(argv[3]);
      if (load.warm * cards / load.cards < BATCH) {
        fprintf(stderr, "%s cards are too few: their events fit into one entry, and nothing of it would be timed\n", argv[3]);
        return 2;
      }
      load.warm = load.warm * cards / load.cards, load.timed = load.timed * cards / load.cards;
      load.merchants = load.merchants == load.cards ? cards : cards / 20 + 1, load.cards = cards;
      hot.warm = load.warm, hot.timed = load.timed, hot.cards = load.cards, hot.merchants = load.merchants;
    }
    const char *file = strcmp(argv[2], "shipped") == 0 ? shipped : strcmp(argv[2], "minutes") == 0 ? minutes : reference;
    struct result only = run(file, strcmp(argv[2], "hot") == 0 ? &hot : &load);
    row(argv[2], only.per_s, only.hash, 0, NULL);
    printf("%-58s %10.2f us\n", "processor time a transaction", only.cpu_us);
    return 0;
  }
  pair("reference: 4 entities, 30 values, 1M cards", reference, &load, "shipped file, 1M cards", shipped, &load, "reference");
  pair("30 values over about 1m", minutes, &load, "30 values over 1m .. 30d", reference, &load, "1m only");
  pair("merchants by power law", reference, &load, "one merchant with half of all traffic", reference, &hot, "power law");
  pair("2.5 events a card", reference, &one, "25 events a card", reference, &ten, "2.5 events");
  char *ten_values = make_file(10, "1h, 24h", 2), *many = make_file(120, "1m, 10m, 1h, 24h, 7d, 30d", 6);
  pair("10 values", ten_values, &load, "120 values", many, &load, "10 values");
  struct load small = load;
  small.timed = load.timed / 20;
  naive_rows("1.5 events a card", reference, &small);
  naive_rows(quick ? "100 events a card" : "500 events a card", reference, &longer);
  memory(shipped, quick);
  tide_free(reference);
  tide_free(minutes);
  tide_free(ten_values);
  tide_free(many);
  tide_free(shipped);
  return 0;
}
