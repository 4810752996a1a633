/* The text of a feature, cut into its clauses:
 *
 *   AGG [of FIELD|PREDICATE|W1] [over W, W...] [where P] [with current] [delayed D] [hop H] [cap N]
 *
 * AGG is one or several words at the front (`time since previous`). The clause words stand at depth 0 and outside quotes; a clause reaches
 * to the next clause word, so predicates need no brackets. Clauses may come in any order, each once. This file knows no names: what a clause
 * means is spec_features.c's business. */
#include "feature/spec_build.h"

const char *const tide_agg_names[] = {
    [TIDE_AGG_COUNT] = "count",
    [TIDE_AGG_SUM] = "sum",
    [TIDE_AGG_MEAN] = "mean",
    [TIDE_AGG_STDDEV] = "stddev",
    [TIDE_AGG_MIN] = "min",
    [TIDE_AGG_MAX] = "max",
    [TIDE_AGG_DISTINCT] = "distinct",
    [TIDE_AGG_APPROX_DISTINCT] = "approx_distinct",
    [TIDE_AGG_RATE] = "rate",
    [TIDE_AGG_MAX_COUNT] = "max_count",
    [TIDE_AGG_STREAK] = "streak",
    [TIDE_AGG_SINCE_PREVIOUS] = "time since previous",
    [TIDE_AGG_SINCE_FIRST] = "time since first",
    [TIDE_AGG_LAST] = "last",
    [TIDE_AGG_CHANGED] = "changed",
    [TIDE_AGG_DISTANCE] = "distance_km from previous",
    [TIDE_AGG_SPEED] = "speed_kmh from previous",
    [TIDE_AGG_FACT] = "fact",
};
_Static_assert(sizeof tide_agg_names / sizeof tide_agg_names[0] == TIDE_AGG_NAMED, "one name for each aggregation");

const char *tide_agg_name(enum tide_agg agg) {
  TIDE_CHECK(agg <= TIDE_AGG_NEW);
  return agg == TIDE_AGG_NEW ? "new" : tide_agg_names[agg];
}

static bool word_char(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; }
static bool space_char(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* Walks over words at depth 0. Returns false at the end; *at is behind the word. */
static bool next_word(struct tide_span text, size_t *at, int *depth, struct tide_span *ret) {
  while (*at < text.len) {
    char c = text.ptr[*at];
    if (c == '"') {
      for (++*at; *at < text.len && text.ptr[*at] != '"'; ++*at)
        if (text.ptr[*at] == '\\' && *at + 1 < text.len) ++*at;
      if (*at < text.len) ++*at;
    } else if (word_char(c)) {
      size_t start = *at;
      while (*at < text.len && word_char(text.ptr[*at])) ++*at;
      if (*depth > 0) continue;
      *ret = (struct tide_span){text.ptr + start, *at - start};
      return true;
    } else {
      if (c == '(') ++*depth;
      if (c == ')' && *depth > 0) --*depth;
      ++*at;
    }
  }
  return false;
}

size_t tide_text_find_word(struct tide_span text, size_t from, const char *word) {
  struct tide_span found;
  int depth = 0;
  while (next_word(text, &from, &depth, &found))
    if (tide_span_is(found, word)) return (size_t)(found.ptr - text.ptr);
  return SIZE_MAX;
}

/* If text at `at` begins with the words of `phrase` (single blanks there, any blanks in text), the place behind them, else 0. */
static size_t match_phrase(struct tide_span text, size_t at, const char *phrase) {
  for (;;) {
    while (at < text.len && space_char(text.ptr[at])) at++;
    size_t len = strcspn(phrase, " ");
    if (text.len - at < len || memcmp(text.ptr + at, phrase, len) != 0) return 0;
    at += len;
    if (at < text.len && word_char(text.ptr[at])) return 0;
    if (!phrase[len]) return at;
    phrase += len + 1;
  }
}

static size_t agg_match(struct tide_span text, int *ret_agg) {
  for (int agg = 0; agg < TIDE_AGG_NAMED; agg++) {
    size_t at = match_phrase(text, 0, tide_agg_names[agg]);
    if (at) {
      *ret_agg = agg;
      return at;
    }
  }
  return 0;
}

static struct tide_span between(struct tide_span text, size_t from, size_t to) {
  return tide_span_trim((struct tide_span){text.ptr + from, to - from});
}

bool tide_clauses_cut(struct tide_span text, struct tide_clauses *ret, size_t *ret_at, const char **ret_problem,
                      struct tide_span *ret_word) {
  struct tide_clauses c = {0};
  size_t at = agg_match(text, &c.agg);
  *ret_at = 0;
  *ret_word = (struct tide_span){text.ptr, 0};
  if (!at) {
    int depth = 0;
    size_t end = 0;
    (void)next_word(text, &end, &depth, ret_word);
    *ret_at = ret_word->len ? (size_t)(ret_word->ptr - text.ptr) : 0;
    *ret_problem = "no such aggregation";
    return false;
  }
  /* last F, changed F and fact F have their field without `of`. */
  struct tide_span *open = NULL;
  size_t open_from = at;
  if (c.agg == TIDE_AGG_LAST || c.agg == TIDE_AGG_CHANGED || c.agg == TIDE_AGG_FACT) open = &c.of;
  bool first = true;
  int depth = 0;
  size_t scan = at;
  for (;;) {
    struct tide_span word = {0};
    bool more = next_word(text, &scan, &depth, &word);
    size_t word_at = more ? (size_t)(word.ptr - text.ptr) : text.len;
    struct tide_span *next = NULL;
    bool current = false;
    if (more) {
      if (first && tide_span_is(word, "of")) next = &c.of;
      else if (tide_span_is(word, "over")) next = &c.over;
      else if (tide_span_is(word, "where")) next = &c.where;
      else if (tide_span_is(word, "delayed")) next = &c.delayed;
      else if (tide_span_is(word, "hop")) next = &c.hop;
      else if (tide_span_is(word, "cap")) next = &c.cap;
      else if (tide_span_is(word, "with") && match_phrase(text, word_at, "with current")) current = true;
      first = false;
      if (!next && !current) continue;
    }
    struct tide_span part = between(text, open_from, word_at);
    if (open) {
      *open = part;
      if (part.len == 0) {
        *ret_at = open_from;
        *ret_word = (struct tide_span){text.ptr + *ret_at, 0};
        *ret_problem = "nothing follows here";
        return false;
      }
    } else if (part.len) {
      *ret_at = (size_t)(part.ptr - text.ptr);
      size_t len = 0;
      while (len < part.len && word_char(part.ptr[len])) len++;
      *ret_word = (struct tide_span){part.ptr, len};
      *ret_problem = "expected of, over, where, with current, delayed, hop or cap";
      return false;
    }
    if (!more) break;
    if ((current && c.current) || (next && next->ptr)) {
      *ret_at = word_at;
      *ret_word = word;
      *ret_problem = "this clause stands here twice";
      return false;
    }
    if (current) {
      c.current = true;
      scan = match_phrase(text, word_at, "with current");
      open = NULL;
    } else {
      open = next;
      next->ptr = text.ptr + word_at; /* seen; the part replaces it */
    }
    open_from = scan;
  }
  *ret = c;
  return true;
}
