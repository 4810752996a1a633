/* Letters to Kafka (outlet_kafka.h).
 *
 * librdkafka keeps a copy of each letter until it is delivered or given up; its token travels as the message's opaque value. Delivery reports are collected
 * by the callback while `reports` polls, so everything here happens on the caller's thread. */
#include "adapter/outlet_kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#define CLOSE_MS 5000

struct outlet_kafka {
  struct tide_outlet base;
  rd_kafka_t *producer;
  rd_kafka_topic_t *topic[TIDE_LETTER_KIND_COUNT];
  struct tide_kafka_log log;
  int close_ms;
  /* reports that were polled and not taken yet */
  struct tide_delivery *report;
  size_t first, count, cap;
};

static struct outlet_kafka *self(struct tide_outlet *outlet) { return (struct outlet_kafka *)outlet; }

/* The opaque value of a message: its token, with the kind above it (tokens are below 2^62: checked in send). */
#define KIND_SHIFT 62

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
  struct outlet_kafka *outlet = opaque;
  (void)rk;
  if (outlet->count == outlet->cap) {
    outlet->cap = outlet->cap ? outlet->cap * 2 : 256;
    outlet->report = tide_realloc(outlet->report, outlet->cap * sizeof *outlet->report);
  }
  struct tide_delivery *report = &outlet->report[outlet->count++];
  uint64_t word = (uint64_t)(uintptr_t)message->_private;
  *report = (struct tide_delivery){.token = word & ((UINT64_C(1) << KIND_SHIFT) - 1), .kind = (uint8_t)(word >> KIND_SHIFT)};
  if (message->err)
    report->err = tide_fail(&report->error, tide_kafka_err(message->err), "topic %.100s: %.200s",
                            message->rkt ? rd_kafka_topic_name(message->rkt) : "?", rd_kafka_err2str(message->err));
}

static void on_log(const rd_kafka_t *rk, int level, const char *what, const char *text) {
  const struct outlet_kafka *outlet = rd_kafka_opaque(rk);
  if (outlet->log.line) outlet->log.line(outlet->log.ctx, level, what, text);
}

static rd_kafka_headers_t *headers_of(const struct tide_letter *letter) {
  if (!letter->header_count) return NULL;
  rd_kafka_headers_t *headers = rd_kafka_headers_new(letter->header_count);
  for (size_t i = 0; i < letter->header_count; i++) {
    rd_kafka_resp_err_t err =
        rd_kafka_header_add(headers, letter->header[i].name, -1, letter->header[i].value.ptr, (ssize_t)letter->header[i].value.len);
    TIDE_CHECK(!err); /* only read-only headers refuse */
  }
  return headers;
}

static enum tide_err outlet_send(struct tide_outlet *base, const struct tide_letter *letter, struct tide_error *error) {
  struct outlet_kafka *outlet = self(base);
  TIDE_CHECK(letter->kind < TIDE_LETTER_KIND_COUNT && letter->token < UINT64_C(1) << KIND_SHIFT);
  rd_kafka_topic_t *topic = outlet->topic[letter->kind];
  if (!topic) return tide_fail(error, TIDE_E_CONFIG, "no topic is configured for letters of this kind");
  rd_kafka_headers_t *headers = headers_of(letter);
  uintptr_t word = (uintptr_t)((uint64_t)letter->kind << KIND_SHIFT | letter->token);
  rd_kafka_vu_t vu[] = {{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
                        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
                        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)letter->value.ptr, letter->value.len}},
                        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)word},
                        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)letter->key.ptr, letter->key.len}},
                        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers}};
  rd_kafka_error_t *failed = rd_kafka_produceva(outlet->producer, vu, headers ? 6 : 5);
  if (!failed) return TIDE_OK;
  int code = rd_kafka_error_code(failed);
  enum tide_err err = code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? TIDE_E_AGAIN : tide_kafka_err(code);
  if (err != TIDE_E_AGAIN && err != TIDE_E_LIMIT && err != TIDE_E_CONFIG) err = TIDE_E_IO;
  (void)tide_fail(error, err, "topic %.100s does not take a letter of %zu bytes: %.200s", rd_kafka_topic_name(topic), letter->value.len,
                  rd_kafka_error_string(failed));
  rd_kafka_error_destroy(failed);
  if (headers) rd_kafka_headers_destroy(headers); /* still ours */
  return err;
}

