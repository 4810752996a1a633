/* Messages of Kafka topics, read with librdkafka's simple consumer (source_kafka.h).
 *
 * Why the simple consumer: a partition is started at an offset and stopped, nothing else. No group is joined, so nothing is ever assigned, revoked or reset behind the
 * engine's back, and reading needs no coordinator. All partitions feed one queue of librdkafka, which is emptied in batches without waiting, and only when it
 * is empty with waiting for one message: rd_kafka_consume_batch_queue would wait until its batch is full.
 *
 * Two clients. `reader` reads. `side` answers questions (what stands before a place) and carries the group's offsets, so that neither a second look into a partition
 * nor a coordinator that is away or forbids the group can disturb the reading.
 *
 * Invariants. (1) A message is given only if its partition is started and its offset is not below the partition's cursor; a seek first drops what was read ahead, here
 * by walking the batch, in librdkafka by the version that stop raises. So the offsets of one partition only rise between two seeks.
 * (2) No offset is ever chosen by librdkafka: starts are absolute, auto.offset.reset is `error`. (3) A partition that is told as stopped is stopped in
 * librdkafka too, whatever that would have done by itself. */
#include "adapter/source_kafka_state.h"

#include "base/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

enum { TIMEOUT_MS = 10000, ASK_MS = 2000, CLOSE_MS = 1000, WATCH_MS = 10000, SILENT_MS = 3000 };
#define TOLD_EVERY_NS (INT64_C(30) * 1000000000) /* a trouble that goes on is said again */

static struct tide_source_kafka *self(struct tide_source *source) { return (struct tide_source_kafka *)source; }

struct tide_source_kafka_topic *tide_source_kafka_topic(const struct tide_source_kafka *s, uint16_t source) {
  for (size_t i = 0; i < s->topic_count; i++)
    if (s->topic[i].source == source) return &s->topic[i];
  return NULL;
}

enum tide_err tide_source_kafka_no_topic(uint16_t source, struct tide_error *error) {
  return tide_fail(error, TIDE_E_NOT_FOUND, "there is no source number %u among the configured topics", source);
}

static struct tide_source_kafka_part *part_of(struct tide_source_kafka_topic *topic, uint16_t partition) {
  if (partition >= topic->part_count) {
    size_t count = (size_t)partition + 1;
    topic->part = tide_realloc(topic->part, count * sizeof *topic->part);
    memset(topic->part + topic->part_count, 0, (count - topic->part_count) * sizeof *topic->part);
    topic->part_count = count;
  }
  return &topic->part[partition];
}

/* --- callbacks: all but the log's run in the thread that polls, which is that of `next` */

static void on_log(const rd_kafka_t *rk, int level, const char *what, const char *text) {
  const struct tide_source_kafka *s = rd_kafka_opaque(rk);
  tide_kafka_log_line(&s->log, level, what, text);
}

static void on_error(rd_kafka_t *rk, int resp_err, const char *text, void *opaque) {
  (void)rk;
  struct tide_source_kafka *s = opaque;
  enum tide_err code = tide_kafka_err(resp_err);
  if (code == TIDE_E_NOT_FOUND || resp_err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
    s->look = true;
    return;
  }
  struct tide_source_kafka_global *g = NULL;
  for (size_t i = 0; i < TIDE_SOURCE_KAFKA_GLOBALS && !g; i++)
    if (s->global[i].resp_err == resp_err) g = &s->global[i];
  for (size_t i = 0; i < TIDE_SOURCE_KAFKA_GLOBALS && !g; i++)
    if (s->global[i].resp_err == 0) g = &s->global[i];
  if (!g) g = &s->global[0]; /* more kinds at once than anybody has seen: the first one makes room */
  int64_t now = tide_mono_now().ns;
  if (g->resp_err == resp_err && now - g->told_ns < TOLD_EVERY_NS) return;
  g->resp_err = resp_err;
  g->told_ns = now;
  g->pending = true;
  snprintf(g->text, sizeof g->text, "%s", text);
}

