/* Folding entries: headers, cursors, control records, and the records in groups (fold.h; README.md has the argument).
 *
 * Group of 16: resolve all keys and ask for the index lines; ask for the entities that the cells name; find them and ask for their blocks; then fold,
 * events that follow each other kind by kind (fold_stretch.c). The first passes change nothing, so the result is that of a plain loop; only the waiting for memory
 * overlaps. */
#include "core/fold_slice.h"
#include "feature/ahead.h"

struct tide_fold *tide_fold_new(void) {
  struct tide_fold *fold = tide_alloc(sizeof *fold);
  fold->part = tide_alloc(TIDE_PARTS_MAX * sizeof *fold->part);
  fold->group_max = TIDE_GROUP;
  fold->group = tide_alloc(fold->group_max * sizeof *fold->group);
  fold->point = tide_alloc(TIDE_POINTS * sizeof *fold->point);
  fold->commit_ms = fold->stamp_ms = INT64_MIN;
  fold->state.watermark_ms = INT64_MIN;
  fold->stretch = tide_stretch_new();
  tide_ledger_init(&fold->ledger);
  return fold;
}

void tide_fold_free(struct tide_fold *fold) {
  if (!fold) return;
  tide_generations_release(fold);
  tide_state_release(&fold->state);
  tide_versions_release(&fold->versions);
  tide_plan_free(fold->plan);
  tide_spec_free(fold->spec);
  tide_lists_release(&fold->lists);
  tide_stubs_release(&fold->stubs);
  tide_free(fold->derived);
  tide_free(fold->part);
  tide_free(fold->group);
  tide_free(fold->stretch);
  tide_slices_free(fold->slices);
  tide_free(fold->point);
  tide_stale_watch_free(fold->stale_watch);
  tide_outbox_release(&fold->outbox);
  tide_buf_release(&fold->id);
  tide_buf_release(&fold->json);
  tide_free(fold);
}

struct tide_position tide_fold_position(const struct tide_fold *fold) {
  return fold->position;
}
const struct tide_spec *tide_fold_spec(const struct tide_fold *fold) { return fold->spec; }
const struct tide_settings *tide_fold_settings(const struct tide_fold *fold) { return &fold->settings; }
bool tide_fold_is_unannounced(const struct tide_fold *fold) { return fold->based && !fold->begun; }
const struct tide_versions *tide_fold_versions(const struct tide_fold *fold) {
  TIDE_CHECK(fold->spec);
  return &fold->versions;
}
int64_t tide_fold_watermark(const struct tide_fold *fold) { return fold->state.watermark_ms; }
uint64_t tide_fold_nonce(const struct tide_fold *fold) { return fold->nonce; }
struct tide_check_point tide_fold_point(const struct tide_fold *fold) {
  return (struct tide_check_point){fold->position, fold->digest.decisions, fold->digest.digest};
}
struct tide_u128 tide_fold_session(const struct tide_fold *fold) {
  return fold->session;
}
struct tide_entry_mark tide_fold_mark(const struct tide_fold *fold) {
  return fold->mark;
}
const struct tide_metrics *tide_fold_metrics(const struct tide_fold *fold) { return &fold->metrics; }
const struct tide_stale_stats *tide_fold_stale_stats(const struct tide_fold *fold) {
  TIDE_CHECK(fold->stale_watch);
  return tide_stale_watch_stats(fold->stale_watch);
}
const uint64_t *tide_fold_rule_hits(const struct tide_fold *fold) { return fold->rule_hits; }

uint64_t tide_fold_entities(const struct tide_fold *fold, uint32_t entity) {
  TIDE_CHECK(fold->spec && entity < fold->spec->entity_count);
  return fold->state.store[entity].live;
}

struct tide_usage tide_fold_usage(const struct tide_fold *fold, uint32_t entity) {
  TIDE_CHECK(fold->spec && entity < fold->spec->entity_count);
  return (struct tide_usage){fold->state.store[entity].live, tide_store_bytes(&fold->state.store[entity])};
}