static size_t outlet_reports(struct tide_outlet *base, int wait_ms, struct tide_delivery *ret, size_t cap) {
  struct outlet_kafka *outlet = self(base);
  (void)rd_kafka_poll(outlet->producer, outlet->first < outlet->count ? 0 : wait_ms);
  size_t count = outlet->count - outlet->first;
  if (count > cap) count = cap;
  memcpy(ret, outlet->report + outlet->first, count * sizeof *ret);
  outlet->first += count;
  if (outlet->first == outlet->count) outlet->first = outlet->count = 0;
  return count;
}

static void free_outlet(struct outlet_kafka *outlet) {
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++)
    if (outlet->topic[kind]) rd_kafka_topic_destroy(outlet->topic[kind]);
  if (outlet->producer) rd_kafka_destroy(outlet->producer);
  tide_free(outlet->report);
  tide_free(outlet);
}

static void outlet_close(struct tide_outlet *base) {
  struct outlet_kafka *outlet = self(base);
  (void)rd_kafka_flush(outlet->producer, outlet->close_ms);
  free_outlet(outlet);
}

static const struct tide_outlet_ops ops = {"kafka", outlet_send, outlet_reports, outlet_close};

static const struct tide_kafka_owned owned[] = {
    {"acks", "all", "Tidemark tells the cell that a letter has left only when all in-sync replicas have it"},
    {"request.required.acks", NULL, "Tidemark owns acks, which is its other name"},
    {"enable.idempotence", "true", "Tidemark sends each letter in its order and once per attempt"},
    {"transactional.id", NULL, "Tidemark does not use transactions: its journal makes repeated letters identical"},
    {"delivery.report.only.error", NULL, "Tidemark needs every report"},
};
static const struct tide_kafka_setting standard[] = {
    {"partitioner", "murmur2_random"}, /* as the Java producer */
    {"linger.ms", "2"},
    {"compression.codec", "lz4"},
    {"delivery.timeout.ms", "30000"},
};

enum tide_err tide_outlet_kafka_open(const struct tide_outlet_kafka_options *options, struct tide_outlet **ret, struct tide_error *error) {
  rd_kafka_conf_t *conf;
  enum tide_err err = tide_kafka_configure("producer", owned, sizeof owned / sizeof owned[0], standard,
                                           sizeof standard / sizeof standard[0], options->setting, options->setting_count, &conf, error);
  if (err != TIDE_OK) return err;
  struct outlet_kafka *outlet = tide_alloc(sizeof *outlet);
  outlet->base.ops = &ops;
  outlet->log = options->log;
  outlet->close_ms = options->close_ms ? options->close_ms : CLOSE_MS;
  rd_kafka_conf_set_opaque(conf, outlet);
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_conf_set_log_cb(conf, on_log);
  char why[256] = "";
  outlet->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!outlet->producer) {
    rd_kafka_conf_destroy(conf);
    free_outlet(outlet);
    return tide_fail(error, TIDE_E_CONFIG, "the Kafka producer does not start: %.250s", why);
  }
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    if (!options->topic[kind]) continue;
    outlet->topic[kind] = rd_kafka_topic_new(outlet->producer, options->topic[kind], NULL);
    if (outlet->topic[kind]) continue;
    free_outlet(outlet);
    return tide_fail(error, TIDE_E_CONFIG, "Kafka has no topic by the name %.100s", options->topic[kind]);
  }
  *ret = &outlet->base;
  return TIDE_OK;
}
