/* The registry beside a serving engine: a thread that watches what shall be in force, brings it into the journal, and tells people that the engine is there.
 *
 * It decides nothing. A rollout counts where the journal has it, for all engines at the same position, whoever brought it; so each engine offers a rollout with a higher number
 * than the one in force, with the versions that the journal lacks, and the first offer wins. What cannot be read or is corrupt is not offered. While the registry is away nothing
 * changes, scoring goes on, and /readyz says nothing of it.
 *
 * A rollout with another feature file is offered when every engine that the registry knows to be there has folded the log under that file (serve_follow.h), so that none
 * of them has to
 * stand still: first the file is brought, then it is waited for. */
#ifndef TIDE_SERVE_REGISTRY_H
#define TIDE_SERVE_REGISTRY_H

#include "base/meter.h"
#include "config/config.h"
#include "run/engine.h"

struct tide_serve_registry;

/* *ret is NULL where registry.url is empty. Nothing is asked yet. Error: CONFIG. The configuration is borrowed. */
enum tide_err tide_serve_registry_new(const struct tide_config *config, struct tide_serve_registry **ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_prepared {
  TIDE_PREPARED_NO,
  TIDE_PREPARED_YES,
  TIDE_PREPARED_NEVER /* its log is too short: it takes a snapshot from a peer behind the switch, and is not waited for */
};
struct tide_serve_registry_start {
  struct tide_engine *engine;
  struct tide_meter *meter; /* that several threads may add to; its registry rows are this one's */
  const char *listen, *admin; /* HOST:PORT, for people; copied */
  enum tide_prepared (*prepared)(void *ctx, struct tide_content_hash features); /* could this engine go over to that feature file? Any thread */
  void *ctx;
};
/* Once, behind the engine's start. */
void tide_serve_registry_start(struct tide_serve_registry *registry, const struct tide_serve_registry_start *start);
/* The core's thread: an offer of this one came back. */
void tide_serve_registry_release(struct tide_serve_registry *registry, struct tide_offer *offer);
/* Before the engine is stopped: ends the thread. NULL, or never started: fine. */
void tide_serve_registry_stop(struct tide_serve_registry *registry);
/* Behind the engine's end, whose offers name it. */
void tide_serve_registry_free(struct tide_serve_registry *registry);

#endif
