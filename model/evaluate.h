/* How good scores are, on rows that the model has not seen: three measures of ranking.
 *
 * A threshold is policy, so nothing here knows one. All are exact functions of the scores; equal scores are treated as equal, whatever the order of rows. */
#ifndef TIDE_EVALUATE_H
#define TIDE_EVALUATE_H

#include <stddef.h>
#include <stdint.h>

/* The probability that a fraud scores above a genuine row, a tie counting half (Mann and Whitney 1947). NaN without both kinds. */
double tide_roc_auc(const double *score, const uint8_t *fraud, size_t count);

/* Sum over thresholds of (recall_n - recall_n-1) * precision_n, as scikit-learn's average_precision_score. NaN without fraud. */
double tide_average_precision(const double *score, const uint8_t *fraud, size_t count);

/* Card precision@k (Le Borgne et al., Fraud Detection Handbook, chapter 4): of the k cards with the highest score of a day (UTC), the share that had a fraud
 * that day; a card found so is known and taken out of later days; mean over days. Rows without card (0) are left out. *ret_days and *ret_best (may be NULL): how
 * many days, and what a ranking without mistakes would have reached. NaN without a day. */
double tide_card_precision(const double *score, const uint8_t *fraud, const uint64_t *card, const int64_t *time_ms, size_t count, uint32_t k,
                           unsigned *ret_days, double *ret_best);

#endif
