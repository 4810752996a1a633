/* A snapshot as a stream, as it goes from one engine to another: in pieces of any size it comes out as it was, and cut, changed or unwanted it leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "adapter/snapshot_peer.h"

#define CHUNKS 5
static const struct tide_position at = {3, 77};

struct fixture {
  char *from, *to;
  struct tide_buf stream;
  struct tide_error error;
};

static void put_chunk(void *ctx, unsigned index, struct tide_buf *out) {
  (void)ctx;
  if (index != 3) test_entry(index, 100 + 400 * index, out); /* one is empty */
}

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  struct tide_snapshot_stream *stream;
  char piece[777];
  f->from = test_dir_fast("stream-from");
  f->to = test_dir_fast("stream-to");
  *manifest = (struct tide_snapshot_manifest){.position = at, .nonce = 9, .entry_hash = 11, .chunk_count = CHUNKS};
  assert_int_equal(tide_snapshot_write(f->from, 1, manifest, put_chunk, NULL, &f->error), TIDE_OK);
  assert_int_equal(tide_snapshot_stream_open(f->from, at, &stream, &f->error), TIDE_OK);
  for (size_t got = 1; got > 0;) {
    assert_int_equal(tide_snapshot_stream_read(stream, piece, sizeof piece, &got, &f->error), TIDE_OK);
    tide_buf_put(&f->stream, piece, got);
  }
  assert_int_equal(f->stream.len, tide_snapshot_stream_bytes(stream));
  tide_snapshot_stream_close(stream);
  tide_free(manifest);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  test_dir_remove(f->from);
  test_dir_remove(f->to);
  tide_free(f->from);
  tide_free(f->to);
  tide_buf_release(&f->stream);
  tide_free(f);
  return 0;
}

static enum tide_err want(void *ctx, const struct tide_snapshot_manifest *manifest, struct tide_error *error) {
  (void)error;
  int *asked = ctx;
  ++*asked;
  return manifest->position.epoch == at.epoch && manifest->position.seq == at.seq && manifest->entry_hash == 11 ? TIDE_OK : TIDE_E_MISMATCH;
}

static enum tide_err take(struct fixture *f, struct tide_span bytes, size_t piece) {
  int asked = 0;
  struct tide_snapshot_import *import = tide_snapshot_import_new(f->to, want, &asked);
  enum tide_err err = TIDE_OK;
  while (err == TIDE_OK && bytes.len > 0) {
    size_t n = bytes.len < piece ? bytes.len : piece;
    err = tide_snapshot_import_take(import, (struct tide_span){bytes.ptr, n}, &f->error);
    bytes.ptr += n;
    bytes.len -= n;
  }
  if (err == TIDE_OK) err = tide_snapshot_import_end(import, &f->error);
  tide_snapshot_import_free(import);
  assert_true(asked <= 1);
  return err;
}

static size_t names_in(const char *dir) {
  struct tide_position *position;
  size_t count;
  assert_int_equal(tide_snapshot_list(dir, &position, &count, NULL), TIDE_OK);
  tide_free(position);
  char *rest = test_path(dir, "tmp-3-77");
  assert_int_equal(access(rest, F_OK), -1);
  tide_free(rest);
  return count;
}

/* What arrived says what was written. */
static void assert_arrived(struct fixture *f) {
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  struct tide_buf a = TIDE_BUF_INIT, b = TIDE_BUF_INIT;
  assert_int_equal(names_in(f->to), 1);
  assert_int_equal(tide_snapshot_manifest_read(f->to, at, manifest, &f->error), TIDE_OK);
  for (unsigned i = 0; i < CHUNKS; i++) {
    tide_buf_clear(&b);
    put_chunk(NULL, i, &b);
    assert_int_equal(tide_snapshot_chunk_read(f->to, manifest, i, &a, &f->error), TIDE_OK);
    assert_true(tide_span_eq(tide_buf_span(&a), tide_buf_span(&b)));
  }
  tide_buf_release(&a);
  tide_buf_release(&b);
  tide_free(manifest);
}

