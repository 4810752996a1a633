/* The generator's parts: randomness against published values, distributions by their moments, card numbers by their check digit, names and
 * neighbours, ids by the calendar, and the queue by its order. What they make together is tested in 61_generate. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "cli/generate_parts.h"

static void test_published_values(void **state) {
  (void)state;
  assert_true(tide_gen_mix(0) == UINT64_C(0xe220a8397b1dcdaf)); /* the first output of splitmix64 seeded with 0 */
  struct tide_gen_rng rng = {{1, 2, 3, 4}};                     /* xoshiro256** from the authors' reference */
  const uint64_t want[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
  for (int i = 0; i < 4; i++) assert_true(tide_gen_next(&rng) == want[i]);
}

static void test_distributions(void **state) {
  (void)state;
  struct tide_gen_rng rng;
  tide_gen_seed(&rng, 7, 1);
  const int n = 200000;
  int64_t exponential = 0, normal = 0, square = 0, low = 0, chances = 0;
  for (int i = 0; i < n; i++) {
    int64_t e = tide_gen_exponential_q16(&rng), z = tide_gen_normal_q16(&rng);
    assert_true(e >= 0 && e < 23 * 65536); /* 32 bits of uniform reach ln 2^32 */
    exponential += e;
    normal += z;
    square += z * z / 65536;
    low += tide_gen_popular(&rng, 100) < 25;
    chances += tide_gen_chance(&rng, 20000);
    int64_t b = tide_gen_between(&rng, -3, 3);
    assert_true(b >= -3 && b <= 3);
  }
  assert_in_range(exponential / n, 65536 * 98 / 100, 65536 * 102 / 100);
  assert_true(normal / n > -700 && normal / n < 700);
  assert_in_range(square / n, 65536 * 98 / 100, 65536 * 102 / 100);
  assert_in_range(low, n * 49 / 100, n * 51 / 100); /* the first quarter has half */
  assert_in_range(chances, n * 18 / 1000, n * 22 / 1000);
  assert_false(tide_gen_chance(&rng, 0));
  assert_true(tide_gen_scale_exp2(1000, 0) == 1000);
  assert_true(tide_gen_scale_exp2(1000, 3 * 65536) == 8000);
  assert_true(tide_gen_scale_exp2(1000, -2 * 65536) == 250);
  assert_in_range(tide_gen_scale_exp2(1000000, 32768), 1414212, 1414214);
  assert_in_range(tide_gen_scale_exp2(1000000, -32768), 707105, 707107);
}

static struct gen *world(uint32_t cards, uint32_t merchants) {
  struct gen *g = tide_alloc(sizeof *g);
  g->opt = tide_generate_default();
  g->card_count = cards;
  g->merchant_count = merchants;
  tide_gen_seed(&g->world, 1, 1);
  tide_gen_seed(&g->life, 1, 2);
  tide_gen_world_build(g);
  return g;
}

static void world_free(struct gen *g) {
  tide_free(g->merchant);
  tide_free(g->card);
  tide_free(g->city_first);
  tide_free(g);
}

