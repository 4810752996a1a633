/* The consequences of contract 6, each as a journal written by hand: what is refused, what is not, and what the answer says.
 *
 * Facts are given as the ingester would: `drained` while a partition is read to its end, `seen` with its messages, `delay` as it is. Times are relative to one
 * instant; the fold knows no other clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/fold_state.h"
#include "tests/support/by_hand.h"

#define NOW INT64_C(1795255131000) /* 2026-11-21T09:58:51Z */
#define MINUTE 60000
#define NEVER INT64_MIN

static const char features[] = "tidemark: 1\n"
                               "name: fresh\n"
                               "event: {id: id, time: time}\n"
                               "inputs:\n"
                               "  default:\n"
                               "    id: /id\n"
                               "    time: {at: /time, as: epoch_ms}\n"
                               "    card: {at: /card, optional: true}\n"
                               "    shop: {at: /shop, optional: true}\n"
                               "entities:\n"
                               "  card: card\n"
                               "  shop: shop\n"
                               "  pair: [card, shop]\n"
                               "features:\n"
                               "  card: {n: count over 10m with current}\n"
                               "  shop: {n: count over 10m with current}\n"
                               "  pair: {n: count over 10m with current}\n"
                               "freshness:\n"
                               "  card: {budget: 10s}\n"
                               "  shop: {budget: 15s, stale: mark}\n"
                               "  pair: {budget: 20s, stale: mark, consistency: eventual}\n"
                               "policy:\n"
                               "  decisions: [approve, decline]\n"
                               "  rules:\n"
                               "    - V1: decline when card.n_10m > 3\n"
                               "    - else: approve\n"
                               "  fallback:\n"
                               "    - else: decline\n";

enum { CARD, SHOP, PAIR };
static struct hand h;

static void assert_refused(const struct hand_answer *answer) {
  if (!answer->refused || answer->cause != TIDE_C_stale)
    fail_msg("not refused as stale: %s", tide_buf_cstr(&((struct hand_answer *)answer)->json));
  assert_int_equal(answer->slot[0].state, TIDE_S_stale);
  assert_true(answer->slot[0].unknown);
  assert_string_equal(answer->decision, "decline");
}
static void assert_fresh(const struct hand_answer *answer) {
  if (answer->refused) fail_msg("refused: %s", tide_buf_cstr(&((struct hand_answer *)answer)->json));
  assert_int_equal(answer->slot[0].state, TIDE_S_fresh);
  assert_int_equal(answer->standing[CARD].state, TIDE_S_fresh);
}
static void assert_says(const struct hand_answer *answer, const char *what) {
  const char *json = tide_buf_cstr(&((struct hand_answer *)answer)->json);
  if (!strstr(json, what)) fail_msg("no %s in %s", what, json);
}

/* A cell with the source `auths` of so many partitions, all read to their ends at `at_ms` after a message each. */
static void open_cell(bool keyed, uint16_t partitions, int64_t at_ms) {
  hand_open(&h, features);
  struct tide_source_info source = hand_source("auths", true, keyed);
  hand_declare(&h, &source, 1);
  for (uint16_t p = 0; p < partitions; p++) hand_start(&h, "auths", p);
  hand_fold(&h, at_ms);
  for (uint16_t p = 0; p < partitions; p++) hand_facts(&h, "auths", p, 1, at_ms, at_ms, 100);
  hand_fold(&h, at_ms);
}

static int close_cell(void **state) {
  (void)state;
  hand_close(&h);
  return 0;
}

/* ---- forms of the incident ---- */

