/* What the journal knows of sources: records there and back and every cut of them refused; cursors that connect, overlap or leave a gap; claims; the barrier of an epoch; the
 * outbox. Each rule here is one that keeps a message from being counted twice or skipped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/ledger.h"
#include "core/outbox.h"
#include "tests/support/small_fold.h"

static struct tide_cursor_part parts[TIDE_PARTS_MAX];
static struct tide_target targets[TIDE_PARTITIONS_MAX];

static const struct tide_sources two = {
    .scores = true,
    .count = 2,
    .source = {{.number = 7, .name = "auths", .gates = true, .keyed = true, .out_of_orderness_ms = 2000, .silence_ms = 30000},
               {.number = 9, .name = "labels", .silence_ms = 86400000}}};

/* ---- records ---- */

typedef enum tide_err (*add_fn)(struct tide_batch *batch);
static enum tide_err add_sources(struct tide_batch *batch) { return tide_batch_add_sources(batch, &two); }
static enum tide_err add_start(struct tide_batch *batch) {
  return tide_batch_add_start(batch,
                              &(struct tide_start){.source = 7, .partition = 3, .cursor = UINT64_C(1) << 40, .jump = true, .from = 9});
}
static enum tide_err add_claim(struct tide_batch *batch) {
  return tide_batch_add_claim(batch, &(struct tide_claim){.engine_id = 4, .patience_ms = 3000, .release = true});
}
static enum tide_err add_targets(struct tide_batch *batch) {
  const struct tide_target target[2] = {{7, 0, 100, 90}, {7, 1, UINT64_MAX, 0}};
  return tide_batch_add_targets(batch, target, 2);
}
static enum tide_err add_emitted(struct tide_batch *batch) { return tide_batch_add_emitted(batch, UINT64_MAX); }
static enum tide_err add_waive(struct tide_batch *batch) {
  return tide_batch_add_waive(batch, &(struct tide_waive){.source = 7, .partition = TIDE_PARTITION_ALL, .until_ms = -5});
}

static enum tide_err decode(const struct tide_raw_record *raw) {
  struct tide_sources sources;
  struct tide_start start;
  struct tide_claim claim;
  struct tide_waive waive;
  uint32_t count;
  uint64_t number;
  switch (raw->type) {
    case TIDE_REC_SOURCES: return tide_sources_decode(raw, &sources, NULL);
    case TIDE_REC_START: return tide_start_decode(raw, &start, NULL);
    case TIDE_REC_CLAIM: return tide_claim_decode(raw, &claim, NULL);
    case TIDE_REC_TARGETS: return tide_targets_decode(raw, targets, &count, NULL);
    case TIDE_REC_EMITTED: return tide_emitted_decode(raw, &number, NULL);
    case TIDE_REC_WAIVE: return tide_waive_decode(raw, &waive, NULL);
    default: fail_msg("type %u", raw->type); return TIDE_OK;
  }
}

static void read_first(const struct tide_buf *entry, struct tide_raw_record *raw) {
  struct tide_entry_reader reader;
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(entry), parts, NULL), TIDE_OK);
  assert_int_equal(tide_entry_next(&reader, raw, NULL), TIDE_OK);
}

static void every_cut_is_refused(void **state) {
  (void)state;
  static const add_fn add[] = {add_sources, add_start, add_claim, add_targets, add_emitted, add_waive};
  for (size_t i = 0; i < sizeof add / sizeof add[0]; i++) {
    struct tide_buf entry = TIDE_BUF_INIT;
    struct tide_batch batch;
    struct tide_raw_record raw;
    tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
    assert_int_equal(add[i](&batch), TIDE_OK);
    tide_batch_end(&batch);
    read_first(&entry, &raw);
    assert_int_equal(decode(&raw), TIDE_OK);
    for (size_t len = 0; len < raw.payload.len; len++) {
      struct tide_raw_record cut = {raw.type, 0, {raw.payload.ptr, len}};
      if (decode(&cut) != TIDE_E_CORRUPT) fail_msg("record %u cut to %zu bytes is taken", raw.type, len);
    }
    raw.flags = 1;
    assert_int_equal(decode(&raw), TIDE_E_VERSION);
    tide_buf_release(&entry);
  }
}

