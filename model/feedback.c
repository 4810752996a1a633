/* Rows in a list, in order of decision; chains by key find the one a label means (feedback.h).
 *
 * Every sum is kept as rows come, go and change sides: `count_row` adds or takes away what one row stands for, and nothing else touches the sums. So a look costs no walk, and
 * a row that is dropped leaves no trace. Rows mature and leave in the order of the list; a decision on an older event that came late does both when its turn comes.
 *
 * When the rows are nearly all taken the sample gets coarser: new decisions by the new level at once, those that are kept a few at every further decision, so that
 * the thread that decides is never held up. A row's weight is that of the level by which it was let in or kept, so the sums are right in between as well. */
#include "model/feedback.h"

#include <math.h>

#define NO_MODEL 0xff
#define NONE UINT32_MAX
#define LEVEL_MAX 20
#define BINS TIDE_FEEDBACK_BINS

struct kept {
  struct tide_feedback_row row;
  uint32_t next;         /* of the same chain, older; NONE */
  uint32_t older, newer; /* in order of decision; NONE. Of a free place: newer is the next free one */
  uint32_t score[TIDE_FEEDBACK_SAID];
  uint8_t model[TIDE_FEEDBACK_SAID]; /* index into version; NO_MODEL */
  uint8_t label, level;
  bool mature;
};

struct sums {
  int64_t fraud, genuine;
};
struct version {
  struct tide_u128 checksum;
  char id[TIDE_FEEDBACK_ID];
  uint64_t heard; /* number of the last decision of it */
  uint64_t rows;
  struct sums scored, decided, stopped;
  int64_t histogram[2][BINS]; /* genuine, fraud */
};

struct tide_feedback {
  struct tide_feedback_options options;
  struct kept *kept; /* [rows_max] */
  uint32_t count;
  uint32_t first, last; /* the oldest, the newest; NONE */
  uint32_t unripe;      /* the oldest that has not matured; NONE */
  uint32_t sweep;       /* the next to be held against a level that is new; NONE: all were */
  uint32_t free;        /* a free place; NONE */
  uint32_t *chain;      /* [chains], place of the newest row of each; NONE */
  uint32_t chains;      /* a power of two */
  unsigned level;
  uint64_t decisions, labels, unmatched, outside, corrected;
  struct sums all, stopped;
  struct sums truth[TIDE_RULES_MAX], decided[TIDE_RULES_MAX];
  struct version version[TIDE_FEEDBACK_MODELS];
  uint32_t versions;
};

struct tide_feedback *tide_feedback_new(const struct tide_feedback_options *options) {
  TIDE_CHECK(options->rows_max >= 16 && options->rows_max < NONE / 4 && options->keep_ms > 0 && options->mature_ms >= 0);
  struct tide_feedback *feedback = tide_alloc(sizeof *feedback);
  feedback->options = *options;
  feedback->kept = tide_alloc(options->rows_max * sizeof *feedback->kept);
  for (feedback->chains = 16; feedback->chains < options->rows_max; feedback->chains *= 2) continue;
  feedback->chain = tide_alloc(feedback->chains * sizeof *feedback->chain);
  for (uint32_t i = 0; i < feedback->chains; i++) feedback->chain[i] = NONE;
  for (uint32_t i = 0; i < options->rows_max; i++) feedback->kept[i].newer = i + 1 < options->rows_max ? i + 1 : NONE;
  feedback->first = feedback->last = feedback->unripe = feedback->sweep = NONE;
  return feedback;
}

void tide_feedback_free(struct tide_feedback *feedback) {
  if (!feedback) return;
  tide_free(feedback->kept);
  tide_free(feedback->chain);
  tide_free(feedback);
}

/* ---- sums ---- */

static void count_in(struct sums *sums, bool fraud, int64_t weight) { *(fraud ? &sums->fraud : &sums->genuine) += weight; }

