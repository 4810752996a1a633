/* One pass of yajl over a JSON line, capturing the values at the places that the feature file names.
 *
 * The pointers of all places form a trie. While yajl walks the message, a stack of at most 32 frames follows the trie; a key that
 * leads nowhere gives node NONE, and nothing below it costs more than the walk. Numbers are captured as written, so an amount
 * never passes a double. Strings without escapes are borrowed from the line, others are copied, because yajl reuses its buffer.
 *
 * Stricter than yajl, because nothing may be guessed: UTF-8 is checked by RFC 3629 before the parse (yajl's own check lets
 * surrogates and overlong forms pass, so it is switched off), \v and \f are not white space (to yajl they are), escapes must not
 * spell U+0000 or half a surrogate pair (yajl would write "?"), a key may stand only once in its object, the whole message is one
 * object, at most 32 deep.
 *
 * yajl_alloc costs more than parsing a small message, so the handle is kept: it is told to allow several values, and we refuse
 * the second ourselves. A newline fed after each message flushes what its lexer might still hold. After any error the handle is
 * thrown away.
 *
 * Keys of one object are told apart by the trie node they lead to, and those that lead nowhere by a hash set keyed by (object,
 * key) that spans the whole message and is emptied by a stamp. Its seed is random, so that a hostile message cannot be made of
 * colliding keys; the seed changes no result. */
#include "adapter/decode_parts.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <yajl/yajl_parse.h>

#define NONE UINT32_MAX
#define SET_MIN 256u

struct node {
  uint32_t parent;
  uint32_t place; /* index, or NONE */
  uint64_t hash;  /* of the key below its parent */
  struct tide_span key;
  uint32_t seen; /* the stamp of the last message that had it: a trie node is one place, so twice means a duplicate key */
  bool leaf;     /* nothing below it */
};

struct key_seen {
  uint64_t hash;
  const char *ptr;
  uint32_t len, object, stamp;
};

struct frame {
  uint32_t node;   /* trie node of this container, or NONE */
  uint32_t object; /* number of the object in the message */
  uint32_t index;  /* array: next element */
  uint32_t child;  /* object: node of the key just read */
  bool array;
  bool masked;  /* the container itself stands at a secret place: ends a mask */
  size_t begin; /* where it began, when masked */
};

struct range {
  size_t begin, end;
};

struct json_reader {
  struct tide_format_reader reader; /* first: a reader is one of these */
  const struct tide_place *place;
  uint32_t place_count;
  struct node *node;
  uint32_t node_count;
  uint32_t *table; /* open addressing: (parent, key) -> node */
  uint32_t table_mask;
  uint64_t seed;
  yajl_handle yajl;
  struct key_seen *seen;
  uint32_t seen_cap, seen_count, stamp;
  /* of the message being read */
  struct frame frame[TIDE_DEPTH_MAX + 1];
  uint32_t depth, objects;
  bool done;
  struct tide_span bytes;
  struct tide_capture *capture;
  struct tide_arena *scratch;
  bool scratch_used;
  enum tide_err code; /* set by a callback that stops the parse */
  struct tide_span dup;
  /* masking */
  bool masking;
  size_t last_end; /* end of the last token but ':' and ',' */
  struct range *mask;
  uint32_t mask_count, mask_cap, mask_depth; /* mask_depth: containers around that are masked whole */
  struct tide_arena mask_scratch;
};

static uint64_t load(const char *ptr, size_t len) {
  uint64_t v = 0;
  memcpy(&v, ptr, len);
  return v;
}

