/* What came back, as the body of a response (parts.h).
 *
 * A decision is HTTP 200 whatever it is and however it came about: meshes retry 503, and issuers take anything but 200 for their own default. Only a full
 * queue is 503, and it too carries the fallback's decision. Where there is no decision to give (an event, outcome or profile that was not journaled, features that
 * could not be read) the caller gets a problem document, because there is nothing else to answer.
 *
 * The object of the answer was written where it was decided; it is opened again here only to add what the core cannot know: the time it took, and the
 * provenance. */
#include "base/json_out.h"
#include "base/log.h"
#include "http/parts.h"

#include <stdio.h>

void tide_http_put_provenance(const struct tide_http *http, const char *model, const char *policy, const char *features,
                              struct tide_buf *out) {
  char text[TIDE_VERSION_TEXT];
  const struct tide_spec *spec = atomic_load(&http->spec);
  if (!features[0])
    features = tide_version_text(tide_span_of(spec->name), tide_content_hash((struct tide_span){spec->text, spec->text_len}), text);
  tide_buf_put(out, http->cell.ptr, http->cell.len);
  if (model[0]) tide_json_cstr(out, model);
  else tide_json_null(out);
  tide_json_key(out, "policy");
  tide_json_cstr(out, policy[0] ? policy : features);
  tide_json_key(out, "features");
  tide_json_cstr(out, features);
  tide_buf_put(out, http->versions.ptr, http->versions.len);
}

static void put_tail(const struct tide_http_request *request, bool took, const struct tide_told *told, struct tide_buf *out) {
  TIDE_CHECK(out->len > 0 && out->ptr[out->len - 1] == '}');
  out->len--;
  if (took) {
    int64_t us = (tide_mono_now().ns - request->begun.ns) / 1000;
    tide_json_key(out, "took_ms");
    tide_json_double(out, (double)(us > 0 ? us : 0) / 1000.0);
  }
  tide_json_key(out, "provenance");
  tide_http_put_provenance(request->http, told->model, told->policy, told->features, out);
  tide_buf_char(out, '}');
}

static void put_trouble(struct tide_http *http, const struct tide_trouble *trouble, struct tide_buf *out) {
  tide_http_count_problem(http->meters, trouble->problem);
  tide_trouble_json(trouble, out);
}

/* What did not become an answer: refused, or not known to be journaled, and no decision to give instead. */
static void trouble_of_end(struct tide_http_item *item, const struct tide_offer *offer) {
  struct tide_trouble *trouble = &item->trouble;
  bool maybe = offer->end == TIDE_END_maybe, commit = offer->kind == TIDE_OFFER_COMMIT;
  const char *left = !commit ? "nothing was read"
                     : maybe ? "whether it is journaled is not known: send it again, it will not count twice"
                             : "nothing was journaled: send it again";
  enum tide_problem problem = TIDE_PROBLEM_unavailable;
  if (offer->cause == TIDE_C_overload) problem = TIDE_PROBLEM_overload;
  if (offer->cause == TIDE_C_deadline) problem = TIDE_PROBLEM_deadline;
  tide_trouble_set(trouble, problem, "%s; %s", tide_cause_text((enum tide_cause)offer->cause), left);
  if (commit) trouble->counted = maybe ? "maybe" : "false";
}

static bool is_there(const struct tide_offer *offer) { return offer->end == TIDE_END_done || offer->end == TIDE_END_answered; }

/* {"status":"accepted", then what the answer says, or the position alone. */
static void put_receipt(const struct tide_offer *offer, struct tide_buf *out) {
  char position[TIDE_POSITION_TEXT];
  tide_json_open(out, '{');
  tide_json_key(out, "status");
  tide_json_cstr(out, "accepted");
  if (offer->answer.len > 2) {
    tide_buf_char(out, ',');
    tide_buf_put(out, offer->answer.ptr + 1, offer->answer.len - 1);
    return;
  }
  tide_json_key(out, "position");
  tide_json_cstr(out, tide_position_text(offer->position, offer->index, position));
  tide_json_close(out, '}');
}

/* The object of a decision or of features. */
static void put_answer(const struct tide_http_item *item, struct tide_buf *out) {
  static const char *const consistency[] = {"strong", "quorum", "eventual"};
  tide_json_raw(out, tide_buf_span(&item->offer->answer));
  if (item->request->route->id != TIDE_ROUTE_features) return;
  out->len--;
  tide_json_key(out, "consistency");
  tide_json_cstr(out, consistency[item->ask.consistency]);
  tide_buf_char(out, '}');
}

