/* Drift measured (drift.h has the formulas and their sources).
 *
 * The counts of a window are the sum of its buckets of event time; buckets stand in a ring and are emptied when time comes round to them again. The sums are kept as rows come
 * and buckets leave, so that a look costs a walk over the inputs and not over a day of buckets: it is taken on the thread that decides. */
#include "model/drift.h"

#include <math.h>

#include "model/preprocess.h"

const char *tide_drift_severity_name(enum tide_drift_severity severity) {
  static const char *const name[] = {
#define X(name) #name,
      TIDE_DRIFT_SEVERITIES(X)
#undef X
  };
  TIDE_CHECK((unsigned)severity < TIDE_DRIFT_SEVERITY_COUNT);
  return name[severity];
}

/* ---- one distribution ---- */

void tide_drift_bins_of(const double quantile[TIDE_QUANTILES], const double share[TIDE_QUANTILES], double missing, uint64_t rows,
                        struct tide_drift_bins *ret) {
  *ret = (struct tide_drift_bins){.missing = missing, .rows = (double)rows};
  for (unsigned q = 1; q + 1 < TIDE_QUANTILES; q++) {
    double before = ret->edges ? ret->below[ret->edges - 1] : 0;
    if (share[q] <= before || share[q] >= 1) continue; /* nothing between this edge and the last one, or nothing above it */
    ret->edge[ret->edges] = quantile[q];
    ret->below[ret->edges++] = share[q];
  }
}

uint32_t tide_drift_bin(const struct tide_drift_bins *bins, double value) {
  uint32_t bin = 0;
  for (uint32_t i = 0; i < bins->edges; i++) bin += value > bins->edge[i];
  return bin;
}

/* Quantile TIDE_DRIFT_CHANCE of chi-square: k (1 - 2/9k + z sqrt(2/9k))^3, z that of the normal distribution. */
static double chi_square(double degrees) {
  const double z = 3.0902323061678132, part = 2 / (9 * degrees);
  double root = 1 - part + z * sqrt(part);
  return degrees * root * root * root;
}

static double kolmogorov(double x) {
  if (x < 0.2) return 1; /* 1 - Q is below 1e-12 there, and the series slow */
  double sum = 0, sign = 2;
  for (int j = 1; j <= 100; j++, sign = -sign) {
    double term = exp(-2.0 * j * j * x * x);
    sum += sign * term;
    if (term < 1e-16) break;
  }
  return sum < 0 ? 0 : sum > 1 ? 1 : sum;
}

static double psi_term(double now, double then) { return (now - then) * log(now / then); }

/* The greatest difference at an edge, and its p, of the values alone. */
static void measure_ks(const struct tide_drift_bins *bins, const struct tide_drift_counts *counts, double values, double independent,
                       struct tide_drift_measure *ret) {
  double below = 0, m = bins->rows * (1 - bins->missing);
  for (uint32_t i = 0; i < bins->edges; i++) {
    below += (double)counts->bin[i];
    double off = fabs(below / values - bins->below[i]);
    if (off > ret->ks) ret->ks = off;
  }
  double root = sqrt(independent * m / (independent + m));
  ret->ks_p = m > 0 ? kolmogorov((root + 0.12 + 0.11 / root) * ret->ks) : 1;
}

void tide_drift_measure_of(const struct tide_drift_bins *bins, const struct tide_drift_counts *counts, double independent,
                           struct tide_drift_measure *ret) {
  *ret = (struct tide_drift_measure){.expected_missing = bins->missing, .ks_p = 1};
  double values = 0;
  for (uint32_t b = 0; b <= bins->edges; b++) values += (double)counts->bin[b];
  double all = values + (double)counts->missing;
  TIDE_CHECK(independent >= 0);
  if (all <= 0 || independent <= 0) return;
  double n = independent < all ? independent : all, m = bins->rows;
  bool has_missing = counts->missing > 0 || bins->missing > 0;
  uint32_t used = bins->edges + 1 + has_missing;
  double half = used / 2.0;
  for (uint32_t b = 0; b <= bins->edges; b++) {
    double share = (b < bins->edges ? bins->below[b] : 1) - (b ? bins->below[b - 1] : 0);
    double now = (double)counts->bin[b] / all * n, then = share * (1 - bins->missing) * m;
    ret->psi += psi_term((now + 0.5) / (n + half), (then + 0.5) / (m + half));
  }
  if (has_missing) ret->psi += psi_term(((double)counts->missing / all * n + 0.5) / (n + half), (bins->missing * m + 0.5) / (m + half));
  ret->rows = n;
  ret->missing = (double)counts->missing / all;
  ret->psi_chance = used > 1 && m > 0 ? chi_square(used - 1) * (1 / n + 1 / m) : 0;
  if (values > 0) measure_ks(bins, counts, values, n * values / all, ret);
  if (ret->psi > ret->psi_chance)
    ret->severity = ret->psi >= TIDE_DRIFT_SEVERE     ? TIDE_DRIFT_severe
                    : ret->psi >= TIDE_DRIFT_MODERATE ? TIDE_DRIFT_moderate
                                                      : TIDE_DRIFT_none;
}

