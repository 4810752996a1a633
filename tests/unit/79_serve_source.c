/* The operator's sources against the feature file: what is declared to the cell, and the names that one of the two files does not know. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <librdkafka/rdkafka.h>

#include "adapter/client_kafka.h"
#include "base/source_number.h"
#include "cli/serve_source.h"

#define BASE "kafka: {bootstrap.servers: k}\ndead_letters: {file: d}\n"

static struct tide_config *load(const char *text) {
  struct tide_config_input input = {.path = "t.yaml"};
  struct tide_config *config;
  struct tide_error error = {0};
  if (tide_config_parse(tide_span_of(text), &input, &config, &error, 1, NULL) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  return config;
}

static struct tide_spec *features(const char *freshness) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_printf(&text,
                  "tidemark: 1\nname: small\n"
                  "event: {id: rrn, time: time, key: pan}\n"
                  "inputs:\n"
                  "  default: {time: {at: /at, as: rfc3339}, rrn: /rrn, pan: /pan}\n"
                  "  labels: {when: {/type: label}, type: label, time: {at: /at, as: rfc3339}, rrn: /rrn, pan: /pan, label: /label}\n"
                  "entities: {card: pan}\n"
                  "features: {card: {n: count over 1h}}\n"
                  "freshness: %s\n"
                  "policy: {decisions: [approve, decline], rules: [{else: approve}], fallback: [{else: decline}]}\n",
                  freshness);
  struct tide_spec *spec;
  struct tide_error error = {0};
  if (tide_spec_parse("small", tide_buf_span(&text), &spec, &error, 1, NULL) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  tide_buf_release(&text);
  return spec;
}

static void sources_are_declared(void **state) {
  (void)state;
  struct tide_config *config = load(BASE "sources:\n  labels: {topic: l, input: labels, gates: false, silence: 1d}\n"
                                         "  auths: {topic: a, key: card, out_of_orderness: 3s}\nscores: {file: s, features: all}\n");
  struct tide_spec *spec = features("{card: {budget: 10s, sources: [auths]}}");
  struct tide_sources sources;
  struct tide_error error = {0};
  assert_int_equal(tide_serve_sources(config, spec, &sources, &error), TIDE_OK);
  assert_int_equal(sources.count, 2);
  assert_true(sources.scores && sources.features);
  const struct tide_source_info *auths = &sources.source[0], *labels = &sources.source[1]; /* by name, whatever the file's order */
  assert_string_equal(auths->name, "auths");
  assert_int_equal(auths->number, tide_source_number(TIDE_SPAN("auths")));
  assert_true(auths->gates && auths->keyed);
  assert_int_equal(auths->out_of_orderness_ms, 3000);
  assert_int_equal(auths->silence_ms, 30000);
  assert_string_equal(labels->name, "labels");
  assert_false(labels->gates || labels->keyed);
  assert_int_equal(labels->out_of_orderness_ms, 2000);
  assert_int_equal(labels->silence_ms, 86400000);
  tide_config_free(config);
  /* A topic instead of a file; nothing at all. */
  config = load("kafka: {bootstrap.servers: k}\nscores: {topic: s}\n");
  assert_int_equal(tide_serve_sources(config, spec, &sources, &error), TIDE_OK); /* the feature file's sources are nobody's here */
  assert_int_equal(sources.count, 0);
  assert_true(sources.scores);
  assert_false(sources.features);
  tide_config_free(config);
  config = load("");
  assert_int_equal(tide_serve_sources(config, spec, &sources, &error), TIDE_OK);
  assert_false(sources.scores);
  tide_config_free(config);
  tide_spec_free(spec);
}

static void names_that_do_not_fit_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *sources, *freshness, *says;
  } cases[] = {
      {"auths: {topic: a, input: label}", "{}",
       "sources.auths.input: the feature file has no shape label under `inputs`: did you mean labels?"},
      {"auths: {topic: a, input: authorizations}", "{}", "there are: default, labels"},
      {"auth: {topic: a}", "{card: {sources: [auths]}}",
       "freshness.card.sources names auths, and `sources:` of the operator's file does not: did you mean auth?"},
      {"x: {topic: a}", "{card: {sources: [x, auths]}}", "there are: x"},
      {"x: {topic: a, gates: false}", "{card: {sources: [x]}}", "does not gate: set sources.x.gates to true"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_buf text = TIDE_BUF_INIT;
    tide_buf_printf(&text, BASE "sources:\n  %s\n", cases[i].sources);
    struct tide_config *config = load(tide_buf_cstr(&text));
    struct tide_spec *spec = features(cases[i].freshness);
    struct tide_sources sources = {.count = 77};
    struct tide_error error = {0};
    assert_int_equal(tide_serve_sources(config, spec, &sources, &error), TIDE_E_CONFIG);
    if (!strstr(error.text, cases[i].says)) fail_msg("%zu: %s", i, error.text);
    assert_int_equal(sources.count, 77);
    tide_spec_free(spec);
    tide_config_free(config);
    tide_buf_release(&text);
  }
}

static void the_example_fits_the_shipped_feature_file(void **state) {
  (void)state;
  struct tide_config_input input = {.path = "config/kafka.yaml"};
  struct tide_config *config;
  struct tide_spec *spec;
  struct tide_sources sources;
  struct tide_error error = {0};
  if (tide_config_load(&input, &config, &error, 1, NULL) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  if (tide_spec_load(config->features_file, &spec, &error, 1, NULL) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  if (tide_serve_sources(config, spec, &sources, &error) != TIDE_OK) fail_msg("%s", error.text);
  assert_int_equal(sources.count, 5);
  tide_spec_free(spec);
  /* Its settings are settings of the client. */
  struct tide_kafka_setting setting[TIDE_KAFKA_SETTINGS_MAX];
  for (size_t i = 0; i < config->kafka_count; i++)
    setting[i] = (struct tide_kafka_setting){config->kafka[i].name, config->kafka[i].file ? "of the file" : config->kafka[i].value};
  struct rd_kafka_conf_s *client;
  if (tide_kafka_configure("consumer", NULL, 0, NULL, 0, setting, config->kafka_count, &client, &error) != TIDE_OK)
    fail_msg("%s", error.text);
  rd_kafka_conf_destroy(client);
  tide_config_free(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sources_are_declared),
      cmocka_unit_test(names_that_do_not_fit_are_refused),
      cmocka_unit_test(the_example_fits_the_shipped_feature_file),
  };
  return cmocka_run_group_tests_name("serve_source", tests, NULL, NULL);
}
