/* Currencies of ISO 4217: letters, number, exponent.
 *
 * The rows follow the standard's list one (active codes with minor units, published by SIX as the maintenance agency), sorted by letters
 * for a binary search; funds codes and metals have no minor unit and are no transaction currencies, so they are left out. Withdrawn codes
 * that still come in histories are kept: an old log must replay. `overrides` holds the few where what is sent on the wire differs from
 * the standard; it only ever raises an exponent, so that no amount that the standard allows is refused. */
#include <pthread.h>
#include <stdlib.h>

#include "base/num.h"

struct currency {
  char code[4];
  uint16_t number;
  uint8_t exponent;
};

/* clang-format off */
static const struct currency currencies[] = {
    {"AED", 784, 2}, {"AFN", 971, 2}, {"ALL",   8, 2}, {"AMD",  51, 2}, {"ANG", 532, 2}, {"AOA", 973, 2}, {"ARS",  32, 2}, {"AUD",  36, 2},
    {"AWG", 533, 2}, {"AZN", 944, 2}, {"BAM", 977, 2}, {"BBD",  52, 2}, {"BDT",  50, 2}, {"BGN", 975, 2}, {"BHD",  48, 3}, {"BIF", 108, 0},
    {"BMD",  60, 2}, {"BND",  96, 2}, {"BOB",  68, 2}, {"BRL", 986, 2}, {"BSD",  44, 2}, {"BTN",  64, 2}, {"BWP",  72, 2}, {"BYN", 933, 2},
    {"BZD",  84, 2}, {"CAD", 124, 2}, {"CDF", 976, 2}, {"CHF", 756, 2}, {"CLF", 990, 4}, {"CLP", 152, 0}, {"CNY", 156, 2}, {"COP", 170, 2},
    {"CRC", 188, 2}, {"CUC", 931, 2}, {"CUP", 192, 2}, {"CVE", 132, 2}, {"CZK", 203, 2}, {"DJF", 262, 0}, {"DKK", 208, 2}, {"DOP", 214, 2},
    {"DZD",  12, 2}, {"EGP", 818, 2}, {"ERN", 232, 2}, {"ETB", 230, 2}, {"EUR", 978, 2}, {"FJD", 242, 2}, {"FKP", 238, 2}, {"GBP", 826, 2},
    {"GEL", 981, 2}, {"GHS", 936, 2}, {"GIP", 292, 2}, {"GMD", 270, 2}, {"GNF", 324, 0}, {"GTQ", 320, 2}, {"GYD", 328, 2}, {"HKD", 344, 2},
    {"HNL", 340, 2}, {"HRK", 191, 2}, {"HTG", 332, 2}, {"HUF", 348, 2}, {"IDR", 360, 2}, {"ILS", 376, 2}, {"INR", 356, 2}, {"IQD", 368, 3},
    {"IRR", 364, 2}, {"ISK", 352, 0}, {"JMD", 388, 2}, {"JOD", 400, 3}, {"JPY", 392, 0}, {"KES", 404, 2}, {"KGS", 417, 2}, {"KHR", 116, 2},
    {"KMF", 174, 0}, {"KPW", 408, 2}, {"KRW", 410, 0}, {"KWD", 414, 3}, {"KYD", 136, 2}, {"KZT", 398, 2}, {"LAK", 418, 2}, {"LBP", 422, 2},
    {"LKR", 144, 2}, {"LRD", 430, 2}, {"LSL", 426, 2}, {"LYD", 434, 3}, {"MAD", 504, 2}, {"MDL", 498, 2}, {"MGA", 969, 2}, {"MKD", 807, 2},
    {"MMK", 104, 2}, {"MNT", 496, 2}, {"MOP", 446, 2}, {"MRU", 929, 2}, {"MUR", 480, 2}, {"MVR", 462, 2}, {"MWK", 454, 2}, {"MXN", 484, 2},
    {"MYR", 458, 2}, {"MZN", 943, 2}, {"NAD", 516, 2}, {"NGN", 566, 2}, {"NIO", 558, 2}, {"NOK", 578, 2}, {"NPR", 524, 2}, {"NZD", 554, 2},
    {"OMR", 512, 3}, {"PAB", 590, 2}, {"PEN", 604, 2}, {"PGK", 598, 2}, {"PHP", 608, 2}, {"PKR", 586, 2}, {"PLN", 985, 2}, {"PYG", 600, 0},
    {"QAR", 634, 2}, {"RON", 946, 2}, {"RSD", 941, 2}, {"RUB", 643, 2}, {"RWF", 646, 0}, {"SAR", 682, 2}, {"SBD",  90, 2}, {"SCR", 690, 2},
    {"SDG", 938, 2}, {"SEK", 752, 2}, {"SGD", 702, 2}, {"SHP", 654, 2}, {"SLE", 925, 2}, {"SLL", 694, 2}, {"SOS", 706, 2}, {"SRD", 968, 2},
    {"SSP", 728, 2}, {"STN", 930, 2}, {"SVC", 222, 2}, {"SYP", 760, 2}, {"SZL", 748, 2}, {"THB", 764, 2}, {"TJS", 972, 2}, {"TMT", 934, 2},
    {"TND", 788, 3}, {"TOP", 776, 2}, {"TRY", 949, 2}, {"TTD", 780, 2}, {"TWD", 901, 2}, {"TZS", 834, 2}, {"UAH", 980, 2}, {"UGX", 800, 0},
    {"USD", 840, 2}, {"UYI", 940, 0}, {"UYU", 858, 2}, {"UYW", 927, 4}, {"UZS", 860, 2}, {"VED", 926, 2}, {"VES", 928, 2}, {"VND", 704, 0},
    {"VUV", 548, 0}, {"WST", 882, 2}, {"XAF", 950, 0}, {"XCD", 951, 2}, {"XCG", 532, 2}, {"XOF", 952, 0}, {"XPF", 953, 0}, {"YER", 886, 2},
    {"ZAR", 710, 2}, {"ZMW", 967, 2}, {"ZWG", 924, 2}, {"ZWL", 932, 2},
};
/* clang-format on */
enum { CURRENCY_COUNT = sizeof currencies / sizeof currencies[0] };

