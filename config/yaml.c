/* The document tree from libyaml's events (yaml.h).
 *
 * Events rather than libyaml's own documents: only events carry anchors and tags before they are resolved, and only so do keys keep
 * their place. The tree is built with an explicit stack of at most TIDE_YAML_DEPTH_MAX open nodes; children are collected in a linked list and
 * copied into an array when their parent closes, so every node is written once. */
#include "config/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

#include "base/utf8.h"

struct child {
  struct child *next;
  struct tide_yaml_pair pair; /* of a list only the value */
};
struct open_node {
  struct tide_yaml_node *node;
  struct child *first, *last;
  bool has_key;
  const char *key;
  int key_line, key_column;
};
struct build {
  struct tide_arena *arena;
  struct tide_error *error;
  struct tide_yaml_node *root;
  struct open_node stack[TIDE_YAML_DEPTH_MAX];
  uint32_t depth, nodes;
};

static int line_of(yaml_mark_t mark) { return (int)mark.line + 1; }
static int column_of(yaml_mark_t mark) { return (int)mark.column + 1; }

static struct tide_yaml_node *node_new(struct build *b, enum tide_yaml_kind kind, const yaml_event_t *event) {
  struct tide_yaml_node *node = tide_arena_alloc(b->arena, sizeof *node);
  node->kind = (uint8_t)kind;
  node->line = line_of(event->start_mark);
  node->column = column_of(event->start_mark);
  node->text_column = node->column;
  return node;
}

/* Puts a finished or just opened node where it belongs: root, list item, key or value. */
static enum tide_err place(struct build *b, struct tide_yaml_node *node) {
  if (++b->nodes > TIDE_YAML_NODES_MAX)
    return tide_fail_at(b->error, TIDE_E_LIMIT, node->line, node->column, NULL, "the document has more than %d values",
                        TIDE_YAML_NODES_MAX);
  if (b->depth == 0) {
    TIDE_CHECK(!b->root);
    b->root = node;
    return TIDE_OK;
  }
  struct open_node *open = &b->stack[b->depth - 1];
  if (open->node->kind == TIDE_YAML_MAP && !open->has_key) {
    if (node->kind != TIDE_YAML_SCALAR)
      return tide_fail_at(b->error, TIDE_E_TYPE, node->line, node->column, NULL, "a key must be a name, not %s", tide_yaml_kind_name(node));
    for (const struct child *c = open->first; c; c = c->next)
      if (strcmp(c->pair.key, node->text.ptr) == 0)
        return tide_fail_at(b->error, TIDE_E_DUPLICATE_KEY, node->line, node->column, node->text.ptr,
                            "duplicate key `%.80s`: it stands already in line %d; keep one of them", node->text.ptr, c->pair.line);
    open->has_key = true;
    open->key = node->text.ptr;
    open->key_line = node->line;
    open->key_column = node->column;
    return TIDE_OK;
  }
  if (open->node->count == TIDE_YAML_WIDTH_MAX)
    return tide_fail_at(b->error, TIDE_E_LIMIT, node->line, node->column, NULL, "more than %d entries in one list or mapping",
                        TIDE_YAML_WIDTH_MAX);
  struct child *child = tide_arena_alloc(b->arena, sizeof *child);
  child->pair = (struct tide_yaml_pair){open->key, open->key_line, open->key_column, node};
  if (open->last) open->last->next = child;
  else open->first = child;
  open->last = child;
  open->node->count++;
  open->has_key = false;
  return TIDE_OK;
}

static enum tide_err push(struct build *b, struct tide_yaml_node *node) {
  enum tide_err err = place(b, node);
  if (err) return err;
  if (b->depth == TIDE_YAML_DEPTH_MAX)
    return tide_fail_at(b->error, TIDE_E_LIMIT, node->line, node->column, NULL, "nested deeper than %d", TIDE_YAML_DEPTH_MAX);
  b->stack[b->depth++] = (struct open_node){.node = node};
  return TIDE_OK;
}

