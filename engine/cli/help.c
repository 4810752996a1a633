/* Text generated from the verbs' tables: --help of the program, of a verb, and the Markdown of the reference page.
 *
 * Nothing about an option is written twice: names, defaults, ranges and choices come from the rows that the parser uses, exit codes, errors,
 * causes, settings and metrics from their own tables. So the page cannot drift; the end-to-end tests compare it with the repository's. */
#include "cli/args.h"

#include "base/meter.h"
#include "config/kafka.h"
#include "config/option.h"
#include "config/source.h"
#include "feature/expr.h"
#include "feature/settings.h"

#define COLUMNS 100

/* Writes text wrapped at COLUMNS; every line but the first begins with `indent` spaces; *column is where the cursor stands. */
static void wrap(struct tide_buf *out, const char *text, size_t indent, size_t column) {
  const char *at = text;
  bool fresh = true;
  while (*at) {
    if (*at == '\n') {
      tide_buf_printf(out, "\n%*s", (int)indent, "");
      column = indent;
      fresh = true;
      at++;
      continue;
    }
    size_t word = strcspn(at, " \n");
    if (!fresh && column + 1 + word > COLUMNS) {
      tide_buf_printf(out, "\n%*s", (int)indent, "");
      column = indent;
      fresh = true;
    }
    if (!fresh) {
      tide_buf_char(out, ' ');
      column++;
    }
    tide_buf_put(out, at, word);
    column += word;
    fresh = word == 0 && fresh;
    at += word;
    if (*at == ' ') at++;
  }
}

static size_t option_head(const struct tide_opt *opt, struct tide_buf *out) {
  size_t before = out->len;
  tide_buf_printf(out, "  --%s", opt->name);
  if (opt->arg) tide_buf_printf(out, " %s", opt->arg);
  return out->len - before;
}

static void option_facts(const struct tide_opt *opt, struct tide_buf *out) {
  tide_buf_str(out, opt->help);
  if (opt->choices) tide_buf_printf(out, " (%s)", opt->choices);
  if (opt->lo || opt->hi) tide_buf_printf(out, ", %lld to %lld", (long long)opt->lo, (long long)opt->hi);
  if (opt->flags & TIDE_OPT_REQUIRED) tide_buf_str(out, " [required]");
  if (opt->flags & TIDE_OPT_REPEAT) tide_buf_str(out, " [may be repeated]");
  if (opt->dflt) tide_buf_printf(out, " [default: %s]", opt->dflt);
}

static void option_rows(const struct tide_opt *opt, size_t count, struct tide_buf *out) {
  struct tide_buf facts = TIDE_BUF_INIT;
  for (size_t i = 0; i < count; i++) {
    size_t width = option_head(&opt[i], out);
    tide_buf_clear(&facts);
    option_facts(&opt[i], &facts);
    if (width > 30) tide_buf_printf(out, "\n%*s", 32, "");
    else tide_buf_printf(out, "%*s", (int)(32 - width), "");
    wrap(out, tide_buf_cstr(&facts), 32, 32);
    tide_buf_char(out, '\n');
  }
  tide_buf_release(&facts);
}

static void synopsis(const struct tide_verb *verb, struct tide_buf *out) {
  tide_buf_printf(out, "tidemark %s", verb->name);
  for (size_t i = 0; i < verb->positional_count; i++) {
    const struct tide_positional *p = &verb->positional[i];
    tide_buf_printf(out, p->optional ? " [%s%s]" : " %s%s", p->name, p->repeat ? "..." : "");
  }
  for (size_t i = 0; i < verb->opt_count; i++)
    if (verb->opt[i].flags & TIDE_OPT_REQUIRED) tide_buf_printf(out, " --%s %s", verb->opt[i].name, verb->opt[i].arg);
  tide_buf_str(out, " [OPTIONS]");
}

static void exit_codes(struct tide_buf *out) {
  tide_buf_str(out, "\nExit codes:\n");
#define X(name, code, text)                                                                                                                \
  tide_buf_printf(out, "  %-4d", code);                                                                                                    \
  wrap(out, text, 6, 6);                                                                                                                   \
  tide_buf_char(out, '\n');
  TIDE_EXITS(X)
#undef X
}

