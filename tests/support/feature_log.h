/* A random log that changes its feature file twice, and the same log as if it had had the later files all along: for tests of the switch.
 *
 * Messages are drawn apart from any feature file and written down under the one of their time, or moved to another by this file's own hands. A switch is made by the records that a
 * registry's driver would offer, appended to an entry. */
#ifndef TIDE_FEATURE_LOG_H
#define TIDE_FEATURE_LOG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rollout.h"
#include "core/versions.h"
#include "core/fold.h"

static const char file_a[] = "tidemark: 1\n"
                             "name: first\n"
                             "event:\n"
                             "  id: id\n"
                             "  time: time\n"
                             "  amount: amount in EUR\n"
                             "  score: kind in (auth, advice)\n"
                             "  advise: kind = advice\n"
                             "  key: pan\n"
                             "inputs:\n"
                             "  default:\n"
                             "    id: /id\n"
                             "    kind: {at: /kind, default: auth}\n"
                             "    time: {at: /time, as: epoch_ms}\n"
                             "    amount: {at: /amount, currency: /currency}\n"
                             "    pan: /pan\n"
                             "    merchant: {at: /merchant, optional: true}\n"
                             "    device: {at: /device, optional: true}\n"
                             "    units: {at: /units, as: int, optional: true}\n"
                             "entities:\n"
                             "  card: pan\n"
                             "  shop: merchant\n"
                             "windows: {short: \"10m, 1h\"}\n"
                             "features:\n"
                             "  card:\n"
                             "    attempts: count over short with current\n"
                             "    spend: sum of amount over 1h where result in (approved, pending)\n"
                             "    idle: time since previous\n"
                             "    long: count over 30d\n"
                             "  shop:\n"
                             "    cards: distinct of card over 1h\n"
                             "policy:\n"
                             "  decisions: [approve, review, decline]\n"
                             "  lists: [blocked, odd]\n"
                             "  rules:\n"
                             "    - A1: decline when card in blocked say \"on the list\"\n"
                             "    - A2: review when card.attempts_10m > 2 say \"{card.attempts_10m} in ten minutes\"\n"
                             "    - A3: review when merchant in odd\n"
                             "    - A4: decline when card.long_30d > 1000000\n"
                             "    - else: approve\n"
                             "  fallback:\n"
                             "    - F1: decline when amount > 50 say \"{amount} at {merchant}\"\n"
                             "    - else: approve\n";

/* Other places for the fields, one gone, one new; features, a list, rules and words changed; an entity more. */
static const char file_b[] = "tidemark: 1\n"
                             "name: second\n"
                             "event:\n"
                             "  id: id\n"
                             "  time: time\n"
                             "  amount: amount in EUR\n"
                             "  score: kind in (auth, advice)\n"
                             "  advise: kind = advice\n"
                             "  key: pan\n"
                             "inputs:\n"
                             "  default:\n"
                             "    device: {at: /device, optional: true}\n"
                             "    pan: /pan\n"
                             "    ip: {at: /ip, optional: true}\n"
                             "    amount: {at: /amount, currency: /currency}\n"
                             "    kind: {at: /kind, default: auth}\n"
                             "    merchant: {at: /merchant, optional: true}\n"
                             "    time: {at: /time, as: epoch_ms}\n"
                             "    id: /id\n"
                             "entities:\n"
                             "  card: pan\n"
                             "  dev: device\n"
                             "  shop: merchant\n"
                             "features:\n"
                             "  card:\n"
                             "    attempts: count over 5m, 10m, 3h with current\n"
                             "    spend: sum of amount over 1h, 3h where result = approved\n"
                             "    ips: distinct of ip over 30m\n"
                             "    logins: count over 2h where kind = login\n"
                             "  dev:\n"
                             "    cards: distinct of card over 2h\n"
                             "    age: time since first\n"
                             "  shop:\n"
                             "    cards: distinct of card over 1h\n"
                             "    mean: mean of amount over 2h\n"
                             "freshness:\n"
                             "  default: {budget: 15s, warming: mark}\n"
                             "policy:\n"
                             "  decisions: [fine, stop]\n"
                             "  lists: [fresh, blocked]\n"
                             "  rules:\n"
                             "    - B0: stop when device in fresh\n"
                             "    - A1: stop when card in blocked say \"still on the list\"\n"
                             "    - else: fine\n"
                             "  fallback:\n"
                             "    - else: stop\n";