void tide_fold_quiet(struct tide_fold *fold, bool on) { fold->quiet = on; }
void tide_fold_team(struct tide_fold *fold, struct tide_team *team) {
  TIDE_CHECK(!fold->slices && team);
  fold->slices = tide_slices_new(team, fold->position.epoch == 0 && fold->position.seq == 0);
  tide_free(fold->group);
  fold->group_max = tide_slices_records(team);
  fold->group = tide_alloc(fold->group_max * sizeof *fold->group);
}
void tide_fold_watch(struct tide_fold *fold, const struct tide_fold_watch *watch) {
  fold->watch = watch ? *watch : (struct tide_fold_watch){NULL, NULL, NULL};
}
void tide_fold_trace(struct tide_fold *fold, tide_trace_fn fn, void *ctx) { fold->trace = (struct tide_trace_hook){fn, ctx}; }

uint64_t tide_fold_cursor(const struct tide_fold *fold, uint16_t source, uint16_t partition) {
  const struct tide_partition *found = tide_ledger_find((struct tide_ledger *)&fold->ledger, source, partition);
  return found ? found->cursor : 0;
}

const struct tide_ledger *tide_fold_ledger(const struct tide_fold *fold) { return &fold->ledger; }
bool tide_fold_is_open(const struct tide_fold *fold) { return !fold->ledger.opening; }
int64_t tide_fold_commit_ms(const struct tide_fold *fold) { return fold->commit_ms; }

void tide_fold_standings(struct tide_fold *fold, int64_t time_ms, struct tide_standing *ret) {
  TIDE_CHECK(fold->spec);
  tide_gate_change(&fold->gate); /* the array is another one, and nobody knows what it holds next time */
  tide_gate_judge(&fold->gate, &fold->ledger, fold->spec, fold->commit_ms, time_ms, TIDE_NONE, ret);
}

const struct tide_outbox *tide_fold_outbox(const struct tide_fold *fold) { return &fold->outbox; }

/* ---- control records ---- */

enum tide_err tide_fold_configure(struct tide_fold *fold, const struct tide_settings *settings, struct tide_span features,
                                  struct tide_error *error) {
  TIDE_CHECK(!fold->spec);
  struct tide_spec *spec;
  struct tide_plan *plan;
  size_t errors;
  enum tide_err err = tide_spec_parse("journal", features, &spec, error, error ? 1 : 0, &errors);
  if (err) return err;
  err = tide_plan_new(spec, settings, &plan, error);
  if (err) {
    tide_spec_free(spec);
    return err;
  }
  fold->spec = spec;
  fold->plan = plan;
  fold->settings = *settings;
  fold->derived = tide_alloc((spec->derived_count + 1) * sizeof *fold->derived);
  tide_state_init(&fold->state, plan);
  fold->stale_watch = tide_stale_watch_new(spec);
  tide_versions_init(&fold->versions, spec);
  return TIDE_OK;
}

static enum tide_err artifact_record(struct tide_fold *fold, const struct tide_raw_record *raw, struct tide_error *error) {
  struct tide_artifact artifact;
  enum tide_err err = tide_artifact_decode(raw, &artifact, error);
  if (err) return err;
  tide_versions_put(&fold->versions, &artifact);
  fold->metrics.value[TIDE_M_artifacts_total]++;
  return TIDE_OK;
}

static enum tide_err rollout_record(struct tide_fold *fold, const struct tide_raw_record *raw, struct tide_error *error) {
  struct tide_rollout rollout;
  enum tide_err err = tide_rollout_decode(raw, &rollout, error);
  if (err) return err;
  uint32_t before = fold->versions.now;
  bool other_file = !tide_content_hash_eq(rollout.features, fold->versions.features);
  int64_t watermark_ms = fold->state.watermark_ms;
  int64_t kept_ms = watermark_ms == INT64_MIN ? INT64_MIN : watermark_ms - fold->settings.duplicates_for_ms;
  static const enum tide_metric counter[] = {[TIDE_ROLLOUT_DONE] = TIDE_M_rollouts_total,
                                             [TIDE_ROLLOUT_PAST] = TIDE_M_rollouts_past_total,
                                             [TIDE_ROLLOUT_VOID] = TIDE_M_rollouts_void_total};
  /* Behind one that changes the file none can be judged before it has: whoever offers it will see that it is not in force, and offer it again. */
  enum tide_rollout_end end = fold->next   ? TIDE_ROLLOUT_PAST
                              : other_file ? tide_fold_await(fold, &rollout)
                                           : tide_versions_apply(&fold->versions, &rollout, kept_ms);
  fold->metrics.value[counter[end]]++;
  if (fold->versions.now != before) memset(fold->rule_hits, 0, sizeof fold->rule_hits);
  return TIDE_OK;
}

