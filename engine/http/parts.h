/* Inside of the HTTP layer: shared by its files and by nobody else.
 *
 *   server.c      listeners: start, drain, stop, the library's callbacks
 *   peer.c        connections and their clocks: who is too slow is cut
 *   admit.c       who is worked on, who waits, who is refused: a policy without clock or lock
 *   line.c        those who wait, and how long a request lay unread
 *   request.c     one message: decoded, its options read, offered
 *   options.c     the member "options" of a message
 *   batch.c       an array of messages
 *   reply.c       what came back, as the body of a response
 *   local.c       a decision without the engine, where it takes nothing more
 *   admin.c       the admin listener's pages
 *   guard.c       who may ask what, and how much; with tls, token and rate
 *   sources.c     what is known of the sources, as a page, for probes and as metrics
 *   drift.c       what the watch sees of the model and of labels, as pages and as metrics
 *   order.c       requests with a body on the admin listener: what an operator decides about a partition
 *   status.c      everything that the console shows, as a document; history.c the last hour of it
 *   explain.c     one decision with what is behind it
 *   console.c     the console's files, and who is logged in; session.c
 *
 * A request goes through four stages and belongs to one thread at a time: the HTTP thread (reading, then writing) or, while it is suspended, the core's
 * thread. `pending` is what passes it over: whoever takes it to zero wakes the connection, and nobody touches the request after giving up his share. */
#ifndef TIDE_HTTP_PARTS_H
#define TIDE_HTTP_PARTS_H

#include "adapter/decode.h"
#include "http/admit.h"
#include "http/history.h"
#include "http/metrics.h"
#include "http/server.h"
#include "http/session.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define TIDE_TRACEPARENT 55 /* 00-<32 hex>-<16 hex>-<2 hex> */

/* ---- connections ---- */

enum tide_peer_state {
  TIDE_PEER_fresh,   /* connected, nothing read yet */
  TIDE_PEER_reading, /* a request is coming in */
  TIDE_PEER_waiting, /* for the engine: has no clock of its own */
  TIDE_PEER_writing, /* the answer is going out */
  TIDE_PEER_idle     /* between two requests */
};
struct tide_peer {
  struct tide_http *http;
  int fd;
  uint8_t state;  /* enum tide_peer_state */
  bool cut;       /* already shut down */
  bool judged, good;     /* its client certificate; the HTTP thread's */
  int64_t good_until_s;  /* since 1970 */
  struct tide_tls *tls;  /* what the connection was made under; NULL: plain */
  int64_t due_ns; /* cut when the monotonic clock passes it; INT64_MAX: never */
  struct tide_peer *previous, *next;
};

/* ---- who asks ---- */

#define TIDE_CHALLENGE 96
#define TIDE_COOKIE 160
struct tide_http_caller {
  char name[TIDE_TOKEN_NAME]; /* of its token; "" none */
  uint64_t client;            /* by which its requests are counted; 0: they are not */
};
/* One question to the guard, and what it says. */
struct tide_http_guest {
  struct MHD_Connection *connection;
  const struct tide_route *route;
  struct tide_trouble *trouble; /* filled when it is refused */
  struct tide_http_caller caller;
  char challenge[TIDE_CHALLENGE]; /* the value of WWW-Authenticate; "" none */
  char from[46];                  /* its address */
};
struct tide_guard {
  pthread_rwlock_t lock;
  struct tide_http_secrets *secrets; /* in force */
  uint64_t seed;
  atomic_bool limited;
  pthread_mutex_t rate_mutex;
  struct tide_rate rate;
};
void tide_guard_init(struct tide_http *http, struct tide_http_secrets *secrets);
void tide_guard_release(struct tide_http *http);
/* What new connections are made under, with a share for the caller; NULL: plain. */
struct tide_tls *tide_guard_tls(struct tide_http *http, enum tide_listener listener);
/* The connection was made under certificates that are not in force any more. */
bool tide_guard_is_old(struct tide_http *http, enum tide_listener listener, const struct tide_peer *peer);
/* By certificate and token. Fills guest->caller, challenge, from; where it says no, the trouble. */
bool tide_guard_admits(struct tide_http *http, struct tide_http_guest *guest);
/* By rate: one more request; or false, and after what time one would be taken. */
bool tide_guard_lets(struct tide_http *http, const struct tide_http_caller *caller, int64_t *ret_wait_ns);
/* So many more messages in a request that was let in. */
void tide_guard_charge(struct tide_http *http, const struct tide_http_caller *caller, uint32_t more);