static void records_there_and_back(void **state) {
  (void)state;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_raw_record raw;
  struct tide_entry_reader reader;
  tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(add_sources(&batch), TIDE_OK);
  assert_int_equal(add_targets(&batch), TIDE_OK);
  assert_int_equal(add_waive(&batch), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&entry), parts, NULL), TIDE_OK);
  struct tide_sources sources;
  assert_int_equal(tide_entry_next(&reader, &raw, NULL), TIDE_OK);
  assert_int_equal(tide_sources_decode(&raw, &sources, NULL), TIDE_OK);
  struct tide_buf want = TIDE_BUF_INIT, is = TIDE_BUF_INIT;
  tide_sources_write(&two, &want);
  tide_sources_write(&sources, &is);
  assert_true(tide_span_eq(tide_buf_span(&want), tide_buf_span(&is)));
  assert_string_equal(sources.source[0].name, "auths");
  assert_true(sources.source[0].keyed && !sources.source[1].gates && sources.scores && !sources.features);
  uint32_t count;
  assert_int_equal(tide_entry_next(&reader, &raw, NULL), TIDE_OK);
  assert_int_equal(tide_targets_decode(&raw, targets, &count, NULL), TIDE_OK);
  assert_true(count == 2 && targets[0].end == 100 && targets[0].delivered == 90 && targets[1].end == UINT64_MAX);
  struct tide_waive waive;
  assert_int_equal(tide_entry_next(&reader, &raw, NULL), TIDE_OK);
  assert_int_equal(tide_waive_decode(&raw, &waive, NULL), TIDE_OK);
  assert_true(waive.source == 7 && waive.partition == TIDE_PARTITION_ALL && waive.until_ms == -5);
  /* an offer's bytes are the record that the batch makes */
  struct tide_buf one = TIDE_BUF_INIT, other = TIDE_BUF_INIT;
  struct tide_start start = {.source = 7, .partition = 3, .cursor = UINT64_C(1) << 40, .jump = true, .from = 9};
  tide_start_encode(&start, &one);
  tide_batch_begin(&batch, &other, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(add_start(&batch), TIDE_OK);
  tide_batch_end(&batch);
  assert_true(other.len > one.len + 4 && memcmp(other.ptr + other.len - 4 - one.len, one.ptr, one.len) == 0);
  tide_buf_release(&want);
  tide_buf_release(&is);
  tide_buf_release(&one);
  tide_buf_release(&other);
  tide_buf_release(&entry);
}

/* ---- cursors ---- */

static struct tide_ledger *ledger_new(void) {
  struct tide_ledger *ledger = tide_alloc(sizeof *ledger);
  tide_ledger_init(ledger);
  assert_int_equal(tide_ledger_declare(ledger, &two, NULL), TIDE_OK);
  return ledger;
}

/* The part (from, next) of auths/0 as an entry has it: what counts of it begins at *ret_from. */
static bool counts(struct tide_ledger *ledger, uint64_t from, uint64_t next, uint64_t *ret_from) {
  struct tide_cursor_part part = {.source = 7, .from = from, .next = next, .checksum = 5};
  int refused = tide_ledger_parts(ledger, &part, 1, 1000);
  *ret_from = part.from;
  return refused == 0;
}

