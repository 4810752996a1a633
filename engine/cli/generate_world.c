/* The world before the first event: cities, kinds of shop, merchants, cards.
 *
 * Card numbers begin with 9 (ISO/IEC 7812: national use, no card scheme issues them), end in a Luhn digit, and are dense: of eight neighbours
 * one is a living card, as in a real BIN, so that a thief who counts upwards finds some. Addresses, mail domains and networks are those that
 * RFC 2606, 2544, 3849 and 6598 reserve. */
#include "cli/generate_parts.h"

const struct tide_gen_city tide_gen_city[] = {{523676, 49041, "NL", "EUR", 14},
                                              {525200, 134050, "DE", "EUR", 14},
                                              {488566, 23522, "FR", "EUR", 14},
                                              {508503, 43517, "BE", "EUR", 8},
                                              {519244, 44777, "NL", "EUR", 8},
                                              {404168, -37038, "ES", "EUR", 9},
                                              {418919, 125113, "IT", "EUR", 8},
                                              {481351, 115820, "DE", "EUR", 7},
                                              {482082, 163738, "AT", "EUR", 5},
                                              {533498, -62603, "IE", "EUR", 4},
                                              {601699, 249384, "FI", "EUR", 3},
                                              {387223, -91393, "PT", "EUR", 4},
                                              {457640, 48357, "FR", "EUR", 4},
                                              {535511, 99937, "DE", "EUR", 5},
                                              {496117, 61319, "LU", "EUR", 1},
                                              {413851, 21734, "ES", "EUR", 4},
                                              /* abroad: where people travel to, and where copied cards turn up */
                                              {515074, -1278, "GB", "GBP", 8},
                                              {407128, -740060, "US", "USD", 6},
                                              {473769, 85417, "CH", "CHF", 4},
                                              {593293, 180686, "SE", "SEK", 3},
                                              {522297, 210122, "PL", "PLN", 4},
                                              {356762, 1396503, "JP", "JPY", 2},
                                              {556761, 125683, "DK", "DKK", 3},
                                              {340522, -1182437, "US", "USD", 3},
                                              {257617, -801918, "US", "USD", 3},
                                              {500755, 144378, "CZ", "EUR", 3},
                                              {410082, 289784, "TR", "EUR", 3},
                                              {137563, 1005018, "TH", "USD", 2},
                                              {-235505, -466333, "BR", "USD", 2},
                                              {252048, 552708, "AE", "USD", 2}};
const uint32_t tide_gen_city_count = sizeof tide_gen_city / sizeof *tide_gen_city, tide_gen_city_home_count = 16;

const struct tide_gen_mcc tide_gen_mcc[] = {
    /* code, trade, online, weight, median in cents, spread (Q16, in powers of two) */
    {"5411", GEN_SHOP, false, 30, 2400, 65536}, {"5812", GEN_SHOP, false, 14, 2800, 52000}, {"5814", GEN_SHOP, false, 14, 950, 46000},
    {"5542", GEN_FUEL, false, 7, 5500, 36000},  {"5912", GEN_SHOP, false, 6, 1500, 52000},  {"5651", GEN_SHOP, false, 7, 5200, 60000},
    {"5732", GEN_SHOP, false, 3, 14000, 78000}, {"4111", GEN_SHOP, false, 8, 480, 52000},   {"7011", GEN_HOTEL, false, 3, 13500, 46000},
    {"6011", GEN_CASH, false, 5, 8000, 46000},  {"5944", GEN_SHOP, false, 1, 24000, 72000}, {"7832", GEN_SHOP, false, 2, 2200, 33000},
    {"5311", GEN_SHOP, true, 24, 3400, 72000},  {"5816", GEN_SHOP, true, 14, 850, 52000},   {"4899", GEN_SHOP, true, 12, 1200, 26000},
    {"5732", GEN_SHOP, true, 7, 13000, 78000},  {"5651", GEN_SHOP, true, 14, 5600, 60000},  {"4511", GEN_SHOP, true, 4, 19000, 60000},
    {"7995", GEN_SHOP, true, 4, 2500, 65536},   {"5968", GEN_SHOP, true, 9, 1300, 33000},   {"8398", GEN_SHOP, true, 3, 1500, 52000}};
