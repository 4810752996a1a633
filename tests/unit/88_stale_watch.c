/* What a refusal for staleness turned out to be, as journals written by hand: right where something of its keys was on its way, false where nothing was,
 * unknown where nobody can tell. And the plain counts beside it: decisions judged, and those that read stale groups. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/stale_watch.h"
#include "tests/support/by_hand.h"

#define NOW INT64_C(1795255131000)
#define LATE (NOW + 60000) /* when requests come */

static const char features[] =
    "tidemark: 1\n"
    "name: watch\n"
    "event: {id: id, time: time}\n"
    "inputs: {default: {id: /id, time: {at: /time, as: epoch_ms}, card: {at: /card, optional: true}, shop: {at: /shop, optional: true}}}\n"
    "entities: {card: card, shop: shop, idle: shop}\n"
    "features:\n"
    "  card: {n: count over 10m with current}\n"
    "  shop: {n: count over 1m delayed 1m}\n"
    "freshness:\n"
    "  default: {budget: 1h}\n"
    "  card: {budget: 10s}\n"
    "policy: {decisions: [approve, decline], rules: [{V1: decline when card.n_10m > 30}, {else: approve}], fallback: [{else: decline}]}\n";
enum { CARD, SHOP, IDLE };
static struct hand h;

/* One source with two partitions, read to their ends at NOW; a request a minute later finds the card's group stale. */
static int open_cell(void **state) {
  (void)state;
  hand_open(&h, features);
  struct tide_source_info source = hand_source("auths", true, false);
  hand_declare(&h, &source, 1);
  for (uint16_t p = 0; p < 2; p++) hand_start(&h, "auths", p);
  hand_fold(&h, NOW);
  for (uint16_t p = 0; p < 2; p++) hand_facts(&h, "auths", p, 1, NOW, NOW, 100);
  hand_fold(&h, NOW);
  return 0;
}
static int close_cell(void **state) {
  (void)state;
  hand_close(&h);
  return 0;
}

static const struct tide_stale_stats *stats(void) { return tide_fold_stale_stats(h.fold); }
static void assert_verdicts(uint64_t right, uint64_t wrong, uint64_t unknown, uint32_t watched) {
  assert_int_equal(stats()->right, right);
  assert_int_equal(stats()->wrong, wrong);
  assert_int_equal(stats()->unknown, unknown);
  assert_int_equal(stats()->watched, watched);
}
static void refuse(const char *card) {
  const struct hand_answer *answer = hand_ask(&h, LATE, card, "s");
  assert_true(answer->refused);
  assert_int_equal(answer->cause, TIDE_C_stale);
}
/* Both partitions turn out to be complete up to `at_ms`; an event of this card and time among what came (NULL: only another card's, so that the source lives). */
static void catch_up(int64_t at_ms, const char *card, int64_t time_ms) {
  hand_facts(&h, "auths", 0, 1, at_ms, at_ms, 100);
  hand_event(&h, "auths", 0, card ? time_ms : at_ms - 1, card ? card : "another", "other");
  hand_facts(&h, "auths", 1, 0, at_ms, at_ms, 100);
  hand_fold(&h, at_ms);
}

static void nothing_came_so_the_refusal_was_false(void **state) {
  (void)state;
  refuse("c");
  assert_verdicts(0, 0, 0, 1); /* its own event is no proof */
  catch_up(LATE + 1000, NULL, 0);
  assert_verdicts(0, 0, 0, 1); /* complete up to 2 s before that only */
  catch_up(LATE + 3000, NULL, 0);
  assert_verdicts(0, 1, 0, 0);
  assert_int_equal(stats()->judged, 3); /* with those of the other card */
  assert_int_equal(stats()->stale[CARD], 1);
  assert_int_equal(stats()->stale[SHOP], 0); /* within its hour */
  assert_int_equal(stats()->stale[IDLE], 0); /* no feature reads it */
}

static void what_came_made_it_right(void **state) {
  (void)state;
  refuse("c");
  catch_up(LATE + 3000, "c", LATE - 5000);
  assert_verdicts(1, 0, 0, 0);
}

static void another_card_another_time_do_not(void **state) {
  (void)state;
  struct {
    const char *card;
    int64_t time_ms;
    uint64_t right;
  } row[] = {{"d", LATE - 5000, 0},   /* not this card's */
             {"c", LATE + 1, 0},      /* behind it */
             {"c", LATE - 600000, 0}, /* out of the window, which is open at its left */
             {"c", LATE - 600000 + 1, 1},
             {"c", LATE, 1}};
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    if (i) close_cell(NULL), open_cell(NULL);
    refuse("c");
    catch_up(LATE + 3000, row[i].card, row[i].time_ms);
    assert_verdicts(row[i].right, 1 - row[i].right, 0, 0);
  }
}

static void a_waiver_and_an_hour_without_news_leave_it_unknown(void **state) {
  (void)state;
  refuse("c");
  hand_waive(&h, "auths", 0, LATE + 600000);
  hand_facts(&h, "auths", 1, 1, LATE + 5000, LATE + 5000, 100);
  hand_event(&h, "auths", 1, LATE + 4999, "another", "other");
  hand_fold(&h, LATE + 5000);
  assert_verdicts(0, 0, 1, 0);
  hand_fold(&h, LATE + 700000);
  refuse("c");
  hand_fold(&h, LATE + 700000 + TIDE_STALE_WATCH_FOR_MS);
  assert_verdicts(0, 0, 1, 1);
  hand_fold(&h, LATE + 702000 + TIDE_STALE_WATCH_FOR_MS);
  assert_verdicts(0, 0, 2, 0);
}

static void more_than_can_be_watched_are_a_sample(void **state) {
  (void)state;
  char card[16];
  for (int i = 0; i < TIDE_STALE_WATCH_MAX + 40; i++) {
    snprintf(card, sizeof card, "c%d", i);
    hand_event(&h, NULL, 0, INT64_MIN, card, "s");
    if (i % 32 == 31) hand_fold(&h, LATE);
  }
  hand_fold(&h, LATE);
  assert_verdicts(0, 0, 0, TIDE_STALE_WATCH_MAX);
  assert_int_equal(stats()->stale[CARD], TIDE_STALE_WATCH_MAX + 40);
  hand_facts(&h, "auths", 0, 1, LATE + 3000, LATE + 3000, 100);
  hand_event(&h, "auths", 0, LATE - 1, "c7", "other");
  hand_facts(&h, "auths", 1, 1, LATE + 3000, LATE + 3000, 100);
  hand_event(&h, "auths", 1, LATE - 1, "c540", "other"); /* not watched any more */
  hand_fold(&h, LATE + 3000);
  assert_verdicts(1, TIDE_STALE_WATCH_MAX - 1, 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(nothing_came_so_the_refusal_was_false, open_cell, close_cell),
      cmocka_unit_test_setup_teardown(what_came_made_it_right, open_cell, close_cell),
      cmocka_unit_test_setup_teardown(another_card_another_time_do_not, open_cell, close_cell),
      cmocka_unit_test_setup_teardown(a_waiver_and_an_hour_without_news_leave_it_unknown, open_cell, close_cell),
      cmocka_unit_test_setup_teardown(more_than_can_be_watched_are_a_sample, open_cell, close_cell),
  };
  return cmocka_run_group_tests_name("stale_watch", tests, NULL, NULL);
}
