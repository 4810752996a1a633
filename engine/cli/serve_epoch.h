/* The register of epoch numbers in the registry, as the engine asks it: a number is taken before an epoch is opened under it, and what is highest is read again before anything
 * is acknowledged in it (core/README.md, "A history that is lost").
 *
 * Two openers whose Redis nodes know nothing of each other would give their epochs the same number; here only one can have it. Nothing that is counted rests on it, only
 * that positions are not given twice and that later decisions have higher epochs. So a registry that is not there, or is out of reach, stops nothing: it is said, and the numbers
 * of the log and of this engine's disk have to do. */
#ifndef TIDE_SERVE_EPOCH_H
#define TIDE_SERVE_EPOCH_H

#include "config/config.h"

struct tide_serve_epoch;
/* *ret is NULL where registry.url is empty. Nothing is asked yet. Error: CONFIG. */
enum tide_err tide_serve_epoch_new(const struct tide_config *config, struct tide_serve_epoch **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Takes the number. False: it is taken or passed, *ret_highest is the highest. Any thread; waits for the registry, at most TIDE_SERVE_EPOCH_MS an endpoint. NULL: true. */
#define TIDE_SERVE_EPOCH_MS 500
bool tide_serve_epoch_take(struct tide_serve_epoch *epoch, uint64_t number, uint64_t *ret_highest);
/* The highest number that was taken; 0: none, or it is not known. Any thread. NULL: 0. */
uint64_t tide_serve_epoch_known(struct tide_serve_epoch *epoch);
/* Behind the threads that ask; NULL: nothing. */
void tide_serve_epoch_free(struct tide_serve_epoch *epoch);

#endif
