/* The source port over files: lines, cursors, seeking, plain, gzip and zstd, and what happens when a file is broken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "adapter/file.h"

static char dir[64];
static struct tide_error error;

static int make_dir(void **state) {
  (void)state;
  strcpy(dir, "/tmp/tide_source_XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}

static const char *path_of(const char *name) {
  static char path[8][128];
  static int turn;
  turn = (turn + 1) % 8;
  snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
  return path[turn];
}

static const char *put(const char *name, const void *ptr, size_t len) {
  const char *path = path_of(name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(ptr, 1, len, f), len);
  assert_int_equal(fclose(f), 0);
  return path;
}
static const char *put_text(const char *name, const char *text) { return put(name, text, strlen(text)); }

static void gzip(struct tide_buf *out, struct tide_span s) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  size_t room = deflateBound(&z, s.len) + 64;
  tide_buf_reserve(out, room);
  z.next_in = (Bytef *)(uintptr_t)s.ptr;
  z.avail_in = (uInt)s.len;
  z.next_out = (Bytef *)out->ptr + out->len;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  out->len += room - z.avail_out;
  deflateEnd(&z);
}
static void zstd(struct tide_buf *out, struct tide_span s) {
  tide_buf_reserve(out, ZSTD_compressBound(s.len));
  size_t n = ZSTD_compress(out->ptr + out->len, ZSTD_compressBound(s.len), s.ptr, s.len, 3);
  assert_false(ZSTD_isError(n));
  out->len += n;
}

static struct tide_source *open_files(const char *const *path, size_t count) {
  struct tide_source *s;
  if (tide_source_file_open(path, count, 3, &s, &error)) fail_msg("%s", error.text);
  struct tide_message m;
  assert_int_equal(s->ops->next(s, &m, &error), TIDE_E_END); /* nothing was sought */
  if (s->ops->seek(s, 3, 0, 0, &error)) fail_msg("%s", error.text);
  return s;
}
static struct tide_source *open_one(const char *path) { return open_files(&path, 1); }

static void expect(struct tide_source *s, const char *text, uint64_t offset, uint64_t next) {
  struct tide_message m;
  enum tide_err err = s->ops->next(s, &m, &error);
  if (err) fail_msg("want %s, got %d %s", text, (int)err, error.text);
  if (!tide_span_is(m.bytes, text)) fail_msg("want %s, got %.*s", text, TIDE_SPAN_FMT(m.bytes));
  assert_int_equal(m.kind, TIDE_MESSAGE_DATA);
  assert_int_equal(m.source, 3);
  assert_int_equal(m.partition, 0);
  assert_true(m.append_ms == INT64_MIN);
  assert_int_equal(m.trace.len, 0);
  assert_false(m.copy);
  assert_true(m.offset == offset);
  assert_true(m.next == next);
}
static void expect_end(struct tide_source *s, uint64_t next) {
  struct tide_message m;
  assert_int_equal(s->ops->next(s, &m, &error), TIDE_OK);
  assert_int_equal(m.kind, TIDE_MESSAGE_END);
  assert_int_equal(m.source, 3);
  assert_int_equal(m.partition, 0);
  assert_true(m.next == next);
  assert_int_equal(s->ops->next(s, &m, &error), TIDE_E_END);
  assert_int_equal(s->ops->next(s, &m, &error), TIDE_E_END);
}

static void test_lines(void **state) {
  (void)state;
  struct tide_source *s = open_one(put_text("a", "one\ntwo\r\n\n\r\n \nlast"));
  expect(s, "one", 1, 4);
  expect(s, "two", 2, 9);
  expect(s, " ", 5, 14);
  expect(s, "last", 6, 18);
  expect_end(s, 18);
  s->ops->close(s);
  s = open_one(put_text("empty", ""));
  expect_end(s, 0);
  s->ops->close(s);
  s = open_one(put_text("blank", "\n\n"));
  expect_end(s, 2); /* moves over what is no message */
  s->ops->close(s);
}

