/* What a registry holds: written, read back, found by the words that people use; and that nothing that was touched by another hand comes out of it.
 *
 * On a directory, whose files the test changes itself; every system call that a write makes fails once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/journal_dir.h"
#include "adapter/registry_dir.h"
#include "adapter/registry_store.h"
#include "base/base64.h"
#include "core/rollout.h"

struct fixture {
  char *dir;
  struct tide_registry *r;
};
static struct tide_error error;

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  f->dir = test_dir_fast("registry-store");
  f->r = tide_registry_dir_new(f->dir, NULL);
  *state = f;
  return 0;
}
static int teardown(void **state) {
  struct fixture *f = *state;
  f->r->ops->close(f->r);
  test_dir_remove(f->dir);
  tide_free(f->dir);
  tide_free(f);
  return 0;
}

static const struct tide_act act = {"ann", "a reason with \"quotes\" and \xc3\xa9", 1700000000123};

static void must(enum tide_err err) {
  if (err) fail_msg("%s: %s", tide_err_name(err), error.text);
}
static struct tide_registry_version push(struct fixture *f, const char *name, const char *bytes) {
  struct tide_registry_version version;
  must(tide_registry_push(f->r, TIDE_ARTIFACT_policy, name, tide_span_of(bytes), &act, &version, &error));
  return version;
}

static void write_file(const struct fixture *f, const char *key, const char *text) {
  char *path = test_path(f->dir, key);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  assert_int_equal(fclose(file), 0);
  tide_free(path);
}

static void a_version_is_its_content(void **state) {
  struct fixture *f = *state;
  struct tide_registry_version a = push(f, "strict", "one"), again, known;
  struct tide_buf bytes = TIDE_BUF_INIT;
  assert_true(tide_content_hash_eq(a.hash, tide_content_hash(TIDE_SPAN("one"))));
  assert_int_equal(tide_registry_push(f->r, TIDE_ARTIFACT_policy, "other", TIDE_SPAN("one"), &act, &again, &error), TIDE_E_EXISTS);
  assert_string_equal(again.name, "strict");
  must(tide_registry_about(f->r, TIDE_ARTIFACT_policy, a.hash, &known, &error));
  assert_string_equal(known.pushed.who, act.who);
  assert_string_equal(known.pushed.why, act.why);
  assert_int_equal(known.pushed.at_ms, act.at_ms);
  assert_int_equal(known.bytes, 3);
  must(tide_registry_content(f->r, TIDE_ARTIFACT_policy, a.hash, &bytes, &error));
  assert_true(tide_span_is(tide_buf_span(&bytes), "one"));
  assert_int_equal(tide_registry_about(f->r, TIDE_ARTIFACT_model, a.hash, &known, &error), TIDE_E_NOT_FOUND);
  tide_buf_release(&bytes);
}

static void finds(struct fixture *f, const char *word, const struct tide_registry_version *want) {
  struct tide_registry_version found;
  enum tide_err err = tide_registry_find(f->r, TIDE_ARTIFACT_policy, word, &found, &error);
  if (!want) assert_int_equal(err, TIDE_E_UNKNOWN_NAME);
  else {
    must(err);
    assert_true(tide_content_hash_eq(found.hash, want->hash));
  }
}

static void words_find_versions(void **state) {
  struct fixture *f = *state;
  struct tide_registry_version a = push(f, "strict", "one"), b;
  struct tide_act later = act;
  later.at_ms++;
  must(tide_registry_push(f->r, TIDE_ARTIFACT_policy, "strict", TIDE_SPAN("two"), &later, &b, &error));
  char text[TIDE_CONTENT_HASH_TEXT], word[120];
  finds(f, "strict", &b); /* the newest */
  finds(f, tide_content_hash_text(a.hash, text), &a);
  snprintf(word, sizeof word, "%.6s", text);
  finds(f, word, &a);
  snprintf(word, sizeof word, "strict@%.8s", text);
  finds(f, word, &a);
  snprintf(word, sizeof word, "mild@%.8s", text);
  finds(f, word, NULL);
  finds(f, "stric", NULL);
  finds(f, "strict@", NULL);
  finds(f, "abcdef", NULL);
}

