/* tidemark source list | accept-gap | waive: an operator looks at the sources of a running cell, and decides about a partition.
 *
 * They ask an engine's admin listener (engine/http/sources.c and order.c say what it does): what is decided stands in the journal, so it holds for the whole cell
 * and is found there later. What is printed is the engine's answer, as a table or, with --json, as it came (admin_args.h). */
#include "cli/verbs.h"

#include "base/json_out.h"
#include "cli/admin_args.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- list ---- */

static const char *text_of(const json_t *object, const char *key, const char *none) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : none;
}

static const char *number_of(const json_t *object, const char *key, char out[24]) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_integer(value)) return "-";
  snprintf(out, 24, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  return out;
}

/* Milliseconds as people read them: 350ms, 12s, 90m, 3d. */
static const char *age_of(const json_t *object, const char *key, char out[24]) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_integer(value)) return "-";
  int64_t ms = json_integer_value(value);
  if (ms < 10000) snprintf(out, 24, "%" PRId64 "ms", ms);
  else if (ms < 600000) snprintf(out, 24, "%" PRId64 "s", ms / 1000);
  else if (ms < INT64_C(36000000)) snprintf(out, 24, "%" PRId64 "m", ms / 60000);
  else if (ms < INT64_C(345600000)) snprintf(out, 24, "%" PRId64 "h", ms / 3600000);
  else snprintf(out, 24, "%" PRId64 "d", ms / 86400000);
  return out;
}

/* Somebody should look. */
static bool needs_look(const json_t *source, const json_t *partition) {
  if (!json_is_true(json_object_get(source, "declared"))) return false;
  bool silent = json_is_true(json_object_get(source, "silent")) && json_is_true(json_object_get(source, "gates"));
  return silent || json_is_true(json_object_get(partition, "stopped"));
}

/* What is to be said of it besides numbers. */
static void print_state(const json_t *source, const json_t *partition) {
  const char *trouble = text_of(partition, "trouble", NULL), *waived = text_of(partition, "waived_until", NULL);
  bool silent = json_is_true(json_object_get(source, "silent"));
  if (trouble) printf("stands still: %s", trouble);
  else if (json_is_true(json_object_get(partition, "stopped"))) printf("stands still");
  else if (silent) printf("silent since %s", text_of(source, "heard", "its declaration"));
  else printf("ok");
  if (waived) printf("; waived until %s", waived);
  printf("\n");
}

static void print_source(const json_t *source) {
  char cursor[24], end[24], lag[24], age[24], delay[24], place[80], number[24];
  const char *name = text_of(source, "name", "?");
  bool declared = json_is_true(json_object_get(source, "declared")), gates = json_is_true(json_object_get(source, "gates"));
  size_t i;
  const json_t *partition;
  printf("%s: topic %s, %s%s\n", name, text_of(source, "topic", "(not configured here)"), gates ? "gates" : "does not gate",
         declared ? "" : ", not a source of the cell any more");
  json_array_foreach(json_object_get(source, "partitions"), i, partition) {
    snprintf(place, sizeof place, "%s/%s", name, number_of(partition, "partition", number));
    printf("  %-20s %12s %12s %10s %10s %10s  ", place, number_of(partition, "cursor", cursor), number_of(partition, "end", end),
           number_of(partition, "lag", lag), age_of(partition, "complete_age_ms", age), age_of(partition, "delay_ms", delay));
    print_state(source, partition);
  }
}

static void print_list(const json_t *object) {
  char engine[24], reader[24], unsent[24];
  const json_t *sources = json_object_get(object, "sources"), *source;
  size_t i;
  bool reads = json_is_true(json_object_get(object, "ingests")), known = json_is_integer(json_object_get(object, "ingester"));
  printf("engine %s is %s; ", number_of(object, "engine", engine), text_of(object, "state", "?"));
  if (reads) printf("it reads the sources");
  else if (known) printf("engine %s reads the sources: ask that one for ends and troubles", number_of(object, "ingester", reader));
  else printf("nobody reads the sources");
  printf("; answers that have not left: %s\n", number_of(object, "unsent_answers", unsent));
  if (json_array_size(sources) == 0) printf("the cell has no sources\n");
  else printf("  %-20s %12s %12s %10s %10s %10s\n", "partition", "cursor", "end", "lag", "complete", "delay");
  json_array_foreach(sources, i, source) print_source(source);
}

static int list(const struct tide_args *args) {
  json_t *object = NULL;
  int exit = tide_admin_tell(args, "/sources", NULL, &object);
  if (exit != TIDE_EXIT_OK) return exit;
  if (!tide_args_on(args, "json")) print_list(object);
  const json_t *source, *partition;
  bool look = false;
  size_t i, k;
  json_array_foreach(json_object_get(object, "sources"), i, source) json_array_foreach(json_object_get(source, "partitions"), k, partition)
      look |= needs_look(source, partition);
  json_decref(object);
  return look ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
}

static const struct tide_opt list_options[] = {TIDE_ADMIN_ADDRESS, TIDE_ADMIN_OPTIONS};

const struct tide_verb tide_verb_source_list = {
    .name = "source list",
    .summary = "Show how far a running cell has read its sources, and what stands still",
    .about =
        "Of each partition: its cursor, the end of its log, how many messages are between, how long ago the moment is up to which it is complete, and how "
        "late its messages come into the log. "
        "Ends and troubles are known to the engine that reads. Exit code 1 when a partition stands still or a source that gates is silent.",
    .example = "tidemark source list\ntidemark source list --admin 10.0.0.7:9090 --ca ca.pem --token-file admin.token --json",
    .opt = list_options,
    .opt_count = sizeof list_options / sizeof list_options[0],
    .run = list};

