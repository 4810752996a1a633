/* The ring between threads: refuses when it is full, keeps each producer's order, loses and doubles nothing, wakes a consumer that sleeps, and when it is
 * closed gives out exactly what it took. Run under SAN=thread as well; the waits are for ever, so a lost wake-up is a test that never ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ring.h"

enum { PRODUCERS = 4, EACH = 40000 };

struct message {
  uint32_t from, number;
  uint64_t check;
  unsigned char tail[13]; /* an odd size */
};

static struct message message_of(uint32_t from, uint32_t number) {
  struct message m;
  memset(&m, 0, sizeof m);
  m.from = from;
  m.number = number;
  m.check = ((uint64_t)from << 32 | number) * UINT64_C(0x9e3779b97f4a7c15);
  memset(m.tail, (int)(number & 0xff), sizeof m.tail);
  return m;
}

static void assert_whole(const struct message *m) {
  struct message want = message_of(m->from, m->number);
  assert_memory_equal(m, &want, sizeof want);
}

static struct tide_ring *ring_new(size_t slots) {
  struct tide_ring *ring = NULL;
  struct tide_error error;
  assert_int_equal(tide_ring_new(slots, sizeof(struct message), &ring, &error), TIDE_OK);
  return ring;
}

static void fills_refuses_and_empties(void **state) {
  (void)state;
  static const size_t sizes[][2] = {{1, 2}, {2, 2}, {3, 4}, {1000, 1024}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct tide_ring *ring = ring_new(sizes[i][0]);
    size_t capacity = tide_ring_capacity(ring);
    assert_int_equal(capacity, sizes[i][1]);
    struct message m, untouched;
    memset(&m, 0x5a, sizeof m);
    untouched = m;
    assert_int_equal(tide_ring_pop(ring, &m), TIDE_RING_REFUSED);
    assert_memory_equal(&m, &untouched, sizeof m);
    uint32_t in = 0, out = 0;
    for (int lap = 0; lap < 5; lap++) { /* laps of different lengths: every slot is once the first */
      while (tide_ring_depth(ring) < capacity) {
        m = message_of(1, in++);
        assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_OK);
      }
      assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_REFUSED);
      for (size_t k = 0; k < capacity - (size_t)(lap % 2); k++) {
        assert_int_equal(tide_ring_pop(ring, &m), TIDE_RING_OK);
        assert_whole(&m);
        assert_int_equal(m.number, out++);
      }
    }
    while (tide_ring_pop(ring, &m) == TIDE_RING_OK) assert_int_equal(m.number, out++);
    assert_int_equal(in, out);
    assert_int_equal(tide_ring_depth(ring), 0);
    tide_ring_free(ring);
  }
  tide_ring_free(NULL);
}

static void closing_lets_out_what_is_inside(void **state) {
  (void)state;
  struct tide_ring *ring = ring_new(4);
  struct message m = message_of(1, 1);
  assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_OK);
  assert_int_equal(tide_ring_wait(ring, -1), TIDE_RING_OK);
  tide_ring_close(ring);
  tide_ring_close(ring);
  assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_CLOSED);
  assert_int_equal(tide_ring_wait(ring, -1), TIDE_RING_OK);
  assert_false(tide_ring_sleep_begin(ring));
  tide_ring_sleep_end(ring);
  assert_int_equal(tide_ring_depth(ring), 1);
  assert_int_equal(tide_ring_pop(ring, &m), TIDE_RING_OK);
  assert_int_equal(tide_ring_pop(ring, &m), TIDE_RING_CLOSED);
  assert_int_equal(tide_ring_wait(ring, -1), TIDE_RING_CLOSED);
  assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_CLOSED);
  tide_ring_free(ring);
}

struct producer {
  pthread_t thread;
  struct tide_ring *ring;
  uint32_t id, pushed, refused;
};

