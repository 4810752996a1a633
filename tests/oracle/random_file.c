/* The random feature file of a case: entities, features with predicates, derived values, rules, fallback, limits.
 *
 * Windows, limits and gaps of the stream come from one short ladder of durations, so that window edges, horizons and event times meet exactly: ties at the
 * edge are where such engines are wrong. */
#include <stdio.h>
#include <string.h>

#include "tests/oracle/random.h"

const struct or_field_info or_field_info[OF_COUNT] = {[OF_TIME] = {"time", OT_TIME, 0},      [OF_KIND] = {"kind", OT_TEXT, 0},
                                                      [OF_ID1] = {"id1", OT_TEXT, 0},        [OF_ID2] = {"id2", OT_TEXT, 0},
                                                      [OF_AL1] = {"al1", OT_TEXT, 0},        [OF_AL2] = {"al2", OT_TEXT, 0},
                                                      [OF_PA1] = {"pa1", OT_TEXT, 0},        [OF_PA2] = {"pa2", OT_TEXT, 0},
                                                      [OF_AMOUNT] = {"amount", OT_MONEY, 0}, [OF_MERCHANT] = {"merchant", OT_TEXT, 0},
                                                      [OF_PAN] = {"pan", OT_TEXT, 0},        [OF_PAR] = {"par", OT_TEXT, 0},
                                                      [OF_DEVICE] = {"device", OT_TEXT, 0},  [OF_COUNTRY] = {"country", OT_TEXT, 0},
                                                      [OF_ITEMS] = {"items", OT_NUM, 0},     [OF_WEIGHT] = {"weight", OT_NUM, 3},
                                                      [OF_GIFT] = {"gift", OT_BOOL, 0},      [OF_LAT] = {"lat", OT_NUM, 4},
                                                      [OF_LON] = {"lon", OT_NUM, 4},         [OF_OPENED] = {"opened", OT_TIME, 0},
                                                      [OF_CNP] = {"cnp", OT_BOOL, 0}};
const char *const or_dyn_name[OD_COUNT] = {"result", "reason", "reversed", "refunded", "disputed", "label", "amount"};
const char *const or_result_word[4] = {"pending", "approved", "partial", "declined"};
const char *const or_extent_word[3] = {"none", "partial", "full"};
const char *const or_label_word[3] = {"unknown", "fraud", "genuine"};
const char *const or_decision_name[4] = {"approve", "challenge", "review", "decline"};
const char *const or_pool_kind[4] = {"auth", "advice", "login", "card_add"};
const char *const or_pool_merchant[4] = {"m1", "m2", "m3", "merchant-long-name"};
const char *const or_pool_device[3] = {"d1", "d2", "device-long-name"};
const char *const or_pool_country[3] = {"NL", "DE", "US"};
const char *const or_pool_pan[4] = {"4000000000000001", "4000000000000002", "p3", "p4"};
const char *const or_pool_par[2] = {"par1", "par-two-long"};
const char *const or_pool_reason[3] = {"51", "14", "12345678"};

static const int64_t ladder[] = {1000, 5000, 10000, 30000, 60000, 300000, 3600000, OR_DAY_MS, OR_DAY_MS * 30, OR_DAY_MS * 365};
static int64_t step_of(struct or_rng *rng, int lo, int hi) { return ladder[lo + or_below(rng, hi - lo + 1)]; }

/* ---- expressions ---- */

enum scope { IN_SCORE, IN_WHERE, IN_DERIVED, IN_RULE, IN_FALLBACK };
struct gen {
  struct or_case *c;
  struct or_rng *rng;
  enum scope scope;
  int64_t hop_ms;    /* of most sums in a case with tiles */
  int64_t window_ms; /* of all of them; 0: many. With one window rows are kept for the shortest time that is right. */
};

static struct or_expr *make(const struct gen *g, enum or_op op, const struct or_expr *a, const struct or_expr *b) {
  if (g->c->expr_count == OR_EXPRS_MAX) return &g->c->expr[0]; /* `true`; far above what the depths allow */
  struct or_expr *expr = &g->c->expr[g->c->expr_count++];
  *expr = (struct or_expr){.op = op, .a = a, .b = b};
  return expr;
}
static struct or_expr *leaf(const struct gen *g, enum or_op op, int ref) {
  struct or_expr *expr = make(g, op, NULL, NULL);
  expr->ref = ref;
  return expr;
}
static struct or_expr *number(const struct gen *g, double num) {
  struct or_expr *expr = make(g, OX_NUM, NULL, NULL);
  expr->num = num;
  return expr;
}
static double some_number(const struct gen *g) {
  return or_percent(g->rng, 60) ? or_below(g->rng, 7) : or_percent(g->rng, 70) ? or_below(g->rng, 60) : or_below(g->rng, 400) / 4.0;
}

