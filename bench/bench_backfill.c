/* Back-fill and audit by the program itself, from files to files: what an operator waits for.
 *
 *   bench_backfill [TRANSACTIONS]   (default 20000; TIDE_BIN is the program, default build/tidemark)
 *
 * A log is generated, as JSON and as the warehouse's CSV, folded with `backfill` (as given, sorted by known_at in memory, sorted through a temporary
 * file; each on one thread and on two), decided with `replay` and folded again with `audit`. Rates are messages per second of the whole process, start
 * included, on however many threads it takes; processor time is that of all of them, which hangs less on what else the machine does. The hash is over all
 * files of the snapshot, or over the decisions: all rows of one input that fold the same rows in the same order must show the same. Run from the
 * repository's root: the shipped feature file is used. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

static const char *tide;

/* Seconds and processor seconds. */
struct took {
  double wall, cpu;
};

static double cpu_s(void) {
  struct rusage use;
  (void)getrusage(RUSAGE_CHILDREN, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* Runs one command line of the shell; ends the program when it fails. */
static struct took TIDE_PRINTF(1, 2) run(const char *fmt, ...) {
  va_list args;
  char command[2048];
  va_start(args, fmt);
  int len = vsnprintf(command, sizeof command, fmt, args);
  va_end(args);
  if (len < 0 || (size_t)len >= sizeof command) exit(4);
  struct tide_mono begin = tide_mono_now();
  double cpu = cpu_s();
  if (system(command) != 0) {
    fprintf(stderr, "bench_backfill: this failed: %s\n", command);
    exit(4);
  }
  return (struct took){(double)(tide_mono_now().ns - begin.ns) / 1e9, cpu_s() - cpu};
}

static uint64_t hash_file(const char *path, uint64_t seed, uint64_t *ret_lines) {
  FILE *file = fopen(path, "re");
  static char chunk[65536];
  size_t n;
  if (!file) {
    perror(path);
    exit(4);
  }
  while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
    seed = tide_hash64(chunk, n, seed);
    for (size_t i = 0; i < n && ret_lines; i++) *ret_lines += chunk[i] == '\n';
  }
  fclose(file);
  return seed;
}

/* Over every file of the one snapshot in `dir`, in order of name. */
static uint64_t hash_snapshot(const char *dir) {
  struct dirent **snap, **name;
  char path[1024], file[1536];
  uint64_t hash = 0;
  int snaps = scandir(dir, &snap, NULL, alphasort);
  for (int i = 0; i < snaps; i++) {
    if (strncmp(snap[i]->d_name, "snap-", 5) == 0) {
      snprintf(path, sizeof path, "%.500s/%.255s", dir, snap[i]->d_name);
      int names = scandir(path, &name, NULL, alphasort);
      for (int k = 0; k < names; k++) {
        snprintf(file, sizeof file, "%.1000s/%.255s", path, name[k]->d_name);
        if (name[k]->d_name[0] != '.') hash = hash_file(file, hash, NULL);
        free(name[k]);
      }
      if (names >= 0) free(name);
    }
    free(snap[i]);
  }
  if (snaps >= 0) free(snap);
  return hash;
}

static void row(const char *what, uint64_t messages, struct took took, uint64_t hash) {
  printf("%-28s %9.0f messages/s  %8llu in %6.2f s, %6.2f us of processor each  hash %016llx\n", what, (double)messages / took.wall,
         (unsigned long long)messages, took.wall, took.cpu * 1e6 / (double)messages, (unsigned long long)hash);
  fflush(stdout);
}

int main(int argc, char **argv) {
  static const struct {
    const char *what, *input, *options;
  } fills[] = {{"backfill json", "log.jsonl", ""},
               {"backfill csv", "log.csv", "--input-shape history --in-order"},
               {"backfill csv, known-at", "log.csv", "--input-shape history"},
               {"backfill csv, known-at, disk", "log.csv", "--input-shape history --memory-mib 1"},
               {"backfill csv, 2 threads", "log.csv", "--threads 2 --input-shape history --in-order"},
               {"  known-at, 2 threads", "log.csv", "--threads 2 --input-shape history"},
               {"  known-at, disk, 2 threads", "log.csv", "--threads 2 --input-shape history --memory-mib 1"}};
  const char *root = getenv("TIDE_TMP");
  char dir[512], path[1024];
  long transactions = argc > 1 ? atol(argv[1]) : 20000;
  if (transactions < 1) {
    fprintf(stderr, "bench_backfill: TRANSACTIONS must be a positive number\n");
    return 2;
  }
  tide = getenv("TIDE_BIN") ? getenv("TIDE_BIN") : "build/tidemark";
  snprintf(dir, sizeof dir, "%.400s/bench-XXXXXX", root && root[0] ? root : "/tmp");
  if (!mkdtemp(dir)) {
    perror(dir);
    return 4;
  }
  const char *use = "--features config/defaults/features.yaml --dev-key --log-level error";
  (void)run("'%s' generate --seed 5 --transactions %ld --output '%s/log.jsonl' >/dev/null 2>&1", tide, transactions, dir);
  (void)run("'%s' generate --seed 5 --transactions %ld --format csv --out-of-order 3 --output '%s/log.csv' >/dev/null 2>&1", tide,
            transactions, dir);
  for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
    uint64_t lines = 0;
    snprintf(path, sizeof path, "%s/%s", dir, fills[i].input);
    (void)hash_file(path, 0, &lines);
    lines -= strstr(fills[i].input, ".csv") != NULL; /* the header */
    struct took took =
        run("'%s' backfill %s %s --strict --input '%s' --output '%s/snap%zu' 2>/dev/null", tide, use, fills[i].options, path, dir, i);
    snprintf(path, sizeof path, "%s/snap%zu", dir, i);
    row(fills[i].what, lines, took, hash_snapshot(path));
  }
  uint64_t lines = 0, decisions = 0;
  snprintf(path, sizeof path, "%s/log.jsonl", dir);
  (void)hash_file(path, 0, &lines);
  struct took took =
      run("'%s' replay %s --input '%s' --output '%s/out' --journal 'file:%s/journal' >/dev/null 2>&1", tide, use, path, dir, dir);
  snprintf(path, sizeof path, "%s/out", dir);
  uint64_t hash = hash_file(path, 0, &decisions);
  row("replay json", lines, took, hash);
  row("audit", lines, run("'%s' audit --journal 'file:%s/journal' --decisions '%s' >/dev/null 2>&1", tide, dir, path), hash);
  (void)run("rm -rf '%s'", dir);
  return 0;
}
