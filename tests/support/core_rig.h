/* One core driven by hand over a journal in memory, with a source of one partition whose facts the test tells: for what depends on when things happen.
 *
 * Requests to the journal are carried out at once, but for a SYNC while `slow` (the store does not acknowledge) and for copies of requests while `unlogged`. Time stands still
 * until rig_pass. The journal's clock is compared as Redis' is: while the core's is off by more than RIG_SKEW_MS, a SYNC ends the session and there is no other. While it
 * is `full`, an APPEND finds no room and there is no session either. Offers that came back stay in `back`, the last one in `last`. */
#ifndef TIDE_CORE_RIG_H
#define TIDE_CORE_RIG_H

#include "adapter/file.h"
#include "core/core.h"
#include "port/source.h"

#include <stdio.h>
#include <stdlib.h>

#define RIG_NOW INT64_C(1795255131000)
#define RIG_SKEW_MS 500

struct rig {
  struct tide_spec *spec;
  struct tide_journal *journal;
  struct tide_core *core;
  int64_t wall_ms, mono_ms;
  int64_t off_ms; /* what the core's wall clock shows above wall_ms */
  int64_t compared_ms; /* not 0: what the clock that the next SYNC compares, a right one, shows above the core's */
  bool slow, unlogged;
  bool full;      /* the store has no room */
  bool sync_waits, session_waits;
  bool registered;       /* there is a register of epochs: */
  uint64_t epoch_taken;  /* the highest number in it */
  uint64_t delivered;    /* as targets say it of the partition */
  struct { uint64_t number, epoch; bool superseded; } left[64]; /* [emits] answers that were let go, in their order */
  unsigned emits;
  uint64_t passed_by;    /* a number that another opener takes behind our next one; 0: none */
  uint64_t turn, emit_turn, log_number;
  uint16_t source;
  uint64_t cursor;
  uint64_t next_id;
  struct tide_offer *last;
  unsigned back;
  unsigned appends; /* entries of this core */
  unsigned logged_behind; /* of them, when the last copy was asked for */
};

static inline void rig_fail(const char *what, const struct tide_error *error) {
  fprintf(stderr, "%s: %s\n", what, error ? error->text : "");
  abort();
}

static inline void rig_step(struct rig *rig, const struct tide_core_event *event);

static inline bool rig_clock_is_right(const struct rig *rig) { return rig->off_ms <= RIG_SKEW_MS && rig->off_ms >= -RIG_SKEW_MS; }

static inline struct tide_core_now rig_now(const struct rig *rig) {
  return (struct tide_core_now){.wall = {rig->wall_ms + rig->off_ms}, .mono = {(rig->mono_ms + 1) * 1000000}};
}

static inline void rig_sync(struct rig *rig) {
  struct tide_core_event event = {.kind = TIDE_CORE_DURABLE, .clock_ms = tide_clock_offset_ms(rig_now(rig).wall, rig_now(rig).mono)};
  struct tide_error error = {0};
  event.clock_ms += rig->compared_ms;
  if (rig->compared_ms) rig->compared_ms = 0;
  else if (!rig_clock_is_right(rig)) event = (struct tide_core_event){.kind = TIDE_CORE_SESSION_OVER, .err = TIDE_E_IO};
  else if (rig->journal->ops->sync(rig->journal, &event.position, &error)) rig_fail("sync", &error);
  rig->sync_waits = false;
  rig_step(rig, &event);
}

static inline void rig_release(struct rig *rig, struct tide_offer *offer) {
  if (offer->kind == TIDE_OFFER_MESSAGE || offer->kind == TIDE_OFFER_CONTROL) {
    tide_offer_free(offer);
    return;
  }
  tide_offer_free(rig->last);
  rig->last = offer;
  rig->back++;
}

