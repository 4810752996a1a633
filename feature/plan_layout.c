/* Where the columns of a kind stand: in which strip, in which dictionary, at which offset (block.h draws it).
 *
 * Strips go by age: a column that can be asked for less than half as long as its event is young. Dictionaries go by what a column hangs on: the
 * device's number in its own table and the device as a counted value repeat together, and so do an address and its network, which is derived of
 * it. That is known from the feature file alone; how often values do repeat is not, and each block decides for itself. Times, conditions, numbers and
 * identities differ from event to event and stand by themselves. */
#include "feature/plan.h"

static uint32_t root_field(const struct tide_spec *spec, uint32_t field) {
  while (spec->field[field].derived && spec->field[field].derive_fn != TIDE_DERIVE_EXPR) field = spec->field[field].derive_of;
  return field;
}

/* The field that decides an entity's key; TIDE_NONE where there are several. */
static uint32_t entity_root(const struct tide_spec *spec, uint32_t entity) {
  while (spec->entity[entity].part_count == 1 && spec->entity[entity].part[0].is_entity) entity = spec->entity[entity].part[0].ref;
  return spec->entity[entity].part_count == 1 ? root_field(spec, spec->entity[entity].part[0].ref) : TIDE_NONE;
}

/* Is the field one of those that make the key of this entity? */
static bool of_key(const struct tide_spec *spec, uint32_t entity, uint32_t field) {
  for (uint32_t p = 0; p < spec->entity[entity].part_count; p++)
    if (!spec->entity[entity].part[p].is_entity && root_field(spec, spec->entity[entity].part[p].ref) == field) return true;
  return false;
}

static enum tide_family family_of(const struct tide_spec *spec, const struct tide_kind *kind, const struct tide_column *column,
                                  uint32_t *ret_ref) {
  uint32_t field = TIDE_NONE;
  *ret_ref = TIDE_NONE;
  switch ((enum tide_column_what)column->what) {
    case TIDE_COL_CODE:
    case TIDE_COL_THING: field = root_field(spec, column->ref); break;
    case TIDE_COL_ENTITY:
    case TIDE_COL_REF:
      field = entity_root(spec, column->ref);
      if (field != TIDE_NONE) break;
      *ret_ref = column->ref;
      return TIDE_FAM_ENTITY;
    case TIDE_COL_LAT:
    case TIDE_COL_LON: return TIDE_FAM_PLACE;
    case TIDE_COL_DYN:
    case TIDE_COL_REASON:
    case TIDE_COL_ATOMS:
    case TIDE_COL_FP_HIGH: return TIDE_FAM_OUTCOME;
    case TIDE_COL_RANK: return TIDE_FAM_RANK;
    case TIDE_COL_EPOCH:
    case TIDE_COL_VERDICT:
    case TIDE_COL_VERDICT2:
    case TIDE_COL_TRUTH: return TIDE_FAM_ANSWER;
    case TIDE_COL_SCORE: return TIDE_FAM_SCORE;
    default: return TIDE_FAM_NONE;
  }
  if (of_key(spec, kind->entity, field)) return TIDE_FAM_SELF; /* the same for all events, or nearly */
  *ret_ref = field;
  return TIDE_FAM_FIELD;
}

/* The dictionary for a column: the one of its family and strip, or a new one; none where there is no room. */
static uint8_t dict_for(const struct tide_spec *spec, struct tide_kind *kind, uint8_t c) {
  struct tide_column *column = &kind->column[c];
  uint32_t ref;
  enum tide_family family = family_of(spec, kind, column, &ref);
  if (family == TIDE_FAM_NONE) return TIDE_NO_DICT;
  uint8_t d = 0;
  while (d < kind->dict_count &&
         (kind->dict[d].family != family || kind->dict[d].family_ref != ref || kind->dict[d].young != column->young))
    d++;
  if (d == TIDE_DICTS_MAX) return TIDE_NO_DICT;
  if (d == kind->dict_count)
    kind->dict[kind->dict_count++] = (struct tide_dict){.young = column->young, .family = (uint8_t)family, .family_ref = ref};
  struct tide_dict *dict = &kind->dict[d];
  if (dict->column_count == TIDE_DICT_COLUMNS_MAX) return TIDE_NO_DICT;
  dict->column[dict->column_count++] = c;
  return d;
}

/* What does not fit a narrow cell is seen before it is written. */
static void plan_narrow(struct tide_kind *kind, bool number) {
  struct tide_image *image = &kind->image;
  for (uint8_t c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    if (!column->narrowable || column->what == TIDE_COL_TIME || column->number != number) continue;
    uint64_t all = (UINT64_C(1) << (8 * column->width[0])) - 1; /* of a number: missing */
    image->narrow[image->narrow_count].origin = kind->origin[c];
    image->narrow[image->narrow_count].at = column->image[0];
    image->narrow[image->narrow_count].width = column->width[0];
    image->narrow[image->narrow_count++].limit = number ? all : all + 1;
  }
}

