/* Measures of ranking (evaluate.h): sort once by falling score, then walk groups of equal scores.
 *
 * Card precision walks the days in order; rows of a day are sorted by card to find each card's best score, then cards by score. Known cards are kept
 * in a sorted list that grows by at most k a day. */
#include "model/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"

struct scored {
  double score;
  uint64_t card;
  int64_t day;
  uint8_t fraud;
};

static int falling(const void *a, const void *b) {
  const struct scored *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return x->card < y->card ? -1 : x->card > y->card;
}

static struct scored *sorted(const double *score, const uint8_t *fraud, size_t count) {
  struct scored *row = tide_alloc((count + 1) * sizeof *row);
  for (size_t i = 0; i < count; i++) row[i] = (struct scored){.score = score[i], .fraud = fraud[i]};
  if (count) qsort(row, count, sizeof *row, falling);
  return row;
}

double tide_roc_auc(const double *score, const uint8_t *fraud, size_t count) {
  struct scored *row = sorted(score, fraud, count);
  double above = 0, frauds = 0, genuine = 0; /* twice the pairs in the right order */
  for (size_t i = 0; i < count;) {
    double f = 0, g = 0;
    size_t end = i;
    for (; end < count && row[end].score == row[i].score; end++) f += row[end].fraud, g += !row[end].fraud;
    above += g * (2 * frauds + f); /* these genuine rows stand below all frauds before them and beside f */
    frauds += f;
    genuine += g;
    i = end;
  }
  tide_free(row);
  return frauds > 0 && genuine > 0 ? above / (2 * frauds * genuine) : (double)NAN;
}

double tide_average_precision(const double *score, const uint8_t *fraud, size_t count) {
  struct scored *row = sorted(score, fraud, count);
  double total = 0, frauds = 0, sum = 0;
  for (size_t i = 0; i < count; i++) total += fraud[i];
  for (size_t i = 0; i < count;) {
    double f = 0;
    size_t end = i;
    for (; end < count && row[end].score == row[i].score; end++) f += row[end].fraud;
    frauds += f;
    if (total > 0) sum += f / total * (frauds / (double)end);
    i = end;
  }
  tide_free(row);
  return total > 0 ? sum : (double)NAN;
}

/* ---- cards ---- */

static int by_day_and_card(const void *a, const void *b) {
  const struct scored *x = a, *y = b;
  if (x->day != y->day) return x->day < y->day ? -1 : 1;
  if (x->card != y->card) return x->card < y->card ? -1 : 1;
  return x->score > y->score ? -1 : x->score < y->score;
}

static int by_number(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

struct known {
  uint64_t *card;
  size_t count, cap;
};

static bool is_known(const struct known *known, uint64_t card) {
  return known->count && bsearch(&card, known->card, known->count, sizeof card, by_number);
}

/* The cards of one day, [0, n), by falling score. Returns how many frauds stand among the first k and remembers them. */
static size_t found(const struct scored *card, size_t n, uint32_t k, struct known *known) {
  size_t hits = 0, before = known->count;
  for (size_t i = 0; i < n && i < k; i++) {
    if (!card[i].fraud) continue;
    hits++;
    if (known->count == known->cap) {
      known->cap = known->cap ? known->cap * 2 : 256;
      known->card = tide_realloc(known->card, known->cap * sizeof *known->card);
    }
    known->card[known->count++] = card[i].card;
  }
  if (known->count > before) qsort(known->card, known->count, sizeof *known->card, by_number);
  return hits;
}

double tide_card_precision(const double *score, const uint8_t *fraud, const uint64_t *card, const int64_t *time_ms, size_t count,
                           uint32_t k, unsigned *ret_days, double *ret_best) {
  struct scored *row = tide_alloc((count + 1) * sizeof *row);
  struct known known = {0};
  size_t n = 0;
  unsigned days = 0;
  double sum = 0, best = 0;
  TIDE_CHECK(k > 0);
  for (size_t i = 0; i < count; i++) {
    int64_t day = time_ms[i] / 86400000 - (time_ms[i] % 86400000 < 0);
    if (card[i]) row[n++] = (struct scored){score[i], card[i], day, fraud[i]};
  }
  if (n) qsort(row, n, sizeof *row, by_day_and_card);
  for (size_t i = 0; i < n;) {
    size_t begin = i, cards = 0, frauds = 0;
    while (i < n && row[i].day == row[begin].day) { /* one per card: its best score, and whether any was fraud */
      struct scored one = row[i];
      for (; i < n && row[i].day == one.day && row[i].card == one.card; i++) one.fraud |= row[i].fraud;
      if (is_known(&known, one.card)) continue;
      frauds += one.fraud;
      row[begin + cards++] = one;
    }
    qsort(&row[begin], cards, sizeof *row, falling);
    sum += (double)found(&row[begin], cards, k, &known) / (double)k;
    best += (double)(frauds < k ? frauds : k) / (double)k;
    days++;
  }
  tide_free(row);
  tide_free(known.card);
  if (ret_days) *ret_days = days;
  if (ret_best) *ret_best = days ? best / days : (double)NAN;
  return days ? sum / days : (double)NAN;
}
