/* The questions of `doctor` to a Kafka cluster (doctor_kafka.h).
 *
 * One client, which never subscribes. The first question decides whether anybody is there; librdkafka answers it with "timed out" whatever the reason is, so the last
 * error of its connections is told with it: a wrong port, a name that does not resolve and a refused password look different there. */
#include "adapter/doctor_kafka.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "port/source.h"

#define CLOCK_MS 2000             /* beyond which clocks are told to differ */
#define KAFKA_MESSAGE_MAX 1048588 /* Kafka's own default of max.message.bytes */

struct examiner {
  const struct tide_kafka_doctor_options *options;
  rd_kafka_t *rk;
  tide_kafka_finding_fn fn;
  void *ctx;
  char last_error[256]; /* of a connection */
};

static const char *const what_names[] = {[TIDE_KAFKA_SOURCE] = "source",
                                         [TIDE_KAFKA_SCORES] = "scores",
                                         [TIDE_KAFKA_DEAD_LETTERS] = "dead_letters",
                                         [TIDE_KAFKA_COPIES] = "copies"};

static void tell(const struct examiner *e, enum tide_kafka_finding level, const char *what, const char *fmt, ...) TIDE_PRINTF(4, 5);
static void tell(const struct examiner *e, enum tide_kafka_finding level, const char *what, const char *fmt, ...) {
  char text[480];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  e->fn(e->ctx, level, what, text);
}

static void on_error(rd_kafka_t *rk, int err, const char *text, void *opaque) {
  struct examiner *e = opaque;
  (void)rk, (void)err;
  snprintf(e->last_error, sizeof e->last_error, "%s", text);
}

static void on_log(const rd_kafka_t *rk, int level, const char *what, const char *text) { (void)rk, (void)level, (void)what, (void)text; }

static bool open_client(struct examiner *e) {
  struct tide_error error = {0};
  struct rd_kafka_conf_s *conf;
  char why[256];
  static const struct tide_kafka_setting standard[] = {{"allow.auto.create.topics", "false"}};
  if (tide_kafka_configure("client", NULL, 0, standard, 1, e->options->setting, e->options->setting_count, &conf, &error) != TIDE_OK) {
    tell(e, TIDE_KAFKA_FIX, "kafka", "%s", error.text);
    return false;
  }
  rd_kafka_conf_set_opaque(conf, e);
  rd_kafka_conf_set_error_cb(conf, on_error);
  rd_kafka_conf_set_log_cb(conf, on_log);
  e->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (e->rk) return true;
  rd_kafka_conf_destroy(conf);
  tell(e, TIDE_KAFKA_FIX, "kafka", "the settings under kafka: make no client: %s", why);
  return false;
}

/* ---- the cluster ---- */

static bool check_brokers(struct examiner *e) {
  const struct rd_kafka_metadata *metadata;
  rd_kafka_resp_err_t err = rd_kafka_metadata(e->rk, 0, NULL, &metadata, e->options->timeout_ms);
  if (err) {
    (void)rd_kafka_poll(e->rk, 0); /* runs on_error */
    tell(e, TIDE_KAFKA_FIX, "kafka", "no broker answers (%s%s%s): check kafka.bootstrap.servers, the network, and the security settings",
         rd_kafka_err2str(err), e->last_error[0] ? "; " : "", e->last_error);
    return false;
  }
  tell(e, TIDE_KAFKA_GOOD, "kafka", "%d broker%s answer%s%s", metadata->broker_cnt, metadata->broker_cnt == 1 ? "" : "s",
       metadata->broker_cnt == 1 ? "s" : "", metadata->broker_cnt == 1 ? ": while it is away nothing comes in and nothing leaves" : "");
  rd_kafka_metadata_destroy(metadata);
  return true;
}

/* ---- one topic ---- */

struct topic {
  const struct tide_kafka_doctor_topic *asked;
  const char *what;
  char label[320]; /* "auths (topic card-authorizations)" */
  int partitions;
  int copies_least;
};

