/* Following a journal into a file journal, and trimming the journal by it (mirror.h).
 *
 * The mirror holds a piece of the journal without holes: entries are put where they follow its end, and only there. What comes with a gap is not lost, since
 * it was folded and so is durable in the journal: it is read from there, up to the last entry that was noted and never further, so that the mirror
 * holds nothing that may still be taken back. A new mirror begins with the first entry that the journal has, not with the first one folded:
 * then whatever this engine trims is in its own mirror.
 *
 * Trimming. T is the least of
 *   - the position of the older snapshot generation: this engine can start from either;
 *   - the mirror's durable end;
 *   - what was folded keep_ms ago, and, for each engine whose entry was folded within keep_ms, what was folded keep_ms before that. An engine's own entry
 *     proves that it lived and had read up to about there; its newest snapshot is not known to others, but is younger than keep_ms where
 *     keep_ms is above the time between snapshots. So an engine that dies has the journal it needs for a restart within keep_ms; one that stays away longer
 *     takes a snapshot from a peer. Nothing depends on this for safety: a fold that misses an entry ends with an error.
 * T is never a fence: a log that begins with a fence would look like a whole one. The store compares the entry at T with the mirror's before it removes
 * anything, so a mirror of another history trims nothing. */
#include "adapter/mirror.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "adapter/archive.h"
#include "adapter/snapshot_file.h"
#include "base/hash.h"
#include "base/log.h"

#define QUEUE_BYTES (16u << 20)
#define SYNC_NS (INT64_C(200) * 1000000)
#define TRIM_NS (INT64_C(1000) * 1000000)
#define PRUNE_NS (INT64_C(60000) * 1000000)
#define RETRY_NS (INT64_C(1000) * 1000000)
#define CATCH_UP_TURN 1024
#define CLOSE_NS (INT64_C(5000) * 1000000)
enum { SAMPLES = 256, SAMPLES_PER_KEEP = 64, ENGINES = 64 };

struct sample {
  int64_t ns;
  struct tide_position at;
};
struct heard {
  uint32_t engine_id;
  int64_t ns;
};

/* Entries one behind the other, with their positions. */
struct queue {
  struct tide_buf bytes;
  struct {
    struct tide_position at;
    size_t len;
  } * item;
  size_t count, cap;
};

struct tide_mirror {
  struct tide_mirror_options options;
  char *dir, *snapshots;
  struct tide_journal *source;
  pthread_mutex_t mutex;
  pthread_cond_t filled;
  pthread_t thread;
  bool running;
  /* under the mutex */
  struct queue queue;
  struct tide_position noted, durable;
  uint64_t pruned;               /* files of the archive */
  struct sample sample[SAMPLES]; /* a ring: when was what folded */
  size_t sampled;                /* in all */
  struct heard heard[ENGINES];
  size_t heard_count;
  bool quit;
  /* the thread's own */
  struct queue taken;
  struct tide_journal *copy; /* NULL: closed after an error, to be opened again */
  struct tide_position end;  /* of the copy; {0,0}: it is empty */
  struct tide_buf bytes, expected;
  bool session, dirty, behind, failing;
  bool broken; /* what the disk holds of the copy is not known: it is opened again */
  int64_t retry_ns, sync_ns, trim_ns, prune_ns;
  bool unpruned; /* and said so */
  struct tide_position trimmed;
  uint64_t opened_epoch;
};

static void lock(struct tide_mirror *m) { TIDE_CHECK(pthread_mutex_lock(&m->mutex) == 0); }
static void unlock(struct tide_mirror *m) { TIDE_CHECK(pthread_mutex_unlock(&m->mutex) == 0); }

static bool is_none(struct tide_position at) { return at.epoch == 0; }

/* ---- what the fold tells ---- */

static void hear(struct tide_mirror *m, int64_t now_ns, uint32_t engine_id) {
  struct heard *to = m->heard; /* the one that was silent longest goes when there is no room */
  for (size_t i = 0; i < m->heard_count; i++) {
    if (m->heard[i].ns < to->ns) to = &m->heard[i];
    if (m->heard[i].engine_id != engine_id) continue;
    m->heard[i].ns = now_ns;
    return;
  }
  if (m->heard_count < ENGINES) to = &m->heard[m->heard_count++];
  *to = (struct heard){engine_id, now_ns};
}

