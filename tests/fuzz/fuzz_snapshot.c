/* Any change of a saved fold: loaded or refused, never a crash, and what was loaded can be saved and read again.
 *
 * The input picks a chunk of one of two folds (byte 0), the second of which knows facts, and says what to write over it: offset u16, byte; or to cut it at an offset
 * when the byte's partner is 255. The CRC of the files would refuse all this; the fold must not rely on it. */
#include "tests/support/by_hand.h"
#include "tests/support/small_fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tide_buf chunks[2][TIDE_CHUNKS];

static void make_facts(struct tide_buf *chunk) {
  static const char features[] =
      "tidemark: 1\n"
      "name: facts\n"
      "event: {id: id, time: time}\n"
      "inputs:\n"
      "  default: {id: /id, time: /time, card: /card, shop: {at: /shop, optional: true}}\n"
      "  cards: {type: profile, facts: {risk: {at: /r, as: int}, segment: /s}}\n"
      "entities: {card: card, shop: shop}\n"
      "features: {card: {risk: fact risk, segment: fact segment, first: time since first, n: count over 1h}, shop: {n: distinct of card over 1h}}\n";
  struct hand h;
  char card[16];
  hand_open(&h, features);
  for (int i = 0; i < 60; i++) {
    snprintf(card, sizeof card, "c%d", i % 40);
    hand_tell(&h, 1700000000000 + i * 1000, "card", card, i % 3 ? "risk" : "segment", i % 3 ? NULL : "gold", i);
    if (i % 2) hand_event(&h, NULL, 0, 1700000000000 + i * 1000, card, "s");
    if (i % 10 == 9) hand_fold(&h, 1700000000000 + i * 1000);
  }
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) tide_fold_save(h.fold, i, &chunk[i]);
  hand_close(&h);
}

static void make_chunks(struct tide_buf *chunk) {
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new();
  small_fold_on(fold, spec, 0, 300, NULL, NULL);
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) tide_fold_save(fold, i, &chunk[i]);
  tide_fold_free(fold);
  tide_spec_free(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!chunks[0][TIDE_SHARDS].len) {
    make_chunks(chunks[0]);
    make_facts(chunks[1]);
  }
  if (size < 5) return 0;
  unsigned target = data[0] % TIDE_CHUNKS;
  const struct tide_buf *chunk = chunks[data[0] / TIDE_CHUNKS % 2];
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_buf_put(&bytes, chunk[target].ptr, chunk[target].len);
  for (size_t i = 1; i + 4 <= size && bytes.len; i += 4) {
    size_t at = ((size_t)data[i] | (size_t)data[i + 1] << 8) % bytes.len;
    if (data[i + 3] == 255) bytes.len = at;
    else bytes.ptr[at] = (char)data[i + 2];
  }
  struct tide_fold *fold = tide_fold_new();
  struct tide_error error = {0};
  enum tide_err err = TIDE_OK;
  for (unsigned i = 0; i < TIDE_CHUNKS && !err; i++) {
    unsigned at = i == 0 ? TIDE_SHARDS : i - 1;
    err = tide_fold_load(fold, at, tide_buf_span(at == target ? &bytes : &chunk[at]), &error);
  }
  if (err && error.text[0] == 0) abort();
  if (!err) (void)tide_fold_digest(fold);
  tide_fold_free(fold);
  tide_buf_release(&bytes);
  return 0;
}
