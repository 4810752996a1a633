/* Live metrics (meter.h): where each cell lies, how it is written, and the exposition.
 *
 * A shard is one array of 64-bit atomics. A row's cells stand together, in the order of their labels (the last turns fastest); a cell is one word, or
 * for a histogram one word per bucket, one for what is above the last bound, and the sum (nanoseconds or records, so it is exact). A cell of a LEVEL, AGE or RATIO
 * holds the value and one: a cell of zero is not there. */
#include "base/meter.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

enum { LABELS = 3 };

#define DECADE(ns) INT64_C(ns), INT64_C(ns) / 2 * 3, INT64_C(ns) * 2, INT64_C(ns) * 3, INT64_C(ns) * 5, INT64_C(ns) * 7
static const int64_t seconds_bounds[] = {DECADE(10000),     DECADE(100000),     DECADE(1000000),     DECADE(10000000),
                                         DECADE(100000000), DECADE(1000000000), INT64_C(10000000000)};
static const int64_t records_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

static const int64_t share_bounds[] = {50000,  100000, 150000, 200000, 250000, 300000, 350000, 400000, 450000, 500000,
                                       550000, 600000, 650000, 700000, 750000, 800000, 850000, 900000, 950000, 1000000};

struct bounds {
  const int64_t *at;
  uint32_t count;
};
static struct bounds bounds_of(enum tide_meter_type type) {
  switch (type) {
    case TIDE_METER_SECONDS: return (struct bounds){seconds_bounds, sizeof seconds_bounds / sizeof seconds_bounds[0]};
    case TIDE_METER_RECORDS: return (struct bounds){records_bounds, sizeof records_bounds / sizeof records_bounds[0]};
    case TIDE_METER_SHARE: return (struct bounds){share_bounds, sizeof share_bounds / sizeof share_bounds[0]};
    case TIDE_METER_COUNTER:
    case TIDE_METER_GAUGE:
    case TIDE_METER_LEVEL:
    case TIDE_METER_AGE:
    case TIDE_METER_RATIO: break;
  }
  return (struct bounds){NULL, 0};
}

static const struct {
  const char *name, *help;
  enum tide_meter_type type;
  uint8_t axis[LABELS];
} rows[] = {
#define X(name, type, a, b, c, help) {"tidemark_" #name, help, TIDE_METER_##type, {TIDE_AXIS_##a, TIDE_AXIS_##b, TIDE_AXIS_##c}},
    TIDE_METERS(X)
#undef X
};
_Static_assert(sizeof rows / sizeof rows[0] == TIDE_METER_ROW_COUNT, "one row per metric");

_Static_assert(sizeof seconds_bounds / sizeof seconds_bounds[0] < TIDE_METER_BUCKETS_MAX, "room for what is above the last bound");

static const char *const axis_names[] = {
#define X(name, label) label,
    TIDE_METER_AXES(X)
#undef X
};

typedef _Atomic int64_t word;

struct tide_meter {
  struct tide_meters *meters;
  bool shared; /* several writers */
  word *words;
  word fold[TIDE_METRIC_COUNT];
};

struct tide_meters {
  struct {
    _Atomic(char *) *value; /* NULL: a place that has no name yet */
    uint32_t count;
  } axis[TIDE_AXIS_COUNT];
  pthread_mutex_t naming;
  size_t first[TIDE_METER_ROW_COUNT]; /* of a row's cells in words */
  size_t words;
  unsigned shards; /* the last one is the shared one */
  struct tide_meter *shard;
};

static size_t cell_words(int row) {
  uint32_t buckets = bounds_of(rows[row].type).count;
  return buckets ? buckets + 2u : 1u;
}