static void queue_push(struct queue *queue, struct tide_position at, struct tide_span entry) {
  if (queue->count == queue->cap) {
    queue->cap = queue->cap ? queue->cap * 2 : 64;
    queue->item = tide_realloc(queue->item, queue->cap * sizeof *queue->item);
  }
  queue->item[queue->count].at = at;
  queue->item[queue->count++].len = entry.len;
  tide_buf_put(&queue->bytes, entry.ptr, entry.len);
}

void tide_mirror_note(struct tide_mirror *m, struct tide_mono now, struct tide_position at, uint32_t engine_id, struct tide_span entry) {
  lock(m);
  m->noted = at;
  hear(m, now.ns, engine_id);
  int64_t apart = m->options.keep_ms * 1000000 / SAMPLES_PER_KEEP;
  if (m->sampled == 0 || now.ns - m->sample[(m->sampled - 1) % SAMPLES].ns >= apart)
    m->sample[m->sampled++ % SAMPLES] = (struct sample){now.ns, at};
  if (m->queue.bytes.len + entry.len <= m->options.queue_bytes) queue_push(&m->queue, at, entry); /* else the journal has it */
  (void)pthread_cond_signal(&m->filled);
  unlock(m);
}

/* What had been folded at `ns`; none if that is before this engine's samples. Under the mutex. */
static struct tide_position folded_at(const struct tide_mirror *m, int64_t ns) {
  for (size_t n = 0; n < m->sampled && n < SAMPLES; n++) {
    const struct sample *sample = &m->sample[(m->sampled - 1 - n) % SAMPLES];
    if (sample->ns <= ns) return sample->at;
  }
  return (struct tide_position){0, 0};
}

static struct tide_position kept_from(struct tide_mirror *m, int64_t now_ns) {
  int64_t keep = m->options.keep_ms * 1000000, from = now_ns;
  lock(m);
  for (size_t i = 0; i < m->heard_count; i++)
    if (now_ns - m->heard[i].ns <= keep && m->heard[i].ns < from) from = m->heard[i].ns;
  struct tide_position at = folded_at(m, from - keep);
  unlock(m);
  return at;
}

/* ---- the copy on disk ---- */

static void fail(struct tide_mirror *m, int64_t now_ns, const struct tide_error *error) {
  if (!m->failing)
    tide_log(TIDE_LOG_ERROR, "mirror_failed", "why=%s note=%s", error->text, "nothing is trimmed meanwhile; tried again every second");
  m->failing = true;
  m->retry_ns = now_ns + RETRY_NS;
}

static void close_copy(struct tide_mirror *m) {
  if (m->copy) m->copy->ops->close(m->copy);
  m->copy = NULL;
  m->dirty = false;
}

static enum tide_err open_copy(struct tide_mirror *m, struct tide_error *error) {
  struct tide_journal_file_options options = {.dir = m->dir, .create = true, .segment_bytes = m->options.segment_bytes};
  struct tide_position first;
  enum tide_err err = tide_journal_file_open(&options, &m->copy, error);
  if (err == TIDE_OK) err = m->copy->ops->range(m->copy, &first, &m->end, error);
  if (err != TIDE_OK) return err;
  lock(m);
  m->durable = m->end;
  unlock(m);
  return TIDE_OK;
}

/* A name that is free, for what ends where the mirror does. */
static void name_aside(const struct tide_mirror *m, const char *why, struct tide_buf *name) {
  for (int n = 0; n < 1000; n++) {
    tide_buf_clear(name);
    tide_buf_printf(name, "%s.%s-%llu-%llu", m->dir, why, (unsigned long long)m->end.epoch, (unsigned long long)m->end.seq);
    if (n) tide_buf_printf(name, "-%d", n);
    if (access(tide_buf_cstr(name), F_OK) != 0) break;
  }
}

