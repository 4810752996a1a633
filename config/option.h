/* The operator's options: one row each, and everything about an option comes from its row.
 *
 * A row gives section and name (`http.port` in a file is `port:` under `http:`, in the environment TIDEMARK_HTTP_PORT, in C config->http_port),
 * type, default, bounds, what is counted, the words of a choice, whether a running engine takes a new value (RELOAD) or must be started
 * again (RESTART), and the description. The struct of values, parser, checks, printed configuration and reference page are made of the rows, so
 * none of them can say something else. Units: durations are milliseconds and sizes bytes, in C with `_ms` and `_bytes` at the end of the name. */
#ifndef TIDE_OPTION_H
#define TIDE_OPTION_H

#include "base/buf.h"
#include "base/err.h"

/* X(TYPE, name for people, how a value is written) */
#define TIDE_OPTION_TYPES(X)                                                             \
  X(BOOL, "bool", "true or false")                                                       \
  X(INT, "int", "a whole number")                                                        \
  X(SIZE, "size", "a whole number and B, KiB, MiB or GiB, as in 64KiB")                  \
  X(DURATION, "duration", "a whole number and ms, s, m, h or d, as in 100ms")            \
  X(TIME, "time", "a time like 2026-01-31T00:00:00Z, or first (of the first event)")     \
  X(CHOICE, "choice", "one of its words")                                                \
  X(NAME, "name", "letters, digits, `-`, `_` and `.`, beginning with a letter or digit") \
  X(PATH, "path", "the path of a file or directory")                                     \
  X(ADDRESS, "address", "an IPv4 or IPv6 address, as in 127.0.0.1")                      \
  X(TOPIC, "topic", "the name of a Kafka topic: letters, digits, `.`, `_` and `-`")      \
  X(START, "start", "first or last (in the log), or a time like 2026-01-31T00:00:00Z")
enum tide_option_type {
#define X(type, name, form) TIDE_OPTION_##type,
  TIDE_OPTION_TYPES(X)
#undef X
      TIDE_OPTION_TYPE_COUNT
};

#define TIDE_MS(n) INT64_C(n)
#define TIDE_SECONDS(n) (INT64_C(n) * 1000)
#define TIDE_HOURS(n) (INT64_C(n) * 3600000)
#define TIDE_DAYS(n) (INT64_C(n) * 86400000)
#define TIDE_KIB(n) (INT64_C(n) << 10)
#define TIDE_MIB(n) (INT64_C(n) << 20)
#define TIDE_GIB(n) (INT64_C(n) << 30)
#define TIDE_TIME_FIRST INT64_MIN /* TIME: the first event tells */
#define TIDE_START_FIRST INT64_MIN
#define TIDE_START_LAST INT64_MAX

/* The member of a struct that holds a value of the type, by the name of its row: units last. */
#define TIDE_MEMBER_BOOL(name) name
#define TIDE_MEMBER_INT(name) name
#define TIDE_MEMBER_SIZE(name) name##_bytes
#define TIDE_MEMBER_DURATION(name) name##_ms
#define TIDE_MEMBER_TIME(name) name##_ms
#define TIDE_MEMBER_CHOICE(name) name
#define TIDE_MEMBER_NAME(name) name
#define TIDE_MEMBER_PATH(name) name
#define TIDE_MEMBER_ADDRESS(name) name
#define TIDE_MEMBER_TOPIC(name) name
#define TIDE_MEMBER_START(name) name##_ms
#define TIDE_CONFIG_BOOL(name) bool TIDE_MEMBER_BOOL(name)
#define TIDE_CONFIG_INT(name) int64_t TIDE_MEMBER_INT(name)
#define TIDE_CONFIG_SIZE(name) int64_t TIDE_MEMBER_SIZE(name)
#define TIDE_CONFIG_DURATION(name) int64_t TIDE_MEMBER_DURATION(name)
#define TIDE_CONFIG_TIME(name) int64_t TIDE_MEMBER_TIME(name)
#define TIDE_CONFIG_CHOICE(name) int TIDE_MEMBER_CHOICE(name)
#define TIDE_CONFIG_NAME(name) const char *TIDE_MEMBER_NAME(name)
#define TIDE_CONFIG_PATH(name) const char *TIDE_MEMBER_PATH(name)
#define TIDE_CONFIG_ADDRESS(name) const char *TIDE_MEMBER_ADDRESS(name)
#define TIDE_CONFIG_TOPIC(name) const char *TIDE_MEMBER_TOPIC(name)
#define TIDE_CONFIG_START(name) int64_t TIDE_MEMBER_START(name)