static void drop_emitted(struct tide_fold *fold) {
  uint64_t kept = fold->ledger.lossy ? TIDE_OUTBOX_KEPT : 0, emitted = fold->ledger.emitted;
  if (emitted > kept) tide_outbox_drop(&fold->outbox, emitted - kept);
}

/* A history that was lost may have decided the last messages otherwise, behind this one's back: what this one says of them leaves again. */
static void let_go_again(struct tide_fold *fold) {
  const struct tide_outbox *outbox = &fold->outbox;
  struct tide_outgoing oldest;
  bool some = outbox->count && tide_outbox_get(outbox, outbox->first_number, &oldest);
  tide_outbox_renew(&fold->outbox, fold->position.epoch);
  tide_ledger_again(&fold->ledger, some ? oldest.position : fold->position);
  if (!some || outbox->first_number > fold->ledger.emitted) return;
  fold->ledger.emitted = outbox->first_number - 1;
  fold->ledger.jumps++; /* who lets answers leave begins anew */
}

/* Records about the sources. Those that come too late to change anything (a second claim, targets after the first) are passed over: whoever wrote them sees it. */
static enum tide_err ledger_record(struct tide_fold *fold, const struct tide_raw_record *raw, struct tide_error *error) {
  struct tide_sources sources;
  struct tide_start start;
  struct tide_claim claim;
  struct tide_waive waive;
  uint64_t number;
  enum tide_err err;
  switch (raw->type) {
    case TIDE_REC_SOURCES:
      err = tide_sources_decode(raw, &sources, error);
      if (!err) err = tide_ledger_declare(&fold->ledger, &sources, error);
      if (!err) tide_ledger_wake(&fold->ledger, fold->commit_ms);
      return err;
    case TIDE_REC_START:
      err = tide_start_decode(raw, &start, error);
      if (!err) tide_ledger_start(&fold->ledger, &start);
      return err;
    case TIDE_REC_CLAIM:
      err = tide_claim_decode(raw, &claim, error);
      if (!err) tide_ledger_claim(&fold->ledger, &claim, fold->commit_ms);
      return err;
    case TIDE_REC_TARGETS: {
      struct tide_target *target = tide_alloc(TIDE_PARTITIONS_MAX * sizeof *target);
      uint32_t count = 0;
      err = tide_targets_decode(raw, target, &count, error);
      if (!err && tide_ledger_targets(&fold->ledger, target, count)) let_go_again(fold);
      tide_free(target);
      return err;
    }
    case TIDE_REC_EMITTED:
      err = tide_emitted_decode(raw, &number, error);
      if (err || number <= fold->ledger.emitted) return err;
      fold->ledger.emitted = number < fold->ledger.answers ? number : fold->ledger.answers;
      drop_emitted(fold);
      return TIDE_OK;
    case TIDE_REC_WAIVE:
      err = tide_waive_decode(raw, &waive, error);
      if (!err) tide_ledger_waive(&fold->ledger, &waive, fold->commit_ms);
      return err;
    default: return tide_fail(error, TIDE_E_VERSION, "record type %u is not known to this version", raw->type);
  }
}

/* A follower judges nothing: what decides, and what was decided, it takes over when its time comes. */
static bool is_for_the_live(unsigned type) {
  return type == TIDE_REC_CONFIG || type == TIDE_REC_DIGEST || type == TIDE_REC_CHECK || type == TIDE_REC_ARTIFACT ||
         type == TIDE_REC_ROLLOUT;
}

