/* The mirror beside a real Redis on a socket of its own: while entries pour in, the stream stays short, and mirror and archive together hold every one of them.
 *
 * 20,000 entries in the test run; TIDE_ENTRIES=200000 for the figure of the documentation. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/journal_check.h"
#include "adapter/archive.h"
#include "adapter/journal_redis.h"
#include "adapter/mirror.h"

struct fixture {
  char *dir, *socket, *mirror_dir, *snapshots;
  pid_t server;
  struct tide_redis_options options;
  struct tide_error error;
};

static void start_server(struct fixture *f) {
  f->server = fork();
  assert_true(f->server >= 0);
  if (f->server == 0) {
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", f->socket, "--dir", f->dir, "--save", "", "--maxmemory", "512mb",
           "--maxmemory-policy", "noeviction", "--logfile", "redis.log", (char *)NULL);
    _exit(127);
  }
}

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  struct tide_buf url = TIDE_BUF_INIT;
  f->dir = test_dir("mirror-redis");
  f->socket = test_path(f->dir, "s");
  f->mirror_dir = test_path(f->dir, "mirror");
  f->snapshots = test_path(f->dir, "snapshots");
  f->options = (struct tide_redis_options){
      .cell = "test", .engine_id = 1, .wait_ms = 100, .timeout_ms = 2000, .clock_skew_max_ms = 1000, .memory_percent = 60};
  tide_buf_printf(&url, "unix:%s", f->socket);
  assert_int_equal(tide_redis_target_parse(tide_buf_cstr(&url), &f->options.target, &f->error), TIDE_OK);
  tide_buf_release(&url);
  start_server(f);
  enum tide_err err = TIDE_E_AGAIN;
  for (int i = 0; i < 1200 && err == TIDE_E_AGAIN; i++) {
    err = tide_journal_redis_init(&f->options, &f->error);
    if (err == TIDE_E_AGAIN) usleep(50000);
  }
  if (err != TIDE_OK) fail_msg("%s", f->error.text);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  (void)kill(f->server, SIGKILL);
  (void)waitpid(f->server, NULL, 0);
  test_dir_remove(f->dir);
  tide_free(f->dir);
  tide_free(f->socket);
  tide_free(f->mirror_dir);
  tide_free(f->snapshots);
  tide_free(f);
  return 0;
}

static struct tide_journal *open_journal(struct fixture *f) {
  struct tide_journal *journal;
  struct tide_session session;
  assert_int_equal(tide_journal_redis_open(&f->options, &journal, &f->error), TIDE_OK);
  if (journal->ops->begin(journal, &session, &f->error) != TIDE_OK) fail_msg("%s", f->error.text);
  return journal;
}

static void snapshot_at(struct fixture *f, struct tide_position at) {
  char path[512];
  (void)mkdir(f->snapshots, 0700);
  snprintf(path, sizeof path, "%s/snap-%llu-%llu", f->snapshots, (unsigned long long)at.epoch, (unsigned long long)at.seq);
  assert_int_equal(mkdir(path, 0700), 0);
}

static void what_redis_holds_is_bounded(void **state) {
  struct fixture *f = *state;
  const char *asked = getenv("TIDE_ENTRIES");
  long entries = asked ? strtol(asked, NULL, 10) : 20000, longest = 0;
  struct tide_journal *journal = open_journal(f), *chain;
  struct tide_mirror_options options = {
      .dir = f->mirror_dir, .segment_bytes = 1 << 20, .snapshots = f->snapshots, .trim = true, .keep_ms = 100, .queue_bytes = 1 << 16};
  struct tide_mirror *mirror;
  struct tide_position at = {0, 0}, durable, first, last;
  struct tide_buf entry = TIDE_BUF_INIT;
  assert_int_equal(tide_journal_redis_open(&f->options, &options.source, &f->error), TIDE_OK);
  if (tide_mirror_open(&options, journal, false, &mirror, &f->error) != TIDE_OK) fail_msg("%s", f->error.text);
  tide_mirror_start(mirror);
  for (long n = 0; n < entries; n++) {
    struct tide_position next = n == 0 ? (struct tide_position){1, 0} : (struct tide_position){1, at.seq + 1};
    test_entry(test_number(next), 60, &entry);
    enum tide_err err = n == 0 ? journal->ops->open_epoch(journal, 1, tide_buf_span(&entry), &at, &f->error)
                               : journal->ops->append(journal, 1, tide_buf_span(&entry), &at, &f->error);
    if (err != TIDE_OK || journal->ops->sync(journal, &durable, &f->error) != TIDE_OK) fail_msg("%s", f->error.text);
    tide_mirror_note(mirror, tide_mono_now(), at, 1, tide_buf_span(&entry));
    if (n % 1000 == 999) {
      snapshot_at(f, at);
      assert_int_equal(journal->ops->range(journal, &first, &last, &f->error), TIDE_OK);
      long length = (long)(last.seq - first.seq) + 1;
      if (length > longest) longest = length;
    }
  }
  for (int i = 0; i < 1200 && first.seq + 3000 < last.seq; i++) { /* it ends short */
    usleep(50000);
    assert_int_equal(journal->ops->range(journal, &first, &last, &f->error), TIDE_OK);
  }
  tide_mirror_close(mirror);
  assert_true(first.seq > 0 && first.seq + 3000 >= last.seq);
  if (entries >= 200000) assert_true(longest < entries / 4); /* in a short run the first trim may come too late to show */
  print_message("# %ld entries, at most %ld of them in Redis, at the end %ld\n", entries, longest, (long)(last.seq - first.seq) + 1);
  assert_int_equal(tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->mirror_dir}, &chain, &f->error), TIDE_OK);
  const char *wrong = test_journal_walk(chain, &first, &last, &f->error);
  if (wrong) fail_msg("%s: %s", wrong, f->error.text);
  assert_true(first.epoch == 1 && first.seq == 0 && last.seq == (uint64_t)entries - 1);
  chain->ops->close(chain);
  journal->ops->close(journal);
  tide_buf_release(&entry);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(what_redis_holds_is_bounded, setup, teardown)};
  return cmocka_run_group_tests_name("mirror_redis", tests, NULL, NULL);
}
