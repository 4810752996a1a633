/* tidemark serve: the engine as a service on a journal of its own.
 *
 * Start: open the journal, load the newest snapshot that fits it, fold the rest, open an epoch, listen. Stop (SIGTERM, SIGINT): stop accepting, answer what is
 * under way, write the digest and a snapshot, exit 0. Whatever happens in between, kill -9 included, the journal is what holds: the next start folds it. */
#include "cli/verbs.h"

#include "base/log.h"
#include "cli/process.h"
#include "cli/serve_away.h"
#include "cli/serve_config.h"
#include "cli/serve_follow.h"
#include "cli/serve_ingest.h"
#include "cli/serve_journal.h"
#include "cli/serve_peer.h"
#include "cli/serve_registry.h"
#include "cli/serve_snapshot.h"
#include "cli/spec_file.h"
#include "model/artifact.h"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#define INBOX_MAX 65536   /* of about 1 KiB each */
#define OUTBOX_MAX 200000 /* answers of about 1 KiB each */
/* For /readyz, from the moment at which the engine finds its history taken back until the next run has its listeners. */
#define RETURNS                                                                                                                            \
  "a failover has taken back what this engine had folded; it begins again from a snapshot that stands, and folds on from there"

static const struct tide_opt options[] = {
    TIDE_CONFIG_OPTIONS,
    TIDE_SERVE_SHORTCUTS,
    TIDE_KEY_OPTIONS,
    {"accept-loss", NULL, NULL, "Go on although the journal lacks what was answered from it: acknowledged transactions stay lost",
     TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"print-config", NULL, NULL, "Print every setting, its value and where it came from, and end", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

/* A feature file that a rollout brought: what listeners and sources were ever given is kept until the end. */
struct adopted {
  struct tide_spec *spec;
  char label[TIDE_VERSION_TEXT];
  struct adopted *next;
};

struct serve {
  const struct tide_args *args;
  struct tide_config *config;   /* what this run was started with; lent to all parts */
  struct tide_config *reloaded; /* what the last reload gave, NULL: there was none. It differs in what is reloadable only */
  struct tide_spec *spec;       /* of the operator's file */
  struct adopted *adopted;      /* the last one first */
  struct tide_u128 features;    /* hash of the file by which messages are decoded */
  struct tide_follow *follow;
  struct tide_keys keys;
  struct tide_buf model; /* the artifact's bytes, empty: none */
  struct tide_serve_journal log;
  struct tide_meters *meters; /* written by the engine's threads and http's, so freed behind both */
  struct tide_engine *engine;
  struct tide_serve_ingest ingest;
  struct tide_serve_registry *registry;             /* NULL: there is none */
  struct tide_serve_epoch *epoch;                   /* the same */
  struct tide_http_secrets *secrets;                /* until the listeners have taken them */
  struct tide_http_source source[TIDE_SOURCES_MAX]; /* as http shows them */
  struct tide_http *http;
  struct tide_serve_away *away;         /* listeners until there are these; NULL: there was no run before this one */
  struct tide_watcher *watcher;         /* its hooks are the core thread's */
  struct tide_snapshotter *snapshotter; /* the core thread's, while it runs */
  _Atomic int64_t snapshot_every_ms;    /* a reload sets it */
  struct tide_position snapshot_at;     /* that the fold began with */
  uint16_t listen, admin;               /* ports that the listeners had; 0: they were not up yet */
  uint64_t epoch_lost;                  /* of the history that a failover took back from the run before; 0: none did */
  bool again;                           /* it did from this one: begin again from a snapshot that stands */
};

/* ---- snapshots ---- */

static void between(void *ctx, struct tide_fold *fold, struct tide_span entry) {
  struct serve *serve = ctx;
  tide_follow_turn(serve->follow, fold);
  if (serve->snapshotter) tide_snapshotter_turn(serve->snapshotter, fold, entry, serve->snapshot_every_ms);
  tide_watcher_turn(serve->watcher);
}

static enum tide_err keep_watch(void *ctx, const char *dir, struct tide_position position, struct tide_error *error) {
  const struct serve *serve = ctx;
  return tide_watcher_keep(serve->watcher, dir, position, error);
}

static struct tide_fold *on_waiting(void *ctx, const struct tide_fold *fold) {
  struct serve *serve = ctx;
  return tide_follow_take(serve->follow, fold);
}

static void on_folded(void *ctx, struct tide_position at, struct tide_span entry) {
  struct serve *serve = ctx;
  tide_mirror_note(serve->log.mirror, tide_mono_now(), at, tide_entry_engine(entry), entry);
}

static void on_sources(void *ctx, const struct tide_core_action *action) {
  struct serve *serve = ctx;
  tide_ingest_act(serve->ingest.ingest, action);
}

static bool on_epoch(void *ctx, uint64_t epoch, uint64_t *ret_highest) {
  const struct serve *serve = ctx;
  return tide_serve_epoch_take(serve->epoch, epoch, ret_highest);
}

static void on_release(void *ctx, struct tide_offer *offer) {
  struct serve *serve = ctx;
  if (serve->ingest.ingest && offer->ctx == serve->ingest.ingest) {
    tide_http_count_message(serve->meters, &offer->told);
    tide_ingest_release(serve->ingest.ingest, offer);
  } else if (serve->registry && offer->ctx == serve->registry) {
    tide_serve_registry_release(serve->registry, offer);
  } else {
    tide_http_release(ctx, offer);
  }
}

/* After the engine has ended. */
static void save_last(struct serve *serve) {
  struct tide_fold *fold = tide_engine_fold(serve->engine);
  struct tide_position at = tide_fold_position(fold), found;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  if (!serve->log.snapshots || at.epoch == 0 || !tide_fold_spec(fold) || tide_position_cmp(at, serve->snapshot_at) == 0) return;
  tide_snapshotter_end(serve->snapshotter);
  enum tide_err err = serve->log.journal->ops->read(serve->log.journal, at, true, &entry, &found, &error);
  if (err == TIDE_OK && tide_position_cmp(at, found) != 0)
    err = tide_fail(&error, TIDE_E_MISMATCH, "the entry at the folded position is not in the journal");
  if (err == TIDE_OK)
    err = tide_snapshot_save(serve->log.snapshots, fold, tide_buf_span(&entry), (struct tide_released){.position = at}, &error);
  if (err == TIDE_OK) err = tide_watcher_keep(serve->watcher, serve->log.snapshots, at, &error);
  if (err != TIDE_OK)
    tide_log(TIDE_LOG_WARN, "snapshot_failed", "why=%s note=%s", error.text, "the journal is whole; the next start folds more of it");
  tide_buf_release(&entry);
}

/* ---- running ---- */

static void signals_of(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
}

/* Everything is read again; what a running engine can take is put into effect, and a change that it cannot take is refused whole. */
static void reload(struct serve *serve) {
  struct tide_config *config;
  struct tide_error error = {0};
  int exit;
  if (!tide_serve_config(serve->args, &config, &exit)) {
    tide_log(TIDE_LOG_ERROR, "reload_refused", "why=%s", "the configuration has mistakes; the running one stays");
    return;
  }
  struct tide_config_diff diff = tide_config_diff(serve->reloaded ? serve->reloaded : serve->config, config);
  if (tide_config_diff_check(&diff, &error) != TIDE_OK) {
    tide_log(TIDE_LOG_ERROR, "reload_refused", "why=%s", error.text);
    tide_config_free(config);
    return;
  }
  struct tide_http_files files = tide_serve_files(config);
  struct tide_http_secrets *secrets;
  if (tide_http_secrets_load(&files, &secrets, &error) != TIDE_OK) {
    tide_log(TIDE_LOG_ERROR, "reload_refused", "why=%s", error.text);
    tide_config_free(config);
    return;
  }
  if (serve->http) tide_http_renew(serve->http, secrets, config->http_rate, config->http_burst);
  else {
    tide_http_secrets_free(serve->secrets);
    serve->secrets = secrets;
  }
  tide_config_free(serve->reloaded); /* read by this thread alone: what others need they have as values */
  serve->reloaded = config;
  serve->snapshot_every_ms = config->snapshot_every_ms;
  tide_config_apply_log(config, serve->args);
  tide_log(TIDE_LOG_INFO, "reloaded", "changed=%zu", diff.count);
}

/* One of the signals, or 0 after timeout_ms. */
static int wait_signal(struct serve *serve, int timeout_ms) {
  sigset_t set;
  signals_of(&set);
  struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1000000L};
  int signal = sigtimedwait(&set, NULL, &timeout);
  if (signal == SIGHUP) reload(serve);
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
             "fewer descriptors than connections are allowed: raise `ulimit -n`, or lower http.max_connections");
}

