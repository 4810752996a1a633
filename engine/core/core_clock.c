/* The wall clock, before anything is stamped with it (core_state.h).
 *
 * A commit time is this machine's clock, and everybody folds it: an entry that a stepped clock stamped is not acknowledged, because the store's clock is compared behind every
 * write, but it stands in the log, and stamps and commit times would stay ahead until time has caught up. So the comparison must come first. What tells that it
 * is due is the monotonic clock, which nobody sets: since the store last found the clocks to agree, both must have moved by the same amount.
 *
 * A SYNC makes the comparison, at a moment of its own, and tells which clock it compared (port/journal.h). Whatever this core saw when it asked or sees now, only that
 * one is known to be right: a clock that was set while the SYNC was under way, there and back even, is another, and the step behind it asks again. In a new session
 * nothing is known. */
#include "core/core_state.h"

#define APART_MS 10 /* the two readings of a step are two calls: what was scheduled in between costs a SYNC, not a mistake */

static int64_t offset_ms(const struct tide_core *core) { return tide_clock_offset_ms(core->now.wall, core->now.mono); }

static bool is_near(int64_t a_ms, int64_t b_ms) { return a_ms - b_ms <= APART_MS && b_ms - a_ms <= APART_MS; }

bool tide_core_clock_holds(const struct tide_core *core) {
  return !core->options.compares_clocks || (core->clock.told && is_near(offset_ms(core), core->clock.told_ms));
}

void tide_core_clock_told(struct tide_core *core, int64_t clock_ms) {
  core->clock.told = is_near(offset_ms(core), clock_ms);
  core->clock.told_ms = clock_ms;
}

void tide_core_clock_look(struct tide_core *core) {
  if (!core->clock.told || tide_core_clock_holds(core)) return;
  core->clock.told = false;
  core->stats.clock_steps++;
  core->stats.clock_step_ms = offset_ms(core) - core->clock.told_ms;
  tide_trail("core %u: the clock was stepped by %lld ms", core->options.engine_id, (long long)core->stats.clock_step_ms);
}

void tide_core_clock_go_on(struct tide_core *core) {
  if (core->state != TIDE_CORE_lost && core->state != TIDE_CORE_stopped && !tide_core_clock_holds(core)) tide_core_sync(core);
}