/* ---- requests ---- */

enum tide_explain { TIDE_EXPLAIN_none, TIDE_EXPLAIN_reasons, TIDE_EXPLAIN_full };

/* What "options" may say; each route takes some of it. */
struct tide_http_ask {
  bool count;
  uint8_t explain; /* enum tide_explain */
  struct tide_position after;
  bool has_at;
  int64_t at_ms;
  uint8_t consistency; /* enum tide_consistency */
};

/* One message of a request. */
struct tide_http_item {
  struct tide_http_request *request;
  struct tide_offer *offer;     /* NULL: there is none, trouble says why */
  const struct tide_spec *spec; /* under which its records are encoded */
  struct tide_trouble trouble;
  struct tide_http_ask ask;
  bool scores;                  /* an event that asks for a decision */
};

enum tide_stage { TIDE_READING, TIDE_IN_LINE, TIDE_WAITING, TIDE_ANSWERED };
struct tide_http_request {
  struct tide_http *http;
  struct MHD_Connection *connection;
  struct tide_peer *peer;
  const struct tide_route *route; /* NULL: none */
  uint8_t stage;                  /* enum tide_stage */
  bool head;                      /* HEAD */
  struct tide_trouble trouble;    /* of the request as a whole */
  struct tide_http_caller caller;
  char challenge[TIDE_CHALLENGE]; /* "" none */
  int64_t wait_ns;                /* it came too often: one would be taken after that; 0: it did not */
  struct tide_buf body;
  size_t seen;                    /* bytes of the body, kept or not */
  struct tide_mono begun;
  int64_t timeout_ms;
  struct tide_mono deadline;
  char traceparent[TIDE_TRACEPARENT + 1]; /* "" none */
  struct tide_http_item one, *item; /* item is &one, or an array of a batch */
  uint32_t item_count;
  atomic_uint pending;
  struct tide_ticket ticket;
};

/* ---- the server ---- */

/* Decoders are not shared: whoever decodes takes one. */
struct tide_http_decoder {
  const struct tide_spec *spec;
  struct tide_decoder *message, *question; /* strict, and with every field optional */
  struct tide_record record[2];
  struct tide_http_decoder *next;
};

/* Admission to one listener. */
struct tide_line {
  pthread_mutex_t mutex; /* over admit, and every ticket that waits */
  pthread_cond_t filled; /* the first one waits */
  struct tide_admit admit;
  int64_t tick_ns; /* in which the kernel counts */
  pthread_t thread;
  bool quit;
};

/* What a listener's connections are told by. */
struct tide_http_side {
  struct tide_http *http;
  uint8_t listener; /* enum tide_listener */
};

/* Orders of an operator, carried out one after the other. */
struct tide_order;
struct tide_orders {
  pthread_mutex_t mutex;
  pthread_cond_t filled, released;
  struct tide_order *first, *last;
  bool quit;
  pthread_t thread;
};

/* Whoever takes a sample every few seconds. */
struct tide_sampler {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool quit;
  pthread_t thread;
};

struct tide_hour;
struct tide_http {
  struct tide_http_side side[TIDE_LISTENER_COUNT];
  struct tide_guard guard;
  struct tide_http_options options;
  struct tide_http_limits limits;
  struct tide_engine *engine;
  _Atomic(const struct tide_spec *) spec; /* by which messages are decoded from now on; those before live as long as this */
  struct tide_buf cell, versions; /* of "provenance": what stands before the model and behind the feature file */
  struct tide_hour *hour;
  struct MHD_Daemon *api, *admin;
  _Atomic uint16_t api_port, admin_port; /* known when the listeners are there, which may ask for them at once */
  struct tide_meters *meters;
  atomic_int waiting;         /* requests suspended for the engine */
  atomic_bool draining;
  struct tide_line line;
  struct tide_orders orders;
  struct tide_sessions sessions;
  struct tide_history *history;
  struct tide_sampler sampler;
  pthread_mutex_t gauges; /* one thread at a time sets the rows that are looked up when somebody looks */
  int64_t started_ms;

  pthread_mutex_t decoders_mutex;
  struct tide_http_decoder *decoders;

  pthread_mutex_t peers_mutex;
  pthread_cond_t peers_changed;
  struct tide_peer *peers;
  bool quit;
  pthread_t watch;
};

/* hour.c: what the last hour looked like; a thread of its own between the two */
void tide_hour_start(struct tide_http *http);
void tide_hour_stop(struct tide_http *http);
void tide_hour_put(struct tide_http *http, struct tide_buf *out);

