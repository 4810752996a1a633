/* Admission under overload, in simulated time: clients that never wait keep a server busy that can do a certain amount of work a second.
 *
 * The server is one queue of jobs, each with its cost: reading a request, working on one that was admitted, refusing one, seeing that a connection was closed. A
 * client sends the next request as soon as it has its answer, and gives up after its patience: it closes, connects again and sends. So the number of clients
 * says how much is asked for. What is compared is goodput, answers before the deadline, with the capacity: what a server could answer that did nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/admit.h"

#include <stdio.h>
#include <stdlib.h>

#define MS INT64_C(1000000)
#define TICK (5 * MS)

/* ---- the simulated server ---- */

enum kind { READ, WORK, REFUSE };
struct request {
  struct tide_ticket ticket;
  uint32_t client;
  uint64_t serial; /* of the client's request; another one by now: it gave up */
  enum kind kind;
  int64_t sent_ns, queued_ns;
  struct request *next; /* job */
};

struct client {
  uint64_t serial;
  int64_t sent_ns;
};

struct costs {
  int64_t read_ns, work_ns, refuse_ns, close_ns;
};

struct sim {
  struct tide_admit admit;
  struct costs costs;
  bool naive; /* everything is worked on in the order it came */
  uint32_t clients;
  struct client *client;
  int64_t now_ns, next_tick_ns, deadline_ns, patience_ns;
  struct request *job, *job_last;
  uint64_t jobs;
  /* counted after the warming up */
  uint64_t good, late, refused, refused_in_time, gave_up;
  int64_t longest_ns;
};

static void queue(struct sim *sim, struct request *request, enum kind kind) {
  request->kind = kind;
  request->queued_ns = sim->now_ns;
  request->next = NULL;
  if (sim->job_last) sim->job_last->next = request;
  else sim->job = request;
  sim->job_last = request;
  sim->jobs++;
}

static void send_next(struct sim *sim, uint32_t client) {
  struct request *request = tide_alloc(sizeof *request);
  request->client = client;
  request->serial = ++sim->client[client].serial;
  request->sent_ns = sim->client[client].sent_ns = sim->now_ns;
  request->ticket.owner = request;
  request->ticket.priority = TIDE_PRIORITY_HIGH;
  request->ticket.deadline_ns = sim->now_ns + sim->deadline_ns;
  queue(sim, request, READ);
}

static void answered(struct sim *sim, struct request *request) {
  bool there = sim->client[request->client].serial == request->serial;
  int64_t took_ns = sim->now_ns - request->sent_ns;
  bool in_time = took_ns <= sim->deadline_ns;
  if (took_ns > sim->longest_ns) sim->longest_ns = took_ns;
  if (request->kind == WORK) *(in_time ? &sim->good : &sim->late) += 1;
  else sim->refused++, sim->refused_in_time += in_time;
  uint32_t client = request->client;
  tide_free(request);
  if (there) send_next(sim, client);
}

static void start_next(struct sim *sim) {
  for (struct tide_ticket *ticket; (ticket = tide_admit_next(&sim->admit, sim->now_ns));) queue(sim, ticket->owner, WORK);
}

static void tick(struct sim *sim) {
  sim->next_tick_ns += TICK;
  start_next(sim);
  tide_admit_sift(&sim->admit, sim->now_ns);
  for (struct tide_ticket *ticket; (ticket = tide_admit_refuse(&sim->admit, sim->now_ns));) queue(sim, ticket->owner, REFUSE);
  for (uint32_t c = 0; c < sim->clients; c++) {
    if (sim->now_ns - sim->client[c].sent_ns < sim->patience_ns) continue;
    sim->gave_up++;
    sim->now_ns += sim->costs.close_ns;
    send_next(sim, c);
  }
}

static void do_job(struct sim *sim) {
  struct request *request = sim->job;
  sim->job = request->next;
  if (!sim->job) sim->job_last = NULL;
  sim->jobs--;
  bool there = sim->client[request->client].serial == request->serial;
  switch (request->kind) {
    case READ:
      sim->now_ns += sim->costs.read_ns;
      if (sim->naive || tide_admit_enter(&sim->admit, &request->ticket, sim->now_ns) == TIDE_ADMIT_WORKING) queue(sim, request, WORK);
      return;
    case WORK: {
      sim->now_ns += sim->costs.work_ns;
      if (!sim->naive) {
        tide_admit_leave(&sim->admit, &request->ticket, sim->now_ns - request->queued_ns - sim->costs.work_ns, sim->now_ns);
        start_next(sim);
      }
      answered(sim, request);
      return;
    }
    case REFUSE:
      sim->now_ns += there ? sim->costs.refuse_ns : sim->costs.refuse_ns / 4;
      answered(sim, request);
      return;
  }
}

