/* One message on its way in: decoded, checked for its route, encoded as records, offered (parts.h).
 *
 * All checks that can be made without the state are made here, on the HTTP thread, so that the core sees only what it can journal. What is checked is: the
 * message itself (the decoder), its options, that it is the kind of record the route is for, that an event that asks for a decision can get one, that its time is
 * not ahead of the clock. */
#include "feature/fields.h"
#include "http/parts.h"

/* ---- decoders ---- */

static void lock(struct tide_http *http) {
  int failed = pthread_mutex_lock(&http->decoders_mutex);
  TIDE_CHECK(failed == 0);
}
static void unlock(struct tide_http *http) {
  int failed = pthread_mutex_unlock(&http->decoders_mutex);
  TIDE_CHECK(failed == 0);
}

void tide_http_decoder_free(struct tide_http_decoder *decoder) {
  tide_decoder_free(decoder->message);
  tide_decoder_free(decoder->question);
  tide_free(decoder);
}

static struct tide_http_decoder *decoder_new(const struct tide_http *http, const struct tide_spec *spec, struct tide_error *error) {
  struct tide_decode_options options = {
      .spec = spec, .key = http->options.key, .key_alt = http->options.key_previous, .time_optional = true, .beside = "/options"};
  struct tide_http_decoder *decoder = tide_alloc(sizeof *decoder);
  decoder->spec = spec;
  enum tide_err err = tide_decoder_new(&options, &decoder->message, error);
  options.all_optional = true;
  if (err == TIDE_OK) err = tide_decoder_new(&options, &decoder->question, error);
  if (err == TIDE_OK) return decoder;
  tide_http_decoder_free(decoder);
  return NULL;
}

/* One of the feature file in force; those of an earlier one go on their way. */
struct tide_http_decoder *tide_http_decoder_take(struct tide_http *http, struct tide_error *error) {
  const struct tide_spec *spec = atomic_load(&http->spec);
  lock(http);
  struct tide_http_decoder *decoder = http->decoders;
  if (decoder) http->decoders = decoder->next;
  unlock(http);
  if (decoder && decoder->spec == spec) return decoder;
  if (decoder) tide_http_decoder_free(decoder);
  return decoder_new(http, spec, error);
}

void tide_http_decoder_give(struct tide_http *http, struct tide_http_decoder *decoder) {
  lock(http);
  decoder->next = http->decoders;
  http->decoders = decoder;
  unlock(http);
}

/* ---- checks ---- */

static const char *record_name(unsigned type) {
  switch ((enum tide_record_type)type) {
    case TIDE_REC_EVENT: return "event";
    case TIDE_REC_OUTCOME: return "outcome or label";
    case TIDE_REC_RATE: return "rate";
    case TIDE_REC_LIST: return "list entry";
    case TIDE_REC_HEARTBEAT: return "heartbeat";
    case TIDE_REC_PROFILE: return "profile";
    default: return "control record";
  }
}

static bool asks_for_decision(const struct tide_spec *spec, const struct tide_record *record) {
  if (!spec->score) return true;
  struct tide_value field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT] = {{0}};
  tide_fields_values(spec, record->field, field);
  if (spec->f_amount != TIDE_NONE) dyn[TIDE_DYN_amount_now] = field[spec->f_amount];
  struct tide_env env = {.field = field, .dyn = dyn, .time = record->time};
  struct tide_value value = tide_expr_eval(spec->score, &env);
  return value.type == TIDE_V_BOOL && value.yes;
}

static bool check_kind(struct tide_http_item *item, const struct tide_record *record) {
  const struct tide_route *route = item->request->route;
  struct tide_trouble *trouble = &item->trouble;
  if (route->id == TIDE_ROUTE_outcomes) {
    if (record->type == TIDE_REC_OUTCOME) return true;
    return tide_trouble_set(trouble, TIDE_PROBLEM_wrong_record, "the message is of kind %s; this route takes outcomes and labels",
                            record_name(record->type));
  }
  if (route->id == TIDE_ROUTE_profiles) {
    if (record->type == TIDE_REC_PROFILE) return true;
    return tide_trouble_set(trouble, TIDE_PROBLEM_wrong_record,
                            "the message is of kind %s; this route takes profiles (a shape of `type: profile` in the feature file)",
                            record_name(record->type));
  }
  if (record->type != TIDE_REC_EVENT)
    return tide_trouble_set(trouble, TIDE_PROBLEM_wrong_record, "the message is of kind %s; this route takes events%s",
                            record_name(record->type),
                            record->type == TIDE_REC_OUTCOME   ? ", outcomes go to /v1/outcomes"
                            : record->type == TIDE_REC_PROFILE ? ", profiles go to /v1/profiles"
                                                               : "");
  item->scores = asks_for_decision(item->spec, record);
  bool wants = route->id == TIDE_ROUTE_score || route->id == TIDE_ROUTE_score_batch;
  if (wants && !item->scores)
    return tide_trouble_set(trouble, TIDE_PROBLEM_no_decision,
                            "`score:` of the feature file does not ask for a decision on this event; to count it, post it to /v1/events");
  return true;
}

