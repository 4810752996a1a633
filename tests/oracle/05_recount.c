/* The oracle itself on streams small enough to be worked out by hand, so that it and the engine cannot be wrong together unseen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "feature/expr.h"
#include "tests/oracle/recount.h"

static struct or_case c;
static struct or_answer answer[OR_RECORDS_MAX];

/* A case with one entity (the card), amounts in EUR, everything scored, a history that is complete. */
static int begin(void **state) {
  (void)state;
  memset(&c, 0, sizeof c);
  c.amount = true;
  c.currency = "EUR";
  c.exponent = 2;
  c.entity[0] = (struct or_entity){.name = "card", .key = OK_FIELD, .part = {OF_PAN}, .part_count = 1, .keep_ms = 60000, .warming = -1};
  c.entity_count = 1;
  c.lateness_ms = c.duplicates_for_ms = 3600000;
  c.grace_ms = 100000;
  c.history_from_ms = -1000000;
  c.replay = true;
  return 0;
}

static int feature(struct or_feature f, int64_t window_ms) {
  struct or_feature *added = &c.feature[c.feature_count];
  *added = f;
  added->first_slot = c.slot_count;
  added->companion = -1;
  added->window_count = window_ms != 0;
  added->window_ms[0] = window_ms;
  c.slot[c.slot_count] = (struct or_slot){.feature = c.feature_count++, .window_ms = window_ms};
  return c.slot_count++;
}

static struct or_record *record(enum or_record_type type, int64_t time_ms, const char *id) {
  struct or_record *r = &c.record[c.record_count++];
  *r = (struct or_record){.type = type, .time_ms = time_ms, .commit_ms = time_ms, .new_entry = true};
  r->field[OF_ID1] = (struct or_datum){.has = true, .text = id};
  r->field[OF_PAN] = (struct or_datum){.has = true, .text = "p"};
  return r;
}
static struct or_record *event(int64_t time_ms, const char *id, int64_t cents) {
  struct or_record *r = record(OR_EVENT, time_ms, id);
  r->field[OF_AMOUNT] = (struct or_datum){.has = true, .num = cents, .currency = "EUR", .exponent = 2};
  return r;
}

static int run(void) {
  struct or_end_state end;
  return or_recount(&c, answer, &end);
}
static double number_at(int answer_index, int slot) {
  assert_int_equal(answer[answer_index].slot[slot].type, OV_NUM);
  return answer[answer_index].slot[slot].num;
}
static void assert_is(int answer_index, int slot, double want) {
  double got = number_at(answer_index, slot);
  if (got != want) fail_msg("value %d of answer %d is %.17g, not %.17g", slot, answer_index, got, want);
}

static void test_window_is_open_left_closed_right(void **state) {
  (void)state;
  int without = feature((struct or_feature){.agg = OA_COUNT}, 10000);
  int with = feature((struct or_feature){.agg = OA_COUNT, .with_current = true}, 10000);
  int delayed = feature((struct or_feature){.agg = OA_COUNT, .delayed_ms = 5000, .with_current = true}, 5000);
  event(0, "a", 100);
  event(0, "b", 100); /* a tie: a stands before b */
  event(5000, "c", 100);
  event(10000, "d", 100); /* (0, 10000]: c alone; delayed (0, 5000]: c */
  event(10001, "e", 100); /* (1, 10001]: c, d */
  event(4000, "f", 100);  /* late: (-6000, 4000]: a, b */
  assert_int_equal(run(), 6);
  const double counts[] = {0, 1, 2, 1, 2, 2}, delays[] = {0, 0, 2, 1, 1, 0};
  for (int i = 0; i < 6; i++) {
    assert_is(i, without, counts[i]);
    assert_is(i, with, counts[i] + 1);
    assert_is(i, delayed, delays[i]);
  }
}

static void test_hop_moves_only_the_left_edge(void **state) {
  (void)state;
  int hop = feature((struct or_feature){.agg = OA_COUNT, .hop_ms = 1000}, 2000);
  event(-1001, "a", 100);
  event(-1000, "b", 100);
  event(-999, "c", 100);
  event(1500, "d", 100); /* floor((1500 - 2000) / 1000) * 1000 = -1000: c alone */
  assert_int_equal(run(), 4);
  assert_is(3, hop, 1);
}

