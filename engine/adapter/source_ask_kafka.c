/* What the Kafka source asks the brokers: partitions, begins and ends of logs, what stands before a place, the group's offsets (source_kafka.h).
 *
 * Nothing here is remembered: each question goes to the brokers, with the consumer's own isolation level, so an end is never behind what the reader was given. A question
 * is asked again until its time is over while the error is one that passes (a leader that moves, a connection that broke); a partition that is not known is
 * looked for once more, because it may be newer than what the client knows of the cluster.
 *
 * `before` reads with a partition handle of the side client, one offset before the place and then further and further back, because offsets may hold no
 * message (markers of transactions, marks of ours, what compaction took away). */
#include "adapter/source_kafka_state.h"

#include "adapter/marks_kafka.h"
#include "base/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <time.h>

enum { AGAIN_MS = 100 };
#define LOOKS_BACK_MAX (UINT64_C(1) << 22) /* offsets in which `before` looks for a message */

static struct tide_source_kafka *self(struct tide_source *source) { return (struct tide_source_kafka *)source; }

static int left_ms(int64_t until_ns) {
  int64_t ms = (until_ns - tide_mono_now().ns) / 1000000;
  return ms < 1 ? 1 : (int)ms;
}
static bool again(int resp_err, int64_t until_ns) {
  if (!tide_kafka_passes(resp_err) || left_ms(until_ns) <= AGAIN_MS) return false;
  nanosleep(&(struct timespec){0, AGAIN_MS * 1000000L}, NULL);
  return true;
}

