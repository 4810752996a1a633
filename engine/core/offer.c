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
  offer->told = (struct tide_told){.given = true,
                                   .counted = answer->counted,
                                   .duplicate = answer->duplicate,
                                   .status = (uint8_t)answer->status,
                                   .by = answer->verdict.by,
                                   .cause = answer->verdict.cause,
                                   .rule = answer->verdict.rule,
                                   .decision = answer->verdict.decision,
                                   .score_e6 = TIDE_NO_SCORE};
  if (answer->score.type == TIDE_V_NUM) offer->told.score_e6 = (uint32_t)lround(answer->score.num * 1e6);
  if (answer->policy) keep(offer->told.policy, sizeof offer->told.policy, answer->policy->label);
  if (answer->features) keep(offer->told.features, sizeof offer->told.features, answer->features);
  if (answer->verdict.by != TIDE_BY_NONE)
    keep(offer->told.word, sizeof offer->told.word, answer->spec->decision[answer->verdict.decision]);
  if (answer->verdict.by != TIDE_BY_NONE)
    keep(offer->told.code, sizeof offer->told.code, tide_verdict_by(answer->spec, &answer->verdict));
  if (answer->model) keep(offer->told.model, sizeof offer->told.model, answer->model->id);
}

void tide_offer_tell(struct tide_offer *offer, const struct tide_answer *answer) {
  tide_buf_clear(&offer->answer);
  tide_answer_json(answer, offer->answer_flags, &offer->answer);
  tide_offer_note(offer, answer);
}

struct tide_offer *tide_offer_new(void) {
  return tide_alloc(sizeof(struct tide_offer));
}

void tide_offer_free(struct tide_offer *offer) {
  if (!offer) return;
  tide_buf_release(&offer->records);
  tide_buf_release(&offer->answer);
  tide_free(offer);
}
