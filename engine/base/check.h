/* Assertions that stay on in production.
 *
 * Our own bug stops the process loudly; the journal brings us back. A TIDE_CHECK states what the code around it has established, never
 * what an input may violate: bad input is a struct tide_error. The panic handler prints the trail of recent state transitions
 * (tide_trail) before it aborts, because the last steps are what the engineer on call needs. */
#ifndef TIDE_CHECK_H
#define TIDE_CHECK_H

#define TIDE_WARN_UNUSED __attribute__((warn_unused_result))
#define TIDE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TIDE_LIKELY(x) __builtin_expect(!!(x), 1)
#define TIDE_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define TIDE_CHECK(cond) \
  (TIDE_LIKELY(cond) ? (void)0 : tide_panic(__FILE__, __LINE__, __func__, #cond))

/* A place that is never reached, with the reason: TIDE_NEVER("decoding admits no other record here"). (A negated string literal as
 * condition is a conversion that clang warns of, and does not tell the compiler that control ends here.) */
#define TIDE_NEVER(why) tide_panic(__FILE__, __LINE__, __func__, why)

/* Prints file, line, condition and the trail to stderr, then aborts. Never returns. */
_Noreturn void tide_panic(const char *file, int line, const char *func, const char *cond);

/* Remembers one short line (cut at 127 bytes) in a ring of the last 64, printed by tide_panic. Thread-safe. */
void tide_trail(const char *fmt, ...) TIDE_PRINTF(1, 2);

#endif
