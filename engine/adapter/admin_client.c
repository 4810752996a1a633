/* The admin listener's client, by libcurl (admin_client.h).
 *
 * Plain HTTP to the address that the operator wrote: no redirects, because a token must not travel on, and no proxies of the environment, because the listener is
 * on this machine or in its own network. */
#include "adapter/admin_client.h"

#include <curl/curl.h>
#include <pthread.h>

struct taken {
  struct tide_buf *out;
  size_t begin;
  bool too_long;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx) {
  struct taken *taken = ctx;
  taken->too_long = taken->out->len - taken->begin + size * count > TIDE_ADMIN_ANSWER_MAX;
  if (taken->too_long) return 0;
  tide_buf_put(taken->out, bytes, size * count);
  return size * count;
}

static void begin_curl(void) { TIDE_CHECK(curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK); }

static struct curl_slist *headers_of(const struct tide_admin_request *request) {
  struct curl_slist *headers = NULL;
  if (request->body.len) headers = curl_slist_append(headers, "Content-Type: application/json");
  if (!request->token) return headers;
  struct tide_buf line = TIDE_BUF_INIT;
  tide_buf_printf(&line, "Authorization: Bearer %s", request->token);
  headers = curl_slist_append(headers, tide_buf_cstr(&line));
  explicit_bzero(line.ptr, line.len);
  tide_buf_release(&line);
  return headers;
}

static bool set_up(CURL *curl, const struct tide_admin_request *request, const char *url, const struct curl_slist *headers,
                   struct taken *taken) {
  bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEDATA, taken) == CURLE_OK;
  if (good && request->body.len)
    good = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->body.len) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.ptr) == CURLE_OK;
  return good;
}

enum tide_err tide_admin_ask(const struct tide_admin_request *request, long *ret_status, struct tide_buf *out, struct tide_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  TIDE_CHECK(pthread_once(&once, begin_curl) == 0);
  CURL *curl = curl_easy_init();
  TIDE_CHECK(curl);
  struct tide_buf url = TIDE_BUF_INIT;
  struct taken taken = {.out = out, .begin = out->len};
  struct curl_slist *headers = headers_of(request);
  tide_buf_printf(&url, "http://%s%s", request->address, request->path);
  enum tide_err err = TIDE_OK;
  if (!set_up(curl, request, tide_buf_cstr(&url), headers, &taken)) {
    err = tide_fail(error, TIDE_E_CONFIG, "libcurl refuses the address %.100s", request->address);
  } else {
    CURLcode code = curl_easy_perform(curl);
    if (taken.too_long) err = tide_fail(error, TIDE_E_LIMIT, "the answer of %.100s is longer than an admin listener's", request->address);
    else if (code == CURLE_URL_MALFORMAT)
      err = tide_fail(error, TIDE_E_CONFIG, "\"%.100s\" is no address: write HOST:PORT", request->address);
    else if (code != CURLE_OK)
      err = tide_fail(error, TIDE_E_AGAIN, "no answer from the admin listener at %.100s: %s", request->address, curl_easy_strerror(code));
    else (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  tide_buf_release(&url);
  return err;
}
