/* The engine on a case: parse the file, encode the records into entries, fold, collect answers, compare (check.h). */
#include "tests/oracle/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/decode.h"
#include "core/batch.h"
#include "core/fold.h"
#include "core/fold_state.h"
#include "port/source.h"
#include "tests/oracle/other_file.h"
#include "tests/oracle/render.h"

/* What the engine said; values are copied because they die with the callback. */
struct heard {
  struct tide_position position, first_position;
  uint32_t index, first_index;
  int64_t time_ms;
  bool refused, counted, duplicate, id_conflict, advised, features_known;
  struct tide_verdict verdict;
  char by[32], decision[16]; /* as the policy of then calls them */
  struct tide_value slot[OR_SLOTS_MAX], derived[OR_DERIVED_MAX];
  struct tide_standing standing[OR_ENTITIES_MAX];
};

struct run {
  const struct or_case *c;
  struct tide_spec *spec;            /* our own parse, for encoding */
  struct tide_fold *fold, *reloaded; /* the same journal, the second through a snapshot on the way; NULL: not yet */
  struct heard *heard, *heard_again;
  int count, count_again;
  struct tide_position position[OR_RECORDS_MAX]; /* of each record */
  uint32_t index[OR_RECORDS_MAX];
  struct tide_decoder *decoder, *csv; /* NULL: records are made directly */
  int digests;
  uint64_t rollouts;
  struct or_log log;
  int switches, hits_from;   /* feature files that took over; answers before the last did */
  struct tide_position last; /* entry folded */
  struct tide_buf *out;
};

static void hear(struct heard *heard, const struct tide_answer *answer) {
  *heard = (struct heard){.position = answer->position,
                          .first_position = answer->first_position,
                          .index = answer->index,
                          .first_index = answer->first_index,
                          .time_ms = answer->time.ms,
                          .refused = answer->status == TIDE_STATUS_REFUSED,
                          .counted = answer->counted,
                          .duplicate = answer->duplicate,
                          .id_conflict = answer->id_conflict,
                          .advised = answer->advised,
                          .features_known = answer->features_known,
                          .verdict = answer->verdict};
  (void)snprintf(heard->by, sizeof heard->by, "%s", tide_verdict_by(answer->spec, &answer->verdict));
  if (answer->spec->decision_count)
    (void)snprintf(heard->decision, sizeof heard->decision, "%s", answer->spec->decision[answer->verdict.decision]);
  if (!answer->features_known) return;
  memcpy(heard->slot, answer->slot, answer->spec->slot_count * sizeof *answer->slot);
  memcpy(heard->standing, answer->standing, answer->spec->entity_count * sizeof *answer->standing);
  memcpy(heard->derived, answer->derived, answer->spec->derived_count * sizeof *answer->derived);
}
static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct run *run = ctx;
  if (run->count < OR_RECORDS_MAX) hear(&run->heard[run->count], answer);
  run->count++;
}
static void on_answer_again(void *ctx, const struct tide_answer *answer) {
  struct run *run = ctx;
  if (run->count_again < OR_RECORDS_MAX) hear(&run->heard_again[run->count_again], answer);
  run->count_again++;
}

static bool fail(struct run *run, const char *what, const struct tide_error *error) {
  tide_buf_printf(run->out, "engine: %s: %s\n", what, error ? error->text : "");
  return false;
}

/* ---- folding ---- */

static bool reload(struct run *run) {
  struct tide_fold *fold = tide_fold_new();
  struct tide_buf chunk = TIDE_BUF_INIT;
  struct tide_error error = {0};
  bool good = true;
  for (unsigned i = 0; i < TIDE_CHUNKS && good; i++) {
    unsigned number = i == 0 ? TIDE_SHARDS : i - 1; /* globals first */
    tide_buf_clear(&chunk);
    tide_fold_save(run->fold, number, &chunk);
    good = tide_fold_load(fold, number, tide_buf_span(&chunk), &error) == TIDE_OK;
  }
  tide_buf_release(&chunk);
  run->reloaded = fold;
  memcpy(run->heard_again, run->heard, (size_t)run->count * sizeof *run->heard);
  run->count_again = run->count;
  return good || fail(run, "a snapshot that was just saved does not load", &error);
}

