/* A client of an engine's admin listener, for the verbs of an operator (admin_client.c).
 *
 * One request, one answer, both small: JSON there and back. An answer with another status than 200 is an answer too (a problem document says what is wrong); only that
 * there is none is an error. */
#ifndef TIDE_ADMIN_CLIENT_H
#define TIDE_ADMIN_CLIENT_H

#include "adapter/admin_access.h"
#include "base/buf.h"
#include "base/err.h"

#define TIDE_ADMIN_ANSWER_MAX (16u << 20)

struct tide_admin_request {
  const char *address;    /* HOST:PORT */
  const char *path;       /* "/sources" */
  struct tide_span body;  /* empty: GET; else POST, application/json */
  struct tide_admin_access access;
  int64_t timeout_ms;     /* to connect, and for the whole */
};

/* *ret_status: of the answer; its body is appended to out. Errors: AGAIN (nobody answers there, or not in time; whoever answers cannot show a certificate of the
 * authority), LIMIT (an answer above TIDE_ADMIN_ANSWER_MAX), CONFIG
 * (the address is none). */
enum tide_err tide_admin_ask(const struct tide_admin_request *request, long *ret_status, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