/* Three files, each in another form and the first without a last newline: one sequence, one cursor. */
static void test_several_files(void **state) {
  (void)state;
  struct tide_buf gz = TIDE_BUF_INIT, zs = TIDE_BUF_INIT;
  gzip(&gz, TIDE_SPAN("c\nd"));
  gzip(&gz, TIDE_SPAN("e\n")); /* a second member goes on in the middle of a line */
  zstd(&zs, TIDE_SPAN("f\n"));
  zstd(&zs, TIDE_SPAN(""));
  zstd(&zs, TIDE_SPAN("g\n"));
  const char *path[] = {put_text("1", "a\nb"), put("2", gz.ptr, gz.len), put_text("3", ""), put("4", zs.ptr, zs.len)};
  tide_buf_release(&gz);
  tide_buf_release(&zs);
  struct tide_source *s = open_files(path, 4);
  static const struct {
    const char *text;
    uint64_t offset, next;
  } want[] = {{"a", 1, 2}, {"b", 2, 3}, {"c", 3, 5}, {"de", 4, 8}, {"f", 5, 10}, {"g", 6, 12}};
  for (int i = 0; i < 6; i++) expect(s, want[i].text, want[i].offset, want[i].next);
  const char *in;
  uint64_t line;
  assert_int_equal(tide_source_file_place(s, &in, &line), 3);
  assert_string_equal(in, path[3]);
  assert_true(line == 2);
  expect_end(s, 12);
  uint64_t done, total;
  tide_source_file_progress(s, &done, &total);
  assert_true(done == total && total > 0);
  /* every cursor, forwards and backwards, in every order */
  for (int from = 5; from >= 0; from--) {
    assert_int_equal(s->ops->seek(s, 3, 0, want[from].next, &error), TIDE_OK);
    for (int i = from + 1; i < 6; i++) expect(s, want[i].text, want[i].offset, want[i].next);
    expect_end(s, 12);
  }
  assert_int_equal(s->ops->seek(s, 3, 0, 0, &error), TIDE_OK);
  expect(s, "a", 1, 2);
  assert_int_equal(s->ops->seek(s, 3, 0, 8, &error), TIDE_OK);
  expect(s, "f", 5, 10);
  assert_int_equal(s->ops->seek(s, 3, 0, 4, &error), TIDE_E_MISMATCH);
  assert_int_equal(s->ops->seek(s, 3, 0, 13, &error), TIDE_E_MISMATCH);
  s->ops->close(s);
}

/* Long inputs: lines that straddle every buffer boundary come out whole. */
/* What tools put in front of the text is no text: the mark of UTF-8, also of the second file, and the skippable frame of pzstd. */
static void test_marks_in_front(void **state) {
  (void)state;
  struct tide_buf zs = TIDE_BUF_INIT;
  tide_buf_put(&zs, "\x50\x2a\x4d\x18\x04\0\0\0pzst", 12);
  zstd(&zs, TIDE_SPAN("\xEF\xBB\xBF"
                      "c\n"));
  const char *path[] = {put_text("m1", "\xEF\xBB\xBF"
                                       "a\r\n\xEF\xBB\xBF"
                                       "b\n"),
                        put("m2", zs.ptr, zs.len), put_text("m3", "\xEF\xBB\xBF")};
  tide_buf_release(&zs);
  struct tide_source *s = open_files(path, 3);
  for (int pass = 0; pass < 2; pass++) {
    expect(s, "a", 1, 6);
    expect(s,
           "\xEF\xBB\xBF"
           "b",
           2, 11); /* in the middle of a file it is a character */
    expect(s, "c", 3, 16);
    expect_end(s, 19);
    assert_int_equal(s->ops->seek(s, 3, 0, 0, &error), TIDE_OK);
  }
  s->ops->close(s);
}