/* Multiply-and-fold over words; quality enough for a seeded table of short keys. */
static inline uint64_t key_hash(uint64_t seed, struct tide_span s) {
  uint64_t h = seed ^ (s.len * UINT64_C(0x9E3779B97F4A7C15));
  size_t i = 0;
  for (; i + 8 <= s.len; i += 8) {
    unsigned __int128 m = (unsigned __int128)(h ^ load(s.ptr + i, 8)) * UINT64_C(0xD6E8FEB86659FD93);
    h = (uint64_t)m ^ (uint64_t)(m >> 64);
  }
  uint64_t tail = i < s.len ? load(s.ptr + i, s.len - i) : 0;
  unsigned __int128 m = (unsigned __int128)(h ^ tail ^ seed) * UINT64_C(0xA0761D6478BD642F);
  return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* --- the trie */

static uint32_t child_of(const struct json_reader *r, uint32_t parent, struct tide_span key, uint64_t hash) {
  for (uint32_t at = (uint32_t)hash + parent * 7;; at++) {
    uint32_t n = r->table[at & r->table_mask];
    if (n == NONE) return NONE;
    const struct node *node = &r->node[n];
    if (node->hash == hash && node->parent == parent && tide_span_eq(node->key, key)) return n;
  }
}

static uint32_t add_child(struct json_reader *r, uint32_t parent, struct tide_span key) {
  uint64_t hash = key_hash(r->seed, key);
  uint32_t found = child_of(r, parent, key, hash);
  if (found != NONE) return found;
  uint32_t n = r->node_count++;
  r->node[n] = (struct node){.parent = parent, .place = NONE, .hash = hash, .key = key, .leaf = true};
  r->node[parent].leaf = false;
  uint32_t at = (uint32_t)hash + parent * 7;
  while (r->table[at & r->table_mask] != NONE) at++;
  r->table[at & r->table_mask] = n;
  return n;
}

static enum tide_err json_open(const struct tide_decode_options *options, const struct tide_place *place, uint32_t place_count,
                               struct tide_format_reader **ret, struct tide_error *error) {
  (void)options, (void)error;
  struct json_reader *r = tide_alloc(sizeof *r);
  r->reader.ops = &tide_format_json;
  r->place = place;
  r->place_count = place_count;
  uint32_t nodes = 1;
  for (uint32_t i = 0; i < place_count; i++) nodes += place[i].segment_count;
  uint32_t cap = 64;
  while (cap < nodes * 4) cap *= 2;
  r->table = tide_alloc(cap * sizeof *r->table);
  memset(r->table, 0xff, cap * sizeof *r->table);
  r->table_mask = cap - 1;
  r->node = tide_alloc(nodes * sizeof *r->node);
  if (getrandom(&r->seed, sizeof r->seed, GRND_NONBLOCK) != (ssize_t)sizeof r->seed) r->seed = UINT64_C(0x2545F4914F6CDD1D);
  r->node[0] = (struct node){.parent = NONE, .place = NONE, .leaf = true};
  r->node_count = 1;
  for (uint32_t i = 0; i < place_count; i++) {
    uint32_t at = 0;
    for (uint32_t k = 0; k < place[i].segment_count; k++) at = add_child(r, at, place[i].segment[k]);
    TIDE_CHECK(r->node[at].place == NONE); /* places are distinct */
    r->node[at].place = i;
  }
  r->seen_cap = SET_MIN;
  r->seen = tide_alloc(r->seen_cap * sizeof *r->seen);
  *ret = &r->reader;
  return TIDE_OK;
}

static void json_close(struct tide_format_reader *reader) {
  struct json_reader *r = (struct json_reader *)reader;
  if (r->yajl) yajl_free(r->yajl);
  tide_arena_release(&r->mask_scratch);
  tide_free(r->mask);
  tide_free(r->seen);
  tide_free(r->table);
  tide_free(r->node);
  tide_free(r);
}

/* --- keys seen */

static void seen_put(struct json_reader *r, struct key_seen key) {
  uint32_t at = (uint32_t)(key.hash >> 32) + key.object * UINT32_C(0x9E3779B1);
  while (r->seen[at & (r->seen_cap - 1)].stamp == r->stamp) at++;
  r->seen[at & (r->seen_cap - 1)] = key;
}

static void seen_grow(struct json_reader *r) {
  struct key_seen *old = r->seen;
  uint32_t old_cap = r->seen_cap;
  r->seen_cap *= 2;
  r->seen = tide_alloc(r->seen_cap * sizeof *r->seen);
  for (uint32_t i = 0; i < old_cap; i++)
    if (old[i].stamp == r->stamp) seen_put(r, old[i]);
  tide_free(old);
}

/* False when this object already has the key. */
static bool seen_add(struct json_reader *r, uint32_t object, struct tide_span key, uint64_t hash) {
  for (uint32_t at = (uint32_t)(hash >> 32) + object * UINT32_C(0x9E3779B1);; at++) {
    const struct key_seen *k = &r->seen[at & (r->seen_cap - 1)];
    if (k->stamp != r->stamp) break;
    if (k->hash == hash && k->object == object && tide_span_eq((struct tide_span){k->ptr, k->len}, key)) return false;
  }
  if (++r->seen_count * 2 > r->seen_cap) seen_grow(r);
  seen_put(r, (struct key_seen){.hash = hash, .ptr = key.ptr, .len = (uint32_t)key.len, .object = object, .stamp = r->stamp});
  return true;
}

/* --- callbacks */

static bool inside(const struct json_reader *r, const char *ptr) {
  return (uintptr_t)ptr >= (uintptr_t)r->bytes.ptr && (uintptr_t)ptr < (uintptr_t)r->bytes.ptr + r->bytes.len;
}

/* Borrowed when it stands in the line; yajl's own buffer is overwritten by the next string. */
static struct tide_span keep(struct json_reader *r, const char *ptr, size_t len) {
  if (len == 0) return (struct tide_span){"", 0};
  if (inside(r, ptr)) return (struct tide_span){ptr, len};
  r->scratch_used = true;
  char *copy = tide_arena_alloc(r->scratch, len);
  memcpy(copy, ptr, len);
  return (struct tide_span){copy, len};
}

static int stop(struct json_reader *r, enum tide_err code) {
  r->code = code;
  return 0;
}

/* Moves to the value that begins now: its trie node, NONE if nobody asks. False: there is no room for a value here. */
static inline bool arrive(struct json_reader *r, uint32_t *ret_node) {
  if (TIDE_UNLIKELY(r->depth == 0)) {
    *ret_node = 0;
    return !r->done;
  }
  struct frame *f = &r->frame[r->depth];
  if (!f->array) {
    *ret_node = f->child;
    return true;
  }
  uint32_t index = f->index++;
  *ret_node = NONE;
  if (f->node == NONE || r->node[f->node].leaf) return true;
  char text[16];
  int len = snprintf(text, sizeof text, "%u", index);
  struct tide_span key = {text, (size_t)len};
  *ret_node = child_of(r, f->node, key, key_hash(r->seed, key));
  return true;
}

static size_t token_begin(const struct json_reader *r) {
  size_t at = r->last_end;
  while (at < r->bytes.len && strchr(" \t\r\n:,", r->bytes.ptr[at]) && r->bytes.ptr[at]) at++;
  return at;
}

static void add_mask(struct json_reader *r, size_t begin, size_t end) {
  if (r->mask_count == r->mask_cap) {
    r->mask_cap = r->mask_cap ? r->mask_cap * 2 : 16;
    r->mask = tide_realloc(r->mask, r->mask_cap * sizeof *r->mask);
  }
  r->mask[r->mask_count++] = (struct range){begin, end};
}

static void token_end(struct json_reader *r) {
  if (r->masking) r->last_end = yajl_get_bytes_consumed(r->yajl);
}

static int scalar(struct json_reader *r, enum tide_capture_kind kind, const char *ptr, size_t len) {
  uint32_t node;
  if (!arrive(r, &node)) return stop(r, TIDE_E_TRAILING);
  if (r->depth == 0) return stop(r, TIDE_E_TYPE);
  if (node != NONE && r->node[node].place != NONE) {
    uint32_t place = r->node[node].place;
    if (!r->masking) {
      struct tide_capture *cap = &r->capture[place];
      cap->kind = kind;
      cap->text = ptr ? keep(r, ptr, len) : (struct tide_span){"", 0};
    } else if (r->place[place].secret && kind != TIDE_CAP_NULL && r->mask_depth == 0) {
      add_mask(r, token_begin(r), yajl_get_bytes_consumed(r->yajl));
    }
  }
  token_end(r);
  return 1;
}

static int on_null(void *ctx) { return scalar(ctx, TIDE_CAP_NULL, NULL, 0); }
static int on_bool(void *ctx, int yes) { return scalar(ctx, yes ? TIDE_CAP_TRUE : TIDE_CAP_FALSE, NULL, 0); }
static int on_number(void *ctx, const char *ptr, size_t len) { return scalar(ctx, TIDE_CAP_NUMBER, ptr, len); }
static int on_string(void *ctx, const unsigned char *ptr, size_t len) { return scalar(ctx, TIDE_CAP_TEXT, (const char *)ptr, len); }

static int begin(struct json_reader *r, bool array) {
  uint32_t node;
  if (!arrive(r, &node)) return stop(r, TIDE_E_TRAILING);
  if (r->depth == 0 && array) return stop(r, TIDE_E_TYPE);
  if (r->depth == TIDE_DEPTH_MAX) return stop(r, TIDE_E_LIMIT);
  struct frame *f = &r->frame[++r->depth];
  *f = (struct frame){.node = node, .object = r->objects++, .child = NONE, .array = array};
  if (node != NONE && r->node[node].place != NONE) {
    if (!r->masking) r->capture[r->node[node].place].kind = TIDE_CAP_COMPOUND;
    else if (r->place[r->node[node].place].secret) {
      f->masked = true;
      f->begin = token_begin(r);
      r->mask_depth++;
    }
  }
  token_end(r);
  return 1;
}

static int end(struct json_reader *r) {
  TIDE_CHECK(r->depth > 0);
  const struct frame *f = &r->frame[r->depth--];
  token_end(r);
  if (f->masked && --r->mask_depth == 0) add_mask(r, f->begin, r->last_end);
  if (r->depth == 0) r->done = true;
  return 1;
}

static int on_map(void *ctx) { return begin(ctx, false); }
static int on_map_end(void *ctx) { return end(ctx); }
static int on_array(void *ctx) { return begin(ctx, true); }
static int on_array_end(void *ctx) { return end(ctx); }

static int on_key(void *ctx, const unsigned char *ptr, size_t len) {
  struct json_reader *r = ctx;
  struct frame *f = &r->frame[r->depth];
  struct tide_span key = keep(r, (const char *)ptr, len);
  uint64_t hash = key_hash(r->seed, key);
  f->child = f->node == NONE || r->node[f->node].leaf ? NONE : child_of(r, f->node, key, hash);
  /* A message that is masked may be one that was rejected for its duplicate key: every occurrence is masked. */
  if (!r->masking) {
    bool fresh;
    if (f->child != NONE) {
      fresh = r->node[f->child].seen != r->stamp;
      r->node[f->child].seen = r->stamp;
    } else {
      fresh = seen_add(r, f->object, key, hash);
    }
    if (!fresh) {
      r->dup = key;
      return stop(r, TIDE_E_DUPLICATE_KEY);
    }
  }
  token_end(r);
  return 1;
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_bool,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_map,
                                         .yajl_map_key = on_key,
                                         .yajl_end_map = on_map_end,
                                         .yajl_start_array = on_array,
                                         .yajl_end_array = on_array_end};

/* --- what is checked before the parse */

/* One look at every byte: are there any beyond ASCII, any control characters? */
static void scan(struct tide_span s, bool *ret_ascii, bool *ret_controls) {
  uint64_t high = 0, control = 0;
  size_t i = 0;
  for (; i + 8 <= s.len; i += 8) {
    uint64_t v = load(s.ptr + i, 8);
    high |= v;
    control |= (v - UINT64_C(0x2020202020202020)) & ~v; /* top bit of a byte below 0x20 */
  }
  if (i < s.len) {
    uint64_t v = load(s.ptr + i, s.len - i) | UINT64_C(0x2020202020202020) << 8 * (s.len - i);
    high |= v;
    control |= (v - UINT64_C(0x2020202020202020)) & ~v;
  }
  *ret_ascii = (high & UINT64_C(0x8080808080808080)) == 0;
  *ret_controls = (control & UINT64_C(0x8080808080808080)) != 0;
}

static int hex4(const char *ptr, const char *limit) {
  if (limit - ptr < 4) return -1;
  int v = 0;
  for (int i = 0; i < 4; i++) {
    int c = ptr[i] | 0x20;
    int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (d < 0) return -1;
    v = v * 16 + d;
  }
  return v;
}

/* Escapes that are well-formed to yajl but spell no character. NULL when there is none. */
static const char *bad_escape(struct tide_span s, size_t *ret_at) {
  const char *limit = s.ptr + s.len;
  for (const char *p = memchr(s.ptr, '\\', s.len); p && p + 1 < limit; p = memchr(p, '\\', (size_t)(limit - p))) {
    *ret_at = (size_t)(p - s.ptr);
    if (p[1] != 'u') {
      p += 2;
    } else {
      int unit = hex4(p + 2, limit);
      if (unit == 0) return "the character U+0000 is not accepted";
      if (unit >= 0xDC00 && unit <= 0xDFFF) return "half of a surrogate pair";
      p += unit < 0 ? 2 : 6;
      if (unit >= 0xD800 && unit <= 0xDBFF) {
        int low = limit - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, limit) : -1;
        if (low < 0xDC00 || low > 0xDFFF) return "half of a surrogate pair";
        p += 6;
      }
    }
    if (p >= limit) break;
  }
  return NULL;
}

