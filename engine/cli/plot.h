/* Plots as SVG inside of a page: a frame with axes, and lines, dots, bars and words in it.
 *
 * Coordinates of data are linear; who wants a logarithm takes it before and says so by its ticks. Colours are classes of the page's style sheet, so light and
 * dark are its affair. Every plot is an image with a title and a description for those who do not see it. Numbers are printed with one decimal, so equal data
 * give equal bytes. */
#ifndef TIDE_PLOT_H
#define TIDE_PLOT_H

#include "base/buf.h"

struct tide_plot {
  struct tide_buf *out;
  double left, top, width, height; /* of the frame in the picture */
  double x0, x1, y0, y1;           /* data at its corners, x0 left, y0 below */
};

struct tide_tick { double at; const char *text; };

/* Opens <svg> of width x height pixels with room for ticks and labels around the frame. `name` is unique in the page; title and description are escaped. */
struct tide_plot tide_plot_begin(struct tide_buf *out, const char *name, const char *title, const char *description, double width, double height);
void tide_plot_end(struct tide_plot *plot);
/* Limits of the data. Equal ones are moved apart. */
void tide_plot_limits(struct tide_plot *plot, double x0, double x1, double y0, double y1);
/* Frame, grid lines at the ticks, their texts, and the labels. */
void tide_plot_axes(struct tide_plot *plot, const struct tide_tick *x, size_t x_count, const char *x_label, const struct tide_tick *y, size_t y_count,
                    const char *y_label);
/* Up to 6 ticks at round numbers (1, 2, 5 times a power of ten) in [lo, hi]; text holds their words. Returns how many. */
#define TIDE_TICKS_MAX 12
#define TIDE_TICK_TEXT 24
size_t tide_plot_round_ticks(double lo, double hi, struct tide_tick tick[TIDE_TICKS_MAX], char text[TIDE_TICKS_MAX][TIDE_TICK_TEXT]);
/* Data to pixels, cut at the frame. */
double tide_plot_x(const struct tide_plot *plot, double x);
double tide_plot_y(const struct tide_plot *plot, double y);

/* A line through points, then fed one by one; points closer than half a pixel to the one before are passed over. */
struct tide_plot_line { struct tide_plot *plot; bool open; double x, y; };
struct tide_plot_line tide_plot_line_begin(struct tide_plot *plot, const char *class);
void tide_plot_line_to(struct tide_plot_line *line, double x, double y);
void tide_plot_line_end(struct tide_plot_line *line);
/* One straight piece. */
void tide_plot_segment(struct tide_plot *plot, const char *class, double x0, double y0, double x1, double y1);
/* A dot with a word that is shown when it is pointed at (escaped). */
void tide_plot_dot(struct tide_plot *plot, const char *class, double x, double y, double radius, const char *say);
/* Text at pixels; anchor start, middle or end. */
void tide_plot_text(struct tide_plot *plot, const char *class, double px, double py, const char *anchor, const char *text);
/* Text as HTML has it: & < > " as entities. */
void tide_html_text(struct tide_buf *out, const char *text);

#endif
