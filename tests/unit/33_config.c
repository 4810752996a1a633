/* The operator's configuration: every row is sane, documented and round-trips; every place a value comes from is told; every mistake is found with
 * its place and a suggestion; what is printed loads again to the same values; no message repeats a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"
#include "cli/config_file.h"
#include "cli/key_file.h"
#include "config/config.h"
#include "config/yaml.h"

enum { ERRORS = 40 };
static const char key_digits[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

static struct tide_config *load(const char *text, const char *const *environment, const char *const *set, size_t set_count) {
  struct tide_config_input input = {"t.yaml", environment, set, set_count};
  struct tide_error error[ERRORS] = {{0}};
  struct tide_config *config = NULL;
  size_t count = 99;
  if (tide_config_parse(tide_span_of(text), &input, &config, error, ERRORS, &count) != TIDE_OK)
    fail_msg("%d:%d %s", error[0].line, error[0].column, error[0].text);
  assert_int_equal(count, 0);
  return config;
}

static void assert_same(const struct tide_config *a, const struct tide_config *b) {
  struct tide_config_diff diff = tide_config_diff(a, b);
  if (diff.count) fail_msg("%s differs", tide_options[diff.row[0]].name);
}

static void every_row_is_sane(void **state) {
  (void)state;
  char env[TIDE_OPTION_ENV_BYTES], other[TIDE_OPTION_ENV_BYTES];
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) {
    const struct tide_option *o = &tide_options[i];
    struct tide_error error = {0};
    struct tide_option_value value;
    if (tide_option_parse(o, tide_span_of(o->dflt), &value, &error) != TIDE_OK) fail_msg("default of %s: %s", o->name, error.text);
    struct tide_buf text = TIDE_BUF_INIT;
    tide_option_format(o, value, &text);
    assert_string_equal(tide_buf_cstr(&text), o->dflt); /* defaults stand in the one written form */
    tide_buf_release(&text);
    assert_true(o->lo <= o->hi);
    assert_true(strlen(o->help) > 10 && o->help[strlen(o->help) - 1] != '.' && tide_utf8_valid(tide_span_of(o->help)));
    assert_null(strchr(o->help, '|')); /* it would end a cell of the reference */
    assert_int_equal(o->words != NULL, o->type == TIDE_OPTION_CHOICE);
    assert_true(!o->unit || o->type == TIDE_OPTION_INT);
    assert_int_equal(tide_option_find(tide_span_of(o->name)), i);
    size_t section = strlen(o->section);
    assert_true(strncmp(o->name, o->section, section) == 0 && o->name[section] == '.');
    for (const char *c = o->name; *c; c++) assert_true((*c >= 'a' && *c <= 'z') || *c == '_' || *c == '.');
    assert_string_not_equal(tide_option_env_name(o, env), TIDE_CONFIG_ENV_KEY);
    for (int k = 0; k < i; k++) {
      assert_string_not_equal(tide_option_env_name(&tide_options[k], other), env);
      /* Rows of a section stand together: it is printed once. */
      if (strcmp(tide_options[k].section, o->section) == 0) assert_string_equal(tide_options[i - 1].section, o->section);
    }
  }
}

static void every_bound_holds(void **state) {
  (void)state;
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) {
    const struct tide_option *o = &tide_options[i];
    bool number = o->type == TIDE_OPTION_INT || o->type == TIDE_OPTION_SIZE || o->type == TIDE_OPTION_DURATION;
    if (!number) continue;
    assert_true(o->hi > o->lo);
    for (int64_t step = -1; step <= 1; step++) {
      for (int high = 0; high < 2; high++) {
        int64_t n = (high ? o->hi : o->lo) + step;
        if (n < 0) continue;
        struct tide_buf text = TIDE_BUF_INIT;
        tide_option_format(o, (struct tide_option_value){.number = n}, &text);
        struct tide_option_value back = {.number = -77};
        struct tide_error error = {0};
        enum tide_err err = tide_option_parse(o, tide_buf_span(&text), &back, &error);
        if (n >= o->lo && n <= o->hi) {
          assert_int_equal(err, TIDE_OK);
          assert_true(back.number == n);
        } else {
          assert_int_equal(err, TIDE_E_RANGE);
          assert_true(back.number == -77);
          assert_string_equal(error.field, o->name);
          assert_non_null(strstr(error.text, " and must be "));
        }
        tide_buf_release(&text);
      }
    }
  }
}

