/* The steps of an event: stamp, watermark, identity, lateness, currency, conditions, its answer and what leaves of it. README.md says why in that order;
 * fold_stretch.c takes them.
 *
 * The order matters: an event is judged before it is counted, so `with current` is the only way in which it sees itself; the watermark moves
 * first, so the same event is late or not whatever stands behind it in its entry. */
#include <math.h>

#include "base/num.h"
#include "core/answer.h"
#include "core/batch_wire.h"
#include "core/fold_state.h"

/* ---- identity ---- */

/* Identities and fingerprints are hashes that decide whether a transaction is a repetition, of texts that acquirers choose: two that collide would let a
 * second purchase pass as the first. So they are keyed with the journal's seed (settings.h), or exact where 64 bits can be. */

#define PART_TEXT_MAX 64 /* longer parts stand as their hash */
#define PART_BYTES (2 + PART_TEXT_MAX)

/* Kind and length before the bytes, so that no two tuples look the same: ("ab", "c") is not ("a", "bc"). Returns what stands behind. */
static inline uint8_t *put_part(uint8_t *p, uint8_t kind, const void *ptr, size_t len) {
  *p++ = kind;
  *p++ = (uint8_t)len;
  return wire_put_short(p, ptr, len);
}

static inline uint8_t *put_datum(uint8_t *p, uint64_t seed, const struct tide_datum *datum) {
  switch ((enum tide_datum_kind)datum->kind) {
    case TIDE_D_NONE: return put_part(p, TIDE_D_NONE, "", 0);
    case TIDE_D_INT: return put_part(p, TIDE_D_INT, &datum->num, sizeof datum->num);
    case TIDE_D_KEY: return put_part(p, TIDE_D_KEY, &datum->key, sizeof datum->key);
    case TIDE_D_TEXT: break;
  }
  if (datum->text.len <= PART_TEXT_MAX) return put_part(p, TIDE_D_TEXT, datum->text.ptr, datum->text.len);
  uint64_t half[2] = {tide_keyed_hash64(datum->text.ptr, datum->text.len, seed), datum->text.len};
  return put_part(p, 0xff, half, sizeof half);
}

bool tide_fold_identity(uint64_t seed, const struct tide_record *record, const uint32_t *field, uint32_t count, uint64_t *ret) {
  uint8_t tuple[TIDE_TUPLE_MAX * PART_BYTES], *p = tuple;
  TIDE_CHECK(count <= TIDE_TUPLE_MAX);
  if (!count) return false;
  for (uint32_t i = 0; i < count; i++)
    if (record->field[field[i]].kind == TIDE_D_NONE) return false;
  for (uint32_t i = 0; i < count; i++) p = put_datum(p, seed, &record->field[field[i]]);
  *ret = tide_keyed_hash64(tuple, (size_t)(p - tuple), seed);
  return true;
}

bool tide_record_identity(const struct tide_fold *fold, const struct tide_record *record, uint64_t *ret) {
  const struct tide_spec *spec = fold->spec;
  uint64_t seed = (uint64_t)fold->settings.hash_seed;
  bool has_alias = spec->alias_count && record->field[spec->alias[0]].kind != TIDE_D_NONE; /* few have one, and it is asked of all */
  return (has_alias && tide_fold_identity(seed, record, spec->alias, spec->alias_count, ret)) ||
         tide_fold_identity(seed, record, spec->id, spec->id_count, ret);
}

uint64_t tide_amount_fingerprint(const struct tide_fold *fold, const struct tide_record *record) {
  const struct tide_spec *spec = fold->spec;
  if (spec->f_amount == TIDE_NONE || record->field[spec->f_amount].kind != TIDE_D_INT) return 1;
  const struct tide_datum *datum = &record->field[spec->f_amount];
  uint64_t currency =
      (uint64_t)(uint8_t)datum->currency[0] << 16 | (uint64_t)(uint8_t)datum->currency[1] << 8 | (uint8_t)datum->currency[2];
  if (currency && datum->num >= 0 && datum->num <= TIDE_AMOUNT_MAX) return currency << 40 | (uint64_t)datum->num;
  _Static_assert(TIDE_AMOUNT_MAX < INT64_C(1) << 40, "amounts leave 24 bits for the currency");
  struct {
    int64_t num;
    uint64_t currency;
  } sent = {datum->num, currency}; /* decoding admits no such amount (ruling 3), but a journal can hold anything */
  return tide_keyed_hash64(&sent, sizeof sent, (uint64_t)fold->settings.hash_seed) | 2;
}

