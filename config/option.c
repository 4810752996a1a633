/* The rows of option.h as an array, and what a type means: how its values are read, checked and written.
 *
 * One switch over the type in each direction (parse, format, store, load). Every value has exactly one written form, the
 * shortest exact one, so that a printed configuration reads back to the same values and two of them can be compared as text. */
#include "config/option.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/utf8.h"

#define RELOAD true
#define RESTART false

const struct tide_option tide_options[TIDE_OPTION_COUNT] = {
#define X(section, name, type, dflt, lo, hi, unit, words, reload, help)                                                                    \
  {#section, #section "." #name, dflt, lo, hi, unit, words, help, TIDE_OPTION_##type, reload},
    TIDE_OPTIONS(X)
#undef X
};

static const struct {
  const char *name, *form;
} types[TIDE_OPTION_TYPE_COUNT] = {
#define X(type, name, form) {name, form},
    TIDE_OPTION_TYPES(X)
#undef X
};

/* Largest first: the first that divides a value is the one it is written in. */
static const struct {
  const char *name;
  int64_t bytes;
} sizes[] = {{"GiB", TIDE_GIB(1)}, {"MiB", TIDE_MIB(1)}, {"KiB", TIDE_KIB(1)}, {"B", 1}};
enum { SIZE_COUNT = sizeof sizes / sizeof sizes[0], KEY_DIGITS = 64 };

const char *tide_option_type_name(enum tide_option_type type) {
  TIDE_CHECK((unsigned)type < TIDE_OPTION_TYPE_COUNT);
  return types[type].name;
}

const char *tide_option_type_form(enum tide_option_type type) {
  TIDE_CHECK((unsigned)type < TIDE_OPTION_TYPE_COUNT);
  return types[type].form;
}

bool tide_option_is_text(enum tide_option_type type) {
  return type == TIDE_OPTION_NAME || type == TIDE_OPTION_PATH || type == TIDE_OPTION_ADDRESS || type == TIDE_OPTION_TOPIC;
}

struct tide_option_value tide_option_load(enum tide_option_type type, const void *member) {
  struct tide_option_value value = {0};
  switch (type) {
    case TIDE_OPTION_BOOL: {
      bool on;
      memcpy(&on, member, sizeof on);
      value.number = on;
      break;
    }
    case TIDE_OPTION_CHOICE: {
      int index;
      memcpy(&index, member, sizeof index);
      value.number = index;
      break;
    }
    case TIDE_OPTION_INT:
    case TIDE_OPTION_SIZE:
    case TIDE_OPTION_DURATION:
    case TIDE_OPTION_TIME:
    case TIDE_OPTION_START: memcpy(&value.number, member, sizeof value.number); break;
    case TIDE_OPTION_NAME:
    case TIDE_OPTION_PATH:
    case TIDE_OPTION_ADDRESS:
    case TIDE_OPTION_TOPIC: {
      const char *text;
      memcpy(&text, member, sizeof text);
      value.text = tide_span_of(text);
      break;
    }
    case TIDE_OPTION_TYPE_COUNT: TIDE_NEVER("not a type");
  }
  return value;
}

void tide_option_store(enum tide_option_type type, void *member, struct tide_option_value value, struct tide_arena *arena) {
  switch (type) {
    case TIDE_OPTION_BOOL: {
      bool on = value.number != 0;
      memcpy(member, &on, sizeof on);
      break;
    }
    case TIDE_OPTION_CHOICE: {
      int index = (int)value.number;
      memcpy(member, &index, sizeof index);
      break;
    }
    case TIDE_OPTION_INT:
    case TIDE_OPTION_SIZE:
    case TIDE_OPTION_DURATION:
    case TIDE_OPTION_TIME:
    case TIDE_OPTION_START: memcpy(member, &value.number, sizeof value.number); break;
    case TIDE_OPTION_NAME:
    case TIDE_OPTION_PATH:
    case TIDE_OPTION_ADDRESS:
    case TIDE_OPTION_TOPIC: {
      const char *text = tide_arena_strdup(arena, value.text);
      memcpy(member, &text, sizeof text);
      break;
    }
    case TIDE_OPTION_TYPE_COUNT: TIDE_NEVER("not a type");
  }
}

int tide_option_find(struct tide_span name) {
  for (int i = 0; i < TIDE_OPTION_COUNT; i++)
    if (tide_span_is(name, tide_options[i].name)) return i;
  return -1;
}

const char *tide_option_env_name(const struct tide_option *option, char out[TIDE_OPTION_ENV_BYTES]) {
  int len = snprintf(out, TIDE_OPTION_ENV_BYTES, "TIDEMARK_%s", option->name);
  TIDE_CHECK(len > 0 && len < TIDE_OPTION_ENV_BYTES);
  for (char *c = out; *c; c++) {
    if (*c == '.') *c = '_';
    else if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
  }
  return out;
}

static enum tide_err size_parse(struct tide_span text, int64_t *ret_bytes) {
  size_t digits = 0;
  while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') digits++;
  if (digits == 0) return TIDE_E_SYNTAX;
  struct tide_span unit = {text.ptr + digits, text.len - digits};
  for (int i = 0; i < SIZE_COUNT; i++) {
    if (!tide_span_is(unit, sizes[i].name)) continue;
    int64_t count;
    enum tide_err err = tide_int_parse((struct tide_span){text.ptr, digits}, &count);
    if (err) return err;
    if (count > INT64_MAX / sizes[i].bytes) return TIDE_E_RANGE;
    *ret_bytes = count * sizes[i].bytes;
    return TIDE_OK;
  }
  return TIDE_E_SYNTAX;
}

static enum tide_err time_parse(struct tide_span text, int64_t *ret_ms) {
  if (tide_span_is(text, "first")) {
    *ret_ms = TIDE_TIME_FIRST;
    return TIDE_OK;
  }
  struct tide_etime time;
  enum tide_err err = tide_time_parse(text, TIDE_TIME_RFC3339, &time);
  if (!err) *ret_ms = time.ms;
  return err;
}

static enum tide_err start_parse(struct tide_span text, int64_t *ret_ms) {
  if (!tide_span_is(text, "last")) return time_parse(text, ret_ms);
  *ret_ms = TIDE_START_LAST;
  return TIDE_OK;
}

static int64_t word_index(const char *words, struct tide_span text) {
  int64_t index = 0;
  for (const char *at = words; *at; index++) {
    TIDE_CHECK(*at == '|');
    size_t len = strcspn(at + 1, "|");
    if (tide_span_eq((struct tide_span){at + 1, len}, text)) return index;
    at += 1 + len;
  }
  return -1;
}

static struct tide_span word_at(const char *words, int64_t index) {
  const char *at = words;
  for (; index > 0; index--) at += 1 + strcspn(at + 1, "|");
  TIDE_CHECK(*at == '|');
  return (struct tide_span){at + 1, strcspn(at + 1, "|")};
}

static enum tide_err number_parse(const struct tide_option *option, struct tide_span text, int64_t *ret) {
  switch ((enum tide_option_type)option->type) {
    case TIDE_OPTION_INT: return tide_int_parse(text, ret);
    case TIDE_OPTION_SIZE: return size_parse(text, ret);
    case TIDE_OPTION_DURATION: return tide_duration_parse(text, ret);
    case TIDE_OPTION_TIME: return time_parse(text, ret);
    case TIDE_OPTION_START: return start_parse(text, ret);
    case TIDE_OPTION_BOOL: *ret = tide_span_is(text, "true"); return *ret || tide_span_is(text, "false") ? TIDE_OK : TIDE_E_SYNTAX;
    case TIDE_OPTION_CHOICE: {
      int64_t index = word_index(option->words, text);
      if (index < 0) return TIDE_E_SYNTAX;
      *ret = index;
      return TIDE_OK;
    }
    default: TIDE_NEVER("the other types are texts");
  }
}

static bool is_number(const struct tide_option *option) { return !tide_option_is_text((enum tide_option_type)option->type); }

static bool has_bounds(const struct tide_option *option) { return option->lo != 0 || option->hi != 0; }

void tide_option_bounds(const struct tide_option *option, struct tide_buf *out) {
  if (option->words) {
    for (const char *c = option->words + 1; *c; c++) tide_buf_str(out, *c == '|' ? ", " : (const char[]){*c, 0});
  } else if (has_bounds(option) && is_number(option)) {
    tide_option_format(option, (struct tide_option_value){.number = option->lo}, out);
    tide_buf_str(out, " to ");
    tide_option_format(option, (struct tide_option_value){.number = option->hi}, out);
    if (option->unit) tide_buf_printf(out, " %s", option->unit);
  } else if (has_bounds(option)) {
    tide_buf_printf(out, "%" PRId64 " to %" PRId64 " bytes", option->lo, option->hi);
  }
}

static enum tide_err parse_number(const struct tide_option *option, struct tide_span text, struct tide_option_value *ret,
                                  struct tide_error *error) {
  int64_t number;
  int shown = text.len < 60 ? (int)text.len : 60;
  enum tide_err err = number_parse(option, text, &number);
  if (err == TIDE_OK && (!has_bounds(option) || (number >= option->lo && number <= option->hi))) {
    *ret = (struct tide_option_value){.number = number};
    return TIDE_OK;
  }
  if (option->type != TIDE_OPTION_CHOICE && (err == TIDE_E_SYNTAX || !has_bounds(option)))
    return tide_fail_at(error, err, 0, 0, option->name, "%s takes %s, not \"%.*s\"", option->name, types[option->type].form, shown,
                        text.len ? text.ptr : "");
  struct tide_buf bounds = TIDE_BUF_INIT;
  tide_option_bounds(option, &bounds);
  err = tide_fail_at(error, option->words ? TIDE_E_SYNTAX : TIDE_E_RANGE, 0, 0, option->name, "%s is \"%.*s\" and must be %s%s",
                     option->name, shown, text.len ? text.ptr : "", option->words ? "one of " : "", tide_buf_cstr(&bounds));
  tide_buf_release(&bounds);
  return err;
}

static bool is_name(struct tide_span text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && (i == 0 || (c != '-' && c != '_' && c != '.'))) return false;
  }
  return true;
}

