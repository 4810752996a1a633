/* A bounded ring of fixed-size messages between threads: any number of producers, one consumer.
 *
 *         claim (CAS on tail)            publish (seq)         take (seq)
 *   tail ────────▶ slot: [seq | message] ────────────▶ ready ───────────▶ free for the next lap ◀── head
 *
 * Each slot has a sequence number that says whose turn it is (D. Vyukov's bounded queue): pos = free for the producer that claims position pos,
 * pos + 1 = holds its message, pos + slots = free for the next lap. A producer never waits for anyone: a full ring refuses, and what to do then
 * (the fallback, 503) is the caller's decision. A ring with one producer needs nothing else: a compare-and-swap that nobody contests costs a few
 * nanoseconds, so there is one kind of ring and not two.
 *
 * Sleeping is by eventfd, for three reasons: the consumer can poll it together with its sockets (a futex or a condition variable cannot be), a write
 * to it is allowed in a signal handler, and producers take no lock. It costs a system call only when the consumer sleeps: it raises a flag
 * before it does, looks once more, and a producer that finds the flag after publishing takes it down and writes. Flag and sequence are both
 * sequentially consistent: of "consumer raises, then looks" and "producer publishes, then looks" one must see the other, so no wake-up is lost.
 *
 * Closing is a bit in the tail itself: a push either claimed its position before, and then its message will come out, or is refused. So the consumer
 * knows exactly when it has everything. */
#ifndef TIDE_RING_H
#define TIDE_RING_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIDE_RING_SLOTS_MAX (1u << 22)
#define TIDE_RING_MESSAGE_MAX 4096u

enum tide_ring_result {
  TIDE_RING_OK,
  TIDE_RING_REFUSED, /* push: full. pop, wait: nothing there now */
  TIDE_RING_CLOSED   /* push: not taken, and never again. pop, wait: nothing there, and nothing will come */
};

struct tide_ring;

/* Room for at least `slots` messages (rounded up to a power of two, 2..TIDE_RING_SLOTS_MAX) of message_bytes (1..TIDE_RING_MESSAGE_MAX) each.
 * Error: IO when there is no eventfd to be had. */
enum tide_err tide_ring_new(size_t slots, size_t message_bytes, struct tide_ring **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* No thread may be in any of these functions any more. Messages that are still inside are dropped: whoever owns what they point to drains first. */
void tide_ring_free(struct tide_ring *ring);

/* Any thread. Copies message_bytes from message. Never blocks. */
enum tide_ring_result tide_ring_push(struct tide_ring *ring, const void *message) TIDE_WARN_UNUSED;
/* Any thread, also twice: no push succeeds any more; the consumer is woken. */
void tide_ring_close(struct tide_ring *ring);
/* Any thread, also a signal handler: the consumer's wait returns at once, or its next one does. */
void tide_ring_wake(struct tide_ring *ring);

/* The consumer's thread only. Copies the oldest message to `message`, untouched unless the result is OK. */
enum tide_ring_result tide_ring_pop(struct tide_ring *ring, void *message) TIDE_WARN_UNUSED;
/* The consumer's thread only. Sleeps until there is a message (OK), the ring is closed and drained (CLOSED), or it was woken or timeout_ns have passed
 * (REFUSED). timeout_ns < 0: for ever. */
enum tide_ring_result tide_ring_wait(struct tide_ring *ring, int64_t timeout_ns);

/* For a consumer that waits for other things as well: begin; if true, poll tide_ring_fd for reading beside the other descriptors, then end in every
 * case. False: there is something to pop, or the end; do not sleep. */
bool tide_ring_sleep_begin(struct tide_ring *ring) TIDE_WARN_UNUSED;
void tide_ring_sleep_end(struct tide_ring *ring);
int tide_ring_fd(const struct tide_ring *ring);

size_t tide_ring_capacity(const struct tide_ring *ring);
/* Any thread. Messages inside (and being put in); may be out of date when it returns. */
size_t tide_ring_depth(const struct tide_ring *ring);

#endif
