/* Rollouts in the fold: which model and policy decide from where on, who is routed to a canary and stays there, what shadows say and never
 * change, what stands in for features that cannot be trusted, what is void, and that a snapshot in the middle of it all goes on the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/oracle/rng.h"
#include "tests/support/fold_run.h"

static struct tide_content_hash bring(struct run *r, enum tide_artifact_kind kind, const char *name, struct tide_span bytes) {
  struct tide_buf record = TIDE_BUF_INIT;
  assert_int_equal(tide_artifact_encode(kind, tide_span_of(name), bytes, &record), TIDE_OK);
  begin(r);
  assert_int_equal(tide_batch_add_encoded(&r->batch, tide_buf_span(&record), 1), TIDE_OK);
  tide_buf_release(&record);
  must_end(r);
  return tide_content_hash(bytes);
}

/* From there on it is called as the answers call it. */
static struct tide_content_hash bring_model(struct run *r, struct tide_model *model) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_model_write(model, &bytes);
  struct tide_content_hash hash = bring(r, TIDE_ARTIFACT_model, model->name, tide_buf_span(&bytes));
  tide_buf_release(&bytes);
  tide_version_text(tide_span_of(model->name), hash, model->id);
  return hash;
}

static struct tide_content_hash bring_policy(struct run *r, const char *name, const char *text) {
  return bring(r, TIDE_ARTIFACT_policy, name, tide_span_of(text));
}

/* The rollout in force, as a beginning of the next. */
static struct tide_rollout next_of(const struct run *r) {
  struct tide_rollout rollout = tide_fold_versions(r->fold)->rollout;
  rollout.number++;
  rollout.features = tide_fold_versions(r->fold)->features;
  return rollout;
}

static void roll(struct run *r, const struct tide_rollout *rollout) {
  struct tide_buf record = TIDE_BUF_INIT;
  tide_rollout_encode(rollout, &record);
  begin(r);
  assert_int_equal(tide_batch_add_encoded(&r->batch, tide_buf_span(&record), 1), TIDE_OK);
  tide_buf_release(&record);
  must_end(r);
}

static void must_roll(struct run *r, const struct tide_rollout *rollout) {
  roll(r, rollout);
  const struct tide_versions *versions = tide_fold_versions(r->fold);
  if (versions->rollout.number != rollout->number) fail_msg("void: %s", versions->void_why);
}

static void add_model(struct tide_rollout *rollout, struct tide_content_hash hash, enum tide_role role, uint16_t weight) {
  rollout->model[rollout->model_count++] = (struct tide_rollout_model){hash, (uint8_t)role, weight};
}

/* The small model with another intercept: another version with other scores. */
static struct tide_model *variant(const struct run *r, double intercept) {
  struct tide_model *model = model_small(r->spec);
  model->intercept = intercept;
  tide_model_seal(model);
  return model;
}

static int64_t metric(const struct run *r, enum tide_metric metric) { return tide_fold_metrics(r->fold)->value[metric]; }

/* ---- routing ---- */

/* Engines that begin beside each other each write what they were given; one that is slow, behind anything. */
static void the_first_configuration_counts(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_settings settings = tide_settings_default();
  struct tide_content_hash before = tide_content_hash((struct tide_span){tide_fold_spec(r->fold)->text, tide_fold_spec(r->fold)->text_len});
  settings.lateness_ms--;
  begin(r);
  assert_int_equal(tide_batch_add_config(&r->batch, &settings, TIDE_SPAN("tidemark: 1\nname: another\n")), TIDE_OK);
  must_end(r);
  const struct tide_spec *spec = tide_fold_spec(r->fold);
  assert_true(tide_content_hash_eq(before, tide_content_hash((struct tide_span){spec->text, spec->text_len})));
  assert_int_not_equal(tide_fold_settings(r->fold)->lateness_ms, settings.lateness_ms);
  stop(r);
}

static void shares_come_out_even(void **state) {
  (void)state;
  static uint32_t count[TIDE_BUCKETS];
  struct or_rng rng = {5};
  for (int i = 0; i < 1000000; i++) count[tide_route_bucket(i % 2 ? (uint64_t)i : or_next(&rng))]++; /* also of codes that count up */
  double chi = 0;
  for (int b = 0; b < TIDE_BUCKETS; b++) chi += (count[b] - 100.0) * (count[b] - 100.0) / 100;
  assert_true(fabs(chi - TIDE_BUCKETS) < 6 * sqrt(2.0 * TIDE_BUCKETS)); /* six standard deviations */
}

