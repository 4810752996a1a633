/* Archive and journal as one read-only log: what audit, explain and a fresh engine read.
 *
 * Up to the archive's last position entries come from there, behind it from the journal. A writer may trim meanwhile: entries then
 * leave the journal for the archive, never the other way and never both, so where the journal does not continue what was read last,
 * the archive is opened anew and asked again. If it does not have them either, entries are missing and that is CORRUPT, not the end. */
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/archive.h"

struct chain_journal {
  struct tide_journal base;
  char *dir, *archive_dir;
  struct tide_journal *archive; /* NULL: there is none yet */
  struct tide_journal *journal;
};

static struct chain_journal *self_of(struct tide_journal *journal) { return (struct chain_journal *)(void *)journal; }

static enum tide_err open_archive(struct chain_journal *self, struct tide_error *error) {
  struct tide_journal *archive = NULL;
  enum tide_err err = tide_archive_open(self->archive_dir, &archive, error);
  if (err) {
    return err == TIDE_E_NOT_FOUND ? TIDE_OK : err;
  }
  uint64_t id = tide_archive_log_id(archive);
  if (id != 0 && id != tide_journal_file_log_id(self->journal)) {
    archive->ops->close(archive);
    return tide_fail(error, TIDE_E_CORRUPT, "archive %s and journal %s are of different logs; name the archive that belongs to the journal",
                     self->archive_dir, self->dir);
  }
  if (self->archive) {
    self->archive->ops->close(self->archive);
  }
  self->archive = archive;
  return TIDE_OK;
}

static struct tide_position archived_to(const struct chain_journal *self) {
  struct tide_position first, last = {0, 0};
  if (self->archive) {
    enum tide_err err = self->archive->ops->range(self->archive, &first, &last, NULL);
    TIDE_CHECK(err == TIDE_OK); /* files know their range since they were opened */
  }
  return last;
}

/* Entries are dense inside an epoch, so an entry of the same epoch that is not the next one means that some are missing between. */
static bool connects(struct tide_position from, bool inclusive, struct tide_position found) {
  if (found.epoch != from.epoch) {
    return found.seq == 0;
  }
  return found.seq == (inclusive ? from.seq : from.seq + 1);
}

static enum tide_err chain_read(struct tide_journal *journal, struct tide_position from, bool inclusive, struct tide_buf *out,
                                struct tide_position *ret, struct tide_error *error) {
  struct chain_journal *self = self_of(journal);
  for (int again = 0;; again++) {
    int order = tide_position_cmp(from, archived_to(self));
    if (self->archive && (order < 0 || (order == 0 && inclusive))) {
      enum tide_err err = self->archive->ops->read(self->archive, from, inclusive, out, ret, error);
      if (err != TIDE_E_END) {
        return err;
      }
    }
    struct tide_position found;
    enum tide_err err = self->journal->ops->read(self->journal, from, inclusive, out, &found, error);
    if (err) {
      return err;
    }
    bool whole = connects(from, inclusive, found);
    if (whole || (again && archived_to(self).epoch == 0)) {
      *ret = found;
      return TIDE_OK;
    }
    if (again) {
      return tide_fail(error, TIDE_E_CORRUPT,
                       "entries between %" PRIu64 "-%" PRIu64 " and %" PRIu64 "-%" PRIu64 " are neither in archive %s nor in journal %s",
                       from.epoch, from.seq, found.epoch, found.seq, self->archive_dir, self->dir);
    }
    err = open_archive(self, error);
    if (err) {
      return err;
    }
  }
}

static enum tide_err chain_range(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                                 struct tide_error *error) {
  struct chain_journal *self = self_of(journal);
  struct tide_position ignored;
  enum tide_err err = self->journal->ops->range(self->journal, ret_first, ret_last, error);
  if (err == TIDE_OK && archived_to(self).epoch != 0) {
    err = self->archive->ops->range(self->archive, ret_first, &ignored, error);
  }
  return err;
}

static enum tide_err refuse(const struct tide_journal *journal, struct tide_error *error) {
  const struct chain_journal *self = (const struct chain_journal *)(const void *)journal;
  return tide_fail(error, TIDE_E_USAGE, "journal %s is open for reading only", self->dir);
}
static enum tide_err chain_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error) {
  (void)ret;
  return refuse(journal, error);
}
static enum tide_err chain_append(struct tide_journal *journal, uint64_t epoch, struct tide_span entry, struct tide_position *ret,
                                  struct tide_error *error) {
  (void)epoch, (void)entry, (void)ret;
  return refuse(journal, error);
}
static enum tide_err chain_sync(struct tide_journal *journal, struct tide_position *ret_durable, struct tide_error *error) {
  (void)ret_durable;
  return refuse(journal, error);
}
static enum tide_err chain_trim(struct tide_journal *journal, struct tide_position keep, struct tide_span entry, struct tide_error *error) {
  (void)keep, (void)entry;
  return refuse(journal, error);
}

static void chain_close(struct tide_journal *journal) {
  struct chain_journal *self = self_of(journal);
  if (self->archive) {
    self->archive->ops->close(self->archive);
  }
  if (self->journal) {
    self->journal->ops->close(self->journal);
  }
  tide_free(self->dir);
  tide_free(self->archive_dir);
  tide_free(self);
}

static const struct tide_journal_ops chain_ops = {
    .name = "chain",
    .begin = chain_begin,
    .append = chain_append,
    .open_epoch = chain_append,
    .sync = chain_sync,
    .read = chain_read,
    .range = chain_range,
    .trim = chain_trim,
    .close = chain_close,
};

enum tide_err tide_journal_chain_open(const struct tide_journal_file_options *options, struct tide_journal **ret,
                                      struct tide_error *error) {
  struct chain_journal *self = tide_alloc(sizeof *self);
  self->base.ops = &chain_ops;
  self->dir = tide_strdup(options->dir);
  struct tide_buf archive = TIDE_BUF_INIT;
  tide_buf_printf(&archive, "%s/archive", options->dir);
  self->archive_dir = tide_strdup(options->archive_dir ? options->archive_dir : tide_buf_cstr(&archive));
  tide_buf_release(&archive);
  struct tide_journal_file_options reading = *options;
  reading.read_only = true;
  reading.create = false;
  enum tide_err err = tide_journal_file_open(&reading, &self->journal, error);
  if (!err) {
    err = open_archive(self, error);
  }
  if (err) {
    chain_close(&self->base);
    return err;
  }
  *ret = &self->base;
  return TIDE_OK;
}
