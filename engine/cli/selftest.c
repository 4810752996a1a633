/* See selftest.h.
 *
 * Events of a test become CSV rows of a shape made for the purpose, in which every field and outcome column is a column of its own name; so
 * values are parsed, hashed and derived by the decoder like those of any message. List records and profiles have shapes with the same columns; what makes
 * them such stands in columns whose names no field can have. */
#include "cli/selftest.h"

#include "adapter/decode.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/key_file.h"
#include "core/fold.h"

#include <math.h>

#define BASE_MS INT64_C(1767614400000) /* 2026-01-05T12:00:00Z, a Monday */
#define ROWS_MAX 100000

struct selftest {
  const struct tide_spec *spec; /* as the analysts wrote it */
  struct tide_spec columns;     /* the same with the one shape of columns */
  struct tide_arena arena;
  struct tide_secret_key key;
  struct tide_decoder *decoder;
  const struct tide_shape *profiles; /* NULL: no facts are declared; from facts_at on its columns are facts */
  uint32_t facts_at;
  const char *path;
  FILE *out;
  bool verbose;
};

/* --- the shape of columns */

static bool dyn_is_money(uint32_t dyn) { return dyn == TIDE_DYN_amount_now; }

#define RECORD_COLUMN "#record" /* which shape: "list", "profile", or nothing */
static const char *const list_column[] = {"#list", "#expires", "#remove"};
#define LIST_COLUMNS (sizeof list_column / sizeof list_column[0])

/* Fields as optional columns, behind them what a list record is. */
static void make_list_shape(struct selftest *t, struct tide_shape *shape) {
  const struct tide_shape *events = &t->columns.shape[0];
  struct tide_input_field *in = tide_arena_alloc(&t->arena, (events->field_count + LIST_COLUMNS) * sizeof *in);
  uint32_t count = 0;
  for (uint32_t i = 0; i < events->field_count; i++)
    if (events->field[i].field != TIDE_NONE) in[count++] = events->field[i];
  static const uint32_t extra[] = {TIDE_XTRA_LIST, TIDE_XTRA_EXPIRES, TIDE_XTRA_REMOVE};
  for (uint32_t i = 0; i < 3; i++)
    in[count++] = (struct tide_input_field){
        .field = TIDE_NONE, .dyn = TIDE_NONE, .extra = extra[i], .at = list_column[i], .optional = i > 0, .time_form = TIDE_TIME_RFC3339};
  *shape = (struct tide_shape){
      .name = "lists", .type = TIDE_REC_LIST, .when_at = RECORD_COLUMN, .when_value = "list", .field = in, .field_count = count};
}

/* The column of a fact: "#card.limit". */
static const char *fact_column(struct selftest *t, const struct tide_field *fact) {
  char name[160];
  int len = snprintf(name, sizeof name, "#%s.%s", t->spec->entity[fact->fact_of].name, fact->name);
  return tide_arena_strdup(&t->arena, (struct tide_span){name, (size_t)len});
}

/* Fields as optional columns, behind them the facts of all entities. */
static void make_profile_shape(struct selftest *t, struct tide_shape *shape) {
  const struct tide_shape *events = &t->columns.shape[0];
  struct tide_input_field *in = tide_arena_alloc(&t->arena, (events->field_count + t->spec->field_count) * sizeof *in);
  uint32_t count = 0;
  for (uint32_t i = 0; i < events->field_count; i++)
    if (events->field[i].field != TIDE_NONE) in[count++] = events->field[i];
  t->facts_at = count;
  for (uint32_t i = 0; i < t->spec->field_count; i++)
    if (t->spec->field[i].fact)
      in[count++] = (struct tide_input_field){.field = i,
                                              .dyn = TIDE_NONE,
                                              .extra = TIDE_NONE,
                                              .at = fact_column(t, &t->spec->field[i]),
                                              .optional = true,
                                              .time_form = TIDE_TIME_RFC3339};
  *shape = (struct tide_shape){
      .name = "profiles", .type = TIDE_REC_PROFILE, .when_at = RECORD_COLUMN, .when_value = "profile", .field = in, .field_count = count};
  t->profiles = shape;
}

