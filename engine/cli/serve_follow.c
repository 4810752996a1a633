/* The thread that folds the log once more (serve_follow.h).
 *
 * The two folds share nothing: the follower is made on the core's thread, from the texts of the live one, and handed over under the mutex; from then on it is the
 * thread's until it is taken.
 * The thread reads no entry that the live fold has not folded: what is not folded yet may still be taken back by the store. */
#include "cli/serve_follow.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "adapter/archive.h"
#include "base/log.h"
#include "core/versions.h"

#define POLL_NS INT64_C(2000000)
#define IDLE_NS INT64_C(50000000)
#define RETRY_NS INT64_C(5000000000)
#define TURN 64 /* entries between two looks at what is wanted */

struct tide_follow {
  char *dir;
  pthread_t thread;
  pthread_mutex_t mutex;
  /* under mutex */
  bool quit;
  struct tide_fold *given;    /* to the thread, which has not taken it up yet */
  struct tide_fold *ready;    /* put down by the thread between two turns */
  struct tide_position until; /* entries up to there may be read */
  bool drop;                  /* what the thread has is not wanted any more */
  struct tide_follow_status status;
  char said[200]; /* the last error that the log was told */
  /* the core thread's own */
  struct tide_u128 wanted;  /* hash of the file that is being prepared; zero: none */
  uint32_t generation;      /* of the live fold then */
  struct tide_u128 refused; /* of the last that could not follow */
  int64_t retry_ns;         /* not before that */
};

/* ---- the thread ---- */

struct reading {
  struct tide_fold *fold;
  struct tide_journal *log;
  struct tide_buf entry;
  struct tide_position at;
};

static void let_go(struct reading *r) {
  tide_fold_free(r->fold);
  if (r->log) r->log->ops->close(r->log);
  r->fold = NULL;
  r->log = NULL;
  r->at = (struct tide_position){0, 0};
}

static enum tide_err open_log(const struct tide_follow *follow, struct reading *r, struct tide_error *error) {
  struct tide_journal_file_options options = {.dir = follow->dir, .read_only = true};
  struct tide_position last;
  enum tide_err err = tide_journal_chain_open(&options, &r->log, error);
  return err == TIDE_OK ? r->log->ops->range(r->log, &r->at, &last, error) : err;
}

/* Some entries more, none behind `until`. END: there are no more now. */
static enum tide_err read_on(const struct tide_follow *follow, struct reading *r, struct tide_position until, struct tide_error *error) {
  struct tide_position folded = tide_fold_position(r->fold);
  bool first = folded.epoch == 0;
  enum tide_err err = r->log ? TIDE_OK : open_log(follow, r, error);
  for (unsigned i = 0; i < TURN && err == TIDE_OK; i++) {
    if (tide_position_cmp(folded, until) >= 0) return TIDE_E_END;
    struct tide_position at;
    err = r->log->ops->read(r->log, first ? r->at : folded, first, &r->entry, &at, error);
    if (err == TIDE_OK && tide_position_cmp(at, until) > 0) return TIDE_E_END;
    if (err == TIDE_OK) err = tide_fold_entry(r->fold, at, tide_buf_span(&r->entry), NULL, NULL, error);
    folded = at;
    first = false;
  }
  return err;
}

static void failed(struct tide_follow *follow, struct reading *r, const struct tide_error *error) {
  bool never = error->code == TIDE_E_NOT_FOUND;
  pthread_mutex_lock(&follow->mutex);
  bool said = strncmp(follow->said, error->text, sizeof follow->said - 1) == 0;
  snprintf(follow->said, sizeof follow->said, "%.*s", (int)sizeof follow->said - 1, error->text);
  pthread_mutex_unlock(&follow->mutex);
  if (!said)
    tide_log(TIDE_LOG_ERROR, "follow_failed", "why=%s note=%s", error->text,
             never ? "the next feature file cannot be prepared here: behind its rollout this engine takes a snapshot from a peer"
                   : "the next feature file is not prepared here; it is tried again");
  let_go(r);
  pthread_mutex_lock(&follow->mutex);
  follow->status.never = never;
  snprintf(follow->status.why, sizeof follow->status.why, "%.*s", (int)sizeof follow->status.why - 1, error->text);
  pthread_mutex_unlock(&follow->mutex);
}

static void *follow_main(void *arg) {
  struct tide_follow *follow = arg;
  struct reading r = {.entry = TIDE_BUF_INIT};
  (void)pthread_setname_np(pthread_self(), "tide-follow"); /* for top -H */
  for (bool quit = false; !quit;) {
    pthread_mutex_lock(&follow->mutex);
    struct tide_position until = follow->until;
    quit = follow->quit;
    bool drop = follow->drop;
    struct tide_fold *given = follow->given;
    follow->given = NULL;
    follow->drop = false;
    if (!r.fold && !given) r.fold = follow->ready, follow->ready = NULL;
    pthread_mutex_unlock(&follow->mutex);
    if (given || drop) let_go(&r);
    if (given) r.fold = given;
    struct tide_error error = {0};
    enum tide_err err = r.fold && !quit ? read_on(follow, &r, until, &error) : TIDE_E_END;
    if (err != TIDE_OK && err != TIDE_E_END) error.code = err, failed(follow, &r, &error);
    pthread_mutex_lock(&follow->mutex);
    if (r.fold) follow->status.at = tide_fold_position(r.fold);
    if (r.fold) follow->status.ready = err == TIDE_E_END;
    bool rest = err != TIDE_OK, idle = !r.fold;
    if (rest && r.fold && !follow->given && !follow->drop) follow->ready = r.fold, r.fold = NULL; /* may be taken while this rests */
    pthread_mutex_unlock(&follow->mutex);
    struct timespec pause = {.tv_nsec = idle ? IDLE_NS : POLL_NS};
    if (rest && !quit) (void)nanosleep(&pause, NULL);
  }
  let_go(&r);
  tide_buf_release(&r.entry);
  return NULL;
}

