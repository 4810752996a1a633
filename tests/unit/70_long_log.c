/* A merchant with twenty thousand events, some late by an hour and some by an event or two, half of them answered later: its log has many blocks, cached sums of
 * blocks and of rows of blocks, windows that are carried on, splits, expiry, and a map of latest events. Every 41st judgement is recounted by brute force. The
 * oracle's streams are shorter than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/fold.h"

enum { EVENTS = 20000, CARDS = 700, EVERY = 41 };

static const char features[] = "tidemark: 1\nname: long-log\n"
                               "event: {id: id, time: time, amount: amount in EUR}\n"
                               "inputs:\n"
                               "  default: {id: id, time: {at: time, as: epoch_ms}, amount: {at: amount}, card: card, shop: shop}\n"
                               "entities: {card: card, shop: shop}\n"
                               "features:\n"
                               "  shop:\n"
                               "    n: count over 1h, LONG\n"
                               "    declined: count over LONG where result = declined\n"
                               "    share: rate of result = declined over LONG\n"
                               "    spend: sum of amount over 1h, LONG where result != declined\n"
                               "    top: max of amount over LONG\n"
                               "    cards: distinct of card over 1h, LONG with current\n"
                               "    bad_cards: distinct of card over LONG where result = declined\n"
                               "    late_cards: distinct of card over 1h delayed 1h\n"
                               "freshness: {default: {warming: mark}}\n";

struct event {
  int64_t time_ms, amount;
  uint32_t card;
  bool declined;
};

struct world {
  struct event event[EVENTS];
  uint32_t count; /* folded so far */
  uint32_t next;  /* the event being judged */
  int64_t long_ms;
  uint32_t checked;
};

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9) + UINT64_C(0x9e3779b97f4a7c15);
  return (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
}

struct recount {
  double n, declined, spend, top, cards, bad_cards;
};

static struct recount recount(const struct world *w, int64_t after_ms, int64_t until_ms, const struct event *current) {
  struct recount r = {0};
  bool seen[CARDS] = {0}, bad[CARDS] = {0};
  for (uint32_t i = 0; i < w->count; i++) {
    const struct event *e = &w->event[i];
    if (e->time_ms <= after_ms || e->time_ms > until_ms) continue;
    r.n++;
    r.declined += e->declined;
    if (!e->declined) r.spend += (double)e->amount;
    if ((double)e->amount > r.top) r.top = (double)e->amount;
    seen[e->card] = true;
    if (e->declined) bad[e->card] = true;
  }
  if (current) seen[current->card] = true;
  for (int c = 0; c < CARDS; c++) r.cards += seen[c], r.bad_cards += bad[c];
  return r;
}

static double value(const struct tide_answer *answer, const char *name, const char *window) {
  char full[64];
  snprintf(full, sizeof full, "shop.%s_%s", name, window);
  uint32_t slot = tide_spec_slot(answer->spec, full);
  assert_true(slot != TIDE_NONE);
  assert_int_equal(answer->slot[slot].type, TIDE_V_NUM);
  return answer->slot[slot].num;
}

static void check(void *ctx, const struct tide_answer *answer) {
  struct world *w = ctx;
  if (w->next % EVERY || !w->count) return;
  const char *long_name = w->long_ms == INT64_C(30) * 86400000 ? "30d" : "12h";
  const struct event *e = &w->event[w->next];
  struct recount hour = recount(w, e->time_ms - 3600000, e->time_ms, e), all = recount(w, e->time_ms - w->long_ms, e->time_ms, e);
  struct recount before = recount(w, e->time_ms - 7200000, e->time_ms - 3600000, NULL);
  assert_true(value(answer, "n", "1h") == hour.n);
  assert_true(value(answer, "n", long_name) == all.n);
  assert_true(value(answer, "declined", long_name) == all.declined);
  if (all.n > 0) assert_true(value(answer, "share", long_name) == all.declined / all.n);
  assert_true(value(answer, "spend", "1h") == hour.spend / 100.0);
  assert_true(value(answer, "spend", long_name) == all.spend / 100.0);
  if (all.n > 0) assert_true(value(answer, "top", long_name) == all.top / 100.0);
  assert_true(value(answer, "cards", "1h") == hour.cards);
  assert_true(value(answer, "cards", long_name) == all.cards);
  assert_true(value(answer, "bad_cards", long_name) == all.bad_cards);
  assert_true(value(answer, "late_cards", "1h") == before.cards);
  w->checked++;
}

