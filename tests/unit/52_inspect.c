/* inspect: every record type becomes one well-formed JSON object with what was put in; broken entries are shown as such and passed
 * over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "../support/mini_spec.h"
#include "adapter/file.h"
#include "core/batch.h"
#include "core/control.h"
#include "core/inspect.h"

static const char features[] = "tidemark: 1\n"
                               "name: small\n"
                               "event:\n"
                               "  id: id\n"
                               "  time: time\n"
                               "  amount: amount in EUR\n"
                               "  key: card\n"
                               "inputs:\n"
                               "  default:\n"
                               "    id: /id\n"
                               "    time: {at: /time, as: epoch_ms}\n"
                               "    amount: {at: /amount, currency: /currency}\n"
                               "    card: /card\n"
                               "entities:\n"
                               "  card: card\n"
                               "features:\n"
                               "  card:\n"
                               "    n: count over 1h\n";

struct lines {
  json_t *all;
  size_t stop_after;
};

static bool collect(void *ctx, struct tide_span line) {
  struct lines *lines = ctx;
  json_error_t error;
  json_t *object = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
  if (!object) {
    fail_msg("%.*s: %s", TIDE_SPAN_FMT(line), error.text);
  }
  assert_null(memchr(line.ptr, '\n', line.len));
  json_array_append_new(lines->all, object);
  return json_array_size(lines->all) != lines->stop_after;
}

static const char *text_at(json_t *all, size_t index, const char *key) {
  const char *text = json_string_value(json_object_get(json_array_get(all, index), key));
  return text ? text : "(none)";
}
static json_t *field_at(json_t *all, size_t index, const char *name) {
  return json_object_get(json_object_get(json_array_get(all, index), "fields"), name);
}

/* Fence, config, and one entry with every kind of data record; then an entry that is none. */
static struct tide_journal *make_journal(struct tide_spec *spec) {
  struct tide_journal *journal = tide_journal_memory_new();
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_error error;
  struct tide_position at;
  struct tide_entry_header header = {.engine_id = 7, .fence_nonce = 0xabcd, .commit_ms = INT64_C(1795255200123)};
  struct tide_settings settings = tide_settings_default();
  tide_batch_begin(&batch, &out, &header, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &(struct tide_fence){0xabcd, 1, 7, {0, 0}}), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(journal->ops->open_epoch(journal, 1, tide_buf_span(&out), &at, &error), TIDE_OK);

  struct tide_record *record = tide_alloc(sizeof *record);
  *record =
      (struct tide_record){.type = TIDE_REC_EVENT, .flags = TIDE_REC_STAMPED, .offset = 12, .time = {INT64_C(1795255200123)}, .key_id = 9};
  record->field[mini_index(spec, "id")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = TIDE_SPAN("a \"b\"\n")};
  record->field[mini_index(spec, "amount")] = (struct tide_datum){.kind = TIDE_D_INT, .num = 5000, .exponent = 2, .currency = "EUR"};
  record->field[mini_index(spec, "card")] = (struct tide_datum){.kind = TIDE_D_KEY, .key = {1, 2}};
  struct tide_cursor_part part = {.from = 3, .next = 9};
  for (int named = 0; named < 2; named++) {
    tide_batch_begin(&batch, &out, &header, &part, 1);
    assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
    if (named == 0) {
      assert_int_equal(tide_batch_add_config(&batch, &settings, tide_span_of(features)), TIDE_OK);
    }
    tide_batch_end(&batch);
    assert_int_equal(journal->ops->append(journal, 1, tide_buf_span(&out), &at, &error), TIDE_OK);
  }
  assert_int_equal(journal->ops->append(journal, 1, TIDE_SPAN("this is no entry"), &at, &error), TIDE_OK);

