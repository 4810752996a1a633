/* restore: a mirror becomes the journal again (journal_redis_restore.h).
 *
 * Engines may be waiting for the journal, and one that has no memory of the cell would begin a history of its own on half of it. So nothing is put into the journal
 * itself: the entries are written to a stream beside it, tidemark:{CELL}:journal:restore, read back and compared, and only then does that stream take the
 * journal's name. A journal that was there is given another name before that, so that nobody writes to it any more, is looked at once more, and goes when the
 * other stands in its place. Renames are all it takes: the user of restore needs no scripts. What was acknowledged by then is durable on the quorum:
 * the last write is followed by WAIT like any commit. A run that is stopped leaves the stream beside, and the next one goes on behind what it holds.
 *
 * The ids are the positions themselves, so snapshots, mirrors and HISTORY-LOST markers find their entries where they were. */
#include "adapter/journal_redis_restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define PART "restore"
#define PART_AWAY "before-restore"
#define BATCH 128
#define BATCH_BYTES (4u << 20)

struct restore {
  const struct tide_redis_options *options;
  struct tide_journal *from;
  struct tide_journal *beside;
  struct tide_position begin, last; /* of what is to be there */
  char live_key[128], beside_key[128], away_key[128];
  struct tide_buf ours, theirs;
  tide_redis_progress_fn progress;
  void *ctx;
};

static void told(const struct restore *r, const char *what, uint64_t entries) {
  if (r->progress && entries % 1024 == 0) r->progress(r->ctx, what, entries);
}

/* Is what `journal` holds, in order and byte for byte, a beginning of `from` as of `begin`, or (any_begin) of a later entry? *ret_last its last position, *ret_entries how many. */
static enum tide_err compare(struct restore *r, struct tide_journal *journal, const char *name, bool any_begin,
                             struct tide_position *ret_last, uint64_t *ret_entries, struct tide_error *error) {
  struct tide_position theirs, ours, at = {0, 0}, want = r->begin;
  uint64_t entries = 0;
  bool first = true;
  enum tide_err err;
  while ((err = journal->ops->read(journal, at, false, &r->theirs, &theirs, error)) == TIDE_OK) {
    if (first && any_begin) want = theirs;
    err = r->from->ops->read(r->from, want, first, &r->ours, &ours, error);
    if (err != TIDE_OK && err != TIDE_E_END) return err;
    if (err == TIDE_E_END || tide_position_cmp(ours, theirs) != 0 || !tide_span_eq(tide_buf_span(&r->ours), tide_buf_span(&r->theirs)))
      return tide_fail(error, TIDE_E_EXISTS,
                       "redis holds %s, and at %" PRIu64 "-%" PRIu64
                       " it is not what is to be restored: it was left as it is. Is this the mirror of this "
                       "cell, and the longest one? If it is and the other must go, take it away by hand (RENAME or DEL)",
                       name, theirs.epoch, theirs.seq);
    at = want = theirs;
    first = false;
    told(r, "comparing", ++entries);
  }
  if (err != TIDE_E_END) return err;
  *ret_last = at;
  *ret_entries = entries;
  return TIDE_OK;
}

/* The journal itself, if there is one. *ret_last is where it ends; *ret_there whether there is one at all. */
static enum tide_err look_at_live(struct restore *r, bool *ret_there, struct tide_position *ret_last, uint64_t *ret_entries,
                                  struct tide_error *error) {
  long long there = 0;
  struct tide_journal *live;
  struct tide_session session;
  enum tide_err err = tide_journal_redis_command(r->beside, 2, (const char *const[]){"EXISTS", r->live_key}, &there, error);
  *ret_there = there != 0;
  if (err != TIDE_OK || !there) return err;
  err = tide_journal_redis_open(r->options, &live, error);
  if (err != TIDE_OK) return err;
  err = live->ops->begin(live, &session, error);
  if (err == TIDE_OK) err = compare(r, live, "a journal of this cell", true, ret_last, ret_entries, error);
  live->ops->close(live);
  return err;
}

/* Until the quorum has everything. */
static enum tide_err settle(struct restore *r, struct tide_position last, struct tide_error *error) {
  struct tide_position durable = {0, 0};
  enum tide_err err = TIDE_OK;
  while (err == TIDE_OK && tide_position_cmp(durable, last) < 0) err = r->beside->ops->sync(r->beside, &durable, error);
  return err;
}