static void pop(struct build *b) {
  TIDE_CHECK(b->depth > 0);
  struct open_node *open = &b->stack[--b->depth];
  struct tide_yaml_node *node = open->node;
  TIDE_CHECK(!open->has_key);
  uint32_t n = 0;
  if (node->kind == TIDE_YAML_MAP) {
    node->pair = tide_arena_alloc(b->arena, (node->count + 1) * sizeof *node->pair);
    for (const struct child *c = open->first; c; c = c->next) node->pair[n++] = c->pair;
  } else {
    node->item = tide_arena_alloc(b->arena, (node->count + 1) * sizeof *node->item);
    for (const struct child *c = open->first; c; c = c->next) node->item[n++] = c->pair.value;
  }
  TIDE_CHECK(n == node->count);
}

static size_t characters(struct tide_span s) {
  size_t n = 0;
  for (size_t i = 0; i < s.len; i++) n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
  return n;
}

static enum tide_err scalar(struct build *b, const yaml_event_t *event) {
  struct tide_yaml_node *node = node_new(b, TIDE_YAML_SCALAR, event);
  struct tide_span text = {(const char *)event->data.scalar.value, event->data.scalar.length};
  if (memchr(text.ptr, 0, text.len)) return tide_fail_at(b->error, TIDE_E_SYNTAX, node->line, node->column, NULL, "a zero byte in a text");
  node->text = (struct tide_span){tide_arena_strdup(b->arena, text), text.len};
  yaml_scalar_style_t style = event->data.scalar.style;
  node->plain = style == YAML_PLAIN_SCALAR_STYLE;
  bool quoted = style == YAML_SINGLE_QUOTED_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
  size_t quotes = quoted ? 2 : 0;
  node->text_column += quoted;
  /* Escapes and folded lines make the source longer than the value: then only the node's own place is known. */
  node->exact = (node->plain || quoted) && event->start_mark.line == event->end_mark.line &&
                event->end_mark.index - event->start_mark.index == characters(text) + quotes;
  return place(b, node);
}

static enum tide_err refuse_extras(struct build *b, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag) {
  int line = line_of(event->start_mark), column = column_of(event->start_mark);
  if (anchor)
    return tide_fail_at(b->error, TIDE_E_TYPE, line, column, NULL,
                        "anchors (&%.40s) are not supported: write the value out, or quote the text", (const char *)anchor);
  if (tag)
    return tide_fail_at(b->error, TIDE_E_TYPE, line, column, NULL, "tags (%.40s) are not supported: quote the text", (const char *)tag);
  return TIDE_OK;
}