static bool sees_features(const struct gen *g) { return g->scope == IN_DERIVED || g->scope == IN_RULE; }

/* A slot whose value is exact and of the wanted type, or -1. */
static int some_slot(const struct gen *g, bool text) {
  for (int tries = 0; tries < 6 && g->c->slot_count; tries++) {
    int s = or_below(g->rng, g->c->slot_count);
    const struct or_feature *f = &g->c->feature[g->c->slot[s].feature];
    bool is_text = f->agg == OA_LAST && f->of == OO_FIELD && or_field_info[f->of_ref].type == OT_TEXT;
    if (f->agg != OA_APPROX && is_text == text) return s;
  }
  return -1;
}
static int some_derived(const struct gen *g, bool boolean) {
  for (int d = 0; d < g->c->derived_count; d++) {
    const struct or_derived *derived = &g->c->derived[(d + or_below(g->rng, g->c->derived_count)) % g->c->derived_count];
    if (derived->boolean == boolean && (g->scope != IN_FALLBACK || derived->pure)) return (int)(derived - g->c->derived);
  }
  return -1;
}

static const struct or_expr *num_leaf(const struct gen *g) {
  struct or_case *c = g->c;
  for (int tries = 0; tries < 8; tries++) {
    int ref;
    switch (or_below(g->rng, 10)) {
      case 0:
        if (c->uses[OF_ITEMS]) return leaf(g, OX_FIELD, OF_ITEMS);
        break;
      case 1:
        if (c->uses[OF_WEIGHT]) return leaf(g, OX_FIELD, OF_WEIGHT);
        break;
      case 2:
        if (c->amount) return leaf(g, OX_AMOUNT, 0);
        break;
      case 3:
        if (c->amount && or_percent(g->rng, 40)) return leaf(g, OX_REQUESTED, 0);
        break;
      case 4:
        if (g->scope != IN_SCORE && g->scope != IN_WHERE && or_percent(g->rng, 40))
          return leaf(g, or_percent(g->rng, 50) ? OX_HOUR : OX_WEEKDAY, or_below(g->rng, 2));
        break;
      case 5:
        if (g->scope == IN_RULE && or_percent(g->rng, 8)) return leaf(g, OX_SCORE, 0);
        break;
      case 6:
        if (g->scope >= IN_DERIVED && (ref = some_derived(g, false)) >= 0) return leaf(g, OX_DERIVED, ref);
        break;
      case 7:
        if (c->uses[OF_OPENED] && or_percent(g->rng, 50)) return leaf(g, OX_FIELD, OF_OPENED);
        if (g->scope >= IN_DERIVED && or_percent(g->rng, 30)) return leaf(g, OX_TIME, 0);
        break;
      default:
        if (sees_features(g) && (ref = some_slot(g, false)) >= 0) return leaf(g, OX_SLOT, ref);
        break;
    }
  }
  return number(g, some_number(g));
}

static const struct or_expr *gen_bool(const struct gen *g, int depth);

static const struct or_expr *gen_num(const struct gen *g, int depth) {
  if (depth <= 0 || or_percent(g->rng, 55)) return or_percent(g->rng, 85) ? num_leaf(g) : number(g, some_number(g));
  static const enum or_op two[] = {OX_ADD, OX_SUB, OX_MUL, OX_DIV, OX_DIV, OX_MIN, OX_MAX};
  static const enum or_op one[] = {OX_NEG, OX_LOG1P, OX_ABS};
  int what = or_below(g->rng, 10);
  if (what < 7) {
    const struct or_expr *a = gen_num(g, depth - 1);
    return make(g, OR_PICK(g->rng, two), a, gen_num(g, depth - 1));
  }
  if (what < 9) return make(g, OR_PICK(g->rng, one), gen_num(g, depth - 1), NULL);
  const struct or_expr *condition = gen_bool(g, 0);
  struct or_expr *choice = make(g, OX_IF, condition, NULL);
  choice->b = gen_num(g, depth - 1);
  choice->c = gen_num(g, depth - 1);
  return choice;
}

