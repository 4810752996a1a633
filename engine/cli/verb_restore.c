/* tidemark restore: writes the journal back into Redis from an engine's mirror, after every node has lost it.
 *
 * The last resort of a cell with a history: engines refuse to begin anew on an emptied store, and --accept-loss would forget what was answered. The mirror with
 * the greatest end is the one to take; what was acknowledged stands in every mirror within a fraction of a second. */
#include "cli/verbs.h"

#include "adapter/archive.h"
#include "adapter/journal_redis_restore.h"
#include "cli/progress.h"
#include "cli/serve_config.h"
#include "cli/serve_journal.h"

#include <inttypes.h>
#include <string.h>

static const struct tide_opt options[] = {
    TIDE_CONFIG_OPTIONS,
    TIDE_SERVE_SHORTCUTS,
    TIDE_KEY_OPTIONS,
    {"from", "DIR", NULL, "The mirror (journal.dir/mirror of an engine), or an archive", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"begin-at", "POSITION", NULL,
     "Leave out what stands before EPOCH-SEQ, where Redis has no room for all: a position at or before an engine's older snapshot",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
};

static enum tide_err parse_position(const char *text, struct tide_position *ret, struct tide_error *error) {
  int used = 0;
  bool plain = strspn(text, "0123456789-") == strlen(text) && strchr(text, '-') == strrchr(text, '-'); /* sscanf takes signs */
  if (plain && sscanf(text, "%20" SCNu64 "-%20" SCNu64 "%n", &ret->epoch, &ret->seq, &used) == 2 && text[used] == 0 && ret->epoch > 0 &&
      ret->seq > 0)
    return TIDE_OK;
  return tide_fail(
      error, TIDE_E_USAGE,
      "--begin-at must be EPOCH-SEQ as in 7-48213, and no fence (SEQ 0): a log that begins with a fence looks like a whole one");
}

/* A mirror with its archive, or whatever else is a journal. */
static enum tide_err open_from(const char *dir, struct tide_journal **ret, struct tide_error *error) {
  struct tide_journal_file_options file = {.dir = dir, .read_only = true};
  enum tide_err err = tide_journal_chain_open(&file, ret, error);
  return err == TIDE_E_NOT_FOUND ? tide_journal_any_open(dir, ret, error) : err;
}

static void on_progress(void *ctx, const char *what, uint64_t entries) {
  struct tide_progress *progress = ctx;
  progress->what = what;
  tide_progress_step(progress, 0, 0, entries, "entries");
}

static enum tide_err restore(const struct tide_args *args, const struct tide_config *config, struct tide_error *error) {
  struct tide_redis_options redis = {0};
  struct tide_position begin = {0, 0};
  struct tide_redis_restored restored = {0};
  struct tide_journal *from = NULL;
  const char *at = tide_args_text(args, "begin-at");
  enum tide_err err = TIDE_OK;
  if (config->journal_kind != TIDE_JOURNAL_KIND_redis)
    err = tide_fail(error, TIDE_E_CONFIG, "journal.kind is not redis: a journal in files is restored by copying its directory");
  if (err == TIDE_OK && at) err = parse_position(at, &begin, error);
  if (err == TIDE_OK) err = tide_serve_redis(config, &redis, error);
  if (err == TIDE_OK) err = open_from(tide_args_text(args, "from"), &from, error);
  if (err == TIDE_OK) {
    struct tide_progress progress;
    tide_progress_begin(&progress, "restore");
    err = tide_journal_redis_restore(&redis, from, begin, on_progress, &progress, &restored, error);
    tide_progress_end(&progress);
  }
  if (from) from->ops->close(from);
  explicit_bzero(&redis.target, sizeof redis.target);
  if (err == TIDE_OK)
    printf(restored.was_whole ? "the journal of cell %s holds all of it already, %" PRIu64 " entries of %" PRIu64 "-%" PRIu64 " to %" PRIu64
                                "-%" PRIu64 "\n"
                              : "the journal of cell %s is there again, %" PRIu64 " entries, %" PRIu64 "-%" PRIu64 " to %" PRIu64
                                "-%" PRIu64 ", read back and compared\n",
           config->cell_name, restored.entries, restored.first.epoch, restored.first.seq, restored.last.epoch, restored.last.seq);
  return err;
}

static int run(const struct tide_args *args) {
  struct tide_config *config;
  struct tide_error error = {0};
  int exit;
  if (!tide_serve_config(args, &config, &exit)) return exit;
  enum tide_err err = restore(args, config, &error);
  tide_config_free(config);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

const struct tide_verb tide_verb_restore = {
    .name = "restore",
    .summary = "Write a cell's journal back into Redis from an engine's mirror",
    .about =
        "For a Redis that lost the journal on every node, or came back with an old copy of it. Stop the engines, take the mirror that ends last (tidemark inspect), and "
        "restore from it; engines then start without --accept-loss. A journal that is there and is no beginning of the mirror is left as it is. The entries are written "
        "beside the journal, read back, compared, and take its name in one step; a run that was stopped goes on where it ended. Needs a user who may also DEL and "
        "RENAME tidemark:*.",
    .example =
        "tidemark restore --from tidemark-data/journal/mirror --config tidemark.yaml\n"
        "tidemark restore --from /mnt/mirror --journal redis://restorer@10.0.0.1:6379 --cell eu --set journal.password_file=restorer.password",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
