/* tidemark tokens generate | line: a bearer token for a client, and its line for http.tokens_file (http/token.h).
 *
 * The token itself goes into a file of mode 0600 that is handed to the client, and is never printed; what is printed is the line with its hash, which may be kept with the
 * configuration. Nothing is added to a list by itself: who gets which scope is a change somebody should see. */
#include "cli/verbs.h"

#include "cli/key_file.h"
#include "http/token.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { RANDOM_BYTES = 32 };

static const struct tide_positional file[] = {{"FILE", "The file of the token", false, false}};
static const struct tide_opt options[] = {
    {"name", "NAME", NULL, "Name of the client, for logs: letters, digits, `-`, `_` and `.`", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"scopes", "WORDS", NULL, "What it may ask, with commas between: score, facts, read, monitor, snapshot, operate", TIDE_OPT_TEXT, 0, 0,
     0, NULL},
};

/* base64url without padding (RFC 4648, section 5). */
static void put_base64(const uint8_t *bytes, size_t len, char *out) {
  static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned bits = 0, held = 0;
  for (size_t i = 0; i < len; i++) {
    held = held << 8 | bytes[i];
    for (bits += 8; bits >= 6; bits -= 6) *out++ = digit[held >> (bits - 6) & 63];
    held &= (1u << bits) - 1;
  }
  if (bits) *out++ = digit[held << (6 - bits) & 63];
  *out = '\0';
}

/* The line, which is read again as serving will read it: so a name or a scope that is none is told here. */
static enum tide_err make_line(const struct tide_args *args, const char *token, struct tide_buf *out, struct tide_error *error) {
  const char *name = tide_args_text(args, "name"), *scopes = tide_args_text(args, "scopes");
  struct tide_tokens *tokens = NULL;
  if (!name || !scopes) return tide_fail(error, TIDE_E_USAGE, "give --name NAME and --scopes WORDS");
  tide_token_line(name, tide_span_of(scopes), tide_span_of(token), out);
  enum tide_err err = tide_tokens_parse(tide_buf_span(out), "the new line", &tokens, error);
  tide_free(tokens);
  return err;
}

static int finish(enum tide_err err, struct tide_buf *line, struct tide_error *error) {
  if (err == TIDE_OK) printf("%s\n", tide_buf_cstr(line));
  tide_buf_release(line);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(error);
}

static enum tide_err write_token(const char *path, const char *token, struct tide_error *error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return tide_fail(error, TIDE_E_EXISTS, "%.200s exists already and a token is never overwritten", path);
  if (fd < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot create the file of the token %.200s", path);
  size_t len = strlen(token);
  bool good = write(fd, token, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
  enum tide_err err = good ? TIDE_OK : tide_fail_errno(error, TIDE_E_IO, "cannot write the file of the token %.200s", path);
  if (close(fd) != 0 && err == TIDE_OK) err = tide_fail_errno(error, TIDE_E_IO, "cannot write the file of the token %.200s", path);
  if (err != TIDE_OK) (void)unlink(path);
  return err;
}

static int generate(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_buf line = TIDE_BUF_INIT;
  uint8_t bytes[RANDOM_BYTES];
  char token[2 * RANDOM_BYTES];
  enum tide_err err = TIDE_OK;
  if (getentropy(bytes, sizeof bytes) != 0) err = tide_fail_errno(&error, TIDE_E_IO, "cannot draw a random token");
  if (err == TIDE_OK) {
    put_base64(bytes, sizeof bytes, token);
    err = make_line(args, token, &line, &error);
    if (err == TIDE_OK) err = write_token(tide_args_at(args, 0), token, &error);
  }
  explicit_bzero(bytes, sizeof bytes);
  explicit_bzero(token, sizeof token);
  return finish(err, &line, &error);
}

const struct tide_verb tide_verb_tokens_generate = {
    .name = "tokens generate",
    .summary = "Draw a token for a client, write it to a file and print its line for http.tokens_file",
    .about =
        "The token has 256 random bits; the file is created with mode 0600 and never overwritten. Add the printed line to the list and send SIGHUP to the engines.",
    .example = "tidemark tokens generate gateway.token --name gateway --scopes score,facts >> tokens",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = file,
    .positional_count = 1,
    .run = generate};

static int line_of(const struct tide_args *args) {
  const char *path = tide_args_at(args, 0);
  struct tide_error error = {0};
  struct tide_buf line = TIDE_BUF_INIT;
  char text[TIDE_TOKEN_MOST + 1] = "";
  enum tide_err err = tide_token_load(path, text, &error);
  if (err == TIDE_OK) err = make_line(args, text, &line, &error);
  explicit_bzero(text, sizeof text);
  return finish(err, &line, &error);
}

const struct tide_verb tide_verb_tokens_line = {
    .name = "tokens line",
    .summary = "Print the line of a token that a file holds, for http.tokens_file",
    .about = "For a token that was drawn elsewhere, or another choice of scopes. The token itself is not printed.",
    .example = "tidemark tokens line prometheus.token --name prometheus --scopes monitor",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = file,
    .positional_count = 1,
    .run = line_of};
