/* The users of config/redis/users.acl on a real server: what each may do is listed here, and everything else that the server knows is refused.
 *
 * The file is taken as it is, with passwords in the places meant for them. For every command and subcommand that the server itself lists it is asked what each user
 * may do, so a right too many fails as well as a right too few; keys, scripts and replication are tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "../support/redis_server.h"
#include "adapter/journal_redis.h"

#define JOURNAL "tidemark:{eu}:journal"
#define COVER "tidemark:{eu}:cover:"
/* sha256 of "secret" */
#define SECRET_HASH "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

struct fixture {
  struct test_redis redis;
  char *dir, *acl;
};

static char *read_file(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail_msg("%s cannot be read: run the tests in the top folder", path);
  struct tide_buf text = TIDE_BUF_INIT;
  char chunk[4096];
  size_t got;
  while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) tide_buf_put(&text, chunk, got);
  fclose(file);
  return tide_buf_take(&text);
}

/* Writes users.acl with the cell's name and, unless `bare`, the passwords; and one more user for the test itself. */
static char *prepare(const char *dir, bool bare) {
  char *text = read_file("config/redis/users.acl"), *path = test_path(dir, "users.acl");
  struct tide_buf out = TIDE_BUF_INIT;
  for (const char *at = text; *at;) {
    if (strncmp(at, "{CELL}", 6) == 0) {
      tide_buf_str(&out, "{eu}");
      at += 6;
    } else if (!bare && strncmp(at, "#SHA256_OF_THE_PASSWORD_OF_", 27) == 0) {
      tide_buf_str(&out, SECRET_HASH);
      at += strcspn(at, " \n");
    } else {
      tide_buf_char(&out, *at++);
    }
  }
  if (!bare) tide_buf_str(&out, "user tester reset on " SECRET_HASH " ~* &* +@all\n");
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(out.ptr, 1, out.len, file), out.len);
  assert_int_equal(fclose(file), 0);
  tide_buf_release(&out);
  tide_free(text);
  return path;
}

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  f->dir = test_dir("acl");
  f->acl = prepare(f->dir, false);
  const char *option[] = {"--aclfile", f->acl, "--masteruser", "replica", "--masterauth", "secret", NULL};
  test_redis_start(&f->redis, option);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  test_redis_stop(&f->redis);
  test_dir_remove(f->dir);
  tide_free(f->dir);
  tide_free(f->acl);
  tide_free(f);
  return 0;
}

static redisContext *login(const struct test_redis *redis, const char *user) {
  redisContext *context = test_redis_connect(redis);
  redisReply *reply = redisCommand(context, "AUTH %s secret", user);
  assert_non_null(reply);
  if (reply->type != REDIS_REPLY_STATUS) fail_msg("AUTH %s: %s", user, reply->str);
  freeReplyObject(reply);
  return context;
}

/* The reply's error, "" when it is none. Valid until the next call. */
static const char *say(redisContext *context, const char *format, ...) {
  static char text[512];
  va_list args;
  va_start(args, format);
  redisReply *reply = redisvCommand(context, format, args);
  va_end(args);
  if (!reply) fail_msg("%s: no reply: %s", format, context->errstr);
  snprintf(text, sizeof text, "%s", reply->type == REDIS_REPLY_ERROR ? reply->str : "");
  freeReplyObject(reply);
  return text;
}
#define assert_done(context, ...) assert_string_equal(say(context, __VA_ARGS__), "")
static void assert_refused(const char *error) {
  if (strncmp(error, "NOPERM ", 7) != 0) fail_msg("instead of NOPERM: %s", error[0] ? error : "done");
}

/* Every command against a list */

static bool listed(const char *list, const char *name) {
  size_t len = strlen(name);
  for (const char *at = list; (at = strstr(at, name)) != NULL; at += len) {
    if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0)) return true;
  }
  return false;
}

struct review {
  redisContext *context;
  const char *user, *may;
  unsigned seen, wrong, found;
};

