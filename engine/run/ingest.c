/* The reader of the ingester, and its door (ingest.h).
 *
 * Each turn of its loop: take what the other threads left in the box, give the core what the merge releases, read the next message. A turn of the core (INGEST)
 * ends everything that was read before: the merge begins anew at the journal's cursors, and what still carries the old turn's number is
 * dropped by the core. */
#include "run/ingest_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"

#define MS INT64_C(1000000)
#define COMMIT_EVERY_MS 1000
#define PLACES_EVERY_MS 10000 /* partitions that appear later */
#define RETRY_EVERY_MS 5000
#define GIVE_AT_ONCE 512
#define READ_AT_ONCE 64
#define THROTTLE_EVERY_MS 1
#define BACK_AT_ONCE 256 /* offers that came back wake the reader, which waits for room; a few do not: more are coming */
#define PENDING_EVERY_MS 50

void tide_ingest_lock(struct tide_ingest *ingest) {
  int failed = pthread_mutex_lock(&ingest->box.mutex);
  TIDE_CHECK(failed == 0);
}

void tide_ingest_unlock(struct tide_ingest *ingest) {
  int failed = pthread_mutex_unlock(&ingest->box.mutex);
  TIDE_CHECK(failed == 0);
}

void tide_ingest_wait(pthread_cond_t *cond, struct tide_ingest *ingest, int64_t ms) {
  int64_t at_ns = tide_mono_now().ns + ms * MS;
  struct timespec when = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
  (void)pthread_cond_timedwait(cond, &ingest->box.mutex, &when);
}

const struct tide_ingest_source *tide_ingest_from(const struct tide_ingest *ingest, uint16_t number, size_t *ret_index) {
  for (size_t i = 0; i < ingest->options.from_count; i++) {
    if (ingest->options.from[i].number != number) continue;
    if (ret_index) *ret_index = i;
    return &ingest->options.from[i];
  }
  return NULL;
}

/* ---- what others ask: the core's thread ---- */

void tide_ingest_act(struct tide_ingest *ingest, const struct tide_core_action *action) {
  struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  switch (action->kind) {
    case TIDE_DO_INGEST:
      box->turn = action->turn;
      box->emit_turn = action->emit_turn;
      box->on = box->fresh = true;
      tide_free(box->place);
      box->place = tide_alloc((action->place_count + 1) * sizeof *box->place);
      memcpy(box->place, action->place, action->place_count * sizeof *box->place);
      box->place_count = action->place_count;
      (void)pthread_cond_signal(&box->reader);
      break;
    case TIDE_DO_INGEST_STOP:
      box->on = false;
      box->fresh = true;
      (void)pthread_cond_signal(&box->reader);
      break;
    case TIDE_DO_ENDS:
      box->core_asks = true;
      box->ends_turn = action->turn;
      (void)pthread_cond_signal(&box->asker);
      break;
    case TIDE_DO_EMIT: tide_ingest_emit(ingest, action); break;
    case TIDE_DO_LOG: tide_ingest_copy(ingest, action); break;
    default: TIDE_NEVER("an action about sources");
  }
  tide_ingest_unlock(ingest);
}

void tide_ingest_release(struct tide_ingest *ingest, struct tide_offer *offer) {
  tide_ingest_lock(ingest);
  offer->next = ingest->box.back;
  ingest->box.back = offer;
  if (++ingest->box.back_count == BACK_AT_ONCE) (void)pthread_cond_signal(&ingest->box.reader);
  tide_ingest_unlock(ingest);
}

void tide_ingest_reread(struct tide_ingest *ingest) {
  tide_ingest_lock(ingest);
  ingest->box.reread = true;
  (void)pthread_cond_signal(&ingest->box.reader);
  tide_ingest_unlock(ingest);
}

size_t tide_ingest_look(struct tide_ingest *ingest, struct tide_ingest_partition *ret, size_t cap) {
  tide_ingest_lock(ingest);
  size_t count = ingest->box.look_count;
  for (size_t i = 0; i < count && i < cap; i++) ret[i] = ingest->box.look[i];
  tide_ingest_unlock(ingest);
  return count;
}

/* ---- the reader ---- */

