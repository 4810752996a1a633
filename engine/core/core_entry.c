/* What stands in the entries that this engine writes (core_state.h): fences, control records, and the offers that fit.
 *
 * The offers of an entry are chosen before its first byte is written, because the cursor parts of messages stand in its header. Requests of HTTP go
 * first, then messages in the order that the merge gave them; within a partition they connect, each begins where the one before ended. */
#include "core/core_state.h"

#include "base/hash.h"

/* A number nobody else draws: the attempt nonce of an entry must never repeat. */
static uint64_t draw(struct tide_core *core) {
  uint64_t word[2] = {core->drawn++, core->options.engine_id};
  uint64_t nonce = tide_hash64(word, sizeof word, core->options.seed);
  return nonce ? nonce : draw(core);
}

/* ---- held entries ---- */

struct tide_held *tide_core_held_new(struct tide_core *core) {
  struct tide_held *held = core->spare;
  if (held) {
    core->spare = held->next;
    struct tide_held kept = {.bytes = held->bytes,
                             .by_record = held->by_record,
                             .records_cap = held->records_cap,
                             .part = held->part,
                             .parts_cap = held->parts_cap};
    tide_buf_clear(&kept.bytes);
    *held = kept;
    return held;
  }
  return tide_alloc(sizeof *held);
}

void tide_core_held_spare(struct tide_core *core, struct tide_held *held) {
  TIDE_CHECK(held->offers.count == 0);
  held->next = core->spare;
  core->spare = held;
}

void tide_core_held_free(struct tide_held *held) {
  while (held) {
    struct tide_held *next = held->next;
    for (struct tide_offer *offer; (offer = tide_offers_pop(&held->offers));) tide_offer_free(offer);
    tide_buf_release(&held->bytes);
    tide_free(held->by_record);
    tide_free(held->part);
    tide_free(held);
    held = next;
  }
}

static void held_owner(struct tide_held *held, struct tide_offer *offer) {
  if (held->records + tide_offer_journaled(offer) > held->records_cap) {
    held->records_cap = held->records_cap ? held->records_cap * 2 : 64;
    held->by_record = tide_realloc(held->by_record, held->records_cap * sizeof(struct tide_offer *));
  }
  offer->index = held->records;
  held->copies |= offer->log;
  for (uint32_t i = 0; i < tide_offer_journaled(offer); i++) held->by_record[held->records++] = offer;
  tide_offers_push(&held->offers, offer);
}

static struct tide_entry_header header_of(struct tide_core *core, uint64_t nonce) {
  if (core->now.wall.ms > core->commit_ms) core->commit_ms = core->now.wall.ms;
  return (struct tide_entry_header){
      .engine_id = core->options.engine_id, .fence_nonce = nonce, .attempt_nonce = draw(core), .commit_ms = core->commit_ms};
}

static void fly(struct tide_core *core, struct tide_batch *batch, struct tide_held *held, enum tide_flight_kind kind, uint64_t epoch) {
  tide_batch_end(batch);
  TIDE_CHECK(core->flight == TIDE_FLIGHT_NONE);
  core->flight = kind;
  core->flying = held;
  core->appended = false;
  core->attempt = batch->header.attempt_nonce;
  core->flight_epoch = epoch;
  core->last_entry_ns = core->now.mono.ns;
  held->own = true;
  held->append_no = ++core->appends;
  struct tide_core_action *action = tide_core_act(core, kind == TIDE_FLIGHT_FENCE ? TIDE_DO_OPEN : TIDE_DO_APPEND);
  action->epoch = epoch;
  action->attempt = core->attempt;
  action->bytes = tide_buf_span(&held->bytes);
  action->records = held->records;
  tide_core_sync(core); /* behind it on the same connection: no turn is lost between append and sync */
}

