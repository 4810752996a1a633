/* From decisions to rows (watch.h): which decisions count, whose model they are of, what rules are called.
 *
 * Rules are known by their code: where a policy changes, what was counted of a code goes on under its new place, so a threshold that is moved every week does not lose months
 * of labels. Models are known by their checksum. */
#include "core/watch.h"

#include <math.h>

struct watched_model {
  struct tide_drift *drift; /* NULL: free */
  struct tide_u128 checksum;
  char id[TIDE_MODEL_ID];
  uint64_t heard; /* number of the last row of it */
  uint64_t rows;
  bool shadow; /* it decided nothing of late */
};

struct tide_watch {
  struct tide_watch_options options;
  struct watched_model model[TIDE_WATCH_MODELS];
  uint64_t rows;
  struct tide_feedback *feedback;
  const struct tide_spec *spec; /* of the last decision: for comparison only */
  struct tide_u128 spec_hash;
  uint32_t rule_count;
  char *rule[TIDE_RULES_MAX];
  bool shadow[TIDE_RULES_MAX];
};

struct tide_watch *tide_watch_new(const struct tide_watch_options *options) {
  struct tide_watch *watch = tide_alloc(sizeof *watch);
  watch->options = *options;
  watch->feedback = tide_feedback_new(&options->feedback);
  return watch;
}

static void forget_rules(struct tide_watch *watch) {
  for (uint32_t r = 0; r < watch->rule_count; r++) tide_free(watch->rule[r]);
  watch->rule_count = 0;
}

static void forget_models(struct tide_watch *watch) {
  for (unsigned m = 0; m < TIDE_WATCH_MODELS; m++) tide_drift_free(watch->model[m].drift);
  memset(watch->model, 0, sizeof watch->model);
}

void tide_watch_free(struct tide_watch *watch) {
  if (!watch) return;
  forget_models(watch);
  forget_rules(watch);
  tide_feedback_free(watch->feedback);
  tide_free(watch);
}

/* ---- decisions ---- */

static struct watched_model *model_of(struct tide_watch *watch, const struct tide_model *model) {
  struct watched_model *at = NULL;
  for (unsigned m = 0; m < TIDE_WATCH_MODELS; m++) {
    struct watched_model *one = &watch->model[m];
    if (one->drift && tide_u128_eq(one->checksum, model->checksum)) return one;
    if (!at || (at->drift && (!one->drift || one->heard < at->heard))) at = one;
  }
  tide_drift_free(at->drift);
  *at = (struct watched_model){.drift = tide_drift_new(model, &watch->options.drift), .checksum = model->checksum};
  memcpy(at->id, model->id, sizeof at->id);
  return at;
}

static void take_rules(struct tide_watch *watch, const struct tide_spec *spec) {
  uint8_t to[TIDE_RULES_MAX];
  bool moved = false;
  for (uint32_t was = 0; was < TIDE_RULES_MAX; was++) {
    to[was] = TIDE_FEEDBACK_NO_RULE;
    for (uint32_t now = 0; was < watch->rule_count && now < spec->rule_count; now++)
      if (strcmp(watch->rule[was], spec->rule[now].code) == 0) to[was] = (uint8_t)now;
    moved |= was < watch->rule_count && to[was] != was;
  }
  if (moved) tide_feedback_map_rules(watch->feedback, to);
  forget_rules(watch);
  watch->rule_count = spec->rule_count;
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    watch->rule[r] = tide_strdup(spec->rule[r].code);
    watch->shadow[r] = spec->rule[r].shadow;
  }
  watch->spec = spec;
  watch->spec_hash = spec->hash;
}

static struct tide_feedback_said said_by(const struct tide_model *model, struct tide_value score) {
  return (struct tide_feedback_said){model->checksum, model->id, score.type == TIDE_V_NUM ? (uint32_t)lround(score.num * 1e6) : UINT32_MAX};
}

static void feed(struct tide_watch *watch, const struct tide_answer *answer, const struct tide_watched *watched, int64_t watermark_ms) {
  const struct tide_verdict *verdict = &answer->verdict;
  struct tide_feedback_row row = {.key = watched->key,
                                  .print = watched->print,
                                  .time_ms = answer->time.ms,
                                  .rule = tide_verdict_is_rule(verdict) ? (uint8_t)verdict->rule : TIDE_FEEDBACK_NO_RULE,
                                  .stopped = verdict->by != TIDE_BY_NONE && verdict->decision != 0};
  if (answer->features_known) row.truth = verdict->yes;
  struct tide_feedback_said said[TIDE_FEEDBACK_SAID];
  uint32_t count = 0;
  if (answer->model) said[count++] = said_by(answer->model, answer->score);
  for (uint32_t s = 0; answer->model && s < answer->shadow_count && count < TIDE_FEEDBACK_SAID; s++)
    said[count++] = said_by(answer->shadow[s].model, answer->shadow[s].value);
  tide_feedback_add(watch->feedback, &row, said, count, watermark_ms);
}

