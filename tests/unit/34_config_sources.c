/* Sources and Kafka settings of the operator's configuration: every key of the table is sane, documented and round-trips; each of the three places can give
 * them; every mistake and contradiction is told at its place; a secret is taken from files and the environment only and is never shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/source_number.h"
#include "base/utf8.h"
#include "config/config.h"
#include "tests/support/journal_dir.h"

enum { ERRORS = 40 };
#define BASE "kafka: {bootstrap.servers: k}\ndead_letters: {file: d}\n"

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

static size_t refuse(const char *text, const char *const *environment, const char *const *set, size_t set_count,
                     struct tide_error error[ERRORS]) {
  struct tide_config_input input = {"t.yaml", environment, set, set_count};
  struct tide_config *config = NULL;
  size_t count = 0;
  memset(error, 0, ERRORS * sizeof *error);
  enum tide_err err = tide_config_parse(tide_span_of(text), &input, &config, error, ERRORS, &count);
  if (err == TIDE_OK) {
    tide_config_free(config);
    fail_msg("accepted: %s", text);
  }
  assert_null(config);
  assert_true(count > 0 && error[0].code == err);
  return count;
}

static const struct tide_config_source *source(const struct tide_config *config, const char *name) {
  for (size_t i = 0; i < config->source_count; i++)
    if (strcmp(config->source[i].name, name) == 0) return &config->source[i];
  fail_msg("there is no source %s", name);
  return NULL;
}

static const struct tide_config_kafka *setting(const struct tide_config *config, const char *name) {
  for (size_t i = 0; i < config->kafka_count; i++)
    if (strcmp(config->kafka[i].name, name) == 0) return &config->kafka[i];
  fail_msg("there is no setting %s", name);
  return NULL;
}

static void every_key_is_sane(void **state) {
  (void)state;
  for (int i = 0; i < TIDE_SOURCE_KEY_COUNT; i++) {
    const struct tide_option *o = &tide_source_keys[i];
    struct tide_error error = {0};
    struct tide_option_value value;
    int row = tide_source_key_inherits((enum tide_source_key)i);
    if (row >= 0) { /* the two have one type, and what the option admits the key admits */
      assert_int_equal(o->type, tide_options[row].type);
      assert_true(o->lo <= tide_options[row].lo && o->hi >= tide_options[row].hi);
    } else if (o->dflt) {
      if (tide_option_parse(o, tide_span_of(o->dflt), &value, &error) != TIDE_OK) fail_msg("default of %s: %s", o->name, error.text);
      struct tide_buf text = TIDE_BUF_INIT;
      tide_option_format(o, value, &text);
      assert_string_equal(tide_buf_cstr(&text), o->dflt);
      tide_buf_release(&text);
    }
    assert_true(o->lo <= o->hi);
    assert_true(strlen(o->help) > 10 && o->help[strlen(o->help) - 1] != '.' && !strchr(o->help, '|'));
    assert_int_equal(o->words != NULL, o->type == TIDE_OPTION_CHOICE);
    assert_null(strchr(o->name, '.')); /* --set splits at the last dot */
    assert_int_equal(tide_source_key_find(tide_span_of(o->name)), i);
    assert_false(o->reloadable);
  }
  assert_int_equal(tide_source_key_find(TIDE_SPAN("topi")), -1);
  /* No option's variable or name is taken for one of these. */
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) {
    assert_string_not_equal(tide_options[i].section, "sources");
    assert_string_not_equal(tide_options[i].section, "kafka");
  }
}

static void a_source_has_its_defaults(void **state) {
  (void)state;
  struct tide_config *c = load(BASE "sources:\n  auths: {topic: t}\nfold: {out_of_orderness: 7s}\n", NULL, NULL, 0);
  assert_int_equal(c->source_count, 1);
  const struct tide_config_source *s = &c->source[0];
  assert_string_equal(s->name, "auths");
  assert_int_equal(s->number, tide_source_number(TIDE_SPAN("auths")));
  assert_string_equal(s->topic, "t");
  assert_string_equal(s->input, "default");
  assert_int_equal(s->format, TIDE_SOURCE_FORMAT_json);
  assert_string_equal(s->schemas, "");
  assert_true(s->gates);
  assert_int_equal(s->key, TIDE_SOURCE_KEY_none);
  assert_int_equal(s->out_of_orderness_ms, 7000); /* of fold */
  assert_int_equal(s->silence_ms, 30000);
  assert_true(s->start_ms == TIDE_START_FIRST);
  assert_int_equal(s->line, 4);
  assert_int_equal(s->origin[TIDE_SOURCE_ROW_topic].from, TIDE_FROM_FILE);
  assert_int_equal(s->origin[TIDE_SOURCE_ROW_topic].line, 4);
  assert_int_equal(s->origin[TIDE_SOURCE_ROW_silence].from, TIDE_FROM_DEFAULT);
  tide_config_free(c);
  c = load("", NULL, NULL, 0);
  assert_int_equal(c->source_count, 0);
  assert_int_equal(c->kafka_count, 0);
  tide_config_free(c);
  tide_config_free(load("sources:\nkafka:\n  # all commented out\n", NULL, NULL, 0));
}

