/* Replacing the configuration of a running engine: readers see the old or the new one whole, what needs a restart is refused and changes nothing, a snapshot
 * stays valid for who holds it. Run under SAN=thread as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "config/slot.h"

static struct tide_config *load(const char *text) {
  struct tide_config_input input = {.path = "t.yaml"};
  struct tide_config *config = NULL;
  struct tide_error error = {0};
  if (tide_config_parse(tide_span_of(text), &input, &config, &error, 1, NULL) != TIDE_OK) fail_msg("%s", error.text);
  return config;
}

static void a_reload_is_taken_or_refused_as_a_whole(void **state) {
  (void)state;
  struct tide_config_slot *slot = tide_config_slot_new(load("log: {limit: 1}\n"));
  const struct tide_config *first = tide_config_now(slot);
  struct tide_config_diff diff = {.count = 77};
  struct tide_error error = {0};
  assert_int_equal(tide_config_reload(slot, load("{log: {limit: 2}, http: {port: 9}}\n"), &diff, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "http.port"));
  assert_int_equal(diff.count, 77);
  assert_ptr_equal(tide_config_now(slot), first);
  assert_int_equal(tide_config_reload(slot, load("log: {limit: 1}\n"), &diff, &error), TIDE_OK);
  assert_int_equal(diff.count, 0);
  assert_ptr_equal(tide_config_now(slot), first); /* nothing changed, nothing is kept */
  assert_int_equal(tide_config_reload(slot, load("log: {limit: 2}\n"), &diff, &error), TIDE_OK);
  assert_int_equal(diff.count, 1);
  assert_int_equal(diff.row[0], TIDE_OPTION_ROW_log_limit);
  assert_int_equal(tide_config_now(slot)->log_limit, 2);
  assert_int_equal(first->log_limit, 1); /* who holds it may go on */
  tide_config_slot_free(slot);
  tide_config_slot_free(NULL);
}

static void the_number_of_reloads_is_bounded(void **state) {
  (void)state;
  struct tide_config_slot *slot = tide_config_slot_new(load(""));
  struct tide_error error = {0};
  for (int i = 0; i < TIDE_CONFIG_RELOADS_MAX; i++)
    assert_int_equal(tide_config_reload(slot, load(i % 2 ? "log: {level: info}\n" : "log: {level: warn}\n"), NULL, &error), TIDE_OK);
  const struct tide_config *last = tide_config_now(slot);
  assert_int_equal(tide_config_reload(slot, load("log: {level: warn}\n"), NULL, &error), TIDE_E_LIMIT);
  assert_ptr_equal(tide_config_now(slot), last);
  assert_int_equal(tide_config_reload(slot, load("log: {level: info}\n"), NULL, &error), TIDE_OK); /* no change needs no room */
  tide_config_slot_free(slot);
}

struct reader {
  pthread_t thread;
  const struct tide_config_slot *slot;
  atomic_bool *stop;
  int64_t reads;
  bool torn;
};

/* The two are always changed together. */
static void *look(void *arg) {
  struct reader *r = arg;
  while (r->reads < 1000 || !atomic_load(r->stop)) {
    const struct tide_config *c = tide_config_now(r->slot);
    if (c->snapshot_every_ms != 10 * c->log_limit || strcmp(c->cell_name, "default") != 0) r->torn = true;
    r->reads++;
  }
  return NULL;
}

static void readers_see_one_configuration(void **state) {
  (void)state;
  struct tide_config_slot *slot = tide_config_slot_new(load("{log: {limit: 1}, snapshot: {every: 10ms}}\n"));
  atomic_bool stop = false;
  struct reader reader[3];
  for (int i = 0; i < 3; i++) {
    reader[i] = (struct reader){.slot = slot, .stop = &stop};
    assert_int_equal(pthread_create(&reader[i].thread, NULL, look, &reader[i]), 0);
  }
  for (int i = 2; i < 200; i++) {
    char text[96];
    snprintf(text, sizeof text, "{log: {limit: %d}, snapshot: {every: %dms}}\n", i, 10 * i);
    struct tide_error error;
    assert_int_equal(tide_config_reload(slot, load(text), NULL, &error), TIDE_OK);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(pthread_join(reader[i].thread, NULL), 0);
    assert_false(reader[i].torn);
  }
  tide_config_slot_free(slot);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reload_is_taken_or_refused_as_a_whole),
      cmocka_unit_test(the_number_of_reloads_is_bounded),
      cmocka_unit_test(readers_see_one_configuration),
  };
  return cmocka_run_group_tests_name("config_slot", tests, NULL, NULL);
}
