/* Through the whole pipeline: producer -> Kafka -> Tidemark -> journal with WAIT on three Redis servers -> decision -> topic of scores, on one machine.
 *
 *   bench_pipeline [--quick]      bench/pipeline.py starts the servers, calls this program as below, and prints the table
 *   bench_pipeline fill BROKERS TOPIC PARTITIONS LOG COUNT SPAN_MS
 *   bench_pipeline run BROKERS TOPIC PARTITIONS LOG RATE SECONDS SCORES
 *   bench_pipeline until BROKERS TOPIC COUNT
 *
 * `fill` puts a backlog of COUNT authorizations into a topic, their times spread over the last SPAN_MS. `run` is an open loop: authorizations leave at
 * their intended times (evenly spaced) whatever comes back, and the latency of each is counted from its intended time until its decision was read from
 * the topic SCORES. Messages are the authorizations of a generated log, over and over, each with an id and a time of its own; the partition is
 * chosen by the card. The n-th message of a partition has the n-th offset after the topic's end, because the producer is idempotent; so decisions
 * are matched by the headers that say which message they answer; one that was never asked for ends the run, one that came twice is counted.
 *
 * `until` waits until a topic has COUNT messages. The last line of `run` is: sent, answered, seconds, p50, p99, p99.9 and greatest latency in ms,
 * how far sending fell behind at most, in ms, and how many answers came twice. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

enum { PARTITIONS_MAX = 64, BATCH = 1000, TIMEOUT_MS = 30000, PATIENCE_S = 30 };
#define RRN "\"rrn\":\""
#define AT "\"at\":\""
#define CARD "\"number\":\""

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "bench_pipeline: %s: %s\n", what, why);
  exit(1);
}

static double whole(const char *text, double most) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || value < 0 || value > most) die(text, "is not a number in range");
  return value;
}

/* ---- messages ---- */

struct message {
  char *text;
  size_t len, rrn, at; /* where its id and time stand */
  int partition;
  int64_t time_ms;
};

static struct message *messages;
static size_t message_count;
static int partitions;

static size_t place_of(const char *text, const char *name, size_t len) {
  const char *found = strstr(text, name);
  if (!found || strcspn(found + strlen(name), "\"") < len) die("the log", "has an authorization without id, time or card");
  return (size_t)(found - text) + strlen(name);
}

static void load_log(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) die(path, "cannot be opened");
  char *line = NULL;
  size_t cap = 0;
  for (ssize_t len; (len = getline(&line, &cap, file)) > 0;) {
    if (!strstr(line, "\"type\":\"auth\"")) continue;
    line[--len] = '\0';
    messages = tide_realloc(messages, (message_count + 1) * sizeof *messages);
    size_t card = place_of(line, CARD, 12);
    uint64_t hash = tide_hash64(line + card, strcspn(line + card, "\""), 0);
    messages[message_count++] = (struct message){.text = tide_strdup(line),
                                                 .len = (size_t)len,
                                                 .rrn = place_of(line, RRN, 12),
                                                 .at = place_of(line, AT, 24),
                                                 .partition = (int)(hash % (uint64_t)partitions)};
  }
  free(line);
  fclose(file);
  if (message_count < 1000) die(path, "holds too few authorizations");
}

/* The n-th message with its own id and time, in place. */
static const struct message *message_at(uint64_t n, uint64_t id, int64_t time_ms) {
  struct message *message = &messages[n % message_count];
  char rrn[24], at[TIDE_TIME_TEXT];
  snprintf(rrn, sizeof rrn, "%012" PRIu64, id % UINT64_C(1000000000000));
  memcpy(message->text + message->rrn, rrn, 12);
  memcpy(message->text + message->at, tide_time_format((struct tide_etime){time_ms}, at), 24);
  message->time_ms = time_ms;
  return message;
}