static void sources_come_from_three_places(void **state) {
  (void)state;
  static const char text[] = BASE "sources:\n"
                                  "  eu-auths.v2: {topic: a, input: auths, gates: false, key: card, silence: 1m, start: last}\n"
                                  "  labels:\n    topic: l\n    format: avro\n    schemas: http://registry:8081\n"
                                  "    start: 2026-01-31T00:00:00Z\n    out_of_orderness: 0ms\n";
  static const char *const environment[] = {"TIDEMARK_SOURCES_EU_AUTHS_V2_TOPIC=a2", "TIDEMARK_SOURCES_EU_AUTHS_V2_INPUT=auths2",
                                            "TIDEMARK_SOURCES_LABELS_GATES=false", NULL};
  static const char *const set[] = {"sources.eu-auths.v2.topic=a3", "sources.rates.topic=r", "sources.rates.silence=1d"};
  struct tide_config *c = load(text, environment, set, 3);
  assert_int_equal(c->source_count, 3);
  for (size_t i = 1; i < 3; i++) assert_true(strcmp(c->source[i - 1].name, c->source[i].name) < 0);
  const struct tide_config_source *s = source(c, "eu-auths.v2");
  assert_string_equal(s->topic, "a3");
  assert_string_equal(s->input, "auths2");
  assert_false(s->gates);
  assert_int_equal(s->key, TIDE_SOURCE_KEY_card);
  assert_int_equal(s->silence_ms, 60000);
  assert_true(s->start_ms == TIDE_START_LAST);
  assert_int_equal(s->origin[TIDE_SOURCE_ROW_topic].from, TIDE_FROM_SET);
  assert_int_equal(s->origin[TIDE_SOURCE_ROW_input].from, TIDE_FROM_ENVIRONMENT);
  s = source(c, "labels");
  assert_int_equal(s->format, TIDE_SOURCE_FORMAT_avro);
  assert_string_equal(s->schemas, "http://registry:8081");
  assert_true(s->start_ms == INT64_C(1769817600000));
  assert_int_equal(s->out_of_orderness_ms, 0);
  assert_false(s->gates);
  s = source(c, "rates");
  assert_string_equal(s->topic, "r");
  assert_int_equal(s->line, 0);
  struct tide_buf out = TIDE_BUF_INIT;
  tide_config_print(c, false, &out);
  assert_non_null(strstr(tide_buf_cstr(&out), "\n  eu-auths.v2:\n    topic: a3                            # --set\n"));
  assert_non_null(strstr(out.ptr, "\n    input: auths2                        # environment TIDEMARK_SOURCES_EU_AUTHS_V2_INPUT\n"));
  assert_non_null(strstr(out.ptr, "\n    silence: 1m                          # t.yaml:4\n"));
  assert_non_null(strstr(out.ptr, "\n    out_of_orderness: 2s                 # fold.out_of_orderness\n"));
  assert_non_null(strstr(out.ptr, "\n    start: 2026-01-31T00:00:00.000Z"));
  tide_buf_release(&out);
  tide_config_free(c);
}

