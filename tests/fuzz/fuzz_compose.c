/* Any bytes as a feature file and a policy, with a zero byte between: refused with a sentence that names the file, or one text whose lines are all accounted for.
 *
 * Each line of the composed text must have a place in one of the two files, and what was composed is parsed as a feature file. */
#include <stdint.h>
#include <stdlib.h>

#include "feature/spec_compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int lines_of(struct tide_span text) {
  int n = text.len && text.ptr[text.len - 1] != '\n';
  for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == '\n';
  return n;
}

static void places(const struct tide_composed *composed, struct tide_span whole, struct tide_span features, struct tide_span policy) {
  for (int line = 1, all = lines_of(whole); line <= all; line++) {
    struct tide_error error = {.code = TIDE_E_CONFIG, .line = line};
    tide_composed_place(composed, &error);
    bool of_policy = strncmp(error.text, "policy: ", 8) == 0;
    if (!of_policy && strncmp(error.text, "feature file: ", 14) != 0) abort();
    if (error.line < 1 || error.line > lines_of(of_policy ? policy : features)) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
  size_t len = zero ? (size_t)(zero - data) : size;
  struct tide_span features = {(const char *)data, len}, policy = {(const char *)data + len + (zero != NULL), zero ? size - len - 1 : 0};
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_composed composed;
  struct tide_error error = {0};
  if (tide_spec_compose(features, policy, &out, &composed, &error)) {
    if (out.len || (strncmp(error.text, "policy: ", 8) != 0 && strncmp(error.text, "feature file: ", 14) != 0)) abort();
  } else {
    places(&composed, tide_buf_span(&out), features, policy);
  }
  tide_buf_release(&out);
  struct tide_spec *spec = NULL;
  if (tide_spec_parse_composed(features, policy, &spec, &error, 1, NULL) == TIDE_OK) tide_spec_free(spec);
  return 0;
}
