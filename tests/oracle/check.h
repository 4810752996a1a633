/* Running the engine on a case in this process and comparing it with the oracle; making a failing case small. */
#ifndef TIDE_ORACLE_CHECK_H
#define TIDE_ORACLE_CHECK_H

#include "base/buf.h"
#include "feature/expr.h"
#include "tests/oracle/case.h"

/* What was compared, so that a run can show that it saw something. */
struct or_tally {
  uint64_t cases, records, answers, values, nulls, duplicates, conflicts, refused, advised, uncounted, unknown_truths, reloads;
  uint64_t tiles_read, tiles_mended, tiles_late; /* how the engine used tiles (feature/state.h) */
  uint64_t rollouts, by_other; /* answers by another policy than the file's */
  uint64_t switches;      /* of the feature file */
  uint64_t sourced;       /* cases with sources */
  uint64_t told, facts_read, facts_old; /* cases with facts; facts that events read; those beyond their age */
  uint64_t standings[8];  /* of entities in them, by enum tide_vstate */
  uint64_t digests, csv, full, crowded, moved, listed; /* records; cases; values; stubs; entities; values */
  uint64_t states[8];   /* by enum tide_vstate */
  uint64_t causes[TIDE_C_COUNT];  /* of refusals, by enum tide_cause */
};

/* True when engine and oracle agree on everything. Otherwise the first difference stands in `out`, one line. tally may be NULL. */
bool or_check(const struct or_case *c, struct tide_buf *out, struct or_tally *tally);
/* Drops records, rules, features and choices as long as the case still fails; each attempt runs in a child, so that a crash counts as
 * failing as well. */
void or_shrink(struct or_case *c);
/* or_check in a child process, which may die; with `tell` it prints the difference on stderr. REFUSED: the engine does not read the file or a line. */
enum or_end { OR_EQUAL, OR_DIFFERS, OR_DIED, OR_REFUSED };
enum or_end or_check_apart(const struct or_case *c, bool tell);

#endif
