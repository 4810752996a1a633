/* Applying outcomes (state.h).
 *
 * The primary keeps all that dynamic conditions are made of, so it works them out anew and tells the event's other entities, where the event is found by time and rank.
 * Its row is read through its dictionaries, looked up once: a score of cells is asked for. */
#include "feature/block_dict.h"
#include "feature/state.h"
#include "feature/tile.h"

/* ---- the row of the primary ---- */

struct row {
  const struct tide_kind *kind;
  struct tide_ent *ent;
  struct tide_at at;
  const struct tide_block *block;
  struct tide_entries dict[TIDE_DICTS_MAX];
};

/* Setting a cell may move the block. */
static void row_look(struct row *row) {
  struct tide_view view;
  tide_view_of(row->kind, row->ent, &view);
  row->block = view.chunk[row->at.chunk].block;
  tide_block_entries(row->kind, row->block, row->kind->dict_count, row->dict);
}

static uint64_t row_get(const struct row *row, unsigned c) {
  const struct tide_column *column = &row->kind->column[c];
  unsigned i = row->at.i;
  if (column->dict == TIDE_NO_DICT) return tide_block_get(row->kind, row->block, c, i);
  int wide = tide_block_wide(row->block);
  if (column->young) {
    TIDE_CHECK(tide_block_is_young(row->block, i));
    i -= (unsigned)row->block->n - row->block->yn;
  }
  return tide_load(tide_entries_get(&row->dict[column->dict], i) + column->before[wide], column->width[wide]);
}

/* tide_txn.atoms, one of them. */
static struct tide_value atom_unpack(unsigned two) {
  if (two == 3) return tide_null(TIDE_S_empty, TIDE_C_empty);
  return two ? tide_bool(two == 1) : tide_null(TIDE_S_absent, TIDE_C_absent);
}

static struct tide_value residual_unpack(const struct tide_plan *plan, uint32_t residual, uint64_t raw) {
  if (raw == TIDE_RESIDUAL_MISSING) return tide_null(TIDE_S_absent, TIDE_C_absent);
  switch ((enum tide_ftype)plan->spec->field[plan->residual[residual]].type) {
    case TIDE_F_TEXT: return tide_text(raw);
    case TIDE_F_BOOL: return tide_bool(raw != 0);
    default: {
      double num;
      memcpy(&num, &raw, sizeof num);
      return tide_num(num);
    }
  }
}

/* ---- what changes ---- */

static uint16_t changed_by(const struct tide_outcome *outcome, uint16_t packed) {
#define SETS(name) (outcome->set & (1u << TIDE_DYN_##name))
  if (SETS(result)) packed = (uint16_t)((packed & ~0x3u) | outcome->result);
  if (SETS(reversed)) packed = (uint16_t)((packed & ~0xcu) | (unsigned)outcome->reversed << 2);
  if (SETS(refunded)) packed = (uint16_t)((packed & ~0x30u) | (unsigned)outcome->refunded << 4);
  if (SETS(disputed)) packed = (uint16_t)((packed & ~0x40u) | (unsigned)outcome->disputed << 6);
  if (SETS(label)) packed = (uint16_t)((packed & ~0x180u) | (unsigned)outcome->label << 7);
#undef SETS
  return packed;
}

static uint64_t reason_by(const struct tide_outcome *outcome, uint64_t reason) {
  if (!(outcome->set & (1u << TIDE_DYN_reason))) return reason;
  return tide_text_code((struct tide_span){outcome->reason, strnlen(outcome->reason, sizeof outcome->reason)});
}

/* What dynamic conditions read: outcome columns, and of the primary's row `cell`, by column, atoms and residuals. */
static void dyn_of(const struct tide_plan *plan, const uint64_t *cell, uint16_t packed, uint64_t reason, int64_t amount,
                   struct tide_value *ret) {
  const struct tide_kind *kind = &plan->kind[0];
  tide_dyn_values(plan, packed, reason, amount, ret);
  uint64_t atoms = plan->atom_count ? cell[kind->col_of[TIDE_COL_ATOMS]] : 0;
  for (uint32_t a = 0; a < plan->atom_count; a++) ret[TIDE_DYN_COUNT + a] = atom_unpack((unsigned)(atoms >> (2 * a)) & 3);
  for (unsigned c = 0; plan->residual_count && c < kind->column_count; c++)
    if (kind->column[c].what == TIDE_COL_RESIDUAL)
      ret[TIDE_DYN_COUNT + TIDE_ATOMS_MAX + kind->column[c].ref] = residual_unpack(plan, kind->column[c].ref, cell[c]);
}

