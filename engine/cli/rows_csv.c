/* Writing and reading rows (rows_csv.h).
 *
 * No value has a comma, a quote or a line break in it, so a line is cut at its commas. Reading takes columns by name, because files come back from other
 * programs with columns added or moved. */
#include "cli/rows_csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/file.h"
#include "adapter/text_out.h"
#include "base/json_out.h"
#include "base/num.h"

static const char *const first_columns[] = {"set", "event", "card", "time_ms", "fraud", "score"};
enum { SET, EVENT, CARD, TIME, FRAUD, SCORE, FIRST_COUNT };

/* ---- writing ---- */

static void put_hash(const struct tide_keys *keys, const char *what, uint64_t lo, uint64_t hi, struct tide_buf *out) {
  char bytes[32] = {0};
  struct tide_u128 hash = {lo, hi};
  snprintf(bytes, 16, "row %s", what); /* so that it is no hash of anything else under this key */
  memcpy(bytes + 16, &lo, sizeof lo);
  memcpy(bytes + 24, &hi, sizeof hi);
  if (keys->has_now) hash = tide_secret_hash(&keys->now, (struct tide_span){bytes, sizeof bytes});
  tide_buf_printf(out, "%016llx%016llx", (unsigned long long)hash.hi, (unsigned long long)hash.lo);
}

static void put_header(const struct tide_model *model, bool states, const struct tide_rows_csv_options *options, struct tide_buf *out) {
  if (!options->values_only) {
    tide_buf_str(out, options->sets ? "set,time_ms,fraud," : "event,card,time_ms,fraud,");
    if (options->score) tide_buf_str(out, "score,");
  }
  for (uint32_t i = 0; i < model->input_count; i++) {
    tide_buf_printf(out, "%s%s", i ? "," : "", model->input[i].feature);
    if (states) tide_buf_printf(out, ",%s:state", model->input[i].feature);
  }
  tide_buf_char(out, '\n');
}

static void put_values(const struct tide_rows *rows, size_t r, struct tide_buf *out, struct tide_buf *number) {
  for (uint32_t i = 0; i < rows->inputs; i++) {
    size_t at = r * rows->inputs + i;
    bool there = rows->cause[at] == TIDE_C_none;
    if (i) tide_buf_char(out, ',');
    tide_buf_clear(number);
    if (there) tide_json_double(number, rows->x[at]); /* puts a comma behind what stands there */
    tide_buf_put(out, number->ptr, number->len);
    if (rows->state)
      tide_buf_printf(out, ",%s",
                      there                             ? tide_vstate_name((enum tide_vstate)rows->state[at])
                      : rows->cause[at] == TIDE_C_empty ? "empty"
                                                        : "absent");
  }
  tide_buf_char(out, '\n');
}

static void put_row(const struct tide_train_set *set, const struct tide_tally_row *decided, const struct tide_rows_csv_options *options,
                    size_t r, struct tide_buf *out) {
  const struct tide_rows *rows = &set->rows;
  const struct tide_tally_row *row = &decided[rows->number[r]];
  if (options->sets) {
    tide_buf_str(out, r >= options->test ? "test," : r >= options->train ? "gap," : "train,");
  } else {
    put_hash(options->keys, "event", row->id_lo, row->id_hi, out);
    tide_buf_char(out, ',');
    if (row->card) put_hash(options->keys, "card", row->card, 0, out);
    tide_buf_char(out, ',');
  }
  tide_buf_printf(out, "%lld,%d,", (long long)rows->time_ms[r], rows->fraud[r]);
  if (options->score) tide_buf_printf(out, "%.6f,", options->score[r]);
}