static void *produce(void *arg) {
  struct producer *p = arg;
  for (uint32_t i = 0; i < EACH; i++) {
    struct message m = message_of(p->id, i);
    enum tide_ring_result result;
    while ((result = tide_ring_push(p->ring, &m)) == TIDE_RING_REFUSED) {
      p->refused++;
      sched_yield();
    }
    if (result != TIDE_RING_OK) abort();
    p->pushed++;
    if (i % 64 == p->id) sched_yield(); /* gaps, so that the consumer sleeps now and then */
  }
  return NULL;
}

static void start(struct producer *producer, struct tide_ring *ring, void *(*run)(void *)) {
  for (uint32_t i = 0; i < PRODUCERS; i++) {
    producer[i] = (struct producer){.ring = ring, .id = i};
    assert_int_equal(pthread_create(&producer[i].thread, NULL, run, &producer[i]), 0);
  }
}

static void several_producers_lose_and_double_nothing(void **state) {
  (void)state;
  struct tide_ring *ring = ring_new(64);
  struct producer producer[PRODUCERS];
  start(producer, ring, produce);
  uint32_t next[PRODUCERS] = {0}, sleeps = 0;
  for (uint32_t taken = 0; taken < PRODUCERS * EACH;) {
    struct message m;
    if (tide_ring_pop(ring, &m) == TIDE_RING_REFUSED) {
      tide_ring_wait(ring, -1);
      sleeps++;
      continue;
    }
    assert_true(m.from < PRODUCERS);
    assert_int_equal(m.number, next[m.from]++);
    assert_whole(&m);
    taken++;
  }
  uint32_t refused = 0;
  for (int i = 0; i < PRODUCERS; i++) {
    assert_int_equal(pthread_join(producer[i].thread, NULL), 0);
    refused += producer[i].refused;
  }
  struct message m;
  assert_int_equal(tide_ring_pop(ring, &m), TIDE_RING_REFUSED);
  assert_true(sleeps > 0 || refused > 0); /* one of the two edges was met */
  tide_ring_free(ring);
}

/* Messages of 4 KiB: copying them takes so long that the ring is often closed between a producer's claim and its message. */
struct big {
  struct message m;
  unsigned char rest[TIDE_RING_MESSAGE_MAX - sizeof(struct message)];
};

static void *produce_big(void *arg) {
  struct producer *p = arg;
  struct big *big = calloc(1, sizeof *big);
  for (;;) {
    big->m = message_of(p->id, p->pushed);
    memset(big->rest, (int)(p->pushed & 0xff), sizeof big->rest);
    enum tide_ring_result result = tide_ring_push(p->ring, big);
    if (result == TIDE_RING_CLOSED) break;
    if (result == TIDE_RING_OK) p->pushed++;
    else sched_yield();
  }
  free(big);
  return NULL;
}

static void closed_under_way_it_gives_out_exactly_what_it_took(void **state) {
  (void)state;
  struct big *big = calloc(1, sizeof *big);
  for (uint32_t round = 0; round < 400; round++) {
    struct tide_ring *ring = NULL;
    struct tide_error error;
    assert_int_equal(tide_ring_new(8, sizeof *big, &ring, &error), TIDE_OK);
    struct producer producer[PRODUCERS];
    start(producer, ring, produce_big);
    uint32_t next[PRODUCERS] = {0}, taken = 0;
    for (;;) {
      enum tide_ring_result result = tide_ring_pop(ring, big);
      if (result == TIDE_RING_CLOSED) break;
      if (result == TIDE_RING_REFUSED) {
        if (tide_ring_wait(ring, -1) == TIDE_RING_CLOSED) break;
        continue;
      }
      assert_whole(&big->m);
      assert_int_equal(big->m.number, next[big->m.from]++);
      assert_int_equal(big->rest[0], big->m.number & 0xff);
      assert_int_equal(big->rest[sizeof big->rest - 1], big->m.number & 0xff);
      if (++taken == 20 + round % 7) tide_ring_close(ring);
    }
    for (int i = 0; i < PRODUCERS; i++) {
      assert_int_equal(pthread_join(producer[i].thread, NULL), 0);
      assert_int_equal(producer[i].pushed, next[i]);
    }
    tide_ring_free(ring);
  }
  free(big);
}