/* ---- sliding counts ---- */

#define EMPTY INT64_MIN
#define LEVEL_MAX 16

/* Sums of the weights and of their squares. */
struct worth {
  uint64_t rows, squares;
};
struct bucket {
  int64_t number; /* time / bucket_ms; EMPTY */
  struct worth worth;
};
struct window {
  uint32_t span; /* buckets */
  struct worth worth;
  struct tide_drift_counts *count; /* [inputs + 1] */
};

struct tide_drift {
  struct tide_drift_options options;
  struct tide_u128 model;
  uint32_t inputs;
  char **name;                  /* [inputs + 1] */
  struct tide_drift_bins *bins; /* [inputs + 1] */
  int64_t bucket_ms;
  uint32_t buckets;                /* of the long window */
  struct bucket *bucket;           /* a ring, by number */
  struct tide_drift_counts *count; /* [buckets * (inputs + 1)] */
  struct window window[TIDE_DRIFT_WINDOWS];
  int64_t newest_ms;
  uint64_t left_out;
  unsigned level;  /* of 2^level rows one is looked at */
  uint32_t looked; /* in the newest bucket */
};

/* All but the names and bins of its inputs. */
static struct tide_drift *drift_of(uint32_t inputs, const struct tide_drift_options *options) {
  int64_t shorter = options->window_ms[0], longer = options->window_ms[1];
  TIDE_CHECK(shorter >= TIDE_DRIFT_SHORT_BUCKETS && longer >= shorter && longer / shorter <= TIDE_DRIFT_LONG_MAX && options->rows_max > 0);
  struct tide_drift *drift = tide_alloc(sizeof *drift);
  drift->options = *options;
  drift->inputs = inputs;
  drift->newest_ms = INT64_MIN;
  drift->bucket_ms = shorter / TIDE_DRIFT_SHORT_BUCKETS;
  drift->buckets = (uint32_t)((longer + drift->bucket_ms - 1) / drift->bucket_ms);
  drift->name = tide_alloc((inputs + 1) * sizeof *drift->name);
  drift->bins = tide_alloc((inputs + 1) * sizeof *drift->bins);
  drift->bucket = tide_alloc(drift->buckets * sizeof *drift->bucket);
  for (uint32_t i = 0; i < drift->buckets; i++) drift->bucket[i].number = EMPTY;
  drift->count = tide_alloc((size_t)drift->buckets * (inputs + 1) * sizeof *drift->count);
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++)
    drift->window[w] = (struct window){.span = w == 0 ? TIDE_DRIFT_SHORT_BUCKETS : drift->buckets,
                                       .count = tide_alloc((inputs + 1) * sizeof *drift->count)};
  return drift;
}

struct tide_drift *tide_drift_new(const struct tide_model *model, const struct tide_drift_options *options) {
  struct tide_drift *drift = drift_of(model->input_count, options);
  drift->model = model->checksum;
  for (uint32_t i = 0; i < drift->inputs; i++) {
    const struct tide_model_input *input = &model->input[i];
    drift->name[i] = tide_strdup(input->feature);
    tide_drift_bins_of(input->quantile, input->share, input->missing, model->rows, &drift->bins[i]);
  }
  drift->name[drift->inputs] = tide_strdup("score");
  tide_drift_bins_of(model->score_quantile, model->score_share, 0, model->rows, &drift->bins[drift->inputs]);
  return drift;
}

void tide_drift_free(struct tide_drift *drift) {
  if (!drift) return;
  for (uint32_t i = 0; i <= drift->inputs; i++) tide_free(drift->name[i]);
  tide_free(drift->name);
  tide_free(drift->bins);
  tide_free(drift->bucket);
  tide_free(drift->count);
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) tide_free(drift->window[w].count);
  tide_free(drift);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t number_of(const struct tide_drift *drift, int64_t time_ms) { return floor_div(time_ms, drift->bucket_ms); }
