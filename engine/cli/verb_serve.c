/* tidemark serve: the engine as a service on a journal of its own.
 *
 * Start: open the journal, load the newest snapshot that fits it, fold the rest, open an epoch, listen. Stop (SIGTERM, SIGINT): stop accepting, answer what is
 * under way, write the digest and a snapshot, exit 0. Whatever happens in between, kill -9 included, the journal is what holds: the next start folds it. */
#include "cli/verbs.h"

#include "adapter/file.h"
#include "base/log.h"
#include "cli/key_file.h"
#include "cli/snapshot.h"
#include "cli/spec_file.h"
#include "http/server.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#define INBOX_MAX 65536 /* of about 1 KiB each */

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"journal", "WHERE", NULL, "file:DIRECTORY, which is made or gone on with; or memory, which is gone when the process ends",
     TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"listen", "HOST:PORT", "127.0.0.1:8080", "Where requests are taken; port 0 takes a free one and prints it", TIDE_OPT_TEXT, 0, 0, 0,
     NULL},
    {"admin", "HOST:PORT", "127.0.0.1:9090", "Where probes and metrics are taken; keep it from clients", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"cell", "NAME", "default", "Name of the cell, in every answer", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"engine-id", "N", "1", "Number of this engine in its journal entries", TIDE_OPT_INT, 0, 1, 4294967295, NULL},
    {"journal-segment-kib", "N", "262144", "Size of the journal's files", TIDE_OPT_INT, 0, 16, 4194304, NULL},
    {"snapshot-every", "N", "0",
     "Entries between snapshots in DIRECTORY/snapshots, which pause the engine; one is always written at the end", TIDE_OPT_INT, 0, 0,
     1000000000, NULL},
    TIDE_MODEL_OPTION,
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"batch", "N", "512", "Records in one journal entry, at most", TIDE_OPT_INT, 0, 2, 30000, NULL},
    {"queue", "N", "4096", "Requests that may wait for the journal; above, the fallback answers", TIDE_OPT_INT, 0, 1, 1000000, NULL},
    {"http-threads", "N", "1", "Threads that read, decode and write", TIDE_OPT_INT, 0, 1, 64, NULL},
    {"http-connections", "N", "10000", "Open connections, at most", TIDE_OPT_INT, 0, 1, 100000, NULL},
    {"http-connections-per-ip", "N", "0", "Of one address, at most; 0: no limit of its own", TIDE_OPT_INT, 0, 0, 100000, NULL},
    {"http-body-bytes", "N", "65536", "Body of one message, at most", TIDE_OPT_INT, 0, 256, 16777216, NULL},
    {"http-batch-items", "N", "100", "Messages in a batch, at most", TIDE_OPT_INT, 0, 1, 10000, NULL},
    {"http-read-timeout", "DURATION", "10s", "Within which a whole request must have come in", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"http-idle-timeout", "DURATION", "60s", "After which a connection without traffic is closed", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"http-deadline", "DURATION", "100ms", "Deadline of requests that name none", TIDE_OPT_DURATION, 0, 0, 0, NULL},
};

struct serve {
  const struct tide_args *args;
  const struct tide_spec *spec;
  struct tide_keys keys;
  struct tide_buf model; /* the artifact's bytes, empty: none */
  const char *dir;       /* of the journal, NULL: in memory */
  char *snapshots;
  struct tide_journal *journal;
  struct tide_engine *engine;
  struct tide_http *http;
  struct tide_fold *fold;
  /* the core thread's, while it runs */
  uint64_t snapshot_every;
  struct tide_position snapshot_at;
  bool snapshot_failing;
};

/* ---- the journal at start ---- */

