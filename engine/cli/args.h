/* Command lines from tables: each verb is one row, each option one row, and parsing, checking, --help and the reference page all come
 * from the same rows, so they cannot drift apart.
 *
 * Options are long (--name VALUE or --name=VALUE); `--` ends them; a lone `-` is a positional (standard input or output). Values are
 * checked against their row while parsing, so a verb only ever sees values in range. The nearest name is suggested for a wrong one. */
#ifndef TIDE_ARGS_H
#define TIDE_ARGS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdio.h>

/* Exit codes, documented in --help and the reference page. */
#define TIDE_EXITS(X)                                                                  \
  X(OK, 0, "done")                                                                     \
  X(DIFFERENT, 1, "done, but it found what it was asked to look for: differences, failed tests, things to fix") \
  X(USAGE, 2, "wrong command line")                                                    \
  X(CONFIG, 3, "mistake in the feature file, the settings or the key")                 \
  X(IO, 4, "a file or directory cannot be read or written, or a limit is reached")     \
  X(CORRUPT, 5, "a journal or decisions file is corrupt or does not match")            \
  X(BUG, 70, "a bug in Tidemark")
enum tide_exit {
#define X(name, code, text) TIDE_EXIT_##name = code,
  TIDE_EXITS(X)
#undef X
};

enum tide_opt_kind {
  TIDE_OPT_SWITCH,   /* no value */
  TIDE_OPT_TEXT,
  TIDE_OPT_INT,      /* lo..hi */
  TIDE_OPT_PERCENT,  /* a decimal number lo..hi */
  TIDE_OPT_DURATION, /* 10m, 7d */
  TIDE_OPT_TIME,     /* RFC 3339 or milliseconds */
  TIDE_OPT_CHOICE    /* one of `choices`, separated by | */
};

#define TIDE_OPT_REQUIRED 1
#define TIDE_OPT_REPEAT 2 /* may be given several times */
#define TIDE_OPT_WRITTEN 4 /* a file that the verb writes: never one that it is given beside it */

struct tide_opt {
  const char *name;    /* "input", given as --input */
  const char *arg;     /* "FILE"; NULL for a switch */
  const char *dflt;    /* default as text, NULL: none */
  const char *help;
  uint8_t kind;        /* enum tide_opt_kind */
  uint8_t flags;
  int64_t lo, hi;      /* INT, PERCENT; both 0: any */
  const char *choices; /* CHOICE */
};

/* A positional argument. Optional ones come last; a repeated one is the last. */
struct tide_positional {
  const char *name; /* "TRANSACTION_ID" */
  const char *help;
  bool optional, repeat;
};

struct tide_args;
struct tide_verb {
  const char *name;    /* "replay", or two words: "features check" */
  const char *summary; /* one line */
  const char *about;   /* a paragraph or more, may be NULL */
  const char *example; /* complete command lines, one per line */
  const struct tide_opt *opt;
  size_t opt_count;
  const struct tide_positional *positional;
  size_t positional_count;
  int (*run)(const struct tide_args *args); /* an enum tide_exit */
};

/* Options every verb has besides its own. */
extern const struct tide_opt tide_opt_common[];
extern const size_t tide_opt_common_count;

/* What was given. Borrowed from argv and the tables. */
struct tide_args {
  const struct tide_verb *verb;
  struct tide_given { const struct tide_opt *opt; const char *value; } *given;
  size_t given_count;
  const char **positional;
  size_t positional_count;
};

/* Parses argv[0..argc) (behind the verb) against a verb's tables. Error: USAGE, with the option in error->field and a suggestion.
 * *ret_help is true when --help stands among them (nothing else is checked then). Release in every case. */
enum tide_err tide_args_parse(const struct tide_verb *verb, int argc, char **argv, struct tide_args *ret, bool *ret_help, struct tide_error *error)
    TIDE_WARN_UNUSED;
void tide_args_release(struct tide_args *args);

/* Values by option name: the last one given, else the default, else NULL/0/false. A name that is not in the tables is our bug. */
const char *tide_args_text(const struct tide_args *args, const char *name);
bool tide_args_on(const struct tide_args *args, const char *name); /* a switch, or: was the option given */
int64_t tide_args_int(const struct tide_args *args, const char *name);
double tide_args_double(const struct tide_args *args, const char *name);
int64_t tide_args_duration_ms(const struct tide_args *args, const char *name);
/* The n-th value of a repeated option, NULL behind the last (the default counts as the first when none is given). */
const char *tide_args_nth(const struct tide_args *args, const char *name, size_t n);
/* A positional by index, NULL when it was not given. */
const char *tide_args_at(const struct tide_args *args, size_t index);
/* RFC 3339 or milliseconds, as TIDE_OPT_TIME takes them. Error: SYNTAX, RANGE. */
enum tide_err tide_args_time_parse(const char *text, int64_t *ret_ms) TIDE_WARN_UNUSED;

/* Finds a verb by its one or two words in argv; *ret_words tells how many it took. NULL when there is none. */
const struct tide_verb *tide_verb_find(const struct tide_verb *const *verb, size_t verb_count, int argc, char **argv, int *ret_words);

/* Generated text. */
void tide_help_program(const struct tide_verb *const *verb, size_t verb_count, struct tide_buf *out);
void tide_help_verb(const struct tide_verb *verb, struct tide_buf *out);
/* The verbs that begin with this word, when a word alone is only the beginning of one ("features"); false if none. */
bool tide_help_group(const struct tide_verb *const *verb, size_t verb_count, const char *word, struct tide_buf *out);
/* Markdown for the reference page. */
void tide_help_document(const struct tide_verb *const *verb, size_t verb_count, struct tide_buf *out);

/* One switch: which exit code an error means. */
enum tide_exit tide_exit_of(enum tide_err err);
/* Prints "tidemark: ..." with place and field to stderr and returns the exit code. */
int tide_exit_report(const struct tide_error *error);

#endif
