/* Inside the decoder: a schema and the places that shapes read, compiled into steps for the walk of decode_avro.c.
 *
 * A step is a type of the schema met at a node of the trie of all places, or below it, where nobody asks. Each pair is one step, so a schema that contains itself
 * gives finitely many, and the walk follows indices and never compares the names of fields. */
#ifndef TIDE_DECODE_AVRO_PLAN_H
#define TIDE_DECODE_AVRO_PLAN_H

#include "adapter/avro_schema.h"
#include "adapter/decode_parts.h"

/* An element of an array or a member of a map that some place asks for. */
struct tide_avro_pick {
  struct tide_span key;
  uint32_t index; /* array; TIDE_NONE when the key is no index */
  uint32_t step;
};

struct tide_avro_step {
  const struct tide_avro_type *type;
  uint32_t node;  /* of the trie, or TIDE_NONE */
  uint32_t place; /* what is captured here, or TIDE_NONE */
  uint32_t child; /* plan->child[child + i]: the steps of fields, of branches; one: of items that nobody asks for */
  uint32_t pick, pick_count; /* plan->pick[pick + i] */
  bool hidden;               /* masked where it is shown: a secret, or what stands in the place of the record that should hold one */
};

struct tide_avro_plan {
  uint32_t id;                 /* of the schema */
  struct tide_avro_step *step; /* step[0]: the message */
  uint32_t *child;
  struct tide_avro_pick *pick;
  uint32_t step_count, step_cap, child_count, child_cap, pick_count, pick_cap;
};

struct tide_avro_node {
  struct tide_span key;
  uint32_t first, next; /* below, beside: nodes, or TIDE_NONE */
  uint32_t place;       /* or TIDE_NONE */
  bool guards;          /* a secret place is below it */
};
struct tide_avro_trie {
  struct tide_avro_node *node; /* node[0]: the message */
  const struct tide_place *place;
  uint32_t count;
};

/* The trie of places, which are borrowed. */
void tide_avro_trie_init(struct tide_avro_trie *trie, const struct tide_place *place, uint32_t place_count);
void tide_avro_trie_release(struct tide_avro_trie *trie);
/* The plan; schema and trie are borrowed. Free with tide_avro_plan_free. Error: TYPE (types times places are too many). */
enum tide_err tide_avro_plan_new(const struct tide_avro_trie *trie, uint32_t id, const struct tide_avro_schema *schema, struct tide_avro_plan **ret,
                                 struct tide_error *error) TIDE_WARN_UNUSED;
void tide_avro_plan_free(struct tide_avro_plan *plan);

#endif
