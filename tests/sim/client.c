/* The clients of the simulated cell: what they send, and what they remember of what they were told (world.h).
 *
 * A transaction is sent anew, repeated (also when it was answered: a retry), or sent with the id of another (a conflict). Every attempt is
 * numbered; the number travels in the record's `offset`, which decides nothing, so the log can be compared with what was said. */
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

static void text_field(const struct sim_world *world, const char *name, char *out, size_t size, const char *fmt, unsigned number) {
  snprintf(out, size, fmt, number);
  world->record->field[tide_spec_field(world->spec, name)] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(out)};
}

static void event_record(struct sim_world *world, const struct sim_txn *txn, char text[3][24]) {
  struct tide_record *record = world->record;
  memset(record, 0, sizeof *record);
  record->type = TIDE_REC_EVENT;
  /* A time of its own, so that a retry is the same message; the order in which they come is another. */
  record->time.ms = world->began_ms + (world->tight ? 2 * txn->amount - 3500 : txn->id * 5000 + txn->amount);
  text_field(world, "id", text[0], sizeof text[0], "t%u", txn->id);
  text_field(world, "card", text[1], sizeof text[1], "c%u", txn->card);
  text_field(world, "shop", text[2], sizeof text[2], "s%u", txn->shop);
  struct tide_datum *amount = &record->field[world->spec->f_amount];
  *amount = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = txn->amount};
  memcpy(amount->currency, "EUR", 4);
}

static void encode(struct sim_world *world, struct tide_offer *offer) {
  if (tide_record_encode(world->spec, world->record, &offer->records) != TIDE_OK) sim_fail(world, "a small record does not fit");
  offer->record_count++;
}

void sim_records(struct sim_world *world, struct tide_offer *offer, unsigned txn, bool event, uint8_t result, uint16_t source,
                 uint16_t partition, uint64_t offset) {
  struct tide_record *record = world->record;
  offer->features = world->spec->hash;
  char text[3][24];
  event_record(world, &world->txn[txn], text);
  record->source = source;
  record->partition = partition;
  record->offset = offset;
  if (event) encode(world, offer);
  if (!result) return;
  record->type = TIDE_REC_OUTCOME;
  record->outcome.set = 1u << TIDE_DYN_result;
  record->outcome.result = result;
  encode(world, offer);
}

unsigned sim_pick_txn(struct sim_world *world) {
  bool again = world->txns > 0 && (world->txns == SIM_TXNS || or_percent(&world->rng, 45));
  if (again) return (unsigned)or_below(&world->rng, (int)world->txns);
  struct sim_txn txn = {.id = (uint16_t)world->txns,
                        .card = (uint16_t)or_below(&world->rng, world->versions ? SIM_CARDS : 5),
                        .shop = (uint16_t)or_below(&world->rng, 3),
                        .amount = (uint16_t)(100 + or_below(&world->rng, 900))};
  if (world->txns > 0 && or_percent(&world->rng, 10)) { /* another body under an id that exists */
    const struct sim_txn *other = &world->txn[or_below(&world->rng, (int)world->txns)];
    txn.id = other->id;
    txn.card = other->card;
    txn.shop = other->shop;
    txn.amount = (uint16_t)(2000 + world->txns); /* no other body has it */
    world->counts->conflicts++;
  }
  world->txn[world->txns] = txn;
  return world->txns++;
}

static struct tide_position some_position(struct sim_world *world) {
  if (world->attempts == 0) return (struct tide_position){0, 0};
  return world->attempt[or_below(&world->rng, (int)world->attempts)].position;
}

/* A question whose answer must cover everything that anyone was told before. */
static void ask_behind(struct sim_world *world, struct tide_offer *offer) {
  for (size_t i = 0; i < sizeof world->question / sizeof world->question[0]; i++) {
    if (world->question[i].offer) continue;
    offer->barrier = true;
    world->question[i].offer = offer;
    world->question[i].acked = world->acked_last;
    world->question[i].asked = world->vouches;
    return;
  }
}

static void check_answered(struct sim_world *world, struct sim_node *node, const struct tide_offer *offer) {
  for (size_t i = 0; i < sizeof world->question / sizeof world->question[0]; i++) {
    if (world->question[i].offer != offer) continue;
    world->question[i].offer = NULL;
    if (offer->end == TIDE_END_answered) sim_must_count(world, node, world->question[i].asked);
    if (offer->end != TIDE_END_answered || world->ruined) return; /* what is gone cannot be covered */
    world->counts->questions++;
    if (tide_position_cmp(tide_fold_position(tide_core_fold(node->core)), world->question[i].acked) < 0)
      sim_fail(world, "node %u answered from %llu-%llu what was asked after %llu-%llu had been acknowledged", node->number,
               (unsigned long long)tide_fold_position(tide_core_fold(node->core)).epoch,
               (unsigned long long)tide_fold_position(tide_core_fold(node->core)).seq, (unsigned long long)world->question[i].acked.epoch,
               (unsigned long long)world->question[i].acked.seq);
    return;
  }
}