static void refresh(const struct tide_source_kafka *s, const rd_kafka_topic_partition_list_t *list, int64_t until_ns) {
  for (size_t i = 0; i < s->topic_count; i++)
    for (int k = 0; k < list->cnt; k++) {
      if (strcmp(list->elems[k].topic, s->topic[i].name) != 0) continue;
      const struct rd_kafka_metadata *metadata;
      if (rd_kafka_metadata(s->side, 0, s->topic[i].side, &metadata, left_ms(until_ns)) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
      break;
    }
}

/* The brokers' answers to "at what offset does the log begin / end, or what is the first at this time or later", one request per leader. `which`: RD_KAFKA_OFFSET_BEGINNING,
 * _END or a time in ms (then an offset may be RD_KAFKA_OFFSET_END: none). Sets the list's offsets. */
static enum tide_err list_offsets(const struct tide_source_kafka *s, rd_kafka_topic_partition_list_t *list, int64_t which, int64_t until_ns,
                                  struct tide_error *error) {
  bool refreshed = false;
  for (;;) {
    for (int i = 0; i < list->cnt; i++) {
      list->elems[i].offset = which;
      list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(s->side, list, left_ms(until_ns));
    const rd_kafka_topic_partition_t *bad = NULL;
    for (int i = 0; i < list->cnt && !bad; i++)
      if (list->elems[i].err || (list->elems[i].offset < 0 && which < 0)) bad = &list->elems[i];
    if (!err && !bad) return TIDE_OK;
    if (bad && bad->err) err = bad->err;
    if (!err) err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE; /* not answered for a partition */
    if (again(err, until_ns)) continue;
    if (!refreshed && tide_kafka_err(err) == TIDE_E_NOT_FOUND) { /* it may be newer than what this client knows of the cluster */
      refresh(s, list, until_ns);
      refreshed = true;
      continue;
    }
    if (!bad) bad = &list->elems[0];
    return tide_fail(error, tide_kafka_err(err), "cannot ask where the log of partition %d of topic %.100s %s: %s", (int)bad->partition,
                     bad->topic,
                     which == RD_KAFKA_OFFSET_END         ? "ends"
                     : which == RD_KAFKA_OFFSET_BEGINNING ? "begins"
                                                          : "stood at that time",
                     rd_kafka_err2str(err));
  }
}

static enum tide_err list_partitions(const struct tide_source_kafka *s, struct tide_source_kafka_topic *topic,
                                     rd_kafka_topic_partition_list_t *list, int64_t until_ns, struct tide_error *error) {
  for (;;) {
    const struct rd_kafka_metadata *metadata;
    /* By the reader: so it learns of new partitions too. */
    rd_kafka_resp_err_t err = rd_kafka_metadata(s->reader, 0, topic->reader, &metadata, left_ms(until_ns));
    if (!err) {
      const rd_kafka_metadata_topic_t *found = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
      err = !found ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : found->err;
      if (!err && found->partition_cnt == 0) err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
      for (int i = 0; !err && i < found->partition_cnt; i++)
        if (found->partitions[i].id > UINT16_MAX) err = RD_KAFKA_RESP_ERR_INVALID_PARTITIONS;
      if (!err) atomic_store(&topic->known, (uint32_t)found->partition_cnt);
      for (int i = 0; !err && i < found->partition_cnt; i++) rd_kafka_topic_partition_list_add(list, topic->name, found->partitions[i].id);
      rd_kafka_metadata_destroy(metadata);
      if (!err) return TIDE_OK;
    }
    if (again(err, until_ns)) continue;
    return tide_fail(error, tide_kafka_err(err), "cannot list the partitions of topic %.100s: %s", topic->name, rd_kafka_err2str(err));
  }
}

static int64_t deadline(const struct tide_source_kafka *s) { return tide_mono_now().ns + (int64_t)s->timeout_ms * 1000000; }

enum tide_err tide_source_kafka_places(struct tide_source *source, struct tide_place **ret, size_t *ret_count, struct tide_error *error) {
  const struct tide_source_kafka *s = self(source);
  int64_t until_ns = deadline(s);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
  size_t *first = tide_alloc((s->topic_count + 1) * sizeof *first); /* where each topic's begin in the list */
  enum tide_err err = TIDE_OK;
  for (size_t i = 0; i < s->topic_count && !err; i++) {
    err = list_partitions(s, &s->topic[i], list, until_ns, error);
    first[i + 1] = (size_t)list->cnt;
  }
  if (!err) err = list_offsets(s, list, RD_KAFKA_OFFSET_BEGINNING, until_ns, error);
  if (!err) {
    struct tide_place *place = tide_alloc((size_t)list->cnt * sizeof *place);
    for (size_t i = 0; i < s->topic_count; i++)
      for (size_t k = first[i]; k < first[i + 1]; k++)
        place[k] = (struct tide_place){s->topic[i].source, (uint16_t)list->elems[k].partition, (uint64_t)list->elems[k].offset};
    *ret = place;
    *ret_count = (size_t)list->cnt;
  }
  tide_free(first);
  rd_kafka_topic_partition_list_destroy(list);
  return err;
}

/* The places as a list of librdkafka's, without those of unknown sources: *ret_unknown is one of them, else 0. */
static rd_kafka_topic_partition_list_t *list_of(const struct tide_source_kafka *s, const struct tide_place *place, size_t count,
                                                uint16_t *ret_unknown) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
  *ret_unknown = 0;
  for (size_t i = 0; i < count; i++) {
    const struct tide_source_kafka_topic *topic = tide_source_kafka_topic(s, place[i].source);
    if (topic) rd_kafka_topic_partition_list_add(list, topic->name, place[i].partition)->offset = (int64_t)place[i].cursor;
    else *ret_unknown = place[i].source;
  }
  return list;
}

enum tide_err tide_source_kafka_ends(struct tide_source *source, struct tide_place *place, size_t count, struct tide_error *error) {
  const struct tide_source_kafka *s = self(source);
  if (count == 0) return TIDE_OK;
  uint16_t unknown;
  rd_kafka_topic_partition_list_t *list = list_of(s, place, count, &unknown);
  enum tide_err err = unknown ? tide_source_kafka_no_topic(unknown, error) : list_offsets(s, list, RD_KAFKA_OFFSET_END, deadline(s), error);
  for (size_t i = 0; i < count && !err; i++) place[i].cursor = (uint64_t)list->elems[i].offset;
  rd_kafka_topic_partition_list_destroy(list);
  return err;
}

enum tide_err tide_source_kafka_at_time(struct tide_source *source, int64_t ms, struct tide_place *place, size_t count,
                                        struct tide_error *error) {
  const struct tide_source_kafka *s = self(source);
  if (count == 0) return TIDE_OK;
  if (ms < 0) return tide_fail(error, TIDE_E_RANGE, "a Kafka log has no messages before 1970");
  int64_t until_ns = deadline(s);
  struct tide_place *end = tide_alloc(count * sizeof *end);
  memcpy(end, place, count * sizeof *end);
  /* The end first: a message that comes between the two questions is then one to be read. */
  enum tide_err err = tide_source_kafka_ends(source, end, count, error);
  uint16_t unknown;
  rd_kafka_topic_partition_list_t *list = list_of(s, place, count, &unknown);
  if (!err) err = list_offsets(s, list, ms, until_ns, error);
  for (size_t i = 0; i < count && !err; i++) place[i].cursor = list->elems[i].offset >= 0 ? (uint64_t)list->elems[i].offset : end[i].cursor;
  rd_kafka_topic_partition_list_destroy(list);
  tide_free(end);
  return err;
}

bool tide_source_kafka_is_mark(const rd_kafka_message_t *m) {
  rd_kafka_headers_t *headers;
  const void *value;
  size_t len;
  return m->len == 0 && rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
         rd_kafka_header_get_last(headers, TIDE_KAFKA_MARK, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Reads from `from` on and keeps the last message below `cursor` in out. Errors: END: none there. */
static enum tide_err last_below(struct tide_source_kafka *s, const struct tide_source_kafka_topic *topic, uint16_t partition, int64_t from,
                                int64_t cursor, int64_t until_ns, struct tide_buf *out, struct tide_error *error) {
  if (rd_kafka_consume_start_queue(topic->side, partition, from, s->before_queue) != 0)
    return tide_fail(error, TIDE_E_IO, "cannot read partition %u of topic %.100s: %s", partition, topic->name,
                     rd_kafka_err2str(rd_kafka_last_error()));
  bool found = false, done = false;
  enum tide_err err = TIDE_OK;
  while (!done && !err) {
    rd_kafka_message_t *m = rd_kafka_consume_queue(s->before_queue, left_ms(until_ns));
    if (!m) {
      err = tide_fail(error, TIDE_E_IO, "no answer in %d ms to what stands before offset %lld of partition %u of topic %.100s",
                      s->timeout_ms, (long long)cursor, partition, topic->name);
      break;
    }
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      if (!tide_kafka_passes(m->err))
        err = tide_fail(error, tide_kafka_err(m->err), "cannot read what stands before offset %lld of partition %u of topic %.100s: %.150s",
                        (long long)cursor, partition, topic->name, rd_kafka_message_errstr(m));
    } else if (m->err || m->offset >= cursor) {
      done = true;
    } else if (tide_source_kafka_is_mark(m)) {
      done = m->offset == cursor - 1;
    } else {
      found = true;
      done = m->offset == cursor - 1;
      tide_buf_clear(out);
      if (m->payload && m->len <= TIDE_MESSAGE_BYTES_MAX) tide_buf_put(out, m->payload, m->len);
    }
    rd_kafka_message_destroy(m);
  }
  (void)rd_kafka_consume_stop(topic->side, partition);
  return err ? err : found ? TIDE_OK : TIDE_E_END;
}

enum tide_err tide_source_kafka_before(struct tide_source *source, struct tide_place place, struct tide_buf *out,
                                       struct tide_error *error) {
  struct tide_source_kafka *s = self(source);
  const struct tide_source_kafka_topic *topic = tide_source_kafka_topic(s, place.source);
  if (!topic) return tide_source_kafka_no_topic(place.source, error);
  int64_t until_ns = deadline(s), cursor = (int64_t)place.cursor;
  int64_t edge[2];
  for (int i = 0; i < 2; i++) {
    uint16_t unknown;
    rd_kafka_topic_partition_list_t *list = list_of(s, &place, 1, &unknown);
    enum tide_err err = list_offsets(s, list, i == 0 ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END, until_ns, error);
    edge[i] = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (err) return err;
  }
  if (place.cursor > (uint64_t)edge[1] || cursor < edge[0])
    return tide_fail(error, TIDE_E_MISMATCH, "the log of partition %u of topic %.100s goes from %lld to %lld: offset %llu is not in it",
                     place.partition, topic->name, (long long)edge[0], (long long)edge[1], (unsigned long long)place.cursor);
  /* What stands directly before may be no message (a marker, or removed by compaction): look further and further back. */
  struct tide_buf last = TIDE_BUF_INIT;
  enum tide_err err = TIDE_E_END;
  for (int64_t back = 1; err == TIDE_E_END && cursor > edge[0]; back *= 8) {
    int64_t from = cursor - edge[0] > back ? cursor - back : edge[0];
    err = last_below(s, topic, place.partition, from, cursor, until_ns, &last, error);
    if (from == edge[0] || back >= (int64_t)LOOKS_BACK_MAX) break;
  }
  if (err == TIDE_OK) tide_buf_put(out, last.ptr, last.len);
  if (err == TIDE_E_END)
    tide_fail(error, TIDE_E_END, "no message stands before offset %llu of partition %u of topic %.100s", (unsigned long long)place.cursor,
              place.partition, topic->name);
  tide_buf_release(&last);
  return err;
}

/* --- the group's offsets */

void tide_source_kafka_commit(struct tide_source *source, const struct tide_place *place, size_t count) {
  struct tide_source_kafka *s = self(source);
  if (!s->group || count == 0) return;
  rd_kafka_poll(s->side, 0);
  uint16_t unknown;
  rd_kafka_topic_partition_list_t *list = list_of(s, place, count, &unknown);
  s->stats.commits++;
  if (list->cnt && rd_kafka_commit(s->side, list, 1) == RD_KAFKA_RESP_ERR_NO_ERROR) s->commits_open++;
  else s->stats.commits_failed++;
  rd_kafka_topic_partition_list_destroy(list);
}

enum tide_err tide_source_kafka_committed(struct tide_source *source, struct tide_place *place, size_t count, struct tide_error *error) {
  const struct tide_source_kafka *s = self(source);
  if (count == 0) return TIDE_OK;
  uint16_t unknown;
  rd_kafka_topic_partition_list_t *list = list_of(s, place, count, &unknown);
  enum tide_err err = unknown ? tide_source_kafka_no_topic(unknown, error) : TIDE_OK;
  if (!err && s->group) {
    rd_kafka_resp_err_t why = rd_kafka_committed(s->side, list, s->timeout_ms);
    for (int i = 0; i < list->cnt && !why; i++) why = list->elems[i].err;
    if (why) err = tide_fail(error, tide_kafka_err(why), "cannot ask what the consumer group has committed: %s", rd_kafka_err2str(why));
  }
  for (size_t i = 0; i < count && !err; i++) {
    int64_t offset = s->group ? list->elems[i].offset : -1;
    place[i].cursor = offset < 0 ? UINT64_MAX : (uint64_t)offset;
  }
  rd_kafka_topic_partition_list_destroy(list);
  return err;
}