/* What the row stands for, added (sign 1) or taken away (-1). */
static void count_row(struct tide_feedback *feedback, const struct kept *kept, int sign) {
  bool fraud = kept->label == TIDE_LABEL_fraud;
  if (!fraud && kept->label != TIDE_LABEL_genuine && !kept->mature) return;
  const struct tide_feedback_row *row = &kept->row;
  int64_t weight = sign * (INT64_C(1) << kept->level);
  count_in(&feedback->all, fraud, weight);
  if (row->stopped) count_in(&feedback->stopped, fraud, weight);
  for (uint64_t left = row->truth; left; left &= left - 1) count_in(&feedback->truth[__builtin_ctzll(left)], fraud, weight);
  if (row->rule != TIDE_FEEDBACK_NO_RULE) count_in(&feedback->decided[row->rule], fraud, weight);
  for (unsigned s = 0; s < TIDE_FEEDBACK_SAID; s++) {
    if (kept->model[s] == NO_MODEL || kept->score[s] == UINT32_MAX) continue;
    struct version *version = &feedback->version[kept->model[s]];
    uint32_t bin = kept->score[s] / (1000000 / BINS);
    count_in(&version->scored, fraud, weight);
    if (s == 0) count_in(&version->decided, fraud, weight);
    if (s == 0 && row->stopped) count_in(&version->stopped, fraud, weight);
    version->histogram[fraud][bin < BINS ? bin : BINS - 1] += weight;
  }
}

static void count_versions(struct tide_feedback *feedback, const struct kept *kept, bool more) {
  for (unsigned s = 0; s < TIDE_FEEDBACK_SAID; s++) {
    if (kept->model[s] == NO_MODEL) continue;
    uint64_t *rows = &feedback->version[kept->model[s]].rows;
    *rows = more ? *rows + 1 : *rows - 1;
  }
}

/* ---- rows ---- */

static uint32_t *chain_of(struct tide_feedback *feedback, uint64_t key) { return &feedback->chain[(key >> 24) & (feedback->chains - 1)]; }
static bool is_picked(uint64_t key, unsigned level) { return !(key & ((UINT64_C(1) << level) - 1)); }

static void put(struct tide_feedback *feedback, const struct kept *row) {
  uint32_t at = feedback->free, *chain = chain_of(feedback, row->row.key);
  TIDE_CHECK(at != NONE);
  struct kept *kept = &feedback->kept[at];
  feedback->free = kept->newer;
  *kept = *row;
  kept->next = *chain;
  *chain = at;
  kept->older = feedback->last;
  kept->newer = NONE;
  if (feedback->last == NONE) feedback->first = at;
  else feedback->kept[feedback->last].newer = at;
  feedback->last = at;
  if (feedback->unripe == NONE && !kept->mature) feedback->unripe = at;
  feedback->count++;
  count_versions(feedback, kept, true);
  count_row(feedback, kept, 1);
}

static void drop(struct tide_feedback *feedback, uint32_t at) {
  struct kept *kept = &feedback->kept[at];
  count_row(feedback, kept, -1);
  count_versions(feedback, kept, false);
  uint32_t *link = chain_of(feedback, kept->row.key);
  while (*link != at) link = &feedback->kept[*link].next;
  *link = kept->next;
  if (kept->older == NONE) feedback->first = kept->newer;
  else feedback->kept[kept->older].newer = kept->newer;
  if (kept->newer == NONE) feedback->last = kept->older;
  else feedback->kept[kept->newer].older = kept->older;
  if (feedback->unripe == at) feedback->unripe = kept->newer;
  if (feedback->sweep == at) feedback->sweep = kept->newer;
  kept->newer = feedback->free;
  feedback->free = at;
  feedback->count--;
}

#define SWEEP_ROWS 8 /* a decision: seven eighths of the rows are through before the last eighth is taken */

/* Rows that the level would not have let in go; the others stand for more. */
static void sweep(struct tide_feedback *feedback, uint32_t rows) {
  for (; rows > 0 && feedback->sweep != NONE; rows--) {
    struct kept *kept = &feedback->kept[feedback->sweep];
    if (!is_picked(kept->row.key, feedback->level)) {
      drop(feedback, feedback->sweep);
      continue;
    }
    if (kept->level < feedback->level) {
      count_row(feedback, kept, -1);
      kept->level = (uint8_t)feedback->level;
      count_row(feedback, kept, 1);
    }
    feedback->sweep = kept->newer;
  }
}

static void coarsen(struct tide_feedback *feedback) {
  feedback->level++;
  feedback->sweep = feedback->first;
}

/* At least one place is free then. */
static void make_room(struct tide_feedback *feedback) {
  while (feedback->count == feedback->options.rows_max && (feedback->sweep != NONE || feedback->level < LEVEL_MAX)) {
    if (feedback->sweep == NONE) coarsen(feedback);
    sweep(feedback, UINT32_MAX);
  }
  if (feedback->count == feedback->options.rows_max) drop(feedback, feedback->first); /* more than any cell has: the oldest give way */
}