static void make_shape(struct selftest *t) {
  const struct tide_spec *spec = t->spec;
  struct tide_input_field *in = tide_arena_alloc(&t->arena, (spec->field_count + TIDE_DYN_COUNT) * sizeof *in);
  uint32_t count = 0;
  for (uint32_t i = 0; i < spec->field_count; i++) {
    if (spec->field[i].derived || spec->field[i].fact) continue;
    in[count++] = (struct tide_input_field){
        .field = i, .dyn = TIDE_NONE, .extra = TIDE_NONE, .at = spec->field[i].name, .optional = true, .time_form = TIDE_TIME_RFC3339};
  }
  for (uint32_t dyn = 0; dyn < TIDE_DYN_COUNT; dyn++) {
    if (dyn_is_money(dyn) && spec->f_amount == TIDE_NONE) continue;
    if (tide_spec_field(spec, tide_dyn_name((enum tide_dyn)dyn)) != TIDE_NONE) continue; /* a field of that name is the column */
    in[count++] = (struct tide_input_field){
        .field = TIDE_NONE, .dyn = dyn, .extra = TIDE_NONE, .at = tide_dyn_name((enum tide_dyn)dyn), .optional = true};
  }
  struct tide_shape *shape = tide_arena_alloc(&t->arena, 3 * sizeof *shape);
  shape[0] = (struct tide_shape){.name = "default", .type = TIDE_REC_EVENT, .field = in, .field_count = count};
  t->columns = *spec;
  t->columns.shape = shape;
  t->columns.shape_count = 1;
  if (spec->list_count) make_list_shape(t, &shape[t->columns.shape_count++]);
  if (spec->fact_count) make_profile_shape(t, &shape[t->columns.shape_count++]);
}

static enum tide_err header(struct selftest *t, struct tide_error *error) {
  struct tide_buf line = TIDE_BUF_INIT;
  for (uint32_t i = 0; i < t->columns.shape[0].field_count; i++)
    tide_buf_printf(&line, "%s%s", i ? "," : "", t->columns.shape[0].field[i].at);
  tide_buf_str(&line, "," RECORD_COLUMN);
  for (uint32_t i = 0; t->spec->list_count && i < LIST_COLUMNS; i++) tide_buf_printf(&line, ",%s", list_column[i]);
  for (uint32_t i = t->facts_at; t->profiles && i < t->profiles->field_count; i++) tide_buf_printf(&line, ",%s", t->profiles->field[i].at);
  enum tide_err err = tide_decode_header(t->decoder, tide_buf_span(&line), error);
  tide_buf_release(&line);
  return err;
}

/* --- one event as a row */

static const char *given(const struct tide_test_event *event, const char *name) {
  for (uint32_t i = 0; i < event->set_count; i++)
    if (strcmp(event->set[i].name, name) == 0) return event->set[i].value;
  return NULL;
}

/* The shape of the file that the event would come in: one whose `when` value the event names, else the first of events. */
static const struct tide_shape *shape_of(const struct tide_spec *spec, const struct tide_test_event *event) {
  const struct tide_shape *fallback = NULL;
  for (uint32_t i = 0; i < spec->shape_count; i++) {
    const struct tide_shape *shape = &spec->shape[i];
    if (shape->type != TIDE_REC_EVENT) continue;
    if (!fallback) fallback = shape;
    const char *kind = spec->f_kind == TIDE_NONE ? NULL : given(event, spec->field[spec->f_kind].name);
    if (shape->when_value && kind && strcmp(shape->when_value, kind) == 0) return shape;
  }
  return fallback;
}

static bool is_id(const struct tide_spec *spec, uint32_t field) {
  for (uint32_t i = 0; i < spec->id_count; i++)
    if (spec->id[i] == field) return true;
  return false;
}

