/* The decoder: from a message's captures to its records. See decode.h for the promise and decode_parts.h for the files.
 *
 * Per message: the format's reader fills one capture per place; the shape is picked; every bound field of the shape is converted
 * into record[0], outcome columns into an outcome beside it; derived fields follow while the raw texts are still there. Records
 * are built in the decoder and copied out only when everything was right. Raw texts are borrowed from the message or the scratch
 * arena and forgotten with the next one. */
#include "adapter/decode_parts.h"

#include "base/num.h"
#include "base/utf8.h"

static const struct {
  const char *name;
  const struct tide_format_ops *ops;
} formats[TIDE_FORMAT_COUNT] = {
#define X(constant, name) {#name, &tide_format_##name},
    TIDE_FORMATS(X)
#undef X
};

const char *tide_format_name(enum tide_format format) {
  TIDE_CHECK(format < TIDE_FORMAT_COUNT);
  return formats[format].name;
}

bool tide_format_named(struct tide_span name, enum tide_format *ret) {
  for (unsigned i = 0; i < TIDE_FORMAT_COUNT; i++) {
    if (!tide_span_is(name, formats[i].name)) continue;
    *ret = (enum tide_format)i;
    return true;
  }
  return false;
}

enum tide_err tide_decoder_new(const struct tide_decode_options *options, struct tide_decoder **ret, struct tide_error *error) {
  TIDE_CHECK(options && options->spec && ret && options->format < TIDE_FORMAT_COUNT);
  const struct tide_spec *spec = options->spec;
  for (uint32_t i = 0; i < spec->field_count && !options->key; i++) {
    if (spec->field[i].secret)
      return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, spec->field[i].name,
                          "%s is secret (`event: key:`), but there is no hash key; give a key file", spec->field[i].name);
  }
  TIDE_CHECK(!options->key || options->key->id != 0); /* sealed */
  struct tide_decoder *d = tide_alloc(sizeof *d);
  d->options = *options;
  d->spec = spec;
  enum tide_err err = tide_decode_bind(d, error);
  if (!err) err = formats[options->format].ops->open(options, d->place, d->place_count, &d->reader, error);
  if (err) {
    tide_decoder_free(d);
    return err;
  }
  tide_decode_derive_bind(d);
  if (options->repeats) d->secrets = tide_secrets_new();
  d->capture = tide_arena_alloc(&d->arena, (d->place_count + 1) * sizeof *d->capture);
  *ret = d;
  return TIDE_OK;
}

void tide_decoder_free(struct tide_decoder *d) {
  if (!d) return;
  if (d->reader) d->reader->ops->close(d->reader);
  tide_secrets_free(d->secrets);
  tide_arena_release(&d->scratch);
  tide_arena_release(&d->arena);
  tide_free(d->place);
  tide_free(d);
}

enum tide_err tide_decode_header(struct tide_decoder *d, struct tide_span line, struct tide_error *error) {
  TIDE_CHECK(d->reader->ops->header != NULL);
  enum tide_err err = d->reader->ops->header(d->reader, line, error);
  return err ? err : tide_decode_bind_header(d, error);
}

/* The first shape whose `when` matches, else the base. */
static const struct tide_bound_shape *pick(const struct tide_decoder *d) {
  for (uint32_t i = 0; i < d->spec->shape_count; i++) {
    const struct tide_bound_shape *s = &d->shape[i];
    if (s->when == TIDE_NONE) continue;
    const struct tide_capture *cap = &d->capture[s->when];
    bool text = cap->kind == TIDE_CAP_TEXT || cap->kind == TIDE_CAP_NUMBER || cap->kind == TIDE_CAP_BYTES;
    if ((text && tide_span_is(cap->text, s->shape->when_value)) ||
        (cap->kind == TIDE_CAP_TRUE && strcmp(s->shape->when_value, "true") == 0) ||
        (cap->kind == TIDE_CAP_FALSE && strcmp(s->shape->when_value, "false") == 0))
      return s;
  }
  return d->base == TIDE_NONE ? NULL : &d->shape[d->base];
}

