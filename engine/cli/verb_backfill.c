/* tidemark backfill: history into a snapshot from which a journal can begin.
 *
 * The history is folded without judging (tide_fold_quiet): counted and remembered, never answered. It stands at positions 0-N, epoch 0, which no
 * journal has; the first fence, 1-0, follows any of them. Source cursors stay at 0, so the log that follows may overlap with the history:
 * what was counted here is a duplicate there. Where the shape says when a row became known, rows are sorted by that; else they are taken in the order given.
 * With several threads some decode ahead, and the records of an entry are folded by phases (core/fold_slice.h). */
#include "base/num.h"
#include "base/source_number.h"
#include "base/team.h"
#include "cli/history_sort.h"
#include "cli/intake_ahead.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/spec_file.h"
#include "cli/key_file.h"
#include "cli/verbs.h"

#include <errno.h>
#include <sys/stat.h>

#define INPUTS_MAX 256

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"input", "FILE", NULL, "The history; several files are one", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0, NULL},
    {"known-at", "FIELD", NULL,
     "Pointer or column with the time at which a row became known, instead of the shape's known_at; rows are folded in that order",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"live", NULL, NULL,
     "For a served cell, whose clock is the time of day, and not for a replay: --output is its directory of snapshots, before its first start",
     TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"in-order", NULL, NULL, "The history is in the order in which it became known: do not sort", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"until", "TIME|CURSORS", NULL,
     "Where the history ends: a time (rows that became known then or later are left out), or what the live sources begin with, as "
     "SOURCE/PARTITION:OFFSET,..., the source by its name (kept in the snapshot: the cell starts there)",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"memory-mib", "N", "512", "Memory for sorting; what does not fit goes to files in the output directory", TIDE_OPT_INT, 0, 1, 1048576,
     NULL},
    {"threads", "N", "1", "Threads that decode, fold and write the snapshot; the result is the same with any number", TIDE_OPT_INT, 0, 1,
     TIDE_THREADS_MAX, NULL},
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
  uint64_t messages, rejected, left_out;
  uint64_t rejected_line; /* the first that could not be used, and why */
  struct tide_error rejected_why;
  struct tide_history_sort *sort; /* NULL: folded as it comes */
  int64_t until_ms;               /* INT64_MAX: no end */
  struct tide_cursor_part *cursor;
  uint16_t cursors;
};

