/* The running engine: threads around the core (engine.h).
 *
 * One mutex guards the inbox (offers and the journal's reports) and one the journal's requests; nothing else is shared. Both are held
 * for pointer moves only. The core asks for one request of each kind at a time, so the requests are three flags and not a queue. A
 * FETCH waits while READ_AHEAD entries are unread: a journal of any length is followed in bounded memory. */
#include "run/engine.h"
#include "run/fold_meter.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define READ_AHEAD 64

struct report {
  struct tide_core_event event;
  struct tide_buf bytes; /* of an ENTRY */
};

struct inbox {
  pthread_mutex_t mutex;
  pthread_cond_t filled; /* the core waits for it */
  pthread_cond_t taken;  /* the journal thread waits for it */
  struct tide_offer *offer, *offer_last;
  uint32_t offers;
  struct report *report;
  size_t reports, reports_cap;
  bool stop, closed; /* asked to stop; takes no more offers */
};

/* What the journal thread is to do, in this order. */
struct requests {
  pthread_mutex_t mutex;
  pthread_cond_t filled;
  struct tide_core_action append; /* kind APPEND or OPEN */
  struct tide_buf append_bytes;   /* a copy: a lost session takes the core's away from under a thread that still appends it */
  bool has_append, has_sync, has_fetch, has_session, quit;
  struct tide_position fetch_from;
  bool fetch_inclusive;
  struct look *look; /* somebody waits for an entry of the past */
  pthread_cond_t looked;
};

/* One read of an entry, by whoever waits for it; it is the journal's thread while taken. */
struct look {
  struct tide_position at;
  bool taken, done;
  enum tide_err err;
  struct tide_error error;
  struct tide_buf bytes;
};

struct tide_engine {
  struct tide_engine_options options;
  struct tide_core *core;
  struct inbox inbox;
  struct requests requests;
  pthread_t core_thread, journal_thread;
  pthread_mutex_t status_mutex;
  pthread_cond_t status_changed;
  struct tide_engine_status status;
  bool ended;                       /* under status_mutex */
  struct tide_engine_sources shown; /* under status_mutex */
  struct tide_in_force in_force;
  /* the journal thread's own */
  struct tide_mono session_at; /* the last session began */
  int64_t session_wait_ms;     /* before the next attempt */
  /* the core thread's own */
  struct report *taken;
  size_t taken_cap;
  struct tide_metered metered;
  bool stopped;
  struct tide_mono next_tick, next_show;
  struct tide_position folded; /* that was told */
};

static void lock(pthread_mutex_t *mutex) {
  int failed = pthread_mutex_lock(mutex);
  TIDE_CHECK(failed == 0);
}
static void unlock(pthread_mutex_t *mutex) {
  int failed = pthread_mutex_unlock(mutex);
  TIDE_CHECK(failed == 0);
}

/* Waits until `at` on the monotonic clock. */
static void wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, struct tide_mono at) {
  struct timespec when = {.tv_sec = at.ns / 1000000000, .tv_nsec = at.ns % 1000000000};
  (void)pthread_cond_timedwait(cond, mutex, &when);
}

