/* Time between a decision and its caller: the last check at release, and requests that wait to be judged again.
 *
 * The journal's decision never depends on when somebody was told of it; what he is told does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/control.h"
#include "feature/reads.h"
#include "tests/support/core_rig.h"

static const char head[] =
    "tidemark: 1\n"
    "name: release\n"
    "event: {id: id, time: time}\n"
    "inputs: {default: {id: /id, time: {at: /time, as: epoch_ms, optional: true}, card: {at: /card, optional: true}, shop: {at: /shop, optional: true}}}\n"
    "entities: {card: card, shop: shop}\n"
    "features:\n"
    "  card: {n: count over 10m with current}\n"
    "  shop: {n: count over 10m with current}\n"
    "derived: {many: \"card.n_10m > 100\"}\n";
static const char tail[] = "policy:\n"
                           "  decisions: [approve, review, decline]\n"
                           "  rules:\n"
                           "    - D1: decline when many\n"
                           "    - R1: review when card.n_10m > 3\n"
                           "    - S1: shadow decline when shop.n_10m > 1000\n"
                           "    - else: approve\n"
                           "  fallback:\n"
                           "    - else: review\n";

static struct rig r;

static void open_with(const char *freshness, bool sourced) {
  char text[sizeof head + sizeof tail + 300];
  snprintf(text, sizeof text, "%sfreshness:\n%s%s", head, freshness, tail);
  rig_open(&r, text, sourced);
}

static const char *answer(void) { return r.last ? tide_buf_cstr(&r.last->answer) : ""; }

static void assert_says(const char *what) {
  if (!strstr(answer(), what)) fail_msg("no %s in %s", what, answer());
}

/* A request whose entry is acknowledged only after so long. */
static void acknowledged_after(int64_t ms) {
  unsigned before = r.back;
  r.slow = true;
  rig_offer(&r, rig_request(&r, NULL, "c", 0));
  rig_settle(&r);
  assert_int_equal(r.back, before);
  rig_stand_still(&r, ms);
  r.slow = false;
  rig_sync(&r);
  rig_settle(&r);
  assert_int_equal(r.back, before + 1);
  assert_int_equal(r.last->end, TIDE_END_done);
}

static void assert_scored(void) {
  assert_says("\"status\":\"scored\"");
  assert_false(r.last->late);
  assert_int_equal(r.last->told.status, TIDE_STATUS_SCORED);
}

static void assert_late(void) {
  assert_says("\"status\":\"refused\",\"decision\":\"review\",\"by\":\"fallback.else\"");
  assert_says("\"cause\":\"stale\",\"detail\":\"the decision took ");
  assert_says("\"counted\":true");
  assert_true(r.last->late);
  assert_int_equal(r.last->told.cause, TIDE_C_stale);
  assert_int_equal(r.last->told.status, TIDE_STATUS_REFUSED);
  assert_true(r.last->told.counted);
}

static void what_took_too_long_is_refused_at_its_release(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", false);
  acknowledged_after(10000); /* the budget itself is fresh */
  assert_scored();
  acknowledged_after(10001);
  assert_late();
  assert_says("beyond the budget of card 10s");
  assert_int_equal(tide_core_stats(r.core).late, 1);
  acknowledged_after(1); /* recovery needs nothing */
  assert_scored();
  assert_says("\"card.n_10m\":3"); /* what was refused had counted */
  rig_close(&r);
}

static void what_it_was_behind_at_its_position_counts_too(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", true);
  rig_pass(&r, 4000); /* nothing new is known of the source */
  acknowledged_after(6000);
  assert_scored();
  rig_drained(&r, r.wall_ms);
  rig_pass(&r, 4000);
  acknowledged_after(6001);
  assert_late();
  rig_close(&r);
}