/* Where the partition stands in `place`, or would. */
static uint32_t *place_of(const struct tide_ingest *ingest, uint16_t source, uint16_t partition) {
  uint32_t number = (uint32_t)source << 16 | partition, mask = (uint32_t)ingest->place_room - 1;
  for (uint32_t slot = (number * UINT32_C(0x9E3779B1)) >> 7 & mask;; slot = (slot + 1) & mask) {
    uint32_t at = ingest->place[slot];
    if (!at || (ingest->part[at - 1].source == source && ingest->part[at - 1].partition == partition)) return &ingest->place[slot];
  }
}

static struct tide_ingest_part *part_of(const struct tide_ingest *ingest, uint16_t source, uint16_t partition) {
  if (!ingest->place_room) return NULL;
  uint32_t at = *place_of(ingest, source, partition);
  return at ? &ingest->part[at - 1] : NULL;
}

/* Room for `count` partitions in all. */
static void reserve(struct tide_ingest *ingest, size_t count) {
  ingest->part = tide_realloc(ingest->part, (count + 1) * sizeof *ingest->part);
  size_t room = ingest->place_room ? ingest->place_room : 16;
  while (room < 2 * count) room *= 2;
  if (room == ingest->place_room) return;
  tide_free(ingest->place);
  ingest->place = tide_alloc(room * sizeof *ingest->place);
  ingest->place_room = room;
  for (size_t i = 0; i < ingest->part_count; i++) *place_of(ingest, ingest->part[i].source, ingest->part[i].partition) = (uint32_t)i + 1;
}

static void spare(struct tide_ingest *ingest, struct tide_offer *offer) {
  offer->next = ingest->spare;
  ingest->spare = offer;
}

static void drop(void *ctx) {
  struct tide_offer *offer = ctx;
  spare(offer->ctx, offer);
}

static struct tide_offer *offer_new(struct tide_ingest *ingest, enum tide_offer_kind kind) {
  struct tide_offer *offer = ingest->spare;
  if (offer) {
    ingest->spare = offer->next;
    tide_offer_again(offer);
  } else {
    offer = tide_offer_new();
  }
  offer->ctx = ingest;
  offer->kind = (uint8_t)kind;
  offer->turn = ingest->turn;
  return offer;
}

static void stand_still(struct tide_ingest *ingest, struct tide_ingest_part *part, bool broken, const struct tide_error *why) {
  const struct tide_ingest_source *from = tide_ingest_from(ingest, part->source, NULL);
  snprintf(part->trouble, sizeof part->trouble, "%s", why->text);
  part->broken = part->broken || broken;
  tide_log(TIDE_LOG_ERROR, "partition_stopped", "source=%s partition=%u reason=%s", from ? from->name : "?", part->partition, why->text);
  ingest->options.source->ops->stop(ingest->options.source, part->source, part->partition);
  tide_merge_stop(ingest->merge, part->source, part->partition, tide_mono_now());
}

/* Reads a partition from its cursor. */
static void seek(struct tide_ingest *ingest, struct tide_ingest_part *part) {
  struct tide_error error = {0};
  struct tide_source *source = ingest->options.source;
  enum tide_err err = source->ops->seek(source, part->source, part->partition, part->cursor, &error);
  if (err != TIDE_OK) stand_still(ingest, part, false, &error);
}

/* A partition that the journal does not know needs a START, and is read when that is counted. */
static void start(struct tide_ingest *ingest, struct tide_ingest_part *part) {
  struct tide_offer *offer = offer_new(ingest, TIDE_OFFER_CONTROL);
  struct tide_start record = {.source = part->source, .partition = part->partition, .cursor = part->cursor};
  tide_start_encode(&record, &offer->records);
  offer->record_count = 1;
  offer->part = (struct tide_cursor_part){.source = part->source, .partition = part->partition, .next = part->cursor};
  ingest->outstanding++;
  tide_engine_offer_all(ingest->engine, offer);
}

static void begin_part(struct tide_ingest *ingest, struct tide_ingest_part *part, struct tide_mono now) {
  tide_merge_add(ingest->merge, (struct tide_place){part->source, part->partition, part->cursor}, part->gates, now);
  if (part->recalls) tide_merge_recall(ingest->merge, &part->last);
  if (part->trouble[0]) {
    struct tide_error error = {0};
    snprintf(error.text, sizeof error.text, "%s", part->trouble);
    stand_still(ingest, part, part->broken, &error);
  } else {
    seek(ingest, part);
  }
}