static void settings_come_from_three_places(void **state) {
  (void)state;
  static const char text[] = "kafka:\n  bootstrap.servers: k1:9092,k2:9092\n  linger.ms: 5\n  ssl.ca.pem: \"a\\nb\\n\"\n"
                             "  sasl.password_file: /p\n  sasl.username_file: /u\n  retries: '3'\n";
  static const char *const environment[] = {"TIDEMARK_KAFKA_LINGER_MS=6", "TIDEMARK_KAFKA_SASL_PASSWORD=hunter2",
                                            "TIDEMARK_KAFKA_SSL_KEY_PASSWORD_FILE=/kp", "TIDEMARK_KAFKA_CLIENT_ID=x", NULL};
  static const char *const set[] = {"kafka.linger.ms=7", "kafka.sasl.username=me", "kafka.ssl.key.pem_file=/k=1"};
  struct tide_config *c = load(text, environment, set, 3);
  static const struct {
    const char *name, *value, *file;
    bool secret;
    enum tide_config_from from;
  } expect[] = {{"bootstrap.servers", "k1:9092,k2:9092", NULL, false, TIDE_FROM_FILE},
                {"client.id", "x", NULL, false, TIDE_FROM_ENVIRONMENT},
                {"linger.ms", "7", NULL, false, TIDE_FROM_SET},
                {"retries", "3", NULL, false, TIDE_FROM_FILE},
                {"sasl.password", "hunter2", NULL, true, TIDE_FROM_ENVIRONMENT}, /* over the file that the YAML names */
                {"sasl.username", "me", NULL, false, TIDE_FROM_SET},
                {"ssl.ca.pem", "a\nb\n", NULL, false, TIDE_FROM_FILE},
                {"ssl.key.password", NULL, "/kp", true, TIDE_FROM_ENVIRONMENT},
                {"ssl.key.pem", NULL, "/k=1", true, TIDE_FROM_SET}};
  size_t count = sizeof expect / sizeof expect[0];
  assert_int_equal(c->kafka_count, count);
  for (size_t i = 0; i < count; i++) {
    const struct tide_config_kafka *k = &c->kafka[i];
    assert_string_equal(k->name, expect[i].name);
    assert_int_equal(k->value != NULL, expect[i].value != NULL);
    assert_int_equal(k->file != NULL, expect[i].file != NULL);
    if (k->value) assert_string_equal(k->value, expect[i].value);
    if (k->file) assert_string_equal(k->file, expect[i].file);
    assert_int_equal(k->secret, expect[i].secret);
    assert_int_equal(k->origin.from, expect[i].from);
  }
  struct tide_buf out = TIDE_BUF_INIT;
  tide_config_print(c, true, &out);
  assert_null(strstr(tide_buf_cstr(&out), "hunter2"));
  assert_non_null(
      strstr(out.ptr, "\n  # sasl.password: set                   # environment TIDEMARK_KAFKA_SASL_PASSWORD; a secret is not printed\n"));
  assert_non_null(strstr(out.ptr, "\n  ssl.key.password_file: /kp             # environment TIDEMARK_KAFKA_SSL_KEY_PASSWORD_FILE\n"));
  assert_non_null(strstr(out.ptr, "\n  linger.ms: 7                           # --set\n"));
  assert_non_null(strstr(out.ptr, "\n  bootstrap.servers: \"k1:9092,k2:9092\"   # t.yaml:2\n"));
  /* It loads again, but for the secret. */
  struct tide_config *again = load(tide_buf_cstr(&out), NULL, NULL, 0);
  struct tide_config_diff diff = tide_config_diff(c, again);
  assert_int_equal(diff.count, 1);
  assert_string_equal(diff.first_other, "kafka.sasl.password");
  assert_string_equal(setting(again, "ssl.ca.pem")->value, "a\nb\n");
  tide_buf_release(&out);
  tide_config_free(again);
  tide_config_free(c);
}

static void what_is_printed_loads_again(void **state) {
  (void)state;
  static const char *const words[] = {"1", "true", "null", "1.5", "a-b", "no", "0x1", "A_b.c", "9e9"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    char text[512];
    snprintf(
        text, sizeof text,
        BASE
        "sources:\n  '%s': {topic: '%s', input: '%s', format: avro, schemas: '/x y#%s: [', start: last, key: card}\n  z: {topic: zz}\n",
        words[i], words[i], words[i], words[i]);
    char client[64];
    snprintf(client, sizeof client, "kafka.client.id=%s # : [", words[i]);
    const char *set[] = {client};
    struct tide_config *first = load(text, NULL, set, 1);
    for (int describe = 0; describe < 2; describe++) {
      struct tide_buf out = TIDE_BUF_INIT;
      tide_config_print(first, describe, &out);
      struct tide_config *second = load(tide_buf_cstr(&out), NULL, NULL, 0);
      struct tide_config_diff diff = tide_config_diff(first, second);
      if (diff.count) fail_msg("%s: %s differs", words[i], diff.row_count ? tide_options[diff.row[0]].name : diff.first_other);
      assert_string_equal(source(second, words[i])->topic, words[i]);
      tide_config_free(second);
      tide_buf_release(&out);
    }
    tide_config_free(first);
  }
}

