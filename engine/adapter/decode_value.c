/* One captured text into what the feature file says it is: text, number, time, bool, amount, outcome column, rate.
 *
 * Everything is parsed from the text as written, never through a double. An error names the field and quotes the value, cut short; the
 * value of a field that shares its place with a secret is never quoted. */
#include "adapter/decode_parts.h"

#include "base/num.h"
#include "base/utf8.h"

#include <stdio.h>

struct tide_span tide_clip(struct tide_span s) {
  if (s.len <= 40) return s;
  s.len = 40;
  while (s.len && ((uint8_t)s.ptr[s.len] & 0xC0) == 0x80) s.len--;
  return s;
}

struct tide_span tide_decode_shown(const struct tide_bound *b, struct tide_span text) {
  return b->secret ? TIDE_SPAN("(secret)") : tide_clip(text);
}

static struct tide_span trim(struct tide_span s) {
  while (s.len && s.ptr[0] == ' ') s = (struct tide_span){s.ptr + 1, s.len - 1};
  while (s.len && s.ptr[s.len - 1] == ' ') s.len--;
  return s;
}

static bool wants_bool(const struct tide_decoder *d, const struct tide_input_field *in) {
  if (in->field != TIDE_NONE) return d->spec->field[in->field].type == TIDE_F_BOOL;
  return in->dyn == TIDE_DYN_disputed || in->extra == TIDE_XTRA_REMOVE;
}

static enum tide_err map(const struct tide_bound *b, struct tide_span text, struct tide_span *ret, struct tide_error *error) {
  const struct tide_input_field *in = b->in;
  const char *other = NULL;
  for (uint32_t i = 0; i < in->map_count; i++) {
    if (tide_span_is(text, in->map_from[i])) {
      *ret = tide_span_of(in->map_to[i]);
      return TIDE_OK;
    }
    if (strcmp(in->map_from[i], "*") == 0) other = in->map_to[i];
  }
  if (other) {
    *ret = tide_span_of(other);
    return TIDE_OK;
  }
  return tide_fail_at(error, TIDE_E_TYPE, 0, 0, b->name, "%s: the value \"%.*s\" is not in its map, and the map has no \"*\"", b->name,
                      TIDE_SPAN_FMT(tide_decode_shown(b, text)));
}

/* What is a number, a time, an amount or a yes cannot stand in bytes; what is a text can, if they are one. */
static bool wants_text(const struct tide_decoder *d, const struct tide_input_field *in) {
  if (in->map_count) return true;
  if (in->field != TIDE_NONE) return d->spec->field[in->field].type == TIDE_F_TEXT;
  if (in->dyn != TIDE_NONE) return in->dyn != TIDE_DYN_disputed && in->dyn != TIDE_DYN_amount_now;
  return in->extra == TIDE_XTRA_RATE_CURRENCY || in->extra == TIDE_XTRA_LIST;
}

static enum tide_err text_of_bytes(const struct tide_decoder *d, const struct tide_bound *b, struct tide_span bytes,
                                   struct tide_error *error) {
  if (!wants_text(d, b->in))
    return tide_fail_at(error, TIDE_E_TYPE, 0, 0, b->name,
                        "%s is %zu bytes without a logical type that is known (decimal); only a text may be", b->name, bytes.len);
  if (!tide_utf8_valid(bytes)) return tide_fail_at(error, TIDE_E_UTF8, 0, 0, b->name, "%s is bytes that are not valid UTF-8", b->name);
  if (bytes.len && memchr(bytes.ptr, 0, bytes.len))
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, b->name, "%s is bytes with a zero byte, which no text may have", b->name);
  return TIDE_OK;
}

