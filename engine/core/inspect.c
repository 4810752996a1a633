/* Entries and records as JSON (inspect.h).
 *
 * Deliberately forgiving where the fold is strict: records are decoded for form only, so that a log can be looked at that no longer
 * fits its feature file. */
#include "core/inspect.h"

#include "core/inspect_ledger.h"
#include "core/inspect_rollout.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json_out.h"
#include "base/utf8.h"
#include "core/batch.h"
#include "core/fold.h"

struct inspect {
  const struct tide_inspect_options *options;
  tide_inspect_fn emit;
  void *ctx;
  struct tide_spec *spec; /* names of fields and lists; NULL before a CONFIG that parses */
  struct tide_record record;
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_buf json;
  uint64_t entries, records;
  enum tide_err first;
  struct tide_error first_error;
};

static const char *type_name(unsigned type) {
  switch (type) {
    case TIDE_REC_EVENT: return "event";
    case TIDE_REC_OUTCOME: return "outcome";
    case TIDE_REC_RATE: return "rate";
    case TIDE_REC_LIST: return "list";
    case TIDE_REC_HEARTBEAT: return "heartbeat";
    case TIDE_REC_PROFILE: return "profile";
    case TIDE_REC_CONFIG: return "config";
    case TIDE_REC_DIGEST: return "digest";
    case TIDE_REC_FENCE: return "fence";
    case TIDE_REC_CHECK: return "check";
    case TIDE_REC_SOURCES: return "sources";
    case TIDE_REC_START: return "start";
    case TIDE_REC_CLAIM: return "claim";
    case TIDE_REC_TARGETS: return "targets";
    case TIDE_REC_EMITTED: return "emitted";
    case TIDE_REC_WAIVE: return "waive";
    case TIDE_REC_ARTIFACT: return "artifact";
    case TIDE_REC_ROLLOUT: return "rollout";
    default: return NULL;
  }
}

static void key_int(struct tide_buf *out, const char *key, int64_t v) {
  tide_json_key(out, key);
  tide_json_int(out, v);
}
static void key_cstr(struct tide_buf *out, const char *key, const char *text) {
  tide_json_key(out, key);
  tide_json_cstr(out, text);
}
/* 64 random or hashed bits do not survive as a JSON number. */
static void key_hex(struct tide_buf *out, const char *key, uint64_t v) {
  char text[20];
  snprintf(text, sizeof text, "%016llx", (unsigned long long)v);
  key_cstr(out, key, text);
}
static void key_u128(struct tide_buf *out, const char *key, struct tide_u128 v) {
  char text[40];
  snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)v.hi, (unsigned long long)v.lo);
  key_cstr(out, key, text);
}
/* Times as text where they are times; header times may be anything. */
static void key_time(struct tide_buf *out, const char *key, int64_t ms) {
  char text[TIDE_TIME_TEXT];
  if (ms >= TIDE_TIME_MIN_MS && ms <= TIDE_TIME_MAX_MS) {
    key_cstr(out, key, tide_time_format((struct tide_etime){ms}, text));
  } else {
    key_int(out, key, ms);
  }
}

static void fail(struct inspect *inspect, enum tide_err err, const struct tide_error *error) {
  tide_json_key(&inspect->json, "error");
  tide_json_cstr(&inspect->json, error->text);
  if (inspect->first == TIDE_OK) {
    inspect->first = err;
    inspect->first_error = *error;
  }
}

