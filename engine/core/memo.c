/* Lists, rates and stubs (memo.h).
 *
 * Stubs stand in three structures at once: slots (with a free list), chains by (card, identity) in order of birth, and a ring in order
 * of birth for expiry. A serial number tells whether the ring's slot is still the stub it was, so taking one out costs no search. */
#include "core/memo.h"

/* ---- lists ---- */

static uint32_t list_at(const struct tide_lists *lists, uint32_t list, struct tide_u128 key) {
  uint32_t at = (uint32_t)(key.lo ^ (uint64_t)list * UINT64_C(0x9e3779b97f4a7c15)) & (lists->cap - 1);
  while (lists->cell[at].used && (lists->cell[at].list != list || !tide_u128_eq(lists->cell[at].key, key)))
    at = (at + 1) & (lists->cap - 1);
  return at;
}

static void lists_grow(struct tide_lists *lists) {
  struct tide_lists bigger = {.cap = lists->cap ? lists->cap * 2 : 64};
  bigger.cell = tide_alloc(bigger.cap * sizeof *bigger.cell);
  for (uint32_t i = 0; i < lists->cap; i++) {
    if (!lists->cell[i].used) continue;
    bigger.cell[list_at(&bigger, lists->cell[i].list, lists->cell[i].key)] = lists->cell[i];
    bigger.used++;
  }
  tide_free(lists->cell);
  *lists = bigger;
}

bool tide_lists_put(struct tide_lists *lists, uint32_t list, struct tide_u128 key, int64_t expires_ms) {
  if ((uint64_t)(lists->used + 1) * 2 > lists->cap) lists_grow(lists);
  uint32_t at = list_at(lists, list, key);
  if (!lists->cell[at].used) {
    if (lists->used >= TIDE_LIST_ENTRIES_MAX) return false;
    lists->used++;
  }
  lists->cell[at] = (struct tide_list_cell){.key = key, .list = list, .used = true, .expires_ms = expires_ms};
  return true;
}

bool tide_lists_has(const struct tide_lists *lists, uint32_t list, struct tide_u128 key, int64_t time_ms) {
  if (!lists->cap) return false;
  uint32_t at = list_at(lists, list, key);
  return lists->cell[at].used && time_ms < lists->cell[at].expires_ms;
}

void tide_lists_release(struct tide_lists *lists) {
  tide_free(lists->cell);
  *lists = (struct tide_lists){0};
}

void tide_lists_save(const struct tide_lists *lists, struct tide_buf *out) {
  tide_put_varint(out, lists->cap);
  tide_put_varint(out, lists->used);
  for (uint32_t i = 0; i < lists->cap; i++) {
    if (!lists->cell[i].used) continue;
    tide_put_varint(out, i); /* the place as well, so that saving again gives the same bytes */
    tide_put_varint(out, lists->cell[i].list);
    tide_put_u64(out, lists->cell[i].key.lo);
    tide_put_u64(out, lists->cell[i].key.hi);
    tide_put_zigzag(out, lists->cell[i].expires_ms);
  }
}

bool tide_lists_load(struct tide_lists *lists, struct tide_reader *reader) {
  uint64_t cap = tide_get_varint(reader), used = tide_get_varint(reader);
  if (reader->bad || used > TIDE_LIST_ENTRIES_MAX || used * 2 > cap || cap > UINT64_C(4) * TIDE_LIST_ENTRIES_MAX || (cap & (cap - 1)))
    return false;
  tide_lists_release(lists);
  if (!cap) return true;
  lists->cap = (uint32_t)cap;
  lists->cell = tide_alloc(cap * sizeof *lists->cell);
  for (uint64_t i = 0; i < used; i++) {
    uint64_t at = tide_get_varint(reader);
    if (reader->bad || at >= cap || lists->cell[at].used) return false;
    struct tide_list_cell *cell = &lists->cell[at];
    cell->used = true;
    cell->list = (uint32_t)tide_get_varint(reader);
    cell->key.lo = tide_get_u64(reader);
    cell->key.hi = tide_get_u64(reader);
    cell->expires_ms = tide_get_zigzag(reader);
    lists->used++;
  }
  return !reader->bad;
}

/* ---- rates ---- */

void tide_rates_put(struct tide_rates *rates, const char currency[4], int64_t rate_e10) {
  uint32_t i = 0;
  while (i < rates->count && memcmp(rates->row[i].currency, currency, 4) != 0) i++;
  TIDE_CHECK(i < TIDE_RATES_MAX); /* decoding admits ISO 4217 codes only, and there are fewer */
  if (i == rates->count) memcpy(rates->row[rates->count++].currency, currency, 4);
  rates->row[i].rate_e10 = rate_e10;
}

