/* What options must agree in (config_load.h): contradictions within the engine's options, and between sources, topics and Kafka settings.
 *
 * They are looked for only where every value by itself is good, and told at the place of the value that is the likelier mistake: the one that
 * was written. */
#include "base/utf8.h"
#include "config/config_load.h"

/* At the place of the row that is the likelier mistake: the one that was written. */
static void contradiction(struct tide_load *load, enum tide_option_row a, enum tide_option_row b, const char *text) {
  const struct tide_config_origin *origin = load->config->origin;
  enum tide_option_row row = origin[a].from >= origin[b].from ? a : b;
  tide_load_mistake(load, TIDE_E_CONFIG, origin[row].line, origin[row].column, tide_options[row].name, "%s", text);
}

static bool is_wildcard(const char *address) { return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0; }

/* USER:PASSWORD@ in front of the host. */
static bool url_has_password(const char *url) {
  const char *host = strstr(url, "://");
  size_t len = host ? strcspn(host + 3, "@/") : 0;
  return host && host[3 + len] == '@' && memchr(host + 3, ':', len) != NULL;
}

#define ROW(name) TIDE_OPTION_ROW_##name
static void check_engine(struct tide_load *load) {
  const struct tide_config *c = load->config;
  if (c->http_default_deadline_ms > c->http_max_deadline_ms)
    contradiction(load, ROW(http_default_deadline), ROW(http_max_deadline),
                  "http.default_deadline is longer than http.max_deadline: lower the one or raise the other");
  if (c->http_batch_deadline_ms > c->http_max_deadline_ms)
    contradiction(load, ROW(http_batch_deadline), ROW(http_max_deadline),
                  "http.batch_deadline is longer than http.max_deadline: lower the one or raise the other");
  if (c->http_max_body_bytes > c->http_max_batch_body_bytes)
    contradiction(load, ROW(http_max_body), ROW(http_max_batch_body),
                  "http.max_body is above http.max_batch_body: a batch could not hold the message that is allowed alone");
  if (c->fold_lateness_ms > c->fold_duplicates_for_ms)
    contradiction(load, ROW(fold_lateness), ROW(fold_duplicates_for),
                  "fold.lateness is longer than fold.duplicates_for: a late event could be counted twice");
  bool same_address = strcmp(c->http_listen, c->http_admin_listen) == 0 || is_wildcard(c->http_listen) || is_wildcard(c->http_admin_listen);
  if (c->http_port != 0 && c->http_port == c->http_admin_port && same_address)
    contradiction(load, ROW(http_port), ROW(http_admin_port),
                  "http.port and http.admin_port are the same: two listeners cannot share one port");
  if (c->keys_development && c->keys_file[0])
    contradiction(load, ROW(keys_development), ROW(keys_file), "keys.file and keys.development are both set: keep one of them");
  if (c->keys_file_previous[0] && strcmp(c->keys_file_previous, c->keys_file) == 0)
    contradiction(load, ROW(keys_file), ROW(keys_file_previous), "keys.file and keys.file_previous are the same file");
  if (url_has_password(c->journal_url))
    contradiction(
        load, ROW(journal_url), ROW(journal_url),
        "journal.url holds a password, which --print-config would show: write it to a file, and its path as journal.password_file");
  if (url_has_password(c->registry_url))
    contradiction(
        load, ROW(registry_url), ROW(registry_url),
        "registry.url holds a password, which --print-config would show: write it to a file, and its path as registry.password_file");
  bool redis = c->journal_kind == TIDE_JOURNAL_KIND_redis;
  if (redis && c->journal_timeout_ms <= c->journal_wait_ms)
    contradiction(load, ROW(journal_timeout), ROW(journal_wait),
                  "journal.timeout is not above journal.wait: every wait that is used up would look like a dead node");
  if (redis && c->journal_quorum > c->journal_replicas)
    contradiction(load, ROW(journal_quorum), ROW(journal_replicas),
                  "journal.quorum is above journal.replicas: no commit could ever be acknowledged");
  if (redis && c->engine_heartbeat_ms == 0)
    contradiction(load, ROW(engine_heartbeat), ROW(journal_kind),
                  "engine.heartbeat is 0s: an engine on a shared journal must tell that it is there");
  if (strcmp(c->journal_dir, c->snapshot_dir) == 0)
    contradiction(load, ROW(journal_dir), ROW(snapshot_dir), "journal.dir and snapshot.dir are the same: give each a directory of its own");
}

/* ---- sources and topics ---- */

/* At a key of a source. */
static void at_source(struct tide_load *load, const struct tide_config_source *source, enum tide_source_key key, const char *text) {
  const struct tide_config_origin *origin = &source->origin[key];
  bool written = origin->line > 0;
  tide_load_mistake(load, TIDE_E_CONFIG, written ? origin->line : source->line, written ? origin->column : source->column, "sources",
                    "sources.%s: %s", source->name, text);
}

