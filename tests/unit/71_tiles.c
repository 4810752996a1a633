/* Tiles: which entities have them, and a shop with twenty thousand events of which most stand in tiles.
 *
 * Many come late, some so late that their time was tiled; half are answered later, most of them when they are in a tile. Every 37th judgement is recounted by
 * brute force over all events. In the middle the fold goes through save and load; both must end in the same state. The oracle has the odd
 * cases, this has the length: logs of many blocks, hundreds of tiles, cells that grow wider. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "core/fold_state.h"
#include "feature/plan.h"
#include "feature/tile.h"

enum { EVENTS = 20000, EVERY = 37, HOUR = 3600000 };

/* ---- who has them ---- */

static const char head[] =
    "tidemark: 1\nname: tiles\n"
    "event: {id: id, time: time, amount: amount in EUR, key: pan}\n"
    "inputs:\n"
    "  default: {id: id, time: {at: time, as: epoch_ms}, amount: {at: amount}, pan: pan, account: account, shop: shop,\n"
    "    items: {at: items, as: int}}\n"
    "entities: {card: pan, shop: shop, pair: [card, shop]}\n"
    "features:\n";

static struct tide_spec *parse(const char *features) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t errors;
  tide_buf_printf(&text, "%s%sfreshness: {default: {warming: mark}}\n", head, features);
  if (tide_spec_parse("test", tide_buf_span(&text), &spec, &error, 1, &errors)) fail_msg("line %d: %s", error.line, error.text);
  tide_buf_release(&text);
  return spec;
}

static void test_who_has_tiles(void **state) {
  (void)state;
  static const struct {
    const char *features;
    int entity, tile_h, raw_h; /* 0: no tiles */
  } row[] = {
      /* raw: lateness 168h + hop + grace 1h, as the longest of what the steps ask for */
      {"  shop:\n    a: sum of amount over 30d hop 1d\n", 1, 24, 25},
      {"  shop:\n    a: sum of amount over 30d hop 1d\n    b: count over 1h\n", 1, 24, 170},
      {"  shop:\n    a: sum of amount over 1d, 30d hop 6h\n", 1, 6, 175},
      {"  shop:\n    a: rate of result = declined over 30d delayed 2d hop 1d\n", 1, 24, 73},
      {"  shop:\n    a: mean of amount over 30d hop 6h\n    b: count over 20d where label = fraud hop 4h\n", 1, 2, 173},
      {"  shop:\n    a: sum of amount over 30d hop 1d\n    b: max of amount over 30d hop 1d\n", 1, 0, 0},
      {"  shop:\n    a: sum of amount over 30d hop 1d\n    b: distinct of card over 30d\n", 1, 0, 0},
      {"  shop:\n    a: sum of amount over 30d hop 1d\n    b: time since previous\n", 1, 0, 0},
      {"  shop:\n    a: sum of amount over 30d hop 1d\n    b: time since first\n", 1, 24, 25},
      {"  shop:\n    a: sum of amount over 30d\n", 1, 0, 0},
      {"  shop:\n    a: count over 30d hop 1s\n", 1, 0, 0}, /* too many */
      {"  shop:\n    a: sum of items over 30d hop 1d\n", 1, 24, 25},
      {"  shop:\n    a: sum of items over 30d where result = declined hop 1d\n", 1, 0, 0}, /* the primary does not keep items */
      {"  shop:\n    a: sum of requested over 30d where result = declined hop 1d\n", 1, 0, 0},
      {"  pair:\n    a: sum of amount over 30d hop 1d\n", 2, 0, 0}, /* the key is secret and may move */
      {"  pair:\n    a: sum of items over 30d hop 1d\n", 2, 24, 25},
      {"  card:\n    a: sum of items over 60d hop 1d\n", 0, 24, 170}, /* identities: duplicates_for, grace and a millisecond */
      {"  card:\n    a: sum of amount over 60d hop 1d\n", 0, 0, 0},   /* outcomes need the row as long as the window */
  };
  struct tide_settings settings = tide_settings_default();
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    struct tide_spec *spec = parse(row[i].features);
    struct tide_plan *plan;
    struct tide_error error = {0};
    if (tide_plan_new(spec, &settings, &plan, &error)) fail_msg("%s", error.text);
    const struct tide_kind *kind = &plan->kind[row[i].entity];
    int64_t tile_h = kind->tile_ms / HOUR, raw_h = (kind->raw_ms + HOUR - 1) / HOUR;
    if (tile_h != row[i].tile_h || (tile_h && raw_h != row[i].raw_h))
      fail_msg("row %zu: tiles of %lldh behind %lldh, %s", i, (long long)tile_h, (long long)raw_h, kind->tile_ms ? "" : kind->tile_why);
    assert_true(kind->tile_ms ? !kind->tile_why : kind->tile_why != NULL);
    tide_plan_free(plan);
    tide_spec_free(spec);
  }
}