/* Whatever the weights: each canary gets its share to the card, and a weight that changes moves cards between its canary and the live model only. */
static void a_weight_moves_its_own_cards_only(void **state) {
  (void)state;
  const struct tide_model live = {.name = "l"}, one = {.name = "1"}, two = {.name = "2"};
  struct or_rng rng = {9};
  for (int round = 0; round < 300; round++) {
    struct tide_router before = {.live = &live, .canary = {&one, &two}};
    before.weight[0] = (uint16_t)or_below(&rng, TIDE_BUCKETS + 1);
    before.weight[1] = (uint16_t)or_below(&rng, TIDE_BUCKETS + 1 - before.weight[0]);
    struct tide_router after = before;
    int which = or_below(&rng, 2);
    after.weight[which] = (uint16_t)or_below(&rng, TIDE_BUCKETS + 1 - before.weight[1 - which]);
    uint32_t got[2] = {0};
    for (uint32_t bucket = 0; bucket < TIDE_BUCKETS; bucket++) {
      int then = tide_route_canary(&before, bucket), now = tide_route_canary(&after, bucket);
      if (then >= 0) got[then]++;
      if (then == now) continue;
      assert_true((then == which && now == -1) || (then == -1 && now == which));
      assert_true((now == which) == (after.weight[which] > before.weight[which]));
    }
    assert_int_equal(got[0], before.weight[0]);
    assert_int_equal(got[1], before.weight[1]);
    uint64_t code = or_next(&rng);
    assert_ptr_equal(tide_route(&before, true, code), tide_route(&before, true, code));
    assert_ptr_equal(tide_route(&before, false, code), &live);
  }
}

static void cards_stay_with_their_canary(void **state) {
  (void)state;
  enum { CARDS = 60 };
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -2), *canary = variant(r, -1);
  struct tide_content_hash a = bring_model(r, live), b = bring_model(r, canary);
  char first[CARDS][TIDE_MODEL_ID], card[8];
  unsigned at_canary[3] = {0};
  const uint16_t weight[3] = {2000, 5000, 0};
  for (int setting = 0; setting < 3; setting++) {
    struct tide_rollout rollout = next_of(r);
    rollout.model_count = 0;
    add_model(&rollout, a, TIDE_ROLE_live, (uint16_t)(TIDE_WEIGHT_ALL - weight[setting]));
    add_model(&rollout, b, TIDE_ROLE_canary, weight[setting]);
    must_roll(r, &rollout);
    for (int pass = 0; pass < 3; pass++)
      for (int c = 0; c < CARDS; c++) {
        snprintf(card, sizeof card, "c%d", c);
        event(r, card, "s1", NULL);
        bool is_canary = strcmp(r->last.model, canary->id) == 0;
        assert_true(is_canary || strcmp(r->last.model, live->id) == 0);
        if (pass == 0) {
          if (setting == 1 && strcmp(first[c], canary->id) == 0) assert_true(is_canary); /* a raised weight takes none away */
          snprintf(first[c], sizeof first[c], "%s", r->last.model);
          at_canary[setting] += is_canary;
        }
        assert_string_equal(r->last.model, first[c]);
      }
  }
  assert_true(at_canary[0] > 0 && at_canary[1] > at_canary[0] && at_canary[1] < CARDS && at_canary[2] == 0);
  assert_int_equal(metric(r, TIDE_M_decisions_canary_total), 3 * (at_canary[0] + at_canary[1]));
  event(r, NULL, "s1", NULL); /* without a card: live */
  assert_string_equal(r->last.model, live->id);
  tide_model_free(live);
  tide_model_free(canary);
  stop(r);
}