static void mistakes_are_told_with_their_place(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum tide_err err;
    int line, column;
    const char *says;
  } cases[] = {
      {"sources: 5\n", TIDE_E_TYPE, 1, 10, "sources is a section"},
      {"sources: [a]\n", TIDE_E_TYPE, 1, 10, "sources is a section"},
      {"source:\n  a: {}\n", TIDE_E_UNKNOWN_NAME, 1, 1, "did you mean sources?"},
      {"kafkaa: {a: b}\n", TIDE_E_UNKNOWN_NAME, 1, 1, "did you mean kafka?"},
      {"sources:\n  a: t\n", TIDE_E_TYPE, 2, 6, "sources.a must be a mapping of its keys"},
      {"sources:\n  a:\n    topik: t\n", TIDE_E_UNKNOWN_NAME, 3, 5, "did you mean topic?"},
      {"sources:\n  a:\n    zzzzzzzzz: t\n", TIDE_E_UNKNOWN_NAME, 3, 5, "REFERENCE.md"},
      {"sources:\n  a:\n    input: x\n", TIDE_E_CONFIG, 2, 3, "sources.a needs `topic:`"},
      {"sources:\n  a:\n", TIDE_E_CONFIG, 2, 3, "sources.a needs `topic:`"},
      {"sources:\n  a: {topic: }\n", TIDE_E_TYPE, 2, 14, "sources.a.topic takes the name of a Kafka topic"},
      {"sources:\n  a: {topic: [t]}\n", TIDE_E_TYPE, 2, 14, "not a list"},
      {"sources:\n  a: {topic: ''}\n", TIDE_E_RANGE, 2, 15, "1 to 249"},
      {"sources:\n  a: {topic: 'a b'}\n", TIDE_E_SYNTAX, 2, 15, "sources.a.topic takes"},
      {"sources:\n  a: {topic: t, silence: 10}\n", TIDE_E_SYNTAX, 2, 26, "as in 100ms"},
      {"sources:\n  a: {topic: t, silence: 999ms}\n", TIDE_E_RANGE, 2, 26, "must be 1s to 1d"},
      {"sources:\n  a: {topic: t, start: middle}\n", TIDE_E_SYNTAX, 2, 24, "first or last (in the log)"},
      {"sources:\n  a: {topic: t, key: pan}\n", TIDE_E_SYNTAX, 2, 22, "must be one of none, card"},
      {"sources:\n  a: {topic: t, out_of_orderness: }\n", TIDE_E_TYPE, 2, 35, "leave the line out for the default, fold.out_of_orderness"},
      {"sources:\n  a/b: {topic: t}\n", TIDE_E_SYNTAX, 2, 3, "the name of a source takes letters"},
      {"sources:\n  '': {topic: t}\n", TIDE_E_RANGE, 2, 3, "the name of a source has 0 bytes"},
      {"sources:\n  a: {topic: t}\n  a: {topic: u}\n", TIDE_E_DUPLICATE_KEY, 3, 3, "already in line 2"},
      {"kafka: a\n", TIDE_E_TYPE, 1, 8, "kafka is a section"},
      {"kafka:\n  bootstrap: {servers: k}\n", TIDE_E_TYPE, 2, 14, "stand in one word, like `bootstrap.servers:`"},
      {"kafka:\n  linger.ms:\n", TIDE_E_TYPE, 2, 13, "kafka.linger.ms takes a text, not nothing"},
      {"kafka:\n  linger.ms: ''\n", TIDE_E_RANGE, 2, 14, "leave it out for the client's default"},
      {"kafka:\n  Linger.ms: 5\n", TIDE_E_SYNTAX, 2, 14, "small letters"},
      {"kafka:\n  _file: 5\n", TIDE_E_SYNTAX, 2, 10, "small letters"},
      {"kafka:\n  client.id: \"a\\x01\"\n", TIDE_E_SYNTAX, 2, 14, "control characters"},
      {"kafka:\n  client.id: a\n  client.id_file: b\n", TIDE_E_DUPLICATE_KEY, 3, 19, "kafka.client.id is given twice"},
      {"kafka:\n  sasl.password: x\n", TIDE_E_CONFIG, 2, 18, "its path as kafka.sasl.password_file"},
      {"kafka:\n  metadata.broker.list: x\n", TIDE_E_CONFIG, 2, 25, "write bootstrap.servers"},
      /* What contradicts something else. */
      {"dead_letters: {file: d}\nsources:\n  a: {topic: t}\n", TIDE_E_CONFIG, 3, 3, "sources need it: the brokers"},
      {"kafka: {bootstrap.servers: k}\nsources:\n  a: {topic: t}\n", TIDE_E_CONFIG, 3, 3, "must go somewhere"},
      {BASE "sources:\n  b: {topic: t}\n  a: {topic: t}\n", TIDE_E_CONFIG, 5, 14, "sources.a and sources.b read the same topic"},
      {BASE "sources:\n  a: {topic: t, format: avro}\n", TIDE_E_CONFIG, 4, 25, "needs `schemas:`"},
      {BASE "sources:\n  a: {topic: t, schemas: /s}\n", TIDE_E_CONFIG, 4, 26, "for format avro only"},
      {BASE "sources:\n  a: {topic: t, format: avro, schemas: 'http://u:p@h/'}\n", TIDE_E_CONFIG, 4, 40,
       "must not hold a user or password"},
      {BASE "sources:\n  a: {topic: t}\nscores: {topic: t}\n", TIDE_E_CONFIG, 4, 14, "reads scores.topic"},
      {"{kafka: {bootstrap.servers: k}, sources: {a: {topic: t}}, dead_letters: {topic: t}}\n", TIDE_E_CONFIG, 1, 54,
       "come again for ever"},
      {BASE "sources:\n  a: {topic: t}\nengine: {heartbeat: 0s}\n", TIDE_E_CONFIG, 5, 21, "must tell that it is there"},
      {BASE "sources:\n  a: {topic: t}\ningest: {claim_timeout: 1s}\n", TIDE_E_CONFIG, 5, 25, "not above engine.heartbeat"},
      {BASE "sources:\n  a: {topic: t}\nengine: {heartbeat: 3s}\n", TIDE_E_CONFIG, 5, 21, "not above engine.heartbeat"},
      {BASE "sources:\n  auths: {topic: t}\nhttp: {log: kafka, log_source: auth}\n", TIDE_E_CONFIG, 5, 32, "did you mean auths?"},
      {BASE "sources:\n  a: {topic: t, input: x}\nhttp: {log: kafka, log_source: a}\n", TIDE_E_CONFIG, 5, 32, "by the shape `default`"},
      {BASE "sources:\n  a: {topic: t, format: avro, schemas: s}\nhttp: {log: kafka, log_source: a}\n", TIDE_E_CONFIG, 5, 32,
       "is not JSON"},
      {BASE "sources:\n  a: {topic: t, key: card}\nhttp: {log: kafka, log_source: a}\n", TIDE_E_CONFIG, 5, 32,
       "do not bear the producers' keys"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_error error[ERRORS];
    size_t count = refuse(cases[i].text, NULL, NULL, 0, error);
    if (error[0].code != cases[i].err || count != 1 || error[0].line != cases[i].line || error[0].column != cases[i].column ||
        !strstr(error[0].text, cases[i].says))
      fail_msg("case %zu: %s, %zu at %d:%d: %s", i, tide_err_name(error[0].code), count, error[0].line, error[0].column, error[0].text);
  }
  /* What agrees is not refused. */
  tide_config_free(load(BASE "sources: {a: {topic: t}}\nhttp: {log: kafka, log_source: a}\njournal: {kind: redis}\n", NULL, NULL, 0));
  tide_config_free(load(BASE "sources: {a: {topic: t, format: avro, schemas: 'http://h/p@q'}}\n", NULL, NULL, 0));
  tide_config_free(load("scores: {file: s}\ndead_letters: {file: d}\n", NULL, NULL, 0));
}

