/* Lines of files as messages: several files in order, each plain, gzip or zstd.
 *
 * One buffer holds plain bytes [scan .. len): lines are borrowed from it, what is left is moved to its front before it is filled
 * again.
 *
 * The cursor is the number of plain bytes over the concatenation of all files, up to and including the line's end. So it does not
 * depend on compression, and a file may be compressed between two runs. Seeking reads up to the cursor and counts lines on the
 * way: a line number in a rejects file must be right after a restart too, and compressed input cannot be jumped into anyway.
 *
 * The input is taken as finished: what is appended after its end was met is seen only by a later seek. `ends` and `before` read the files through handles of
 * their own, so they neither disturb the reading nor depend on it.
 *
 * Invariant: `cursor` is the concatenated offset of buf[scan]; a line never crosses a file's end. */
#include "adapter/file.h"
#include "adapter/source_inflate.h"
#include "base/utf8.h"

#include <errno.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES TIDE_MESSAGE_BYTES_MAX
#define CHUNK (256u * 1024)
#define BUF_BYTES (LINE_MAX_BYTES + 2 * CHUNK)

struct source_file {
  struct tide_source base;
  char **path;
  size_t path_count;
  size_t file; /* the file being read; path_count: all are done */
  struct tide_inflate *in;
  uint16_t source; /* the files are its partition 0 */
  char *buf;
  size_t scan, len;
  bool file_end; /* the current file has nothing behind buf[len] */
  uint64_t cursor;
  uint64_t line;        /* lines begun so far over all files */
  uint64_t file_line;   /* the same in the current file */
  uint64_t done, total; /* bytes of files finished; of all files, 0 unknown */
  bool stdin_read;      /* standard input cannot be read twice */
  bool sought;          /* gives messages */
  bool end_told;        /* END was given since the last seek */
  enum tide_err failed; /* CORRUPT and IO stay */
  struct tide_error failure;
  size_t place_file;
  uint64_t place_line;
};

static struct source_file *self(struct tide_source *source) { return (struct source_file *)source; }

static enum tide_err fill(struct source_file *s, struct tide_error *error) {
  if (s->scan) {
    memmove(s->buf, s->buf + s->scan, s->len - s->scan);
    s->len -= s->scan;
    s->scan = 0;
  }
  TIDE_CHECK(s->len < BUF_BYTES);
  size_t n;
  enum tide_err err = tide_inflate_read(s->in, s->buf + s->len, BUF_BYTES - s->len < CHUNK ? BUF_BYTES - s->len : CHUNK, &n, error);
  if (err) return err;
  s->len += n;
  s->file_end = n == 0;
  return TIDE_OK;
}

/* Opens the next file when the current one is exhausted. END after the last. */
static enum tide_err next_file(struct source_file *s, struct tide_error *error) {
  if (s->in) {
    s->done += tide_inflate_consumed(s->in);
    tide_inflate_close(s->in);
    s->in = NULL;
    s->file++;
  }
  if (s->file >= s->path_count) return TIDE_E_END;
  enum tide_err err = tide_inflate_open(s->path[s->file], &s->in, error);
  if (err) return err;
  if (strcmp(s->path[s->file], "-") == 0) s->stdin_read = true;
  s->scan = s->len = 0;
  s->file_end = false;
  s->file_line = 0;
  return TIDE_OK;
}