static void review_command(struct review *r, const redisReply *info) {
  char name[64], *sub;
  const char *argv[40] = {"ACL", "DRYRUN", r->user};
  snprintf(name, sizeof name, "%s", info->element[0]->str);
  long long arity = info->element[1]->integer;
  size_t count = 4, words = (size_t)(arity < 0 ? -arity : arity);
  argv[3] = name;
  if ((sub = strchr(name, '|')) != NULL) {
    argv[count++] = sub + 1;
    *sub = 0;
  }
  while (count < 3 + words) argv[count++] = "1"; /* keys: refused for another reason, which is looked at below */
  redisReply *reply = redisCommandArgv(r->context, (int)count, argv, NULL);
  assert_non_null(reply);
  if (reply->type == REDIS_REPLY_ERROR) fail_msg("ACL DRYRUN %s: %s", info->element[0]->str, reply->str);
  bool may = strstr(reply->str, "no permissions to run the") == NULL, should = listed(r->may, info->element[0]->str);
  if (may != should) {
    print_error("%s %s run %s\n", r->user, may ? "may" : "may not", info->element[0]->str);
    r->wrong++;
  }
  freeReplyObject(reply);
  r->found += should;
  r->seen++;
}

static void review(const struct test_redis *redis, const char *user, const char *may) {
  /* What no rule can take from a client. */
  char all[512];
  snprintf(all, sizeof all, "%s auth hello quit reset", may);
  struct review r = {.context = login(redis, "tester"), .user = user, .may = all};
  unsigned names = 1;
  for (const char *at = all; *at; at++) names += *at == ' ';
  redisReply *table = redisCommand(r.context, "COMMAND");
  assert_non_null(table);
  assert_int_equal(table->type, REDIS_REPLY_ARRAY);
  for (size_t i = 0; i < table->elements; i++) {
    const redisReply *info = table->element[i], *sub = info->element[9];
    if (sub->elements == 0) review_command(&r, info);
    for (size_t k = 0; k < sub->elements; k++) review_command(&r, sub->element[k]);
  }
  freeReplyObject(table);
  redisFree(r.context);
  assert_int_equal(r.wrong, 0);
  assert_int_equal(r.found, names); /* every name of the list is a command of the server */
  assert_true(r.seen > 300);
}

static void engines_may_run_what_is_listed_and_nothing_else(void **state) {
  struct fixture *f = *state;
  review(&f->redis, "tidemark", "ping role info time wait xadd xrange xinfo|stream xtrim eval evalsha script|load set");
}
static void restoring_may_run_what_is_listed_and_nothing_else(void **state) {
  struct fixture *f = *state;
  review(
      &f->redis, "tidemark-restore",
      "ping role info time wait exists type xadd xrange xlen xinfo|stream xtrim xdel xsetid xgroup|create xgroup|destroy rename renamenx del");
}
static void servers_may_run_what_is_listed_and_nothing_else(void **state) {
  struct fixture *f = *state;
  review(&f->redis, "replica", "ping replconf psync");
  review(&f->redis, "sentinel",
         "ping info role multi exec slaveof config|rewrite publish subscribe client|setname client|kill script|kill");
}

/* Keys and scripts, tried */

static void an_engine_does_its_work(void **state) {
  struct fixture *f = *state;
  redisContext *restore = login(&f->redis, "tidemark-restore"), *engine = login(&f->redis, "tidemark");
  assert_done(restore, "XGROUP CREATE " JOURNAL " init $ MKSTREAM");
  assert_done(restore, "XGROUP DESTROY " JOURNAL " init");
  assert_done(engine, "PING");
  assert_done(engine, "ROLE");
  assert_done(engine, "INFO server memory persistence replication stats");
  assert_done(engine, "TIME");
  assert_done(engine, "XADD " JOURNAL " NOMKSTREAM 1-0 b fence");
  assert_done(engine, "XADD " JOURNAL " NOMKSTREAM 1-* b entry");
  assert_done(engine, "WAIT 0 1");
  assert_done(engine, "XRANGE " JOURNAL " 1-0 + COUNT 64");
  assert_done(engine, "XINFO STREAM " JOURNAL);
  assert_done(engine, "SET " COVER "7 nonce PX 60000");
  assert_done(engine, "EVAL %s 1 " JOURNAL,
              "redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1) return redis.call('XTRIM', KEYS[1], 'MINID', '1-1')");
  assert_string_equal(say(engine, "EVALSHA 0000000000000000000000000000000000000000 1 " JOURNAL),
                      "NOSCRIPT No matching script. Please use EVAL.");
  assert_done(engine, "SCRIPT LOAD %s", "return 1");
  redisFree(engine);
  redisFree(restore);
}

