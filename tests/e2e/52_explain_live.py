"""POST /explain on a live engine against `tidemark explain` on its journal: asked for right after a decision, before anything else of that card came, the live state must give the values, rules, contributions
and events that the journal gives when it is folded again; asked for later it must still give the stored verdict. Nothing of it changes the state. Prints TAP.
"""

import json
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import JSON, Server, auth, case, done, outcome, tide  # noqa: E402
from processes import wait_for  # noqa: E402

server = Server("--set", "model.file=config/defaults/model.json")
CARDS = [f"40000000000{n:05d}" for n in range(6)]


def explain(question):
    status, _, text = server.ask("POST", "/explain", question, JSON, admin=True)
    return status, json.loads(text)


live, n, outcomes = {}, 0, 0
for turn in range(8):
    for card in CARDS:
        n += 1
        message = auth(n, card, entry="ecom" if n % 3 else "chip", amount={"value": 10 + n, "currency": "EUR"}, merchant={"id": f"m{n % 4}"})
        answer = server.post("/v1/score", message)[1]
        live[answer["position"]] = explain({"position": answer["position"]})[1]
        if n % 2:
            server.post("/v1/outcomes", outcome(n, "05" if n % 5 else "00", card))
            outcomes += 1
    time.sleep(0.05)
for late in range(2, n + 1, 2):
    server.post("/v1/outcomes", outcome(late, "05", CARDS[(late - 1) % len(CARDS)]))
    outcomes += 1


def counted():
    return server.metric("tidemark_events_counted_total"), server.metric("tidemark_decisions_total"), server.metric("tidemark_engine_records_total")


wait_for("the metrics have all of it", lambda: counted() == (n, n, n + outcomes), 20)
later = {position: explain({"position": position})[1] for position in live}
by_message = explain({"message": {k: auth(3, CARDS[2])[k] for k in ("rrn", "stan", "acquirer", "card")}})
time.sleep(0.1)
case("asking counts nothing and decides nothing", counted() == (n, n, n + outcomes), counted())
case("it is logged, with the finding and without what was asked for", server.log().count("event=explained") == 2 * len(live) + 1 and CARDS[0] not in server.log())
case("the engine stops cleanly", server.stop() == 0)
case("a question by the message finds the same", by_message[0] == 200 and by_message[1]["answer"]["position"] in live and by_message[1]["complete"])


def near(a, b):
    """Values of a moment a millisecond apart: counts are equal, spans of time differ by that."""
    if a is None or b is None or isinstance(a, str):
        return a == b
    return a == b or abs(a - b) <= 0.0011 or abs(a - b) <= 0.02 * max(abs(a), abs(b)) and not (float(a).is_integer() and float(b).is_integer())


wrong, verdicts = [], []
for position, document in live.items():
    offline = json.loads(tide("explain", document["answer"]["id"], "--journal", server.journal, "--dev-key", "--position", position, "--events", "100", "--json"))
    ours, theirs = document["answer"], offline["answer"]
    for name in ("id", "status", "decision", "by", "score", "position", "event_time", "counted", "duplicate"):
        if ours[name] != theirs[name]:
            wrong.append((position, name, ours[name], theirs[name]))
    wrong += [(position, name, value, theirs["features"][name]) for name, value in ours["features"].items() if not near(value, theirs["features"][name])]
    for name in ("rules", "definitions", "windows", "policy", "rollout", "model", "intercept"):
        if document[name] != offline[name]:
            wrong.append((position, name, document[name], offline[name]))
    wrong += [(position, a["feature"], a["contribution"], b["contribution"]) for a, b in zip(document["contributions"], offline["contributions"]) if abs(a["contribution"] - b["contribution"]) > 0.02]
    count = [[(e["entity"], e["time"], e.get("amount"), tuple(sorted(e["in"]))) for e in one["events"]] for one in (document, offline)]
    if count[0] != count[1]:
        wrong.append((position, "events", len(count[0]), len(count[1])))
    if abs((document["again"] or 0) - ours["score"]) > 0.002:
        wrong.append((position, "again", document["again"], ours["score"]))
    verdicts += [(position, name) for name in ("decision", "by", "score", "status", "event_time") if later[position]["answer"][name] != ours[name]] + ([(position, "rules")] if later[position]["rules"] != document["rules"] else [])
case(f"{len(live)} decisions: the live state shows what the journal does", len(live) == 48 and not wrong, wrong[:3])
case("what came since changes values and never the verdict", not verdicts and any(later[p]["events"] != live[p]["events"] for p in live), verdicts[:3])
case("several rules and decisions were among them", len({d["answer"]["decision"] for d in live.values()}) >= 2 and any(d["events"] for d in live.values()), {d["answer"]["by"] for d in live.values()})
done()
