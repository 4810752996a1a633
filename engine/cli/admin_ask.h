/* Asking a running engine, for verbs that show or decide what only it knows: --admin and --token-file, one question, a JSON object back.
 *
 * What is wrong is printed in the engine's own words (a problem document has them), and its status becomes an exit code. */
#ifndef TIDE_ADMIN_ASK_H
#define TIDE_ADMIN_ASK_H

#include "cli/args.h"

#include <jansson.h>

/* Rows of every such verb, beside its own `admin` and `json`. */
#define TIDE_TOKEN_OPTION                                                                                                              \
  {"token-file", "FILE", NULL, "File with a token that the engine knows (http.tokens_file): of scope monitor to look, of scope operate to decide", \
   TIDE_OPT_TEXT, 0, 0, 0, NULL}

/* Asks --admin: GET, or POST where body is not NULL. *ret is the object of an answer with status 200, to be freed; with --json it is printed as it came. Else the
 * exit code, and why is printed. */
int tide_admin_json(const struct tide_args *args, const char *path, const struct tide_buf *body, json_t **ret);

#endif
