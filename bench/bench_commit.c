/* Group commit on the file journal: what a batch costs with one fdatasync each, and how fast the log is read back.
 *
 *   bench_commit [DIR]   (default: a directory under TIDE_TMP or /tmp; the disk it is on is what is measured)
 *
 * Small by default so that it can run with the tests; TIDE_BENCH_SECONDS sets the time per row. The hash over what was read shows
 * that the work was done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter/archive.h"
#include "base/clock.h"
#include "base/hash.h"
#include "core/batch.h"

enum { FIELDS = 20 };

/* Twenty fields as a card authorization has them: short texts, three hashed keys, an amount. */
static struct tide_spec *make_spec(void) {
  static struct tide_field field[FIELDS];
  static struct tide_spec spec;
  for (unsigned i = 0; i < FIELDS; i++) {
    field[i].name = "field";
    field[i].type = i == 1 ? TIDE_F_MONEY : i == 2 ? TIDE_F_TIME : TIDE_F_TEXT;
    field[i].secret = i >= 3 && i < 6;
  }
  spec.field = field;
  spec.field_count = FIELDS;
  return &spec;
}

static void make_record(struct tide_record *record, uint64_t n) {
  static const char *const words[] = {"auth", "5411", "NLD", "ecom", "00123456", "merchant-0815", "term0042", "approved"};
  record->type = TIDE_REC_EVENT;
  record->offset = n;
  record->time.ms = INT64_C(1795255200000) + (int64_t)n * 7;
  record->key_id = 77;
  for (unsigned i = 0; i < FIELDS; i++) {
    struct tide_datum *datum = &record->field[i];
    if (i == 1) {
      *datum = (struct tide_datum){.kind = TIDE_D_INT, .num = (int64_t)(n % 50000), .exponent = 2, .currency = "EUR"};
    } else if (i == 2) {
      *datum = (struct tide_datum){.kind = TIDE_D_INT, .num = record->time.ms};
    } else if (i >= 3 && i < 6) {
      *datum = (struct tide_datum){.kind = TIDE_D_KEY, .key = tide_hash128(&n, sizeof n, i)};
    } else if (i < 14) {
      *datum = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(words[(n + i) % 8])};
    } else {
      datum->kind = TIDE_D_NONE;
    }
  }
}

static void fail(const char *what, const struct tide_error *error) {
  fprintf(stderr, "bench_commit: %s: %s\n", what, error->text);
  exit(4);
}

static double since(struct tide_mono begin) { return (double)(tide_mono_now().ns - begin.ns) / 1e9; }

/* One batch of `count` records into `out`. */
static void make_entry(const struct tide_spec *spec, const struct tide_record *record, unsigned count, struct tide_buf *out) {
  struct tide_entry_header header = {.engine_id = 1, .commit_ms = record->time.ms};
  struct tide_cursor_part part = {.next = record->offset};
  struct tide_batch batch;
  tide_batch_begin(&batch, out, &header, &part, 1);
  for (unsigned i = 0; i < count; i++) {
    enum tide_err err = tide_batch_add(&batch, spec, &record[i]);
    TIDE_CHECK(err == TIDE_OK);
  }
  tide_batch_end(&batch);
}

static void bench_codec(const struct tide_spec *spec, double seconds) {
  enum { N = 512 };
  struct tide_record *record = tide_alloc(N * sizeof *record), *back = tide_alloc(sizeof *back);
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_buf out = TIDE_BUF_INIT;
  uint64_t rounds = 0, hash = 0;
  for (unsigned i = 0; i < N; i++) {
    make_record(&record[i], i);
  }
  struct tide_mono begin = tide_mono_now();
  for (; since(begin) < seconds; rounds++) {
    make_entry(spec, record, N, &out);
  }
  double encode = since(begin);
  printf("encode  %6.2f M records/s  %4.0f MB/s  %zu bytes a record\n", (double)(rounds * N) / encode / 1e6,
         (double)(rounds * out.len) / encode / 1e6, out.len / N);
  begin = tide_mono_now();
  for (rounds = 0; since(begin) < seconds; rounds++) {
    struct tide_entry_reader reader;
    struct tide_raw_record raw;
    struct tide_error error;
    if (tide_entry_open(&reader, tide_buf_span(&out), part, &error)) {
      fail("decoding", &error);
    }
    while (tide_entry_next(&reader, &raw, &error) == TIDE_OK) {
      if (tide_record_decode(spec, &raw, back, &error)) {
        fail("decoding", &error);
      }
      hash += back->offset;
    }
  }
  double decode = since(begin);
  printf("decode  %6.2f M records/s  %4.0f MB/s  hash %016llx\n", (double)(rounds * N) / decode / 1e6,
         (double)(rounds * out.len) / decode / 1e6, (unsigned long long)(hash / (rounds ? rounds : 1)));
  tide_free(record);
  tide_free(back);
  tide_buf_release(&out);
}

