/* Differences between versions (registry_diff.h).
 *
 * Lines: what the two have in common at both ends is passed over, the rest is aligned by its longest common subsequence (the textbook table); texts that differ in more lines
 * than the table has room for are shown as one whole gone and one whole new. */
#include "cli/registry_diff.h"

#include "model/definition.h"

#define TABLE_MAX (16u << 20)

/* ---- models ---- */

static const struct tide_model_input *find_input(const struct tide_model *model, const char *feature) {
  for (uint32_t i = 0; i < model->input_count; i++)
    if (strcmp(model->input[i].feature, feature) == 0) return &model->input[i];
  return NULL;
}

static uint32_t diff_number(const char *what, const char *of, double a, double b, struct tide_buf *out) {
  if (a == b) return 0;
  tide_buf_printf(out, "  %s%s%s: %.9g -> %.9g\n", of, of[0] ? " " : "", what, a, b);
  return 1;
}

static uint32_t diff_text(const char *what, const char *of, const char *a, const char *b, struct tide_buf *out) {
  if (strcmp(a, b) == 0) return 0;
  tide_buf_printf(out, "  %s%s%s:\n  - %s\n  + %s\n", of, of[0] ? " " : "", what, a, b);
  return 1;
}

static uint32_t diff_inputs(const struct tide_model_input *a, const struct tide_model_input *b, struct tide_buf *out) {
  const char *name = a->feature;
  uint32_t n = diff_text("definition", name, a->definition, b->definition, out);
  n += diff_number("coefficient", name, a->coefficient, b->coefficient, out);
  n += diff_text("transform", name, tide_transform_name((enum tide_transform)a->transform),
                 tide_transform_name((enum tide_transform)b->transform), out);
  n += diff_number("clip from", name, a->lo, b->lo, out);
  n += diff_number("clip to", name, a->hi, b->hi, out);
  n += diff_number("mean", name, a->mean, b->mean, out);
  n += diff_number("scale", name, a->scale, b->scale, out);
  n += diff_number("imputed", name, a->median, b->median, out);
  n += diff_number("imputed when absent", name, a->absent, b->absent, out);
  n += diff_number("imputed when empty", name, a->empty, b->empty, out);
  n += diff_text("reason", name, a->code, b->code, out);
  return n + diff_text("reason's text", name, a->text, b->text, out);
}

uint32_t tide_diff_models(const struct tide_model *a, const struct tide_model *b, struct tide_buf *out) {
  uint32_t n = diff_text("name", "", a->name, b->name, out) + diff_text("version", "", a->version, b->version, out);
  n += diff_text("feature file", "", a->features, b->features, out);
  n += diff_number("rows of training", "", (double)a->rows, (double)b->rows, out);
  n += diff_number("ROC AUC", "", a->roc_auc, b->roc_auc, out);
  n += diff_number("average precision", "", a->average_precision, b->average_precision, out);
  n += diff_number("intercept", "", a->intercept, b->intercept, out);
  for (uint32_t i = 0; i < a->input_count; i++) {
    const struct tide_model_input *other = find_input(b, a->input[i].feature);
    if (other) n += diff_inputs(&a->input[i], other, out);
    else tide_buf_printf(out, "- input %s, coefficient %.9g\n", a->input[i].feature, a->input[i].coefficient);
    n += !other;
  }
  for (uint32_t i = 0; i < b->input_count; i++) {
    if (find_input(a, b->input[i].feature)) continue;
    tide_buf_printf(out, "+ input %s, coefficient %.9g\n", b->input[i].feature, b->input[i].coefficient);
    n++;
  }
  return n;
}

/* ---- definitions ---- */

/* False: the file has no such value, or it is a text, which no model reads. */
static bool define(const struct tide_spec *spec, const char *name, struct tide_buf *out) {
  struct tide_expr leaf;
  tide_buf_clear(out);
  if (tide_input_find(spec, name, &leaf, NULL) != TIDE_OK) return false;
  tide_input_define(spec, &leaf, out);
  return true;
}

