/* The driver of replay; what it promises stands in replay_run.h.
 *
 *   intake -> build (one entry) -> append, up to GROUP entries -> sync -> fold each -> sink
 *
 * An entry ends at the first message with which it holds batch_records records or ENTRY_SOFT_BYTES bytes: a function of the messages
 * behind `from` alone. Every DIGEST_EVERY-th position and the end of the input get an entry with a DIGEST record of their own; audit finds
 * a difference there. Commit time is the largest event time so far: in replay the log is its own clock. */
#include "cli/replay_run.h"

#include "adapter/archive.h"
#include "cli/intake.h"
#include "cli/progress.h"
#include "cli/rejects.h"
#include "cli/snapshot.h"

#define GROUP 8
#define DIGEST_EVERY 4096
#define ENTRY_SOFT_BYTES (256u * 1024)
#define EPOCH 1
#define ENGINE_ID 1

struct run {
  const struct tide_replay_options *options;
  struct tide_intake *intake;
  struct tide_journal *journal;
  struct tide_sink *sink;
  struct tide_rejects *rejects;
  struct tide_fold *fold;
  struct tide_replay_stats stats;
  struct tide_progress progress;
  /* the entry being built, and those appended but not yet durable */
  struct tide_buf entry[GROUP];
  struct tide_position position[GROUP];
  unsigned pending;
  struct tide_batch batch;
  bool building;
  uint32_t batch_records;
  uint64_t from, next; /* cursor at the entry's begin and behind the last message */
  uint64_t nonce;
  int64_t commit_ms;
  struct tide_position last;
  bool ends_with_digest; /* the last entry of the journal is a DIGEST */
  char *snapshot_dir;    /* NULL: the journal is in memory */
  uint64_t snapshot_seq; /* of the newest snapshot, 0: none */
  struct tide_released released;
  /* the journal's own facts, when it goes on */
  uint32_t key_id; /* under which its newest event was hashed */
  bool saw_event;
  /* inside a fold */
  struct tide_buf json;
  struct tide_buf model; /* canonical bytes, empty: none */
  enum tide_err failed;
  struct tide_error failure;
};

/* --- fold and release */

static void emit(void *ctx, const struct tide_answer *answer) {
  struct run *run = ctx;
  if (run->failed) return;
  if (run->sink) {
    tide_buf_clear(&run->json);
    tide_answer_json(answer, run->options->answer_flags, &run->json);
    run->failed = run->sink->ops->put(run->sink, answer->position, answer->index, tide_buf_span(&run->json), &run->failure);
  }
  run->released = (struct tide_released){answer->position, answer->index};
  if (run->options->on_answer) run->options->on_answer(run->options->ctx, answer);
}

/* What the driver itself needs of an entry: outcomes for the observer, the key of the newest event, whether a digest ends it. */
static enum tide_err look_at(struct run *run, struct tide_span entry, bool resuming, struct tide_error *error) {
  const struct tide_spec *spec = run->options->spec;
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw, event = {0};
  struct tide_record record;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  if (err != TIDE_OK) return err;
  run->ends_with_digest = false;
  while ((err = tide_entry_next(&reader, &raw, error)) == TIDE_OK) {
    run->ends_with_digest = raw.type == TIDE_REC_DIGEST;
    if (raw.type == TIDE_REC_EVENT) event = raw;
    if (raw.type != TIDE_REC_OUTCOME || !run->options->on_outcome) continue;
    err = tide_record_decode(spec, &raw, &record, error);
    if (err != TIDE_OK) return err;
    run->options->on_outcome(run->options->ctx, spec, &record);
  }
  if (err != TIDE_E_END) return err;
  if (resuming && event.type == TIDE_REC_EVENT) { /* the newest event */
    err = tide_record_decode(spec, &event, &record, error);
    if (err != TIDE_OK) return err;
    run->saw_event = true;
    if (record.key_id) run->key_id = record.key_id;
  }
  if (resuming) {
    run->nonce = reader.header.fence_nonce;
    if (reader.header.commit_ms > run->commit_ms) run->commit_ms = reader.header.commit_ms;
  }
  return TIDE_OK;
}

