/* The table of sessions (session.h): few rows, so all are compared, found or not, and how long that takes tells nothing about which comes close. */
#include "http/session.h"

#include "base/check.h"

#include <string.h>
#include <stdio.h>
#include <sys/random.h>

void tide_sessions_init(struct tide_sessions *sessions) {
  memset(sessions, 0, sizeof *sessions);
  TIDE_CHECK(pthread_mutex_init(&sessions->mutex, NULL) == 0);
}

void tide_sessions_release(struct tide_sessions *sessions) {
  (void)pthread_mutex_destroy(&sessions->mutex);
  explicit_bzero(sessions->row, sizeof sessions->row);
}

static bool is_over(const struct tide_session_row *row, struct tide_mono now) {
  return now.ns - row->seen_ns > TIDE_SESSION_IDLE_MS * 1000000 || now.ns - row->begun_ns > TIDE_SESSION_MAX_MS * 1000000;
}

/* The row of a session that is not over; those that are end here. With the lock. */
static struct tide_session_row *find(struct tide_sessions *sessions, struct tide_span text, struct tide_mono now) {
  uint8_t hash[TIDE_SHA256_BYTES];
  struct tide_session_row *found = NULL;
  tide_sha256(text, hash);
  for (size_t i = 0; i < TIDE_SESSIONS_MAX; i++) {
    struct tide_session_row *row = &sessions->row[i];
    if (row->used && is_over(row, now)) explicit_bzero(row, sizeof *row);
    if (tide_same_bytes(hash, row->hash, sizeof hash) && row->used) found = row;
  }
  return found;
}

void tide_sessions_open(struct tide_sessions *sessions, const uint8_t token[TIDE_SHA256_BYTES], struct tide_mono now,
                        char ret[TIDE_SESSION_TEXT]) {
  uint8_t bits[(TIDE_SESSION_TEXT - 1) / 2];
  TIDE_CHECK(getrandom(bits, sizeof bits, 0) == (ssize_t)sizeof bits);
  for (size_t i = 0; i < sizeof bits; i++) snprintf(ret + 2 * i, 3, "%02x", bits[i]);
  explicit_bzero(bits, sizeof bits);
  TIDE_CHECK(pthread_mutex_lock(&sessions->mutex) == 0);
  struct tide_session_row *row = &sessions->row[0];
  for (size_t i = 0; i < TIDE_SESSIONS_MAX && row->used; i++) {
    struct tide_session_row *other = &sessions->row[i];
    if (!other->used || is_over(other, now) || other->seen_ns < row->seen_ns) row = other;
    if (!other->used || is_over(other, now)) break;
  }
  *row = (struct tide_session_row){.used = true, .begun_ns = now.ns, .seen_ns = now.ns};
  memcpy(row->token, token, sizeof row->token);
  tide_sha256((struct tide_span){ret, TIDE_SESSION_TEXT - 1}, row->hash);
  TIDE_CHECK(pthread_mutex_unlock(&sessions->mutex) == 0);
}

bool tide_sessions_find(struct tide_sessions *sessions, struct tide_span text, struct tide_mono now, uint8_t ret_token[TIDE_SHA256_BYTES]) {
  TIDE_CHECK(pthread_mutex_lock(&sessions->mutex) == 0);
  struct tide_session_row *row = find(sessions, text, now);
  if (row) {
    row->seen_ns = now.ns;
    memcpy(ret_token, row->token, sizeof row->token);
  }
  TIDE_CHECK(pthread_mutex_unlock(&sessions->mutex) == 0);
  return row != NULL;
}

void tide_sessions_close(struct tide_sessions *sessions, struct tide_span text) {
  TIDE_CHECK(pthread_mutex_lock(&sessions->mutex) == 0);
  struct tide_session_row *row = find(sessions, text, tide_mono_now());
  if (row) explicit_bzero(row, sizeof *row);
  TIDE_CHECK(pthread_mutex_unlock(&sessions->mutex) == 0);
}