static bool point_at_field(struct tide_http_item *item, const struct tide_decoder *decoder, uint32_t field, const char *prefix) {
  const struct tide_spec *spec = item->spec;
  const char *place = tide_decode_place(decoder, spec->field[field].name);
  if (place || prefix[0]) tide_trouble_point(&item->trouble, prefix, place);
  return false;
}

/* A lookup, and a transaction that is copied, needs an identity and the key of the entity that remembers it. */
static bool check_identity(struct tide_http_item *item, const struct tide_decoder *decoder, const struct tide_record *record,
                           const char *prefix) {
  const struct tide_spec *spec = item->spec;
  bool alias = spec->alias_count > 0;
  for (uint32_t i = 0; i < spec->alias_count; i++) alias = alias && record->field[spec->alias[i]].kind != TIDE_D_NONE;
  for (uint32_t i = 0; i < spec->id_count && !alias; i++) {
    if (record->field[spec->id[i]].kind != TIDE_D_NONE) continue;
    tide_trouble_set(&item->trouble, TIDE_PROBLEM_missing_field, "a transaction is known by its id, and %s is missing",
                     spec->field[spec->id[i]].name);
    return point_at_field(item, decoder, spec->id[i], prefix);
  }
  const struct tide_entity *primary = &spec->entity[0];
  uint32_t missing = TIDE_NONE;
  bool any = false;
  for (uint32_t i = 0; i < primary->part_count; i++) {
    bool there = record->field[primary->part[i].ref].kind != TIDE_D_NONE; /* parts of the first entity are fields */
    if (there) any = true;
    else missing = primary->part[i].ref;
  }
  if (missing == TIDE_NONE || (primary->first_of && any)) return true;
  tide_trouble_set(&item->trouble, TIDE_PROBLEM_missing_field, "a transaction is remembered under its %s, and %s is missing", primary->name,
                   spec->field[missing].name);
  return point_at_field(item, decoder, missing, prefix);
}

/* A copy of it is told again when it is read from the log: with a time of its own it says the same then, stamped it would be news. */
static bool check_copied(struct tide_http_item *item, const struct tide_decoder *decoder, const struct tide_record *record,
                         const char *prefix) {
  const struct tide_spec *spec = item->spec;
  if (record->type != TIDE_REC_PROFILE) return check_identity(item, decoder, record, prefix);
  if (!(record->flags & TIDE_REC_STAMPED)) return true;
  tide_trouble_set(&item->trouble, TIDE_PROBLEM_missing_field,
                   "since when is true what the profile tells? Requests are copied into the sources' log here, so %s cannot be left out",
                   spec->field[spec->f_time].name);
  return point_at_field(item, decoder, spec->f_time, prefix);
}

static bool check_time(struct tide_http_item *item, const struct tide_decoder *decoder, const struct tide_record *record,
                       const char *prefix) {
  const struct tide_http *http = item->request->http;
  if (record->type != TIDE_REC_EVENT || record->flags & TIDE_REC_STAMPED) return true;
  int64_t ahead_ms = record->time.ms - tide_wall_now().ms;
  if (ahead_ms <= http->limits.max_future_skew_ms) return true;
  tide_trouble_set(&item->trouble, TIDE_PROBLEM_future,
                   "the event is %lld ms ahead of this machine's clock, at most %lld are accepted; leave the time out to have it stamped",
                   (long long)ahead_ms, (long long)http->limits.max_future_skew_ms);
  return point_at_field(item, decoder, item->spec->f_time, prefix);
}

/* ---- making the offer ---- */

static unsigned answer_flags(const struct tide_http_item *item) {
  switch ((enum tide_route_id)item->request->route->id) {
    case TIDE_ROUTE_features: return TIDE_ANSWER_VALUES | TIDE_ANSWER_FRESHNESS;
    case TIDE_ROUTE_events: return TIDE_ANSWER_RECEIPT;
    default: break;
  }
  return TIDE_ANSWER_FRESHNESS | (item->ask.explain == TIDE_EXPLAIN_none ? TIDE_ANSWER_NO_REASONS : 0) |
         (item->ask.explain == TIDE_EXPLAIN_full ? TIDE_ANSWER_FEATURES : 0);
}

/* A question's time is now, unless it says another: the state's own clock stands still while nothing is journaled. It stays marked as one without a time, for now is
 * never before what the fold has stamped. */
