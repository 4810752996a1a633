/* Facts of the oracle: everything that was ever told, in order, and about whom.
 *
 * Nothing is taken away. Of the times that a fact was told for, the two latest count (P2); what an event reads is the latest of these that is not ahead of it, and of
 * one time what was told last. `about` is one life of what is known about an entity: once forgotten (P5) it is gone, and what is told later begins another. */
#include <string.h>

#include "feature/expr.h"
#include "tests/oracle/random.h"
#include "tests/oracle/recount.h"

bool or_fact_is_read(const struct or_case *c, int fact) {
  for (int i = 0; i < c->feature_count; i++)
    if (!c->feature[i].dropped && c->feature[i].agg == OA_FACT && c->feature[i].of_ref == fact) return true;
  return false;
}

static bool forgotten(const struct or_facts *f, const struct or_about *about, int64_t watermark_ms) {
  const struct or_entity *entity = &f->c->entity[about->entity];
  if (about->last_ms == INT64_MIN || watermark_ms == INT64_MIN) return false;
  return about->last_ms <= watermark_ms - (entity->forget_ms ? entity->forget_ms : OR_DAY_MS * 400);
}

static int about_of(const struct or_facts *f, int entity, const char *key) {
  for (int i = 0; i < f->about_count; i++)
    if (!f->about[i].gone && f->about[i].entity == entity && strcmp(f->about[i].key, key) == 0) return i;
  return -1;
}

/* The same, and what is forgotten by now goes for good. */
static int alive(struct or_facts *f, int entity, const char *key, int64_t watermark_ms) {
  int i = about_of(f, entity, key);
  if (i < 0 || !forgotten(f, &f->about[i], watermark_ms)) return i;
  f->about[i].gone = true;
  return -1;
}

bool or_facts_known(const struct or_facts *f, int entity, const char *key, int64_t watermark_ms) {
  int i = about_of(f, entity, key);
  return i >= 0 && !forgotten(f, &f->about[i], watermark_ms);
}

void or_facts_tell(struct or_facts *f, int entity, const char *key, int fact, int64_t time_ms, struct or_value value,
                   int64_t watermark_ms) {
  int i = alive(f, entity, key, watermark_ms);
  if (i < 0) {
    i = f->about_count++;
    f->about[i] = (struct or_about){.entity = entity, .last_ms = INT64_MIN};
    (void)strncpy(f->about[i].key, key, sizeof f->about[i].key - 1);
  }
  if (watermark_ms > f->about[i].last_ms) f->about[i].last_ms = watermark_ms;
  f->told[f->told_count++] = (struct or_told){i, fact, time_ms, value};
}

void or_facts_remind(struct or_facts *f, int entity, const char *key, int64_t time_ms, int64_t watermark_ms) {
  int i = alive(f, entity, key, watermark_ms);
  if (i >= 0 && time_ms > f->about[i].last_ms) f->about[i].last_ms = time_ms;
}

void or_facts_rename(struct or_facts *f, int entity, const char *from, const char *to) {
  int i = about_of(f, entity, from);
  if (i >= 0) (void)strncpy(f->about[i].key, to, sizeof f->about[i].key - 1);
}

void or_facts_begin(struct or_facts *f, int64_t watermark_ms) {
  for (int i = 0; i < f->about_count; i++)
    if (f->about[i].last_ms == INT64_MIN) f->about[i].last_ms = watermark_ms;
}

struct or_value or_fact_value(const struct or_facts *f, int entity, const char *key, int fact, int64_t time_ms, int64_t watermark_ms,
                              int64_t *ret_age_ms) {
  struct or_value none = or_null(TIDE_S_absent, TIDE_C_absent);
  int about = about_of(f, entity, key);
  if (about < 0 || forgotten(f, &f->about[about], watermark_ms)) return none;
  int64_t latest = INT64_MIN, second = INT64_MIN;
  for (int i = 0; i < f->told_count; i++) {
    const struct or_told *told = &f->told[i];
    if (told->about != about || told->fact != fact || told->time_ms == latest) continue;
    if (told->time_ms > latest) second = latest, latest = told->time_ms;
    else if (told->time_ms > second) second = told->time_ms;
  }
  int64_t at_ms = latest <= time_ms ? latest : second <= time_ms ? second : INT64_MIN;
  const struct or_told *found = NULL;
  for (int i = 0; i < f->told_count; i++)
    if (f->told[i].about == about && f->told[i].fact == fact && f->told[i].time_ms == at_ms) found = &f->told[i];
  if (at_ms == INT64_MIN || !found) return none;
  *ret_age_ms = time_ms - at_ms;
  return found->value;
}
