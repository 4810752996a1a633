/* Requests with a body on the admin listener (order.h); of them here POST /sources/accept-gap and /sources/waive: what an operator decides about a
 * partition.
 *
 * These two write a control record, so that every engine of the cell knows it at the same place of the journal, and audits find it there. They are taken
 * on the admin listener only, from who has the scope `operate` (guard.c); without tokens only where that listener is on this machine. A browser's page
 * cannot give them: its requests name an Origin, or are not application/json.
 *
 * One thread carries them out, one after the other, because asking the brokers blocks; the connection is suspended meanwhile, so that probes are
 * answered. The order is answered when its record is durable and folded: what GET /sources says afterwards has it. */
#include "base/json_out.h"
#include "base/log.h"
#include "http/order.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#define ORDER_BYTES_MAX 4096
#define DEADLINE_NS INT64_C(10000000000)

/* ---- who may ---- */

static const char *header(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* A page in a browser may send a request with credentials that its user has typed elsewhere. Only the console's own may ask, and it may not decide anything. */
static bool may(struct tide_order *order) {
  struct tide_http_guest guest = {.connection = order->connection, .route = order->route, .trouble = &order->trouble};
  if (header(order->connection, "Origin") &&
      (order->route->scope == TIDE_SCOPE_operate || !tide_console_is_own(order->http, order->connection)))
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_forbidden, "this listener takes nothing from pages in a browser");
  bool good = tide_guard_admits(order->http, &guest);
  memcpy(order->challenge, guest.challenge, sizeof guest.challenge);
  order->caller = guest.caller;
  return good;
}

static const char *client_of(const struct tide_order *order) { return order->caller.name[0] ? order->caller.name : "unknown"; }

/* ---- what is asked ---- */

static bool bad(struct tide_order *order, const char *member, const char *what) {
  tide_trouble_set(&order->trouble, TIDE_PROBLEM_invalid_field, "%s: %s", member, what);
  tide_trouble_point(&order->trouble, "", member);
  return false;
}

static const json_t *need(struct tide_order *order, const json_t *body, const char *member) {
  const json_t *value = json_object_get(body, member);
  if (value) return value;
  tide_trouble_set(&order->trouble, TIDE_PROBLEM_missing_field, "%s is missing", member);
  tide_trouble_point(&order->trouble, "", member);
  return NULL;
}

static bool read_source(struct tide_order *order, const json_t *body) {
  const json_t *value = need(order, body, "source");
  if (!value) return false;
  if (!json_is_string(value)) return bad(order, "source", "the name of a source, as text");
  const struct tide_http_options *options = &order->http->options;
  for (size_t i = 0; i < options->source_count; i++)
    if (strcmp(options->source[i].name, json_string_value(value)) == 0) order->source = &options->source[i];
  return order->source || tide_trouble_set(&order->trouble, TIDE_PROBLEM_unknown_source,
                                           "the configuration of this engine has no source \"%.48s\"", json_string_value(value));
}

static bool read_partition(struct tide_order *order, const json_t *body, bool may_be_all) {
  const json_t *value = need(order, body, "partition");
  if (!value) return false;
  order->all = may_be_all && json_is_null(value);
  if (order->all) return true;
  json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
  if (number < 0 || number >= TIDE_PARTITIONS_MAX)
    return bad(order, "partition", may_be_all ? "a partition's number, or null for all" : "a partition's number");
  order->partition = (uint16_t)number;
  return true;
}

static bool read_cursor(struct tide_order *order, const json_t *body) {
  const json_t *value = need(order, body, "cursor");
  if (!value) return false;
  const char *word = json_string_value(value);
  if (word && strcmp(word, "begin") == 0) order->where = AT_BEGIN;
  else if (word && strcmp(word, "end") == 0) order->where = AT_END;
  else if (!json_is_integer(value) || json_integer_value(value) < 0) return bad(order, "cursor", "an offset, or \"begin\" or \"end\"");
  else order->cursor = (uint64_t)json_integer_value(value);
  return true;
}