static void pending_free(struct tide_ingest *ingest, struct tide_ingest_part *part) {
  if (!part->pending) return;
  tide_buf_release(&part->pending->bytes);
  tide_free(part->pending);
  part->pending = NULL;
  ingest->pending_count--;
}

static void forget_parts(struct tide_ingest *ingest) {
  for (size_t i = 0; i < ingest->part_count; i++) pending_free(ingest, &ingest->part[i]);
  tide_free(ingest->part);
  tide_free(ingest->place);
  ingest->part = NULL;
  ingest->place = NULL;
  ingest->part_count = ingest->place_room = 0;
}

static void end_turn(struct tide_ingest *ingest, struct tide_mono now) {
  struct tide_source *source = ingest->options.source;
  for (size_t i = 0; i < ingest->part_count; i++)
    if (ingest->part[i].known) source->ops->stop(source, ingest->part[i].source, ingest->part[i].partition);
  tide_merge_begin(ingest->merge, NULL, NULL, 0, now, drop);
  forget_parts(ingest);
  ingest->reading = false;
}

/* Partitions that the asker found for this turn: all of them at its beginning, new ones later. */
static void take_parts(struct tide_ingest *ingest, struct tide_ingest_part *part, size_t count, struct tide_mono now) {
  reserve(ingest, ingest->part_count + count);
  for (size_t i = 0; i < count; i++) {
    uint32_t *place = place_of(ingest, part[i].source, part[i].partition);
    if (*place) continue;
    struct tide_ingest_part *added = &ingest->part[ingest->part_count++];
    *added = part[i];
    *place = (uint32_t)ingest->part_count;
    if (added->known) begin_part(ingest, added, now);
    else start(ingest, added);
  }
  ingest->reading = true;
}

static void took_back(struct tide_ingest *ingest, struct tide_offer *offer, struct tide_mono now) {
  ingest->outstanding--;
  struct tide_ingest_part *part =
      offer->turn == ingest->turn && ingest->on ? part_of(ingest, offer->part.source, offer->part.partition) : NULL;
  if (part && offer->end == TIDE_END_done && offer->kind == TIDE_OFFER_MESSAGE) part->done = offer->part.next;
  if (part && offer->kind == TIDE_OFFER_CONTROL) {
    if (offer->end == TIDE_END_done) {
      part->known = true;
      begin_part(ingest, part, now);
    } else {
      start(ingest, part);
    }
  }
  spare(ingest, offer);
}

/* Takes what the other threads have left; false: quit. */
static bool take_box(struct tide_ingest *ingest, struct tide_mono now) {
  struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  bool quit = box->quit, fresh = box->fresh, has_ends = box->has_ends, reread = box->reread;
  box->fresh = box->has_ends = box->reread = false;
  bool changes = fresh && (!box->on || box->turn != ingest->turn || !ingest->on);
  bool on = box->on;
  uint64_t turn = box->turn;
  struct tide_offer *back = box->back;
  box->back = NULL;
  box->back_count = 0;
  struct tide_ingest_part *part = NULL;
  size_t parts = 0;
  if (box->has_parts && box->parts_turn == box->turn) part = box->part, parts = box->part_count;
  else tide_free(box->part);
  bool has_parts = part != NULL;
  box->part = NULL;
  box->has_parts = false;
  uint64_t *arrived = box->arrived;
  size_t arrived_count = box->arrived_count;
  box->arrived = NULL;
  box->arrived_count = box->arrived_cap = 0;
  struct tide_place *left = box->left;
  size_t left_count = box->left_count;
  box->left = NULL;
  box->left_count = box->left_cap = 0;
  struct tide_place *end = NULL;
  size_t end_count = box->end_count;
  struct tide_merge_ask ask = box->ask;
  if (has_ends) {
    end = box->end;
    box->end = NULL;
  }
  if (changes && on) {
    box->wants_places = true;
    (void)pthread_cond_signal(&box->asker);
  }
  tide_ingest_unlock(ingest);

  for (struct tide_offer *next; back; back = next) {
    next = back->next;
    took_back(ingest, back, now);
  }
  if (changes) {
    end_turn(ingest, now);
    ingest->turn = turn;
    ingest->on = on;
    ingest->places_at = now;
    tide_log(TIDE_LOG_INFO, on ? "ingest_begin" : "ingest_end", "turn=%" PRIu64, turn);
  }
  if (has_parts && ingest->on) take_parts(ingest, part, parts, now);
  tide_free(part);
  for (size_t i = 0; i < arrived_count; i++) tide_merge_free_hold(ingest->merge, arrived[i], now);
  tide_free(arrived);
  if (has_ends && ingest->reading) tide_merge_ends(ingest->merge, &ask, end, end_count, now);
  tide_free(end);
  if (left_count && ingest->options.commit) ingest->options.commit(ingest->options.source, left, left_count);
  tide_free(left);
  if (reread && ingest->on) tide_engine_tell(ingest->engine, &(struct tide_core_event){.kind = TIDE_CORE_REREAD, .turn = ingest->turn});
  return !quit;
}