static struct tide_http_address address_of(const char *host, int64_t port) {
  struct tide_http_address address = {.port = (uint16_t)port};
  snprintf(address.host, sizeof address.host, "%s", host);
  return address;
}

static void warn_open(const struct tide_config *config, const struct tide_http_options *http) {
  bool api = !tide_http_is_loopback(&http->listen), admin = !tide_http_is_loopback(&http->admin);
  if ((api && !config->http_tls_cert[0]) || (admin && !config->http_admin_tls_cert[0]))
    tide_log(
        TIDE_LOG_WARN, "plain_http", "note=%s",
        "listening beyond this machine without TLS: card numbers travel in clear; set http.tls_cert and http.admin_tls_cert, or put a proxy before it");
  bool known = config->http_tokens_file[0] != 0;
  if ((api && !known && !config->http_tls_client_ca[0]) || (admin && !known && !config->http_admin_tls_client_ca[0]))
    tide_log(TIDE_LOG_WARN, "open_http", "note=%s",
             "who reaches a listener from another machine may ask it anything: set http.tokens_file or the client_ca of the listener");
}

static enum tide_err http_options(const struct serve *serve, struct tide_http_options *ret, struct tide_error *error) {
  const struct tide_config *config = serve->config;
  *ret = (struct tide_http_options){.listen = address_of(config->http_listen, config->http_port),
                                    .admin = address_of(config->http_admin_listen, config->http_admin_port),
                                    .engine = serve->engine,
                                    .spec = serve->adopted ? serve->adopted->spec : serve->spec,
                                    .meters = serve->meters,
                                    .key = serve->keys.has_now ? &serve->keys.now : NULL,
                                    .key_previous = serve->keys.has_previous ? &serve->keys.previous : NULL,
                                    .cell = config->cell_name,
                                    .durability = serve->log.durability,
                                    .source = serve->source,
                                    .source_count = config->source_count,
                                    .ingest = serve->ingest.ingest,
                                    .logs = serve->ingest.source,
                                    .watcher = serve->watcher,
                                    .engine_id = (uint32_t)config->engine_id,
                                    .log = config->http_log == TIDE_HTTP_LOG_kafka && serve->ingest.outlet,
                                    .snapshots = config->snapshot_peers[0] ? serve->log.snapshots : NULL,
                                    .secrets = serve->secrets,
                                    .limits = tide_serve_limits(serve->reloaded ? serve->reloaded : config)};
  if (!serve->engine) warn_open(config, ret); /* once, at the first look */
  return tide_http_limits_check(&ret->limits, error);
}