static void grow_old(struct tide_feedback *feedback, int64_t newest_ms) {
  if (newest_ms == INT64_MIN) return; /* no watermark yet */
  while (feedback->count && feedback->kept[feedback->first].row.time_ms < newest_ms - feedback->options.keep_ms)
    drop(feedback, feedback->first);
  for (struct kept *kept; feedback->unripe != NONE; feedback->unripe = kept->newer) {
    kept = &feedback->kept[feedback->unripe];
    if (kept->row.time_ms > newest_ms - feedback->options.mature_ms) break;
    count_row(feedback, kept, -1);
    kept->mature = true;
    count_row(feedback, kept, 1);
  }
}

/* ---- models ---- */

static void forget_version(struct tide_feedback *feedback, uint8_t index) {
  for (uint32_t at = feedback->first; at != NONE; at = feedback->kept[at].newer) {
    struct kept *kept = &feedback->kept[at];
    for (unsigned s = 0; s < TIDE_FEEDBACK_SAID; s++)
      if (kept->model[s] == index) kept->model[s] = NO_MODEL; /* its own sums go with the version, and those of the rules stay */
  }
}

static uint8_t version_of(struct tide_feedback *feedback, struct tide_u128 checksum, const char *id) {
  uint32_t at = 0, oldest = 0;
  for (; at < feedback->versions && !tide_u128_eq(feedback->version[at].checksum, checksum); at++)
    if (feedback->version[at].heard < feedback->version[oldest].heard) oldest = at;
  if (at == feedback->versions) {
    if (at < TIDE_FEEDBACK_MODELS) feedback->versions++;
    else forget_version(feedback, (uint8_t)(at = oldest));
    feedback->version[at] = (struct version){.checksum = checksum};
    size_t len = strlen(id);
    TIDE_CHECK(len < sizeof feedback->version[at].id);
    memcpy(feedback->version[at].id, id, len);
  }
  feedback->version[at].heard = feedback->decisions;
  return (uint8_t)at;
}

/* ---- decisions and labels ---- */

void tide_feedback_add(struct tide_feedback *feedback, const struct tide_feedback_row *row, const struct tide_feedback_said *said,
                       uint32_t said_count, int64_t newest_ms) {
  TIDE_CHECK(row->rule == TIDE_FEEDBACK_NO_RULE || row->rule < TIDE_RULES_MAX);
  feedback->decisions++;
  grow_old(feedback, newest_ms);
  struct kept kept = {.row = *row};
  for (uint32_t s = 0; s < TIDE_FEEDBACK_SAID; s++) {
    kept.model[s] = s < said_count ? version_of(feedback, said[s].model, said[s].id) : NO_MODEL;
    kept.score[s] = s < said_count ? said[s].score : UINT32_MAX;
  }
  sweep(feedback, SWEEP_ROWS);
  if (!is_picked(row->key, feedback->level)) return;
  bool crowded = feedback->count >= feedback->options.rows_max / 8 * 7;
  if (crowded && feedback->sweep == NONE && feedback->level < LEVEL_MAX) coarsen(feedback);
  make_room(feedback);
  if (!is_picked(row->key, feedback->level)) return;
  kept.level = (uint8_t)feedback->level;
  put(feedback, &kept);
  bool roomy = feedback->sweep == NONE && feedback->count < feedback->options.rows_max / 4;
  if (roomy && feedback->level) feedback->level--; /* rows have left */
}

static struct kept *find(struct tide_feedback *feedback, uint64_t key, uint64_t print) {
  struct kept *latest = NULL;
  for (uint32_t at = *chain_of(feedback, key); at != NONE; at = feedback->kept[at].next) {
    struct kept *kept = &feedback->kept[at];
    if (kept->row.key != key) continue;
    if (kept->row.print == print && print != 1) return kept;
    if (!latest) latest = kept;
  }
  return latest;
}