/* ---- clients ---- */

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers, void (*report)(rd_kafka_t *, const rd_kafka_message_t *, void *)) {
  /* Both as librdkafka comes (linger.ms 5, fetch.min.bytes 1): clients that nobody has tuned. */
  static const char *const producer[] = {
      "enable.idempotence", "true", "queue.buffering.max.messages", "2000000", "queue.buffering.max.kbytes", "1048576", NULL};
  static const char *const consumer[] = {"group.id", "bench_pipeline", "enable.auto.commit", "false", NULL};
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  for (const char *const *at = type == RD_KAFKA_PRODUCER ? producer : consumer; *at; at += 2)
    if (rd_kafka_conf_set(conf, at[0], at[1], why, sizeof why) != RD_KAFKA_CONF_OK) die(at[0], why);
  if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) != RD_KAFKA_CONF_OK) die(brokers, why);
  if (report) rd_kafka_conf_set_dr_msg_cb(conf, report);
  rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
  if (!rk) die("librdkafka", why);
  return rk;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *ctx) {
  (void)rk, (void)ctx;
  if (message->err) die("a message did not arrive", rd_kafka_err2str(message->err));
}

static int partitions_of(rd_kafka_t *rk, rd_kafka_topic_t *topic) {
  const struct rd_kafka_metadata *meta;
  rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, topic, &meta, TIMEOUT_MS);
  if (!err) err = meta->topics[0].err;
  if (err) die(rd_kafka_topic_name(topic), rd_kafka_err2str(err));
  int count = meta->topics[0].partition_cnt;
  rd_kafka_metadata_destroy(meta);
  return count;
}

/* A topic whose leaders the producer knows: else its first messages wait up to a second for them, which is no latency of the engine's. */
static rd_kafka_topic_t *topic_of(rd_kafka_t *rk, const char *name) {
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
  (void)partitions_of(rk, topic);
  return topic;
}

/* The message came to the log at its own time: one that is put there now with a time of ten minutes ago would tell of a queue in front of Kafka, and be refused for it. False: the
 * producer's queue is full. */
static bool produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct message *message) {
  rd_kafka_resp_err_t err =
      rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(message->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                        RD_KAFKA_V_VALUE(message->text, message->len), RD_KAFKA_V_TIMESTAMP(message->time_ms), RD_KAFKA_V_END);
  if (err && err != RD_KAFKA_RESP_ERR__QUEUE_FULL) die("produce", rd_kafka_err2str(err));
  return !err;
}

/* Ids never meet those of an earlier run on the same topics. */
static uint64_t first_id(void) { return (uint64_t)tide_wall_now().ms * 1000 % UINT64_C(900000000000); }

static int fill(const char *brokers, const char *topic_name, uint64_t count, int64_t span_ms) {
  rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, brokers, on_report);
  rd_kafka_topic_t *topic = topic_of(rk, topic_name);
  uint64_t id = first_id();
  int64_t end_ms = tide_wall_now().ms;
  struct tide_mono began = tide_mono_now();
  for (uint64_t n = 0; n < count; n++) {
    const struct message *message = message_at(n, id + n, end_ms - span_ms + (int64_t)((double)n / (double)count * (double)span_ms));
    while (!produce(rk, topic, message)) rd_kafka_poll(rk, 10);
    if (n % 256 == 0) rd_kafka_poll(rk, 0);
  }
  if (rd_kafka_flush(rk, TIMEOUT_MS * 4)) die("fill", "not everything arrived within 2 minutes");
  double seconds = (double)(tide_mono_now().ns - began.ns) / 1e9;
  printf("%" PRIu64 " %.3f\n", count, seconds);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(rk);
  return 0;
}

/* ---- an open loop ---- */

struct lane {
  int64_t base;         /* offset of its first message in this run */
  int64_t *intended_ns; /* of each message; 0: answered */
  size_t count, cap;
};

struct run {
  rd_kafka_queue_t *answers;
  struct lane lane[PARTITIONS_MAX];
  float *latency_ms;
  size_t answered, cap, twice;
};