/* request.c */
struct tide_http_decoder *tide_http_decoder_take(struct tide_http *http, struct tide_error *error);
void tide_http_decoder_free(struct tide_http_decoder *decoder);
void tide_http_decoder_give(struct tide_http *http, struct tide_http_decoder *decoder);
/* Decodes one message and makes its offer, with the item's options; or fills the item's trouble. `prefix`: of pointers. */
void tide_http_take_message(struct tide_http_item *item, struct tide_http_decoder *decoder, struct tide_span message, const char *prefix);
/* Of a route's messages: decisions and questions before what only counts. */
uint8_t tide_http_priority(enum tide_route_id route);
/* A whole body, after it has come in: fills items or the request's trouble. */
void tide_http_take(struct tide_http_request *request);
/* "7-48100" or "7-48213.5"; false when it is neither. */
bool tide_http_position_parse(struct tide_span text, struct tide_position *ret);

/* options.c: reads the member "options" of a message that is known to be well-formed and to have one. */
bool tide_http_options_read(const struct tide_route *route, struct tide_span message, struct tide_http_ask *ask, struct tide_trouble *trouble,
                            const char *prefix);

/* batch.c: splits a JSON array of objects without reading what is in them. Items are spans of the body. */
bool tide_http_split(struct tide_span body, uint32_t max, struct tide_span *ret_item, uint32_t *ret_count, struct tide_trouble *trouble);
void tide_http_take_batch(struct tide_http_request *request, struct tide_http_decoder *decoder);

/* local.c: the fallback's decision for a record that the engine did not take, into the offer. */
void tide_http_decide_locally(struct tide_http *http, struct tide_offer *offer, enum tide_offer_end end, enum tide_cause cause);

/* reply.c: appends the object {"cell":..., "model":...}; model "" is null; features "": those in force. */
void tide_http_put_provenance(const struct tide_http *http, const char *model, const char *policy, const char *features, struct tide_buf *out);
/* reply.c: the body of the response, its status, its media type, and what further headers say. */
struct tide_http_reply {
  struct tide_buf body;
  const void *borrowed; /* instead of body: lives as long as the program */
  size_t borrowed_len;
  unsigned status;
  const char *media_type;
  unsigned retry_after_s; /* 0: not said */
  const char *challenge;  /* WWW-Authenticate; NULL or "": none */
  const char *cookie;     /* Set-Cookie; the same */
  const char *location;   /* where a 303 leads; NULL: it is none */
  bool page;              /* for a browser: with the headers that bind it to what this listener serves */
};
void tide_http_reply_make(struct tide_http_request *request, struct tide_http_reply *ret);
/* Hands it to the library, with the headers that every response has. Releases it. */
enum MHD_Result tide_http_reply_send(struct tide_http *http, struct MHD_Connection *connection, const struct tide_route *route,
                                     struct tide_http_reply *reply, const char *traceparent, bool close);

/* line.c */
#define TIDE_ADMIT_TARGET_PERCENT 30 /* of the default deadline is what may be spent in queues */
void tide_line_init(struct tide_http *http);
/* Nobody waits any more, and nobody is worked on. */
void tide_line_release(struct tide_http *http);
/* How long the last bytes that came on a connection have been there; 0 where the system does not say. */
int64_t tide_line_unread_ns(const struct tide_http *http, int fd);
/* WORKING: go on. WAITING: the connection is suspended, and the request belongs to nobody until its handler is called again: then its ticket is WORKING, or OUT and it
 * is to be refused for its deadline, or because it was crowded out. */
enum tide_admit_state tide_line_enter(struct tide_http_request *request);
/* The client has closed its side, or the connection is broken. */
bool tide_line_is_gone(int fd);
/* The request has its answer; without effect for one that is not worked on. delay_ns: what of its time was queueing. */
void tide_line_leave(struct tide_http_request *request, int64_t delay_ns);
/* Sets the gauges of the line. */
void tide_line_show(struct tide_http *http, struct tide_meter *meter);
/* The listener stops: nobody waits from here on. */
void tide_line_open(struct tide_http *http);

/* peer.c */
void tide_peers_init(struct tide_http *http);
void tide_peers_release(struct tide_http *http);
void tide_peer_notify(void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code);
struct tide_peer *tide_peer_of(struct MHD_Connection *connection);
void tide_peer_set(struct tide_peer *peer, enum tide_peer_state state);

