/* SVG (plot.h).
 *
 * Only elements that every browser and printer draws the same: rect, line, polyline, circle, text. No script, no style attribute: a page may forbid both. */
#include "cli/plot.h"

#include <math.h>
#include <stdio.h>

enum { LEFT = 58, RIGHT = 14, TOP = 10, BOTTOM = 44 };

void tide_html_text(struct tide_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '&') tide_buf_str(out, "&amp;");
    else if (*text == '<') tide_buf_str(out, "&lt;");
    else if (*text == '>') tide_buf_str(out, "&gt;");
    else if (*text == '"') tide_buf_str(out, "&quot;");
    else tide_buf_char(out, *text);
  }
}

struct tide_plot tide_plot_begin(struct tide_buf *out, const char *name, const char *title, const char *description, double width,
                                 double height) {
  tide_buf_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">", width, height, name,
                  name, name);
  tide_html_text(out, title);
  tide_buf_printf(out, "</title><desc id=\"%s-d\">", name);
  tide_html_text(out, description);
  tide_buf_str(out, "</desc>\n");
  return (struct tide_plot){out, LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM, 0, 1, 0, 1};
}

void tide_plot_end(struct tide_plot *plot) { tide_buf_str(plot->out, "</svg>\n"); }

void tide_plot_limits(struct tide_plot *plot, double x0, double x1, double y0, double y1) {
  plot->x0 = x0;
  plot->x1 = x1 > x0 ? x1 : x0 + 1;
  plot->y0 = y0;
  plot->y1 = y1 > y0 ? y1 : y0 + 1;
}

static double inside(double share) { return share < 0 ? 0 : share > 1 ? 1 : share; }
double tide_plot_x(const struct tide_plot *p, double x) { return p->left + p->width * inside((x - p->x0) / (p->x1 - p->x0)); }
double tide_plot_y(const struct tide_plot *p, double y) { return p->top + p->height * (1 - inside((y - p->y0) / (p->y1 - p->y0))); }

void tide_plot_text(struct tide_plot *plot, const char *class, double px, double py, const char *anchor, const char *text) {
  tide_buf_printf(plot->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, px, py, anchor);
  tide_html_text(plot->out, text);
  tide_buf_str(plot->out, "</text>\n");
}

static void line(struct tide_plot *plot, const char *class, double ax, double ay, double bx, double by) {
  tide_buf_printf(plot->out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, ax, ay, bx, by);
}

void tide_plot_axes(struct tide_plot *p, const struct tide_tick *x, size_t x_count, const char *x_label, const struct tide_tick *y,
                    size_t y_count, const char *y_label) {
  double below = p->top + p->height;
  for (size_t i = 0; i < x_count; i++) {
    double px = tide_plot_x(p, x[i].at);
    line(p, "grid", px, p->top, px, below);
    tide_plot_text(p, "tick", px, below + 15, "middle", x[i].text);
  }
  for (size_t i = 0; i < y_count; i++) {
    double py = tide_plot_y(p, y[i].at);
    line(p, "grid", p->left, py, p->left + p->width, py);
    tide_plot_text(p, "tick", p->left - 6, py + 4, "end", y[i].text);
  }
  tide_buf_printf(p->out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", p->left, p->top, p->width,
                  p->height);
  tide_plot_text(p, "label", p->left + p->width / 2, below + 34, "middle", x_label);
  tide_buf_printf(p->out, "<text class=\"label\" transform=\"translate(13 %.1f) rotate(-90)\" text-anchor=\"middle\">",
                  p->top + p->height / 2);
  tide_html_text(p->out, y_label);
  tide_buf_str(p->out, "</text>\n");
}

size_t tide_plot_round_ticks(double lo, double hi, struct tide_tick tick[TIDE_TICKS_MAX], char text[TIDE_TICKS_MAX][TIDE_TICK_TEXT]) {
  if (!(hi > lo)) return 0;
  double raw = (hi - lo) / 5, step = pow(10, floor(log10(raw)));
  if (raw > step * 5) step *= 10;
  else if (raw > step * 2) step *= 5;
  else if (raw > step) step *= 2;
  size_t count = 0;
  for (double k = ceil(lo / step - 1e-9); k * step <= hi + step * 1e-9 && count < TIDE_TICKS_MAX; k++) {
    snprintf(text[count], TIDE_TICK_TEXT, "%g", k == 0 ? 0.0 : k * step);
    tick[count] = (struct tide_tick){k * step, text[count]};
    count++;
  }
  return count;
}

struct tide_plot_line tide_plot_line_begin(struct tide_plot *plot, const char *class) {
  tide_buf_printf(plot->out, "<polyline class=\"%s\" points=\"", class);
  return (struct tide_plot_line){plot, false, 0, 0};
}

void tide_plot_line_to(struct tide_plot_line *l, double x, double y) {
  double px = tide_plot_x(l->plot, x), py = tide_plot_y(l->plot, y);
  if (l->open && fabs(px - l->x) < 0.5 && fabs(py - l->y) < 0.5) return;
  tide_buf_printf(l->plot->out, "%s%.1f,%.1f", l->open ? " " : "", px, py);
  l->open = true;
  l->x = px;
  l->y = py;
}

void tide_plot_line_end(struct tide_plot_line *l) { tide_buf_str(l->plot->out, "\"/>\n"); }

void tide_plot_segment(struct tide_plot *p, const char *class, double x0, double y0, double x1, double y1) {
  line(p, class, tide_plot_x(p, x0), tide_plot_y(p, y0), tide_plot_x(p, x1), tide_plot_y(p, y1));
}

void tide_plot_dot(struct tide_plot *p, const char *class, double x, double y, double radius, const char *say) {
  tide_buf_printf(p->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>", class, tide_plot_x(p, x), tide_plot_y(p, y),
                  radius);
  tide_html_text(p->out, say);
  tide_buf_str(p->out, "</title></circle>\n");
}
