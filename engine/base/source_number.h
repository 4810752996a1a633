/* The number of a source, made of its name.
 *
 * Engines of a cell agree on it without asking each other, and the journal holds two bytes instead of a text. Two names can have one number (65,535
 * there are, so 1 in 100 for 36 sources): the configuration refuses such a pair, and one of the two is renamed. */
#ifndef TIDE_SOURCE_NUMBER_H
#define TIDE_SOURCE_NUMBER_H

#include "base/span.h"

/* 1..65535: 0 is what came without a source (HTTP, replay). FNV-1a, 32 bits (Fowler, Noll, Vo), folded by the remainder. */
static inline uint16_t tide_source_number(struct tide_span name) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < name.len; i++) hash = (hash ^ (uint8_t)name.ptr[i]) * 16777619u;
  return (uint16_t)(1 + hash % 65535u);
}

#endif