static bool read_for(struct tide_order *order, const json_t *body) {
  const json_t *value = need(order, body, "for");
  if (!value) return false;
  const char *text = json_string_value(value);
  if (!text || tide_duration_parse(tide_span_of(text), &order->for_ms) != TIDE_OK || order->for_ms < 0 || order->for_ms > TIDE_WAIVE_MAX_MS)
    return bad(order, "for", "a duration up to 7d, as in \"10m\"; \"0s\" ends the waiver");
  return true;
}

static bool knows(struct tide_order *order, const json_t *body, const char *const *members, size_t count) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)body, key, value) {
    bool known = false;
    for (size_t i = 0; i < count; i++) known = known || strcmp(members[i], key) == 0;
    if (known) continue;
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_invalid_field, "there is no member of this name here");
    tide_trouble_point(&order->trouble, "", key);
    return false;
  }
  return true;
}

static bool read_body(struct tide_order *order) {
  static const char *const gap[] = {"source", "partition", "cursor"}, *const waive[] = {"source", "partition", "for"};
  bool is_gap = order->route->id == TIDE_ROUTE_accept_gap;
  json_error_t error;
  json_t *body = json_loadb(order->body.ptr, order->body.len, JSON_REJECT_DUPLICATES, &error);
  bool good = json_is_object(body);
  if (!good) tide_trouble_set(&order->trouble, TIDE_PROBLEM_malformed, "the body must be one JSON object");
  good = good && knows(order, body, is_gap ? gap : waive, 3) && read_source(order, body) && read_partition(order, body, !is_gap) &&
         (is_gap ? read_cursor(order, body) : read_for(order, body));
  json_decref(body);
  return good;
}

/* ---- carrying it out: the orders' thread ---- */

static const struct tide_partition *partition_of(const struct tide_order *order, const struct tide_sources_look *look) {
  return tide_ledger_find((struct tide_ledger *)&look->known.ledger, order->source->number, order->partition);
}

/* Where the log of the partition begins and ends now. */
static bool ask_log(struct tide_order *order, uint64_t *ret_begin, uint64_t *ret_end) {
  struct tide_source *log = order->http->options.logs;
  struct tide_place *place = NULL, end = {order->source->number, order->partition, 0};
  size_t count = 0;
  struct tide_error error = {0};
  bool found = false;
  enum tide_err err = log->ops->places(log, &place, &count, &error);
  for (size_t i = 0; i < count && err == TIDE_OK; i++) {
    if (place[i].source != order->source->number || place[i].partition != order->partition) continue;
    *ret_begin = place[i].cursor;
    found = true;
  }
  tide_free(place);
  if (err == TIDE_OK && found) err = log->ops->ends(log, &end, 1, &error);
  if (err != TIDE_OK) return tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "the log cannot be asked: %s", error.text);
  *ret_end = end.cursor;
  return found || tide_trouble_set(&order->trouble, TIDE_PROBLEM_unknown_source, "the topic of %s has no partition %u any more",
                                   order->source->name, order->partition);
}

/* Only what stands still is jumped: to move the cursor of a partition that is read would count messages twice or not at all. */
static bool check_gap(struct tide_order *order, const struct tide_sources_look *look) {
  const struct tide_ingest_partition *read = tide_http_partition_read(look, order->source->number, order->partition);
  const char *name = order->source->name;
  uint32_t reader = look->known.ledger.claimant;
  if (!look->status.ingests && reader && reader != order->http->options.engine_id)
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_conflict, "engine %u reads the sources and knows what stands still: ask there",
                            reader);
  if (!read)
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_conflict, "this engine does not read %s/%u now: try again", name,
                            order->partition);
  if (!read->trouble[0])
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_conflict, "%s/%u does not stand still: there is no gap to accept", name,
                            order->partition);
  /* What the reader shows is up to a second old: after a jump it may still tell of the trouble before it, and the same order again would jump back. */
  return read->view.cursor == partition_of(order, look)->cursor ||
         tide_trouble_set(&order->trouble, TIDE_PROBLEM_conflict, "%s/%u has just moved, or what was read of it is on its way: try again",
                          name, order->partition);
}

