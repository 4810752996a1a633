/* The core's protocol with the journal: follow, open an epoch, append, fetch what others wrote, fold what is durable (core.h).
 *
 * Order within a step: take the event in; end what is past its deadline; start the next commit if none is under way; and only if no append was
 * started, fold - so that the disk or the network works while the processor folds the commit before. */
#include "core/core_state.h"

#include "base/hash.h"

static const char *const state_name[] = {
#define X(name, text) #name,
    TIDE_CORE_STATES(X)
#undef X
};
static const char *const state_text[] = {
#define X(name, text) text,
    TIDE_CORE_STATES(X)
#undef X
};

const char *tide_core_state_name(enum tide_core_state state) {
  TIDE_CHECK((size_t)state < sizeof state_name / sizeof state_name[0]);
  return state_name[state];
}
const char *tide_core_state_text(enum tide_core_state state) {
  TIDE_CHECK((size_t)state < sizeof state_text / sizeof state_text[0]);
  return state_text[state];
}

/* The one setter: the trail of transitions is what a panic prints. */
static void set_state(struct tide_core *core, enum tide_core_state state) {
  if (core->state == state) return;
  tide_trail("core %u: %s -> %s at %llu-%llu", core->options.engine_id, state_name[core->state], state_name[state],
             (unsigned long long)core->known.epoch, (unsigned long long)core->known.seq);
  core->state = state;
}

enum tide_core_state tide_core_state(const struct tide_core *core) { return core->state; }
struct tide_fold *tide_core_fold(struct tide_core *core) {
  return core->fold;
}

struct tide_span tide_core_entry(const struct tide_core *core) {
  return core->last ? tide_buf_span(&core->last->bytes) : (struct tide_span){NULL, 0};
}

struct tide_core_action *tide_core_act(struct tide_core *core, enum tide_core_action_kind kind) {
  if (core->action_count == core->action_cap) {
    core->action_cap = core->action_cap ? core->action_cap * 2 : 64;
    core->action = tide_realloc(core->action, core->action_cap * sizeof *core->action);
  }
  struct tide_core_action *action = &core->action[core->action_count++];
  *action = (struct tide_core_action){.kind = kind};
  return action;
}

/* The fence that an epoch begins with; all zero where it begins with anything else: a server that had lost the fence has taken a late entry of the epoch for its first, and it is
 * nobody's epoch. */
static enum tide_err fence_of(struct tide_entry_reader *reader, struct tide_fence *ret, struct tide_error *error) {
  struct tide_raw_record raw;
  enum tide_err err = tide_entry_next(reader, &raw, error);
  *ret = (struct tide_fence){0};
  if (err == TIDE_E_END || (err == TIDE_OK && raw.type != TIDE_REC_FENCE)) return TIDE_OK;
  return err == TIDE_OK ? tide_fence_decode(&raw, ret, error) : err;
}

/* The next entry of the log is there. */
static enum tide_err hold(struct tide_core *core, struct tide_held *held, struct tide_error *error) {
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  enum tide_err err = tide_entry_open(&reader, tide_buf_span(&held->bytes), part, error);
  if (err != TIDE_OK) return err;
  held->nonce = reader.header.fence_nonce;
  core->mark = tide_entry_mark_of(tide_buf_span(&held->bytes), &reader.header);
  if (held->position.seq == 0) {
    struct tide_fence fence;
    err = fence_of(&reader, &fence, error);
    if (err != TIDE_OK) return err;
    core->nonce = fence.nonce;
    core->fenced = fence.session;
  }
  if (reader.header.commit_ms > core->commit_ms) core->commit_ms = reader.header.commit_ms;
  core->known = held->position;
  held->next = NULL;
  if (core->held_last) core->held_last->next = held;
  else core->held = held;
  core->held_last = held;
  if (held->own) core->stats.entries_own++;
  else core->stats.entries_foreign++;
  return TIDE_OK;
}

/* ---- requests to the journal ---- */

void tide_core_sync(struct tide_core *core) {
  if (core->syncing) return;
  core->syncing = true;
  core->stats.syncs++;
  tide_core_act(core, TIDE_DO_SYNC);
}

static void sync_when_due(struct tide_core *core) {
  if (core->state != TIDE_CORE_lost && tide_position_cmp(core->known, core->durable) > 0) tide_core_sync(core);
}

static void fetch(struct tide_core *core) {
  if (core->fetching) return;
  core->fetching = true;
  core->must_fetch = false;
  core->verifying = core->verify && core->known.epoch > 0;
  core->verify = false;
  core->stats.fetches++;
  struct tide_core_action *action = tide_core_act(core, TIDE_DO_FETCH);
  action->position = core->known;
  action->inclusive = core->verifying;
}

void tide_core_look(struct tide_core *core) {
  if (core->options.shared && tide_core_is_up(core) && core->flight == TIDE_FLIGHT_NONE) fetch(core);
}

