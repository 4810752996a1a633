/* The list of tokens: read once, then compared in constant time (token.h).
 *
 * The list is small and immutable: a reload makes another one. Mistakes name the line and what is expected there, never what stands there, because the likeliest mistake
 * is a token where its hash should be. */
#include "http/token.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct {
  const char *name, *text;
} scope_row[TIDE_SCOPE_COUNT] = {
#define X(name, text) {#name, text},
    TIDE_SCOPES(X)
#undef X
};

const char *tide_scope_name(enum tide_scope scope) {
  TIDE_CHECK(scope < TIDE_SCOPE_COUNT);
  return scope_row[scope].name;
}
const char *tide_scope_text(enum tide_scope scope) {
  TIDE_CHECK(scope < TIDE_SCOPE_COUNT);
  return scope_row[scope].text;
}

bool tide_scopes_parse(struct tide_span text, uint32_t *ret) {
  uint32_t scopes = 0;
  while (text.len) {
    const char *comma = memchr(text.ptr, ',', text.len);
    size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
    unsigned scope = TIDE_SCOPE_open + 1;
    while (scope < TIDE_SCOPE_COUNT && !(strlen(scope_row[scope].name) == len && memcmp(scope_row[scope].name, text.ptr, len) == 0))
      scope++;
    if (scope == TIDE_SCOPE_COUNT) return false;
    scopes |= 1u << scope;
    if (comma && len + 1 == text.len) return false; /* a comma at the end */
    text.ptr += comma ? len + 1 : len;
    text.len -= comma ? len + 1 : len;
  }
  if (!scopes) return false;
  *ret = scopes;
  return true;
}

static bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool tide_token_is_good(struct tide_span token) {
  if (token.len < TIDE_TOKEN_LEAST || token.len > TIDE_TOKEN_MOST) return false;
  for (size_t i = 0; i < token.len; i++)
    if (!is_plain(token.ptr[i]) && !memchr("-._~+/=", token.ptr[i], 7)) return false;
  return true;
}

enum tide_err tide_token_load(const char *path, char ret[TIDE_TOKEN_MOST + 1], struct tide_error *error) {
  char text[TIDE_TOKEN_MOST + 3];
  FILE *file = fopen(path, "re");
  if (!file)
    return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot open the file of the token %.200s", path);
  size_t len = fread(text, 1, sizeof text, file);
  enum tide_err err = ferror(file) ? tide_fail_errno(error, TIDE_E_IO, "cannot read the file of the token %.200s", path) : TIDE_OK;
  (void)fclose(file);
  while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) len--;
  if (err == TIDE_OK && !tide_token_is_good((struct tide_span){text, len}))
    err = tide_fail(error, TIDE_E_CONFIG,
                    "%.200s must hold one line of %d to %d letters, digits and -._~+/=, drawn at random (openssl rand -hex 32)", path,
                    TIDE_TOKEN_LEAST, TIDE_TOKEN_MOST);
  if (err == TIDE_OK) {
    memcpy(ret, text, len);
    ret[len] = '\0';
  }
  explicit_bzero(text, sizeof text);
  return err;
}

static bool take_name(struct tide_span word, struct tide_token *token) {
  if (word.len == 0 || word.len >= sizeof token->name || !is_plain(word.ptr[0])) return false;
  for (size_t i = 0; i < word.len; i++)
    if (!is_plain(word.ptr[i]) && !memchr("-_.", word.ptr[i], 3)) return false;
  memcpy(token->name, word.ptr, word.len);
  return true;
}

static bool take_hash(struct tide_span word, struct tide_token *token) {
  static const char digits[] = "0123456789abcdefABCDEF";
  if (word.len != 2 * sizeof token->hash) return false;
  for (size_t i = 0; i < word.len; i++) {
    const char *at = memchr(digits, word.ptr[i], sizeof digits - 1);
    if (!at) return false;
    unsigned digit = (unsigned)(at - digits);
    token->hash[i / 2] = (uint8_t)((unsigned)token->hash[i / 2] << 4 | (digit > 15 ? digit - 6 : digit));
  }
  return true;
}

/* The next word of a line, cut off it; empty at its end. */
static struct tide_span next_word(struct tide_span *line) {
  while (line->len && (line->ptr[0] == ' ' || line->ptr[0] == '\t' || line->ptr[0] == '\r')) line->ptr++, line->len--;
  struct tide_span word = {line->ptr, 0};
  while (word.len < line->len && word.ptr[word.len] != ' ' && word.ptr[word.len] != '\t' && word.ptr[word.len] != '\r') word.len++;
  line->ptr += word.len;
  line->len -= word.len;
  return word;
}

