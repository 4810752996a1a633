/* Records of versions and rollouts: what is written is read again bit for bit, a content that is not its hash's is damage, every cut is refused, and what cannot be
 * in force is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/rollout.h"

static struct tide_content_hash hash_of(const char *text) { return tide_content_hash(tide_span_of(text)); }

static struct tide_rollout sample(void) {
  struct tide_rollout r = {.number = 7, .who = "anna", .why = "more fraud found", .features = hash_of("f"), .model_count = 4};
  r.policy = hash_of("p");
  r.model[0] = (struct tide_rollout_model){hash_of("a"), TIDE_ROLE_live, 9500};
  r.model[1] = (struct tide_rollout_model){hash_of("b"), TIDE_ROLE_canary, 500};
  r.model[2] = (struct tide_rollout_model){hash_of("c"), TIDE_ROLE_shadow, 0};
  r.model[3] = (struct tide_rollout_model){hash_of("d"), TIDE_ROLE_fallback, 0};
  return r;
}

static struct tide_raw_record raw_of(const struct tide_buf *bytes) {
  struct tide_span all = tide_buf_span(bytes);
  struct tide_raw_record raw;
  assert_int_equal(tide_raw_take(&all, &raw, NULL), TIDE_OK);
  assert_int_equal(all.len, 0);
  return raw;
}

static void a_hash_is_text_and_back(void **state) {
  (void)state;
  char text[TIDE_CONTENT_HASH_TEXT];
  struct tide_content_hash back;
  /* printf '' | b2sum -l 256 */
  assert_string_equal(tide_content_hash_text(hash_of(""), text), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  assert_true(tide_content_hash_read(tide_span_of(text), &back));
  assert_true(tide_content_hash_eq(back, hash_of("")));
  assert_false(tide_content_hash_read((struct tide_span){text, 63}, &back));
  text[5] = 'g';
  assert_false(tide_content_hash_read(tide_span_of(text), &back));
  char version[TIDE_VERSION_TEXT];
  assert_string_equal(tide_version_text(TIDE_SPAN("cards"), hash_of(""), version), "cards@0e5751c0");
}

static void what_is_written_is_read(void **state) {
  (void)state;
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_rollout in = sample(), out;
  tide_rollout_encode(&in, &bytes);
  struct tide_raw_record raw = raw_of(&bytes);
  assert_int_equal(tide_rollout_decode(&raw, &out, NULL), TIDE_OK);
  assert_true(tide_rollout_eq(&in, &out));
  assert_string_equal(out.why, "more fraud found");
  out.model[1].weight++;
  assert_false(tide_rollout_eq(&in, &out));
  tide_buf_clear(&bytes);
  assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_policy, TIDE_SPAN("strict"), TIDE_SPAN("policy: {}"), &bytes), TIDE_OK);
  raw = raw_of(&bytes);
  struct tide_artifact artifact;
  assert_int_equal(tide_artifact_decode(&raw, &artifact, NULL), TIDE_OK);
  assert_int_equal(artifact.kind, TIDE_ARTIFACT_policy);
  assert_true(tide_span_is(artifact.name, "strict") && tide_span_is(artifact.bytes, "policy: {}"));
  assert_true(tide_content_hash_eq(artifact.hash, hash_of("policy: {}")));
  tide_buf_release(&bytes);
}

static void damage_is_seen(void **state) {
  (void)state;
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error;
  struct tide_artifact artifact;
  struct tide_rollout in = sample(), out;
  tide_rollout_encode(&in, &bytes);
  struct tide_raw_record raw = raw_of(&bytes), cut = raw;
  for (cut.payload.len = 0; cut.payload.len < raw.payload.len; cut.payload.len++)
    assert_int_equal(tide_rollout_decode(&cut, &out, &error), TIDE_E_CORRUPT);
  raw.flags = 1;
  assert_int_equal(tide_rollout_decode(&raw, &out, &error), TIDE_E_VERSION);
  tide_buf_clear(&bytes);
  assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_model, TIDE_SPAN("m"), TIDE_SPAN("content"), &bytes), TIDE_OK);
  raw = cut = raw_of(&bytes);
  for (cut.payload.len = 0; cut.payload.len < raw.payload.len; cut.payload.len++)
    assert_int_equal(tide_artifact_decode(&cut, &artifact, &error), TIDE_E_CORRUPT);
  bytes.ptr[bytes.len - 1] ^= 1;
  assert_int_equal(tide_artifact_decode(&raw, &artifact, &error), TIDE_E_CORRUPT);
  assert_non_null(strstr(error.text, "not that of its hash"));
  bytes.ptr[bytes.len - 1] ^= 1;
  bytes.ptr[5] = TIDE_ARTIFACT_KIND_COUNT;
  assert_int_equal(tide_artifact_decode(&raw, &artifact, &error), TIDE_E_VERSION);
  tide_buf_release(&bytes);
}

