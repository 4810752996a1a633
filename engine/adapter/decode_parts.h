/* Inside the decoder: what its files share. Nobody else includes this.
 *
 *   decode.c         picks the shape, builds the records
 *   decode_bind.c    binds the spec's shapes to places, once
 *   decode_value.c   one captured text into a number, time, amount, key
 *   decode_secret.c  the keyed hashes of secret texts
 *   decode_derive.c  the fields of `derive:`
 *   decode_json.c    one pass of yajl over a line: captures the values at the places (a trie of pointers)
 *   decode_csv.c     the header and the cells of a row: the same captures
 *   decode_avro.c    a binary message along its schema: the same captures
 *
 * A format is one file with a `const struct tide_format_ops tide_format_NAME`, and a row of TIDE_FORMATS; everything else is the same for
 * all formats, so the same content gives the same records in each.
 *
 * A place is a position in a message that some shape reads: a JSON pointer or a column, split into its segments. Every distinct
 * place has one index, and a reader fills one capture per place, whichever shape will want it: so the line is read once, before
 * the shape is known. */
#ifndef TIDE_DECODE_PARTS_H
#define TIDE_DECODE_PARTS_H

#include "adapter/decode.h"

#define TIDE_TEXT_MAX 65535

struct tide_place {
  struct tide_span *segment; /* unescaped */
  uint32_t segment_count;    /* 1 .. TIDE_DEPTH_MAX */
  bool secret;               /* some shape reads a secret field here: masked, and never quoted in an error */
};

enum tide_capture_kind {
  TIDE_CAP_NONE,     /* not in the message; an empty CSV cell */
  TIDE_CAP_NULL,
  TIDE_CAP_TEXT,     /* string or cell */
  TIDE_CAP_NUMBER,   /* as written */
  TIDE_CAP_BYTES,    /* bytes that need not be text (Avro): for fields of texts only, and checked there */
  TIDE_CAP_TRUE,
  TIDE_CAP_FALSE,
  TIDE_CAP_COMPOUND  /* object or array */
};
struct tide_capture {
  enum tide_capture_kind kind;
  uint8_t time_form;     /* NUMBER: the enum tide_time_form that the message itself says it has (Avro); 0: it says nothing */
  struct tide_span text; /* TEXT, NUMBER, BYTES: in the message or in the scratch arena */
};
_Static_assert(TIDE_TIME_RFC3339 == 0, "no number is a time of RFC 3339");

/* Something of the spec bound to where it stands. */
struct tide_bound {
  const struct tide_input_field *in;
  const char *name;       /* of the field, outcome column or extra, for errors */
  uint32_t at, currency;  /* places; currency may be TIDE_NONE */
  bool secret;            /* its text is never shown */
  bool optional;          /* as declared, or by the kind of record (decode_bind.c) */
  bool may_lack;          /* optional, and nothing stands in for it */
  bool as_is;             /* a text in the message is its text: no map, and no secret */
  bool is_text;           /* and that is what its field holds */
};
struct tide_bound_shape {
  const struct tide_shape *shape;
  uint32_t when;          /* place, or TIDE_NONE */
  uint32_t known_at;      /* place, or TIDE_NONE: not asked for */
  uint8_t known_at_form;  /* enum tide_time_form */
  struct tide_bound *bound;
  uint32_t bound_count;
};

/* How messages of one format are read. `open` makes a reader for the places, which are borrowed and outlive it. */
struct tide_format_reader;
struct tide_format_ops {
  /* Errors: CONFIG (the options lack what the format needs). */
  enum tide_err (*open)(const struct tide_decode_options *, const struct tide_place *, uint32_t place_count, struct tide_format_reader **ret,
                        struct tide_error *);
  void (*close)(struct tide_format_reader *);
  /* Fills capture[] (place_count elements, all of them). Texts that do not stand in the message live in scratch. Errors: class INPUT; AGAIN: what
   * is needed to read it is out of reach now. */
  enum tide_err (*read)(struct tide_format_reader *, struct tide_span bytes, struct tide_capture *capture, struct tide_arena *scratch,
                        bool *scratch_used, struct tide_error *);
  /* The message with every value at a secret place replaced; false (and nothing appended) when it cannot be told where they stand. */
  bool (*mask)(struct tide_format_reader *, struct tide_span bytes, struct tide_buf *out);
  /* The three below: formats whose first line names the columns; else NULL. */
  enum tide_err (*header)(struct tide_format_reader *, struct tide_span line, struct tide_error *);
  uint32_t (*column)(const struct tide_format_reader *, uint32_t place); /* after the header: its index, or TIDE_NONE when there is no such column */
  const char *const *(*columns)(const struct tide_format_reader *, size_t *ret_count); /* the names, for suggestions */
};
struct tide_format_reader { const struct tide_format_ops *ops; };
#define X(constant, name) extern const struct tide_format_ops tide_format_##name;
TIDE_FORMATS(X)
#undef X