/* False: there is nothing more to ask about it. */
static bool check_topic(const struct examiner *e, struct topic *t) {
  rd_kafka_topic_t *handle = rd_kafka_topic_new(e->rk, t->asked->topic, NULL);
  const struct rd_kafka_metadata *metadata = NULL;
  rd_kafka_resp_err_t err = handle ? rd_kafka_metadata(e->rk, 0, handle, &metadata, e->options->timeout_ms) : rd_kafka_last_error();
  if (handle) rd_kafka_topic_destroy(handle);
  if (!err && metadata->topic_cnt != 1) err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  if (!err) err = metadata->topics[0].err;
  if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
    tell(e, TIDE_KAFKA_FIX, t->what, "%s does not exist: create it (kafka-topics.sh --create --topic %.200s), or correct the name",
         t->label, t->asked->topic);
  else if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    tell(e, TIDE_KAFKA_FIX, t->what, "%s is not shown to this user: allow DESCRIBE, %s on it", t->label,
         t->asked->role == TIDE_KAFKA_SOURCE ? "READ and DESCRIBE_CONFIGS" : "WRITE and DESCRIBE_CONFIGS");
  else if (err) tell(e, TIDE_KAFKA_FIX, t->what, "%s: %s", t->label, rd_kafka_err2str(err));
  int headless = 0, short_of = 0;
  for (int i = 0; !err && i < metadata->topics[0].partition_cnt; i++) {
    const struct rd_kafka_metadata_partition *partition = &metadata->topics[0].partitions[i];
    headless += partition->leader < 0;
    short_of += partition->isr_cnt < partition->replica_cnt;
    if (i == 0 || partition->replica_cnt < t->copies_least) t->copies_least = partition->replica_cnt;
  }
  if (!err) t->partitions = metadata->topics[0].partition_cnt;
  if (metadata) rd_kafka_metadata_destroy(metadata);
  if (headless)
    tell(e, TIDE_KAFKA_FIX, t->what, "%s: %d of %d partitions have no leader: bring their brokers back", t->label, headless, t->partitions);
  else if (short_of)
    tell(e, TIDE_KAFKA_NOTE, t->what, "%s: %d of %d partitions have fewer copies in step than they should", t->label, short_of,
         t->partitions);
  return !err && !headless;
}

static const char *value_of(const rd_kafka_ConfigResource_t *resource, const char *name) {
  size_t count;
  const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(resource, &count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(rd_kafka_ConfigEntry_name(entry[i]), name) == 0) return rd_kafka_ConfigEntry_value(entry[i]);
  return NULL;
}

static int64_t number_of(const rd_kafka_ConfigResource_t *resource, const char *name, int64_t none) {
  const char *text = value_of(resource, name);
  char *end = NULL;
  long long value = text ? strtoll(text, &end, 10) : 0;
  return end && end != text && !*end ? value : none;
}

static bool is(const rd_kafka_ConfigResource_t *resource, const char *name, const char *part) {
  const char *text = value_of(resource, name);
  return text && strstr(text, part);
}

static void judge_source(const struct examiner *e, const struct topic *t, const rd_kafka_ConfigResource_t *r) {
  char keeps[TIDE_TIME_TEXT], late[TIDE_TIME_TEXT];
  int64_t retention_ms = number_of(r, "retention.ms", -1), bytes = number_of(r, "retention.bytes", -1);
  if (is(r, "cleanup.policy", "compact"))
    tell(e, TIDE_KAFKA_FIX, t->what, "%s is compacted: messages vanish before they are counted; set cleanup.policy=delete", t->label);
  if (retention_ms >= 0 && retention_ms < e->options->lateness_ms)
    tell(
        e, retention_ms < 3600000 ? TIDE_KAFKA_FIX : TIDE_KAFKA_NOTE, t->what,
        "%s keeps messages for %s: when the cell stands still for longer there is a gap, which an operator must accept; set retention.ms to %s "
        "(fold.lateness) or more",
        t->label, tide_duration_format(retention_ms, keeps), tide_duration_format(e->options->lateness_ms, late));
  if (bytes >= 0)
    tell(e, TIDE_KAFKA_NOTE, t->what,
         "%s also forgets by size (retention.bytes %" PRId64 "): a burst shortens the time that the cell may stand still", t->label, bytes);
  if (t->asked->gates && !is(r, "message.timestamp.type", "LogAppendTime"))
    tell(
        e, TIDE_KAFKA_NOTE, t->what,
        "%s has the producers' clocks (message.timestamp.type=CreateTime): a queue inside of a producer is not seen as delay; set LogAppendTime",
        t->label);
  if (number_of(r, "max.message.bytes", 0) > KAFKA_MESSAGE_MAX)
    tell(e, TIDE_KAFKA_NOTE, t->what,
         "%s takes messages of up to %" PRId64 " bytes; those above %u are not counted and leave as dead letters", t->label,
         number_of(r, "max.message.bytes", 0), TIDE_MESSAGE_BYTES_MAX);
}