static const char *dyn_word(const struct gen *g, int dyn) {
  switch (dyn) {
    case OD_RESULT: return or_result_word[or_below(g->rng, 4)];
    case OD_REASON: return OR_PICK(g->rng, or_pool_reason);
    case OD_LABEL: return or_label_word[or_below(g->rng, 3)];
    default: return or_extent_word[or_below(g->rng, 3)];
  }
}
static const char *field_word(const struct gen *g, int field) {
  switch (field) {
    case OF_KIND: return OR_PICK(g->rng, or_pool_kind);
    case OF_MERCHANT: return OR_PICK(g->rng, or_pool_merchant);
    case OF_DEVICE: return OR_PICK(g->rng, or_pool_device);
    case OF_COUNTRY: return OR_PICK(g->rng, or_pool_country);
    case OF_PAN: return OR_PICK(g->rng, or_pool_pan);
    default: return OR_PICK(g->rng, or_pool_par);
  }
}

/* A text operand and a way to find words to compare it with. */
static const struct or_expr *gen_text(const struct gen *g, int *ret_field, int *ret_dyn) {
  static const int fields[] = {OF_KIND, OF_KIND, OF_MERCHANT, OF_DEVICE, OF_COUNTRY, OF_PAR, OF_PAN};
  static const int dyns[] = {OD_RESULT, OD_RESULT, OD_RESULT, OD_REASON, OD_REVERSED, OD_REFUNDED, OD_LABEL};
  *ret_dyn = *ret_field = -1;
  if (g->scope == IN_WHERE && or_percent(g->rng, 60)) return leaf(g, OX_DYN, *ret_dyn = OR_PICK(g->rng, dyns));
  int slot;
  if (sees_features(g) && or_percent(g->rng, 30) && (slot = some_slot(g, true)) >= 0) {
    *ret_field = g->c->feature[g->c->slot[slot].feature].of_ref;
    return leaf(g, OX_SLOT, slot);
  }
  for (int tries = 0; tries < 8; tries++) {
    int field = OR_PICK(g->rng, fields);
    if (g->c->uses[field] && !(field == OF_PAN && g->c->pan_secret)) return leaf(g, OX_FIELD, *ret_field = field);
  }
  return leaf(g, OX_FIELD, *ret_field = OF_KIND);
}

static const struct or_expr *text_test(const struct gen *g) {
  int field, dyn;
  const struct or_expr *a = gen_text(g, &field, &dyn);
  int what = or_below(g->rng, 10);
  struct or_expr *expr;
  if (what < 3) {
    expr = make(g, OX_IN, a, NULL);
    expr->set_count = 1 + or_below(g->rng, OR_SET_MAX);
    for (int i = 0; i < expr->set_count; i++) expr->set_text[i] = dyn >= 0 ? dyn_word(g, dyn) : field_word(g, field);
    return expr;
  }
  if (what < 4) {
    static const enum or_op is[] = {OX_IS_EMPTY, OX_IS_ABSENT, OX_IS_KNOWN};
    return make(g, OR_PICK(g->rng, is), a, NULL);
  }
  struct or_expr *word = make(g, OX_TEXT, NULL, NULL);
  word->text = dyn >= 0 ? dyn_word(g, dyn) : field_word(g, field);
  return make(g, what < 8 ? OX_EQ : OX_NE, a, word);
}

static const struct or_expr *number_test(const struct gen *g, int depth) {
  static const enum or_op ops[] = {OX_EQ, OX_NE, OX_LT, OX_LE, OX_GT, OX_GE, OX_GT, OX_GE, OX_LT};
  const struct or_expr *a = gen_num(g, depth);
  int what = or_below(g->rng, 12);
  if (what == 0) {
    static const enum or_op is[] = {OX_IS_EMPTY, OX_IS_ABSENT, OX_IS_KNOWN};
    return make(g, OR_PICK(g->rng, is), a, NULL);
  }
  if (what == 1) {
    struct or_expr *expr = make(g, OX_IN, a, NULL);
    expr->set_count = 1 + or_below(g->rng, OR_SET_MAX);
    for (int i = 0; i < expr->set_count; i++) expr->set_num[i] = or_below(g->rng, 6);
    return expr;
  }
  const struct or_expr *b = or_percent(g->rng, 75) ? number(g, some_number(g)) : gen_num(g, depth - 1);
  return make(g, OR_PICK(g->rng, ops), a, b);
}

