/* Buffers, byte encodings and the reader: what every format of ours stands on.
 *
 * The reader's promise is tested at every length: the first read past the end sets `bad`, everything after gives nothing, and an encoding
 * that is not the canonical one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

static void buffer_grows_and_keeps(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  for (int i = 0; i < 10000; i++) {
    tide_buf_char(&buf, (char)('a' + i % 26));
  }
  assert_int_equal(buf.len, 10000);
  for (int i = 0; i < 10000; i++) {
    assert_int_equal(buf.ptr[i], 'a' + i % 26);
  }
  tide_buf_put(&buf, NULL, 0);
  assert_int_equal(buf.len, 10000);
  size_t cap = buf.cap;
  tide_buf_clear(&buf);
  assert_int_equal(buf.cap, cap);
  assert_string_equal(tide_buf_cstr(&buf), "");
  tide_buf_release(&buf);
  assert_null(buf.ptr);
}

static void printf_appends_any_length(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  for (int width = 0; width < 300; width++) {
    tide_buf_clear(&buf);
    tide_buf_str(&buf, "x");
    tide_buf_printf(&buf, "%*s|%d", width, "", 7);
    assert_int_equal(buf.len, (size_t)width + 3);
    assert_memory_equal(buf.ptr + buf.len - 2, "|7", 2);
  }
  char *taken = tide_buf_take(&buf);
  assert_int_equal(strlen(taken), 302);
  assert_null(buf.ptr);
  assert_int_equal(buf.len, 0);
  tide_free(taken);
}

static void copies_end_in_zero(void **state) {
  (void)state;
  assert_null(tide_strdup(NULL));
  char *a = tide_strdup("abc"), *b = tide_strndup("abcdef", 3), *c = tide_strndup(NULL, 0);
  assert_string_equal(a, "abc");
  assert_string_equal(b, "abc");
  assert_string_equal(c, "");
  tide_free(a);
  tide_free(b);
  tide_free(c);
  char *zeroed = tide_alloc(100);
  for (int i = 0; i < 100; i++) {
    assert_int_equal(zeroed[i], 0);
  }
  tide_free(zeroed);
}

static void fixed_widths_are_little_endian(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  tide_put_u8(&buf, 0x01);
  tide_put_u16(&buf, 0x0302);
  tide_put_u32(&buf, 0x07060504);
  tide_put_u64(&buf, UINT64_C(0x0f0e0d0c0b0a0908));
  assert_int_equal(buf.len, 15);
  for (int i = 0; i < 15; i++) {
    assert_int_equal(buf.ptr[i], i + 1);
  }
  struct tide_reader r = tide_reader_of(tide_buf_span(&buf));
  assert_int_equal(tide_get_u8(&r), 0x01);
  assert_int_equal(tide_get_u16(&r), 0x0302);
  assert_int_equal(tide_get_u32(&r), 0x07060504);
  assert_true(tide_get_u64(&r) == UINT64_C(0x0f0e0d0c0b0a0908));
  assert_false(r.bad);
  assert_ptr_equal(r.ptr, r.end);
  tide_buf_release(&buf);
}

static void varints_round_trip_at_every_edge(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    for (int d = -2; d <= 2; d++) {
      uint64_t v = (UINT64_C(1) << bit) + (uint64_t)(int64_t)d;
      struct tide_buf buf = TIDE_BUF_INIT;
      tide_put_varint(&buf, v);
      unsigned width = 1;
      for (uint64_t rest = v >> 7; rest; rest >>= 7) {
        width++;
      }
      assert_int_equal(buf.len, width);
      struct tide_reader r = tide_reader_of(tide_buf_span(&buf));
      assert_true(tide_get_varint(&r) == v);
      assert_false(r.bad);
      assert_ptr_equal(r.ptr, r.end);
      for (size_t cut = 0; cut < buf.len; cut++) {
        struct tide_reader part = tide_reader_of((struct tide_span){buf.ptr, cut});
        assert_true(tide_get_varint(&part) == 0);
        assert_true(part.bad);
      }
      tide_buf_clear(&buf);
      int64_t s;
      memcpy(&s, &v, sizeof s);
      tide_put_zigzag(&buf, s);
      r = tide_reader_of(tide_buf_span(&buf));
      assert_true(tide_get_zigzag(&r) == s);
      assert_false(r.bad);
      tide_buf_release(&buf);
    }
  }
}

static void zigzag_keeps_small_numbers_small(void **state) {
  (void)state;
  static const struct {
    int64_t v;
    size_t bytes;
  } cases[] = {{0, 1}, {-1, 1}, {63, 1}, {-64, 1}, {64, 2}, {-65, 2}, {INT64_MAX, 10}, {INT64_MIN, 10}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_buf buf = TIDE_BUF_INIT;
    tide_put_zigzag(&buf, cases[i].v);
    assert_int_equal(buf.len, cases[i].bytes);
    struct tide_reader r = tide_reader_of(tide_buf_span(&buf));
    assert_true(tide_get_zigzag(&r) == cases[i].v);
    tide_buf_release(&buf);
  }
}

static void overlong_varints_are_bad(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len;
  } cases[] = {
      {"\x80\x00", 2},                                      /* 0 with a needless byte */
      {"\xff\x00", 2},                                      /* 127 likewise */
      {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10},     /* bit 64 */
      {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},     /* beyond 64 bits */
      {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11}, /* eleven bytes */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_reader r = tide_reader_of((struct tide_span){cases[i].bytes, cases[i].len});
    assert_true(tide_get_varint(&r) == 0);
    assert_true(r.bad);
    assert_int_equal(tide_get_u8(&r), 0);
  }
}

