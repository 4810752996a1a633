/* The registry's contract, the same cases on a directory and on a real etcd.
 *
 * A case sees only the port: handles, keys, values, revisions. Writers that race are threads, each with a handle of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "../support/registry_rig.h"
#include "base/clock.h"

static struct registry_rig rig;

struct backend {
  const char *name;
  bool etcd;
};
static const struct backend backends[] = {{"dir", false}, {"etcd", true}};

struct place {
  bool etcd;
  char *dir;
  struct rig_address address;
};

static int setup(void **state) {
  const struct backend *backend = *state;
  struct place *place = tide_alloc(sizeof *place);
  place->etcd = backend->etcd;
  place->dir = test_dir("registry-dir");
  rig_address(&rig, &place->address);
  *state = place;
  return 0;
}
static int teardown(void **state) {
  struct place *place = *state;
  test_dir_remove(place->dir);
  tide_free(place->dir);
  tide_free(place);
  return 0;
}

static struct tide_registry *open_registry(const struct place *place) {
  if (place->etcd) return rig_open(&place->address, NULL, NULL, 5000);
  char *root = test_path(place->dir, "deep/registry");
  struct tide_registry *registry = tide_registry_dir_new(root, NULL);
  tide_free(root);
  return registry;
}

static struct tide_error error;

static enum tide_err put(struct tide_registry *r, const char *key, const char *value, uint64_t expect) {
  return r->ops->put(r, key, tide_span_of(value), expect, &error);
}
static void must(enum tide_err err) {
  if (err) fail_msg("%s: %s", tide_err_name(err), error.text);
}

static void an_empty_registry_has_nothing(void **state) {
  struct tide_registry *r = open_registry(*state);
  struct tide_registry_rows rows;
  struct tide_buf value = TIDE_BUF_INIT;
  uint64_t revision = 0;
  assert_int_equal(r->ops->get(r, "about/model/a", &value, &revision, &error), TIDE_E_NOT_FOUND);
  assert_non_null(strstr(error.text, "about/model/a"));
  for (int what = TIDE_REGISTRY_ALL; what <= TIDE_REGISTRY_LAST; what++) {
    must(r->ops->list(r, "about/model/", (enum tide_registry_list)what, &rows, &error));
    assert_int_equal(rows.count, 0);
    tide_registry_rows_release(&rows);
  }
  assert_int_equal(put(r, "about/model/a", "x", 5), TIDE_E_STALE);
  tide_buf_release(&value);
  r->ops->close(r);
}

static void a_value_is_written_once_and_read_by_all(void **state) {
  struct tide_registry *r = open_registry(*state), *other = open_registry(*state);
  struct tide_buf value = TIDE_BUF_INIT;
  uint64_t first = 0, second = 0;
  must(put(r, "about/model/a", "one", 0));
  assert_int_equal(put(other, "about/model/a", "two", 0), TIDE_E_EXISTS);
  assert_int_equal(put(r, "about/model/a", "one", 0), TIDE_E_EXISTS);
  tide_buf_str(&value, "kept:");
  must(other->ops->get(other, "about/model/a", &value, &first, &error));
  assert_string_equal(tide_buf_cstr(&value), "kept:one");
  assert_true(first != 0);
  must(put(other, "about/model/a", "two", first));
  assert_int_equal(put(r, "about/model/a", "three", first), TIDE_E_STALE);
  tide_buf_clear(&value);
  must(r->ops->get(r, "about/model/a", &value, &second, &error));
  assert_string_equal(tide_buf_cstr(&value), "two");
  assert_true(second != first);
  tide_buf_release(&value);
  r->ops->close(r);
  other->ops->close(other);
}

static void a_directory_is_listed_in_order_and_not_deeper(void **state) {
  struct tide_registry *r = open_registry(*state);
  struct tide_registry_rows rows;
  must(put(r, "cells/eu/rollouts/00000000000000000010", "ten", 0));
  must(put(r, "cells/eu/rollouts/00000000000000000009", "nine", 0));
  must(put(r, "cells/eu/rollouts-not/1", "other", 0));
  must(put(r, "cells/eux/rollouts/1", "other", 0));
  must(put(r, "cells/eu/a", "file", 0));
  must(r->ops->list(r, "cells/eu/rollouts/", TIDE_REGISTRY_ALL, &rows, &error));
  assert_int_equal(rows.count, 2);
  assert_string_equal(rows.row[0].key, "cells/eu/rollouts/00000000000000000009");
  assert_true(tide_span_is(rows.row[0].value, "nine"));
  assert_true(tide_span_is(rows.row[1].value, "ten"));
  assert_true(rows.row[0].revision && rows.row[1].revision);
  tide_registry_rows_release(&rows);
  must(r->ops->list(r, "cells/eu/rollouts/", TIDE_REGISTRY_KEYS, &rows, &error));
  assert_int_equal(rows.count, 2);
  assert_int_equal(rows.row[1].value.len, 0);
  tide_registry_rows_release(&rows);
  must(r->ops->list(r, "cells/eu/rollouts/", TIDE_REGISTRY_LAST, &rows, &error));
  assert_int_equal(rows.count, 1);
  assert_string_equal(rows.row[0].key, "cells/eu/rollouts/00000000000000000010");
  assert_true(tide_span_is(rows.row[0].value, "ten"));
  tide_registry_rows_release(&rows);
  must(r->ops->list(r, "cells/eu/", TIDE_REGISTRY_ALL, &rows, &error));
  assert_int_equal(rows.count, 1);
  assert_string_equal(rows.row[0].key, "cells/eu/a");
  tide_registry_rows_release(&rows);
  r->ops->close(r);
}

static void values_are_bytes_of_any_length_up_to_the_limit(void **state) {
  struct tide_registry *r = open_registry(*state);
  struct tide_buf value = TIDE_BUF_INIT, read = TIDE_BUF_INIT;
  uint64_t seed = 7, revision;
  static const size_t lengths[] = {0, 1, 2, 3, 4, 255, TIDE_REGISTRY_VALUE_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    char key[40];
    tide_buf_clear(&value);
    for (size_t k = 0; k < lengths[i]; k++) tide_buf_char(&value, (char)(uint8_t)test_random(&seed));
    snprintf(key, sizeof key, "content/model/%zu", i);
    must(r->ops->put(r, key, tide_buf_span(&value), 0, &error));
    tide_buf_clear(&read);
    must(r->ops->get(r, key, &read, &revision, &error));
    assert_true(tide_span_eq(tide_buf_span(&value), tide_buf_span(&read)));
  }
  tide_buf_char(&value, 'x');
  assert_int_equal(r->ops->put(r, "content/model/long", tide_buf_span(&value), 0, &error), TIDE_E_LIMIT);
  assert_int_equal(r->ops->get(r, "content/model/long", &read, &revision, &error), TIDE_E_NOT_FOUND);
  tide_buf_release(&value);
  tide_buf_release(&read);
  r->ops->close(r);
}

enum { WRITERS = 4, KEYS = 10, STEPS = 8 };
struct writer {
  const struct place *place;
  unsigned number, won;
  bool bad;
};

static void *write_keys(void *ctx) {
  struct writer *w = ctx;
  struct tide_registry *r = open_registry(w->place);
  struct tide_error why;
  for (unsigned i = 0; i < KEYS; i++) {
    char key[40], value[20];
    snprintf(key, sizeof key, "race/%u", i);
    snprintf(value, sizeof value, "%u", w->number);
    enum tide_err err = r->ops->put(r, key, tide_span_of(value), 0, &why);
    w->won += err == TIDE_OK;
    w->bad |= err != TIDE_OK && err != TIDE_E_EXISTS;
  }
  r->ops->close(r);
  return NULL;
}

static void *count_up(void *ctx) {
  struct writer *w = ctx;
  struct tide_registry *r = open_registry(w->place);
  struct tide_buf value = TIDE_BUF_INIT;
  struct tide_error why;
  for (unsigned done = 0, tries = 0; done < STEPS && tries < 10000; tries++) {
    char next[20];
    uint64_t revision = 0;
    tide_buf_clear(&value);
    if (r->ops->get(r, "race/counter", &value, &revision, &why)) break;
    snprintf(next, sizeof next, "%d", atoi(tide_buf_cstr(&value)) + 1);
    enum tide_err err = r->ops->put(r, "race/counter", tide_span_of(next), revision, &why);
    done += err == TIDE_OK;
    w->won = done;
    w->bad |= err != TIDE_OK && err != TIDE_E_STALE;
  }
  tide_buf_release(&value);
  r->ops->close(r);
  return NULL;
}

static void race(const struct place *place, void *(*run)(void *), unsigned want) {
  struct writer writer[WRITERS];
  pthread_t thread[WRITERS];
  unsigned won = 0;
  for (unsigned i = 0; i < WRITERS; i++) {
    writer[i] = (struct writer){.place = place, .number = i};
    assert_int_equal(pthread_create(&thread[i], NULL, run, &writer[i]), 0);
  }
  for (unsigned i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_false(writer[i].bad);
    won += writer[i].won;
  }
  assert_int_equal(won, want);
}

static void of_writers_that_race_one_wins(void **state) {
  struct tide_registry *r = open_registry(*state);
  struct tide_buf value = TIDE_BUF_INIT;
  uint64_t revision;
  race(*state, write_keys, KEYS);
  must(put(r, "race/counter", "0", 0));
  race(*state, count_up, WRITERS * STEPS);
  must(r->ops->get(r, "race/counter", &value, &revision, &error));
  assert_int_equal(atoi(tide_buf_cstr(&value)), WRITERS * STEPS);
  tide_buf_release(&value);
  r->ops->close(r);
}

static size_t count_engines(struct tide_registry *r) {
  struct tide_registry_rows rows;
  must(r->ops->list(r, "cells/eu/engines/", TIDE_REGISTRY_ALL, &rows, &error));
  size_t count = rows.count;
  tide_registry_rows_release(&rows);
  return count;
}

static void nap_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static void an_announcement_stays_while_it_is_repeated(void **state) {
  struct tide_registry *r = open_registry(*state), *other = open_registry(*state);
  struct tide_buf value = TIDE_BUF_INIT;
  uint64_t revision;
  int tries;
  for (int i = 0; i < 8; i++) {
    char text[20];
    snprintf(text, sizeof text, "at %d", i / 2); /* the same twice */
    must(r->ops->announce(r, "cells/eu/engines/7", tide_span_of(text), 2000, &error));
    must(other->ops->announce(other, "cells/eu/engines/8", tide_span_of("here"), 2000, &error));
    assert_int_equal(count_engines(r), 2);
    nap_ms(400); /* all of them take longer than a lease, each of them much less */
  }
  must(other->ops->get(other, "cells/eu/engines/7", &value, &revision, &error));
  assert_string_equal(tide_buf_cstr(&value), "at 3");
  other->ops->close(other);
  for (tries = 0; tries < 1200 && count_engines(r) > 0; tries++) nap_ms(50);
  assert_true(tries > 0 && tries < 1200);
  must(r->ops->announce(r, "cells/eu/engines/7", tide_span_of("again"), 2000, &error));
  assert_int_equal(count_engines(r), 1);
  tide_buf_release(&value);
  r->ops->close(r);
}

