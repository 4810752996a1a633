/* The writer of the ingester: letters leave in the order of their making and are sent again until they have arrived.
 *
 * Answers must not be lost: the core is told that they have left up to a number only when each one up to it has arrived. A dead letter frees its message's
 * place in the merge when it has arrived. The copy of a request is sent once: if it fails, the request ends `maybe`, and its caller asks again. */
#include "run/ingest_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"

#define REPORTS_AT_ONCE 512
#define BURST_MS 500
#define BURST_BYTES (2u << 20)
#define HEADERS_MAX 12
#define KIND_SHIFT 60

/* ---- rings ---- */

static struct tide_ingest_letter *letter_at(const struct tide_ingest_letters *letters, size_t i) {
  return &letters->letter[(letters->first + i) & (letters->cap - 1)];
}

static struct tide_ingest_letter *letter_add(struct tide_ingest_letters *letters) {
  if (letters->count == letters->cap) {
    size_t cap = letters->cap ? letters->cap * 2 : 64;
    struct tide_ingest_letter *grown = tide_alloc(cap * sizeof *grown);
    for (size_t i = 0; i < letters->cap; i++) grown[i] = *letter_at(letters, i);
    tide_free(letters->letter);
    letters->letter = grown;
    letters->cap = cap;
    letters->first = 0;
  }
  struct tide_ingest_letter *letter = letter_at(letters, letters->count++);
  struct tide_buf bytes = letter->bytes;
  *letter = (struct tide_ingest_letter){.bytes = bytes};
  tide_buf_clear(&letter->bytes);
  return letter;
}

static void letter_pop(struct tide_ingest_letters *letters) {
  letters->first = (letters->first + 1) & (letters->cap - 1);
  letters->first_token++;
  letters->count--;
  if (letters->sent) letters->sent--;
}

void tide_ingest_letters_release(struct tide_ingest_letters *letters) {
  for (size_t i = 0; i < letters->cap; i++) tide_buf_release(&letters->letter[i].bytes);
  tide_free(letters->letter);
  *letters = (struct tide_ingest_letters){0};
}

/* ---- making letters, with the box locked ---- */

struct tide_ingest_letter *tide_ingest_letter_begin(struct tide_ingest *ingest, enum tide_letter_kind kind, struct tide_span key,
                                                    struct tide_span value) {
  struct tide_ingest_letter *letter = letter_add(&ingest->box.in[kind]);
  tide_put_span(&letter->bytes, key);
  tide_put_span(&letter->bytes, value);
  if (ingest->box.in[kind].count == 1) (void)pthread_cond_signal(&ingest->box.writer); /* else it has been told, and takes all at once */
  return letter;
}

void tide_ingest_letter_header(struct tide_ingest_letter *letter, const char *name, struct tide_span value) {
  tide_put_span(&letter->bytes, (struct tide_span){name, strlen(name) + 1}); /* the zero byte goes with it */
  tide_put_span(&letter->bytes, value);
}

static void header_text(struct tide_ingest_letter *letter, const char *name, const char *text) {
  tide_ingest_letter_header(letter, name, (struct tide_span){text, strlen(text)});
}

static void header_number(struct tide_ingest_letter *letter, const char *name, uint64_t number) {
  char text[24];
  tide_ingest_letter_header(letter, name, (struct tide_span){text, (size_t)(tide_digits(text, number) - text)});
}

static void header_place(const struct tide_ingest *ingest, struct tide_ingest_letter *letter, uint16_t source, uint16_t partition,
                         uint64_t offset) {
  const struct tide_ingest_source *from = tide_ingest_from(ingest, source, NULL);
  if (from) header_text(letter, "tidemark-source", from->name);
  header_number(letter, "tidemark-partition", partition);
  header_number(letter, "tidemark-offset", offset);
}

/* ---- traces ---- */

/* Neighbours of a partition have neighbouring places, so that those that are under way at one time seldom meet. */
static struct tide_ingest_trace *trace_of(const struct tide_ingest_box *box, uint16_t source, uint16_t partition, uint64_t offset) {
  uint32_t of = (uint32_t)source << 16 | partition;
  return &box->trace[(tide_hash64(&of, sizeof of, 0) + offset) & (TIDE_INGEST_TRACES - 1)];
}

void tide_ingest_trace_put(struct tide_ingest *ingest, const struct tide_message *message) {
  struct tide_ingest_box *box = &ingest->box;
  if (message->trace.len > sizeof box->trace->text) return; /* not one that the standard admits */
  tide_ingest_lock(ingest);
  if (!box->trace) box->trace = tide_alloc(TIDE_INGEST_TRACES * sizeof *box->trace);
  struct tide_ingest_trace *trace = trace_of(box, message->source, message->partition, message->offset);
  trace->source = message->source;
  trace->partition = message->partition;
  trace->offset = message->offset;
  trace->len = (uint8_t)message->trace.len;
  memcpy(trace->text, message->trace.ptr, message->trace.len);
  tide_ingest_unlock(ingest);
}

