/* One table of errors: code, text, class.
 *
 * A function that can fail returns enum tide_err and is warn-unused; TIDE_OK is 0. What to do about a class is one switch in one
 * place (engine/cli exits, the core stops or refuses). Detail for people travels in a struct tide_error, last argument at I/O and
 * configuration edges: what was being done, to what, why it failed and what to try. Libraries return errors and never log. */
#ifndef TIDE_ERR_H
#define TIDE_ERR_H

#include "base/check.h"

#define TIDE_ERR_CLASSES(X) X(NONE) X(INPUT) X(RETRY) X(INDETERMINATE) X(LIMIT) X(CONFIG) X(IO) X(BUG)

#define TIDE_ERRS(X)                                                                       \
  X(OK, NONE, "ok")                                                                        \
  X(E_SYNTAX, INPUT, "not well-formed")                                                    \
  X(E_UTF8, INPUT, "invalid UTF-8")                                                        \
  X(E_DUPLICATE_KEY, INPUT, "duplicate key")                                               \
  X(E_TRAILING, INPUT, "trailing bytes after the value")                                   \
  X(E_TYPE, INPUT, "wrong type of value")                                                  \
  X(E_RANGE, INPUT, "value out of range")                                                  \
  X(E_DECIMALS, INPUT, "too many decimals")                                                \
  X(E_MISSING, INPUT, "required field missing")                                            \
  X(E_FUTURE, INPUT, "too far in the future")                                              \
  X(E_UNKNOWN_NAME, INPUT, "unknown name")                                                 \
  X(E_TOO_LONG, INPUT, "too long")                                                         \
  X(E_CURRENCY, INPUT, "unknown currency or no rate")                                      \
  X(E_CONFIG, CONFIG, "invalid configuration")                                             \
  X(E_USAGE, CONFIG, "invalid usage")                                                      \
  X(E_LIMIT, LIMIT, "limit reached")                                                       \
  X(E_IO, IO, "input/output error")                                                        \
  X(E_NOT_FOUND, IO, "not found")                                                          \
  X(E_EXISTS, IO, "already exists")                                                        \
  X(E_LOCKED, IO, "locked by another process")                                             \
  X(E_CORRUPT, IO, "corrupt data")                                                         \
  X(E_VERSION, CONFIG, "unknown format version")                                           \
  X(E_FULL, LIMIT, "no space left")                                                        \
  X(E_AGAIN, RETRY, "try again")                                                           \
  X(E_STALE, RETRY, "stale epoch or session")                                              \
  X(E_INDETERMINATE, INDETERMINATE, "outcome unknown")                                     \
  X(E_MISMATCH, IO, "does not match")                                                      \
  X(E_HISTORY, IO, "the log no longer holds what was answered from it")                    \
  X(E_END, NONE, "end of input")

enum tide_err_class {
#define X(name) TIDE_CLASS_##name,
  TIDE_ERR_CLASSES(X)
#undef X
};

enum tide_err {
#define X(name, class, text) TIDE_##name,
  TIDE_ERRS(X)
#undef X
      TIDE_ERR_COUNT
};

/* Detail for people. `line` and `column` count from 1, 0 means unknown. Fixed size, no ownership. */
struct tide_error {
  enum tide_err code;
  int line, column;
  char field[64];  /* the field, key or option concerned, "" if none */
  char text[384];  /* one sentence: what was being done, to what, why it failed, what to try */
};

const char *tide_err_text(enum tide_err err);        /* "too many decimals" */
const char *tide_err_name(enum tide_err err);        /* "decimals": stable, lower-case, for metrics and headers */
enum tide_err_class tide_err_class(enum tide_err err);

/* Fills *error (may be NULL) and returns code, so that a failing path is one line: return tide_fail(error, TIDE_E_IO, "..."). */
enum tide_err tide_fail(struct tide_error *error, enum tide_err code, const char *fmt, ...) TIDE_PRINTF(3, 4);
/* The same with the place: line and column from 1 (0: unknown), field may be NULL. */
enum tide_err tide_fail_at(struct tide_error *error, enum tide_err code, int line, int column, const char *field, const char *fmt, ...)
    TIDE_PRINTF(6, 7);
/* The same with strerror(errno) appended. */
enum tide_err tide_fail_errno(struct tide_error *error, enum tide_err code, const char *fmt, ...) TIDE_PRINTF(3, 4);

#endif