static bool same_state(struct run *run) {
  struct tide_digest a = tide_fold_digest(run->fold), b = tide_fold_digest(run->reloaded);
  if (a.decisions == b.decisions && tide_u128_eq(a.digest, b.digest) && a.state_hash == b.state_hash) return true;
  tide_buf_printf(run->out, "engine: after save and load the digest is another: decisions %llu/%llu, digest %s, state %016llx/%016llx\n",
                  (unsigned long long)a.decisions, (unsigned long long)b.decisions,
                  tide_u128_eq(a.digest, b.digest) ? "equal" : "different", (unsigned long long)a.state_hash,
                  (unsigned long long)b.state_hash);
  return false;
}

static bool take_over(struct run *run) {
  struct tide_error error = {0};
  if (!tide_fold_waits(run->fold)) return true;
  run->switches++;
  run->hits_from = run->count;
  return (or_take_over(&run->log, run->fold, &error) && (!run->reloaded || or_take_over(&run->log, run->reloaded, &error))) ||
         fail(run, "the other feature file does not take over", &error);
}

static bool fold_entry(struct run *run, struct tide_position position, struct tide_batch *batch) {
  struct tide_error error = {0};
  tide_batch_end(batch);
  or_log_add(&run->log, position, tide_buf_span(batch->out));
  if (tide_fold_entry(run->fold, position, tide_buf_span(batch->out), on_answer, run, &error))
    return fail(run, "the fold refuses an entry", &error);
  if (run->reloaded && tide_fold_entry(run->reloaded, position, tide_buf_span(batch->out), on_answer_again, run, &error))
    return fail(run, "the reloaded fold refuses an entry", &error);
  run->last = position;
  return take_over(run);
}

static int next_record(const struct or_case *c, int i) {
  do i++;
  while (i < c->record_count && c->record[i].dropped);
  return i;
}

static bool same_datum(const struct tide_spec *spec, uint32_t f, const struct tide_datum *a, const struct tide_datum *b) {
  if (a->kind != b->kind) return false;
  switch ((enum tide_datum_kind)a->kind) {
    case TIDE_D_NONE: return true;
    case TIDE_D_TEXT: return tide_span_eq(a->text, b->text);
    case TIDE_D_KEY: return tide_u128_eq(a->key, b->key) && tide_u128_eq(a->alt, b->alt);
    case TIDE_D_INT: break;
  }
  if (spec->field[f].type == TIDE_F_MONEY && (a->exponent != b->exponent || memcmp(a->currency, b->currency, 4) != 0)) return false;
  return a->num == b->num;
}

/* What the fold reads of a record of its type. */
static bool same_record(const struct tide_spec *spec, const struct tide_record *a, const struct tide_record *b) {
  if (a->type != b->type || a->flags != b->flags || a->time.ms != b->time.ms || a->key_id != b->key_id) return false;
  bool fields = a->type == TIDE_REC_EVENT || a->type == TIDE_REC_OUTCOME || a->type == TIDE_REC_LIST || a->type == TIDE_REC_PROFILE;
  for (uint32_t f = 0; fields && f < spec->field_count; f++)
    if (!same_datum(spec, f, &a->field[f], &b->field[f])) return false;
  const struct tide_outcome *o = &a->outcome, *p = &b->outcome;
  if (a->type == TIDE_REC_OUTCOME) {
    bool same = o->set == p->set && o->result == p->result && o->reversed == p->reversed && o->refunded == p->refunded &&
                o->disputed == p->disputed && o->label == p->label && memcmp(o->reason, p->reason, sizeof o->reason) == 0;
    bool amount = !(o->set & 1u << TIDE_DYN_amount_now) ||
                  (o->amount_now == p->amount_now && o->exponent == p->exponent && memcmp(o->currency, p->currency, 4) == 0);
    return same && amount;
  }
  if (a->type == TIDE_REC_RATE) return a->rate.rate_e10 == b->rate.rate_e10 && memcmp(a->rate.currency, b->rate.currency, 4) == 0;
  if (a->type == TIDE_REC_LIST)
    return a->list.list == b->list.list && a->list.expires_ms == b->list.expires_ms && a->list.remove == b->list.remove;
  return true;
}

/* The CSV row of record i must decode to what its JSON line did. */
static bool same_as_csv(struct run *run, int i, const struct or_record *row, const struct tide_record *json, int json_count) {
  static struct tide_record csv[2];
  int count = 0;
  struct tide_buf line = TIDE_BUF_INIT;
  struct tide_error error = {0};
  or_render_csv(run->c, &run->c->record[i], row, &line);
  bool good = tide_decode(run->csv, tide_buf_span(&line), csv, &count, &error) == TIDE_OK;
  if (!good) tide_buf_printf(run->out, "record #%d does not decode: %s: %s\n", i, error.text, tide_buf_cstr(&line));
  if (good && count != json_count) {
    tide_buf_printf(run->out, "record #%d decodes to %d records as CSV, %d as JSON: %s\n", i, count, json_count, tide_buf_cstr(&line));
    good = false;
  }
  for (int k = 0; k < count && good; k++) {
    good = same_record(run->spec, &json[k], &csv[k]);
    if (!good) tide_buf_printf(run->out, "record #%d differs as CSV: %s\n", i, tide_buf_cstr(&line));
  }
  tide_buf_release(&line);
  return good;
}

