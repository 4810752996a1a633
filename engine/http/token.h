/* Bearer tokens: who may ask what. A file has one line for each token:
 *
 *   NAME SCOPES HASH        pos-gateway score,read 9f86d081...0a08
 *
 * NAME is for logs, SCOPES are words of TIDE_SCOPES with commas between, HASH is the SHA-256 of the token as 64 hex digits: who reads the file, or a copy of it, cannot ask
 * with it. `#` begins a comment. A plain hash will do because a token is drawn at random (256 bits by `tidemark tokens generate`); it would not for a password.
 *
 * A token is looked for by hashing what came and comparing with every line, equal bytes or not, found or not: how long that takes tells nothing about which line comes
 * close, and what is compared are hashes, of which a guesser cannot choose the first bytes. */
#ifndef TIDE_TOKEN_H
#define TIDE_TOKEN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

/* X(name, what it lets do). A route asks for exactly one. */
#define TIDE_SCOPES(X)                                                                                 \
  X(open, "nothing is asked for: neither token nor client certificate")                                \
  X(score, "ask for decisions, counting or not")                                                       \
  X(facts, "tell events, outcomes and profile facts")                                                  \
  X(read, "read features and stored decisions")                                                        \
  X(monitor, "read metrics and the state of the engine")                                               \
  X(snapshot, "take a snapshot, which is the whole state with its hashed keys")                        \
  X(operate, "decide for the cell, as an operator does")
enum tide_scope {
#define X(name, text) TIDE_SCOPE_##name,
  TIDE_SCOPES(X)
#undef X
      TIDE_SCOPE_COUNT
};
const char *tide_scope_name(enum tide_scope scope);
const char *tide_scope_text(enum tide_scope scope);
/* "score,read" -> bits 1 << TIDE_SCOPE_score | ...; false when a word is none, or `open`, which is nobody's. */
bool tide_scopes_parse(struct tide_span text, uint32_t *ret);

#define TIDE_TOKENS_MAX 256
#define TIDE_TOKEN_LEAST 32 /* characters: less is no random token */
#define TIDE_TOKEN_MOST 256
#define TIDE_TOKEN_NAME 49
struct tide_token {
  char name[TIDE_TOKEN_NAME];
  uint32_t scopes;
  uint8_t hash[TIDE_SHA256_BYTES];
};
struct tide_tokens {
  size_t count;
  struct tide_token token[TIDE_TOKENS_MAX];
};

/* The characters that RFC 6750 gives a bearer token, and neither too few nor too many. */
bool tide_token_is_good(struct tide_span token);
/* A token that a file holds, one line, for who asks with it. NOT_FOUND, IO; CONFIG where it is none. Overwrite it when it is done with. */
enum tide_err tide_token_load(const char *path, char ret[TIDE_TOKEN_MOST + 1], struct tide_error *error) TIDE_WARN_UNUSED;
/* CONFIG, with the line and never its text: a word that is none, a hash that is none, a name or a hash twice, no token at all, too many. Free *ret with tide_free. */
enum tide_err tide_tokens_parse(struct tide_span text, const char *path, struct tide_tokens **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The same of a file; IO, NOT_FOUND; CONFIG where everybody may write it. */
enum tide_err tide_tokens_read(const char *path, struct tide_tokens **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The line of a token, NULL when there is none. */
const struct tide_token *tide_tokens_find(const struct tide_tokens *tokens, struct tide_span token);
/* The same by the token's hash. */
const struct tide_token *tide_tokens_find_hash(const struct tide_tokens *tokens, const uint8_t hash[TIDE_SHA256_BYTES]);
/* Appends the line of a token, without line break. */
void tide_token_line(const char *name, struct tide_span scopes, struct tide_span token, struct tide_buf *out);

#endif
