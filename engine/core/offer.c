/* Offers: made, freed, their ends named, and told their answer (offer.h). Whoever holds an offer owns it and both of its buffers; handing it over hands
 * over all of it, so there is nothing to count and nothing to lock. An answer is written in words and in numbers from the same source, so what is counted is
 * what was said. */
#include "core/offer.h"

#include <math.h>

static const char *const end_name[] = {
#define X(name, text) #name,
    TIDE_OFFER_ENDS(X)
#undef X
};

const char *tide_offer_end_name(enum tide_offer_end end) {
  TIDE_CHECK((size_t)end < sizeof end_name / sizeof end_name[0]);
  return end_name[end];
}

/* As much of a text as there is room for. */
static void keep(char *to, size_t room, const char *text) {
  size_t len = strnlen(text, room - 1);
  memcpy(to, text, len);
  to[len] = '\0';
}

void tide_offer_note(struct tide_offer *offer, const struct tide_answer *answer) {
  struct tide_told *told = &offer->told;
  told->given = true;
  told->counted = answer->counted;
  told->duplicate = answer->duplicate;
  told->status = (uint8_t)answer->status;
  told->by = answer->verdict.by;
  told->cause = answer->verdict.cause;
  told->rule = answer->verdict.rule;
  told->decision = answer->verdict.decision;
  told->score_e6 = answer->score.type == TIDE_V_NUM ? (uint32_t)lround(answer->score.num * 1e6) : TIDE_NO_SCORE;
  bool decided = answer->verdict.by != TIDE_BY_NONE;
  keep(told->code, sizeof told->code, decided ? tide_verdict_by(answer->spec, &answer->verdict) : "");
  if (offer->kind == TIDE_OFFER_MESSAGE) return;
  keep(told->model, sizeof told->model, answer->model ? answer->model->id : "");
  keep(told->policy, sizeof told->policy, answer->policy ? answer->policy->label : "");
  keep(told->features, sizeof told->features, answer->features ? answer->features : "");
  keep(told->word, sizeof told->word, decided ? answer->spec->decision[answer->verdict.decision] : "");
}

void tide_offer_tell(struct tide_offer *offer, const struct tide_answer *answer) {
  tide_buf_clear(&offer->answer);
  tide_answer_json(answer, offer->answer_flags, &offer->answer);
  tide_offer_note(offer, answer);
}

struct tide_offer *tide_offer_new(void) {
  return tide_alloc(sizeof(struct tide_offer));
}

void tide_offer_again(struct tide_offer *offer) {
  TIDE_CHECK(offer->kind == TIDE_OFFER_MESSAGE || offer->kind == TIDE_OFFER_CONTROL);
  struct tide_buf records = offer->records, answer = offer->answer;
  tide_buf_clear(&records);
  tide_buf_clear(&answer);
  memset(offer, 0, offsetof(struct tide_offer, told) + offsetof(struct tide_told, model)); /* behind that nothing was written */
  offer->records = records;
  offer->answer = answer;
}

void tide_offer_free(struct tide_offer *offer) {
  if (!offer) return;
  tide_buf_release(&offer->records);
  tide_buf_release(&offer->answer);
  tide_free(offer);
}
