/* Drift: do the values that a model reads, and the scores it gives, still look like those it was trained on?
 *
 * Bins. The artifact tells quantiles of the training values and what share of them lies at or below each (artifact.h). The different quantiles from .01 to .99 that
 * leave something on both sides are the edges v_1 < ... < v_k: bin i holds (v_i-1, v_i], the last what is above v_k, and values that are not there (absent, empty) have a bin
 * of their own. So a count that is 0 in nine cases of ten has the bin {0}, and no training value is beyond the bins: the shares are exact.
 *
 *   PSI   = sum over bins of (a - e) ln(a / e)                     a, e: share of the bin now and in training
 *           (the symmetric divergence J of Jeffreys 1946; as an index of stability with the limits 0.1 and 0.25: Siddiqi 2006, "Credit Risk Scorecards"). Shares
 *           are (count + 1/2) / (n + bins/2), the estimate of Krichevsky and Trofimov 1981, so that an empty bin is a finite surprise that vanishes as n grows.
 *           By chance alone PSI is about (1/n + 1/m) times a chi-square of bins - 1 degrees (Yurdakul 2018, "Statistical Properties of Population Stability
 *           Index"), n rows now and m in training; what stays below its quantile of 0.999 (Wilson and Hilferty 1931) is no drift, however few rows there are.
 *   KS    = max over edges of |F(v) - G(v)|                        F, G: distribution of the values that are there, now and in training
 *           taken at the edges only, so it is a lower bound of the statistic of Kolmogorov and Smirnov. p = Q((sqrt(N) + 0.12 + 0.11 / sqrt(N)) KS), N = nm / (n + m),
 *           Q(x) = 2 sum over j >= 1 of (-1)^(j-1) exp(-2 j^2 x^2) (Smirnov 1948; the correction: Stephens 1970). For values with ties p is too large, never too small.
 *
 * Severity: of PSI none < 0.1 <= moderate < 0.25 <= severe, none where chance explains it. KS adds nothing to it: with enough rows every difference is
 * significant; it is told with its p, for those who know what it says. Everything here is outside of decisions and may use the math library. */
#ifndef TIDE_DRIFT_H
#define TIDE_DRIFT_H

#include "model/artifact.h"

#define TIDE_DRIFT_EDGES_MAX (TIDE_QUANTILES - 2)
#define TIDE_DRIFT_BINS_MAX (TIDE_DRIFT_EDGES_MAX + 1)
#define TIDE_DRIFT_MODERATE 0.1
#define TIDE_DRIFT_SEVERE 0.25
#define TIDE_DRIFT_CHANCE 0.999

/* What training looked like, of one input or the score. */
struct tide_drift_bins {
  uint32_t edges;
  double edge[TIDE_DRIFT_EDGES_MAX];  /* rising */
  double below[TIDE_DRIFT_EDGES_MAX]; /* share of the values at or below the edge, above 0 and below 1 */
  double missing;                     /* share of the rows without a value */
  double rows;
};
/* Rows now: by bin, without a value, and those that count for neither because the value was not to be trusted (or the score was refused). Rows may stand for several. */
struct tide_drift_counts {
  uint64_t bin[TIDE_DRIFT_BINS_MAX];
  uint64_t missing, untrusted;
};

#define TIDE_DRIFT_SEVERITIES(X) X(none) X(moderate) X(severe)
enum tide_drift_severity {
#define X(name) TIDE_DRIFT_##name,
  TIDE_DRIFT_SEVERITIES(X)
#undef X
      TIDE_DRIFT_SEVERITY_COUNT
};
const char *tide_drift_severity_name(enum tide_drift_severity severity);

struct tide_drift_measure {
  double rows;           /* with this input that were looked at, as independent ones; 0: the rest is 0 too, but for `untrusted` */
  double missing, expected_missing;
  double untrusted;      /* share of all rows that are in no other number; by tide_drift_look only */
  double psi, psi_chance; /* the value that chance alone stays below */
  double ks, ks_p;
  enum tide_drift_severity severity;
};

/* Bins of a quantile sketch; missing 0..1, rows of training. */
void tide_drift_bins_of(const double quantile[TIDE_QUANTILES], const double share[TIDE_QUANTILES], double missing, uint64_t rows, struct tide_drift_bins *ret);
/* The bin of a value. */
uint32_t tide_drift_bin(const struct tide_drift_bins *bins, double value);
/* `independent`: how many rows were looked at for these counts, at most their sum; sampled rows stand for several, and chance is that of the few. */
void tide_drift_measure_of(const struct tide_drift_bins *bins, const struct tide_drift_counts *counts, double independent, struct tide_drift_measure *ret);

/* ---- sliding counts of one model ---- */

/* Two windows of event time, both made of the same buckets: the short one is 12 of them. */
#define TIDE_DRIFT_WINDOWS 2
#define TIDE_DRIFT_SHORT_BUCKETS 12
#define TIDE_DRIFT_LONG_MAX 64 /* times the short one */
struct tide_drift_options {
  int64_t window_ms[TIDE_DRIFT_WINDOWS]; /* short, long; the long one at least the short one and at most TIDE_DRIFT_LONG_MAX times it */
  uint32_t rows_max;                     /* that are looked at in a bucket, about: of more every 2nd, 4th, ... by `pick` */
};

struct tide_drift;
/* Copies what it needs of the model; bounded by inputs and buckets whatever comes. */
struct tide_drift *tide_drift_new(const struct tide_model *model, const struct tide_drift_options *options);
void tide_drift_free(struct tide_drift *drift);
/* One scored event: the model it was made for, what its rules read, the score (NULL: refused), its time, and `pick`: any hash of its identity, by which rows are
 * chosen when there are too many. Rows older than the long window behind the newest are left out. */
void tide_drift_add(struct tide_drift *drift, const struct tide_model *model, const struct tide_env *env, struct tide_value score, int64_t time_ms,
                    uint64_t pick);
/* Of the window that ends with the newest event: ret[inputs + 1], the score's last. Returns the rows (those left out for their number included). */
uint64_t tide_drift_look(const struct tide_drift *drift, unsigned window, struct tide_drift_measure *ret);
uint32_t tide_drift_inputs(const struct tide_drift *drift);
const char *tide_drift_input(const struct tide_drift *drift, uint32_t index); /* its name; "score" at index inputs */
int64_t tide_drift_newest_ms(const struct tide_drift *drift);                 /* INT64_MIN before any */
uint64_t tide_drift_left_out(const struct tide_drift *drift);                 /* too old for the long window */
struct tide_u128 tide_drift_model(const struct tide_drift *drift);            /* the checksum of the model that it is of */
/* As bytes, beside a snapshot: all of it, what training looked like too, so that no model is needed to go on. load: NULL when they are none, or were counted with other windows. */
void tide_drift_save(const struct tide_drift *drift, struct tide_buf *out);
struct tide_drift *tide_drift_load(const struct tide_drift_options *options, struct tide_reader *reader);

#endif
