/* tidemark docs options: the reference page, from the tables. tidemark docs routes: what the HTTP server answers, from its tables.
 *
 * `make docs` writes it to config/REFERENCE.md, and tests/e2e/01_help.sh fails when the two differ: the page in the repository is
 * always that of the program beside it. */
#include "cli/verbs.h"

#include "http/routes.h"

static int print(struct tide_buf *page) {
  bool written = fwrite(page->ptr, 1, page->len, stdout) == page->len && fflush(stdout) == 0;
  tide_buf_release(page);
  return written ? TIDE_EXIT_OK : TIDE_EXIT_IO;
}

static int run(const struct tide_args *args) {
  (void)args;
  struct tide_buf page = TIDE_BUF_INIT;
  tide_help_document(tide_verbs, tide_verb_count, &page);
  return print(&page);
}

static int run_routes(const struct tide_args *args) {
  (void)args;
  struct tide_buf page = TIDE_BUF_INIT;
  tide_routes_document(&page);
  return print(&page);
}

const struct tide_verb tide_verb_docs_options = {
    .name = "docs options",
    .summary = "Print the reference of verbs, options, settings, errors, causes and metrics as Markdown",
    .about = "Generated from the same tables as the program's behaviour, so it cannot be out of date.",
    .example = "tidemark docs options > config/REFERENCE.md",
    .run = run};

const struct tide_verb tide_verb_docs_routes = {
    .name = "docs routes",
    .summary = "Print the routes and problem types of the HTTP server, tab-separated",
    .about =
        "One line per route (route, listener, method, path, meaning) and per problem type (problem, type, status, title), from the tables that the server uses.",
    .example = "tidemark docs routes | grep ^problem",
    .run = run_routes};