static enum tide_err fold_one(struct run *run, struct tide_position position, struct tide_span entry, bool resuming,
                              struct tide_error *error) {
  enum tide_err err = tide_fold_entry(run->fold, position, entry, emit, run, error);
  if (err != TIDE_OK) return err;
  if (run->failed) {
    *error = run->failure;
    return run->failed;
  }
  run->last = position;
  if (run->options->on_outcome || resuming) return look_at(run, entry, resuming, error);
  return TIDE_OK;
}

/* The sink first: a snapshot takes for granted that the decisions before it are out. */
static enum tide_err snapshot(struct run *run, struct tide_span entry, struct tide_error *error) {
  enum tide_err err = run->sink ? run->sink->ops->flush(run->sink, error) : TIDE_OK;
  if (err == TIDE_OK) err = tide_snapshot_save(run->snapshot_dir, run->fold, entry, run->released, error);
  if (err != TIDE_OK) return err;
  run->snapshot_seq = run->last.seq;
  run->stats.snapshots++;
  return TIDE_OK;
}

/* Up to the older generation: each of the two can be checked against the entry at its position, and the archive holds the rest. */
static enum tide_err trim(struct run *run, struct tide_error *error) {
  struct tide_position *position;
  size_t count;
  enum tide_err err = tide_snapshot_list(run->snapshot_dir, &position, &count, error);
  if (err != TIDE_OK) return err;
  if (count >= TIDE_SNAPSHOT_GENERATIONS)
    err = run->journal->ops->trim(run->journal, position[TIDE_SNAPSHOT_GENERATIONS - 1], (struct tide_span){NULL, 0}, error);
  tide_free(position);
  return err;
}

static enum tide_err snapshot_when_due(struct run *run, struct tide_span entry, struct tide_error *error) {
  uint32_t every = run->options->snapshot_every;
  if (every == 0 || !run->snapshot_dir || run->last.seq / every == run->snapshot_seq / every || !tide_fold_spec(run->fold)) return TIDE_OK;
  enum tide_err err = snapshot(run, entry, error);
  return err == TIDE_OK && run->options->trim ? trim(run, error) : err;
}

/* Makes the pending entries durable, then folds them. */
static enum tide_err release(struct run *run, struct tide_error *error) {
  if (run->pending == 0) return TIDE_OK;
  struct tide_position durable;
  enum tide_err err = run->journal->ops->sync(run->journal, &durable, error);
  if (err != TIDE_OK) return err;
  TIDE_CHECK(tide_position_cmp(durable, run->position[run->pending - 1]) >= 0);
  for (unsigned i = 0; i < run->pending && err == TIDE_OK; i++)
    err = fold_one(run, run->position[i], tide_buf_span(&run->entry[i]), false, error);
  if (err == TIDE_OK) err = snapshot_when_due(run, tide_buf_span(&run->entry[run->pending - 1]), error);
  run->pending = 0;
  /* Nobody will read a journal in memory again: keep its last entry only. */
  if (err == TIDE_OK && !run->options->journal_dir)
    err = run->journal->ops->trim(run->journal, run->last, (struct tide_span){NULL, 0}, error);
  return err;
}

/* --- building entries */

static void begin_entry(struct run *run) {
  struct tide_entry_header header = {.format = TIDE_ENTRY_FORMAT,
                                     .fold = TIDE_FOLD_VERSION,
                                     .engine_id = ENGINE_ID,
                                     .fence_nonce = run->nonce,
                                     .commit_ms = run->commit_ms};
  struct tide_position newest = run->pending ? run->position[run->pending - 1] : run->last;
  /* Deterministic where a live engine draws a random one: replay must give the same bytes again, and nobody else writes here. */
  header.attempt_nonce = tide_hash64(&newest, sizeof newest, run->nonce);
  struct tide_cursor_part part = {.from = run->from, .next = run->next, .seen = run->commit_ms, .drained = run->commit_ms};
  tide_batch_begin(&run->batch, &run->entry[run->pending], &header, &part, 1);
  run->batch_records = 0;
  run->building = true;
}

