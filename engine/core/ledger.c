/* How far the sources have been read (ledger.h).
 *
 * A file of replay has a cursor in bytes and offsets in lines, so its parts must connect exactly; partitions that a START record began count in
 * offsets, and a part that overlaps with what was counted counts from the cursor on. */
#include "core/ledger.h"

void tide_ledger_init(struct tide_ledger *ledger) {
  memset(ledger, 0, sizeof *ledger);
  ledger->claim_alive_ms = INT64_MIN;
}

/* What is worked out from what is saved: whose each partition is, and how much there is of each. */
static void relate(struct tide_ledger *ledger) {
  ledger->declared = ledger->gating = 0;
  for (uint32_t k = 0; k < ledger->source_count; k++) {
    ledger->source[k].partitions = 0;
    ledger->declared += ledger->source[k].declared;
    ledger->gating += ledger->source[k].declared && ledger->source[k].info.gates;
  }
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    ledger->partition[i].origin = TIDE_NO_SOURCE;
    for (uint32_t k = 0; k < ledger->source_count; k++)
      if (ledger->source[k].info.number == ledger->partition[i].source) ledger->partition[i].origin = k;
    if (ledger->partition[i].origin != TIDE_NO_SOURCE) ledger->source[ledger->partition[i].origin].partitions++;
  }
}

static bool is_of(const struct tide_partition *found, uint16_t source, uint16_t partition) {
  return found->source == source && found->partition == partition;
}

struct tide_partition *tide_ledger_find(struct tide_ledger *ledger, uint16_t source, uint16_t partition) {
  if (ledger->hint < ledger->partition_count && is_of(&ledger->partition[ledger->hint], source, partition))
    return &ledger->partition[ledger->hint];
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    if (!is_of(&ledger->partition[i], source, partition)) continue;
    ledger->hint = i;
    return &ledger->partition[i];
  }
  return NULL;
}

struct tide_partition *tide_ledger_partition(struct tide_ledger *ledger, uint16_t source, uint16_t partition) {
  struct tide_partition *found = tide_ledger_find(ledger, source, partition);
  if (found || ledger->partition_count == TIDE_PARTITIONS_MAX) return found;
  struct tide_partition *added = &ledger->partition[ledger->partition_count++];
  *added = (struct tide_partition){.source = source,
                                   .partition = partition,
                                   .watermark_ms = INT64_MIN,
                                   .seen_ms = INT64_MIN,
                                   .drained_ms = INT64_MIN,
                                   .settled_drained_ms = INT64_MIN,
                                   .waived_until_ms = INT64_MIN};
  relate(ledger);
  return added;
}

struct tide_ledger_source *tide_ledger_source(struct tide_ledger *ledger, uint16_t number) {
  for (uint32_t i = 0; i < ledger->source_count; i++)
    if (ledger->source[i].info.number == number) return &ledger->source[i];
  return NULL;
}

bool tide_ledger_is_sourced(const struct tide_ledger *ledger) {
  if (ledger->declared) return true;
  for (uint32_t i = 0; i < ledger->partition_count; i++)
    if (ledger->partition[i].cursor > 0) return true;
  return false;
}

/* Nothing is known of the future, whatever a clock said: facts end at the commit time of the entry that tells them. */
static void take_facts(struct tide_partition *partition, const struct tide_cursor_part *part, int64_t commit_ms) {
  int64_t seen_ms = part->seen < commit_ms ? part->seen : commit_ms, drained_ms = part->drained < commit_ms ? part->drained : commit_ms;
  if (seen_ms > partition->seen_ms) partition->seen_ms = seen_ms;
  if (drained_ms > partition->drained_ms) partition->drained_ms = drained_ms;
  partition->delay_ms = part->delay;
}

int tide_ledger_parts(struct tide_ledger *ledger, struct tide_cursor_part *part, uint16_t count, int64_t commit_ms) {
  int refused = 0;
  for (uint16_t i = 0; i < count; i++) {
    struct tide_partition *partition = tide_ledger_partition(ledger, part[i].source, part[i].partition);
    if (!partition) return -1;
    uint64_t cursor = partition->cursor;
    bool connects = partition->started ? part[i].from <= cursor : part[i].from == cursor;
    if (!connects || part[i].next < part[i].from) { /* a gap: nothing of it counts, the writer sees it and seeks back */
      part[i].from = UINT64_MAX;
      refused++;
      continue;
    }
    part[i].from = partition->started ? cursor : 0;
    if (part[i].next < cursor) continue; /* an older one's, all counted */
    take_facts(partition, &part[i], commit_ms);
    if (part[i].next == cursor) continue;
    partition->cursor = part[i].next;
    if (!part[i].checksum) continue; /* over markers only: the last message is still the same, and the source was not heard */
    partition->checksum = part[i].checksum;
    tide_ledger_heard(ledger, part[i].source, commit_ms);
  }
  return refused;
}

