/* The registry's thread (serve_registry.h).
 *
 *   watch -> the last rollout of the cell -> is its number above the one in force (and not void)? -> the versions that the journal lacks -> the rollout
 *
 * A watch only shortens the wait: every LOOK_MS the last rollout is read again, so that a watch that hangs without a word costs that time and no more. The same look is
 * what tells
 * that the registry is there. One record is offered at a time and its end awaited; whatever ends otherwise than `done` is offered again at the next look. */
#include "cli/serve_registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "adapter/registry_store.h"
#include "base/log.h"
#include "cli/registry_open.h"
#include "cli/verbs.h"

#define LOOK_MS 10000
#define NEVER "never" /* in an engine's card: it cannot prepare any feature file */
#define PAUSE_MS 500  /* after trouble, and between two looks at the engine while something waits to be offered */
#define OFFER_DEADLINE_MS 10000
#define CARD_FRESH_MS 60000 /* position and time in an engine's card are written again after this, where nothing else has changed */

struct tide_serve_registry {
  const struct tide_config *config;
  struct tide_registry *registry;
  struct tide_engine *engine;
  struct tide_meter *meter;
  enum tide_prepared (*prepared)(void *ctx, struct tide_content_hash features);
  void *ctx;
  char rollouts[TIDE_REGISTRY_KEY_MAX + 1];
  pthread_t thread;
  bool started;
  atomic_bool stopping;

  /* an offer under way */
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool released; /* under the mutex */

  /* the thread's own */
  bool known, up;                                     /* up: as the log was told; known: the log was told at all */
  struct tide_mono answered;                          /* when it last did; 0: never */
  struct tide_mono looked, told;                      /* the last look at the rollouts; the last announcement */
  struct tide_rollout_document wanted;                /* number 0: none was read */
  char trouble[sizeof((struct tide_error *)0)->text]; /* of the rollout wanted, as the log was told */
  char awaited[160];                                  /* why the rollout wanted is not offered yet, as the log was told */
  struct tide_engine_card card;                       /* as it was announced last */
  struct tide_engine_rollout in_force;
};

static void nap_ms(int64_t ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }
static bool is_past(struct tide_mono since, int64_t ms) { return since.ns == 0 || tide_mono_now().ns - since.ns >= ms * 1000000; }

/* ---- what the log and the metrics are told ---- */

/* Of the registry as a whole: once per change. */
static void note(struct tide_serve_registry *r, enum tide_err err, const struct tide_error *error) {
  bool answers = err != TIDE_E_AGAIN && err != TIDE_E_INDETERMINATE && err != TIDE_E_CONFIG && err != TIDE_E_IO;
  if (err) tide_meter_add(r->meter, TIDE_METER_ROW_registry_errors_total, TIDE_METER_PLAIN, 1);
  if (answers) r->answered = tide_mono_now();
  if (atomic_load(&r->stopping) || (r->known && answers == r->up)) return;
  if (!answers)
    tide_log(TIDE_LOG_WARN, "registry_lost", "why=%s note=%s", error->text, "what is in force stays in force, and scoring goes on");
  else tide_log(TIDE_LOG_INFO, r->known ? "registry_back" : "registry_found", "kind=%s", r->registry->ops->name);
  r->known = true;
  r->up = answers;
}

/* Of what stands in it: once per text. */
static void note_trouble(struct tide_serve_registry *r, const char *why) {
  if (strcmp(r->trouble, why) == 0) return;
  snprintf(r->trouble, sizeof r->trouble, "%s", why);
  if (why[0]) tide_log(TIDE_LOG_ERROR, "rollout_not_offered", "why=%s note=%s", why, "what is in force stays in force");
}

static void show(struct tide_serve_registry *r) {
  struct tide_meter *meter = r->meter;
  uint64_t revision = r->registry->ops->revision(r->registry);
  if (r->known) tide_meter_set(meter, TIDE_METER_ROW_registry_up, TIDE_METER_PLAIN, r->up);
  if (r->answered.ns) tide_meter_set(meter, TIDE_METER_ROW_registry_age_seconds, TIDE_METER_PLAIN, tide_mono_now().ns - r->answered.ns);
  if (revision) tide_meter_set(meter, TIDE_METER_ROW_registry_revision, TIDE_METER_PLAIN, (int64_t)revision);
  if (r->wanted.rollout.number) tide_meter_set(meter, TIDE_METER_ROW_registry_rollout, TIDE_METER_PLAIN, (int64_t)r->wanted.rollout.number);
}

/* ---- offering ---- */

