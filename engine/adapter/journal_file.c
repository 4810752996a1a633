/* The file journal: a directory of append-only segments (layout: segment.h, argument: README.md).
 *
 * append puts a frame into memory, sync writes what gathered with one pwrite and one fdatasync: group commit is whatever the caller
 * appends between two syncs. Only the last segment grows; it is made durable before the next one is published, so only the last one
 * can have a torn tail. The reader of the same handle sees unsynced entries too.
 *
 * After a failed fdatasync the kernel may have dropped the dirty pages and report success next time, so the handle refuses
 * everything; only opening again, which reads what the disk really has, tells the truth. A failed write is harmless: the same bytes
 * go to the same place at the next try. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/archive.h"
#include "adapter/log_reader.h"
#include "base/clock.h"

enum { PENDING_MAX = 4 << 20, LOAD_TRIES = 20 };
#define SEGMENT_BYTES_DEFAULT (UINT64_C(256) << 20)

struct file_journal {
  struct tide_journal base;
  const struct tide_sys *sys;
  char *dir, *archive_dir;
  bool read_only;
  bool dead; /* an fdatasync failed */
  struct tide_u128 session;
  bool must_rotate; /* a next segment may have been published: nothing more goes into this one */
  uint64_t segment_bytes;
  int lock_fd;
  struct tide_position first, last, durable;
  uint32_t last_crc;
  int fd;                  /* the last segment; writers only */
  uint64_t written;        /* its length without pending */
  uint64_t durable_off;    /* its length at the last fdatasync */
  struct tide_buf pending; /* frames behind `written` */
  struct tide_log_reader reader;
  int read_fd;
  char *read_path;
};

static const struct tide_journal_ops file_ops;
static struct file_journal *self_of(struct tide_journal *journal) { return (struct file_journal *)(void *)journal; }

static struct tide_segment_header *active_of(struct file_journal *self) {
  TIDE_CHECK(self->reader.count > 0);
  return &self->reader.segment[self->reader.count - 1];
}

static enum tide_err dead_error(const struct file_journal *self, struct tide_error *error) {
  return tide_fail(error, TIDE_E_IO,
                   "journal %s: a sync failed, so what the disk holds is not known; check the disk and open the journal again", self->dir);
}

/* Reading */

static const char *segment_name(void *owner, size_t index) {
  struct file_journal *self = owner;
  tide_free(self->read_path);
  self->read_path = tide_segment_path(self->dir, self->reader.segment[index].number, TIDE_SEGMENT_SUFFIX);
  return self->read_path;
}

/* The last segment of a writer continues in memory. */
static enum tide_err fetch(void *ctx, uint64_t off, uint8_t *out, size_t len, size_t *ret_len, struct tide_error *error) {
  struct file_journal *self = ctx;
  bool active = !self->read_only && self->reader.index + 1 == self->reader.count;
  size_t from_file = len, got = 0;
  if (active && off + len > self->written) {
    from_file = off < self->written ? (size_t)(self->written - off) : 0;
  }
  if (from_file > 0) {
    enum tide_err err = tide_sys_read(self->read_fd, out, from_file, off, &got, self->read_path, error);
    if (err || got < from_file) {
      *ret_len = got;
      return err;
    }
  }
  if (active && got < len) {
    size_t at = (size_t)(off + got - self->written), more = self->pending.len - at;
    more = more < len - got ? more : len - got;
    if (more > 0) {
      memcpy(out + got, self->pending.ptr + at, more);
    }
    got += more;
  }
  *ret_len = got;
  return TIDE_OK;
}

static enum tide_err read_header(const char *path, uint64_t number, struct tide_segment_header *ret, struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT ? TIDE_E_NOT_FOUND : tide_sys_fail(error, "opening", path);
  }
  uint8_t bytes[TIDE_SEGMENT_HEADER_BYTES];
  size_t got;
  struct tide_segment_header header;
  enum tide_err err = tide_sys_read(fd, bytes, sizeof bytes, 0, &got, path, error);
  close(fd);
  if (!err) {
    err = tide_segment_header_get((struct tide_span){(const char *)bytes, got}, path, &header, error);
  }
  if (!err && header.number != number) {
    err = tide_fail(error, TIDE_E_CORRUPT, "%s says that it is segment %" PRIu64 "; give the file its own name back", path, header.number);
  }
  if (!err) {
    *ret = header;
  }
  return err;
}