/* The next line with its terminator taken off, empty ones too. *ret_long: it exceeds the limit and was skipped. */
static enum tide_err next_line(struct source_file *s, struct tide_span *ret, bool *ret_long, struct tide_error *error) {
  size_t looked = 0;
  bool skipping = false;
  for (;;) {
    if (!s->in || (s->file_end && s->scan == s->len && !skipping)) {
      enum tide_err err = next_file(s, error);
      if (err) return err;
      looked = 0;
    }
    const char *from = s->buf + s->scan;
    const char *end = memchr(from + looked, '\n', s->len - s->scan - looked);
    if (!end && !s->file_end) {
      looked = s->len - s->scan;
      if (looked > LINE_MAX_BYTES + 1) { /* one more for a CR */
        skipping = true;
        s->cursor += looked;
        s->scan = s->len;
        looked = 0;
      }
      enum tide_err err = fill(s, error);
      if (err) return err;
      continue;
    }
    size_t len = end ? (size_t)(end - from) : s->len - s->scan;
    size_t used = len + (end ? 1 : 0);
    s->scan += used;
    s->cursor += used;
    s->line++;
    s->file_line++;
    if (len && from[len - 1] == '\r') len--;
    *ret = (struct tide_span){from, len};
    if (s->file_line == 1) *ret = tide_utf8_unmarked(*ret);
    *ret_long = skipping || ret->len > LINE_MAX_BYTES;
    s->place_file = s->file;
    s->place_line = s->file_line;
    return TIDE_OK;
  }
}

static enum tide_err source_next(struct tide_source *source, struct tide_message *ret, struct tide_error *error) {
  struct source_file *s = self(source);
  for (;;) {
    if (!s->sought || s->end_told) return TIDE_E_END;
    if (s->failed) {
      if (error) *error = s->failure;
      return s->failed;
    }
    struct tide_span line;
    bool too_long;
    enum tide_err err = next_line(s, &line, &too_long, &s->failure);
    if (err && err != TIDE_E_END) {
      s->failed = err;
      continue;
    }
    if (err == TIDE_OK && line.len == 0 && !too_long) continue;
    *ret = (struct tide_message){.source = s->source, .offset = s->line, .next = s->cursor, .append_ms = INT64_MIN, .bytes = {"", 0}};
    if (err == TIDE_E_END) {
      ret->kind = TIDE_MESSAGE_END;
      s->end_told = true;
      return TIDE_OK;
    }
    if (!too_long) ret->bytes = line;
    if (!too_long) return TIDE_OK;
    return tide_fail(error, TIDE_E_LIMIT, "line %llu of %s is longer than %u bytes and was skipped", (unsigned long long)s->file_line,
                     s->path[s->place_file], LINE_MAX_BYTES);
  }
}

static void rewind_all(struct source_file *s) {
  tide_inflate_close(s->in);
  s->in = NULL;
  s->file = 0;
  s->scan = s->len = 0;
  s->cursor = s->line = s->file_line = s->done = 0;
  s->failed = TIDE_OK;
}

/* Reads on until `cursor`, which must be a place between two lines. */
static enum tide_err skip_to(struct source_file *s, uint64_t cursor, struct tide_error *error) {
  while (s->cursor < cursor) {
    struct tide_span line;
    bool too_long;
    enum tide_err err = next_line(s, &line, &too_long, error);
    if (err == TIDE_E_END)
      return tide_fail(error, TIDE_E_MISMATCH,
                       "cannot continue at byte %llu: the input ends at byte %llu; it is not the input that was read before",
                       (unsigned long long)cursor, (unsigned long long)s->cursor);
    if (err) return err;
  }
  if (s->cursor > cursor)
    return tide_fail(error, TIDE_E_MISMATCH, "cannot continue at byte %llu: no line begins there; it is not the input that was read before",
                     (unsigned long long)cursor);
  return TIDE_OK;
}

static bool is_mine(const struct source_file *s, uint16_t source, uint16_t partition) { return source == s->source && partition == 0; }

static enum tide_err not_mine(const struct source_file *s, uint16_t source, uint16_t partition, struct tide_error *error) {
  return tide_fail(error, TIDE_E_NOT_FOUND, "there is no partition %u of source %u: the files are partition 0 of source %u", partition,
                   source, s->source);
}

