/* The panic handler and the trail it prints.
 *
 * The trail is a ring of 64 fixed lines behind one mutex: it is written on state transitions (a session opened, an epoch changed), never
 * per record, so the lock costs nothing. A panic may happen while another thread holds it; then the lines are printed without it, because
 * a torn line in a post-mortem is worth more than a deadlock. */
#include "base/check.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TRAIL_LINES = 64, TRAIL_BYTES = 128 };

static char trail[TRAIL_LINES][TRAIL_BYTES];
static unsigned long trail_count;
static pthread_mutex_t trail_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_flag panicking = ATOMIC_FLAG_INIT;

void tide_trail(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  pthread_mutex_lock(&trail_lock);
  vsnprintf(trail[trail_count % TRAIL_LINES], TRAIL_BYTES, fmt, ap);
  trail_count++;
  pthread_mutex_unlock(&trail_lock);
  va_end(ap);
}

_Noreturn void tide_panic(const char *file, int line, const char *func, const char *cond) {
  if (!atomic_flag_test_and_set(&panicking)) {
    dprintf(STDERR_FILENO, "tidemark: panic at %s:%d in %s: %s\n", file, line, func, cond);
    int locked = pthread_mutex_trylock(&trail_lock);
    unsigned long first = trail_count > TRAIL_LINES ? trail_count - TRAIL_LINES : 0;
    for (unsigned long i = first; i < trail_count; i++) {
      dprintf(STDERR_FILENO, "  trail %lu: %.*s\n", i, TRAIL_BYTES - 1, trail[i % TRAIL_LINES]);
    }
    if (locked == 0) {
      pthread_mutex_unlock(&trail_lock);
    }
  }
  abort();
}