static const struct or_expr *gen_bool(const struct gen *g, int depth) {
  if (depth > 0 && or_percent(g->rng, 50)) {
    int what = or_below(g->rng, 5);
    const struct or_expr *a = gen_bool(g, depth - 1);
    if (what == 0) return make(g, OX_NOT, a, NULL);
    return make(g, what < 3 ? OX_AND : OX_OR, a, gen_bool(g, depth - 1));
  }
  int ref;
  switch (or_below(g->rng, 10)) {
    case 0:
      if (g->c->uses[OF_GIFT]) return leaf(g, OX_FIELD, OF_GIFT);
      break;
    case 5:
      if (g->c->uses[OF_CNP]) return leaf(g, OX_FIELD, OF_CNP);
      break;
    case 1:
      if (g->scope == IN_WHERE) return leaf(g, OX_DYN, OD_DISPUTED);
      break;
    case 2:
      if (g->scope >= IN_DERIVED && (ref = some_derived(g, true)) >= 0) return leaf(g, OX_DERIVED, ref);
      break;
    case 3:
      if (g->scope >= IN_RULE && g->c->list_count) return leaf(g, OX_IN_LIST, or_below(g->rng, g->c->list_count));
      break;
    case 4:
      if (g->c->uses[OF_GIFT]) return make(g, OX_EQ, leaf(g, OX_FIELD, OF_GIFT), leaf(g, or_percent(g->rng, 50) ? OX_TRUE : OX_FALSE, 0));
      break;
    default: break;
  }
  bool numbers = sees_features(g) ? or_percent(g->rng, 80) : or_percent(g->rng, 40);
  return numbers ? number_test(g, g->scope == IN_WHERE ? 1 : 2) : text_test(g);
}

bool or_expr_reads(const struct or_expr *expr, enum or_op op, int ref) {
  if (!expr) return false;
  if (expr->op == op && (ref < 0 || expr->ref == ref)) return true;
  return or_expr_reads(expr->a, op, ref) || or_expr_reads(expr->b, op, ref) || or_expr_reads(expr->c, op, ref);
}

/* ---- the file ---- */

static const struct or_expr *kind_in(const struct gen *g, int count) {
  struct or_expr *expr = make(g, OX_IN, leaf(g, OX_FIELD, OF_KIND), NULL);
  expr->set_count = count;
  for (int i = 0; i < count; i++) expr->set_text[i] = or_pool_kind[i];
  return expr;
}

static void make_event(struct gen *g) {
  struct or_case *c = g->c;
  struct or_rng *rng = g->rng;
  c->uses[OF_TIME] = c->uses[OF_ID1] = c->uses[OF_KIND] = c->uses[OF_PAN] = true;
  c->id_tuple = c->uses[OF_ID2] = or_percent(rng, 40);
  c->alias = c->uses[OF_AL1] = or_percent(rng, 40);
  c->parent = c->uses[OF_PA1] = or_percent(rng, 40);
  c->uses[OF_AL2] = c->alias && c->id_tuple;
  c->uses[OF_PA2] = c->parent && c->id_tuple;
  c->parent_counts = c->parent && or_percent(rng, 20);
  c->conflict_rejects = or_percent(rng, 25);
  c->amount = c->uses[OF_AMOUNT] = or_percent(rng, 88);
  static const struct {
    const char *code;
    int exponent;
  } counting[] = {{"EUR", 2}, {"EUR", 2}, {"EUR", 2}, {"JPY", 0}, {"BHD", 3}};
  int k = or_below(rng, 5);
  c->currency = counting[k].code;
  c->exponent = counting[k].exponent;
  c->place = c->uses[OF_LAT] = c->uses[OF_LON] = or_percent(rng, 30);
  static const enum or_field optional[] = {OF_MERCHANT, OF_PAR, OF_DEVICE, OF_COUNTRY, OF_ITEMS, OF_WEIGHT, OF_GIFT, OF_OPENED};
  for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
    c->uses[optional[i]] = or_percent(rng, optional[i] == OF_MERCHANT ? (c->tiles ? 100 : 90) : 65);
  c->pan_secret = c->rotates || or_percent(rng, 40);
  g->scope = IN_SCORE;
  if (or_percent(rng, 30)) c->cnp = gen_bool(g, 1);
  if (or_expr_reads(c->cnp, OX_AMOUNT, -1) || or_expr_reads(c->cnp, OX_REQUESTED, -1)) c->cnp = NULL; /* a decoder knows no rates */
  c->uses[OF_CNP] = c->cnp != NULL;
  int score = or_below(rng, 10);
  if (score < 6) c->score = kind_in(g, 2);
  else if (score < 8) c->score = kind_in(g, 1);
  else if (score < 9) c->score = make(g, OX_OR, kind_in(g, 2), gen_bool(g, 1));
  if (or_percent(rng, 60)) {
    struct or_expr *advice = make(g, OX_TEXT, NULL, NULL);
    advice->text = "advice";
    c->advise = make(g, OX_EQ, leaf(g, OX_FIELD, OF_KIND), advice);
  }
}

