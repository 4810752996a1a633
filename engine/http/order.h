/* Requests with a body on the admin listener: an operator's decisions about sources (order.c), questions of the console (explain.c), its login
 * (console.c).
 *
 * The body is gathered, bounded, and overwritten before it is given back. What may block is carried out by the orders' thread, one after the other,
 * while the connection is suspended; so one console can have the engine's attention once at a time, whatever it asks. */
#ifndef TIDE_ORDER_H
#define TIDE_ORDER_H

#include "http/parts.h"

enum tide_order_where { AT_CURSOR, AT_BEGIN, AT_END };

struct tide_order {
  struct tide_http *http;
  struct MHD_Connection *connection;
  struct tide_peer *peer;
  const struct tide_route *route;
  struct tide_buf body;
  size_t seen; /* bytes of the body, kept or not */
  struct tide_trouble trouble;
  struct tide_http_caller caller;
  char challenge[TIDE_CHALLENGE];
  struct tide_buf answer;
  const char *location;     /* of a 303; NULL: it is answered by `answer` */
  char cookie[TIDE_COOKIE]; /* "" none is set */
  bool over;                /* carried out: the connection has been woken */
  struct tide_order *next;

  /* what is asked about a partition */
  const struct tide_http_source *source;
  bool all; /* waive: all partitions */
  uint16_t partition;
  enum tide_order_where where;
  uint64_t cursor;
  int64_t for_ms;

  bool released; /* the engine has given its offer back; under the mutex */
};

/* Offers it and waits until it is back, on the orders' thread; false, with the trouble, where the engine takes nothing. Fills what is the same for every offer of an order. */
bool tide_order_offer(struct tide_order *order, struct tide_offer *offer);
/* Queues the response: the trouble, or the redirection, or the answer. */
enum MHD_Result tide_order_answer(struct tide_order *order);

/* explain.c: on the orders' thread. */
void tide_explain_carry_out(struct tide_order *order);
/* console.c: a login or a logout, on the HTTP thread. */
void tide_console_session(struct tide_order *order);

#endif
