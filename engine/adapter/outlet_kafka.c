/* Letters into Kafka topics with librdkafka's idempotent producer (outlet_kafka.h).
 *
 * librdkafka copies each letter and keeps it until its delivery report; the report carries a record of ours with token and kind. Records come from a free list, so that
 * their number follows the letters under way, which queue.buffering.max.* bounds: a full queue is AGAIN.
 *
 * A producer can end for good (a fatal error: the cluster has lost what it knew of the producer's sequence, or forbids it). It can then not say which letters are in
 * the log, so all that are under way are reported as failed and the sender decides; when the last of them was taken, `send` makes a new producer. Twice in the
 * log is possible then, as after any letter that is given up and sent again; what leaves an engine carries its own identity for that reason.
 *
 * Letters leave in bursts. Who waits for reports has sent all that he has: then everything leaves at once, one request for each partition, and linger.ms is only the
 * time after which it leaves if librdkafka's thread did not come to it meanwhile. It is long, because a burst that began to leave while it grew would be
 * two requests for each partition, and librdkafka (2.0) polls without rest while more than five are ready for a broker.
 *
 * Invariant: open == number of letters taken and not yet reported. */
#include "adapter/outlet_kafka.h"

#include "base/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

enum { CLOSE_MS = 5000, PUSH_MS = 1, PUSHES = 5 };

struct record {
  uint64_t token;
  uint8_t kind;
  struct record *next; /* in the free list */
};

struct outlet_kafka {
  struct tide_outlet base;
  rd_kafka_conf_t *conf; /* what a producer is made of */
  rd_kafka_t *producer;
  rd_kafka_queue_t *queue;
  rd_kafka_event_t *event; /* reports not taken yet */
  char *topic[TIDE_LETTER_KIND_COUNT];
  struct record *spare;
  size_t open;
  int pushes;  /* times still to say that what was taken leaves now */
  bool broken; /* the producer has ended for good */
  struct tide_kafka_log log;
};

static struct outlet_kafka *self(struct tide_outlet *outlet) { return (struct outlet_kafka *)outlet; }

static void on_log(const rd_kafka_t *rk, int level, const char *what, const char *text) {
  const struct outlet_kafka *o = rd_kafka_opaque(rk);
  tide_kafka_log_line(&o->log, level, what, text);
}

static enum tide_err start(struct outlet_kafka *o, struct tide_error *error) {
  rd_kafka_conf_t *conf = rd_kafka_conf_dup(o->conf);
  char why[256] = "";
  rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!producer) {
    rd_kafka_conf_destroy(conf);
    return tide_fail(error, TIDE_E_CONFIG, "the Kafka producer cannot be made of its settings: %.300s", why);
  }
  o->producer = producer;
  o->queue = rd_kafka_queue_get_main(producer);
  o->broken = false;
  return TIDE_OK;
}

static void finish(struct outlet_kafka *o) {
  if (o->event) rd_kafka_event_destroy(o->event);
  if (o->queue) rd_kafka_queue_destroy(o->queue);
  if (o->producer) rd_kafka_destroy(o->producer);
  o->event = NULL;
  o->queue = NULL;
  o->producer = NULL;
}