/* Nothing is under way and everything known is folded. */
static bool is_settled(const struct tide_core *core) {
  return core->flight == TIDE_FLIGHT_NONE && !core->held && !core->fetching && !core->must_fetch && !core->syncing &&
         !core->retry_at_tick && tide_core_clock_holds(core);
}

/* One commit under way: the next begins when the last own entry is durable, whether or not it is folded yet, and when its time can be trusted. */
static bool may_append(const struct tide_core *core) {
  if (core->flight != TIDE_FLIGHT_NONE || core->fetching || core->must_fetch || core->waits || !tide_core_clock_holds(core)) return false;
  for (const struct tide_held *held = core->held; held; held = held->next)
    if (held->own && tide_position_cmp(held->position, core->durable) > 0) return false;
  return true;
}

/* The records that put the model file of this engine in force, checked against the feature file first: a rollout that is void helps nobody.
 * *ret_due: they are needed. A rollout that somebody made by other means says what scores, and a file that lies about at a restart must not
 * undo it (README.md). */
static enum tide_err wanted_model(struct tide_core *core, struct tide_buf *out, bool *ret_due, struct tide_error *error) {
  struct tide_model *model;
  const struct tide_versions *versions = tide_fold_versions(core->fold);
  const struct tide_rollout *rollout = &versions->rollout;
  *ret_due = false;
  core->stats.model_ignored = 0;
  if (!core->options.model.len) return TIDE_OK;
  enum tide_err err = tide_model_parse(core->options.model, &model, error);
  if (err != TIDE_OK) return err;
  bool active = versions->router.live && tide_u128_eq(versions->router.live->checksum, model->checksum);
  bool other = rollout->number && strcmp(rollout->who, TIDE_ROLLOUT_BY_FILE) != 0;
  if (other && !active) core->stats.model_ignored = rollout->number;
  if (!other && !active) err = tide_model_bind(model, tide_fold_spec(core->fold), error);
  if (err == TIDE_OK && !other && !active) {
    struct tide_buf bytes = TIDE_BUF_INIT;
    tide_model_write(model, &bytes);
    err = tide_rollout_of_file(rollout->number + 1, versions->features, tide_span_of(model->name), tide_buf_span(&bytes), out);
    if (err != TIDE_OK) err = tide_fail(error, TIDE_E_CONFIG, "the model is too long for a journal entry of %u bytes", TIDE_ENTRY_MAX);
    *ret_due = err == TIDE_OK;
    tide_buf_release(&bytes);
  }
  tide_model_free(model);
  return err;
}

static enum tide_err check_config(const struct tide_core *core, struct tide_error *error) {
  const struct tide_spec *spec = tide_fold_spec(core->fold);
  struct tide_span features = core->options.features;
  uint32_t generation;
  if (!tide_fold_generation_of(core->fold, tide_hash128(features.ptr, features.len, 0), &generation))
    return tide_fail(
        error, TIDE_E_CONFIG,
        "the journal has another version of the feature file (\"%s\"); go on with that one, let yours follow it by a rollout, or back-fill "
        "a new journal",
        spec->name);
  const struct tide_settings *then = tide_fold_settings(core->fold), *now = &core->options.settings;
  struct tide_settings own = *now;
  own.hash_seed = then->hash_seed; /* the journal's own: it stays through rotations of the key */
  now = &own;
  if (then->replay && !now->replay)
    return tide_fail_at(
        error, TIDE_E_CONFIG, 0, 0, "replay",
        "the journal was begun by replay, or after a back-fill without --live: the log is its clock, and that of a cell is the time of day");
#define X(name, dflt, lo, hi, help)                                                                                                        \
  if (then->name != now->name)                                                                                                             \
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, #name,                                                                                 \
                        "the journal was begun with %s %lld and this engine has %lld; go on with the same", #name, (long long)then->name,  \
                        (long long)now->name);
  TIDE_SETTINGS(X)
#undef X
  return TIDE_OK;
}

/* History stood before the journal: it gets a configuration and a digest of that. Hashed under another key its cards would never be met again. */
static enum tide_err announce(struct tide_core *core, struct tide_error *error) {
  if (tide_fold_settings(core->fold)->hash_seed != core->options.settings.hash_seed)
    return tide_fail(error, TIDE_E_CONFIG,
                     "the history was back-filled under another key than this engine's: none of its cards would be recognised");
  return tide_core_append(core, TIDE_FILL_CONFIG, (struct tide_span){0}, error);
}

