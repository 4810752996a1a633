/* Runs the `tests:` of a feature file: each is a little log of its own, folded by the same fold that decides live.
 *
 * An event of a test says only what matters to it. What the mapping requires and the test leaves out is filled in: the mapping's default,
 * otherwise a stand-in (one and the same card, merchant, ...; 10.00 for an amount); every event gets an id of its own. Event times are
 * relative to Monday 2026-01-05T12:00:00Z, and history is complete, so nothing is warming. `expect` is about the last event. */
#ifndef TIDE_SELFTEST_H
#define TIDE_SELFTEST_H

#include "feature/spec.h"

#include <stdio.h>

struct tide_selftest_result { uint32_t run, failed; };
/* Runs all tests of the spec and prints one line per failed expectation to `out` (path:line: test: what was expected, what came). With
 * verbose also one line per passed test. Errors only for what keeps a test from running (CONFIG: a name or value it sets is not valid). */
enum tide_err tide_selftest(const struct tide_spec *spec, const char *path, bool verbose, FILE *out, struct tide_selftest_result *ret,
                            struct tide_error *error) TIDE_WARN_UNUSED;

#endif
