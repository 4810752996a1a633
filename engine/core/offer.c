/* Offers: made, freed, and their ends named (offer.h). Whoever holds an offer owns it and both of its buffers; handing it over hands over all of it,
 * so there is nothing to count and nothing to lock. */
#include "core/offer.h"

static const char *const end_name[] = {
#define X(name, text) #name,
    TIDE_OFFER_ENDS(X)
#undef X
};

const char *tide_offer_end_name(enum tide_offer_end end) {
  TIDE_CHECK((size_t)end < sizeof end_name / sizeof end_name[0]);
  return end_name[end];
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
