/* Another feature file in the middle of a case (other_file.h).
 *
 * Two texts take turns that differ in a comment: the fold does not know that, and counts the whole journal again under each. What was decided before is answered by the old file's
 * entities, which must follow the cards through keys that rotate, snapshots and the next file, and be there as long as a repetition is known. */
#include "tests/oracle/other_file.h"

#include "core/rollout.h"
#include "tests/oracle/render.h"
#include "tests/oracle/random.h"

void or_log_add(struct or_log *log, struct tide_position at, struct tide_span bytes) {
  if (log->count == log->cap) {
    log->cap = log->cap ? log->cap * 2 : 64;
    log->entry = tide_realloc(log->entry, log->cap * sizeof *log->entry);
  }
  struct or_log_entry *entry = &log->entry[log->count++];
  *entry = (struct or_log_entry){.at = at, .bytes = TIDE_BUF_INIT};
  tide_buf_put(&entry->bytes, bytes.ptr, bytes.len);
}

void or_log_release(struct or_log *log) {
  for (size_t i = 0; i < log->count; i++) tide_buf_release(&log->entry[i].bytes);
  tide_free(log->entry);
  *log = (struct or_log){0};
}

/* A file's answers are forgotten by the commit time of its last entry: nothing that it counts may be further ahead than the limits say. */
static bool is_ahead(const struct or_case *c, int to) {
  int64_t commit_ms = INT64_MIN, most_ms = or_settings(c).max_future_skew_ms;
  for (int i = 0; i < to; i++) {
    const struct or_record *r = &c->record[i];
    if (r->dropped) continue;
    if (or_entry_begins(c, i) && or_entry_commit(c, i) > commit_ms) commit_ms = or_entry_commit(c, i);
    if (!c->replay && r->type == OR_EVENT && !r->stamped && r->time_ms - most_ms > commit_ms) return true;
  }
  return false;
}

bool or_other_file_before(const struct or_case *c, int i) {
  struct or_rng rng = {c->seed * UINT64_C(0x9fb21c651e98df25) + 5};
  if (c->rolls || !or_percent(&rng, 50)) return false;
  int often = 5 + or_below(&rng, 50);
  return i > 0 && i % often == or_below(&rng, often) && !is_ahead(c, i);
}

unsigned or_other_file(struct tide_span file, uint64_t number, struct tide_buf *ret) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_put(&text, file.ptr, file.len);
  if (number % 2) tide_buf_str(&text, "\n# the other one\n");
  struct tide_rollout rollout = {.number = number, .features = tide_content_hash(tide_buf_span(&text))};
  TIDE_CHECK(tide_artifact_encode(TIDE_ARTIFACT_features, TIDE_SPAN("other"), tide_buf_span(&text), ret) == TIDE_OK);
  tide_rollout_encode(&rollout, ret);
  tide_buf_release(&text);
  return 2;
}

bool or_take_over(const struct or_log *log, struct tide_fold *fold, struct tide_error *error) {
  struct tide_fold *follower;
  if (tide_fold_follower(fold, tide_fold_awaited(fold), &follower, error)) return false;
  for (size_t i = 0; i < log->count; i++) {
    if (tide_fold_entry(follower, log->entry[i].at, tide_buf_span(&log->entry[i].bytes), NULL, NULL, error) == TIDE_OK) continue;
    tide_fold_free(follower);
    return false;
  }
  if (tide_fold_switch(fold, follower, error) == TIDE_OK) return true;
  tide_fold_free(follower);
  return false;
}
