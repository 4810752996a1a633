/* Sources for a part of the cases: which partition each event comes from, what is told of the partitions, waivers, budgets of the groups.
 *
 * It has random numbers of its own and comes last, so that a seed without sources is the case it always was. Facts lie on the same short ladder of durations before the
 * commit time as everything else, so that staleness meets budgets to the millisecond. A card's partition is forgotten with the card, and when that is only the
 * engine knows; so sources are keyed in calm streams alone, where nothing is forgotten. */
#include <string.h>

#include "tests/oracle/random.h"

const char *const or_source_name[OR_SOURCES_MAX] = {"", "auths", "labels", "ghost"};

static const int64_t spans[] = {0, 0, 0, 1, 300, 999, 1000, 2000, 2001, 5000, 10000, 60000, 3600000};

static int64_t some_fact(struct or_rng *rng, int64_t commit_ms) {
  if (or_percent(rng, 12)) return INT64_MIN;
  if (or_percent(rng, 3)) return commit_ms + 1000;
  return commit_ms - OR_PICK(rng, spans);
}

static void make_groups(struct or_case *c, struct or_rng *rng) {
  static const int64_t budgets[] = {1000, 2000, 5000, 10000, 10000, 60000, 3600000};
  c->budget_ms = or_percent(rng, 70) ? OR_PICK(rng, budgets) : 0;
  c->stale = or_percent(rng, 60) ? or_below(rng, 4) : -1;
  c->stale_default = or_below(rng, 4);
  if (or_percent(rng, 15)) c->waits = 1u << (1 + or_below(rng, 2));
  for (int e = 0; e < c->entity_count; e++) {
    if (!or_percent(rng, 60)) continue;
    struct or_entity *entity = &c->entity[e];
    entity->budget_ms = or_percent(rng, 70) ? OR_PICK(rng, budgets) : 0;
    entity->stale = or_percent(rng, 70) ? or_below(rng, 4) : -1;
    entity->stale_default = or_below(rng, 10) - 0.5;
    if (or_percent(rng, 25)) entity->waits = or_percent(rng, 6) ? 1u << 3 : (unsigned)(1 + or_below(rng, 3)) << 1;
  }
}

struct growing {
  struct or_record *to;
  int count;
  const struct or_record *first;
};

static struct or_record *add(struct growing *g, enum or_record_type type) {
  struct or_record *r = &g->to[g->count++];
  *r = (struct or_record){.type = type, .time_ms = g->first->time_ms};
  return r;
}

static void add_facts(struct or_rng *rng, struct growing *g, const int *parts, int64_t commit_ms, bool lively) {
  for (int s = 1; s <= 2; s++)
    for (int p = 0; p < parts[s]; p++) {
      if (!or_percent(rng, lively ? 85 : 35)) continue;
      struct or_record *r = add(g, OR_FACTS);
      static const int64_t delays[] = {0, 0, 0, 0, 100, 999, 2000, 2001, 5000, 60000, 3600000};
      r->source = s;
      r->partition = p;
      r->messages = or_percent(rng, 60);
      r->seen_ms = some_fact(rng, commit_ms);
      r->drained_ms = lively && or_percent(rng, 80) ? commit_ms : some_fact(rng, commit_ms);
      r->delay_ms = OR_PICK(rng, delays);
    }
}

static void add_controls(struct or_rng *rng, struct growing *g, int *parts, int64_t commit_ms, bool first) {
  if (first || or_percent(rng, 3)) {
    struct or_record *r = add(g, OR_DECLARE);
    r->declared = first || or_percent(rng, 60) ? 6 : (unsigned)or_below(rng, 4) << 1;
  }
  for (int s = 1; s <= 2; s++)
    while (first ? parts[s] < 1 + or_below(rng, 3) : parts[s] < OR_PARTS_MAX && or_percent(rng, 1)) {
      struct or_record *r = add(g, OR_START);
      r->source = s;
      r->partition = parts[s]++;
    }
  if (or_percent(rng, 4)) {
    static const int64_t lives[] = {0, 1, 1000, 10000, 60000, 3600000};
    struct or_record *r = add(g, OR_WAIVE);
    r->source = 1 + or_below(rng, 2);
    r->partition = or_below(rng, OR_PARTS_MAX) - 1;
    r->until_ms = commit_ms + OR_PICK(rng, lives);
  }
}

void or_make_sources(struct or_case *c) {
  static struct or_record out[OR_RECORDS_MAX];
  struct or_rng rng = {c->seed * UINT64_C(0x2545f4914f6cdd1d) + 7};
  if (c->replay || c->hot || c->json || !or_percent(&rng, 40)) return;
  c->sourced = true;
  make_groups(c, &rng);
  for (int s = 1; s <= 2; s++) {
    static const int64_t disorders[] = {0, 1000, 2000, 2000, 5000}, silences[] = {0, 1000, 5000, 30000, 30000, 3600000};
    c->source[s] = (struct or_source){.gates = or_percent(&rng, s == 1 ? 90 : 50),
                                      .keyed = c->calm && or_percent(&rng, 70),
                                      .disorder_ms = OR_PICK(&rng, disorders),
                                      .silence_ms = OR_PICK(&rng, silences)};
  }
  int parts[3] = {0}, from_source = or_below(&rng, 100), late_start = or_percent(&rng, 20) ? or_below(&rng, c->record_count) : 0;
  bool declared = false, lively = or_percent(&rng, 60);
  struct growing g = {.to = out};
  int64_t commit_ms = INT64_MIN;
  for (int i = 0; i < c->record_count; i++) {
    struct or_record r = c->record[i];
    if (r.new_entry) {
      int begin = g.count;
      if (r.commit_ms > commit_ms) commit_ms = r.commit_ms;
      g.first = &r;
      if (g.count + c->record_count - i > OR_RECORDS_MAX - 30) lively = false;
      if (g.count + c->record_count - i <= OR_RECORDS_MAX - 30) {
        if (i >= late_start) add_controls(&rng, &g, parts, commit_ms, !declared);
        declared |= i >= late_start;
        add_facts(&rng, &g, parts, commit_ms, lively);
      }
      r.new_entry = g.count == begin;
      out[begin].new_entry = true;
      out[begin].commit_ms = r.commit_ms;
      if (c->reload_at == i) c->reload_at = begin;
    }
    if ((r.type == OR_EVENT || r.type == OR_HEARTBEAT) && parts[1] && parts[2] && or_below(&rng, 100) < from_source) {
      r.source = 1 + or_percent(&rng, 25);
      r.partition = or_below(&rng, parts[r.source]);
      r.stamped = false;
    }
    int64_t entry_commit_ms = out[g.count].commit_ms;
    bool first_of_entry = r.new_entry;
    out[g.count] = r;
    if (first_of_entry) out[g.count].commit_ms = entry_commit_ms;
    g.count++;
  }
  memcpy(c->record, out, sizeof *out * (size_t)g.count);
  c->record_count = g.count;
}
