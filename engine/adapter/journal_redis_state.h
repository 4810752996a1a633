/* Inside of the Redis journal: shared by journal_redis.c (committing and reading) and journal_redis_session.c (replies, and beginning a session), and by nobody
 * else. */
#ifndef TIDE_JOURNAL_REDIS_STATE_H
#define TIDE_JOURNAL_REDIS_STATE_H

#include "adapter/journal_redis_facts.h"
#include "base/buf.h"

#define TIDE_REDIS_PAGE_MAX 256

struct tide_redis_page_entry {
  struct tide_position at;
  size_t from, len; /* in page_bytes */
};

struct tide_redis_journal {
  struct tide_journal base;
  struct tide_redis_options options;
  const struct tide_redis_link_ops *ops;
  struct tide_redis_tls *tls; /* NULL: plain */
  char *key, *cover;
  struct tide_redis_link *write, *read; /* NULL: no session */
  struct tide_redis_address where;
  uint32_t
      sentinel; /* that is asked first. Two failovers at once may leave one that names a replica for ever: after a failure another is asked */
  struct tide_redis_node node;
  struct tide_redis_facts facts;
  struct tide_position seen; /* the last entry that is known to stand in this session: read, or appended by us */
  struct tide_position sent; /* what the WAIT under way, or the next one, covers */
  struct tide_position durable;
  bool outstanding; /* WAIT, INFO and TIME have been sent and not been read */
  bool unproven;    /* a write of ours stands behind `sent` on the write connection, and its WAIT came back short */
  unsigned shorts;
  uint64_t all_shorts; /* since it was opened */
  uint32_t online;     /* replicas that could acknowledge, when last asked */
  uint64_t covers;
  struct tide_redis_now asked_at;
  int64_t clock_ms; /* that was compared last and found to agree (tide_clock_offset_ms) */
  bool pressed; /* memory above the share, when it was last looked at: */
  struct tide_mono pressed_at; /* 0: not yet */
  /* pages of the reader */
  struct tide_redis_page_entry page[TIDE_REDIS_PAGE_MAX];
  struct tide_buf page_bytes;
  size_t page_count, page_next;
  struct tide_position page_from; /* what page_next follows */
  unsigned page_size;
};

/* Queues a command of words; SEND counts them. */
void tide_redis_send(const struct tide_redis_journal *self, struct tide_redis_link *link, int argc, const char *const *argv);
#define SEND(link, ...) \
  tide_redis_send(self, link, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

void tide_redis_end_session(struct tide_redis_journal *self);
/* Ends the session with an error that was already told. */
enum tide_err tide_redis_over(struct tide_redis_journal *self, enum tide_err err);
bool tide_redis_is_error(const redisReply *reply, const char *with);
/* What a server says when it will not do something now, in words of ours. */
enum tide_err tide_redis_refused(const struct tide_redis_journal *self, const char *what, const redisReply *reply, struct tide_error *error);
/* The next reply, which must be of `type`. On error nothing is to be freed. */
enum tide_err tide_redis_receive(const struct tide_redis_journal *self, struct tide_redis_link *link, int type, const char *what, redisReply **ret,
                                 struct tide_error *error) TIDE_WARN_UNUSED;
/* "7-12" */
bool tide_redis_parse_id(const char *text, size_t len, struct tide_position *ret);
struct tide_span tide_redis_info_of(const redisReply *reply);

/* Where the primary is; a connection to it; and what replies to INFO, TIME and XINFO STREAM say. */
enum tide_err tide_redis_find_primary(struct tide_redis_journal *self, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_redis_connect_to(struct tide_redis_journal *self, struct tide_redis_link **ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_redis_receive_facts(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_redis_facts *ret,
                                       struct tide_error *error) TIDE_WARN_UNUSED;
/* TIME, sent not before asked_at, with nothing behind it: a reply that took too long to tell is asked for again. */
enum tide_err tide_redis_compare_clocks(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_redis_receive_stream(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_position *ret_generated,
                                        struct tide_position *ret_first, struct tide_position *ret_last, struct tide_error *error) TIDE_WARN_UNUSED;
/* The journal's begin. */
enum tide_err tide_redis_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error);

#endif
