/* Sessions of people who have logged in at the console: what a browser shows instead of a token, for a while.
 *
 * Who posts a token that is known gets 256 random bits as a cookie that scripts cannot read and other sites cannot send (HttpOnly, SameSite=Strict).
 * Kept is their SHA-256, compared with all in constant time, and that of the token: a session is worth what its token is worth now, so a token that is
 * taken out of the file ends its sessions. It ends by itself after TIDE_SESSION_IDLE_MS without a request, after TIDE_SESSION_MAX_MS at the latest, at a
 * logout, and with the process; of more than TIDE_SESSIONS_MAX the one that was used longest ago ends. */
#ifndef TIDE_SESSION_H
#define TIDE_SESSION_H

#include "base/clock.h"
#include "base/hash.h"

#include <pthread.h>

#define TIDE_SESSIONS_MAX 64
#define TIDE_SESSION_TEXT 65 /* 64 hex digits and the zero byte */
#define TIDE_SESSION_IDLE_MS INT64_C(1800000)
#define TIDE_SESSION_MAX_MS INT64_C(28800000)

struct tide_session_row {
  bool used;
  uint8_t hash[TIDE_SHA256_BYTES], token[TIDE_SHA256_BYTES];
  int64_t begun_ns, seen_ns; /* monotonic */
};
struct tide_sessions {
  pthread_mutex_t mutex;
  struct tide_session_row row[TIDE_SESSIONS_MAX];
};

void tide_sessions_init(struct tide_sessions *sessions);
void tide_sessions_release(struct tide_sessions *sessions);
/* A new session of the token with this hash. */
void tide_sessions_open(struct tide_sessions *sessions, const uint8_t token[TIDE_SHA256_BYTES], struct tide_mono now, char ret[TIDE_SESSION_TEXT]);
/* Whose it is; false: there is no such session any more. It was used now. */
bool tide_sessions_find(struct tide_sessions *sessions, struct tide_span text, struct tide_mono now, uint8_t ret_token[TIDE_SHA256_BYTES]);
void tide_sessions_close(struct tide_sessions *sessions, struct tide_span text);

#endif
