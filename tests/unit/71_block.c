/* Blocks against a plain array of rows: insertion anywhere, expiry, wide numbers and times, splits, fitting, saving and loading, at random.
 *
 * The kind comes from a feature file whose primary keeps columns of both strips, so that the shorter one is moved and cut as well. After every step every
 * value of every event is read back. The random choices are fixed by a seed that a failure prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "feature/block.h"
#include "tests/oracle/rng.h"

static const char features[] = "tidemark: 1\n"
                               "name: blocks\n"
                               "event: {id: id, time: time, amount: amount in EUR}\n"
                               "inputs: {default: {id: id, time: {at: time, as: epoch_ms}, amount: {at: amount}, card: card, shop: shop,\n"
                               "                   device: device, items: {at: items, as: int}}}\n"
                               "entities: {card: card, shop: shop, device: device}\n"
                               "features:\n"
                               "  shop: {n: count over 1h where result = declined}\n"
                               "  device: {n: count over 1h where result = declined}\n"
                               "  card:\n"
                               "    devices: distinct of device over 200d\n"
                               "    shops: distinct of shop over 1h where reason = \"51\"\n"
                               "    n: count over 1h, 365d where result = declined\n"
                               "    spend: sum of amount over 1h where result != declined\n"
                               "    asked: sum of requested over 1d\n"
                               "    items: max of items over 10d\n";

static struct tide_spec *spec;
static struct tide_plan *plan;
static const struct tide_kind *kind;

static int setup(void **state) {
  (void)state;
  struct tide_error error = {0};
  size_t errors;
  struct tide_settings settings = tide_settings_default();
  if (tide_spec_parse("test", TIDE_SPAN(features), &spec, &error, 1, &errors) || tide_plan_new(spec, &settings, &plan, &error)) return -1;
  kind = &plan->kind[0];
  return 0;
}
static int teardown(void **state) {
  (void)state;
  tide_plan_free(plan);
  tide_spec_free(spec);
  return 0;
}

struct cells {
  int64_t value[TIDE_COLUMNS_MAX];
}; /* of one event, by column */

struct model {
  struct cells row[TIDE_BLOCK_MAX];
  unsigned n, yn;
};

static bool is_num(unsigned c) { return kind->column[c].number; }
static int64_t model_time(const struct model *m, unsigned i) { return m->row[i].value[kind->col_of[TIDE_COL_TIME]]; }

static void assert_same(const struct model *m, const struct tide_block *block, uint64_t seed, int step) {
  if (!block) {
    assert_int_equal(m->n, 0);
    return;
  }
  if (block->n != m->n || block->yn != m->yn || block->cap < block->n || block->ycap < block->yn)
    fail_msg("seed %llu step %d: n %u/%u young %u/%u", (unsigned long long)seed, step, m->n, block->n, m->yn, block->yn);
  for (unsigned i = 0; i < m->n; i++) {
    assert_int_equal(tide_block_is_young(block, i), i >= m->n - m->yn);
    for (unsigned c = 0; c < kind->column_count; c++) {
      if (kind->column[c].young && !tide_block_is_young(block, i)) continue;
      int64_t want = m->row[i].value[c], got;
      if (kind->column[c].what == TIDE_COL_TIME) got = tide_block_time(kind, block, i);
      else got = is_num(c) ? tide_block_num(kind, block, c, i) : (int64_t)tide_block_get(kind, block, c, i);
      if (want != got)
        fail_msg("seed %llu step %d: event %u of %u column %u is %lld, not %lld", (unsigned long long)seed, step, i, m->n, c,
                 (long long)got, (long long)want);
    }
  }
}

static int64_t some_num(struct or_rng *rng) {
  switch (or_below(rng, 24)) {
    case 0: return TIDE_NULL_NUM;
    case 1: return INT64_C(4294967294);
    case 2: return or_percent(rng, 2) ? INT64_C(4294967295) + or_below(rng, 2) : 7;
    case 3: return or_percent(rng, 4) ? -1 - or_below(rng, 3) : 0;
    default: return or_below(rng, 100000);
  }
}

/* What one row brings to a dictionary: one of a few combinations as a rule, so that entries are shared, run out and are given up. */
static int64_t some_raw(struct or_rng *rng, unsigned c, uint64_t combination) {
  unsigned width = kind->column[c].width[kind->column[c].narrowable && or_below(rng, 3000) ? 0 : 1];
  uint64_t raw = combination ? combination * UINT64_C(0x9e3779b97f4a7c15) + c : or_next(rng);
  return (int64_t)(width == 8 ? raw : raw & ((UINT64_C(1) << 8 * width) - 1));
}

static unsigned variety; /* of combinations: how many there are about */

