/* Another feature file takes over in a running journal: the state is that of the whole log counted under it, and what was decided before stays decided.
 *
 * One stream of random messages is written down twice: as the journal of a cell that changes its file twice, each message under the file of its time, and as a journal that had the
 * later file all along, with the messages moved there by this test's own hands. At the switch both states must be equal byte by byte, behind it every value must be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/feature_log.h"

/* The shards of `fold` begin with those of one that had its feature file all along; what old files still answer stands behind. */
static void assert_same_entities(struct tide_fold *fold, struct tide_fold *all_along) {
  struct tide_buf x = TIDE_BUF_INIT, y = TIDE_BUF_INIT;
  for (unsigned chunk = 0; chunk < TIDE_SHARDS; chunk++) {
    tide_buf_clear(&x);
    tide_buf_clear(&y);
    tide_fold_save(fold, chunk, &x);
    tide_fold_save(all_along, chunk, &y);
    assert_true(x.len >= y.len);
    if (memcmp(x.ptr, y.ptr, y.len) != 0) fail_msg("shard %u differs", chunk);
  }
  tide_buf_release(&x);
  tide_buf_release(&y);
}

static void the_state_is_that_of_the_whole_log_under_the_new_file(void **state) {
  struct world *w = *state;
  struct log *log = two_switches(w);
  struct tide_fold *live = tide_fold_new(), *like_b = tide_fold_new(), *like_c = tide_fold_new();
  fold_on(live, log->entry, 0, FIRST_SWITCH + 1, NULL, NULL);
  assert_string_equal(tide_fold_spec(live)->name, "second");
  tide_fold_quiet(like_b, true);
  fold_on(like_b, w->like_b, 0, FIRST_SWITCH + 1, NULL, NULL);
  assert_same_entities(live, like_b);
  for (uint32_t e = 0; e < w->b->entity_count; e++) assert_true(tide_fold_entities(live, e) > 3);
  fold_on(live, log->entry, FIRST_SWITCH + 1, SECOND_SWITCH + 1, NULL, NULL);
  tide_fold_quiet(like_c, true);
  fold_on(like_c, w->like_c, 0, SECOND_SWITCH + 1, NULL, NULL);
  assert_same_entities(live, like_c);
  fold_on(live, log->entry, SECOND_SWITCH + 1, ENTRIES, NULL, NULL);
  assert_int_equal(tide_fold_generation(live), 2);
  assert_int_equal(tide_fold_versions(live)->rollout.number, 6);
  log_free(log);
  tide_fold_free(live);
  tide_fold_free(like_b);
  tide_fold_free(like_c);
}

/* ---- values and answers ---- */

struct heard {
  struct tide_buf json; /* of the last event, or "" */
  bool duplicate, known;
  uint32_t warming;
  struct tide_value slot[64];
  const struct tide_spec *spec;
  char decision[16], by[16], reasons[200];
  double score;
  struct tide_position first;
  uint32_t first_index;
};
struct hearing {
  struct heard (*at)[PER_ENTRY + 1];
}; /* by entry and record */

static void hear(void *ctx, const struct tide_answer *answer) {
  struct hearing *hearing = ctx;
  struct heard *heard = &hearing->at[answer->position.seq % ENTRIES][answer->index];
  heard->duplicate = answer->duplicate;
  heard->known = answer->features_known;
  heard->spec = answer->spec;
  heard->first = answer->first_position;
  heard->first_index = answer->first_index;
  if (answer->features_known) memcpy(heard->slot, answer->slot, answer->spec->slot_count * sizeof *heard->slot);
  tide_buf_clear(&heard->json);
  tide_answer_json(answer, 0, &heard->json);
  char *json = (char *)(uintptr_t)tide_buf_cstr(&heard->json), *reasons = strstr(json, "\"reasons\":"),
       *end = reasons ? strstr(reasons, "],") : NULL;
  if (end) snprintf(heard->reasons, sizeof heard->reasons, "%.*s", (int)(end - reasons), reasons);
  snprintf(heard->decision, sizeof heard->decision, "%s",
           answer->verdict.by == TIDE_BY_NONE ? "" : answer->spec->decision[answer->verdict.decision]);
  snprintf(heard->by, sizeof heard->by, "%s", answer->verdict.by == TIDE_BY_NONE ? "" : tide_verdict_by(answer->spec, &answer->verdict));
}

