/* GET /sources, what /readyz says of sources, and their metrics (parts.h): how far each partition has been read, and why one is not.
 *
 * Three parts of the process know a piece of it: the fold (cursors, facts, waivers: the same on every engine of the cell), the ingester (ends of logs, what stands
 * still and why: on the engine that reads) and the configuration (names, topics). They are looked at one behind the other without stopping any of them, so a
 * cursor may be newer than the end beside it; lag is never shown below zero. Nothing of a message is here: names, numbers and times. */
#include "base/json_out.h"
#include "base/json_page.h"
#include "core/gate.h"
#include "http/parts.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMED_IN_READYZ 16 /* partitions that stand still */

struct tide_sources_look *tide_http_sources_look(struct tide_http *http) {
  struct tide_sources_look *look = tide_alloc(sizeof *look);
  look->http = http;
  look->status = tide_engine_status(http->engine);
  tide_engine_sources(http->engine, &look->known);
  look->now_ms = tide_wall_now().ms;
  if (!http->options.ingest || !look->status.ingests) return look;
  size_t cap = TIDE_PARTITIONS_MAX;
  look->part = tide_alloc(cap * sizeof *look->part);
  size_t count = tide_ingest_look(http->options.ingest, look->part, cap);
  look->part_count = count < cap ? count : cap;
  return look;
}

void tide_http_sources_free(struct tide_sources_look *look) {
  tide_free(look->part);
  tide_free(look);
}

const struct tide_http_source *tide_http_source_of(const struct tide_http *http, uint16_t number) {
  for (size_t i = 0; i < http->options.source_count; i++)
    if (http->options.source[i].number == number) return &http->options.source[i];
  return NULL;
}

/* As it is configured, or as the cell has declared it; a source that is neither is a number. */
static const char *name_of(const struct tide_sources_look *look, uint16_t number, char out[TIDE_SOURCE_NAME]) {
  const struct tide_http_source *source = tide_http_source_of(look->http, number);
  if (source) return source->name;
  for (uint32_t i = 0; i < look->known.ledger.source_count; i++)
    if (look->known.ledger.source[i].info.number == number) return look->known.ledger.source[i].info.name;
  snprintf(out, TIDE_SOURCE_NAME, "%u", number);
  return out;
}

const struct tide_ingest_partition *tide_http_partition_read(const struct tide_sources_look *look, uint16_t source, uint16_t partition) {
  for (size_t i = 0; i < look->part_count; i++)
    if (look->part[i].view.source == source && look->part[i].view.partition == partition) return &look->part[i];
  return NULL;
}

static int64_t lag_of(const struct tide_partition *partition, const struct tide_ingest_partition *read) {
  return read->view.end > partition->cursor ? (int64_t)(read->view.end - partition->cursor) : 0;
}

/* Before the first entry commit_ms is not known, and there are no partitions either. */
static int64_t complete_of(const struct tide_sources_look *look, const struct tide_partition *partition) {
  if (partition->origin == TIDE_NO_SOURCE) return INT64_MIN;
  return tide_partition_complete(&look->known.ledger, partition, look->known.commit_ms);
}

static bool is_time(int64_t ms) { return ms >= TIDE_TIME_MIN_MS && ms <= TIDE_TIME_MAX_MS; }
static int64_t age_ms(const struct tide_sources_look *look, int64_t ms) { return look->now_ms > ms ? look->now_ms - ms : 0; }

/* A metric in nanoseconds; what is older than any cell is shown as ten years. */
#define AGE_MAX_MS (INT64_C(3653) * 86400000)
static int64_t ns_of(int64_t ms) { return (ms < AGE_MAX_MS ? ms : AGE_MAX_MS) * 1000000; }

static bool is_silent(const struct tide_sources_look *look, const struct tide_ledger_source *source) {
  return source->alive_ms != INT64_MIN && look->known.commit_ms - source->alive_ms > source->info.silence_ms;
}

/* ---- the page ---- */

static void put_known(struct tide_buf *out, const char *key, bool known, int64_t value) {
  tide_json_key(out, key);
  if (known) tide_json_int(out, value);
  else tide_json_null(out);
}

