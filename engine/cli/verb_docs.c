/* tidemark docs options: the reference page, from the tables.
 *
 * `make docs` writes it to config/REFERENCE.md, and tests/e2e/01_help.sh fails when the two differ: the page in the repository is
 * always that of the program beside it. */
#include "cli/verbs.h"

static int run(const struct tide_args *args) {
  (void)args;
  struct tide_buf page = TIDE_BUF_INIT;
  tide_help_document(tide_verbs, tide_verb_count, &page);
  bool written = fwrite(page.ptr, 1, page.len, stdout) == page.len && fflush(stdout) == 0;
  tide_buf_release(&page);
  return written ? TIDE_EXIT_OK : TIDE_EXIT_IO;
}

const struct tide_verb tide_verb_docs_options = {
    .name = "docs options",
    .summary = "Print the reference of verbs, options, settings, errors, causes and metrics as Markdown",
    .about = "Generated from the same tables as the program's behaviour, so it cannot be out of date.",
    .example = "tidemark docs options > config/REFERENCE.md",
    .run = run};
