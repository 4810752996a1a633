/* Answers that have not left yet, as a ring of encoded items (outbox.h).
 *
 * The buffers of the ring are reused: in the steady state nothing is allocated. */
#include "core/outbox.h"

#include "base/check.h"

void tide_outbox_release(struct tide_outbox *outbox) {
  for (size_t i = 0; i < outbox->cap; i++) tide_buf_release(&outbox->item[i]);
  tide_free(outbox->item);
  *outbox = (struct tide_outbox){0};
}

static struct tide_buf *item_at(const struct tide_outbox *outbox, size_t i) {
  return &outbox->item[(outbox->first + i) & (outbox->cap - 1)];
}

static void grow(struct tide_outbox *outbox) {
  size_t cap = outbox->cap ? outbox->cap * 2 : 64;
  struct tide_buf *item = tide_alloc(cap * sizeof *item);
  for (size_t i = 0; i < outbox->cap; i++) item[i] = *item_at(outbox, i);
  tide_free(outbox->item);
  outbox->item = item;
  outbox->cap = cap;
  outbox->first = 0;
}

static struct tide_buf *add(struct tide_outbox *outbox, uint64_t number) {
  if (outbox->count == outbox->cap) grow(outbox);
  if (!outbox->count) outbox->first_number = number;
  TIDE_CHECK(number == outbox->first_number + outbox->count);
  struct tide_buf *item = item_at(outbox, outbox->count++);
  tide_buf_clear(item);
  return item;
}

/* The epoch stands above the flags, and is left out where it is that of the position. */
static void encode(const struct tide_outgoing *out, struct tide_buf *item) {
  uint64_t epoch = out->epoch == out->position.epoch ? 0 : out->epoch;
  tide_put_u16(item, out->source);
  tide_put_u16(item, out->partition);
  tide_put_u64(item, out->offset);
  tide_put_u64(item, out->position.epoch);
  tide_put_u64(item, out->position.seq);
  tide_put_u32(item, out->index);
  tide_put_varint(item, (out->superseded ? 1u : 0) | (out->late ? 2u : 0) | (out->features.len ? 4u : 0) | epoch << 3);
  tide_put_span(item, out->id);
  tide_put_span(item, out->model);
  tide_put_span(item, out->policy);
  tide_put_span(item, out->json);
  if (out->features.len) tide_put_span(item, out->features);
}

void tide_outbox_put(struct tide_outbox *outbox, const struct tide_outgoing *out) {
  struct tide_buf *item = add(outbox, out->number);
  encode(out, item);
  outbox->bytes += item->len;
}

static bool decode(struct tide_span bytes, struct tide_outgoing *ret) {
  struct tide_reader r = tide_reader_of(bytes);
  ret->source = tide_get_u16(&r);
  ret->partition = tide_get_u16(&r);
  ret->offset = tide_get_u64(&r);
  ret->position.epoch = tide_get_u64(&r);
  ret->position.seq = tide_get_u64(&r);
  ret->index = tide_get_u32(&r);
  uint64_t flags = tide_get_varint(&r);
  ret->superseded = flags & 1;
  ret->late = flags & 2;
  ret->epoch = flags >> 3 ? flags >> 3 : ret->position.epoch;
  ret->id = tide_get_span(&r);
  ret->model = tide_get_span(&r);
  ret->policy = tide_get_span(&r);
  ret->json = tide_get_span(&r);
  ret->features = flags & 4 ? tide_get_span(&r) : (struct tide_span){"", 0};
  return !r.bad && r.ptr == r.end;
}

bool tide_outbox_get(const struct tide_outbox *outbox, uint64_t number, struct tide_outgoing *ret) {
  if (!outbox->count || number < outbox->first_number || number - outbox->first_number >= outbox->count) return false;
  bool fits = decode(tide_buf_span(item_at(outbox, number - outbox->first_number)), ret);
  TIDE_CHECK(fits);
  ret->number = number;
  return true;
}

void tide_outbox_drop(struct tide_outbox *outbox, uint64_t number) {
  while (outbox->count && outbox->first_number <= number) {
    outbox->bytes -= item_at(outbox, 0)->len;
    outbox->first = (outbox->first + 1) & (outbox->cap - 1);
    outbox->first_number++;
    outbox->count--;
  }
}

void tide_outbox_renew(struct tide_outbox *outbox, uint64_t epoch) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (size_t i = 0; i < outbox->count; i++) {
    struct tide_buf *item = item_at(outbox, i), before = *item;
    struct tide_outgoing out = {0};
    bool fits = decode(tide_buf_span(item), &out);
    TIDE_CHECK(fits);
    out.superseded = true;
    out.epoch = epoch;
    tide_buf_clear(&bytes);
    encode(&out, &bytes);
    outbox->bytes += bytes.len - item->len;
    *item = bytes; /* what `out` borrows is written already */
    bytes = before;
  }
  tide_buf_release(&bytes);
}

void tide_outbox_save(const struct tide_outbox *outbox, struct tide_buf *out) {
  tide_put_varint(out, outbox->count);
  tide_put_varint(out, outbox->first_number);
  for (size_t i = 0; i < outbox->count; i++) tide_put_span(out, tide_buf_span(item_at(outbox, i)));
}

bool tide_outbox_load(struct tide_outbox *outbox, struct tide_reader *reader) {
  uint64_t count = tide_get_varint(reader), number = tide_get_varint(reader);
  TIDE_CHECK(!outbox->count);
  if (reader->bad || (count && !number)) return false;
  for (uint64_t i = 0; i < count; i++) {
    struct tide_span bytes = tide_get_span(reader);
    struct tide_outgoing checked;
    if (reader->bad || !decode(bytes, &checked)) return false;
    struct tide_buf *item = add(outbox, number + i);
    tide_buf_put(item, bytes.ptr, bytes.len);
    outbox->bytes += bytes.len;
  }
  return true;
}
