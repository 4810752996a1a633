/* The admin listener's client, by libcurl (admin_client.h).
 *
 * One request, one answer, both small, kept in memory whole and bounded. */
#include "adapter/admin_client.h"

#include <curl/curl.h>

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

static bool set_up(CURL *curl, const struct tide_admin_request *request, const char *url, const struct curl_slist *headers,
                   struct taken *taken) {
  bool good = tide_admin_access_set(curl, url, &request->access, request->timeout_ms) &&
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
  tide_admin_curl_begin();
  CURL *curl = curl_easy_init();
  TIDE_CHECK(curl);
  struct tide_buf url = TIDE_BUF_INIT;
  struct taken taken = {.out = out, .begin = out->len};
  struct curl_slist *headers = request->body.len ? curl_slist_append(NULL, "Content-Type: application/json") : NULL;
  tide_buf_printf(&url, "%s://%s%s", tide_admin_scheme(&request->access), request->address, request->path);
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