static void put_partition(const struct tide_sources_look *look, const struct tide_partition *partition, struct tide_buf *out) {
  const struct tide_ingest_partition *read = tide_http_partition_read(look, partition->source, partition->partition);
  bool ended = read && read->view.end > 0;
  int64_t complete_ms = complete_of(look, partition);
  bool waived = partition->waived_until_ms != INT64_MIN && partition->waived_until_ms > look->known.commit_ms;
  tide_json_open(out, '{');
  tide_page_int(out, "partition", partition->partition);
  put_known(out, "cursor", partition->started, (int64_t)partition->cursor);
  put_known(out, "target", look->known.ledger.opening && look->known.ledger.has_targets, (int64_t)partition->target);
  put_known(out, "end", ended, ended ? (int64_t)read->view.end : 0);
  put_known(out, "lag", ended, ended ? lag_of(partition, read) : 0);
  tide_page_time(out, "seen", partition->seen_ms);
  tide_page_time(out, "drained", partition->drained_ms);
  tide_page_int(out, "delay_ms", partition->delay_ms);
  tide_page_time(out, "complete", complete_ms);
  put_known(out, "complete_age_ms", is_time(complete_ms), is_time(complete_ms) ? age_ms(look, complete_ms) : 0);
  tide_page_time(out, "waived_until", waived ? partition->waived_until_ms : INT64_MIN);
  put_known(out, "held", read != NULL, read ? (int64_t)read->view.held : 0);
  tide_json_key(out, "stopped");
  if (read) tide_json_bool(out, read->view.stopped || read->trouble[0]);
  else tide_json_null(out);
  tide_page_text(out, "trouble", read ? read->trouble : NULL);
  tide_json_close(out, '}');
}

static void put_source(const struct tide_sources_look *look, const struct tide_ledger_source *source, struct tide_buf *out) {
  const struct tide_http_source *configured = tide_http_source_of(look->http, source->info.number);
  tide_json_open(out, '{');
  tide_page_text(out, "name", source->info.name);
  tide_page_text(out, "topic", configured ? configured->topic : NULL);
  tide_page_int(out, "number", source->info.number);
  tide_page_bool(out, "declared", source->declared);
  tide_page_bool(out, "gates", source->info.gates);
  tide_page_text(out, "key", source->info.keyed ? "card" : "none");
  tide_page_int(out, "out_of_orderness_ms", source->info.out_of_orderness_ms);
  tide_page_int(out, "silence_ms", source->info.silence_ms);
  tide_page_time(out, "heard", source->alive_ms);
  tide_page_bool(out, "silent", is_silent(look, source));
  tide_json_key(out, "partitions");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < look->known.ledger.partition_count; i++)
    if (look->known.ledger.partition[i].source == source->info.number) put_partition(look, &look->known.ledger.partition[i], out);
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

void tide_http_sources_put(const struct tide_sources_look *look, struct tide_buf *out) {
  const struct tide_ledger *ledger = &look->known.ledger;
  tide_json_open(out, '{');
  tide_page_int(out, "engine", look->http->options.engine_id);
  tide_page_text(out, "state", tide_core_state_name(look->status.state));
  tide_page_bool(out, "ingests", look->status.ingests);
  put_known(out, "ingester", ledger->claimant != 0, ledger->claimant);
  tide_page_time(out, "ingester_heard", ledger->claimant ? ledger->claim_alive_ms : INT64_MIN);
  tide_page_bool(out, "scores", ledger->scores);
  tide_page_int(out, "unsent_answers", (int64_t)(ledger->answers - ledger->emitted));
  tide_page_int(out, "behind", look->status.barrier.behind);
  tide_json_key(out, "sources");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < ledger->source_count; i++) put_source(look, &ledger->source[i], out);
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

/* ---- probes ---- */

/* "opening: auths/3 at 1200 of 1800, 2 partitions behind; engine 2 reads the sources" */
void tide_http_sources_why(const struct tide_sources_look *look, struct tide_buf *out) {
  const struct tide_engine_barrier *barrier = &look->status.barrier;
  char name[TIDE_SOURCE_NAME];
  if (!barrier->targets) {
    tide_buf_str(out, "opening: it is not known yet how far the sources go");
  } else if (barrier->behind) {
    tide_buf_printf(out, "opening: %s/%u at %" PRIu64 " of %" PRIu64 ", %u partition%s behind", name_of(look, barrier->source, name),
                    barrier->partition, barrier->cursor, barrier->target, barrier->behind, barrier->behind == 1 ? "" : "s");
  } else {
    tide_buf_str(out, "opening: the sources are read as far as they went");
  }
  if (look->status.ingests) return;
  uint32_t claimant = look->known.ledger.claimant;
  if (claimant) tide_buf_printf(out, "; engine %u reads the sources", claimant);
  else tide_buf_str(out, "; no engine reads the sources yet");
}

void tide_http_sources_stopped(const struct tide_sources_look *look, struct tide_buf *out) {
  size_t stopped = 0;
  char name[TIDE_SOURCE_NAME], unanswered[TIDE_INGEST_UNANSWERED] = "";
  if (look->http->options.ingest) tide_ingest_unanswered(look->http->options.ingest, unanswered);
  if (unanswered[0]) tide_page_text(out, "unanswered", unanswered);
  for (size_t i = 0; i < look->part_count; i++) {
    const struct tide_ingest_partition *part = &look->part[i];
    if (!part->trouble[0] || ++stopped > NAMED_IN_READYZ) continue;
    if (stopped == 1) {
      tide_json_key(out, "stopped");
      tide_json_open(out, '[');
    }
    tide_json_open(out, '{');
    tide_page_text(out, "source", name_of(look, part->view.source, name));
    tide_page_int(out, "partition", part->view.partition);
    tide_page_text(out, "why", part->trouble);
    tide_json_close(out, '}');
  }
  if (!stopped) return;
  tide_json_close(out, ']');
  tide_page_int(out, "stopped_partitions", (int64_t)stopped);
}

