/* From one feature file to the next in a running journal: what may change, what becomes of each value, and old records in the shape of the new file.
 *
 * Records name fields by their place in the feature file they were written under; a recast moves them by *name* to their places in another. A field that the
 * old file does not have is missing in its records; one that the new file does not have is dropped. Everything by which an event is recognised must be
 * the same in both: identity, amount, merchant, the primary entity and the key of every entity that keeps its name. Otherwise a retry after the change would be another
 * transaction, or a card another card, so such a change is refused with its reason. All else (features, windows, rules, which kinds are scored) is worked out from the log. */
#ifndef TIDE_RECAST_H
#define TIDE_RECAST_H

#include "feature/record.h"

/* X(name, what it means) */
#define TIDE_CARRIES(X)                                                                                        \
  X(carried, "the same value as before")                                                                       \
  X(backfilled, "new or defined otherwise, counted from the events in the log")                                \
  X(warming, "reads a field that older events lack: complete when its window lies behind the change")
enum tide_carry {
#define X(name, text) TIDE_CARRY_##name,
  TIDE_CARRIES(X)
#undef X
};
const char *tide_carry_name(enum tide_carry carry);

struct tide_recast {
  const struct tide_spec *from, *to; /* borrowed */
  uint32_t field[TIDE_FIELDS_MAX];   /* by place in `from`: its place in `to`, TIDE_NONE: dropped */
  uint32_t *list;                    /* the same for lists, from->list_count */
  uint64_t added;                    /* fields of `to`, by place, that records of `from` lack */
  bool same;                         /* every field and list has the place it had: records need no change */
};

/* CONFIG when `to` cannot follow `from`: up to error_max reasons, each with the line and column in `to` where there is one, and how many in *ret_errors; *ret is written on
 * success only and is to be freed before the specs. */
enum tide_err tide_recast_new(const struct tide_spec *from, const struct tide_spec *to, struct tide_recast **ret, struct tide_error *error,
                              size_t error_max, size_t *ret_errors) TIDE_WARN_UNUSED;
void tide_recast_free(struct tide_recast *recast);

/* A record decoded under `from`, as it would stand under `to`. False: it is about something that `to` does not have (a list), and is to be passed over. */
bool tide_recast_record(const struct tide_recast *recast, struct tide_record *record);

/* The other way, for what was decided under `from`: ret gets the fields of a record of `to` at their places in `from`; those that `to` lacks are missing. Values alike. */
void tide_recast_back(const struct tide_recast *recast, const struct tide_datum *field, struct tide_datum *ret);
void tide_recast_back_values(const struct tide_recast *recast, const struct tide_value *field, struct tide_value *ret);

/* Fields, by place, of which the value of a slot is made, apart from the event that asks: operand, condition, kinds that are scored, the parts of the entity's key. */
uint64_t tide_slot_fields(const struct tide_spec *spec, uint32_t slot);
/* How far behind an event that value looks; 0: as far as there are events. */
int64_t tide_slot_reach(const struct tide_spec *spec, uint32_t slot);
/* What becomes of a slot of `to`. */
enum tide_carry tide_recast_slot(const struct tide_recast *recast, uint32_t slot);

#endif