static void put_cursors(struct tide_buf *out, const struct tide_cursor_part *part, unsigned count) {
  tide_json_key(out, "cursors");
  tide_json_open(out, '[');
  for (unsigned i = 0; i < count; i++) {
    tide_json_open(out, '{');
    key_int(out, "source", part[i].source);
    key_int(out, "partition", part[i].partition);
    key_int(out, "from", (int64_t)part[i].from);
    key_int(out, "next", (int64_t)part[i].next);
    key_time(out, "seen", part[i].seen);
    key_time(out, "drained", part[i].drained);
    key_int(out, "delay_ms", part[i].delay);
    key_hex(out, "checksum", part[i].checksum);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

static void put_header(struct tide_buf *out, const struct tide_entry_reader *reader) {
  const struct tide_entry_header *header = &reader->header;
  key_int(out, "format", header->format);
  key_int(out, "fold", header->fold);
  key_int(out, "engine", header->engine_id);
  key_hex(out, "fence_nonce", header->fence_nonce);
  key_hex(out, "attempt_nonce", header->attempt_nonce);
  key_time(out, "commit", header->commit_ms);
  key_int(out, "generation", header->generation);
  put_cursors(out, reader->part, header->cursor_count);
}

static void put_datum(struct tide_buf *out, const struct tide_field *field, const struct tide_datum *datum) {
  if (datum->kind == TIDE_D_TEXT) {
    tide_json_str(out, datum->text);
  } else if (datum->kind == TIDE_D_KEY) {
    tide_json_open(out, '{');
    key_u128(out, "key", datum->key);
    if (datum->alt.lo | datum->alt.hi) {
      key_u128(out, "previous", datum->alt);
    }
    tide_json_close(out, '}');
  } else if (datum->currency[0]) {
    tide_json_open(out, '{');
    tide_json_key(out, "amount");
    tide_json_money(out, datum->num, datum->exponent);
    key_cstr(out, "currency", datum->currency);
    tide_json_close(out, '}');
  } else if (field && field->type == TIDE_F_BOOL) {
    tide_json_bool(out, datum->num != 0);
  } else if (field && field->type == TIDE_F_NUMBER) {
    tide_json_money(out, datum->num, field->decimals);
  } else {
    tide_json_int(out, datum->num);
  }
}

static void put_fields(struct inspect *inspect) {
  struct tide_buf *out = &inspect->json;
  tide_json_key(out, "fields");
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < TIDE_FIELDS_MAX; i++) {
    const struct tide_datum *datum = &inspect->record.field[i];
    if (datum->kind == TIDE_D_NONE) {
      continue;
    }
    const struct tide_field *field = inspect->spec && i < inspect->spec->field_count ? &inspect->spec->field[i] : NULL;
    char name[16];
    snprintf(name, sizeof name, "f%u", i);
    tide_json_key(out, field ? field->name : name);
    put_datum(out, field, datum);
  }
  tide_json_close(out, '}');
}

static bool sets(const struct tide_outcome *outcome, enum tide_dyn dyn) { return outcome->set >> dyn & 1; }

static void put_outcome(struct tide_buf *out, const struct tide_outcome *outcome) {
  static const enum tide_dyn words[] = {TIDE_DYN_result, TIDE_DYN_reversed, TIDE_DYN_refunded, TIDE_DYN_disputed, TIDE_DYN_label};
  const uint8_t value[] = {outcome->result, outcome->reversed, outcome->refunded, outcome->disputed, outcome->label};
  tide_json_key(out, "sets");
  tide_json_open(out, '{');
  for (unsigned i = 0; i < sizeof value; i++) {
    if (sets(outcome, words[i])) {
      key_cstr(out, tide_dyn_name(words[i]), tide_dyn_words(words[i])[value[i]]);
    }
  }
  if (sets(outcome, TIDE_DYN_reason)) {
    struct tide_span reason = {outcome->reason, strnlen(outcome->reason, sizeof outcome->reason)};
    tide_json_key(out, "reason");
    tide_json_str(out, tide_utf8_valid(reason) ? reason : TIDE_SPAN("(not text)"));
  }
  if (sets(outcome, TIDE_DYN_amount_now)) {
    tide_json_key(out, "amount_now");
    tide_json_money(out, outcome->amount_now, outcome->exponent);
    key_cstr(out, "currency", outcome->currency);
  }
  tide_json_close(out, '}');
}

static void put_data(struct inspect *inspect, const struct tide_raw_record *raw) {
  static const struct {
    unsigned flag;
    const char *name;
  } flags[] = {{TIDE_REC_NOCOUNT, "nocount"}, {TIDE_REC_SAME_ROW, "same_row"}, {TIDE_REC_STAMPED, "stamped"}};
  struct tide_buf *out = &inspect->json;
  struct tide_record *record = &inspect->record;
  struct tide_error error;
  enum tide_err err = tide_record_decode(NULL, raw, record, &error);
  if (err) {
    fail(inspect, err, &error);
    return;
  }
  for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    if (record->flags & flags[i].flag) {
      tide_json_key(out, flags[i].name);
      tide_json_bool(out, true);
    }
  }
  key_int(out, "source", record->source);
  key_int(out, "partition", record->partition);
  key_int(out, "offset", (int64_t)record->offset);
  key_time(out, "time", record->time.ms);
  if (record->key_id) {
    key_hex(out, "key_id", record->key_id);
  }
  if (raw->type != TIDE_REC_RATE && raw->type != TIDE_REC_HEARTBEAT) {
    put_fields(inspect);
  }
  if (raw->type == TIDE_REC_OUTCOME) {
    put_outcome(out, &record->outcome);
  } else if (raw->type == TIDE_REC_RATE) {
    key_cstr(out, "currency", record->rate.currency);
    tide_json_key(out, "rate");
    tide_json_money(out, record->rate.rate_e10, 10);
  } else if (raw->type == TIDE_REC_LIST) {
    bool named = inspect->spec && record->list.list < inspect->spec->list_count;
    key_int(out, "list", record->list.list);
    if (named) {
      key_cstr(out, "name", inspect->spec->list[record->list.list].name);
    }
    if (record->list.expires_ms) {
      key_time(out, "expires", record->list.expires_ms);
    }
    tide_json_key(out, "remove");
    tide_json_bool(out, record->list.remove);
  }
}