/* The ends of all partitions that are read are asked when the merge wants to know them. */
static void ask_ends(struct tide_ingest *ingest, struct tide_mono now) {
  struct tide_merge_ask ask;
  if (!ingest->reading || !tide_merge_ask(ingest->merge, tide_wall_now(), now, &ask)) return;
  struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  TIDE_CHECK(!box->has_ends || box->end); /* one question of a merge at a time; one of a turn before may still be under way */
  tide_free(box->end);
  box->end = tide_alloc((ingest->part_count + 1) * sizeof *box->end);
  box->end_count = 0;
  for (size_t i = 0; i < ingest->part_count; i++)
    if (ingest->part[i].known) box->end[box->end_count++] = (struct tide_place){ingest->part[i].source, ingest->part[i].partition, 0};
  box->ask = ask;
  box->wants_ends = true;
  box->has_ends = false;
  (void)pthread_cond_signal(&box->asker);
  tide_ingest_unlock(ingest);
}

/* Gives the core what the merge releases. */
static bool give(struct tide_ingest *ingest, struct tide_mono now) {
  struct tide_offer *first = NULL, *last = NULL;
  struct tide_wall wall = tide_wall_now();
  size_t count = 0;
  struct tide_merge_item item;
  struct tide_cursor_part part;
  while (ingest->reading && count < GIVE_AT_ONCE && ingest->outstanding < TIDE_INGEST_WINDOW &&
         tide_merge_take(ingest->merge, wall, now, &item, &part)) {
    struct tide_offer *offer = item.ctx ? item.ctx : offer_new(ingest, TIDE_OFFER_MESSAGE);
    offer->part = part;
    offer->next = NULL;
    if (last) last->next = offer;
    else first = offer;
    last = offer;
    count++;
    ingest->outstanding++;
  }
  if (first) tide_engine_offer_all(ingest->engine, first);
  return first != NULL;
}

static bool is_too_early(const struct tide_ingest *ingest, const struct tide_record *record, struct tide_error *error) {
  if (record->type != TIDE_REC_EVENT || record->flags & TIDE_REC_STAMPED) return false;
  int64_t ahead_ms = record->time.ms - tide_wall_now().ms;
  if (ahead_ms <= ingest->options.max_future_skew_ms) return false;
  (void)tide_fail_at(error, TIDE_E_FUTURE, 0, 0, "time",
                     "the event is %" PRId64 " ms ahead of this machine's clock, at most %" PRId64 " are accepted", ahead_ms,
                     ingest->options.max_future_skew_ms);
  return true;
}

/* The partition gives nothing more until the schema of this message is there. Others go on: to the merge it is one that owes a message and is waited for like any other
 * that is slow, and what is known of it stands still, so what depends on it grows stale by itself. */
