/* Options of the verbs that ask a running engine at its admin listener, and the asking.
 *
 * A verb puts TIDE_ADMIN_ADDRESS (or a row of its own for the address) and TIDE_ADMIN_OPTIONS into its table and calls tide_admin_call. Whatever goes wrong is told to people
 * there, with one exit code per kind. */
#ifndef TIDE_ADMIN_ARGS_H
#define TIDE_ADMIN_ARGS_H

#include "cli/args.h"

#include <jansson.h>

#define TIDE_ADMIN_ADDRESS                                                                                                                 \
  {                                                                                                                                        \
    "admin", "HOST:PORT", "127.0.0.1:9090", "Admin listener of an engine of the cell (http.admin_listen, http.admin_port)", TIDE_OPT_TEXT, \
        0, 0, 0, NULL                                                                                                                      \
  }
#define TIDE_ADMIN_OPTIONS                                                                                                                 \
  {"ca", "FILE", NULL, "Ask by HTTPS: the authority that has issued the listener's certificate (http.admin_tls_cert)", TIDE_OPT_TEXT, 0,   \
   0, 0, NULL},                                                                                                                            \
      {"cert", "FILE", NULL, "Certificate to show to a listener that asks for one (http.admin_tls_client_ca)", TIDE_OPT_TEXT, 0, 0, 0,     \
       NULL},                                                                                                                              \
      {"key", "FILE", NULL, "Its private key", TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                              \
      {"token-file", "FILE", NULL,                                                                                                         \
       "File with a token that the engine knows (http.tokens_file): of scope monitor to look, of scope operate to decide", TIDE_OPT_TEXT,  \
       0, 0, 0, NULL},                                                                                                                     \
  {                                                                                                                                        \
    "json", NULL, NULL, "The engine's answer as it came", TIDE_OPT_SWITCH, 0, 0, 0, NULL                                                   \
  }

/* GET path at the address, or POST of body (NULL: GET). *ret is the object of an answer with status 200, to be freed with json_decref. Else an exit code, and why is printed. */
int tide_admin_call(const struct tide_args *args, const char *address, const char *path, const struct tide_buf *body, json_t **ret) TIDE_WARN_UNUSED;
/* The same of --admin; with --json the answer is printed as it came. */
int tide_admin_tell(const struct tide_args *args, const char *path, const struct tide_buf *body, json_t **ret) TIDE_WARN_UNUSED;

#endif
