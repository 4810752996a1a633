/* The list of inputs (train_inputs.h).
 *
 * Lines are cut at blanks; the first word that is no setting begins the reason's text, which is the rest of the line. Every mistake names file, line
 * and what may stand there. */
#include "cli/train_inputs.h"

#include "base/num.h"
#include "cli/whole_file.h"
#include "model/definition.h"

#define FILE_MAX ((size_t)256 * 1024)

struct list {
  const char *path;
  const struct tide_spec *spec;
  struct tide_model *model;
  bool *chosen;
  int line;
  struct tide_error *error;
};

static enum tide_err add(struct list *list, struct tide_span name, struct tide_model_input **ret) {
  struct tide_model *model = list->model;
  if (model->input_count == TIDE_MODEL_INPUTS_MAX)
    return tide_fail_at(list->error, TIDE_E_LIMIT, list->line, 0, "inputs",
                        "a model reads at most %d inputs; choose them with --inputs FILE", TIDE_MODEL_INPUTS_MAX);
  struct tide_model_input *input = &model->input[model->input_count];
  *input = (struct tide_model_input){.feature = tide_arena_strdup(&model->arena, name)};
  for (uint32_t i = 0; i < model->input_count; i++)
    if (strcmp(model->input[i].feature, input->feature) == 0)
      return tide_fail_at(list->error, TIDE_E_DUPLICATE_KEY, list->line, 0, input->feature, "%s stands there twice", input->feature);
  struct tide_error why = {0};
  enum tide_err err = tide_input_find(list->spec, input->feature, &input->leaf, &why);
  if (err) return tide_fail_at(list->error, err, list->line, 0, why.field, "%s", why.text);
  struct tide_buf text = TIDE_BUF_INIT;
  tide_input_define(list->spec, &input->leaf, &text);
  input->definition = tide_arena_strdup(&model->arena, tide_buf_span(&text));
  tide_buf_clear(&text);
  tide_buf_printf(&text, "%s is {value}", input->feature);
  input->code = input->feature;
  input->text = tide_arena_strdup(&model->arena, tide_buf_span(&text));
  tide_buf_release(&text);
  double bound = tide_input_bound(list->spec, &input->leaf);
  if (bound > 0) {
    input->transform = TIDE_TRANSFORM_CLIP;
    input->hi = bound;
  }
  list->chosen[model->input_count++] = bound > 0;
  *ret = input;
  return TIDE_OK;
}

static enum tide_err everything(struct list *list) {
  const struct tide_spec *spec = list->spec;
  struct tide_model_input *input;
  enum tide_err err = TIDE_OK;
  for (uint32_t i = 0; i < spec->slot_count && !err; i++)
    if (spec->slot[i].type != TIDE_V_TEXT) err = add(list, tide_span_of(spec->slot[i].name), &input);
  for (uint32_t i = 0; i < spec->derived_count && !err; i++)
    if (spec->derived[i].expr->type != TIDE_V_TEXT) err = add(list, tide_span_of(spec->derived[i].name), &input);
  return err;
}

/* ---- the file ---- */

static struct tide_span next_word(struct tide_span *rest) {
  while (rest->len && (*rest->ptr == ' ' || *rest->ptr == '\t')) rest->ptr++, rest->len--;
  struct tide_span word = {rest->ptr, 0};
  while (word.len < rest->len && rest->ptr[word.len] != ' ' && rest->ptr[word.len] != '\t') word.len++;
  rest->ptr += word.len;
  rest->len -= word.len;
  return word;
}

static enum tide_err bad(struct list *list, struct tide_span word, const char *what) {
  return tide_fail_at(list->error, TIDE_E_TYPE, list->line, 0, "inputs", "\"%.*s\": %s", (int)(word.len > 80 ? 80 : word.len), word.ptr,
                      what);
}

