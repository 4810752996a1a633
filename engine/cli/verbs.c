/* The list of verbs and the program around it.
 *
 * Finds the verb in the command line, lets the tables parse what follows, and runs it. A verb knows nothing of the program; the program knows
 * nothing of a verb but its row. */
#include "cli/verbs.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"

const struct tide_verb *const tide_verbs[] = {
#define X(name) &tide_verb_##name,
    TIDE_VERBS(X)
#undef X
};
const size_t tide_verb_count = sizeof tide_verbs / sizeof tide_verbs[0];

enum tide_err tide_journal_arg(const char *text, const char **ret_dir, struct tide_error *error) {
  if (strcmp(text, "memory") == 0) {
    *ret_dir = NULL;
    return TIDE_OK;
  }
  if (strncmp(text, "file:", 5) == 0 && text[5]) {
    *ret_dir = text + 5;
    return TIDE_OK;
  }
  return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "journal", "--journal is memory or file:DIRECTORY, not \"%.100s\"", text);
}

enum { VERBS_MAX = 128 };

static int print(struct tide_buf *text, FILE *out, int exit) {
  fwrite(text->ptr, 1, text->len, out);
  tide_buf_release(text);
  if (fflush(out) != 0 || ferror(out)) {
    perror("tidemark: cannot write");
    return TIDE_EXIT_IO;
  }
  return exit;
}

static int unknown_verb(const char *word) {
  const char *name[VERBS_MAX];
  char first[VERBS_MAX][32];
  TIDE_CHECK(tide_verb_count <= VERBS_MAX);
  for (size_t i = 0; i < tide_verb_count; i++) {
    snprintf(first[i], sizeof first[i], "%.*s", (int)strcspn(tide_verbs[i]->name, " "), tide_verbs[i]->name);
    name[i] = first[i];
  }
  const char *nearest = tide_nearest(tide_span_of(word), name, tide_verb_count);
  if (nearest) fprintf(stderr, "tidemark: there is no verb \"%.60s\"; did you mean %s?\n", word, nearest);
  else fprintf(stderr, "tidemark: there is no verb \"%.60s\"; see tidemark --help\n", word);
  return TIDE_EXIT_USAGE;
}

static int run_verb(const struct tide_verb *verb, int argc, char **argv) {
  struct tide_args args;
  struct tide_error error = {0};
  bool help;
  int exit;
  if (tide_args_parse(verb, argc, argv, &args, &help, &error) != TIDE_OK) {
    exit = tide_exit_report(&error);
  } else if (help) {
    struct tide_buf text = TIDE_BUF_INIT;
    tide_help_verb(verb, &text);
    exit = print(&text, stdout, TIDE_EXIT_OK);
  } else {
    enum tide_log_level level;
    TIDE_CHECK(tide_log_level_parse(tide_args_text(&args, "log-level"), &level));
    tide_log_level_set(level);
    exit = verb->run(&args);
    /* A summary that nobody could be given is no success; most verbs only print and look no further. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && (exit == TIDE_EXIT_OK || exit == TIDE_EXIT_DIFFERENT)) {
      perror("tidemark: cannot write to standard output");
      exit = TIDE_EXIT_IO;
    }
  }
  tide_args_release(&args);
  return exit;
}

/* Who starts a program with a standard stream closed gives its number to the next file that is opened, and log lines would go into a journal. What is
 * opened here instead cannot be read or written, so whoever uses the stream is still told. */
static void occupy_standard_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
}

int tide_cli_main(int argc, char **argv) {
  occupy_standard_streams();
  struct tide_buf text = TIDE_BUF_INIT;
  if (argc < 2) {
    tide_help_program(tide_verbs, tide_verb_count, &text);
    return print(&text, stderr, TIDE_EXIT_USAGE);
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    tide_help_program(tide_verbs, tide_verb_count, &text);
    return print(&text, stdout, TIDE_EXIT_OK);
  }
  if (strcmp(argv[1], "--version") == 0) return run_verb(&tide_verb_version, 0, argv + 2);
  int words = 0;
  const struct tide_verb *verb = tide_verb_find(tide_verbs, tide_verb_count, argc - 1, argv + 1, &words);
  if (verb) return run_verb(verb, argc - 1 - words, argv + 1 + words);
  if (argv[1][0] != '-' && tide_help_group(tide_verbs, tide_verb_count, argv[1], &text)) {
    bool asked = argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (argc > 2 && !asked) fprintf(stderr, "tidemark: %s has no \"%.60s\"; it has:\n", argv[1], argv[2]);
    return print(&text, asked ? stdout : stderr, asked ? TIDE_EXIT_OK : TIDE_EXIT_USAGE);
  }
  tide_buf_release(&text);
  return unknown_verb(argv[1]);
}