static void header_trace(const struct tide_ingest *ingest, struct tide_ingest_letter *letter, const struct tide_outgoing *out) {
  const struct tide_ingest_box *box = &ingest->box;
  if (!box->trace) return;
  const struct tide_ingest_trace *trace = trace_of(box, out->source, out->partition, out->offset);
  if (trace->len && trace->offset == out->offset && trace->source == out->source && trace->partition == out->partition)
    tide_ingest_letter_header(letter, "traceparent", (struct tide_span){trace->text, trace->len});
}

/* ---- the three kinds ---- */

void tide_ingest_emit(struct tide_ingest *ingest, const struct tide_core_action *action) {
  const struct tide_outgoing *out = &action->outgoing;
  char position[TIDE_POSITION_TEXT];
  struct tide_ingest_letter *letter = tide_ingest_letter_begin(ingest, TIDE_LETTER_SCORE, out->id, out->json);
  letter->number = out->number;
  letter->turn = action->turn;
  letter->source = out->source;
  letter->partition = out->partition;
  letter->offset = out->offset;
  header_text(letter, "tidemark-position", tide_position_text(out->position, out->index, position));
  tide_ingest_letter_header(letter, "tidemark-policy", out->policy);
  if (out->features.len) tide_ingest_letter_header(letter, "tidemark-features", out->features);
  if (out->model.len) tide_ingest_letter_header(letter, "tidemark-model", out->model);
  if (out->superseded) {
    header_text(letter, "tidemark-supersedes", "true");
    header_number(letter, "tidemark-epoch", out->epoch);
  }
  header_place(ingest, letter, out->source, out->partition, out->offset);
  header_trace(ingest, letter, out);
  if (!out->late) return;
  letter = tide_ingest_letter_begin(ingest, TIDE_LETTER_DEAD, out->id, out->json);
  header_text(letter, "tidemark-reason", "late");
  header_place(ingest, letter, out->source, out->partition, out->offset);
}

void tide_ingest_copy(struct tide_ingest *ingest, const struct tide_core_action *action) {
  const struct tide_offer *offer = action->offer;
  struct tide_ingest_letter *letter = tide_ingest_letter_begin(ingest, TIDE_LETTER_COPY, offer->copy_key, offer->copy);
  letter->number = action->number;
  header_text(letter, "tidemark-copy", "1");
}

uint64_t tide_ingest_dead(struct tide_ingest *ingest, const struct tide_message *message, const struct tide_ingest_source *from,
                          struct tide_decoder *decoder, const struct tide_error *why) {
  if (!ingest->options.outlet) return 0;
  struct tide_buf masked = TIDE_BUF_INIT;
  struct tide_span value = {"", 0};
  if (ingest->options.dead_form == TIDE_DEAD_FORM_original) value = message->bytes;
  if (ingest->options.dead_form == TIDE_DEAD_FORM_masked) {
    tide_decode_mask(decoder, message->bytes, &masked);
    value = tide_buf_span(&masked);
  }
  tide_ingest_lock(ingest);
  struct tide_ingest_letter *letter = tide_ingest_letter_begin(ingest, TIDE_LETTER_DEAD, (struct tide_span){"", 0}, value);
  letter->number = ++ingest->holds;
  header_text(letter, "tidemark-reason", tide_err_name(why->code));
  if (why->field[0]) header_text(letter, "tidemark-field", why->field);
  header_text(letter, "tidemark-text", why->text);
  header_place(ingest, letter, message->source, message->partition, message->offset);
  if (message->trace.len) tide_ingest_letter_header(letter, "traceparent", message->trace);
  tide_ingest_unlock(ingest);
  tide_buf_release(&masked);
  tide_log(TIDE_LOG_WARN, "message_rejected", "source=%s partition=%u offset=%" PRIu64 " field=%s reason=%s", from->name,
           message->partition, message->offset, why->field, tide_err_name(why->code));
  return ingest->holds;
}

/* ---- the thread ---- */

static void unpack(const struct tide_ingest_letter *letter, struct tide_letter *ret, struct tide_letter_header header[HEADERS_MAX]) {
  struct tide_reader r = tide_reader_of(tide_buf_span(&letter->bytes));
  ret->key = tide_get_span(&r);
  ret->value = tide_get_span(&r);
  ret->header = header;
  ret->header_count = 0;
  while (r.ptr != r.end) {
    TIDE_CHECK(ret->header_count < HEADERS_MAX && !r.bad);
    header[ret->header_count].name = tide_get_span(&r).ptr;
    header[ret->header_count++].value = tide_get_span(&r);
  }
  TIDE_CHECK(!r.bad);
}