static void forget(struct sim_world *world, const struct tide_offer *offer) {
  for (size_t i = 0; i < sizeof world->question / sizeof world->question[0]; i++)
    if (world->question[i].offer == offer) world->question[i].offer = NULL;
}

void sim_offer(struct sim_world *world, struct sim_node *node) {
  if (world->attempts == SIM_ATTEMPTS) return;
  unsigned number = sim_pick_txn(world);
  struct tide_offer *offer = tide_offer_new();
  bool judge = or_percent(&world->rng, 15), outcome = !judge && or_percent(&world->rng, 15);
  bool both = !outcome && !judge && or_percent(&world->rng, 20);
  uint8_t result = outcome || both ? (uint8_t)(1 + or_below(&world->rng, 3)) : 0;
  sim_records(world, offer, number, !outcome, result, 0, 0, world->attempts);
  world->counts->outcomes += result != 0;
  offer->kind = (uint8_t)(!judge ? TIDE_OFFER_COMMIT : or_percent(&world->rng, 50) ? TIDE_OFFER_JUDGE : TIDE_OFFER_LOOKUP);
  offer->priority = (uint8_t)(outcome ? TIDE_PRIORITY_LOW : TIDE_PRIORITY_HIGH);
  offer->ctx = (void *)(uintptr_t)(judge ? UINTPTR_MAX : world->attempts);
  offer->log = world->kafka && !judge && (world->split || or_percent(&world->rng, 60));
  if (judge && or_percent(&world->rng, 70)) ask_behind(world, offer);
  if (or_percent(&world->rng, 60)) offer->deadline.ns = world->mono_ns + or_below(&world->rng, 60) * 1000000;
  if (or_percent(&world->rng, 25)) {
    offer->after = some_position(world);
    world->counts->afters++;
  }
  if (!judge)
    world->attempt[world->attempts++] = (struct sim_attempt){
        .txn = (uint16_t)number, .outcome = outcome, .event = !outcome, .result = result, .log = offer->log, .asked = world->vouches};
  world->pending += !judge;
  world->counts->offers++;
  sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
}

/* Its entry could be acknowledged, and what had been acknowledged before it was made stands in what the node has folded. */
static void keep_done(struct sim_world *world, struct sim_node *node, struct sim_attempt *attempt, const struct tide_offer *offer) {
  const struct sim_folded *folded = sim_folded_at(node, offer->position);
  if (!folded) {
    sim_fail(world, "node %u acknowledges %llu-%llu, which it has not folded", node->number, (unsigned long long)offer->position.epoch,
             (unsigned long long)offer->position.seq);
    return;
  }
  attempt->mark = folded->mark;
  sim_acked(world, offer->position, folded->mark, sim_proven(world, node, offer->position));
  if (!world->kafka) return;
  if (!folded->open)
    sim_fail(world, "node %u acknowledges %llu-%llu, where the epoch was not open", node->number, (unsigned long long)offer->position.epoch,
             (unsigned long long)offer->position.seq);
  sim_must_count(world, node, attempt->asked);
  sim_vouch(world, false, 0, (unsigned)(attempt - world->attempt));
}

static void keep(struct sim_world *world, struct sim_node *node, struct sim_attempt *attempt, struct tide_offer *offer) {
  if (attempt->status != SIM_PENDING) {
    sim_fail(world, "node %u ended an offer twice", node->number);
    return;
  }
  world->pending--;
  static const uint8_t status_of[] = {SIM_DONE, SIM_DONE, SIM_REFUSED, SIM_MAYBE};
  attempt->status = status_of[offer->end];
  attempt->position = offer->position;
  attempt->index = offer->index;
  attempt->answer = tide_strdup(tide_buf_cstr(&offer->answer));
  snprintf(attempt->by, sizeof attempt->by, "%s %s", offer->told.model, offer->told.policy);
  if (!attempt->outcome && node->knew_spec && offer->answer.len == 0)
    sim_fail(world, "node %u ended an event without a decision (%s)", node->number, tide_offer_end_name(offer->end));
  if (offer->end != TIDE_END_done) return;
  keep_done(world, node, attempt, offer);
  attempt->late = offer->late;
  world->counts->late += offer->late;
  bool scored = strstr(attempt->answer, "\"status\":\"scored\"") && !strstr(attempt->answer, "\"duplicate\":true");
  int64_t way_ms = (world->mono_ns - offer->begun.ns) / 1000000;
  if (world->tight && scored && way_ms > SIM_BUDGET_MS)
    sim_fail(world, "node %u released a score that was on its way for %lld ms", node->number, (long long)way_ms);
  /* Where facts come from sources they may have been as old as their budget allows already. */
  if (offer->late && ((!world->tight && !world->kafka) || !strstr(attempt->answer, "\"cause\":\"stale\"")))
    sim_fail(world, "node %u refused an answer as late: %s", node->number, attempt->answer);
  if (!world->model && tide_position_cmp(offer->position, world->durable) > 0)
    sim_fail(world, "node %u released %llu-%llu, which is not durable", node->number, (unsigned long long)offer->position.epoch,
             (unsigned long long)offer->position.seq);
  if (strstr(attempt->answer, "\"duplicate\":true")) world->counts->duplicates++;
}

