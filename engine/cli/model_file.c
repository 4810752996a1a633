/* Writing a model, or another file that must be whole or not there (model_file.h).
 *
 * The name beside it is PATH.new: what a run that was killed left behind is overwritten by the next. */
#include "cli/model_file.h"

#include <stdio.h>

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
