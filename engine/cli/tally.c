/* The effect of decisions, once labels are known (tally.h).
 *
 * Rows are an array in order of decision; an open-addressing table of row numbers finds the latest row of an identity. Customers are counted
 * by sorting (rule, card) pairs at the end: only those that a rule touched are kept. */
#include "cli/tally.h"

#include "core/answer.h"

#include <math.h>
#include <stdlib.h>

struct label {
  struct tide_u128 id;
  uint64_t line;
  int64_t amount;
  char currency[4];
  bool names_amount;
  uint8_t label;
};

struct tide_tally {
  struct tide_tally_row *row;
  size_t count, cap;
  uint32_t *slot;      /* row number + 1; 0: free */
  size_t slot_count;   /* a power of two, at least twice count */
  struct label *label; /* in order of the log */
  size_t label_count, label_cap;
  char *example[TIDE_RULES_MAX]; /* the reason of a rule as its first decision gave it */
  uint64_t duplicates, late, conflicts, advised, unmatched;
  int64_t first_ms, last_ms;
};

struct tide_tally *tide_tally_new(void) {
  struct tide_tally *tally = tide_alloc(sizeof *tally);
  tally->slot_count = 1024;
  tally->slot = tide_alloc(tally->slot_count * sizeof *tally->slot);
  tally->first_ms = INT64_MAX;
  tally->last_ms = INT64_MIN;
  return tally;
}

void tide_tally_free(struct tide_tally *tally) {
  if (!tally) return;
  tide_free(tally->row);
  tide_free(tally->slot);
  tide_free(tally->label);
  for (size_t i = 0; i < TIDE_RULES_MAX; i++) tide_free(tally->example[i]);
  tide_free(tally);
}

/* Appends the key of an entity; false when a part is missing. Entities refer to earlier ones only, so this ends. */
static bool put_entity(const struct tide_spec *spec, uint32_t index, const struct tide_record *record, struct tide_buf *out) {
  const struct tide_entity *entity = &spec->entity[index];
  bool any = false;
  for (uint32_t i = 0; i < entity->part_count; i++) {
    struct tide_key_part part = entity->part[i];
    bool there = part.is_entity ? put_entity(spec, part.ref, record, out) : record->field[part.ref].kind != TIDE_D_NONE;
    if (there && !part.is_entity) {
      tide_datum_text(&spec->field[part.ref], &record->field[part.ref], out);
      tide_buf_char(out, '\0');
    }
    if (entity->first_of && there) return true;
    if (!entity->first_of && !there) return false;
    any = there;
  }
  return any;
}

struct tide_u128 tide_tally_identity(const struct tide_spec *spec, const struct tide_record *record, uint64_t *ret_card) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_record_id(spec, record, &text);
  tide_buf_char(&text, '\0');
  size_t id_len = text.len;
  *ret_card = 0;
  if (spec->entity_count && put_entity(spec, 0, record, &text)) *ret_card = tide_hash64(text.ptr + id_len, text.len - id_len, 1);
  struct tide_u128 hash = tide_hash128(text.ptr, text.len, 0);
  tide_buf_release(&text);
  return hash;
}

static size_t find_slot(const struct tide_tally *tally, struct tide_u128 id) {
  size_t mask = tally->slot_count - 1;
  for (size_t at = (size_t)id.lo & mask;; at = (at + 1) & mask) {
    uint32_t number = tally->slot[at];
    if (number == 0) return at;
    const struct tide_tally_row *row = &tally->row[number - 1];
    if (row->id_lo == id.lo && row->id_hi == id.hi) return at;
  }
}

static void grow(struct tide_tally *tally) {
  if (tally->count == tally->cap) {
    tally->cap = tally->cap ? tally->cap * 2 : 1024;
    TIDE_CHECK(tally->cap < UINT32_MAX);
    tally->row = tide_realloc(tally->row, tally->cap * sizeof *tally->row);
  }
  if (tally->count * 2 < tally->slot_count) return;
  tide_free(tally->slot);
  tally->slot_count *= 2;
  tally->slot = tide_alloc(tally->slot_count * sizeof *tally->slot);
  for (size_t i = 0; i < tally->count; i++)
    tally->slot[find_slot(tally, (struct tide_u128){tally->row[i].id_lo, tally->row[i].id_hi})] = (uint32_t)i + 1;
}

