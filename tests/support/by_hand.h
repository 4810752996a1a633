/* A journal written by hand, entry by entry, and the fold over it: sources, partitions with facts, messages, requests.
 *
 * Records and parts of an entry are gathered and folded together (hand_fold). Cursors are those that the fold has, so a part always connects. Answers of the last
 * entry are kept as values; whoever needs more reads their JSON. */
#ifndef TIDE_BY_HAND_H
#define TIDE_BY_HAND_H

#include "core/control.h"
#include "core/fold.h"
#include "port/source.h"

#include <stdio.h>
#include <stdlib.h>

#define HAND_ANSWERS 64
#define HAND_PARTS 64

struct hand_answer {
  bool refused, duplicate, features_known, recompute;
  uint8_t cause, by;
  const char *decision;
  struct tide_value slot[16];
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  struct tide_buf json;
};

struct hand {
  struct tide_spec *spec;
  struct tide_fold *fold;
  struct tide_settings settings;
  struct tide_position at;
  struct tide_cursor_part part[HAND_PARTS];
  uint16_t parts;
  struct tide_buf records, control, entry;
  struct tide_buf log; /* every entry so far: epoch u64, seq u64, span */
  unsigned count;
  uint64_t next_id;
  struct hand_answer answer[HAND_ANSWERS];
  int answers;
};

static inline void hand_fail(const char *what, const struct tide_error *error) {
  fprintf(stderr, "%s: %s\n", what, error ? error->text : "");
  abort();
}

static inline void hand_hear(void *ctx, const struct tide_answer *answer) {
  struct hand *h = ctx;
  if (h->answers == HAND_ANSWERS) return;
  struct hand_answer *to = &h->answer[h->answers++];
  *to = (struct hand_answer){.refused = answer->status == TIDE_STATUS_REFUSED,
                             .duplicate = answer->duplicate,
                             .features_known = answer->features_known,
                             .recompute = answer->recompute,
                             .cause = answer->verdict.cause,
                             .by = answer->verdict.by,
                             .decision = answer->verdict.by == TIDE_BY_NONE ? "" : answer->spec->decision[answer->verdict.decision],
                             .json = to->json};
  tide_buf_clear(&to->json);
  tide_answer_json(answer, TIDE_ANSWER_FRESHNESS | TIDE_ANSWER_FEATURES, &to->json);
  if (!answer->features_known) return;
  for (uint32_t i = 0; i < answer->spec->slot_count && i < 16; i++) to->slot[i] = answer->slot[i];
  for (uint32_t e = 0; e < answer->spec->entity_count; e++) to->standing[e] = answer->standing[e];
}

static inline void hand_log(struct hand *h) {
  tide_put_u64(&h->log, h->at.epoch);
  tide_put_u64(&h->log, h->at.seq);
  tide_put_span(&h->log, tide_buf_span(&h->entry));
}

/* What was gathered becomes an entry with this commit time. */
static inline void hand_fold(struct hand *h, int64_t commit_ms) {
  struct tide_error error = {0};
  struct tide_batch batch;
  h->at.seq++;
  struct tide_entry_header header = {.format = TIDE_ENTRY_FORMAT, .fold = TIDE_FOLD_VERSION, .engine_id = 1, .fence_nonce = 7, .commit_ms = commit_ms};
  tide_batch_begin(&batch, &h->entry, &header, h->part, h->parts);
  if (h->at.seq == 1 && tide_batch_add_config(&batch, &h->settings, (struct tide_span){h->spec->text, h->spec->text_len})) hand_fail("config", NULL);
  struct tide_reader control = tide_reader_of(tide_buf_span(&h->control));
  while (control.ptr != control.end) {
    uint8_t type = tide_get_u8(&control);
    if (tide_batch_add_control(&batch, type, tide_get_span(&control))) hand_fail("control record", NULL);
  }
  if (h->count && tide_batch_add_encoded(&batch, tide_buf_span(&h->records), h->count)) hand_fail("records", NULL);
  tide_batch_end(&batch);
  h->answers = 0;
  hand_log(h);
  if (tide_fold_entry(h->fold, h->at, tide_buf_span(&h->entry), hand_hear, h, &error)) hand_fail("fold", &error);
  tide_buf_clear(&h->records);
  tide_buf_clear(&h->control);
  h->count = 0;
  h->parts = 0;
}

