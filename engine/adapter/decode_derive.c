/* Derived fields: prefix, ip_prefix, email_key, lower on raw text, and expressions over fields.
 *
 * They run while the raw text of secret fields is still at hand; a derived field that is itself secret is hashed like any other.
 * What cannot be derived (text too short, not an address) is missing, never an error: a derived field is a convenience for
 * features, and the message behind it is sound. A derived field that the message itself carries is left as it came. */
#include "adapter/decode_parts.h"

#include "base/num.h"
#include "feature/fields.h"

#include <arpa/inet.h>
#include <math.h>

#define OUT_MAX 320 /* the longest e-mail address is 254 */

static char lower_of(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static struct tide_span trim(struct tide_span s) {
  while (s.len && s.ptr[0] == ' ') s = (struct tide_span){s.ptr + 1, s.len - 1};
  while (s.len && s.ptr[s.len - 1] == ' ') s.len--;
  return s;
}

/* The first `bytes` bytes; missing when the text is shorter or a character would be cut. */
static struct tide_span prefix(struct tide_span s, int bytes) {
  TIDE_CHECK(bytes > 0);
  size_t len = (size_t)bytes;
  if (s.len < len || (s.len > len && ((uint8_t)s.ptr[len] & 0xC0) == 0x80)) return (struct tide_span){0};
  return (struct tide_span){s.ptr, len};
}

static void keep_bits(uint8_t *addr, int bytes, int bits) {
  for (int i = 0; i < bytes; i++) {
    int left = bits - i * 8;
    if (left <= 0) addr[i] = 0;
    else if (left < 8) addr[i] &= (uint8_t)(0xFF << (8 - left));
  }
}

/* 0..999 in decimal; returns its length. */
static size_t put_small(char *out, unsigned v) {
  size_t len = 0;
  if (v >= 100) out[len++] = (char)('0' + v / 100);
  if (v >= 10) out[len++] = (char)('0' + v / 10 % 10);
  out[len++] = (char)('0' + v % 10);
  return len;
}

/* "203.0.113.0/24", "2001:db8::/56" (RFC 5952 text, as inet_ntop writes it). An IPv4-mapped IPv6 address is its IPv4 address. */
static struct tide_span ip_prefix(struct tide_span s, int v4_bits, int v6_bits, char out[OUT_MAX]) {
  static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
  char text[INET6_ADDRSTRLEN];
  s = trim(s);
  if (s.len == 0 || s.len >= sizeof text) return (struct tide_span){0};
  memcpy(text, s.ptr, s.len);
  text[s.len] = 0;
  uint8_t addr[16];
  int family = AF_INET;
  if (inet_pton(AF_INET, text, addr) != 1) {
    if (inet_pton(AF_INET6, text, addr) != 1) return (struct tide_span){0};
    if (memcmp(addr, mapped, sizeof mapped) == 0) memmove(addr, addr + 12, 4);
    else family = AF_INET6;
  }
  int bits = family == AF_INET ? v4_bits : v6_bits;
  keep_bits(addr, family == AF_INET ? 4 : 16, bits);
  size_t len = 0;
  if (family == AF_INET) { /* by hand: inet_ntop goes through printf, and this runs for every event */
    for (int i = 0; i < 4; i++) {
      if (i) out[len++] = '.';
      len += put_small(out + len, addr[i]);
    }
  } else {
    if (!inet_ntop(AF_INET6, addr, out, OUT_MAX)) return (struct tide_span){0};
    len = strlen(out);
  }
  out[len++] = '/';
  len += put_small(out + len, (unsigned)bits);
  return (struct tide_span){out, len};
}

/* One mailbox, one key: lower case, no "+tag", and for Gmail no dots and one domain name. Other providers mean their dots. */
static struct tide_span email_key(struct tide_span s, char out[OUT_MAX]) {
  s = trim(s);
  if (s.len == 0 || s.len >= OUT_MAX - 16) return (struct tide_span){0};
  const char *at = memrchr(s.ptr, '@', s.len);
  if (!at) return (struct tide_span){0};
  struct tide_span local = {s.ptr, (size_t)(at - s.ptr)};
  char domain[OUT_MAX];
  size_t domain_len = s.len - local.len - 1;
  for (size_t i = 0; i < domain_len; i++) domain[i] = lower_of(at[1 + i]);
  struct tide_span host = {domain, domain_len};
  bool gmail = tide_span_is(host, "gmail.com") || tide_span_is(host, "googlemail.com");
  if (gmail) host = TIDE_SPAN("gmail.com");
  const char *plus = local.len ? memchr(local.ptr, '+', local.len) : NULL;
  if (plus) local.len = (size_t)(plus - local.ptr);
  size_t len = 0;
  for (size_t i = 0; i < local.len; i++)
    if (!gmail || local.ptr[i] != '.') out[len++] = lower_of(local.ptr[i]);
  if (len == 0 || host.len == 0) return (struct tide_span){0}; /* nobody's mailbox must not become everybody's */
  out[len++] = '@';
  memcpy(out + len, host.ptr, host.len);
  return (struct tide_span){out, len + host.len};
}

static struct tide_span lower(struct tide_span s, struct tide_arena *scratch) {
  char *out = tide_arena_alloc(scratch, s.len);
  for (size_t i = 0; i < s.len; i++) out[i] = lower_of(s.ptr[i]);
  return (struct tide_span){out, s.len};
}

/* --- expressions */

/* The text behind a code: a text in an expression comes from a literal in it or from a field it reads, so one of them has it. */
static struct tide_span text_of(const struct tide_expr *expr, uint64_t code, const struct tide_record *record) {
  if (!expr) return (struct tide_span){0};
  if (expr->op == TIDE_X_TEXT && expr->code == code && expr->text) return tide_span_of(expr->text);
  if (expr->op == TIDE_X_FIELD) {
    const struct tide_datum *d = &record->field[expr->ref];
    if (d->kind == TIDE_D_TEXT && tide_text_code(d->text) == code) return d->text;
  }
  const struct tide_expr *child[3] = {expr->a, expr->b, expr->c};
  for (int i = 0; i < 3; i++) {
    struct tide_span found = text_of(child[i], code, record);
    if (found.len) return found;
  }
  return (struct tide_span){0};
}

static void put_value(struct tide_decoder *d, uint32_t index, struct tide_value v, struct tide_record *record) {
  static const double scale[10] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
  const struct tide_field *f = &d->spec->field[index];
  struct tide_datum *datum = &record->field[index];
  if (v.type == TIDE_V_BOOL && f->type == TIDE_F_BOOL) {
    datum->kind = TIDE_D_INT;
    datum->num = v.yes;
  } else if (v.type == TIDE_V_NUM && f->type == TIDE_F_NUMBER) {
    double scaled = rint(v.num * scale[f->decimals]);
    if (!(fabs(scaled) <= (double)TIDE_NUMBER_MAX)) return; /* also NaN: missing */
    datum->kind = TIDE_D_INT;
    datum->num = (int64_t)scaled;
  } else if (v.type == TIDE_V_TEXT && f->type == TIDE_F_TEXT) {
    struct tide_span text = text_of(f->derive, v.code, record);
    if (!text.len) return;
    d->raw[index] = text;
    tide_decode_put_text(d, index, text, record);
  }
}

void tide_decode_derive_bind(struct tide_decoder *d) {
  d->derived = d->derive_reads = 0;
  for (uint32_t i = 0; i < d->spec->field_count; i++) {
    const struct tide_field *f = &d->spec->field[i];
    d->derived |= (uint64_t)f->derived << i;
    if (!f->derived || f->derive_fn != TIDE_DERIVE_EXPR) continue;
    for (uint32_t k = 0; k < d->spec->field_count; k++)
      if (tide_expr_reads_ref(f->derive, TIDE_X_FIELD, k)) d->derive_reads |= UINT64_C(1) << k;
  }
}

void tide_decode_derive(struct tide_decoder *d, struct tide_record *record) {
  const struct tide_spec *spec = d->spec;
  struct tide_value value[TIDE_FIELDS_MAX];
  for (uint64_t left = d->derive_reads; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    value[i] = tide_field_value(&spec->field[i], &record->field[i]);
  }
  for (uint64_t left = d->derived; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    const struct tide_field *f = &spec->field[i];
    if (record->field[i].kind != TIDE_D_NONE) continue;
    if (f->derive_fn == TIDE_DERIVE_EXPR) {
      struct tide_env env = {.field = value, .time = record->time};
      put_value(d, i, tide_expr_eval(f->derive, &env), record);
    } else {
      struct tide_span of = d->raw[f->derive_of], text = {0};
      char out[OUT_MAX];
      if (!of.len) continue;
      switch ((enum tide_derive_fn)f->derive_fn) {
        case TIDE_DERIVE_PREFIX: text = prefix(of, f->derive_arg[0]); break;
        case TIDE_DERIVE_IP_PREFIX: text = ip_prefix(of, f->derive_arg[0], f->derive_arg[1], out); break;
        case TIDE_DERIVE_EMAIL_KEY: text = email_key(of, out); break;
        case TIDE_DERIVE_LOWER:
          text = lower(of, &d->scratch);
          d->scratch_used = true;
          break;
        case TIDE_DERIVE_EXPR: break;
      }
      if (!text.len) continue;
      if (text.ptr == out) {
        char *copy = tide_arena_alloc(&d->scratch, text.len);
        memcpy(copy, text.ptr, text.len);
        text.ptr = copy;
        d->scratch_used = true;
      }
      d->raw[i] = text;
      tide_decode_put_text(d, i, text, record);
    }
    if (d->derive_reads >> i & 1) value[i] = tide_field_value(f, &record->field[i]);
  }
}
