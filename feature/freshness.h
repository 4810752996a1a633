/* What becomes of values whose group is behind its budget (contract 6; rulings 49-56 of README.md).
 *
 * How far a group is behind is worked out where the journal is known (core/gate.h) and comes in here as a `standing` per entity. This part knows the policies of the
 * feature file only: a pure function of a value, its group and its standing. */
#ifndef TIDE_FRESHNESS_H
#define TIDE_FRESHNESS_H

#include "base/buf.h"
#include "feature/spec.h"

#define TIDE_AGE_UNKNOWN INT64_MAX

/* How the features of one entity stand at one event. Strings are borrowed from the feature file or the fold. */
struct tide_standing {
  uint8_t state;         /* TIDE_S_fresh, TIDE_S_stale (beyond the budget), TIDE_S_waived (within it, but something was not waited for) */
  int64_t age_ms;        /* staleness: how far the event's time is ahead of complete_ms, at least 0. TIDE_AGE_UNKNOWN: nothing says */
  int64_t complete_ms;   /* what the entity is made of is complete up to here; INT64_MIN: not known to be at any time; INT64_MAX: nothing is waited for */
  const char *source;    /* the one that is furthest behind; NULL: none is waited for */
  uint32_t partition;    /* of it; TIDE_NONE: it has none that is known */
  bool undeclared;       /* the feature file waits for a source that the cell does not have */
  bool has_facts;        /* facts were read; they have ages of their own, whatever the sources do (ruling P4) */
  int64_t facts_age_ms;  /* of the oldest that was read */
};

/* Gives each value of an entity that is not fresh the state that its group's policy asks for. has_key: by entity, from the event: what is absent stays so. */
void tide_freshness_apply(const struct tide_spec *spec, const struct tide_standing *standing, const bool *has_key, struct tide_value *slot);

/* Within its budgets: that of its sources, and that of the facts that were read. What a policy lets through of a group that is not is no matter here. */
bool tide_standing_within(const struct tide_spec *spec, uint32_t entity, const struct tide_standing *standing);

/* Makes one value what `stale:` of its group asks for. */
void tide_freshness_make_stale(const struct tide_spec *spec, const struct tide_group *group, uint32_t slot, struct tide_value *value);

/* Appends "auths/7 complete as of 09:58:51, budget of card 10s": UTC, with the date where it is not that of when_ms. */
void tide_standing_say(const struct tide_spec *spec, uint32_t entity, const struct tide_standing *standing, int64_t when_ms, struct tide_buf *out);
/* Appends "auths/7", or "auths" where it has no partition that is known. */
void tide_standing_source(const struct tide_standing *standing, struct tide_buf *out);

#endif
