/* Every mistake in a feature file: found, at its line and column, with a sentence that helps. One row for each.
 *
 * A row takes the contract's example and replaces one piece of its text; @@ in the replacement marks where the error must point (it is taken out before
 * parsing). Each row must give exactly one error: a mistake that raises others is a bug of the parser as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "feature/spec.h"

static char *base; /* the contract's example */

struct mistake {
  const char *find, *put; /* in the file; @@ marks the place */
  const char *says;       /* part of the message */
};

static int setup(void **state) {
  (void)state;
  FILE *file = fopen("tests/golden/features/contract.yaml", "re");
  if (!file) return -1;
  struct tide_buf buf = TIDE_BUF_INIT;
  tide_buf_reserve(&buf, 65536);
  buf.len = fread(buf.ptr, 1, 65536, file);
  (void)fclose(file);
  base = tide_buf_take(&buf);
  return 0;
}
static int teardown(void **state) {
  (void)state;
  tide_free(base);
  return 0;
}

static void put_marked(struct tide_buf *out, const char *text, int *line, int *column) {
  const char *mark = strstr(text, "@@");
  size_t head = mark ? (size_t)(mark - text) : strlen(text);
  tide_buf_put(out, text, head);
  if (!mark) return;
  *line = 1;
  *column = 1;
  for (size_t i = 0; i < out->len; i++) {
    if (out->ptr[i] == '\n') {
      ++*line;
      *column = 1;
    } else if (((unsigned char)out->ptr[i] & 0xC0) != 0x80) {
      ++*column;
    }
  }
  tide_buf_str(out, mark + 2);
}

static void expect(const char *name, size_t row, struct tide_span text, int line, int column, const char *says) {
  struct tide_error error[4];
  struct tide_spec *spec = NULL;
  size_t count = 0;
  enum tide_err err = tide_spec_parse("test.yaml", text, &spec, error, 4, &count);
  if (err == TIDE_OK) {
    tide_spec_free(spec);
    fail_msg("%s %zu (%s): no error", name, row, says);
  }
  if (count != 1 || error[0].line != line || error[0].column != column || !strstr(error[0].text, says)) {
    for (size_t i = 0; i < count && i < 4; i++)
      print_error("  %d:%d [%s] %s\n", error[i].line, error[i].column, error[i].field, error[i].text);
    fail_msg("%s %zu: expected one error at %d:%d that says \"%s\"", name, row, line, column, says);
  }
}

static void run(const char *name, const struct mistake *row, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *at = strstr(base, row[i].find);
    if (!at) fail_msg("%s %zu: the example has no \"%s\"", name, i, row[i].find);
    struct tide_buf text = TIDE_BUF_INIT;
    int line = 0, column = 0;
    tide_buf_put(&text, base, (size_t)(at - base));
    put_marked(&text, row[i].put, &line, &column);
    tide_buf_str(&text, at + strlen(row[i].find));
    expect(name, i, tide_buf_span(&text), line, column, row[i].says);
    tide_buf_release(&text);
  }
}
#define RUN(rows) run(__func__, rows, sizeof(rows) / sizeof(rows)[0])

static void top(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"tidemark: 1", "tidemark: @@2", "format version 1"},
      {"tidemark: 1\n", "", "`tidemark: 1` is missing"},
      {"name: eu-issuing\n", "", "`name:` is missing"},
      {"name: eu-issuing", "name: @@eu issuing", "letters, digits"},
      {"name: eu-issuing", "name: @@[a]", "must be a text, not a list"},
      {"freshness:\n", "@@freshnes:\n", "did you mean `freshness`?"},
      {"name: eu-issuing", "name: eu-issuing\n@@name: other", "duplicate key `name`"},
  };
  /* A missing key has no place: the file's beginning. */
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct mistake row = rows[i];
    if (row.put[0] == 0) {
      const char *at = strstr(base, row.find);
      struct tide_buf text = TIDE_BUF_INIT;
      tide_buf_put(&text, base, (size_t)(at - base));
      tide_buf_str(&text, at + strlen(row.find));
      expect(__func__, i, tide_buf_span(&text), 1, 1, row.says);
      tide_buf_release(&text);
      continue;
    }
    run(__func__, &row, 1);
  }
}

