/* The asker of the ingester: questions to the logs that block - which partitions there are, where they end, whether they are still those that were read.
 *
 * Three askers, one thread: the core (ENDS, for the barrier of an epoch), the reader for its turn (partitions and their cursors), and the merge (ends). The core
 * goes first: nothing is acknowledged until it has its answer. An answer to a question that was overtaken by a newer one is thrown away. */
#include "run/ingest_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

#define RETRY_MS 200

/* Partitions that the reader was told of in this turn: they are not looked at again, for that takes several requests for each of them, and the ends that live messages
 * wait for are asked by the same thread. */
struct told {
  uint64_t turn;
  struct tide_place *place;
  size_t count;
};

struct question {
  bool core, places, ends;
  uint64_t ends_turn, turn;
  struct tide_core_place *place;
  size_t place_count;
  struct tide_place *end;
  size_t end_count;
  struct tide_merge_ask ask;
};

static const char *const of_core = "where the logs end", *const of_places = "which partitions there are",
                         *const of_ends = "how far the logs go";

/* What became of a question, for the log and for /readyz. */
static void tell(struct tide_ingest *ingest, const char *what, enum tide_err err, const struct tide_error *error) {
  struct tide_ingest_box *box = &ingest->box;
  if (err != TIDE_OK) tide_log(TIDE_LOG_WARN, "source_unanswered", "question=\"%s\" reason=%s", what, error->text);
  tide_ingest_lock(ingest);
  if (err != TIDE_OK) {
    snprintf(box->unanswered, sizeof box->unanswered, "%s: %.300s", what, error->text);
    box->unanswered_what = what;
    box->unanswered_at = tide_mono_now();
  } else if (box->unanswered_what == what) {
    box->unanswered_what = NULL;
  }
  tide_ingest_unlock(ingest);
}

#define TOLD_FOR_NS (INT64_C(30) * 1000000000) /* nobody may ask any more */

void tide_ingest_unanswered(struct tide_ingest *ingest, char ret[TIDE_INGEST_UNANSWERED]) {
  const struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  bool now = box->unanswered_what && tide_mono_now().ns - box->unanswered_at.ns < TOLD_FOR_NS;
  snprintf(ret, TIDE_INGEST_UNANSWERED, "%s", now ? box->unanswered : "");
  tide_ingest_unlock(ingest);
}

/* ---- where the logs end, for the core ---- */

static bool answer_core(struct tide_ingest *ingest, const struct question *question) {
  struct tide_source *source = ingest->options.source;
  struct tide_place *place = NULL;
  size_t count = 0;
  struct tide_error error = {0};
  enum tide_err err = source->ops->places(source, &place, &count, &error);
  if (err == TIDE_OK && count > TIDE_PARTITIONS_MAX)
    err = tide_fail(&error, TIDE_E_LIMIT, "the sources have %zu partitions, at most %d can feed a cell", count, TIDE_PARTITIONS_MAX);
  if (err == TIDE_OK)
    err = ingest->options.mark ? ingest->options.mark(ingest->options.marks, place, count, &error)
                               : source->ops->ends(source, place, count, &error);
  if (err == TIDE_OK) {
    struct tide_target *target = tide_alloc((count + 1) * sizeof *target);
    for (size_t i = 0; i < count; i++)
      target[i] = (struct tide_target){.source = place[i].source,
                                       .partition = place[i].partition,
                                       .end = place[i].cursor,
                                       .delivered = ingest->options.lossy ? tide_target_delivered(place[i].cursor) : 0};
    uint64_t known = ingest->options.epoch_known ? ingest->options.epoch_known(ingest->options.epoch_ctx) : 0;
    tide_engine_tell(
        ingest->engine,
        &(struct tide_core_event){
            .kind = TIDE_CORE_ENDS, .turn = question->ends_turn, .number = known, .target = target, .target_count = (uint32_t)count});
    tide_free(target);
  }
  tell(ingest, of_core, err, &error);
  tide_free(place);
  return err == TIDE_OK;
}

/* ---- the partitions of a turn ---- */

static const struct tide_core_place *known_place(const struct question *question, uint16_t source, uint16_t partition) {
  for (size_t i = 0; i < question->place_count; i++)
    if (question->place[i].source == source && question->place[i].partition == partition && question->place[i].started)
      return &question->place[i];
  return NULL;
}

