/* The settings' text reads back exactly and refuses everything else, with line and name;
 * the metrics' exposition and reference table follow the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "base/metric.h"
#include "feature/settings.h"

static void defaults_pass_their_own_check(void **state) {
  (void)state;
  struct tide_settings s = tide_settings_default();
  struct tide_error error;
  assert_int_equal(tide_settings_check(&s, &error), TIDE_OK);
  assert_true(s.lateness_ms == INT64_C(7) * 86400000);
  assert_true(s.history_from_ms == TIDE_HISTORY_FIRST);
  assert_true(s.max_entities == 20000000);
}

static void text_round_trips(void **state) {
  (void)state;
  struct tide_settings s = tide_settings_default(), back;
  struct tide_error error;
  struct tide_buf text = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  for (int round = 0; round < 2; round++) {
    tide_buf_clear(&text);
    tide_settings_write(&s, &text);
    memset(&back, 0x55, sizeof back);
    assert_int_equal(tide_settings_read(tide_buf_span(&text), &back, &error), TIDE_OK);
    assert_memory_equal(&back, &s, sizeof s);
    tide_buf_clear(&again);
    tide_settings_write(&back, &again);
    assert_true(tide_span_eq(tide_buf_span(&text), tide_buf_span(&again)));
    s = (struct tide_settings){.lateness_ms = 1,
                               .duplicates_for_ms = 2,
                               .grace_ms = 3,
                               .out_of_orderness_ms = 4,
                               .max_future_skew_ms = 5,
                               .lead_ms = 6,
                               .history_from_ms = -7,
                               .max_entities = 8,
                               .hash_seed = 9,
                               .replay = 1};
  }
  assert_string_equal(tide_buf_cstr(&text),
                      "lateness_ms: 1\nduplicates_for_ms: 2\ngrace_ms: 3\nout_of_orderness_ms: 4\nmax_future_skew_ms: 5\nlead_ms: 6\n"
                      "history_from_ms: -7\nmax_entities: 8\nhash_seed: 9\nreplay: 1\n");
  tide_buf_release(&text);
  tide_buf_release(&again);
}

static void every_limit_holds(void **state) {
  (void)state;
  struct tide_error error;
#define X(name, dflt, lo, hi, help)                                                                                                        \
  {                                                                                                                                        \
    static const int64_t edges[] = {lo, hi};                                                                                               \
    for (int e = 0; e < 2; e++) {                                                                                                          \
      struct tide_settings s = tide_settings_default();                                                                                    \
      s.duplicates_for_ms = TIDE_D(400);                                                                                                   \
      s.lateness_ms = 0;                                                                                                                   \
      s.name = edges[e];                                                                                                                   \
      assert_int_equal(tide_settings_check(&s, &error), TIDE_OK);                                                                          \
      if (edges[e] != INT64_MIN && edges[e] != INT64_MAX) {                                                                                \
        s.name = e == 0 ? edges[e] - 1 : edges[e] + 1;                                                                                     \
        assert_int_equal(tide_settings_check(&s, &error), TIDE_E_CONFIG);                                                                  \
        assert_string_equal(error.field, #name);                                                                                           \
      }                                                                                                                                    \
    }                                                                                                                                      \
  }
  TIDE_SETTINGS(X)
#undef X
  struct tide_settings s = tide_settings_default();
  s.lateness_ms = s.duplicates_for_ms + 3600000;
  assert_int_equal(tide_settings_check(&s, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "lateness is 169h, longer than duplicates_for, 7d")); /* as they are written, not in milliseconds */
  s.lateness_ms = s.duplicates_for_ms;
  assert_int_equal(tide_settings_check(&s, NULL), TIDE_OK);
  s.lateness_ms = INT64_C(401) * 86400000;
  assert_int_equal(tide_settings_check(&s, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "lateness is 401d, it must lie between 0s and 400d"));
  s = tide_settings_default();
  s.max_entities = 0;
  assert_int_equal(tide_settings_check(&s, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "max_entities is 0, it must lie between 1 and 60000000"));
}

static const char whole[] = "lateness_ms: 1\nduplicates_for_ms: 2\ngrace_ms: 3\nout_of_orderness_ms: 4\nmax_future_skew_ms: 5\nlead_ms: 6\n"
                            "history_from_ms: -7\nmax_entities: 8\nhash_seed: 9\nreplay: 1\n";

