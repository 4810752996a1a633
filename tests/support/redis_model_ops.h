/* The model of Redis (redis_model.h) as a link of the journal: link = &redis_model_ops, link_ctx = a struct redis_client.
 *
 * Apart, because it is the only part that knows the adapter. */
#ifndef TEST_REDIS_MODEL_OPS_H
#define TEST_REDIS_MODEL_OPS_H

#include "adapter/journal_redis_link.h"
#include "redis_model.h"

extern const struct tide_redis_link_ops redis_model_ops;

#endif