static struct hearing hearing_new(void) { return (struct hearing){.at = tide_alloc(ENTRIES * sizeof *((struct hearing *)0)->at)}; }
static void hearing_free(struct hearing *h) {
  for (uint32_t e = 0; e < ENTRIES; e++)
    for (uint32_t i = 0; i <= PER_ENTRY; i++) tide_buf_release(&h->at[e][i].json);
  tide_free(h->at);
}

static bool same_value(const struct tide_value *x, const struct tide_value *y) {
  return x->type == y->type && x->state == y->state && x->cause == y->cause &&
         (x->type == TIDE_V_NULL || memcmp(&x->code, &y->code, sizeof x->code) == 0);
}

static void values_behind_the_switch_are_those_of_the_new_file(void **state) {
  struct world *w = *state;
  struct log *log = two_switches(w);
  struct tide_fold *live = tide_fold_new(), *like = tide_fold_new();
  struct hearing x = hearing_new(), y = hearing_new();
  fold_on(live, log->entry, 0, FIRST_SWITCH + 1, hear, &x);
  int64_t until_ms = tide_fold_commit_ms(live) + tide_settings_default().max_future_skew_ms + 30 * 60000;
  fold_on(live, log->entry, FIRST_SWITCH + 1, SECOND_SWITCH, hear, &x);
  fold_on(like, w->like_b, 0, SECOND_SWITCH, hear, &y);
  uint32_t compared = 0, warming = 0, grown = 0, ips = tide_spec_slot(w->b, "card.ips_30m");
  for (uint32_t e = FIRST_SWITCH + 1; e < SECOND_SWITCH; e++)
    for (uint32_t i = 0; i <= PER_ENTRY; i++) {
      const struct heard *p = &x.at[e][i], *q = &y.at[e][i];
      if (!p->spec && !q->spec) continue;
      if (p->duplicate) continue; /* below */
      assert_true(p->known == q->known);
      for (uint32_t s = 0; p->known && s < w->b->slot_count; s++) {
        if (s == ips) { /* older events had none: not complete for half an hour from the last that may be without */
          bool young = p->slot[s].state == TIDE_S_warming;
          warming += young;
          grown += !young;
          if (p->slot[s].type == TIDE_V_NUM && p->slot[s].num > 0 && young != (w->message[(e - 1) * PER_ENTRY + i].time_ms < until_ms))
            fail_msg("entry %u, record %u: state %u", e, i, p->slot[s].state);
          continue;
        }
        if (!same_value(&p->slot[s], &q->slot[s]))
          fail_msg("entry %u, record %u, %s: %g (%u, %u) and %g (%u, %u)", e, i, w->b->slot[s].name, p->slot[s].num, p->slot[s].state,
                   p->slot[s].cause, q->slot[s].num, q->slot[s].state, q->slot[s].cause);
        compared++;
      }
    }
  assert_true(compared > 5000 && warming > 50 && grown > 50);
  log_free(log);
  hearing_free(&x);
  hearing_free(&y);
  tide_fold_free(live);
  tide_fold_free(like);
}

