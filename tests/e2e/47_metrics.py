"""/metrics of a running server under a little load: the exposition is parsed strictly (text format 0.0.4), each family is held against the generated
reference page in both directions, and the numbers against what was sent. Prints TAP.
"""

import json
import math
import re
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import JSON, Server, auth, case, done, login, outcome, rfc3339, tide  # noqa: E402

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Broken(Exception):
    pass


def need(good, *what):
    if not good:
        raise Broken(*what)


def parse_labels(text, line):
    labels = {}
    while True:
        match = LABEL.match(text)
        need(match and match[1] not in labels, "label", line)
        labels[match[1]] = match[2]
        text = text[match.end():]
        if text.startswith("}"):
            return labels, text[1:]
        need(text.startswith(","), "between labels", line)
        text = text[1:]


def parse_sample(line):
    match = NAME.match(line)
    need(match, "name", line)
    rest, labels = line[match.end():], {}
    if rest.startswith("{"):
        labels, rest = parse_labels(rest[1:], line)
    need(rest.startswith(" ") and NUMBER.fullmatch(rest[1:]), "value", line)
    return match[0], labels, float(rest[1:])


def check_histogram(name, samples):
    """One group of labels after another: bounds that rise to +Inf, counts that do not fall, the sum, the count."""
    groups = {}
    for sample, labels, value in samples:
        bare = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        groups.setdefault(bare, []).append((sample[len(name):], labels.get("le"), value))
    for rows in groups.values():
        buckets, (total_kind, no_le, total), (count_kind, no_le_too, count) = rows[:-2], rows[-2], rows[-1]
        need([total_kind, no_le, count_kind, no_le_too] == ["_sum", None, "_count", None], "ends of a histogram", name, rows[-2:])
        need(buckets and all(kind == "_bucket" and le for kind, le, _ in buckets), "buckets", name)
        bounds = [math.inf if le == "+Inf" else float(le) for _, le, _ in buckets]
        counts = [value for _, _, value in buckets]
        need(bounds == sorted(set(bounds)) and bounds[-1] == math.inf, "bounds", name)
        need(counts == sorted(counts) and counts[-1] == count and (total > 0 or count == 0), "counts", name, rows)


def parse(text):
    """{family: (type, help, [(sample, labels, value)])}; raises Broken at the first thing that the format does not allow."""
    families, current, seen = {}, None, set()
    need(text.endswith("\n"), "the last line feed")
    lines = text[:-1].split("\n")
    at = 0
    while at < len(lines):
        help_of = re.fullmatch(r"# HELP (\S+) (\S.*)", lines[at])
        if help_of:
            type_of = re.fullmatch(r"# TYPE (\S+) (counter|gauge|histogram)", lines[at + 1] if at + 1 < len(lines) else "")
            need(type_of and type_of[1] == help_of[1] and NAME.fullmatch(help_of[1]), "TYPE behind HELP", lines[at])
            current = help_of[1]
            need(current not in families, "a family twice", current)
            families[current] = (type_of[2], help_of[2], [])
            at += 2
            continue
        name, labels, value = parse_sample(lines[at])
        need(current, "a sample without a family", lines[at])
        suffixes = ("_bucket", "_sum", "_count") if families[current][0] == "histogram" else ("",)
        need(name in [current + s for s in suffixes], "a sample of another family", lines[at])
        need(("le" in labels) == (families[current][0] == "histogram" and name == current + "_bucket"), "le", lines[at])
        key = (name, tuple(sorted(labels.items())))
        need(key not in seen, "a sample twice", lines[at])
        seen.add(key)
        families[current][2].append((name, labels, value))
        at += 1
    for name, (kind, _, samples) in families.items():
        if kind == "histogram":
            check_histogram(name, samples)
        need(name.endswith("_total") == (kind == "counter"), "the ending of a name", name, kind)
        need(kind == "gauge" or all(value >= 0 for _, _, value in samples), "below zero", name)
    return families


# --- the parser refuses what the format does not allow