/* A tile holds nothing newer than watermark - raw. */
static bool may_be_tiled(const struct tide_plan *plan, int64_t time_ms, int64_t watermark_ms) {
  for (uint32_t e = 1; plan->mends_tiles && e < plan->spec->entity_count; e++)
    if (plan->kind[e].tile_ms && time_ms <= watermark_ms - plan->kind[e].raw_ms) return true;
  return false;
}

bool tide_state_change(struct tide_state *state, uint32_t number, struct tide_at at, int64_t watermark_ms,
                       const struct tide_outcome *outcome, int64_t amount_now, bool sets_amount, struct tide_change *ret) {
  const struct tide_plan *plan = state->plan;
  const struct tide_kind *kind = &plan->kind[0];
  struct row row = {.kind = kind, .ent = tide_store_ent(&state->store[0], number), .at = at};
  unsigned dyn_column = kind->col_of[TIDE_COL_DYN], reason_column = kind->col_of[TIDE_COL_REASON],
           amount_column = kind->col_of[TIDE_COL_AMOUNT];
  row_look(&row);
  uint16_t packed = (uint16_t)row_get(&row, dyn_column), changed = changed_by(outcome, packed);
  uint64_t old_reason = reason_column != 0xff ? row_get(&row, reason_column) : 0;
  uint64_t reason = reason_column != 0xff ? reason_by(outcome, old_reason) : 0;
  if (changed != packed) tide_ent_set(kind, row.ent, at, dyn_column, changed);
  if (reason != old_reason) tide_ent_set(kind, row.ent, at, reason_column, reason);
  if (packed & TIDE_DYN_UNCOUNTED) return false; /* remembered only: it has no bits and stands nowhere else */
  row_look(&row);
  int64_t amount = TIDE_NULL_NUM, old_amount = TIDE_NULL_NUM;
  if (amount_column != 0xff) {
    bool young = kind->column[amount_column].young;
    if (!young || tide_block_is_young(row.block, at.i)) old_amount = amount = tide_block_num(kind, row.block, amount_column, at.i);
    if (sets_amount) {
      amount = amount_now;
      tide_ent_set_num(kind, row.ent, at, amount_column, amount);
      row_look(&row);
    }
  }
  struct tide_value dyn[TIDE_DYNENV];
  uint64_t cell[TIDE_COLUMNS_MAX];
  if (plan->atom_count) cell[kind->col_of[TIDE_COL_ATOMS]] = row_get(&row, kind->col_of[TIDE_COL_ATOMS]);
  for (unsigned c = 0; plan->residual_count && c < kind->column_count; c++)
    if (kind->column[c].what == TIDE_COL_RESIDUAL) cell[c] = row_get(&row, c);
  dyn_of(plan, cell, changed, reason, amount, dyn);
  struct tide_change change = {.time_ms = tide_block_time(kind, row.block, at.i),
                               .conds = tide_txn_dynamic(plan, dyn, 0),
                               .old_amount = old_amount,
                               .amount = amount};
  if (may_be_tiled(plan, change.time_ms,
                   watermark_ms)) { /* a tile does not know its events: what this one had brought is worked out again */
    tide_dyn_values(plan, packed, old_reason, old_amount, dyn);
    change.old_conds = tide_txn_dynamic(plan, dyn, 0);
  }
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    change.number[e] = TIDE_NO_ENTITY;
    if (!e || kind->ref_col[e] == 0xff) continue;
    change.number[e] = (uint32_t)row_get(&row, kind->ref_col[e]);
    change.rank[e] = (uint32_t)row_get(&row, kind->rank_col[e]);
  }
  tide_ent_set_bits(kind, row.ent, at, tide_kind_mask(kind, change.conds));
  *ret = change;
  return true;
}

/* ---- before it is inserted ---- */

struct tide_coming tide_coming_of(const struct tide_plan *plan) {
  struct tide_coming coming = {.back_ms = INT64_MAX, .fixed_conds = UINT64_C(1) << plan->score_cond, .amount_moves = true};
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    const struct tide_kind *kind = &plan->kind[e];
    if (kind->keep_ms < coming.back_ms) coming.back_ms = kind->keep_ms;
    if (kind->tile_ms && kind->raw_ms < coming.back_ms) coming.back_ms = kind->raw_ms;
    for (unsigned c = 0; c < kind->column_count; c++)
      if (kind->column[c].young && kind->young_ms < coming.back_ms) coming.back_ms = kind->young_ms;
    for (unsigned g = 0; g < kind->distinct_count; g++) coming.fixed_conds |= UINT64_C(1) << kind->cond[kind->distinct[g].bit];
    bool told = !e || kind->has_dynamic;
    if (kind->col_of[TIDE_COL_AMOUNT] != 0xff && !told) coming.amount_moves = false;
  }
  return coming;
}