static void clear(struct sim *sim) {
  sim->good = sim->late = sim->refused = sim->refused_in_time = sim->gave_up = 0;
  sim->longest_ns = 0;
}

/* Runs for `seconds` after one of warming up, and gives the goodput as a part of the capacity. */
static double run(struct sim *sim, double seconds) {
  sim->client = tide_alloc(sim->clients * sizeof *sim->client);
  for (uint32_t c = 0; c < sim->clients; c++) send_next(sim, c);
  int64_t begin_ns = sim->now_ns + 1000 * MS, end_ns = begin_ns + (int64_t)(seconds * 1e9);
  sim->next_tick_ns = sim->now_ns + TICK;
  bool warm = false;
  while (sim->now_ns < end_ns) {
    if (!warm && sim->now_ns >= begin_ns) warm = true, clear(sim);
    if (sim->next_tick_ns <= sim->now_ns) tick(sim);
    else if (sim->job) do_job(sim);
    else sim->now_ns = sim->next_tick_ns;
  }
  return (double)sim->good / seconds * (double)(sim->costs.read_ns + sim->costs.work_ns) / 1e9;
}

static struct sim simulated(uint32_t clients, int64_t patience_ms) {
  /* 25,000 answers a second; a refusal costs most of what an answer does, because reading and writing cost more than deciding. */
  struct sim sim = {.costs = {.read_ns = 8000, .work_ns = 32000, .refuse_ns = 20000, .close_ns = 30000},
                    .clients = clients,
                    .deadline_ns = 100 * MS,
                    .patience_ns = patience_ms * MS};
  sim.admit = tide_admit_new(30 * MS, 4096, 0);
  return sim;
}

static void end(struct sim *sim) {
  tide_free(sim->client);
  for (struct request *next; sim->job; sim->job = next) {
    next = sim->job->next;
    if (sim->job->ticket.state == TIDE_ADMIT_WORKING) tide_admit_leave(&sim->admit, &sim->job->ticket, 0, sim->now_ns);
    tide_free(sim->job);
  }
  sim->admit.open = true;
  for (struct tide_ticket *ticket; (ticket = tide_admit_next(&sim->admit, sim->now_ns));) {
    struct request *request = ticket->owner;
    tide_admit_leave(&sim->admit, ticket, 0, sim->now_ns);
    tide_free(request);
  }
  assert_int_equal(tide_admit_waiting(&sim->admit), 0);
  assert_int_equal(sim->admit.working, 0);
}

/* ---- the cases ---- */

/* As long as first come, first served keeps the deadlines, nothing is refused. */
static void what_fits_is_answered(void **state) {
  (void)state;
  static const uint32_t clients[] = {1, 64, 256, 512, 1024};
  for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
    struct sim sim = simulated(clients[i], 200);
    assert_true(run(&sim, 2) > 0.99);
    assert_int_equal(sim.refused + sim.late + sim.gave_up, 0);
    end(&sim);
  }
}

/* 2,048 stand in line for 82 of 100 ms, 4,096 for 164: who lets them all in answers in time or, from some number on, never. */
static void more_than_fits_keeps_goodput(void **state) {
  (void)state;
  struct sim sim = simulated(2048, 200);
  assert_true(run(&sim, 4) > 0.9);
  end(&sim);
  sim = simulated(4096, 1000);
  assert_true(run(&sim, 4) > 0.6);
  assert_true(sim.late < sim.good / 10);
  assert_true(sim.refused_in_time > 0);
  end(&sim);
  sim = simulated(4096, 1000);
  sim.naive = true;
  assert_true(run(&sim, 4) < 0.05);
  end(&sim);
}

/* Nobody is forgotten: what is not answered is refused before its deadline and the hold are over. */
static void everybody_hears(void **state) {
  (void)state;
  struct sim sim = simulated(8000, 10000);
  (void)run(&sim, 4);
  assert_int_equal(sim.gave_up, 0);
  assert_true(sim.refused > 0);
  assert_true(sim.longest_ns < sim.deadline_ns + TIDE_ADMIT_HOLD_NS + 500 * MS); /* the last: what the refusals themselves wait for */
  end(&sim);
}