static const char file_c[] = "tidemark: 1\n"
                             "name: third\n"
                             "event:\n"
                             "  id: id\n"
                             "  time: time\n"
                             "  amount: amount in EUR\n"
                             "  score: kind = auth\n"
                             "  key: pan\n"
                             "inputs:\n"
                             "  default:\n"
                             "    id: /id\n"
                             "    pan: /pan\n"
                             "    ip: {at: /ip, optional: true}\n"
                             "    amount: {at: /amount, currency: /currency}\n"
                             "    kind: {at: /kind, default: auth}\n"
                             "    merchant: {at: /merchant, optional: true}\n"
                             "    time: {at: /time, as: epoch_ms}\n"
                             "    units: {at: /units, as: int, optional: true}\n"
                             "entities:\n"
                             "  card: pan\n"
                             "  ip: ip\n"
                             "features:\n"
                             "  card:\n"
                             "    attempts: count over 10m with current\n"
                             "    ips: distinct of ip over 30m\n"
                             "    units: sum of units over 1h\n"
                             "  ip:\n"
                             "    cards: distinct of card over 2h\n"
                             "policy:\n"
                             "  decisions: [approve]\n"
                             "  rules:\n"
                             "    - else: approve\n"
                             "  fallback:\n"
                             "    - else: approve\n";

static struct tide_spec *parse(const char *text) {
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t count = 0;
  if (tide_spec_parse("test", tide_span_of(text), &spec, &error, 1, &count) != TIDE_OK) fail_msg("line %d: %s", error.line, error.text);
  return spec;
}

/* ---- messages, apart from any feature file ---- */

#define MESSAGES 4000
#define PER_ENTRY 8
#define START_MS INT64_C(1700000000000)

struct message {
  uint8_t type;                                               /* enum tide_record_type */
  uint32_t id, card, merchant, device, ip, units, list, kind; /* 0: none */
  int64_t time_ms, amount;
  bool foreign, remove, rotated; /* amount in another currency; list; the pan under a new key, with the old one beside it */
  uint8_t result;
};

static uint64_t seed;
static uint32_t below(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % n);
}

static void draw(struct message *all, uint64_t from) {
  seed = from;
  uint32_t ids = 0;
  for (uint32_t i = 0; i < MESSAGES; i++) {
    struct message *m = &all[i];
    uint32_t what = below(100);
    *m = (struct message){
        .type = TIDE_REC_EVENT, .time_ms = START_MS + (int64_t)i * 9000 - below(20000), .card = 1 + below(40), .amount = 100 + below(9000)};
    if (what < 10 && i > 50) { /* a repetition, or the same id with something else */
      const struct message *was = &all[i - 1 - below(50)];
      if (was->type == TIDE_REC_EVENT) {
        *m = *was;
        m->time_ms += below(3) ? 0 : 5000;
        if (below(8) == 0) m->amount++;
        continue;
      }
    } else if (what < 25 && i > 50) {
      const struct message *was = &all[i - 1 - below(50)];
      if (was->type == TIDE_REC_EVENT) {
        *m = *was;
        m->type = TIDE_REC_OUTCOME;
        m->result = (uint8_t)(1 + below(3));
        m->time_ms = 0;
        continue;
      }
    } else if (what < 27) {
      m->type = TIDE_REC_RATE;
      m->amount = 9000000000 + below(100000000);
      continue;
    } else if (what < 30) {
      m->type = TIDE_REC_LIST;
      m->list = 1 + below(3);
      m->merchant = 1 + below(12);
      m->device = 1 + below(30);
      m->remove = below(3) == 0;
      continue;
    }
    m->id = ++ids;
    m->kind = below(10) == 0 ? 2 : below(12) == 0 ? 3 : 1;
    m->merchant = below(8) ? 1 + below(12) : 0;
    m->device = below(3) ? 1 + below(30) : 0;
    m->ip = below(4) ? 1 + below(20) : 0;
    m->units = below(2) ? 1 + below(9) : 0;
    m->foreign = below(6) == 0;
    m->rotated = i > MESSAGES * 3 / 4 && below(3) == 0;
    if (below(40) == 0) m->time_ms -= 40 * 60000;
  }
}