static uint64_t merchant_fingerprint(const struct tide_fold *fold, const struct tide_txn *txn) {
  const struct tide_record *record = txn->record;
  const struct tide_kind *kind = &fold->plan->kind[0];
  uint8_t part[PART_BYTES];
  if (fold->spec->f_merchant == TIDE_NONE) return 0;
  if (kind->column[kind->fp_merchant_col].what == TIDE_COL_THING) return txn->thing[fold->spec->f_merchant];
  const uint8_t *end = put_datum(part, (uint64_t)fold->settings.hash_seed, &record->field[fold->spec->f_merchant]);
  return tide_keyed_hash64(part, (size_t)(end - part), (uint64_t)fold->settings.hash_seed);
}

static uint64_t amount_print_at(const struct tide_kind *kind, const struct tide_block *block, unsigned i) {
  return tide_block_get(kind, block, kind->col_of[TIDE_COL_FP_HIGH], i) << 32 |
         tide_block_get(kind, block, kind->col_of[TIDE_COL_FP_LOW], i);
}

bool tide_find_identity(const struct tide_fold *fold, uint32_t number, uint64_t id, int64_t after_ms, uint64_t fp, bool counted_only,
                        struct tide_at *ret) {
  const struct tide_kind *kind = &fold->plan->kind[0];
  struct tide_view view;
  tide_view_of(kind, tide_store_ent(&fold->state.store[0], number), &view);
  struct tide_at from = tide_view_after(&view, after_ms);
  bool found = false;
  uint32_t best = 0;
  for (uint32_t c = from.chunk; c < view.count; c++) {
    const struct tide_block *block = view.chunk[c].block;
    unsigned i = c == from.chunk ? from.i : 0;
    unsigned id_column = kind->col_of[TIDE_COL_ID];
    struct tide_cells ids = tide_block_cells(kind, block, id_column);
    if (i < ids.first) i = ids.first;
    for (; i < block->n; i++) {
      if (tide_cells_get(&ids, i) != id) continue;
      if (fp && amount_print_at(kind, block, i) != fp) continue;
      if (counted_only && (tide_block_get(kind, block, kind->col_of[TIDE_COL_DYN], i) & TIDE_DYN_UNCOUNTED)) continue;
      uint32_t tag = (uint32_t)tide_block_get(kind, block, kind->col_of[TIDE_COL_TAG], i);
      if (found && (int32_t)(tag - best) <= 0) continue;
      found = true;
      best = tag;
      *ret = (struct tide_at){c, i};
    }
  }
  return found;
}

/* ---- the remembered answer ---- */

#define V_SCORED 0x01u
#define V_REFUSED 0x02u
#define V_ADVISED 0x04u
#define V_CONFLICT 0x08u

void tide_event_pack(const struct tide_fold *fold, const struct tide_answer *answer, bool scored, struct tide_memory *memory) {
  const struct tide_verdict *verdict = &answer->verdict;
  unsigned flags = (scored ? V_SCORED : 0) | (answer->status == TIDE_STATUS_REFUSED ? V_REFUSED : 0) | (answer->advised ? V_ADVISED : 0) |
                   (answer->id_conflict ? V_CONFLICT : 0);
  uint32_t score = answer->score.type == TIDE_V_NUM ? (uint32_t)lround(answer->score.num * 1e6) : UINT32_MAX;
  memory->epoch = answer->position.epoch;
  memory->seq = answer->position.seq;
  memory->index = (uint16_t)answer->index;
  memory->verdict = (uint64_t)verdict->rule | (uint64_t)(verdict->decision & 0xff) << 16 | (uint64_t)verdict->cause << 24 |
                    (uint64_t)verdict->by << 32 | (uint64_t)flags << 40 | (uint64_t)(answer->policy - fold->versions.policy) << 48;
  memory->verdict2 = (uint32_t)verdict->blocked_by << 16 | (verdict->cause_slot == TIDE_NONE ? 0xffff : verdict->cause_slot & 0xffff);
  memory->score = score;
  memory->truth = scored ? verdict->yes : 0;
}