/* Record i, made directly or decoded from its line. An outcome in the row of its event comes with it. Returns how many; 0: failed. */
static int make_records(struct run *run, int i, struct tide_record ret[2]) {
  const struct or_case *c = run->c;
  or_render_record(c, run->spec, &c->record[i], &ret[0]);
  if (!run->decoder) return 1;
  int row = next_record(c, i), count = 0, partition = c->record[i].partition;
  bool with_row = c->record[i].type == OR_EVENT && row < c->record_count && c->record[row].same_row && !or_entry_begins(c, row);
  struct tide_buf line = TIDE_BUF_INIT;
  struct tide_error error = {0};
  or_render_json(c, &c->record[i], with_row ? &c->record[row] : NULL, &line);
  static struct tide_buf kept; /* texts in records point into it until the next call */
  tide_buf_release(&kept);
  kept = line;
  if (tide_decode(run->decoder, tide_buf_span(&kept), ret, &count, &error)) {
    tide_buf_printf(run->out, "record #%d does not decode: %s: %s\n", i, error.text, tide_buf_cstr(&kept));
    return 0;
  }
  if (count != (with_row ? 2 : 1)) {
    tide_buf_printf(run->out, "record #%d decodes to %d records: %s\n", i, count, tide_buf_cstr(&kept));
    return 0;
  }
  if (!same_as_csv(run, i, with_row ? &c->record[row] : NULL, ret, count)) return 0;
  for (int k = 0; k < count; k++) ret[k].partition = (uint16_t)partition;
  return count;
}

/* A DIGEST of what is folded so far; both folds must find theirs equal. */
static bool add_digest(struct run *run, struct tide_batch *batch) {
  struct tide_digest digest = tide_fold_digest(run->fold);
  run->digests++;
  return tide_batch_add_digest(batch, &digest) == TIDE_OK || fail(run, "a digest does not fit an entry", NULL);
}

/* A DIGEST that is wrong in any of its parts must stop the fold. The last thing that is done with it. */
static bool refuses_wrong_digest(struct run *run, struct tide_position position) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_error error = {0};
  struct tide_digest digest = tide_fold_digest(run->fold);
  switch (run->c->seed % 3) {
    case 0: digest.decisions++; break;
    case 1: digest.digest.hi ^= 1; break;
    default: digest.state_hash ^= 1; break;
  }
  struct tide_entry_header header = {
      .format = TIDE_ENTRY_FORMAT, .fold = TIDE_FOLD_VERSION, .engine_id = 1, .fence_nonce = 77, .commit_ms = INT64_MIN};
  tide_batch_begin(&batch, &bytes, &header, NULL, 0);
  bool good = tide_batch_add_digest(&batch, &digest) == TIDE_OK;
  tide_batch_end(&batch);
  position.seq++;
  good = good && tide_fold_entry(run->fold, position, tide_buf_span(&bytes), on_answer, run, &error) == TIDE_E_MISMATCH;
  tide_buf_release(&bytes);
  return good || fail(run, "a wrong digest is accepted", NULL);
}

/* The header's parts of the entry that begins at record i. */
static uint16_t gather_parts(const struct run *run, int i, struct tide_cursor_part *part) {
  const struct or_case *c = run->c;
  uint16_t count = 0;
  for (int k = i; k < c->record_count && (k == i || !c->record[k].new_entry); k++) {
    const struct or_record *r = &c->record[k];
    if (r->type != OR_FACTS || r->dropped) continue;
    uint16_t number = tide_source_number(tide_span_of(or_source_name[r->source]));
    uint64_t from = tide_fold_cursor(run->fold, number, (uint16_t)r->partition);
    part[count++] = (struct tide_cursor_part){.source = number,
                                              .partition = (uint16_t)r->partition,
                                              .from = from,
                                              .next = from + r->messages,
                                              .seen = r->seen_ms,
                                              .drained = r->drained_ms,
                                              .delay = r->delay_ms,
                                              .checksum = r->messages};
  }
  return count;
}

static bool is_control(const struct or_record *r) { return r->type >= OR_DECLARE && r->type != OR_PROFILE; }