  tide_batch_begin(&batch, &out, &header, NULL, 0);
  record->type = TIDE_REC_OUTCOME;
  record->flags = 0;
  record->outcome = (struct tide_outcome){.set = 1u << TIDE_DYN_result | 1u << TIDE_DYN_reason | 1u << TIDE_DYN_amount_now,
                                          .result = TIDE_RESULT_declined,
                                          .reason = "51",
                                          .amount_now = 125,
                                          .currency = "EUR",
                                          .exponent = 2};
  assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
  record->type = TIDE_REC_LIST;
  record->list.expires_ms = INT64_C(1795255200123);
  assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
  record->type = TIDE_REC_RATE;
  memcpy(record->rate.currency, "USD", 4);
  record->rate.rate_e10 = INT64_C(9200000000);
  assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
  record->type = TIDE_REC_HEARTBEAT;
  assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
  assert_int_equal(tide_batch_add_digest(&batch, &(struct tide_digest){17, {1, 2}, 3}), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(journal->ops->append(journal, 1, tide_buf_span(&out), &at, &error), TIDE_OK);
  tide_free(record);
  tide_buf_release(&out);
  return journal;
}

static struct tide_spec *parse_features(void) {
  struct tide_spec *spec;
  struct tide_error error;
  size_t errors;
  if (tide_spec_parse("small", tide_span_of(features), &spec, &error, 1, &errors) != TIDE_OK) {
    fail_msg("line %d: %s", error.line, error.text);
  }
  /* The file declares no list; the record's list needs a place. */
  static struct tide_list list = {.name = "blocked", .ref = TIDE_NONE};
  spec->list = &list;
  spec->list_count = 1;
  return spec;
}

static void entries_are_shown(void **state) {
  (void)state;
  struct tide_spec *spec = parse_features();
  struct tide_journal *journal = make_journal(spec);
  struct tide_error error;
  struct lines lines = {.all = json_array()};
  uint64_t entries, records;
  /* The broken one is reported at the end, but the ones behind it are shown. */
  assert_int_equal(tide_inspect(journal, &(struct tide_inspect_options){0}, collect, &lines, &entries, &records, &error), TIDE_E_CORRUPT);
  assert_int_equal(entries, 5);
  assert_int_equal(records, 9);
  assert_int_equal(json_array_size(lines.all), 5);
  assert_string_equal(text_at(lines.all, 0, "position"), "1-0");
  assert_string_equal(text_at(lines.all, 0, "fence_nonce"), "000000000000abcd");
  assert_string_equal(text_at(lines.all, 1, "commit"), "2026-11-21T10:00:00.123Z");
  json_t *cursor = json_array_get(json_object_get(json_array_get(lines.all, 1), "cursors"), 0);
  assert_int_equal(json_integer_value(json_object_get(cursor, "next")), 9);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(json_array_get(lines.all, 1), "records"), "config")), 1);
  assert_true(strstr(text_at(lines.all, 3, "error"), "length") != NULL);
  assert_string_equal(text_at(lines.all, 4, "position"), "1-4");
  json_decref(lines.all);
  /* From a position, with a limit, and stopped by the receiver. */
  lines.all = json_array();
  struct tide_inspect_options options = {.from = {1, 1}, .limit = 2};
  assert_int_equal(tide_inspect(journal, &options, collect, &lines, &entries, NULL, &error), TIDE_OK);
  assert_int_equal(entries, 2);
  assert_string_equal(text_at(lines.all, 0, "position"), "1-1");
  json_decref(lines.all);
  lines = (struct lines){.all = json_array(), .stop_after = 1};
  assert_int_equal(tide_inspect(journal, &(struct tide_inspect_options){.records = true}, collect, &lines, &entries, NULL, &error),
                   TIDE_OK);
  assert_int_equal(entries, 1);
  json_decref(lines.all);
  journal->ops->close(journal);
  tide_spec_free(spec);
}

