/* tidemark replay: a log in, one decision per transaction out.
 *
 * The work is in replay_run.c; here are its options, and the summary for those who want one. Without --summary nothing is kept per
 * transaction, so a replay of any length needs the memory of the fold only. */
#include "cli/verbs.h"

#include "cli/replay_run.h"
#include "cli/spec_file.h"
#include "cli/summary.h"

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"input", "FILE", NULL, "The log: JSON lines or CSV, plain, gzip or zstd; - is standard input; several are read in order",
     TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0, NULL},
    TIDE_MODEL_OPTION,
    {"output", "FILE", NULL, "One JSON line per decision, in input order; - is standard output; left out: none are written", TIDE_OPT_TEXT,
     TIDE_OPT_WRITTEN, 0, 0, NULL},
    {"input-shape", "NAME", NULL, "The shape of messages that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"format", "FORMAT", "auto", "Format of the log; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"},
    {"emit-features", NULL, NULL, "Add every feature to the output, and the state of those that are not fresh", TIDE_OPT_SWITCH, 0, 0, 0,
     NULL},
    {"journal", "WHERE", "memory", "memory, or file:DIRECTORY; a directory with history is gone on with", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"journal-segment-kib", "N", "262144", "Size of the journal's files", TIDE_OPT_INT, 0, 16, 4194304, NULL},
    {"snapshot-every", "N", "0", "Entries between snapshots in DIRECTORY/snapshots, from which an interrupted run goes on; 0: none",
     TIDE_OPT_INT, 0, 0, 1000000000, NULL},
    {"trim", NULL, NULL, "Move what is older than both snapshots from the journal into its archive", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"start-from", "DIR", NULL, "The result of backfill: history from before the log; give it again when going on", TIDE_OPT_TEXT, 0, 0, 0,
     NULL},
    {"rejects", "FILE", NULL, "One JSON line per message that cannot be used, secrets masked; left out: they are only counted",
     TIDE_OPT_TEXT, TIDE_OPT_WRITTEN, 0, 0, NULL},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"batch", "N", "512", "Records per journal entry; part of what positions mean, so keep it when going on", TIDE_OPT_INT, 0, 1, 30000,
     NULL},
    {"summary", NULL, NULL, "Print what was decided, joined with the labels in the log (on stderr when decisions go to standard output)",
     TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"json", NULL, NULL, "The summary as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"strict", NULL, NULL, "Exit with 1 when a message was rejected", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static void print_summary(const struct tide_spec *spec, const struct tide_replay_stats *stats, struct tide_tally *tally, bool json,
                          FILE *out) {
  struct tide_effects *effects = tide_alloc(sizeof *effects);
  tide_tally_effects(tally, effects);
  if (json) {
    struct tide_buf text = TIDE_BUF_INIT;
    tide_summary_json(spec, stats, effects, &text);
    fprintf(out, "%.*s\n", (int)text.len, text.ptr);
    tide_buf_release(&text);
  } else {
    tide_summary_print(spec, stats, effects, out);
  }
  tide_free(effects);
}

static int replay(const struct tide_args *args, const struct tide_spec *spec) {
  struct tide_error error = {0};
  struct tide_keys keys = {0};
  const char *output = tide_args_text(args, "output");
  const char *input[256];
  struct tide_replay_options replay = {.spec = spec,
                                       .keys = &keys,
                                       .input = input,
                                       .shape = tide_args_text(args, "input-shape"),
                                       .format = tide_args_text(args, "format"),
                                       .output = output,
                                       .answer_flags = tide_args_on(args, "emit-features") ? TIDE_ANSWER_FEATURES : 0,
                                       .rejects = tide_args_text(args, "rejects"),
                                       .batch_records = (uint32_t)tide_args_int(args, "batch"),
                                       .segment_bytes = (uint64_t)tide_args_int(args, "journal-segment-kib") * 1024,
                                       .snapshot_every = (uint32_t)tide_args_int(args, "snapshot-every"),
                                       .trim = tide_args_on(args, "trim"),
                                       .start_from = tide_args_text(args, "start-from"),
                                       .progress = "replay"};
  for (const char *path; (path = tide_args_nth(args, "input", replay.input_count)) != NULL; replay.input_count++) {
    if (replay.input_count == 256) {
      (void)tide_fail(&error, TIDE_E_USAGE, "replay reads at most 256 files in one run");
      return tide_exit_report(&error);
    }
    input[replay.input_count] = path;
  }
  enum tide_err err = tide_journal_arg(tide_args_text(args, "journal"), &replay.journal_dir, &error);
  if (err == TIDE_OK && !replay.journal_dir && (replay.snapshot_every || replay.trim))
    err = tide_fail(&error, TIDE_E_USAGE, "--snapshot-every and --trim need --journal file:DIRECTORY");
  struct tide_model *model = NULL;
  if (err == TIDE_OK) err = tide_model_from_args(args, "model", spec, &model, &error);
  replay.model = model;
  if (err == TIDE_OK) err = tide_settings_from_args(args, &replay.settings, &error);
  if (err == TIDE_OK) err = tide_keys_from_args(args, spec, &keys, &error);
  bool json = tide_args_on(args, "json"), wanted = json || tide_args_on(args, "summary");
  struct tide_tally *tally = wanted ? tide_tally_new() : NULL;
  if (wanted) {
    replay.on_answer = tide_tally_answer;
    replay.on_outcome = tide_tally_outcome;
    replay.ctx = tally;
  }
  struct tide_replay_stats *stats = tide_alloc(sizeof *stats);
  if (err == TIDE_OK) err = tide_replay_run(&replay, stats, &error);
  int exit = TIDE_EXIT_OK;
  if (err != TIDE_OK) exit = tide_exit_report(&error);
  else if (wanted) print_summary(spec, stats, tally, json, output && strcmp(output, "-") == 0 ? stderr : stdout);
  if (err == TIDE_OK && stats->rejected > 0) {
    if (!wanted)
      fprintf(stderr, "tidemark: %llu messages were rejected%s\n", (unsigned long long)stats->rejected,
              replay.rejects ? "" : "; --rejects FILE says why");
    if (tide_args_on(args, "strict")) exit = TIDE_EXIT_DIFFERENT;
  }
  explicit_bzero(&keys, sizeof keys);
  tide_model_free(model);
  tide_tally_free(tally);
  tide_free(stats);
  return exit;
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  exit = replay(args, spec);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_replay = {
    .name = "replay",
    .summary = "Fold a log and decide every transaction in it, exactly as the live engine would",
    .about =
        "The log is its own clock. Each output line has id, status, decision, by, score, reasons, counted, duplicate, position, event_time; a refused one "
        "also cause and detail; with --emit-features also features and states. The same log, feature file and settings give the same bytes on every run. "
        "With --journal file:DIRECTORY an interrupted run goes on where it stopped: decisions that are already in the output are passed over and nothing is "
        "counted twice; with --snapshot-every it need not fold the journal from its beginning for that, unless --summary or --output - wants "
        "every decision again.",
    .example =
        "tidemark replay --features config/defaults/features.yaml --input log.jsonl --output decisions.jsonl --dev-key --summary\n"
        "zcat log.jsonl.gz | tidemark replay --features my.yaml --input - --output - --emit-features --key-file card.key\n"
        "tidemark replay --features my.yaml --input log.jsonl --output out.jsonl --journal file:journal --rejects bad.jsonl --key-file card.key",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