static void mistakes_name_line_and_setting(void **state) {
  (void)state;
  static const struct {
    const char *from, *to; /* replaced in the whole text */
    enum tide_err want;
    int line;
    const char *field;
  } cases[] = {
      {"grace_ms: 3\n", "", TIDE_E_MISSING, 9, "grace_ms"},
      {"grace_ms", "grcae_ms", TIDE_E_UNKNOWN_NAME, 3, ""},
      {"grace_ms: 3\n", "grace_ms: 3\ngrace_ms: 3\n", TIDE_E_DUPLICATE_KEY, 4, "grace_ms"},
      {"lead_ms: 6", "lead_ms: 6s", TIDE_E_SYNTAX, 6, "lead_ms"},
      {"lead_ms: 6", "lead_ms: 06", TIDE_E_SYNTAX, 6, "lead_ms"},
      {"lead_ms: 6", "lead_ms:6", TIDE_E_SYNTAX, 6, ""},
      {"lead_ms: 6", "lead_ms: ", TIDE_E_SYNTAX, 6, "lead_ms"},
      {"lead_ms: 6", "lead_ms", TIDE_E_SYNTAX, 6, ""},
      {"lead_ms: 6", "", TIDE_E_SYNTAX, 6, ""},
      {"lead_ms: 6", "lead_ms: 99999999999999999999", TIDE_E_RANGE, 6, "lead_ms"},
      {"lead_ms: 6", "lead_ms: 10001", TIDE_E_CONFIG, 0, "lead_ms"},
      {"lateness_ms: 1", "lateness_ms: 3", TIDE_E_CONFIG, 0, "lateness_ms"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *at = strstr(whole, cases[i].from);
    assert_non_null(at);
    struct tide_buf text = TIDE_BUF_INIT;
    tide_buf_put(&text, whole, (size_t)(at - whole));
    tide_buf_str(&text, cases[i].to);
    tide_buf_str(&text, at + strlen(cases[i].from));
    struct tide_settings s;
    memset(&s, 0x55, sizeof s);
    struct tide_settings untouched = s;
    struct tide_error error = {0};
    enum tide_err err = tide_settings_read(tide_buf_span(&text), &s, &error);
    if (err != cases[i].want || error.line != cases[i].line || strcmp(error.field, cases[i].field) != 0) {
      fail_msg("case %zu: %s line %d field %s: %s", i, tide_err_name(err), error.line, error.field, error.text);
    }
    assert_memory_equal(&s, &untouched, sizeof s);
    tide_buf_release(&text);
  }
  struct tide_settings s;
  struct tide_error error;
  assert_int_equal(tide_settings_read(TIDE_SPAN("grcae_ms: 3\n"), &s, &error), TIDE_E_UNKNOWN_NAME);
  assert_non_null(strstr(error.text, "did you mean \"grace_ms\"?"));
  assert_int_equal(tide_settings_read((struct tide_span){NULL, 0}, &s, &error), TIDE_E_MISSING);
}

static void no_prefix_of_the_text_is_accepted(void **state) {
  (void)state;
  for (size_t len = 0; len < sizeof whole - 2; len++) { /* the last newline alone may be missing */
    char *part = malloc(len ? len : 1);
    memcpy(part, whole, len);
    struct tide_settings s;
    assert_int_not_equal(tide_settings_read((struct tide_span){part, len}, &s, NULL), TIDE_OK);
    free(part);
  }
}

static void metrics_are_prometheus_text(void **state) {
  (void)state;
  struct tide_metrics m = {{0}};
  m.value[TIDE_M_events_counted_total] = 12;
  m.value[TIDE_M_decisions_total] = 3;
  struct tide_buf out = TIDE_BUF_INIT;
  tide_metrics_expose(&m, &out);
  const char *text = tide_buf_cstr(&out);
  assert_non_null(strstr(text, "# HELP tidemark_events_counted_total Events counted in at least the primary entity\n"
                               "# TYPE tidemark_events_counted_total counter\ntidemark_events_counted_total 12\n"));
  assert_non_null(strstr(text, "# TYPE tidemark_decisions_total counter\ntidemark_decisions_total 3\n"));
  int lines = 0;
  for (const char *p = text; *p; p++) {
    lines += *p == '\n';
  }
  assert_int_equal(lines, 3 * TIDE_METRIC_COUNT);
  tide_buf_clear(&out);
  tide_metrics_document(&out);
  text = tide_buf_cstr(&out);
#define X(name, help) assert_non_null(strstr(text, "| `tidemark_" #name "` | "));
  TIDE_METRICS(X)
#undef X
  tide_buf_release(&out);
}

/* Prometheus: the name of a counter ends in _total. */
static void counters_are_named_total(void **state) {
  (void)state;
  static const char *const names[] = {
#define X(name, help) #name,
      TIDE_METRICS(X)
#undef X
  };
  for (size_t i = 0; i < TIDE_METRIC_COUNT; i++) {
    size_t len = strlen(names[i]);
    assert_true(len > 6 && strcmp(names[i] + len - 6, "_total") == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_pass_their_own_check),
      cmocka_unit_test(text_round_trips),
      cmocka_unit_test(every_limit_holds),
      cmocka_unit_test(mistakes_name_line_and_setting),
      cmocka_unit_test(no_prefix_of_the_text_is_accepted),
      cmocka_unit_test(metrics_are_prometheus_text),
      cmocka_unit_test(counters_are_named_total),
  };
  return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
