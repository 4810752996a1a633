/* The log generator behind `tidemark generate`: a made-up card issuer, its customers and its thieves, as one log.
 *
 * Same seed and options, same bytes, on every machine: integer arithmetic only, generators of our own (generate_rng.h), no clock. What
 * it models and what it does not is told in GENERATOR.md. The records fit the shapes of config/defaults/features.yaml: JSON lines of
 * `default`, `logins`, `card_adds`, `outcomes`, `labels`, `rates`, `lists`, or CSV rows of `history` and `history_*`; profiles need a shape of the analysts' own. */
#ifndef TIDE_GENERATE_H
#define TIDE_GENERATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum tide_generate_outcomes {
  TIDE_GENERATE_RECORDS, /* the issuer's answer is a record of its own, some hundred milliseconds later */
  TIDE_GENERATE_ROW,     /* it stands in the authorization's row; what happens later is still a record */
  TIDE_GENERATE_NONE     /* no outcome at all */
};

/* Options of the log. X(type, name, default, min, max, what it is); shares are percentages. 0 for cards and merchants: by transactions. */
#define TIDE_GENERATE_OPTIONS(X)                                                                                                      \
  X(int64_t, seed, 1, 0, INT64_MAX, "Another seed is another issuer")                                                                 \
  X(int64_t, transactions, 200000, 1, INT64_C(10000000000), "Authorizations (records of type auth, not counting re-sent ones), exactly") \
  X(int64_t, cards, 0, 0, 20000000, "Cards; 0 means about ten transactions per card in 30 days")                                      \
  X(int64_t, merchants, 0, 0, 1000000, "Merchants; 0 means one for eight cards")                                                      \
  X(int64_t, days, 60, 1, 3650, "Span of the transactions; labels come up to 31 days after")                                          \
  X(int64_t, start_ms, INT64_C(1767571200000), 0, INT64_C(4102444800000), "Event time of the beginning, milliseconds since 1970")     \
  X(int64_t, currencies, 1, 1, 8, "Currencies; more than one adds rate records and foreign amounts")                                  \
  X(double, out_of_order_pct, 0, 0, 100, "Records that come seconds to minutes after their time")                                     \
  X(double, late_pct, 0, 0, 100, "Authorizations that come eight to twelve days late, beyond any lateness")                           \
  X(double, duplicates_pct, 0, 0, 100, "Authorizations sent twice, the times milliseconds apart")                                     \
  X(double, reused_ids_pct, 0, 0, 100, "Authorizations that bear the id of an earlier one of the same card")                          \
  X(double, hot_merchant_pct, 0, 0, 100, "Authorizations at one single merchant, M000000")                                            \
  X(double, bad_pct, 0, 0, 100, "Malformed lines beside the good ones, of many sorts")

struct tide_generate_counts {
  uint64_t lines, auths, outcomes, labels, rates, lists, profiles, others; /* lines: all of them, malformed ones too; auths without re-sent ones */
  uint64_t duplicates, reused, late, out_of_order, bad;   /* lines of each sort */
  uint64_t fraud;                                         /* authorizations made by a thief, labelled or not */
  int64_t first_ms, last_ms;                              /* event times of the authorizations */
};

struct tide_generate_options {
#define X(type, name, dflt, lo, hi, help) type name;
  TIDE_GENERATE_OPTIONS(X)
#undef X
  bool csv;                             /* rows of shape `history` with a header; else JSON lines */
  bool labels;                          /* default true */
  bool profiles;                        /* default false; JSON only */
  enum tide_generate_outcomes outcomes; /* default records */
  const char *output;                   /* file, compressed by its ending .gz or .zst; "-" (default) for standard output */
  struct tide_generate_counts *counts;  /* filled on success if not NULL */
  void (*progress)(void *ctx, uint64_t done, uint64_t total); /* authorizations, now and then; may be NULL */
  void *progress_ctx;
};

struct tide_generate_options tide_generate_default(void);
/* Writes the whole log. Memory is bounded by cards, merchants and what is pending (labels of about a month, delayed lines). Errors: USAGE (an
 * option out of range, named in error->field), IO, FULL. */
enum tide_err tide_generate(const struct tide_generate_options *options, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
