/* Tables of entities against a plain list of keys: churn, sweeps, capacity, new keys, saving and loading, at random.
 *
 * What a table must keep: an entity that holds something is found under its key, with its events, its first time and its code, and under the same number
 * until it gets another key; then the old key and the old number lead to it. What it must drop: entities that hold nothing, after the sweep has passed
 * all slots. Keys are chosen so that many share shard, place in the index and fingerprint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "feature/ahead.h"
#include "tests/oracle/rng.h"

static const char features[] = "tidemark: 1\n"
                               "name: entities\n"
                               "event: {id: id, time: time}\n"
                               "inputs: {default: {id: id, time: {at: time, as: epoch_ms}, c: c, d: d}}\n"
                               "entities: {card: c, dev: {key: d, max: 150, forget_after: 3h}}\n"
                               "features:\n"
                               "  card: {devs: distinct of dev over 1h}\n"
                               "  dev: {n: count over 1h, seen: time since first}\n";

static struct tide_spec *spec;
static struct tide_plan *plan;
static const struct tide_kind *kind;

static int setup(void **state) {
  (void)state;
  struct tide_error error = {0};
  size_t errors;
  struct tide_settings settings = tide_settings_default();
  settings.grace_ms = 0;
  enum tide_err err = tide_spec_parse("test", TIDE_SPAN(features), &spec, &error, 1, &errors);
  if (!err) err = tide_plan_new(spec, &settings, &plan, &error);
  if (err) fprintf(stderr, "%s\n", error.text);
  else kind = &plan->kind[1];
  return err ? -1 : 0;
}
static int teardown(void **state) {
  (void)state;
  tide_plan_free(plan);
  tide_spec_free(spec);
  return 0;
}

enum { KEYS = 400, EVENTS_MAX = 60, HOUR = 3600000 };
#define FORGET_MS (INT64_C(3) * HOUR)

/* One key and what its entity must hold. */
struct known {
  struct tide_u128 key;
  bool made; /* since it was last seen to be gone */
  uint32_t number;
  uint64_t code;
  int64_t first_ms, last_ms;
  int64_t event_ms[EVENTS_MAX];
  unsigned events;
  int moved_to; /* its entity was given this key; -1: no */
  uint32_t old_number;
  bool orphan; /* that entity was gone at some time: the alias may have been dropped, or leads to what came under the new key */
};

struct world {
  struct tide_store store;
  struct known known[KEYS];
  int64_t watermark_ms;
  struct or_rng rng;
  uint64_t seed;
  unsigned swept, moved, full;
};

static struct tide_u128 some_key(struct or_rng *rng) {
  struct tide_u128 key = {or_next(rng), or_next(rng)};
  key.hi = (key.hi & 0x3fffffffffffffff) | (uint64_t)or_below(rng, 2) << 62; /* two or four shards for half of them */
  if (or_percent(rng, 50)) key.hi &= 0xc3ffffff0000000f, key.hi |= 0x7770;
  if (or_percent(rng, 50)) key.hi &= ~UINT64_C(0xff); /* the same place in the index */
  return key;
}

static int root(const struct world *w, int k) {
  while (w->known[k].moved_to >= 0) k = w->known[k].moved_to;
  return k;
}

/* Must the entity of this key be there? */
static bool holds(const struct world *w, const struct known *known) {
  if (!known->made) return false;
  if (known->last_ms > w->watermark_ms - FORGET_MS) return true;
  for (unsigned i = 0; i < known->events; i++)
    if (known->event_ms[i] > w->watermark_ms - kind->keep_ms) return true;
  return false;
}

static void forget(struct known *known) {
  known->made = false;
  known->events = 0;
}

