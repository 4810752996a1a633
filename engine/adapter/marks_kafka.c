/* Marks written by a producer of their own (marks_kafka.h).
 *
 * The producer lives for one call: marks are wanted once in an epoch, and nothing that went wrong with it is left over for the next one. It is not idempotent: a mark that
 * was written twice is two marks, and the later one is the end that is told. A call ends when every mark is reported, or when the time is over; what is then
 * still under way may arrive later and does no harm. */
#include "adapter/marks_kafka.h"

#include "base/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

enum { TIMEOUT_MS = 10000, POLL_MS = 50, PURGE_MS = 1000 };

struct topic {
  uint16_t source;
  char *name;
};

struct tide_kafka_marks {
  rd_kafka_conf_t *conf;
  struct topic *topic;
  size_t topic_count;
  int timeout_ms;
  struct tide_kafka_log log;
};

/* One mark on its way. */
struct sent {
  bool reported;
  rd_kafka_resp_err_t err;
  int64_t offset;
};

static void on_log(const rd_kafka_t *rk, int level, const char *what, const char *text) {
  const struct tide_kafka_marks *marks = rd_kafka_opaque(rk);
  tide_kafka_log_line(&marks->log, level, what, text);
}

/* What fails, fails with its report. */
static void on_error(rd_kafka_t *rk, int resp_err, const char *text, void *opaque) {
  (void)rk;
  (void)resp_err;
  (void)text;
  (void)opaque;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
  (void)rk;
  (void)opaque;
  struct sent *sent = m->_private;
  *sent = (struct sent){true, m->err, m->offset};
}

static const char *topic_of(const struct tide_kafka_marks *marks, uint16_t source) {
  for (size_t i = 0; i < marks->topic_count; i++)
    if (marks->topic[i].source == source) return marks->topic[i].name;
  return NULL;
}

static enum tide_err refused(const char *topic, uint16_t partition, rd_kafka_resp_err_t err, struct tide_error *error) {
  enum tide_err code = tide_kafka_err(err);
  if (code == TIDE_E_AGAIN || code == TIDE_OK) code = TIDE_E_IO;
  return tide_fail(
      error, code, "partition %u of topic %.100s did not take the mark that ingest.barrier: marker wants there: %.120s%s", partition, topic,
      rd_kafka_err2str(err),
      err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? "; allow the user to write to the topic, or set ingest.barrier: log_end" : "");
}

static enum tide_err send_one(const struct tide_kafka_marks *marks, rd_kafka_t *rk, const struct tide_place *place, struct sent *sent,
                              struct tide_error *error) {
  const char *topic = topic_of(marks, place->source);
  if (!topic) return tide_fail(error, TIDE_E_NOT_FOUND, "there is no source number %u among the configured topics", place->source);
  rd_kafka_resp_err_t err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(place->partition),
                                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)(uintptr_t) "", 0),
                                              RD_KAFKA_V_HEADER(TIDE_KAFKA_MARK, "1", 1), RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);
  return err ? refused(topic, place->partition, err, error) : TIDE_OK;
}

static size_t open_count(const struct sent *sent, size_t count) {
  size_t open = 0;
  for (size_t i = 0; i < count; i++) open += !sent[i].reported;
  return open;
}

enum tide_err tide_kafka_marks_put(struct tide_kafka_marks *marks, struct tide_place *place, size_t count, struct tide_error *error) {
  if (count == 0) return TIDE_OK;
  char why[256] = "";
  rd_kafka_conf_t *conf = rd_kafka_conf_dup(marks->conf);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!rk) {
    rd_kafka_conf_destroy(conf);
    return tide_fail(error, TIDE_E_IO, "the Kafka producer of marks cannot be made: %.300s", why);
  }
  struct sent *sent = tide_alloc(count * sizeof *sent);
  size_t under_way = 0;
  enum tide_err err = TIDE_OK;
  for (; under_way < count && err == TIDE_OK; under_way++) {
    err = send_one(marks, rk, &place[under_way], &sent[under_way], error);
    if (err != TIDE_OK) break;
  }
  int64_t until_ns = tide_mono_now().ns + INT64_C(1000000) * marks->timeout_ms;
  while (err == TIDE_OK && open_count(sent, under_way) && tide_mono_now().ns < until_ns) (void)rd_kafka_poll(rk, POLL_MS);
  for (size_t i = 0; i < count && err == TIDE_OK; i++)
    if (!sent[i].reported || sent[i].err)
      err = refused(topic_of(marks, place[i].source), place[i].partition, sent[i].reported ? sent[i].err : RD_KAFKA_RESP_ERR__TIMED_OUT,
                    error);
  for (size_t i = 0; i < count && err == TIDE_OK; i++) place[i].cursor = (uint64_t)sent[i].offset + 1;
  if (open_count(sent, under_way)) {
    (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(rk, PURGE_MS);
  }
  rd_kafka_destroy(rk); /* no report comes behind it */
  tide_free(sent);
  return err;
}

#define MARKS "a mark tells the end of a log only when every in-sync replica has it"
static const struct tide_kafka_owned owned[] = {
    {"acks", "all", MARKS},
    {"request.required.acks", NULL, MARKS},
    {"enable.idempotence", "false", "the producer of answers is idempotent by itself"},
    {"transactional.id", NULL, "Tidemark does not depend on Kafka's transactions"},
    {"delivery.report.only.error", "false", "every mark is reported"},
    {"dr_cb", NULL, "every mark is reported"},
    {"dr_msg_cb", NULL, "every mark is reported"},
};
static const struct tide_kafka_setting standard[] = {{"client.id", "tidemark"}, {"linger.ms", "0"}, {"allow.auto.create.topics", "false"}};

enum tide_err tide_kafka_marks_open(const struct tide_source_kafka_options *options, struct tide_kafka_marks **ret,
                                    struct tide_error *error) {
  rd_kafka_conf_t *conf;
  enum tide_err err = tide_kafka_configure("producer", owned, sizeof owned / sizeof owned[0], standard,
                                           sizeof standard / sizeof standard[0], options->setting, options->setting_count, &conf, error);
  if (err != TIDE_OK) return err;
  struct tide_kafka_marks *marks = tide_alloc(sizeof *marks);
  marks->conf = conf;
  marks->log = options->log;
  marks->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
  marks->topic_count = options->topic_count;
  marks->topic = tide_alloc((options->topic_count + 1) * sizeof *marks->topic);
  for (size_t i = 0; i < options->topic_count; i++)
    marks->topic[i] = (struct topic){options->topic[i].source, tide_strdup(options->topic[i].topic)};
  rd_kafka_conf_set_opaque(conf, marks);
  rd_kafka_conf_set_log_cb(conf, on_log);
  rd_kafka_conf_set_error_cb(conf, on_error);
  rd_kafka_conf_set_dr_msg_cb(conf, on_report);
  *ret = marks;
  return TIDE_OK;
}

void tide_kafka_marks_close(struct tide_kafka_marks *marks) {
  if (!marks) return;
  for (size_t i = 0; i < marks->topic_count; i++) tide_free(marks->topic[i].name);
  tide_free(marks->topic);
  rd_kafka_conf_destroy(marks->conf);
  tide_free(marks);
}