/* What stands between here and being open. */
static enum tide_err go_on_opening(struct tide_core *core, struct tide_error *error) {
  if (core->waits) return TIDE_OK;
  if (core->state == TIDE_CORE_following) {
    if (!core->at_end || !is_settled(core)) return TIDE_OK;
    set_state(core, TIDE_CORE_opening);
  }
  if (core->state != TIDE_CORE_opening || !is_settled(core)) return TIDE_OK;
  if (!tide_u128_eq(core->fenced, core->session.id) || core->known.epoch < core->epoch_seen) {
    tide_core_open_epoch(core);
    return TIDE_OK;
  }
  if (!tide_fold_spec(core->fold)) return tide_core_append(core, TIDE_FILL_CONFIG, (struct tide_span){0}, error);
  enum tide_err err = check_config(core, error);
  struct tide_buf rollout = TIDE_BUF_INIT;
  bool due = false;
  if (err == TIDE_OK && tide_fold_is_unannounced(core->fold)) return announce(core, error);
  if (err == TIDE_OK) err = wanted_model(core, &rollout, &due, error);
  if (err == TIDE_OK && due) err = tide_core_append(core, TIDE_FILL_ROLLOUT, tide_buf_span(&rollout), error);
  else if (err == TIDE_OK && core->options.sources.count && !tide_ledger_declares(tide_fold_ledger(core->fold), &core->options.sources))
    err = tide_core_append(core, TIDE_FILL_SOURCES, (struct tide_span){0}, error);
  else if (err == TIDE_OK && core->asked_to_stop) set_state(core, TIDE_CORE_draining);
  else if (err == TIDE_OK) set_state(core, tide_core_epoch_is_open(core) ? TIDE_CORE_open : TIDE_CORE_barrier);
  tide_buf_release(&rollout);
  return err;
}

static enum tide_err go_on_committing(struct tide_core *core, struct tide_error *error) {
  bool commits = tide_core_is_up(core) || core->state == TIDE_CORE_draining;
  if (!commits || !may_append(core)) return TIDE_OK;
  struct tide_span none = {NULL, 0};
  if (tide_core_has_offers(core)) return tide_core_append(core, TIDE_FILL_OFFERS, none, error);
  if (tide_core_must_make_room(core)) return tide_core_append(core, TIDE_FILL_CHECK, none, error);
  for (const struct tide_offer *offer = core->unlogged.first; offer; offer = offer->next)
    if (offer->logged_at == core->appends) return tide_core_append(core, TIDE_FILL_CHECK, none, error); /* only a later commit proves it */
  if (core->state == TIDE_CORE_draining || core->options.heartbeat_ms == 0 || core->held) return TIDE_OK;
  if (core->now.mono.ns - core->last_entry_ns >= core->options.heartbeat_ms * 1000000)
    return tide_core_append(core, TIDE_FILL_CHECK, none, error);
  return TIDE_OK;
}

static enum tide_err session_over(struct tide_core *core, struct tide_error *error);

static enum tide_err go_on_stopping(struct tide_core *core, struct tide_error *error) {
  if (!core->asked_to_stop || core->said_stopped) return TIDE_OK;
  if (core->waits && core->state != TIDE_CORE_stopped) { /* nothing more will be folded by this one */
    enum tide_err err = session_over(core, error);
    for (int p = 0; p < TIDE_PRIORITY_COUNT && err == TIDE_OK; p++)
      err = tide_core_refuse_all(core, &core->queue[p], TIDE_END_refused, TIDE_C_unavailable, error);
    if (err == TIDE_OK) err = tide_core_refuse_all(core, &core->messages, TIDE_END_refused, TIDE_C_unavailable, error);
    if (err != TIDE_OK) return err;
  } else if (core->state == TIDE_CORE_draining) {
    if (!is_settled(core) || tide_core_queued(core) > 0 || core->unlogged.count > 0) return TIDE_OK;
    if (tide_core_ingests(core))
      return tide_core_append(core, TIDE_FILL_RELEASE, (struct tide_span){0}, error); /* another one need not wait */
    if (core->digest_due) {
      core->digest_due = false;
      return tide_core_append(core, TIDE_FILL_DIGEST, (struct tide_span){0}, error);
    }
  }
  set_state(core, TIDE_CORE_stopped);
  core->said_stopped = true;
  tide_core_act(core, TIDE_DO_STOPPED);
  return TIDE_OK;
}

/* ---- folding ---- */

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct tide_core *core = ctx;
  const struct tide_held *held = core->folding;
  if (!held->own || answer->index >= held->records) return;
  struct tide_offer *offer = held->by_record[answer->index];
  if (offer && offer->kind == TIDE_OFFER_MESSAGE) tide_offer_note(offer, answer); /* the words are in the outbox */
  else if (offer) tide_offer_tell(offer, answer), tide_core_bound(core, offer, answer);
  tide_core_note(core, answer);
}

/* Back to the front of the queue, in their order: nothing of them is in the log. */
static void requeue(struct tide_core *core, struct tide_offer_list *offers) {
  struct tide_offer_list all[TIDE_PRIORITY_COUNT] = {{0}}, messages = {0};
  for (struct tide_offer *offer; (offer = tide_offers_pop(offers));) {
    TIDE_CHECK(!offer->log_sent);
    core->stats.retried++;
    offer->begun = (struct tide_mono){0};
    offer->index = 0;
    bool sourced = offer->kind == TIDE_OFFER_MESSAGE || offer->kind == TIDE_OFFER_CONTROL;
    tide_offers_push(sourced ? &messages : &all[offer->priority], offer);
  }
  for (struct tide_offer *offer; (offer = tide_offers_pop(&core->messages));) tide_offers_push(&messages, offer);
  core->messages = messages;
  for (int p = 0; p < TIDE_PRIORITY_COUNT; p++) {
    for (struct tide_offer *offer; (offer = tide_offers_pop(&core->queue[p]));) tide_offers_push(&all[p], offer);
    core->queue[p] = all[p];
  }
}