static void setting_has_its_option(const char *name, int64_t least, int64_t most) {
  if (strcmp(name, "replay") == 0 || strcmp(name, "hash_seed") == 0) return; /* not an operator's choice */
  char option[64];
  snprintf(option, sizeof option, "fold.%s", name);
  size_t len = strlen(option);
  if (strcmp(option + len - 3, "_ms") == 0) option[len - 3] = '\0';
  int row = tide_option_find(tide_span_of(option));
  if (row < 0) fail_msg("the setting %s has no option", name);
  bool any = least == INT64_MIN;
  assert_true(tide_options[row].lo == (any ? 0 : least) && tide_options[row].hi == (any ? 0 : most));
}

static void the_rows_agree_with_the_tables_they_feed(void **state) {
  (void)state;
  struct tide_config *config = load("", NULL, NULL, 0);
  struct tide_settings from = tide_settings_from_config(config), dflt = tide_settings_default();
  assert_memory_equal(&from, &dflt, sizeof from);
  /* Every setting an operator has, with the bounds of its row there. */
#define X(name, value, least, most, text) setting_has_its_option(#name, least, most);
  TIDE_SETTINGS(X)
#undef X
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  for (int i = 0; i < 4; i++) {
    enum tide_log_level level;
    assert_true(tide_log_level_parse(levels[i], &level));
    char text[64];
    snprintf(text, sizeof text, "log: {level: %s}", levels[i]);
    struct tide_config *one = load(text, NULL, NULL, 0);
    assert_int_equal(one->log_level, (int)level); /* the option's words are in the order of the enum */
    tide_config_free(one);
  }
  assert_string_equal(TIDE_CONFIG_ENV_KEY, TIDE_KEY_ENV);
  assert_int_equal(config->log_format, TIDE_LOG_LOGFMT);
  struct tide_config *json = load("log: {format: json}", NULL, NULL, 0);
  assert_int_equal(json->log_format, TIDE_LOG_JSON);
  tide_config_free(json);
  tide_config_free(config);
}

static void values_come_from_four_places(void **state) {
  (void)state;
  static const char text[] = "http:\n  port: 1001\n  admin_port: 1002\n  max_body: 1KiB\nlog:\n  # all commented out\ncell: {name: eu-1}\n";
  static const char *const environment[] = {"PATH=/bin",
                                            "TIDEMARK_HTTP_ADMIN_PORT=2002",
                                            "TIDEMARK_HTTP_MAX_BODY=2KiB",
                                            "TIDEMARK_HASH_KEY=whatever",
                                            "TIDEMARKET=1",
                                            "TIDEMARK_KEYS_DEVELOPMENT=true",
                                            NULL};
  static const char *const set[] = {"http.max_body=3KiB", "journal.kind=memory", "features.file=a=b.yaml"};
  struct tide_config *c = load(text, environment, set, 3);
  assert_int_equal(c->http_port, 1001);
  assert_int_equal(c->http_admin_port, 2002);
  assert_int_equal(c->http_max_body_bytes, 3072);
  assert_int_equal(c->http_default_deadline_ms, 100);
  assert_int_equal(c->journal_kind, TIDE_JOURNAL_KIND_memory);
  assert_string_equal(c->cell_name, "eu-1");
  assert_string_equal(c->features_file, "a=b.yaml");
  assert_true(c->keys_development);
  assert_true(c->fold_history_from_ms == TIDE_TIME_FIRST);
  assert_int_equal(c->origin[TIDE_OPTION_ROW_http_port].from, TIDE_FROM_FILE);
  assert_int_equal(c->origin[TIDE_OPTION_ROW_http_port].line, 2);
  assert_int_equal(c->origin[TIDE_OPTION_ROW_http_port].column, 9);
  assert_int_equal(c->origin[TIDE_OPTION_ROW_http_admin_port].from, TIDE_FROM_ENVIRONMENT);
  assert_int_equal(c->origin[TIDE_OPTION_ROW_http_max_body].from, TIDE_FROM_SET);
  assert_int_equal(c->origin[TIDE_OPTION_ROW_log_level].from, TIDE_FROM_DEFAULT);
  struct tide_buf out = TIDE_BUF_INIT;
  tide_config_print(c, false, &out);
  assert_non_null(strstr(tide_buf_cstr(&out), "\n  port: 1001                             # t.yaml:2\n"));
  assert_non_null(strstr(out.ptr, "\n  admin_port: 2002                       # environment TIDEMARK_HTTP_ADMIN_PORT\n"));
  assert_non_null(strstr(out.ptr, "\n  max_body: 3KiB                         # --set\n"));
  assert_non_null(strstr(out.ptr, "\n  level: info                            # default\n"));
  assert_null(strstr(out.ptr, "whatever"));
  tide_buf_release(&out);
  tide_config_free(c);
}