static void test_statistics(void **state) {
  (void)state;
  int sum = feature((struct or_feature){.agg = OA_SUM, .of = OO_AMOUNT}, 60000);
  int mean = feature((struct or_feature){.agg = OA_MEAN, .of = OO_AMOUNT}, 60000);
  int deviation = feature((struct or_feature){.agg = OA_STDDEV, .of = OO_AMOUNT}, 60000);
  event(0, "a", 100);
  event(1, "b", 200);
  event(2, "c", 600)->field[OF_AMOUNT].has = false;
  event(3, "d", 300);
  event(4, "e", 100);
  assert_int_equal(run(), 5);
  assert_is(0, sum, 0);
  assert_int_equal(answer[0].slot[mean].type, OV_NULL);
  assert_int_equal(answer[1].slot[deviation].type, OV_NULL);
  assert_is(4, sum, 6);
  assert_is(4, mean, 2);
  assert_is(4, deviation, 1); /* of 1, 2, 3 */
}

static void test_max_count_reaches_back_before_the_outer_window(void **state) {
  (void)state;
  int burst = feature((struct or_feature){.agg = OA_MAX_COUNT, .inner_ms = 100}, 200);
  event(0, "a", 100);
  event(50, "b", 100);
  event(60, "c", 100);
  event(260, "d", 100); /* u in (60, 260]: at 61 the window (-39, 61] holds a, b, c */
  event(310, "e", 100); /* u in (110, 310]: at 111 (11, 111] holds b, c; at 260 d */
  assert_int_equal(run(), 5);
  assert_is(3, burst, 3);
  assert_is(4, burst, 2);
}

static void test_states_in_their_order(void **state) {
  (void)state;
  int cards = feature((struct or_feature){.agg = OA_DISTINCT, .of = OO_FIELD, .of_ref = OF_ID1, .cap = 2}, 10000);
  c.grace_ms = c.history_from_ms = 0;
  event(9999, "a", 1); /* (-1, 9999]: begins before the history */
  event(10000, "b", 1);
  event(10001, "c", 1);
  event(10002, "d", 1); /* a, b, c: more than 2 */
  event(40000, "e", 1);
  event(10003, "f", 1); /* the window begins at 3, the entity keeps (40000 - 60000, ...]: the span is that of the window, 10000 */
  assert_int_equal(run(), 6);
  assert_int_equal(answer[0].slot[cards].state, TIDE_S_warming);
  assert_true(answer[0].slot[cards].unknown);
  assert_int_equal(answer[2].slot[cards].state, TIDE_S_fresh);
  assert_is(2, cards, 2);
  assert_int_equal(answer[3].slot[cards].state, TIDE_S_saturated);
  assert_is(3, cards, 2);
  assert_int_equal(answer[5].slot[cards].cause, TIDE_C_too_late);
}

static void test_outcomes_before_and_after(void **state) {
  (void)state;
  struct or_expr result = {.op = OX_DYN, .ref = OD_RESULT}, word = {.op = OX_TEXT, .text = "declined"},
                 declined = {.op = OX_EQ, .a = &result, .b = &word};
  int declines = feature((struct or_feature){.agg = OA_COUNT, .where = &declined, .with_current = true}, 60000);
  event(0, "a", 100);
  struct or_record *early = record(OR_OUTCOME, 1, "b"); /* before its event: a stub */
  early->set = 1u << OD_RESULT;
  early->result = 3;
  event(2, "b", 100); /* pending in its own features */
  event(3, "b", 100); /* a duplicate: the first answer again */
  event(4, "b", 200); /* a conflict: counted */
  struct or_record *late = record(OR_OUTCOME, 5, "b");
  late->set = 1u << OD_RESULT;
  late->result = 3;
  late->field[OF_AMOUNT] =
      (struct or_datum){.has = true, .num = 100, .currency = "EUR", .exponent = 2}; /* names the first: changes nothing */
  event(6, "c", 100);
  assert_int_equal(run(), 5);
  assert_is(1, declines, 0);
  assert_true(answer[2].duplicate && !answer[2].counted);
  assert_int_equal(answer[2].first_record, 2);
  assert_true(answer[3].id_conflict && answer[3].counted);
  assert_is(3, declines, 1);
  assert_is(4, declines, 1);
}

