/* The file sink: whole lines in order, and after a kill at any byte the same file as without it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "adapter/file.h"

static char dir[64], path[128];
static struct tide_error error;

static int make_dir(void **state) {
  (void)state;
  strcpy(dir, "/tmp/tide_sink_XXXXXX");
  if (!mkdtemp(dir)) return -1;
  snprintf(path, sizeof path, "%s/out", dir);
  return 0;
}
static int drop_dir(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}

static void slurp(struct tide_buf *out) {
  tide_buf_clear(out);
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char block[4096];
  size_t n;
  while ((n = fread(block, 1, sizeof block, f)) > 0) tide_buf_put(out, block, n);
  fclose(f);
}
static void spit(const char *ptr, size_t len) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(ptr, 1, len, f), len);
  fclose(f);
}

static struct tide_sink *open_sink(bool resume) {
  struct tide_sink *s;
  if (tide_sink_file_open(path, resume, &s, &error)) fail_msg("%s", error.text);
  return s;
}

/* Line i of the output: two records per entry, several epochs, an id that looks like a position. */
static struct tide_position position_of(int i) { return (struct tide_position){(uint64_t)(i / 40 + 1), (uint64_t)(i % 40 / 2 + 9)}; }
static enum tide_err offer(struct tide_sink *s, int i) {
  char json[256];
  struct tide_position p = position_of(i);
  int len = snprintf(json, sizeof json, "{\"id\":\"\\\"position\\\":\\\"99-99.9\",\"position\":\"%llu-%llu.%d\",\"pad\":\"%0*d\"}",
                     (unsigned long long)p.epoch, (unsigned long long)p.seq, i % 2 * 3, i % 17 + 1, i);
  return s->ops->put(s, p, (uint32_t)(i % 2 * 3), (struct tide_span){json, (size_t)len}, &error);
}

static void write_all(bool resume, int from, int to) {
  struct tide_sink *s = open_sink(resume);
  for (int i = from; i < to; i++) assert_int_equal(offer(s, i), TIDE_OK);
  assert_int_equal(s->ops->close(s, &error), TIDE_OK);
}

enum { LINES = 100 };

static void test_resume_at_every_byte(void **state) {
  (void)state;
  struct tide_buf whole = TIDE_BUF_INIT, got = TIDE_BUF_INIT;
  write_all(false, 0, LINES);
  slurp(&whole);
  size_t lines = 0;
  for (size_t i = 0; i < whole.len; i++) lines += whole.ptr[i] == '\n';
  assert_int_equal(lines, LINES);
  for (size_t cut = 0; cut <= whole.len; cut += cut < 400 || cut + 600 > whole.len ? 1 : 13) {
    spit(whole.ptr, cut);
    write_all(true, 0, LINES);
    slurp(&got);
    assert_int_equal(got.len, whole.len);
    assert_memory_equal(got.ptr, whole.ptr, whole.len);
  }
  tide_buf_release(&whole);
  tide_buf_release(&got);
}

static void test_kill(void **state) {
  (void)state;
  struct tide_buf whole = TIDE_BUF_INIT, got = TIDE_BUF_INIT;
  enum { MANY = 30000 };
  write_all(false, 0, MANY);
  slurp(&whole);
  unlink(path);
  for (int round = 1; round <= 5; round++) {
    pid_t pid = fork();
    if (pid == 0) { /* dies in the middle of its buffer, without close */
      struct tide_sink *s = open_sink(true);
      for (int i = 0; i < MANY * round / 6; i++)
        if (offer(s, i)) _exit(1);
      kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
  }
  write_all(true, 0, MANY);
  slurp(&got);
  assert_int_equal(got.len, whole.len);
  assert_memory_equal(got.ptr, whole.ptr, whole.len);
  tide_buf_release(&whole);
  tide_buf_release(&got);
}

static void test_without_resume_begins_anew(void **state) {
  (void)state;
  struct tide_buf a = TIDE_BUF_INIT, b = TIDE_BUF_INIT;
  write_all(false, 0, 10);
  slurp(&a);
  spit("rubbish without a newline", 25);
  write_all(false, 0, 10);
  slurp(&b);
  assert_true(tide_span_eq(tide_buf_span(&a), tide_buf_span(&b)));
  tide_buf_release(&a);
  tide_buf_release(&b);
}

static void test_foreign_files(void **state) {
  (void)state;
  struct tide_sink *s;
  static const char *const foreign[] = {"{\"id\":1}\n",
                                        "\n",
                                        "{\"position\":\"7\"}\n",
                                        "{\"position\":\"7-8\"}\n",
                                        "{\"position\":\"7-8.99999999999\"}\n",
                                        "{\"position\":\"-1-8.1\"}\n"};
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    spit(foreign[i], strlen(foreign[i]));
    assert_int_equal(tide_sink_file_open(path, true, &s, &error), TIDE_E_CORRUPT);
    struct tide_buf left = TIDE_BUF_INIT;
    slurp(&left);
    assert_true(tide_span_is(tide_buf_span(&left), foreign[i])); /* not touched */
    tide_buf_release(&left);
  }
  char missing[256];
  snprintf(missing, sizeof missing, "%s/no/such/dir", dir);
  assert_int_equal(tide_sink_file_open(missing, false, &s, &error), TIDE_E_IO);
  assert_non_null(strstr(error.text, missing));
  assert_int_equal(tide_sink_file_open("-", true, &s, &error), TIDE_E_USAGE);
}

/* A full disk, here a file size limit: FULL, and what was accepted is completed once there is room. */
static void test_full(void **state) {
  (void)state;
  struct tide_buf whole = TIDE_BUF_INIT, got = TIDE_BUF_INIT;
  enum { MANY = 20000 };
  write_all(false, 0, MANY);
  slurp(&whole);
  struct rlimit old, limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, SIG_IGN);
  limit = old;
  limit.rlim_cur = 700001;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  struct tide_sink *s = open_sink(false);
  int i = 0;
  enum tide_err err = TIDE_OK;
  while (i < MANY && (err = offer(s, i)) == TIDE_OK) i++;
  assert_int_equal(err, TIDE_E_FULL);
  assert_int_equal(s->ops->flush(s, &error), TIDE_E_FULL);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  for (; i < MANY; i++) assert_int_equal(offer(s, i), TIDE_OK);
  assert_int_equal(s->ops->close(s, &error), TIDE_OK);
  slurp(&got);
  assert_true(tide_span_eq(tide_buf_span(&got), tide_buf_span(&whole)));
  tide_buf_release(&whole);
  tide_buf_release(&got);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resume_at_every_byte), cmocka_unit_test(test_kill), cmocka_unit_test(test_without_resume_begins_anew),
      cmocka_unit_test(test_foreign_files),        cmocka_unit_test(test_full),
  };
  return cmocka_run_group_tests_name("sink_file", tests, make_dir, drop_dir);
}
