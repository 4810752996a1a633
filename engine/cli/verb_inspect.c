/* tidemark inspect: any journal file in readable form.
 *
 * The work is core/inspect.c's. Where the fold is strict this is forgiving: an entry that does not decode is shown with its error and passed over, so
 * that a damaged log can be looked at. Secrets are shown as the keyed hashes that stand there. */
#include "adapter/archive.h"
#include "cli/verbs.h"
#include "core/inspect.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct tide_positional positional[] = {
    {"PATH", "A journal directory, an archive, one segment or archive file, or one bare entry", false, false}};

static const struct tide_opt options[] = {
    {"records", NULL, NULL, "One object per record instead of one per entry", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"from", "POSITION", NULL, "The first entry to show, as EPOCH-SEQ", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"limit", "N", "0", "At most so many entries; 0: all", TIDE_OPT_INT, 0, 0, INT64_MAX, NULL},
};

static bool print(void *ctx, struct tide_span json) {
  FILE *out = ctx;
  return fwrite(json.ptr, 1, json.len, out) == json.len && fputc('\n', out) != EOF;
}

/* "7-48213", and also "7-48213.5" as it stands in decisions: the record's place is not needed. */
static enum tide_err parse_position(const char *text, struct tide_position *ret, struct tide_error *error) {
  char *end = NULL;
  struct tide_position position = {0};
  bool good = text[0] >= '0' && text[0] <= '9';
  if (good) position.epoch = strtoull(text, &end, 10);
  good = good && *end == '-' && end[1] >= '0' && end[1] <= '9';
  if (good) position.seq = strtoull(end + 1, &end, 10);
  if (!good || (*end && *end != '.'))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "from", "--from needs a position like 1-4096, not \"%.60s\"", text);
  *ret = position;
  return TIDE_OK;
}

static int run(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_inspect_options inspect = {.records = tide_args_on(args, "records"), .limit = (uint64_t)tide_args_int(args, "limit")};
  struct tide_journal *journal = NULL;
  uint64_t entries = 0, records = 0;
  const char *from = tide_args_text(args, "from");
  enum tide_err err = from ? parse_position(from, &inspect.from, &error) : TIDE_OK;
  if (err == TIDE_OK) err = tide_journal_any_open(tide_args_at(args, 0), &journal, &error);
  if (err == TIDE_OK) {
    err = tide_inspect(journal, &inspect, print, stdout, &entries, &records, &error);
    fflush(stdout);
    fprintf(stderr, "%" PRIu64 " entries, %" PRIu64 " records\n", entries, records);
    journal->ops->close(journal);
  }
  if (err == TIDE_OK && ferror(stdout)) err = tide_fail(&error, TIDE_E_IO, "cannot write to standard output");
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

const struct tide_verb tide_verb_inspect = {
    .name = "inspect",
    .summary = "Print a journal, archive or segment as JSON lines",
    .about = "Entries that do not decode are shown with their error and passed over; the exit code is then 5.",
    .example = "tidemark inspect build/run/journal --limit 3\ntidemark inspect build/run/journal --records --from 1-10 --limit 1",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = positional,
    .positional_count = 1,
    .run = run};