enum tide_err tide_rows_csv_write(const struct tide_train_set *set, const struct tide_rows_csv_options *options, struct tide_error *error) {
  const struct tide_model *model = set->model;
  for (uint32_t i = 0; i < model->input_count; i++)
    for (int k = 0; k < FIRST_COUNT; k++)
      if (strcmp(model->input[i].feature, first_columns[k]) == 0)
        return tide_fail_at(
            error, TIDE_E_CONFIG, 0, 0, model->input[i].feature,
            "the value \"%s\" is named like a column that says something of the row: rename it, or leave it out with --inputs",
            model->input[i].feature);
  struct tide_text_out *file;
  enum tide_err err = tide_text_out_open(options->path, &file, error);
  if (err) return err;
  size_t count;
  const struct tide_tally_row *decided = tide_tally_rows(set->tally, &count);
  struct tide_buf line = TIDE_BUF_INIT, number = TIDE_BUF_INIT;
  put_header(model, set->rows.state != NULL, options, &line);
  for (size_t r = 0; r < set->rows.count && !err; r++) {
    if (!options->values_only) put_row(set, decided, options, r, &line);
    put_values(&set->rows, r, &line, &number);
    if (line.len < 65536) continue;
    err = tide_text_out_put(file, tide_buf_span(&line), error);
    tide_buf_clear(&line);
  }
  if (!err) err = tide_text_out_put(file, tide_buf_span(&line), error);
  tide_buf_release(&line);
  tide_buf_release(&number);
  struct tide_error later = {0};
  enum tide_err closed = tide_text_out_close(file, err ? &later : error);
  return err ? err : closed;
}

/* ---- reading ---- */

struct csv {
  const char *path;
  const struct tide_model *model;
  struct tide_rows *rows;
  double *score;
  uint32_t *meaning; /* of each column: input * 2, input * 2 + 1 for its state, FIRST + k, or NONE */
  uint32_t columns;
  uint64_t line;
  struct tide_error *error;
};
#define FIRST 100000u

static enum tide_err bad(const struct csv *csv, enum tide_err code, const char *column, const char *what) {
  return tide_fail_at(csv->error, code, 0, 0, column, "%.200s, line %llu: %.60s %s", csv->path, (unsigned long long)csv->line, column,
                      what);
}

/* Cuts the next cell off; false when there is none. */
static bool next_cell(struct tide_span *rest, bool *more, struct tide_span *ret) {
  if (!*more) return false;
  const char *comma = rest->len ? memchr(rest->ptr, ',', rest->len) : NULL;
  size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
  *ret = (struct tide_span){rest->ptr, len};
  *more = comma != NULL;
  if (comma) *rest = (struct tide_span){comma + 1, rest->len - len - 1};
  return true;
}

static uint32_t meaning_of(const struct tide_model *model, struct tide_span name, bool *seen_value) {
  for (uint32_t k = 0; k < FIRST_COUNT && !*seen_value; k++)
    if (tide_span_is(name, first_columns[k])) return FIRST + k;
  static const char suffix[] = ":state";
  size_t tail = sizeof suffix - 1;
  bool state = name.len > tail && memcmp(name.ptr + name.len - tail, suffix, tail) == 0;
  if (state) name.len -= tail;
  for (uint32_t i = 0; i < model->input_count; i++) {
    if (!tide_span_is(name, model->input[i].feature)) continue;
    *seen_value = true;
    return i * 2 + state;
  }
  return TIDE_NONE;
}

static enum tide_err read_header(struct csv *csv, struct tide_span line) {
  bool more = true, seen_value = false, there[TIDE_MODEL_INPUTS_MAX] = {false};
  struct tide_span cell, rest = line;
  uint32_t count = 1;
  for (size_t i = 0; i < line.len; i++) count += line.ptr[i] == ',';
  csv->meaning = tide_alloc(count * sizeof *csv->meaning);
  while (next_cell(&rest, &more, &cell)) {
    uint32_t meaning = meaning_of(csv->model, cell, &seen_value);
    csv->meaning[csv->columns++] = meaning;
    if (meaning >= FIRST || meaning % 2) continue;
    if (there[meaning / 2]) return bad(csv, TIDE_E_DUPLICATE_KEY, csv->model->input[meaning / 2].feature, "stands there twice");
    there[meaning / 2] = true;
  }
  for (uint32_t i = 0; i < csv->model->input_count; i++)
    if (!there[i]) return bad(csv, TIDE_E_MISSING, csv->model->input[i].feature, "is an input of the model and has no column");
  return TIDE_OK;
}