/* The mirror gets another name and a new one begins. */
static enum tide_err move_aside(struct tide_mirror *m, const char *why, struct tide_error *error) {
  struct tide_buf name = TIDE_BUF_INIT;
  struct tide_position ignored;
  if (m->dirty && m->copy->ops->sync(m->copy, &ignored, NULL) != TIDE_OK) tide_log(TIDE_LOG_WARN, "mirror_end_lost", "dir=%s", m->dir);
  close_copy(m);
  name_aside(m, why, &name);
  enum tide_err err = TIDE_OK;
  if (rename(m->dir, tide_buf_cstr(&name)) != 0)
    err = tide_fail_errno(error, TIDE_E_IO, "cannot rename %s to %s", m->dir, tide_buf_cstr(&name));
  else
    tide_log(TIDE_LOG_WARN, "mirror_moved_aside", "dir=%s end=%llu-%llu", tide_buf_cstr(&name), (unsigned long long)m->end.epoch,
             (unsigned long long)m->end.seq);
  tide_buf_release(&name);
  m->trimmed = (struct tide_position){0, 0};
  return err == TIDE_OK ? open_copy(m, error) : err;
}

static enum tide_err put(struct tide_mirror *m, struct tide_position at, struct tide_span entry, struct tide_error *error) {
  enum tide_err err = tide_journal_file_put(m->copy, at, entry, error);
  m->broken = err != TIDE_OK;
  if (err != TIDE_OK) return err;
  m->end = at;
  m->dirty = true;
  return TIDE_OK;
}

enum end { END_SAME, END_TRIMMED, END_LOST };

/* Does the journal hold the mirror's last entry? */
static enum tide_err compare_end(struct tide_mirror *m, struct tide_journal *journal, enum end *ret, struct tide_error *error) {
  struct tide_position first, last, found;
  if (is_none(m->end)) {
    *ret = END_SAME;
    return TIDE_OK;
  }
  enum tide_err err = m->copy->ops->read(m->copy, m->end, true, &m->expected, &found, error);
  if (err == TIDE_E_END) err = tide_fail(error, TIDE_E_CORRUPT, "the mirror %s lacks its last entry", m->dir);
  if (err != TIDE_OK) return err;
  err = journal->ops->range(journal, &first, &last, error);
  if (err == TIDE_OK && !is_none(first) && tide_position_cmp(first, m->end) > 0 && first.seq > 0) {
    *ret = END_TRIMMED;
    return TIDE_OK;
  }
  if (err == TIDE_OK) err = journal->ops->read(journal, m->end, true, &m->bytes, &found, error);
  if (err != TIDE_OK && err != TIDE_E_END) return err;
  bool same =
      err == TIDE_OK && tide_position_cmp(found, m->end) == 0 && tide_span_eq(tide_buf_span(&m->bytes), tide_buf_span(&m->expected));
  *ret = same ? END_SAME : END_LOST;
  return TIDE_OK;
}

/* ---- what a failover took back ---- */

/* The last entry that both hold, from `common` or the mirror's first one on; none: they have nothing in common there. */
static enum tide_err last_common(struct tide_mirror *m, struct tide_journal *journal, struct tide_position *ret, struct tide_error *error) {
  struct tide_position at = m->options.common, found, common = {0, 0};
  bool inclusive = true;
  for (;;) {
    enum tide_err err = m->copy->ops->read(m->copy, at, inclusive, &m->expected, &at, error);
    if (err == TIDE_OK) err = journal->ops->read(journal, at, true, &m->bytes, &found, error);
    if (err != TIDE_OK && err != TIDE_E_END) return err;
    if (err == TIDE_E_END || tide_position_cmp(at, found) != 0 || !tide_span_eq(tide_buf_span(&m->bytes), tide_buf_span(&m->expected)))
      break;
    common = at;
    inclusive = false;
  }
  *ret = common;
  return TIDE_OK;
}

