/* Messages of files as records: source and decoder together (intake.h).
 *
 * The decoder is made with the first line, because the line tells the format: a JSON object begins with '{', anything else is the header row
 * of CSV. Every CSV file has its own header, which must be the first file's: columns are bound once. */
#include "cli/intake.h"

struct tide_intake {
  struct tide_intake_options options;
  struct tide_source *source;
  struct tide_decoder *decoder;
  bool csv;
  struct tide_buf header; /* CSV: the header row */
  size_t file;            /* of the message read last */
  bool pending;           /* first holds a message that next has not given yet (JSON: the line that told the format) */
  struct tide_message first;
};

static bool looks_like_json(struct tide_span line) {
  size_t i = 0;
  while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t')) i++;
  return i < line.len && line.ptr[i] == '{';
}

enum tide_err tide_intake_decoder(const struct tide_intake *intake, struct tide_decoder **ret, struct tide_error *error) {
  struct tide_decode_options options = {.spec = intake->options.spec,
                                        .key = intake->options.key,
                                        .key_alt = intake->options.key_previous,
                                        .shape = intake->options.shape,
                                        .known_at = intake->options.known_at,
                                        .repeats = true,
                                        .known_at_place = intake->options.known_at_place,
                                        .format = intake->csv ? TIDE_FORMAT_CSV : TIDE_FORMAT_JSON};
  struct tide_decoder *decoder;
  enum tide_err err = tide_decoder_new(&options, &decoder, error);
  if (err != TIDE_OK) return err;
  struct tide_error detail;
  err = intake->header.len > 0 ? tide_decode_header(decoder, tide_buf_span(&intake->header), &detail) : TIDE_OK;
  if (err != TIDE_OK) {
    tide_decoder_free(decoder);
    return tide_fail(error, TIDE_E_CONFIG, "the first line is not a header row that fits the feature file: %.280s", detail.text);
  }
  *ret = decoder;
  return TIDE_OK;
}

/* END has no line: it is the end of the input, and `next` says so again. */
static enum tide_err next_line(struct tide_intake *intake, struct tide_message *ret, struct tide_error *error) {
  enum tide_err err = intake->source->ops->next(intake->source, ret, error);
  if (err == TIDE_OK && ret->kind == TIDE_MESSAGE_END) return TIDE_E_END;
  TIDE_CHECK(err != TIDE_OK || ret->kind == TIDE_MESSAGE_DATA); /* a file has no other trouble than its errors */
  return err;
}

/* Reads the first line: decides the format, takes a CSV header. */
static enum tide_err begin(struct tide_intake *intake, struct tide_error *error) {
  const char *format = intake->options.format;
  struct tide_message message;
  enum tide_err err = next_line(intake, &message, error);
  if (err == TIDE_E_LIMIT) { /* too long for any header: a bad JSON line, or a file of something else */
    if (strcmp(format, "json") != 0)
      return tide_fail(error, TIDE_E_CONFIG, "the first line is longer than 1 MiB: neither a JSON line nor a CSV header");
    message.bytes = TIDE_SPAN("");
  } else if (err != TIDE_OK && err != TIDE_E_END) {
    return err;
  }
  bool empty = err == TIDE_E_END;
  const char *path;
  uint64_t line;
  intake->file = tide_source_file_place(intake->source, &path, &line); /* not the first when that one is empty */
  intake->csv = strcmp(format, "csv") == 0 || (strcmp(format, "auto") == 0 && !empty && !looks_like_json(message.bytes));
  if (intake->csv && !empty) {
    tide_buf_put(&intake->header, message.bytes.ptr, message.bytes.len);
  } else if (!empty) {
    intake->pending = true;
    intake->first = message;
  }
  return tide_intake_decoder(intake, &intake->decoder, error);
}

