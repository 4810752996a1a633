/* What customers do, and what comes of it.
 *
 * A visit is one customer's purchase, perhaps with a login before it and more purchases after it (a stroll through town). A purchase
 * becomes an authorization; the issuer's answer is known at once and told some hundred milliseconds later; then it may be retried,
 * reversed, completed at another amount, incremented, refunded, disputed. Everything later waits in the queue. */
#include "cli/generate_parts.h"

static bool chance(struct gen *g, uint32_t ppm) { return tide_gen_chance(&g->life, ppm); }

/* Euro cents to the merchant's currency where the log has it; both are minor units. */
static int64_t to_currency(const struct gen *g, int64_t cents, uint8_t currency) {
  if (currency == 0) return cents;
  int64_t unit = tide_gen_currency[currency].exponent == 0 ? 1 : 100;
  int64_t v = cents * 10000 * unit / g->rate_e6[currency]; /* cents / 100 / (rate / 10^6) units */
  return v > 0 ? v : 1;
}

static int64_t to_cents(const struct gen *g, int64_t amount, uint8_t currency) {
  if (currency == 0) return amount;
  int64_t unit = tide_gen_currency[currency].exponent == 0 ? 1 : 100;
  return amount * g->rate_e6[currency] / (10000 * unit);
}

static uint8_t currency_of(const struct gen *g, uint32_t merchant) {
  const char *code = tide_gen_city[g->merchant[merchant].city].currency;
  for (uint8_t i = 1; i < g->opt.currencies; i++)
    if (strcmp(tide_gen_currency[i].code, code) == 0) return i;
  return 0;
}

/* What a customer of this income pays at this merchant, in euro cents: log-normal, with the round prices that people meet. */
static int64_t price(struct gen *g, const struct tide_gen_card *card, uint32_t merchant) {
  const struct tide_gen_merchant *m = &g->merchant[merchant];
  const struct tide_gen_mcc *kind = &tide_gen_mcc[m->mcc];
  int64_t income = (card->spend_q8 + 256) / 2; /* prices move less than incomes */
  int64_t v = (int64_t)kind->median_minor * m->price_q8 / 256 * income / 256;
  v = tide_gen_scale_exp2(v, tide_gen_normal_q16(&g->life) * kind->spread_q16 / 65536);
  if (kind->trade == GEN_CASH) v = (v + 1999) / 2000 * 2000;
  else if (chance(g, GEN_PPM(25))) v = v / 100 * 100 + 99;
  else if (chance(g, GEN_PPM(20))) v = (v + 99) / 100 * 100;
  return v < 20 ? 20 : v > 900000 ? 900000 : v;
}

/* --- where and with what */

static bool on_trip(const struct tide_gen_card *card, int64_t time) { return time < card->trip_until; }

/* A trip begins and ends with hours between purchases: nobody flies faster than planes. */
static void maybe_travel(struct gen *g, struct tide_gen_card *card, int64_t time) {
  if (time - card->last_ms < 14 * GEN_HOUR) {
    if (card->trip_until && !on_trip(card, time)) card->trip_until = time + GEN_HOUR; /* still there */
    return;
  }
  if (on_trip(card, time)) return;
  card->trip_until = 0;
  if (!chance(g, GEN_PPM(0.8))) return;
  card->trip_city = (uint8_t)tide_gen_below(&g->life, g->city_count);
  card->trip_until = time + tide_gen_between(&g->life, 2, 14) * GEN_DAY;
}

static uint32_t choose_present(struct gen *g, struct tide_gen_card *card, int64_t time) {
  if (on_trip(card, time)) return tide_gen_merchant_in(g, card->trip_city);
  if (chance(g, GEN_PPM(68))) return card->favourite[tide_gen_popular(&g->life, GEN_FAVOURITES)];
  return tide_gen_merchant_in(g, card->home);
}

/* The hot merchant takes its share of all authorizations: whatever else happened is made up for by the next free choice. */
static bool choose_hot(struct gen *g) {
  if (g->share_ppm_hot == 0 || g->hot_owed < 1000000) return false;
  g->hot_owed -= 1000000;
  return true;
}