static void put_off(struct tide_ingest *ingest, struct tide_ingest_part *part, const struct tide_message *message, const char *why) {
  struct tide_ingest_pending *pending = part->pending;
  if (!pending) {
    const struct tide_ingest_source *from = tide_ingest_from(ingest, part->source, NULL);
    tide_log(TIDE_LOG_WARN, "schema_awaited", "source=%s partition=%u offset=%" PRIu64 " reason=%s", from->name, part->partition,
             message->offset, why);
    part->pending = pending = tide_alloc(sizeof *pending);
    pending->message = *message;
    tide_buf_put(&pending->bytes, message->bytes.ptr, message->bytes.len);
    if (message->trace.len) tide_buf_put(&pending->bytes, message->trace.ptr, message->trace.len);
    ingest->pending_count++;
    ingest->options.source->ops->stop(ingest->options.source, part->source, part->partition);
  }
  snprintf(pending->why, sizeof pending->why, "%s", why);
}

/* Decodes one message into the merge. False: its schema cannot be had now, and it was put off. */
static bool take_message(struct tide_ingest *ingest, const struct tide_message *message, const struct tide_error *too_long,
                         struct tide_ingest_part *part, struct tide_mono now) {
  size_t which = 0;
  const struct tide_ingest_source *from = tide_ingest_from(ingest, message->source, &which);
  TIDE_CHECK(from);
  struct tide_decoder *decoder = message->copy ? ingest->decoders->copy[which] : ingest->decoders->message[which];
  struct tide_merge_item item = {.source = message->source,
                                 .partition = message->partition,
                                 .offset = message->offset,
                                 .next = message->next,
                                 .time_ms = INT64_MIN,
                                 .append_ms = message->append_ms,
                                 .checksum = tide_ingest_checksum(message->bytes)};
  struct tide_error error = {0};
  int count = 0;
  struct tide_record *record = ingest->record;
  enum tide_err err = too_long ? TIDE_E_LIMIT : tide_decode(decoder, message->bytes, record, &count, &error);
  if (too_long) error = *too_long;
  if (err == TIDE_E_AGAIN) {
    put_off(ingest, part, message, error.text);
    return false;
  }
  struct tide_offer *offer = offer_new(ingest, TIDE_OFFER_MESSAGE);
  if (err == TIDE_OK && is_too_early(ingest, &record[0], &error)) err = TIDE_E_FUTURE;
  for (int i = 0; i < count && err == TIDE_OK; i++) {
    record[i].source = message->source;
    record[i].partition = message->partition;
    record[i].offset = message->offset;
    err = tide_record_encode(ingest->decoders->spec, &record[i], &offer->records);
    if (err != TIDE_OK) (void)tide_fail(&error, err, "the message's fields do not fit into one journal entry");
  }
  if (message->trace.len) tide_ingest_trace_put(ingest, message);
  if (err == TIDE_OK) {
    bool timed = record[0].time.ms != 0 && !(record[0].flags & TIDE_REC_STAMPED) &&
                 record[0].type != TIDE_REC_PROFILE; /* since when a fact is true says nothing of when it was told */
    item.time_ms = timed ? record[0].time.ms : message->append_ms;
    offer->record_count = (uint8_t)count;
    offer->features = ingest->decoders->spec->hash;
  } else {
    error.code = err;
    struct tide_meter_at at = {.a = (uint32_t)which, .b = (uint32_t)err};
    if (ingest->options.meter) tide_meter_add(ingest->options.meter, TIDE_METER_ROW_ingest_rejected_total, at, 1);
    tide_buf_clear(&offer->records);
    item.hold = tide_ingest_dead(ingest, message, from, decoder, &error);
  }
  item.ctx = offer;
  part->cursor = message->next;
  tide_merge_put(ingest->merge, &item, now);
  return true;
}

/* Messages that were put off, once more. */
static void try_pending(struct tide_ingest *ingest, struct tide_mono now) {
  if (!ingest->pending_count || now.ns - ingest->pending_at.ns < PENDING_EVERY_MS * MS) return;
  ingest->pending_at = now;
  for (size_t i = 0; i < ingest->part_count; i++) {
    struct tide_ingest_part *part = &ingest->part[i];
    if (!part->pending) continue;
    struct tide_message message = part->pending->message;
    struct tide_span all = tide_buf_span(&part->pending->bytes);
    message.bytes.ptr = all.ptr;
    message.trace.ptr = all.ptr + message.bytes.len;
    if (!take_message(ingest, &message, NULL, part, now)) continue;
    pending_free(ingest, part);
    if (!part->throttled) seek(ingest, part);
  }
}

