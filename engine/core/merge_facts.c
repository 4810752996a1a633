/* What the merge tells of a partition: seen, drained, delay (merge.h has the definitions, merge_delay.h the estimator).
 *
 * Each only moves when something was given or an end was told, so parts are a function of the calls. `drained` by the first message not
 * given rests on a log that appends in the order of its clock: whatever stood in it before that moment stands before that message, and
 * is given. The wall clock bounds it, so that a stamp from a broken clock tells nothing about the future. */
#include "core/merge_state.h"

static int64_t max_ms(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min_ms(int64_t a, int64_t b) { return a < b ? a : b; }

void tide_merge_facts_forget(struct tide_merge_partition *p) { p->seen_ms = p->drained_ms = p->told_ms = TIDE_UNKNOWN_MS; }

void tide_merge_facts_begin(struct tide_merge_partition *p) {
  tide_merge_facts_forget(p);
  p->log_ms = p->recalled_until_ms = TIDE_UNKNOWN_MS;
  p->recalled_ms = 0;
}

void tide_merge_facts_item(struct tide_merge_partition *p, const struct tide_merge_item *item, struct tide_wall wall) {
  bool stamped = item->append_ms != TIDE_UNKNOWN_MS;
  if (stamped) p->log_ms = max_ms(p->log_ms, min_ms(item->append_ms, wall.ms));
  if (item->time_ms == TIDE_UNKNOWN_MS) return;
  p->seen_ms = max_ms(p->seen_ms, min_ms(item->time_ms, stamped ? item->append_ms : wall.ms));
  if (stamped) tide_delay_add(&p->delay, p->log_ms, item->append_ms - item->time_ms);
}

int64_t tide_merge_facts_drained(const struct tide_merge_partition *p, struct tide_wall wall) {
  if (p->head == p->tail) return p->drained_ms;
  int64_t append_ms = tide_merge_at(p, p->head)->item.append_ms;
  return append_ms == TIDE_UNKNOWN_MS ? p->drained_ms : max_ms(p->drained_ms, min_ms(append_ms - 1, wall.ms));
}

void tide_merge_facts_line(struct tide_merge *merge, uint32_t index) {
  struct tide_merge_partition *p = &merge->partition[index];
  if (p->stopped || p->in_facts) return;
  int64_t drained_ms = tide_merge_facts_drained(p, (struct tide_wall){INT64_MAX});
  if (drained_ms == TIDE_UNKNOWN_MS) return;
  if (p->told_ms != TIDE_UNKNOWN_MS && drained_ms - p->told_ms < merge->options.facts_every_ms) return;
  tide_merge_line_up(merge, &merge->facts, index, &p->in_facts);
}

int64_t tide_merge_facts_delay(const struct tide_merge_partition *p) {
  int64_t delay_ms = tide_delay_ms(&p->delay);
  return p->log_ms < p->recalled_until_ms ? max_ms(delay_ms, p->recalled_ms) : delay_ms;
}

void tide_merge_facts_tell(struct tide_merge_partition *p, struct tide_wall wall, struct tide_cursor_part *part) {
  p->drained_ms = tide_merge_facts_drained(p, wall);
  p->told_ms = p->drained_ms;
  if (p->drained_ms != TIDE_UNKNOWN_MS) {
    p->log_ms = max_ms(p->log_ms, p->drained_ms);
    tide_delay_advance(&p->delay, p->log_ms);
  }
  part->seen = p->seen_ms;
  part->drained = p->drained_ms;
  part->delay = tide_merge_facts_delay(p);
}

void tide_merge_recall(struct tide_merge *merge, const struct tide_cursor_part *last) {
  struct tide_merge_partition *p = &merge->partition[tide_merge_index(merge, last->source, last->partition)];
  p->seen_ms = max_ms(p->seen_ms, last->seen);
  p->drained_ms = max_ms(p->drained_ms, last->drained);
  p->told_ms = p->drained_ms;
  p->log_ms = max_ms(p->log_ms, max_ms(p->seen_ms, p->drained_ms));
  if (p->log_ms == TIDE_UNKNOWN_MS) return;
  p->recalled_ms = last->delay;
  p->recalled_until_ms = p->log_ms + 1000 * TIDE_DELAY_SECONDS;
  tide_delay_advance(&p->delay, p->log_ms);
}
