/* Parsing and checking command lines against the verbs' tables (args.h); generated text is in help.c.
 *
 * Everything a row says about its value is checked while parsing, once, so a verb never sees a value out of range and every mistake is
 * told the same way: which option, what was given, what it takes. Which exit code an error means is the one switch at the end. */
#include "cli/args.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <sys/stat.h>

const struct tide_opt tide_opt_common[] = {
    {"log-level", "LEVEL", "info", "Least level of log lines on stderr", TIDE_OPT_CHOICE, 0, 0, 0, "debug|info|warn|error"},
    {"help", NULL, NULL, "Show this help and exit", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};
const size_t tide_opt_common_count = sizeof tide_opt_common / sizeof tide_opt_common[0];

static const struct tide_opt *find_option(const struct tide_verb *verb, struct tide_span name) {
  for (size_t i = 0; i < verb->opt_count; i++)
    if (tide_span_is(name, verb->opt[i].name)) return &verb->opt[i];
  for (size_t i = 0; i < tide_opt_common_count; i++)
    if (tide_span_is(name, tide_opt_common[i].name)) return &tide_opt_common[i];
  return NULL;
}

static enum tide_err unknown_option(const struct tide_verb *verb, struct tide_span name, struct tide_error *error) {
  const char *candidate[128];
  size_t count = 0;
  TIDE_CHECK(verb->opt_count + tide_opt_common_count <= 128);
  for (size_t i = 0; i < verb->opt_count; i++) candidate[count++] = verb->opt[i].name;
  for (size_t i = 0; i < tide_opt_common_count; i++) candidate[count++] = tide_opt_common[i].name;
  const char *nearest = tide_nearest(name, candidate, count);
  if (nearest)
    return tide_fail(error, TIDE_E_USAGE, "%s has no option --%.*s; did you mean --%s?", verb->name, (int)(name.len < 60 ? name.len : 60),
                     name.ptr, nearest);
  return tide_fail(error, TIDE_E_USAGE, "%s has no option --%.*s; see tidemark %s --help", verb->name, (int)(name.len < 60 ? name.len : 60),
                   name.ptr, verb->name);
}

static bool is_choice(const char *choices, const char *value) {
  size_t len = strlen(value);
  for (const char *at = choices; at; at = strchr(at, '|')) {
    if (*at == '|') at++;
    size_t word = strcspn(at, "|");
    if (word == len && memcmp(at, value, len) == 0) return true;
  }
  return false;
}

enum tide_err tide_args_time_parse(const char *text, int64_t *ret_ms) {
  struct tide_etime time;
  struct tide_span span = tide_span_of(text);
  bool digits = span.len > 0 && strspn(text, "-0123456789") == span.len;
  enum tide_err err = tide_time_parse(span, digits ? TIDE_TIME_EPOCH_MS : TIDE_TIME_RFC3339, &time);
  if (err == TIDE_OK) *ret_ms = time.ms;
  return err;
}

/* Everything a row says about a value is checked here, once. */
static enum tide_err check_value(const struct tide_opt *opt, const char *value, struct tide_error *error) {
  struct tide_span span = tide_span_of(value);
  int64_t num;
  double real;
  switch ((enum tide_opt_kind)opt->kind) {
    case TIDE_OPT_SWITCH: return TIDE_OK;
    case TIDE_OPT_TEXT:
      if (span.len == 0)
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s needs a %s that is not empty", opt->name, opt->arg);
      return TIDE_OK;
    case TIDE_OPT_INT:
      if (tide_int_parse(span, &num) != TIDE_OK)
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s needs a whole number, not \"%.60s\"", opt->name, value);
      if ((opt->lo || opt->hi) && (num < opt->lo || num > opt->hi))
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s is %lld and must be %lld to %lld", opt->name, (long long)num,
                            (long long)opt->lo, (long long)opt->hi);
      return TIDE_OK;
    case TIDE_OPT_PERCENT:
      if (tide_double_parse(span, &real) != TIDE_OK)
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s needs a number, not \"%.60s\"", opt->name, value);
      if ((opt->lo || opt->hi) && (real < (double)opt->lo || real > (double)opt->hi))
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s is %s and must be %lld to %lld", opt->name, value,
                            (long long)opt->lo, (long long)opt->hi);
      return TIDE_OK;
    case TIDE_OPT_DURATION:
      if (tide_duration_parse(span, &num) != TIDE_OK)
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name,
                            "--%s needs a duration like 500ms, 10m, 1h or 7d, at most 3650d, not \"%.60s\"", opt->name, value);
      return TIDE_OK;
    case TIDE_OPT_TIME:
      if (tide_args_time_parse(value, &num) != TIDE_OK)
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name,
                            "--%s needs a time like 2026-01-31T00:00:00Z (or milliseconds), not \"%.60s\"", opt->name, value);
      return TIDE_OK;
    case TIDE_OPT_CHOICE:
      if (!is_choice(opt->choices, value))
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s must be one of %s, not \"%.60s\"", opt->name, opt->choices, value);
      return TIDE_OK;
  }
  return TIDE_OK;
}