static void set_question_time(const struct tide_http_item *item, struct tide_record *record) {
  const struct tide_spec *spec = item->spec;
  if (!item->ask.has_at && !(record->flags & TIDE_REC_STAMPED)) return;
  record->time.ms = item->ask.has_at ? item->ask.at_ms : tide_wall_now().ms;
  if (item->ask.has_at) record->flags &= (uint8_t)~TIDE_REC_STAMPED;
  record->field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = record->time.ms};
}

uint8_t tide_http_priority(enum tide_route_id route) {
  bool low = route == TIDE_ROUTE_events || route == TIDE_ROUTE_outcomes || route == TIDE_ROUTE_profiles || route == TIDE_ROUTE_score_batch;
  return low ? TIDE_PRIORITY_LOW : TIDE_PRIORITY_HIGH;
}

static bool make_offer(struct tide_http_item *item, struct tide_record *record, int count, struct tide_span message, const char *prefix) {
  const struct tide_http_request *request = item->request;
  const struct tide_spec *spec = item->spec;
  struct tide_offer *offer = tide_offer_new();
  for (int i = 0; i < count; i++) {
    if (tide_record_encode(spec, &record[i], &offer->records) == TIDE_OK) continue;
    tide_offer_free(offer);
    if (prefix[0]) tide_trouble_point(&item->trouble, prefix, NULL);
    return tide_trouble_set(&item->trouble, TIDE_PROBLEM_body_too_large, "the message's fields do not fit into one journal entry");
  }
  enum tide_route_id route = request->route->id;
  offer->ctx = item;
  offer->kind = route == TIDE_ROUTE_features ? TIDE_OFFER_JUDGE : route == TIDE_ROUTE_lookup ? TIDE_OFFER_LOOKUP : TIDE_OFFER_COMMIT;
  offer->priority = tide_http_priority(route);
  offer->record_count = (uint8_t)count;
  offer->features = spec->hash;
  offer->answer_flags = answer_flags(item);
  offer->deadline = request->deadline;
  offer->after = item->ask.after;
  offer->barrier = item->ask.consistency != TIDE_CONSISTENCY_EVENTUAL;
  offer->offered = tide_mono_now();
  offer->log = request->http->options.log && offer->kind == TIDE_OFFER_COMMIT && item->ask.count;
  offer->copy = message; /* of the request's body, which outlives the offer */
  item->offer = offer;
  return true;
}

void tide_http_take_message(struct tide_http_item *item, struct tide_http_decoder *with, struct tide_span message, const char *prefix) {
  struct tide_http_request *request = item->request;
  enum tide_route_id route = request->route->id;
  bool question = route == TIDE_ROUTE_features || route == TIDE_ROUTE_lookup;
  struct tide_decoder *decoder = question ? with->question : with->message;
  struct tide_record *record = with->record;
  struct tide_error error = {0};
  int count = 0;
  item->spec = with->spec;
  item->ask = (struct tide_http_ask){.count = true, .explain = TIDE_EXPLAIN_reasons, .consistency = TIDE_CONSISTENCY_QUORUM};
  enum tide_err err = tide_decode(decoder, message, record, &count, &error);
  if (err != TIDE_OK) {
    error.code = err;
    tide_trouble_of_error(&item->trouble, &error, error.field[0] ? tide_decode_place(decoder, error.field) : NULL, prefix);
    return;
  }
  if (tide_decode_beside(decoder) && !tide_http_options_read(request->route, message, &item->ask, &item->trouble, prefix)) return;
  if (!check_kind(item, &record[0])) {
    if (prefix[0]) tide_trouble_point(&item->trouble, prefix, NULL);
    return;
  }
  if (question) {
    count = 1; /* an answer in the row is no part of the question */
    set_question_time(item, &record[0]);
    if (route == TIDE_ROUTE_lookup && !check_identity(item, decoder, &record[0], prefix)) return;
  } else if (!check_time(item, decoder, &record[0], prefix)) {
    return;
  }
  if (!item->ask.count) record[0].flags |= TIDE_REC_NOCOUNT;
  bool copied = !question && request->http->options.log && item->ask.count;
  if (copied && !check_copied(item, decoder, &record[0], prefix)) return; /* its copy could not be told from another transaction */
  for (int i = 0; i < count; i++) record[i].source = 0, record[i].partition = 0, record[i].offset = 0;
  (void)make_offer(item, record, count, message, prefix);
}

void tide_http_take(struct tide_http_request *request) {
  struct tide_http *http = request->http;
  struct tide_error error = {0};
  struct tide_http_decoder *decoder = tide_http_decoder_take(http, &error);
  TIDE_CHECK(decoder); /* one was made at start, and nothing has changed */
  if (request->route->id == TIDE_ROUTE_score_batch) {
    tide_http_take_batch(request, decoder);
  } else {
    request->one.request = request;
    request->item = &request->one;
    request->item_count = 1;
    tide_http_take_message(&request->one, decoder, tide_buf_span(&request->body), "");
  }
  tide_http_decoder_give(http, decoder);
}