/* Adds the segment with this number to the list; NOT_FOUND (without text) when there is none. */
static enum tide_err add_segment(struct file_journal *self, uint64_t number, struct tide_error *error) {
  char *path = tide_segment_path(self->dir, number, TIDE_SEGMENT_SUFFIX);
  struct tide_segment_header header;
  enum tide_err err = read_header(path, number, &header, error);
  if (!err && self->reader.count > 0) {
    err = tide_log_reader_chain_check(active_of(self), &header, path, error);
  }
  if (!err) {
    tide_log_reader_add(&self->reader, &header);
  }
  tide_free(path);
  return err;
}

/* The list of segments as it is now. Without the lock a segment may be trimmed between listing and opening: then list again. */
static enum tide_err load(struct file_journal *self, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  for (unsigned tries = 0; tries < LOAD_TRIES; tries++) {
    uint64_t *number = NULL;
    size_t count = 0;
    tide_log_reader_clear(&self->reader);
    err = tide_segment_list(self->dir, TIDE_SEGMENT_SUFFIX, self->read_only ? NULL : self->sys, &number, &count, error);
    for (size_t i = 0; i < count && !err; i++) {
      err = add_segment(self, number[i], error);
    }
    tide_free(number);
    bool moved = self->read_only && (err == TIDE_E_CORRUPT || (err == TIDE_E_NOT_FOUND && count > 0));
    if (!moved) {
      break;
    }
  }
  return err;
}

static enum tide_err open_segment(void *owner, size_t index, struct tide_error *error) {
  struct file_journal *self = owner;
  if (self->read_fd >= 0) {
    close(self->read_fd);
  }
  const char *path = segment_name(self, index);
  self->read_fd = open(path, O_RDONLY | O_CLOEXEC);
  if (self->read_fd >= 0) {
    return TIDE_OK;
  }
  if (errno != ENOENT || !self->read_only) {
    return tide_sys_fail(error, "opening", path);
  }
  enum tide_err err = load(self, error);
  return err ? err : TIDE_E_AGAIN;
}

/* The walk stands at the end of the last known segment. */
static enum tide_err at_end(void *owner, bool broken, struct tide_error *error) {
  struct file_journal *self = owner;
  if (!self->read_only) {
    return broken ? tide_log_reader_corrupt(&self->reader, error) : TIDE_E_END;
  }
  enum tide_err err = add_segment(self, active_of(self)->number + 1, error);
  if (err != TIDE_E_NOT_FOUND) {
    return err;
  }
  /* Segments go in order: if this one is gone, so may be the next, and there is more behind. */
  if (access(segment_name(self, self->reader.index), F_OK) != 0) {
    err = load(self, error);
    return err ? err : TIDE_E_AGAIN;
  }
  if (!broken) {
    return TIDE_E_END;
  }
  /* A writer may be in the middle of this frame. If something behind it proves that it was whole, it is whole now, or damaged. */
  struct tide_segment_walk *walk = &self->reader.walk;
  bool torn;
  err = tide_segment_tail(self->read_fd, walk->seed, walk->off, walk->prev, &torn, error);
  if (err || torn) {
    return err ? err : TIDE_E_END;
  }
  struct tide_segment_walk look = *walk;
  struct tide_frame frame;
  struct tide_span entry;
  look.window = NULL;
  struct tide_segment_header here = {.seed = walk->seed, .prev = walk->prev, .prev_crc = walk->prev_crc};
  tide_segment_walk_begin(&look, &here);
  look.off = walk->off;
  err = tide_segment_walk_next(&look, &frame, &entry, error);
  tide_segment_walk_release(&look);
  return err == TIDE_E_AGAIN || err == TIDE_E_END ? tide_log_reader_corrupt(&self->reader, error) : err;
}

static enum tide_err file_read(struct tide_journal *journal, struct tide_position from, bool inclusive, struct tide_buf *out,
                               struct tide_position *ret, struct tide_error *error) {
  struct file_journal *self = self_of(journal);
  struct tide_frame frame;
  struct tide_span entry;
  enum tide_err err = self->dead ? dead_error(self, error) : tide_log_reader_read(&self->reader, from, inclusive, &frame, &entry, error);
  if (err) {
    return err;
  }
  if (self->read_only && tide_position_cmp(frame.at, self->last) > 0) {
    self->last = frame.at;
  }
  tide_buf_clear(out);
  tide_buf_put(out, entry.ptr, entry.len);
  *ret = frame.at;
  return TIDE_OK;
}