static void event(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"  score: kind", "  @@scores: kind", "did you mean `score`?"},
      {"id: [rrn, stan, acquirer]", "id: [rrn, @@stann, acquirer]", "did you mean `stan`?"},
      {"id: [rrn, stan, acquirer]", "id: [rrn, stan, @@rrn]", "names `rrn` twice"},
      {"id: [rrn, stan, acquirer]", "id: [rrn, stan, acquirer, ip, @@email]", "at most 4"},
      {"id: [rrn, stan, acquirer]", "id: @@{a: b}", "a name or a list of names"},
      {"id: [rrn, stan, acquirer]", "id: @@[]", "an empty list"},
      {"  id: [rrn, stan, acquirer] ", "  @@on_conflict: count ", "event.id is missing"},
      {"amount: amount in EUR", "amount: @@amount", "in which currency"},
      {"amount: amount in EUR", "amount: amount in @@EUX", "not an ISO 4217 currency"},
      {"amount: amount in EUR", "amount: amount in EUR\n  on_conflict: @@rejct", "did you mean `reject`?"},
      {"key: pan ", "key: @@pann ", "did you mean `pan`?"},
      {"key: pan ", "key: [pan, @@lat] ", "only texts can be kept secret"},
      {"\"prefix(pan, 8)\"", "\"prefix(pan, @@0)\"", "whole number from 1 to 64"},
      {"\"prefix(pan, 8)\"", "\"prefix(@@pan)\"", "write prefix(FIELD, LENGTH)"},
      {"\"prefix(pan, 8)\"", "\"prefix(@@pam, 8)\"", "did you mean `pa"},
      {"\"prefix(pan, 8)\"", "\"prefix(@@pan, 8) = 4\"", "must be the whole value"},
      {"\"ip_prefix(ip, 24, 56)\"", "\"ip_prefix(ip, @@33, 56)\"", "from 0 to 32"},
      {"email_key(email)", "email_key(@@lat)", "reads a text"},
      {"cnp: \"entry in (ecom, moto)\"", "cnp: \"@@pan = entry\"", "is secret"},
      {"derive: {bin", "derive: {@@ip: lower(email), bin", "is there already"},
      {"derive: {bin", "derive: {@@2bin: lower(email), bin", "letters, digits and _"},
      {"derive: {bin", "derive: {@@score: lower(email), bin", "word of the language and cannot name a field"},
      {"cnp: \"entry in (ecom, moto)\"", "cnp: \"entry = moto and @@amount > 100\"", "before any rate is known"},
      {"cnp: \"entry in (ecom, moto)\"", "cnp: \"abs(5 - @@requested) > 100\"", "`amount` is an amount in whatever currency"},
      {"score: kind in (auth, advice)", "score: @@kind", "event.score"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  place: [lat, @@ip]", "not a number"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  place: @@lat", "two fields"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  alias: @@[ip, email]", "has 2 parts and event.id 3"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  parent: @@ip", "has 1 parts and event.id 3"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  parent: {id: [ip, email, par], count: @@maybe}",
       "one of false, true"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  parent: @@{count: true}", "`id:` is missing"},
      {"score: kind in (auth, advice)", "score: kind in (auth, advice)\n  kind: @@lat", "must be a text field"},
  };
  RUN(rows);
}

