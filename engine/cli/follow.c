/* Second readings of a log, for the feature files that follow one another in it (follow.h).
 *
 * The second reading ends at the entry behind which the fold waits; what a running writer appends meanwhile is left for the first, which goes on where it stood. */
#include "cli/follow.h"

#include "cli/scan.h"

struct second_reading {
  struct tide_fold *follower;
  struct tide_position until;
};

static enum tide_err take(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  struct second_reading *second = ctx;
  enum tide_err err = tide_fold_entry(second->follower, position, entry, NULL, NULL, error);
  if (err != TIDE_OK) return err;
  return tide_position_cmp(position, second->until) == 0 ? TIDE_E_END : TIDE_OK;
}

enum tide_err tide_follow_entry(const char *dir, struct tide_fold *fold, struct tide_position position, struct tide_span entry,
                                tide_emit_fn emit, void *ctx, struct tide_error *error) {
  enum tide_err err = tide_fold_entry(fold, position, entry, emit, ctx, error);
  if (err != TIDE_OK || !tide_fold_waits(fold)) return err;
  struct second_reading second = {.until = position};
  struct tide_scan_result scan;
  err = tide_fold_follower(fold, tide_fold_awaited(fold), &second.follower, error);
  if (err != TIDE_OK) return err;
  err = tide_scan(dir, "fold once more, under the next feature file", take, &second, &scan, error);
  if (err == TIDE_OK) err = tide_fold_switch(fold, second.follower, error);
  if (err != TIDE_OK) tide_fold_free(second.follower);
  return err;
}
