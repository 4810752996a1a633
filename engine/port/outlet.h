/* The outlet port: letters that leave an engine - decisions, dead letters, copies of HTTP requests.
 *
 * Unlike a sink (sink.h), which writes what replay decides into one file in order, an outlet is asynchronous: a letter is handed over, and a report says
 * later that it arrived or did not. Reports may come in any order. One thread uses an outlet. */
#ifndef TIDE_PORT_OUTLET_H
#define TIDE_PORT_OUTLET_H

#include "base/buf.h"
#include "base/err.h"

enum tide_letter_kind {
  TIDE_LETTER_SCORE, /* to the scores topic, key: the transaction's id */
  TIDE_LETTER_DEAD,  /* to the dead-letter topic */
  TIDE_LETTER_COPY,  /* to the events topic of http.log_source: what came over HTTP */
  TIDE_LETTER_KIND_COUNT
};
struct tide_letter_header { const char *name; struct tide_span value; };
struct tide_letter {
  uint8_t kind;            /* enum tide_letter_kind */
  struct tide_span key, value;
  const struct tide_letter_header *header;
  size_t header_count;
  uint64_t token;          /* comes back in the report */
};
struct tide_delivery {
  uint64_t token;
  uint8_t kind;
  enum tide_err err;       /* OK: it arrived, as durably as the outlet promises (Kafka: acks=all). Else it may or may not have arrived */
  struct tide_error error; /* what, if err is set */
};

struct tide_outlet;
struct tide_outlet_ops {
  const char *name;
  /* Takes a copy of the letter. Errors: AGAIN (full: take reports first), CONFIG (no topic for this kind), LIMIT (too long: no report comes), IO. After an
   * error nothing was taken. */
  enum tide_err (*send)(struct tide_outlet *, const struct tide_letter *, struct tide_error *);
  /* Reports that have come, at most `cap`, waiting up to wait_ms for the first. Returns how many; 0: none now. Each letter taken is reported once, be it as failed when the
   * outlet gives it up. */
  size_t (*reports)(struct tide_outlet *, int wait_ms, struct tide_delivery *ret, size_t cap);
  void (*close)(struct tide_outlet *); /* waits for what is under way, a bounded time */
};
struct tide_outlet { const struct tide_outlet_ops *ops; };

#endif