static void patch_u64(struct tide_buf *buf, size_t offset, uint64_t value) {
  for (size_t i = 0; i < 8; i++) buf->ptr[offset + i] = (char)(value >> (8 * i));
}

/* Commit time and cursor are known only when the entry is full: their places are fixed (core/batch.h). */
static void patch_header(struct run *run) {
  struct tide_buf *out = run->batch.out;
  run->batch.header.commit_ms = run->commit_ms;
  patch_u64(out, 32, (uint64_t)run->commit_ms);
  patch_u64(out, 48 + 16, run->next);
  patch_u64(out, 48 + 24, (uint64_t)run->commit_ms);
  patch_u64(out, 48 + 32, (uint64_t)run->commit_ms);
}

static enum tide_err append_entry(struct run *run, struct tide_error *error) {
  patch_header(run);
  tide_batch_end(&run->batch);
  enum tide_err err = TIDE_OK;
  /* Rejects first: a cursor that outlives us must not have passed a message whose reject did not. */
  if (run->rejects) err = tide_rejects_sync(run->rejects, error);
  if (err != TIDE_OK) return err;
  err = run->journal->ops->append(run->journal, EPOCH, tide_buf_span(&run->entry[run->pending]), &run->position[run->pending], error);
  if (err != TIDE_OK) return err;
  run->building = false;
  run->ends_with_digest = false;
  run->from = run->next;
  run->stats.entries++;
  run->pending++;
  return run->pending == GROUP ? release(run, error) : TIDE_OK;
}

static struct tide_position newest(const struct run *run) { return run->pending ? run->position[run->pending - 1] : run->last; }

/* The state's digest is that after everything before it, so the group ends here. */
static enum tide_err append_digest(struct run *run, struct tide_error *error) {
  enum tide_err err = release(run, error);
  if (err != TIDE_OK) return err;
  struct tide_digest digest = tide_fold_digest(run->fold);
  begin_entry(run);
  err = tide_batch_add_digest(&run->batch, &digest);
  TIDE_CHECK(err == TIDE_OK);
  err = append_entry(run, error);
  if (err == TIDE_OK) err = release(run, error);
  run->ends_with_digest = true;
  return err;
}

/* After an entry: the cadence of digests depends on the position alone. */
static enum tide_err digest_when_due(struct run *run, struct tide_error *error) {
  if ((newest(run).seq + 1) % DIGEST_EVERY != 0) return TIDE_OK;
  return append_digest(run, error);
}

static enum tide_err add_model(struct run *run) {
  const struct tide_spec *spec = run->options->spec;
  struct tide_buf records = TIDE_BUF_INIT;
  struct tide_content_hash features = tide_content_hash((struct tide_span){spec->text, spec->text_len});
  enum tide_err err = tide_rollout_of_file(1, features, tide_span_of(run->options->model->name), tide_buf_span(&run->model), &records);
  if (err == TIDE_OK) err = tide_batch_add_encoded(&run->batch, tide_buf_span(&records), 2);
  tide_buf_release(&records);
  return err;
}

static enum tide_err begin_when_needed(struct run *run, struct tide_error *error) {
  if (run->building) return TIDE_OK;
  enum tide_err err = digest_when_due(run, error);
  if (err != TIDE_OK) return err;
  begin_entry(run);
  if (newest(run).seq != 0) return TIDE_OK;
  const struct tide_spec *spec = run->options->spec;
  struct tide_settings settings = run->options->settings; /* the seed is the back-filled state's where there is one */
  settings.hash_seed = tide_fold_spec(run->fold) ? tide_fold_settings(run->fold)->hash_seed : tide_keys_seed(run->options->keys);
  err = tide_batch_add_config(&run->batch, &settings, (struct tide_span){spec->text, spec->text_len});
  if (err == TIDE_E_LIMIT)
    return tide_fail(error, TIDE_E_CONFIG, "the feature file is too long for a journal entry of %u bytes", TIDE_ENTRY_MAX);
  if (err == TIDE_OK && run->model.len) err = add_model(run);
  if (err == TIDE_E_LIMIT)
    return tide_fail(error, TIDE_E_CONFIG, "feature file and model together are too long for a journal entry of %u bytes", TIDE_ENTRY_MAX);
  return err;
}