/* Looking ahead finds what a search finds, also behind aliases and where keys fall together. */
static void look_ahead(const struct world *w) {
  struct tide_want want[KEYS];
  uint32_t number[KEYS];
  for (int k = 0; k < KEYS; k++) {
    number[k] = TIDE_NO_ENTITY;
    want[k] = (struct tide_want){&w->store, &w->known[k].key, &number[k]};
  }
  for (int round = 0; round < 4; round++) { /* also with what is known */
    if (round == 2)
      for (int k = 0; k < KEYS; k++) number[k] = TIDE_NO_ENTITY;
    (round < 2 ? tide_ahead : tide_ahead_numbers)(want, KEYS);
    for (int k = 0; k < KEYS; k++) assert_int_equal(number[k], tide_store_find(&w->store, w->known[k].key));
  }
}

static void check(struct world *w) {
  look_ahead(w);
  uint64_t live = 0;
  for (int k = 0; k < KEYS; k++) {
    struct known *known = &w->known[k];
    uint32_t number = tide_store_find(&w->store, known->key);
    if (known->moved_to >= 0) {
      uint32_t now = tide_store_find(&w->store, w->known[known->moved_to].key);
      known->orphan = known->orphan || now == TIDE_NO_ENTITY;
      if (known->orphan && number == TIDE_NO_ENTITY && now != TIDE_NO_ENTITY) { /* dropped before the new key came again */
        known->moved_to = -1;
        known->orphan = false;
        continue;
      }
      assert_int_equal(number, now); /* the old key and the old number lead to it */
      if (!known->orphan) assert_int_equal(tide_store_follow(&w->store, known->old_number), now);
      continue;
    }
    if (number == TIDE_NO_ENTITY) {
      if (holds(w, known)) fail_msg("seed %llu: an entity that holds something is gone", (unsigned long long)w->seed);
      w->swept += known->made;
      forget(known);
      continue;
    }
    live++;
    assert_true(known->made);
    assert_int_equal(number, known->number);
    assert_true(tide_u128_eq(tide_store_ent(&w->store, number)->key, known->key));
    assert_true(tide_store_code(&w->store, number) == known->code);
    const struct tide_first *first = tide_store_first(&w->store, number);
    assert_true(first->first_ms == known->first_ms && first->last_ms == known->last_ms);
    struct tide_view view;
    tide_view_of(kind, tide_store_ent(&w->store, number), &view);
    unsigned want = 0, got = 0;
    int64_t after = w->watermark_ms - kind->keep_ms;
    for (unsigned i = 0; i < known->events; i++) want += known->event_ms[i] > after;
    for (struct tide_at at = tide_view_end(&view); tide_view_back(&view, &at);)
      got += tide_block_time(kind, view.chunk[at.chunk].block, at.i) > after;
    assert_int_equal(got, want);
  }
  assert_int_equal(w->store.live, live);
}

static void event(struct world *w, int k) {
  bool lost = tide_store_find(&w->store, w->known[k].key) == TIDE_NO_ENTITY;
  if (!lost) k = root(w, k);
  struct known *known = &w->known[k];
  bool room = w->store.live < kind->max_entities, there = tide_store_find(&w->store, known->key) != TIDE_NO_ENTITY;
  uint32_t number = tide_store_make(&w->store, known->key);
  assert_int_equal(number != TIDE_NO_ENTITY, room || there);
  if (number == TIDE_NO_ENTITY) {
    w->full++;
    forget(known);
    return;
  }
  if (!there) {
    forget(known);
    known->moved_to = -1; /* what it led to is gone: an entity of its own again */
    known->orphan = false;
    known->code = tide_key_code(known->key);
    known->first_ms = INT64_MAX;
    known->last_ms = INT64_MIN;
  }
  known->made = true;
  known->number = number;
  int64_t ms = w->watermark_ms - or_below(&w->rng, 3) * 600000;
  struct tide_first *first = tide_store_first(&w->store, number);
  if (ms < known->first_ms) known->first_ms = ms;
  if (ms > known->last_ms) known->last_ms = ms;
  *first = (struct tide_first){known->first_ms, known->last_ms};
  if (known->events == EVENTS_MAX) return;
  int64_t value[TIDE_NO_ORIGIN + 1] = {[TIDE_COL_TIME] = ms};
  struct tide_row row = {value, 0};
  tide_ent_insert(kind, tide_store_ent(&w->store, number), &row, w->watermark_ms);
  known->event_ms[known->events++] = ms;
}

