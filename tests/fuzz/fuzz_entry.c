/* Any bytes as a journal entry, and as a segment header and summary of an archive file.
 *
 * The last four bytes are replaced by the right checksum, so that the fuzzer gets behind it. What decodes is encoded again and must
 * give the same bytes: the format has one form for everything. */
#include <stdint.h>
#include <stdlib.h>

#include "adapter/archive.h"
#include "base/hash.h"
#include "core/control.h"
#include "core/rollout.h"
#include "tests/support/mini_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tide_spec *fuzz_spec(void) {
  static const enum tide_ftype types[] = {TIDE_F_TEXT, TIDE_F_NUMBER, TIDE_F_BOOL, TIDE_F_MONEY, TIDE_F_TIME, TIDE_F_TEXT};
  static const char *const names[] = {"text", "number", "flag", "amount", "time", "secret"};
  struct tide_spec *spec = mini_new();
  for (unsigned i = 0; i < 6; i++) {
    mini_field(spec, names[i], types[i])->secret = i == 5;
  }
  spec->list[0].name = "blocked";
  spec->list_count = 1;
  return spec;
}

/* Decodes one record; true when it was data that encodes to the same bytes again. */
static void once_more(const struct tide_spec *spec, struct tide_batch *batch, const struct tide_raw_record *raw) {
  static struct tide_record record;
  struct tide_error error;
  struct tide_settings settings;
  struct tide_span features;
  struct tide_digest digest;
  struct tide_fence fence;
  struct tide_check_point point;
  static struct tide_sources sources;
  static struct tide_target target[TIDE_PARTITIONS_MAX];
  struct tide_start start;
  struct tide_claim claim;
  struct tide_waive waive;
  struct tide_artifact artifact;
  struct tide_rollout rollout;
  static struct tide_buf again;
  uint64_t number;
  uint32_t count;
  enum tide_err err;
  switch (raw->type) {
    case TIDE_REC_CONFIG: err = tide_config_decode(raw, &settings, &features, &error); break;
    case TIDE_REC_DIGEST: err = tide_digest_decode(raw, &digest, &error); break;
    case TIDE_REC_CHECK: err = tide_check_decode(raw, &point, &error); break;
    case TIDE_REC_FENCE: err = tide_fence_decode(raw, &fence, &error); break;
    case TIDE_REC_SOURCES: err = tide_sources_decode(raw, &sources, &error); break;
    case TIDE_REC_START: err = tide_start_decode(raw, &start, &error); break;
    case TIDE_REC_CLAIM: err = tide_claim_decode(raw, &claim, &error); break;
    case TIDE_REC_TARGETS: err = tide_targets_decode(raw, target, &count, &error); break;
    case TIDE_REC_EMITTED: err = tide_emitted_decode(raw, &number, &error); break;
    case TIDE_REC_WAIVE: err = tide_waive_decode(raw, &waive, &error); break;
    case TIDE_REC_ARTIFACT:
      err = tide_artifact_decode(raw, &artifact, &error);
      tide_buf_clear(&again);
      if (!err) TIDE_CHECK(tide_artifact_encode((enum tide_artifact_kind)artifact.kind, artifact.name, artifact.bytes, &again) == TIDE_OK);
      TIDE_CHECK(err || tide_span_eq((struct tide_span){again.ptr + 5, again.len - 5}, raw->payload));
      break;
    case TIDE_REC_ROLLOUT:
      err = tide_rollout_decode(raw, &rollout, &error);
      tide_buf_clear(&again);
      if (!err) tide_rollout_write(&rollout, &again);
      TIDE_CHECK(err || tide_span_eq(tide_buf_span(&again), raw->payload));
      if (!err) (void)tide_rollout_fault(&rollout);
      break;
    default:
      err = tide_record_decode(spec, raw, &record, &error);
      if (!err) {
        size_t before = batch->out->len;
        TIDE_CHECK(tide_batch_add(batch, spec, &record) == TIDE_OK);
        size_t head = batch->out->len - before - raw->payload.len;
        TIDE_CHECK(head == 5 && memcmp(batch->out->ptr + before + head, raw->payload.ptr, raw->payload.len) == 0);
      }
  }
  if (err) {
    TIDE_CHECK(error.code == err && error.text[0]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct tide_spec *spec;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  static struct tide_buf out;
  struct tide_error error;
  if (!spec) {
    spec = fuzz_spec();
  }
  char *bytes = malloc(size ? size : 1);
  if (size) {
    memcpy(bytes, data, size);
  }
  if (size >= 4) {
    uint32_t crc = tide_crc32c(0, bytes, size - 4);
    for (unsigned i = 0; i < 4; i++) {
      bytes[size - 4 + i] = (char)(uint8_t)(crc >> (8 * i));
    }
  }
  struct tide_span span = {bytes, size};
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_batch batch;
  enum tide_err err = tide_entry_open(&reader, span, part, &error);
  if (!err) {
    tide_batch_begin(&batch, &out, &reader.header, reader.part, reader.header.cursor_count);
    while ((err = tide_entry_next(&reader, &raw, &error)) == TIDE_OK) {
      once_more(spec, &batch, &raw);
    }
    tide_batch_end(&batch);
  }
  struct tide_segment_header header;
  struct tide_archive_summary summary;
  TIDE_CHECK(err == TIDE_E_END || error.code == err);
  if (tide_segment_header_get(span, "fuzz", &header, &error) == TIDE_OK) {
    uint8_t again[TIDE_SEGMENT_HEADER_BYTES];
    tide_segment_header_put(&header, again);
    TIDE_CHECK(memcmp(again, bytes, sizeof again) == 0);
  }
  (void)!tide_archive_summary_get(span, "fuzz", &summary, &error);
  free(bytes);
  return 0;
}