static struct cells some_row(struct or_rng *rng, int64_t time_ms) {
  struct cells row = {0};
  uint64_t combination[TIDE_DICTS_MAX + 1] = {0};
  for (unsigned d = 0; d < kind->dict_count; d++) combination[d] = or_percent(rng, 95) ? 1 + (uint64_t)or_below(rng, (int)variety) : 0;
  for (unsigned c = 0; c < kind->column_count; c++) {
    uint8_t dict = kind->column[c].dict;
    row.value[c] = is_num(c) ? some_num(rng) : some_raw(rng, c, dict == TIDE_NO_DICT ? 0 : combination[dict]);
  }
  row.value[kind->col_of[TIDE_COL_TIME]] = time_ms;
  return row;
}

static void insert_cells(struct tide_block **block, unsigned at, const struct cells *cells) {
  int64_t value[TIDE_NO_ORIGIN + 1] = {0};
  for (unsigned c = 0; c < kind->column_count; c++) value[kind->origin[c]] = cells->value[c];
  struct tide_row row = {value, (uint64_t)cells->value[kind->col_of[TIDE_COL_MASK]]};
  tide_block_insert(kind, block, at, &row);
}

static void insert(struct or_rng *rng, struct model *m, struct tide_block **block) {
  static const int64_t gaps[] = {0, 0, 1, 1000, 60000, 86400000, INT64_C(4294967290), INT64_C(4294967295), INT64_C(50000000000)};
  unsigned at = or_percent(rng, 70) ? m->n : (unsigned)or_below(rng, (int)m->n + 1);
  int64_t before = at ? model_time(m, at - 1) : at < m->n ? model_time(m, 0) - 5000000 : 1700000000000, ms = before;
  ms += OR_PICK(rng, gaps) >> (or_percent(rng, 97) ? 12 : 0);
  if (at < m->n && ms > model_time(m, at)) ms = model_time(m, at);
  struct cells row = some_row(rng, ms);
  bool young = at >= m->n - m->yn; /* an older one has nothing in the shorter strip */
  insert_cells(block, at, &row);
  memmove(&m->row[at + 1], &m->row[at], (m->n - at) * sizeof *m->row);
  m->row[at] = row;
  m->n++;
  m->yn += young;
}

static void expire(struct or_rng *rng, struct model *m, struct tide_block *block) {
  int64_t keep = model_time(m, (unsigned)or_below(rng, (int)m->n)) - or_below(rng, 2);
  int64_t young = or_percent(rng, 60) ? model_time(m, (unsigned)or_below(rng, (int)m->n)) - or_below(rng, 2) : keep;
  if (or_percent(rng, 50)) keep = model_time(m, 0) - 1; /* only the shorter strip */
  tide_block_expire(kind, block, keep, young);
  unsigned gone = 0, old = 0;
  for (unsigned i = 0; i < m->n; i++) gone += model_time(m, i) <= keep, old += model_time(m, i) <= young || model_time(m, i) <= keep;
  if (m->yn > m->n - old) m->yn = m->n - old;
  memmove(&m->row[0], &m->row[gone], (m->n - gone) * sizeof *m->row);
  m->n -= gone;
}

static void split(struct or_rng *rng, struct model *m, struct tide_block **block, uint64_t seed, int step) {
  static struct model tail;
  unsigned at = 1 + (unsigned)or_below(rng, (int)m->n - 1);
  struct tide_block *second = tide_block_split(kind, *block, at);
  tail.n = m->n - at;
  tail.yn = m->yn < tail.n ? m->yn : tail.n;
  memcpy(tail.row, &m->row[at], tail.n * sizeof *m->row);
  m->n = at;
  m->yn -= tail.yn;
  assert_same(m, *block, seed, step);
  assert_same(&tail, second, seed, step);
  if (or_percent(rng, 50)) {
    tide_free(second);
    return;
  }
  tide_free(*block);
  *block = second;
  *m = tail;
}

static void reload(struct or_rng *rng, struct tide_block **block) {
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  tide_block_save(kind, *block, &bytes);
  size_t cut = (size_t)or_below(rng, (int)bytes.len);
  struct tide_reader reader = tide_reader_of((struct tide_span){bytes.ptr, cut});
  assert_null(tide_block_load(kind, &reader)); /* whatever is cut off, it is noticed */
  assert_true(reader.bad);
  reader = tide_reader_of(tide_buf_span(&bytes));
  struct tide_block *loaded = tide_block_load(kind, &reader);
  assert_non_null(loaded);
  assert_true(reader.ptr == reader.end);
  tide_block_save(kind, loaded, &again);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
  tide_free(*block);
  *block = loaded;
  tide_buf_release(&bytes);
  tide_buf_release(&again);
}

static void set_one(struct or_rng *rng, struct model *m, struct tide_block **block) {
  unsigned i = (unsigned)or_below(rng, (int)m->n), c = (unsigned)or_below(rng, kind->column_count);
  if (kind->column[c].what == TIDE_COL_TIME) return;
  if (is_num(c)) {
    int64_t value = some_num(rng);
    tide_block_set_num(kind, block, c, i, value); /* of an event that is not young any more: ignored */
    m->row[i].value[c] = value;
  } else {
    m->row[i].value[c] ^= or_below(rng, 4);
    tide_block_put(kind, block, c, i, (uint64_t)m->row[i].value[c]); /* likewise */
  }
}

