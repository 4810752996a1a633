/* Looking at a Kafka cluster as an operator would, and saying what to change (doctor_kafka.c).
 *
 * It only asks: metadata, topic configurations, the begins and ends of logs, offsets by time. Nothing is created, written or committed, so whether a topic may be written is not
 * tried. What the user of the settings may not ask is told as a note. */
#ifndef TIDE_DOCTOR_KAFKA_H
#define TIDE_DOCTOR_KAFKA_H

#include "adapter/client_kafka.h"

enum tide_kafka_finding { TIDE_KAFKA_GOOD, TIDE_KAFKA_NOTE, TIDE_KAFKA_FIX };
/* `what`: kafka, source, scores, dead_letters, copies; text: what was seen and what to do, valid during the call. */
typedef void (*tide_kafka_finding_fn)(void *ctx, enum tide_kafka_finding level, const char *what, const char *text);

/* What a topic is to the cell. */
enum tide_kafka_role { TIDE_KAFKA_SOURCE, TIDE_KAFKA_SCORES, TIDE_KAFKA_DEAD_LETTERS, TIDE_KAFKA_COPIES };
struct tide_kafka_doctor_topic {
  enum tide_kafka_role role;
  const char *name;   /* SOURCE: of the source */
  const char *topic;
  bool gates;         /* SOURCE */
};

struct tide_kafka_doctor_options {
  const struct tide_kafka_setting *setting;
  size_t setting_count;
  const struct tide_kafka_doctor_topic *topic;
  size_t topic_count;
  int64_t lateness_ms; /* of the cell: how old a message may be that is counted; a stop of the cell may last so long without a gap only where topics keep as much */
  int timeout_ms;      /* for each question */
};

/* Everything is told through `fn`, also that nobody answers. */
void tide_kafka_examine(const struct tide_kafka_doctor_options *options, tide_kafka_finding_fn fn, void *ctx);

#endif