/* ---- a long log ---- */

struct event {
  int64_t time_ms, amount;
  bool late, declined, answered;
};

struct world {
  struct event event[EVENTS];
  uint32_t count, next; /* folded so far; the event being judged */
  uint32_t checked;
  double declined_10d, traced; /* of the last answer; of the last trace */
};

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9) + UINT64_C(0x9e3779b97f4a7c15);
  return (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
}

static int64_t floor_to(int64_t ms, int64_t hop_ms) { return ms - ((ms % hop_ms) + hop_ms) % hop_ms; }

struct recount {
  double n, declined, approved, spend, spread;
};

static struct recount recount(const struct world *w, int64_t delayed_ms, int64_t window_ms, int64_t hop_ms) {
  struct recount r = {0};
  int64_t until_ms = w->event[w->next].time_ms - delayed_ms, after_ms = floor_to(until_ms - window_ms, hop_ms);
  __int128 sum = 0, squares = 0;
  for (uint32_t i = 0; i < w->count; i++) {
    const struct event *e = &w->event[i];
    if (e->time_ms <= after_ms || e->time_ms > until_ms) continue;
    r.n++;
    r.declined += e->declined;
    if (!e->declined) r.spend += (double)e->amount;
    if (!e->answered || e->declined) continue;
    r.approved++;
    sum += e->amount;
    squares += (__int128)e->amount * e->amount;
  }
  __int128 n = (__int128)r.approved;
  if (n > 1) r.spread = sqrt((double)(n * squares - sum * sum) / ((double)n * (double)(n - 1))) / 100.0;
  return r;
}

static const struct tide_value *value(const struct tide_answer *answer, const char *name) {
  uint32_t slot = tide_spec_slot(answer->spec, name);
  assert_true(slot != TIDE_NONE);
  return &answer->slot[slot];
}

static void check(void *ctx, const struct tide_answer *answer) {
  struct world *w = ctx;
  const struct event *e = &w->event[w->next];
  if (!w->count || e->late || (w->next % EVERY && w->next + 1 < EVENTS)) return;
  struct recount ten = recount(w, 0, 240 * (int64_t)HOUR, HOUR);
  struct recount behind = recount(w, 3 * HOUR, 240 * (int64_t)HOUR, 2 * HOUR);
  uint32_t short_slot = tide_spec_slot(answer->spec, "shop.refused_6h");
  if (short_slot != TIDE_NONE) assert_true(answer->slot[short_slot].num == recount(w, 0, 6 * HOUR, HOUR).declined);
  assert_true(value(answer, "shop.declined_10d")->num == ten.declined);
  assert_true(value(answer, "shop.spend_10d")->num == ten.spend / 100.0);
  if (behind.n > 0) assert_true(value(answer, "shop.share_10d")->num == behind.declined / behind.n);
  if (ten.approved > 1) assert_true(value(answer, "shop.spread_10d")->num == ten.spread);
  w->declined_10d = ten.declined;
  w->checked++;
}

static void on_trace(void *ctx, const struct tide_trace_event *event) {
  struct world *w = ctx;
  for (uint32_t s = 0; s < event->slot_count; s++)
    if (strcmp(event->entity, "shop") == 0 && event->slot[s] == 0) w->traced += event->summed ? (double)event->summed : 1;
}

static void set_text(const struct tide_spec *spec, struct tide_record *record, const char *field, char *at, const char *prefix,
                     uint32_t n) {
  size_t len = (size_t)sprintf(at, "%s%07u", prefix, n);
  struct tide_datum *datum = &record->field[tide_spec_field(spec, field)];
  *datum = (struct tide_datum){.kind = TIDE_D_TEXT, .text = {at, len}};
  if (strcmp(field, "pan") == 0) *datum = (struct tide_datum){.kind = TIDE_D_KEY, .key = tide_hash128(at, len, 9)};
}

static struct tide_fold *reload(struct tide_fold *from) {
  struct tide_fold *fold = tide_fold_new();
  struct tide_buf chunk = TIDE_BUF_INIT;
  struct tide_error error = {0};
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) {
    unsigned number = i == 0 ? TIDE_SHARDS : i - 1; /* globals first */
    tide_buf_clear(&chunk);
    tide_fold_save(from, number, &chunk);
    if (tide_fold_load(fold, number, tide_buf_span(&chunk), &error)) fail_msg("chunk %u: %s", number, error.text);
  }
  tide_buf_release(&chunk);
  return fold;
}