static void print_ready(const struct serve *serve, const struct tide_http_options *http) {
  uint16_t listen, admin;
  struct tide_engine_status status = tide_engine_status(serve->engine);
  tide_http_ports(serve->http, &listen, &admin);
  bool v6 = strchr(http->listen.host, ':') != NULL, admin_v6 = strchr(http->admin.host, ':') != NULL;
  const char *s = serve->config->http_tls_cert[0] ? "s" : "", *admin_s = serve->config->http_admin_tls_cert[0] ? "s" : "";
  printf("tidemark serve: ready on http%s://%s%s%s:%u, admin http%s://%s%s%s:%u, at %llu-%llu\n", s, v6 ? "[" : "", http->listen.host,
         v6 ? "]" : "", listen, admin_s, admin_v6 ? "[" : "", http->admin.host, admin_v6 ? "]" : "", admin,
         (unsigned long long)status.folded.epoch, (unsigned long long)status.folded.seq);
  fflush(stdout);
}

static void print_waiting(const struct serve *serve, const struct tide_http_options *http) {
  uint16_t listen, admin;
  tide_http_ports(serve->http, &listen, &admin);
  tide_log(TIDE_LOG_INFO, "waiting_for_sources", "admin=%s:%u note=%s", http->admin.host, admin,
           "the sources are read up to where they ended when this epoch began; /readyz says what is missing");
}

