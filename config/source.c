/* The rows of source.h as an array, and a source's values by their row.
 *
 * The same offsets-by-row way as config.c: a key of a source is one line of the table, and parser, checks, printed form and reference need
 * nothing else. */
#include "config/source.h"

#include <stdio.h>

const struct tide_option tide_source_keys[TIDE_SOURCE_KEY_COUNT] = {
#define X(name, type, dflt, lo, hi, words, help) {"sources", #name, dflt, lo, hi, NULL, words, help, TIDE_OPTION_##type, false},
    TIDE_SOURCE_KEYS(X)
#undef X
};

static const size_t offsets[TIDE_SOURCE_KEY_COUNT] = {
#define X(name, type, ...) offsetof(struct tide_config_source, TIDE_MEMBER_##type(name)),
    TIDE_SOURCE_KEYS(X)
#undef X
};

struct tide_option_value tide_source_value(const struct tide_config_source *source, enum tide_source_key key) {
  TIDE_CHECK((unsigned)key < TIDE_SOURCE_KEY_COUNT);
  return tide_option_load((enum tide_option_type)tide_source_keys[key].type, (const char *)source + offsets[key]);
}

void tide_source_value_put(struct tide_config_source *source, enum tide_source_key key, struct tide_option_value value,
                           struct tide_arena *arena) {
  TIDE_CHECK((unsigned)key < TIDE_SOURCE_KEY_COUNT);
  tide_option_store((enum tide_option_type)tide_source_keys[key].type, (char *)source + offsets[key], value, arena);
}

int tide_source_key_find(struct tide_span name) {
  for (int i = 0; i < TIDE_SOURCE_KEY_COUNT; i++)
    if (tide_span_is(name, tide_source_keys[i].name)) return i;
  return -1;
}

int tide_source_key_inherits(enum tide_source_key key) {
  TIDE_CHECK((unsigned)key < TIDE_SOURCE_KEY_COUNT);
  return tide_source_keys[key].dflt ? tide_option_find(tide_span_of(tide_source_keys[key].dflt)) : -1;
}

const char *tide_source_env_name(const char *source, enum tide_source_key key, char out[TIDE_SOURCE_ENV_BYTES]) {
  int len = snprintf(out, TIDE_SOURCE_ENV_BYTES, "TIDEMARK_SOURCES_%s_%s", source, tide_source_keys[key].name);
  TIDE_CHECK(len > 0 && len < TIDE_SOURCE_ENV_BYTES);
  for (char *c = out; *c; c++) {
    if (*c == '.' || *c == '-') *c = '_';
    else if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
  }
  return out;
}

void tide_sources_document(struct tide_buf *out) {
  tide_buf_printf(
      out,
      "`sources:` maps the name of each source to its keys, at most %d sources: what is read from Kafka, and what it means to freshness. A key can also be "
      "given as `--set sources.NAME.KEY=VALUE`, which makes the source where the file does not name it, or as `TIDEMARK_SOURCES_NAME_KEY` in the "
      "environment (in capitals, `-` and `.` as `_`) for a source of the file. No key can be reloaded. A source that is renamed is another source.\n\n"
      "```yaml\nsources:\n  auths: {topic: card-authorizations, key: card}\n  labels: {topic: chargebacks, input: labels, gates: false}\n```\n\n"
      "| key | type | default | bounds | meaning |\n|---|---|---|---|---|\n",
      TIDE_SOURCES_MAX);
  for (int i = 0; i < TIDE_SOURCE_KEY_COUNT; i++) {
    const struct tide_option *key = &tide_source_keys[i];
    tide_buf_printf(out, "| `%s` | %s | ", key->name, tide_option_type_name((enum tide_option_type)key->type));
    if (!key->dflt) tide_buf_str(out, "must be given");
    else if (tide_source_key_inherits((enum tide_source_key)i) >= 0) tide_buf_printf(out, "that of `%s`", key->dflt);
    else tide_buf_str(out, key->dflt[0] ? key->dflt : "empty");
    tide_buf_str(out, " | ");
    tide_option_bounds(key, out);
    tide_buf_printf(out, " | %s |\n", key->help);
  }
}
