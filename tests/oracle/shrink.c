/* Making a failing case small: drop whatever can go while the case still fails, until nothing more can. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/oracle/check.h"
#include "tests/oracle/random.h"

enum or_end or_check_apart(const struct or_case *c, bool tell) {
  (void)fflush(NULL);
  pid_t child = fork();
  if (child < 0) return OR_EQUAL; /* no process: treat as not failing, so shrinking stops here */
  if (child == 0) {
    if (!tell && !freopen("/dev/null", "w", stderr)) _exit(OR_DIED);
    (void)alarm(30);
    struct tide_buf out = TIDE_BUF_INIT;
    bool equal = or_check(c, &out, NULL);
    const char *text = tide_buf_cstr(&out);
    if (tell) fprintf(stderr, "%s", text);
    (void)fflush(NULL);
    _exit(equal ? OR_EQUAL : strstr(text, "does not parse") || strstr(text, "does not decode") ? OR_REFUSED : OR_DIFFERS);
  }
  int status;
  if (waitpid(child, &status, 0) != child) return OR_EQUAL;
  return WIFEXITED(status) ? (enum or_end)WEXITSTATUS(status) : OR_DIED;
}

static enum or_end wanted; /* the way in which the case failed at first: a smaller one must fail likewise */

static bool still_fails(struct or_case *c, const struct or_case *before, bool *ret_progress) {
  if (or_check_apart(c, false) == wanted) {
    *ret_progress = true;
    return true;
  }
  *c = *before;
  return false;
}

static bool read_by_kept(const struct or_case *c, enum or_op op, int ref) {
  for (int d = 0; d < c->derived_count; d++)
    if (!c->derived[d].dropped && or_expr_reads(c->derived[d].expr, op, ref)) return true;
  for (int r = 0; r < c->rule_count; r++)
    if (!c->rule[r].dropped && or_expr_reads(c->rule[r].when, op, ref)) return true;
  for (int r = 0; r < c->fallback_count; r++)
    if (!c->fallback[r].dropped && or_expr_reads(c->fallback[r].when, op, ref)) return true;
  return false;
}

static bool drop_feature(struct or_case *c, int i) {
  struct or_feature *f = &c->feature[i];
  if (f->dropped || f->agg == OA_NEW) return false;
  for (int s = 0; s < c->slot_count; s++) {
    const struct or_feature *of = &c->feature[c->slot[s].feature];
    if ((of == f || of->companion == i) && read_by_kept(c, OX_SLOT, s)) return false;
  }
  f->dropped = true;
  for (int k = 0; k < c->feature_count; k++) /* the companion goes along, or moves to another `time since first` */
    if (c->feature[k].companion == i) {
      for (int n = 0; n < c->feature_count; n++)
        if (!c->feature[n].dropped && c->feature[n].agg == OA_SINCE_FIRST && c->feature[n].entity == f->entity) c->feature[k].companion = n;
      if (c->feature[k].companion == i) c->feature[k].dropped = true;
    }
  return true;
}

static bool drop_one_rule(struct or_case *c, int i) {
  int left = 0;
  for (int r = 0; r < c->rule_count; r++) left += !c->rule[r].dropped;
  if (c->rule[i].dropped || left == 1) return false;
  return c->rule[i].dropped = true;
}

/* One simplification by number; false when it changes nothing. */
static bool simplify(struct or_case *c, int what) {
  static const enum or_field loose[] = {OF_AMOUNT, OF_MERCHANT, OF_DEVICE, OF_COUNTRY, OF_ITEMS, OF_WEIGHT,
                                        OF_GIFT,   OF_LAT,      OF_LON,    OF_PAR,     OF_AL1,   OF_PA1};
  bool changed = false;
  switch (what) {
    case 0:
      changed = c->reload_at >= 0;
      c->reload_at = -1;
      return changed;
    case 1:
      changed = c->decision_count > 0;
      c->decision_count = c->rule_count = c->fallback_count = c->list_count = 0;
      return changed;
    case 2:
      changed = c->grace_ms != 0;
      c->grace_ms = 0;
      return changed;
    case 3:
      changed = c->advise != NULL;
      c->advise = NULL;
      return changed;
    case 4:
      changed = c->score != NULL;
      c->score = NULL;
      return changed;
    case 5:
      changed = c->config_alone;
      c->config_alone = false;
      return changed;
    case 6:
      for (int i = 0; i < c->record_count; i++) changed = changed || !c->record[i].new_entry;
      for (int i = 0; i < c->record_count; i++) c->record[i].new_entry = true, c->record[i].commit_ms = c->record[i].time_ms;
      return changed;
    default: break;
  }
  what -= 7;
  if (what < c->feature_count) {
    struct or_feature *f = &c->feature[what];
    changed = f->where && f->agg != OA_STREAK;
    if (changed) f->where = NULL;
    return changed;
  }
  what -= c->feature_count;
  int n = (int)(sizeof loose / sizeof *loose);
  for (int i = 0; i < c->record_count; i++) {
    changed = changed || (!c->record[i].dropped && c->record[i].field[loose[what % n]].has);
    c->record[i].field[loose[what % n]].has = false;
  }
  or_case_derive(c);
  return changed;
}

void or_shrink(struct or_case *c) {
  static struct or_case before;
  bool progress = true;
  wanted = or_check_apart(c, false);
  for (int round = 0; progress && round < 8; round++) {
    progress = false;
    for (int size = c->record_count / 2; size >= 1; size /= 2)
      for (int at = c->record_count - size; at >= 0; at -= size) {
        before = *c;
        bool any = false;
        for (int i = at; i < at + size; i++) any = any || !c->record[i].dropped, c->record[i].dropped = true;
        if (any) (void)still_fails(c, &before, &progress);
      }
    for (int what = 0; what < 7 + c->feature_count + 12; what++) {
      before = *c;
      if (simplify(c, what)) (void)still_fails(c, &before, &progress);
      else *c = before;
    }
    for (int i = 0; i < c->fallback_count - 1; i++) {
      before = *c;
      if (!c->fallback[i].dropped && (c->fallback[i].dropped = true)) (void)still_fails(c, &before, &progress);
    }
    for (int i = c->rule_count - 1; i >= 0; i--) {
      before = *c;
      if (drop_one_rule(c, i)) (void)still_fails(c, &before, &progress);
    }
    for (int i = c->derived_count - 1; i >= 0; i--) {
      before = *c;
      if (!c->derived[i].dropped && !read_by_kept(c, OX_DERIVED, i) && (c->derived[i].dropped = true))
        (void)still_fails(c, &before, &progress);
    }
    for (int i = c->feature_count - 1; i >= 0; i--) {
      before = *c;
      if (drop_feature(c, i)) (void)still_fails(c, &before, &progress);
    }
  }
}
