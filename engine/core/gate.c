/* Completeness of partitions, staleness of groups, the watermark over partitions (gate.h).
 *
 * What a journal holds came from somewhere; decoding does not bound times, so differences saturate instead of overflowing. */
#include "core/gate.h"

static int64_t minus(int64_t a, int64_t b) {
  int64_t difference;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return b > 0 ? INT64_MIN : INT64_MAX;
}
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- one partition ---- */

/* Read to its end as of drained_ms, and nothing says that it has grown far beyond that since. */
static bool is_behind(const struct tide_partition *partition, int64_t disorder_ms) {
  return partition->drained_ms == INT64_MIN || minus(partition->seen_ms, partition->drained_ms) > most(disorder_ms, TIDE_DRAINED_SLACK_MS);
}

static int64_t disorder_of(const struct tide_ledger_source *source) { return most(source->info.out_of_orderness_ms, 0); }

/* The end of a log that nothing comes to says nothing: of a silent source it counts up to its last sign of life. */
static int64_t unless_silent(const struct tide_ledger_source *source, int64_t drained_ms, int64_t commit_ms) {
  bool silent = source->info.silence_ms > 0 && minus(commit_ms, source->alive_ms) > source->info.silence_ms;
  return silent ? least(drained_ms, source->alive_ms) : drained_ms;
}

static int64_t back(int64_t ms, int64_t by_ms) { return ms == INT64_MIN ? ms : minus(ms, by_ms); }

int64_t tide_partition_complete(const struct tide_ledger *ledger, const struct tide_partition *partition, int64_t commit_ms) {
  TIDE_CHECK(partition->origin < ledger->source_count);
  const struct tide_ledger_source *source = &ledger->source[partition->origin];
  int64_t disorder_ms = disorder_of(source);
  if (is_behind(partition, disorder_ms)) return back(partition->seen_ms, disorder_ms);
  return back(unless_silent(source, partition->drained_ms, commit_ms), most(disorder_ms, partition->delay_ms));
}

/* What the partition has passed: its newest event, or the end of its log less the queue that its delay shows. An entry that tells of an end holds the messages before
 * that end, so it counts behind them: else the last of a backlog would find their own windows
 * dropped. A queue that has begun counts at once. */
static int64_t passed(const struct tide_ledger *ledger, const struct tide_partition *partition, int64_t commit_ms) {
  const struct tide_ledger_source *source = &ledger->source[partition->origin];
  int64_t delay_ms = most(partition->delay_ms, partition->settled_delay_ms), queue_ms = delay_ms > disorder_of(source) ? delay_ms : 0;
  return most(partition->watermark_ms, back(unless_silent(source, partition->settled_drained_ms, commit_ms), queue_ms));
}

/* ---- many ---- */

static const struct tide_least none = {.complete_ms = INT64_MAX, .partition = TIDE_NONE};

static void take(struct tide_least *into, const struct tide_least *other) {
  bool waived = into->waived || other->waived;
  if (other->complete_ms < into->complete_ms) *into = *other;
  into->waived = waived;
}

static struct tide_least of_partition(const struct tide_ledger *ledger, const struct tide_partition *partition, int64_t commit_ms) {
  struct tide_least one = none;
  if (partition->waived_until_ms > commit_ms) {
    one.waived = true;
    return one;
  }
  one.complete_ms = tide_partition_complete(ledger, partition, commit_ms);
  one.source = ledger->source[partition->origin].info.name;
  one.partition = partition->partition;
  return one;
}

static bool gates(const struct tide_ledger_source *source) { return source->declared && source->info.gates; }

static bool has_part(const struct tide_entity *entity, struct tide_key_part part) {
  for (uint32_t i = 0; i < entity->part_count; i++)
    if (entity->part[i].is_entity == part.is_entity && entity->part[i].ref == part.ref) return true;
  return false;
}

/* Do the entity's events all bear one key of the primary entity? The primary itself, tuples with its key, and tuples with such a tuple. */
static bool holds_primary(const struct tide_spec *spec, uint32_t entity) {
  const struct tide_entity *primary = &spec->entity[0];
  for (uint32_t hop = 0; hop < TIDE_ENTITIES_MAX; hop++) {
    const struct tide_entity *at = &spec->entity[entity];
    if (entity == 0) return true;
    if (at->first_of && at->part_count > 1) return false;
    if (has_part(at, (struct tide_key_part){true, 0})) return true;
    bool whole = !primary->first_of || primary->part_count == 1; /* or spelled out */
    for (uint32_t i = 0; i < primary->part_count; i++) whole &= has_part(at, primary->part[i]);
    if (whole) return true;
    entity = TIDE_NONE;
    for (uint32_t i = 0; i < at->part_count && entity == TIDE_NONE; i++)
      if (at->part[i].is_entity) entity = at->part[i].ref;
    if (entity == TIDE_NONE) return false;
  }
  return false;
}

static void look_at_source(struct tide_gate *gate, const struct tide_ledger *ledger, uint32_t k, bool keyed, uint32_t entity) {
  if (keyed && ledger->source[k].info.keyed) gate->keyed[entity] |= UINT64_C(1) << k;
  else take(&gate->rest[entity], &gate->all_of[k]);
}

static void look_at_named(struct tide_gate *gate, const struct tide_ledger *ledger, const char *name, bool keyed, uint32_t entity) {
  for (uint32_t k = 0; k < ledger->source_count; k++) {
    if (!ledger->source[k].declared || strcmp(ledger->source[k].info.name, name) != 0) continue;
    if (ledger->source[k].info.gates) look_at_source(gate, ledger, k, keyed, entity);
    return;
  }
  struct tide_least missing = {.complete_ms = INT64_MIN, .source = name, .partition = TIDE_NONE, .undeclared = true};
  take(&gate->rest[entity], &missing);
}