static struct tide_redis_options options_of(const struct fixture *f, const char *user) {
  struct tide_redis_options options = {
      .target = {.address = {{.host = "127.0.0.1", .port = f->redis.port}}, .address_count = 1, .password = "secret"},
      .cell = "eu",
      .engine_id = 7,
      .wait_ms = 100,
      .timeout_ms = 10000,
      .clock_skew_max_ms = 60000,
      .memory_percent = 60,
  };
  snprintf(options.target.user, sizeof options.target.user, "%s", user);
  return options;
}

/* The adapter itself, with a user of its own for each of its two tasks. */
static void the_journal_works_with_these_rights(void **state) {
  struct fixture *f = *state;
  struct tide_redis_options engine = options_of(f, "tidemark"), restore = options_of(f, "tidemark-restore");
  struct tide_journal *journal;
  struct tide_session session;
  struct tide_position at, first, last, durable;
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_error error;
  assert_int_equal(tide_journal_redis_init(&engine, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "NOPERM"));
  assert_int_equal(tide_journal_redis_open(&engine, &journal, &error), TIDE_OK);
  assert_int_equal(journal->ops->begin(journal, &session, &error), TIDE_E_CONFIG);
  enum tide_err err = tide_journal_redis_init(&restore, &error);
  if (err == TIDE_OK) err = journal->ops->begin(journal, &session, &error);
  if (err == TIDE_OK) err = journal->ops->open_epoch(journal, 1, (struct tide_span){"fence", 5}, &at, &error);
  if (err == TIDE_OK) err = journal->ops->append(journal, 1, (struct tide_span){"entry", 5}, &at, &error);
  if (err == TIDE_OK) err = journal->ops->sync(journal, &durable, &error);
  if (err == TIDE_OK) err = journal->ops->sync(journal, &durable, &error); /* nothing of its own: covers by a key */
  if (err == TIDE_OK) err = journal->ops->read(journal, (struct tide_position){1, 0}, false, &out, &at, &error);
  if (err == TIDE_OK) err = journal->ops->trim(journal, at, (struct tide_span){"entry", 5}, &error);
  if (err == TIDE_OK) err = journal->ops->range(journal, &first, &last, &error);
  if (err) fail_msg("%s", error.text);
  assert_int_equal(durable.seq, 1);
  assert_int_equal(first.seq, 1);
  assert_int_equal(out.len, 5);
  journal->ops->close(journal);
  /* A wrong password and a user that is not known say so, and never the password. */
  snprintf(engine.target.password, sizeof engine.target.password, "not-the-secret");
  assert_int_equal(tide_journal_redis_open(&engine, &journal, &error), TIDE_OK);
  assert_int_equal(journal->ops->begin(journal, &session, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "WRONGPASS"));
  assert_null(strstr(error.text, "not-the-secret"));
  journal->ops->close(journal);
  engine.target.password[0] = 0;
  assert_int_equal(tide_journal_redis_open(&engine, &journal, &error), TIDE_OK);
  assert_int_equal(journal->ops->begin(journal, &session, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "NOAUTH"));
  journal->ops->close(journal);
  tide_buf_release(&out);
}