/* ---- the core's thread ---- */

/* The file that comes next: what the fold waits for, or else a feature file that the journal named after the one in force. */
static struct tide_span next_file(const struct tide_fold *fold) {
  struct tide_span next = tide_fold_awaited(fold);
  const struct tide_versions *versions = tide_fold_versions(fold);
  for (uint32_t i = 0; i < versions->count && !tide_fold_waits(fold); i++) {
    const struct tide_version *version = versions->item[i];
    if (version->kind != TIDE_ARTIFACT_features) continue;
    bool in_force = tide_content_hash_eq(version->hash, versions->features);
    next = in_force ? (struct tide_span){NULL, 0} : tide_buf_span(&version->bytes);
  }
  return next;
}

static void want(struct tide_follow *follow, const struct tide_fold *fold, struct tide_span next) {
  struct tide_error error = {0};
  struct tide_fold *follower = NULL;
  struct tide_u128 hash = next.len ? tide_hash128(next.ptr, next.len, 0) : (struct tide_u128){0, 0};
  enum tide_err err = TIDE_OK;
  if (next.len && !follow->dir) err = tide_fail(&error, TIDE_E_CONFIG, "a journal in memory cannot be read again: restart under that file");
  if (next.len && err == TIDE_OK) err = tide_fold_follower(fold, next, &follower, &error);
  if (err != TIDE_OK && !tide_u128_eq(hash, follow->refused)) tide_log(TIDE_LOG_WARN, "cannot_follow", "why=%s", error.text);
  follow->refused = err == TIDE_OK ? (struct tide_u128){0, 0} : hash;
  follow->wanted = hash;
  follow->generation = tide_fold_generation(fold);
  follow->retry_ns = tide_mono_now().ns + RETRY_NS;
  pthread_mutex_lock(&follow->mutex);
  struct tide_fold *old = follow->given, *ready = follow->ready;
  follow->given = follower;
  follow->ready = NULL;
  follow->drop = true;
  follow->status = (struct tide_follow_status){.on = follower != NULL, .features = tide_content_hash(next)};
  snprintf(follow->status.why, sizeof follow->status.why, "%.*s", (int)sizeof follow->status.why - 1, error.text);
  pthread_mutex_unlock(&follow->mutex);
  tide_fold_free(old);
  tide_fold_free(ready);
}

void tide_follow_turn(struct tide_follow *follow, const struct tide_fold *fold) {
  if (!tide_fold_spec(fold)) return;
  struct tide_span next = next_file(fold);
  struct tide_u128 hash = next.len ? tide_hash128(next.ptr, next.len, 0) : (struct tide_u128){0, 0};
  pthread_mutex_lock(&follow->mutex);
  follow->until = tide_fold_position(fold);
  bool broken = follow->status.why[0] != 0;
  pthread_mutex_unlock(&follow->mutex);
  bool other = !tide_u128_eq(hash, follow->wanted) || (next.len && follow->generation != tide_fold_generation(fold));
  if (other || (next.len && broken && tide_mono_now().ns >= follow->retry_ns)) want(follow, fold, next);
}

struct tide_fold *tide_follow_take(struct tide_follow *follow, const struct tide_fold *fold) {
  struct tide_fold *follower = NULL;
  pthread_mutex_lock(&follow->mutex);
  struct tide_fold *ready = follow->ready;
  if (ready && tide_position_cmp(tide_fold_position(ready), tide_fold_position(fold)) == 0) {
    follower = ready;
    follow->ready = NULL;
    follow->drop = true; /* the log that is open for it */
    follow->status = (struct tide_follow_status){0};
  }
  pthread_mutex_unlock(&follow->mutex);
  if (follower) follow->wanted = (struct tide_u128){0, 0};
  return follower;
}

/* ---- outside ---- */

struct tide_follow *tide_follow_new(const char *dir) {
  struct tide_follow *follow = tide_alloc(sizeof *follow);
  follow->dir = dir ? tide_strdup(dir) : NULL;
  TIDE_CHECK(pthread_mutex_init(&follow->mutex, NULL) == 0);
  TIDE_CHECK(pthread_create(&follow->thread, NULL, follow_main, follow) == 0);
  return follow;
}

void tide_follow_free(struct tide_follow *follow) {
  if (!follow) return;
  pthread_mutex_lock(&follow->mutex);
  follow->quit = true;
  pthread_mutex_unlock(&follow->mutex);
  TIDE_CHECK(pthread_join(follow->thread, NULL) == 0);
  tide_fold_free(follow->given);
  tide_fold_free(follow->ready);
  (void)pthread_mutex_destroy(&follow->mutex);
  tide_free(follow->dir);
  tide_free(follow);
}

struct tide_follow_status tide_follow_status(struct tide_follow *follow) {
  pthread_mutex_lock(&follow->mutex);
  struct tide_follow_status status = follow->status;
  pthread_mutex_unlock(&follow->mutex);
  return status;
}