enum tide_err tide_meters_new(const struct tide_meter_values values[TIDE_AXIS_COUNT], unsigned shards, struct tide_meters **ret,
                              struct tide_error *error) {
  TIDE_CHECK(shards >= 1);
  struct tide_meters *meters = tide_alloc(sizeof *meters);
  pthread_mutex_init(&meters->naming, NULL);
  for (int axis = 0; axis < TIDE_AXIS_COUNT; axis++) {
    uint32_t count = axis == TIDE_AXIS_none ? 1 : values[axis].count;
    meters->axis[axis].count = count;
    meters->axis[axis].value = tide_alloc((count + 1) * sizeof *meters->axis[axis].value);
    for (uint32_t i = 0; i < count && axis != TIDE_AXIS_none; i++)
      atomic_init(&meters->axis[axis].value[i], tide_strdup(values[axis].value[i]));
  }
  for (int row = 0; row < TIDE_METER_ROW_COUNT; row++) {
    size_t words = cell_words(row);
    for (int i = 0; i < LABELS; i++) {
      words *= meters->axis[rows[row].axis[i]].count;
      if (words > TIDE_METER_CELLS_MAX) break;
    }
    meters->first[row] = meters->words;
    meters->words += words;
    if (meters->words > TIDE_METER_CELLS_MAX) {
      tide_meters_free(meters);
      return tide_fail(error, TIDE_E_LIMIT,
                       "the labels of the metric %s multiply to more than %u cells: the feature file has too many rules", rows[row].name,
                       TIDE_METER_CELLS_MAX);
    }
  }
  meters->shards = shards + 1;
  meters->shard = tide_alloc(meters->shards * sizeof *meters->shard);
  for (unsigned i = 0; i <= shards; i++) {
    meters->shard[i].meters = meters;
    meters->shard[i].shared = i == shards;
    meters->shard[i].words = tide_alloc(meters->words * sizeof(word));
  }
  *ret = meters;
  return TIDE_OK;
}

void tide_meters_free(struct tide_meters *meters) {
  if (!meters) return;
  for (unsigned i = 0; i < meters->shards; i++) tide_free(meters->shard[i].words);
  tide_free(meters->shard);
  for (int axis = 0; axis < TIDE_AXIS_COUNT; axis++) {
    for (uint32_t i = 0; i < meters->axis[axis].count; i++) tide_free(atomic_load(&meters->axis[axis].value[i]));
    tide_free(meters->axis[axis].value);
  }
  pthread_mutex_destroy(&meters->naming);
  tide_free(meters);
}

/* Names are set once and in order, so the first place without one ends the search. UINT32_MAX: neither the name nor such a place is there. */
static uint32_t find_name(const struct tide_meters *meters, enum tide_meter_axis axis, const char *name, bool *ret_known) {
  for (uint32_t i = 0; i < meters->axis[axis].count; i++) {
    const char *value = atomic_load_explicit(&meters->axis[axis].value[i], memory_order_acquire);
    *ret_known = value && strcmp(value, name) == 0;
    if (!value || *ret_known) return i;
  }
  return UINT32_MAX;
}

bool tide_meters_place(struct tide_meters *meters, enum tide_meter_axis axis, const char *name, uint32_t *ret) {
  TIDE_CHECK((unsigned)axis < TIDE_AXIS_COUNT && axis != TIDE_AXIS_none);
  bool known = false;
  uint32_t i = find_name(meters, axis, name, &known);
  if (!known && i != UINT32_MAX) {
    pthread_mutex_lock(&meters->naming);
    i = find_name(meters, axis, name, &known);
    if (!known && i != UINT32_MAX) atomic_store_explicit(&meters->axis[axis].value[i], tide_strdup(name), memory_order_release);
    pthread_mutex_unlock(&meters->naming);
  }
  if (i == UINT32_MAX) return false;
  *ret = i;
  return true;
}

struct tide_meter *tide_meters_shard(struct tide_meters *meters, unsigned shard) {
  TIDE_CHECK(shard + 1 < meters->shards);
  return &meters->shard[shard];
}

struct tide_meter *tide_meters_shared(struct tide_meters *meters) {
  return &meters->shard[meters->shards - 1];
}

/* ---- writing: one thread per shard, but for the shared one ---- */

static int64_t load(const word *at) { return atomic_load_explicit(at, memory_order_relaxed); }
static void store(word *at, int64_t n) { atomic_store_explicit(at, n, memory_order_relaxed); }

static void add(const struct tide_meter *meter, word *at, int64_t n) {
  if (meter->shared) atomic_fetch_add_explicit(at, n, memory_order_relaxed);
  else store(at, load(at) + n);
}

static word *cell_of(const struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at) {
  TIDE_CHECK((unsigned)row < TIDE_METER_ROW_COUNT);
  const struct tide_meters *meters = meter->meters;
  const uint8_t *axis = rows[row].axis;
  uint32_t a = meters->axis[axis[0]].count, b = meters->axis[axis[1]].count, c = meters->axis[axis[2]].count;
  TIDE_CHECK(at.a < a && at.b < b && at.c < c);
  return meter->words + meters->first[row] + (((size_t)at.a * b + at.b) * c + at.c) * cell_words((int)row);
}

