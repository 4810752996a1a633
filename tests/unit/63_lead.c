/* Lead (ruling 47), where it ends and what the largest count makes of events ahead of the current one: worked out by hand, to the millisecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/fold.h"

#define NOW INT64_C(1772359200000)
#define LEAD_MS 10000

static const char features[] = "tidemark: 1\n"
                               "name: lead\n"
                               "event: {id: id, time: time}\n"
                               "inputs: {default: {id: id, time: {at: time, as: epoch_ms}, card: card}}\n"
                               "entities: {card: card}\n"
                               "features:\n"
                               "  card:\n"
                               "    seen: count over 20s\n"
                               "    before: count over 20s delayed 1ms\n"
                               "    alone: max_count of 5s over 1h\n"
                               "    burst: max_count of 5s over 1h with current\n"
                               "policy: {decisions: [approve, decline], rules: [{else: approve}], fallback: [{else: decline}]}\n";

struct values {
  double seen, before, alone, burst;
};

static void hear(void *ctx, const struct tide_answer *answer) {
  const struct tide_spec *spec = answer->spec;
  assert_true(answer->features_known);
  *(struct values *)ctx = (struct values){.seen = answer->slot[tide_spec_slot(spec, "card.seen_20s")].num,
                                          .before = answer->slot[tide_spec_slot(spec, "card.before_20s")].num,
                                          .alone = answer->slot[tide_spec_slot(spec, "card.alone_1h")].num,
                                          .burst = answer->slot[tide_spec_slot(spec, "card.burst_1h")].num};
}

static void fold_it(struct tide_fold *fold, struct tide_batch *batch, const struct tide_buf *entry, uint64_t seq, struct values *values) {
  struct tide_error error = {0};
  tide_batch_end(batch);
  if (tide_fold_entry(fold, (struct tide_position){1, seq}, tide_buf_span(entry), hear, values, &error)) fail_msg("%s", error.text);
}

/* Folds events at NOW + ahead_ms in the order given, then one at NOW; returns what that one sees. `stamped`: it came without a time of its own. */
static struct values at_now(const int64_t *ahead_ms, size_t count, bool stamped) {
  struct tide_fold *fold = tide_fold_new();
  struct tide_spec *spec;
  struct tide_error error = {0};
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct values values = {-1, -1, -1, -1};
  size_t errors;
  if (tide_spec_parse("lead", (struct tide_span){features, sizeof features - 1}, &spec, &error, 1, &errors)) fail_msg("%s", error.text);
  struct tide_settings settings = tide_settings_default();
  settings.lead_ms = LEAD_MS;
  settings.history_from_ms = 0;
  tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &(struct tide_fence){.nonce = 7, .epoch = 1}), TIDE_OK);
  assert_int_equal(tide_batch_add_config(&batch, &settings, (struct tide_span){features, sizeof features - 1}), TIDE_OK);
  fold_it(fold, &batch, &entry, 0, &values);
  for (size_t i = 0; i <= count; i++) {
    char id[16];
    struct tide_record record;
    memset(&record, 0, sizeof record);
    snprintf(id, sizeof id, "i%zu", i);
    record.type = TIDE_REC_EVENT;
    record.time.ms = NOW + (i < count ? ahead_ms[i] : 0);
    if (i == count && stamped) record.flags |= TIDE_REC_STAMPED;
    else record.field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = record.time.ms};
    record.field[tide_spec_field(spec, "id")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(id)};
    record.field[tide_spec_field(spec, "card")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = TIDE_SPAN("c")};
    tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7, .commit_ms = NOW}, NULL, 0);
    assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
    fold_it(fold, &batch, &entry, i + 1, &values);
  }
  tide_fold_free(fold);
  tide_spec_free(spec);
  tide_buf_release(&entry);
  return values;
}
#define AT_NOW(...) at_now((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), false)

static void the_right_edge_is_inside(void **state) {
  (void)state;
  assert_int_equal(AT_NOW(LEAD_MS).seen, 1);
  assert_int_equal(AT_NOW(LEAD_MS + 1).seen, 0);
  assert_int_equal(AT_NOW(LEAD_MS - 1, LEAD_MS, LEAD_MS + 1).seen, 2);
  assert_int_equal(AT_NOW(LEAD_MS).before, 0); /* delayed windows know no lead */
  assert_int_equal(AT_NOW(-1, 1).before, 1);
}

static void the_left_edge_is_as_without(void **state) {
  (void)state;
  assert_int_equal(AT_NOW(-19999).seen, 1);
  assert_int_equal(AT_NOW(-20000).seen, 0);
}

static void a_stamped_event_has_none(void **state) {
  (void)state;
  const int64_t ahead[] = {1, LEAD_MS};
  assert_int_equal(at_now(ahead, 2, false).seen, 2);
  assert_int_equal(at_now(ahead, 2, true).seen, 0);
}

/* The windows of five seconds that hold the current event end with it or with an event behind it, not only with the last. */
static void the_largest_count_with_events_ahead(void **state) {
  (void)state;
  struct values v = AT_NOW(1000, 9000); /* the last window is too far, the one before holds both */
  assert_int_equal(v.alone, 1);
  assert_int_equal(v.burst, 2);
  v = AT_NOW(4999);
  assert_int_equal(v.burst, 2);
  v = AT_NOW(5000); /* (0, 5000] is without the event at 0 */
  assert_int_equal(v.burst, 1);
  v = AT_NOW(-4999, 1, 4000, 9000);
  assert_int_equal(v.alone, 2);
  assert_int_equal(v.burst, 3); /* (-1000, 4000]: the current one, 1 and 4000 */
  v = AT_NOW(LEAD_MS + 1, 1);   /* one beyond the lead does not exist */
  assert_int_equal(v.burst, 2);
  assert_int_equal(v.alone, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_right_edge_is_inside), cmocka_unit_test(the_left_edge_is_as_without),
                                     cmocka_unit_test(a_stamped_event_has_none), cmocka_unit_test(the_largest_count_with_events_ahead)};
  return cmocka_run_group_tests_name("lead", tests, NULL, NULL);
}