static enum tide_prepared is_prepared(void *ctx, struct tide_content_hash features) {
  struct tide_follow_status status = tide_follow_status(ctx);
  if (!status.on || !tide_content_hash_eq(status.features, features)) return TIDE_PREPARED_NO;
  return status.never ? TIDE_PREPARED_NEVER : status.ready ? TIDE_PREPARED_YES : TIDE_PREPARED_NO;
}

static void start_registry(const struct serve *serve, const struct tide_http_options *http) {
  char listen_at[160], admin_at[160];
  uint16_t listen, admin;
  if (!serve->registry) return;
  tide_http_ports(serve->http, &listen, &admin);
  snprintf(listen_at, sizeof listen_at, "%s:%u", http->listen.host, listen);
  snprintf(admin_at, sizeof admin_at, "%s:%u", http->admin.host, admin);
  struct tide_serve_registry_start start = {.engine = serve->engine,
                                            .meter = tide_meters_shared(serve->meters),
                                            .listen = listen_at,
                                            .admin = admin_at,
                                            .prepared = is_prepared,
                                            .ctx = serve->follow};
  tide_serve_registry_start(serve->registry, &start);
}

/* What the log has been told. */
struct told {
  bool lost;
  uint64_t diverged, clock_steps, model_ignored, rollout, rollout_void;
};

/* Which rollout is in force, which could not be, and when the model file says nothing. */
static void tell_versions(const struct serve *serve, const struct tide_engine_status *status, struct told *told) {
  struct tide_engine_rollout *in_force = tide_alloc(sizeof *in_force);
  tide_engine_rollout(serve->engine, in_force);
  uint64_t number = in_force->rollout.number, ignored = status->stats.model_ignored;
  if (number != told->rollout)
    tide_log(TIDE_LOG_INFO, "rollout", "number=%llu who=%s why=%s model=%s policy=%s", (unsigned long long)number, in_force->rollout.who,
             in_force->rollout.why, in_force->model[0] ? in_force->model : "none", in_force->policy);
  if (in_force->void_number > number && in_force->void_number != told->rollout_void)
    tide_log(TIDE_LOG_ERROR, "rollout_void", "number=%llu why=%s note=%s", (unsigned long long)in_force->void_number, in_force->void_why,
             "the rollout before it stays in force");
  if (ignored && ignored != told->model_ignored)
    tide_log(TIDE_LOG_WARN, "model_file_ignored", "rollout=%llu note=%s", (unsigned long long)ignored,
             "a rollout that was not made by a model file says which models score; take model.file out, or roll that model out");
  told->rollout = number;
  told->rollout_void = in_force->void_number;
  told->model_ignored = ignored;
  tide_free(in_force);
}

/* Tells the log when the journal goes away and when it is back, and when another engine has decided otherwise. */
static void tell(const struct serve *serve, struct told *told) {
  struct tide_engine_status status = tide_engine_status(serve->engine);
  tell_versions(serve, &status, told);
  if (serve->log.mirror)
    tide_meter_set(tide_meters_shared(serve->meters), TIDE_METER_ROW_archive_pruned_total, TIDE_METER_PLAIN,
                   (int64_t)tide_mirror_pruned(serve->log.mirror));
  if (status.diverged > told->diverged)
    tide_log(TIDE_LOG_ERROR, "diverged", "positions=%llu note=%s", (unsigned long long)status.diverged,
             "this engine and another have decided differently at one position: stop one, and compare both by audit");
  told->diverged = status.diverged;
  if (status.stats.clock_steps > told->clock_steps)
    tide_log(TIDE_LOG_WARN, "clock_stepped", "ms=%lld note=%s", (long long)status.stats.clock_step_ms,
             "nothing is written before the journal's clock has been compared with this one");
  told->clock_steps = status.stats.clock_steps;
  if (!told->lost && status.state == TIDE_CORE_lost && status.trouble.code != TIDE_OK) {
    tide_log(TIDE_LOG_WARN, "journal_lost", "why=%s note=%s", status.trouble.text, "transactions get the fallback until it is back");
    told->lost = true;
  }
  if (!told->lost || status.state != TIDE_CORE_open) return;
  tide_log(TIDE_LOG_INFO, "journal_back", "position=%llu-%llu", (unsigned long long)status.folded.epoch,
           (unsigned long long)status.folded.seq);
  told->lost = false;
}

