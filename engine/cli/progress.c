/* The progress line (progress.h).
 *
 * Time left is elapsed * (total - done) / done: work here is even enough for that. It is drawn at most ten times a second, so that a fast
 * run does not spend its time on it. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#define BAR 24

void tide_progress_begin(struct tide_progress *progress, const char *what) {
  *progress = (struct tide_progress){.on = isatty(STDERR_FILENO) == 1, .what = what, .start = tide_mono_now()};
}

static void draw_bar(double share) {
  int full = (int)(share * BAR);
  fputc('[', stderr);
  for (int i = 0; i < BAR; i++) fputc(i < full ? '=' : i == full ? '>' : ' ', stderr);
  fprintf(stderr, "] %3d %%", (int)(share * 100));
}

void tide_progress_step(struct tide_progress *progress, uint64_t done, uint64_t total, uint64_t count, const char *unit) {
  if (!progress->on) return;
  struct tide_mono now = tide_mono_now();
  if (progress->last.ns && now.ns - progress->last.ns < 100000000) return;
  progress->last = now;
  double seconds = (double)(now.ns - progress->start.ns) / 1e9;
  fprintf(stderr, "\r%s ", progress->what);
  if (total) {
    double share = done >= total ? 1.0 : (double)done / (double)total;
    draw_bar(share);
    if (share > 0.01) fprintf(stderr, "  %.0f s left", seconds * (1 - share) / share);
  }
  fprintf(stderr, "  %llu %s, %.0f/s\033[K", (unsigned long long)count, unit, seconds > 0 ? (double)count / seconds : 0.0);
  fflush(stderr);
}

void tide_progress_end(struct tide_progress *progress) {
  if (!progress->on || !progress->last.ns) return;
  fprintf(stderr, "\r\033[K");
  fflush(stderr);
}