bool tide_order_offer(struct tide_order *order, struct tide_offer *offer) {
  struct tide_http *http = order->http;
  offer->ctx = order;
  offer->record_count = 1;
  offer->offered = tide_mono_now();
  offer->deadline.ns = offer->offered.ns + DEADLINE_NS;
  order->released = false;
  if (!tide_engine_offer(http->engine, offer))
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "the engine takes nothing now; nothing was written");
  (void)pthread_mutex_lock(&http->orders.mutex);
  while (!order->released) (void)pthread_cond_wait(&http->orders.released, &http->orders.mutex);
  (void)pthread_mutex_unlock(&http->orders.mutex);
  return true;
}

/* Journals the order's record and waits for it; the answer's position. */
static bool write_record(struct tide_order *order, struct tide_offer *offer, char position[TIDE_POSITION_TEXT]) {
  offer->kind = TIDE_OFFER_CONTROL;
  if (!tide_order_offer(order, offer)) return false;
  if (offer->end == TIDE_END_done) {
    tide_position_text(offer->position, offer->index, position);
    return true;
  }
  bool maybe = offer->end == TIDE_END_maybe;
  return tide_trouble_set(&order->trouble, maybe ? TIDE_PROBLEM_deadline : TIDE_PROBLEM_unavailable, "%s; %s",
                          tide_cause_text((enum tide_cause)offer->cause),
                          maybe ? "whether it is journaled is not known: look at /sources before sending it again" : "nothing was written");
}

/* The record counts only where the partition still stood where it was seen. What is shown of the fold is a little behind it. */
static bool has_jumped(const struct tide_order *order, const struct tide_sources_look *before) {
  struct tide_engine_sources *now = tide_alloc(sizeof *now);
  bool jumped = false;
  for (int i = 0; i < 40 && !jumped; i++) {
    struct timespec pause = {.tv_nsec = TIDE_ENGINE_SHOW_MS * INT64_C(1000000) / 20};
    (void)nanosleep(&pause, NULL);
    tide_engine_sources(order->http->engine, now);
    jumped = now->ledger.jumps > before->known.ledger.jumps;
  }
  tide_free(now);
  return jumped;
}

static void put_place(const struct tide_order *order, struct tide_buf *out) {
  tide_json_open(out, '{');
  tide_json_key(out, "source");
  tide_json_cstr(out, order->source->name);
  tide_json_key(out, "partition");
  if (order->all) tide_json_null(out);
  else tide_json_int(out, order->partition);
}

static void put_position(const char *position, struct tide_buf *out) {
  tide_json_key(out, "position");
  tide_json_cstr(out, position);
  tide_json_close(out, '}');
}

static void accept_gap(struct tide_order *order, const struct tide_sources_look *look, struct tide_offer *offer) {
  struct tide_start start = {.source = order->source->number, .partition = order->partition, .jump = true};
  uint64_t begin = 0, end = 0, from = partition_of(order, look)->cursor;
  char position[TIDE_POSITION_TEXT];
  if (!check_gap(order, look) || !ask_log(order, &begin, &end)) return;
  start.cursor = order->where == AT_BEGIN ? begin : order->where == AT_END ? end : order->cursor;
  if (start.cursor < begin || start.cursor > end) {
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_invalid_field, "the log holds offsets %llu to %llu now", (unsigned long long)begin,
                     (unsigned long long)end);
    tide_trouble_point(&order->trouble, "", "cursor");
    return;
  }
  start.from = from;
  tide_start_encode(&start, &offer->records);
  if (!write_record(order, offer, position)) return;
  if (!has_jumped(order, look)) {
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_conflict,
                     "%s/%u did not stand at %llu any more: the jump was passed over, and nothing has changed; look at /sources",
                     order->source->name, order->partition, (unsigned long long)from);
    return;
  }
  tide_log(TIDE_LOG_WARN, "gap_accepted", "client=%s source=%s partition=%u from=%llu to=%llu position=%s", client_of(order),
           order->source->name, order->partition, (unsigned long long)from, (unsigned long long)start.cursor, position);
  put_place(order, &order->answer);
  tide_json_key(&order->answer, "from");
  tide_json_int(&order->answer, (int64_t)from);
  tide_json_key(&order->answer, "to");
  tide_json_int(&order->answer, (int64_t)start.cursor);
  tide_json_key(&order->answer, "end");
  tide_json_int(&order->answer, (int64_t)end);
  put_position(position, &order->answer);
}