static void inputs(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"pan: /card/number", "pan: {@@att: /card/number, at: x}", "did you mean `at`?"},
      {"pan: /card/number", "pan: @@{optional: false}", "`at:` is missing"},
      {"pan: /card/number", "pan: @@/card/~2", "not a JSON pointer"},
      {"pan: /card/number", "pan: @@/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x", "33 levels"},
      {"pan: /card/number", "pan: @@[a]", "must be a mapping"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: @@integer}", "there is no form `integer`"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: @@itn}", "did you mean `int`?"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: @@decimal(12)}", "0 to 9 decimals"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: @@minor}", "and for facts only"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: @@amount}",
       "`as: amount` is for the amount (event.amount) and for facts only"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: int, default: @@many}", "not a value"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: int, map: {few: 3, more: @@many}}", "not a value"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, as: bool, map: {J: \"yes\", N: @@nein}}", "not a value"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, optional: @@yes}", "true"},
      {"pan: /card/number", "pan: /card/number\n    count: {at: /c, currency: @@EUR}", "amount (event.amount) only"},
      {"pan: /card/number", "pan: /card/number\n    @@count: null", "has no place"},
      {"pan: /card/number", "pan: /card/number\n    @@over: /c", "word of the language"},
      {"pan: /card/number", "pan: /card/number\n    @@my-field: /c", "letters, digits and _"},
      {"currency: /billing/currency", "currency: @@EUX", "not an ISO 4217"},
      {"currency: /billing/currency", "as: @@int", "come from its currency"},
      {"as: rfc3339}", "as: @@int}", "is a time"},
      {"type: outcome   ", "type: @@outcom   ", "did you mean `outcome`?"},
      {"type: outcome   ", "type: @@profil   ", "did you mean"},
      {"\"10\": partial", "\"10\": @@partly", "result cannot be `partly`"},
      {"\"00\": approved", "\"00\": @@aproved", "did you mean `approved`?"},
      {"when: {/type: outcome}", "when: @@outcome", "one pair"},
      {"extends: default", "extends: @@defualt", "did you mean `default`?"},
      {"known_at: ingested_ts", "known_at: @@{as: epoch_ms}", "`at:` is missing"},
      {"known_at: ingested_ts", "known_at: {at: x, as: @@int}", "is a time"},
      {"known_at: ingested_ts", "@@lat: {at: x}", "one form in all shapes"},
      {"known_at: ingested_ts", "@@nothing: null", "does not have it"},
      {"rrn: /rrn", "@@rrn: {at: /rrn, optional: true}", "cannot be optional"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@rates: {type: rate, currency: c}", "`rate` is missing"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  rates: {type: rate, currency: c, rate: r, @@pan: p}", "has no `pan`"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@lists: {type: list, pan: p}", "`list` is missing"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@beat: {type: heartbeat}", "is not mapped"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  lists: {type: list, list: l, @@result: p}", "outcome column"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@bare: {rrn: a, stan: b, acquirer: c}", "`time` is not mapped"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@bare: {time: t, stan: b, acquirer: c}", "`rrn` is not mapped"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@o: {type: outcome}", "must carry one of"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@p: {type: profile}", "must tell something"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: @@[limit]}", "mapping of names to columns"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: {limit: {at: /l, as: @@itn}}}",
       "did you mean `int`?"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: {limit: {as: int, currency: @@EUR, at: /l}}}",
       "for facts with `as: amount`"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: {@@my-limit: /l}}", "letters, digits and _"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, entity: @@crad, facts: {limit: /l}}",
       "did you mean `card`?"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, entity: @@{at: /e}, facts: {limit: /l}}",
       "says whom it is about"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, @@segment: /s, facts: {limit: /l}}",
       "stands under `facts:`"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: {limit: /l}, @@result: /r}", "outcome column"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: {@@pan: /l}}", "give the fact another name"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  p: {type: profile, facts: {@@time: /l}}", "give the fact another name"},
      {"known_at: ingested_ts}",
       "known_at: ingested_ts}\n  p: {type: profile, facts: {limit: /l}}\n  q: {type: profile, facts: {@@limit: {at: /l, as: int}}}",
       "one form in all shapes"},
      {"known_at: ingested_ts}",
       "known_at: ingested_ts}\n  p: {type: profile, facts: {limit: /l}}\n  q: {extends: p, facts: {@@size: null}}", "does not tell it"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  @@a: {extends: b}\n  b: {extends: a, time: t, rrn: r, stan: s, acquirer: a}",
       "circle"},
      {"known_at: ingested_ts}", "known_at: ingested_ts}\n  other: {type: outcome, when: @@{/type: outcome}, result: r}",
       "picked by the same value"},
  };
  RUN(rows);
}

