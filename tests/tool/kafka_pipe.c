/* Topics of a real broker, for tests in Python: makes them, puts messages into them, reads them from the first message to the end.
 *
 *   kafka_pipe topics BROKERS NAME:PARTITIONS[:SETTING=VALUE]...
 *   kafka_pipe put BROKERS [NAME=VALUE...]        lines of stdin: TOPIC, PARTITION, TIME_MS, KEY, HEADERS, VALUE, with a tab between
 *   kafka_pipe get BROKERS TOPIC...               a JSON object per message on stdout
 *   kafka_pipe grow BROKERS TOPIC PARTITIONS      more partitions for a topic
 *   kafka_pipe drop BROKERS TOPIC                 deletes a topic
 *   kafka_pipe cut BROKERS TOPIC PARTITION BEFORE  removes what stands before an offset, as retention does
 *   kafka_pipe ends BROKERS TOPIC...              lines of stdout: TOPIC, PARTITION, FIRST, END
 *
 * PARTITION -1: by the key. TIME_MS 0: now. HEADERS: "a=b;c=d". VALUE "hex:00ff": these bytes. NAME=VALUE are settings of librdkafka. An empty line asks that everything so far has
 * arrived; the answer is a line with the number of messages that did. Exit code 1: something did not arrive, or a topic ended before its end was read.
 * Messages of one partition arrive in the order of their lines, each once (enable.idempotence). `get` reads up to the ends as they were when it
 * began, so it ends also while others go on writing. */
#include <inttypes.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, TOPICS_MAX = 64, PARTITIONS_MAX = 256, MAX_PARTS = 8 };

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "kafka_pipe: %s: %s\n", what, why);
  exit(1);
}

static long long whole(const char *text) {
  char *end;
  long long value = strtoll(text, &end, 10);
  if (end == text || *end) die(text, "is not a number");
  return value;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
  char why[256];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) die(name, why);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *brokers) {
  char why[256];
  set(conf, "bootstrap.servers", brokers);
  rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
  if (!rk) die("librdkafka", why);
  return rk;
}

/* ---- topics ---- */

static int make_topics(rd_kafka_t *rk, char **name, int count) {
  rd_kafka_NewTopic_t *topic[TOPICS_MAX];
  char why[256];
  if (count < 1 || count > TOPICS_MAX) die("topics", "1 to 64 of them");
  for (int i = 0; i < count; i++) {
    char *part[MAX_PARTS];
    int parts = 0;
    for (char *at = name[i]; at && parts < MAX_PARTS; parts++) part[parts] = strsep(&at, ":");
    if (parts < 2) die(name[i], "is not NAME:PARTITIONS");
    topic[i] = rd_kafka_NewTopic_new(part[0], (int)whole(part[1]), 1, why, sizeof why);
    if (!topic[i]) die(name[i], why);
    for (int k = 2; k < parts; k++) {
      char *value = part[k], *setting = strsep(&value, "=");
      if (!value || rd_kafka_NewTopic_set_config(topic[i], setting, value)) die(setting, "is not SETTING=VALUE");
    }
  }
  rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
  rd_kafka_CreateTopics(rk, topic, (size_t)count, NULL, queue);
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
  if (!event || rd_kafka_event_error(event)) die("topics", event ? rd_kafka_event_error_string(event) : "no answer");
  size_t results;
  const rd_kafka_topic_result_t **result = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &results);
  for (size_t i = 0; i < results; i++)
    if (rd_kafka_topic_result_error(result[i])) die(rd_kafka_topic_result_name(result[i]), rd_kafka_topic_result_error_string(result[i]));
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy_array(topic, (size_t)count);
  return 0;
}

static rd_kafka_event_t *answer(rd_kafka_queue_t *queue, const char *what) {
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
  if (!event || rd_kafka_event_error(event)) die(what, event ? rd_kafka_event_error_string(event) : "no answer");
  rd_kafka_queue_destroy(queue);
  return event;
}

static void check_result(const rd_kafka_topic_result_t **result, size_t count, const char *what) {
  if (count != 1 || rd_kafka_topic_result_error(result[0]))
    die(what, count == 1 ? rd_kafka_topic_result_error_string(result[0]) : "another answer than asked");
}

static int grow(rd_kafka_t *rk, const char *topic, size_t partitions) {
  char why[256];
  size_t count;
  rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(topic, partitions, why, sizeof why);
  if (!more) die("grow", why);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
  rd_kafka_CreatePartitions(rk, &more, 1, NULL, queue);
  rd_kafka_event_t *event = answer(queue, "grow");
  const rd_kafka_topic_result_t **result = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
  check_result(result, count, "grow");
  rd_kafka_event_destroy(event);
  rd_kafka_NewPartitions_destroy(more);
  return 0;
}

