/* The journal at start (serve_journal.h).
 *
 * A store of others (Redis) may be away, or be somebody else's: serve waits for it and says what for. A cell's history is never begun anew by an engine: where
 * snapshots are and none of them fits the journal, or an engine has written down that its history was lost, only --accept-loss goes on. */
#include "cli/serve_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/file.h"
#include "adapter/journal_redis.h"
#include "base/log.h"
#include "cli/serve_config.h"
#include "cli/serve_peer.h"

#define MARKER "HISTORY-LOST"
#define WAIT_MS 500
#define BROKEN_MAX 20

/* A directory and those above it. */
static enum tide_err make_dirs(const char *dir, struct tide_error *error) {
  char *path = tide_strdup(dir);
  enum tide_err err = TIDE_OK;
  for (char *slash = path; slash && err == TIDE_OK;) {
    slash = strchr(slash + 1, '/');
    if (slash) *slash = 0;
    if (mkdir(path, 0750) != 0 && errno != EEXIST) err = tide_fail_errno(error, TIDE_E_IO, "cannot create %s", path);
    if (slash) *slash = '/';
  }
  tide_free(path);
  return err;
}

/* ---- the key ---- */

/* The position before `at`, or {0,0}. Entries of an epoch are dense, so its last one is found by halving. */
static enum tide_err step_back(struct tide_journal *journal, struct tide_position *at, struct tide_buf *bytes, struct tide_error *error) {
  if (at->seq > 0) {
    at->seq--;
    return TIDE_OK;
  }
  struct tide_position first, last, found;
  enum tide_err err = journal->ops->range(journal, &first, &last, error);
  if (err != TIDE_OK) return err;
  for (uint64_t epoch = at->epoch; epoch-- > first.epoch;) {
    uint64_t lo = 0, hi = UINT64_C(1) << 40, best = UINT64_MAX;
    while (lo < hi) {
      uint64_t mid = lo + (hi - lo) / 2;
      err = journal->ops->read(journal, (struct tide_position){epoch, mid}, true, bytes, &found, error);
      if (err != TIDE_OK && err != TIDE_E_END) return err;
      if (err == TIDE_OK && found.epoch == epoch) best = found.seq, lo = found.seq + 1;
      else hi = mid;
    }
    if (best == UINT64_MAX) continue; /* epochs may be skipped */
    *at = (struct tide_position){epoch, best};
    return TIDE_OK;
  }
  *at = (struct tide_position){0, 0};
  return TIDE_OK;
}

/* The key of the newest event in an entry, 0: none. */
static enum tide_err key_of(struct tide_span entry, uint32_t *ret, struct tide_error *error) {
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  *ret = 0;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  while (err == TIDE_OK && (err = tide_entry_next(&reader, &raw, error)) == TIDE_OK) {
    if (raw.type != TIDE_REC_EVENT) continue;
    err = tide_record_decode(NULL, &raw, record, error); /* whatever feature file it was written under */
    if (err == TIDE_OK && record->key_id) *ret = record->key_id;
  }
  tide_free(record);
  tide_free(part);
  return err == TIDE_E_END ? TIDE_OK : err;
}

/* A journal that begins with another feature file is the core's to refuse, and says more: records that do not fit are passed over here. */
static enum tide_err check_key(struct tide_journal *journal, const struct tide_spec *spec, const struct tide_keys *keys,
                               struct tide_error *error) {
  struct tide_position first, at, found;
  struct tide_buf bytes = TIDE_BUF_INIT;
  uint32_t key_id = 0;
  bool secret = false;
  for (uint32_t f = 0; f < spec->field_count && !secret; f++) secret = spec->field[f].secret;
  if (!secret) return TIDE_OK; /* no event has a key: none would be found, and the whole journal read for it */
  enum tide_err err = journal->ops->range(journal, &first, &at, error);
  while (err == TIDE_OK && key_id == 0 && at.epoch > 0 && tide_position_cmp(at, first) >= 0) {
    err = journal->ops->read(journal, at, true, &bytes, &found, error);
    if (err == TIDE_OK && key_of(tide_buf_span(&bytes), &key_id, NULL) != TIDE_OK) break;
    if (err == TIDE_OK && key_id == 0) err = step_back(journal, &at, &bytes, error);
  }
  tide_buf_release(&bytes);
  if (err != TIDE_OK || key_id == 0) return err;
  if ((keys->has_now && keys->now.id == key_id) || (keys->has_previous && keys->previous.id == key_id)) return TIDE_OK;
  return tide_fail(error, TIDE_E_CONFIG,
                   "the journal was written under key %08x, which was not given; without it cards would not be recognised", key_id);
}