void tide_meter_add(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n) {
  word *cell = cell_of(meter, row, at);
  TIDE_CHECK(rows[row].type == TIDE_METER_GAUGE || (rows[row].type == TIDE_METER_COUNTER && n >= 0));
  add(meter, cell, n);
}

static bool comes_and_goes(int row) {
  return rows[row].type == TIDE_METER_LEVEL || rows[row].type == TIDE_METER_AGE || rows[row].type == TIDE_METER_RATIO;
}

void tide_meter_set(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n) {
  word *cell = cell_of(meter, row, at);
  if (comes_and_goes((int)row)) {
    TIDE_CHECK(n >= 0 && n < INT64_MAX);
    store(cell, n + 1);
    return;
  }
  TIDE_CHECK(rows[row].type == TIDE_METER_GAUGE || (rows[row].type == TIDE_METER_COUNTER && n >= load(cell)));
  store(cell, n);
}

void tide_meter_unset(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at) {
  word *cell = cell_of(meter, row, at);
  TIDE_CHECK(comes_and_goes((int)row));
  store(cell, 0);
}

static void observe(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n) {
  word *cell = cell_of(meter, row, at);
  struct bounds bounds = bounds_of(rows[row].type);
  if (n < 0) n = 0;
  uint32_t low = 0, high = bounds.count; /* the first bound that is not below n */
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (bounds.at[middle] < n) low = middle + 1;
    else high = middle;
  }
  add(meter, &cell[low], 1);
  add(meter, &cell[bounds.count + 1], n);
}

void tide_meter_seconds(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t ns) {
  TIDE_CHECK((unsigned)row < TIDE_METER_ROW_COUNT && rows[row].type == TIDE_METER_SECONDS);
  observe(meter, row, at, ns);
}

void tide_meter_records(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n) {
  TIDE_CHECK((unsigned)row < TIDE_METER_ROW_COUNT && rows[row].type == TIDE_METER_RECORDS);
  observe(meter, row, at, n);
}

void tide_meter_share(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t millionths) {
  TIDE_CHECK((unsigned)row < TIDE_METER_ROW_COUNT && rows[row].type == TIDE_METER_SHARE);
  observe(meter, row, at, millionths);
}

void tide_meter_publish(struct tide_meter *meter, const struct tide_metrics *metrics) {
  for (int i = 0; i < TIDE_METRIC_COUNT; i++) store(&meter->fold[i], metrics->value[i]);
}

/* ---- reading: any thread ---- */

static int64_t sum_of(const struct tide_meters *meters, size_t index) {
  int64_t sum = 0;
  for (unsigned i = 0; i < meters->shards; i++) sum += load(&meters->shard[i].words[index]);
  return sum;
}

struct tide_meters *tide_meter_all(struct tide_meter *meter) {
  return meter->meters;
}

static size_t index_of(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at) {
  return (size_t)(cell_of(&meters->shard[0], row, at) - meters->shard[0].words);
}

bool tide_meters_get(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at, int64_t *ret) {
  int64_t sum = sum_of(meters, index_of(meters, row, at));
  TIDE_CHECK(bounds_of(rows[row].type).count == 0);
  if (comes_and_goes((int)row) && sum == 0) return false;
  *ret = sum - comes_and_goes((int)row);
  return true;
}

uint32_t tide_meters_buckets(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at, int64_t *ret,
                             const int64_t **ret_bound) {
  size_t cell = index_of(meters, row, at);
  struct bounds bounds = bounds_of(rows[row].type);
  TIDE_CHECK(bounds.count > 0);
  for (uint32_t i = 0; i <= bounds.count; i++) ret[i] = sum_of(meters, cell + i);
  *ret_bound = bounds.at;
  return bounds.count + 1;
}

int64_t tide_meter_quantile(const int64_t *bucket, const int64_t *bound, uint32_t count, double q) {
  TIDE_CHECK(count >= 2 && q >= 0 && q <= 1);
  int64_t all = 0, below = 0;
  for (uint32_t i = 0; i < count; i++) all += bucket[i];
  if (all <= 0) return -1;
  for (uint32_t i = 0; i + 1 < count; i++) {
    below += bucket[i];
    if ((double)below >= q * (double)all) return bound[i];
  }
  return bound[count - 2];
}