static enum tide_err list_of(struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, uint32_t *ret,
                             struct tide_error *error) {
  const char *name[256];
  size_t count = 0;
  for (uint32_t i = 0; i < d->spec->list_count; i++) {
    if (tide_span_is(text, d->spec->list[i].name)) {
      *ret = i;
      return TIDE_OK;
    }
    if (count < 256) name[count++] = d->spec->list[i].name;
  }
  const char *near = tide_nearest(text, name, count);
  return tide_fail_at(error, TIDE_E_UNKNOWN_NAME, 0, 0, b->name, "there is no list \"%.*s\" in `policy: lists:`%s%s%s",
                      TIDE_SPAN_FMT(tide_decode_shown(b, text)), near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static enum tide_err extra(struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, struct tide_record *record,
                           struct tide_error *error) {
  switch ((enum tide_extra)b->in->extra) {
    case TIDE_XTRA_RATE_CURRENCY: {
      int exponent;
      enum tide_err err = tide_currency_get(text, record->rate.currency, &exponent);
      if (err)
        return tide_fail_at(error, err, 0, 0, b->name, "\"%.*s\" is not a currency of ISO 4217", TIDE_SPAN_FMT(tide_decode_shown(b, text)));
      return TIDE_OK;
    }
    case TIDE_XTRA_RATE: return tide_decode_rate(b, text, &record->rate.rate_e10, error);
    case TIDE_XTRA_LIST: return list_of(d, b, text, &record->list.list, error);
    case TIDE_XTRA_EXPIRES: {
      struct tide_etime t;
      enum tide_err err = tide_decode_time(d, b, text, &t, error);
      if (!err) record->list.expires_ms = t.ms;
      return err;
    }
    case TIDE_XTRA_REMOVE: return tide_decode_bool(b, text, &record->list.remove, error);
    case TIDE_XTRA_SOURCE: /* which source a record belongs to is the caller's to set: a message cannot speak for another source */
    case TIDE_XTRA_COUNT: break;
  }
  return TIDE_OK;
}

/* Entities refer to earlier entities only, so the depth is bounded by their number. */
static bool has_key(const struct tide_spec *spec, uint32_t entity, const struct tide_record *record) {
  const struct tide_entity *ent = &spec->entity[entity];
  for (uint32_t i = 0; i < ent->part_count; i++) {
    uint32_t ref = ent->part[i].ref;
    bool there = ent->part[i].is_entity ? has_key(spec, ref, record) : record->field[ref].kind != TIDE_D_NONE;
    if (there == ent->first_of) return there;
  }
  return !ent->first_of;
}

/* A profile tells something, about somebody. */
static enum tide_err check_profile(const struct tide_spec *spec, const struct tide_record *record, struct tide_error *error) {
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_field *field = &spec->field[i];
    if (!field->fact || record->field[i].kind == TIDE_D_NONE) continue;
    if (has_key(spec, field->fact_of, record)) return TIDE_OK; /* its shape tells about one entity */
    const char *name = spec->entity[field->fact_of].name;
    return tide_fail_at(error, TIDE_E_MISSING, 0, 0, name, "the profile is about a %s, whose key it does not carry", name);
  }
  return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "facts", "the profile tells nothing: none of the facts of its shape is there");
}

/* What a record of its type cannot do without, whatever its shape declares. */
static enum tide_err check(const struct tide_decoder *d, const struct tide_record *record, struct tide_error *error) {
  const struct tide_spec *spec = d->spec;
  switch ((enum tide_record_type)record->type) {
    case TIDE_REC_OUTCOME:
      if (!record->outcome.set)
        return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "result",
                            "the outcome sets no column (result, reason, reversed, refunded, disputed, label, amount_now)");
      break;
    case TIDE_REC_RATE:
      if (!record->rate.currency[0]) return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "currency", "the rate record has no currency");
      if (!record->rate.rate_e10) return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "rate", "the rate record has no rate");
      break;
    case TIDE_REC_LIST: {
      if (record->list.list == TIDE_NONE)
        return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "list", "the list record does not name its list");
      const struct tide_list *list = &spec->list[record->list.list];
      if (list->ref == TIDE_NONE) break;
      const char *name = list->is_entity ? spec->entity[list->ref].name : spec->field[list->ref].name;
      if (list->is_entity ? !has_key(spec, list->ref, record) : record->field[list->ref].kind == TIDE_D_NONE)
        return tide_fail_at(error, TIDE_E_MISSING, 0, 0, name, "list \"%s\" holds %s, which the record does not carry", list->name, name);
      break;
    }
    case TIDE_REC_PROFILE: return check_profile(spec, record, error);
    case TIDE_REC_HEARTBEAT:
      if (record->field[spec->f_time].kind == TIDE_D_NONE)
        return tide_fail_at(error, TIDE_E_MISSING, 0, 0, spec->field[spec->f_time].name, "the heartbeat has no time");
      break;
    default: break;
  }
  return TIDE_OK;
}

/* Everything but the fields beyond field_count, which nobody reads. */
static void copy_record(const struct tide_spec *spec, struct tide_record *to, const struct tide_record *from) {
  memcpy(to, from, offsetof(struct tide_record, field) + spec->field_count * sizeof from->field[0]);
  to->outcome = from->outcome;
  to->rate.rate_e10 = from->rate.rate_e10;
  memcpy(to->rate.currency, from->rate.currency, sizeof to->rate.currency);
  to->list.list = from->list.list;
  to->list.expires_ms = from->list.expires_ms;
  to->list.remove = from->list.remove;
}

static void clear_record(const struct tide_spec *spec, struct tide_record *record) {
  memset(record, 0, offsetof(struct tide_record, field) + spec->field_count * sizeof record->field[0]);
  record->outcome = (struct tide_outcome){0};
  memset(&record->rate, 0, sizeof record->rate);
  memset(&record->list, 0, sizeof record->list);
  record->list.list = TIDE_NONE;
}

