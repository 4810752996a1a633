/* Fuzzes the operator's configuration: bytes as a file, as variables and as --set. What is accepted must print, load again to the same values (but
 * for secrets), and not differ from itself. Split at zero bytes: the first part is the file, the others are taken in turn as variable and as --set. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"

enum { PARTS = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *copy = tide_strndup((const char *)data, size), *part[PARTS], *end = copy + size;
  size_t file = strlen(copy), count = 0;
  for (char *at = copy + file; at < end && count < PARTS; at += strlen(at)) part[count++] = ++at <= end ? at : end;
  const char *environment[PARTS + 1] = {NULL}, *set[PARTS];
  size_t variables = 0, sets = 0;
  for (size_t i = 0; i < count; i++) {
    if (i % 2) set[sets++] = part[i];
    else environment[variables++] = part[i];
  }
  struct tide_config_input input = {"fuzz.yaml", environment, set, sets};
  struct tide_config *first, *second;
  struct tide_error error[4];
  size_t errors = 0;
  if (tide_config_parse((struct tide_span){copy, file}, &input, &first, error, 4, &errors) == TIDE_OK) {
    TIDE_CHECK(errors == 0);
    struct tide_buf text = TIDE_BUF_INIT;
    tide_config_print(first, size % 2, &text);
    struct tide_config_input again = {.path = "again.yaml"};
    TIDE_CHECK(tide_config_parse(tide_buf_span(&text), &again, &second, error, 4, &errors) == TIDE_OK);
    size_t hidden = 0; /* secrets of the environment, which are not printed */
    for (size_t i = 0; i < first->kafka_count; i++) hidden += first->kafka[i].secret && !first->kafka[i].file;
    struct tide_config_diff diff = tide_config_diff(first, second);
    TIDE_CHECK(diff.row_count == 0 && diff.count == hidden);
    tide_buf_release(&text);
    tide_config_free(first);
    tide_config_free(second);
  } else {
    TIDE_CHECK(errors > 0 && error[0].text[0]);
  }
  tide_free(copy);
  return 0;
}
