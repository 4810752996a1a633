/* The program. Wiring only: everything is in engine/cli, so that tests can link it. */
#include "cli/verbs.h"

int main(int argc, char **argv) { return tide_cli_main(argc, argv); }