void tide_core_open_epoch(struct tide_core *core) {
  struct tide_held *held = tide_core_held_new(core);
  uint64_t above = core->session.epoch_min > core->known.epoch ? core->session.epoch_min : core->known.epoch;
  if (core->epoch_seen > above) above = core->epoch_seen;
  struct tide_fence fence = {.nonce = draw(core), .epoch = above + 1, .engine_id = core->options.engine_id, .session = core->session.id};
  struct tide_entry_header header = header_of(core, fence.nonce);
  struct tide_batch batch;
  tide_batch_begin(&batch, &held->bytes, &header, NULL, 0);
  enum tide_err err = tide_batch_add_fence(&batch, &fence);
  TIDE_CHECK(err == TIDE_OK);
  held->records = 0;
  fly(core, &batch, held, TIDE_FLIGHT_FENCE, fence.epoch);
}

/* ---- offers ---- */

/* Room that is kept in every entry for its header, its end and an EMITTED record. */
#define ENTRY_ROOM 256

struct choice {
  struct tide_held *held;
  size_t bytes;
  uint32_t parts;            /* in core->part */
  bool encoded;              /* a record that is encoded under a feature file was chosen: all others are under the same */
  struct tide_u128 features; /* which; as offers name it */
};

static bool is_encoded(const struct tide_offer *offer) { return offer->kind != TIDE_OFFER_CONTROL && tide_offer_journaled(offer) > 0; }

static bool fits(const struct tide_core *core, const struct choice *choice, const struct tide_offer *offer, size_t more) {
  if (choice->encoded && is_encoded(offer) && !tide_u128_eq(offer->features, choice->features)) return false;
  return choice->held->records + tide_offer_journaled(offer) <= core->options.batch_records_max &&
         choice->bytes + offer->records.len + more <= TIDE_ENTRY_MAX - ENTRY_ROOM;
}

static void choose(struct tide_core *core, struct choice *choice, struct tide_offer_list *list) {
  struct tide_offer *offer = tide_offers_pop(list);
  offer->begun = core->now.mono;
  if (is_encoded(offer)) choice->encoded = true, choice->features = offer->features;
  if (tide_offer_journaled(offer)) choice->bytes += offer->records.len;
  core->stats.records += tide_offer_journaled(offer);
  held_owner(choice->held, offer);
}

/* A request whose copy must stand in the sources' log gets the number of that copy. False: too many are on their way. */
static bool number_copy(struct tide_core *core, struct tide_offer *offer) {
  if (!offer->log || offer->log_number) return true;
  if (!core->logging) {
    core->logging_cap = 1024;
    while (core->logging_cap < 4 * (uint64_t)core->options.queue_max) core->logging_cap *= 2;
    core->logging = tide_alloc(core->logging_cap * sizeof *core->logging);
  }
  struct tide_offer **place = &core->logging[(core->logs + 1) & (core->logging_cap - 1)];
  if (*place) return false;
  *place = offer;
  offer->log_number = ++core->logs;
  return true;
}

/* Copies leave when the entry has its position and not before: whoever reads one puts it behind, so a request that is acknowledged is never the repetition of
 * its own copy. It costs no safety, since only a commit that is begun after the copy's arrival releases the request. */
void tide_core_send_copies(struct tide_core *core, const struct tide_held *held) {
  if (!held->copies) return;
  for (struct tide_offer *offer = held->offers.first; offer; offer = offer->next) {
    if (!offer->log || offer->log_sent) continue;
    struct tide_core_action *action = tide_core_act(core, TIDE_DO_LOG);
    action->number = offer->log_number;
    action->offer = offer;
    offer->log_sent = true;
  }
}

static void choose_requests(struct tide_core *core, struct choice *choice) {
  for (int p = 0; p < TIDE_PRIORITY_COUNT; p++)
    while (core->queue[p].first) {
      if (!fits(core, choice, core->queue[p].first, 0) || !number_copy(core, core->queue[p].first)) return;
      choose(core, choice, &core->queue[p]);
    }
}