static enum tide_err add_records(struct run *run, struct tide_taken *taken, struct tide_error *error) {
  const struct tide_spec *spec = run->options->spec;
  for (int attempt = 0;; attempt++) {
    enum tide_err err = begin_when_needed(run, error);
    if (err != TIDE_OK) return err;
    struct tide_batch before = run->batch;
    size_t before_len = run->batch.out->len;
    for (int i = 0; i < taken->count && err == TIDE_OK; i++) err = tide_batch_add(&run->batch, spec, &taken->record[i]);
    if (err == TIDE_OK) return TIDE_OK;
    /* An event and the outcome of its row stay together: take both out again. */
    run->batch = before;
    run->batch.out->len = before_len;
    if (err != TIDE_E_LIMIT) return tide_fail(error, err, "line %llu cannot be journaled", (unsigned long long)taken->line);
    if (run->batch_records == 0 || attempt > 0)
      return tide_fail(error, TIDE_E_TOO_LONG, "the message's fields do not fit into a journal entry of %u bytes", TIDE_ENTRY_MAX);
    err = append_entry(run, error);
    if (err != TIDE_OK) return err;
  }
}

static enum tide_err reject(struct run *run, const struct tide_taken *taken, const struct tide_error *why, struct tide_error *error) {
  run->stats.rejected++;
  run->stats.rejected_by[why->code]++;
  if (!run->rejects) return TIDE_OK;
  return tide_rejects_put(run->rejects, run->intake, taken, run->options->input_count > 1, why, error);
}

static bool is_rejection(enum tide_err err) { return tide_err_class(err) == TIDE_CLASS_INPUT || err == TIDE_E_LIMIT; }

/* One message as tide_intake_next gave it. */
static enum tide_err take(struct run *run, struct tide_taken *taken, enum tide_err err, struct tide_error *why, struct tide_error *error) {
  run->stats.messages++;
  if (err == TIDE_OK) {
    err = add_records(run, taken, why);
    if (err != TIDE_OK && err != TIDE_E_TOO_LONG) {
      *error = *why;
      return err;
    }
  }
  run->next = taken->next;
  if (err != TIDE_OK) {
    why->code = err;
    return reject(run, taken, why, error);
  }
  for (int i = 0; i < taken->count; i++)
    if (taken->record[i].type == TIDE_REC_EVENT && taken->record[i].time.ms > run->commit_ms) run->commit_ms = taken->record[i].time.ms;
  run->batch_records += (uint32_t)taken->count;
  run->stats.records += (uint64_t)taken->count;
  if (run->batch_records >= run->options->batch_records || run->batch.out->len >= ENTRY_SOFT_BYTES) return append_entry(run, error);
  return TIDE_OK;
}

/* --- start, going on, end */

static enum tide_err open_fence(struct run *run, struct tide_error *error) {
  const struct tide_spec *spec = run->options->spec;
  run->nonce = tide_hash64(&spec->hash, sizeof spec->hash, run->options->keys->now.id);
  struct tide_entry_header header = {
      .format = TIDE_ENTRY_FORMAT, .fold = TIDE_FOLD_VERSION, .engine_id = ENGINE_ID, .fence_nonce = run->nonce};
  struct tide_fence fence = {.nonce = run->nonce, .epoch = EPOCH, .engine_id = ENGINE_ID};
  tide_batch_begin(&run->batch, &run->entry[0], &header, NULL, 0);
  enum tide_err err = tide_batch_add_fence(&run->batch, &fence);
  TIDE_CHECK(err == TIDE_OK);
  tide_batch_end(&run->batch);
  err = run->journal->ops->open_epoch(run->journal, EPOCH, tide_buf_span(&run->entry[0]), &run->position[0], error);
  if (err != TIDE_OK) return err;
  run->pending = 1;
  return release(run, error);
}