/* The position before `at`, or {0,0}. Entries of an epoch are dense, so its last one is found by halving. */
static enum tide_err step_back(struct tide_journal *journal, struct tide_position *at, struct tide_buf *bytes, struct tide_error *error) {
  if (at->seq > 0) {
    at->seq--;
    return TIDE_OK;
  }
  struct tide_position first, last, found;
  journal->ops->range(journal, &first, &last);
  for (uint64_t epoch = at->epoch; epoch-- > first.epoch;) {
    uint64_t lo = 0, hi = UINT64_C(1) << 40, best = UINT64_MAX;
    while (lo < hi) {
      uint64_t mid = lo + (hi - lo) / 2;
      enum tide_err err = journal->ops->read(journal, (struct tide_position){epoch, mid}, true, bytes, &found, error);
      if (err != TIDE_OK && err != TIDE_E_END) return err;
      if (err == TIDE_OK && found.epoch == epoch) best = found.seq, lo = found.seq + 1;
      else hi = mid;
    }
    if (best == UINT64_MAX) continue; /* epochs may be skipped */
    *at = (struct tide_position){epoch, best};
    return TIDE_OK;
  }
  *at = (struct tide_position){0, 0};
  return TIDE_OK;
}

/* The key of the newest event in an entry, 0: none. */
static enum tide_err key_of(const struct tide_spec *spec, struct tide_span entry, uint32_t *ret, struct tide_error *error) {
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  *ret = 0;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  while (err == TIDE_OK && (err = tide_entry_next(&reader, &raw, error)) == TIDE_OK) {
    if (raw.type != TIDE_REC_EVENT) continue;
    err = tide_record_decode(spec, &raw, record, error);
    if (err == TIDE_OK && record->key_id) *ret = record->key_id;
  }
  tide_free(record);
  tide_free(part);
  return err == TIDE_E_END ? TIDE_OK : err;
}

/* A journal that begins with another feature file is the core's to refuse, and says more: records that do not fit are passed over here. */
static enum tide_err check_key(const struct serve *serve, struct tide_error *error) {
  struct tide_position first, at, found;
  struct tide_buf bytes = TIDE_BUF_INIT;
  uint32_t key_id = 0;
  enum tide_err err = TIDE_OK;
  serve->journal->ops->range(serve->journal, &first, &at);
  while (err == TIDE_OK && key_id == 0 && at.epoch > 0 && tide_position_cmp(at, first) >= 0) {
    err = serve->journal->ops->read(serve->journal, at, true, &bytes, &found, error);
    if (err == TIDE_OK && key_of(serve->spec, tide_buf_span(&bytes), &key_id, NULL) != TIDE_OK) break;
    if (err == TIDE_OK && key_id == 0) err = step_back(serve->journal, &at, &bytes, error);
  }
  tide_buf_release(&bytes);
  if (err != TIDE_OK || key_id == 0) return err;
  const struct tide_keys *keys = &serve->keys;
  if ((keys->has_now && keys->now.id == key_id) || (keys->has_previous && keys->previous.id == key_id)) return TIDE_OK;
  return tide_fail(error, TIDE_E_CONFIG,
                   "the journal in %s was written under key %08x, which was not given; without it cards would not be recognised",
                   serve->dir, key_id);
}

static enum tide_err open_journal(struct serve *serve, struct tide_error *error) {
  serve->fold = NULL;
  if (!serve->dir) {
    serve->journal = tide_journal_memory_new();
    serve->fold = tide_fold_new();
    return TIDE_OK;
  }
  struct tide_journal_file_options file = {
      .dir = serve->dir, .create = true, .segment_bytes = (uint64_t)tide_args_int(serve->args, "journal-segment-kib") * 1024};
  enum tide_err err = tide_journal_file_open(&file, &serve->journal, error);
  if (err != TIDE_OK) return err;
  struct tide_buf dir = TIDE_BUF_INIT;
  tide_buf_printf(&dir, "%s/snapshots", serve->dir);
  serve->snapshots = tide_buf_take(&dir);
  err = check_key(serve, error);
  struct tide_released released;
  if (err == TIDE_OK) err = tide_snapshot_load(serve->snapshots, serve->journal, NULL, &serve->fold, &released, error);
  if (err != TIDE_OK) return err;
  if (!serve->fold) serve->fold = tide_fold_new();
  serve->snapshot_at = tide_fold_position(serve->fold);
  return TIDE_OK;
}

