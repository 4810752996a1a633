/* etcd when the Nth request goes wrong, for every N of a small life and every kind of wrong; and its tokens, endpoints and prefixes.
 *
 * A proxy before a real etcd fails one request: it hangs up before or behind the server, answers with a status, with other words than etcd's, with half of an
 * answer, too late, or says that there is no leader or that the token is invalid. In each run the work is repeated until it is
 * done, a bounded number of times, and at every moment:
 *   - what a put said is done stands there, byte for byte, as a second handle past the proxy sees it;
 *   - what it said is not done (EXISTS, STALE) is not done by it;
 *   - what is read is what was written, or an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/registry_rig.h"
#include "base/clock.h"

enum { TRIES_MAX = 20, LIFE_MAX = 60 };

static struct registry_rig rig;
static struct tide_error error;

struct life {
  struct tide_registry *proxied, *direct;
  char what[80];
};

#define CHECK(life, condition)                                                                                                             \
  do {                                                                                                                                     \
    if (!(condition)) fail_msg("%s, line %d: %s (%s)", (life)->what, __LINE__, #condition, error.text);                                    \
  } while (0)

/* What a single fault may look like from outside. */
static bool may_be(enum tide_err err) {
  return err == TIDE_E_AGAIN || err == TIDE_E_INDETERMINATE || err == TIDE_E_CORRUPT || err == TIDE_E_IO || err == TIDE_E_CONFIG;
}

static void stands(struct life *life, const char *key, const char *value) {
  struct tide_buf there = TIDE_BUF_INIT;
  uint64_t revision;
  CHECK(life, life->direct->ops->get(life->direct, key, &there, &revision, &error) == TIDE_OK);
  CHECK(life, tide_span_is(tide_buf_span(&there), value));
  tide_buf_release(&there);
}

static void create(struct life *life, const char *key, const char *value) {
  enum tide_err err = TIDE_E_AGAIN;
  for (int tries = 0; err != TIDE_OK; tries++) {
    CHECK(life, tries < TRIES_MAX);
    err = life->proxied->ops->put(life->proxied, key, tide_span_of(value), 0, &error);
    CHECK(life, err == TIDE_OK || err == TIDE_E_EXISTS || may_be(err));
    if (err == TIDE_E_EXISTS) break; /* an attempt whose end was not known: nobody else writes here */
    CHECK(life, err != TIDE_E_EXISTS || tries > 0);
  }
  stands(life, key, value);
}

static uint64_t read_it(struct life *life, const char *key, const char *value) {
  struct tide_buf there = TIDE_BUF_INIT;
  uint64_t revision = 0;
  enum tide_err err = TIDE_E_AGAIN;
  for (int tries = 0; err != TIDE_OK; tries++) {
    CHECK(life, tries < TRIES_MAX);
    tide_buf_clear(&there);
    err = life->proxied->ops->get(life->proxied, key, &there, &revision, &error);
    CHECK(life, err == TIDE_OK || may_be(err));
    if (!err) CHECK(life, tide_span_is(tide_buf_span(&there), value));
  }
  tide_buf_release(&there);
  return revision;
}

static void change(struct life *life, const char *key, const char *from, const char *to) {
  enum tide_err err = TIDE_E_AGAIN;
  uint64_t revision = read_it(life, key, from);
  for (int tries = 0; err != TIDE_OK && err != TIDE_E_STALE; tries++) {
    CHECK(life, tries < TRIES_MAX);
    err = life->proxied->ops->put(life->proxied, key, tide_span_of(to), revision, &error);
    CHECK(life, err == TIDE_OK || err == TIDE_E_STALE || may_be(err));
    CHECK(life, err != TIDE_E_STALE || tries > 0);
  }
  stands(life, key, to);
}

static void list_it(struct life *life, const char *dir, size_t count) {
  struct tide_registry_rows rows;
  enum tide_err err = TIDE_E_AGAIN;
  for (int tries = 0; err != TIDE_OK; tries++) {
    CHECK(life, tries < TRIES_MAX);
    err = life->proxied->ops->list(life->proxied, dir, TIDE_REGISTRY_ALL, &rows, &error);
    CHECK(life, err == TIDE_OK || may_be(err));
    if (err) continue;
    CHECK(life, rows.count == count);
    tide_registry_rows_release(&rows);
  }
}

