/* The admin listener: probes and metrics, on an address of its own so that it can be kept from the clients of the other (parts.h).
 *
 * /livez is about the process: no only when the engine has stopped with an error, because then a restart helps; not where another run begins in this process. /readyz is
 * about traffic: yes only while the engine commits. Both say why not. Nothing here touches the state: all comes from the engine's published status. */
#include "base/json_out.h"
#include "base/log.h"
#include "core/inspect_rollout.h"
#include "http/parts.h"

#include <stdio.h>

bool tide_http_is_live(const struct tide_engine_status *status) { return status->error.code == TIDE_OK || status->begins_again; }

bool tide_http_is_ready(const struct tide_http *http, const struct tide_engine_status *status) {
  return status->error.code == TIDE_OK && status->state == TIDE_CORE_open && !status->waits && !atomic_load(&http->draining);
}

/* Where sources are waited for, which; where one stands still, why. */
static void put_sources(struct tide_http *http, bool opening, struct tide_buf *out) {
  struct tide_sources_look *look = tide_http_sources_look(http);
  if (opening) {
    struct tide_buf why = TIDE_BUF_INIT;
    tide_http_sources_why(look, &why);
    tide_json_key(out, "why");
    tide_json_str(out, tide_buf_span(&why));
    tide_buf_release(&why);
  }
  tide_http_sources_stopped(look, out);
  tide_http_sources_free(look);
}

void tide_http_put_why(struct tide_http *http, const struct tide_engine_status *status, struct tide_buf *out) {
  bool opening = status->error.code == TIDE_OK && !atomic_load(&http->draining) && status->state == TIDE_CORE_barrier;
  if (!tide_http_is_live(status)) {
    tide_json_key(out, "why");
    tide_json_cstr(out, status->error.text);
  } else if (status->absent || status->begins_again) {
    tide_json_key(out, "why");
    tide_json_cstr(out, status->begins_again ? status->begins_again : status->trouble.text);
    return;
  } else if (!tide_http_is_ready(http, status) && !opening) {
    tide_json_key(out, "why");
    tide_json_cstr(out, atomic_load(&http->draining) ? "it is stopping"
                        : status->waits ? "a rollout has changed the feature file, and the journal is not folded under it here yet"
                                        : tide_core_state_text(status->state));
  }
  if (http->options.source_count || opening) put_sources(http, opening, out);
  if (status->trouble.code != TIDE_OK) {
    tide_json_key(out, "journal");
    tide_json_cstr(out, status->trouble.text);
  }
}

static void put_ingester(struct tide_http *http, struct tide_buf *out) {
  struct tide_sources_look *look = tide_http_sources_look(http);
  tide_json_key(out, "ingests");
  tide_json_bool(out, look->status.ingests);
  tide_json_key(out, "ingester");
  if (look->known.ledger.claimant) tide_json_int(out, look->known.ledger.claimant);
  else tide_json_null(out);
  tide_http_sources_free(look);
}

/* What the journal says is in force, and what of it could not be. */
void tide_http_put_rollout(const struct tide_http *http, struct tide_buf *out) {
  struct tide_engine_rollout *in_force = tide_alloc(sizeof *in_force);
  tide_engine_rollout(http->engine, in_force);
  tide_json_key(out, "provenance");
  tide_http_put_provenance(http, in_force->model, in_force->policy, in_force->file, out);
  if (in_force->rollout.number) {
    tide_json_key(out, "rollout");
    tide_json_open(out, '{');
    tide_rollout_json(&in_force->rollout, out);
    tide_json_close(out, '}');
  }
  if (in_force->void_number > in_force->rollout.number) {
    tide_json_key(out, "rollout_void");
    tide_json_open(out, '{');
    tide_json_key(out, "number");
    tide_json_int(out, (int64_t)in_force->void_number);
    tide_json_key(out, "why");
    tide_json_cstr(out, in_force->void_why);
    tide_json_close(out, '}');
  }
  tide_free(in_force);
}

static void put_engine(const struct tide_http *http, const struct tide_engine_status *status, struct tide_buf *out) {
  char text[TIDE_POSITION_TEXT], time[TIDE_TIME_TEXT];
  snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)status->folded.epoch, (unsigned long long)status->folded.seq);
  tide_json_key(out, "state");
  tide_json_cstr(out, tide_core_state_name(status->state));
  tide_json_key(out, "folded");
  tide_json_cstr(out, text);
  tide_json_key(out, "watermark");
  if (status->watermark_ms == INT64_MIN) tide_json_null(out);
  else tide_json_cstr(out, tide_time_format((struct tide_etime){status->watermark_ms}, time));
  tide_json_key(out, "queued");
  tide_json_int(out, status->stats.queued);
  tide_json_key(out, "in_flight");
  tide_json_int(out, status->stats.in_flight);
  tide_http_put_rollout(http, out);
}

/* The engine, its releases and the requests write their own rows; these are kept elsewhere and copied when somebody looks. */
void tide_http_gauges(struct tide_http *http) {
  struct tide_meter *meter = tide_meters_shared(http->meters);
  TIDE_CHECK(pthread_mutex_lock(&http->gauges) == 0);
  tide_meter_set(meter, TIDE_METER_ROW_http_in_flight, TIDE_METER_PLAIN, atomic_load(&http->waiting));
  tide_line_show(http, meter);
  tide_http_sources_meter(http, meter);
  tide_http_drift_meter(http, meter);
  tide_meter_set(meter, TIDE_METER_ROW_log_suppressed_total, TIDE_METER_PLAIN, (int64_t)tide_log_suppressed());
  TIDE_CHECK(pthread_mutex_unlock(&http->gauges) == 0);
}

