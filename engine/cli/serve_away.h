/* The listeners of an engine that begins again: its state is given up because a failover took the end of the journal back, and the next run is not folded so far yet.
 *
 * They are the same listeners on the same ports, over an engine that is not there (tide_engine_absent): decisions are the fallback's, made of the message alone, cause
 * unavailable; /readyz says no and why, /livez says yes, since a restart would only make it longer. So a client or a probe sees a refusal of ours and no refused
 * connection, but for the moment in which one set of listeners takes over from the other. They share nothing with the run that ends, nor with the one that begins.
 */
#ifndef TIDE_SERVE_AWAY_H
#define TIDE_SERVE_AWAY_H

#include "http/server.h"

struct tide_serve_away;
/* `as`: what the listeners of the run that ended were started with, with the ports that they had; copied. `files`: of certificates and tokens, read anew. `why`: a sentence for
 * /readyz. Errors: those of tide_http_start and tide_http_secrets_load; nothing listens then. */
enum tide_err tide_serve_away_start(const struct tide_http_options *as, const struct tide_http_files *files, const char *why, struct tide_serve_away **ret,
                                    struct tide_error *error) TIDE_WARN_UNUSED;
/* Directly before other listeners take the ports. NULL: nothing. */
void tide_serve_away_stop(struct tide_serve_away *away);

#endif
