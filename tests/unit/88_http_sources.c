/* What the admin listener says of sources: the page, what an epoch waits for, what stands still - on the engine that reads and on one that does not; and the
 * token of those who may write there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json_out.h"
#include "http/token.h"
#include "http/parts.h"

#define NOW_MS INT64_C(1795255200000)

static const struct tide_http_source configured[] = {{9, "auths", "card-authorizations"}};

struct fixture {
  struct tide_http http;
  struct tide_sources_look look;
  struct tide_ingest_partition part[20];
};

/* auths (three partitions), labels, which this engine does not know, and one message of a source that nobody has declared. */
static struct fixture *fixture_new(bool reads) {
  struct fixture *f = tide_alloc(sizeof *f);
  struct tide_ledger *ledger = &f->look.known.ledger;
  struct tide_sources *sources = tide_alloc(sizeof *sources);
  *sources = (struct tide_sources){
      .count = 2,
      .scores = true,
      .source = {{.number = 9, .name = "auths", .gates = true, .keyed = true, .out_of_orderness_ms = 2000, .silence_ms = 30000},
                 {.number = 12, .name = "labels", .silence_ms = 60000}}};
  tide_ledger_init(ledger);
  assert_int_equal(tide_ledger_declare(ledger, sources, NULL), TIDE_OK);
  tide_ledger_wake(ledger, NOW_MS - 1000);
  tide_free(sources);
  for (uint16_t i = 0; i < 3; i++)
    assert_true(tide_ledger_start(ledger, &(struct tide_start){.source = 9, .partition = i, .cursor = 100u * i}));
  assert_non_null(tide_ledger_partition(ledger, 77, 0));
  tide_ledger_source(ledger, 12)->alive_ms = NOW_MS - 61000;
  struct tide_partition *partition = tide_ledger_find(ledger, 9, 1);
  partition->seen_ms = partition->drained_ms = NOW_MS - 500;
  partition->delay_ms = 40;
  partition->waived_until_ms = NOW_MS + 60000;
  tide_ledger_find(ledger, 9, 2)->waived_until_ms = NOW_MS - 150; /* over as of the last commit */
  ledger->claimant = reads ? 1 : 2;
  ledger->claim_alive_ms = NOW_MS - 200;
  ledger->answers = 50;
  ledger->emitted = 47;
  f->http.options.engine_id = 1;
  f->http.options.source = configured;
  f->http.options.source_count = 1;
  f->look.http = &f->http;
  f->look.status.state = TIDE_CORE_barrier;
  f->look.status.ingests = reads;
  f->look.known.commit_ms = NOW_MS - 100;
  f->look.now_ms = NOW_MS;
  if (!reads) return f;
  f->look.part = f->part;
  f->look.part_count = 3;
  for (uint16_t i = 0; i < 3; i++) f->part[i].view = (struct tide_merge_view){.source = 9, .partition = i, .end = 150, .held = i};
  snprintf(f->part[2].trouble, sizeof f->part[2].trouble, "the log of \"it\" is gone");
  return f;
}

static json_t *page_of(const struct fixture *f) {
  struct tide_buf out = TIDE_BUF_INIT;
  tide_http_sources_put(&f->look, &out);
  json_t *page = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(page);
  tide_buf_release(&out);
  return page;
}

static json_t *partition_at(json_t *page, size_t source, size_t partition) {
  return json_array_get(json_object_get(json_array_get(json_object_get(page, "sources"), source), "partitions"), partition);
}
static int64_t number(json_t *object, const char *key) {
  assert_true(json_is_integer(json_object_get(object, key)));
  return json_integer_value(json_object_get(object, key));
}
static bool is_null(json_t *object, const char *key) { return json_is_null(json_object_get(object, key)); }
static const char *text(json_t *object, const char *key) {
  const char *value = json_string_value(json_object_get(object, key));
  return value ? value : "(none)";
}