/* An engine that stands still: the line is refused, in time, though no credit comes in. */
static void a_stalled_engine(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  struct tide_admit admit = tide_admit_new(30 * MS, 100, 0);
  struct tide_ticket *ticket = tide_alloc(COUNT * sizeof *ticket);
  int64_t now_ns = 0;
  unsigned working = 0, refused = 0;
  for (int i = 0; i < COUNT; i++) {
    ticket[i] = (struct tide_ticket){.priority = TIDE_PRIORITY_HIGH, .deadline_ns = now_ns + 100 * MS};
    working += tide_admit_enter(&admit, &ticket[i], now_ns) == TIDE_ADMIT_WORKING;
  }
  assert_int_equal(working, 100);
  assert_int_equal(tide_admit_waiting(&admit), COUNT - 100);
  unsigned crowded_out = 0;
  for (int i = 0; i < COUNT; i++) crowded_out += ticket[i].crowded_out;
  assert_int_equal(crowded_out, COUNT - 200);
  assert_false(ticket[COUNT - 1].crowded_out); /* the newest has most of its time left */
  while (now_ns < 380 * MS) {                  /* 300 of silence; credit alone would take longer */
    now_ns += TICK;
    assert_null(tide_admit_next(&admit, now_ns));
    tide_admit_sift(&admit, now_ns);
    while (tide_admit_refuse(&admit, now_ns)) refused++;
  }
  assert_int_equal(refused, COUNT - 100);
  for (int i = 0; i < COUNT; i++)
    if (ticket[i].state == TIDE_ADMIT_WORKING) tide_admit_leave(&admit, &ticket[i], 0, now_ns);
  assert_int_equal(admit.working, 0);
  tide_free(ticket);
}

/* Who is crowded out is told soon, however long the deadline is, and while others are answered. */
static void crowded_out(void **state) {
  (void)state;
  enum { COUNT = 1000, MAX = 100, ANSWERED = (int)(TIDE_ADMIT_HOLD_NS / TICK) };
  struct tide_admit admit = tide_admit_new(30 * MS, MAX, 0);
  struct tide_ticket *ticket = tide_alloc(COUNT * sizeof *ticket);
  unsigned refused = 0;
  for (int i = 0; i < COUNT; i++) {
    ticket[i] = (struct tide_ticket){.priority = TIDE_PRIORITY_HIGH, .deadline_ns = 100000 * MS};
    (void)tide_admit_enter(&admit, &ticket[i], 0);
  }
  for (int i = 0; i < ANSWERED; i++) {
    int64_t now_ns = (i + 1) * TICK;
    if (i < MAX) tide_admit_leave(&admit, &ticket[i], 0, now_ns);
    (void)tide_admit_next(&admit, now_ns);
    tide_admit_sift(&admit, now_ns);
    while (tide_admit_refuse(&admit, now_ns)) refused++;
  }
  assert_int_equal(refused, COUNT - 2 * MAX);
  tide_free(ticket);
}

/* While the line is short the oldest is next, when it is too long to be worked off in time the newest. */
static void order(void **state) {
  (void)state;
  struct tide_admit admit = tide_admit_new(30 * MS, 4, 0);
  struct tide_ticket at[4], line[4];
  for (int i = 0; i < 4; i++) at[i] = (struct tide_ticket){.deadline_ns = 1000 * MS}, (void)tide_admit_enter(&admit, &at[i], 0);
  for (int i = 0; i < 4; i++) line[i] = (struct tide_ticket){.deadline_ns = 1000 * MS}, (void)tide_admit_enter(&admit, &line[i], 0);
  admit.service_ns = 20 * MS; /* 4 in 20 ms: 4 more are done in time */
  tide_admit_leave(&admit, &at[0], 0, 1);
  assert_ptr_equal(tide_admit_next(&admit, 1), &line[0]);
  admit.service_ns = 100 * MS; /* 3 take 75 ms */
  tide_admit_leave(&admit, &at[1], 0, 2);
  assert_ptr_equal(tide_admit_next(&admit, 2), &line[3]);
}