static void trouble(struct tide_ingest *ingest, const struct tide_message *message) {
  struct tide_ingest_part *part = part_of(ingest, message->source, message->partition);
  if (part && message->stopped) {
    stand_still(ingest, part, message->trouble->code == TIDE_E_MISMATCH, message->trouble);
    return;
  }
  const struct tide_ingest_source *from = tide_ingest_from(ingest, message->source, NULL);
  tide_log(TIDE_LOG_WARN, "source_trouble", "source=%s partition=%u reason=%s", from ? from->name : "*", message->partition,
           message->trouble->text);
}

static void close_decoders(const struct tide_ingest *ingest, struct tide_ingest_decoders *decoders) {
  if (!decoders) return;
  for (size_t i = 0; i < ingest->options.from_count; i++) {
    tide_decoder_free(decoders->message[i]);
    tide_decoder_free(decoders->copy[i]);
  }
  tide_free(decoders->message);
  tide_free(decoders->copy);
  tide_free(decoders);
}

/* To the decoders of another feature file, if there are any. */
static void go_over(struct tide_ingest *ingest) {
  struct tide_ingest_decoders *next = atomic_exchange(&ingest->next_decoders, NULL);
  if (!next) return;
  close_decoders(ingest, ingest->decoders);
  ingest->decoders = next;
}

/* One message; false: there was none within the source's poll time. */
static bool read_one(struct tide_ingest *ingest, struct tide_mono now) {
  go_over(ingest);
  struct tide_message message;
  struct tide_error error = {0};
  struct tide_source *source = ingest->options.source;
  enum tide_err err = source->ops->next(source, &message, &error);
  bool too_long = err == TIDE_E_LIMIT; /* its place is known, its bytes are not given: a dead letter without them */
  if (err == TIDE_E_END) return false;
  if (err != TIDE_OK && !too_long) {
    tide_log(TIDE_LOG_WARN, "source_trouble", "reason=%s", error.text);
    return false;
  }
  if (too_long) message.kind = TIDE_MESSAGE_DATA, message.bytes = (struct tide_span){"", 0};
  if (message.kind == TIDE_MESSAGE_TROUBLE) {
    trouble(ingest, &message);
    return true;
  }
  struct tide_ingest_part *part = part_of(ingest, message.source, message.partition);
  if (!part || part->pending || message.next < part->cursor) return true; /* of a turn that is over, or read ahead */
  if (message.kind == TIDE_MESSAGE_DATA && message.next == part->cursor) return true;
  if (message.kind == TIDE_MESSAGE_DATA && message.mark && ingest->options.meter)
    tide_meter_add(ingest->options.meter, TIDE_METER_ROW_ingest_marks_total, TIDE_METER_PLAIN, 1);
  if (message.kind == TIDE_MESSAGE_END || message.mark) {
    part->cursor = message.next;
    tide_merge_at_end(ingest->merge, message.source, message.partition, message.next, now);
  } else {
    (void)take_message(ingest, &message, too_long ? &error : NULL, part, now);
  }
  return true;
}

/* A partition with its share of memory full is not read until half of that is free; the others are, for the merge may be waiting for one of them. */
static void throttle(struct tide_ingest *ingest, struct tide_mono now) {
  if (!ingest->reading || now.ns - ingest->throttle_at.ns < THROTTLE_EVERY_MS * MS) return;
  ingest->throttle_at = now;
  struct tide_source *source = ingest->options.source;
  size_t share = ingest->options.max_held / (ingest->part_count + 1) + 1;
  for (size_t i = 0; i < ingest->part_count; i++) {
    struct tide_ingest_part *part = &ingest->part[i];
    if (!part->known || part->trouble[0] || part->pending) continue;
    size_t held = tide_merge_held_of(ingest->merge, part->source, part->partition);
    if (!part->throttled && held > share) {
      part->throttled = true;
      source->ops->stop(source, part->source, part->partition);
    } else if (part->throttled && held < share / 2) {
      part->throttled = false;
      seek(ingest, part);
    }
  }
}

