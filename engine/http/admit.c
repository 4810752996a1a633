/* The admission policy of admit.h: three lists and one number that follows the delay.
 *
 * Each call costs a few pointer moves; only tide_admit_sift walks the line, and it is called every few milliseconds. Those who wait stand in the order of their
 * arrival, which need not be that of their deadlines: each request may name its own. A ticket is in one list or in none, and `working` counts exactly the tickets in
 * that state. */
#include "http/admit.h"

#include "base/err.h"

enum {
  LIMIT_FIRST = 256,
  LIMIT_MIN = 64,        /* so many make a batch, and the delay of fewer tells nothing */
  FINISHED_MIN = 16,     /* an interval ends with so many at least, or its mean is noise */
  CREDIT_PER_ANSWER = 1, /* in halves of a refusal */
  CREDIT_PER_REFUSAL = 2,
  CREDIT_PER_SIFT = 16,
  CREDIT_MAX = 1024
};
#define SILENCE_NS INT64_C(300000000) /* without an answer for so long, there is none to protect by holding refusals back */

static void put(struct tide_ticket_list *list, struct tide_ticket *ticket) {
  ticket->newer = NULL;
  ticket->older = list->newest;
  if (list->newest) list->newest->newer = ticket;
  else list->oldest = ticket;
  list->newest = ticket;
  list->count++;
}

static struct tide_ticket *out(struct tide_ticket_list *list, struct tide_ticket *ticket) {
  if (ticket->older) ticket->older->newer = ticket->newer;
  else list->oldest = ticket->newer;
  if (ticket->newer) ticket->newer->older = ticket->older;
  else list->newest = ticket->older;
  ticket->older = ticket->newer = NULL;
  list->count--;
  return ticket;
}

struct tide_admit tide_admit_new(int64_t target_ns, uint32_t queue_max, int64_t now_ns) {
  TIDE_CHECK(target_ns > 0 && queue_max > 0);
  return (struct tide_admit){.target_ns = target_ns,
                             .limit_max = queue_max,
                             .limit = queue_max < LIMIT_FIRST ? queue_max : LIMIT_FIRST,
                             .since_ns = now_ns,
                             .answered_ns = now_ns};
}

uint32_t tide_admit_waiting(const struct tide_admit *admit) {
  return admit->line[TIDE_PRIORITY_HIGH].count + admit->line[TIDE_PRIORITY_LOW].count + admit->hopeless.count;
}

static struct tide_ticket *work_on(struct tide_admit *admit, struct tide_ticket *ticket, int64_t now_ns) {
  ticket->state = TIDE_ADMIT_WORKING;
  ticket->begun_ns = now_ns;
  admit->working++;
  return ticket;
}

/* Begun now it would be answered too late. One that asks for less than an answer takes on an idle machine is tried all the same: see tide_admit_enter. */
static bool is_hopeless(const struct tide_admit *admit, const struct tide_ticket *ticket, int64_t now_ns) {
  return ticket->deadline_ns - now_ns < admit->service_ns + admit->target_ns / 4;
}

/* There is one too many. The oldest of the least priority has the least to hope for. */
static void crowd_out(struct tide_admit *admit, int64_t now_ns) {
  struct tide_ticket_list *line = &admit->line[admit->line[TIDE_PRIORITY_LOW].count > 0 ? TIDE_PRIORITY_LOW : TIDE_PRIORITY_HIGH];
  struct tide_ticket *ticket = out(line, line->oldest);
  ticket->crowded_out = true;
  if (ticket->deadline_ns > now_ns) ticket->deadline_ns = now_ns;
  put(&admit->hopeless, ticket);
}

enum tide_admit_state tide_admit_enter(struct tide_admit *admit, struct tide_ticket *ticket, int64_t now_ns) {
  TIDE_CHECK(ticket->state == TIDE_ADMIT_OUT && ticket->priority < TIDE_PRIORITY_COUNT);
  bool alone =
      admit->line[TIDE_PRIORITY_HIGH].count == 0 && (ticket->priority == TIDE_PRIORITY_HIGH || admit->line[TIDE_PRIORITY_LOW].count == 0);
  if (admit->open || (admit->working < admit->limit && alone && ticket->deadline_ns > now_ns)) {
    (void)work_on(admit, ticket, now_ns);
  } else {
    ticket->state = TIDE_ADMIT_WAITING;
    admit->pressed = true;
    put(&admit->line[ticket->priority], ticket);
    if (admit->line[TIDE_PRIORITY_HIGH].count + admit->line[TIDE_PRIORITY_LOW].count > admit->limit_max) crowd_out(admit, now_ns);
  }
  return (enum tide_admit_state)ticket->state;
}

