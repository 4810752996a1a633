/* A feature file and a small sealed model over it, for tests of the model, of the fold that scores, and for the corpus of its fuzzer.
 *
 * The warming policy of `card` is fallback and that of `shop` mark, `shops` has a cap: every way in which a value can refuse or be imputed
 * is there. */
#ifndef TIDE_MODEL_FIXTURE_H
#define TIDE_MODEL_FIXTURE_H

#include "model/artifact.h"
#include "model/definition.h"

#include <stdio.h>
#include <stdlib.h>

static const char model_features[] =
    "tidemark: 1\n"
    "name: modelled\n"
    "event:\n"
    "  id: id\n"
    "  time: time\n"
    "  amount: amount in EUR\n"
    "  derive: {online: \"entry = ecom\"}\n"
    "inputs:\n"
    "  default:\n"
    "    id: /id\n"
    "    time: {at: /time, as: epoch_ms}\n"
    "    amount: {at: /amount, currency: /currency, optional: true}\n"
    "    card: /card\n"
    "    shop: {at: /shop, optional: true}\n"
    "    entry: {at: /entry, optional: true}\n"
    "entities:\n"
    "  card: card\n"
    "  shop: shop\n"
    "windows: {short: \"10m, 1h\"}\n"
    "features:\n"
    "  card:\n"
    "    attempts: count over short with current\n"
    "    spend: sum of amount over 1h where result in (approved, pending)\n"
    "    usual: mean of amount over 1h\n"
    "    shops: distinct of shop over 1h cap 3\n"
    "    before: last shop\n"
    "  shop:\n"
    "    cards: distinct of card over 1h\n"
    "derived:\n"
    "  over: amount / card.usual_1h\n"
    "  late: hour(time, \"Europe/Amsterdam\") >= 22\n"
    "freshness:\n"
    "  default: {warming: mark}\n"
    "  card: {warming: mark}\n"
    "policy:\n"
    "  decisions: [approve, review, decline]\n"
    "  rules:\n"
    "    - R1: decline when card.attempts_10m > 40\n"
    "    - M1: review when score >= 0.5 say \"the model says {score}\"\n"
    "    - else: approve\n"
    "  fallback:\n"
    "    - else: decline\n";

static inline struct tide_spec *model_spec_of(const char *text) {
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t count = 0;
  if (tide_spec_parse("modelled", tide_span_of(text), &spec, &error, 1, &count) != TIDE_OK) {
    fprintf(stderr, "feature file, line %d: %s\n", error.line, error.text);
    abort();
  }
  return spec;
}

/* The feature file with one text replaced by another. */
static inline struct tide_spec *model_spec_with(const char *from, const char *to) {
  const char *at = strstr(model_features, from);
  if (!at) abort();
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_put(&text, model_features, (size_t)(at - model_features));
  tide_buf_str(&text, to);
  tide_buf_str(&text, at + strlen(from));
  struct tide_spec *spec = model_spec_of(tide_buf_cstr(&text));
  tide_buf_release(&text);
  return spec;
}

static inline struct tide_model_input *model_add(struct tide_model *model, const struct tide_spec *spec, const char *feature, double coefficient) {
  struct tide_model_input *input = &model->input[model->input_count++];
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  *input = (struct tide_model_input){.feature = feature, .code = feature, .text = "it is {value}", .scale = 1, .coefficient = coefficient};
  if (tide_input_find(spec, feature, &input->leaf, &error)) {
    fprintf(stderr, "%s\n", error.text);
    abort();
  }
  tide_input_define(spec, &input->leaf, &text);
  input->definition = tide_arena_strdup(&model->arena, tide_buf_span(&text));
  tide_buf_release(&text);
  for (int q = 0; q < TIDE_QUANTILES; q++) input->quantile[q] = q;
  return input;
}

/* An empty model that is bound; add inputs, then seal it. */
static inline struct tide_model *model_empty(void) {
  struct tide_model *model = tide_alloc(sizeof *model);
  model->name = "small";
  model->version = "7";
  model->features = "modelled";
  model->input = tide_arena_alloc(&model->arena, 16 * sizeof *model->input);
  model->rows = 100;
  model->fraud = 3;
  model->from_ms = 1700000000000;
  model->to_ms = 1700000100000;
  model->l2 = 1;
  model->test_rows = 20;
  model->roc_auc = 0.75;
  model->average_precision = 0.5;
  model->card_precision = 0.125;
  model->card_precision_k = 10;
  model->bound = true;
  return model;
}

/* attempts (none), shops (clip to the cap), over (log1p, imputed per cause), shop.cards (none), online. */
static inline struct tide_model *model_small(const struct tide_spec *spec) {
  struct tide_model *model = model_empty();
  model->intercept = -2;
  struct tide_model_input *input = model_add(model, spec, "card.attempts_10m", 0.5);
  input->mean = 1;
  input->scale = 2;
  input->text = "{value} attempts in {{value}";
  input = model_add(model, spec, "card.shops_1h", 0.25);
  input->transform = TIDE_TRANSFORM_CLIP;
  input->hi = 4;
  input = model_add(model, spec, "over", 1);
  input->transform = TIDE_TRANSFORM_LOG1P;
  input->median = input->absent = input->empty = 0.5;
  input->has_empty = true;
  input->empty = 2;
  input = model_add(model, spec, "shop.cards_1h", 0.125);
  input->median = input->absent = input->empty = 3;
  (void)model_add(model, spec, "online", -0.5);
  tide_model_seal(model);
  return model;
}

#endif
