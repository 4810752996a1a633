/* Sources and outlets of a serving engine (serve_ingest.h).
 *
 * Every source is read through one client, so all partitions share its queue and its memory; answers, dead letters and copies share one producer. Each
 * source has decoders of its own, because the shape and the format of its messages are its own. */
#include "cli/serve_ingest.h"

#include <stdio.h>

#include "adapter/marks_kafka.h"
#include "adapter/outlet_file.h"
#include "adapter/outlet_kafka.h"
#include "adapter/schemas.h"
#include "adapter/source_kafka.h"
#include "base/log.h"
#include "cli/serve_source.h"

#define POLL_MS 2
#define CATCH_WAIT_MS 10000

/* librdkafka's own lines: what it warns of is worth a line here, the rest only to somebody who looks for it. */
static void client_line(void *ctx, int level, const char *what, const char *text) {
  (void)ctx;
  enum tide_log_level to = level <= 3 ? TIDE_LOG_WARN : level <= 5 ? TIDE_LOG_INFO : TIDE_LOG_DEBUG;
  tide_log(to, "kafka_client", "what=%s text=%s", what, text);
}

static const struct tide_kafka_log client_log = {.line = client_line};

/* Whoever may not write to a topic is told now, and not when an epoch cannot be opened. Brokers that cannot be asked say nothing about that: they are needed later. */
static enum tide_err try_marks(struct tide_serve_ingest *serve, struct tide_error *error) {
  struct tide_place *place = NULL;
  size_t count = 0;
  struct tide_error why = {0};
  enum tide_err err = serve->source->ops->places(serve->source, &place, &count, &why);
  if (err == TIDE_OK) err = tide_kafka_marks_put(serve->marks, place, count, &why);
  tide_free(place);
  if (err == TIDE_E_CONFIG) {
    *error = why;
    return err;
  }
  if (err != TIDE_OK) tide_log(TIDE_LOG_WARN, "marks_untried", "reason=%s", why.text);
  return TIDE_OK;
}

static enum tide_err open_source(const struct tide_config *config, const struct tide_kafka_settings *settings,
                                 struct tide_serve_ingest *serve, struct tide_error *error) {
  struct tide_kafka_topic topic[TIDE_SOURCES_MAX];
  for (size_t i = 0; i < config->source_count; i++)
    topic[i] = (struct tide_kafka_topic){.source = config->source[i].number, .topic = config->source[i].topic};
  struct tide_source_kafka_options options = {.topic = topic,
                                              .topic_count = config->source_count,
                                              .setting = settings->setting,
                                              .setting_count = settings->count,
                                              .poll_ms = POLL_MS,
                                              .log = client_log};
  enum tide_err err = tide_source_kafka_open(&options, &serve->source, error);
  if (err != TIDE_OK || config->ingest_barrier != TIDE_INGEST_BARRIER_marker) return err;
  err = tide_kafka_marks_open(&options, &serve->marks, error);
  return err == TIDE_OK ? try_marks(serve, error) : err;
}

static const char *copy_topic(const struct tide_config *config) {
  for (size_t i = 0; config->http_log == TIDE_HTTP_LOG_kafka && i < config->source_count; i++)
    if (strcmp(config->source[i].name, config->http_log_source) == 0) return config->source[i].topic;
  return NULL;
}

static const char *given(const char *text) { return text[0] ? text : NULL; }

/* Answers and dead letters go to topics, or to files where the cell has no topic for them. */
static enum tide_err open_outlet(const struct tide_config *config, const struct tide_kafka_settings *settings,
                                 struct tide_serve_ingest *serve, struct tide_error *error) {
  bool files = config->scores_file[0] || config->dead_letters_file[0];
  if (files && (config->scores_topic[0] || config->dead_letters_topic[0] || config->http_log == TIDE_HTTP_LOG_kafka))
    return tide_fail(
        error, TIDE_E_CONFIG,
        "answers and dead letters go to topics or to files, not partly: set scores.topic and dead_letters.topic, or scores.file and "
        "dead_letters.file without http.log");
  if (files) {
    struct tide_outlet_file_options options = {
        .path = {[TIDE_LETTER_SCORE] = given(config->scores_file), [TIDE_LETTER_DEAD] = given(config->dead_letters_file)}};
    return tide_outlet_file_open(&options, &serve->outlet, error);
  }
  struct tide_outlet_kafka_options options = {.topic = {[TIDE_LETTER_SCORE] = given(config->scores_topic),
                                                        [TIDE_LETTER_DEAD] = given(config->dead_letters_topic),
                                                        [TIDE_LETTER_COPY] = copy_topic(config)},
                                              .setting = settings->setting,
                                              .setting_count = settings->count,
                                              .log = client_log};
  return tide_outlet_kafka_open(&options, &serve->outlet, error);
}

