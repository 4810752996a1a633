/* Rollouts in the simulated cell (rollout.h): the registry that makes them, the drivers that bring them, and the recount of who was in force
 * where.
 *
 * The recount knows the records of the log and the registry's list, nothing else: a rollout takes effect where it is the first of a higher
 * number that was made without fault and all that it names had been brought. From there on every answer must come from it, and a card from one
 * model of it. */
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/model_fixture.h"

#define ANY(world, n) ((unsigned)or_below(&(world)->rng, (int)(n)))

static const char head[] = "policy:\n  decisions: [approve, review, decline]\n  rules:\n";
static const char *const rules[SIM_POLICIES] = {
    NULL, "    - A1: review when card.attempts_10m > 2\n    - else: approve\n",
    "    - B1: decline when score >= 0.4\n    - B2: review when amount > 5\n    - else: approve\n",
    "    - C1: review when card.nobody > 2\n"};

struct tide_spec *sim_rollout_spec(void) {
  return model_spec_of(model_features);
}

static void add_version(struct sim_registry *registry, unsigned m, const struct tide_spec *spec, size_t pad) {
  struct tide_model *model = model_small(spec);
  model->intercept = -1.5 + 0.75 * m;
  tide_model_seal(model);
  registry->model[m].model = model;
  tide_model_write(model, &registry->model[m].bytes);
  for (size_t i = 0; i < pad; i++) tide_buf_char(&registry->model[m].bytes, ' ');
  registry->model[m].hash = tide_content_hash(tide_buf_span(&registry->model[m].bytes));
  tide_version_text(TIDE_SPAN("v"), registry->model[m].hash, model->id);
}

void sim_rollout_new(struct sim_world *world) {
  struct sim_registry *registry = world->versions = tide_alloc(sizeof *registry);
  struct tide_spec *other = model_spec_with("cap 3", "cap 5");
  for (unsigned m = 0; m < SIM_MODELS; m++) {
    bool large = m == 0 && world->seed % 16 == 3; /* needs an entry almost for itself */
    add_version(registry, m, m + 1 < SIM_MODELS ? world->spec : other, large ? TIDE_ENTRY_MAX / 3 : 0);
  }
  tide_spec_free(other);
  for (unsigned p = 1; p < SIM_POLICIES; p++) {
    struct tide_buf text = TIDE_BUF_INIT;
    tide_buf_str(&text, head);
    tide_buf_str(&text, rules[p]);
    registry->policy[p].text = tide_buf_take(&text);
    registry->policy[p].hash = tide_content_hash(tide_span_of(registry->policy[p].text));
  }
  registry->features = tide_content_hash((struct tide_span){world->spec->text, world->spec->text_len});
}

void sim_rollout_free(struct sim_world *world) {
  struct sim_registry *registry = world->versions;
  if (!registry) return;
  for (unsigned m = 0; m < SIM_MODELS; m++) {
    tide_model_free(registry->model[m].model);
    tide_buf_release(&registry->model[m].bytes);
  }
  for (unsigned p = 1; p < SIM_POLICIES; p++) tide_free((void *)(uintptr_t)registry->policy[p].text);
  tide_free(registry);
}

/* ---- making rollouts ---- */

static void add(struct sim_world *world, struct tide_rollout *rollout, unsigned model, enum tide_role role, unsigned weight) {
  rollout->model[rollout->model_count++] = (struct tide_rollout_model){world->versions->model[model].hash, (uint8_t)role, (uint16_t)weight};
}

/* False where it cannot take effect. */
static bool choose_models(struct sim_world *world, struct tide_rollout *rollout) {
  unsigned order[SIM_MODELS], left = TIDE_WEIGHT_ALL, next = 0;
  for (unsigned m = 0; m < SIM_MODELS; m++) order[m] = m;
  for (unsigned m = SIM_MODELS - 1; m-- > 1;) { /* the last stays behind: it is taken on purpose only */
    unsigned k = ANY(world, m + 1), swap = order[m];
    order[m] = order[k];
    order[k] = swap;
  }
  rollout->model_count = 0;
  if (or_percent(&world->rng, 8)) return true; /* rules alone */
  unsigned canaries = ANY(world, 3), live = next++;
  add(world, rollout, order[live], TIDE_ROLE_live, 0);
  for (unsigned c = 0; c < canaries; c++) {
    unsigned weight = or_percent(&world->rng, 10) ? 0 : ANY(world, left + 1);
    add(world, rollout, order[next++], TIDE_ROLE_canary, weight);
    left -= weight;
  }
  rollout->model[0].weight = (uint16_t)left;
  if (or_percent(&world->rng, 30) && next < SIM_MODELS - 1)
    add(world, rollout, order[next++], or_percent(&world->rng, 60) ? TIDE_ROLE_shadow : TIDE_ROLE_fallback, 0);
  if (or_percent(&world->rng, 8)) { /* one that does not fit the feature file */
    add(world, rollout, SIM_MODELS - 1, TIDE_ROLE_shadow, 0);
    return false;
  }
  if (!or_percent(&world->rng, 5)) return true;
  rollout->model[0].weight ^= 1;
  return false;
}