static void the_page_of_the_engine_that_reads(void **state) {
  (void)state;
  struct fixture *f = fixture_new(true);
  json_t *page = page_of(f), *one = partition_at(page, 0, 1), *stuck = partition_at(page, 0, 2);
  assert_int_equal(number(page, "ingester"), 1);
  assert_int_equal(number(page, "unsent_answers"), 3);
  json_t *auths = json_array_get(json_object_get(page, "sources"), 0), *labels = json_array_get(json_object_get(page, "sources"), 1);
  assert_string_equal(text(auths, "topic"), "card-authorizations");
  assert_true(is_null(labels, "topic"));
  assert_true(json_is_false(json_object_get(auths, "silent")));
  assert_true(json_is_true(json_object_get(labels, "silent")));
  assert_int_equal(number(one, "cursor"), 100);
  assert_int_equal(number(one, "end"), 150);
  assert_int_equal(number(one, "lag"), 50);
  assert_int_equal(number(one, "held"), 1);
  assert_string_equal(text(one, "seen"), "2026-11-21T09:59:59.500Z");
  assert_string_equal(text(one, "complete"), "2026-11-21T09:59:57.500Z"); /* drained - max(out_of_orderness, delay) */
  assert_int_equal(number(one, "complete_age_ms"), 2500);
  assert_string_equal(text(one, "waived_until"), "2026-11-21T10:01:00.000Z");
  assert_true(json_is_false(json_object_get(one, "stopped")));
  assert_int_equal(number(stuck, "lag"), 0); /* the cursor is newer than the end beside it */
  assert_true(json_is_true(json_object_get(stuck, "stopped")));
  assert_string_equal(text(stuck, "trouble"), "the log of \"it\" is gone");
  assert_true(is_null(stuck, "waived_until"));
  assert_true(is_null(stuck, "complete") && is_null(stuck, "complete_age_ms") && is_null(stuck, "seen"));
  json_decref(page);
  tide_free(f);
}

static void the_page_of_another(void **state) {
  (void)state;
  struct fixture *f = fixture_new(false);
  json_t *page = page_of(f), *one = partition_at(page, 0, 1);
  assert_int_equal(number(page, "ingester"), 2);
  assert_true(json_is_false(json_object_get(page, "ingests")));
  assert_int_equal(number(one, "cursor"), 100); /* the fold knows it */
  static const char *const unknown[] = {"end", "lag", "held", "stopped", "trouble"};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) assert_true(is_null(one, unknown[i]));
  json_decref(page);
  tide_free(f);
}

static void expect_why(const struct fixture *f, const char *want) {
  struct tide_buf out = TIDE_BUF_INIT;
  tide_http_sources_why(&f->look, &out);
  assert_string_equal(tide_buf_cstr(&out), want);
  tide_buf_release(&out);
}

static void what_an_epoch_waits_for(void **state) {
  (void)state;
  struct fixture *f = fixture_new(true);
  struct tide_engine_barrier *barrier = &f->look.status.barrier;
  expect_why(f, "opening: it is not known yet how far the sources go");
  *barrier = (struct tide_engine_barrier){.targets = true, .behind = 2, .source = 9, .partition = 3, .cursor = 1200, .target = 1800};
  expect_why(f, "opening: auths/3 at 1200 of 1800, 2 partitions behind");
  barrier->source = 12;
  barrier->behind = 1;
  expect_why(f, "opening: labels/3 at 1200 of 1800, 1 partition behind"); /* as the cell has declared it */
  barrier->source = 77;
  expect_why(f, "opening: 77/3 at 1200 of 1800, 1 partition behind");
  tide_free(f);
  f = fixture_new(false);
  f->look.status.barrier = (struct tide_engine_barrier){.targets = true, .behind = 1, .source = 9, .cursor = 1, .target = 2};
  expect_why(f, "opening: auths/0 at 1 of 2, 1 partition behind; engine 2 reads the sources");
  f->look.known.ledger.claimant = 0;
  expect_why(f, "opening: auths/0 at 1 of 2, 1 partition behind; no engine reads the sources yet");
  tide_free(f);
}