static enum tide_err begin_entry(struct backfill *b, struct tide_error *error) {
  struct tide_entry_header header = {.commit_ms = b->commit_ms};
  bool first = b->position.seq == 0; /* where the live sources begin is known before anything else */
  tide_batch_begin(&b->batch, &b->entry, &header, b->cursor, first ? b->cursors : 0);
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

/* Adds the records of one message; they stay together. */
static enum tide_err add(struct backfill *b, struct tide_span records, unsigned count, int64_t event_ms, struct tide_error *error) {
  enum tide_err err = tide_batch_add_encoded(&b->batch, records, count);
  if (err == TIDE_E_LIMIT) {
    err = fold_entry(b, error);
    if (err) return err;
    err = tide_batch_add_encoded(&b->batch, records, count);
    if (err) return tide_fail(error, err, "a message of %zu bytes does not fit into an entry", records.len);
  }
  if (event_ms > b->commit_ms) b->commit_ms = event_ms;
  b->records += count;
  return b->records >= TIDE_SLICE ? fold_entry(b, error) : TIDE_OK;
}

static enum tide_err take(struct backfill *b, const struct tide_ahead_item *item, struct tide_error *error) {
  int64_t when_ms = b->sort ? item->known_at.ms : item->first.ms;
  if (when_ms >= b->until_ms) {
    b->left_out++;
    return TIDE_OK;
  }
  if (!b->sort) return add(b, item->records, item->count, item->event_ms, error);
  struct tide_history_item sorted = {
      .known_at = item->known_at, .event_ms = item->event_ms, .count = item->count, .records = item->records};
  return tide_history_sort_put(b->sort, &sorted, error);
}

static enum tide_err fold_sorted(struct backfill *b, struct tide_error *error) {
  struct tide_history_item item;
  enum tide_err err = TIDE_OK;
  while (!err && (err = tide_history_sort_next(b->sort, &item, error)) == TIDE_OK)
    err = add(b, item.records, item.count, item.event_ms, error);
  return err == TIDE_E_END ? TIDE_OK : err;
}

static enum tide_err fold_history(struct backfill *b, struct tide_ahead *ahead, struct tide_error *error) {
  const struct tide_ahead_chunk *chunk;
  struct tide_progress progress;
  tide_progress_begin(&progress, "backfill");
  enum tide_err err = begin_entry(b, error);
  while (!err && (err = tide_ahead_next(ahead, &chunk, error)) == TIDE_OK) {
    b->messages += chunk->count + chunk->rejected;
    if (chunk->rejected && !b->rejected) {
      b->rejected_line = chunk->rejected_line;
      b->rejected_why = chunk->rejected_why;
    }
    b->rejected += chunk->rejected;
    for (size_t i = 0; !err && i < chunk->count; i++) err = take(b, &chunk->item[i], error);
    tide_progress_step(&progress, chunk->done, chunk->total, b->messages, "messages");
  }
  if (err == TIDE_E_END) err = TIDE_OK;
  tide_progress_end(&progress);
  if (!err && b->sort) err = fold_sorted(b, error);
  return err ? err : fold_entry(b, error);
}

/* A source by its name in the operator's file, or by its number; 0 is what came without one. */
static bool parse_source(struct tide_span text, uint16_t *ret) {
  int64_t number;
  bool is_number = tide_int_parse(text, &number) == TIDE_OK;
  if (text.len == 0 || (is_number && (number < 0 || number > UINT16_MAX))) return false;
  *ret = is_number ? (uint16_t)number : tide_source_number(text);
  return true;
}

/* "2026-01-01T00:00:00Z", or "auths/0:1234,auths/1:99". */
static enum tide_err parse_until(struct backfill *b, const char *text, struct tide_error *error) {
  b->until_ms = INT64_MAX;
  if (!text || tide_args_time_parse(text, &b->until_ms) == TIDE_OK) return TIDE_OK;
  b->cursor = tide_alloc(TIDE_PARTS_MAX * sizeof *b->cursor);
  for (const char *p = text; b->cursors < TIDE_PARTS_MAX;) {
    const char *slash = strchr(p, '/');
    unsigned partition;
    unsigned long long offset;
    uint16_t source;
    int used = 0;
    if (!slash || !parse_source((struct tide_span){p, (size_t)(slash - p)}, &source)) break;
    p = slash + 1;
    size_t plain = strspn(p, "0123456789:"); /* sscanf takes signs, and -1 for the largest offset there is */
    if (sscanf(p, "%5u:%19llu%n", &partition, &offset, &used) != 2 || (size_t)used != plain || partition > 65535 || offset > INT64_MAX)
      break;
    for (uint16_t i = 0; i < b->cursors; i++)
      if (b->cursor[i].source == source && b->cursor[i].partition == partition)
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "--until", "--until names a partition twice: source %u, partition %u", source,
                            partition);
    b->cursor[b->cursors++] = (struct tide_cursor_part){.source = source, .partition = (uint16_t)partition, .next = offset};
    p += used;
    if (!*p) return TIDE_OK;
    if (*p++ != ',') break;
  }
  return tide_fail_at(
      error, TIDE_E_USAGE, 0, 0, "--until",
      "--until is a time like 2026-01-31T00:00:00Z, or cursors like auths/0:1234,auths/1:99 (SOURCE/PARTITION:OFFSET), not \"%s\"", text);
}

/* Sorted when a time is named, or the shape that the rows have says so itself. */
static bool wants_sort(const struct tide_args *args, const struct tide_spec *spec) {
  const char *shape = tide_args_text(args, "input-shape");
  if (tide_args_on(args, "in-order")) return false;
  if (tide_args_on(args, "known-at")) return true;
  for (uint32_t i = 0; i < spec->shape_count; i++)
    if (strcmp(spec->shape[i].name, shape ? shape : "default") == 0) return spec->shape[i].known_at != NULL;
  return false;
}