static void show(struct tide_ingest *ingest) {
  size_t count = tide_merge_look(ingest->merge, NULL, 0);
  struct tide_merge_view *view = tide_alloc((count + 1) * sizeof *view);
  count = tide_merge_look(ingest->merge, view, count);
  struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  if (box->look_cap < count) {
    box->look = tide_realloc(box->look, count * sizeof *box->look);
    box->look_cap = count;
  }
  box->look_count = count;
  for (size_t i = 0; i < count; i++) {
    const struct tide_ingest_part *part = part_of(ingest, view[i].source, view[i].partition);
    box->look[i].view = view[i];
    snprintf(box->look[i].trouble, sizeof box->look[i].trouble, "%s", !part ? "" : part->pending ? part->pending->why : part->trouble);
  }
  tide_ingest_unlock(ingest);
  tide_free(view);
}

/* Offsets that were counted and whose answers need not leave, or have left, are told to the log's own bookkeeping; partitions that stand still are tried again; new ones
 * are looked for. */
static void now_and_then(struct tide_ingest *ingest, struct tide_mono now) {
  if (now.ns - ingest->commit_at.ns >= COMMIT_EVERY_MS * MS) {
    ingest->commit_at = now;
    show(ingest);
    for (size_t i = 0; i < ingest->part_count && ingest->options.commit && !ingest->options.scores; i++) {
      struct tide_place place = {ingest->part[i].source, ingest->part[i].partition, ingest->part[i].done};
      if (ingest->part[i].done) ingest->options.commit(ingest->options.source, &place, 1);
      ingest->part[i].done = 0;
    }
  }
  if (now.ns - ingest->retry_at.ns >= RETRY_EVERY_MS * MS) {
    ingest->retry_at = now;
    for (size_t i = 0; i < ingest->part_count; i++) {
      struct tide_ingest_part *part = &ingest->part[i];
      if (!part->known || !part->trouble[0] || part->broken) continue;
      tide_ingest_reread(ingest); /* from the cursors again: the partition may have moved on elsewhere */
      break;
    }
  }
  if (ingest->reading && now.ns - ingest->places_at.ns >= PLACES_EVERY_MS * MS) {
    ingest->places_at = now;
    tide_ingest_lock(ingest);
    ingest->box.wants_places = true;
    (void)pthread_cond_signal(&ingest->box.asker);
    tide_ingest_unlock(ingest);
  }
}

void *tide_ingest_read_main(void *arg) {
  struct tide_ingest *ingest = arg;
  (void)pthread_setname_np(pthread_self(), "tide-read"); /* for top -H */
  for (;;) {
    struct tide_mono now = tide_mono_now();
    if (!take_box(ingest, now)) break;
    bool gave = give(ingest, now);
    ask_ends(ingest, now);
    now_and_then(ingest, now);
    try_pending(ingest, now);
    throttle(ingest, now);
    bool full = ingest->outstanding >= TIDE_INGEST_WINDOW; /* the core has enough for a while: what is read now would only lie there */
    if (ingest->reading && !full) {
      for (int i = 0; i < READ_AT_ONCE && read_one(ingest, now); i++) continue;
    } else if (!gave) {
      tide_ingest_lock(ingest);
      bool room = full && ingest->box.back_count >= BACK_AT_ONCE;
      if (!ingest->box.quit && !ingest->box.fresh && !room) tide_ingest_wait(&ingest->box.reader, ingest, ingest->on ? 2 : 20);
      tide_ingest_unlock(ingest);
    }
  }
  return NULL;
}

/* ---- outside ---- */

static enum tide_err open_decoders(const struct tide_ingest *ingest, const struct tide_spec *spec, struct tide_ingest_decoders **ret,
                                   struct tide_error *error) {
  size_t count = ingest->options.from_count;
  struct tide_ingest_decoders *decoders = tide_alloc(sizeof *decoders);
  *decoders = (struct tide_ingest_decoders){.spec = spec,
                                            .message = tide_alloc((count + 1) * sizeof(struct tide_decoder *)),
                                            .copy = tide_alloc((count + 1) * sizeof(struct tide_decoder *))};
  enum tide_err err = TIDE_OK;
  for (size_t i = 0; i < count && err == TIDE_OK; i++) {
    struct tide_decode_options options = ingest->options.from[i].decode;
    options.spec = spec;
    err = tide_decoder_new(&options, &decoders->message[i], error);
    options.time_optional = true; /* what came over HTTP without a time is stamped when it is counted, as it was there */
    if (err == TIDE_OK) err = tide_decoder_new(&options, &decoders->copy[i], error);
  }
  if (err == TIDE_OK) *ret = decoders;
  else close_decoders(ingest, decoders);
  return err;
}

