/* A progress line with rate and time left.
 *
 * It is drawn on stderr and only when that is a terminal: scripts and logs never see one. The line is wiped at the end, so that
 * what stays on the screen is the result. */
#ifndef TIDE_PROGRESS_H
#define TIDE_PROGRESS_H

#include "base/clock.h"

struct tide_progress {
  bool on;
  const char *what; /* "replay" */
  struct tide_mono start, last;
};

void tide_progress_begin(struct tide_progress *progress, const char *what);
/* done of total units of work (total 0: unknown), count things of kind `unit` so far. Draws at most ten times a second. */
void tide_progress_step(struct tide_progress *progress, uint64_t done, uint64_t total, uint64_t count, const char *unit);
void tide_progress_end(struct tide_progress *progress); /* wipes the line */

#endif