static void a_backlog_in_kafka_is_scored_and_requests_of_now_are_refused(void **state) {
  (void)state;
  int64_t then = NOW - 90 * MINUTE;
  open_cell(false, 4, then);
  assert_fresh(hand_ask(&h, then + 500, "c", "s"));
  const char *card[] = {"a", "b", "c", "d"};
  for (int i = 1; i <= 600; i++) { /* the consumer was away and reads on: 90 minutes behind the clock */
    int64_t time = then + i * 5000;
    for (uint16_t p = 0; p < 4; p++) {
      hand_facts(&h, "auths", p, 1, time + p, then, 100);
      hand_event(&h, "auths", p, time + p, card[p], "s");
    }
    hand_fold(&h, NOW + i);
    assert_int_equal(h.answers, 4);
    for (int a = 0; a < 4; a++) {
      assert_int_equal(h.answer[a].standing[CARD].state, TIDE_S_fresh);
      assert_int_equal(h.answer[a].standing[SHOP].state, TIDE_S_fresh);
      assert_int_equal(h.answer[a].slot[0].unknown, false);
      assert_int_equal(h.answer[a].refused, false);
    }
    if (i % 100) continue;
    const struct hand_answer *answer = hand_ask(&h, NOW + i, "a", "s");
    assert_refused(answer);
    assert_int_equal(answer->standing[CARD].age_ms, NOW + i - (time - 2000)); /* the least of the four */
  }
  for (uint16_t p = 0; p < 4; p++) hand_facts(&h, "auths", p, 0, NOW + 700, NOW + 700, 100);
  hand_fold(&h, NOW + 1000);
  const struct hand_answer *answer = hand_ask(&h, NOW + 1000, "a", "s");
  assert_fresh(answer);
  assert_int_equal(answer->standing[CARD].age_ms, 2300); /* drained 300 ms ago, less out_of_orderness */
}

static void a_queue_upstream_is_seen_by_the_delay_while_the_log_is_read_to_its_end(void **state) {
  (void)state;
  open_cell(false, 1, NOW - 91 * MINUTE);
  hand_facts(&h, "auths", 0, 0, NEVER, NOW - 1000, 0); /* nothing comes for an hour and a half, and then what comes is 90 minutes old */
  assert_refused(hand_ask(&h, NOW - 1000, "c", "s"));
  hand_facts(&h, "auths", 0, 1, NOW - 90 * MINUTE, NOW, 90 * MINUTE);
  hand_event(&h, "auths", 0, NOW - 90 * MINUTE, "c", "s");
  hand_fold(&h, NOW);
  assert_int_equal(h.answers, 1);
  assert_fresh(&h.answer[0]); /* for its own time everything is there */
  assert_refused(hand_ask(&h, NOW, "c", "s"));
  /* Some that are punctual among many that are not change nothing. */
  hand_facts(&h, "auths", 0, 1, NOW + 900, NOW + 1000, 90 * MINUTE);
  hand_fold(&h, NOW + 1000);
  const struct hand_answer *answer = hand_ask(&h, NOW + 1000, "c", "s");
  assert_refused(answer);
  assert_int_equal(answer->standing[CARD].age_ms, 90 * MINUTE);
  /* The queue is empty: recovery by itself. */
  hand_facts(&h, "auths", 0, 1, NOW + 61000, NOW + 61000, 150);
  hand_fold(&h, NOW + 61000);
  assert_fresh(hand_ask(&h, NOW + 61000, "c", "s"));
}

static void a_silent_source_is_refused_after_its_silence(void **state) {
  (void)state;
  open_cell(false, 2, NOW);
  for (int second = 1; second <= 30; second++) { /* engines tell that the log has no more */
    hand_facts(&h, "auths", 0, 0, NOW, NOW + second * 1000, 100);
    hand_facts(&h, "auths", 1, 0, NOW, NOW + second * 1000, 100);
    assert_fresh(hand_ask(&h, NOW + second * 1000, "c", "s"));
  }
  hand_facts(&h, "auths", 0, 0, NOW, NOW + 30001, 100);
  hand_facts(&h, "auths", 1, 0, NOW, NOW + 30001, 100);
  const struct hand_answer *answer = hand_ask(&h, NOW + 30001, "c", "s");
  assert_refused(answer); /* nobody heard of it since NOW */
  assert_int_equal(answer->standing[CARD].complete_ms, NOW - 2000);
  hand_facts(&h, "auths", 1, 1, NOW, NOW + 31000, 100); /* a heartbeat record on one partition is a sign of life of the whole source */
  hand_facts(&h, "auths", 0, 0, NOW, NOW + 31000, 100);
  hand_heartbeat(&h, "auths", 1, NOW + 31000);
  hand_fold(&h, NOW + 31000);
  assert_fresh(hand_ask(&h, NOW + 31000, "c", "s"));
}

