/* Feature files that follow one another in one journal (fold.h; README.md has the argument).
 *
 * The follower is a fold of the same entries under the next file, quiet; at the switch the two change places, and what the old file decided stays with its own numbers, file and
 * plan in a generation, because a repetition must get the first answer in the first answer's words. Nothing is converted, so nothing can be converted wrongly. */
#include "core/fold_state.h"

uint32_t tide_fold_generation(const struct tide_fold *fold) { return fold->generations; }

bool tide_fold_generation_of(const struct tide_fold *fold, struct tide_u128 hash, uint32_t *ret) {
  uint32_t g = fold->generations;
  bool present = (!hash.lo && !hash.hi) || (fold->spec && tide_u128_eq(hash, fold->spec->hash));
  while (!present && g > 0 && !tide_u128_eq(hash, fold->generation[g - 1].spec->hash)) g--;
  if (!present && g == 0) return false;
  *ret = present ? fold->generations : g - 1;
  return true;
}

bool tide_fold_waits(const struct tide_fold *fold) { return fold->next != NULL; }

struct tide_span tide_fold_awaited(const struct tide_fold *fold) {
  return fold->next ? (struct tide_span){fold->next->text, fold->next->text_len} : (struct tide_span){NULL, 0};
}

/* ---- records of earlier files ---- */

enum tide_err tide_fold_decode(struct tide_fold *fold, uint32_t generation, const struct tide_raw_record *raw, struct tide_record *ret,
                               bool *ret_skip, struct tide_error *error) {
  *ret_skip = false;
  if (generation > fold->generations)
    return tide_fail(error, TIDE_E_CORRUPT, "the entry at %llu-%llu is written under feature file %u of this journal, which has had %u",
                     (unsigned long long)fold->position.epoch, (unsigned long long)fold->position.seq, generation, fold->generations);
  const struct tide_spec *spec = generation == fold->generations ? fold->spec : fold->generation[generation].spec;
  enum tide_err err = tide_record_decode(spec, raw, ret, error);
  for (uint32_t g = generation; err == TIDE_OK && g < fold->generations && !*ret_skip; g++)
    *ret_skip = !tide_recast_record(fold->generation[g].recast, ret);
  return err;
}

/* ---- answers of earlier files ---- */

const struct tide_generation *tide_fold_generation_at(const struct tide_fold *fold, struct tide_position position) {
  if (fold->follows) return NULL; /* nobody is answered */
  for (uint32_t g = 0; g < fold->generations; g++)
    if (tide_position_cmp(position, fold->generation[g].until) <= 0) return &fold->generation[g];
  return NULL;
}

/* The row of the event that stood at this place. Few rows of a card are young enough to be remembered. */
static bool find_row(const struct tide_answers *answers, uint32_t number, struct tide_position position, uint32_t index,
                     struct tide_view *view, struct tide_at *ret) {
  const struct tide_kind *kind = &answers->plan->kind[0];
  tide_view_of(kind, tide_store_ent(&answers->store, number), view);
  for (uint32_t c = view->count; c-- > 0;) {
    const struct tide_block *block = view->chunk[c].block;
    struct tide_cells seq = tide_block_cells(kind, block, kind->col_of[TIDE_COL_SEQ]);
    for (unsigned i = block->n; i-- > seq.first;) {
      if (tide_cells_get(&seq, i) != position.seq || tide_block_get(kind, block, kind->col_of[TIDE_COL_EPOCH], i) != position.epoch ||
          tide_block_get(kind, block, kind->col_of[TIDE_COL_INDEX], i) != index)
        continue;
      *ret = (struct tide_at){c, i};
      return true;
    }
  }
  return false;
}

static uint32_t find_card(const struct tide_store *store, const struct tide_txn *txn) {
  uint32_t number = tide_store_find(store, txn->key[0]);
  bool rotates = txn->alt[0].lo || txn->alt[0].hi;
  return number == TIDE_NO_ENTITY && rotates ? tide_store_find(store, txn->alt[0]) : number;
}