static void failed(struct tide_ingest *ingest, int kind, const struct tide_ingest_letter *letter, const struct tide_error *error) {
  static const char *const names[TIDE_LETTER_KIND_COUNT] = {"score", "dead_letter", "copy"};
  const struct tide_ingest_source *from = tide_ingest_from(ingest, letter->source, NULL);
  tide_log(TIDE_LOG_ERROR, "letter_failed", "kind=%s source=%s partition=%u offset=%" PRIu64 " reason=%s", names[kind],
           from ? from->name : "", letter->partition, letter->offset, error->text);
}

static void count(const struct tide_ingest *ingest, int kind, enum tide_ingest_result result) {
  struct tide_meter_at at = {.a = (uint32_t)kind, .b = result};
  if (ingest->options.meter) tide_meter_add(ingest->options.meter, TIDE_METER_ROW_ingest_letters_total, at, 1);
}

static void tell_copy(struct tide_ingest *ingest, const struct tide_ingest_letter *letter, enum tide_err err) {
  tide_engine_tell(ingest->engine, &(struct tide_core_event){.kind = TIDE_CORE_LOGGED, .number = letter->number, .err = err});
}

/* Hands over what waits, a burst at most and as much as the outlet takes. */
static void send_some(struct tide_ingest *ingest, int kind, uint64_t turn) {
  struct tide_ingest_letters *letters = &ingest->out[kind];
  struct tide_outlet *outlet = ingest->options.outlet;
  for (size_t bytes = 0; letters->sent < letters->count && bytes < BURST_BYTES; letters->sent++) {
    struct tide_ingest_letter *letter = letter_at(letters, letters->sent);
    if (letter->state != TIDE_LETTER_waits) continue;
    if (kind == TIDE_LETTER_SCORE && letter->turn != turn) { /* a new epoch begins with it again, or another engine */
      letter->state = TIDE_LETTER_arrived;
      continue;
    }
    struct tide_letter_header header[HEADERS_MAX];
    struct tide_letter out = {.kind = (uint8_t)kind, .token = (uint64_t)kind << KIND_SHIFT | (letters->first_token + letters->sent)};
    struct tide_error error = {0};
    unpack(letter, &out, header);
    enum tide_err err = outlet->ops->send(outlet, &out, &error);
    if (err == TIDE_E_AGAIN) return;
    letter->state = TIDE_LETTER_sent;
    if (err == TIDE_OK) {
      letters->under_way++;
      bytes += letter->bytes.len;
      continue;
    }
    failed(ingest, kind, letter, &error);
    count(ingest, kind, err == TIDE_E_IO ? TIDE_INGEST_RESULT_failed : TIDE_INGEST_RESULT_dropped);
    if (err == TIDE_E_IO) {
      letter->state = TIDE_LETTER_waits;
      return;
    }
    letter->state = TIDE_LETTER_arrived; /* too long, or no place for it: it never will. Said, and not waited for */
    if (kind == TIDE_LETTER_COPY) tell_copy(ingest, letter, err);
  }
}

static void take_report(struct tide_ingest *ingest, const struct tide_delivery *delivery) {
  struct tide_ingest_letters *letters = &ingest->out[delivery->kind];
  uint64_t token = delivery->token & ((UINT64_C(1) << KIND_SHIFT) - 1);
  TIDE_CHECK(delivery->kind < TIDE_LETTER_KIND_COUNT && token >= letters->first_token && token - letters->first_token < letters->count);
  size_t at = (size_t)(token - letters->first_token);
  struct tide_ingest_letter *letter = letter_at(letters, at);
  bool once = delivery->kind == TIDE_LETTER_COPY;
  TIDE_CHECK(letters->under_way > 0);
  letters->under_way--;
  if (delivery->err != TIDE_OK) failed(ingest, delivery->kind, letter, &delivery->error);
  count(ingest, delivery->kind, delivery->err == TIDE_OK ? TIDE_INGEST_RESULT_arrived : TIDE_INGEST_RESULT_failed);
  letter->state = delivery->err == TIDE_OK || once ? TIDE_LETTER_arrived : TIDE_LETTER_waits;
  if (letter->state == TIDE_LETTER_waits && letters->sent > at) letters->sent = at;
  if (once) tell_copy(ingest, letter, delivery->err);
}

static void left_add(struct tide_ingest_box *box, const struct tide_ingest_letter *letter) {
  for (size_t i = 0; i < box->left_count; i++) {
    if (box->left[i].source != letter->source || box->left[i].partition != letter->partition) continue;
    if (box->left[i].cursor < letter->offset + 1) box->left[i].cursor = letter->offset + 1;
    return;
  }
  if (box->left_count == box->left_cap) {
    box->left_cap = box->left_cap ? box->left_cap * 2 : 16;
    box->left = tide_realloc(box->left, box->left_cap * sizeof *box->left);
  }
  box->left[box->left_count++] = (struct tide_place){letter->source, letter->partition, letter->offset + 1};
}