/* ---- lost history ---- */

static char *marker_path(const char *snapshots) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/" MARKER, snapshots);
  return tide_buf_take(&path);
}

void tide_serve_history_lost(const struct tide_serve_journal *serve, const struct tide_fold *fold) {
  struct tide_position at = tide_fold_position(fold);
  struct tide_entry_mark mark = tide_fold_mark(fold);
  if (!serve->snapshots || at.epoch == 0) return;
  (void)mkdir(serve->snapshots, 0700);
  char *path = marker_path(serve->snapshots);
  FILE *out = fopen(path, "we");
  bool good = out && fprintf(out, "%llu %llu %016llx %08x\n", (unsigned long long)at.epoch, (unsigned long long)at.seq,
                             (unsigned long long)mark.attempt_nonce, mark.crc) > 0;
  good = out && fflush(out) == 0 && fsync(fileno(out)) == 0 && good;
  if (out) good = fclose(out) == 0 && good;
  if (!good)
    tide_log(TIDE_LOG_ERROR, "history_marker_failed", "path=%s note=%s", path,
             "do not start this engine again before the journal is restored");
  tide_free(path);
}

/* Does the journal hold what the marker says was folded? */
static enum tide_err look_for(struct tide_journal *journal, struct tide_position at, struct tide_entry_mark mark, bool *ret_there,
                              struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position found;
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_entry_reader reader;
  *ret_there = false;
  enum tide_err err = journal->ops->read(journal, at, true, &bytes, &found, error);
  if (err == TIDE_OK && tide_position_cmp(at, found) == 0 && tide_entry_open(&reader, tide_buf_span(&bytes), part, NULL) == TIDE_OK)
    *ret_there = tide_entry_mark_eq(tide_entry_mark_of(tide_buf_span(&bytes), &reader.header), mark);
  tide_buf_release(&bytes);
  tide_free(part);
  return err == TIDE_E_END ? TIDE_OK : err;
}

static enum tide_err check_marker(const struct tide_serve_journal *serve, bool accept_loss, struct tide_error *error) {
  char *path = marker_path(serve->snapshots);
  FILE *in = fopen(path, "re");
  unsigned long long epoch = 0, seq = 0, nonce = 0;
  unsigned crc = 0;
  enum tide_err err = TIDE_OK;
  if (in) {
    bool whole = fscanf(in, "%llu %llu %llx %x", &epoch, &seq, &nonce, &crc) == 4, there = false;
    (void)fclose(in);
    if (whole) err = look_for(serve->journal, (struct tide_position){epoch, seq}, (struct tide_entry_mark){nonce, crc}, &there, error);
    if (err == TIDE_OK && !there && !accept_loss && !serve->lossy)
      err = tide_fail(
          error, TIDE_E_HISTORY,
          "this engine has answered from a journal up to %llu-%llu, and the journal does not hold that any more (%s): restore it, or start with "
          "--accept-loss",
          epoch, seq, path);
    if (err == TIDE_OK && !there) tide_log(TIDE_LOG_WARN, "history_loss_accepted", "position=%llu-%llu", epoch, seq);
    if (err == TIDE_OK && unlink(path) != 0) err = tide_fail_errno(error, TIDE_E_IO, "cannot remove %s", path);
  } else if (errno != ENOENT) {
    err = tide_fail_errno(error, TIDE_E_IO, "cannot read %s", path);
  }
  tide_free(path);
  return err;
}

/* ---- snapshots ---- */

static void see_epoch(struct tide_serve_journal *serve, uint64_t epoch) {
  if (epoch > serve->epoch_seen) serve->epoch_seen = epoch;
}

