/* The core and the sources: who reads, from where, until when an epoch is not open, which answers may leave (core.h).
 *
 * Whether a message counts is decided by the ledger when its entry is folded, and by nothing here: two engines that both take themselves for the reader, one that was
 * stopped for an hour, or a driver that reads the wrong place cost work and void parts, never a count. What is decided here is only what to do next. */
#include "core/core_state.h"

#define MS INT64_C(1000000)
#define TARGETS_PATIENCE_NS (1000 * MS) /* after it any engine may say how far the logs go, should the opener be gone */
#define EMIT_WINDOW 16384               /* answers handed out and not known to have left */

bool tide_core_epoch_is_open(const struct tide_core *core) {
  return tide_fold_is_open(core->fold) && core->nonce == tide_fold_nonce(core->fold);
}

bool tide_core_ingests(const struct tide_core *core) {
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  return core->ingest.claim && ledger->claimant == core->options.engine_id && ledger->claims == core->ingest.claim;
}

void tide_core_ingest_stop(struct tide_core *core) {
  if (core->ingest.on) tide_core_act(core, TIDE_DO_INGEST_STOP);
  core->ingest.on = false;
  struct tide_offer_list kept = {0};
  for (struct tide_offer *offer; (offer = tide_offers_pop(&core->messages));) {
    if (offer->kind == TIDE_OFFER_MESSAGE) tide_core_drop(core, offer, TIDE_END_refused);
    else tide_offers_push(&kept, offer);
  }
  core->messages = kept;
}

void tide_core_ingest_lost(struct tide_core *core) {
  struct tide_core_ingest *ingest = &core->ingest;
  tide_core_ingest_stop(core);
  ingest->ends_asked = ingest->has_ends = false;
  ingest->own_epoch = 0;
  ingest->opening_ns = 0;
}

/* ---- the barrier ---- */

void tide_core_ends(struct tide_core *core, const struct tide_core_event *event) {
  struct tide_core_ingest *ingest = &core->ingest;
  if (!ingest->ends_asked || event->turn != ingest->ends_turn) return;
  TIDE_CHECK(event->target_count <= TIDE_PARTITIONS_MAX);
  if (event->number > core->epoch_seen) core->epoch_seen = event->number;
  if (event->number >
      tide_fold_position(core->fold).epoch) { /* something of that epoch may have been acknowledged, in a history that is lost */
    ingest->ends_asked = false;
    return;
  }
  if (event->target_count) memcpy(ingest->target, event->target, event->target_count * sizeof *event->target);
  ingest->target_count = event->target_count;
  ingest->has_ends = true;
}

/* The ends are asked by an engine whose own entry of this epoch is durable: then no primary of an earlier epoch can acknowledge anything more, and what one had
 * acknowledged stands below the ends. The opener asks at once; any other one when nobody has said anything for a second. */
static enum tide_err go_on_opening(struct tide_core *core, struct tide_error *error) {
  struct tide_core_ingest *ingest = &core->ingest;
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  uint64_t epoch = tide_fold_position(core->fold).epoch;
  bool lacks = ledger->opening && !ledger->has_targets && core->nonce == tide_fold_nonce(core->fold);
  if (!lacks || ingest->opening_epoch != epoch) {
    ingest->ends_asked = ingest->has_ends = false;
    ingest->opening_epoch = epoch;
    ingest->opening_ns = lacks ? core->now.mono.ns : 0;
  }
  if (!lacks) return TIDE_OK;
  bool patient = core->now.mono.ns - ingest->opening_ns >= TARGETS_PATIENCE_NS;
  bool own = ingest->own_epoch == epoch;
  if (ingest->has_ends && own) {
    ingest->ends_asked = ingest->has_ends = false;
    ingest->opening_ns = core->now.mono.ns;
    return tide_core_append(core, TIDE_FILL_TARGETS, (struct tide_span){0}, error);
  }
  if (!own && patient) return core->held ? TIDE_OK : tide_core_append(core, TIDE_FILL_CHECK, (struct tide_span){0}, error);
  if (!own || ingest->ends_asked || !(ingest->opened_epoch == epoch || patient)) return TIDE_OK;
  ingest->ends_asked = true;
  tide_core_act(core, TIDE_DO_ENDS)->turn = ++ingest->ends_turn;
  return TIDE_OK;
}

/* ---- the claim ---- */