struct tide_answer tide_event_answer(const struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known,
                                     const struct tide_env *env) {
  const struct tide_policy_version *policy = tide_versions_policy(&fold->versions);
  return (struct tide_answer){.position = fold->position,
                              .index = item->index,
                              .spec = policy->spec,
                              .policy = policy,
                              .features = fold->versions.policy[0].label,
                              .record = &item->record,
                              .time = {item->txn.time_ms},
                              .advised = item->came.advised,
                              .id_conflict = known != TIDE_KNOWN_NOT,
                              .score = tide_null(TIDE_S_absent, TIDE_C_none),
                              .env = env};
}

void tide_event_unjudged(const struct tide_fold *fold, struct tide_group_item *item, enum tide_known known) {
  struct tide_answer answer = tide_event_answer(fold, item, known, NULL);
  tide_event_pack(fold, &answer, false, &item->came.memory);
}

bool tide_answer_unpack(const struct tide_plan *plan, const struct tide_versions *versions, const struct tide_block *block, unsigned i,
                        struct tide_answer *answer) {
  const struct tide_kind *kind = &plan->kind[0];
  uint64_t packed = tide_block_get(kind, block, kind->col_of[TIDE_COL_VERDICT], i);
  uint32_t packed2 = (uint32_t)tide_block_get(kind, block, kind->col_of[TIDE_COL_VERDICT2], i);
  uint64_t truth = tide_block_get(kind, block, kind->col_of[TIDE_COL_TRUTH], i);
  unsigned flags = (unsigned)(packed >> 40 & 0xff);
  const struct tide_policy_version *policy = &versions->policy[packed >> 48 & (TIDE_POLICIES_MAX - 1)];
  answer->policy = policy->spec ? policy : &versions->policy[0]; /* a place that was freed: nobody asks for what it decided */
  answer->spec = answer->policy->spec;
  answer->features = versions->policy[0].label;
  struct tide_verdict *verdict = &answer->verdict;
  answer->first_index = (uint32_t)tide_block_get(kind, block, kind->col_of[TIDE_COL_INDEX], i);
  answer->first_position = (struct tide_position){tide_block_get(kind, block, kind->col_of[TIDE_COL_EPOCH], i),
                                                  tide_block_get(kind, block, kind->col_of[TIDE_COL_SEQ], i)};
  verdict->rule = (uint16_t)packed;
  verdict->decision = (uint16_t)(packed >> 16 & 0xff);
  verdict->cause = (uint8_t)(packed >> 24);
  verdict->by = (uint8_t)(packed >> 32);
  verdict->blocked_by = (uint16_t)(packed2 >> 16);
  verdict->cause_slot = (packed2 & 0xffff) == 0xffff ? TIDE_NONE : (uint32_t)(packed2 & 0xffff);
  uint32_t rules = answer->spec->rule_count;
  verdict->yes = rules < 64 ? truth & ((UINT64_C(1) << rules) - 1) : truth;
  verdict->unknown = 0;
  uint32_t score = (uint32_t)tide_block_get(kind, block, kind->col_of[TIDE_COL_SCORE], i);
  answer->score = score == UINT32_MAX ? tide_null(TIDE_S_absent, TIDE_C_none) : tide_num((double)score / 1e6);
  answer->status = flags & V_REFUSED ? TIDE_STATUS_REFUSED : TIDE_STATUS_SCORED;
  answer->advised = flags & V_ADVISED;
  answer->id_conflict = flags & V_CONFLICT;
  return flags & V_SCORED;
}

bool tide_fold_unpack(struct tide_fold *fold, const struct tide_txn *txn, const struct tide_block *block, unsigned i,
                      struct tide_answer *answer) {
  bool answered = tide_answer_unpack(fold->plan, &fold->versions, block, i, answer);
  const struct tide_generation *was = fold->generations ? tide_fold_generation_at(fold, answer->first_position) : NULL;
  return was ? tide_generation_unpack(fold, was, txn, answer) : answered;
}

