/* One suite for every backend of the outlet port: files, librdkafka's mock cluster, a real Kafka broker. The same cases with the same results; faults are
 * injected where a backend allows it: system calls of the files, answers of the mock's brokers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "adapter/outlet_file.h"
#include "adapter/outlet_kafka.h"
#include "base/clock.h"
#include "tests/support/kafka_cluster.h"

enum backend { FILES, MOCK, REAL, BACKENDS };
static const char *const backend_name[BACKENDS] = {"file", "mock", "real"};
enum { PARTITIONS = 7, PATIENCE_MS = 60000, LETTERS = 3000 };

/* What stands at the other end. */
struct found {
  char key[32], value[64], trace[32];
  size_t value_len;
  int partition;
};
struct world {
  enum backend backend;
  struct test_kafka kafka;
  char topic[TIDE_LETTER_KIND_COUNT][64];
  char dir[64];
  struct tide_outlet *outlet;
  struct found *found;
  size_t count;
};
static struct tide_error error;

static const struct tide_sys *faulty; /* NULL: the real calls */

static const char *path_of(struct world *w, int kind) {
  static char path[TIDE_LETTER_KIND_COUNT][96];
  snprintf(path[kind], sizeof path[kind], "%s/%d", w->dir, kind);
  return path[kind];
}

/* Scores and dead letters have a place, copies have none. */
static enum tide_err open_with(struct world *w, const struct tide_kafka_setting *more, size_t count) {
  if (w->backend == FILES) {
    if (!w->dir[0]) {
      strcpy(w->dir, "/tmp/tide_outlet_XXXXXX");
      assert_non_null(mkdtemp(w->dir));
    }
    struct tide_outlet_file_options options = {.path = {path_of(w, 0), path_of(w, 1), NULL}, .sys = faulty};
    return tide_outlet_file_open(&options, &w->outlet, &error);
  }
  if (!w->topic[0][0])
    for (int i = 0; i < 2; i++) {
      static const char *const small[] = {"max.message.bytes", "2000", NULL};
      test_kafka_topic(&w->kafka, PARTITIONS, i == 1 ? small : NULL, w->topic[i]);
    }
  struct tide_kafka_setting setting[8] = {{"bootstrap.servers", w->kafka.brokers}, {"log_level", "2"}};
  for (size_t i = 0; i < count; i++) setting[2 + i] = more[i];
  struct tide_outlet_kafka_options options = {.topic = {w->topic[0], w->topic[1], NULL}, .setting = setting, .setting_count = 2 + count};
  return tide_outlet_kafka_open(&options, &w->outlet, &error);
}
static void open_outlet(struct world *w) {
  if (open_with(w, NULL, 0)) fail_msg("%s", error.text);
}
static void close_outlet(struct world *w) {
  w->outlet->ops->close(w->outlet);
  w->outlet = NULL;
}

static enum tide_err hand(struct world *w, int kind, const char *key, struct tide_span value, uint64_t token) {
  const struct tide_letter_header header[] = {{"traceparent", TIDE_SPAN("00-trace")}, {"empty", {NULL, 0}}};
  struct tide_letter letter = {
      .kind = (uint8_t)kind, .key = tide_span_of(key), .value = value, .header = header, .header_count = 2, .token = token};
  return w->outlet->ops->send(w->outlet, &letter, &error);
}

/* Takes reports until `count` have come; each token below `count` exactly once. Returns how many have failed. */
static size_t take_all(struct world *w, size_t count) {
  bool *seen = tide_alloc(count);
  size_t taken = 0, failed = 0;
  int64_t until_ns = tide_mono_now().ns + INT64_C(1000000) * PATIENCE_MS;
  while (taken < count) {
    struct tide_delivery delivery[16];
    size_t n = w->outlet->ops->reports(w->outlet, 20, delivery, 16);
    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++) {
      assert_true(delivery[i].token < count);
      assert_false(seen[delivery[i].token]);
      seen[delivery[i].token] = true;
      if (delivery[i].err) {
        assert_int_equal(delivery[i].error.code, delivery[i].err);
        error = delivery[i].error;
        failed++;
      }
    }
    taken += n;
    if (n == 0 && tide_mono_now().ns > until_ns) fail_msg("%zu of %zu reports came", taken, count);
  }
  struct tide_delivery more;
  assert_int_equal(w->outlet->ops->reports(w->outlet, 0, &more, 1), 0);
  tide_free(seen);
  return failed;
}