static void entities(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"ip: ip\n", "ip: @@iip\n", "no field or entity is named `iip`; did you mean `ip`?"},
      {"card_merchant: [card, merchant]", "card_merchant: [card, @@merchat]", "did you mean `merchant`?"},
      {"card_merchant: [card, merchant]", "card_merchant: [merchant, @@merchant]", "twice"},
      {"card_merchant: [card, merchant]", "card_merchant: [card, merchant, ip, email, @@par]", "at most 4"},
      {"card_merchant: [card, merchant]", "card_merchant: [@@later, merchant]\n  later: ip", "no field or entity is named `later`"},
      {"card_merchant: [card, merchant]", "card_merchant: [card, @@amount]", "cannot be part of a key"},
      {"card_merchant: [card, merchant]", "card_merchant: {@@keys: card, key: card}", "did you mean `key`?"},
      {"card_merchant: [card, merchant]", "card_merchant: @@{max: 5}", "`key:` is missing"},
      {"card_merchant: [card, merchant]", "card_merchant: {key: card, max: @@0}", "whole number from 1"},
      {"card_merchant: [card, merchant]", "card_merchant: {key: card, keep: @@30}", "is not a duration"},
      {"card_merchant: [card, merchant]", "card_merchant: {key: card, keep: @@4000d}", "at most 3650d"},
      {"card_merchant: [card, merchant]", "card_merchant: {key: card, keep: @@0s}", "longer than 0"},
      {"card_merchant: [card, merchant]", "card_merchant: @@firstof(card, merchant)", "first_of(FIELD, FIELD)"},
      {"card_merchant: [card, merchant]", "card_merchant: first_of(card,@@)", "a name is missing"},
      {"card_merchant: [card, merchant]", "@@default: ip", "freshness uses that word"},
      {"card_merchant: [card, merchant]", "@@card-merchant: ip", "letters, digits and _"},
      {"merchant: merchant\n  ip", "@@merchant: {key: merchant, forget_after: 7d}\n  ip", "shorter than"},
  };
  RUN(rows);
}

