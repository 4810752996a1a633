/* The clock of the made-up world, what goes wrong on the way to us, and the output.
 *
 * Two things are ordered by time and merged: visits, drawn one after the other, and the queue of everything pending. The pause before
 * the next visit is exponential in weighted time (an hour at noon weighs more than one at night), its mean being the weight that is left
 * divided by the visits that are still needed; so the log ends where it was asked to end, with exactly as many authorizations as asked, whatever
 * retries, increments and thieves add.
 *
 * When the last authorization is made, purchases that are still pending are dropped, answers, labels and refunds are not: a log knows
 * what became of its transactions. */
#include "cli/generate_parts.h"

#include <inttypes.h>

struct tide_generate_options tide_generate_default(void) {
  return (struct tide_generate_options){
#define X(type, name, dflt, lo, hi, help) .name = dflt,
      TIDE_GENERATE_OPTIONS(X)
#undef X
          .labels = true,
      .output = "-"};
}

static enum tide_err check(const struct tide_generate_options *o, struct tide_error *error) {
#define X(type, name, dflt, lo, hi, help)                                                                                                  \
  if (!(o->name >= (type)(lo) && o->name <= (type)(hi)))                                                                                   \
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, #name, "generate: %s must lie between %" PRId64 " and %" PRId64, #name, (int64_t)(lo),  \
                        (int64_t)(hi));
  TIDE_GENERATE_OPTIONS(X)
#undef X
  if (o->cards && o->cards < 20) return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "cards", "generate: cards must be at least 20");
  if (o->merchants && o->merchants < 10)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "merchants", "generate: merchants must be at least 10");
  if (o->profiles && o->csv)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "profiles", "generate: profiles are written as JSON lines only: leave `format` out");
  if (o->outcomes > TIDE_GENERATE_NONE)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "outcomes", "generate: outcomes are records, row or none");
  return TIDE_OK;
}

/* --- what goes wrong on the way, and out */

static void put_line(struct gen *g, struct tide_span line) {
  if (!g->err) g->err = tide_text_out_put(g->out, line, g->error);
  if (!g->err) g->err = tide_text_out_put(g->out, TIDE_SPAN("\n"), g->error);
  g->counts.lines++;
}

static void put_later(struct gen *g, int64_t time) {
  struct tide_gen_node node = {.action = GEN_LINE};
  node.line.len = (uint32_t)g->line.len;
  node.line.text = tide_strndup(g->line.ptr, g->line.len);
  tide_gen_queue_put(&g->queue, time, &node);
}

static void count(struct gen *g, const struct tide_gen_record *r) {
  if (r->type == GEN_OUTCOME) g->counts.outcomes++;
  else if (r->type == GEN_LABEL) g->counts.labels++;
  else if (r->type == GEN_RATE) g->counts.rates++;
  else if (r->type == GEN_LIST) g->counts.lists++;
  else if (r->type == GEN_PROFILE) g->counts.profiles++;
  else if (r->type != GEN_AUTH) g->counts.others++;
}

/* Bad lines stand beside good ones and are copies of authorizations, spoiled: nothing is missing because of them. */
static void put_bad(struct gen *g, const struct tide_gen_record *r) {
  tide_buf_clear(&g->line);
  tide_gen_write(g, r, g->now, 1 + (uint32_t)(g->counts.bad % GEN_FLAWS), &g->line);
  put_line(g, tide_buf_span(&g->line));
  g->counts.bad++;
}

static void put_twice(struct gen *g, const struct tide_gen_record *r) {
  struct tide_gen_record again = *r;
  int64_t ms = tide_gen_between(&g->noise, 1, 900);
  again.time += ms;
  tide_buf_clear(&g->line);
  tide_gen_write(g, &again, g->now + ms, 0, &g->line);
  put_later(g, g->now + ms);
  g->counts.duplicates++;
}

static int64_t delay_of(struct gen *g, const struct tide_gen_record *r) {
  if (r->type == GEN_RATE || r->type == GEN_LIST || r->type == GEN_PROFILE) return 0;
  bool late = tide_gen_chance(&g->noise, r->type == GEN_AUTH ? g->share_ppm_late : 0);
  bool disorder = tide_gen_chance(&g->noise, g->share_ppm_out_of_order);
  if (late) {
    g->counts.late++;
    return tide_gen_between(&g->noise, 8 * GEN_DAY, 12 * GEN_DAY);
  }
  if (!disorder) return 0;
  g->counts.out_of_order++;
  return tide_gen_below(&g->noise, 5) ? tide_gen_between(&g->noise, 100, 5 * GEN_SECOND)
                                      : tide_gen_between(&g->noise, 5 * GEN_SECOND, 10 * GEN_MINUTE);
}

