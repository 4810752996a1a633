/* The watch of a running engine: its owner on the core's thread, and what other threads may see of it (core/watch.h).
 *
 * The fold's hooks count on the core's thread without a lock. Once a second that thread takes a look (some tens of microseconds) and puts it where others find it;
 * should one be reading just then, it tries again at its next turn and never waits. */
#ifndef TIDE_WATCHER_H
#define TIDE_WATCHER_H

#include "core/watch.h"

struct tide_watcher;
struct tide_watcher *tide_watcher_new(const struct tide_watch_options *options);
void tide_watcher_free(struct tide_watcher *watcher);
/* Before the engine has started: takes up what was kept beside the snapshot in `dir` (NULL: nowhere) if it is of the fold's position, and watches the fold from here
 * on. Whether it goes on or begins anew is logged. */
void tide_watcher_attach(struct tide_watcher *watcher, struct tide_fold *fold, const char *dir);
struct tide_watch_options tide_watcher_options(const struct tide_watcher *watcher);
/* The core's thread, between steps. */
void tide_watcher_turn(struct tide_watcher *watcher);
/* Any thread: the last look, until it is given back; NULL: there is none yet (then it is given back too). */
const struct tide_watch_look *tide_watcher_borrow(struct tide_watcher *watcher);
void tide_watcher_give_back(struct tide_watcher *watcher);
/* On the core's thread, or in a child of it, or after the end: keeps it beside the snapshot at `position` in `dir`. Errors: IO, FULL. */
enum tide_err tide_watcher_keep(const struct tide_watcher *watcher, const char *dir, struct tide_position position, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
