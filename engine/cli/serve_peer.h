/* A snapshot for an engine that has none: the newest that the journal bears out, from its peers or a shared directory.
 *
 * A shortcut where the journal is whole, and the only way in where its beginning was trimmed. */
#ifndef TIDE_SERVE_PEER_H
#define TIDE_SERVE_PEER_H

#include "config/config.h"
#include "port/journal.h"

/* Puts one snapshot into `dir`; *ret_got false where nobody had one that fits, each with its reason in the log. CONFIG: snapshot.peers is not HOST:PORT,... */
enum tide_err tide_serve_fetch(const struct tide_config *config, struct tide_journal *journal, const char *dir, bool *ret_got, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* CONFIG where certificate, key, token and authorities of peers do not go together. */
enum tide_err tide_serve_peer_check(const struct tide_config *config, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
