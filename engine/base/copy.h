/* Copies of a few bytes: texts of records, entries of dictionaries, cells of blocks.
 *
 * Nearly all are shorter than a call of memcpy costs, and their length is not known to the compiler. Two pieces of one length, which may overlap, make any length of
 * up to twice theirs, so nothing is taken byte by byte. */
#ifndef TIDE_COPY_H
#define TIDE_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What memcpy does; `bytes` may be 0. The two may not overlap. */
static inline void tide_copy_few(char *to, const char *from, size_t bytes) {
  if (bytes > 16) {
    if (bytes > 64) {
      memcpy(to, from, bytes);
      return;
    }
    for (size_t at = 0; at + 16 < bytes; at += 16) memcpy(to + at, from + at, 16);
    memcpy(to + bytes - 16, from + bytes - 16, 16);
  } else if (bytes >= 8) {
    uint64_t first, last;
    memcpy(&first, from, 8);
    memcpy(&last, from + bytes - 8, 8);
    memcpy(to, &first, 8);
    memcpy(to + bytes - 8, &last, 8);
  } else if (bytes >= 4) {
    uint32_t first, last;
    memcpy(&first, from, 4);
    memcpy(&last, from + bytes - 4, 4);
    memcpy(to, &first, 4);
    memcpy(to + bytes - 4, &last, 4);
  } else if (bytes >= 2) {
    uint16_t first, last;
    memcpy(&first, from, 2);
    memcpy(&last, from + bytes - 2, 2);
    memcpy(to, &first, 2);
    memcpy(to + bytes - 2, &last, 2);
  } else if (bytes) {
    *to = *from;
  }
}

#endif