void tide_serve_registry_release(struct tide_serve_registry *r, struct tide_offer *offer) {
  (void)offer;
  (void)pthread_mutex_lock(&r->mutex);
  r->released = true;
  (void)pthread_cond_signal(&r->cond);
  (void)pthread_mutex_unlock(&r->mutex);
}

/* One encoded record into the journal. False: it is not known to stand there. */
static bool offer_record(struct tide_serve_registry *r, struct tide_span record) {
  struct tide_offer *offer = tide_offer_new();
  offer->ctx = r;
  offer->kind = TIDE_OFFER_CONTROL;
  offer->priority = TIDE_PRIORITY_HIGH;
  offer->record_count = 1;
  offer->offered = tide_mono_now();
  offer->deadline.ns = offer->offered.ns + OFFER_DEADLINE_MS * INT64_C(1000000);
  tide_buf_put(&offer->records, record.ptr, record.len);
  r->released = false;
  bool done = tide_engine_offer(r->engine, offer);
  if (done) {
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->released) (void)pthread_cond_wait(&r->cond, &r->mutex);
    (void)pthread_mutex_unlock(&r->mutex);
    done = offer->end == TIDE_END_done;
  }
  tide_offer_free(offer);
  if (done) tide_meter_add(r->meter, TIDE_METER_ROW_registry_offers_total, TIDE_METER_PLAIN, 1);
  return done;
}

static bool journal_has(const struct tide_engine_rollout *in_force, enum tide_artifact_kind kind, struct tide_content_hash hash) {
  for (uint32_t i = 0; i < in_force->version_count; i++)
    if (in_force->version[i].kind == kind && tide_content_hash_eq(in_force->version[i].hash, hash)) return true;
  return false;
}

/* Brings a version that the journal lacks. Errors: of the store; AGAIN where the engine did not take it. */
static enum tide_err bring(struct tide_serve_registry *r, enum tide_artifact_kind kind, struct tide_content_hash hash,
                           struct tide_error *error) {
  bool of_file = kind == TIDE_ARTIFACT_features && tide_content_hash_eq(hash, r->in_force.features);
  if (tide_content_hash_is_zero(hash) || of_file || journal_has(&r->in_force, kind, hash)) return TIDE_OK;
  struct tide_registry_version version;
  struct tide_buf bytes = TIDE_BUF_INIT, record = TIDE_BUF_INIT;
  enum tide_err err = tide_registry_about(r->registry, kind, hash, &version, error);
  if (!err) err = tide_registry_content(r->registry, kind, hash, &bytes, error);
  if (!err && tide_artifact_encode(kind, tide_span_of(version.name), tide_buf_span(&bytes), &record))
    err = tide_fail(error, TIDE_E_LIMIT, "%s %.96s has %zu bytes, more than an entry of the journal can hold",
                    tide_registry_kind_name(kind), version.name, bytes.len);
  if (!err && !offer_record(r, tide_buf_span(&record))) err = tide_fail(error, TIDE_E_AGAIN, "the engine takes no records now");
  tide_buf_release(&bytes);
  tide_buf_release(&record);
  return err;
}

static enum tide_err bring_all(struct tide_serve_registry *r, const struct tide_rollout *rollout, struct tide_error *error) {
  enum tide_err err = bring(r, TIDE_ARTIFACT_features, rollout->features, error);
  if (!err) err = bring(r, TIDE_ARTIFACT_policy, rollout->policy, error);
  if (!err) err = bring(r, TIDE_ARTIFACT_policy, rollout->shadow_policy, error);
  for (uint32_t i = 0; i < rollout->model_count && !err; i++) err = bring(r, TIDE_ARTIFACT_model, rollout->model[i].hash, error);
  return err;
}

/* The wanted rollout waits for the journal: it is not in force, and was not found void. */
static bool is_due(struct tide_serve_registry *r) {
  tide_engine_rollout(r->engine, &r->in_force);
  uint64_t number = r->wanted.rollout.number;
  return number > r->in_force.rollout.number && number > r->in_force.void_number;
}

/* A number that the journal has passed without this rollout: it will never count. */
static void look_for_passed(struct tide_serve_registry *r) {
  const struct tide_rollout *wanted = &r->wanted.rollout, *now = &r->in_force.rollout;
  char why[160];
  if (!wanted->number || wanted->number > now->number || wanted->number <= r->in_force.void_number || tide_rollout_eq(wanted, now)) return;
  snprintf(why, sizeof why, "the registry's rollout %llu is not above %llu, which is in force: roll it out again",
           (unsigned long long)wanted->number, (unsigned long long)now->number);
  note_trouble(r, why);
}

