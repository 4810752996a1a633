/* The generated log: the same bytes for the same options, every line decodable under the shipped feature file, every option's effect there
 * in about the share that was asked for. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/decode.h"
#include "adapter/file.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "cli/generate.h"

#define GOLDEN_JSON UINT64_C(0x7b234fa096531221)
#define GOLDEN_WITHOUT_LISTS UINT64_C(0x90fa3ee69ab32083)
#define GOLDEN_CSV UINT64_C(0x05509bd1911984db)
#define FEATURES "config/defaults/features.yaml"

static char dir[] = "/tmp/tidemark-generate-XXXXXX";
static struct tide_spec *spec;

/* One log in memory, its lines as spans. */
struct log {
  struct tide_buf text;
  struct tide_span *line;
  size_t count;
  struct tide_generate_counts counts;
};

static char *path_of(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static void run(struct tide_generate_options options, const char *name, struct log *log) {
  *log = (struct log){0};
  options.output = path_of(name);
  options.counts = &log->counts;
  struct tide_error error = {0};
  enum tide_err err = tide_generate(&options, &error);
  if (err) fail_msg("%s", error.text);
  const char *path = options.output;
  struct tide_source *source;
  assert_int_equal(tide_source_file_open(&path, 1, 0, &source, &error), TIDE_OK);
  assert_int_equal(source->ops->seek(source, 0, 0, 0, &error), TIDE_OK);
  struct tide_message message;
  size_t cap = 0;
  while ((err = source->ops->next(source, &message, &error)) == TIDE_OK && message.kind == TIDE_MESSAGE_DATA) {
    tide_buf_put(&log->text, message.bytes.ptr, message.bytes.len);
    tide_buf_char(&log->text, '\n');
    if (log->count == cap) log->line = tide_realloc(log->line, (cap = cap ? cap * 2 : 1024) * sizeof *log->line);
    log->line[log->count++].len = message.bytes.len;
  }
  assert_int_equal(err, TIDE_OK);
  assert_int_equal(message.kind, TIDE_MESSAGE_END);
  source->ops->close(source);
  const char *p = log->text.ptr;
  for (size_t i = 0; i < log->count; i++) {
    log->line[i].ptr = p;
    p += log->line[i].len + 1;
  }
  unlink(path);
}

static void release(struct log *log) {
  tide_buf_release(&log->text);
  tide_free(log->line);
}

static uint64_t hash_of(const struct log *log) { return tide_hash64(log->text.ptr, log->text.len, 0); }
static bool has(struct tide_span line, const char *what) { return memmem(line.ptr, line.len, what, strlen(what)) != NULL; }

/* The text behind `key` up to a quote, comma or brace: enough for lines of our own making. */
static struct tide_span after(struct tide_span line, const char *key) {
  const char *p = memmem(line.ptr, line.len, key, strlen(key));
  if (!p) return (struct tide_span){"", 0};
  p += strlen(key);
  size_t n = 0;
  while (p + n < line.ptr + line.len && !strchr("\",}", p[n])) n++;
  return (struct tide_span){p, n};
}

static size_t count(const struct log *log, const char *what) {
  size_t n = 0;
  for (size_t i = 0; i < log->count; i++) n += has(log->line[i], what);
  return n;
}

static int64_t time_of(struct tide_span line) {
  struct tide_etime t;
  assert_int_equal(tide_time_parse(after(line, "\"at\":\""), TIDE_TIME_RFC3339, &t), TIDE_OK);
  return t.ms;
}

static struct tide_generate_options small(void) {
  struct tide_generate_options o = tide_generate_default();
  o.transactions = 20000;
  o.days = 30;
  return o;
}

static struct tide_generate_options everything(void) {
  struct tide_generate_options o = small();
  o.transactions = 3000;
  o.seed = 42;
  o.currencies = 8;
  o.out_of_order_pct = 5;
  o.late_pct = 1;
  o.duplicates_pct = 3;
  o.reused_ids_pct = 3;
  o.hot_merchant_pct = 20;
  o.bad_pct = 3;
  return o;
}

#define AUTH "\"type\":\"auth\""
#define SHARE(n, of, pct_lo, pct_hi) assert_in_range((n)*10000 / (of), (pct_lo)*100, (pct_hi)*100)

/* --- tests */

static void test_same_bytes_everywhere(void **state) {
  (void)state;
  struct log a, b;
  run(everything(), "a.jsonl", &a);
  run(everything(), "b.jsonl", &b);
  assert_true(a.text.len == b.text.len && memcmp(a.text.ptr, b.text.ptr, a.text.len) == 0);
  /* The golden value: it changes only with the model, and then on purpose. */
  if (hash_of(&a) != GOLDEN_JSON) fail_msg("JSON: 0x%016llx", (unsigned long long)hash_of(&a));
  release(&b);
  struct tide_generate_options o = everything();
  o.csv = true;
  o.outcomes = TIDE_GENERATE_ROW;
  run(o, "b.csv", &b);
  if (hash_of(&b) != GOLDEN_CSV) fail_msg("CSV: 0x%016llx", (unsigned long long)hash_of(&b));
  release(&b);
  o = everything();
  o.seed = 43;
  run(o, "b.jsonl", &b);
  assert_true(hash_of(&b) != hash_of(&a));
  release(&a);
  release(&b);
}

/* Lists have a stream of chance of their own: without their lines the log is what it was before there were any. */
static void test_lists_change_no_purchase(void **state) {
  (void)state;
  struct log log;
  struct tide_buf rest = TIDE_BUF_INIT;
  run(everything(), "a.jsonl", &log);
  for (size_t i = 0; i < log.count; i++)
    if (!has(log.line[i], "\"type\":\"list\"")) tide_buf_put(&rest, log.line[i].ptr, log.line[i].len + 1);
  uint64_t hash = tide_hash64(rest.ptr, rest.len, 0);
  if (hash != GOLDEN_WITHOUT_LISTS) fail_msg("0x%016llx", (unsigned long long)hash);
  tide_buf_release(&rest);
  release(&log);
}

/* What an entry says is never taken back by one that was not there: each removal follows its entry, each expiry lies ahead. */
static void test_lists(void **state) {
  (void)state;
  struct log log;
  run(small(), "n.jsonl", &log);
  size_t cards = 0, ips = 0, merchants = 0, expiring = 0, removals = 0;
  for (size_t i = 0; i < log.count; i++) {
    struct tide_span line = log.line[i];
    if (!has(line, "\"type\":\"list\"")) continue;
    cards += has(line, "\"list\":\"blocked_cards\",\"card\":{\"number\":");
    ips += has(line, "\"list\":\"blocked_ips\",\"ip\":\"");
    merchants += has(line, "\"list\":\"trusted_merchants\",\"merchant\":{\"id\":");
    if (has(line, "\"expires\"")) {
      struct tide_etime t;
      assert_int_equal(tide_time_parse(after(line, "\"expires\":\""), TIDE_TIME_RFC3339, &t), TIDE_OK);
      assert_true(t.ms > time_of(line));
      expiring++;
    }
    if (!has(line, "\"remove\":true")) continue;
    removals++;
    const char *what = memmem(line.ptr, line.len, "\"list\"", 6);
    what = memmem(what + 6, (size_t)(line.ptr + line.len - what) - 6, "\"list\"", 6);
    size_t len = (size_t)((const char *)memmem(line.ptr, line.len, ",\"remove\"", 9) - what);
    bool entered = false;
    for (size_t k = 0; k < i && !entered; k++)
      entered = memmem(log.line[k].ptr, log.line[k].len, what, len) && !has(log.line[k], "\"remove\"");
    assert_true(entered);
  }
  assert_int_equal(cards + ips + merchants, log.counts.lists);
  assert_true(cards >= 10 && ips >= 1 && merchants == 5 && expiring >= 5 && removals >= 2);
  release(&log);
}

static void test_exactly_as_many_transactions_as_asked(void **state) {
  (void)state;
  const int64_t wanted[] = {1, 2, 17, 500, 20000};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    struct tide_generate_options o = small();
    struct log log;
    o.transactions = wanted[i];
    run(o, "n.jsonl", &log);
    assert_int_equal(count(&log, AUTH), wanted[i]);
    assert_int_equal(log.counts.auths, wanted[i]);
    assert_int_equal(log.counts.lines, log.count);
    release(&log);
  }
}

