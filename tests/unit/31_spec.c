/* What a correct feature file becomes, table by table.
 *
 * Two files: the contract's example, and one that uses every form of every section once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "feature/settings.h"
#include "feature/spec.h"

static struct tide_spec *contract, *every;

static struct tide_spec *load(const char *path) {
  struct tide_error error[20];
  size_t count = 0;
  struct tide_spec *spec = NULL;
  enum tide_err err = tide_spec_load(path, &spec, error, 20, &count);
  for (size_t i = 0; err && i < count && i < 20; i++) print_error("%s:%d:%d: %s\n", path, error[i].line, error[i].column, error[i].text);
  return err ? NULL : spec;
}

static int setup(void **state) {
  (void)state;
  contract = load("tests/golden/features/contract.yaml");
  every = load("tests/golden/features/every.yaml");
  return contract && every ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  tide_spec_free(contract);
  tide_spec_free(every);
  return 0;
}

static const struct tide_slot *slot_of(const struct tide_spec *spec, const char *name) {
  uint32_t slot = tide_spec_slot(spec, name);
  if (slot == TIDE_NONE) fail_msg("no slot %s", name);
  return &spec->slot[slot];
}
static const struct tide_feature *feature_of(const struct tide_spec *spec, const char *slot) {
  return &spec->feature[slot_of(spec, slot)->feature];
}
static const struct tide_field *field_of(const struct tide_spec *spec, const char *name) {
  uint32_t field = tide_spec_field(spec, name);
  if (field == TIDE_NONE) fail_msg("no field %s", name);
  return &spec->field[field];
}
static const struct tide_input_field *column_of(const struct tide_spec *spec, const char *shape, const char *field, uint32_t dyn,
                                                uint32_t extra) {
  uint32_t index = field ? tide_spec_field(spec, field) : TIDE_NONE;
  for (uint32_t i = 0; i < spec->shape_count; i++)
    for (uint32_t k = 0; strcmp(spec->shape[i].name, shape) == 0 && k < spec->shape[i].field_count; k++) {
      const struct tide_input_field *in = &spec->shape[i].field[k];
      if (in->field == index && in->dyn == dyn && in->extra == extra) return in;
    }
  return NULL;
}
static const struct tide_shape *shape_of(const struct tide_spec *spec, const char *name) {
  for (uint32_t i = 0; i < spec->shape_count; i++)
    if (strcmp(spec->shape[i].name, name) == 0) return &spec->shape[i];
  fail_msg("no shape %s", name);
  return NULL;
}

static void event_of_the_contract(void **state) {
  (void)state;
  const struct tide_spec *s = contract;
  assert_string_equal(s->name, "eu-issuing");
  assert_int_equal(s->id_count, 3);
  assert_string_equal(s->field[s->id[0]].name, "rrn");
  assert_string_equal(s->field[s->id[2]].name, "acquirer");
  assert_string_equal(s->field[s->f_time].name, "time");
  assert_int_equal(s->field[s->f_time].type, TIDE_F_TIME);
  assert_int_equal(s->field[s->f_amount].type, TIDE_F_MONEY);
  assert_string_equal(s->currency, "EUR");
  assert_int_equal(s->exponent, 2);
  assert_string_equal(s->field[s->f_kind].name, "kind");
  assert_string_equal(s->field[s->f_merchant].name, "merchant");
  assert_non_null(s->score);
  assert_non_null(s->advise);
  assert_false(s->conflict_rejects);
  assert_true(s->reads_score);
  assert_true(field_of(s, "pan")->secret);
  assert_false(field_of(s, "par")->secret);
  struct tide_u128 hash = tide_hash128(s->text, s->text_len, 0);
  assert_true(tide_u128_eq(hash, s->hash));
}

static void fields_in_order_of_appearance(void **state) {
  (void)state;
  static const char *const names[] = {"kind", "time",  "amount", "pan", "par", "rrn", "stan", "acquirer", "merchant",
                                      "ip",   "email", "entry",  "lat", "lon", "bin", "net",  "mail",     "cnp"};
  assert_int_equal(contract->field_count, sizeof names / sizeof names[0]);
  for (uint32_t i = 0; i < contract->field_count; i++) {
    assert_string_equal(contract->field[i].name, names[i]);
    assert_int_equal(contract->field[i].derived, i >= 14);
  }
  const struct tide_field *bin = field_of(contract, "bin"), *net = field_of(contract, "net"), *cnp = field_of(contract, "cnp");
  assert_int_equal(bin->derive_fn, TIDE_DERIVE_PREFIX);
  assert_int_equal(bin->derive_of, tide_spec_field(contract, "pan"));
  assert_int_equal(bin->derive_arg[0], 8);
  assert_false(bin->secret); /* eight digits may stand in clear */
  assert_int_equal(net->derive_fn, TIDE_DERIVE_IP_PREFIX);
  assert_int_equal(net->derive_arg[0], 24);
  assert_int_equal(net->derive_arg[1], 56);
  assert_int_equal(cnp->derive_fn, TIDE_DERIVE_EXPR);
  assert_int_equal(cnp->type, TIDE_F_BOOL);
  assert_non_null(cnp->derive);
  assert_int_equal(field_of(every, "points")->type, TIDE_F_NUMBER);
  assert_int_equal(field_of(every, "points")->decimals, 4);
  assert_int_equal(field_of(every, "domain")->derive_of, tide_spec_field(every, "mail"));
  assert_true(field_of(every, "mail")->secret); /* as all of a secret address is */
}

