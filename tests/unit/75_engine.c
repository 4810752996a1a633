/* The running engine on threads: several threads offer events to it over a journal in memory and one on disk; every offer comes back once, what was
 * counted is what a fold of the journal counts, and a stop ends everything that is under way. For ThreadSanitizer as well. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "adapter/file.h"
#include "http/metrics.h"
#include "run/engine.h"
#include "tests/support/journal_dir.h"
#include "tests/support/model_fixture.h"
#include "tests/support/small_fold.h"

#define THREADS 4
#define EACH 400

struct fixture {
  struct tide_engine *engine;
  const struct tide_spec *spec;
  atomic_int back, done, refused, duplicates;
};

static void on_release(void *ctx, struct tide_offer *offer) {
  struct fixture *f = ctx;
  atomic_fetch_add(&f->back, 1);
  if (offer->end == TIDE_END_done) {
    atomic_fetch_add(&f->done, 1);
    if (strstr(tide_buf_cstr(&offer->answer), "\"duplicate\":true")) atomic_fetch_add(&f->duplicates, 1);
  } else {
    atomic_fetch_add(&f->refused, 1);
  }
  tide_offer_free(offer);
}

static struct tide_offer *event(const struct tide_spec *spec, unsigned number) {
  struct tide_record *record = tide_alloc(sizeof *record);
  char id[32], card[32];
  record->type = TIDE_REC_EVENT;
  record->offset = number;
  record->time.ms = 1700000000000 + number;
  snprintf(id, sizeof id, "t%u", number);
  snprintf(card, sizeof card, "c%u", number % 7);
  small_text(spec, record, "id", id);
  small_text(spec, record, "card", card);
  struct tide_datum *amount = &record->field[spec->f_amount];
  *amount = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = 100};
  memcpy(amount->currency, "EUR", 4);
  struct tide_offer *offer = tide_offer_new();
  assert_int_equal(tide_record_encode(spec, record, &offer->records), TIDE_OK);
  offer->record_count = 1;
  tide_free(record);
  return offer;
}

struct sender {
  struct fixture *fixture;
  unsigned from;
};

/* Each thread sends its own numbers; the second sends, every tenth time, one of the first instead. */
static void *send_all(void *arg) {
  struct sender *sender = arg;
  for (unsigned i = 0; i < EACH; i++) {
    unsigned number = sender->from + i;
    if (i % 10 == 9 && sender->from == EACH) number -= EACH;
    struct tide_offer *offer = event(sender->fixture->spec, number);
    while (!tide_engine_offer(sender->fixture->engine, offer)) (void)sched_yield();
  }
  return NULL;
}