static void test_span_and_order(void **state) {
  (void)state;
  struct log log;
  struct tide_generate_options o = small();
  o.start_ms = INT64_C(1700000000000);
  run(o, "n.jsonl", &log);
  int64_t last = 0;
  for (size_t i = 0; i < log.count; i++) {
    assert_true(time_of(log.line[i]) >= last);
    last = time_of(log.line[i]);
  }
  assert_true(log.counts.first_ms >= o.start_ms && log.counts.first_ms < o.start_ms + 86400000);
  int64_t span = log.counts.last_ms - o.start_ms;
  assert_in_range(span, INT64_C(86400000) * 29, INT64_C(86400000) * 31);
  release(&log);
}

static void test_profiles_change_no_purchase(void **state) {
  (void)state;
  struct log with, without;
  struct tide_generate_options o = small();
  o.cards = 300;
  run(o, "n.jsonl", &without);
  o.profiles = true;
  run(o, "p.jsonl", &with);
  size_t k = 0, told = 0, first = 0;
  for (size_t i = 0; i < with.count; i++) {
    if (!has(with.line[i], "\"type\":\"profile\"")) {
      assert_true(k < without.count && tide_span_eq(with.line[i], without.line[k]));
      k++;
      continue;
    }
    told++;
    if (told == i + 1) first++; /* they begin the log */
    double limit = strtod(after(with.line[i], "\"limit\":{\"value\":").ptr, NULL);
    assert_true(limit >= 600 && has(with.line[i], "\"opened\":\"") && after(with.line[i], "\"segment\":\"").len >= 4);
  }
  assert_int_equal(k, without.count);
  assert_int_equal(first, 300);
  assert_true(told > 300 && told == with.counts.profiles); /* new numbers and limits */
  assert_int_equal(without.counts.profiles, 0);
  release(&with);
  release(&without);
  struct tide_error error = {0};
  o.csv = true;
  o.output = path_of("p.csv");
  assert_int_equal(tide_generate(&o, &error), TIDE_E_USAGE);
  assert_string_equal(error.field, "profiles");
}