static void mistakes_of_the_other_places(void **state) {
  (void)state;
  static const char *const environment[] = {"TIDEMARK_SOURCES_AUTHS_TOPIK=secret",
                                            "TIDEMARK_SOURCES_RATES_TOPIC=secret", /* --set alone makes it */
                                            "TIDEMARK_SOURCES_AUTHS_SILENCE=secret",
                                            "TIDEMARK_SOURCES_A_B_TOPIC=secret",
                                            "TIDEMARK_KAFKA_=secret",
                                            "TIDEMARK_KAFKA_linger_ms=secret",
                                            "TIDEMARK_KAFKA_CLIENT_ID=",
                                            "TIDEMARK_KAFKA_SASL_PASSWORD=secret\x01",
                                            NULL};
  static const char *const set[] = {"sources.rates.topic=r",      "sources.x=1",
                                    "sources.auths.topik=1",      "sources.auths.silence=1",
                                    "sources.auths.key=card",     "sources.auths.key=card",
                                    "sources.a/b.topic=t",        "kafka.=1",
                                    "kafka.sasl.password=secret", "kafka.client.rack=a",
                                    "kafka.client.rack=b"};
  static const char *const says[] = {
      "TIDEMARK_SOURCES_AUTHS_TOPIK: no source of the file has this name and key",
      "TIDEMARK_SOURCES_RATES_TOPIC: no source of the file",
      "TIDEMARK_SOURCES_AUTHS_SILENCE: its value does not fit sources.auths.silence, which takes a whole number and ms, s, m, h or d, as in 100ms: 1s to 1d",
      "could mean sources.a-b.topic and sources.a.b.topic: use --set",
      "environment TIDEMARK_KAFKA_: the name of a Kafka setting",
      "environment TIDEMARK_KAFKA_linger_ms: the name of a Kafka setting",
      "environment TIDEMARK_KAFKA_CLIENT_ID: kafka.client.id has 0 bytes",
      "kafka.sasl.password must be UTF-8 without control characters",
      "--set takes sources.NAME.KEY=VALUE",
      "--set: a source has no key topik (sources.auths): did you mean topic?",
      "--set: sources.auths.silence takes a whole number and ms",
      "--set sources.auths.key is given twice",
      "--set: the name of a source takes letters",
      "--set: the name of a Kafka setting",
      "--set: kafka.sasl.password is a secret",
      "--set: kafka.client.rack is given twice"};
  struct tide_error error[ERRORS];
  size_t count =
      refuse("sources: {auths: {topic: a}, a-b: {topic: b}, a.b: {topic: c}}\n", environment, set, sizeof set / sizeof set[0], error);
  for (size_t i = 0; i < count; i++) {
    if (i < sizeof says / sizeof says[0] && !strstr(error[i].text, says[i])) fail_msg("%zu: %s", i, error[i].text);
    assert_null(strstr(error[i].text, "secret\x01"));
    assert_null(strstr(error[i].text, "=secret"));
  }
  assert_int_equal(count, sizeof says / sizeof says[0]);
}

