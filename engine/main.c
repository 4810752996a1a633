/* The program.
 *
 * Wiring only: everything is in engine/cli and is part of the library, so that tests can link it. The exit code is that of the verb
 * (cli/args.h lists them). */
#include "cli/verbs.h"

int main(int argc, char **argv) { return tide_cli_main(argc, argv); }
