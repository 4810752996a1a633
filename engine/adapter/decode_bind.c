/* Binding: from the names in the feature file's `inputs:` to places in a message, once per decoder.
 *
 * Places of all shapes are collected without repetition, because a reader captures them in one pass before the shape is known. A place is
 * secret when any shape reads a secret field there, even if another shape reads it as something harmless: what is masked and what an
 * error may quote must not depend on which shape a broken message meant. */
#include "adapter/decode_parts.h"

#include "base/utf8.h"

static const char *const extra_name[TIDE_XTRA_COUNT] = {
    [TIDE_XTRA_RATE_CURRENCY] = "currency", [TIDE_XTRA_RATE] = "rate",     [TIDE_XTRA_LIST] = "list",
    [TIDE_XTRA_EXPIRES] = "expires",        [TIDE_XTRA_REMOVE] = "remove", [TIDE_XTRA_SOURCE] = "source"};

/* RFC 6901: "~1" is "/", "~0" is "~". NULL when another character follows the tilde. */
static const char *unescape(struct tide_arena *arena, struct tide_span s, struct tide_span *ret) {
  char *out = tide_arena_alloc(arena, s.len + 1);
  size_t len = 0;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (c == '~') {
      if (i + 1 == s.len || (s.ptr[i + 1] != '0' && s.ptr[i + 1] != '1')) return NULL;
      c = s.ptr[++i] == '0' ? '~' : '/';
    }
    out[len++] = c;
  }
  *ret = (struct tide_span){out, len};
  return out;
}

static enum tide_err place_of(struct tide_decoder *d, const char *at, const char *name, int line, int column, uint32_t *ret,
                              struct tide_error *error) {
  struct tide_place place = {.segment = tide_arena_alloc(&d->arena, TIDE_DEPTH_MAX * sizeof *place.segment)};
  if (at[0] != '/') {
    if (!at[0])
      return tide_fail_at(error, TIDE_E_CONFIG, line, column, name, "the place of %s is empty; write /member or a column name", name);
    place.segment[place.segment_count++] = tide_span_of(tide_arena_strdup(&d->arena, tide_span_of(at)));
  }
  for (const char *p = at; *p == '/';) {
    const char *end = strchrnul(p + 1, '/');
    if (place.segment_count == TIDE_DEPTH_MAX)
      return tide_fail_at(error, TIDE_E_CONFIG, line, column, name, "%s is deeper than %d levels", at, TIDE_DEPTH_MAX);
    if (!unescape(&d->arena, (struct tide_span){p + 1, (size_t)(end - p - 1)}, &place.segment[place.segment_count++]))
      return tide_fail_at(error, TIDE_E_CONFIG, line, column, name, "%s: in a JSON pointer write ~0 for \"~\" and ~1 for \"/\"", at);
    p = end;
  }
  for (uint32_t i = 0; i < d->place_count; i++) {
    bool same = d->place[i].segment_count == place.segment_count;
    for (uint32_t k = 0; same && k < place.segment_count; k++) same = tide_span_eq(d->place[i].segment[k], place.segment[k]);
    if (!same) continue;
    *ret = i;
    return TIDE_OK;
  }
  if (d->place_count == d->place_cap) {
    d->place_cap = d->place_cap ? d->place_cap * 2 : 64;
    d->place = tide_realloc(d->place, d->place_cap * sizeof *d->place);
  }
  *ret = d->place_count;
  d->place[d->place_count++] = place;
  return TIDE_OK;
}

static enum tide_err bind_field(struct tide_decoder *d, const struct tide_shape *shape, const struct tide_input_field *in,
                                struct tide_bound *b, struct tide_error *error) {
  const struct tide_spec *spec = d->spec;
  TIDE_CHECK((in->field != TIDE_NONE) + (in->dyn != TIDE_NONE) + (in->extra != TIDE_NONE) == 1);
  TIDE_CHECK(in->field == TIDE_NONE || in->field < spec->field_count);
  *b = (struct tide_bound){.in = in, .currency = TIDE_NONE, .optional = in->optional};
  b->name = in->field != TIDE_NONE ? spec->field[in->field].name
            : in->dyn != TIDE_NONE ? tide_dyn_name((enum tide_dyn)in->dyn)
                                   : extra_name[in->extra];
  /* A history row without a result is a pending transaction; a list record carries only the fields of its own list. */
  if (shape->type == TIDE_REC_EVENT && in->dyn != TIDE_NONE) b->optional = true;
  if (shape->type == TIDE_REC_PROFILE && in->field != TIDE_NONE && spec->field[in->field].fact)
    b->optional = true; /* tells what it tells */
  if (shape->type == TIDE_REC_LIST && in->field != TIDE_NONE) b->optional = true;
  bool is_time = in->field != TIDE_NONE && in->field == spec->f_time && shape->type != TIDE_REC_HEARTBEAT;
  if (d->options.all_optional || (d->options.time_optional && is_time)) b->optional = true;
  b->may_lack = b->optional && !in->dflt;
  b->as_is = !in->map_count && !(in->field != TIDE_NONE && spec->field[in->field].secret);
  b->is_text = b->as_is && in->field != TIDE_NONE && spec->field[in->field].type == TIDE_F_TEXT;
  enum tide_err err = place_of(d, in->at, b->name, in->line, in->column, &b->at, error);
  if (!err && in->currency) err = place_of(d, in->currency, b->name, in->line, in->column, &b->currency, error);
  if (!err && in->field != TIDE_NONE && spec->field[in->field].secret) d->place[b->at].secret = true;
  return err;
}

