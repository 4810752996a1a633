/* CSV rows (RFC 4180) into captures: comma, double quotes, doubled quotes inside them.
 *
 * A message is one line, so a quoted cell cannot hold a line break: an unterminated quote says so. The header names the columns; every
 * row must have as many cells. A cell is borrowed from the line unless it holds doubled quotes. A place of one segment is a column
 * ("/amount" and "amount" are the same); deeper pointers never match a column, and decode.c refuses them when the header comes. */
#include "adapter/decode_parts.h"

#include <endian.h>

#include "base/utf8.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct csv_reader {
  struct tide_format_reader reader; /* first: a reader is one of these */
  const struct tide_place *place;
  uint32_t place_count;
  uint32_t *place_of;  /* by column: place, or TIDE_NONE */
  uint32_t *column_of; /* by place: column, or TIDE_NONE */
  const char **name;   /* by column; NULL before the header */
  uint32_t column_count;
  struct tide_arena arena;
};

/* One cell: `raw` as it stands in the line, quotes included. */
struct cell {
  struct tide_span raw, text;
  bool doubled; /* text still holds doubled quotes */
};

struct cursor {
  const char *at, *limit;
  bool more; /* a cell follows */
};

static struct cursor cursor_of(struct tide_span line) { return (struct cursor){line.ptr, line.ptr + line.len, true}; }

static enum tide_err quoted(struct cursor *c, uint32_t index, struct cell *ret, struct tide_error *error) {
  const char *begin = c->at, *text = begin + 1;
  const char *p = text;
  bool doubled = false;
  for (;;) {
    p = memchr(p, '"', (size_t)(c->limit - p));
    if (!p)
      return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "",
                          "the quote that opens cell %u is not closed on this line; line breaks inside cells are not supported", index + 1);
    if (p + 1 < c->limit && p[1] == '"') {
      doubled = true;
      p += 2;
      continue;
    }
    break;
  }
  const char *behind = p + 1;
  if (behind < c->limit && *behind != ',')
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "cell %u goes on after its closing quote", index + 1);
  *ret = (struct cell){{begin, (size_t)(behind - begin)}, {text, (size_t)(p - text)}, doubled};
  c->more = behind < c->limit;
  c->at = c->more ? behind + 1 : behind;
  return TIDE_OK;
}

static enum tide_err next_cell(struct cursor *c, uint32_t index, struct cell *ret, struct tide_error *error) {
  if (c->at < c->limit && *c->at == '"') return quoted(c, index, ret, error);
  const char *p = c->at;
  while (p < c->limit && *p != ',') {
    if (*p == '"') return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "a quote stands in the middle of unquoted cell %u", index + 1);
    p++;
  }
  struct tide_span text = {c->at, (size_t)(p - c->at)};
  *ret = (struct cell){text, text, false};
  c->more = p < c->limit;
  c->at = c->more ? p + 1 : p;
  return TIDE_OK;
}

/* The text with doubled quotes made single, in the arena. */
static struct tide_span undouble(struct tide_span s, struct tide_arena *arena) {
  char *out = tide_arena_alloc(arena, s.len);
  size_t len = 0;
  for (size_t i = 0; i < s.len; i++) {
    out[len++] = s.ptr[i];
    if (s.ptr[i] == '"') i++;
  }
  return (struct tide_span){out, len};
}

static enum tide_err check_bytes(struct tide_span line, struct tide_error *error) {
  if (line.len && memchr(line.ptr, 0, line.len)) return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "the row holds a zero byte");
  if (!tide_utf8_valid(line)) return tide_fail_at(error, TIDE_E_UTF8, 0, 0, "", "the row is not valid UTF-8");
  return TIDE_OK;
}

static enum tide_err csv_open(const struct tide_decode_options *options, const struct tide_place *place, uint32_t place_count,
                              struct tide_format_reader **ret, struct tide_error *error) {
  (void)options, (void)error;
  struct csv_reader *r = tide_alloc(sizeof *r);
  r->reader.ops = &tide_format_csv;
  r->place = place;
  r->place_count = place_count;
  *ret = &r->reader;
  return TIDE_OK;
}

static void csv_close(struct tide_format_reader *reader) {
  struct csv_reader *r = (struct csv_reader *)reader;
  tide_arena_release(&r->arena);
  tide_free(r);
}

#define COLUMNS_MAX 4096

