/* tidemark audit: folds the journal again from its beginning and proves that every decision is what it was.
 *
 * Two proofs. The journal's own DIGEST records carry a digest of all decisions and of the state at their position: the fold compares them
 * while it goes. And a decisions file, if given, is compared line by line, byte for byte. */
#include "cli/verbs.h"

#include "base/json_out.h"
#include "cli/follow.h"
#include "cli/scan.h"
#include "cli/snapshot.h"
#include "cli/summary.h"
#include "core/fold.h"

#include <stdlib.h>

static const struct tide_opt options[] = {
    {"journal", "WHERE", NULL, "The journal: file:DIRECTORY", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"decisions", "FILE", NULL, "The output of the replay that wrote the journal; compared byte for byte", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"start-from", "DIR", NULL, "The result of backfill that the journal began with", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"json", NULL, NULL, "The result as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

struct audit {
  const char *dir;
  struct tide_fold *fold;
  FILE *file; /* decisions, or NULL */
  const char *path;
  unsigned flags; /* as the decisions file was written */
  char *line;
  size_t line_room;
  struct tide_buf json;
  uint64_t decisions, digests, superseding;
  bool different;
  struct tide_error difference;
};

/* Shows where two lines part: a few bytes of each around the first difference. */
static void describe(struct audit *audit, const char *was, size_t was_len, struct tide_position position, uint32_t index) {
  char text[TIDE_POSITION_TEXT];
  size_t at = 0;
  while (at < was_len && at < audit->json.len && was[at] == audit->json.ptr[at]) at++;
  size_t from = at < 24 ? 0 : at - 24;
  audit->different = true;
  (void)tide_fail_at(&audit->difference, TIDE_E_MISMATCH, (int)audit->decisions, 0, NULL,
                     "%s differs from the journal at position %s: the file has \"%.*s\", the journal gives \"%.*s\"", audit->path,
                     tide_position_text(position, index, text), (int)(was_len - from < 60 ? was_len - from : 60), was + from,
                     (int)(audit->json.len - from < 60 ? audit->json.len - from : 60), audit->json.ptr + from);
}

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct audit *audit = ctx;
  audit->decisions++;
  audit->superseding += answer->supersedes && !answer->duplicate;
  if (!audit->file || audit->different) return;
  char position[TIDE_POSITION_TEXT];
  ssize_t len = getline(&audit->line, &audit->line_room, audit->file);
  if (len <= 0) {
    audit->different = true;
    (void)tide_fail(&audit->difference, TIDE_E_MISMATCH, "%s ends after %llu decisions, but the journal has one more at position %s",
                    audit->path, (unsigned long long)audit->decisions - 1, tide_position_text(answer->position, answer->index, position));
    return;
  }
  if (audit->decisions == 1) audit->flags = strstr(audit->line, ",\"features\":{") ? TIDE_ANSWER_FEATURES : 0;
  size_t was_len = (size_t)len - (audit->line[len - 1] == '\n');
  tide_buf_clear(&audit->json);
  tide_answer_json(answer, audit->flags, &audit->json);
  if (was_len != audit->json.len || memcmp(audit->line, audit->json.ptr, was_len) != 0)
    describe(audit, audit->line, was_len, answer->position, answer->index);
}

static enum tide_err on_entry(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  struct audit *audit = ctx;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  enum tide_err err = tide_follow_entry(audit->dir, audit->fold, position, entry, on_answer, audit, error);
  if (err != TIDE_OK) return err;
  err = tide_entry_open(&reader, entry, part, error);
  while (err == TIDE_OK && (err = tide_entry_next(&reader, &raw, error)) == TIDE_OK) audit->digests += raw.type == TIDE_REC_DIGEST;
  if (err != TIDE_E_END) return err;
  return audit->different ? TIDE_E_END : TIDE_OK;
}

static int report(struct audit *audit, const struct tide_scan_result *scan, const struct tide_error *error, bool json) {
  bool bad = error->code != TIDE_OK;
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], c[TIDE_AMOUNT_TEXT];
  if (json) {
    struct tide_buf out = TIDE_BUF_INIT;
    tide_json_open(&out, '{');
    tide_json_key(&out, "same");
    tide_json_bool(&out, !bad);
    tide_json_key(&out, "entries");
    tide_json_int(&out, (int64_t)scan->entries);
    tide_json_key(&out, "decisions");
    tide_json_int(&out, (int64_t)audit->decisions);
    tide_json_key(&out, "superseding");
    tide_json_int(&out, (int64_t)audit->superseding);
    tide_json_key(&out, "digests");
    tide_json_int(&out, (int64_t)audit->digests);
    tide_json_key(&out, "compared");
    tide_json_bool(&out, audit->file != NULL);
    if (bad) {
      tide_json_key(&out, "difference");
      tide_json_cstr(&out, error->text);
    }
    tide_json_close(&out, '}');
    printf("%.*s\n", (int)out.len, out.ptr);
    tide_buf_release(&out);
  } else if (!bad) {
    printf("%s decisions in %s entries are what they were; digests that agree: %s%s\n", tide_count_text(audit->decisions, a),
           tide_count_text(scan->entries, b), tide_count_text(audit->digests, c),
           audit->file ? "; every line of the decisions file is the same" : "");
    if (audit->superseding)
      printf("%s of them were made again after a failover that may have lost others: they may supersede what was told before\n",
             tide_count_text(audit->superseding, a));
  }
  return bad ? tide_exit_report(error) : TIDE_EXIT_OK;
}

static int run(const struct tide_args *args) {
  struct tide_error error = {0};
  struct audit audit = {.path = tide_args_text(args, "decisions")};
  struct tide_scan_result scan = {0};
  const char *dir;
  enum tide_err err = tide_journal_arg(tide_args_text(args, "journal"), &dir, &error);
  if (err == TIDE_OK && !dir) err = tide_fail(&error, TIDE_E_USAGE, "audit needs --journal file:DIRECTORY: a journal in memory is gone");
  if (err == TIDE_OK && audit.path && !(audit.file = fopen(audit.path, "re")))
    err = tide_fail_errno(&error, TIDE_E_IO, "cannot read the decisions in %s", audit.path);
  if (err == TIDE_OK) err = tide_base_load(tide_args_text(args, "start-from"), &audit.fold, &error);
  audit.dir = dir;
  if (err == TIDE_OK) err = tide_scan(dir, "audit", on_entry, &audit, &scan, &error);
  if (err == TIDE_OK && audit.different) error = audit.difference, err = error.code;
  if (err == TIDE_OK && audit.file && getline(&audit.line, &audit.line_room, audit.file) > 0)
    err = tide_fail(&error, TIDE_E_MISMATCH, "%s has more lines than the journal's %llu decisions", audit.path,
                    (unsigned long long)audit.decisions);
  error.code = err;
  int exit = report(&audit, &scan, &error, tide_args_on(args, "json"));
  tide_fold_free(audit.fold);
  tide_buf_release(&audit.json);
  free(audit.line);
  if (audit.file) fclose(audit.file);
  return exit;
}

const struct tide_verb tide_verb_audit = {
    .name = "audit",
    .summary = "Fold a journal again from the beginning and prove every decision",
    .about =
        "The journal carries digests of decisions and state; they are checked on the way. With --decisions every line of the file must be, byte for byte, "
        "what the journal gives. Where the feature file changed, the journal is read once more up to there, under the next file. Exit code 5 and the first difference otherwise. "
        "Decisions that were made again after a failover with journal.quorum below journal.replicas are counted: they may supersede others that were told before.",
    .example = "tidemark audit --journal file:build/run/journal --decisions build/run/decisions.jsonl",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
