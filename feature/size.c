/* The arithmetic of size.h: the layout of block.h and entity.h as expectations.
 *
 * A block of n events, y of them young, takes header + capacity(n) rows + capacity(y) young rows + its dictionaries, rounded up as the
 * allocator rounds (jemalloc: four sizes in each doubling); how often values repeat in a dictionary is assumed (`entries`). The expectation is
 * taken over n ~ Poisson(mean) up to 256 events; above, an entity is a row of full blocks with its sums, and its cost is linear.
 * tests/unit/74_size.c folds a population and holds the prediction against what it really took. */
#include "feature/size.h"

#include <math.h>

#include "base/clock.h"
#include "feature/block.h"
#include "feature/tile.h"

#define MONTH_MS TIDE_D(30)
#define CARDS_PER_ENTITY 20.0
#define OPTIONAL_SHARE 0.3
#define NEW_PAIR_SHARE 0.6
#define FACT_TIMES 1.5 /* every entity was told every fact, and every second of them has changed */

static bool contains_primary(const struct tide_entity *entity) {
  for (uint32_t p = 0; p < entity->part_count; p++)
    if (entity->part[p].is_entity && entity->part[p].ref == 0) return true;
  return false;
}

static bool field_optional(const struct tide_spec *spec, uint32_t field) {
  const struct tide_shape *shape = NULL;
  for (uint32_t s = 0; s < spec->shape_count; s++)
    if (strcmp(spec->shape[s].name, "default") == 0) shape = &spec->shape[s];
  for (uint32_t i = 0; shape && i < shape->field_count; i++)
    if (shape->field[i].field == field) return shape->field[i].optional;
  const struct tide_field *f = &spec->field[field]; /* derived of another one; an expression is always there */
  return f->derived && f->derive_fn != TIDE_DERIVE_EXPR && field_optional(spec, f->derive_of);
}

static bool key_optional(const struct tide_spec *spec, uint32_t number) {
  const struct tide_entity *entity = &spec->entity[number];
  bool all = true, any = false;
  for (uint32_t p = 0; p < entity->part_count; p++) {
    const struct tide_key_part *part = &entity->part[p];
    bool optional = part->is_entity ? part->ref != number && key_optional(spec, part->ref) : field_optional(spec, part->ref);
    any |= optional;
    all &= optional;
  }
  return entity->first_of ? all : any;
}

struct tide_population tide_size_assume(const struct tide_plan *plan, uint32_t entity, double cards, double per_month) {
  const struct tide_spec *spec = plan->spec;
  const struct tide_kind *kind = &plan->kind[entity];
  if (entity == 0) return (struct tide_population){cards, 1};
  bool optional = key_optional(spec, entity);
  double share = optional ? OPTIONAL_SHARE : 1;
  if (contains_primary(&spec->entity[entity])) {
    int64_t alive_ms = kind->has_first && kind->forget_ms > kind->keep_ms ? kind->forget_ms : kind->keep_ms;
    double pairs = cards * per_month * share * NEW_PAIR_SHARE * (double)alive_ms / (double)MONTH_MS;
    return (struct tide_population){fmin(pairs, (double)kind->max_entities), share};
  }
  return (struct tide_population){optional ? cards : ceil(cards / CARDS_PER_ENTITY), share};
}

/* What jemalloc gives for a request: multiples of 16 up to 128, then four sizes in each doubling. */
static double allocated(double bytes) {
  if (bytes <= 0) return 0;
  if (bytes <= 128) return ceil(bytes / 16) * 16;
  double step = exp2(floor(log2(bytes - 1)) - 2);
  return ceil(bytes / step) * step;
}

/* How many different entries a dictionary of n events is taken to have. What hangs on the key of the entity is the same for all of its
 * events; of what is optional an entity has one, or none in this event; outcomes and answers are few; places and keys that are always
 * there differ each time. */