static void judge_config(const struct examiner *e, const struct topic *t, const rd_kafka_ConfigResource_t *r) {
  if (t->asked->role == TIDE_KAFKA_SOURCE) judge_source(e, t, r);
  if (t->asked->role == TIDE_KAFKA_DEAD_LETTERS && is(r, "cleanup.policy", "compact"))
    tell(e, TIDE_KAFKA_FIX, t->what, "%s is compacted, and dead letters have no key: they are refused; set cleanup.policy=delete",
         t->label);
  int64_t in_step = number_of(r, "min.insync.replicas", 1);
  if (t->copies_least > 1 && in_step < 2)
    tell(e, t->asked->role == TIDE_KAFKA_COPIES ? TIDE_KAFKA_FIX : TIDE_KAFKA_NOTE, t->what,
         "%s: acks=all means one broker while min.insync.replicas is 1: set 2, or what it acknowledged can be lost with that broker",
         t->label);
  if (in_step > t->copies_least)
    tell(e, TIDE_KAFKA_FIX, t->what, "%s: min.insync.replicas is %" PRId64 " and there are %d copies: nothing can be written", t->label,
         in_step, t->copies_least);
}

static void check_config(const struct examiner *e, const struct topic *t) {
  rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, t->asked->topic);
  rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(e->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(e->rk);
  char why[128];
  (void)rd_kafka_AdminOptions_set_request_timeout(options, e->options->timeout_ms, why, sizeof why);
  rd_kafka_DescribeConfigs(e->rk, &asked, 1, options, queue);
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, e->options->timeout_ms + 1000);
  const char *error = !event ? "no answer" : rd_kafka_event_error(event) ? rd_kafka_event_error_string(event) : NULL;
  size_t count = 0;
  const rd_kafka_ConfigResource_t **resource =
      error ? NULL : rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
  if (count == 1 && rd_kafka_ConfigResource_error(resource[0])) error = rd_kafka_err2str(rd_kafka_ConfigResource_error(resource[0]));
  if (error || count != 1)
    tell(e, TIDE_KAFKA_NOTE, t->what,
         "%s: its configuration is not shown (%s): retention and times are not checked; allow DESCRIBE_CONFIGS", t->label,
         error ? error : "no answer");
  else judge_config(e, t, resource[0]);
  if (event) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_ConfigResource_destroy(asked);
}

static void check_log(const struct examiner *e, const struct topic *t) {
  int64_t messages = 0;
  for (int i = 0; i < t->partitions; i++) {
    int64_t begin = 0, end = 0;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(e->rk, t->asked->topic, i, &begin, &end, e->options->timeout_ms);
    if (err) {
      tell(e, TIDE_KAFKA_FIX, t->what, "%s: partition %d does not say where its log ends: %s", t->label, i, rd_kafka_err2str(err));
      return;
    }
    messages += end - begin;
  }
  tell(e, TIDE_KAFKA_GOOD, t->what, "%s: %d partition%s, %d cop%s each, about %" PRId64 " messages in the log", t->label, t->partitions,
       t->partitions == 1 ? "" : "s", t->copies_least, t->copies_least == 1 ? "y" : "ies", messages);
}

/* A message that the log took, or whose producer made it, later than now: some clock is off, and decisions on such messages are refused or messages rejected. */
static void check_clock(const struct examiner *e, const struct topic *t) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(t->partitions);
  int64_t later_ms = tide_wall_now().ms + CLOCK_MS;
  int ahead = 0;
  for (int i = 0; i < t->partitions; i++) rd_kafka_topic_partition_list_add(list, t->asked->topic, i)->offset = later_ms;
  rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(e->rk, list, e->options->timeout_ms);
  for (int i = 0; i < list->cnt && !err; i++) ahead += !list->elems[i].err && list->elems[i].offset >= 0;
  rd_kafka_topic_partition_list_destroy(list);
  if (ahead)
    tell(e, TIDE_KAFKA_FIX, t->what,
         "%s has messages of more than %d ms after now in %d partitions: this machine's clock, the brokers' or a producer's is wrong",
         t->label, CLOCK_MS, ahead);
}

void tide_kafka_examine(const struct tide_kafka_doctor_options *options, tide_kafka_finding_fn fn, void *ctx) {
  struct examiner e = {.options = options, .fn = fn, .ctx = ctx};
  if (!open_client(&e)) return;
  bool there = check_brokers(&e);
  for (size_t i = 0; i < options->topic_count && there; i++) {
    struct topic t = {.asked = &options->topic[i], .what = what_names[options->topic[i].role]};
    if (t.asked->role == TIDE_KAFKA_SOURCE) snprintf(t.label, sizeof t.label, "%.48s (topic %.249s)", t.asked->name, t.asked->topic);
    else snprintf(t.label, sizeof t.label, "topic %.249s", t.asked->topic);
    if (!check_topic(&e, &t)) continue;
    check_log(&e, &t);
    check_config(&e, &t);
    if (t.asked->role == TIDE_KAFKA_SOURCE) check_clock(&e, &t);
  }
  rd_kafka_destroy(e.rk);
}
