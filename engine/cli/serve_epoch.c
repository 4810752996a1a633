/* Asking the register of epochs (serve_epoch.h), over a handle of its own that two threads share under a mutex.
 *
 * After a question that found no answer none is asked for RETRY_MS: a registry that is down must not hold up one failover more than once. */
#include "cli/serve_epoch.h"

#include <pthread.h>

#include "adapter/registry_store.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/registry_open.h"

#define RETRY_MS 5000

struct tide_serve_epoch {
  struct tide_registry *registry;
  const char *cell;
  pthread_mutex_t mutex;
  struct tide_mono failed; /* under the mutex; 0: it answered last */
};

enum tide_err tide_serve_epoch_new(const struct tide_config *config, struct tide_serve_epoch **ret, struct tide_error *error) {
  struct tide_registry *registry;
  struct tide_config impatient = *config;
  *ret = NULL;
  if (!config->registry_url[0]) return TIDE_OK;
  if (impatient.registry_timeout_ms > TIDE_SERVE_EPOCH_MS) impatient.registry_timeout_ms = TIDE_SERVE_EPOCH_MS;
  enum tide_err err = tide_registry_open(&impatient, &registry, error);
  if (err) return err;
  struct tide_serve_epoch *epoch = tide_alloc(sizeof *epoch);
  epoch->registry = registry;
  epoch->cell = config->cell_name;
  TIDE_CHECK(pthread_mutex_init(&epoch->mutex, NULL) == 0);
  *ret = epoch;
  return TIDE_OK;
}

/* With the mutex. False: it was asked in vain a moment ago. */
static bool may_ask(const struct tide_serve_epoch *epoch) {
  return epoch->failed.ns == 0 || tide_mono_now().ns - epoch->failed.ns >= RETRY_MS * INT64_C(1000000);
}

static void note(struct tide_serve_epoch *epoch, enum tide_err err, const struct tide_error *error) {
  bool first = epoch->failed.ns == 0;
  epoch->failed = err ? tide_mono_now() : (struct tide_mono){0};
  if (err && first)
    tide_log(TIDE_LOG_WARN, "epoch_register_unanswered", "why=%s note=%s", error->text,
             "epochs are numbered by the journal and this engine's disk alone");
}

bool tide_serve_epoch_take(struct tide_serve_epoch *epoch, uint64_t number, uint64_t *ret_highest) {
  struct tide_error error = {0};
  enum tide_err err = TIDE_OK;
  uint64_t highest = 0;
  if (!epoch) return true;
  TIDE_CHECK(pthread_mutex_lock(&epoch->mutex) == 0);
  if (may_ask(epoch)) {
    err = tide_registry_take_epoch(epoch->registry, epoch->cell, number, &highest, &error);
    note(epoch, err == TIDE_E_STALE ? TIDE_OK : err, &error);
  }
  TIDE_CHECK(pthread_mutex_unlock(&epoch->mutex) == 0);
  if (err != TIDE_E_STALE) return true;
  *ret_highest = highest;
  return false;
}

uint64_t tide_serve_epoch_known(struct tide_serve_epoch *epoch) {
  struct tide_error error = {0};
  uint64_t highest = 0;
  if (!epoch) return 0;
  TIDE_CHECK(pthread_mutex_lock(&epoch->mutex) == 0);
  if (may_ask(epoch)) {
    enum tide_err err = tide_registry_epoch(epoch->registry, epoch->cell, &highest, &error);
    note(epoch, err, &error);
    if (err) highest = 0;
  }
  TIDE_CHECK(pthread_mutex_unlock(&epoch->mutex) == 0);
  return highest;
}

void tide_serve_epoch_free(struct tide_serve_epoch *epoch) {
  if (!epoch) return;
  epoch->registry->ops->close(epoch->registry);
  (void)pthread_mutex_destroy(&epoch->mutex);
  tide_free(epoch);
}