static void two_names_with_one_number(void **state) {
  (void)state;
  assert_int_equal(tide_source_number(TIDE_SPAN("")), 1 + 2166136261u % 65535u);
  assert_int_equal(tide_source_number(TIDE_SPAN("a")), 1 + 0xe40c292cu % 65535u); /* FNV-1a of "a", from its authors' test vectors */
  /* Names s0, s1, ... until one has the number of another. */
  static int first[65536];
  for (int i = 1; i <= 65536; i++) {
    char name[16];
    int len = snprintf(name, sizeof name, "s%d", i);
    uint16_t number = tide_source_number((struct tide_span){name, (size_t)len});
    assert_true(number >= 1);
    if (!first[number]) {
      first[number] = i;
      continue;
    }
    char text[256];
    snprintf(text, sizeof text, BASE "sources:\n  s%d: {topic: a}\n  s%d: {topic: b}\n", i, first[number]);
    struct tide_error error[ERRORS];
    assert_int_equal(refuse(text, NULL, NULL, 0, error), 1);
    assert_int_equal(error[0].line, 5);
    assert_non_null(strstr(error[0].text, "rename one of them"));
    return;
  }
  fail_msg("65,536 names have 65,536 numbers");
}

static void limits_hold(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_str(&text, BASE "sources:\n");
  for (int i = 0; i < TIDE_SOURCES_MAX; i++) tide_buf_printf(&text, "  s%d: {topic: t%d}\n", i, i);
  struct tide_config *c = load(tide_buf_cstr(&text), NULL, NULL, 0);
  assert_int_equal(c->source_count, TIDE_SOURCES_MAX);
  tide_config_free(c);
  static const char *const set[] = {"sources.more.topic=x"};
  struct tide_error error[ERRORS];
  assert_int_equal(refuse(text.ptr, NULL, set, 1, error), 1);
  assert_int_equal(error[0].code, TIDE_E_LIMIT);
  tide_buf_clear(&text);
  tide_buf_str(&text, "kafka:\n");
  for (int i = 0; i < TIDE_KAFKA_SETTINGS_MAX; i++) tide_buf_printf(&text, "  s%d: %d\n", i, i);
  c = load(tide_buf_cstr(&text), NULL, NULL, 0);
  assert_int_equal(c->kafka_count, TIDE_KAFKA_SETTINGS_MAX);
  tide_config_free(c);
  tide_buf_str(&text, "  more: x\n");
  assert_int_equal(refuse(tide_buf_cstr(&text), NULL, NULL, 0, error), 1);
  assert_int_equal(error[0].code, TIDE_E_LIMIT);
  tide_buf_release(&text);
}

/* Names of librdkafka 2.0 and misspelt ones. */
static void secrets_are_known_by_their_names(void **state) {
  (void)state;
  static const char *const secret[] = {
      "sasl.password",           "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",   "sasl.oauthbearer.client.secret",
      "sasl.oauthbearer.config", "sasl.pasword",     "sasl.passwd",           "sasl.passwort", "password",
      "sasl.jaas.config"};
  static const char *const open[] = {"bootstrap.servers",   "sasl.username",           "ssl.ca.pem",
                                     "ssl.certificate.pem", "ssl.key.location",        "socket.keepalive.enable",
                                     "sasl.mechanisms",     "sasl.kerberos.principal", "sasl.oauthbearer.token.endpoint.url",
                                     "partitioner",         "security.protocol",       "queue.buffering.max.ms"};
  for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
    if (!tide_kafka_is_secret(tide_span_of(secret[i]))) fail_msg("%s is a secret", secret[i]);
  for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
    if (tide_kafka_is_secret(tide_span_of(open[i]))) fail_msg("%s is no secret", open[i]);
}

static void note(void *ctx, const char *name, const char *was, const char *is) {
  tide_buf_printf(ctx, "%s: %s -> %s\n", name, was ? was : "-", is ? is : "-");
}

