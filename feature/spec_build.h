/* The parser of the feature file, seen from its sections: what they share while a spec is being built.
 *
 * Each section (spec_event.c, spec_inputs.c, ...) reads its part of the document and fills its tables. A mistake never stops the others:
 * it is noted with its place, one per node, and the name it would have declared is remembered as broken, so that what reads that name is not blamed as well.
 * Sections run in an order in which every name is known before it is read (spec.c). Private to feature/spec*.c. */
#ifndef TIDE_SPEC_BUILD_H
#define TIDE_SPEC_BUILD_H

#include "feature/expr_parse.h"
#include "feature/spec.h"
#include "config/yaml.h"

#define TIDE_SHAPES_MAX 32
#define TIDE_LISTS_MAX 64
#define TIDE_DECISIONS_MAX 16
#define TIDE_TESTS_MAX 256
#define TIDE_TEST_EVENTS_MAX 256
#define TIDE_WINDOWS_MAX 64       /* names in `windows:` */
#define TIDE_FEATURE_WINDOWS_MAX 32 /* windows of one feature */
#define TIDE_MAP_MAX 256          /* pairs of one `map:` */
#define TIDE_NAME_MAX 63
#define TIDE_BUILD_ERRORS_MAX 256 /* noted; more are only counted */
#define TIDE_FEATURES_MAX (TIDE_SLOTS_MAX)

struct tide_window_name { const char *name; struct tide_span text; const struct tide_yaml_node *node; };

/* Where a field was first declared, for "declared otherwise in line N". */
struct tide_field_place { int line; const char *shape; bool broken; };

struct tide_build {
  struct tide_spec *spec;
  struct tide_arena scratch;      /* the document; released after parsing */
  struct tide_yaml_node *root;
  struct tide_error *errors;      /* TIDE_BUILD_ERRORS_MAX */
  size_t error_count;             /* all, also those beyond the array */
  const char **broken;            /* names whose declaration failed */
  uint32_t broken_count, broken_cap;

  /* event:, read before inputs: because it types fields */
  const char *time_name, *amount_name;
  struct tide_yaml_node *time_node, *amount_node;
  struct tide_field_place field_place[TIDE_FIELDS_MAX];

  bool shape_broken[TIDE_SHAPES_MAX]; /* its type is not known: nothing is asked of it */

  struct tide_window_name window[TIDE_WINDOWS_MAX];
  uint32_t window_count;
  bool derived_plain[TIDE_DERIVED_MAX]; /* reads fields and time only, also through other derived */
  bool forget_given[TIDE_ENTITIES_MAX];
};

/* --- sections, in the order in which spec.c runs them --- */
void tide_build_event_names(struct tide_build *b);  /* time, amount: which fields they are */
void tide_build_inputs(struct tide_build *b);       /* fields and shapes */
void tide_build_event(struct tide_build *b);        /* the rest of event: */
void tide_build_entities(struct tide_build *b);
void tide_build_profiles(struct tide_build *b);     /* facts, and whom they are about */
void tide_build_inputs_check(struct tide_build *b); /* does every shape carry what event and entities need */
void tide_build_features(struct tide_build *b);     /* windows and features */
void tide_build_derived(struct tide_build *b);
void tide_build_freshness(struct tide_build *b);
void tide_build_policy(struct tide_build *b);
void tide_build_tests(struct tide_build *b);

/* --- errors --- */
void tide_build_fail(struct tide_build *b, int line, int column, const char *field, const char *fmt, ...) TIDE_PRINTF(5, 6);
void tide_build_fail_node(struct tide_build *b, const struct tide_yaml_node *node, const char *field, const char *fmt, ...) TIDE_PRINTF(4, 5);
/* At byte `offset` of a scalar's text (the node's own place when the text is not in the file as it is). */
void tide_build_fail_text(struct tide_build *b, const struct tide_yaml_node *node, size_t offset, const char *field, const char *fmt, ...)
    TIDE_PRINTF(5, 6);
void tide_build_broken(struct tide_build *b, const char *name);
/* "; did you mean `x`?", or the candidates when they are few, or "". The text lives in the scratch arena. */
const char *tide_build_suggest(struct tide_build *b, const char *name, const char *const *candidates, size_t count);

