/* Any bytes as a document of a registry: refused with a clause, or read, and then the same after being written and read again.
 *
 * The first byte chooses the document. What stands in etcd may have been written by anybody, so nothing about the bytes is taken for granted. */
#include <stdint.h>
#include <stdlib.h>

#include "adapter/registry_document.h"
#include "core/rollout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good) {
  if (!good) abort();
}

static void about(struct tide_span text) {
  struct tide_registry_version version = {0}, again = {0};
  struct tide_buf json = TIDE_BUF_INIT, other = TIDE_BUF_INIT;
  if (tide_document_about_read(text, &version)) return;
  tide_document_about(&version, &json);
  check(!tide_document_about_read(tide_buf_span(&json), &again));
  tide_document_about(&again, &other);
  check(tide_span_eq(tide_buf_span(&json), tide_buf_span(&other)));
  tide_buf_release(&json);
  tide_buf_release(&other);
}

static void act(struct tide_span text) {
  struct tide_act one = {0}, again = {0};
  struct tide_buf json = TIDE_BUF_INIT;
  if (tide_document_act_read(text, &one)) return;
  tide_document_act(&one, &json);
  check(!tide_document_act_read(tide_buf_span(&json), &again));
  check(strcmp(one.who, again.who) == 0 && strcmp(one.why, again.why) == 0 && one.at_ms == again.at_ms);
  tide_buf_release(&json);
}

static void result(struct tide_span text) {
  struct tide_version_check one = {0}, again = {0};
  struct tide_buf json = TIDE_BUF_INIT;
  if (tide_document_check_read(text, &one)) return;
  tide_document_check(&one, &json);
  check(!tide_document_check_read(tide_buf_span(&json), &again));
  check(one.passed == again.passed && tide_content_hash_eq(one.features, again.features) && tide_content_hash_eq(one.policy, again.policy));
  tide_buf_release(&one.figures);
  tide_buf_release(&again.figures);
  tide_buf_release(&json);
}

static void rollout(struct tide_span text) {
  struct tide_rollout_document one = {0}, again = {0};
  struct tide_buf json = TIDE_BUF_INIT;
  if (tide_document_rollout_read(text, &one)) return;
  tide_document_rollout(&one, &json);
  check(!tide_document_rollout_read(tide_buf_span(&json), &again));
  check(tide_rollout_eq(&one.rollout, &again.rollout) && one.at_ms == again.at_ms);
  (void)tide_rollout_fault(&one.rollout);
  tide_buf_release(&json);
}

static void card(struct tide_span text) {
  struct tide_engine_card one = {0}, again = {0};
  struct tide_buf json = TIDE_BUF_INIT, other = TIDE_BUF_INIT;
  if (tide_document_card_read(text, &one)) return;
  tide_document_card(&one, &json);
  check(!tide_document_card_read(tide_buf_span(&json), &again));
  tide_document_card(&again, &other);
  check(tide_span_eq(tide_buf_span(&json), tide_buf_span(&other)));
  tide_buf_release(&json);
  tide_buf_release(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  struct tide_span text = {(const char *)data + 1, size - 1};
  switch (data[0] % 5) {
    case 0: about(text); break;
    case 1: act(text); break;
    case 2: result(text); break;
    case 3: rollout(text); break;
    default: card(text); break;
  }
  return 0;
}