static enum tide_err take_line(struct tide_span line, int number, const char *path, struct tide_tokens *tokens, struct tide_error *error) {
  struct tide_token token = {.scopes = 0};
  struct tide_span name = next_word(&line);
  if (name.len == 0 || name.ptr[0] == '#') return TIDE_OK;
  struct tide_span scopes = next_word(&line), hash = next_word(&line), rest = next_word(&line);
  const char *wrong = NULL;
  if (!take_name(name, &token)) wrong = "the first word must be a name of at most 48 letters, digits, `-`, `_` and `.`";
  else if (!tide_scopes_parse(scopes, &token.scopes))
    wrong = "the second word must be scopes with commas between: score, facts, read, monitor, snapshot, operate";
  else if (!take_hash(hash, &token))
    wrong =
        "the third word must be the SHA-256 of the token, 64 hex digits (never the token itself); `tidemark tokens generate` prints the line";
  else if (rest.len && rest.ptr[0] != '#') wrong = "there is a fourth word";
  else if (tokens->count == TIDE_TOKENS_MAX) wrong = "there are more than 256 tokens";
  for (size_t i = 0; i < tokens->count && !wrong; i++) {
    if (strcmp(tokens->token[i].name, token.name) == 0)
      wrong = "the name stands in a line before; for a rotation give the new token a name of its own";
    else if (memcmp(tokens->token[i].hash, token.hash, sizeof token.hash) == 0)
      wrong = "the token stands in a line before, under another name";
  }
  if (wrong) return tide_fail_at(error, TIDE_E_CONFIG, number, 0, "http.tokens_file", "%.150s:%d: %s", path, number, wrong);
  tokens->token[tokens->count++] = token;
  return TIDE_OK;
}

enum tide_err tide_tokens_parse(struct tide_span text, const char *path, struct tide_tokens **ret, struct tide_error *error) {
  struct tide_tokens *tokens = tide_alloc(sizeof *tokens);
  enum tide_err err = TIDE_OK;
  for (int number = 1; text.len && err == TIDE_OK; number++) {
    const char *end = memchr(text.ptr, '\n', text.len);
    struct tide_span line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
    err = take_line(line, number, path, tokens, error);
    text.ptr += end ? line.len + 1 : line.len;
    text.len -= end ? line.len + 1 : line.len;
  }
  if (err == TIDE_OK && tokens->count == 0)
    err = tide_fail_at(
        error, TIDE_E_CONFIG, 0, 0, "http.tokens_file",
        "%.200s holds no token, so nobody could ask anything; make one with: tidemark tokens generate FILE --name NAME --scopes SCOPES",
        path);
  if (err == TIDE_OK) *ret = tokens;
  else tide_free(tokens);
  return err;
}

enum tide_err tide_tokens_read(const char *path, struct tide_tokens **ret, struct tide_error *error) {
  enum { TEXT_MAX = 1 << 17 };
  FILE *file = fopen(path, "re");
  if (!file)
    return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO,
                           "cannot open the file of tokens %.200s (http.tokens_file)", path);
  struct stat st;
  char *text = tide_alloc(TEXT_MAX);
  size_t len = fread(text, 1, TEXT_MAX, file);
  enum tide_err err = TIDE_OK;
  if (ferror(file) || fstat(fileno(file), &st) != 0) err = tide_fail_errno(error, TIDE_E_IO, "cannot read the file of tokens %.200s", path);
  else if (len == TEXT_MAX) err = tide_fail(error, TIDE_E_CONFIG, "the file of tokens %.200s is longer than 256 tokens are", path);
  else if (st.st_mode & S_IWOTH)
    err = tide_fail(error, TIDE_E_CONFIG, "everybody may write the file of tokens %.200s: chmod o-w, or everybody makes tokens", path);
  (void)fclose(file);
  if (err == TIDE_OK) err = tide_tokens_parse((struct tide_span){text, len}, path, ret, error);
  tide_free(text);
  return err;
}

const struct tide_token *tide_tokens_find(const struct tide_tokens *tokens, struct tide_span token) {
  uint8_t hash[TIDE_SHA256_BYTES];
  tide_sha256(token, hash);
  return tide_tokens_find_hash(tokens, hash);
}

const struct tide_token *tide_tokens_find_hash(const struct tide_tokens *tokens, const uint8_t hash[TIDE_SHA256_BYTES]) {
  size_t found = TIDE_TOKENS_MAX;
  for (size_t i = 0; i < tokens->count; i++) {
    size_t same = tide_same_bytes(hash, tokens->token[i].hash, TIDE_SHA256_BYTES);
    found = same * i + (1 - same) * found; /* no branch, no early end */
  }
  return found < TIDE_TOKENS_MAX ? &tokens->token[found] : NULL;
}

void tide_token_line(const char *name, struct tide_span scopes, struct tide_span token, struct tide_buf *out) {
  uint8_t hash[TIDE_SHA256_BYTES];
  tide_sha256(token, hash);
  tide_buf_printf(out, "%s %.*s ", name, (int)scopes.len, scopes.ptr);
  for (size_t i = 0; i < sizeof hash; i++) tide_buf_printf(out, "%02x", hash[i]);
}