static void features(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"idle: time since previous", "idle: @@time since prev", "did you mean `time since previous`?"},
      {"idle: time since previous", "idle: @@cuont over 1h", "did you mean `count`?"},
      {"idle: time since previous", "idle: @@banana over 1h", "not an aggregation"},
      {"idle: time since previous", "idle: fact @@limit", "no profile tells a fact `limit` about card"},
      {"idle: time since previous", "idle: fact limit over @@1h", "a fact has no window"},
      {"idle: time since previous", "idle: fact limit where @@kind = auth", "takes no `where`"},
      {"idle: time since previous", "idle: fact@@", "nothing follows here"},
      {"idle: time since previous", "idle: '@@'", "not an aggregation"},
      {"idle: time since previous", "idle: @@[count]", "must be a text"},
      {"idle: time since previous", "@@id-le: time since previous", "letters, digits and _"},
      {"idle: time since previous", "idle: time since previous over @@1h", "has no window"},
      {"idle: time since previous", "idle: @@count where result = declined", "needs a window"},
      {"idle: time since previous", "idle: count over @@10", "is not a window"},
      {"idle: time since previous", "idle: count over 1h, @@shrt", "did you mean `short`?"},
      {"idle: time since previous", "idle: count over 1h, @@0s", "is not a window"},
      {"idle: time since previous", "idle: count over @@4000d", "at most 3650d"},
      {"idle: time since previous", "idle: count over 1h delayed @@4000d", "at most 3650d"},
      {"idle: time since previous", "idle: count over 1h, @@60m", "stands here twice"},
      {"idle: time since previous", "idle: count over 1h @@over 2h", "stands here twice, found `over`"},
      {"idle: time since previous", "idle: count over @@1h wher result = declined", "is not a window"},
      {"idle: time since previous", "idle: count @@wher result = declined", "did you mean `where`?"},
      {"idle: time since previous", "idle: count over@@", "nothing follows"},
      {"idle: time since previous", "idle: count of @@ip over 1h", "takes no `of`"},
      {"idle: time since previous", "idle: @@sum over 1h", "like `sum of amount`"},
      {"idle: time since previous", "idle: sum of @@ip over 1h", "needs a number"},
      {"idle: time since previous", "idle: sum of @@amont over 1h", "did you mean `amount`?"},
      {"idle: time since previous", "idle: distinct of @@amount over 1h", "not amounts"},
      {"idle: time since previous", "idle: distinct of @@merchnt over 1h", "did you mean `merchant`?"},
      {"idle: time since previous", "idle: distinct of @@time over 1h", "time field"},
      {"idle: time since previous", "idle: last @@pan", "is secret"},
      {"idle: time since previous", "idle: last @@card_merchant", "is an entity"},
      {"idle: time since previous", "idle: distinct of ip over 1h cap @@0", "cap must be"},
      {"idle: time since previous", "idle: count over 1h cap @@5", "`distinct` only"},
      {"idle: time since previous", "idle: count over 1h hop @@2h", "longer than the window"},
      {"idle: time since previous", "idle: count over 1h hop @@x", "is not a duration"},
      {"idle: time since previous", "idle: count over 1h delayed @@0s", "is not a duration"},
      {"idle: time since previous", "idle: approx_distinct of ip over 1h hop @@1m", "takes no `hop`"},
      {"idle: time since previous", "idle: max_count of 1h over 1d hop @@1m", "takes no `hop`"},
      {"idle: time since previous", "idle: max_count of @@2d over 1d", "longer than the outer"},
      {"idle: time since previous", "idle: max_count of @@ip over 1d", "is not a duration"},
      {"idle: time since previous", "idle: @@streak over 7d", "needs `where`"},
      {"idle: time since previous", "idle: @@streak over 7d where result = declined with current", "means nothing"},
      {"idle: time since previous", "idle: @@time since previous with current", "means nothing"},
      {"idle: time since previous", "idle: time since previous delayed @@1d", "takes no `delayed`"},
      {"idle: time since previous", "idle: time since first where @@result = declined", "takes no `where`"},
      {"idle: time since previous", "idle: count over 1h where result = @@declned", "declined"},
      {"idle: time since previous", "idle: rate of label = @@frad over 1d", "fraud"},
      {"idle: time since previous", "idle: \"count over 1h where result = @@declned\"", "declined"},
      {"idle: time since previous", "idle: count over 1h where @@pan = kind", "is secret"},
      {"idle: time since previous", "first: time since first\n    @@new: time since previous", "would exist twice"},
      {"  ip:\n    cards", "  @@iip:\n    cards", "no entity is named `iip`; did you mean `ip`?"},
      {"windows: {short: \"1m, 10m, 1h\"}", "windows: {short: \"1m, @@10x, 1h\"}", "is not a window"},
      {"windows: {short: \"1m, 10m, 1h\"}", "windows: {short: [1m, @@10x, 1h]}", "is not a window"},
      {"windows: {short: \"1m, 10m, 1h\"}", "windows: {short: \"1m, 10m, 1h\", @@1x: 1h}", "letters, digits and _"},
  };
  RUN(rows);
}

static void derived_and_freshness(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"night: hour", "@@ip: hour", "is there already"},
      {"night: hour", "@@ni-ght: hour", "letters, digits and _"},
      {"night: hour", "@@score: hour", "word of the language and cannot name a derived value"},
      {"spend_jump: card.spend_24h", "spend_jump: @@card.spend_25h", "card.spend_24h"},
      {"spend_jump: card.spend_24h", "spend_jump: @@night + card.spend_24h", "only those above it"},
      {"spend_jump: card.spend_24h", "spend_jump: @@spend_jump + card.spend_24h", "only those above it"},
      {"spend_jump: card.spend_24h", "early: 1 + @@late\n  late: 2\n  spend_jump: card.spend_24h", "only those above it"},
      {"spend_jump: card.spend_24h", "itself: @@itself + 1\n  spend_jump: card.spend_24h", "only those above it"},
      {"count over short, 24h with current", "count over short, 24h where @@spend_jump > 3", "a derived value, which cannot be read here"},
      {"spend_jump: card.spend_24h / max(card.spend_30d", "spend_jump: card.spend_24h / max(@@card.spend_31d", "card.spend_30d"},
      {"budget: 15s", "budget: @@15", "is not a duration"},
      {"budget: 15s", "budget: @@4000d", "at most 3650d"},
      {"budget: 15s", "facts: @@long", "is not a duration"},
      {"stale: fallback", "stale: @@fallbck", "did you mean `fallback`?"},
      {"stale: fallback", "stale: default @@x", "is not a number"},
      {"stale: fallback", "stale: @@default", "default VALUE"},
      {"warming: fallback", "warming: @@recompute", "cannot be `recompute`"},
      {"consistency: quorum", "consistency: @@quorm", "did you mean `quorum`?"},
      {"consistency: quorum", "@@consitency: quorum", "did you mean `consistency`?"},
      {"card: {budget", "@@crad: {budget", "did you mean `card`?"},
      {"sources: [auths]", "sources: @@[]", "an empty list"},
  };
  RUN(rows);
}