static void what_was_found_out(void **state) {
  struct fixture *f = *state;
  struct tide_registry_version a = push(f, "strict", "one");
  struct tide_version_check check = {.passed = true, .by = act, .features = tide_content_hash(TIDE_SPAN("f"))}, read;
  struct tide_act retired;
  assert_int_equal(tide_registry_check(f->r, &a, &read, &error), TIDE_E_NOT_FOUND);
  for (int i = 0; i < 2; i++) {
    tide_buf_clear(&check.figures);
    tide_buf_printf(&check.figures, "{\"events\":%d}", i);
    must(tide_registry_set_check(f->r, &a, &check, &error));
    must(tide_registry_check(f->r, &a, &read, &error));
    assert_true(read.passed && tide_content_hash_eq(read.features, check.features) && tide_content_hash_is_zero(read.policy));
    assert_true(tide_span_eq(tide_buf_span(&read.figures), tide_buf_span(&check.figures)));
    tide_buf_release(&read.figures);
  }
  tide_buf_release(&check.figures);
  assert_int_equal(tide_registry_retired(f->r, &a, &retired, &error), TIDE_E_NOT_FOUND);
  must(tide_registry_retire(f->r, &a, &act, &error));
  assert_int_equal(tide_registry_retire(f->r, &a, &act, &error), TIDE_E_EXISTS);
  must(tide_registry_retired(f->r, &a, &retired, &error));
  assert_string_equal(retired.why, act.why);
}

static struct tide_rollout_document rollout(uint64_t index, uint64_t number) {
  struct tide_rollout_document d = {.index = index, .at_ms = act.at_ms, .rollout = {.number = number, .model_count = 2}};
  snprintf(d.rollout.who, sizeof d.rollout.who, "%s", act.who);
  snprintf(d.rollout.why, sizeof d.rollout.why, "%s", act.why);
  d.rollout.features = tide_content_hash(TIDE_SPAN("f"));
  d.rollout.shadow_policy = tide_content_hash(TIDE_SPAN("s"));
  d.rollout.model[0] = (struct tide_rollout_model){tide_content_hash(TIDE_SPAN("a")), TIDE_ROLE_live, 9500};
  d.rollout.model[1] = (struct tide_rollout_model){tide_content_hash(TIDE_SPAN("b")), TIDE_ROLE_canary, 500};
  return d;
}

static bool same(const struct tide_rollout_document *a, const struct tide_rollout_document *b) {
  return a->index == b->index && a->at_ms == b->at_ms && tide_rollout_eq(&a->rollout, &b->rollout);
}

static void rollouts_follow_each_other(void **state) {
  struct fixture *f = *state;
  struct tide_rollout_document a = rollout(1, 1), b = rollout(2, 7), read, *all;
  size_t count;
  assert_int_equal(tide_registry_rollout(f->r, "eu", 0, &read, &error), TIDE_E_NOT_FOUND);
  must(tide_registry_roll_out(f->r, "eu", &a, &error));
  assert_int_equal(tide_registry_roll_out(f->r, "eu", &a, &error), TIDE_E_STALE);
  must(tide_registry_roll_out(f->r, "eu", &b, &error));
  must(tide_registry_rollout(f->r, "eu", 0, &read, &error));
  assert_true(same(&read, &b));
  must(tide_registry_rollout(f->r, "eu", 1, &read, &error));
  assert_true(same(&read, &a));
  assert_int_equal(tide_registry_rollout(f->r, "eu", 2, &read, &error), TIDE_E_NOT_FOUND);
  must(tide_registry_rollouts(f->r, "eu", &all, &count, &error));
  assert_int_equal(count, 2);
  tide_free(all);
}

static void epochs_only_rise(void **state) {
  struct fixture *f = *state;
  uint64_t highest = 77;
  must(tide_registry_epoch(f->r, "eu", &highest, &error));
  assert_int_equal(highest, 0);
  must(tide_registry_take_epoch(f->r, "eu", 3, &highest, &error));
  assert_int_equal(tide_registry_take_epoch(f->r, "eu", 3, &highest, &error), TIDE_E_STALE); /* one opener has it */
  assert_int_equal(highest, 3);
  assert_int_equal(tide_registry_take_epoch(f->r, "eu", 2, &highest, &error), TIDE_E_STALE);
  assert_int_equal(highest, 3);
  must(tide_registry_take_epoch(f->r, "eu", 900, &highest, &error)); /* numbers may be skipped */
  must(tide_registry_epoch(f->r, "eu", &highest, &error));
  assert_int_equal(highest, 900);
  must(tide_registry_epoch(f->r, "us", &highest, &error)); /* each cell its own */
  assert_int_equal(highest, 0);
  write_file(f, "cells/eu/epoch", "{\"epoch\":-1}");
  highest = 77;
  assert_int_equal(tide_registry_epoch(f->r, "eu", &highest, &error), TIDE_E_CORRUPT);
  assert_int_equal(tide_registry_take_epoch(f->r, "eu", 901, &highest, &error), TIDE_E_CORRUPT);
  assert_int_equal(highest, 77);
}