/* ---- metrics ---- */

struct shown {
  const struct tide_sources_look *look;
  struct tide_meter *meter;
  struct tide_meter_at at;
};

static void set(const struct shown *shown, enum tide_meter_row row, bool known, int64_t value) {
  if (known) tide_meter_set(shown->meter, row, shown->at, value);
  else tide_meter_unset(shown->meter, row, shown->at);
}

static void set_age(const struct shown *shown, enum tide_meter_row row, int64_t ms) {
  set(shown, row, is_time(ms), is_time(ms) ? ns_of(age_ms(shown->look, ms)) : 0);
}

static void meter_partition(const struct shown *shown, const struct tide_partition *partition) {
  const struct tide_sources_look *look = shown->look;
  const struct tide_ingest_partition *read = tide_http_partition_read(look, partition->source, partition->partition);
  bool ended = read && read->view.end > 0;
  bool waived = partition->waived_until_ms != INT64_MIN && partition->waived_until_ms > look->known.commit_ms;
  set(shown, TIDE_METER_ROW_source_lag_messages, ended, ended ? lag_of(partition, read) : 0);
  set(shown, TIDE_METER_ROW_source_delay_seconds, true, partition->delay_ms > 0 ? ns_of(partition->delay_ms) : 0);
  set_age(shown, TIDE_METER_ROW_source_seen_age_seconds, partition->seen_ms);
  set_age(shown, TIDE_METER_ROW_source_complete_age_seconds, complete_of(look, partition));
  set(shown, TIDE_METER_ROW_source_stopped, read != NULL, read && (read->view.stopped || read->trouble[0]));
  set(shown, TIDE_METER_ROW_source_waived, true, waived);
}

const struct tide_spec *tide_http_standings(const struct tide_sources_look *look, struct tide_standing *ret) {
  const struct tide_spec *spec = atomic_load(&look->http->spec);
  struct tide_gate *gate = tide_alloc(sizeof *gate);
  tide_gate_judge(gate, &look->known.ledger, spec, look->known.commit_ms, look->now_ms, TIDE_NONE, ret);
  tide_free(gate);
  return spec;
}

static void meter_freshness(const struct tide_sources_look *look, struct tide_meter *meter) {
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  const struct tide_spec *spec = tide_http_standings(look, standing);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    struct shown shown = {look, meter, {0}};
    if (!tide_meters_place(tide_meter_all(meter), TIDE_AXIS_entity, spec->entity[e].name, &shown.at.a)) continue;
    bool known = standing[e].age_ms != TIDE_AGE_UNKNOWN;
    set(&shown, TIDE_METER_ROW_freshness_age_seconds, known, known ? ns_of(standing[e].age_ms) : 0);
    set(&shown, TIDE_METER_ROW_freshness_budget_seconds, true, ns_of(spec->group[spec->entity[e].group].budget_ms));
    set(&shown, TIDE_METER_ROW_freshness_stale, true, standing[e].state == TIDE_S_stale);
  }
}

void tide_http_sources_meter(struct tide_http *http, struct tide_meter *meter) {
  struct tide_sources_look *look = tide_http_sources_look(http);
  const struct tide_ledger *ledger = &look->known.ledger;
  int64_t held = 0;
  for (size_t i = 0; i < look->part_count; i++) held += (int64_t)look->part[i].view.held;
  tide_meter_set(meter, TIDE_METER_ROW_ingest_held_messages, TIDE_METER_PLAIN, held);
  tide_meter_set(meter, TIDE_METER_ROW_ingest_unsent_answers, TIDE_METER_PLAIN, (int64_t)(ledger->answers - ledger->emitted));
  char unanswered[TIDE_INGEST_UNANSWERED] = "";
  if (http->options.ingest) tide_ingest_unanswered(http->options.ingest, unanswered);
  tide_meter_set(meter, TIDE_METER_ROW_ingest_unanswered, TIDE_METER_PLAIN, unanswered[0] != 0);
  for (size_t s = 0; s < http->options.source_count; s++) {
    struct shown shown = {look, meter, {.a = (uint32_t)s}};
    for (uint32_t i = 0; i < ledger->source_count; i++)
      if (ledger->source[i].info.number == http->options.source[s].number)
        set(&shown, TIDE_METER_ROW_source_silent, true, is_silent(look, &ledger->source[i]));
    for (uint32_t i = 0; i < ledger->partition_count; i++) {
      const struct tide_partition *partition = &ledger->partition[i];
      if (partition->source != http->options.source[s].number || partition->partition >= TIDE_PARTITIONS_MAX) continue;
      shown.at.b = partition->partition;
      meter_partition(&shown, partition);
    }
  }
  if (tide_ledger_is_sourced(ledger)) meter_freshness(look, meter);
  tide_http_sources_free(look);
}
