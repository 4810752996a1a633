/* What thieves do. Five kinds of campaign, each as fraud teams know them:
 *
 *   testing     one BIN's numbers counted upwards, tiny amounts at one online shop, few addresses and devices; most do not exist (14) or
 *               have another date (54); what works is used for large baskets hours later
 *   spree       a card stolen after a purchase, used far away within hours, amounts rising until it is blocked
 *   skimming    one terminal copies cards for weeks; copies are swiped at accomplices' terminals abroad, days later
 *   takeover    logins and a card_add from a device of his own, then large baskets from there
 *   bust-out    an account that spends a little more every week, then everything within two days; nobody disputes it
 *
 * A campaign starts when the authorizations planned by all campaigns so far fall behind SHARE of all authorizations, and is of the kind
 * that is furthest behind. So the share holds for small and large logs alike, and no kind is missing. */
#include "cli/generate_parts.h"

#define SHARE_PPM 10500
static const uint32_t share_of_kind[GEN_FRAUDS] = {300, 220, 220, 130, 130}; /* of 1000 */

static struct tide_gen_rng *rng_of(struct gen *g) { return &g->life; }
static int64_t between(struct gen *g, int64_t lo, int64_t hi) { return tide_gen_between(rng_of(g), lo, hi); }

static void buy_at(struct gen *g, int64_t time, const struct tide_gen_plan *plan) {
  struct tide_gen_node node = {.action = GEN_BUY, .plan = *plan};
  tide_gen_queue_put(&g->queue, time, &node);
}

static void step_at(struct gen *g, int64_t time, uint32_t campaign) {
  struct tide_gen_node node = {.action = GEN_CAMPAIGN, .ref = campaign};
  tide_gen_queue_put(&g->queue, time, &node);
}

/* Networks of thieves: 198.18.0.0/15, a few addresses of one /24 each. */
static uint64_t thief_ip(struct gen *g) { return UINT64_C(0xc6120000) + tide_gen_below(rng_of(g), 1u << 17); }
static uint64_t thief_mail(struct gen *g) { return UINT64_C(1) << 63 | (tide_gen_next(rng_of(g)) & 0xffffffff); }
static uint64_t thief_device(struct gen *g) { return tide_gen_next(rng_of(g)) | 1; }

static uint32_t shop(struct gen *g) { return tide_gen_merchant_online(g); }
/* A shop with a terminal, abroad if the world is large enough. */
static uint32_t far_shop(struct gen *g, uint32_t home) {
  uint32_t city = g->home_count + (uint32_t)tide_gen_below(rng_of(g), g->city_count - g->home_count);
  return tide_gen_merchant_in(g, city == home ? 0 : city);
}

static uint32_t victim(struct gen *g) {
  for (int i = 0; i < 16; i++) {
    uint32_t card = (uint32_t)tide_gen_below(rng_of(g), g->card_count);
    if (!g->card[card].busting && g->card[card].generation < 6) return card;
  }
  return (uint32_t)tide_gen_below(rng_of(g), g->card_count);
}

static uint64_t size_of(const struct gen *g, int64_t lo, int64_t hi, int64_t per) { /* larger logs have larger campaigns */
  int64_t v = g->opt.transactions / per;
  return (uint64_t)(v < lo ? lo : v > hi ? hi : v);
}

/* --- starting */

static void start_testing(struct gen *g, int64_t time, struct tide_gen_campaign *c, uint32_t index) {
  c->steps = (uint32_t)between(g, 15, 15 + (int64_t)size_of(g, 10, 120, 1500));
  c->base = (uint32_t)tide_gen_below(rng_of(g), GEN_BINS);
  /* Somewhere among numbers that exist, or the thief would learn nothing. */
  uint32_t rows = g->card_count / GEN_BINS + 1;
  c->generation = (uint32_t)tide_gen_below(rng_of(g), rows) * 8;
  c->merchant[0] = shop(g);
  for (int i = 0; i < 2; i++) c->device[i] = thief_device(g);
  c->ip[0] = thief_ip(g);
  for (int i = 1; i < 3; i++) c->ip[i] = (c->ip[0] & ~UINT64_C(255)) + tide_gen_below(rng_of(g), 256);
  g->planned[GEN_TESTING] += c->steps;
  step_at(g, time + between(g, 0, 2 * GEN_HOUR), index);
}