static void a_part_counts_from_the_cursor_on(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new();
  uint64_t from;
  assert_true(tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 100}));
  assert_false(tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 500})); /* it has one */
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->cursor, 100);
  assert_true(counts(ledger, 100, 110, &from) && from == 100);
  assert_true(counts(ledger, 105, 120, &from) && from == 110); /* the first half was counted */
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->cursor, 120);
  assert_true(counts(ledger, 100, 115, &from) && from == 120); /* all of it was */
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->cursor, 120);
  assert_false(counts(ledger, 121, 130, &from)); /* a gap: nothing of it counts, whatever it holds */
  assert_true(from == UINT64_MAX);
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->cursor, 120);
  assert_false(counts(ledger, 119, 118, &from)); /* backwards */
  assert_true(counts(ledger, 120, 120, &from));  /* facts only */
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->cursor, 120);
  assert_false(tide_ledger_start(
      ledger, &(struct tide_start){.source = 7, .cursor = 500, .jump = true, .from = 110})); /* it was about another place */
  assert_true(
      tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 500, .jump = true, .from = 120})); /* an operator's word */
  assert_true(counts(ledger, 500, 501, &from) && from == 500);
  tide_free(ledger);
}

/* A move over markers is no sign of life, and the last message stays the one that a log is known by. */
static void markers_are_not_heard(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new();
  assert_true(tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 100}));
  struct tide_cursor_part part = {.source = 7, .from = 100, .next = 110, .checksum = 5};
  assert_int_equal(tide_ledger_parts(ledger, &part, 1, 1000), 0);
  assert_true(tide_ledger_source(ledger, 7)->alive_ms == 1000);
  part = (struct tide_cursor_part){.source = 7, .from = 110, .next = 112};
  assert_int_equal(tide_ledger_parts(ledger, &part, 1, 9000), 0);
  assert_true(tide_ledger_source(ledger, 7)->alive_ms == 1000);
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->cursor, 112);
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->checksum, 5);
  tide_free(ledger);
}

static void a_file_must_connect_exactly(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new();
  struct tide_cursor_part part = {.source = 0, .from = 0, .next = 4000};
  assert_int_equal(tide_ledger_parts(ledger, &part, 1, 0), 0);
  assert_true(part.from == 0); /* its lines are numbered otherwise than its cursor */
  part = (struct tide_cursor_part){.source = 0, .from = 3000, .next = 5000};
  assert_int_equal(tide_ledger_parts(ledger, &part, 1, 0), 1);
  assert_int_equal(tide_ledger_find(ledger, 0, 0)->cursor, 4000);
  tide_free(ledger);
}

static void a_renamed_source_is_not_mistaken(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new();
  struct tide_sources other = {.count = 1, .source = {{.number = 7, .name = "authz"}}};
  struct tide_error error = {0};
  assert_int_equal(tide_ledger_declare(ledger, &other, &error), TIDE_E_MISMATCH);
  assert_non_null(strstr(error.text, "\"auths\" and \"authz\""));
  assert_true(tide_ledger_declares(ledger, &two));
  struct tide_sources fewer = two;
  fewer.count = 1;
  assert_int_equal(tide_ledger_declare(ledger, &fewer, NULL), TIDE_OK);
  assert_true(tide_ledger_declares(ledger, &fewer) && !tide_ledger_declares(ledger, &two));
  assert_false(tide_ledger_source(ledger, 9)->declared);
  tide_free(ledger);
}

/* ---- who reads ---- */

static void a_claim_holds_while_its_engine_writes(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new();
  struct tide_claim one = {.engine_id = 1, .patience_ms = 3000}, two_ = {.engine_id = 2, .patience_ms = 3000};
  assert_true(tide_ledger_claim(ledger, &one, 10000));
  assert_false(tide_ledger_claim(ledger, &two_, 13000)); /* not longer than its patience */
  tide_ledger_entry(ledger, 2, 13000);                   /* that another one lives changes nothing */
  assert_true(tide_ledger_claim(ledger, &two_, 13001));
  assert_true(ledger->claimant == 2 && ledger->claims == 2);
  tide_ledger_entry(ledger, 2, 20000);
  assert_false(tide_ledger_claim(ledger, &one, 22000));
  assert_true(tide_ledger_claim(ledger, &two_, 22000)); /* the same engine again, after a restart: another claim */
  assert_int_equal(ledger->claims, 3);
  assert_false(tide_ledger_claim(ledger, &(struct tide_claim){.engine_id = 1, .release = true}, 22001));
  assert_true(tide_ledger_claim(ledger, &(struct tide_claim){.engine_id = 2, .release = true}, 22001));
  assert_true(ledger->claimant == 0 && tide_ledger_claim(ledger, &one, 22002));
  tide_free(ledger);
}