/* transform=none|log1p|clip:LO:HI */
static enum tide_err set_transform(struct list *list, struct tide_span word, struct tide_span value, struct tide_model_input *input) {
  list->chosen[list->model->input_count - 1] = true;
  input->transform = TIDE_TRANSFORM_NONE;
  if (tide_span_is(value, "none")) return TIDE_OK;
  if (tide_span_is(value, "log1p")) {
    input->transform = TIDE_TRANSFORM_LOG1P;
    return TIDE_OK;
  }
  if (value.len > 5 && memcmp(value.ptr, "clip:", 5) == 0) {
    struct tide_span lo = {value.ptr + 5, value.len - 5};
    const char *colon = memchr(lo.ptr, ':', lo.len);
    if (colon) {
      struct tide_span hi = {colon + 1, (size_t)(lo.ptr + lo.len - colon) - 1};
      lo.len = (size_t)(colon - lo.ptr);
      input->transform = TIDE_TRANSFORM_CLIP;
      if (!tide_double_parse(lo, &input->lo) && !tide_double_parse(hi, &input->hi) && input->lo < input->hi) return TIDE_OK;
    }
  }
  return bad(list, word, "a transform is none, log1p or clip:LO:HI with LO below HI");
}

/* False when the word is no setting: the reason begins with it. */
static bool setting(struct list *list, struct tide_span word, struct tide_model_input *input, enum tide_err *ret) {
  static const char *const names[] = {"absent=", "empty=", "transform="};
  for (int i = 0; i < 3; i++) {
    size_t len = strlen(names[i]);
    if (word.len < len || memcmp(word.ptr, names[i], len) != 0) continue;
    struct tide_span value = {word.ptr + len, word.len - len};
    if (i == 2) {
      *ret = set_transform(list, word, value, input);
      return true;
    }
    double number;
    *ret = tide_double_parse(value, &number) ? bad(list, word, "a number must stand behind the =") : TIDE_OK;
    if (*ret) return true;
    if (i == 0) input->has_absent = true, input->absent = number;
    else input->has_empty = true, input->empty = number;
    return true;
  }
  return false;
}

static enum tide_err read_line(struct list *list, struct tide_span line) {
  if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
  struct tide_span name = next_word(&line);
  if (!name.len || *name.ptr == '#') return TIDE_OK;
  struct tide_model_input *input = NULL;
  enum tide_err err = add(list, name, &input);
  while (!err) {
    struct tide_span before = line, word = next_word(&line);
    if (!word.len) break;
    if (setting(list, word, input, &err)) continue;
    while (*before.ptr == ' ' || *before.ptr == '\t') before.ptr++, before.len--;
    if (before.len > 1000) return bad(list, word, "the reason is longer than 1000 bytes");
    input->text = tide_arena_strdup(&list->model->arena, before);
    break;
  }
  return err;
}

static enum tide_err read_file(struct list *list) {
  struct tide_buf text = TIDE_BUF_INIT;
  enum tide_err err = tide_file_read(list->path, FILE_MAX, &text, list->error);
  for (size_t at = 0; at < text.len && !err;) {
    const char *end = memchr(text.ptr + at, '\n', text.len - at);
    size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
    list->line++;
    err = read_line(list, (struct tide_span){text.ptr + at, len});
    at += len + 1;
  }
  tide_buf_release(&text);
  return err;
}

enum tide_err tide_train_inputs(const char *path, const struct tide_spec *spec, struct tide_model *model,
                                bool ret_chosen[TIDE_MODEL_INPUTS_MAX], struct tide_error *error) {
  struct tide_error why = {0};
  struct list list = {.path = path, .spec = spec, .model = model, .chosen = ret_chosen, .error = &why};
  model->input = tide_arena_alloc(&model->arena, TIDE_MODEL_INPUTS_MAX * sizeof *model->input);
  enum tide_err err = path ? read_file(&list) : everything(&list);
  if (!err && !model->input_count) err = tide_fail(&why, TIDE_E_CONFIG, "there is no input to train on");
  if (!err) model->bound = true;
  if (err && path && why.line) return tide_fail_at(error, err, why.line, 0, why.field, "%.120s, line %d: %.240s", path, why.line, why.text);
  if (err && error) *error = why;
  return err;
}