/* The policy and its rollout. */
static bool add_rollout(struct run *run, const struct or_record *r, struct tide_batch *batch) {
  struct tide_buf text = TIDE_BUF_INIT, records = TIDE_BUF_INIT;
  struct tide_rollout rollout = {.number = ++run->rollouts,
                                 .features = tide_content_hash((struct tide_span){run->spec->text, run->spec->text_len})};
  unsigned count = 1;
  bool good = true;
  if (r->policy) {
    or_render_policy(run->c, r->policy, &text);
    rollout.policy = tide_content_hash(tide_buf_span(&text));
    good = tide_artifact_encode(TIDE_ARTIFACT_policy, TIDE_SPAN("other"), tide_buf_span(&text), &records) == TIDE_OK;
    count++;
  }
  tide_rollout_encode(&rollout, &records);
  good = good && tide_batch_add_encoded(batch, tide_buf_span(&records), count) == TIDE_OK;
  tide_buf_release(&text);
  tide_buf_release(&records);
  return good || fail(run, "a rollout does not fit an entry", NULL);
}

static bool add_control(struct run *run, const struct or_record *r, struct tide_batch *batch) {
  const struct or_case *c = run->c;
  if (r->type == OR_ROLLOUT) return add_rollout(run, r, batch);
  uint16_t number = tide_source_number(tide_span_of(or_source_name[r->source])),
           partition = (uint16_t)(r->partition < 0 ? TIDE_PARTITION_ALL : r->partition);
  enum tide_err err = TIDE_OK;
  struct tide_sources sources = {0};
  for (int s = 1; s < OR_SOURCES_MAX && r->type == OR_DECLARE; s++) {
    if (!((r->declared >> s) & 1)) continue;
    struct tide_source_info *info = &sources.source[sources.count++];
    info->number = tide_source_number(tide_span_of(or_source_name[s]));
    (void)snprintf(info->name, sizeof info->name, "%s", or_source_name[s]);
    info->gates = c->source[s].gates;
    info->keyed = c->source[s].keyed;
    info->out_of_orderness_ms = c->source[s].disorder_ms;
    info->silence_ms = c->source[s].silence_ms;
  }
  if (r->type == OR_DECLARE) err = tide_batch_add_sources(batch, &sources);
  if (r->type == OR_START) err = tide_batch_add_start(batch, &(struct tide_start){.source = number, .partition = partition});
  if (r->type == OR_WAIVE)
    err = tide_batch_add_waive(batch, &(struct tide_waive){.source = number, .partition = partition, .until_ms = r->until_ms});
  return err == TIDE_OK || fail(run, "a control record does not fit an entry", NULL);
}

/* An entry of its own, which brings another feature file. Too soon behind the last ones it is void, and all goes on. */
static bool add_other_file(struct run *run, struct tide_span file, struct tide_entry_header header, struct tide_position position) {
  struct tide_buf bytes = TIDE_BUF_INIT, records = TIDE_BUF_INIT;
  struct tide_batch batch;
  unsigned count = or_other_file(file, ++run->rollouts, &records);
  tide_batch_begin(&batch, &bytes, &header, NULL, 0);
  bool good = tide_batch_add_encoded(&batch, tide_buf_span(&records), count) == TIDE_OK && fold_entry(run, position, &batch);
  tide_buf_release(&records);
  tide_buf_release(&bytes);
  return good;
}

