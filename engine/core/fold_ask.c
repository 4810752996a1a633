/* Questions to the fold that change nothing: features of a key now, a stored decision, the fallback of what cannot be judged (fold.h).
 *
 * They use the same vector, policy and lists as the fold of an event. What an event would change is left alone: no entity is made or moved to
 * its new key, the clock does not move, and neither the digest nor a metric sees the question, so that an engine that was asked a million
 * questions has the same state hash as one that was asked none. */
#include "base/num.h"
#include "core/fold_state.h"

struct question {
  struct tide_fold *fold;
  struct tide_record *record;
  struct tide_txn *txn;
  struct tide_list_ctx lists;
  struct tide_env env;
  struct tide_answer answer;
};

/* The entities as they are: what stands under its previous key is found there and stays there. */
static void look_up(struct question *q) {
  const struct tide_fold *fold = q->fold;
  for (uint32_t e = 0; e < fold->spec->entity_count; e++) {
    uint32_t number = TIDE_NO_ENTITY;
    if (q->txn->has_key[e]) {
      number = tide_store_find(&fold->state.store[e], q->txn->key[e]);
      if (number == TIDE_NO_ENTITY && (q->txn->alt[e].lo || q->txn->alt[e].hi))
        number = tide_store_find(&fold->state.store[e], q->txn->alt[e]);
    }
    q->txn->number[e] = number;
  }
}

static void derive(struct question *q) {
  const struct tide_spec *spec = q->fold->spec;
  q->env.slot = q->fold->slot;
  q->env.derived = q->fold->derived;
  tide_policy_derive(spec, &q->env, q->fold->derived);
}

static void judge_standing(struct question *q, int64_t time_ms) {
  struct tide_fold *fold = q->fold;
  uint32_t home = q->txn->number[0] == TIDE_NO_ENTITY ? 0 : tide_store_home(&fold->state.store[0], q->txn->number[0]);
  tide_gate_judge(&fold->gate, &fold->ledger, fold->spec, fold->commit_ms, time_ms, tide_home_unpack(&fold->ledger, home), fold->standing);
}

static bool ask_features(struct question *q) {
  struct tide_fold *fold = q->fold;
  look_up(q);
  q->txn->conds = 0; /* there is no current event: `with current` adds nothing */
  q->txn->requested = q->txn->amount_now = TIDE_NULL_NUM;
  /* Before any event there is neither a watermark nor a history: asked as if by the first one, so nothing passes as complete. */
  struct tide_state *state = &fold->state;
  int64_t history_from_ms = state->history_from_ms;
  q->txn->watermark_ms = state->watermark_ms == INT64_MIN ? q->txn->time_ms : state->watermark_ms;
  if (history_from_ms == TIDE_HISTORY_FIRST) state->history_from_ms = q->txn->time_ms;
  tide_vector_eval(state, q->txn, fold->slot);
  state->history_from_ms = history_from_ms;
  judge_standing(q, q->txn->time_ms);
  tide_facts_stand(state, q->txn, fold->standing);
  tide_freshness_apply(fold->spec, fold->standing, q->txn->has_key, fold->slot);
  q->answer.standing = fold->standing;
  derive(q);
  q->answer.features_known = true;
  q->answer.slot = fold->slot;
  q->answer.derived = fold->derived;
  q->answer.verdict.by = TIDE_BY_NONE;
  q->answer.verdict.blocked_by = UINT16_MAX;
  q->answer.verdict.cause_slot = TIDE_NONE;
  return true;
}