static bool changes_within(struct tide_registry *r, const char *dir, int64_t ms) {
  int64_t end_ns = tide_mono_now().ns + ms * 1000000;
  bool changed = false;
  while (!changed && tide_mono_now().ns < end_ns) must(r->ops->watch(r, dir, 100, &changed, &error));
  return changed;
}

static void a_watch_tells_of_changes(void **state) {
  struct tide_registry *r = open_registry(*state), *other = open_registry(*state);
  bool changed = false;
  must(r->ops->watch(r, "cells/eu/rollouts/", 0, &changed, &error));
  assert_true(changed);
  must(put(other, "cells/us/rollouts/1", "elsewhere", 0));
  assert_false(changes_within(r, "cells/eu/rollouts/", 300));
  for (int i = 0; i < 5; i++) {
    char key[40];
    snprintf(key, sizeof key, "cells/eu/rollouts/%d", i);
    must(put(other, key, "x", 0));
    assert_true(changes_within(r, "cells/eu/rollouts/", 10000));
  }
  assert_false(changes_within(r, "cells/eu/rollouts/", 200));
  must(r->ops->watch(r, "cells/us/rollouts/", 0, &changed, &error));
  assert_true(changed);
  r->ops->close(r);
  other->ops->close(other);
}

int main(void) {
  static const struct {
    const char *name;
    CMUnitTestFunction run;
  } cases[] = {
#define CASE(name) {#name, name}
      CASE(an_empty_registry_has_nothing),
      CASE(a_value_is_written_once_and_read_by_all),
      CASE(a_directory_is_listed_in_order_and_not_deeper),
      CASE(values_are_bytes_of_any_length_up_to_the_limit),
      CASE(of_writers_that_race_one_wins),
      CASE(an_announcement_stays_while_it_is_repeated),
      CASE(a_watch_tells_of_changes),
#undef CASE
  };
  enum { CASES = sizeof cases / sizeof cases[0], BACKENDS = sizeof backends / sizeof backends[0] };
  static char name[CASES * BACKENDS][80];
  struct CMUnitTest tests[CASES * BACKENDS];
  for (size_t b = 0; b < BACKENDS; b++)
    for (size_t i = 0; i < CASES; i++) {
      size_t at = b * CASES + i;
      snprintf(name[at], sizeof name[at], "%s: %s", backends[b].name, cases[i].name);
      tests[at] = (struct CMUnitTest){name[at], cases[i].run, setup, teardown, (void *)(uintptr_t)&backends[b]};
    }
  rig_start(&rig);
  int failed = cmocka_run_group_tests_name("registry", tests, NULL, NULL);
  rig_stop(&rig);
  return failed;
}