static void set_text(const struct tide_spec *spec, struct tide_record *record, const char *field, char *at, const char *prefix,
                     uint32_t n) {
  size_t len = (size_t)sprintf(at, "%s%07u", prefix, n);
  record->field[tide_spec_field(spec, field)] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = {at, len}};
}

/* One entry with one event and, for some, outcomes of earlier ones. */
static void run(int64_t long_ms, const char *long_name, int64_t step_ms) {
  static struct world w;
  static struct tide_record record;
  struct tide_buf text = TIDE_BUF_INIT, entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  for (const char *at = features; *at;) {
    if (strncmp(at, "LONG", 4) == 0) tide_buf_str(&text, long_name), at += 4;
    else tide_buf_char(&text, *at++);
  }
  size_t errors;
  struct tide_spec *spec;
  if (tide_spec_parse("test", tide_buf_span(&text), &spec, &error, 1, &errors)) fail_msg("line %d: %s", error.line, error.text);
  struct tide_settings settings = tide_settings_default();
  struct tide_fold *fold = tide_fold_new();
  struct tide_batch batch;
  struct tide_fence fence = {.nonce = 7, .epoch = 1};
  struct tide_entry_header header = {.fence_nonce = 7};
  w = (struct world){.long_ms = long_ms};
  tide_batch_begin(&batch, &entry, &header, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &fence), TIDE_OK);
  assert_int_equal(tide_batch_add_config(&batch, &settings, tide_buf_span(&text)), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(tide_fold_entry(fold, (struct tide_position){1, 0}, tide_buf_span(&entry), NULL, NULL, &error), TIDE_OK);
  char id[32], card[32], shop[32];
  for (uint32_t n = 0; n < EVENTS; n++) {
    uint64_t r = mix(n + 1);
    struct event *e = &w.event[n];
    int64_t late_ms = r % 10 == 0 ? (int64_t)((r >> 8) % 3600) * 1000 : r % 10 < 3 ? (int64_t)((r >> 8) % 5) * step_ms : 0;
    e->time_ms = INT64_C(1767225600000) + (int64_t)n * step_ms - late_ms;
    e->amount = (int64_t)(100 + (r >> 20) % 100000);
    e->card = (uint32_t)((r >> 40) % CARDS);
    w.next = n;
    header.commit_ms = INT64_C(1767225600000) + (int64_t)n * step_ms;
    tide_batch_begin(&batch, &entry, &header, NULL, 0);
    memset(&record, 0, sizeof record);
    record.type = TIDE_REC_EVENT;
    record.time.ms = e->time_ms;
    record.field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = e->time_ms};
    record.field[spec->f_amount] = (struct tide_datum){.kind = TIDE_D_INT, .num = e->amount, .exponent = 2, .currency = "EUR"};
    set_text(spec, &record, "id", id, "i", n);
    set_text(spec, &record, "card", card, "c", e->card);
    set_text(spec, &record, "shop", shop, "s", 1);
    assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
    uint32_t of = n / 2 + (uint32_t)((r >> 12) % (n / 2 + 1)); /* an earlier event is answered, or answered again the other way */
    bool answers = (r >> 5) % 2, declined = (r >> 6) % 3 == 0;
    if (answers) {
      record.type = TIDE_REC_OUTCOME;
      record.outcome.set = 1u << TIDE_DYN_result;
      record.outcome.result = declined ? TIDE_RESULT_declined : TIDE_RESULT_approved;
      set_text(spec, &record, "id", id, "i", of);
      set_text(spec, &record, "card", card, "c", w.event[of].card);
      record.field[spec->f_amount].kind = TIDE_D_NONE;
      assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
    }
    tide_batch_end(&batch);
    if (tide_fold_entry(fold, (struct tide_position){1, n + 1}, tide_buf_span(&entry), check, &w, &error)) fail_msg("%s", error.text);
    w.count = n + 1;
    if (answers) w.event[of].declined = declined;
  }
  assert_in_range(w.checked, EVENTS / EVERY - 1, EVENTS);
  tide_fold_free(fold);
  tide_spec_free(spec);
  tide_buf_release(&text);
  tide_buf_release(&entry);
}

static void test_a_month_that_keeps_everything(void **state) {
  (void)state;
  run(INT64_C(30) * 86400000, "30d", 60000); /* 14 days of events: rows of 64 blocks are summed up */
}

static void test_half_a_day_that_expires(void **state) {
  (void)state;
  run(INT64_C(12) * 3600000, "12h", 10000); /* 2.3 days: blocks fall off in front all the time */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_month_that_keeps_everything),
      cmocka_unit_test(test_half_a_day_that_expires),
  };
  return cmocka_run_group_tests_name("long_log", tests, NULL, NULL);
}