static void a_quiet_night_with_heartbeats_is_fresh(void **state) {
  (void)state;
  open_cell(false, 3, NOW);
  for (int i = 1; i <= 8 * 60 * 3; i++) {
    int64_t at = NOW + i * 20000;
    for (uint16_t p = 0; p < 3; p++) hand_facts(&h, "auths", p, p == i % 3, NOW, at, 0);
    hand_heartbeat(&h, "auths", (uint16_t)(i % 3), at);
    hand_fold(&h, at);
    assert_fresh(hand_ask(&h, at + 900, "c", "s"));
  }
}

static void an_idle_partition_beside_busy_ones_is_fresh(void **state) {
  (void)state;
  open_cell(false, 2, NOW);
  for (int i = 1; i <= 600; i++) { /* ten minutes: far beyond `silence` */
    int64_t at = NOW + i * 1000;
    hand_facts(&h, "auths", 0, 1, at - 50, at - 200, 60);
    hand_event(&h, "auths", 0, at - 50, "c", "s");
    hand_facts(&h, "auths", 1, 0, NEVER, at - 200, 0);
    hand_fold(&h, at);
    assert_int_equal(h.answer[0].standing[SHOP].state, TIDE_S_fresh);
    assert_fresh(hand_ask(&h, at + 500, "z", "s"));
  }
}

/* ---- one stuck partition ---- */

static int refused_of_forty(uint16_t partitions, int64_t now_ms) {
  char card[8];
  int refused = 0;
  for (int i = 0; i < 40; i++) {
    snprintf(card, sizeof card, "k%d", i);
    const struct hand_answer *answer = hand_ask(&h, now_ms, card, "s");
    if (answer->refused) {
      assert_refused(answer);
      assert_int_equal(answer->standing[CARD].partition, 2);
      refused++;
    } else {
      assert_int_not_equal(i % partitions, 2);
    }
  }
  return refused;
}

/* Forty cards, spread over the partitions by number, and then partition 2 stands still for a minute. */
static void stick(bool keyed) {
  char card[8];
  open_cell(keyed, 4, NOW - 5 * MINUTE);
  for (int i = 0; i < 40; i++) {
    snprintf(card, sizeof card, "k%d", i);
    hand_facts(&h, "auths", (uint16_t)(i % 4), 1, NOW - 4 * MINUTE, NOW - 4 * MINUTE, 100);
    hand_event(&h, "auths", (uint16_t)(i % 4), NOW - 4 * MINUTE, card, "s");
    hand_fold(&h, NOW - 4 * MINUTE);
  }
  for (uint16_t p = 0; p < 4; p++) hand_facts(&h, "auths", p, 1, NOW - MINUTE, p == 2 ? NOW - MINUTE : NOW, 100);
  hand_fold(&h, NOW);
}