/* A card keeps its model through a rotation of the secret key: known before, then under both keys, then under the new one alone. */
static void a_rotated_key_moves_no_card(void **state) {
  (void)state;
  struct run *r = started(model_spec_with("  derive: {online", "  key: card\n  derive: {online"));
  struct tide_model *live = variant(r, -2), *canary = variant(r, -1);
  struct tide_rollout rollout = next_of(r);
  add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, 5000);
  add_model(&rollout, bring_model(r, canary), TIDE_ROLE_canary, 5000);
  must_roll(r, &rollout);
  unsigned other = 0; /* cards that their new key alone would send elsewhere */
  for (uint64_t card = 1; card <= 40; card++) {
    struct tide_u128 old = {card * 77, card}, new = {card * 1001 + 5, card << 50};
    char was[TIDE_MODEL_ID];
    bool known = card % 4 != 0; /* the others come first while both travel: their new key names them for ever */
    if (known) {
      r->key = old;
      event(r, NULL, "s1", NULL);
      snprintf(was, sizeof was, "%s", r->last.model);
    }
    r->key = new;
    r->alt = old;
    event(r, NULL, "s1", NULL);
    if (!known) snprintf(was, sizeof was, "%s", r->last.model);
    assert_string_equal(r->last.model, was);
    r->alt = (struct tide_u128){0, 0};
    event(r, NULL, "s1", NULL);
    assert_string_equal(r->last.model, was);
    bool by_new = tide_route_bucket(new.lo | UINT64_C(1) << 63) < 5000;
    other += known && by_new != (strcmp(was, canary->id) == 0);
  }
  assert_true(other > 5);
  tide_model_free(live);
  tide_model_free(canary);
  stop(r);
}

/* ---- shadows ---- */

static void a_shadow_speaks_and_decides_nothing(void **state) {
  (void)state;
  struct tide_digest after[3];
  char decisions[2][40];
  for (int with = 0; with < 3; with++) {
    struct run *r = started(model_spec_of(model_features));
    struct tide_model *live = variant(r, -2), *shadow = variant(r, with == 2 ? 3.5 : 3);
    struct tide_rollout rollout = next_of(r);
    add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
    if (with) add_model(&rollout, bring_model(r, shadow), TIDE_ROLE_shadow, 0);
    must_roll(r, &rollout);
    for (int e = 0; e < 20; e++) {
      event(r, e % 2 ? "c1" : "c2", "s1", NULL);
      if (with < 2) decisions[with][e] = r->last.decision[0];
      assert_string_equal(r->last.model, live->id);
    }
    char want[TIDE_MODEL_ID + 40];
    snprintf(want, sizeof want, "\"shadow\":[{\"model\":\"%s\",\"score\":0.9", shadow->id);
    assert_int_equal(strstr(r->last.full.ptr, want) != NULL, with > 0);
    assert_null(strstr(r->last.json.ptr, "shadow"));
    assert_int_equal(metric(r, TIDE_M_shadow_scores_total), with ? 20 : 0);
    after[with] = tide_fold_digest(r->fold);
    tide_model_free(live);
    tide_model_free(shadow);
    stop(r);
  }
  assert_memory_equal(decisions[0], decisions[1], 20);
  assert_false(tide_u128_eq(after[0].digest, after[1].digest)); /* what it said is proven like the rest */
  assert_false(tide_u128_eq(after[1].digest, after[2].digest));
}

static const char strict[] = "policy:\n"
                             "  decisions: [approve, review, decline]\n"
                             "  rules:\n"
                             "    - N1: review when card.attempts_10m > 1 say \"{card.attempts_10m} times\"\n"
                             "    - else: approve\n"
                             "  fallback:\n"
                             "    - else: review\n";

static void a_shadow_policy_is_compared(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -9);
  struct tide_rollout rollout = next_of(r);
  add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  rollout.shadow_policy = bring_policy(r, "strict", strict);
  must_roll(r, &rollout);
  event(r, "c1", "s1", NULL);
  assert_non_null(strstr(r->last.full.ptr, "\"shadow_policy\":{\"policy\":\"p-1/strict@"));
  assert_non_null(strstr(r->last.full.ptr, "\"decision\":\"approve\",\"by\":\"else\",\"differs\":false}"));
  event(r, "c1", "s1", NULL);
  assert_string_equal(r->last.by, "else");
  assert_string_equal(r->last.decision, "approve");
  assert_non_null(strstr(r->last.full.ptr, "\"decision\":\"review\",\"by\":\"N1\",\"differs\":true}"));
  assert_int_equal(metric(r, TIDE_M_shadow_decisions_total), 2);
  assert_int_equal(metric(r, TIDE_M_shadow_decisions_other_total), 1);
  tide_model_free(live);
  stop(r);
}

/* ---- policies ---- */