static uint32_t place_of(const struct tide_drift *drift, int64_t number) {
  int64_t rest = number % drift->buckets;
  return (uint32_t)(rest < 0 ? rest + drift->buckets : rest);
}
static struct tide_drift_counts *counts_at(const struct tide_drift *drift, uint32_t place) {
  return drift->count + (size_t)place * (drift->inputs + 1);
}

/* A new bucket: as many rows as in the last one are expected in it. */
static void settle_level(struct tide_drift *drift) {
  uint64_t looked = drift->looked;
  for (; looked > drift->options.rows_max && drift->level < LEVEL_MAX; looked /= 2) drift->level++;
  for (; looked * 4 < drift->options.rows_max && drift->level > 0; looked = looked * 2 + 1) drift->level--;
  drift->looked = 0;
}

/* Takes a bucket's counts into a window (+) or out of it: the same numbers as long as it is in. */
static void shift(const struct tide_drift *drift, struct window *window, uint32_t place, bool in) {
  const struct tide_drift_counts *from = counts_at(drift, place);
  const uint64_t sign = in ? 1 : UINT64_MAX; /* times -1, modulo 2^64 */
  window->worth.rows += sign * drift->bucket[place].worth.rows;
  window->worth.squares += sign * drift->bucket[place].worth.squares;
  for (uint32_t i = 0; i <= drift->inputs; i++) {
    for (unsigned b = 0; b < TIDE_DRIFT_BINS_MAX; b++) window->count[i].bin[b] += sign * from[i].bin[b];
    window->count[i].missing += sign * from[i].missing;
    window->count[i].untrusted += sign * from[i].untrusted;
  }
}

/* Buckets leave the windows when time moves on from bucket `from` to bucket `to`; after a leap all do. */
static void advance(struct tide_drift *drift, int64_t from, int64_t to) {
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) {
    struct window *window = &drift->window[w];
    for (int64_t number = from - window->span + 1; number <= from && number <= to - window->span; number++) {
      uint32_t place = place_of(drift, number);
      if (drift->bucket[place].number == number) shift(drift, window, place, false);
    }
  }
}

/* NULL: the event is too old. */
static struct bucket *bucket_for(struct tide_drift *drift, int64_t time_ms, struct tide_drift_counts **ret_counts) {
  int64_t number = number_of(drift, time_ms);
  bool first = drift->newest_ms == INT64_MIN;
  int64_t newest = first ? number : number_of(drift, drift->newest_ms);
  if (number <= newest - drift->buckets) {
    drift->left_out++;
    return NULL;
  }
  if (first || number > newest) settle_level(drift);
  if (number > newest) advance(drift, newest, number);
  if (first || time_ms > drift->newest_ms) drift->newest_ms = time_ms;
  uint32_t place = place_of(drift, number);
  struct bucket *bucket = &drift->bucket[place];
  if (bucket->number != number) {
    *bucket = (struct bucket){.number = number};
    memset(counts_at(drift, place), 0, (drift->inputs + 1) * sizeof *drift->count);
  }
  *ret_counts = counts_at(drift, place);
  return bucket;
}

/* Where a value counts: its bin, or one of the two behind the bins. */
#define MISSING TIDE_DRIFT_BINS_MAX
#define UNTRUSTED (TIDE_DRIFT_BINS_MAX + 1)
static uint64_t *cell_of(struct tide_drift_counts *counts, size_t cell) {
  return cell == MISSING ? &counts->missing : cell == UNTRUSTED ? &counts->untrusted : &counts->bin[cell];
}

static size_t read_cell(const struct tide_model_input *input, const struct tide_drift_bins *bins, const struct tide_env *env) {
  double x;
  enum tide_cause cause;
  switch (tide_input_read(input, env, &x, &cause)) {
    case TIDE_READ_NUMBER: return tide_drift_bin(bins, x);
    case TIDE_READ_MISSING: return MISSING;
    case TIDE_READ_REFUSED: return UNTRUSTED;
  }
  TIDE_NEVER("every reading is handled");
}

static size_t score_cell(const struct tide_drift_bins *bins, struct tide_value score) {
  return score.type == TIDE_V_NUM ? tide_drift_bin(bins, score.num) : UNTRUSTED;
}