static void engines_are_listed_by_number(void **state) {
  struct fixture *f = *state;
  struct tide_engine_card card = {.address = "10.0.0.1:8080",
                                  .admin = "10.0.0.1:9090",
                                  .version = "0.1.0",
                                  .position = "7-5",
                                  .state = "open",
                                  .epoch = 7,
                                  .rollout = 3,
                                  .ready = true,
                                  .started_ms = act.at_ms,
                                  .told_ms = act.at_ms},
                          *all;
  size_t count;
  for (uint32_t id = 11; id > 8; id--) {
    card.engine_id = id;
    must(tide_registry_announce(f->r, "eu", &card, 60000, &error));
  }
  must(tide_registry_engines(f->r, "eu", &all, &count, &error));
  assert_int_equal(count, 3);
  assert_int_equal(all[0].engine_id, 9);
  assert_string_equal(all[0].address, card.address);
  assert_string_equal(all[0].position, card.position);
  assert_true(all[0].ready && !all[0].ingests && all[0].rollout == 3 && all[0].epoch == 7 && all[0].told_ms == act.at_ms);
  assert_int_equal(all[2].engine_id, 11);
  tide_free(all);
}

/* ---- what another hand has touched ---- */

static void corrupt(enum tide_err err, const char *key) {
  assert_int_equal(err, TIDE_E_CORRUPT);
  if (!strstr(error.text, key)) fail_msg("got \"%s\", want the key \"%s\"", error.text, key);
}

static void what_was_touched_does_not_come_out(void **state) {
  struct fixture *f = *state;
  struct tide_registry_version a = push(f, "strict", "one"), known, *versions;
  struct tide_rollout_document document = rollout(1, 1);
  struct tide_version_check check = {0};
  struct tide_buf bytes = TIDE_BUF_INIT;
  char text[TIDE_CONTENT_HASH_TEXT], key[120];
  size_t count;
  tide_content_hash_text(a.hash, text);
  snprintf(key, sizeof key, "content/policy/%s", text);
  write_file(f, key, "two");
  corrupt(tide_registry_content(f->r, TIDE_ARTIFACT_policy, a.hash, &bytes, &error), key);
  assert_int_equal(bytes.len, 0);
  corrupt(tide_registry_push(f->r, TIDE_ARTIFACT_policy, "x", TIDE_SPAN("one"), &act, &known, &error), key);
  static const char *const abouts[] = {
      "",
      "[]",
      "{",
      "{}",
      "{\"name\":7,\"bytes\":3,\"who\":\"a\",\"why\":\"b\",\"at\":\"2026-01-01T00:00:00Z\"}",
      "{\"name\":\"n\",\"bytes\":-3,\"who\":\"a\",\"why\":\"b\",\"at\":\"2026-01-01T00:00:00Z\"}",
      "{\"name\":\"n\",\"bytes\":3,\"who\":\"a\",\"why\":\"b\",\"at\":\"yesterday\"}",
      "{\"name\":\"n\",\"name\":\"m\",\"bytes\":3,\"who\":\"a\",\"why\":\"b\",\"at\":\"2026-01-01T00:00:00Z\"}",
      "{\"name\":\"n\\u0000m\",\"bytes\":3,\"who\":\"a\",\"why\":\"b\",\"at\":\"2026-01-01T00:00:00Z\"}"};
  snprintf(key, sizeof key, "about/policy/%s", text);
  for (size_t i = 0; i < sizeof abouts / sizeof abouts[0]; i++) {
    write_file(f, key, abouts[i]);
    corrupt(tide_registry_about(f->r, TIDE_ARTIFACT_policy, a.hash, &known, &error), key);
    corrupt(tide_registry_versions(f->r, TIDE_ARTIFACT_policy, &versions, &count, &error), key);
  }
  char *made = test_path(f->dir, "checks");
  assert_int_equal(mkdir(made, 0755), 0);
  tide_free(made);
  made = test_path(f->dir, "checks/policy");
  assert_int_equal(mkdir(made, 0755), 0);
  tide_free(made);
  snprintf(key, sizeof key, "checks/policy/%s", text);
  write_file(f, key, "{\"passed\":1}");
  corrupt(tide_registry_check(f->r, &a, &check, &error), key);
  must(tide_registry_roll_out(f->r, "eu", &document, &error));
  write_file(f, "cells/eu/rollouts/00000000000000000002", "{\"number\":1}");
  corrupt(tide_registry_rollout(f->r, "eu", 0, &document, &error), "cells/eu/rollouts/00000000000000000002");
  write_file(f, "cells/eu/rollouts/3", "{}");
  corrupt(tide_registry_rollout(f->r, "eu", 0, &document, &error), "cells/eu/rollouts/3");
  tide_buf_release(&bytes);
}