/* A repetition gets the first answer, whichever file gave it, and however often the file has changed since. */
static void a_repetition_gets_the_first_answer(void **state) {
  struct world *w = *state;
  static const char policy[] =
      "policy:\n  decisions: [approve, review, decline]\n  lists: [blocked, odd]\n  rules:\n    - P1: review when amount > 30\n"
      "    - else: approve\n  fallback:\n    - else: approve\n";
  struct log *log = two_switches(w);
  struct tide_rollout strict = rollout_of(w->a, 1);
  strict.policy = tide_content_hash(tide_span_of(policy));
  roll_with(log, 150, (struct tide_span){NULL, 0}, &strict, tide_span_of(policy));
  struct tide_rollout back = rollout_of(w->a, 2);
  roll_with(log, 170, (struct tide_span){NULL, 0}, &back, (struct tide_span){NULL, 0});
  struct tide_fold *live = tide_fold_new();
  struct hearing x = hearing_new();
  fold_on(live, log->entry, 0, RESENT, hear, &x);
  assert_int_equal(tide_fold_versions(live)->rollout.number, 5);
  /* Everything decided in the last two hours before each switch is sent once more at one place of the second file's time, half of it under the old file. */
  uint32_t of_a = 0, of_b = 0, by_policy = 0, reviewed = 0, with_reasons = 0;
  static struct tide_record record;
  struct hearing y = hearing_new();
  struct entry again = {.at = {1, RESENT}};
  for (uint32_t e = 130; e < RESENT; e += 2) {
    for (uint32_t i = 0; i <= PER_ENTRY; i++) {
      const struct heard *first = &x.at[e][i];
      struct message again_of = i < PER_ENTRY ? w->message[(e - 1) * PER_ENTRY + i] : w->message[0], *m = &again_of;
      m->rotated = e % 5 == 0; /* its card under a new key */
      if (!first->spec || first->duplicate || i == PER_ENTRY || m->type != TIDE_REC_EVENT) continue;
      bool old = (e + i) % 2;
      struct tide_batch batch;
      struct tide_error error = {0};
      tide_batch_begin(&batch, &again.bytes, &(struct tide_entry_header){.fence_nonce = 7, .generation = old ? 0 : 1}, NULL, 0);
      assert_true(fill(old ? w->a : w->b, m, true, &record));
      assert_int_equal(tide_batch_add(&batch, old ? w->a : w->b, &record), TIDE_OK);
      tide_batch_end(&batch);
      if (tide_fold_entry(live, again.at, tide_buf_span(&again.bytes), hear, &y, &error) != TIDE_OK) fail_msg("%s", error.text);
      const struct heard *second = &y.at[again.at.seq++ % ENTRIES][0];
      bool remembered = second->duplicate;
      if (remembered && second->first.seq == e && second->first_index == i) {
        assert_string_equal(second->decision, first->decision);
        assert_string_equal(second->by, first->by);
        assert_ptr_equal(second->spec, first->spec);
        if (first->by[0] == 'F') {
          if (!m->foreign) assert_string_equal(second->reasons, first->reasons);
          with_reasons++;
        }
        of_a += strcmp(first->spec->name, "first") == 0;
        of_b += strcmp(first->spec->name, "second") == 0;
        by_policy += strcmp(first->by, "P1") == 0;
        reviewed += strcmp(first->decision, "review") == 0;
      }
    }
  }
  tide_buf_release(&again.bytes);
  if (of_a < 10 || of_b < 10 || reviewed < 3 || with_reasons < 10 || by_policy < 5)
    fail_msg("%u, %u, %u, %u, %u", by_policy, of_a, of_b, reviewed, with_reasons);
  log_free(log);
  hearing_free(&x);
  hearing_free(&y);
  tide_fold_free(live);
}

/* Appends one message as an entry of its own, under the file in force. alone: of two keys the new one only. */
static const struct heard *say(struct tide_fold *live, struct entry *entry, const struct tide_spec *spec, const struct message *m,
                               bool alone, struct hearing *hearing) {
  static struct tide_record record;
  struct tide_batch batch;
  struct tide_error error = {0};
  tide_batch_begin(&batch, &entry->bytes, &(struct tide_entry_header){.fence_nonce = 7, .generation = tide_fold_generation(live)}, NULL, 0);
  assert_true(fill(spec, m, true, &record));
  if (alone) record.field[tide_spec_field(spec, "pan")].alt = (struct tide_u128){0, 0};
  assert_int_equal(tide_batch_add(&batch, spec, &record), TIDE_OK);
  tide_batch_end(&batch);
  if (tide_fold_entry(live, entry->at, tide_buf_span(&entry->bytes), hear, hearing, &error) != TIDE_OK) fail_msg("%s", error.text);
  return &hearing->at[entry->at.seq++ % ENTRIES][0];
}

/* A card may come to its new key by an outcome. What it had been answered under an earlier file is found under that key as well. */
static void a_key_that_an_outcome_rotates_finds_the_first_answer(void **state) {
  struct world *w = *state;
  struct log *log = log_of(w->live);
  struct tide_fold *live = tide_fold_new();
  struct hearing x = hearing_new(), y = hearing_new();
  struct entry entry = {.at = {1, 41}};
  bool moved[64] = {false};
  uint32_t found = 0;
  roll(log, 40, w->b, 1);
  fold_on(live, log->entry, 0, 41, hear, &x);
  for (uint32_t k = 39 * PER_ENTRY; k < 40 * PER_ENTRY; k++) { /* entry 40, whose events are remembered for certain */
    const struct heard *first = &x.at[k / PER_ENTRY + 1][k % PER_ENTRY];
    struct message m = w->message[k];
    if (!first->spec || first->duplicate || m.type != TIDE_REC_EVENT || moved[m.card]) continue;
    moved[m.card] = m.rotated = true;
    m.type = TIDE_REC_OUTCOME;
    m.result = 1;
    (void)say(live, &entry, w->b, &m, false, &y);
    m.type = TIDE_REC_EVENT;
    const struct heard *second = say(live, &entry, w->b, &m, true, &y);
    assert_true(second->duplicate);
    assert_string_equal(second->decision, first->decision);
    assert_ptr_equal(second->spec, first->spec);
    found++;
  }
  assert_true(found > 2);
  tide_buf_release(&entry.bytes);
  log_free(log);
  hearing_free(&x);
  hearing_free(&y);
  tide_fold_free(live);
}

