/* Opening the registry that the operator's settings name, for serving and for the verbs.
 *
 * etcd://HOST:PORT,HOST:PORT/PREFIX, the same with etcds:// for TLS, dir:DIRECTORY. Nothing is asked yet, so a registry that is away does not keep anybody from starting. */
#ifndef TIDE_REGISTRY_OPEN_H
#define TIDE_REGISTRY_OPEN_H

#include "config/config.h"
#include "port/registry.h"

#define TIDE_REGISTRY_PREFIX "tidemark" /* of an address without one */

/* Errors: CONFIG (no registry.url, or one that is none; a password file that cannot be read; settings that contradict each other). */
enum tide_err tide_registry_open(const struct tide_config *config, struct tide_registry **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