static enum tide_err source_seek(struct tide_source *source, uint16_t number, uint16_t partition, uint64_t cursor,
                                 struct tide_error *error) {
  struct source_file *s = self(source);
  if (!is_mine(s, number, partition)) return not_mine(s, number, partition, error);
  s->sought = s->end_told = false;
  if (cursor < s->cursor || s->failed) {
    if (s->stdin_read)
      return tide_fail(error, TIDE_E_IO, "cannot go back to byte %llu: standard input can be read only once; give a file",
                       (unsigned long long)cursor);
    rewind_all(s);
  } else if (s->file >= s->path_count && !s->stdin_read) {
    rewind_all(s); /* the input may have grown since its end was met */
  }
  enum tide_err err = skip_to(s, cursor, error);
  if (err) return err;
  s->sought = true;
  return TIDE_OK;
}

static void source_stop(struct tide_source *source, uint16_t number, uint16_t partition) {
  struct source_file *s = self(source);
  if (is_mine(s, number, partition)) s->sought = false;
}

static enum tide_err source_places(struct tide_source *source, struct tide_place **ret, size_t *ret_count, struct tide_error *error) {
  (void)error;
  const struct source_file *s = self(source);
  struct tide_place *place = tide_alloc(sizeof *place);
  *place = (struct tide_place){.source = s->source, .cursor = 0};
  *ret = place;
  *ret_count = 1;
  return TIDE_OK;
}

static enum tide_err no_stdin(const struct source_file *s, const char *what, struct tide_error *error) {
  for (size_t i = 0; i < s->path_count; i++)
    if (strcmp(s->path[i], "-") == 0)
      return tide_fail(error, TIDE_E_IO, "cannot tell %s of standard input: it can be read only once; give a file", what);
  return TIDE_OK;
}

/* Counts the plain bytes of all files: compression does not tell their number. */
static enum tide_err count_bytes(const struct source_file *s, uint64_t *ret, struct tide_error *error) {
  enum tide_err err = no_stdin(s, "the end", error);
  if (err) return err;
  char *buf = tide_alloc(CHUNK);
  uint64_t sum = 0;
  for (size_t i = 0; i < s->path_count && err == TIDE_OK; i++) {
    struct tide_inflate *in;
    err = tide_inflate_open(s->path[i], &in, error);
    if (err) break;
    for (size_t n = 1; n && err == TIDE_OK;) {
      err = tide_inflate_read(in, buf, CHUNK, &n, error);
      if (err == TIDE_OK) sum += n;
    }
    tide_inflate_close(in);
  }
  tide_free(buf);
  if (err) return err;
  *ret = sum;
  return TIDE_OK;
}

static enum tide_err source_ends(struct tide_source *source, struct tide_place *place, size_t count, struct tide_error *error) {
  const struct source_file *s = self(source);
  for (size_t i = 0; i < count; i++)
    if (!is_mine(s, place[i].source, place[i].partition)) return not_mine(s, place[i].source, place[i].partition, error);
  uint64_t end;
  enum tide_err err = count ? count_bytes(s, &end, error) : TIDE_OK;
  if (err) return err;
  for (size_t i = 0; i < count; i++) place[i].cursor = end;
  return TIDE_OK;
}

static enum tide_err source_before(struct tide_source *source, struct tide_place place, struct tide_buf *out, struct tide_error *error) {
  const struct source_file *s = self(source);
  if (!is_mine(s, place.source, place.partition)) return not_mine(s, place.source, place.partition, error);
  enum tide_err err = no_stdin(s, "what stands before a place", error);
  if (err) return err;
  struct tide_source *again;
  err = tide_source_file_open((const char *const *)s->path, s->path_count, s->source, &again, error);
  if (err) return err;
  struct source_file *r = self(again);
  struct tide_buf last = TIDE_BUF_INIT;
  bool found = false;
  while (err == TIDE_OK && r->cursor < place.cursor) {
    struct tide_span line;
    bool too_long;
    err = next_line(r, &line, &too_long, error);
    if (err || (line.len == 0 && !too_long)) continue;
    tide_buf_clear(&last);
    if (!too_long) tide_buf_put(&last, line.ptr, line.len);
    found = true;
  }
  if (err == TIDE_E_END || (err == TIDE_OK && r->cursor > place.cursor))
    err =
        tide_fail(error, TIDE_E_MISMATCH, "byte %llu is no place between two lines of the input, which is not the one that was read before",
                  (unsigned long long)place.cursor);
  else if (err == TIDE_OK && !found)
    err = tide_fail(error, TIDE_E_END, "no message stands before byte %llu", (unsigned long long)place.cursor);
  if (err == TIDE_OK) tide_buf_put(out, last.ptr, last.len);
  tide_buf_release(&last);
  again->ops->close(again);
  return err;
}