static void test_three_values(void **state) {
  (void)state;
  struct or_env env = {.c = &c, .rule = true};
  struct or_value slot[3] = {or_null(TIDE_S_empty, TIDE_C_empty), or_null(TIDE_S_stale, TIDE_C_too_late), or_num(2)};
  slot[1].unknown = true;
  slot[2].state = TIDE_S_saturated;
  slot[2].cause = TIDE_C_saturated;
  env.slot = slot;
  struct or_expr empty = {.op = OX_SLOT, .ref = 0}, late = {.op = OX_SLOT, .ref = 1}, many = {.op = OX_SLOT, .ref = 2};
  struct or_expr two = {.op = OX_NUM, .num = 2}, three = {.op = OX_NUM, .num = 3};
  struct or_expr above_empty = {.op = OX_GT, .a = &empty, .b = &two}, above_late = {.op = OX_GT, .a = &late, .b = &two};
  struct or_expr not_empty = {.op = OX_NOT, .a = &above_empty}, not_late = {.op = OX_NOT, .a = &above_late};
  struct or_expr above_two = {.op = OX_GT, .a = &many, .b = &two}, above_three = {.op = OX_GT, .a = &many, .b = &three};
  struct or_expr mixed = {.op = OX_ADD, .a = &empty, .b = &late}, either = {.op = OX_OR, .a = &above_late, .b = &not_empty};
  assert_false(or_eval(&above_empty, &env).yes);
  assert_true(or_eval(&not_empty, &env).yes);
  assert_true(or_eval(&not_late, &env).unknown);
  assert_true(or_eval(&above_two, &env).yes);
  assert_true(or_eval(&above_three, &env).unknown);
  assert_true(or_eval(&mixed, &env).unknown);
  assert_true(or_eval(&either, &env).yes);
}

static void test_a_late_repetition_is_answered_as_the_first(void **state) {
  (void)state;
  c.lateness_ms = 1000;
  event(0, "a", 100);
  event(5000, "b", 100);
  event(0, "a", 100); /* five seconds late: a repetition all the same */
  event(0, "a", 200); /* late, and the identity is remembered */
  event(0, "c", 100);
  assert_int_equal(run(), 5);
  assert_true(answer[2].duplicate && answer[2].first_record == 0 && !answer[2].refused);
  assert_true(answer[3].id_conflict && answer[3].refused && !answer[3].duplicate);
  assert_int_equal(answer[3].cause, TIDE_C_late);
  assert_true(!answer[4].id_conflict && answer[4].cause == TIDE_C_late);
}

static void test_a_lead_lets_in_what_is_slightly_ahead(void **state) {
  (void)state;
  int n = feature((struct or_feature){.agg = OA_COUNT}, 10000),
      burst = feature((struct or_feature){.agg = OA_MAX_COUNT, .inner_ms = 100}, 10000);
  int delayed = feature((struct or_feature){.agg = OA_COUNT, .delayed_ms = 1000}, 10000);
  int idle = feature((struct or_feature){.agg = OA_SINCE_PREVIOUS}, 0);
  c.lead_ms = 500;
  event(0, "a", 100);
  event(1600, "b", 100);
  event(1050, "c", 100); /* until 1550: a alone */
  event(1100, "d", 100); /* until 1600: a, c, b; (1500, 1600] holds b, (1000, 1100] c */
  event(1900, "e", 100)->commit_ms = 1600;
  event(0, "f", 100)->stamped = true;
  c.record[5].commit_ms = 1600; /* stamped so: nothing is ahead of it, and e is not there */
  assert_int_equal(run(), 6);
  assert_is(2, n, 1);
  assert_is(2, idle, 1.05);
  assert_is(3, n, 3);
  assert_is(3, burst, 1);
  assert_is(3, idle, 0);    /* b is ahead */
  assert_is(3, delayed, 1); /* until 100 */
  assert_is(5, n, 4);
  assert_is(5, idle, 0);
}