static void init_cond(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  TIDE_CHECK(pthread_condattr_init(&attr) == 0);
  TIDE_CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
  TIDE_CHECK(pthread_cond_init(cond, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
}

static void init_lock(pthread_mutex_t *mutex, pthread_cond_t *cond) {
  TIDE_CHECK(pthread_mutex_init(mutex, NULL) == 0);
  init_cond(cond);
}

/* ---- the journal's thread ---- */

static void report(struct tide_engine *engine, const struct tide_core_event *event) {
  struct inbox *inbox = &engine->inbox;
  lock(&inbox->mutex);
  while (event->kind == TIDE_CORE_ENTRY && inbox->reports >= READ_AHEAD && !inbox->closed)
    (void)pthread_cond_wait(&inbox->taken, &inbox->mutex);
  if (inbox->reports == inbox->reports_cap) {
    size_t cap = inbox->reports_cap ? inbox->reports_cap * 2 : READ_AHEAD;
    inbox->report = tide_realloc(inbox->report, cap * sizeof *inbox->report);
    memset(inbox->report + inbox->reports_cap, 0, (cap - inbox->reports_cap) * sizeof *inbox->report);
    inbox->reports_cap = cap;
  }
  struct report *to = &inbox->report[inbox->reports++];
  to->event = *event;
  tide_buf_clear(&to->bytes);
  if (event->kind == TIDE_CORE_ENTRY) tide_buf_put(&to->bytes, event->bytes.ptr, event->bytes.len);
  if (event->kind == TIDE_CORE_ENDS) tide_buf_put(&to->bytes, event->target, event->target_count * sizeof *event->target);
  (void)pthread_cond_signal(&inbox->filled);
  unlock(&inbox->mutex);
}

static void remember(struct tide_engine *engine, const struct tide_error *error) {
  lock(&engine->status_mutex);
  engine->status.trouble = *error;
  unlock(&engine->status_mutex);
}

static void look_at_health(struct tide_engine *engine) {
  struct tide_journal_health health;
  if (!engine->options.health) return;
  engine->options.health(engine->options.journal, &health);
  lock(&engine->status_mutex);
  engine->status.health = health;
  unlock(&engine->status_mutex);
}

static void do_append(struct tide_engine *engine, const struct tide_core_action *action, struct tide_span bytes) {
  struct tide_journal *journal = engine->options.journal;
  struct tide_core_event event = {.kind = TIDE_CORE_APPENDED, .attempt = action->attempt};
  struct tide_error error = {0};
  if (action->kind == TIDE_DO_OPEN && engine->options.take_epoch &&
      !engine->options.take_epoch(engine->options.ctx, action->epoch, &event.number)) {
    event.kind = TIDE_CORE_APPEND_FAILED;
    event.err = TIDE_E_STALE;
    report(engine, &event);
    return;
  }
  enum tide_err err = action->kind == TIDE_DO_OPEN ? journal->ops->open_epoch(journal, action->epoch, bytes, &event.position, &error)
                                                   : journal->ops->append(journal, action->epoch, bytes, &event.position, &error);
  if (err != TIDE_OK) {
    event.kind = TIDE_CORE_APPEND_FAILED;
    event.err = err;
    if (err != TIDE_E_STALE) remember(engine, &error);
  }
  report(engine, &event);
}

static void do_sync(struct tide_engine *engine) {
  struct tide_journal *journal = engine->options.journal;
  struct tide_core_event event = {.kind = TIDE_CORE_DURABLE};
  struct tide_error error = {0};
  enum tide_err err = journal->ops->sync(journal, &event.position, &error);
  if (err != TIDE_OK) {
    event.kind = TIDE_CORE_SESSION_OVER;
    event.err = err;
    remember(engine, &error);
  } else {
    if (engine->options.pressed) event.pressed = engine->options.pressed(journal);
    if (engine->options.clock) event.clock_ms = engine->options.clock(journal);
  }
  look_at_health(engine);
  report(engine, &event);
}

/* A FETCH under way. It is carried out a few entries at a time: commits go in between, and so does the proof that what was read is durable, without which the
 * core could not fold and would have to hold the whole log. */
struct fetch {
  bool on, inclusive;
  struct tide_position from;
};
#define FETCH_TURN 16

static void go_on_fetching(struct tide_engine *engine, struct fetch *fetch, struct tide_buf *bytes) {
  struct tide_journal *journal = engine->options.journal;
  struct tide_error error = {0};
  for (int i = 0; i < FETCH_TURN; i++) {
    struct tide_core_event event = {.kind = TIDE_CORE_ENTRY};
    enum tide_err err = journal->ops->read(journal, fetch->from, fetch->inclusive, bytes, &event.position, &error);
    if (err != TIDE_OK) {
      struct tide_core_event end = {.kind = err == TIDE_E_END ? TIDE_CORE_FETCH_END : TIDE_CORE_SESSION_OVER, .err = err};
      if (err != TIDE_E_END) remember(engine, &error);
      fetch->on = false;
      report(engine, &end);
      return;
    }
    event.bytes = tide_buf_span(bytes);
    fetch->from = event.position;
    fetch->inclusive = false;
    report(engine, &event);
  }
}

#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 1000

/* Until there is a session, or nobody needs one any more. Sessions that end as soon as they have begun are waited for ever longer. */
static void do_session(struct tide_engine *engine) {
  struct tide_journal *journal = engine->options.journal;
  struct requests *requests = &engine->requests;
  if (tide_mono_now().ns - engine->session_at.ns > INT64_C(1000000) * RETRY_LAST_MS)
    engine->session_wait_ms = 0; /* the last one was worth it */
  for (;;) {
    struct tide_mono until = {tide_mono_now().ns + engine->session_wait_ms * 1000000};
    engine->session_wait_ms = engine->session_wait_ms ? engine->session_wait_ms * 2 : RETRY_FIRST_MS;
    if (engine->session_wait_ms > RETRY_LAST_MS) engine->session_wait_ms = RETRY_LAST_MS;
    lock(&requests->mutex);
    while (!requests->quit && tide_mono_now().ns < until.ns) wait_until(&requests->filled, &requests->mutex, until);
    bool quit = requests->quit;
    unlock(&requests->mutex);
    if (quit) return;
    struct tide_core_event event = {.kind = TIDE_CORE_SESSION};
    struct tide_error error = {0};
    enum tide_err err = journal->ops->begin(journal, &event.session, &error);
    look_at_health(engine);
    if (err == TIDE_OK) {
      engine->session_at = tide_mono_now();
      remember(engine, &error); /* nothing is the matter now */
      report(engine, &event);
      return;
    }
    remember(engine, &error);
  }
}

/* In a session only: the journal must not begin one for a question. */
static void do_look(struct tide_engine *engine, struct look *look) {
  struct tide_journal *journal = engine->options.journal;
  struct tide_position found;
  look->err = journal->ops->read(journal, look->at, true, &look->bytes, &found, &look->error);
  if (look->err == TIDE_E_END || (look->err == TIDE_OK && tide_position_cmp(found, look->at) != 0))
    look->err = tide_fail(&look->error, TIDE_E_NOT_FOUND, "the journal has no entry at %llu-%llu any more, or never had",
                          (unsigned long long)look->at.epoch, (unsigned long long)look->at.seq);
}

static void *journal_main(void *arg) {
  struct tide_engine *engine = arg;
  (void)pthread_setname_np(pthread_self(), "tide-journal"); /* for top -H */
  struct requests *requests = &engine->requests;
  struct tide_buf bytes = TIDE_BUF_INIT, read = TIDE_BUF_INIT;
  struct fetch fetch = {0};
  lock(&requests->mutex);
  for (;;) {
    if (requests->has_session) {
      requests->has_session = fetch.on = false;
      unlock(&requests->mutex);
      do_session(engine);
    } else if (requests->has_append) {
      struct tide_core_action action = requests->append;
      struct tide_buf spare = bytes;
      bytes = requests->append_bytes;
      requests->append_bytes = spare;
      requests->has_append = false;
      unlock(&requests->mutex);
      do_append(engine, &action, tide_buf_span(&bytes));
    } else if (requests->has_sync) {
      requests->has_sync = false;
      unlock(&requests->mutex);
      do_sync(engine);
    } else if (requests->has_fetch || fetch.on) {
      if (requests->has_fetch) fetch = (struct fetch){true, requests->fetch_inclusive, requests->fetch_from};
      requests->has_fetch = false;
      unlock(&requests->mutex);
      go_on_fetching(engine, &fetch, &read);
    } else if (requests->look && !requests->look->taken) {
      struct look *look = requests->look;
      look->taken = true;
      unlock(&requests->mutex);
      do_look(engine, look);
      lock(&requests->mutex);
      look->done = true;
      (void)pthread_cond_broadcast(&requests->looked);
      continue;
    } else if (requests->quit) {
      break;
    } else {
      (void)pthread_cond_wait(&requests->filled, &requests->mutex);
      continue;
    }
    lock(&requests->mutex);
  }
  unlock(&requests->mutex);
  tide_buf_release(&bytes);
  tide_buf_release(&read);
  return NULL;
}

/* ---- the core's thread ---- */

static struct tide_engine_barrier barrier_of(const struct tide_ledger *ledger) {
  struct tide_engine_barrier barrier = {.targets = ledger->has_targets};
  for (uint32_t i = 0; ledger->opening && i < ledger->partition_count; i++) {
    const struct tide_partition *partition = &ledger->partition[i];
    if (partition->cursor >= partition->target) continue;
    if (!barrier.behind++) {
      barrier.source = partition->source;
      barrier.partition = partition->partition;
      barrier.cursor = partition->cursor;
      barrier.target = partition->target;
    }
  }
  return barrier;
}

#define SET(name, value) tide_meter_set(meter, TIDE_METER_ROW_##name, TIDE_METER_PLAIN, (int64_t)(value))

/* What the core and the fold count as plain integers, copied into the rows that the page of metrics shows. */
static void meter_publish(struct tide_engine *engine, struct tide_fold *fold) {
  struct tide_meter *meter = engine->options.meter;
  if (!meter) return;
  struct tide_core_stats stats = tide_core_stats(engine->core);
  tide_meter_publish(meter, tide_fold_metrics(fold));
  SET(engine_entries_own_total, stats.entries_own);
  SET(engine_entries_foreign_total, stats.entries_foreign);
  SET(engine_records_total, stats.records);
  SET(engine_sessions_total, stats.sessions);
  SET(engine_verified_total, stats.verified);
  SET(engine_rolled_back_total, stats.rolled_back);
  SET(engine_syncs_total, stats.syncs);
  SET(engine_clock_steps_total, stats.clock_steps);
  SET(engine_refused_total, stats.refused);
  SET(engine_maybe_total, stats.maybe);
  SET(engine_late_total, stats.late);
  SET(engine_recomputed_total, stats.recomputed);
  SET(engine_recomputed_fresh_total, stats.recomputed_fresh);
  SET(engine_retried_total, stats.retried);
  SET(engine_queued, stats.queued);
  SET(engine_in_flight, stats.in_flight);
  SET(ingest_messages_total, stats.messages);
  SET(ingest_claims_total, stats.claims);
  SET(ingest_rereads_total, stats.rereads);
  SET(ingest_emitted_total, stats.emitted);
  SET(ingest_unlogged_total, stats.unlogged);
  SET(ingest_active, tide_core_ingests(engine->core));
  SET(ingest_opening_partitions, barrier_of(tide_fold_ledger(fold)).behind);
  lock(&engine->status_mutex);
  struct tide_journal_health health = engine->status.health;
  unlock(&engine->status_mutex);
  tide_meter_journal(&engine->metered, meter, &health, tide_fold_position(fold).epoch);
  uint32_t now = (uint32_t)tide_core_state(engine->core);
  for (uint32_t s = 0; s < TIDE_CORE_STATE_COUNT; s++)
    tide_meter_set(meter, TIDE_METER_ROW_engine_state, (struct tide_meter_at){.a = s}, s == now);
  if (now != TIDE_CORE_open) return; /* before that, the journal's feature file may be another than ours */
  tide_meter_fold(&engine->metered, meter, stats.switches, fold, tide_core_reads(engine->core));
}

static void meter_append(struct tide_engine *engine, const struct tide_core_action *action) {
  if (engine->options.meter && action->records > 0)
    tide_meter_records(engine->options.meter, TIDE_METER_ROW_commit_batch_records, TIDE_METER_PLAIN, action->records);
}

static void ask(struct requests *requests, const struct tide_core_action *action) {
  switch (action->kind) {
    case TIDE_DO_APPEND:
    case TIDE_DO_OPEN:
      requests->has_append = true;
      requests->append = *action;
      tide_buf_clear(&requests->append_bytes);
      tide_buf_put(&requests->append_bytes, action->bytes.ptr, action->bytes.len);
      break;
    case TIDE_DO_SYNC: requests->has_sync = true; break;
    case TIDE_DO_FETCH:
      requests->has_fetch = true;
      requests->fetch_from = action->position;
      requests->fetch_inclusive = action->inclusive;
      break;
    case TIDE_DO_SESSION:
      requests->has_append = requests->has_sync = requests->has_fetch = false;
      requests->has_session = true;
      break;
    case TIDE_DO_RELEASE:
    case TIDE_DO_INGEST:
    case TIDE_DO_INGEST_STOP:
    case TIDE_DO_ENDS:
    case TIDE_DO_EMIT:
    case TIDE_DO_LOG:
    case TIDE_DO_STOPPED: break;
  }
}

static bool is_of_journal(const struct tide_core_action *action) {
  return action->kind == TIDE_DO_APPEND || action->kind == TIDE_DO_OPEN || action->kind == TIDE_DO_SYNC || action->kind == TIDE_DO_FETCH ||
         action->kind == TIDE_DO_SESSION;
}

/* `done`: when the step was over. The core's own clock stands still in a step, so for it an entry is folded the moment it is durable. */
static void act(struct tide_engine *engine, struct tide_mono done, const struct tide_core_action *action, size_t count) {
  struct requests *requests = &engine->requests;
  bool asked = false;
  for (size_t i = 0; i < count; i++) {
    if (!is_of_journal(&action[i])) continue;
    if (!asked) lock(&requests->mutex);
    asked = true;
    ask(requests, &action[i]);
  }
  if (asked) {
    (void)pthread_cond_signal(&requests->filled);
    unlock(&requests->mutex);
  }
  for (size_t i = 0; i < count; i++) { /* the disk is at work already */
    if (action[i].kind == TIDE_DO_RELEASE) {
      if (action[i].offer->folded.ns) action[i].offer->folded = done;
      engine->options.release(engine->options.ctx, action[i].offer);
    } else if (action[i].kind == TIDE_DO_APPEND) meter_append(engine, &action[i]);
    else if (action[i].kind == TIDE_DO_STOPPED) engine->stopped = true;
    else if (!is_of_journal(&action[i])) engine->options.sources(engine->options.ctx, &action[i]);
  }
}

/* A step folds one entry at most. */
static void tell_folded(struct tide_engine *engine) {
  struct tide_position at = tide_fold_position(tide_core_fold(engine->core));
  if (!engine->options.folded || tide_position_cmp(at, engine->folded) == 0) return;
  engine->folded = at;
  engine->options.folded(engine->options.ctx, at, tide_core_entry(engine->core));
}

static enum tide_err step(struct tide_engine *engine, const struct tide_core_event *event, struct tide_error *error) {
  const struct tide_core_action *action;
  size_t count;
  struct tide_core_now now;
  tide_clocks_now(&now.wall, &now.mono);
  enum tide_err err = tide_core_step(engine->core, now, event, &action, &count, error);
  if (err == TIDE_OK) act(engine, tide_mono_now(), action, count);
  if (err == TIDE_OK) tell_folded(engine);
  return err;
}

/* Only what is used of the two arrays: a cell has a few partitions of the many that it may have. */
static void copy_ledger(const struct tide_ledger *from, struct tide_ledger *to) {
  size_t tail = offsetof(struct tide_ledger, source_count);
  memcpy(to->partition, from->partition, from->partition_count * sizeof *from->partition);
  memcpy(to->source, from->source, from->source_count * sizeof *from->source);
  to->partition_count = from->partition_count;
  memcpy((char *)to + tail, (const char *)from + tail, sizeof *to - tail);
}

/* With the status locked. */
static void show(struct tide_engine *engine, const struct tide_fold *fold, bool now) {
  struct tide_mono mono = tide_mono_now();
  if (!now && mono.ns < engine->next_show.ns) return;
  engine->next_show.ns = mono.ns + TIDE_ENGINE_SHOW_MS * INT64_C(1000000);
  copy_ledger(tide_fold_ledger(fold), &engine->shown.ledger);
  engine->shown.commit_ms = tide_fold_commit_ms(fold);
}

static void publish(struct tide_engine *engine, const struct tide_error *failed) {
  struct tide_fold *fold = tide_core_fold(engine->core);
  meter_publish(engine, fold);
  tide_in_force_look(&engine->in_force, fold);
  lock(&engine->status_mutex);
  struct tide_engine_status *status = &engine->status;
  bool changed = status->waits != tide_fold_waits(fold) || status->state != tide_core_state(engine->core) || failed || engine->stopped;
  status->state = tide_core_state(engine->core);
  status->folded = tide_fold_position(fold);
  status->watermark_ms = tide_fold_watermark(fold);
  status->stats = tide_core_stats(engine->core);
  status->ingests = tide_core_ingests(engine->core);
  status->barrier = barrier_of(tide_fold_ledger(fold));
  status->waits = tide_fold_waits(fold);
  status->diverged = (uint64_t)tide_fold_metrics(fold)->value[TIDE_M_journal_diverged_total];
  show(engine, fold, changed);
  if (failed) status->error = *failed;
  if (failed && failed->code == TIDE_E_HISTORY) status->begins_again = engine->options.begins_again;
  if (failed || engine->stopped) engine->ended = true;
  if (changed) (void)pthread_cond_broadcast(&engine->status_changed);
  unlock(&engine->status_mutex);
}

/* Waits until something is there or due, and takes all of it. */
static void take(struct tide_engine *engine, struct tide_offer **ret_offers, size_t *ret_reports, bool *ret_stop) {
  struct inbox *inbox = &engine->inbox;
  struct tide_mono due = tide_core_due(engine->core);
  if (due.ns > engine->next_tick.ns) due = engine->next_tick;
  lock(&inbox->mutex);
  while (!inbox->offer && inbox->reports == 0 && !inbox->stop && !tide_core_busy(engine->core) && tide_mono_now().ns < due.ns)
    wait_until(&inbox->filled, &inbox->mutex, due);
  *ret_offers = inbox->offer;
  inbox->offer = inbox->offer_last = NULL;
  inbox->offers = 0;
  struct report *reports = inbox->report;
  size_t cap = inbox->reports_cap;
  *ret_reports = inbox->reports;
  inbox->report = engine->taken;
  inbox->reports_cap = engine->taken_cap;
  inbox->reports = 0;
  engine->taken = reports;
  engine->taken_cap = cap;
  *ret_stop = inbox->stop;
  inbox->stop = false;
  (void)pthread_cond_signal(&inbox->taken);
  unlock(&inbox->mutex);
}

static void close_inbox(struct tide_engine *engine, struct tide_offer **ret_left) {
  struct inbox *inbox = &engine->inbox;
  lock(&inbox->mutex);
  inbox->closed = true;
  *ret_left = inbox->offer;
  inbox->offer = inbox->offer_last = NULL;
  (void)pthread_cond_signal(&inbox->taken);
  unlock(&inbox->mutex);
}

static enum tide_err follow(struct tide_engine *engine, struct tide_error *error) {
  struct tide_fold *fold = tide_core_fold(engine->core), *follower = NULL;
  if (engine->options.follower) follower = engine->options.follower(engine->options.ctx, fold);
  return follower ? step(engine, &(struct tide_core_event){.kind = TIDE_CORE_FOLLOWER, .follower = follower}, error) : TIDE_OK;
}

static enum tide_err turn(struct tide_engine *engine, struct tide_error *error) {
  struct tide_offer *offers;
  size_t reports;
  bool stop;
  take(engine, &offers, &reports, &stop);
  enum tide_err err = TIDE_OK;
  if (offers) err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offers}, error);
  for (size_t i = 0; i < reports && err == TIDE_OK; i++) {
    struct tide_core_event event = engine->taken[i].event;
    event.bytes = tide_buf_span(&engine->taken[i].bytes);
    if (event.kind == TIDE_CORE_ENDS) event.target = (const struct tide_target *)(const void *)engine->taken[i].bytes.ptr;
    err = step(engine, &event, error);
    while (err == TIDE_OK && event.kind == TIDE_CORE_ENTRY && tide_core_busy(engine->core))
      err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_GO_ON}, error);
  }
  if (err == TIDE_OK && tide_fold_waits(tide_core_fold(engine->core))) err = follow(engine, error);
  if (err == TIDE_OK && stop) err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_STOP}, error);
  if (err == TIDE_OK && tide_core_busy(engine->core)) err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_GO_ON}, error);
  struct tide_mono now = tide_mono_now();
  if (err != TIDE_OK || now.ns < engine->next_tick.ns) {
    if (err == TIDE_OK && tide_core_due(engine->core).ns <= now.ns)
      err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_GO_ON}, error);
    return err;
  }
  engine->next_tick.ns = now.ns + engine->options.tick_ms * 1000000;
  err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_TICK}, error);
  if (err == TIDE_OK && engine->options.between)
    engine->options.between(engine->options.ctx, tide_core_fold(engine->core), tide_core_entry(engine->core));
  if (err == TIDE_OK) publish(engine, NULL);
  return err;
}