/* Saved tiles load as they were; with bytes changed or cut they load to something that saves and loads again, or not at all. */
static void save_and_damage(const struct tide_kind *kind, const struct tide_ent *ent) {
  struct tide_view view;
  struct tide_buf bytes = TIDE_BUF_INIT, bad = TIDE_BUF_INIT, once = TIDE_BUF_INIT, twice = TIDE_BUF_INIT;
  tide_view_of(kind, ent, &view);
  assert_true(view.tiles && view.tiles->n > 100);
  tide_tiles_save(kind, view.tiles, &bytes);
  uint32_t loaded = 0, refused = 0;
  for (uint32_t i = 0; i < 4000; i++) {
    uint64_t r = mix(i + 77);
    tide_buf_clear(&bad);
    tide_buf_put(&bad, bytes.ptr, bytes.len);
    for (uint64_t k = 0; i && k < 1 + r % 3; k++) bad.ptr[mix(r + k) % (r % 2 ? 40 : bad.len)] = (char)(mix(r + k) >> 32);
    if (i && r % 7 == 0) bad.len = (r >> 8) % bad.len;
    struct tide_reader reader = tide_reader_of(tide_buf_span(&bad)), again;
    struct tide_tiles *tiles = tide_tiles_load(kind, &reader), *same = NULL;
    if (!tiles) {
      refused++;
      continue;
    }
    loaded++;
    tide_buf_clear(&once);
    tide_buf_clear(&twice);
    tide_tiles_save(kind, tiles, &once);
    again = tide_reader_of(tide_buf_span(&once));
    same = tide_tiles_load(kind, &again);
    assert_non_null(same);
    tide_tiles_save(kind, same, &twice);
    assert_true(once.len == twice.len && memcmp(once.ptr, twice.ptr, once.len) == 0);
    if (i == 0) assert_true(once.len == bytes.len && memcmp(once.ptr, bytes.ptr, once.len) == 0);
    tide_free(tiles);
    tide_free(same);
  }
  assert_true(loaded > 100 && refused > 100);
  tide_buf_release(&bytes);
  tide_buf_release(&bad);
  tide_buf_release(&once);
  tide_buf_release(&twice);
}