static void a_stuck_partition_of_a_keyed_source_refuses_its_cards_alone(void **state) {
  (void)state;
  stick(true);
  assert_int_equal(refused_of_forty(4, NOW), 10);
  const struct hand_answer *answer = hand_ask(&h, NOW, "k1", "s");
  assert_int_equal(answer->standing[PAIR].state, TIDE_S_fresh); /* pairs are of one card each */
  assert_int_equal(answer->standing[SHOP].state, TIDE_S_stale); /* a shop's events come in all partitions */
  assert_int_equal(answer->slot[1].state, TIDE_S_stale);
  assert_false(answer->slot[1].unknown); /* marked, as its policy wants */
  assert_refused(hand_ask(&h, NOW, "never seen", "s"));
  hand_facts(&h, "auths", 3, 1, NOW, NOW, 100); /* a message of another partition is judged by that one */
  hand_event(&h, "auths", 3, NOW, "new here", "s");
  hand_fold(&h, NOW);
  assert_fresh(&h.answer[0]);
  assert_fresh(hand_ask(&h, NOW, "new here", "s")); /* and from then on its card is known to come there */
}

static void a_stuck_partition_of_a_source_without_a_key_refuses_all(void **state) {
  (void)state;
  stick(false);
  assert_int_equal(hand_ask(&h, NOW, "k2", "s")->refused, true);
  assert_refused(hand_ask(&h, NOW, "k1", "s"));
  hand_facts(&h, "auths", 3, 1, NOW, NOW, 100);
  hand_event(&h, "auths", 3, NOW, "k3", "s");
  hand_fold(&h, NOW);
  assert_refused(&h.answer[0]);
}

static void a_source_that_grew_may_have_moved_its_cards(void **state) {
  (void)state;
  stick(true);
  hand_start(&h, "auths", 4);
  hand_facts(&h, "auths", 3, 1, NOW, NOW, 100);
  hand_fold(&h, NOW);
  hand_facts(&h, "auths", 4, 0, NEVER, NOW, 0);
  hand_fold(&h, NOW);
  assert_refused(hand_ask(&h, NOW, "k1", "s")); /* it could come in 2 by now */
  hand_facts(&h, "auths", 1, 1, NOW, NOW, 100);
  hand_event(&h, "auths", 1, NOW, "k1", "s");
  hand_fold(&h, NOW);
  assert_fresh(hand_ask(&h, NOW, "k1", "s"));
}

static void a_card_keeps_its_partition_through_a_snapshot(void **state) {
  (void)state;
  stick(true);
  struct tide_fold *again = tide_fold_new();
  struct tide_buf chunk = TIDE_BUF_INIT;
  struct tide_error error = {0};
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) {
    unsigned number = i == 0 ? TIDE_SHARDS : i - 1;
    tide_buf_clear(&chunk);
    tide_fold_save(h.fold, number, &chunk);
    assert_int_equal(tide_fold_load(again, number, tide_buf_span(&chunk), &error), TIDE_OK);
  }
  tide_buf_release(&chunk);
  uint64_t before = tide_fold_digest(h.fold).state_hash;
  tide_fold_free(h.fold);
  h.fold = again;
  assert_true(tide_fold_digest(h.fold).state_hash == before);
  assert_int_equal(refused_of_forty(4, NOW), 10);
}

/* ---- waivers, and sources that are not as the feature file thinks ---- */

static void a_waiver_is_said_in_every_answer_and_ends(void **state) {
  (void)state;
  stick(false);
  hand_waive(&h, "auths", 2, NOW + MINUTE);
  hand_fold(&h, NOW);
  const struct hand_answer *answer = hand_ask(&h, NOW, "k1", "s");
  assert_false(answer->refused);
  assert_int_equal(answer->slot[0].state, TIDE_S_waived);
  assert_int_equal(answer->standing[SHOP].state, TIDE_S_waived);
  assert_int_equal(answer->standing[CARD].age_ms, 2000);
  assert_says(answer, "\"card\":{\"state\":\"waived\",\"age_ms\":2000}");
  hand_facts(&h, "auths", 3, 0, NOW, NOW + 20000, 100); /* the others are still waited for: 0 and 1 stand */
  assert_refused(hand_ask(&h, NOW + 20000, "k1", "s"));
  for (uint16_t p = 0; p < 4; p++)
    if (p != 2) hand_facts(&h, "auths", p, 1, NOW + 20000, NOW + MINUTE, 100);
  assert_false(hand_ask(&h, NOW + MINUTE - 1, "k1", "s")->refused);
  assert_refused(hand_ask(&h, NOW + MINUTE, "k1", "s")); /* its time is over */
  hand_waive(&h, "auths", TIDE_PARTITION_ALL, NOW + 2 * MINUTE);
  hand_fold(&h, NOW + MINUTE);
  answer = hand_ask(&h, NOW + 110000, "k1", "s");
  assert_int_equal(answer->slot[0].state, TIDE_S_waived);
  assert_int_equal(answer->standing[CARD].age_ms, 0);
  hand_waive(&h, "auths", TIDE_PARTITION_ALL, 0); /* taken back */
  hand_fold(&h, NOW + 110000);
  assert_refused(hand_ask(&h, NOW + 110000, "k1", "s"));
}