static enum tide_err control(struct tide_fold *fold, const struct tide_raw_record *raw, struct tide_error *error) {
  enum tide_err err;
  fold->begun |= raw->type == TIDE_REC_CONFIG;
  if (fold->follows && is_for_the_live(raw->type)) return TIDE_OK;
  switch (raw->type) {
    case TIDE_REC_CONFIG: {
      struct tide_settings settings;
      struct tide_span features;
      err = tide_config_decode(raw, &settings, &features, error);
      /* The first counts. Others are of engines that began beside its writer, or whose entry came late: by then the file may be another one. */
      return err || fold->spec ? err : tide_fold_configure(fold, &settings, features, error);
    }
    case TIDE_REC_DIGEST: {
      struct tide_digest theirs, ours = tide_fold_digest(fold);
      err = tide_digest_decode(raw, &theirs, error);
      if (err) return err;
      if (theirs.decisions != ours.decisions || !tide_u128_eq(theirs.digest, ours.digest) || theirs.state_hash != ours.state_hash) {
        /* One in front of all decisions is about the history that a journal began with. */
        bool first = theirs.decisions == 0 && ours.decisions == 0;
        return tide_fail(
            error, TIDE_E_MISMATCH, "the digest at %llu-%llu says %llu decisions, state %016llx; this fold has %llu, %016llx: %s",
            (unsigned long long)fold->position.epoch, (unsigned long long)fold->position.seq, (unsigned long long)theirs.decisions,
            (unsigned long long)theirs.state_hash, (unsigned long long)ours.decisions, (unsigned long long)ours.state_hash,
            first
                ? "nothing was decided before it, so either this journal began after a back-fill that was not given (--start-from, or among an engine's "
                  "snapshots), or the log was changed"
                : "the log was changed or was written by other arithmetic; find the first difference with audit");
      }
      return TIDE_OK;
    }
    case TIDE_REC_FENCE: {
      struct tide_fence fence;
      err = tide_fence_decode(raw, &fence, error);
      if (err) return err;
      fold->nonce = fence.nonce;
      fold->session = fence.session;
      tide_ledger_fence(&fold->ledger);
      return TIDE_OK;
    }
    case TIDE_REC_CHECK: {
      struct tide_check_point theirs;
      err = tide_check_decode(raw, &theirs, error);
      if (err) return err;
      const struct tide_check_point *ours = &fold->point[theirs.position.seq % TIDE_POINTS];
      if (tide_position_cmp(ours->position, theirs.position) != 0) return TIDE_OK; /* too long ago, or before this fold's snapshot */
      bool same = ours->decisions == theirs.decisions && tide_u128_eq(ours->digest, theirs.digest);
      fold->metrics.value[same ? TIDE_M_journal_checked_total : TIDE_M_journal_diverged_total]++;
      return TIDE_OK;
    }
    case TIDE_REC_ARTIFACT: return artifact_record(fold, raw, error);
    case TIDE_REC_ROLLOUT: return rollout_record(fold, raw, error);
    default: return ledger_record(fold, raw, error);
  }
}

/* ---- records ---- */

static void list_record(struct tide_fold *fold, struct tide_group_item *item) {
  const struct tide_record *record = &item->record;
  if (record->list.list >= fold->spec->list_count) return;
  const struct tide_list *list = &fold->spec->list[record->list.list];
  struct tide_u128 key;
  int64_t expires_ms = record->list.remove ? TIDE_LIST_REMOVED : record->list.expires_ms ? record->list.expires_ms : TIDE_LIST_NEVER;
  for (int previous = 0; previous < 2; previous++) { /* under both keys while they rotate: an entry is about the value, not about a hash */
    if (list->ref == TIDE_NONE || !tide_list_key(fold, &item->txn, list->is_entity, list->ref, previous, &key)) return;
    if (!tide_lists_put(&fold->lists, record->list.list, key, expires_ms)) fold->metrics.value[TIDE_M_events_rejected_total]++;
  }
}

void tide_fold_record(struct tide_fold *fold, struct tide_group_item *item, tide_emit_fn emit, void *ctx) {
  if (item->record.type != TIDE_REC_EVENT) tide_stretch_end(fold, emit, ctx);
  switch ((enum tide_record_type)item->record.type) {
    case TIDE_REC_EVENT: tide_fold_event(fold, item, emit, ctx); break;
    case TIDE_REC_OUTCOME: tide_fold_outcome(fold, item); break;
    case TIDE_REC_RATE: tide_rates_put(&fold->rates, item->record.rate.currency, item->record.rate.rate_e10); break;
    case TIDE_REC_LIST: list_record(fold, item); break;
    case TIDE_REC_HEARTBEAT: tide_fold_heartbeat(fold, &item->record); break;
    case TIDE_REC_PROFILE: tide_fold_profile(fold, item); break;
    default: TIDE_NEVER("decoding admits no other record here");
  }
}