static void make_entities(struct gen *g) {
  struct or_case *c = g->c;
  struct or_rng *rng = g->rng;
  struct or_entity *card = &c->entity[c->entity_count++];
  *card = (struct or_entity){.name = "card", .key = OK_FIELD, .part = {OF_PAN}, .part_count = 1};
  if (c->uses[OF_PAR] && or_percent(rng, 60))
    *card = (struct or_entity){.name = "card", .key = OK_FIRST_OF, .part = {OF_PAR, OF_PAN}, .part_count = 2};
  else if (c->uses[OF_COUNTRY] && or_percent(rng, 8))
    *card = (struct or_entity){.name = "card", .key = OK_TUPLE, .part = {OF_PAN, OF_COUNTRY}, .part_count = 2};
  static const struct or_entity more[] = {
      {.name = "shop", .key = OK_FIELD, .part = {OF_MERCHANT}, .part_count = 1},
      {.name = "dev", .key = OK_FIELD, .part = {OF_DEVICE}, .part_count = 1},
      {.name = "pair", .key = OK_TUPLE, .part = {0, OF_MERCHANT}, .part_count = 2, .part_entity = true},
      {.name = "box", .key = OK_TUPLE, .part = {OF_COUNTRY, OF_ITEMS}, .part_count = 2},
      {.name = "near", .key = OK_FIRST_OF, .part = {OF_DEVICE, OF_COUNTRY}, .part_count = 2},
  };
  int want = (c->tiles ? 2 : 1) + or_below(rng, OR_ENTITIES_MAX - c->tiles);
  for (size_t i = 0; i < sizeof more / sizeof *more && c->entity_count < want; i++) {
    bool there = true;
    for (int p = 0; p < more[i].part_count; p++) there = there && ((more[i].part_entity && p == 0) || c->uses[more[i].part[p]]);
    if (there && or_percent(rng, c->tiles && i == 0 ? 100 : 60)) c->entity[c->entity_count++] = more[i];
  }
  c->warming = or_below(rng, 3);
  c->warming_default = or_below(rng, 5);
  for (int e = 0; e < c->entity_count; e++) {
    struct or_entity *entity = &c->entity[e];
    if (c->calm && !c->rotates && or_percent(rng, 60)) entity->max = 1 + or_below(rng, 3);
    entity->keep_ms = or_percent(rng, 80) ? step_of(rng, 0, or_percent(rng, 90) ? 6 : 9) : 0;
    entity->warming = or_percent(rng, 40) ? or_below(rng, 3) : -1;
    entity->warming_default = or_below(rng, 10) - 0.5 * or_below(rng, 2);
  }
}

static bool pick_operand(struct gen *g, struct or_feature *f) {
  static const int numbers[] = {OF_ITEMS, OF_WEIGHT},
                   things[] = {OF_MERCHANT, OF_DEVICE, OF_COUNTRY, OF_ITEMS, OF_WEIGHT, OF_GIFT, OF_PAR, OF_PAN, OF_KIND, OF_CNP};
  struct or_case *c = g->c;
  struct or_rng *rng = g->rng;
  bool amounts = c->amount && f->agg != OA_DISTINCT && f->agg != OA_APPROX;
  if (amounts && or_percent(rng, f->agg == OA_LAST || f->agg == OA_CHANGED ? 25 : 70)) {
    f->of = or_percent(rng, 70) ? OO_AMOUNT : OO_REQUESTED;
    return true;
  }
  if (f->agg != OA_DISTINCT && f->agg != OA_APPROX && f->agg != OA_LAST && f->agg != OA_CHANGED) {
    f->of = OO_FIELD;
    f->of_ref = OR_PICK(rng, numbers);
    return c->uses[f->of_ref];
  }
  if (f->agg != OA_LAST && or_percent(rng, 35)) {
    f->of = OO_ENTITY;
    f->of_ref = or_below(rng, c->entity_count);
    return true;
  }
  f->of = OO_FIELD;
  f->of_ref = OR_PICK(rng, things);
  return c->uses[f->of_ref] && !(f->agg == OA_LAST && f->of_ref == OF_PAN && c->pan_secret);
}