static enum tide_err file_range(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                                struct tide_error *error) {
  (void)error;
  const struct file_journal *self = self_of(journal);
  *ret_first = self->first;
  *ret_last = self->first.epoch ? self->last : (struct tide_position){0, 0};
  return TIDE_OK;
}

/* Writing */

static enum tide_err flush(struct file_journal *self, struct tide_error *error) {
  if (self->pending.len == 0) {
    return TIDE_OK;
  }
  enum tide_err err = tide_sys_write(self->sys, self->fd, self->pending.ptr, self->pending.len, self->written, self->dir, error);
  if (!err) {
    self->written += self->pending.len;
    tide_buf_clear(&self->pending);
  }
  return err;
}

static enum tide_err make_durable(struct file_journal *self, struct tide_error *error) {
  enum tide_err err = flush(self, error);
  if (err || self->durable_off == self->written) {
    return err;
  }
  if (self->sys->fdatasync(self->fd) != 0) {
    self->dead = true;
    return tide_fail_errno(
        error, TIDE_E_IO, "syncing journal %s: what the disk holds is not known now; check the disk and open the journal again", self->dir);
  }
  self->durable_off = self->written;
  self->durable = self->last;
  return TIDE_OK;
}

/* Publishes a segment and opens it for writing. */
static enum tide_err start_segment(struct file_journal *self, struct tide_segment_header *header, struct tide_error *error) {
  uint8_t bytes[TIDE_SEGMENT_HEADER_BYTES];
  tide_segment_header_put(header, bytes);
  char *path = tide_segment_path(self->dir, header->number, TIDE_SEGMENT_SUFFIX);
  enum tide_err err = tide_sys_publish(self->sys, self->dir, path, (struct tide_span){(const char *)bytes, sizeof bytes}, error);
  int fd = err ? -1 : self->sys->open(path, O_RDWR, 0);
  if (!err && fd < 0) {
    err = tide_sys_fail(error, "opening", path);
  }
  if (!err) {
    if (self->fd >= 0) {
      close(self->fd);
    }
    self->fd = fd;
    self->written = self->durable_off = TIDE_SEGMENT_HEADER_BYTES;
    tide_log_reader_add(&self->reader, header);
  }
  tide_free(path);
  return err;
}

static enum tide_err rotate(struct file_journal *self, struct tide_error *error) {
  enum tide_err err = make_durable(self, error);
  if (err) {
    return err;
  }
  const struct tide_segment_header *active = active_of(self);
  struct tide_segment_header next = {
      .log_id = active->log_id, .number = active->number + 1, .prev = self->last, .prev_crc = self->last_crc};
  self->must_rotate = true;
  err = start_segment(self, &next, error);
  self->must_rotate = err != TIDE_OK;
  return err;
}

/* A session is one opening of the directory: what happened to it in between nobody knows. Where the disk had no room, what was gathered must go in first,
 * and the segment that could not be begun: before that nothing could be appended. */
static enum tide_err file_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error) {
  struct file_journal *self = self_of(journal);
  if (self->dead) return dead_error(self, error);
  enum tide_err err = self->read_only ? TIDE_OK : self->must_rotate ? rotate(self, error) : flush(self, error);
  if (err) return err;
  *ret = (struct tide_session){.id = self->session, .epoch_min = self->last.epoch};
  return TIDE_OK;
}

static enum tide_err writable(const struct file_journal *self, struct tide_error *error) {
  if (self->dead) {
    return dead_error(self, error);
  }
  return self->read_only ? tide_fail(error, TIDE_E_USAGE, "journal %s is open for reading only", self->dir) : TIDE_OK;
}

