/* Records about the sources, for people (inspect.h): the members of their JSON objects.
 *
 * One case per record of control.h, in its order; what cannot be decoded is the caller's to report. */
#include "core/control.h"
#include "core/inspect_ledger.h"

#include "base/clock.h"
#include "base/json_out.h"

static void put_int(struct tide_buf *out, const char *key, int64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, value);
}

static void put_yes(struct tide_buf *out, const char *key, bool value) {
  tide_json_key(out, key);
  tide_json_bool(out, value);
}

static void put_place(struct tide_buf *out, uint16_t source, uint16_t partition) {
  put_int(out, "source", source);
  if (partition != TIDE_PARTITION_ALL) put_int(out, "partition", partition);
}

static void put_sources(const struct tide_sources *sources, struct tide_buf *out) {
  put_yes(out, "scores", sources->scores);
  put_yes(out, "with_features", sources->features);
  tide_json_key(out, "sources");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < sources->count; i++) {
    const struct tide_source_info *source = &sources->source[i];
    tide_json_open(out, '{');
    put_int(out, "source", source->number);
    tide_json_key(out, "name");
    tide_json_cstr(out, source->name);
    put_yes(out, "gates", source->gates);
    put_yes(out, "keyed", source->keyed);
    put_int(out, "out_of_orderness_ms", source->out_of_orderness_ms);
    put_int(out, "silence_ms", source->silence_ms);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

static enum tide_err put_targets(const struct tide_raw_record *raw, struct tide_buf *out, struct tide_error *error) {
  struct tide_target *target = tide_alloc(TIDE_PARTITIONS_MAX * sizeof *target);
  uint32_t count = 0;
  enum tide_err err = tide_targets_decode(raw, target, &count, error);
  if (!err) {
    tide_json_key(out, "targets");
    tide_json_open(out, '[');
    for (uint32_t i = 0; i < count; i++) {
      tide_json_open(out, '{');
      put_place(out, target[i].source, target[i].partition);
      put_int(out, "end", (int64_t)target[i].end);
      put_int(out, "delivered", (int64_t)target[i].delivered);
      tide_json_close(out, '}');
    }
    tide_json_close(out, ']');
  }
  tide_free(target);
  return err;
}

enum tide_err tide_inspect_ledger(const struct tide_raw_record *raw, struct tide_buf *out, struct tide_error *error) {
  struct tide_sources sources;
  struct tide_start start;
  struct tide_claim claim;
  struct tide_waive waive;
  uint64_t number;
  enum tide_err err;
  switch (raw->type) {
    case TIDE_REC_SOURCES:
      err = tide_sources_decode(raw, &sources, error);
      if (!err) put_sources(&sources, out);
      return err;
    case TIDE_REC_START:
      err = tide_start_decode(raw, &start, error);
      if (err) return err;
      put_place(out, start.source, start.partition);
      put_int(out, "cursor", (int64_t)start.cursor);
      put_yes(out, "jump", start.jump);
      if (start.jump) put_int(out, "from", (int64_t)start.from);
      return TIDE_OK;
    case TIDE_REC_CLAIM:
      err = tide_claim_decode(raw, &claim, error);
      if (err) return err;
      put_int(out, "engine", claim.engine_id);
      put_int(out, "patience_ms", claim.patience_ms);
      put_yes(out, "release", claim.release);
      return TIDE_OK;
    case TIDE_REC_TARGETS: return put_targets(raw, out, error);
    case TIDE_REC_EMITTED:
      err = tide_emitted_decode(raw, &number, error);
      if (!err) put_int(out, "number", (int64_t)number);
      return err;
    case TIDE_REC_WAIVE:
      err = tide_waive_decode(raw, &waive, error);
      if (err) return err;
      put_place(out, waive.source, waive.partition);
      if (waive.until_ms >= TIDE_TIME_MIN_MS && waive.until_ms <= TIDE_TIME_MAX_MS) {
        char text[TIDE_TIME_TEXT];
        tide_json_key(out, "until");
        tide_json_cstr(out, tide_time_format((struct tide_etime){waive.until_ms}, text));
      } else {
        put_int(out, "until_ms", waive.until_ms);
      }
      return TIDE_OK;
    default: return tide_fail(error, TIDE_E_VERSION, "record type %u is not known to this program", raw->type);
  }
}