enum tide_err tide_decode_text(struct tide_decoder *d, const struct tide_bound *b, struct tide_span *ret, struct tide_error *error) {
  const struct tide_input_field *in = b->in;
  const struct tide_capture *cap = &d->capture[b->at];
  struct tide_span text = {"", 0};
  switch (cap->kind) {
    case TIDE_CAP_NONE:
    case TIDE_CAP_NULL: break;
    case TIDE_CAP_TEXT:
    case TIDE_CAP_NUMBER: text = cap->text; break;
    case TIDE_CAP_TRUE:
    case TIDE_CAP_FALSE:
      if (!wants_bool(d, in) && in->map_count == 0)
        return tide_fail_at(error, TIDE_E_TYPE, 0, 0, b->name, "%s is %s, a text or number is expected", b->name,
                            cap->kind == TIDE_CAP_TRUE ? "true" : "false");
      text = cap->kind == TIDE_CAP_TRUE ? TIDE_SPAN("true") : TIDE_SPAN("false");
      break;
    case TIDE_CAP_COMPOUND:
      return tide_fail_at(error, TIDE_E_TYPE, 0, 0, b->name, "%s is an object or array, a single value is expected", b->name);
    case TIDE_CAP_BYTES: {
      enum tide_err err = text_of_bytes(d, b, cap->text, error);
      if (err) return err;
      text = cap->text;
    }
  }
  if (in->field != TIDE_NONE && d->spec->field[in->field].secret) text = trim(text);
  if (text.len && in->map_count) {
    enum tide_err err = map(b, text, &text, error);
    if (err) return err;
  }
  if (text.len == 0 && in->dflt) text = tide_span_of(in->dflt);
  if (text.len == 0 && !b->optional)
    return tide_fail_at(error, TIDE_E_MISSING, 0, 0, b->name, "the required field %s (at %s) is missing", b->name, in->at);
  if (text.len > TIDE_TEXT_MAX)
    return tide_fail_at(error, TIDE_E_TOO_LONG, 0, 0, b->name, "%s has %zu bytes, at most %d are accepted", b->name, text.len,
                        TIDE_TEXT_MAX);
  *ret = text;
  return TIDE_OK;
}

/* The sentence for what a parser of numbers or times refused. */
static enum tide_err bad(const struct tide_bound *b, enum tide_err code, struct tide_span text, const char *expected,
                         struct tide_error *error) {
  return tide_fail_at(error, code, 0, 0, b->name, "%s: \"%.*s\" is not %s (%s)", b->name, TIDE_SPAN_FMT(tide_decode_shown(b, text)),
                      expected, tide_err_text(code));
}

enum tide_err tide_decode_time(const struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, struct tide_etime *ret,
                               struct tide_error *error) {
  static const char *const expected[] = {[TIDE_TIME_RFC3339] = "a time like 2026-11-21T09:58:51.123Z",
                                         [TIDE_TIME_EPOCH_S] = "a number of seconds since 1970",
                                         [TIDE_TIME_EPOCH_MS] = "a number of milliseconds since 1970",
                                         [TIDE_TIME_EPOCH_US] = "a number of microseconds since 1970"};
  const struct tide_capture *cap = &d->capture[b->at];
  /* A message that says which time it is knows better than `as:`; a mapped or default text is the feature file's. */
  bool says = cap->kind == TIDE_CAP_NUMBER && cap->time_form && text.ptr == cap->text.ptr;
  uint8_t form = says ? cap->time_form : b->in->time_form;
  enum tide_err err = tide_time_parse(text, (enum tide_time_form)form, ret);
  return err ? bad(b, err, text, expected[form], error) : TIDE_OK;
}

enum tide_err tide_decode_bool(const struct tide_bound *b, struct tide_span text, bool *ret, struct tide_error *error) {
  return tide_bool_parse(text, ret) ? TIDE_OK : bad(b, TIDE_E_TYPE, text, "one of true false 1 0 yes no", error);
}

/* The currency of a message is nearly always that of the one before. */
static enum tide_err currency(struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, struct tide_money *ret,
                              struct tide_error *error) {
  if (text.len == 0 || text.len != d->currency.len || memcmp(text.ptr, d->currency.text, text.len) != 0) {
    char code[4];
    int exponent;
    enum tide_err err = tide_currency_get(text, code, &exponent);
    if (err)
      return tide_fail_at(error, err, 0, 0, b->name, "%s: \"%.*s\" is not a currency of ISO 4217 (three capital letters or three digits)",
                          b->name, TIDE_SPAN_FMT(tide_clip(text)));
    TIDE_CHECK(text.len <= sizeof d->currency.text && exponent >= 0 && exponent < 10);
    d->currency.len = (uint8_t)text.len;
    memcpy(d->currency.text, text.ptr, text.len);
    memcpy(d->currency.code, code, sizeof code);
    d->currency.exponent = memcmp(code, d->spec->currency, 4) == 0 ? d->spec->exponent : exponent;
  }
  memcpy(ret->currency, d->currency.code, sizeof ret->currency);
  ret->exponent = (uint8_t)d->currency.exponent;
  return TIDE_OK;
}