/* Snapshots of what a failover took back: not to be begun from, not to be trimmed by, not to be given to peers. */
static enum tide_err remove_lost(const struct tide_serve_journal *serve, struct tide_error *error) {
  struct tide_position *position = NULL;
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  size_t count = 0;
  enum tide_err err = tide_snapshot_list(serve->snapshots, &position, &count, error);
  for (size_t i = 0; i < count && err == TIDE_OK; i++) {
    struct tide_error why = {0};
    err = tide_snapshot_manifest_read(serve->snapshots, position[i], manifest, &why);
    if (err == TIDE_OK) err = tide_snapshot_fits(manifest, serve->journal, &why);
    if (err != TIDE_E_MISMATCH) { /* damaged, or the journal is away just now: it stays */
      err = TIDE_OK;
      continue;
    }
    err = tide_snapshot_remove(serve->snapshots, position[i], error);
    if (err == TIDE_OK)
      tide_log(TIDE_LOG_WARN, "snapshot_of_lost_history", "position=%llu-%llu why=%s", (unsigned long long)position[i].epoch,
               (unsigned long long)position[i].seq, why.text);
  }
  tide_free(position);
  tide_free(manifest);
  return err;
}

/* What an engine does whose own snapshots, if any, do not fit: where that is because the journal was trimmed beyond them, or there are none, a peer's will do. */
static enum tide_err begin_elsewhere(const struct tide_config *config, struct tide_serve_journal *serve, bool has_own,
                                     struct tide_position newest, bool accept_loss, struct tide_error *error) {
  struct tide_position first, last;
  struct tide_released released;
  bool got = false;
  enum tide_err err = serve->journal->ops->range(serve->journal, &first, &last, error);
  if (err != TIDE_OK) return err;
  bool trimmed = first.seq > 0;                    /* nobody trims to a fence */
  bool together = serve->lossy && first.epoch > 0; /* what the mirror has in common with it tells */
  if (has_own && !accept_loss && !together && !(trimmed && tide_position_cmp(newest, first) < 0))
    return tide_fail(
        error, TIDE_E_HISTORY,
        "there are snapshots in %s, the newest of %llu-%llu, and the journal holds none of their entries: it was emptied, rolled back, or is another cell's. "
        "Restore it, or start with --accept-loss",
        serve->snapshots, (unsigned long long)newest.epoch, (unsigned long long)newest.seq);
  if (first.epoch == 0) return TIDE_OK;
  serve->unproven = has_own && together && !accept_loss;
  if (config->snapshot_peers[0] || config->snapshot_shared_dir[0]) {
    err = make_dirs(serve->snapshots, error);
    if (err == TIDE_OK) err = tide_serve_fetch(config, serve->journal, serve->snapshots, &got, error);
    if (err == TIDE_OK && got) err = tide_snapshot_load(serve->snapshots, serve->journal, NULL, &serve->fold, &released, error);
  }
  if (err == TIDE_OK && !serve->fold && trimmed)
    err = tide_fail(
        error, TIDE_E_AGAIN,
        "the journal begins at %llu-%llu: what stood before was trimmed, and this engine has no snapshot from behind there. Name its peers in "
        "snapshot.peers, or a directory with their snapshots in snapshot.shared_dir",
        (unsigned long long)first.epoch, (unsigned long long)first.seq);
  return err;
}

static enum tide_err load_snapshot(const struct tide_config *config, struct tide_serve_journal *serve, bool accept_loss,
                                   struct tide_error *error) {
  struct tide_released released;
  struct tide_position *position = NULL, newest = {0, 0};
  size_t count = 0;
  enum tide_err err = tide_snapshot_list(serve->snapshots, &position, &count, error);
  if (count) newest = position[0];
  if (count) see_epoch(serve, newest.epoch);
  tide_free(position);
  if (err == TIDE_OK) err = tide_snapshot_load(serve->snapshots, serve->journal, NULL, &serve->fold, &released, error);
  serve->verified = err == TIDE_OK && serve->fold ? tide_fold_position(serve->fold) : (struct tide_position){0, 0};
  if (err == TIDE_OK && !serve->fold && serve->shared) err = begin_elsewhere(config, serve, count > 0, newest, accept_loss, error);
  if (err == TIDE_OK && !serve->fold) serve->fold = tide_fold_new();
  return err;
}

/* ---- Redis ---- */