static struct found *found_one(struct world *w) {
  if ((w->count & (w->count - 1)) == 0) w->found = tide_realloc(w->found, (w->count ? w->count * 2 : 1) * sizeof *w->found);
  w->found[w->count] = (struct found){.partition = -1};
  return &w->found[w->count++];
}
static void take_message(void *ctx, const rd_kafka_message_t *m) {
  struct found *f = found_one(ctx);
  snprintf(f->key, sizeof f->key, "%.*s", (int)m->key_len, m->key ? (const char *)m->key : "");
  snprintf(f->value, sizeof f->value, "%.*s", (int)m->len, (const char *)m->payload);
  f->value_len = m->len;
  f->partition = m->partition;
  rd_kafka_headers_t *headers;
  const void *value;
  size_t len;
  assert_int_equal(rd_kafka_message_headers(m, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
  assert_int_equal(rd_kafka_header_get_last(headers, "traceparent", &value, &len), RD_KAFKA_RESP_ERR_NO_ERROR);
  snprintf(f->trace, sizeof f->trace, "%.*s", (int)len, (const char *)value);
}
/* What has arrived of a kind, in the order of each partition. A file must hold whole lines of JSON only. */
static void read_back(struct world *w, int kind) {
  w->count = 0;
  if (w->backend != FILES) {
    test_kafka_read(&w->kafka, w->topic[kind], PARTITIONS, take_message, w);
    return;
  }
  FILE *file = fopen(path_of(w, kind), "rb");
  assert_non_null(file);
  char *line = NULL;
  size_t cap = 0;
  for (ssize_t n; (n = getline(&line, &cap, file)) > 0;) {
    assert_int_equal(line[n - 1], '\n');
    json_error_t why;
    json_t *doc = json_loads(line, JSON_REJECT_DUPLICATES, &why);
    if (!doc) fail_msg("%s in: %.200s", why.text, line);
    struct found *f = found_one(w);
    const char *value = json_string_value(json_object_get(doc, "value"));
    snprintf(f->key, sizeof f->key, "%s", json_string_value(json_object_get(doc, "key")));
    snprintf(f->value, sizeof f->value, "%s", value ? value : "");
    f->value_len = value ? strlen(value) : 0;
    snprintf(f->trace, sizeof f->trace, "%s", json_string_value(json_object_get(json_object_get(doc, "headers"), "traceparent")));
    json_decref(doc);
  }
  free(line);
  fclose(file);
}

/* --- cases for all backends */

static void what_is_sent_arrives(struct world *w) {
  open_outlet(w);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k1", TIDE_SPAN("one"), 0), TIDE_OK);
  assert_int_equal(hand(w, TIDE_LETTER_DEAD, "", TIDE_SPAN("dead \"one\"\n"), 1), TIDE_OK);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k2", TIDE_SPAN(""), 2), TIDE_OK);
  assert_int_equal(take_all(w, 3), 0);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 2);
  int first = strcmp(w->found[0].key, "k1") == 0 ? 0 : 1;
  assert_string_equal(w->found[first].value, "one");
  assert_string_equal(w->found[first].trace, "00-trace");
  assert_string_equal(w->found[1 - first].key, "k2");
  assert_string_equal(w->found[1 - first].value, "");
  read_back(w, TIDE_LETTER_DEAD);
  assert_int_equal(w->count, 1);
  assert_string_equal(w->found[0].value, "dead \"one\"\n");
  assert_string_equal(w->found[0].key, "");
}

static void the_sender_may_change_its_bytes(struct world *w) {
  open_outlet(w);
  char value[] = "before";
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", tide_span_of(value), 0), TIDE_OK);
  memcpy(value, "AFTER!", 6);
  assert_int_equal(take_all(w, 1), 0);
  read_back(w, TIDE_LETTER_SCORE);
  assert_string_equal(w->found[0].value, "before");
}

/* More than the outlet holds at once: it says AGAIN, and nothing is lost or comes twice. Letters of a key keep their order. */
static void a_full_outlet_says_so(struct world *w) {
  static const struct tide_kafka_setting small[] = {{"queue.buffering.max.messages", "200"}};
  if (open_with(w, small, 1)) fail_msg("%s", error.text);
  enum { N = 20000 };
  bool *seen = tide_alloc(N);
  size_t again = 0, taken = 0;
  struct tide_delivery delivery[64];
  for (uint64_t token = 0; taken < N;) {
    enum tide_err err = TIDE_E_AGAIN;
    if (token < N) {
      char key[16], value[32];
      snprintf(key, sizeof key, "key%u", (unsigned)(token % 13));
      snprintf(value, sizeof value, "%08u", (unsigned)token);
      err = hand(w, TIDE_LETTER_SCORE, key, tide_span_of(value), token);
      if (err == TIDE_OK) token++;
      else if (err != TIDE_E_AGAIN) fail_msg("%s", error.text);
      else again++;
    }
    if (err == TIDE_OK) continue;
    size_t n = w->outlet->ops->reports(w->outlet, 20, delivery, 64);
    for (size_t i = 0; i < n; i++) {
      if (delivery[i].err) fail_msg("%s", delivery[i].error.text);
      assert_false(seen[delivery[i].token]);
      seen[delivery[i].token] = true;
    }
    taken += n;
  }
  tide_free(seen);
  assert_true(again > 0);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, N);
  int last[13];
  for (int i = 0; i < 13; i++) last[i] = -1;
  for (size_t i = 0; i < w->count; i++) {
    int key = atoi(w->found[i].key + 3), value = atoi(w->found[i].value);
    assert_int_equal(value % 13, key);
    assert_int_equal(value, last[key] < 0 ? key : last[key] + 13);
    last[key] = value;
  }
}

