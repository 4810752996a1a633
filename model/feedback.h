/* Feedback: what labels, when they come at last, say of the decisions that were made - by model version, and by rule.
 *
 * Decisions are kept as small rows until their labels come, which is months later; so the rows of a sample are kept, chosen by a hash of the transaction's identity:
 * when the rows are full, every second one is dropped and from then on every second decision taken (and so on), and each stands for 2^level (Horvitz and Thompson
 * 1952). Whether a transaction is in the sample has nothing to do with its label, so shares and AUC stay unbiased. Rows older than `keep` leave.
 *
 * A row is fraud or genuine by its last label; labels may be corrected as long as the row is kept, and the row changes sides. Without a label it counts as genuine
 * once it is older than `mature`: banks learn of fraud, seldom of its absence (the same as --label-delay of train). `unknown` takes a label back.
 *
 * AUC is counted from a histogram of scores per class, 1,000 bins of a thousandth. Pairs in different bins are compared exactly, a pair in one bin counts half, so
 * the AUC of the sample is off by at most half of the share of such pairs (auc_error, told beside it). All of this is an observer: nothing of it enters a decision. */
#ifndef TIDE_FEEDBACK_H
#define TIDE_FEEDBACK_H

#include "base/buf.h"
#include "base/hash.h"
#include "feature/spec.h"

#define TIDE_FEEDBACK_MODELS 8 /* versions at once; the one heard of longest ago gives way */
#define TIDE_FEEDBACK_BINS 1000
#define TIDE_FEEDBACK_NO_RULE 0xff

struct tide_feedback_options {
  uint32_t rows_max; /* at least 16 */
  int64_t keep_ms, mature_ms;
};

/* A decision. */
struct tide_feedback_row {
  uint64_t key;       /* hash of primary entity and identity */
  uint64_t print;     /* of amount and currency as sent: tells events with one id apart; 1: it has none */
  int64_t time_ms;
  uint64_t truth;     /* rules that were true, shadow ones too: bit by index */
  uint8_t rule;       /* that decided; TIDE_FEEDBACK_NO_RULE: the fallback, or no policy */
  bool stopped;       /* another decision than the mildest */
};

/* What a model said of it: the first one of a decision decided (or would have, had it not refused), the others are shadows, which are measured like it. */
#define TIDE_FEEDBACK_SAID 4
struct tide_feedback_said {
  struct tide_u128 model; /* checksum */
  const char *id;         /* shorter than TIDE_FEEDBACK_ID */
  uint32_t score;         /* millionths; UINT32_MAX: it refused */
};
#define TIDE_FEEDBACK_ID 128

/* Weights: how many decisions the rows stand for. */
struct tide_feedback_class { double fraud, genuine; };
struct tide_feedback_rule { struct tide_feedback_class truth, decided; };
struct tide_feedback_model {
  struct tide_u128 checksum;
  char id[TIDE_FEEDBACK_ID];
  uint64_t rows;             /* of the sample that it spoke of, labelled or not */
  struct tide_feedback_class scored, decided, stopped; /* that it scored; of these as no shadow; of those decided otherwise than most mildly */
  double auc, auc_error;     /* NaN without both classes */
};
struct tide_feedback_look {
  uint64_t rows, decisions, labels, unmatched, outside; /* kept now; since the start: decisions seen, labels, labels of no row that is kept, labels of what the sample left out */
  uint64_t corrected;        /* labels that changed another one */
  unsigned level;            /* one of 2^level decisions is kept */
  struct tide_feedback_class all, stopped;
  uint32_t model_count;
  struct tide_feedback_model model[TIDE_FEEDBACK_MODELS];
  struct tide_feedback_rule rule[TIDE_RULES_MAX];
};

struct tide_feedback;
struct tide_feedback *tide_feedback_new(const struct tide_feedback_options *options);
void tide_feedback_free(struct tide_feedback *feedback);
/* A decision, and what models said of it: said[0] decided; more than TIDE_FEEDBACK_SAID are left out, 0: none was asked. `newest_ms`: the watermark, from which ages are counted;
 * INT64_MIN: there is none yet. */
void tide_feedback_add(struct tide_feedback *feedback, const struct tide_feedback_row *row, const struct tide_feedback_said *said, uint32_t said_count,
                       int64_t newest_ms);
/* A label (enum tide_label) about key, or alt where it has one (0: none: the key before a rotation): of the rows with this key the latest that has `print`, else the latest.
 * again: it was told before, when it had no decision yet; it is not counted twice. */
void tide_feedback_label(struct tide_feedback *feedback, uint64_t key, uint64_t alt, uint64_t print, uint8_t label, bool again);
/* The policy is another from here on: what was rule i is rule to[i] now, TIDE_FEEDBACK_NO_RULE: gone, with what is known of it. Costs a walk over the rows. */
void tide_feedback_map_rules(struct tide_feedback *feedback, const uint8_t to[TIDE_RULES_MAX]);
void tide_feedback_look(const struct tide_feedback *feedback, struct tide_feedback_look *ret);
void tide_feedback_save(const struct tide_feedback *feedback, struct tide_buf *out);
/* Into a new one; false when the bytes are none of these, and it is empty then. More rows than rows_max are sampled down. */
bool tide_feedback_load(struct tide_feedback *feedback, struct tide_reader *reader);

#endif