/* What brokers take (Kafka's Topic.validate). */
static bool is_topic(struct tide_span text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c != '-' && c != '_' && c != '.') return false;
  }
  return !tide_span_is(text, ".") && !tide_span_is(text, "..");
}

static bool has_control(struct tide_span text) {
  for (size_t i = 0; i < text.len; i++)
    if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) return true;
  return false;
}

/* The key itself where the path of its file belongs: it would be printed with every configuration. */
static bool is_key(struct tide_span text) {
  for (size_t i = 0; i < text.len; i++)
    if (!strchr("0123456789abcdefABCDEF", text.ptr[i])) return false;
  return text.len == KEY_DIGITS;
}

static bool is_address(struct tide_span text) {
  char copy[INET6_ADDRSTRLEN];
  unsigned char bytes[sizeof(struct in6_addr)];
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, 0, text.len)) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  return inet_pton(AF_INET, copy, bytes) == 1 || inet_pton(AF_INET6, copy, bytes) == 1;
}

static enum tide_err parse_text(const struct tide_option *option, struct tide_span text, struct tide_option_value *ret,
                                struct tide_error *error) {
  enum tide_option_type type = (enum tide_option_type)option->type;
  if (has_bounds(option) && ((int64_t)text.len < option->lo || (int64_t)text.len > option->hi))
    return tide_fail_at(error, TIDE_E_RANGE, 0, 0, option->name, "%s has %zu bytes and must have %" PRId64 " to %" PRId64, option->name,
                        text.len, option->lo, option->hi);
  if (!tide_utf8_valid(text) || has_control(text))
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, option->name, "%s must be UTF-8 without control characters", option->name);
  if ((type == TIDE_OPTION_NAME && !is_name(text)) || (type == TIDE_OPTION_TOPIC && !is_topic(text)))
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, option->name, "%s takes %s", option->name, types[type].form);
  if (type == TIDE_OPTION_ADDRESS && !is_address(text))
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, option->name,
                        "%s takes %s, not a name: write 127.0.0.1 for this machine alone, 0.0.0.0 or :: for all its addresses",
                        option->name, types[type].form);
  if (type == TIDE_OPTION_PATH && is_key(text))
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, option->name,
                        "%s looks like a key itself: write it to a file that only you can read, and its path here", option->name);
  *ret = (struct tide_option_value){.text = text};
  return TIDE_OK;
}