static void shapes_extend_and_pick(void **state) {
  (void)state;
  const struct tide_shape *outcomes = shape_of(contract, "outcomes"), *history = shape_of(contract, "history");
  assert_int_equal(outcomes->type, TIDE_REC_OUTCOME);
  assert_string_equal(outcomes->when_at, "/type");
  assert_string_equal(outcomes->when_value, "outcome");
  const struct tide_input_field *result = column_of(contract, "outcomes", NULL, TIDE_DYN_result, TIDE_NONE);
  assert_non_null(result);
  assert_int_equal(result->map_count, 3);
  assert_string_equal(result->map_from[2], "*");
  assert_string_equal(result->map_to[2], "declined");
  /* what it does not say about id and key comes from default */
  assert_string_equal(column_of(contract, "outcomes", "rrn", TIDE_NONE, TIDE_NONE)->at, "/rrn");
  assert_string_equal(column_of(contract, "outcomes", "pan", TIDE_NONE, TIDE_NONE)->at, "/card/number");
  assert_null(column_of(contract, "outcomes", "ip", TIDE_NONE, TIDE_NONE));
  assert_int_equal(history->type, TIDE_REC_EVENT);
  assert_null(history->when_at);
  assert_string_equal(history->known_at, "ingested_ts");
  assert_int_equal(history->known_at_form, TIDE_TIME_EPOCH_MS);
  assert_int_equal(history->field_count, shape_of(contract, "default")->field_count);
  const struct tide_input_field *time = column_of(contract, "history", "time", TIDE_NONE, TIDE_NONE);
  assert_string_equal(time->at, "auth_ts");
  assert_int_equal(time->time_form, TIDE_TIME_EPOCH_MS);
  assert_string_equal(column_of(contract, "history", "amount", TIDE_NONE, TIDE_NONE)->currency, "/billing/currency");
  assert_string_equal(column_of(contract, "default", "kind", TIDE_NONE, TIDE_NONE)->dflt, "auth");
}