/* --- reading */

static enum tide_err fail_parse(struct json_reader *r, enum tide_err code, struct tide_error *error) {
  int column = (int)yajl_get_bytes_consumed(r->yajl);
  switch (code) {
    case TIDE_E_DUPLICATE_KEY: {
      struct tide_span key = tide_clip(r->dup);
      return tide_fail_at(error, code, 0, column, "", "the key \"%.*s\" stands twice in one object", TIDE_SPAN_FMT(key));
    }
    case TIDE_E_LIMIT: return tide_fail_at(error, TIDE_E_SYNTAX, 0, column, "", "nested deeper than %d levels", TIDE_DEPTH_MAX);
    case TIDE_E_TYPE: return tide_fail_at(error, code, 0, column, "", "a message must be a JSON object");
    case TIDE_E_TRAILING: return tide_fail_at(error, code, 0, column, "", "something stands behind the message's object");
    default: break;
  }
  unsigned char *text = yajl_get_error(r->yajl, 0, (const unsigned char *)r->bytes.ptr, r->bytes.len);
  size_t len = text ? strcspn((const char *)text, "\n") : 0;
  (void)tide_fail_at(error, TIDE_E_SYNTAX, 0, column, "", "not well-formed JSON at byte %d: %.*s", column, (int)len,
                     text ? (const char *)text : "");
  if (text) yajl_free_error(r->yajl, text);
  return TIDE_E_SYNTAX;
}