/* Every line of the log decodes under the shipped file, and every malformed one does not. */
static void decode_all(struct tide_generate_options o, const char *shape) {
  struct log log;
  run(o, o.csv ? "d.csv" : "d.jsonl", &log);
  struct tide_secret_key key = {.bytes = {1}};
  tide_secret_key_seal(&key);
  struct tide_decode_options options = {.spec = spec, .key = &key, .shape = shape, .format = o.csv ? TIDE_FORMAT_CSV : TIDE_FORMAT_JSON};
  struct tide_decoder *decoder;
  struct tide_error error = {0};
  assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
  size_t rejected = 0, kinds[20] = {0}, same_row = 0;
  if (o.csv && tide_decode_header(decoder, log.line[0], &error)) fail_msg("%s", error.text);
  for (size_t i = o.csv; i < log.count; i++) {
    struct tide_record record[2];
    int n = 0;
    enum tide_err err = tide_decode(decoder, log.line[i], record, &n, &error);
    rejected += err != TIDE_OK;
    if (err && o.bad_pct <= 0) fail_msg("line %zu: %s: %s\n%.*s", i + 1, error.field, error.text, TIDE_SPAN_FMT(log.line[i]));
    if (!err) kinds[record[0].type]++;
    same_row += !err && n == 2;
  }
  assert_int_equal(rejected, log.counts.bad);
  assert_int_equal(kinds[TIDE_REC_OUTCOME], log.counts.outcomes + log.counts.labels);
  assert_int_equal(kinds[TIDE_REC_RATE], log.counts.rates);
  assert_int_equal(kinds[TIDE_REC_LIST], log.counts.lists);
  assert_int_equal(kinds[TIDE_REC_EVENT], log.counts.auths + log.counts.duplicates + log.counts.others);
  assert_int_equal(same_row, o.outcomes == TIDE_GENERATE_ROW ? log.counts.auths + log.counts.duplicates : 0);
  tide_decoder_free(decoder);
  release(&log);
}

static void test_every_line_decodes(void **state) {
  (void)state;
  for (int csv = 0; csv < 2; csv++) {
    for (int outcomes = 0; outcomes < 3; outcomes++) {
      struct tide_generate_options o = everything();
      o.csv = csv;
      o.outcomes = (enum tide_generate_outcomes)outcomes;
      o.bad_pct = 0;
      decode_all(o, csv ? "history" : NULL);
    }
  }
}

static void test_every_malformed_line_is_rejected(void **state) {
  (void)state;
  struct tide_generate_options o = everything();
  o.bad_pct = 40; /* each of the sorts, on lines of all looks */
  decode_all(o, NULL);
  o.csv = true;
  decode_all(o, "history");
}