void tide_help_verb(const struct tide_verb *verb, struct tide_buf *out) {
  tide_buf_str(out, "Usage: ");
  synopsis(verb, out);
  tide_buf_printf(out, "\n\n%s.\n", verb->summary);
  if (verb->about) {
    tide_buf_char(out, '\n');
    wrap(out, verb->about, 0, 0);
    tide_buf_char(out, '\n');
  }
  if (verb->positional_count) {
    tide_buf_str(out, "\nArguments:\n");
    for (size_t i = 0; i < verb->positional_count; i++) {
      tide_buf_printf(out, "  %-28s  ", verb->positional[i].name);
      wrap(out, verb->positional[i].help, 32, 32);
      tide_buf_char(out, '\n');
    }
  }
  tide_buf_str(out, "\nOptions:\n");
  option_rows(verb->opt, verb->opt_count, out);
  option_rows(tide_opt_common, tide_opt_common_count, out);
  tide_buf_str(out, "\nExample:\n");
  for (const char *at = verb->example; *at;) {
    size_t line = strcspn(at, "\n");
    tide_buf_printf(out, "  %.*s\n", (int)line, at);
    at += line + (at[line] == '\n');
  }
  exit_codes(out);
}

static void verb_rows(const struct tide_verb *const *verb, size_t verb_count, const char *word, struct tide_buf *out) {
  size_t len = word ? strlen(word) : 0;
  for (size_t i = 0; i < verb_count; i++)
    if (!word || (strncmp(verb[i]->name, word, len) == 0 && verb[i]->name[len] == ' '))
      tide_buf_printf(out, "  %-20s%s\n", verb[i]->name, verb[i]->summary);
}

void tide_help_program(const struct tide_verb *const *verb, size_t verb_count, struct tide_buf *out) {
  tide_buf_str(out, "Usage: tidemark VERB [ARGUMENTS] [OPTIONS]\n\n"
                    "Exact event-time velocity features and decisions for card transactions.\n\nVerbs:\n");
  verb_rows(verb, verb_count, NULL, out);
  tide_buf_str(out, "\nOptions of every verb:\n");
  option_rows(tide_opt_common, tide_opt_common_count, out);
  tide_buf_str(out,
               "\nExample:\n  tidemark generate --seed 42 --transactions 10000 --output log.jsonl\n"
               "  tidemark replay --features config/defaults/features.yaml --input log.jsonl --output decisions.jsonl --dev-key --summary\n"
               "  tidemark replay --help\n");
  exit_codes(out);
}

bool tide_help_group(const struct tide_verb *const *verb, size_t verb_count, const char *word, struct tide_buf *out) {
  size_t before = out->len;
  verb_rows(verb, verb_count, word, out);
  if (out->len == before) return false;
  tide_buf_printf(out, "\nSee tidemark %s VERB --help.\n", word);
  return true;
}

/* A cell of a Markdown table: bars would end it. */
static void cell(struct tide_buf *out, const char *text) {
  tide_buf_str(out, " ");
  for (const char *at = text; *at; at++) {
    if (*at == '|') tide_buf_char(out, '\\');
    tide_buf_char(out, *at);
  }
  tide_buf_str(out, " |");
}

static void document_options(const struct tide_opt *opt, size_t count, struct tide_buf *out) {
  struct tide_buf name = TIDE_BUF_INIT;
  for (size_t i = 0; i < count; i++) {
    tide_buf_clear(&name);
    tide_buf_printf(&name, "`--%s%s%s`", opt[i].name, opt[i].arg ? " " : "", opt[i].arg ? opt[i].arg : "");
    tide_buf_char(out, '|');
    cell(out, tide_buf_cstr(&name));
    cell(out, opt[i].dflt ? opt[i].dflt : opt[i].flags & TIDE_OPT_REQUIRED ? "required" : "");
    tide_buf_clear(&name);
    struct tide_opt facts = opt[i];
    facts.dflt = NULL;
    facts.flags &= (uint8_t)~TIDE_OPT_REQUIRED;
    option_facts(&facts, &name);
    cell(out, tide_buf_cstr(&name));
    tide_buf_char(out, '\n');
  }
  tide_buf_release(&name);
}