int64_t tide_rates_get(const struct tide_rates *rates, const char currency[4]) {
  for (uint32_t i = 0; i < rates->count; i++)
    if (memcmp(rates->row[i].currency, currency, 4) == 0) return rates->row[i].rate_e10;
  return 0;
}

/* ---- stubs ---- */

#define NIL UINT32_MAX

static uint32_t bucket_of(const struct tide_stubs *stubs, struct tide_u128 card, uint64_t id) {
  return (uint32_t)((card.lo ^ id) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (stubs->bucket_cap - 1);
}

/* Appends at the end of the bucket's chain: stubs are applied in order of birth. */
static void chain(struct tide_stubs *stubs, uint32_t index) {
  uint32_t *at = &stubs->bucket[bucket_of(stubs, stubs->stub[index].card, stubs->stub[index].id)];
  while (*at != NIL) at = &stubs->stub[*at].next;
  stubs->stub[index].next = NIL;
  *at = index;
}

static void unchain(struct tide_stubs *stubs, uint32_t index) {
  uint32_t *at = &stubs->bucket[bucket_of(stubs, stubs->stub[index].card, stubs->stub[index].id)];
  while (*at != index) at = &stubs->stub[*at].next;
  *at = stubs->stub[index].next;
  stubs->stub[index].used = false;
  stubs->stub[index].next = stubs->free_head;
  stubs->free_head = index;
  stubs->used--;
}

static void order_push(struct tide_stubs *stubs, uint32_t index, uint64_t serial) {
  if (stubs->order_count == stubs->order_cap) {
    uint32_t cap = stubs->order_cap ? stubs->order_cap * 2 : 64;
    struct tide_stub_order *order = tide_alloc(cap * sizeof *order);
    for (uint32_t i = 0; i < stubs->order_count; i++) order[i] = stubs->order[(stubs->order_head + i) % stubs->order_cap];
    tide_free(stubs->order);
    stubs->order = order;
    stubs->order_cap = cap;
    stubs->order_head = 0;
  }
  stubs->order[(stubs->order_head + stubs->order_count++) % stubs->order_cap] = (struct tide_stub_order){index, serial};
}

static void stubs_grow(struct tide_stubs *stubs) {
  uint32_t cap = stubs->cap ? stubs->cap * 2 : 64;
  stubs->stub = tide_realloc(stubs->stub, cap * sizeof *stubs->stub);
  if (!stubs->cap) stubs->free_head = NIL;
  for (uint32_t i = cap; i > stubs->cap; i--) {
    stubs->stub[i - 1] = (struct tide_stub){.next = stubs->free_head};
    stubs->free_head = i - 1;
  }
  stubs->cap = cap;
  stubs->bucket_cap = cap;
  stubs->bucket = tide_realloc(stubs->bucket, cap * sizeof *stubs->bucket);
  for (uint32_t i = 0; i < cap; i++) stubs->bucket[i] = NIL;
  for (uint32_t i = 0; i < stubs->order_count; i++) { /* chain again, oldest first */
    const struct tide_stub_order *order = &stubs->order[(stubs->order_head + i) % stubs->order_cap];
    if (stubs->stub[order->index].used && stubs->stub[order->index].serial == order->serial) chain(stubs, order->index);
  }
}

bool tide_stubs_put(struct tide_stubs *stubs, const struct tide_stub *stub) {
  uint32_t same = 0;
  if (stubs->bucket_cap)
    for (uint32_t at = stubs->bucket[bucket_of(stubs, stub->card, stub->id)]; at != NIL; at = stubs->stub[at].next)
      same += stubs->stub[at].id == stub->id && tide_u128_eq(stubs->stub[at].card, stub->card);
  if (same >= TIDE_STUBS_PER_ID || stubs->used >= TIDE_STUBS_MAX) return false;
  if (stubs->used == stubs->cap) stubs_grow(stubs);
  uint32_t index = stubs->free_head;
  stubs->free_head = stubs->stub[index].next;
  stubs->stub[index] = *stub;
  stubs->stub[index].used = true;
  stubs->stub[index].serial = ++stubs->serial;
  stubs->used++;
  order_push(stubs, index, stubs->serial);
  chain(stubs, index);
  return true;
}

/* Chains stand in order of birth, so the first match is the oldest. */
static uint32_t oldest(const struct tide_stubs *stubs, struct tide_u128 card, uint64_t id) {
  uint32_t at = stubs->bucket[bucket_of(stubs, card, id)];
  while (at != NIL && (stubs->stub[at].id != id || !tide_u128_eq(stubs->stub[at].card, card))) at = stubs->stub[at].next;
  return at;
}

bool tide_stubs_has(const struct tide_stubs *stubs, struct tide_u128 card, struct tide_u128 alt, uint64_t id) {
  return stubs->used && (oldest(stubs, card, id) != NIL || ((alt.lo || alt.hi) && oldest(stubs, alt, id) != NIL));
}

bool tide_stubs_take(struct tide_stubs *stubs, struct tide_u128 card, struct tide_u128 alt, uint64_t id, struct tide_stub *ret) {
  if (!stubs->used) return false;
  uint32_t at = oldest(stubs, card, id), other = alt.lo || alt.hi ? oldest(stubs, alt, id) : NIL;
  if (at == NIL || (other != NIL && stubs->stub[other].serial < stubs->stub[at].serial)) at = other;
  if (at == NIL) return false;
  *ret = stubs->stub[at];
  unchain(stubs, at);
  return true;
}

void tide_stubs_begin(struct tide_stubs *stubs, int64_t born_ms) {
  for (uint32_t i = 0; i < stubs->order_count; i++) {
    struct tide_stub_order order = stubs->order[(stubs->order_head + i) % stubs->order_cap];
    struct tide_stub *stub = &stubs->stub[order.index];
    if (stub->used && stub->serial == order.serial && stub->born_ms == INT64_MIN) stub->born_ms = born_ms;
  }
}

uint64_t tide_stubs_expire(struct tide_stubs *stubs, int64_t born_before_ms) {
  uint64_t gone = 0;
  while (stubs->order_count) {
    struct tide_stub_order order = stubs->order[stubs->order_head];
    bool alive = stubs->stub[order.index].used && stubs->stub[order.index].serial == order.serial;
    if (alive && stubs->stub[order.index].born_ms >= born_before_ms) break;
    if (alive) {
      unchain(stubs, order.index);
      gone++;
    }
    stubs->order_head = (stubs->order_head + 1) % stubs->order_cap;
    stubs->order_count--;
  }
  return gone;
}

void tide_stubs_release(struct tide_stubs *stubs) {
  tide_free(stubs->stub);
  tide_free(stubs->bucket);
  tide_free(stubs->order);
  *stubs = (struct tide_stubs){0};
}

/* Saved in order of birth and put back in that order: the chains come out the same. */
void tide_stubs_save(const struct tide_stubs *stubs, struct tide_buf *out) {
  tide_put_varint(out, stubs->used);
  for (uint32_t i = 0; i < stubs->order_count; i++) {
    const struct tide_stub_order *order = &stubs->order[(stubs->order_head + i) % stubs->order_cap];
    const struct tide_stub *stub = &stubs->stub[order->index];
    if (!stub->used || stub->serial != order->serial) continue;
    tide_put_u64(out, stub->card.lo);
    tide_put_u64(out, stub->card.hi);
    tide_put_u64(out, stub->id);
    tide_put_zigzag(out, stub->born_ms);
    tide_put_varint(out, stub->outcome.set);
    tide_put_u8(out, stub->outcome.result);
    tide_put_u8(out, stub->outcome.reversed);
    tide_put_u8(out, stub->outcome.refunded);
    tide_put_u8(out, stub->outcome.disputed);
    tide_put_u8(out, stub->outcome.label);
    tide_buf_put(out, stub->outcome.reason, sizeof stub->outcome.reason);
    tide_put_zigzag(out, stub->amount_now);
    tide_put_u8(out, stub->sets_amount);
  }
}

bool tide_stubs_load(struct tide_stubs *stubs, struct tide_reader *reader) {
  uint64_t count = tide_get_varint(reader);
  if (reader->bad || count > TIDE_STUBS_MAX) return false;
  for (uint64_t i = 0; i < count; i++) {
    struct tide_stub stub = {0};
    stub.card.lo = tide_get_u64(reader);
    stub.card.hi = tide_get_u64(reader);
    stub.id = tide_get_u64(reader);
    stub.born_ms = tide_get_zigzag(reader);
    stub.outcome.set = (uint32_t)tide_get_varint(reader);
    stub.outcome.result = tide_get_u8(reader) & 3;
    stub.outcome.reversed = tide_get_u8(reader) & 3;
    stub.outcome.refunded = tide_get_u8(reader) & 3;
    stub.outcome.disputed = tide_get_u8(reader) & 1;
    stub.outcome.label = tide_get_u8(reader) & 3;
    struct tide_span reason = tide_get_bytes(reader, sizeof stub.outcome.reason);
    if (reader->bad) return false;
    memcpy(stub.outcome.reason, reason.ptr, sizeof stub.outcome.reason);
    stub.amount_now = tide_get_zigzag(reader);
    stub.sets_amount = tide_get_u8(reader);
    if (reader->bad || !tide_stubs_put(stubs, &stub)) return false;
  }
  return true;
}