static void move(struct world *w, int from, int to) {
  from = root(w, from);
  struct known *old = &w->known[from], *now = &w->known[to];
  uint32_t number = tide_store_find(&w->store, old->key);
  if (from == to || number == TIDE_NO_ENTITY || now->moved_to >= 0 || tide_store_find(&w->store, now->key) != TIDE_NO_ENTITY) return;
  uint64_t live = w->store.live;
  struct tide_u128 key = now->key;
  *now = *old;
  now->key = key;
  now->number = tide_store_rekey(&w->store, number, key);
  assert_true(now->number != number);
  assert_int_equal(w->store.live, live);
  old->old_number = number;
  old->moved_to = to;
  old->orphan = false;
  forget(old);
  w->moved++;
}

static void reload(struct world *w) {
  struct tide_store again;
  struct tide_buf bytes[TIDE_STORE_SHARDS], second = TIDE_BUF_INIT;
  tide_store_init(&again, kind);
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) {
    bytes[s] = (struct tide_buf)TIDE_BUF_INIT;
    tide_table_save(&w->store, s, &bytes[s]);
  }
  for (unsigned s = TIDE_STORE_SHARDS; s-- > 0;) { /* in any order: an alias may come before its entity */
    struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes[s]));
    assert_true(tide_table_load(&again, s, &reader) && reader.ptr == reader.end);
  }
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) {
    tide_buf_clear(&second);
    tide_table_save(&again, s, &second);
    assert_true(tide_span_eq(tide_buf_span(&bytes[s]), tide_buf_span(&second)));
    tide_buf_release(&bytes[s]);
  }
  tide_buf_release(&second);
  again.made = w->store.made;
  again.sweep_shard = w->store.sweep_shard;
  again.sweep_slot = w->store.sweep_slot;
  assert_true(again.live == w->store.live);
  tide_store_release(&w->store);
  w->store = again;
}

static struct world *begin(uint64_t seed) {
  static struct world w;
  memset(&w, 0, sizeof w);
  w.rng.state = w.seed = seed;
  w.watermark_ms = 1700000000000;
  tide_store_init(&w.store, kind);
  for (int k = 0; k < KEYS; k++) {
    w.known[k].key = some_key(&w.rng);
    w.known[k].moved_to = -1;
  }
  return &w;
}

static void test_random_tables_equal_a_list(void **state) {
  (void)state;
  unsigned swept = 0, moved = 0, full = 0;
  for (uint64_t seed = 1; seed <= 12; seed++) {
    struct world *w = begin(seed);
    for (int step = 0; step < 2500; step++) {
      int what = or_below(&w->rng, 100), hot = or_below(&w->rng, 40);
      int k = or_percent(&w->rng, 40) ? hot : or_below(&w->rng, KEYS);
      if (what < 75) event(w, k);
      else if (what < 83) move(w, k, or_below(&w->rng, KEYS));
      else if (what < 95) w->watermark_ms += or_below(&w->rng, 40) * 10000;
      else if (what < 98) tide_store_sweep(&w->store, w->watermark_ms);
      else if (what < 99 && or_percent(&w->rng, 20)) w->watermark_ms += 4 * HOUR;
      else if (or_percent(&w->rng, 30)) reload(w);
      check(w);
    }
    swept += w->swept;
    moved += w->moved;
    full += w->full;
    tide_store_release(&w->store);
  }
  assert_in_range(swept, 500, 1000000);
  assert_in_range(moved, 200, 1000000);
  assert_in_range(full, 100, 1000000);
}

