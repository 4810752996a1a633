/* Reading a file journal from its beginning: the archive of trimmed entries first, then the journal, as one.
 *
 * audit, explain and doctor stand on it. Entries are passed as they are: decoding and folding are the caller's, reading and checksums the
 * journal's. */
#ifndef TIDE_SCAN_H
#define TIDE_SCAN_H

#include "port/journal.h"

/* Called for each entry in order. TIDE_OK goes on, TIDE_E_END stops early without an error, anything else stops with it. */
typedef enum tide_err (*tide_scan_fn)(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error);
struct tide_scan_result { uint64_t entries, bytes; struct tide_position first, last; };
/* Opens read-only: a running writer is not disturbed. what: word of the progress line, NULL for none. NOT_FOUND: the log does not begin with its
 * first entry, so that it can be read and not be folded. */
enum tide_err tide_scan(const char *dir, const char *what, tide_scan_fn fn, void *ctx, struct tide_scan_result *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* The same for whoever folds nothing: from wherever the log begins. */
enum tide_err tide_scan_part(const char *dir, const char *what, tide_scan_fn fn, void *ctx, struct tide_scan_result *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