void tide_feedback_label(struct tide_feedback *feedback, uint64_t key, uint64_t alt, uint64_t print, uint8_t label, bool again) {
  TIDE_CHECK(label <= TIDE_LABEL_genuine);
  uint64_t *missed = is_picked(key, feedback->level) ? &feedback->unmatched : &feedback->outside;
  if (!again) feedback->labels++;
  else if (*missed) --*missed;
  struct kept *kept = find(feedback, key, print);
  if (!kept && alt) kept = find(feedback, alt, print);
  if (!kept) {
    ++*missed;
    return;
  }
  if (kept->label == label) return;
  feedback->corrected += kept->label != TIDE_LABEL_unknown;
  count_row(feedback, kept, -1);
  kept->label = label;
  count_row(feedback, kept, 1);
}

void tide_feedback_map_rules(struct tide_feedback *feedback, const uint8_t to[TIDE_RULES_MAX]) {
  for (uint32_t at = feedback->first; at != NONE; at = feedback->kept[at].newer) {
    struct kept *kept = &feedback->kept[at];
    uint64_t truth = 0;
    count_row(feedback, kept, -1);
    for (uint64_t left = kept->row.truth; left; left &= left - 1) {
      uint8_t now = to[__builtin_ctzll(left)];
      if (now != TIDE_FEEDBACK_NO_RULE) truth |= UINT64_C(1) << now;
    }
    kept->row.truth = truth;
    if (kept->row.rule != TIDE_FEEDBACK_NO_RULE) kept->row.rule = to[kept->row.rule];
    count_row(feedback, kept, 1);
  }
}

/* ---- looking ---- */

static struct tide_feedback_class shown(struct sums sums) { return (struct tide_feedback_class){(double)sums.fraud, (double)sums.genuine}; }

static void measure_auc(const struct version *version, struct tide_feedback_model *ret) {
  double below = 0, right = 0, tied = 0, pairs = (double)version->scored.fraud * (double)version->scored.genuine;
  for (uint32_t b = 0; b < BINS; b++) {
    double genuine = (double)version->histogram[0][b], fraud = (double)version->histogram[1][b];
    right += fraud * below;
    tied += fraud * genuine;
    below += genuine;
  }
  ret->auc = pairs > 0 ? (right + tied / 2) / pairs : (double)NAN;
  ret->auc_error = pairs > 0 ? tied / 2 / pairs : (double)NAN;
}

void tide_feedback_look(const struct tide_feedback *feedback, struct tide_feedback_look *ret) {
  *ret = (struct tide_feedback_look){.rows = feedback->count,
                                     .decisions = feedback->decisions,
                                     .labels = feedback->labels,
                                     .unmatched = feedback->unmatched,
                                     .outside = feedback->outside,
                                     .corrected = feedback->corrected,
                                     .level = feedback->level,
                                     .all = shown(feedback->all),
                                     .stopped = shown(feedback->stopped),
                                     .model_count = feedback->versions};
  for (uint32_t i = 0; i < feedback->versions; i++) {
    const struct version *version = &feedback->version[i];
    struct tide_feedback_model *model = &ret->model[i];
    model->checksum = version->checksum;
    memcpy(model->id, version->id, sizeof model->id);
    model->rows = version->rows;
    model->scored = shown(version->scored);
    model->decided = shown(version->decided);
    model->stopped = shown(version->stopped);
    measure_auc(version, model);
  }
  for (uint32_t r = 0; r < TIDE_RULES_MAX; r++)
    ret->rule[r] = (struct tide_feedback_rule){shown(feedback->truth[r]), shown(feedback->decided[r])};
}

/* ---- as bytes: versions, then rows from the oldest on ---- */

void tide_feedback_save(const struct tide_feedback *feedback, struct tide_buf *out) {
  const uint64_t number[] = {feedback->decisions, feedback->labels,    feedback->unmatched,
                             feedback->outside,   feedback->corrected, feedback->level};
  for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) tide_put_varint(out, number[i]);
  tide_put_varint(out, feedback->versions);
  for (uint32_t i = 0; i < feedback->versions; i++) {
    const struct version *version = &feedback->version[i];
    tide_put_u64(out, version->checksum.lo);
    tide_put_u64(out, version->checksum.hi);
    tide_put_span(out, tide_span_of(version->id));
    tide_put_varint(out, version->heard);
  }
  uint32_t swept = 0;
  for (uint32_t at = feedback->first; at != feedback->sweep && at != NONE; at = feedback->kept[at].newer) swept++;
  tide_put_varint(out, feedback->count);
  tide_put_varint(out, swept);
  for (uint32_t at = feedback->first; at != NONE; at = feedback->kept[at].newer) {
    const struct kept *kept = &feedback->kept[at];
    tide_put_u64(out, kept->row.key);
    tide_put_u64(out, kept->row.print);
    tide_put_zigzag(out, kept->row.time_ms);
    tide_put_varint(out, kept->row.truth);
    for (unsigned s = 0; s < TIDE_FEEDBACK_SAID; s++) {
      tide_put_u8(out, kept->model[s]);
      if (kept->model[s] != NO_MODEL) tide_put_u32(out, kept->score[s]);
    }
    tide_put_u8(out, kept->row.rule);
    tide_put_u8(out, (uint8_t)(kept->row.stopped | kept->mature << 1));
    tide_put_u8(out, kept->label);
    tide_put_u8(out, kept->level);
  }
}

