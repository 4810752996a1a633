/* Giving up what is not needed, in the order in which it can be given up (process.h).
 *
 * Nothing that serving does needs root: its ports are above 1024, its files its own. So the user is changed before the first file is opened, and whatever the process cannot
 * read as that user is found at once and not at the first reload. Groups before the user, because afterwards they could not be changed; then it is tried to go back. */
#include "cli/process.h"

#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

void tide_process_seal(void) {
  struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    tide_log(TIDE_LOG_WARN, "core_dumps", "why=%s note=%s", strerror(errno),
             "they could not be switched off: a core file would hold keys and card numbers");
}

void tide_process_keep(void *bytes, size_t len) {
  if (sodium_mlock(bytes, len) != 0)
    tide_log(TIDE_LOG_WARN, "keys_in_swap", "why=%s note=%s", strerror(errno),
             "the key is not locked in memory: raise `ulimit -l`, or have no swap that is not encrypted");
}

void tide_process_wipe(void *bytes, size_t len) { (void)sodium_munlock(bytes, len); }

static enum tide_err change(const struct passwd *user, struct tide_error *error) {
  if (initgroups(user->pw_name, user->pw_gid) != 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
      setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
    return tide_fail_errno(error, TIDE_E_CONFIG, "cannot become the user %s (process.user)", user->pw_name);
  TIDE_CHECK(setuid(0) != 0 && geteuid() == user->pw_uid); /* there is no way back */
  return TIDE_OK;
}

enum tide_err tide_process_become(const char *user, struct tide_error *error) {
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!user[0]) {
    if (geteuid() == 0)
      tide_log(TIDE_LOG_WARN, "runs_as_root", "note=%s", "serving needs no privilege: set process.user, or start it as a user of its own");
    return TIDE_OK;
  }
  errno = 0;
  const struct passwd *entry = getpwnam(user);
  if (!entry) return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "process.user", "there is no user %s on this machine (process.user)", user);
  if (entry->pw_uid == 0)
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "process.user", "process.user is root: name a user without privileges");
  if (geteuid() == entry->pw_uid) return TIDE_OK;
  if (geteuid() != 0)
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "process.user",
                        "only root can become the user %s (process.user), and this process is not root", user);
  return change(entry, error);
}
