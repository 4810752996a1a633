/* Schemas from a registry over HTTP: what it answers, what it does not, and that only its own word makes a message bad.
 *
 * The registry is tests/support/schema_registry.py, a real HTTP server that answers by the number that is asked for. The one rule behind the cases:
 * UNKNOWN_NAME, TYPE and SYNTAX come from what the registry says itself; everything else is AGAIN, is asked again, and works when the registry does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "adapter/decode.h"
#include "base/clock.h"
#include "tests/support/avro_bytes.h"
#include "tests/support/mini_spec.h"

static uint16_t port;
static pid_t pid;
static struct tide_error error;

static void nap_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static int start(void **state) {
  (void)state;
  int out[2];
  pid_t parent = getpid();
  assert_int_equal(pipe(out), 0);
  pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    if (dup2(out[1], 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(121);
    close(out[0]);
    close(out[1]);
    execlp("python3", "python3", "tests/support/schema_registry.py", (char *)NULL);
    _exit(122);
  }
  close(out[1]);
  FILE *told = fdopen(out[0], "r");
  unsigned number = 0;
  if (fscanf(told, "%u", &number) != 1) fail_msg("tests/support/schema_registry.py does not start: run the tests in the top folder");
  fclose(told);
  port = (uint16_t)number;
  return 0;
}

static int stop(void **state) {
  (void)state;
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  return 0;
}

/* How often the registry was asked for an id. */
static int count_of(uint32_t id) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char request[80], answer[1024];
  size_t len = 0;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  int sent = snprintf(request, sizeof request, "GET /count/%u HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id);
  assert_int_equal(write(fd, request, (size_t)sent), sent);
  for (ssize_t got; len < sizeof answer - 1 && (got = read(fd, answer + len, sizeof answer - 1 - len)) > 0;) len += (size_t)got;
  close(fd);
  answer[len] = 0;
  const char *body = strstr(answer, "\r\n\r\n");
  assert_non_null(body);
  return atoi(body);
}

/* `at`: what stands between "http://" and the port, or behind the port. */
static struct tide_schemas *open_at(const char *user, const char *path, struct tide_schemas_options options) {
  char url[128];
  struct tide_schemas *schemas;
  snprintf(url, sizeof url, "http://%s127.0.0.1:%u%s", user, port, path);
  options.from = url;
  if (tide_schemas_open(&options, &schemas, &error)) fail_msg("%s", error.text);
  return schemas;
}
/* Waits long enough that an answer that comes at once is there on any machine. */
static struct tide_schemas *open_patient(void) {
  return open_at("", "", (struct tide_schemas_options){.timeout_ms = 20000, .wait_ms = 10000, .pause_ms = 1});
}

static enum tide_err get(struct tide_schemas *schemas, uint32_t id) {
  const struct tide_avro_schema *schema = NULL;
  error.text[0] = 0;
  enum tide_err err = tide_schemas_get(schemas, id, &schema, &error);
  if (err) assert_int_equal(error.code, err);
  if (err) assert_null(strstr(error.text, "secret"));
  if (!err) assert_int_equal(schema->type[0].size, 3);
  return err;
}
static void get_is(struct tide_schemas *schemas, uint32_t id, enum tide_err want, const char *why) {
  enum tide_err err = get(schemas, id);
  if (err != want) fail_msg("schema %u: got %s (%s), want %s", id, tide_err_name(err), error.text, tide_err_name(want));
  if (err && !strstr(error.text, why)) fail_msg("schema %u: got \"%s\", want \"%s\"", id, error.text, why);
}
/* The pause between two questions may not be over yet. */
static void becomes(struct tide_schemas *schemas, uint32_t id, enum tide_err want) {
  enum tide_err err = TIDE_E_AGAIN;
  for (int tries = 0; tries < 10000 && (err = get(schemas, id)) == TIDE_E_AGAIN && want != TIDE_E_AGAIN; tries++) nap_ms(1);
  if (err != want) fail_msg("schema %u: got %s (%s), want %s", id, tide_err_name(err), error.text, tide_err_name(want));
}

static void test_found_once(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_patient();
  for (int i = 0; i < 3; i++) {
    get_is(schemas, 1, TIDE_OK, "");
    get_is(schemas, 213, TIDE_OK, "");
  }
  assert_int_equal(count_of(1), 1);
  tide_schemas_close(schemas);
  schemas = open_at("", "/deep/", (struct tide_schemas_options){.wait_ms = 10000});
  get_is(schemas, 2, TIDE_OK, "");
  tide_schemas_close(schemas);
}

