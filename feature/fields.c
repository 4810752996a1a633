/* Fields as values. See fields.h.
 *
 * The divisors 10^0 .. 10^9 are exact doubles, so each value is one rounded
 * division of an exactly known integer. Integers above 2^53 are rounded once before, by the conversion. */
#include "feature/fields.h"

#include "base/num.h"

static const double pow10_of[10] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

static inline struct tide_value value_of(const struct tide_field *field, const struct tide_datum *datum) {
  switch ((enum tide_datum_kind)datum->kind) {
    case TIDE_D_NONE: return tide_null(TIDE_S_absent, TIDE_C_absent);
    case TIDE_D_TEXT: return tide_text(tide_text_code(datum->text));
    case TIDE_D_KEY: return tide_text(datum->key.lo | TIDE_CODE_HASHED);
    case TIDE_D_INT: break;
  }
  switch ((enum tide_ftype)field->type) {
    case TIDE_F_BOOL: return tide_bool(datum->num != 0);
    case TIDE_F_TIME: return tide_num((double)datum->num / 1000.0);
    case TIDE_F_MONEY: TIDE_CHECK(datum->exponent < 10); return tide_num((double)datum->num / pow10_of[datum->exponent]);
    case TIDE_F_NUMBER:
    case TIDE_F_TEXT: break;
  }
  TIDE_CHECK(field->decimals < 10);
  return tide_num((double)datum->num / pow10_of[field->decimals]);
}

struct tide_value tide_field_value(const struct tide_field *field, const struct tide_datum *datum) {
  return value_of(field, datum);
}

#define ABSENT                                                                                                                             \
  { .type = TIDE_V_NULL, .state = TIDE_S_absent, .cause = TIDE_C_absent }
#define ABSENT_4 ABSENT, ABSENT, ABSENT, ABSENT
#define ABSENT_16 ABSENT_4, ABSENT_4, ABSENT_4, ABSENT_4

void tide_fields_present(const struct tide_spec *spec, const struct tide_datum *field, uint64_t present, struct tide_value *ret) {
  static const struct tide_value absent[TIDE_FIELDS_MAX] = {ABSENT_16, ABSENT_16, ABSENT_16, ABSENT_16}; /* most are not there */
  _Static_assert(TIDE_FIELDS_MAX == 64, "none is forgotten");
  memcpy(ret, absent, spec->field_count * sizeof *ret);
  for (; present; present &= present - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(present);
    if (TIDE_LIKELY(field[i].kind == TIDE_D_TEXT)) ret[i] = (struct tide_value){.type = TIDE_V_TEXT, .code = tide_text_code(field[i].text)};
    else ret[i] = value_of(&spec->field[i], &field[i]); /* no text that is there is empty */
  }
}

void tide_fields_values(const struct tide_spec *spec, const struct tide_datum *field, struct tide_value *ret) {
  uint64_t present = 0;
  for (uint32_t i = 0; i < spec->field_count; i++) present |= (uint64_t)(field[i].kind != TIDE_D_NONE) << i;
  tide_fields_present(spec, field, present, ret);
}