static enum tide_err add_source(const struct tide_config_source *from, const struct tide_spec *spec, const struct tide_keys *keys,
                                size_t index, struct tide_serve_ingest *serve, struct tide_error *error) {
  bool avro = from->format == TIDE_SOURCE_FORMAT_avro;
  if (avro) {
    struct tide_schemas_options options = {.from = from->schemas};
    enum tide_err err = tide_schemas_open(&options, &serve->schemas[index], error);
    if (err != TIDE_OK) return err;
  }
  serve->from[index] = (struct tide_ingest_source){.number = from->number,
                                                   .name = from->name,
                                                   .gates = from->gates,
                                                   .start_ms = from->start_ms,
                                                   .decode = {.spec = spec,
                                                              .key = keys->has_now ? &keys->now : NULL,
                                                              .key_alt = keys->has_previous ? &keys->previous : NULL,
                                                              .shape = from->input,
                                                              .format = avro ? TIDE_FORMAT_AVRO : TIDE_FORMAT_JSON,
                                                              .schemas = serve->schemas[index]}};
  return TIDE_OK;
}

static uint64_t epoch_known(void *ctx) { return tide_serve_epoch_known(ctx); }

static enum tide_err open_ingest(const struct tide_config *config, const struct tide_spec *spec, struct tide_meter *meter,
                                 struct tide_serve_epoch *epoch, struct tide_serve_ingest *serve, struct tide_error *error) {
  struct tide_ingest_options options = {.source = serve->source,
                                        .outlet = serve->outlet,
                                        .commit = tide_source_kafka_commit,
                                        .at_time = tide_source_kafka_at_time,
                                        .mark = serve->marks ? tide_kafka_marks_put : NULL,
                                        .marks = serve->marks,
                                        .from = serve->from,
                                        .from_count = serve->count,
                                        .spec = spec,
                                        .scores = serve->declared.scores,
                                        .dead_form = (uint8_t)config->dead_letters_form,
                                        .lossy = tide_config_lossy(config),
                                        .epoch_known = epoch ? epoch_known : NULL,
                                        .epoch_ctx = epoch,
                                        .merge = {.merge_wait_ms = config->ingest_merge_wait_ms,
                                                  .by_arrival = config->ingest_order == TIDE_INGEST_ORDER_arrival,
                                                  .catch_wait_ms = CATCH_WAIT_MS,
                                                  .facts_every_ms = 200},
                                        .max_future_skew_ms = config->fold_max_future_skew_ms,
                                        .max_held = (size_t)config->ingest_max_held,
                                        .meter = meter};
  return tide_ingest_new(&options, &serve->ingest, error);
}

enum tide_err tide_serve_ingest_open(const struct tide_config *config, const struct tide_spec *spec, const struct tide_keys *keys,
                                     struct tide_meter *meter, struct tide_serve_epoch *epoch, struct tide_serve_ingest *ret,
                                     struct tide_error *error) {
  *ret = (struct tide_serve_ingest){0};
  if (!config->source_count) return TIDE_OK;
  struct tide_kafka_settings settings;
  enum tide_err err = tide_kafka_settings_read(config->kafka, config->kafka_count, &settings, error);
  if (err != TIDE_OK) return err;
  ret->count = config->source_count;
  ret->from = tide_alloc(ret->count * sizeof *ret->from);
  ret->schemas = tide_alloc(ret->count * sizeof *ret->schemas);
  err = tide_serve_sources(config, spec, &ret->declared, error);
  for (size_t i = 0; i < ret->count && err == TIDE_OK; i++) err = add_source(&config->source[i], spec, keys, i, ret, error);
  if (err == TIDE_OK) err = open_source(config, &settings, ret, error);
  if (err == TIDE_OK) err = open_outlet(config, &settings, ret, error);
  if (err == TIDE_OK) err = open_ingest(config, spec, meter, epoch, ret, error);
  tide_kafka_settings_release(&settings);
  return err;
}

void tide_serve_ingest_close(struct tide_serve_ingest *serve) {
  tide_ingest_free(serve->ingest);
  tide_kafka_marks_close(serve->marks);
  if (serve->source) serve->source->ops->close(serve->source);
  if (serve->outlet) serve->outlet->ops->close(serve->outlet);
  for (size_t i = 0; i < serve->count; i++) tide_schemas_close(serve->schemas[i]);
  tide_free(serve->from);
  tide_free(serve->schemas);
  *serve = (struct tide_serve_ingest){0};
}