static void differences_are_told(void **state) {
  (void)state;
  static const char *const pass1[] = {"TIDEMARK_KAFKA_SASL_PASSWORD=one", NULL}, *const pass2[] = {"TIDEMARK_KAFKA_SASL_PASSWORD=two",
                                                                                                   NULL};
  struct tide_config *a = load(BASE "sources: {x: {topic: x}, y: {topic: y}}\n", pass1, NULL, 0);
  struct tide_config *same = load("sources:\n  y: {topic: y, gates: true}\n  x: {topic: x, silence: 30s}\n" BASE, pass1, NULL, 0);
  struct tide_config *b = load("sources: {x: {topic: x, silence: 31s}, z: {topic: z}}\ndead_letters: {file: e}\n"
                               "kafka: {bootstrap.servers_file: k, linger.ms: 5}\n",
                               pass2, NULL, 0);
  struct tide_config_diff diff = tide_config_diff(a, same);
  assert_int_equal(diff.count, 0); /* order and what is written out are no difference */
  struct tide_error error = {0};
  assert_int_equal(tide_config_diff_check(&diff, &error), TIDE_OK);
  diff = tide_config_diff(a, b);
  assert_int_equal(diff.row_count, 1);
  assert_int_equal(diff.count, 7);
  assert_int_equal(diff.fixed_count, 7);
  assert_string_equal(diff.first_other, "sources.x.silence");
  assert_int_equal(tide_config_diff_check(&diff, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "restart: dead_letters.file, sources.x.silence"));
  struct tide_buf told = TIDE_BUF_INIT;
  tide_config_diff_others(a, b, note, &told);
  assert_string_equal(tide_buf_cstr(&told), "sources.x.silence: 30s -> 31s\nsources.y: y -> -\nsources.z: - -> z\n"
                                            "kafka.bootstrap.servers: k -> k\nkafka.linger.ms: - -> 5\nkafka.sasl.password: set -> set\n");
  tide_buf_release(&told);
  tide_config_free(a);
  tide_config_free(same);
  tide_config_free(b);
}

static void every_key_alone_makes_a_difference(void **state) {
  (void)state;
  /* Avro, so that format and schemas can change at all. */
  static const char base[] = BASE "sources: {s: {topic: t, format: avro, schemas: a}}\n";
  for (int i = 0; i < TIDE_SOURCE_KEY_COUNT; i++) {
    static const char *const other[TIDE_SOURCE_KEY_COUNT] = {[TIDE_SOURCE_ROW_topic] = "u",
                                                             [TIDE_SOURCE_ROW_input] = "x",
                                                             [TIDE_SOURCE_ROW_format] = "json",
                                                             [TIDE_SOURCE_ROW_schemas] = "b",
                                                             [TIDE_SOURCE_ROW_gates] = "false",
                                                             [TIDE_SOURCE_ROW_key] = "card",
                                                             [TIDE_SOURCE_ROW_out_of_orderness] = "1h",
                                                             [TIDE_SOURCE_ROW_silence] = "1d",
                                                             [TIDE_SOURCE_ROW_start] = "last"};
    assert_non_null(other[i]);
    char set[2][64];
    snprintf(set[0], sizeof set[0], "sources.s.%s=%s", tide_source_keys[i].name, other[i]);
    snprintf(set[1], sizeof set[1], "sources.s.schemas=");
    const char *sets[] = {set[0], set[1]};
    bool json = i == TIDE_SOURCE_ROW_format; /* has no schemas */
    struct tide_config *a = load(base, NULL, NULL, 0), *b = load(base, NULL, sets, json ? 2 : 1);
    struct tide_config_diff diff = tide_config_diff(a, b);
    char name[64];
    snprintf(name, sizeof name, "sources.s.%s", tide_source_keys[i].name);
    assert_int_equal(diff.count, json ? 2 : 1);
    assert_int_equal(diff.fixed_count, diff.count);
    assert_string_equal(diff.first_other, name);
    tide_config_free(a);
    tide_config_free(b);
  }
}

static void write_file(const char *path, struct tide_span bytes) {
  FILE *out = fopen(path, "we");
  assert_non_null(out);
  assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, out), bytes.len);
  assert_int_equal(fclose(out), 0);
}