/* A file without a header has its first row here: only a name that the feature file has too is shown, anything else may be a card number. */
static enum tide_err fail_twice(const struct csv_reader *r, struct tide_span name, uint32_t first, uint32_t second,
                                struct tide_error *error) {
  for (uint32_t i = 0; i < r->place_count; i++)
    if (r->place[i].segment_count == 1 && tide_span_eq(r->place[i].segment[0], name))
      return tide_fail_at(error, TIDE_E_DUPLICATE_KEY, 0, 0, "", "the header names column \"%.*s\" twice (%u and %u)",
                          TIDE_SPAN_FMT(tide_clip(name)), first, second);
  return tide_fail_at(error, TIDE_E_DUPLICATE_KEY, 0, 0, "",
                      "columns %u and %u of the header have the same name; is the first line a header?", first, second);
}

static enum tide_err csv_header(struct tide_format_reader *reader, struct tide_span line, struct tide_error *error) {
  struct csv_reader *r = (struct csv_reader *)reader;
  TIDE_CHECK(r->name == NULL);     /* once, before any row */
  line = tide_utf8_unmarked(line); /* spreadsheets write one */
  enum tide_err err = check_bytes(line, error);
  if (err) return err;
  const char **name = tide_arena_alloc(&r->arena, COLUMNS_MAX * sizeof *name);
  uint32_t *place_of = tide_arena_alloc(&r->arena, COLUMNS_MAX * sizeof *place_of);
  uint32_t count = 0;
  for (struct cursor c = cursor_of(line); c.more;) {
    struct cell cell;
    err = next_cell(&c, count, &cell, error);
    if (err) return err;
    struct tide_span text = cell.doubled ? undouble(cell.text, &r->arena) : cell.text;
    if (text.len == 0) return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "column %u of the header has no name", count + 1);
    if (count == COLUMNS_MAX) return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "the header has more than %d columns", COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++)
      if (tide_span_is(text, name[i])) return fail_twice(r, text, i + 1, count + 1, error);
    name[count] = tide_arena_strdup(&r->arena, text);
    place_of[count++] = TIDE_NONE;
  }
  r->column_of = tide_arena_alloc(&r->arena, (r->place_count + 1) * sizeof *r->column_of);
  for (uint32_t i = 0; i < r->place_count; i++) {
    r->column_of[i] = TIDE_NONE;
    for (uint32_t k = 0; k < count && r->place[i].segment_count == 1; k++) {
      if (!tide_span_is(r->place[i].segment[0], name[k])) continue;
      r->column_of[i] = k;
      place_of[k] = i;
    }
  }
  r->place_of = place_of;
  r->column_count = count;
  r->name = name;
  return TIDE_OK;
}

static uint32_t csv_column(const struct tide_format_reader *reader, uint32_t place) {
  const struct csv_reader *r = (const struct csv_reader *)reader;
  TIDE_CHECK(r->name != NULL && place < r->place_count);
  return r->column_of[place];
}

static const char *const *csv_columns(const struct tide_format_reader *reader, size_t *ret_count) {
  const struct csv_reader *r = (const struct csv_reader *)reader;
  *ret_count = r->column_count;
  return r->name;
}

static enum tide_err fail_count(const struct csv_reader *r, uint32_t count, bool more, struct tide_error *error) {
  return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "the row has %s%u cells, the header has %u columns", more ? "at least " : "", count,
                      r->column_count);
}

/* The high bit of each byte that is a comma, of eight bytes as a little-endian word. */
static inline uint64_t commas(uint64_t word) {
  const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
  uint64_t other = word ^ UINT64_C(0x2c2c2c2c2c2c2c2c);
  return ~(((other & low) + low) | other | low); /* no carry leaves its byte */
}

static inline void put_cell(const struct csv_reader *r, uint32_t column, const char *begin, const char *end, struct tide_capture *capture) {
  uint32_t place = r->place_of[column];
  if (place != TIDE_NONE && end > begin)
    capture[place] = (struct tide_capture){.kind = TIDE_CAP_TEXT, .text = {begin, (size_t)(end - begin)}};
}

/* A row without quotes: whatever stands between commas is a cell. */
static enum tide_err read_plain(const struct csv_reader *r, struct tide_span bytes, struct tide_capture *capture,
                                struct tide_error *error) {
  const char *begin = bytes.ptr, *limit = bytes.ptr + bytes.len;
  uint32_t count = 0, last = r->column_count - 1;
  for (const char *at = begin; at < limit; at += 8) {
    uint64_t word = 0;
    if (limit - at >= 8) memcpy(&word, at, 8);
    else memcpy(&word, at, (size_t)(limit - at));
    for (uint64_t found = commas(le64toh(word)); found; found &= found - 1) {
      const char *end = at + __builtin_ctzll(found) / 8;
      if (count == last) return fail_count(r, count + 2, memchr(end + 1, ',', (size_t)(limit - end - 1)) != NULL, error);
      put_cell(r, count++, begin, end, capture);
      begin = end + 1;
    }
  }
  if (count < last) return fail_count(r, count + 1, false, error);
  put_cell(r, count, begin, limit, capture);
  return TIDE_OK;
}