/* ---- snapshots ---- */

static void save(struct serve *serve, struct tide_fold *fold, struct tide_span entry) {
  struct tide_error error = {0};
  struct tide_released released = {.position = tide_fold_position(fold)};
  enum tide_err err = tide_snapshot_save(serve->snapshots, fold, entry, released, &error);
  if (err == TIDE_OK) serve->snapshot_at = released.position;
  else if (!serve->snapshot_failing)
    tide_log(TIDE_LOG_ERROR, "snapshot_failed", "why=%s next=%s", error.text, "the journal is whole; tried again at the next");
  serve->snapshot_failing = err != TIDE_OK;
}

/* Positions of two epochs lie any distance apart, so a new epoch counts as due once it has an entry beyond its fence. */
static bool is_due(const struct serve *serve, struct tide_position now) {
  if (now.epoch != serve->snapshot_at.epoch) return now.seq >= serve->snapshot_every;
  return now.seq - serve->snapshot_at.seq >= serve->snapshot_every;
}

static void between(void *ctx, struct tide_fold *fold, struct tide_span entry) {
  struct serve *serve = ctx;
  if (serve->snapshot_every == 0 || !serve->snapshots || !entry.ptr || !tide_fold_spec(fold) || !is_due(serve, tide_fold_position(fold)))
    return;
  save(serve, fold, entry);
}

/* After the engine has ended. */
static void save_last(struct serve *serve) {
  struct tide_fold *fold = tide_engine_fold(serve->engine);
  struct tide_position at = tide_fold_position(fold), found;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  if (!serve->snapshots || at.epoch == 0 || !tide_fold_spec(fold) || tide_position_cmp(at, serve->snapshot_at) == 0) return;
  enum tide_err err = serve->journal->ops->read(serve->journal, at, true, &entry, &found, &error);
  if (err == TIDE_OK && tide_position_cmp(at, found) == 0) save(serve, fold, tide_buf_span(&entry));
  else
    tide_log(TIDE_LOG_WARN, "snapshot_passed_over", "why=%s",
             err == TIDE_OK ? "the entry at the folded position is not in the journal" : error.text);
  tide_buf_release(&entry);
}

/* ---- running ---- */

static void signals_of(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
}

/* One of the signals, or 0 after timeout_ms. */
static int wait_signal(int timeout_ms) {
  sigset_t set;
  signals_of(&set);
  struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000L};
  int signal = sigtimedwait(&set, NULL, &timeout);
  if (signal == SIGHUP)
    tide_log(TIDE_LOG_INFO, "reload", "what=%s", "nothing: everything was given on the command line, and stays until a restart");
  return signal == SIGHUP || signal < 0 ? 0 : signal;
}

static bool has_ended(struct serve *serve) {
  struct tide_engine_status status = tide_engine_status(serve->engine);
  return status.error.code != TIDE_OK || status.state == TIDE_CORE_stopped;
}

/* Each connection is a descriptor: the soft limit is raised to the hard one. */
static void raise_files(int64_t connections) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur != RLIM_INFINITY && (int64_t)limit.rlim_cur < connections + 64)
    tide_log(TIDE_LOG_WARN, "few_files", "limit=%llu note=%s", (unsigned long long)limit.rlim_cur,
             "fewer descriptors than connections are allowed: raise `ulimit -n`, or lower --http-connections");
}

static bool is_loopback(const struct tide_http_address *address) {
  return strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0;
}