static bool is_given(const struct tide_args *args, const struct tide_opt *opt) {
  for (size_t i = 0; i < args->given_count; i++)
    if (args->given[i].opt == opt) return true;
  return false;
}

static enum tide_err parse_option(const struct tide_verb *verb, int argc, char **argv, int *i, struct tide_args *args,
                                  struct tide_error *error) {
  const char *word = argv[*i] + 2, *equals = strchr(word, '=');
  struct tide_span name = {word, equals ? (size_t)(equals - word) : strlen(word)};
  const struct tide_opt *opt = find_option(verb, name);
  if (!opt) return unknown_option(verb, name, error);
  const char *value = "";
  if (opt->kind == TIDE_OPT_SWITCH) {
    if (equals) return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s takes no value", opt->name);
  } else if (equals) {
    value = equals + 1;
  } else {
    /* A value may be "-" but not an option: a forgotten value must not swallow the next one. */
    if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
      return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s needs a %s", opt->name, opt->arg);
    value = argv[++*i];
  }
  enum tide_err err = check_value(opt, value, error);
  if (err != TIDE_OK) return err;
  if (!(opt->flags & TIDE_OPT_REPEAT) && is_given(args, opt))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, opt->name, "--%s is given twice", opt->name);
  args->given[args->given_count++] = (struct tide_given){opt, value};
  return TIDE_OK;
}

static enum tide_err check_complete(const struct tide_args *args, struct tide_error *error) {
  const struct tide_verb *verb = args->verb;
  for (size_t i = 0; i < verb->opt_count; i++)
    if ((verb->opt[i].flags & TIDE_OPT_REQUIRED) && !is_given(args, &verb->opt[i]))
      return tide_fail_at(error, TIDE_E_USAGE, 0, 0, verb->opt[i].name, "%s needs --%s %s (%s)", verb->name, verb->opt[i].name,
                          verb->opt[i].arg, verb->opt[i].help);
  for (size_t i = args->positional_count; i < verb->positional_count; i++)
    if (!verb->positional[i].optional)
      return tide_fail(error, TIDE_E_USAGE, "%s needs %s: %s", verb->name, verb->positional[i].name, verb->positional[i].help);
  bool repeats = verb->positional_count && verb->positional[verb->positional_count - 1].repeat;
  if (!repeats && args->positional_count > verb->positional_count)
    return tide_fail(error, TIDE_E_USAGE, "%s does not know what to do with \"%.100s\"; see tidemark %s --help", verb->name,
                     args->positional[verb->positional_count], verb->name);
  return TIDE_OK;
}

static bool is_file(const char *arg) { return arg && strcmp(arg, "FILE") == 0; }

/* Links and other spellings of a path are seen through. A file that is not there yet has only its name; a device may stand in two places. */
static bool same_file(const char *a, const char *b) {
  struct stat of_a, of_b;
  if (stat(a, &of_a) != 0 || stat(b, &of_b) != 0) return strcmp(a, b) == 0 && strcmp(a, "-") != 0;
  return S_ISREG(of_a.st_mode) && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* What is written is emptied first: the log that a slip of the hand names as its own output would be gone before its first line was read. */
static enum tide_err check_written(const struct tide_args *args, struct tide_error *error) {
  for (size_t i = 0; i < args->given_count; i++) {
    const struct tide_given *written = &args->given[i];
    if (!(written->opt->flags & TIDE_OPT_WRITTEN)) continue;
    for (size_t k = 0; k < args->given_count; k++)
      if (k != i && is_file(args->given[k].opt->arg) && same_file(written->value, args->given[k].value))
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, written->opt->name,
                            "--%s and --%s name the same file, %.200s, which would be overwritten; give --%s another name",
                            written->opt->name, args->given[k].opt->name, args->given[k].value, written->opt->name);
    for (size_t k = 0; k < args->positional_count && k < args->verb->positional_count; k++)
      if (is_file(args->verb->positional[k].name) && same_file(written->value, args->positional[k]))
        return tide_fail_at(error, TIDE_E_USAGE, 0, 0, written->opt->name,
                            "--%s names %.200s itself, which would be overwritten; give it another name", written->opt->name,
                            args->positional[k]);
  }
  return TIDE_OK;
}