/* Offers of an entry that counts for nothing. A copy that has left may be counted, so its request cannot be said to be new once more. */
static enum tide_err begin_again(struct tide_core *core, struct tide_offer_list *offers, struct tide_error *error) {
  struct tide_offer_list copied = {0}, others = {0};
  for (struct tide_offer *offer; (offer = tide_offers_pop(offers));) tide_offers_push(offer->log_sent ? &copied : &others, offer);
  requeue(core, &others);
  return tide_core_refuse_all(core, &copied, TIDE_END_maybe, TIDE_C_quorum, error);
}

static enum tide_err fold_first(struct tide_core *core, struct tide_error *error) {
  struct tide_held *held = core->held;
  bool is_void = held->position.seq != 0 && held->nonce != tide_fold_nonce(core->fold);
  core->folding = held;
  enum tide_err err = tide_fold_entry(core->fold, held->position, tide_buf_span(&held->bytes), on_answer, core, error);
  core->folding = NULL;
  if (err != TIDE_OK) return err;
  core->held = held->next;
  if (!core->held) core->held_last = NULL;
  core->waits = tide_fold_waits(core->fold);
  core->waits_ns = core->now.mono.ns;
  if (is_void) core->stats.voided++;
  if (is_void && held->own) err = begin_again(core, &held->offers, error);
  tide_core_ingest_folded(core, held, is_void);
  for (struct tide_offer *offer; err == TIDE_OK && (offer = tide_offers_pop(&held->offers));) {
    offer->durable = held->durable;
    if (!tide_offer_journaled(offer) && offer->kind != TIDE_OFFER_MESSAGE) {
      err = tide_core_answer(core, offer, error);
      continue;
    }
    offer->position = held->position;
    offer->folded = core->now.mono;
    if (offer->log && !(offer->logged_at && offer->logged_at < held->append_no)) {
      tide_offers_push(&core->unlogged, offer);
      continue;
    }
    if (offer->kind == TIDE_OFFER_COMMIT) err = tide_core_done(core, offer, error);
    else tide_core_drop(core, offer, TIDE_END_done);
  }
  if (held->own && !is_void && err == TIDE_OK) err = tide_core_logged_release(core, held->append_no, error);
  if (core->last) tide_core_held_spare(core, core->last);
  core->last = held;
  if (err != TIDE_OK) return err;
  return core->waiting.count ? tide_core_wake(core, error) : TIDE_OK;
}

bool tide_core_busy(const struct tide_core *core) {
  return core->state != TIDE_CORE_stopped && !core->waits && core->held && tide_position_cmp(core->held->position, core->durable) <= 0;
}

/* ---- events ---- */

static void stand_at_fold(struct tide_core *core) {
  core->known = tide_fold_position(core->fold);
  core->mark = tide_fold_mark(core->fold);
  core->nonce = tide_fold_nonce(core->fold);
  core->fenced = tide_fold_session(core->fold);
}

/* A journal of this machine has no quorum that could be missed: its disk is full, or broken. */
static enum tide_cause lost_cause(const struct tide_core *core) { return core->options.shared ? TIDE_C_quorum : TIDE_C_unavailable; }

static enum tide_err session_over(struct tide_core *core, struct tide_error *error) {
  struct tide_held *held = core->held;
  enum tide_err err = TIDE_OK;
  /* What is durable stays in the log and is read again; whether the rest does is not known. */
  if (core->flying) {
    core->flying->next = held;
    held = core->flying;
  }
  core->held = core->held_last = core->flying = NULL;
  core->flight = TIDE_FLIGHT_NONE;
  core->retry_at_tick = core->appended = core->syncing = core->fetching = core->must_fetch = core->at_end = false;
  core->verify = core->verifying = core->pressed = core->clock.told = false;
  while (held) {
    struct tide_held *next = held->next;
    if (err == TIDE_OK) err = tide_core_refuse_all(core, &held->offers, TIDE_END_maybe, lost_cause(core), error);
    if (err == TIDE_OK) tide_core_held_spare(core, held);
    else held->next = NULL, tide_core_held_free(held);
    held = next;
  }
  if (err == TIDE_OK) err = tide_core_refuse_all(core, &core->unlogged, TIDE_END_maybe, lost_cause(core), error);
  tide_core_ingest_lost(core);
  stand_at_fold(core);
  core->durable = (struct tide_position){0, 0};
  return err;
}

static enum tide_err on_session(struct tide_core *core, struct tide_session session, struct tide_error *error) {
  enum tide_err err = session_over(core, error);
  TIDE_CHECK(session.id.lo || session.id.hi);
  set_state(core, TIDE_CORE_following);
  core->session = session;
  core->session_asked = false;
  core->stats.sessions++;
  core->verify = true;
  tide_core_sync(core); /* what the journal holds now is asked before it is read, so that it can be folded while it is read */
  fetch(core);
  return err;
}

