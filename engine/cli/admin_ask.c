/* One question to an admin listener (admin_ask.h).
 *
 * The token is read for this one question and wiped behind it. A 409 says that the state of the cell does not allow what was asked for: the exit code is that of differences. */
#include "cli/admin_ask.h"

#include "adapter/admin_client.h"
#include "http/token.h"

#define TIMEOUT_MS 30000 /* above what an engine gives itself */

int tide_admin_json(const struct tide_args *args, const char *path, const struct tide_buf *body, json_t **ret) {
  char token[TIDE_TOKEN_MOST + 1] = "";
  struct tide_error error = {0};
  struct tide_buf answer = TIDE_BUF_INIT;
  const char *file = tide_args_text(args, "token-file");
  struct tide_admin_request request = {
      .address = tide_args_text(args, "admin"), .path = path, .token = file ? token : NULL, .timeout_ms = TIMEOUT_MS};
  if (body) request.body = tide_buf_span(body);
  long status = 0;
  enum tide_err err = file ? tide_token_load(file, token, &error) : TIDE_OK;
  if (err == TIDE_OK) err = tide_admin_ask(&request, &status, &answer, &error);
  explicit_bzero(token, sizeof token);
  int exit = TIDE_EXIT_OK;
  json_t *object = err == TIDE_OK ? json_loadb(answer.ptr, answer.len, 0, NULL) : NULL;
  if (err != TIDE_OK) {
    exit = tide_exit_report(&error);
  } else if (!json_is_object(object)) {
    fprintf(stderr, "tidemark: what answers at %s is no admin listener of an engine (status %ld)\n", request.address, status);
    exit = TIDE_EXIT_IO;
  } else if (status != 200) {
    const char *detail = json_string_value(json_object_get(object, "detail")), *title = json_string_value(json_object_get(object, "title"));
    fprintf(stderr, "tidemark: %s: %s\n", title ? title : "refused", detail ? detail : "no reason is given");
    exit = status == 400 || status == 404 || status == 422 ? TIDE_EXIT_USAGE
           : status == 401 || status == 403                ? TIDE_EXIT_CONFIG
           : status == 409                                 ? TIDE_EXIT_DIFFERENT
                                                           : TIDE_EXIT_IO;
  }
  if (exit == TIDE_EXIT_OK && tide_args_on(args, "json")) printf("%.*s\n", (int)answer.len, answer.ptr);
  tide_buf_release(&answer);
  if (exit == TIDE_EXIT_OK) *ret = object;
  else json_decref(object);
  return exit;
}
