/* The JSON documents of a registry, written and read (registry_document.c). Private to registry_*.c.
 *
 * Reading is strict: every member there with its type, texts within their bounds, no member twice; members that are not known are passed over, so that a newer engine may say
 * more. Reading writes *ret only on success and returns what is wrong as a clause, NULL when nothing is. */
#ifndef TIDE_REGISTRY_DOCUMENT_H
#define TIDE_REGISTRY_DOCUMENT_H

#include "adapter/registry_store.h"

void tide_document_about(const struct tide_registry_version *version, struct tide_buf *out);
const char *tide_document_about_read(struct tide_span json, struct tide_registry_version *ret); /* kind and hash stay */
void tide_document_act(const struct tide_act *act, struct tide_buf *out);
const char *tide_document_act_read(struct tide_span json, struct tide_act *ret);
void tide_document_check(const struct tide_version_check *check, struct tide_buf *out);
const char *tide_document_check_read(struct tide_span json, struct tide_version_check *ret); /* figures: appended */
void tide_document_rollout(const struct tide_rollout_document *document, struct tide_buf *out);
const char *tide_document_rollout_read(struct tide_span json, struct tide_rollout_document *ret);
void tide_document_epoch(uint64_t epoch, struct tide_buf *out);
const char *tide_document_epoch_read(struct tide_span json, uint64_t *ret);
void tide_document_card(const struct tide_engine_card *card, struct tide_buf *out);
const char *tide_document_card_read(struct tide_span json, struct tide_engine_card *ret);

#endif