/* Two rings as the engine has them: requests one way, answers the other. Each side sleeps for each message, so each wake-up is needed. */
struct pair {
  struct tide_ring *request, *answer;
};

static void *answer(void *arg) {
  struct pair *pair = arg;
  struct message m;
  for (;;) {
    enum tide_ring_result result = tide_ring_pop(pair->request, &m);
    if (result == TIDE_RING_CLOSED) break;
    if (result == TIDE_RING_OK) {
      m = message_of(2, m.number);
      if (tide_ring_push(pair->answer, &m) != TIDE_RING_OK) abort();
    } else {
      tide_ring_wait(pair->request, -1);
    }
  }
  tide_ring_close(pair->answer);
  return NULL;
}

static void one_to_one_both_ways(void **state) {
  (void)state;
  struct pair pair = {ring_new(2), ring_new(2)};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, answer, &pair), 0);
  for (uint32_t i = 0; i < 5000; i++) {
    struct message m = message_of(1, i);
    assert_int_equal(tide_ring_push(pair.request, &m), TIDE_RING_OK);
    while (tide_ring_pop(pair.answer, &m) != TIDE_RING_OK) tide_ring_wait(pair.answer, -1);
    assert_int_equal(m.number, i);
    assert_int_equal(m.from, 2);
  }
  tide_ring_close(pair.request);
  while (tide_ring_wait(pair.answer, -1) != TIDE_RING_CLOSED) continue;
  assert_int_equal(pthread_join(thread, NULL), 0);
  tide_ring_free(pair.request);
  tide_ring_free(pair.answer);
}

static struct tide_ring *signalled;
static void on_signal(int number) {
  (void)number;
  tide_ring_wake(signalled);
}

static void it_can_be_woken_and_polled(void **state) {
  (void)state;
  struct tide_ring *ring = ring_new(4);
  tide_ring_wake(ring); /* before the sleep: the next one does not happen */
  assert_int_equal(tide_ring_wait(ring, -1), TIDE_RING_REFUSED);
  assert_int_equal(tide_ring_wait(ring, 1000), TIDE_RING_REFUSED); /* and only that one: this is the timeout */
  struct pollfd fd = {.fd = tide_ring_fd(ring), .events = POLLIN};
  struct message m = message_of(1, 1);
  assert_true(tide_ring_sleep_begin(ring));
  assert_int_equal(poll(&fd, 1, 0), 0);
  assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_OK);
  assert_int_equal(poll(&fd, 1, 0), 1);
  tide_ring_sleep_end(ring);
  assert_int_equal(tide_ring_push(ring, &m), TIDE_RING_OK); /* awake: no system call, so nothing to read */
  assert_int_equal(poll(&fd, 1, 0), 0);
  assert_false(tide_ring_sleep_begin(ring));
  tide_ring_sleep_end(ring);
  while (tide_ring_pop(ring, &m) == TIDE_RING_OK) continue;
  signalled = ring;
  struct sigaction action = {.sa_handler = on_signal}, before;
  assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
  assert_true(tide_ring_sleep_begin(ring));
  assert_int_equal(raise(SIGUSR1), 0);
  assert_int_equal(poll(&fd, 1, 0), 1);
  tide_ring_sleep_end(ring);
  assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
  tide_ring_free(ring);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fills_refuses_and_empties),
      cmocka_unit_test(closing_lets_out_what_is_inside),
      cmocka_unit_test(several_producers_lose_and_double_nothing),
      cmocka_unit_test(closed_under_way_it_gives_out_exactly_what_it_took),
      cmocka_unit_test(one_to_one_both_ways),
      cmocka_unit_test(it_can_be_woken_and_polled),
  };
  return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