static int drop(rd_kafka_t *rk, const char *topic) {
  size_t count;
  rd_kafka_DeleteTopic_t *order = rd_kafka_DeleteTopic_new(topic);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
  rd_kafka_DeleteTopics(rk, &order, 1, NULL, queue);
  rd_kafka_event_t *event = answer(queue, "drop");
  const rd_kafka_topic_result_t **result = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  check_result(result, count, "drop");
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteTopic_destroy(order);
  return 0;
}

static int cut(rd_kafka_t *rk, const char *topic, int partition, int64_t before) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
  rd_kafka_DeleteRecords_t *order = rd_kafka_DeleteRecords_new(list);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
  rd_kafka_DeleteRecords(rk, &order, 1, NULL, queue);
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
  if (!event || rd_kafka_event_error(event)) die("cut", event ? rd_kafka_event_error_string(event) : "no answer");
  const rd_kafka_topic_partition_list_t *done = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
  if (done->cnt != 1 || done->elems[0].err) die("cut", done->cnt == 1 ? rd_kafka_err2str(done->elems[0].err) : "another answer than asked");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_DeleteRecords_destroy(order);
  rd_kafka_topic_partition_list_destroy(list);
  return 0;
}

/* ---- put ---- */

static uint64_t arrived, failed;

static void report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *ctx) {
  (void)rk;
  (void)ctx;
  if (!message->err) arrived++;
  else if (!failed++) fprintf(stderr, "kafka_pipe: not delivered: %s\n", rd_kafka_err2str(message->err));
}

static rd_kafka_headers_t *headers_of(char *text) {
  if (!*text) return NULL;
  rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
  for (char *next, *at = text; at; at = next) {
    next = strchr(at, ';');
    if (next) *next++ = '\0';
    char *equals = strchr(at, '=');
    if (!equals) die(at, "is not a header NAME=VALUE");
    *equals = '\0';
    rd_kafka_header_add(headers, at, -1, equals + 1, -1);
  }
  return headers;
}

/* The bytes of "hex:00ff" instead of it. */
static size_t value_of(char *text) {
  size_t len = 0;
  if (strncmp(text, "hex:", 4) != 0) return strlen(text);
  for (const char *at = text + 4; *at; at += 2) {
    unsigned byte;
    if (sscanf(at, "%2x", &byte) != 1 || !at[1]) die(at, "is not hexadecimal");
    text[len++] = (char)byte;
  }
  return len;
}

static void put_line(rd_kafka_t *rk, char *line) {
  char *field[6];
  for (int i = 0; i < 6; i++) {
    field[i] = line;
    if (i == 5) break;
    line = strchr(line, '\t');
    if (!line) die("put", "a line has six fields with tabs between");
    *line++ = '\0';
  }
  rd_kafka_headers_t *headers = headers_of(field[4]);
  size_t size = value_of(field[5]);
  rd_kafka_vu_t part[7] = {{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = field[0]},
                           {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = (int32_t)whole(field[1])},
                           {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = whole(field[2])},
                           {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = field[3], .size = strlen(field[3])}},
                           {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = field[5], .size = size}},
                           {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK},
                           {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers}};
  rd_kafka_error_t *error = rd_kafka_produceva(rk, part, headers ? 7 : 6);
  if (error) die(field[0], rd_kafka_error_string(error));
}

static int put(const char *brokers, char **setting, int count) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "enable.idempotence", "true");
  set(conf, "linger.ms", "1");
  for (int i = 0; i < count; i++) {
    char *equals = strchr(setting[i], '=');
    if (!equals) die(setting[i], "is not NAME=VALUE");
    *equals = '\0';
    set(conf, setting[i], equals + 1);
  }
  rd_kafka_conf_set_dr_msg_cb(conf, report);
  rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf, brokers);
  char *line = NULL;
  size_t cap = 0;
  for (ssize_t length; (length = getline(&line, &cap, stdin)) > 0;) {
    if (line[length - 1] == '\n') line[--length] = '\0';
    if (length) {
      put_line(rk, line);
      rd_kafka_poll(rk, 0);
      continue;
    }
    if (rd_kafka_flush(rk, TIMEOUT_MS * 4) || failed) break;
    printf("%" PRIu64 "\n", arrived);
    fflush(stdout);
  }
  free(line);
  bool all = rd_kafka_flush(rk, TIMEOUT_MS * 4) == RD_KAFKA_RESP_ERR_NO_ERROR && !failed;
  rd_kafka_destroy(rk);
  return all ? 0 : 1;
}

/* ---- get, ends ---- */

struct range {
  const char *topic;
  int32_t partition;
  int64_t first, end, at;
};

static size_t ranges_of(rd_kafka_t *rk, char **name, int count, struct range *range) {
  size_t found = 0;
  for (int i = 0; i < count; i++) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name[i], NULL);
    const struct rd_kafka_metadata *meta;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, topic, &meta, TIMEOUT_MS);
    if (err) die(name[i], rd_kafka_err2str(err));
    if (meta->topic_cnt != 1 || meta->topics[0].err) die(name[i], rd_kafka_err2str(meta->topics[0].err));
    for (int p = 0; p < meta->topics[0].partition_cnt; p++) {
      if (found == PARTITIONS_MAX) die(name[i], "too many partitions");
      struct range *r = &range[found++];
      *r = (struct range){.topic = name[i], .partition = p};
      err = rd_kafka_query_watermark_offsets(rk, name[i], p, &r->first, &r->end, TIMEOUT_MS);
      if (err) die(name[i], rd_kafka_err2str(err));
      r->at = r->first;
    }
    rd_kafka_metadata_destroy(meta);
    rd_kafka_topic_destroy(topic);
  }
  return found;
}