/* What stands in for a required field that the test does not set; NULL when it may be missing. */
static const char *stand_in(const struct tide_spec *spec, const struct tide_shape *shape, uint32_t field, char out[128]) {
  for (uint32_t i = 0; shape && i < shape->field_count; i++) {
    const struct tide_input_field *in = &shape->field[i];
    if (in->field != field) continue;
    if (in->dflt) return in->dflt;
    if (in->optional) return NULL;
    switch ((enum tide_ftype)spec->field[field].type) {
      case TIDE_F_TEXT: snprintf(out, 128, "test-%.100s", spec->field[field].name); return out;
      case TIDE_F_NUMBER: return "0";
      case TIDE_F_BOOL: return "false";
      case TIDE_F_MONEY: return "10.00";
      case TIDE_F_TIME: return "2026-01-05T12:00:00Z";
    }
  }
  return NULL;
}

static void put_cell(struct tide_buf *row, const char *text) {
  tide_buf_char(row, '"');
  for (; *text; text++) {
    if (*text == '"') tide_buf_char(row, '"');
    tide_buf_char(row, *text);
  }
  tide_buf_char(row, '"');
}

/* Behind the columns of events: which shape it is, and what that shape has of its own. */
static void put_other_columns(const struct selftest *t, const struct tide_test_event *event, struct tide_buf *row) {
  const struct tide_spec *spec = t->spec;
  char text[TIDE_TIME_TEXT];
  tide_buf_str(row, event->list ? ",list" : event->profile ? ",profile" : ",");
  if (spec->list_count) {
    tide_buf_printf(row, ",%s,", event->list ? event->list : "");
    if (event->expires_ms) put_cell(row, tide_time_format((struct tide_etime){BASE_MS + *event->expires_ms}, text));
    tide_buf_printf(row, ",%s", event->remove ? "true" : "");
  }
  for (uint32_t i = t->facts_at; t->profiles && i < t->profiles->field_count; i++) {
    const struct tide_field *fact = &spec->field[t->profiles->field[i].field];
    const char *value = event->profile && fact->fact_of == event->entity ? given(event, fact->name) : NULL;
    tide_buf_char(row, ',');
    if (value) put_cell(row, value);
  }
}

/* A profile names its card as an event does; whatever else it would be is not looked at. */
static void put_row(struct selftest *t, const struct tide_test_event *event, int64_t time_ms, uint32_t number, struct tide_buf *row) {
  const struct tide_spec *spec = t->spec;
  bool needed[TIDE_FIELDS_MAX];
  if (event->profile) tide_spec_profile_needs(spec, event->entity, needed);
  const struct tide_shape *shape = shape_of(spec, event);
  char text[128];
  for (uint32_t i = 0; i < t->columns.shape[0].field_count; i++) {
    const struct tide_input_field *in = &t->columns.shape[0].field[i];
    if (i) tide_buf_char(row, ',');
    bool skipped = event->profile && (in->field == TIDE_NONE || !needed[in->field]);
    const char *value = skipped ? NULL : given(event, in->at);
    if (skipped) {
    } else if (value) {
      put_cell(row, value);
    } else if (in->field == spec->f_time) {
      put_cell(row, tide_time_format((struct tide_etime){time_ms}, text));
    } else if (event->list) { /* only what it says */
    } else if (in->field != TIDE_NONE && is_id(spec, in->field)) {
      snprintf(text, sizeof text, "%u", number);
      put_cell(row, text);
    } else if (in->field != TIDE_NONE) {
      value = stand_in(spec, shape, in->field, text);
      if (value) put_cell(row, value);
    }
  }
  put_other_columns(t, event, row);
}

static enum tide_err check_names(const struct selftest *t, const struct tide_test_event *event, struct tide_error *error) {
  const char *name[TIDE_FIELDS_MAX + TIDE_DYN_COUNT];
  uint32_t count = t->columns.shape[0].field_count;
  for (uint32_t i = 0; i < count; i++) name[i] = t->columns.shape[0].field[i].at;
  for (uint32_t i = 0; i < event->set_count; i++) {
    bool known = event->profile && tide_spec_fact(t->spec, event->entity, event->set[i].name) != TIDE_NONE;
    for (uint32_t k = 0; k < count && !known; k++) known = strcmp(name[k], event->set[i].name) == 0;
    if (known) continue;
    const char *nearest = tide_nearest(tide_span_of(event->set[i].name), name, count);
    return tide_fail_at(error, TIDE_E_CONFIG, event->set[i].line, event->set[i].column, event->set[i].name,
                        "a test's event cannot set %s%s%s%s", event->set[i].name,
                        nearest ? "; did you mean " : "; it is no field and no outcome column", nearest ? nearest : "", nearest ? "?" : "");
  }
  return TIDE_OK;
}