static void records_are_shown(void **state) {
  (void)state;
  struct tide_spec *spec = parse_features();
  struct tide_journal *journal = make_journal(spec);
  struct tide_error error;
  struct lines lines = {.all = json_array()};
  struct tide_inspect_options options = {.records = true};
  assert_int_equal(tide_inspect(journal, &options, collect, &lines, NULL, NULL, &error), TIDE_E_CORRUPT);
  json_t *all = lines.all;
  assert_int_equal(json_array_size(all), 10); /* 9 records and the broken entry */
  assert_string_equal(text_at(all, 0, "type"), "fence");
  /* Before a CONFIG fields go by index, behind it by name. */
  char index[16];
  snprintf(index, sizeof index, "f%u", mini_index(spec, "id"));
  assert_string_equal(json_string_value(field_at(all, 1, index)), "a \"b\"\n");
  assert_string_equal(text_at(all, 2, "features"), "small");
  assert_string_equal(text_at(all, 3, "position"), "1-2.0");
  assert_string_equal(json_string_value(field_at(all, 3, "id")), "a \"b\"\n");
  assert_true(json_is_true(json_object_get(json_array_get(all, 3), "stamped")));
  json_t *amount = field_at(all, 3, "amount");
  assert_true(json_number_value(json_object_get(amount, "amount")) == 50.0);
  assert_string_equal(json_string_value(json_object_get(amount, "currency")), "EUR");
  assert_string_equal(json_string_value(json_object_get(field_at(all, 3, "card"), "key")), "00000000000000020000000000000001");
  assert_true(strcmp(text_at(all, 4, "error"), "(none)") != 0);
  json_t *sets = json_object_get(json_array_get(all, 5), "sets");
  assert_int_equal(json_object_size(sets), 4);
  assert_string_equal(json_string_value(json_object_get(sets, "result")), "declined");
  assert_string_equal(json_string_value(json_object_get(sets, "reason")), "51");
  assert_true(json_number_value(json_object_get(sets, "amount_now")) == 1.25);
  assert_string_equal(text_at(all, 6, "expires"), "2026-11-21T10:00:00.123Z");
  assert_true(json_number_value(json_object_get(json_array_get(all, 7), "rate")) == 0.92);
  assert_string_equal(text_at(all, 8, "type"), "heartbeat");
  assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 9), "decisions")), 17);
  json_decref(all);
  journal->ops->close(journal);
  tide_spec_free(spec);
}

static json_t *member(json_t *all, size_t index, const char *key) { return json_object_get(json_array_get(all, index), key); }
static int64_t number_at(json_t *all, size_t index, const char *key) {
  json_t *value = member(all, index, key);
  assert_true(json_is_integer(value));
  return json_integer_value(value);
}

