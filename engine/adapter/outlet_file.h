/* The outlet port into files of JSON lines (port/outlet.h is the contract): for cells without a topic for what leaves.
 *
 * A line is {"key": .., "headers": {..}, "value": ..}; the value is a JSON object where it is one, else a string. What was reported as arrived is on the disk. */
#ifndef TIDE_OUTLET_FILE_H
#define TIDE_OUTLET_FILE_H

#include "port/outlet.h"

struct tide_outlet_file_options {
  const char *path[TIDE_LETTER_KIND_COUNT]; /* appended to, made if need be; NULL: letters of that kind are refused */
};

/* Strings are copied. Error: IO, a file that cannot be opened. */
enum tide_err tide_outlet_file_open(const struct tide_outlet_file_options *options, struct tide_outlet **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
