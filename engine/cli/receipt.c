/* Making, reading and comparing receipts (receipt.h).
 *
 * Everything is written in one order by one function, so two receipts of one decision are the same bytes or one of them is wrong. Only to say what is wrong, both are
 * read as JSON and compared member by member. */
#include "cli/receipt.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/json_out.h"
#include "core/answer.h"

#define CHECKSUM ",\"checksum\":\""
#define CHECKSUM_LEN (sizeof CHECKSUM - 1)
#define HEX_LEN (2 * TIDE_SHA256_BYTES)

static void put_sha256(struct tide_buf *out, struct tide_span of) {
  uint8_t hash[TIDE_SHA256_BYTES];
  tide_sha256(of, hash);
  for (unsigned i = 0; i < TIDE_SHA256_BYTES; i++) tide_buf_printf(out, "%02x", hash[i]);
}

static void key_sha256(struct tide_buf *out, const char *key, struct tide_span of) {
  struct tide_buf hex = TIDE_BUF_INIT;
  put_sha256(&hex, of);
  tide_json_key(out, key);
  tide_json_str(out, tide_buf_span(&hex));
  tide_buf_release(&hex);
}

/* As the registry and the records of the journal name it; `b2sum -l 256` prints the same. */
static void key_hash(struct tide_buf *out, const char *key, struct tide_content_hash hash) {
  char text[TIDE_CONTENT_HASH_TEXT];
  tide_json_key(out, key);
  tide_json_cstr(out, tide_content_hash_text(hash, text));
}

static void key_text(struct tide_buf *out, const char *key, const char *value) {
  tide_json_key(out, key);
  tide_json_cstr(out, value);
}

static void key_hex(struct tide_buf *out, const char *key, uint64_t value) {
  char text[20];
  snprintf(text, sizeof text, "%016" PRIx64, value);
  key_text(out, key, text);
}

static void put_point(struct tide_buf *out, const char *key, const struct tide_check_point *point) {
  char digest[40];
  snprintf(digest, sizeof digest, "%016" PRIx64 "%016" PRIx64, point->digest.hi, point->digest.lo);
  tide_json_key(out, key);
  tide_json_open(out, '{');
  tide_json_key(out, "decisions");
  tide_json_int(out, (int64_t)point->decisions);
  key_text(out, "digest", digest);
}

static void put_entry(struct tide_buf *out, struct tide_span entry, const struct tide_entry_header *header) {
  char time[TIDE_TIME_TEXT];
  tide_json_key(out, "entry");
  tide_json_open(out, '{');
  key_sha256(out, "sha256", entry);
  tide_json_key(out, "engine");
  tide_json_int(out, header->engine_id);
  key_hex(out, "fence", header->fence_nonce);
  key_hex(out, "attempt", header->attempt_nonce);
  key_text(out, "committed", tide_time_format((struct tide_etime){header->commit_ms}, time));
  tide_json_close(out, '}');
}

/* What was in force: the feature file, the rollout, the policy where it is not the feature file's own, the model that was asked. */
static void put_versions(struct tide_buf *out, const struct tide_fold *fold, const struct tide_answer *answer) {
  const struct tide_spec *spec = tide_fold_spec(fold);
  tide_json_key(out, "features");
  tide_json_open(out, '{');
  key_text(out, "name", spec->name ? spec->name : "");
  key_hash(out, "hash", tide_content_hash((struct tide_span){spec->text, spec->text_len}));
  tide_json_close(out, '}');
  tide_json_key(out, "rollout");
  tide_json_int(out, (int64_t)tide_fold_versions(fold)->rollout.number);
  tide_json_key(out, "policy");
  if (tide_content_hash_is_zero(answer->policy->hash)) {
    tide_json_null(out);
  } else {
    tide_json_open(out, '{');
    key_text(out, "name", answer->policy->label);
    key_hash(out, "hash", answer->policy->hash);
    tide_json_close(out, '}');
  }
  tide_json_key(out, "model");
  if (!answer->model) {
    tide_json_null(out);
    return;
  }
  struct tide_buf artifact = TIDE_BUF_INIT;
  tide_model_write(answer->model, &artifact);
  tide_json_open(out, '{');
  key_text(out, "name", answer->model->id);
  key_hash(out, "hash", tide_content_hash(tide_buf_span(&artifact)));
  tide_json_close(out, '}');
  tide_buf_release(&artifact);
}