static void announce_it(struct life *life, const char *key) {
  for (int times = 0; times < 2; times++) {
    enum tide_err err = TIDE_E_AGAIN;
    for (int tries = 0; err != TIDE_OK; tries++) {
      CHECK(life, tries < TRIES_MAX);
      err = life->proxied->ops->announce(life->proxied, key, tide_span_of(times ? "here" : "here first"), 60000, &error);
      CHECK(life, err == TIDE_OK || may_be(err));
    }
  }
  stands(life, key, "here");
}

/* Every change is told of, also where the watch broke: then by the look that follows. */
static void watch_it(struct life *life, const char *dir) {
  char key[80];
  for (int i = 0; i < 2; i++) {
    bool changed = false;
    for (int tries = 0; i == 0 && !changed; tries++) {
      CHECK(life, tries < TRIES_MAX);
      enum tide_err err = life->proxied->ops->watch(life->proxied, dir, 10, &changed, &error);
      CHECK(life, err == TIDE_OK || may_be(err));
    }
    snprintf(key, sizeof key, "%s%d", dir, i);
    CHECK(life, life->direct->ops->put(life->direct, key, tide_span_of("x"), 0, &error) == TIDE_OK);
    changed = false;
    int64_t end_ns = tide_mono_now().ns + INT64_C(20000000000);
    while (!changed) {
      CHECK(life, tide_mono_now().ns < end_ns);
      enum tide_err err = life->proxied->ops->watch(life->proxied, dir, 50, &changed, &error);
      CHECK(life, err == TIDE_OK || may_be(err));
    }
  }
}

static void live(struct life *life) {
  create(life, "about/model/a", "one");
  (void)read_it(life, "about/model/a", "one");
  change(life, "about/model/a", "one", "two");
  create(life, "about/model/b", "three");
  list_it(life, "about/model/", 2);
  announce_it(life, "cells/eu/engines/1");
  watch_it(life, "cells/eu/rollouts/");
}

/* One life with the fault; how many requests it took. */
static long run_life(const char *mode, int after) {
  struct rig_address address, past;
  struct life life;
  char words[64];
  rig_address(&rig, &address);
  past = address;
  snprintf(past.endpoints, sizeof past.endpoints, "127.0.0.1:%u", rig.port);
  snprintf(life.what, sizeof life.what, "%s at request %d", mode, after);
  snprintf(words, sizeof words, "fault?after=%d&mode=%s", after, mode);
  life.proxied = rig_open(&address, NULL, NULL, 250);
  life.direct = rig_open(&past, NULL, NULL, 5000);
  (void)rig_control(&rig, words);
  live(&life);
  long count = rig_control(&rig, "count");
  life.proxied->ops->close(life.proxied);
  life.direct->ops->close(life.direct);
  return count;
}

static void the_nth_request_fails(const char *mode) {
  long count = run_life(mode, -1);
  assert_in_range(count, 10, LIFE_MAX);
  for (int after = 0; after < count; after++) (void)run_life(mode, after);
}

#define MODE(mode)                                                                                                                         \
  static void mode##_at_every_request(void **state) {                                                                                      \
    (void)state;                                                                                                                           \
    the_nth_request_fails(#mode);                                                                                                          \
  }
MODE(refuse)
MODE(lose)
MODE(status)
MODE(leader)
MODE(token)
MODE(garbage)
MODE(nothing)
MODE(half)
MODE(slow)

static void another_endpoint_answers(void **state) {
  (void)state;
  struct rig_address address;
  rig_address(&rig, &address);
  snprintf(address.endpoints, sizeof address.endpoints, "127.0.0.1:1,127.0.0.1:%u,127.0.0.1:2", rig.port);
  struct tide_registry *r = rig_open(&address, NULL, NULL, 2000);
  assert_int_equal(r->ops->put(r, "a/b", tide_span_of("x"), 0, &error), TIDE_OK);
  assert_int_equal(r->ops->announce(r, "a/c", tide_span_of("x"), 10000, &error), TIDE_OK);
  r->ops->close(r);
  snprintf(address.endpoints, sizeof address.endpoints, "127.0.0.1:1,127.0.0.1:2");
  r = rig_open(&address, NULL, NULL, 2000);
  assert_int_equal(r->ops->put(r, "a/d", tide_span_of("x"), 0, &error), TIDE_E_AGAIN); /* never sent: so it is known that it is not done */
  r->ops->close(r);
}