static void columns_of_every_form(void **state) {
  (void)state;
  const struct tide_input_field *total = column_of(every, "default", "total", TIDE_NONE, TIDE_NONE);
  assert_true(total->minor);
  assert_string_equal(total->currency_fixed, "JPY");
  assert_null(total->currency);
  assert_int_equal(field_of(every, "weight")->decimals, 3);
  assert_int_equal(field_of(every, "gift")->type, TIDE_F_BOOL);
  assert_int_equal(field_of(every, "signup")->type, TIDE_F_TIME);
  assert_null(column_of(every, "short", "weight", TIDE_NONE, TIDE_NONE));
  assert_null(column_of(every, "short", NULL, TIDE_DYN_result, TIDE_NONE));
  assert_non_null(column_of(every, "short", NULL, TIDE_DYN_label, TIDE_NONE));
  assert_string_equal(column_of(every, "default", NULL, TIDE_DYN_result, TIDE_NONE)->map_to[1], ""); /* null: missing */
  assert_int_equal(shape_of(every, "labels")->type, TIDE_REC_OUTCOME);
  assert_string_equal(column_of(every, "labels", "pan", TIDE_NONE, TIDE_NONE)->at, "card");
  assert_string_equal(column_of(every, "labels", "id", TIDE_NONE, TIDE_NONE)->at, "id");
  assert_string_equal(column_of(every, "now", NULL, TIDE_DYN_amount_now, TIDE_NONE)->currency, "cur");
  assert_string_equal(column_of(every, "rates", NULL, TIDE_NONE, TIDE_XTRA_RATE)->at, "value");
  assert_int_equal(column_of(every, "lists", NULL, TIDE_NONE, TIDE_XTRA_EXPIRES)->time_form, TIDE_TIME_RFC3339);
  assert_int_equal(column_of(every, "beat", "ts", TIDE_NONE, TIDE_NONE)->time_form, TIDE_TIME_EPOCH_US);
  assert_int_equal(shape_of(every, "history")->known_at_form, TIDE_TIME_RFC3339);
  assert_int_equal(every->alias_count, 1);
  assert_int_equal(every->parent_count, 1);
  assert_false(every->parent_counts);
  assert_true(every->conflict_rejects);
  assert_string_equal(every->field[every->f_merchant].name, "shop");
  assert_string_equal(every->field[every->f_kind].name, "what");
  assert_int_equal(every->exponent, 0);
}

static void entities_and_their_parts(void **state) {
  (void)state;
  assert_int_equal(contract->entity_count, 4);
  const struct tide_entity *card = &contract->entity[0], *pair = &contract->entity[3];
  assert_string_equal(card->name, "card");
  assert_true(card->first_of);
  assert_int_equal(card->part_count, 2);
  assert_int_equal(card->part[0].ref, tide_spec_field(contract, "par"));
  assert_int_equal(card->keep_ms, TIDE_D(30));
  assert_int_equal(card->forget_after_ms, TIDE_D(400));
  assert_true(pair->part[0].is_entity);  /* card: no field of that name */
  assert_false(pair->part[1].is_entity); /* merchant: the entity is exactly that field */
  const struct tide_entity *limited = &every->entity[0];
  assert_int_equal(limited->max_entities, 1000000);
  assert_int_equal(limited->keep_ms, TIDE_D(60));
  assert_int_equal(limited->forget_after_ms, TIDE_D(800));
  assert_true(every->entity[2].first_of);
  assert_true(every->entity[2].part[1].is_entity);
}

static void slots_in_order_and_named_as_written(void **state) {
  (void)state;
  static const char *const names[] = {
      "card.attempts_1m", "card.attempts_10m", "card.attempts_1h",       "card.attempts_24h", "card.declines_1m", "card.declines_10m",
      "card.declines_1h", "card.declines_24h", "card.spend_1h",          "card.spend_24h",    "card.spend_30d",   "card.usual_30d",
      "card.usual_365d",  "card.merchants_1h", "card.merchants_24h",     "card.idle",         "card.streak_7d",   "card.speed",
      "ip.cards_10m",     "ip.cards_1h",       "merchant.fraud_rate_30d"};
  assert_int_equal(contract->slot_count, sizeof names / sizeof names[0]);
  for (uint32_t i = 0; i < contract->slot_count; i++) {
    assert_string_equal(contract->slot[i].name, names[i]);
    const struct tide_feature *f = &contract->feature[contract->slot[i].feature];
    assert_true(i >= f->first_slot && i < f->first_slot + f->slot_count);
  }
  assert_int_equal(slot_of(contract, "card.attempts_24h")->window_ms, 86400000);
  assert_true(feature_of(contract, "card.attempts_1m")->with_current);
  assert_false(feature_of(contract, "card.declines_1m")->with_current);
  assert_true(slot_of(contract, "card.spend_1h")->money);
  assert_true(slot_of(contract, "card.usual_30d")->money);
  assert_false(slot_of(contract, "card.attempts_1m")->money);
  assert_int_equal(feature_of(contract, "card.usual_30d")->hop_ms, TIDE_D(1));
  assert_int_equal(feature_of(contract, "ip.cards_1h")->cap, 100);
  assert_int_equal(feature_of(contract, "ip.cards_1h")->of, TIDE_OF_ENTITY);
  assert_int_equal(feature_of(contract, "card.merchants_1h")->of, TIDE_OF_FIELD);
  const struct tide_feature *fraud = feature_of(contract, "merchant.fraud_rate_30d");
  assert_int_equal(fraud->agg, TIDE_AGG_RATE);
  assert_int_equal(fraud->delayed_ms, TIDE_D(7));
  assert_non_null(fraud->rate_of);
  assert_null(fraud->where);
}

