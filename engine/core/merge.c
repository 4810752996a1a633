/* The merge's calls and queues (merge.h): finding partitions, putting, holding, asking and answering, giving.
 *
 * Every partition has a ring of its own items, so what is taken is always the first of one ring; merge_wait.c chooses which. Parts
 * connect because `from` is set when an item is given, from `given`, and `given` moves nowhere else but where a partition is begun.
 * Facts go before items: a partition that is known to be read further than was told says so before anything is given that could be
 * judged by it. */
#include "core/merge_state.h"

#include <string.h>

enum { NS_PER_MS = 1000000, PAUSE_MS_MIN = 25, PAUSE_MS_MAX = 250, ROOM_MIN = 16, ROOM_KEPT = 1024 };
static const uint32_t NOBODY = UINT32_MAX;

struct tide_merge *tide_merge_new(const struct tide_merge_options *options) {
  TIDE_CHECK(options->merge_wait_ms >= 0 && options->merge_wait_ms <= 60000 && options->facts_every_ms > 0);
  struct tide_merge *merge = tide_alloc(sizeof *merge);
  int64_t pause_ms = options->merge_wait_ms / 4;
  merge->options = *options;
  if (merge->options.catch_wait_ms < options->merge_wait_ms) merge->options.catch_wait_ms = options->merge_wait_ms;
  pause_ms = pause_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : pause_ms > PAUSE_MS_MAX ? PAUSE_MS_MAX : pause_ms;
  merge->pause_ns = pause_ms * NS_PER_MS;
  merge->waits_for = NOBODY;
  merge->wait_until_ns = INT64_MAX;
  return merge;
}

/* ---- partitions by name ---- */

static uint32_t place_slot(const struct tide_merge *merge, uint32_t name) { return (name * 2654435769u >> 7) & merge->place_mask; }

/* The slot of the name, or the free one where it belongs. */
static uint32_t find(const struct tide_merge *merge, uint32_t name) {
  uint32_t slot = place_slot(merge, name);
  while (merge->place[slot] && tide_merge_tie(&merge->partition[merge->place[slot] - 1]) != name) slot = (slot + 1) & merge->place_mask;
  return slot;
}

uint32_t tide_merge_index(const struct tide_merge *merge, uint16_t source, uint16_t partition) {
  TIDE_CHECK(merge->count > 0);
  uint32_t index = merge->place[find(merge, (uint32_t)source << 16 | partition)];
  TIDE_CHECK(index > 0);
  return index - 1;
}

static void reserve(struct tide_merge *merge, uint32_t room) {
  if (room <= merge->room) return;
  uint32_t to = merge->room ? merge->room : 8;
  while (to < room) to *= 2;
  merge->partition = tide_realloc(merge->partition, to * sizeof *merge->partition);
  for (unsigned h = 0; h < TIDE_HEAP_COUNT; h++) tide_heap_reserve(&merge->heap[h], to);
  struct tide_merge_line *line[] = {&merge->ready, &merge->facts};
  for (unsigned l = 0; l < 2; l++) { /* a line is a ring as long as there is room for partitions */
    uint32_t *at = tide_alloc(to * sizeof *at);
    for (uint32_t i = 0; i < line[l]->count; i++) at[i] = line[l]->at[(line[l]->first + i) % merge->room];
    tide_free(line[l]->at);
    *line[l] = (struct tide_merge_line){at, 0, line[l]->count};
  }
  tide_free(merge->place);
  merge->place = tide_alloc(2 * (size_t)to * sizeof *merge->place);
  merge->place_mask = 2 * to - 1;
  for (uint32_t i = 0; i < merge->count; i++) merge->place[find(merge, tide_merge_tie(&merge->partition[i]))] = i + 1;
  merge->room = to;
}