int64_t tide_meters_fold(const struct tide_meters *meters, enum tide_metric metric) {
  int64_t sum = 0;
  for (unsigned i = 0; i < meters->shards; i++) sum += load(&meters->shard[i].fold[metric]);
  return sum;
}

int64_t tide_meters_value(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at) {
  int64_t value = 0;
  TIDE_CHECK((unsigned)row < TIDE_METER_ROW_COUNT && (rows[row].type == TIDE_METER_COUNTER || rows[row].type == TIDE_METER_GAUGE));
  (void)tide_meters_get(meters, row, at, &value);
  return value;
}

uint32_t tide_meters_count(const struct tide_meters *meters, enum tide_meter_axis axis) { return meters->axis[axis].count; }
const char *tide_meters_name(const struct tide_meters *meters, enum tide_meter_axis axis, uint32_t index) {
  TIDE_CHECK(index < meters->axis[axis].count);
  return atomic_load_explicit(&meters->axis[axis].value[index], memory_order_acquire);
}

/* A number of billionths or millionths as what it counts, exact, without needless zeros. */
static void put_parts(int64_t n, int64_t unit, int digits, struct tide_buf *out) {
  tide_buf_printf(out, "%" PRId64, n / unit);
  if (n % unit == 0) return;
  tide_buf_printf(out, ".%0*" PRId64, digits, n % unit);
  while (out->ptr[out->len - 1] == '0') out->len--;
}
static void put_seconds(int64_t ns, struct tide_buf *out) { put_parts(ns, 1000000000, 9, out); }

static void put_number(int row, int64_t n, struct tide_buf *out) {
  if (rows[row].type == TIDE_METER_SECONDS || rows[row].type == TIDE_METER_AGE || rows[row].type == TIDE_METER_RATIO) put_seconds(n, out);
  else if (rows[row].type == TIDE_METER_SHARE) put_parts(n, 1000000, 6, out);
  else tide_buf_printf(out, "%" PRId64, n);
}

/* A label's value: backslash, quote and line feed are escaped (exposition format 0.0.4). */
static void put_escaped(const char *text, struct tide_buf *out) {
  for (; *text; text++) {
    if (*text == '\n') tide_buf_str(out, "\\n");
    else if (*text == '\\' || *text == '"') tide_buf_printf(out, "\\%c", *text);
    else tide_buf_char(out, *text);
  }
}

/* `route="score",status="2xx"`, without braces; empty without labels. */
static void put_labels(const struct tide_meters *meters, int row, const uint32_t at[LABELS], struct tide_buf *out) {
  for (int i = 0; i < LABELS; i++) {
    int axis = rows[row].axis[i];
    if (axis == TIDE_AXIS_none) continue;
    tide_buf_printf(out, "%s%s=\"", out->len ? "," : "", axis_names[axis]);
    put_escaped(atomic_load_explicit(&meters->axis[axis].value[at[i]], memory_order_acquire), out);
    tide_buf_char(out, '"');
  }
}

static void put_sample(int row, const char *suffix, const char *labels, const char *le, struct tide_buf *out) {
  tide_buf_printf(out, "%s%s", rows[row].name, suffix);
  if (labels[0] || le)
    tide_buf_printf(out, "{%s%s%s%s%s}", labels, labels[0] && le ? "," : "", le ? "le=\"" : "", le ? le : "", le ? "\"" : "");
  tide_buf_char(out, ' ');
}

static void put_histogram(const struct tide_meters *meters, int row, size_t cell, const char *labels, struct tide_buf *out) {
  struct bounds bounds = bounds_of(rows[row].type);
  struct tide_buf le = TIDE_BUF_INIT;
  int64_t count = 0, sum = sum_of(meters, cell + bounds.count + 1);
  for (uint32_t i = 0; i <= bounds.count; i++) {
    count += sum_of(meters, cell + i);
    tide_buf_clear(&le);
    if (i < bounds.count) put_number(row, bounds.at[i], &le);
    else tide_buf_str(&le, "+Inf");
    put_sample(row, "_bucket", labels, tide_buf_cstr(&le), out);
    tide_buf_printf(out, "%" PRId64 "\n", count);
  }
  put_sample(row, "_sum", labels, NULL, out);
  put_number(row, sum, out);
  tide_buf_char(out, '\n');
  put_sample(row, "_count", labels, NULL, out);
  tide_buf_printf(out, "%" PRId64 "\n", count);
  tide_buf_release(&le);
}