static void *core_main(void *arg) {
  struct tide_engine *engine = arg;
  (void)pthread_setname_np(pthread_self(), "tide-core"); /* for top -H */
  struct tide_error error = {0};
  enum tide_err err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_GO_ON}, &error); /* asks for a session */
  enum tide_core_state published = TIDE_CORE_lost;
  while (err == TIDE_OK && !engine->stopped) {
    err = turn(engine, &error);
    if (err == TIDE_OK && tide_core_state(engine->core) != published) {
      publish(engine, NULL);
      published = tide_core_state(engine->core);
    }
  }
  if (err == TIDE_OK && engine->options.between)
    engine->options.between(engine->options.ctx, tide_core_fold(engine->core), tide_core_entry(engine->core));
  struct tide_offer *left;
  close_inbox(engine, &left);
  if (err == TIDE_OK && left) err = step(engine, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = left}, &error);
  else
    for (struct tide_offer *next; left; left = next) {
      next = left->next;
      left->end = TIDE_END_refused;
      left->cause = TIDE_C_unavailable;
      engine->options.release(engine->options.ctx, left);
    }
  if (err != TIDE_OK) { /* the core cannot be asked any more: what it holds may or may not be in the log */
    error.code = err;
    struct tide_offer *offer;
    while ((offer = tide_core_abandon(engine->core))) engine->options.release(engine->options.ctx, offer);
  }
  publish(engine, err == TIDE_OK ? NULL : &error);
  lock(&engine->requests.mutex);
  engine->requests.quit = true;
  (void)pthread_cond_signal(&engine->requests.filled);
  unlock(&engine->requests.mutex);
  return NULL;
}