/* The repetition as the old file sees it: reasons of its fallback rules are made of the message's fields. */
static void reshape(struct tide_fold *fold, const struct tide_generation *generation, const struct tide_txn *txn,
                    struct tide_answer *answer) {
  if (!fold->old) fold->old = tide_alloc(sizeof *fold->old);
  struct tide_old_record *old = fold->old;
  old->record = *txn->record;
  memcpy(old->field, txn->field, fold->spec->field_count * sizeof *old->field);
  for (uint32_t g = fold->generations; &fold->generation[g] != generation; g--) {
    struct tide_datum datum[TIDE_FIELDS_MAX];
    struct tide_value value[TIDE_FIELDS_MAX];
    const struct tide_recast *recast = fold->generation[g - 1].recast;
    tide_recast_back(recast, old->record.field, datum);
    tide_recast_back_values(recast, old->field, value);
    memcpy(old->record.field, datum, recast->from->field_count * sizeof *datum);
    memcpy(old->field, value, recast->from->field_count * sizeof *value);
  }
  memcpy(old->dyn, txn->dyn, sizeof old->dyn);
  old->env = (struct tide_env){.field = old->field, .dyn = old->dyn, .time = answer->time, .score = answer->score};
  answer->record = &old->record;
  answer->env = &old->env;
}

bool tide_generation_unpack(struct tide_fold *fold, const struct tide_generation *generation, const struct tide_txn *txn,
                            struct tide_answer *answer) {
  const struct tide_answers *answers = generation->answers;
  uint32_t number = answers ? find_card(&answers->store, txn) : TIDE_NO_ENTITY;
  struct tide_view view;
  struct tide_at at;
  if (number == TIDE_NO_ENTITY || !find_row(answers, number, answer->first_position, answer->first_index, &view, &at)) return false;
  struct tide_position first = answer->first_position;
  reshape(fold, generation, txn, answer);
  bool answered = tide_answer_unpack(answers->plan, &answers->versions, view.chunk[at.chunk].block, at.i, answer);
  TIDE_CHECK(tide_position_cmp(first, answer->first_position) == 0);
  return answered;
}

void tide_generations_rekey(struct tide_fold *fold, const struct tide_txn *txn) {
  if (!txn->has_key[0] || (!txn->alt[0].lo && !txn->alt[0].hi)) return;
  for (uint32_t g = 0; g < fold->generations; g++) {
    struct tide_answers *answers = fold->generation[g].answers;
    if (!answers || tide_store_find(&answers->store, txn->key[0]) != TIDE_NO_ENTITY) continue;
    uint32_t number = tide_store_find(&answers->store, txn->alt[0]);
    if (number != TIDE_NO_ENTITY) (void)tide_store_rekey(&answers->store, number, txn->key[0]);
  }
}

/* ---- forgetting ---- */

static void retire(struct tide_fold *fold, struct tide_plan *plan, struct tide_store *store, uint32_t count) {
  struct tide_retired *retired = tide_alloc(sizeof *retired), **last = &fold->retired;
  *retired = (struct tide_retired){.plan = plan, .store = store, .count = count};
  while (*last) last = &(*last)->next; /* in turn: stores without a plan of their own lean on one that is retired later */
  *last = retired;
}

static void forget(struct tide_fold *fold, struct tide_generation *generation) {
  struct tide_store *store = tide_alloc(sizeof *store);
  *store = generation->answers->store;
  retire(fold, generation->answers->plan, store, 1);
  tide_versions_release(&generation->answers->versions);
  tide_free(generation->answers);
  generation->answers = NULL;
}

static void free_retired(struct tide_fold *fold, bool whole) {
  struct tide_retired *retired = fold->retired;
  while (retired && (whole || retired->shard < TIDE_STORE_SHARDS)) {
    for (uint32_t i = 0; retired->shard < TIDE_STORE_SHARDS && i < retired->count; i++)
      tide_store_release_shard(&retired->store[i], retired->shard);
    if (++retired->shard < TIDE_STORE_SHARDS) {
      if (whole) continue;
      return;
    }
    fold->retired = retired->next;
    tide_plan_free(retired->plan);
    tide_free(retired->store);
    tide_free(retired);
    if (!whole) return;
    retired = fold->retired;
  }
}

/* A repetition is looked for among events with time >= watermark - duplicates_for. */
static bool is_forgotten(const struct tide_fold *fold, const struct tide_generation *generation) {
  return fold->state.watermark_ms != INT64_MIN && generation->until_ms < fold->state.watermark_ms - fold->settings.duplicates_for_ms;
}

void tide_generations_sweep(struct tide_fold *fold) {
  for (uint32_t g = 0; g < fold->generations; g++)
    if (fold->generation[g].answers && is_forgotten(fold, &fold->generation[g])) forget(fold, &fold->generation[g]);
  if (fold->retired) free_retired(fold, false);
}