static enum tide_err on_lost(struct tide_core *core, struct tide_error *error) {
  enum tide_err err = session_over(core, error);
  set_state(core, TIDE_CORE_lost);
  core->lost_ns = core->now.mono.ns;
  return err;
}

/* A session that is lost is mostly found again at once, within what an offer can wait. After that nothing is kept waiting. */
static enum tide_err give_up(struct tide_core *core, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  for (int p = 0; p < TIDE_PRIORITY_COUNT && core->pressed && err == TIDE_OK; p++)
    err = tide_core_refuse_all(core, &core->queue[p], TIDE_END_refused, TIDE_C_journal_full, error);
  if (core->pressed && err == TIDE_OK) err = tide_core_refuse_all(core, &core->again, TIDE_END_refused, TIDE_C_journal_full, error);
  if (err != TIDE_OK) return err;
  bool over = core->state == TIDE_CORE_lost || core->waits;
  if (!over || (!tide_core_is_gone(core) && !core->asked_to_stop)) return TIDE_OK;
  for (int p = 0; p < TIDE_PRIORITY_COUNT && err == TIDE_OK; p++)
    err = tide_core_refuse_all(core, &core->queue[p], TIDE_END_refused, TIDE_C_unavailable, error);
  if (err == TIDE_OK && !core->waits) /* while the fold waits they go on being read, and are bounded by their window */
    err = tide_core_refuse_all(core, &core->messages, TIDE_END_refused, TIDE_C_unavailable, error);
  if (err == TIDE_OK) err = tide_core_refuse_all(core, &core->again, TIDE_END_refused, TIDE_C_unavailable, error);
  return err == TIDE_OK ? tide_core_refuse_all(core, &core->waiting, TIDE_END_refused, TIDE_C_unavailable, error) : err;
}

static enum tide_err land(struct tide_core *core, struct tide_error *error) {
  struct tide_held *held = core->flying;
  core->flying = NULL;
  core->flight = TIDE_FLIGHT_NONE;
  core->appended = false;
  return hold(core, held, error);
}

static enum tide_err on_appended(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error) {
  if (core->flight == TIDE_FLIGHT_NONE || event->attempt != core->attempt || core->appended) return TIDE_OK; /* of a session that is over */
  bool fence = core->flight == TIDE_FLIGHT_FENCE;
  if (event->position.epoch != core->flight_epoch || (event->position.seq == 0) != fence ||
      tide_position_cmp(event->position, core->known) <= 0) {
    /* At or before what this engine has seen there: the log was rolled back. The next session will tell what is left of it. */
    core->stats.rolled_back++;
    return on_lost(core, error);
  }
  core->flying->position = event->position;
  tide_core_send_copies(core, core->flying);
  /* Inside an epoch positions are dense, so the next one is the next. A fence may follow any entry of the epoch before: only reading tells. */
  if (core->flight == TIDE_FLIGHT_ENTRY && tide_position_follows(core->known, event->position)) return land(core, error);
  core->appended = true; /* others wrote in between: read them first, and our own entry with them */
  fetch(core);
  return TIDE_OK;
}

static enum tide_err on_append_failed(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error) {
  if (core->flight == TIDE_FLIGHT_NONE || event->attempt != core->attempt || core->appended) return TIDE_OK;
  if (event->err != TIDE_E_STALE && event->err != TIDE_E_FULL && event->err != TIDE_E_LIMIT) return on_lost(core, error);
  struct tide_held *held = core->flying;
  if (event->number > core->epoch_seen) core->epoch_seen = event->number;
  core->flying = NULL;
  core->flight = TIDE_FLIGHT_NONE;
  tide_core_ingest_unwritten(core);
  enum tide_err err = TIDE_OK;
  bool disk_full = false;
  if (event->err == TIDE_E_STALE) { /* somebody opened a newer epoch: find it, then try again */
    core->stats.stale++;
    core->must_fetch = core->verify = true;
    requeue(core, &held->offers);
    fetch(core);
  } else {
    bool pressed = event->err == TIDE_E_FULL && core->options.shared;
    if (held->parts)
      tide_core_ingest_stop(core); /* its messages are to be read again, also where no other follows that would not connect */
    err = tide_core_refuse_all(core, &held->offers, TIDE_END_refused, pressed ? TIDE_C_journal_full : TIDE_C_unavailable, error);
    disk_full = event->err == TIDE_E_FULL && !pressed;
    core->retry_at_tick =
        core->state != TIDE_CORE_open; /* a fence or a configuration: they are needed, so try again when there may be room */
  }
  if (err == TIDE_OK) tide_core_held_spare(core, held);
  else tide_core_held_free(held);
  return err == TIDE_OK && disk_full ? on_lost(core, error) : err; /* there is no session before there is room */
}