/* A fold of this feature file whose first entry is to come. */
static inline void hand_open(struct hand *h, const char *features) {
  struct tide_error error = {0};
  size_t errors = 0;
  *h = (struct hand){.fold = tide_fold_new(), .settings = tide_settings_default(), .at = {1, 0}};
  if (tide_spec_parse("by hand", tide_span_of(features), &h->spec, &error, 1, &errors)) hand_fail("feature file", &error);
  h->settings.history_from_ms = 0;
  struct tide_batch batch;
  struct tide_fence fence = {.nonce = 7, .epoch = 1, .engine_id = 1};
  tide_batch_begin(&batch, &h->entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  if (tide_batch_add_fence(&batch, &fence)) hand_fail("fence", NULL);
  tide_batch_end(&batch);
  hand_log(h);
  if (tide_fold_entry(h->fold, h->at, tide_buf_span(&h->entry), NULL, NULL, &error)) hand_fail("fence", &error);
}

static inline void hand_close(struct hand *h) {
  for (int i = 0; i < HAND_ANSWERS; i++) tide_buf_release(&h->answer[i].json);
  tide_buf_release(&h->records);
  tide_buf_release(&h->control);
  tide_buf_release(&h->entry);
  tide_buf_release(&h->log);
  tide_fold_free(h->fold);
  tide_spec_free(h->spec);
}

/* ---- what an entry holds ---- */

/* The last record of a batch of its own, taken out again: the encoders of control records write into batches only. */
static inline void hand_take(struct hand *h, struct tide_batch *batch, struct tide_buf *bytes) {
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_error error = {0};
  tide_batch_end(batch);
  if (tide_entry_open(&reader, tide_buf_span(bytes), part, &error) || tide_entry_next(&reader, &raw, &error)) hand_fail("control record", &error);
  tide_put_u8(&h->control, raw.type);
  tide_put_span(&h->control, raw.payload);
  tide_buf_release(bytes);
}

static inline uint16_t hand_number(const char *name) { return tide_source_number(tide_span_of(name)); }

static inline struct tide_source_info hand_source(const char *name, bool gates, bool keyed) {
  struct tide_source_info info = {.number = hand_number(name), .gates = gates, .keyed = keyed, .out_of_orderness_ms = 2000, .silence_ms = 30000};
  snprintf(info.name, sizeof info.name, "%s", name);
  return info;
}

static inline void hand_declare(struct hand *h, const struct tide_source_info *source, uint32_t count) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_sources sources = {.count = count};
  for (uint32_t i = 0; i < count; i++) sources.source[i] = source[i];
  tide_batch_begin(&batch, &bytes, &(struct tide_entry_header){0}, NULL, 0);
  if (tide_batch_add_sources(&batch, &sources)) hand_fail("sources", NULL);
  hand_take(h, &batch, &bytes);
}

static inline void hand_start(struct hand *h, const char *source, uint16_t partition) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_batch batch;
  tide_batch_begin(&batch, &bytes, &(struct tide_entry_header){0}, NULL, 0);
  if (tide_batch_add_start(&batch, &(struct tide_start){.source = hand_number(source), .partition = partition})) hand_fail("start", NULL);
  hand_take(h, &batch, &bytes);
}

static inline void hand_waive(struct hand *h, const char *source, uint16_t partition, int64_t until_ms) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_batch batch;
  tide_batch_begin(&batch, &bytes, &(struct tide_entry_header){0}, NULL, 0);
  if (tide_batch_add_waive(&batch, &(struct tide_waive){.source = hand_number(source), .partition = partition, .until_ms = until_ms}))
    hand_fail("waiver", NULL);
  hand_take(h, &batch, &bytes);
}