static char texts[16][16];

static void put_text(const struct tide_spec *spec, struct tide_record *record, const char *field, unsigned slot, const char *form,
                     uint32_t value) {
  uint32_t at = tide_spec_field(spec, field);
  if (at == TIDE_NONE || !value) return;
  snprintf(texts[slot], sizeof texts[slot], form, value);
  record->field[at] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(texts[slot])};
}

static uint32_t list_of(const struct tide_spec *spec, uint32_t list) {
  static const char *const name[] = {"", "blocked", "odd", "fresh"};
  for (uint32_t i = 0; i < spec->list_count; i++)
    if (strcmp(spec->list[i].name, name[list]) == 0) return i;
  return TIDE_NONE;
}

/* False: the file has nothing to say it in. */
static bool fill(const struct tide_spec *spec, const struct message *m, bool with_ip, struct tide_record *record) {
  memset(record, 0, sizeof *record);
  record->type = m->type;
  record->time.ms = m->time_ms > 0 ? m->time_ms : 0;
  if (m->type == TIDE_REC_RATE) {
    memcpy(record->rate.currency, "USD", 4);
    record->rate.rate_e10 = m->amount;
    return true;
  }
  struct tide_datum *pan = &record->field[tide_spec_field(spec, "pan")];
  *pan = (struct tide_datum){.kind = TIDE_D_KEY, .key = {m->card * UINT64_C(0x9e3779b97f4a7c15), m->card * UINT64_C(0xc2b2ae3d27d4eb4f)}};
  if (m->rotated) pan->alt = pan->key, pan->key.lo ^= 0x5555, pan->key.hi = ~pan->key.hi;
  record->key_id = 1;
  if (m->type == TIDE_REC_LIST) {
    record->list.list = list_of(spec, m->list);
    record->list.remove = m->remove;
    put_text(spec, record, "merchant", 3, "m%u", m->merchant);
    put_text(spec, record, "device", 4, "device-%u", m->device);
    return record->list.list != TIDE_NONE;
  }
  put_text(spec, record, "id", 0, "t%u", m->id);
  struct tide_datum *amount = &record->field[tide_spec_field(spec, "amount")];
  *amount = (struct tide_datum){.kind = TIDE_D_INT, .num = m->amount, .exponent = 2};
  memcpy(amount->currency, m->foreign ? "USD" : "EUR", 4);
  if (m->type == TIDE_REC_OUTCOME) {
    record->outcome.set = 1u << TIDE_DYN_result;
    record->outcome.result = m->result;
    return true;
  }
  put_text(spec, record, "kind", 1, m->kind == 1 ? "auth" : m->kind == 2 ? "login" : "advice", m->kind);
  record->field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = m->time_ms};
  put_text(spec, record, "merchant", 3, "m%u", m->merchant);
  put_text(spec, record, "device", 4, "device-%u", m->device);
  if (with_ip) put_text(spec, record, "ip", 5, "192.0.2.%u", m->ip);
  uint32_t units = tide_spec_field(spec, "units");
  if (units != TIDE_NONE && m->units) record->field[units] = (struct tide_datum){.kind = TIDE_D_INT, .num = m->units};
  return true;
}

/* ---- journals ---- */

struct entry {
  struct tide_position at;
  struct tide_buf bytes;
};

/* One entry of messages, all under `spec`; `first` as well the configuration. Without units and ip where the file of their time had none: `lacks`. */
static void write_entry(struct entry *entry, const struct tide_spec *spec, uint32_t generation, const struct message *m, uint32_t count,
                        bool first, const char *lacks) {
  static struct tide_record record;
  struct tide_settings settings = tide_settings_default();
  struct tide_batch batch;
  settings.duplicates_for_ms = 2 * 3600000;
  settings.lateness_ms = 30 * 60000;
  struct tide_entry_header header = {.fence_nonce = 7,
                                     .attempt_nonce = entry->at.seq,
                                     .generation = generation,
                                     .commit_ms = m[count - 1].time_ms > 0 ? m[count - 1].time_ms : START_MS};
  tide_batch_begin(&batch, &entry->bytes, &header, NULL, 0);
  if (first && tide_batch_add_config(&batch, &settings, (struct tide_span){spec->text, spec->text_len})) fail();
  for (uint32_t i = 0; i < count; i++) {
    struct message one = m[i];
    if (strstr(lacks, "units")) one.units = 0;
    if (!fill(spec, &one, !strstr(lacks, "ip"), &record))
      record = (struct tide_record){.type = TIDE_REC_OUTCOME}; /* of nothing: it only keeps the place */
    assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
  }
  tide_batch_end(&batch);
}