static void every_aggregation(void **state) {
  (void)state;
  static const struct {
    const char *slot;
    enum tide_agg agg;
    enum tide_operand of;
  } rows[] = {{"card.n_90s", TIDE_AGG_COUNT, TIDE_OF_NONE},
              {"card.total_30d", TIDE_AGG_SUM, TIDE_OF_REQUESTED},
              {"card.kilos_1d", TIDE_AGG_SUM, TIDE_OF_FIELD},
              {"card.mean_30d", TIDE_AGG_MEAN, TIDE_OF_AMOUNT},
              {"card.sd_30d", TIDE_AGG_STDDEV, TIDE_OF_AMOUNT},
              {"card.low_1d", TIDE_AGG_MIN, TIDE_OF_FIELD},
              {"card.high_365d", TIDE_AGG_MAX, TIDE_OF_AMOUNT},
              {"card.shops_12h", TIDE_AGG_DISTINCT, TIDE_OF_FIELD},
              {"card.mails_30d", TIDE_AGG_APPROX_DISTINCT, TIDE_OF_FIELD},
              {"card.gifts_7d", TIDE_AGG_RATE, TIDE_OF_NONE},
              {"card.burst_14d", TIDE_AGG_MAX_COUNT, TIDE_OF_NONE},
              {"card.streak_7d", TIDE_AGG_STREAK, TIDE_OF_NONE},
              {"card.prev", TIDE_AGG_SINCE_PREVIOUS, TIDE_OF_NONE},
              {"card.first", TIDE_AGG_SINCE_FIRST, TIDE_OF_NONE},
              {"card.new", TIDE_AGG_NEW, TIDE_OF_NONE},
              {"card.shop", TIDE_AGG_LAST, TIDE_OF_FIELD},
              {"card.moved", TIDE_AGG_CHANGED, TIDE_OF_FIELD},
              {"shop.cards_7d", TIDE_AGG_DISTINCT, TIDE_OF_ENTITY},
              {"pair.new", TIDE_AGG_NEW, TIDE_OF_NONE}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct tide_feature *f = feature_of(every, rows[i].slot);
    if (f->agg != rows[i].agg || f->of != rows[i].of) fail_msg("%s: agg %d of %d", rows[i].slot, f->agg, f->of);
  }
  assert_int_equal(tide_spec_slot(every, "card.new"), tide_spec_slot(every, "card.first") + 1);
  assert_int_equal(slot_of(every, "card.shop")->type, TIDE_V_TEXT);
  assert_int_equal(slot_of(every, "card.items")->type, TIDE_V_NUM);
  assert_int_equal(feature_of(every, "card.burst_14d")->inner_ms, 6 * 3600000);
  assert_true(feature_of(every, "card.all_1h")->mentions_kind);
  assert_false(feature_of(every, "card.gifts_7d")->mentions_kind);
  assert_non_null(feature_of(every, "card.gifts_7d")->rate_of);
  assert_non_null(feature_of(every, "card.gifts_7d")->where);
  assert_false(slot_of(every, "card.kilos_1d")->money);
}