static void a_policy_decides_from_its_place_on(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -9);
  struct tide_rollout rollout = next_of(r);
  add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  must_roll(r, &rollout);
  event(r, "c1", "s1", NULL);
  event(r, "c1", "s1", "x");
  assert_string_equal(r->last.by, "else");
  assert_int_equal(strncmp(r->last.policy, "modelled@", 9), 0);
  rollout = next_of(r);
  rollout.policy = bring_policy(r, "strict", strict);
  must_roll(r, &rollout);
  assert_int_equal(tide_fold_rule_hits(r->fold)[0], 0);
  event(r, "c1", "s1", "y");
  assert_string_equal(r->last.by, "N1");
  assert_string_equal(r->last.decision, "review");
  assert_int_equal(strncmp(r->last.policy, "p-2/strict@", 11), 0);
  assert_non_null(strstr(r->last.json.ptr, "\"reasons\":[{\"code\":\"N1\",\"text\":\"3 times\""));
  assert_int_equal(tide_fold_rule_hits(r->fold)[0], 1);
  event(r, "c1", "s1", "x"); /* repeats what the feature file's own policy decided */
  assert_true(r->last.duplicate);
  assert_string_equal(r->last.by, "else");
  assert_string_equal(r->last.decision, "approve");
  assert_int_equal(strncmp(r->last.policy, "modelled@", 9), 0);
  rollout = next_of(r); /* back, by one record */
  rollout.policy = (struct tide_content_hash){{0}};
  must_roll(r, &rollout);
  event(r, "c1", "s1", NULL);
  assert_string_equal(r->last.by, "else");
  event(r, "c1", "s1", "y");
  assert_true(r->last.duplicate);
  assert_string_equal(r->last.by, "N1");
  assert_int_equal(strncmp(r->last.policy, "p-2/strict@", 11), 0);
  tide_model_free(live);
  stop(r);
}

/* A place is used again when nothing that it decided is remembered any more. */
static void policies_are_forgotten_with_what_they_decided(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  uint32_t places[4];
  for (int i = 0; i < 4; i++) {
    char text[sizeof strict + 20];
    snprintf(text, sizeof text, "%s# %d\n", strict, i);
    struct tide_rollout rollout = next_of(r);
    rollout.policy = bring_policy(r, "strict", text);
    must_roll(r, &rollout);
    places[i] = tide_fold_versions(r->fold)->now;
    event(r, "c1", "s1", NULL);
    if (i == 1) r->number += 8 * 86400; /* beyond duplicates_for */
    if (i == 1) event(r, "c1", "s1", NULL);
  }
  assert_int_not_equal(places[0], places[1]);
  assert_int_equal(places[2], places[0]);     /* the second is in force: its last decision is new */
  assert_int_not_equal(places[3], places[1]); /* remembered */
  stop(r);
}

static void expect_void(struct run *r, const struct tide_rollout *rollout, const char *why) {
  const struct tide_versions *versions = tide_fold_versions(r->fold);
  uint64_t before = versions->rollout.number;
  int64_t voids = metric(r, TIDE_M_rollouts_void_total);
  roll(r, rollout);
  assert_int_equal(versions->rollout.number, before);
  assert_int_equal(versions->void_number, rollout->number);
  if (!strstr(versions->void_why, why)) fail_msg("\"%s\" does not say \"%s\"", versions->void_why, why);
  assert_int_equal(metric(r, TIDE_M_rollouts_void_total), voids + 1);
}

