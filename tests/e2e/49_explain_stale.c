/* What was refused for staleness can be explained from the journal alone: which partition was behind, up to when it was complete, which budget that broke.
 *
 * A journal with sources is written by hand into files; the program itself explains one refused and one scored request of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "adapter/file.h"
#include "tests/support/by_hand.h"

#define NOW INT64_C(1795255131000) /* 2026-11-21T09:58:51Z */

static const char features[] =
    "tidemark: 1\n"
    "name: explained\n"
    "event: {id: id, time: time}\n"
    "inputs: {default: {id: /id, time: {at: /time, as: epoch_ms}, card: {at: /card, optional: true}, shop: {at: /shop, optional: true}}}\n"
    "entities: {card: card, shop: shop}\n"
    "features:\n"
    "  card: {n: count over 10m}\n"
    "  shop: {n: count over 10m}\n"
    "freshness: {card: {budget: 10s}, shop: {budget: 1m}}\n"
    "policy:\n"
    "  decisions: [approve, decline]\n"
    "  rules:\n"
    "    - V1: decline when card.n_10m > 3\n"
    "    - else: approve\n"
    "  fallback:\n"
    "    - else: decline\n";

static struct hand h;
static char dir[128];

static void write_journal(void) {
  struct tide_error error = {0};
  struct tide_journal *journal;
  struct tide_position durable;
  struct tide_journal_file_options options = {.dir = dir, .create = true};
  if (tide_journal_file_open(&options, &journal, &error)) hand_fail("journal", &error);
  struct tide_reader log = tide_reader_of(tide_buf_span(&h.log));
  while (log.ptr != log.end) {
    struct tide_position at = {.epoch = tide_get_u64(&log)};
    at.seq = tide_get_u64(&log);
    if (tide_journal_file_put(journal, at, tide_get_span(&log), &error)) hand_fail("entry", &error);
  }
  if (journal->ops->sync(journal, &durable, &error)) hand_fail("sync", &error);
  journal->ops->close(journal);
}

static int make(void **state) {
  (void)state;
  const char *tmp = getenv("TIDE_TMP");
  snprintf(dir, sizeof dir, "%s/explained.XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(dir)) return -1;
  hand_open(&h, features);
  struct tide_source_info source = hand_source("auths", true, false);
  hand_declare(&h, &source, 1);
  for (uint16_t p = 0; p < 2; p++) hand_start(&h, "auths", p);
  hand_fold(&h, NOW);
  for (uint16_t p = 0; p < 2; p++) hand_facts(&h, "auths", p, 1, NOW, NOW, 100);
  hand_event(&h, "auths", 0, NOW, "c", "s"); /* t0 */
  hand_fold(&h, NOW);
  hand_ask(&h, NOW + 1000, "c", "s"); /* t1 */
  hand_facts(&h, "auths", 0, 1, NOW + 20000, NOW + 20000, 100);
  hand_ask(&h, NOW + 20000, "c", "s"); /* t2: partition 1 stands */
  write_journal();
  return 0;
}

static int clean(void **state) {
  (void)state;
  char command[200];
  hand_close(&h);
  snprintf(command, sizeof command, "rm -r '%s'", dir);
  return system(command);
}

static const char *explain(const char *id, const char *more) {
  static char said[65536];
  char command[400];
  const char *tide = getenv("TIDE_BIN");
  snprintf(command, sizeof command, "'%s' explain %s --journal 'file:%s' %s 2>&1", tide ? tide : "build/tidemark", id, dir, more);
  FILE *from = popen(command, "r");
  assert_non_null(from);
  size_t len = fread(said, 1, sizeof said - 1, from);
  said[len] = 0;
  int status = pclose(from);
  if (status) fail_msg("%s: status %d: %s", command, status, said);
  return said;
}

static void assert_said(const char *said, const char *what) {
  if (!strstr(said, what)) fail_msg("\"%s\" is not in:\n%s", what, said);
}

static void a_refusal_names_who_was_behind(void **state) {
  (void)state;
  const char *said = explain("t2", "");
  assert_said(said, "the fallback decided: features or facts are staler than their budget (card.n_10m)");
  assert_said(said, "stale    22s behind: auths/1 complete as of 09:58:49, budget of card 10s");
  assert_said(said, "fresh    22s behind: auths/1 complete as of 09:58:49, budget of shop 1m");
  said = explain("t2", "--json");
  assert_said(said, "\"detail\":\"auths/1 complete as of 09:58:49, budget of card 10s\"");
  assert_said(said, "\"card\":{\"state\":\"stale\",\"age_ms\":22000,\"source\":\"auths/1\",\"as_of\":\"2026-11-21T09:58:49.000Z\"}");
  assert_said(said, "\"shop\":{\"state\":\"fresh\",\"age_ms\":22000}");
}

static void what_was_fresh_says_how_fresh(void **state) {
  (void)state;
  assert_said(explain("t1", ""), "fresh    3s behind: auths/0 complete as of 09:58:49, budget of card 10s");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_refusal_names_who_was_behind),
      cmocka_unit_test(what_was_fresh_says_how_fresh),
  };
  return cmocka_run_group_tests_name("explain stale", tests, make, clean);
}
