/* Putting a policy into a feature file, by lines (spec_compose.h).
 *
 * Sections are found by the parser and moved as text: comments and layout stay, and no writer of YAML can change what a value means. A section goes from the
 * line of its key to the line before the next key, less the blank lines and comments at its end, which belong to what follows. That holds for block style whose
 * keys begin their lines, as every feature file is written; anything else is refused. libyaml breaks lines at more than the newline, so each
 * key is looked for where its line should begin. */
#include "feature/spec_compose.h"

#include <stdio.h>

#include "config/yaml.h"

struct section {
  int first, count;  /* lines from 1 */
  size_t begin, end; /* bytes */
};

static enum tide_err say_where(struct tide_error *error, const char *where, enum tide_err err) {
  if (!err || !error) return err;
  char text[sizeof error->text];
  snprintf(text, sizeof text, "%s: %.*s", where, (int)(sizeof text - strlen(where) - 3), error->text);
  memcpy(error->text, text, sizeof text);
  return err;
}

/* The byte at which line `line` begins; text.len when there are fewer. */
static size_t line_begin(struct tide_span text, int line) {
  size_t at = 0;
  for (int i = 1; i < line && at < text.len; i++) {
    const char *end = memchr(text.ptr + at, '\n', text.len - at);
    at = end ? (size_t)(end - text.ptr) + 1 : text.len;
  }
  return at;
}

static int line_count(struct tide_span text) {
  int n = text.len && text.ptr[text.len - 1] != '\n';
  for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == '\n';
  return n;
}

static bool begins_with_key(struct tide_span text, size_t at, const char *key) {
  if (at < text.len && (text.ptr[at] == '"' || text.ptr[at] == '\'')) at++;
  size_t len = strlen(key);
  return text.len - at >= len && memcmp(text.ptr + at, key, len) == 0;
}

/* A line that belongs to what follows it: blank, or a comment from the first column on. */
static bool is_between(struct tide_span text, int line) {
  size_t at = line_begin(text, line), end = line_begin(text, line + 1);
  if (at < end && text.ptr[at] == '#') return true;
  while (at < end && (text.ptr[at] == ' ' || text.ptr[at] == '\r' || text.ptr[at] == '\n')) at++;
  return at == end;
}

static enum tide_err key_out_of_place(const struct tide_yaml_pair *pair, struct tide_error *error) {
  return tide_fail_at(error, TIDE_E_TYPE, pair->line, pair->column, pair->key,
                      "`%.40s:` does not begin its line: a policy can be put in only where each section begins a line of its own",
                      pair->key);
}

/* Where the section of the key stands; count 0 when it is not there. */
static enum tide_err find_section(struct tide_span text, const struct tide_yaml_node *root, const char *key, struct section *ret,
                                  struct tide_error *error) {
  uint32_t i = 0;
  while (i < root->count && strcmp(root->pair[i].key, key) != 0) i++;
  int lines = line_count(text);
  struct section section = {.first = lines + 1, .begin = text.len, .end = text.len};
  if (i < root->count) {
    const struct tide_yaml_pair *pair = &root->pair[i], *next = i + 1 < root->count ? pair + 1 : NULL;
    int last = next ? next->line - 1 : lines;
    section.first = pair->line;
    section.begin = line_begin(text, pair->line);
    if (pair->column != 1 || !begins_with_key(text, section.begin, key)) return key_out_of_place(pair, error);
    if (next && (next->column != 1 || !begins_with_key(text, line_begin(text, next->line), next->key)))
      return key_out_of_place(next, error);
    while (last > pair->line && is_between(text, last)) last--;
    section.count = last - pair->line + 1;
    section.end = line_begin(text, last + 1);
  }
  *ret = section;
  return TIDE_OK;
}

