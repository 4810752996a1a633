/* Inside of the generator: the pools that predicates and streams share, and its two halves. */
#ifndef TIDE_ORACLE_RANDOM_H
#define TIDE_ORACLE_RANDOM_H

#include "tests/oracle/case.h"
#include "tests/oracle/rng.h"

#define OR_DAY_MS INT64_C(86400000)

extern const char *const or_pool_kind[4], *const or_pool_merchant[4], *const or_pool_device[3], *const or_pool_country[3], *const or_pool_pan[4],
    *const or_pool_par[2], *const or_pool_reason[3];

/* The shortest exact form of a duration: 90s is "90s", 60000 ms is "1m". out needs 16 bytes. */
const char *or_duration(int64_t ms, char *out);
/* How far back a slot looks (ruling 9). */
int64_t or_reach_ms(const struct or_case *c, const struct or_slot *slot);
void or_make_file(struct or_case *c, struct or_rng *rng);
void or_make_stream(struct or_case *c, struct or_rng *rng);

#endif