static void document_verb(const struct tide_verb *verb, struct tide_buf *out) {
  tide_buf_printf(out, "\n### %s\n\n%s.\n\n```\n", verb->name, verb->summary);
  synopsis(verb, out);
  tide_buf_str(out, "\n```\n\n");
  if (verb->about) tide_buf_printf(out, "%s\n\n", verb->about);
  for (size_t i = 0; i < verb->positional_count; i++)
    tide_buf_printf(out, "- `%s`: %s\n%s", verb->positional[i].name, verb->positional[i].help, i + 1 == verb->positional_count ? "\n" : "");
  tide_buf_str(out, "| option | default | meaning |\n|---|---|---|\n");
  document_options(verb->opt, verb->opt_count, out);
  tide_buf_printf(out, "\nExample:\n```\n%s\n```\n", verb->example);
}

static void document_setting(const char *name, int64_t dflt, int64_t lo, int64_t hi, const char *help, struct tide_buf *out) {
  char text[3][32];
  int64_t value[3] = {dflt, lo, hi};
  for (int i = 0; i < 3; i++) {
    if (value[i] == INT64_MIN) snprintf(text[i], sizeof text[i], "first event");
    else if (value[i] == INT64_MAX) snprintf(text[i], sizeof text[i], "any");
    else snprintf(text[i], sizeof text[i], "%lld", (long long)value[i]);
  }
  tide_buf_printf(out, "| `%s` | %s | %s | %s | %s |\n", name, text[0], text[1], text[2], help);
}

void tide_help_document(const struct tide_verb *const *verb, size_t verb_count, struct tide_buf *out) {
  tide_buf_str(
      out, "# Reference\n\nGenerated by `make docs` from the tables in the source (`tidemark docs options`); do not edit.\n\n## Verbs\n\n");
  tide_buf_str(out, "Options of every verb:\n\n| option | default | meaning |\n|---|---|---|\n");
  document_options(tide_opt_common, tide_opt_common_count, out);
  for (size_t i = 0; i < verb_count; i++) document_verb(verb[i], out);
  tide_buf_str(out, "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
#define X(name, code, text) tide_buf_printf(out, "| %d | %s |\n", code, text);
  TIDE_EXITS(X)
#undef X
  tide_buf_str(
      out,
      "\n## Operator's options\n\nA section of the file per word before the dot (`http.port` is `port:` under `http:`); each over the one before: "
      "default, file, environment, `--set`. A running engine takes over those marked reload on SIGHUP, and refuses a file that changes "
      "another one.\n\n");
  tide_options_document(out);
  tide_buf_str(out, "\n## Sources\n\n");
  tide_sources_document(out);
  tide_buf_str(out, "\n## Kafka settings\n\n");
  tide_kafka_document(out);
  tide_buf_str(out,
               "\n## Settings\n\nJournaled with the feature file, because they decide values. Milliseconds unless the name says else.\n\n"
               "| setting | default | least | most | meaning |\n|---|---|---|---|---|\n");
#define X(name, dflt, lo, hi, help) document_setting(#name, dflt, lo, hi, help, out);
  TIDE_SETTINGS(X)
#undef X
  tide_buf_str(
      out, "\n## Errors\n\nThe name stands in rejects files and metrics.\n\n| name | class | exit code | meaning |\n|---|---|---|---|\n");
#define X(name, class, text)                                                                                                               \
  if (TIDE_##name != TIDE_OK)                                                                                                              \
    tide_buf_printf(out, "| `%s` | %s | %d | %s |\n", tide_err_name(TIDE_##name), #class, (int)tide_exit_of(TIDE_##name), text);
  TIDE_ERRS(X)
#undef X
  tide_buf_str(
      out,
      "\n## Causes\n\nWhy a value is null, or a decision fell back; whether the transaction counts when a decision has it (unless it was not to be "
      "counted anyway), and what then.\n\n| cause | meaning | counts | what then |\n|---|---|---|---|\n");
#define X(name, text, counted, then) tide_buf_printf(out, "| `%s` | %s | %s | %s |\n", #name, text, counted, then);
  TIDE_CAUSES(X)
#undef X
  tide_buf_str(out, "\n## Metrics\n\n");
  tide_meters_document(out);
}