static void bench_commits(const struct tide_spec *spec, struct tide_journal *journal, unsigned batch, double seconds) {
  struct tide_record *record = tide_alloc(batch * sizeof *record);
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_error error;
  struct tide_position at, durable;
  uint64_t entries = 0;
  for (unsigned i = 0; i < batch; i++) {
    make_record(&record[i], i);
  }
  struct tide_mono begin = tide_mono_now();
  do {
    make_entry(spec, record, batch, &out);
    if (journal->ops->append(journal, 1, tide_buf_span(&out), &at, &error) || journal->ops->sync(journal, &durable, &error)) {
      fail("committing", &error);
    }
    entries++;
  } while (since(begin) < seconds);
  double took = since(begin);
  printf("commit  batch %5u  %8.0f entries/s  %10.0f records/s  %6.0f MB/s  %7.3f ms each\n", batch, (double)entries / took,
         (double)(entries * batch) / took, (double)(entries * out.len) / took / 1e6, took / (double)entries * 1e3);
  tide_free(record);
  tide_buf_release(&out);
}

/* Reads everything in order, checksums and all, as audit does. */
static void bench_read(const char *what, struct tide_journal *journal) {
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_error error;
  struct tide_position at = {0, 0};
  uint64_t bytes = 0, entries = 0, hash = 0;
  enum tide_err err;
  struct tide_mono begin = tide_mono_now();
  while ((err = journal->ops->read(journal, at, false, &out, &at, &error)) == TIDE_OK) {
    bytes += out.len;
    entries++;
    hash = hash * 31 + tide_hash64(out.ptr, out.len < 256 ? out.len : 256, 0);
  }
  if (err != TIDE_E_END) {
    fail("reading", &error);
  }
  double took = since(begin);
  printf("read    %-8s %8.0f MB/s  %9.0f entries/s  %llu entries  hash %016llx\n", what, (double)bytes / took / 1e6, (double)entries / took,
         (unsigned long long)entries, (unsigned long long)hash);
  tide_buf_release(&out);
}

int main(int argc, char **argv) {
  static const unsigned batches[] = {1, 16, 128, 512, 4096};
  const char *root = getenv("TIDE_TMP"), *wanted = getenv("TIDE_BENCH_SECONDS");
  double seconds = wanted ? atof(wanted) : 0.5;
  struct tide_buf template = TIDE_BUF_INIT;
  tide_buf_printf(&template, "%s/bench-XXXXXX", argc > 1 ? argv[1] : root && root[0] ? root : "/tmp");
  char *dir = tide_buf_take(&template);
  struct tide_journal *journal;
  struct tide_error error;
  struct tide_position at, durable;
  if (!mkdtemp(dir)) {
    perror(dir);
    return 4;
  }
  const struct tide_spec *spec = make_spec();
  struct tide_journal_file_options options = {.dir = dir, .create = true, .segment_bytes = UINT64_C(64) << 20};
  if (tide_journal_file_open(&options, &journal, &error) || journal->ops->open_epoch(journal, 1, TIDE_SPAN("fence"), &at, &error)) {
    fail("opening", &error);
  }
  bench_codec(spec, seconds);
  for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
    bench_commits(spec, journal, batches[i], seconds);
  }
  bench_read("journal", journal);
  struct tide_mono begin = tide_mono_now();
  if (journal->ops->sync(journal, &durable, &error) || journal->ops->trim(journal, durable, (struct tide_span){NULL, 0}, &error)) {
    fail("archiving", &error);
  }
  printf("archive %.2f s (pack, sync, read back)\n", since(begin));
  journal->ops->close(journal);
  if (tide_journal_chain_open(&options, &journal, &error)) {
    fail("opening", &error);
  }
  bench_read("chain", journal);
  journal->ops->close(journal);
  tide_buf_printf(&template, "rm -rf '%s'", dir);
  int rc = system(tide_buf_cstr(&template));
  tide_buf_release(&template);
  tide_free(dir);
  return rc ? 1 : 0;
}