static bool may_claim(const struct tide_core *core) {
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  if (core->held) return false; /* also while a claim of ours is on its way */
  if (!ledger->claimant || ledger->claimant == core->options.engine_id) return true;
  int64_t now_ms = core->now.wall.ms > core->commit_ms ? core->now.wall.ms : core->commit_ms;
  return now_ms - ledger->claim_alive_ms > core->options.claim_timeout_ms;
}

/* An answer has one number and the same bytes as long as the epoch lasts, and the driver sends on what it was given. So a turn that begins because a session ended, or because
 * something is read again, goes on with the answers where the one before stood. Behind a fence, or where the ledger says so, they leave again from what is known to have left. */
static void begin_emitting(struct tide_core *core) {
  struct tide_core_ingest *ingest = &core->ingest;
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  uint64_t emitted = ledger->emitted, epoch = tide_fold_position(core->fold).epoch;
  ingest->writing = emitted; /* what was said in an entry that did not land is said again */
  if (!ingest->emit_turn || ingest->emit_epoch != epoch || ingest->emit_jumps != ledger->jumps) {
    ingest->emit_turn = ingest->turn;
    ingest->emit_epoch = epoch;
    ingest->emit_jumps = ledger->jumps;
    ingest->emitting = ingest->left = emitted;
  }
  if (ingest->emitting < emitted) ingest->emitting = emitted;
  if (ingest->left < emitted) ingest->left = emitted;
}

static void begin_reading(struct tide_core *core) {
  struct tide_core_ingest *ingest = &core->ingest;
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  uint32_t count = 0;
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    const struct tide_partition *partition = &ledger->partition[i];
    const struct tide_ledger_source *source = tide_ledger_source((struct tide_ledger *)ledger, partition->source);
    if (!source || !source->declared) continue;
    core->place[count++] = (struct tide_core_place){.source = partition->source,
                                                    .partition = partition->partition,
                                                    .started = partition->started,
                                                    .cursor = partition->cursor,
                                                    .checksum = partition->checksum,
                                                    .last = {.source = partition->source,
                                                             .partition = partition->partition,
                                                             .seen = partition->seen_ms,
                                                             .drained = partition->drained_ms,
                                                             .delay = partition->delay_ms,
                                                             .checksum = partition->checksum}};
  }
  ingest->on = true;
  ingest->turn++;
  begin_emitting(core);
  struct tide_core_action *action = tide_core_act(core, TIDE_DO_INGEST);
  action->turn = ingest->turn;
  action->emit_turn = ingest->emit_turn;
  action->number = ledger->emitted;
  action->place = core->place;
  action->place_count = count;
}

void tide_core_reread(struct tide_core *core, const struct tide_core_event *event) {
  if (!core->ingest.on || event->turn != core->ingest.turn) return;
  core->stats.rereads++;
  tide_core_ingest_stop(core);
}

void tide_core_ingest_unwritten(struct tide_core *core) { core->ingest.writing = tide_fold_ledger(core->fold)->emitted; }

void tide_core_ingest_folded(struct tide_core *core, const struct tide_held *held, bool is_void) {
  struct tide_core_ingest *ingest = &core->ingest;
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  if (ingest->jumps != ledger->jumps && ingest->on) { /* an operator's word, given here or to another engine */
    core->stats.rereads++;
    tide_core_ingest_stop(core);
  }
  ingest->jumps = ledger->jumps;
  if (!held->own) return;
  if (is_void) {
    tide_core_ingest_unwritten(core);
    return;
  }
  ingest->own_epoch = held->position.epoch;
  if (held->position.seq == 0) ingest->opened_epoch = held->position.epoch;
  if (held->claims && ledger->claimant == core->options.engine_id) {
    ingest->claim = ledger->claims;
    core->stats.claims++;
  }
  for (uint32_t i = 0; i < held->parts && ingest->on; i++) {
    if (tide_fold_cursor(core->fold, held->part[i].source, held->part[i].partition) >= held->part[i].next) continue;
    core->stats.rereads++; /* it did not connect: read again from where the log stands */
    tide_core_ingest_stop(core);
  }
}

/* ---- answers that leave ---- */

void tide_core_left(struct tide_core *core, const struct tide_core_event *event) {
  struct tide_core_ingest *ingest = &core->ingest;
  if (event->turn != ingest->emit_turn || event->number <= ingest->left)
    return; /* also while nothing is read: they have left all the same */
  TIDE_CHECK(event->number <= ingest->emitting);
  ingest->left = event->number;
}