void tide_gen_emit(struct gen *g, const struct tide_gen_record *r) {
  count(g, r);
  if (r->type == GEN_AUTH && tide_gen_chance(&g->noise, g->share_ppm_bad)) put_bad(g, r);
  if (r->type == GEN_AUTH && tide_gen_chance(&g->noise, g->share_ppm_duplicates)) put_twice(g, r);
  int64_t delay = delay_of(g, r);
  tide_buf_clear(&g->line);
  tide_gen_write(g, r, r->time + delay, 0, &g->line);
  if (delay) put_later(g, r->time + delay);
  else put_line(g, tide_buf_span(&g->line));
}

void tide_gen_emit_at(struct gen *g, int64_t time, struct tide_gen_record record) {
  TIDE_CHECK(time >= g->now);
  struct tide_gen_node node = {.action = GEN_EMIT, .record = record};
  node.record.time = time;
  tide_gen_queue_put(&g->queue, time, &node);
}

/* --- time */

/* Central rates once a day, a small step at a time. */
static void emit_rates(struct gen *g, int64_t time) {
  for (uint8_t i = 1; i < g->opt.currencies; i++) {
    int64_t step = g->rate_e6[i] * tide_gen_normal_q16(&g->life) / 65536 / 300; /* a third of a percent a day */
    int64_t fair = tide_gen_currency[i].rate_e6;
    if (g->rate_e6[i] + step > fair / 2 && g->rate_e6[i] + step < fair * 2) g->rate_e6[i] += step;
    struct tide_gen_record r = {.type = GEN_RATE, .time = time, .currency = i, .rate_e6 = g->rate_e6[i], .merchant = GEN_NONE};
    tide_gen_emit(g, &r);
  }
}

static void run_node(struct gen *g, int64_t time, struct tide_gen_node *node, bool closing) {
  switch ((enum tide_gen_action)node->action) {
    case GEN_EMIT: tide_gen_emit(g, &node->record); break;
    case GEN_LINE:
      put_line(g, (struct tide_span){node->line.text, node->line.len});
      tide_free(node->line.text);
      break;
    case GEN_BUY:
      if (!closing) tide_gen_buy(g, time, &node->plan);
      break;
    case GEN_CAMPAIGN:
      if (!closing) tide_gen_fraud_step(g, time, node->ref);
      break;
    case GEN_REPLACE_CARD:
      if (g->card[node->ref].generation != node->plan.generation) break;
      if (!closing) tide_gen_lists_lost(g, time, node->ref);
      tide_gen_replace_card(g, node->ref);
      if (!closing) tide_gen_profiles_told(g, time, node->ref);
      break;
  }
}

/* Walks from `from` until the weight of the time passed exceeds `weight`. */
static int64_t walk(int64_t from, __int128 weight) {
  for (;;) {
    int64_t per_ms = tide_gen_hour_weight(from), end = (from / GEN_HOUR + 1) * GEN_HOUR;
    __int128 here = (__int128)per_ms * (end - from);
    if (here > weight) return from + (int64_t)(weight / per_ms);
    weight -= here;
    from = end;
  }
}

static __int128 weight_between(int64_t from, int64_t to) {
  __int128 sum = 0;
  while (from < to) {
    int64_t end = (from / GEN_HOUR + 1) * GEN_HOUR;
    if (end > to) end = to;
    sum += (__int128)tide_gen_hour_weight(from) * (end - from);
    from = end;
  }
  return sum;
}

