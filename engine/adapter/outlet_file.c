/* Letters as JSON lines in files (outlet_file.h).
 *
 * send gathers lines in memory; reports writes them with one pwrite per file, syncs the file, and only then says that they arrived: one sync for many letters, as a
 * group commit. A write or sync that failed is reported with every letter it carried, and the file is cut back to what was synced before anything else is written, so a
 * failure never leaves a torn line in the middle; the sender sends again. After a crash a torn line can only be the last one; opening cuts it.
 *
 * Invariant: a file's first `len` bytes are whole lines, each of which was synced or stood there when the file was opened. */
#include "adapter/outlet_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/segment.h"
#include "base/base64.h"
#include "base/json_out.h"
#include "base/utf8.h"

enum { LETTERS_MAX = 8192, BUFFER_BYTES = 4 << 20, LETTER_BYTES_MAX = 1 << 20 };

struct file {
  char *path;
  int fd;
  uint64_t len;        /* whole lines on the disk */
  bool torn;           /* there may be something behind len */
  struct tide_buf buf; /* lines not written yet */
  struct tide_error error;
};
struct waiting {
  uint64_t token;
  uint8_t kind;
  enum tide_err err;
};
struct outlet_file {
  struct tide_outlet base;
  const struct tide_sys *sys;
  struct file file[TIDE_LETTER_KIND_COUNT];
  struct waiting waiting[LETTERS_MAX]; /* [first, ready) have their outcome, [ready, count) not yet */
  size_t first, ready, count;
  struct tide_buf base64;
};

static struct outlet_file *self(struct tide_outlet *outlet) { return (struct outlet_file *)outlet; }

static struct tide_span base64(struct tide_buf *out, struct tide_span s) {
  tide_buf_clear(out);
  tide_base64_put(out, s);
  return tide_buf_span(out);
}

static void put_bytes(struct outlet_file *o, struct tide_buf *out, const char *name, const char *name_base64, struct tide_span s) {
  bool text = tide_utf8_valid(s);
  tide_json_key(out, text ? name : name_base64);
  tide_json_str(out, text ? s : base64(&o->base64, s));
}

/* Answers are JSON objects that this engine has written; what else has left may be anything, also something that only looks like one. */
static bool is_own_object(const struct tide_letter *letter) {
  struct tide_span value = letter->value;
  return letter->kind == TIDE_LETTER_SCORE && value.len >= 2 && value.ptr[0] == '{' && value.ptr[value.len - 1] == '}' &&
         !memchr(value.ptr, '\n', value.len) && tide_utf8_valid(value);
}

static void put_line(struct outlet_file *o, struct tide_buf *out, const struct tide_letter *letter) {
  tide_json_open(out, '{');
  put_bytes(o, out, "key", "key_base64", letter->key);
  tide_json_key(out, "headers");
  tide_json_open(out, '{');
  for (size_t i = 0; i < letter->header_count; i++) {
    const struct tide_letter_header *header = &letter->header[i];
    tide_json_key(out, header->name);
    if (tide_utf8_valid(header->value)) {
      tide_json_str(out, header->value);
      continue;
    }
    tide_json_open(out, '{');
    tide_json_key(out, "base64");
    tide_json_str(out, base64(&o->base64, header->value));
    tide_json_close(out, '}');
  }
  tide_json_close(out, '}');
  if (is_own_object(letter)) {
    tide_json_key(out, "value");
    tide_json_raw(out, letter->value);
  } else {
    put_bytes(o, out, "value", "value_base64", letter->value);
  }
  tide_json_close(out, '}');
  tide_buf_char(out, '\n');
}

static enum tide_err outlet_send(struct tide_outlet *outlet, const struct tide_letter *letter, struct tide_error *error) {
  struct outlet_file *o = self(outlet);
  TIDE_CHECK(letter->kind < TIDE_LETTER_KIND_COUNT);
  struct file *file = &o->file[letter->kind];
  if (!file->path) return tide_fail(error, TIDE_E_CONFIG, "no file is configured for letters of this kind");
  size_t bytes = letter->key.len + letter->value.len;
  for (size_t i = 0; i < letter->header_count; i++) bytes += letter->header[i].value.len;
  if (bytes > LETTER_BYTES_MAX)
    return tide_fail(error, TIDE_E_LIMIT, "a letter of %zu bytes is too long for %s: at most %d", bytes, file->path, LETTER_BYTES_MAX);
  if (o->count == LETTERS_MAX && o->first > 0) {
    memmove(o->waiting, o->waiting + o->first, (o->count - o->first) * sizeof *o->waiting);
    o->ready -= o->first;
    o->count -= o->first;
    o->first = 0;
  }
  if (o->count == LETTERS_MAX || file->buf.len >= BUFFER_BYTES)
    return tide_fail(error, TIDE_E_AGAIN, "%zu letters wait to be written: no room for more", o->count - o->first);
  /* A line of its own: the JSON writer looks at the byte before for its commas. */
  struct tide_buf line = TIDE_BUF_INIT;
  put_line(o, &line, letter);
  tide_buf_put(&file->buf, line.ptr, line.len);
  tide_buf_release(&line);
  o->waiting[o->count++] = (struct waiting){.token = letter->token, .kind = letter->kind};
  return TIDE_OK;
}