/* What is asked through `side` has an answer of its own, and its connections fail as the reader's do. This may run in the thread that asks. */
static void on_side_error(rd_kafka_t *rk, int resp_err, const char *text, void *opaque) {
  (void)rk;
  (void)resp_err;
  (void)text;
  (void)opaque;
}

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque) {
  (void)rk;
  struct tide_source_kafka *s = opaque;
  bool failed = err != RD_KAFKA_RESP_ERR_NO_ERROR;
  for (int i = 0; offsets && i < offsets->cnt; i++) failed = failed || offsets->elems[i].err;
  if (failed) s->stats.commits_failed++;
  if (s->commits_open) s->commits_open--;
}

/* --- reading */

static void drop_read_ahead(struct tide_source_kafka *s, const struct tide_source_kafka_topic *topic, uint16_t partition) {
  for (size_t i = s->at; i < s->count; i++) {
    rd_kafka_message_t *m = s->batch[i];
    if (!m || m->partition != partition || !m->rkt || rd_kafka_topic_opaque(m->rkt) != topic) continue;
    rd_kafka_message_destroy(m);
    s->batch[i] = NULL;
    s->stats.outdated++;
  }
}

static void stop_part(struct tide_source_kafka *s, struct tide_source_kafka_topic *topic, uint16_t partition) {
  if (partition >= topic->part_count || !topic->part[partition].on) return;
  s->silent -= topic->part[partition].silent;
  topic->part[partition] = (struct tide_source_kafka_part){.cursor = topic->part[partition].cursor};
  /* Waits for librdkafka's own thread, never for a broker. It fails for a partition that librdkafka does not know (any more), and so does not read. */
  (void)rd_kafka_consume_stop(topic->reader, partition);
  drop_read_ahead(s, topic, partition);
}

static void source_stop(struct tide_source *source, uint16_t number, uint16_t partition) {
  struct tide_source_kafka_topic *topic = tide_source_kafka_topic(self(source), number);
  if (topic) stop_part(self(source), topic, partition);
}

/* librdkafka tells that a partition does not exist when it first sees the topic, and later not at all: then the brokers are asked here. If they do not answer it is
 * started nevertheless. */
static enum tide_err look_for(const struct tide_source_kafka *s, struct tide_source_kafka_topic *topic, uint16_t partition,
                              struct tide_error *error) {
  uint32_t known = atomic_load(&topic->known);
  if (!topic->lost && (known == 0 || partition < known)) return TIDE_OK;
  topic->lost = false; /* if it is back, the reader learns of it by this question */
  const struct rd_kafka_metadata *metadata;
  if (rd_kafka_metadata(s->reader, 0, topic->reader, &metadata, ASK_MS)) return TIDE_OK;
  if (metadata->topic_cnt == 1 && !metadata->topics[0].err) atomic_store(&topic->known, (uint32_t)metadata->topics[0].partition_cnt);
  rd_kafka_metadata_destroy(metadata);
  known = atomic_load(&topic->known);
  if (known == 0 || partition < known) return TIDE_OK;
  return tide_fail(error, TIDE_E_NOT_FOUND, "there is no partition %u in topic %.100s: it has %u", partition, topic->name, known);
}

static enum tide_err source_seek(struct tide_source *source, uint16_t number, uint16_t partition, uint64_t cursor,
                                 struct tide_error *error) {
  struct tide_source_kafka *s = self(source);
  struct tide_source_kafka_topic *topic = tide_source_kafka_topic(s, number);
  if (!topic) return tide_source_kafka_no_topic(number, error);
  if (cursor > INT64_MAX)
    return tide_fail(error, TIDE_E_MISMATCH, "%llu is no offset of topic %.100s", (unsigned long long)cursor, topic->name);
  stop_part(s, topic, partition);
  enum tide_err err = look_for(s, topic, partition, error);
  if (err) return err;
  if (rd_kafka_consume_start_queue(topic->reader, partition, (int64_t)cursor, s->queue) != 0)
    return tide_fail(error, TIDE_E_IO, "cannot begin to read partition %u of topic %.100s at offset %llu: %s", partition, topic->name,
                     (unsigned long long)cursor, rd_kafka_err2str(rd_kafka_last_error()));
  if (s->silent++ == 0) s->looked_ns = tide_mono_now().ns;
  *part_of(topic, partition) =
      (struct tide_source_kafka_part){.on = true, .silent = true, .cursor = (int64_t)cursor, .told_ns = INT64_MIN / 2};
  return TIDE_OK;
}

