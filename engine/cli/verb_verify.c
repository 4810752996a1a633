/* tidemark verify: proves a receipt, or says what is not as it says.
 *
 * The journal (archive and all) is folded up to the decision, from the nearest snapshot whose own entry is the one in the journal, or with --whole from the beginning;
 * there the receipt is made anew and compared. Nothing in the receipt is believed but the place where to look. */
#include "cli/follow.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/archive.h"
#include "base/json_out.h"
#include "cli/progress.h"
#include "cli/receipt.h"
#include "cli/snapshot.h"

#define TOLD_MAX 20

static const struct tide_opt options[] = {
    {"journal", "WHERE", NULL, "The journal: file:DIRECTORY, with its archive in DIRECTORY/archive; of an engine on Redis, its mirror",
     TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"snapshots", "DIR", NULL, "Snapshots of that journal to begin from; left out: DIRECTORY/snapshots", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"whole", NULL, NULL, "Fold the journal from its beginning: believe no snapshot", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"start-from", "DIR", NULL, "The result of backfill that the journal began with", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"json", NULL, NULL, "The result as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};
static const struct tide_positional positional[] = {{"RECEIPT", "The file that explain --receipt wrote", false, false}};

struct verify {
  const char *dir; /* of the journal */
  struct tide_receipt receipt;
  struct tide_journal *journal;
  struct tide_fold *fold;
  struct tide_position from; /* of the snapshot; {0,0}: the beginning */
  uint64_t entries;          /* folded */
  struct tide_buf made;      /* the receipt, made anew */
  bool is_made;
};

/* The fold before the first entry to be read, and that entry's place. */
static enum tide_err begin(struct verify *verify, const char *snapshots, const char *start_from, struct tide_position first,
                           struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  if (snapshots) err = tide_snapshot_load_before(snapshots, verify->journal, verify->receipt.position, &verify->fold, error);
  if (err != TIDE_OK) return err;
  if (verify->fold) {
    verify->from = tide_fold_position(verify->fold);
    return TIDE_OK;
  }
  if (first.seq != 0) /* an epoch begins with its fence */
    return tide_fail(
        error, TIDE_E_NOT_FOUND,
        "the journal begins at %llu-%llu: what stood before is in an archive that is not here, and there is no snapshot between there and the "
        "decision; name its directory with --snapshots",
        (unsigned long long)first.epoch, (unsigned long long)first.seq);
  return tide_base_load(start_from, &verify->fold, error);
}

static enum tide_err fold_to(struct verify *verify, struct tide_position at, bool inclusive, struct tide_error *error) {
  struct tide_position target = verify->receipt.position, before = verify->from;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_progress progress;
  tide_progress_begin(&progress, "verify");
  enum tide_err err = TIDE_OK;
  for (bool done = false; err == TIDE_OK && !done; inclusive = false) {
    err = verify->journal->ops->read(verify->journal, at, inclusive, &entry, &at, error);
    if (err == TIDE_E_END || (err == TIDE_OK && tide_position_cmp(at, target) > 0)) {
      err = tide_fail(
          error, TIDE_E_MISMATCH,
          "the journal has no entry at %llu-%llu, where the receipt places the decision: it is another journal, or its end is lost",
          (unsigned long long)target.epoch, (unsigned long long)target.seq);
      break;
    }
    if (err != TIDE_OK) break;
    if (before.epoch != 0 && !tide_position_follows(before, at)) {
      err = tide_fail(error, TIDE_E_CORRUPT, "entries are missing between %llu-%llu and %llu-%llu", (unsigned long long)before.epoch,
                      (unsigned long long)before.seq, (unsigned long long)at.epoch, (unsigned long long)at.seq);
      break;
    }
    before = at;
    done = tide_position_cmp(at, target) == 0;
    struct tide_span bytes = tide_buf_span(&entry);
    if (done) err = tide_receipt_fold(verify->fold, at, verify->receipt.index, bytes, NULL, NULL, &verify->made, &verify->is_made, error);
    else err = tide_follow_entry(verify->dir, verify->fold, at, bytes, NULL, NULL, error);
    verify->entries++;
    tide_progress_step(&progress, at.seq, at.epoch == target.epoch ? target.seq : 0, verify->entries, "entries");
  }
  tide_progress_end(&progress);
  tide_buf_release(&entry);
  return err;
}

static bool is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static enum tide_err prove(const struct tide_args *args, struct verify *verify, struct tide_error *error) {
  const char *dir, *given = tide_args_text(args, "snapshots");
  bool whole = tide_args_on(args, "whole");
  enum tide_err err = tide_journal_arg(tide_args_text(args, "journal"), &dir, error);
  if (err == TIDE_OK && !dir) err = tide_fail(error, TIDE_E_USAGE, "verify needs --journal file:DIRECTORY: a journal in memory is gone");
  verify->dir = dir;
  if (err == TIDE_OK && whole && given) err = tide_fail(error, TIDE_E_USAGE, "--whole believes no snapshot: leave --snapshots out");
  if (err == TIDE_OK) err = tide_receipt_read(tide_args_at(args, 0), &verify->receipt, error);
  struct tide_journal_file_options file = {.dir = dir, .read_only = true};
  if (err == TIDE_OK) err = tide_journal_chain_open(&file, &verify->journal, error);
  struct tide_position first, last;
  if (err == TIDE_OK) err = verify->journal->ops->range(verify->journal, &first, &last, error);
  if (err == TIDE_OK && last.epoch == 0) err = tide_fail(error, TIDE_E_NOT_FOUND, "the journal in %s is empty", dir);
  if (err != TIDE_OK) return err;
  struct tide_buf beside = TIDE_BUF_INIT;
  tide_buf_printf(&beside, "%s/snapshots", dir);
  const char *snapshots = given ? given : is_directory(tide_buf_cstr(&beside)) ? tide_buf_cstr(&beside) : NULL;
  err = begin(verify, whole ? NULL : snapshots, tide_args_text(args, "start-from"), first, error);
  if (err == TIDE_OK) err = fold_to(verify, verify->from.epoch ? verify->from : first, verify->from.epoch == 0, error);
  tide_buf_release(&beside);
  return err;
}

/* "from the beginning" or "from the snapshot at 1-400" */
static const char *begun_text(const struct verify *verify, char out[80]) {
  if (verify->from.epoch == 0) return "from the beginning";
  snprintf(out, 80, "from the snapshot at %" PRIu64 "-%" PRIu64, verify->from.epoch, verify->from.seq);
  return out;
}

static void print(const struct verify *verify, size_t count, struct tide_buf *told) {
  char place[TIDE_POSITION_TEXT], begun[80];
  tide_position_text(verify->receipt.position, verify->receipt.index, place);
  if (count == 0) {
    printf("proven: the decision at %s is what the receipt says; %" PRIu64 " entries folded %s\n", place, verify->entries,
           begun_text(verify, begun));
    return;
  }
  printf("not proven: the decision at %s is not what the receipt says (%" PRIu64 " entries folded %s)\n", place, verify->entries,
         begun_text(verify, begun));
  for (char *line = strtok(told->ptr, "\n"); line; line = strtok(NULL, "\n")) printf("  %s\n", line);
  if (count > TOLD_MAX) printf("  and %zu more differences\n", count - TOLD_MAX);
}

static void print_json(const struct verify *verify, size_t count, struct tide_buf *told) {
  char place[TIDE_POSITION_TEXT];
  struct tide_buf out = TIDE_BUF_INIT;
  tide_json_open(&out, '{');
  tide_json_key(&out, "proven");
  tide_json_bool(&out, count == 0);
  tide_json_key(&out, "position");
  tide_json_cstr(&out, tide_position_text(verify->receipt.position, verify->receipt.index, place));
  tide_json_key(&out, "entries");
  tide_json_int(&out, (int64_t)verify->entries);
  tide_json_key(&out, "whole");
  tide_json_bool(&out, verify->from.epoch == 0);
  tide_json_key(&out, "differences");
  tide_json_open(&out, '[');
  for (char *line = count ? strtok(told->ptr, "\n") : NULL; line; line = strtok(NULL, "\n")) tide_json_cstr(&out, line);
  tide_json_close(&out, ']');
  tide_json_close(&out, '}');
  printf("%.*s\n", (int)out.len, out.ptr);
  tide_buf_release(&out);
}

static int run(const struct tide_args *args) {
  struct verify verify = {.from = {0, 0}};
  struct tide_error error = {0};
  struct tide_buf told = TIDE_BUF_INIT;
  size_t count = 0;
  enum tide_err err = prove(args, &verify, &error);
  if (err == TIDE_OK && verify.is_made) {
    count = tide_receipt_compare(tide_buf_span(&verify.receipt.text), tide_buf_span(&verify.made), TOLD_MAX, &told);
  } else if (err == TIDE_OK) {
    count = 1;
    tide_buf_str(&told, "the decision: the receipt has one, the journal makes none there\n");
  }
  (void)tide_buf_cstr(&told);
  if (err == TIDE_OK) (tide_args_on(args, "json") ? print_json : print)(&verify, count, &told);
  int exit = err != TIDE_OK ? tide_exit_report(&error) : count ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
  if (verify.journal) verify.journal->ops->close(verify.journal);
  tide_receipt_release(&verify.receipt);
  tide_fold_free(verify.fold);
  tide_buf_release(&verify.made);
  tide_buf_release(&told);
  return exit;
}

const struct tide_verb tide_verb_verify = {
    .name = "verify",
    .summary = "Prove a decision from its receipt: fold archive and journal up to it and compare everything",
    .about =
        "The receipt (explain --receipt) names the journal entry, the feature file, the model and the chain of decisions by their hashes, and holds the answer with every feature. "
        "All of it is made anew from the journal and compared, byte for byte. Exit code 0: proven. 1: something differs, and each line says what. 5: the receipt is damaged, or "
        "the journal is (a checksum of its own does not fit, entries are missing, it is another journal). 4: something cannot be read. No key is needed.",
    .example = "tidemark explain 606413208713/208713/900007 --journal file:build/run/journal --receipt decision.json\n"
               "tidemark verify decision.json --journal file:build/run/journal",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = positional,
    .positional_count = 1,
    .run = run};