static void announce(struct tide_serve_registry *r) {
  const struct tide_config *config = r->config;
  struct tide_engine_status status = tide_engine_status(r->engine);
  struct tide_engine_card *card = &r->card;
  const struct tide_engine_card before = r->card;
  struct tide_error error = {0};
  tide_engine_rollout(r->engine, &r->in_force);
  card->ready = status.state == TIDE_CORE_open && !status.waits;
  char digits[TIDE_CONTENT_HASH_TEXT];
  enum tide_prepared prepared = r->wanted.rollout.number ? r->prepared(r->ctx, r->wanted.rollout.features) : TIDE_PREPARED_NO;
  const char *word = prepared == TIDE_PREPARED_YES ? tide_content_hash_text(r->wanted.rollout.features, digits) : "";
  snprintf(card->prepared, sizeof card->prepared, "%s", prepared == TIDE_PREPARED_NEVER ? NEVER : word);
  card->ingests = status.ingests;
  snprintf(card->state, sizeof card->state, "%s", tide_core_state_name(status.state));
  card->epoch = status.folded.epoch;
  card->rollout = r->in_force.rollout.number;
  int64_t now_ms = tide_wall_now().ms;
  bool changed = card->ready != before.ready || card->ingests != before.ingests || card->epoch != before.epoch ||
                 card->rollout != before.rollout || strcmp(card->state, before.state) != 0 || strcmp(card->prepared, before.prepared) != 0;
  if (changed || now_ms - card->told_ms >= CARD_FRESH_MS) {
    card->told_ms = now_ms;
    snprintf(card->position, sizeof card->position, "%llu-%llu", (unsigned long long)status.folded.epoch,
             (unsigned long long)status.folded.seq);
  }
  enum tide_err err = tide_registry_announce(r->registry, config->cell_name, card, config->registry_lease_ms, &error);
  r->told = tide_mono_now();
  if (err == TIDE_E_FULL) {
    tide_meter_add(r->meter, TIDE_METER_ROW_registry_errors_total, TIDE_METER_PLAIN, 1);
    tide_log(TIDE_LOG_WARN, "registry_full", "why=%s", error.text);
  } else note(r, err, &error);
}

/* Every engine that is there has folded the log under the wanted feature file. Who is not known to the registry is not waited for: it goes over when it can, and answers
 * nothing until then. */
static bool all_prepared(struct tide_serve_registry *r) {
  struct tide_content_hash features = r->wanted.rollout.features;
  struct tide_engine_card *card;
  struct tide_error error = {0};
  char digits[TIDE_CONTENT_HASH_TEXT], why[160] = "";
  size_t count = 0;
  if (tide_content_hash_eq(features, r->in_force.features)) return true;
  announce(r);
  if (r->prepared(r->ctx, features) != TIDE_PREPARED_YES) snprintf(why, sizeof why, "the log is being folded under its feature file");
  else if (tide_registry_engines(r->registry, r->config->cell_name, &card, &count, &error))
    snprintf(why, sizeof why, "which engines are there is not known: %.90s", error.text);
  tide_content_hash_text(features, digits);
  for (size_t i = 0; i < count && !why[0]; i++)
    if (strncmp(card[i].prepared, digits, sizeof card->prepared - 1) != 0 && strcmp(card[i].prepared, NEVER) != 0)
      snprintf(why, sizeof why, "engine %u has not folded the log under its feature file yet", card[i].engine_id);
  if (count) tide_free(card);
  if (why[0] && strcmp(r->awaited, why) != 0)
    tide_log(TIDE_LOG_INFO, "rollout_waits", "number=%llu why=%s", (unsigned long long)r->wanted.rollout.number, why);
  snprintf(r->awaited, sizeof r->awaited, "%s", why);
  return !why[0];
}