static void place_of(struct tide_message *ret, enum tide_message_kind kind, uint16_t source, uint16_t partition, uint64_t offset,
                     uint64_t next) {
  *ret = (struct tide_message){.kind = (uint8_t)kind,
                               .source = source,
                               .partition = partition,
                               .offset = offset,
                               .next = next,
                               .append_ms = INT64_MIN,
                               .bytes = {"", 0}};
}

static void headers_of(const rd_kafka_message_t *m, struct tide_message *ret) {
  rd_kafka_headers_t *headers;
  if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return; /* none */
  const void *value;
  size_t len;
  if (rd_kafka_header_get_last(headers, "traceparent", &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR && value)
    ret->trace = (struct tide_span){value, len};
  ret->copy = rd_kafka_header_get_last(headers, "tidemark-copy", &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
  ret->mark = tide_source_kafka_is_mark(m);
}

static enum tide_err give_data(struct tide_source_kafka *s, const struct tide_source_kafka_topic *topic, const rd_kafka_message_t *m,
                               struct tide_message *ret, struct tide_error *error) {
  place_of(ret, TIDE_MESSAGE_DATA, topic->source, (uint16_t)m->partition, (uint64_t)m->offset, (uint64_t)m->offset + 1);
  rd_kafka_timestamp_type_t kind;
  int64_t ms = rd_kafka_message_timestamp(m, &kind);
  if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms >= 0) ret->append_ms = ms;
  headers_of(m, ret);
  s->stats.messages++;
  s->stats.bytes += m->len;
  if (m->len > TIDE_MESSAGE_BYTES_MAX)
    return tide_fail(error, TIDE_E_LIMIT,
                     "the message at offset %lld of partition %d of topic %.100s is longer than %u bytes and was skipped",
                     (long long)m->offset, (int)m->partition, topic->name, TIDE_MESSAGE_BYTES_MAX);
  if (m->payload) ret->bytes = (struct tide_span){m->payload, m->len};
  return TIDE_OK;
}

#define CHECK_NAME "; check the topic's name and its number of partitions"

/* The cursor is not in the log: says what is, because that decides what an operator does. */
static void describe_gap(struct tide_source_kafka *s, const struct tide_source_kafka_topic *topic, uint16_t partition, int64_t cursor) {
  int64_t low, high;
  rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(s->reader, topic->name, partition, &low, &high, ASK_MS);
  if (tide_kafka_err(err) == TIDE_E_NOT_FOUND) /* a topic that is being deleted loses its log first */
    tide_fail(&s->trouble, TIDE_E_NOT_FOUND, "partition %u of topic %.100s at offset %lld: %s" CHECK_NAME, partition, topic->name,
              (long long)cursor, rd_kafka_err2str(err));
  else if (err)
    tide_fail(&s->trouble, TIDE_E_MISMATCH,
              "partition %u of topic %.100s: offset %lld is not in the log, whose begin and end cannot be asked now (%s)", partition,
              topic->name, (long long)cursor, rd_kafka_err2str(err));
  else if (cursor < low)
    tide_fail(
        &s->trouble, TIDE_E_MISMATCH,
        "partition %u of topic %.100s: a gap of %lld offsets: the cursor is %lld, the log begins at %lld (end %lld); retention was faster. An operator goes on at %lld "
        "by accepting the gap",
        partition, topic->name, (long long)(low - cursor), (long long)cursor, (long long)low, (long long)high, (long long)low);
  else
    tide_fail(
        &s->trouble, TIDE_E_MISMATCH,
        "partition %u of topic %.100s: the cursor is %lld and the log ends at %lld (begin %lld): it was cut or made anew. An operator goes on at a chosen offset by accepting "
        "the gap",
        partition, topic->name, (long long)cursor, (long long)high, (long long)low);
}

static void fill_trouble(struct tide_source_kafka *s, struct tide_source_kafka_topic *topic, uint16_t partition, int resp_err,
                         const char *text, struct tide_message *ret) {
  const struct tide_source_kafka_part *part = part_of(topic, partition);
  int64_t cursor = part->cursor;
  enum tide_err code = tide_kafka_err(resp_err);
  bool passes = tide_kafka_passes(resp_err);
  place_of(ret, TIDE_MESSAGE_TROUBLE, topic->source, partition, (uint64_t)cursor, (uint64_t)cursor);
  ret->stopped = !passes;
  ret->trouble = &s->trouble;
  s->stats.troubles++;
  if (!passes) stop_part(s, topic, partition);
  if (code == TIDE_E_MISMATCH) {
    describe_gap(s, topic, partition, cursor);
    return;
  }
  const char *todo = code == TIDE_E_NOT_FOUND ? CHECK_NAME
                     : code == TIDE_E_CONFIG  ? "; allow the user to read and describe the topic"
                     : code == TIDE_E_CORRUPT ? "; the log is damaged there"
                     : passes                 ? "; it is tried again"
                                              : "";
  tide_fail(&s->trouble, code, "partition %u of topic %.100s at offset %lld: %.140s%s", partition, topic->name, (long long)cursor, text,
            todo);
}

/* An error in place of a message. False: it was said a short time ago. */
static bool give_trouble(struct tide_source_kafka *s, struct tide_source_kafka_topic *topic, const rd_kafka_message_t *m,
                         struct tide_message *ret) {
  struct tide_source_kafka_part *part = part_of(topic, (uint16_t)m->partition);
  int64_t now = tide_mono_now().ns;
  if (tide_kafka_passes(m->err) && now - part->told_ns < TOLD_EVERY_NS) return false;
  part->told_ns = now;
  fill_trouble(s, topic, (uint16_t)m->partition, m->err, rd_kafka_message_errstr(m), ret);
  return true;
}

/* librdkafka may say of a topic only once that it is gone or forbidden, without a partition, or nothing at all (seen: it asked for the leader for ever). So the brokers
 * are asked: now and then, and sooner where something was started and nothing came.
 * Asks which of the started partitions do not exist or may not be read, and notes it with them. */
static void look_at_topics(struct tide_source_kafka *s) {
  s->look = false;
  s->looked_ns = tide_mono_now().ns;
  for (size_t i = 0; i < s->topic_count; i++) {
    struct tide_source_kafka_topic *topic = &s->topic[i];
    const struct rd_kafka_metadata *metadata;
    bool any = false;
    for (size_t k = 0; k < topic->part_count; k++) any = any || topic->part[k].on;
    if (!any) continue;
    if (rd_kafka_metadata(s->reader, 0, topic->reader, &metadata, ASK_MS)) return; /* no answer: another time */
    const rd_kafka_metadata_topic_t *found = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    int err = found ? (int)found->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    size_t count = found ? (size_t)found->partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (tide_kafka_passes(err)) continue;
    topic->lost = err != RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t k = err ? 0 : count; k < topic->part_count; k++)
      if (topic->part[k].on) topic->part[k].lost = err ? err : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
  }
}