/* The entry at `known` is not what it was. If it was folded, answers were given from it; if not, nothing was. */
static enum tide_err history_lost(struct tide_core *core, const char *what, struct tide_error *error) {
  if (tide_position_cmp(core->known, tide_fold_position(core->fold)) > 0) {
    core->stats.rolled_back++;
    return on_lost(core, error);
  }
  return tide_fail(
      error, TIDE_E_HISTORY,
      "the journal holds %s at %llu-%llu, up to where this engine has folded it and answered from it: acknowledged transactions are gone. "
      "Restore the journal, or accept the loss",
      what, (unsigned long long)core->known.epoch, (unsigned long long)core->known.seq);
}

/* Entries of an epoch are dense: where one with a number stands, and neither `known` nor anything between, they were trimmed while this engine was away. Whether
 * its own entries were among them cannot be told any more; that it must not go on from here is certain. */
static enum tide_err left_behind(struct tide_core *core, struct tide_position first, struct tide_error *error) {
  if (tide_position_cmp(core->known, tide_fold_position(core->fold)) > 0)
    return on_lost(core, error); /* the next session asks for what was folded */
  return tide_fail(
      error, TIDE_E_AGAIN,
      "the journal was trimmed up to %llu-%llu while this engine stood at %llu-%llu: start it again, and it takes a snapshot from a peer "
      "(snapshot.peers); a longer journal.keep would have spared it that",
      (unsigned long long)first.epoch, (unsigned long long)first.seq, (unsigned long long)core->known.epoch,
      (unsigned long long)core->known.seq);
}

/* The first entry of a FETCH that begins at `known`. */
static enum tide_err on_verify(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error) {
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  if (tide_position_cmp(event->position, core->known) > 0 && event->position.seq > 0) return left_behind(core, event->position, error);
  if (tide_position_cmp(event->position, core->known) != 0) return history_lost(core, "nothing", error);
  enum tide_err err = tide_entry_open(&reader, event->bytes, part, error);
  if (err != TIDE_OK) return err;
  if (!tide_entry_mark_eq(tide_entry_mark_of(event->bytes, &reader.header), core->mark)) return history_lost(core, "another entry", error);
  core->verifying = false;
  core->stats.verified++;
  return TIDE_OK;
}

static enum tide_err on_entry(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error) {
  if (!core->fetching) return TIDE_OK; /* of a session that is over */
  if (core->verifying) return on_verify(core, event, error);
  if (tide_position_cmp(event->position, core->known) <= 0) return TIDE_OK; /* ours, landed meanwhile */
  if (!tide_position_follows(core->known, event->position))
    return tide_fail(error, TIDE_E_CORRUPT,
                     "the journal goes from %llu-%llu to %llu-%llu: what stood between was trimmed; start from a snapshot",
                     (unsigned long long)core->known.epoch, (unsigned long long)core->known.seq, (unsigned long long)event->position.epoch,
                     (unsigned long long)event->position.seq);
  if (core->appended && tide_position_cmp(event->position, core->flying->position) == 0) {
    if (!tide_span_eq(event->bytes,
                      tide_buf_span(&core->flying->bytes))) { /* it was rolled back, and another entry has taken the place of ours */
      core->stats.rolled_back++;
      return on_lost(core, error);
    }
    return land(core, error);
  }
  struct tide_held *held = tide_core_held_new(core);
  held->position = event->position;
  tide_buf_put(&held->bytes, event->bytes.ptr, event->bytes.len);
  enum tide_err err = hold(core, held, error);
  if (err != TIDE_OK) {
    tide_core_held_free(held);
    return err;
  }
  /* Somebody has opened an epoch in another session than ours, after we had read to the end: one of the two is over, and to ask tells which. */
  bool outdated = core->at_end && held->position.seq == 0 && !tide_u128_eq(core->fenced, core->session.id);
  return outdated ? on_lost(core, error) : TIDE_OK;
}

static enum tide_err on_fetch_end(struct tide_core *core, struct tide_error *error) {
  if (!core->fetching) return TIDE_OK;
  if (core->verifying) return history_lost(core, "nothing", error);
  core->fetching = false;
  core->at_end = true;
  if (core->appended || core->must_fetch) fetch(core); /* our entry was not among them yet */
  return TIDE_OK;
}

static void on_follower(struct tide_core *core, struct tide_fold *follower) {
  if (tide_fold_switch(core->fold, follower, NULL) != TIDE_OK) {
    tide_fold_free(follower);
    return;
  }
  for (struct tide_offer *offer = core->unlogged.first; offer; offer = offer->next)
    offer->way_ms = INT64_MAX; /* it was judged in time, by groups of a file that is not asked any more */
  core->waits = false;
  core->stats.switches++;
  core->reads = (struct tide_core_reads){0}; /* they are by entity of the feature file */
}