static void answers_free(struct tide_answers *answers) {
  if (!answers) return;
  tide_store_release(&answers->store);
  tide_versions_release(&answers->versions);
  tide_plan_free(answers->plan);
  tide_free(answers);
}

void tide_generations_release(struct tide_fold *fold) {
  free_retired(fold, true); /* before the plans that it may lean on */
  for (uint32_t g = 0; g < fold->generations; g++) {
    answers_free(fold->generation[g].answers);
    tide_recast_free(fold->generation[g].recast);
  }
  for (uint32_t g = 0; g < fold->generations; g++) tide_spec_free(fold->generation[g].spec);
  tide_free(fold->generation);
  fold->generation = NULL;
  fold->generations = 0;
  tide_spec_free(fold->next);
  fold->next = NULL;
  tide_free(fold->old);
  fold->old = NULL;
}

/* ---- what may follow ---- */

static enum tide_err parse(struct tide_span features, struct tide_spec **ret, struct tide_error *error) {
  size_t errors;
  return tide_spec_parse("the next feature file", features, ret, error, error ? 1 : 0, &errors);
}

static enum tide_err room_for_another(const struct tide_fold *fold, struct tide_error *error) {
  uint32_t answering = 0;
  for (uint32_t g = 0; g < fold->generations; g++) answering += fold->generation[g].answers != NULL;
  if (fold->generations == TIDE_GENERATIONS_MAX)
    return tide_fail(error, TIDE_E_CONFIG, "the journal has had %d feature files before this one: begin a new journal with a back-fill",
                     TIDE_GENERATIONS_MAX);
  if (answering == TIDE_ANSWERING_MAX)
    return tide_fail(
        error, TIDE_E_CONFIG,
        "%d feature files of this journal still answer for what they decided (duplicates_for): wait until one of them need not any more",
        TIDE_ANSWERING_MAX);
  if (fold->based && fold->ledger.partition_count)
    return tide_fail(error, TIDE_E_CONFIG,
                     "the journal began with a back-fill and has sources: back-fill a new journal under the new feature file");
  return TIDE_OK;
}

/* The next file, if it can be. */
static enum tide_err next_file(const struct tide_fold *fold, struct tide_span features, struct tide_spec **ret, struct tide_error *error) {
  struct tide_spec *spec = NULL;
  struct tide_recast *recast = NULL;
  struct tide_plan *plan = NULL;
  size_t errors;
  if (!fold->spec) return tide_fail(error, TIDE_E_CONFIG, "the journal has no feature file yet that another one could follow");
  enum tide_err err = room_for_another(fold, error);
  if (err == TIDE_OK) err = parse(features, &spec, error);
  if (err == TIDE_OK) err = tide_recast_new(fold->spec, spec, &recast, error, error ? 1 : 0, &errors);
  if (err == TIDE_OK) err = tide_plan_new(spec, &fold->settings, &plan, error);
  if (err == TIDE_OK) *ret = spec;
  else tide_spec_free(spec);
  tide_recast_free(recast);
  tide_plan_free(plan);
  return err;
}

enum tide_err tide_fold_can_follow(const struct tide_fold *fold, struct tide_span features, struct tide_error *error) {
  struct tide_spec *spec;
  enum tide_err err = next_file(fold, features, &spec, error);
  if (err == TIDE_OK) tide_spec_free(spec);
  return err;
}

enum tide_rollout_end tide_fold_await(struct tide_fold *fold, const struct tide_rollout *rollout) {
  struct tide_spec *spec = NULL;
  struct tide_error error = {0};
  struct tide_versions *versions = &fold->versions;
  TIDE_CHECK(!fold->next && !fold->follows);
  if (rollout->number <= versions->rollout.number) return TIDE_ROLLOUT_PAST;
  const struct tide_version *version = tide_versions_find(versions, TIDE_ARTIFACT_features, rollout->features);
  enum tide_err err = version ? next_file(fold, tide_buf_span(&version->bytes), &spec, &error)
                              : tide_fail(&error, TIDE_E_NOT_FOUND, "the journal has no such feature file");
  if (err == TIDE_OK) err = tide_versions_can(versions, spec, rollout, &error);
  if (err != TIDE_OK) {
    tide_spec_free(spec);
    tide_versions_void(versions, rollout->number, error.text);
    return TIDE_ROLLOUT_VOID;
  }
  fold->next = spec;
  versions->awaited = *rollout;
  return TIDE_ROLLOUT_DONE;
}

