/* POST /v1/score/batch: a JSON array of messages, each as /v1/score takes it (parts.h).
 *
 * The array is split by looking for brackets outside of strings; what is in an element is the decoder's business, which sees the element's own bytes,
 * so an amount is read as it was written. The splitter need not be strict: an element is a well-formed object or the decoder refuses it, and what stands
 * between elements is checked here. */
#include "http/parts.h"

#include <stdio.h>

static size_t skip_space(struct tide_span body, size_t at) {
  while (at < body.len && strchr(" \t\r\n", body.ptr[at]) && body.ptr[at]) at++;
  return at;
}

/* Behind the object that begins at `at`; 0 when it does not end. */
static size_t skip_object(struct tide_span body, size_t at) {
  size_t depth = 0;
  bool text = false;
  for (; at < body.len; at++) {
    char c = body.ptr[at];
    if (text) {
      if (c == '\\') at++;
      else if (c == '"') text = false;
    } else if (c == '"') {
      text = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) return at + 1;
    }
  }
  return 0;
}

bool tide_http_split(struct tide_span body, uint32_t max, struct tide_span *ret_item, uint32_t *ret_count, struct tide_trouble *trouble) {
  size_t at = skip_space(body, 0);
  uint32_t count = 0;
  if (at == body.len || body.ptr[at] != '[')
    return tide_trouble_set(trouble, TIDE_PROBLEM_malformed, "a batch is a JSON array of messages; it begins with \"[\"");
  at = skip_space(body, at + 1);
  bool ended = at < body.len && body.ptr[at] == ']';
  while (!ended) {
    if (at == body.len || body.ptr[at] != '{')
      return tide_trouble_set(trouble, TIDE_PROBLEM_malformed, "message %u of the batch is not an object (byte %zu)", count, at + 1);
    if (count == max) return tide_trouble_set(trouble, TIDE_PROBLEM_batch_size, "the batch has more than %u messages; send several", max);
    size_t end = skip_object(body, at);
    if (end == 0) return tide_trouble_set(trouble, TIDE_PROBLEM_malformed, "message %u of the batch does not end", count);
    ret_item[count++] = (struct tide_span){body.ptr + at, end - at};
    at = skip_space(body, end);
    if (at < body.len && body.ptr[at] == ',') at = skip_space(body, at + 1);
    else if (at < body.len && body.ptr[at] == ']') ended = true;
    else
      return tide_trouble_set(trouble, TIDE_PROBLEM_malformed, "behind message %u of the batch, a comma or \"]\" is expected", count - 1);
  }
  at = skip_space(body, at + 1);
  if (at != body.len) return tide_trouble_set(trouble, TIDE_PROBLEM_malformed, "something stands behind the array (byte %zu)", at + 1);
  if (count == 0) return tide_trouble_set(trouble, TIDE_PROBLEM_batch_size, "the batch is empty");
  *ret_count = count;
  return true;
}

void tide_http_take_batch(struct tide_http_request *request, struct tide_http_decoder *decoder) {
  uint32_t max = (uint32_t)request->http->limits.batch_items_max, count;
  struct tide_span *message = tide_alloc(max * sizeof *message);
  if (tide_http_split(tide_buf_span(&request->body), max, message, &count, &request->trouble)) {
    request->item = tide_alloc(count * sizeof *request->item);
    request->item_count = count;
    for (uint32_t i = 0; i < count; i++) {
      char prefix[16];
      snprintf(prefix, sizeof prefix, "/%u", i);
      request->item[i].request = request;
      tide_http_take_message(&request->item[i], decoder, message[i], prefix);
    }
  }
  tide_free(message);
}