static void letters_without_a_place(struct world *w) {
  open_outlet(w);
  assert_int_equal(hand(w, TIDE_LETTER_COPY, "k", TIDE_SPAN("v"), 0), TIDE_E_CONFIG);
  size_t len = 3000000;
  char *big = tide_alloc(len);
  memset(big, 'x', len);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", (struct tide_span){big, len}, 0), TIDE_E_LIMIT);
  tide_free(big);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), 0), TIDE_OK);
  assert_int_equal(take_all(w, 1), 0); /* none for those that were refused */
}

static void closing_waits_for_what_is_under_way(struct world *w) {
  open_outlet(w);
  for (int i = 0; i < LETTERS; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), (uint64_t)i), TIDE_OK);
  close_outlet(w);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, LETTERS);
}

static void it_goes_on_where_it_was(struct world *w) {
  for (int turn = 0; turn < 3; turn++) {
    open_outlet(w);
    for (int i = 0; i < 10; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), (uint64_t)i), TIDE_OK);
    assert_int_equal(take_all(w, 10), 0);
    close_outlet(w);
  }
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 30);
}

/* --- Kafka */

/* Hashes of Apache Kafka's own test of its partitioner (UtilsTest.testMurmur2). */
static void keys_go_where_java_sends_them(struct world *w) {
  open_outlet(w);
  static const struct {
    const char *key;
    int32_t hash;
  } java[] = {
      {"21", -973932308}, {"foobar", -790332482}, {"a-little-bit-long-string", -985981536}, {"a-little-bit-longer-string", -1486304829}};
  for (uint64_t i = 0; i < 4; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, java[i].key, TIDE_SPAN("v"), i), TIDE_OK);
  assert_int_equal(take_all(w, 4), 0);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 4);
  for (size_t i = 0; i < 4; i++)
    for (size_t k = 0; k < 4; k++)
      if (strcmp(w->found[i].key, java[k].key) == 0) assert_int_equal(w->found[i].partition, (java[k].hash & 0x7fffffff) % PARTITIONS);
}

static void the_brokers_limit_comes_back(struct world *w) {
  static const struct tide_kafka_setting plain[] = {{"compression.codec", "none"}};
  if (open_with(w, plain, 1)) fail_msg("%s", error.text);
  char big[3000];
  memset(big, 'x', sizeof big);
  assert_int_equal(hand(w, TIDE_LETTER_DEAD, "k", (struct tide_span){big, sizeof big}, 0), TIDE_OK);
  assert_int_equal(take_all(w, 1), 1);
  assert_int_equal(error.code, TIDE_E_LIMIT);
}

enum { PRODUCE = 0, INIT_PRODUCER_ID = 22 };

static void errors_that_pass_are_not_seen(struct world *w) {
  open_outlet(w);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), 0), TIDE_OK);
  assert_int_equal(take_all(w, 1), 0);
  rd_kafka_mock_push_request_errors(w->kafka.mock, PRODUCE, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT,
                                    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
  for (int i = 0; i < 100; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), (uint64_t)i), TIDE_OK);
  assert_int_equal(take_all(w, 100), 0);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 101);
}