/* The entries behind `common` as a log of their own. */
static enum tide_err keep_lost(struct tide_mirror *m, struct tide_position common, struct tide_error *error) {
  struct tide_buf name = TIDE_BUF_INIT;
  struct tide_journal *lost = NULL;
  struct tide_position at = common, durable;
  uint64_t count = 0;
  name_aside(m, "lost", &name);
  struct tide_journal_file_options options = {.dir = tide_buf_cstr(&name), .create = true, .segment_bytes = m->options.segment_bytes};
  enum tide_err err = tide_journal_file_open(&options, &lost, error);
  while (err == TIDE_OK && (err = m->copy->ops->read(m->copy, at, false, &m->bytes, &at, error)) == TIDE_OK) {
    err = tide_journal_file_put(lost, at, tide_buf_span(&m->bytes), error);
    count++;
  }
  if (err == TIDE_E_END) err = lost->ops->sync(lost, &durable, error);
  if (lost) lost->ops->close(lost);
  if (err == TIDE_OK)
    tide_log(TIDE_LOG_WARN, "mirror_cut_back", "to=%llu-%llu entries=%llu kept_in=%s", (unsigned long long)common.epoch,
             (unsigned long long)common.seq, (unsigned long long)count, tide_buf_cstr(&name));
  tide_buf_release(&name);
  return err;
}

/* HISTORY: nothing of the mirror is in the journal, and no snapshot either. */
static enum tide_err cut_back(struct tide_mirror *m, struct tide_journal *journal, struct tide_error *error) {
  struct tide_position common;
  enum tide_err err = last_common(m, journal, &common, error);
  if (err == TIDE_OK && is_none(common) && is_none(m->options.common)) return TIDE_E_HISTORY;
  if (err == TIDE_OK && is_none(common)) return move_aside(m, "lost", error); /* they parted before what is not trimmed yet */
  if (err == TIDE_OK) err = keep_lost(m, common, error);
  if (err == TIDE_OK) err = tide_journal_file_cut(m->copy, common, error);
  if (err == TIDE_OK) m->end = common;
  return err;
}

static enum tide_err write_queue(struct tide_mirror *m, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  size_t from = 0;
  for (size_t i = 0; i < m->taken.count && err == TIDE_OK; i++) {
    struct tide_position at = m->taken.item[i].at;
    struct tide_span entry = {m->taken.bytes.ptr + from, m->taken.item[i].len};
    from += m->taken.item[i].len;
    if (tide_position_cmp(at, m->end) <= 0) continue;
    if (is_none(m->end) || !tide_position_follows(m->end, at)) break;
    err = put(m, at, entry, error);
  }
  m->taken.count = 0;
  tide_buf_clear(&m->taken.bytes);
  return err;
}

/* ---- the journal, over the handle of its own ---- */

static enum tide_err ensure_session(struct tide_mirror *m, struct tide_error *error) {
  struct tide_session session;
  if (m->session) return TIDE_OK;
  enum tide_err err = m->source->ops->begin(m->source, &session, error);
  m->session = err == TIDE_OK;
  enum end end = END_SAME;
  if (err == TIDE_OK) err = compare_end(m, m->source, &end, error);
  if (err == TIDE_OK && end == END_TRIMMED) err = move_aside(m, "until", error);
  if (err == TIDE_OK && end == END_LOST)
    err = tide_fail(error, TIDE_E_HISTORY, "the journal does not hold the last entry of the mirror %s, %llu-%llu", m->dir,
                    (unsigned long long)m->end.epoch, (unsigned long long)m->end.seq);
  if (err != TIDE_OK) m->session = false;
  return err;
}

/* Reads what the mirror lacks, up to `target`. */
static enum tide_err catch_up(struct tide_mirror *m, struct tide_position target, struct tide_error *error) {
  enum tide_err err = ensure_session(m, error);
  for (int n = 0; n < CATCH_UP_TURN && err == TIDE_OK && tide_position_cmp(m->end, target) < 0; n++) {
    struct tide_position at;
    err = m->source->ops->read(m->source, m->end, false, &m->bytes, &at, error);
    if (err == TIDE_E_END) return TIDE_OK; /* not to be seen on this handle yet */
    if (err != TIDE_OK) break;
    if (tide_position_cmp(at, target) > 0) return TIDE_OK;
    if (!is_none(m->end) && !tide_position_follows(m->end, at)) { /* trimmed under us: the next session tells */
      m->session = false;
      return TIDE_OK;
    }
    err = put(m, at, tide_buf_span(&m->bytes), error);
  }
  return err;
}

/* ---- trimming ---- */

static struct tide_position least(struct tide_position a, struct tide_position b) { return tide_position_cmp(a, b) < 0 ? a : b; }