static void search(struct or_rng *rng, const struct model *m, const struct tide_block *block) {
  int64_t ms = model_time(m, (unsigned)or_below(rng, (int)m->n)) + or_below(rng, 3) - 1;
  if (or_percent(rng, 10)) ms = or_percent(rng, 50) ? INT64_MIN / 4 : INT64_MAX / 4;
  unsigned want = 0;
  while (want < m->n && model_time(m, want) <= ms) want++;
  assert_int_equal(tide_block_after(kind, block, ms), want);
}

static unsigned wides, youngs, forms[3]; /* dictionaries seen: plain, one for all, shared */

static void note_forms(const struct tide_block *block) {
  for (unsigned d = 0; block && block->n > 3 && d < kind->dict_count; d++) {
    unsigned cap = tide_block_head(kind, block, d)->cap;
    forms[cap > 1 ? 2 : cap]++;
  }
}

static void run(uint64_t seed) {
  static struct model m;
  struct or_rng rng = {seed};
  struct tide_block *block = NULL;
  m.n = m.yn = 0;
  variety = (unsigned[]){1, 3, 12, 40}[seed % 4];
  for (int step = 0; step < 900; step++) {
    int what = or_below(&rng, 100);
    if (m.n < TIDE_BLOCK_MAX && (what < 70 || !m.n)) insert(&rng, &m, &block);
    else if (what < 74) expire(&rng, &m, block);
    else if (what < 76 && m.n > 1) split(&rng, &m, &block, seed, step);
    else if (what < 79) tide_block_fit(kind, &block, (unsigned)or_below(&rng, 2));
    else if (what < 82) reload(&rng, &block);
    else if (what < 92) set_one(&rng, &m, &block);
    else search(&rng, &m, block);
    assert_same(&m, block, seed, step);
    wides += block && tide_block_wide(block);
    youngs += m.yn && m.yn < m.n;
    note_forms(block);
  }
  tide_free(block);
}

static void test_random_blocks_equal_an_array(void **state) {
  (void)state;
  bool both = false;
  for (unsigned c = 0; c < kind->column_count; c++) both = both || kind->column[c].young;
  assert_true(both); /* else half of this tests nothing */
  for (uint64_t seed = 1; seed <= 60; seed++) run(seed);
  assert_in_range(wides, 1000, 60 * 900 - 1000);
  assert_in_range(youngs, 1000, 60 * 900);
  print_message("# dictionaries: %u plain, %u of one entry, %u shared; %u wide blocks\n", forms[0], forms[1], forms[2], wides);
  for (unsigned f = 0; f < 3; f++) assert_true(forms[f] > 5000);
}

static void test_capacities_grow_in_steps(void **state) {
  (void)state;
  unsigned before = 0;
  for (unsigned n = 1; n <= 256; n++) {
    unsigned cap = tide_block_capacity(n);
    assert_true(cap >= n && cap >= before);
    assert_true(n < 4 || cap <= n * 3 / 2); /* no more than half is spare */
    before = cap;
  }
}

static void test_bytes_that_are_no_block(void **state) {
  (void)state;
  struct or_rng rng = {7};
  struct tide_block *block = NULL;
  variety = 3;
  for (unsigned i = 0; i < 3; i++) {
    struct cells row = some_row(&rng, 1700000000000 + i);
    insert_cells(&block, i, &row);
  }
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_block_save(kind, block, &bytes);
  const struct {
    size_t at;
    uint8_t put[2];
  } wrong[] = {
      {0, {0, 0}}, {0, {0xff, 0xff}}, {0, {1, 1}}, {2, {4, 0}}}; /* no events; too many; more than are there; more young than all */
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct tide_buf bad = TIDE_BUF_INIT;
    tide_buf_put(&bad, bytes.ptr, bytes.len);
    memcpy(bad.ptr + wrong[i].at, wrong[i].put, 2);
    struct tide_reader reader = tide_reader_of(tide_buf_span(&bad));
    assert_null(tide_block_load(kind, &reader));
    assert_true(reader.bad);
    tide_buf_release(&bad);
  }
  uint32_t *time = tide_block_column(kind, block, kind->col_of[TIDE_COL_TIME]);
  assert_int_equal(tide_block_wide(block), 0);
  time[1] = time[2] + 5; /* not in order of time */
  tide_buf_clear(&bytes);
  tide_block_save(kind, block, &bytes);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_null(tide_block_load(kind, &reader));
  tide_buf_release(&bytes);
  tide_free(block);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_blocks_equal_an_array),
      cmocka_unit_test(test_capacities_grow_in_steps),
      cmocka_unit_test(test_bytes_that_are_no_block),
  };
  return cmocka_run_group_tests_name("block", tests, setup, teardown);
}
