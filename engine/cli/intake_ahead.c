/* The ring of chunks (intake_ahead.h).
 *
 * Chunk n lives in slot n % slots. A slot is free, being filled, or ready; a chunk is begun only where its slot is free, so the ring bounds how far decoding
 * runs ahead. One lock guards the states and the numbers; `reading` gives the source to one thread at a time without holding the lock while it reads.
 *
 *   free --(somebody may read: next_read)--> filling --> ready --(the caller: next_taken)--> free
 *
 * Chunk next_taken is always free-to-read, filling or ready, so the caller either takes it, waits for who fills it, or fills one itself. */
#include "cli/intake_ahead.h"

#include "core/batch.h"

#include <pthread.h>

#define CHUNK_MESSAGES 512
#define CHUNK_BYTES (256u * 1024)
#define SLOTS_PER_THREAD 4

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY };

struct raw {
  uint64_t line;
  size_t at, len;
  bool too_long; /* nothing of it is there */
};

struct slot {
  enum slot_state state;
  struct raw raw[CHUNK_MESSAGES];
  size_t raws;
  struct tide_buf text, records;
  struct tide_ahead_item item[CHUNK_MESSAGES];
  struct tide_ahead_chunk chunk;
  enum tide_err failed; /* what ended the input behind the items; END: nothing more */
  struct tide_error why;
};

struct worker {
  struct tide_ahead *ahead;
  struct tide_decoder *decoder;
  struct tide_taken taken;
  pthread_t thread;
};

struct tide_ahead {
  struct tide_intake *intake;
  const struct tide_spec *spec;
  struct slot *slot;
  size_t slots;
  struct worker *worker; /* [0] is the caller */
  unsigned workers, running;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint64_t next_read, next_taken; /* numbers of chunks */
  bool reading, ended, stop;      /* ended: the source has no more to give */
  struct slot *given;             /* the caller's until the next call */
};

/* Lines into the slot, until it is full or the source ends. */
static void read_chunk(struct tide_ahead *ahead, struct worker *worker, struct slot *slot) {
  tide_buf_clear(&slot->text);
  slot->raws = 0;
  slot->failed = TIDE_OK;
  while (slot->raws < CHUNK_MESSAGES && slot->text.len < CHUNK_BYTES) {
    struct tide_taken *taken = &worker->taken;
    enum tide_err err = tide_intake_read(ahead->intake, taken, &slot->why);
    if (err != TIDE_OK && err != TIDE_E_LIMIT) {
      slot->failed = err;
      break;
    }
    struct raw *raw = &slot->raw[slot->raws++];
    *raw = (struct raw){.line = taken->line, .at = slot->text.len, .len = taken->message.len, .too_long = err == TIDE_E_LIMIT};
    if (raw->too_long) raw->len = 0;
    else tide_buf_put(&slot->text, taken->message.ptr, taken->message.len);
  }
  tide_intake_progress(ahead->intake, &slot->chunk.done, &slot->chunk.total);
}

/* One message of the slot as an item. Errors are of the message, or end the input. */
static enum tide_err decode_one(const struct tide_ahead *ahead, struct worker *worker, struct slot *slot, const struct raw *raw,
                                struct tide_error *error) {
  struct tide_taken *taken = &worker->taken;
  if (raw->too_long) return tide_fail(error, TIDE_E_LIMIT, "it is longer than %u bytes and was skipped", TIDE_MESSAGE_BYTES_MAX);
  taken->line = raw->line;
  taken->message = (struct tide_span){slot->text.ptr + raw->at, raw->len};
  enum tide_err err = tide_intake_decode(ahead->intake, worker->decoder, taken, error);
  if (err != TIDE_OK) return err;
  struct tide_ahead_item item = {.known_at = taken->known_at,
                                 .first = taken->record[0].time,
                                 .event_ms = INT64_MIN,
                                 .line = raw->line,
                                 .count = (uint8_t)taken->count,
                                 .records = {NULL, slot->records.len}}; /* an offset while the buffer may still move */
  for (int i = 0; i < taken->count; i++) {
    const struct tide_record *record = &taken->record[i];
    if (tide_record_encode(ahead->spec, record, &slot->records) != TIDE_OK) /* not the class of a message: nothing of the kind is valid */
      return tide_fail(error, TIDE_E_CONFIG, "line %llu does not fit into an entry", (unsigned long long)raw->line);
    if (record->type == TIDE_REC_EVENT && record->time.ms > item.event_ms) item.event_ms = record->time.ms;
  }
  slot->item[slot->chunk.count++] = item;
  return TIDE_OK;
}

static void decode_chunk(const struct tide_ahead *ahead, struct worker *worker, struct slot *slot) {
  tide_buf_clear(&slot->records);
  slot->chunk.item = slot->item;
  slot->chunk.count = 0;
  slot->chunk.rejected = 0;
  struct tide_error error; /* whole where it was written at all */
  for (size_t i = 0; i < slot->raws; i++) {
    enum tide_err err = decode_one(ahead, worker, slot, &slot->raw[i], &error);
    if (err == TIDE_OK) continue;
    if (tide_err_class(err) == TIDE_CLASS_INPUT || err == TIDE_E_LIMIT) {
      if (slot->chunk.rejected++ == 0) {
        slot->chunk.rejected_line = slot->raw[i].line;
        slot->chunk.rejected_why = error;
      }
      continue;
    }
    slot->failed = err; /* before anything that reading found behind it */
    slot->why = error;
    break;
  }
  for (size_t i = 0; i < slot->chunk.count; i++) {
    struct tide_span *records = &slot->item[i].records;
    size_t at = records->len, end = i + 1 < slot->chunk.count ? slot->item[i + 1].records.len : slot->records.len;
    *records = (struct tide_span){slot->records.ptr + at, end - at};
  }
}

