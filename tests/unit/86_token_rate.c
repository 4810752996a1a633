/* Tokens and rates without a socket: what a list may say, that a token is found and nothing near it, and the arithmetic of buckets against a recount. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "http/rate.h"
#include "http/routes.h"
#include "http/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct tide_tokens *parse(const char *text) {
  struct tide_tokens *tokens = NULL;
  struct tide_error error = {0};
  enum tide_err err = tide_tokens_parse(tide_span_of(text), "list", &tokens, &error);
  if (err != TIDE_OK) {
    assert_int_equal(err, TIDE_E_CONFIG);
    assert_non_null(strstr(error.text, "list"));
    assert_null(tokens);
  }
  return tokens;
}

/* FIPS 180-4, the example of one block. */
static void sha256(void **state) {
  (void)state;
  uint8_t hash[TIDE_SHA256_BYTES];
  static const uint8_t begin[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
  tide_sha256(tide_span_of("abc"), hash);
  assert_memory_equal(hash, begin, sizeof begin);
  assert_true(tide_same_bytes(hash, hash, sizeof hash));
  for (size_t i = 0; i < sizeof hash; i++) {
    uint8_t other[TIDE_SHA256_BYTES];
    memcpy(other, hash, sizeof other);
    other[i] ^= 1;
    assert_false(tide_same_bytes(hash, other, sizeof hash));
  }
}

static void scopes(void **state) {
  (void)state;
  uint32_t found = 7;
  for (unsigned scope = TIDE_SCOPE_open + 1; scope < TIDE_SCOPE_COUNT; scope++) {
    assert_true(tide_scopes_parse(tide_span_of(tide_scope_name((enum tide_scope)scope)), &found));
    assert_int_equal(found, 1u << scope);
  }
  assert_true(tide_scopes_parse(tide_span_of("read,score"), &found));
  assert_int_equal(found, 1u << TIDE_SCOPE_read | 1u << TIDE_SCOPE_score);
  static const char *const bad[] = {"", "open", "score,", ",score", "score,,read", "Score", "scores", "score read", "score;read"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(tide_scopes_parse(tide_span_of(bad[i]), &found));
  for (size_t i = 0; i < TIDE_ROUTE_COUNT; i++) assert_true(tide_routes[i].scope < TIDE_SCOPE_COUNT);
  assert_int_equal(tide_route_find(TIDE_LISTENER_admin, "/snapshot")->scope, TIDE_SCOPE_snapshot); /* not what a scraper of metrics has */
}

static void lists(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_str(&text, "# a comment\r\n\n  ");
  tide_token_line("a", tide_span_of("score"), tide_span_of(TOKEN_A), &text);
  tide_buf_str(&text, "\t# the first\r\n");
  tide_token_line("b.2", tide_span_of("read,monitor"), tide_span_of(TOKEN_B), &text);
  struct tide_tokens *tokens = parse(tide_buf_cstr(&text));
  assert_non_null(tokens);
  assert_int_equal(tokens->count, 2);
  assert_string_equal(tide_tokens_find(tokens, tide_span_of(TOKEN_A))->name, "a");
  assert_string_equal(tide_tokens_find(tokens, tide_span_of(TOKEN_B))->name, "b.2");
  assert_null(tide_tokens_find(tokens, tide_span_of(TOKEN_A "a")));
  assert_null(tide_tokens_find(tokens, tide_span_of(&TOKEN_A[1])));
  assert_null(tide_tokens_find(tokens, tide_span_of("")));
  tide_free(tokens);
  tide_buf_release(&text);
  char full[128];
  static const char hash[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  snprintf(full, sizeof full, "x score %s", hash);
  tokens = parse(full);
  assert_non_null(tokens);
  tide_free(tokens);
  for (size_t cut = 0; cut < strlen(full); cut++) { /* no beginning of a line is a line */
    char part[128];
    snprintf(part, sizeof part, "%.*s", (int)cut, full);
    assert_null(parse(part));
  }
  full[strlen(full) - 1] = 'g';
  assert_null(parse(full));
}

static void as_many_as_there_may_be(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT;
  char token[64], name[16];
  for (unsigned i = 0; i < TIDE_TOKENS_MAX; i++) {
    snprintf(token, sizeof token, "%036u", i);
    snprintf(name, sizeof name, "n%u", i);
    tide_token_line(name, tide_span_of("read"), tide_span_of(token), &text);
    tide_buf_char(&text, '\n');
  }
  struct tide_tokens *tokens = parse(tide_buf_cstr(&text));
  assert_non_null(tokens);
  for (unsigned i = 0; i < TIDE_TOKENS_MAX; i++) {
    snprintf(token, sizeof token, "%036u", i);
    snprintf(name, sizeof name, "n%u", i);
    assert_string_equal(tide_tokens_find(tokens, tide_span_of(token))->name, name);
  }
  tide_free(tokens);
  tide_token_line("more", tide_span_of("read"), tide_span_of(TOKEN_A), &text);
  assert_null(parse(tide_buf_cstr(&text)));
  tide_buf_release(&text);
}

static void what_a_token_is(void **state) {
  (void)state;
  char text[TIDE_TOKEN_MOST + 2];
  for (size_t len = 0; len <= TIDE_TOKEN_MOST + 1; len++) {
    memset(text, 'x', len);
    assert_int_equal(tide_token_is_good((struct tide_span){text, len}), len >= TIDE_TOKEN_LEAST && len <= TIDE_TOKEN_MOST);
  }
  for (unsigned c = 0; c < 256; c++) {
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    memset(text, 'x', 40);
    text[39] = (char)c;
    assert_int_equal(tide_token_is_good((struct tide_span){text, 40}), c != 0 && strchr(good, (int)c) != NULL);
  }
}

/* ---- rates ---- */

#define SECOND INT64_C(1000000000)

static struct tide_rate new_rate(int64_t per_s, int64_t burst) {
  struct tide_rate rate = {.slot = tide_alloc(TIDE_RATE_SLOTS * sizeof *rate.slot)};
  tide_rate_set(&rate, per_s, burst);
  return rate;
}

/* Against a bucket that is filled step by step: a million requests at random times of a few clients. */
static void as_a_bucket(void **state) {
  (void)state;
  enum { PER_S = 50, BURST = 20, CLIENTS = 3 };
  struct tide_rate rate = new_rate(PER_S, BURST);
  double level[CLIENTS];
  int64_t last[CLIENTS] = {0}, now = SECOND, taken = 0, refused = 0;
  unsigned seed = 1;
  for (int c = 0; c < CLIENTS; c++) level[c] = BURST, last[c] = now;
  for (int i = 0; i < 1000000; i++) {
    now += rand_r(&seed) % 14000000; /* about 143 requests a second: nearly as many as three clients may */
    int c = rand_r(&seed) % CLIENTS;
    level[c] += (double)(now - last[c]) * PER_S / 1e9;
    if (level[c] > BURST) level[c] = BURST;
    last[c] = now;
    int64_t wait = 0;
    bool let = tide_rate_take(&rate, (uint64_t)c + 77, now, &wait);
    if (level[c] > 1.000001) assert_true(let);
    if (level[c] < 0.999999) assert_false(let);
    if (let) level[c] -= 1;
    else assert_true(wait > 0 && wait <= SECOND / PER_S + 1);
    *(let ? &taken : &refused) += 1;
  }
  assert_true(taken > 100000 && refused > 1000);
  tide_free(rate.slot);
}

static void waiting_helps(void **state) {
  (void)state;
  struct tide_rate rate = new_rate(10, 1);
  int64_t wait = 0, now = 5 * SECOND;
  assert_true(tide_rate_take(&rate, 1, now, &wait));
  assert_false(tide_rate_take(&rate, 1, now, &wait));
  assert_int_equal(wait, SECOND / 10);
  assert_false(tide_rate_take(&rate, 1, now + wait - 1, &wait));
  assert_true(tide_rate_take(&rate, 1, now + SECOND / 10, &wait));
  assert_true(tide_rate_take(&rate, 2, now, &wait)); /* another one */
  tide_rate_charge(&rate, 2, 49, now);               /* a batch of 50 */
  assert_false(tide_rate_take(&rate, 2, now, &wait));
  assert_int_equal(wait, 5 * SECOND);
  assert_true(tide_rate_take(&rate, 2, now + wait, &wait));
  tide_rate_charge(&rate, 3, INT64_MAX, now); /* a debt has an end */
  assert_false(tide_rate_take(&rate, 3, now, &wait));
  assert_true(wait <= 3601 * SECOND);
  tide_rate_set(&rate, 0, 0); /* no limit */
  assert_true(tide_rate_take(&rate, 3, now, &wait));
  tide_free(rate.slot);
}

/* Many more clients than slots: nobody with a full bucket is refused, and one that asks all the time stays limited, because it is never the one with the least to remember. */
static void a_crowd(void **state) {
  (void)state;
  struct tide_rate rate = new_rate(1, 1);
  int64_t wait = 0, now = SECOND;
  unsigned busy = 0;
  for (uint64_t i = 1; i <= 300000; i++) {
    now += 1000;
    assert_true(tide_rate_take(&rate, i * UINT64_C(0x9e3779b97f4a7c15), now, &wait));
    if (i % 100 == 0 && tide_rate_take(&rate, 4242, now, &wait)) {
      tide_rate_charge(&rate, 4242, 100, now);
      busy++;
    }
  }
  assert_int_equal(busy, 1);
  tide_free(rate.slot);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sha256),          cmocka_unit_test(scopes),
                                     cmocka_unit_test(lists),           cmocka_unit_test(as_many_as_there_may_be),
                                     cmocka_unit_test(what_a_token_is), cmocka_unit_test(as_a_bucket),
                                     cmocka_unit_test(waiting_helps),   cmocka_unit_test(a_crowd)};
  return cmocka_run_group_tests_name("tokens and rates", tests, NULL, NULL);
}
