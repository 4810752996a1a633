/* tidemark keys generate | check | rotate.
 *
 * The key itself is never printed, only its id, which stands in every record hashed under it. Rotation makes a second file and says how
 * to change over; the old key stays until its last window has passed. */
#include "cli/verbs.h"

#include "cli/key_file.h"

#include <sys/stat.h>
#include <unistd.h>

static const struct tide_positional file[] = {{"FILE", "The key file", false, false}};

static enum tide_err draw(struct tide_secret_key *ret, struct tide_error *error) {
  if (getentropy(ret->bytes, sizeof ret->bytes) != 0) return tide_fail_errno(error, TIDE_E_IO, "cannot draw a random key");
  tide_secret_key_seal(ret);
  return TIDE_OK;
}

static int generate(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_secret_key key = {0};
  enum tide_err err = draw(&key, &error);
  if (err == TIDE_OK) err = tide_key_write(tide_args_at(args, 0), &key, &error);
  uint32_t id = key.id;
  explicit_bzero(&key, sizeof key);
  if (err != TIDE_OK) return tide_exit_report(&error);
  printf("wrote %s (key id %08x). Keep a copy where you keep secrets: without it no card is recognised again.\n", tide_args_at(args, 0),
         id);
  return TIDE_EXIT_OK;
}

const struct tide_verb tide_verb_keys_generate = {.name = "keys generate",
                                                  .summary = "Draw a new key for secret fields and write it to a file",
                                                  .about = "The file is created with mode 0600 and never overwritten.",
                                                  .example = "tidemark keys generate card.key",
                                                  .positional = file,
                                                  .positional_count = 1,
                                                  .run = generate};

static int check(const struct tide_args *args) {
  const char *path = tide_args_at(args, 0);
  struct tide_error error = {0};
  struct tide_secret_key key, dev = tide_key_development();
  struct stat st;
  if (tide_key_read(path, &key, &error) != TIDE_OK) return tide_exit_report(&error);
  uint32_t id = key.id;
  explicit_bzero(&key, sizeof key);
  int exit = TIDE_EXIT_OK;
  printf("%s: key id %08x\n", path, id);
  if (id == dev.id) {
    printf("%s holds the published development key: never use it with real card numbers\n", path);
    exit = TIDE_EXIT_DIFFERENT;
  }
  if (stat(path, &st) == 0 && (st.st_mode & 077) != 0) {
    printf("%s can be read by others (mode %04o): chmod 600 %s\n", path, (unsigned)(st.st_mode & 07777), path);
    exit = TIDE_EXIT_DIFFERENT;
  }
  return exit;
}

const struct tide_verb tide_verb_keys_check = {
    .name = "keys check",
    .summary = "Check a key file: its form, who can read it, which key it is",
    .about =
        "Prints the key id, which stands in every record hashed under it; the key itself is never printed. Exit code 1 when something should be changed.",
    .example = "tidemark keys check card.key",
    .positional = file,
    .positional_count = 1,
    .run = check};

static const struct tide_opt rotate_options[] = {
    {"output", "FILE", NULL, "Where the new key goes; left out: next to the old one, with .next at the end", TIDE_OPT_TEXT, 0, 0, 0, NULL},
};

static int rotate(const struct tide_args *args) {
  const char *path = tide_args_at(args, 0), *output = tide_args_text(args, "output");
  struct tide_error error = {0};
  struct tide_secret_key old = {0}, key = {0};
  struct tide_buf name = TIDE_BUF_INIT;
  tide_buf_printf(&name, "%s", output ? output : path);
  if (!output) tide_buf_str(&name, ".next");
  enum tide_err err = tide_key_read(path, &old, &error);
  if (err == TIDE_OK) err = draw(&key, &error);
  if (err == TIDE_OK) err = tide_key_write(tide_buf_cstr(&name), &key, &error);
  if (err == TIDE_OK) {
    const char *next = tide_buf_cstr(&name);
    printf("wrote %s (key id %08x, the old one is %08x).\n\n", next, key.id, old.id);
    printf("1. Run with --key-file %s --key-file-previous %s: both hashes travel, and every card that is seen moves to the new key.\n",
           next, path);
    printf(
        "2. Meanwhile send lists of cards (`card in LIST`) once more: an entry is known under the keys with which it came, and only the old one "
        "so far.\n");
    printf(
        "3. After the longest window of your feature file, leave --key-file-previous out and destroy %s. Cards that were not seen meanwhile begin anew.\n",
        path);
  }
  explicit_bzero(&old, sizeof old);
  explicit_bzero(&key, sizeof key);
  tide_buf_release(&name);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

const struct tide_verb tide_verb_keys_rotate = {
    .name = "keys rotate",
    .summary = "Write a new key next to the old one and say how to change over",
    .about =
        "While keys rotate both hashes travel in the records and the fold moves each entity to the new one, so no window loses its history.",
    .example = "tidemark keys rotate card.key --output card-2027.key",
    .opt = rotate_options,
    .opt_count = sizeof rotate_options / sizeof rotate_options[0],
    .positional = file,
    .positional_count = 1,
    .run = rotate};