static uint32_t diff_value(const struct tide_spec *a, const struct tide_spec *b, const char *name, bool both, struct tide_buf *out) {
  struct tide_buf x = TIDE_BUF_INIT, y = TIDE_BUF_INIT;
  bool in_a = define(a, name, &x), in_b = define(b, name, &y);
  bool changed = in_a && in_b && both && !tide_span_eq(tide_buf_span(&x), tide_buf_span(&y));
  if ((in_a && !in_b) || changed) tide_buf_printf(out, "- %.*s\n", (int)x.len, x.ptr);
  if ((in_b && !in_a) || changed) tide_buf_printf(out, "+ %.*s\n", (int)y.len, y.ptr);
  tide_buf_release(&x);
  tide_buf_release(&y);
  return in_a != in_b || changed;
}

uint32_t tide_diff_definitions(const struct tide_spec *a, const struct tide_spec *b, struct tide_buf *out) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < a->slot_count; i++) n += diff_value(a, b, a->slot[i].name, true, out);
  for (uint32_t i = 0; i < a->derived_count; i++) n += diff_value(a, b, a->derived[i].name, true, out);
  for (uint32_t i = 0; i < b->slot_count; i++) n += diff_value(a, b, b->slot[i].name, false, out);
  for (uint32_t i = 0; i < b->derived_count; i++) n += diff_value(a, b, b->derived[i].name, false, out);
  return n;
}

/* ---- lines ---- */

struct lines {
  struct tide_span *line;
  size_t count;
};

static struct lines split(struct tide_span text) {
  struct lines lines = {0};
  size_t cap = 0;
  for (size_t at = 0; at < text.len;) {
    const char *end = memchr(text.ptr + at, '\n', text.len - at);
    size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
    if (lines.count == cap) lines.line = tide_realloc(lines.line, (cap = cap ? 2 * cap : 256) * sizeof *lines.line);
    lines.line[lines.count++] = (struct tide_span){text.ptr + at, len};
    at += len + 1;
  }
  return lines;
}

static void put_line(struct tide_buf *out, char sign, struct tide_span line) {
  tide_buf_printf(out, "%c ", sign);
  tide_buf_put(out, line.ptr, line.len);
  tide_buf_char(out, '\n');
}

/* table[i * (m + 1) + j]: the longest common subsequence of a[i..n) and b[j..m). */
static uint32_t diff_middle(const struct tide_span *a, size_t n, const struct tide_span *b, size_t m, struct tide_buf *out) {
  uint32_t count = 0;
  size_t i = 0, j = 0;
  bool fits = (n + 1) * (m + 1) <= TABLE_MAX;
  uint32_t *table = fits ? tide_alloc((n + 1) * (m + 1) * sizeof *table) : NULL;
  for (size_t x = n; fits && x-- > 0;)
    for (size_t y = m; y-- > 0;) {
      uint32_t down = table[(x + 1) * (m + 1) + y], right = table[x * (m + 1) + y + 1];
      table[x * (m + 1) + y] = tide_span_eq(a[x], b[y]) ? table[(x + 1) * (m + 1) + y + 1] + 1 : down > right ? down : right;
    }
  while (i < n || j < m) {
    if (fits && i < n && j < m && tide_span_eq(a[i], b[j])) {
      i++;
      j++;
      continue;
    }
    bool gone = i < n && (j == m || !fits || table[(i + 1) * (m + 1) + j] >= table[i * (m + 1) + j + 1]);
    put_line(out, gone ? '-' : '+', gone ? a[i++] : b[j++]);
    count++;
  }
  tide_free(table);
  return count;
}

uint32_t tide_diff_lines(struct tide_span a, struct tide_span b, struct tide_buf *out) {
  struct lines x = split(a), y = split(b);
  size_t head = 0, tail = 0;
  while (head < x.count && head < y.count && tide_span_eq(x.line[head], y.line[head])) head++;
  while (tail < x.count - head && tail < y.count - head && tide_span_eq(x.line[x.count - 1 - tail], y.line[y.count - 1 - tail])) tail++;
  uint32_t count = 0;
  if (x.count + y.count > 2 * (head + tail))
    count = diff_middle(x.line ? x.line + head : NULL, x.count - head - tail, y.line ? y.line + head : NULL, y.count - head - tail, out);
  tide_free(x.line);
  tide_free(y.line);
  return count;
}
