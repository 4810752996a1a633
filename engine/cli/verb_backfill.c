/* tidemark backfill: history into a snapshot from which a journal can begin.
 *
 * The history is folded without judging (tide_fold_quiet): counted and remembered, never answered. It stands at positions 0-N, epoch 0, which no
 * journal has; the first fence, 1-0, follows any of them. Source cursors stay at 0, so the log that follows may overlap with the history:
 * what was counted here is a duplicate there. Rows are taken in the order given, which must be that in which they became known. */
#include "cli/intake.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/spec_file.h"
#include "cli/key_file.h"
#include "cli/verbs.h"

#define BATCH 512
#define INPUTS_MAX 256

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"input", "FILE", NULL, "The history, in the order in which it became known; several are read in order", TIDE_OPT_TEXT,
     TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0, NULL},
    {"output", "DIR", NULL, "Directory for the snapshot, for replay --start-from", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"input-shape", "NAME", NULL, "The shape of messages that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"format", "FORMAT", "auto", "Format of the history; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"strict", NULL, NULL, "Exit with 1 when a message was rejected", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

struct backfill {
  const struct tide_spec *spec;
  struct tide_settings settings;
  struct tide_fold *fold;
  struct tide_batch batch;
  struct tide_buf entry;
  struct tide_position position; /* of the entry being built */
  int64_t commit_ms;
  uint32_t records;
  uint64_t messages, rejected;
};

static enum tide_err begin_entry(struct backfill *b, struct tide_error *error) {
  struct tide_entry_header header = {.commit_ms = b->commit_ms};
  tide_batch_begin(&b->batch, &b->entry, &header, NULL, 0);
  b->records = 0;
  b->position.seq++;
  if (b->position.seq != 1) return TIDE_OK;
  enum tide_err err = tide_batch_add_config(&b->batch, &b->settings, (struct tide_span){b->spec->text, b->spec->text_len});
  return err ? tide_fail(error, TIDE_E_CONFIG, "the feature file is too long for an entry of %u bytes", TIDE_ENTRY_MAX) : TIDE_OK;
}

static enum tide_err fold_entry(struct backfill *b, struct tide_error *error) {
  for (size_t i = 0; i < 8; i++) b->entry.ptr[32 + i] = (char)((uint64_t)b->commit_ms >> (8 * i)); /* known only now (core/batch.h) */
  tide_batch_end(&b->batch);
  enum tide_err err = tide_fold_entry(b->fold, b->position, tide_buf_span(&b->entry), NULL, NULL, error);
  return err ? err : begin_entry(b, error);
}

static enum tide_err add(struct backfill *b, const struct tide_taken *taken, struct tide_error *error) {
  for (int attempt = 0;; attempt++) {
    struct tide_batch before = b->batch;
    size_t len = b->entry.len;
    enum tide_err err = TIDE_OK;
    for (int i = 0; i < taken->count && !err; i++) err = tide_batch_add(&b->batch, b->spec, &taken->record[i]);
    if (!err) break;
    b->batch = before; /* an event and the outcome of its row stay together */
    b->entry.len = len;
    if (err != TIDE_E_LIMIT || attempt)
      return tide_fail(error, err, "line %llu does not fit into an entry", (unsigned long long)taken->line);
    err = fold_entry(b, error);
    if (err) return err;
  }
  for (int i = 0; i < taken->count; i++)
    if (taken->record[i].type == TIDE_REC_EVENT && taken->record[i].time.ms > b->commit_ms) b->commit_ms = taken->record[i].time.ms;
  b->records += (uint32_t)taken->count;
  return b->records >= BATCH ? fold_entry(b, error) : TIDE_OK;
}

static enum tide_err fold_history(struct backfill *b, struct tide_intake *intake, struct tide_error *error) {
  struct tide_taken *taken = tide_alloc(sizeof *taken);
  struct tide_progress progress;
  tide_progress_begin(&progress, "backfill");
  enum tide_err err = begin_entry(b, error);
  while (!err) {
    struct tide_error why = {0};
    enum tide_err got = tide_intake_next(intake, taken, &why);
    if (got == TIDE_E_END) break;
    b->messages++;
    if (!got) {
      err = add(b, taken, error);
    } else if (tide_err_class(got) == TIDE_CLASS_INPUT || got == TIDE_E_LIMIT) {
      b->rejected++;
    } else {
      *error = why;
      err = got;
    }
    if ((b->messages & 1023) == 0) {
      uint64_t done, total;
      tide_intake_progress(intake, &done, &total);
      tide_progress_step(&progress, done, total, b->messages, "messages");
    }
  }
  tide_progress_end(&progress);
  if (!err) err = fold_entry(b, error);
  tide_free(taken);
  return err;
}

static int backfill(const struct tide_args *args, const struct tide_spec *spec) {
  struct backfill b = {.spec = spec, .fold = tide_fold_new()};
  struct tide_error error = {0};
  struct tide_keys keys = {0};
  struct tide_intake *intake = NULL;
  const char *input[INPUTS_MAX], *path;
  size_t count = 0;
  enum tide_err err = TIDE_OK;
  while (!err && (path = tide_args_nth(args, "input", count)) != NULL) {
    if (count == INPUTS_MAX) err = tide_fail(&error, TIDE_E_USAGE, "backfill reads at most %d files in one run", INPUTS_MAX);
    else input[count++] = path;
  }
  if (!err) err = tide_settings_from_args(args, &b.settings, &error);
  if (!err) err = tide_keys_from_args(args, spec, &keys, &error);
  b.settings.hash_seed = tide_keys_seed(&keys);
  struct tide_intake_options from = {.spec = spec,
                                     .key = keys.has_now ? &keys.now : NULL,
                                     .key_previous = keys.has_previous ? &keys.previous : NULL,
                                     .shape = tide_args_text(args, "input-shape"),
                                     .format = tide_args_text(args, "format"),
                                     .input = input,
                                     .input_count = count};
  if (!err) err = tide_intake_open(&from, &intake, &error);
  tide_fold_quiet(b.fold, true);
  if (!err) err = fold_history(&b, intake, &error);
  if (!err)
    err = tide_snapshot_save(tide_args_text(args, "output"), b.fold, (struct tide_span){NULL, 0}, (struct tide_released){0}, &error);
  int exit = err ? tide_exit_report(&error) : TIDE_EXIT_OK;
  if (!err) {
    fprintf(stderr, "tidemark: %llu messages folded, %llu rejected\n", (unsigned long long)(b.messages - b.rejected),
            (unsigned long long)b.rejected);
    if (b.rejected && tide_args_on(args, "strict")) exit = TIDE_EXIT_DIFFERENT;
  }
  tide_intake_close(intake);
  tide_fold_free(b.fold);
  tide_buf_release(&b.entry);
  explicit_bzero(&keys, sizeof keys);
  return exit;
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  exit = backfill(args, spec);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_backfill = {
    .name = "backfill",
    .summary = "Fold history without deciding, for a journal to begin from",
    .about =
        "Counts and remembers every event of the history as replay would, gives no decisions, and saves the state. The log that follows may overlap with "
        "the history: what was counted already is a duplicate, and gets no second decision. The history must be in the order in which it became known.",
    .example =
        "tidemark backfill --features my.yaml --input history.jsonl.zst --output history.snapshot --key-file card.key\n"
        "tidemark replay --features my.yaml --input log.jsonl --output out.jsonl --journal file:journal --start-from history.snapshot --key-file card.key",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
