/* The system calls through which the file journal and the archive change the disk, as a table.
 *
 * The tests hand in one whose Nth call fails, or after which nothing happens any more (a crash), or whose disk forgets what was not
 * synced. Production always uses tide_sys_real. Calls that only read are not in it. */
#ifndef TIDE_ADAPTER_SYS_H
#define TIDE_ADAPTER_SYS_H

#include <stdbool.h>
#include <sys/types.h>

struct tide_sys {
  int (*open)(const char *path, int flags, mode_t mode);
  ssize_t (*pwrite)(int fd, const void *ptr, size_t len, off_t at);
  int (*fdatasync)(int fd);
  int (*fsync)(int fd);
  int (*ftruncate)(int fd, off_t len);
  int (*rename)(const char *from, const char *to);
  int (*unlink)(const char *path);
  int (*mkdir)(const char *path, mode_t mode);
};
extern const struct tide_sys tide_sys_real;

#endif
