/* Lists, rates and stubs against plain arrays, at random: order of birth, expiry, limits, the previous key, saving and loading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/memo.h"
#include "tests/oracle/rng.h"

/* ---- lists ---- */

enum { VALUES = 300, LISTS = 3 };

static struct tide_u128 value_key(int v) { /* many share their place in the table */
  return (struct tide_u128){(uint64_t)(v % 7) | (uint64_t)v << 40, (uint64_t)v};
}

static void lists_reload(struct tide_lists *lists) {
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  struct tide_lists loaded = {0};
  tide_lists_save(lists, &bytes);
  for (size_t cut = 0; cut < bytes.len; cut += 1 + bytes.len / 50) {
    struct tide_reader part = tide_reader_of((struct tide_span){bytes.ptr, cut});
    assert_false(tide_lists_load(&loaded, &part));
    tide_lists_release(&loaded);
  }
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_lists_load(&loaded, &reader) && reader.ptr == reader.end);
  tide_lists_save(&loaded, &again);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
  tide_lists_release(lists);
  *lists = loaded;
  tide_buf_release(&bytes);
  tide_buf_release(&again);
}

static void test_lists_equal_an_array(void **state) {
  (void)state;
  static int64_t until[LISTS][VALUES];
  struct or_rng rng = {11};
  struct tide_lists lists = {0};
  for (int l = 0; l < LISTS; l++)
    for (int v = 0; v < VALUES; v++) until[l][v] = TIDE_LIST_REMOVED;
  assert_false(tide_lists_has(&lists, 0, value_key(1), 0));
  for (int step = 0; step < 4000; step++) {
    int l = or_below(&rng, LISTS), v = or_below(&rng, VALUES);
    int64_t expires = or_percent(&rng, 30) ? TIDE_LIST_NEVER : or_percent(&rng, 30) ? TIDE_LIST_REMOVED : or_below(&rng, 1000);
    assert_true(tide_lists_put(&lists, (uint32_t)l, value_key(v), expires));
    until[l][v] = expires;
    if (step % 500 == 99) lists_reload(&lists);
    for (int check = 0; check < 20; check++) {
      l = or_below(&rng, LISTS);
      v = or_below(&rng, VALUES);
      int64_t time_ms =
          or_percent(&rng, 50) && until[l][v] > 0 && until[l][v] < 1000 ? until[l][v] - or_below(&rng, 2) : or_below(&rng, 1000);
      assert_int_equal(tide_lists_has(&lists, (uint32_t)l, value_key(v), time_ms), time_ms < until[l][v]);
    }
  }
  assert_true(lists.used <= LISTS * VALUES); /* a value that comes again takes no new place */
  tide_lists_release(&lists);
}

static void test_the_last_rate_counts(void **state) {
  (void)state;
  static struct tide_rates rates;
  assert_int_equal(tide_rates_get(&rates, "USD"), 0);
  tide_rates_put(&rates, "USD", 5);
  tide_rates_put(&rates, "JPY", 6);
  tide_rates_put(&rates, "USD", 7);
  assert_int_equal(rates.count, 2);
  assert_int_equal(tide_rates_get(&rates, "USD"), 7);
  assert_int_equal(tide_rates_get(&rates, "JPY"), 6);
  assert_int_equal(tide_rates_get(&rates, "BHD"), 0);
}

/* ---- stubs ---- */

enum { MODEL_MAX = 4000, CARDS = 3, IDS = 4 };

struct model_stub {
  bool waiting;
  int card, id;
  int64_t born_ms, amount;
};
struct model {
  struct model_stub stub[MODEL_MAX];
  int count;
};

static struct tide_u128 card_key(int card) { return (struct tide_u128){(uint64_t)card * 64, (uint64_t)card + 1}; } /* few buckets */
static uint64_t id_key(int id) { return (uint64_t)id * 1024; }

static int waiting(const struct model *m, int card, int id) {
  int n = 0;
  for (int i = 0; i < m->count; i++) n += m->stub[i].waiting && m->stub[i].card == card && m->stub[i].id == id;
  return n;
}
static uint32_t all_waiting(const struct model *m) {
  uint32_t n = 0;
  for (int i = 0; i < m->count; i++) n += m->stub[i].waiting;
  return n;
}

static void put(struct tide_stubs *stubs, struct model *m, int card, int id, int64_t born_ms) {
  struct tide_stub stub = {
      .card = card_key(card), .id = id_key(id), .born_ms = born_ms, .amount_now = m->count, .sets_amount = m->count % 2};
  stub.outcome = (struct tide_outcome){
      .set = (uint32_t)m->count, .result = 3, .reversed = 2, .refunded = 1, .disputed = 1, .label = 2, .reason = "51"};
  bool room = waiting(m, card, id) < TIDE_STUBS_PER_ID;
  assert_int_equal(tide_stubs_put(stubs, &stub), room);
  if (room) m->stub[m->count++] = (struct model_stub){true, card, id, born_ms, stub.amount_now};
}

