/* Exact decimal numbers and money.
 *
 * Amounts are int64 minor units; the exponent (decimals of the currency) is ISO 4217's, with an override table because card schemes
 * differ from it for a few currencies. Nothing here passes through a double. */
#ifndef TIDE_NUM_H
#define TIDE_NUM_H

#include "base/err.h"
#include "base/span.h"

#define TIDE_AMOUNT_MAX INT64_C(1000000000000) /* minor units; keeps sums of squares of 10^7 events inside 128 bits */
#define TIDE_NUMBER_MAX INT64_C(1000000000000000) /* of a number field, counted in its last place: the same of 10^8 events, and a double holds it exactly */
static inline bool tide_number_fits(int64_t num) { return num >= -TIDE_NUMBER_MAX && num <= TIDE_NUMBER_MAX; }

/* What a message may say of a truth: true 1 yes, false 0 no. False: it is something else. */
bool tide_bool_parse(struct tide_span text, bool *ret);

/* Parses [-]digits[.digits][e[+-]digits] exactly into value * 10^decimals. Errors: SYNTAX; DECIMALS when digits that are not zero lie
 * beyond `decimals` (0..9); RANGE when it does not fit int64. JSON number grammar (no leading '+', no leading zeros, no hex, NaN, inf). */
enum tide_err tide_decimal_parse(struct tide_span text, int decimals, int64_t *ret) TIDE_WARN_UNUSED;
/* Strict decimal integer. */
enum tide_err tide_int_parse(struct tide_span text, int64_t *ret) TIDE_WARN_UNUSED;
/* A finite double, whole text, JSON number grammar. */
enum tide_err tide_double_parse(struct tide_span text, double *ret) TIDE_WARN_UNUSED;

/* 3-letter code in upper case, or ISO 4217 numeric code ("978"). Writes code (4 bytes, zero-terminated) and exponent. Error: CURRENCY. */
enum tide_err tide_currency_get(struct tide_span text, char code[4], int *ret_exponent) TIDE_WARN_UNUSED;
/* minor units of the source currency -> minor units of the target at rate (target units per source unit, scaled by 10^10), half to even.
 * Error: RANGE above TIDE_AMOUNT_MAX. */
enum tide_err tide_money_convert(int64_t minor, int exponent, int64_t rate_e10, int exponent_target, int64_t *ret) TIDE_WARN_UNUSED;
extern const int64_t tide_pow10[19];

#endif