void tide_ledger_entry(struct tide_ledger *ledger, uint32_t engine_id, int64_t commit_ms) {
  if (engine_id == ledger->claimant && commit_ms > ledger->claim_alive_ms) ledger->claim_alive_ms = commit_ms;
}

void tide_ledger_settle(struct tide_ledger *ledger, const struct tide_cursor_part *part, uint16_t count) {
  for (uint16_t i = 0; i < count; i++) {
    struct tide_partition *partition = tide_ledger_find(ledger, part[i].source, part[i].partition);
    TIDE_CHECK(partition); /* it was made when the part was accepted, or refused with the entry */
    partition->settled_drained_ms = partition->drained_ms;
    partition->settled_delay_ms = partition->delay_ms;
  }
  if (!ledger->opening || !ledger->has_targets) return;
  for (uint32_t i = 0; i < ledger->partition_count; i++)
    if (ledger->partition[i].cursor < ledger->partition[i].target) return;
  ledger->opening = false;
}

/* The epoch is not open until there are targets and they are reached. */
static void close_epoch(struct tide_ledger *ledger) {
  ledger->opening = true;
  ledger->has_targets = false;
  for (uint32_t i = 0; i < ledger->partition_count; i++) ledger->partition[i].target = 0;
}

void tide_ledger_fence(struct tide_ledger *ledger) {
  close_epoch(ledger);
  bool sourced = false;
  for (uint32_t i = 0; i < ledger->source_count; i++) sourced |= ledger->source[i].declared;
  ledger->opening = sourced;
}

enum tide_err tide_ledger_declare(struct tide_ledger *ledger, const struct tide_sources *sources, struct tide_error *error) {
  for (uint32_t i = 0; i < sources->count; i++) {
    const struct tide_source_info *info = &sources->source[i];
    struct tide_ledger_source *source = tide_ledger_source(ledger, info->number);
    if (source && strcmp(source->info.name, info->name) != 0)
      return tide_fail(error, TIDE_E_MISMATCH, "the sources \"%s\" and \"%s\" have the same number, %u: give the new one another name",
                       source->info.name, info->name, info->number);
    if (!source && ledger->source_count == sizeof ledger->source / sizeof ledger->source[0])
      return tide_fail(error, TIDE_E_LIMIT, "this journal has seen %u sources, and no more can be kept apart: back-fill a new journal",
                       ledger->source_count);
    if (!source) {
      source = &ledger->source[ledger->source_count++];
      source->alive_ms = INT64_MIN;
    }
    source->info = *info;
  }
  bool first = sources->count > 0;
  for (uint32_t k = 0; k < ledger->source_count; k++) first &= !ledger->source[k].declared;
  if (first) close_epoch(ledger);
  ledger->scores = sources->scores;
  ledger->features = sources->features;
  for (uint32_t k = 0; k < ledger->source_count; k++) {
    ledger->source[k].declared = false;
    for (uint32_t i = 0; i < sources->count; i++) ledger->source[k].declared |= sources->source[i].number == ledger->source[k].info.number;
  }
  relate(ledger);
  return TIDE_OK;
}

bool tide_ledger_declares(const struct tide_ledger *ledger, const struct tide_sources *sources) {
  uint32_t declared = 0;
  for (uint32_t i = 0; i < ledger->source_count; i++) declared += ledger->source[i].declared;
  if (declared != sources->count || ledger->scores != sources->scores || ledger->features != sources->features) return false;
  for (uint32_t i = 0; i < sources->count; i++) {
    const struct tide_source_info *want = &sources->source[i];
    const struct tide_ledger_source *have = tide_ledger_source((struct tide_ledger *)ledger, want->number);
    if (!have || !have->declared || strcmp(have->info.name, want->name) != 0 || have->info.gates != want->gates ||
        have->info.keyed != want->keyed || have->info.out_of_orderness_ms != want->out_of_orderness_ms ||
        have->info.silence_ms != want->silence_ms)
      return false;
  }
  return true;
}

void tide_ledger_wake(struct tide_ledger *ledger, int64_t commit_ms) {
  for (uint32_t k = 0; k < ledger->source_count; k++)
    if (ledger->source[k].declared && ledger->source[k].alive_ms == INT64_MIN) ledger->source[k].alive_ms = commit_ms;
}