static enum tide_err parse_root(struct tide_span text, struct tide_arena *arena, struct tide_yaml_node **ret, struct tide_error *error) {
  struct tide_yaml_node *root;
  enum tide_err err = tide_yaml_parse(text, arena, &root, error);
  if (err) return err;
  if (root->kind != TIDE_YAML_MAP || root->flow)
    return tide_fail_at(error, TIDE_E_TYPE, root->line, root->column, NULL,
                        "the file must be a mapping in block style: a section begins a line, like `policy:`");
  *ret = root;
  return TIDE_OK;
}

static enum tide_err check_policy(const struct tide_yaml_node *root, struct tide_error *error) {
  for (uint32_t i = 0; i < root->count; i++) {
    const struct tide_yaml_pair *pair = &root->pair[i];
    bool version = strcmp(pair->key, "tidemark") == 0, name = strcmp(pair->key, "name") == 0;
    if (!version && !name && strcmp(pair->key, "policy") != 0 && strcmp(pair->key, "tests") != 0)
      return tide_fail_at(
          error, TIDE_E_UNKNOWN_NAME, pair->line, pair->column, pair->key,
          "`%.40s:` does not belong here: a policy file has `policy:` and, if you like, `name:` and `tests:`; the rest is the feature file's",
          pair->key);
    if (version && (pair->value->kind != TIDE_YAML_SCALAR || !tide_span_is(pair->value->text, "1")))
      return tide_fail_at(error, TIDE_E_VERSION, pair->value->line, pair->value->column, pair->key,
                          "this program reads format version 1: write `tidemark: 1`");
    if (name && (pair->value->kind != TIDE_YAML_SCALAR || tide_yaml_is_null(pair->value) || pair->value->text.len > 63))
      return tide_fail_at(error, TIDE_E_TYPE, pair->value->line, pair->value->column, pair->key, "name: a text of at most 63 bytes");
  }
  const struct tide_yaml_node *policy = tide_yaml_get(root, "policy");
  if (!policy) return tide_fail_at(error, TIDE_E_MISSING, 1, 1, "policy", "`policy:` is missing: the rules that this policy consists of");
  if (policy->kind != TIDE_YAML_MAP)
    return tide_fail_at(error, TIDE_E_TYPE, policy->line, policy->column, "policy", "policy must be a mapping, not %s",
                        tide_yaml_kind_name(policy));
  return TIDE_OK;
}

/* Lines, each with its newline: what follows must begin a line. */
static void put_lines(struct tide_buf *out, struct tide_span text, size_t begin, size_t end) {
  if (begin == end) return;
  tide_buf_put(out, text.ptr + begin, end - begin);
  if (text.ptr[end - 1] != '\n') tide_buf_char(out, '\n');
}

/* The policy's sections, checked: [0] `policy:`, [1] `tests:`. */
static enum tide_err read_policy(struct tide_span policy, struct section ret[TIDE_COMPOSED_PIECES], struct tide_buf *name,
                                 struct tide_error *error) {
  struct tide_arena arena = {0};
  struct tide_yaml_node *root = NULL;
  enum tide_err err = parse_root(policy, &arena, &root, error);
  if (!err) err = check_policy(root, error);
  if (!err) err = find_section(policy, root, "policy", &ret[0], error);
  if (!err) err = find_section(policy, root, "tests", &ret[1], error);
  const struct tide_yaml_node *node = err ? NULL : tide_yaml_get(root, "name");
  if (node && name) tide_buf_put(name, node->text.ptr, node->text.len);
  tide_arena_release(&arena);
  TIDE_CHECK(err || ret[0].count > 0);
  return say_where(error, "policy", err);
}

static enum tide_err read_features(struct tide_span features, struct section ret[TIDE_COMPOSED_PIECES], struct tide_error *error) {
  struct tide_arena arena = {0};
  struct tide_yaml_node *root = NULL;
  enum tide_err err = parse_root(features, &arena, &root, error);
  if (!err) err = find_section(features, root, "policy", &ret[0], error);
  if (!err) err = find_section(features, root, "tests", &ret[1], error);
  tide_arena_release(&arena);
  return say_where(error, "feature file", err);
}