static bool give_lost(struct tide_source_kafka *s, struct tide_message *ret) {
  int64_t every_ms = s->silent && s->watch_ms > SILENT_MS ? SILENT_MS : s->watch_ms;
  if (!s->look && tide_mono_now().ns - s->looked_ns < every_ms * 1000000) return false;
  look_at_topics(s);
  for (size_t i = 0; i < s->topic_count; i++)
    for (size_t k = 0; k < s->topic[i].part_count; k++) {
      int lost = s->topic[i].part[k].lost;
      if (!lost) continue;
      fill_trouble(s, &s->topic[i], (uint16_t)k, lost, rd_kafka_err2str((rd_kafka_resp_err_t)lost), ret);
      s->look = true; /* until all are told */
      return true;
    }
  return false;
}

static bool give_global(struct tide_source_kafka *s, struct tide_message *ret) {
  for (size_t i = 0; i < TIDE_SOURCE_KAFKA_GLOBALS; i++) {
    struct tide_source_kafka_global *g = &s->global[i];
    if (!g->pending) continue;
    g->pending = false;
    place_of(ret, TIDE_MESSAGE_TROUBLE, 0, 0, 0, 0);
    ret->trouble = &s->trouble;
    s->stats.troubles++;
    enum tide_err code = tide_kafka_err(g->resp_err);
    tide_fail(&s->trouble, code, "Kafka: %.250s (%s); %s", g->text, rd_kafka_err2name((rd_kafka_resp_err_t)g->resp_err),
              code == TIDE_E_CONFIG ? "check the credentials and what they allow" : "it is tried again");
    return true;
  }
  return false;
}