/* What is known of the decision while it is made. */
struct making {
  uint32_t index;
  struct tide_position position;
  struct tide_span entry;
  const struct tide_entry_header *header;
  const struct tide_fold *fold;
  struct tide_check_point before;
  struct tide_buf head, answer;
  bool made;
  tide_emit_fn emit;
  void *ctx;
};

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct making *making = ctx;
  if (answer->index == making->index) {
    struct tide_buf *out = &making->head, id = TIDE_BUF_INIT;
    char position[TIDE_POSITION_TEXT], key[12];
    tide_record_id(answer->spec, answer->record, &id);
    tide_json_open(out, '{');
    tide_json_key(out, "tidemark_receipt");
    tide_json_int(out, TIDE_RECEIPT_FORMAT);
    tide_json_key(out, "transaction");
    tide_json_str(out, tide_buf_span(&id));
    key_text(out, "position", tide_position_text(answer->position, answer->index, position));
    tide_json_key(out, "fold");
    tide_json_int(out, making->header->fold);
    put_entry(out, making->entry, making->header);
    put_versions(out, making->fold, answer);
    snprintf(key, sizeof key, "%08x", answer->record->key_id);
    tide_json_key(out, "key");
    if (answer->record->key_id) tide_json_cstr(out, key);
    else tide_json_null(out);
    put_point(out, "before", &making->before);
    tide_json_close(out, '}');
    tide_answer_json(answer, TIDE_ANSWER_FEATURES | TIDE_ANSWER_FRESHNESS, &making->answer);
    tide_buf_release(&id);
    making->made = true;
  }
  if (making->emit) making->emit(making->ctx, answer);
}

enum tide_err tide_receipt_fold(struct tide_fold *fold, struct tide_position position, uint32_t index, struct tide_span entry,
                                tide_emit_fn emit, void *ctx, struct tide_buf *out, bool *ret_made, struct tide_error *error) {
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_entry_reader reader;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  struct making making = {.index = index,
                          .position = position,
                          .entry = entry,
                          .header = &reader.header,
                          .fold = fold,
                          .before = tide_fold_point(fold),
                          .emit = emit,
                          .ctx = ctx};
  if (err == TIDE_OK) err = tide_fold_entry(fold, position, entry, on_answer, &making, error);
  if (err == TIDE_OK && making.made) {
    struct tide_check_point after = tide_fold_point(fold);
    size_t from = out->len;
    tide_buf_put(out, making.head.ptr, making.head.len);
    put_point(out, "after", &after);
    key_hex(out, "state", tide_fold_digest(fold).state_hash);
    tide_json_close(out, '}');
    tide_json_key(out, "answer");
    tide_json_raw(out, tide_buf_span(&making.answer));
    struct tide_buf seal = TIDE_BUF_INIT;
    put_sha256(&seal, (struct tide_span){out->ptr + from, out->len - from});
    tide_buf_printf(out, CHECKSUM "%.*s\"}", (int)seal.len, seal.ptr);
    tide_buf_release(&seal);
  }
  if (err == TIDE_OK) *ret_made = making.made;
  tide_buf_release(&making.head);
  tide_buf_release(&making.answer);
  tide_free(part);
  return err;
}

/* ---- files ---- */

enum tide_err tide_receipt_write(const char *path, struct tide_span receipt, struct tide_error *error) {
  FILE *file = fopen(path, "we");
  if (!file) return tide_fail_errno(error, TIDE_E_IO, "cannot write the receipt to %.200s", path);
  bool failed = fwrite(receipt.ptr, 1, receipt.len, file) != receipt.len || fputc('\n', file) == EOF;
  if (fclose(file) != 0 || failed) return tide_fail_errno(error, TIDE_E_IO, "cannot write the receipt to %.200s", path);
  return TIDE_OK;
}

static enum tide_err read_text(const char *path, struct tide_buf *out, struct tide_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot read the receipt %.200s", path);
  size_t n;
  do {
    tide_buf_reserve(out, 65536);
    n = fread(out->ptr + out->len, 1, 65536, file);
    out->len += n;
  } while (n > 0 && out->len <= TIDE_RECEIPT_BYTES_MAX);
  enum tide_err err = ferror(file) ? tide_fail_errno(error, TIDE_E_IO, "cannot read the receipt %.200s", path) : TIDE_OK;
  (void)fclose(file);
  if (err == TIDE_OK && out->len > TIDE_RECEIPT_BYTES_MAX)
    err = tide_fail(error, TIDE_E_TOO_LONG, "%.200s is longer than any receipt (%u bytes)", path, TIDE_RECEIPT_BYTES_MAX);
  while (out->len && (out->ptr[out->len - 1] == '\n' || out->ptr[out->len - 1] == '\r')) out->len--;
  return err;
}

/* The seal stands at the end; what it covers is all before it. */
static bool is_sealed(struct tide_span text) {
  struct tide_buf seal = TIDE_BUF_INIT;
  size_t tail = CHECKSUM_LEN + HEX_LEN + 2;
  bool good =
      text.len > tail && memcmp(text.ptr + text.len - tail, CHECKSUM, CHECKSUM_LEN) == 0 && memcmp(text.ptr + text.len - 2, "\"}", 2) == 0;
  if (good) {
    put_sha256(&seal, (struct tide_span){text.ptr, text.len - tail});
    good = memcmp(seal.ptr, text.ptr + text.len - 2 - HEX_LEN, HEX_LEN) == 0;
  }
  tide_buf_release(&seal);
  return good;
}