static void add_slots(struct or_case *c, struct or_feature *f) {
  f->first_slot = c->slot_count;
  int slots = f->window_count ? f->window_count : 1;
  for (int w = 0; w < slots; w++) {
    struct or_slot *slot = &c->slot[c->slot_count++];
    char window[16] = "";
    if (f->window_count) (void)snprintf(window, sizeof window, "_%s", or_duration(f->window_ms[w], (char[16]){0}));
    (void)snprintf(slot->name, sizeof slot->name, "%s.%s%s", c->entity[f->entity].name, f->name, window);
    slot->feature = (int)(f - c->feature);
    slot->window_ms = f->window_count ? f->window_ms[w] : 0;
  }
}

/* Windows of a case with tiles: hops where sums are tiled, and beside them what needs rows for a short while only. Most hops of a case are the
 * same, or their common border would leave more tiles than an entity may have. */
static void tile_windows(const struct gen *g, struct or_feature *f, bool tiled) {
  static const int64_t windows[] = {60000, 300000, 3600000, 3600000, 3600000};
  struct or_rng *rng = g->rng;
  int want = g->window_ms ? 1 : 1 + or_below(rng, OR_WINDOWS_MAX);
  f->window_ms[f->window_count++] = g->window_ms ? g->window_ms : tiled ? OR_PICK(rng, windows) : step_of(rng, 0, 3);
  for (int i = 1; i < want; i++) {
    int64_t ms = tiled ? OR_PICK(rng, windows) : step_of(rng, 0, 3);
    if (ms != f->window_ms[0] && (f->window_count < 2 || ms != f->window_ms[1])) f->window_ms[f->window_count++] = ms;
  }
  int64_t least = f->window_ms[0];
  for (int i = 1; i < f->window_count; i++)
    if (f->window_ms[i] < least) least = f->window_ms[i];
  if (or_percent(rng, 30)) f->delayed_ms = step_of(rng, 0, 4);
  if (tiled && g->hop_ms <= least) f->hop_ms = g->hop_ms * (or_percent(rng, 20) && g->hop_ms * 2 <= least ? 2 : 1);
  if (f->agg == OA_MAX_COUNT) f->inner_ms = 1000;
}

