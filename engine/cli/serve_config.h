/* Serving's configuration: the options of the verb that stand for rows of the operator's file, and what the rows mean to the HTTP listener.
 *
 * A short option and its row are one setting: `--cell eu` is `--set cell.name=eu`, so a script, a file and the environment say the same thing in
 * the same words, and `--print-config` shows what came of it. */
#ifndef TIDE_SERVE_CONFIG_H
#define TIDE_SERVE_CONFIG_H

#include "cli/config_file.h"
#include "cli/key_file.h"
#include "http/server.h"

/* Rows of the verb. */
#define TIDE_SERVE_SHORTCUTS                                                                                                        \
  {"features", "FILE", NULL, "The feature file (features.file)", TIDE_OPT_TEXT, 0, 0, 0, NULL},                                   \
  {"model", "FILE", NULL, "The model that rules with `score` read (model.file)", TIDE_OPT_TEXT, 0, 0, 0, NULL},                   \
  {"journal", "WHERE", NULL,                                                                                                      \
   "file:DIRECTORY, which is made or gone on with; redis://... or redis+sentinel://...; or memory, which is gone when the process " \
   "ends (journal.kind, journal.dir, journal.url)",                                                                                \
   TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                                                                  \
  {"listen", "HOST:PORT", NULL, "Where requests are taken; port 0 takes a free one and prints it (http.listen, http.port)", TIDE_OPT_TEXT, 0, 0, 0, NULL}, \
  {"admin", "HOST:PORT", NULL, "Where probes and metrics are taken; keep it from clients (http.admin_listen, http.admin_port)",   \
   TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                                                                  \
  {"cell", "NAME", NULL, "Name of the cell, in every answer (cell.name)", TIDE_OPT_TEXT, 0, 0, 0, NULL}

/* The configuration of a run of serve: file, environment, short options, --set. As tide_config_open; also refuses, with exit code 2 or 3, a
 * short option that does not parse. Again for a reload. */
bool tide_serve_config(const struct tide_args *args, struct tide_config **ret, int *ret_exit);

/* The limits of the listener; every limit has a row, a test compares the tables. */
/* What the rows say of the watch. */
struct tide_watch_options tide_serve_watch(const struct tide_config *config);
struct tide_http_limits tide_serve_limits(const struct tide_config *config);
/* Certificates and tokens of the listeners. */
struct tide_http_files tide_serve_files(const struct tide_config *config);
struct tide_key_places tide_serve_keys(const struct tide_config *config);
/* Where snapshots go; NULL for a journal in memory. Free with tide_free. */
char *tide_serve_snapshot_dir(const struct tide_config *config);

#endif