static void what_is_printed_loads_again(void **state) {
  (void)state;
  static const char *const paths[] = {
      "/srv/a b", "x: y", "#1",    "-",      "~",    "null", "a#b", "quote\"s'", "back\\slash", "\xc3\xa9t\xc3\xa9",
      "[a]",      "{",    "&a",    "*",      "!x",   "%",    "@",   "`",         "|",           ">",
      "?",        ": ",   " lead", "trail ", "true", "1",    "a,b", "",          "-a",          "$HOME/x"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    char features[128], dir[128];
    snprintf(features, sizeof features, "features.file=%s", paths[i]);
    snprintf(dir, sizeof dir, "snapshot.dir=x%s", paths[i]);
    const char *set[] = {features,
                         dir,
                         "http.listen=::1",
                         "fold.history_from=2026-01-31T00:00:00Z",
                         "fold.lateness=90m",
                         "log.format=json",
                         "journal.segment=1048577B",
                         "keys.development=true"};
    struct tide_config *first = load("", NULL, set, sizeof set / sizeof set[0]);
    assert_string_equal(first->features_file, paths[i]);
    for (int describe = 0; describe < 2; describe++) {
      struct tide_buf out = TIDE_BUF_INIT;
      tide_config_print(first, describe, &out);
      struct tide_config *second = load(tide_buf_cstr(&out), NULL, NULL, 0);
      assert_same(first, second);
      for (int row = 0; row < TIDE_OPTION_COUNT; row++) assert_int_equal(second->origin[row].from, TIDE_FROM_FILE);
      tide_config_free(second);
      tide_buf_release(&out);
    }
    tide_config_free(first);
  }
}

static void a_strange_file_name_stays_in_its_comment(void **state) {
  (void)state;
  struct tide_config_input input = {.path = "a\nhttp: {port: 1}\n.yaml"};
  struct tide_config *first, *second;
  assert_int_equal(tide_config_parse(TIDE_SPAN("http: {port: 7}\n"), &input, &first, NULL, 0, NULL), TIDE_OK);
  struct tide_buf out = TIDE_BUF_INIT;
  tide_config_print(first, false, &out);
  second = load(tide_buf_cstr(&out), NULL, NULL, 0);
  assert_same(first, second);
  tide_buf_release(&out);
  tide_config_free(first);
  tide_config_free(second);
}

