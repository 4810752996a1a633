/* Saving and loading folds (snapshot.h).
 *
 * Globals are loaded first because they carry the feature file; each chunk is checked by length and CRC before the fold sees it, and the fold
 * checks again what the bytes mean. */
#include "cli/snapshot.h"

#include "base/hash.h"
#include "base/log.h"

static void put_chunk(void *ctx, unsigned index, struct tide_buf *out) { tide_fold_save(ctx, index, out); }

enum tide_err tide_snapshot_save(const char *dir, struct tide_fold *fold, struct tide_span entry, struct tide_released released,
                                 struct tide_error *error) {
  return tide_snapshot_save_on(1, dir, fold, entry, released, error);
}

enum tide_err tide_snapshot_save_on(unsigned threads, const char *dir, struct tide_fold *fold, struct tide_span entry,
                                    struct tide_released released, struct tide_error *error) {
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  manifest->position = tide_fold_position(fold);
  manifest->nonce = tide_fold_nonce(fold);
  manifest->entry_hash = tide_hash64(entry.ptr, entry.len, 0);
  manifest->released = released.position;
  manifest->released_index = released.index;
  manifest->chunk_count = TIDE_CHUNKS;
  enum tide_err err = tide_snapshot_write(dir, threads, manifest, put_chunk, fold, error);
  if (!err)
    tide_log(TIDE_LOG_INFO, "snapshot_written", "dir=%s position=%llu-%llu", dir, (unsigned long long)manifest->position.epoch,
             (unsigned long long)manifest->position.seq);
  tide_free(manifest);
  return err;
}

static int released_cmp(struct tide_released a, struct tide_released b) {
  int order = tide_position_cmp(a.position, b.position);
  return order ? order : (a.index > b.index) - (a.index < b.index);
}

/* The entry that the snapshot was taken after must be the one that stands at its position now. */
enum tide_err tide_snapshot_fits(const struct tide_snapshot_manifest *manifest, struct tide_journal *journal, struct tide_error *error) {
  if (manifest->position.epoch == 0) return TIDE_OK;
  if (!journal) return tide_fail(error, TIDE_E_MISMATCH, "it was taken of a journal, not of history");
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_position at;
  enum tide_err err = journal->ops->read(journal, manifest->position, true, &entry, &at, error);
  if (err == TIDE_E_END || (!err && tide_position_cmp(at, manifest->position) != 0))
    err = tide_fail(error, TIDE_E_MISMATCH, "the journal does not hold the entry at its position");
  else if (!err && tide_hash64(entry.ptr, entry.len, 0) != manifest->entry_hash)
    err = tide_fail(error, TIDE_E_MISMATCH, "the journal holds another entry at its position");
  tide_buf_release(&entry);
  return err;
}

static enum tide_err load_chunks(const char *dir, const struct tide_snapshot_manifest *manifest, struct tide_fold *fold,
                                 struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  enum tide_err err = TIDE_OK;
  for (unsigned i = 0; i < TIDE_CHUNKS && !err; i++) {
    unsigned chunk = i == 0 ? TIDE_SHARDS : i - 1; /* globals first */
    err = tide_snapshot_chunk_read(dir, manifest, chunk, &bytes, error);
    if (!err) err = tide_fold_load(fold, chunk, tide_buf_span(&bytes), error);
  }
  tide_buf_release(&bytes);
  if (!err && (tide_position_cmp(tide_fold_position(fold), manifest->position) != 0 || tide_fold_nonce(fold) != manifest->nonce))
    err = tide_fail(error, TIDE_E_CORRUPT, "its globals are of another position than its MANIFEST");
  return err;
}

static enum tide_err load_one(const char *dir, struct tide_position position, struct tide_journal *journal,
                              const struct tide_released *have, struct tide_fold **ret_fold, struct tide_released *ret_released,
                              struct tide_error *error) {
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  struct tide_fold *fold = NULL;
  enum tide_err err = tide_snapshot_manifest_read(dir, position, manifest, error);
  struct tide_released released = {manifest->released, manifest->released_index};
  if (!err && manifest->chunk_count != TIDE_CHUNKS) err = tide_fail(error, TIDE_E_VERSION, "it has %u chunks", manifest->chunk_count);
  if (!err && have && released_cmp(*have, released) < 0)
    err = tide_fail(error, TIDE_E_MISMATCH, "the output lacks decisions from before its position");
  if (!err) err = tide_snapshot_fits(manifest, journal, error);
  if (!err) {
    fold = tide_fold_new();
    err = load_chunks(dir, manifest, fold, error);
  }
  tide_free(manifest);
  if (err) {
    tide_fold_free(fold);
    return err;
  }
  *ret_fold = fold;
  *ret_released = released;
  return TIDE_OK;
}

static enum tide_err load_newest(const char *dir, struct tide_journal *journal, const struct tide_released *have,
                                 const struct tide_position *before, struct tide_fold **ret_fold, struct tide_released *ret_released,
                                 struct tide_error *error) {
  struct tide_position *position;
  size_t count;
  enum tide_err err = tide_snapshot_list(dir, &position, &count, error);
  if (err) return err;
  struct tide_fold *fold = NULL;
  struct tide_released released = {0};
  for (size_t i = 0; i < count && !fold; i++) {
    struct tide_error why = {0};
    unsigned long long epoch = position[i].epoch, seq = position[i].seq;
    if (before && tide_position_cmp(position[i], *before) >= 0) continue;
    if (load_one(dir, position[i], journal, have, &fold, &released, &why) == TIDE_OK)
      tide_log(TIDE_LOG_INFO, "snapshot_used", "dir=%s position=%llu-%llu", dir, epoch, seq);
    else
      tide_log(TIDE_LOG_WARN, "snapshot_passed_over", "dir=%s position=%llu-%llu why=%s next=%s", dir, epoch, seq, why.text,
               i + 1 < count ? "the older one" : "fold from the beginning");
  }
  tide_free(position);
  *ret_fold = fold;
  *ret_released = released;
  return TIDE_OK;
}

enum tide_err tide_snapshot_load(const char *dir, struct tide_journal *journal, const struct tide_released *have,
                                 struct tide_fold **ret_fold, struct tide_released *ret_released, struct tide_error *error) {
  return load_newest(dir, journal, have, NULL, ret_fold, ret_released, error);
}

enum tide_err tide_snapshot_load_before(const char *dir, struct tide_journal *journal, struct tide_position before,
                                        struct tide_fold **ret_fold, struct tide_error *error) {
  struct tide_released released;
  return load_newest(dir, journal, NULL, &before, ret_fold, &released, error);
}

enum tide_err tide_base_load(const char *start_from, struct tide_fold **ret_fold, struct tide_error *error) {
  struct tide_fold *fold = NULL;
  struct tide_released released;
  enum tide_err err = start_from ? tide_snapshot_load(start_from, NULL, NULL, &fold, &released, error) : TIDE_OK;
  if (err != TIDE_OK) return err;
  if (start_from && !fold)
    return tide_fail(error, TIDE_E_CORRUPT, "there is no usable snapshot of a back-fill in %s; make it again with backfill", start_from);
  *ret_fold = fold ? fold : tide_fold_new();
  return TIDE_OK;
}
