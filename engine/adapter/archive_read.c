/* The archive as a read-only journal, and "whatever stands at this path" for inspect.
 *
 * Opening reads the first frame of every file (104 bytes) and checks that they connect; entries are checked as they are read. A file
 * that a running engine adds is found when the reader comes to the end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/archive.h"
#include "adapter/log_reader.h"

struct archive_journal {
  struct tide_journal base;
  char *dir;
  char *single; /* one file instead of a directory */
  struct tide_log_reader reader;
  struct tide_position *last; /* of each segment; {0,0} for a plain one */
  size_t last_cap;
  struct tide_archive_stream *stream;
  char *path;
  struct tide_position first, newest;
};

static struct archive_journal *self_of(struct tide_journal *journal) { return (struct archive_journal *)(void *)journal; }

static char *path_of(const struct archive_journal *self, uint64_t number) {
  return self->single ? tide_strdup(self->single) : tide_segment_path(self->dir, number, TIDE_ARCHIVE_SUFFIX);
}

static const char *segment_name(void *owner, size_t index) {
  struct archive_journal *self = owner;
  tide_free(self->path);
  self->path = path_of(self, self->reader.segment[index].number);
  return self->path;
}

static enum tide_err fetch(void *ctx, uint64_t off, uint8_t *out, size_t len, size_t *ret_len, struct tide_error *error) {
  struct archive_journal *self = ctx;
  return tide_archive_stream_fetch(self->stream, off, out, len, ret_len, error);
}

static enum tide_err open_segment(void *owner, size_t index, struct tide_error *error) {
  struct archive_journal *self = owner;
  struct tide_archive_summary summary;
  tide_archive_stream_close(self->stream);
  self->stream = NULL;
  enum tide_err err = tide_archive_stream_open(segment_name(self, index), &self->stream, &summary, error);
  if (!err && summary.header.seed != self->reader.segment[index].seed) {
    err = tide_fail(error, TIDE_E_CORRUPT, "%s was replaced while it was being read", self->path);
  }
  return err;
}

static enum tide_err add_file(struct archive_journal *self, const char *path, uint64_t number, struct tide_error *error) {
  struct tide_archive_stream *stream;
  struct tide_archive_summary summary;
  struct tide_log_reader *reader = &self->reader;
  enum tide_err err = tide_archive_stream_open(path, &stream, &summary, error);
  if (err) {
    return err;
  }
  tide_archive_stream_close(stream);
  if (!self->single && summary.header.number != number) {
    return tide_fail(error, TIDE_E_CORRUPT, "%s says that it is segment %" PRIu64 "; give the file its own name back", path,
                     summary.header.number);
  }
  if (reader->count > 0) {
    err = tide_log_reader_chain_check(&reader->segment[reader->count - 1], &summary.header, path, error);
    if (!err && tide_position_cmp(self->last[reader->count - 1], summary.header.prev) != 0) {
      err = tide_fail(error, TIDE_E_CORRUPT, "%s does not begin where the file before it ends", path);
    }
  }
  if (err) {
    return err;
  }
  if (reader->count == self->last_cap) {
    self->last_cap = self->last_cap ? self->last_cap * 2 : 16;
    self->last = tide_realloc(self->last, self->last_cap * sizeof *self->last);
  }
  self->last[reader->count] = summary.last;
  self->newest = summary.last;
  tide_log_reader_add(reader, &summary.header);
  return TIDE_OK;
}

static enum tide_err at_end(void *owner, bool broken, struct tide_error *error) {
  struct archive_journal *self = owner;
  struct tide_log_reader *reader = &self->reader;
  bool packed = tide_archive_stream_packed(self->stream);
  if (!packed) {
    bool torn = broken;
    enum tide_err err = TIDE_OK;
    if (broken) {
      int fd = open(self->single, O_RDONLY | O_CLOEXEC);
      err = fd < 0 ? tide_sys_fail(error, "opening", self->single)
                   : tide_segment_tail(fd, reader->walk.seed, reader->walk.off, reader->walk.prev, &torn, error);
      if (fd >= 0) {
        close(fd);
      }
    }
    return err ? err : broken && !torn ? tide_log_reader_corrupt(reader, error) : TIDE_E_END;
  }
  if (broken || tide_position_cmp(reader->walk.prev, self->last[reader->index]) != 0) {
    return tide_log_reader_corrupt(reader, error);
  }
  if (self->single) {
    return TIDE_E_END;
  }
  uint64_t number = reader->segment[reader->count - 1].number + 1;
  char *path = path_of(self, number);
  enum tide_err err = access(path, F_OK) == 0 ? add_file(self, path, number, error) : TIDE_E_END;
  tide_free(path);
  return err;
}