/* An entry of the past as it stands in the journal, while the engine runs; and what is not there. */
static void reads_the_past(struct fixture *f) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_position folded = tide_engine_status(f->engine).folded;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  for (uint64_t seq = 0; seq <= folded.seq; seq += folded.seq / 7 + 1) {
    assert_int_equal(tide_engine_read(f->engine, (struct tide_position){folded.epoch, seq}, 30000, &bytes, &error), TIDE_OK);
    assert_int_equal(tide_entry_open(&reader, tide_buf_span(&bytes), part, &error), TIDE_OK);
  }
  size_t len = bytes.len;
  assert_int_equal(tide_engine_read(f->engine, (struct tide_position){folded.epoch, 1u << 30}, 30000, &bytes, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(tide_engine_read(f->engine, (struct tide_position){folded.epoch + 5, 0}, 30000, &bytes, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(bytes.len, len); /* as it was */
  tide_buf_release(&bytes);
}

static void run(struct tide_journal *journal) {
  struct fixture f = {0};
  struct tide_spec *spec = small_spec();
  f.spec = spec;
  struct tide_meters *meters;
  assert_int_equal(tide_http_meters_new(spec, NULL, 0, &meters, NULL), TIDE_OK);
  struct tide_engine_options options = {.core = {.engine_id = 1,
                                                 .seed = 42,
                                                 .settings = tide_settings_default(),
                                                 .features = {spec->text, spec->text_len},
                                                 .batch_records_max = 64,
                                                 .queue_max = 100000},
                                        .journal = journal,
                                        .release = on_release,
                                        .ctx = &f,
                                        .meter = tide_http_core_meter(meters),
                                        .tick_ms = 5};
  f.engine = tide_engine_start(&options, tide_fold_new());
  assert_true(tide_engine_wait_open(f.engine, 30000));
  pthread_t thread[THREADS];
  struct sender sender[THREADS];
  for (unsigned t = 0; t < THREADS; t++) {
    sender[t] = (struct sender){&f, t * EACH};
    assert_int_equal(pthread_create(&thread[t], NULL, send_all, &sender[t]), 0);
  }
  struct tide_buf page = TIDE_BUF_INIT;
  while (atomic_load(&f.back) < THREADS * EACH) { /* reading while the engine writes */
    tide_buf_clear(&page);
    tide_meters_expose(meters, &page);
  }
  for (unsigned t = 0; t < THREADS; t++) pthread_join(thread[t], NULL);
  reads_the_past(&f);
  tide_engine_stop(f.engine);
  struct tide_error error = {0};
  assert_int_equal(tide_engine_join(f.engine, &error), TIDE_OK);
  assert_int_equal(f.back, THREADS * EACH);
  assert_int_equal(f.done, THREADS * EACH);
  assert_int_equal(f.duplicates, EACH / 10);

  /* Every record is in an entry, by the metrics too. */
  char wanted[100];
  snprintf(wanted, sizeof wanted, "\ntidemark_commit_batch_records_sum %d\n", THREADS * EACH);
  tide_buf_clear(&page);
  tide_meters_expose(meters, &page);
  assert_non_null(strstr(tide_buf_cstr(&page), wanted));
  snprintf(wanted, sizeof wanted, "\ntidemark_engine_records_total %d\n", THREADS * EACH);
  assert_non_null(strstr(page.ptr, wanted));
  assert_non_null(strstr(page.ptr, "\ntidemark_engine_state{state=\"stopped\"} 1\n"));
  tide_buf_release(&page);

  /* The journal says the same when it is folded from nothing. */
  struct tide_fold *again = tide_fold_new();
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position at = {0, 0};
  while (journal->ops->read(journal, at, false, &bytes, &at, &error) == TIDE_OK)
    assert_int_equal(tide_fold_entry(again, at, tide_buf_span(&bytes), NULL, NULL, &error), TIDE_OK);
  struct tide_digest theirs = tide_fold_digest(tide_engine_fold(f.engine)), ours = tide_fold_digest(again);
  assert_int_equal(ours.state_hash, theirs.state_hash);
  assert_int_equal(ours.decisions, THREADS * EACH);
  assert_false(tide_engine_offer(f.engine, NULL));
  tide_buf_release(&bytes);
  tide_fold_free(again);
  tide_engine_free(f.engine);
  tide_meters_free(meters);
  tide_spec_free(spec);
}

static void in_memory(void **state) {
  (void)state;
  struct tide_journal *journal = tide_journal_memory_new();
  run(journal);
  journal->ops->close(journal);
}

static void on_disk_and_again(void **state) {
  (void)state;
  char *dir = test_dir("engine");
  struct tide_journal_file_options options = {.dir = dir, .create = true};
  struct tide_journal *journal = NULL;
  struct tide_error error = {0};
  assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_OK);
  run(journal);
  journal->ops->close(journal);

  /* A second life on the same journal: it opens an epoch of its own, and every message is a duplicate. */
  assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_OK);
  struct fixture f = {0};
  struct tide_spec *spec = small_spec();
  f.spec = spec;
  struct tide_engine_options engine = {.core = {.engine_id = 2,
                                                .seed = 43,
                                                .settings = tide_settings_default(),
                                                .features = {spec->text, spec->text_len},
                                                .batch_records_max = 64,
                                                .queue_max = 1000},
                                       .journal = journal,
                                       .release = on_release,
                                       .ctx = &f,
                                       .tick_ms = 5};
  f.engine = tide_engine_start(&engine, tide_fold_new());
  assert_true(tide_engine_wait_open(f.engine, 30000));
  for (unsigned i = 0; i < 50; i++) assert_true(tide_engine_offer(f.engine, event(spec, i)));
  tide_engine_stop(f.engine);
  assert_int_equal(tide_engine_join(f.engine, &error), TIDE_OK);
  assert_int_equal(f.duplicates, 50);
  assert_int_equal(tide_engine_status(f.engine).folded.epoch, 2);
  tide_engine_free(f.engine);
  tide_spec_free(spec);
  journal->ops->close(journal);
  test_dir_remove(dir);
  tide_free(dir);
}

/* Another feature file than the journal's: the engine ends and says so; what was offered comes back refused. */
static void another_feature_file(void **state) {
  (void)state;
  struct tide_journal *journal = tide_journal_memory_new();
  run(journal);
  struct fixture f = {0};
  struct tide_engine_options options = {.core = {.engine_id = 1,
                                                 .seed = 44,
                                                 .settings = tide_settings_default(),
                                                 .features = {"tidemark: 1\n", 12},
                                                 .batch_records_max = 64,
                                                 .queue_max = 10},
                                        .journal = journal,
                                        .release = on_release,
                                        .ctx = &f,
                                        .tick_ms = 5};
  f.engine = tide_engine_start(&options, tide_fold_new());
  assert_false(tide_engine_wait_open(f.engine, 30000));
  struct tide_error error = {0};
  assert_int_equal(tide_engine_join(f.engine, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "another version of the feature file"));
  tide_engine_free(f.engine);
  journal->ops->close(journal);
}

static void life(struct tide_journal *journal, const char *features, const struct tide_model *model, enum tide_err ends, const char *scores,
                 uint64_t seed) {
  struct fixture f = {0};
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  if (model) tide_model_write_lines(model, &bytes); /* as a file has it */
  struct tide_engine_options options = {.core = {.engine_id = 1,
                                                 .seed = seed,
                                                 .settings = tide_settings_default(),
                                                 .features = tide_span_of(features),
                                                 .model = tide_buf_span(&bytes),
                                                 .batch_records_max = 64,
                                                 .queue_max = 10},
                                        .journal = journal,
                                        .release = on_release,
                                        .ctx = &f,
                                        .tick_ms = 5};
  f.engine = tide_engine_start(&options, tide_fold_new());
  assert_int_equal(tide_engine_wait_open(f.engine, 30000), ends == TIDE_OK);
  if (ends == TIDE_OK) tide_engine_stop(f.engine);
  assert_int_equal(tide_engine_join(f.engine, &error), ends);
  if (ends == TIDE_OK) {
    const struct tide_model *active = tide_fold_versions(tide_engine_fold(f.engine))->router.live;
    assert_string_equal(active ? active->id : "none", scores);
  }
  tide_engine_free(f.engine);
  tide_buf_release(&bytes);
}

/* How often a model was activated, and that the journal folds from nothing. */
static unsigned activations(struct tide_journal *journal) {
  struct tide_fold *fold = tide_fold_new();
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position at = {0, 0};
  struct tide_error error = {0};
  unsigned count = 0;
  while (journal->ops->read(journal, at, false, &bytes, &at, &error) == TIDE_OK) {
    struct tide_entry_reader reader;
    struct tide_raw_record raw;
    assert_int_equal(tide_fold_entry(fold, at, tide_buf_span(&bytes), NULL, NULL, &error), TIDE_OK);
    assert_int_equal(tide_entry_open(&reader, tide_buf_span(&bytes), part, &error), TIDE_OK);
    while (tide_entry_next(&reader, &raw, &error) == TIDE_OK) count += raw.type == TIDE_REC_ROLLOUT;
  }
  tide_free(part);
  tide_buf_release(&bytes);
  tide_fold_free(fold);
  return count;
}

/* A model becomes active by one record as the engine opens, and stays so through lives that name it again or name none. One that does not fit the feature file
 * never gets into the journal. */
static void a_model_is_activated_once(void **state) {
  (void)state;
  struct tide_journal *journal = tide_journal_memory_new();
  struct tide_spec *spec = model_spec_of(model_features), *other = model_spec_with("cap 3", "cap 5");
  struct tide_model *first = model_small(spec), *second = model_small(spec), *misfit = model_small(other);
  second->intercept = -1;
  tide_model_seal(second);
  life(journal, model_features, NULL, TIDE_OK, "none", 1);
  life(journal, model_features, first, TIDE_OK, first->id, 2);
  life(journal, model_features, first, TIDE_OK, first->id, 3);
  life(journal, model_features, NULL, TIDE_OK, first->id, 4);
  assert_int_equal(activations(journal), 1);
  life(journal, model_features, second, TIDE_OK, second->id, 5);
  assert_int_equal(activations(journal), 2);
  life(journal, model_features, misfit, TIDE_E_MISMATCH, "", 6);
  assert_int_equal(activations(journal), 2);
  life(journal, model_features, NULL, TIDE_OK, second->id, 7);
  tide_model_free(first);
  tide_model_free(second);
  tide_model_free(misfit);
  tide_spec_free(spec);
  tide_spec_free(other);
  journal->ops->close(journal);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(in_memory), cmocka_unit_test(on_disk_and_again),
                                     cmocka_unit_test(another_feature_file), cmocka_unit_test(a_model_is_activated_once)};
  return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