static double entries(const struct tide_plan *plan, const struct tide_kind *kind, const struct tide_dict *dict, double n) {
  const struct tide_spec *spec = plan->spec;
  const struct tide_column *column = &kind->column[dict->column[0]];
  bool is_key = column->what == TIDE_COL_REF || column->what == TIDE_COL_ENTITY;
  double few = n;
  switch ((enum tide_family)dict->family) {
    case TIDE_FAM_SELF:
    case TIDE_FAM_RANK:
    case TIDE_FAM_SCORE: few = 1; break;
    case TIDE_FAM_ANSWER:
    case TIDE_FAM_OUTCOME: few = 2; break;
    case TIDE_FAM_FIELD:
    case TIDE_FAM_ENTITY:
      if (is_key && column->ref == 0) few = key_optional(spec, kind->entity) ? 1 : CARDS_PER_ENTITY;
      else if (is_key ? key_optional(spec, column->ref) : field_optional(spec, column->ref)) few = 2;
      break;
    case TIDE_FAM_PLACE:
    case TIDE_FAM_NONE: break;
  }
  return fmin(few, n);
}

static double dicts_bytes(const struct tide_plan *plan, const struct tide_kind *kind, unsigned n, unsigned young) {
  double bytes = kind->dict_count * (double)sizeof(struct tide_dict_head);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    unsigned count = kind->dict[d].young ? young : n;
    if (!count) continue;
    unsigned strip = tide_block_capacity(count);
    double few = entries(plan, kind, &kind->dict[d], count), plain = (double)strip * kind->dict[d].row[0];
    bytes += few > TIDE_DICT_ENTRIES_MAX ? plain : fmin(plain, few * kind->dict[d].row[0] + (few > 1 ? strip : 0));
  }
  return bytes;
}

static double block_bytes(const struct tide_plan *plan, const struct tide_kind *kind, unsigned n, double young_share) {
  if (n == 0 || (n == 1 && kind->single)) return 0;
  unsigned young = kind->has_young ? (unsigned)ceil((double)n * young_share) : 0;
  double bytes = sizeof(struct tide_block) + ceil((double)tide_block_capacity(n) * kind->row[0] / 8) * 8;
  if (young) bytes += (double)tide_block_capacity(young) * kind->young_row[0];
  return allocated(bytes + dicts_bytes(plan, kind, n, young));
}

/* How long an event is a row: until it is tiled, which happens at a border. */
static double rows_ms(const struct tide_kind *kind) {
  return kind->tile_ms ? (double)kind->raw_ms + (double)kind->tile_ms / 2 : (double)kind->keep_ms;
}

static double young_share(const struct tide_kind *kind) {
  return kind->keep_ms > 0 && (double)kind->young_ms < rows_ms(kind) ? (double)kind->young_ms / rows_ms(kind) : 1;
}

/* Tiles of one entity that had `events` in the time in which they are tiles: those that are not empty. */
static double tile_bytes(const struct tide_kind *kind, double events) {
  if (!kind->tile_ms || events < TIDE_TILE_MIN) return 0;
  double tiles = ((double)kind->keep_ms - rows_ms(kind)) / (double)kind->tile_ms, row = 1;
  for (unsigned c = 1; c < kind->tile_cells; c++)
    row += kind->tile[c].what == TIDE_TILE_COUNT ? (events / tiles < 128 ? 1 : 2) : kind->tile[c].what == TIDE_TILE_SUM ? 4 : 8;
  return allocated(sizeof(struct tide_tiles) + tiles * (1 - exp(-events / tiles)) * row * 17 / 16);
}