static void write_fence(struct entry *entry) {
  struct tide_batch batch;
  entry->at = (struct tide_position){1, 0};
  tide_batch_begin(&batch, &entry->bytes, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  if (tide_batch_add_fence(&batch, &(struct tide_fence){.nonce = 7, .epoch = 1, .engine_id = 1})) fail();
  tide_batch_end(&batch);
}

#define ENTRIES (MESSAGES / PER_ENTRY + 1)
#define FIRST_SWITCH 200u /* behind this entry */
#define SECOND_SWITCH 380u
#define RESENT 260u /* here everything young is sent again */

struct world {
  struct message message[MESSAGES];
  struct tide_spec *a, *b, *c;
  struct entry live[ENTRIES], like_b[ENTRIES], like_c[ENTRIES];
};

static void write_all(struct world *w) {
  write_fence(&w->live[0]);
  write_fence(&w->like_b[0]);
  write_fence(&w->like_c[0]);
  for (uint32_t e = 1; e < ENTRIES; e++) {
    const struct message *m = &w->message[(e - 1) * PER_ENTRY];
    struct tide_position at = {1, e};
    w->live[e].at = w->like_b[e].at = w->like_c[e].at = at;
    bool is_b = e > FIRST_SWITCH, is_c = e > SECOND_SWITCH,
         slow = e % 7 == 0 && e < FIRST_SWITCH + 40; /* an engine that still writes under the old file */
    if (is_b && slow) is_b = false;
    const struct tide_spec *spec = is_c ? w->c : is_b ? w->b : w->a;
    write_entry(&w->live[e], spec, is_c ? 2 : is_b ? 1 : 0, m, PER_ENTRY, e == 1, "");
    write_entry(&w->like_b[e], w->b, 0, m, PER_ENTRY, e == 1, is_b ? "" : "ip");
    /* what b lacked is lost, also where a had it */
    write_entry(&w->like_c[e], w->c, 0, m, PER_ENTRY, e == 1, is_c ? "" : is_b ? "units" : "ip units");
  }
}

static int setup(void **state) {
  struct world *w = tide_alloc(sizeof *w);
  w->a = parse(file_a);
  w->b = parse(file_b);
  w->c = parse(file_c);
  draw(w->message, 11);
  write_all(w);
  *state = w;
  return 0;
}

static int teardown(void **state) {
  struct world *w = *state;
  for (uint32_t e = 0; e < ENTRIES; e++) {
    tide_buf_release(&w->live[e].bytes);
    tide_buf_release(&w->like_b[e].bytes);
    tide_buf_release(&w->like_c[e].bytes);
  }
  tide_spec_free(w->a);
  tide_spec_free(w->b);
  tide_spec_free(w->c);
  tide_free(w);
  return 0;
}

/* A log of a test's own. */
struct log {
  struct entry entry[ENTRIES];
};

static struct log *log_of(const struct entry *from) {
  struct log *log = tide_alloc(sizeof *log);
  for (uint32_t e = 0; e < ENTRIES; e++) {
    log->entry[e].at = from[e].at;
    tide_buf_put(&log->entry[e].bytes, from[e].bytes.ptr, from[e].bytes.len);
  }
  return log;
}

static void log_free(struct log *log) {
  for (uint32_t e = 0; e < ENTRIES; e++) tide_buf_release(&log->entry[e].bytes);
  tide_free(log);
}

/* Appends records to an entry. */
static void append_records(struct log *log, uint32_t e, struct tide_span records, unsigned count) {
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_buf was = log->entry[e].bytes;
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_batch batch;
  log->entry[e].bytes = (struct tide_buf)TIDE_BUF_INIT;
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&was), part, NULL), TIDE_OK);
  tide_batch_begin(&batch, &log->entry[e].bytes, &reader.header, part, reader.header.cursor_count);
  while (tide_entry_next(&reader, &raw, NULL) == TIDE_OK)
    assert_int_equal(tide_batch_add_encoded(&batch, (struct tide_span){raw.payload.ptr - 5, raw.payload.len + 5}, 1), TIDE_OK);
  assert_int_equal(tide_batch_add_encoded(&batch, records, count), TIDE_OK);
  tide_batch_end(&batch);
  tide_buf_release(&was);
}