/* Everything under way comes back as failed. */
static void give_up(struct outlet_kafka *o) {
  if (o->broken) return;
  o->broken = true;
  (void)rd_kafka_purge(o->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

static struct record *take_record(struct outlet_kafka *o) {
  struct record *record = o->spare;
  if (!record) return tide_alloc(sizeof *record);
  o->spare = record->next;
  return record;
}

static void put_record(struct outlet_kafka *o, struct record *record) {
  record->next = o->spare;
  o->spare = record;
}

static enum tide_err hand_over(struct outlet_kafka *o, const struct tide_letter *letter, struct tide_error *error) {
  const char *topic = o->topic[letter->kind];
  rd_kafka_headers_t *headers = rd_kafka_headers_new(letter->header_count);
  rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
  for (size_t i = 0; i < letter->header_count && !err; i++)
    err = rd_kafka_header_add(headers, letter->header[i].name, -1, letter->header[i].value.ptr, (ssize_t)letter->header[i].value.len);
  struct record *record = take_record(o);
  *record = (struct record){.token = letter->token, .kind = letter->kind};
  /* RD_KAFKA_MSG_F_COPY: librdkafka only reads key and value. */
  if (!err)
    err = rd_kafka_producev(o->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_KEY(letter->key.len ? letter->key.ptr : NULL, letter->key.len),
                            RD_KAFKA_V_VALUE((void *)(uintptr_t)letter->value.ptr, letter->value.len), RD_KAFKA_V_HEADERS(headers),
                            RD_KAFKA_V_OPAQUE(record), RD_KAFKA_V_END);
  if (!err) {
    o->open++;
    o->pushes = PUSHES;
    return TIDE_OK;
  }
  rd_kafka_headers_destroy(headers);
  put_record(o, record);
  if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
    return tide_fail(error, TIDE_E_AGAIN, "%zu letters are under way to Kafka: no room for more", o->open);
  if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
    return tide_fail(error, TIDE_E_LIMIT, "a letter of %zu bytes is too long for topic %.100s; see message.max.bytes", letter->value.len,
                     topic);
  if (err == RD_KAFKA_RESP_ERR__FATAL) {
    give_up(o);
    return tide_fail(error, TIDE_E_AGAIN, "the Kafka producer has ended and is made anew when its reports have been taken");
  }
  return tide_fail(error, TIDE_E_IO, "cannot send to topic %.100s: %s", topic, rd_kafka_err2str(err));
}

static enum tide_err outlet_send(struct tide_outlet *outlet, const struct tide_letter *letter, struct tide_error *error) {
  struct outlet_kafka *o = self(outlet);
  TIDE_CHECK(letter->kind < TIDE_LETTER_KIND_COUNT);
  if (!o->topic[letter->kind]) return tide_fail(error, TIDE_E_CONFIG, "no topic is configured for letters of this kind");
  if (!o->broken && rd_kafka_fatal_error(o->producer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) give_up(o);
  if (o->broken) {
    if (o->open) return tide_fail(error, TIDE_E_AGAIN, "the Kafka producer has ended and is made anew when its reports have been taken");
    finish(o);
    enum tide_err err = start(o, error);
    if (err) { /* it could be made before: something of this machine is exhausted */
      o->broken = true;
      return tide_fail(error, TIDE_E_IO, "the Kafka producer cannot be made anew");
    }
  }
  return hand_over(o, letter, error);
}

static void fill_report(struct outlet_kafka *o, const rd_kafka_message_t *m, struct tide_delivery *ret) {
  struct record *record = m->_private;
  *ret = (struct tide_delivery){.token = record->token, .kind = record->kind};
  if (m->err)
    ret->err = tide_fail(&ret->error, tide_kafka_err(m->err) == TIDE_E_AGAIN ? TIDE_E_IO : tide_kafka_err(m->err),
                         "topic %.100s did not take a letter: %s", o->topic[record->kind], rd_kafka_err2str(m->err));
  put_record(o, record);
  TIDE_CHECK(o->open > 0);
  o->open--;
}

static void take_error(struct outlet_kafka *o, rd_kafka_event_t *event) {
  if (rd_kafka_event_error_is_fatal(event) || rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL) give_up(o);
  tide_kafka_log_line(&o->log, 3, "ERROR", rd_kafka_event_error_string(event));
}

static size_t outlet_reports(struct tide_outlet *outlet, int wait_ms, struct tide_delivery *ret, size_t cap) {
  struct outlet_kafka *o = self(outlet);
  size_t count = 0;
  if (!o->producer) return 0;
  if (!o->event) o->event = rd_kafka_queue_poll(o->queue, 0);
  if (!o->event && wait_ms > 0 && o->pushes > 0) {
    (void)rd_kafka_flush(o->producer, PUSH_MS); /* does not take the reports, so waits as long as that whatever happens */
    o->pushes--;
    wait_ms -= PUSH_MS;
  }
  while (count < cap) {
    if (!o->event) {
      o->event = rd_kafka_queue_poll(o->queue, count ? 0 : wait_ms);
      if (!o->event) break;
    }
    if (rd_kafka_event_type(o->event) == RD_KAFKA_EVENT_ERROR) take_error(o, o->event);
    const rd_kafka_message_t *m = rd_kafka_event_type(o->event) == RD_KAFKA_EVENT_DR ? rd_kafka_event_message_next(o->event) : NULL;
    if (m) {
      fill_report(o, m, &ret[count++]);
      continue;
    }
    rd_kafka_event_destroy(o->event);
    o->event = NULL;
  }
  return count;
}

static void outlet_close(struct tide_outlet *outlet) {
  struct outlet_kafka *o = self(outlet);
  struct tide_delivery delivery[64];
  int64_t until_ns = tide_mono_now().ns + INT64_C(1000000) * CLOSE_MS;
  while (o->open && tide_mono_now().ns < until_ns) (void)outlet_reports(outlet, 20, delivery, 64);
  if (o->open) give_up(o); /* their reports are of no use to anybody, their records are */
  until_ns = tide_mono_now().ns + INT64_C(1000000) * CLOSE_MS;
  while (o->open && tide_mono_now().ns < until_ns) (void)outlet_reports(outlet, 20, delivery, 64);
  finish(o);
  while (o->spare) {
    struct record *record = o->spare;
    o->spare = record->next;
    tide_free(record);
  }
  for (size_t i = 0; i < TIDE_LETTER_KIND_COUNT; i++) tide_free(o->topic[i]);
  if (o->conf) rd_kafka_conf_destroy(o->conf);
  tide_free(o);
}

static const struct tide_outlet_ops ops = {"kafka", outlet_send, outlet_reports, outlet_close};

#define DURABLE "a letter counts as arrived only when every in-sync replica has it, once"
static const struct tide_kafka_owned owned[] = {
    {"acks", "all", DURABLE},
    {"request.required.acks", NULL, DURABLE},
    {"enable.idempotence", "true", DURABLE},
    {"transactional.id", NULL, "Tidemark does not depend on Kafka's transactions"},
    {"delivery.report.only.error", "false", "every letter is reported"},
    {"dr_cb", NULL, "every letter is reported"},
    {"dr_msg_cb", NULL, "every letter is reported"},
};
/* murmur2_random puts a key into the partition that Java producers choose. The queue's own bound of 1 GiB is no bound for a service. */
static const struct tide_kafka_setting standard[] = {
    {"client.id", "tidemark"},
    {"partitioner", "murmur2_random"},
    {"queue.buffering.max.kbytes", "131072"},
    {"linger.ms", "50"},
};

enum tide_err tide_outlet_kafka_open(const struct tide_outlet_kafka_options *options, struct tide_outlet **ret, struct tide_error *error) {
  rd_kafka_conf_t *conf;
  enum tide_err err = tide_kafka_configure("producer", owned, sizeof owned / sizeof owned[0], standard,
                                           sizeof standard / sizeof standard[0], options->setting, options->setting_count, &conf, error);
  if (err) return err;
  struct outlet_kafka *o = tide_alloc(sizeof *o);
  o->base.ops = &ops;
  o->conf = conf;
  o->log = options->log;
  for (size_t i = 0; i < TIDE_LETTER_KIND_COUNT; i++) o->topic[i] = tide_strdup(options->topic[i]);
  rd_kafka_conf_set_opaque(conf, o);
  rd_kafka_conf_set_log_cb(conf, on_log);
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  err = start(o, error);
  if (err) {
    outlet_close(&o->base);
    return err;
  }
  *ret = &o->base;
  return TIDE_OK;
}
