/* The registry's address taken apart (registry_open.h).
 *
 * The prefix keeps several installations in one etcd apart and is where an etcd role ends, so it is part of the address and not of the keys. */
#include "cli/registry_open.h"

#include "adapter/registry_dir.h"
#include "adapter/registry_etcd.h"
#include "cli/key_file.h"

#include <stdio.h>

static enum tide_err no_address(struct tide_error *error) {
  return tide_fail_at(
      error, TIDE_E_CONFIG, 0, 0, "registry.url",
      "registry.url must be etcd://HOST:PORT,HOST:PORT.../PREFIX, etcds://... for TLS, or dir:DIRECTORY, and holds no password");
}

static bool is_prefix(const char *text) {
  size_t len = strlen(text);
  bool good = len <= 64;
  for (size_t i = 0; i < len && good; i++) {
    char c = text[i];
    good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
           (c == '/' && i > 0 && text[i - 1] != '/' && i + 1 < len);
  }
  return good;
}

static enum tide_err check(const struct tide_config *config, bool tls, struct tide_error *error) {
  if (!config->registry_cert[0] != !config->registry_key[0])
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "registry.cert", "registry.cert and registry.key go together: set both or none");
  if (!tls && (config->registry_ca[0] || config->registry_cert[0]))
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "registry.url",
                        "registry.ca and registry.cert are for TLS: write etcds:// in registry.url");
  if (!config->registry_user[0] != !config->registry_password_file[0])
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "registry.user",
                        "registry.user and registry.password_file go together: set both or none");
  return TIDE_OK;
}

static enum tide_err open_etcd(const struct tide_config *config, const char *address, bool tls, struct tide_registry **ret,
                               struct tide_error *error) {
  char endpoints[1024], password[256] = "";
  const char *slash = strchr(address, '/');
  size_t len = slash ? (size_t)(slash - address) : strlen(address);
  const char *prefix = slash && slash[1] ? slash + 1 : TIDE_REGISTRY_PREFIX;
  if (len == 0 || len >= sizeof endpoints || memchr(address, '@', len) || !is_prefix(prefix)) return no_address(error);
  memcpy(endpoints, address, len);
  endpoints[len] = 0;
  enum tide_err err = check(config, tls, error);
  if (!err && config->registry_password_file[0])
    err = tide_password_read("registry.password_file", config->registry_password_file, password, sizeof password, error);
  struct tide_etcd_options options = {.endpoints = endpoints,
                                      .prefix = prefix,
                                      .tls = tls,
                                      .ca = config->registry_ca,
                                      .cert = config->registry_cert,
                                      .key = config->registry_key,
                                      .user = config->registry_user,
                                      .password = password,
                                      .timeout_ms = config->registry_timeout_ms};
  if (!err) err = tide_registry_etcd_open(&options, ret, error);
  explicit_bzero(password, sizeof password);
  return err;
}

enum tide_err tide_registry_open(const struct tide_config *config, struct tide_registry **ret, struct tide_error *error) {
  const char *url = config->registry_url;
  if (!url[0])
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "registry.url",
                        "there is no registry: give --registry URL, or registry.url in the operator's file (--config)");
  if (strncmp(url, "etcd://", 7) == 0) return open_etcd(config, url + 7, false, ret, error);
  if (strncmp(url, "etcds://", 8) == 0) return open_etcd(config, url + 8, true, ret, error);
  if (strncmp(url, "dir:", 4) != 0 || !url[4]) return no_address(error);
  *ret = tide_registry_dir_new(url + 4, NULL);
  return TIDE_OK;
}
