/* The key under which secret fields are hashed: 64 hex digits in a file that only its owner can read, or in TIDEMARK_HASH_KEY.
 *
 * There is no silent default: without a key a feature file with secret fields is refused, and the published development key needs its
 * own flag and warns. */
#ifndef TIDE_KEY_FILE_H
#define TIDE_KEY_FILE_H

#include "base/err.h"
#include "base/hash.h"
#include "cli/args.h"
#include "feature/spec.h"

#define TIDE_KEY_ENV "TIDEMARK_HASH_KEY"

/* Rows of every verb that decodes messages. */
#define TIDE_KEY_OPTIONS                                                                                                            \
  {"key-file", "FILE", NULL, "File with the key for secret fields (64 hex digits); otherwise the environment's " TIDE_KEY_ENV,    \
   TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                                                                   \
  {"key-file-previous", "FILE", NULL, "The key before a rotation: both hashes travel until it is left out again", TIDE_OPT_TEXT, 0, 0, 0, NULL}, \
  {"dev-key", NULL, NULL, "Use the published development key: for samples and tests, never for real card numbers", TIDE_OPT_SWITCH, 0, 0, 0, NULL}

/* 64 hex digits, surrounding white space allowed. Error: CONFIG, which never quotes the text. */
enum tide_err tide_key_parse(struct tide_span text, const char *where, struct tide_secret_key *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_key_read(const char *path, struct tide_secret_key *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Creates the file with mode 0600; EXISTS when it is there. */
enum tide_err tide_key_write(const char *path, const struct tide_secret_key *key, struct tide_error *error) TIDE_WARN_UNUSED;
/* A password from a file of one line into `out`; option: the name of the setting that names the file, for messages. CONFIG. Overwrite it when it is done with. */
enum tide_err tide_password_read(const char *option, const char *path, char *out, size_t size, struct tide_error *error) TIDE_WARN_UNUSED;
/* The published development key. */
struct tide_secret_key tide_key_development(void);

/* The keys that the options name; NULL pointers where there is none. */
struct tide_keys {
  struct tide_secret_key now, previous;
  bool has_now, has_previous;
};
/* The seed for a new journal's settings: follows from the key; 0 without one, which only a file without secret fields allows. */
int64_t tide_keys_seed(const struct tide_keys *keys);
/* Where the keys come from: paths may be NULL or empty. */
struct tide_key_places { const char *file, *file_previous; bool development; };
/* CONFIG when a field of the spec is secret and no key is there, or when two keys are. Without a file the environment's key is taken. Warns about the
 * development key. */
enum tide_err tide_keys_load(const struct tide_key_places *places, const struct tide_spec *spec, struct tide_keys *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* The same from a verb's options. CONFIG when a field of the spec is secret and no key is given, or when two keys are. Warns on stderr about the development key.
 * With any other key the process makes no core dumps from here on, unless TIDEMARK_PROCESS_CORE_DUMPS is true. */
enum tide_err tide_keys_from_args(const struct tide_args *args, const struct tide_spec *spec, struct tide_keys *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