/* The words of the choices; in C the index, TIDE_JOURNAL_KIND_file. */
#define TIDE_JOURNAL_KINDS(X) X(file) X(memory) X(redis)
#define TIDE_LOG_LEVEL_WORDS(X) X(debug) X(info) X(warn) X(error)
#define TIDE_LOG_FORMAT_WORDS(X) X(logfmt) X(json)
#define TIDE_INGEST_ORDERS(X) X(time) X(arrival)
#define TIDE_INGEST_BARRIERS(X) X(log_end) X(marker)
#define TIDE_HTTP_LOGS(X) X(none) X(kafka)
#define TIDE_SCORE_FEATURES(X) X(none) X(all)
#define TIDE_DEAD_FORMS(X) X(masked) X(original) X(none)
enum tide_journal_kind {
#define X(word) TIDE_JOURNAL_KIND_##word,
  TIDE_JOURNAL_KINDS(X)
#undef X
};
enum tide_ingest_order {
#define X(word) TIDE_INGEST_ORDER_##word,
  TIDE_INGEST_ORDERS(X)
#undef X
};
enum tide_ingest_barrier {
#define X(word) TIDE_INGEST_BARRIER_##word,
  TIDE_INGEST_BARRIERS(X)
#undef X
};
enum tide_http_log {
#define X(word) TIDE_HTTP_LOG_##word,
  TIDE_HTTP_LOGS(X)
#undef X
};
enum tide_score_features {
#define X(word) TIDE_SCORE_FEATURES_##word,
  TIDE_SCORE_FEATURES(X)
#undef X
};
enum tide_dead_form {
#define X(word) TIDE_DEAD_FORM_##word,
  TIDE_DEAD_FORMS(X)
#undef X
};
#define TIDE_OPTION_WORD(word) "|" #word

/* X(section, name, TYPE, default, least, most, unit of an INT or NULL, words of a CHOICE or NULL, RELOAD or RESTART, description)
 * least and most: ms, bytes, a number; of NAME, PATH and TOPIC the length in bytes (0: may be left empty). Unused: 0, 0. */