/* ---- the follower ---- */

/* Its own copy of a file of the journal: it may be folded on another thread. */
static enum tide_err add_generation(struct tide_fold *follower, const struct tide_spec *of, struct tide_error *error) {
  struct tide_generation *generation = &follower->generation[follower->generations];
  enum tide_err err = parse((struct tide_span){of->text, of->text_len}, &generation->spec, error);
  if (err == TIDE_OK) follower->generations++;
  return err;
}

static enum tide_err link_generations(struct tide_fold *follower, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  size_t errors;
  for (uint32_t g = 0; g < follower->generations && err == TIDE_OK; g++) {
    const struct tide_spec *to = g + 1 < follower->generations ? follower->generation[g + 1].spec : follower->spec;
    err = tide_recast_new(follower->generation[g].spec, to, &follower->generation[g].recast, error, error ? 1 : 0, &errors);
  }
  return err;
}

enum tide_err tide_fold_follower(const struct tide_fold *fold, struct tide_span features, struct tide_fold **ret,
                                 struct tide_error *error) {
  enum tide_err err = tide_fold_can_follow(fold, features, error);
  if (err != TIDE_OK) return err;
  struct tide_fold *follower = tide_fold_new();
  follower->follows = follower->quiet = true;
  follower->based = fold->based;
  follower->generation = tide_alloc(TIDE_GENERATIONS_MAX * sizeof *follower->generation);
  err = tide_fold_configure(follower, &fold->settings, features, error);
  if (err == TIDE_OK && follower->based) follower->state.history_from_ms = TIDE_HISTORY_FIRST; /* that history is not in the log */
  for (uint32_t g = 0; g < fold->generations && err == TIDE_OK; g++) err = add_generation(follower, fold->generation[g].spec, error);
  if (err == TIDE_OK) err = add_generation(follower, fold->spec, error);
  if (err == TIDE_OK) err = link_generations(follower, error);
  if (err == TIDE_OK) *ret = follower;
  else tide_fold_free(follower);
  return err;
}

/* ---- the switch ---- */

static enum tide_err check_follower(const struct tide_fold *fold, const struct tide_fold *follower, struct tide_error *error) {
  const char *why = NULL;
  struct tide_span awaited = tide_fold_awaited(fold);
  if (!fold->next) why = "no feature file is awaited";
  else if (!follower->follows || !tide_span_eq(awaited, (struct tide_span){follower->spec->text, follower->spec->text_len}))
    why = "another feature file is awaited";
  else if (follower->generations != fold->generations + 1 ||
           follower->generation[fold->generations].spec->text_len != fold->spec->text_len ||
           memcmp(follower->generation[fold->generations].spec->text, fold->spec->text, fold->spec->text_len) != 0)
    why = "it follows another feature file";
  else if (tide_position_cmp(fold->position, follower->position) != 0 || fold->nonce != follower->nonce ||
           !tide_entry_mark_eq(fold->mark, follower->mark))
    why = "it has folded another log, or not as far";
  return why ? tide_fail(error, TIDE_E_MISMATCH, "the fold under the next feature file cannot take over at %llu-%llu: %s",
                         (unsigned long long)fold->position.epoch, (unsigned long long)fold->position.seq, why)
             : TIDE_OK;
}

/* List entries of a history before the log are known to the old fold alone; without one the follower has the same. */
static void carry_lists(const struct tide_fold *was, struct tide_fold *now, const struct tide_recast *recast) {
  for (uint32_t i = 0; now->based && i < was->lists.cap; i++) {
    const struct tide_list_cell *cell = &was->lists.cell[i];
    if (!cell->used || recast->list[cell->list] == TIDE_NONE) continue;
    if (!tide_lists_put(&now->lists, recast->list[cell->list], cell->key, cell->expires_ms))
      now->metrics.value[TIDE_M_events_rejected_total]++;
  }
}

static void carry_fields(const struct tide_fold *was, struct tide_fold *now, const struct tide_recast *recast, int64_t until_ms) {
  int64_t from_ms[TIDE_FIELDS_MAX];
  for (uint32_t f = 0; f < now->spec->field_count; f++) from_ms[f] = recast->added >> f & 1 ? until_ms : INT64_MIN;
  for (uint32_t f = 0; f < was->spec->field_count; f++)
    if (recast->field[f] != TIDE_NONE && was->state.field_from_ms) from_ms[recast->field[f]] = was->state.field_from_ms[f];
  tide_state_fields_from(&now->state, from_ms);
}