static bool is_file(enum tide_route_id route) {
  return route == TIDE_ROUTE_console || route == TIDE_ROUTE_console_style || route == TIDE_ROUTE_console_script;
}

static void make_page(struct tide_http *http, const struct tide_http_guest *guest, struct tide_http_reply *reply) {
  const struct tide_route *route = guest->route;
  if (is_file(route->id)) {
    tide_console_file(http, route->id, reply);
    return;
  }
  if (route->id == TIDE_ROUTE_status || route->id == TIDE_ROUTE_status_history) {
    reply->status = 200;
    reply->media_type = "application/json";
    if (route->id == TIDE_ROUTE_status) tide_http_status_put(http, guest->caller.name, &reply->body);
    else tide_history_put(http->history, &reply->body);
    return;
  }
  if (route->id == TIDE_ROUTE_metrics) {
    reply->status = 200;
    reply->media_type = "text/plain; version=0.0.4; charset=utf-8";
    tide_http_gauges(http);
    tide_meters_expose(http->meters, &reply->body);
    return;
  }
  if (route->id == TIDE_ROUTE_drift || route->id == TIDE_ROUTE_feedback) {
    reply->status = 200;
    reply->media_type = "application/json";
    tide_http_drift_put(http, (enum tide_route_id)route->id, &reply->body);
    return;
  }
  if (route->id == TIDE_ROUTE_sources) {
    struct tide_sources_look *look = tide_http_sources_look(http);
    reply->status = 200;
    reply->media_type = "application/json";
    tide_http_sources_put(look, &reply->body);
    tide_http_sources_free(look);
    return;
  }
  if (route->id == TIDE_ROUTE_budget) {
    reply->status = 200;
    reply->media_type = "application/json";
    tide_hour_put(http, &reply->body);
    return;
  }
  struct tide_engine_status status = tide_engine_status(http->engine);
  bool live = tide_http_is_live(&status), ready = tide_http_is_ready(http, &status);
  reply->media_type = "application/json";
  reply->status = (route->id == TIDE_ROUTE_livez ? live : ready) ? 200 : 503;
  tide_json_open(&reply->body, '{');
  if (route->id != TIDE_ROUTE_readyz) {
    tide_json_key(&reply->body, "live");
    tide_json_bool(&reply->body, live);
  }
  if (route->id != TIDE_ROUTE_livez) {
    tide_json_key(&reply->body, "ready");
    tide_json_bool(&reply->body, ready);
  }
  tide_http_put_why(http, &status, &reply->body);
  if (route->id == TIDE_ROUTE_healthz && http->options.source_count) put_ingester(http, &reply->body);
  if (route->id == TIDE_ROUTE_healthz) put_engine(http, &status, &reply->body);
  tide_json_close(&reply->body, '}');
}

/* What a request is known by: this, or its order. */
static char seen;

void tide_http_admin_done(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code) {
  (void)cls, (void)code;
  tide_peer_set(tide_peer_of(connection), TIDE_PEER_idle);
  if (*context && *context != &seen) tide_order_free(*context);
  *context = NULL;
}

static enum MHD_Result begin(struct tide_http *http, struct MHD_Connection *connection, const char *url, const char *method,
                             void **request) {
  const struct tide_route *route = tide_route_find(TIDE_LISTENER_admin, url);
  bool order = route && strcmp(route->method, "POST") == 0 && tide_route_takes(route, method);
  *request = order ? (void *)tide_order_new(http, connection, route) : &seen;
  tide_peer_set(tide_peer_of(connection), TIDE_PEER_reading);
  return MHD_YES;
}

/* Bodies but an order's are passed over; the answer goes out at the last call of a request. */
enum MHD_Result tide_http_admin(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                const char *data, size_t *size, void **request) {
  struct tide_http *http = cls;
  (void)version;
  if (!*request) return begin(http, connection, url, method, request);
  if (*request != &seen) return tide_order_step(*request, data, size);
  if (*size > 0) {
    *size = 0;
    return MHD_YES;
  }
  const struct tide_route *route = tide_route_find(TIDE_LISTENER_admin, url);
  struct tide_http_reply reply = {.media_type = "application/problem+json"};
  struct tide_trouble trouble = {0};
  struct tide_http_guest guest = {.connection = connection, .route = route, .trouble = &trouble};
  enum MHD_Result sent;
  if (!route)
    tide_trouble_set(
        &trouble, TIDE_PROBLEM_not_found,
        "the paths here are /livez, /readyz, /healthz, /metrics, /drift, /feedback, /sources, /budget, /status, /explain, /console "
        "and /snapshot");
  else if (!tide_route_takes(route, method))
    tide_trouble_set(&trouble, TIDE_PROBLEM_method, "this path takes %s only", tide_route_allow(route));
  else if (!tide_guard_admits(http, &guest)) reply.challenge = guest.challenge;
  else if (route->id == TIDE_ROUTE_snapshot && tide_http_snapshot(http, connection, route, &sent)) return sent;
  else if (route->id == TIDE_ROUTE_snapshot)
    tide_trouble_set(&trouble, TIDE_PROBLEM_not_found,
                     "there is no snapshot to give: none was written yet, or snapshot.peers is not set here");
  else make_page(http, &guest, &reply);
  if (trouble.problem != TIDE_PROBLEM_none) {
    tide_http_count_problem(http->meters, trouble.problem);
    tide_trouble_json(&trouble, &reply.body);
    reply.status = tide_problem_status(trouble.problem);
  }
  tide_peer_set(tide_peer_of(connection), TIDE_PEER_writing);
  bool close = atomic_load(&http->draining) || tide_guard_is_old(http, TIDE_LISTENER_admin, tide_peer_of(connection));
  return tide_http_reply_send(http, connection, route, &reply, "", close);
}