static enum tide_err check_same(const struct run *run, const struct tide_settings *then, struct tide_span features, const char *what,
                                const char *dir, struct tide_error *error) {
  const struct tide_spec *spec = run->options->spec;
  if (!tide_span_eq(features, (struct tide_span){spec->text, spec->text_len}))
    return tide_fail(error, TIDE_E_CONFIG,
                     "the %s in %s was written with another version of the feature file; begin a new one in an empty directory", what, dir);
  struct tide_settings settings = run->options->settings;
  const struct tide_settings *now = &settings;
  settings.hash_seed = then->hash_seed; /* the journal's own: it stays through rotations of the key */
#define X(name, dflt, lo, hi, help)                                                                                                        \
  if (then->name != now->name)                                                                                                             \
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, #name,                                                                                 \
                        "the %s in %s was written with %s %lld and this run has %lld; go on with the same", what, dir, #name,              \
                        (long long)then->name, (long long)now->name);
  TIDE_SETTINGS(X)
#undef X
  return TIDE_OK;
}

/* Decisions by two models in one output would be nobody's. */
static enum tide_err check_model(const struct run *run, struct tide_span then, const char *what, const char *dir,
                                 struct tide_error *error) {
  if (tide_span_eq(then, tide_buf_span(&run->model))) return TIDE_OK;
  struct tide_model *model = NULL;
  enum tide_err err = then.len ? tide_model_parse(then, &model, error) : TIDE_OK;
  if (err == TIDE_OK)
    err =
        tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "model", "the %s in %s was written with %s%s and this run has %s%s; go on with the same%s",
                     what, dir, model ? "the model " : "no model", model ? model->id : "", run->model.len ? "the model " : "none",
                     run->model.len ? run->options->model->id : "", model ? "" : ", without --model");
  tide_model_free(model);
  return err;
}

static enum tide_err check_fold(const struct run *run, const char *what, const char *dir, struct tide_error *error) {
  const struct tide_spec *spec = tide_fold_spec(run->fold);
  return check_same(run, tide_fold_settings(run->fold), (struct tide_span){spec->text, spec->text_len}, what, dir, error);
}

static enum tide_err check_fold_model(const struct run *run, const char *what, const char *dir, struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  const struct tide_model *live = tide_fold_versions(run->fold)->router.live;
  if (live) tide_model_write(live, &bytes);
  enum tide_err err = check_model(run, tide_buf_span(&bytes), what, dir, error);
  tide_buf_release(&bytes);
  return err;
}

/* Before anything is folded: the journal must have been written with this feature file and these settings. */
static enum tide_err check_config(const struct run *run, struct tide_span entry, struct tide_error *error) {
  const char *dir = run->options->journal_dir;
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_settings then;
  struct tide_span features;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  if (err == TIDE_OK) err = tide_entry_next(&reader, &raw, error);
  if (err == TIDE_OK && raw.type != TIDE_REC_CONFIG) err = TIDE_E_CORRUPT;
  if (err == TIDE_OK) err = tide_config_decode(&raw, &then, &features, error);
  if (err != TIDE_OK)
    return tide_fail(error, TIDE_E_CORRUPT, "the journal in %s does not begin with its configuration; is it one of replay's?", dir);
  err = check_same(run, &then, features, "journal", dir, error);
  if (err != TIDE_OK) return err;
  struct tide_artifact artifact = {0};
  err = tide_entry_next(&reader, &raw, error);
  if (err == TIDE_OK && raw.type == TIDE_REC_ARTIFACT) err = tide_artifact_decode(&raw, &artifact, error);
  return err == TIDE_OK || err == TIDE_E_END ? check_model(run, artifact.bytes, "journal", dir, error) : err;
}

static enum tide_err check_key(const struct run *run, struct tide_error *error) {
  const struct tide_keys *keys = run->options->keys;
  bool known =
      run->key_id == 0 || (keys->has_now && keys->now.id == run->key_id) || (keys->has_previous && keys->previous.id == run->key_id);
  if (known) return TIDE_OK;
  return tide_fail(error, TIDE_E_CONFIG,
                   "the journal in %s was written under key %08x, which was not given; without it cards would not be recognised",
                   run->options->journal_dir, run->key_id);
}

