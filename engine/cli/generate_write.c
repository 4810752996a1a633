/* Records as text: JSON lines in the shapes of the shipped feature file, or CSV rows of its `history` shapes, or something malformed.
 *
 * Written by hand into a reserved buffer: a general writer took most of the generator's time. A line stays below LINE_MAX bytes by
 * construction; every member has a bounded length.
 *
 * Malformed sorts (flaw): each must be rejected by a strict decoder, none may parse by luck:
 *    1 cut in the middle   2 invalid UTF-8      3 duplicate key / surplus cell   4 trailing bytes / missing cells   5 impossible date
 *    6 no card number      7 amount NaN         8 amount with five decimals      9 amount beyond the limit         10 currency that is none
 *   11 amount is a word   12 empty object/row  13 not a record at all           14 no id */
#include "cli/generate_parts.h"

#include "base/clock.h"
#include "base/num.h"

#define LINE_MAX_BYTES 1600

static const char *const entry_name[] = {"chip", "contactless", "swipe", "ecom", "moto"};
static const char *const extent_name[] = {"none", "partial", "full"};
static const char *const type_name[] = {"auth", "advice", "refund", "login", "card_add", "outcome", "label", "rate", "list", "profile"};
static const char *const list_name[] = {"blocked_cards", "blocked_ips", "trusted_merchants"}; /* enum tide_gen_list */

/* --- pieces */

static char *text(char *p, const char *s) {
  size_t n = strlen(s);
  memcpy(p, s, n);
  return p + n;
}

/* At least `width` digits; width up to 32. */
static char *digits(char *p, uint64_t v, int width) {
  char tmp[32];
  int n = 0;
  while (v || n < width) {
    tmp[n++] = (char)('0' + v % 10);
    v /= 10;
  }
  while (n) *p++ = tmp[--n];
  return p;
}

static char *hex(char *p, uint64_t v, int width) {
  for (int i = width - 1; i >= 0; i--) *p++ = "0123456789abcdef"[v >> (4 * i) & 15];
  return p;
}

static char *scaled(char *p, int64_t v, int decimals) {
  if (v < 0) *p++ = '-';
  uint64_t u = v < 0 ? (uint64_t)-v : (uint64_t)v, unit = (uint64_t)tide_pow10[decimals];
  p = digits(p, u / unit, 1);
  if (!decimals) return p;
  *p++ = '.';
  return digits(p, u % unit, decimals);
}

static char *time_text(char *p, int64_t time) {
  char tmp[TIDE_TIME_TEXT];
  tide_time_format((struct tide_etime){time}, tmp);
  return text(p, tmp);
}

static char *ip_text(char *p, uint64_t ip) {
  if (ip >> 63) { /* 2001:db8:aaaa:bb00::1, a /56 for each */
    p = text(p, "2001:db8:");
    p = hex(p, ip >> 8 & 0xffff, 4);
    *p++ = ':';
    p = hex(p, ip & 0xff, 2);
    return text(p, "00::1");
  }
  for (int i = 3; i >= 0; i--) {
    p = digits(p, ip >> (8 * i) & 0xff, 1);
    if (i) *p++ = '.';
  }
  return p;
}

/* A customer's mailbox, sometimes with a tag or a dot that means nothing; a thief's mailbox. */
static char *email_text(char *p, uint64_t email) {
  static const char *const domain[] = {"@example.com", "@example.org", "@example.net", "@mail.example"};
  if (email >> 63) {
    p = text(p, "x");
    p = hex(p, email & 0xffffffff, 8);
    return text(p, "@example.net");
  }
  uint64_t card = email >> 4 & 0xffffffff;
  p = text(p, email & 1 ? "jan.u" : "janu");
  p = digits(p, card, 1);
  if (email & 2) p = text(p, "+shop");
  return text(p, domain[card % 4]);
}

static char *merchant_text(char *p, uint32_t merchant) {
  *p++ = 'M';
  return digits(p, merchant, 6);
}

/* --- JSON */

static char *json_text(char *p, const char *key, const char *value) {
  p = text(p, key);
  *p++ = '"';
  p = text(p, value);
  *p++ = '"';
  return p;
}

static char *json_id(char *p, struct tide_gen_id id) {
  p = text(p, "\"rrn\":\"");
  p = digits(p, id.rrn, 12);
  p = text(p, "\",\"stan\":\"");
  p = digits(p, id.stan, 6);
  p = text(p, "\",\"acquirer\":\"");
  p = digits(p, id.acquirer, 6);
  *p++ = '"';
  return p;
}