/* From a snapshot taken behind the switch, and from one taken while the fold waits, all goes on as if nothing had been. */
static struct tide_fold *copy_of(struct tide_fold *fold) {
  struct tide_fold *copy = tide_fold_new();
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  for (unsigned n = 0; n < TIDE_CHUNKS; n++) {
    unsigned chunk = n ? n - 1 : TIDE_SHARDS;
    tide_buf_clear(&bytes);
    tide_fold_save(fold, chunk, &bytes);
    if (tide_fold_load(copy, chunk, tide_buf_span(&bytes), &error) != TIDE_OK) fail_msg("chunk %u: %s", chunk, error.text);
  }
  tide_buf_release(&bytes);
  return copy;
}

static void assert_same_digest(struct tide_fold *x, struct tide_fold *y) {
  struct tide_digest a = tide_fold_digest(x), b = tide_fold_digest(y);
  assert_true(a.state_hash == b.state_hash && a.decisions == b.decisions && tide_u128_eq(a.digest, b.digest));
}

static void snapshots_carry_it(void **state) {
  struct world *w = *state;
  struct log *log = two_switches(w);
  struct tide_fold *live = tide_fold_new();
  struct tide_error error = {0};
  fold_on(live, log->entry, 0, FIRST_SWITCH, NULL, NULL);
  assert_int_equal(tide_fold_entry(live, log->entry[FIRST_SWITCH].at, tide_buf_span(&log->entry[FIRST_SWITCH].bytes), NULL, NULL, &error),
                   TIDE_OK);
  assert_true(tide_fold_waits(live));
  struct tide_fold *waiting = copy_of(live);
  assert_true(tide_fold_waits(waiting));
  take_over(live, log->entry, FIRST_SWITCH);
  take_over(waiting, log->entry, FIRST_SWITCH);
  assert_same_digest(live, waiting);
  struct tide_fold *copy = copy_of(live);
  assert_same_digest(live, copy);
  fold_on(live, log->entry, FIRST_SWITCH + 1, SECOND_SWITCH + 20, NULL, NULL);
  fold_on(copy, log->entry, FIRST_SWITCH + 1, SECOND_SWITCH + 20, NULL, NULL);
  assert_same_digest(live, copy);
  struct tide_fold *third = copy_of(copy);
  assert_same_digest(live, third);
  fold_on(live, log->entry, SECOND_SWITCH + 20, ENTRIES, NULL, NULL);
  fold_on(third, log->entry, SECOND_SWITCH + 20, ENTRIES, NULL, NULL);
  assert_same_digest(live, third);
  log_free(log);
  tide_fold_free(live);
  tide_fold_free(waiting);
  tide_fold_free(copy);
  tide_fold_free(third);
}

static void old_answers_are_forgotten_with_the_duplicates(void **state) {
  struct world *w = *state;
  struct log *log = log_of(w->live);
  struct tide_fold *live = tide_fold_new();
  const struct tide_spec *order[] = {w->b, w->c, w->b};
  for (uint32_t e = 61; e < ENTRIES; e++) tide_buf_clear(&log->entry[e].bytes);
  for (uint32_t e = 61; e < ENTRIES; e++) /* the fourth file of this journal is the second again */
    write_entry(&log->entry[e], w->b, TIDE_ANSWERING_MAX, &w->message[(e - 1) * PER_ENTRY], PER_ENTRY, false, "");
  for (unsigned i = 0; i < TIDE_ANSWERING_MAX; i++) roll(log, 58 + i, order[i % 3], i + 1);
  roll(log, 65, w->c, 10);          /* void: three still answer */
  roll(log, ENTRIES - 1, w->c, 11); /* by now none of them does */
  fold_on(live, log->entry, 0, 66, NULL, NULL);
  const struct tide_versions *versions = tide_fold_versions(live);
  assert_int_equal(versions->rollout.number, TIDE_ANSWERING_MAX);
  assert_int_equal(versions->void_number, 10);
  assert_non_null(strstr(versions->void_why, "duplicates_for"));
  struct tide_fold *copy = copy_of(live);
  assert_same_digest(live, copy);
  fold_on(live, log->entry, 66, ENTRIES, NULL, NULL);
  fold_on(copy, log->entry, 66, ENTRIES, NULL, NULL);
  assert_same_digest(live, copy);
  assert_int_equal(tide_fold_versions(live)->rollout.number, 11);
  assert_string_equal(tide_fold_spec(live)->name, "third");
  log_free(log);
  tide_fold_free(copy);
  tide_fold_free(live);
}