static enum tide_err http_options(const struct serve *serve, struct tide_http_options *ret, struct tide_error *error) {
  const struct tide_args *args = serve->args;
  *ret = (struct tide_http_options){.engine = serve->engine,
                                    .spec = serve->spec,
                                    .key = serve->keys.has_now ? &serve->keys.now : NULL,
                                    .key_previous = serve->keys.has_previous ? &serve->keys.previous : NULL,
                                    .cell = tide_args_text(args, "cell"),
                                    .durability = serve->dir ? "file" : "memory",
                                    .limits = tide_http_limits_default()};
  struct tide_http_limits *limits = &ret->limits;
  limits->threads = tide_args_int(args, "http-threads");
  limits->connections_max = tide_args_int(args, "http-connections");
  limits->connections_per_ip_max = tide_args_int(args, "http-connections-per-ip");
  limits->body_bytes_max = tide_args_int(args, "http-body-bytes");
  limits->batch_items_max = tide_args_int(args, "http-batch-items");
  limits->read_timeout_ms = tide_args_duration_ms(args, "http-read-timeout");
  limits->idle_timeout_ms = tide_args_duration_ms(args, "http-idle-timeout");
  limits->deadline_ms = tide_args_duration_ms(args, "http-deadline");
  enum tide_err err = tide_http_limits_check(limits, error);
  if (err == TIDE_OK) err = tide_http_address_parse(tide_args_text(args, "listen"), &ret->listen, error);
  if (err == TIDE_OK) err = tide_http_address_parse(tide_args_text(args, "admin"), &ret->admin, error);
  if (err == TIDE_OK && !serve->engine && (!is_loopback(&ret->listen) || !is_loopback(&ret->admin))) /* once, at the first look */
    tide_log(TIDE_LOG_WARN, "plain_http", "note=%s",
             "listening beyond this machine without TLS: card numbers travel in clear; put a proxy before it");
  return err;
}

static void print_ready(const struct serve *serve, const struct tide_http_options *http) {
  uint16_t listen, admin;
  struct tide_engine_status status = tide_engine_status(serve->engine);
  tide_http_ports(serve->http, &listen, &admin);
  bool v6 = strchr(http->listen.host, ':') != NULL, admin_v6 = strchr(http->admin.host, ':') != NULL;
  printf("tidemark serve: ready on http://%s%s%s:%u, admin http://%s%s%s:%u, at %llu-%llu\n", v6 ? "[" : "", http->listen.host,
         v6 ? "]" : "", listen, admin_v6 ? "[" : "", http->admin.host, admin_v6 ? "]" : "", admin, (unsigned long long)status.folded.epoch,
         (unsigned long long)status.folded.seq);
  fflush(stdout);
}