static char *json_amount(char *p, const char *key, int64_t amount, uint8_t currency, uint32_t flaw) {
  p = text(p, key);
  switch (flaw) {
    case 7: p = text(p, "NaN"); break;
    case 8: p = text(p, "12.34567"); break;
    case 9: p = text(p, "99999999999999999999"); break;
    case 11: p = text(p, "\"a lot\""); break;
    default: p = scaled(p, amount, tide_gen_currency[currency].exponent);
  }
  p = json_text(p, ",\"currency\":", flaw == 10 ? "ZZZ" : tide_gen_currency[currency].code);
  *p++ = '}';
  return p;
}

static char *json_place(char *p, const struct gen *g, const struct tide_gen_record *r) {
  const struct tide_gen_merchant *m = &g->merchant[r->merchant];
  p = merchant_text(text(p, ",\"merchant\":{\"id\":\""), r->merchant);
  p = json_text(p, "\",\"mcc\":", tide_gen_mcc[m->mcc].code);
  p = json_text(p, ",\"country\":", tide_gen_city[m->city].country);
  *p++ = '}';
  if (r->entry < GEN_ECOM) {
    p = digits(merchant_text(text(p, ",\"terminal\":{\"id\":\"T"), r->merchant), r->terminal, 2);
    p = scaled(text(p, "\",\"lat\":"), tide_gen_city[m->city].lat_e4 + m->lat_e4, 4);
    p = scaled(text(p, ",\"lon\":"), tide_gen_city[m->city].lon_e4 + m->lon_e4, 4);
    *p++ = '}';
  }
  return json_text(p, ",\"entry\":", entry_name[r->entry]);
}

static char *json_person(char *p, const struct tide_gen_record *r) {
  if (r->device) {
    p = hex(text(p, ",\"device\":\""), r->device, 16);
    *p++ = '"';
  }
  if (r->ip) {
    p = ip_text(text(p, ",\"ip\":\""), r->ip);
    *p++ = '"';
  }
  if (r->email) {
    p = email_text(text(p, ",\"email\":\""), r->email);
    *p++ = '"';
  }
  return p;
}

static char *json_changes(char *p, const struct tide_gen_record *r) {
  if (r->has_amount_now) p = json_amount(p, ",\"amount_now\":{\"value\":", r->amount_now, r->currency, 0);
  if (r->reversed) p = json_text(p, ",\"reversed\":", extent_name[r->reversed]);
  if (r->refunded) p = json_text(p, ",\"refunded\":", extent_name[r->refunded]);
  if (r->type == GEN_LABEL) p = json_text(p, ",\"label\":", r->label_fraud ? "fraud" : "genuine");
  if (r->disputed) p = text(p, ",\"disputed\":true");
  return p;
}

static char *json_card(char *p, const struct tide_gen_record *r) {
  p = digits(text(p, ",\"card\":{\"number\":\""), r->pan, 16);
  *p++ = '"';
  if (r->par) {
    p = digits(text(p, ",\"par\":\"Q1TM"), r->par, 25); /* 29 characters, as EMVCo has it */
    *p++ = '"';
  }
  *p++ = '}';
  return p;
}

static char *json_list(char *p, const struct tide_gen_record *r) {
  p = json_text(p, ",\"list\":", list_name[r->list]);
  if (r->pan) p = json_card(p, r);
  if (r->merchant != GEN_NONE) p = text(merchant_text(text(p, ",\"merchant\":{\"id\":\""), r->merchant), "\"}");
  p = json_person(p, r);
  if (r->remove) p = text(p, ",\"remove\":true");
  if (r->expires) {
    p = time_text(text(p, ",\"expires\":\""), r->expires);
    *p++ = '"';
  }
  *p++ = '}';
  return p;
}

static char *json_profile(char *p, const struct tide_gen_record *r) {
  p = json_amount(json_card(p, r), ",\"limit\":{\"value\":", r->amount, r->currency, 0);
  p = json_text(p, ",\"segment\":", tide_gen_segment[r->list]);
  p = time_text(text(p, ",\"opened\":\""), r->expires);
  return text(p, "\"}");
}

