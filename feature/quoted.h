/* Names of a feature file as JSON wants them: quoted and escaped once, when the file is parsed, because every answer repeats them.
 *
 * Part of the spec (spec->quoted), in its arena. Spans are whole pieces without a comma before them: tide_json_piece. */
#ifndef TIDE_QUOTED_H
#define TIDE_QUOTED_H

#include "base/span.h"
#include "feature/spec.h"

/* Slots of one entity that stand one behind the other, which is how files are written. */
struct tide_slot_run {
  uint32_t entity, end; /* slots before `end`, from the end of the run before */
};

struct tide_quoted {
  struct tide_span *slot;     /* [slot_count] `"card.attempts_10m":` */
  struct tide_span *derived;  /* [derived_count] `"night":` */
  struct tide_span *entity;   /* [entity_count] `"card":{"state":` */
  struct tide_span *decision; /* [decision_count] `"approve"` */
  struct tide_slot_run *run;  /* [run_count] */
  uint32_t run_count;
};

/* Makes spec->quoted of the names that stand in it. Part of parsing, its last. */
void tide_quoted_make(struct tide_spec *spec);

#endif