/* "7-48213.5" */
static bool parse_place(const char *text, struct tide_receipt *ret) {
  char again[TIDE_POSITION_TEXT];
  char *end;
  ret->position.epoch = strtoull(text, &end, 10);
  if (*end != '-') return false;
  ret->position.seq = strtoull(end + 1, &end, 10);
  if (*end != '.') return false;
  unsigned long long index = strtoull(end + 1, &end, 10);
  ret->index = (uint32_t)index;
  return *end == 0 && index < TIDE_BATCH_RECORDS_MAX && strcmp(tide_position_text(ret->position, ret->index, again), text) == 0;
}

enum tide_err tide_receipt_parse(const char *path, struct tide_receipt *ret, struct tide_error *error) {
  json_error_t why;
  enum tide_err err = TIDE_OK;
  json_t *root = json_loadb(ret->text.len ? ret->text.ptr : "", ret->text.len, JSON_REJECT_DUPLICATES, &why);
  const json_t *format = json_object_get(root, "tidemark_receipt"), *position = json_object_get(root, "position");
  if (!json_is_integer(format)) {
    err = tide_fail(error, TIDE_E_CORRUPT, "%.200s is no receipt: it has no \"tidemark_receipt\"%s%.100s", path,
                    root ? "" : "; it is no JSON: ", root ? "" : why.text);
  } else if (json_integer_value(format) != TIDE_RECEIPT_FORMAT) {
    err = tide_fail(error, TIDE_E_VERSION, "%.200s is a receipt of a format that this program does not know", path);
  } else if (!is_sealed(tide_buf_span(&ret->text))) {
    err = tide_fail(error, TIDE_E_CORRUPT, "the receipt %.200s was changed or is damaged: its checksum is not that of its content", path);
  } else if (!json_is_string(position) || !parse_place(json_string_value(position), ret)) {
    err = tide_fail(error, TIDE_E_CORRUPT, "the receipt %.200s names no position", path);
  }
  json_decref(root);
  return err;
}

enum tide_err tide_receipt_read(const char *path, struct tide_receipt *ret, struct tide_error *error) {
  *ret = (struct tide_receipt){.text = TIDE_BUF_INIT};
  enum tide_err err = read_text(path, &ret->text, error);
  return err == TIDE_OK ? tide_receipt_parse(path, ret, error) : err;
}

void tide_receipt_release(struct tide_receipt *receipt) { tide_buf_release(&receipt->text); }

/* ---- comparing ---- */

struct comparing {
  size_t count, max;
  struct tide_buf *out;
};

static void put_value(const json_t *value, struct tide_buf *out) {
  char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
  size_t len = text ? strlen(text) : 0;
  if (!text) tide_buf_str(out, "nothing");
  else tide_buf_printf(out, "%.*s%s", len > 80 ? 77 : (int)len, text, len > 80 ? "..." : "");
  free(text);
}

static void differ(struct comparing *to, const char *place, const json_t *claimed, const json_t *made) {
  if (to->count++ >= to->max) return;
  tide_buf_printf(to->out, "%s: the receipt says ", place);
  put_value(claimed, to->out);
  tide_buf_str(to->out, ", the journal gives ");
  put_value(made, to->out);
  tide_buf_char(to->out, '\n');
}

#define DEPTH_MAX 8
/* Members of objects one by one; all else as a whole. */
static void compare(struct comparing *to, const char *place, unsigned depth, const json_t *claimed, const json_t *made) {
  if (json_equal(claimed, made)) return;
  if (!json_is_object(claimed) || !json_is_object(made) || depth == DEPTH_MAX) {
    differ(to, place, claimed, made);
    return;
  }
  const char *key;
  json_t *value;
  char below[400];
  json_object_foreach((json_t *)claimed, key, value) {
    snprintf(below, sizeof below, "%s%s%s", place, *place ? "." : "", key);
    compare(to, below, depth + 1, value, json_object_get(made, key));
  }
  json_object_foreach((json_t *)made, key, value) {
    if (json_object_get(claimed, key)) continue;
    snprintf(below, sizeof below, "%s%s%s", place, *place ? "." : "", key);
    differ(to, below, NULL, value);
  }
}

size_t tide_receipt_compare(struct tide_span claimed, struct tide_span made, size_t max, struct tide_buf *out) {
  if (tide_span_eq(claimed, made)) return 0;
  struct comparing to = {.max = max, .out = out};
  json_t *a = json_loadb(claimed.ptr, claimed.len, 0, NULL), *b = json_loadb(made.ptr, made.len, 0, NULL);
  TIDE_CHECK(a && b);                   /* the one was read before, the other is ours */
  (void)json_object_del(a, "checksum"); /* follows from the rest */
  (void)json_object_del(b, "checksum");
  compare(&to, "", 0, a, b);
  if (to.count == 0) { /* the same members, written otherwise */
    to.count = 1;
    tide_buf_str(out, "the bytes: the same content is written otherwise than any version of Tidemark writes it\n");
  }
  json_decref(a);
  json_decref(b);
  return to.count;
}