static enum tide_err build(struct tide_decoder *d, const struct tide_bound_shape *s, struct tide_record *record, struct tide_error *error) {
  const struct tide_spec *spec = d->spec;
  clear_record(spec, record);
  record->type = s->shape->type;
  memset(d->raw, 0, spec->field_count * sizeof d->raw[0]);
  for (uint32_t i = 0; i < s->bound_count; i++) {
    const struct tide_bound *b = &s->bound[i];
    const struct tide_capture *cap = &d->capture[b->at];
    if (cap->kind <= TIDE_CAP_NULL && b->may_lack) continue;
    struct tide_span text = cap->text;
    bool plain = b->as_is && cap->kind == TIDE_CAP_TEXT && text.len - 1 < TIDE_TEXT_MAX; /* as nearly all are */
    if (plain && b->is_text) {
      d->raw[b->in->field] = text;
      record->field[b->in->field].kind = TIDE_D_TEXT;
      record->field[b->in->field].text = text;
      continue;
    }
    enum tide_err err = plain ? TIDE_OK : tide_decode_text(d, b, &text, error);
    if (err) return err;
    if (text.len == 0) continue;
    if (b->in->field != TIDE_NONE) {
      d->raw[b->in->field] = text;
      err = tide_decode_field(d, b, text, record, error);
    } else if (b->in->dyn != TIDE_NONE) {
      err = tide_decode_dyn(d, b, text, &record->outcome, error);
    } else {
      err = extra(d, b, text, record, error);
    }
    if (err) return err;
  }
  bool timed = record->type == TIDE_REC_EVENT || record->type == TIDE_REC_PROFILE;
  if (timed && record->field[spec->f_time].kind == TIDE_D_NONE) record->flags |= TIDE_REC_STAMPED;
  tide_decode_derive(d, record);
  return check(d, record, error);
}

enum tide_err tide_decode(struct tide_decoder *d, struct tide_span bytes, struct tide_record ret[2], int *ret_count,
                          struct tide_error *error) {
  if (d->scratch_used) tide_arena_reset(&d->scratch);
  d->scratch_used = false;
  d->picked = NULL;
  enum tide_err err = d->reader->ops->read(d->reader, bytes, d->capture, &d->scratch, &d->scratch_used, error);
  if (err) {
    d->scratch_used = true;
    return err;
  }
  const struct tide_bound_shape *shape = d->picked = pick(d);
  if (!shape)
    return tide_fail_at(error, TIDE_E_UNKNOWN_NAME, 0, 0, "",
                        "no shape under `inputs:` has a `when` that matches this message, and there is no shape \"default\"");
  struct tide_record *first = &d->record;
  err = build(d, shape, first, error);
  if (err) return err;
  copy_record(d->spec, &ret[0], first);
  *ret_count = 1;
  if (first->type == TIDE_REC_EVENT && first->outcome.set) {
    copy_record(d->spec, &ret[1], first);
    ret[1].type = TIDE_REC_OUTCOME;
    ret[1].flags = TIDE_REC_SAME_ROW;
    ret[0].outcome = (struct tide_outcome){0};
    *ret_count = 2;
  }
  return TIDE_OK;
}

enum tide_err tide_decode_known_at(const struct tide_decoder *d, struct tide_etime *ret, struct tide_error *error) {
  const struct tide_bound_shape *s = d->picked;
  TIDE_CHECK(d->options.known_at && s);
  if (s->known_at == TIDE_NONE)
    return tide_fail_at(
        error, TIDE_E_CONFIG, s->shape->line, s->shape->column, "known_at",
        "shape \"%s\" does not say when a message became known: write known_at: under it, the pointer or column of that time",
        s->shape->name);
  const struct tide_capture *capture = &d->capture[s->known_at];
  if (capture->kind != TIDE_CAP_TEXT && capture->kind != TIDE_CAP_NUMBER)
    return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "known_at", "known_at is missing: %s is not there",
                        d->options.known_at_place ? d->options.known_at_place : s->shape->known_at);
  bool says = capture->kind == TIDE_CAP_NUMBER && capture->time_form;
  enum tide_err err = tide_time_parse(capture->text, (enum tide_time_form)(says ? capture->time_form : s->known_at_form), ret);
  if (err == TIDE_OK) return TIDE_OK;
  struct tide_span shown = tide_clip(capture->text);
  return tide_fail_at(error, err, 0, 0, "known_at", "known_at: \"%.*s\" is not a time as the feature file says it is written",
                      d->place[s->known_at].secret ? 0 : (int)shown.len, shown.ptr);
}

bool tide_decode_beside(const struct tide_decoder *d) { return d->beside != TIDE_NONE && d->capture[d->beside].kind != TIDE_CAP_NONE; }

const char *tide_decode_place(const struct tide_decoder *d, const char *field) {
  for (uint32_t i = 0; d->picked && i < d->picked->bound_count; i++)
    if (strcmp(d->picked->bound[i].name, field) == 0) return d->picked->bound[i].in->at;
  return NULL;
}

void tide_decode_mask(struct tide_decoder *d, struct tide_span bytes, struct tide_buf *out) {
  if (!d->reader->ops->mask(d->reader, bytes, out)) tide_buf_printf(out, "{\"masked\":\"%zu bytes, not well-formed\"}", bytes.len);
}
