/* The configuration of a running engine, as many threads read it and one replaces it.
 *
 * Readers load a pointer, once per request, and use that snapshot to the end of it: no lock, and never half of an old and half of a new configuration.
 * A snapshot that was replaced is kept until the end, because nobody knows when its last reader is done and asking would cost every request something;
 * a reload is a person's doing and a snapshot some kilobytes, so TIDE_CONFIG_RELOADS_MAX of them are allowed. */
#ifndef TIDE_CONFIG_SLOT_H
#define TIDE_CONFIG_SLOT_H

#include "config/config.h"

#define TIDE_CONFIG_RELOADS_MAX 1000

struct tide_config_slot;

/* Takes the configuration. */
struct tide_config_slot *tide_config_slot_new(struct tide_config *config);
/* Frees all snapshots; no thread may use one any more. */
void tide_config_slot_free(struct tide_config_slot *slot);

/* Any thread. Valid until tide_config_slot_free. */
const struct tide_config *tide_config_now(const struct tide_config_slot *slot);

/* One thread at a time. Takes `next`; from when it returns, new readers see it. Not taken, and freed, when it changes an option that needs a restart (CONFIG,
 * naming them) or the engine was reloaded too often (LIMIT). Also freed when it changes nothing. *ret_diff (may be NULL) is filled when it was taken. */
enum tide_err tide_config_reload(struct tide_config_slot *slot, struct tide_config *next, struct tide_config_diff *ret_diff, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
