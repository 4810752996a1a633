/* Settings and errors of librdkafka (client_kafka.h).
 *
 * Owned settings are set first and refused later, so a configured value can never reach them; librdkafka itself names what it does not know. The order
 * of the configured settings is kept, because some of them (ssl.*) are judged together only when the client is made. */
#include "adapter/client_kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

static enum tide_err set(const char *what, rd_kafka_conf_t *conf, const char *name, const char *value, struct tide_error *error) {
  char why[256] = "";
  rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, why, sizeof why);
  if (result == RD_KAFKA_CONF_OK) return TIDE_OK;
  if (result != RD_KAFKA_CONF_UNKNOWN && tide_kafka_is_secret(tide_span_of(name))) snprintf(why, sizeof why, "(its value is not shown)");
  return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, name, "kafka.%.60s of the %s: %s: %.200s", name, what,
                      result == RD_KAFKA_CONF_UNKNOWN ? "librdkafka has no such setting" : "librdkafka does not take the value", why);
}

static const struct tide_kafka_owned *owner(const struct tide_kafka_owned *owned, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(owned[i].name, name) == 0) return &owned[i];
  return NULL;
}

static enum tide_err fill(const char *what, const struct tide_kafka_owned *owned, size_t owned_count,
                          const struct tide_kafka_setting *standard, size_t standard_count, const struct tide_kafka_setting *setting,
                          size_t setting_count, rd_kafka_conf_t *conf, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  bool brokers = false;
  for (size_t i = 0; i < owned_count && !err; i++)
    if (owned[i].value) err = set(what, conf, owned[i].name, owned[i].value, error);
  for (size_t i = 0; i < standard_count && !err; i++) err = set(what, conf, standard[i].name, standard[i].value, error);
  for (size_t i = 0; i < setting_count && !err; i++) {
    const char *name = setting[i].name;
    const struct tide_kafka_owned *by = owner(owned, owned_count, name);
    if (by)
      return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, name, "kafka.%.60s cannot be configured for the %s: %s; remove it", name, what,
                          by->why);
    err = set(what, conf, name, setting[i].value, error);
    if (strcmp(name, "bootstrap.servers") == 0 || strcmp(name, "metadata.broker.list") == 0 || strcmp(name, "test.mock.num.brokers") == 0)
      brokers = true;
  }
  if (!err && !brokers)
    err = tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "bootstrap.servers",
                       "the %s has no broker: set kafka.bootstrap.servers to \"HOST:PORT,HOST:PORT\"", what);
  return err;
}

enum tide_err tide_kafka_configure(const char *what, const struct tide_kafka_owned *owned, size_t owned_count,
                                   const struct tide_kafka_setting *standard, size_t standard_count,
                                   const struct tide_kafka_setting *setting, size_t setting_count, struct rd_kafka_conf_s **ret,
                                   struct tide_error *error) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  enum tide_err err = fill(what, owned, owned_count, standard, standard_count, setting, setting_count, conf, error);
  if (err) {
    rd_kafka_conf_destroy(conf);
    return err;
  }
  *ret = conf;
  return TIDE_OK;
}

enum tide_err tide_kafka_check(const char *name, const char *value, struct tide_error *error) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  char why[256];
  enum tide_err err = TIDE_OK;
  /* Without a value: back to the default, which only strings have; but a name that does not exist is told first. */
  if (value || rd_kafka_conf_set(conf, name, NULL, why, sizeof why) == RD_KAFKA_CONF_UNKNOWN) err = set("client", conf, name, value, error);
  rd_kafka_conf_destroy(conf);
  return err;
}

void tide_kafka_log_line(const struct tide_kafka_log *log, int level, const char *what, const char *text) {
  if (!log->line || (strcmp(what, "CONFWARN") == 0 && strstr(text, "property and will be ignored by this"))) return;
  log->line(log->ctx, level, what, text);
}

enum tide_err tide_kafka_err(int resp_err) {
  switch ((rd_kafka_resp_err_t)resp_err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return TIDE_OK;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return TIDE_E_NOT_FOUND;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION: return TIDE_E_CONFIG;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: return TIDE_E_MISMATCH;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: return TIDE_E_LIMIT;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG: return TIDE_E_CORRUPT;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: return TIDE_E_AGAIN;
    default: return TIDE_E_IO;
  }
}

bool tide_kafka_passes(int resp_err) {
  switch ((rd_kafka_resp_err_t)resp_err) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE: return true;
    default: return false;
  }
}