static struct tide_cursor_part *part_of(struct tide_core *core, const struct choice *choice, const struct tide_cursor_part *of) {
  for (uint32_t i = 0; i < choice->parts; i++)
    if (core->part[i].source == of->source && core->part[i].partition == of->partition) return &core->part[i];
  return NULL;
}

/* Not between a fence and its targets: only these say on which messages a decision may have left before, so that another one says that it supersedes. While the epoch is opening no
 * answer may leave; then the outbox cannot get emptier and must not stop the reading that opens it. */
static bool message_may_go(const struct tide_core *core) {
  const struct tide_ledger *ledger = tide_fold_ledger(core->fold);
  if (core->nonce != tide_fold_nonce(core->fold)) return false; /* a fence is not folded yet */
  if (ledger->opening) return ledger->has_targets;
  return !core->options.outbox_max || ledger->answers - ledger->emitted < core->options.outbox_max;
}

/* What is no message waits only for those before it. */
static bool first_may_go(const struct tide_core *core) {
  return core->messages.first && (core->messages.first->kind != TIDE_OFFER_MESSAGE || message_may_go(core));
}

bool tide_core_must_make_room(const struct tide_core *core) {
  const struct tide_core_ingest *ingest = &core->ingest;
  return ingest->on && ingest->left > ingest->writing && core->messages.first && !first_may_go(core) && tide_core_epoch_is_open(core);
}

static void choose_messages(struct tide_core *core, struct choice *choice) {
  struct tide_cursor_part *part = NULL;
  bool may_go = message_may_go(core);
  while (core->messages.first) {
    const struct tide_offer *offer = core->messages.first;
    bool sourced = offer->kind == TIDE_OFFER_MESSAGE;
    if (sourced && !may_go) break;
    if (sourced && !(part && part->source == offer->part.source && part->partition == offer->part.partition))
      part = part_of(core, choice, &offer->part);
    size_t more = sourced && !part ? sizeof(struct tide_cursor_part) : 0;
    if (!fits(core, choice, offer, more) || (more && choice->parts == TIDE_PARTS_MAX)) break;
    if (sourced && !part) {
      part = &core->part[choice->parts++];
      *part = offer->part;
      choice->bytes += more;
    } else if (sourced) {
      TIDE_CHECK(offer->part.from == part->next);
      uint64_t from = part->from, checksum = part->checksum;
      *part = offer->part;
      part->from = from;
      if (!part->checksum) part->checksum = checksum; /* a marker behind a message */
    }
    core->stats.messages += sourced;
    choose(core, choice, &core->messages);
  }
}

/* A version of a model or a feature file can need an entry almost for itself: under load it would never find the room behind the requests. */
static bool first_is_large(const struct tide_core *core) {
  const struct tide_offer *first = core->messages.first;
  return first && first->kind == TIDE_OFFER_CONTROL && first->records.len > TIDE_ENTRY_MAX / 4;
}

bool tide_core_has_offers(const struct tide_core *core) {
  if (first_may_go(core)) return true;
  return tide_core_epoch_is_open(core) && core->queue[TIDE_PRIORITY_HIGH].count + core->queue[TIDE_PRIORITY_LOW].count > 0;
}

static enum tide_err add_offers(struct tide_core *core, struct tide_batch *batch, struct tide_held *held) {
  enum tide_err err = TIDE_OK;
  for (const struct tide_offer *offer = held->offers.first; offer && err == TIDE_OK; offer = offer->next)
    if (tide_offer_journaled(offer)) err = tide_batch_add_encoded(batch, tide_buf_span(&offer->records), tide_offer_journaled(offer));
  struct tide_core_ingest *ingest = &core->ingest;
  /* Not while the epoch is opening: they may have to leave again in it. */
  if (err != TIDE_OK || !ingest->on || ingest->left <= ingest->writing || !tide_core_epoch_is_open(core)) return err;
  ingest->writing = ingest->left;
  return tide_batch_add_emitted(batch, ingest->left);
}