static enum tide_err parse_nodes(const char *text, struct tide_redis_options *redis, struct tide_error *error) {
  if (!*text) return TIDE_OK;
  struct tide_redis_target list;
  struct tide_buf url = TIDE_BUF_INIT; /* the same form as a list of sentinels */
  tide_buf_printf(&url, "redis+sentinel://%s/nodes", text);
  enum tide_err err = tide_redis_target_parse(tide_buf_cstr(&url), &list, error);
  tide_buf_release(&url);
  if (err != TIDE_OK) return tide_fail(error, TIDE_E_CONFIG, "journal.nodes must be HOST:PORT,HOST:PORT... and is \"%.200s\"", text);
  memcpy(redis->node, list.address, sizeof list.address);
  redis->node_count = list.address_count;
  return TIDE_OK;
}

enum tide_err tide_serve_redis(const struct tide_config *config, struct tide_redis_options *ret, struct tide_error *error) {
  struct tide_redis_options redis = {.cell = config->cell_name,
                                     .engine_id = (uint32_t)config->engine_id,
                                     .replicas = (uint32_t)config->journal_replicas,
                                     .quorum = (uint32_t)config->journal_quorum,
                                     .wait_ms = config->journal_wait_ms,
                                     .timeout_ms = config->journal_timeout_ms,
                                     .clock_skew_max_ms = config->journal_max_clock_skew_ms,
                                     .memory_percent = (uint32_t)config->journal_memory_share,
                                     .tls = {.ca = config->journal_tls_ca,
                                             .cert = config->journal_tls_cert,
                                             .key = config->journal_tls_key,
                                             .server_name = config->journal_tls_server_name}};
  enum tide_err err = tide_redis_target_parse(config->journal_url, &redis.target, error);
  if (err == TIDE_OK && redis.target.password[0])
    err = tide_fail(error, TIDE_E_CONFIG,
                    "journal.url must not hold a password, which --print-config would show: put it into journal.password_file");
  if (err == TIDE_OK && config->journal_password_file[0])
    err = tide_password_read("journal.password_file", config->journal_password_file, redis.target.password, sizeof redis.target.password,
                             error);
  if (err == TIDE_OK) err = parse_nodes(config->journal_nodes, &redis, error);
  if (err == TIDE_OK) *ret = redis;
  explicit_bzero(&redis.target, sizeof redis.target);
  return err;
}

static enum tide_err open_store(const struct tide_config *config, struct tide_serve_journal *serve, struct tide_error *error) {
  struct tide_redis_options redis;
  struct tide_journal_file_options file = {
      .dir = config->journal_dir, .create = true, .segment_bytes = (uint64_t)config->journal_segment_bytes};
  enum tide_err err = TIDE_OK;
  switch ((enum tide_journal_kind)config->journal_kind) {
    case TIDE_JOURNAL_KIND_memory:
      serve->journal = tide_journal_memory_new();
      serve->durability = "memory";
      break;
    case TIDE_JOURNAL_KIND_file:
      err = tide_journal_file_open(&file, &serve->journal, error);
      serve->durability = "file";
      break;
    case TIDE_JOURNAL_KIND_redis:
      err = tide_serve_redis(config, &redis, error);
      if (err == TIDE_OK) err = tide_journal_redis_open(&redis, &serve->journal, error);
      explicit_bzero(&redis.target, sizeof redis.target);
      serve->shared = true;
      serve->lossy = tide_config_lossy(config);
      serve->pressed = tide_journal_redis_pressed;
      serve->health = tide_journal_redis_health;
      serve->clock = tide_journal_redis_clock;
      serve->durability = config->journal_replicas == 0 ? "none" : config->journal_quorum == config->journal_replicas ? "strong" : "quorum";
      break;
  }
  return err;
}