/* ---- outside ---- */

static struct tide_engine *engine_new(void) {
  struct tide_engine *engine = tide_alloc(sizeof *engine);
  tide_in_force_init(&engine->in_force);
  tide_ledger_init(&engine->shown.ledger);
  engine->shown.commit_ms = INT64_MIN;
  init_lock(&engine->inbox.mutex, &engine->inbox.filled);
  TIDE_CHECK(pthread_cond_init(&engine->inbox.taken, NULL) == 0);
  init_lock(&engine->requests.mutex, &engine->requests.filled);
  init_cond(&engine->requests.looked);
  init_lock(&engine->status_mutex, &engine->status_changed);
  return engine;
}

struct tide_engine *tide_engine_absent(const char *why) {
  struct tide_engine *engine = engine_new();
  engine->inbox.closed = engine->requests.quit = engine->status.absent = true;
  engine->status.state = TIDE_CORE_lost;
  engine->status.watermark_ms = INT64_MIN;
  (void)tide_fail(&engine->status.trouble, TIDE_E_AGAIN, "%s", why);
  return engine;
}

struct tide_engine *tide_engine_start(const struct tide_engine_options *options, struct tide_fold *fold) {
  TIDE_CHECK(options->sources || (!options->core.ingests && !options->core.sources.count));
  TIDE_CHECK(options->release && options->tick_ms >= 1 && options->tick_ms <= 1000);
  struct tide_engine *engine = engine_new();
  engine->options = *options;
  if (engine->options.inbox_max == 0) engine->options.inbox_max = options->core.queue_max;
  engine->core = tide_core_new(&options->core, fold);
  engine->status.state = TIDE_CORE_following;
  tide_in_force_look(&engine->in_force, fold);
  engine->folded = tide_fold_position(fold);
  TIDE_CHECK(pthread_create(&engine->journal_thread, NULL, journal_main, engine) == 0);
  TIDE_CHECK(pthread_create(&engine->core_thread, NULL, core_main, engine) == 0);
  return engine;
}