static void at_row(struct tide_load *load, enum tide_option_row row, const char *text) { contradiction(load, row, row, text); }

static const struct tide_config_kafka *setting(const struct tide_config *config, const char *name) {
  for (size_t i = 0; i < config->kafka_count; i++)
    if (strcmp(config->kafka[i].name, name) == 0) return &config->kafka[i];
  return NULL;
}

static void check_pair(struct tide_load *load, const struct tide_config_source *a, const struct tide_config_source *b) {
  const struct tide_config_source *later = b->line >= a->line ? b : a, *other = later == b ? a : b;
  if (a->number == b->number)
    tide_load_mistake(load, TIDE_E_CONFIG, later->line, later->column, "sources",
                      "sources.%s and sources.%s have the same number (%u), by which the journal knows them: rename one of them",
                      later->name, other->name, a->number);
  if (strcmp(a->topic, b->topic) == 0)
    tide_load_mistake(
        load, TIDE_E_CONFIG, later->origin[TIDE_SOURCE_ROW_topic].line, later->origin[TIDE_SOURCE_ROW_topic].column, "sources",
        "sources.%s and sources.%s read the same topic, so every message would be read twice: remove one of them; a log of several "
        "shapes is one source, and the feature file's `when` picks the shape",
        later->name, other->name);
}

/* What leaves the engine must not come back in. */
static void check_leaving(struct tide_load *load, const struct tide_config_source *source) {
  const struct tide_config *c = load->config;
  if (strcmp(source->topic, c->scores_topic) == 0)
    at_source(load, source, TIDE_SOURCE_ROW_topic, "it reads scores.topic: decisions would be read as messages");
  if (strcmp(source->topic, c->dead_letters_topic) == 0)
    at_source(load, source, TIDE_SOURCE_ROW_topic, "it reads dead_letters.topic: what cannot be used would come again for ever");
}

static bool has_password(const char *url) {
  const char *host = strstr(url, "://");
  return host && memchr(host + 3, '@', strcspn(host + 3, "/")) != NULL;
}

static void check_source(struct tide_load *load, const struct tide_config_source *source) {
  bool avro = source->format == TIDE_SOURCE_FORMAT_avro;
  if (avro && !source->schemas[0])
    at_source(load, source, TIDE_SOURCE_ROW_format, "format avro needs `schemas:`, a directory or the address of a registry");
  if (!avro && source->schemas[0]) at_source(load, source, TIDE_SOURCE_ROW_schemas, "schemas are for format avro only");
  if (has_password(source->schemas))
    at_source(load, source, TIDE_SOURCE_ROW_schemas,
              "schemas must not hold a user or password, which --print-config would show: give the registry a listener without");
  check_leaving(load, source);
}

/* Where the file begins to speak of sources; they are sorted by name. */
static struct tide_config_origin first_source(const struct tide_config *config) {
  struct tide_config_origin at = {.line = 0};
  for (size_t i = 0; i < config->source_count; i++) {
    const struct tide_config_source *source = &config->source[i];
    if (source->line > 0 && (at.line == 0 || source->line < at.line)) at.line = source->line, at.column = source->column;
  }
  return at;
}

static void check_sources(struct tide_load *load) {
  const struct tide_config *c = load->config;
  for (size_t i = 0; i < c->source_count; i++) {
    check_source(load, &c->source[i]);
    for (size_t k = 0; k < i; k++) check_pair(load, &c->source[k], &c->source[i]);
  }
  if (c->source_count == 0) return;
  struct tide_config_origin at = first_source(c);
  if (!c->dead_letters_topic[0] && !c->dead_letters_file[0])
    tide_load_mistake(load, TIDE_E_CONFIG, at.line, at.column, "dead_letters.topic",
                      "sources need dead_letters.topic or dead_letters.file: a message that cannot be used must go somewhere");
  if (c->engine_heartbeat_ms == 0)
    at_row(load, ROW(engine_heartbeat), "engine.heartbeat is 0s: the engine that reads the sources must tell that it is there");
  if (c->ingest_claim_timeout_ms <= c->engine_heartbeat_ms)
    contradiction(load, ROW(ingest_claim_timeout), ROW(engine_heartbeat),
                  "ingest.claim_timeout is not above engine.heartbeat: an engine that has nothing to read would look like a dead one");
}

static void check_outlets(struct tide_load *load) {
  const struct tide_config *c = load->config;
  if (c->scores_topic[0] && c->scores_file[0])
    contradiction(load, ROW(scores_topic), ROW(scores_file), "scores.topic and scores.file are both set: keep one of them");
  if (c->dead_letters_topic[0] && c->dead_letters_file[0])
    contradiction(load, ROW(dead_letters_topic), ROW(dead_letters_file),
                  "dead_letters.topic and dead_letters.file are both set: keep one of them");
  if (c->scores_topic[0] && strcmp(c->scores_topic, c->dead_letters_topic) == 0)
    contradiction(load, ROW(scores_topic), ROW(dead_letters_topic),
                  "scores.topic and dead_letters.topic are the same: nobody who reads decisions expects dead letters there");
  if (c->scores_file[0] && strcmp(c->scores_file, c->dead_letters_file) == 0)
    contradiction(load, ROW(scores_file), ROW(dead_letters_file), "scores.file and dead_letters.file are the same file");
}