static void what_cannot_be_is_void(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -2);
  struct tide_rollout rollout = next_of(r), good;
  add_model(&rollout, tide_content_hash(TIDE_SPAN("nobody's")), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  expect_void(r, &rollout, "the journal has no model");
  rollout.model[0].hash = bring_model(r, live);
  must_roll(r, &rollout); /* the same number: it was not used up */
  event(r, "c1", "s1", NULL);
  assert_string_equal(r->last.model, live->id);
  good = next_of(r);
  rollout = good;
  rollout.model[0].weight = 9999;
  expect_void(r, &rollout, "sum to 10000");
  rollout = good;
  rollout.features.byte[0] ^= 1;
  expect_void(r, &rollout, "no such feature file");
  rollout = good;
  rollout.policy =
      bring_policy(r, "broken", "policy:\n  decisions: [approve, review, decline]\n  rules:\n    - N1: review when card.nothing > 1\n");
  expect_void(r, &rollout, "card.nothing");
  rollout.policy = bring_policy(r, "words", "policy:\n  decisions: [approve, decline]\n  rules:\n    - else: approve\n");
  expect_void(r, &rollout, "decisions are not those");
  rollout.policy = bring_policy(
      r, "lists",
      "policy:\n  decisions: [approve, review, decline]\n  lists: [bad]\n  rules:\n    - N1: review when card in bad\n    - else: approve\n");
  expect_void(r, &rollout, "lists are not those");
  rollout.policy = bring(r, TIDE_ARTIFACT_policy, "none", TIDE_SPAN("no yaml: ["));
  expect_void(r, &rollout, "policy");
  rollout = good;
  rollout.model[0].hash = bring(r, TIDE_ARTIFACT_model, "none", TIDE_SPAN("{}"));
  expect_void(r, &rollout, "tidemark_model");
  event(r, "c1", "s1", NULL); /* nothing of it left a trace */
  assert_string_equal(r->last.model, live->id);
  must_roll(r, &good);
  int64_t past = metric(r, TIDE_M_rollouts_past_total);
  good.model_count = 0;
  roll(r, &good); /* the first of a number counts */
  assert_int_equal(metric(r, TIDE_M_rollouts_past_total), past + 1);
  assert_int_equal(tide_fold_versions(r->fold)->rollout.model_count, 1);
  tide_model_free(live);
  stop(r);
}

static void the_library_keeps_what_counts(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -2);
  struct tide_content_hash in_force = bring_model(r, live), first = {{0}}, hash;
  struct tide_rollout rollout = next_of(r);
  add_model(&rollout, in_force, TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  must_roll(r, &rollout);
  const struct tide_versions *versions = tide_fold_versions(r->fold);
  for (int i = 0; i <= TIDE_VERSIONS_SPARE; i++) {
    char text[16];
    snprintf(text, sizeof text, "model %d", i);
    hash = bring(r, TIDE_ARTIFACT_model, "m", tide_span_of(text));
    if (i == 0) first = hash;
    if (i == TIDE_VERSIONS_SPARE - 1) { /* named again, it is the newest */
      assert_non_null(tide_versions_find(versions, TIDE_ARTIFACT_model, first));
      bring(r, TIDE_ARTIFACT_model, "m", TIDE_SPAN("model 0"));
    }
  }
  assert_int_equal(versions->count, TIDE_VERSIONS_SPARE + 1);
  assert_non_null(tide_versions_find(versions, TIDE_ARTIFACT_model, in_force));
  assert_non_null(tide_versions_find(versions, TIDE_ARTIFACT_model, first));
  assert_null(tide_versions_find(versions, TIDE_ARTIFACT_model, tide_content_hash(TIDE_SPAN("model 1"))));
  assert_null(tide_versions_find(versions, TIDE_ARTIFACT_policy, first));
  tide_model_free(live);
  stop(r);
}

/* ---- the fallback model ---- */

/* Reads the shop alone, or the message alone. */
static struct tide_model *lesser(const struct run *r, const char *feature) {
  struct tide_model *model = model_empty();
  model->name = "lesser";
  model->intercept = 1;
  (void)model_add(model, r->spec, feature, 0.5);
  tide_model_seal(model);
  return model;
}

static void declare(struct run *r, bool any) {
  struct tide_sources sources = {.count = any, .source = {{.number = 7, .name = "auths", .gates = true}}};
  begin(r);
  assert_int_equal(tide_batch_add_sources(&r->batch, &sources), TIDE_OK);
  must_end(r);
}