static void make_feature(struct gen *g) {
  static const enum or_agg aggs[] = {OA_COUNT,  OA_COUNT, OA_COUNT,    OA_SUM,       OA_SUM,      OA_MEAN,           OA_STDDEV,
                                     OA_MIN,    OA_MAX,   OA_DISTINCT, OA_DISTINCT,  OA_DISTINCT, OA_DISTINCT,       OA_DISTINCT,
                                     OA_APPROX, OA_RATE,  OA_RATE,     OA_MAX_COUNT, OA_STREAK,   OA_SINCE_PREVIOUS, OA_SINCE_FIRST,
                                     OA_LAST,   OA_LAST,  OA_CHANGED,  OA_DISTANCE,  OA_SPEED};
  struct or_case *c = g->c;
  struct or_rng *rng = g->rng;
  struct or_feature *f = &c->feature[c->feature_count];
  *f = (struct or_feature){.entity = or_below(rng, c->entity_count), .agg = OR_PICK(rng, aggs), .companion = -1};
  static const enum or_agg sums[] = {OA_COUNT, OA_COUNT, OA_RATE, OA_SUM, OA_MEAN, OA_STDDEV};
  bool shaped = c->tiles && (f->entity > 0 || or_percent(rng, 30)), tiled = shaped && or_percent(rng, g->window_ms ? 100 : 70);
  if (tiled) f->agg = OR_PICK(rng, sums);
  else if (shaped && f->agg > OA_STREAK && f->agg != OA_SINCE_FIRST) f->agg = OA_COUNT; /* the others keep every row */
  (void)snprintf(f->name, sizeof f->name, "f%d", c->feature_count);
  bool operand = (f->agg >= OA_SUM && f->agg <= OA_APPROX) || f->agg == OA_LAST || f->agg == OA_CHANGED;
  if (operand && !pick_operand(g, f)) return;
  if ((f->agg == OA_DISTANCE || f->agg == OA_SPEED) && !c->place) return;
  bool windowed = f->agg <= OA_STREAK;
  g->scope = IN_WHERE;
  if (f->agg == OA_RATE) f->rate_of = gen_bool(g, 2);
  if (f->agg == OA_STREAK || (f->agg != OA_SINCE_FIRST && or_percent(rng, 55))) f->where = gen_bool(g, 2);
  if (windowed && shaped) tile_windows(g, f, tiled);
  if (windowed) {
    int want = 1 + or_below(rng, OR_WINDOWS_MAX);
    for (int i = 0; i < want && !shaped; i++) {
      int64_t ms = step_of(rng, 0, or_percent(rng, 85) ? 7 : 9);
      bool twice = false;
      for (int k = 0; k < f->window_count; k++) twice = twice || f->window_ms[k] == ms;
      if (!twice) f->window_ms[f->window_count++] = ms;
    }
    int64_t least = f->window_ms[0];
    for (int i = 1; i < f->window_count; i++)
      if (f->window_ms[i] < least) least = f->window_ms[i];
    if (!shaped && or_percent(rng, c->hot ? 45 : 25)) f->delayed_ms = step_of(rng, 0, or_percent(rng, 90) ? 5 : 8);
    if (!shaped && (f->agg <= OA_DISTINCT || f->agg == OA_RATE)) {
      static const int64_t hops[] = {700, 1000, 7000, 10000, 60000, OR_DAY_MS};
      int64_t hop = OR_PICK(rng, hops);
      if (or_percent(rng, c->hot ? 55 : 30) && hop <= least) f->hop_ms = hop;
    }
    if (f->agg == OA_MAX_COUNT && !shaped) {
      f->inner_ms = step_of(rng, 0, 6);
      if (f->inner_ms > least) f->inner_ms = least;
    }
    f->with_current = f->agg != OA_STREAK && or_percent(rng, 40);
    if (f->agg == OA_DISTINCT && or_percent(rng, 60)) f->cap = 1 + or_below(rng, c->hot ? 40 : 2);
  }
  add_slots(c, f);
  c->feature_count++;
  if (f->agg != OA_SINCE_FIRST || c->feature_count == OR_FEATURES_MAX) return;
  for (int i = 0; i < c->feature_count; i++)
    if (c->feature[i].agg == OA_NEW && c->feature[i].entity == f->entity) return;
  struct or_feature *companion = &c->feature[c->feature_count];
  *companion = (struct or_feature){.name = "new", .entity = f->entity, .agg = OA_NEW, .companion = c->feature_count - 1};
  add_slots(c, companion);
  c->feature_count++;
}

int64_t or_reach_ms(const struct or_case *c, const struct or_slot *slot) {
  const struct or_feature *f = &c->feature[slot->feature];
  if (f->agg == OA_SINCE_FIRST || f->agg == OA_NEW || f->agg == OA_FACT) return 0; /* survives retention */
  if (!slot->window_ms) return c->entity[f->entity].keep_ms ? c->entity[f->entity].keep_ms : OR_DAY_MS * 30;
  return slot->window_ms + f->delayed_ms + f->hop_ms + f->inner_ms;
}

/* Values that look back a month keep every event of a calm stream, and so every entity. */
static void make_keepers(struct gen *g) {
  struct or_case *c = g->c;
  for (int e = 0; e < c->entity_count; e++) {
    struct or_feature *f = &c->feature[c->feature_count];
    *f = (struct or_feature){.entity = e, .agg = OA_SINCE_PREVIOUS, .companion = -1};
    (void)snprintf(f->name, sizeof f->name, "f%d", c->feature_count);
    c->entity[e].keep_ms = 0;
    add_slots(c, f);
    c->feature_count++;
  }
}

static void make_derived(struct gen *g) {
  struct or_case *c = g->c;
  g->scope = IN_DERIVED;
  struct or_derived derived = {.boolean = or_percent(g->rng, 35)};
  derived.expr = derived.boolean ? gen_bool(g, 2) : gen_num(g, 3);
  derived.pure = !or_expr_reads(derived.expr, OX_SLOT, -1);
  for (int d = 0; d < c->derived_count; d++)
    derived.pure = derived.pure && (c->derived[d].pure || !or_expr_reads(derived.expr, OX_DERIVED, d));
  (void)snprintf(derived.name, sizeof derived.name, "v%d", c->derived_count);
  c->derived[c->derived_count++] = derived;
}