bool tide_engine_offer(struct tide_engine *engine, struct tide_offer *offer) {
  struct inbox *inbox = &engine->inbox;
  lock(&inbox->mutex);
  bool room = !inbox->closed && inbox->offers < engine->options.inbox_max;
  if (room) {
    offer->next = NULL;
    if (inbox->offer_last) inbox->offer_last->next = offer;
    else inbox->offer = offer;
    inbox->offer_last = offer;
    inbox->offers++;
    if (inbox->offer == offer) (void)pthread_cond_signal(&inbox->filled);
  }
  unlock(&inbox->mutex);
  return room;
}

void tide_engine_offer_all(struct tide_engine *engine, struct tide_offer *first) {
  struct inbox *inbox = &engine->inbox;
  lock(&inbox->mutex);
  bool open = !inbox->closed;
  if (open) {
    bool was_empty = !inbox->offer;
    if (inbox->offer_last) inbox->offer_last->next = first;
    else inbox->offer = first;
    while (first->next) first = first->next;
    inbox->offer_last = first;
    if (was_empty) (void)pthread_cond_signal(&inbox->filled);
  }
  unlock(&inbox->mutex);
  for (struct tide_offer *next; !open && first; first = next) {
    next = first->next;
    first->end = TIDE_END_refused;
    first->cause = TIDE_C_unavailable;
    engine->options.release(engine->options.ctx, first);
  }
}