static void the_journal_keeps_the_decision(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", false);
  r.slow = true;
  rig_offer(&r, rig_request(&r, "x", "c", 0));
  rig_settle(&r);
  rig_stand_still(&r, 11000);
  r.slow = false;
  rig_sync(&r);
  rig_settle(&r);
  assert_late();
  char position[TIDE_POSITION_TEXT], member[80];
  snprintf(member, sizeof member, "\"position\":\"%s\"", tide_position_text(r.last->position, r.last->index, position));
  assert_says(member);
  /* A retry gets what the cell decided, and so does a lookup. */
  rig_offer(&r, rig_request(&r, "x", "c", 0));
  rig_settle(&r);
  assert_scored();
  assert_says("\"duplicate\":true");
  assert_says("\"decision\":\"approve\"");
  struct tide_offer *lookup = rig_request(&r, "x", "c", 0);
  lookup->kind = TIDE_OFFER_LOOKUP;
  rig_offer(&r, lookup);
  rig_settle(&r);
  assert_says("\"status\":\"scored\"");
  /* And so does whoever folds the journal. */
  struct tide_fold *fold = tide_fold_new();
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position at = {0, 0};
  struct tide_error error = {0};
  while (r.journal->ops->read(r.journal, at, false, &bytes, &at, &error) == TIDE_OK)
    assert_int_equal(tide_fold_entry(fold, at, tide_buf_span(&bytes), NULL, NULL, &error), TIDE_OK);
  struct tide_digest ours = tide_fold_digest(fold), theirs = tide_fold_digest(tide_core_fold(r.core));
  assert_int_equal(ours.state_hash, theirs.state_hash);
  assert_int_equal(ours.digest.lo, theirs.digest.lo);
  tide_buf_release(&bytes);
  tide_fold_free(fold);
  rig_close(&r);
}

static void a_copy_that_arrives_late_counts_as_late(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", false);
  r.unlogged = true;
  struct tide_offer *offer = rig_request(&r, NULL, "c", 0);
  offer->log = true;
  rig_offer(&r, offer);
  rig_settle(&r);
  assert_int_equal(r.back, 0); /* folded and durable, and not safe yet */
  rig_stand_still(&r, 12000);
  rig_step(&r, &(struct tide_core_event){.kind = TIDE_CORE_LOGGED, .number = r.log_number});
  rig_settle(&r);
  assert_int_equal(r.back, 1);
  assert_late();
  rig_close(&r);
}

/* Whoever reads the copy puts it behind the request, so no request is the repetition of its own copy. */
static void a_copy_leaves_when_its_request_has_a_position(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", false);
  struct tide_offer *offer = rig_request(&r, NULL, "c", 0);
  unsigned before = r.appends;
  offer->log = true;
  rig_offer(&r, offer);
  rig_settle(&r);
  assert_int_equal(r.logged_behind, before + 1);
  assert_int_equal(r.back, 1);
  rig_close(&r);
}

static void the_wall_clock_tells_where_the_other_slept(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", false);
  r.slow = true;
  rig_offer(&r, rig_request(&r, NULL, "c", 0));
  rig_settle(&r);
  r.wall_ms += 10001; /* the machine was suspended */
  r.slow = false;
  rig_sync(&r);
  rig_settle(&r);
  assert_late();
  r.slow = true;
  rig_offer(&r, rig_request(&r, NULL, "c", 0));
  rig_settle(&r);
  r.wall_ms -= 3600000; /* and set back: the monotonic clock tells */
  r.mono_ms += 10001;
  r.slow = false;
  rig_sync(&r);
  rig_settle(&r);
  assert_late();
  rig_close(&r);
}

/* Every stale policy x level x how it stands: too late at release, stale at its position, both, neither. What is told, whether it waited, and what the journal has. */
enum { PROMPT, LATE, BEHIND, BOTH, FORMS };
static void every_cell(void **state) {
  (void)state;
  static const char *const policy[] = {"fallback", "mark", "default 0", "recompute"}, *const level[] = {"strong", "quorum", "eventual"};
  static const struct {
    bool refused, late, waits;
  } want[4][FORMS] = {{{false, false, false}, {true, true, false}, {true, false, false}, {true, false, false}},
                      {{false, false, false}, {false, false, false}, {false, false, false}, {false, false, false}},
                      {{false, false, false}, {false, false, false}, {false, false, false}, {false, false, false}},
                      {{false, false, false}, {true, true, false}, {true, false, true}, {true, false, true}}};
  for (int p = 0; p < 4; p++)
    for (int l = 0; l < 3; l++)
      for (int form = 0; form < FORMS; form++) {
        char text[100];
        snprintf(text, sizeof text, "  card: {budget: 10s, stale: %s, consistency: %s}\n", policy[p], level[l]);
        open_with(text, true);
        if (form == BEHIND || form == BOTH) rig_pass(&r, 10001);
        r.slow = form == LATE || form == BOTH;
        rig_offer(&r, rig_request(&r, NULL, "c", 0));
        rig_settle(&r);
        rig_pass(&r, 1010);
        if (r.slow) {
          rig_stand_still(&r, 9500);
          r.slow = false;
          rig_sync(&r);
          rig_settle(&r);
        }
        assert_int_equal(r.back, 1);
        bool refused = r.last->told.status == TIDE_STATUS_REFUSED, waited = tide_core_stats(r.core).recomputed > 0;
        if (refused != want[p][form].refused || r.last->late != want[p][form].late || waited != want[p][form].waits)
          fail_msg("stale: %s, %s, form %d: refused %d, late %d, waited %d: %s", policy[p], level[l], form, refused, r.last->late, waited,
                   answer());
        if (refused) assert_int_equal(r.last->told.cause, TIDE_C_stale);
        assert_says("\"counted\":true");
        bool journal_refused = tide_fold_metrics(tide_core_fold(r.core))->value[TIDE_M_decisions_refused_total] > 0;
        assert_int_equal(journal_refused, refused && !r.last->late);
        rig_close(&r);
      }
}

