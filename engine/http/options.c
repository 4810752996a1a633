/* The member "options" of a message: how it is to be answered, beside what it says.
 *
 *   {"count": bool, "explain": "none"|"reasons"|"full", "after": "7-48100", "at": time, "consistency": "strong"|"quorum"|"eventual"}
 *
 * A word that is not understood is an error: a misspelt "count" would count what was not to be counted. Few messages have options, so they
 * are read in a second pass, with jansson, and only where the decoder saw some. */
#include "http/parts.h"

#include <jansson.h>
#include <stdio.h>

/* Which route takes which. */
enum { TAKES_COUNT = 1, TAKES_EXPLAIN = 2, TAKES_AFTER = 4, TAKES_AT = 8, TAKES_CONSISTENCY = 16 };
static unsigned takes_of(const struct tide_route *route) {
  switch ((enum tide_route_id)route->id) {
    case TIDE_ROUTE_score:
    case TIDE_ROUTE_score_batch: return TAKES_COUNT | TAKES_EXPLAIN | TAKES_AFTER;
    case TIDE_ROUTE_events:
    case TIDE_ROUTE_outcomes:
    case TIDE_ROUTE_profiles: return TAKES_AFTER;
    case TIDE_ROUTE_features: return TAKES_AFTER | TAKES_AT | TAKES_CONSISTENCY;
    case TIDE_ROUTE_lookup: return TAKES_EXPLAIN | TAKES_AFTER;
    default: return 0;
  }
}

bool tide_http_position_parse(struct tide_span text, struct tide_position *ret) {
  uint64_t part[3] = {0};
  static const char sep[] = "-.";
  size_t at = 0;
  int n = 0;
  for (; n < 3; n++) {
    size_t begin = at;
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
      uint64_t digit = (uint64_t)(text.ptr[at] - '0');
      if (part[n] > (UINT64_MAX - digit) / 10) return false;
      part[n] = part[n] * 10 + digit;
    }
    if (at == begin) return false;
    if (at == text.len) break;
    if (n == 2 || text.ptr[at] != sep[n]) return false;
    at++;
  }
  if (n < 1 || n > 2) return false;
  *ret = (struct tide_position){part[0], part[1]};
  return true;
}

static int word_of(const json_t *value, const char *const *word, int count) {
  const char *text = json_string_value(value);
  for (int i = 0; text && i < count; i++)
    if (strcmp(text, word[i]) == 0) return i;
  return -1;
}

static const char *take_after(const json_t *value, struct tide_http_ask *ask) {
  const char *text = json_string_value(value);
  return text && tide_http_position_parse(tide_span_of(text), &ask->after) ? NULL : "a position as an answer gave it, like \"7-48100\"";
}

static const char *take_at(const json_t *value, struct tide_http_ask *ask) {
  struct tide_etime t;
  const char *text = json_string_value(value);
  ask->has_at = true;
  if (json_is_integer(value)) {
    ask->at_ms = json_integer_value(value);
    return ask->at_ms >= TIDE_TIME_MIN_MS && ask->at_ms <= TIDE_TIME_MAX_MS ? NULL : "milliseconds since 1970 between the years 1 and 9999";
  }
  if (!text || tide_time_parse(tide_span_of(text), TIDE_TIME_RFC3339, &t) != TIDE_OK)
    return "a time like \"2026-11-21T09:58:51.123Z\", or milliseconds since 1970";
  ask->at_ms = t.ms;
  return NULL;
}

/* NULL, or what would have been right. */
static const char *take(unsigned takes, const char *name, const json_t *value, struct tide_http_ask *ask) {
  static const char *const explain[] = {"none", "reasons", "full"};
  static const char *const consistency[] = {"strong", "quorum", "eventual"};
  if (strcmp(name, "count") == 0 && (takes & TAKES_COUNT)) {
    ask->count = json_is_true(value);
    return json_is_boolean(value) ? NULL : "true or false";
  }
  if (strcmp(name, "explain") == 0 && (takes & TAKES_EXPLAIN)) {
    int word = word_of(value, explain, 3);
    ask->explain = (uint8_t)(word < 0 ? 0 : word);
    return word < 0 ? "one of none, reasons, full" : NULL;
  }
  if (strcmp(name, "after") == 0 && (takes & TAKES_AFTER)) return take_after(value, ask);
  if (strcmp(name, "at") == 0 && (takes & TAKES_AT)) return take_at(value, ask);
  if (strcmp(name, "consistency") == 0 && (takes & TAKES_CONSISTENCY)) {
    int word = word_of(value, consistency, 3);
    ask->consistency = (uint8_t)(word < 0 ? 0 : word);
    return word < 0 ? "one of strong, quorum, eventual" : NULL;
  }
  return "left out: this route takes no such option";
}

static bool read_members(const struct tide_route *route, json_t *options, struct tide_http_ask *ask, struct tide_trouble *trouble,
                         const char *prefix) {
  const char *name;
  json_t *value;
  json_object_foreach(options, name, value) {
    const char *wanted = take(takes_of(route), name, value, ask);
    if (!wanted) continue;
    char place[96];
    snprintf(place, sizeof place, "/options/%.60s", name);
    tide_trouble_point(trouble, prefix, place);
    return tide_trouble_set(trouble, TIDE_PROBLEM_bad_options, "the option \"%.60s\" must be %s", name, wanted);
  }
  return true;
}

bool tide_http_options_read(const struct tide_route *route, struct tide_span message, struct tide_http_ask *ask,
                            struct tide_trouble *trouble, const char *prefix) {
  json_error_t why;
  json_t *root = json_loadb(message.ptr, message.len, JSON_REJECT_DUPLICATES, &why);
  if (!root) return tide_trouble_set(trouble, TIDE_PROBLEM_malformed, "the body cannot be read at byte %d: %.200s", why.position, why.text);
  json_t *options = json_object_get(root, "options");
  bool good;
  if (json_is_object(options)) {
    good = read_members(route, options, ask, trouble, prefix);
  } else {
    tide_trouble_point(trouble, prefix, "/options");
    good = tide_trouble_set(trouble, TIDE_PROBLEM_bad_options, "\"options\" must be an object");
  }
  json_decref(root);
  return good;
}