#define MCCS (sizeof tide_gen_mcc / sizeof *tide_gen_mcc)

const struct tide_gen_currency tide_gen_currency[8] = {{"EUR", 2, 1000000}, {"USD", 2, 921000}, {"GBP", 2, 1168000}, {"CHF", 2, 1049000},
                                                       {"SEK", 2, 87300},   {"JPY", 0, 6120},   {"PLN", 2, 231000},  {"DKK", 2, 134100}};

/* --- numbers and names */

uint64_t tide_gen_pan_of(uint32_t bin, uint32_t account) {
  TIDE_CHECK(bin < GEN_BINS && account < GEN_ACCOUNTS);
  uint64_t digits = (UINT64_C(90000000) + bin * UINT64_C(412307) + 1204) * GEN_ACCOUNTS + account; /* 15 of them */
  uint32_t sum = 0;
  uint64_t rest = digits;
  for (int i = 0; rest; i++, rest /= 10) { /* ISO/IEC 7812-1 annex B */
    uint32_t d = (uint32_t)(rest % 10);
    if (i % 2 == 0) d = d * 2 > 9 ? d * 2 - 9 : d * 2;
    sum += d;
  }
  return digits * 10 + (10 - sum % 10) % 10;
}

/* One of the eight neighbours; another one for every generation. */
static uint32_t seat(uint32_t row, uint32_t bin, uint8_t generation) {
  return (uint32_t)((tide_gen_mix((uint64_t)row * GEN_BINS + bin) + generation * 3u) % 8);
}

uint64_t tide_gen_pan(const struct gen *g, uint32_t card, uint8_t generation) {
  TIDE_CHECK(card < g->card_count);
  uint32_t bin = card % GEN_BINS, row = card / GEN_BINS;
  return tide_gen_pan_of(bin, row * 8 + seat(row, bin, generation));
}

uint32_t tide_gen_card_of(const struct gen *g, uint32_t bin, uint32_t account) {
  uint64_t card = (uint64_t)(account / 8) * GEN_BINS + bin;
  if (card >= g->card_count || seat(account / 8, bin, g->card[card].generation) != account % 8) return GEN_NONE;
  return (uint32_t)card;
}

/* Days since 1970 to year and day of the year, proleptic Gregorian; 1970..2399 are reachable. */
static uint64_t julian(int64_t time) {
  int64_t day = time / GEN_DAY;
  int64_t year = 1970;
  int64_t cycles = day / 1461; /* 1970..1973 hold one leap year, and so on; 2100 is corrected by the loop */
  year += cycles * 4;
  day -= cycles * 1461;
  if (year > 2100) day += 1;
  for (;;) {
    int64_t length = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
    if (day < length) break;
    day -= length;
    year++;
  }
  return (uint64_t)(year % 10 * 1000 + day + 1);
}

struct tide_gen_id tide_gen_id_next(struct gen *g, int64_t time, uint32_t merchant) {
  uint32_t stan = (uint32_t)(g->id_count++ % 1000000);
  uint64_t hour = (uint64_t)(time / GEN_HOUR % 24);
  uint32_t acquirer = merchant == GEN_NONE ? 999999 : 900001 + merchant % 13;
  return (struct tide_gen_id){(julian(time) * 100 + hour) * 1000000 + stan, stan,
                              acquirer}; /* ISO 8583 field 37: YDDDHH and the trace number */
}