static void look_at_inputs(struct tide_watch *watch, const struct tide_answer *answer, const struct tide_model *model,
                           struct tide_value score, bool shadow, uint64_t pick) {
  struct watched_model *of = model_of(watch, model);
  of->heard = ++watch->rows;
  of->shadow = shadow;
  of->rows++;
  tide_drift_add(of->drift, model, answer->env, score, answer->time.ms, pick);
}

static void on_decided(void *ctx, const struct tide_answer *answer, const struct tide_watched *watched, int64_t watermark_ms) {
  struct tide_watch *watch = ctx;
  if (answer->duplicate || answer->advised || !answer->counted) return;
  if (answer->spec != watch->spec || !tide_u128_eq(answer->spec->hash, watch->spec_hash)) take_rules(watch, answer->spec);
  if (watched->known) feed(watch, answer, watched, watermark_ms);
  if (!answer->model || !answer->features_known) return;
  uint64_t place[3] = {answer->position.epoch, answer->position.seq, answer->index}; /* without an identity, any number will do */
  uint64_t pick = watched->known ? watched->key : tide_hash64(place, sizeof place, 81);
  look_at_inputs(watch, answer, answer->model, answer->score, false, pick);
  for (uint32_t s = 0; s < answer->shadow_count && s < TIDE_WATCH_SHADOWS; s++)
    look_at_inputs(watch, answer, answer->shadow[s].model, answer->shadow[s].value, true, pick);
}

static void on_labelled(void *ctx, const struct tide_watched *watched, uint8_t label, bool again) {
  struct tide_watch *watch = ctx;
  tide_feedback_label(watch->feedback, watched->key, watched->alt, watched->print, label, again);
}

struct tide_fold_watch tide_watch_hooks(struct tide_watch *watch) {
  return (struct tide_fold_watch){on_decided, on_labelled, watch};
}

/* ---- looking ---- */

#define CURRENT 10000 /* rows: who was heard of among the last so many is in force */

/* Those that decide now come first, of these the one with the most decisions; then who was heard of last. So live stands before canary, and before what it has replaced. */
static bool stands_before(const struct tide_watch *watch, const struct tide_watch_model *a, const struct tide_watch_model *b) {
  bool a_now = !a->shadow && a->heard + CURRENT > watch->rows, b_now = !b->shadow && b->heard + CURRENT > watch->rows;
  if (a_now != b_now) return a_now;
  if (a_now && a->rows[0] != b->rows[0]) return a->rows[0] > b->rows[0];
  return a->heard > b->heard;
}

static void look_at_model(const struct watched_model *of, struct tide_watch_model *ret) {
  const struct tide_drift *drift = of->drift;
  memcpy(ret->id, of->id, sizeof ret->id);
  ret->rows_ever = of->rows;
  ret->heard = of->heard;
  ret->shadow = of->shadow;
  ret->newest_ms = tide_drift_newest_ms(drift);
  ret->left_out = tide_drift_left_out(drift);
  ret->inputs = tide_drift_inputs(drift);
  ret->input = tide_alloc((ret->inputs + 1) * sizeof *ret->input);
  for (uint32_t i = 0; i <= ret->inputs; i++) ret->input[i] = tide_strdup(tide_drift_input(drift, i));
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) {
    ret->measure[w] = tide_alloc((ret->inputs + 1) * sizeof *ret->measure[w]);
    ret->rows[w] = tide_drift_look(drift, w, ret->measure[w]);
  }
}

struct tide_watch_look *tide_watch_look(const struct tide_watch *watch) {
  struct tide_watch_look *look = tide_alloc(sizeof *look);
  look->options = watch->options;
  for (unsigned m = 0; m < TIDE_WATCH_MODELS; m++) {
    struct tide_watch_model one = {.rows_ever = 0};
    if (!watch->model[m].drift) continue;
    look_at_model(&watch->model[m], &one);
    uint32_t at = look->model_count++;
    for (; at > 0 && stands_before(watch, &one, &look->model[at - 1]); at--) look->model[at] = look->model[at - 1];
    look->model[at] = one;
  }
  tide_feedback_look(watch->feedback, &look->feedback);
  look->rule_count = watch->rule_count;
  for (uint32_t r = 0; r < watch->rule_count; r++) {
    look->rule[r] = tide_strdup(watch->rule[r]);
    look->shadow[r] = watch->shadow[r];
  }
  return look;
}