static void test_sweeps_drop_all_that_is_empty(void **state) {
  (void)state;
  struct world *w = begin(99);
  for (int k = 0; k < 150; k++) event(w, k);
  for (int k = 0; k < 40; k++) move(w, k, 200 + k);
  assert_int_equal(w->store.live, 150);
  w->watermark_ms += 4 * HOUR;
  tide_store_sweep(&w->store, w->watermark_ms); /* as many slots as were made, and one */
  unsigned rounds = 0;
  while (w->store.live && rounds++ < 2000) tide_store_sweep(&w->store, w->watermark_ms);
  assert_int_equal(w->store.live, 0);
  while (rounds++ < 4000) tide_store_sweep(&w->store, w->watermark_ms);
  uint32_t cells = 0, slots = 0, free_slots = 0;
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) {
    cells += w->store.shard[s].live;
    slots += w->store.shard[s].slots;
    free_slots += w->store.shard[s].free_count;
  }
  assert_int_equal(cells, 0); /* aliases have gone as well */
  assert_int_equal(free_slots, slots);
  for (int k = 0; k < KEYS; k++) assert_int_equal(tide_store_find(&w->store, w->known[k].key), TIDE_NO_ENTITY);
  tide_store_release(&w->store);
}

static void test_an_old_key_begins_anew_when_its_entity_is_gone(void **state) {
  (void)state;
  struct world *w = begin(5);
  event(w, 1);
  move(w, 1, 2);
  uint32_t number = w->known[2].number;
  assert_int_equal(tide_store_make(&w->store, w->known[1].key), number);
  w->watermark_ms += 4 * HOUR;
  /* the entity first: its slot may be before or behind that of the alias */
  while (tide_store_find(&w->store, w->known[2].key) != TIDE_NO_ENTITY) {
    w->store.sweep_shard = tide_shard_of(w->known[2].key);
    w->store.sweep_slot = number & ((1u << 26) - 1);
    tide_store_sweep(&w->store, w->watermark_ms);
  }
  assert_int_equal(tide_store_find(&w->store, w->known[1].key), TIDE_NO_ENTITY);
  uint32_t again = tide_store_make(&w->store, w->known[1].key);
  assert_true(again != TIDE_NO_ENTITY);
  assert_true(tide_store_first(&w->store, again)->first_ms == INT64_MAX);
  assert_true(tide_store_code(&w->store, again) == tide_key_code(w->known[1].key));
  assert_int_equal(w->store.live, 1);
  assert_int_equal(tide_store_find(&w->store, w->known[1].key), again);
  assert_int_equal(tide_store_follow(&w->store, again), again);
  tide_store_release(&w->store);
}

static void test_bytes_that_are_no_table(void **state) {
  (void)state;
  struct world *w = begin(3);
  for (int k = 0; k < 30; k++) event(w, k);
  for (int k = 0; k < 10; k++) move(w, k, 100 + k);
  struct tide_buf bytes = TIDE_BUF_INIT;
  unsigned shard = tide_shard_of(w->known[3].key);
  tide_table_save(&w->store, shard, &bytes);
  for (size_t cut = 0; cut < bytes.len; cut++) {
    struct tide_store part;
    tide_store_init(&part, kind);
    struct tide_reader reader = tide_reader_of((struct tide_span){bytes.ptr, cut});
    assert_false(tide_table_load(&part, shard, &reader));
    tide_store_release(&part);
  }
  struct tide_store other;
  tide_store_init(&other, kind);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_false(tide_table_load(&other, (shard + 1) % TIDE_STORE_SHARDS, &reader)); /* keys of another shard */
  tide_store_release(&other);
  tide_buf_release(&bytes);
  tide_store_release(&w->store);
}

static void put(struct tide_ent *ent, int64_t time_ms, uint64_t mask) {
  int64_t value[TIDE_NO_ORIGIN + 1] = {[TIDE_COL_TIME] = time_ms};
  struct tide_row row = {value, mask};
  assert_false(tide_ent_insert(kind, ent, &row, time_ms));
}

static void assert_holds(const struct tide_ent *ent, int64_t time_ms, uint64_t mask) {
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  assert_int_equal(view.count, 1);
  assert_int_equal(tide_block_time(kind, view.chunk[0].block, 0), time_ms);
  assert_int_equal(tide_block_mask(kind, view.chunk[0].block, 0), mask);
  assert_int_equal(view.chunk[0].last_ms, time_ms);
}