/* The mirror of a shared journal, over a second handle on it. */
static enum tide_err open_mirror(const struct tide_config *config, bool accept_loss, struct tide_serve_journal *serve,
                                 struct tide_error *error) {
  struct tide_redis_options redis;
  struct tide_mirror_options mirror = {.snapshots = serve->snapshots,
                                       .trim = config->journal_trim,
                                       .keep_ms = config->journal_keep_ms,
                                       .lossy = serve->lossy,
                                       .common = serve->verified,
                                       .archive_keep_ms = config->journal_archive_keep_ms,
                                       .segment_bytes = (uint64_t)config->journal_segment_bytes};
  struct tide_buf dir = TIDE_BUF_INIT;
  if (!serve->shared) return TIDE_OK;
  enum tide_err err = make_dirs(config->journal_dir, error);
  if (err == TIDE_OK) err = tide_serve_redis(config, &redis, error);
  if (err == TIDE_OK) err = tide_journal_redis_open(&redis, &mirror.source, error);
  explicit_bzero(&redis.target, sizeof redis.target);
  if (err != TIDE_OK) return err;
  tide_buf_printf(&dir, "%s/mirror", config->journal_dir);
  mirror.dir = tide_buf_cstr(&dir);
  err = tide_mirror_open(&mirror, serve->journal, accept_loss, &serve->mirror, error);
  if (err == TIDE_OK) see_epoch(serve, tide_mirror_epoch(serve->mirror));
  if (err == TIDE_OK && serve->unproven && !tide_mirror_epoch(serve->mirror))
    err = tide_fail(
        error, TIDE_E_HISTORY,
        "the journal holds the entry of no snapshot in %s, and the mirror %s, which could tell whether it is the same one, is empty. Restore it, "
        "or start with --accept-loss",
        serve->snapshots, mirror.dir);
  tide_buf_release(&dir);
  return err;
}

/* What has to be read before the engine starts. */
static enum tide_err look(const struct tide_config *config, const struct tide_spec *spec, const struct tide_keys *keys, bool accept_loss,
                          struct tide_serve_journal *serve, struct tide_error *error) {
  if (!serve->snapshots) {
    serve->fold = tide_fold_new();
    return TIDE_OK;
  }
  enum tide_err err = check_marker(serve, accept_loss, error);
  if (err == TIDE_OK) err = check_key(serve->journal, spec, keys, error);
  if (err == TIDE_OK) err = load_snapshot(config, serve, accept_loss, error);
  if (err == TIDE_OK) err = open_mirror(config, accept_loss, serve, error);
  if (err == TIDE_OK && serve->lossy) err = remove_lost(serve, error);
  if (err != TIDE_OK) { /* it may be tried again */
    tide_mirror_close(serve->mirror);
    serve->mirror = NULL;
    tide_fold_free(serve->fold);
    serve->fold = NULL;
  }
  return err;
}

/* Waits for a session and reads in it. What a node's operator must change ends it at once. A store of others may also fail over between two questions; a disk
 * of ours that cannot be read gives the same code, so that is not tried for ever. */
static enum tide_err wait_and_look(const struct tide_config *config, const struct tide_spec *spec, const struct tide_keys *keys,
                                   bool accept_loss, tide_serve_wait_fn wait, void *ctx, struct tide_serve_journal *serve,
                                   struct tide_error *error) {
  unsigned broken = 0;
  for (bool said = false;; said = true) {
    struct tide_session session;
    enum tide_err err = serve->journal->ops->begin(serve->journal, &session, error);
    bool away = err == TIDE_E_AGAIN;
    if (err == TIDE_OK) err = look(config, spec, keys, accept_loss, serve, error);
    if (!away && (err == TIDE_E_IO || err == TIDE_E_AGAIN) && serve->shared) away = ++broken < BROKEN_MAX;
    if (!away) return err;
    if (!said) tide_log(TIDE_LOG_WARN, "journal_wait", "why=%s", error->text);
    if (!wait(ctx, WAIT_MS)) return err;
  }
}

enum tide_err tide_serve_journal_open(const struct tide_config *config, const struct tide_spec *spec, const struct tide_keys *keys,
                                      bool accept_loss, tide_serve_wait_fn wait, void *ctx, struct tide_serve_journal *ret,
                                      struct tide_error *error) {
  enum tide_err err = open_store(config, ret, error);
  if (err != TIDE_OK) return err;
  ret->snapshots = tide_serve_snapshot_dir(config);
  struct tide_buf log = TIDE_BUF_INIT;
  tide_buf_printf(&log, "%s%s", config->journal_dir, ret->shared ? "/mirror" : "");
  if (config->journal_kind != TIDE_JOURNAL_KIND_memory) ret->log = tide_strdup(tide_buf_cstr(&log));
  tide_buf_release(&log);
  return wait_and_look(config, spec, keys, accept_loss, wait, ctx, ret, error);
}

void tide_serve_journal_close(struct tide_serve_journal *serve) {
  tide_fold_free(serve->fold);
  tide_mirror_close(serve->mirror);
  if (serve->journal) serve->journal->ops->close(serve->journal);
  tide_free(serve->snapshots);
  tide_free(serve->log);
  *serve = (struct tide_serve_journal){0};
}