static void the_fallback_model_reads_only_what_is_fresh(void **state) {
  (void)state;
  /* Only the card waits for the source. No rule but the score's reads the card. */
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_str(&text, model_features);
  char *at = strstr(tide_buf_cstr(&text), "    - R1: decline when card.attempts_10m > 40\n");
  memmove(at, at + 46, strlen(at + 46) + 1);
  text.len -= 46;
  at = strstr(text.ptr, "  card: {warming: mark}");
  struct tide_buf file = TIDE_BUF_INIT;
  tide_buf_put(&file, text.ptr, (size_t)(at - text.ptr));
  tide_buf_str(&file, "  card: {warming: mark, sources: [auths]}\n  shop: {warming: mark, sources: [others]}");
  tide_buf_str(&file, at + strlen("  card: {warming: mark}"));
  for (int kind = 0; kind < 4; kind++) { /* none; one that reads the shop; the card; the message */
    struct run *r = started(model_spec_of(tide_buf_cstr(&file)));
    struct tide_model *live = variant(r, -9), *other = lesser(r, kind == 1 ? "shop.cards_1h" : kind == 2 ? "card.attempts_10m" : "online");
    struct tide_rollout rollout = next_of(r);
    add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
    if (kind) add_model(&rollout, bring_model(r, other), TIDE_ROLE_fallback, 0);
    must_roll(r, &rollout);
    r->number = 10 * 86400;
    event(r, "c1", "s1", NULL);
    assert_string_equal(r->last.model, live->id); /* while all is fresh it says nothing */
    assert_false(r->last.refused);
    declare(r, true);
    event(r, "c1", "s1", "x");
    assert_true(r->last.refused);
    if (kind == 3) {
      assert_string_equal(r->last.by, "M1");
      assert_string_equal(r->last.decision, "review");
      assert_string_equal(r->last.model, other->id);
      assert_string_equal(r->last.cause, "score");
      assert_true(r->last.score > 0.7);
      assert_non_null(
          strstr(r->last.json.ptr, "\"status\":\"refused\",\"decision\":\"review\",\"by\":\"fallback model: M1\",\"score\":0.7"));
      assert_non_null(strstr(r->last.json.ptr, "; scored by the fallback model lesser@"));
      assert_non_null(strstr(r->last.json.ptr, "{\"code\":\"M1\",\"text\":\"the model says 0.7"));
      assert_int_equal(metric(r, TIDE_M_decisions_fallback_model_total), 1);
    } else { /* 1: its source is unknown as well, 2: it is what is stale */
      assert_string_equal(r->last.by, "fallback.else");
      assert_true(r->last.score == -1);
      assert_string_equal(r->last.model, live->id);
    }
    char first[32];
    snprintf(first, sizeof first, "%s", r->last.by);
    event(r, "c1", "s1", "x");
    assert_true(r->last.duplicate);
    assert_string_equal(r->last.by, first);
    r->number -= 8 * 86400; /* too late for any feature: only what reads the message is left */
    event(r, "c1", "s1", "late");
    assert_string_equal(r->last.by, kind == 3 ? "M1" : "fallback.else");
    assert_string_equal(r->last.cause, "late");
    tide_model_free(live);
    tide_model_free(other);
    stop(r);
  }
  tide_buf_release(&text);
  tide_buf_release(&file);
}

static void a_group_that_is_marked_is_not_fresh(void **state) {
  (void)state;
  struct run *r =
      started(model_spec_with("  card: {warming: mark}", "  card: {warming: mark, stale: fallback}\n  shop: {warming: mark, stale: mark}"));
  struct tide_model *live = variant(r, -9), *other = lesser(r, "shop.cards_1h");
  struct tide_rollout rollout = next_of(r);
  rollout.policy = bring_policy(
      r, "score", "policy:\n  decisions: [approve, review, decline]\n  rules:\n    - M1: review when score >= 0.5\n    - else: approve\n");
  add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  add_model(&rollout, bring_model(r, other), TIDE_ROLE_fallback, 0);
  must_roll(r, &rollout);
  declare(r, true);
  event(r, "c1", "s1", NULL); /* the live model might read the marked shop; the fallback model may not */
  assert_string_equal(r->last.by, "fallback.else");
  tide_model_free(live);
  tide_model_free(other);
  stop(r);
}

/* ---- questions ---- */

static void ask(struct run *r, enum tide_ask what, const char *id, enum tide_cause cause) {
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  record->type = TIDE_REC_EVENT;
  record->time.ms = T0 + (int64_t)r->number * 1000;
  text(r, record, "id", id);
  text(r, record, "card", "c1");
  text(r, record, "shop", "s1");
  *(&record->field[tide_spec_field(r->spec, "online")]) = (struct tide_datum){.kind = TIDE_D_INT, .num = 0};
  assert_int_equal(tide_record_encode(r->spec, record, &bytes), TIDE_OK);
  struct tide_digest before = tide_fold_digest(r->fold);
  uint64_t answers = r->answers;
  if (tide_fold_ask(r->fold, what, 0, tide_buf_span(&bytes), cause, emit, r, &error)) fail_msg("%s", error.text);
  assert_int_equal(r->answers, answers + 1);
  struct tide_digest after = tide_fold_digest(r->fold);
  assert_true(after.decisions == before.decisions && tide_u128_eq(after.digest, before.digest) && after.state_hash == before.state_hash);
  tide_buf_release(&bytes);
  tide_free(record);
}