enum tide_known tide_event_known(const struct tide_fold *fold, const struct tide_group_item *item, struct tide_at *ret_at) {
  uint32_t number = item->txn.number[0];
  const struct tide_memory *memory = &item->came.memory;
  if (!item->came.has_identity || number == TIDE_NO_ENTITY) return TIDE_KNOWN_NOT;
  const struct tide_kind *kind = &fold->plan->kind[0];
  enum tide_known known = TIDE_KNOWN_NOT;
  struct tide_view view;
  tide_view_of(kind, tide_store_ent(&fold->state.store[0], number), &view);
  struct tide_at from = tide_view_after(&view, item->txn.watermark_ms - fold->settings.duplicates_for_ms - 1);
  for (uint32_t c = from.chunk; c < view.count; c++) {
    const struct tide_block *block = view.chunk[c].block;
    struct tide_cells ids = tide_block_cells(kind, block, kind->col_of[TIDE_COL_ID]);
    for (unsigned i = c == from.chunk ? from.i : 0; i < block->n; i++) {
      if (tide_cells_get(&ids, i) != memory->id) continue;
      known = TIDE_KNOWN_CONFLICT;
      if (amount_print_at(kind, block, i) != memory->fp_amount ||
          tide_block_get(kind, block, kind->fp_merchant_col, i) != memory->fp_merchant)
        continue;
      *ret_at = (struct tide_at){c, i};
      return TIDE_KNOWN_DUPLICATE;
    }
  }
  return known;
}

/* ---- lists ---- */

bool tide_list_key(const struct tide_fold *fold, const struct tide_txn *txn, bool is_entity, uint32_t ref, bool previous,
                   struct tide_u128 *ret) {
  uint64_t seed = (uint64_t)fold->settings.hash_seed;
  if (is_entity) {
    *ret = previous ? txn->alt[ref] : txn->key[ref];
    return txn->has_key[ref] && (!previous || ret->lo || ret->hi);
  }
  const struct tide_datum *datum = &txn->record->field[ref];
  switch ((enum tide_datum_kind)datum->kind) {
    case TIDE_D_NONE: return false;
    case TIDE_D_TEXT: *ret = tide_hash128(datum->text.ptr, datum->text.len, seed + 3); return !previous;
    case TIDE_D_INT: *ret = tide_hash128(&datum->num, sizeof datum->num, seed + 4); return !previous;
    case TIDE_D_KEY: *ret = previous ? datum->alt : datum->key; return !previous || ret->lo || ret->hi;
  }
  return false;
}

bool tide_fold_in_list(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing) {
  const struct tide_list_ctx *at = ctx;
  bool is_entity = operand->op == TIDE_X_ENTITY;
  struct tide_u128 key;
  if (!at->fold->lists.used) { /* no key is needed to find nothing */
    *ret_missing = is_entity ? !at->txn->has_key[operand->ref] : at->txn->record->field[operand->ref].kind == TIDE_D_NONE;
    return false;
  }
  *ret_missing = !tide_list_key(at->fold, at->txn, is_entity, operand->ref, false, &key);
  if (*ret_missing) return false;
  if (tide_lists_has(&at->fold->lists, list, key, at->txn->time_ms)) return true;
  return tide_list_key(at->fold, at->txn, is_entity, operand->ref, true, &key) &&
         tide_lists_has(&at->fold->lists, list, key, at->txn->time_ms);
}

/* ---- judging ---- */

bool tide_fold_convert(const struct tide_fold *fold, int64_t minor, const char currency[4], int exponent, int64_t *ret) {
  if (memcmp(currency, fold->spec->currency, 4) == 0) {
    *ret = minor;
    return true;
  }
  int64_t rate_e10 = tide_rates_get(&fold->rates, currency);
  return rate_e10 > 0 && tide_money_convert(minor, exponent, rate_e10, fold->spec->exponent, ret) == TIDE_OK;
}

/* The answer to a message is kept until it has left. */
static void put_outgoing(struct tide_fold *fold, struct tide_answer *answer) {
  const struct tide_record *record = answer->record;
  const struct tide_partition *partition = tide_ledger_find(&fold->ledger, record->source, record->partition);
  tide_buf_clear(&fold->id);
  tide_buf_clear(&fold->json);
  if (answer->features_known) tide_answer_states(answer, fold->states), answer->states = fold->states;
  tide_record_id(answer->spec, record, &fold->id);
  tide_answer_json(answer, TIDE_ANSWER_FRESHNESS | (fold->ledger.features ? TIDE_ANSWER_FEATURES : 0), &fold->json);
  struct tide_outgoing out = {.number = ++fold->ledger.answers,
                              .source = record->source,
                              .partition = record->partition,
                              .offset = record->offset,
                              .position = answer->position,
                              .index = answer->index,
                              .epoch = answer->position.epoch,
                              .superseded = answer->supersedes || (partition && record->offset < partition->superseded),
                              .late = answer->verdict.by == TIDE_BY_FALLBACK && answer->verdict.cause == TIDE_C_late,
                              .id = tide_buf_span(&fold->id),
                              .model = tide_span_of(answer->model ? answer->model->id : ""),
                              .policy = tide_span_of(answer->policy->label),
                              .features = tide_span_of(answer->features ? answer->features : ""),
                              .json = tide_buf_span(&fold->json)};
  tide_outbox_put(&fold->outbox, &out);
}