GOOD = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c"} 1\n'
parse(GOOD)
for what, bad in (("no line feed", GOOD[:-1]), ("no HELP", GOOD.split("\n", 1)[1]), ("an unknown type", GOOD.replace("counter", "meter")),
                  ("no quotes", GOOD.replace('"', "")), ("an open brace", GOOD.replace("}", "")), ("a bad number", GOOD.replace(" 1\n", " x\n")),
                  ("a sample twice", GOOD + GOOD.splitlines()[2] + "\n"), ("a family twice", GOOD + GOOD), ("a counter by another name", GOOD.replace("_total", "")),
                  ("a sample of another family", GOOD + "b_total 1\n"), ("an empty line", GOOD + "\n"), ("a counter below zero", GOOD.replace(" 1\n", " -1\n")),
                  ("a histogram without +Inf", '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'),
                  ("buckets that fall", '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'),
                  ("a count that is not the last bucket", '# HELP h x\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n')):
    try:
        parse(bad)
        case(f"the parser refuses {what}", False)
    except Broken:
        case(f"the parser refuses {what}", True)


def documented():
    """{family: (type, labels, help)} of the table on the reference page."""
    page = tide("docs", "options").split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
    found = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `tidemark_"):
            continue
        assert len(cells) == 4, line
        labels = re.findall(r"`(\w+)`", cells[2])
        name = cells[0].strip("`")
        assert name not in found, name
        found[name] = (cells[1], labels, cells[-1])
    return found


server = Server()


def scrape():
    status, headers, text = server.ask("GET", "/metrics", admin=True)
    assert status == 200
    case("the type of the page says the version of the format", headers["content-type"].startswith("text/plain; version=0.0.4"), headers)
    return parse(text)


def total(families, name, suffix="", **labels):
    return sum(value for sample, have, value in families[name][2] if sample == name + suffix and labels.items() <= have.items())


def held_against_the_page(families, when):
    page = documented()
    case(f"{when}: every family is documented", set(families) <= set(page), set(families) - set(page))
    case(f"{when}: every documented metric is there", set(page) <= set(families), set(page) - set(families))
    wrong = [n for n in families if families[n][:2] != (page[n][0], page[n][2])]
    case(f"{when}: with the same type and help", not wrong, wrong)
    wrong = [(n, labels) for n in families for _, labels, _ in families[n][2] if [k for k in labels if k != "le"] != page[n][1]]
    case(f"{when}: and the same labels", not wrong, wrong[:1])


before = scrape()
held_against_the_page(before, "before any request")
case("counters without labels, or with one, begin at zero", total(before, "tidemark_answers_duplicate_total") == 0
     and len(before["tidemark_http_problems_total"][2]) > 15)

# --- a little load: 40 scored, 5 of them again, 3 too late, a batch of 4, 2 logins, 1 outcome, 2 problems, a bad traceparent

for n in range(40):
    server.post("/v1/score", auth(n, f"40000000000{n % 4:05d}"))
for n in range(5):
    server.post("/v1/score", auth(n, f"40000000000{n % 4:05d}"))
for n in range(3):
    server.post("/v1/score", auth(100 + n, at=rfc3339(-10 * 86400)))
server.post("/v1/score/batch", [auth(200 + n) for n in range(4)])
for n in range(2):
    server.post("/v1/events", login(300 + n))
server.post("/v1/outcomes", outcome(1))
server.ask("POST", "/v1/score", b"{", JSON)
server.ask("POST", "/v1/nothing", b"{}", JSON)
server.ask("POST", "/v1/score", auth(400), {**JSON, "traceparent": "x"})
server.post("/v1/features", {"card": {"number": "4000000000000002"}})
SCORED, LATE, AGAIN = 40 + 4 + 1, 3, 5
deadline = time.monotonic() + 60
while time.monotonic() < deadline and server.metric("tidemark_engine_records_total") < SCORED + LATE + AGAIN + 3:
    time.sleep(0.02)  # the engine's own counters are copied once a tick
while time.monotonic() < deadline and server.metric("tidemark_http_requests_total", 'route="features"') < 1:
    time.sleep(0.02)  # and an answer is counted when it has left
server.settled("tidemark_http_in_flight", 0)  # as it is just behind it that nobody waits any more
after = scrape()
held_against_the_page(after, "under load")

