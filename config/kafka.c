/* Which settings are secrets, and reading those that stand in files (kafka.h).
 *
 * The names are a pattern and not a list: a client that knows more settings than the one this was written for must not have them printed. For the same
 * reason a word that is nearly "password" is one: a misspelt setting is told by the client only after it was printed. */
#include "config/kafka.h"

#include <stdio.h>

#include "base/utf8.h"

static bool contains(struct tide_span text, const char *part) {
  size_t len = strlen(part);
  for (size_t i = 0; i + len <= text.len; i++)
    if (memcmp(text.ptr + i, part, len) == 0) return true;
  return false;
}

bool tide_kafka_is_secret(struct tide_span name) {
  static const char *const parts[] = {"pass", "secret", "key.pem", "jaas", "oauthbearer.config", "oauthbearer.extensions"};
  static const char *const password[] = {"password"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (contains(name, parts[i])) return true;
  for (size_t at = 0; at < name.len;) {
    size_t end = at;
    while (end < name.len && name.ptr[end] != '.' && name.ptr[end] != '_') end++;
    if (tide_nearest((struct tide_span){name.ptr + at, end - at}, password, 1)) return true;
    at = end + 1;
  }
  return false;
}

bool tide_kafka_is_name(struct tide_span name) {
  if (name.len == 0 || name.len > TIDE_KAFKA_NAME_MAX) return false;
  for (size_t i = 0; i < name.len; i++) {
    char c = name.ptr[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!word && (i == 0 || (c != '.' && c != '_' && c != '-'))) return false;
  }
  return true;
}

const char *tide_kafka_env_name(const struct tide_config_kafka *setting, char out[TIDE_KAFKA_ENV_BYTES]) {
  char *at = out + snprintf(out, TIDE_KAFKA_ENV_BYTES, "TIDEMARK_KAFKA_");
  for (const char *c = setting->name; *c; c++) *at++ = *c == '.' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
  snprintf(at, TIDE_KAFKA_ENV_BYTES - (size_t)(at - out), "%s", setting->file ? "_FILE" : "");
  return out;
}

static enum tide_err read_value(const struct tide_config_kafka *kafka, struct tide_arena *arena, const char **ret,
                                struct tide_error *error) {
  FILE *in = fopen(kafka->file, "re");
  if (!in) return tide_fail_errno(error, TIDE_E_CONFIG, "cannot read kafka.%s_file %s", kafka->name, kafka->file);
  setvbuf(in, NULL, _IONBF, 0); /* no copy of a secret stays in a buffer of the library */
  char *text = tide_alloc(TIDE_KAFKA_VALUE_MAX + 2);
  size_t len = fread(text, 1, TIDE_KAFKA_VALUE_MAX + 2, in);
  bool bad = ferror(in) != 0, long_one = len == TIDE_KAFKA_VALUE_MAX + 2;
  (void)fclose(in);
  if (len > 0 && text[len - 1] == '\n') len--;
  if (len > 0 && text[len - 1] == '\r') len--;
  enum tide_err err = TIDE_OK;
  if (bad || long_one || len == 0 || len > TIDE_KAFKA_VALUE_MAX || memchr(text, 0, len))
    err = tide_fail(error, TIDE_E_CONFIG, "kafka.%s_file %s must hold the value of %s: 1 to %d bytes of text", kafka->name, kafka->file,
                    kafka->name, TIDE_KAFKA_VALUE_MAX);
  else *ret = tide_arena_strdup(arena, (struct tide_span){text, len});
  explicit_bzero(text, TIDE_KAFKA_VALUE_MAX + 2);
  tide_free(text);
  return err;
}

enum tide_err tide_kafka_settings_read(const struct tide_config_kafka *kafka, size_t count, struct tide_kafka_settings *ret,
                                       struct tide_error *error) {
  struct tide_kafka_settings settings = {.count = 0};
  enum tide_err err = TIDE_OK;
  TIDE_CHECK(count <= TIDE_KAFKA_SETTINGS_MAX);
  for (size_t i = 0; i < count && err == TIDE_OK; i++) {
    const char *value = NULL;
    if (kafka[i].file) err = read_value(&kafka[i], &settings.arena, &value, error);
    else value = tide_arena_strdup(&settings.arena, tide_span_of(kafka[i].value));
    if (err != TIDE_OK) break;
    const char *name = tide_arena_strdup(&settings.arena, tide_span_of(kafka[i].name));
    settings.setting[settings.count++] = (struct tide_kafka_setting){name, value};
  }
  if (err == TIDE_OK) *ret = settings;
  else tide_kafka_settings_release(&settings);
  return err;
}

void tide_kafka_settings_release(struct tide_kafka_settings *settings) {
  for (size_t i = 0; i < settings->count; i++) {
    char *value = (char *)(uintptr_t)settings->setting[i].value; /* the arena's, which this owns */
    explicit_bzero(value, strlen(value));
  }
  tide_arena_release(&settings->arena);
  *settings = (struct tide_kafka_settings){.count = 0};
}

void tide_kafka_document(struct tide_buf *out) {
  tide_buf_str(
      out,
      "`kafka:` holds settings of librdkafka, passed through under their own names: `bootstrap.servers`, `security.protocol`, `linger.ms` ... A setting can "
      "also be given as `--set kafka.linger.ms=5`, or in the environment as `TIDEMARK_KAFKA_LINGER_MS=5`, where every `_` stands for a dot. Those that "
      "Tidemark needs for itself are refused by name when the engine starts, and so are those that librdkafka does not know. `NAME_file: PATH` "
      "(`TIDEMARK_KAFKA_NAME_FILE`) takes the value from a file, without the line break at its end.\n\n"
      "Secrets (`sasl.password`, `ssl.key.password`, `ssl.key.pem`, `sasl.oauthbearer.client.secret` and others whose name says so) are taken from a file or "
      "from the environment only, and are never printed.\n\n"
      "```yaml\nkafka:\n  bootstrap.servers: k1:9093,k2:9093\n  security.protocol: SASL_SSL\n  sasl.mechanisms: SCRAM-SHA-512\n  sasl.username: tidemark\n"
      "  sasl.password_file: /etc/tidemark/kafka.password\n```\n");
}
