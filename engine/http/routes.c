/* The table of routes as an array, and its few questions (routes.h).
 *
 * A dozen exact paths: a linear search costs less than a hash, and an exact match leaves no room for a path with a key or an id in it. */
#include "http/routes.h"

#include "http/problem.h"

const struct tide_route tide_routes[TIDE_ROUTE_COUNT] = {
#define X(name, listener, method, path, scope, text)                                                                                       \
  {#name, method, path, text, TIDE_ROUTE_##name, TIDE_LISTENER_##listener, TIDE_SCOPE_##scope},
    TIDE_HTTP_ROUTES(X)
#undef X
};

const struct tide_route *tide_route_find(enum tide_listener listener, const char *path) {
  for (size_t i = 0; i < TIDE_ROUTE_COUNT; i++)
    if (tide_routes[i].listener == listener && strcmp(tide_routes[i].path, path) == 0) return &tide_routes[i];
  return NULL;
}

bool tide_route_takes(const struct tide_route *route, const char *method) {
  return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

const char *tide_route_allow(const struct tide_route *route) { return strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method; }

void tide_routes_document(struct tide_buf *out) {
  static const char *const listener[] = {[TIDE_LISTENER_api] = "api", [TIDE_LISTENER_admin] = "admin"};
  for (size_t i = 0; i < TIDE_ROUTE_COUNT; i++)
    tide_buf_printf(out, "route\t%s\t%s\t%s\t%s\t%s\n", listener[tide_routes[i].listener], tide_routes[i].method, tide_routes[i].path,
                    tide_routes[i].text, tide_scope_name((enum tide_scope)tide_routes[i].scope));
  for (int p = 1; p < TIDE_PROBLEM_COUNT; p++)
    tide_buf_printf(out, "problem\t%s\t%u\t%s\n", tide_problem_type((enum tide_problem)p), tide_problem_status((enum tide_problem)p),
                    tide_problem_title((enum tide_problem)p));
}