/* After a message or an end the brokers are there again: the next trouble is a new one and is said at once. */
static void well_again(struct tide_source_kafka *s) {
  for (size_t i = 0; i < TIDE_SOURCE_KAFKA_GLOBALS; i++)
    if (!s->global[i].pending) s->global[i].resp_err = 0;
}

/* True: *ret and *ret_err are what `next` returns. */
static bool give(struct tide_source_kafka *s, const rd_kafka_message_t *m, struct tide_message *ret, enum tide_err *ret_err,
                 struct tide_error *error) {
  *ret_err = TIDE_OK;
  struct tide_source_kafka_topic *topic = m->rkt ? rd_kafka_topic_opaque(m->rkt) : NULL;
  if (!topic) { /* an error of no partition */
    on_error(s->reader, m->err, rd_kafka_message_errstr(m), s);
    return false;
  }
  if (m->partition < 0 || (size_t)m->partition >= topic->part_count || !topic->part[m->partition].on) {
    s->stats.outdated++;
    return false;
  }
  struct tide_source_kafka_part *part = &topic->part[m->partition];
  if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) return give_trouble(s, topic, m, ret);
  if (m->offset < part->cursor) {
    s->stats.outdated++;
    return false;
  }
  part->told_ns = INT64_MIN / 2;
  s->silent -= part->silent;
  part->silent = false;
  well_again(s);
  if (atomic_load_explicit(&topic->known, memory_order_relaxed) == 0) atomic_store(&topic->known, 1); /* the topic is there */
  if (m->err) {
    part->cursor = m->offset;
    place_of(ret, TIDE_MESSAGE_END, topic->source, (uint16_t)m->partition, (uint64_t)m->offset, (uint64_t)m->offset);
    return true;
  }
  part->cursor = m->offset + 1;
  *ret_err = give_data(s, topic, m, ret, error);
  return true;
}

static void fill(struct tide_source_kafka *s) {
  rd_kafka_poll(s->reader, 0);
  rd_kafka_poll(s->side, 0);
  ssize_t n = rd_kafka_consume_batch_queue(s->queue, 0, s->batch, TIDE_SOURCE_KAFKA_BATCH);
  if (n <= 0) {
    s->batch[0] = rd_kafka_consume_queue(s->queue, s->poll_ms);
    n = s->batch[0] ? 1 : 0;
  }
  s->at = 0;
  s->count = n > 0 ? (size_t)n : 0;
}

static enum tide_err source_next(struct tide_source *source, struct tide_message *ret, struct tide_error *error) {
  struct tide_source_kafka *s = self(source);
  for (;;) {
    if (give_global(s, ret)) return TIDE_OK;
    while (s->at < s->count) {
      if (s->current) rd_kafka_message_destroy(s->current);
      s->current = s->batch[s->at++];
      enum tide_err err;
      if (s->current && give(s, s->current, ret, &err, error)) {
        s->gave = true;
        return err;
      }
    }
    if (give_lost(s, ret)) return TIDE_OK;
    if (s->gave) { /* what was given can be acted upon before anybody waits for more */
      s->gave = false;
      return TIDE_E_END;
    }
    fill(s);
    if (s->count > 0) continue;
    rd_kafka_poll(s->reader, 0); /* what went wrong while nothing came */
    return give_global(s, ret) ? TIDE_OK : TIDE_E_END;
  }
}

