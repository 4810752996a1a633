/* tidemark size: the memory of a feature file, before a machine is bought for it.
 *
 * The layout is exact, the population is assumed: each assumption is printed beside its result and can be given with --population, once per
 * entity. The arithmetic is feature/size.c's. */
#include "cli/verbs.h"

#include "base/clock.h"
#include "base/json_out.h"
#include "cli/spec_file.h"
#include "feature/size.h"

#include <stdlib.h>

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"cards", "N", NULL, "Entities of the primary kind", TIDE_OPT_INT, TIDE_OPT_REQUIRED, 1, 100000000000, NULL},
    {"per-month", "N", NULL, "Transactions a card in 30 days", TIDE_OPT_PERCENT, TIDE_OPT_REQUIRED, 0, 1000000, NULL},
    {"population", "ENTITY=COUNT[:SHARE]", NULL,
     "How many entities of a kind are alive and which share (0..1) of the transactions has its key, where the assumption is wrong; may be repeated",
     TIDE_OPT_TEXT, TIDE_OPT_REPEAT, 0, 0, NULL},
    TIDE_SETTING_OPTIONS,
    {"json", NULL, NULL, "As one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

/* "merchant=50000:1" */
static enum tide_err population_parse(const struct tide_spec *spec, const char *text, struct tide_population *population, bool *given,
                                      struct tide_error *error) {
  const char *equals = strchr(text, '=');
  size_t len = equals ? (size_t)(equals - text) : strlen(text);
  uint32_t entity = 0;
  while (entity < spec->entity_count && !tide_span_eq(tide_span_of(spec->entity[entity].name), (struct tide_span){text, len})) entity++;
  if (!equals || entity == spec->entity_count)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "--population",
                        "%s: no entity is called \"%.*s\"; write ENTITY=COUNT or ENTITY=COUNT:SHARE", text, (int)len, text);
  char *end;
  double count = strtod(equals + 1, &end), share = population[entity].share;
  bool good = end != equals + 1 && count >= 0 && count <= 1e12;
  if (good && *end == ':') {
    const char *from = end + 1;
    share = strtod(from, &end);
    good = end != from && share >= 0 && share <= 1;
  }
  if (!good || *end)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "--population",
                        "%s: COUNT is a number and SHARE one from 0 to 1, as in merchant=50000:0.8", text);
  population[entity] = (struct tide_population){count, share};
  given[entity] = true;
  return TIDE_OK;
}

struct rows {
  const struct tide_plan *plan;
  struct tide_population population[TIDE_ENTITIES_MAX];
  struct tide_kind_size size[TIDE_ENTITIES_MAX];
  bool given[TIDE_ENTITIES_MAX];
  double total;
};

static void print_table(const struct rows *rows) {
  const struct tide_spec *spec = rows->plan->spec;
  char keep[TIDE_TIME_TEXT];
  printf("%-16s %12s %7s %8s %9s %9s %10s %10s  %s\n", "entity", "entities", "share", "kept", "events", "B/event", "B/entity", "MB",
         "population");
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct tide_kind_size *size = &rows->size[e];
    printf("%-16s %12.0f %6.0f%% %8s %9.1f %9.1f %10.0f %10.1f  %s\n", spec->entity[e].name, rows->population[e].entities,
           rows->population[e].share * 100,
           tide_duration_format(rows->plan->kind[e].tile_ms ? rows->plan->kind[e].raw_ms : rows->plan->kind[e].keep_ms, keep),
           size->events_each, size->event_bytes, size->entity_bytes + size->log_bytes, size->bytes / 1e6,
           e == 0           ? "one a card"
           : rows->given[e] ? "given"
                            : "assumed");
  }
  printf("%-16s %12s %7s %8s %9s %9s %10s %10.1f\n", "in all", "", "", "", "", "", "", rows->total / 1e6);
  printf(
      "\nAssumed: a kind whose key is always there has one entity for 20 cards; one whose key is optional has one a card and 30 %% of the\n"
      "transactions; a kind that contains the primary makes a new entity in 60 %% of them. Say better with --population. Not in it: the\n"
      "process itself (about 50 MB), the journal's files, and a second copy of what changes while a snapshot is written.\n");
}

static void print_json(const struct rows *rows) {
  const struct tide_spec *spec = rows->plan->spec;
  struct tide_buf out = TIDE_BUF_INIT;
  tide_json_open(&out, '{');
  tide_json_key(&out, "entities");
  tide_json_open(&out, '[');
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct {
      const char *key;
      double value;
    } member[] = {{"entities", rows->population[e].entities},
                  {"share", rows->population[e].share},
                  {"events_each", rows->size[e].events_each},
                  {"event_bytes", rows->size[e].event_bytes},
                  {"entity_bytes", rows->size[e].entity_bytes},
                  {"log_bytes", rows->size[e].log_bytes},
                  {"bytes", rows->size[e].bytes}};
    tide_json_open(&out, '{');
    tide_json_key(&out, "name");
    tide_json_cstr(&out, spec->entity[e].name);
    for (size_t m = 0; m < sizeof member / sizeof member[0]; m++) {
      tide_json_key(&out, member[m].key);
      tide_json_double(&out, member[m].value);
    }
    tide_json_key(&out, "assumed");
    tide_json_bool(&out, e > 0 && !rows->given[e]);
    tide_json_close(&out, '}');
  }
  tide_json_close(&out, ']');
  tide_json_key(&out, "bytes");
  tide_json_double(&out, rows->total);
  tide_json_close(&out, '}');
  printf("%s\n", tide_buf_cstr(&out));
  tide_buf_release(&out);
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  struct tide_error error = {0};
  struct tide_settings settings;
  struct tide_plan *plan = NULL;
  struct rows rows = {0};
  double cards = (double)tide_args_int(args, "cards"), per_month = tide_args_double(args, "per-month");
  enum tide_err err = tide_settings_from_args(args, &settings, &error);
  if (err == TIDE_OK) err = tide_plan_new(spec, &settings, &plan, &error);
  for (uint32_t e = 0; err == TIDE_OK && e < spec->entity_count; e++) rows.population[e] = tide_size_assume(plan, e, cards, per_month);
  const char *text;
  for (size_t i = 0; err == TIDE_OK && (text = tide_args_nth(args, "population", i)); i++)
    err = population_parse(spec, text, rows.population, rows.given, &error);
  rows.plan = plan;
  for (uint32_t e = 0; err == TIDE_OK && e < spec->entity_count; e++) {
    rows.size[e] = tide_size_kind(plan, e, &rows.population[e], cards * per_month);
    rows.total += rows.size[e].bytes;
  }
  exit = TIDE_EXIT_OK;
  if (err != TIDE_OK) exit = tide_exit_report(&error);
  else if (tide_args_on(args, "json")) print_json(&rows);
  else print_table(&rows);
  tide_plan_free(plan);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_size = {
    .name = "size",
    .summary = "Print the memory that a feature file takes for so many cards",
    .about =
        "For each entity kind: entities alive, events kept of each, bytes of an event, of an entity, and in all. The layout of events is exact; how many "
        "merchants, devices or pairs there are is assumed, printed, and can be given. `features describe` says what each value stores.",
    .example = "tidemark size --features config/defaults/features.yaml --cards 1000000 --per-month 10\n"
               "tidemark size --features FILE --cards 5000000 --per-month 12 --population merchant=80000 --population ip=3000000:0.4",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
