/* What all requests to an admin listener have in common, for libcurl (admin_access.h). The token goes through libcurl's own option, which sends it to the
 * first host only and never prints it. */
#include "adapter/admin_access.h"

#include "base/err.h"

#include <curl/curl.h>
#include <pthread.h>

static void begin(void) { TIDE_CHECK(curl_global_init(CURL_GLOBAL_SSL) == CURLE_OK); }

void tide_admin_curl_begin(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  TIDE_CHECK(pthread_once(&once, begin) == 0);
}

const char *tide_admin_scheme(const struct tide_admin_access *access) { return access->ca[0] ? "https" : "http"; }

bool tide_admin_access_set(void *curl, const char *url, const struct tide_admin_access *access, int64_t timeout_ms) {
  bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, tide_admin_scheme(access)) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms) == CURLE_OK;
  if (good && access->ca[0])
    good = curl_easy_setopt(curl, CURLOPT_CAINFO, access->ca) == CURLE_OK && curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
  if (good && access->cert[0])
    good = curl_easy_setopt(curl, CURLOPT_SSLCERT, access->cert) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLKEY, access->key) == CURLE_OK;
  if (good && access->token[0])
    good = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, access->token) == CURLE_OK;
  return good;
}