static enum tide_err handle(struct build *b, const yaml_event_t *event, bool *ret_done) {
  enum tide_err err = TIDE_OK;
  switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
      if (b->root)
        return tide_fail_at(b->error, TIDE_E_TRAILING, line_of(event->start_mark), column_of(event->start_mark), NULL,
                            "a second document (`---`): one file holds one document");
      break;
    case YAML_ALIAS_EVENT:
      return tide_fail_at(b->error, TIDE_E_TYPE, line_of(event->start_mark), column_of(event->start_mark), NULL,
                          "aliases (*%.40s) are not supported: write the value out, or quote the text",
                          (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
      err = refuse_extras(b, event, event->data.scalar.anchor, event->data.scalar.tag);
      if (!err) err = scalar(b, event);
      break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
      bool list = event->type == YAML_SEQUENCE_START_EVENT;
      err = list ? refuse_extras(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag)
                 : refuse_extras(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
      if (err) break;
      struct tide_yaml_node *node = node_new(b, list ? TIDE_YAML_LIST : TIDE_YAML_MAP, event);
      node->flow =
          list ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE : event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
      err = push(b, node);
      break;
    }
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: pop(b); break;
    case YAML_STREAM_END_EVENT: *ret_done = true; break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT: break;
  }
  return err;
}

/* Line and column of a byte, counted in characters as the parser counts them. */
static void place_of_byte(struct tide_span text, size_t offset, int *ret_line, int *ret_column) {
  size_t begin = 0;
  *ret_line = 1;
  for (size_t i = 0; i < offset && i < text.len; i++) {
    if (text.ptr[i] != '\n') continue;
    ++*ret_line;
    begin = i + 1;
  }
  *ret_column = (int)characters((struct tide_span){text.ptr + begin, (offset < text.len ? offset : text.len) - begin}) + 1;
}

/* The first byte that belongs to no character. */
static size_t invalid_byte(struct tide_span text) {
  for (size_t at = 0; at < text.len;) {
    unsigned char lead = (unsigned char)text.ptr[at];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (len > text.len - at || !tide_utf8_valid((struct tide_span){text.ptr + at, len})) return at;
    at += len;
  }
  return text.len;
}

static enum tide_err check_bytes(struct tide_span text, struct tide_error *error) {
  if (text.len > TIDE_YAML_BYTES_MAX)
    return tide_fail(error, TIDE_E_LIMIT, "the file has more than %u bytes", TIDE_YAML_BYTES_MAX); /* no more of it was read */
  if (tide_utf8_valid(text)) return TIDE_OK;
  int line, column;
  place_of_byte(text, invalid_byte(text), &line, &column);
  return tide_fail_at(error, TIDE_E_UTF8, line, column, NULL, "invalid UTF-8: save the file as UTF-8");
}

enum tide_err tide_yaml_parse(struct tide_span text, struct tide_arena *arena, struct tide_yaml_node **ret, struct tide_error *error) {
  enum tide_err err = check_bytes(text, error);
  if (err) return err;
  /* Editors write a mark in front; libyaml, told the encoding, takes it for a character. */
  text = tide_utf8_unmarked(text);
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser)) return tide_fail(error, TIDE_E_LIMIT, "no memory for the YAML parser");
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING); /* otherwise libyaml guesses UTF-16 from two bytes */
  yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
  struct build b = {.arena = arena, .error = error};
  for (bool done = false; !done && !err;) {
    yaml_event_t event;
    if (!yaml_parser_parse(&parser, &event)) {
      const char *problem = parser.problem ? parser.problem : "not well-formed";
      if (parser.error == YAML_READER_ERROR) { /* the reader runs ahead of the parser and knows its bytes only */
        int line, column;
        place_of_byte(text, parser.problem_offset, &line, &column);
        err = tide_fail_at(error, TIDE_E_SYNTAX, line, column, NULL, "YAML: %s", problem);
      } else {
        err = tide_fail_at(error, TIDE_E_SYNTAX, line_of(parser.problem_mark), column_of(parser.problem_mark), NULL, "YAML: %s%s%s",
                           problem, parser.context ? " " : "", parser.context ? parser.context : "");
      }
      break;
    }
    err = handle(&b, &event, &done);
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  if (err) return err;
  TIDE_CHECK(b.depth == 0);
  if (!b.root || tide_yaml_is_null(b.root)) {
    b.root = tide_arena_alloc(arena, sizeof *b.root);
    *b.root = (struct tide_yaml_node){.kind = TIDE_YAML_MAP, .line = 1, .column = 1, .text_column = 1};
  }
  *ret = b.root;
  return TIDE_OK;
}

enum tide_err tide_yaml_read(const char *path, const char *what, struct tide_buf *out, struct tide_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot open the %s %s", what, path);
  for (;;) {
    tide_buf_reserve(out, 65536);
    size_t n = fread(out->ptr + out->len, 1, 65536, file);
    out->len += n;
    if (n == 0 || out->len > TIDE_YAML_BYTES_MAX) break;
  }
  enum tide_err err = ferror(file) ? tide_fail_errno(error, TIDE_E_IO, "cannot read the %s %s", what, path) : TIDE_OK;
  (void)fclose(file);
  if (!err && out->len > TIDE_YAML_BYTES_MAX)
    err = tide_fail(error, TIDE_E_LIMIT, "the %s %s has more than %u bytes", what, path, TIDE_YAML_BYTES_MAX);
  return err;
}

struct tide_yaml_node *tide_yaml_get(const struct tide_yaml_node *map, const char *key) {
  if (!map || map->kind != TIDE_YAML_MAP) return NULL;
  for (uint32_t i = 0; i < map->count; i++)
    if (strcmp(map->pair[i].key, key) == 0) return map->pair[i].value;
  return NULL;
}

bool tide_yaml_is_null(const struct tide_yaml_node *node) {
  return node->kind == TIDE_YAML_SCALAR && node->plain &&
         (node->text.len == 0 || tide_span_is(node->text, "~") || tide_span_is(node->text, "null"));
}

const char *tide_yaml_kind_name(const struct tide_yaml_node *node) {
  switch (node->kind) {
    case TIDE_YAML_SCALAR: return tide_yaml_is_null(node) ? "nothing" : "a text";
    case TIDE_YAML_LIST: return "a list";
    default: return "a mapping";
  }
}