static void *get_many(void *ctx) {
  const struct tide_avro_schema *schema;
  struct tide_error why;
  size_t bad = 0;
  for (uint32_t id = 10; id < 60; id++) bad += tide_schemas_get(ctx, id, &schema, &why) != TIDE_OK;
  return (void *)(uintptr_t)bad;
}

static void test_threads_share_it(void **state) {
  (void)state;
  enum { THREADS = 4 };
  struct tide_schemas *schemas = open_patient();
  pthread_t thread[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&thread[i], NULL, get_many, schemas), 0);
  for (int i = 0; i < THREADS; i++) {
    void *bad;
    assert_int_equal(pthread_join(thread[i], &bad), 0);
    assert_null(bad);
  }
  for (uint32_t id = 10; id < 60; id++) assert_int_equal(count_of(id), 1);
  tide_schemas_close(schemas);
}

static void test_unknown(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_at("", "", (struct tide_schemas_options){.wait_ms = 10000, .pause_ms = 3600000});
  for (int i = 0; i < 5; i++) get_is(schemas, 100, TIDE_E_UNKNOWN_NAME, "no schema 100");
  assert_int_equal(count_of(100), 1); /* not for every message */
  get_is(schemas, 3, TIDE_OK, "");    /* it is no trouble with the registry */
  tide_schemas_close(schemas);
  schemas = open_patient();
  get_is(schemas, 101, TIDE_E_UNKNOWN_NAME, "no schema 101");
  nap_ms(5);
  get_is(schemas, 101, TIDE_E_UNKNOWN_NAME, "no schema 101");
  assert_int_equal(count_of(101), 2); /* nor for ever: it may be registered yet */
  tide_schemas_close(schemas);
}

/* What will never be of use is asked for once. */
static void test_of_no_use(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_patient();
  for (int i = 0; i < 2; i++) {
    get_is(schemas, 210, TIDE_E_TYPE, "PROTOBUF");
    get_is(schemas, 211, TIDE_E_TYPE, "other subjects");
    get_is(schemas, 212, TIDE_E_SYNTAX, "schema 212");
  }
  for (uint32_t id = 210; id <= 212; id++) assert_int_equal(count_of(id), 1);
  tide_schemas_close(schemas);
}