/* ---- the barrier ---- */

static void an_epoch_opens_when_all_is_read(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new();
  const struct tide_target first[2] = {{7, 0, 110, 0}, {7, 1, 0, 0}}, later[1] = {{7, 0, 10, 0}};
  uint64_t from;
  assert_true(ledger->opening); /* the first sources of a journal: it may have lost what it had known of them */
  tide_ledger_targets(ledger, &(struct tide_target){7, 0, 0, 0}, 1);
  tide_ledger_settle(ledger, NULL, 0);
  assert_false(ledger->opening);
  assert_true(tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 100}));
  tide_ledger_targets(ledger, first, 2); /* no epoch asks for any */
  assert_true(tide_ledger_find(ledger, 7, 0)->target == 0);
  tide_ledger_fence(ledger);
  assert_true(ledger->opening);
  tide_ledger_settle(ledger, NULL, 0);
  assert_true(ledger->opening); /* without targets nothing is known to be read */
  tide_ledger_targets(ledger, first, 2);
  tide_ledger_targets(ledger, later, 1); /* the first ones count */
  tide_ledger_settle(ledger, NULL, 0);
  assert_true(ledger->opening);
  assert_true(counts(ledger, 100, 109, &from));
  tide_ledger_settle(ledger, NULL, 0);
  assert_true(ledger->opening);
  assert_true(counts(ledger, 109, 110, &from));
  tide_ledger_settle(ledger, NULL, 0);
  assert_false(ledger->opening);
  tide_ledger_fence(ledger); /* the next epoch forgets the last one's targets */
  tide_ledger_settle(ledger, NULL, 0);
  assert_true(ledger->opening && !ledger->has_targets);
  struct tide_target delivered = {7, 0, 120, 120};
  assert_false(ledger->lossy);
  assert_true(tide_ledger_targets(ledger, &delivered, 1));
  assert_true(ledger->lossy);
  assert_false(tide_ledger_targets(ledger, &delivered, 1));          /* they do not count again */
  assert_int_equal(tide_ledger_find(ledger, 7, 0)->superseded, 120); /* [110, 120) had left before, maybe */
  tide_free(ledger);
  ledger = tide_alloc(sizeof *ledger);
  tide_ledger_init(ledger); /* a cell without sources waits for none */
  tide_ledger_fence(ledger);
  assert_false(ledger->opening);
  tide_free(ledger);
}

static void what_was_made_again_says_so(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new(), *back = tide_alloc(sizeof *back);
  struct tide_buf bytes = TIDE_BUF_INIT;
  uint64_t from;
  tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 100});
  for (uint64_t epoch = 2; epoch < 2 + TIDE_AGAIN_MAX + 3; epoch++) {
    tide_ledger_fence(ledger);
    assert_true(tide_ledger_targets(ledger, &(struct tide_target){7, 0, 100 + epoch, 100 + epoch}, 1));
    tide_ledger_again(ledger, (struct tide_position){epoch - 1, 40});
    tide_ledger_again_end(ledger, (struct tide_position){epoch, 1}); /* not open yet */
    assert_true(tide_ledger_supersedes(ledger, (struct tide_position){epoch, 1000}));
    if (epoch == 7) continue; /* it never was: the next goes on with it */
    assert_true(counts(ledger, ledger->partition[0].cursor, 100 + epoch, &from));
    tide_ledger_settle(ledger, NULL, 0);
    tide_ledger_again_end(ledger, (struct tide_position){epoch, 9});
    tide_ledger_again_end(ledger, (struct tide_position){epoch, 30}); /* it was */
    assert_true(tide_ledger_supersedes(ledger, (struct tide_position){epoch, 9}));
    assert_false(tide_ledger_supersedes(ledger, (struct tide_position){epoch, 10}));
  }
  assert_int_equal(ledger->agains, TIDE_AGAIN_MAX);
  tide_ledger_save(ledger, &bytes);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  tide_ledger_init(back);
  assert_true(tide_ledger_load(back, &reader) && reader.ptr == reader.end);
  assert_false(tide_ledger_supersedes(back, (struct tide_position){1, 39}));
  for (uint64_t epoch = 2; epoch < 2 + TIDE_AGAIN_MAX + 3; epoch++) /* none is forgotten */
    assert_true(tide_ledger_supersedes(back, (struct tide_position){epoch - 1, 40}) &&
                tide_ledger_supersedes(back, (struct tide_position){epoch, 9}));
  assert_true(tide_ledger_supersedes(back, (struct tide_position){2, 20})); /* the two oldest are one */
  assert_false(tide_ledger_supersedes(back, (struct tide_position){5, 20}));
  assert_true(tide_ledger_supersedes(back, (struct tide_position){7, 39})); /* of the epoch that was not open, whole */
  tide_buf_release(&bytes);
  tide_free(ledger);
  tide_free(back);
}

