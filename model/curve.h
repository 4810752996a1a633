/* What is drawn of scores whose labels are known: the steps of the ranking, reliability, the error of probabilities.
 *
 * evaluate.h has the measures of ranking in one number each; here are the curves behind them, from which people see where a model is good. All are exact functions of the
 * scores; equal scores are one step, whatever the order of rows. */
#ifndef TIDE_CURVE_H
#define TIDE_CURVE_H

#include <stddef.h>
#include <stdint.h>

/* What a threshold at `score` would stop: rows with at least that score, and the frauds among them. */
struct tide_rank_step { double score; uint64_t alerts, fraud; };
/* One step for each different score, falling; returns how many. *ret is the caller's to tide_free. The false positive rate of a step is (alerts - fraud) / genuine, its
 * recall fraud / frauds, its precision fraud / alerts. */
size_t tide_rank_steps(const double *score, const uint8_t *fraud, size_t count, struct tide_rank_step **ret);

/* Rows whose score lies in [lo, hi), the last bin with hi: their mean score, and the share that was fraud with its interval (Wilson 1927, 95 %). */
#define TIDE_RELIABILITY_BINS 14
struct tide_reliability { double lo, hi, mean; uint64_t rows, fraud; double share, low, high; };
/* Edges at 0, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .3, .5, .7, .9, 1: fraud is rare, so most rows are near 0. Returns the number of bins with rows. */
size_t tide_reliability_of(const double *score, const uint8_t *fraud, size_t count, struct tide_reliability ret[TIDE_RELIABILITY_BINS]);

/* Mean of (score - fraud)^2 (Brier 1950); 0 without rows. */
double tide_brier(const double *score, const uint8_t *fraud, size_t count);

#endif