struct batch {
  struct tide_redis_entry entry[BATCH];
  size_t offset[BATCH], count;
  struct tide_buf bytes;
};

static enum tide_err flush(struct restore *r, struct batch *batch, struct tide_error *error) {
  if (batch->count == 0) return TIDE_OK;
  for (size_t i = 0; i < batch->count; i++) batch->entry[i].bytes.ptr = batch->bytes.ptr + batch->offset[i]; /* the buffer may have moved */
  enum tide_err err = tide_journal_redis_put(r->beside, batch->entry, batch->count, error);
  if (err == TIDE_OK) err = settle(r, batch->entry[batch->count - 1].at, error);
  batch->count = 0;
  tide_buf_clear(&batch->bytes);
  return err;
}

/* Writes what stands behind `at` ({0,0}: from `begin` on). */
static enum tide_err write_rest(struct restore *r, struct tide_position at, uint64_t *written, struct tide_error *error) {
  struct batch batch = {.count = 0, .bytes = TIDE_BUF_INIT};
  bool inclusive = at.epoch == 0;
  enum tide_err err = TIDE_OK;
  if (inclusive) at = r->begin;
  while (err == TIDE_OK && (inclusive || tide_position_cmp(at, r->last) < 0)) {
    err = r->from->ops->read(r->from, at, inclusive, &r->ours, &at, error);
    inclusive = false;
    if (err != TIDE_OK) break;
    batch.entry[batch.count].at = at;
    batch.entry[batch.count].bytes.len = r->ours.len;
    batch.offset[batch.count++] = batch.bytes.len;
    tide_buf_put(&batch.bytes, r->ours.ptr, r->ours.len);
    told(r, "writing", ++*written);
    if (batch.count == BATCH || batch.bytes.len >= BATCH_BYTES) err = flush(r, &batch, error);
  }
  if (err == TIDE_OK) err = flush(r, &batch, error);
  tide_buf_release(&batch.bytes);
  return err;
}

static enum tide_err rename_key(struct restore *r, const char *from, const char *to, bool *ret_done, struct tide_error *error) {
  long long done = 0;
  enum tide_err err = tide_journal_redis_command(r->beside, 3, (const char *const[]){"RENAMENX", from, to}, &done, error);
  *ret_done = done != 0;
  return err;
}

/* A journal that was there is taken away first: from then on nobody can write to it. Then it is looked at again. */
static enum tide_err take_away(struct restore *r, struct tide_position last, struct tide_error *error) {
  struct tide_redis_options options = *r->options;
  struct tide_journal *away = NULL;
  struct tide_session session;
  struct tide_position first, end = {0, 0};
  bool done = false;
  options.part = PART_AWAY;
  enum tide_err err = rename_key(r, r->live_key, r->away_key, &done, error);
  if (err == TIDE_OK && !done)
    err = tide_fail(error, TIDE_E_EXISTS,
                    "there is a stream %s, which a restore before this one left: see what it is, then take it away by hand (DEL)",
                    r->away_key);
  if (err == TIDE_OK) err = tide_journal_redis_open(&options, &away, error);
  if (err == TIDE_OK) err = away->ops->begin(away, &session, error);
  if (err == TIDE_OK) err = away->ops->range(away, &first, &end, error);
  if (away) away->ops->close(away);
  explicit_bzero(&options.target, sizeof options.target);
  if (err != TIDE_OK || tide_position_cmp(end, last) == 0) return err;
  err = rename_key(r, r->away_key, r->live_key, &done, error);
  return err != TIDE_OK ? err
                        : tide_fail(error, TIDE_E_STALE,
                                    "somebody wrote to the journal %s while it was restored: stop all engines of the cell and begin again",
                                    r->live_key);
}

/* The stream beside takes the journal's name. */
static enum tide_err swap(struct restore *r, bool there, struct tide_position last, struct tide_error *error) {
  bool done = false;
  long long removed;
  enum tide_err err = there ? take_away(r, last, error) : TIDE_OK;
  if (err == TIDE_OK) err = rename_key(r, r->beside_key, r->live_key, &done, error);
  if (err == TIDE_OK && !done)
    err = tide_fail(error, TIDE_E_STALE,
                    "somebody made a journal %s while it was restored: stop all engines of the cell, take it away, and begin again",
                    r->live_key);
  if (err == TIDE_OK && there) err = tide_journal_redis_command(r->beside, 2, (const char *const[]){"DEL", r->away_key}, &removed, error);
  return err == TIDE_OK ? settle(r, r->last, error) : err;
}