/* The fold as a snapshot has it, when there is one to be used; its position in *ret_from, else {0,0}. */
static enum tide_err load_snapshot(struct run *run, struct tide_journal *log, struct tide_position *ret_from, struct tide_error *error) {
  const struct tide_replay_options *o = run->options;
  *ret_from = (struct tide_position){0, 0};
  if (o->on_answer || o->on_outcome || o->watch) return TIDE_OK;
  struct tide_released have = {0};
  if (o->output) (void)tide_sink_file_last(run->sink, &have.position, &have.index);
  struct tide_fold *fold;
  struct tide_released released;
  enum tide_err err = tide_snapshot_load(run->snapshot_dir, log, o->output ? &have : NULL, &fold, &released, error);
  if (err != TIDE_OK || !fold) return err;
  tide_fold_free(run->fold);
  run->fold = fold;
  run->released = released;
  run->last = *ret_from = tide_fold_position(fold);
  run->snapshot_seq = run->last.seq;
  err = check_fold(run, "snapshot", run->snapshot_dir, error);
  return err == TIDE_OK ? check_fold_model(run, "snapshot", run->snapshot_dir, error) : err;
}

/* What the driver knows of entries that a snapshot stands for: the last, and the newest that holds an event. */
static enum tide_err look_back(struct run *run, struct tide_journal *log, struct tide_position from, struct tide_error *error) {
  struct tide_position at = from, found;
  bool ends_with_digest = false;
  for (bool first = true;; first = false) {
    enum tide_err err = log->ops->read(log, at, true, &run->entry[0], &found, error);
    if (err == TIDE_OK) err = look_at(run, tide_buf_span(&run->entry[0]), true, error);
    if (err != TIDE_OK) return err;
    if (first) ends_with_digest = run->ends_with_digest;
    if (run->saw_event || at.seq == 0) break;
    at.seq--;
  }
  run->ends_with_digest = ends_with_digest;
  return TIDE_OK;
}

/* Folds what the log holds behind the snapshot, or all of it. */
static enum tide_err fold_log(struct run *run, struct tide_journal *log, struct tide_position first, struct tide_error *error) {
  struct tide_position at, from;
  enum tide_err err = load_snapshot(run, log, &from, error);
  bool whole = from.epoch == 0;
  if (err == TIDE_OK && !whole) err = look_back(run, log, from, error);
  if (err != TIDE_OK) return err;
  at = whole ? first : from;
  for (bool inclusive = whole;; inclusive = false) {
    err = log->ops->read(log, at, inclusive, &run->entry[0], &at, error);
    if (err != TIDE_OK) break;
    struct tide_span entry = tide_buf_span(&run->entry[0]);
    if (whole && run->stats.entries_resumed == 1) err = check_config(run, entry, error);
    if (err == TIDE_OK) err = fold_one(run, at, entry, true, error);
    if (err != TIDE_OK) return err;
    if (whole && run->stats.entries_resumed == 2 && run->options->start_from && !run->ends_with_digest)
      return tide_fail(error, TIDE_E_MISMATCH,
                       "the journal in %s does not begin after a back-fill; leave --start-from out, or begin a new journal",
                       run->options->journal_dir);
    run->stats.entries_resumed++;
  }
  return err == TIDE_E_END ? TIDE_OK : err;
}