static int by_number(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void test_card_numbers(void **state) {
  (void)state;
  enum { CARDS = 5000 };
  struct gen *g = world(CARDS, 100);
  uint64_t *pan = tide_alloc(CARDS * 8 * sizeof *pan);
  for (uint32_t i = 0; i < CARDS; i++) {
    for (uint8_t generation = 0; generation < 8; generation++) {
      uint64_t p = tide_gen_pan(g, i, generation);
      pan[i * 8 + generation] = p;
      assert_int_equal(p / UINT64_C(1000000000000000), 9); /* sixteen digits, of no scheme */
      unsigned sum = 0;
      uint64_t rest = p;
      for (int k = 0; k < 16; k++, rest /= 10) {
        unsigned d = (unsigned)(rest % 10) * (k % 2 ? 2 : 1);
        sum += d > 9 ? d - 9 : d;
      }
      assert_int_equal(sum % 10, 0); /* Luhn */
      g->card[i].generation = generation;
      assert_int_equal(tide_gen_card_of(g, i % GEN_BINS, (uint32_t)(p / 10 % GEN_ACCOUNTS)), i);
      g->card[i].generation = (uint8_t)((generation + 1) % 8);
      assert_true(tide_gen_card_of(g, i % GEN_BINS, (uint32_t)(p / 10 % GEN_ACCOUNTS)) == GEN_NONE); /* replaced */
    }
  }
  qsort(pan, CARDS * 8, sizeof *pan, by_number);
  for (uint32_t i = 1; i < CARDS * 8; i++) assert_true(pan[i - 1] < pan[i]);
  tide_free(pan);
  world_free(g);
}

static void test_small_and_odd_worlds(void **state) {
  (void)state;
  for (uint32_t merchants = 10; merchants < 140; merchants += 7) {
    struct gen *g = world(20, merchants);
    for (uint32_t c = 0; c < g->city_count; c++) assert_true(g->city_first[c] < g->city_first[c + 1]); /* every city has a shop */
    assert_int_equal(g->city_first[g->city_count], merchants);
    for (uint32_t i = 0; i < g->card_count; i++)
      for (int k = 0; k < GEN_FAVOURITES; k++)
        assert_true(g->card[i].favourite[k] >= g->online_count && g->card[i].favourite[k] < merchants);
    world_free(g);
  }
}

static void test_ids_carry_their_hour(void **state) {
  (void)state;
  struct gen *g = world(20, 10);
  struct tide_gen_id id = tide_gen_id_next(g, INT64_C(1767571200000) + 13 * GEN_HOUR, 4); /* 2026-01-05 */
  assert_true(id.rrn == UINT64_C(600513000000));
  id = tide_gen_id_next(g, INT64_C(1709208000000), GEN_NONE); /* 2024-02-29T12:00:00Z, day 60 */
  assert_true(id.rrn == UINT64_C(406012000001) && id.stan == 1 && id.acquirer == 999999);
  id = tide_gen_id_next(g, INT64_C(1735603200000), 4); /* 2024-12-31, day 366 */
  assert_true(id.rrn / 1000000 == 436600);
  id = tide_gen_id_next(g, INT64_C(4133894400000), 4); /* 2100-12-31, no leap year: day 365 */
  assert_true(id.rrn / 1000000 == 36500);
  id = tide_gen_id_next(g, INT64_C(4133980800000), 4); /* 2101-01-01 */
  assert_true(id.rrn / 1000000 == 100100);
  id = tide_gen_id_next(g, INT64_C(4165430400000), 4); /* 2101-12-31 */
  assert_true(id.rrn / 1000000 == 136500);
  world_free(g);
}

static void test_queue_is_a_total_order(void **state) {
  (void)state;
  struct tide_gen_queue queue = {0};
  struct tide_gen_rng rng;
  tide_gen_seed(&rng, 3, 3);
  uint32_t put = 0, taken = 0;
  int64_t last_time = -1;
  uint32_t last_ref = 0;
  for (int round = 0; round < 20000; round++) {
    if (tide_gen_below(&rng, 3) && put < 12000) {
      struct tide_gen_node node = {.action = GEN_CAMPAIGN, .ref = put++};
      tide_gen_queue_put(&queue, (last_time < 0 ? 0 : last_time) + (int64_t)tide_gen_below(&rng, 40), &node);
      continue;
    }
    int64_t time;
    if (!tide_gen_queue_next(&queue, &time)) continue;
    struct tide_gen_node node = tide_gen_queue_take(&queue);
    assert_true(time >= last_time);
    if (time == last_time) assert_true(node.ref > last_ref); /* first come, first served */
    last_time = time;
    last_ref = node.ref;
    taken++;
  }
  assert_true(taken > 4000 && taken + queue.count == put);
  tide_gen_queue_release(&queue);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_published_values),     cmocka_unit_test(test_distributions),
      cmocka_unit_test(test_card_numbers),         cmocka_unit_test(test_small_and_odd_worlds),
      cmocka_unit_test(test_ids_carry_their_hour), cmocka_unit_test(test_queue_is_a_total_order),
  };
  return cmocka_run_group_tests_name("generate_parts", tests, NULL, NULL);
}
