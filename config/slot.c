/* The configuration that readers see, and the ones they may still be using (slot.h).
 *
 * The pointer is stored with release and loaded with acquire, so whoever sees a snapshot sees all of it. The others are only a list to free. */
#include "config/slot.h"

#include <stdatomic.h>

struct tide_config_slot {
  _Atomic(const struct tide_config *) now;
  struct tide_config *all[TIDE_CONFIG_RELOADS_MAX + 1];
  size_t count;
};

struct tide_config_slot *tide_config_slot_new(struct tide_config *config) {
  struct tide_config_slot *slot = tide_alloc(sizeof *slot);
  slot->all[slot->count++] = config;
  atomic_init(&slot->now, config);
  return slot;
}

void tide_config_slot_free(struct tide_config_slot *slot) {
  if (!slot) return;
  for (size_t i = 0; i < slot->count; i++) tide_config_free(slot->all[i]);
  tide_free(slot);
}

const struct tide_config *tide_config_now(const struct tide_config_slot *slot) {
  return atomic_load_explicit(&slot->now, memory_order_acquire);
}

enum tide_err tide_config_reload(struct tide_config_slot *slot, struct tide_config *next, struct tide_config_diff *ret_diff,
                                 struct tide_error *error) {
  struct tide_config_diff diff = tide_config_diff(tide_config_now(slot), next);
  enum tide_err err = tide_config_diff_check(&diff, error);
  if (!err && diff.count > 0 && slot->count > TIDE_CONFIG_RELOADS_MAX)
    err = tide_fail(error, TIDE_E_LIMIT, "nothing was reloaded: this engine took %d configurations already; restart it",
                    TIDE_CONFIG_RELOADS_MAX);
  if (err || diff.count == 0) {
    tide_config_free(next);
    if (err) return err;
  } else {
    slot->all[slot->count++] = next;
    atomic_store_explicit(&slot->now, next, memory_order_release);
  }
  if (ret_diff) *ret_diff = diff;
  return TIDE_OK;
}
