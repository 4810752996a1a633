/* Marks in Kafka topics: where a log ends, found by writing to it and not by asking.
 *
 * Who answers a question about the end of a log may be a leader that has been deposed and does not know it yet. A mark that was acknowledged with acks=all stands in the log
 * behind everything that had been acknowledged before it was sent, so its own offset is an end that nobody can tell too low. A mark has an empty value and the
 * header TIDE_KAFKA_MARK; the source says of it `mark`, and it is no message. */
#ifndef TIDE_MARKS_KAFKA_H
#define TIDE_MARKS_KAFKA_H

#include "adapter/source_kafka.h"

#define TIDE_KAFKA_MARK "tidemark-mark"

struct tide_kafka_marks;
/* Of the source's options: topics and settings (copied), timeout_ms, log. No broker is asked. Error: CONFIG, a setting that is refused. */
enum tide_err tide_kafka_marks_open(const struct tide_source_kafka_options *options, struct tide_kafka_marks **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Writes one mark to each partition and sets each cursor to behind it. One thread at a time. Errors, and then no cursor is set though marks may stand in
 * logs: CONFIG (a topic that may not be written, by name, with what to do), NOT_FOUND, IO (not confirmed in time). */
enum tide_err tide_kafka_marks_put(struct tide_kafka_marks *marks, struct tide_place *place, size_t count, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_kafka_marks_close(struct tide_kafka_marks *marks);

#endif