static void test_compressed_by_ending(void **state) {
  (void)state;
  struct log plain, packed;
  run(small(), "n.jsonl", &plain);
  const char *const name[] = {"n.jsonl.gz", "n.jsonl.zst"};
  for (int i = 0; i < 2; i++) {
    struct tide_generate_options o = small();
    run(o, name[i], &packed);
    assert_true(hash_of(&packed) == hash_of(&plain));
    release(&packed);
    o.output = path_of(name[i]);
    assert_int_equal(tide_generate(&o, NULL), TIDE_OK);
    FILE *file = fopen(o.output, "rb");
    assert_int_equal(fgetc(file), i ? 0x28 : 0x1f); /* magic numbers of zstd and gzip */
    fseek(file, 0, SEEK_END);
    assert_true((size_t)ftell(file) * 4 < plain.text.len);
    fclose(file);
    unlink(o.output);
  }
  release(&plain);
}

static void test_fraud_is_a_percent_and_is_labelled_late(void **state) {
  (void)state;
  struct log log;
  struct tide_generate_options o = small();
  o.transactions = 60000;
  o.days = 60;
  run(o, "n.jsonl", &log);
  assert_in_range(log.counts.fraud * 10000 / log.counts.auths, 50, 150);
  size_t frauds = count(&log, "\"label\":\"fraud\""), genuine = count(&log, "\"label\":\"genuine\"");
  SHARE(frauds, log.counts.fraud, 70, 98);
  assert_true(genuine > 50 && frauds + genuine == log.counts.labels);
  /* Chargebacks name an authorization of 3 to 30 days before. The id stands at the same place of both lines. */
  size_t disputes = 0, found = 0;
  for (size_t i = 0; i < log.count; i++) {
    if (!has(log.line[i], "\"label\":\"fraud\",\"disputed\":true")) continue;
    if (++disputes > 40) break;
    struct tide_span rrn = after(log.line[i], "\"rrn\":\"");
    for (size_t k = 0; k < i; k++) {
      if (!has(log.line[k], AUTH) || !tide_span_eq(after(log.line[k], "\"rrn\":\""), rrn)) continue;
      int64_t wait = time_of(log.line[i]) - time_of(log.line[k]);
      assert_in_range(wait, INT64_C(3) * 86400000, INT64_C(30) * 86400000);
      found++;
    }
  }
  assert_true(disputes > 20 && found >= disputes - 1);
  /* Each campaign left its mark. */
  assert_true(count(&log, "\"response_code\":\"14\"") > 60);
  assert_true(count(&log, "\"entry\":\"swipe\"") > 60);
  assert_true(count(&log, "\"type\":\"card_add\"") > 10);
  release(&log);
  o.labels = false;
  run(o, "n.jsonl", &log);
  assert_int_equal(count(&log, "\"type\":\"label\""), 0);
  release(&log);
}

static void test_outcomes(void **state) {
  (void)state;
  struct log log;
  struct tide_generate_options o = small();
  run(o, "n.jsonl", &log);
  size_t answers = 0;
  for (size_t i = 0; i < log.count; i++) {
    bool auth = has(log.line[i], AUTH), answer = has(log.line[i], "\"response_code\"");
    assert_false(auth && answer);
    answers += answer;
  }
  assert_int_equal(answers, o.transactions);
  SHARE(count(&log, "\"response_code\":\"00\""), answers, 92, 98);
  assert_true(count(&log, "\"response_code\":\"10\"") > 20); /* partial */
  assert_true(count(&log, "\"response_code\":\"51\"") > 100);
  assert_true(count(&log, "\"reversed\":\"full\"") > 50 && count(&log, "\"reversed\":\"partial\"") > 10);
  assert_true(count(&log, "\"refunded\":\"") > 50 && count(&log, "\"type\":\"refund\"") == count(&log, "\"refunded\":\""));
  assert_true(count(&log, "\"original\":{") > 50); /* increments */
  assert_true(count(&log, "\"type\":\"advice\"") > 10 && count(&log, "\"advice_of\":{") > 5);
  release(&log);
  o.outcomes = TIDE_GENERATE_ROW;
  run(o, "n.jsonl", &log);
  for (size_t i = 0; i < log.count; i++) assert_int_equal(has(log.line[i], AUTH), has(log.line[i], "\"response_code\""));
  assert_true(count(&log, "\"reversed\":\"full\"") > 50);
  release(&log);
  o.outcomes = TIDE_GENERATE_NONE;
  run(o, "n.jsonl", &log);
  assert_int_equal(count(&log, "\"type\":\"outcome\""), 0);
  assert_int_equal(count(&log, "\"response_code\""), 0);
  assert_int_equal(count(&log, AUTH), o.transactions);
  release(&log);
}

