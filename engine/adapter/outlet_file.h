/* The outlet port into files, for machines without Kafka (port/outlet.h is the contract): a file per kind of letter, appended to.
 *
 * A line is one JSON object: {"key":"...","headers":{"NAME":"..."},"value":"..."}. Bytes that are not UTF-8 stand in base64 (RFC 4648) under "key_base64", "value_base64" or as
 * {"base64":"..."} for a header; an empty key is left out, and so is "headers" without any. */
#ifndef TIDE_OUTLET_FILE_H
#define TIDE_OUTLET_FILE_H

#include "adapter/sys.h"
#include "port/outlet.h"

struct tide_outlet_file_options {
  const char *path[TIDE_LETTER_KIND_COUNT]; /* NULL: no letters of that kind; no two kinds share one */
  const struct tide_sys *sys;               /* NULL: the real one */
};

/* Opens or creates the files; a last line without its end, left by a crash, is cut. Errors: CONFIG: no file at all, one for two kinds; IO. */
enum tide_err tide_outlet_file_open(const struct tide_outlet_file_options *options, struct tide_outlet **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