static void freshness_groups(void **state) {
  (void)state;
  assert_int_equal(contract->group_count, 2);
  assert_int_equal(contract->group[0].budget_ms, 15000);
  assert_int_equal(contract->entity[0].group, 1);
  assert_int_equal(contract->entity[1].group, 0);
  assert_int_equal(contract->group[1].budget_ms, 10000);
  assert_int_equal(contract->group[1].consistency, TIDE_CONSISTENCY_QUORUM);
  assert_int_equal(contract->group[1].source_count, 1);
  assert_string_equal(contract->group[1].source[0], "auths");
  const struct tide_group *shop = &every->group[every->entity[1].group], *card = &every->group[every->entity[0].group];
  assert_int_equal(shop->stale, TIDE_STALE_DEFAULT);
  assert_true(shop->stale_default == 0);
  assert_int_equal(shop->warming, TIDE_STALE_MARK);
  assert_int_equal(card->stale, TIDE_STALE_RECOMPUTE);
  assert_int_equal(card->budget_ms, 5000); /* from default, which stands last */
  assert_int_equal(card->warming, TIDE_STALE_DEFAULT);
  assert_true(card->warming_default == 1.5);
}

static void rules_and_fallback(void **state) {
  (void)state;
  const struct tide_spec *s = contract;
  assert_int_equal(s->decision_count, 4);
  assert_int_equal(s->rule_count, 4);
  assert_string_equal(s->rule[0].code, "V01");
  assert_string_equal(s->decision[s->rule[0].decision], "decline");
  assert_string_equal(s->rule[0].say, "{card.declines_10m} declines on this card in 10 minutes");
  assert_int_equal(s->rule[0].say_count, 2);
  assert_int_equal(s->rule[0].first_slot, tide_spec_slot(s, "card.declines_10m"));
  assert_false(s->rule[0].shadow);
  assert_true(s->rule[1].shadow);
  assert_int_equal(s->rule[2].first_slot, TIDE_NONE);
  assert_string_equal(s->rule[3].code, "else");
  assert_null(s->rule[3].when);
  assert_int_equal(s->fallback_count, 2);
  assert_string_equal(s->fallback[0].code, "F02");
  assert_null(s->fallback[1].when);
  assert_int_equal(s->list_count, 2);
  assert_int_equal(s->list[0].ref, TIDE_NONE);
  assert_int_equal(every->list[0].ref, tide_spec_field(every, "pan"));
  assert_int_equal(every->rule[1].first_slot, tide_spec_slot(every, "card.n_1d")); /* itself before what twice reads */
  assert_int_equal(every->fallback_count, 2);
  assert_string_equal(every->fallback[1].code, "else"); /* not written: the strictest */
  assert_int_equal(every->fallback[1].decision, 1);
  assert_false(every->reads_score);
}

static void tests_as_written(void **state) {
  (void)state;
  assert_int_equal(contract->test_count, 1);
  const struct tide_test *test = &contract->test[0];
  assert_string_equal(test->name, "sixth attempt");
  assert_int_equal(test->event_count, 2);
  assert_int_equal(test->event[0].repeat, 5);
  assert_int_equal(test->event[0].every_ms, 60000);
  assert_int_equal(test->event[0].set_count, 1);
  assert_string_equal(test->event[0].set[0].name, "result");
  assert_string_equal(test->event[0].set[0].value, "declined");
  assert_int_equal(test->event[1].at_ms, 310000);
  assert_int_equal(test->event[1].repeat, 1);
  assert_int_equal(test->expect_count, 3);
  assert_string_equal(test->expect[0].name, "card.declines_10m");
  assert_string_equal(test->expect[0].value, "5");
  assert_string_equal(every->test[0].expect[1].value, "null");
}

