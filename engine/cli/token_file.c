/* Reading the token of the admin listener (token_file.h).
 *
 * What stands in the file goes into a header of HTTP as it is, so only the characters that RFC 6750 gives a bearer token are taken; a file with anything else
 * is more likely the wrong file. */
#include "cli/token_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_token(const char *text, size_t len) {
  static const char also[] = "-._~+/=";
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && !(c && strchr(also, c))) return false;
  }
  return true;
}

enum tide_err tide_token_read(const char *path, char ret[TIDE_TOKEN_BYTES], struct tide_error *error) {
  char text[TIDE_TOKEN_BYTES + 2] = "";
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, TIDE_E_CONFIG, "cannot open the token file %.200s", path);
  size_t len = fread(text, 1, sizeof text, file);
  bool failed = ferror(file) != 0;
  (void)fclose(file);
  while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) len--;
  bool good = !failed && len >= TIDE_TOKEN_LEAST && len < TIDE_TOKEN_BYTES && is_token(text, len);
  if (good) {
    memcpy(ret, text, len);
    ret[len] = '\0';
  }
  explicit_bzero(text, sizeof text);
  if (good) return TIDE_OK;
  return tide_fail(error, TIDE_E_CONFIG,
                   "the token file %.200s must hold one line of %d to %d letters, digits and -._~+/= (openssl rand -hex 32)", path,
                   TIDE_TOKEN_LEAST, TIDE_TOKEN_BYTES - 1);
}