static enum tide_err take_event(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error) {
  switch (event->kind) {
    case TIDE_CORE_OFFER: {
      enum tide_err err = TIDE_OK;
      for (struct tide_offer *offer = event->offer, *next; offer && err == TIDE_OK; offer = next) {
        next = offer->next;
        offer->next = NULL;
        err = tide_core_take(core, offer, error);
      }
      return err;
    }
    case TIDE_CORE_APPENDED: return on_appended(core, event, error);
    case TIDE_CORE_APPEND_FAILED: return on_append_failed(core, event, error);
    case TIDE_CORE_DURABLE:
      if (!core->syncing) return TIDE_OK;
      core->syncing = false;
      core->pressed = event->pressed;
      tide_core_clock_told(core, event->clock_ms);
      if (tide_position_cmp(event->position, core->durable) > 0) core->durable = event->position;
      for (struct tide_held *held = core->held; held && tide_position_cmp(held->position, core->durable) <= 0; held = held->next)
        if (!held->durable.ns) held->durable = core->now.mono;
      return TIDE_OK;
    case TIDE_CORE_SESSION_OVER: return core->state == TIDE_CORE_lost || core->state == TIDE_CORE_stopped ? TIDE_OK : on_lost(core, error);
    case TIDE_CORE_ENTRY: return on_entry(core, event, error);
    case TIDE_CORE_FETCH_END: return on_fetch_end(core, error);
    case TIDE_CORE_SESSION: return on_session(core, event->session, error);
    case TIDE_CORE_TICK:
      core->retry_at_tick = false;
      tide_core_look(core);
      return TIDE_OK;
    case TIDE_CORE_STOP: {
      if (core->asked_to_stop) return TIDE_OK;
      core->asked_to_stop = true;
      core->digest_due = core->state == TIDE_CORE_open && !core->options.shared; /* nobody may write in between */
      bool ends_queued = core->state == TIDE_CORE_open;
      if (tide_core_is_up(core)) set_state(core, TIDE_CORE_draining);
      tide_core_ingest_stop(core);
      enum tide_err err = tide_core_refuse_all(core, &core->waiting, TIDE_END_refused, TIDE_C_unavailable, error);
      if (err == TIDE_OK) err = tide_core_refuse_all(core, &core->again, TIDE_END_refused, TIDE_C_unavailable, error);
      if (err == TIDE_OK) err = tide_core_refuse_all(core, &core->messages, TIDE_END_refused, TIDE_C_unavailable, error);
      for (int p = 0; p < TIDE_PRIORITY_COUNT && err == TIDE_OK && !ends_queued; p++)
        err = tide_core_refuse_all(core, &core->queue[p], TIDE_END_refused, TIDE_C_unavailable, error);
      return err;
    }
    case TIDE_CORE_ENDS: tide_core_ends(core, event); return TIDE_OK;
    case TIDE_CORE_LEFT: tide_core_left(core, event); return TIDE_OK;
    case TIDE_CORE_LOGGED: return tide_core_logged(core, event, error);
    case TIDE_CORE_REREAD: tide_core_reread(core, event); return TIDE_OK;
    case TIDE_CORE_FOLLOWER: on_follower(core, event->follower); return TIDE_OK;
    case TIDE_CORE_GO_ON: return TIDE_OK;
  }
  TIDE_NEVER("every event is handled");
}

enum tide_err tide_core_step(struct tide_core *core, struct tide_core_now now, const struct tide_core_event *event,
                             const struct tide_core_action **ret_actions, size_t *ret_count, struct tide_error *error) {
  TIDE_CHECK(now.mono.ns >= core->now.mono.ns);
  if (core->now.mono.ns == 0) core->lost_ns = now.mono.ns; /* the first step */
  core->now = now;
  core->action_count = 0;
  tide_core_clock_look(core);
  enum tide_err err = take_event(core, event, error);
  if (err == TIDE_OK) err = give_up(core, error);
  if (err == TIDE_OK) err = tide_core_expire(core, error);
  tide_core_clock_go_on(core);
  bool idle = core->flight == TIDE_FLIGHT_NONE;
  if (core->state == TIDE_CORE_open && !tide_core_epoch_is_open(core)) set_state(core, TIDE_CORE_barrier);
  if (core->state == TIDE_CORE_barrier && tide_core_epoch_is_open(core)) set_state(core, TIDE_CORE_open);
  if (core->state == TIDE_CORE_barrier && core->known.epoch < core->epoch_seen)
    set_state(core, TIDE_CORE_opening); /* in vain: see tide_core_ends */
  if (err == TIDE_OK) err = tide_core_ingest_go_on(core, may_append(core), error);
  if (err == TIDE_OK) err = tide_core_again_go_on(core, error);
  if (err == TIDE_OK) err = go_on_committing(core, error);
  bool started = idle && core->flight != TIDE_FLIGHT_NONE;
  if (err == TIDE_OK && !started && tide_core_busy(core)) err = fold_first(core, error);
  if (err == TIDE_OK) err = go_on_opening(core, error);
  if (err == TIDE_OK) err = go_on_stopping(core, error);
  if (err == TIDE_OK) tide_core_emit(core);
  core->step_failed = err != TIDE_OK;
  if (err != TIDE_OK) return err;
  sync_when_due(core);
  if (core->state == TIDE_CORE_lost && !core->session_asked) {
    core->session_asked = true;
    tide_core_act(core, TIDE_DO_SESSION);
  }
  *ret_actions = core->action;
  *ret_count = core->action_count;
  return TIDE_OK;
}