static bool can_read(const struct tide_ahead *ahead) {
  return !ahead->ended && !ahead->reading && ahead->slot[ahead->next_read % ahead->slots].state == SLOT_FREE;
}

/* Reads and decodes the next chunk. Called and returns with the lock. */
static void produce(struct tide_ahead *ahead, struct worker *worker) {
  struct slot *slot = &ahead->slot[ahead->next_read++ % ahead->slots];
  slot->state = SLOT_FILLING;
  ahead->reading = true;
  pthread_mutex_unlock(&ahead->lock);
  read_chunk(ahead, worker, slot);
  pthread_mutex_lock(&ahead->lock);
  ahead->reading = false;
  ahead->ended = slot->failed != TIDE_OK;
  pthread_cond_broadcast(&ahead->changed);
  pthread_mutex_unlock(&ahead->lock);
  decode_chunk(ahead, worker, slot);
  pthread_mutex_lock(&ahead->lock);
  slot->state = SLOT_READY;
  pthread_cond_broadcast(&ahead->changed);
}

static void *work(void *arg) {
  struct worker *worker = arg;
  struct tide_ahead *ahead = worker->ahead;
  pthread_mutex_lock(&ahead->lock);
  while (!ahead->stop && !ahead->ended) {
    if (can_read(ahead)) produce(ahead, worker);
    else pthread_cond_wait(&ahead->changed, &ahead->lock);
  }
  pthread_mutex_unlock(&ahead->lock);
  return NULL;
}

enum tide_err tide_ahead_open(struct tide_intake *intake, const struct tide_spec *spec, unsigned threads, struct tide_ahead **ret,
                              struct tide_error *error) {
  TIDE_CHECK(threads >= 1 && threads <= TIDE_THREADS_MAX);
  struct tide_ahead *ahead = tide_alloc(sizeof *ahead);
  ahead->intake = intake;
  ahead->spec = spec;
  ahead->slots = threads == 1 ? 1 : (size_t)threads * SLOTS_PER_THREAD;
  ahead->slot = tide_alloc(ahead->slots * sizeof *ahead->slot);
  ahead->worker = tide_alloc(threads * sizeof *ahead->worker);
  TIDE_CHECK(pthread_mutex_init(&ahead->lock, NULL) == 0 && pthread_cond_init(&ahead->changed, NULL) == 0);
  enum tide_err err = TIDE_OK;
  while (err == TIDE_OK && ahead->workers < threads) {
    struct worker *worker = &ahead->worker[ahead->workers++];
    worker->ahead = ahead;
    err = tide_intake_decoder(intake, &worker->decoder, error);
  }
  if (err != TIDE_OK) {
    tide_ahead_close(ahead);
    return err;
  }
  while (ahead->running + 1 < threads &&
         pthread_create(&ahead->worker[ahead->running + 1].thread, NULL, work, &ahead->worker[ahead->running + 1]) == 0)
    ahead->running++;
  *ret = ahead;
  return TIDE_OK;
}

enum tide_err tide_ahead_next(struct tide_ahead *ahead, const struct tide_ahead_chunk **ret, struct tide_error *error) {
  struct slot *slot = ahead->given;
  if (slot && slot->failed != TIDE_OK) { /* stays: the caller learns it again */
    if (slot->failed != TIDE_E_END && error) *error = slot->why;
    return slot->failed;
  }
  pthread_mutex_lock(&ahead->lock);
  if (slot) {
    slot->state = SLOT_FREE;
    pthread_cond_broadcast(&ahead->changed);
  }
  ahead->given = slot = &ahead->slot[ahead->next_taken++ % ahead->slots];
  while (slot->state != SLOT_READY) {
    if (can_read(ahead)) produce(ahead, &ahead->worker[0]);
    else pthread_cond_wait(&ahead->changed, &ahead->lock);
  }
  pthread_mutex_unlock(&ahead->lock);
  *ret = &slot->chunk;
  return TIDE_OK;
}

void tide_ahead_close(struct tide_ahead *ahead) {
  if (!ahead) return;
  pthread_mutex_lock(&ahead->lock);
  ahead->stop = true;
  pthread_cond_broadcast(&ahead->changed);
  pthread_mutex_unlock(&ahead->lock);
  for (unsigned i = 1; i <= ahead->running; i++) TIDE_CHECK(pthread_join(ahead->worker[i].thread, NULL) == 0);
  for (unsigned i = 0; i < ahead->workers; i++) tide_decoder_free(ahead->worker[i].decoder);
  for (size_t i = 0; i < ahead->slots; i++) {
    tide_buf_release(&ahead->slot[i].text);
    tide_buf_release(&ahead->slot[i].records);
  }
  pthread_cond_destroy(&ahead->changed);
  pthread_mutex_destroy(&ahead->lock);
  tide_free(ahead->worker);
  tide_free(ahead->slot);
  tide_free(ahead);
}