static bool ask_lookup(struct question *q) {
  struct tide_fold *fold = q->fold;
  uint64_t id;
  look_up(q);
  if (q->txn->number[0] == TIDE_NO_ENTITY || !tide_record_identity(fold, q->record, &id)) return false;
  if (fold->state.watermark_ms == INT64_MIN) return false; /* known by a profile alone */
  /* The body it names where it has an amount, else the latest that bears the id. */
  uint64_t fp = tide_amount_fingerprint(fold, q->record);
  int64_t after_ms = fold->state.watermark_ms - fold->settings.duplicates_for_ms - 1;
  struct tide_at at;
  if (!tide_find_identity(fold, q->txn->number[0], id, after_ms, fp == 1 ? 0 : fp, false, &at)) return false;
  struct tide_view view;
  tide_view_of(&fold->plan->kind[0], tide_store_ent(&fold->state.store[0], q->txn->number[0]), &view);
  const struct tide_block *block = view.chunk[at.chunk].block;
  q->answer.duplicate = true;
  q->answer.time.ms = tide_block_time(&fold->plan->kind[0], block, at.i);
  if (!tide_fold_unpack(fold, q->txn, block, at.i, &q->answer)) return false;
  q->answer.supersedes = tide_ledger_supersedes(&fold->ledger, q->answer.first_position);
  q->answer.position = q->answer.first_position;
  q->answer.index = q->answer.first_index;
  return true;
}

#define EXPLAIN_EVENTS 400 /* of one entity; the answer is made on the core's thread */

/* What the decision was, and what the state shows of its reasons now: judged again a millisecond before its time, with the verdict put back. */
static bool ask_explain(struct question *q) {
  struct tide_fold *fold = q->fold;
  struct tide_txn *txn = q->txn;
  const struct tide_datum *amount = fold->spec->f_amount == TIDE_NONE ? NULL : &q->record->field[fold->spec->f_amount];
  int64_t requested = TIDE_NULL_NUM;
  if (!ask_lookup(q)) return false;
  struct tide_answer stored = q->answer;
  if (amount && amount->kind == TIDE_D_INT && !tide_fold_convert(fold, amount->num, amount->currency, amount->exponent, &requested))
    requested = TIDE_NULL_NUM;
  txn->time_ms = q->answer.time.ms - 1;
  txn->watermark_ms = fold->state.watermark_ms;
  txn->lead_ms = 0;
  tide_txn_conditions(fold->plan, txn, requested, requested);
  tide_vector_eval(&fold->state, txn, fold->slot);
  judge_standing(q, txn->time_ms);
  q->env.time = q->answer.time;
  tide_fold_judge(fold, txn, fold->slot, &q->env, &q->answer);
  q->answer.verdict = stored.verdict;
  q->answer.status = stored.status;
  q->answer.score = stored.score;
  q->answer.recompute = stored.recompute;
  q->answer.duplicate = false; /* it is told of, not repeated */
  q->answer.counted = true;
  if (fold->trace.fn) tide_fold_trace_txn(fold, txn, EXPLAIN_EVENTS);
  return true;
}

static bool asks_for_decision(const struct question *q) {
  const struct tide_expr *score = q->fold->spec->score;
  if (!score) return true;
  struct tide_value value = tide_expr_eval(score, &q->env);
  return value.type == TIDE_V_BOOL && value.yes;
}

static bool ask_refuse(struct question *q, enum tide_cause cause) {
  if (!asks_for_decision(q)) return false;
  tide_fold_refuse(q->fold, &q->env, cause, &q->answer);
  q->answer.unplaced = true;
  return true;
}

static void message_amount(struct question *q) {
  const struct tide_spec *spec = q->fold->spec;
  if (spec->f_amount == TIDE_NONE) return;
  const struct tide_datum *datum = &q->record->field[spec->f_amount];
  int64_t minor;
  if (datum->kind == TIDE_D_INT) {
    bool known = tide_fold_convert(q->fold, datum->num, datum->currency, datum->exponent, &minor);
    q->txn->field[spec->f_amount] =
        known ? tide_num((double)minor / (double)tide_pow10[spec->exponent]) : tide_null(TIDE_S_absent, TIDE_C_absent);
  }
  q->txn->dyn[TIDE_DYN_amount_now] = q->txn->field[spec->f_amount];
}

/* Now is what the asker's clock says, but never before the last stamp, nor before the next event could be stamped: that clock may be behind the one that wrote last, and what was
 * acknowledged must be seen. (A record that is to be journaled bears no time: it is as of the stamp that it would get.) */