case("requests by route and code", [total(after, "tidemark_http_requests_total", route=r, code=c) for r, c in (
    ("score", "200"), ("score", "400"), ("score_batch", "200"), ("events", "200"), ("outcomes", "200"), ("none", "404"))] == [49, 1, 1, 2, 1, 1])
case("every request took its time, by route", total(after, "tidemark_total_seconds", "_count", route="score") == 50
     and total(after, "tidemark_total_seconds", "_sum", route="score") > 0)
case("problems by type", total(after, "tidemark_http_problems_total", type="malformed") == 1
     and total(after, "tidemark_http_problems_total", type="not-found") == 1 and total(after, "tidemark_http_problems_total") == 2)
given = SCORED + AGAIN + LATE
case("answers by status", total(after, "tidemark_answers_total", status="refused") == LATE and total(after, "tidemark_answers_total") == given,
     after["tidemark_answers_total"][2])
rows = after["tidemark_answers_by_rule_total"][2]
case("the same by what decided", total(after, "tidemark_answers_by_rule_total") == given, rows)
case("the cause is that of the fallback", total(after, "tidemark_answers_by_rule_total", cause="late") == LATE
     and all((labels["cause"] == "none") == (not labels["rule"].startswith("F") and labels["rule"] != "fallback.else") for _, labels, _ in rows), rows)
for decision in {labels["decision"] for _, labels, _ in rows}:
    case(f"both agree on {decision}", total(after, "tidemark_answers_total", decision=decision)
         == total(after, "tidemark_answers_by_rule_total", decision=decision))
case("retries", total(after, "tidemark_answers_duplicate_total") == AGAIN)
messages = given + 3
for stage in ("queue", "commit", "fold"):
    case(f"each journaled message has its {stage} time", total(after, f"tidemark_{stage}_seconds", "_count") == messages,
         total(after, f"tidemark_{stage}_seconds", "_count"))
case("entries have as many records as were put into them",
     total(after, "tidemark_commit_batch_records", "_sum") == total(after, "tidemark_engine_records_total") >= messages)
case("and are entries of this engine", 0 < total(after, "tidemark_commit_batch_records", "_count") <= total(after, "tidemark_engine_entries_own_total"))
slots = len(json.loads(server.ask("POST", "/v1/features", {"card": {"number": "4000000000000002"}})[2])["features"])
values = after["tidemark_feature_values_total"][2]
read = total(after, "tidemark_feature_values_total")
case("each decision read every feature value once, retries and late ones none", read > 0 and read % SCORED == 0 and read // SCORED <= slots, (read, slots))
by_entity = {labels["entity"]: total(after, "tidemark_feature_values_total", entity=labels["entity"]) for _, labels, _ in values}
case("of several entities, each as often as there were decisions", len(by_entity) > 3 and all(n % SCORED == 0 for n in by_entity.values()), by_entity)
case("with their states", {labels["state"] for _, labels, _ in values} >= {"warming", "absent"}, {labels["state"] for _, labels, _ in values})
case("cards are in memory", total(after, "tidemark_entities", entity="card") == 4, after["tidemark_entities"][2])
state = {labels["state"]: value for _, labels, value in after["tidemark_engine_state"][2]}
case("the engine is in one state of all", state["open"] == 1 and sum(state.values()) == 1 and len(state) == 7, state)
case("the fold's own counters are there", total(after, "tidemark_events_duplicate_total") == AGAIN and total(after, "tidemark_events_late_total") == LATE)
case("nothing waits", total(after, "tidemark_http_in_flight") == total(after, "tidemark_engine_queued") == total(after, "tidemark_engine_in_flight") == 0)
case("connections", total(after, "tidemark_http_connections_total") > 50 and total(after, "tidemark_http_connections") >= 1)
case("a traceparent that is none", total(after, "tidemark_http_traceparent_invalid_total") == 1)
fallen = [(n, labels) for n, (kind, _, samples) in before.items() if kind == "counter"
          for s, labels, value in samples if total(after, n, **labels) < value]
case("no counter has fallen", not fallen, fallen[:1])
case("it stops cleanly", server.stop() == 0)
done()
