/* Names of a feature file as JSON, made once (quoted.h). Each is written with the writer that every other name goes through, so its bytes are those that it would have been given
 * in its place; then it is copied into the arena of the feature file. */
#include "feature/quoted.h"

#include "base/json_out.h"

static struct tide_span keep(struct tide_spec *spec, struct tide_buf *text) {
  struct tide_span kept = {tide_arena_strdup(&spec->arena, tide_buf_span(text)), text->len};
  tide_buf_clear(text);
  return kept;
}

static struct tide_slot_run *make_runs(struct tide_spec *spec, uint32_t *ret_count) {
  struct tide_slot_run *run = tide_arena_alloc(&spec->arena, (spec->slot_count + 1) * sizeof *run);
  uint32_t count = 0;
  for (uint32_t i = 0; i < spec->slot_count; i++) {
    uint32_t entity = spec->feature[spec->slot[i].feature].entity;
    if (!count || run[count - 1].entity != entity) run[count++].entity = entity;
    run[count - 1].end = i + 1;
  }
  *ret_count = count;
  return run;
}

void tide_quoted_make(struct tide_spec *spec) {
  struct tide_arena *arena = &spec->arena;
  struct tide_quoted *quoted = tide_arena_alloc(arena, sizeof *quoted);
  struct tide_buf text = TIDE_BUF_INIT;
  *quoted = (struct tide_quoted){.slot = tide_arena_alloc(arena, (spec->slot_count + 1) * sizeof *quoted->slot),
                                 .derived = tide_arena_alloc(arena, (spec->derived_count + 1) * sizeof *quoted->derived),
                                 .entity = tide_arena_alloc(arena, (spec->entity_count + 1) * sizeof *quoted->entity),
                                 .decision = tide_arena_alloc(arena, (spec->decision_count + 1) * sizeof *quoted->decision)};
  quoted->run = make_runs(spec, &quoted->run_count);
  for (uint32_t i = 0; i < spec->slot_count; i++) {
    tide_json_key(&text, spec->slot[i].name);
    quoted->slot[i] = keep(spec, &text);
  }
  for (uint32_t i = 0; i < spec->derived_count; i++) {
    tide_json_key(&text, spec->derived[i].name);
    quoted->derived[i] = keep(spec, &text);
  }
  for (uint32_t i = 0; i < spec->entity_count; i++) {
    tide_json_key(&text, spec->entity[i].name);
    tide_json_open(&text, '{');
    TIDE_JSON_KEY(&text, "state");
    quoted->entity[i] = keep(spec, &text);
  }
  for (uint32_t i = 0; i < spec->decision_count; i++) {
    tide_json_cstr(&text, spec->decision[i]);
    quoted->decision[i] = keep(spec, &text);
  }
  tide_buf_release(&text);
  spec->quoted = quoted;
}