/* Every record about sources once, under an entry with a cursor part. */
static struct tide_journal *make_sourced(void) {
  struct tide_journal *journal = tide_journal_memory_new();
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_error error;
  struct tide_position at;
  struct tide_entry_header header = {.engine_id = 7, .fence_nonce = 1, .commit_ms = INT64_C(1795255200123)};
  struct tide_sources *sources = tide_alloc(sizeof *sources);
  *sources = (struct tide_sources){
      .scores = true,
      .count = 2,
      .source = {{.number = 9, .name = "auths", .gates = true, .keyed = true, .out_of_orderness_ms = 2000, .silence_ms = 30000},
                 {.number = 12, .name = "labels", .silence_ms = 86400000}}};
  struct tide_start first = {.source = 9, .partition = 3, .cursor = 100}, jump = {9, 3, 150, true, 120};
  struct tide_target target[] = {{9, 3, 180, 0}, {12, 0, 5, 4}};
  struct tide_cursor_part part = {.source = 9, .partition = 3, .from = 100, .next = 120, .drained = INT64_MIN, .delay = 40, .checksum = 5};
  tide_batch_begin(&batch, &out, &header, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &(struct tide_fence){1, 1, 7, {0, 0}}), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(journal->ops->open_epoch(journal, 1, tide_buf_span(&out), &at, &error), TIDE_OK);
  tide_batch_begin(&batch, &out, &header, &part, 1);
  assert_int_equal(tide_batch_add_sources(&batch, sources), TIDE_OK);
  assert_int_equal(tide_batch_add_start(&batch, &first), TIDE_OK);
  assert_int_equal(tide_batch_add_start(&batch, &jump), TIDE_OK);
  assert_int_equal(tide_batch_add_claim(&batch, &(struct tide_claim){.engine_id = 7, .patience_ms = 3000}), TIDE_OK);
  assert_int_equal(tide_batch_add_targets(&batch, target, 2), TIDE_OK);
  assert_int_equal(tide_batch_add_emitted(&batch, 41), TIDE_OK);
  assert_int_equal(tide_batch_add_waive(&batch, &(struct tide_waive){9, 3, INT64_C(1795255800123)}), TIDE_OK);
  assert_int_equal(tide_batch_add_waive(&batch, &(struct tide_waive){9, TIDE_PARTITION_ALL, INT64_MIN}), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(journal->ops->append(journal, 1, tide_buf_span(&out), &at, &error), TIDE_OK);
  tide_free(sources);
  tide_buf_release(&out);
  return journal;
}

static void records_of_sources_are_shown(void **state) {
  (void)state;
  struct tide_journal *journal = make_sourced();
  struct tide_error error;
  struct lines lines = {.all = json_array()};
  assert_int_equal(tide_inspect(journal, &(struct tide_inspect_options){.records = true}, collect, &lines, NULL, NULL, &error), TIDE_OK);
  json_t *all = lines.all;
  static const char *const types[] = {"fence", "sources", "start", "start", "claim", "targets", "emitted", "waive", "waive"};
  assert_int_equal(json_array_size(all), 9);
  for (size_t i = 0; i < 9; i++) assert_string_equal(text_at(all, i, "type"), types[i]);
  json_t *auths = json_array_get(member(all, 1, "sources"), 0), *labels = json_array_get(member(all, 1, "sources"), 1);
  assert_true(json_is_true(member(all, 1, "scores")));
  assert_string_equal(json_string_value(json_object_get(auths, "name")), "auths");
  assert_true(json_is_true(json_object_get(auths, "gates")) && json_is_true(json_object_get(auths, "keyed")));
  assert_int_equal(json_integer_value(json_object_get(auths, "silence_ms")), 30000);
  assert_true(json_is_false(json_object_get(labels, "gates")));
  assert_int_equal(number_at(all, 2, "cursor"), 100);
  assert_true(json_is_false(member(all, 2, "jump")));
  assert_true(json_is_true(member(all, 3, "jump")));
  assert_int_equal(number_at(all, 3, "from"), 120);
  assert_int_equal(number_at(all, 3, "partition"), 3);
  assert_int_equal(number_at(all, 4, "engine"), 7);
  json_t *target = json_array_get(member(all, 5, "targets"), 1);
  assert_int_equal(json_integer_value(json_object_get(target, "source")), 12);
  assert_int_equal(json_integer_value(json_object_get(target, "end")), 5);
  assert_int_equal(json_integer_value(json_object_get(target, "delivered")), 4);
  assert_int_equal(number_at(all, 6, "number"), 41);
  assert_string_equal(text_at(all, 7, "until"), "2026-11-21T10:10:00.123Z");
  assert_null(member(all, 8, "partition")); /* all of them */
  assert_true(json_is_integer(member(all, 8, "until_ms")));
  json_decref(all);
  lines = (struct lines){.all = json_array()};
  assert_int_equal(tide_inspect(journal, &(struct tide_inspect_options){0}, collect, &lines, NULL, NULL, &error), TIDE_OK);
  json_t *cursor = json_array_get(member(lines.all, 1, "cursors"), 0);
  assert_int_equal(json_integer_value(json_object_get(cursor, "partition")), 3);
  assert_int_equal(json_integer_value(json_object_get(cursor, "next")), 120);
  assert_int_equal(json_integer_value(json_object_get(member(lines.all, 1, "records"), "waive")), 2);
  json_decref(lines.all);
  journal->ops->close(journal);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_are_shown),
      cmocka_unit_test(records_are_shown),
      cmocka_unit_test(records_of_sources_are_shown),
  };
  return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
