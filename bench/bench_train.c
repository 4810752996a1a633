/* Fitting: rows in memory to coefficients, and the choice of the penalty by folds.
 *
 *   bench_train                     rows of our own making: fit by number of rows and inputs, choose among four penalties in five folds
 *   bench_train ROWS.csv MODEL      the rows of `train --export` fitted with the transforms of the model; one line of JSON (bench/training.py)
 *
 * Each figure is the median of three; the hash is over the coefficients, so a change of the arithmetic shows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cli/rows_csv.h"
#include "model/choose.h"

#define RUNS 3

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double seconds_since(struct tide_mono start) { return (double)(tide_mono_now().ns - start.ns) / 1e9; }

static uint64_t hash_of(const struct tide_model *model) {
  uint64_t hash = 0;
  for (uint32_t i = 0; i < model->input_count; i++) hash = tide_hash64(&model->input[i].coefficient, sizeof(double), hash);
  return tide_hash64(&model->intercept, sizeof model->intercept, hash);
}

/* One percent of rows is fraud, and half of the inputs have to do with it. */
static void made_up(struct tide_rows *rows, size_t count, uint32_t inputs) {
  uint64_t seed = 3;
  tide_rows_init(rows, inputs);
  for (size_t k = 0; k < count; k++) {
    size_t r = tide_rows_add(rows);
    double sum = 0;
    for (uint32_t i = 0; i < inputs; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      double x = (double)(seed >> 40) / 65536;
      rows->x[r * inputs + i] = x;
      rows->cause[r * inputs + i] = (uint8_t)((seed >> 20 & 31) == 0 ? TIDE_C_empty : TIDE_C_none);
      if (i % 2) sum += x - 128;
    }
    rows->time_ms[r] = (int64_t)k;
    rows->fraud[r] = sum > 128 * sqrt(inputs) * 0.9 || (seed >> 25 & 1023) == 0;
  }
}

static struct tide_model *model_of(uint32_t inputs) {
  struct tide_model *model = tide_alloc(sizeof *model);
  model->input = tide_arena_alloc(&model->arena, inputs * sizeof *model->input);
  model->input_count = inputs;
  for (uint32_t i = 0; i < inputs; i++) model->input[i].feature = "made up";
  return model;
}

static int failed(const struct tide_error *error) {
  fprintf(stderr, "bench_train: %s\n", error->text);
  return 1;
}

static int fit(size_t count, uint32_t inputs) {
  struct tide_rows rows;
  struct tide_train_result result = {0};
  struct tide_error error = {0};
  struct tide_train_how how = {.l2 = 1};
  double seconds[RUNS];
  made_up(&rows, count, inputs);
  struct tide_model *model = model_of(inputs);
  for (int run = 0; run < RUNS; run++) {
    struct tide_mono start = tide_mono_now();
    if (tide_train(model, &rows, rows.count, &how, &result, &error)) return failed(&error);
    seconds[run] = seconds_since(start);
  }
  qsort(seconds, RUNS, sizeof *seconds, by_value);
  printf("fit %8zu rows of %3u inputs  %8.3f s  %2u + %2u steps  %016llx\n", count, inputs, seconds[RUNS / 2], result.lbfgs_steps,
         result.newton_steps, (unsigned long long)hash_of(model));
  tide_model_free(model);
  tide_rows_release(&rows);
  return 0;
}

static int choose(size_t count, uint32_t inputs) {
  static const double c[] = {0.01, 0.1, 1, 10};
  bool given[TIDE_MODEL_INPUTS_MAX] = {false};
  struct tide_rows rows;
  struct tide_choice *choice = tide_alloc(sizeof *choice);
  struct tide_error error = {0};
  struct tide_choose_how how = {.c = c, .c_count = 4, .folds = 5};
  made_up(&rows, count, inputs);
  struct tide_model *model = model_of(inputs);
  struct tide_mono start = tide_mono_now();
  if (tide_choose(model, &rows, rows.count, given, &how, choice, &error)) return failed(&error);
  printf("choose of 4 in 5 folds, %zu rows of %u inputs  %8.3f s  C = %g, loss %.9f\n", count, inputs, seconds_since(start),
         choice->candidate[choice->chosen].c, choice->candidate[choice->chosen].mean);
  tide_free(choice);
  tide_model_free(model);
  tide_rows_release(&rows);
  return 0;
}

/* The model's transforms and nothing else of it: medians, means and coefficients are fitted again. */
static int fit_file(const char *csv, const char *path) {
  struct tide_model *model, *again;
  struct tide_rows rows;
  struct tide_error error = {0};
  double *score;
  if (tide_model_load(path, &model, &error) || tide_model_load(path, &again, &error) ||
      tide_rows_csv_read(csv, model, &rows, &score, &error))
    return failed(&error);
  struct tide_train_how how = {.l2 = 1};
  struct tide_train_result result;
  struct tide_mono start = tide_mono_now();
  clock_t cpu = clock();
  if (tide_train(again, &rows, rows.count, &how, &result, &error)) return failed(&error);
  double seconds = seconds_since(start), cpu_seconds = (double)(clock() - cpu) / CLOCKS_PER_SEC, off = 0;
  for (uint32_t i = 0; i < model->input_count; i++) off = fmax(off, fabs(model->input[i].coefficient - again->input[i].coefficient));
  printf("{\"seconds\":%.6f,\"cpu\":%.6f,\"steps\":%u,\"off\":%.3g,\"rows\":%zu}\n", seconds, cpu_seconds,
         result.lbfgs_steps + result.newton_steps, off, rows.count);
  tide_free(score);
  tide_rows_release(&rows);
  tide_model_free(model);
  tide_model_free(again);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3) return fit_file(argv[1], argv[2]);
  if (argc != 1 && !(argc == 2 && strcmp(argv[1], "--quick") == 0)) {
    fprintf(stderr, "usage: bench_train [--quick | ROWS.csv MODEL.json]\n");
    return 2;
  }
  if (argc == 2) return fit(2000, 10) || choose(2000, 10);
  return fit(10000, 30) || fit(100000, 30) || fit(20000, 170) || choose(20000, 30);
}