static struct tide_offer *abandon_first(struct tide_offer_list *list, enum tide_offer_end end) {
  struct tide_offer *offer = tide_offers_pop(list);
  if (!offer) return NULL;
  TIDE_CHECK(end == TIDE_END_maybe || !offer->log_sent);
  offer->end = (uint8_t)end;
  offer->cause = TIDE_C_unavailable;
  tide_buf_clear(&offer->answer);
  return offer;
}

struct tide_offer *tide_core_abandon(struct tide_core *core) {
  while (core->step_failed && core->action_count > 0) { /* released by the step that failed; its caller did not see them */
    struct tide_core_action *action = &core->action[--core->action_count];
    if (action->kind == TIDE_DO_RELEASE) return action->offer;
  }
  struct tide_offer *offer = abandon_first(&core->waiting, TIDE_END_refused);
  if (!offer) offer = abandon_first(&core->again, TIDE_END_refused);
  for (int p = 0; !offer && p < TIDE_PRIORITY_COUNT; p++) offer = abandon_first(&core->queue[p], TIDE_END_refused);
  if (!offer) offer = abandon_first(&core->messages, TIDE_END_refused);
  if (!offer) offer = abandon_first(&core->unlogged, TIDE_END_maybe);
  if (!offer && core->flying) offer = abandon_first(&core->flying->offers, TIDE_END_maybe);
  for (struct tide_held *held = core->held; !offer && held; held = held->next) offer = abandon_first(&held->offers, TIDE_END_maybe);
  return offer;
}

struct tide_mono tide_core_due(const struct tide_core *core) {
  int64_t due = core->next_deadline_ns;
  int64_t ingest = tide_core_ingest_due(core), again = tide_core_again_due(core);
  if (ingest < due) due = ingest;
  if (again < due) due = again;
  if (tide_core_is_up(core) && core->options.heartbeat_ms > 0) {
    int64_t beat = core->last_entry_ns + core->options.heartbeat_ms * 1000000;
    if (beat < due) due = beat;
  }
  if (core->state == TIDE_CORE_lost && tide_core_queued(core) > 0 && core->lost_ns + TIDE_CORE_GRACE_NS < due)
    due = core->lost_ns + TIDE_CORE_GRACE_NS;
  if (core->waits && tide_core_queued(core) > 0 && core->waits_ns + TIDE_CORE_GRACE_NS < due) due = core->waits_ns + TIDE_CORE_GRACE_NS;
  return (struct tide_mono){due};
}

struct tide_core_stats tide_core_stats(const struct tide_core *core) {
  struct tide_core_stats stats = core->stats;
  stats.queued = tide_core_queued(core);
  stats.in_flight = core->flying ? core->flying->offers.count : 0;
  for (const struct tide_held *held = core->held; held; held = held->next) stats.in_flight += held->offers.count;
  return stats;
}

const struct tide_core_reads *tide_core_reads(const struct tide_core *core) { return &core->reads; }

struct tide_core *tide_core_new(const struct tide_core_options *options, struct tide_fold *fold) {
  TIDE_CHECK(options->batch_records_max >= TIDE_OFFER_RECORDS && options->batch_records_max <= TIDE_BATCH_RECORDS_MAX / 2 &&
             options->queue_max > 0);
  struct tide_core *core = tide_alloc(sizeof *core);
  core->options = *options;
  core->fold = fold;
  core->epoch_seen = options->epoch_seen;
  stand_at_fold(core);
  core->waits = tide_fold_waits(fold);
  core->next_deadline_ns = INT64_MAX;
  core->commit_ms = INT64_MIN;
  core->place = tide_alloc(TIDE_PARTITIONS_MAX * sizeof *core->place);
  core->ingest.target = tide_alloc(TIDE_PARTITIONS_MAX * sizeof *core->ingest.target);
  core->state = TIDE_CORE_lost; /* until the first session */
  return core;
}

static void free_offers(struct tide_offer_list *list) {
  for (struct tide_offer *offer; (offer = tide_offers_pop(list));) tide_offer_free(offer);
}

void tide_core_free(struct tide_core *core) {
  if (!core) return;
  for (int p = 0; p < TIDE_PRIORITY_COUNT; p++) free_offers(&core->queue[p]);
  free_offers(&core->waiting);
  free_offers(&core->again);
  free_offers(&core->messages);
  free_offers(&core->unlogged);
  tide_free(core->place);
  tide_free(core->ingest.target);
  tide_free(core->logging);
  tide_core_held_free(core->held);
  tide_core_held_free(core->flying);
  tide_core_held_free(core->spare);
  if (core->last) core->last->next = NULL;
  tide_core_held_free(core->last);
  tide_fold_free(core->fold);
  tide_free(core->action);
  tide_free(core);
}