/* Messages are decoded by the feature file in force. Where they cannot be, they go on being decoded by the last: the fold reads both. */
static void adopt(struct serve *serve) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  size_t errors;
  if (tide_engine_features(serve->engine, &serve->features, &text)) {
    struct adopted *adopted = tide_alloc(sizeof *adopted);
    enum tide_err err = tide_spec_parse("the journal's feature file", tide_buf_span(&text), &adopted->spec, &error, 1, &errors);
    TIDE_CHECK(err == TIDE_OK); /* the fold has parsed it */
    tide_version_text(tide_span_of(adopted->spec->name), tide_content_hash(tide_buf_span(&text)), adopted->label);
    adopted->next = serve->adopted;
    if (serve->ingest.ingest) err = tide_ingest_features(serve->ingest.ingest, adopted->spec, &error);
    if (err == TIDE_OK && serve->http) err = tide_http_features(serve->http, adopted->spec, &error);
    if (err == TIDE_OK || serve->ingest.ingest) serve->adopted = adopted; /* sources may have it */
    else tide_spec_free(adopted->spec), tide_free(adopted);
    if (err == TIDE_OK) tide_log(TIDE_LOG_INFO, "features", "file=%s note=%s", serve->adopted->label, "messages are decoded by it");
    else
      tide_log(TIDE_LOG_ERROR, "features", "why=%s note=%s", error.text,
               "messages are decoded by an earlier feature file and counted by the one in force; what is new in it is missing");
  }
  tide_buf_release(&text);
}

/* Behind a change of the feature file that this engine cannot follow itself, with peers that can give it their state: it ends, with its snapshots put aside, since from
 * none of them it
 * would come further; the next start takes one from a peer. */
static bool must_begin_elsewhere(const struct serve *serve) {
  const struct tide_config *config = serve->config;
  if (!config->snapshot_peers[0] && !config->snapshot_shared_dir[0]) return false;
  return tide_engine_status(serve->engine).waits && tide_follow_status(serve->follow).never;
}

static enum tide_err begin_elsewhere(const struct serve *serve, struct tide_error *error) {
  struct tide_position at = tide_fold_position(tide_engine_fold(serve->engine));
  struct tide_buf aside = TIDE_BUF_INIT;
  tide_snapshotter_end(serve->snapshotter);
  tide_buf_printf(&aside, "%s.until-%llu-%llu", serve->log.snapshots, (unsigned long long)at.epoch, (unsigned long long)at.seq);
  bool moved = rename(serve->log.snapshots, tide_buf_cstr(&aside)) == 0 || errno == ENOENT;
  enum tide_err err =
      moved
          ? tide_fail(
                error, TIDE_E_AGAIN,
                "a rollout changed the feature file at %llu-%llu, and the log on this engine does not begin with its first entry: start it again, and it "
                "takes a snapshot from a peer",
                (unsigned long long)at.epoch, (unsigned long long)at.seq)
          : tide_fail_errno(error, TIDE_E_IO, "cannot put the snapshots in %s aside", serve->log.snapshots);
  tide_buf_release(&aside);
  return err;
}

/* The listeners are gone, and it will be a while until there are others. */
static void listen_meanwhile(struct serve *serve, const struct tide_http_options *http) {
  struct tide_http_options as = *http;
  struct tide_http_files files = tide_serve_files(serve->reloaded ? serve->reloaded : serve->config);
  struct tide_error error = {0};
  as.listen.port = serve->listen;
  as.admin.port = serve->admin;
  as.spec = serve->adopted ? serve->adopted->spec : serve->spec;
  if (tide_serve_away_start(&as, &files, RETURNS, &serve->away, &error) != TIDE_OK)
    tide_log(TIDE_LOG_WARN, "not_listening", "why=%s note=%s", error.text, "connections are refused until the engine is up again");
}