static struct tide_span text_of(const struct tide_spec *spec) { return (struct tide_span){spec->text, spec->text_len}; }

static void only_the_awaited_follower_takes_over(void **state) {
  struct world *w = *state;
  struct tide_error error = {0};
  struct log *log = log_of(w->live);
  struct tide_fold *live = tide_fold_new();
  roll(log, 49, w->b, 1);
  fold_on(live, log->entry, 0, 49, NULL, NULL);
  struct tide_fold *of_b = follower_of(live, text_of(w->b), log->entry, 50), *short_of_b = follower_of(live, text_of(w->b), log->entry, 49),
                   *of_c = follower_of(live, text_of(w->c), log->entry, 50);
  assert_int_equal(tide_fold_switch(live, short_of_b, &error), TIDE_E_MISMATCH); /* nobody has asked for it */
  assert_int_equal(tide_fold_entry(live, log->entry[49].at, tide_buf_span(&log->entry[49].bytes), NULL, NULL, &error), TIDE_OK);
  assert_int_equal(tide_fold_switch(live, of_c, &error), TIDE_E_MISMATCH);
  assert_int_equal(tide_fold_switch(live, short_of_b, &error), TIDE_E_MISMATCH);
  assert_non_null(strstr(error.text, "not as far"));
  assert_int_equal(tide_fold_switch(live, of_b, &error), TIDE_OK);
  tide_fold_free(short_of_b);
  tide_fold_free(of_c);
  /* a log without its beginning */
  struct tide_fold *late = NULL;
  assert_int_equal(tide_fold_follower(live, text_of(w->c), &late, &error), TIDE_OK);
  assert_int_equal(tide_fold_entry(late, log->entry[7].at, tide_buf_span(&log->entry[7].bytes), NULL, NULL, &error), TIDE_E_NOT_FOUND);
  tide_fold_free(late);
  tide_fold_free(live);
  log_free(log);
}

/* What was void says why, and all goes on under the file that is in force. */
static void void_after(struct world *w, struct tide_span features, struct tide_rollout rollout, const char *why) {
  struct log *log = log_of(w->live);
  struct tide_fold *live = tide_fold_new();
  rollout.number = 3;
  roll_with(log, 40, features, &rollout, (struct tide_span){NULL, 0});
  fold_on(live, log->entry, 0, 50, NULL, NULL);
  const struct tide_versions *versions = tide_fold_versions(live);
  assert_int_equal(versions->void_number, 3);
  if (!strstr(versions->void_why, why)) fail_msg("%s", versions->void_why);
  assert_int_equal(tide_fold_generation(live), 0);
  assert_int_equal(versions->rollout.number, 0);
  log_free(log);
  tide_fold_free(live);
}

static void what_cannot_follow_changes_nothing(void **state) {
  struct world *w = *state;
  struct tide_error error = {0};
  struct tide_fold *live = tide_fold_new();
  assert_int_equal(tide_fold_can_follow(live, text_of(w->b), &error), TIDE_E_CONFIG); /* there is none to follow */
  fold_on(live, w->live, 0, 50, NULL, NULL);
  char *other = strdup(file_b), *currency = strstr(other, "EUR\n");
  struct tide_rollout rollout = {.number = 3};
  memcpy(currency, "USD\n", 4);
  rollout.features = tide_content_hash(tide_span_of(other));
  assert_int_equal(tide_fold_can_follow(live, tide_span_of(other), &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "counted in EUR and would be in USD"));
  void_after(w, tide_span_of(other), rollout, "counted in EUR and would be in USD");
  memcpy(currency, "ZZZ\n", 4);
  rollout.features = tide_content_hash(tide_span_of(other));
  void_after(w, tide_span_of(other), rollout, "ZZZ");
  void_after(w, (struct tide_span){NULL, 0}, rollout, "no such feature file");
  free(other);
  rollout = rollout_of(w->b, 3);
  rollout.model_count = 1;
  rollout.model[0] = (struct tide_rollout_model){.hash = {{1}}, .role = TIDE_ROLE_live, .weight = TIDE_WEIGHT_ALL};
  void_after(w, text_of(w->b), rollout, "the journal has no model");
  /* an entry of a file that is not there yet */
  struct entry entry = {.at = {1, 50}};
  write_entry(&entry, w->b, 1, &w->message[400], PER_ENTRY, false, "");
  assert_int_equal(tide_fold_entry(live, entry.at, tide_buf_span(&entry.bytes), NULL, NULL, &error), TIDE_E_CORRUPT);
  tide_buf_release(&entry.bytes);
  tide_fold_free(live);
}