#define TIDE_OPTIONS(X)                                                                                                                     \
  X(cell, name, NAME, "default", 1, 48, NULL, NULL, RESTART, "Name of the cell: engines of one cell share one journal")                       \
  X(engine, id, INT, "1", 1, 4294967295, NULL, NULL, RESTART, "Number of this engine, different from every other engine of the cell")            \
  X(engine, heartbeat, DURATION, "1s", 0, TIDE_SECONDS(60), NULL, NULL, RESTART,                                                 \
    "An entry without records is written when none was written for so long, so that a quiet night is fresh; 0s: never")                                \
  X(features, file, PATH, "", 0, 1024, NULL, NULL, RESTART, "The feature file; serving needs one")                                          \
  X(model, file, PATH, "", 0, 1024, NULL, NULL, RESTART, "The model that rules with `score` read, unless a rollout says otherwise; empty: none") \
  X(keys, file, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                     \
    "File with the key for secret fields; empty: the key in the environment's TIDEMARK_HASH_KEY")                                           \
  X(keys, file_previous, PATH, "", 0, 1024, NULL, NULL, RESTART, "The key before a rotation; both hashes travel until it is left out")       \
  X(keys, development, BOOL, "false", 0, 0, NULL, NULL, RESTART,                                                                             \
    "Use the published development key: for samples and tests, never for real card numbers")                                                \
  X(process, user, NAME, "", 0, 31, NULL, NULL, RESTART,                                                                                     \
    "User that serving becomes when it is started as root, before it opens any file; empty: it stays what it is")                            \
  X(process, core_dumps, BOOL, "false", 0, 0, NULL, NULL, RESTART,                                                                           \
    "Allow core dumps and debuggers; they show keys and card numbers")                                                                      \
  X(journal, kind, CHOICE, "file", 0, 0, NULL, TIDE_JOURNAL_KINDS(TIDE_OPTION_WORD), RESTART,                                                \
    "Where the journal lives: a directory of this machine; a Redis stream with replicas; or memory, which forgets everything and is for tests") \
  X(journal, dir, PATH, "tidemark-data/journal", 1, 1024, NULL, NULL, RESTART, "Directory of the file journal; with Redis, of this engine's mirror and snapshots") \
  X(journal, url, PATH, "redis://127.0.0.1:6379", 1, 1024, NULL, NULL, RESTART,                                                             \
    "Where the Redis journal is: redis://[USER@]HOST:PORT, redis+sentinel://[USER@]HOST:PORT,.../NAME, or unix:/SOCKET; " \
    "with TLS rediss:// and rediss+sentinel://")                     \
  X(journal, password_file, PATH, "", 0, 1024, NULL, NULL, RESTART, "File with the password for Redis; empty: none is asked for")           \
  X(journal, tls_ca, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                 \
    "Authorities of Redis nodes and sentinels under rediss://, PEM; empty: those of this machine")                                          \
  X(journal, tls_cert, PATH, "", 0, 1024, NULL, NULL, RESTART, "Certificate of this engine for Redis, PEM, where nodes ask for one; empty: none") \
  X(journal, tls_key, PATH, "", 0, 1024, NULL, NULL, RESTART, "Its key, PEM, not encrypted")                                                \
  X(journal, tls_server_name, PATH, "", 0, 253, NULL, NULL, RESTART,                                                                         \
    "The name that the certificates of all nodes and sentinels bear; empty: each must bear the host by which it is called")                 \
  X(journal, replicas, INT, "2", 0, 8, "replicas", NULL, RESTART,                                                                            \
    "Replicas of the Redis primary, at most; 0: none, for development, and every answer says so")                                            \
  X(journal, quorum, INT, "2", 0, 8, "replicas", NULL, RESTART, "Replicas that must have a commit before anything of it is acknowledged")     \
  X(journal, nodes, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                  \
    "HOST:PORT,... at which replicas may be; one elsewhere ends the session; empty: anywhere")                                               \
  X(journal, wait, DURATION, "100ms", 1, TIDE_SECONDS(10), NULL, NULL, RESTART,                                                              \
    "How long replicas may take to acknowledge; after three times the session is over and the primary is looked for again")                  \
  X(journal, timeout, DURATION, "1s", 2, TIDE_SECONDS(60), NULL, NULL, RESTART, "How long a Redis node may take to answer; above journal.wait") \
  X(journal, max_clock_skew, DURATION, "500ms", 1, TIDE_SECONDS(60), NULL, NULL, RESTART,                                                    \
    "Difference between this machine's clock and that of Redis beyond which nothing is committed")                                           \
  X(journal, memory_share, INT, "60", 1, 95, "percent", NULL, RESTART,                                                                       \
    "Share of Redis' maxmemory above which new transactions get the fallback, cause journal_full")                                           \
  X(journal, segment, SIZE, "256MiB", TIDE_KIB(16), TIDE_GIB(4), NULL, NULL, RESTART, "Size at which a new segment file is begun")            \
  X(journal, trim, BOOL, "true", 0, 0, NULL, NULL, RESTART,                                                                                  \
    "Remove from Redis what the older snapshot and this engine's mirror (journal.dir/mirror) hold; false: another engine does it, or nobody")  \
  X(journal, keep, DURATION, "10m", 0, TIDE_DAYS(7), NULL, NULL, RESTART,                                                                    \
    "What was folded within this stays in Redis in any case; above snapshot.every, so that an engine that was away for less can start again") \
  X(journal, archive_keep, DURATION, "400d", 0, TIDE_DAYS(3650), NULL, NULL, RESTART,                                                        \
    "Archived segments of the mirror (journal.dir/mirror/archive) older than this are removed; above the longest window. 0s: never")         \
  X(registry, url, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                  \
    "Where versions and rollouts are kept: etcd://HOST:PORT,.../PREFIX, etcds://... with TLS, or dir:DIRECTORY; empty: none, and what is in force stays") \
  X(registry, user, NAME, "", 0, 64, NULL, NULL, RESTART, "User of etcd; empty: none is shown")                                             \
  X(registry, password_file, PATH, "", 0, 1024, NULL, NULL, RESTART, "File with its password, one line")                                    \
  X(registry, ca, PATH, "", 0, 1024, NULL, NULL, RESTART, "Authorities, PEM, of etcd's certificate, with etcds://; empty: those of the system") \
  X(registry, cert, PATH, "", 0, 1024, NULL, NULL, RESTART, "Client certificate, PEM, that is shown to etcd; empty: none")                  \
  X(registry, key, PATH, "", 0, 1024, NULL, NULL, RESTART, "Its key, PEM, not encrypted")                                                   \
  X(registry, timeout, DURATION, "3s", TIDE_MS(50), TIDE_SECONDS(60), NULL, NULL, RESTART, "How long one endpoint of etcd may take to answer") \
  X(registry, lease, DURATION, "10s", TIDE_SECONDS(1), TIDE_HOURS(1), NULL, NULL, RESTART,                                                   \
    "How long an engine that was not heard of is still listed; it tells of itself three times as often")                                     \
  X(snapshot, dir, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                   \
    "Directory of the snapshots from which a restart begins; empty: snapshots in the journal's directory")                                  \
  X(snapshot, every, DURATION, "5m", 0, TIDE_DAYS(7), NULL, NULL, RELOAD, "Time between snapshots; 0s: only when the engine stops")         \
  X(snapshot, peers, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                 \
    "HOST:PORT,... of the admin listeners of the cell's engines. An engine without a snapshot takes the newest from them, and gives its own: keep that listener from all others") \
  X(snapshot, peer_ca, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                               \
    "Authorities, PEM, of the peers' admin certificates: peers are asked by HTTPS; empty: by plain HTTP")                                    \
  X(snapshot, peer_cert, PATH, "", 0, 1024, NULL, NULL, RESTART, "Client certificate, PEM, that is shown to peers; empty: none")             \
  X(snapshot, peer_key, PATH, "", 0, 1024, NULL, NULL, RESTART, "Its key, PEM, not encrypted")                                                                   \
  X(snapshot, peer_token_file, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                       \
    "File with the token of scope snapshot that peers ask for; empty: none. Only with snapshot.peer_ca, or it would travel in clear")        \
  X(snapshot, shared_dir, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                            \
    "Directory with snapshots of another engine (a mount); an engine without one begins with the newest there")                             \
  X(commit, max_batch, INT, "512", 1, 32767, "records", NULL, RESTART, "Records in one entry of the journal")                               \
  X(queue, http, INT, "4096", 1, 1000000, "requests", NULL, RESTART,                                                                         \
    "HTTP requests that may wait for the core; beyond it they get the fallback decision with status 503")                                    \
  X(ingest, merge_wait, DURATION, "500ms", 0, TIDE_SECONDS(60), NULL, NULL, RESTART,                                                         \
    "How long a message may wait for the other partitions to reach its time, once they have caught up; while one catches up it waits as long as that takes") \
  X(ingest, order, CHOICE, "time", 0, 0, NULL, TIDE_INGEST_ORDERS(TIDE_OPTION_WORD), RESTART,                                                \
    "Order in which messages of different partitions are counted: by event time, the same in every run; or as they come, exact only for what the partition key contains") \
  X(ingest, barrier, CHOICE, "log_end", 0, 0, NULL, TIDE_INGEST_BARRIERS(TIDE_OPTION_WORD), RESTART,                                        \
    "How far a new epoch of the journal must read the topics before it is open: to the ends that the brokers tell, or to marks that the " \
    "engine writes to every partition, which no deposed leader can fake; for that its user must be allowed to write to the topics of the sources") \
  X(ingest, claim_timeout, DURATION, "3s", TIDE_MS(500), TIDE_SECONDS(60), NULL, NULL, RESTART,                                              \
    "Another engine reads the sources when the one that does has written nothing for so long; above engine.heartbeat")                       \
  X(ingest, max_held, INT, "200000", 1000, 10000000, "messages", NULL, RESTART,                                                              \
    "Messages of all partitions in memory; beyond it reading waits")                                                                         \
  X(scores, topic, TOPIC, "", 0, 249, NULL, NULL, RESTART, "Topic that decisions are sent to, keyed by the transaction; empty: none")      \
  X(scores, file, PATH, "", 0, 1024, NULL, NULL, RESTART, "File that decisions are appended to as JSON lines, instead of a topic; empty: none") \
  X(scores, features, CHOICE, "none", 0, 0, NULL, TIDE_SCORE_FEATURES(TIDE_OPTION_WORD), RESTART,                                            \
    "Whether a decision that leaves carries the values of all features")                                                                     \
  X(dead_letters, topic, TOPIC, "", 0, 249, NULL, NULL, RESTART, "Topic that messages which cannot be used are sent to, with the reason; empty: none") \
  X(dead_letters, file, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                              \
    "File that they are appended to as JSON lines, instead of a topic; empty: none. Sources need one of the two")                            \
  X(dead_letters, form, CHOICE, "masked", 0, 0, NULL, TIDE_DEAD_FORMS(TIDE_OPTION_WORD), RESTART,                                            \
    "What of such a message is kept: all but its secret fields; all, card numbers too; or only where it stood and the reason")               \
  X(http, listen, ADDRESS, "127.0.0.1", 0, 0, NULL, NULL, RESTART, "Address of the scoring listener")                                        \
  X(http, port, INT, "8080", 0, 65535, NULL, NULL, RESTART, "Port of the scoring listener; 0: any free one, told in the log")                \
  X(http, admin_listen, ADDRESS, "127.0.0.1", 0, 0, NULL, NULL, RESTART,                                                                     \
    "Address of the listener for metrics and health; keep it from clients")                                                                  \
  X(http, admin_port, INT, "9090", 0, 65535, NULL, NULL, RESTART, "Port of the listener for metrics and health; 0: any free one")            \
  X(http, threads, INT, "1", 1, 64, "threads", NULL, RESTART, "Threads that read requests and write answers")                                \
  X(http, max_connections, INT, "10000", 1, 100000, "connections", NULL, RESTART, "Open connections; further ones are closed at once")       \
  X(http, max_connections_per_address, INT, "0", 0, 100000, "connections", NULL, RESTART,                                                    \
    "Open connections from one address; 0: no limit of its own")                                                                             \
  X(http, tls_cert, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                                  \
    "Certificate of the scoring listener, PEM, with what leads to its authority; empty: plain HTTP. The file is read again on SIGHUP, as all of these are") \
  X(http, tls_key, PATH, "", 0, 1024, NULL, NULL, RESTART, "Its key, PEM, not encrypted")                                                    \
  X(http, tls_client_ca, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                             \
    "Authorities, PEM, under which the certificate that every client then must show is issued; empty: clients need none")                    \
  X(http, admin_tls_cert, PATH, "", 0, 1024, NULL, NULL, RESTART, "Certificate of the admin listener, PEM; empty: plain HTTP")               \
  X(http, admin_tls_key, PATH, "", 0, 1024, NULL, NULL, RESTART, "Its key, PEM, not encrypted")                                                                  \
  X(http, admin_tls_client_ca, PATH, "", 0, 1024, NULL, NULL, RESTART, "Authorities of the clients of the admin listener; /livez and /readyz need no certificate") \
  X(http, tokens_file, PATH, "", 0, 1024, NULL, NULL, RESTART,                                                                               \
    "File with a line NAME SCOPES SHA-256 for each token (tidemark tokens generate); empty: none is needed, but operators must come by a loopback address") \
  X(http, rate, INT, "0", 0, 1000000, "requests", NULL, RELOAD,                                                                              \
    "Requests a second of one client, by its token or else its address; a batch counts its messages. Beyond it 429 with the fallback decision; 0: no limit") \
  X(http, burst, INT, "0", 0, 1000000, "requests", NULL, RELOAD, "Requests of one client at once after a rest; 0: as many as http.rate")     \
  X(http, max_body, SIZE, "64KiB", 256, TIDE_MIB(16), NULL, NULL, RESTART, "Body of one message")                                            \
  X(http, max_batch_body, SIZE, "1MiB", 256, TIDE_MIB(64), NULL, NULL, RESTART, "Body of a batch")                                           \
  X(http, max_batch, INT, "100", 1, 10000, "messages", NULL, RESTART, "Messages in a batch")                                                 \
  X(http, max_header, SIZE, "8KiB", TIDE_KIB(1), TIDE_KIB(64), NULL, NULL, RESTART, "All header lines of a request together")                \
  X(http, idle_timeout, DURATION, "1m", TIDE_SECONDS(1), TIDE_HOURS(1), NULL, NULL, RESTART,                                                 \
    "A connection on which nothing happens is closed after this")                                                                            \
  X(http, request_timeout, DURATION, "10s", TIDE_MS(100), TIDE_SECONDS(600), NULL, NULL, RESTART,                                            \
    "A request must be there as a whole within this, however it trickles in")                                                                \
  X(http, write_timeout, DURATION, "30s", TIDE_MS(100), TIDE_SECONDS(600), NULL, NULL, RESTART, "An answer must be taken within this")       \
  X(http, default_deadline, DURATION, "100ms", TIDE_MS(1), TIDE_SECONDS(60), NULL, NULL, RESTART,                                            \
    "Time to answer a request without Tidemark-Timeout-Ms; after it the fallback decides")                                                   \
  X(http, batch_deadline, DURATION, "1s", TIDE_MS(1), TIDE_SECONDS(60), NULL, NULL, RESTART, "The same for a batch")                         \
  X(http, max_deadline, DURATION, "10s", TIDE_MS(1), TIDE_SECONDS(600), NULL, NULL, RESTART,                                                 \
    "Longest time to answer that a request may ask for")                                                                                     \
  X(http, max_future_skew, DURATION, "30s", 0, TIDE_DAYS(1), NULL, NULL, RESTART, "A request whose own time is further ahead is refused")    \
  X(http, log, CHOICE, "none", 0, 0, NULL, TIDE_HTTP_LOGS(TIDE_OPTION_WORD), RESTART,                                                        \
    "Copy transactions that come by HTTP to the topic of http.log_source before they are answered, so that no failover of the journal can lose one") \
  X(http, log_source, NAME, "", 0, 48, NULL, NULL, RESTART, "Name of the source to whose topic the copies go; with http.log kafka")          \
  X(http, drain, DURATION, "5s", 0, TIDE_SECONDS(600), NULL, NULL, RESTART, "How long a stop waits for requests under way")                  \
  X(fold, lateness, DURATION, "7d", 0, TIDE_DAYS(400), NULL, NULL, RESTART, "An event older than the watermark by more is counted nowhere") \
  X(fold, duplicates_for, DURATION, "7d", 0, TIDE_DAYS(400), NULL, NULL, RESTART, "How long an identity and its decision are remembered")   \
  X(fold, grace, DURATION, "1h", 0, TIDE_DAYS(30), NULL, NULL, RESTART, "Retention beyond the longest window")                              \
  X(fold, out_of_orderness, DURATION, "2s", 0, TIDE_HOURS(1), NULL, NULL, RESTART, "How far events of one source arrive out of order, unless the source says; freshness only") \
  X(fold, max_future_skew, DURATION, "1m", 0, TIDE_DAYS(1), NULL, NULL, RESTART, "A message further ahead of the commit time is rejected") \
  X(fold, lead, DURATION, "0s", 0, TIDE_SECONDS(10), NULL, NULL, RESTART, "Windows of requests with their own time end this much later")    \
  X(fold, history_from, TIME, "first", 0, 0, NULL, NULL, RESTART, "Event time from which the history is complete")                          \
  X(fold, max_entities, INT, "20000000", 1, 60000000, "entities", NULL, RESTART, "Entities per kind, unless the feature file says `max`")   \
  X(drift, window, DURATION, "1h", TIDE_SECONDS(60), TIDE_DAYS(1), NULL, NULL, RESTART,                                                     \
    "Event time over which what the model reads and scores is compared with its training")                                                   \
  X(drift, long_window, DURATION, "1d", TIDE_HOURS(1), TIDE_DAYS(60), NULL, NULL, RESTART,                                               \
    "A second, longer window beside it; at most 64 times drift.window")                                                                      \
  X(drift, max_rows, INT, "5000", 100, 1000000, "decisions", NULL, RESTART,                                                                  \
    "Decisions whose inputs are looked at in a twelfth of drift.window, about; of more every second one, every fourth and so on")            \
  X(feedback, max_rows, INT, "262144", 1024, 16777216, "decisions", NULL, RESTART,                                                           \
    "Decisions kept until their labels come, about 90 bytes each; of more every second one is kept, every fourth and so on")                       \
  X(feedback, keep, DURATION, "120d", TIDE_HOURS(1), TIDE_DAYS(1000), NULL, NULL, RESTART, "How long a decision waits for its label, or for a correction of it") \
  X(feedback, genuine_after, DURATION, "30d", 0, TIDE_DAYS(1000), NULL, NULL, RESTART,                                                       \
    "A decision without a label counts as genuine from this age on: the delay with which frauds become known")                               \
  X(log, level, CHOICE, "info", 0, 0, NULL, TIDE_LOG_LEVEL_WORDS(TIDE_OPTION_WORD), RELOAD, "Least level of log lines on stderr")           \
  X(log, format, CHOICE, "logfmt", 0, 0, NULL, TIDE_LOG_FORMAT_WORDS(TIDE_OPTION_WORD), RELOAD, "Form of log lines")                        \
  X(log, limit, INT, "10", 0, 100000, "lines", NULL, RELOAD, "Lines per event and second; the rest is counted and told as suppressed=; 0: no limit")