static void start_spree(struct gen *g, int64_t time, struct tide_gen_campaign *c, uint32_t index) {
  c->card = victim(g);
  if (g->recent_count >= GEN_RECENT) { /* whoever paid within the last hours, where the pickpocket stood behind him */
    uint32_t i = (uint32_t)tide_gen_below(rng_of(g), GEN_RECENT);
    if (!g->card[g->recent[i].card].busting) c->card = g->recent[i].card;
  }
  c->steps = (uint32_t)between(g, 4, 10);
  c->generation = g->card[c->card].generation;
  c->amount = between(g, 2500, 9000);
  for (int i = 0; i < 3; i++) c->merchant[i] = far_shop(g, g->card[c->card].home);
  g->planned[GEN_SPREE] += c->steps;
  step_at(g, time + between(g, 30 * GEN_MINUTE, 3 * GEN_HOUR), index);
}

static void start_skimming(struct gen *g, int64_t time, struct tide_gen_campaign *c, uint32_t index) {
  uint32_t city = (uint32_t)tide_gen_below(rng_of(g), g->home_count);
  uint32_t at = tide_gen_merchant_in(g, city);
  if (g->merchant[at].skimmer) {
    c->running = false;
    return;
  }
  g->merchant[at].skimmer = (uint8_t)(index + 1);
  c->base = at;
  c->steps = (uint32_t)size_of(g, 2, 20, 20000); /* cards to copy */
  uint32_t first = far_shop(g, city);
  for (int i = 0; i < 3; i++) c->merchant[i] = i < 2 ? first : far_shop(g, city); /* accomplices */
  c->end = time + between(g, 14, 35) * GEN_DAY;
  g->planned[GEN_SKIMMING] += c->steps * 3;
  step_at(g, c->end, index);
}

static void start_takeover(struct gen *g, int64_t time, struct tide_gen_campaign *c, uint32_t index) {
  c->card = victim(g);
  c->steps = (uint32_t)between(g, 2, 5);
  c->device[0] = thief_device(g);
  c->ip[0] = thief_ip(g);
  c->email = between(g, 0, 1) ? thief_mail(g) : UINT64_C(1) << 62 | (uint64_t)c->card << 4;
  c->amount = between(g, 15000, 60000);
  g->planned[GEN_TAKEOVER] += c->steps;
  for (int i = 0; i < 2; i++)
    tide_gen_session(g, time + between(g, 0, 30 * GEN_MINUTE), GEN_LOGIN, c->card, c->device[0], c->ip[0], c->email);
  tide_gen_session(g, time + between(g, 30 * GEN_MINUTE, 50 * GEN_MINUTE), GEN_CARD_ADD, c->card, c->device[0], c->ip[0], c->email);
  c->generation = g->card[c->card].generation;
  step_at(g, time + between(g, 55 * GEN_MINUTE, 6 * GEN_HOUR), index);
}

static void start_bust_out(struct gen *g, int64_t time, struct tide_gen_campaign *c, uint32_t index) {
  c->card = victim(g);
  g->card[c->card].busting = true;
  c->base = (uint32_t)(g->opt.days >= 28 ? between(g, 2, 4) : 1); /* weeks of growth */
  c->steps = c->base + (uint32_t)between(g, 10, 16);
  c->generation = g->card[c->card].generation;
  g->planned[GEN_BUST_OUT] += c->steps - c->base;
  step_at(g, time + GEN_HOUR, index);
}

void tide_gen_fraud_start(struct gen *g, int64_t time) {
  uint64_t planned = 0;
  for (int i = 0; i < GEN_FRAUDS; i++) planned += g->planned[i];
  uint64_t ahead = (uint64_t)g->opt.transactions / 100; /* what starts now happens later */
  uint64_t due = (uint64_t)((unsigned __int128)(g->counts.auths + ahead) * SHARE_PPM / 1000000);
  if (planned >= due) return;
  uint32_t index = 0;
  while (index < GEN_CAMPAIGNS && g->campaign[index].running) index++;
  if (index == GEN_CAMPAIGNS) return;
  int kind = 0;
  int64_t most = INT64_MIN;
  for (int i = 0; i < GEN_FRAUDS; i++) {
    int64_t behind = (int64_t)(due * share_of_kind[i]) - (int64_t)(g->planned[i] * 1000);
    if (behind > most) {
      most = behind;
      kind = i;
    }
  }
  struct tide_gen_campaign *c = &g->campaign[index];
  *c = (struct tide_gen_campaign){.kind = (uint8_t)kind, .running = true};
  switch ((enum tide_gen_fraud)kind) {
    case GEN_TESTING: start_testing(g, time, c, index); break;
    case GEN_SPREE: start_spree(g, time, c, index); break;
    case GEN_SKIMMING: start_skimming(g, time, c, index); break;
    case GEN_TAKEOVER: start_takeover(g, time, c, index); break;
    case GEN_BUST_OUT: start_bust_out(g, time, c, index); break;
    case GEN_FRAUDS: break;
  }
}

