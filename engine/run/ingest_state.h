/* Inside of the ingester: shared by ingest.c (reader), ingest_ask.c (asker) and ingest_out.c (writer), and by nobody else.
 *
 * One mutex guards everything in `struct tide_ingest_box`: the requests that one thread makes of another, and their results. It is held for moves of
 * pointers and small copies only. What stands outside of the box belongs to the thread that is named. */
#ifndef TIDE_INGEST_STATE_H
#define TIDE_INGEST_STATE_H

#include "run/ingest.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"

#define TIDE_INGEST_WINDOW 16384 /* offers with the core */

/* The first message of a partition that cannot be decoded before its schema is there. */
struct tide_ingest_pending {
  struct tide_message message;
  struct tide_buf bytes; /* its own, then its traceparent */
  char why[384];         /* what the schema waits for */
};

/* A partition under a turn. */
struct tide_ingest_part {
  uint16_t source, partition;
  bool known;               /* the journal has a cursor: it can be read */
  bool gates;
  bool throttled;           /* not read now: its share of memory is full */
  struct tide_ingest_pending *pending; /* not read now: this message waits; NULL: none */
  bool recalls;             /* `last` is what the journal says of it */
  struct tide_cursor_part last;
  uint64_t cursor, checksum; /* read up to there */
  uint64_t done;            /* what the core has counted, to be committed */
  char trouble[384];         /* why it stands still; "" : it does not */
  bool broken;              /* only an operator's word helps */
};

enum tide_ingest_letter_state { TIDE_LETTER_waits, TIDE_LETTER_sent, TIDE_LETTER_arrived };
struct tide_ingest_letter {
  uint8_t state;            /* enum tide_ingest_letter_state */
  uint64_t number;          /* SCORE: of the answer; DEAD: the hold; COPY: of the LOG action */
  uint64_t turn;            /* SCORE */
  uint16_t source, partition;
  uint64_t offset;
  struct tide_buf bytes;    /* key, value, headers, as spans one behind the other */
};
/* The traceparent of a message that has an answer coming: lost with the process, or to another one where very many are under way, as traces may be. */
#define TIDE_INGEST_TRACES 16384
struct tide_ingest_trace { uint64_t offset; uint16_t source, partition; uint8_t len; char text[64]; };
/* Letters of one kind in their order. */
struct tide_ingest_letters {
  struct tide_ingest_letter *letter; /* ring */
  size_t cap, first, count, sent;    /* sent: from the front on, all handed over */
  size_t under_way;                  /* handed over, no report yet */
  uint64_t first_token;
};

struct tide_ingest_box {
  pthread_mutex_t mutex;
  pthread_cond_t reader, asker, writer;
  bool quit;
  /* core -> reader, asker */
  uint64_t turn;            /* of the last INGEST; 0: none yet */
  uint64_t emit_turn;       /* of it: that of the answers that are to leave */
  bool on, fresh;           /* it holds; the reader has not looked at it yet */
  struct tide_core_place *place;
  size_t place_count;
  bool core_asks;           /* ENDS */
  uint64_t ends_turn;
  /* reader -> asker */
  bool wants_places;        /* partitions, for the turn */
  bool wants_ends;
  struct tide_place *end;   /* [end_count]: those whose ends are wanted, then the ends; none: they could not be had */
  size_t end_count;
  /* asker -> reader */
  bool has_ends, has_parts;
  struct tide_merge_ask ask; /* the merge's, that the ends answer */
  struct tide_ingest_part *part; /* of `parts_turn`, made by the asker */
  size_t part_count;
  uint64_t parts_turn;
  /* core -> reader */
  struct tide_offer *back;  /* offers that came back, linked */
  size_t back_count;
  bool reread;
  /* writer -> reader */
  uint64_t *arrived;        /* holds whose dead letters arrived */
  size_t arrived_count, arrived_cap;
  struct tide_place *left;  /* places of answers that have left, to be committed */
  size_t left_count, left_cap;
  /* -> writer */
  struct tide_ingest_letters in[TIDE_LETTER_KIND_COUNT]; /* new ones, to be taken over */
  struct tide_ingest_trace *trace; /* [TIDE_INGEST_TRACES] by hash of the place; NULL: none came yet */
  /* for people */
  char unanswered[TIDE_INGEST_UNANSWERED]; /* "": none */
  const char *unanswered_what;             /* the question; NULL: none */
  struct tide_mono unanswered_at;
  struct tide_ingest_partition *look;
  size_t look_count, look_cap;
};

/* Decoders of one feature file. */
struct tide_ingest_decoders {
  const struct tide_spec *spec;
  struct tide_decoder **message, **copy; /* [from_count] */
};

struct tide_ingest {
  struct tide_ingest_options options;
  struct tide_engine *engine;
  struct tide_ingest_box box;
  pthread_t reader, asker, writer;
  bool started;

  /* the reader's */
  struct tide_merge *merge;
  struct tide_ingest_decoders *decoders;
  _Atomic(struct tide_ingest_decoders *) next_decoders; /* for the reader to go over to; NULL: none */
  struct tide_record *record;                    /* [2] */
  uint64_t turn;
  bool on, reading;                              /* the core wants it read; partitions are known */
  struct tide_ingest_part *part;
  size_t part_count;
  uint32_t *place;                               /* [place_room] by hash of source and partition: where in `part` it stands, + 1; 0: free */
  size_t place_room;                             /* a power of two, at least twice part_count; 0: there are none */
  struct tide_offer *spare;
  size_t outstanding;
  uint64_t holds;
  size_t pending_count;                          /* partitions with a message that waits for its schema */
  struct tide_mono pending_at, commit_at, places_at, retry_at, throttle_at;

  /* the writer's */
  struct tide_ingest_letters out[TIDE_LETTER_KIND_COUNT];
};

/* Of a message's bytes, as the journal keeps it to know the message again; never 0, which says that there was none. */
static inline uint64_t tide_ingest_checksum(struct tide_span bytes) { return tide_hash64(bytes.ptr, bytes.len, 0) | 1; }

void tide_ingest_lock(struct tide_ingest *ingest);
void tide_ingest_unlock(struct tide_ingest *ingest);
void tide_ingest_wait(pthread_cond_t *cond, struct tide_ingest *ingest, int64_t ms); /* with the box locked */

void *tide_ingest_read_main(void *arg);
void *tide_ingest_ask_main(void *arg);
void *tide_ingest_write_main(void *arg);

/* ingest_out.c. A letter is put together by begin, header(s), end; with the box locked. */
struct tide_ingest_letter *tide_ingest_letter_begin(struct tide_ingest *ingest, enum tide_letter_kind kind, struct tide_span key, struct tide_span value);
void tide_ingest_letter_header(struct tide_ingest_letter *letter, const char *name, struct tide_span value);
void tide_ingest_emit(struct tide_ingest *ingest, const struct tide_core_action *action);
void tide_ingest_copy(struct tide_ingest *ingest, const struct tide_core_action *action);
/* A message that cannot be used leaves; returns the number of its hold, 0 when nothing leaves. Of the reader. */
uint64_t tide_ingest_dead(struct tide_ingest *ingest, const struct tide_message *message, const struct tide_ingest_source *from, struct tide_decoder *decoder,
                          const struct tide_error *why);
void tide_ingest_trace_put(struct tide_ingest *ingest, const struct tide_message *message);
void tide_ingest_letters_release(struct tide_ingest_letters *letters);

const struct tide_ingest_source *tide_ingest_from(const struct tide_ingest *ingest, uint16_t number, size_t *ret_index);

#endif