/* Those that bring the file, and the rollout that puts it in force. */
static void roll_with(struct log *log, uint32_t e, struct tide_span features, const struct tide_rollout *rollout, struct tide_span policy) {
  struct tide_buf more = TIDE_BUF_INIT;
  if (features.len) assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_features, tide_span_of("f"), features, &more), TIDE_OK);
  if (policy.len) assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_policy, tide_span_of("p"), policy, &more), TIDE_OK);
  tide_rollout_encode(rollout, &more);
  append_records(log, e, tide_buf_span(&more), 1u + (features.len > 0) + (policy.len > 0));
  tide_buf_release(&more);
}

static struct tide_rollout rollout_of(const struct tide_spec *spec, uint64_t number) {
  return (struct tide_rollout){.number = number, .features = tide_content_hash((struct tide_span){spec->text, spec->text_len})};
}

static void roll(struct log *log, uint32_t e, const struct tide_spec *spec, uint64_t number) {
  struct tide_rollout rollout = rollout_of(spec, number);
  roll_with(log, e, (struct tide_span){spec->text, spec->text_len}, &rollout, (struct tide_span){NULL, 0});
}

/* Folds entries from..to-1; what waits gets its follower. */
static struct tide_fold *follower_of(const struct tide_fold *fold, struct tide_span next, const struct entry *entry, uint32_t to);
static void take_over(struct tide_fold *fold, const struct entry *entry, uint32_t e) {
  struct tide_error error = {0};
  struct tide_fold *follower = follower_of(fold, tide_fold_awaited(fold), entry, e + 1);
  struct tide_check_point before = tide_fold_point(fold);
  uint32_t generation = tide_fold_generation(fold);
  if (e + 1 < ENTRIES)
    assert_int_equal(tide_fold_entry(fold, entry[e + 1].at, tide_buf_span(&entry[e + 1].bytes), NULL, NULL, &error), TIDE_E_AGAIN);
  if (tide_fold_switch(fold, follower, &error) != TIDE_OK) fail_msg("%s", error.text);
  assert_false(tide_fold_waits(fold));
  assert_int_equal(tide_fold_generation(fold), generation + 1);
  struct tide_check_point after = tide_fold_point(fold);
  assert_true(tide_u128_eq(before.digest, after.digest) && before.decisions == after.decisions);
  assert_true(tide_position_cmp(before.position, after.position) == 0);
}

static void fold_on(struct tide_fold *fold, const struct entry *entry, uint32_t from, uint32_t to, tide_emit_fn emit, void *ctx) {
  struct tide_error error = {0};
  for (uint32_t e = from; e < to; e++) {
    if (tide_fold_entry(fold, entry[e].at, tide_buf_span(&entry[e].bytes), emit, ctx, &error) != TIDE_OK)
      fail_msg("entry %u: %s", e, error.text);
    if (tide_fold_waits(fold)) take_over(fold, entry, e);
  }
}

static struct tide_fold *follower_of(const struct tide_fold *fold, struct tide_span next, const struct entry *entry, uint32_t to) {
  struct tide_error error = {0};
  struct tide_fold *follower = NULL;
  if (tide_fold_follower(fold, next, &follower, &error) != TIDE_OK) fail_msg("%s", error.text);
  fold_on(follower, entry, 0, to, NULL, NULL);
  return follower;
}

static struct log *two_switches(const struct world *w) {
  struct log *log = log_of(w->live);
  roll(log, FIRST_SWITCH, w->b, 5);
  roll(log, SECOND_SWITCH, w->c, 6);
  return log;
}

#endif
