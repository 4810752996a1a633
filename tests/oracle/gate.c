/* Freshness of the oracle: who gates, up to when each partition is complete, and what that makes of a value (contract 6; rulings 11, 49-56).
 *
 * Everything is asked for from scratch at each event. */
#include <string.h>

#include "feature/expr.h"
#include "tests/oracle/recount.h"

#define NEVER INT64_MIN
#define FOREVER INT64_MAX

void or_world_begin(struct or_world *w, const struct or_case *c) {
  memset(w, 0, sizeof *w);
  w->c = c;
  for (int s = 0; s < OR_SOURCES_MAX; s++) {
    w->source[s].alive_ms = NEVER;
    for (int p = 0; p < OR_PARTS_MAX; p++)
      w->part[s][p].newest_ms = w->part[s][p].seen_ms = w->part[s][p].drained_ms = w->part[s][p].settled_drained_ms =
          w->part[s][p].waived_until_ms = NEVER;
  }
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

void or_world_pass(struct or_world *w, int source, int partition, int64_t passed_ms) {
  w->part[source][partition].known = true;
  w->part[source][partition].newest_ms = later(w->part[source][partition].newest_ms, passed_ms);
}

void or_world_take(struct or_world *w, const struct or_record *r, int64_t commit_ms) {
  switch (r->type) {
    case OR_FACTS: /* 49: nothing is known of the future */
      w->part[r->source][r->partition].known = true;
      w->part[r->source][r->partition].seen_ms = later(w->part[r->source][r->partition].seen_ms, earlier(r->seen_ms, commit_ms));
      w->part[r->source][r->partition].drained_ms = later(w->part[r->source][r->partition].drained_ms, earlier(r->drained_ms, commit_ms));
      w->part[r->source][r->partition].delay_ms = r->delay_ms;
      w->part[r->source][r->partition].fed |= r->messages;
      if (r->messages && w->source[r->source].alive_ms != NEVER)
        w->source[r->source].alive_ms = later(w->source[r->source].alive_ms, commit_ms);
      break;
    case OR_DECLARE:
      for (int s = 1; s < OR_SOURCES_MAX; s++) {
        w->source[s].declared = (r->declared >> s) & 1;
        if (w->source[s].declared && w->source[s].alive_ms == NEVER) w->source[s].alive_ms = commit_ms; /* 51 */
      }
      break;
    case OR_START: /* from the beginning of the log */
      w->part[r->source][r->partition].known = true;
      if (!w->part[r->source][r->partition].started) w->part[r->source][r->partition].fed = false;
      w->part[r->source][r->partition].started = true;
      break;
    case OR_WAIVE:
      for (int p = 0; p < OR_PARTS_MAX; p++)
        if (w->part[r->source][p].known && (r->partition < 0 || r->partition == p))
          w->part[r->source][p].waived_until_ms = r->until_ms > commit_ms ? r->until_ms : NEVER;
      break;
    case OR_HEARTBEAT:
      if (w->source[r->source].alive_ms != NEVER) w->source[r->source].alive_ms = later(w->source[r->source].alive_ms, commit_ms);
      break;
    default: break;
  }
}

void or_world_settle(struct or_world *w) { /* 56: behind the records of the entry that told it */
  for (int s = 0; s < OR_SOURCES_MAX; s++)
    for (int p = 0; p < OR_PARTS_MAX; p++) {
      w->part[s][p].settled_drained_ms = w->part[s][p].drained_ms;
      w->part[s][p].settled_delay_ms = w->part[s][p].delay_ms;
    }
}

/* ---- homes (53) ---- */

static int partitions_of(const struct or_world *w, int source) {
  int n = 0;
  for (int p = 0; p < OR_PARTS_MAX; p++) n += w->part[source][p].known;
  return n;
}

static bool tells_home(const struct or_world *w, int source) { return source && w->source[source].declared && w->c->source[source].keyed; }

void or_world_home(struct or_world *w, const struct or_record *r, const char *card) {
  int i = 0;
  if (!tells_home(w, r->source)) return;
  while (i < w->homes && strcmp(w->home[i].card, card) != 0) i++;
  if (i == w->homes) w->homes++;
  w->home[i] = (struct or_home){.source = r->source, .partition = r->partition, .partitions = partitions_of(w, r->source)};
  memcpy(w->home[i].card, card, strlen(card) + 1);
}

void or_world_rename(struct or_world *w, const char *from, const char *to) {
  for (int i = 0; i < w->homes; i++)
    if (strcmp(w->home[i].card, from) == 0) memcpy(w->home[i].card, to, strlen(to) + 1);
}

static int home_in(const struct or_world *w, int source, const struct or_record *r, const char *card) {
  if (r->source == source && tells_home(w, source)) return r->partition;
  if (tells_home(w, r->source)) return -1; /* it tells of its own source */
  for (int i = 0; i < w->homes && card; i++)
    if (strcmp(w->home[i].card, card) == 0 && w->home[i].source == source && tells_home(w, source) &&
        w->home[i].partitions == partitions_of(w, source))
      return w->home[i].partition;
  return -1;
}

/* ---- completeness ---- */

static bool gates(const struct or_world *w, int source) { return w->source[source].declared && w->c->source[source].gates; }

bool or_world_gates(const struct or_world *w) {
  bool any = false;
  for (int s = 1; s < OR_SOURCES_MAX; s++) any = any || gates(w, s);
  return any;
}
static bool any_declared(const struct or_world *w) {
  bool any = false;
  for (int s = 1; s < OR_SOURCES_MAX; s++) any = any || w->source[s].declared;
  return any;
}

/* 51: of a silent source only up to its last sign of life. */
static int64_t drained(const struct or_world *w, int s, int64_t drained_ms, int64_t commit_ms) {
  bool silent = w->c->source[s].silence_ms && commit_ms - w->source[s].alive_ms > w->c->source[s].silence_ms;
  return silent ? earlier(drained_ms, w->source[s].alive_ms) : drained_ms;
}

static int64_t complete(const struct or_world *w, int s, int p, int64_t commit_ms) { /* 50 */
  int64_t seen = w->part[s][p].seen_ms, drained_ms = w->part[s][p].drained_ms, disorder = w->c->source[s].disorder_ms;
  if (seen == NEVER && drained_ms == NEVER) return NEVER;
  bool is_drained = drained_ms != NEVER && (seen == NEVER || seen <= drained_ms + later(disorder, 2000));
  return is_drained ? drained(w, s, drained_ms, commit_ms) - later(disorder, w->part[s][p].delay_ms) : seen - disorder;
}

int64_t or_world_watermark(const struct or_world *w, int64_t commit_ms) { /* 11, 56 */
  bool waits = or_world_gates(w), declared = any_declared(w);
  int64_t result = declared && !waits ? NEVER : FOREVER;
  for (int s = 0; s < OR_SOURCES_MAX; s++) {
    if (waits && !gates(w, s)) continue;
    if (waits && !partitions_of(w, s)) return NEVER;
    for (int p = 0; p < OR_PARTS_MAX; p++) {
      int64_t newest = w->part[s][p].newest_ms;
      if (!w->part[s][p].known) continue;
      if (waits) {
        int64_t delay = later(w->part[s][p].settled_delay_ms, w->part[s][p].delay_ms),
                queue = delay > w->c->source[s].disorder_ms ? delay : 0;
        int64_t end = drained(w, s, w->part[s][p].settled_drained_ms, commit_ms);
        result = earlier(result, later(newest, end == NEVER ? NEVER : end - queue));
      } else if (declared) result = later(result, newest);
      else if (newest != NEVER) result = earlier(result, newest);
    }
  }
  return result == FOREVER ? NEVER : result;
}

/* ---- groups ---- */

static int64_t budget_of(const struct or_case *c, int n) {
  return c->entity[n].budget_ms ? c->entity[n].budget_ms : c->budget_ms ? c->budget_ms : 15000;
}

struct or_standing or_world_stand(const struct or_world *w, int n, const struct or_record *r, const char *card, int64_t time_ms,
                                  int64_t commit_ms) {
  const struct or_case *c = w->c;
  struct or_standing standing = {.state = TIDE_S_fresh};
  unsigned waits = c->entity[n].waits ? c->entity[n].waits : c->waits;
  bool of_card = n == 0 || (c->entity[n].key == OK_TUPLE && c->entity[n].part_entity), waived = false;
  int64_t least = FOREVER;
  if (!or_world_gates(w)) {
    for (int s = 1; s < OR_SOURCES_MAX && !any_declared(w); s++) /* fed by something that nobody declared */
      for (int p = 0; p < OR_PARTS_MAX; p++)
        if (w->part[s][p].fed) standing.age_ms = FOREVER;
    return standing;
  }
  for (int s = 1; s < OR_SOURCES_MAX; s++) {
    if (waits && !((waits >> s) & 1)) continue;
    if (waits && !w->source[s].declared) least = NEVER; /* 52 */
    if (!gates(w, s)) continue;
    if (!partitions_of(w, s)) least = NEVER;
    int home = of_card ? home_in(w, s, r, card) : -1;
    for (int p = 0; p < OR_PARTS_MAX; p++) {
      if (!w->part[s][p].known || (home >= 0 && p != home)) continue;
      if (w->part[s][p].waived_until_ms > commit_ms) waived = true; /* 54 */
      else least = earlier(least, complete(w, s, p, commit_ms));
    }
  }
  standing.age_ms = least == NEVER ? FOREVER : least == FOREVER ? 0 : later(0, time_ms - least);
  standing.state = standing.age_ms > budget_of(c, n) ? TIDE_S_stale : waived ? TIDE_S_waived : TIDE_S_fresh;
  return standing;
}

struct or_value or_stale_value(const struct or_case *c, int n, struct or_standing standing, bool is_text, struct or_value v) { /* 55 */
  int policy = c->entity[n].stale >= 0 ? c->entity[n].stale : c->stale >= 0 ? c->stale : 0;
  double instead = c->entity[n].stale >= 0 ? c->entity[n].stale_default : c->stale_default;
  if (standing.state == TIDE_S_waived && (v.state == TIDE_S_fresh || v.state == TIDE_S_empty)) v.state = TIDE_S_waived;
  if (standing.state != TIDE_S_stale || v.unknown || v.state == TIDE_S_defaulted) return v;
  if (policy == 1) {
    if (v.state == TIDE_S_saturated) return v;
    v.state = TIDE_S_stale;
    if (v.type != OV_NULL) v.cause = TIDE_C_stale;
    return v;
  }
  if (policy == 2 && !is_text) {
    v = or_num(instead);
    v.state = TIDE_S_defaulted;
    v.cause = TIDE_C_stale;
    return v;
  }
  v.state = TIDE_S_stale;
  v.cause = TIDE_C_stale;
  v.unknown = true;
  return v;
}