bool tide_state_change_coming(const struct tide_plan *plan, const struct tide_coming *coming, struct tide_txn *txn, int64_t *value,
                              int64_t watermark_ms, const struct tide_outcome *outcome, int64_t amount_now, bool sets_amount) {
  const struct tide_kind *kind = &plan->kind[0];
  uint8_t amount_column = kind->col_of[TIDE_COL_AMOUNT];
  if (txn->time_ms <= watermark_ms - coming->back_ms) return false;
  int64_t old_amount = value[TIDE_COL_AMOUNT], amount = sets_amount ? amount_now : old_amount;
  if (amount_column == 0xff) amount = TIDE_NULL_NUM;
  else if (amount != old_amount && !(coming->amount_moves && tide_fits_narrow(&kind->column[amount_column], old_amount) &&
                                     tide_fits_narrow(&kind->column[amount_column], amount)))
    return false;
  uint16_t changed = changed_by(outcome, (uint16_t)value[TIDE_COL_DYN]);
  bool reads_reason = kind->col_of[TIDE_COL_REASON] != 0xff;
  uint64_t reason = reads_reason ? reason_by(outcome, (uint64_t)value[TIDE_COL_REASON]) : 0;
  struct tide_value dyn[TIDE_DYNENV];
  uint64_t cell[TIDE_COLUMNS_MAX];
  if (plan->atom_count) cell[kind->col_of[TIDE_COL_ATOMS]] = (uint64_t)value[TIDE_COL_ATOMS];
  for (unsigned c = 0; plan->residual_count && c < kind->column_count; c++)
    if (kind->column[c].what == TIDE_COL_RESIDUAL) cell[c] = (uint64_t)value[kind->origin[c]];
  dyn_of(plan, cell, changed, reason, amount, dyn);
  uint64_t conds = tide_txn_dynamic(plan, dyn, txn->conds);
  if ((conds ^ txn->conds) & coming->fixed_conds) return false;
  txn->conds = conds;
  value[TIDE_COL_DYN] = changed;
  value[TIDE_COL_REASON] = (int64_t)reason;
  if (sets_amount) value[TIDE_COL_AMOUNT] = amount_now;
  return true;
}

/* ---- the other entities ---- */

void tide_state_change_in(struct tide_state *state, uint32_t e, int64_t watermark_ms, const struct tide_change *change) {
  const struct tide_kind *kind = &state->plan->kind[e];
  uint32_t number = tide_store_follow(&state->store[e], change->number[e]);
  if (number == TIDE_NO_ENTITY) return;
  struct tide_ent *ent = tide_store_ent(&state->store[e], number);
  /* What is kept cannot have lost its slot to another entity: that happens after all its events are older than keep, and whoever has the slot then
   * takes only newer ones. What is older than keep nobody can ask for. */
  if (change->time_ms <= watermark_ms - kind->keep_ms) return;
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  if (view.tiles && change->time_ms <= view.tiles->until_ms) {
    tide_ent_mend_tile(kind, ent, change->time_ms, tide_kind_mask(kind, change->old_conds), change->old_amount,
                       tide_kind_mask(kind, change->conds), change->amount);
    __atomic_fetch_add(&state->tile_use.mended, 1, __ATOMIC_RELAXED);
    return;
  }
  struct tide_at at;
  if (!tide_view_find(&view, change->time_ms, change->rank[e], &at)) return; /* never kept: it was older than that when it came */
  uint8_t column = kind->col_of[TIDE_COL_AMOUNT];
  if (column != 0xff) tide_ent_set_num(kind, ent, at, column, change->amount);
  tide_ent_set_bits(kind, ent, at, tide_kind_mask(kind, change->conds));
}

void tide_state_outcome(struct tide_state *state, uint32_t number, struct tide_at at, const struct tide_outcome *outcome,
                        int64_t amount_now, bool sets_amount) {
  struct tide_change change;
  if (!tide_state_change(state, number, at, state->watermark_ms, outcome, amount_now, sets_amount, &change)) return;
  for (uint32_t e = 1; e < state->plan->spec->entity_count; e++)
    if (change.number[e] != TIDE_NO_ENTITY) tide_state_change_in(state, e, state->watermark_ms, &change);
}