static void mistakes_are_told_with_their_place(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum tide_err err;
    int line, column;
    const char *says;
  } cases[] = {
      {"http:\n  prot: 1\n", TIDE_E_UNKNOWN_NAME, 2, 3, "did you mean http.port?"},
      {"htpp:\n  port: 1\n", TIDE_E_UNKNOWN_NAME, 1, 1, "did you mean http?"},
      {"http.port: 1\n", TIDE_E_UNKNOWN_NAME, 1, 1, "write `http:` with `port:` indented"},
      {"zzzzzzzz: 1\n", TIDE_E_UNKNOWN_NAME, 1, 1, "REFERENCE.md"},
      {"http:\n  port: 1\n  port: 2\n", TIDE_E_DUPLICATE_KEY, 3, 3, "already in line 2"},
      {"http: 5\n", TIDE_E_TYPE, 1, 7, "http is a section"},
      {"- a\n", TIDE_E_TYPE, 1, 1, "mapping of sections"},
      {"http:\n  port:\n", TIDE_E_TYPE, 2, 8, "leave the line out for the default, 8080"},
      {"http:\n  port: [1]\n", TIDE_E_TYPE, 2, 9, "not a list"},
      {"http:\n  port: '12x'\n", TIDE_E_SYNTAX, 2, 10, "http.port takes a whole number"},
      {"http:\n  port: 65536\n", TIDE_E_RANGE, 2, 9, "must be 0 to 65535"},
      {"http:\n  port: 99999999999999999999\n", TIDE_E_RANGE, 2, 9, "must be 0 to 65535"},
      {"http:\n  port: -1\n", TIDE_E_RANGE, 2, 9, "must be 0 to 65535"},
      {"http:\n  max_body: 64\n", TIDE_E_SYNTAX, 2, 13, "KiB"},
      {"http:\n  max_body: 64 KiB\n", TIDE_E_SYNTAX, 2, 13, "KiB"},
      {"http:\n  max_body: 9999999999GiB\n", TIDE_E_RANGE, 2, 13, "must be 256B to 16MiB"},
      {"http:\n  max_body: KiB\n", TIDE_E_SYNTAX, 2, 13, "KiB"},
      {"http:\n  idle_timeout: 60\n", TIDE_E_SYNTAX, 2, 17, "as in 100ms"},
      {"http:\n  idle_timeout: 61m\n", TIDE_E_RANGE, 2, 17, "must be 1s to 1h"},
      {"http:\n  listen: localhost\n", TIDE_E_SYNTAX, 2, 11, "127.0.0.1"},
      {"http:\n  listen: 1.2.3\n", TIDE_E_SYNTAX, 2, 11, "IPv4"},
      {"journal:\n  kind: postgres\n", TIDE_E_SYNTAX, 2, 9, "one of file, memory"},
      {"journal:\n  kind: fil\n", TIDE_E_SYNTAX, 2, 9, "one of file, memory"},
      {"journal:\n  dir: ''\n", TIDE_E_RANGE, 2, 9, "0 bytes"},
      {"keys:\n  development: yes\n", TIDE_E_SYNTAX, 2, 16, "true or false"},
      {"cell:\n  name: eu/1\n", TIDE_E_SYNTAX, 2, 9, "letters, digits"},
      {"cell:\n  name: -eu\n", TIDE_E_SYNTAX, 2, 9, "letters, digits"},
      {"features:\n  file: \"a\\nb\"\n", TIDE_E_SYNTAX, 2, 10, "control characters"},
      {"fold:\n  history_from: yesterday\n", TIDE_E_SYNTAX, 2, 17, "or first"},
      {"fold:\n  history_from: 2026-02-31T00:00:00Z\n", TIDE_E_RANGE, 2, 17, "or first"},
      {"http:\n  max_deadline: 50ms\n", TIDE_E_CONFIG, 2, 17, "longer than http.max_deadline"},
      {"http:\n  default_deadline: 11s\n", TIDE_E_CONFIG, 2, 21, "http.default_deadline is longer than http.max_deadline"},
      {"http:\n  batch_deadline: 11s\n", TIDE_E_CONFIG, 2, 19, "http.batch_deadline is longer than http.max_deadline"},
      {"http:\n  max_body: 2MiB\n", TIDE_E_CONFIG, 2, 13, "above http.max_batch_body"},
      {"fold:\n  lateness: 8d\n", TIDE_E_CONFIG, 2, 13, "counted twice"},
      {"http:\n  port: 9090\n", TIDE_E_CONFIG, 2, 9, "share one port"},
      {"http: {listen: 1.2.3.4, admin_listen: '::', admin_port: 8080}\n", TIDE_E_CONFIG, 1, 57, "share one port"},
      {"keys: {file: k, development: true}\n", TIDE_E_CONFIG, 1, 30, "keep one of them"},
      {"keys: {file: k, file_previous: k}\n", TIDE_E_CONFIG, 1, 14, "the same file"},
      {"journal: {kind: redis, timeout: 100ms}\n", TIDE_E_CONFIG, 1, 33, "not above journal.wait"},
      {"journal: {kind: redis, quorum: 3}\n", TIDE_E_CONFIG, 1, 32, "above journal.replicas"},
      {"{journal: {kind: redis}, engine: {heartbeat: 0s}}\n", TIDE_E_CONFIG, 1, 46, "must tell that it is there"},
      {"snapshot: {dir: tidemark-data/journal}\n", TIDE_E_CONFIG, 1, 17, "a directory of its own"},
      {"journal: {kind: redis, quorum: 1}\n", TIDE_E_CONFIG, 1, 32, "Set http.log: kafka"},
      {"http:\n  log: kafka\n", TIDE_E_CONFIG, 2, 8, "needs http.log_source"},
      {"{http: {log: kafka, log_source: s}, kafka: {bootstrap.servers: k}}\n", TIDE_E_CONFIG, 1, 33, "names no source of `sources:`"},
      {"scores:\n  topic: a/b\n", TIDE_E_SYNTAX, 2, 10, "the name of a Kafka topic"},
      {"scores:\n  topic: ..\n", TIDE_E_SYNTAX, 2, 10, "the name of a Kafka topic"},
      {"scores:\n  topic: a\n", TIDE_E_CONFIG, 2, 10, "scores.topic needs it"},
      {"dead_letters:\n  topic: a\n", TIDE_E_CONFIG, 2, 10, "dead_letters.topic needs it"},
      {"{scores: {topic: a, file: b}, kafka: {bootstrap.servers: k}}\n", TIDE_E_CONFIG, 1, 18, "keep one of them"},
      {"{dead_letters: {topic: a, file: b}, kafka: {bootstrap.servers: k}}\n", TIDE_E_CONFIG, 1, 24, "keep one of them"},
      {"{scores: {topic: a}, dead_letters: {topic: a}, kafka: {bootstrap.servers: k}}\n", TIDE_E_CONFIG, 1, 18, "are the same"},
      {"{scores: {file: a}, dead_letters: {file: a}}\n", TIDE_E_CONFIG, 1, 17, "the same file"},
      {"http: [\n", TIDE_E_SYNTAX, 2, 1, "YAML"},
      {"---\na: 1\n---\nb: 1\n", TIDE_E_TRAILING, 3, 1, "second document"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_config_input input = {.path = "t.yaml"};
    struct tide_config *config = (struct tide_config *)&input; /* must stay */
    struct tide_error error[ERRORS] = {{0}};
    size_t count = 0;
    enum tide_err err = tide_config_parse(tide_span_of(cases[i].text), &input, &config, error, ERRORS, &count);
    if (err != cases[i].err || count < 1 || error[0].code != err || error[0].line != cases[i].line || error[0].column != cases[i].column ||
        !strstr(error[0].text, cases[i].says))
      fail_msg("case %zu: %s, %zu at %d:%d: %s", i, tide_err_name(err), count, error[0].line, error[0].column, error[0].text);
    assert_ptr_equal(config, &input);
    assert_int_equal(tide_config_parse(tide_span_of(cases[i].text), &input, &config, NULL, 0, NULL), err); /* nobody asks for the texts */
  }
  /* What agrees is not refused: the same port on two addresses, or any free one twice. */
  tide_config_free(load("http: {listen: 127.0.0.1, admin_listen: 127.0.0.2, admin_port: 8080}\n", NULL, NULL, 0));
  tide_config_free(load("http: {port: 0, admin_port: 0}\n", NULL, NULL, 0));
}