void tide_engine_tell(struct tide_engine *engine, const struct tide_core_event *event) {
  TIDE_CHECK(event->kind == TIDE_CORE_ENDS || event->kind == TIDE_CORE_LEFT || event->kind == TIDE_CORE_LOGGED ||
             event->kind == TIDE_CORE_REREAD);
  report(engine, event);
}

struct tide_engine_status tide_engine_status(struct tide_engine *engine) {
  lock(&engine->status_mutex);
  struct tide_engine_status status = engine->status;
  unlock(&engine->status_mutex);
  return status;
}

void tide_engine_sources(struct tide_engine *engine, struct tide_engine_sources *ret) {
  lock(&engine->status_mutex);
  copy_ledger(&engine->shown.ledger, &ret->ledger);
  ret->commit_ms = engine->shown.commit_ms;
  unlock(&engine->status_mutex);
}

bool tide_engine_features(struct tide_engine *engine, struct tide_u128 *have, struct tide_buf *text) {
  return tide_in_force_features(&engine->in_force, have, text);
}

/* Folded, as the status says, which is a tick behind: a backend may take what was read for what it has shown the core, so nothing beyond is read. */
static bool is_shown(struct tide_engine *engine, struct tide_position at) {
  bool shown = false;
  for (int turn = 0; turn < 5 && !shown; turn++) {
    struct timespec pause = {.tv_sec = engine->options.tick_ms / 1000, .tv_nsec = engine->options.tick_ms % 1000 * 1000000};
    if (turn > 0) (void)nanosleep(&pause, NULL);
    shown = tide_position_cmp(at, tide_engine_status(engine).folded) <= 0;
  }
  return shown;
}