static void a_bad_reader_stays_bad(void **state) {
  (void)state;
  static const char bytes[] = "\x03"
                              "ab";
  struct tide_reader r = tide_reader_of((struct tide_span){bytes, 3});
  struct tide_span s = tide_get_span(&r);
  assert_null(s.ptr);
  assert_int_equal(s.len, 0);
  assert_true(r.bad);
  assert_int_equal(tide_get_u8(&r), 0);
  assert_int_equal(tide_get_bytes(&r, 1).len, 0);
  assert_int_equal(tide_get_varint(&r), 0);
  assert_true(tide_get_zigzag(&r) == 0);
  r = tide_reader_of((struct tide_span){"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10});
  assert_int_equal(tide_get_span(&r).len, 0); /* a length of 2^64 - 1 does not wrap */
  assert_true(r.bad);
}

static void reads_within_bounds_only(void **state) {
  (void)state;
  for (size_t len = 0; len < 8; len++) {
    char *exact = malloc(len ? len : 1); /* the sanitizer sees any byte read behind it */
    memset(exact, 1, len ? len : 1);
    struct tide_reader r = tide_reader_of((struct tide_span){exact, len});
    assert_true(tide_get_u64(&r) == 0);
    assert_true(r.bad);
    r = tide_reader_of((struct tide_span){exact, len});
    assert_int_equal(tide_get_bytes(&r, len).len, len);
    assert_false(r.bad);
    assert_int_equal(tide_get_bytes(&r, 0).len, 0);
    assert_false(r.bad);
    free(exact);
  }
  struct tide_reader empty = tide_reader_of((struct tide_span){NULL, 0});
  assert_int_equal(tide_get_bytes(&empty, 0).len, 0);
  assert_false(empty.bad);
  tide_get_u8(&empty);
  assert_true(empty.bad);
}

static void spans_round_trip(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  tide_put_span(&buf, TIDE_SPAN("fraud"));
  tide_put_span(&buf, (struct tide_span){NULL, 0});
  tide_put_span(&buf, TIDE_SPAN("a\0b"));
  struct tide_reader r = tide_reader_of(tide_buf_span(&buf));
  assert_true(tide_span_is(tide_get_span(&r), "fraud"));
  assert_int_equal(tide_get_span(&r).len, 0);
  assert_true(tide_span_eq(tide_get_span(&r), TIDE_SPAN("a\0b")));
  assert_false(r.bad);
  tide_buf_release(&buf);
}

static void arena_gives_zeroed_aligned_memory(void **state) {
  (void)state;
  struct tide_arena arena = TIDE_ARENA_INIT;
  for (int round = 0; round < 3; round++) {
    for (size_t n = 0; n < 3000; n += 7) {
      unsigned char *p = tide_arena_alloc(&arena, n);
      assert_int_equal((uintptr_t)p % 16, 0);
      for (size_t i = 0; i < n; i++) {
        assert_int_equal(p[i], 0);
      }
      memset(p, 0xff, n);
    }
    char *big = tide_arena_alloc(&arena, 5 << 20);
    assert_int_equal(big[(5 << 20) - 1], 0);
    tide_arena_reset(&arena);
  }
  char *copy = tide_arena_strdup(&arena, (struct tide_span){"abcdef", 3});
  assert_string_equal(copy, "abc");
  assert_string_equal(tide_arena_strdup(&arena, (struct tide_span){NULL, 0}), "");
  tide_arena_release(&arena);
  assert_null(arena.head);
  tide_arena_reset(&arena);
  tide_arena_release(&arena);
}

static void arena_objects_do_not_overlap(void **state) {
  (void)state;
  struct tide_arena arena = TIDE_ARENA_INIT;
  enum { COUNT = 2000 };
  unsigned *at[COUNT];
  for (unsigned i = 0; i < COUNT; i++) {
    at[i] = tide_arena_alloc(&arena, sizeof(unsigned) * (1 + i % 40));
    for (unsigned k = 0; k < 1 + i % 40; k++) {
      at[i][k] = i;
    }
  }
  for (unsigned i = 0; i < COUNT; i++) {
    for (unsigned k = 0; k < 1 + i % 40; k++) {
      assert_int_equal(at[i][k], i);
    }
  }
  tide_arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(buffer_grows_and_keeps),
      cmocka_unit_test(printf_appends_any_length),
      cmocka_unit_test(copies_end_in_zero),
      cmocka_unit_test(fixed_widths_are_little_endian),
      cmocka_unit_test(varints_round_trip_at_every_edge),
      cmocka_unit_test(zigzag_keeps_small_numbers_small),
      cmocka_unit_test(overlong_varints_are_bad),
      cmocka_unit_test(a_bad_reader_stays_bad),
      cmocka_unit_test(reads_within_bounds_only),
      cmocka_unit_test(spans_round_trip),
      cmocka_unit_test(arena_gives_zeroed_aligned_memory),
      cmocka_unit_test(arena_objects_do_not_overlap),
  };
  return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