static enum tide_err archive_read(struct tide_journal *journal, struct tide_position from, bool inclusive, struct tide_buf *out,
                                  struct tide_position *ret, struct tide_error *error) {
  struct archive_journal *self = self_of(journal);
  struct tide_frame frame;
  struct tide_span entry;
  enum tide_err err = tide_log_reader_read(&self->reader, from, inclusive, &frame, &entry, error);
  if (err) {
    self->reader.walking = false; /* a stream only goes forward: next time from the segment's beginning */
    return err;
  }
  tide_buf_clear(out);
  tide_buf_put(out, entry.ptr, entry.len);
  *ret = frame.at;
  return TIDE_OK;
}

static enum tide_err archive_range(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                                   struct tide_error *error) {
  (void)error;
  const struct archive_journal *self = self_of(journal);
  *ret_first = self->first;
  *ret_last = self->newest;
  return TIDE_OK;
}

static enum tide_err refuse(const struct tide_journal *journal, struct tide_error *error) {
  const struct archive_journal *self = (const struct archive_journal *)(const void *)journal;
  return tide_fail(error, TIDE_E_USAGE, "%s is an archive and only read", self->single ? self->single : self->dir);
}
static enum tide_err archive_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error) {
  (void)ret;
  return refuse(journal, error);
}
static enum tide_err archive_append(struct tide_journal *journal, uint64_t epoch, struct tide_span entry, struct tide_position *ret,
                                    struct tide_error *error) {
  (void)epoch, (void)entry, (void)ret;
  return refuse(journal, error);
}
static enum tide_err archive_sync(struct tide_journal *journal, struct tide_position *ret_durable, struct tide_error *error) {
  (void)ret_durable;
  return refuse(journal, error);
}
static enum tide_err archive_trim(struct tide_journal *journal, struct tide_position keep, struct tide_span entry,
                                  struct tide_error *error) {
  (void)keep, (void)entry;
  return refuse(journal, error);
}

static void archive_close(struct tide_journal *journal) {
  struct archive_journal *self = self_of(journal);
  tide_archive_stream_close(self->stream);
  tide_log_reader_release(&self->reader);
  tide_free(self->last);
  tide_free(self->path);
  tide_free(self->single);
  tide_free(self->dir);
  tide_free(self);
}

static const struct tide_journal_ops archive_ops = {
    .name = "archive",
    .begin = archive_begin,
    .append = archive_append,
    .open_epoch = archive_append,
    .sync = archive_sync,
    .read = archive_read,
    .range = archive_range,
    .trim = archive_trim,
    .close = archive_close,
};

static enum tide_err load(struct archive_journal *self, struct tide_error *error) {
  if (self->single) {
    return add_file(self, self->single, 0, error);
  }
  uint64_t *number;
  size_t count;
  enum tide_err err = tide_segment_list(self->dir, TIDE_ARCHIVE_SUFFIX, NULL, &number, &count, error);
  if (err) {
    return err;
  }
  for (size_t i = 0; i < count && !err; i++) {
    char *path = path_of(self, number[i]);
    err = add_file(self, path, number[i], error);
    tide_free(path);
  }
  tide_free(number);
  return err;
}

/* A plain segment does not say where it ends: it is walked once. */
static enum tide_err find_range(struct archive_journal *self, struct tide_error *error) {
  struct tide_frame frame;
  struct tide_span entry;
  enum tide_err err = tide_log_reader_read(&self->reader, (struct tide_position){0, 0}, false, &frame, &entry, error);
  if (err == TIDE_OK) {
    self->first = frame.at;
  }
  while (err == TIDE_OK && self->newest.epoch == 0) {
    struct tide_position at = frame.at;
    err = tide_log_reader_read(&self->reader, at, false, &frame, &entry, error);
    if (err == TIDE_E_END || err == TIDE_E_CORRUPT) {
      self->newest = at;
      err = TIDE_OK;
    }
  }
  self->reader.walking = false;
  return err == TIDE_E_END ? TIDE_OK : err;
}