/* The position of the older generation of snapshots; none while there are not two. */
static enum tide_err older_snapshot(const struct tide_mirror *m, struct tide_position *ret, struct tide_error *error) {
  struct tide_position *position = NULL;
  size_t count = 0;
  enum tide_err err = tide_snapshot_list(m->snapshots, &position, &count, error);
  if (err == TIDE_OK) *ret = count < TIDE_SNAPSHOT_GENERATIONS ? (struct tide_position){0, 0} : position[TIDE_SNAPSHOT_GENERATIONS - 1];
  tide_free(position);
  return err;
}

static enum tide_err trim_to(struct tide_mirror *m, struct tide_position to, struct tide_error *error) {
  struct tide_position found, durable;
  enum tide_err err = ensure_session(m, error); /* first: it uses the same buffers, and may begin another mirror */
  if (err == TIDE_OK) err = m->copy->ops->read(m->copy, to, true, &m->expected, &found, error);
  if (err != TIDE_OK) return err == TIDE_E_END ? TIDE_OK : err;
  if (tide_position_cmp(found, to) != 0) return TIDE_OK; /* the mirror begins later */
  err = m->source->ops->read(m->source, to, true, &m->bytes, &found, error);
  if (err == TIDE_OK && tide_position_cmp(found, to) == 0) {
    err = m->source->ops->sync(m->source, &durable, error);                   /* durable also as this handle knows it */
    if (err == TIDE_OK && tide_position_cmp(durable, to) < 0) return TIDE_OK; /* replicas are slow: next time */
    if (err == TIDE_OK) err = m->source->ops->trim(m->source, to, tide_buf_span(&m->expected), error);
    if (err == TIDE_OK)
      tide_log(TIDE_LOG_DEBUG, "journal_trimmed", "to=%llu-%llu", (unsigned long long)to.epoch, (unsigned long long)to.seq);
  }
  if (err == TIDE_E_END) err = TIDE_OK;
  if (err == TIDE_OK) {
    err = m->copy->ops->trim(m->copy, to, tide_buf_span(&m->expected), error);
    m->broken = err != TIDE_OK;
  }
  if (err == TIDE_OK) m->trimmed = to;
  return err;
}

/* The snapshot reads back whole, and is of the entry that stands in the mirror. */
static enum tide_err check_snapshot(struct tide_mirror *m, struct tide_position at, struct tide_error *error) {
  struct tide_position found;
  uint64_t hash = 0;
  enum tide_err err = tide_snapshot_check(m->snapshots, at, &hash, error);
  if (err == TIDE_OK) err = m->copy->ops->read(m->copy, at, true, &m->expected, &found, error);
  if (err == TIDE_E_END ||
      (err == TIDE_OK && (tide_position_cmp(found, at) != 0 || tide_hash64(m->expected.ptr, m->expected.len, 0) != hash)))
    err = tide_fail(error, TIDE_E_MISMATCH, "the mirror does not hold the entry that the snapshot is of");
  return err;
}

/* Behind a trim: the store has just been spoken with, and its clock compared. What goes wrong here holds nothing else up. */
static void prune(struct tide_mirror *m, int64_t now_ns, struct tide_position snapshot) {
  if (!m->options.archive_keep_ms || now_ns - m->prune_ns < PRUNE_NS) return;
  m->prune_ns = now_ns;
  struct tide_buf dir = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_position until = {0, 0};
  struct tide_archive_pruned pruned = {0};
  tide_buf_printf(&dir, "%s/archive", m->options.dir);
  enum tide_err err = tide_archive_expired(tide_buf_cstr(&dir), tide_wall_now(), m->options.archive_keep_ms, snapshot, &until, &error);
  if (err == TIDE_OK && !is_none(until)) err = check_snapshot(m, snapshot, &error);
  if (err == TIDE_OK && !is_none(until)) err = tide_archive_prune(&tide_sys_real, tide_buf_cstr(&dir), until, &pruned, &error);
  tide_buf_release(&dir);
  if (pruned.files)
    tide_log(TIDE_LOG_INFO, "archive_pruned", "until=%llu-%llu files=%llu bytes=%llu", (unsigned long long)until.epoch,
             (unsigned long long)until.seq, (unsigned long long)pruned.files, (unsigned long long)pruned.bytes);
  if (err != TIDE_OK && !m->unpruned)
    tide_log(TIDE_LOG_ERROR, "archive_not_pruned", "why=%s note=%s", error.text,
             "what is older than journal.archive_keep stays, and is tried again");
  m->unpruned = err != TIDE_OK;
  lock(m);
  m->pruned += pruned.files;
  unlock(m);
}