void tide_drift_add(struct tide_drift *drift, const struct tide_model *model, const struct tide_env *env, struct tide_value score,
                    int64_t time_ms, uint64_t pick) {
  TIDE_CHECK(tide_u128_eq(model->checksum, drift->model) && model->input_count == drift->inputs && model->bound);
  if (pick & ((UINT64_C(1) << drift->level) - 1) && drift->newest_ms != INT64_MIN &&
      number_of(drift, time_ms) <= number_of(drift, drift->newest_ms))
    return;
  struct tide_drift_counts *counts;
  struct bucket *bucket = bucket_for(drift, time_ms, &counts);
  if (!bucket || pick & ((UINT64_C(1) << drift->level) - 1)) return;
  bool recent = bucket->number > number_of(drift, drift->newest_ms) - TIDE_DRIFT_SHORT_BUCKETS;
  struct worth *const worth[] = {&bucket->worth, &drift->window[1].worth, recent ? &drift->window[0].worth : NULL};
  struct tide_drift_counts *const to[] = {counts, drift->window[1].count, recent ? drift->window[0].count : NULL};
  uint64_t weight = UINT64_C(1) << drift->level;
  for (unsigned k = 0; k < 3 && worth[k]; k++) {
    worth[k]->rows += weight;
    worth[k]->squares += weight * weight;
  }
  for (uint32_t i = 0; i <= drift->inputs; i++) {
    size_t cell = i < drift->inputs ? read_cell(&model->input[i], &drift->bins[i], env) : score_cell(&drift->bins[i], score);
    for (unsigned k = 0; k < 3 && to[k]; k++) *cell_of(&to[k][i], cell) += weight;
  }
  if (++drift->looked < 2 * drift->options.rows_max || drift->level == LEVEL_MAX) return;
  drift->level++; /* far more than the bucket before had */
  drift->looked = drift->options.rows_max;
}

uint64_t tide_drift_look(const struct tide_drift *drift, unsigned window, struct tide_drift_measure *ret) {
  TIDE_CHECK(window < TIDE_DRIFT_WINDOWS);
  const struct window *of = &drift->window[window];
  uint64_t rows = of->worth.rows;
  /* Rows of unequal weights are worth (sum of w)^2 / sum of w^2 equal ones (Kish 1965, "Survey Sampling"). */
  double worth = rows ? (double)rows * (double)rows / (double)of->worth.squares : 0;
  for (uint32_t i = 0; i <= drift->inputs; i++) {
    double untrusted = rows ? (double)of->count[i].untrusted / (double)rows : 0;
    tide_drift_measure_of(&drift->bins[i], &of->count[i], worth * (1 - untrusted), &ret[i]);
    ret[i].untrusted = untrusted;
  }
  return rows;
}

uint32_t tide_drift_inputs(const struct tide_drift *drift) { return drift->inputs; }
const char *tide_drift_input(const struct tide_drift *drift, uint32_t index) {
  TIDE_CHECK(index <= drift->inputs);
  return drift->name[index];
}
int64_t tide_drift_newest_ms(const struct tide_drift *drift) { return drift->newest_ms; }
uint64_t tide_drift_left_out(const struct tide_drift *drift) { return drift->left_out; }

struct tide_u128 tide_drift_model(const struct tide_drift *drift) {
  return drift->model;
}

/* ---- as bytes: windows, model, inputs with their bins, buckets that are in use ---- */

static void put_double(struct tide_buf *out, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  tide_put_u64(out, bits);
}

static double get_double(struct tide_reader *reader) {
  uint64_t bits = tide_get_u64(reader);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void save_bins(const struct tide_drift_bins *bins, struct tide_buf *out) {
  tide_put_u8(out, (uint8_t)bins->edges);
  for (uint32_t i = 0; i < bins->edges; i++) {
    put_double(out, bins->edge[i]);
    put_double(out, bins->below[i]);
  }
  put_double(out, bins->missing);
  put_double(out, bins->rows);
}

static bool load_bins(struct tide_reader *reader, struct tide_drift_bins *ret) {
  ret->edges = tide_get_u8(reader);
  if (ret->edges > TIDE_DRIFT_EDGES_MAX) return false;
  for (uint32_t i = 0; i < ret->edges; i++) {
    ret->edge[i] = get_double(reader);
    ret->below[i] = get_double(reader);
    bool rises = i == 0 || (ret->edge[i] > ret->edge[i - 1] && ret->below[i] > ret->below[i - 1]);
    if (!isfinite(ret->edge[i]) || !(ret->below[i] > 0 && ret->below[i] < 1) || !rises) return false;
  }
  ret->missing = get_double(reader);
  ret->rows = get_double(reader);
  return ret->missing >= 0 && ret->missing <= 1 && ret->rows >= 0 && ret->rows <= 1e18 && !reader->bad;
}

void tide_drift_save(const struct tide_drift *drift, struct tide_buf *out) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < drift->buckets; i++) used += drift->bucket[i].number != EMPTY;
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) tide_put_zigzag(out, drift->options.window_ms[w]);
  tide_put_u64(out, drift->model.lo);
  tide_put_u64(out, drift->model.hi);
  tide_put_varint(out, drift->inputs);
  for (uint32_t i = 0; i <= drift->inputs; i++) {
    tide_put_span(out, tide_span_of(drift->name[i]));
    save_bins(&drift->bins[i], out);
  }
  tide_put_zigzag(out, drift->newest_ms);
  tide_put_varint(out, drift->left_out);
  tide_put_varint(out, drift->level);
  tide_put_varint(out, drift->looked);
  tide_put_varint(out, used);
  for (uint32_t i = 0; i < drift->buckets; i++) {
    const struct bucket *bucket = &drift->bucket[i];
    if (bucket->number == EMPTY) continue;
    tide_put_zigzag(out, bucket->number);
    tide_put_varint(out, bucket->worth.rows);
    tide_put_varint(out, bucket->worth.squares);
    for (uint32_t k = 0; k <= drift->inputs; k++) {
      const struct tide_drift_counts *counts = &counts_at(drift, i)[k];
      for (uint32_t b = 0; b <= drift->bins[k].edges; b++) tide_put_varint(out, counts->bin[b]);
      tide_put_varint(out, counts->missing);
      tide_put_varint(out, counts->untrusted);
    }
  }
}

