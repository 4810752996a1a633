/* Serving's sources: what the operator's file says of them, held against the feature file, and as the core declares them to the cell.
 *
 * The two files are written by different people. A shape or a source that one of them names and the other does not know would show only when the first
 * message is rejected, or as freshness that nobody judges; so it is refused before anything is read. */
#ifndef TIDE_SERVE_SOURCE_H
#define TIDE_SERVE_SOURCE_H

#include "config/config.h"
#include "core/control.h"
#include "feature/spec.h"

/* The declaration for the journal, of the sources that the configuration names (none: count 0). Errors: CONFIG: a source's `input` is no shape of the feature
 * file; a group of the feature file's `freshness` names a source that is not configured, or one that does not gate; both told with the names there are. A
 * cell without sources is not held against the feature file: it takes transactions over HTTP only. */
enum tide_err tide_serve_sources(const struct tide_config *config, const struct tide_spec *spec, struct tide_sources *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
