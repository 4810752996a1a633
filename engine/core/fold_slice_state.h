/* Inside of the fold by phases: shared by fold_slice.c (what runs in order) and fold_slice_jobs.c (what runs by shards), and by nobody else. */
#ifndef TIDE_FOLD_SLICE_STATE_H
#define TIDE_FOLD_SLICE_STATE_H

#include <stdatomic.h>

#include "core/fold_slice.h"

#define NOWHERE 0xff
#define GROUPS_MAX 16
#define READ_JOB 64

/* An outcome that had waited for an event of the slice, in the order in which they are applied. */
struct waited {
  uint32_t of; /* the event */
  struct tide_stub stub;
  bool found, elsewhere;
  struct tide_change change;
};

struct tide_slices {
  struct tide_team *team;
  struct tide_fold *fold;
  const struct tide_entry_header *header;
  uint32_t from, to; /* of the slice, in fold->group */
  unsigned groups;   /* jobs that the shards of a kind are cut into */
  uint32_t least;    /* records that make a slice */
  struct tide_slice_use use;
  bool coming;
  int64_t newest_ms; /* no event folded before this slice is newer */
  atomic_bool close; /* an event has a rank that only the order of records tells */
  atomic_uint made[TIDE_ENTITIES_MAX];
  struct waited *waited;
  uint32_t waiting, waited_cap;
  enum tide_err failed[TIDE_SLICE / READ_JOB + 1];
  struct tide_error why[TIDE_SLICE / READ_JOB + 1];
  /* by record */
  uint8_t known[TIDE_SLICE], fate[TIDE_SLICE];
  bool counts[TIDE_SLICE]; /* an event that is remembered */
  uint32_t counting;
  uint16_t counted[TIDE_SLICE]; /* the [counting] records that are one */
  bool incremental[TIDE_SLICE], found[TIDE_SLICE], elsewhere[TIDE_SLICE];
  /* Outcomes of an event of the slice, in order: what comes with the event need not be looked for. Places count from 1, so that 0 is none. */
  struct tide_coming coming_outcomes;
  bool apart[TIDE_SLICE]; /* something else may read or change the event: whatever follows is done in its turn */
  uint16_t first_outcome[TIDE_SLICE], last_outcome[TIDE_SLICE], next_outcome[TIDE_SLICE];
  bool with_event[TIDE_SLICE]; /* an outcome that is done with */
  atomic_ullong use_with_event;
  uint8_t home[TIDE_SLICE];                        /* shard of its primary; NOWHERE: nothing is done there */
  uint8_t to_shard[TIDE_ENTITIES_MAX][TIDE_SLICE]; /* where it changes something; NOWHERE: nothing */
  uint32_t first_waited[TIDE_SLICE], waited_count[TIDE_SLICE];
  struct tide_change change[TIDE_SLICE];         /* of an outcome, or of an increment's parent */
  int64_t value[TIDE_SLICE][TIDE_NO_ORIGIN + 1]; /* what the rows of a counted event hold */
};

/* Jobs of a phase, by their place in its row: the shards of the primary are cut into slices->groups, those of each kind as well. */
void tide_slice_judge(void *slices, size_t group);
void tide_slice_number(void *slices, size_t job);  /* kinds * groups */
void tide_slice_primary(void *slices, size_t group);
void tide_slice_others(void *slices, size_t job);  /* (kinds - 1) * groups */
/* The last two record by record, with ranks as they are when the record comes. */
void tide_slice_close(struct tide_slices *slices);

#endif