static bool is_written(const struct tide_meters *meters, size_t cell, size_t words) {
  for (size_t i = 0; i < words; i++)
    if (sum_of(meters, cell + i) != 0) return true;
  return false;
}

static bool is_named(const struct tide_meters *meters, int row, const uint32_t at[LABELS]) {
  for (int i = 0; i < LABELS; i++) {
    int axis = rows[row].axis[i];
    if (axis != TIDE_AXIS_none && !atomic_load_explicit(&meters->axis[axis].value[at[i]], memory_order_acquire)) return false;
  }
  return true;
}

static const char *type_name(enum tide_meter_type type) {
  switch (type) {
    case TIDE_METER_COUNTER: return "counter";
    case TIDE_METER_GAUGE:
    case TIDE_METER_LEVEL:
    case TIDE_METER_AGE:
    case TIDE_METER_RATIO: return "gauge";
    default: return "histogram";
  }
}

static void expose_row(const struct tide_meters *meters, int row, struct tide_buf *labels, struct tide_buf *out) {
  tide_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[row].name, rows[row].help, rows[row].name, type_name(rows[row].type));
  const uint8_t *axis = rows[row].axis;
  bool sparse = comes_and_goes(row) || axis[1] != TIDE_AXIS_none || (axis[0] != TIDE_AXIS_none && cell_words(row) > 1);
  size_t cell = meters->first[row], words = cell_words(row);
  uint32_t at[LABELS];
  for (at[0] = 0; at[0] < meters->axis[axis[0]].count; at[0]++) {
    for (at[1] = 0; at[1] < meters->axis[axis[1]].count; at[1]++) {
      for (at[2] = 0; at[2] < meters->axis[axis[2]].count; at[2]++, cell += words) {
        if ((sparse && !is_written(meters, cell, words)) || !is_named(meters, row, at)) continue;
        tide_buf_clear(labels);
        put_labels(meters, row, at, labels);
        if (words > 1) {
          put_histogram(meters, row, cell, tide_buf_cstr(labels), out);
        } else {
          put_sample(row, "", tide_buf_cstr(labels), NULL, out);
          put_number(row, sum_of(meters, cell) - comes_and_goes(row), out);
          tide_buf_char(out, '\n');
        }
      }
    }
  }
}

void tide_meters_expose(const struct tide_meters *meters, struct tide_buf *out) {
  struct tide_metrics fold = {{0}};
  for (int k = 0; k < TIDE_METRIC_COUNT; k++) fold.value[k] = tide_meters_fold(meters, (enum tide_metric)k);
  tide_metrics_expose(&fold, out);
  struct tide_buf labels = TIDE_BUF_INIT;
  for (int row = 0; row < TIDE_METER_ROW_COUNT; row++) expose_row(meters, row, &labels, out);
  tide_buf_release(&labels);
}

void tide_meters_document(struct tide_buf *out) {
  tide_buf_str(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
  tide_metrics_document(out);
  for (int row = 0; row < TIDE_METER_ROW_COUNT; row++) {
    tide_buf_printf(out, "| `%s` | %s |", rows[row].name, type_name(rows[row].type));
    for (int i = 0; i < LABELS && rows[row].axis[i] != TIDE_AXIS_none; i++)
      tide_buf_printf(out, "%s`%s`", i ? ", " : " ", axis_names[rows[row].axis[i]]);
    tide_buf_printf(out, " | %s |\n", rows[row].help);
  }
  tide_buf_str(out, "\nBounds of the buckets of `_seconds`:");
  for (size_t i = 0; i < sizeof seconds_bounds / sizeof seconds_bounds[0]; i++) {
    tide_buf_char(out, ' ');
    put_seconds(seconds_bounds[i], out);
  }
  tide_buf_str(out, "; of `_records`:");
  for (size_t i = 0; i < sizeof records_bounds / sizeof records_bounds[0]; i++) tide_buf_printf(out, " %" PRId64, records_bounds[i]);
  tide_buf_str(out, "; of `scores`: 0.05 to 1 in steps of 0.05.\n");
}