/* Only one canary's weight is another. */
static void shift(struct sim_world *world, struct tide_rollout *rollout) {
  for (uint32_t i = 1; i < rollout->model_count; i++) {
    if (rollout->model[i].role != TIDE_ROLE_canary || or_percent(&world->rng, 50)) continue;
    unsigned both = (unsigned)rollout->model[0].weight + rollout->model[i].weight;
    rollout->model[i].weight = (uint16_t)ANY(world, both + 1);
    rollout->model[0].weight = (uint16_t)(both - rollout->model[i].weight);
    return;
  }
}

void sim_rollout_make(struct sim_world *world) {
  struct sim_registry *registry = world->versions;
  if (registry->documents == SIM_ROLLOUTS) return;
  struct tide_rollout rollout = {.number = registry->documents + 1, .who = "somebody", .features = registry->features};
  bool good = true;
  unsigned last = registry->documents;
  while (last > 0 && !registry->document[last - 1].good) last--;
  if (last > 0 && or_percent(&world->rng, 40)) {
    uint64_t number = rollout.number;
    rollout = registry->document[or_percent(&world->rng, 70) ? last - 1 : 0].rollout; /* of the last, or far back */
    good = registry->document[last - 1].good && tide_rollout_fault(&rollout) == NULL;
    for (unsigned d = 0; d < registry->documents; d++)
      if (registry->document[d].rollout.number == rollout.number) good = registry->document[d].good;
    rollout.number = number;
    if (good) shift(world, &rollout);
  } else {
    good = choose_models(world, &rollout);
    unsigned p = or_percent(&world->rng, 5) ? SIM_POLICIES - 1 : ANY(world, SIM_POLICIES - 1);
    rollout.policy = registry->policy[p].hash;
    if (or_percent(&world->rng, 30)) rollout.shadow_policy = registry->policy[1 + ANY(world, 2)].hash;
    if (tide_content_hash_eq(rollout.policy, rollout.shadow_policy)) rollout.shadow_policy = (struct tide_content_hash){{0}};
    good = good && p + 1 < SIM_POLICIES;
  }
  registry->document[registry->documents].rollout = rollout;
  registry->document[registry->documents++].good = good;
}

/* ---- bringing them ---- */

static void offer(struct sim_world *world, struct sim_node *node, const struct tide_buf *record) {
  struct tide_offer *offer = tide_offer_new();
  offer->kind = TIDE_OFFER_CONTROL;
  offer->ctx = world->versions; /* it is no START */
  offer->record_count = 1;
  tide_buf_put(&offer->records, record->ptr, record->len);
  if (or_percent(&world->rng, 30)) offer->deadline.ns = world->mono_ns + or_below(&world->rng, 60) * 1000000;
  node->news.offering = true;
  sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
}

/* Offers the version if the journal lacks it. */
static bool bring(struct sim_world *world, struct sim_node *node, enum tide_artifact_kind kind, struct tide_content_hash hash,
                  struct tide_span bytes) {
  if (tide_versions_find(tide_fold_versions(tide_core_fold(node->core)), kind, hash)) return false;
  struct tide_buf record = TIDE_BUF_INIT;
  if (tide_artifact_encode(kind, TIDE_SPAN("v"), bytes, &record) != TIDE_OK) sim_fail(world, "a small version does not fit");
  offer(world, node, &record);
  tide_buf_release(&record);
  return true;
}

static bool bring_policy(struct sim_world *world, struct sim_node *node, struct tide_content_hash hash) {
  const struct sim_registry *registry = world->versions;
  for (unsigned p = 1; p < SIM_POLICIES; p++)
    if (tide_content_hash_eq(registry->policy[p].hash, hash))
      return bring(world, node, TIDE_ARTIFACT_policy, hash, tide_span_of(registry->policy[p].text));
  return false;
}