/* What does not hang on the feature file goes on exactly. */
static void carry(struct tide_fold *was, struct tide_fold *now) {
  TIDE_CHECK(now->based || (now->commit_ms == was->commit_ms && now->state.watermark_ms == was->state.watermark_ms));
  now->commit_ms = was->commit_ms;
  now->stamp_ms = was->stamp_ms;
  now->state.watermark_ms = was->state.watermark_ms;
  now->ledger = was->ledger;
  now->rates = was->rates;
  now->digest = was->digest;
  now->metrics = was->metrics;
  struct tide_check_point *point = now->point;
  now->point = was->point;
  was->point = point;
  struct tide_outbox outbox = now->outbox;
  now->outbox = was->outbox;
  was->outbox = outbox;
  now->quiet = was->quiet;
  now->trace = was->trace;
  now->watch = was->watch;
  now->retired = was->retired;
  was->retired = NULL;
  now->follows = false;
}

/* The old fold's primary answers for what was decided; all else of it is let go. */
static struct tide_answers *keep_answers(struct tide_fold *was, struct tide_fold *now) {
  uint32_t others = was->spec->entity_count - 1;
  struct tide_answers *answers = tide_alloc(sizeof *answers);
  *answers = (struct tide_answers){.plan = was->plan, .store = was->state.store[0]};
  tide_versions_hand_over(&was->versions, &now->versions);
  answers->versions = was->versions;
  was->versions = (struct tide_versions){0};
  if (others) {
    struct tide_store *store = tide_alloc(others * sizeof *store);
    memcpy(store, &was->state.store[1], others * sizeof *store);
    retire(now, NULL, store, others);
  }
  memset(was->state.store, 0, sizeof was->state.store);
  was->state.plan = NULL;
  was->plan = NULL;
  return answers;
}

enum tide_err tide_fold_switch(struct tide_fold *fold, struct tide_fold *follower, struct tide_error *error) {
  enum tide_err err = check_follower(fold, follower, error);
  struct tide_recast *recast = NULL;
  size_t errors;
  if (err == TIDE_OK) err = tide_recast_new(fold->spec, follower->spec, &recast, error, error ? 1 : 0, &errors);
  if (err != TIDE_OK) return err;
  tide_generations_release(follower); /* its copies of the earlier files: those of the live fold are asked for from now on */
  struct tide_fold *was = tide_alloc(sizeof *was);
  *was = *fold;
  *fold = *follower;
  *follower = *was;
  tide_free(was);
  struct tide_rollout rollout = follower->versions.awaited;
  int64_t until_ms = follower->commit_ms + (fold->settings.replay ? 0 : fold->settings.max_future_skew_ms);
  carry_lists(follower, fold, recast);
  carry_fields(follower, fold, recast, until_ms);
  carry(follower, fold);
  fold->generation = follower->generation ? follower->generation : tide_alloc(TIDE_GENERATIONS_MAX * sizeof *fold->generation);
  fold->generations = follower->generations;
  follower->generation = NULL;
  follower->generations = 0;
  fold->generation[fold->generations++] = (struct tide_generation){
      .spec = follower->spec, .recast = recast, .until = fold->position, .until_ms = until_ms, .answers = keep_answers(follower, fold)};
  follower->spec = NULL;
  tide_fold_free(follower);
  tide_gate_change(&fold->gate);
  TIDE_CHECK(tide_versions_apply(&fold->versions, &rollout, INT64_MIN) == TIDE_ROLLOUT_DONE); /* as was asked when the wait began */
  return TIDE_OK;
}

/* ---- as bytes ---- */

void tide_generations_save(const struct tide_fold *fold, struct tide_buf *out) {
  struct tide_buf rollout = TIDE_BUF_INIT;
  if (fold->next) tide_rollout_write(&fold->versions.awaited, &rollout);
  tide_put_span(out, tide_fold_awaited(fold));
  tide_put_span(out, tide_buf_span(&rollout));
  tide_buf_release(&rollout);
  tide_put_u8(out, fold->based);
  tide_put_varint(out, fold->generations);
  for (uint32_t g = 0; g < fold->generations; g++) {
    const struct tide_generation *generation = &fold->generation[g];
    tide_put_span(out, (struct tide_span){generation->spec->text, generation->spec->text_len});
    tide_put_u64(out, generation->until.epoch);
    tide_put_u64(out, generation->until.seq);
    tide_put_zigzag(out, generation->until_ms);
    tide_put_u8(out, generation->answers != NULL);
    if (generation->answers) tide_versions_save_policies(&generation->answers->versions, out);
  }
}