static void all_mistakes_are_told_at_once(void **state) {
  (void)state;
  static const char *const environment[] = {"TIDEMARK_HTTP_PROT=1", "TIDEMARK_HASHKEY=secret", "TIDEMARK_HTTP_THREADS=0",
                                            "TIDEMARK_=", NULL};
  static const char *const set[] = {"http.port", "http.prot=1", "http.port=1", "http.port=1", "=x"};
  struct tide_config_input input = {"t.yaml", environment, set, sizeof set / sizeof set[0]};
  struct tide_config *config = NULL;
  struct tide_error error[ERRORS] = {{0}};
  size_t count = 0;
  assert_int_equal(tide_config_parse(TIDE_SPAN("http: {port: a, threads: b}\nlog: {level: c}\n"), &input, &config, error, ERRORS, &count),
                   TIDE_E_SYNTAX);
  static const char *const says[] = {
      "http.port takes",
      "http.threads takes",
      "log.level is \"c\" and must be one of debug, info, warn, error",
      "did you mean TIDEMARK_HTTP_PORT?",
      "did you mean TIDEMARK_HASH_KEY?",
      "TIDEMARK_HTTP_THREADS: its value does not fit http.threads, which takes a whole number: 1 to 64 threads",
      "environment TIDEMARK_:",
      "--set takes NAME=VALUE",
      "did you mean http.port?",
      "given twice",
      "--set: there is no option"};
  assert_int_equal(count, sizeof says / sizeof says[0]);
  for (size_t i = 0; i < count; i++)
    if (!strstr(error[i].text, says[i])) fail_msg("%zu: %s", i, error[i].text);
  assert_null(config);
  /* Room for fewer: the first ones, and how many there are. */
  struct tide_error few[3] = {{0}, {0}, {.line = 4711}};
  assert_int_equal(tide_config_parse(TIDE_SPAN("http: {port: a, threads: b}\nlog: {level: c}\n"), &input, &config, few, 2, &count),
                   TIDE_E_SYNTAX);
  assert_int_equal(count, sizeof says / sizeof says[0]);
  assert_int_equal(few[2].line, 4711);
}

