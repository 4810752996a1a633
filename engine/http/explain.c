/* POST /explain: a decision that is remembered, with what is behind it (order.h, core/explain.h).
 *
 * {"position": "7-48213.5"} names it by its place in the journal, as every answer and every line of the scores topic tells it: then nobody types a card
 * number. {"message": {...}} names it by its identity, in the form of POST /v1/decisions/lookup. Either way the event is read from the journal as it was
 * folded, where it still stands there, so that all its keys are known; and the core is asked what the state shows for it. It reads: nothing is counted,
 * no entity is made. The verdict is the stored one, the values are those of the state now, which may have changed since: exactly what was seen then says
 * `tidemark explain`, from the journal. Bounded: one at a time, the newest events of each entity, and no longer than an offer may take. */
#include "base/json_out.h"
#include "base/log.h"
#include "http/order.h"

#include <jansson.h>
#include <stdio.h>

#define READ_TIMEOUT_MS 3000

static bool bad(struct tide_order *order, const char *member, const char *what) {
  tide_trouble_set(&order->trouble, TIDE_PROBLEM_invalid_field, "%s: %s", member, what);
  tide_trouble_point(&order->trouble, "", member);
  return false;
}

/* "7-48213.5" */
static bool read_position(struct tide_order *order, const char *text, struct tide_position *ret, uint32_t *ret_index) {
  unsigned index;
  if (text && strchr(text, '.') && tide_http_position_parse(tide_span_of(text), ret) && sscanf(strchr(text, '.') + 1, "%u", &index) == 1) {
    *ret_index = index;
    return true;
  }
  return bad(order, "position", "the place of a decision as its answer tells it, as in \"7-48213.5\"");
}

/* The event with its index in an entry, encoded again on its own. */
static bool take_record(struct tide_order *order, struct tide_span entry, uint32_t index, struct tide_buf *out) {
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_error error = {0};
  bool found = false;
  enum tide_err err = tide_entry_open(&reader, entry, part, &error);
  while (err == TIDE_OK && !found && (err = tide_entry_next(&reader, &raw, &error)) == TIDE_OK)
    found = raw.type == TIDE_REC_EVENT && reader.index == index;
  const struct tide_spec *spec = atomic_load(&order->http->spec);
  struct tide_engine_rollout *in_force = tide_alloc(sizeof *in_force);
  tide_engine_rollout(order->http->engine, in_force);
  struct tide_u128 now = spec->hash;
  struct tide_buf text = TIDE_BUF_INIT;
  bool changed = tide_engine_features(order->http->engine, &now, &text); /* just now: this listener will know in a moment */
  bool other_file = found && (changed || reader.header.generation != in_force->generation);
  tide_buf_release(&text);
  tide_free(in_force);
  if (found && other_file)
    err = tide_fail(&error, TIDE_E_VERSION, "it was written under another feature file than the one in force: ask `tidemark explain`");
  else if (found) err = tide_record_decode(spec, &raw, record, &error);
  if (found && err == TIDE_OK) err = tide_record_encode(spec, record, out);
  tide_free(record);
  tide_free(part);
  if (found && err == TIDE_OK) return true;
  if (found) return tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "the entry cannot be read: %s", error.text);
  return tide_trouble_set(&order->trouble, TIDE_PROBLEM_unknown_decision, "there is no event at that place of the journal");
}

/* False with the trouble; *ret_gone, without one, where the entry is no longer in the journal. */
static bool read_entry(struct tide_order *order, struct tide_position at, uint32_t index, struct tide_buf *out, bool *ret_gone) {
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  enum tide_err err = tide_engine_read(order->http->engine, at, READ_TIMEOUT_MS, &entry, &error);
  bool good = err == TIDE_OK && take_record(order, tide_buf_span(&entry), index, out);
  *ret_gone = err == TIDE_E_NOT_FOUND;
  if (err != TIDE_OK && err != TIDE_E_NOT_FOUND)
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "the journal cannot be read: %s", error.text);
  tide_buf_release(&entry);
  return good;
}

