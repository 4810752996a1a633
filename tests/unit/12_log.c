/* Logs: what comes too often is left out, counted and told; the JSON form is JSON whatever the values hold; level, form and limit change while threads
 * log (run under SAN=thread). The logfmt form is tested in 06_text.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "cli/config_file.h"

static struct tide_mono at_ms(int64_t ms) { return (struct tide_mono){ms * 1000000}; }

static void a_second_has_so_many_lines(void **state) {
  (void)state;
  struct tide_log_limit *limit = tide_alloc(sizeof *limit);
  uint64_t suppressed = 99;
  for (int i = 0; i < 3; i++) {
    assert_true(tide_log_limit_pass(limit, "disk_full", at_ms(5000 + i), 3, &suppressed));
    assert_int_equal(suppressed, 0);
  }
  for (int i = 0; i < 7; i++) assert_false(tide_log_limit_pass(limit, "disk_full", at_ms(5999), 3, &suppressed));
  assert_true(tide_log_limit_pass(limit, "other", at_ms(5999), 3, &suppressed)); /* each event for itself */
  assert_true(tide_log_limit_pass(limit, "disk_full", at_ms(6000), 3, &suppressed));
  assert_int_equal(suppressed, 7);
  assert_true(tide_log_limit_pass(limit, "disk_full", at_ms(6001), 3, &suppressed)); /* told once */
  assert_int_equal(suppressed, 0);
  assert_true(tide_log_limit_pass(limit, "disk_full", at_ms(6002), 3, &suppressed));
  assert_false(tide_log_limit_pass(limit, "disk_full", at_ms(6003), 3, &suppressed));
  assert_true(tide_log_limit_pass(limit, "disk_full", at_ms(6003), 4, &suppressed)); /* the limit was raised */
  assert_int_equal(suppressed, 1);
  assert_false(tide_log_limit_pass(limit, "disk_full", at_ms(6004), 4, &suppressed));
  assert_string_equal(tide_log_limit_untold(limit, &suppressed), "disk_full");
  assert_int_equal(suppressed, 1);
  assert_null(tide_log_limit_untold(limit, &suppressed));
  tide_free(limit);
}

static void without_room_there_is_no_limit(void **state) {
  (void)state;
  struct tide_log_limit *limit = tide_alloc(sizeof *limit);
  uint64_t suppressed;
  char name[64];
  for (int i = 0; i < TIDE_LOG_EVENTS_MAX; i++) {
    snprintf(name, sizeof name, "event_%d", i);
    assert_true(tide_log_limit_pass(limit, name, at_ms(0), 1, &suppressed));
    assert_false(tide_log_limit_pass(limit, name, at_ms(0), 1, &suppressed));
  }
  for (int i = 0; i < 5; i++) assert_true(tide_log_limit_pass(limit, "one_more", at_ms(0), 1, &suppressed));
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  for (int i = 0; i < 5; i++) assert_true(tide_log_limit_pass(limit, name, at_ms(0), 1, &suppressed)); /* too long to remember */
  int untold = 0;
  while (tide_log_limit_untold(limit, &suppressed)) untold++;
  assert_int_equal(untold, TIDE_LOG_EVENTS_MAX);
  tide_free(limit);
}

/* What a child of this process writes to stderr. */
static void stderr_of(void (*run)(void), struct tide_buf *out) {
  int pipe_fd[2];
  assert_int_equal(pipe(pipe_fd), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    dup2(pipe_fd[1], STDERR_FILENO);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    run();
    _exit(0);
  }
  close(pipe_fd[1]);
  char chunk[4096];
  for (ssize_t n; (n = read(pipe_fd[0], chunk, sizeof chunk)) > 0;) tide_buf_put(out, chunk, (size_t)n);
  close(pipe_fd[0]);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  tide_buf_cstr(out);
}

static size_t count_of(const char *text, const char *part) {
  size_t n = 0;
  for (; (text = strstr(text, part)) != NULL; text++) n++;
  return n;
}