/* One item's object; its status as a response of its own. */
static unsigned put_item(struct tide_http_item *item, bool took, struct tide_buf *out) {
  struct tide_http_request *request = item->request;
  struct tide_offer *offer = item->offer;
  enum tide_route_id route = request->route->id;
  if (offer) {
    bool receipt = route == TIDE_ROUTE_events || route == TIDE_ROUTE_outcomes || route == TIDE_ROUTE_profiles;
    tide_http_count_answer(request->http->meters, &offer->told);
    if (offer->late) { /* no journal knows of it: what an auditor finds at this position is another decision */
      char position[TIDE_POSITION_TEXT];
      tide_log(TIDE_LOG_WARN, "answer_late", "position=%s note=%s", tide_position_text(offer->position, offer->index, position),
               "the decision there was too old when it could be told; the caller got the fallback");
    }
    if (receipt && is_there(offer)) {
      put_receipt(offer, out);
      put_tail(request, took, &offer->told, out);
      return 200;
    }
    if (!receipt && offer->answer.len > 0) {
      put_answer(item, out);
      put_tail(request, took, &offer->told, out);
      if (offer->cause != TIDE_C_overload) return 200;
      return request->wait_ns ? MHD_HTTP_TOO_MANY_REQUESTS : MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    if (route == TIDE_ROUTE_lookup && is_there(offer))
      tide_trouble_set(
          &item->trouble, TIDE_PROBLEM_unknown_decision,
          "no decision under this id is remembered; decisions are kept for duplicates_for, and only those that were asked for");
    else if (is_there(offer)) /* an amount without a rate can make `score:` come out otherwise than it looked */
      tide_trouble_set(
          &item->trouble, TIDE_PROBLEM_no_decision,
          "`score:` of the feature file does not ask for a decision on this event, or it was counted before without one (as history, by "
          "/v1/events); it is counted");
    else trouble_of_end(item, offer);
  }
  put_trouble(request->http, &item->trouble, out);
  return tide_problem_status(item->trouble.problem);
}

static void make_batch(struct tide_http_request *request, struct tide_http_reply *ret) {
  ret->status = 200;
  ret->media_type = "application/json";
  tide_json_open(&ret->body, '{');
  tide_json_key(&ret->body, "answers");
  tide_json_open(&ret->body, '[');
  bool all_overload = true;
  for (uint32_t i = 0; i < request->item_count; i++) {
    struct tide_http_item *item = &request->item[i];
    if (put_item(item, false, &ret->body) != 503) all_overload = false;
  }
  tide_json_close(&ret->body, ']');
  tide_json_close(&ret->body, '}');
  put_tail(request, true, &(struct tide_told){0}, &ret->body);
  if (request->wait_ns) ret->status = MHD_HTTP_TOO_MANY_REQUESTS;
  else if (all_overload) ret->status = 503, ret->retry_after_s = 1;
}

void tide_http_reply_make(struct tide_http_request *request, struct tide_http_reply *ret) {
  *ret = (struct tide_http_reply){.media_type = "application/problem+json", .challenge = request->challenge};
  if (request->wait_ns) ret->retry_after_s = (unsigned)((request->wait_ns + 999999999) / 1000000000);
  if (request->trouble.problem != TIDE_PROBLEM_none) {
    put_trouble(request->http, &request->trouble, &ret->body);
    ret->status = tide_problem_status(request->trouble.problem);
    return;
  }
  if (request->route->id == TIDE_ROUTE_openapi) {
    ret->borrowed = tide_openapi_begin;
    ret->borrowed_len = (size_t)(tide_openapi_end - tide_openapi_begin);
    ret->status = 200;
    ret->media_type = "application/yaml";
    return;
  }
  if (request->route->id == TIDE_ROUTE_score_batch) {
    make_batch(request, ret);
    return;
  }
  struct tide_http_item *item = &request->one;
  ret->status = put_item(item, true, &ret->body);
  if (item->trouble.problem == TIDE_PROBLEM_none) ret->media_type = "application/json";
  if (!ret->retry_after_s && item->offer && item->offer->cause == TIDE_C_overload) ret->retry_after_s = 1;
}

/* The console takes scripts, styles and data from here and nowhere else, and nothing that is written into the page runs. */
static const struct {
  const char *name, *value;
} page_headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
     "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

enum MHD_Result tide_http_reply_send(struct tide_http *http, struct MHD_Connection *connection, const struct tide_route *route,
                                     struct tide_http_reply *reply, const char *traceparent, bool close) {
  struct MHD_Response *response;
  if (reply->borrowed) {
    response = MHD_create_response_from_buffer(reply->borrowed_len, (void *)(uintptr_t)reply->borrowed, MHD_RESPMEM_PERSISTENT);
  } else {
    size_t len = reply->body.len;
    char *bytes = tide_buf_take(&reply->body);
    response = MHD_create_response_from_buffer_with_free_callback(len, bytes, tide_free);
    if (!response) tide_free(bytes);
  }
  if (!response) return MHD_NO;
  bool good = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->media_type) == MHD_YES;
  good = good && MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES;
  if (good && reply->retry_after_s) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
    good = MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds) == MHD_YES;
  }
  if (good && reply->challenge && reply->challenge[0])
    good = MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge) == MHD_YES;
  if (good && reply->cookie && reply->cookie[0])
    good = MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, reply->cookie) == MHD_YES;
  if (good && reply->location) good = MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, reply->location) == MHD_YES;
  for (size_t i = 0; good && reply->page && i < sizeof page_headers / sizeof page_headers[0]; i++)
    good = MHD_add_response_header(response, page_headers[i].name, page_headers[i].value) == MHD_YES;
  if (good && reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
    good = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, tide_route_allow(route)) == MHD_YES;
  if (good && traceparent[0]) good = MHD_add_response_header(response, "traceparent", traceparent) == MHD_YES;
  if (good && close) good = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
  enum MHD_Result result = good ? MHD_queue_response(connection, reply->status, response) : MHD_NO;
  MHD_destroy_response(response);
  tide_http_count_request(http->meters, route, reply->status);
  return result;
}