/* The place of the policy that decided; beyond all places where it was an earlier feature file's. */
static uint64_t policy_place(const struct tide_fold *fold, const struct tide_answer *answer) {
  for (uint32_t g = 0; answer->duplicate && g < fold->generations; g++) {
    const struct tide_answers *answers = fold->generation[g].answers;
    for (uint32_t p = 0; answers && p < TIDE_POLICIES_MAX; p++)
      if (answer->policy == &answers->versions.policy[p]) return (uint64_t)(g + 1) * TIDE_POLICIES_MAX + p;
  }
  return (uint64_t)(answer->policy - fold->versions.policy);
}

/* Whose rules decided, and what was judged beside them. */
static void digest_versions(const struct tide_fold *fold, const struct tide_answer *answer, uint64_t *hash) {
  uint64_t word[5] = {*hash, fold->versions.rollout.number, policy_place(fold, answer), 0, 0};
  if (answer->shadow_verdict)
    word[3] = UINT64_C(1) | (uint64_t)answer->shadow_verdict->by << 8 | (uint64_t)answer->shadow_verdict->rule << 16 |
              (uint64_t)answer->shadow_verdict->decision << 32;
  for (uint32_t i = 0; i < answer->shadow_count; i++) {
    uint64_t said[3] = {word[4], answer->shadow[i].model->checksum.lo, UINT64_MAX};
    if (answer->shadow[i].value.type == TIDE_V_NUM) memcpy(&said[2], &answer->shadow[i].value.num, sizeof said[2]);
    word[4] = tide_hash64(said, sizeof said, 71);
  }
  *hash = tide_hash64(word, sizeof word, 72);
}

static bool is_canary(const struct tide_router *router, const struct tide_model *model) {
  return model && (model == router->canary[0] || model == router->canary[1]);
}

static void count_versions(struct tide_fold *fold, const struct tide_answer *answer) {
  int64_t *value = fold->metrics.value;
  value[TIDE_M_decisions_canary_total] += is_canary(&fold->versions.router, answer->model);
  value[TIDE_M_decisions_fallback_model_total] += answer->verdict.by == TIDE_BY_FALLBACK_MODEL && !answer->duplicate;
  value[TIDE_M_shadow_scores_total] += answer->shadow_count;
  for (uint32_t i = 0; i < answer->shadow_count; i++)
    value[TIDE_M_shadow_scores_refused_total] += answer->shadow[i].value.type != TIDE_V_NUM;
  if (!answer->shadow_verdict) return;
  value[TIDE_M_shadow_decisions_total]++;
  value[TIDE_M_shadow_decisions_other_total] += answer->shadow_verdict->decision != answer->verdict.decision;
}