/* What cannot be judged is refused by the policy in force, with a fallback model that reads the message alone; what is looked up is told as it was decided. */
static void questions_know_what_is_in_force(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -9), *other = lesser(r, "online");
  struct tide_rollout rollout = next_of(r);
  add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  must_roll(r, &rollout);
  event(r, "c1", "s1", "x");
  ask(r, TIDE_ASK_REFUSE, "y", TIDE_C_quorum);
  assert_string_equal(r->last.by, "fallback.else");
  assert_string_equal(r->last.decision, "decline");
  rollout = next_of(r);
  rollout.policy = bring_policy(r, "strict", strict);
  must_roll(r, &rollout);
  ask(r, TIDE_ASK_REFUSE, "y", TIDE_C_quorum);
  assert_string_equal(r->last.by, "fallback.else");
  assert_string_equal(r->last.decision, "review"); /* the new policy's */
  assert_string_equal(r->last.cause, "quorum");
  ask(r, TIDE_ASK_LOOKUP, "x", TIDE_C_none);
  assert_string_equal(r->last.by, "else");
  assert_string_equal(r->last.decision, "approve");
  assert_int_equal(strncmp(r->last.policy, "modelled@", 9), 0);
  rollout = next_of(r);
  rollout.policy = bring_policy(
      r, "score",
      "policy:\n  decisions: [approve, review, decline]\n  rules:\n    - R1: decline when card.attempts_10m > 40\n    - M1: decline when score >= 0.5\n    - else: approve\n");
  add_model(&rollout, bring_model(r, other), TIDE_ROLE_fallback, 0);
  must_roll(r, &rollout);
  ask(r, TIDE_ASK_REFUSE, "y", TIDE_C_deadline);
  assert_string_equal(r->last.by, "M1"); /* as strict as the rule that could not be answered */
  assert_string_equal(r->last.model, other->id);
  assert_string_equal(r->last.cause, "deadline");
  assert_non_null(strstr(r->last.json.ptr, "\"by\":\"fallback model: M1\""));
  rollout = next_of(r); /* an approval does not slip past a rule that could not be answered */
  rollout.policy = bring_policy(
      r, "mild",
      "policy:\n  decisions: [approve, review, decline]\n  rules:\n    - R1: decline when card.attempts_10m > 40\n    - M1: approve when score >= 0.5\n    - else: approve\n");
  must_roll(r, &rollout);
  ask(r, TIDE_ASK_REFUSE, "y", TIDE_C_deadline);
  assert_string_equal(r->last.by, "fallback.else");
  tide_model_free(live);
  tide_model_free(other);
  stop(r);
}

/* ---- snapshots ---- */

static struct tide_fold *reloaded(struct tide_fold *fold) {
  struct tide_fold *loaded = tide_fold_new();
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) {
    struct tide_error error = {0};
    unsigned chunk = i == 0 ? TIDE_SHARDS : i - 1;
    tide_buf_clear(&bytes);
    tide_fold_save(fold, chunk, &bytes);
    if (tide_fold_load(loaded, chunk, tide_buf_span(&bytes), &error)) fail_msg("%s", error.text);
  }
  tide_buf_release(&bytes);
  return loaded;
}