static bool is_new_source(const struct question *question, uint16_t source) {
  for (size_t i = 0; i < question->place_count; i++)
    if (question->place[i].source == source && question->place[i].started) return false;
  return true;
}

/* The message before the cursor must be the one that was counted: a log that was cut and written again is not read on as if nothing had happened. */
static enum tide_err check_before(struct tide_ingest *ingest, struct tide_ingest_part *part, struct tide_buf *bytes,
                                  struct tide_error *error) {
  struct tide_source *source = ingest->options.source;
  if (!part->checksum) return TIDE_OK;
  struct tide_place place = {part->source, part->partition, part->cursor};
  tide_buf_clear(bytes);
  enum tide_err err = source->ops->before(source, place, bytes, error);
  if (err == TIDE_E_END) return TIDE_OK; /* it is not kept any more */
  bool same = err == TIDE_OK && tide_ingest_checksum(tide_buf_span(bytes)) == part->checksum;
  if (same || (err != TIDE_OK && err != TIDE_E_MISMATCH)) return err;
  if (err == TIDE_OK)
    snprintf(error->text, sizeof error->text,
             "the message before cursor %" PRIu64
             " is not the one that was counted: the log was cut and written again. Find out what was lost, then go on "
             "deliberately with `tidemark source accept-gap`",
             part->cursor);
  snprintf(part->trouble, sizeof part->trouble, "%.250s%s", error->text,
           err == TIDE_OK ? "" : "; find out what was lost, then go on deliberately with `tidemark source accept-gap`");
  part->broken = true;
  return TIDE_OK;
}

/* Where a partition begins that was never read. One that appears later in a source that is read already begins with its first message. */
static enum tide_err first_cursor(struct tide_ingest *ingest, const struct question *question, struct tide_ingest_part *part,
                                  struct tide_error *error) {
  const struct tide_ingest_source *from = tide_ingest_from(ingest, part->source, NULL);
  struct tide_source *source = ingest->options.source;
  struct tide_place place = {part->source, part->partition, part->cursor};
  if (!is_new_source(question, part->source) || from->start_ms == TIDE_START_FIRST) return TIDE_OK;
  enum tide_err err = from->start_ms == TIDE_START_LAST ? source->ops->ends(source, &place, 1, error)
                                                        : ingest->options.at_time(source, from->start_ms, &place, 1, error);
  if (err == TIDE_OK) part->cursor = place.cursor;
  return err;
}

static enum tide_err make_part(struct tide_ingest *ingest, const struct question *question, const struct tide_place *place,
                               struct tide_buf *bytes, struct tide_ingest_part *part, struct tide_error *error) {
  const struct tide_ingest_source *from = tide_ingest_from(ingest, place->source, NULL);
  const struct tide_core_place *known = known_place(question, place->source, place->partition);
  TIDE_CHECK(from);
  *part = (struct tide_ingest_part){.source = place->source, .partition = place->partition, .gates = from->gates, .cursor = place->cursor};
  if (!known) return first_cursor(ingest, question, part, error);
  part->known = true;
  part->cursor = known->cursor;
  part->checksum = known->checksum;
  part->recalls = true;
  part->last = known->last;
  return check_before(ingest, part, bytes, error);
}

static bool is_told(const struct told *told, const struct tide_place *place) {
  for (size_t i = 0; i < told->count; i++)
    if (told->place[i].source == place->source && told->place[i].partition == place->partition) return true;
  return false;
}

/* Gives the reader what was found, unless it has not taken what it was given before. */
static bool give_parts(struct tide_ingest_box *box, struct tide_ingest_part *part, size_t count, uint64_t turn) {
  if (box->has_parts && box->parts_turn == turn) return false;
  tide_free(box->part);
  box->part = part;
  box->part_count = count;
  box->parts_turn = turn;
  box->has_parts = true;
  (void)pthread_cond_signal(&box->reader);
  return true;
}