static double log_bytes(const struct tide_plan *plan, const struct tide_kind *kind, double mean) {
  double young = young_share(kind);
  if (mean > 200) {  /* a row of full blocks, each with its place, and sums once somebody asks */
    double maps = 0; /* of distinct values: 16 bytes a cell, two to four cells a value; at most every event has one of its own */
    for (unsigned g = 0; g < kind->distinct_count; g++) maps += mean * 48 * (kind->column[kind->distinct[g].column].young ? young : 1);
    double sums = (double)(sizeof(struct tide_sums) + kind->pair_count * sizeof(struct tide_pairsum));
    double full = block_bytes(plan, kind, TIDE_BLOCK_MAX, young);
    return maps + mean / TIDE_BLOCK_MAX * full + ceil(mean / TIDE_BLOCK_MAX) * ((double)sizeof(struct tide_chunk) + sums);
  }
  double expected = 0, p = exp(-mean);
  for (unsigned n = 1; n <= TIDE_BLOCK_MAX && n < mean * 4 + 40; n++) {
    p *= mean / n;
    expected += p * block_bytes(plan, kind, n, young);
  }
  return expected;
}

struct tide_kind_size tide_size_kind(const struct tide_plan *plan, uint32_t entity, const struct tide_population *population,
                                     double per_month) {
  const struct tide_kind *kind = &plan->kind[entity];
  struct tide_kind_size size = {0};
  if (population->entities <= 0) return size;
  double each = per_month * population->share / (double)MONTH_MS / population->entities; /* events of one entity in a millisecond */
  size.events_each = each * rows_ms(kind);
  /* Slots come in pages for each shard; an index cell at a load of 3/8 to 3/4, on average 9/16. */
  double slot_bytes = (double)(sizeof(struct tide_ent) + (kind->has_first ? sizeof(struct tide_first) : 0) + (kind->has_code ? 8u : 0u) +
                               (kind->fact_count ? sizeof(struct tide_facts *) : 0));
  double shards = TIDE_STORE_SHARDS * (1 - pow(1 - 1.0 / TIDE_STORE_SHARDS, population->entities));
  double pages = ceil(population->entities / TIDE_STORE_SHARDS / TIDE_PAGE) * shards;
  size.entity_bytes = slot_bytes * pages * TIDE_PAGE / population->entities + 8 * 16.0 / 9;
  if (kind->fact_count)
    size.entity_bytes += allocated(sizeof(struct tide_facts) + FACT_TIMES * kind->fact_count * (double)sizeof(struct tide_fact_row));
  double typical = fmax(1, fmin(round(size.events_each), TIDE_BLOCK_MAX));
  unsigned young = kind->has_young ? (unsigned)ceil(typical * young_share(kind)) : 0;
  size.event_bytes = kind->row[0] + kind->young_row[0] * young_share(kind) + dicts_bytes(plan, kind, (unsigned)typical, young) / typical;
  size.log_bytes = log_bytes(plan, kind, size.events_each);
  size.log_bytes += tile_bytes(kind, each * ((double)kind->keep_ms - rows_ms(kind)));
  size.bytes = population->entities * (size.entity_bytes + size.log_bytes);
  return size;
}

/* ---- in words ---- */

static const char *const column_words[] = {[TIDE_COL_TIME] = "time",
                                           [TIDE_COL_MASK] = "conditions",
                                           [TIDE_COL_TAG] = "tag",
                                           [TIDE_COL_AMOUNT] = "amount",
                                           [TIDE_COL_REQUESTED] = "requested",
                                           [TIDE_COL_NUMBER] = "number of ",
                                           [TIDE_COL_CODE] = "code of ",
                                           [TIDE_COL_THING] = "value of ",
                                           [TIDE_COL_ENTITY] = "key of ",
                                           [TIDE_COL_LAT] = "latitude",
                                           [TIDE_COL_LON] = "longitude",
                                           [TIDE_COL_ID] = "id",
                                           [TIDE_COL_DYN] = "outcome",
                                           [TIDE_COL_REASON] = "reason",
                                           [TIDE_COL_ATOMS] = "conditions beside outcomes",
                                           [TIDE_COL_RESIDUAL] = "value beside outcomes",
                                           [TIDE_COL_REF] = "place in ",
                                           [TIDE_COL_RANK] = "rank in ",
                                           [TIDE_COL_FP_LOW] = "print of the amount",
                                           [TIDE_COL_FP_HIGH] = "print of the currency",
                                           [TIDE_COL_FP_MERCHANT] = "print of the merchant",
                                           [TIDE_COL_EPOCH] = "epoch",
                                           [TIDE_COL_SEQ] = "position",
                                           [TIDE_COL_VERDICT] = "decision",
                                           [TIDE_COL_INDEX] = "place in the entry",
                                           [TIDE_COL_VERDICT2] = "cause",
                                           [TIDE_COL_SCORE] = "score",
                                           [TIDE_COL_TRUTH] = "rules"};
