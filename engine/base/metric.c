/* The metrics table as text: Prometheus exposition format 0.0.4 for machines, a Markdown table for the reference page.
 *
 * Both come from the rows of metric.h, in table order, so the page cannot drift from what is exposed. */
#include "base/metric.h"

#include <inttypes.h>

static const struct {
  const char *name, *help;
} rows[] = {
#define X(name, help) {"tidemark_" #name, help},
    TIDE_METRICS(X)
#undef X
};
_Static_assert(sizeof rows / sizeof rows[0] == TIDE_METRIC_COUNT, "one row per metric");

void tide_metrics_expose(const struct tide_metrics *metrics, struct tide_buf *out) {
  for (int i = 0; i < TIDE_METRIC_COUNT; i++) {
    tide_buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n%s %" PRId64 "\n", rows[i].name, rows[i].help, rows[i].name, rows[i].name,
                    metrics->value[i]);
  }
}

void tide_metrics_document(struct tide_buf *out) {
  for (int i = 0; i < TIDE_METRIC_COUNT; i++) tide_buf_printf(out, "| `%s` | counter | | %s |\n", rows[i].name, rows[i].help);
}