static void all_of_it_is_saved(void **state) {
  (void)state;
  struct tide_ledger *ledger = ledger_new(), *back = tide_alloc(sizeof *back);
  uint64_t from;
  tide_ledger_start(ledger, &(struct tide_start){.source = 7, .cursor = 100});
  assert_true(counts(ledger, 100, 110, &from));
  tide_ledger_fence(ledger);
  tide_ledger_targets(ledger, &(struct tide_target){7, 0, 200, 150}, 1);
  tide_ledger_claim(ledger, &(struct tide_claim){.engine_id = 3, .patience_ms = 1}, 5000);
  tide_ledger_waive(ledger, &(struct tide_waive){.source = 7, .partition = TIDE_PARTITION_ALL, .until_ms = 9000}, 5000);
  ledger->answers = 12;
  ledger->emitted = 9;
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  tide_ledger_save(ledger, &bytes);
  tide_ledger_init(back);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_ledger_load(back, &reader) && reader.ptr == reader.end);
  tide_ledger_save(back, &again);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
  assert_true(back->opening && back->has_targets && back->claimant == 3 && back->partition[0].waived_until_ms == 9000);
  for (size_t len = 0; len < bytes.len; len++) {
    struct tide_reader cut = tide_reader_of((struct tide_span){bytes.ptr, len});
    tide_ledger_init(back);
    if (tide_ledger_load(back, &cut)) fail_msg("a ledger cut to %zu of %zu bytes is taken", len, bytes.len);
  }
  tide_buf_release(&bytes);
  tide_buf_release(&again);
  tide_free(ledger);
  tide_free(back);
}

/* ---- the outbox ---- */

static void put(struct tide_outbox *outbox, uint64_t number) {
  char json[40], id[24];
  snprintf(json, sizeof json, "{\"n\":%llu}", (unsigned long long)number);
  snprintf(id, sizeof id, "t%llu", (unsigned long long)number);
  struct tide_outgoing out = {.number = number,
                              .source = 7,
                              .partition = (uint16_t)(number % 3),
                              .offset = number * 10,
                              .position = {2, number},
                              .epoch = 2,
                              .index = 1,
                              .late = number % 5 == 0,
                              .superseded = number % 7 == 0,
                              .id = tide_span_of(id),
                              .features = tide_span_of(number % 2 ? "eu@1f2e3d4c" : ""),
                              .json = tide_span_of(json)};
  tide_outbox_put(outbox, &out);
}

static void expect(const struct tide_outbox *outbox, uint64_t number) {
  char json[40];
  struct tide_outgoing out;
  snprintf(json, sizeof json, "{\"n\":%llu}", (unsigned long long)number);
  assert_true(tide_outbox_get(outbox, number, &out));
  assert_true(tide_span_is(out.json, json) && out.offset == number * 10 && out.position.seq == number && out.number == number);
  assert_true(tide_span_is(out.features, number % 2 ? "eu@1f2e3d4c" : ""));
  assert_true(out.late == (number % 5 == 0) && out.superseded == (number % 7 == 0) && out.partition == number % 3);
  assert_int_equal(out.epoch, 2);
}