/* A key where a path belongs, a key under a misspelt variable, a secret as a value of any variable. */
static void secrets_are_never_repeated(void **state) {
  (void)state;
  char file[256], variable[256], misspelt[256], set[256];
  snprintf(file, sizeof file, "keys:\n  file: %s\nmodel:\n  file: \"x%s\\n\"\n", key_digits, key_digits);
  snprintf(variable, sizeof variable, "TIDEMARK_KEYS_FILE=%s", key_digits);
  snprintf(misspelt, sizeof misspelt, "TIDEMARK_HASHKEY=%s", key_digits);
  snprintf(set, sizeof set, "keys.file_previous=%s", key_digits);
  char number[256];
  snprintf(number, sizeof number, "TIDEMARK_HTTP_PORT=%s", key_digits);
  const char *environment[] = {variable, misspelt, number, NULL}, *sets[] = {set};
  struct tide_config_input input = {"t.yaml", environment, sets, 1};
  struct tide_config *config;
  struct tide_error error[ERRORS] = {{0}};
  size_t count = 0;
  assert_int_equal(tide_config_parse(tide_span_of(file), &input, &config, error, ERRORS, &count), TIDE_E_SYNTAX);
  assert_int_equal(count, 6);
  assert_non_null(strstr(error[0].text, "looks like a key itself"));
  for (size_t i = 0; i < count; i++) assert_null(strstr(error[i].text, "00112233"));
}