/* The index of a row: TIDE_OPTION_ROW_http_port. */
enum tide_option_row {
#define X(section, name, ...) TIDE_OPTION_ROW_##section##_##name,
  TIDE_OPTIONS(X)
#undef X
      TIDE_OPTION_COUNT
};

struct tide_option {
  const char *section; /* "http" */
  const char *name;    /* "http.port" */
  const char *dflt;    /* as an operator would write it; key of a source (source.h): NULL: it must be given; or the option whose value it takes */
  int64_t lo, hi;
  const char *unit;    /* INT: what is counted; NULL */
  const char *words;   /* CHOICE: "file|memory" */
  const char *help;
  uint8_t type;        /* enum tide_option_type */
  bool reloadable;
};
extern const struct tide_option tide_options[TIDE_OPTION_COUNT];

/* Where a value came from. */
enum tide_config_from { TIDE_FROM_DEFAULT, TIDE_FROM_FILE, TIDE_FROM_ENVIRONMENT, TIDE_FROM_SET };
struct tide_config_origin {
  uint8_t from;     /* enum tide_config_from */
  int line, column; /* of the value; FROM_FILE */
};

struct tide_option_value {
  int64_t number;        /* BOOL 0 or 1, INT, SIZE in bytes, DURATION, TIME and START in ms, CHOICE index of the word */
  struct tide_span text; /* NAME, PATH, ADDRESS, TOPIC; borrowed */
};