/* Only groups that the decision read, and only of keys that are there. */
static void which_groups_count(void **state) {
  (void)state;
  static const struct {
    const char *freshness;
    bool late;
  } cell[] = {{"  card: {budget: 1h}\n  shop: {budget: 1s}\n", false}, /* a shadow rule reads the shop */
              {"  card: {budget: 1s}\n  shop: {budget: 1h}\n", true}};
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    open_with(cell[i].freshness, false);
    acknowledged_after(5000);
    if (r.last->late != cell[i].late) fail_msg("cell %zu: %s", i, answer());
    rig_close(&r);
  }
  /* A key that is not in the message has nothing that could get old. */
  open_with("  card: {budget: 1s}\n", false);
  r.slow = true;
  rig_offer(&r, rig_request(&r, NULL, NULL, 0));
  rig_settle(&r);
  rig_stand_still(&r, 5000);
  r.slow = false;
  rig_sync(&r);
  rig_settle(&r);
  assert_scored();
  rig_close(&r);
}

/* A group that was stale at the position, and that a rule could be answered without, does not make the decision late. */
static void what_was_stale_and_did_not_matter(void **state) {
  (void)state;
  static const char policy[] = "freshness: {card: {budget: 10s, sources: [auths]}, shop: {budget: 1s, sources: [nowhere]}}\n"
                               "policy:\n"
                               "  decisions: [approve, review, decline]\n"
                               "  rules: [{D1: decline when card.n_10m > 100 and shop.n_10m > 100}, {else: approve}]\n"
                               "  fallback: [{else: review}]\n";
  char text[sizeof head + sizeof policy];
  snprintf(text, sizeof text, "%s%s", head, policy);
  rig_open(&r, text, true);
  acknowledged_after(1);
  assert_scored();
  assert_says("\"shop\":{\"state\":\"stale\"");
  acknowledged_after(9000);
  assert_scored();
  rig_drained(&r, r.wall_ms);
  acknowledged_after(10001);
  assert_late();
  rig_close(&r);
}

static void what_a_decision_reads(void **state) {
  (void)state;
  open_with("  card: {budget: 1s}\n", false);
  struct tide_verdict verdict = {.by = TIDE_BY_RULE, .rule = 3, .decision = 0}; /* else: approve, behind two rules over the card */
  assert_int_equal(tide_decision_entities(r.spec, &verdict).entities, 1);
  verdict = (struct tide_verdict){.by = TIDE_BY_RULE, .rule = 1, .decision = 1};
  assert_int_equal(tide_decision_entities(r.spec, &verdict).entities, 1);
  verdict.by = TIDE_BY_FALLBACK;
  assert_int_equal(tide_decision_entities(r.spec, &verdict).entities, 0);
  assert_int_equal(tide_expr_entities(r.spec, r.spec->rule[2].when).entities, 2);
  assert_int_equal(tide_expr_entities(r.spec, NULL).entities, 0);
  rig_close(&r);
}

/* ---- judged again ---- */

static void a_request_waits_for_fresher_facts(void **state) {
  (void)state;
  open_with("  card: {budget: 10s, stale: recompute}\n", true);
  rig_pass(&r, 10001);
  unsigned appends = r.appends;
  rig_offer(&r, rig_request(&r, NULL, "c", 1000));
  rig_settle(&r);
  assert_int_equal(r.back, 0);
  assert_int_equal(r.appends, appends); /* nothing of it is in the journal */
  rig_pass(&r, 100);
  assert_int_equal(r.back, 0);
  rig_drained(&r, r.wall_ms - 50);
  rig_pass(&r, 10);
  assert_int_equal(r.back, 1);
  assert_scored();
  assert_says("\"card.n_10m\":1"); /* counted once */
  assert_int_equal(r.last->again_ns, 100000000);
  assert_int_equal(tide_core_stats(r.core).recomputed, 1);
  assert_int_equal(tide_core_stats(r.core).recomputed_fresh, 1);
  rig_offer(&r, rig_request(&r, NULL, "c", 1000)); /* what is fresh does not wait */
  rig_settle(&r);
  assert_int_equal(r.back, 2);
  assert_int_equal(tide_core_stats(r.core).recomputed, 1);
  rig_close(&r);
}