/* What stands in the row itself. */
static enum tide_err read_first(struct csv *csv, uint32_t column, struct tide_span cell, size_t r) {
  double number = 0;
  if (column != TIME && column != FRAUD && column != SCORE) return TIDE_OK;
  if (tide_double_parse(cell, &number)) return bad(csv, TIDE_E_TYPE, first_columns[column], "must be a number");
  if (column == SCORE) csv->score[r] = number;
  else if (column == FRAUD) csv->rows->fraud[r] = number > 0;
  else if (tide_int_parse(cell, &csv->rows->time_ms[r]))
    return bad(csv, TIDE_E_TYPE, first_columns[column], "must be a whole number of milliseconds");
  return TIDE_OK;
}

static enum tide_err read_row(struct csv *csv, struct tide_span line) {
  size_t r = tide_rows_add(csv->rows), at = r * csv->rows->inputs;
  uint32_t column = 0;
  bool more = true;
  struct tide_span cell;
  csv->score = tide_realloc(csv->score, csv->rows->cap * sizeof *csv->score);
  csv->score[r] = (double)NAN;
  bool stated[TIDE_MODEL_INPUTS_MAX] = {false};
  enum tide_err err = TIDE_OK;
  while (!err && next_cell(&line, &more, &cell)) {
    if (column == csv->columns) return bad(csv, TIDE_E_SYNTAX, "the row", "has more cells than the header");
    uint32_t meaning = csv->meaning[column++];
    if (meaning == TIDE_NONE) continue;
    if (meaning >= FIRST) {
      err = read_first(csv, meaning - FIRST, cell, r);
      continue;
    }
    uint32_t i = meaning / 2;
    if (meaning % 2) {
      stated[i] = true;
      if (tide_span_is(cell, "empty") && csv->rows->cause[at + i]) csv->rows->cause[at + i] = TIDE_C_empty;
    } else if (cell.len) {
      csv->rows->cause[at + i] = TIDE_C_none;
      if (tide_double_parse(cell, &csv->rows->x[at + i]))
        err = bad(csv, TIDE_E_TYPE, csv->model->input[i].feature, "must be a number or empty");
    }
  }
  if (!err && column < csv->columns) err = bad(csv, TIDE_E_SYNTAX, "the row", "has fewer cells than the header");
  for (uint32_t i = 0; i < csv->rows->inputs && !err; i++) {
    const struct tide_model_input *input = &csv->model->input[i];
    if (csv->rows->cause[at + i] && !stated[i] && input->absent != input->empty)
      err = bad(csv, TIDE_E_MISSING, input->feature,
                "is not there, and the model imputes absent and empty differently: write the file with --states");
  }
  return err;
}

enum tide_err tide_rows_csv_read(const char *path, const struct tide_model *model, struct tide_rows *ret, double **ret_score,
                                 struct tide_error *error) {
  struct csv csv = {.path = path, .model = model, .rows = ret, .error = error};
  struct tide_source *source;
  tide_rows_init(ret, model->input_count);
  enum tide_err err = tide_source_file_open(&path, 1, 0, &source, error);
  if (err) return err;
  err = source->ops->seek(source, 0, 0, 0, error);
  while (!err) {
    struct tide_message message;
    err = source->ops->next(source, &message, error);
    if (err) break;
    if (message.kind != TIDE_MESSAGE_DATA) continue;
    struct tide_span line = message.bytes;
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    csv.line = message.offset;
    err = csv.columns ? read_row(&csv, line) : read_header(&csv, line);
  }
  source->ops->close(source);
  tide_free(csv.meaning);
  if (err == TIDE_E_END) err = csv.columns ? TIDE_OK : tide_fail(error, TIDE_E_SYNTAX, "%.200s is empty: a header line is missing", path);
  if (err) {
    tide_rows_release(ret);
    tide_free(csv.score);
    return err;
  }
  *ret_score = csv.score;
  return TIDE_OK;
}
