/* Reading, writing and choosing the hash key (key_file.h).
 *
 * The key's bytes are wiped from every buffer they passed through, no message quotes them, and a file is never overwritten: a lost key
 * means that no card is recognised again. */
#include "cli/key_file.h"

#include "base/log.h"
#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

enum tide_err tide_key_parse(struct tide_span text, const char *where, struct tide_secret_key *ret, struct tide_error *error) {
  while (text.len && is_space(text.ptr[0])) text.ptr++, text.len--;
  while (text.len && is_space(text.ptr[text.len - 1])) text.len--;
  if (text.len != 2 * TIDE_SECRET_KEY_BYTES)
    return tide_fail(error, TIDE_E_CONFIG,
                     "%s must hold %d hex digits and holds %zu characters; make a key with: tidemark keys generate FILE", where,
                     2 * TIDE_SECRET_KEY_BYTES, text.len);
  struct tide_secret_key key = {0};
  for (size_t i = 0; i < text.len; i++) {
    int digit = hex_digit(text.ptr[i]);
    if (digit < 0) {
      explicit_bzero(&key, sizeof key);
      return tide_fail(error, TIDE_E_CONFIG, "%s: character %zu is not a hex digit; make a key with: tidemark keys generate FILE", where,
                       i + 1);
    }
    key.bytes[i / 2] = (uint8_t)(key.bytes[i / 2] << 4 | digit);
  }
  tide_secret_key_seal(&key);
  *ret = key;
  explicit_bzero(&key, sizeof key);
  return TIDE_OK;
}

enum tide_err tide_key_read(const char *path, struct tide_secret_key *ret, struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    enum tide_err code = errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO;
    return tide_fail_errno(error, code, "cannot read the key file %s", path);
  }
  char text[256];
  size_t len = 0;
  ssize_t n;
  while (len < sizeof text && ((n = read(fd, text + len, sizeof text - len)) > 0 || (n < 0 && errno == EINTR)))
    if (n > 0) len += (size_t)n;
  enum tide_err err = n < 0 ? tide_fail_errno(error, TIDE_E_IO, "cannot read the key file %s", path)
                            : tide_key_parse((struct tide_span){text, len}, path, ret, error);
  close(fd);
  explicit_bzero(text, sizeof text);
  return err;
}

enum tide_err tide_key_write(const char *path, const struct tide_secret_key *key, struct tide_error *error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == EEXIST)
      return tide_fail(error, TIDE_E_EXISTS, "%s exists already and a key is never overwritten; choose another name", path);
    return tide_fail_errno(error, TIDE_E_IO, "cannot create the key file %s", path);
  }
  char text[2 * TIDE_SECRET_KEY_BYTES + 1];
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < TIDE_SECRET_KEY_BYTES; i++) {
    text[2 * i] = digits[key->bytes[i] >> 4];
    text[2 * i + 1] = digits[key->bytes[i] & 15];
  }
  text[sizeof text - 1] = '\n';
  bool written = write(fd, text, sizeof text) == (ssize_t)sizeof text && fsync(fd) == 0;
  enum tide_err err = TIDE_OK;
  if (!written) err = tide_fail_errno(error, TIDE_E_IO, "cannot write the key file %s", path);
  if (close(fd) != 0 && err == TIDE_OK) err = tide_fail_errno(error, TIDE_E_IO, "cannot write the key file %s", path);
  explicit_bzero(text, sizeof text);
  if (err != TIDE_OK) unlink(path);
  return err;
}

enum tide_err tide_password_read(const char *option, const char *path, char *out, size_t size, struct tide_error *error) {
  FILE *in = fopen(path, "re");
  if (!in) return tide_fail_errno(error, TIDE_E_CONFIG, "cannot read %s %s", option, path);
  size_t len = fread(out, 1, size, in);
  bool bad = ferror(in) != 0;
  (void)fclose(in);
  while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r')) len--;
  if (bad || len == 0 || len == size || memchr(out, 0, len))
    return tide_fail(error, TIDE_E_CONFIG, "%s %s must hold one line with a password of at most %zu bytes", option, path, size - 1);
  out[len] = 0;
  return TIDE_OK;
}

struct tide_secret_key tide_key_development(void) {
  struct tide_secret_key key = {0};
  for (size_t i = 0; i < TIDE_SECRET_KEY_BYTES; i++) key.bytes[i] = (uint8_t)i;
  tide_secret_key_seal(&key);
  return key;
}

int64_t tide_keys_seed(const struct tide_keys *keys) { return keys->has_now ? (int64_t)tide_secret_seed(&keys->now) : 0; }

static bool needs_key(const struct tide_spec *spec) {
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (spec->field[i].secret) return true;
  return false;
}

static const char *path_or_null(const char *path) { return path && *path ? path : NULL; }

enum tide_err tide_keys_from_args(const struct tide_args *args, const struct tide_spec *spec, struct tide_keys *ret,
                                  struct tide_error *error) {
  struct tide_key_places places = {.file = tide_args_text(args, "key-file"),
                                   .file_previous = tide_args_text(args, "key-file-previous"),
                                   .development = tide_args_on(args, "dev-key")};
  enum tide_err err = tide_keys_load(&places, spec, ret, error);
  const char *dumps = getenv("TIDEMARK_PROCESS_CORE_DUMPS");
  if (err == TIDE_OK && ret->has_now && !places.development && !(dumps && strcmp(dumps, "true") == 0)) tide_process_seal();
  return err;
}

enum tide_err tide_keys_load(const struct tide_key_places *places, const struct tide_spec *spec, struct tide_keys *ret,
                             struct tide_error *error) {
  const char *path = path_or_null(places->file), *path_previous = path_or_null(places->file_previous);
  const char *env = getenv(TIDE_KEY_ENV);
  bool dev = places->development;
  struct tide_keys keys = {0};
  enum tide_err err = TIDE_OK;
  if (dev && path) return tide_fail(error, TIDE_E_USAGE, "give --key-file or --dev-key, not both");
  if (path_previous && !path) return tide_fail(error, TIDE_E_USAGE, "--key-file-previous goes with --key-file, the key after the rotation");
  if (path) err = tide_key_read(path, &keys.now, error);
  else if (dev) keys.now = tide_key_development();
  else if (env && *env) err = tide_key_parse(tide_span_of(env), "the environment variable " TIDE_KEY_ENV, &keys.now, error);
  if (err != TIDE_OK) return err;
  keys.has_now = path || dev || (env && *env);
  if (path_previous) {
    err = tide_key_read(path_previous, &keys.previous, error);
    if (err != TIDE_OK) return err;
    keys.has_previous = true;
  }
  if (!keys.has_now && needs_key(spec))
    return tide_fail(error, TIDE_E_CONFIG,
                     "the feature file has secret fields, so a key is needed: --key-file FILE, " TIDE_KEY_ENV
                     " in the environment, or --dev-key for samples");
  if (dev && needs_key(spec))
    tide_log(TIDE_LOG_WARN, "development_key", "note=%s", "card numbers are hashed under a published key; never use it with real ones");
  *ret = keys;
  return TIDE_OK;
}