enum tide_err tide_option_parse(const struct tide_option *option, struct tide_span text, struct tide_option_value *ret,
                                struct tide_error *error) {
  return is_number(option) ? parse_number(option, text, ret, error) : parse_text(option, text, ret, error);
}

static void put_size(int64_t bytes, struct tide_buf *out) {
  int i = 0;
  while (bytes % sizes[i].bytes != 0) i++; /* ends at the latest with B, which divides everything */
  if (bytes == 0) i = SIZE_COUNT - 1;
  tide_buf_printf(out, "%" PRId64 "%s", bytes / sizes[i].bytes, sizes[i].name);
}

void tide_option_format(const struct tide_option *option, struct tide_option_value value, struct tide_buf *out) {
  char text[TIDE_TIME_TEXT];
  switch ((enum tide_option_type)option->type) {
    case TIDE_OPTION_BOOL: tide_buf_str(out, value.number ? "true" : "false"); break;
    case TIDE_OPTION_INT: tide_buf_printf(out, "%" PRId64, value.number); break;
    case TIDE_OPTION_SIZE: put_size(value.number, out); break;
    case TIDE_OPTION_DURATION: tide_buf_str(out, tide_duration_format(value.number, text)); break;
    case TIDE_OPTION_TIME:
    case TIDE_OPTION_START:
      if (value.number == TIDE_TIME_FIRST) tide_buf_str(out, "first");
      else if (value.number == TIDE_START_LAST) tide_buf_str(out, "last");
      else tide_buf_str(out, tide_time_format((struct tide_etime){value.number}, text));
      break;
    case TIDE_OPTION_CHOICE: {
      struct tide_span word = word_at(option->words, value.number);
      tide_buf_put(out, word.ptr, word.len);
      break;
    }
    case TIDE_OPTION_NAME:
    case TIDE_OPTION_PATH:
    case TIDE_OPTION_ADDRESS:
    case TIDE_OPTION_TOPIC: tide_buf_put(out, value.text.ptr, value.text.len); break;
    case TIDE_OPTION_TYPE_COUNT: TIDE_NEVER("not a type");
  }
}

void tide_options_document(struct tide_buf *out) {
  char env[TIDE_OPTION_ENV_BYTES];
  tide_buf_str(out, "| option | environment | type | default | bounds | reload | meaning |\n|---|---|---|---|---|---|---|\n");
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) {
    const struct tide_option *option = &tide_options[i];
    tide_buf_printf(out, "| `%s` | `%s` | %s | %s | ", option->name, tide_option_env_name(option, env), types[option->type].name,
                    option->dflt[0] ? option->dflt : "empty");
    tide_option_bounds(option, out);
    tide_buf_printf(out, " | %s | %s |\n", option->reloadable ? "yes" : "no", option->help);
  }
  tide_buf_str(out, "\n| type | how it is written |\n|---|---|\n");
  for (int i = 0; i < TIDE_OPTION_TYPE_COUNT; i++) tide_buf_printf(out, "| %s | %s |\n", types[i].name, types[i].form);
}
