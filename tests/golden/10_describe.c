/* The definitions of feature files, word for word: what an auditor reads must not change by accident.
 *
 * After a change that is meant, TIDE_GOLDEN_UPDATE=1 writes the expected texts anew; read the difference before you commit it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "feature/describe.h"
#include "feature/spec.h"

#define DIR "tests/golden/features/"

static void read_text(const char *path, struct tide_buf *out) {
  FILE *file = fopen(path, "re");
  if (!file) fail_msg("cannot open %s", path);
  size_t n;
  do {
    tide_buf_reserve(out, 65536);
    n = fread(out->ptr + out->len, 1, 65536, file);
    out->len += n;
  } while (n > 0);
  (void)fclose(file);
}

static void same_as_before(const char *name) {
  char path[200];
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t count;
  (void)snprintf(path, sizeof path, DIR "%s.yaml", name);
  if (tide_spec_load(path, &spec, &error, 1, &count)) fail_msg("%s:%d:%d: %s", path, error.line, error.column, error.text);
  struct tide_buf now = TIDE_BUF_INIT, before = TIDE_BUF_INIT;
  tide_describe(spec, &now);
  (void)snprintf(path, sizeof path, DIR "%s.describe.txt", name);
  if (getenv("TIDE_GOLDEN_UPDATE")) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(now.ptr, 1, now.len, file), now.len);
    assert_int_equal(fclose(file), 0);
  }
  read_text(path, &before);
  int line = 1;
  for (size_t i = 0; i < now.len || i < before.len; i++) {
    if (i >= now.len || i >= before.len || now.ptr[i] != before.ptr[i]) fail_msg("%s differs from line %d on", path, line);
    line += now.ptr[i] == '\n';
  }
  tide_buf_release(&now);
  tide_buf_release(&before);
  tide_spec_free(spec);
}

static void contract(void **state) {
  (void)state;
  same_as_before("contract");
}
static void every_form(void **state) {
  (void)state;
  same_as_before("every");
}

static void facts(void **state) {
  (void)state;
  same_as_before("facts");
}

/* One value alone reads as it does in the whole. */
static void one_value(void **state) {
  (void)state;
  struct tide_spec *spec = NULL;
  assert_int_equal(tide_spec_load(DIR "every.yaml", &spec, NULL, 0, NULL), TIDE_OK);
  struct tide_buf all = TIDE_BUF_INIT, one = TIDE_BUF_INIT;
  tide_describe(spec, &all);
  for (uint32_t slot = 0; slot < spec->slot_count; slot++) {
    tide_buf_clear(&one);
    tide_describe_slot(spec, slot, &one);
    assert_non_null(strstr(tide_buf_cstr(&all), tide_buf_cstr(&one)));
  }
  tide_buf_release(&all);
  tide_buf_release(&one);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contract),
      cmocka_unit_test(every_form),
      cmocka_unit_test(facts),
      cmocka_unit_test(one_value),
  };
  return cmocka_run_group_tests_name("describe", tests, NULL, NULL);
}