static enum tide_err trim(struct tide_mirror *m, int64_t now_ns, struct tide_error *error) {
  struct tide_position snapshot, kept = kept_from(m, now_ns);
  enum tide_err err = older_snapshot(m, &snapshot, error);
  if (err != TIDE_OK) return err;
  struct tide_position to = least(least(snapshot, kept), tide_mirror_durable(m));
  if (is_none(to) || to.seq == 0 || tide_position_cmp(to, m->trimmed) <= 0) return TIDE_OK;
  err = trim_to(m, to, error);
  if (err == TIDE_OK && tide_position_cmp(m->trimmed, to) == 0) prune(m, now_ns, snapshot);
  return err;
}

/* ---- turns ---- */

static struct tide_position take(struct tide_mirror *m) {
  lock(m);
  struct queue spare = m->taken;
  m->taken = m->queue;
  m->queue = spare;
  struct tide_position noted = m->noted;
  unlock(m);
  return noted;
}

static enum tide_err sync_copy(struct tide_mirror *m, int64_t now_ns, struct tide_error *error) {
  struct tide_position durable;
  enum tide_err err = m->copy->ops->sync(m->copy, &durable, error);
  m->broken = err != TIDE_OK;
  if (err != TIDE_OK) return err;
  m->sync_ns = now_ns;
  m->dirty = false;
  lock(m);
  m->durable = durable;
  unlock(m);
  return TIDE_OK;
}

static void tell_behind(struct tide_mirror *m, bool behind) {
  if (behind != m->behind)
    tide_log(TIDE_LOG_INFO, behind ? "mirror_behind" : "mirror_caught_up", "end=%llu-%llu", (unsigned long long)m->end.epoch,
             (unsigned long long)m->end.seq);
  m->behind = behind;
}

static void forget_taken(struct tide_mirror *m) {
  m->taken.count = 0;
  tide_buf_clear(&m->taken.bytes);
}

static enum tide_err work(struct tide_mirror *m, int64_t now_ns, struct tide_position noted, struct tide_error *error) {
  enum tide_err err = m->copy ? TIDE_OK : open_copy(m, error);
  if (err == TIDE_OK) err = write_queue(m, error);
  bool lacks = err == TIDE_OK && tide_position_cmp(m->end, noted) < 0;
  if (err == TIDE_OK) tell_behind(m, lacks);
  if (lacks) err = catch_up(m, noted, error);
  if (m->copy && !m->broken && m->dirty && now_ns - m->sync_ns >= SYNC_NS) { /* also while the journal is away */
    enum tide_err synced = sync_copy(m, now_ns, err == TIDE_OK ? error : NULL);
    if (err == TIDE_OK) err = synced;
  }
  if (err != TIDE_OK || !m->options.trim || !m->snapshots || now_ns - m->trim_ns < TRIM_NS) return err;
  m->trim_ns = now_ns;
  return trim(m, now_ns, error);
}

bool tide_mirror_turn(struct tide_mirror *m, struct tide_mono now) {
  struct tide_error error = {0};
  struct tide_position noted = take(m);
  bool waits = now.ns < m->retry_ns;
  if (waits && !m->copy) {
    forget_taken(m); /* the journal has it */
    return true;
  }
  enum tide_err err = waits ? write_queue(m, &error) : work(m, now.ns, noted, &error);
  if (err != TIDE_OK) {
    m->session = false;
    forget_taken(m);
    if (m->broken) close_copy(m);
    m->broken = false;
    fail(m, now.ns, &error);
    return true;
  }
  if (!waits) m->failing = false;
  return m->dirty || tide_position_cmp(m->end, noted) < 0;
}