uint32_t tide_gen_par(uint32_t card) { return tide_gen_mix(card + UINT64_C(77)) % 4 == 0 ? card + 1 : 0; }
uint32_t tide_gen_account(uint32_t card) { return card % 7 == 6 ? card : card + 1; } /* every seventh is a second card */
uint64_t tide_gen_device(uint32_t card, uint32_t which) { return tide_gen_mix((uint64_t)card * 16 + which) | 1; }
/* Bit 63: IPv6, a /56 of 2001:db8::/32; otherwise IPv4 in 100.64.0.0/10. */
uint64_t tide_gen_home_ip(uint32_t card) {
  if (card % 5 == 0) return UINT64_C(1) << 63 | card;
  return UINT64_C(0x64400000) + (uint64_t)card % (1u << 22);
}

/* --- choosing */

uint32_t tide_gen_merchant_online(struct gen *g) {
  uint32_t from = g->share_ppm_hot ? 1 : 0; /* a hot merchant gets its share from elsewhere */
  return from + tide_gen_popular(&g->life, g->online_count - from);
}

uint32_t tide_gen_merchant_in(struct gen *g, uint32_t city) {
  uint32_t first = g->city_first[city], count = g->city_first[city + 1] - first;
  TIDE_CHECK(count > 0);
  return first + tide_gen_popular(&g->life, count);
}

static int64_t local_hour(int64_t time) { return (time / GEN_HOUR + 1) % 24; }         /* CET all year: whose clock does not matter */
static int64_t weekday(int64_t time) { return ((time + GEN_HOUR) / GEN_DAY + 3) % 7; } /* Monday 0; 1970-01-01 was a Thursday */

int64_t tide_gen_hour_weight(int64_t time) {
  static const uint8_t hour[24] = {14, 8, 5, 4, 5, 10, 26, 52, 74, 84, 92, 104, 120, 108, 98, 100, 112, 128, 124, 104, 82, 62, 44, 26};
  static const uint8_t day[7] = {92, 92, 96, 102, 124, 132, 96};
  return (int64_t)hour[local_hour(time)] * day[weekday(time)];
}

int64_t tide_gen_rhythm(uint32_t rhythm, int64_t time) {
  /* day worker, early bird, evening person, night worker */
  static const uint8_t awake[4][24] = {
      {20, 8, 4, 2, 2, 10, 90, 150, 120, 90, 90, 130, 240, 200, 100, 100, 130, 240, 255, 220, 160, 110, 70, 40},
      {4, 2, 2, 8, 40, 160, 240, 255, 255, 240, 220, 200, 180, 160, 150, 140, 130, 120, 90, 60, 30, 16, 8, 4},
      {130, 80, 40, 16, 6, 4, 10, 40, 70, 100, 120, 150, 180, 180, 170, 170, 180, 200, 220, 240, 255, 250, 230, 180},
      {255, 240, 220, 200, 180, 160, 140, 120, 60, 20, 10, 10, 20, 60, 120, 160, 180, 180, 180, 180, 200, 220, 240, 250}};
  int64_t a = awake[rhythm % 4][local_hour(time)];
  return weekday(time) >= 5 && rhythm % 4 == 0 ? (a + 384) / 3 : a; /* at weekends day workers shop when they like */
}

/* --- building */

static uint8_t pick_mcc(struct tide_gen_rng *rng, bool online) {
  uint32_t total = 0;
  for (uint32_t i = 0; i < MCCS; i++) total += tide_gen_mcc[i].online == online ? tide_gen_mcc[i].weight : 0;
  uint64_t at = tide_gen_below(rng, total);
  for (uint32_t i = 0;; i++) {
    if (tide_gen_mcc[i].online != online) continue;
    if (at < tide_gen_mcc[i].weight) return (uint8_t)i;
    at -= tide_gen_mcc[i].weight;
  }
}

