/* The rejects file: one JSON line per message that could not be used, secrets masked.
 *
 *   {"line":17,"field":"amount","reason":"decimals","text":"...","message":"..."}     with "file" and "file_line" when several are read
 *
 * `line` counts over all files and rises, so a run that goes on can cut what it is about to find again. */
#ifndef TIDE_REJECTS_H
#define TIDE_REJECTS_H

#include "cli/intake.h"

struct tide_rejects;
/* With resume the file is kept (tide_rejects_cut then drops its tail), otherwise truncated. */
enum tide_err tide_rejects_open(const char *path, bool resume, struct tide_rejects **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Keeps only whole lines whose "line" is below `line`. */
enum tide_err tide_rejects_cut(struct tide_rejects *rejects, uint64_t line, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_rejects_put(struct tide_rejects *rejects, struct tide_intake *intake, const struct tide_taken *taken, bool several_files,
                               const struct tide_error *why, struct tide_error *error) TIDE_WARN_UNUSED;
/* To the device when anything is new: the journal's cursor must not pass a reject that a power cut could still take away. */
enum tide_err tide_rejects_sync(struct tide_rejects *rejects, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_rejects_close(struct tide_rejects *rejects);

#endif
