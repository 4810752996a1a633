/* Requests to an etcd cluster through its JSON gateway, by libcurl: endpoints, failover, authentication and what an answer means.
 *
 * One request is sent to one endpoint after the other until one answers; the one that answered is asked first the next time. Whether a request that got no answer was
 * carried out is not known, and is said. Private to registry_etcd*.c. */
#ifndef TIDE_REGISTRY_ETCD_HTTP_H
#define TIDE_REGISTRY_ETCD_HTTP_H

#include "adapter/registry_etcd.h"

#define TIDE_ETCD_ENDPOINTS_MAX 9
#define TIDE_ETCD_TXN "/v3/kv/txn" /* what must not be carried out twice unknowingly */

struct tide_etcd_http;
/* Error: CONFIG (no endpoint, or one that is no address). Nothing is asked yet. */
enum tide_err tide_etcd_http_open(const struct tide_etcd_options *options, struct tide_etcd_http **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Any thread: requests end with AGAIN from now on. */
void tide_etcd_http_interrupt(struct tide_etcd_http *http);
/* Requests work again, but are given a moment at one endpoint only: for the last words. */
void tide_etcd_http_hurry(struct tide_etcd_http *http);
void tide_etcd_http_close(struct tide_etcd_http *http);

/* POST of a JSON body to a path ("/v3/kv/range"); the body of the answer replaces out. *ret_maybe: before it was answered (or given up) it was sent at least once without an
 * answer, so it may have been carried out twice. Set in any case. Errors: AGAIN (nobody answers, or there is no leader), FULL, LIMIT, CONFIG (what to change),
 * NOT_FOUND (a lease), IO (another complaint of etcd). */
enum tide_err tide_etcd_ask(struct tide_etcd_http *http, const char *path, struct tide_span body, struct tide_buf *out, bool *ret_maybe,
                            struct tide_error *error) TIDE_WARN_UNUSED;

/* The one stream of a handle: begins at the endpoint (and with the token) that answered last; wait gives it up to wait_ms for more lines, which are appended to
 * out whole. Errors of wait: AGAIN (it has ended or could not begin; begin again), CONFIG. Where the endpoint for requests has changed meanwhile it ends by itself. */
void tide_etcd_stream_begin(struct tide_etcd_http *http, const char *path, struct tide_span body);
enum tide_err tide_etcd_stream_wait(struct tide_etcd_http *http, int64_t wait_ms, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_etcd_stream_end(struct tide_etcd_http *http);
bool tide_etcd_stream_is_on(const struct tide_etcd_http *http);

#endif