static void simulate(struct gen *g) {
  uint64_t total = (uint64_t)g->opt.transactions, visits = 0;
  int64_t visit = g->opt.start_ms;
  __int128 left = weight_between(visit, visit + g->opt.days * GEN_DAY), least = left / (__int128)total / 4 + 1;
  g->now = visit;
  tide_gen_profiles_begin(g);
  tide_gen_lists_begin(g);
  g->next_rates = g->opt.currencies > 1 ? visit : INT64_MAX;
  while (g->counts.auths < total && !g->err) {
    /* Per visit there are some more authorizations than one; what was seen so far tells how many. */
    uint64_t rest = total - g->counts.auths;
    __int128 need = visits < 200 ? (__int128)rest * 3 / 5 : (__int128)rest * visits / g->counts.auths;
    __int128 mean = need > 0 ? left / need : left;
    if (mean < least) mean = least;
    __int128 pause = mean * tide_gen_exponential_q16(&g->life) / 65536;
    int64_t next = walk(visit, pause), pending;
    while (g->counts.auths < total && tide_gen_queue_next(&g->queue, &pending) && pending <= next && pending <= g->next_rates) {
      g->now = pending;
      struct tide_gen_node node = tide_gen_queue_take(&g->queue);
      run_node(g, pending, &node, false);
    }
    if (g->counts.auths >= total) break;
    if (g->next_rates <= next) { /* the pause is drawn again: it has no memory */
      g->now = g->next_rates;
      emit_rates(g, g->now);
      left -= weight_between(visit, g->now);
      visit = g->now;
      g->next_rates = (g->now / GEN_DAY + 1) * GEN_DAY;
      continue;
    }
    left -= pause;
    g->now = visit = next;
    tide_gen_fraud_start(g, visit);
    tide_gen_visit(g, visit);
    visits++;
    if (g->opt.progress && visits % 4096 == 0) g->opt.progress(g->opt.progress_ctx, g->counts.auths, total);
  }
  int64_t pending;
  while (tide_gen_queue_next(&g->queue, &pending) && !g->err) {
    g->now = pending;
    struct tide_gen_node node = tide_gen_queue_take(&g->queue);
    run_node(g, pending, &node, true);
  }
}

static uint32_t ppm(double pct) { return (uint32_t)(pct * 10000.0 + 0.5); }

static void scale(struct gen *g) {
  struct tide_generate_options *o = &g->opt;
  int64_t cards = o->cards ? o->cards : o->transactions * 3 / o->days;
  cards = cards < 50 && !o->cards ? 50 : cards > 20000000 ? 20000000 : cards;
  int64_t merchants = o->merchants ? o->merchants : cards / 8;
  merchants = merchants < 100 && !o->merchants ? 100 : merchants > 1000000 ? 1000000 : merchants;
  g->card_count = (uint32_t)cards;
  g->merchant_count = (uint32_t)merchants;
  g->share_ppm_out_of_order = ppm(o->out_of_order_pct);
  g->share_ppm_late = ppm(o->late_pct);
  g->share_ppm_duplicates = ppm(o->duplicates_pct);
  g->share_ppm_reused = ppm(o->reused_ids_pct);
  g->share_ppm_hot = ppm(o->hot_merchant_pct);
  g->share_ppm_bad = ppm(o->bad_pct);
}

enum tide_err tide_generate(const struct tide_generate_options *options, struct tide_error *error) {
  TIDE_CHECK(options && options->output);
  enum tide_err err = check(options, error);
  if (err) return err;
  struct gen *g = tide_alloc(sizeof *g);
  g->opt = *options;
  g->error = error;
  err = tide_text_out_open(options->output, &g->out, error);
  if (err) {
    tide_free(g);
    return err;
  }
  scale(g);
  tide_gen_seed(&g->world, (uint64_t)options->seed, 1);
  tide_gen_seed(&g->life, (uint64_t)options->seed, 2);
  tide_gen_seed(&g->noise, (uint64_t)options->seed, 3);
  tide_gen_seed(&g->lists, (uint64_t)options->seed, 4);
  tide_gen_world_build(g);
  if (options->csv) {
    tide_gen_write_header(&g->line);
    put_line(g, tide_buf_span(&g->line));
    g->counts.lines--;
  }
  simulate(g);
  if (g->opt.progress && !g->err) g->opt.progress(g->opt.progress_ctx, g->counts.auths, (uint64_t)g->opt.transactions);
  struct tide_error closing = {0};
  err = tide_text_out_close(g->out, &closing);
  if (g->err) err = g->err;
  else if (err && error) *error = closing;
  if (!err && options->counts) *options->counts = g->counts;
  tide_gen_queue_release(&g->queue);
  tide_buf_release(&g->line);
  tide_free(g->merchant);
  tide_free(g->card);
  tide_free(g->city_first);
  tide_free(g);
  return err;
}