/* Decodes the operator's message as a lookup does, into one encoded event. */
static bool take_message(struct tide_order *order, const json_t *message, struct tide_buf *out) {
  struct tide_http_request request = {.http = order->http, .route = &tide_routes[TIDE_ROUTE_lookup]};
  struct tide_http_item item = {.request = &request};
  struct tide_error error = {0};
  struct tide_http_decoder *decoder = tide_http_decoder_take(order->http, &error);
  TIDE_CHECK(decoder); /* one was made at start, and nothing has changed */
  char *text = json_dumps(message, JSON_COMPACT);
  TIDE_CHECK(text);
  tide_http_take_message(&item, decoder, tide_span_of(text), "/message");
  tide_http_decoder_give(order->http, decoder);
  explicit_bzero(text, strlen(text));
  free(text);
  if (item.offer) tide_buf_put(out, item.offer->records.ptr, item.offer->records.len);
  else order->trouble = item.trouble;
  bool good = item.offer != NULL;
  tide_offer_free(item.offer);
  return good;
}

static bool ask(struct tide_order *order, const struct tide_buf *record, struct tide_offer *offer) {
  offer->kind = TIDE_OFFER_EXPLAIN;
  tide_buf_clear(&offer->records);
  tide_buf_put(&offer->records, record->ptr, record->len);
  if (!tide_order_offer(order, offer)) return false;
  if (offer->end != TIDE_END_answered)
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "%s; nothing was read",
                            tide_cause_text((enum tide_cause)offer->cause));
  if (offer->answer.len) return true;
  return tide_trouble_set(
      &order->trouble, TIDE_PROBLEM_unknown_decision,
      "no decision on this transaction is remembered; decisions are kept for duplicates_for, and only those that were asked for");
}

/* An id that was used twice leads to the other's decision: then what is shown is not what was asked for. */
static bool is_at(struct tide_order *order, const struct tide_offer *offer, struct tide_position at, uint32_t index) {
  if (tide_position_cmp(offer->position, at) == 0 && offer->index == index) return true;
  return tide_trouble_set(
      &order->trouble, TIDE_PROBLEM_unknown_decision,
      "the decision on that id that is remembered was made at another place: it was a repetition, or the id was used again");
}

static void explain(struct tide_order *order, struct tide_buf *record, bool by_place, struct tide_position at, uint32_t index) {
  struct tide_offer *offer = tide_offer_new();
  bool gone = false, whole = by_place, good = true;
  if (!by_place) good = ask(order, record, offer);
  if (!by_place) at = offer->position, index = offer->index;
  if (good && !by_place) { /* the event itself knows more than whoever asks for it */
    struct tide_buf own = TIDE_BUF_INIT;
    whole = read_entry(order, at, index, &own, &gone);
    if (whole) tide_buf_clear(record), tide_buf_put(record, own.ptr, own.len);
    tide_buf_release(&own);
    good = whole || gone;
  }
  if (good && ask(order, record, offer) && (!by_place || is_at(order, offer, at, index))) {
    tide_buf_put(&order->answer, offer->answer.ptr, offer->answer.len - 1);
    tide_json_key(&order->answer, "complete");
    tide_json_bool(&order->answer, whole);
    tide_json_close(&order->answer, '}');
  }
  tide_offer_free(offer);
}

void tide_explain_carry_out(struct tide_order *order) {
  json_t *body = json_loadb(order->body.ptr, order->body.len, JSON_REJECT_DUPLICATES, NULL);
  const json_t *message = json_object_get(body, "message"), *position = json_object_get(body, "position");
  struct tide_position at = {0, 0};
  uint32_t index = 0;
  struct tide_buf record = TIDE_BUF_INIT;
  bool gone = false, good = false;
  if (!json_is_object(body) || json_object_size(body) != 1 || (!message && !position))
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_malformed, "the body must be one JSON object with either position or message");
  else if (position) good = read_position(order, json_string_value(position), &at, &index) && read_entry(order, at, index, &record, &gone);
  else
    good = json_is_object(message) ? take_message(order, message, &record)
                                   : bad(order, "message", "an object, as POST /v1/decisions/lookup takes it");
  if (gone)
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_unknown_decision,
                     "the journal does not hold that place any more, or never did; `tidemark explain` reads the archive as well");
  if (good) explain(order, &record, position != NULL, at, index);
  if (record.len) explicit_bzero(record.ptr, record.len);
  tide_buf_release(&record);
  json_decref(body);
  tide_log(TIDE_LOG_INFO, "explained", "client=%s found=%s", order->caller.name[0] ? order->caller.name : "unknown",
           order->trouble.problem == TIDE_PROBLEM_none ? "yes" : "no");
}
