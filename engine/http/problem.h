/* Problems: what a caller did wrong, or why there is nothing to answer, as application/problem+json (RFC 9457).
 *
 * `type` is stable and means one thing; programs switch on it. `detail` is for people and may change. `pointer` is a JSON pointer (RFC 6901) into the
 * request's body. Nothing of a secret field's value is ever quoted. */
#ifndef TIDE_HTTP_PROBLEM_H
#define TIDE_HTTP_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"

#define TIDE_PROBLEM_URN "urn:tidemark:problem:"

/* X(name, slug, status, title) */
#define TIDE_PROBLEMS(X)                                                                                        \
  X(none, "none", 0, "")                                                                                        \
  X(malformed, "malformed", 400, "The body is not one well-formed JSON document")                               \
  X(query, "query-not-allowed", 400, "Requests carry everything in the body")                                   \
  X(bad_header, "bad-header", 400, "A header has a value that it may not have")                                 \
  X(unauthorized, "unauthorized", 401, "The request needs a token that is known here")                           \
  X(forbidden, "forbidden", 403, "It may not be done with this token, or from there")                                            \
  X(certificate, "client-certificate", 403, "The connection needs a client certificate that is good here")      \
  X(not_found, "not-found", 404, "There is no such path")                                                       \
  X(unknown_decision, "unknown-decision", 404, "No decision of this transaction is remembered")                 \
  X(unknown_source, "unknown-source", 404, "There is no such source or partition")                              \
  X(method, "method-not-allowed", 405, "The path does not take this method")                                    \
  X(read_timeout, "request-timeout", 408, "The request did not arrive in time")                                 \
  X(conflict, "conflict", 409, "The state of the cell does not allow it")                                       \
  X(body_too_large, "body-too-large", 413, "The body is longer than is accepted")                               \
  X(media_type, "unsupported-media-type", 415, "The body must be application/json")                             \
  X(missing_field, "missing-field", 422, "A required field is missing")                                         \
  X(invalid_field, "invalid-field", 422, "A field has a value that cannot be used")                             \
  X(bad_options, "bad-options", 422, "The options are not understood")                                          \
  X(wrong_record, "wrong-record", 422, "This kind of message belongs to another route")                         \
  X(no_decision, "no-decision", 422, "The feature file does not score events of this kind")                     \
  X(future, "future", 422, "The event's time is too far ahead")                                                 \
  X(batch_size, "batch-size", 422, "A batch has at least one message and not more than the limit")              \
  X(rate_limited, "rate-limited", 429, "The client asks more often than it may")                                \
  X(header_too_large, "headers-too-large", 431, "The header lines are longer than is accepted")                 \
  X(overload, "overload", 503, "More is waiting than can be answered in time")                                  \
  X(unavailable, "unavailable", 503, "The engine cannot commit now")                                            \
  X(deadline, "deadline", 504, "The deadline passed")

enum tide_problem {
#define X(name, slug, status, title) TIDE_PROBLEM_##name,
  TIDE_PROBLEMS(X)
#undef X
      TIDE_PROBLEM_COUNT
};

unsigned tide_problem_status(enum tide_problem problem);
const char *tide_problem_type(enum tide_problem problem); /* the slug */
const char *tide_problem_title(enum tide_problem problem);

/* One problem with its place and sentence. */
struct tide_trouble {
  enum tide_problem problem; /* none: nothing is wrong */
  char pointer[160];         /* "" when it concerns no place in the body */
  char detail[400];
  const char *counted;       /* NULL, or "false" or "maybe": what became of the message, as JSON has it */
};
/* Fills it; false, so that a failing check is one line. */
bool tide_trouble_set(struct tide_trouble *trouble, enum tide_problem problem, const char *fmt, ...) TIDE_PRINTF(3, 4);
/* The document, without newline. The slug is put behind TIDE_PROBLEM_URN. */
void tide_trouble_json(const struct tide_trouble *trouble, struct tide_buf *out);
/* What an error of the decoder is to an HTTP client. `place` as tide_decode_place gives it, or NULL; `prefix` is put before the pointer ("/3" in a batch). */
void tide_trouble_of_error(struct tide_trouble *trouble, const struct tide_error *error, const char *place, const char *prefix);
/* Appends prefix and place to the pointer; a place that is no pointer (a bare member name) becomes one. */
void tide_trouble_point(struct tide_trouble *trouble, const char *prefix, const char *place);

#endif
