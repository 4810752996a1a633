/* UTF-8 validity (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF) and the nearest name for "did you mean".
 *
 * Every text that enters is checked once, at decode; behind that everything may rely on it. */
#ifndef TIDE_UTF8_H
#define TIDE_UTF8_H

#include "base/span.h"

bool tide_utf8_valid(struct tide_span s);
/* Without the mark (U+FEFF) that editors write in front of a file. */
struct tide_span tide_utf8_unmarked(struct tide_span s);
/* The candidate with the least Damerau-Levenshtein distance to name, of equal ones that with the longest beginning in common: who wrote
 * `declines_10` left something out of `declines_10m`. NULL if none is within max(2, len/3), or none has anything in common with it. */
const char *tide_nearest(struct tide_span name, const char *const *candidates, size_t count);

#endif
