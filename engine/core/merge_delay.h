/* The delay of a partition: the smallest d that at most max(2, 1 %) of the messages of the last 60 s exceed with (append time - event
 * time) (contract 6).
 *
 * Time is that of the log, which is as far as the latest append time given, or as the moment up to which the log is known to be read. So
 * a backlog that is read in a second has the delay it had when it was written, a queue upstream of the log shows at whatever speed it is
 * read, and 60 s after the last message of a log that is known to be read the delay is 0 again.
 *
 * A ring of 61 seconds, each a histogram with eight buckets per power of two; a running cut is moved with each message, so reading is
 * free. The estimate never understates: a bucket tells its upper edge, messages of the oldest second (partly outside of the 60 s) count
 * where they exceed and not where 1 % is taken of. It overstates by less than 1/8 of what the definition gives where messages count as
 * exceeding for up to 61 s and as room for stragglers for 59 s at least. Beyond 795 days it tells TIDE_DELAY_BEYOND_MS. */
#ifndef TIDE_MERGE_DELAY_H
#define TIDE_MERGE_DELAY_H

#include "base/buf.h"

enum { TIDE_DELAY_SECONDS = 60, TIDE_DELAY_SLICES = TIDE_DELAY_SECONDS + 1, TIDE_DELAY_BUCKETS = 9 + 33 * 8 + 1 };
#define TIDE_DELAY_BEYOND_MS (INT64_C(1) << 47) /* more than the span of all times that can be written */

/* Zeroed: no message so far. Seconds without a message take no memory. */
struct tide_delay {
  bool begun;
  int64_t now_s;                       /* the second of the log's time */
  uint32_t *slice[TIDE_DELAY_SLICES];  /* messages per bucket of second s at s % SLICES; NULL: none */
  uint32_t in_slice[TIDE_DELAY_SLICES];
  uint32_t *all;                       /* the sum of the slices */
  uint64_t count;                      /* messages in all slices */
  uint64_t above;                      /* of them in buckets beyond `cut` */
  uint32_t cut;                        /* the smallest bucket that few enough lie beyond */
};

/* The log has come to log_ms; a time before an earlier one changes nothing. */
void tide_delay_advance(struct tide_delay *delay, int64_t log_ms);
/* A message was given when the log had come to log_ms, delay_ms after its event (below 0: 0). */
void tide_delay_add(struct tide_delay *delay, int64_t log_ms, int64_t delay_ms);
int64_t tide_delay_ms(const struct tide_delay *delay);
/* What tide_delay_ms tells of a single delay of this length: the upper edge of its bucket. */
int64_t tide_delay_edge_ms(int64_t delay_ms);
void tide_delay_release(struct tide_delay *delay);

#endif