/* A document that was cut is not read; never as half of one. */
static void documents_cut_anywhere(void **state) {
  struct fixture *f = *state;
  struct tide_rollout_document document = rollout(1, 1), read;
  struct tide_buf text = TIDE_BUF_INIT, cut = TIDE_BUF_INIT;
  uint64_t revision;
  must(tide_registry_roll_out(f->r, "eu", &document, &error));
  must(f->r->ops->get(f->r, "cells/eu/rollouts/00000000000000000001", &text, &revision, &error));
  for (size_t len = 0; len < text.len; len++) {
    tide_buf_clear(&cut);
    tide_buf_put(&cut, text.ptr, len);
    write_file(f, "cells/eu/rollouts/00000000000000000001", tide_buf_cstr(&cut));
    corrupt(tide_registry_rollout(f->r, "eu", 0, &read, &error), "cells/eu/rollouts");
  }
  tide_buf_release(&text);
  tide_buf_release(&cut);
}

/* ---- every call fails once ---- */

static int calls, fail_at;
static bool fails(void) {
  if (calls++ != fail_at) return false;
  errno = EIO;
  return true;
}
static int bad_open(const char *path, int flags, mode_t mode) { return fails() ? -1 : open(path, flags, mode); }
static ssize_t bad_pwrite(int fd, const void *ptr, size_t len, off_t at) { return fails() ? -1 : pwrite(fd, ptr, len, at); }
static int bad_fdatasync(int fd) { return fails() ? -1 : fdatasync(fd); }
static int bad_fsync(int fd) { return fails() ? -1 : fsync(fd); }
static int bad_ftruncate(int fd, off_t len) { return fails() ? -1 : ftruncate(fd, len); }
static int bad_rename(const char *from, const char *to) { return fails() ? -1 : rename(from, to); }
static int bad_unlink(const char *path) { return fails() ? -1 : unlink(path); }
static int bad_mkdir(const char *path, mode_t mode) { return fails() ? -1 : mkdir(path, mode); }
static const struct tide_sys bad_sys = {bad_open, bad_pwrite, bad_fdatasync, bad_fsync, bad_ftruncate, bad_rename, bad_unlink, bad_mkdir};

static void every_call_may_fail(void **state) {
  struct fixture *f = *state;
  struct tide_registry *bad = tide_registry_dir_new(f->dir, &bad_sys);
  bool all = false;
  for (int n = 0; !all; n++) {
    struct tide_registry_version version;
    struct tide_buf bytes = TIDE_BUF_INIT;
    char text[40];
    assert_true(n < 100);
    snprintf(text, sizeof text, "version %d", n);
    calls = 0;
    fail_at = n;
    enum tide_err err = tide_registry_push(bad, TIDE_ARTIFACT_policy, "p", tide_span_of(text), &act, &version, &error);
    all = calls <= n; /* nothing failed */
    fail_at = -1;
    if (all) must(err);
    if (!err) must(tide_registry_content(f->r, TIDE_ARTIFACT_policy, version.hash, &bytes, &error));
    enum tide_err again = tide_registry_push(bad, TIDE_ARTIFACT_policy, "p", tide_span_of(text), &act, &version, &error);
    assert_true(again == (err ? again : TIDE_E_EXISTS) && (again == TIDE_OK || again == TIDE_E_EXISTS));
    tide_buf_clear(&bytes);
    must(tide_registry_content(f->r, TIDE_ARTIFACT_policy, version.hash, &bytes, &error));
    assert_true(tide_span_is(tide_buf_span(&bytes), text));
    tide_buf_release(&bytes);
  }
  bad->ops->close(bad);
}

static void base64_there_and_back(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *text;
  } rows[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "Zm 9", "Zm9v\n", "Zm-v", "=m9v"};
  struct tide_buf out = TIDE_BUF_INIT;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) { /* RFC 4648, section 10 */
    tide_buf_clear(&out);
    tide_base64_put(&out, tide_span_of(rows[i].bytes));
    assert_string_equal(tide_buf_cstr(&out), rows[i].text);
    tide_buf_clear(&out);
    assert_true(tide_base64_get(tide_span_of(rows[i].text), &out));
    assert_string_equal(tide_buf_cstr(&out), rows[i].bytes);
  }
  tide_buf_clear(&out);
  tide_buf_str(&out, "kept");
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_false(tide_base64_get(tide_span_of(wrong[i]), &out));
  assert_string_equal(tide_buf_cstr(&out), "kept");
  tide_buf_release(&out);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      CASE(a_version_is_its_content),           CASE(words_find_versions),    CASE(what_was_found_out),
      CASE(rollouts_follow_each_other),         CASE(epochs_only_rise),       CASE(engines_are_listed_by_number),
      CASE(what_was_touched_does_not_come_out), CASE(documents_cut_anywhere), CASE(every_call_may_fail),
      cmocka_unit_test(base64_there_and_back),
  };
  return cmocka_run_group_tests_name("registry_store", tests, NULL, NULL);
}
