/* The rejects file (rejects.h).
 *
 * Lines are appended in order of input, so a run that goes on finds the place to cut by reading from the front. They are synced before the
 * journal's cursor may pass their message: no message is ever neither counted nor rejected. */
#include "cli/rejects.h"

#include "base/json_out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct tide_rejects {
  FILE *file;
  char *path;
  bool dirty;
  struct tide_buf line;
};

enum tide_err tide_rejects_open(const char *path, bool resume, struct tide_rejects **ret, struct tide_error *error) {
  FILE *file = fopen(path, resume ? "a+e" : "w+e");
  if (!file) return tide_fail_errno(error, TIDE_E_IO, "cannot open the rejects file %s for writing", path);
  struct tide_rejects *rejects = tide_alloc(sizeof *rejects);
  rejects->file = file;
  rejects->path = tide_strdup(path);
  *ret = rejects;
  return TIDE_OK;
}

enum tide_err tide_rejects_cut(struct tide_rejects *rejects, uint64_t line, struct tide_error *error) {
  static const char begin[] = "{\"line\":";
  char *text = NULL;
  size_t room = 0;
  ssize_t len;
  off_t keep = 0;
  rewind(rejects->file);
  while ((len = getline(&text, &room, rejects->file)) > 0) {
    if (text[len - 1] != '\n' || strncmp(text, begin, sizeof begin - 1) != 0 || strtoull(text + sizeof begin - 1, NULL, 10) >= line) break;
    keep += len;
  }
  bool bad = ferror(rejects->file) != 0;
  free(text);
  if (bad) return tide_fail_errno(error, TIDE_E_IO, "cannot read the rejects file %s back", rejects->path);
  if (ftruncate(fileno(rejects->file), keep) != 0 || fseeko(rejects->file, 0, SEEK_END) != 0)
    return tide_fail_errno(error, TIDE_E_IO, "cannot cut the rejects file %s", rejects->path);
  return TIDE_OK;
}

enum tide_err tide_rejects_put(struct tide_rejects *rejects, struct tide_intake *intake, const struct tide_taken *taken, bool several_files,
                               const struct tide_error *why, struct tide_error *error) {
  struct tide_buf *out = &rejects->line, masked = TIDE_BUF_INIT;
  tide_buf_clear(out);
  tide_json_open(out, '{');
  tide_json_key(out, "line");
  tide_json_int(out, (int64_t)taken->line);
  if (several_files) {
    tide_json_key(out, "file");
    tide_json_cstr(out, taken->file);
    tide_json_key(out, "file_line");
    tide_json_int(out, (int64_t)taken->file_line);
  }
  tide_json_key(out, "field");
  tide_json_cstr(out, why->field);
  tide_json_key(out, "reason");
  tide_json_cstr(out, tide_err_name(why->code));
  tide_json_key(out, "text");
  tide_json_cstr(out, why->text);
  tide_intake_mask(intake, taken->message, &masked);
  tide_json_key(out, "message");
  tide_json_str(out, tide_buf_span(&masked));
  tide_json_close(out, '}');
  tide_buf_char(out, '\n');
  tide_buf_release(&masked);
  rejects->dirty = true;
  if (fwrite(out->ptr, 1, out->len, rejects->file) != out->len)
    return tide_fail_errno(error, errno == ENOSPC ? TIDE_E_FULL : TIDE_E_IO, "cannot write to the rejects file %s", rejects->path);
  return TIDE_OK;
}

enum tide_err tide_rejects_sync(struct tide_rejects *rejects, struct tide_error *error) {
  if (!rejects->dirty) return TIDE_OK;
  /* A pipe or terminal has no device to sync: EINVAL is not a failure of the file. */
  if (fflush(rejects->file) != 0 || (fdatasync(fileno(rejects->file)) != 0 && errno != EINVAL && errno != EROFS))
    return tide_fail_errno(error, errno == ENOSPC ? TIDE_E_FULL : TIDE_E_IO, "cannot write to the rejects file %s", rejects->path);
  rejects->dirty = false;
  return TIDE_OK;
}

void tide_rejects_close(struct tide_rejects *rejects) {
  if (!rejects) return;
  fclose(rejects->file);
  tide_buf_release(&rejects->line);
  tide_free(rejects->path);
  tide_free(rejects);
}
