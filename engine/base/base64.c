/* Base64 (base64.h): three bytes are four digits of six bits, most significant first, and `=` fills the last group.
 *
 * One table each way; the reader's has 64 for what is no digit, so that a whole group is judged at once. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void tide_base64_put(struct tide_buf *out, struct tide_span s) {
  for (size_t i = 0; i < s.len; i += 3) {
    uint32_t v = 0;
    size_t n = s.len - i < 3 ? s.len - i : 3;
    for (size_t k = 0; k < 3; k++) v = v << 8 | (k < n ? (uint8_t)s.ptr[i + k] : 0);
    for (size_t k = 0; k < 4; k++) tide_buf_char(out, k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
  }
}

static uint32_t value_of(char c) {
  if (c >= 'A' && c <= 'Z') return (uint32_t)(c - 'A');
  if (c >= 'a' && c <= 'z') return (uint32_t)(c - 'a') + 26;
  if (c >= '0' && c <= '9') return (uint32_t)(c - '0') + 52;
  return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool tide_base64_get(struct tide_span text, struct tide_buf *out) {
  size_t before = out->len;
  bool good = text.len % 4 == 0;
  for (size_t i = 0; i < text.len && good; i += 4) {
    bool last = i + 4 == text.len;
    size_t fill = !last || text.ptr[i + 3] != '=' ? 0 : text.ptr[i + 2] == '=' ? 2 : 1;
    uint32_t v = 0;
    for (size_t k = 0; k < 4; k++) {
      uint32_t digit = k >= 4 - fill ? 0 : value_of(text.ptr[i + k]);
      good = good && digit < 64;
      v = v << 6 | (digit & 63);
    }
    good = good && (v & ((1u << (8 * fill)) - 1)) == 0;
    for (size_t k = 0; k < 3 - fill && good; k++) tide_buf_char(out, (char)(uint8_t)(v >> (16 - 8 * k)));
  }
  if (!good) out->len = before;
  return good;
}
