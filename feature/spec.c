/* The feature file from bytes to a checked spec: the order of its sections, and what others ask of a spec.
 *
 * Sections of the file may stand in any order; they are read in the order in which names come to be known: the amount and the time, then the fields of all
 * shapes, derived fields, entities, features, derived values, freshness, policy, tests. All mistakes are collected and sorted by place. */
#include "feature/spec.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "feature/policy.h"
#include "feature/quoted.h"
#include "feature/spec_build.h"

static const char *const result_words[] = {"pending", "approved", "partial", "declined", NULL};
static const char *const extent_words[] = {"none", "partial", "full", NULL};
static const char *const disputed_words[] = {"no", "yes", NULL};
static const char *const label_words[] = {"unknown", "fraud", "genuine", NULL};

const char *const *tide_dyn_words(enum tide_dyn dyn) {
  switch (dyn) {
    case TIDE_DYN_result: return result_words;
    case TIDE_DYN_reversed:
    case TIDE_DYN_refunded: return extent_words;
    case TIDE_DYN_disputed: return disputed_words;
    case TIDE_DYN_label: return label_words;
    case TIDE_DYN_reason:
    case TIDE_DYN_amount_now:
    case TIDE_DYN_COUNT: break;
  }
  return NULL;
}

const char *tide_dyn_name(enum tide_dyn dyn) {
  static const char *const names[] = {
#define X(name) #name,
      TIDE_DYNS(X)
#undef X
  };
  TIDE_CHECK(dyn < TIDE_DYN_COUNT);
  return names[dyn];
}

uint32_t tide_dyn_find(const char *name) {
  for (uint32_t dyn = 0; dyn < TIDE_DYN_COUNT; dyn++)
    if (strcmp(tide_dyn_name((enum tide_dyn)dyn), name) == 0) return dyn;
  return TIDE_NONE;
}

uint32_t tide_spec_field(const struct tide_spec *spec, const char *name) {
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (!spec->field[i].fact && strcmp(spec->field[i].name, name) == 0) return i;
  return TIDE_NONE;
}

uint32_t tide_spec_fact(const struct tide_spec *spec, uint32_t entity, const char *name) {
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (spec->field[i].fact && spec->field[i].fact_of == entity && strcmp(spec->field[i].name, name) == 0) return i;
  return TIDE_NONE;
}

uint32_t tide_spec_slot(const struct tide_spec *spec, const char *name) {
  for (uint32_t i = 0; i < spec->slot_count; i++)
    if (strcmp(spec->slot[i].name, name) == 0) return i;
  return TIDE_NONE;
}

uint32_t tide_spec_entity(const struct tide_spec *spec, const char *name) {
  for (uint32_t i = 0; i < spec->entity_count; i++)
    if (strcmp(spec->entity[i].name, name) == 0) return i;
  return TIDE_NONE;
}

static struct tide_spec *spec_new(struct tide_span text) {
  struct tide_spec *spec = tide_alloc(sizeof *spec);
  *spec = (struct tide_spec){
      .f_time = TIDE_NONE, .f_kind = TIDE_NONE, .f_amount = TIDE_NONE, .f_merchant = TIDE_NONE, .f_lat = TIDE_NONE, .f_lon = TIDE_NONE};
  struct tide_arena *arena = &spec->arena;
  /* Tables at their bounds: expressions point into nothing that moves. */
  spec->field = tide_arena_alloc(arena, TIDE_FIELDS_MAX * sizeof *spec->field);
  spec->shape = tide_arena_alloc(arena, TIDE_SHAPES_MAX * sizeof *spec->shape);
  spec->entity = tide_arena_alloc(arena, TIDE_ENTITIES_MAX * sizeof *spec->entity);
  spec->feature = tide_arena_alloc(arena, TIDE_FEATURES_MAX * sizeof *spec->feature);
  spec->slot = tide_arena_alloc(arena, TIDE_SLOTS_MAX * sizeof *spec->slot);
  spec->derived = tide_arena_alloc(arena, TIDE_DERIVED_MAX * sizeof *spec->derived);
  spec->group = tide_arena_alloc(arena, (TIDE_ENTITIES_MAX + 1) * sizeof *spec->group);
  spec->decision = tide_arena_alloc(arena, TIDE_DECISIONS_MAX * sizeof *spec->decision);
  spec->list = tide_arena_alloc(arena, TIDE_LISTS_MAX * sizeof *spec->list);
  spec->rule = tide_arena_alloc(arena, TIDE_RULES_MAX * sizeof *spec->rule);
  spec->fallback = tide_arena_alloc(arena, (TIDE_RULES_MAX + 1) * sizeof *spec->fallback);
  spec->test = tide_arena_alloc(arena, TIDE_TESTS_MAX * sizeof *spec->test);
  spec->text = tide_arena_strdup(arena, text);
  spec->text_len = text.len;
  spec->hash = tide_hash128(text.ptr, text.len, 0);
  return spec;
}

