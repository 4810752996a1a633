/* Settings of the Kafka clients: what Tidemark owns is refused by name with the reason, the rest is librdkafka's to judge. No broker is needed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/outlet_kafka.h"
#include "adapter/source_kafka.h"

static struct tide_error error;

static void settings_of_the_source(void **state) {
  (void)state;
  static const struct tide_kafka_topic topic[] = {{1, "t"}, {2, "u"}, {2, "v"}, {3, "t"}};
  static const struct {
    struct tide_kafka_setting setting[3];
    const char *says;
  } bad[] = {
      {{{"bootstrap.servers", "h:1"}, {"enable.auto.commit", "true"}}, "the journal holds the cursors"},
      {{{"bootstrap.servers", "h:1"}, {"auto.offset.reset", "earliest"}}, "auto.offset.reset cannot be configured"},
      {{{"bootstrap.servers", "h:1"}, {"enable.partition.eof", "false"}}, "freshness"},
      {{{"bootstrap.servers", "h:1"}, {"no.such.setting", "1"}}, "no.such.setting"},
      {{{"bootstrap.servers", "h:1"}, {"fetch.wait.max.ms", "soon"}}, "fetch.wait.max.ms"},
      {{{"bootstrap.servers", "h:1"}, {"security.protocol", "sasl_ssl"}, {"sasl.mechanism", "NONE"}}, "cannot be made"},
      {{{"client.id", "x"}, {"linger.ms", "1"}}, "bootstrap.servers"},
  };
  struct tide_source *s;
  struct tide_source_kafka_options options = {.topic = topic, .topic_count = 2};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    options.setting = bad[i].setting;
    options.setting_count = bad[i].setting[2].name ? 3 : 2;
    assert_int_equal(tide_source_kafka_open(&options, &s, &error), TIDE_E_CONFIG);
    if (!strstr(error.text, bad[i].says)) fail_msg("want %s in: %s", bad[i].says, error.text);
  }
  const struct tide_kafka_setting good[] = {
      {"bootstrap.servers", "127.0.0.1:1"}, {"isolation.level", "read_uncommitted"}, {"log_level", "0"}};
  options.setting = good;
  options.setting_count = 3;
  options.topic_count = 3;
  assert_int_equal(tide_source_kafka_open(&options, &s, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "of one source"));
  options.topic = (const struct tide_kafka_topic[]){{1, "t"}, {3, "t"}};
  options.topic_count = 2;
  assert_int_equal(tide_source_kafka_open(&options, &s, &error), TIDE_E_CONFIG);
  options.topic_count = 0;
  assert_int_equal(tide_source_kafka_open(&options, &s, &error), TIDE_E_CONFIG);
  options.topic_count = 1;
  if (tide_source_kafka_open(&options, &s, &error)) fail_msg("%s", error.text);
  struct tide_place place = {1, 0, 7};
  if (tide_source_kafka_committed(s, &place, 1, &error)) fail_msg("%s", error.text); /* no group */
  assert_true(place.cursor == UINT64_MAX);
  s->ops->close(s);
}

static void settings_of_the_outlet(void **state) {
  (void)state;
  static const struct tide_kafka_setting bad[] = {{"acks", "1"},
                                                  {"enable.idempotence", "false"},
                                                  {"request.required.acks", "0"},
                                                  {"transactional.id", "x"},
                                                  {"delivery.report.only.error", "true"},
                                                  {"no.such.setting", "1"},
                                                  {"linger.ms", "long"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const struct tide_kafka_setting setting[] = {{"bootstrap.servers", "h:1"}, bad[i]};
    struct tide_outlet_kafka_options options = {.topic = {"t", NULL, NULL}, .setting = setting, .setting_count = 2};
    struct tide_outlet *o;
    assert_int_equal(tide_outlet_kafka_open(&options, &o, &error), TIDE_E_CONFIG);
    if (!strstr(error.text, bad[i].name)) fail_msg("want %s in: %s", bad[i].name, error.text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(settings_of_the_source), cmocka_unit_test(settings_of_the_outlet)};
  return cmocka_run_group_tests_name("kafka_settings", tests, NULL, NULL);
}