enum tide_err tide_args_parse(const struct tide_verb *verb, int argc, char **argv, struct tide_args *ret, bool *ret_help,
                              struct tide_error *error) {
  size_t room = (size_t)(argc > 0 ? argc : 1);
  *ret = (struct tide_args){
      .verb = verb, .given = tide_alloc(room * sizeof *ret->given), .positional = tide_alloc(room * sizeof *ret->positional)};
  *ret_help = false;
  bool ended = false;
  for (int i = 0; i < argc; i++) {
    if (!ended && strcmp(argv[i], "--") == 0) break;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      *ret_help = true;
      return TIDE_OK;
    }
  }
  for (int i = 0; i < argc; i++) {
    if (!ended && strcmp(argv[i], "--") == 0) {
      ended = true;
    } else if (!ended && strncmp(argv[i], "--", 2) == 0) {
      enum tide_err err = parse_option(verb, argc, argv, &i, ret, error);
      if (err != TIDE_OK) return err;
    } else if (!ended && argv[i][0] == '-' && argv[i][1] != '\0') {
      return tide_fail(error, TIDE_E_USAGE, "options are written in full, with two dashes; %s does not know \"%.60s\"", verb->name,
                       argv[i]);
    } else {
      ret->positional[ret->positional_count++] = argv[i];
    }
  }
  enum tide_err err = check_complete(ret, error);
  return err ? err : check_written(ret, error);
}

void tide_args_release(struct tide_args *args) {
  tide_free(args->given);
  tide_free(args->positional);
  *args = (struct tide_args){0};
}

static const struct tide_opt *known_option(const struct tide_args *args, const char *name) {
  const struct tide_opt *opt = find_option(args->verb, tide_span_of(name));
  TIDE_CHECK(opt != NULL);
  return opt;
}

const char *tide_args_text(const struct tide_args *args, const char *name) {
  const struct tide_opt *opt = known_option(args, name);
  for (size_t i = args->given_count; i > 0; i--)
    if (args->given[i - 1].opt == opt) return args->given[i - 1].value;
  return opt->dflt;
}

bool tide_args_on(const struct tide_args *args, const char *name) { return is_given(args, known_option(args, name)); }

int64_t tide_args_int(const struct tide_args *args, const char *name) {
  const char *text = tide_args_text(args, name);
  int64_t num = 0;
  if (text) TIDE_CHECK(tide_int_parse(tide_span_of(text), &num) == TIDE_OK);
  return num;
}

double tide_args_double(const struct tide_args *args, const char *name) {
  const char *text = tide_args_text(args, name);
  double num = 0;
  if (text) TIDE_CHECK(tide_double_parse(tide_span_of(text), &num) == TIDE_OK);
  return num;
}

int64_t tide_args_duration_ms(const struct tide_args *args, const char *name) {
  const char *text = tide_args_text(args, name);
  int64_t ms = 0;
  if (text) TIDE_CHECK(tide_duration_parse(tide_span_of(text), &ms) == TIDE_OK);
  return ms;
}

const char *tide_args_nth(const struct tide_args *args, const char *name, size_t n) {
  const struct tide_opt *opt = known_option(args, name);
  size_t seen = 0;
  for (size_t i = 0; i < args->given_count; i++)
    if (args->given[i].opt == opt && seen++ == n) return args->given[i].value;
  return seen == 0 && n == 0 ? opt->dflt : NULL;
}

const char *tide_args_at(const struct tide_args *args, size_t index) {
  return index < args->positional_count ? args->positional[index] : NULL;
}

const struct tide_verb *tide_verb_find(const struct tide_verb *const *verb, size_t verb_count, int argc, char **argv, int *ret_words) {
  for (size_t i = 0; i < verb_count; i++) {
    const char *space = strchr(verb[i]->name, ' ');
    size_t first = space ? (size_t)(space - verb[i]->name) : strlen(verb[i]->name);
    if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], verb[i]->name, first) != 0) continue;
    if (!space) {
      *ret_words = 1;
      return verb[i];
    }
    if (argc >= 2 && strcmp(argv[1], space + 1) == 0) {
      *ret_words = 2;
      return verb[i];
    }
  }
  return NULL;
}

enum tide_exit tide_exit_of(enum tide_err err) {
  if (err == TIDE_E_USAGE) return TIDE_EXIT_USAGE;
  if (err == TIDE_E_CORRUPT || err == TIDE_E_MISMATCH) return TIDE_EXIT_CORRUPT;
  switch (tide_err_class(err)) {
    case TIDE_CLASS_NONE: return TIDE_EXIT_OK;
    case TIDE_CLASS_INPUT: return TIDE_EXIT_CONFIG; /* of a feature file or setting: bad messages never end a run */
    case TIDE_CLASS_CONFIG: return TIDE_EXIT_CONFIG;
    case TIDE_CLASS_RETRY:
    case TIDE_CLASS_INDETERMINATE:
    case TIDE_CLASS_LIMIT:
    case TIDE_CLASS_IO: return TIDE_EXIT_IO;
    case TIDE_CLASS_BUG: return TIDE_EXIT_BUG;
  }
  return TIDE_EXIT_BUG;
}

int tide_exit_report(const struct tide_error *error) {
  fprintf(stderr, "tidemark: ");
  if (error->line) fprintf(stderr, "line %d", error->line);
  if (error->line && error->column) fprintf(stderr, ", column %d", error->column);
  if (error->line) fprintf(stderr, ": ");
  fprintf(stderr, "%s\n", error->text[0] ? error->text : tide_err_text(error->code));
  return (int)tide_exit_of(error->code);
}
