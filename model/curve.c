/* Curves (curve.h): one sort by falling score, one pass.
 *
 * The interval of Wilson, not the one around the share itself: with two frauds of ten rows that one would reach below 0. */
#include "model/curve.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"

struct scored {
  double score;
  uint8_t fraud;
};

static int falling(const void *a, const void *b) {
  double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
  return x > y ? -1 : x < y;
}

size_t tide_rank_steps(const double *score, const uint8_t *fraud, size_t count, struct tide_rank_step **ret) {
  struct scored *row = tide_alloc((count + 1) * sizeof *row);
  struct tide_rank_step *step = tide_alloc((count + 1) * sizeof *step), sum = {0};
  size_t steps = 0;
  for (size_t i = 0; i < count; i++) row[i] = (struct scored){score[i], fraud[i]};
  if (count) qsort(row, count, sizeof *row, falling);
  for (size_t i = 0; i < count;) {
    sum.score = row[i].score;
    for (; i < count && row[i].score == sum.score; i++) sum.alerts++, sum.fraud += row[i].fraud;
    step[steps++] = sum;
  }
  tide_free(row);
  *ret = step;
  return steps;
}

static void wilson(struct tide_reliability *bin) {
  const double z = 1.959963984540054;
  double n = (double)bin->rows, p = (double)bin->fraud / n, weight = 1 + z * z / n;
  double middle = (p + z * z / (2 * n)) / weight, half = z / weight * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  bin->share = p;
  bin->low = bin->fraud ? fmax(middle - half, 0) : 0;
  bin->high = bin->fraud < bin->rows ? fmin(middle + half, 1) : 1;
}

size_t tide_reliability_of(const double *score, const uint8_t *fraud, size_t count, struct tide_reliability ret[TIDE_RELIABILITY_BINS]) {
  static const double edge[TIDE_RELIABILITY_BINS + 1] = {0, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .3, .5, .7, .9, 1};
  size_t kept = 0;
  for (unsigned b = 0; b < TIDE_RELIABILITY_BINS; b++) ret[b] = (struct tide_reliability){.lo = edge[b], .hi = edge[b + 1]};
  for (size_t i = 0; i < count; i++) {
    unsigned b = 0;
    while (b + 1 < TIDE_RELIABILITY_BINS && score[i] >= edge[b + 1]) b++;
    ret[b].rows++;
    ret[b].fraud += fraud[i];
    ret[b].mean += score[i];
  }
  for (unsigned b = 0; b < TIDE_RELIABILITY_BINS; b++) {
    if (!ret[b].rows) continue;
    ret[kept] = ret[b];
    ret[kept].mean /= (double)ret[kept].rows;
    wilson(&ret[kept++]);
  }
  return kept;
}

double tide_brier(const double *score, const uint8_t *fraud, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (score[i] - fraud[i]) * (score[i] - fraud[i]);
  return count ? sum / (double)count : 0;
}
