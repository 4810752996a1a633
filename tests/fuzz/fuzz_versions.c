/* Any bytes as the versions of a snapshot: loaded or refused, never a crash, and what was loaded is saved as the same bytes.
 *
 * Hashes of contents are not mended: bytes that come from a disk have the chunk's CRC before them, so what is looked for here is what stands around the contents. */
#include <stdint.h>

#include "core/versions.h"
#include "tests/support/model_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct tide_spec *spec;
  if (!spec) spec = model_spec_of(model_features);
  char *bytes = malloc(size ? size : 1); /* of its size, so that a read behind the end is seen */
  if (size) memcpy(bytes, data, size);
  struct tide_versions versions;
  tide_versions_init(&versions, spec);
  struct tide_reader reader = tide_reader_of((struct tide_span){bytes, size});
  if (tide_versions_load(&versions, &reader) && reader.ptr == reader.end) {
    struct tide_buf again = TIDE_BUF_INIT;
    tide_versions_save(&versions, &again);
    struct tide_versions twice;
    tide_versions_init(&twice, spec);
    struct tide_reader back = tide_reader_of(tide_buf_span(&again));
    TIDE_CHECK(tide_versions_load(&twice, &back) && back.ptr == back.end);
    TIDE_CHECK(twice.rollout.number == versions.rollout.number && twice.count == versions.count && twice.now == versions.now);
    tide_versions_release(&twice);
    tide_buf_release(&again);
  }
  tide_versions_release(&versions);
  free(bytes);
  return 0;
}