static void lane_add(struct lane *lane, int64_t intended_ns) {
  if (lane->count == lane->cap) {
    lane->cap = lane->cap ? lane->cap * 2 : 4096;
    lane->intended_ns = tide_realloc(lane->intended_ns, lane->cap * sizeof *lane->intended_ns);
  }
  lane->intended_ns[lane->count++] = intended_ns;
}

static int64_t header_number(rd_kafka_headers_t *headers, const char *name) {
  const void *value;
  size_t len;
  char text[24] = "";
  if (rd_kafka_header_get_last(headers, name, &value, &len) || len >= sizeof text) die(name, "a decision lacks this header");
  memcpy(text, value, len);
  return strtoll(text, NULL, 10);
}

static void take_answer(struct run *run, const rd_kafka_message_t *message, int64_t now_ns) {
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return;
  if (message->err) die("scores", rd_kafka_message_errstr(message));
  rd_kafka_headers_t *headers;
  if (rd_kafka_message_headers(message, &headers)) die("scores", "a decision without headers");
  int64_t partition = header_number(headers, "tidemark-partition"), offset = header_number(headers, "tidemark-offset");
  if (partition < 0 || partition >= partitions) die("scores", "an answer to a partition that there is not");
  struct lane *lane = &run->lane[partition];
  if (offset < lane->base) return; /* to a run before this one */
  size_t at = (size_t)(offset - lane->base);
  if (at >= lane->count) die("scores", "an answer to nothing that was asked");
  if (!lane->intended_ns[at]) {
    run->twice++;
    return;
  }
  if (run->answered == run->cap) {
    run->cap = run->cap ? run->cap * 2 : 65536;
    run->latency_ms = tide_realloc(run->latency_ms, run->cap * sizeof *run->latency_ms);
  }
  run->latency_ms[run->answered++] = (float)((double)(now_ns - lane->intended_ns[at]) / 1e6);
  lane->intended_ns[at] = 0;
}

static bool take_answers(struct run *run, int wait_ms) {
  rd_kafka_message_t *batch[BATCH];
  ssize_t count = rd_kafka_consume_batch_queue(run->answers, wait_ms, batch, BATCH);
  int64_t now_ns = tide_mono_now().ns;
  for (ssize_t i = 0; i < count; i++) {
    take_answer(run, batch[i], now_ns);
    rd_kafka_message_destroy(batch[i]);
  }
  return count > 0;
}

static int64_t end_of(rd_kafka_t *rk, const char *topic, int partition) {
  int64_t low, high;
  rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, TIMEOUT_MS);
  if (err) die(topic, rd_kafka_err2str(err));
  return high;
}

/* One request for all partitions, ten times a second: watching takes little from what is watched. */
static int until(const char *brokers, const char *topic_name, int64_t count) {
  rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, brokers, NULL);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, topic_name, NULL);
  int parts = partitions_of(rk, topic);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(parts);
  for (int p = 0; p < parts; p++) rd_kafka_topic_partition_list_add(list, topic_name, p);
  int64_t there = 0, before = -1;
  for (struct tide_mono moved = tide_mono_now(); there < count; usleep(100000)) {
    for (int p = 0; p < parts; p++) list->elems[p].offset = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(rk, list, TIMEOUT_MS);
    there = 0;
    for (int p = 0; p < parts && !err; p++) {
      err = list->elems[p].err;
      there += list->elems[p].offset;
    }
    if (err) die(topic_name, rd_kafka_err2str(err));
    if (there != before) moved = tide_mono_now();
    else if (tide_mono_now().ns - moved.ns > PATIENCE_S * INT64_C(1000000000)) die(topic_name, "does not grow any more");
    before = there;
  }
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(rk);
  return 0;
}

