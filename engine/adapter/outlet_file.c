/* Letters into files of JSON lines (outlet_file.h).
 *
 * Lines are gathered and written at `reports`, with one fdatasync for all of them; a write that fails is reported for every letter since the last one that did not, and the file is
 * cut back to where it was, so that a letter that is sent again does not stand behind a torn line. */
#include "adapter/outlet_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json_out.h"
#include "base/utf8.h"

#define GATHERED_MAX (1u << 24)

struct outlet_file {
  struct tide_outlet base;
  struct place {
    int fd; /* -1: none */
    char *path;
    off_t end; /* of what is whole */
    struct tide_buf lines;
  } place[TIDE_LETTER_KIND_COUNT];
  struct tide_delivery *report;      /* of letters gathered or written and not taken yet */
  size_t first, count, cap, written; /* [first, written) may be taken */
};

static struct outlet_file *self(struct tide_outlet *outlet) { return (struct outlet_file *)outlet; }

static bool is_object(struct tide_span value) { return value.len > 1 && value.ptr[0] == '{' && value.ptr[value.len - 1] == '}'; }

static void put_line(const struct tide_letter *letter, struct tide_buf *out) {
  bool text = tide_utf8_valid(letter->value);
  tide_json_open(out, '{');
  tide_json_key(out, "key");
  tide_json_str(out, letter->key);
  tide_json_key(out, "headers");
  tide_json_open(out, '{');
  for (size_t i = 0; i < letter->header_count; i++) {
    tide_json_key(out, letter->header[i].name);
    tide_json_str(out, letter->header[i].value);
  }
  tide_json_close(out, '}');
  tide_json_key(out, "value");
  if (text && letter->kind == TIDE_LETTER_SCORE && is_object(letter->value)) tide_buf_put(out, letter->value.ptr, letter->value.len);
  else tide_json_str(out, letter->value);
  tide_json_close(out, '}');
  tide_buf_char(out, '\n');
}

static enum tide_err outlet_send(struct tide_outlet *base, const struct tide_letter *letter, struct tide_error *error) {
  struct outlet_file *outlet = self(base);
  TIDE_CHECK(letter->kind < TIDE_LETTER_KIND_COUNT);
  struct place *place = &outlet->place[letter->kind];
  if (place->fd < 0) return tide_fail(error, TIDE_E_CONFIG, "no file is configured for letters of this kind");
  if (place->lines.len > GATHERED_MAX) return tide_fail(error, TIDE_E_AGAIN, "%s: more is gathered than is written at once", place->path);
  put_line(letter, &place->lines);
  if (outlet->count == outlet->cap) {
    outlet->cap = outlet->cap ? outlet->cap * 2 : 256;
    outlet->report = tide_realloc(outlet->report, outlet->cap * sizeof *outlet->report);
  }
  outlet->report[outlet->count++] = (struct tide_delivery){.token = letter->token, .kind = letter->kind};
  return TIDE_OK;
}

static enum tide_err write_out(struct place *place, struct tide_error *error) {
  size_t at = 0;
  while (at < place->lines.len) {
    ssize_t n = write(place->fd, place->lines.ptr + at, place->lines.len - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    at += (size_t)n;
  }
  bool whole = at == place->lines.len && (fdatasync(place->fd) == 0 || errno == EINVAL || errno == EROFS); /* a pipe has no disk */
  if (whole) {
    place->end += (off_t)at;
    return TIDE_OK;
  }
  enum tide_err err = tide_fail_errno(error, errno == ENOSPC ? TIDE_E_FULL : TIDE_E_IO, "cannot write to %s", place->path);
  if (ftruncate(place->fd, place->end) == 0) (void)lseek(place->fd, place->end, SEEK_SET);
  return err;
}

static size_t outlet_reports(struct tide_outlet *base, int wait_ms, struct tide_delivery *ret, size_t cap) {
  struct outlet_file *outlet = self(base);
  (void)wait_ms;
  for (uint8_t kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    struct place *place = &outlet->place[kind];
    struct tide_error error = {0};
    if (!place->lines.len) continue;
    enum tide_err err = write_out(place, &error);
    tide_buf_clear(&place->lines);
    for (size_t i = outlet->written; i < outlet->count && err != TIDE_OK; i++)
      if (outlet->report[i].kind == kind) outlet->report[i].err = err, outlet->report[i].error = error;
  }
  outlet->written = outlet->count;
  size_t count = outlet->written - outlet->first;
  if (count > cap) count = cap;
  memcpy(ret, outlet->report + outlet->first, count * sizeof *ret);
  outlet->first += count;
  if (outlet->first == outlet->count) outlet->first = outlet->count = outlet->written = 0;
  return count;
}

static void outlet_close(struct tide_outlet *base) {
  struct outlet_file *outlet = self(base);
  struct tide_error error;
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    struct place *place = &outlet->place[kind];
    if (place->fd < 0) continue;
    if (place->lines.len) (void)write_out(place, &error); /* nobody is left to be told: it was never reported as arrived */
    (void)close(place->fd);
    tide_free(place->path);
    tide_buf_release(&place->lines);
  }
  tide_free(outlet->report);
  tide_free(outlet);
}

static const struct tide_outlet_ops ops = {"file", outlet_send, outlet_reports, outlet_close};

enum tide_err tide_outlet_file_open(const struct tide_outlet_file_options *options, struct tide_outlet **ret, struct tide_error *error) {
  struct outlet_file *outlet = tide_alloc(sizeof *outlet);
  outlet->base.ops = &ops;
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) outlet->place[kind].fd = -1;
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    struct place *place = &outlet->place[kind];
    if (!options->path[kind]) continue;
    place->fd = open(options->path[kind], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (place->fd < 0) {
      enum tide_err err = tide_fail_errno(error, TIDE_E_IO, "cannot open %s for writing", options->path[kind]);
      outlet_close(&outlet->base);
      return err;
    }
    place->path = tide_strdup(options->path[kind]);
    off_t end = lseek(place->fd, 0, SEEK_END);
    place->end = end < 0 ? 0 : end;
  }
  *ret = &outlet->base;
  return TIDE_OK;
}