static bool fold_all(struct run *run, struct tide_span file) {
  const struct or_case *c = run->c;
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_settings settings = or_settings(c);
  struct tide_entry_header header = {
      .format = TIDE_ENTRY_FORMAT, .fold = TIDE_FOLD_VERSION, .engine_id = 1, .fence_nonce = 77, .commit_ms = INT64_MIN};
  struct tide_position position = {1, 0};
  struct tide_fence fence = {.nonce = 77, .epoch = 1, .engine_id = 1};
  tide_batch_begin(&batch, &bytes, &header, NULL, 0);
  bool good = tide_batch_add_fence(&batch, &fence) == TIDE_OK && fold_entry(run, position, &batch), open = false;
  for (int i = 0; i <= c->record_count && good; i++) {
    bool end = i == c->record_count, begins = !end && !c->record[i].dropped && or_entry_begins(c, i);
    if (open && (end || begins)) {
      good = fold_entry(run, position, &batch);
      open = false;
    }
    if (end || !good || c->record[i].dropped) continue;
    if (begins) {
      if (position.seq > 0 && or_other_file_before(c, i)) {
        position.seq++;
        good = add_other_file(run, file, header, position);
      }
      header.generation = (uint32_t)i % (tide_fold_generation(run->fold) + 1); /* not every writer has heard of it */
      if (run->count >= 0 && c->reload_at >= 0 && i >= c->reload_at && !run->reloaded && position.seq > 0) good = good && reload(run);
      bool first = position.seq == 0;
      header.commit_ms = or_entry_commit(c, i);
      position.seq++;
      struct tide_cursor_part part[OR_SOURCES_MAX * OR_PARTS_MAX];
      uint16_t parts = gather_parts(run, i, part);
      bool alone = first && c->config_alone;
      tide_batch_begin(&batch, &bytes, &header, alone ? NULL : part, alone ? 0 : parts);
      open = true;
      if (first) {
        good = good && tide_batch_add_config(&batch, &settings, file) == TIDE_OK;
        if (good && c->config_alone) {
          good = fold_entry(run, position, &batch);
          position.seq++;
          tide_batch_begin(&batch, &bytes, &header, part, parts);
        }
      } else if (c->digests && !parts &&
                 /* a digest is of the state before its entry, and parts change it first */ (i + (int)(c->seed % 4)) % 3 == 0) {
        good = good && add_digest(run, &batch);
      }
    }
    if (c->record[i].type == OR_FACTS) continue;
    if (is_control(&c->record[i])) {
      good = good && add_control(run, &c->record[i], &batch);
      continue;
    }
    struct tide_record record[2];
    int count = good ? make_records(run, i, record) : 0;
    good = count > 0;
    for (int k = 0; k < count && good; k++) {
      if (k) i = next_record(c, i);
      run->position[i] = position;
      run->index[i] = batch.header.record_count;
      if (tide_batch_add(&batch, run->spec, &record[k])) good = fail(run, "a record does not fit an entry", NULL);
    }
  }
  tide_buf_release(&bytes);
  return good && (!run->reloaded || same_state(run));
}

/* ---- comparing ---- */

static const char *value_text(const struct or_value *v, char out[96]) {
  char what[40];
  if (v->type == OV_NUM) (void)snprintf(what, sizeof what, "%.17g", v->num);
  else (void)snprintf(what, sizeof what, "%s", v->type == OV_NULL ? "null" : v->type == OV_TEXT ? v->text : v->yes ? "true" : "false");
  (void)snprintf(out, 96, "%s %s/%s%s", what, tide_vstate_name((enum tide_vstate)v->state), tide_cause_name((enum tide_cause)v->cause),
                 v->unknown ? " unknown" : "");
  return out;
}
static const char *engine_text(const struct tide_value *v, char out[96]) {
  char what[40], code[8];
  size_t len = v->type == TIDE_V_TEXT ? tide_text_of_code(v->code, code) : 0;
  if (v->type == TIDE_V_NUM) (void)snprintf(what, sizeof what, "%.17g", v->num);
  else if (v->type == TIDE_V_TEXT) (void)snprintf(what, sizeof what, "%.*s(%016llx)", (int)len, code, (unsigned long long)v->code);
  else (void)snprintf(what, sizeof what, "%s", v->type == TIDE_V_NULL ? "null" : v->yes ? "true" : "false");
  (void)snprintf(out, 96, "%s %s/%s%s", what, tide_vstate_name((enum tide_vstate)v->state), tide_cause_name((enum tide_cause)v->cause),
                 v->unknown ? " unknown" : "");
  return out;
}

/* The bound for an estimate of n: exact to one up to ten, else six standard errors of a HyperLogLog with 2^12 registers. */
static bool near_enough(double estimate, double n) { return fabs(estimate - n) <= (n <= 10 ? 1 : 1 + 6 * 1.04 / sqrt(4096) * n); }

/* The bytes of a value that its type does not use are zero (feature/expr.h). */
static bool is_clean(const struct tide_value *got) {
  struct tide_value clean = tide_null(TIDE_S_fresh, TIDE_C_none);
  if (got->type == TIDE_V_BOOL) clean = tide_bool(got->yes);
  else if (got->type != TIDE_V_NULL) clean.code = got->code;
  return got->reserved == 0 && memcmp(&got->code, &clean.code, sizeof clean.code) == 0;
}

