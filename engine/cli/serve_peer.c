/* Asking all, then taking the newest (serve_peer.h).
 *
 * First only the manifests are read: each must name an entry that this engine's own session to the journal holds. Then the newest is fetched, the next one
 * if that fails. So a peer of another cell, or one whose history was taken back, cannot hand anything over. */
#include "cli/serve_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/snapshot_peer.h"
#include "base/log.h"
#include "cli/snapshot.h"
#include "http/token.h"

#define TIMEOUT_MS 3000
enum { OFFERS_MAX = 32 };

struct offer {
  char address[256]; /* "": of the shared directory */
  struct tide_position position;
};

struct question {
  struct tide_journal *journal;
  struct tide_position position; /* of the manifest that was seen */
  bool look;                     /* the manifest only */
};

static enum tide_err on_manifest(void *ctx, const struct tide_snapshot_manifest *manifest, struct tide_error *error) {
  struct question *question = ctx;
  question->position = manifest->position;
  enum tide_err err = tide_snapshot_fits(manifest, question->journal, error);
  return err == TIDE_OK && question->look ? TIDE_E_END : err;
}

static void pass_over(const char *from, const struct tide_error *error) {
  tide_log(TIDE_LOG_WARN, "peer_snapshot_passed_over", "from=%s why=%s", from, error->text);
}

static void look_at_peer(const char *address, const struct tide_admin_access *access, const char *dir, struct tide_journal *journal,
                         struct offer *offer, size_t *count) {
  struct question question = {.journal = journal, .look = true};
  struct tide_error error = {0};
  if (tide_snapshot_fetch(address, access, TIMEOUT_MS, dir, on_manifest, &question, &error) != TIDE_E_END) {
    pass_over(address, &error);
    return;
  }
  snprintf(offer[*count].address, sizeof offer[*count].address, "%s", address);
  offer[(*count)++].position = question.position;
}

static enum tide_err look_at_peers(const char *peers, const struct tide_admin_access *access, const char *dir, struct tide_journal *journal,
                                   struct offer *offer, size_t *count, struct tide_error *error) {
  char address[256];
  while (*peers) {
    size_t len = strcspn(peers, ",");
    if (len == 0 || len >= sizeof address || !memchr(peers, ':', len) || memchr(peers, '/', len) || memchr(peers, '@', len))
      return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "snapshot.peers", "snapshot.peers must be HOST:PORT,HOST:PORT... and is \"%.200s\"",
                          peers);
    memcpy(address, peers, len);
    address[len] = 0;
    if (*count < OFFERS_MAX) look_at_peer(address, access, dir, journal, offer, count);
    peers += len;
    if (*peers) peers++;
  }
  return TIDE_OK;
}

static enum tide_err look_at_shared(const char *shared, struct tide_journal *journal, struct offer *offer, size_t *count,
                                    struct tide_error *error) {
  struct tide_position *position = NULL;
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  size_t found = 0;
  enum tide_err err = tide_snapshot_list(shared, &position, &found, error);
  for (size_t i = 0; err == TIDE_OK && i < found && *count < OFFERS_MAX; i++) {
    struct tide_error why = {0};
    enum tide_err fits = tide_snapshot_manifest_read(shared, position[i], manifest, &why);
    if (fits == TIDE_OK) fits = tide_snapshot_fits(manifest, journal, &why);
    if (fits == TIDE_OK) offer[(*count)++] = (struct offer){"", position[i]};
    else pass_over(shared, &why);
  }
  tide_free(manifest);
  tide_free(position);
  return err;
}

static int newest_first(const void *a, const void *b) {
  struct offer x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return tide_position_cmp(y.position, x.position);
}

enum tide_err tide_serve_peer_check(const struct tide_config *config, struct tide_error *error) {
  if (!config->snapshot_peer_cert[0] != !config->snapshot_peer_key[0])
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "snapshot.peer_cert",
                        "snapshot.peer_cert and snapshot.peer_key go together: set both or none");
  if ((config->snapshot_peer_cert[0] || config->snapshot_peer_token_file[0]) && !config->snapshot_peer_ca[0])
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "snapshot.peer_ca",
                        "snapshot.peer_cert and snapshot.peer_token_file need snapshot.peer_ca: without it peers are asked by plain HTTP");
  return TIDE_OK;
}

enum tide_err tide_serve_fetch(const struct tide_config *config, struct tide_journal *journal, const char *dir, bool *ret_got,
                               struct tide_error *error) {
  struct offer *offer = tide_alloc(OFFERS_MAX * sizeof *offer);
  char token[TIDE_TOKEN_MOST + 1] = "";
  struct tide_admin_access access = {
      .ca = config->snapshot_peer_ca, .cert = config->snapshot_peer_cert, .key = config->snapshot_peer_key, .token = token};
  size_t count = 0;
  bool got = false;
  enum tide_err err = config->snapshot_peer_token_file[0] ? tide_token_load(config->snapshot_peer_token_file, token, error) : TIDE_OK;
  if (err == TIDE_OK) err = look_at_peers(config->snapshot_peers, &access, dir, journal, offer, &count, error);
  if (err == TIDE_OK && config->snapshot_shared_dir[0]) err = look_at_shared(config->snapshot_shared_dir, journal, offer, &count, error);
  if (count) qsort(offer, count, sizeof *offer, newest_first);
  for (size_t i = 0; err == TIDE_OK && i < count && !got; i++) {
    struct question question = {.journal = journal};
    struct tide_error why = {0};
    const char *from = offer[i].address[0] ? offer[i].address : config->snapshot_shared_dir;
    enum tide_err fetched = offer[i].address[0] ? tide_snapshot_fetch(from, &access, TIMEOUT_MS, dir, on_manifest, &question, &why)
                                                : tide_snapshot_copy(from, offer[i].position, dir, on_manifest, &question, &why);
    got = fetched == TIDE_OK;
    if (!got) pass_over(from, &why);
    else
      tide_log(TIDE_LOG_INFO, "peer_snapshot", "from=%s position=%llu-%llu", from, (unsigned long long)question.position.epoch,
               (unsigned long long)question.position.seq);
  }
  explicit_bzero(token, sizeof token);
  tide_free(offer);
  if (err == TIDE_OK) *ret_got = got;
  return err;
}