void sim_released(struct sim_world *world, struct sim_node *node, struct tide_offer *offer) {
  if (offer->kind == TIDE_OFFER_MESSAGE || offer->kind == TIDE_OFFER_CONTROL) {
    bool ours = offer->ctx && (offer->ctx == world->versions || offer->ctx == world->files);
    if (ours) node->news.offering = false;
    else sim_ingest_released(world, node, offer);
    tide_offer_free(offer);
    return;
  }
  switch ((enum tide_offer_end)offer->end) {
    case TIDE_END_done: world->counts->done++; break;
    case TIDE_END_answered: world->counts->answered++; break;
    case TIDE_END_refused: world->counts->refused++; break;
    case TIDE_END_maybe: world->counts->maybe++; break;
  }
  world->counts->expired += offer->end >= TIDE_END_refused && offer->cause == TIDE_C_deadline;
  world->counts->overloads += offer->end >= TIDE_END_refused && offer->cause == TIDE_C_overload;
  world->counts->unlogged += offer->end == TIDE_END_maybe && offer->cause == TIDE_C_unlogged;
  bool answered = offer->end == TIDE_END_done || offer->end == TIDE_END_answered;
  if (offer->end == TIDE_END_answered && world->kafka && node->shadow->opening)
    sim_fail(world, "node %u answers a question while the epoch is not open", node->number);
  if (answered && tide_position_cmp(tide_fold_position(tide_core_fold(node->core)), offer->after) < 0)
    sim_fail(world, "node %u answered before it had folded the position that was asked for", node->number);
  check_answered(world, node, offer);
  if ((uintptr_t)offer->ctx != UINTPTR_MAX) keep(world, node, &world->attempt[(uintptr_t)offer->ctx], offer);
  offer->index = (uint32_t)offer->answer.len; /* a mark: what it was when it was handed back */
  offer->next = world->buried;
  world->buried = offer;
}

void sim_dig_up(struct sim_world *world) {
  for (struct tide_offer *offer = world->buried, *next; offer; offer = next) {
    next = offer->next;
    if (offer->answer.len != offer->index) sim_fail(world, "an offer was written to after it had been handed back");
    tide_offer_free(offer);
  }
  world->buried = NULL;
}

/* Its offers go down with it: their clients hear nothing. They are taken out so that what is pending stays known. */
void sim_node_gone(struct sim_world *world, struct sim_node *node) {
  if (world->kafka) sim_ingest_gone(world, node);
  const struct tide_metrics *metrics = tide_fold_metrics(tide_core_fold(node->core));
  world->counts->checked += (uint64_t)metrics->value[TIDE_M_journal_checked_total];
  if (metrics->value[TIDE_M_journal_diverged_total])
    sim_fail(world, "node %u hears that it has decided otherwise than another", node->number);
  world->counts->verified += tide_core_stats(node->core).verified;
  struct tide_core_stats stats = tide_core_stats(node->core);
  world->counts->retried += stats.retried;
  world->counts->clock_asked += stats.clock_steps;
  world->counts->recomputed += stats.recomputed;
  world->counts->recomputed_fresh += stats.recomputed_fresh;
  world->counts->rereads += stats.rereads;
  world->counts->claims += stats.claims;
  world->counts->foreign += stats.entries_foreign;
  for (struct tide_offer *offer; (offer = tide_core_abandon(node->core)); tide_offer_free(offer)) {
    forget(world, offer);
    bool ours = offer->kind != TIDE_OFFER_MESSAGE && offer->kind != TIDE_OFFER_CONTROL;
    if (!ours || (uintptr_t)offer->ctx == UINTPTR_MAX) continue;
    struct sim_attempt *attempt = &world->attempt[(uintptr_t)offer->ctx];
    if (attempt->status != SIM_PENDING) sim_fail(world, "node %u kept an offer that it had ended", node->number);
    attempt->status = SIM_GONE;
    world->pending--;
  }
}