static void what_was_never_read_is_not_complete(void **state) {
  (void)state;
  hand_open(&h, features);
  const struct hand_answer *answer = hand_ask(&h, NOW, "c", "s"); /* no sources: nothing can be on its way */
  assert_fresh(answer);
  assert_says(answer, "\"card\":{\"state\":\"fresh\",\"age_ms\":0}");
  assert_says(answer, "\"pair\":{\"state\":\"fresh\",\"age_ms\":0,\"consistency\":\"eventual\"}");
  struct tide_source_info source[] = {hand_source("auths", true, false), hand_source("labels", false, false)};
  hand_declare(&h, source, 2);
  hand_fold(&h, NOW);
  answer = hand_ask(&h, NOW, "c", "s");
  assert_refused(answer);
  assert_says(answer, "\"detail\":\"auths has no partition that is known yet, budget of card 10s\"");
  assert_says(answer, "\"card\":{\"state\":\"stale\",\"age_ms\":null,\"source\":\"auths\",\"as_of\":null}");
  hand_start(&h, "auths", 7);
  hand_start(&h, "labels", 0);
  hand_fold(&h, NOW);
  answer = hand_ask(&h, NOW, "c", "s");
  assert_says(answer, "\"detail\":\"auths/7 is not known to be complete at any time, budget of card 10s\"");
  hand_facts(&h, "auths", 7, 1, NOW, NOW, 100);
  hand_fold(&h, NOW);
  assert_fresh(hand_ask(&h, NOW, "c", "s"));   /* labels were never read and do not gate */
  answer = hand_ask(&h, NOW + 8001, "c", "s"); /* nothing is heard of it: NOW - 2 s is the last that is certain */
  assert_refused(answer);
  assert_says(answer, "\"cause\":\"stale\",\"detail\":\"auths/7 complete as of 09:58:49, budget of card 10s\"");
  assert_says(answer, "\"source\":\"auths/7\",\"as_of\":\"2026-11-21T09:58:49.000Z\"");
  answer = hand_ask(&h, NOW + 86400000, "c", "s");
  assert_says(answer, "auths/7 complete as of 2026-11-21 09:58:49, budget of card 10s");
}

static void a_group_may_name_its_sources(void **state) {
  (void)state;
  static const char head[] = "freshness:\n  card: {budget: 10s", tail[] = "}\n";
  char text[sizeof features + 64];
  const char *at = strstr(features, head);
  snprintf(text, sizeof text, "%.*s%s, sources: [auths]%s", (int)(at - features), features, head, strstr(at, tail));
  hand_open(&h, text);
  struct tide_source_info source[] = {hand_source("other", true, false), hand_source("auths", true, false)};
  assert_fresh(hand_ask(&h, NOW, "c", "s"));
  hand_declare(&h, source, 1);
  hand_start(&h, "other", 0);
  hand_fold(&h, NOW);
  hand_facts(&h, "other", 0, 1, NOW, NOW, 0);
  const struct hand_answer *answer = hand_ask(&h, NOW, "c", "s");
  assert_refused(answer); /* the cell does not have what it waits for */
  assert_says(answer, "auths is no source of this cell, budget of card 10s");
  assert_int_equal(answer->standing[SHOP].state, TIDE_S_fresh);
  hand_declare(&h, source, 2);
  hand_start(&h, "auths", 0);
  hand_fold(&h, NOW);
  hand_facts(&h, "auths", 0, 1, NOW + MINUTE, NOW + MINUTE, 0); /* `other` stands still */
  answer = hand_ask(&h, NOW + MINUTE, "c", "s");
  assert_fresh(answer);
  assert_int_equal(answer->standing[SHOP].state, TIDE_S_stale);
  source[1].gates = false; /* named, but by the operator's word it holds no score back */
  hand_declare(&h, source, 2);
  hand_fold(&h, NOW + 2 * MINUTE);
  assert_fresh(hand_ask(&h, NOW + 10 * MINUTE, "c", "s"));
}