static enum tide_err run_engine(struct serve *serve, struct tide_error *error) {
  struct tide_http_options http;
  int signal = 0;
  while (!signal && !has_ended(serve) && !tide_engine_wait_open(serve->engine, 100)) signal = wait_signal(0);
  enum tide_err err = signal || has_ended(serve) ? TIDE_OK : http_options(serve, &http, error);
  if (err == TIDE_OK && !signal && !has_ended(serve)) {
    err = tide_http_start(&http, &serve->http, error);
    if (err == TIDE_OK) print_ready(serve, &http);
    while (err == TIDE_OK && !signal && !has_ended(serve)) signal = wait_signal(200);
    if (signal) tide_log(TIDE_LOG_INFO, "stopping", "signal=%s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    if (serve->http) tide_http_drain(serve->http);
  }
  tide_engine_stop(serve->engine);
  struct tide_error ended = {0};
  enum tide_err engine_err = tide_engine_join(serve->engine, &ended);
  tide_http_stop(serve->http);
  if (engine_err == TIDE_OK) save_last(serve);
  else *error = ended;
  return engine_err != TIDE_OK ? engine_err : err;
}

static enum tide_err start_engine(struct serve *serve, const struct tide_settings *settings, struct tide_error *error) {
  struct tide_engine_options engine = {.core = {.engine_id = (uint32_t)tide_args_int(serve->args, "engine-id"),
                                                .settings = *settings,
                                                .features = {serve->spec->text, serve->spec->text_len},
                                                .model = tide_buf_span(&serve->model),
                                                .batch_records_max = (uint32_t)tide_args_int(serve->args, "batch"),
                                                .queue_max = (uint32_t)tide_args_int(serve->args, "queue")},
                                       .journal = serve->journal,
                                       .release = tide_http_release,
                                       .between = between,
                                       .ctx = serve,
                                       .inbox_max = INBOX_MAX,
                                       .tick_ms = 10};
  if (getrandom(&engine.core.seed, sizeof engine.core.seed, 0) != (ssize_t)sizeof engine.core.seed)
    return tide_fail_errno(error, TIDE_E_IO, "cannot draw a random number for the entries of this start");
  serve->engine = tide_engine_start(&engine, serve->fold);
  serve->fold = NULL;
  return TIDE_OK;
}

static enum tide_err load_model(struct serve *serve, struct tide_error *error) {
  struct tide_model *model = NULL;
  enum tide_err err = tide_model_from_args(serve->args, "model", serve->spec, &model, error);
  if (err == TIDE_OK && model) tide_model_write(model, &serve->model);
  tide_model_free(model);
  return err;
}

static int serve_spec(const struct tide_args *args, const struct tide_spec *spec) {
  struct tide_error error = {0};
  struct tide_settings settings;
  struct serve serve = {.args = args, .spec = spec, .snapshot_every = (uint64_t)tide_args_int(args, "snapshot-every")};
  struct tide_http_options checked;
  enum tide_err err = tide_journal_arg(tide_args_text(args, "journal"), &serve.dir, &error);
  if (err == TIDE_OK) err = http_options(&serve, &checked, &error); /* mistakes are told before anything is folded */
  if (err == TIDE_OK) err = tide_settings_from_args(args, &settings, &error);
  if (err == TIDE_OK) err = tide_keys_from_args(args, spec, &serve.keys, &error);
  settings.replay = 0; /* time is the clock's here, not the log's */
  if (err == TIDE_OK) err = load_model(&serve, &error);
  if (err == TIDE_OK) raise_files(checked.limits.connections_max);
  if (err == TIDE_OK) err = open_journal(&serve, &error);
  if (err == TIDE_OK) err = start_engine(&serve, &settings, &error);
  if (err == TIDE_OK) err = run_engine(&serve, &error);
  if (err != TIDE_OK) error.code = err;
  tide_engine_free(serve.engine);
  tide_fold_free(serve.fold);
  if (serve.journal) serve.journal->ops->close(serve.journal);
  tide_buf_release(&serve.model);
  tide_free(serve.snapshots);
  explicit_bzero(&serve.keys, sizeof serve.keys);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  sigset_t set;
  int exit;
  signals_of(&set); /* before any thread: they inherit it, and only this one waits for signals */
  TIDE_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
  (void)signal(SIGPIPE, SIG_IGN);
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  exit = serve_spec(args, spec);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_serve = {
    .name = "serve",
    .summary = "Answer authorizations over HTTP: count, commit, decide",
    .about =
        "Every transaction is committed to the journal before it is answered; a retry gets the first answer. POST /v1/score with a message as the feature file's "
        "`inputs:` describe it; /v1/openapi.yaml describes the rest. One line on standard output says when it is ready, and on which ports. SIGTERM and "
        "SIGINT end it cleanly with a snapshot; kill -9 loses nothing that was answered. SIGHUP reloads nothing and says so. The journal is one of its own: one that "
        "replay wrote has the log for a clock and is refused. audit, explain and inspect read it.",
    .example = "tidemark serve --features config/defaults/features.yaml --journal file:journal --key-file card.key\n"
               "tidemark serve --features my.yaml --journal memory --dev-key --listen 127.0.0.1:0 --admin 127.0.0.1:0",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