static void *mirror_main(void *arg) {
  struct tide_mirror *m = arg;
  int64_t quit_ns = INT64_MAX;
  for (bool busy = true;;) {
    struct tide_mono now = tide_mono_now();
    lock(m);
    if (m->quit && quit_ns == INT64_MAX) quit_ns = now.ns + CLOSE_NS;
    bool end = m->quit && (tide_position_cmp(m->durable, m->noted) >= 0 || now.ns >= quit_ns);
    if (!end && m->queue.count == 0) {
      int64_t until = now.ns + (m->quit ? SYNC_NS / 10 : SYNC_NS);
      struct timespec when = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
      if (!busy || m->retry_ns > now.ns || m->dirty) (void)pthread_cond_timedwait(&m->filled, &m->mutex, &when);
    }
    unlock(m);
    if (end) break;
    busy = tide_mirror_turn(m, tide_mono_now());
  }
  return NULL;
}

/* ---- outside ---- */

void tide_mirror_start(struct tide_mirror *m) {
  TIDE_CHECK(pthread_create(&m->thread, NULL, mirror_main, m) == 0);
  m->running = true;
}

uint64_t tide_mirror_epoch(const struct tide_mirror *m) { return m->opened_epoch; }

struct tide_position tide_mirror_durable(struct tide_mirror *m) {
  lock(m);
  struct tide_position durable = m->durable;
  unlock(m);
  return durable;
}

uint64_t tide_mirror_pruned(struct tide_mirror *m) {
  lock(m);
  uint64_t pruned = m->pruned;
  unlock(m);
  return pruned;
}

static void queue_release(struct queue *queue) {
  tide_buf_release(&queue->bytes);
  tide_free(queue->item);
}

void tide_mirror_close(struct tide_mirror *m) {
  if (!m) return;
  lock(m);
  m->quit = true;
  (void)pthread_cond_signal(&m->filled);
  unlock(m);
  if (m->running) TIDE_CHECK(pthread_join(m->thread, NULL) == 0);
  close_copy(m);
  m->source->ops->close(m->source);
  queue_release(&m->queue);
  queue_release(&m->taken);
  tide_buf_release(&m->bytes);
  tide_buf_release(&m->expected);
  tide_free(m->dir);
  tide_free(m->snapshots);
  tide_free(m);
}

enum tide_err tide_mirror_open(const struct tide_mirror_options *options, struct tide_journal *journal, bool accept_loss,
                               struct tide_mirror **ret, struct tide_error *error) {
  struct tide_mirror *m = tide_alloc(sizeof *m);
  pthread_condattr_t attr;
  m->options = *options;
  if (m->options.queue_bytes == 0) m->options.queue_bytes = QUEUE_BYTES;
  m->dir = tide_strdup(options->dir);
  m->snapshots = options->snapshots ? tide_strdup(options->snapshots) : NULL;
  m->source = options->source;
  TIDE_CHECK(pthread_mutex_init(&m->mutex, NULL) == 0 && pthread_condattr_init(&attr) == 0);
  TIDE_CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&m->filled, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
  enum end end = END_SAME;
  enum tide_err err = open_copy(m, error);
  m->opened_epoch = m->end.epoch;
  if (err == TIDE_OK) err = compare_end(m, journal, &end, error);
  if (err == TIDE_OK && end == END_LOST && options->lossy) {
    err = cut_back(m, journal, error);
    if (err == TIDE_OK) end = END_SAME;
    if (err == TIDE_E_HISTORY) err = TIDE_OK; /* told below */
    lock(m);
    m->durable = m->end;
    unlock(m);
  }
  if (err == TIDE_OK && end == END_LOST && !accept_loss)
    err = tide_fail(
        error, TIDE_E_HISTORY,
        "the mirror %s ends at %llu-%llu, and the journal does not hold that entry: it was emptied, rolled back, or is another cell's. Restore it "
        "from the mirror (`tidemark restore`), or start with --accept-loss",
        m->dir, (unsigned long long)m->end.epoch, (unsigned long long)m->end.seq);
  if (err == TIDE_OK && end != END_SAME) err = move_aside(m, end == END_LOST ? "lost" : "until", error);
  if (err != TIDE_OK) {
    tide_mirror_close(m);
    return err;
  }
  *ret = m;
  return TIDE_OK;
}