static bool bring_model(struct sim_world *world, struct sim_node *node, struct tide_content_hash hash) {
  const struct sim_registry *registry = world->versions;
  for (unsigned m = 0; m < SIM_MODELS; m++)
    if (tide_content_hash_eq(registry->model[m].hash, hash))
      return bring(world, node, TIDE_ARTIFACT_model, hash, tide_buf_span(&registry->model[m].bytes));
  return false;
}

void sim_rollout_turn(struct sim_world *world, struct sim_node *node) {
  const struct sim_registry *registry = world->versions;
  struct tide_fold *fold = tide_core_fold(node->core);
  if (world->faults && or_below(&world->rng, 60) == 0) node->news.deaf = !node->news.deaf; /* cut off from the registry */
  if (!world->faults) node->news.deaf = false;
  if (!node->news.deaf && node->news.heard < registry->documents && or_percent(&world->rng, 40))
    node->news.heard += world->faults ? 1 + ANY(world, registry->documents - node->news.heard) : registry->documents - node->news.heard;
  if (node->news.offering || !node->news.heard || !tide_fold_spec(fold)) return;
  const struct tide_versions *versions = tide_fold_versions(fold);
  const struct tide_rollout *rollout = &registry->document[node->news.heard - 1].rollout;
  if (rollout->number <= versions->rollout.number || rollout->number <= versions->void_number) {
    world->counts->rollouts_deaf += node->news.deaf && versions->rollout.number > node->news.heard;
    return;
  }
  if (bring_policy(world, node, rollout->policy) || bring_policy(world, node, rollout->shadow_policy)) return;
  for (uint32_t i = 0; i < rollout->model_count; i++)
    if (bring_model(world, node, rollout->model[i].hash)) return;
  struct tide_buf record = TIDE_BUF_INIT;
  tide_rollout_encode(rollout, &record);
  offer(world, node, &record);
  tide_buf_release(&record);
}

/* The last one is in force everywhere, or known to be void. */
bool sim_rollout_settled(const struct sim_world *world, const struct sim_node *node) {
  if (!world->versions || !world->versions->documents) return true;
  const struct tide_fold *fold = tide_core_fold(node->core);
  if (!tide_fold_spec(fold)) return false;
  const struct tide_versions *versions = tide_fold_versions(fold);
  uint64_t last = world->versions->documents;
  return world->versions->document[last - 1].good ? versions->rollout.number == last : versions->void_number == last;
}

/* ---- the recount ---- */

static bool is_there(const struct sim_registry *registry, const struct tide_rollout *rollout) {
  for (unsigned p = 1; p < SIM_POLICIES; p++) {
    bool named = tide_content_hash_eq(registry->policy[p].hash, rollout->policy) ||
                 tide_content_hash_eq(registry->policy[p].hash, rollout->shadow_policy);
    if (named && !registry->brought[SIM_MODELS + p]) return false;
  }
  for (uint32_t i = 0; i < rollout->model_count; i++)
    for (unsigned m = 0; m < SIM_MODELS; m++)
      if (tide_content_hash_eq(registry->model[m].hash, rollout->model[i].hash) && !registry->brought[m]) return false;
  return true;
}

/* Of two rollouts of the same models: the only canary whose weight differs; -1: none, or more is different. */
static int shifted(const struct tide_rollout *a, const struct tide_rollout *b) {
  int which = -1;
  if (a->model_count != b->model_count || !a->model_count) return -1;
  for (uint32_t i = 0; i < a->model_count; i++) {
    const struct tide_rollout_model *x = &a->model[i], *y = &b->model[i];
    if (!tide_content_hash_eq(x->hash, y->hash) || x->role != y->role) return -1;
    if (x->role != TIDE_ROLE_canary || x->weight == y->weight) continue;
    if (which >= 0) return -1;
    which = (int)i;
  }
  return which;
}

static const char *id_of(const struct sim_registry *registry, struct tide_content_hash hash) {
  for (unsigned m = 0; m < SIM_MODELS; m++)
    if (tide_content_hash_eq(registry->model[m].hash, hash)) return registry->model[m].model->id;
  return "";
}

/* Cards that were scored under both moved between the live model and the canary that changed, the way its weight did, if at all. */
static void check_moves(struct sim_world *world, uint64_t from, uint64_t to) {
  const struct sim_registry *registry = world->versions;
  const struct tide_rollout *a = &registry->document[from - 1].rollout, *b = &registry->document[to - 1].rollout;
  int which = shifted(a, b);
  if (which < 0) return;
  const char *live = id_of(registry, a->model[0].hash), *canary = id_of(registry, a->model[which].hash);
  bool rises = b->model[which].weight > a->model[which].weight;
  for (unsigned c = 0; c < SIM_CARDS; c++) {
    const char *then = registry->card[from][c], *now = registry->card[to][c];
    if (!*then || !*now || strcmp(then, now) == 0) continue;
    if (strcmp(then, rises ? live : canary) != 0 || strcmp(now, rises ? canary : live) != 0)
      sim_fail(world, "card %u went from %s to %s between rollouts %llu and %llu, where only the weight of %s was changed", c, then, now,
               (unsigned long long)from, (unsigned long long)to, canary);
    world->counts->rollouts_moved++;
  }
}

