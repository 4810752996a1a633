/* Rows in a ring, in order of decision; chains by key find the one a label means (feedback.h).
 *
 * Every sum is kept as rows come, go and change sides: `count_row` adds or takes away what one row stands for, and nothing else touches the sums. So a look costs no walk, and
 * a row that is dropped leaves no trace. Rows mature and leave in the order of the ring; a decision on an older event that came late does both when its turn comes. */
#include "model/feedback.h"

#include <math.h>

#define NO_MODEL 0xff
#define NONE UINT32_MAX
#define LEVEL_MAX 20
#define BINS TIDE_FEEDBACK_BINS

struct kept {
  struct tide_feedback_row row;
  uint32_t next; /* of the same chain, older; NONE */
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
  struct kept *kept;     /* [rows_max], a ring */
  uint32_t first, count; /* place of the oldest; how many */
  uint32_t matured;      /* rows from the oldest on that have matured */
  uint32_t *chain;       /* [chains], place of the newest row of each; NONE */
  uint32_t chains;       /* a power of two */
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

static uint32_t place_of(const struct tide_feedback *feedback, uint32_t number) {
  return (uint32_t)(((uint64_t)feedback->first + number) % feedback->options.rows_max);
}
static uint32_t *chain_of(struct tide_feedback *feedback, uint64_t key) { return &feedback->chain[(key >> 24) & (feedback->chains - 1)]; }
static bool is_picked(uint64_t key, unsigned level) { return !(key & ((UINT64_C(1) << level) - 1)); }

static void put(struct tide_feedback *feedback, const struct kept *kept) {
  uint32_t place = place_of(feedback, feedback->count++), *chain = chain_of(feedback, kept->row.key);
  feedback->kept[place] = *kept;
  feedback->kept[place].next = *chain;
  *chain = place;
  count_versions(feedback, kept, true);
  count_row(feedback, kept, 1);
}

static void drop_oldest(struct tide_feedback *feedback) {
  struct kept *kept = &feedback->kept[feedback->first];
  count_row(feedback, kept, -1);
  count_versions(feedback, kept, false);
  uint32_t *link = chain_of(feedback, kept->row.key);
  while (*link != feedback->first) link = &feedback->kept[*link].next;
  *link = kept->next;
  feedback->first = place_of(feedback, 1);
  feedback->count--;
  if (feedback->matured) feedback->matured--;
}

/* Rows that a coarser sample would not have go; the others stand for more. Each row is taken out and put back behind the rest, so their order stays. */
static void coarsen(struct tide_feedback *feedback) {
  uint32_t rows = feedback->count, matured = feedback->matured, still = 0;
  feedback->level++;
  for (uint32_t i = 0; i < rows; i++) {
    struct kept kept = feedback->kept[feedback->first];
    drop_oldest(feedback);
    if (!is_picked(kept.row.key, feedback->level)) continue;
    if (kept.level < feedback->level) kept.level = (uint8_t)feedback->level;
    put(feedback, &kept);
    still += i < matured;
  }
  feedback->matured = still;
}

static void grow_old(struct tide_feedback *feedback, int64_t newest_ms) {
  if (newest_ms == INT64_MIN) return; /* no watermark yet */
  while (feedback->count && feedback->kept[feedback->first].row.time_ms < newest_ms - feedback->options.keep_ms) drop_oldest(feedback);
  for (; feedback->matured < feedback->count; feedback->matured++) {
    struct kept *kept = &feedback->kept[place_of(feedback, feedback->matured)];
    if (kept->row.time_ms > newest_ms - feedback->options.mature_ms) break;
    count_row(feedback, kept, -1);
    kept->mature = true;
    count_row(feedback, kept, 1);
  }
}

/* ---- models ---- */

static void forget_version(struct tide_feedback *feedback, uint8_t index) {
  for (uint32_t i = 0; i < feedback->count; i++) {
    struct kept *kept = &feedback->kept[place_of(feedback, i)];
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
  if (!is_picked(row->key, feedback->level)) return;
  while (feedback->count == feedback->options.rows_max && feedback->level < LEVEL_MAX) coarsen(feedback);
  if (feedback->count == feedback->options.rows_max) drop_oldest(feedback); /* more than any cell has: the oldest give way */
  if (!is_picked(row->key, feedback->level)) return;
  kept.level = (uint8_t)feedback->level;
  put(feedback, &kept);
  if (feedback->level && feedback->count < feedback->options.rows_max / 4) feedback->level--; /* rows have left, there is room again */
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
  for (uint32_t i = 0; i < feedback->count; i++) {
    struct kept *kept = &feedback->kept[place_of(feedback, i)];
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
  tide_put_varint(out, feedback->count);
  for (uint32_t i = 0; i < feedback->count; i++) {
    const struct kept *kept = &feedback->kept[place_of(feedback, i)];
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
  while (feedback->count == feedback->options.rows_max && feedback->level < LEVEL_MAX) coarsen(feedback);
  if (feedback->count == feedback->options.rows_max) drop_oldest(feedback);
  if (kept.level < feedback->level && !is_picked(kept.row.key, feedback->level)) return true;
  if (kept.level < feedback->level) kept.level = (uint8_t)feedback->level;
  bool all_mature = feedback->matured == feedback->count;
  put(feedback, &kept);
  if (kept.mature && all_mature) feedback->matured++;
  return true;
}

static bool load(struct tide_feedback *feedback, struct tide_reader *reader) {
  uint64_t *const number[] = {&feedback->decisions, &feedback->labels, &feedback->unmatched, &feedback->outside, &feedback->corrected};
  for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) *number[i] = tide_get_varint(reader);
  uint64_t level = tide_get_varint(reader);
  if (reader->bad || level > LEVEL_MAX || !load_versions(feedback, reader)) return false;
  uint64_t rows = tide_get_varint(reader);
  for (; rows > 0 && !reader->bad; rows--)
    if (!load_row(feedback, reader)) return false;
  if (level > feedback->level) feedback->level = (unsigned)level;
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