static void what_stands_still(void **state) {
  (void)state;
  struct fixture *f = fixture_new(true);
  struct tide_buf out = TIDE_BUF_INIT;
  tide_http_sources_stopped(&f->look, &out);
  assert_string_equal(
      tide_buf_cstr(&out),
      "\"stopped\":[{\"source\":\"auths\",\"partition\":2,\"why\":\"the log of \\\"it\\\" is gone\"}],\"stopped_partitions\":1");
  tide_buf_clear(&out);
  f->part[2].trouble[0] = '\0';
  tide_http_sources_stopped(&f->look, &out);
  assert_int_equal(out.len, 0);
  f->look.part_count = 20; /* the first of many, and how many */
  for (uint16_t i = 0; i < 20; i++) {
    f->part[i].view = (struct tide_merge_view){.source = 9, .partition = i};
    snprintf(f->part[i].trouble, sizeof f->part[i].trouble, "gone");
  }
  tide_json_open(&out, '{');
  tide_http_sources_stopped(&f->look, &out);
  tide_json_close(&out, '}');
  json_t *object = json_loadb(out.ptr, out.len, 0, NULL);
  assert_int_equal(json_array_size(json_object_get(object, "stopped")), 16);
  assert_int_equal(number(object, "stopped_partitions"), 20);
  json_decref(object);
  tide_buf_release(&out);
  tide_free(f);
}

/* ---- the token ---- */

static enum tide_err read_back(const char *content, size_t len, char ret[TIDE_TOKEN_MOST + 1], struct tide_error *error) {
  char path[] = "/tmp/tide-token-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0 && write(fd, content, len) == (ssize_t)len && close(fd) == 0);
  enum tide_err err = tide_token_load(path, ret, error);
  assert_int_equal(unlink(path), 0);
  return err;
}

static void tokens(void **state) {
  (void)state;
  char token[TIDE_TOKEN_MOST + 1] = "before", longest[TIDE_TOKEN_MOST + 5];
  struct tide_error error;
  memset(longest, 'a', sizeof longest);
  assert_int_equal(read_back("0123456789abcdef0123456789-._~+/=aZ\r\n", 37, token, &error), TIDE_OK);
  assert_string_equal(token, "0123456789abcdef0123456789-._~+/=aZ");
  assert_int_equal(read_back("0123456789abcdef0123456789abcdef", 32, token, &error), TIDE_OK);
  assert_int_equal(read_back(longest, TIDE_TOKEN_MOST, token, &error), TIDE_OK);
  assert_int_equal(strlen(token), TIDE_TOKEN_MOST);
  snprintf(token, sizeof token, "before");
  static const char *const bad[] = {"",
                                    "\n",
                                    "0123456789abcdef0123456789abcde",
                                    "0123456789abcdef 0123456789abcdef",
                                    "0123456789abcdef0123456789abcdef\nmore",
                                    "0123456789abcdef0123456789abcdef\x80"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    error = (struct tide_error){0};
    assert_int_equal(read_back(bad[i], strlen(bad[i]), token, &error), TIDE_E_CONFIG);
    assert_null(strstr(error.text, "0123456789abcde")); /* it may be half of a secret */
  }
  assert_int_equal(read_back("0123456789abcdef\0hidden", 23, token, &error), TIDE_E_CONFIG);
  assert_int_equal(read_back(longest, TIDE_TOKEN_MOST + 1, token, &error), TIDE_E_CONFIG);
  assert_int_equal(tide_token_load("/nonexistent/token", token, &error), TIDE_E_NOT_FOUND);
  assert_non_null(strstr(error.text, "/nonexistent/token"));
  assert_string_equal(token, "before");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_page_of_the_engine_that_reads),
      cmocka_unit_test(the_page_of_another),
      cmocka_unit_test(what_an_epoch_waits_for),
      cmocka_unit_test(what_stands_still),
      cmocka_unit_test(tokens),
  };
  return cmocka_run_group_tests_name("http_sources", tests, NULL, NULL);
}