/* Keys of an authorization line: its id, and its id with amount and merchant. */
static uint64_t id_hash(struct tide_span line) { return tide_hash64(after(line, "\"rrn\":\"").ptr, 12, 0); }
static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* How many authorization lines repeat an id: with the same content, and with another. */
static void repeats(const struct log *log, size_t *same, size_t *other) {
  struct pair {
    uint64_t id, content;
  } *pair = tide_alloc((log->count + 1) * sizeof *pair);
  size_t n = 0;
  for (size_t i = 0; i < log->count; i++) {
    if (!has(log->line[i], AUTH)) continue;
    const char *from = memmem(log->line[i].ptr, log->line[i].len, "\"rrn\"", 5); /* all but the time */
    pair[n].id = id_hash(log->line[i]);
    pair[n++].content = tide_hash64(from, (size_t)(log->line[i].ptr + log->line[i].len - from), 0);
  }
  qsort(pair, n, sizeof *pair, by_value); /* by id, the first member */
  *same = *other = 0;
  for (size_t i = 0; i < n;) {
    size_t end = i;
    while (end < n && pair[end].id == pair[i].id) end++;
    for (size_t k = i + 1; k < end; k++) {
      bool seen = false;
      for (size_t j = i; j < k && !seen; j++) seen = pair[j].content == pair[k].content;
      *(seen ? same : other) += 1;
    }
    i = end;
  }
  tide_free(pair);
}

static void test_duplicates_and_reused_ids(void **state) {
  (void)state;
  struct log log;
  size_t same, other;
  run(small(), "n.jsonl", &log);
  repeats(&log, &same, &other);
  assert_int_equal(same + other, 0);
  release(&log);
  struct tide_generate_options o = small();
  o.duplicates_pct = 4;
  run(o, "n.jsonl", &log);
  repeats(&log, &same, &other);
  assert_int_equal(other, 0);
  assert_int_equal(same, log.counts.duplicates);
  assert_int_equal(count(&log, AUTH), o.transactions + (int64_t)same);
  SHARE(same, log.counts.auths, 3, 5);
  release(&log);
  o = small();
  o.reused_ids_pct = 4;
  run(o, "n.jsonl", &log);
  repeats(&log, &same, &other);
  assert_int_equal(same, 0);
  assert_int_equal(other, log.counts.reused);
  assert_int_equal(count(&log, AUTH), o.transactions);
  SHARE(other, log.counts.auths, 3, 5);
  release(&log);
}

static void test_disorder_and_lateness(void **state) {
  (void)state;
  for (int late = 0; late < 2; late++) {
    struct tide_generate_options o = small();
    *(late ? &o.late_pct : &o.out_of_order_pct) = 3;
    struct log log;
    run(o, "n.jsonl", &log);
    int64_t newest = 0;
    size_t behind = 0, far = 0;
    for (size_t i = 0; i < log.count; i++) {
      int64_t t = time_of(log.line[i]);
      behind += t < newest;
      far += t < newest - INT64_C(7) * 86400000;
      newest = t > newest ? t : newest;
    }
    if (late) {
      assert_int_equal(behind, far);
      /* The last ones have nothing newer before them but labels. */
      SHARE(far, log.counts.auths, 2, 4);
      assert_int_equal(log.counts.out_of_order, 0);
    } else {
      assert_int_equal(far, 0);
      assert_true(behind > log.counts.out_of_order / 3 && behind <= log.counts.out_of_order);
      SHARE(log.counts.out_of_order, log.count, 2, 4);
    }
    assert_int_equal(count(&log, AUTH), o.transactions);
    release(&log);
  }
}

static void test_hot_merchant(void **state) {
  (void)state;
  const double pct[] = {0, 10, 50};
  for (int i = 0; i < 3; i++) {
    struct tide_generate_options o = small();
    o.hot_merchant_pct = pct[i];
    struct log log;
    run(o, "n.jsonl", &log);
    size_t hot = 0;
    for (size_t k = 0; k < log.count; k++) hot += has(log.line[k], AUTH) && has(log.line[k], "\"id\":\"M000000\"");
    if (i) SHARE(hot, log.counts.auths, pct[i] - 2, pct[i] + 2);
    else assert_true(hot * 20 < log.counts.auths);
    release(&log);
  }
}

