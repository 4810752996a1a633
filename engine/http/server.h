/* The HTTP listener of a running engine, and its admin listener.
 *
 * Threads of libmicrohttpd read, decode and encode; the request is then suspended and its records go to the engine as an offer; the core's thread
 * brings the answer back and wakes the connection; the HTTP thread writes it. So nothing blocks but the client's own connection, and the core
 * never sees a socket. README.md says which rules every answer keeps. */
#ifndef TIDE_HTTP_SERVER_H
#define TIDE_HTTP_SERVER_H

#include "base/hash.h"
#include "http/guard.h"
#include "http/metrics.h"
#include "run/ingest.h"
#include "run/watcher.h"

/* X(name, default, min, max, help). Everything a client can make this listener hold or wait for has a bound here. */
#define TIDE_HTTP_LIMITS(X)                                                                                                       \
  X(threads, 1, 1, 64, "Threads that read, decode and write")                                                                     \
  X(body_bytes_max, 65536, 256, 16777216, "Body of one message")                                                                  \
  X(batch_bytes_max, 1048576, 256, 67108864, "Body of a batch")                                                                   \
  X(batch_items_max, 100, 1, 10000, "Messages in a batch")                                                                        \
  X(header_bytes_max, 8192, 1024, 65536, "All header lines of a request together")                                                \
  X(queue_max, 4096, 1, 1000000, "Requests that may wait to be worked on; further ones get the fallback with 503")                \
  X(connections_max, 10000, 1, 100000, "Open connections; further ones are closed at once")                                       \
  X(connections_per_ip_max, 0, 0, 100000, "Open connections from one address; 0: no limit of its own")                            \
  X(rate, 0, 0, 1000000, "Requests a second of one client; 0: no limit")                                                         \
  X(burst, 0, 0, 1000000, "Requests of one client at once after a rest; 0: as many as http.rate")                                 \
  X(idle_timeout_ms, 60000, 1000, 3600000, "A connection on which nothing happens is closed after this")                          \
  X(read_timeout_ms, 10000, 100, 600000, "A request must be there as a whole within this, however it trickles in")                \
  X(write_timeout_ms, 30000, 100, 600000, "An answer must be taken within this")                                                  \
  X(deadline_ms, 100, 1, 60000, "Deadline of a request that names none with Tidemark-Timeout-Ms")                                 \
  X(batch_deadline_ms, 1000, 1, 60000, "The same for a batch")                                                                    \
  X(deadline_max_ms, 10000, 1, 600000, "The longest deadline a request may name")                                                 \
  X(max_future_skew_ms, 30000, 0, 86400000, "An event further ahead of this machine's clock is refused")                          \
  X(drain_ms, 5000, 0, 600000, "How long a stop waits for requests under way")

struct tide_http_limits {
#define X(name, dflt, lo, hi, help) int64_t name;
  TIDE_HTTP_LIMITS(X)
#undef X
};
struct tide_http_limits tide_http_limits_default(void);
/* CONFIG, with the limit's name in error->field, when one is out of range or two contradict each other. */
enum tide_err tide_http_limits_check(const struct tide_http_limits *limits, struct tide_error *error) TIDE_WARN_UNUSED;

struct tide_http_address {
  char host[64]; /* a literal: 127.0.0.1, ::1 */
  uint16_t port; /* 0: any free one */
};
/* HOST:PORT; an IPv6 address stands in brackets; localhost is 127.0.0.1. USAGE otherwise. */
enum tide_err tide_http_address_parse(const char *text, struct tide_http_address *ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* Reached from this machine only. */
bool tide_http_is_loopback(const struct tide_http_address *address);

struct tide_http_options {
  struct tide_http_address listen, admin;
  struct tide_engine *engine;                        /* borrowed until tide_http_stop */
  const struct tide_spec *spec;                      /* the same feature file as the engine's; borrowed */
  struct tide_meters *meters;                        /* of tide_http_meters_new with this spec; borrowed until tide_http_stop */
  const struct tide_secret_key *key, *key_previous;  /* borrowed; NULL: none */
  const char *cell;                                  /* named in every answer */
  const char *durability;                            /* "file", "memory": what an acknowledgement stands on */
  bool log;                                          /* what changes the state is copied to the sources' log before it is answered (offer.h) */
  const char *snapshots;                             /* directory whose newest snapshot the admin listener gives to peers; NULL: none; borrowed */
  struct tide_http_secrets *secrets;                 /* taken over when the start succeeds; NULL: plain HTTP without tokens */
  const struct tide_http_source *source;             /* of the configuration; borrowed */
  size_t source_count;
  struct tide_ingest *ingest;                        /* what may read them; NULL: no sources. Borrowed */
  struct tide_source *logs;                          /* where their logs can be asked; as ingest */
  struct tide_watcher *watcher;                      /* drift and feedback; as ingest */
  uint32_t engine_id;
  struct tide_http_limits limits;
};

struct tide_http;
/* From now on messages are decoded by this feature file; requests under way keep theirs. It is borrowed until tide_http_stop, like those before. Any one thread. CONFIG: it maps
 * something to /options, or has a secret field and there is no key; nothing changes. */
enum tide_err tide_http_features(struct tide_http *http, const struct tide_spec *spec, struct tide_error *error) TIDE_WARN_UNUSED;
/* Both listeners are up when it returns. Errors: CONFIG (limits, a feature file that maps something to /options, a secret field without key), IO (an
 * address that cannot be listened on). */
enum tide_err tide_http_start(const struct tide_http_options *options, struct tide_http **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The ports in use, also where 0 was asked for. */
void tide_http_ports(const struct tide_http *http, uint16_t *ret_listen, uint16_t *ret_admin);
/* Puts other certificates, tokens and rates into force, for every request from here on; takes the bundle over. Each listener must be with or without TLS as it was.
 * Connections made under the certificates before are closed behind their next answer. */
void tide_http_renew(struct tide_http *http, struct tide_http_secrets *secrets, int64_t rate, int64_t burst);
/* The engine's release function for the offers of this layer; `ctx` is not looked at. */
void tide_http_release(void *ctx, struct tide_offer *offer);
/* Takes no new connections, /readyz says no, and waits until no request is under way, at most drain_ms. */
void tide_http_drain(struct tide_http *http);
/* Closes everything. The engine must have been joined: no offer may be under way any more. */
void tide_http_stop(struct tide_http *http);

#endif