static bool same_value(const struct or_value *want, const struct tide_value *got, bool approx) {
  if (!is_clean(got)) return false;
  if (want->type != (enum or_vtype)got->type || want->state != got->state || want->cause != got->cause || want->unknown != got->unknown)
    return false;
  switch (want->type) {
    case OV_NULL: return true;
    case OV_NUM: return approx && want->state != TIDE_S_defaulted ? near_enough(got->num, want->num) : want->num == got->num;
    case OV_TEXT: return tide_text_code(tide_span_of(want->text)) == got->code;
    case OV_BOOL: return want->yes == got->yes;
  }
  return false;
}
_Static_assert(OV_NULL == (int)TIDE_V_NULL && OV_NUM == (int)TIDE_V_NUM && OV_TEXT == (int)TIDE_V_TEXT && OV_BOOL == (int)TIDE_V_BOOL,
               "types are compared by number");
_Static_assert(OR_FALSE == (int)TIDE_FALSE && OR_TRUE == (int)TIDE_TRUE && OR_UNKNOWN == (int)TIDE_UNKNOWN,
               "truths are compared by number");
_Static_assert(OR_BY_RULE == (int)TIDE_BY_RULE && OR_BY_FALLBACK == (int)TIDE_BY_FALLBACK && OR_BY_NONE == (int)TIDE_BY_NONE,
               "deciders are compared by number");

#define DIFFERS(...)                                                                                                                       \
  (tide_buf_printf(out, "record #%d: ", want->record), tide_buf_printf(out, __VA_ARGS__), tide_buf_char(out, '\n'), false)

static bool same_values(const struct or_case *c, const struct tide_spec *spec, const struct or_answer *want, const struct heard *got,
                        struct tide_buf *out) {
  char a[96], b[96];
  for (int s = 0; s < c->slot_count; s++) {
    const struct or_feature *f = &c->feature[c->slot[s].feature];
    if (f->dropped) continue;
    uint32_t at = tide_spec_slot(spec, c->slot[s].name);
    if (at == TIDE_NONE) return DIFFERS("the engine has no value %s", c->slot[s].name);
    if (!same_value(&want->slot[s], &got->slot[at], f->agg == OA_APPROX))
      return DIFFERS("%s is %s, engine: %s", c->slot[s].name, value_text(&want->slot[s], a), engine_text(&got->slot[at], b));
  }
  for (int n = 0; n < c->entity_count; n++)
    if (want->standing[n].state != got->standing[n].state || want->standing[n].age_ms != got->standing[n].age_ms)
      return DIFFERS("%s is %s, age %lld, engine: %s, age %lld", c->entity[n].name,
                     tide_vstate_name((enum tide_vstate)want->standing[n].state), (long long)want->standing[n].age_ms,
                     tide_vstate_name((enum tide_vstate)got->standing[n].state), (long long)got->standing[n].age_ms);
  for (int n = 0; n < c->entity_count; n++)
    if (want->standing[n].has_facts != got->standing[n].has_facts ||
        (want->standing[n].has_facts && want->standing[n].facts_age_ms != got->standing[n].facts_age_ms))
      return DIFFERS("%s: the oldest fact read is %lld ms old, engine: %lld", c->entity[n].name,
                     want->standing[n].has_facts ? (long long)want->standing[n].facts_age_ms : -1,
                     got->standing[n].has_facts ? (long long)got->standing[n].facts_age_ms : -1);
  for (int d = 0, at = 0; d < c->derived_count; d++) {
    if (c->derived[d].dropped) continue;
    if (!same_value(&want->derived[d], &got->derived[at], false))
      return DIFFERS("%s is %s, engine: %s", c->derived[d].name, value_text(&want->derived[d], a), engine_text(&got->derived[at], b));
    at++;
  }
  static const char *const truth[] = {"false", "true", "unknown"};
  for (int r = 0, at = 0; r < c->rule_count; r++) {
    struct or_rule rule = or_policy_rule(c, want->policy, false, r);
    if (rule.dropped) continue;
    if (want->truth[r] != (enum or_truth)tide_verdict_truth(&got->verdict, (uint32_t)at))
      return DIFFERS("rule %s is %s, engine: %s", rule.code, truth[want->truth[r]], truth[tide_verdict_truth(&got->verdict, (uint32_t)at)]);
    at++;
  }
  return true;
}

static const char *by_text(const struct or_case *c, const struct or_answer *want, char out[OR_NAME]) {
  if (want->by == OR_BY_NONE) return "none";
  struct or_rule rule = or_policy_rule(c, want->policy, want->by == OR_BY_FALLBACK, want->rule);
  if (want->by == OR_BY_FALLBACK && !rule.when) return "fallback.else";
  (void)snprintf(out, OR_NAME, "%s", rule.code);
  return out;
}