/* The same run twice, once through a snapshot after every record: equal answers and digests at the end. */
static void a_snapshot_anywhere_goes_on_the_same(void **state) {
  (void)state;
  struct tide_digest end_digest[2];
  uint64_t hits[2];
  for (int through = 0; through < 2; through++) {
    struct run *r = started(model_spec_of(model_features));
    struct tide_model *model[4] = {variant(r, -2), variant(r, -1), variant(r, 0), lesser(r, "online")};
    for (int step = 0; step < 40; step++) {
      struct tide_rollout rollout = next_of(r);
      if (step == 3 || step == 20) {
        rollout.model_count = 0;
        add_model(&rollout, bring_model(r, model[0]), TIDE_ROLE_live, (uint16_t)(step == 3 ? 7000 : 10000));
        if (step == 3) add_model(&rollout, bring_model(r, model[1]), TIDE_ROLE_canary, 3000);
        add_model(&rollout, bring_model(r, model[2]), TIDE_ROLE_shadow, 0);
        if (step == 20) add_model(&rollout, bring_model(r, model[3]), TIDE_ROLE_fallback, 0);
        must_roll(r, &rollout);
      } else if (step == 10 || step == 25) {
        rollout.policy = step == 10 ? bring_policy(r, "strict", strict) : (struct tide_content_hash){{0}};
        rollout.shadow_policy = step == 10 ? (struct tide_content_hash){{0}} : tide_content_hash(tide_span_of(strict));
        must_roll(r, &rollout);
      } else if (step == 15) {
        rollout.features.byte[3] ^= 1;
        roll(r, &rollout);
      } else if (step == 30) {
        declare(r, true);
      } else {
        char card[8], id[8];
        snprintf(card, sizeof card, "c%d", step % 7);
        snprintf(id, sizeof id, "e%d", step == 28 ? 12 : step); /* one comes again under another policy */
        event(r, step == 28 ? "c5" : card, "s1", id);
      }
      if (!through) continue;
      struct tide_fold *loaded = reloaded(r->fold);
      assert_int_equal(tide_fold_digest(loaded).state_hash, tide_fold_digest(r->fold).state_hash);
      tide_fold_free(r->fold);
      r->fold = loaded;
    }
    end_digest[through] = tide_fold_digest(r->fold);
    hits[through] = tide_fold_rule_hits(r->fold)[1];
    assert_int_equal(metric(r, TIDE_M_events_duplicate_total), 1);
    for (int i = 0; i < 4; i++) tide_model_free(model[i]);
    stop(r);
  }
  assert_true(tide_u128_eq(end_digest[0].digest, end_digest[1].digest));
  assert_int_equal(end_digest[0].state_hash, end_digest[1].state_hash);
  assert_int_equal(hits[0], hits[1]);
}

/* What was saved, cut anywhere in the versions: refused, never taken for less. */
static void cut_versions_are_refused(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *live = variant(r, -2);
  struct tide_rollout rollout = next_of(r);
  add_model(&rollout, bring_model(r, live), TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  rollout.policy = bring_policy(r, "strict", strict);
  must_roll(r, &rollout);
  struct tide_buf whole = TIDE_BUF_INIT;
  tide_fold_save(r->fold, TIDE_SHARDS, &whole);
  struct tide_buf versions = TIDE_BUF_INIT;
  tide_versions_save(tide_fold_versions(r->fold), &versions);
  assert_true(versions.len > 1000 && versions.len < whole.len);
  for (size_t cut = 1; cut <= versions.len; cut += cut < 200 || versions.len - cut < 20 ? 1 : 37) {
    struct tide_fold *fold = tide_fold_new();
    struct tide_error error = {0};
    enum tide_err err = tide_fold_load(fold, TIDE_SHARDS, (struct tide_span){whole.ptr, whole.len - cut}, &error);
    if (cut == versions.len) assert_int_equal(err, TIDE_OK); /* nothing at all: a journal without versions */
    else assert_int_equal(err, TIDE_E_CORRUPT);
    tide_fold_free(fold);
  }
  tide_buf_release(&whole);
  tide_buf_release(&versions);
  tide_model_free(live);
  stop(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_configuration_counts),
      cmocka_unit_test(shares_come_out_even),
      cmocka_unit_test(a_weight_moves_its_own_cards_only),
      cmocka_unit_test(cards_stay_with_their_canary),
      cmocka_unit_test(a_rotated_key_moves_no_card),
      cmocka_unit_test(a_shadow_speaks_and_decides_nothing),
      cmocka_unit_test(a_shadow_policy_is_compared),
      cmocka_unit_test(a_policy_decides_from_its_place_on),
      cmocka_unit_test(policies_are_forgotten_with_what_they_decided),
      cmocka_unit_test(what_cannot_be_is_void),
      cmocka_unit_test(the_library_keeps_what_counts),
      cmocka_unit_test(the_fallback_model_reads_only_what_is_fresh),
      cmocka_unit_test(a_group_that_is_marked_is_not_fresh),
      cmocka_unit_test(questions_know_what_is_in_force),
      cmocka_unit_test(a_snapshot_anywhere_goes_on_the_same),
      cmocka_unit_test(cut_versions_are_refused),
  };
  return cmocka_run_group_tests_name("rollout", tests, NULL, NULL);
}
