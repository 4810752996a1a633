/* tidemark generate: a made-up issuer's log.
 *
 * The work and the meaning of the options are generate.h's; only their names on the command line are chosen here. tests/unit/60_args.c
 * compares the defaults and ranges of both tables. */
#include "cli/verbs.h"

#include "cli/generate.h"
#include "cli/progress.h"
#include "cli/summary.h"

/* One row of generate.h under a name of the command line: the range is generate.h's. */
static const struct tide_opt options[] = {
    {"output", "FILE", NULL, "Where the log goes; - is standard output; compressed by its ending .gz or .zst", TIDE_OPT_TEXT,
     TIDE_OPT_REQUIRED | TIDE_OPT_WRITTEN, 0, 0, NULL},
    {"seed", "N", "1", "Another seed is another issuer", TIDE_OPT_INT, 0, 0, INT64_MAX, NULL},
    {"transactions", "N", "200000", "Authorizations, exactly (those sent twice are not counted)", TIDE_OPT_INT, 0, 1, INT64_C(10000000000),
     NULL},
    {"cards", "N", "0", "Cards; 0 means about ten transactions per card in 30 days", TIDE_OPT_INT, 0, 0, 20000000, NULL},
    {"merchants", "N", "0", "Merchants; 0 means one for eight cards", TIDE_OPT_INT, 0, 0, 1000000, NULL},
    {"days", "N", "60", "Span of the transactions; labels come up to 31 days after", TIDE_OPT_INT, 0, 1, 3650, NULL},
    {"start", "TIME", "2026-01-05T00:00:00Z", "Event time of the beginning", TIDE_OPT_TIME, 0, 0, 0, NULL},
    {"currencies", "N", "1", "Currencies; more than one adds rate records and foreign amounts", TIDE_OPT_INT, 0, 1, 8, NULL},
    {"out-of-order", "PCT", "0", "Records that come seconds to minutes after their time", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"late", "PCT", "0", "Authorizations that come eight to twelve days late, beyond any lateness", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"duplicates", "PCT", "0", "Authorizations sent twice, the times milliseconds apart", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"reused-ids", "PCT", "0", "Authorizations that bear the id of an earlier one of the same card", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"hot-merchant", "PCT", "0", "Authorizations at one single merchant, M000000", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"bad", "PCT", "0", "Malformed lines beside the good ones, of many sorts", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"format", "FORMAT", "json", "JSON lines, or CSV rows for the shape `history`", TIDE_OPT_CHOICE, 0, 0, 0, "json|csv"},
    {"outcomes", "HOW", "records", "The issuer's answer: a record of its own, in the authorization's row, or not at all", TIDE_OPT_CHOICE,
     0, 0, 0, "records|row|none"},
    {"no-labels", NULL, NULL, "No fraud labels", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"profiles", NULL, NULL, "Limit, segment and age of each card as `profile` records, for a feature file that has a shape for them",
     TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static void step(void *ctx, uint64_t done, uint64_t total) { tide_progress_step(ctx, done, total, done, "transactions"); }

static void report(const struct tide_generate_counts *counts, double seconds) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], c[TIDE_AMOUNT_TEXT], d[TIDE_AMOUNT_TEXT], e[TIDE_AMOUNT_TEXT];
  fprintf(stderr, "%s lines: %s transactions (%s of them fraud), %s labels, %s list entries, in %.1f s\n",
          tide_count_text(counts->lines, a), tide_count_text(counts->auths, b), tide_count_text(counts->fraud, c),
          tide_count_text(counts->labels, d), tide_count_text(counts->lists, e), seconds);
}

static int run(const struct tide_args *args) {
  struct tide_generate_options generate = tide_generate_default();
  struct tide_generate_counts counts = {0};
  struct tide_progress progress;
  struct tide_error error = {0};
  generate.output = tide_args_text(args, "output");
  generate.seed = tide_args_int(args, "seed");
  generate.transactions = tide_args_int(args, "transactions");
  generate.cards = tide_args_int(args, "cards");
  generate.merchants = tide_args_int(args, "merchants");
  generate.days = tide_args_int(args, "days");
  TIDE_CHECK(tide_args_time_parse(tide_args_text(args, "start"), &generate.start_ms) == TIDE_OK);
  generate.currencies = tide_args_int(args, "currencies");
  generate.out_of_order_pct = tide_args_double(args, "out-of-order");
  generate.late_pct = tide_args_double(args, "late");
  generate.duplicates_pct = tide_args_double(args, "duplicates");
  generate.reused_ids_pct = tide_args_double(args, "reused-ids");
  generate.hot_merchant_pct = tide_args_double(args, "hot-merchant");
  generate.bad_pct = tide_args_double(args, "bad");
  generate.csv = strcmp(tide_args_text(args, "format"), "csv") == 0;
  generate.labels = !tide_args_on(args, "no-labels");
  generate.profiles = tide_args_on(args, "profiles");
  const char *outcomes = tide_args_text(args, "outcomes");
  generate.outcomes = strcmp(outcomes, "row") == 0    ? TIDE_GENERATE_ROW
                      : strcmp(outcomes, "none") == 0 ? TIDE_GENERATE_NONE
                                                      : TIDE_GENERATE_RECORDS;
  generate.counts = &counts;
  generate.progress = step;
  generate.progress_ctx = &progress;
  tide_progress_begin(&progress, "generate");
  enum tide_err err = tide_generate(&generate, &error);
  tide_progress_end(&progress);
  if (err != TIDE_OK) return tide_exit_report(&error);
  report(&counts, (double)(tide_mono_now().ns - progress.start.ns) / 1e9);
  return TIDE_EXIT_OK;
}

const struct tide_verb tide_verb_generate = {
    .name = "generate",
    .summary = "Write a sample log: customers, merchants, and several kinds of fraud",
    .about =
        "The same seed and options give the same bytes on every machine. Card numbers are made up and belong to nobody. Fraud: card testing, stolen-card "
        "sprees, compromised terminals, account takeover, bust-out. Outcomes, reversals and delayed labels come as records of their own.",
    .example = "tidemark generate --seed 42 --transactions 200000 --duplicates 1 --out-of-order 2 --output log.jsonl",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