void tide_watch_look_free(struct tide_watch_look *look) {
  if (!look) return;
  for (uint32_t m = 0; m < look->model_count; m++) {
    struct tide_watch_model *model = &look->model[m];
    for (uint32_t i = 0; i <= model->inputs; i++) tide_free(model->input[i]);
    tide_free(model->input);
    for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) tide_free(model->measure[w]);
  }
  for (uint32_t r = 0; r < look->rule_count; r++) tide_free(look->rule[r]);
  tide_free(look);
}

/* ---- as bytes: magic, position, rules, models (each with its drift's length), feedback, checksum of all before ---- */

#define MAGIC "TDW1"

void tide_watch_save(const struct tide_watch *watch, struct tide_position position, struct tide_buf *out) {
  size_t from = out->len;
  struct tide_buf drift = TIDE_BUF_INIT;
  tide_buf_put(out, MAGIC, 4);
  tide_put_u64(out, position.epoch);
  tide_put_u64(out, position.seq);
  tide_put_varint(out, watch->rule_count);
  for (uint32_t r = 0; r < watch->rule_count; r++) {
    tide_put_span(out, tide_span_of(watch->rule[r]));
    tide_put_u8(out, watch->shadow[r]);
  }
  tide_put_varint(out, watch->rows);
  for (unsigned m = 0; m < TIDE_WATCH_MODELS; m++) {
    const struct watched_model *of = &watch->model[m];
    tide_buf_clear(&drift);
    if (of->drift) tide_drift_save(of->drift, &drift);
    tide_put_varint(out, of->heard);
    tide_put_varint(out, of->rows);
    tide_put_u8(out, of->shadow);
    tide_put_span(out, tide_span_of(of->id));
    tide_put_span(out, tide_buf_span(&drift));
  }
  tide_feedback_save(watch->feedback, out);
  tide_buf_release(&drift);
  tide_put_u64(out, tide_hash64(out->ptr + from, out->len - from, 0));
}

static bool load_model(struct tide_watch *watch, struct watched_model *of, struct tide_reader *reader) {
  of->heard = tide_get_varint(reader);
  of->rows = tide_get_varint(reader);
  of->shadow = tide_get_u8(reader);
  struct tide_span id = tide_get_span(reader), bytes = tide_get_span(reader);
  if (reader->bad || id.len >= sizeof of->id) return false;
  memcpy(of->id, id.ptr, id.len);
  struct tide_reader drift = tide_reader_of(bytes);
  if (bytes.len) of->drift = tide_drift_load(&watch->options.drift, &drift);
  if (of->drift) of->checksum = tide_drift_model(of->drift);
  else *of = (struct watched_model){.drift = NULL}; /* a free place, or other windows were configured then */
  return true;
}

static bool load(struct tide_watch *watch, struct tide_reader *reader) {
  uint64_t rules = tide_get_varint(reader);
  if (reader->bad || rules > TIDE_RULES_MAX) return false;
  for (; rules > 0; rules--) {
    struct tide_span code = tide_get_span(reader);
    bool shadow = tide_get_u8(reader);
    if (reader->bad) return false;
    watch->shadow[watch->rule_count] = shadow;
    watch->rule[watch->rule_count++] = tide_strndup(code.ptr, code.len);
  }
  watch->rows = tide_get_varint(reader);
  for (unsigned m = 0; m < TIDE_WATCH_MODELS; m++)
    if (!load_model(watch, &watch->model[m], reader)) return false;
  return !reader->bad && tide_feedback_load(watch->feedback, reader) && reader->ptr == reader->end;
}

bool tide_watch_load(struct tide_watch *watch, struct tide_position position, struct tide_span bytes) {
  TIDE_CHECK(watch->rows == 0 && watch->rule_count == 0);
  if (bytes.len < 28 || memcmp(bytes.ptr, MAGIC, 4) != 0) return false;
  struct tide_reader reader = tide_reader_of((struct tide_span){bytes.ptr + 4, bytes.len - 12});
  struct tide_reader tail = tide_reader_of((struct tide_span){bytes.ptr + bytes.len - 8, 8});
  if (tide_get_u64(&tail) != tide_hash64(bytes.ptr, bytes.len - 8, 0)) return false;
  uint64_t epoch = tide_get_u64(&reader), seq = tide_get_u64(&reader);
  return epoch == position.epoch && seq == position.seq && load(watch, &reader);
}
