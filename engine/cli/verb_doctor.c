/* tidemark doctor: looks at what a run needs and says what to fix.
 *
 * It changes nothing. Each finding is one line: ok, note, or fix with the command to type; one fix makes the exit code 1, so that a deployment
 * script can ask it. */
#include "cli/verbs.h"

#include "adapter/journal_redis_doctor.h"
#include "adapter/registry_store.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "cli/doctor_sources.h"
#include "cli/key_file.h"
#include "cli/scan.h"
#include "cli/registry_open.h"
#include "cli/selftest.h"
#include "cli/serve_config.h"
#include "cli/serve_journal.h"
#include "cli/spec_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static const struct tide_opt options[] = {
    TIDE_CONFIG_OPTIONS,
    TIDE_SERVE_SHORTCUTS,
    TIDE_KEY_OPTIONS,
    {"json", NULL, NULL, "The findings as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

enum level { GOOD, NOTE, FIX };
static const char *const level_name[] = {"ok", "note", "fix"};

struct doctor {
  bool json;
  struct tide_buf out; /* findings as JSON */
  int fixes;
};

static void find(struct doctor *doctor, enum level level, const char *what, const char *fmt, ...) TIDE_PRINTF(4, 5);
static void find(struct doctor *doctor, enum level level, const char *what, const char *fmt, ...) {
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  doctor->fixes += level == FIX;
  if (!doctor->json) {
    printf("%-5s %-10s %s\n", level_name[level], what, text);
    return;
  }
  tide_json_open(&doctor->out, '{');
  tide_json_key(&doctor->out, "level");
  tide_json_cstr(&doctor->out, level_name[level]);
  tide_json_key(&doctor->out, "what");
  tide_json_cstr(&doctor->out, what);
  tide_json_key(&doctor->out, "text");
  tide_json_cstr(&doctor->out, text);
  tide_json_close(&doctor->out, '}');
}

/* What is loaded, not what was compiled against: a mixed installation shows here. Asked of the process itself, so that no library's header is
 * needed outside its own adapter. */
static void check_libraries(struct doctor *doctor) {
  static const char *const wanted[] = {"libsodium", "libyaml", "libyajl", "libxxhash", "libzstd", "libz.so", "libjemalloc"};
  bool seen[sizeof wanted / sizeof wanted[0]] = {false};
  struct tide_buf list = TIDE_BUF_INIT;
  char *line = NULL;
  size_t room = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  while (maps && getline(&line, &room, maps) > 0) {
    const char *path = strchr(line, '/'), *base = path ? strrchr(path, '/') + 1 : NULL;
    for (size_t i = 0; base && i < sizeof wanted / sizeof wanted[0]; i++) {
      if (seen[i] || strncmp(base, wanted[i], strlen(wanted[i])) != 0) continue;
      seen[i] = true;
      tide_buf_printf(&list, "%s%.*s", list.len ? ", " : "", (int)strcspn(base, "\n"), base);
    }
  }
  if (maps) fclose(maps);
  free(line);
  if (list.len) find(doctor, GOOD, "libraries", "%s", tide_buf_cstr(&list));
  else find(doctor, NOTE, "libraries", "cannot tell which are loaded (no /proc)");
  tide_buf_release(&list);
}

static void check_clock(struct doctor *doctor) {
  char text[TIDE_TIME_TEXT];
  struct tide_wall now = tide_wall_now();
  tide_time_format((struct tide_etime){now.ms}, text);
  if (now.ms < INT64_C(1735689600000))
    find(doctor, FIX, "clock", "the clock says %s, before this program was written; set it (timedatectl set-ntp true)", text);
  else find(doctor, GOOD, "clock", "%s; replay does not read it", text);
}

static void check_zones(struct doctor *doctor) {
  struct tide_error error = {0};
  const struct tide_zone *zone;
  if (tide_zone_get("Europe/Amsterdam", &zone, &error) != TIDE_OK)
    find(doctor, FIX, "tzdata", "no time zones, so hour() and weekday() cannot work: apt-get install tzdata");
  else find(doctor, GOOD, "tzdata", "time zones are installed");
}

static void check_memory(struct doctor *doctor) {
  struct sysinfo info;
  if (sysinfo(&info) != 0) return;
  double gib = (double)info.totalram * info.mem_unit / 1073741824.0;
  find(doctor, gib < 1 ? NOTE : GOOD, "memory", "%.1f GiB, %d processors; about 250 bytes per remembered transaction", gib, get_nprocs());
}

static void check_space(struct doctor *doctor, const char *dir) {
  struct statvfs fs;
  if (statvfs(dir, &fs) != 0) return;
  double gib = (double)fs.f_bavail * (double)fs.f_frsize / 1073741824.0;
  find(doctor, gib < 1 ? FIX : GOOD, "disk", "%.1f GiB free in %s%s", gib, dir,
       gib < 1 ? ": make room, the journal stops when it is full" : "");
  if (fs.f_flag & ST_RDONLY) find(doctor, FIX, "disk", "%s is mounted read-only", dir);
}

static enum tide_err count_entry(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  (void)ctx;
  (void)position;
  (void)entry;
  (void)error;
  return TIDE_OK;
}

static void check_journal(struct doctor *doctor, const char *dir) {
  struct tide_scan_result result;
  struct tide_error error = {0};
  check_space(doctor, dir);
  if (access(dir, W_OK) != 0 && errno == EACCES) find(doctor, FIX, "journal", "%s cannot be written by this user", dir);
  if (tide_scan_part(dir, "journal", count_entry, NULL, &result, &error) != TIDE_OK) find(doctor, FIX, "journal", "%s", error.text);
  else if (result.entries == 0) find(doctor, NOTE, "journal", "%s is empty", dir);
  else
    find(doctor, GOOD, "journal", "%llu entries, %llu-%llu to %llu-%llu, %.1f MiB, every checksum right",
         (unsigned long long)result.entries, (unsigned long long)result.first.epoch, (unsigned long long)result.first.seq,
         (unsigned long long)result.last.epoch, (unsigned long long)result.last.seq, (double)result.bytes / 1048576.0);
}

static void check_key_file(struct doctor *doctor, const char *path) {
  struct tide_secret_key key, dev = tide_key_development();
  struct tide_error error = {0};
  struct stat st;
  if (tide_key_read(path, &key, &error) != TIDE_OK) {
    find(doctor, FIX, "key", "%s", error.text);
    return;
  }
  uint32_t id = key.id;
  explicit_bzero(&key, sizeof key);
  bool open = stat(path, &st) == 0 && (st.st_mode & 077) != 0;
  if (open) find(doctor, FIX, "key", "%s can be read by others: chmod 600 %s", path, path);
  if (id == dev.id) find(doctor, FIX, "key", "%s holds the published development key: tidemark keys generate another", path);
  else if (!open) find(doctor, GOOD, "key", "%s, key id %08x, only its owner can read it", path, id);
}

static void check_key(struct doctor *doctor, const char *path, const char *previous, bool development) {
  const char *env = getenv(TIDE_KEY_ENV);
  if (path) check_key_file(doctor, path);
  if (previous) check_key_file(doctor, previous);
  if (development) find(doctor, NOTE, "key", "the development key is for samples and tests only");
  if (!path && env && *env) {
    struct tide_secret_key key;
    struct tide_error error = {0};
    if (tide_key_parse(tide_span_of(env), "the environment variable " TIDE_KEY_ENV, &key, &error) != TIDE_OK)
      find(doctor, FIX, "key", "%s", error.text);
    else find(doctor, GOOD, "key", "key id %08x from the environment", key.id);
    explicit_bzero(&key, sizeof key);
  } else if (!path && !development) {
    find(doctor, NOTE, "key", "no key given; feature files with secret fields need one: tidemark keys generate FILE");
  }
}

static void check_features(struct doctor *doctor, const char *path) {
  struct tide_error error = {0};
  struct tide_selftest_result result = {0};
  struct tide_spec *spec;
  size_t errors = 0;
  if (tide_spec_load(path, &spec, &error, 1, &errors) != TIDE_OK) {
    find(doctor, FIX, "features", "%s:%d:%d: %s; see tidemark features check %s", path, error.line, error.column, error.text, path);
    return;
  }
  FILE *quiet = fopen("/dev/null", "we");
  if (!quiet || tide_selftest(spec, path, false, quiet, &result, &error) != TIDE_OK)
    find(doctor, FIX, "features", "%s: %s", path, quiet ? error.text : "cannot open /dev/null");
  else if (result.failed)
    find(doctor, FIX, "features", "%s: %u of its %u tests fail; see tidemark features check %s", path, result.failed, result.run, path);
  else find(doctor, GOOD, "features", "%s: %u values, %u rules, %u tests pass", path, spec->slot_count, spec->rule_count, result.run);
  if (quiet) fclose(quiet);
  tide_spec_free(spec);
}

static void on_finding(void *ctx, enum tide_redis_finding level, const char *what, const char *text) {
  static const enum level of[] = {[TIDE_REDIS_GOOD] = GOOD, [TIDE_REDIS_NOTE] = NOTE, [TIDE_REDIS_FIX] = FIX};
  find(ctx, of[level], what, "%s", text);
}

static void check_redis(struct doctor *doctor, const struct tide_config *config) {
  struct tide_redis_options redis;
  struct tide_error error = {0};
  if (tide_serve_redis(config, &redis, &error) != TIDE_OK) {
    find(doctor, FIX, "redis", "%s", error.text);
    return;
  }
  tide_journal_redis_examine(&redis, on_finding, doctor);
  long long quorum = (long long)config->journal_quorum, replicas = (long long)config->journal_replicas;
  if (tide_config_lossy(config) && !config->registry_url[0])
    find(
        doctor, FIX, "quorum",
        "%lld of %lld replicas must have a commit, and there is no registry: after a failover that loses entries a position may be given twice. Set registry.url, "
        "or raise journal.quorum",
        quorum, replicas);
  else if (tide_config_lossy(config))
    find(
        doctor, NOTE, "quorum",
        "%lld of %lld replicas must have a commit: a failover may lose acknowledged entries, which come back from Kafka with other decisions; keep the topics for longer "
        "than a replica may lag",
        quorum, replicas);
  explicit_bzero(&redis.target, sizeof redis.target);
}

/* The nearest directory that is there already: what is to be made will stand on its disk. */
static void check_future_space(struct doctor *doctor, const char *dir) {
  char *path = tide_strdup(dir), *slash;
  while (access(path, F_OK) != 0 && (slash = strrchr(path, '/')) != NULL && slash != path) *slash = 0;
  check_space(doctor, access(path, F_OK) == 0 ? path : ".");
  tide_free(path);
}

static const char *or_null(const char *text) { return text[0] ? text : NULL; }

static void on_kafka(void *ctx, enum tide_kafka_finding level, const char *what, const char *text) {
  static const enum level of[] = {[TIDE_KAFKA_GOOD] = GOOD, [TIDE_KAFKA_NOTE] = NOTE, [TIDE_KAFKA_FIX] = FIX};
  find(ctx, of[level], what, "%s", text);
}

static void check_registry(struct doctor *doctor, const struct tide_config *config) {
  struct tide_registry *registry;
  struct tide_rollout_document document;
  struct tide_error error = {0};
  if (!config->registry_url[0]) return;
  enum tide_err err = tide_registry_open(config, &registry, &error);
  if (err == TIDE_OK) {
    err = tide_registry_rollout(registry, config->cell_name, 0, &document, &error);
    registry->ops->close(registry);
  }
  if (err == TIDE_E_NOT_FOUND) find(doctor, NOTE, "registry", "it answers; %s", error.text);
  else if (err != TIDE_OK) find(doctor, FIX, "registry", "%s", error.text);
  else
    find(doctor, GOOD, "registry", "it answers; the last rollout of cell %s is %llu, by %s", config->cell_name,
         (unsigned long long)document.rollout.number, document.rollout.who);
}

/* What the configuration says an engine would be started with. */
static void check_config(struct doctor *doctor, const struct tide_config *config) {
  check_key(doctor, or_null(config->keys_file), or_null(config->keys_file_previous), config->keys_development);
  if (config->features_file[0]) check_features(doctor, config->features_file);
  if (config->journal_kind == TIDE_JOURNAL_KIND_file && access(config->journal_dir, F_OK) == 0) check_journal(doctor, config->journal_dir);
  else if (config->journal_kind == TIDE_JOURNAL_KIND_memory) find(doctor, NOTE, "journal", "in memory: everything is forgotten at the end");
  else check_future_space(doctor, config->journal_dir);
  if (config->journal_kind == TIDE_JOURNAL_KIND_redis) check_redis(doctor, config);
  tide_doctor_sources(config, on_kafka, doctor);
  check_registry(doctor, config);
}

static bool is_redis(const char *journal) { return journal && (strncmp(journal, "redis", 5) == 0 || strncmp(journal, "unix:", 5) == 0); }

static int run(const struct tide_args *args) {
  struct doctor doctor = {.json = tide_args_on(args, "json")};
  struct tide_error error = {0};
  struct tide_config *config = NULL;
  const char *journal = tide_args_text(args, "journal"), *features = tide_args_text(args, "features"), *dir = NULL;
  bool deployed = tide_args_text(args, "config") || is_redis(journal);
  int exit;
  if (deployed && !tide_serve_config(args, &config, &exit)) return exit;
  if (!deployed && journal && tide_journal_arg(journal, &dir, &error) != TIDE_OK) return tide_exit_report(&error);
  if (doctor.json) {
    tide_json_open(&doctor.out, '{');
    tide_json_key(&doctor.out, "findings");
    tide_json_open(&doctor.out, '[');
  }
  check_libraries(&doctor);
  check_clock(&doctor);
  check_zones(&doctor);
  check_memory(&doctor);
  if (config) {
    check_config(&doctor, config);
  } else {
    check_key(&doctor, tide_args_text(args, "key-file"), tide_args_text(args, "key-file-previous"), tide_args_on(args, "dev-key"));
    if (features) check_features(&doctor, features);
    if (dir) check_journal(&doctor, dir);
    else check_space(&doctor, ".");
  }
  tide_config_free(config);
  if (doctor.json) {
    tide_json_close(&doctor.out, ']');
    tide_json_key(&doctor.out, "fixes");
    tide_json_int(&doctor.out, doctor.fixes);
    tide_json_close(&doctor.out, '}');
    printf("%.*s\n", (int)doctor.out.len, doctor.out.ptr);
    tide_buf_release(&doctor.out);
  } else {
    printf(doctor.fixes ? "%d to fix\n" : "nothing to fix\n", doctor.fixes);
  }
  return doctor.fixes ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
}

const struct tide_verb tide_verb_doctor = {
    .name = "doctor",
    .summary = "Check libraries, clock, time zones, disk, key, journal, Redis, Kafka and feature file, and say what to fix",
    .about =
        "Changes nothing. With --config, or a Redis journal, it looks at the whole deployment: every node and sentinel that it can reach, their roles, versions, "
        "memory, persistence, clocks and what the sentinels agree on; where sources are configured, the brokers and each topic: whether it is there, its copies, what it keeps "
        "and for how long, whose clock its messages bear; and whether the registry answers. Exit code 1 when something must be fixed.",
    .example = "tidemark doctor --features config/defaults/features.yaml --journal file:build/run/journal --key-file card.key\n"
               "tidemark doctor --config tidemark.yaml --json",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
