/* What the fold remembers beside the entities: list entries, currency rates, and stubs (outcomes that came before their event).
 *
 * All three are part of the snapshot's globals and bounded: rates by the number of currencies, lists and stubs by a count beyond which new ones are
 * refused and metered. */
#ifndef TIDE_MEMO_H
#define TIDE_MEMO_H

#include "base/buf.h"
#include "feature/record.h"

/* ---- lists: (list, key) -> expiry ---- */
struct tide_lists {
  struct tide_list_cell { struct tide_u128 key; uint32_t list; bool used; int64_t expires_ms; } *cell;
  uint32_t cap, used;
};
#define TIDE_LIST_ENTRIES_MAX 16000000
#define TIDE_LIST_NEVER INT64_MAX   /* expires_ms of an entry without expiry */
#define TIDE_LIST_REMOVED INT64_MIN /* expires_ms of an entry taken off the list */
/* False when full. */
bool tide_lists_put(struct tide_lists *lists, uint32_t list, struct tide_u128 key, int64_t expires_ms) TIDE_WARN_UNUSED;
/* Is the key on the list at this event time? */
bool tide_lists_has(const struct tide_lists *lists, uint32_t list, struct tide_u128 key, int64_t time_ms);
void tide_lists_release(struct tide_lists *lists);
void tide_lists_save(const struct tide_lists *lists, struct tide_buf *out);
bool tide_lists_load(struct tide_lists *lists, struct tide_reader *reader);

/* ---- rates ---- */
#define TIDE_RATES_MAX 256
struct tide_rates { struct { char currency[4]; int64_t rate_e10; } row[TIDE_RATES_MAX]; uint32_t count; };
void tide_rates_put(struct tide_rates *rates, const char currency[4], int64_t rate_e10);
/* 0 when unknown. */
int64_t tide_rates_get(const struct tide_rates *rates, const char currency[4]);

/* ---- stubs ---- */
struct tide_stub {
  struct tide_u128 card;
  uint64_t id;
  int64_t born_ms;      /* watermark at birth */
  struct tide_outcome outcome;
  int64_t amount_now;   /* counting currency */
  bool sets_amount, used;
  uint32_t next;        /* chain of one bucket, in order of birth */
  uint64_t serial;
};
#define TIDE_STUBS_MAX 1000000
#define TIDE_STUBS_PER_ID 64
struct tide_stubs {
  struct tide_stub *stub;
  uint32_t cap, used, free_head;
  uint32_t *bucket, bucket_cap;
  struct tide_stub_order { uint32_t index; uint64_t serial; } *order; /* ring, oldest first */
  uint32_t order_cap, order_head, order_count;
  uint64_t serial;
};
/* False when there are too many (for this id, or in all). `stub->next`, `used`, `serial` are set here. */
bool tide_stubs_put(struct tide_stubs *stubs, const struct tide_stub *stub) TIDE_WARN_UNUSED;
/* Takes the oldest stub of (card, id) or of (alt, id) out; false when there is none. alt: the card under its previous key; zero: it has none. */
bool tide_stubs_take(struct tide_stubs *stubs, struct tide_u128 card, struct tide_u128 alt, uint64_t id, struct tide_stub *ret);
/* Is there one that it would take? */
bool tide_stubs_has(const struct tide_stubs *stubs, struct tide_u128 card, struct tide_u128 alt, uint64_t id);
/* Stubs that came before the first event are born with the first watermark. */
void tide_stubs_begin(struct tide_stubs *stubs, int64_t born_ms);
/* Drops stubs born before `born_before_ms`; returns how many. */
uint64_t tide_stubs_expire(struct tide_stubs *stubs, int64_t born_before_ms);
void tide_stubs_release(struct tide_stubs *stubs);
void tide_stubs_save(const struct tide_stubs *stubs, struct tide_buf *out);
bool tide_stubs_load(struct tide_stubs *stubs, struct tide_reader *reader);

#endif