static enum tide_err load_generation(struct tide_fold *fold, struct tide_reader *reader, struct tide_error *error) {
  struct tide_generation *generation = &fold->generation[fold->generations];
  struct tide_span text = tide_get_span(reader);
  generation->until.epoch = tide_get_u64(reader);
  generation->until.seq = tide_get_u64(reader);
  generation->until_ms = tide_get_zigzag(reader);
  uint8_t answers = tide_get_u8(reader);
  if (reader->bad || answers > 1) return TIDE_E_CORRUPT;
  enum tide_err err = parse(text, &generation->spec, error);
  if (err != TIDE_OK) return err;
  fold->generations++; /* from here on it is freed with the fold */
  if (!answers) return TIDE_OK;
  struct tide_plan *plan;
  err = tide_plan_new(generation->spec, &fold->settings, &plan, error);
  if (err != TIDE_OK) return err;
  generation->answers = tide_alloc(sizeof *generation->answers);
  generation->answers->plan = plan;
  tide_store_init(&generation->answers->store, &plan->kind[0]);
  tide_versions_init(&generation->answers->versions, generation->spec);
  return tide_versions_load_policies(&generation->answers->versions, reader) ? TIDE_OK : TIDE_E_CORRUPT;
}

bool tide_generations_load(struct tide_fold *fold, struct tide_reader *reader, enum tide_err *ret_err, struct tide_error *error) {
  struct tide_span awaited = tide_get_span(reader), rollout = tide_get_span(reader);
  uint8_t based = tide_get_u8(reader);
  uint64_t count = tide_get_varint(reader);
  enum tide_err err = TIDE_OK;
  struct tide_raw_record raw = {.type = TIDE_REC_ROLLOUT, .payload = rollout};
  if (awaited.len && (reader->bad || tide_rollout_decode(&raw, &fold->versions.awaited, NULL) != TIDE_OK)) return false;
  if (reader->bad || based > 1 || count > TIDE_GENERATIONS_MAX) return false;
  fold->based = based;
  if (count) fold->generation = tide_alloc(TIDE_GENERATIONS_MAX * sizeof *fold->generation);
  for (uint64_t g = 0; g < count && err == TIDE_OK; g++) err = load_generation(fold, reader, error);
  if (err == TIDE_OK) err = link_generations(fold, error);
  if (err == TIDE_OK && awaited.len) err = parse(awaited, &fold->next, error);
  if (err == TIDE_E_CORRUPT) return false;
  *ret_err = err;
  return true;
}

void tide_generations_save_hashed(const struct tide_fold *fold, struct tide_buf *out) {
  if (!fold->generations) return; /* a journal with one feature file has the hash that it always had */
  for (uint32_t g = 0; g < fold->generations; g++) {
    const struct tide_generation *generation = &fold->generation[g];
    tide_put_u64(out, generation->spec->hash.lo);
    tide_put_u64(out, generation->spec->hash.hi);
    tide_put_u64(out, generation->until.seq);
    tide_put_u8(out, generation->answers != NULL);
  }
  for (uint32_t f = 0; f < fold->spec->field_count; f++)
    tide_put_zigzag(out, fold->state.field_from_ms ? fold->state.field_from_ms[f] : INT64_MIN);
}

bool tide_generations_load_hashed(struct tide_fold *fold, struct tide_reader *reader) {
  if (!fold->generations) return true;
  for (uint32_t g = 0; g < fold->generations; g++) {
    const struct tide_generation *generation = &fold->generation[g];
    struct tide_u128 hash = {.lo = tide_get_u64(reader)};
    hash.hi = tide_get_u64(reader);
    uint64_t seq = tide_get_u64(reader);
    uint8_t answers = tide_get_u8(reader);
    if (reader->bad || !tide_u128_eq(hash, generation->spec->hash) || seq != generation->until.seq ||
        answers != (generation->answers != NULL))
      return false;
  }
  int64_t from_ms[TIDE_FIELDS_MAX];
  for (uint32_t f = 0; f < fold->spec->field_count; f++) from_ms[f] = tide_get_zigzag(reader);
  if (!reader->bad) tide_state_fields_from(&fold->state, from_ms);
  return !reader->bad;
}