/* Walks the message; the callbacks do the work. */
static enum tide_err walk(struct json_reader *r, struct tide_span bytes, struct tide_error *error) {
  r->bytes = bytes;
  bool ascii, controls;
  scan(bytes, &ascii, &controls);
  if (controls && (memchr(bytes.ptr, '\v', bytes.len) || memchr(bytes.ptr, '\f', bytes.len)))
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "a vertical tab or form feed stands in the message");
  if (!ascii && !tide_utf8_valid(bytes)) return tide_fail_at(error, TIDE_E_UTF8, 0, 0, "", "the message is not valid UTF-8");
  size_t at = 0;
  const char *why = bytes.len ? bad_escape(bytes, &at) : NULL;
  if (why) return tide_fail_at(error, TIDE_E_SYNTAX, 0, (int)at + 1, "", "escape at byte %zu: %s", at + 1, why);
  if (!r->yajl) {
    r->yajl = yajl_alloc(&callbacks, NULL, r);
    TIDE_CHECK(r->yajl != NULL);
    yajl_config(r->yajl, yajl_allow_multiple_values, 1);
    yajl_config(r->yajl, yajl_dont_validate_strings, 1);
  }
  r->depth = 0;
  r->objects = 0;
  r->done = false;
  r->code = TIDE_OK;
  r->seen_count = 0;
  r->last_end = 0;
  r->scratch_used = false;
  if (++r->stamp == 0) {
    memset(r->seen, 0, r->seen_cap * sizeof *r->seen);
    for (uint32_t i = 0; i < r->node_count; i++) r->node[i].seen = 0;
    r->stamp = 1;
  }
  yajl_status status = yajl_parse(r->yajl, (const unsigned char *)bytes.ptr, bytes.len);
  bool all_read = status == yajl_status_ok;
  if (all_read) status = yajl_parse(r->yajl, (const unsigned char *)"\n", 1);
  if (TIDE_LIKELY(status == yajl_status_ok && r->done && r->code == TIDE_OK)) return TIDE_OK;
  enum tide_err code = r->code ? r->code : r->done ? TIDE_E_TRAILING : TIDE_E_SYNTAX;
  /* A text or word that was cut off fails at our line break, of which nobody knows. */
  if (status == yajl_status_ok || (all_read && r->depth && !r->code))
    code = tide_fail_at(error, TIDE_E_SYNTAX, 0, (int)bytes.len, "", "the message ends before its object does");
  else code = fail_parse(r, code, error);
  yajl_free(r->yajl);
  r->yajl = NULL;
  return code;
}