/* ---- questions, and time ---- */

static struct hand_answer asked;
static struct tide_etime asked_at;
static void hear_one(void *ctx, const struct tide_answer *answer) {
  (void)ctx;
  asked.features_known = answer->features_known;
  asked.slot[0] = answer->slot[0];
  asked.standing[CARD] = answer->standing[CARD];
  asked_at = answer->time;
}

/* The features of the card "k1" as somebody asks for them whose clock says `now_ms`; as of when. */
static struct tide_etime ask_about_now(int64_t now_ms, double *ret_count) {
  static struct tide_record record;
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  record = (struct tide_record){.type = TIDE_REC_EVENT, .flags = TIDE_REC_STAMPED, .time.ms = now_ms};
  hand_put(&h, "card", "k1", &record);
  assert_int_equal(tide_record_encode(h.spec, &record, &bytes), TIDE_OK);
  assert_int_equal(tide_fold_ask(h.fold, TIDE_ASK_FEATURES, 0, tide_buf_span(&bytes), TIDE_C_none, hear_one, NULL, &error), TIDE_OK);
  tide_buf_release(&bytes);
  *ret_count = asked.slot[0].num;
  return asked_at;
}

static void now_is_not_before_what_was_stamped(void **state) {
  (void)state;
  double count;
  hand_open(&h, features);
  hand_event(&h, NULL, 0, INT64_MIN, "k1", "s"); /* stamped by an engine whose clock is ahead */
  hand_fold(&h, NOW + 400);
  assert_int_equal(ask_about_now(NOW, &count).ms, NOW + 400);
  assert_true(count == 1);
  hand_fold(&h, NOW + 450); /* the next stamp would be that */
  assert_int_equal(ask_about_now(NOW + 420, &count).ms, NOW + 450);
  assert_int_equal(ask_about_now(NOW + 1000, &count).ms, NOW + 1000);
  assert_true(count == 1);
  assert_int_equal(ask_about_now(NOW + 10 * MINUTE + 400, &count).ms, NOW + 10 * MINUTE + 400);
  assert_true(count == 0); /* the window is over: the asker's clock counts where it is ahead */
}

static void a_question_hears_the_same_states(void **state) {
  (void)state;
  static const struct {
    const char *card;
    uint8_t state;
  } row[] = {{"k1", TIDE_S_fresh}, {"k2", TIDE_S_stale}, {"nobody", TIDE_S_stale}};
  stick(true);
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    static struct tide_record record;
    struct tide_buf bytes = TIDE_BUF_INIT;
    struct tide_error error = {0};
    record = (struct tide_record){.type = TIDE_REC_EVENT, .flags = TIDE_REC_STAMPED};
    hand_put(&h, "card", row[i].card, &record);
    assert_int_equal(tide_record_encode(h.spec, &record, &bytes), TIDE_OK);
    struct tide_digest before = tide_fold_digest(h.fold);
    assert_int_equal(tide_fold_ask(h.fold, TIDE_ASK_FEATURES, 0, tide_buf_span(&bytes), TIDE_C_none, hear_one, NULL, &error), TIDE_OK);
    assert_true(asked.features_known);
    assert_int_equal(asked.slot[0].state, row[i].state);
    assert_int_equal(asked.standing[CARD].state, row[i].state);
    assert_true(tide_fold_digest(h.fold).state_hash == before.state_hash);
    tide_buf_release(&bytes);
  }
}