static void policy(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"  decisions: [approve, challenge, review, decline]\n  lists",
       "  @@decision: [approve, decline]\n  decisions: [approve, challenge, review, decline]\n  lists", "did you mean `decisions`?"},
      {"decisions: [approve,", "decisions: [approve, @@approve,", "is taken"},
      {"decisions: [approve,", "decisions: [approve, @@shadow,", "is taken"},
      {"lists: [blocked_cards,", "lists: [blocked_cards, @@blocked_cards,", "twice"},
      {"V01: decline when", "V01: @@declin when", "did you mean `decline`?"},
      {"V01: decline when", "V01: @@decline if", "write `DECISION when CONDITION`"},
      {"- V03: shadow", "- @@3V: shadow", "letters, digits and _"},
      {"- V03: shadow", "- @@_V: shadow", "begins with a letter"},
      {"- V03: shadow", "- @@V01: shadow", "is taken by the rule in line"},
      {"- F02: approve", "- @@M01: approve", "is taken by the rule in line"},
      {"- else: approve\n", "- @@else: approve\n    - X1: approve when ip = \"a\"\n", "must be the last"},
      {"- else: approve\n", "- else: @@aprove\n", "did you mean `approve`?"},
      {"- else: approve\n", "- @@approve\n", "each entry is one pair"},
      {"V03: shadow decline when card.attempts_1m > 6", "V03: shadow decline when @@card.attempts_2m > 6", "card.attempts_1m"},
      {"V03: shadow decline when card.attempts_1m > 6", "V03: shadow decline when @@pan = ip", "is secret"},
      {"V03: shadow decline when card.attempts_1m > 6", "V03: shadow decline when card.attempts_1m > 6 say @@unquoted", "double quotes"},
      {"V03: shadow decline when card.attempts_1m > 6", "V03: shadow decline when card.attempts_1m > 6 say \"{@@card.attempts_2m}\"",
       "card.attempts_1m"},
      {"F02: approve when not cnp", "F02: @@shadow approve when not cnp", "cannot be a shadow"},
      {"F02: approve when not cnp", "F02: @@approve when spend_jump > 3 and not cnp", "reads features"},
  };
  RUN(rows);
}

static void tests_section(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"{at: 310s}", "@@{kind: auth}", "`at:` is missing"},
      {"{at: 310s}", "{at: @@310}", "is not a duration"},
      {"{at: 310s}", "{at: 310s, @@knd: auth}", "did you mean `kind`?"},
      {"{at: 310s}", "{at: 310s, @@bin: 4}", "is derived"},
      {"{at: 310s}", "{at: 310s, @@time: 4}", "is its `at:`"},
      {"{at: 310s}", "{at: 310s, result: @@declned}", "did you mean `declined`?"},
      {"{at: 310s}", "{at: 310s, list: @@blocked_card}", "did you mean `blocked_cards`?"},
      {"{at: 310s}", "@@{at: 310s, remove: true}", "belong to a list record"},
      {"{at: 310s}", "@@{at: 310s, expires: 1h}", "belong to a list record"},
      {"{at: 310s}", "{at: 310s, list: blocked_cards, expires: @@never}", "is not a duration"},
      {"{at: 310s}", "{at: 310s, list: blocked_cards, remove: @@maybe}", ""},
      {"{at: 310s}", "{at: 310s, repeat: @@0}", "whole number from 1"},
      {"{at: 310s}", "{at: 310s, profile: @@crad}", "did you mean `card`?"},
      {"{at: 310s}", "{at: 310s, profile: card, @@amount: 5}", "a profile of card tells no `amount`"},
      {"card.declines_10m: 5", "@@card.declines_11m: 5", "did you mean `card.declines_1"},
      {"decision: decline, rule", "decision: @@declin, rule", "did you mean `decline`?"},
      {"rule: V01}", "rule: @@V99}", "rule cannot be `V99`"},
      {"rule: V01}", "duplicate: @@yes}", "one of false, true"},
      {"rule: V01}", "status: @@scord}", "did you mean `scored`?"},
      {"rule: V01}", "cause: @@tolate}", "did you mean `too_late`?"},
      {"{name: sixth attempt,", "@@{", "`name:` is missing"},
      {"{name: sixth attempt, events: [{at: 0s, repeat: 5, every: 60s, result: declined}, {at: 310s}], expect: {card.declines_10m: 5, decision: decline, rule: V01}}",
       "@@{name: sixth attempt, events: [{at: 0s}]}", "`expect:` is missing"},
      {"events: [{at: 0s, repeat: 5, every: 60s, result: declined}, {at: 310s}]", "events: @@[]", "at least one event"},
  };
  RUN(rows);
}