static uint64_t customer_email(struct gen *g, uint32_t card) {
  uint64_t look = chance(g, GEN_PPM(6)) ? tide_gen_below(&g->life, 4) : 0;
  return UINT64_C(1) << 62 | (uint64_t)card << 4 | look;
}

/* At home, on the road behind one of the carriers' gateways, which many cards share. */
static uint64_t customer_ip(struct gen *g, uint32_t card) {
  if (tide_gen_below(&g->life, 256) >= g->card[card].mobile_q8) return tide_gen_home_ip(card);
  return UINT64_C(0x0a000000) + tide_gen_below(&g->life, 16 + g->card_count / 200);
}

/* --- the issuer's answer */

static const char *answer(struct gen *g, const struct tide_gen_plan *plan, struct tide_gen_card *card, int64_t time, int64_t cents,
                          bool online) {
  if (plan->pan) return "14";                                           /* no such card */
  if (plan->fraud && plan->generation != card->generation) return "41"; /* reported lost, replaced since */
  uint16_t month = (uint16_t)(time / (30 * GEN_DAY));
  if (card->month != month) {
    card->month = month;
    card->spent = 0;
  }
  if (card->spent + cents > card->limit) return "51";
  if (chance(g, GEN_PPM(1.6))) return "51";
  if (chance(g, GEN_PPM(0.5))) return "05";
  if (online && chance(g, GEN_PPM(0.5))) return chance(g, 500000) ? "14" : "54"; /* mistyped, or an old card in the shop's vault */
  if (online && plan->fraud && plan->amount && plan->amount <= 250 && chance(g, GEN_PPM(45)))
    return chance(g, 600000) ? "54" : "05"; /* a guessed date */
  return "00";
}

/* --- what comes after */

static struct tide_gen_record outcome_of(const struct tide_gen_record *auth, int64_t time) {
  struct tide_gen_record r = {.type = GEN_OUTCOME,
                              .time = time,
                              .id = auth->id,
                              .pan = auth->pan,
                              .par = auth->par,
                              .amount = auth->amount,
                              .currency = auth->currency,
                              .merchant = GEN_NONE,
                              .fraud = auth->fraud};
  return r;
}

static void tell_answer(struct gen *g, struct tide_gen_record *auth) {
  bool partial = strcmp(auth->response, "10") == 0;
  struct tide_gen_record r = outcome_of(auth, auth->time + tide_gen_between(&g->life, 90, 900));
  memcpy(r.response, auth->response, sizeof r.response);
  if (partial) {
    r.has_amount_now = true;
    r.amount_now = auth->amount * 3 / 5;
  }
  if (g->opt.outcomes == TIDE_GENERATE_RECORDS) tide_gen_emit_at(g, r.time, r);
  if (g->opt.outcomes == TIDE_GENERATE_RECORDS) auth->response[0] = 0;
  if (g->opt.outcomes == TIDE_GENERATE_ROW && partial) { /* a row has no place for the smaller amount */
    r.response[0] = 0;
    tide_gen_emit_at(g, r.time, r);
  }
}

static void change_later(struct gen *g, const struct tide_gen_record *auth, int64_t delay, enum tide_gen_extent reversed,
                         int64_t amount_now) {
  if (g->opt.outcomes == TIDE_GENERATE_NONE) return;
  struct tide_gen_record r = outcome_of(auth, auth->time + delay);
  r.reversed = (uint8_t)reversed;
  r.has_amount_now = true;
  r.amount_now = amount_now;
  tide_gen_emit_at(g, r.time, r);
}

static void refund_later(struct gen *g, const struct tide_gen_record *auth) {
  int64_t time = auth->time + tide_gen_between(&g->life, GEN_DAY, 20 * GEN_DAY);
  bool full = chance(g, 700000);
  struct tide_gen_record r = *auth;
  r.type = GEN_REFUND;
  r.time = time;
  r.id = tide_gen_id_next(g, time, auth->merchant);
  r.original = r.advice_of = (struct tide_gen_id){0};
  r.response[0] = 0;
  r.amount = full ? auth->amount : auth->amount / 2;
  if (r.amount == 0) return;
  tide_gen_emit_at(g, time, r);
  if (g->opt.outcomes == TIDE_GENERATE_NONE) return;
  struct tide_gen_record o = outcome_of(auth, time);
  o.refunded = full ? GEN_FULL : GEN_PARTIAL;
  tide_gen_emit_at(g, time, o);
}