static void test_many_lines(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT, gz = TIDE_BUF_INIT, zs = TIDE_BUF_INIT;
  enum { LINES = 20000 };
  for (int i = 0; i < LINES; i++) tide_buf_printf(&text, "%d:%0*d\n", i, i % 331 + 1, i);
  gzip(&gz, tide_buf_span(&text));
  zstd(&zs, tide_buf_span(&text));
  const char *path[] = {put("p", text.ptr, text.len), put("g", gz.ptr, gz.len), put("z", zs.ptr, zs.len)};
  for (int form = 0; form < 3; form++) {
    struct tide_source *s = open_one(path[form]);
    uint64_t at = 0;
    for (int i = 0; i < LINES; i++) {
      struct tide_message m;
      assert_int_equal(s->ops->next(s, &m, &error), TIDE_OK);
      assert_memory_equal(m.bytes.ptr, text.ptr + at, m.bytes.len + 1);
      at = m.next;
      assert_int_equal(text.ptr[at - 1], '\n');
      assert_true(m.offset == (uint64_t)i + 1);
    }
    assert_true(at == text.len);
    expect_end(s, text.len);
    s->ops->close(s);
  }
  tide_buf_release(&text);
  tide_buf_release(&gz);
  tide_buf_release(&zs);
}

static void test_long_lines(void **state) {
  (void)state;
  static const size_t limit = 1u << 20;
  static const int over[] = {-1, 0, 1, 2, 300000, 3000000};
  for (int cr = 0; cr < 2; cr++) {
    for (int i = 0; i < 6; i++) {
      for (int newline = 0; newline < 2; newline++) {
        struct tide_buf text = TIDE_BUF_INIT;
        tide_buf_str(&text, "a\n");
        size_t len = limit + (size_t)over[i];
        for (size_t k = 0; k < len; k++) tide_buf_char(&text, 'x');
        if (cr) tide_buf_char(&text, '\r');
        if (newline) tide_buf_str(&text, "\nb\n");
        struct tide_source *s = open_one(put("long", text.ptr, text.len));
        expect(s, "a", 1, 2);
        struct tide_message m;
        enum tide_err err = s->ops->next(s, &m, &error);
        assert_int_equal(err, over[i] > 0 ? TIDE_E_LIMIT : TIDE_OK);
        assert_true(m.offset == 2);
        assert_true(m.next == 2 + len + (size_t)cr + (size_t)newline);
        assert_int_equal(m.bytes.len, err ? 0 : len);
        if (newline) expect(s, "b", 3, m.next + 2);
        expect_end(s, text.len);
        s->ops->close(s);
        tide_buf_release(&text);
      }
    }
  }
}

/* A compressed file cut at any byte: the lines before the cut come, then CORRUPT, and again. Nothing is invented, nothing crashes. */
static void test_cut_streams(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT;
  for (int i = 0; i < 50; i++) tide_buf_printf(&text, "line %d\n", i * i);
  for (int form = 0; form < 2; form++) {
    struct tide_buf packed = TIDE_BUF_INIT;
    if (form == 0) gzip(&packed, tide_buf_span(&text));
    else zstd(&packed, tide_buf_span(&text));
    for (size_t cut = 5; cut < packed.len; cut++) {
      const char *path = put("cut", packed.ptr, cut);
      struct tide_source *s = open_one(path);
      struct tide_message m;
      uint64_t at = 0;
      enum tide_err err;
      while ((err = s->ops->next(s, &m, &error)) == TIDE_OK) {
        assert_memory_equal(m.bytes.ptr, text.ptr + at, m.bytes.len + 1);
        at = m.next;
      }
      assert_int_equal(err, TIDE_E_CORRUPT);
      assert_non_null(strstr(error.text, path));
      assert_int_equal(s->ops->next(s, &m, &error), TIDE_E_CORRUPT);
      s->ops->close(s);
    }
    /* a flipped byte is found by the checksum (gzip) or the structure */
    packed.ptr[packed.len - 6] ^= 0x55;
    if (form == 0) {
      struct tide_source *s = open_one(put("flip", packed.ptr, packed.len));
      struct tide_message m;
      enum tide_err err;
      while ((err = s->ops->next(s, &m, &error)) == TIDE_OK) continue;
      assert_int_equal(err, TIDE_E_CORRUPT);
      s->ops->close(s);
    }
    tide_buf_release(&packed);
  }
  struct tide_buf gz = TIDE_BUF_INIT;
  gzip(&gz, TIDE_SPAN("a\n"));
  tide_buf_str(&gz, "trailing");
  struct tide_source *s = open_one(put("trail", gz.ptr, gz.len));
  expect(s, "a", 1, 2);
  struct tide_message m;
  assert_int_equal(s->ops->next(s, &m, &error), TIDE_E_CORRUPT);
  s->ops->close(s);
  tide_buf_release(&gz);
  tide_buf_release(&text);
}