static enum tide_err run_engine(struct serve *serve, struct tide_error *error) {
  struct tide_http_options http;
  int signal = 0;
  bool elsewhere = false;
  while (!signal && !has_ended(serve) && !elsewhere && !tide_engine_wait_up(serve->engine, 100)) {
    signal = wait_signal(serve, 0);
    elsewhere = must_begin_elsewhere(serve);
  }
  adopt(serve);
  enum tide_err err = signal || elsewhere || has_ended(serve) ? TIDE_OK : http_options(serve, &http, error);
  if (err == TIDE_OK && !signal && !elsewhere && !has_ended(serve)) {
    tide_serve_away_stop(serve->away);
    serve->away = NULL;
    err = tide_http_start(&http, &serve->http, error);
    if (err == TIDE_OK) tide_http_ports(serve->http, &serve->listen, &serve->admin);
    if (err == TIDE_OK) start_registry(serve, &http);
    if (err == TIDE_OK) serve->secrets = NULL; /* also before the epoch is open: /readyz says what it waits for */
    if (err == TIDE_OK && tide_engine_status(serve->engine).state == TIDE_CORE_barrier) print_waiting(serve, &http);
    while (err == TIDE_OK && !signal && !has_ended(serve) && !tide_engine_wait_open(serve->engine, 100)) signal = wait_signal(serve, 0);
    if (err == TIDE_OK && !signal && !has_ended(serve)) print_ready(serve, &http);
    for (struct told told = {0}; err == TIDE_OK && !signal && !elsewhere && !has_ended(serve); tell(serve, &told)) {
      signal = wait_signal(serve, 100);
      adopt(serve);
      elsewhere = must_begin_elsewhere(serve);
    }
    if (signal) tide_log(TIDE_LOG_INFO, "stopping", "signal=%s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    if (serve->http) tide_http_drain(serve->http);
  }
  tide_serve_registry_stop(serve->registry);
  tide_engine_stop(serve->engine);
  struct tide_error ended = {0};
  enum tide_err engine_err = tide_engine_join(serve->engine, &ended);
  tide_ingest_stop(serve->ingest.ingest);
  tide_http_stop(serve->http);
  if (engine_err == TIDE_OK && elsewhere) err = begin_elsewhere(serve, error);
  else if (engine_err == TIDE_OK) save_last(serve);
  else *error = ended;
  struct tide_position at = tide_fold_position(tide_engine_fold(serve->engine));
  serve->again = engine_err == TIDE_E_HISTORY && serve->log.lossy && !signal;
  if (serve->again) {
    serve->epoch_lost = at.epoch;
    tide_log(TIDE_LOG_WARN, "history_taken_back", "position=%llu-%llu why=%s next=%s", (unsigned long long)at.epoch,
             (unsigned long long)at.seq, "the journal lacks the entry that was folded last: a failover has lost it",
             "begins again from a snapshot that stands; what was acknowledged comes back from the sources");
    if (serve->listen && !serve->away) listen_meanwhile(serve, &http);
  } else if (engine_err == TIDE_E_HISTORY && !serve->log.lossy) {
    tide_serve_history_lost(&serve->log, tide_engine_fold(serve->engine));
  }
  return engine_err != TIDE_OK ? engine_err : err;
}

static enum tide_err start_engine(struct serve *serve, struct tide_error *error) {
  const struct tide_config *config = serve->config;
  struct tide_settings settings = tide_settings_from_config(config);
  settings.hash_seed = tide_keys_seed(&serve->keys);
  struct tide_engine_options engine = {
      .core = {.engine_id = (uint32_t)config->engine_id,
               .settings = settings,
               .features = {serve->spec->text, serve->spec->text_len},
               .model = tide_buf_span(&serve->model),
               .batch_records_max = (uint32_t)config->commit_max_batch,
               .queue_max = (uint32_t)config->queue_http,
               .heartbeat_ms = config->engine_heartbeat_ms,
               .shared = serve->log.shared,
               .compares_clocks = serve->log.clock != NULL,
               .sources = serve->ingest.declared,
               .ingests = serve->ingest.ingest != NULL,
               .claim_timeout_ms = config->ingest_claim_timeout_ms,
               .epoch_seen = serve->epoch_lost > serve->log.epoch_seen ? serve->epoch_lost : serve->log.epoch_seen,
               .outbox_max = OUTBOX_MAX},
      .journal = serve->log.journal,
      .pressed = serve->log.pressed,
      .health = serve->log.health,
      .clock = serve->log.clock,
      .take_epoch = serve->log.shared && serve->epoch ? on_epoch : NULL,
      .release = on_release,
      .sources = serve->ingest.ingest ? on_sources : NULL,
      .between = between,
      .begins_again = serve->log.lossy ? RETURNS : NULL,
      .follower = on_waiting,
      .folded = serve->log.mirror ? on_folded : NULL,
      .meter = tide_http_core_meter(serve->meters),
      .ctx = serve,
      .inbox_max = INBOX_MAX,
      .tick_ms = 10};
  if (getrandom(&engine.core.seed, sizeof engine.core.seed, 0) != (ssize_t)sizeof engine.core.seed)
    return tide_fail_errno(error, TIDE_E_IO, "cannot draw a random number for the entries of this start");
  serve->snapshot_at = tide_fold_position(serve->log.fold);
  serve->features = serve->spec->hash;
  serve->follow = tide_follow_new(serve->log.log);
  if (serve->log.mirror) tide_mirror_start(serve->log.mirror);
  tide_watcher_attach(serve->watcher, serve->log.fold, serve->log.snapshots);
  serve->engine = tide_engine_start(&engine, serve->log.fold);
  serve->log.fold = NULL;
  if (serve->ingest.ingest) tide_ingest_start(serve->ingest.ingest, serve->engine);
  return TIDE_OK;
}

static enum tide_err load_model(struct serve *serve, struct tide_error *error) {
  if (!serve->config->model_file[0]) return TIDE_OK;
  struct tide_model *model = NULL;
  enum tide_err err = tide_model_load(serve->config->model_file, &model, error);
  if (err == TIDE_OK) err = tide_model_bind(model, serve->spec, error);
  if (err == TIDE_OK) tide_model_write(model, &serve->model);
  tide_model_free(model);
  return err;
}

/* False when a signal asks to stop. */
static bool wait_for_store(void *ctx, int64_t ms) { return wait_signal(ctx, (int)ms) == 0; }

static enum tide_err open_journal(struct serve *serve, struct tide_error *error) {
  bool accept = tide_args_on(serve->args, "accept-loss");
  enum tide_err err = tide_serve_journal_open(serve->config, serve->spec, &serve->keys, accept, wait_for_store, serve, &serve->log, error);
  if (err == TIDE_OK && serve->log.snapshots) {
    serve->snapshotter = tide_snapshotter_new(serve->log.snapshots);
    tide_snapshotter_beside(serve->snapshotter, keep_watch, serve);
  }
  return err;
}

static enum tide_err open_meters(struct serve *serve, struct tide_error *error) {
  const struct tide_config *config = serve->config;
  for (size_t i = 0; i < config->source_count; i++)
    serve->source[i] = (struct tide_http_source){config->source[i].number, config->source[i].name, config->source[i].topic};
  return tide_http_meters_new(serve->spec, serve->source, config->source_count, &serve->meters, error);
}

static enum tide_err serve_all(struct serve *serve, struct tide_error *error) {
  struct tide_http_options checked;
  struct tide_http_files files = tide_serve_files(serve->config);
  struct tide_key_places places = tide_serve_keys(serve->config);
  enum tide_err err = http_options(serve, &checked, error); /* mistakes are told before anything is folded */
  if (err == TIDE_OK) err = tide_serve_peer_check(serve->config, error);
  if (err == TIDE_OK) err = tide_serve_registry_new(serve->config, &serve->registry, error);
  if (err == TIDE_OK) err = tide_serve_epoch_new(serve->config, &serve->epoch, error);
  if (err == TIDE_OK) err = tide_http_secrets_load(&files, &serve->secrets, error);
  tide_process_keep(&serve->keys, sizeof serve->keys);
  if (err == TIDE_OK) err = tide_keys_load(&places, serve->spec, &serve->keys, error);
  if (err == TIDE_OK) err = load_model(serve, error);
  if (err == TIDE_OK) err = open_meters(serve, error);
  if (err == TIDE_OK)
    err = tide_serve_ingest_open(serve->config, serve->spec, &serve->keys, tide_meters_shared(serve->meters), serve->epoch, &serve->ingest,
                                 error);
  if (err == TIDE_OK) raise_files(checked.limits.connections_max);
  if (err == TIDE_OK) err = open_journal(serve, error);
  if (err == TIDE_OK) err = start_engine(serve, error);
  return err == TIDE_OK ? run_engine(serve, error) : err;
}

static int serve_config(struct serve *serve) {
  struct tide_error error = {0};
  int exit;
  enum tide_err err = tide_config_ready(serve->config, &error);
  if (err == TIDE_OK && !serve->config->process_core_dumps) tide_process_seal();
  if (err == TIDE_OK) err = tide_process_become(serve->config->process_user, &error);
  if (err != TIDE_OK) return tide_exit_report(&error);
  if (!tide_spec_open(serve->config->features_file, &serve->spec, &exit)) return exit;
  serve->snapshot_every_ms = serve->config->snapshot_every_ms;
  struct tide_watch_options watched = tide_serve_watch(serve->config);
  serve->watcher = tide_watcher_new(&watched);
  err = serve_all(serve, &error);
  if (err != TIDE_OK) error.code = err;
  tide_serve_ingest_close(&serve->ingest);
  tide_engine_free(serve->engine);
  tide_serve_registry_free(serve->registry);
  tide_serve_epoch_free(serve->epoch);
  tide_follow_free(serve->follow);
  for (struct adopted *next, *at = serve->adopted; at; at = next) {
    next = at->next;
    tide_spec_free(at->spec);
    tide_free(at);
  }
  tide_meters_free(serve->meters);
  tide_snapshotter_free(serve->snapshotter);
  tide_watcher_free(serve->watcher);
  tide_serve_journal_close(&serve->log);
  tide_http_secrets_free(serve->secrets);
  tide_buf_release(&serve->model);
  tide_spec_free(serve->spec);
  tide_process_wipe(&serve->keys, sizeof serve->keys);
  if (serve->again) return TIDE_EXIT_OK;
  tide_serve_away_stop(serve->away);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

/* In the same process, as a start would, with the configuration of the last reload; whoever calls finds it at the same ports. */
static void begin_again(struct serve *serve) {
  struct serve next = {.args = serve->args,
                       .config = serve->reloaded ? serve->reloaded : serve->config,
                       .epoch_lost = serve->epoch_lost,
                       .away = serve->away};
  if (serve->reloaded) tide_config_free(serve->config);
  if (serve->listen) next.config->http_port = serve->listen;
  if (serve->admin) next.config->http_admin_port = serve->admin;
  *serve = next;
}

static int run(const struct tide_args *args) {
  struct serve serve = {.args = args};
  sigset_t set;
  int exit;
  if (!tide_serve_config(args, &serve.config, &exit)) return exit;
  if (tide_args_on(args, "print-config")) {
    exit = tide_config_show(serve.config, false);
  } else {
    tide_config_apply_log(serve.config, args);
    signals_of(&set); /* before any thread: they inherit it, and only this one waits for signals */
    TIDE_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    while (exit = serve_config(&serve), serve.again) begin_again(&serve);
  }
  tide_config_free(serve.reloaded);
  tide_config_free(serve.config);
  return exit;
}

const struct tide_verb tide_verb_serve = {
    .name = "serve",
    .summary = "Answer authorizations over HTTP: count, commit, decide",
    .about =
        "Every transaction is committed to the journal before it is answered; a retry gets the first answer. POST /v1/score with a message as the feature file's "
        "`inputs:` describe it; /v1/openapi.yaml describes the rest. One line on standard output says when it is ready, and on which ports. SIGTERM and "
        "SIGINT end it cleanly with a snapshot; kill -9 loses nothing that was answered. SIGHUP reads file and environment again and takes what is "
        "reloadable. The journal is one of its own: one that "
        "replay wrote has the log for a clock and is refused. audit, explain and inspect read it.",
    .example = "tidemark serve --features config/defaults/features.yaml --journal file:journal --key-file card.key\n"
               "tidemark serve --features my.yaml --journal memory --dev-key --listen 127.0.0.1:0 --admin 127.0.0.1:0\n"
               "tidemark serve --config tidemark.yaml --set http.threads=2 --print-config",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
