/* Offers in the core: taken in, queued by priority, refused with the fallback, ended by their deadline (core.h).
 *
 * The queue is bounded, because a message that waits longer than its caller does is work for nothing; what does not fit is refused at once with
 * the decision of the fallback. Every refusal goes through tide_core_refuse, so that `refused` and `maybe` cannot be confused: the
 * one says that no byte of the offer was given to the journal, the other that some may be in it. */
#include "core/core_state.h"

#include "core/explain.h"

void tide_offers_push(struct tide_offer_list *list, struct tide_offer *offer) {
  offer->next = NULL;
  if (list->last) list->last->next = offer;
  else list->first = offer;
  list->last = offer;
  list->count++;
}

struct tide_offer *tide_offers_pop(struct tide_offer_list *list) {
  struct tide_offer *offer = list->first;
  if (!offer) return NULL;
  list->first = offer->next;
  if (!list->first) list->last = NULL;
  list->count--;
  offer->next = NULL;
  return offer;
}

uint32_t tide_core_queued(const struct tide_core *core) {
  return core->queue[TIDE_PRIORITY_HIGH].count + core->queue[TIDE_PRIORITY_LOW].count + core->waiting.count + core->again.count;
}

static void release(struct tide_core *core, struct tide_offer *offer, enum tide_offer_end end) {
  if (offer->log_number) core->logging[offer->log_number & (core->logging_cap - 1)] = NULL;
  offer->end = (uint8_t)end;
  tide_core_act(core, TIDE_DO_RELEASE)->offer = offer;
}

void tide_core_drop(struct tide_core *core, struct tide_offer *offer, enum tide_offer_end end) { release(core, offer, end); }

void tide_core_note(struct tide_core *core, const struct tide_answer *answer) {
  if (!answer->features_known || answer->verdict.by == TIDE_BY_NONE) return;
  struct tide_states own[TIDE_ENTITIES_MAX];
  const struct tide_states *states = answer->states;
  if (!states) tide_answer_states(answer, own), states = own;
  for (uint32_t e = 0; e < answer->spec->entity_count; e++)
    for (unsigned left = states[e].seen; left; left &= left - 1)
      core->reads.count[e][__builtin_ctz(left)] += states[e].count[__builtin_ctz(left)];
}

struct asked {
  struct tide_offer *offer;
  bool maybe;
};

static void put_answer(void *ctx, const struct tide_answer *answer) {
  struct asked *asked = ctx;
  struct tide_answer told = *answer;
  told.maybe = asked->maybe;
  tide_offer_tell(asked->offer, &told);
  if (!told.unplaced) {
    asked->offer->position = told.position;
    asked->offer->index = told.index;
  }
}

enum tide_err tide_core_refuse(struct tide_core *core, struct tide_offer *offer, enum tide_offer_end end, enum tide_cause cause,
                               struct tide_error *error) {
  TIDE_CHECK(end == TIDE_END_refused || end == TIDE_END_maybe);
  if (offer->kind == TIDE_OFFER_MESSAGE) { /* it is read again from where the log stands */
    release(core, offer, end);
    return TIDE_OK;
  }
  if (!tide_offer_journaled(offer)) end = TIDE_END_refused; /* whatever becomes of the entry that it waited for */
  TIDE_CHECK(end == TIDE_END_maybe || !offer->log_sent);    /* a copy is counted when it is read */
  struct asked asked = {offer, end == TIDE_END_maybe};
  offer->cause = (uint8_t)cause;
  tide_buf_clear(&offer->answer);
  struct tide_span records = tide_buf_span(&offer->records);
  bool event = offer->kind == TIDE_OFFER_COMMIT && records.len > 0 && (uint8_t)records.ptr[0] == TIDE_REC_EVENT;
  uint32_t generation = 0;
  bool known = event && tide_fold_generation_of(core->fold, offer->features, &generation); /* nothing is before the journal is */
  enum tide_err err = known ? tide_fold_ask(core->fold, TIDE_ASK_REFUSE, generation, records, cause, put_answer, &asked, error) : TIDE_OK;
  if (err != TIDE_OK) return err;
  if (end == TIDE_END_maybe) core->stats.maybe++;
  else core->stats.refused++;
  release(core, offer, end);
  return TIDE_OK;
}