static void expect_before(struct tide_source *s, uint64_t cursor, const char *want) {
  struct tide_buf out = TIDE_BUF_INIT;
  enum tide_err err = s->ops->before(s, (struct tide_place){3, 0, cursor}, &out, &error);
  if (err) fail_msg("before %llu: %s", (unsigned long long)cursor, error.text);
  if (!tide_span_is(tide_buf_span(&out), want)) fail_msg("want %s, got %.*s", want, TIDE_SPAN_FMT(tide_buf_span(&out)));
  tide_buf_release(&out);
}

/* What is asked beside the reading: partitions, the end, the message before a place. None of it moves the reading. */
static void test_beside(void **state) {
  (void)state;
  struct tide_buf gz = TIDE_BUF_INIT;
  gzip(&gz, TIDE_SPAN("c\n\nd\n"));
  const char *path[] = {put_text("b1", "a\nb"), put("b2", gz.ptr, gz.len)};
  tide_buf_release(&gz);
  struct tide_source *s = open_files(path, 2);
  expect(s, "a", 1, 2);
  struct tide_place *place;
  size_t count;
  assert_int_equal(s->ops->places(s, &place, &count, &error), TIDE_OK);
  assert_int_equal(count, 1);
  assert_int_equal(place->source, 3);
  assert_int_equal(place->partition, 0);
  assert_true(place->cursor == 0);
  assert_int_equal(s->ops->ends(s, place, 1, &error), TIDE_OK);
  assert_true(place->cursor == 8);
  expect_before(s, 2, "a");
  expect_before(s, 3, "b");
  expect_before(s, 5, "c");
  expect_before(s, 6, "c"); /* a blank line stands between */
  expect_before(s, 8, "d");
  struct tide_buf out = TIDE_BUF_INIT;
  assert_int_equal(s->ops->before(s, (struct tide_place){3, 0, 0}, &out, &error), TIDE_E_END);
  assert_int_equal(s->ops->before(s, (struct tide_place){3, 0, 1}, &out, &error), TIDE_E_MISMATCH);
  assert_int_equal(s->ops->before(s, (struct tide_place){3, 0, 9}, &out, &error), TIDE_E_MISMATCH);
  assert_int_equal(out.len, 0);
  expect(s, "b", 2, 3);
  s->ops->stop(s, 3, 0);
  struct tide_message m;
  assert_int_equal(s->ops->next(s, &m, &error), TIDE_E_END);
  s->ops->stop(s, 3, 0); /* again changes nothing */
  assert_int_equal(s->ops->seek(s, 3, 0, 3, &error), TIDE_OK);
  expect(s, "c", 3, 5);
  expect(s, "d", 5, 8);
  expect_end(s, 8);
  /* another partition, another source */
  assert_int_equal(s->ops->seek(s, 3, 1, 0, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(s->ops->seek(s, 4, 0, 0, &error), TIDE_E_NOT_FOUND);
  struct tide_place other[] = {{3, 0, 77}, {4, 0, 78}};
  assert_int_equal(s->ops->ends(s, other, 2, &error), TIDE_E_NOT_FOUND);
  assert_true(other[0].cursor == 77 && other[1].cursor == 78);
  assert_int_equal(s->ops->before(s, other[1], &out, &error), TIDE_E_NOT_FOUND);
  s->ops->stop(s, 4, 0);
  tide_free(place);
  s->ops->close(s);
}

/* A file that grew after its end was met: the growth begins at the old end. */
static void test_growth(void **state) {
  (void)state;
  const char *path = put_text("grow", "a\n");
  struct tide_source *s = open_one(path);
  expect(s, "a", 1, 2);
  expect_end(s, 2);
  put_text("grow", "a\nb\nc\n");
  struct tide_place end = {3, 0, 0};
  assert_int_equal(s->ops->ends(s, &end, 1, &error), TIDE_OK);
  assert_true(end.cursor == 6);
  assert_int_equal(s->ops->seek(s, 3, 0, 4, &error), TIDE_OK);
  expect(s, "c", 3, 6);
  expect_end(s, 6);
  assert_int_equal(s->ops->seek(s, 3, 0, 6, &error), TIDE_OK);
  expect_end(s, 6);
  s->ops->close(s);
}

static void test_errors(void **state) {
  (void)state;
  struct tide_source *s;
  const char *missing[] = {put_text("there", "a\n"), path_of("missing")};
  assert_int_equal(tide_source_file_open(missing, 2, 0, &s, &error), TIDE_E_NOT_FOUND); /* told before the first is read */
  assert_non_null(strstr(error.text, "missing"));
  const char *folder[] = {dir};
  assert_int_equal(tide_source_file_open(folder, 1, 0, &s, &error), TIDE_E_IO);
  assert_non_null(strstr(error.text, "directory"));
  const char *twice[] = {"-", "-"};
  assert_int_equal(tide_source_file_open(twice, 2, 0, &s, &error), TIDE_E_USAGE);
}

static void test_standard_input(void **state) {
  (void)state;
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  int saved = dup(0);
  assert_int_equal(write(pipes[1], "a\nb\nc\nd", 7), 7);
  close(pipes[1]);
  dup2(pipes[0], 0);
  close(pipes[0]);
  struct tide_source *s = open_one("-");
  expect(s, "a", 1, 2);
  struct tide_place end = {3, 0, 0};
  struct tide_buf out = TIDE_BUF_INIT;
  assert_int_equal(s->ops->ends(s, &end, 1, &error), TIDE_E_IO);
  assert_int_equal(s->ops->before(s, (struct tide_place){3, 0, 2}, &out, &error), TIDE_E_IO);
  assert_int_equal(s->ops->seek(s, 3, 0, 4, &error), TIDE_OK); /* forwards, by reading */
  expect(s, "c", 3, 6);
  assert_int_equal(s->ops->seek(s, 3, 0, 0, &error), TIDE_E_IO);
  assert_int_equal(s->ops->seek(s, 3, 0, 6, &error), TIDE_OK); /* nothing was read meanwhile */
  expect(s, "d", 4, 7);
  expect_end(s, 7);
  uint64_t done, total;
  tide_source_file_progress(s, &done, &total);
  assert_true(done == 7 && total == 0);
  s->ops->close(s);
  dup2(saved, 0);
  close(saved);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),      cmocka_unit_test(test_several_files),  cmocka_unit_test(test_marks_in_front),
      cmocka_unit_test(test_many_lines), cmocka_unit_test(test_long_lines),     cmocka_unit_test(test_cut_streams),
      cmocka_unit_test(test_errors),     cmocka_unit_test(test_standard_input), cmocka_unit_test(test_beside),
      cmocka_unit_test(test_growth),
  };
  return cmocka_run_group_tests_name("source_file", tests, make_dir, drop_dir);
}
