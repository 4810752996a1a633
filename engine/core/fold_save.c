/* The fold as bytes: 64 shard chunks by entity key and one of globals; and the state hash over the same bytes (fold.h).
 *
 * Slots, free lists and the sweep's place are saved as they are: a fold that goes on from a snapshot admits, drops and refers to the same
 * entities as one that never stopped. That is why the hash may simply be taken over what is saved. */
#include "core/fold_state.h"

#define SAVE_VERSION                                                                                                                       \
  7 /* 3: logs with tiles; 4: the session of the fence and the mark of the last entry; 5: ranks instead of tags; 6: the ledger and the outbox; 7: versions, and earlier
     * feature files */

static void save_globals_hashed(const struct tide_fold *fold, struct tide_buf *out) {
  tide_put_u64(out, (uint64_t)fold->state.watermark_ms);
  tide_put_u64(out, (uint64_t)fold->state.history_from_ms);
  tide_put_u64(out, (uint64_t)fold->stamp_ms);
  tide_put_u32(out, fold->tag);
  tide_ledger_save(&fold->ledger, out);
  tide_put_varint(out, fold->rates.count);
  for (uint32_t i = 0; i < fold->rates.count; i++) {
    tide_buf_put(out, fold->rates.row[i].currency, 4);
    tide_put_zigzag(out, fold->rates.row[i].rate_e10);
  }
  tide_lists_save(&fold->lists, out);
  tide_stubs_save(&fold->stubs, out);
  for (uint32_t e = 0; e < fold->spec->entity_count; e++) {
    tide_put_varint(out, fold->state.store[e].sweep_shard);
    tide_put_varint(out, fold->state.store[e].sweep_slot);
  }
  tide_generations_save_hashed(fold, out);
  if (!tide_versions_is_plain(&fold->versions)) /* last, and nothing where there is none: such a fold has the bytes it always had */
    tide_versions_save(&fold->versions, out);
}

static void save_globals(const struct tide_fold *fold, struct tide_buf *out) {
  struct tide_buf settings = TIDE_BUF_INIT;
  tide_settings_write(&fold->settings, &settings);
  tide_put_u16(out, SAVE_VERSION);
  tide_put_u16(out, TIDE_FOLD_VERSION);
  tide_put_span(out, tide_buf_span(&settings));
  tide_put_span(out, (struct tide_span){fold->spec->text, fold->spec->text_len});
  tide_buf_release(&settings);
  tide_generations_save(fold, out);
  tide_put_u64(out, fold->position.epoch);
  tide_put_u64(out, fold->position.seq);
  tide_put_u64(out, fold->nonce);
  tide_put_u64(out, fold->session.lo);
  tide_put_u64(out, fold->session.hi);
  tide_put_u64(out, fold->mark.attempt_nonce);
  tide_put_u32(out, fold->mark.crc);
  tide_put_u64(out, (uint64_t)fold->commit_ms);
  tide_put_varint(out, fold->digest.decisions);
  tide_put_u64(out, fold->digest.digest.lo);
  tide_put_u64(out, fold->digest.digest.hi);
  for (uint32_t r = 0; r < TIDE_RULES_MAX; r++) tide_put_varint(out, fold->rule_hits[r]);
  tide_put_varint(out, TIDE_METRIC_COUNT);
  for (uint32_t m = 0; m < TIDE_METRIC_COUNT; m++) tide_put_zigzag(out, fold->metrics.value[m]);
  tide_outbox_save(&fold->outbox, out);
  save_globals_hashed(fold, out);
}

void tide_fold_save(struct tide_fold *fold, unsigned chunk, struct tide_buf *out) {
  TIDE_CHECK(fold->spec && chunk < TIDE_CHUNKS);
  if (chunk == TIDE_SHARDS) {
    save_globals(fold, out);
    return;
  }
  for (uint32_t e = 0; e < fold->spec->entity_count; e++) tide_table_save(&fold->state.store[e], chunk, out);
  for (uint32_t g = 0; g < fold->generations; g++)
    if (fold->generation[g].answers) tide_table_save(&fold->generation[g].answers->store, chunk, out);
}

struct tide_digest tide_fold_digest(struct tide_fold *fold) {
  struct tide_digest digest = fold->digest;
  if (!fold->spec) return digest;
  struct tide_buf bytes = TIDE_BUF_INIT;
  save_globals_hashed(fold, &bytes);
  uint64_t hash = tide_hash64(bytes.ptr, bytes.len, 0);
  for (unsigned chunk = 0; chunk < TIDE_SHARDS; chunk++) {
    tide_buf_clear(&bytes);
    tide_fold_save(fold, chunk, &bytes);
    hash = tide_hash64(bytes.ptr, bytes.len, hash);
  }
  tide_buf_release(&bytes);
  digest.state_hash = hash;
  return digest;
}

static enum tide_err broken(struct tide_error *error, const char *what) {
  return tide_fail(error, TIDE_E_CORRUPT,
                   "the snapshot's %s do not fit its feature file: discard it, an older snapshot or the journal itself will do", what);
}