static void offer_wanted(struct tide_serve_registry *r) {
  struct tide_error error = {0};
  struct tide_buf record = TIDE_BUF_INIT;
  if (tide_engine_status(r->engine).state != TIDE_CORE_open) return;
  if (!is_due(r)) {
    look_for_passed(r);
    return;
  }
  const char *fault = tide_rollout_fault(&r->wanted.rollout);
  enum tide_err err = fault ? tide_fail(&error, TIDE_E_CORRUPT, "rollout %llu: %s", (unsigned long long)r->wanted.rollout.number, fault)
                            : bring_all(r, &r->wanted.rollout, &error);
  if (!err && is_due(r) && all_prepared(r)) { /* and nobody else was faster */
    tide_rollout_encode(&r->wanted.rollout, &record);
    if (offer_record(r, tide_buf_span(&record)))
      tide_log(TIDE_LOG_INFO, "rollout_brought", "number=%llu who=%s why=%s", (unsigned long long)r->wanted.rollout.number,
               r->wanted.rollout.who, r->wanted.rollout.why);
  }
  if (err && err != TIDE_E_AGAIN) note_trouble(r, error.text);
  else if (!err) note_trouble(r, "");
  if (err) tide_meter_add(r->meter, TIDE_METER_ROW_registry_errors_total, TIDE_METER_PLAIN, 1);
  tide_buf_release(&record);
}

/* ---- watching and telling ---- */

static void look(struct tide_serve_registry *r) {
  struct tide_error error = {0};
  struct tide_rollout_document document;
  enum tide_err err = tide_registry_rollout(r->registry, r->config->cell_name, 0, &document, &error);
  r->looked = tide_mono_now();
  note(r, err == TIDE_E_NOT_FOUND ? TIDE_OK : err, &error);
  if (err == TIDE_E_CORRUPT) note_trouble(r, error.text);
  if (!err) r->wanted = document;
}

static void turn(struct tide_serve_registry *r) {
  struct tide_error error = {0};
  bool changed = false, due = is_due(r);
  enum tide_err err = r->registry->ops->watch(r->registry, r->rollouts, PAUSE_MS, &changed, &error);
  if (err) {
    note(r, err, &error);
    for (int64_t waited = 0; waited < PAUSE_MS && !atomic_load(&r->stopping); waited += 50) nap_ms(50);
  }
  if (!atomic_load(&r->stopping) && !err && (changed || is_past(r->looked, LOOK_MS))) look(r);
  if (!atomic_load(&r->stopping) && !err && (changed || due || is_due(r))) offer_wanted(r);
  bool news = r->wanted.rollout.number && r->prepared(r->ctx, r->wanted.rollout.features) != TIDE_PREPARED_NO && !r->card.prepared[0];
  if (!atomic_load(&r->stopping) && !err && (news || is_past(r->told, r->config->registry_lease_ms / 3))) announce(r);
  show(r);
}

static void *run(void *ctx) {
  struct tide_serve_registry *r = ctx;
  while (!atomic_load(&r->stopping)) turn(r);
  return NULL;
}

/* ---- life ---- */

enum tide_err tide_serve_registry_new(const struct tide_config *config, struct tide_serve_registry **ret, struct tide_error *error) {
  struct tide_registry *registry;
  if (!config->registry_url[0]) {
    *ret = NULL;
    return TIDE_OK;
  }
  enum tide_err err = tide_registry_open(config, &registry, error);
  if (err) return err;
  struct tide_serve_registry *r = tide_alloc(sizeof *r);
  r->config = config;
  r->registry = registry;
  tide_registry_rollouts_dir(config->cell_name, r->rollouts);
  TIDE_CHECK(pthread_mutex_init(&r->mutex, NULL) == 0 && pthread_cond_init(&r->cond, NULL) == 0);
  *ret = r;
  return TIDE_OK;
}

void tide_serve_registry_start(struct tide_serve_registry *r, const struct tide_serve_registry_start *start) {
  r->engine = start->engine;
  r->meter = start->meter;
  r->prepared = start->prepared;
  r->ctx = start->ctx;
  r->card.engine_id = (uint32_t)r->config->engine_id;
  r->card.started_ms = tide_wall_now().ms;
  snprintf(r->card.address, sizeof r->card.address, "%s", start->listen);
  snprintf(r->card.admin, sizeof r->card.admin, "%s", start->admin);
  snprintf(r->card.version, sizeof r->card.version, "%s", TIDE_VERSION);
  TIDE_CHECK(pthread_create(&r->thread, NULL, run, r) == 0);
  r->started = true;
}

void tide_serve_registry_stop(struct tide_serve_registry *r) {
  if (!r || !r->started) return;
  atomic_store(&r->stopping, true);
  r->registry->ops->interrupt(r->registry);
  TIDE_CHECK(pthread_join(r->thread, NULL) == 0);
  r->started = false;
}

void tide_serve_registry_free(struct tide_serve_registry *r) {
  if (!r) return;
  TIDE_CHECK(!r->started);
  r->registry->ops->close(r->registry);
  (void)pthread_mutex_destroy(&r->mutex);
  (void)pthread_cond_destroy(&r->cond);
  tide_free(r);
}