static void a_long_way_to_the_broker(struct world *w) {
  enum { WAY_MS = 400 };
  open_outlet(w);
  assert_int_equal(rd_kafka_mock_broker_set_rtt(w->kafka.mock, -1, WAY_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
  int64_t began_ns = tide_mono_now().ns;
  for (int i = 0; i < 100; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), (uint64_t)i), TIDE_OK);
  struct tide_delivery first;
  size_t came = w->outlet->ops->reports(w->outlet, 0, &first, 1);
  assert_true(came == 0 || tide_mono_now().ns - began_ns >= INT64_C(1000000) * WAY_MS); /* not before the broker has said so */
  if (came > 0)
    assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), first.token), TIDE_OK); /* this machine stood still; once more */
  assert_int_equal(take_all(w, 100), 0);
}

/* What waits for its report does not wait for linger.ms as well. The first letter may: nobody knows the broker yet; and on a busy machine another may. */
static void who_waits_lets_letters_leave(struct world *w) {
  enum { LINGER_MS = 2000, TIMES = 6 };
  static const struct tide_kafka_setting lingering[] = {{"linger.ms", "2000"}};
  if (open_with(w, lingering, 1)) fail_msg("%s", error.text);
  int soon = 0;
  for (int i = 0; i <= TIMES; i++) {
    int64_t began_ns = tide_mono_now().ns;
    assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), 0), TIDE_OK);
    assert_int_equal(take_all(w, 1), 0);
    if (i > 0) soon += tide_mono_now().ns - began_ns < INT64_C(1000000) * LINGER_MS;
  }
  assert_true(soon > TIMES / 2);
}

static void what_is_given_up_is_said(struct world *w) {
  static const struct tide_kafka_setting soon[] = {{"delivery.timeout.ms", "1500"}, {"reconnect.backoff.max.ms", "500"}};
  if (open_with(w, soon, 2)) fail_msg("%s", error.text);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), 0), TIDE_OK);
  assert_int_equal(take_all(w, 1), 0);
  assert_int_equal(rd_kafka_mock_broker_set_down(w->kafka.mock, -1), RD_KAFKA_RESP_ERR_NO_ERROR);
  for (int i = 0; i < 10; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("lost"), (uint64_t)i), TIDE_OK);
  assert_int_equal(take_all(w, 10), 10);
  assert_int_equal(error.code, TIDE_E_IO);
  assert_int_equal(rd_kafka_mock_broker_set_up(w->kafka.mock, -1), RD_KAFKA_RESP_ERR_NO_ERROR);
  size_t failed = 1;
  for (int tries = 0; failed && tries < 40; tries++) { /* and it works again by itself */
    assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("again"), 0), TIDE_OK);
    failed = take_all(w, 1);
  }
  assert_int_equal(failed, 0);
}

/* The cluster forbids the producer its number: librdkafka's producer ends for good, the outlet does not. The answer of the cluster takes a while, so that letters
 * are under way by then; on a busy machine it may still come before the last of them, which is refused then as long as reports are due. */
static void a_producer_that_ends_is_made_anew(struct world *w) {
  rd_kafka_resp_err_t no = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
  rd_kafka_mock_push_request_errors(w->kafka.mock, INIT_PRODUCER_ID, 1, no);
  assert_int_equal(rd_kafka_mock_broker_set_rtt(w->kafka.mock, -1, 400), RD_KAFKA_RESP_ERR_NO_ERROR);
  open_outlet(w);
  size_t under_way = 0;
  enum tide_err err = TIDE_OK;
  while (under_way < 10 && !(err = hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("lost"), under_way))) under_way++;
  if (err) assert_int_equal(err, TIDE_E_AGAIN);
  assert_int_not_equal(under_way, 0);
  assert_int_equal(take_all(w, under_way), under_way);
  assert_int_equal(rd_kafka_mock_broker_set_rtt(w->kafka.mock, -1, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
  for (int i = 0; i < 10; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("new"), (uint64_t)i), TIDE_OK);
  assert_int_equal(take_all(w, 10), 0);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 10);
}

/* --- files */

static int writes_until_fault, syncs_until_fault; /* 0: this one fails; below: none */
static ssize_t short_write(int fd, const void *ptr, size_t len, off_t at) {
  if (writes_until_fault-- != 0) return pwrite(fd, ptr, len, at);
  if (len > 20) (void)!pwrite(fd, ptr, len / 2, at); /* half of it is there */
  errno = ENOSPC;
  return -1;
}
static int failing_sync(int fd) {
  if (syncs_until_fault-- != 0) return fdatasync(fd);
  errno = EIO;
  return -1;
}