static enum tide_err put(struct file_journal *self, struct tide_position at, struct tide_span entry, struct tide_position *ret,
                         struct tide_error *error) {
  if (entry.len > TIDE_ENTRY_MAX) {
    return tide_fail(error, TIDE_E_LIMIT, "journal %s: an entry of %zu bytes is above the limit of %u; split the batch", self->dir,
                     entry.len, TIDE_ENTRY_MAX);
  }
  TIDE_CHECK(tide_position_follows(self->last, at));
  size_t frame = TIDE_FRAME_HEADER_BYTES + entry.len;
  uint64_t off = self->written + self->pending.len;
  enum tide_err err = TIDE_OK;
  if (self->must_rotate || (off > TIDE_SEGMENT_HEADER_BYTES && off + frame > self->segment_bytes)) {
    err = rotate(self, error);
  } else if (self->pending.len + frame > PENDING_MAX) {
    err = flush(self, error);
  }
  if (err) {
    return err;
  }
  self->last_crc = tide_frame_put(active_of(self)->seed, at, self->durable_off, entry, &self->pending);
  self->last = at;
  if (self->first.epoch == 0) {
    self->first = at;
  }
  *ret = at;
  return TIDE_OK;
}

static enum tide_err file_append(struct tide_journal *journal, uint64_t epoch, struct tide_span entry, struct tide_position *ret,
                                 struct tide_error *error) {
  struct file_journal *self = self_of(journal);
  enum tide_err err = writable(self, error);
  if (err) {
    return err;
  }
  if (epoch == 0 || epoch != self->last.epoch) {
    return tide_fail(error, TIDE_E_STALE, "journal %s: epoch %" PRIu64 " is not the last one, %" PRIu64 " is; open a new epoch", self->dir,
                     epoch, self->last.epoch);
  }
  return put(self, (struct tide_position){epoch, self->last.seq + 1}, entry, ret, error);
}

static enum tide_err file_open_epoch(struct tide_journal *journal, uint64_t epoch, struct tide_span fence, struct tide_position *ret,
                                     struct tide_error *error) {
  struct file_journal *self = self_of(journal);
  enum tide_err err = writable(self, error);
  if (err) {
    return err;
  }
  if (epoch <= self->last.epoch) {
    return tide_fail(error, TIDE_E_STALE, "journal %s: epoch %" PRIu64 " cannot be opened, %" PRIu64 " exists", self->dir, epoch,
                     self->last.epoch);
  }
  return put(self, (struct tide_position){epoch, 0}, fence, ret, error);
}

/* An empty log that is to begin in the middle of another: its one segment gets a header that says behind what. */
static enum tide_err begin_behind(struct file_journal *self, struct tide_position prev, struct tide_error *error) {
  TIDE_CHECK(self->reader.count == 1 && self->written == TIDE_SEGMENT_HEADER_BYTES && self->pending.len == 0);
  struct tide_segment_header header = {.log_id = active_of(self)->log_id, .number = active_of(self)->number, .prev = prev};
  tide_log_reader_clear(&self->reader);
  enum tide_err err = start_segment(self, &header, error);
  if (err) {
    self->dead = true; /* the list of segments is gone with it: only opening again tells */
    return err;
  }
  self->last = self->durable = prev;
  return TIDE_OK;
}

enum tide_err tide_journal_file_put(struct tide_journal *journal, struct tide_position at, struct tide_span entry,
                                    struct tide_error *error) {
  TIDE_CHECK(journal->ops == &file_ops);
  struct file_journal *self = self_of(journal);
  struct tide_position ignored;
  enum tide_err err = writable(self, error);
  if (!err && at.epoch == 0) {
    err = tide_fail(error, TIDE_E_MISMATCH, "journal %s: epoch 0 is before every journal", self->dir);
  }
  if (!err && self->first.epoch == 0 && !tide_position_follows(self->last, at)) {
    err = begin_behind(self, at.seq > 0 ? (struct tide_position){at.epoch, at.seq - 1} : (struct tide_position){0, 0}, error);
  }
  if (!err && !tide_position_follows(self->last, at)) {
    err = tide_fail(error, TIDE_E_MISMATCH, "journal %s ends at %" PRIu64 "-%" PRIu64 ", behind which %" PRIu64 "-%" PRIu64 " cannot stand",
                    self->dir, self->last.epoch, self->last.seq, at.epoch, at.seq);
  }
  return err ? err : put(self, at, entry, &ignored, error);
}