/* What insertion needs of each column that stands in a strip. */
static void plan_pieces(struct tide_kind *kind, int variant) {
  struct tide_image *image = &kind->image;
  image->piece_count = 0;
  for (uint8_t c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    if (column->dict != TIDE_NO_DICT) continue;
    image->piece[variant][image->piece_count++] = (struct tide_piece){.before = column->before[variant],
                                                                      .image = column->image[variant],
                                                                      .width = column->width[variant],
                                                                      .column = c,
                                                                      .young = column->young};
  }
}

/* Strips and dictionaries are laid out: the image puts them one behind the other. */
static void plan_image(struct tide_kind *kind) {
  struct tide_image *image = &kind->image;
  for (int variant = 0; variant < 2; variant++) {
    uint16_t at = (uint16_t)(kind->row[variant] + kind->young_row[variant]);
    for (uint8_t d = 0; d < kind->dict_count; d++) {
      kind->dict[d].image[variant] = at;
      at = (uint16_t)(at + kind->dict[d].row[variant]);
    }
    image->entry_bytes[variant] = (uint16_t)(at - kind->row[variant] - kind->young_row[variant]);
    for (uint8_t c = 0; c < kind->column_count; c++) {
      struct tide_column *column = &kind->column[c];
      unsigned before = column->dict != TIDE_NO_DICT ? kind->dict[column->dict].image[variant] : column->young ? kind->row[variant] : 0;
      column->image[variant] = (uint16_t)(before + column->before[variant]);
      if (column->what == TIDE_COL_MASK || (column->what == TIDE_COL_TIME && !variant)) continue;
      uint8_t i = image->cell_count[variant]++;
      for (; i && image->cell[variant][i - 1].at > column->image[variant]; i--) image->cell[variant][i] = image->cell[variant][i - 1];
      image->cell[variant][i].origin = kind->origin[c];
      image->cell[variant][i].at = column->image[variant];
    }
    plan_pieces(kind, variant);
    kind->time_before[variant] = kind->column[kind->col_of[TIDE_COL_TIME]].before[variant];
    kind->mask_before[variant] = kind->column[kind->col_of[TIDE_COL_MASK]].before[variant];
  }
  kind->mask_width = kind->column[kind->col_of[TIDE_COL_MASK]].width[0];
  plan_narrow(kind, true);
  image->number_count = image->narrow_count;
  plan_narrow(kind, false);
  for (uint8_t g = 0; g < kind->distinct_count; g++) {
    uint8_t dict = kind->column[kind->distinct[g].column].dict;
    TIDE_CHECK(dict == TIDE_NO_DICT || kind->column[kind->distinct[g].column].width[0] == 8); /* insertion counts on it */
    kind->distinct[g].origin = kind->origin[kind->distinct[g].column];
    if (dict != TIDE_NO_DICT && dict >= kind->distinct_dicts) kind->distinct_dicts = (uint8_t)(dict + 1);
  }
}

static void plan_runs(struct tide_kind *kind) {
  for (uint8_t bit = 0; bit < kind->cond_count; bit++) {
    uint8_t cond = kind->cond[bit], from = cond > bit ? (uint8_t)(cond - bit) : 0, to = bit > cond ? (uint8_t)(bit - cond) : 0;
    uint8_t r = 0;
    while (r < kind->run_count && (kind->run[r].from != from || kind->run[r].to != to)) r++;
    if (r == kind->run_count) kind->run[kind->run_count++] = (struct tide_run){0, from, to};
    kind->run[r].mask |= UINT64_C(1) << bit;
  }
}

void tide_plan_layout(struct tide_plan *plan, struct tide_kind *kind) {
  for (uint8_t i = 0; i < kind->column_count; i++) {
    struct tide_column *column = &kind->column[i];
    column->young = column->keep_ms <= kind->keep_ms / 2;
    if (column->young && column->keep_ms > kind->young_ms) kind->young_ms = column->keep_ms;
    kind->has_young |= column->young;
    column->dict = TIDE_NO_DICT;
  }
  kind->single =
      !kind->primary && !kind->tile_ms && !kind->has_dynamic && kind->column_count == 2 && !kind->has_young && kind->bit_count <= 16;
  for (uint8_t i = 0; i < kind->column_count; i++) kind->column[i].dict = dict_for(plan->spec, kind, i);
  for (int variant = 0; variant < 2; variant++) {
    for (uint8_t width = 8; width; width = (uint8_t)(width / 2)) {
      for (uint8_t i = 0; i < kind->column_count; i++) {
        struct tide_column *column = &kind->column[i];
        if (column->width[variant] != width) continue;
        uint16_t *row = column->dict != TIDE_NO_DICT ? &kind->dict[column->dict].row[variant]
                        : column->young              ? &kind->young_row[variant]
                                                     : &kind->row[variant];
        column->before[variant] = *row;
        *row = (uint16_t)(*row + width);
      }
    }
  }
  plan_image(kind);
  plan_runs(kind);
}
