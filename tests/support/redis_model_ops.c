/* See redis_model_ops.h.
 *
 * A link is a connection of the model under another name. */
#include "redis_model_ops.h"

static struct redis_conn *conn_of(struct tide_redis_link *link) { return (struct redis_conn *)(void *)link; }

static enum tide_err model_connect(void *ctx, const struct tide_redis_address *address, int64_t timeout_ms, struct tide_redis_link **ret,
                                   struct tide_error *error) {
  struct redis_conn *conn;
  enum tide_err err = redis_conn_open(ctx, address->port, timeout_ms, &conn, error);
  if (err == TIDE_OK) *ret = (struct tide_redis_link *)(void *)conn;
  return err;
}
static void model_send(struct tide_redis_link *link, int argc, const char *const *argv, const size_t *len) {
  redis_conn_send(conn_of(link), argc, argv, len);
}
static enum tide_err model_receive(struct tide_redis_link *link, redisReply **ret, struct tide_error *error) {
  return redis_conn_receive(conn_of(link), ret, error);
}
static void model_close(struct tide_redis_link *link) { redis_conn_close(conn_of(link)); }
static struct tide_redis_now model_now(void *ctx) {
  const struct redis_client *client = ctx;
  int64_t now_ms = client->model->now_ms;
  return (struct tide_redis_now){.wall = {now_ms + client->skew_ms}, .mono = {now_ms * 1000000}};
}

const struct tide_redis_link_ops redis_model_ops = {
    .connect = model_connect, .send = model_send, .receive = model_receive, .close = model_close, .now = model_now};

struct tide_redis_options redis_model_options(struct redis_client *client, uint32_t replicas, uint32_t quorum, uint32_t engine_id) {
  return (struct tide_redis_options){
      .target = {.address = {{.host = "127.0.0.1", .port = REDIS_PORT}}, .address_count = 1},
      .cell = "eu",
      .engine_id = engine_id,
      .replicas = replicas,
      .quorum = quorum,
      .wait_ms = 50,
      .timeout_ms = 500,
      .clock_skew_max_ms = 500,
      .memory_percent = 60,
      .link = &redis_model_ops,
      .link_ctx = client,
  };
}