static bool load_versions(struct tide_feedback *feedback, struct tide_reader *reader) {
  uint64_t versions = tide_get_varint(reader);
  if (reader->bad || versions > TIDE_FEEDBACK_MODELS) return false;
  feedback->versions = (uint32_t)versions;
  for (uint32_t i = 0; i < versions; i++) {
    struct version *version = &feedback->version[i];
    version->checksum.lo = tide_get_u64(reader);
    version->checksum.hi = tide_get_u64(reader);
    struct tide_span id = tide_get_span(reader);
    version->heard = tide_get_varint(reader);
    if (reader->bad || id.len >= sizeof version->id) return false;
    memcpy(version->id, id.ptr, id.len);
  }
  return true;
}

static bool load_row(struct tide_feedback *feedback, struct tide_reader *reader) {
  struct kept kept = {.row.key = tide_get_u64(reader)};
  kept.row.print = tide_get_u64(reader);
  kept.row.time_ms = tide_get_zigzag(reader);
  kept.row.truth = tide_get_varint(reader);
  bool fits = true;
  for (unsigned s = 0; s < TIDE_FEEDBACK_SAID; s++) {
    kept.model[s] = tide_get_u8(reader);
    kept.score[s] = kept.model[s] == NO_MODEL ? UINT32_MAX : tide_get_u32(reader);
    fits &= kept.model[s] == NO_MODEL || kept.model[s] < feedback->versions;
  }
  kept.row.rule = tide_get_u8(reader);
  uint8_t flags = tide_get_u8(reader);
  kept.row.stopped = flags & 1;
  kept.mature = flags & 2;
  kept.label = tide_get_u8(reader);
  kept.level = tide_get_u8(reader);
  fits &= (kept.row.rule == TIDE_FEEDBACK_NO_RULE || kept.row.rule < TIDE_RULES_MAX) && kept.label <= TIDE_LABEL_genuine &&
          kept.level <= LEVEL_MAX;
  if (reader->bad || !fits) return false;
  make_room(feedback);
  if (kept.level < feedback->level && !is_picked(kept.row.key, feedback->level)) return true;
  if (kept.level < feedback->level) kept.level = (uint8_t)feedback->level;
  put(feedback, &kept);
  return true;
}

static bool load(struct tide_feedback *feedback, struct tide_reader *reader) {
  uint64_t *const number[] = {&feedback->decisions, &feedback->labels, &feedback->unmatched, &feedback->outside, &feedback->corrected};
  for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) *number[i] = tide_get_varint(reader);
  uint64_t level = tide_get_varint(reader);
  if (reader->bad || level > LEVEL_MAX || !load_versions(feedback, reader)) return false;
  uint64_t rows = tide_get_varint(reader), swept = tide_get_varint(reader);
  for (; rows > 0 && !reader->bad; rows--)
    if (!load_row(feedback, reader)) return false;
  if (level > feedback->level) feedback->level = (unsigned)level;
  for (feedback->sweep = feedback->first; swept > 0 && feedback->sweep != NONE; swept--)
    feedback->sweep = feedback->kept[feedback->sweep].newer;
  return !reader->bad;
}

bool tide_feedback_load(struct tide_feedback *feedback, struct tide_reader *reader) {
  TIDE_CHECK(feedback->decisions == 0 && feedback->count == 0);
  if (load(feedback, reader)) return true;
  struct tide_feedback_options options = feedback->options;
  struct tide_feedback *empty = tide_feedback_new(&options);
  tide_free(feedback->kept);
  tide_free(feedback->chain);
  *feedback = *empty;
  tide_free(empty);
  return false;
}