static void renewed_answers_say_so(void **state) {
  (void)state;
  struct tide_outbox outbox = {0}, back = {0};
  struct tide_outgoing out;
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (uint64_t n = 1; n < 70; n++) put(&outbox, n);
  tide_outbox_drop(&outbox, 5);
  tide_outbox_renew(&outbox, 9);
  tide_outbox_renew(&outbox, 300); /* two bytes of it */
  put(&outbox, 70);
  tide_outbox_save(&outbox, &bytes);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_outbox_load(&back, &reader) && reader.ptr == reader.end);
  assert_int_equal(back.bytes, outbox.bytes);
  assert_false(tide_outbox_get(&back, 5, &out));
  for (uint64_t n = 6; n < 70; n++) {
    assert_true(tide_outbox_get(&back, n, &out));
    assert_true(out.superseded && out.epoch == 300 && out.position.epoch == 2 && out.position.seq == n && out.late == (n % 5 == 0));
    assert_true(out.offset == n * 10 && out.json.len == (n < 10 ? 7 : 8));
  }
  expect(&back, 70);
  tide_outbox_drop(&outbox, UINT64_MAX);
  assert_true(outbox.count == 0 && outbox.bytes == 0);
  tide_outbox_release(&outbox);
  tide_outbox_release(&back);
  tide_buf_release(&bytes);
}

static void answers_stay_until_they_have_left(void **state) {
  (void)state;
  struct tide_outbox outbox = {0}, back = {0};
  struct tide_outgoing out;
  uint64_t number = 1, left = 0;
  for (int round = 0; round < 200; round++) { /* the ring goes round many times */
    for (int i = 0; i < 1 + round % 7; i++) put(&outbox, number++);
    left += outbox.count > 40 ? 30 : outbox.count > 1 ? 1 : 0;
    tide_outbox_drop(&outbox, left);
    assert_false(tide_outbox_get(&outbox, left, &out));
    assert_false(tide_outbox_get(&outbox, number, &out));
    for (uint64_t n = left + 1; n < number; n++) expect(&outbox, n);
  }
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_outbox_save(&outbox, &bytes);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_outbox_load(&back, &reader) && reader.ptr == reader.end);
  for (uint64_t n = left + 1; n < number; n++) expect(&back, n);
  assert_int_equal(back.bytes, outbox.bytes);
  put(&back, number); /* it goes on with the next number */
  for (size_t len = 0; len < bytes.len; len++) {
    struct tide_outbox cut = {0};
    reader = tide_reader_of((struct tide_span){bytes.ptr, len});
    if (tide_outbox_load(&cut, &reader)) fail_msg("an outbox cut to %zu of %zu bytes is taken", len, bytes.len);
    tide_outbox_release(&cut);
  }
  tide_outbox_drop(&outbox, UINT64_MAX);
  assert_true(outbox.count == 0 && outbox.bytes == 0);
  tide_outbox_release(&outbox);
  tide_outbox_release(&back);
  tide_buf_release(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cut_is_refused),
      cmocka_unit_test(records_there_and_back),
      cmocka_unit_test(a_part_counts_from_the_cursor_on),
      cmocka_unit_test(markers_are_not_heard),
      cmocka_unit_test(a_file_must_connect_exactly),
      cmocka_unit_test(a_renamed_source_is_not_mistaken),
      cmocka_unit_test(a_claim_holds_while_its_engine_writes),
      cmocka_unit_test(an_epoch_opens_when_all_is_read),
      cmocka_unit_test(what_was_made_again_says_so),
      cmocka_unit_test(all_of_it_is_saved),
      cmocka_unit_test(answers_stay_until_they_have_left),
      cmocka_unit_test(renewed_answers_say_so),
  };
  return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