enum tide_err tide_core_refuse_all(struct tide_core *core, struct tide_offer_list *list, enum tide_offer_end end, enum tide_cause cause,
                                   struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  for (struct tide_offer *offer; err == TIDE_OK && (offer = tide_offers_pop(list));) err = tide_core_refuse(core, offer, end, cause, error);
  return err;
}

#define EXPLAIN_EVENTS 100 /* of one entity are told */

struct explaining {
  struct tide_offer *offer;
  struct tide_explain *explain;
};

static void put_explained(void *ctx, const struct tide_answer *answer) {
  struct explaining *explaining = ctx;
  tide_buf_clear(&explaining->offer->answer);
  tide_explain_json(explaining->explain, answer, TIDE_EXPLAIN_MASKED | TIDE_EXPLAIN_AGAIN, &explaining->offer->answer);
  tide_offer_note(explaining->offer, answer);
  explaining->offer->position = answer->position;
  explaining->offer->index = answer->index;
}

static enum tide_err explain(struct tide_core *core, struct tide_offer *offer, struct tide_error *error) {
  struct explaining explaining = {offer, tide_explain_new(EXPLAIN_EVENTS)};
  explaining.explain->rollout = tide_fold_versions(core->fold)->rollout.number;
  tide_fold_trace(core->fold, tide_explain_note, explaining.explain);
  uint32_t generation;
  TIDE_CHECK(tide_fold_generation_of(core->fold, offer->features, &generation)); /* the one it was opened with, or one it had since */
  enum tide_err err = tide_fold_ask(core->fold, TIDE_ASK_EXPLAIN, generation, tide_buf_span(&offer->records), TIDE_C_none, put_explained,
                                    &explaining, error);
  tide_fold_trace(core->fold, NULL, NULL);
  tide_explain_free(explaining.explain);
  if (err != TIDE_OK) return err;
  offer->folded = core->now.mono;
  release(core, offer, TIDE_END_answered);
  return TIDE_OK;
}

enum tide_err tide_core_answer(struct tide_core *core, struct tide_offer *offer, struct tide_error *error) {
  if (core->state != TIDE_CORE_open) return tide_core_refuse(core, offer, TIDE_END_refused, TIDE_C_unavailable, error);
  struct asked asked = {offer, false};
  if (offer->kind == TIDE_OFFER_EXPLAIN) return explain(core, offer, error);
  enum tide_ask ask = offer->kind == TIDE_OFFER_JUDGE ? TIDE_ASK_FEATURES : TIDE_ASK_LOOKUP;
  uint32_t generation;
  TIDE_CHECK(tide_fold_generation_of(core->fold, offer->features, &generation)); /* the one it was opened with, or one it had since */
  enum tide_err err = tide_fold_ask(core->fold, ask, generation, tide_buf_span(&offer->records), TIDE_C_none, put_answer, &asked, error);
  if (err != TIDE_OK) return err;
  offer->folded = core->now.mono;
  release(core, offer, TIDE_END_answered);
  return TIDE_OK;
}

static bool is_folded(const struct tide_core *core, struct tide_position position) {
  return tide_position_cmp(tide_fold_position(core->fold), position) >= 0;
}

/* An offer whose `after` is folded. */
static enum tide_err admit(struct tide_core *core, struct tide_offer *offer, struct tide_error *error) {
  if (!tide_offer_journaled(offer) && !(offer->barrier && core->options.shared)) return tide_core_answer(core, offer, error);
  bool waits;
  enum tide_err err = tide_core_again_take(core, offer, &waits, error);
  if (!waits) tide_offers_push(&core->queue[offer->priority], offer); /* an error leaves it where it can be abandoned */
  return err;
}

static void remember_deadline(struct tide_core *core, const struct tide_offer *offer) {
  if (offer->deadline.ns && offer->deadline.ns < core->next_deadline_ns) core->next_deadline_ns = offer->deadline.ns;
}