/* Makes what waits for the file durable, or nothing of it. */
static enum tide_err write_out(const struct tide_sys *sys, struct file *file, struct tide_error *error) {
  if (file->torn) {
    if (sys->ftruncate(file->fd, (off_t)file->len) != 0) return tide_sys_fail(error, "cutting back", file->path);
    file->torn = false;
  }
  file->torn = true;
  enum tide_err err = tide_sys_write(sys, file->fd, file->buf.ptr, file->buf.len, file->len, file->path, error);
  if (err) return err;
  if (sys->fdatasync(file->fd) != 0) return tide_sys_fail(error, "syncing", file->path);
  file->torn = false;
  file->len += file->buf.len;
  return TIDE_OK;
}

static void flush_all(struct outlet_file *o) {
  enum tide_err err[TIDE_LETTER_KIND_COUNT] = {0};
  for (size_t k = 0; k < TIDE_LETTER_KIND_COUNT; k++) {
    struct file *file = &o->file[k];
    if (file->buf.len == 0) continue;
    err[k] = write_out(o->sys, file, &file->error);
    tide_buf_clear(&file->buf);
  }
  for (; o->ready < o->count; o->ready++) o->waiting[o->ready].err = err[o->waiting[o->ready].kind];
}

static size_t outlet_reports(struct tide_outlet *outlet, int wait_ms, struct tide_delivery *ret, size_t cap) {
  (void)wait_ms; /* nothing comes by waiting */
  struct outlet_file *o = self(outlet);
  if (o->first == o->ready) flush_all(o);
  size_t count = 0;
  for (; count < cap && o->first < o->ready; o->first++, count++) {
    const struct waiting *waiting = &o->waiting[o->first];
    ret[count] = (struct tide_delivery){.token = waiting->token, .kind = waiting->kind, .err = waiting->err};
    if (waiting->err) ret[count].error = o->file[waiting->kind].error;
  }
  if (o->first == o->count) o->first = o->ready = o->count = 0;
  return count;
}

static void outlet_close(struct tide_outlet *outlet) {
  struct outlet_file *o = self(outlet);
  flush_all(o);
  for (size_t k = 0; k < TIDE_LETTER_KIND_COUNT; k++) {
    struct file *file = &o->file[k];
    /* What could not be written was not reported as arrived. */
    if (file->fd >= 0 && file->torn) (void)o->sys->ftruncate(file->fd, (off_t)file->len);
    if (file->fd >= 0) (void)close(file->fd);
    tide_buf_release(&file->buf);
    tide_free(file->path);
  }
  tide_buf_release(&o->base64);
  tide_free(o);
}

static const struct tide_outlet_ops ops = {"file", outlet_send, outlet_reports, outlet_close};

/* The length up to and including the last newline. */
static enum tide_err whole_lines(const struct file *file, uint64_t size, uint64_t *ret, struct tide_error *error) {
  char block[4096];
  while (size) {
    size_t len = size < sizeof block ? (size_t)size : sizeof block;
    ssize_t n = pread(file->fd, block, len, (off_t)(size - len));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot read %s", file->path);
    if ((size_t)n != len) return tide_fail(error, TIDE_E_IO, "%s became shorter while it was read", file->path);
    const char *newline = memrchr(block, '\n', len);
    if (newline) {
      *ret = size - len + (uint64_t)(newline - block) + 1;
      return TIDE_OK;
    }
    size -= len;
  }
  *ret = 0;
  return TIDE_OK;
}

static enum tide_err open_file(const struct tide_sys *sys, struct file *file, struct tide_error *error) {
  file->fd = sys->open(file->path, O_RDWR | O_CREAT, 0640);
  if (file->fd < 0) return tide_sys_fail(error, "opening", file->path);
  if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
    return tide_fail(error, TIDE_E_LOCKED, "%s is written by another engine: each needs a file of its own", file->path);
  struct stat st;
  if (fstat(file->fd, &st) != 0) return tide_fail_errno(error, TIDE_E_IO, "cannot look at %s", file->path);
  if (!S_ISREG(st.st_mode))
    return tide_fail(error, TIDE_E_IO, "%s is no regular file: letters can only be made durable in one", file->path);
  enum tide_err err = whole_lines(file, (uint64_t)st.st_size, &file->len, error);
  if (err) return err;
  file->torn = file->len < (uint64_t)st.st_size;
  if (file->torn && sys->ftruncate(file->fd, (off_t)file->len) != 0) return tide_sys_fail(error, "cutting", file->path);
  file->torn = false;
  return TIDE_OK;
}

enum tide_err tide_outlet_file_open(const struct tide_outlet_file_options *options, struct tide_outlet **ret, struct tide_error *error) {
  for (size_t i = 0; i < TIDE_LETTER_KIND_COUNT; i++)
    for (size_t k = 0; k < i; k++)
      if (options->path[i] && options->path[k] && strcmp(options->path[i], options->path[k]) == 0)
        return tide_fail(error, TIDE_E_CONFIG, "%s is named for two kinds of letters: each needs a file of its own", options->path[i]);
  struct outlet_file *o = tide_alloc(sizeof *o);
  o->base.ops = &ops;
  o->sys = options->sys ? options->sys : &tide_sys_real;
  enum tide_err err = TIDE_OK;
  for (size_t i = 0; i < TIDE_LETTER_KIND_COUNT; i++) o->file[i].fd = -1;
  for (size_t i = 0; i < TIDE_LETTER_KIND_COUNT && !err; i++) {
    if (!options->path[i]) continue;
    o->file[i].path = tide_strdup(options->path[i]);
    err = open_file(o->sys, &o->file[i], error);
  }
  if (err) {
    outlet_close(&o->base);
    return err;
  }
  *ret = &o->base;
  return TIDE_OK;
}