static void buy_later(struct gen *g, int64_t time, const struct tide_gen_plan *plan) {
  struct tide_gen_node node = {.action = GEN_BUY, .plan = *plan};
  tide_gen_queue_put(&g->queue, time, &node);
}

/* A hotel or a car: the first authorization is for a night, the next ones name it. */
static void increments_later(struct gen *g, const struct tide_gen_record *auth, const struct tide_gen_plan *plan, uint32_t card) {
  int64_t nights = tide_gen_between(&g->life, 1, 4);
  for (int64_t i = 1; i <= nights; i++) {
    struct tide_gen_plan more = {.card = card,
                                 .merchant = auth->merchant,
                                 .entry = auth->entry,
                                 .fixed_entry = true,
                                 .terminal = auth->terminal,
                                 .amount = auth->amount / 2 + 1,
                                 .currency = auth->currency,
                                 .original = auth->id,
                                 .generation = g->card[card].generation,
                                 .tries = 9,
                                 .fraud = plan->fraud};
    buy_later(g, auth->time + i * GEN_DAY - tide_gen_between(&g->life, 0, 3 * GEN_HOUR), &more);
  }
}

static void advice_later(struct gen *g, const struct tide_gen_record *auth) {
  struct tide_gen_record r = *auth;
  r.type = GEN_ADVICE;
  r.time = auth->time + tide_gen_between(&g->life, 5 * GEN_SECOND, 10 * GEN_MINUTE);
  r.id = tide_gen_id_next(g, r.time, auth->merchant);
  r.response[0] = 0;
  r.original = (struct tide_gen_id){0};
  if (chance(g, 600000)) { /* repeats what did reach us */
    r.advice_of = auth->id;
  } else {
    r.amount = auth->amount + 100; /* stood in for us while the line was down */
  }
  tide_gen_emit_at(g, r.time, r);
}

static void after(struct gen *g, const struct tide_gen_record *auth, const struct tide_gen_plan *plan, uint32_t card,
                  const char *response) {
  const struct tide_gen_mcc *kind = &tide_gen_mcc[g->merchant[auth->merchant].mcc];
  bool approved = response[0] == '0' && response[1] == '0';
  bool increment = auth->original.rrn != 0;
  if (chance(g, GEN_PPM(0.2))) advice_later(g, auth);
  if (!approved) {
    bool again = strcmp(response, "51") == 0 ? chance(g, GEN_PPM(45)) : chance(g, GEN_PPM(25));
    if (again && !plan->fraud && !increment && plan->tries < 3) { /* once more, perhaps for less */
      struct tide_gen_plan retry = {.card = card,
                                    .merchant = auth->merchant,
                                    .entry = auth->entry,
                                    .fixed_entry = true,
                                    .terminal = auth->terminal,
                                    .amount = chance(g, 500000) ? auth->amount : auth->amount / 2 + 1,
                                    .currency = auth->currency,
                                    .tries = (uint8_t)(plan->tries + 1),
                                    .device = auth->device,
                                    .ip = auth->ip,
                                    .email = auth->email};
      buy_later(g, auth->time + tide_gen_between(&g->life, 15 * GEN_SECOND, 2 * GEN_MINUTE), &retry);
    }
    return;
  }
  if (increment || plan->fraud) return;
  if (kind->trade == GEN_FUEL && chance(g, GEN_PPM(80))) { /* the pump tells what was filled */
    /* One draw a statement, here and everywhere: the order in which C evaluates arguments is the compiler's choice. */
    int64_t filled_pct = tide_gen_between(&g->life, 30, 100);
    int64_t delay_ms = tide_gen_between(&g->life, GEN_MINUTE, 6 * GEN_MINUTE);
    change_later(g, auth, delay_ms, GEN_NO_EXTENT, auth->amount * filled_pct / 100);
  } else if (kind->trade == GEN_HOTEL && chance(g, GEN_PPM(45))) {
    increments_later(g, auth, plan, card);
  } else if (chance(g, GEN_PPM(0.9))) {
    change_later(g, auth, tide_gen_between(&g->life, 20 * GEN_SECOND, 15 * GEN_MINUTE), GEN_FULL, 0);
  } else if (chance(g, GEN_PPM(0.3))) {
    change_later(g, auth, tide_gen_between(&g->life, GEN_HOUR, 2 * GEN_DAY), GEN_PARTIAL, auth->amount / 2);
  } else if (auth->entry >= GEN_ECOM && chance(g, GEN_PPM(4))) {
    refund_later(g, auth);
  }
  if (g->opt.labels && chance(g, GEN_PPM(0.4))) { /* asked, and it was the customer; sometimes after a dispute */
    struct tide_gen_record r = outcome_of(auth, auth->time + tide_gen_between(&g->life, GEN_HOUR, 6 * GEN_DAY));
    r.type = GEN_LABEL;
    r.disputed = chance(g, GEN_PPM(10));
    tide_gen_emit_at(g, r.time, r);
  }
}