static void end_interval(struct tide_admit *admit, int64_t now_ns) {
  if (now_ns - admit->since_ns < admit->target_ns || admit->finished < FINISHED_MIN) return;
  int64_t delay_ns = admit->delay_sum_ns / admit->finished, service_ns = admit->service_sum_ns / admit->finished;
  int64_t in_target = admit->finished * admit->target_ns / (now_ns - admit->since_ns);
  admit->best -= admit->best / 64;
  if (in_target > admit->best) admit->best = in_target;
  uint32_t least = admit->best * 3 / 4 > LIMIT_MIN ? (uint32_t)(admit->best * 3 / 4) : LIMIT_MIN;
  admit->service_ns += (service_ns - admit->service_ns) / 4;
  if (delay_ns > admit->target_ns) admit->limit -= admit->limit / 8;
  else if (admit->pressed) admit->limit += admit->limit / 16 + 1;
  if (admit->limit < least) admit->limit = least;
  if (admit->limit > admit->limit_max) admit->limit = admit->limit_max;
  admit->since_ns = now_ns;
  admit->delay_sum_ns = admit->service_sum_ns = 0;
  admit->finished = 0;
  admit->pressed = tide_admit_waiting(admit) > 0;
}

void tide_admit_leave(struct tide_admit *admit, struct tide_ticket *ticket, int64_t delay_ns, int64_t now_ns) {
  TIDE_CHECK(ticket->state == TIDE_ADMIT_WORKING && admit->working > 0);
  ticket->state = TIDE_ADMIT_OUT;
  admit->working--;
  admit->delay_sum_ns += delay_ns > 0 ? delay_ns : 0;
  admit->service_sum_ns += now_ns - ticket->begun_ns;
  admit->finished++;
  admit->answered_ns = now_ns;
  if (admit->credit < CREDIT_MAX) admit->credit += CREDIT_PER_ANSWER;
  end_interval(admit, now_ns);
}

/* The line as it stands is worked off at the pace of the last answers: `limit` of them in service_ns. */
static bool can_be_worked_off(const struct tide_admit *admit, uint32_t waiting) {
  return (int64_t)waiting * admit->service_ns < (int64_t)admit->limit * admit->target_ns;
}

struct tide_ticket *tide_admit_next(struct tide_admit *admit, int64_t now_ns) {
  for (int p = 0; p < TIDE_PRIORITY_COUNT; p++) {
    struct tide_ticket_list *line = &admit->line[p];
    while (line->count > 0 && (admit->working < admit->limit || admit->open)) {
      bool fifo = can_be_worked_off(admit, line->count);
      struct tide_ticket *ticket = out(line, fifo ? line->oldest : line->newest);
      if (admit->open || !is_hopeless(admit, ticket, now_ns)) return work_on(admit, ticket, now_ns);
      put(&admit->hopeless, ticket);
    }
  }
  if (admit->open && admit->hopeless.count > 0) return work_on(admit, out(&admit->hopeless, admit->hopeless.oldest), now_ns);
  return NULL;
}

void tide_admit_sift(struct tide_admit *admit, int64_t now_ns) {
  if (admit->credit < CREDIT_MAX) admit->credit += CREDIT_PER_SIFT;
  for (int p = 0; p < TIDE_PRIORITY_COUNT; p++) {
    struct tide_ticket_list *line = &admit->line[p];
    for (struct tide_ticket *ticket = line->oldest, *newer; ticket; ticket = newer) {
      newer = ticket->newer;
      if (is_hopeless(admit, ticket, now_ns)) put(&admit->hopeless, out(line, ticket));
    }
  }
}

struct tide_ticket *tide_admit_refuse(struct tide_admit *admit, int64_t now_ns) {
  struct tide_ticket_list *list = &admit->hopeless;
  struct tide_ticket *ticket = list->oldest;
  if (!ticket) return NULL;
  bool held_too_long = ticket->deadline_ns + TIDE_ADMIT_HOLD_NS <= now_ns;
  if (!held_too_long) {
    bool stalled = admit->working > 0 && now_ns - admit->answered_ns >= SILENCE_NS;
    if (!stalled) {
      if (admit->credit < CREDIT_PER_REFUSAL) return NULL;
      admit->credit -= CREDIT_PER_REFUSAL;
    }
    ticket = list->newest; /* the others are late already, or will be first */
  }
  tide_admit_drop(admit, ticket);
  return ticket;
}

void tide_admit_drop(struct tide_admit *admit, struct tide_ticket *ticket) {
  TIDE_CHECK(ticket->state == TIDE_ADMIT_WAITING);
  ticket->state = TIDE_ADMIT_OUT;
  (void)out(&admit->hopeless, ticket);
}
