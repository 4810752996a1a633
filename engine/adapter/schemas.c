/* Schemas by number (schemas.h): a sorted table under a lock, filled from a directory or a registry.
 *
 * Decoders come here once per number and thread, so the lock costs nothing; it is held over a question to the registry, which waits a moment at most. A text from the
 * registry that is no schema stays refused, since it will never be another one. A file may still be mended: it is read again with each question. */
#include "adapter/schemas.h"

#include "adapter/schema_registry.h"
#include "base/buf.h"
#include "base/num.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

struct entry {
  uint32_t id;
  struct tide_avro_schema *schema; /* NULL: refused, why says why */
  struct tide_error *why;
};

struct tide_schemas {
  pthread_mutex_t mutex;
  char *dir; /* NULL: the registry */
  struct tide_schema_registry *registry;
  struct entry *entry; /* by id */
  uint32_t count, cap;
};

/* The place of an id, or where it belongs. */
static uint32_t place(const struct tide_schemas *s, uint32_t id) {
  uint32_t low = 0, high = s->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (s->entry[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void put(struct tide_schemas *s, struct entry entry) {
  uint32_t at = place(s, entry.id);
  if (s->count == s->cap) {
    s->cap = s->cap ? s->cap * 2 : 16;
    s->entry = tide_realloc(s->entry, s->cap * sizeof *s->entry);
  }
  memmove(&s->entry[at + 1], &s->entry[at], (s->count - at) * sizeof *s->entry);
  s->entry[at] = entry;
  s->count++;
}

/* ---- a directory ---- */

static enum tide_err read_all(FILE *file, const char *path, struct tide_buf *out, struct tide_error *error) {
  char chunk[4096];
  for (size_t got; out->len <= TIDE_AVRO_TEXT_MAX && (got = fread(chunk, 1, sizeof chunk, file)) > 0;) tide_buf_put(out, chunk, got);
  return ferror(file) ? tide_fail_errno(error, TIDE_E_AGAIN, "the schema %s cannot be read", path) : TIDE_OK;
}

/* A file that is not there says nothing while its directory is not there either (a mount that went away). */
static bool is_dir(const char *path) {
  struct stat is;
  return stat(path, &is) == 0 && S_ISDIR(is.st_mode);
}

static enum tide_err read_file(struct tide_schemas *s, uint32_t id, struct tide_error *error) {
  struct tide_buf path = TIDE_BUF_INIT, text = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/%u.avsc", s->dir, id);
  const char *name = tide_buf_cstr(&path);
  FILE *file = fopen(name, "re");
  enum tide_err err;
  struct tide_error why;
  struct tide_avro_schema *schema;
  if (!file && errno == ENOENT && is_dir(s->dir))
    err = tide_fail(error, TIDE_E_UNKNOWN_NAME, "there is no schema %u (no file %.200s)", id, name);
  else if (!file) err = tide_fail_errno(error, TIDE_E_AGAIN, "the schema %.200s cannot be opened", name);
  else err = read_all(file, name, &text, error);
  if (file) fclose(file);
  if (!err && tide_avro_schema_parse(tide_buf_span(&text), &schema, &why) != TIDE_OK)
    err = tide_fail(error, TIDE_E_AGAIN, "%.120s is %.240s", name, why.text);
  if (!err) put(s, (struct entry){.id = id, .schema = schema});
  tide_buf_release(&path);
  tide_buf_release(&text);
  return err;
}

/* "17.avsc" is 17; "017.avsc", "a.avsc", "17.avsc~" are something else. */
static bool id_of(const char *name, uint32_t *ret) {
  size_t len = strspn(name, "0123456789");
  int64_t id;
  if (strcmp(name + len, ".avsc") != 0 || tide_int_parse((struct tide_span){name, len}, &id) != TIDE_OK || id > UINT32_MAX) return false;
  *ret = (uint32_t)id;
  return true;
}

/* Every schema of the directory, so that a broken one is found at the start. */
static enum tide_err read_dir(struct tide_schemas *s, struct tide_error *error) {
  DIR *dir = opendir(s->dir);
  if (!dir) return tide_fail_errno(error, TIDE_E_CONFIG, "the directory of schemas %.200s cannot be read", s->dir);
  enum tide_err err = TIDE_OK;
  for (const struct dirent *file; !err && (file = readdir(dir));) {
    uint32_t id;
    struct tide_error why;
    if (!id_of(file->d_name, &id)) continue;
    if (read_file(s, id, &why) != TIDE_OK) err = tide_fail(error, TIDE_E_CONFIG, "%s", why.text);
  }
  closedir(dir);
  return err;
}

/* ---- the registry ---- */

static enum tide_err ask(struct tide_schemas *s, uint32_t id, struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error why;
  struct tide_avro_schema *schema = NULL;
  enum tide_err err = tide_schema_registry_get(s->registry, id, &text, &why);
  if (!err) {
    err = tide_avro_schema_parse(tide_buf_span(&text), &schema, &why);
    if (err) {
      struct tide_error parsed = why;
      err = tide_fail(&why, err, "schema %u of the registry is %.300s", id, parsed.text);
    }
  }
  tide_buf_release(&text);
  if (!err) {
    put(s, (struct entry){.id = id, .schema = schema});
    return TIDE_OK;
  }
  if (error) *error = why;
  if (err == TIDE_E_SYNTAX || err == TIDE_E_TYPE) {
    struct tide_error *kept = tide_alloc(sizeof *kept);
    *kept = why;
    put(s, (struct entry){.id = id, .why = kept});
  }
  return err;
}

/* ---- both ---- */

enum tide_err tide_schemas_get(struct tide_schemas *s, uint32_t id, const struct tide_avro_schema **ret, struct tide_error *error) {
  int failed = pthread_mutex_lock(&s->mutex);
  TIDE_CHECK(!failed);
  enum tide_err err = TIDE_OK;
  uint32_t at = place(s, id);
  if (at == s->count || s->entry[at].id != id) err = s->dir ? read_file(s, id, error) : ask(s, id, error);
  else if (!s->entry[at].schema) {
    err = s->entry[at].why->code;
    if (error) *error = *s->entry[at].why;
  }
  if (!err) *ret = s->entry[at].schema;
  failed = pthread_mutex_unlock(&s->mutex);
  TIDE_CHECK(!failed);
  return err;
}

enum tide_err tide_schemas_open(const struct tide_schemas_options *options, struct tide_schemas **ret, struct tide_error *error) {
  struct tide_schemas *s = tide_alloc(sizeof *s);
  TIDE_CHECK(pthread_mutex_init(&s->mutex, NULL) == 0);
  enum tide_err err;
  if (strstr(options->from, "://")) {
    struct tide_schema_registry_options registry = {.url = options->from,
                                                    .timeout_ms = options->timeout_ms ? options->timeout_ms : 5000,
                                                    .wait_ms = options->wait_ms ? options->wait_ms : 100,
                                                    .pause_ms = options->pause_ms ? options->pause_ms : 1000};
    err = tide_schema_registry_open(&registry, &s->registry, error);
  } else {
    s->dir = tide_strdup(options->from);
    err = read_dir(s, error);
  }
  if (err) {
    tide_schemas_close(s);
    return err;
  }
  *ret = s;
  return TIDE_OK;
}

void tide_schemas_close(struct tide_schemas *s) {
  if (!s) return;
  for (uint32_t i = 0; i < s->count; i++) {
    tide_avro_schema_free(s->entry[i].schema);
    tide_free(s->entry[i].why);
  }
  tide_schema_registry_close(s->registry);
  TIDE_CHECK(pthread_mutex_destroy(&s->mutex) == 0);
  tide_free(s->entry);
  tide_free(s->dir);
  tide_free(s);
}
