/* The report of tidemark features compare and features check --against (features_compare.h).
 *
 * All of it is worked out from the two files: what a journal holds decides only how far back counts reach, and it has every event since its beginning. */
#include "cli/features_compare.h"

#include "base/clock.h"
#include "base/json_out.h"
#include "feature/recast.h"
#include "feature/size.h"

#define REASONS_MAX 64

struct compare {
  const struct tide_spec *from, *to;
  struct tide_recast *recast; /* NULL: it cannot be */
  struct tide_error reason[REASONS_MAX];
  size_t reasons;
  double bytes[2]; /* 0: not asked for */
};

static enum tide_err measure(const struct tide_spec *spec, const struct tide_compare_options *options, double *ret,
                             struct tide_error *error) {
  struct tide_plan *plan;
  enum tide_err err = tide_plan_new(spec, &options->settings, &plan, error);
  if (err != TIDE_OK) return err;
  double bytes = 0;
  for (uint32_t e = 0; e < spec->entity_count && options->cards > 0; e++) {
    struct tide_population population = tide_size_assume(plan, e, options->cards, options->per_month);
    bytes += tide_size_kind(plan, e, &population, options->cards * options->per_month).bytes;
  }
  tide_plan_free(plan);
  *ret = bytes;
  return TIDE_OK;
}

/* ---- for programs ---- */

static void names_json(struct tide_buf *out, const char *key, const struct tide_spec *of, const struct tide_spec *other) {
  tide_json_key(out, key);
  tide_json_open(out, '[');
  for (uint32_t f = 0; f < of->field_count; f++)
    if (tide_spec_field(other, of->field[f].name) == TIDE_NONE) tide_json_cstr(out, of->field[f].name);
  tide_json_close(out, ']');
}

static void values_json(const struct compare *c, struct tide_buf *out) {
  tide_json_key(out, "values");
  tide_json_open(out, '[');
  for (uint32_t s = 0; c->recast && s < c->to->slot_count; s++) {
    enum tide_carry carry = tide_recast_slot(c->recast, s);
    tide_json_open(out, '{');
    tide_json_key(out, "name");
    tide_json_cstr(out, c->to->slot[s].name);
    tide_json_key(out, "becomes");
    tide_json_cstr(out, tide_carry_name(carry));
    if (carry == TIDE_CARRY_warming) {
      tide_json_key(out, "complete_after_ms");
      tide_json_int(out, tide_slot_reach(c->to, s));
    }
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_key(out, "values_gone");
  tide_json_open(out, '[');
  for (uint32_t s = 0; s < c->from->slot_count; s++)
    if (tide_spec_slot(c->to, c->from->slot[s].name) == TIDE_NONE) tide_json_cstr(out, c->from->slot[s].name);
  tide_json_close(out, ']');
}

static void report_json(const struct compare *c, struct tide_buf *out) {
  tide_json_open(out, '{');
  tide_json_key(out, "possible");
  tide_json_bool(out, c->recast != NULL);
  tide_json_key(out, "reasons");
  tide_json_open(out, '[');
  for (size_t i = 0; i < c->reasons && i < REASONS_MAX; i++) {
    tide_json_open(out, '{');
    tide_json_key(out, "line");
    tide_json_int(out, c->reason[i].line);
    tide_json_key(out, "why");
    tide_json_cstr(out, c->reason[i].text);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  names_json(out, "fields_new", c->to, c->from);
  names_json(out, "fields_gone", c->from, c->to);
  values_json(c, out);
  if (c->bytes[1] > 0) {
    tide_json_key(out, "bytes");
    tide_json_double(out, c->bytes[0]);
    tide_json_key(out, "bytes_next");
    tide_json_double(out, c->bytes[1]);
    tide_json_key(out, "bytes_both");
    tide_json_double(out, c->bytes[0] + c->bytes[1]);
  }
  tide_json_close(out, '}');
  tide_buf_char(out, '\n');
}

/* ---- for people ---- */

static void fields_text(struct tide_buf *out, const char *what, const struct tide_spec *of, const struct tide_spec *other) {
  for (uint32_t f = 0; f < of->field_count; f++)
    if (tide_spec_field(other, of->field[f].name) == TIDE_NONE) tide_buf_printf(out, "  %-11s %s\n", what, of->field[f].name);
}

static void values_text(const struct compare *c, struct tide_buf *out) {
  uint32_t carried = 0;
  char reach[TIDE_TIME_TEXT];
  for (uint32_t s = 0; s < c->to->slot_count; s++) {
    enum tide_carry carry = tide_recast_slot(c->recast, s);
    int64_t reach_ms = tide_slot_reach(c->to, s);
    carried += carry == TIDE_CARRY_carried;
    if (carry == TIDE_CARRY_backfilled)
      tide_buf_printf(out, "  %-11s %s: counted from the events in the log\n", "back-filled", c->to->slot[s].name);
    if (carry != TIDE_CARRY_warming) continue;
    tide_buf_printf(out, "  %-11s %s: reads a field that older events lack", "warming", c->to->slot[s].name);
    if (reach_ms) tide_buf_printf(out, "; complete %s behind the change\n", tide_duration_format(reach_ms, reach));
    else tide_buf_str(out, "\n");
  }
  for (uint32_t s = 0; s < c->from->slot_count; s++)
    if (tide_spec_slot(c->to, c->from->slot[s].name) == TIDE_NONE) tide_buf_printf(out, "  %-11s %s\n", "gone", c->from->slot[s].name);
  tide_buf_printf(out, "  %-11s %u other values stay what they are\n", "carried", carried);
}

static void report_text(const struct compare *c, struct tide_buf *out) {
  if (!c->recast) {
    tide_buf_printf(out, "%s cannot follow %s in a running journal:\n", c->to->name, c->from->name);
    for (size_t i = 0; i < c->reasons && i < REASONS_MAX; i++) {
      if (c->reason[i].line) tide_buf_printf(out, "  line %d: %s\n", c->reason[i].line, c->reason[i].text);
      else tide_buf_printf(out, "  %s\n", c->reason[i].text);
    }
    return;
  }
  tide_buf_printf(out, "%s can follow %s in a running journal\n", c->to->name, c->from->name);
  fields_text(out, "new field", c->to, c->from);
  fields_text(out, "field gone", c->from, c->to);
  values_text(c, out);
  if (c->bytes[1] > 0)
    tide_buf_printf(out, "  %-11s %.1f MB now, %.1f MB then, %.1f MB while both stand side by side\n", "memory", c->bytes[0] / 1e6,
                    c->bytes[1] / 1e6, (c->bytes[0] + c->bytes[1]) / 1e6);
}

enum tide_err tide_features_compare(const struct tide_spec *from, const struct tide_spec *to, const struct tide_compare_options *options,
                                    struct tide_buf *out, bool *ret_possible, struct tide_error *error) {
  struct compare *c = tide_alloc(sizeof *c);
  c->from = from;
  c->to = to;
  enum tide_err err = measure(from, options, &c->bytes[0], error);
  if (err == TIDE_OK) err = measure(to, options, &c->bytes[1], error);
  if (err == TIDE_OK) {
    bool possible = tide_recast_new(from, to, &c->recast, c->reason, REASONS_MAX, &c->reasons) == TIDE_OK;
    if (options->json) report_json(c, out);
    else report_text(c, out);
    *ret_possible = possible;
  }
  tide_recast_free(c->recast);
  tide_free(c);
  return err;
}