_Static_assert(sizeof column_words / sizeof column_words[0] == TIDE_COL_TRUTH + 1, "words for each column");

void tide_size_column(const struct tide_plan *plan, const struct tide_column *column, struct tide_buf *out) {
  const struct tide_spec *spec = plan->spec;
  TIDE_CHECK(column_words[column->what]);
  tide_buf_str(out, column_words[column->what]);
  if (column->what == TIDE_COL_NUMBER || column->what == TIDE_COL_CODE || column->what == TIDE_COL_THING)
    tide_buf_str(out, spec->field[column->ref].name);
  if (column->what == TIDE_COL_ENTITY || column->what == TIDE_COL_REF || column->what == TIDE_COL_RANK)
    tide_buf_str(out, spec->entity[column->ref].name);
}

void tide_size_tell_kind(const struct tide_plan *plan, uint32_t entity, struct tide_buf *out) {
  const struct tide_kind *kind = &plan->kind[entity];
  char keep[TIDE_TIME_TEXT];
  unsigned most = (unsigned)kind->row[0] + kind->young_row[0];
  for (unsigned d = 0; d < kind->dict_count; d++) most += kind->dict[d].row[0];
  tide_buf_printf(out, kind->dict_count ? "at most %u B an event, (*) once where values repeat" : "%u B an event", most);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    tide_buf_str(out, c ? ", " : ": ");
    tide_size_column(plan, column, out);
    tide_buf_printf(out, " %u%s", column->width[0], column->dict == TIDE_NO_DICT ? "" : "*");
    if (column->young) tide_buf_printf(out, " (for %s)", tide_duration_format(kind->young_ms, keep));
  }
}

void tide_size_tell_slot(const struct tide_plan *plan, uint32_t slot, struct tide_buf *out) {
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    const struct tide_kind *kind = &plan->kind[e];
    for (uint32_t s = 0; s < kind->step_count; s++) {
      const struct tide_step *step = &kind->step[s];
      if (step->slot != slot) continue;
      bool first = step->agg == TIDE_AGG_SINCE_FIRST || step->agg == TIDE_AGG_NEW;
      if (first) {
        tide_buf_printf(out, "%zu B an entity", sizeof(struct tide_first));
        return;
      }
      if (step->agg == TIDE_AGG_FACT) {
        tide_buf_printf(out,
                        "%zu B an entity that is told it, %zu after a change; and %zu B where it is the first fact, and 8 B each entity",
                        sizeof(struct tide_fact_row), TIDE_FACTS_KEPT * sizeof(struct tide_fact_row), sizeof(struct tide_facts));
        return;
      }
      unsigned bits = 1u + (step->agg == TIDE_AGG_RATE || step->agg == TIDE_AGG_STREAK || step->agg == TIDE_AGG_DISTINCT);
      tide_buf_printf(out, "time %u B", kind->column[kind->col_of[TIDE_COL_TIME]].width[0]);
      for (unsigned which = 0; which < 2; which++) {
        uint8_t c = which ? step->column2 : step->column;
        if (c == 0xff || (which && step->agg != TIDE_AGG_DISTANCE && step->agg != TIDE_AGG_SPEED)) continue;
        tide_buf_str(out, ", ");
        tide_size_column(plan, &kind->column[c], out);
        tide_buf_printf(out, " %u B", kind->column[c].width[0]);
      }
      tide_buf_printf(out, " and %u bit%s an event; columns and bits are shared by the values that read them", bits, bits > 1 ? "s" : "");
      return;
    }
  }
  TIDE_NEVER("every slot has a step");
}