static void what_is_no_address_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "", "host", "a:1,", "a:1,,b:2", "user:secret@a:1", "a:1/x", "a:1 ", "a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9,j:10"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct tide_etcd_options options = {.endpoints = wrong[i], .prefix = "t", .timeout_ms = 100};
    struct tide_registry *r = NULL;
    enum tide_err err = tide_registry_etcd_open(&options, &r, &error);
    if (i == 2) { /* a comma at the end says nothing more */
      assert_int_equal(err, TIDE_OK);
      r->ops->close(r);
      continue;
    }
    assert_int_equal(err, TIDE_E_CONFIG);
    assert_null(strstr(error.text, "secret"));
  }
}

static void an_interrupt_ends_what_hangs(void **state) {
  (void)state;
  struct rig_address address;
  struct tide_buf value = TIDE_BUF_INIT;
  uint64_t revision;
  rig_address(&rig, &address);
  struct tide_registry *r = rig_open(&address, NULL, NULL, 60000);
  r->ops->interrupt(r);
  int64_t begin_ns = tide_mono_now().ns;
  assert_int_equal(r->ops->get(r, "a/b", &value, &revision, &error), TIDE_E_AGAIN);
  assert_true(tide_mono_now().ns - begin_ns < INT64_C(30000000000)); /* of the minute that it might take */
  r->ops->close(r);
  tide_buf_release(&value);
}

/* The last of all: from here on etcd asks for users. */
static void tokens_are_asked_for_again(void **state) {
  (void)state;
  struct rig_address address;
  struct tide_registry_rows rows;
  rig_address(&rig, &address);
  (void)rig_control(&rig, "users");
  struct tide_registry *r = rig_open(&address, "tidemark", "secret", 5000);
  assert_int_equal(r->ops->put(r, "a/b", tide_span_of("x"), 0, &error), TIDE_OK);
  for (int i = 0; i < 3; i++) {
    char words[64];
    (void)rig_control(&rig, "restart"); /* etcd keeps simple tokens in memory */
    assert_int_equal(r->ops->list(r, "a/", TIDE_REGISTRY_ALL, &rows, &error), TIDE_OK);
    assert_int_equal(rows.count, 1);
    tide_registry_rows_release(&rows);
    snprintf(words, sizeof words, "fault?after=%d&mode=token", i);
    (void)rig_control(&rig, words);
    assert_int_equal(r->ops->list(r, "a/", TIDE_REGISTRY_ALL, &rows, &error), TIDE_OK);
    tide_registry_rows_release(&rows);
  }
  r->ops->close(r);
  r = rig_open(&address, "tidemark", "wrong", 5000);
  assert_int_equal(r->ops->list(r, "a/", TIDE_REGISTRY_ALL, &rows, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "registry.password_file"));
  assert_null(strstr(error.text, "wrong"));
  r->ops->close(r);
  r = rig_open(&address, NULL, NULL, 5000);
  assert_int_equal(r->ops->list(r, "a/", TIDE_REGISTRY_ALL, &rows, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "registry.user"));
  r->ops->close(r);
  snprintf(address.prefix, sizeof address.prefix, "elsewhere");
  r = rig_open(&address, "tidemark", "secret", 5000);
  assert_int_equal(r->ops->put(r, "a/b", tide_span_of("x"), 0, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "grant"));
  r->ops->close(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuse_at_every_request),       cmocka_unit_test(lose_at_every_request),
      cmocka_unit_test(status_at_every_request),       cmocka_unit_test(leader_at_every_request),
      cmocka_unit_test(token_at_every_request),        cmocka_unit_test(garbage_at_every_request),
      cmocka_unit_test(nothing_at_every_request),      cmocka_unit_test(half_at_every_request),
      cmocka_unit_test(slow_at_every_request),         cmocka_unit_test(another_endpoint_answers),
      cmocka_unit_test(what_is_no_address_is_refused), cmocka_unit_test(an_interrupt_ends_what_hangs),
      cmocka_unit_test(tokens_are_asked_for_again),
  };
  rig_start(&rig);
  int failed = cmocka_run_group_tests_name("registry_faults", tests, NULL, NULL);
  rig_stop(&rig);
  return failed;
}
