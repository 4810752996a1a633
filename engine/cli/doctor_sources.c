/* Sources as the doctor sees them (doctor_sources.h).
 *
 * First what can be said without a broker: names that the two files do not share, settings that are refused, a token file that is none. Then the cluster. The
 * clients that serving would open are opened once and closed again: what they refuse is told in their own words. */
#include "cli/doctor_sources.h"

#include <stdio.h>

#include "adapter/outlet_kafka.h"
#include "adapter/source_kafka.h"
#include "cli/serve_source.h"
#include "cli/spec_file.h"
#include "http/token.h"

#define TIMEOUT_MS 5000

static const char *copy_topic(const struct tide_config *config) {
  for (size_t i = 0; config->http_log == TIDE_HTTP_LOG_kafka && i < config->source_count; i++)
    if (strcmp(config->source[i].name, config->http_log_source) == 0) return config->source[i].topic;
  return NULL;
}

static const char *given(const char *text) { return text[0] ? text : NULL; }

static enum tide_err check_files(const struct tide_config *config, struct tide_error *error) {
  struct tide_sources sources;
  struct tide_spec *spec = NULL;
  size_t errors = 0;
  if (!config->features_file[0] || tide_spec_load(config->features_file, &spec, error, 1, &errors) != TIDE_OK)
    return TIDE_OK; /* told already, with its place */
  enum tide_err err = tide_serve_sources(config, spec, &sources, error);
  tide_spec_free(spec);
  return err;
}

static enum tide_err check_clients(const struct tide_config *config, const struct tide_kafka_settings *settings, struct tide_error *error) {
  struct tide_kafka_topic topic[TIDE_SOURCES_MAX];
  struct tide_source *source = NULL;
  struct tide_outlet *outlet = NULL;
  for (size_t i = 0; i < config->source_count; i++) topic[i] = (struct tide_kafka_topic){config->source[i].number, config->source[i].topic};
  struct tide_source_kafka_options in = {
      .topic = topic, .topic_count = config->source_count, .setting = settings->setting, .setting_count = settings->count, .poll_ms = 1};
  struct tide_outlet_kafka_options out = {.topic = {[TIDE_LETTER_SCORE] = given(config->scores_topic),
                                                    [TIDE_LETTER_DEAD] = given(config->dead_letters_topic),
                                                    [TIDE_LETTER_COPY] = copy_topic(config)},
                                          .setting = settings->setting,
                                          .setting_count = settings->count};
  enum tide_err err = tide_source_kafka_open(&in, &source, error);
  if (err == TIDE_OK && !config->scores_file[0] && !config->dead_letters_file[0]) err = tide_outlet_kafka_open(&out, &outlet, error);
  if (source) source->ops->close(source);
  if (outlet) outlet->ops->close(outlet);
  return err;
}

static void check_cluster(const struct tide_config *config, const struct tide_kafka_settings *settings, tide_kafka_finding_fn fn,
                          void *ctx) {
  struct tide_kafka_doctor_topic topic[TIDE_SOURCES_MAX + 3];
  size_t count = 0;
  const char *copies = copy_topic(config);
  for (size_t i = 0; i < config->source_count; i++)
    topic[count++] =
        (struct tide_kafka_doctor_topic){TIDE_KAFKA_SOURCE, config->source[i].name, config->source[i].topic, config->source[i].gates};
  if (config->scores_topic[0]) topic[count++] = (struct tide_kafka_doctor_topic){.role = TIDE_KAFKA_SCORES, .topic = config->scores_topic};
  if (config->dead_letters_topic[0])
    topic[count++] = (struct tide_kafka_doctor_topic){.role = TIDE_KAFKA_DEAD_LETTERS, .topic = config->dead_letters_topic};
  if (copies) topic[count++] = (struct tide_kafka_doctor_topic){.role = TIDE_KAFKA_COPIES, .topic = copies};
  struct tide_kafka_doctor_options options = {.setting = settings->setting,
                                              .setting_count = settings->count,
                                              .topic = topic,
                                              .topic_count = count,
                                              .lateness_ms = config->fold_lateness_ms,
                                              .timeout_ms = TIMEOUT_MS};
  tide_kafka_examine(&options, fn, ctx);
}

void tide_doctor_sources(const struct tide_config *config, tide_kafka_finding_fn fn, void *ctx) {
  struct tide_error error = {0};
  struct tide_tokens *tokens = NULL;
  if (config->http_tokens_file[0] && tide_tokens_read(config->http_tokens_file, &tokens, &error) != TIDE_OK)
    fn(ctx, TIDE_KAFKA_FIX, "token", error.text);
  tide_free(tokens);
  if (!config->source_count) return;
  struct tide_kafka_settings settings;
  if (check_files(config, &error) != TIDE_OK) fn(ctx, TIDE_KAFKA_FIX, "source", error.text);
  if (tide_kafka_settings_read(config->kafka, config->kafka_count, &settings, &error) != TIDE_OK) {
    fn(ctx, TIDE_KAFKA_FIX, "kafka", error.text);
    return;
  }
  if (check_clients(config, &settings, &error) != TIDE_OK) fn(ctx, TIDE_KAFKA_FIX, "kafka", error.text);
  else check_cluster(config, &settings, fn, ctx);
  tide_kafka_settings_release(&settings);
}
