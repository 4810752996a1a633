/* The part of `doctor` about sources: what an operator's file says of them, held against the feature file and the Kafka cluster.
 *
 * Of its own, because it has findings of four kinds (files, settings, cluster, topics) and the rest of the doctor needs none of their headers. */
#ifndef TIDE_DOCTOR_SOURCES_H
#define TIDE_DOCTOR_SOURCES_H

#include "adapter/doctor_kafka.h"
#include "config/config.h"

/* Nothing without sources in the configuration. Asks the brokers; changes nothing. */
void tide_doctor_sources(const struct tide_config *config, tide_kafka_finding_fn fn, void *ctx);

#endif