/* --- going on */

static void step_testing(struct gen *g, int64_t time, struct tide_gen_campaign *c) {
  uint32_t account = (c->generation + c->step) % GEN_ACCOUNTS;
  uint32_t card = tide_gen_card_of(g, c->base, account);
  int64_t amount = between(g, 50, 199);
  uint64_t ip = c->ip[tide_gen_below(rng_of(g), 3)], email = thief_mail(g);
  struct tide_gen_plan plan = {.card = card == GEN_NONE ? 0 : card,
                               .merchant = c->merchant[0],
                               .entry = GEN_ECOM,
                               .fixed_entry = true,
                               .fraud = true,
                               .amount = amount,
                               .device = c->device[c->step / 8 % 2],
                               .ip = ip,
                               .email = email};
  if (card == GEN_NONE) plan.pan = tide_gen_pan_of(c->base, account);
  else plan.generation = g->card[card].generation;
  tide_gen_buy(g, time, &plan);
  if (card == GEN_NONE || between(g, 0, 99) >= 45) return;
  /* It works: a basket or two, later, from elsewhere. */
  plan.ip = thief_ip(g);
  plan.device = thief_device(g);
  int64_t at = time;
  for (int64_t i = between(g, 1, 3); i > 0; i--) {
    at += between(g, GEN_HOUR, 30 * GEN_HOUR);
    plan.merchant = shop(g);
    plan.amount = between(g, 4000, 40000);
    g->planned[GEN_TESTING]++;
    buy_at(g, at, &plan);
  }
}

static void step_spree(struct gen *g, int64_t time, struct tide_gen_campaign *c) {
  struct tide_gen_plan plan = {.card = c->card,
                               .merchant = c->merchant[tide_gen_below(rng_of(g), 3)],
                               .fixed_entry = true,
                               .fraud = true,
                               .entry = (uint8_t)(c->step < 2 ? GEN_CONTACTLESS : GEN_SWIPE),
                               .generation = (uint8_t)c->generation,
                               .amount = c->amount};
  tide_gen_buy(g, time, &plan);
  c->amount = c->amount * between(g, 110, 160) / 100;
  if (c->amount > 250000) c->amount = 250000;
}

static void step_takeover(struct gen *g, int64_t time, struct tide_gen_campaign *c) {
  uint32_t merchant = shop(g);
  int64_t amount = c->amount * between(g, 70, 140) / 100;
  struct tide_gen_plan plan = {.card = c->card,
                               .merchant = merchant,
                               .entry = GEN_ECOM,
                               .fixed_entry = true,
                               .fraud = true,
                               .generation = (uint8_t)c->generation,
                               .amount = amount,
                               .device = c->device[0],
                               .ip = c->ip[0],
                               .email = c->email};
  tide_gen_buy(g, time, &plan);
}

static void step_bust_out(struct gen *g, int64_t time, struct tide_gen_campaign *c) {
  struct tide_gen_card *card = &g->card[c->card];
  if (c->step < c->base) { /* another good week: the issuer raises the limit */
    if (card->spend_q8 < 3000) card->spend_q8 = (uint16_t)(card->spend_q8 * 5 / 4);
    card->limit = card->limit * 3 / 2;
    if (card->activity < 200) card->activity = (uint8_t)(card->activity + 40);
    tide_gen_profiles_told(g, time, c->card);
    return;
  }
  bool online = between(g, 0, 2) == 0;
  uint32_t merchant = online ? shop(g) : tide_gen_merchant_in(g, card->home);
  struct tide_gen_plan plan = {.card = c->card,
                               .merchant = merchant,
                               .fixed_entry = true,
                               .fraud = true,
                               .generation = (uint8_t)c->generation,
                               .entry = online ? GEN_ECOM : GEN_CHIP,
                               .amount = card->limit / 12 + between(g, 5000, 40000)};
  if (online) {
    plan.device = tide_gen_device(c->card, 0);
    plan.ip = tide_gen_home_ip(c->card);
    plan.email = UINT64_C(1) << 62 | (uint64_t)c->card << 4;
  }
  tide_gen_buy(g, time, &plan);
}