struct tide_decoder {
  struct tide_decode_options options;
  const struct tide_spec *spec;
  struct tide_arena arena;          /* what was compiled, lives as long as the decoder */
  struct tide_arena scratch;        /* unescaped strings of one message */
  bool scratch_used;
  struct tide_place *place;
  uint32_t place_count, place_cap;
  struct tide_capture *capture;     /* by place */
  struct tide_bound_shape *shape;   /* by spec->shape index */
  uint32_t beside;                  /* place, or TIDE_NONE */
  const struct tide_bound_shape *picked; /* of the message decoded last; NULL: none was found */
  uint32_t base;                    /* shape for messages that no `when` picks, or TIDE_NONE */
  struct tide_format_reader *reader;
  struct tide_span raw[TIDE_FIELDS_MAX]; /* text of each field of this message after map and default; what derive sees */
  uint64_t derived, derive_reads;   /* fields that are derived, and that derive expressions read, by bit */
  struct { char text[4]; uint8_t len; char code[4]; int exponent; } currency; /* the last one looked up */
  struct tide_secrets *secrets;     /* options.repeats; else NULL */
  struct tide_record record;        /* built here, copied out on success */
};

/* --- decode_bind.c: places and shapes from the spec. CONFIG when a pointer is malformed. */
enum tide_err tide_decode_bind(struct tide_decoder *decoder, struct tide_error *error) TIDE_WARN_UNUSED;
/* After the CSV header: every shape that rows can take finds its required columns. */
enum tide_err tide_decode_bind_header(struct tide_decoder *decoder, struct tide_error *error) TIDE_WARN_UNUSED;

/* --- decode_value.c */
/* The text of a bound value after trimming (secrets), map and default; an empty span when it is missing. */
enum tide_err tide_decode_text(struct tide_decoder *decoder, const struct tide_bound *bound, struct tide_span *ret,
                               struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_decode_time(const struct tide_decoder *decoder, const struct tide_bound *bound, struct tide_span text,
                               struct tide_etime *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_decode_bool(const struct tide_bound *bound, struct tide_span text, bool *ret,
                               struct tide_error *error) TIDE_WARN_UNUSED;
struct tide_money { int64_t minor; char currency[4]; uint8_t exponent; };
enum tide_err tide_decode_money(struct tide_decoder *decoder, const struct tide_bound *bound, struct tide_span text,
                                struct tide_money *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Into record->field[bound->in->field], by the field's type. text is not empty. */
enum tide_err tide_decode_field(struct tide_decoder *decoder, const struct tide_bound *bound, struct tide_span text,
                                struct tide_record *record, struct tide_error *error) TIDE_WARN_UNUSED;
/* Into the outcome: the column bound->in->dyn. */
enum tide_err tide_decode_dyn(struct tide_decoder *decoder, const struct tide_bound *bound, struct tide_span text,
                              struct tide_outcome *outcome, struct tide_error *error) TIDE_WARN_UNUSED;
/* A positive rate, exact to 10 decimals, times 10^10. */
enum tide_err tide_decode_rate(const struct tide_bound *bound, struct tide_span text, int64_t *ret,
                               struct tide_error *error) TIDE_WARN_UNUSED;
/* What may be shown of a value in an error: clipped, and nothing of a secret. */
struct tide_span tide_decode_shown(const struct tide_bound *bound, struct tide_span text);

/* A span cut to at most 40 bytes at a character boundary, so that error texts stay short and valid UTF-8. */
struct tide_span tide_clip(struct tide_span s);

/* --- decode_secret.c */
struct tide_secrets;
struct tide_secrets *tide_secrets_new(void);
/* What was kept is overwritten. NULL: nothing. */
void tide_secrets_free(struct tide_secrets *secrets);
/* The hashes of a secret text, which is not empty; alt is zero without a previous key. secrets NULL: nothing is kept. */
struct tide_secret_hashes { struct tide_u128 key, alt; };
struct tide_secret_hashes tide_secret_hashes(struct tide_secrets *secrets, const struct tide_secret_key *key, const struct tide_secret_key *alt,
                                             struct tide_span text);

/* --- decode_derive.c: fills the derived fields of record that are not there yet, from decoder->raw and record->field. */
void tide_decode_derive(struct tide_decoder *decoder, struct tide_record *record);
/* Fills decoder->derived and derive_reads. */
void tide_decode_derive_bind(struct tide_decoder *decoder);
/* Puts a text into a field: as text, or hashed when the field is secret. text is not empty. */
void tide_decode_put_text(struct tide_decoder *decoder, uint32_t field, struct tide_span text, struct tide_record *record);

#endif