static inline void rig_act(struct rig *rig, const struct tide_core_action *action) {
  struct tide_error error = {0};
  struct tide_core_event event = {0};
  struct tide_target target = {.source = rig->source, .delivered = rig->delivered};
  switch (action->kind) {
    case TIDE_DO_APPEND:
    case TIDE_DO_OPEN: {
      event = (struct tide_core_event){.kind = TIDE_CORE_APPENDED, .attempt = action->attempt};
      bool opens = action->kind == TIDE_DO_OPEN;
      if (opens && rig->registered && action->epoch <= rig->epoch_taken) {
        rig_step(rig, &(struct tide_core_event){
                          .kind = TIDE_CORE_APPEND_FAILED, .attempt = action->attempt, .err = TIDE_E_STALE, .number = rig->epoch_taken});
        break;
      }
      if (opens && action->epoch > rig->epoch_taken) rig->epoch_taken = action->epoch;
      if (opens && rig->passed_by > rig->epoch_taken) rig->epoch_taken = rig->passed_by;
      if (rig->full) event.kind = TIDE_CORE_APPEND_FAILED, event.err = TIDE_E_FULL;
      else if (opens ? rig->journal->ops->open_epoch(rig->journal, action->epoch, action->bytes, &event.position, &error)
                : rig->journal->ops->append(rig->journal, action->epoch, action->bytes, &event.position, &error))
        rig_fail("append", &error);
      rig->appends += !rig->full;
      rig_step(rig, &event);
      break;
    }
    case TIDE_DO_SYNC:
      if (rig->slow) rig->sync_waits = true;
      else rig_sync(rig);
      break;
    case TIDE_DO_FETCH: {
      struct tide_buf bytes = TIDE_BUF_INIT;
      struct tide_position from = action->position;
      bool inclusive = action->inclusive;
      event.kind = TIDE_CORE_ENTRY;
      while (rig->journal->ops->read(rig->journal, from, inclusive, &bytes, &event.position, &error) == TIDE_OK) {
        event.bytes = tide_buf_span(&bytes);
        from = event.position;
        inclusive = false;
        rig_step(rig, &event);
      }
      tide_buf_release(&bytes);
      rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_FETCH_END});
      break;
    }
    case TIDE_DO_SESSION:
      rig->session_waits = !rig_clock_is_right(rig) || rig->full;
      if (rig->session_waits) break;
      event.kind = TIDE_CORE_SESSION;
      if (rig->journal->ops->begin(rig->journal, &event.session, &error)) rig_fail("session", &error);
      rig_step(rig, &event);
      break;
    case TIDE_DO_RELEASE: rig_release(rig, action->offer); break;
    case TIDE_DO_INGEST:
      rig->turn = action->turn;
      rig->emit_turn = action->emit_turn;
      break;
    case TIDE_DO_ENDS:
      rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_ENDS,
                                              .turn = action->turn,
                                              .number = rig->registered ? rig->epoch_taken : 0,
                                              .target = &target,
                                              .target_count = 1});
      break;
    case TIDE_DO_LOG:
      rig->log_number = action->number;
      rig->logged_behind = rig->appends;
      if (!rig->unlogged) rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_LOGGED, .number = action->number});
      break;
    case TIDE_DO_EMIT:
      if (rig->emits == 64) rig_fail("too many answers leave", NULL);
      rig->left[rig->emits].number = action->outgoing.number;
      rig->left[rig->emits].epoch = action->outgoing.epoch;
      rig->left[rig->emits++].superseded = action->outgoing.superseded;
      break;
    case TIDE_DO_INGEST_STOP:
    case TIDE_DO_STOPPED: break;
  }
}

static inline void rig_step(struct rig *rig, const struct tide_core_event *event) {
  const struct tide_core_action *action;
  size_t count;
  struct tide_error error = {0};
  if (tide_core_step(rig->core, rig_now(rig), event, &action, &count, &error)) rig_fail("step", &error);
  if (!count) return;
  struct tide_core_action *all = tide_alloc(count * sizeof *all); /* the next step has the same array */
  struct tide_buf bytes = TIDE_BUF_INIT;
  memcpy(all, action, count * sizeof *all);
  for (size_t i = 0; i < count; i++) {
    if (all[i].bytes.len) { /* borrowed until APPENDED: held by the core */
      tide_buf_clear(&bytes);
      tide_buf_put(&bytes, all[i].bytes.ptr, all[i].bytes.len);
      all[i].bytes = tide_buf_span(&bytes);
    }
    rig_act(rig, &all[i]);
  }
  tide_buf_release(&bytes);
  tide_free(all);
}

/* Until nothing is left to do at this time. */
static inline void rig_settle(struct rig *rig) {
  for (int i = 0; i < 1000; i++) {
    bool busy = tide_core_busy(rig->core);
    rig_step(rig, &(struct tide_core_event){.kind = busy ? TIDE_CORE_GO_ON : TIDE_CORE_TICK});
    if (!busy && i > 3) return;
  }
  rig_fail("the core does not come to rest", NULL);
}

/* `ms` later, with a look at every ten of them. */
static inline void rig_pass(struct rig *rig, int64_t ms) {
  while (ms > 0) {
    int64_t some = ms < 10 ? ms : 10;
    rig->wall_ms += some;
    rig->mono_ms += some;
    ms -= some;
    rig_settle(rig);
  }
}

/* As if the process had been stopped: nobody looks. */
static inline void rig_stand_still(struct rig *rig, int64_t ms) {
  rig->wall_ms += ms;
  rig->mono_ms += ms;
}

/* Partition 0 of the source has been read to its end as of that moment. */
static inline void rig_drained(struct rig *rig, int64_t drained_ms) {
  struct tide_offer *offer = tide_offer_new();
  offer->kind = TIDE_OFFER_MESSAGE;
  offer->turn = rig->turn;
  offer->part = (struct tide_cursor_part){
      .source = rig->source, .partition = 0, .from = rig->cursor, .next = rig->cursor, .seen = INT64_MIN, .drained = drained_ms};
  rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
  rig_settle(rig);
}