static void log_too_much(void) {
  for (int i = 0; i < 50; i++) tide_log(TIDE_LOG_WARN, "unlimited", "i=%d", i);
  tide_log_limit_set(3);
  /* All within one second, unless the machine stops for one: then more lines pass, and what is told must still add up. */
  for (int i = 0; i < 1000; i++) tide_log(TIDE_LOG_WARN, "disk_full", "i=%d", i);
  tide_log(TIDE_LOG_DEBUG, "hidden", "a=1");
  tide_log(TIDE_LOG_INFO, "calm", "suppressed_so_far=%llu", (unsigned long long)tide_log_suppressed());
  tide_log_flush();
  tide_log_flush();
}

static void what_is_left_out_is_told(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  stderr_of(log_too_much, &out);
  assert_int_equal(count_of(out.ptr, " event=unlimited "), 50);
  size_t written = count_of(out.ptr, " event=disk_full ");
  assert_true(written >= 3 && written < 1000);
  unsigned long long told = 0, total = 0;
  for (const char *at = out.ptr; (at = strstr(at, " suppressed=")) != NULL; at++) told += strtoull(at + 12, NULL, 10);
  assert_int_equal(told + written, 1000);
  const char *calm = strstr(out.ptr, "level=info event=calm suppressed_so_far=");
  assert_non_null(calm);
  assert_int_equal(sscanf(calm, "level=info event=calm suppressed_so_far=%llu", &total), 1);
  assert_int_equal(total + written, 1000);
  assert_int_equal(count_of(out.ptr, "level=warn event=log_suppressed of=disk_full suppressed="), 1);
  assert_null(strstr(out.ptr, "hidden"));
  tide_buf_release(&out);
}

static void log_json(void) {
  tide_log_format_set(TIDE_LOG_JSON);
  tide_log(TIDE_LOG_INFO, "journal_open", "dir=%s entries=%d", "/var/lib/x \"y\"\\z", 7);
  tide_log(TIDE_LOG_ERROR, "odd", "empty=%s line=%s equals=%s bytes=%s utf8=%s %s", "", "a\nb\x01", "a=b", "x\xff\xc3", "\xc3\xa9", "bare");
  tide_log(TIDE_LOG_INFO, "none", "%s", "");
  tide_log_limit_set(1);
  tide_log(TIDE_LOG_INFO, "often", "n=%d", 1);
  for (int i = 0; i < 4; i++) tide_log(TIDE_LOG_INFO, "often", "n=%d", 2);
  tide_log_flush();
  tide_log_format_set(TIDE_LOG_LOGFMT);
  tide_log_limit_set(0);
  tide_log(TIDE_LOG_INFO, "back", "n=%d", 1);
}

static const char *member(const json_t *line, const char *key) {
  const char *text = json_string_value(json_object_get(line, key));
  return text ? text : "(not there)";
}

static void json_lines_are_json(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  stderr_of(log_json, &out);
  json_t *line[5];
  char *at = out.ptr;
  for (int i = 0; i < 5; i++) {
    char *end = strchr(at, '\n');
    assert_non_null(end);
    json_error_t error;
    line[i] = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, &error);
    if (!line[i]) fail_msg("%s: %.*s", error.text, (int)(end - at), at);
    assert_int_equal(strlen(member(line[i], "ts")), 24);
    at = end + 1;
  }
  assert_string_equal(member(line[0], "level"), "info");
  assert_string_equal(member(line[0], "event"), "journal_open");
  assert_string_equal(member(line[0], "dir"), "/var/lib/x \"y\"\\z");
  assert_string_equal(member(line[0], "entries"), "7");
  assert_string_equal(member(line[1], "empty"), "");
  assert_string_equal(member(line[1], "line"), "a\nb\x01");
  assert_string_equal(member(line[1], "equals"), "a=b");
  assert_string_equal(member(line[1], "bytes"), "x??");
  assert_string_equal(member(line[1], "utf8"), "\xc3\xa9");
  assert_string_equal(member(line[1], "text"), "bare");
  assert_int_equal(json_object_size(line[2]), 3);
  assert_string_equal(member(line[3], "n"), "1");
  /* The four behind it were left out and told by the flush, unless a second went by between them. */
  assert_true(strcmp(member(line[4], "event"), "log_suppressed") == 0 || strcmp(member(line[4], "event"), "often") == 0);
  assert_true(strtoull(member(line[4], "suppressed"), NULL, 10) >= 1 || strcmp(member(line[4], "event"), "often") == 0);
  assert_non_null(strstr(at - 1, "\nts="));
  for (int i = 0; i < 5; i++) json_decref(line[i]);
  tide_buf_release(&out);
}

