/* See serve_away.h.
 *
 * Everything that the listeners borrow is owned here: the feature file is parsed again of its text, keys are copied and wiped behind them, meters begin at zero as those of the
 * next run do. Sources, peers' snapshots and the watch are the engine's, so there are none. */
#include "cli/serve_away.h"

#include <stdio.h>

#include "cli/process.h"

struct tide_serve_away {
  struct tide_http *http;
  struct tide_engine *engine;
  struct tide_spec *spec;
  struct tide_meters *meters;
  struct tide_watcher *watcher;
  struct tide_secret_key key, key_previous;
  char *cell, *durability;
};

static enum tide_err start(struct tide_serve_away *away, const struct tide_http_options *as, const struct tide_http_files *files,
                           struct tide_error *error) {
  struct tide_http_options options = *as;
  struct tide_watch_options watched = tide_watcher_options(as->watcher);
  size_t errors;
  enum tide_err err =
      tide_spec_parse("the feature file", (struct tide_span){as->spec->text, as->spec->text_len}, &away->spec, error, 1, &errors);
  if (err == TIDE_OK) err = tide_http_meters_new(away->spec, NULL, 0, &away->meters, error);
  options.secrets = NULL;
  if (err == TIDE_OK) err = tide_http_secrets_load(files, &options.secrets, error);
  if (err != TIDE_OK) return err;
  options.engine = away->engine;
  options.spec = away->spec;
  options.meters = away->meters;
  options.key = as->key ? &away->key : NULL;
  options.key_previous = as->key_previous ? &away->key_previous : NULL;
  options.cell = away->cell;
  options.durability = away->durability;
  options.watcher = away->watcher = tide_watcher_new(&watched);
  options.snapshots = NULL;
  options.source = NULL;
  options.source_count = 0;
  options.ingest = NULL;
  options.logs = NULL;
  tide_meter_set(tide_meters_shared(away->meters), TIDE_METER_ROW_engine_state, (struct tide_meter_at){.a = TIDE_CORE_lost}, 1);
  err = tide_http_start(&options, &away->http, error);
  if (err != TIDE_OK) tide_http_secrets_free(options.secrets);
  return err;
}

enum tide_err tide_serve_away_start(const struct tide_http_options *as, const struct tide_http_files *files, const char *why,
                                    struct tide_serve_away **ret, struct tide_error *error) {
  struct tide_serve_away *away = tide_alloc(sizeof *away);
  tide_process_keep(away, sizeof *away);
  if (as->key) away->key = *as->key;
  if (as->key_previous) away->key_previous = *as->key_previous;
  away->cell = tide_strndup(as->cell, strlen(as->cell));
  away->durability = tide_strndup(as->durability, strlen(as->durability));
  away->engine = tide_engine_absent(why);
  enum tide_err err = start(away, as, files, error);
  if (err == TIDE_OK) *ret = away;
  else tide_serve_away_stop(away);
  return err;
}

void tide_serve_away_stop(struct tide_serve_away *away) {
  if (!away) return;
  tide_http_stop(away->http);
  tide_engine_free(away->engine);
  tide_watcher_free(away->watcher);
  tide_meters_free(away->meters);
  tide_spec_free(away->spec);
  tide_free(away->cell);
  tide_free(away->durability);
  tide_process_wipe(away, sizeof *away);
  tide_free(away);
}