enum tide_err tide_spec_compose(struct tide_span features, struct tide_span policy, struct tide_buf *out, struct tide_composed *ret,
                                struct tide_error *error) {
  struct section theirs[TIDE_COMPOSED_PIECES] = {{0}}, ours[TIDE_COMPOSED_PIECES] = {{0}};
  enum tide_err err = read_policy(policy, ours, NULL, error);
  if (!err) err = read_features(features, theirs, error);
  if (err) return err;
  struct tide_composed composed = {0};
  size_t at = 0;
  int moved = 0; /* lines more than the feature file up to here */
  for (uint32_t i = 0; i < TIDE_COMPOSED_PIECES; i++) {
    uint32_t which = theirs[1].begin < theirs[0].begin ? 1 - i : i;
    put_lines(out, features, at, theirs[which].begin);
    put_lines(out, policy, ours[which].begin, ours[which].end);
    composed.piece[i] =
        (struct tide_composed_piece){theirs[which].first + moved, ours[which].count, ours[which].first, theirs[which].count};
    moved += ours[which].count - theirs[which].count;
    at = theirs[which].end;
  }
  put_lines(out, features, at, features.len);
  *ret = composed;
  return TIDE_OK;
}

/* The line of the file that a line of the composed text comes from. */
static int own_line(const struct tide_composed *composed, int line, bool *ret_in_policy) {
  int removed = 0;
  for (uint32_t i = 0; i < TIDE_COMPOSED_PIECES; i++) {
    const struct tide_composed_piece *piece = &composed->piece[i];
    int into = line - piece->first;
    if (into >= 0 && into < piece->count) {
      *ret_in_policy = true;
      return piece->policy_first + into;
    }
    if (into >= piece->count) removed += piece->removed - piece->count;
  }
  *ret_in_policy = false;
  return line + removed;
}

void tide_composed_place(const struct tide_composed *composed, struct tide_error *error) {
  bool in_policy = false;
  if (error->line > 0) error->line = own_line(composed, error->line, &in_policy);
  (void)say_where(error, in_policy ? "policy" : "feature file", error->code);
}

/* Tests come from the policy alone, and whoever runs them tells their lines. */
static void place_tests(const struct tide_composed *composed, struct tide_spec *spec) {
  bool in_policy;
  for (uint32_t t = 0; t < spec->test_count; t++) {
    struct tide_test *test = &spec->test[t];
    test->line = own_line(composed, test->line, &in_policy);
    for (uint32_t i = 0; i < test->expect_count; i++) test->expect[i].line = own_line(composed, test->expect[i].line, &in_policy);
    for (uint32_t e = 0; e < test->event_count; e++) {
      struct tide_test_event *event = &test->event[e];
      event->line = own_line(composed, event->line, &in_policy);
      for (uint32_t i = 0; i < event->set_count; i++) event->set[i].line = own_line(composed, event->set[i].line, &in_policy);
    }
  }
}

enum tide_err tide_spec_parse_composed(struct tide_span features, struct tide_span policy, struct tide_spec **ret, struct tide_error *error,
                                       size_t error_max, size_t *ret_errors) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_composed composed = {0};
  struct tide_error first = {0};
  size_t count = 1;
  enum tide_err err = tide_spec_compose(features, policy, &text, &composed, &first);
  if (err) {
    if (error_max) error[0] = first;
  } else {
    err = tide_spec_parse("composed", tide_buf_span(&text), ret, error, error_max, &count);
    for (size_t i = 0; err && i < count && i < error_max; i++) tide_composed_place(&composed, &error[i]);
    if (!err) place_tests(&composed, *ret);
  }
  tide_buf_release(&text);
  if (ret_errors) *ret_errors = err ? count : 0;
  return err;
}

enum tide_err tide_policy_name(struct tide_span policy, struct tide_buf *out, struct tide_error *error) {
  struct section section[TIDE_COMPOSED_PIECES];
  return read_policy(policy, section, out, error);
}