static char *json(char *p, const struct gen *g, const struct tide_gen_record *r, uint32_t flaw) {
  p = json_text(p, "{\"type\":", type_name[r->type]);
  p = text(p, ",\"at\":\"");
  p = flaw == 5 ? text(p, "2026-02-30T25:61:00Z") : time_text(p, r->time);
  *p++ = '"';
  if (r->type == GEN_RATE) {
    p = json_text(p, ",\"currency\":", tide_gen_currency[r->currency].code);
    p = scaled(text(p, ",\"rate\":\""), r->rate_e6, 6);
    return text(p, "\"}");
  }
  if (r->type == GEN_LIST) return json_list(p, r);
  if (r->type == GEN_PROFILE) return json_profile(p, r);
  if (flaw != 14) {
    *p++ = ',';
    p = json_id(p, r->id);
  }
  if (flaw == 3) p = text(p, ",\"type\":\"auth\"");
  if (flaw != 6) p = json_card(p, r);
  if (r->account && r->type <= GEN_CARD_ADD) {
    p = digits(text(p, ",\"account\":\"A"), r->account, 8);
    *p++ = '"';
  }
  if (r->type != GEN_LOGIN && r->type != GEN_CARD_ADD) p = json_amount(p, ",\"amount\":{\"value\":", r->amount, r->currency, flaw);
  if (r->type <= GEN_REFUND) {
    p = text(p, r->type == GEN_REFUND ? ",\"direction\":\"credit\"" : ",\"direction\":\"debit\"");
    p = json_place(p, g, r);
  }
  if (r->type <= GEN_CARD_ADD) p = json_person(p, r);
  if (r->original.rrn) {
    p = json_id(text(p, ",\"original\":{"), r->original);
    *p++ = '}';
  }
  if (r->advice_of.rrn) {
    p = json_id(text(p, ",\"advice_of\":{"), r->advice_of);
    *p++ = '}';
  }
  if (r->response[0]) p = json_text(p, ",\"response_code\":", r->response);
  p = json_changes(p, r);
  *p++ = '}';
  return p;
}

/* --- CSV: one comma before every cell but the first */

static const char header[] =
    "record,kind,auth_ts,ingested_ts,rrn,stan,acquirer,pan,par,account,amount,currency,direction,merchant,mcc,country,terminal,lat,lon,entry,"
    "device,ip,email,original_rrn,original_stan,original_acquirer,advice_rrn,advice_stan,advice_acquirer,response_code,amount_now,reversed,"
    "refunded,label,disputed,rate,list,expires,remove";

void tide_gen_write_header(struct tide_buf *out) { tide_buf_str(out, header); }

static char *csv_id(char *p, struct tide_gen_id id) {
  if (!id.rrn) return text(p, ",,,");
  *p++ = ',';
  p = digits(p, id.rrn, 12);
  *p++ = ',';
  p = digits(p, id.stan, 6);
  *p++ = ',';
  return digits(p, id.acquirer, 6);
}

static char *csv_card(char *p, const struct tide_gen_record *r, uint32_t flaw) {
  *p++ = ',';
  if (r->pan && flaw != 6) p = digits(p, r->pan, 16);
  *p++ = ',';
  if (r->par && flaw != 6) p = digits(text(p, "Q1TM"), r->par, 25);
  *p++ = ',';
  return r->account && r->type <= GEN_CARD_ADD ? digits(text(p, "A"), r->account, 8) : p;
}

static char *csv_amount(char *p, const struct tide_gen_record *r, uint32_t flaw) {
  bool none = r->type == GEN_LOGIN || r->type == GEN_CARD_ADD || r->type == GEN_RATE || r->type == GEN_LIST;
  *p++ = ',';
  switch (flaw) {
    case 7: p = text(p, "NaN"); break;
    case 8: p = text(p, "12.34567"); break;
    case 9: p = text(p, "99999999999999999999"); break;
    case 11: p = text(p, "a lot"); break;
    default: p = none ? p : scaled(p, r->amount, tide_gen_currency[r->currency].exponent);
  }
  *p++ = ',';
  if (!none || r->type == GEN_RATE) p = text(p, flaw == 10 ? "ZZZ" : tide_gen_currency[r->currency].code);
  return p;
}

