/* The ring of ring.h.
 *
 * Invariant: positions in [head, tail) are claimed; slot pos & mask has seq == pos + 1 exactly while its message is there to be taken. Only the
 * consumer moves head and only a successful compare-and-swap moves tail, so a position belongs to one producer, then to the consumer. The message is
 * copied before its seq is stored and after it is loaded (release, acquire): plain bytes need no more. */
#include "base/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { LINE = 64 };
#define CLOSED_BIT (UINT64_C(1) << 63)

struct slot {
  atomic_uint_fast64_t seq;
  unsigned char message[];
};

struct tide_ring {
  _Alignas(LINE) atomic_uint_fast64_t tail; /* next position to claim, and CLOSED_BIT */
  _Alignas(LINE) atomic_uint_fast64_t head; /* next position to take; only the consumer writes it */
  _Alignas(LINE) atomic_bool asleep;
  _Alignas(LINE) uint64_t mask;
  size_t message_bytes, stride; /* stride: whole cache lines, so that neighbours do not disturb each other */
  unsigned char *slots;
  int fd;
};

static struct slot *slot_at(const struct tide_ring *ring, uint64_t pos) {
  return (struct slot *)(void *)(ring->slots + (pos & ring->mask) * ring->stride);
}

static void *aligned_new(size_t bytes) {
  void *ptr = aligned_alloc(LINE, bytes);
  TIDE_CHECK(ptr); /* as tide_alloc: a limit is set wrongly */
  memset(ptr, 0, bytes);
  return ptr;
}

enum tide_err tide_ring_new(size_t slots, size_t message_bytes, struct tide_ring **ret, struct tide_error *error) {
  TIDE_CHECK(slots >= 1 && slots <= TIDE_RING_SLOTS_MAX && message_bytes >= 1 && message_bytes <= TIDE_RING_MESSAGE_MAX);
  size_t count = 2; /* with one slot, "taken" and "free for the next lap" would be the same number */
  while (count < slots) count *= 2;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0)
    return tide_fail_errno(error, TIDE_E_IO, "cannot make an eventfd for a queue between threads (raise the limit of open files)");
  struct tide_ring *ring = aligned_new(sizeof *ring);
  ring->mask = count - 1;
  ring->message_bytes = message_bytes;
  ring->stride = (sizeof(struct slot) + message_bytes + LINE - 1) / LINE * LINE;
  ring->slots = aligned_new(count * ring->stride);
  ring->fd = fd;
  atomic_init(&ring->tail, 0);
  atomic_init(&ring->head, 0);
  atomic_init(&ring->asleep, false);
  for (uint64_t i = 0; i < count; i++) atomic_init(&slot_at(ring, i)->seq, i);
  *ret = ring;
  return TIDE_OK;
}

void tide_ring_free(struct tide_ring *ring) {
  if (!ring) return;
  (void)close(ring->fd);
  free(ring->slots);
  free(ring);
}

void tide_ring_wake(struct tide_ring *ring) {
  int saved = errno; /* this may be a signal handler */
  uint64_t one = 1;
  ssize_t n = write(ring->fd, &one, sizeof one);
  (void)n; /* fails only when the counter is full: then the descriptor is readable, which is all that is wanted */
  errno = saved;
}

enum tide_ring_result tide_ring_push(struct tide_ring *ring, const void *message) {
  uint64_t pos = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  struct slot *slot;
  for (;;) {
    if (pos & CLOSED_BIT) return TIDE_RING_CLOSED;
    slot = slot_at(ring, pos);
    uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
    if (seq == pos) {
      if (atomic_compare_exchange_weak_explicit(&ring->tail, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed)) break;
    } else if (seq < pos) {
      return TIDE_RING_REFUSED; /* still the message of the lap before: it was full when this was read */
    } else {
      pos = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    }
  }
  memcpy(slot->message, message, ring->message_bytes);
  atomic_store_explicit(&slot->seq, pos + 1, memory_order_seq_cst);
  if (atomic_load_explicit(&ring->asleep, memory_order_seq_cst) && atomic_exchange_explicit(&ring->asleep, false, memory_order_acq_rel))
    tide_ring_wake(ring);
  return TIDE_RING_OK;
}

void tide_ring_close(struct tide_ring *ring) {
  atomic_fetch_or_explicit(&ring->tail, CLOSED_BIT, memory_order_seq_cst);
  tide_ring_wake(ring);
}

/* Is there something to pop (OK), nothing (REFUSED), or nothing for ever (CLOSED)? */
static enum tide_ring_result look(const struct tide_ring *ring) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  if (atomic_load_explicit(&slot_at(ring, head)->seq, memory_order_seq_cst) == head + 1) return TIDE_RING_OK;
  uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
  return tail == (head | CLOSED_BIT) ? TIDE_RING_CLOSED : TIDE_RING_REFUSED;
}

enum tide_ring_result tide_ring_pop(struct tide_ring *ring, void *message) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  struct slot *slot = slot_at(ring, head);
  if (atomic_load_explicit(&slot->seq, memory_order_acquire) != head + 1)
    return look(ring) == TIDE_RING_CLOSED ? TIDE_RING_CLOSED : TIDE_RING_REFUSED;
  memcpy(message, slot->message, ring->message_bytes);
  atomic_store_explicit(&slot->seq, head + ring->mask + 1, memory_order_release);
  atomic_store_explicit(&ring->head, head + 1, memory_order_relaxed);
  return TIDE_RING_OK;
}

bool tide_ring_sleep_begin(struct tide_ring *ring) {
  atomic_store_explicit(&ring->asleep, true, memory_order_seq_cst);
  return look(ring) == TIDE_RING_REFUSED;
}

void tide_ring_sleep_end(struct tide_ring *ring) {
  atomic_store_explicit(&ring->asleep, false, memory_order_relaxed);
  uint64_t count;
  ssize_t n = read(ring->fd, &count, sizeof count);
  (void)n; /* EAGAIN: nobody wrote */
}

enum tide_ring_result tide_ring_wait(struct tide_ring *ring, int64_t timeout_ns) {
  if (tide_ring_sleep_begin(ring)) {
    struct pollfd fd = {.fd = ring->fd, .events = POLLIN};
    struct timespec time = {.tv_sec = (time_t)(timeout_ns / 1000000000), .tv_nsec = (long)(timeout_ns % 1000000000)};
    (void)ppoll(&fd, 1, timeout_ns < 0 ? NULL : &time, NULL); /* EINTR is a wake-up like any other */
  }
  tide_ring_sleep_end(ring);
  return look(ring);
}

int tide_ring_fd(const struct tide_ring *ring) { return ring->fd; }

size_t tide_ring_capacity(const struct tide_ring *ring) { return (size_t)ring->mask + 1; }

size_t tide_ring_depth(const struct tide_ring *ring) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed) & ~CLOSED_BIT;
  return tail > head ? (size_t)(tail - head) : 0; /* two loads: the consumer may have gone on between them */
}