static void waive(struct tide_order *order, struct tide_offer *offer) {
  struct tide_waive record = {.source = order->source->number,
                              .partition = order->all ? TIDE_PARTITION_ALL : order->partition,
                              .until_ms = order->for_ms ? tide_wall_now().ms + order->for_ms : 0};
  char position[TIDE_POSITION_TEXT], until[TIDE_TIME_TEXT] = "now";
  tide_waive_encode(&record, &offer->records);
  if (!write_record(order, offer, position)) return;
  if (order->for_ms) tide_time_format((struct tide_etime){record.until_ms}, until);
  tide_log(TIDE_LOG_WARN, "source_waived", "client=%s source=%s partition=%d until=%s position=%s", client_of(order), order->source->name,
           order->all ? -1 : (int)order->partition, until, position);
  put_place(order, &order->answer);
  tide_json_key(&order->answer, "until");
  if (order->for_ms) tide_json_cstr(&order->answer, until);
  else tide_json_null(&order->answer);
  put_position(position, &order->answer);
}

static void carry_out(struct tide_order *order) {
  struct tide_sources_look *look = tide_http_sources_look(order->http);
  struct tide_offer *offer = tide_offer_new();
  const struct tide_partition *partition = order->all ? NULL : partition_of(order, look);
  enum tide_core_state state = look->status.state;
  if (state != TIDE_CORE_open && state != TIDE_CORE_barrier)
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "the engine %s; nothing was written", tide_core_state_text(state));
  else if (!order->all && !partition)
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_unknown_source, "no partition %u of %s is known to the cell", order->partition,
                     order->source->name);
  else if (order->route->id == TIDE_ROUTE_accept_gap) accept_gap(order, look, offer);
  else waive(order, offer);
  tide_offer_free(offer);
  tide_http_sources_free(look);
}

static void *orders_main(void *arg) {
  struct tide_http *http = arg;
  struct tide_orders *orders = &http->orders;
  (void)pthread_mutex_lock(&orders->mutex);
  for (;;) {
    struct tide_order *order = orders->first;
    if (!order && orders->quit) break;
    if (!order) {
      (void)pthread_cond_wait(&orders->filled, &orders->mutex);
      continue;
    }
    orders->first = order->next;
    if (!orders->first) orders->last = NULL;
    (void)pthread_mutex_unlock(&orders->mutex);
    if (order->route->id == TIDE_ROUTE_explain) tide_explain_carry_out(order);
    else carry_out(order);
    order->over = true;
    MHD_resume_connection(order->connection); /* from here on the order may be gone */
    (void)pthread_mutex_lock(&orders->mutex);
  }
  (void)pthread_mutex_unlock(&orders->mutex);
  return NULL;
}

void tide_order_release(struct tide_offer *offer) {
  struct tide_order *order = offer->ctx;
  struct tide_orders *orders = &order->http->orders;
  (void)pthread_mutex_lock(&orders->mutex);
  order->released = true;
  (void)pthread_cond_signal(&orders->released);
  (void)pthread_mutex_unlock(&orders->mutex);
}

void tide_orders_start(struct tide_http *http) {
  struct tide_orders *orders = &http->orders;
  TIDE_CHECK(pthread_mutex_init(&orders->mutex, NULL) == 0 && pthread_cond_init(&orders->filled, NULL) == 0 &&
             pthread_cond_init(&orders->released, NULL) == 0);
  TIDE_CHECK(pthread_create(&orders->thread, NULL, orders_main, http) == 0);
}

void tide_orders_stop(struct tide_http *http) {
  struct tide_orders *orders = &http->orders;
  (void)pthread_mutex_lock(&orders->mutex);
  orders->quit = true;
  (void)pthread_cond_signal(&orders->filled);
  (void)pthread_mutex_unlock(&orders->mutex);
  TIDE_CHECK(pthread_join(orders->thread, NULL) == 0);
}