enum tide_err tide_intake_open(const struct tide_intake_options *options, struct tide_intake **ret, struct tide_error *error) {
  struct tide_intake *intake = tide_alloc(sizeof *intake);
  intake->options = *options;
  enum tide_err err = tide_source_file_open(options->input, options->input_count, 0, &intake->source, error);
  if (err == TIDE_OK) err = intake->source->ops->seek(intake->source, 0, 0, 0, error);
  if (err == TIDE_OK) err = begin(intake, error);
  if (err != TIDE_OK) {
    tide_intake_close(intake);
    return err;
  }
  *ret = intake;
  return TIDE_OK;
}

/* True for the header row of the second and later CSV files. Their columns must be the first file's. */
static enum tide_err check_header(struct tide_intake *intake, const struct tide_taken *taken, size_t file, bool *ret_header,
                                  struct tide_error *error) {
  *ret_header = false;
  if (!intake->csv || file == intake->file) return TIDE_OK;
  intake->file = file;
  if (!tide_span_eq(taken->message, tide_buf_span(&intake->header)))
    return tide_fail(error, TIDE_E_CONFIG,
                     "the header row of %s differs from that of the first file; replay files with other columns in runs of their own",
                     taken->file);
  *ret_header = true;
  return TIDE_OK;
}

enum tide_err tide_intake_read(struct tide_intake *intake, struct tide_taken *ret, struct tide_error *error) {
  for (;;) {
    struct tide_message message;
    enum tide_err err = TIDE_OK;
    if (intake->pending) message = intake->first;
    else err = next_line(intake, &message, error);
    intake->pending = false;
    if (err != TIDE_OK && err != TIDE_E_LIMIT) return err;
    ret->source = message.source;
    ret->partition = message.partition;
    ret->line = message.offset;
    ret->next = message.next;
    ret->message = message.bytes;
    ret->count = 0;
    size_t file = tide_source_file_place(intake->source, &ret->file, &ret->file_line);
    if (err == TIDE_E_LIMIT) return err;
    bool header;
    err = check_header(intake, ret, file, &header, error);
    if (err != TIDE_OK) return err;
    if (!header) return TIDE_OK;
  }
}

enum tide_err tide_intake_decode(const struct tide_intake *intake, struct tide_decoder *decoder, struct tide_taken *taken,
                                 struct tide_error *error) {
  enum tide_err err = tide_decode(decoder, taken->message, taken->record, &taken->count, error);
  if (err == TIDE_OK && intake->options.known_at) err = tide_decode_known_at(decoder, &taken->known_at, error);
  if (err != TIDE_OK) return err;
  for (int i = 0; i < taken->count; i++) {
    taken->record[i].source = taken->source;
    taken->record[i].partition = taken->partition;
    taken->record[i].offset = taken->line;
  }
  return TIDE_OK;
}

enum tide_err tide_intake_next(struct tide_intake *intake, struct tide_taken *ret, struct tide_error *error) {
  enum tide_err err = tide_intake_read(intake, ret, error);
  return err ? err : tide_intake_decode(intake, intake->decoder, ret, error);
}

enum tide_err tide_intake_seek(struct tide_intake *intake, uint64_t cursor, struct tide_error *error) {
  if (cursor == 0) return TIDE_OK; /* nothing was journaled: begin() has read what is needed */
  intake->pending = false;
  enum tide_err err = intake->source->ops->seek(intake->source, 0, 0, cursor, error);
  if (err != TIDE_OK) return err;
  const char *path;
  uint64_t line;
  intake->file = tide_source_file_place(intake->source, &path, &line);
  return TIDE_OK;
}

void tide_intake_mask(struct tide_intake *intake, struct tide_span message, struct tide_buf *out) {
  tide_decode_mask(intake->decoder, message, out);
}

void tide_intake_progress(struct tide_intake *intake, uint64_t *ret_done, uint64_t *ret_total) {
  tide_source_file_progress(intake->source, ret_done, ret_total);
}

void tide_intake_close(struct tide_intake *intake) {
  if (!intake) return;
  if (intake->source) intake->source->ops->close(intake->source);
  tide_decoder_free(intake->decoder);
  tide_buf_release(&intake->header);
  tide_free(intake);
}
