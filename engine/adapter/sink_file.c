/* JSON lines into a file, resumable at any byte.
 *
 * Each line carries "position":"E-S.I". After a kill the file holds a prefix of what was to be written: whole lines and perhaps a torn
 * one. Opening with resume cuts the torn line, reads the position of the last whole one, and passes over everything offered at or before
 * it. As the same journal gives the same bytes, the file ends up byte-equal to that of a run that was never killed.
 *
 * The bytes `"position":"` cannot occur inside a JSON string (its quotes would be escaped), so the first occurrence is the key. */
#include "adapter/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_BYTES (256u * 1024)
#define LAST_LINE_MAX (64u << 20)

struct sink_file {
  struct tide_sink base;
  char *path;
  int fd;
  struct tide_buf buf; /* whole lines, the first of them perhaps partly written */
  bool passing;        /* something is there already */
  struct tide_position last;
  uint32_t last_index;
};

static struct sink_file *self(struct tide_sink *sink) { return (struct sink_file *)sink; }

static enum tide_err write_out(struct sink_file *s, struct tide_error *error) {
  size_t at = 0;
  enum tide_err err = TIDE_OK;
  while (at < s->buf.len) {
    ssize_t n = write(s->fd, s->buf.ptr + at, s->buf.len - at);
    if (n > 0) {
      at += (size_t)n;
    } else if (n == 0 || errno != EINTR) {
      bool full = n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG);
      err = tide_fail_errno(error, full ? TIDE_E_FULL : TIDE_E_IO,
                            full ? "no space left for %s; make room and start again, it continues where it stopped" : "cannot write to %s",
                            s->path);
      break;
    }
  }
  /* What could not be written stays for the next attempt. */
  memmove(s->buf.ptr, s->buf.ptr + at, s->buf.len - at);
  s->buf.len -= at;
  return err;
}

static enum tide_err sink_put(struct tide_sink *sink, struct tide_position position, uint32_t index, struct tide_span json,
                              struct tide_error *error) {
  struct sink_file *s = self(sink);
  TIDE_CHECK(memchr(json.ptr, '\n', json.len) == NULL);
  if (s->passing) {
    int order = tide_position_cmp(position, s->last);
    if (order < 0 || (order == 0 && index <= s->last_index)) return TIDE_OK;
  }
  if (s->buf.len >= FLUSH_BYTES) {
    enum tide_err err = write_out(s, error);
    if (err) return err;
  }
  tide_buf_put(&s->buf, json.ptr, json.len);
  tide_buf_char(&s->buf, '\n');
  return TIDE_OK;
}

static enum tide_err sink_flush(struct tide_sink *sink, struct tide_error *error) {
  struct sink_file *s = self(sink);
  return s->buf.len ? write_out(s, error) : TIDE_OK;
}

static enum tide_err sink_close(struct tide_sink *sink, struct tide_error *error) {
  struct sink_file *s = self(sink);
  enum tide_err err = sink_flush(sink, error);
  /* close may report what the file system held back (quota on NFS) */
  if (s->fd > 1 && close(s->fd) != 0 && !err) err = tide_fail_errno(error, TIDE_E_IO, "cannot close %s", s->path);
  tide_buf_release(&s->buf);
  tide_free(s->path);
  tide_free(s);
  return err;
}

static const struct tide_sink_ops ops = {"file", sink_put, sink_flush, sink_close};

/* --- resume */

