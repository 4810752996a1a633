/* The rows of the verbs about versions, made once for each kind by one macro: model push, policy push, features push, and so on.
 *
 * The functions behind them (verb_registry.c, verb_versions.c, verb_validate.c) tell the kinds apart by the verb's first word. Private to these files. */
#ifndef TIDE_VERB_REGISTRY_H
#define TIDE_VERB_REGISTRY_H

#include "cli/registry_cli.h"
#include "cli/verbs.h"

#define TIDE_ROWS(rows) .opt = rows, .opt_count = sizeof rows / sizeof rows[0]
#define TIDE_WORDS(rows) .positional = rows, .positional_count = sizeof rows / sizeof rows[0]

#endif