/* A kind that keeps nothing but time and conditions has its single event without a block; times that do not fit take one. */
static void test_a_single_event_stands_in_its_entity(void **state) {
  (void)state;
  assert_true(kind->single);
  static const struct {
    int64_t time_ms;
    bool fits;
  } at[] = {{0, true}, {1700000000000, true}, {(INT64_C(1) << 44) - 1, true}, {INT64_C(1) << 44, false}, {-1, false}};
  uint64_t mask = (UINT64_C(1) << kind->bit_count) - 1;
  for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
    struct tide_ent ent = {{1, 1}, 0}, loaded = {{1, 1}, 0};
    put(&ent, at[i].time_ms, mask);
    assert_holds(&ent, at[i].time_ms, mask);
    assert_int_equal(tide_ent_bytes(kind, &ent) == 0, at[i].fits);
    struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
    tide_ent_save(kind, &ent, &bytes);
    struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
    assert_true(tide_ent_load(kind, &loaded, &reader));
    assert_holds(&loaded, at[i].time_ms, mask);
    assert_int_equal(tide_ent_bytes(kind, &loaded) == 0, at[i].fits);
    tide_ent_save(kind, &loaded, &again);
    assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
    put(&loaded, at[i].time_ms, 0); /* the second needs a block, and stands behind the first */
    struct tide_view view;
    tide_view_of(kind, &loaded, &view);
    assert_int_equal(view.chunk[0].block->n, 2);
    assert_int_equal(tide_block_mask(kind, view.chunk[0].block, 0), mask);
    assert_int_equal(tide_block_mask(kind, view.chunk[0].block, 1), 0);
    assert_true(tide_ent_bytes(kind, &loaded) > 0);
    tide_ent_release(&ent);
    tide_ent_release(&loaded);
    assert_int_equal(ent.log, 0);
    tide_buf_release(&bytes);
    tide_buf_release(&again);
  }
}

/* Events of one time in several blocks: an outcome goes to the one that has so many before it. */
static void test_events_of_one_time_are_found_by_rank(void **state) {
  (void)state;
  struct tide_ent ent = {{1, 1}, 0};
  uint64_t mask = 1;
  put(&ent, 999, mask);
  for (int i = 0; i < 3 * TIDE_BLOCK_MAX; i++) put(&ent, 1000, i == 2 * TIDE_BLOCK_MAX + 1 ? mask : 0);
  put(&ent, 1001, mask);
  struct tide_view view;
  struct tide_at at;
  tide_view_of(kind, &ent, &view);
  assert_in_range(view.count, 3, 10);
  for (uint32_t rank = 0; rank < 3 * TIDE_BLOCK_MAX; rank++) {
    assert_true(tide_view_find(&view, 1000, rank, &at));
    const struct tide_block *block = view.chunk[at.chunk].block;
    assert_int_equal(tide_block_time(kind, block, at.i), 1000);
    assert_int_equal(tide_block_mask(kind, block, at.i), rank == 2 * TIDE_BLOCK_MAX + 1 ? mask : 0);
  }
  assert_false(tide_view_find(&view, 1000, 3 * TIDE_BLOCK_MAX, &at)); /* that is the one of 1001 */
  assert_false(tide_view_find(&view, 1000, 3 * TIDE_BLOCK_MAX + 1, &at));
  assert_false(tide_view_find(&view, 998, 0, &at));
  assert_true(tide_view_find(&view, 1001, 0, &at));
  assert_false(tide_view_find(&view, 1002, 0, &at));
  tide_ent_release(&ent);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_single_event_stands_in_its_entity),
      cmocka_unit_test(test_events_of_one_time_are_found_by_rank),
      cmocka_unit_test(test_random_tables_equal_a_list),
      cmocka_unit_test(test_sweeps_drop_all_that_is_empty),
      cmocka_unit_test(test_an_old_key_begins_anew_when_its_entity_is_gone),
      cmocka_unit_test(test_bytes_that_are_no_table),
  };
  return cmocka_run_group_tests_name("entity", tests, setup, teardown);
}