static void the_watermark_is_that_of_what_gates(void **state) {
  (void)state;
  hand_open(&h, features);
  struct tide_source_info source[] = {hand_source("auths", true, false), hand_source("labels", false, false)};
  hand_ask(&h, NOW - 90 * MINUTE, "c", "s");
  assert_int_equal(tide_fold_watermark(h.fold), NOW - 90 * MINUTE);
  hand_declare(&h, source, 2);
  hand_start(&h, "auths", 0);
  hand_start(&h, "auths", 1);
  hand_start(&h, "labels", 0);
  hand_fold(&h, NOW - 80 * MINUTE);
  hand_ask(&h, NOW - 80 * MINUTE, "c", "s");
  assert_int_equal(tide_fold_watermark(h.fold), NOW - 90 * MINUTE); /* what the partitions hold may be older */
  hand_facts(&h, "auths", 0, 1, NOW - 70 * MINUTE, NEVER, 0);
  hand_event(&h, "auths", 0, NOW - 70 * MINUTE, "c", "s");
  hand_fold(&h, NOW);
  assert_int_equal(tide_fold_watermark(h.fold), NOW - 90 * MINUTE);
  hand_facts(&h, "auths", 1, 1, NOW - 75 * MINUTE, NEVER, 0);
  hand_event(&h, "auths", 1, NOW - 75 * MINUTE, "c", "s");
  hand_fold(&h, NOW);
  assert_int_equal(tide_fold_watermark(h.fold), NOW - 75 * MINUTE);
  hand_facts(&h, "auths", 1, 0, NEVER, NOW - 1000, 0); /* drained counts as far as it is */
  hand_fold(&h, NOW);
  assert_int_equal(tide_fold_watermark(h.fold), NOW - 70 * MINUTE);
  hand_facts(&h, "auths", 0, 0, NEVER, NOW + MINUTE, 0); /* but nothing is beyond the commit time */
  hand_fold(&h, NOW);
  assert_int_equal(tide_fold_watermark(h.fold), NOW - 1000);
  hand_facts(&h, "auths", 1, 1, NEVER, NOW - 1000, 0); /* an old one does not take it back, one of the future does not push it */
  hand_event(&h, "auths", 1, NOW - 60 * MINUTE, "c", "s");
  hand_event(&h, "auths", 1, NOW + 50000, "c", "s");
  hand_fold(&h, NOW + 5000);
  assert_int_equal(tide_fold_watermark(h.fold), NOW);
  hand_facts(&h, "labels", 0, 1, NOW, NOW, 0);
  hand_event(&h, "labels", 0, NOW, "c", "s"); /* an advice of a source that does not gate */
  hand_fold(&h, NOW + 6000);
  assert_int_equal(tide_fold_watermark(h.fold), NOW);
}

/* The last of a backlog are folded in the very entry that says that the log has been read to its end, hours after their time. */
static void the_end_of_a_backlog_does_not_outrun_its_last_messages(void **state) {
  (void)state;
  int64_t then = NOW - 180 * MINUTE; /* older than the windows reach back beyond now, grace included */
  open_cell(false, 1, then - MINUTE);
  hand_facts(&h, "auths", 0, 1, then, NOW, 100);
  hand_event(&h, "auths", 0, then, "c", "s");
  hand_fold(&h, NOW);
  assert_int_equal(h.answers, 1);
  assert_fresh(&h.answer[0]);
  assert_int_equal(tide_fold_watermark(h.fold), NOW); /* behind them it counts */
  hand_event(&h, "auths", 0, then, "c", "s");
  hand_fold(&h, NOW);
  assert_int_equal(h.answers, 1);
  assert_true(h.answer[0].refused);
  assert_int_equal(h.answer[0].cause, TIDE_C_too_late);
}