/* The segments behind go first, the last one first: whenever it ends in between, what is left is a log. */
static enum tide_err remove_behind(struct file_journal *self, size_t index, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  while (!err && self->reader.count > index + 1) {
    if (self->sys->unlink(segment_name(self, self->reader.count - 1)) != 0) err = tide_sys_fail(error, "removing", self->read_path);
    if (!err) err = tide_sys_sync_dir(self->sys, self->dir, error);
    if (!err) self->reader.count--;
  }
  int fd = err ? -1 : self->sys->open(segment_name(self, index), O_RDWR, 0);
  if (!err && fd < 0) err = tide_sys_fail(error, "opening", self->read_path);
  if (err) return err;
  close(self->fd);
  self->fd = fd;
  return TIDE_OK;
}

enum tide_err tide_journal_file_cut(struct tide_journal *journal, struct tide_position last, struct tide_error *error) {
  TIDE_CHECK(journal->ops == &file_ops);
  struct file_journal *self = self_of(journal);
  struct tide_frame frame;
  struct tide_span entry;
  enum tide_err err = writable(self, error);
  if (!err) err = make_durable(self, error);
  if (err) return err;
  err = tide_log_reader_read(&self->reader, last, true, &frame, &entry, error);
  if (err == TIDE_E_END || (!err && tide_position_cmp(frame.at, last) != 0))
    err = tide_fail(error, TIDE_E_MISMATCH, "journal %s has no entry at %" PRIu64 "-%" PRIu64, self->dir, last.epoch, last.seq);
  if (err) return err;
  uint64_t off = self->reader.walk.off;
  uint32_t crc = self->reader.walk.prev_crc;
  self->dead = true; /* until it has succeeded */
  err = remove_behind(self, self->reader.index, error);
  if (!err && (self->sys->ftruncate(self->fd, (off_t)off) != 0 || self->sys->fsync(self->fd) != 0))
    err = tide_sys_fail(error, "cutting", self->dir);
  if (err) return err;
  self->dead = self->must_rotate = false;
  self->reader.walking = false;
  self->written = self->durable_off = off;
  self->last = self->durable = last;
  self->last_crc = crc;
  return TIDE_OK;
}

static enum tide_err file_sync(struct tide_journal *journal, struct tide_position *ret_durable, struct tide_error *error) {
  struct file_journal *self = self_of(journal);
  enum tide_err err = writable(self, error);
  if (!err) {
    err = make_durable(self, error);
  }
  if (!err) {
    *ret_durable = self->durable;
  }
  return err;
}

/* The first entry that is there, {0,0} when there is none yet. */
static enum tide_err find_first(struct file_journal *self, struct tide_error *error) {
  struct tide_frame frame = {0};
  struct tide_span entry;
  enum tide_err err = tide_log_reader_read(&self->reader, (struct tide_position){0, 0}, false, &frame, &entry, error);
  if (err && err != TIDE_E_END) {
    return err;
  }
  self->first = err ? (struct tide_position){0, 0} : frame.at;
  return TIDE_OK;
}

/* One segment leaves: first it stands in the archive, durable and read back, then its name goes. */
static enum tide_err retire_first(struct file_journal *self, struct tide_error *error) {
  struct tide_log_reader *reader = &self->reader;
  char *path = tide_segment_path(self->dir, reader->segment[0].number, TIDE_SEGMENT_SUFFIX);
  enum tide_err err = tide_archive_put(self->sys, self->archive_dir, path, reader->segment[1].prev, error);
  if (!err && self->sys->unlink(path) != 0) {
    err = tide_sys_fail(error, "removing", path);
  }
  if (!err) {
    err = tide_sys_sync_dir(self->sys, self->dir, error);
    reader->count--;
    memmove(reader->segment, reader->segment + 1, reader->count * sizeof *reader->segment);
    reader->walking = false;
  }
  tide_free(path);
  return err;
}

static enum tide_err file_trim(struct tide_journal *journal, struct tide_position keep, struct tide_span entry, struct tide_error *error) {
  (void)entry; /* nobody else writes to it */
  struct file_journal *self = self_of(journal);
  enum tide_err err = writable(self, error);
  if (tide_position_cmp(keep, self->durable) > 0) {
    keep = self->durable;
  }
  bool retired = false;
  while (!err && self->reader.count > 1 && tide_position_cmp(self->reader.segment[1].prev, keep) < 0) {
    err = retire_first(self, error);
    retired = true;
  }
  if (retired) {
    enum tide_err found = find_first(self, err ? NULL : error);
    err = err ? err : found;
  }
  return err;
}