/* Every bit of an answer goes into the digest that DIGEST records prove: features with states, verdict, flags, place. */
void tide_event_out(struct tide_fold *fold, const struct tide_group_item *item, struct tide_answer *answer, tide_emit_fn emit, void *ctx) {
  uint64_t word[16] = {fold->digest.digest.lo,
                       fold->digest.digest.hi,
                       answer->position.epoch,
                       answer->position.seq,
                       answer->index,
                       (uint64_t)answer->verdict.rule | (uint64_t)answer->verdict.decision << 16 | (uint64_t)answer->verdict.cause << 32 |
                           (uint64_t)answer->verdict.by << 40 | (uint64_t)answer->status << 48,
                       (uint64_t)answer->counted | (uint64_t)answer->duplicate << 1 | (uint64_t)answer->id_conflict << 2 |
                           (uint64_t)answer->advised << 3 | (uint64_t)answer->features_known << 4,
                       answer->first_position.epoch,
                       answer->first_position.seq,
                       answer->first_index,
                       answer->verdict.yes,
                       answer->verdict.unknown};
  if (answer->features_known) { /* equal values are equal bytes (expr.h) */
    word[12] = tide_hash64(answer->slot, fold->spec->slot_count * sizeof *answer->slot, 0);
    word[13] = tide_hash64(answer->derived, fold->spec->derived_count * sizeof *answer->derived, 0);
  }
  if (answer->model) { /* the score and whose it is */
    uint64_t score[2] = {answer->model->checksum.lo, UINT64_MAX};
    if (answer->score.type == TIDE_V_NUM) memcpy(&score[1], &answer->score.num, sizeof score[1]);
    word[14] = tide_hash64(score, sizeof score, 70);
  }
  if (fold->versions.rollout.number) digest_versions(fold, answer, &word[15]);
  fold->digest.digest = tide_hash128(word, sizeof word, 60);
  fold->digest.decisions++;
  fold->metrics.value[TIDE_M_decisions_total]++;
  if (answer->status == TIDE_STATUS_REFUSED) fold->metrics.value[TIDE_M_decisions_refused_total]++;
  count_versions(fold, answer);
  answer->supersedes =
      fold->ledger.agains && tide_ledger_supersedes(&fold->ledger, answer->duplicate ? answer->first_position : answer->position);
  if (answer->record->source && fold->ledger.scores) put_outgoing(fold, answer);
  if (fold->watch.decided) {
    const struct tide_memory *memory = &item->came.memory;
    struct tide_watched watched = tide_fold_watched(&item->txn, item->came.has_identity, memory->id, memory->fp_amount);
    fold->watch.decided(fold->watch.ctx, answer, &watched, item->txn.watermark_ms);
  }
  if (emit) emit(ctx, answer);
}

/* ---- the event ---- */

/* Adds an incremental authorization to its parent, unless such are counted like others. */
bool tide_event_parent(const struct tide_fold *fold, const struct tide_txn *txn, struct tide_at *ret_at) {
  uint64_t id;
  const struct tide_spec *spec = fold->spec;
  return !spec->parent_counts && txn->number[0] != TIDE_NO_ENTITY &&
         tide_fold_identity((uint64_t)fold->settings.hash_seed, txn->record, spec->parent, spec->parent_count, &id) &&
         tide_find_identity(fold, txn->number[0], id, txn->watermark_ms - fold->plan->outcome_ms, 0, true, ret_at);
}

int64_t tide_event_amount_at(const struct tide_fold *fold, uint32_t number, struct tide_at at) {
  const struct tide_kind *kind = &fold->plan->kind[0];
  struct tide_view view;
  tide_view_of(kind, tide_store_ent(&fold->state.store[0], number), &view);
  uint8_t column = kind->col_of[TIDE_COL_AMOUNT];
  return column == 0xff ? TIDE_NULL_NUM : tide_block_num(kind, view.chunk[at.chunk].block, column, at.i);
}

int64_t tide_event_conditions(const struct tide_fold *fold, struct tide_group_item *item, bool incremental, int64_t parent_amount) {
  int64_t own = item->came.requested, total = own;
  if (incremental && parent_amount != TIDE_NULL_NUM) total = parent_amount + (own == TIDE_NULL_NUM ? 0 : own);
  tide_txn_conditions(fold->plan, &item->txn, own, total);
  if (incremental) item->txn.conds = 0; /* no attempt of its own, not even with current */
  return total;
}

void tide_event_env(const struct tide_fold *fold, const struct tide_txn *txn, struct tide_list_ctx *lists, struct tide_env *ret) {
  *lists = (struct tide_list_ctx){fold, txn};
  *ret =
      (struct tide_env){.field = txn->field, .dyn = txn->dyn, .time = {txn->time_ms}, .in_list = tide_fold_in_list, .in_list_ctx = lists};
  ret->lists_empty = fold->lists.used == 0;
  ret->score = tide_null(TIDE_S_absent, TIDE_C_score);
  ret->score.unknown = true; /* no model is loaded: a rule that reads the score is unknown */
}

void tide_event_identify(const struct tide_fold *fold, struct tide_group_item *item) {
  const struct tide_record *record = &item->record;
  struct tide_came *came = &item->came;
  *came = (struct tide_came){.memory = {.fp_amount = tide_amount_fingerprint(fold, record)}, .requested = TIDE_NULL_NUM};
  if (record->type == TIDE_REC_EVENT) came->memory.fp_merchant = merchant_fingerprint(fold, &item->txn);
  came->has_identity = item->txn.has_key[0] && tide_record_identity(fold, record, &came->memory.id);
}