static enum tide_err read_at(const struct sink_file *s, char *out, size_t len, uint64_t at, struct tide_error *error) {
  while (len) {
    ssize_t n = pread(s->fd, out, len, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot read %s back", s->path);
    if (n == 0) return tide_fail(error, TIDE_E_IO, "%s became shorter while it was read back", s->path);
    out += n;
    len -= (size_t)n;
    at += (uint64_t)n;
  }
  return TIDE_OK;
}

/* The offset behind the last newline before `end`, 0 when there is none. */
static enum tide_err line_begin(const struct sink_file *s, uint64_t end, uint64_t *ret, struct tide_error *error) {
  char block[65536];
  while (end) {
    size_t len = end < sizeof block ? (size_t)end : sizeof block;
    enum tide_err err = read_at(s, block, len, end - len, error);
    if (err) return err;
    const char *newline = memrchr(block, '\n', len);
    if (newline) {
      *ret = end - len + (uint64_t)(newline - block) + 1;
      return TIDE_OK;
    }
    end -= len;
  }
  *ret = 0;
  return TIDE_OK;
}

static bool number(const char **p, char stop, uint64_t *ret) {
  if (**p < '0' || **p > '9') return false;
  char *end;
  errno = 0;
  unsigned long long v = strtoull(*p, &end, 10);
  if (errno || *end != stop) return false;
  *ret = v;
  *p = end + 1;
  return true;
}

static bool position_of(struct tide_buf *line, struct tide_position *ret, uint32_t *ret_index) {
  static const char key[] = "\"position\":\"";
  const char *text = tide_buf_cstr(line);
  const char *p = memmem(text, line->len, key, sizeof key - 1);
  if (!p) return false;
  p += sizeof key - 1;
  struct tide_position position;
  uint64_t index;
  if (!number(&p, '-', &position.epoch) || !number(&p, '.', &position.seq) || !number(&p, '"', &index) || index > UINT32_MAX) return false;
  *ret = position;
  *ret_index = (uint32_t)index;
  return true;
}

static enum tide_err resume_at_end(struct sink_file *s, uint64_t bytes, struct tide_error *error) {
  uint64_t whole, begin = 0;
  enum tide_err err = line_begin(s, bytes, &whole, error);
  if (!err && whole) err = line_begin(s, whole - 1, &begin, error);
  if (err) return err;
  if (whole) {
    if (whole - begin > LAST_LINE_MAX)
      return tide_fail(error, TIDE_E_CORRUPT, "%s ends with a line of more than %u bytes; this is not an output of ours", s->path,
                       LAST_LINE_MAX);
    struct tide_buf line = TIDE_BUF_INIT;
    tide_buf_reserve(&line, (size_t)(whole - begin) + 1);
    err = read_at(s, line.ptr, (size_t)(whole - begin - 1), begin, error);
    line.len = (size_t)(whole - begin - 1);
    s->passing = !err && position_of(&line, &s->last, &s->last_index);
    tide_buf_release(&line);
    if (err) return err;
    if (!s->passing)
      return tide_fail(error, TIDE_E_CORRUPT,
                       "cannot continue %s: its last line has no \"position\"; move the file away to begin a new one", s->path);
  }
  if (whole < bytes && ftruncate(s->fd, (off_t)whole) != 0)
    return tide_fail_errno(error, TIDE_E_IO, "cannot cut the torn last line of %s", s->path);
  if (lseek(s->fd, (off_t)whole, SEEK_SET) < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot continue at the end of %s", s->path);
  return TIDE_OK;
}

enum tide_err tide_sink_file_open(const char *path, bool resume, struct tide_sink **ret, struct tide_error *error) {
  bool standard = strcmp(path, "-") == 0;
  if (standard && resume) return tide_fail(error, TIDE_E_USAGE, "standard output cannot be continued after a restart; give a file");
  struct sink_file *s = tide_alloc(sizeof *s);
  s->base.ops = &ops;
  s->path = tide_strdup(standard ? "standard output" : path);
  s->fd = standard ? 1 : open(path, (resume ? O_RDWR : O_WRONLY | O_TRUNC) | O_CREAT | O_CLOEXEC, 0666);
  enum tide_err err = TIDE_OK;
  struct stat st;
  if (s->fd < 0)
    err = tide_fail_errno(error, errno == ENOSPC ? TIDE_E_FULL : TIDE_E_IO,
                          "cannot open %s for writing; check that its directory exists and may be written", path);
  else if (resume && fstat(s->fd, &st) != 0) err = tide_fail_errno(error, TIDE_E_IO, "cannot look at %s", path);
  else if (resume && S_ISREG(st.st_mode)) err = resume_at_end(s, (uint64_t)st.st_size, error);
  if (err) {
    if (s->fd > 1) close(s->fd);
    tide_free(s->path);
    tide_free(s);
    return err;
  }
  *ret = &s->base;
  return TIDE_OK;
}
