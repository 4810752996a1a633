/* The registry port: a small store of named texts that people write and engines watch, outside of the data path.
 *
 * Keys are words with slashes between (`about/model/3f..`), and what stands before the last slash is a directory. What is kept under which key, and in what form, is
 * adapter/registry_store.h; a backend (adapter/registry_dir.c, registry_etcd.c) knows bytes only. One contract suite runs on all of them.
 *
 * Every change is a single key with an expectation about what stands there, so two writers never overwrite each other, and a change that was cut off can be
 * repeated. Nothing here decides what is true: what is in force is said by the journal alone. Calls block up to the backend's time-out; one thread uses a handle.
 *
 * Errors of all: AGAIN (out of reach or no leader: later), CONFIG (it refuses us: says what to change), CORRUPT (an answer or a file that such a store does not
 * have; of a put: it may be written), IO. */
#ifndef TIDE_PORT_REGISTRY_H
#define TIDE_PORT_REGISTRY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define TIDE_REGISTRY_VALUE_MAX (1u << 20)
#define TIDE_REGISTRY_KEY_MAX 240

struct tide_registry_row {
  const char *key;        /* whole, from the store's root on */
  struct tide_span value; /* empty when only keys were asked for */
  uint64_t revision;      /* changes with every change of the value; never 0 */
};
/* Rows own what they point to. */
struct tide_registry_rows {
  struct tide_arena arena;
  struct tide_registry_row *row;
  size_t count;
};
static inline void tide_registry_rows_release(struct tide_registry_rows *rows) {
  tide_arena_release(&rows->arena);
  *rows = (struct tide_registry_rows){0};
}

enum tide_registry_list {
  TIDE_REGISTRY_ALL,  /* keys and values */
  TIDE_REGISTRY_KEYS, /* keys and revisions */
  TIDE_REGISTRY_LAST  /* the last key and its value */
};

struct tide_registry;
struct tide_registry_ops {
  const char *name;
  /* The value is appended to out. NOT_FOUND: there is none. */
  enum tide_err (*get)(struct tide_registry *, const char *key, struct tide_buf *out, uint64_t *ret_revision, struct tide_error *);
  /* The keys that stand in a directory (`about/model/`, with the slash) and not deeper, in order of their bytes. Release *ret. */
  enum tide_err (*list)(struct tide_registry *, const char *dir, enum tide_registry_list what, struct tide_registry_rows *ret, struct tide_error *);
  /* Writes the value if the key's revision is `expect`; 0: there must be none. Errors, nothing is written: EXISTS (expect 0 and there is one), STALE (it
   * has another revision, or is gone), FULL, LIMIT (too long). INDETERMINATE: it may be written; look, or repeat it. */
  enum tide_err (*put)(struct tide_registry *, const char *key, struct tide_span value, uint64_t expect, struct tide_error *);
  /* Writes the value, whatever stands there, for as long as this handle repeats it within ttl_ms: then it vanishes by itself. For people to see who is
   * there; nothing may rest on it, because a lease is no proof that its holder does nothing. Errors: FULL, LIMIT. */
  enum tide_err (*announce)(struct tide_registry *, const char *key, struct tide_span value, int64_t ttl_ms, struct tide_error *);
  /* Waits until something in the directory may have changed, at most wait_ms. True is a reason to look, not more: the first call for a directory says it, and so does the first
   * after trouble or after changes that the store has forgotten. One directory per handle. */
  enum tide_err (*watch)(struct tide_registry *, const char *dir, int64_t wait_ms, bool *ret_changed, struct tide_error *);
  /* The store's revision as last heard; 0: not heard, or it has none. */
  uint64_t (*revision)(const struct tide_registry *);
  /* Any thread: the call that is under way, and every later one but close, ends soon with AGAIN. */
  void (*interrupt)(struct tide_registry *);
  void (*close)(struct tide_registry *); /* announcements vanish, if that is to be had quickly */
};
struct tide_registry { const struct tide_registry_ops *ops; };

#endif