#define ROWS_MAX (UINT64_C(1) << 36) /* in a bucket */
/* Every row is in one cell of each input. */
static bool load_counts(const struct tide_drift_bins *bins, uint64_t rows, struct tide_reader *reader, struct tide_drift_counts *counts) {
  uint64_t sum = 0;
  for (uint32_t cell = 0; cell < TIDE_DRIFT_BINS_MAX + 2; cell++) {
    if (cell > bins->edges && cell < MISSING) continue;
    uint64_t n = tide_get_varint(reader);
    if (n > rows) return false;
    *cell_of(counts, cell) = n;
    sum += n;
  }
  return !reader->bad && sum == rows;
}

static bool load_buckets(struct tide_drift *drift, int64_t newest, struct tide_reader *reader) {
  uint64_t used = tide_get_varint(reader);
  if (reader->bad || used > drift->buckets) return false;
  for (; used > 0 && !reader->bad; used--) {
    int64_t number = tide_get_zigzag(reader);
    uint32_t place = place_of(drift, number);
    if (number > newest || drift->bucket[place].number != EMPTY) return false;
    drift->bucket[place].number = number;
    drift->bucket[place].worth.rows = tide_get_varint(reader);
    drift->bucket[place].worth.squares = tide_get_varint(reader);
    struct worth worth = drift->bucket[place].worth;
    if (worth.rows > ROWS_MAX || worth.squares < worth.rows || worth.squares > ROWS_MAX << LEVEL_MAX) return false;
    for (uint32_t k = 0; k <= drift->inputs; k++)
      if (!load_counts(&drift->bins[k], worth.rows, reader, &counts_at(drift, place)[k])) return false;
    for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++)
      if (number > newest - drift->window[w].span) shift(drift, &drift->window[w], place, true);
  }
  return !reader->bad;
}

static bool load(struct tide_drift *drift, struct tide_reader *reader) {
  for (uint32_t i = 0; i <= drift->inputs; i++) {
    struct tide_span name = tide_get_span(reader);
    if (reader->bad) return false;
    drift->name[i] = tide_strndup(name.ptr, name.len);
    if (!load_bins(reader, &drift->bins[i])) return false;
  }
  drift->newest_ms = tide_get_zigzag(reader);
  drift->left_out = tide_get_varint(reader);
  uint64_t level = tide_get_varint(reader), looked = tide_get_varint(reader);
  if (reader->bad || level > LEVEL_MAX || looked > UINT32_MAX / 4) return false;
  drift->level = (unsigned)level;
  drift->looked = (uint32_t)looked;
  return load_buckets(drift, drift->newest_ms == INT64_MIN ? INT64_MIN : number_of(drift, drift->newest_ms), reader);
}

struct tide_drift *tide_drift_load(const struct tide_drift_options *options, struct tide_reader *reader) {
  bool same = true;
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) same &= tide_get_zigzag(reader) == options->window_ms[w];
  struct tide_u128 model = {.lo = tide_get_u64(reader)};
  model.hi = tide_get_u64(reader);
  uint64_t inputs = tide_get_varint(reader);
  if (!same || reader->bad || inputs > TIDE_MODEL_INPUTS_MAX) return NULL;
  struct tide_drift *drift = drift_of((uint32_t)inputs, options);
  drift->model = model;
  if (load(drift, reader)) return drift;
  tide_drift_free(drift);
  return NULL;
}
