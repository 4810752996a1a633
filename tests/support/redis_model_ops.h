/* The model of Redis (redis_model.h) as a link of the journal: link = &redis_model_ops, link_ctx = a struct redis_client.
 *
 * Apart, because it is the only part that knows the adapter. */
#ifndef TEST_REDIS_MODEL_OPS_H
#define TEST_REDIS_MODEL_OPS_H

#include "adapter/journal_redis.h"
#include "redis_model.h"

extern const struct tide_redis_link_ops redis_model_ops;

/* Options for the model's cell "eu": node 0 by its address, WAIT for 50 ms, time-out 500 ms, half a second of skew. */
struct tide_redis_options redis_model_options(struct redis_client *client, uint32_t replicas, uint32_t quorum, uint32_t engine_id);

#endif