/* A feature file that this program does not understand costs the names, nothing else. */
static void learn(struct inspect *inspect, struct tide_span features) {
  struct tide_spec *spec = NULL;
  struct tide_error error;
  size_t errors;
  if (tide_spec_parse("journal", features, &spec, &error, 1, &errors) == TIDE_OK) {
    tide_spec_free(inspect->spec);
    inspect->spec = spec;
  }
}

static void put_control(struct inspect *inspect, const struct tide_raw_record *raw) {
  struct tide_buf *out = &inspect->json;
  struct tide_error error = {0};
  struct tide_settings settings;
  struct tide_span features;
  struct tide_digest digest;
  struct tide_fence fence;
  struct tide_check_point point;
  enum tide_err err;
  switch (raw->type) {
    case TIDE_REC_CONFIG:
      err = tide_config_decode(raw, &settings, &features, &error);
      if (!err) {
        learn(inspect, features);
        key_cstr(out, "features", inspect->spec ? inspect->spec->name : "");
        key_int(out, "features_bytes", (int64_t)features.len);
        key_u128(out, "features_hash", tide_hash128(features.ptr, features.len, 0));
        tide_json_key(out, "settings");
        tide_json_open(out, '{');
        settings.hash_seed = settings.hash_seed != 0; /* not shown: who knows it can make identities that collide */
#define X(name, dflt, lo, hi, help) key_int(out, #name, settings.name);
        TIDE_SETTINGS(X)
#undef X
        tide_json_close(out, '}');
      }
      break;
    case TIDE_REC_DIGEST:
      err = tide_digest_decode(raw, &digest, &error);
      if (!err) {
        key_int(out, "decisions", (int64_t)digest.decisions);
        key_u128(out, "digest", digest.digest);
        key_hex(out, "state_hash", digest.state_hash);
      }
      break;
    case TIDE_REC_FENCE:
      err = tide_fence_decode(raw, &fence, &error);
      if (!err) {
        key_hex(out, "nonce", fence.nonce);
        key_int(out, "epoch", (int64_t)fence.epoch);
        key_int(out, "engine", fence.engine_id);
        key_u128(out, "session", fence.session);
      }
      break;
    case TIDE_REC_CHECK:
      err = tide_check_decode(raw, &point, &error);
      if (!err) {
        char position[TIDE_POSITION_TEXT];
        snprintf(position, sizeof position, "%llu-%llu", (unsigned long long)point.position.epoch, (unsigned long long)point.position.seq);
        key_cstr(out, "position", position);
        key_int(out, "decisions", (int64_t)point.decisions);
        key_u128(out, "digest", point.digest);
      }
      break;
    case TIDE_REC_ARTIFACT:
    case TIDE_REC_ROLLOUT: err = tide_inspect_rollout(raw, out, &error); break;
    default: err = tide_inspect_ledger(raw, out, &error);
  }
  if (err) {
    fail(inspect, err, &error);
  }
}