static void a_reload_takes_what_is_reloadable(void **state) {
  (void)state;
  struct tide_config *a = load("", NULL, NULL, 0);
  struct tide_config *same = load("http: {port: 8080}\nkeys: {file: \"\"}\n", NULL, NULL, 0);
  struct tide_config *soft = load("log: {level: debug}\nsnapshot: {every: 1h}\n", NULL, NULL, 0);
  struct tide_config *hard = load("log: {level: debug}\nhttp: {port: 9}\ncell: {name: eu}\n", NULL, NULL, 0);
  struct tide_error error = {0};
  struct tide_config_diff diff = tide_config_diff(a, same);
  assert_int_equal(diff.count, 0); /* written out or not is no difference */
  assert_int_equal(tide_config_diff_check(&diff, &error), TIDE_OK);
  diff = tide_config_diff(a, soft);
  assert_int_equal(diff.count, 2);
  assert_int_equal(diff.fixed_count, 0);
  assert_int_equal(diff.row[0], TIDE_OPTION_ROW_snapshot_every);
  assert_int_equal(diff.row[1], TIDE_OPTION_ROW_log_level);
  assert_int_equal(tide_config_diff_check(&diff, &error), TIDE_OK);
  diff = tide_config_diff(a, hard);
  assert_int_equal(diff.count, 3);
  assert_int_equal(diff.fixed_count, 2);
  assert_int_equal(tide_config_diff_check(&diff, &error), TIDE_E_CONFIG);
  assert_string_equal(error.field, "cell.name");
  assert_non_null(strstr(error.text, "restart: cell.name, http.port"));
  assert_null(strstr(error.text, "log.level"));
  tide_config_free(a);
  tide_config_free(same);
  tide_config_free(soft);
  tide_config_free(hard);
  tide_config_free(NULL);
}

static void every_row_alone_makes_a_difference(void **state) {
  (void)state;
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) {
    const struct tide_option *o = &tide_options[i];
    /* What topics and copies need is there. */
    const char *text = i != TIDE_OPTION_ROW_http_log
                           ? "kafka: {bootstrap.servers: k}"
                           : "{kafka: {bootstrap.servers: k}, sources: {s: {topic: t}}, dead_letters: {file: d}, http: {log_source: s}}";
    struct tide_config *a = load(text, NULL, NULL, 0);
    struct tide_buf set = TIDE_BUF_INIT;
    tide_buf_printf(&set, "%s=", o->name);
    switch ((enum tide_option_type)o->type) {
      case TIDE_OPTION_BOOL: tide_buf_str(&set, strcmp(o->dflt, "true") == 0 ? "false" : "true"); break;
      case TIDE_OPTION_CHOICE: tide_buf_str(&set, strrchr(o->words, '|') + 1); break;
      case TIDE_OPTION_ADDRESS: tide_buf_str(&set, "10.1.2.3"); break;
      case TIDE_OPTION_TIME: tide_buf_str(&set, "2026-01-01T00:00:00Z"); break;
      case TIDE_OPTION_NAME:
      case TIDE_OPTION_TOPIC:
      case TIDE_OPTION_PATH: tide_buf_str(&set, "other"); break;
      default: {
        /* The bound that contradicts no other option. */
        bool low = i == TIDE_OPTION_ROW_http_default_deadline || i == TIDE_OPTION_ROW_http_batch_deadline ||
                   i == TIDE_OPTION_ROW_http_max_body || i == TIDE_OPTION_ROW_fold_lateness || i == TIDE_OPTION_ROW_drift_long_window ||
                   i == TIDE_OPTION_ROW_feedback_genuine_after;
        struct tide_option_value value = {.number = low ? o->lo : o->hi};
        tide_option_format(o, value, &set);
      }
    }
    const char *sets[] = {tide_buf_cstr(&set)};
    struct tide_config *b = load(text, NULL, sets, 1);
    struct tide_config_diff diff = tide_config_diff(a, b);
    if (diff.count != 1 || diff.row[0] != i || diff.fixed_count != (o->reloadable ? 0u : 1u))
      fail_msg("%s: %zu differences", sets[0], diff.count);
    tide_config_free(a);
    tide_config_free(b);
    tide_buf_release(&set);
  }
}

static void every_row_is_documented(void **state) {
  (void)state;
  struct tide_buf page = TIDE_BUF_INIT, line = TIDE_BUF_INIT;
  tide_options_document(&page);
  tide_buf_cstr(&page);
  char env[TIDE_OPTION_ENV_BYTES];
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) {
    const struct tide_option *o = &tide_options[i];
    tide_buf_clear(&line);
    tide_buf_printf(&line, "\n| `%s` | `%s` | %s | %s | ", o->name, tide_option_env_name(o, env),
                    tide_option_type_name((enum tide_option_type)o->type), o->dflt[0] ? o->dflt : "empty");
    const char *at = strstr(page.ptr, tide_buf_cstr(&line));
    if (!at) fail_msg("%s", line.ptr);
    const char *end = strchr(at + 1, '\n'), *help = strstr(at, o->help);
    assert_true(help && help < end);
    int bars = 0;
    for (const char *c = at + 1; c < end; c++) bars += *c == '|';
    assert_int_equal(bars, 8);
  }
  tide_buf_release(&page);
  tide_buf_release(&line);
}