static void build_merchant(struct gen *g, uint32_t index, uint32_t city, bool online) {
  struct tide_gen_rng *rng = &g->world;
  struct tide_gen_merchant *merchant = &g->merchant[index]; /* draws in statements of their own: initializers have no order */
  *merchant = (struct tide_gen_merchant){.city = (uint8_t)city};
  merchant->price_q8 = (uint16_t)tide_gen_scale_exp2(256, tide_gen_normal_q16(rng) / 2);
  merchant->mcc = pick_mcc(rng, online);
  merchant->terminals = (uint8_t)(online ? 0 : 1 + tide_gen_popular(rng, 9));
  merchant->lat_e4 = (int16_t)tide_gen_between(rng, -600, 600); /* about 7 km */
  merchant->lon_e4 = (int16_t)tide_gen_between(rng, -900, 900);
}

static void build_merchants(struct gen *g) {
  g->online_count = g->merchant_count / 5 < 2 ? 2 : g->merchant_count / 5;
  uint32_t present = g->merchant_count - g->online_count;
  g->city_count = present / 2 < tide_gen_city_count ? present / 2 : tide_gen_city_count;
  TIDE_CHECK(g->city_count >= 2);
  g->home_count = g->city_count < tide_gen_city_count ? (g->city_count + 1) / 2 : tide_gen_city_home_count;
  uint64_t total = 0, before = 0;
  for (uint32_t c = 0; c < g->city_count; c++) total += tide_gen_city[c].weight;
  for (uint32_t i = 0; i < g->online_count; i++) build_merchant(g, i, (uint32_t)tide_gen_below(&g->world, g->city_count), true);
  uint32_t next = g->online_count;
  for (uint32_t c = 0; c < g->city_count; c++) {
    g->city_first[c] = next;
    before += tide_gen_city[c].weight;
    uint32_t end = g->online_count + (uint32_t)(before * (present - g->city_count) / total) + c + 1; /* one at least */
    while (next < end) build_merchant(g, next++, c, false);
  }
  g->city_first[g->city_count] = next;
  TIDE_CHECK(next == g->merchant_count);
}

static void build_card(struct gen *g, uint32_t index, uint32_t total_weight) {
  struct tide_gen_rng *rng = &g->world;
  struct tide_gen_card *card = &g->card[index];
  uint64_t at = tide_gen_below(rng, total_weight);
  uint32_t home = 0;
  while (at >= tide_gen_city[home].weight) at -= tide_gen_city[home++].weight;
  int64_t spend = tide_gen_scale_exp2(256, tide_gen_normal_q16(rng) * 2 / 3);
  *card = (struct tide_gen_card){.spend_q8 = (uint16_t)(spend > 4000 ? 4000 : spend), .home = (uint8_t)home, .last_ms = INT64_MIN / 2};
  card->activity = (uint8_t)(24 + tide_gen_popular(rng, 232));
  card->rhythm = (uint8_t)(tide_gen_below(rng, 8) < 5 ? 0 : tide_gen_between(rng, 1, 3));
  card->online_q8 = (uint8_t)(10 + tide_gen_popular(rng, 200));
  card->devices = (uint8_t)(1 + tide_gen_below(rng, 10) / 7);
  card->mobile_q8 = (uint8_t)tide_gen_popular(rng, 160);
  card->limit = 60000 + spend * tide_gen_between(rng, 700, 2400); /* 600 euro, and 1,800 to 6,100 for a middling income */
  uint32_t first = g->city_first[home], count = g->city_first[home + 1] - first;
  for (int i = 0; i < GEN_FAVOURITES; i++) card->favourite[i] = first + tide_gen_popular(rng, count);
}

void tide_gen_world_build(struct gen *g) {
  g->merchant = tide_alloc(g->merchant_count * sizeof *g->merchant);
  g->card = tide_alloc(g->card_count * sizeof *g->card);
  g->city_first = tide_alloc((tide_gen_city_count + 1) * sizeof *g->city_first);
  build_merchants(g);
  uint32_t total = 0;
  for (uint32_t c = 0; c < g->home_count; c++) total += tide_gen_city[c].weight;
  for (uint32_t i = 0; i < g->card_count; i++) build_card(g, i, total);
  for (int i = 0; i < 8; i++) g->rate_e6[i] = tide_gen_currency[i].rate_e6;
}