enum tide_err tide_ingest_features(struct tide_ingest *ingest, const struct tide_spec *spec, struct tide_error *error) {
  struct tide_ingest_decoders *next;
  enum tide_err err = open_decoders(ingest, spec, &next, error);
  if (err == TIDE_OK) close_decoders(ingest, atomic_exchange(&ingest->next_decoders, next));
  return err;
}

enum tide_err tide_ingest_new(const struct tide_ingest_options *options, struct tide_ingest **ret, struct tide_error *error) {
  struct tide_ingest *ingest = tide_alloc(sizeof *ingest);
  ingest->options = *options;
  ingest->record = tide_alloc(2 * sizeof *ingest->record);
  ingest->merge = tide_merge_new(&options->merge);
  pthread_condattr_t attr;
  TIDE_CHECK(pthread_mutex_init(&ingest->box.mutex, NULL) == 0 && pthread_condattr_init(&attr) == 0 &&
             pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
  TIDE_CHECK(pthread_cond_init(&ingest->box.reader, &attr) == 0 && pthread_cond_init(&ingest->box.asker, &attr) == 0 &&
             pthread_cond_init(&ingest->box.writer, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
  enum tide_err err = open_decoders(ingest, options->spec, &ingest->decoders, error);
  if (err != TIDE_OK) {
    tide_ingest_free(ingest);
    return err;
  }
  *ret = ingest;
  return TIDE_OK;
}

void tide_ingest_start(struct tide_ingest *ingest, struct tide_engine *engine) {
  tide_ingest_lock(ingest); /* the engine may have asked for something already */
  ingest->engine = engine;
  ingest->started = true;
  tide_ingest_unlock(ingest);
  TIDE_CHECK(pthread_create(&ingest->reader, NULL, tide_ingest_read_main, ingest) == 0);
  TIDE_CHECK(pthread_create(&ingest->asker, NULL, tide_ingest_ask_main, ingest) == 0);
  TIDE_CHECK(pthread_create(&ingest->writer, NULL, tide_ingest_write_main, ingest) == 0);
}

void tide_ingest_stop(struct tide_ingest *ingest) {
  if (!ingest || !ingest->started) return;
  tide_ingest_lock(ingest);
  ingest->box.quit = true;
  (void)pthread_cond_broadcast(&ingest->box.reader);
  (void)pthread_cond_broadcast(&ingest->box.asker);
  (void)pthread_cond_broadcast(&ingest->box.writer);
  tide_ingest_unlock(ingest);
  TIDE_CHECK(pthread_join(ingest->reader, NULL) == 0 && pthread_join(ingest->asker, NULL) == 0 && pthread_join(ingest->writer, NULL) == 0);
  ingest->started = false;
}

static void free_offers(struct tide_offer *offer) {
  for (struct tide_offer *next; offer; offer = next) {
    next = offer->next;
    tide_offer_free(offer);
  }
}

void tide_ingest_free(struct tide_ingest *ingest) {
  if (!ingest) return;
  TIDE_CHECK(!ingest->started);
  struct tide_ingest_box *box = &ingest->box;
  tide_merge_free(ingest->merge, drop);
  free_offers(box->back);
  free_offers(ingest->spare);
  close_decoders(ingest, ingest->decoders);
  close_decoders(ingest, ingest->next_decoders);
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    tide_ingest_letters_release(&box->in[kind]);
    tide_ingest_letters_release(&ingest->out[kind]);
  }
  tide_free(ingest->record);
  forget_parts(ingest);
  tide_free(box->place);
  tide_free(box->end);
  tide_free(box->part);
  tide_free(box->arrived);
  tide_free(box->left);
  tide_free(box->look);
  tide_free(box->trace);
  (void)pthread_mutex_destroy(&box->mutex);
  (void)pthread_cond_destroy(&box->reader);
  (void)pthread_cond_destroy(&box->asker);
  (void)pthread_cond_destroy(&box->writer);
  tide_free(ingest);
}