static void a_failed_write_leaves_whole_lines(struct world *w) {
  struct tide_sys sys = tide_sys_real;
  sys.pwrite = short_write;
  sys.fdatasync = failing_sync;
  faulty = &sys;
  for (int kind = 0; kind < 2; kind++) {
    writes_until_fault = kind == 0 ? 1 : -1;
    syncs_until_fault = kind == 1 ? 1 : -1;
    open_outlet(w);
    assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("kept"), 0), TIDE_OK);
    assert_int_equal(take_all(w, 1), 0);
    for (int i = 0; i < 5; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("lost, and rather long"), (uint64_t)i), TIDE_OK);
    assert_int_equal(take_all(w, 5), 5);
    assert_int_equal(error.code, kind == 0 ? TIDE_E_FULL : TIDE_E_IO);
    assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("short"), 0), TIDE_OK);
    assert_int_equal(take_all(w, 1), 0);
    close_outlet(w);
  }
  faulty = NULL;
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 4);
  for (size_t i = 0; i < 4; i++) assert_string_equal(w->found[i].value, i % 2 ? "short" : "kept");
}

static void a_torn_line_is_cut(struct world *w) {
  open_outlet(w);
  for (int i = 0; i < 200; i++) assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), (uint64_t)i), TIDE_OK);
  close_outlet(w);
  FILE *file = fopen(path_of(w, 0), "ab");
  for (int i = 0; i < 5000; i++) fputs("{\"key\":", file); /* longer than what is read at once */
  fclose(file);
  open_outlet(w);
  assert_int_equal(hand(w, TIDE_LETTER_SCORE, "k", TIDE_SPAN("v"), 0), TIDE_OK);
  close_outlet(w);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 201);
  file = fopen(path_of(w, 0), "wb");
  fputs("nothing but a torn line", file);
  fclose(file);
  open_outlet(w);
  close_outlet(w);
  read_back(w, TIDE_LETTER_SCORE);
  assert_int_equal(w->count, 0);
}

static void what_is_no_text_stands_in_base64(struct world *w) {
  open_outlet(w);
  const struct tide_letter_header header[] = {{"bytes", {"\xff\xfe", 2}}};
  static const struct tide_span value[] = {{"\x80", 1}, {"\x80\x81", 2}, {"\x80\x81\x82", 3}, {"{\"a\":1}", 7}, {"{\"a\":", 5}};
  for (uint64_t i = 0; i < 5; i++)
    for (int kind = 0; kind < 2; kind++) {
      struct tide_letter letter = {.kind = (uint8_t)kind,
                                   .key = {"\xff", 1},
                                   .value = value[i],
                                   .header = header,
                                   .header_count = 1,
                                   .token = i * 2 + (uint64_t)kind};
      assert_int_equal(w->outlet->ops->send(w->outlet, &letter, &error), TIDE_OK);
    }
  assert_int_equal(take_all(w, 10), 0);
  static const char want[] = "{\"key_base64\":\"/w==\",\"headers\":{\"bytes\":{\"base64\":\"//4=\"}},\"value_base64\":\"gA==\"}\n"
                             "{\"key_base64\":\"/w==\",\"headers\":{\"bytes\":{\"base64\":\"//4=\"}},\"value_base64\":\"gIE=\"}\n"
                             "{\"key_base64\":\"/w==\",\"headers\":{\"bytes\":{\"base64\":\"//4=\"}},\"value_base64\":\"gIGC\"}\n"
                             "{\"key_base64\":\"/w==\",\"headers\":{\"bytes\":{\"base64\":\"//4=\"}},\"value\":{\"a\":1}}\n"
                             "{\"key_base64\":\"/w==\",\"headers\":{\"bytes\":{\"base64\":\"//4=\"}},\"value\":\"{\\\"a\\\":\"}\n";
  for (int kind = 0; kind < 2; kind++) {
    char got[1024];
    FILE *file = fopen(path_of(w, kind), "rb");
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    fclose(file);
    if (kind == 0) assert_string_equal(got, want);
    else assert_non_null(strstr(got, "\"value\":\"{\\\"a\\\":1}\"}")); /* a dead letter is never taken for an object */
  }
}