/* What the policy judged, in the counting currency: from the values the rules read where the fold gives them. */
static int64_t amount_of(const struct tide_answer *answer) {
  const struct tide_spec *spec = answer->spec;
  if (spec->f_amount == TIDE_NONE) return 0;
  if (answer->env && answer->env->field) {
    const struct tide_value *value = &answer->env->field[spec->f_amount];
    if (value->type == TIDE_V_NUM) return (int64_t)llround(value->num * pow(10, spec->exponent));
  }
  const struct tide_datum *datum = &answer->record->field[spec->f_amount];
  return datum->kind == TIDE_D_INT && strcmp(datum->currency, spec->currency) == 0 ? datum->num : 0;
}

/* The values are at hand only now. */
static void keep_example(struct tide_tally *tally, const struct tide_answer *answer) {
  uint32_t rule = answer->verdict.rule;
  if (!tide_verdict_is_rule(&answer->verdict) || rule >= TIDE_RULES_MAX || !answer->env || tally->example[rule]) return;
  if (!*answer->spec->rule[rule].say) return;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_policy_say(answer->spec, &answer->spec->rule[rule], answer->env, &text);
  tally->example[rule] = tide_strndup(text.ptr, text.len);
  tide_buf_release(&text);
}

void tide_tally_answer(void *ctx, const struct tide_answer *answer) {
  struct tide_tally *tally = ctx;
  if (answer->duplicate) {
    tally->duplicates++;
    return;
  }
  if (answer->time.ms < tally->first_ms) tally->first_ms = answer->time.ms;
  if (answer->time.ms > tally->last_ms) tally->last_ms = answer->time.ms;
  tally->late += answer->verdict.by == TIDE_BY_FALLBACK && answer->verdict.cause == TIDE_C_late;
  tally->conflicts += answer->id_conflict;
  tally->advised += answer->advised;
  keep_example(tally, answer);
  struct tide_tally_row row = {.line = answer->record->offset,
                               .amount_minor = amount_of(answer),
                               .rule = answer->verdict.rule,
                               .by = answer->verdict.by,
                               .decision = (uint8_t)answer->verdict.decision,
                               .cause = answer->verdict.cause};
  if (answer->features_known) {
    row.truth = answer->verdict.yes;
    row.unknown = answer->verdict.unknown;
  }
  if (answer->spec->f_amount != TIDE_NONE && answer->record->field[answer->spec->f_amount].kind == TIDE_D_INT) {
    const struct tide_datum *amount = &answer->record->field[answer->spec->f_amount];
    row.requested = amount->num;
    memcpy(row.currency, amount->currency, sizeof row.currency);
  }
  struct tide_u128 id = tide_tally_identity(answer->spec, answer->record, &row.card);
  row.id_lo = id.lo;
  row.id_hi = id.hi;
  grow(tally);
  size_t at = find_slot(tally, id);
  row.before = tally->slot[at];
  tally->row[tally->count++] = row;
  tally->slot[at] = (uint32_t)tally->count;
}

void tide_tally_outcome(void *ctx, const struct tide_spec *spec, const struct tide_record *record) {
  struct tide_tally *tally = ctx;
  if (!(record->outcome.set & (1u << TIDE_DYN_label))) return;
  if (tally->label_count == tally->label_cap) {
    tally->label_cap = tally->label_cap ? tally->label_cap * 2 : 1024;
    tally->label = tide_realloc(tally->label, tally->label_cap * sizeof *tally->label);
  }
  uint64_t card;
  struct label label = {.id = tide_tally_identity(spec, record, &card), .line = record->offset, .label = record->outcome.label};
  if (spec->f_amount != TIDE_NONE && record->field[spec->f_amount].kind == TIDE_D_INT) {
    const struct tide_datum *amount = &record->field[spec->f_amount];
    label.names_amount = true;
    label.amount = amount->num;
    memcpy(label.currency, amount->currency, sizeof label.currency);
  }
  tally->label[tally->label_count++] = label;
}

/* Which event a label means: of those before it the latest whose amount it names, else the latest; if it came before its event, the first that
 * follows (rulings 26 and 27). NULL when there is none. */
static struct tide_tally_row *meant(const struct tide_tally *tally, const struct label *label) {
  struct tide_tally_row *latest = NULL, *first = NULL;
  for (uint32_t number = tally->slot[find_slot(tally, label->id)]; number; number = tally->row[number - 1].before) {
    struct tide_tally_row *row = &tally->row[number - 1];
    first = row;
    if (row->line > label->line) continue;
    if (!latest) latest = row;
    if (label->names_amount && row->requested == label->amount && memcmp(row->currency, label->currency, sizeof row->currency) == 0)
      return row;
  }
  return latest ? latest : first;
}