static void fold_near(struct tide_fold *fold, struct tide_group_item *item, uint32_t count, tide_emit_fn emit, void *ctx) {
  uint32_t entities = fold->spec->entity_count, wants = 0;
  struct tide_want want[TIDE_AHEAD_MAX];
  for (uint32_t g = 0; g < count; g++) {
    struct tide_txn *txn = &item[g].txn;
    for (uint32_t e = 0; !item[g].skip && e < entities; e++)
      if (txn->has_key[e]) want[wants++] = (struct tide_want){&fold->state.store[e], &txn->key[e], &txn->number[e]};
  }
  tide_ahead(want, wants);
  for (uint32_t g = 0; g < count; g++)
    if (!item[g].skip) tide_fold_record(fold, &item[g], emit, ctx);
  tide_stretch_end(fold, emit, ctx);
}
_Static_assert(TIDE_GROUP *TIDE_ENTITIES_MAX <= TIDE_AHEAD_MAX, "a group is asked for at once");

void tide_fold_plainly(struct tide_fold *fold, uint32_t from, uint32_t to, tide_emit_fn emit, void *ctx) {
  for (uint32_t at = from; at < to; at += TIDE_GROUP)
    fold_near(fold, &fold->group[at], to - at < TIDE_GROUP ? to - at : TIDE_GROUP, emit, ctx);
}

static enum tide_err fold_group(struct tide_fold *fold, const struct tide_entry_header *header, uint32_t count, tide_emit_fn emit,
                                void *ctx, struct tide_error *error) {
  if (fold->slices) return tide_slices_fold(fold, header, count, emit, ctx, error);
  for (uint32_t g = 0; g < count; g++) {
    enum tide_err err = tide_fold_read(fold, header, &fold->group[g], error);
    if (err) return err;
  }
  tide_fold_plainly(fold, 0, count, emit, ctx);
  return TIDE_OK;
}

/* ---- cursors ---- */

static enum tide_err accept_parts(struct tide_fold *fold, uint16_t count, struct tide_error *error) {
  int refused = tide_ledger_parts(&fold->ledger, fold->part, count, fold->commit_ms);
  if (refused < 0) return tide_fail(error, TIDE_E_LIMIT, "more than %d partitions feed this cell", TIDE_PARTITIONS_MAX);
  fold->metrics.value[TIDE_M_journal_void_total] += refused;
  tide_gate_change(&fold->gate);
  tide_fold_facts(fold); /* a source that was silent counts again */
  return TIDE_OK;
}

/* It was counted before, or its part does not connect. */
static bool is_passed(const struct tide_fold *fold, uint16_t count, const struct tide_record *record) {
  for (uint16_t i = 0; i < count; i++)
    if (fold->part[i].source == record->source && fold->part[i].partition == record->partition) return record->offset < fold->part[i].from;
  return false;
}

enum tide_err tide_fold_read(struct tide_fold *fold, const struct tide_entry_header *header, struct tide_group_item *item,
                             struct tide_error *error) {
  enum tide_err err = tide_fold_decode(fold, header->generation, &item->raw, &item->record, &item->skip, error);
  if (err) return err;
  item->skip |= is_passed(fold, header->cursor_count, &item->record);
  if (!item->skip) tide_txn_resolve(fold->plan, &item->record, &item->txn);
  return TIDE_OK;
}

/* ---- entries ---- */

static bool follows(struct tide_position a, struct tide_position b) {
  if (a.epoch == 0 && a.seq == 0) return true;
  return a.epoch == b.epoch ? b.seq == a.seq + 1 : b.epoch > a.epoch && b.seq == 0;
}

/* A server that had lost the fence of an epoch takes a late entry of it for the epoch's first. Nothing of that epoch counts: its writers believe in a history that is gone. */
static bool begins_without_fence(struct tide_position position, struct tide_entry_reader reader) {
  struct tide_raw_record raw;
  if (position.epoch == 0 || position.seq != 0) return false;
  enum tide_err err = tide_entry_next(&reader, &raw, NULL);
  return err == TIDE_E_END || (err == TIDE_OK && raw.type != TIDE_REC_FENCE);
}

/* Asked of a follower, which is to fold the whole log. */
static enum tide_err lacks_its_beginning(struct tide_position position, struct tide_error *error) {
  return tide_fail(
      error, TIDE_E_NOT_FOUND,
      "the log here begins at or behind %llu-%llu and not with its first entry: what stood before is needed under the next feature file",
      (unsigned long long)position.epoch, (unsigned long long)position.seq);
}

