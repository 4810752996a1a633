/* A YAML document as a tree: scalars, lists and mappings, each node and each key with its line and column.
 *
 * A thin layer over libyaml that keeps only what a configuration file needs and refuses the rest by name: anchors, aliases, tags and further
 * documents (they make a file mean something else than what one reads), and duplicate keys (the second would silently win). Scalars are
 * texts; what a text means is the caller's business, so `no` is never false and `1e3` never a number behind the author's back.
 * Bounds: 1 MiB, depth 32, 65,536 nodes, 4,096 pairs or items in one node. */
#ifndef TIDE_YAML_H
#define TIDE_YAML_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define TIDE_YAML_BYTES_MAX (1u << 20)
#define TIDE_YAML_DEPTH_MAX 32
#define TIDE_YAML_NODES_MAX 65536
#define TIDE_YAML_WIDTH_MAX 4096

enum tide_yaml_kind { TIDE_YAML_SCALAR, TIDE_YAML_LIST, TIDE_YAML_MAP };

struct tide_yaml_pair;
struct tide_yaml_node {
  uint8_t kind;          /* enum tide_yaml_kind */
  bool plain;            /* SCALAR: not quoted, not a block scalar */
  bool flow;             /* LIST, MAP: written with [] or {} */
  bool exact;            /* SCALAR: the text stands in the file byte by byte from (line, text_column) on */
  int line, column;      /* of the first character, from 1; column counts characters */
  int text_column;       /* SCALAR: column of the first character of the text (behind a quote) */
  struct tide_span text; /* SCALAR: the value; zero-terminated, holds no other zero byte */
  uint32_t count;        /* LIST, MAP */
  struct tide_yaml_node **item; /* LIST */
  struct tide_yaml_pair *pair;  /* MAP, in order of the file */
};
struct tide_yaml_pair {
  const char *key; /* zero-terminated */
  int line, column;
  struct tide_yaml_node *value;
};

/* Parses one document; nodes live in the arena. An empty document gives an empty mapping. Errors: SYNTAX, UTF8, DUPLICATE_KEY, LIMIT, TRAILING (a second document), TYPE (anchor,
 * alias, tag, or a key that is not a scalar), each with line and column. */
enum tide_err tide_yaml_parse(struct tide_span text, struct tide_arena *arena, struct tide_yaml_node **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Appends the bytes of a file; more than TIDE_YAML_BYTES_MAX are not read. what: "feature file", for the message.
 * Errors: NOT_FOUND, IO, LIMIT. */
enum tide_err tide_yaml_read(const char *path, const char *what, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;

/* The value under key, or NULL. map may be NULL or not a mapping. */
struct tide_yaml_node *tide_yaml_get(const struct tide_yaml_node *map, const char *key);
/* A plain scalar that is empty, `~` or `null`. */
bool tide_yaml_is_null(const struct tide_yaml_node *node);
/* "a text", "a list", "a mapping": for messages. */
const char *tide_yaml_kind_name(const struct tide_yaml_node *node);

#endif