enum tide_err tide_decode_money(struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, struct tide_money *ret,
                                struct tide_error *error) {
  struct tide_span code = tide_span_of(b->in->currency_fixed ? b->in->currency_fixed : d->spec->currency);
  if (b->currency != TIDE_NONE) {
    const struct tide_capture *cap = &d->capture[b->currency];
    bool there = (cap->kind == TIDE_CAP_TEXT || cap->kind == TIDE_CAP_NUMBER || cap->kind == TIDE_CAP_BYTES) && cap->text.len;
    if (there && cap->kind == TIDE_CAP_BYTES && !tide_utf8_valid(cap->text))
      return tide_fail_at(error, TIDE_E_UTF8, 0, 0, b->name, "the currency of %s is bytes that are not valid UTF-8", b->name);
    if (there) code = cap->text;
    else if (cap->kind >= TIDE_CAP_TRUE)
      return tide_fail_at(error, TIDE_E_TYPE, 0, 0, b->name, "the currency of %s is not a text", b->name);
    else if (!b->in->currency_fixed)
      return tide_fail_at(error, TIDE_E_MISSING, 0, 0, b->name, "%s has no currency (at %s)", b->name, b->in->currency);
  }
  struct tide_money money;
  enum tide_err err = currency(d, b, code, &money, error);
  if (err) return err;
  err = b->in->minor ? tide_int_parse(text, &money.minor) : tide_decimal_parse(text, money.exponent, &money.minor);
  if (err == TIDE_E_DECIMALS)
    return tide_fail_at(error, err, 0, 0, b->name, "%s: \"%.*s\" has more than the %d decimals of %s", b->name,
                        TIDE_SPAN_FMT(tide_decode_shown(b, text)), money.exponent, money.currency);
  if (err) return bad(b, err, text, b->in->minor ? "an integer of minor units" : "an amount", error);
  if (money.minor < 0)
    return bad(b, TIDE_E_RANGE, text, "an amount of at least 0; the direction of a payment is a field of its own", error);
  if (money.minor > TIDE_AMOUNT_MAX) return bad(b, TIDE_E_RANGE, text, "an amount of at most 10^12 minor units", error);
  *ret = money;
  return TIDE_OK;
}

void tide_decode_put_text(struct tide_decoder *d, uint32_t field, struct tide_span text, struct tide_record *record) {
  TIDE_CHECK(text.len > 0 && field < d->spec->field_count);
  struct tide_datum *datum = &record->field[field];
  if (!d->spec->field[field].secret) {
    datum->kind = TIDE_D_TEXT;
    datum->text = text;
    return;
  }
  datum->kind = TIDE_D_KEY;
  struct tide_secret_hashes hashes = tide_secret_hashes(d->secrets, d->options.key, d->options.key_alt, text);
  datum->key = hashes.key;
  datum->alt = hashes.alt;
  record->key_id = d->options.key->id;
}

enum tide_err tide_decode_field(struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, struct tide_record *record,
                                struct tide_error *error) {
  uint32_t index = b->in->field;
  const struct tide_field *f = &d->spec->field[index];
  struct tide_datum *datum = &record->field[index];
  enum tide_err err = TIDE_OK;
  int64_t num = 0;
  switch ((enum tide_ftype)f->type) {
    case TIDE_F_TEXT: tide_decode_put_text(d, index, text, record); return TIDE_OK;
    case TIDE_F_NUMBER:
      err = tide_decimal_parse(text, f->decimals, &num);
      if (err == TIDE_E_DECIMALS)
        return tide_fail_at(error, err, 0, 0, b->name, "%s: \"%.*s\" has more than %d decimals", b->name,
                            TIDE_SPAN_FMT(tide_decode_shown(b, text)), f->decimals);
      if (!err && !tide_number_fits(num)) err = TIDE_E_RANGE;
      if (err == TIDE_E_RANGE)
        return bad(b, err, text, "a number of at most 10^15, counted in its last place; what only names something is a text", error);
      if (err) return bad(b, err, text, f->decimals ? "a decimal number" : "an integer", error);
      break;
    case TIDE_F_BOOL: {
      bool yes;
      err = tide_decode_bool(b, text, &yes, error);
      if (err) return err;
      num = yes;
      break;
    }
    case TIDE_F_TIME: {
      struct tide_etime t;
      err = tide_decode_time(d, b, text, &t, error);
      if (err) return err;
      num = t.ms;
      if (index == d->spec->f_time) record->time = t;
      break;
    }
    case TIDE_F_MONEY: {
      struct tide_money money;
      err = tide_decode_money(d, b, text, &money, error);
      if (err) return err;
      num = money.minor;
      datum->exponent = money.exponent;
      memcpy(datum->currency, money.currency, sizeof datum->currency);
      break;
    }
  }
  datum->kind = TIDE_D_INT;
  datum->num = num;
  return TIDE_OK;
}