static void arrived_add(struct tide_ingest_box *box, uint64_t hold) {
  if (box->arrived_count == box->arrived_cap) {
    box->arrived_cap = box->arrived_cap ? box->arrived_cap * 2 : 16;
    box->arrived = tide_realloc(box->arrived, box->arrived_cap * sizeof *box->arrived);
  }
  box->arrived[box->arrived_count++] = hold;
}

/* What has arrived from the front on is over. Dead letters are freed one by one, wherever they stand. */
static void settle(struct tide_ingest *ingest, uint64_t turn) {
  struct tide_ingest_box *box = &ingest->box;
  uint64_t left = 0;
  tide_ingest_lock(ingest);
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    struct tide_ingest_letters *letters = &ingest->out[kind];
    for (size_t i = 0; kind == TIDE_LETTER_DEAD && i < letters->count; i++) {
      struct tide_ingest_letter *letter = letter_at(letters, i);
      if (letter->state == TIDE_LETTER_arrived && letter->number) arrived_add(box, letter->number);
      if (letter->state == TIDE_LETTER_arrived) letter->number = 0;
    }
    while (letters->count && letter_at(letters, 0)->state == TIDE_LETTER_arrived) {
      const struct tide_ingest_letter *letter = letter_at(letters, 0);
      if (kind == TIDE_LETTER_SCORE && letter->turn == turn) {
        left = letter->number;
        left_add(box, letter);
      }
      letter_pop(letters);
    }
  }
  if (box->arrived_count) (void)pthread_cond_signal(&box->reader);
  tide_ingest_unlock(ingest);
  if (left) tide_engine_tell(ingest->engine, &(struct tide_core_event){.kind = TIDE_CORE_LEFT, .turn = turn, .number = left});
}

/* Takes new letters over; false: quit. */
static bool take_letters(struct tide_ingest *ingest, bool wait, uint64_t *ret_turn) {
  struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  bool none = true;
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) none = none && !box->in[kind].count;
  if (none && wait && !box->quit) tide_ingest_wait(&box->writer, ingest, 100);
  for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
    struct tide_ingest_letters *in = &box->in[kind];
    for (; in->count; letter_pop(in)) {
      struct tide_ingest_letter *from = letter_at(in, 0), *to = letter_add(&ingest->out[kind]), kept = *to;
      *to = *from;
      from->bytes = kept.bytes;
    }
  }
  bool go_on = !box->quit;
  *ret_turn = box->emit_turn;
  tide_ingest_unlock(ingest);
  return go_on;
}

/* Answers leave in bursts, one after another: while one is under way the next grows, so a slow broker gets few large requests and a fast one many small ones, and
 * nobody has to choose between a long linger and a busy broker. It is waited for BURST_MS, for a partition without a leader must not keep the others. Not less: what
 * librdkafka 2.0 cannot send because five requests to the broker are under way already makes it poll without rest until one of them is answered. */
static bool may_send(const struct tide_ingest_letters *letters, int kind, struct tide_mono burst_at) {
  if (kind != TIDE_LETTER_SCORE || !letters->under_way) return true;
  return tide_mono_now().ns - burst_at.ns >= BURST_MS * INT64_C(1000000);
}

void *tide_ingest_write_main(void *arg) {
  struct tide_ingest *ingest = arg;
  (void)pthread_setname_np(pthread_self(), "tide-write"); /* for top -H */
  struct tide_outlet *outlet = ingest->options.outlet;
  struct tide_delivery *delivery = tide_alloc(REPORTS_AT_ONCE * sizeof *delivery);
  bool idle = true;
  uint64_t turn = 0;
  struct tide_mono burst_at = {0};
  while (take_letters(ingest, idle, &turn)) {
    size_t under_way = 0;
    for (int kind = 0; kind < TIDE_LETTER_KIND_COUNT; kind++) {
      struct tide_ingest_letters *letters = &ingest->out[kind];
      under_way += letters->count;
      if (!may_send(letters, kind, burst_at)) continue;
      if (kind == TIDE_LETTER_SCORE && letters->sent < letters->count) burst_at = tide_mono_now();
      send_some(ingest, kind, turn);
    }
    idle = under_way == 0;
    if (idle) continue;
    size_t count = outlet->ops->reports(outlet, 1, delivery, REPORTS_AT_ONCE);
    for (size_t i = 0; i < count; i++) take_report(ingest, &delivery[i]);
    settle(ingest, turn);
  }
  tide_free(delivery);
  return NULL;
}