static void what_is_too_long_is_not_written(void **state) {
  (void)state;
  struct tide_buf bytes = TIDE_BUF_INIT, out = TIDE_BUF_INIT, entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  char name[TIDE_ARTIFACT_NAME + 1];
  memset(name, 'n', sizeof name);
  struct tide_span longest = {name, TIDE_ARTIFACT_NAME - 1}, longer = {name, TIDE_ARTIFACT_NAME};
  tide_buf_reserve(&bytes, TIDE_ARTIFACT_BYTES_MAX + 1);
  memset(bytes.ptr, 'x', TIDE_ARTIFACT_BYTES_MAX + 1);
  struct tide_span full = {bytes.ptr, TIDE_ARTIFACT_BYTES_MAX}, more = {bytes.ptr, TIDE_ARTIFACT_BYTES_MAX + 1};
  assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_model, longest, more, &out), TIDE_E_LIMIT);
  assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_model, longer, full, &out), TIDE_E_LIMIT);
  assert_int_equal(out.len, 0);
  assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_model, longest, full, &out), TIDE_OK);
  tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(tide_batch_add_encoded(&batch, tide_buf_span(&out), 1), TIDE_OK); /* the longest stands in an entry of its own */
  tide_buf_release(&bytes);
  tide_buf_release(&out);
  tide_buf_release(&entry);
}

static void expect_fault(struct tide_rollout rollout, const char *fault) {
  const char *found = tide_rollout_fault(&rollout);
  if (!fault) assert_null(found);
  else if (!found) fail_msg("nothing was found, and it should be: %s", fault);
  else assert_non_null(strstr(found, fault));
}

static void what_cannot_be_in_force_is_named(void **state) {
  (void)state;
  struct tide_rollout r = sample();
  expect_fault(r, NULL);
  r.number = 0;
  expect_fault(r, "number");
  r = sample();
  r.features = (struct tide_content_hash){{0}};
  expect_fault(r, "feature file");
  r = sample();
  r.shadow_policy = r.policy;
  expect_fault(r, "shadow policy");
  r = sample();
  r.model[2].hash = r.model[0].hash;
  expect_fault(r, "twice");
  r = sample();
  r.model[1].weight = 501;
  expect_fault(r, "sum to");
  r = sample();
  r.model[2].weight = 1;
  expect_fault(r, "have a weight");
  r = sample();
  r.model[0].role = TIDE_ROLE_canary;
  expect_fault(r, "no live");
  r = sample();
  r.model[1].role = TIDE_ROLE_live;
  expect_fault(r, "two live");
  r = sample();
  r.model[2].role = TIDE_ROLE_fallback;
  expect_fault(r, "two fallback");
  r = sample();
  r.model[2].role = TIDE_ROLE_COUNT;
  expect_fault(r, "not known");
  r = sample();
  r.model[3].hash = (struct tide_content_hash){{0}};
  expect_fault(r, "without a hash");
  r = sample();
  r.model_count = 0;
  expect_fault(r, NULL); /* rules alone */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hash_is_text_and_back),
      cmocka_unit_test(what_is_written_is_read),
      cmocka_unit_test(damage_is_seen),
      cmocka_unit_test(what_is_too_long_is_not_written),
      cmocka_unit_test(what_cannot_be_in_force_is_named),
  };
  return cmocka_run_group_tests_name("rollout records", tests, NULL, NULL);
}
