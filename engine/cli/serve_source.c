/* Sources held against the feature file (serve_source.h).
 *
 * Every mistake of this kind is a name: the message says which names there are, and the nearest one. */
#include "cli/serve_source.h"

#include <stdio.h>

#include "base/utf8.h"

_Static_assert(TIDE_SOURCE_NAME_MAX < TIDE_SOURCE_NAME, "a configured name fits a declaration");

/* "; did you mean X?", or the first names that there are. */
static void put_names(struct tide_buf *out, const char *wrong, const char *const *names, size_t count) {
  const char *nearest = tide_nearest(tide_span_of(wrong), names, count);
  if (nearest) {
    tide_buf_printf(out, "did you mean %s?", nearest);
    return;
  }
  tide_buf_str(out, "there are: ");
  for (size_t i = 0; i < count && i < 8; i++) tide_buf_printf(out, "%s%s", i ? ", " : "", names[i]);
  if (count > 8) tide_buf_str(out, ", ...");
}

static enum tide_err check_input(const struct tide_config_source *source, const struct tide_spec *spec, struct tide_error *error) {
  for (uint32_t i = 0; i < spec->shape_count; i++)
    if (strcmp(spec->shape[i].name, source->input) == 0) return TIDE_OK;
  const char **names = tide_alloc((spec->shape_count + 1) * sizeof *names);
  for (uint32_t i = 0; i < spec->shape_count; i++) names[i] = spec->shape[i].name;
  struct tide_buf text = TIDE_BUF_INIT;
  put_names(&text, source->input, names, spec->shape_count);
  enum tide_err err = tide_fail(error, TIDE_E_CONFIG, "sources.%s.input: the feature file has no shape %s under `inputs`: %s", source->name,
                                source->input, tide_buf_cstr(&text));
  tide_buf_release(&text);
  tide_free(names);
  return err;
}

static enum tide_err check_gate(const struct tide_config *config, const struct tide_group *group, const char *name,
                                struct tide_error *error) {
  const char *names[TIDE_SOURCES_MAX];
  for (size_t i = 0; i < config->source_count; i++) {
    const struct tide_config_source *source = &config->source[i];
    names[i] = source->name;
    if (strcmp(source->name, name) != 0) continue;
    if (source->gates) return TIDE_OK;
    return tide_fail(
        error, TIDE_E_CONFIG,
        "the feature file's freshness of %s depends on the source %s, which the operator's file says does not gate: set sources.%s.gates to true, "
        "or take it out of freshness.%s.sources",
        group->name, name, name, group->name);
  }
  struct tide_buf text = TIDE_BUF_INIT;
  put_names(&text, name, names, config->source_count);
  enum tide_err err = tide_fail(error, TIDE_E_CONFIG,
                                "the feature file's freshness.%s.sources names %s, and `sources:` of the operator's file does not: %s",
                                group->name, name, tide_buf_cstr(&text));
  tide_buf_release(&text);
  return err;
}

static struct tide_source_info info_of(const struct tide_config_source *source) {
  struct tide_source_info info = {.number = source->number,
                                  .gates = source->gates,
                                  .keyed = source->key == TIDE_SOURCE_KEY_card,
                                  .out_of_orderness_ms = source->out_of_orderness_ms,
                                  .silence_ms = source->silence_ms};
  snprintf(info.name, sizeof info.name, "%s", source->name);
  return info;
}

enum tide_err tide_serve_sources(const struct tide_config *config, const struct tide_spec *spec, struct tide_sources *ret,
                                 struct tide_error *error) {
  struct tide_sources sources = {.scores = config->scores_topic[0] || config->scores_file[0],
                                 .features = config->scores_features == TIDE_SCORE_FEATURES_all};
  enum tide_err err = TIDE_OK;
  for (size_t i = 0; i < config->source_count && err == TIDE_OK; i++) {
    err = check_input(&config->source[i], spec, error);
    sources.source[sources.count++] = info_of(&config->source[i]);
  }
  for (uint32_t g = 0; g < spec->group_count && config->source_count > 0; g++)
    for (uint32_t i = 0; i < spec->group[g].source_count && err == TIDE_OK; i++)
      err = check_gate(config, &spec->group[g], spec->group[g].source[i], error);
  if (err == TIDE_OK) *ret = sources;
  return err;
}
