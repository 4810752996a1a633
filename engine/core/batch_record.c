/* The predicates that encoder and decoder share (batch_record.h).
 *
 * Each says what a well-formed record of one type is, in terms of the feature file it was written under. They are pure and cheap: the
 * decoder runs them on every record of every journal. */
#include "core/batch_record.h"

#include "base/utf8.h"

static const char *int_misfit(const struct tide_field *field, const struct tide_datum *datum) {
  bool money = datum->currency[0] != '\0';
  if (money && !tide_amount_fits(datum->num, datum->exponent, datum->currency)) {
    return "an amount out of range or with an impossible currency";
  }
  if (!field) {
    return NULL;
  }
  if (money != (field->type == TIDE_F_MONEY)) {
    return "money and plain number mixed up";
  }
  switch (field->type) {
    case TIDE_F_MONEY:
    case TIDE_F_NUMBER: return NULL;
    case TIDE_F_BOOL: return datum->num == 0 || datum->num == 1 ? NULL : "a bool that is neither 0 nor 1";
    case TIDE_F_TIME: return tide_time_fits(datum->num) ? NULL : "a time out of range";
    default: return "a number in a text field";
  }
}

const char *tide_datum_misfit(const struct tide_field *field, const struct tide_datum *datum) {
  if (field && field->secret != (datum->kind == TIDE_D_KEY)) {
    return field->secret ? "clear text in a secret field" : "a keyed hash in a field that is not secret";
  }
  switch (datum->kind) {
    case TIDE_D_TEXT:
      if (field && field->type != TIDE_F_TEXT) {
        return "text in a field of another type";
      }
      if (datum->text.len < 1 || datum->text.len > TIDE_TEXT_BYTES_MAX) {
        return "a text that is empty or too long";
      }
      return tide_is_ascii((const uint8_t *)datum->text.ptr, datum->text.len) || tide_utf8_valid(datum->text) ? NULL
                                                                                                              : "a text that is not UTF-8";
    case TIDE_D_INT: return int_misfit(field, datum);
    case TIDE_D_KEY: return NULL;
    default: return "an unknown kind";
  }
}

static const char *outcome_misfit(const struct tide_outcome *outcome) {
  if (outcome->set >= 1u << TIDE_DYN_COUNT) {
    return "an unknown outcome column";
  }
  if (outcome->result > TIDE_RESULT_declined || outcome->reversed > TIDE_EXTENT_full || outcome->refunded > TIDE_EXTENT_full ||
      outcome->disputed > 1 || outcome->label > TIDE_LABEL_genuine) {
    return "an outcome value out of range";
  }
  for (unsigned i = 1; i < sizeof outcome->reason; i++) {
    if (outcome->reason[i] != '\0' && outcome->reason[i - 1] == '\0') {
      return "a reason with a zero byte inside";
    }
  }
  bool amount = outcome->set & 1u << TIDE_DYN_amount_now;
  if (amount && !tide_amount_fits(outcome->amount_now, outcome->exponent, outcome->currency)) {
    return "an outcome amount out of range or with an impossible currency";
  }
  return NULL;
}

const char *tide_record_misfit(uint32_t list_count, const struct tide_record *record) {
  if (!tide_time_fits(record->time.ms)) {
    return "a time out of range";
  }
  switch (record->type) {
    case TIDE_REC_OUTCOME: return outcome_misfit(&record->outcome);
    case TIDE_REC_RATE:
      return tide_currency_fits(record->rate.currency) && record->rate.rate_e10 > 0 ? NULL
                                                                                    : "a rate that is not positive or has no currency";
    case TIDE_REC_LIST:
      if (record->list.list >= list_count) {
        return "a list that is not declared";
      }
      return tide_time_fits(record->list.expires_ms) ? NULL : "an expiry out of range";
    default: return NULL;
  }
}
