/* UTF-8 against its definition, nearest names, the error table, the log line,
 * and what a panic leaves behind (in a child process, because it dies). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/utf8.h"

/* The definition of RFC 3629 by decoding: value, shortest form, no surrogate. */
static bool valid_slow(const uint8_t *p, size_t len) {
  for (size_t i = 0; i < len;) {
    size_t more = p[i] < 0x80 ? 0 : (p[i] & 0xe0) == 0xc0 ? 1 : (p[i] & 0xf0) == 0xe0 ? 2 : (p[i] & 0xf8) == 0xf0 ? 3 : 9;
    if (more == 9 || i + more >= len + 0u) {
      return false;
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t v = more == 0 ? p[i] : p[i] & (0x3fu >> more);
    for (size_t k = 1; k <= more; k++) {
      if ((p[i + k] & 0xc0) != 0x80) {
        return false;
      }
      v = v << 6 | (p[i + k] & 0x3f);
    }
    if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

static void utf8_agrees_with_the_definition(void **state) {
  (void)state;
  assert_true(tide_utf8_valid((struct tide_span){NULL, 0}));
  for (uint32_t v = 0; v < 0x1000000; v += v < 0x10000 ? 1 : 251) { /* all pairs, then a walk through the triples */
    uint8_t bytes[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    for (size_t from = 0; from < 3; from++) {
      bool got = tide_utf8_valid((struct tide_span){(const char *)bytes + from, 3 - from});
      if (got != valid_slow(bytes + from, 3 - from)) {
        fail_msg("%02x %02x %02x from %zu: %d", bytes[0], bytes[1], bytes[2], from, got);
      }
    }
  }
  static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2,
                                  0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xff};
  enum { EDGES = sizeof edges };
  for (size_t n = 0; n < (size_t)EDGES * EDGES * EDGES * EDGES; n++) {
    uint8_t b[4] = {edges[n % EDGES], edges[n / EDGES % EDGES], edges[n / EDGES / EDGES % EDGES], edges[n / EDGES / EDGES / EDGES]};
    assert_int_equal(tide_utf8_valid((struct tide_span){(const char *)b, 4}), valid_slow(b, 4));
  }
}

static void utf8_at_every_place_of_a_word(void **state) {
  (void)state;
  static const char *const good[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x8a", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80"};
  static const char *const bad[] = {"\xc0\xaf",     "\xed\xa0\x80", "\xf4\x90\x80\x80",    "\xff", "\x80", "\xe2\x82",
                                    "\xf0\x9f\x8c", "\xc1\xbf",     "\xf8\x88\x80\x80\x80"};
  for (size_t pad = 0; pad < 20; pad++) {
    char text[40];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
      size_t len = strlen(good[i]);
      memcpy(text + pad, good[i], len);
      assert_true(tide_utf8_valid((struct tide_span){text, sizeof text}));
      assert_false(tide_utf8_valid((struct tide_span){text, pad + len - 1})); /* cut inside the character */
      memset(text + pad, 'a', len);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
      size_t len = strlen(bad[i]);
      memcpy(text + pad, bad[i], len);
      assert_false(tide_utf8_valid((struct tide_span){text, sizeof text}));
      memset(text + pad, 'a', len);
    }
  }
}

static void nearest_name(void **state) {
  (void)state;
  static const char *const names[] = {"count", "sum", "mean", "stddev", "distinct", "approx_distinct", "rate"};
  enum { NAMES = sizeof names / sizeof names[0] };
  static const struct {
    const char *name, *want;
  } cases[] = {{"cuont", "count"},   {"coutn", "count"},       {"count", "count"},       {"means", "mean"},
               {"stdev", "stddev"},  {"distinkt", "distinct"}, {"distnict", "distinct"}, {"aprox_distinct", "approx_distinct"},
               {"percentile", NULL}, {"xyzzy", NULL},          {"raet", "rate"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *got = tide_nearest(tide_span_of(cases[i].name), names, NAMES);
    if (cases[i].want ? !got || strcmp(got, cases[i].want) != 0 : got != NULL) {
      fail_msg("%s gave %s", cases[i].name, got ? got : "nothing");
    }
  }
  static const char *const ladder[] = {"declines_1m", "declines_10m", "declines_1h"};
  assert_string_equal(tide_nearest(TIDE_SPAN("declines_10"), ladder, 3), "declines_10m"); /* all three are one letter away */
  assert_string_equal(tide_nearest(TIDE_SPAN("declines_2m"), ladder, 3), "declines_1m");
  static const char *const brief[] = {"ip", "mcc"};
  assert_null(tide_nearest(TIDE_SPAN("z"), brief, 2)); /* two letters away, and not one of them the same */
  assert_string_equal(tide_nearest(TIDE_SPAN("pi"), brief, 2), "ip");
  assert_null(tide_nearest(TIDE_SPAN("count"), names, 0));
  char lengthy[1000];
  memset(lengthy, 'a', sizeof lengthy);
  assert_null(tide_nearest((struct tide_span){lengthy, sizeof lengthy}, names, NAMES));
}

static void errors_have_names_texts_and_classes(void **state) {
  (void)state;
  assert_string_equal(tide_err_name(TIDE_OK), "ok");
  assert_string_equal(tide_err_name(TIDE_E_DECIMALS), "decimals");
  assert_string_equal(tide_err_name(TIDE_E_DUPLICATE_KEY), "duplicate_key");
  assert_string_equal(tide_err_text(TIDE_E_DECIMALS), "too many decimals");
  assert_int_equal(tide_err_class(TIDE_E_DECIMALS), TIDE_CLASS_INPUT);
  assert_int_equal(tide_err_class(TIDE_OK), TIDE_CLASS_NONE);
  assert_int_equal(TIDE_OK, 0);
  for (int i = 0; i < TIDE_ERR_COUNT; i++) {
    assert_true(strlen(tide_err_text((enum tide_err)i)) > 0);
    for (const char *c = tide_err_name((enum tide_err)i); *c; c++) {
      assert_true((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_');
    }
    for (int k = 0; k < i; k++) {
      assert_string_not_equal(tide_err_name((enum tide_err)i), tide_err_name((enum tide_err)k));
    }
  }
}

static void errors_carry_place_and_reason(void **state) {
  (void)state;
  struct tide_error error = {0};
  assert_int_equal(tide_fail(NULL, TIDE_E_IO, "nobody listens"), TIDE_E_IO);
  assert_int_equal(tide_fail_at(&error, TIDE_E_TYPE, 3, 7, "amount", "%s is %d", "amount", 5), TIDE_E_TYPE);
  assert_int_equal(error.code, TIDE_E_TYPE);
  assert_int_equal(error.line, 3);
  assert_int_equal(error.column, 7);
  assert_string_equal(error.field, "amount");
  assert_string_equal(error.text, "amount is 5");
  assert_int_equal(tide_fail(&error, TIDE_E_CONFIG, "in x: %s", error.text), TIDE_E_CONFIG); /* wrapping itself */
  assert_string_equal(error.text, "in x: amount is 5");
  assert_string_equal(error.field, "");
  assert_int_equal(error.line, 0);
  errno = ENOSPC;
  assert_int_equal(tide_fail_errno(&error, TIDE_E_FULL, "cannot write %s", "a.seg"), TIDE_E_FULL);
  assert_string_equal(error.text, "cannot write a.seg: No space left on device");
  assert_int_equal(errno, ENOSPC);
  char lengthy[2000];
  for (size_t i = 0; i < sizeof lengthy - 1; i += 2) {
    memcpy(lengthy + i, "\xc3\xa9", 2);
  }
  lengthy[1998] = '\0';
  tide_fail_at(&error, TIDE_E_TYPE, 0, 0, lengthy, "x%s", lengthy);
  assert_true(strlen(error.text) >= sizeof error.text - 3 && tide_utf8_valid(tide_span_of(error.text))); /* no half character at the cut */
  assert_true(strlen(error.field) >= sizeof error.field - 3 && tide_utf8_valid(tide_span_of(error.field)));
  tide_fail_errno(&error, TIDE_E_IO, "%s", lengthy);
  assert_true(strlen(error.text) < sizeof error.text);
}

/* What a child of this process writes to stderr; returns its wait status. */
static int stderr_of(void (*run)(void), struct tide_buf *out) {
  int pipe_fd[2];
  assert_int_equal(pipe(pipe_fd), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    dup2(pipe_fd[1], STDERR_FILENO);
    run();
    _exit(0);
  }
  close(pipe_fd[1]);
  char chunk[4096];
  for (ssize_t n; (n = read(pipe_fd[0], chunk, sizeof chunk)) > 0;) {
    tide_buf_put(out, chunk, (size_t)n);
  }
  close(pipe_fd[0]);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static void log_some(void) {
  tide_log(TIDE_LOG_DEBUG, "hidden", "a=1");
  tide_log(TIDE_LOG_INFO, "journal_open", "dir=%s entries=%d", "/var/lib/x y", 7);
  tide_log(TIDE_LOG_WARN, "odd", "empty=%s quote=%s line=%s equals=%s plain=%s", "", "a\"b\\", "a\nb\x01", "a=b", "x-1.5");
  tide_log_level_set(TIDE_LOG_ERROR);
  tide_log(TIDE_LOG_WARN, "hidden", "a=1");
  tide_log(TIDE_LOG_ERROR, "bare", "%s", "");
}

static void log_lines_are_logfmt(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  assert_int_equal(stderr_of(log_some, &out), 0);
  const char *text = tide_buf_cstr(&out);
  assert_null(strstr(text, "hidden"));
  assert_int_equal(memcmp(text, "ts=", 3), 0);
  assert_non_null(strstr(text, "Z level=info event=journal_open dir=\"/var/lib/x y\" entries=7\n"));
  assert_non_null(strstr(text, " level=warn event=odd empty=\"\" quote=\"a\\\"b\\\\\" line=\"a\\nb\\x01\" equals=\"a=b\" plain=x-1.5\n"));
  assert_non_null(strstr(text, " level=error event=bare\n"));
  tide_buf_release(&out);
  enum tide_log_level level = TIDE_LOG_WARN;
  assert_true(tide_log_level_parse("debug", &level));
  assert_int_equal(level, TIDE_LOG_DEBUG);
  assert_false(tide_log_level_parse("loud", &level));
  assert_int_equal(level, TIDE_LOG_DEBUG);
}

static void panic_now(void) {
  for (int i = 0; i < 100; i++) {
    tide_trail("step %d %0200d", i, 0);
  }
  TIDE_CHECK(1 + 1 == 2);
  TIDE_CHECK(1 + 1 == 3);
}

static void never_now(void) { TIDE_NEVER("nobody comes here"); }

static void a_place_never_reached_panics_with_its_reason(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  int status = stderr_of(never_now, &out);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  assert_non_null(strstr(tide_buf_cstr(&out), "in never_now: nobody comes here"));
  tide_buf_release(&out);
}

static void a_panic_prints_the_last_steps(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  int status = stderr_of(panic_now, &out);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  const char *text = tide_buf_cstr(&out);
  assert_non_null(strstr(text, "06_text.c"));
  assert_non_null(strstr(text, "in panic_now: 1 + 1 == 3"));
  assert_null(strstr(text, "step 35 "));
  assert_non_null(strstr(text, "trail 36: step 36 "));
  assert_non_null(strstr(text, "trail 99: step 99 "));
  tide_buf_release(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(utf8_agrees_with_the_definition),
      cmocka_unit_test(utf8_at_every_place_of_a_word),
      cmocka_unit_test(nearest_name),
      cmocka_unit_test(errors_have_names_texts_and_classes),
      cmocka_unit_test(errors_carry_place_and_reason),
      cmocka_unit_test(log_lines_are_logfmt),
      cmocka_unit_test(a_panic_prints_the_last_steps),
      cmocka_unit_test(a_place_never_reached_panics_with_its_reason),
  };
  return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