void tide_core_emit(struct tide_core *core) {
  struct tide_core_ingest *ingest = &core->ingest;
  if (!ingest->on || !tide_core_epoch_is_open(core)) return;
  const struct tide_outbox *outbox = tide_fold_outbox(core->fold);
  uint64_t answers = tide_fold_ledger(core->fold)->answers, emitted = tide_fold_ledger(core->fold)->emitted;
  if (ingest->emitting < emitted)
    ingest->emitting = ingest->left = ingest->writing = emitted; /* another engine has let them leave, and they are kept all the same */
  while (ingest->emitting < answers && ingest->emitting - ingest->left < EMIT_WINDOW) {
    struct tide_outgoing outgoing;
    bool there = tide_outbox_get(outbox, ++ingest->emitting, &outgoing);
    TIDE_CHECK(there);
    struct tide_core_action *action = tide_core_act(core, TIDE_DO_EMIT);
    action->turn = ingest->emit_turn;
    action->outgoing = outgoing;
    core->stats.emitted++;
  }
}

enum tide_err tide_core_ingest_go_on(struct tide_core *core, bool may_append, struct tide_error *error) {
  struct tide_core_ingest *ingest = &core->ingest;
  bool mine = tide_core_ingests(core);
  if (ingest->on && (!mine || !tide_core_is_up(core))) tide_core_ingest_stop(core);
  if (!tide_core_is_up(core)) return TIDE_OK;
  if (!core->options.ingests) { /* a claim of a life before, when it did: its heartbeats must not keep it alive */
    bool left_over = tide_fold_ledger(core->fold)->claimant == core->options.engine_id;
    return left_over && may_append && !core->held ? tide_core_append(core, TIDE_FILL_RELEASE, (struct tide_span){0}, error) : TIDE_OK;
  }
  if (may_append) {
    enum tide_err err = go_on_opening(core, error);
    if (err != TIDE_OK || core->flight != TIDE_FLIGHT_NONE) return err;
    if (!mine && may_claim(core)) return tide_core_append(core, TIDE_FILL_CLAIM, (struct tide_span){0}, error);
  }
  if (mine && !ingest->on) begin_reading(core);
  return TIDE_OK;
}

int64_t tide_core_ingest_due(const struct tide_core *core) {
  if (!core->options.ingests || !tide_core_is_up(core)) return INT64_MAX;
  const struct tide_core_ingest *ingest = &core->ingest;
  return ingest->opening_ns ? ingest->opening_ns + TARGETS_PATIENCE_NS : INT64_MAX;
}

/* ---- copies of requests ---- */

static struct tide_offer *take_unlogged(struct tide_core *core, const struct tide_offer *wanted) {
  struct tide_offer_list all = core->unlogged;
  struct tide_offer *found = NULL;
  core->unlogged = (struct tide_offer_list){0};
  for (struct tide_offer *offer; (offer = tide_offers_pop(&all));) {
    if (offer == wanted) found = offer;
    else tide_offers_push(&core->unlogged, offer);
  }
  return found;
}

enum tide_err tide_core_logged(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error) {
  if (!core->logging) return TIDE_OK;
  struct tide_offer *offer = core->logging[event->number & (core->logging_cap - 1)];
  if (!offer || offer->log_number != event->number) return TIDE_OK; /* ended meanwhile */
  if (event->err == TIDE_OK) {
    offer->logged_at = core->appends;
    return TIDE_OK;
  }
  offer->logged_at = UINT64_MAX; /* it will not arrive */
  struct tide_offer *waits = take_unlogged(core, offer);
  if (!waits) return TIDE_OK;
  core->stats.unlogged++;
  return tide_core_refuse(core, waits, TIDE_END_maybe, TIDE_C_unlogged, error);
}

enum tide_err tide_core_logged_release(struct tide_core *core, uint64_t append_no, struct tide_error *error) {
  if (!core->unlogged.count) return TIDE_OK;
  struct tide_offer_list all = core->unlogged;
  core->unlogged = (struct tide_offer_list){0};
  enum tide_err err = TIDE_OK;
  for (struct tide_offer *offer; err == TIDE_OK && (offer = tide_offers_pop(&all));) {
    if (offer->logged_at == UINT64_MAX) {
      core->stats.unlogged++;
      err = tide_core_refuse(core, offer, TIDE_END_maybe, TIDE_C_unlogged, error);
    } else if (offer->logged_at && offer->logged_at < append_no) {
      err = tide_core_done(core, offer, error);
    } else {
      tide_offers_push(&core->unlogged, offer);
    }
  }
  return err;
}