static enum tide_err open_beside(struct restore *r, struct tide_error *error) {
  struct tide_redis_options options = *r->options;
  struct tide_session session;
  options.part = PART;
  enum tide_err err = tide_journal_redis_init(&options, error);
  if (err == TIDE_OK || err == TIDE_E_EXISTS) err = tide_journal_redis_open(&options, &r->beside, error);
  if (err == TIDE_OK) err = r->beside->ops->begin(r->beside, &session, error);
  explicit_bzero(&options.target, sizeof options.target);
  return err;
}

static enum tide_err restore(struct restore *r, struct tide_redis_restored *restored, struct tide_error *error) {
  struct tide_position first, live_last = {0, 0}, at;
  bool there = false;
  uint64_t entries = 0;
  enum tide_err err = r->from->ops->range(r->from, &first, &r->last, error);
  if (err == TIDE_OK && first.epoch == 0) err = tide_fail(error, TIDE_E_NOT_FOUND, "there are no entries to restore");
  if (err == TIDE_OK && r->begin.epoch == 0) r->begin = first;
  if (err == TIDE_OK) err = r->from->ops->read(r->from, r->begin, true, &r->ours, &at, error);
  if (err == TIDE_E_END || (err == TIDE_OK && tide_position_cmp(at, r->begin) != 0))
    err = tide_fail(error, TIDE_E_NOT_FOUND, "there is no entry at %" PRIu64 "-%" PRIu64 " to begin with", r->begin.epoch, r->begin.seq);
  if (err == TIDE_OK) err = open_beside(r, error);
  if (err == TIDE_OK) err = look_at_live(r, &there, &live_last, &entries, error);
  restored->was_whole = err == TIDE_OK && there && tide_position_cmp(live_last, r->last) == 0;
  restored->first = r->begin;
  restored->last = r->last;
  restored->entries = entries;
  if (err != TIDE_OK || restored->was_whole) return err;
  err = compare(r, r->beside, "what an earlier restore wrote", false, &at, &entries, error);
  if (err == TIDE_OK) err = write_rest(r, at, &restored->written, error);
  if (err == TIDE_OK) err = compare(r, r->beside, "what was just written", false, &at, &restored->entries, error);
  if (err == TIDE_E_EXISTS || (err == TIDE_OK && tide_position_cmp(at, r->last) != 0))
    err =
        tide_fail(error, TIDE_E_MISMATCH,
                  "the stream %s does not hold what was written to it, or what an earlier restore wrote is of another mirror: take it away "
                  "by hand (DEL) and begin again",
                  r->beside_key);
  return err == TIDE_OK ? swap(r, there, live_last, error) : err;
}

enum tide_err tide_journal_redis_restore(const struct tide_redis_options *options, struct tide_journal *from, struct tide_position begin,
                                         tide_redis_progress_fn progress, void *ctx, struct tide_redis_restored *ret,
                                         struct tide_error *error) {
  struct restore r = {
      .options = options, .from = from, .begin = begin, .progress = progress, .ctx = ctx, .ours = TIDE_BUF_INIT, .theirs = TIDE_BUF_INIT};
  struct tide_redis_restored restored = {0};
  snprintf(r.live_key, sizeof r.live_key, "tidemark:{%s}:journal", options->cell);
  snprintf(r.away_key, sizeof r.away_key, "tidemark:{%s}:journal:" PART_AWAY, options->cell);
  snprintf(r.beside_key, sizeof r.beside_key, "tidemark:{%s}:journal:" PART, options->cell);
  enum tide_err err = restore(&r, &restored, error);
  if (err == TIDE_OK && restored.was_whole) { /* what this run made beside it, empty or not, is of no use */
    long long removed;
    err = tide_journal_redis_command(r.beside, 2, (const char *const[]){"DEL", r.beside_key}, &removed, error);
  }
  if (r.beside) r.beside->ops->close(r.beside);
  tide_buf_release(&r.ours);
  tide_buf_release(&r.theirs);
  if (err == TIDE_OK) *ret = restored;
  return err;
}