void tide_source_kafka_stats(struct tide_source *source, struct tide_source_kafka_stats *ret) {
  struct tide_source_kafka *s = self(source);
  *ret = s->stats;
  ret->queued = rd_kafka_queue_length(s->queue) + (s->count - s->at);
}

/* --- open and close */

static void source_close(struct tide_source *source) {
  struct tide_source_kafka *s = self(source);
  if (s->reader) {
    for (size_t i = 0; i < s->topic_count; i++)
      for (size_t k = 0; k < s->topic[i].part_count; k++) stop_part(s, &s->topic[i], (uint16_t)k);
    for (size_t i = s->at; i < s->count; i++)
      if (s->batch[i]) rd_kafka_message_destroy(s->batch[i]);
    if (s->current) rd_kafka_message_destroy(s->current);
  }
  if (s->side) {
    int64_t until_ns = tide_mono_now().ns + INT64_C(1000000) * CLOSE_MS;
    while (s->commits_open && tide_mono_now().ns < until_ns) rd_kafka_poll(s->side, 10);
  }
  for (size_t i = 0; i < s->topic_count; i++) {
    if (s->topic[i].reader) rd_kafka_topic_destroy(s->topic[i].reader);
    if (s->topic[i].side) rd_kafka_topic_destroy(s->topic[i].side);
    tide_free(s->topic[i].name);
    tide_free(s->topic[i].part);
  }
  if (s->queue) rd_kafka_queue_destroy(s->queue);
  if (s->before_queue) rd_kafka_queue_destroy(s->before_queue);
  if (s->reader) rd_kafka_destroy(s->reader);
  if (s->side) rd_kafka_destroy(s->side);
  tide_free(s->topic);
  tide_free(s);
}

static const struct tide_source_ops ops = {
    "kafka",     source_next, source_seek, source_stop, tide_source_kafka_places, tide_source_kafka_ends, tide_source_kafka_before,
    source_close};

#define CURSORS "the journal holds the cursors, so that nothing is counted twice or left out"
static const struct tide_kafka_owned owned[] = {
    {"enable.auto.commit", "false", CURSORS},
    {"auto.commit.enable", "false", CURSORS},
    {"auto.commit.interval.ms", NULL, CURSORS},
    {"enable.auto.offset.store", "false", CURSORS},
    {"offset.store.method", NULL, CURSORS},
    {"offset.store.path", NULL, CURSORS},
    {"offset.store.sync.interval.ms", NULL, CURSORS},
    {"auto.offset.reset", "error", "a gap in the log stops the partition and is an operator's to accept"},
    {"enable.partition.eof", "true", "freshness needs to know when the end of a partition was reached"},
    {"group.instance.id", NULL, "no consumer group is joined; partitions are assigned by the journal"},
    {"consume.callback.max.messages", NULL, "messages are not taken by callbacks"},
};
/* Broken messages must be seen; creating a topic by reading it would hide a wrong name. The partitions share one queue. While it holds queued.min.messages librdkafka 2.0 asks no
 * broker, and not for a second after: it has to hold more than the fastest take in a second. With 10,000 a backlog came at 16,000/s while all processors idled. */
static const struct tide_kafka_setting standard[] = {
    {"check.crcs", "true"},       {"allow.auto.create.topics", "false"}, {"client.id", "tidemark"},
    {"fetch.wait.max.ms", "100"}, {"fetch.error.backoff.ms", "200"},     {"queued.min.messages", "100000"},
};

/* One client with our callbacks. Takes the configuration. */
static enum tide_err start(struct tide_source_kafka *s, rd_kafka_conf_t *conf,
                           void (*error_cb)(rd_kafka_t *rk, int err, const char *reason, void *opaque), rd_kafka_t **ret,
                           struct tide_error *error) {
  rd_kafka_conf_set_opaque(conf, s);
  rd_kafka_conf_set_log_cb(conf, on_log);
  rd_kafka_conf_set_error_cb(conf, error_cb);
  rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
  char why[256] = "";
  *ret = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (*ret) return TIDE_OK;
  rd_kafka_conf_destroy(conf);
  return tide_fail(error, TIDE_E_CONFIG, "the Kafka consumer cannot be made of its settings: %.300s", why);
}