void sim_rollout_record(struct sim_world *world, const struct tide_raw_record *raw) {
  struct sim_registry *registry = world->versions;
  struct tide_artifact artifact;
  struct tide_rollout rollout;
  if (raw->type == TIDE_REC_ARTIFACT) {
    if (tide_artifact_decode(raw, &artifact, NULL) != TIDE_OK) sim_fail(world, "the log holds a version that does not decode");
    for (unsigned i = 0; !world->failed && i < SIM_MODELS + SIM_POLICIES; i++) {
      struct tide_content_hash hash = i < SIM_MODELS ? registry->model[i].hash : registry->policy[i - SIM_MODELS].hash;
      if (tide_content_hash_eq(hash, artifact.hash)) registry->brought[i] = true;
    }
    return;
  }
  if (tide_rollout_decode(raw, &rollout, NULL) != TIDE_OK || !rollout.number || rollout.number > registry->documents ||
      !tide_rollout_eq(&rollout, &registry->document[rollout.number - 1].rollout)) {
    sim_fail(world, "the log holds a rollout that nobody made");
    return;
  }
  if (rollout.number <= registry->now) {
    world->counts->rollouts_past++;
    return;
  }
  if (!registry->document[rollout.number - 1].good || !is_there(registry, &rollout)) {
    world->counts->rollouts_void++;
    return;
  }
  registry->now = rollout.number;
  world->counts->rollouts++;
}

static void check_policy(struct sim_world *world, const struct tide_answer *answer, uint64_t number) {
  const struct sim_registry *registry = world->versions;
  struct tide_content_hash policy = {{0}};
  if (number) policy = registry->document[number - 1].rollout.policy;
  char version[TIDE_VERSION_TEXT], digits[TIDE_CONTENT_HASH_TEXT];
  bool own = tide_content_hash_is_zero(policy);
  if (own) tide_version_text(tide_span_of("modelled"), registry->features, version);
  else snprintf(version, sizeof version, "/v@%.8s", tide_content_hash_text(policy, digits));
  const char *label = answer->policy->label, *found = strstr(label, version);
  if (!found || (own && found != label) || (!own && found == label))
    sim_fail(world, "an answer under rollout %llu was decided by the policy %s, not %s", (unsigned long long)number, label, version);
}

void sim_rollout_answer(struct sim_world *world, const struct tide_answer *answer, uint64_t number, unsigned card) {
  struct sim_registry *registry = world->versions;
  check_policy(world, answer, number);
  const char *by = answer->model ? answer->model->id : "";
  if (!answer->features_known) {
    if (*by) sim_fail(world, "an event that was not judged was scored by %s", by);
    return;
  }
  const struct tide_rollout *rollout = number ? &registry->document[number - 1].rollout : NULL;
  bool may = !*by && (!rollout || !rollout->model_count);
  bool canary = false;
  for (uint32_t i = 0; rollout && i < rollout->model_count; i++) {
    const struct tide_rollout_model *model = &rollout->model[i];
    if (model->role > TIDE_ROLE_canary || strcmp(id_of(registry, model->hash), by) != 0) continue;
    may = model->weight > 0;
    canary = model->role == TIDE_ROLE_canary;
  }
  if (!may)
    sim_fail(world, "an event under rollout %llu was scored by %s, which is not in force there", (unsigned long long)number,
             *by ? by : "nobody");
  world->counts->canaries += canary;
  char *known = registry->card[number][card % SIM_CARDS];
  if (*known && strcmp(known, by) != 0)
    sim_fail(world, "card %u was scored by %s and by %s under one rollout, %llu", card, known, by, (unsigned long long)number);
  snprintf(known, TIDE_MODEL_ID, "%s", by);
}

void sim_rollout_verdict(struct sim_world *world) {
  const struct sim_registry *registry = world->versions;
  for (uint64_t a = 1; a <= registry->documents; a++)
    for (uint64_t b = a + 1; b <= registry->documents && !world->failed; b++) check_moves(world, a, b);
}