#ifdef __SSE2__

/* 64 bytes at a time: where commas are, and whether there is anything but plain cells of ASCII. */
struct look {
  uint64_t commas, odd;
};
static inline struct look look_at(const char *at) {
  struct look look = {0, 0};
  for (unsigned i = 0; i < 4; i++) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
    __m128i odd = _mm_or_si128(_mm_cmpgt_epi8(_mm_set1_epi8(1), bytes), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
    look.commas |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(','))) << (16 * i);
    look.odd |= (uint64_t)(uint32_t)_mm_movemask_epi8(odd) << (16 * i);
  }
  return look;
}

/* A row as nearly all are: ASCII without quotes and zero bytes, as many cells as the header has. False: it is another, and captures may hold anything. */
static bool read_usual(const struct csv_reader *r, struct tide_span bytes, struct tide_capture *capture) {
  const char *begin = bytes.ptr, *limit = bytes.ptr + bytes.len;
  uint32_t count = 0, last = r->column_count - 1;
  for (const char *at = begin; at < limit; at += 64) {
    struct look look;
    if (limit - at >= 64) {
      look = look_at(at);
    } else {
      char rest[64];
      memset(rest, ' ', sizeof rest);
      memcpy(rest, at, (size_t)(limit - at));
      look = look_at(rest);
    }
    if (look.odd) return false;
    for (uint64_t found = look.commas; found; found &= found - 1, count++) {
      const char *end = at + __builtin_ctzll(found);
      if (end > begin) {
        if (count >= last) return false;
        put_cell(r, count, begin, end, capture);
      }
      begin = end + 1;
    }
  }
  if (count != last) return false;
  put_cell(r, count, begin, limit, capture);
  return true;
}
#else
static bool read_usual(const struct csv_reader *r, struct tide_span bytes, struct tide_capture *capture) {
  (void)r, (void)bytes, (void)capture;
  return false;
}
#endif

static enum tide_err csv_read(struct tide_format_reader *reader, struct tide_span bytes, struct tide_capture *capture,
                              struct tide_arena *scratch, bool *scratch_used, struct tide_error *error) {
  struct csv_reader *r = (struct csv_reader *)reader;
  *scratch_used = false;
  if (!r->name) return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "", "a CSV row came before the header row");
  memset(capture, 0, r->place_count * sizeof *capture);
  if (bytes.len && read_usual(r, bytes, capture)) return TIDE_OK;
  enum tide_err err = check_bytes(bytes, error);
  if (err) return err;
  memset(capture, 0, r->place_count * sizeof *capture);
  if (bytes.len && !memchr(bytes.ptr, '"', bytes.len)) return read_plain(r, bytes, capture, error);
  uint32_t count = 0;
  for (struct cursor c = cursor_of(bytes); c.more; count++) {
    struct cell cell;
    err = next_cell(&c, count, &cell, error);
    if (err) return err;
    if (count >= r->column_count) return fail_count(r, count + 1, c.more, error);
    uint32_t place = r->place_of[count];
    if (place == TIDE_NONE || cell.text.len == 0) continue;
    if (cell.doubled) {
      cell.text = undouble(cell.text, scratch);
      *scratch_used = true;
    }
    capture[place] = (struct tide_capture){.kind = TIDE_CAP_TEXT, .text = cell.text};
  }
  return count == r->column_count ? TIDE_OK : fail_count(r, count, false, error);
}

static bool csv_mask(struct tide_format_reader *reader, struct tide_span bytes, struct tide_buf *out) {
  struct csv_reader *r = (struct csv_reader *)reader;
  if (!r->name || check_bytes(bytes, NULL)) return false;
  /* A row with missing or surplus cells does not tell which cell is the secret one: nothing of it may be shown. */
  size_t begin = out->len;
  uint32_t count = 0;
  for (struct cursor c = cursor_of(bytes); c.more; count++) {
    struct cell cell;
    if (next_cell(&c, count, &cell, NULL) || count >= r->column_count) {
      out->len = begin;
      return false;
    }
    if (count) tide_buf_char(out, ',');
    uint32_t place = r->place_of[count];
    if (place != TIDE_NONE && r->place[place].secret && cell.text.len) tide_buf_str(out, "***");
    else tide_buf_put(out, cell.raw.ptr, cell.raw.len);
  }
  if (count == r->column_count) return true;
  out->len = begin;
  return false;
}

const struct tide_format_ops tide_format_csv = {.open = csv_open,
                                                .close = csv_close,
                                                .read = csv_read,
                                                .mask = csv_mask,
                                                .header = csv_header,
                                                .column = csv_column,
                                                .columns = csv_columns};