/* How a shape writes its event time. */
static uint8_t time_form_of(const struct tide_spec *spec, const struct tide_shape *shape) {
  for (uint32_t k = 0; k < shape->field_count; k++)
    if (shape->field[k].field == spec->f_time) return shape->field[k].time_form;
  return TIDE_TIME_RFC3339;
}

enum tide_err tide_decode_bind(struct tide_decoder *d, struct tide_error *error) {
  const struct tide_spec *spec = d->spec;
  d->shape = tide_arena_alloc(&d->arena, (spec->shape_count + 1) * sizeof *d->shape);
  const char *base = d->options.shape ? d->options.shape : "default";
  const char *name[64];
  uint32_t name_count = 0, whens = 0;
  d->base = TIDE_NONE;
  for (uint32_t i = 0; i < spec->shape_count; i++) {
    const struct tide_shape *shape = &spec->shape[i];
    struct tide_bound_shape *s = &d->shape[i];
    *s = (struct tide_bound_shape){.shape = shape, .when = TIDE_NONE, .known_at = TIDE_NONE, .bound_count = shape->field_count};
    s->bound = tide_arena_alloc(&d->arena, (shape->field_count + 1) * sizeof *s->bound);
    for (uint32_t k = 0; k < shape->field_count; k++) {
      enum tide_err err = bind_field(d, shape, &shape->field[k], &s->bound[k], error);
      if (err) return err;
    }
    const char *known_at = !d->options.known_at ? NULL : d->options.known_at_place ? d->options.known_at_place : shape->known_at;
    if (known_at) {
      enum tide_err err = place_of(d, known_at, "known_at", shape->line, shape->column, &s->known_at, error);
      if (err) return err;
      s->known_at_form = shape->known_at ? shape->known_at_form : time_form_of(spec, shape);
    }
    if (shape->when_at) {
      enum tide_err err = place_of(d, shape->when_at, shape->name, shape->line, shape->column, &s->when, error);
      if (err) return err;
      whens++;
    }
    if (strcmp(shape->name, base) == 0) d->base = i;
    if (name_count < 64) name[name_count++] = shape->name;
  }
  d->beside = TIDE_NONE;
  if (d->options.beside) {
    enum tide_err err = place_of(d, d->options.beside, "", 0, 0, &d->beside, error);
    if (err) return err;
  }
  for (uint32_t i = 0; i < spec->shape_count; i++)
    for (uint32_t k = 0; k < d->shape[i].bound_count; k++) d->shape[i].bound[k].secret = d->place[d->shape[i].bound[k].at].secret;
  if (d->base == TIDE_NONE && (d->options.shape || whens == 0)) {
    const char *near = tide_nearest(tide_span_of(base), name, name_count);
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "inputs", "the feature file has no shape \"%s\" under `inputs:`%s%s%s", base,
                        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
  }
  return TIDE_OK;
}

/* --- the CSV header */

static bool has_column(const struct tide_decoder *d, uint32_t place) { return d->reader->ops->column(d->reader, place) != TIDE_NONE; }

/* `name` is read from `at`, as line and column_no of the feature file say. */
static enum tide_err need_column(struct tide_decoder *d, const struct tide_shape *shape, const char *name, int line, int column_no,
                                 const char *at, uint32_t place, bool required, struct tide_error *error) {
  if (d->place[place].segment_count > 1)
    return tide_fail_at(error, TIDE_E_CONFIG, line, column_no, name,
                        "shape \"%s\" reads %s from %s, below the top level; CSV has columns only: name one", shape->name, name, at);
  if (!required || has_column(d, place)) return TIDE_OK;
  size_t count;
  const char *const *column = d->reader->ops->columns(d->reader, &count);
  const char *near = tide_nearest(d->place[place].segment[0], column, count);
  return tide_fail_at(error, TIDE_E_MISSING, 0, 0, name, "the header has no column \"%.*s\", which shape \"%s\" needs for %s%s%s%s",
                      TIDE_SPAN_FMT(tide_clip(d->place[place].segment[0])), shape->name, name, near ? "; did you mean \"" : "",
                      near ? near : "", near ? "\"?" : "");
}

enum tide_err tide_decode_bind_header(struct tide_decoder *d, struct tide_error *error) {
  for (uint32_t i = 0; i < d->spec->shape_count; i++) {
    const struct tide_bound_shape *s = &d->shape[i];
    /* A shape whose `when` column is not there cannot be met: its fields may be as deep as JSON likes. */
    bool reachable = i == d->base || (s->when != TIDE_NONE && has_column(d, s->when));
    for (uint32_t k = 0; reachable && k < s->bound_count; k++) {
      const struct tide_bound *b = &s->bound[k];
      enum tide_err err =
          need_column(d, s->shape, b->name, b->in->line, b->in->column, b->in->at, b->at, !b->optional && !b->in->dflt, error);
      /* An amount that can come needs its currency, be it optional or not. */
      bool priced = has_column(d, b->at) && !b->in->currency_fixed;
      if (!err && b->currency != TIDE_NONE)
        err = need_column(d, s->shape, b->name, b->in->line, b->in->column, b->in->currency, b->currency, priced, error);
      if (err) return err;
    }
    if (!reachable || s->known_at == TIDE_NONE) continue;
    const char *at = d->options.known_at_place ? d->options.known_at_place : s->shape->known_at;
    enum tide_err err = need_column(d, s->shape, "known_at", s->shape->line, s->shape->column, at, s->known_at, true, error);
    if (err) return err;
  }
  return TIDE_OK;
}