static enum tide_err go_on(struct run *run, struct tide_position first, struct tide_error *error) {
  struct tide_position durable;
  struct tide_journal *chain = NULL;
  /* A killed run may have appended what it did not sync; it is released below, so it must be durable now. */
  enum tide_err err = run->journal->ops->sync(run->journal, &durable, error);
  if (err == TIDE_OK && (first.epoch != EPOCH || first.seq != 0)) { /* its beginning is in the archive */
    struct tide_journal_file_options file = {.dir = run->options->journal_dir, .read_only = true};
    struct tide_position last;
    err = tide_journal_chain_open(&file, &chain, error);
    if (err == TIDE_OK) err = chain->ops->range(chain, &first, &last, error);
  }
  if (err == TIDE_OK) err = fold_log(run, chain ? chain : run->journal, first, error);
  if (chain) chain->ops->close(chain);
  if (err == TIDE_OK) err = check_key(run, error);
  if (err != TIDE_OK) return err;
  run->from = run->next = tide_fold_cursor(run->fold, 0, 0);
  return tide_intake_seek(run->intake, run->from, error);
}

/* The history that comes before the journal. */
static enum tide_err load_base(struct run *run, struct tide_error *error) {
  const char *dir = run->options->start_from;
  struct tide_fold *fold;
  enum tide_err err = tide_base_load(dir, &fold, error);
  if (err != TIDE_OK) return err;
  tide_fold_free(run->fold);
  run->fold = fold;
  tide_fold_watch(fold, run->options->watch);
  return check_fold(run, "back-fill", dir, error);
}

/* A journal that begins after a back-fill says so: an entry with the configuration alone, then a digest of what was there. A fold without the same
 * history stops at it. */
static enum tide_err begin_after_base(struct run *run, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  run->from = run->next = tide_fold_cursor(run->fold, 0, 0);
  if (run->last.seq == 0) {
    err = begin_when_needed(run, error);
    if (err == TIDE_OK) err = append_entry(run, error);
    if (err == TIDE_OK) err = release(run, error);
  }
  if (err == TIDE_OK && run->last.seq == 1) err = append_digest(run, error);
  return err == TIDE_OK && run->from ? tide_intake_seek(run->intake, run->from, error) : err;
}

static enum tide_err open_all(struct run *run, bool *ret_resume, struct tide_error *error) {
  const struct tide_replay_options *o = run->options;
  struct tide_intake_options intake = {.spec = o->spec,
                                       .key = o->keys->has_now ? &o->keys->now : NULL,
                                       .key_previous = o->keys->has_previous ? &o->keys->previous : NULL,
                                       .shape = o->shape,
                                       .format = o->format,
                                       .input = o->input,
                                       .input_count = o->input_count};
  enum tide_err err = tide_intake_open(&intake, &run->intake, error);
  if (err != TIDE_OK) return err;
  *ret_resume = false;
  if (o->journal_dir) {
    struct tide_journal_file_options file = {.dir = o->journal_dir, .create = true, .segment_bytes = o->segment_bytes};
    err = tide_journal_file_open(&file, &run->journal, error);
    if (err != TIDE_OK) return err;
    struct tide_position first, last;
    err = run->journal->ops->range(run->journal, &first, &last, error);
    if (err != TIDE_OK) return err;
    *ret_resume = last.epoch != 0;
    struct tide_buf dir = TIDE_BUF_INIT;
    tide_buf_printf(&dir, "%s/snapshots", o->journal_dir);
    run->snapshot_dir = tide_buf_take(&dir);
  } else {
    run->journal = tide_journal_memory_new();
  }
  /* Standard output cannot be read back: it gets everything again. */
  if (o->output) err = tide_sink_file_open(o->output, *ret_resume && strcmp(o->output, "-") != 0, &run->sink, error);
  if (err == TIDE_OK && o->rejects) err = tide_rejects_open(o->rejects, *ret_resume, &run->rejects, error);
  return err;
}

static enum tide_err finish(struct run *run, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  if (run->building) err = append_entry(run, error);
  if (err == TIDE_OK) err = release(run, error);
  /* Rejected messages at the very end move the cursor too; the digest's entry carries it. */
  bool something = !run->ends_with_digest || run->next != run->from;
  if (err == TIDE_OK && something && newest(run).seq != 0) err = append_digest(run, error);
  if (err == TIDE_OK && run->rejects) err = tide_rejects_sync(run->rejects, error);
  if (err == TIDE_OK && run->sink) err = run->sink->ops->flush(run->sink, error);
  if (err == TIDE_OK && run->options->trim && run->snapshot_dir) err = trim(run, error);
  return err;
}

