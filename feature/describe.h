/* What every value of a feature file is, exactly, in words: for analysts, auditors and `tidemark features describe`.
 *
 * Everything is said from the parsed spec and the texts as they were written; nothing here computes a feature. */
#ifndef TIDE_DESCRIBE_H
#define TIDE_DESCRIBE_H

#include "base/buf.h"
#include "feature/spec.h"

/* Appends the whole file: entities, then each value with what it is, its window's edges, which events count, reach, what it is when there is nothing, states,
 * error bound and freshness; then derived values and rules. Plain text, lines end with \n. */
void tide_describe(const struct tide_spec *spec, struct tide_buf *out);
/* Appends the definition of one value, by index into spec->slot. */
void tide_describe_slot(const struct tide_spec *spec, uint32_t slot, struct tide_buf *out);

/* Appends the fallback's rules as they were written, a line each. */
void tide_describe_fallback(const struct tide_spec *spec, struct tide_buf *out);

/* How far before an event the value looks (ruling 9): D + W (+ H, + W1); the entity's `keep` for values without window; 0 for
 * `time since first` and `new`, which need no event kept. */
int64_t tide_slot_reach_ms(const struct tide_spec *spec, const struct tide_slot *slot);

#endif