static void make_policy(struct gen *g) {
  struct or_case *c = g->c;
  struct or_rng *rng = g->rng;
  if (or_percent(rng, 8)) return;
  c->decision_count = 2 + or_below(rng, 3);
  if (or_percent(rng, 50)) c->list[c->list_count++] = (struct or_list){"blocked", true, 0};
  int field = or_percent(rng, 50) ? OF_MERCHANT : OF_DEVICE;
  if (c->uses[field] && or_percent(rng, 50)) c->list[c->list_count++] = (struct or_list){"trusted", false, field};
  int rules = 1 + or_below(rng, 6);
  for (int i = 0; i < rules; i++) {
    struct or_rule *rule = &c->rule[c->rule_count++];
    g->scope = IN_RULE;
    *rule = (struct or_rule){.decision = or_below(rng, c->decision_count), .shadow = or_percent(rng, 15), .when = gen_bool(g, 2)};
    (void)snprintf(rule->code, sizeof rule->code, "R%d", i);
  }
  if (or_percent(rng, 75)) c->rule[c->rule_count++] = (struct or_rule){.code = "else", .decision = or_below(rng, c->decision_count)};
  int fallbacks = or_below(rng, 3);
  for (int i = 0; i < fallbacks; i++) {
    struct or_rule *rule = &c->fallback[c->fallback_count++];
    g->scope = IN_FALLBACK;
    *rule = (struct or_rule){.decision = or_below(rng, c->decision_count), .when = gen_bool(g, 1)};
    (void)snprintf(rule->code, sizeof rule->code, "F%d", i);
  }
  c->fallback[c->fallback_count++] = (struct or_rule){.code = "else", .decision = or_below(rng, c->decision_count)};
}

void or_make_file(struct or_case *c, struct or_rng *rng) {
  static const int64_t hops[] = {7000, 10000, 10000, 45000, 60000, 300000};
  struct gen g = {c, rng, IN_SCORE, c->tiles ? OR_PICK(rng, hops) : 0, 0};
  if (c->tiles && or_percent(rng, 35)) g.window_ms = or_percent(rng, 50) ? 300000 : 3600000;
  (void)leaf(&g, OX_TRUE, 0); /* expr[0] */
  make_event(&g);
  make_entities(&g);
  int want = 1 + or_below(rng, c->hot ? 4 : 9) + (c->tiles ? 3 : 0);
  if (c->calm) make_keepers(&g);
  for (int i = 0; i < want && c->feature_count < OR_FEATURES_MAX - 1 && c->slot_count < OR_SLOTS_MAX - OR_WINDOWS_MAX - 1; i++)
    make_feature(&g);
  for (int e = 0; e < c->entity_count; e++) {
    int64_t reach = c->entity[e].keep_ms ? c->entity[e].keep_ms : OR_DAY_MS * 30; /* a shorter forget_after is refused */
    for (int s = 0; s < c->slot_count; s++)
      if (c->feature[c->slot[s].feature].entity == e && or_reach_ms(c, &c->slot[s]) > reach) reach = or_reach_ms(c, &c->slot[s]);
    if (or_percent(rng, 50)) c->entity[e].forget_ms = reach + step_of(rng, 0, 5);
  }
  int derived = or_below(rng, OR_DERIVED_MAX);
  for (int i = 0; i < derived; i++) make_derived(&g);
  make_policy(&g);
  c->lateness_ms = or_percent(rng, 10) ? 0 : step_of(rng, 1, or_percent(rng, 90) ? 7 : 8);
  c->duplicates_for_ms = c->lateness_ms + (or_percent(rng, 40) ? 0 : step_of(rng, 0, 7));
  c->grace_ms = or_percent(rng, 40) ? 0 : step_of(rng, 0, 6);
  if (c->tiles) {
    c->lateness_ms = or_percent(rng, 10) ? 0 : step_of(rng, 0, 4);
    c->duplicates_for_ms = c->lateness_ms + (or_percent(rng, 40) ? 0 : step_of(rng, 0, 7));
    c->grace_ms = or_percent(rng, 40) ? 0 : step_of(rng, 0, 3);
  }
  c->replay = or_percent(rng, 50);
  static const int64_t leads[] = {1, 500, 1000, 5000, 10000};
  if (or_percent(rng, 15)) c->lead_ms = OR_PICK(rng, leads);
}
