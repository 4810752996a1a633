"""Every route, every status and every problem type over a real socket, each answer checked against openapi.yaml; and that document against the
routes and problem types of the program, in both directions. Prints TAP.
"""

import json
import os
import sys

sys.path.insert(0, "tests/support")
from http_server import JSON, Document, Server, auth, case, done, login, outcome, profile, rfc3339, tide, with_profiles  # noqa: E402

with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    text = file.read()
document = Document(text)
server = Server("--set", "http.max_body=4096B", "--set", "http.max_batch=5", features=with_profiles())
seen = set()  # (path, method, status)
problems = set()


def ask(name, expected, method, path, body=None, headers=None, admin=False, problem=None, holds=None):
    """One request: its status, its shape by the document, its problem type, and whatever `holds` asks of it."""
    status, got, answer = server.ask(method, path, body, headers, admin)
    wrong = document.check(method, path, status, got, answer)
    seen.add((path, method.lower(), status))
    value = json.loads(answer) if "json" in got.get("content-type", "") else answer
    kind = value.get("type", "").rsplit(":", 1)[-1] if isinstance(value, dict) else ""
    if status >= 400 and kind:
        problems.add(kind)
    good = status == expected and not wrong and (problem is None or kind == problem) and (holds is None or holds(value, got))
    case(name, good, f"{status} {wrong or ''} {answer[:250]}")
    return value


def post(name, expected, path, body, problem=None, holds=None, headers=None):
    return ask(name, expected, "POST", path, body, headers, problem=problem, holds=holds)


# --- the document and the program