static int backfill(const struct tide_args *args, const struct tide_spec *spec) {
  struct backfill b = {.spec = spec, .fold = tide_fold_new()};
  struct tide_error error = {0};
  struct tide_keys keys = {0};
  struct tide_intake *intake = NULL;
  struct tide_ahead *ahead = NULL;
  unsigned threads = (unsigned)tide_args_int(args, "threads");
  struct tide_team *team = tide_team_new(threads);
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
  if (tide_args_on(args, "live")) b.settings.replay = 0;
  struct tide_intake_options from = {.spec = spec,
                                     .key = keys.has_now ? &keys.now : NULL,
                                     .key_previous = keys.has_previous ? &keys.previous : NULL,
                                     .shape = tide_args_text(args, "input-shape"),
                                     .format = tide_args_text(args, "format"),
                                     .known_at = wants_sort(args, spec),
                                     .known_at_place = tide_args_text(args, "known-at"),
                                     .input = input,
                                     .input_count = count};
  if (!err && tide_args_on(args, "in-order") && tide_args_on(args, "known-at"))
    err = tide_fail(&error, TIDE_E_USAGE, "give --known-at or --in-order, not both");
  if (!err) err = parse_until(&b, tide_args_text(args, "until"), &error);
  if (!err && mkdir(tide_args_text(args, "output"), 0777) != 0 && errno != EEXIST)
    err = tide_fail_errno(&error, TIDE_E_IO, "cannot make the directory %s", tide_args_text(args, "output"));
  if (!err && from.known_at)
    b.sort = tide_history_sort_new(tide_args_text(args, "output"), (size_t)tide_args_int(args, "memory-mib") << 20);
  struct tide_mono start = tide_mono_now();
  if (!err) err = tide_intake_open(&from, &intake, &error);
  tide_fold_quiet(b.fold, true);
  tide_fold_team(b.fold, team);
  if (!err) err = tide_ahead_open(intake, spec, threads, &ahead, &error);
  if (!err) err = fold_history(&b, ahead, &error);
  tide_ahead_close(ahead);
  if (!err)
    err = tide_snapshot_save_on(threads, tide_args_text(args, "output"), b.fold, (struct tide_span){NULL, 0}, (struct tide_released){0},
                                &error);
  int exit = err ? tide_exit_report(&error) : TIDE_EXIT_OK;
  if (!err) {
    double seconds = (double)(tide_mono_now().ns - start.ns) / 1e9;
    unsigned long long folded = (unsigned long long)(b.messages - b.rejected - b.left_out);
    fprintf(stderr, "tidemark: %llu messages folded%s, %llu left out, %llu rejected, in %.1f s (%.0f messages/s)\n", folded,
            b.sort ? " in the order in which they became known" : "", (unsigned long long)b.left_out, (unsigned long long)b.rejected,
            seconds, seconds > 0 ? (double)folded / seconds : 0.0);
    if (b.rejected)
      fprintf(stderr, "tidemark: the first that was rejected, line %llu: %s\n", (unsigned long long)b.rejected_line, b.rejected_why.text);
    if (b.rejected && tide_args_on(args, "strict")) exit = TIDE_EXIT_DIFFERENT;
  }
  tide_intake_close(intake);
  tide_fold_free(b.fold);
  tide_team_free(team);
  tide_buf_release(&b.entry);
  tide_history_sort_free(b.sort);
  tide_free(b.cursor);
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
        "Counts and remembers every event of the history as replay would, gives no decisions, and saves the state. A served cell begins with it when it "
        "is made with --live and stands among the snapshots of each of its engines before they start for the first time; "
        "keep a copy, audit and explain ask for it. The log that follows may overlap with the history: what was counted already is a duplicate, and gets "
        "no second decision. Rows whose shape has known_at: "
        "are folded in the order in which they became known, whatever order the files have (an outcome in the row of its event is known when the row is); "
        "others must be in that order.",
    .example =
        "tidemark backfill --features my.yaml --input history.jsonl.zst --output history.snapshot --key-file card.key\n"
        "tidemark replay --features my.yaml --input log.jsonl --output out.jsonl --journal file:journal --start-from history.snapshot --key-file card.key\n"
        "tidemark backfill --features my.yaml --input history.jsonl.zst --live --output journal/snapshots --key-file card.key",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