/* The partition's part of this entry: `messages` more of it, and its facts (INT64_MIN: none). */
static inline void hand_facts(struct hand *h, const char *source, uint16_t partition, uint64_t messages, int64_t seen_ms, int64_t drained_ms,
                              int64_t delay_ms) {
  uint16_t number = hand_number(source);
  uint64_t from = tide_fold_cursor(h->fold, number, partition);
  if (h->parts == HAND_PARTS) hand_fail("too many parts", NULL);
  h->part[h->parts++] = (struct tide_cursor_part){.source = number,
                                                  .partition = partition,
                                                  .from = from,
                                                  .next = from + messages,
                                                  .seen = seen_ms,
                                                  .drained = drained_ms,
                                                  .delay = delay_ms,
                                                  .checksum = messages ? 99 : 0};
}

static inline void hand_put(struct hand *h, const char *field, const char *text, struct tide_record *record) {
  uint32_t f = tide_spec_field(h->spec, field);
  if (f == TIDE_NONE || !text) return;
  record->field[f] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(text)};
}

/* An event; source NULL: a request of this engine. time_ms INT64_MIN: it is stamped. Its id is new. */
static inline void hand_event(struct hand *h, const char *source, uint16_t partition, int64_t time_ms, const char *card, const char *shop) {
  static struct tide_record record;
  char id[32];
  snprintf(id, sizeof id, "t%llu", (unsigned long long)h->next_id++);
  record = (struct tide_record){.type = TIDE_REC_EVENT, .time.ms = time_ms == INT64_MIN ? 0 : time_ms};
  if (time_ms == INT64_MIN) record.flags = TIDE_REC_STAMPED;
  if (source) {
    record.source = hand_number(source);
    record.partition = partition;
    uint64_t offset = tide_fold_cursor(h->fold, record.source, partition);
    for (uint16_t i = 0; i < h->parts; i++)
      if (h->part[i].source == record.source && h->part[i].partition == partition) offset = h->part[i].next - 1;
    record.offset = offset;
  }
  hand_put(h, "id", id, &record);
  hand_put(h, "card", card, &record);
  hand_put(h, "shop", shop, &record);
  if (tide_record_encode(h->spec, &record, &h->records)) hand_fail("record", NULL);
  h->count++;
}

/* A profile of this entity and key that tells one fact: a text, or else a number as the field has it (minor units of EUR). time_ms INT64_MIN: it is stamped. */
static inline void hand_tell(struct hand *h, int64_t time_ms, const char *entity, const char *key, const char *fact, const char *text, int64_t num) {
  static struct tide_record record;
  record = (struct tide_record){.type = TIDE_REC_PROFILE, .time.ms = time_ms == INT64_MIN ? 0 : time_ms};
  if (time_ms == INT64_MIN) record.flags = TIDE_REC_STAMPED;
  uint32_t field = tide_spec_fact(h->spec, tide_spec_entity(h->spec, entity), fact);
  if (field == TIDE_NONE) hand_fail("no such fact", NULL);
  hand_put(h, entity, key, &record);
  record.field[field] = (struct tide_datum){.kind = text ? TIDE_D_TEXT : TIDE_D_INT};
  if (text) record.field[field].text = tide_span_of(text);
  else record.field[field].num = num;
  if (h->spec->field[field].type == TIDE_F_MONEY) {
    memcpy(record.field[field].currency, "EUR", 4);
    record.field[field].exponent = 2;
  }
  if (tide_record_encode(h->spec, &record, &h->records)) hand_fail("profile", NULL);
  h->count++;
}

/* A heartbeat record of a source. */
static inline void hand_heartbeat(struct hand *h, const char *source, uint16_t partition, int64_t time_ms) {
  static struct tide_record record;
  record = (struct tide_record){.type = TIDE_REC_HEARTBEAT, .source = hand_number(source), .partition = partition, .time.ms = time_ms};
  for (uint16_t i = 0; i < h->parts; i++)
    if (h->part[i].source == record.source && h->part[i].partition == partition) record.offset = h->part[i].next - 1;
  if (tide_record_encode(h->spec, &record, &h->records)) hand_fail("heartbeat", NULL);
  h->count++;
}

/* A request of now, in an entry of its own: its answer. */
static inline const struct hand_answer *hand_ask(struct hand *h, int64_t now_ms, const char *card, const char *shop) {
  hand_event(h, NULL, 0, INT64_MIN, card, shop);
  hand_fold(h, now_ms);
  if (h->answers != 1) hand_fail("a request has one answer", NULL);
  return &h->answer[0];
}

#endif