rows = [line.split("\t") for line in tide("docs", "routes").splitlines()]
routes = {(row[3], row[2].lower()): row[1] for row in rows if row[0] == "route"}
types = {row[1]: int(row[2]) for row in rows if row[0] == "problem"}
documented = {(path, method): operation for path, method, operation in document.operations()}
case("every route is documented", set(routes) <= set(documented), set(routes) - set(documented))
case("every documented operation is a route", set(documented) <= set(routes), set(documented) - set(routes))
admin_paths = {path for path, item in document.root["paths"].items() if "servers" in item}
case("those of the admin listener are said to be there", admin_paths == {path for (path, _), listener in routes.items() if listener == "admin"})
enum = {name.rsplit(":", 1)[-1] for name in document.root["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]}
case("every problem type is documented and there", enum == set(types), enum ^ set(types))
ids = [operation["operationId"] for operation in documented.values()]
case("operations have names of their own", len(ids) == len(set(ids)))
case("each has a summary and responses", all(o["summary"] and o["responses"] for o in documented.values()))
scopes = {(row[3], row[2].lower()): row[5] for row in rows if row[0] == "route"}
case("the document says which scope a route asks for", scopes == {key: operation["x-scope"] for key, operation in documented.items()})
case("and that open ones ask for nothing", {k for k, o in documented.items() if o.get("security") == []} == {k for k, s in scopes.items() if s == "open"})
served = (200, {}, ask("it is served", 200, "GET", "/v1/openapi.yaml"))
case("the document is served as it is in the repository", served[2] == text)

# --- before anything has come

ask("features of an empty cell are warming, not complete", 200, "POST", "/v1/features", {"card": {"number": "4000000000000002"}},
    holds=lambda v, h: v["features"]["card.attempts_1h"] == 0 and v["states"]["card.attempts_1h"] == "warming" and v["freshness"]["card"]["state"] == "warming")
ask("at the year 1 as well", 200, "POST", "/v1/features", {"card": {"number": "4000000000000002"}, "options": {"at": "0001-01-01T00:00:00Z"}})
ask("at the year 9999", 200, "POST", "/v1/features", {"card": {"number": "4000000000000002"}, "options": {"at": "9999-12-31T23:59:59Z"}})

# --- score

first = post("a transaction is scored and counted", 200, "/v1/score", auth(1),
             holds=lambda v, h: v["status"] == "scored" and v["counted"] is True and v["duplicate"] is False and v["position"])
post("a retry gets the first answer", 200, "/v1/score", auth(1),
     holds=lambda v, h: v["duplicate"] is True and v["decision"] == first["decision"] and v["by"] == first["by"]
     and v["first_position"] == first["position"])
post("the same id with another amount is an event of its own", 200, "/v1/score", auth(1, amount={"value": 99, "currency": "EUR"}),
     holds=lambda v, h: v["id_conflict"] is True and v["counted"] is True and v["duplicate"] is False)
post("without counting", 200, "/v1/score", {**auth(2), "options": {"count": False}}, holds=lambda v, h: v["counted"] is False)
post("explain full has every feature", 200, "/v1/score", {**auth(3), "options": {"explain": "full"}},
     holds=lambda v, h: v["features"]["card.attempts_1h"] == 3 and len(v["features"]) > 60)
post("explain none has no reasons", 200, "/v1/score", {**auth(4), "options": {"explain": "none"}},
     holds=lambda v, h: "reasons" not in v and "features" not in v)
post("an uncounted one was not counted", 200, "/v1/features", {"card": {"number": "4000000000000002"}},
     holds=lambda v, h: v["features"]["card.attempts_1h"] == 4)
post("behind a position that is there", 200, "/v1/score", {**auth(5), "options": {"after": first["position"]}},
     holds=lambda v, h: v["status"] == "scored")
post("behind one that is not: the fallback at the deadline", 200, "/v1/score", {**auth(6), "options": {"after": "999-1"}},
     headers={**JSON, "Tidemark-Timeout-Ms": "20"},
     holds=lambda v, h: v["status"] == "refused" and v["cause"] == "deadline" and v["counted"] is False and v["position"] is None)
trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
post("traceparent comes back", 200, "/v1/score", auth(7), headers={**JSON, "traceparent": trace}, holds=lambda v, h: h["traceparent"] == trace)
for bad in ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 55, trace.upper()):
    post("a traceparent that is none is left out", 200, "/v1/score", auth(7), headers={**JSON, "traceparent": bad},
         holds=lambda v, h: "traceparent" not in h)
post("a time of its own is kept", 200, "/v1/score", auth(8, at=rfc3339(-3600)), holds=lambda v, h: v["event_time"] < first["event_time"])
post("without a time it is stamped", 200, "/v1/score", auth(9), holds=lambda v, h: v["event_time"] >= first["event_time"])
post("very late: the fallback, uncounted", 200, "/v1/score", auth(10, at=rfc3339(-10 * 86400)),
     holds=lambda v, h: v["status"] == "refused" and v["cause"] == "late" and v["counted"] is False)
post("charset utf-8 is the same type", 200, "/v1/score", auth(11), headers={"Content-Type": "Application/JSON; charset=UTF-8"})
post("an outcome in the row is applied behind it", 200, "/v1/score", auth(12, "4000000000000028", response_code="05"),
     holds=lambda v, h: v["counted"] is True)
post("and counted as decline by the next", 200, "/v1/score", {**auth(13, "4000000000000028"), "options": {"explain": "full"}},
     holds=lambda v, h: v["features"]["card.declines_1h"] == 1)

# --- problems of a message

for name, status, problem, body, pointer in (
        ("an empty body", 400, "malformed", b"", None),
        ("no JSON", 400, "malformed", b"hello", None),
        ("an array", 400, "malformed", b"[]", None),
        ("cut short", 400, "malformed", b'{"type":"auth"', None),
        ("two objects", 400, "malformed", b"{} {}", None),
        ("a key twice", 400, "malformed", b'{"a":1,"a":2}', None),
        ("not UTF-8", 400, "malformed", b'{"type":"\xff"}', None),
        ("half a surrogate pair", 400, "malformed", b'{"type":"\\ud800"}', None),
        ("nested too deep", 400, "malformed", b'{"a":' * 40 + b"1" + b"}" * 40, None),
        ("a number that is none", 400, "malformed", b'{"a":NaN}', None),
        ("no id", 422, "missing-field", {k: v for k, v in auth(20).items() if k != "rrn"}, "/rrn"),
        ("no card", 422, "missing-field", {**auth(20), "card": {}}, "/card/number"),
        ("an amount with too many decimals", 422, "invalid-field", auth(20, amount={"value": "1.005", "currency": "EUR"}), "/amount/value"),
        ("a negative amount", 422, "invalid-field", auth(20, amount={"value": -1, "currency": "EUR"}), "/amount/value"),
        ("a currency that is none", 422, "invalid-field", auth(20, amount={"value": 1, "currency": "EURO"}), "/amount/value"),
        ("a time that is none", 422, "invalid-field", auth(20, at="yesterday"), "/at"),
        ("an object for a text", 422, "invalid-field", auth(20, merchant={"id": {}}), "/merchant/id"),
        ("an option that is none", 422, "bad-options", {**auth(20), "options": {"cuont": False}}, "/options/cuont"),
        ("options that are no object", 422, "bad-options", {**auth(20), "options": 1}, "/options"),
        ("count that is no bool", 422, "bad-options", {**auth(20), "options": {"count": 0}}, "/options/count"),
        ("explain that is no word of it", 422, "bad-options", {**auth(20), "options": {"explain": "all"}}, "/options/explain"),
        ("after that is no position", 422, "bad-options", {**auth(20), "options": {"after": "7"}}, "/options/after"),
        ("after that overflows", 422, "bad-options", {**auth(20), "options": {"after": "7-99999999999999999999"}}, "/options/after"),
        ("an option of another route", 422, "bad-options", {**auth(20), "options": {"at": 1}}, "/options/at"),
        ("an event of the future", 422, "future", auth(20, at=rfc3339(120)), "/at"),
        ("a login", 422, "no-decision", login(20), None),
        ("an outcome", 422, "wrong-record", outcome(20), None)):
    post(f"score: {name}", status, "/v1/score", body, problem, lambda v, h, p=pointer: v.get("pointer") == p, headers=JSON)
post("an event slightly ahead is taken", 200, "/v1/score", auth(21, at=rfc3339(10)))
secret = "4000000000009995"
answer = post("a card number is never repeated", 422, "/v1/score", {**auth(22), "card": {"number": {"pan": secret}}}, "invalid-field")
case("neither is it in the problem", secret not in json.dumps(answer))
post("a body that is too long", 413, "/v1/score", b" " * 5000, "body-too-large", headers=JSON)
post("another type", 415, "/v1/score", auth(23), "unsupported-media-type", headers={"Content-Type": "text/plain"})
post("no type", 415, "/v1/score", auth(23), "unsupported-media-type", headers={})
post("another charset", 415, "/v1/score", auth(23), "unsupported-media-type", headers={"Content-Type": "application/json; charset=latin1"})
post("a compressed body", 415, "/v1/score", auth(23), "unsupported-media-type", headers={**JSON, "Content-Encoding": "gzip"})
for bad in ("0", "-5", "x", "10001", "1.5", "", "999999999999"):
    post(f"a time-out of {bad!r}", 400, "/v1/score", auth(23), "bad-header", headers={**JSON, "Tidemark-Timeout-Ms": bad})
post("header lines beyond the limit", 431, "/v1/score", auth(23), "headers-too-large", headers={**JSON, "X-Long": "x" * 9000})
status, headers, text_of = server.ask("POST", "/v1/score?pan=" + secret, auth(23))
case("a query is refused", status == 400 and "query-not-allowed" in text_of and secret not in text_of, text_of)
problems.add("query-not-allowed")
ask("an unknown path", 404, "POST", "/v1/nothing", auth(23), problem="not-found")
ask("a path with more behind it", 404, "POST", "/v1/score/", auth(23), problem="not-found")
ask("a path with a key in it", 404, "GET", "/v1/decisions/" + secret, problem="not-found", holds=lambda v, h: secret not in json.dumps(v))
for path, method in routes:
    admin = routes[(path, method)] == "admin"
    for other in ("DELETE", "PUT", "GET" if method == "post" else "POST"):
        ask(f"{other} {path}", 405, other, path, b"{}" if other != "GET" else None, JSON, admin, "method-not-allowed",
            lambda v, h, m=method: m.upper() in h["allow"])
        seen.add((path, method, 405))

# --- batch

value = post("a batch, answers in order", 200, "/v1/score/batch", [auth(30), {"rrn": 1}, auth(31), login(32), {**auth(30), "options": {"explain": "none"}}],
             holds=lambda v, h: [a.get("id", a.get("type")) for a in v["answers"]] == [
                 "000000000030/000001/900001", "urn:tidemark:problem:missing-field", "000000000031/000001/900001", "urn:tidemark:problem:no-decision",
                 "000000000030/000001/900001"])
case("each later one sees the earlier", value["answers"][4]["duplicate"] is True)
case("pointers name the message", value["answers"][1]["pointer"] == "/1/type" or value["answers"][1]["pointer"].startswith("/1/"), value["answers"][1])
for name, body, problem, status in (("empty", b"[]", "batch-size", 422), ("too large", json.dumps([auth(n) for n in range(40, 46)]).encode(), "batch-size", 422),
                                    ("no array", b"{}", "malformed", 400), ("not ended", b"[{}", "malformed", 400), ("a number", b"[1]", "malformed", 400),
                                    ("something behind it", b"[{}] x", "malformed", 400), ("no comma", b"[{} {}]", "malformed", 400),
                                    ("a comma too many", b"[{},]", "malformed", 400), ("a string with brackets", b'[{"a":"]}"}', "malformed", 400)):
    post(f"batch: {name}", status, "/v1/score/batch", body, problem, headers=JSON)
post("batch: too long", 413, "/v1/score/batch", b" " * 1100000, "body-too-large", headers=JSON)
post("batch: another type", 415, "/v1/score/batch", b"[]", "unsupported-media-type", headers={})
post("batch: header lines", 431, "/v1/score/batch", b"[]", "headers-too-large", headers={**JSON, "X-Long": "x" * 9000})

# --- events, outcomes, profiles

post("a login is counted", 200, "/v1/events", login(50), holds=lambda v, h: v["status"] == "accepted" and "counted" not in v)
post("an authorization is counted, its decision not told", 200, "/v1/events", auth(51),
     holds=lambda v, h: v["counted"] is True and "decision" not in v)
post("and known when it comes again", 200, "/v1/events", auth(51), holds=lambda v, h: v["duplicate"] is True and v["counted"] is False)
post("an outcome", 200, "/v1/outcomes", outcome(51), holds=lambda v, h: v["status"] == "accepted")
post("shows in the features", 200, "/v1/features", {"card": {"number": "4000000000000002"}}, holds=lambda v, h: v["features"]["card.declines_1h"] == 1)
post("a label", 200, "/v1/outcomes", {**outcome(51), "type": "label", "label": "fraud"})
post("facts about a card", 200, "/v1/profiles", profile(limit="1500.00", segment="vip"), holds=lambda v, h: v["status"] == "accepted" and "counted" not in v)
post("show in the features, with their age", 200, "/v1/features", {"card": {"number": "4000000000000002"}},
     holds=lambda v, h: (v["features"]["card.limit"], v["features"]["card.segment"], v["features"]["card.opened"]) == (1500, "vip", None)
     and 0 <= v["freshness"]["card"]["facts_age_ms"] < 60000)
for path, body in (("/v1/events", outcome(52)), ("/v1/outcomes", auth(52)), ("/v1/profiles", auth(52)), ("/v1/score", profile(segment="a")), ("/v1/events", {"type": "rate", "currency": "USD", "rate": 0.9})):
    post(f"{path}: another kind of message", 422, path, body, "wrong-record")
for path in ("/v1/events", "/v1/outcomes", "/v1/profiles"):
    post(f"{path}: malformed", 400, path, b"{", "malformed", headers=JSON)
    post(f"{path}: deadline", 504, path, {**(login(53) if path == "/v1/events" else outcome(53) if path == "/v1/outcomes" else profile(segment="b")), "options": {"after": "999-1"}}, "deadline",
         lambda v, h: v["counted"] is False, headers={**JSON, "Tidemark-Timeout-Ms": "10"})
post("an outcome that says nothing", 422, "/v1/outcomes", {k: v for k, v in outcome(54).items() if k != "response_code"}, "missing-field")
post("a profile that tells nothing", 422, "/v1/profiles", profile(), "missing-field")
post("a profile about nobody", 422, "/v1/profiles", {"type": "profile", "segment": "vip"}, "missing-field", lambda v, h: v["pointer"] == "/card/number")
post("a limit that is none", 422, "/v1/profiles", profile(limit="much"), "invalid-field", lambda v, h: v["pointer"] == "/limit/value")
for path in ("/v1/events", "/v1/outcomes", "/v1/profiles", "/v1/features", "/v1/decisions/lookup"):
    post(f"{path}: too long", 413, path, b" " * 5000, "body-too-large", headers=JSON)
    post(f"{path}: another type", 415, path, b"{}", "unsupported-media-type", headers={})
    post(f"{path}: header lines", 431, path, b"{}", "headers-too-large", headers={**JSON, "X-Long": "x" * 9000})
    post(f"{path}: bad time-out", 400, path, b"{}", "bad-header", headers={**JSON, "Tidemark-Timeout-Ms": "x"})
ask("/v1/openapi.yaml: header lines", 431, "GET", "/v1/openapi.yaml", None, {"X-Long": "x" * 9000}, problem="headers-too-large")
ask("/v1/openapi.yaml: a body that is too long", 413, "GET", "/v1/openapi.yaml", b" " * 5000, {}, problem="body-too-large")
ask("/v1/openapi.yaml: bad time-out", 400, "GET", "/v1/openapi.yaml", None, {"Tidemark-Timeout-Ms": "x"}, problem="bad-header")

# --- questions

card = {"card": {"number": "4000000000000002"}}
post("features of a card", 200, "/v1/features", card, holds=lambda v, h: v["consistency"] == "quorum" and v["freshness"]["card"]["age_ms"] == 0)
post("of nothing", 200, "/v1/features", {}, holds=lambda v, h: v["features"]["card.attempts_1h"] is None and v["freshness"]["card"]["state"] == "absent")
post("at a time before everything", 200, "/v1/features", {**card, "options": {"at": rfc3339(-86400), "consistency": "strong", "after": first["position"]}},
     holds=lambda v, h: v["features"]["card.attempts_1h"] == 0 and v["consistency"] == "strong")
post("at milliseconds", 200, "/v1/features", {**card, "options": {"at": 1700000000000}}, holds=lambda v, h: v["event_time"].startswith("2023-11-14"))
post("at nonsense", 422, "/v1/features", {**card, "options": {"at": "noon"}}, "bad-options")
post("features: malformed", 400, "/v1/features", b"{", "malformed", headers=JSON)
post("features: deadline", 504, "/v1/features", {**card, "options": {"after": "999-1"}}, "deadline", lambda v, h: "counted" not in v,
     headers={**JSON, "Tidemark-Timeout-Ms": "10"})
identity = {k: auth(30)[k] for k in ("rrn", "stan", "acquirer", "card")}
post("a decision is looked up", 200, "/v1/decisions/lookup", identity,
     holds=lambda v, h: v["duplicate"] is True and v["decision"] == value["answers"][0]["decision"] and v["by"] == value["answers"][0]["by"])
post("with a time-stamp it is the same", 200, "/v1/decisions/lookup", auth(30), holds=lambda v, h: v["duplicate"] is True)
post("an unknown one", 404, "/v1/decisions/lookup", {**identity, "rrn": "never"}, "unknown-decision")
post("one that was only counted", 404, "/v1/decisions/lookup", {**login(50)}, "unknown-decision")
post("lookup without a card", 422, "/v1/decisions/lookup", {**identity, "card": {}}, "missing-field", lambda v, h: v["pointer"] == "/card/number")
post("lookup without an id", 422, "/v1/decisions/lookup", {**identity, "stan": None}, "missing-field", lambda v, h: v["pointer"] == "/stan")
post("lookup: malformed", 400, "/v1/decisions/lookup", b"{", "malformed", headers=JSON)
post("lookup: deadline", 504, "/v1/decisions/lookup", {**identity, "options": {"after": "999-1"}}, "deadline",
     headers={**JSON, "Tidemark-Timeout-Ms": "10"})

# --- admin

for path in ("/livez", "/readyz", "/healthz"):
    ask(path, 200, "GET", path, admin=True)
ask("/snapshot gives nothing where no peers are named", 404, "GET", "/snapshot", admin=True, problem="not-found")
ask("/budget", 200, "GET", "/budget", admin=True, holds=lambda v, h: v["looks"] >= 1 and {g["entity"] for g in v["groups"]} >= {"card", "merchant"})
ask("/drift without a model", 200, "GET", "/drift", admin=True, holds=lambda v, h: v["models"] == [])
ask("/feedback", 200, "GET", "/feedback", admin=True, holds=lambda v, h: v["one_of"] == 1)
ask("/sources of a cell without any", 200, "GET", "/sources", admin=True, holds=lambda v, h: v["sources"] == [] and v["ingester"] is None and not v["ingests"])
gap, waiver = {"source": "auths", "partition": 0, "cursor": 5}, {"source": "auths", "partition": 0, "for": "10m"}
for path, good, member in (("/sources/accept-gap", gap, "cursor"), ("/sources/waive", waiver, "for")):
    ask(f"{path}: no such source", 404, "POST", path, good, JSON, True, "unknown-source")
    ask(f"{path}: malformed", 400, "POST", path, b"[]", JSON, True, "malformed")
    ask(f"{path}: a member missing", 422, "POST", path, {k: v for k, v in good.items() if k != "source"}, JSON, True, "missing-field",
        lambda v, h: v["pointer"] == "/source")
    ask(f"{path}: a member too many", 422, "POST", path, {**good, "force": True}, JSON, True, "invalid-field", lambda v, h: v["pointer"] == "/force")
    ask(f"{path}: no name", 422, "POST", path, {**good, "source": 1}, JSON, True, "invalid-field", lambda v, h: v["pointer"] == "/source")
    ask(f"{path}: too long", 413, "POST", path, b" " * 5000, JSON, True, "body-too-large")
    ask(f"{path}: a form of a web page", 415, "POST", path, b"source=auths", {"Content-Type": "text/plain"}, True, "unsupported-media-type")
    ask(f"{path}: a script of a web page", 403, "POST", path, good, {**JSON, "Origin": "http://evil.example"}, True, "forbidden")
ask("/status of a cell without sources", 200, "GET", "/status", admin=True, holds=lambda v, h: v["sources"] is None and v["client"] is None and v["engine"]["ready"] and len(v["rules"]) > 5)
ask("/status/history", 200, "GET", "/status/history", admin=True, holds=lambda v, h: all(len(s) == len(v["at"]) for s in v["series"].values()))
place = post("an answer tells its place", 200, "/v1/score", auth(60))["position"]
shown = ask("/explain by that place", 200, "POST", "/explain", {"position": place}, JSON, True, holds=lambda v, h: v["complete"] and v["answer"]["position"] == place)
case("the card is shown as the beginning of its hash", len(shown["message"]["pan"]) == 9 and shown["message"]["pan"].endswith("\u2026"), shown["message"])
ask("/explain by the message", 200, "POST", "/explain", {"message": identity}, JSON, True, holds=lambda v, h: v["complete"] and v["answer"]["id"] == "000000000030/000001/900001")
ask("/explain: nobody knows it", 404, "POST", "/explain", {"message": {**identity, "rrn": "never"}}, JSON, True, "unknown-decision")
for name, at in (("an event that asked for no decision", "1-1.0"), ("an entry that is not there", "1-99999999.0"), ("an epoch that is not there", "77-1.0"), ("a record that is not there", place.split(".")[0] + ".99")):
    ask(f"/explain: {name}", 404, "POST", "/explain", {"position": at}, JSON, True, "unknown-decision")
for name, status, kind, body in (("malformed", 400, "malformed", b"["), ("both", 400, "malformed", {"position": place, "message": identity}), ("neither", 400, "malformed", {}), ("another member", 400, "malformed", {"id": "x"}),
                                 ("no position", 422, "invalid-field", {"position": "7"}), ("a position without its record", 422, "invalid-field", {"position": "1-2"}), ("no message", 422, "invalid-field", {"message": []}),
                                 ("a message without an id", 422, "missing-field", {"message": {**identity, "stan": None}}), ("too long", 413, "body-too-large", b" " * 5000)):
    ask(f"/explain: {name}", status, "POST", "/explain", body, JSON, True, kind)
ask("/explain: a form of a web page", 415, "POST", "/explain", b"{}", {"Content-Type": "text/plain"}, True, "unsupported-media-type")
for origin in ("http://evil.example", f"http://evil.example:{server.admin}", "null"):
    ask(f"/explain: a script of a web page, {origin}", 403, "POST", "/explain", {"position": place}, {**JSON, "Origin": origin}, True, "forbidden")
ask("/explain: a page whose name leads here", 403, "POST", "/explain", {"position": place}, {**JSON, "Host": "evil.example", "Origin": "http://evil.example"}, True, "forbidden")
ask("/explain: the console's own script", 200, "POST", "/explain", {"position": place}, {**JSON, "Origin": f"http://127.0.0.1:{server.admin}"}, True)
for path in ("/console", "/console/console.css", "/console/console.js"):
    ask(path, 200, "GET", path, admin=True, holds=lambda v, h: len(v) > 1000 and "default-src 'none'" in h["content-security-policy"] and h["x-content-type-options"] == "nosniff" and "unsafe" not in h["content-security-policy"])
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
for path in ("/console/login", "/console/logout"):
    ask(f"{path}: where there are no tokens", 303, "POST", path, b"token=x", FORM, True, holds=lambda v, h: h["location"] == "/console")
    ask(f"{path}: too long", 413, "POST", path, b" " * 5000, FORM, True, "body-too-large")
    ask(f"{path}: a form of another page", 403, "POST", path, b"token=x", {**FORM, "Origin": "http://evil.example"}, True, "forbidden")
with open(os.path.join(server.dir, "token"), "w", encoding="utf-8") as file:
    file.write("0123456789abcdef0123456789abcdef0123456789abcdef\n")
with open(os.path.join(server.dir, "tokens"), "w", encoding="utf-8") as file:
    file.write(tide("tokens", "line", os.path.join(server.dir, "token"), "--name", "operator", "--scopes", "operate"))
guarded = Server("--set", f"http.tokens_file={server.dir}/tokens")
for path, good in (("/sources/accept-gap", gap), ("/sources/waive", waiver)):
    for name, headers in (("no token", {}), ("another", {"Authorization": "Bearer 0123456789abcdef0123456789abcdef0123456789abcdeF"}), ("a longer one", {"Authorization": "Bearer 0123456789abcdef0123456789abcdef0123456789abcdef0"}),
                          ("none at all", {"Authorization": "Bearer "}), ("another scheme", {"Authorization": "Basic 0123456789abcdef0123456789abcdef0123456789abcdef"})):
        status, got, answer = guarded.ask("POST", path, good, {**JSON, **headers}, True)
        wrong = document.check("POST", path, status, got, answer)
        seen.add((path, "post", status))
        problems.add(json.loads(answer)["type"].rsplit(":", 1)[-1])
        case(f"{path}: {name}", status == 401 and not wrong, (status, wrong, answer))
    status, got, answer = guarded.ask("POST", path, good, {**JSON, "Authorization": "bearer 0123456789abcdef0123456789abcdef0123456789abcdef"}, True)
    case(f"{path}: with the token it is looked at", status == 404, answer)
for name, form, expected in (("no form", b"hello", 400), ("a member too many", b"token=x&y=z", 400), ("broken", b"token=%zz", 400), ("a token that is none", b"token=x", 401), ("without the scope", b"token=0123456789abcdef0123456789abcdef0123456789abcdef", 403)):
    status, got, answer = guarded.ask("POST", "/console/login", form, FORM, True)
    seen.add(("/console/login", "post", status))
    case(f"/console/login: {name}", status == expected and "set-cookie" not in got and not document.check("POST", "/console/login", status, got, answer), (status, answer))
guarded.stop()
case("the token is in no log", "0123456789abcdef0123456789abcdef0123456789abcdef" not in guarded.log())
page = ask("/metrics", 200, "GET", "/metrics", admin=True)
lines = [line for line in page.splitlines() if not line.startswith("#")]
case("metrics have names, values and helps", all(line.startswith("tidemark_") for line in lines) and "# HELP tidemark_commit_seconds" in page)
case("requests are counted", server.metric('tidemark_http_requests_total{route="score",code="200"}') > 10)
case("commits are measured", server.metric("tidemark_commit_seconds_count") > 10)
case("answers are counted by decision", server.metric("tidemark_answers_total") > 10)
ask("an unknown page", 404, "GET", "/nothing", admin=True, problem="not-found")
case("requests are not answered on the admin listener", server.ask("POST", "/v1/score", auth(60), admin=True)[0] == 404)
case("probes are not answered on the other", server.ask("GET", "/livez")[0] == 404)
case("HEAD is answered like GET, without a body", server.ask("HEAD", "/livez", admin=True)[0] == 200 and server.ask("HEAD", "/v1/openapi.yaml")[2] == "")

# --- nothing of a secret anywhere

log = server.log()
case("requests are in the log, with their trace", "event=http_request" in log and trace in log)
case("no card number, no id, no path is", not any(word in log for word in ("4000000000000002", secret, "000000000030", "/v1/")))
case("no card number is in the metrics", secret not in page and "40000000" not in page)
case("it stops when it is told", server.stop() == 0)
case("and its last words are a snapshot", "event=snapshot_written" in server.log())
written = b"".join(open(os.path.join(base, name), "rb").read() for base, _, names in os.walk(server.dir) for name in names)
case("no card number is in what it wrote", b"4000000000000002" not in written and b"000000000030" in written)

# --- what was met

case("every problem type was met, but for those of 41_http_abuse, 43_http_load, 49_http_security and 74_sources",
     set(types) - problems == {"request-timeout", "overload", "unavailable", "client-certificate", "rate-limited", "conflict"}, set(types) - problems)
missing = sorted((path, method, status) for (path, method), operation in documented.items() for status in map(int, operation["responses"])
                 if (path, method, status) not in seen and status not in (401, 403, 408, 429, 503) and (path, status) != ("/snapshot", 200)
                 and not (path.startswith("/sources/") and status in (200, 409, 504)))
case("every documented status was met, but for theirs and the snapshot of 64_peer", not missing, missing)
done()
