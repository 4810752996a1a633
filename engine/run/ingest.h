/* The ingester: messages of the sources on their way into the engine, and answers on their way out.
 *
 *   source --next--> reader: decode, merge by event time --offers--> engine's core
 *                      ^ ends of logs, starts                            | actions: INGEST ENDS EMIT LOG
 *                    asker <---------------------------------------------+
 *   outlet <--letters-- writer <-----------------------------------------+
 *
 * Three threads, because three things block: the next message, a question to the brokers, and a full producer. None of them decides whether a message counts: the ledger
 * does (core/ledger.h), so whatever is read twice, lost here or offered too late costs work and nothing else. Memory is bounded: at most `window` offers
 * are with the core, at most max_held messages wait in the merge, and nothing is read beyond that. */
#ifndef TIDE_INGEST_H
#define TIDE_INGEST_H

#include "adapter/decode.h"
#include "config/source.h"
#include "core/merge.h"
#include "port/outlet.h"
#include "port/source.h"
#include "run/engine.h"

struct tide_kafka_marks;
struct tide_ingest_source {
  uint16_t number;
  const char *name;
  struct tide_decode_options decode; /* of its messages */
  bool gates;
  int64_t start_ms;                  /* TIDE_START_FIRST, TIDE_START_LAST, or the log's time of the first message to read */
};

struct tide_ingest_options {
  struct tide_source *source;  /* all sources behind one port; borrowed until tide_ingest_stop returned */
  struct tide_outlet *outlet;  /* NULL: nothing leaves */
  /* Bookkeeping of the log's own kind (a consumer group), for dashboards; on the reader's thread. NULL: none. */
  void (*commit)(struct tide_source *source, const struct tide_place *place, size_t count);
  /* Sets each cursor to the first message that the log took at ms or later, or the end. NULL: no start is a time. */
  enum tide_err (*at_time)(struct tide_source *source, int64_t ms, struct tide_place *place, size_t count, struct tide_error *error);
  /* Sets each cursor to behind a mark that it writes to the log now: how far a new epoch must read. NULL: to where the log says that it ends. Of the asker's thread. */
  enum tide_err (*mark)(struct tide_kafka_marks *marks, struct tide_place *place, size_t count, struct tide_error *error);
  struct tide_kafka_marks *marks;
  const struct tide_ingest_source *from; /* borrowed like source */
  size_t from_count;
  const struct tide_spec *spec;
  bool scores;                 /* answers leave */
  uint8_t dead_form;           /* enum tide_dead_form */
  bool lossy;                  /* the journal may lose what it acknowledged (q < N): decisions that are made again say that they may supersede */
  uint64_t (*epoch_known)(void *ctx); /* the highest epoch that is known outside of the journal, 0: none; on the asker's thread. NULL: nobody knows */
  void *epoch_ctx;
  struct tide_merge_options merge;
  int64_t max_future_skew_ms;
  size_t max_held;
  struct tide_meter *meter;    /* one that several threads may write to; its sources are `from` in their order. NULL: none */
};

/* What became of an attempt to send a letter, for the metrics: it arrived; it did not, and is sent again (a copy is not); it never will and is given up. */
#define TIDE_INGEST_RESULTS(X) X(arrived) X(failed) X(dropped)
enum tide_ingest_result {
#define X(name) TIDE_INGEST_RESULT_##name,
  TIDE_INGEST_RESULTS(X)
#undef X
};

/* What stands of one partition, for /readyz and people. */
struct tide_ingest_partition {
  struct tide_merge_view view;
  char trouble[384]; /* "" : none */
};

struct tide_ingest;
/* Checks decoders and options, starts nothing. Errors: CONFIG. */
enum tide_err tide_ingest_new(const struct tide_ingest_options *options, struct tide_ingest **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Starts the threads; the engine must live until tide_ingest_stop returned. */
void tide_ingest_start(struct tide_ingest *ingest, struct tide_engine *engine);
/* From about now on messages are decoded by this feature file. It is borrowed until tide_ingest_stop returned, and those before as well. Any
 * thread. CONFIG: a source cannot be decoded by it; nothing changes. */
enum tide_err tide_ingest_features(struct tide_ingest *ingest, const struct tide_spec *spec, struct tide_error *error) TIDE_WARN_UNUSED;
/* tide_engine_options.sources: actions of the core, on its thread. */
void tide_ingest_act(struct tide_ingest *ingest, const struct tide_core_action *action);
/* An offer whose ctx is the ingester came back: on the core's thread. */
void tide_ingest_release(struct tide_ingest *ingest, struct tide_offer *offer);
/* Tells it that it may read again what a START made new (an operator's word): any thread. */
void tide_ingest_reread(struct tide_ingest *ingest);
/* The partitions it reads now; 0 while it is not the reader. Any thread. Returns how many there are. */
size_t tide_ingest_look(struct tide_ingest *ingest, struct tide_ingest_partition *ret, size_t cap);
/* Which question to the brokers - where logs end for a new epoch, partitions, ends - had no answer in the last half minute, and why; "": none. Any thread. */
#define TIDE_INGEST_UNANSWERED 384
void tide_ingest_unanswered(struct tide_ingest *ingest, char ret[TIDE_INGEST_UNANSWERED]);
/* Stops the threads, after the engine has ended. */
void tide_ingest_stop(struct tide_ingest *ingest);
void tide_ingest_free(struct tide_ingest *ingest);

#endif