static void source_close(struct tide_source *source) {
  struct source_file *s = self(source);
  tide_inflate_close(s->in);
  for (size_t i = 0; i < s->path_count; i++) tide_free(s->path[i]);
  tide_free(s->path);
  tide_free(s->buf);
  tide_free(s);
}

static const struct tide_source_ops ops = {"file",        source_next, source_seek,   source_stop,
                                           source_places, source_ends, source_before, source_close};

/* A missing file must be told before hours of reading the ones before it. */
static enum tide_err check_path(const char *path, bool *ret_regular, uint64_t *ret_bytes, struct tide_error *error) {
  struct stat st;
  *ret_regular = false;
  *ret_bytes = 0;
  if (strcmp(path, "-") == 0) return TIDE_OK;
  if (stat(path, &st) != 0) {
    if (errno == ENOENT)
      return tide_fail(error, TIDE_E_NOT_FOUND, "there is no file %s; check the path, or use - for standard input", path);
    return tide_fail_errno(error, TIDE_E_IO, "cannot look at %s; check its permissions", path);
  }
  if (S_ISDIR(st.st_mode)) return tide_fail(error, TIDE_E_IO, "%s is a directory; name the files in it, in order of time", path);
  *ret_regular = S_ISREG(st.st_mode);
  *ret_bytes = (uint64_t)st.st_size;
  return TIDE_OK;
}

enum tide_err tide_source_file_open(const char *const *path, size_t path_count, uint16_t source, struct tide_source **ret,
                                    struct tide_error *error) {
  uint64_t total = 0;
  bool sized = true;
  size_t stdins = 0;
  for (size_t i = 0; i < path_count; i++) {
    bool regular;
    uint64_t bytes;
    enum tide_err err = check_path(path[i], &regular, &bytes, error);
    if (err) return err;
    if (strcmp(path[i], "-") == 0 && ++stdins > 1) return tide_fail(error, TIDE_E_USAGE, "standard input (-) is named twice");
    sized = sized && regular;
    total += bytes;
  }
  struct source_file *s = tide_alloc(sizeof *s);
  s->base.ops = &ops;
  s->path = tide_alloc((path_count + 1) * sizeof *s->path);
  for (size_t i = 0; i < path_count; i++) s->path[i] = tide_strdup(path[i]);
  s->path_count = path_count;
  s->source = source;
  s->total = sized ? total : 0;
  s->buf = tide_alloc(BUF_BYTES);
  /* The first file is opened now, so that a lack of permission is told at the start. */
  enum tide_err err = path_count ? next_file(s, error) : TIDE_OK;
  if (err) {
    source_close(&s->base);
    return err;
  }
  *ret = &s->base;
  return TIDE_OK;
}

void tide_source_file_progress(struct tide_source *source, uint64_t *ret_done, uint64_t *ret_total) {
  const struct source_file *s = self(source);
  *ret_done = s->done + (s->in ? tide_inflate_consumed(s->in) : 0);
  *ret_total = s->total;
}

size_t tide_source_file_place(const struct tide_source *source, const char **ret_path, uint64_t *ret_line) {
  const struct source_file *s = (const struct source_file *)source;
  *ret_path = s->place_file < s->path_count ? s->path[s->place_file] : "";
  *ret_line = s->place_line;
  return s->place_file;
}