/* Mistakes that need a file of their own. */
static void small(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } rows[] = {
      {"tidemark: 1\nname: a\nevent: {id: id, time: t, place: [@@a, b]}\ninputs: {default: {id: id, t: t, a: {at: a, as: decimal(8)}, b: {at: b, as: int}}}\nentities: {e: id}\n",
       "more than 7 decimals"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nfeatures: {e: {s: sum of @@amount over 1h}}\n",
       "no amount is declared"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nfeatures: {e: {s: @@speed_kmh from previous}}\n",
       "no place is declared"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nfeatures: {e: @@[count]}\n",
       "must be a mapping"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t, @@amount: a}}\nentities: {e: id}\n",
       "must be the amount"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t, @@time: a}}\nentities: {e: id}\n",
       "means the event time"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: @@{only: {type: outcome, id: id, t: t, result: r}}\nentities: {e: id}\n",
       "no shape is of type event"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: @@tt}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\n",
       "no field is named `tt`"},
      {"@@- a\n- b\n", "must be a mapping"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct tide_buf text = TIDE_BUF_INIT;
    int line = 0, column = 0;
    put_marked(&text, rows[i].text, &line, &column);
    expect(__func__, i, tide_buf_span(&text), line, column, rows[i].says);
    tide_buf_release(&text);
  }
}

/* One mistake in a declaration is one error, whoever reads the name; two mistakes are two, in order of line. */
static void names_of_broken_declarations(void **state) {
  (void)state;
  static const struct mistake rows[] = {
      {"declines: count over short", "declines: @@cont over short", "did you mean `count`?"},
      {"bin: \"prefix(pan, 8)\"", "bin: \"prefix(pan, @@800)\"", "whole number from 1 to 64"},
      {"spend_jump: card.spend_24h", "spend_jump: @@card.spend_25h", "card.spend_24h"},
      {"spend_jump: card.spend_24h", "early: 1 + @@late\n  late: 2\n  spend_jump: card.spend_24h", "only those above it"},
      {"spend_jump: card.spend_24h", "itself: @@itself + 1\n  spend_jump: card.spend_24h", "only those above it"},
      {"count over short, 24h with current", "count over short, 24h where @@spend_jump > 3", "a derived value, which cannot be read here"},
      {"card: first_of(par, pan)", "card: first_of(par, @@pann)", "did you mean `pan`?"},
      {"windows: {short: \"1m, 10m, 1h\"}", "windows: {short: \"@@1y, 10m, 1h\"}", "is not a window"},
      {"windows: {short: \"1m, 10m, 1h\"}", "windows: {short: \"@@4000d, 10m, 1h\"}", "at most 3650d"},
      {"ip: {at: /ip, optional: true}", "ip: {at: /ip, optional: @@maybe}", "optional"},
  };
  RUN(rows);
}