/* High before low, and the low are the first to be crowded out. */
static void priorities(void **state) {
  (void)state;
  struct tide_admit admit = tide_admit_new(30 * MS, 2, 0);
  struct tide_ticket at[2], low[2], high[2];
  struct tide_ticket *all[] = {&at[0], &at[1], &low[0], &low[1], &high[0], &high[1]};
  for (int i = 0; i < 6; i++) {
    *all[i] = (struct tide_ticket){.priority = i == 2 || i == 3 ? TIDE_PRIORITY_LOW : TIDE_PRIORITY_HIGH, .deadline_ns = 1000 * MS};
    assert_int_equal(tide_admit_enter(&admit, all[i], 0), i < 2 ? TIDE_ADMIT_WORKING : TIDE_ADMIT_WAITING);
  }
  assert_true(low[0].crowded_out && low[1].crowded_out);
  assert_null(tide_admit_next(&admit, 0)); /* nobody has left */
  tide_admit_leave(&admit, &at[0], 0, 1);
  assert_ptr_equal(tide_admit_next(&admit, 1), &high[0]); /* the line is short: first come, first served */
  tide_admit_leave(&admit, &at[1], 0, 2);
  assert_ptr_equal(tide_admit_next(&admit, 2), &high[1]);
  assert_null(tide_admit_next(&admit, 2));
  tide_admit_drop(&admit, &low[1]); /* its client is gone */
  admit.open = true;
  tide_admit_leave(&admit, &high[0], 0, 3);
  assert_ptr_equal(tide_admit_next(&admit, 3), &low[0]); /* a listener that stops lets everybody in */
  assert_int_equal(tide_admit_waiting(&admit), 0);
}

/* A short deadline is no reason to refuse where nobody has to wait; where somebody has, what cannot be answered in time is not begun. */
static void hopeless(void **state) {
  (void)state;
  struct tide_admit admit = tide_admit_new(30 * MS, 1, 0);
  struct tide_ticket first = {.deadline_ns = 1 * MS}, second = {.deadline_ns = 2 * MS}, third = {.deadline_ns = 100 * MS};
  assert_int_equal(tide_admit_enter(&admit, &first, 0), TIDE_ADMIT_WORKING);
  assert_int_equal(tide_admit_enter(&admit, &third, 0), TIDE_ADMIT_WAITING);
  tide_admit_leave(&admit, &first, 0, MS / 2);
  assert_ptr_equal(tide_admit_next(&admit, MS / 2), &third);
  assert_int_equal(tide_admit_enter(&admit, &second, MS / 2), TIDE_ADMIT_WAITING);
  tide_admit_leave(&admit, &third, 0, MS);
  assert_null(tide_admit_next(&admit, MS));
  tide_admit_sift(&admit, MS);
  assert_ptr_equal(tide_admit_refuse(&admit, MS), &second);
  assert_false(second.crowded_out);
}

/* A slow disk: the queueing delay stays 0 however long a commit takes, and the limit grows until it is no longer pressed. */
static void a_slow_disk(void **state) {
  (void)state;
  enum { COUNT = 4096 };
  struct tide_admit admit = tide_admit_new(30 * MS, COUNT, 0);
  struct tide_ticket *ticket = tide_alloc(COUNT * sizeof *ticket);
  int64_t now_ns = 0;
  for (int i = 0; i < COUNT; i++)
    ticket[i] = (struct tide_ticket){.deadline_ns = 1000000 * MS}, (void)tide_admit_enter(&admit, &ticket[i], 0);
  uint32_t first = admit.limit;
  for (int commit = 0; commit < 40; commit++) {
    now_ns += 80 * MS; /* everything that is worked on goes into one commit */
    for (int i = 0; i < COUNT; i++) {
      if (ticket[i].state != TIDE_ADMIT_WORKING) continue;
      tide_admit_leave(&admit, &ticket[i], 0, now_ns);
      (void)tide_admit_enter(&admit, &ticket[i], now_ns);
    }
    while (tide_admit_next(&admit, now_ns)) continue;
  }
  assert_true(admit.limit > 4 * first);
  tide_free(ticket);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_fits_is_answered),
      cmocka_unit_test(more_than_fits_keeps_goodput),
      cmocka_unit_test(everybody_hears),
      cmocka_unit_test(a_stalled_engine),
      cmocka_unit_test(priorities),
      cmocka_unit_test(hopeless),
      cmocka_unit_test(a_slow_disk),
      cmocka_unit_test(crowded_out),
      cmocka_unit_test(order),
  };
  return cmocka_run_group_tests_name("admit", tests, NULL, NULL);
}