static void file_close(struct tide_journal *journal) {
  struct file_journal *self = self_of(journal);
  int fds[] = {self->fd, self->read_fd, self->lock_fd}; /* the lock goes last */
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    if (fds[i] >= 0) {
      close(fds[i]);
    }
  }
  tide_log_reader_release(&self->reader);
  tide_buf_release(&self->pending);
  tide_free(self->read_path);
  tide_free(self->dir);
  tide_free(self->archive_dir);
  tide_free(self);
}

static const struct tide_journal_ops file_ops = {
    .name = "file",
    .begin = file_begin,
    .append = file_append,
    .open_epoch = file_open_epoch,
    .sync = file_sync,
    .read = file_read,
    .range = file_range,
    .trim = file_trim,
    .close = file_close,
};

/* Opening */

static enum tide_err make_dir(struct file_journal *self, struct tide_error *error) {
  if (self->sys->mkdir(self->dir, 0750) != 0) {
    return errno == EEXIST ? TIDE_OK : tide_sys_fail(error, "creating directory", self->dir);
  }
  struct tide_buf parent = TIDE_BUF_INIT;
  tide_buf_printf(&parent, "%s/..", self->dir);
  enum tide_err err = tide_sys_sync_dir(self->sys, tide_buf_cstr(&parent), error);
  tide_buf_release(&parent);
  return err;
}

/* One writer at a time, by flock, so that the lock ends with its holder. The pid in the file is for people. */
static enum tide_err take_lock(struct file_journal *self, struct tide_error *error) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/LOCK", self->dir);
  const char *name = tide_buf_cstr(&path);
  enum tide_err err = TIDE_OK;
  char pid[32] = "";
  self->lock_fd = self->sys->open(name, O_RDWR | O_CREAT, 0640);
  if (self->lock_fd < 0) {
    err = errno == ENOENT ? tide_fail(error, TIDE_E_NOT_FOUND, "there is no journal in %s", self->dir)
                          : tide_sys_fail(error, "opening", name);
  } else if (flock(self->lock_fd, LOCK_EX | LOCK_NB) != 0) {
    ssize_t got = errno == EWOULDBLOCK ? pread(self->lock_fd, pid, sizeof pid - 1, 0) : 0;
    pid[got > 0 ? strcspn(pid, "\n") : 0] = '\0';
    err = tide_fail(error, TIDE_E_LOCKED, "journal %s is in use by process %s; stop it, or open the journal for reading only", self->dir,
                    pid[0] ? pid : "(unknown)");
  } else {
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    bool told = ftruncate(self->lock_fd, 0) == 0 && pwrite(self->lock_fd, pid, (size_t)len, 0) == len;
    (void)told; /* on a full disk the lock holds without the pid */
  }
  tide_buf_release(&path);
  return err;
}

/* An empty journal where the archive has history would begin the log a second time. */
static enum tide_err create_first(struct file_journal *self, struct tide_error *error) {
  struct tide_position archived;
  enum tide_err err = tide_archive_last(self->archive_dir, &archived, error);
  if (err) {
    return err;
  }
  if (archived.epoch != 0) {
    return tide_fail(error, TIDE_E_CORRUPT,
                     "%s has no segments but its archive %s ends at %" PRIu64 "-%" PRIu64
                     "; bring the segments back, or move the archive away",
                     self->dir, self->archive_dir, archived.epoch, archived.seq);
  }
  struct tide_segment_header header = {.number = 1};
  if (getrandom(&header.log_id, sizeof header.log_id, 0) != (ssize_t)sizeof header.log_id) {
    return tide_fail_errno(error, TIDE_E_IO, "asking the kernel for random bytes");
  }
  return start_segment(self, &header, error);
}

