/* tidemark version.
 *
 * It also names the journal format and the fold version, because these decide which journals this program can read: another one is refused,
 * never guessed. */
#include "cli/verbs.h"

#include "core/batch.h"

static int run(const struct tide_args *args) {
  (void)args;
  printf("tidemark %s (journal format %d, fold version %d)\n", TIDE_VERSION, TIDE_ENTRY_FORMAT, TIDE_FOLD_VERSION);
  return TIDE_EXIT_OK;
}

const struct tide_verb tide_verb_version = {.name = "version",
                                            .summary = "Print the version of the program, the journal format and the fold",
                                            .about = "Journals of another format or fold version are refused, never guessed.",
                                            .example = "tidemark version",
                                            .run = run};