/* Only now, so that nothing depends on how records were grouped into entries. */
static void settle_labels(struct tide_tally *tally) {
  tally->unmatched = 0;
  for (size_t i = 0; i < tally->label_count; i++) {
    struct tide_tally_row *row = meant(tally, &tally->label[i]);
    if (row) row->label = tally->label[i].label;
    else tally->unmatched++;
  }
}

const struct tide_tally_row *tide_tally_rows(const struct tide_tally *tally, size_t *ret_count) {
  *ret_count = tally->count;
  return tally->row;
}

/* --- effects */

static void add(struct tide_effect *effect, const struct tide_tally_row *row) {
  bool fraud = row->label == TIDE_LABEL_fraud;
  effect->hits++;
  effect->value_minor += row->amount_minor;
  effect->fraud += fraud;
  effect->genuine += !fraud;
  if (fraud) effect->fraud_minor += row->amount_minor;
}

struct pair {
  uint32_t what;
  uint64_t card;
}; /* a rule (or ALL, STOPPED) that touched a genuine customer */
#define WHAT_FALLBACK 64
#define WHAT_ALL 128
#define WHAT_STOPPED 129

struct pairs {
  struct pair *pair;
  size_t count, cap;
};

static void note(struct pairs *pairs, uint32_t what, const struct tide_tally_row *row) {
  if (row->label == TIDE_LABEL_fraud || row->card == 0) return;
  if (pairs->count == pairs->cap) {
    pairs->cap = pairs->cap ? pairs->cap * 2 : 1024;
    pairs->pair = tide_realloc(pairs->pair, pairs->cap * sizeof *pairs->pair);
  }
  pairs->pair[pairs->count++] = (struct pair){what, row->card};
}

static int by_what(const void *a, const void *b) {
  const struct pair *x = a, *y = b;
  if (x->what != y->what) return x->what < y->what ? -1 : 1;
  return x->card < y->card ? -1 : x->card > y->card;
}

static void count_customers(struct pairs *pairs, struct tide_effects *ret) {
  if (pairs->count) qsort(pairs->pair, pairs->count, sizeof *pairs->pair, by_what);
  for (size_t i = 0; i < pairs->count; i++) {
    if (i > 0 && by_what(&pairs->pair[i - 1], &pairs->pair[i]) == 0) continue;
    uint32_t what = pairs->pair[i].what;
    struct tide_effect *effect = what < WHAT_FALLBACK ? &ret->rule[what]
                                 : what < WHAT_ALL    ? &ret->fallback[what - WHAT_FALLBACK]
                                 : what == WHAT_ALL   ? &ret->all
                                                      : &ret->stopped;
    effect->customers++;
  }
}

void tide_tally_effects(struct tide_tally *tally, struct tide_effects *ret) {
  settle_labels(tally);
  struct pairs pairs = {0};
  *ret = (struct tide_effects){.duplicates = tally->duplicates,
                               .late = tally->late,
                               .conflicts = tally->conflicts,
                               .advised = tally->advised,
                               .labels = tally->label_count,
                               .labels_unmatched = tally->unmatched,
                               .first_ms = tally->first_ms,
                               .last_ms = tally->last_ms};
  for (size_t i = 0; i < TIDE_RULES_MAX; i++) ret->example[i] = tally->example[i];
  for (size_t i = 0; i < tally->count; i++) {
    const struct tide_tally_row *row = &tally->row[i];
    bool disturbs = row->by != TIDE_BY_NONE && row->decision != 0;
    add(&ret->all, row);
    note(&pairs, WHAT_ALL, row);
    if (disturbs) {
      add(&ret->stopped, row);
      note(&pairs, WHAT_STOPPED, row);
    }
    if (row->by == TIDE_BY_NONE) continue;
    add(&ret->decision[row->decision], row);
    if (row->by == TIDE_BY_FALLBACK) {
      add(&ret->fallback[row->rule], row);
      if (disturbs) note(&pairs, WHAT_FALLBACK + row->rule, row);
      ret->refused++;
      ret->cause[row->cause]++;
    } else {
      ret->decided[row->rule]++;
    }
    for (uint64_t left = row->truth; left; left &= left - 1) {
      uint32_t rule = (uint32_t)__builtin_ctzll(left);
      add(&ret->rule[rule], row);
      note(&pairs, rule, row);
    }
  }
  count_customers(&pairs, ret);
  tide_free(pairs.pair);
}