static void and_gets_the_fallback_when_half_its_time_is_over(void **state) {
  (void)state;
  open_with("  card: {budget: 10s, stale: recompute}\n", true);
  rig_pass(&r, 10001);
  rig_offer(&r, rig_request(&r, NULL, "c", 400));
  rig_pass(&r, 190);
  assert_int_equal(r.back, 0);
  rig_pass(&r, 20);
  assert_int_equal(r.back, 1);
  assert_int_equal(r.last->end, TIDE_END_done);
  assert_says("\"status\":\"refused\"");
  assert_says("\"cause\":\"stale\"");
  assert_says("\"counted\":true");
  rig_offer(&r, rig_request(&r, NULL, "c", 0)); /* without a deadline: a second */
  rig_pass(&r, 990);
  assert_int_equal(r.back, 1);
  rig_pass(&r, 20);
  assert_int_equal(r.back, 2);
  assert_int_equal(tide_core_stats(r.core).recomputed_fresh, 0);
  rig_close(&r);
}

/* It ends like any other, wherever the core goes meanwhile. */
static void who_waits_is_ended_by_deadline_and_stop(void **state) {
  (void)state;
  open_with("  card: {budget: 10s, stale: recompute}\n", true);
  rig_pass(&r, 10001);
  rig_offer(&r, rig_request(&r, NULL, "c", 400));
  rig_settle(&r);
  rig_stand_still(&r, 500);
  rig_settle(&r);
  assert_int_equal(r.back, 1);
  assert_int_equal(r.last->end, TIDE_END_refused);
  assert_int_equal(r.last->cause, TIDE_C_deadline);
  rig_offer(&r, rig_request(&r, NULL, "c", 400));
  rig_step(&r, &(struct tide_core_event){.kind = TIDE_CORE_STOP});
  rig_settle(&r);
  assert_int_equal(r.back, 2);
  assert_int_equal(r.last->end, TIDE_END_refused);
  assert_int_equal(tide_core_state(r.core), TIDE_CORE_stopped);
  rig_close(&r);
  /* And what is still there is given back. */
  open_with("  card: {budget: 10s, stale: recompute}\n", true);
  rig_pass(&r, 10001);
  rig_offer(&r, rig_request(&r, NULL, "c", 400));
  assert_int_equal(tide_core_stats(r.core).queued, 1);
  struct tide_offer *left = tide_core_abandon(r.core);
  assert_non_null(left);
  assert_int_equal(left->end, TIDE_END_refused);
  tide_offer_free(left);
  assert_null(tide_core_abandon(r.core));
  rig_close(&r);
}

/* Other policies do not wait, and neither does who is refused whatever becomes fresh: one whose key is not there. */
static void nobody_else_waits(void **state) {
  (void)state;
  open_with("  card: {budget: 10s}\n", true);
  rig_pass(&r, 10001);
  rig_offer(&r, rig_request(&r, NULL, "c", 1000));
  rig_settle(&r);
  assert_int_equal(r.back, 1);
  rig_close(&r);
  open_with("  card: {budget: 10s, stale: recompute}\n  shop: {budget: 10s, stale: mark}\n", true);
  rig_pass(&r, 10001);
  rig_offer(&r, rig_request(&r, NULL, NULL, 1000));
  rig_settle(&r);
  assert_int_equal(r.back, 1);
  assert_int_equal(tide_core_stats(r.core).recomputed, 0);
  rig_close(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_took_too_long_is_refused_at_its_release),
      cmocka_unit_test(what_it_was_behind_at_its_position_counts_too),
      cmocka_unit_test(the_journal_keeps_the_decision),
      cmocka_unit_test(a_copy_that_arrives_late_counts_as_late),
      cmocka_unit_test(a_copy_leaves_when_its_request_has_a_position),
      cmocka_unit_test(the_wall_clock_tells_where_the_other_slept),
      cmocka_unit_test(every_cell),
      cmocka_unit_test(which_groups_count),
      cmocka_unit_test(what_was_stale_and_did_not_matter),
      cmocka_unit_test(what_a_decision_reads),
      cmocka_unit_test(a_request_waits_for_fresher_facts),
      cmocka_unit_test(and_gets_the_fallback_when_half_its_time_is_over),
      cmocka_unit_test(who_waits_is_ended_by_deadline_and_stop),
      cmocka_unit_test(nobody_else_waits),
  };
  return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