static json_t *text_of(const void *ptr, size_t len) {
  json_t *text = ptr ? json_stringn(ptr, len) : json_null();
  if (!text) die("get", "a message that is not UTF-8");
  return text;
}

static void print_message(const rd_kafka_message_t *message) {
  rd_kafka_timestamp_type_t type;
  json_t *headers = json_object();
  rd_kafka_headers_t *list;
  if (rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; rd_kafka_header_get_all(list, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
      json_object_set_new(headers, name, text_of(value, len));
  }
  json_t *whole_message =
      json_pack("{s:s, s:i, s:I, s:I, s:o, s:o, s:o}", "topic", rd_kafka_topic_name(message->rkt), "partition", (int)message->partition,
                "offset", (json_int_t)message->offset, "time", (json_int_t)rd_kafka_message_timestamp(message, &type), "key",
                text_of(message->key, message->key_len), "headers", headers, "value", text_of(message->payload, message->len));
  if (!whole_message || json_dumpf(whole_message, stdout, JSON_COMPACT) != 0) die("get", "cannot print a message");
  putchar('\n');
  json_decref(whole_message);
}

static int get(rd_kafka_t *rk, struct range *range, size_t count) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
  size_t open = 0;
  for (size_t i = 0; i < count; i++) {
    if (range[i].at >= range[i].end) continue;
    rd_kafka_topic_partition_list_add(list, range[i].topic, range[i].partition)->offset = range[i].first;
    open++;
  }
  rd_kafka_resp_err_t err = rd_kafka_assign(rk, list);
  rd_kafka_topic_partition_list_destroy(list);
  if (err) die("get", rd_kafka_err2str(err));
  while (open) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, TIMEOUT_MS);
    if (!message) die("get", "no message came for 30 s");
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) die("get", rd_kafka_message_errstr(message));
    for (size_t i = 0; i < count; i++) {
      struct range *r = &range[i];
      if (r->partition != message->partition || strcmp(r->topic, rd_kafka_topic_name(message->rkt)) != 0 || r->at >= r->end) continue;
      if (!message->err && message->offset < r->end) print_message(message);
      r->at = message->err ? message->offset : message->offset + 1;
      if (r->at >= r->end) open--;
    }
    rd_kafka_message_destroy(message);
  }
  return 0;
}

static rd_kafka_t *reader(const char *brokers) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  set(conf, "group.id", "kafka_pipe");
  set(conf, "enable.auto.commit", "false");
  set(conf, "enable.partition.eof", "true");
  set(conf, "fetch.wait.max.ms", "10");
  set(conf, "isolation.level", "read_committed");
  return client(RD_KAFKA_CONSUMER, conf, brokers);
}

int main(int argc, char **argv) {
  if (argc < 3) die("usage", "kafka_pipe topics|grow|drop|put|get|cut|ends BROKERS ...");
  const char *what = argv[1], *brokers = argv[2];
  if (strcmp(what, "put") == 0) return put(brokers, argv + 3, argc - 3);
  bool writes = strcmp(what, "topics") == 0 || strcmp(what, "cut") == 0 || strcmp(what, "grow") == 0 || strcmp(what, "drop") == 0;
  rd_kafka_t *rk = writes ? client(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), brokers) : reader(brokers);
  int code = 0;
  struct range range[PARTITIONS_MAX];
  if (strcmp(what, "topics") == 0) {
    code = make_topics(rk, argv + 3, argc - 3);
  } else if (strcmp(what, "get") == 0) {
    code = get(rk, range, ranges_of(rk, argv + 3, argc - 3, range));
  } else if (strcmp(what, "ends") == 0) {
    size_t count = ranges_of(rk, argv + 3, argc - 3, range);
    for (size_t i = 0; i < count; i++)
      printf("%s\t%d\t%" PRId64 "\t%" PRId64 "\n", range[i].topic, (int)range[i].partition, range[i].first, range[i].end);
  } else if (strcmp(what, "grow") == 0 && argc == 5) {
    code = grow(rk, argv[3], (size_t)whole(argv[4]));
  } else if (strcmp(what, "drop") == 0 && argc == 4) {
    code = drop(rk, argv[3]);
  } else if (strcmp(what, "cut") == 0 && argc == 6) {
    code = cut(rk, argv[3], (int)whole(argv[4]), whole(argv[5]));
  } else {
    die(what, "is not topics, grow, drop, put, get, cut or ends, or lacks a word");
  }
  rd_kafka_destroy(rk);
  return code;
}