void tide_ledger_heard(struct tide_ledger *ledger, uint16_t number, int64_t commit_ms) {
  struct tide_ledger_source *source = tide_ledger_source(ledger, number);
  if (source && commit_ms > source->alive_ms) source->alive_ms = commit_ms;
}

bool tide_ledger_start(struct tide_ledger *ledger, const struct tide_start *start) {
  struct tide_partition *partition = tide_ledger_partition(ledger, start->source, start->partition);
  if (!partition || (partition->started && !(start->jump && start->from == partition->cursor))) return false;
  partition->started = true;
  partition->cursor = start->cursor;
  partition->checksum = 0;
  ledger->jumps += start->jump;
  return true;
}

bool tide_ledger_claim(struct tide_ledger *ledger, const struct tide_claim *claim, int64_t commit_ms) {
  bool held = ledger->claimant && ledger->claimant != claim->engine_id;
  if (claim->release) {
    if (!held) ledger->claimant = 0;
    return !held;
  }
  if (held && commit_ms - ledger->claim_alive_ms <= claim->patience_ms) return false;
  ledger->claimant = claim->engine_id;
  ledger->claim_alive_ms = commit_ms;
  ledger->claims++;
  return true;
}

bool tide_ledger_targets(struct tide_ledger *ledger, const struct tide_target *target, uint32_t count) {
  bool lossy = false;
  if (!ledger->opening || ledger->has_targets) return false;
  ledger->has_targets = true;
  for (uint32_t i = 0; i < count; i++) {
    lossy |= target[i].delivered > 0;
    struct tide_partition *partition = tide_ledger_partition(ledger, target[i].source, target[i].partition);
    if (!partition) continue; /* no room: its parts will be refused loudly */
    partition->target = target[i].end;
    if (target[i].delivered > partition->cursor && target[i].delivered > partition->superseded) partition->superseded = target[i].delivered;
  }
  ledger->lossy |= lossy;
  return lossy;
}

static bool is_ending(const struct tide_ledger *ledger) {
  return ledger->agains && ledger->again[ledger->agains - 1].to.epoch == UINT64_MAX;
}

void tide_ledger_again(struct tide_ledger *ledger, struct tide_position from) {
  if (is_ending(ledger)) return; /* an epoch that was never open: it goes on */
  if (ledger->agains ==
      TIDE_AGAIN_MAX) { /* the two oldest become one, with what lies between: a decision that took another's place says so for ever */
    ledger->again[1].from = ledger->again[0].from;
    memmove(ledger->again, ledger->again + 1, --ledger->agains * sizeof *ledger->again);
  }
  ledger->again[ledger->agains++] = (struct tide_again){from, {UINT64_MAX, UINT64_MAX}};
}

void tide_ledger_again_end(struct tide_ledger *ledger, struct tide_position at) {
  if (!ledger->opening && is_ending(ledger)) ledger->again[ledger->agains - 1].to = at;
}

bool tide_ledger_supersedes(const struct tide_ledger *ledger, struct tide_position at) {
  for (uint32_t i = ledger->agains; i-- > 0;)
    if (tide_position_cmp(ledger->again[i].from, at) <= 0 && tide_position_cmp(at, ledger->again[i].to) <= 0) return true;
  return false;
}

void tide_ledger_waive(struct tide_ledger *ledger, const struct tide_waive *waive, int64_t commit_ms) {
  int64_t until_ms = waive->until_ms > commit_ms ? waive->until_ms : INT64_MIN;
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    struct tide_partition *partition = &ledger->partition[i];
    if (partition->source == waive->source && (waive->partition == TIDE_PARTITION_ALL || waive->partition == partition->partition))
      partition->waived_until_ms = until_ms;
  }
}

static void save_source(const struct tide_ledger_source *source, struct tide_buf *out) {
  struct tide_sources one = {.count = 1, .source = {source->info}};
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_sources_write(&one, &bytes);
  tide_put_span(out, tide_buf_span(&bytes));
  tide_buf_release(&bytes);
  tide_put_varint(out, source->declared);
  tide_put_u64(out, (uint64_t)source->alive_ms);
}