static void test_currencies(void **state) {
  (void)state;
  struct tide_generate_options o = small();
  struct log log;
  run(o, "n.jsonl", &log);
  assert_int_equal(log.counts.rates, 0);
  assert_int_equal(count(&log, "\"currency\":\"EUR\""), count(&log, "\"currency\":\""));
  release(&log);
  o.currencies = 8;
  run(o, "n.jsonl", &log);
  SHARE(log.counts.rates, (size_t)(o.days * 7), 95, 110); /* seven a day */
  const char *const code[] = {"USD", "GBP", "CHF", "SEK", "JPY", "PLN", "DKK"};
  for (int i = 0; i < 7; i++) {
    char text[40];
    snprintf(text, sizeof text, "\"currency\":\"%s\",\"rate\"", code[i]);
    assert_true(count(&log, text) >= 29);
    /* A rate stands before the first amount that needs it. */
    size_t k = 0;
    snprintf(text, sizeof text, "\"currency\":\"%s\"", code[i]);
    while (k < log.count && !has(log.line[k], text)) k++;
    assert_true(k < log.count && has(log.line[k], "\"rate\""));
  }
  SHARE(count(&log, "\"currency\":\"USD\""), log.count, 0.3, 20);
  release(&log);
}

static void test_malformed_lines_come_extra(void **state) {
  (void)state;
  struct tide_generate_options o = small();
  o.bad_pct = 5;
  struct log spoiled, clean;
  run(o, "n.jsonl", &spoiled);
  run(small(), "n.jsonl", &clean);
  SHARE(spoiled.counts.bad, spoiled.counts.auths, 4, 6);
  assert_int_equal(spoiled.count, clean.count + spoiled.counts.bad);
  size_t k = 0; /* what goes wrong on the way changes nothing else: the good lines are the same */
  for (size_t i = 0; i < spoiled.count && k < clean.count; i++) k += tide_span_eq(spoiled.line[i], clean.line[k]);
  assert_int_equal(k, clean.count);
  release(&spoiled);
  release(&clean);
}

static void test_errors(void **state) {
  (void)state;
  struct tide_error error = {0};
  struct tide_generate_options o = small();
  o.duplicates_pct = 101;
  assert_int_equal(tide_generate(&o, &error), TIDE_E_USAGE);
  assert_string_equal(error.field, "duplicates_pct");
  o = small();
  o.transactions = 0;
  assert_int_equal(tide_generate(&o, &error), TIDE_E_USAGE);
  assert_string_equal(error.field, "transactions");
  o = small();
  o.merchants = 3;
  assert_int_equal(tide_generate(&o, &error), TIDE_E_USAGE);
  o = small();
  o.output = "/nowhere/at/all.jsonl";
  assert_int_equal(tide_generate(&o, &error), TIDE_E_IO);
  assert_non_null(strstr(error.text, "/nowhere/at/all.jsonl"));
  if (access("/dev/full", W_OK) != 0) return; /* not on every system */
  o = small();
  o.output = "/dev/full";
  assert_int_equal(tide_generate(&o, &error), TIDE_E_FULL);
}

static int setup(void **state) {
  (void)state;
  struct tide_error error[4];
  size_t errors;
  if (!mkdtemp(dir)) return -1;
  enum tide_err err = tide_spec_load(FEATURES, &spec, error, 4, &errors);
  if (err) fprintf(stderr, FEATURES ":%d:%d: %s\n", error[0].line, error[0].column, error[0].text);
  return err ? -1 : 0;
}

static int teardown(void **state) {
  (void)state;
  tide_spec_free(spec);
  return rmdir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_bytes_everywhere),
      cmocka_unit_test(test_lists_change_no_purchase),
      cmocka_unit_test(test_lists),
      cmocka_unit_test(test_profiles_change_no_purchase),
      cmocka_unit_test(test_exactly_as_many_transactions_as_asked),
      cmocka_unit_test(test_span_and_order),
      cmocka_unit_test(test_every_line_decodes),
      cmocka_unit_test(test_every_malformed_line_is_rejected),
      cmocka_unit_test(test_compressed_by_ending),
      cmocka_unit_test(test_fraud_is_a_percent_and_is_labelled_late),
      cmocka_unit_test(test_outcomes),
      cmocka_unit_test(test_duplicates_and_reused_ids),
      cmocka_unit_test(test_disorder_and_lateness),
      cmocka_unit_test(test_hot_merchant),
      cmocka_unit_test(test_currencies),
      cmocka_unit_test(test_malformed_lines_come_extra),
      cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests_name("generate", tests, setup, teardown);
}