static bool answer_places(struct tide_ingest *ingest, const struct question *question, struct told *told) {
  struct tide_source *source = ingest->options.source;
  struct tide_place *place = NULL;
  size_t count = 0, fresh = 0;
  struct tide_error error = {0};
  struct tide_buf bytes = TIDE_BUF_INIT;
  bool first = told->turn != question->turn;
  if (first) told->count = 0;
  told->turn = question->turn;
  enum tide_err err = source->ops->places(source, &place, &count, &error);
  struct tide_ingest_part *part = tide_alloc((count + 1) * sizeof *part);
  for (size_t i = 0; i < count && err == TIDE_OK; i++)
    if (!is_told(told, &place[i])) err = make_part(ingest, question, &place[i], &bytes, &part[fresh++], &error);
  tide_buf_release(&bytes);
  tide_free(place);
  tell(ingest, of_places, err, &error);
  if (err != TIDE_OK) {
    if (first) told->turn = 0;
    tide_free(part);
    return false;
  }
  if (fresh == 0 && !first) {
    tide_free(part);
    return true;
  }
  told->place = tide_realloc(told->place, (told->count + fresh + 1) * sizeof *told->place);
  for (size_t i = 0; i < fresh; i++) told->place[told->count + i] = (struct tide_place){part[i].source, part[i].partition, 0};
  struct tide_ingest_box *box = &ingest->box;
  tide_ingest_lock(ingest);
  bool given = give_parts(box, part, fresh, question->turn);
  tide_ingest_unlock(ingest);
  if (given) told->count += fresh;
  else tide_free(part);
  if (!given && first) told->turn = 0;
  return given;
}

static void answer_ends(struct tide_ingest *ingest, struct question *question) {
  struct tide_source *source = ingest->options.source;
  struct tide_error error = {0};
  enum tide_err err = source->ops->ends(source, question->end, question->end_count, &error);
  struct tide_ingest_box *box = &ingest->box;
  tell(ingest, of_ends, err, &error);
  tide_ingest_lock(ingest);
  if (!box->wants_ends) { /* asked again meanwhile, by another turn: that question comes next */
    tide_free(box->end);
    box->end = question->end;
    box->end_count = err == TIDE_OK ? question->end_count : 0;
    box->ask = question->ask;
    box->has_ends = true;
    question->end = NULL;
    (void)pthread_cond_signal(&box->reader);
  }
  tide_ingest_unlock(ingest);
}

/* ---- the thread ---- */

static void take_question(struct tide_ingest_box *box, struct question *question) {
  *question = (struct question){.core = box->core_asks,
                                .places = box->wants_places && box->on,
                                .ends = box->wants_ends,
                                .ends_turn = box->ends_turn,
                                .turn = box->turn};
  box->core_asks = box->wants_places = false;
  if (question->places) {
    question->place = tide_alloc((box->place_count + 1) * sizeof *question->place);
    memcpy(question->place, box->place, box->place_count * sizeof *question->place);
    question->place_count = box->place_count;
  }
  if (question->ends) {
    question->end = tide_alloc((box->end_count + 1) * sizeof *question->end);
    memcpy(question->end, box->end, box->end_count * sizeof *question->end);
    question->end_count = box->end_count;
    question->ask = box->ask;
    box->wants_ends = false;
  }
}

void *tide_ingest_ask_main(void *arg) {
  struct tide_ingest *ingest = arg;
  (void)pthread_setname_np(pthread_self(), "tide-ask"); /* for top -H */
  struct tide_ingest_box *box = &ingest->box;
  struct told told = {0};
  tide_ingest_lock(ingest);
  while (!box->quit) {
    if (!box->core_asks && !(box->wants_places && box->on) && !box->wants_ends) {
      (void)pthread_cond_wait(&box->asker, &box->mutex);
      continue;
    }
    struct question question;
    take_question(box, &question);
    tide_ingest_unlock(ingest);
    bool core = question.core && !answer_core(ingest, &question);
    if (question.ends) answer_ends(ingest, &question);
    bool places = question.places && !answer_places(ingest, &question, &told);
    tide_free(question.place);
    tide_free(question.end);
    tide_ingest_lock(ingest);
    if (core && box->ends_turn == question.ends_turn) box->core_asks = true; /* until there is an answer, or nobody asks any more */
    if (places && box->turn == question.turn) box->wants_places = true;
    if (core || places) tide_ingest_wait(&box->asker, ingest, RETRY_MS);
  }
  tide_ingest_unlock(ingest);
  tide_free(told.place);
  return NULL;
}