static enum tide_err pump(struct run *run, bool resume, struct tide_error *error) {
  struct tide_taken *taken = tide_alloc(sizeof *taken);
  bool cut = resume && run->rejects;
  enum tide_err err = TIDE_OK;
  while (err == TIDE_OK) {
    struct tide_error why = {0};
    enum tide_err got = tide_intake_next(run->intake, taken, &why);
    if (got != TIDE_OK && got != TIDE_E_END && !is_rejection(got)) {
      *error = why;
      err = got;
      break;
    }
    /* What stands behind the cursor is rejected again; the cursor is a line's begin, and now its number is known. */
    if (cut) err = tide_rejects_cut(run->rejects, got == TIDE_E_END ? UINT64_MAX : taken->line, error);
    cut = false;
    if (got == TIDE_E_END || err != TIDE_OK) break;
    err = take(run, taken, got, &why, error);
    if ((run->stats.messages & 1023) == 0) {
      uint64_t done, total;
      tide_intake_progress(run->intake, &done, &total);
      tide_progress_step(&run->progress, done, total, run->stats.messages, "messages");
    }
  }
  tide_free(taken);
  return err;
}

static void close_all(struct run *run) {
  struct tide_error ignored;
  if (run->sink) (void)run->sink->ops->close(run->sink, &ignored);
  tide_rejects_close(run->rejects);
  if (run->journal) run->journal->ops->close(run->journal);
  tide_intake_close(run->intake);
  tide_fold_free(run->fold);
  for (unsigned i = 0; i < GROUP; i++) tide_buf_release(&run->entry[i]);
  tide_buf_release(&run->json);
  tide_buf_release(&run->model);
  tide_free(run->snapshot_dir);
}

enum tide_err tide_replay_run(const struct tide_replay_options *options, struct tide_replay_stats *ret, struct tide_error *error) {
  TIDE_CHECK(options->batch_records > 0 && options->batch_records <= TIDE_BATCH_RECORDS_MAX / 2);
  struct run *run = tide_alloc(sizeof *run);
  run->options = options;
  struct tide_mono start = tide_mono_now();
  tide_progress_begin(&run->progress, options->progress ? options->progress : "");
  if (!options->progress) run->progress.on = false;
  run->fold = tide_fold_new();
  tide_fold_watch(run->fold, options->watch);
  if (options->model) tide_model_write(options->model, &run->model);
  bool resume = false;
  enum tide_err err = open_all(run, &resume, error);
  if (err == TIDE_OK && options->start_from) err = load_base(run, error);
  if (err == TIDE_OK) {
    struct tide_position first, last;
    err = run->journal->ops->range(run->journal, &first, &last, error);
    if (err == TIDE_OK) err = resume ? go_on(run, first, error) : open_fence(run, error);
  }
  if (err == TIDE_OK && options->start_from && run->last.seq < 2) err = begin_after_base(run, error);
  if (err == TIDE_OK) err = pump(run, resume, error);
  if (err == TIDE_OK) err = finish(run, error);
  tide_progress_end(&run->progress);
  if (err == TIDE_OK) {
    run->stats.seconds = (double)(tide_mono_now().ns - start.ns) / 1e9;
    run->stats.last = run->last;
    run->stats.metrics = *tide_fold_metrics(run->fold);
    run->stats.digest = tide_fold_digest(run->fold);
    const struct tide_spec *spec = tide_fold_spec(run->fold);
    if (spec) memcpy(run->stats.rule_hits, tide_fold_rule_hits(run->fold), spec->rule_count * sizeof run->stats.rule_hits[0]);
    *ret = run->stats;
  }
  close_all(run);
  tide_free(run);
  return err;
}

void tide_replay_say_rejected(const struct tide_replay_stats *stats) {
  if (stats->rejected == 0) return;
  fprintf(stderr, "tidemark: %llu of %llu messages were rejected; replay --rejects FILE says why\n", (unsigned long long)stats->rejected,
          (unsigned long long)stats->messages);
}