/* --- one authorization */

static struct tide_gen_id choose_id(struct gen *g, const struct tide_gen_plan *plan, struct tide_gen_card *card, int64_t time,
                                    uint32_t merchant, int64_t *amount) {
  g->reuse_owed += tide_gen_below(&g->noise, 1000000) < g->share_ppm_reused;
  bool can = g->reuse_owed && !plan->pan && !plan->original.rrn && card->last_id.rrn && time - card->last_ms < 6 * GEN_DAY;
  struct tide_gen_id id = tide_gen_id_next(g, time, merchant);
  if (!can) return id;
  g->reuse_owed--;
  g->counts.reused++;
  if (merchant == card->last_merchant && *amount == card->last_amount) *amount += 1;
  return card->last_id;
}

void tide_gen_buy(struct gen *g, int64_t time, const struct tide_gen_plan *plan) {
  if (g->counts.auths >= (uint64_t)g->opt.transactions) return;
  struct tide_gen_card *card = &g->card[plan->card];
  uint32_t merchant = plan->merchant;
  if (g->share_ppm_hot) g->hot_owed += g->share_ppm_hot;
  bool free_choice = !plan->fixed_entry && !plan->fraud && !plan->original.rrn && !plan->tries;
  bool hot = free_choice && choose_hot(g);
  if (hot) {
    merchant = 0;
  } else if (merchant == GEN_NONE) {
    bool online = tide_gen_below(&g->life, 256) < card->online_q8;
    if (!online) maybe_travel(g, card, time);
    merchant = online ? tide_gen_merchant_online(g) : choose_present(g, card, time);
  }
  const struct tide_gen_merchant *m = &g->merchant[merchant];
  bool online = merchant < g->online_count;
  uint8_t currency = plan->amount ? plan->currency : currency_of(g, merchant);
  int64_t amount = plan->amount ? plan->amount : to_currency(g, price(g, card, merchant), currency);
  struct tide_gen_record r = {
      .type = GEN_AUTH, .time = time, .merchant = merchant, .currency = currency, .original = plan->original, .fraud = plan->fraud};
  r.entry = plan->fixed_entry
                ? plan->entry
                : (uint8_t)(online ? (chance(g, GEN_PPM(3)) ? GEN_MOTO : GEN_ECOM) : (chance(g, GEN_PPM(62)) ? GEN_CONTACTLESS : GEN_CHIP));
  r.terminal = plan->fixed_entry ? plan->terminal : (uint8_t)(m->terminals ? tide_gen_below(&g->life, m->terminals) : 0);
  r.pan = plan->pan ? plan->pan : tide_gen_pan(g, plan->card, plan->fraud ? plan->generation : card->generation);
  r.par = plan->pan ? 0 : tide_gen_par(plan->card);
  r.account = plan->pan ? 0 : tide_gen_account(plan->card);
  if (r.entry == GEN_ECOM) {
    bool own = !plan->fraud && !plan->device;
    r.device = own ? tide_gen_device(plan->card, (uint32_t)tide_gen_below(&g->life, card->devices)) : plan->device;
    r.ip = own ? customer_ip(g, plan->card) : plan->ip;
    r.email = own ? customer_email(g, plan->card) : plan->email;
  }
  int64_t cents = to_cents(g, amount, currency);
  const char *response = answer(g, plan, card, time, cents, online);
  if (response[0] == '0' && response[1] == '0' && !plan->fraud && !plan->original.rrn && chance(g, GEN_PPM(0.4))) response = "10";
  if (response[0] == '0' && response[1] == '0') card->spent += cents;
  r.id = choose_id(g, plan, card, time, merchant, &amount);
  r.amount = amount;
  memcpy(r.response, response, 3);

  g->counts.auths++;
  if (g->counts.auths == 1) g->counts.first_ms = time;
  g->counts.last_ms = time;
  g->counts.fraud += plan->fraud;
  if (g->opt.outcomes == TIDE_GENERATE_NONE) r.response[0] = 0;
  else tell_answer(g, &r);
  tide_gen_emit(g, &r);
  memcpy(r.response, response, 3);
  after(g, &r, plan, plan->card, response);
  if (plan->fraud) tide_gen_fraud_after(g, &r, plan->card);
  if (plan->pan) return;
  if (!plan->fraud) {
    card->last_ms = time;
    if (!online) {
      g->recent[g->recent_count % GEN_RECENT].card = plan->card;
      g->recent[g->recent_count++ % GEN_RECENT].time = time;
      if (m->skimmer && r.terminal == 0) tide_gen_fraud_skim(g, time, m->skimmer - 1u, plan->card);
    }
    card->last_id = r.id;
    card->last_amount = amount;
    card->last_merchant = merchant;
  }
}