enum tide_err tide_core_take(struct tide_core *core, struct tide_offer *offer, struct tide_error *error) {
  TIDE_CHECK(offer->record_count <= TIDE_OFFER_RECORDS && offer->priority < TIDE_PRIORITY_COUNT);
  if (offer->kind == TIDE_OFFER_MESSAGE) {
    if (core->asked_to_stop || !core->ingest.on || offer->turn != core->ingest.turn) tide_core_drop(core, offer, TIDE_END_refused);
    else tide_offers_push(&core->messages, offer);
    return TIDE_OK;
  }
  TIDE_CHECK(offer->record_count >= 1);
  if (core->asked_to_stop || tide_core_is_gone(core)) return tide_core_refuse(core, offer, TIDE_END_refused, TIDE_C_unavailable, error);
  if (offer->deadline.ns && offer->deadline.ns <= core->now.mono.ns)
    return tide_core_refuse(core, offer, TIDE_END_refused, TIDE_C_deadline, error);
  if (offer->refuse != TIDE_C_none) return tide_core_refuse(core, offer, TIDE_END_refused, (enum tide_cause)offer->refuse, error);
  if (offer->kind == TIDE_OFFER_CONTROL) { /* in its place between messages */
    remember_deadline(core, offer);
    tide_offers_push(&core->messages, offer);
    return TIDE_OK;
  }
  if (core->pressed && offer->kind == TIDE_OFFER_COMMIT) return tide_core_refuse(core, offer, TIDE_END_refused, TIDE_C_journal_full, error);
  bool low = offer->priority == TIDE_PRIORITY_LOW;
  if (tide_core_queued(core) >= core->options.queue_max ||
      (low && core->queue[TIDE_PRIORITY_LOW].count >= (core->options.queue_max + 3) / 4))
    return tide_core_refuse(core, offer, TIDE_END_refused, TIDE_C_overload, error);
  remember_deadline(core, offer);
  if (is_folded(core, offer->after)) return admit(core, offer, error);
  tide_offers_push(&core->waiting, offer);
  return TIDE_OK;
}

enum tide_err tide_core_wake(struct tide_core *core, struct tide_error *error) {
  struct tide_offer_list all = core->waiting;
  core->waiting = (struct tide_offer_list){0};
  enum tide_err err = TIDE_OK;
  for (struct tide_offer *offer; err == TIDE_OK && (offer = tide_offers_pop(&all));) {
    if (is_folded(core, offer->after)) err = admit(core, offer, error);
    else tide_offers_push(&core->waiting, offer);
  }
  return err;
}

static bool is_past(const struct tide_core *core, const struct tide_offer *offer) {
  return offer->deadline.ns && offer->deadline.ns <= core->now.mono.ns;
}

static enum tide_err expire_list(struct tide_core *core, struct tide_offer_list *list, enum tide_offer_end end, struct tide_held *held,
                                 struct tide_error *error) {
  struct tide_offer_list all = *list;
  *list = (struct tide_offer_list){0};
  enum tide_err err = TIDE_OK;
  for (struct tide_offer *offer; err == TIDE_OK && (offer = tide_offers_pop(&all));) {
    if (!is_past(core, offer)) {
      remember_deadline(core, offer);
      tide_offers_push(list, offer);
      continue;
    }
    for (uint32_t i = 0; held && i < tide_offer_journaled(offer); i++) held->by_record[offer->index + i] = NULL;
    offer->index = 0;
    if (held) offer->durable = held->durable;
    err = tide_core_refuse(core, offer, end, TIDE_C_deadline, error);
  }
  return err;
}

enum tide_err tide_core_expire(struct tide_core *core, struct tide_error *error) {
  if (core->now.mono.ns < core->next_deadline_ns) return TIDE_OK;
  core->next_deadline_ns = INT64_MAX;
  enum tide_err err = expire_list(core, &core->waiting, TIDE_END_refused, NULL, error);
  if (err == TIDE_OK) err = expire_list(core, &core->again, TIDE_END_refused, NULL, error);
  for (int p = 0; p < TIDE_PRIORITY_COUNT && err == TIDE_OK; p++) err = expire_list(core, &core->queue[p], TIDE_END_refused, NULL, error);
  if (err == TIDE_OK) err = expire_list(core, &core->messages, TIDE_END_refused, NULL, error);
  if (err == TIDE_OK) err = expire_list(core, &core->unlogged, TIDE_END_maybe, NULL, error);
  if (core->flying && err == TIDE_OK) err = expire_list(core, &core->flying->offers, TIDE_END_maybe, core->flying, error);
  for (struct tide_held *held = core->held; held && err == TIDE_OK; held = held->next)
    err = expire_list(core, &held->offers, TIDE_END_maybe, held, error);
  return err;
}