void tide_ledger_save(const struct tide_ledger *ledger, struct tide_buf *out) {
  tide_put_varint(out, ledger->partition_count);
  for (uint32_t i = 0; i < ledger->partition_count; i++) {
    const struct tide_partition *partition = &ledger->partition[i];
    tide_put_u16(out, partition->source);
    tide_put_u16(out, partition->partition);
    tide_put_varint(out, partition->started);
    tide_put_u64(out, partition->cursor);
    tide_put_u64(out, partition->target);
    tide_put_u64(out, partition->superseded);
    tide_put_u64(out, partition->checksum);
    tide_put_u64(out, (uint64_t)partition->watermark_ms);
    tide_put_u64(out, (uint64_t)partition->seen_ms);
    tide_put_u64(out, (uint64_t)partition->drained_ms);
    tide_put_u64(out, (uint64_t)partition->delay_ms);
    tide_put_u64(out, (uint64_t)partition->waived_until_ms);
  }
  tide_put_varint(out, ledger->source_count);
  for (uint32_t i = 0; i < ledger->source_count; i++) save_source(&ledger->source[i], out);
  tide_put_varint(out, (ledger->scores ? 1u : 0) | (ledger->features ? 2u : 0) | (ledger->opening ? 4u : 0) |
                           (ledger->has_targets ? 8u : 0) | (ledger->lossy ? 16u : 0));
  tide_put_u32(out, ledger->claimant);
  tide_put_varint(out, ledger->claims);
  tide_put_u64(out, (uint64_t)ledger->claim_alive_ms);
  if (ledger->lossy) { /* nothing where there is none: such a ledger has the bytes it always had */
    tide_put_varint(out, ledger->agains);
    for (uint32_t i = 0; i < ledger->agains; i++) {
      tide_put_u64(out, ledger->again[i].from.epoch);
      tide_put_u64(out, ledger->again[i].from.seq);
      tide_put_u64(out, ledger->again[i].to.epoch);
      tide_put_u64(out, ledger->again[i].to.seq);
    }
  }
  tide_put_varint(out, ledger->answers);
  tide_put_varint(out, ledger->emitted);
}

static bool load_source(struct tide_ledger_source *source, struct tide_reader *reader) {
  struct tide_raw_record raw = {.type = TIDE_REC_SOURCES, .payload = tide_get_span(reader)};
  struct tide_sources one;
  if (reader->bad || tide_sources_decode(&raw, &one, NULL) != TIDE_OK || one.count != 1) return false;
  source->info = one.source[0];
  source->declared = tide_get_varint(reader) != 0;
  source->alive_ms = (int64_t)tide_get_u64(reader);
  return !reader->bad;
}

bool tide_ledger_load(struct tide_ledger *ledger, struct tide_reader *reader) {
  uint64_t count = tide_get_varint(reader);
  if (reader->bad || count > TIDE_PARTITIONS_MAX) return false;
  ledger->partition_count = (uint32_t)count;
  for (uint32_t i = 0; i < count; i++) {
    struct tide_partition *partition = &ledger->partition[i];
    partition->source = tide_get_u16(reader);
    partition->partition = tide_get_u16(reader);
    partition->started = tide_get_varint(reader) != 0;
    partition->cursor = tide_get_u64(reader);
    partition->target = tide_get_u64(reader);
    partition->superseded = tide_get_u64(reader);
    partition->checksum = tide_get_u64(reader);
    partition->watermark_ms = (int64_t)tide_get_u64(reader);
    partition->seen_ms = (int64_t)tide_get_u64(reader);
    partition->drained_ms = (int64_t)tide_get_u64(reader);
    partition->delay_ms = (int64_t)tide_get_u64(reader);
    partition->settled_drained_ms = partition->drained_ms;
    partition->settled_delay_ms = partition->delay_ms;
    partition->waived_until_ms = (int64_t)tide_get_u64(reader);
  }
  count = tide_get_varint(reader);
  if (reader->bad || count > sizeof ledger->source / sizeof ledger->source[0]) return false;
  ledger->source_count = (uint32_t)count;
  for (uint32_t i = 0; i < count; i++)
    if (!load_source(&ledger->source[i], reader)) return false;
  uint64_t flags = tide_get_varint(reader);
  ledger->scores = flags & 1;
  ledger->features = flags & 2;
  ledger->opening = flags & 4;
  ledger->has_targets = flags & 8;
  ledger->lossy = flags & 16;
  ledger->claimant = tide_get_u32(reader);
  ledger->claims = tide_get_varint(reader);
  ledger->claim_alive_ms = (int64_t)tide_get_u64(reader);
  count = ledger->lossy ? tide_get_varint(reader) : 0;
  if (reader->bad || count > TIDE_AGAIN_MAX) return false;
  ledger->agains = (uint32_t)count;
  for (uint32_t i = 0; i < count; i++) {
    struct tide_again *again = &ledger->again[i];
    again->from.epoch = tide_get_u64(reader);
    again->from.seq = tide_get_u64(reader);
    again->to.epoch = tide_get_u64(reader);
    again->to.seq = tide_get_u64(reader);
  }
  ledger->answers = tide_get_varint(reader);
  ledger->emitted = tide_get_varint(reader);
  relate(ledger);
  return !reader->bad && flags < 32 && ledger->emitted <= ledger->answers;
}