static bool same_answer(const struct run *run, const struct tide_spec *spec, const struct or_answer *want, const struct heard *got,
                        struct tide_buf *out) {
  const struct or_case *c = run->c;
#define SAME(field)                                                                                                                        \
  if (want->field != got->field) return DIFFERS(#field " is %lld, engine: %lld", (long long)want->field, (long long)got->field)
  SAME(time_ms);
  SAME(duplicate);
  SAME(id_conflict);
  SAME(features_known);
  SAME(advised);
  SAME(counted);
#undef SAME
  if (want->features_known && !same_values(c, spec, want, got, out)) return false;
  char code[OR_NAME];
  const char *by = by_text(c, want, code);
  if (strcmp(by, got->by) != 0) return DIFFERS("decided by %s of policy %d, engine: %s", by, want->policy, got->by);
  if (want->by != OR_BY_NONE && strcmp(or_decision_name[want->decision], got->decision) != 0)
    return DIFFERS("decision is %s, engine: %s", or_decision_name[want->decision], got->decision);
  if (want->cause != got->verdict.cause)
    return DIFFERS("cause is %s, engine: %s", tide_cause_name((enum tide_cause)want->cause), tide_cause_name(got->verdict.cause));
  if (want->refused != got->refused)
    return DIFFERS("status is %s, engine: %s", want->refused ? "refused" : "scored", got->refused ? "refused" : "scored");
  if (want->duplicate) {
    struct tide_position first = run->position[want->first_record];
    if (tide_position_cmp(first, got->first_position) != 0 || run->index[want->first_record] != got->first_index)
      return DIFFERS("first answered as record #%d at %llu.%u, engine: %llu.%u", want->first_record, (unsigned long long)first.seq,
                     run->index[want->first_record], (unsigned long long)got->first_position.seq, got->first_index);
  }
  return true;
}

static bool same_answers(const struct run *run, const struct or_answer *want, int want_count, const struct heard *got, int got_count,
                         struct tide_buf *out) {
  const struct tide_spec *spec = run->spec;
  for (int i = 0; i < want_count || i < got_count; i++) {
    const struct tide_position *place = i < want_count ? &run->position[want[i].record] : NULL;
    bool here = place && i < got_count && tide_position_cmp(*place, got[i].position) == 0 && run->index[want[i].record] == got[i].index;
    if (!here) {
      bool extra =
          !place || (i < got_count && (tide_position_cmp(got[i].position, *place) < 0 ||
                                       (tide_position_cmp(got[i].position, *place) == 0 && got[i].index < run->index[want[i].record])));
      if (extra)
        tide_buf_printf(out, "the engine answers %llu.%u, which asks for no answer\n", (unsigned long long)got[i].position.seq,
                        got[i].index);
      else tide_buf_printf(out, "record #%d: the engine gives no answer\n", want[i].record);
      return false;
    }
    if (!same_answer(run, spec, &want[i], &got[i], out)) return false;
  }
  return true;
}

/* What the fold says beside its answers: how often each rule was true, and the watermark. */
static bool same_totals(const struct run *run, const struct tide_fold *fold, const struct or_answer *want, int want_count,
                        const struct or_end_state *end, struct tide_buf *out) {
  const struct or_case *c = run->c;
  const uint64_t *hits = tide_fold_rule_hits(fold);
  for (int r = 0, at = 0; r < c->rule_count; r++) {
    struct or_rule rule = or_policy_rule(c, end->policy, false, r);
    if (rule.dropped) continue;
    uint64_t n = 0;
    int from = end->policy_from > run->hits_from ? end->policy_from : run->hits_from;
    for (int i = from; i < want_count; i++) n += want[i].features_known && want[i].truth[r] == OR_TRUE;
    if (n != hits[at]) {
      tide_buf_printf(out, "rule %s was true %llu times, engine: %llu\n", rule.code, (unsigned long long)n, (unsigned long long)hits[at]);
      return false;
    }
    at++;
  }
  if (tide_fold_watermark(fold) == end->watermark_ms) return true;
  tide_buf_printf(out, "the watermark is %lld, engine: %lld\n", (long long)end->watermark_ms, (long long)tide_fold_watermark(fold));
  return false;
}

static void count_answers(const struct or_case *c, const struct or_answer *answer, int count, struct or_tally *tally) {
  tally->cases++;
  tally->reloads += c->reload_at >= 0;
  tally->sourced += c->sourced;
  for (int i = 0; i < c->record_count; i++) tally->rollouts += c->record[i].type == OR_ROLLOUT && !c->record[i].dropped;
  tally->told += c->fact_count > 0;
  for (int i = 0; i < c->record_count; i++) tally->records += !c->record[i].dropped;
  for (int i = 0; i < count; i++) {
    const struct or_answer *a = &answer[i];
    tally->answers++;
    tally->duplicates += a->duplicate;
    tally->by_other += a->policy != 0;
    tally->conflicts += a->id_conflict && !a->duplicate;
    tally->refused += a->refused;
    tally->advised += a->advised;
    tally->uncounted += a->features_known && !a->counted;
    if (a->features_known) tally->facts_read += (uint64_t)a->facts_read;
    if (a->refused) tally->causes[a->cause]++;
    for (int n = 0; a->features_known && c->sourced && n < c->entity_count; n++) tally->standings[a->standing[n].state]++;
    for (int s = 0; a->features_known && s < c->slot_count; s++) {
      tally->values++;
      tally->nulls += a->slot[s].type == OV_NULL;
      tally->full += a->slot[s].cause == TIDE_C_capacity;
      tally->states[a->slot[s].state]++;
      const struct or_feature *f = &c->feature[c->slot[s].feature];
      tally->facts_old += f->agg == OA_FACT && a->slot[s].cause == TIDE_C_stale && a->standing[f->entity].state != TIDE_S_stale;
    }
    for (int r = 0; a->features_known && r < c->rule_count; r++) tally->unknown_truths += a->truth[r] == OR_UNKNOWN;
  }
}

static bool csv_decoder(struct run *run, struct tide_decode_options options) {
  struct tide_error error = {0};
  struct tide_buf header = TIDE_BUF_INIT;
  options.format = TIDE_FORMAT_CSV;
  or_render_csv_header(run->c, &header);
  bool good =
      tide_decoder_new(&options, &run->csv, &error) == TIDE_OK && tide_decode_header(run->csv, tide_buf_span(&header), &error) == TIDE_OK;
  tide_buf_release(&header);
  return good || fail(run, "no decoder for CSV", &error);
}

bool or_check(const struct or_case *c, struct tide_buf *out, struct or_tally *tally) {
  static struct or_answer want[OR_RECORDS_MAX];
  static struct heard heard[OR_RECORDS_MAX], heard_again[OR_RECORDS_MAX];
  static struct run run;
  run = (struct run){.c = c, .heard = heard, .heard_again = heard_again, .out = out};
  struct tide_buf file = TIDE_BUF_INIT;
  struct tide_error error = {0};
  size_t errors;
  or_render_file(c, &file);
  bool good = tide_spec_parse("oracle", tide_buf_span(&file), &run.spec, &error, 1, &errors) == TIDE_OK;
  if (!good) {
    tide_buf_printf(out, "the feature file does not parse: line %d: %s\n", error.line, error.text);
    tide_buf_release(&file);
    return false;
  }
  struct tide_secret_key key = {.bytes = {1, 2, 3}};
  tide_secret_key_seal(&key);
  struct tide_decode_options options = {.spec = run.spec, .key = &key};
  if (c->json && tide_decoder_new(&options, &run.decoder, &error)) good = fail(&run, "no decoder", &error);
  if (c->json && good) good = csv_decoder(&run, options);
  run.fold = tide_fold_new();
  good = good && fold_all(&run, tide_buf_span(&file));
  if (good) {
    struct or_end_state end;
    int count = or_recount(c, want, &end);
    good = same_answers(&run, want, count, run.heard, run.count, out) && same_totals(&run, run.fold, want, count, &end, out);
    if (good && run.reloaded &&
        !(same_answers(&run, want, count, run.heard_again, run.count_again, out) &&
          same_totals(&run, run.reloaded, want, count, &end, out))) {
      tide_buf_str(out, "(only in the fold that went through save and load)\n");
      good = false;
    }
    if (good && c->digests && run.last.seq) good = refuses_wrong_digest(&run, run.last);
    if (good && tally) {
      count_answers(c, want, count, tally);
      tally->digests += (uint64_t)run.digests;
      tally->switches += (uint64_t)run.switches;
      tally->csv += c->json;
      tally->crowded += (uint64_t)end.crowded_stubs;
      tally->moved += (uint64_t)end.moved_entities;
      tally->listed += (uint64_t)end.listed;
      tally->tiles_read += run.fold->state.tile_use.read;
      tally->tiles_mended += run.fold->state.tile_use.mended;
      tally->tiles_late += run.fold->state.tile_use.late;
    }
  }
  tide_decoder_free(run.decoder);
  tide_decoder_free(run.csv);
  tide_fold_free(run.fold);
  tide_fold_free(run.reloaded);
  tide_spec_free(run.spec);
  or_log_release(&run.log);
  tide_buf_release(&file);
  return good;
}