static void put_record(struct inspect *inspect, struct tide_position at, uint32_t index, const struct tide_raw_record *raw) {
  struct tide_buf *out = &inspect->json;
  char text[TIDE_POSITION_TEXT];
  const char *name = type_name(raw->type);
  tide_buf_clear(out);
  tide_json_open(out, '{');
  key_cstr(out, "position", tide_position_text(at, index, text));
  key_cstr(out, "type", name ? name : "unknown");
  key_int(out, "bytes", (int64_t)raw->payload.len);
  if (raw->type >= TIDE_REC_EVENT && raw->type <= TIDE_REC_PROFILE) {
    put_data(inspect, raw);
  } else {
    put_control(inspect, raw);
  }
  tide_json_close(out, '}');
}

/* "7-48213": the position of an entry. */
static const char *entry_text(struct tide_position at, char out[TIDE_POSITION_TEXT]) {
  snprintf(out, TIDE_POSITION_TEXT, "%llu-%llu", (unsigned long long)at.epoch, (unsigned long long)at.seq);
  return out;
}

/* Walks the records of an entry; with options.records each is emitted. *ret_more false: the receiver has enough. */
static enum tide_err walk_records(struct inspect *inspect, struct tide_entry_reader *reader, struct tide_position at, uint64_t count[256],
                                  bool *ret_more, struct tide_error *error) {
  struct tide_raw_record raw;
  enum tide_err err;
  while ((err = tide_entry_next(reader, &raw, error)) == TIDE_OK && *ret_more) {
    inspect->records++;
    count[raw.type]++;
    if (inspect->options->records) {
      put_record(inspect, at, reader->index, &raw);
      *ret_more = inspect->emit(inspect->ctx, tide_buf_span(&inspect->json));
    }
  }
  return err == TIDE_E_END ? TIDE_OK : err;
}

static bool show_entry(struct inspect *inspect, struct tide_position at, struct tide_span entry) {
  struct tide_buf *out = &inspect->json;
  struct tide_entry_reader reader;
  struct tide_error error;
  char text[TIDE_POSITION_TEXT];
  uint64_t count[256] = {0};
  bool more = true;
  inspect->entries++;
  enum tide_err err = tide_entry_open(&reader, entry, inspect->part, &error);
  bool opened = err == TIDE_OK;
  if (opened) {
    err = walk_records(inspect, &reader, at, count, &more, &error);
  }
  if (!more || (inspect->options->records && !err)) {
    return more;
  }
  tide_buf_clear(out);
  tide_json_open(out, '{');
  key_cstr(out, "position", entry_text(at, text));
  key_int(out, "bytes", (int64_t)entry.len);
  if (opened) {
    put_header(out, &reader);
    tide_json_key(out, "records");
    tide_json_open(out, '{');
    for (unsigned type = 0; type < 256; type++) {
      if (count[type]) {
        key_int(out, type_name(type) ? type_name(type) : "unknown", (int64_t)count[type]);
      }
    }
    tide_json_close(out, '}');
  }
  if (err) {
    fail(inspect, err, &error);
  }
  tide_json_close(out, '}');
  return inspect->emit(inspect->ctx, tide_buf_span(out));
}

enum tide_err tide_inspect(struct tide_journal *journal, const struct tide_inspect_options *options, tide_inspect_fn emit, void *ctx,
                           uint64_t *ret_entries, uint64_t *ret_records, struct tide_error *error) {
  struct inspect *inspect = tide_alloc(sizeof *inspect);
  inspect->options = options;
  inspect->emit = emit;
  inspect->ctx = ctx;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_position at = options->from;
  enum tide_err err = TIDE_OK;
  bool more = true;
  for (bool inclusive = true; more && (options->limit == 0 || inspect->entries < options->limit); inclusive = false) {
    err = journal->ops->read(journal, at, inclusive, &entry, &at, error);
    if (err) {
      break;
    }
    more = show_entry(inspect, at, tide_buf_span(&entry));
  }
  if (err == TIDE_E_END) {
    err = TIDE_OK;
  }
  if (!err && inspect->first) {
    err = inspect->first;
    if (error) {
      *error = inspect->first_error;
    }
  }
  if (ret_entries) {
    *ret_entries = inspect->entries;
  }
  if (ret_records) {
    *ret_records = inspect->records;
  }
  tide_spec_free(inspect->spec);
  tide_buf_release(&entry);
  tide_buf_release(&inspect->json);
  tide_free(inspect);
  return err;
}
