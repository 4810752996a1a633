/* Asking a running engine from the command line (admin_args.h): by plain HTTP or HTTPS, with or without a certificate, with or without a token, as the listener is set up.
 *
 * A token and a private key are only ever named by their files, so that neither stands in a history or a list of processes. */
#include "cli/admin_args.h"

#include "adapter/admin_client.h"
#include "http/token.h"

#include <stdlib.h>

#define TIMEOUT_MS 30000 /* above what an engine gives itself */

static const char *path_of(const struct tide_args *args, const char *name) {
  const char *text = tide_args_text(args, name);
  return text ? text : "";
}

static enum tide_err check_access(const struct tide_admin_access *access, struct tide_error *error) {
  if (!access->cert[0] != !access->key[0])
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, access->cert[0] ? "key" : "cert",
                        "--cert and --key go together: a certificate and its key");
  if (access->cert[0] && !access->ca[0])
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "ca",
                        "--cert is shown by HTTPS only: say with --ca which authority the listener's certificate is of");
  return TIDE_OK;
}

static int exit_of_status(long status) {
  if (status == 400 || status == 404 || status == 422) return TIDE_EXIT_USAGE;
  if (status == 401 || status == 403) return TIDE_EXIT_CONFIG;
  return status == 409 ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_IO;
}

static int call(const struct tide_args *args, const char *address, const char *path, const struct tide_buf *body, bool tells,
                json_t **ret) {
  char token[TIDE_TOKEN_MOST + 1] = "";
  struct tide_error error = {0};
  struct tide_buf answer = TIDE_BUF_INIT;
  const char *file = tide_args_text(args, "token-file");
  struct tide_admin_request request = {
      .address = address,
      .path = path,
      .access = {.ca = path_of(args, "ca"), .cert = path_of(args, "cert"), .key = path_of(args, "key"), .token = token},
      .timeout_ms = TIMEOUT_MS};
  if (body) request.body = tide_buf_span(body);
  long status = 0;
  enum tide_err err = check_access(&request.access, &error);
  if (err == TIDE_OK && file) err = tide_token_load(file, token, &error);
  if (err == TIDE_OK) err = tide_admin_ask(&request, &status, &answer, &error);
  explicit_bzero(token, sizeof token);
  int exit = TIDE_EXIT_OK;
  json_t *object = err == TIDE_OK ? json_loadb(answer.ptr, answer.len, 0, NULL) : NULL;
  if (err != TIDE_OK) {
    exit = tide_exit_report(&error);
  } else if (!json_is_object(object)) {
    fprintf(stderr, "tidemark: what answers at %s is no admin listener of an engine that knows %s (status %ld)%s\n", address, path, status,
            request.access.ca[0] ? "" : "; a listener with a certificate is asked with --ca");
    exit = TIDE_EXIT_IO;
  } else if (status != 200) {
    const char *detail = json_string_value(json_object_get(object, "detail")), *title = json_string_value(json_object_get(object, "title"));
    fprintf(stderr, "tidemark: %s: %s\n", title ? title : "refused", detail ? detail : "no reason is given");
    exit = exit_of_status(status);
  }
  if (exit == TIDE_EXIT_OK && tells) printf("%.*s\n", (int)answer.len, answer.ptr);
  tide_buf_release(&answer);
  if (exit == TIDE_EXIT_OK) *ret = object;
  else json_decref(object);
  return exit;
}

int tide_admin_call(const struct tide_args *args, const char *address, const char *path, const struct tide_buf *body, json_t **ret) {
  return call(args, address, path, body, false, ret);
}

int tide_admin_tell(const struct tide_args *args, const char *path, const struct tide_buf *body, json_t **ret) {
  return call(args, tide_args_text(args, "admin"), path, body, tide_args_on(args, "json"), ret);
}
