/* Feature files that follow one another in the simulated cell: the driver that brings them, and the one that makes followers, slowly, too early and again after a crash.
 *
 * Two files take turns. Messages are always written under the first, as by engines that nobody has told; so while the second is in force every record goes through its
 * translation. What is checked is what is always checked: one state at every position, one answer for ever, and the fold from nothing gives both. */
#include "tests/sim/world.h"

#include <string.h>

#include "core/rollout.h"
#include "core/versions.h"
#include "tests/support/small_fold.h"

#define FILES_MAX 6 /* more than may answer at a time: the last ones are void while the others are young */

struct sim_files {
  struct tide_buf text[2];
  struct tide_content_hash hash[2];
  unsigned made;
};

/* Other places for the fields, other windows, one entity more and one less. */
static void other_file(const char *text, struct tide_buf *out) {
  static const char *const pair[][2] = {{"name: small", "name: other"},
                                        {"    id: /id\n", ""},
                                        {"    card: /card\n", "    card: /card\n    id: /id\n    mail: {at: /mail, optional: true}\n"},
                                        {"  shop: shop\n", "  pair: [card, shop]\n"},
                                        {"    shops: distinct of shop over 1h\n  shop:\n", "    idle: time since previous\n  pair:\n"},
                                        {"    cards: distinct of card over 1h\n", "    seen: count over 2h\n"},
                                        {"    - R1:", "    - N1: decline when pair.seen_2h > 9\n    - R1:"}};
  char *copy = tide_strdup(text);
  for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {
    struct tide_buf next = TIDE_BUF_INIT;
    const char *at = strstr(copy, pair[i][0]);
    TIDE_CHECK(at);
    tide_buf_printf(&next, "%.*s%s%s", (int)(at - copy), copy, pair[i][1], at + strlen(pair[i][0]));
    tide_free(copy);
    copy = tide_strdup(tide_buf_cstr(&next));
    tide_buf_release(&next);
  }
  tide_buf_str(out, copy);
  tide_free(copy);
}

void sim_files_new(struct sim_world *world) {
  struct sim_files *files = world->files = tide_alloc(sizeof *files);
  tide_buf_put(&files->text[0], world->spec->text, world->spec->text_len);
  other_file(tide_buf_cstr(&files->text[0]), &files->text[1]);
  for (unsigned i = 0; i < 2; i++) files->hash[i] = tide_content_hash(tide_buf_span(&files->text[i]));
}

void sim_files_free(struct sim_world *world) {
  if (!world->files) return;
  for (unsigned i = 0; i < 2; i++) tide_buf_release(&world->files->text[i]);
  tide_free(world->files);
}

/* A follower that has folded up to `until`, or a little less. */
struct tide_fold *sim_follower(struct sim_world *world, struct tide_fold *fold, bool early) {
  struct tide_error error = {0};
  struct tide_fold *follower = NULL;
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position at = {0, 0}, until = tide_fold_position(fold);
  if (tide_fold_follower(fold, tide_fold_awaited(fold), &follower, &error) != TIDE_OK)
    sim_fail(world, "there can be no follower: %s", error.text);
  while (follower && !world->failed && world->journal->ops->read(world->journal, at, false, &bytes, &at, &error) == TIDE_OK) {
    if (early && tide_position_cmp(at, until) == 0) break;
    if (tide_fold_entry(follower, at, tide_buf_span(&bytes), NULL, NULL, &error) != TIDE_OK)
      sim_fail(world, "a follower does not fold the log: %s", error.text);
    if (tide_position_cmp(at, until) == 0) break;
  }
  tide_buf_release(&bytes);
  return follower;
}

void sim_files_wait(struct sim_world *world, struct sim_node *node) {
  bool early = world->faults && or_percent(&world->rng, 20);
  struct tide_fold *fold = tide_core_fold(node->core), *follower = sim_follower(world, fold, early);
  uint32_t before = tide_fold_generation(fold);
  uint64_t decisions = tide_fold_point(fold).decisions;
  if (!follower) return;
  sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_FOLLOWER, .follower = follower});
  if (world->failed) return;
  if (tide_fold_generation(tide_core_fold(node->core)) != before + !early) /* behind it there may be another */
    sim_fail(world, "node %u took the wrong follower, or not the right one", node->number);
  if (tide_fold_point(tide_core_fold(node->core)).decisions < decisions)
    sim_fail(world, "node %u has forgotten what was decided", node->number);
  world->counts->switches += !early;
  world->counts->switches_early += early;
}

static void offer(struct sim_world *world, struct sim_node *node, struct tide_buf *record) {
  struct tide_offer *offer = tide_offer_new();
  offer->kind = TIDE_OFFER_CONTROL;
  offer->record_count = 1;
  offer->ctx = world->files; /* it is no START */
  tide_buf_put(&offer->records, record->ptr, record->len);
  node->news.offering = true;
  sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
  tide_buf_release(record);
}

/* The node hears of the next file, or brings what it has heard of: the file if the journal lacks it, then the rollout. */
void sim_files_turn(struct sim_world *world, struct sim_node *node) {
  struct sim_files *files = world->files;
  struct tide_fold *fold = tide_core_fold(node->core);
  struct tide_buf record = TIDE_BUF_INIT;
  if (world->faults && files->made < FILES_MAX && or_below(&world->rng, 40) == 0) files->made++;
  if (node->news.heard < files->made && or_percent(&world->rng, 40)) node->news.heard = files->made;
  if (node->news.offering || !node->news.heard || !tide_fold_spec(fold) || tide_fold_waits(fold)) return;
  const struct tide_versions *versions = tide_fold_versions(fold);
  if (node->news.heard <= versions->rollout.number || node->news.heard <= versions->void_number) return;
  unsigned which = node->news.heard % 2;
  struct tide_rollout rollout = {.number = node->news.heard, .who = "somebody", .features = files->hash[which]};
  if (!tide_content_hash_eq(versions->features, rollout.features) &&
      !tide_versions_find(versions, TIDE_ARTIFACT_features, rollout.features)) {
    TIDE_CHECK(tide_artifact_encode(TIDE_ARTIFACT_features, TIDE_SPAN("f"), tide_buf_span(&files->text[which]), &record) == TIDE_OK);
  } else {
    tide_rollout_encode(&rollout, &record);
  }
  offer(world, node, &record);
}

bool sim_files_settled(const struct sim_world *world, const struct sim_node *node) {
  if (!world->files || !world->files->made) return true;
  const struct tide_fold *fold = tide_core_fold(node->core);
  if (!tide_fold_spec(fold) || tide_fold_waits(fold)) return false;
  const struct tide_versions *versions = tide_fold_versions(fold);
  return versions->rollout.number == world->files->made || versions->void_number == world->files->made;
}