/* The sample sets every row to its default, so a new row cannot be forgotten there and an old value cannot stay. */
static void the_sample_is_the_defaults(void **state) {
  (void)state;
  struct tide_config_input input = {.path = "config/defaults/tidemark.yaml"};
  struct tide_config *sample, *dflt = load("", NULL, NULL, 0);
  struct tide_error error = {0};
  if (tide_config_load(&input, &sample, &error, 1, NULL) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  for (int i = 0; i < TIDE_OPTION_COUNT; i++)
    if (sample->origin[i].from != TIDE_FROM_FILE) fail_msg("%s is not in the sample", tide_options[i].name);
  struct tide_config_diff diff = tide_config_diff(dflt, sample);
  assert_int_equal(diff.count, 1);
  assert_int_equal(diff.row[0], TIDE_OPTION_ROW_features_file);
  /* What it says of reloading is what the table says. */
  struct tide_buf text = TIDE_BUF_INIT;
  assert_int_equal(tide_yaml_read(input.path, "sample", &text, &error), TIDE_OK);
  int line = 1;
  for (const char *at = tide_buf_cstr(&text); *at; line++) {
    size_t len = strcspn(at, "\n");
    char copy[256];
    assert_true(len < sizeof copy);
    memcpy(copy, at, len);
    copy[len] = '\0';
    for (int i = 0; i < TIDE_OPTION_COUNT; i++)
      if (sample->origin[i].line == line && (strstr(copy, "# (reload)") != NULL) != tide_options[i].reloadable)
        fail_msg("line %d: (reload) of %s", line, tide_options[i].name);
    at += len + (at[len] == '\n');
  }
  tide_buf_release(&text);
  assert_int_equal(tide_config_ready(sample, &error), TIDE_OK);
  assert_int_equal(tide_config_ready(dflt, &error), TIDE_E_CONFIG);
  assert_string_equal(error.field, "features.file");
  tide_config_free(sample);
  tide_config_free(dflt);
}

static void a_file_that_is_not_there(void **state) {
  (void)state;
  struct tide_config_input input = {.path = "config/no-such-file.yaml"};
  struct tide_config *config = NULL;
  struct tide_error error = {0};
  size_t count = 0;
  assert_int_equal(tide_config_load(&input, &config, &error, 1, &count), TIDE_E_NOT_FOUND);
  assert_int_equal(count, 1);
  assert_non_null(strstr(error.text, "configuration config/no-such-file.yaml"));
  assert_int_equal(tide_config_load(&input, &config, NULL, 0, NULL), TIDE_E_NOT_FOUND);
  input.path = "config";
  assert_int_equal(tide_config_load(&input, &config, &error, 1, &count), TIDE_E_IO);
  assert_null(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_is_sane),
      cmocka_unit_test(every_bound_holds),
      cmocka_unit_test(the_rows_agree_with_the_tables_they_feed),
      cmocka_unit_test(values_come_from_four_places),
      cmocka_unit_test(what_is_printed_loads_again),
      cmocka_unit_test(a_strange_file_name_stays_in_its_comment),
      cmocka_unit_test(mistakes_are_told_with_their_place),
      cmocka_unit_test(all_mistakes_are_told_at_once),
      cmocka_unit_test(secrets_are_never_repeated),
      cmocka_unit_test(a_reload_takes_what_is_reloadable),
      cmocka_unit_test(every_row_alone_makes_a_difference),
      cmocka_unit_test(every_row_is_documented),
      cmocka_unit_test(the_sample_is_the_defaults),
      cmocka_unit_test(a_file_that_is_not_there),
  };
  return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