/* card, and at times the card under its previous key. */
static void take(struct tide_stubs *stubs, struct model *m, int card, int alt, int id) {
  int first = -1;
  for (int i = 0; i < m->count && first < 0; i++)
    if (m->stub[i].waiting && m->stub[i].id == id && (m->stub[i].card == card || m->stub[i].card == alt)) first = i;
  struct tide_stub got;
  bool found = tide_stubs_take(stubs, card_key(card), alt < 0 ? (struct tide_u128){0, 0} : card_key(alt), id_key(id), &got);
  assert_int_equal(found, first >= 0);
  if (!found) return;
  m->stub[first].waiting = false;
  assert_true(got.amount_now == m->stub[first].amount && got.born_ms == m->stub[first].born_ms);
  assert_int_equal(got.outcome.set, (uint32_t)got.amount_now);
  assert_true(got.outcome.result == 3 && got.outcome.reversed == 2 && got.outcome.refunded == 1 && got.outcome.disputed == 1 &&
              got.outcome.label == 2);
  assert_string_equal(got.outcome.reason, "51");
  assert_int_equal(got.sets_amount, got.amount_now % 2);
}

static void expire(struct tide_stubs *stubs, struct model *m, int64_t born_before_ms) {
  uint64_t want = 0;
  for (int i = 0; i < m->count; i++) {
    if (!m->stub[i].waiting || m->stub[i].born_ms >= born_before_ms) continue;
    m->stub[i].waiting = false;
    want++;
  }
  assert_int_equal(tide_stubs_expire(stubs, born_before_ms), want);
}

static void stubs_reload(struct tide_stubs *stubs) {
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  struct tide_stubs loaded = {0};
  tide_stubs_save(stubs, &bytes);
  for (size_t cut = 0; cut < bytes.len; cut += 1 + bytes.len / 20) {
    struct tide_reader part = tide_reader_of((struct tide_span){bytes.ptr, cut});
    assert_false(tide_stubs_load(&loaded, &part));
    tide_stubs_release(&loaded);
  }
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_stubs_load(&loaded, &reader) && reader.ptr == reader.end);
  tide_stubs_save(&loaded, &again);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
  tide_stubs_release(stubs);
  *stubs = loaded;
  tide_buf_release(&bytes);
  tide_buf_release(&again);
}

static void test_stubs_equal_an_array(void **state) {
  (void)state;
  static struct model m;
  unsigned refused = 0;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    struct or_rng rng = {seed};
    struct tide_stubs stubs = {0};
    int64_t now_ms = 1000;
    m.count = 0;
    for (int step = 0; step < 3000; step++) {
      int what = or_below(&rng, 100), card = or_below(&rng, CARDS), id = or_percent(&rng, 50) ? 0 : or_below(&rng, IDS);
      if (what < (step / 400 % 2 ? 40 : 89)) { /* they pile up, and go */
        refused += waiting(&m, card, id) == TIDE_STUBS_PER_ID;
        put(&stubs, &m, card, id, now_ms);
      } else if (what < 90) {
        take(&stubs, &m, card, or_percent(&rng, 30) ? or_below(&rng, CARDS) : -1, id);
      } else if (what < 97) {
        now_ms += or_below(&rng, 20);
      } else if (what < 98) {
        expire(&stubs, &m, now_ms - 40 - or_below(&rng, 200));
      } else if (or_percent(&rng, 30)) {
        stubs_reload(&stubs);
      }
      assert_int_equal(stubs.used, all_waiting(&m));
    }
    for (int card = 0; card < CARDS; card++) /* all that is left, in order */
      for (int id = 0; id < IDS; id++)
        while (waiting(&m, card, id)) take(&stubs, &m, card, -1, id);
    assert_int_equal(stubs.used, 0);
    tide_stubs_release(&stubs);
  }
  assert_in_range(refused, 50, 1000000);
}

static void test_stubs_born_before_time_began(void **state) {
  (void)state;
  static struct model m;
  struct tide_stubs stubs = {0};
  m.count = 0;
  put(&stubs, &m, 1, 1, INT64_MIN);
  put(&stubs, &m, 1, 2, INT64_MIN);
  tide_stubs_begin(&stubs, 500);
  m.stub[0].born_ms = m.stub[1].born_ms = 500;
  put(&stubs, &m, 1, 1, 600);
  expire(&stubs, &m, 500); /* born at 500: not before it */
  assert_int_equal(stubs.used, 3);
  take(&stubs, &m, 1, -1, 2);
  expire(&stubs, &m, 501);
  assert_int_equal(stubs.used, 1);
  take(&stubs, &m, 1, -1, 1);
  tide_stubs_release(&stubs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lists_equal_an_array),
      cmocka_unit_test(test_the_last_rate_counts),
      cmocka_unit_test(test_stubs_equal_an_array),
      cmocka_unit_test(test_stubs_born_before_time_began),
  };
  return cmocka_run_group_tests_name("memo", tests, NULL, NULL);
}