static enum tide_err json_read(struct tide_format_reader *reader, struct tide_span bytes, struct tide_capture *capture,
                               struct tide_arena *scratch, bool *scratch_used, struct tide_error *error) {
  struct json_reader *r = (struct json_reader *)reader;
  for (uint32_t i = 0; i < r->place_count; i++) capture[i].kind = TIDE_CAP_NONE;
  r->masking = false;
  r->capture = capture;
  r->scratch = scratch;
  enum tide_err err = walk(r, bytes, error);
  *scratch_used = r->scratch_used;
  return err;
}

static bool json_mask(struct tide_format_reader *reader, struct tide_span bytes, struct tide_buf *out) {
  struct json_reader *r = (struct json_reader *)reader;
  r->masking = true;
  r->mask_count = 0;
  r->mask_depth = 0;
  r->scratch = &r->mask_scratch;
  enum tide_err err = walk(r, bytes, NULL);
  tide_arena_reset(&r->mask_scratch);
  if (err) return false;
  size_t at = 0;
  for (uint32_t i = 0; i < r->mask_count; i++) {
    tide_buf_put(out, bytes.ptr + at, r->mask[i].begin - at);
    tide_buf_str(out, "\"***\"");
    at = r->mask[i].end;
  }
  tide_buf_put(out, bytes.ptr + at, bytes.len - at);
  return true;
}

const struct tide_format_ops tide_format_json = {.open = json_open, .close = json_close, .read = json_read, .mask = json_mask};
