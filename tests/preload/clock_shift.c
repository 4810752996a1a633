/* A wall clock that can be set, for one process: preloaded into it, so that the machine's clock and the servers' stay as they are.
 *
 * The file that TIDE_CLOCK names holds eight bytes, how many milliseconds the wall clock is off; whoever writes them steps the clock at once. The monotonic clocks are
 * not touched, as they are not when somebody sets the time. Built and used by the e2e tests, never part of the program. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ms;
static int (*real_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TIDE_CLOCK");
  void *found = dlsym(RTLD_NEXT, "clock_gettime");
  memcpy(&real_gettime, &found, sizeof found);
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *map = mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, fd, 0);
  if (map != MAP_FAILED) offset_ms = map;
  (void)close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
  if (!real_gettime) begin(); /* somebody asks before the constructors have run */
  int failed = real_gettime(clock, ret);
  if (failed || !offset_ms || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t ns = ret->tv_nsec + *offset_ms % 1000 * 1000000;
  ret->tv_sec += *offset_ms / 1000 + (ns >= 1000000000) - (ns < 0);
  ret->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
  return 0;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone) {
  struct timespec now;
  (void)zone;
  int failed = clock_gettime(CLOCK_REALTIME, &now);
  ret->tv_sec = now.tv_sec;
  ret->tv_usec = now.tv_nsec / 1000;
  return failed;
}

time_t time(time_t *ret) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (ret) *ret = now.tv_sec;
  return now.tv_sec;
}