void tide_spec_free(struct tide_spec *spec) {
  if (!spec) return;
  struct tide_arena arena = spec->arena;
  tide_free(spec);
  tide_arena_release(&arena);
}

static void build_top(struct tide_build *b) {
  static const char *const keys[] = {"tidemark", "name",    "event",     "inputs", "entities", "windows",
                                     "features", "derived", "freshness", "policy", "tests"};
  if (!tide_build_keys(b, b->root, "the feature file", keys, sizeof keys / sizeof keys[0])) return;
  const struct tide_yaml_node *version = tide_yaml_get(b->root, "tidemark");
  if (!version)
    tide_build_fail(b, 1, 1, "tidemark", "`tidemark: 1` is missing: it says which version of this format the file is written in");
  else if (version->kind != TIDE_YAML_SCALAR || !tide_span_is(version->text, "1"))
    tide_build_fail_node(b, version, "tidemark", "this program reads format version 1: write `tidemark: 1`");
  const struct tide_yaml_node *name = tide_yaml_get(b->root, "name");
  b->spec->name = "unnamed";
  if (!name) {
    tide_build_fail(b, 1, 1, "name", "`name:` is missing: it stands in every answer, like `name: eu-issuing`");
  } else if (tide_build_scalar(b, name, "name")) {
    bool good = name->text.len <= TIDE_NAME_MAX;
    for (size_t i = 0; i < name->text.len && good; i++) {
      char c = name->text.ptr[i];
      good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    }
    if (!good) tide_build_fail_node(b, name, "name", "name: at most %d letters, digits and - _ . are possible", TIDE_NAME_MAX);
    else b->spec->name = tide_build_dup(b, name->text);
  }
}

static void build_sections(struct tide_build *b) {
  build_top(b);
  if (b->root->kind != TIDE_YAML_MAP) return;
  tide_build_event_names(b);
  tide_build_inputs(b);
  tide_build_event(b);
  tide_build_entities(b);
  tide_build_profiles(b);
  tide_build_inputs_check(b);
  tide_build_features(b);
  tide_build_derived(b);
  tide_build_freshness(b);
  tide_build_policy(b);
  tide_build_tests(b);
}

/* Messages quote the file and are cut at their bounds: what is not whole UTF-8 any more becomes `?`, so that they can be printed as JSON. */
static void make_printable(char *text) {
  for (size_t i = 0, len = strlen(text); i < len;) {
    size_t n = 1;
    while (n <= 4 && i + n <= len && !tide_utf8_valid((struct tide_span){text + i, n})) n++;
    bool whole = n <= 4 && i + n <= len;
    if (!whole) text[i] = '?';
    i += whole ? n : 1;
  }
}

static int by_place(const void *x, const void *y) {
  const struct tide_error *a = x, *b = y;
  if (a->line != b->line) return a->line < b->line ? -1 : 1;
  return a->column == b->column ? 0 : a->column < b->column ? -1 : 1;
}

enum tide_err tide_spec_parse(const char *path, struct tide_span text, struct tide_spec **ret, struct tide_error *error, size_t error_max,
                              size_t *ret_errors) {
  (void)path; /* errors carry line and column; who prints them knows the file */
  struct tide_build b = {.errors = tide_alloc(TIDE_BUILD_ERRORS_MAX * sizeof *b.errors)};
  enum tide_err err = tide_yaml_parse(text, &b.scratch, &b.root, &b.errors[0]);
  if (err) {
    b.error_count = 1;
  } else {
    b.spec = spec_new(text);
    build_sections(&b);
  }
  size_t kept = b.error_count < TIDE_BUILD_ERRORS_MAX ? b.error_count : TIDE_BUILD_ERRORS_MAX;
  qsort(b.errors, kept, sizeof *b.errors, by_place);
  if (kept > 0) err = b.errors[0].code;
  for (size_t i = 0; i < kept; i++) {
    make_printable(b.errors[i].text);
    make_printable(b.errors[i].field);
  }
  for (size_t i = 0; i < kept && i < error_max; i++) error[i] = b.errors[i];
  if (ret_errors) *ret_errors = b.error_count;
  tide_arena_release(&b.scratch);
  tide_free(b.errors);
  if (err) {
    tide_spec_free(b.spec);
    return err;
  }
  tide_policy_compile(b.spec, &b.spec->arena);
  tide_quoted_make(b.spec);
  *ret = b.spec;
  return TIDE_OK;
}

enum tide_err tide_spec_load(const char *path, struct tide_spec **ret, struct tide_error *error, size_t error_max, size_t *ret_errors) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error here = {0};
  enum tide_err err = tide_yaml_read(path, "feature file", &text, &here);
  if (err) {
    if (error_max > 0) error[0] = here;
    if (ret_errors) *ret_errors = 1;
  } else {
    err = tide_spec_parse(path, tide_buf_span(&text), ret, error, error_max, ret_errors);
  }
  tide_buf_release(&text);
  return err;
}