/* --- one test */

struct seen { /* the answer to the last event, copied: it dies with the callback */
  bool any, features_known;
  const struct tide_spec *spec;
  struct tide_verdict verdict;
  enum tide_status status;
  bool duplicate, id_conflict;
  struct tide_value slot[TIDE_SLOTS_MAX], *derived;
};

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct seen *seen = ctx;
  seen->any = true;
  seen->spec = answer->spec;
  seen->verdict = answer->verdict;
  seen->status = answer->status;
  seen->duplicate = answer->duplicate;
  seen->id_conflict = answer->id_conflict;
  seen->features_known = answer->features_known;
  if (!answer->features_known) return;
  memcpy(seen->slot, answer->slot, answer->spec->slot_count * sizeof seen->slot[0]);
  if (answer->spec->derived_count) memcpy(seen->derived, answer->derived, answer->spec->derived_count * sizeof *seen->derived);
}

static void value_text(const struct tide_value *value, char *out, size_t room) {
  char code[8];
  size_t len;
  switch ((enum tide_vtype)value->type) {
    case TIDE_V_NULL: snprintf(out, room, "null"); break;
    case TIDE_V_BOOL: snprintf(out, room, "%s", value->yes ? "true" : "false"); break;
    case TIDE_V_NUM: snprintf(out, room, "%.12g", value->num); break;
    case TIDE_V_TEXT:
      len = tide_text_of_code(value->code, code);
      snprintf(out, room, "%.*s", len ? (int)len : 11, len ? code : "(long text)");
      break;
  }
  size_t used = strlen(out);
  if (value->state != TIDE_S_fresh) snprintf(out + used, room - used, " (%s)", tide_vstate_name(value->state));
}

/* A number agrees when it is equal to 9 digits: people write rounded values. A word agrees with a text, null, true/false or the value's state. */
static bool agrees(const struct tide_value *value, const char *expected) {
  double num;
  if (strcmp(expected, tide_vstate_name(value->state)) == 0 && value->state != TIDE_S_fresh) return true;
  switch ((enum tide_vtype)value->type) {
    case TIDE_V_NULL: return strcmp(expected, "null") == 0 || *expected == '\0';
    case TIDE_V_BOOL: return strcmp(expected, value->yes ? "true" : "false") == 0 || strcmp(expected, value->yes ? "1" : "0") == 0;
    case TIDE_V_TEXT: return tide_text_code(tide_span_of(expected)) == value->code;
    case TIDE_V_NUM:
      if (tide_double_parse(tide_span_of(expected), &num) != TIDE_OK) return false;
      return fabs(num - value->num) <= 1e-9 * fmax(1.0, fmax(fabs(num), fabs(value->num)));
  }
  return false;
}

/* Finds what an expectation names; false when there is no such thing. */
static bool actual_of(const struct seen *seen, const char *name, const char *expected, bool *ret_agrees, char *text, size_t room) {
  const struct tide_spec *spec = seen->spec;
  const char *word = NULL;
  if (strcmp(name, "decision") == 0) word = seen->verdict.by == TIDE_BY_NONE ? "null" : spec->decision[seen->verdict.decision];
  else if (strcmp(name, "rule") == 0 || strcmp(name, "by") == 0) word = tide_verdict_by(spec, &seen->verdict);
  else if (strcmp(name, "cause") == 0) word = tide_cause_name((enum tide_cause)seen->verdict.cause);
  else if (strcmp(name, "status") == 0) word = seen->status == TIDE_STATUS_SCORED ? "scored" : "refused";
  else if (strcmp(name, "duplicate") == 0) word = seen->duplicate ? "true" : "false";
  else if (strcmp(name, "id_conflict") == 0) word = seen->id_conflict ? "true" : "false";
  if (word) {
    *ret_agrees = strcmp(word, expected) == 0;
    snprintf(text, room, "%s", word);
    return true;
  }
  const struct tide_value *value = NULL;
  uint32_t slot = tide_spec_slot(spec, name);
  if (slot != TIDE_NONE) value = &seen->slot[slot];
  for (uint32_t i = 0; !value && i < spec->derived_count; i++)
    if (strcmp(spec->derived[i].name, name) == 0) value = &seen->derived[i];
  if (!value) return false;
  if (!seen->features_known) {
    *ret_agrees = false;
    snprintf(text, room, "no features (late or duplicate)");
    return true;
  }
  *ret_agrees = agrees(value, expected);
  value_text(value, text, room);
  return true;
}