static void values_are_read_from_files(void **state) {
  (void)state;
  char *dir = test_dir("kafka"), path[512], set[600];
  snprintf(path, sizeof path, "%s/password", dir);
  snprintf(set, sizeof set, "kafka.sasl.password_file=%s", path);
  const char *sets[] = {set, "kafka.bootstrap.servers=k"};
  struct tide_config *c = load("", NULL, sets, 2);
  struct tide_kafka_settings settings, *untouched = &settings;
  struct tide_error error = {0};
  memset(&settings, 7, sizeof settings);
  assert_int_equal(tide_kafka_settings_read(c->kafka, c->kafka_count, untouched, &error), TIDE_E_CONFIG); /* not there */
  assert_int_equal(settings.setting[0].name == NULL, false);
  assert_non_null(strstr(error.text, "cannot read kafka.sasl.password_file"));
  static const struct {
    struct tide_span bytes;
    const char *value;
  } good[] = {{TIDE_SPAN("hunter2"), "hunter2"},
              {TIDE_SPAN("hunter2\n"), "hunter2"},
              {TIDE_SPAN("hunter2\r\n"), "hunter2"},
              {TIDE_SPAN(" a\nb \n\n"), " a\nb \n"}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    write_file(path, good[i].bytes);
    assert_int_equal(tide_kafka_settings_read(c->kafka, c->kafka_count, &settings, &error), TIDE_OK);
    assert_int_equal(settings.count, 2);
    assert_string_equal(settings.setting[0].name, "bootstrap.servers");
    assert_string_equal(settings.setting[0].value, "k");
    assert_string_equal(settings.setting[1].name, "sasl.password");
    assert_string_equal(settings.setting[1].value, good[i].value);
    tide_kafka_settings_release(&settings);
    assert_int_equal(settings.count, 0);
  }
  char *long_one = tide_alloc(TIDE_KAFKA_VALUE_MAX + 10);
  memset(long_one, 'x', TIDE_KAFKA_VALUE_MAX + 10);
  write_file(path, (struct tide_span){long_one, TIDE_KAFKA_VALUE_MAX});
  assert_int_equal(tide_kafka_settings_read(c->kafka, c->kafka_count, &settings, &error), TIDE_OK);
  assert_int_equal(strlen(settings.setting[1].value), TIDE_KAFKA_VALUE_MAX);
  tide_kafka_settings_release(&settings);
  const struct tide_span bad[] = {
      TIDE_SPAN(""), TIDE_SPAN("\n"), TIDE_SPAN("hun\0ter2"), {long_one, TIDE_KAFKA_VALUE_MAX + 1}, {long_one, TIDE_KAFKA_VALUE_MAX + 10}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    write_file(path, bad[i]);
    assert_int_equal(tide_kafka_settings_read(c->kafka, c->kafka_count, &settings, &error), TIDE_E_CONFIG);
    assert_non_null(strstr(error.text, "must hold the value of sasl.password: 1 to 65536 bytes of text"));
    assert_null(strstr(error.text, "ter2"));
  }
  tide_free(long_one);
  tide_config_free(c);
  assert_int_equal(unlink(path), 0);
  test_dir_remove(dir);
  tide_free(dir);
}

static void every_key_is_documented(void **state) {
  (void)state;
  struct tide_buf page = TIDE_BUF_INIT, line = TIDE_BUF_INIT;
  tide_sources_document(&page);
  tide_buf_cstr(&page);
  for (int i = 0; i < TIDE_SOURCE_KEY_COUNT; i++) {
    const struct tide_option *o = &tide_source_keys[i];
    tide_buf_clear(&line);
    tide_buf_printf(&line, "\n| `%s` | %s | ", o->name, tide_option_type_name((enum tide_option_type)o->type));
    const char *at = strstr(page.ptr, tide_buf_cstr(&line));
    if (!at) fail_msg("%s", line.ptr);
    const char *end = strchr(at + 1, '\n'), *help = strstr(at, o->help);
    assert_true(help && help < end);
  }
  assert_non_null(strstr(page.ptr, "| `topic` | topic | must be given | 1 to 249 bytes |"));
  assert_non_null(strstr(page.ptr, "| `out_of_orderness` | duration | that of `fold.out_of_orderness` | 0s to 1h |"));
  tide_buf_release(&page);
  tide_buf_release(&line);
}

static void the_example_loads(void **state) {
  (void)state;
  struct tide_config_input input = {.path = "config/kafka.yaml"};
  struct tide_config *c;
  struct tide_error error = {0};
  if (tide_config_load(&input, &c, &error, 1, NULL) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  static const char *const names[] = {"auths", "http", "labels", "outcomes", "rates"};
  assert_int_equal(c->source_count, 5);
  for (int i = 0; i < 5; i++) assert_string_equal(c->source[i].name, names[i]);
  assert_int_equal(source(c, "auths")->key, TIDE_SOURCE_KEY_card);
  assert_false(source(c, "labels")->gates);
  assert_string_equal(source(c, "outcomes")->input, "outcomes");
  assert_int_equal(c->http_log, TIDE_HTTP_LOG_kafka);
  assert_string_equal(setting(c, "sasl.password")->file, "/etc/tidemark/kafka.password");
  tide_config_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_key_is_sane),
      cmocka_unit_test(a_source_has_its_defaults),
      cmocka_unit_test(sources_come_from_three_places),
      cmocka_unit_test(settings_come_from_three_places),
      cmocka_unit_test(what_is_printed_loads_again),
      cmocka_unit_test(mistakes_are_told_with_their_place),
      cmocka_unit_test(mistakes_of_the_other_places),
      cmocka_unit_test(two_names_with_one_number),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(secrets_are_known_by_their_names),
      cmocka_unit_test(differences_are_told),
      cmocka_unit_test(every_key_alone_makes_a_difference),
      cmocka_unit_test(values_are_read_from_files),
      cmocka_unit_test(every_key_is_documented),
      cmocka_unit_test(the_example_loads),
  };
  return cmocka_run_group_tests_name("config_sources", tests, NULL, NULL);
}