static void a_cell_whose_sources_do_not_gate_still_has_a_watermark(void **state) {
  (void)state;
  hand_open(&h, features);
  struct tide_source_info source = hand_source("labels", false, false);
  hand_declare(&h, &source, 1);
  hand_start(&h, "labels", 0);
  hand_fold(&h, NOW);
  assert_fresh(hand_ask(&h, NOW, "c", "s"));
  hand_facts(&h, "labels", 0, 1, NOW + MINUTE, NOW, 0);
  hand_event(&h, "labels", 0, NOW + MINUTE, "c", "s");
  hand_fold(&h, NOW + MINUTE);
  assert_int_equal(tide_fold_watermark(h.fold), NOW + MINUTE);
  assert_fresh(hand_ask(&h, NOW + 10 * MINUTE, "c", "s"));
  assert_int_equal(tide_fold_watermark(h.fold), NOW + 10 * MINUTE);
}

static void facts_of_no_sense_do_no_harm(void **state) {
  (void)state;
  static const int64_t odd[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX};
  for (int i = 0; i < 5 * 5 * 5; i++) {
    open_cell(true, 1, NOW);
    hand_facts(&h, "auths", 0, 1, odd[i % 5], odd[i / 5 % 5], odd[i / 25]);
    hand_event(&h, "auths", 0, NOW, "c", "s");
    hand_fold(&h, NOW);
    assert_int_equal(h.answers, 1);
    assert_true(h.answer[0].standing[CARD].age_ms >= 0);
    assert_true(hand_ask(&h, NOW + MINUTE, "c", "s")->refused); /* nothing can be complete ahead of the commit time */
    hand_close(&h);
  }
  hand_open(&h, features);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_backlog_in_kafka_is_scored_and_requests_of_now_are_refused, close_cell),
      cmocka_unit_test_teardown(a_queue_upstream_is_seen_by_the_delay_while_the_log_is_read_to_its_end, close_cell),
      cmocka_unit_test_teardown(a_silent_source_is_refused_after_its_silence, close_cell),
      cmocka_unit_test_teardown(a_quiet_night_with_heartbeats_is_fresh, close_cell),
      cmocka_unit_test_teardown(an_idle_partition_beside_busy_ones_is_fresh, close_cell),
      cmocka_unit_test_teardown(a_stuck_partition_of_a_keyed_source_refuses_its_cards_alone, close_cell),
      cmocka_unit_test_teardown(a_stuck_partition_of_a_source_without_a_key_refuses_all, close_cell),
      cmocka_unit_test_teardown(a_source_that_grew_may_have_moved_its_cards, close_cell),
      cmocka_unit_test_teardown(a_card_keeps_its_partition_through_a_snapshot, close_cell),
      cmocka_unit_test_teardown(a_waiver_is_said_in_every_answer_and_ends, close_cell),
      cmocka_unit_test_teardown(what_was_never_read_is_not_complete, close_cell),
      cmocka_unit_test_teardown(a_group_may_name_its_sources, close_cell),
      cmocka_unit_test_teardown(now_is_not_before_what_was_stamped, close_cell),
      cmocka_unit_test_teardown(a_question_hears_the_same_states, close_cell),
      cmocka_unit_test_teardown(the_watermark_is_that_of_what_gates, close_cell),
      cmocka_unit_test_teardown(the_end_of_a_backlog_does_not_outrun_its_last_messages, close_cell),
      cmocka_unit_test_teardown(a_cell_whose_sources_do_not_gate_still_has_a_watermark, close_cell),
      cmocka_unit_test_teardown(facts_of_no_sense_do_no_harm, close_cell),
  };
  return cmocka_run_group_tests_name("freshness", tests, NULL, NULL);
}
