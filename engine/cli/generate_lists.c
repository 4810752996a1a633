/* What fraud analysts write on lists: cards reported lost, addresses that test cards, merchants where nothing ever happens.
 *
 * A lost number is blocked when its card is replaced: for 90 days where the number is the card, and only for hours where the account reference is (it
 * stays the customer's, so the entry is taken off once the new number is out). An address that card testing comes from is blocked for a week, minutes
 * after it was noticed. Four shops are trusted from the beginning; the trust in one expires in the middle, that in another is withdrawn later.
 *
 * Chance comes from a stream of its own, so lists change no purchase: a log without these lines is the log of an issuer that keeps none. */
#include "cli/generate_parts.h"

#define TRUSTED 4

static struct tide_gen_record entry_of(enum tide_gen_list list) {
  return (struct tide_gen_record){.type = GEN_LIST, .list = (uint8_t)list, .merchant = GEN_NONE};
}

void tide_gen_lists_begin(struct gen *g) {
  int64_t start = g->opt.start_ms, span = g->opt.days * GEN_DAY;
  uint32_t present = g->merchant_count - g->online_count;
  for (uint32_t i = 0; i < TRUSTED && present > 0; i++) {
    struct tide_gen_record r = entry_of(GEN_LIST_TRUSTED_MERCHANTS);
    r.merchant = g->online_count + (uint32_t)tide_gen_below(&g->lists, present);
    if (i == 1) r.expires = start + span / 2;
    tide_gen_emit_at(g, start, r);
    r.remove = i == 2;
    if (r.remove) tide_gen_emit_at(g, start + span * 2 / 3, r);
  }
}

void tide_gen_lists_lost(struct gen *g, int64_t time, uint32_t card) {
  bool reported = tide_gen_chance(&g->lists, GEN_PPM(60));
  int64_t hours = tide_gen_between(&g->lists, 2, 12);
  if (!reported) return;
  struct tide_gen_record r = entry_of(GEN_LIST_BLOCKED_CARDS);
  r.pan = tide_gen_pan(g, card, g->card[card].generation);
  r.par = tide_gen_par(card);
  if (!r.par) r.expires = time + 90 * GEN_DAY;
  tide_gen_emit_at(g, time, r);
  r.remove = r.par != 0;
  if (r.remove) tide_gen_emit_at(g, time + hours * GEN_HOUR, r);
}

void tide_gen_lists_attack(struct gen *g, const struct tide_gen_record *auth) {
  bool noticed = tide_gen_chance(&g->lists, GEN_PPM(2));
  int64_t minutes = tide_gen_between(&g->lists, 2, 10);
  if (!noticed || !auth->ip || auth->account) return; /* a number that some customer has is no testing */
  struct tide_gen_record r = entry_of(GEN_LIST_BLOCKED_IPS);
  int64_t time = auth->time + minutes * GEN_MINUTE;
  r.ip = auth->ip;
  r.expires = time + 7 * GEN_DAY;
  tide_gen_emit_at(g, time, r);
}