/* One at a time; a second one is told to come again. What the thread has taken is waited for beyond the time: it uses the caller's memory. */
enum tide_err tide_engine_read(struct tide_engine *engine, struct tide_position at, int64_t timeout_ms, struct tide_buf *out,
                               struct tide_error *error) {
  struct requests *requests = &engine->requests;
  struct tide_mono until = {tide_mono_now().ns + timeout_ms * 1000000};
  struct look look = {.at = at, .bytes = TIDE_BUF_INIT};
  if (!is_shown(engine, at)) return tide_fail(error, TIDE_E_NOT_FOUND, "this engine has not folded so far");
  lock(&requests->mutex);
  bool free = !requests->look && !requests->quit;
  if (free) {
    requests->look = &look;
    (void)pthread_cond_signal(&requests->filled);
    while (!look.taken && !look.done && tide_mono_now().ns < until.ns) wait_until(&requests->looked, &requests->mutex, until);
    while (look.taken && !look.done) (void)pthread_cond_wait(&requests->looked, &requests->mutex);
    requests->look = NULL;
  }
  unlock(&requests->mutex);
  if (free && look.done && look.err == TIDE_OK) {
    struct tide_buf old = *out;
    *out = look.bytes;
    tide_buf_release(&old);
    return TIDE_OK;
  }
  tide_buf_release(&look.bytes);
  if (!free || !look.done) return tide_fail(error, TIDE_E_AGAIN, "the journal is busy, or there is no session to it: try again");
  if (error) *error = look.error;
  return look.err;
}