/* --- nodes --- */
/* Every key of map must be one of `keys`; false if map is not a mapping (noted). `what` names the mapping: "event", "the shape". */
bool tide_build_keys(struct tide_build *b, const struct tide_yaml_node *map, const char *what, const char *const *keys, size_t count);
/* The node as a scalar that is not null, or false (noted). */
bool tide_build_scalar(struct tide_build *b, const struct tide_yaml_node *node, const char *what);
/* A scalar or a list of at most `max` scalars as nodes. 0 when there is an error (noted). */
uint32_t tide_build_list(struct tide_build *b, struct tide_yaml_node *node, const char *what, uint32_t max, const struct tide_yaml_node **ret);
/* [A-Za-z_][A-Za-z0-9_]*, at most TIDE_NAME_MAX; otherwise noted. */
bool tide_build_name(struct tide_build *b, const char *name, int line, int column, const char *what);
/* The same for what is derived: no word either that an expression always reads as something else. */
bool tide_build_read_name(struct tide_build *b, const char *name, int line, int column, const char *what);
bool tide_build_bool(struct tide_build *b, const struct tide_yaml_node *node, const char *what, bool *ret);
bool tide_build_duration(struct tide_build *b, const struct tide_yaml_node *node, const char *what, int64_t *ret_ms);
bool tide_build_int(struct tide_build *b, const struct tide_yaml_node *node, const char *what, int64_t lo, int64_t hi, int64_t *ret);
/* One of `words` by index, or -1 (noted). */
int tide_build_word(struct tide_build *b, const struct tide_yaml_node *node, const char *what, const char *const *words, size_t count);

/* --- names and texts --- */
const char *tide_build_dup(struct tide_build *b, struct tide_span text); /* into the spec */
/* Index of a field by a scalar's text, or TIDE_NONE (noted, with a suggestion). */
uint32_t tide_build_field(struct tide_build *b, const struct tide_yaml_node *node, const char *what);
uint32_t tide_build_field_text(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span name, const char *what);
/* A field, or an entity declared so far; where both have the name, the entity only if its key is not exactly that field. False: noted. */
bool tide_build_operand(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span name, const char *what, struct tide_key_part *ret);
/* All field names, and entity names if asked; the array lives in the scratch arena. */
const char *const *tide_build_field_names(struct tide_build *b, bool entities, size_t *ret_count);
/* Parses the part of a scalar's text as an expression; NULL when it fails (noted, unless it reads a broken name). */
const struct tide_expr *tide_build_expr(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span part, unsigned allow,
                                        enum tide_vtype want, const char *what);
bool tide_build_say(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span part, unsigned allow, struct tide_rule *rule);
struct tide_span tide_span_trim(struct tide_span s);
/* enum tide_dyn by name, or TIDE_NONE. */
uint32_t tide_dyn_find(const char *name);

/* --- columns of shapes (spec_column.c, spec_inputs.c) --- */
struct tide_build_as { uint8_t type; uint8_t decimals; uint8_t time_form; bool minor; }; /* what `as:` says */
struct tide_build_column { struct tide_input_field in; struct tide_build_as as; };
bool tide_build_as_read(struct tide_build *b, const struct tide_yaml_node *node, struct tide_build_as *ret);
const char *tide_build_at_read(struct tide_build *b, const struct tide_yaml_node *node, const char *what); /* NULL: noted */
/* One pair of a shape. *ret says what it is even when it is wrong (false, noted). */
bool tide_build_column_read(struct tide_build *b, const struct tide_yaml_pair *pair, uint8_t shape_type, struct tide_build_column *ret);
/* One pair of `facts:`. */
bool tide_build_fact_read(struct tide_build *b, const struct tide_yaml_pair *pair, struct tide_build_column *ret);
uint32_t tide_build_extra(uint8_t shape_type, const char *name); /* enum tide_extra, or TIDE_NONE */
bool tide_build_carries(const struct tide_shape *shape, uint32_t field);
/* Keys of a shape that are no columns: more of them in a profile. */
bool tide_build_shape_key(uint8_t shape_type, const char *key);
/* Adds a column, or replaces the one of the same field. */
void tide_build_column_add(struct tide_build *b, struct tide_shape *shape, const struct tide_input_field *in);

/* --- the text of a feature, cut into its clauses (spec_clause.c) --- */
struct tide_clauses {
  int agg;              /* enum tide_agg */
  struct tide_span of;  /* after `of`: FIELD, predicate or W1; empty if none */
  struct tide_span over, where, delayed, hop, cap; /* ptr NULL: not there */
  bool current;
};
/* False: *ret_at is the place and *ret_problem says what is wrong (static text); *ret_word the word concerned, for suggestions. */
bool tide_clauses_cut(struct tide_span text, struct tide_clauses *ret, size_t *ret_at, const char **ret_problem, struct tide_span *ret_word);
extern const char *const tide_agg_names[];  /* by enum tide_agg, without NEW */
#define TIDE_AGG_NAMED TIDE_AGG_NEW

/* Finds `word` as a word of its own at depth 0, outside quotes, from `from` on; SIZE_MAX if it is not there. */
size_t tide_text_find_word(struct tide_span text, size_t from, const char *word);

#endif