static enum tide_err compare(struct selftest *t, const struct tide_test *test, const struct seen *seen, bool *ret_passed,
                             struct tide_error *error) {
  *ret_passed = true;
  for (uint32_t i = 0; i < test->expect_count; i++) {
    const struct tide_test_pair *expect = &test->expect[i];
    char text[160];
    bool good = false;
    if (!seen->any) {
      const struct tide_test_event *last = &test->event[test->event_count - 1];
      snprintf(text, sizeof text, "no decision: %s",
               last->list      ? "a list entry stands last, and `expect` is about an event"
               : last->profile ? "a profile stands last, and `expect` is about an event"
                               : "the last event is of a kind that `score:` leaves out");
    } else if (!actual_of(seen, expect->name, expect->value, &good, text, sizeof text)) {
      return tide_fail_at(error, TIDE_E_CONFIG, expect->line, expect->column, expect->name,
                          "test \"%s\" expects %s, which is neither a feature, a derived value, decision, rule, cause nor status",
                          test->name, expect->name);
    }
    if (good) continue;
    *ret_passed = false;
    fprintf(t->out, "%s:%d: test \"%s\": %s is %s, expected %s\n", t->path, expect->line, test->name, expect->name, text, expect->value);
  }
  if (*ret_passed && t->verbose) fprintf(t->out, "ok  %s\n", test->name);
  return TIDE_OK;
}

/* Where the test says what the decoder refused, or where the event begins when it does not say it. */
struct place {
  int line, column;
};
static struct place place_of(const struct tide_test_event *event, const char *field) {
  for (uint32_t i = 0; i < event->set_count; i++)
    if (strcmp(event->set[i].name, field) == 0) return (struct place){event->set[i].line, event->set[i].column};
  return (struct place){event->line, event->column};
}

/* Each row is an entry of its own, so that the answer kept is the one to the last row. */
static enum tide_err fold_row(struct selftest *t, struct tide_fold *fold, const struct tide_test *test, const struct tide_test_event *event,
                              int64_t time_ms, uint32_t number, int64_t *commit_ms, struct seen *seen, struct tide_error *error) {
  struct tide_buf row = TIDE_BUF_INIT, entry = TIDE_BUF_INIT;
  struct tide_record *record = tide_alloc(2 * sizeof *record);
  struct tide_error why = {0};
  int count = 0;
  put_row(t, event, time_ms, number, &row);
  enum tide_err err = tide_decode(t->decoder, tide_buf_span(&row), record, &count, &why);
  if (err != TIDE_OK) {
    struct place at = place_of(event, why.field);
    err = tide_fail_at(error, TIDE_E_CONFIG, at.line, at.column, why.field, "test \"%s\": an event is not valid: %.250s", test->name,
                       why.text);
  } else {
    if (time_ms > *commit_ms) *commit_ms = time_ms;
    struct tide_entry_header header = {
        .format = TIDE_ENTRY_FORMAT, .fold = TIDE_FOLD_VERSION, .engine_id = 1, .fence_nonce = 1, .commit_ms = *commit_ms};
    struct tide_batch batch;
    tide_batch_begin(&batch, &entry, &header, NULL, 0);
    for (int i = 0; i < count && err == TIDE_OK; i++) err = tide_batch_add(&batch, &t->columns, &record[i]);
    tide_batch_end(&batch);
    seen->any = false;
    if (err == TIDE_OK) err = tide_fold_entry(fold, (struct tide_position){1, number + 1}, tide_buf_span(&entry), on_answer, seen, error);
  }
  tide_free(record);
  tide_buf_release(&entry);
  tide_buf_release(&row);
  return err;
}