static void errors_in_order_and_counted(void **state) {
  (void)state;
  static const char text[] = "tests: {}\nnam: a\nevent: {tim: t}\ninputs: []\nentities: {}\nfreshness: x\n";
  struct tide_error error[3];
  struct tide_spec *spec = NULL;
  size_t count = 0;
  enum tide_err err = tide_spec_parse("x", TIDE_SPAN(text), &spec, error, 3, &count);
  assert_int_equal(err, TIDE_E_CONFIG);
  assert_null(spec);
  assert_true(count > 6);
  for (int i = 1; i < 3; i++) assert_true(error[i - 1].line <= error[i].line);
  size_t same = 0;
  assert_int_equal(tide_spec_parse("x", TIDE_SPAN(text), &spec, NULL, 0, &same), TIDE_E_CONFIG);
  assert_int_equal(same, count);
  err = tide_spec_load("tests/golden/features/no-such-file.yaml", &spec, error, 3, &count);
  assert_int_equal(err, TIDE_E_NOT_FOUND);
  assert_int_equal(count, 1);
  assert_non_null(strstr(error[0].text, "no-such-file.yaml"));
}

/* A message may quote half a character of the file; it must still be UTF-8. */
static void messages_stay_utf8(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT;
  for (int lead = 0; lead < 4; lead++) {
    tide_buf_clear(&text);
    tide_buf_str(&text, "tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: ");
    for (int i = 0; i < lead; i++) {
      tide_buf_char(&text, 'x');
    }
    for (int i = 0; i < 60; i++) {
      tide_buf_str(&text, "\xe2\x82\xac");
    }
    tide_buf_str(&text, "}\n");
    struct tide_error error = {0};
    struct tide_spec *spec = NULL;
    assert_int_equal(tide_spec_parse("x", tide_buf_span(&text), &spec, &error, 1, NULL), TIDE_E_CONFIG);
    assert_true(tide_utf8_valid(tide_span_of(error.text)));
    assert_true(tide_utf8_valid(tide_span_of(error.field)));
    assert_non_null(strstr(error.text, "\xe2\x82\xac"));
  }
  tide_buf_release(&text);
}

/* Each bound: the last that fits is taken, one more is refused. */
static void bounds(void **state) {
  (void)state;
  static const struct {
    const char *head, *item, *tail;
    int max;
    const char *says;
  } rows[] = {
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\nentities: {e: id}\ninputs:\n  default:\n    id: id\n    t: t\n", "    f%d: c\n", "",
       62, "more than 64 fields"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities:\n", "  e%d: id\n", "", 16,
       "more than 16 entities"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nfeatures:\n  e:\n",
       "    f%d: count over 1h\n", "", 512, "more than 512 feature values"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\npolicy:\n  decisions: [no]\n  rules:\n",
       "    - r%d: no when id = \"x\"\n", "", 64, "more than 64 rules"},
      {"tidemark: 1\nname: a\nevent: {id: id, time: t}\ninputs: {default: {id: id, t: t}}\nentities: {e: id}\nderived:\n", "  d%d: 1 + 1\n",
       "", 256, "more than 256 derived"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int more = 0; more < 2; more++) {
      struct tide_buf text = TIDE_BUF_INIT;
      tide_buf_str(&text, rows[i].head);
      for (int k = 0; k < rows[i].max + more; k++) {
        const char *at = strstr(rows[i].item, "%d");
        tide_buf_put(&text, rows[i].item, (size_t)(at - rows[i].item));
        tide_buf_printf(&text, "%d%s", k, at + 2);
      }
      struct tide_error error = {0};
      struct tide_spec *spec = NULL;
      size_t count;
      enum tide_err err = tide_spec_parse("bounds", tide_buf_span(&text), &spec, &error, 1, &count);
      if (!err != !more || (more && (count != 1 || !strstr(error.text, rows[i].says))))
        fail_msg("%zu + %d: %zu errors, %d:%d %s", i, more, count, error.line, error.column, error.text);
      tide_spec_free(spec);
      tide_buf_release(&text);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(top),
      cmocka_unit_test(event),
      cmocka_unit_test(inputs),
      cmocka_unit_test(entities),
      cmocka_unit_test(features),
      cmocka_unit_test(derived_and_freshness),
      cmocka_unit_test(policy),
      cmocka_unit_test(tests_section),
      cmocka_unit_test(small),
      cmocka_unit_test(names_of_broken_declarations),
      cmocka_unit_test(errors_in_order_and_counted),
      cmocka_unit_test(messages_stay_utf8),
      cmocka_unit_test(bounds),
  };
  return cmocka_run_group_tests_name("spec_errors", tests, setup, teardown);
}
