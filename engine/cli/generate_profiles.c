/* What the issuer knows of its customers beside their purchases: the limit of each card, the class of customer, since when there is an account.
 *
 * All of it is told when the log begins, for each new number and when the limit is raised, and nothing of it is drawn: the limit is the one that
 * declines purchases in this world, the rest follows from the card's index and its owner's income. So profiles change no purchase, and whoever reads
 * them knows what the issuer knows. */
#include "cli/generate_parts.h"

const char *const tide_gen_segment[3] = {"basic", "plus", "gold"};

static void tell(struct gen *g, int64_t time, uint32_t card) {
  const struct tide_gen_card *c = &g->card[card];
  int64_t age = (int64_t)(tide_gen_mix((uint64_t)g->opt.seed + card) % 3650); /* days that the account was there */
  struct tide_gen_record r = {.type = GEN_PROFILE,
                              .time = time,
                              .pan = tide_gen_pan(g, card, c->generation),
                              .par = tide_gen_par(card),
                              .merchant = GEN_NONE,
                              .amount = c->limit,
                              .list = c->spend_q8 < 256   ? 0
                                      : c->spend_q8 < 512 ? 1
                                                          : 2,
                              .expires = g->opt.start_ms - age * GEN_DAY};
  tide_gen_emit(g, &r);
}

void tide_gen_profiles_begin(struct gen *g) {
  if (!g->opt.profiles) return;
  for (uint32_t card = 0; card < g->card_count; card++) tell(g, g->opt.start_ms, card);
}

void tide_gen_profiles_told(struct gen *g, int64_t time, uint32_t card) {
  if (g->opt.profiles) tell(g, time, card);
}
