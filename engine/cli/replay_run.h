/* The driver of replay: source -> decode -> entries -> journal (append, sync) -> fold -> sink.
 *
 * It owns the I/O around the fold and nothing of its meaning. Two properties are its own:
 *
 *  - Deterministic entries. Where an entry ends depends only on the messages behind the previous entry's cursor, so a run that was
 *    interrupted anywhere and goes on cuts the same entries, at the same positions, as one that was not; hence the same bytes come out.
 *  - Nothing is released before it is durable: entries are appended in groups, synced once, and only then folded and given to the sink.
 *
 * Going on: a journal directory with history is folded first (the sink passes over what it already has), then the source is sought
 * to the journal's cursor. The feature file, the model, the settings and the key must be those of the journal, otherwise it refuses. A valid snapshot
 * stands for the entries up to its position, unless somebody wants to see their decisions: an observer, standard output, or an
 * output file that does not have them. */
#ifndef TIDE_REPLAY_RUN_H
#define TIDE_REPLAY_RUN_H

#include "cli/key_file.h"
#include "core/fold.h"

#define TIDE_REPLAY_BATCH_DEFAULT 512

struct tide_replay_options {
  const struct tide_spec *spec;  /* borrowed; its text is journaled */
  struct tide_settings settings;
  const struct tide_model *model; /* that scores; journaled behind the feature file, and the same when going on. NULL: none */
  const struct tide_keys *keys;
  const char *const *input;
  size_t input_count;
  const char *shape;             /* NULL: default */
  const char *format;            /* "auto", "json", "csv" */
  const char *output;            /* NULL: decisions go to on_answer only */
  unsigned answer_flags;         /* TIDE_ANSWER_* */
  const char *journal_dir;       /* NULL: in memory */
  uint64_t segment_bytes;        /* of the journal's files; 0: default */
  uint32_t snapshot_every;       /* entries; 0: no snapshots. They go into journal_dir/snapshots */
  bool trim;                     /* entries before the older snapshot go from the journal into its archive */
  const char *start_from;        /* directory of a back-fill: what the journal begins after. The same when going on. NULL: nothing */
  const char *rejects;           /* NULL: counted only */
  uint32_t batch_records;
  const char *progress;          /* word of the progress line, NULL: none */
  /* Observers, may be NULL. Records: outcomes only (labels are outcomes), after the entry is durable and folded. */
  tide_emit_fn on_answer;
  void (*on_outcome)(void *ctx, const struct tide_spec *spec, const struct tide_record *record);
  void *ctx;
  const struct tide_fold_watch *watch; /* of the fold, from its beginning or that of a back-fill. NULL: nobody */
};

struct tide_replay_stats {
  uint64_t messages, records, rejected; /* of this run; rejected also per reason: */
  uint64_t rejected_by[TIDE_ERR_COUNT];
  uint64_t entries, entries_resumed;    /* written by this run; of the journal, folded again by this run */
  uint64_t snapshots;                   /* written by this run */
  double seconds;
  struct tide_position last;
  struct tide_metrics metrics;          /* of the fold */
  struct tide_digest digest;
  uint64_t rule_hits[TIDE_RULES_MAX];
};

/* Runs to the end of the input. Errors: of the files (IO, NOT_FOUND, FULL, LOCKED), CORRUPT, MISMATCH (another input, feature file,
 * model, setting or key than the journal's; a model that does not fit the feature file), CONFIG. */
enum tide_err tide_replay_run(const struct tide_replay_options *options, struct tide_replay_stats *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* On stderr, for verbs that have no rejects file: how many messages the run left out, if any. */
void tide_replay_say_rejected(const struct tide_replay_stats *stats);

#endif