static char *csv_place(char *p, const struct gen *g, const struct tide_gen_record *r) {
  if (r->type == GEN_LIST && r->merchant != GEN_NONE) return text(merchant_text(text(p, ",,"), r->merchant), ",,,,,,");
  if (r->type > GEN_REFUND) return text(p, ",,,,,,,,");
  const struct tide_gen_merchant *m = &g->merchant[r->merchant];
  p = text(p, r->type == GEN_REFUND ? ",credit," : ",debit,");
  p = merchant_text(p, r->merchant);
  *p++ = ',';
  p = text(p, tide_gen_mcc[m->mcc].code);
  *p++ = ',';
  p = text(p, tide_gen_city[m->city].country);
  *p++ = ',';
  if (r->entry < GEN_ECOM) {
    p = digits(merchant_text(text(p, "T"), r->merchant), r->terminal, 2);
    *p++ = ',';
    p = scaled(p, tide_gen_city[m->city].lat_e4 + m->lat_e4, 4);
    *p++ = ',';
    p = scaled(p, tide_gen_city[m->city].lon_e4 + m->lon_e4, 4);
  } else {
    p = text(p, ",,");
  }
  *p++ = ',';
  return text(p, entry_name[r->entry]);
}

static char *csv_person(char *p, const struct tide_gen_record *r) {
  bool event = r->type <= GEN_CARD_ADD;
  *p++ = ',';
  if (event && r->device) p = hex(p, r->device, 16);
  *p++ = ',';
  if (r->ip && (event || r->type == GEN_LIST)) p = ip_text(p, r->ip);
  *p++ = ',';
  return event && r->email ? email_text(p, r->email) : p;
}

static char *csv_changes(char *p, const struct tide_gen_record *r) {
  *p++ = ',';
  p = text(p, r->response);
  *p++ = ',';
  if (r->has_amount_now) p = scaled(p, r->amount_now, tide_gen_currency[r->currency].exponent);
  *p++ = ',';
  if (r->reversed) p = text(p, extent_name[r->reversed]);
  *p++ = ',';
  if (r->refunded) p = text(p, extent_name[r->refunded]);
  *p++ = ',';
  if (r->type == GEN_LABEL) p = text(p, r->label_fraud ? "fraud" : "genuine");
  *p++ = ',';
  if (r->disputed) p = text(p, "true");
  *p++ = ',';
  if (r->type == GEN_RATE) p = scaled(p, r->rate_e6, 6);
  *p++ = ',';
  if (r->type == GEN_LIST) p = text(p, list_name[r->list]);
  *p++ = ',';
  if (r->expires) p = digits(p, (uint64_t)r->expires, 1);
  *p++ = ',';
  return r->remove ? text(p, "true") : p;
}

static char *csv(char *p, const struct gen *g, const struct tide_gen_record *r, int64_t known_ms, uint32_t flaw) {
  p = text(p, r->type <= GEN_CARD_ADD ? "event" : type_name[r->type]);
  *p++ = ',';
  if (r->type <= GEN_CARD_ADD) p = text(p, type_name[r->type]);
  *p++ = ',';
  p = flaw == 5 ? text(p, "1767x") : digits(p, (uint64_t)r->time, 1);
  *p++ = ',';
  p = digits(p, (uint64_t)known_ms, 1);
  p = csv_id(p, r->type == GEN_RATE || r->type == GEN_LIST || flaw == 14 ? (struct tide_gen_id){0} : r->id);
  p = csv_card(p, r, flaw);
  p = csv_amount(p, r, flaw);
  p = csv_place(p, g, r);
  p = csv_person(p, r);
  p = csv_id(p, r->original);
  p = csv_id(p, r->advice_of);
  p = csv_changes(p, r);
  if (flaw == 3) *p++ = ','; /* one cell too many */
  return p;
}

void tide_gen_write(const struct gen *g, const struct tide_gen_record *record, int64_t known_ms, uint32_t flaw, struct tide_buf *out) {
  TIDE_CHECK(flaw <= GEN_FLAWS && (!flaw || record->type == GEN_AUTH));
  tide_buf_reserve(out, LINE_MAX_BYTES);
  char *begin = out->ptr + out->len;
  char *p = g->opt.csv ? csv(begin, g, record, known_ms, flaw) : json(begin, g, record, flaw);
  if (flaw == 1) p = begin + (p - begin) / 2;
  if (flaw == 2) begin[(p - begin) / 2] = (char)0xff; /* no byte of UTF-8 */
  if (flaw == 4) p = g->opt.csv ? begin + 40 : text(p, "}");
  if (flaw == 12) p = text(begin, g->opt.csv ? "event" : "{}");
  if (flaw == 13) p = text(begin, g->opt.csv ? "\"never closed" : "ERROR: upstream connect error or disconnect");
  TIDE_CHECK(p - begin < LINE_MAX_BYTES);
  out->len += (size_t)(p - begin);
}
