/* Reading and replacing files (whole_file.h).
 *
 * The name beside it is PATH.new: what a run that was killed left behind is overwritten by the next. */
#include "cli/whole_file.h"

#include <errno.h>
#include <stdio.h>

enum tide_err tide_file_read(const char *path, size_t max, struct tide_buf *out, struct tide_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot read %.200s", path);
  size_t n, before = out->len;
  do {
    tide_buf_reserve(out, 65536);
    n = fread(out->ptr + out->len, 1, 65536, file);
    out->len += n;
  } while (n > 0 && out->len - before <= max);
  enum tide_err err = ferror(file) ? tide_fail_errno(error, TIDE_E_IO, "cannot read %.200s", path) : TIDE_OK;
  fclose(file);
  if (!err && out->len - before > max) err = tide_fail(error, TIDE_E_TOO_LONG, "%.200s is longer than %zu bytes", path, max);
  return err;
}

enum tide_err tide_file_replace(const char *path, struct tide_span content, struct tide_error *error) {
  struct tide_buf beside = TIDE_BUF_INIT;
  tide_buf_printf(&beside, "%s.new", path);
  const char *name = tide_buf_cstr(&beside);
  FILE *file = fopen(name, "we");
  bool written = file && fwrite(content.ptr, 1, content.len, file) == content.len;
  if (file && fclose(file) != 0) written = false;
  enum tide_err err = TIDE_OK;
  if (!written || rename(name, path) != 0) {
    err = tide_fail_errno(error, TIDE_E_IO, "cannot write %.200s", path);
    (void)remove(name);
  }
  tide_buf_release(&beside);
  return err;
}

enum tide_err tide_model_save(const char *path, const struct tide_model *model, struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_model_write_lines(model, &text);
  enum tide_err err = text.len > TIDE_MODEL_BYTES_MAX
                          ? tide_fail(error, TIDE_E_LIMIT, "the model is longer than %u bytes: choose fewer inputs", TIDE_MODEL_BYTES_MAX)
                          : tide_file_replace(path, tide_buf_span(&text), error);
  tide_buf_release(&text);
  return err;
}