static void what_cannot_be_a_file(struct world *w) {
  open_outlet(w);
  struct tide_outlet *second;
  struct tide_outlet_file_options options = {.path = {NULL, path_of(w, 1), NULL}};
  assert_int_equal(tide_outlet_file_open(&options, &second, &error), TIDE_E_LOCKED);
  options.path[1] = w->dir;
  assert_int_equal(tide_outlet_file_open(&options, &second, &error), TIDE_E_IO);
  options.path[1] = "/dev/null";
  assert_int_equal(tide_outlet_file_open(&options, &second, &error), TIDE_E_IO);
  options.path[2] = options.path[1];
  assert_int_equal(tide_outlet_file_open(&options, &second, &error), TIDE_E_CONFIG);
}

/* --- the table */

struct test_case {
  const char *name;
  void (*run)(struct world *);
  bool on[BACKENDS];
};
#define ALL                                                                                                                                \
  { true, true, true }
#define LIVE                                                                                                                               \
  { false, true, true }
#define ONLY_REAL                                                                                                                          \
  { false, false, true }
#define ONLY_MOCK                                                                                                                          \
  { false, true, false }
#define ONLY_FILE                                                                                                                          \
  { true, false, false }
static const struct test_case cases[] = {
    {"what_is_sent_arrives", what_is_sent_arrives, ALL},
    {"the_sender_may_change_its_bytes", the_sender_may_change_its_bytes, ALL},
    {"a_full_outlet_says_so", a_full_outlet_says_so, ALL},
    {"letters_without_a_place", letters_without_a_place, ALL},
    {"closing_waits_for_what_is_under_way", closing_waits_for_what_is_under_way, ALL},
    {"it_goes_on_where_it_was", it_goes_on_where_it_was, ALL},
    {"keys_go_where_java_sends_them", keys_go_where_java_sends_them, LIVE},
    {"the_brokers_limit_comes_back", the_brokers_limit_comes_back, ONLY_REAL},
    {"errors_that_pass_are_not_seen", errors_that_pass_are_not_seen, ONLY_MOCK},
    {"a_long_way_to_the_broker", a_long_way_to_the_broker, ONLY_MOCK},
    {"who_waits_lets_letters_leave", who_waits_lets_letters_leave, LIVE},
    {"what_is_given_up_is_said", what_is_given_up_is_said, ONLY_MOCK},
    {"a_producer_that_ends_is_made_anew", a_producer_that_ends_is_made_anew, ONLY_MOCK},
    {"a_failed_write_leaves_whole_lines", a_failed_write_leaves_whole_lines, ONLY_FILE},
    {"a_torn_line_is_cut", a_torn_line_is_cut, ONLY_FILE},
    {"what_is_no_text_stands_in_base64", what_is_no_text_stands_in_base64, ONLY_FILE},
    {"what_cannot_be_a_file", what_cannot_be_a_file, ONLY_FILE},
};
enum { CASES = sizeof cases / sizeof cases[0] };
struct row {
  const struct test_case *test;
  struct world world;
};

static int setup(void **state) {
  struct world *w = &((struct row *)*state)->world;
  if (w->backend == REAL && !getenv("TIDE_KAFKA_BROKERS")) return 0; /* the test says so */
  if (w->backend != FILES) test_kafka_open(&w->kafka, w->backend == MOCK ? TEST_KAFKA_MOCK : TEST_KAFKA_REAL);
  return 0;
}
static int teardown(void **state) {
  struct world *w = &((struct row *)*state)->world;
  faulty = NULL;
  if (w->outlet) close_outlet(w);
  if (w->dir[0]) {
    for (int kind = 0; kind < 2; kind++) unlink(path_of(w, kind));
    rmdir(w->dir);
  }
  tide_free(w->found);
  test_kafka_close(&w->kafka);
  return 0;
}
static void run(void **state) {
  struct row *row = *state;
  if (row->world.backend == REAL && test_kafka_missing()) skip();
  row->test->run(&row->world);
}

int main(int argc, char **argv) {
  test_kafka_exec(argv);
  static struct row row[CASES * BACKENDS];
  static struct CMUnitTest tests[CASES * BACKENDS];
  static char name[CASES * BACKENDS][80];
  size_t count = 0;
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  for (int b = 0; b < BACKENDS; b++)
    for (size_t i = 0; i < CASES; i++) {
      if (!cases[i].on[b]) continue;
      row[count] = (struct row){.test = &cases[i], .world = {.backend = (enum backend)b}};
      snprintf(name[count], sizeof name[count], "%s_%s", backend_name[b], cases[i].name);
      tests[count] = (struct CMUnitTest){name[count], run, setup, teardown, &row[count]};
      count++;
    }
  return _cmocka_run_group_tests("outlet", tests, count, NULL, NULL);
}