/* ---- accept-gap, waive ---- */

static const struct tide_positional place[] = {{"SOURCE", "Its name in the configuration", false, false},
                                               {"PARTITION", "Its number; of waive also `all`", false, false}};

/* Opens {"source":S,"partition":P. False: the partition is none. */
static bool put_place(const struct tide_args *args, bool may_be_all, struct tide_buf *out) {
  const char *text = tide_args_at(args, 1);
  char *end = NULL;
  unsigned long number = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
  bool all = may_be_all && strcmp(text, "all") == 0;
  if (!all && (!end || *end || number > UINT16_MAX)) {
    fprintf(stderr, "tidemark: \"%.40s\" is no partition: write its number%s\n", text, may_be_all ? ", or all" : "");
    return false;
  }
  tide_json_open(out, '{');
  tide_json_key(out, "source");
  tide_json_cstr(out, tide_args_at(args, 0));
  tide_json_key(out, "partition");
  if (all) tide_json_null(out);
  else tide_json_int(out, (int64_t)number);
  return true;
}

static int order(const struct tide_args *args, const char *path, struct tide_buf *body, json_t **ret) {
  tide_json_close(body, '}');
  int exit = tide_admin_tell(args, path, body, ret);
  tide_buf_release(body);
  return exit;
}

static int accept_gap(const struct tide_args *args) {
  const char *text = tide_args_text(args, "cursor");
  struct tide_buf body = TIDE_BUF_INIT;
  char from[24], to[24], number[24];
  json_t *object = NULL;
  bool word = strcmp(text, "begin") == 0 || strcmp(text, "end") == 0;
  bool digits = text[0] && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 18;
  if (!word && !digits) {
    fprintf(stderr, "tidemark: --cursor is an offset, or begin or end, not \"%.40s\"\n", text);
    return TIDE_EXIT_USAGE;
  }
  if (!put_place(args, false, &body)) return TIDE_EXIT_USAGE;
  tide_json_key(&body, "cursor");
  if (word) tide_json_cstr(&body, text);
  else tide_json_int(&body, strtoll(text, NULL, 10));
  int exit = order(args, "/sources/accept-gap", &body, &object);
  if (exit == TIDE_EXIT_OK && !tide_args_on(args, "json"))
    printf("%s/%s goes on at %s instead of %s, journaled at %s\n", text_of(object, "source", "?"), number_of(object, "partition", number),
           number_of(object, "to", to), number_of(object, "from", from), text_of(object, "position", "?"));
  json_decref(object);
  return exit;
}

static const struct tide_opt gap_options[] = {{"cursor", "OFFSET", NULL,
                                               "The first message to be counted: an offset, or begin or end of the log as it is now",
                                               TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
                                              TIDE_ADMIN_ADDRESS,
                                              TIDE_ADMIN_OPTIONS};

const struct tide_verb tide_verb_source_accept_gap = {
    .name = "source accept-gap",
    .summary = "Go on with a partition that stands still, behind what its log has lost",
    .about =
        "A partition stands still when its cursor is not in its log any more (retention has passed it by), or when the log was cut and written again. "
        "What is missing is not counted: features of its cards are too low from there on. Find out what was lost, and back-fill it or accept it; this says "
        "that you do. The engine that reads takes it, for a partition that stands still and a place that the log has. Exit code 1 when the state of the cell "
        "does not allow it.",
    .example =
        "tidemark source accept-gap auths 3 --cursor begin\ntidemark source accept-gap auths 3 --cursor 182000 --admin 10.0.0.7:9090 --token-file admin.token",
    .opt = gap_options,
    .opt_count = sizeof gap_options / sizeof gap_options[0],
    .positional = place,
    .positional_count = 2,
    .run = accept_gap};

static int waive(const struct tide_args *args) {
  struct tide_buf body = TIDE_BUF_INIT;
  char number[24];
  json_t *object = NULL;
  if (!put_place(args, true, &body)) return TIDE_EXIT_USAGE;
  tide_json_key(&body, "for");
  tide_json_cstr(&body, tide_args_text(args, "for"));
  int exit = order(args, "/sources/waive", &body, &object);
  if (exit == TIDE_EXIT_OK && !tide_args_on(args, "json")) {
    const char *until = text_of(object, "until", NULL), *partition = number_of(object, "partition", number);
    printf("%s/%s is %s%s, journaled at %s\n", text_of(object, "source", "?"), strcmp(partition, "-") == 0 ? "all" : partition,
           until ? "waived until " : "waited for again", until ? until : "", text_of(object, "position", "?"));
  }
  json_decref(object);
  return exit;
}

static const struct tide_opt waive_options[] = {
    {"for", "DURATION", NULL, "For how long, at most 7d; 0s ends the waiver", TIDE_OPT_DURATION, TIDE_OPT_REQUIRED, 0, 0, NULL},
    TIDE_ADMIN_ADDRESS,
    TIDE_ADMIN_OPTIONS};

const struct tide_verb tide_verb_source_waive = {
    .name = "source waive",
    .summary = "Decide without waiting for a partition, for a limited time",
    .about =
        "While a partition is behind, decisions that need it get the fallback. A waiver says that what it has not delivered may be missing: decisions are made, and say `waived`. "
        "Any engine takes it; it holds for the cell and ends by itself.",
    .example = "tidemark source waive auths 3 --for 10m\ntidemark source waive auths all --for 0s",
    .opt = waive_options,
    .opt_count = sizeof waive_options / sizeof waive_options[0],
    .positional = place,
    .positional_count = 2,
    .run = waive};