static enum tide_err word(const struct tide_bound *b, struct tide_span text, uint8_t *ret, struct tide_error *error) {
  const char *const *words = tide_dyn_words((enum tide_dyn)b->in->dyn);
  TIDE_CHECK(words != NULL);
  size_t count = 0;
  for (; words[count]; count++) {
    if (!tide_span_is(text, words[count])) continue;
    *ret = (uint8_t)count;
    return TIDE_OK;
  }
  const char *near = tide_nearest(text, words, count);
  return tide_fail_at(error, TIDE_E_UNKNOWN_NAME, 0, 0, b->name, "%s: \"%.*s\" is not one of its words%s%s%s; `map:` translates codes",
                      b->name, TIDE_SPAN_FMT(tide_decode_shown(b, text)), near ? ", did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
}

enum tide_err tide_decode_dyn(struct tide_decoder *d, const struct tide_bound *b, struct tide_span text, struct tide_outcome *outcome,
                              struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  switch ((enum tide_dyn)b->in->dyn) {
    case TIDE_DYN_result: err = word(b, text, &outcome->result, error); break;
    case TIDE_DYN_reversed: err = word(b, text, &outcome->reversed, error); break;
    case TIDE_DYN_refunded: err = word(b, text, &outcome->refunded, error); break;
    case TIDE_DYN_label: err = word(b, text, &outcome->label, error); break;
    case TIDE_DYN_disputed: {
      bool yes = false;
      err = tide_decode_bool(b, text, &yes, error);
      outcome->disputed = yes;
      break;
    }
    case TIDE_DYN_reason:
      if (text.len > sizeof outcome->reason)
        return tide_fail_at(error, TIDE_E_TOO_LONG, 0, 0, b->name, "reason: \"%.*s\" has %zu bytes, at most %zu are kept",
                            TIDE_SPAN_FMT(tide_decode_shown(b, text)), text.len, sizeof outcome->reason);
      memset(outcome->reason, 0, sizeof outcome->reason);
      memcpy(outcome->reason, text.ptr, text.len);
      break;
    case TIDE_DYN_amount_now: {
      struct tide_money money;
      err = tide_decode_money(d, b, text, &money, error);
      if (err) return err;
      outcome->amount_now = money.minor;
      outcome->exponent = money.exponent;
      memcpy(outcome->currency, money.currency, sizeof outcome->currency);
      break;
    }
    case TIDE_DYN_COUNT: TIDE_CHECK(b->in->dyn < TIDE_DYN_COUNT);
  }
  if (!err) outcome->set |= UINT32_C(1) << b->in->dyn;
  return err;
}

/* tide_decimal_parse knows 9 decimals: so the text times ten is read with 9. Times ten is one more in the exponent, exactly. */
enum tide_err tide_decode_rate(const struct tide_bound *b, struct tide_span text, int64_t *ret, struct tide_error *error) {
  char scaled[80];
  size_t mantissa = 0;
  while (mantissa < text.len && (text.ptr[mantissa] | 0x20) != 'e') mantissa++;
  int64_t exponent = 0;
  if (mantissa < text.len) {
    size_t from = mantissa + 1;
    if (from + 1 < text.len && text.ptr[from] == '+') from++;
    enum tide_err err = tide_int_parse((struct tide_span){text.ptr + from, text.len - from}, &exponent);
    if (err) return bad(b, err, text, "a rate", error);
  }
  if (mantissa > 48 || exponent < -1000 || exponent > 1000) return bad(b, TIDE_E_RANGE, text, "a rate", error);
  memcpy(scaled, text.ptr, mantissa);
  int len = snprintf(scaled + mantissa, sizeof scaled - mantissa, "e%lld", (long long)exponent + 1);
  int64_t rate;
  enum tide_err err = tide_decimal_parse((struct tide_span){scaled, mantissa + (size_t)len}, 9, &rate);
  if (err == TIDE_E_DECIMALS)
    return tide_fail_at(error, err, 0, 0, b->name, "%s: \"%.*s\" has more than 10 decimals", b->name,
                        TIDE_SPAN_FMT(tide_decode_shown(b, text)));
  if (err) return bad(b, err, text, "a rate", error);
  if (rate <= 0) return bad(b, TIDE_E_RANGE, text, "a rate above 0", error);
  *ret = rate;
  return TIDE_OK;
}
