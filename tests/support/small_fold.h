/* A fold with a little of everything in it, for tests and the fuzzer of snapshots: two entities, events, outcomes, refused and duplicate ones.
 *
 * Entries are built in memory and folded; `events` of them, from number `from` on, so that a fold can be gone on with. */
#ifndef TIDE_SMALL_FOLD_H
#define TIDE_SMALL_FOLD_H

#include "core/fold.h"

#include <stdio.h>
#include <stdlib.h>

static const char small_features[] =
    "tidemark: 1\n"
    "name: small\n"
    "event:\n"
    "  id: id\n"
    "  time: time\n"
    "  amount: amount in EUR\n"
    "inputs:\n"
    "  default:\n"
    "    id: /id\n"
    "    time: {at: /time, as: epoch_ms}\n"
    "    amount: {at: /amount, currency: /currency}\n"
    "    card: /card\n"
    "    shop: {at: /shop, optional: true}\n"
    "entities:\n"
    "  card: card\n"
    "  shop: shop\n"
    "windows: {short: \"10m, 1h\"}\n"
    "features:\n"
    "  card:\n"
    "    attempts: count over short with current\n"
    "    spend: sum of amount over short where result in (approved, pending)\n"
    "    shops: distinct of shop over 1h\n"
    "  shop:\n"
    "    cards: distinct of card over 1h\n"
    "policy:\n"
    "  decisions: [approve, decline]\n"
    "  rules:\n"
    "    - R1: decline when card.attempts_10m > 4\n"
    "    - else: approve\n"
    "  fallback:\n"
    "    - else: approve\n";

static inline struct tide_spec *small_spec(void) {
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t count = 0;
  struct tide_span text = {small_features, sizeof small_features - 1};
  if (tide_spec_parse("small", text, &spec, &error, 1, &count) != TIDE_OK) {
    fprintf(stderr, "small feature file, line %d: %s\n", error.line, error.text);
    abort();
  }
  return spec;
}

static inline void small_text(const struct tide_spec *spec, struct tide_record *record, const char *field, const char *text) {
  struct tide_datum *datum = &record->field[tide_spec_field(spec, field)];
  datum->kind = TIDE_D_TEXT;
  datum->text = tide_span_of(text);
}

/* The fence when the fold is empty, then `events` events in entries of ten. */
static inline void small_fold_on(struct tide_fold *fold, const struct tide_spec *spec, uint32_t from, uint32_t events, tide_emit_fn emit, void *ctx) {
  struct tide_error error = {0};
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_position at = tide_fold_position(fold);
  struct tide_settings settings = tide_settings_default();
  if (at.epoch == 0) {
    struct tide_fence fence = {.nonce = 7, .epoch = 1, .engine_id = 1};
    tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
    if (tide_batch_add_fence(&batch, &fence)) abort();
    tide_batch_end(&batch);
    at.epoch = 1;
    if (tide_fold_entry(fold, at, tide_buf_span(&entry), emit, ctx, &error)) abort();
  }
  struct tide_record *record = tide_alloc(sizeof *record);
  for (uint32_t i = from; i < from + events;) {
    uint32_t end = i + 10 < from + events ? i + 10 : from + events;
    struct tide_entry_header header = {.fence_nonce = 7, .commit_ms = 1700000000000 + (int64_t)end * 7000};
    struct tide_cursor_part part = {.from = i, .next = end};
    tide_batch_begin(&batch, &entry, &header, &part, 1);
    if (at.seq == 0 && tide_batch_add_config(&batch, &settings, (struct tide_span){spec->text, spec->text_len})) abort();
    for (; i < end; i++) {
      char id[32], card[32], shop[32];
      memset(record, 0, sizeof *record);
      record->type = TIDE_REC_EVENT;
      record->offset = i;
      record->time.ms = 1700000000000 + (int64_t)i * 7000;
      snprintf(id, sizeof id, "t%u", i % 23 == 22 ? i - 1 : i); /* some come twice */
      snprintf(card, sizeof card, "c%u", i % 23 == 22 ? (i - 1) * 7 % 41 : i * 7 % 41);
      snprintf(shop, sizeof shop, "s%u", i % 13);
      small_text(spec, record, "id", id);
      small_text(spec, record, "card", card);
      if (i % 5) small_text(spec, record, "shop", shop);
      struct tide_datum *amount = &record->field[spec->f_amount];
      *amount = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2};
      memcpy(amount->currency, i % 29 ? "EUR" : "USD", 4); /* there is no rate for the dollar: refused */
      amount->num = 100 + (int64_t)(i * 37 % 9000);
      if (tide_batch_add(&batch, spec, record)) abort();
      if (i % 4 == 0) { /* its outcome */
        record->type = TIDE_REC_OUTCOME;
        record->outcome.set = 1u << TIDE_DYN_result;
        record->outcome.result = 1;
        if (tide_batch_add(&batch, spec, record)) abort();
      }
    }
    tide_batch_end(&batch);
    at.seq++;
    enum tide_err err = tide_fold_entry(fold, at, tide_buf_span(&entry), emit, ctx, &error);
    if (err) {
      fprintf(stderr, "small fold: %s\n", error.text);
      abort();
    }
  }
  tide_free(record);
  tide_buf_release(&entry);
}

#endif