static bool load_hashed(struct tide_fold *fold, struct tide_reader *reader) {
  fold->state.watermark_ms = (int64_t)tide_get_u64(reader);
  fold->state.history_from_ms = (int64_t)tide_get_u64(reader);
  fold->stamp_ms = (int64_t)tide_get_u64(reader);
  fold->tag = tide_get_u32(reader);
  if (!tide_ledger_load(&fold->ledger, reader)) return false;
  uint64_t count = tide_get_varint(reader);
  if (reader->bad || count > TIDE_RATES_MAX) return false;
  fold->rates.count = (uint32_t)count;
  for (uint32_t i = 0; i < count; i++) {
    struct tide_span currency = tide_get_bytes(reader, 4);
    if (reader->bad) return false;
    memcpy(fold->rates.row[i].currency, currency.ptr, 4);
    fold->rates.row[i].rate_e10 = tide_get_zigzag(reader);
  }
  if (!tide_lists_load(&fold->lists, reader) || !tide_stubs_load(&fold->stubs, reader)) return false;
  for (uint32_t e = 0; e < fold->spec->entity_count; e++) {
    uint64_t shard = tide_get_varint(reader), slot = tide_get_varint(reader);
    if (shard >= TIDE_STORE_SHARDS || slot > UINT32_MAX) return false;
    fold->state.store[e].sweep_shard = (uint32_t)shard;
    fold->state.store[e].sweep_slot = (uint32_t)slot;
  }
  return !reader->bad && tide_generations_load_hashed(fold, reader);
}

static enum tide_err load_globals(struct tide_fold *fold, struct tide_reader *reader, struct tide_error *error) {
  unsigned version = tide_get_u16(reader), fold_version = tide_get_u16(reader);
  if (!reader->bad && (version != SAVE_VERSION || fold_version != TIDE_FOLD_VERSION))
    return tide_fail(error, TIDE_E_VERSION, "the snapshot has format %u and fold %u, this version knows %u and %u", version, fold_version,
                     SAVE_VERSION, TIDE_FOLD_VERSION);
  struct tide_span settings_text = tide_get_span(reader), features = tide_get_span(reader);
  if (reader->bad) return broken(error, "first bytes");
  struct tide_settings settings;
  enum tide_err err = tide_settings_read(settings_text, &settings, error);
  if (!err) err = tide_fold_configure(fold, &settings, features, error);
  if (!err && !tide_generations_load(fold, reader, &err, error)) return broken(error, "earlier feature files");
  if (err) return err;
  fold->position.epoch = tide_get_u64(reader);
  fold->position.seq = tide_get_u64(reader);
  fold->nonce = tide_get_u64(reader);
  fold->session.lo = tide_get_u64(reader);
  fold->session.hi = tide_get_u64(reader);
  fold->mark.attempt_nonce = tide_get_u64(reader);
  fold->mark.crc = tide_get_u32(reader);
  fold->commit_ms = (int64_t)tide_get_u64(reader);
  fold->digest.decisions = tide_get_varint(reader);
  fold->digest.digest.lo = tide_get_u64(reader);
  fold->digest.digest.hi = tide_get_u64(reader);
  for (uint32_t r = 0; r < TIDE_RULES_MAX; r++) fold->rule_hits[r] = tide_get_varint(reader);
  if (tide_get_varint(reader) != TIDE_METRIC_COUNT) return broken(error, "metrics");
  for (uint32_t m = 0; m < TIDE_METRIC_COUNT; m++) fold->metrics.value[m] = tide_get_zigzag(reader);
  if (!tide_outbox_load(&fold->outbox, reader)) return broken(error, "answers");
  if (!load_hashed(fold, reader)) return broken(error, "globals");
  if (reader->ptr == reader->end) return TIDE_OK;
  if (!tide_versions_load(&fold->versions, reader) || reader->ptr != reader->end || tide_versions_is_plain(&fold->versions))
    return broken(error, "versions");
  return TIDE_OK;
}

enum tide_err tide_fold_load(struct tide_fold *fold, unsigned chunk, struct tide_span bytes, struct tide_error *error) {
  TIDE_CHECK(chunk < TIDE_CHUNKS);
  struct tide_reader reader = tide_reader_of(bytes);
  if (chunk == TIDE_SHARDS) return load_globals(fold, &reader, error);
  TIDE_CHECK(fold->spec); /* the globals come first */
  for (uint32_t e = 0; e < fold->spec->entity_count; e++)
    if (!tide_table_load(&fold->state.store[e], chunk, &reader)) return broken(error, "entities");
  for (uint32_t g = 0; g < fold->generations; g++)
    if (fold->generation[g].answers && !tide_table_load(&fold->generation[g].answers->store, chunk, &reader))
      return broken(error, "earlier answers");
  return reader.ptr == reader.end ? TIDE_OK : broken(error, "entities");
}
