/* Places and a schema into steps (decode_avro_plan.h).
 *
 * Types of the schema and nodes of the trie give pairs; only those that can be reached become steps, each once. Steps are filled in the order in which they are met,
 * by a loop and not by recursion, because a chain of named types may be as long as the schema. */
#include "adapter/decode_avro_plan.h"

#define PAIRS_MAX (1u << 22)

/* ---- the trie of places ---- */

static uint32_t below(const struct tide_avro_trie *trie, uint32_t node, struct tide_span key) {
  uint32_t at = node == TIDE_NONE ? TIDE_NONE : trie->node[node].first;
  while (at != TIDE_NONE && !tide_span_eq(trie->node[at].key, key)) at = trie->node[at].next;
  return at;
}

void tide_avro_trie_init(struct tide_avro_trie *trie, const struct tide_place *place, uint32_t place_count) {
  size_t most = 1;
  for (uint32_t i = 0; i < place_count; i++) most += place[i].segment_count;
  trie->node = tide_alloc(most * sizeof *trie->node);
  trie->node[0] = (struct tide_avro_node){.first = TIDE_NONE, .next = TIDE_NONE, .place = TIDE_NONE};
  trie->place = place;
  trie->count = 1;
  for (uint32_t i = 0; i < place_count; i++) {
    uint32_t at = 0;
    for (uint32_t k = 0; k < place[i].segment_count; k++) {
      trie->node[at].guards |= place[i].secret;
      uint32_t found = below(trie, at, place[i].segment[k]);
      if (found == TIDE_NONE) {
        found = trie->count++;
        trie->node[found] =
            (struct tide_avro_node){.key = place[i].segment[k], .first = TIDE_NONE, .next = trie->node[at].first, .place = TIDE_NONE};
        trie->node[at].first = found;
      }
      at = found;
    }
    trie->node[at].place = i;
  }
}

void tide_avro_trie_release(struct tide_avro_trie *trie) { tide_free(trie->node); }

/* ---- compiling ---- */

/* The index that a key of a pointer means, written as RFC 6901 wants it: no sign, no leading zero. */
static uint32_t index_of(struct tide_span key) {
  uint64_t index = 0;
  if (key.len == 0 || key.len > 9 || (key.len > 1 && key.ptr[0] == '0')) return TIDE_NONE;
  for (size_t i = 0; i < key.len; i++) {
    if (key.ptr[i] < '0' || key.ptr[i] > '9') return TIDE_NONE;
    index = index * 10 + (uint64_t)(key.ptr[i] - '0');
  }
  return (uint32_t)index;
}

static void *grow(void *table, uint32_t count, uint32_t more, uint32_t *cap, size_t size) {
  if (count + more <= *cap) return table;
  while (*cap < count + more) *cap = *cap ? *cap * 2 : 64;
  return tide_realloc(table, *cap * size);
}

struct compiler {
  const struct tide_avro_trie *trie;
  const struct tide_avro_schema *schema;
  struct tide_avro_plan *plan;
  uint32_t *met; /* by type and node: the step + 1 */
};

static bool guards(const struct tide_avro_trie *trie, uint32_t node) { return node != TIDE_NONE && trie->node[node].guards; }

static bool is_scalar(const struct tide_avro_type *type) {
  return type->kind != TIDE_AVRO_IS_RECORD && type->kind != TIDE_AVRO_IS_ARRAY && type->kind != TIDE_AVRO_IS_MAP &&
         type->kind != TIDE_AVRO_IS_UNION;
}

/* The step of a type at a node, made when it is met for the first time. */
static uint32_t step_of(struct compiler *c, uint32_t type, uint32_t node) {
  uint32_t nodes = c->trie->count + 1;
  uint32_t *met = &c->met[(size_t)type * nodes + (node == TIDE_NONE ? nodes - 1 : node)];
  if (*met) return *met - 1;
  struct tide_avro_plan *p = c->plan;
  p->step = grow(p->step, p->step_count, 1, &p->step_cap, sizeof *p->step);
  uint32_t place = node == TIDE_NONE ? TIDE_NONE : c->trie->node[node].place;
  const struct tide_avro_type *what = &c->schema->type[type];
  p->step[p->step_count] =
      (struct tide_avro_step){.type = what,
                              .node = node,
                              .place = place,
                              .hidden = (place != TIDE_NONE && c->trie->place[place].secret) || (is_scalar(what) && guards(c->trie, node))};
  *met = ++p->step_count;
  return p->step_count - 1;
}

/* Fills a step: what it leads to. Steps that are met for the first time stand behind all others and are filled later. */
static void fill(struct compiler *c, uint32_t at) {
  struct tide_avro_plan *p = c->plan;
  const struct tide_avro_type *type = p->step[at].type;
  uint32_t node = p->step[at].node;
  bool record = type->kind == TIDE_AVRO_IS_RECORD, items = type->kind == TIDE_AVRO_IS_ARRAY || type->kind == TIDE_AVRO_IS_MAP;
  if (!record && !items && type->kind != TIDE_AVRO_IS_UNION) return;
  p->child = grow(p->child, p->child_count, type->size, &p->child_cap, sizeof *p->child);
  p->step[at].child = p->child_count;
  p->child_count += type->size;
  for (uint32_t i = 0; i < type->size; i++) {
    uint32_t down = record ? below(c->trie, node, tide_span_of(type->name[i])) : items ? TIDE_NONE : node;
    uint32_t step = step_of(c, type->child[i], down); /* may move p->step */
    p->child[p->step[at].child + i] = step;
  }
  p->step[at].pick = p->pick_count;
  for (uint32_t n = items && node != TIDE_NONE ? c->trie->node[node].first : TIDE_NONE; n != TIDE_NONE; n = c->trie->node[n].next) {
    uint32_t step = step_of(c, type->child[0], n);
    p->pick = grow(p->pick, p->pick_count, 1, &p->pick_cap, sizeof *p->pick);
    p->pick[p->pick_count++] = (struct tide_avro_pick){c->trie->node[n].key, index_of(c->trie->node[n].key), step};
  }
  p->step[at].pick_count = p->pick_count - p->step[at].pick;
  if (type->kind != TIDE_AVRO_IS_ARRAY || !guards(c->trie, node)) return;
  bool asked = false; /* for one of its elements: then it is no stranger here */
  for (uint32_t i = p->step[at].pick; i < p->pick_count; i++) asked |= p->pick[i].index != TIDE_NONE;
  p->step[at].hidden |= !asked;
}

void tide_avro_plan_free(struct tide_avro_plan *p) {
  tide_free(p->step);
  tide_free(p->child);
  tide_free(p->pick);
  tide_free(p);
}

enum tide_err tide_avro_plan_new(const struct tide_avro_trie *trie, uint32_t id, const struct tide_avro_schema *schema,
                                 struct tide_avro_plan **ret, struct tide_error *error) {
  size_t pairs = (size_t)schema->type_count * (trie->count + 1);
  if (pairs > PAIRS_MAX)
    return tide_fail_at(error, TIDE_E_TYPE, 0, 0, "", "schema %u is too large: %u types for %u places", id, schema->type_count,
                        trie->count);
  struct compiler c = {.trie = trie, .schema = schema, .plan = tide_alloc(sizeof *c.plan), .met = tide_alloc(pairs * sizeof *c.met)};
  c.plan->id = id;
  uint32_t root = step_of(&c, 0, 0);
  TIDE_CHECK(root == 0);
  for (uint32_t i = 0; i < c.plan->step_count; i++) fill(&c, i);
  tide_free(c.met);
  *ret = c.plan;
  return TIDE_OK;
}