static void keep_parts(const struct tide_core *core, const struct choice *choice) {
  struct tide_held *held = choice->held;
  if (choice->parts > held->parts_cap) {
    held->parts_cap = choice->parts;
    held->part = tide_realloc(held->part, held->parts_cap * sizeof *held->part);
  }
  held->parts = choice->parts;
  if (choice->parts) memcpy(held->part, core->part, choice->parts * sizeof *held->part); /* an entry of control records has none */
}

/* ---- all others ---- */

static enum tide_err fill_entry(struct tide_core *core, enum tide_core_fill fill, struct tide_span records, struct tide_batch *batch,
                                struct tide_held *held) {
  switch (fill) {
    case TIDE_FILL_OFFERS: return add_offers(core, batch, held);
    case TIDE_FILL_CONFIG: {
      enum tide_err err = tide_batch_add_config(batch, &core->options.settings, core->options.features);
      if (err || !tide_fold_spec(core->fold)) return err;
      return fill_entry(core, TIDE_FILL_DIGEST, records, batch,
                        held); /* of the history that is not in the log: a fold without it stops here */
    }
    case TIDE_FILL_ROLLOUT: return tide_batch_add_encoded(batch, records, 2);
    case TIDE_FILL_SOURCES: return tide_batch_add_sources(batch, &core->options.sources);
    case TIDE_FILL_TARGETS: return tide_batch_add_targets(batch, core->ingest.target, core->ingest.target_count);
    case TIDE_FILL_DIGEST: {
      struct tide_digest digest = tide_fold_digest(core->fold);
      return tide_batch_add_digest(batch, &digest);
    }
    case TIDE_FILL_CHECK: {
      struct tide_check_point point = tide_fold_point(core->fold);
      enum tide_err err = add_offers(core, batch, held);
      return err == TIDE_OK && core->options.shared ? tide_batch_add_check(batch, &point) : err; /* a heartbeat: others compare */
    }
    case TIDE_FILL_CLAIM:
    case TIDE_FILL_RELEASE: {
      struct tide_claim claim = {
          .engine_id = core->options.engine_id, .patience_ms = core->options.claim_timeout_ms, .release = fill == TIDE_FILL_RELEASE};
      held->claims = fill == TIDE_FILL_CLAIM;
      return tide_batch_add_claim(batch, &claim);
    }
  }
  TIDE_NEVER("every fill is handled");
}

enum tide_err tide_core_append(struct tide_core *core, enum tide_core_fill fill, struct tide_span records, struct tide_error *error) {
  struct choice choice = {.held = tide_core_held_new(core)};
  if (fill == TIDE_FILL_OFFERS) {
    if (first_is_large(core)) choose_messages(core, &choice);
    if (tide_core_epoch_is_open(core)) choose_requests(core, &choice);
    choose_messages(core, &choice);
    keep_parts(core, &choice);
    if (!choice.held->offers.count) { /* all that waits waits for something else */
      tide_core_held_spare(core, choice.held);
      return TIDE_OK;
    }
  }
  struct tide_entry_header header = header_of(core, core->nonce);
  if (tide_fold_spec(core->fold)) TIDE_CHECK(tide_fold_generation_of(core->fold, choice.features, &header.generation));
  struct tide_batch batch;
  tide_batch_begin(&batch, &choice.held->bytes, &header, core->part, (uint16_t)choice.parts);
  if (fill_entry(core, fill, records, &batch, choice.held) != TIDE_OK) {
    TIDE_CHECK(fill == TIDE_FILL_CONFIG || fill == TIDE_FILL_ROLLOUT); /* all others were measured before */
    tide_core_held_spare(core, choice.held);
    return tide_fail(error, TIDE_E_CONFIG, "the %s is too long for a journal entry of %u bytes",
                     fill == TIDE_FILL_CONFIG ? "feature file" : "model", TIDE_ENTRY_MAX);
  }
  fly(core, &batch, choice.held, TIDE_FLIGHT_ENTRY, core->known.epoch);
  return TIDE_OK;
}
