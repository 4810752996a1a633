/* URLs of a Redis journal (journal_redis.h). Percent-encoding in user and password (RFC 3986), IPv6 in brackets. */
#include <stdlib.h>
#include <string.h>

#include "adapter/journal_redis.h"
#include "base/buf.h"

#define PORT 6379
#define SENTINEL_PORT 26379

static int hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool decode(const char *from, size_t len, char *out, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    char c = from[i];
    if (c == '%') {
      if (i + 2 >= len || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0) return false;
      c = (char)(hex(from[i + 1]) * 16 + hex(from[i + 2]));
      i += 2;
    }
    if (c == 0 || n + 1 >= size) return false;
    out[n++] = c;
  }
  out[n] = 0;
  return true;
}

static enum tide_err parse_address(const char *from, size_t len, uint16_t port, struct tide_redis_address *ret, struct tide_error *error) {
  const char *host = from, *end = from + len, *colon;
  size_t host_len;
  if (len > 0 && *from == '[') {
    const char *close = memchr(from, ']', len);
    if (!close) return tide_fail(error, TIDE_E_CONFIG, "the redis URL has an address with [ and without ]");
    host = from + 1;
    host_len = (size_t)(close - host);
    colon = close + 1 < end ? close + 1 : NULL;
    if (colon && *colon != ':') return tide_fail(error, TIDE_E_CONFIG, "the redis URL has something other than :PORT behind ]");
  } else {
    colon = memchr(from, ':', len);
    host_len = colon ? (size_t)(colon - from) : len;
  }
  struct tide_redis_address address = {.port = port};
  if (host_len == 0 || host_len >= sizeof address.host)
    return tide_fail(error, TIDE_E_CONFIG, "the redis URL has no host, or one that is too long");
  memcpy(address.host, host, host_len);
  if (colon) {
    char text[8] = {0}, *stop;
    size_t digits = (size_t)(end - colon - 1);
    if (digits == 0 || digits >= sizeof text)
      return tide_fail(error, TIDE_E_CONFIG, "the redis URL has a port that is no number: write HOST:PORT");
    memcpy(text, colon + 1, digits);
    unsigned long value = strtoul(text, &stop, 10);
    if (*stop || text[0] == '-' || text[0] == '+' || value == 0 || value > 65535)
      return tide_fail(error, TIDE_E_CONFIG, "the redis URL has port \"%s\": 1 to 65535", text);
    address.port = (uint16_t)value;
  }
  *ret = address;
  return TIDE_OK;
}

static enum tide_err parse_user(const char *from, size_t len, struct tide_redis_target *target, struct tide_error *error) {
  const char *colon = memchr(from, ':', len);
  size_t user = colon ? (size_t)(colon - from) : len;
  if (!decode(from, user, target->user, sizeof target->user) ||
      (colon && !decode(colon + 1, len - user - 1, target->password, sizeof target->password)))
    return tide_fail(error, TIDE_E_CONFIG,
                     "the redis URL has a user or password that is too long or not percent-encoded (write %% as %%25, @ as %%40)");
  return TIDE_OK;
}

static bool starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

enum tide_err tide_redis_target_parse(const char *url, struct tide_redis_target *ret, struct tide_error *error) {
  struct tide_redis_target target = {0};
  const char *rest;
  if (starts(url, "unix:") || starts(url, "redis+unix:")) {
    rest = strchr(url, ':') + 1;
    if (starts(rest, "//")) rest += 2;
    if (*rest != '/' || strlen(rest) >= sizeof target.address[0].host)
      return tide_fail(error, TIDE_E_CONFIG, "unix: must be followed by the absolute path of a socket");
    snprintf(target.address[0].host, sizeof target.address[0].host, "%s", rest);
    target.address_count = 1;
    *ret = target;
    return TIDE_OK;
  }
  target.tls = starts(url, "rediss://") || starts(url, "rediss+sentinel://");
  if (target.tls && tide_redis_tls_known(error) != TIDE_OK) return TIDE_E_CONFIG;
  target.sentinel = starts(url, "redis+sentinel://") || starts(url, "rediss+sentinel://");
  if (!target.sentinel && !target.tls && !starts(url, "redis://"))
    return tide_fail(error, TIDE_E_CONFIG,
                     "the journal's URL must begin with redis://, redis+sentinel://, rediss://, rediss+sentinel:// or unix:/");
  rest = strstr(url, "://") + 3;
  const char *slash = strchr(rest, '/'), *end = slash ? slash : rest + strlen(rest), *at = NULL;
  for (const char *p = rest; p < end; p++)
    if (*p == '@') at = p;
  enum tide_err err = at ? parse_user(rest, (size_t)(at - rest), &target, error) : TIDE_OK;
  rest = at ? at + 1 : rest;
  while (err == TIDE_OK) {
    const char *comma = memchr(rest, ',', (size_t)(end - rest)), *stop = comma ? comma : end;
    if (target.address_count == TIDE_REDIS_ADDRESSES_MAX || (comma && !target.sentinel))
      return tide_fail(error, TIDE_E_CONFIG, "the redis URL has too many addresses: %s",
                       target.sentinel ? "at most 8 sentinels" : "one node, or redis+sentinel://");
    err = parse_address(rest, (size_t)(stop - rest), target.sentinel ? SENTINEL_PORT : PORT, &target.address[target.address_count], error);
    target.address_count++;
    if (!comma) break;
    rest = comma + 1;
  }
  if (err != TIDE_OK) return err;
  const char *name = slash ? slash + 1 : "";
  if (target.sentinel ? !*name || strchr(name, '/') || !decode(name, strlen(name), target.name, sizeof target.name) : *name != 0)
    return tide_fail(error, TIDE_E_CONFIG,
                     target.sentinel ? "a redis+sentinel:// URL ends with /NAME, the sentinels' name of the primary"
                                     : "a redis:// URL ends behind the port: databases are not chosen by it");
  *ret = target;
  return TIDE_OK;
}
