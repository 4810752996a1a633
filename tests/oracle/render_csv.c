/* A case as CSV rows: the same records as the JSON lines, with one column for every place that any of its shapes reads.
 *
 * Cells are quoted or not by the row's number, since both mean the same. A row whose record has no such value leaves the cell empty. */
#include "tests/oracle/render.h"

#include <string.h>

#define COLUMNS_MAX (OF_COUNT + OD_COUNT + 10 + 2 * OR_FACTS_MAX)

static const char *const fact_column[OR_FACTS_MAX] = {"fact0", "fact1", "fact2", "fact3"};
static const char *const fact_currency[OR_FACTS_MAX] = {"fact0_currency", "fact1_currency", "fact2_currency", "fact3_currency"};

struct columns {
  const char *name[COLUMNS_MAX];
  int count;
};

static void column(struct columns *columns, const char *name) { columns->name[columns->count++] = name; }

static struct columns columns_of(const struct or_case *c) {
  struct columns columns = {.count = 0};
  column(&columns, "t");
  for (int f = 0; f < OF_COUNT; f++)
    if (c->uses[f] && f != OF_CNP) column(&columns, or_field_info[f].name);
  column(&columns, "currency");
  for (int d = 0; d < OD_AMOUNT; d++) column(&columns, or_dyn_name[d]);
  if (c->amount) column(&columns, "amount_now"), column(&columns, "currency_now");
  column(&columns, "rate");
  column(&columns, "list");
  column(&columns, "expires");
  column(&columns, "remove");
  for (int k = 0; k < c->fact_count; k++) {
    column(&columns, fact_column[k]);
    if (c->fact[k].type == OT_MONEY) column(&columns, fact_currency[k]);
  }
  return columns;
}

void or_render_csv_header(const struct or_case *c, struct tide_buf *out) {
  struct columns columns = columns_of(c);
  for (int i = 0; i < columns.count; i++) tide_buf_printf(out, "%s%s", i ? "," : "", columns.name[i]);
}

static bool field_cell(const struct or_record *r, const char *name, struct tide_buf *out) {
  for (int f = 0; f < OF_COUNT; f++) {
    const struct or_datum *datum = &r->field[f];
    if (strcmp(or_field_info[f].name, name) != 0 || f == OF_TIME || !datum->has) continue;
    switch (or_field_info[f].type) {
      case OT_TEXT: tide_buf_str(out, datum->text); break;
      case OT_BOOL: tide_buf_str(out, datum->num ? "true" : "false"); break;
      case OT_MONEY: or_render_decimal(datum->num, datum->exponent, out); break;
      default: or_render_decimal(datum->num, or_field_info[f].decimals, out); break;
    }
    return true;
  }
  return false;
}

static void outcome_cell(const struct or_record *r, const char *name, struct tide_buf *out) {
  const char *const word[OD_COUNT] = {[OD_RESULT] = or_result_word[r->result],        [OD_REASON] = r->reason,
                                      [OD_REVERSED] = or_extent_word[r->reversed],    [OD_REFUNDED] = or_extent_word[r->refunded],
                                      [OD_DISPUTED] = r->disputed ? "true" : "false", [OD_LABEL] = or_label_word[r->label]};
  for (int d = 0; d < OD_AMOUNT; d++)
    if (strcmp(or_dyn_name[d], name) == 0 && (r->set & 1u << d)) tide_buf_str(out, word[d]);
  if (!(r->set & 1u << OD_AMOUNT)) return;
  if (strcmp(name, "amount_now") == 0) or_render_decimal(r->amount_now, r->exponent, out);
  if (strcmp(name, "currency_now") == 0) tide_buf_str(out, r->currency);
}

static bool fact_cell(const struct or_case *c, const struct or_record *r, const char *name, struct tide_buf *out) {
  for (int k = 0; k < c->fact_count; k++) {
    if (strcmp(name, fact_column[k]) == 0) return or_render_fact(c, r, k, out) || true;
    if (strcmp(name, fact_currency[k]) != 0) continue;
    if (r->type == OR_PROFILE && r->fact[k].has) tide_buf_str(out, r->fact[k].currency);
    return true;
  }
  return false;
}

static void cell(const struct or_case *c, const struct or_record *r, const struct or_record *row, const char *name, struct tide_buf *out) {
  if (fact_cell(c, r, name, out)) return;
  if (strcmp(name, "t") == 0) or_render_type(r, out);
  else if (strcmp(name, "time") == 0) tide_buf_printf(out, "%lld", (long long)r->time_ms);
  else if (r->type == OR_RATE && strcmp(name, "currency") == 0) tide_buf_str(out, r->currency);
  else if (r->type == OR_RATE && strcmp(name, "rate") == 0) or_render_decimal(r->rate_e10, 10, out);
  else if (strcmp(name, "currency") == 0 && r->field[OF_AMOUNT].has) tide_buf_str(out, r->field[OF_AMOUNT].currency);
  else if (r->type == OR_LIST && strcmp(name, "list") == 0) tide_buf_str(out, c->list[r->list].name);
  else if (r->type == OR_LIST && strcmp(name, "expires") == 0 && r->expires_ms) tide_buf_printf(out, "%lld", (long long)r->expires_ms);
  else if (r->type == OR_LIST && strcmp(name, "remove") == 0 && r->remove) tide_buf_str(out, "true");
  else if (!field_cell(r, name, out) && (r->type == OR_OUTCOME || row)) outcome_cell(row ? row : r, name, out);
}

void or_render_csv(const struct or_case *c, const struct or_record *r, const struct or_record *row, struct tide_buf *out) {
  struct columns columns = columns_of(c);
  struct tide_buf one = TIDE_BUF_INIT;
  for (int i = 0; i < columns.count; i++) {
    tide_buf_clear(&one);
    cell(c, r, row, columns.name[i], &one);
    bool quotes = (r->time_ms + i) % 3 == 0;
    tide_buf_printf(out, quotes ? "%s\"%s\"" : "%s%s", i ? "," : "", tide_buf_cstr(&one));
  }
  tide_buf_release(&one);
}