enum tide_err tide_fold_entry(struct tide_fold *fold, struct tide_position position, struct tide_span entry, tide_emit_fn emit, void *ctx,
                              struct tide_error *error) {
  TIDE_CHECK(follows(fold->position, position));
  if (fold->next)
    return tide_fail(error, TIDE_E_AGAIN, "the feature file changes behind %llu-%llu: the log must be folded under the next one first",
                     (unsigned long long)fold->position.epoch, (unsigned long long)fold->position.seq);
  if (fold->follows && fold->position.epoch == 0 && position.seq != 0) return lacks_its_beginning(position, error);
  struct tide_entry_reader reader;
  enum tide_err err = tide_entry_open(&reader, entry, fold->part, error);
  if (err) return err;
  if (position.epoch > 0 && fold->position.epoch == 0 && fold->position.seq > 0) fold->based = true;
  fold->position = position;
  if (position.epoch > 0) fold->mark = tide_entry_mark_of(entry, &reader.header); /* epoch 0 is history: it stands in no log */
  fold->metrics.value[TIDE_M_journal_entries_total]++;
  fold->metrics.value[TIDE_M_journal_bytes_total] += (int64_t)entry.len;
  bool unfenced = begins_without_fence(position, reader);
  if (unfenced) { /* no entry bears this nonce */
    fold->nonce = 0;
    fold->session = (struct tide_u128){0, 0};
    tide_ledger_fence(&fold->ledger);
  }
  if (unfenced || (position.seq != 0 && reader.header.fence_nonce != fold->nonce)) { /* written under another fence: void */
    fold->metrics.value[TIDE_M_journal_void_total]++;
    return TIDE_OK;
  }
  if (reader.header.commit_ms > fold->commit_ms) fold->commit_ms = reader.header.commit_ms;
  tide_ledger_entry(&fold->ledger, reader.header.engine_id, fold->commit_ms);
  err = accept_parts(fold, reader.header.cursor_count, error);
  if (err) return err;
  uint32_t count = 0;
  for (;;) {
    struct tide_group_item *item = &fold->group[count];
    err = tide_entry_next(&reader, &item->raw, error);
    bool is_control = !err && item->raw.type >= TIDE_REC_CONFIG;
    if (count && (err || is_control)) {
      struct tide_raw_record raw = item->raw;
      enum tide_err failed = fold_group(fold, &reader.header, count, emit, ctx, error);
      if (failed) return failed;
      count = 0;
      item = &fold->group[0];
      item->raw = raw;
    }
    if (err) break;
    bool about_versions = item->raw.type == TIDE_REC_ARTIFACT || item->raw.type == TIDE_REC_ROLLOUT;
    if (about_versions && !fold->spec) return tide_fail(error, TIDE_E_CORRUPT, "the journal has a version before its configuration");
    if (is_control) {
      err = control(fold, &item->raw, error);
      if (err) return err;
      tide_gate_change(&fold->gate);
      tide_fold_facts(fold);
      continue;
    }
    if (!fold->spec) return tide_fail(error, TIDE_E_CORRUPT, "the journal does not begin with its configuration");
    if (fold->follows && !fold->begun) return lacks_its_beginning(position, error);
    item->index = reader.index;
    count++;
    if (count == fold->group_max) {
      err = fold_group(fold, &reader.header, count, emit, ctx, error);
      if (err) return err;
      count = 0;
    }
  }
  if (err != TIDE_E_END) return err;
  tide_ledger_settle(&fold->ledger, fold->part, reader.header.cursor_count);
  tide_ledger_again_end(&fold->ledger, fold->position);
  if (reader.header.cursor_count) tide_fold_facts(fold);
  if (fold->stale_watch) tide_stale_watch_settle(fold->stale_watch, &fold->ledger, fold->commit_ms);
  fold->point[position.seq % TIDE_POINTS] = tide_fold_point(fold);
  for (uint32_t e = 0; fold->spec && e < fold->spec->entity_count; e++) tide_store_sweep(&fold->state.store[e], fold->state.watermark_ms);
  if (fold->generations || fold->retired) tide_generations_sweep(fold);
  return TIDE_OK;
}
