/* A registry in the simulated cell: rollouts one after the other, engines that hear of them early, late or never, and who was in force where.
 *
 * The registry is a list that only grows. Each node brings what it has heard of into the journal as an engine's own driver does: one record at a time, the versions that are
 * missing first. Several do so at once, with different rollouts. What must come out is counted again from the records alone, without the fold's library and router. */
#ifndef TIDE_SIM_ROLLOUT_H
#define TIDE_SIM_ROLLOUT_H

#include "core/rollout.h"
#include "model/artifact.h"

#define SIM_MODELS 5    /* the last does not fit the feature file */
#define SIM_POLICIES 4  /* the first is that of the feature file, the last does not parse */
#define SIM_ROLLOUTS 40
#define SIM_CARDS 16

struct sim_registry {
  struct { struct tide_model *model; struct tide_buf bytes; struct tide_content_hash hash; } model[SIM_MODELS];
  struct { const char *text; struct tide_content_hash hash; } policy[SIM_POLICIES];
  struct tide_content_hash features;
  struct { struct tide_rollout rollout; bool good; } document[SIM_ROLLOUTS]; /* by number - 1 */
  unsigned documents;
  /* the recount, in the verdict */
  uint64_t now;                                  /* number in force */
  bool brought[SIM_MODELS + SIM_POLICIES];       /* versions that stand in the journal so far */
  char card[SIM_ROLLOUTS + 1][SIM_CARDS][TIDE_MODEL_ID]; /* by rollout and card: who scored it */
};

#endif
