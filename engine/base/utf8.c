/* UTF-8 validation by the table of RFC 3629 section 4, and "did you mean".
 *
 * Validation runs eight ASCII bytes at a time, because most of a message is ASCII; the first byte of a longer character decides how many
 * follow and which range the second may have (that range is what excludes overlong forms, surrogates and values above U+10FFFF).
 * The distance is Damerau-Levenshtein with adjacent transpositions (optimal string alignment), in three rows. */
#include "base/utf8.h"

enum { NEAREST_LEN_MAX = 128 };

bool tide_utf8_valid(struct tide_span s) {
  const uint8_t *p = (const uint8_t *)s.ptr;
  size_t left = s.len;
  while (left > 0) {
    if (left >= 8) {
      uint64_t word;
      memcpy(&word, p, sizeof word);
      if ((word & UINT64_C(0x8080808080808080)) == 0) {
        p += 8;
        left -= 8;
        continue;
      }
    }
    uint8_t c = *p;
    if (c < 0x80) {
      p++;
      left--;
      continue;
    }
    size_t more;
    uint8_t lo = 0x80, hi = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
      more = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
      more = 2;
      lo = c == 0xe0 ? 0xa0 : lo;
      hi = c == 0xed ? 0x9f : hi;
    } else if (c >= 0xf0 && c <= 0xf4) {
      more = 3;
      lo = c == 0xf0 ? 0x90 : lo;
      hi = c == 0xf4 ? 0x8f : hi;
    } else {
      return false;
    }
    if (left <= more || p[1] < lo || p[1] > hi) {
      return false;
    }
    for (size_t i = 2; i <= more; i++) {
      if ((p[i] & 0xc0) != 0x80) {
        return false;
      }
    }
    p += more + 1;
    left -= more + 1;
  }
  return true;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t distance(struct tide_span a, struct tide_span b) {
  size_t rows[3][NEAREST_LEN_MAX + 1];
  size_t *before = rows[0], *last = rows[1], *now = rows[2];
  for (size_t j = 0; j <= b.len; j++) {
    last[j] = j;
  }
  for (size_t i = 1; i <= a.len; i++) {
    now[0] = i;
    for (size_t j = 1; j <= b.len; j++) {
      size_t cost = a.ptr[i - 1] != b.ptr[j - 1];
      now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
      if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1]) {
        now[j] = least(now[j], before[j - 2] + 1);
      }
    }
    size_t *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[b.len];
}

struct tide_span tide_utf8_unmarked(struct tide_span s) {
  bool marked = s.len >= 3 && memcmp(s.ptr, "\xEF\xBB\xBF", 3) == 0;
  return marked ? (struct tide_span){s.ptr + 3, s.len - 3} : s;
}

static size_t common_beginning(struct tide_span a, struct tide_span b) {
  size_t n = 0;
  while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n]) {
    n++;
  }
  return n;
}

const char *tide_nearest(struct tide_span name, const char *const *candidates, size_t count) {
  if (name.len > NEAREST_LEN_MAX) {
    return NULL;
  }
  const char *best = NULL;
  size_t best_distance = (name.len / 3 > 2 ? name.len / 3 : 2) + 1, best_beginning = 0;
  for (size_t i = 0; i < count; i++) {
    struct tide_span candidate = tide_span_of(candidates[i]);
    if (!candidate.ptr || candidate.len > NEAREST_LEN_MAX) {
      continue;
    }
    size_t d = distance(name, candidate), beginning = common_beginning(name, candidate);
    if (d >= name.len && d >= candidate.len) {
      continue; /* not a letter in common: short names are all within two letters of each other */
    }
    if (d < best_distance || (best && d == best_distance && beginning > best_beginning)) {
      best = candidates[i];
      best_distance = d;
      best_beginning = beginning;
    }
  }
  return best;
}