void tide_engine_rollout(struct tide_engine *engine, struct tide_engine_rollout *ret) { tide_in_force_copy(&engine->in_force, ret); }

const struct tide_policy_version *tide_engine_policy(struct tide_engine *engine) { return tide_in_force_policy(&engine->in_force); }

static bool wait_for(struct tide_engine *engine, bool barrier_too, int64_t timeout_ms) {
  struct tide_mono until = {tide_mono_now().ns + timeout_ms * 1000000};
  const struct tide_engine_status *status = &engine->status;
  lock(&engine->status_mutex);
  for (;;) {
    bool there = status->state == TIDE_CORE_open || (barrier_too && status->state == TIDE_CORE_barrier);
    if (there || engine->ended || tide_mono_now().ns >= until.ns) {
      unlock(&engine->status_mutex);
      return there;
    }
    wait_until(&engine->status_changed, &engine->status_mutex, until);
  }
}

bool tide_engine_wait_up(struct tide_engine *engine, int64_t timeout_ms) { return wait_for(engine, true, timeout_ms); }
bool tide_engine_wait_open(struct tide_engine *engine, int64_t timeout_ms) { return wait_for(engine, false, timeout_ms); }

void tide_engine_stop(struct tide_engine *engine) {
  lock(&engine->inbox.mutex);
  engine->inbox.stop = true;
  (void)pthread_cond_signal(&engine->inbox.filled);
  unlock(&engine->inbox.mutex);
}

enum tide_err tide_engine_join(struct tide_engine *engine, struct tide_error *error) {
  TIDE_CHECK(pthread_join(engine->core_thread, NULL) == 0 && pthread_join(engine->journal_thread, NULL) == 0);
  if (error) *error = engine->status.error;
  return engine->status.error.code;
}

struct tide_fold *tide_engine_fold(struct tide_engine *engine) {
  return tide_core_fold(engine->core);
}

void tide_engine_free(struct tide_engine *engine) {
  if (!engine) return;
  tide_core_free(engine->core);
  for (size_t i = 0; i < engine->taken_cap; i++) tide_buf_release(&engine->taken[i].bytes);
  for (size_t i = 0; i < engine->inbox.reports_cap; i++) tide_buf_release(&engine->inbox.report[i].bytes);
  tide_buf_release(&engine->requests.append_bytes);
  tide_free(engine->taken);
  tide_free(engine->inbox.report);
  tide_in_force_release(&engine->in_force);
  (void)pthread_mutex_destroy(&engine->inbox.mutex);
  (void)pthread_cond_destroy(&engine->inbox.filled);
  (void)pthread_cond_destroy(&engine->inbox.taken);
  (void)pthread_mutex_destroy(&engine->requests.mutex);
  (void)pthread_cond_destroy(&engine->requests.filled);
  (void)pthread_mutex_destroy(&engine->status_mutex);
  (void)pthread_cond_destroy(&engine->status_changed);
  tide_free(engine);
}