static void an_engine_cannot_rewrite_history(void **state) {
  struct fixture *f = *state;
  redisContext *restore = login(&f->redis, "tidemark-restore"), *engine = login(&f->redis, "tidemark");
  assert_done(restore, "XGROUP CREATE " JOURNAL " init $ MKSTREAM");
  assert_done(engine, "XADD " JOURNAL " NOMKSTREAM 1-0 b fence");
  static const char *const never[] = {
      "XDEL " JOURNAL " 1-0",
      "XSETID " JOURNAL " 9-0",
      "DEL " JOURNAL,
      "UNLINK " JOURNAL,
      "RENAME " JOURNAL " " COVER "1",
      "RENAME a b",
      "SET " JOURNAL " x",
      "SET other x",
      "GET " COVER "1",
      "SET " COVER "1 x GET",
      "CONFIG SET save 1",
      "CONFIG GET maxmemory",
      "FLUSHALL",
      "FLUSHDB",
      "REPLICAOF NO ONE",
      "EXPIRE " JOURNAL " 1",
      "COPY a " JOURNAL " REPLACE",
      "XADD other 1-0 b x",
      "XRANGE other - +",
      "XADD tidemark:{us}:journal 1-0 b x",
      "XTRIM other MAXLEN 0",
      "XGROUP CREATE " JOURNAL " g $ MKSTREAM",
      "SHUTDOWN NOSAVE",
      "ACL SETUSER tidemark +@all",
      "RESTORE " JOURNAL " 0 x REPLACE",
      "MULTI",
      "SUBSCRIBE x",
      "KEYS *",
      "SWAPDB 0 1",
      "FAILOVER",
      "CLIENT KILL TYPE normal",
      "XINFO STREAM other",
  };
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    const char *error = say(engine, never[i]);
    if (strncmp(error, "NOPERM ", 7) != 0) fail_msg("%s: %s instead of NOPERM", never[i], error[0] ? error : "done");
  }
  /* A script has the rights of who sent it. */
  static const char *const inside[] = {"'DEL', KEYS[1]", "'XDEL', KEYS[1], '1-0'", "'XSETID', KEYS[1], '9-0'", "'SET', KEYS[1], 'x'",
                                       "'FLUSHALL'"};
  for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
    char script[128];
    snprintf(script, sizeof script, "return redis.call(%s)", inside[i]);
    const char *error = say(engine, "EVAL %s 1 " JOURNAL, script);
    if (!strstr(error, "can't run this command") && !strstr(error, "can't access at least one of the keys")) {
      fail_msg("%s within a script: %s", inside[i], error[0] ? error : "done");
    }
  }
  redisReply *entries = redisCommand(restore, "XRANGE " JOURNAL " - +");
  assert_non_null(entries);
  assert_int_equal(entries->elements, 1);
  freeReplyObject(entries);
  redisFree(engine);
  redisFree(restore);
}

static void nobody_else_comes_in(void **state) {
  struct fixture *f = *state;
  redisContext *context = test_redis_connect(&f->redis);
  assert_string_equal(say(context, "PING"), "NOAUTH Authentication required.");
  assert_true(strncmp(say(context, "AUTH default secret"), "WRONGPASS ", 10) == 0);
  assert_true(strncmp(say(context, "AUTH tidemark wrong"), "WRONGPASS ", 10) == 0);
  redisFree(context);
  context = login(&f->redis, "tidemark-restore");
  assert_refused(say(context, "DEL other"));
  assert_refused(say(context, "CONFIG SET save 1"));
  assert_refused(say(context, "FLUSHALL"));
  redisFree(context);
}

static void a_replica_follows_as_its_user(void **state) {
  struct fixture *f = *state;
  struct test_redis replica;
  const char *option[] = {"--aclfile", f->acl, "--masteruser", "replica", "--masterauth", "secret", NULL};
  test_redis_start(&replica, option);
  redisContext *boss = login(&replica, "tester"), *restore = login(&f->redis, "tidemark-restore"), *engine = login(&f->redis, "tidemark");
  assert_done(boss, "REPLICAOF 127.0.0.1 %u", (unsigned)f->redis.port);
  assert_done(restore, "XGROUP CREATE " JOURNAL " init $ MKSTREAM");
  assert_done(engine, "XADD " JOURNAL " NOMKSTREAM 1-0 b fence");
  redisReply *acked = redisCommand(engine, "WAIT 1 15000");
  assert_non_null(acked);
  assert_int_equal(acked->integer, 1);
  freeReplyObject(acked);
  redisFree(boss);
  redisFree(restore);
  redisFree(engine);
  test_redis_stop(&replica);
}

static void placeholders_of_passwords_are_refused(void **state) {
  (void)state;
  char *dir = test_dir("bare"), *acl = prepare(dir, true);
  const char *option[] = {"--aclfile", acl, NULL};
  struct tide_buf log = TIDE_BUF_INIT;
  assert_true(test_redis_refuses(option, &log));
  assert_non_null(strstr(tide_buf_cstr(&log), "ACL errors"));
  tide_buf_release(&log);
  tide_free(acl);
  test_dir_remove(dir);
  tide_free(dir);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  static const struct CMUnitTest tests[] = {
      T(engines_may_run_what_is_listed_and_nothing_else),
      T(restoring_may_run_what_is_listed_and_nothing_else),
      T(servers_may_run_what_is_listed_and_nothing_else),
      T(an_engine_does_its_work),
      T(the_journal_works_with_these_rights),
      T(an_engine_cannot_rewrite_history),
      T(nobody_else_comes_in),
      T(a_replica_follows_as_its_user),
      cmocka_unit_test(placeholders_of_passwords_are_refused),
  };
  return cmocka_run_group_tests_name("redis users", tests, NULL, NULL);
}