/* Whatever is no registry's answer says nothing about the message. */
static void test_trouble(void **state) {
  (void)state;
  static const struct {
    uint32_t id;
    const char *why;
  } cases[] = {{200, "status 200 and not as"},
               {201, "status 200 and not as"},
               {202, "bytes"},
               {203, "status 404 and not as"},
               {204, "status 404 and not as"},
               {205, "status 302"},
               {206, "4 MiB"},
               {207, "status 200 and not as"},
               {208, "status 200 and not as"},
               {400, "status 400"},
               {401, "user and password"},
               {403, "user and password"},
               {429, "status 429"},
               {500, "status 500"},
               {502, "status 502"},
               {503, "status 503"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_schemas *schemas = open_patient();
    get_is(schemas, cases[i].id, TIDE_E_AGAIN, cases[i].why);
    assert_non_null(strstr(error.text, "127.0.0.1")); /* whom to look at */
    becomes(schemas, 4, TIDE_OK);
    tide_schemas_close(schemas);
  }
}

static void test_it_is_left_alone_for_a_while(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_at("", "", (struct tide_schemas_options){.wait_ms = 10000, .pause_ms = 3600000});
  int before = count_of(5);
  get_is(schemas, 501, TIDE_E_AGAIN, "status 501");
  get_is(schemas, 501, TIDE_E_AGAIN, "status 501");
  get_is(schemas, 5, TIDE_E_AGAIN, "status 501");
  assert_int_equal(count_of(501), 1);
  assert_int_equal(count_of(5), before);
  tide_schemas_close(schemas);
}

static void test_it_recovers(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_patient();
  get_is(schemas, 450, TIDE_E_AGAIN, "status 500");
  becomes(schemas, 450, TIDE_OK);
  assert_int_equal(count_of(450), 2);
  tide_schemas_close(schemas);
}

static void test_nobody_listens(void **state) {
  (void)state;
  uint16_t real = port;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound and not listening: the port is nobody's meanwhile */
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
  port = ntohs(address.sin_port);
  struct tide_schemas *schemas = open_at("reader:secret@", "", (struct tide_schemas_options){.wait_ms = 10000});
  get_is(schemas, 1, TIDE_E_AGAIN, "onnect");
  tide_schemas_close(schemas);
  close(fd);
  port = real;
}

/* One slow answer costs a moment, is waited for with one request, and holds up nobody else. */
static void test_slow(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_at("", "", (struct tide_schemas_options){.timeout_ms = 20000, .wait_ms = 20, .pause_ms = 1});
  get_is(schemas, 300, TIDE_E_AGAIN, "on its way");
  becomes(schemas, 6, TIDE_OK);
  becomes(schemas, 300, TIDE_OK);
  assert_int_equal(count_of(300), 1);
  tide_schemas_close(schemas);
}

static void test_time_out(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_at("", "", (struct tide_schemas_options){.timeout_ms = 100, .wait_ms = 10000, .pause_ms = 1});
  get_is(schemas, 301, TIDE_E_AGAIN, "timed out");
  becomes(schemas, 7, TIDE_OK);
  tide_schemas_close(schemas);
}

/* More numbers than requests that may be under way, none answered: a bounded number of connections, and it works again behind the time-out. */
static void test_many_that_hang(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_at("", "", (struct tide_schemas_options){.timeout_ms = 3000, .wait_ms = 1, .pause_ms = 1});
  bool full = false;
  for (uint32_t id = 302; id < 302 + 80; id++) {
    assert_int_equal(get(schemas, id), TIDE_E_AGAIN);
    full = full || strstr(error.text, "others are asked for") != NULL;
  }
  assert_true(full);
  becomes(schemas, 8, TIDE_OK);
  tide_schemas_close(schemas); /* whatever is still under way */
}

static void test_password(void **state) {
  (void)state;
  struct tide_schemas *schemas = open_at("reader:secret@", "", (struct tide_schemas_options){.wait_ms = 10000});
  get_is(schemas, 460, TIDE_OK, "");
  get_is(schemas, 203, TIDE_E_AGAIN, "http://127.0.0.1");
  tide_schemas_close(schemas);
}

/* ---- and a decoder on top ---- */

static void test_decode(void **state) {
  (void)state;
  struct tide_spec *spec = mini_cards();
  struct tide_secret_key key = mini_key(7);
  struct tide_schemas *schemas = open_at("", "", (struct tide_schemas_options){.timeout_ms = 20000, .wait_ms = 20, .pause_ms = 1});
  struct tide_decode_options options = {.spec = spec, .key = &key, .format = TIDE_FORMAT_AVRO, .schemas = schemas};
  struct tide_decoder *decoder;
  struct tide_buf m = TIDE_BUF_INIT;
  static struct tide_record record[2];
  int count = 0;
  assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
  wire_frame(&m, 300);
  wire_text(&m, "a1");
  wire_long(&m, INT64_C(1772359200250));
  wire_text(&m, "4111111111111111");
  int asked = count_of(300);
  enum tide_err err = tide_decode(decoder, tide_buf_span(&m), record, &count, &error);
  assert_int_equal(err, TIDE_E_AGAIN);
  assert_int_equal(tide_err_class(err), TIDE_CLASS_RETRY); /* never a dead letter */
  for (int tries = 0; tries < 10000 && (err = tide_decode(decoder, tide_buf_span(&m), record, &count, &error)) == TIDE_E_AGAIN; tries++)
    nap_ms(1);
  assert_int_equal(err, TIDE_OK);
  assert_int_equal(count, 1);
  assert_true(record[0].time.ms == INT64_C(1772359200250));
  assert_int_equal(count_of(300), asked + 1);
  m.ptr[4] = 100; /* the number's last byte */
  m.ptr[3] = 0;
  for (int tries = 0; tries < 10000 && (err = tide_decode(decoder, tide_buf_span(&m), record, &count, &error)) == TIDE_E_AGAIN; tries++)
    nap_ms(1);
  assert_int_equal(err, TIDE_E_UNKNOWN_NAME);
  assert_int_equal(tide_err_class(err), TIDE_CLASS_INPUT);
  tide_decoder_free(decoder);
  tide_schemas_close(schemas);
  tide_buf_release(&m);
  mini_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_found_once),  cmocka_unit_test(test_threads_share_it), cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_of_no_use),   cmocka_unit_test(test_trouble),          cmocka_unit_test(test_it_is_left_alone_for_a_while),
      cmocka_unit_test(test_it_recovers), cmocka_unit_test(test_nobody_listens),   cmocka_unit_test(test_slow),
      cmocka_unit_test(test_time_out),    cmocka_unit_test(test_many_that_hang),   cmocka_unit_test(test_password),
      cmocka_unit_test(test_decode),
  };
  return cmocka_run_group_tests_name("schema_registry", tests, start, stop);
}