static void test_a_full_kind_takes_no_new_key(void **state) {
  (void)state;
  int n = feature((struct or_feature){.agg = OA_COUNT}, 10000);
  c.entity[0].max = 1;
  event(0, "a", 100);
  event(1, "b", 100)->field[OF_PAN].text = "q";
  event(2, "b", 100)->field[OF_PAN].text = "q"; /* not remembered: no repetition either */
  event(3, "c", 100);
  assert_int_equal(run(), 4);
  assert_is(0, n, 0);
  assert_int_equal(answer[1].slot[n].cause, TIDE_C_capacity);
  assert_true(answer[1].slot[n].unknown && answer[1].counted);
  assert_true(!answer[2].duplicate && answer[2].slot[n].cause == TIDE_C_capacity);
  assert_is(3, n, 1);
}

static void test_an_entity_goes_on_under_its_new_key(void **state) {
  (void)state;
  int n = feature((struct or_feature){.agg = OA_COUNT}, 10000);
  event(0, "a", 100);
  struct or_record *both = event(1, "b", 100);
  both->field[OF_PAN].text = "new";
  both->alt_pan = "p";
  event(2, "c", 100)->field[OF_PAN].text = "new";
  event(3, "d", 100)->field[OF_PAN].text = "other";
  assert_int_equal(run(), 4);
  assert_is(1, n, 1);
  assert_is(2, n, 2);
  assert_is(3, n, 0);
}

static void profile(int64_t time_ms, int64_t at_ms, const char *pan, int64_t cents) {
  struct or_record *r = record(OR_PROFILE, at_ms, "none");
  r->time_ms = time_ms;
  r->field[OF_PAN].text = pan;
  r->fact[0] = (struct or_datum){.has = true, .num = cents, .currency = "EUR", .exponent = 2};
}

static void test_facts_by_time_and_age(void **state) {
  (void)state;
  c.fact[c.fact_count++] = (struct or_fact){.name = "limit", .type = OT_MONEY};
  int limit = feature((struct or_feature){.agg = OA_FACT, .of = OO_FACT, .of_ref = 0}, 0);
  c.entity[0].facts_ms = 5000;
  c.entity[0].stale = -1;
  c.stale = -1;
  event(0, "a", 100); /* nobody told */
  profile(1000, 0, "p", 50000);
  event(999, "b", 100);  /* not yet */
  event(6000, "d", 100); /* just 5 s old */
  event(6001, "e", 100);
  profile(6000, 6001, "p", 70000);
  event(6001, "f", 100);
  event(5999, "g", 100); /* before the change */
  profile(6000, 6001, "other", 1);
  event(6002, "h", 100);
  assert_int_equal(run(), 7);
  assert_int_equal(answer[0].slot[limit].cause, TIDE_C_absent);
  assert_int_equal(answer[1].slot[limit].cause, TIDE_C_absent);
  assert_is(2, limit, 500);
  assert_int_equal(answer[2].slot[limit].state, TIDE_S_fresh);
  assert_true(answer[3].slot[limit].state == TIDE_S_stale && answer[3].slot[limit].unknown);
  assert_is(4, limit, 700);
  assert_is(5, limit, 500);
  assert_is(6, limit, 700);
  assert_int_equal(answer[6].standing[0].facts_age_ms, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_window_is_open_left_closed_right, begin),
      cmocka_unit_test_setup(test_hop_moves_only_the_left_edge, begin),
      cmocka_unit_test_setup(test_statistics, begin),
      cmocka_unit_test_setup(test_max_count_reaches_back_before_the_outer_window, begin),
      cmocka_unit_test_setup(test_states_in_their_order, begin),
      cmocka_unit_test_setup(test_outcomes_before_and_after, begin),
      cmocka_unit_test_setup(test_three_values, begin),
      cmocka_unit_test_setup(test_a_late_repetition_is_answered_as_the_first, begin),
      cmocka_unit_test_setup(test_a_lead_lets_in_what_is_slightly_ahead, begin),
      cmocka_unit_test_setup(test_a_full_kind_takes_no_new_key, begin),
      cmocka_unit_test_setup(test_an_entity_goes_on_under_its_new_key, begin),
      cmocka_unit_test_setup(test_facts_by_time_and_age, begin),
  };
  return cmocka_run_group_tests_name("recount", tests, NULL, NULL);
}