/* A second rollout in the entry of one that changes the file is passed over, and may come again. */
static void one_switch_an_entry(void **state) {
  struct world *w = *state;
  struct log *log = log_of(w->live);
  struct tide_fold *live = tide_fold_new();
  roll(log, 40, w->b, 1);
  roll(log, 40, w->c, 2);
  roll(log, 41, w->c, 2);
  fold_on(live, log->entry, 0, 41, NULL, NULL);
  assert_int_equal(tide_fold_versions(live)->rollout.number, 1);
  assert_string_equal(tide_fold_spec(live)->name, "second");
  fold_on(live, log->entry, 41, 42, NULL, NULL);
  assert_int_equal(tide_fold_versions(live)->rollout.number, 2);
  assert_int_equal(tide_fold_versions(live)->void_number, 0);
  log_free(log);
  tide_fold_free(live);
}

/* What an awaited rollout names is not driven out of the library by what stands behind it in its entry, nor by saving and loading while the fold waits. */
static void versions_behind_a_switch_leave_it_what_it_needs(void **state) {
  struct world *w = *state;
  static const char policy[] =
      "policy:\n  decisions: [fine, stop]\n  lists: [fresh, blocked]\n  rules:\n    - else: fine\n  fallback:\n    - else: stop\n";
  struct log *log = log_of(w->live);
  struct tide_fold *live = tide_fold_new();
  struct tide_error error = {0};
  struct tide_rollout rollout = rollout_of(w->b, 1);
  struct tide_buf records = TIDE_BUF_INIT, other = TIDE_BUF_INIT;
  rollout.policy = tide_content_hash(tide_span_of(policy));
  roll_with(log, 40, text_of(w->b), &rollout, tide_span_of(policy));
  for (unsigned i = 0; i <= TIDE_VERSIONS_SPARE; i++) {
    tide_buf_clear(&other);
    tide_buf_printf(&other, "%s# %u\n", policy, i);
    assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_policy, tide_span_of("q"), tide_buf_span(&other), &records), TIDE_OK);
  }
  append_records(log, 40, tide_buf_span(&records), TIDE_VERSIONS_SPARE + 1);
  fold_on(live, log->entry, 0, 40, NULL, NULL);
  assert_int_equal(tide_fold_entry(live, log->entry[40].at, tide_buf_span(&log->entry[40].bytes), NULL, NULL, &error), TIDE_OK);
  assert_true(tide_fold_waits(live));
  struct tide_fold *waiting = copy_of(live);
  assert_same_digest(live, waiting);
  take_over(live, log->entry, 40);
  take_over(waiting, log->entry, 40);
  assert_int_equal(tide_fold_versions(live)->rollout.number, 1);
  assert_same_digest(live, waiting);
  tide_buf_release(&records);
  tide_buf_release(&other);
  log_free(log);
  tide_fold_free(live);
  tide_fold_free(waiting);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_state_is_that_of_the_whole_log_under_the_new_file),
                                     cmocka_unit_test(values_behind_the_switch_are_those_of_the_new_file),
                                     cmocka_unit_test(a_repetition_gets_the_first_answer),
                                     cmocka_unit_test(a_key_that_an_outcome_rotates_finds_the_first_answer),
                                     cmocka_unit_test(snapshots_carry_it),
                                     cmocka_unit_test(old_answers_are_forgotten_with_the_duplicates),
                                     cmocka_unit_test(only_the_awaited_follower_takes_over),
                                     cmocka_unit_test(what_cannot_follow_changes_nothing),
                                     cmocka_unit_test(one_switch_an_entry),
                                     cmocka_unit_test(versions_behind_a_switch_leave_it_what_it_needs)};
  return cmocka_run_group_tests_name("feature_switch", tests, setup, teardown);
}
