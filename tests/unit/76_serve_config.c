/* Serving's configuration: every limit of the HTTP listener has a row with its default and bounds, and short options are rows.
 *
 * The two tables are kept apart because the listener must not know the operator's file; this holds them together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/serve_config.h"
#include "cli/verbs.h"

static struct tide_config *load(const char *const *words, int count) {
  char *argv[16];
  struct tide_args args;
  struct tide_error error = {0};
  bool help;
  for (int i = 0; i < count; i++) argv[i] = (char *)(uintptr_t)words[i];
  assert_int_equal(tide_args_parse(&tide_verb_serve, count, argv, &args, &help, &error), TIDE_OK);
  struct tide_config *config = NULL;
  int exit = 0;
  if (!tide_serve_config(&args, &config, &exit)) config = NULL;
  tide_args_release(&args);
  return config;
}

static void limits_are_rows(void **state) {
  (void)state;
  struct tide_config *config = load(NULL, 0);
  assert_non_null(config);
  struct tide_http_limits from = tide_serve_limits(config), dflt = tide_http_limits_default();
#define X(name, value, least, most, text)                                                                                                  \
  if (from.name != dflt.name) fail_msg("the default of " #name " is %lld here and %lld there", (long long)from.name, (long long)dflt.name);
  TIDE_HTTP_LIMITS(X)
#undef X
  tide_config_free(config);
  /* The bounds: what a row takes at its ends, the listener takes as well; so no row is wider than its limit. */
  static const struct {
    const char *limit, *row;
  } pair[] = {{"threads", "http.threads"},
              {"body_bytes_max", "http.max_body"},
              {"batch_bytes_max", "http.max_batch_body"},
              {"batch_items_max", "http.max_batch"},
              {"header_bytes_max", "http.max_header"},
              {"connections_max", "http.max_connections"},
              {"connections_per_ip_max", "http.max_connections_per_address"},
              {"rate", "http.rate"},
              {"burst", "http.burst"},
              {"idle_timeout_ms", "http.idle_timeout"},
              {"read_timeout_ms", "http.request_timeout"},
              {"write_timeout_ms", "http.write_timeout"},
              {"deadline_ms", "http.default_deadline"},
              {"batch_deadline_ms", "http.batch_deadline"},
              {"deadline_max_ms", "http.max_deadline"},
              {"max_future_skew_ms", "http.max_future_skew"},
              {"drain_ms", "http.drain"}};
  size_t seen = 0;
#define X(name, value, least, most, text)                                                                                                  \
  for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {                                                                              \
    if (strcmp(pair[i].limit, #name) != 0) continue;                                                                                       \
    int row = tide_option_find(tide_span_of(pair[i].row));                                                                                 \
    assert_true(row >= 0 && tide_options[row].lo == (least) && tide_options[row].hi == (most));                                            \
    seen++;                                                                                                                                \
  }
  TIDE_HTTP_LIMITS(X)
#undef X
  assert_int_equal(seen, sizeof pair / sizeof pair[0]);
}

static void short_options_are_rows(void **state) {
  (void)state;
  const char *words[] = {"--journal", "file:here", "--listen", "[::1]:0", "--admin", "localhost:9", "--cell", "eu", "--dev-key"};
  struct tide_config *config = load(words, 9);
  assert_non_null(config);
  assert_int_equal(config->journal_kind, TIDE_JOURNAL_KIND_file);
  assert_string_equal(config->journal_dir, "here");
  char *snapshots = tide_serve_snapshot_dir(config);
  assert_string_equal(snapshots, "here/snapshots");
  tide_free(snapshots);
  assert_string_equal(config->http_listen, "::1");
  assert_int_equal(config->http_port, 0);
  assert_string_equal(config->http_admin_listen, "127.0.0.1");
  assert_int_equal(config->http_admin_port, 9);
  assert_string_equal(config->cell_name, "eu");
  assert_true(tide_serve_keys(config).development);
  tide_config_free(config);
  const char *memory[] = {"--journal", "memory", "--set", "cell.name=b", "--set", "snapshot.dir=there"};
  config = load(memory, 6);
  assert_non_null(config);
  assert_int_equal(config->journal_kind, TIDE_JOURNAL_KIND_memory);
  assert_null(tide_serve_snapshot_dir(config));
  assert_string_equal(config->cell_name, "b");
  tide_config_free(config);
  const char *redis[] = {"--journal", "redis+sentinel://one:1,two:2/main"};
  config = load(redis, 2);
  assert_non_null(config);
  assert_int_equal(config->journal_kind, TIDE_JOURNAL_KIND_redis);
  assert_string_equal(config->journal_url, "redis+sentinel://one:1,two:2/main");
  tide_config_free(config);
  const char *twice[] = {"--cell", "a", "--set", "cell.name=b"};
  assert_null(load(twice, 4)); /* which of the two was meant? */
}

static void mistakes_are_refused(void **state) {
  (void)state;
  const char *wrong[][2] = {
      {"--journal", "tape:1"}, {"--listen", "8080"}, {"--listen", "127.0.0.1:70000"}, {"--cell", "two words"}, {"--set", "http.port=x"}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_null(load(wrong[i], 2));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(limits_are_rows), cmocka_unit_test(short_options_are_rows),
                                     cmocka_unit_test(mistakes_are_refused)};
  return cmocka_run_group_tests_name("serve config", tests, NULL, NULL);
}