uint32_t tide_event_come(struct tide_fold *fold, struct tide_group_item *item, struct tide_env *env) {
  const struct tide_spec *spec = fold->spec;
  struct tide_record *record = &item->record;
  struct tide_txn *txn = &item->txn;
  struct tide_came *came = &item->came;
  txn->time_ms = tide_fold_stamp(fold, record);
  txn->lead_ms = record->flags & TIDE_REC_STAMPED ? 0 : fold->settings.lead_ms;
  uint32_t partition = tide_fold_pass(fold, record, txn->time_ms);
  txn->watermark_ms = fold->state.watermark_ms;
  if (fold->state.history_from_ms == TIDE_HISTORY_FIRST) fold->state.history_from_ms = txn->time_ms;
  if (spec->f_amount != TIDE_NONE && record->field[spec->f_amount].kind == TIDE_D_INT) {
    const struct tide_datum *datum = &record->field[spec->f_amount];
    came->no_rate = !tide_fold_convert(fold, datum->num, datum->currency, datum->exponent, &came->requested);
    if (came->no_rate) came->requested = TIDE_NULL_NUM;
    struct tide_value amount =
        came->no_rate ? tide_null(TIDE_S_absent, TIDE_C_absent) : tide_num((double)came->requested / (double)tide_pow10[spec->exponent]);
    txn->field[spec->f_amount] = txn->dyn[TIDE_DYN_amount_now] = amount;
  } else if (spec->f_amount != TIDE_NONE) {
    txn->dyn[TIDE_DYN_amount_now] = txn->field[spec->f_amount];
  }
  env->time = (struct tide_etime){txn->time_ms};
  tide_policy_asks(spec, env, &came->asks, &came->advised);
  came->asks &= !fold->quiet;
  return partition;
}

/* Identity before lateness and currency: a repetition is answered as the first time, whatever its time says (ruling 23). */
enum tide_fate tide_event_fate(const struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known) {
  if (known == TIDE_KNOWN_DUPLICATE) return TIDE_FATE_DUPLICATE;
  if (item->txn.watermark_ms - item->txn.time_ms > fold->settings.lateness_ms && !item->came.advised) return TIDE_FATE_LATE;
  if (item->came.no_rate) return TIDE_FATE_NO_RATE;
  return known == TIDE_KNOWN_CONFLICT && fold->spec->conflict_rejects ? TIDE_FATE_CONFLICT : TIDE_FATE_COUNTS;
}

void tide_event_meter(struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known, enum tide_fate fate) {
  int64_t *value = fold->metrics.value;
  value[TIDE_M_events_duplicate_total] += known == TIDE_KNOWN_DUPLICATE;
  value[TIDE_M_events_conflict_total] += known == TIDE_KNOWN_CONFLICT;
  if (fate == TIDE_FATE_DUPLICATE) return;
  value[TIDE_M_events_reordered_total] += item->txn.watermark_ms > item->txn.time_ms;
  value[TIDE_M_events_late_total] += fate == TIDE_FATE_LATE;
  value[TIDE_M_events_rejected_total] += fate == TIDE_FATE_NO_RATE;
}

/* The first answer to what it repeats, if there was one. */
static void answer_again(struct tide_fold *fold, const struct tide_group_item *item, struct tide_at at, struct tide_answer *answer,
                         tide_emit_fn emit, void *ctx) {
  struct tide_view view;
  tide_view_of(&fold->plan->kind[0], tide_store_ent(&fold->state.store[0], item->txn.number[0]), &view);
  answer->duplicate = true;
  if (tide_fold_unpack(fold, &item->txn, view.chunk[at.chunk].block, at.i, answer)) tide_event_out(fold, item, answer, emit, ctx);
}

void tide_event_pass(struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known, enum tide_fate fate,
                     struct tide_at at, struct tide_env *env, tide_emit_fn emit, void *ctx) {
  static const enum tide_cause cause[] = {
      [TIDE_FATE_LATE] = TIDE_C_late, [TIDE_FATE_NO_RATE] = TIDE_C_no_rate, [TIDE_FATE_CONFLICT] = TIDE_C_id_conflict};
  struct tide_answer answer = tide_event_answer(fold, item, known, env);
  if (fate == TIDE_FATE_DUPLICATE) {
    answer_again(fold, item, at, &answer, emit, ctx);
  } else if (item->came.asks) {
    tide_fold_refuse(fold, env, cause[fate], &answer);
    tide_event_out(fold, item, &answer, emit, ctx);
  }
}
