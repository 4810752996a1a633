/* What a process that holds keys gives away of itself: no core dump, no debugger of the same user, no privilege that it does not need, no page of its keys in swap.
 *
 * Card numbers, keys and tokens are in its memory while it runs; a core file would put them on a disk that nobody has thought of. */
#ifndef TIDE_PROCESS_H
#define TIDE_PROCESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* No core dumps from here on, of its children neither (RLIMIT_CORE 0), and no attaching to it but by root (PR_SET_DUMPABLE 0). Cannot fail in a way that matters: a kernel
 * that refuses is told in the log. */
void tide_process_seal(void);
/* Keeps bytes out of swap and core dumps until tide_process_wipe; where the limit of locked memory is too low they are as before, and the log says so. */
void tide_process_keep(void *bytes, size_t len);
/* Overwrites them, and undoes that. */
void tide_process_wipe(void *bytes, size_t len);
/* user "": stays what it is, and warns where that is root. Otherwise becomes that user, with its groups, for good; CONFIG where there is none, or where it is not root and
 * another user than that. */
enum tide_err tide_process_become(const char *user, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