void tide_gen_session(struct gen *g, int64_t time, enum tide_gen_type type, uint32_t card, uint64_t device, uint64_t ip, uint64_t email) {
  struct tide_gen_record r = {.type = (uint8_t)type,
                              .time = time,
                              .id = tide_gen_id_next(g, time, GEN_NONE),
                              .pan = tide_gen_pan(g, card, g->card[card].generation),
                              .par = tide_gen_par(card),
                              .account = tide_gen_account(card),
                              .merchant = GEN_NONE,
                              .device = device,
                              .ip = ip,
                              .email = email};
  tide_gen_emit_at(g, time, r);
}

void tide_gen_replace_card(struct gen *g, uint32_t card) {
  struct tide_gen_card *c = &g->card[card];
  if (c->generation < 7) c->generation++; /* eight neighbouring numbers are its own */
  c->last_id = (struct tide_gen_id){0};
}

/* --- one visit */

static uint32_t choose_card(struct gen *g, int64_t time) {
  for (int i = 0; i < 24; i++) {
    uint32_t card = (uint32_t)tide_gen_below(&g->life, g->card_count);
    const struct tide_gen_card *c = &g->card[card];
    if ((int64_t)tide_gen_below(&g->life, 65536) < c->activity * tide_gen_rhythm(c->rhythm, time)) return card;
  }
  return (uint32_t)tide_gen_below(&g->life, g->card_count);
}

void tide_gen_visit(struct gen *g, int64_t time) {
  uint32_t card = choose_card(g, time);
  struct tide_gen_plan plan = {.card = card, .merchant = GEN_NONE};
  if (chance(g, GEN_PPM(5))) { /* looks at the balance first */
    uint64_t email = customer_email(g, card);
    uint64_t ip = customer_ip(g, card);
    tide_gen_session(g, time, GEN_LOGIN, card, tide_gen_device(card, 0), ip, email);
    if (chance(g, GEN_PPM(4)))
      tide_gen_session(g, time + 40 * GEN_SECOND, GEN_CARD_ADD, card, tide_gen_device(card, 0), tide_gen_home_ip(card),
                       customer_email(g, card));
    buy_later(g, time + tide_gen_between(&g->life, 30 * GEN_SECOND, 20 * GEN_MINUTE), &plan);
  } else {
    tide_gen_buy(g, time, &plan);
  }
  for (int64_t at = time; chance(g, GEN_PPM(24));) { /* a stroll through town */
    at += tide_gen_between(&g->life, 4 * GEN_MINUTE, 80 * GEN_MINUTE);
    buy_later(g, at, &plan);
  }
}