static void listen_to(struct run *run, rd_kafka_t *rk, const char *scores) {
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, scores, NULL);
  int parts = partitions_of(rk, topic); /* the topic lives as long as it is read: until this program ends */
  run->answers = rd_kafka_queue_new(rk);
  for (int p = 0; p < parts; p++)
    if (rd_kafka_consume_start_queue(topic, p, end_of(rk, scores, p), run->answers)) die(scores, rd_kafka_err2str(rd_kafka_last_error()));
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static double quantile(const struct run *run, double q) {
  if (!run->answered) die("run", "nothing was answered");
  return (double)run->latency_ms[(size_t)(q * (double)(run->answered - 1))];
}

static int run_open_loop(const char *brokers, const char *topic_name, double rate, double seconds, const char *scores) {
  static struct run run;
  rd_kafka_t *reader = client(RD_KAFKA_CONSUMER, brokers, NULL), *writer = client(RD_KAFKA_PRODUCER, brokers, on_report);
  for (int p = 0; p < partitions; p++) run.lane[p].base = end_of(reader, topic_name, p);
  listen_to(&run, reader, scores);
  rd_kafka_topic_t *topic = topic_of(writer, topic_name);
  uint64_t id = first_id(), n = 0, total = (uint64_t)(rate * seconds);
  struct tide_mono began = tide_mono_now();
  int64_t behind_ns = 0, last_ns = began.ns;
  while (run.answered < total) {
    int64_t now_ns = tide_mono_now().ns;
    uint64_t due = (uint64_t)((double)(now_ns - began.ns) / 1e9 * rate);
    if (due > total) due = total;
    bool idle = n >= due;
    for (int burst = 0; n < due && burst < 256; burst++, n++) {
      int64_t intended_ns = began.ns + (int64_t)((double)n / rate * 1e9);
      const struct message *message = message_at(n, id + n, tide_wall_now().ms);
      if (!produce(writer, topic, message)) break;
      lane_add(&run.lane[message->partition], intended_ns);
      if (now_ns - intended_ns > behind_ns) behind_ns = now_ns - intended_ns;
    }
    rd_kafka_poll(writer, 0);
    if (take_answers(&run, 0)) last_ns = tide_mono_now().ns;
    else if (idle) usleep(100);
    if (now_ns - last_ns > PATIENCE_S * INT64_C(1000000000)) break;
  }
  qsort(run.latency_ms, run.answered, sizeof *run.latency_ms, by_value);
  printf("%" PRIu64 " %zu %.3f %.2f %.2f %.2f %.2f %.2f %zu\n", n, run.answered, (double)(last_ns - began.ns) / 1e9, quantile(&run, 0.5),
         quantile(&run, 0.99), quantile(&run, 0.999), quantile(&run, 1), (double)behind_ns / 1e6, run.twice);
  fflush(stdout);
  bool all = run.answered == total;
  if (!all) fprintf(stderr, "bench_pipeline: %zu of %" PRIu64 " were answered\n", run.answered, total);
  _exit(all ? 0 : 1); /* closing clients with queues of their own takes seconds, and nothing is to be kept */
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "until") == 0 && argc == 5) return until(argv[2], argv[3], (int64_t)whole(argv[4], 1e12));
  bool fills = strcmp(what, "fill") == 0, runs = strcmp(what, "run") == 0;
  if (!fills && !runs) {
    char *words[16] = {"python3", "bench/pipeline.py"};
    for (int i = 1; i < argc && i < 13; i++) words[i + 1] = argv[i];
    execvp(words[0], words);
    die("python3 bench/pipeline.py", "cannot be started");
  }
  if (argc != (fills ? 8 : 9))
    die("usage", "fill BROKERS TOPIC PARTITIONS LOG COUNT SPAN_MS | run BROKERS TOPIC PARTITIONS LOG RATE SECONDS SCORES");
  partitions = (int)whole(argv[4], PARTITIONS_MAX);
  if (partitions < 1) die(argv[4], "is not a number of partitions");
  load_log(argv[5]);
  if (fills) return fill(argv[2], argv[3], (uint64_t)whole(argv[6], 1e9), (int64_t)whole(argv[7], 1e12));
  return run_open_loop(argv[2], argv[3], whole(argv[6], 1e7), whole(argv[7], 1e5), argv[8]);
}