void tide_gen_fraud_step(struct gen *g, int64_t time, uint32_t index) {
  struct tide_gen_campaign *c = &g->campaign[index];
  TIDE_CHECK(c->running);
  int64_t pause = 0;
  switch ((enum tide_gen_fraud)c->kind) {
    case GEN_TESTING:
      step_testing(g, time, c);
      pause = between(g, 400, 7000);
      break;
    case GEN_SPREE:
      step_spree(g, time, c);
      pause = between(g, 3 * GEN_MINUTE, 25 * GEN_MINUTE);
      break;
    case GEN_TAKEOVER:
      step_takeover(g, time, c);
      pause = between(g, 4 * GEN_MINUTE, 50 * GEN_MINUTE);
      break;
    case GEN_BUST_OUT:
      step_bust_out(g, time, c);
      pause = c->step + 1 < c->base ? 7 * GEN_DAY : between(g, GEN_HOUR, 5 * GEN_HOUR);
      break;
    case GEN_SKIMMING: /* the device is taken off again */
      g->merchant[c->base].skimmer = 0;
      c->running = false;
      return;
    case GEN_FRAUDS: break;
  }
  if (++c->step < c->steps) step_at(g, time + pause, index);
  else c->running = false;
}

/* A copied card: two to four swipes at the accomplices, after one to three weeks. */
void tide_gen_fraud_skim(struct gen *g, int64_t time, uint32_t index, uint32_t card) {
  struct tide_gen_campaign *c = &g->campaign[index];
  TIDE_CHECK(c->running && c->kind == GEN_SKIMMING);
  if (c->step >= c->steps || between(g, 0, 99) >= 40) return;
  c->step++;
  int64_t at = time + between(g, 4 * GEN_DAY, 16 * GEN_DAY);
  for (int64_t i = between(g, 2, 4); i > 0; i--) {
    uint32_t merchant = c->merchant[tide_gen_below(rng_of(g), 3)];
    struct tide_gen_plan plan = {.card = card,
                                 .merchant = merchant,
                                 .fixed_entry = true,
                                 .fraud = true,
                                 .entry = GEN_SWIPE,
                                 .generation = g->card[card].generation,
                                 .amount = between(g, 6000, 45000)};
    buy_at(g, at, &plan);
    at += between(g, 5 * GEN_MINUTE, 90 * GEN_MINUTE);
  }
}

void tide_gen_fraud_after(struct gen *g, const struct tide_gen_record *auth, uint32_t card) {
  bool approved = auth->response[0] == '0' && auth->response[1] == '0';
  bool ours = auth->par || auth->account; /* a number that some customer has */
  bool bust = ours && g->card[card].busting;
  tide_gen_lists_attack(g, auth);
  int64_t roll = between(g, 0, 99), u = between(g, 0, 1000);
  /* Chargebacks come after 3 to 30 days, most within two weeks; what was declined is confirmed by the customer, or by an analyst. */
  int64_t wait = approved ? 3 * GEN_DAY + 27 * GEN_DAY * u / 1000 * u / 1000 : GEN_DAY + GEN_DAY * u / 1000;
  bool told = approved ? roll < 93 : roll < 75;
  if (told && g->opt.labels) {
    struct tide_gen_record r = {.type = GEN_LABEL,
                                .time = auth->time + wait,
                                .id = auth->id,
                                .pan = auth->pan,
                                .par = auth->par,
                                .amount = auth->amount,
                                .currency = auth->currency,
                                .merchant = GEN_NONE,
                                .label_fraud = true,
                                .disputed = approved && !bust,
                                .fraud = true};
    tide_gen_emit_at(g, r.time, r);
  }
  if (ours && approved && roll < 90 && auth->amount > 250) { /* noticed: the card is replaced */
    struct tide_gen_node node = {.action = GEN_REPLACE_CARD, .ref = card};
    node.plan.generation = g->card[card].generation;
    tide_gen_queue_put(&g->queue, auth->time + between(g, 6 * GEN_HOUR, 5 * GEN_DAY), &node);
  }
}
