/* Any bytes as a feature file: parsed or refused, never a crash.
 *
 * A refusal has a sentence and errors stand in order of line; what parses keeps the bounds and can be described. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "feature/describe.h"
#include "feature/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct tide_span text = {(const char *)data, size};
  struct tide_error error[8];
  struct tide_spec *spec = NULL;
  size_t count = 0;
  if (tide_spec_parse("fuzz", text, &spec, error, 8, &count)) {
    if (spec || count == 0) abort();
    for (size_t i = 0; i < count && i < 8; i++)
      if (error[i].code == TIDE_OK || error[i].text[0] == 0 || (i && error[i].line < error[i - 1].line)) abort();
    return 0;
  }
  if (!spec || count != 0 || spec->field_count > TIDE_FIELDS_MAX || spec->slot_count > TIDE_SLOTS_MAX) abort();
  struct tide_buf out = TIDE_BUF_INIT;
  tide_describe(spec, &out);
  tide_buf_release(&out);
  tide_spec_free(spec);
  return 0;
}
