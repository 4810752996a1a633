/* The freshness gate: up to when is what the fold has seen complete, and is that recent enough for an event (contract 6; rulings 49-56 of feature/README.md).
 *
 * A pure function of the ledger, the feature file, the commit time of the entry and the event's time; all of these stand in the journal, so whoever folds it comes to
 * the same judgement, years later too. Facts change with entries and control records only: what holds for a whole entry (each partition's
 * completeness, the least per group) is worked out at its first event and kept until tide_gate_change. */
#ifndef TIDE_GATE_H
#define TIDE_GATE_H

#include "core/ledger.h"
#include "feature/freshness.h"

/* A partition counts as behind its log's end when messages have been read that are newer by more than this (or out_of_orderness, if that is more) than the moment
 * up to which it was last known to be read to its end: the facts of a busy partition are told at most a second apart. */
#define TIDE_DRAINED_SLACK_MS 2000

/* Of some partitions the one that is least complete. */
struct tide_least {
  int64_t complete_ms;  /* INT64_MAX: there is none */
  const char *source;
  uint32_t partition;   /* its number; TIDE_NONE */
  bool waived;          /* some other one is not waited for by an operator's word */
  bool undeclared;      /* the feature file names a source that is not declared */
};

struct tide_gate {
  const struct tide_standing *plain;            /* standings written here last, and nothing gates: they hold for every event until something changes */
  bool current;                                 /* what follows holds */
  struct tide_least rest[TIDE_ENTITIES_MAX];    /* of all that the entity looks at, without keyed sources where its events know their partition */
  uint64_t keyed[TIDE_ENTITIES_MAX];            /* these sources, by index in the ledger */
  struct tide_least all_of[TIDE_SOURCES_MAX * 2]; /* of all partitions of a source */
};

/* Up to when everything that this partition of a declared source will ever hold is known. INT64_MIN: at no time. */
int64_t tide_partition_complete(const struct tide_ledger *ledger, const struct tide_partition *partition, int64_t commit_ms);

/* Facts, sources or the commit time may have changed. */
void tide_gate_change(struct tide_gate *gate);
/* The standings of all entities (ret[spec->entity_count]) for an event at time_ms. home: index of the partition in which the events of its
 * primary entity come, TIDE_NONE: not known. */
void tide_gate_judge(struct tide_gate *gate, const struct tide_ledger *ledger, const struct tide_spec *spec, int64_t commit_ms, int64_t time_ms,
                     uint32_t home, struct tide_standing *ret);

/* An entity's home as it is kept (feature/entity.h), of a partition by index; 0: that partition is no keyed source's. */
uint32_t tide_home_pack(const struct tide_ledger *ledger, uint32_t partition);
/* The index of the partition, or TIDE_NONE: none was kept, or its source has grown since, and nobody knows where the key's events come now. */
uint32_t tide_home_unpack(const struct tide_ledger *ledger, uint32_t home);

/* Up to where the watermark may go: the least over gating partitions of what each has passed. INT64_MIN: not known. */
int64_t tide_ledger_watermark(const struct tide_ledger *ledger, int64_t commit_ms);

#endif