static enum tide_err open_over(const char *dir, const char *single, struct tide_journal **ret, struct tide_error *error) {
  struct archive_journal *self = tide_alloc(sizeof *self);
  self->base.ops = &archive_ops;
  self->dir = tide_strdup(dir);
  self->single = tide_strdup(single);
  self->reader.owner = self->reader.walk.ctx = self;
  self->reader.walk.fetch = fetch;
  self->reader.open_segment = open_segment;
  self->reader.at_end = at_end;
  self->reader.name = segment_name;
  enum tide_err err = load(self, error);
  if (!err) {
    err = find_range(self, error);
  }
  if (err) {
    archive_close(&self->base);
    return err;
  }
  *ret = &self->base;
  return TIDE_OK;
}

enum tide_err tide_archive_open(const char *dir, struct tide_journal **ret, struct tide_error *error) {
  return open_over(dir, NULL, ret, error);
}

uint64_t tide_archive_log_id(struct tide_journal *archive) {
  TIDE_CHECK(archive->ops == &archive_ops);
  const struct archive_journal *self = self_of(archive);
  return self->reader.count ? self->reader.segment[0].log_id : 0;
}

enum tide_err tide_archive_last(const char *dir, struct tide_position *ret, struct tide_error *error) {
  struct tide_journal *archive;
  struct tide_position first;
  *ret = (struct tide_position){0, 0};
  enum tide_err err = tide_archive_open(dir, &archive, error);
  if (!err) {
    err = archive->ops->range(archive, &first, ret, error);
    archive->ops->close(archive);
  }
  return err == TIDE_E_NOT_FOUND ? TIDE_OK : err;
}

/* One bare entry becomes the only one of a journal in memory. */
static enum tide_err open_entry(const char *path, int fd, struct tide_journal **ret, struct tide_error *error) {
  char *bytes = tide_realloc(NULL, TIDE_ENTRY_MAX + 1);
  size_t got;
  struct tide_position at;
  enum tide_err err = tide_sys_read(fd, bytes, TIDE_ENTRY_MAX + 1, 0, &got, path, error);
  if (!err) {
    struct tide_journal *memory = tide_journal_memory_new();
    err = memory->ops->open_epoch(memory, 1, (struct tide_span){bytes, got}, &at, error);
    if (err) {
      memory->ops->close(memory);
    } else {
      *ret = memory;
    }
  }
  tide_free(bytes);
  return err;
}

static enum tide_err open_dir(const char *path, struct tide_journal **ret, struct tide_error *error) {
  uint64_t *number;
  size_t count;
  enum tide_err err = tide_segment_list(path, TIDE_ARCHIVE_SUFFIX, NULL, &number, &count, error);
  if (err) {
    return err;
  }
  tide_free(number);
  return count > 0 ? tide_archive_open(path, ret, error)
                   : tide_journal_file_open(&(struct tide_journal_file_options){.dir = path, .read_only = true}, ret, error);
}

enum tide_err tide_journal_any_open(const char *path, struct tide_journal **ret, struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat stat;
  if (fd < 0 || fstat(fd, &stat) != 0) {
    enum tide_err err =
        errno == ENOENT ? tide_fail(error, TIDE_E_NOT_FOUND, "there is nothing at %s", path) : tide_sys_fail(error, "opening", path);
    if (fd >= 0) {
      close(fd);
    }
    return err;
  }
  enum tide_err err;
  char magic[4] = "";
  size_t got = 0;
  if (S_ISDIR(stat.st_mode)) {
    err = open_dir(path, ret, error);
  } else if ((err = tide_sys_read(fd, magic, sizeof magic, 0, &got, path, error)) == TIDE_OK) {
    if (got == 4 && memcmp(magic, "TDE1", 4) == 0) {
      err = open_entry(path, fd, ret, error);
    } else if (got == 4 && (memcmp(magic, "TDJ1", 4) == 0 || memcmp(magic, "\x54\x2A\x4D\x18", 4) == 0)) {
      err = open_over(NULL, path, ret, error);
    } else {
      err = tide_fail(error, TIDE_E_USAGE, "%s is neither a journal directory, an archive, a segment nor an entry", path);
    }
  }
  close(fd);
  return err;
}