/* The value in a member of a struct, by its type (TIDE_MEMBER_*): NULL texts come out empty. Texts are borrowed from the struct. */
struct tide_option_value tide_option_load(enum tide_option_type type, const void *member);
/* Puts it there; texts are copied into the arena. */
struct tide_arena;
void tide_option_store(enum tide_option_type type, void *member, struct tide_option_value value, struct tide_arena *arena);

/* Reads a value as people write it and checks it against its row. Errors: SYNTAX, RANGE, with the row in error->field and what to write
 * instead; values of paths and texts are not quoted, because people put secrets into wrong places. */
enum tide_err tide_option_parse(const struct tide_option *option, struct tide_span text, struct tide_option_value *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Appends the value with its unit, in the one form that reads back to the same: 64KiB, 100ms, first. Texts as they are. */
void tide_option_format(const struct tide_option *option, struct tide_option_value value, struct tide_buf *out);
/* Appends what the row admits: "1 to 64 threads", "1KiB to 1MiB", "file, memory", "0 to 1024 bytes"; nothing where the type says it all. */
void tide_option_bounds(const struct tide_option *option, struct tide_buf *out);
/* The row of "http.port"; -1 when there is none. */
int tide_option_find(struct tide_span name);
/* "http.port" -> "TIDEMARK_HTTP_PORT". */
#define TIDE_OPTION_ENV_BYTES 64
const char *tide_option_env_name(const struct tide_option *option, char out[TIDE_OPTION_ENV_BYTES]);
/* Values of the type are texts, in value.text. */
bool tide_option_is_text(enum tide_option_type type);
const char *tide_option_type_name(enum tide_option_type type);
const char *tide_option_type_form(enum tide_option_type type);
/* Appends the Markdown table of all rows, for the reference page. */
void tide_options_document(struct tide_buf *out);

#endif