static void *log_lines(void *arg) {
  for (int i = 0; i < 300; i++) tide_log(TIDE_LOG_INFO, arg, "n=%d", i);
  return NULL;
}

static void log_from_threads(void) {
  pthread_t thread[3];
  static char name[3][8] = {"one", "two", "three"};
  for (int i = 0; i < 3; i++)
    if (pthread_create(&thread[i], NULL, log_lines, name[i]) != 0) abort();
  for (int i = 0; i < 300; i++) {
    tide_log_level_set(i % 2 ? TIDE_LOG_INFO : TIDE_LOG_ERROR);
    tide_log_format_set(i % 3 ? TIDE_LOG_LOGFMT : TIDE_LOG_JSON);
    tide_log_limit_set((uint32_t)(i % 5));
    if (i % 50 == 0) tide_log_flush();
  }
  for (int i = 0; i < 3; i++)
    if (pthread_join(thread[i], NULL) != 0) abort();
}

static void lines_of_threads_stay_whole(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  stderr_of(log_from_threads, &out);
  for (const char *at = out.ptr; *at;) {
    size_t len = strcspn(at, "\n");
    bool json = at[0] == '{' && len > 1 && at[len - 1] == '}', logfmt = strncmp(at, "ts=", 3) == 0;
    if ((!json && !logfmt) || at[len] != '\n') fail_msg("a torn line: %.*s", (int)len, at);
    at += len + 1;
  }
  tide_buf_release(&out);
}

static const struct tide_opt operator_options[] = {TIDE_CONFIG_OPTIONS};
static const struct tide_verb operator_verb = {.name = "toy", .opt = operator_options, .opt_count = 2};

/* Logs as configured, with and without --log-level. */
static void log_as_configured(void) {
  for (int given = 0; given < 2; given++) {
    char *argv[] = {"--set", "log.format=json", "--set", "log.level=error", "--set", "log.limit=1", "--log-level", "warn"};
    struct tide_args args;
    struct tide_config *config;
    struct tide_error error;
    bool help;
    int exit;
    if (tide_args_parse(&operator_verb, given ? 8 : 6, argv, &args, &help, &error) != TIDE_OK || !tide_config_open(&args, &config, &exit))
      abort();
    enum tide_log_level level;
    if (!tide_log_level_parse(tide_args_text(&args, "log-level"), &level)) abort();
    tide_log_level_set(level); /* as the program does before every verb */
    tide_config_apply_log(config, &args);
    tide_log(TIDE_LOG_WARN, given ? "shown" : "hidden", "a=%d", 1);
    tide_log(TIDE_LOG_INFO, "hidden", "a=%d", 1);
    tide_log(TIDE_LOG_ERROR, given ? "again" : "first", "a=%d", 1);
    tide_config_free(config);
    tide_args_release(&args);
  }
  for (int i = 0; i < 20; i++) tide_log(TIDE_LOG_ERROR, "often", "a=%d", 1);
}

static void logs_are_as_configured(void **state) {
  (void)state;
  struct tide_buf out = TIDE_BUF_INIT;
  stderr_of(log_as_configured, &out);
  assert_null(strstr(out.ptr, "hidden"));
  assert_int_equal(count_of(out.ptr, "\"level\":\"warn\",\"event\":\"shown\",\"a\":\"1\"}\n"), 1);
  assert_int_equal(count_of(out.ptr, "\"event\":\"first\""), 1);
  assert_int_equal(count_of(out.ptr, "\"event\":\"again\""), 1);
  size_t often = count_of(out.ptr, "\"event\":\"often\"");
  assert_true(often >= 1 && often < 20);
  tide_buf_release(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_second_has_so_many_lines),  cmocka_unit_test(without_room_there_is_no_limit),
      cmocka_unit_test(what_is_left_out_is_told),    cmocka_unit_test(json_lines_are_json),
      cmocka_unit_test(lines_of_threads_stay_whole), cmocka_unit_test(logs_are_as_configured),
  };
  return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