static void stamp(struct question *q) {
  const struct tide_fold *fold = q->fold;
  struct tide_txn *txn = q->txn;
  txn->time_ms = q->record->time.ms;
  if (fold->commit_ms > txn->time_ms) txn->time_ms = fold->commit_ms;
  if (fold->stamp_ms > txn->time_ms) txn->time_ms = fold->stamp_ms;
  uint32_t f = fold->spec->f_time;
  if (q->record->field[f].kind == TIDE_D_INT) txn->field[f] = tide_num((double)txn->time_ms / 1000.0);
}

/* The record as a question; nothing of the state is looked at yet. */
static enum tide_err begin(struct tide_fold *fold, uint32_t generation, struct tide_span record, struct question *q,
                           struct tide_error *error) {
  struct tide_group_item *item = &fold->group[0]; /* scratch between entries */
  enum tide_err err = tide_raw_take(&record, &item->raw, error);
  if (err == TIDE_OK && item->raw.type != TIDE_REC_EVENT) err = tide_fail(error, TIDE_E_CORRUPT, "only an event can be asked about");
  bool skip;
  if (err == TIDE_OK) err = tide_fold_decode(fold, generation, &item->raw, &item->record, &skip, error);
  if (err != TIDE_OK) return err;
  *q = (struct question){.fold = fold, .record = &item->record, .txn = &item->txn, .lists = {fold, &item->txn}};
  tide_txn_resolve(fold->plan, q->record, q->txn);
  if (q->record->flags & TIDE_REC_STAMPED) stamp(q);
  q->env = (struct tide_env){.field = q->txn->field,
                             .dyn = q->txn->dyn,
                             .time = {q->txn->time_ms},
                             .in_list = tide_fold_in_list,
                             .in_list_ctx = &q->lists,
                             .score = tide_null(TIDE_S_absent, TIDE_C_score)};
  q->env.score.unknown = true;
  const struct tide_policy_version *policy = tide_versions_policy(&fold->versions);
  q->answer = (struct tide_answer){.position = fold->position,
                                   .spec = policy->spec,
                                   .policy = policy,
                                   .features = fold->versions.policy[0].label,
                                   .record = q->record,
                                   .time = {q->txn->time_ms},
                                   .score = tide_null(TIDE_S_absent, TIDE_C_none),
                                   .env = &q->env};
  message_amount(q);
  return TIDE_OK;
}

enum tide_err tide_fold_ask(struct tide_fold *fold, enum tide_ask ask, uint32_t generation, struct tide_span record, enum tide_cause cause,
                            tide_emit_fn emit, void *ctx, struct tide_error *error) {
  if (!fold->spec) return TIDE_OK;
  struct question q;
  enum tide_err err = begin(fold, generation, record, &q, error);
  if (err != TIDE_OK) return err;
  bool known = false;
  switch (ask) {
    case TIDE_ASK_FEATURES: known = ask_features(&q); break;
    case TIDE_ASK_LOOKUP: known = ask_lookup(&q); break;
    case TIDE_ASK_EXPLAIN: known = ask_explain(&q); break;
    case TIDE_ASK_REFUSE: known = ask_refuse(&q, cause); break;
  }
  if (known) emit(ctx, &q.answer);
  return TIDE_OK;
}

enum tide_err tide_fold_recomputes(struct tide_fold *fold, uint32_t generation, struct tide_span record, int64_t now_ms, bool *ret,
                                   struct tide_error *error) {
  *ret = false;
  if (!fold->spec) return TIDE_OK;
  struct question q;
  enum tide_err err = begin(fold, generation, record, &q, error);
  if (err != TIDE_OK || !asks_for_decision(&q)) return err;
  look_up(&q);
  int64_t time_ms = q.txn->time_ms;
  if ((q.record->flags & TIDE_REC_STAMPED) && now_ms > time_ms) time_ms = now_ms;
  judge_standing(&q, time_ms);
  for (uint32_t e = 0; e < fold->spec->entity_count; e++)
    *ret |= q.txn->has_key[e] && fold->standing[e].state == TIDE_S_stale &&
            fold->spec->group[fold->spec->entity[e].group].stale == TIDE_STALE_RECOMPUTE;
  return TIDE_OK;
}