static void work_out(struct tide_gate *gate, const struct tide_ledger *ledger, const struct tide_spec *spec, int64_t commit_ms) {
  _Static_assert(TIDE_SOURCES_MAX * 2 <= 64, "sources are bits of a word");
  for (uint32_t k = 0; k < ledger->source_count; k++) {
    gate->all_of[k] = none;
    if (ledger->source[k].partitions == 0) /* until its partitions are known any of them may hold anything */
      gate->all_of[k] = (struct tide_least){.complete_ms = INT64_MIN, .source = ledger->source[k].info.name, .partition = TIDE_NONE};
  }
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    const struct tide_partition *partition = &ledger->partition[i];
    if (partition->origin == TIDE_NO_SOURCE || !gates(&ledger->source[partition->origin])) continue;
    struct tide_least one = of_partition(ledger, partition, commit_ms);
    take(&gate->all_of[partition->origin], &one);
  }
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct tide_group *group = &spec->group[spec->entity[e].group];
    bool keyed = holds_primary(spec, e);
    gate->rest[e] = none;
    gate->keyed[e] = 0;
    for (uint32_t i = 0; i < group->source_count; i++) look_at_named(gate, ledger, group->source[i], keyed, e);
    for (uint32_t k = 0; k < ledger->source_count && !group->source_count; k++)
      if (gates(&ledger->source[k])) look_at_source(gate, ledger, k, keyed, e);
  }
  gate->current = true;
}

void tide_gate_change(struct tide_gate *gate) {
  gate->current = false;
  gate->plain = NULL;
}

static void stand(const struct tide_group *group, const struct tide_least *by, int64_t time_ms, struct tide_standing *ret) {
  *ret = (struct tide_standing){.state = TIDE_S_fresh,
                                .complete_ms = by->complete_ms,
                                .source = by->source,
                                .partition = by->partition,
                                .undeclared = by->undeclared};
  ret->age_ms = by->complete_ms == INT64_MIN ? TIDE_AGE_UNKNOWN : most(0, minus(time_ms, by->complete_ms));
  if (ret->age_ms > group->budget_ms) ret->state = TIDE_S_stale;
  else if (by->waived) ret->state = TIDE_S_waived;
}

void tide_gate_judge(struct tide_gate *gate, const struct tide_ledger *ledger, const struct tide_spec *spec, int64_t commit_ms,
                     int64_t time_ms, uint32_t home, struct tide_standing *ret) {
  if (!ledger->gating && gate->plain == ret) return;
  if (!ledger->gating) { /* nothing is on its way that is not counted. What fed a cell before it had sources (replay) says nothing of now */
    int64_t age_ms = ledger->declared || !tide_ledger_is_sourced(ledger) ? 0 : TIDE_AGE_UNKNOWN;
    for (uint32_t e = 0; e < spec->entity_count; e++)
      ret[e] = (struct tide_standing){.state = TIDE_S_fresh, .age_ms = age_ms, .complete_ms = INT64_MAX, .partition = TIDE_NONE};
    gate->plain = ret;
    return;
  }
  if (!gate->current) work_out(gate, ledger, spec, commit_ms);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    struct tide_least by = gate->rest[e];
    for (uint32_t k = 0; k < ledger->source_count && gate->keyed[e] >> k; k++) {
      if (!((gate->keyed[e] >> k) & 1)) continue;
      struct tide_least one = gate->all_of[k];
      if (home != TIDE_NONE && ledger->partition[home].origin == k) one = of_partition(ledger, &ledger->partition[home], commit_ms);
      take(&by, &one);
    }
    stand(&spec->group[spec->entity[e].group], &by, time_ms, &ret[e]);
  }
}

/* ---- homes ---- */

/* Partition in the low half, how many its source had in the high one: a producer spreads keys over as many partitions as there are. */
uint32_t tide_home_pack(const struct tide_ledger *ledger, uint32_t partition) {
  _Static_assert(TIDE_PARTITIONS_MAX < 65535, "a home is two halves of 16 bits");
  uint32_t origin = ledger->partition[partition].origin;
  if (origin == TIDE_NO_SOURCE || !ledger->source[origin].declared || !ledger->source[origin].info.keyed) return 0;
  return (partition + 1) | ledger->source[origin].partitions << 16;
}

uint32_t tide_home_unpack(const struct tide_ledger *ledger, uint32_t home) {
  uint32_t partition = (home & 0xffff) - 1;
  if (!home || partition >= ledger->partition_count) return TIDE_NONE;
  return tide_home_pack(ledger, partition) == home ? partition : TIDE_NONE;
}

/* ---- the watermark ---- */

int64_t tide_ledger_watermark(const struct tide_ledger *ledger, int64_t commit_ms) {
  bool waits = !ledger->declared || ledger->gating;
  int64_t result = waits ? INT64_MAX : INT64_MIN;
  for (uint32_t k = 0; k < ledger->source_count; k++)
    if (gates(&ledger->source[k]) && !ledger->source[k].partitions) return INT64_MIN; /* nobody knows what it holds */
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    const struct tide_partition *partition = &ledger->partition[i];
    if (!ledger->declared) { /* whoever spoke counts */
      if (partition->watermark_ms != INT64_MIN) result = least(result, partition->watermark_ms);
    } else if (!ledger->gating) { /* nobody holds anybody back */
      result = most(result, partition->watermark_ms);
    } else if (partition->origin != TIDE_NO_SOURCE && gates(&ledger->source[partition->origin])) {
      result = least(result, passed(ledger, partition, commit_ms));
    }
  }
  return result == INT64_MAX ? INT64_MIN : result;
}