/* server.c */
bool tide_http_is_json(const char *media_type); /* NULL: no */

/* sources.c: what is known at one moment. */
struct tide_sources_look {
  const struct tide_http *http;
  struct tide_engine_status status;
  struct tide_engine_sources known;
  struct tide_ingest_partition *part; /* [part_count]; none on an engine that does not read */
  size_t part_count;
  int64_t now_ms;
};
struct tide_sources_look *tide_http_sources_look(struct tide_http *http);
void tide_http_sources_free(struct tide_sources_look *look);
/* How each entity would stand for a request of now whose card was never seen: ret[spec->entity_count]. */
const struct tide_spec *tide_http_standings(const struct tide_sources_look *look, struct tide_standing *ret);
/* NULL: it is not configured. */
const struct tide_http_source *tide_http_source_of(const struct tide_http *http, uint16_t number);
/* NULL: this engine does not read it. */
const struct tide_ingest_partition *tide_http_partition_read(const struct tide_sources_look *look, uint16_t source, uint16_t partition);
/* Appends the page's object; why the epoch is not open, as a sentence; members "stopped" and "stopped_partitions", if any stands still. */
void tide_http_sources_put(const struct tide_sources_look *look, struct tide_buf *out);
void tide_http_sources_why(const struct tide_sources_look *look, struct tide_buf *out);
void tide_http_sources_stopped(const struct tide_sources_look *look, struct tide_buf *out);
/* Sets the rows about sources and freshness. */
void tide_http_sources_meter(struct tide_http *http, struct tide_meter *meter);

/* admin.c: sets the rows that are kept elsewhere. */
void tide_http_gauges(struct tide_http *http);
bool tide_http_is_live(const struct tide_engine_status *status);
bool tide_http_is_ready(const struct tide_http *http, const struct tide_engine_status *status);
/* Appends "why", sources that stand still and the journal's trouble, as members. */
void tide_http_put_why(struct tide_http *http, const struct tide_engine_status *status, struct tide_buf *out);

/* Appends "provenance", and "rollout" and "rollout_void" where there are any, as members. */
void tide_http_put_rollout(const struct tide_http *http, struct tide_buf *out);

/* status.c: the sampler of the last hour, from its start until its history is freed; the document of GET /status. */
void tide_sampler_start(struct tide_http *http);
void tide_sampler_stop(struct tide_http *http);
void tide_sampler_free(struct tide_http *http);
void tide_http_status_put(struct tide_http *http, const char *client, struct tide_buf *out);

/* console.c: fills the reply of one of the console's files. */
void tide_console_file(const struct tide_http *http, enum tide_route_id route, struct tide_http_reply *reply);
/* The session that a request shows by its cookie; an empty span: none. */
struct tide_span tide_console_cookie(const struct tide_http *http, struct MHD_Connection *connection);
/* It comes from a page that this listener has served, as far as a browser says so. */
bool tide_console_is_own(const struct tide_http *http, struct MHD_Connection *connection);

/* drift.c: the pages, of what was seen within the last second; the rows about drift and feedback. */
void tide_http_drift_put(struct tide_http *http, enum tide_route_id route, struct tide_buf *out);
void tide_http_drift_meter(struct tide_http *http, struct tide_meter *meter);

/* order.c */
#define TIDE_WAIVE_MAX_MS (INT64_C(7) * 86400000)
void tide_orders_start(struct tide_http *http);
/* After the engine has ended: all that wait are answered, no more are taken. */
void tide_orders_stop(struct tide_http *http);
void tide_orders_free(struct tide_http *http);
struct tide_order *tide_order_new(struct tide_http *http, struct MHD_Connection *connection, const struct tide_route *route);
/* The middle and last calls of its request, and the one after it was woken. */
enum MHD_Result tide_order_step(struct tide_order *order, const char *data, size_t *size);
void tide_order_free(struct tide_order *order);
/* An offer of an order came back: the core's thread. */
void tide_order_release(struct tide_offer *offer);

/* admin.c */
void tide_http_admin_done(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);
enum MHD_Result tide_http_admin(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                const char *data, size_t *size, void **request);

/* snapshot.c: answers with the newest snapshot; false, and nothing is answered, when there is none to give. */
bool tide_http_snapshot(struct tide_http *http, struct MHD_Connection *connection, const struct tide_route *route, enum MHD_Result *ret);

/* openapi.c */
extern const char tide_openapi_begin[], tide_openapi_end[];

#endif