void tide_merge_line_up(const struct tide_merge *merge, struct tide_merge_line *line, uint32_t index, bool *stands) {
  if (*stands) return;
  TIDE_CHECK(line->count < merge->room);
  line->at[(line->first + line->count++) % merge->room] = index;
  *stands = true;
}

static uint32_t next_in_line(const struct tide_merge *merge, struct tide_merge_line *line) {
  if (line->count == 0) return NOBODY;
  uint32_t index = line->at[line->first];
  line->first = (line->first + 1) % merge->room;
  line->count--;
  return index;
}

/* ---- holds ---- */

static size_t hold_home(const struct tide_merge *merge, uint64_t hold) {
  return (size_t)(hold * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (merge->hold_room - 1);
}

static size_t hold_slot(const struct tide_merge *merge, uint64_t hold) {
  size_t slot = hold_home(merge, hold);
  while (merge->hold[slot].hold && merge->hold[slot].hold != hold) slot = (slot + 1) & (merge->hold_room - 1);
  return slot;
}

bool tide_merge_holds(const struct tide_merge *merge, uint64_t hold) {
  return hold != 0 && merge->hold_count > 0 && merge->hold[hold_slot(merge, hold)].hold != 0;
}

static void hold_add(struct tide_merge *merge, uint64_t hold, uint32_t index) {
  if (2 * (merge->hold_count + 1) > merge->hold_room) {
    struct tide_merge_hold *old = merge->hold;
    size_t room = merge->hold_room;
    merge->hold_room = room ? 2 * room : 64;
    merge->hold = tide_alloc(merge->hold_room * sizeof *merge->hold);
    for (size_t i = 0; i < room; i++)
      if (old[i].hold) merge->hold[hold_slot(merge, old[i].hold)] = old[i];
    tide_free(old);
  }
  size_t slot = hold_slot(merge, hold);
  TIDE_CHECK(merge->hold[slot].hold == 0); /* a number is used once */
  merge->hold[slot] = (struct tide_merge_hold){hold, index};
  merge->hold_count++;
}

/* Takes a number out and closes the gap, so that no search ends early. Returns the partition or NOBODY. */
static uint32_t hold_remove(struct tide_merge *merge, uint64_t hold) {
  if (!tide_merge_holds(merge, hold)) return NOBODY;
  size_t mask = merge->hold_room - 1, gap = hold_slot(merge, hold);
  uint32_t index = merge->hold[gap].index;
  for (size_t slot = (gap + 1) & mask; merge->hold[slot].hold; slot = (slot + 1) & mask) {
    size_t home = hold_home(merge, merge->hold[slot].hold);
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue; /* its home lies behind the gap */
    merge->hold[gap] = merge->hold[slot];
    gap = slot;
  }
  merge->hold[gap].hold = 0;
  merge->hold_count--;
  return index;
}

/* ---- beginning and ending ---- */

static void drop_items(struct tide_merge *merge, struct tide_merge_partition *p, void (*drop)(void *ctx)) {
  for (uint64_t i = p->head; i < p->tail; i++) {
    const struct tide_merge_item *item = &tide_merge_at(p, i)->item;
    hold_remove(merge, item->hold);
    if (item->ctx) drop(item->ctx);
  }
  merge->held -= (size_t)(p->tail - p->head);
  tide_free(p->ring);
  p->ring = NULL;
  p->room = 0;
  p->head = p->tail = p->timed = 0;
}

static void drop_all(struct tide_merge *merge, void (*drop)(void *ctx)) {
  for (uint32_t i = 0; i < merge->count; i++) {
    drop_items(merge, &merge->partition[i], drop);
    tide_delay_release(&merge->partition[i].delay);
  }
}

void tide_merge_free(struct tide_merge *merge, void (*drop)(void *ctx)) {
  if (!merge) return;
  drop_all(merge, drop);
  for (unsigned h = 0; h < TIDE_HEAP_COUNT; h++) tide_heap_release(&merge->heap[h]);
  tide_free(merge->ready.at);
  tide_free(merge->facts.at);
  tide_free(merge->place);
  tide_free(merge->hold);
  tide_free(merge->partition);
  tide_free(merge);
}

/* What a partition knows of its log, none yet. */
static void begin_at(struct tide_merge *merge, uint32_t index, uint64_t cursor, struct tide_mono now) {
  struct tide_merge_partition *p = &merge->partition[index];
  p->reached = p->given = p->asked_at = cursor;
  p->observed = p->caught = p->shrunk = p->slow = false;
  p->end = p->clear = p->clear_given = 0;
  p->pending_count = p->put_ends = 0;
  p->waited_ns = 0;
  p->begun_ns = tide_merge_attended(merge, now);
  p->append_ms = p->paid_ms = TIDE_UNKNOWN_MS;
  merge->begun = true;
  tide_merge_progress(merge, index, now);
  tide_merge_settle(merge, index);
}

void tide_merge_add(struct tide_merge *merge, struct tide_place place, bool gates, struct tide_mono now) {
  reserve(merge, merge->count + 1);
  uint32_t index = merge->count, slot = find(merge, (uint32_t)place.source << 16 | place.partition);
  TIDE_CHECK(merge->place[slot] == 0);
  struct tide_merge_partition *p = &merge->partition[index];
  *p = (struct tide_merge_partition){.source = place.source, .partition = place.partition, .gates = gates};
  merge->place[slot] = ++merge->count;
  merge->running++;
  tide_merge_facts_begin(p);
  begin_at(merge, index, place.cursor, now);
}

void tide_merge_begin(struct tide_merge *merge, const struct tide_place *place, const bool *gates, size_t count, struct tide_mono now,
                      void (*drop)(void *ctx)) {
  drop_all(merge, drop);
  for (unsigned h = 0; h < TIDE_HEAP_COUNT; h++) tide_heap_clear(&merge->heap[h]);
  if (merge->room) memset(merge->place, 0, 2 * (size_t)merge->room * sizeof *merge->place);
  merge->ready.count = merge->facts.count = 0;
  merge->count = merge->running = 0;
  merge->claim++;
  merge->attended_ns = tide_merge_attended(merge, now);
  merge->taken_ns = now.ns;
  merge->waits_for = NOBODY;
  merge->wait_until_ns = INT64_MAX;
  merge->wants_end = merge->asking = merge->failed = false;
  merge->asked_arrivals = merge->arrivals;
  TIDE_CHECK(count <= UINT32_MAX / 4);
  reserve(merge, (uint32_t)count);
  for (size_t i = 0; i < count; i++) tide_merge_add(merge, place[i], gates[i], now);
}

void tide_merge_stop(struct tide_merge *merge, uint16_t source, uint16_t partition, struct tide_mono now) {
  uint32_t index = tide_merge_index(merge, source, partition);
  struct tide_merge_partition *p = &merge->partition[index];
  if (p->stopped) return;
  p->stopped = true;
  merge->running--;
  tide_merge_progress(merge, index, now);
  tide_merge_settle(merge, index);
}

void tide_merge_resume(struct tide_merge *merge, struct tide_place place, struct tide_mono now, void (*drop)(void *ctx)) {
  uint32_t index = tide_merge_index(merge, place.source, place.partition);
  struct tide_merge_partition *p = &merge->partition[index];
  uint64_t given = p->given;
  bool goes_on = place.cursor == p->reached;
  if (!goes_on) {
    drop_items(merge, p, drop);
    tide_merge_facts_forget(p);
  }
  if (p->stopped) merge->running++;
  p->stopped = false;
  begin_at(merge, index, place.cursor, now);
  if (goes_on) p->given = given;
}

/* ---- putting ---- */

static struct tide_merge_queued *push(struct tide_merge_partition *p) {
  size_t count = (size_t)(p->tail - p->head);
  if (count == p->room) {
    size_t room = p->room ? 2 * p->room : ROOM_MIN;
    struct tide_merge_queued *ring = tide_alloc(room * sizeof *ring);
    for (uint64_t i = p->head; i < p->tail; i++) ring[i & (room - 1)] = *tide_merge_at(p, i);
    tide_free(p->ring);
    p->ring = ring;
    p->room = room;
  }
  return tide_merge_at(p, p->tail);
}

void tide_merge_put(struct tide_merge *merge, const struct tide_merge_item *item, struct tide_mono now) {
  uint32_t index = tide_merge_index(merge, item->source, item->partition);
  struct tide_merge_partition *p = &merge->partition[index];
  TIDE_CHECK(item->next > p->reached);
  TIDE_CHECK(item->time_ms == TIDE_UNKNOWN_MS || (item->time_ms >= TIDE_TIME_MIN_MS && item->time_ms <= TIDE_TIME_MAX_MS));
  struct tide_merge_queued *queued = push(p);
  *queued = (struct tide_merge_queued){*item, ++merge->arrivals, now.ns, tide_merge_attended(merge, now)};
  if (item->append_ms < TIDE_TIME_MIN_MS || item->append_ms > TIDE_TIME_MAX_MS)
    queued->item.append_ms = TIDE_UNKNOWN_MS; /* a log may say anything */
  bool first = p->head == p->tail, timed = item->time_ms != TIDE_UNKNOWN_MS || merge->options.by_arrival, headless = p->timed == p->tail;
  bool waits_for_hold = !first && tide_merge_holds(merge, tide_merge_at(p, p->head)->item.hold);
  if (item->hold) hold_add(merge, item->hold, index);
  p->tail++;
  merge->held++;
  if (headless && !timed) p->timed = p->tail;
  p->reached = item->next;
  if (queued->item.append_ms != TIDE_UNKNOWN_MS) {
    p->append_ms = queued->item.append_ms;
    if (p->paid_ms == TIDE_UNKNOWN_MS) { /* what it took to come to its first message says nothing of its pace */
      p->paid_ms = p->append_ms;
      p->waited_ns = 0;
    }
  }
  tide_merge_ends_reached(p);
  if (!waits_for_hold) tide_merge_progress(merge, index, now);
  if (first || headless) {
    tide_merge_settle(merge, index);
    if (first) tide_merge_facts_line(merge, index);
  }
}

void tide_merge_at_end(struct tide_merge *merge, uint16_t source, uint16_t partition, uint64_t next, struct tide_mono now) {
  struct tide_merge_partition *p = &merge->partition[tide_merge_index(merge, source, partition)];
  TIDE_CHECK(next >= p->reached);
  if (next == p->reached) return;
  struct tide_merge_item move = {
      .source = source, .partition = partition, .next = next, .time_ms = TIDE_UNKNOWN_MS, .append_ms = TIDE_UNKNOWN_MS};
  tide_merge_put(merge, &move, now);
}

void tide_merge_free_hold(struct tide_merge *merge, uint64_t hold, struct tide_mono now) {
  uint32_t index = hold_remove(merge, hold);
  if (index == NOBODY) return;
  const struct tide_merge_partition *p = &merge->partition[index];
  if (tide_merge_at(p, p->head)->item.hold != hold) return; /* it was not the first of its partition: nothing waits for this one yet */
  tide_merge_progress(merge, index, now);
  tide_merge_settle(merge, index);
}

/* ---- where the logs end ---- */

bool tide_merge_ask(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now, struct tide_merge_ask *ret) {
  if (merge->asking || merge->running == 0) return false;
  bool old = now.ns - merge->ask_ns >= merge->options.facts_every_ms * NS_PER_MS;
  if (!old && (merge->failed || (!merge->begun && !merge->wants_end))) return false;
  *ret = (struct tide_merge_ask){merge->claim, merge->arrivals, wall.ms};
  merge->asking = true;
  merge->begun = merge->wants_end = false;
  merge->ask_ns = now.ns;
  merge->asked_arrivals = merge->arrivals;
  for (uint32_t i = 0; i < merge->count; i++) merge->partition[i].asked_at = merge->partition[i].reached;
  return true;
}

static void end_told(struct tide_merge *merge, uint32_t index, const struct tide_merge_ask *ask, uint64_t end) {
  struct tide_merge_partition *p = &merge->partition[index];
  if (p->stopped) return;
  p->shrunk = end < p->asked_at;
  if (p->shrunk) return;
  p->observed = true;
  p->end = end;
  unsigned count = p->pending_count;
  if (count > 0 && (p->pending[count - 1].end == end || count == TIDE_MERGE_ENDS_KEPT))
    p->pending_count--; /* the oldest are reached soonest: they stay */
  if (p->put_ends > p->pending_count) p->put_ends = p->pending_count;
  p->pending[p->pending_count++] = (struct tide_merge_end){ask->arrivals, end, ask->wall_ms};
  tide_merge_ends_reached(p);
  if (!tide_merge_owes(p) && p->standing != TIDE_STAND_PASSED)
    p->lost = p->slow = false; /* a letter that does not arrive is no matter of ends */
  tide_merge_settle(merge, index);
  tide_merge_facts_line(merge, index);
}

void tide_merge_ends(struct tide_merge *merge, const struct tide_merge_ask *ask, const struct tide_place *end, size_t count,
                     struct tide_mono now) {
  if (ask->claim != merge->claim) return;
  TIDE_CHECK(merge->asking);
  merge->asking = false;
  merge->failed = count == 0;
  if (merge->failed) merge->ask_ns = now.ns;
  for (size_t i = 0; i < count; i++) end_told(merge, tide_merge_index(merge, end[i].source, end[i].partition), ask, end[i].cursor);
}

/* ---- giving ---- */

static void part_of(const struct tide_merge_partition *p, uint64_t from, struct tide_cursor_part *ret) {
  *ret = (struct tide_cursor_part){.source = p->source, .partition = p->partition, .from = from, .next = p->given};
}

static void give(struct tide_merge *merge, uint32_t index, struct tide_wall wall, struct tide_mono now, struct tide_merge_item *ret,
                 struct tide_cursor_part *ret_part) {
  struct tide_merge_partition *p = &merge->partition[index];
  *ret = tide_merge_at(p, p->head)->item;
  ret->from = p->given;
  bool was_head = p->timed == p->head;
  p->head++;
  if (was_head) p->timed++;
  while (was_head && p->timed < p->tail && !merge->options.by_arrival && tide_merge_at(p, p->timed)->item.time_ms == TIDE_UNKNOWN_MS)
    p->timed++;
  p->given = ret->next;
  merge->held--;
  if (p->head == p->tail && p->room > ROOM_KEPT) {
    tide_free(p->ring);
    p->ring = NULL;
    p->room = 0;
  }
  tide_merge_ends_reached(p);
  tide_merge_progress(merge, index, now);
  tide_merge_settle(merge, index);
  tide_merge_facts_item(p, ret, wall);
  part_of(p, ret->from, ret_part);
  tide_merge_facts_tell(p, wall, ret_part);
  ret_part->checksum = ret->checksum;
}

static bool give_facts(struct tide_merge *merge, struct tide_wall wall, struct tide_merge_item *ret, struct tide_cursor_part *ret_part) {
  for (uint32_t index; (index = next_in_line(merge, &merge->facts)) != NOBODY;) {
    struct tide_merge_partition *p = &merge->partition[index];
    p->in_facts = false;
    int64_t drained_ms = tide_merge_facts_drained(p, wall);
    if (p->stopped || drained_ms == TIDE_UNKNOWN_MS) continue;
    if (p->told_ms != TIDE_UNKNOWN_MS && drained_ms - p->told_ms < merge->options.facts_every_ms) continue;
    *ret = (struct tide_merge_item){.source = p->source, .partition = p->partition, .from = p->given, .next = p->given};
    ret->time_ms = ret->append_ms = TIDE_UNKNOWN_MS;
    part_of(p, p->given, ret_part);
    tide_merge_facts_tell(p, wall, ret_part);
    return true;
  }
  return false;
}

static bool take(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now, struct tide_merge_item *ret,
                 struct tide_cursor_part *ret_part) {
  if (give_facts(merge, wall, ret, ret_part)) return true;
  for (uint32_t index; (index = next_in_line(merge, &merge->ready)) != NOBODY;) {
    struct tide_merge_partition *p = &merge->partition[index];
    p->in_ready = false;
    if (p->head == p->timed) continue; /* dropped meanwhile */
    if (tide_merge_holds(merge, tide_merge_at(p, p->head)->item.hold)) continue;
    give(merge, index, wall, now, ret, ret_part);
    return true;
  }
  uint32_t index = tide_merge_choose(merge, wall, now);
  if (index == NOBODY) return false;
  TIDE_CHECK(merge->partition[index].head == merge->partition[index].timed);
  give(merge, index, wall, now, ret, ret_part);
  return true;
}

bool tide_merge_take(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now, struct tide_merge_item *ret,
                     struct tide_cursor_part *ret_part) {
  bool given = take(merge, wall, now, ret, ret_part);
  merge->attended_ns = tide_merge_attended(merge, now);
  if (now.ns > merge->taken_ns) merge->taken_ns = now.ns;
  return given;
}

struct tide_mono tide_merge_due(const struct tide_merge *merge, struct tide_mono now) {
  int64_t due_ns = INT64_MAX;
  if (merge->wait_until_ns != INT64_MAX) {
    int64_t left_ns = merge->wait_until_ns - tide_merge_attended(merge, now);
    due_ns = now.ns + (left_ns < 0 ? 0 : left_ns < merge->pause_ns ? left_ns : merge->pause_ns);
  }
  if (!merge->asking && merge->running > 0) {
    int64_t ask_ns = merge->ask_ns + merge->options.facts_every_ms * NS_PER_MS;
    if (ask_ns < now.ns || (!merge->failed && (merge->begun || merge->wants_end))) ask_ns = now.ns;
    if (ask_ns < due_ns) due_ns = ask_ns;
  }
  return (struct tide_mono){due_ns};
}

/* ---- looking ---- */

size_t tide_merge_held(const struct tide_merge *merge) { return merge->held; }

size_t tide_merge_held_of(const struct tide_merge *merge, uint16_t source, uint16_t partition) {
  const struct tide_merge_partition *p = &merge->partition[tide_merge_index(merge, source, partition)];
  return (size_t)(p->tail - p->head);
}

size_t tide_merge_look(const struct tide_merge *merge, struct tide_merge_view *ret, size_t cap) {
  for (uint32_t i = 0; i < merge->count && i < cap; i++) {
    const struct tide_merge_partition *p = &merge->partition[i];
    ret[i] =
        (struct tide_merge_view){.source = p->source, .partition = p->partition, .cursor = p->given, .reached = p->reached, .end = p->end};
    ret[i].gates = p->gates;
    ret[i].stopped = p->stopped;
    ret[i].drained = p->observed && p->end <= p->given;
    ret[i].caught = p->caught;
    ret[i].lost = p->lost;
    ret[i].slow = p->slow;
    ret[i].shrunk = p->shrunk;
    ret[i].holds = merge->waits_for == i;
    ret[i].seen_ms = p->seen_ms;
    ret[i].drained_ms = p->drained_ms;
    ret[i].delay_ms = tide_merge_facts_delay(p);
    ret[i].held = (size_t)(p->tail - p->head);
  }
  return merge->count;
}