static void run(const char *more, int64_t lateness_ms, int64_t late_ms, bool late_in_tiles, uint64_t bytes_max) {
  static struct world w, ignored;
  static struct tide_record record;
  char features[800];
  snprintf(features, sizeof features,
           "  shop:\n    declined: count over 10d where result = declined hop 1h\n"
           "    share: rate of result = declined over 10d delayed 3h hop 2h\n"
           "    spend: sum of amount over 10d where result != declined hop 1h\n"
           "    spread: stddev of amount over 10d where result = approved hop 1h\n%s",
           more);
  struct tide_spec *spec = parse(features);
  assert_int_equal(tide_spec_slot(spec, "shop.declined_10d"), 0); /* on_trace */
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_settings settings = tide_settings_default();
  settings.lateness_ms = lateness_ms;
  settings.duplicates_for_ms = 20 * TIDE_D(1);
  settings.grace_ms = 0;
  struct tide_fold *fold = tide_fold_new(), *again = NULL;
  struct tide_batch batch;
  struct tide_fence fence = {.nonce = 7, .epoch = 1};
  struct tide_entry_header header = {.fence_nonce = 7};
  w = (struct world){0};
  tide_batch_begin(&batch, &entry, &header, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &fence), TIDE_OK);
  assert_int_equal(tide_batch_add_config(&batch, &settings, (struct tide_span){spec->text, spec->text_len}), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(tide_fold_entry(fold, (struct tide_position){1, 0}, tide_buf_span(&entry), NULL, NULL, &error), TIDE_OK);
  assert_int_equal(fold->plan->kind[1].tile_ms, HOUR);
  char id[32], pan[32], shop[32];
  for (uint32_t n = 0; n < EVENTS; n++) {
    uint64_t r = mix(n + 1);
    struct event *e = &w.event[n];
    e->late = r % 10 == 0 && n > 700 && n + 1 < EVENTS;
    e->time_ms = INT64_C(1767225600000) + (int64_t)n * 60000 - (e->late ? 1 + (int64_t)((r >> 8) % (uint64_t)late_ms) : 0);
    e->amount =
        (int64_t)((r >> 20) % ((r >> 50) % 500 == 0 ? UINT64_C(1000000000000) : 100000)); /* now and then one that makes cells wider */
    w.next = n;
    header.commit_ms = INT64_C(1767225600000) + (int64_t)n * 60000;
    tide_batch_begin(&batch, &entry, &header, NULL, 0);
    memset(&record, 0, sizeof record);
    record.type = TIDE_REC_EVENT;
    record.time.ms = e->time_ms;
    record.field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = e->time_ms};
    record.field[spec->f_amount] = (struct tide_datum){.kind = TIDE_D_INT, .num = e->amount, .exponent = 2, .currency = "EUR"};
    set_text(spec, &record, "id", id, "i", n);
    set_text(spec, &record, "pan", pan, "c", n % 701);
    set_text(spec, &record, "shop", shop, "s", 1);
    assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
    uint32_t of = n - (uint32_t)((r >> 12) % (n < 13000 ? n + 1 : 13000)); /* nine days back at most: an answer always finds its event */
    bool answers = (r >> 5) % 2, declined = (r >> 6) % 3 == 0;
    if (answers) {
      record.type = TIDE_REC_OUTCOME;
      record.outcome.set = 1u << TIDE_DYN_result;
      record.outcome.result = declined ? TIDE_RESULT_declined : TIDE_RESULT_approved;
      bool moves = (r >> 40) % 4 == 0; /* the amount as well */
      if (moves) {
        record.outcome.set |= 1u << TIDE_DYN_amount_now;
        record.outcome.amount_now = (int64_t)((r >> 30) % 50000);
        memcpy(record.outcome.currency, "EUR", 4);
        record.outcome.exponent = 2;
      }
      set_text(spec, &record, "id", id, "i", of);
      set_text(spec, &record, "pan", pan, "c", of % 701);
      record.field[spec->f_amount].kind = TIDE_D_NONE;
      assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
    }
    tide_batch_end(&batch);
    if (n + 1 == EVENTS) tide_fold_trace(fold, on_trace, &w);
    struct tide_position position = {1, n + 1};
    if (tide_fold_entry(fold, position, tide_buf_span(&entry), check, &w, &error)) fail_msg("%s", error.text);
    if (again && tide_fold_entry(again, position, tide_buf_span(&entry), NULL, &ignored, &error)) fail_msg("%s", error.text);
    if (n == EVENTS / 2) again = reload(fold);
    w.count = n + 1;
    if (!answers) continue;
    w.event[of].answered = true;
    w.event[of].declined = declined;
    if (record.outcome.set & (1u << TIDE_DYN_amount_now)) w.event[of].amount = record.outcome.amount_now;
  }
  assert_in_range(w.checked, EVENTS / EVERY * 8 / 10, EVENTS);
  assert_true(w.traced == w.declined_10d);
  const struct tide_tile_use *use = &fold->state.tile_use;
  assert_true(use->read > EVENTS && use->mended > EVENTS / 8);
  assert_true(late_in_tiles ? use->late > EVENTS / 100 : use->late == 0);
  struct tide_digest a = tide_fold_digest(fold), b = tide_fold_digest(again);
  assert_true(tide_u128_eq(a.digest, b.digest) && a.state_hash == b.state_hash);
  struct tide_store *store = &fold->state.store[1];
  uint32_t number = tide_store_find(store, tide_hash128(shop, strlen(shop), (uint64_t)settings.hash_seed));
  assert_true(number != TIDE_NO_ENTITY);
  uint64_t bytes = tide_ent_bytes(&fold->plan->kind[1], tide_store_ent(store, number));
  assert_in_range(bytes, 1, bytes_max);
  save_and_damage(&fold->plan->kind[1], tide_store_ent(store, number));
  tide_fold_free(fold);
  tide_fold_free(again);
  tide_spec_free(spec);
  tide_buf_release(&entry);
}

static void test_late_ones_go_into_tiles(void **state) {
  (void)state;
  run("", TIDE_D(20), 12 * HOUR, true, 14400 * 2); /* ten days were 14400 rows of 13 bytes */
}

static void test_rows_beside_tiles(void **state) {
  (void)state;
  run("    n: count over 1h with current\n    cards: distinct of card over 2h\n"
      "    refused: count over 6h, 9d where result = declined hop 1h\n",
      HOUR, HOUR, false, 14400 * 5); /* 64 kB are the map of the latest cards */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_who_has_tiles),
      cmocka_unit_test(test_late_ones_go_into_tiles),
      cmocka_unit_test(test_rows_beside_tiles),
  };
  return cmocka_run_group_tests_name("tiles", tests, NULL, NULL);
}