bool tide_config_lossy(const struct tide_config *config) {
  return config->journal_kind == TIDE_JOURNAL_KIND_redis && config->journal_quorum < config->journal_replicas;
}

static void check_http_log(struct tide_load *load) {
  const struct tide_config *c = load->config;
  bool copies = c->http_log == TIDE_HTTP_LOG_kafka;
  if (tide_config_lossy(c) && !copies)
    contradiction(
        load, ROW(journal_quorum), ROW(journal_replicas),
        "journal.quorum is below journal.replicas: a replica that lacks the end of the journal may become primary, and what came by HTTP would be nowhere else. "
        "Set http.log: kafka, so that it is in Kafka before it is answered, or raise journal.quorum to journal.replicas, with AOF on every node");
  if (copies && !c->http_log_source[0])
    at_row(load, ROW(http_log), "http.log kafka needs http.log_source, the source to whose topic transactions are copied");
  if (!copies || !c->http_log_source[0]) return;
  const struct tide_config_origin *at = &c->origin[ROW(http_log_source)];
  const char *names[TIDE_SOURCES_MAX];
  const struct tide_config_source *source = NULL;
  for (size_t i = 0; i < c->source_count; i++) {
    names[i] = c->source[i].name;
    if (strcmp(names[i], c->http_log_source) == 0) source = &c->source[i];
  }
  if (!source) {
    const char *nearest = tide_nearest(tide_span_of(c->http_log_source), names, c->source_count);
    tide_load_mistake(load, TIDE_E_CONFIG, at->line, at->column, "http.log_source", "http.log_source names no source%s%s%s",
                      nearest ? ": did you mean " : " of `sources:`", nearest ? nearest : "", nearest ? "?" : "");
  } else if (strcmp(source->input, "default") != 0) {
    tide_load_mistake(
        load, TIDE_E_CONFIG, at->line, at->column, "http.log_source",
        "http.log_source: requests are read by the shape `default`, and sources.%s by another one, so a copy would not be what was answered: "
        "copy them to a topic of their own, read with `input: default`",
        source->name);
  } else if (source->format != TIDE_SOURCE_FORMAT_json) {
    tide_load_mistake(load, TIDE_E_CONFIG, at->line, at->column, "http.log_source",
                      "http.log_source: the topic of sources.%s is not JSON, and requests are: copy them to a topic of their own",
                      source->name);
  } else if (source->key == TIDE_SOURCE_KEY_card) {
    tide_load_mistake(
        load, TIDE_E_CONFIG, at->line, at->column, "http.log_source",
        "http.log_source: sources.%s says that a card is always in one partition, and copies do not bear the producers' keys: copy them "
        "to a topic of their own",
        source->name);
  }
}

/* Whoever talks to Kafka must know where it is. */
static void check_bootstrap(struct tide_load *load) {
  const struct tide_config *c = load->config;
  const struct tide_config_kafka *alias = setting(c, "metadata.broker.list");
  if (alias)
    tide_load_mistake(load, TIDE_E_CONFIG, alias->origin.line, alias->origin.column, "kafka",
                      "kafka.metadata.broker.list is an old name: write bootstrap.servers");
  if (alias || setting(c, "bootstrap.servers")) return;
  struct tide_config_origin at = {.line = 0};
  const char *who = NULL;
  if (c->source_count) who = "sources need", at = first_source(c);
  else if (c->scores_topic[0]) who = "scores.topic needs", at = c->origin[ROW(scores_topic)];
  else if (c->dead_letters_topic[0]) who = "dead_letters.topic needs", at = c->origin[ROW(dead_letters_topic)];
  if (who)
    tide_load_mistake(load, TIDE_E_CONFIG, at.line, at.column, "kafka",
                      "kafka.bootstrap.servers is not set, and %s it: the brokers, as in bootstrap.servers: k1:9092,k2:9092", who);
}

static void check_watch(struct tide_load *load) {
  const struct tide_config *c = load->config;
  if (c->drift_long_window_ms < c->drift_window_ms || c->drift_long_window_ms / c->drift_window_ms > 64)
    contradiction(load, ROW(drift_long_window), ROW(drift_window),
                  "drift.long_window must be drift.window at least, and 64 times that at most");
  if (c->feedback_genuine_after_ms >= c->feedback_keep_ms)
    contradiction(load, ROW(feedback_genuine_after), ROW(feedback_keep),
                  "feedback.genuine_after is not below feedback.keep: nothing would ever count as genuine");
}

void tide_load_check(struct tide_load *load) {
  check_engine(load);
  check_outlets(load);
  check_sources(load);
  check_http_log(load);
  check_bootstrap(load);
  check_watch(load);
}
