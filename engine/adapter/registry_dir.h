/* The registry in a directory (registry_dir.c): for one machine, for tests, or on a mount that a cell shares.
 *
 * Nothing is made before the first value is written; a directory that is not there is an empty registry. */
#ifndef TIDE_REGISTRY_DIR_H
#define TIDE_REGISTRY_DIR_H

#include "adapter/sys.h"
#include "port/registry.h"

/* root is copied. sys: NULL for the real calls; tests hand in one that fails. */
struct tide_registry *tide_registry_dir_new(const char *root, const struct tide_sys *sys);

#endif