void tide_orders_free(struct tide_http *http) {
  struct tide_orders *orders = &http->orders;
  (void)pthread_mutex_destroy(&orders->mutex);
  (void)pthread_cond_destroy(&orders->filled);
  (void)pthread_cond_destroy(&orders->released);
}

/* ---- the way of a request: the admin listener's thread ---- */

struct tide_order *tide_order_new(struct tide_http *http, struct MHD_Connection *connection, const struct tide_route *route) {
  struct tide_order *order = tide_alloc(sizeof *order);
  order->http = http;
  order->connection = connection;
  order->peer = tide_peer_of(connection);
  order->route = route;
  return order;
}

void tide_order_free(struct tide_order *order) {
  if (order->body.len) explicit_bzero(order->body.ptr, order->body.len); /* card numbers, tokens */
  tide_buf_release(&order->body);
  tide_buf_release(&order->answer);
  tide_free(order);
}

enum MHD_Result tide_order_answer(struct tide_order *order) {
  struct tide_http_reply reply = {.media_type = order->location ? "text/plain" : "application/json",
                                  .status = order->location ? MHD_HTTP_SEE_OTHER : MHD_HTTP_OK,
                                  .challenge = order->challenge,
                                  .location = order->location,
                                  .cookie = order->cookie};
  if (order->trouble.problem != TIDE_PROBLEM_none) {
    tide_http_count_problem(order->http->meters, order->trouble.problem);
    tide_trouble_json(&order->trouble, &reply.body);
    reply.media_type = "application/problem+json";
    reply.status = tide_problem_status(order->trouble.problem);
  } else {
    tide_buf_put(&reply.body, order->answer.ptr, order->answer.len);
  }
  tide_peer_set(order->peer, TIDE_PEER_writing);
  bool close = atomic_load(&order->http->draining) || tide_guard_is_old(order->http, TIDE_LISTENER_admin, order->peer);
  return tide_http_reply_send(order->http, order->connection, order->route, &reply, "", close);
}

/* A message is what a message may be. */
static size_t bytes_max(const struct tide_order *order) {
  return order->route->id == TIDE_ROUTE_explain ? (size_t)order->http->limits.body_bytes_max : ORDER_BYTES_MAX;
}

static bool enqueue(struct tide_order *order) {
  struct tide_orders *orders = &order->http->orders;
  (void)pthread_mutex_lock(&orders->mutex);
  bool taken = !orders->quit;
  if (taken) {
    tide_peer_set(order->peer, TIDE_PEER_waiting);
    MHD_suspend_connection(order->connection);
    if (orders->last) orders->last->next = order;
    else orders->first = order;
    orders->last = order;
    (void)pthread_cond_signal(&orders->filled);
  }
  (void)pthread_mutex_unlock(&orders->mutex);
  return taken || tide_trouble_set(&order->trouble, TIDE_PROBLEM_unavailable, "it is stopping; nothing was written");
}

enum MHD_Result tide_order_step(struct tide_order *order, const char *data, size_t *size) {
  if (order->over) return tide_order_answer(order);
  if (*size > 0) {
    order->seen += *size;
    if (order->seen <= bytes_max(order)) tide_buf_put(&order->body, data, *size);
    *size = 0;
    return MHD_YES;
  }
  bool console = order->route->id == TIDE_ROUTE_console_login || order->route->id == TIDE_ROUTE_console_logout;
  if (!console && !may(order)) return tide_order_answer(order);
  if (!console && !tide_http_is_json(header(order->connection, MHD_HTTP_HEADER_CONTENT_TYPE)))
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_media_type, "Content-Type must be application/json, in UTF-8");
  else if (order->seen > bytes_max(order))
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_body_too_large, "the body is longer than the %zu bytes that are accepted here",
                     bytes_max(order));
  else if (console) tide_console_session(order);
  else if ((order->route->id == TIDE_ROUTE_explain || read_body(order)) && enqueue(order)) return MHD_YES;
  return tide_order_answer(order);
}