/* A core of this feature file; with a source that gates, drained as of now. shared: its journal is as one in Redis, else as one in files. scores: answers to messages leave. */
static inline void rig_open_with(struct rig *rig, const char *features, bool sourced, bool shared, bool scores) {
  struct tide_error error = {0};
  size_t errors = 0;
  *rig = (struct rig){.wall_ms = RIG_NOW, .source = tide_source_number(tide_span_of("auths")), .journal = tide_journal_memory_new()};
  if (tide_spec_parse("rig", tide_span_of(features), &rig->spec, &error, 1, &errors)) rig_fail("feature file", &error);
  struct tide_core_options options = {.engine_id = 1,
                                      .seed = 7,
                                      .settings = tide_settings_default(),
                                      .features = {rig->spec->text, rig->spec->text_len},
                                      .batch_records_max = 64,
                                      .queue_max = 64,
                                      .shared = shared,
                                      .compares_clocks = shared};
  options.settings.history_from_ms = 0;
  if (sourced) {
    options.sources.count = 1;
    options.sources.source[0] = (struct tide_source_info){.number = rig->source, .gates = true, .out_of_orderness_ms = 0, .silence_ms = 3600000};
    snprintf(options.sources.source[0].name, TIDE_SOURCE_NAME, "auths");
    options.sources.scores = scores;
    options.ingests = true;
    options.claim_timeout_ms = 1000;
  }
  rig->core = tide_core_new(&options, tide_fold_new());
  rig_settle(rig);
  if (sourced) {
    struct tide_offer *start = tide_offer_new();
    start->kind = TIDE_OFFER_CONTROL;
    start->record_count = 1;
    tide_start_encode(&(struct tide_start){.source = rig->source}, &start->records);
    rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = start});
    rig_settle(rig);
    rig_drained(rig, rig->wall_ms);
  }
  if (tide_core_state(rig->core) != TIDE_CORE_open) rig_fail("the core is not open", NULL);
}

static inline void rig_open_on(struct rig *rig, const char *features, bool sourced, bool shared) {
  rig_open_with(rig, features, sourced, shared, false);
}

static inline void rig_open(struct rig *rig, const char *features, bool sourced) { rig_open_on(rig, features, sourced, true); }

static inline void rig_close(struct rig *rig) {
  tide_core_free(rig->core);
  rig->journal->ops->close(rig->journal);
  tide_offer_free(rig->last);
  tide_spec_free(rig->spec);
}

/* The next message of partition 0, about a new event. */
static inline void rig_message(struct rig *rig) {
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_offer *offer = tide_offer_new();
  char text[32];
  snprintf(text, sizeof text, "m%llu", (unsigned long long)rig->cursor);
  record->type = TIDE_REC_EVENT;
  record->source = rig->source;
  record->offset = rig->cursor;
  record->time.ms = rig->wall_ms;
  record->field[tide_spec_field(rig->spec, "id")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(text)};
  record->field[tide_spec_field(rig->spec, "card")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of("c")};
  if (tide_record_encode(rig->spec, record, &offer->records)) rig_fail("record", NULL);
  offer->record_count = 1;
  offer->kind = TIDE_OFFER_MESSAGE;
  offer->turn = rig->turn;
  offer->part = (struct tide_cursor_part){.source = rig->source, .from = rig->cursor, .next = rig->cursor + 1, .seen = rig->wall_ms, .drained = rig->wall_ms, .checksum = 1};
  rig->cursor++;
  tide_free(record);
  rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
  rig_settle(rig);
}

/* A request without a time of its own for a card at the shop `s` (NULL: at none), to be answered within `within_ms` (0: at any time). Its id is `id`, or a new one. */
static inline struct tide_offer *rig_request(struct rig *rig, const char *id, const char *card, int64_t within_ms) {
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_offer *offer = tide_offer_new();
  char text[32];
  if (!id) snprintf(text, sizeof text, "t%llu", (unsigned long long)rig->next_id++);
  record->type = TIDE_REC_EVENT;
  record->flags = TIDE_REC_STAMPED;
  record->field[tide_spec_field(rig->spec, "id")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(id ? id : text)};
  if (card) record->field[tide_spec_field(rig->spec, "card")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(card)};
  if (card) record->field[tide_spec_field(rig->spec, "shop")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of("s")};
  if (tide_record_encode(rig->spec, record, &offer->records)) rig_fail("record", NULL);
  offer->record_count = 1;
  offer->answer_flags = TIDE_ANSWER_FRESHNESS | TIDE_ANSWER_FEATURES;
  if (within_ms) offer->deadline.ns = (rig->mono_ms + 1 + within_ms) * 1000000;
  tide_free(record);
  return offer;
}

static inline void rig_offer(struct rig *rig, struct tide_offer *offer) {
  rig_step(rig, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
}

#endif