static enum tide_err fold_start(struct selftest *t, struct tide_fold *fold, struct tide_error *error) {
  struct tide_entry_header header = {.format = TIDE_ENTRY_FORMAT, .fold = TIDE_FOLD_VERSION, .engine_id = 1, .fence_nonce = 1};
  struct tide_settings settings = tide_settings_default();
  settings.replay = 1;
  settings.history_from_ms = 0;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  tide_batch_begin(&batch, &entry, &header, NULL, 0);
  enum tide_err err = tide_batch_add_fence(&batch, &(struct tide_fence){.nonce = 1, .epoch = 1, .engine_id = 1});
  TIDE_CHECK(err == TIDE_OK);
  tide_batch_end(&batch);
  err = tide_fold_entry(fold, (struct tide_position){1, 0}, tide_buf_span(&entry), on_answer, NULL, error);
  if (err == TIDE_OK) {
    tide_batch_begin(&batch, &entry, &header, NULL, 0);
    err = tide_batch_add_config(&batch, &settings, (struct tide_span){t->spec->text, t->spec->text_len});
    tide_batch_end(&batch);
    if (err == TIDE_OK) err = tide_fold_entry(fold, (struct tide_position){1, 1}, tide_buf_span(&entry), on_answer, NULL, error);
  }
  tide_buf_release(&entry);
  return err;
}

static enum tide_err run_test(struct selftest *t, const struct tide_test *test, bool *ret_passed, struct tide_error *error) {
  struct tide_fold *fold = tide_fold_new();
  struct seen *seen = tide_alloc(sizeof *seen);
  seen->derived = tide_alloc((t->spec->derived_count + 1) * sizeof *seen->derived);
  int64_t commit_ms = 0;
  uint32_t number = 0;
  enum tide_err err = fold_start(t, fold, error);
  for (uint32_t i = 0; i < test->event_count && err == TIDE_OK; i++) {
    const struct tide_test_event *event = &test->event[i];
    err = check_names(t, event, error);
    uint32_t repeat = event->repeat ? event->repeat : 1;
    for (uint32_t k = 0; k < repeat && err == TIDE_OK; k++) {
      if (++number > ROWS_MAX)
        err =
            tide_fail_at(error, TIDE_E_CONFIG, test->line, test->column, NULL, "test \"%s\" has more than %d events", test->name, ROWS_MAX);
      else err = fold_row(t, fold, test, event, BASE_MS + event->at_ms + (int64_t)k * event->every_ms, number, &commit_ms, seen, error);
    }
  }
  if (err == TIDE_OK) err = compare(t, test, seen, ret_passed, error);
  tide_free(seen->derived);
  tide_free(seen);
  tide_fold_free(fold);
  return err;
}

enum tide_err tide_selftest(const struct tide_spec *spec, const char *path, bool verbose, FILE *out, struct tide_selftest_result *ret,
                            struct tide_error *error) {
  struct selftest t = {.spec = spec, .key = tide_key_development(), .path = path, .out = out, .verbose = verbose};
  struct tide_selftest_result result = {0};
  make_shape(&t);
  struct tide_decode_options options = {.spec = &t.columns, .key = &t.key, .format = TIDE_FORMAT_CSV};
  enum tide_err err = tide_decoder_new(&options, &t.decoder, error);
  if (err == TIDE_OK) err = header(&t, error);
  for (uint32_t i = 0; i < spec->test_count && err == TIDE_OK; i++) {
    bool passed = false;
    err = run_test(&t, &spec->test[i], &passed, error);
    result.run++;
    result.failed += !passed;
  }
  tide_decoder_free(t.decoder);
  tide_arena_release(&t.arena);
  if (err == TIDE_OK) *ret = result;
  return err;
}