static void comes_out_as_it_was(void **state) {
  struct fixture *f = *state;
  static const size_t pieces[] = {1, 7, 100, 4096, 1 << 20};
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    if (take(f, tide_buf_span(&f->stream), pieces[p]) != TIDE_OK) fail_msg("pieces of %zu: %s", pieces[p], f->error.text);
    assert_arrived(f);
  }
}

static void from_a_directory(void **state) {
  struct fixture *f = *state;
  int asked = 0;
  assert_int_equal(tide_snapshot_copy(f->from, at, f->to, want, &asked, &f->error), TIDE_OK);
  assert_int_equal(names_in(f->to), 1);
  assert_int_equal(tide_snapshot_copy(f->from, (struct tide_position){3, 78}, f->to, want, &asked, &f->error), TIDE_E_NOT_FOUND);
}

static void cut_anywhere_it_is_none(void **state) {
  struct fixture *f = *state;
  for (size_t len = 0; len < f->stream.len; len++) {
    assert_int_equal(take(f, (struct tide_span){f->stream.ptr, len}, 64), TIDE_E_CORRUPT);
    assert_int_equal(names_in(f->to), 0);
  }
}

static void changed_anywhere_it_is_none(void **state) {
  struct fixture *f = *state;
  size_t harmless = 0;
  for (size_t i = 0; i < f->stream.len; i++) {
    f->stream.ptr[i] = (char)(f->stream.ptr[i] ^ 0x10);
    enum tide_err err = take(f, tide_buf_span(&f->stream), 4096);
    if (err == TIDE_OK) { /* a bit of a zstd frame that nobody reads: what comes out is the same */
      assert_arrived(f);
      test_dir_remove(f->to);
      harmless++;
    } else {
      if (err != TIDE_E_CORRUPT && err != TIDE_E_VERSION) fail_msg("byte %zu changed: %d", i, (int)err);
      assert_int_equal(names_in(f->to), 0);
    }
    f->stream.ptr[i] = (char)(f->stream.ptr[i] ^ 0x10);
  }
  assert_true(harmless <= 2 * CHUNKS);
  tide_buf_char(&f->stream, 0);
  assert_int_equal(take(f, tide_buf_span(&f->stream), 4096), TIDE_E_CORRUPT); /* one too many */
  assert_int_equal(names_in(f->to), 0);
}

static enum tide_err refuse(void *ctx, const struct tide_snapshot_manifest *manifest, struct tide_error *error) {
  (void)ctx, (void)manifest;
  return tide_fail(error, TIDE_E_MISMATCH, "not of this journal");
}

static void unwanted_it_is_not_kept(void **state) {
  struct fixture *f = *state;
  assert_int_equal(tide_snapshot_copy(f->from, at, f->to, refuse, NULL, &f->error), TIDE_E_MISMATCH);
  assert_string_equal(f->error.text, "not of this journal");
  assert_int_equal(names_in(f->to), 0);
}

/* Nobody listens there. */
static void a_peer_that_is_away(void **state) {
  struct fixture *f = *state;
  int asked = 0;
  assert_int_equal(tide_snapshot_fetch("127.0.0.1:1", &(struct tide_admin_access){"", "", "", ""}, 500, f->to, want, &asked, &f->error),
                   TIDE_E_AGAIN);
  assert_int_equal(asked, 0);
  assert_int_equal(names_in(f->to), 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      CASE(comes_out_as_it_was),         CASE(from_a_directory),        CASE(cut_anywhere_it_is_none),
      CASE(changed_anywhere_it_is_none), CASE(unwanted_it_is_not_kept), CASE(a_peer_that_is_away),
  };
  return cmocka_run_group_tests_name("snapshot_stream", tests, NULL, NULL);
}
