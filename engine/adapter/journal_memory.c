/* The journal in memory: for replay without a directory, for tests, and as the shared log of the simulator.
 *
 * A log is an array of entries by position and is shared by all handles attached to it. Positions are sorted, so a read is a binary
 * search. "Durable" is what was there at the last sync, by whichever handle: a crash of the store drops the rest and the epochs it
 * opened. */
#include "adapter/file.h"

#include <stdlib.h>

struct stored {
  struct tide_position at;
  char *ptr;
  size_t len;
};

/* entry[first .. first+count) are there; `durable` of them have survived a sync. */
struct log {
  unsigned handles;
  uint64_t life; /* how often the store has crashed */
  struct stored *entry;
  size_t first, count, cap;
  size_t durable;
};

struct memory_journal {
  struct tide_journal base;
  struct log *log;
};

static struct log *log_of(struct tide_journal *journal) { return ((struct memory_journal *)(void *)journal)->log; }

static struct tide_position last_of(const struct log *log) {
  return log->count ? log->entry[log->first + log->count - 1].at : (struct tide_position){0, 0};
}

/* Room for one more at the end: trimmed places in front are used again before the array grows. */
static void make_room(struct log *log) {
  if (log->first + log->count < log->cap) {
    return;
  }
  if (log->first > 0 && log->first >= log->count) {
    memmove(log->entry, log->entry + log->first, log->count * sizeof *log->entry);
    log->first = 0;
    return;
  }
  log->cap = log->cap ? log->cap * 2 : 64;
  log->entry = tide_realloc(log->entry, log->cap * sizeof *log->entry);
}

static enum tide_err put(struct log *log, struct tide_position at, struct tide_span entry, struct tide_position *ret,
                         struct tide_error *error) {
  if (entry.len > TIDE_ENTRY_MAX) {
    return tide_fail(error, TIDE_E_LIMIT, "journal in memory: an entry of %zu bytes is above the limit of %u; split the batch", entry.len,
                     TIDE_ENTRY_MAX);
  }
  TIDE_CHECK(tide_position_follows(last_of(log), at));
  make_room(log);
  log->entry[log->first + log->count] = (struct stored){at, tide_strndup(entry.ptr, entry.len), entry.len};
  log->count++;
  *ret = at;
  return TIDE_OK;
}

static enum tide_err memory_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error) {
  (void)error;
  const struct log *log = log_of(journal);
  *ret = (struct tide_session){.id = {log->life + 1, 0}, .epoch_min = last_of(log).epoch};
  return TIDE_OK;
}

static enum tide_err memory_append(struct tide_journal *journal, uint64_t epoch, struct tide_span entry, struct tide_position *ret,
                                   struct tide_error *error) {
  struct log *log = log_of(journal);
  struct tide_position last = last_of(log);
  if (epoch == 0 || epoch != last.epoch) {
    return tide_fail(error, TIDE_E_STALE, "journal in memory: epoch %llu is not the last one, %llu is; open a new epoch",
                     (unsigned long long)epoch, (unsigned long long)last.epoch);
  }
  return put(log, (struct tide_position){epoch, last.seq + 1}, entry, ret, error);
}

static enum tide_err memory_open_epoch(struct tide_journal *journal, uint64_t epoch, struct tide_span fence, struct tide_position *ret,
                                       struct tide_error *error) {
  struct log *log = log_of(journal);
  if (epoch <= last_of(log).epoch) {
    return tide_fail(error, TIDE_E_STALE, "journal in memory: epoch %llu cannot be opened, %llu exists", (unsigned long long)epoch,
                     (unsigned long long)last_of(log).epoch);
  }
  return put(log, (struct tide_position){epoch, 0}, fence, ret, error);
}

static enum tide_err memory_sync(struct tide_journal *journal, struct tide_position *ret_durable, struct tide_error *error) {
  (void)error;
  struct log *log = log_of(journal);
  log->durable = log->count;
  *ret_durable = last_of(log);
  return TIDE_OK;
}

static enum tide_err memory_read(struct tide_journal *journal, struct tide_position from, bool inclusive, struct tide_buf *out,
                                 struct tide_position *ret, struct tide_error *error) {
  (void)error;
  struct log *log = log_of(journal);
  size_t low = log->first, end = log->first + log->count, high = end;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = tide_position_cmp(log->entry[middle].at, from);
    if (order < 0 || (order == 0 && !inclusive)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == end) {
    return TIDE_E_END;
  }
  const struct stored *found = &log->entry[low];
  tide_buf_clear(out);
  tide_buf_put(out, found->ptr, found->len);
  *ret = found->at;
  return TIDE_OK;
}

static enum tide_err memory_range(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                                  struct tide_error *error) {
  (void)error;
  struct log *log = log_of(journal);
  *ret_first = log->count ? log->entry[log->first].at : (struct tide_position){0, 0};
  *ret_last = last_of(log);
  return TIDE_OK;
}

static enum tide_err memory_trim(struct tide_journal *journal, struct tide_position keep, struct tide_span entry,
                                 struct tide_error *error) {
  (void)error, (void)entry;
  struct log *log = log_of(journal);
  while (log->durable > 1 && tide_position_cmp(log->entry[log->first].at, keep) < 0) {
    tide_free(log->entry[log->first].ptr);
    log->first++;
    log->count--;
    log->durable--;
  }
  return TIDE_OK;
}

static void memory_close(struct tide_journal *journal) {
  struct log *log = log_of(journal);
  if (--log->handles == 0) {
    for (size_t i = 0; i < log->count; i++) {
      tide_free(log->entry[log->first + i].ptr);
    }
    tide_free(log->entry);
    tide_free(log);
  }
  tide_free(journal);
}

static const struct tide_journal_ops memory_ops = {
    .name = "memory",
    .begin = memory_begin,
    .append = memory_append,
    .open_epoch = memory_open_epoch,
    .sync = memory_sync,
    .read = memory_read,
    .range = memory_range,
    .trim = memory_trim,
    .close = memory_close,
};

static struct tide_journal *handle_on(struct log *log) {
  struct memory_journal *handle = tide_alloc(sizeof *handle);
  handle->base.ops = &memory_ops;
  handle->log = log;
  log->handles++;
  return &handle->base;
}

struct tide_journal *tide_journal_memory_new(void) {
  return handle_on(tide_alloc(sizeof(struct log)));
}

struct tide_journal *tide_journal_memory_attach(struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &memory_ops);
  return handle_on(log_of(journal));
}

void tide_journal_memory_new_session(struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &memory_ops);
  log_of(journal)->life++;
}

void tide_journal_memory_crash(struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &memory_ops);
  struct log *log = log_of(journal);
  log->life++;
  while (log->count > log->durable) {
    log->count--;
    tide_free(log->entry[log->first + log->count].ptr);
  }
}