static rd_kafka_topic_t *topic_handle(rd_kafka_t *rk, struct tide_source_kafka_topic *topic) {
  rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(rk);
  rd_kafka_topic_conf_set_opaque(conf, topic);
  return rd_kafka_topic_new(rk, topic->name, conf);
}

static enum tide_err check(const struct tide_source_kafka_options *o, struct tide_error *error) {
  if (o->topic_count == 0) return tide_fail(error, TIDE_E_CONFIG, "no topic is configured for the Kafka source");
  for (size_t i = 0; i < o->topic_count; i++) {
    size_t len = strlen(o->topic[i].topic);
    if (len == 0 || len > 249)
      return tide_fail(error, TIDE_E_CONFIG, "\"%.60s\" is no name of a topic: 1 to 249 characters", o->topic[i].topic);
    if (o->topic[i].source == 0)
      return tide_fail(error, TIDE_E_CONFIG, "topic %.100s has source number 0, which is kept for what has no source", o->topic[i].topic);
    for (size_t k = 0; k < i; k++)
      if (o->topic[i].source == o->topic[k].source || strcmp(o->topic[i].topic, o->topic[k].topic) == 0)
        return tide_fail(error, TIDE_E_CONFIG,
                         "topics %.100s and %.100s are of one source, or are one topic: a source has one topic of its own",
                         o->topic[k].topic, o->topic[i].topic);
  }
  return TIDE_OK;
}

enum tide_err tide_source_kafka_open(const struct tide_source_kafka_options *options, struct tide_source **ret, struct tide_error *error) {
  enum tide_err err = check(options, error);
  if (err) return err;
  rd_kafka_conf_t *conf;
  err = tide_kafka_configure("consumer", owned, sizeof owned / sizeof owned[0], standard, sizeof standard / sizeof standard[0],
                             options->setting, options->setting_count, &conf, error);
  if (err) return err;
  struct tide_source_kafka *s = tide_alloc(sizeof *s);
  s->base.ops = &ops;
  s->poll_ms = options->poll_ms;
  s->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
  s->watch_ms = options->watch_ms > 0 ? options->watch_ms : WATCH_MS;
  s->looked_ns = tide_mono_now().ns;
  s->log = options->log;
  for (size_t i = 0; i < options->setting_count; i++)
    if (strcmp(options->setting[i].name, "group.id") == 0 && options->setting[i].value[0]) s->group = true;
  rd_kafka_conf_t *side = rd_kafka_conf_dup(conf);
  /* The reader belongs to no group at all. */
  if (s->group) TIDE_CHECK(rd_kafka_conf_set(conf, "group.id", "", NULL, 0) == RD_KAFKA_CONF_OK);
  err = start(s, conf, on_error, &s->reader, error);
  if (err) rd_kafka_conf_destroy(side);
  else err = start(s, side, on_side_error, &s->side, error);
  if (err) {
    source_close(&s->base);
    return err;
  }
  s->queue = rd_kafka_queue_new(s->reader);
  s->before_queue = rd_kafka_queue_new(s->side);
  s->topic = tide_alloc(options->topic_count * sizeof *s->topic);
  s->topic_count = options->topic_count;
  for (size_t i = 0; i < s->topic_count; i++) {
    struct tide_source_kafka_topic *topic = &s->topic[i];
    topic->source = options->topic[i].source;
    topic->name = tide_strdup(options->topic[i].topic);
    topic->reader = topic_handle(s->reader, topic);
    topic->side = topic_handle(s->side, topic);
    if (!topic->reader || !topic->side) {
      err = tide_fail(error, TIDE_E_CONFIG, "topic %.100s cannot be used: %s", topic->name, rd_kafka_err2str(rd_kafka_last_error()));
      source_close(&s->base);
      return err;
    }
  }
  *ret = &s->base;
  return TIDE_OK;
}