static const struct {
  char code[4];
  uint8_t exponent;
} overrides[] = {
    {"CLP", 2}, /* the schemes sent two decimals until 13 October 2017; histories still have them */
    {"ISK", 2}, /* ISO has no minor unit since 2007, Mastercard kept two decimals (AN 1034, September 2017) */
    {"UGX", 2}, /* as CLP */
};

static uint8_t by_number[1000]; /* index into currencies + 1, 0 = none */
static pthread_once_t by_number_once = PTHREAD_ONCE_INIT;

static void by_number_make(void) {
  _Static_assert(CURRENCY_COUNT < UINT8_MAX, "an index and none fit a byte");
  for (int i = 0; i < CURRENCY_COUNT; i++) {
    TIDE_CHECK(i == 0 || memcmp(currencies[i - 1].code, currencies[i].code, 3) < 0);
    by_number[currencies[i].number] = (uint8_t)(i + 1); /* ANG and XCG share 532: the successor stands later */
  }
}

static int compare(const void *text, const void *row) { return memcmp(text, ((const struct currency *)row)->code, 3); }

static const struct currency *find(struct tide_span text) {
  if (text.len != 3) {
    return NULL;
  }
  bool numeric = true;
  for (size_t i = 0; i < 3; i++) {
    numeric = numeric && text.ptr[i] >= '0' && text.ptr[i] <= '9';
  }
  if (!numeric) {
    return bsearch(text.ptr, currencies, CURRENCY_COUNT, sizeof currencies[0], compare);
  }
  pthread_once(&by_number_once, by_number_make);
  int number = (text.ptr[0] - '0') * 100 + (text.ptr[1] - '0') * 10 + (text.ptr[2] - '0');
  return by_number[number] ? &currencies[by_number[number] - 1] : NULL;
}

enum tide_err tide_currency_get(struct tide_span text, char code[4], int *ret_exponent) {
  const struct currency *row = find(text);
  if (!row) {
    return TIDE_E_CURRENCY;
  }
  int exponent = row->exponent;
  for (size_t i = 0; i < sizeof overrides / sizeof overrides[0]; i++) {
    if (memcmp(overrides[i].code, row->code, 3) == 0) {
      exponent = overrides[i].exponent;
    }
  }
  memcpy(code, row->code, 4);
  *ret_exponent = exponent;
  return TIDE_OK;
}
