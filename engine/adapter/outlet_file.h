/* The outlet port into files, for machines without Kafka (port/outlet.h is the contract): a file per kind of letter, appended to.
 *
 * A line is one JSON object: {"key":"...","headers":{"NAME":"..."},"value":...}. The value of an answer is the JSON object that it is, any other a string. Bytes that
 * are not UTF-8 stand in base64 (RFC 4648): as "key_base64", as "value_base64", and as {"base64":"..."} for a header. */
#ifndef TIDE_OUTLET_FILE_H
#define TIDE_OUTLET_FILE_H

#include "adapter/sys.h"
#include "port/outlet.h"

struct tide_outlet_file_options {
  const char *path[TIDE_LETTER_KIND_COUNT]; /* NULL: no letters of that kind; no two kinds share one */
  const struct tide_sys *sys;               /* NULL: the real one */
};

/* Opens or creates the files; a last line without its end, left by a crash, is cut. Errors: CONFIG (one file for two kinds), LOCKED (another engine writes it), IO. */
enum tide_err tide_outlet_file_open(const struct tide_outlet_file_options *options, struct tide_outlet **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