/* Walks the last segment to its end, cuts a torn tail, and makes sure that what is there is durable: it is about to be read as such. */
static enum tide_err recover(struct file_journal *self, struct tide_error *error) {
  struct tide_log_reader *reader = &self->reader;
  if (!self->read_only) {
    self->fd = self->sys->open(segment_name(self, reader->count - 1), O_RDWR, 0);
    struct stat stat;
    if (self->fd < 0 || fstat(self->fd, &stat) != 0) {
      return tide_sys_fail(error, "opening", self->read_path);
    }
    self->written = (uint64_t)stat.st_size;
  }
  enum tide_err err = tide_log_reader_enter(reader, reader->count - 1, error);
  if (err) {
    return err;
  }
  struct tide_frame frame;
  struct tide_span entry;
  while (!err) {
    err = tide_segment_walk_next(&reader->walk, &frame, &entry, error);
  }
  const struct tide_segment_walk *walk = &reader->walk;
  bool torn = err == TIDE_E_AGAIN;
  if (torn) {
    err = tide_segment_tail(self->read_fd, walk->seed, walk->off, walk->prev, &torn, error);
    if (!err && !torn && !self->read_only) {
      err = tide_log_reader_corrupt(reader, error);
    }
  }
  if (err && err != TIDE_E_END) {
    return err;
  }
  self->last = self->durable = walk->prev;
  self->last_crc = walk->prev_crc;
  if (self->read_only) {
    return TIDE_OK; /* damage, if it is that, shows when somebody reads there */
  }
  if (torn && self->sys->ftruncate(self->fd, (off_t)walk->off) != 0) {
    return tide_sys_fail(error, "cutting the torn tail of", self->read_path);
  }
  if (self->sys->fsync(self->fd) != 0) {
    return tide_sys_fail(error, "syncing", self->read_path);
  }
  self->written = self->durable_off = walk->off;
  return tide_sys_sync_dir(self->sys, self->dir, error);
}

static enum tide_err open_all(struct file_journal *self, bool create, struct tide_error *error) {
  enum tide_err err = create && !self->read_only ? make_dir(self, error) : TIDE_OK;
  if (!err && !self->read_only) {
    err = take_lock(self, error);
  }
  if (!err) {
    err = load(self, error);
  }
  if (!err && self->reader.count == 0) {
    err =
        create && !self->read_only ? create_first(self, error) : tide_fail(error, TIDE_E_NOT_FOUND, "there is no journal in %s", self->dir);
    return err;
  }
  if (err) {
    return err;
  }
  unsigned tries = 0;
  do {
    err = recover(self, error);
  } while (err == TIDE_E_AGAIN && ++tries < LOAD_TRIES); /* without the lock the list may have been loaded anew under us */
  return err ? err : find_first(self, error);
}

enum tide_err tide_journal_file_open_sys(const struct tide_journal_file_options *options, const struct tide_sys *sys,
                                         struct tide_journal **ret, struct tide_error *error) {
  struct file_journal *self = tide_alloc(sizeof *self);
  self->base.ops = &file_ops;
  self->sys = sys;
  self->dir = tide_strdup(options->dir);
  self->read_only = options->read_only;
  self->segment_bytes = options->segment_bytes ? options->segment_bytes : SEGMENT_BYTES_DEFAULT;
  self->lock_fd = self->fd = self->read_fd = -1;
  int64_t opening[3] = {tide_wall_now().ms, tide_mono_now().ns, getpid()};
  self->session = tide_hash128(opening, sizeof opening, 0);
  struct tide_buf archive = TIDE_BUF_INIT;
  tide_buf_printf(&archive, "%s/archive", options->dir);
  self->archive_dir = options->archive_dir ? tide_strdup(options->archive_dir) : tide_strdup(tide_buf_cstr(&archive));
  tide_buf_release(&archive);
  self->reader.owner = self->reader.walk.ctx = self;
  self->reader.walk.fetch = fetch;
  self->reader.open_segment = open_segment;
  self->reader.at_end = at_end;
  self->reader.name = segment_name;
  enum tide_err err = open_all(self, options->create, error);
  if (err) {
    file_close(&self->base);
    return err;
  }
  *ret = &self->base;
  return TIDE_OK;
}

uint64_t tide_journal_file_log_id(struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &file_ops);
  return active_of(self_of(journal))->log_id;
}

enum tide_err tide_journal_file_open(const struct tide_journal_file_options *options, struct tide_journal **ret, struct tide_error *error) {
  return tide_journal_file_open_sys(options, &tide_sys_real, ret, error);
}
