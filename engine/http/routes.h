/* The routes: one table from which requests are dispatched, 405 knows its Allow, metrics their labels, and `tidemark docs routes` prints the list that a test
 * holds against openapi.yaml in both directions. */
#ifndef TIDE_HTTP_ROUTES_H
#define TIDE_HTTP_ROUTES_H

#include "base/buf.h"
#include "http/token.h"

enum tide_listener { TIDE_LISTENER_api, TIDE_LISTENER_admin, TIDE_LISTENER_COUNT };

/* X(name, listener, method, path, scope that a token must have, what it does). Probes are open: who asks them has no token (a kubelet, a balancer), and they tell nothing but yes
 * or no and why; the document of the interface is no secret. */
#define TIDE_HTTP_ROUTES(X)                                                                                         \
  X(score, api, "POST", "/v1/score", score, "Count a transaction and decide it")                                           \
  X(score_batch, api, "POST", "/v1/score/batch", score, "Count and decide several, answers in order")                      \
  X(events, api, "POST", "/v1/events", facts, "Count an event; its decision, if it has one, is not told")                  \
  X(outcomes, api, "POST", "/v1/outcomes", facts, "Tell what became of a transaction: result, reversal, label")            \
  X(profiles, api, "POST", "/v1/profiles", facts, "Tell facts about an entity: a limit, a segment, since when")           \
  X(features, api, "POST", "/v1/features", read, "Read the features of keys; counts nothing")                             \
  X(lookup, api, "POST", "/v1/decisions/lookup", read, "Read the stored decision of a transaction; counts nothing")       \
  X(openapi, api, "GET", "/v1/openapi.yaml", open, "This interface as an OpenAPI document")                               \
  X(livez, admin, "GET", "/livez", open, "Whether the process should go on living")                                       \
  X(readyz, admin, "GET", "/readyz", open, "Whether requests should be sent here, and why not")                           \
  X(healthz, admin, "GET", "/healthz", monitor, "Both, with what the engine is doing")                                       \
  X(metrics, admin, "GET", "/metrics", monitor, "Metrics as Prometheus text")                                               \
  X(snapshot, admin, "GET", "/snapshot", snapshot, "The newest snapshot, for a peer; only where snapshot.peers is set") \
  X(drift, admin, "GET", "/drift", monitor, "How far what the model reads and scores is from its training")              \
  X(feedback, admin, "GET", "/feedback", monitor, "What labels say of the decisions, by model and by rule")               \
  X(sources, admin, "GET", "/sources", monitor, "How far each partition of the sources has been read, and why one is not")   \
  X(budget, admin, "GET", "/budget", monitor, "What the last hour looked like: ages against budgets, values by state, refusals by cause") \
  X(accept_gap, admin, "POST", "/sources/accept-gap", operate, "Go on with a partition that stands still, at an offset of the operator's") \
  X(waive, admin, "POST", "/sources/waive", operate, "Do not wait for a partition, for a limited time")                      \
  X(status, admin, "GET", "/status", monitor, "Everything that the console shows, as it is now")                           \
  X(status_history, admin, "GET", "/status/history", monitor, "The last hour of it, every five seconds")                   \
  X(explain, admin, "POST", "/explain", read, "A decision that is remembered, with the events and values behind it")       \
  X(console, admin, "GET", "/console", open, "The operator's console, a page for a browser; it shows nothing before a login")            \
  X(console_style, admin, "GET", "/console/console.css", open, "Its style")                                                \
  X(console_script, admin, "GET", "/console/console.js", open, "Its script")                                               \
  X(console_login, admin, "POST", "/console/login", open, "Give a token for a session of the console")                     \
  X(console_logout, admin, "POST", "/console/logout", open, "End the session")

enum tide_route_id {
#define X(name, listener, method, path, scope, text) TIDE_ROUTE_##name,
  TIDE_HTTP_ROUTES(X)
#undef X
      TIDE_ROUTE_COUNT
};

struct tide_route {
  const char *name, *method, *path, *text;
  uint8_t id, listener, scope; /* enum tide_scope */
};
extern const struct tide_route tide_routes[TIDE_ROUTE_COUNT];

/* The route of a path on a listener, whatever its method; NULL: there is none. */
const struct tide_route *tide_route_find(enum tide_listener listener, const char *path);
/* HEAD is answered where GET is. */
bool tide_route_takes(const struct tide_route *route, const char *method);
/* The value of an Allow header. */
const char *tide_route_allow(const struct tide_route *route);
/* One line per route (listener, method, path, text, scope), then one per problem type (slug, status, title), tabs between. */
void tide_routes_document(struct tide_buf *out);

#endif