static void outcome_words(void **state) {
  (void)state;
  for (uint32_t dyn = 0; dyn < TIDE_DYN_COUNT; dyn++) {
    const char *const *words = tide_dyn_words((enum tide_dyn)dyn);
    bool free_form = dyn == TIDE_DYN_reason || dyn == TIDE_DYN_amount_now;
    assert_int_equal(words == NULL, free_form);
  }
  assert_string_equal(tide_dyn_words(TIDE_DYN_result)[TIDE_RESULT_declined], "declined");
  assert_string_equal(tide_dyn_words(TIDE_DYN_label)[TIDE_LABEL_genuine], "genuine");
  assert_string_equal(tide_dyn_words(TIDE_DYN_refunded)[TIDE_EXTENT_full], "full");
  assert_string_equal(tide_dyn_name(TIDE_DYN_amount_now), "amount_now");
  assert_string_equal(tide_agg_name(TIDE_AGG_SINCE_PREVIOUS), "time since previous");
}

/* Rules over fields alone, and features without rules, are whole files. */
static void small_files(void **state) {
  (void)state;
  static const char *const files[] = {
      "tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\n",
      "tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nfeatures: {e: {n: count over 1h}}\n",
      "tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\npolicy: {decisions: [no], rules: [else: no]}\n"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    struct tide_spec *spec;
    struct tide_error error = {0};
    size_t count;
    if (tide_spec_parse("small", tide_span_of(files[i]), &spec, &error, 1, &count))
      fail_msg("%zu: %d:%d %s", i, error.line, error.column, error.text);
    assert_int_equal(count, 0);
    assert_int_equal(spec->f_amount, TIDE_NONE);
    assert_int_equal(spec->group_count, 1);
    assert_int_equal(spec->fallback_count, spec->decision_count ? 1 : 0);
    tide_spec_free(spec);
  }
}

/* The reference shows one whole file, which must be right. */
static void documented_file(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  FILE *file = fopen("feature/FEATUREFILE.md", "re");
  assert_non_null(file);
  tide_buf_reserve(&buf, 65536);
  buf.len = fread(buf.ptr, 1, 65535, file);
  (void)fclose(file);
  const char *from = strstr(tide_buf_cstr(&buf), "```yaml\n"), *to = from ? strstr(from + 8, "```") : NULL;
  assert_non_null(to);
  struct tide_spec *spec = NULL;
  struct tide_error error = {0};
  size_t count;
  if (tide_spec_parse("FEATUREFILE.md", (struct tide_span){from + 8, (size_t)(to - from) - 8}, &spec, &error, 1, &count))
    fail_msg("%d:%d %s", error.line, error.column, error.text);
  assert_string_equal(spec->name, "small");
  tide_spec_free(spec);
  tide_buf_release(&buf);
}

/* Derived values that double each other: 2^200 paths to the first feature, which must be found at once. */
static void doubling_derived_values(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  tide_buf_str(
      &buf,
      "tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nderived:\n  d0: 1 + 1\n");
  for (int i = 1; i < 200; i++) {
    tide_buf_printf(&buf, "  d%d: d%d + d%d\n", i, i - 1, i - 1);
  }
  tide_buf_str(&buf, "policy:\n  decisions: [no]\n  rules: [{R: no when d199 > 1}]\n");
  struct tide_spec *spec = NULL;
  assert_int_equal(tide_spec_parse("doubling", tide_buf_span(&buf), &spec, NULL, 0, NULL), TIDE_OK);
  assert_int_equal(spec->rule[0].first_slot, TIDE_NONE);
  tide_spec_free(spec);
  tide_buf_release(&buf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(event_of_the_contract),
      cmocka_unit_test(fields_in_order_of_appearance),
      cmocka_unit_test(shapes_extend_and_pick),
      cmocka_unit_test(columns_of_every_form),
      cmocka_unit_test(entities_and_their_parts),
      cmocka_unit_test(slots_in_order_and_named_as_written),
      cmocka_unit_test(every_aggregation),
      cmocka_unit_test(freshness_groups),
      cmocka_unit_test(rules_and_fallback),
      cmocka_unit_test(tests_as_written),
      cmocka_unit_test(outcome_words),
      cmocka_unit_test(small_files),
      cmocka_unit_test(documented_file),
      cmocka_unit_test(doubling_derived_values),
  };
  return cmocka_run_group_tests_name("spec", tests, setup, teardown);
}
