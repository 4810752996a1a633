/* Short options as rows, rows as limits (serve_config.h).
 *
 * Each short option becomes one or two texts "row=value" that the configuration parses with its own rules, so an option cannot accept what the row
 * refuses. */
#include "cli/serve_config.h"

#include <stdio.h>

#include "cli/verbs.h"

enum { SETS_MAX = 24, SET_BYTES = 1200 };

struct sets {
  char text[SETS_MAX][SET_BYTES];
  const char *set[SETS_MAX];
  size_t count;
};

static bool put(struct sets *sets, const char *row, const char *value) {
  TIDE_CHECK(sets->count < SETS_MAX);
  char *text = sets->text[sets->count];
  if ((size_t)snprintf(text, SET_BYTES, "%s=%s", row, value) >= SET_BYTES) {
    fprintf(stderr, "tidemark: the value for %s is too long\n", row);
    return false;
  }
  sets->set[sets->count++] = text;
  return true;
}

static bool put_option(struct sets *sets, const struct tide_args *args, const char *option, const char *row) {
  const char *value = tide_args_text(args, option);
  return !value || put(sets, row, value);
}

static bool put_address(struct sets *sets, const struct tide_args *args, const char *option, const char *host_row, const char *port_row,
                        struct tide_error *error) {
  const char *value = tide_args_text(args, option);
  struct tide_http_address address;
  if (!value) return true;
  if (tide_http_address_parse(value, &address, error) != TIDE_OK) return false;
  char port[8];
  snprintf(port, sizeof port, "%u", address.port);
  return put(sets, host_row, address.host) && put(sets, port_row, port);
}

static bool put_journal(struct sets *sets, const struct tide_args *args, struct tide_error *error) {
  const char *value = tide_args_text(args, "journal"), *dir;
  if (!value) return true;
  if (strncmp(value, "redis", 5) == 0 || strncmp(value, "unix:", 5) == 0)
    return put(sets, "journal.kind", "redis") && put(sets, "journal.url", value);
  if (tide_journal_arg(value, &dir, error) != TIDE_OK) return false;
  return put(sets, "journal.kind", dir ? "file" : "memory") && (!dir || put(sets, "journal.dir", dir));
}

bool tide_serve_config(const struct tide_args *args, struct tide_config **ret, int *ret_exit) {
  static const char *const plain[][2] = {{"features", "features.file"},
                                         {"model", "model.file"},
                                         {"cell", "cell.name"},
                                         {"key-file", "keys.file"},
                                         {"key-file-previous", "keys.file_previous"}};
  struct sets *sets = tide_alloc(sizeof *sets);
  struct tide_error error = {0};
  bool good = put_journal(sets, args, &error) && put_address(sets, args, "listen", "http.listen", "http.port", &error) &&
              put_address(sets, args, "admin", "http.admin_listen", "http.admin_port", &error);
  for (size_t i = 0; good && i < sizeof plain / sizeof plain[0]; i++) good = put_option(sets, args, plain[i][0], plain[i][1]);
  if (good && tide_args_on(args, "dev-key")) good = put(sets, "keys.development", "true");
  if (!good) *ret_exit = error.code != TIDE_OK ? tide_exit_report(&error) : TIDE_EXIT_USAGE;
  good = good && tide_config_open_with(args, sets->set, sets->count, ret, ret_exit);
  tide_free(sets);
  return good;
}

struct tide_watch_options tide_serve_watch(const struct tide_config *config) {
  return (struct tide_watch_options){
      .drift = {.window_ms = {config->drift_window_ms, config->drift_long_window_ms}, .rows_max = (uint32_t)config->drift_max_rows},
      .feedback = {.rows_max = (uint32_t)config->feedback_max_rows,
                   .keep_ms = config->feedback_keep_ms,
                   .mature_ms = config->feedback_genuine_after_ms}};
}

struct tide_http_limits tide_serve_limits(const struct tide_config *config) {
  return (struct tide_http_limits){.threads = config->http_threads,
                                   .body_bytes_max = config->http_max_body_bytes,
                                   .batch_bytes_max = config->http_max_batch_body_bytes,
                                   .batch_items_max = config->http_max_batch,
                                   .header_bytes_max = config->http_max_header_bytes,
                                   .queue_max = config->queue_http,
                                   .connections_max = config->http_max_connections,
                                   .connections_per_ip_max = config->http_max_connections_per_address,
                                   .rate = config->http_rate,
                                   .burst = config->http_burst,
                                   .idle_timeout_ms = config->http_idle_timeout_ms,
                                   .read_timeout_ms = config->http_request_timeout_ms,
                                   .write_timeout_ms = config->http_write_timeout_ms,
                                   .deadline_ms = config->http_default_deadline_ms,
                                   .batch_deadline_ms = config->http_batch_deadline_ms,
                                   .deadline_max_ms = config->http_max_deadline_ms,
                                   .max_future_skew_ms = config->http_max_future_skew_ms,
                                   .drain_ms = config->http_drain_ms};
}

struct tide_http_files tide_serve_files(const struct tide_config *config) {
  return (struct tide_http_files){.tls_cert = {config->http_tls_cert, config->http_admin_tls_cert},
                                  .tls_key = {config->http_tls_key, config->http_admin_tls_key},
                                  .tls_client_ca = {config->http_tls_client_ca, config->http_admin_tls_client_ca},
                                  .tokens = config->http_tokens_file};
}

struct tide_key_places tide_serve_keys(const struct tide_config *config) {
  return (struct tide_key_places){
      .file = config->keys_file, .file_previous = config->keys_file_previous, .development = config->keys_development};
}

char *tide_serve_snapshot_dir(const struct tide_config *config) {
  if (config->journal_kind == TIDE_JOURNAL_KIND_memory) return NULL;
  struct tide_buf dir = TIDE_BUF_INIT;
  if (config->snapshot_dir[0]) tide_buf_str(&dir, config->snapshot_dir);
  else tide_buf_printf(&dir, "%s/snapshots", config->journal_dir);
  return tide_buf_take(&dir);
}
