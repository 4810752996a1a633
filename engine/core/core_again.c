/* `stale: recompute`: a request that would be refused is judged again, once, when the end of the journal has been read (core_state.h).
 *
 * The first judgement is a question to the state as it stands, before anything of the request is journaled: would a group that asks for it be stale? If not, the request is
 * committed at once, and its one judgement is that at its position. If so, it waits: for the journal's end (others may have journaled fresher facts; asked for at once) and for
 * facts that are on their way from whoever reads the sources. As soon as the groups are fresh it is committed; at the latest when half of its time is over, so that the
 * commit has the other half. Its own commit is the barrier, durable and behind all that was acknowledged before; its judgement there is the second one, and final.
 *
 * So a request has one place in the journal, counts there once, and is judged there by what stands before it: replay, audit, duplicates and the other engines need to
 * know nothing of the first judgement, which has left no trace. (A second judgement behind the first would have to take the event out of its own windows again.) What
 * it costs is time, and only of requests that would be refused. Messages of sources do not wait: they would hold up what they wait for. */
#include "core/core_state.h"

#define LOOK_NS (INT64_C(5) * 1000000)    /* between two looks at those who wait: a look costs a lookup per request */
#define WAIT_NS (INT64_C(1000) * 1000000) /* at the most: facts of a partition are told at least so often */

static bool recomputes(const struct tide_core *core) {
  const struct tide_spec *spec = tide_fold_spec(core->fold);
  for (uint32_t g = 0; spec && g < spec->group_count; g++)
    if (spec->group[g].stale == TIDE_STALE_RECOMPUTE) return true;
  return false;
}

static enum tide_err is_stale(struct tide_core *core, const struct tide_offer *offer, bool *ret, struct tide_error *error) {
  uint32_t generation;
  TIDE_CHECK(tide_fold_generation_of(core->fold, offer->features, &generation)); /* the one it was opened with, or one it had since */
  return tide_fold_recomputes(core->fold, generation, tide_buf_span(&offer->records), core->now.wall.ms, ret, error);
}

static void remember(struct tide_core *core, const struct tide_offer *offer) {
  if (offer->again_until.ns < core->again_due_ns) core->again_due_ns = offer->again_until.ns;
}

enum tide_err tide_core_again_take(struct tide_core *core, struct tide_offer *offer, bool *ret_waits, struct tide_error *error) {
  bool event = offer->records.len > 0 && (uint8_t)offer->records.ptr[0] == TIDE_REC_EVENT;
  bool asks = offer->kind == TIDE_OFFER_COMMIT && event && !(offer->answer_flags & TIDE_ANSWER_RECEIPT);
  *ret_waits = false;
  if (!asks || core->state != TIDE_CORE_open || offer->again_until.ns || !recomputes(core)) return TIDE_OK;
  enum tide_err err = is_stale(core, offer, ret_waits, error);
  if (err != TIDE_OK || !*ret_waits) return err;
  int64_t now_ns = core->now.mono.ns, half_ns = offer->deadline.ns ? (offer->deadline.ns - now_ns) / 2 : WAIT_NS;
  offer->again_from = core->now.mono;
  offer->again_until.ns = now_ns + (half_ns < WAIT_NS ? half_ns : WAIT_NS);
  if (!core->again.count) core->again_due_ns = INT64_MAX;
  remember(core, offer);
  tide_offers_push(&core->again, offer);
  core->stats.recomputed++;
  tide_core_look(core);
  return TIDE_OK;
}

/* Something was folded since the last look. */
static bool has_moved(const struct tide_core *core) { return tide_position_cmp(tide_fold_position(core->fold), core->again_looked) != 0; }

int64_t tide_core_again_due(const struct tide_core *core) {
  if (!core->again.count) return INT64_MAX;
  int64_t look_ns = has_moved(core) ? core->again_look_ns + LOOK_NS : INT64_MAX;
  return look_ns < core->again_due_ns ? look_ns : core->again_due_ns;
}

enum tide_err tide_core_again_go_on(struct tide_core *core, struct tide_error *error) {
  if (core->now.mono.ns < tide_core_again_due(core) || !core->again.count) return TIDE_OK;
  struct tide_offer_list all = core->again;
  core->again = (struct tide_offer_list){0};
  core->again_due_ns = INT64_MAX;
  core->again_look_ns = core->now.mono.ns;
  core->again_looked = tide_fold_position(core->fold);
  enum tide_err err = TIDE_OK;
  for (struct tide_offer *offer; (offer = tide_offers_pop(&all));) {
    bool stale = true;
    if (err == TIDE_OK) err = is_stale(core, offer, &stale, error);
    if (stale && offer->again_until.ns > core->now.mono.ns) {
      remember(core, offer);
      tide_offers_push(&core->again, offer);
      continue;
    }
    core->stats.recomputed_fresh += !stale;
    offer->again_ns = core->now.mono.ns - offer->again_from.ns;
    tide_offers_push(&core->queue[offer->priority], offer);
  }
  return err;
}
