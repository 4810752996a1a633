/* The page of a training run: one HTML file with everything in it, for those who decide whether a model may go live.
 *
 * No script, no font, no picture from elsewhere: it can be mailed, archived beside the artifact and opened in ten years. Nothing in it is a clock or a path, so the same
 * log, files and options give the same bytes. */
#ifndef TIDE_TRAIN_REPORT_H
#define TIDE_TRAIN_REPORT_H

#include "cli/train_run.h"

/* Appends the page. */
void tide_train_report(const struct tide_spec *spec, const struct tide_train_run *run, struct tide_buf *out);

#endif
