"""Facts about cards from a topic of their own, on a real broker: decisions read them; what was true for a year is no queue; what tells nothing is a dead letter without its card
number; and a profile that came over HTTP and is read again from the sources' log tells nothing new. Prints TAP.
"""

import json
import os
import sys

sys.path.insert(0, "tests/support")
from kafka_cell import FEATURES, Broker, Engine, auth, card, config, decisions, features, need_broker, now_ms, wait_for, wait_length  # noqa: E402
from tap import TMP, case, done  # noqa: E402

YEAR_MS = 365 * 86400000
TEXT = FEATURES.replace("entities:", """  limits: {type: profile, when: {/type: profile}, time: {at: /since, as: epoch_ms}, facts: {limit: {at: /limit, as: amount}, segment: /segment}}
entities:""", 1).replace("features:\n  card:\n", "features:\n  card:\n    limit: fact limit\n    segment: fact segment\n", 1)
need_broker()
broker, engine = Broker(), None


def limit(number, since_ms, **facts):
    return {"card": {"number": card(number)}, "since": since_ms, **facts}


def known(number):
    value = json.loads(engine.ask("POST", "/v1/features", {"card": {"number": card(number)}})[1])
    return value["features"]["card.limit"], value["features"]["card.segment"]


try:
    broker.start()
    broker.topics(auths=2, limits=1, scores=1, dead=1)
    writer = broker.writer()
    for n in range(20):
        writer.put("limits", limit(n, now_ms() - YEAR_MS, limit=str(100 + n), segment="gold" if n % 2 else "plain"))
    writer.put("limits", limit(3, now_ms()))
    writer.flush()
    path = features(os.path.join(TMP, "features.yaml"), "10s", text=TEXT)
    settings = config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "silence": "1h"}, "limits": {"topic": "limits", "input": "limits", "silence": "1h"}},
                      http={"log": "kafka", "log_source": "auths"}, engine={"heartbeat": "200ms"}, fold={"history_from": "2026-01-01T00:00:00Z"})
    engine = Engine("engine", "--config", settings, "--features", path, "--journal", f"file:{TMP}/journal").launch()
    case("one message that tells nothing is a dead letter", wait_length(broker, "dead", 1, 20) == 1)
    letter = broker.get("dead")[0]
    case("with the reason, and without the card", "tells nothing" in json.dumps(letter) and card(3) not in json.dumps(letter), letter)
    for n in range(20):
        writer.put("auths", auth(f"k{n}", n, now_ms()), n % 2)
    writer.flush()
    wait_length(broker, "scores", 20, 20)
    told = decisions(broker.get("scores"))
    case("decisions from the log read them", [told[f"k{n}"][0][1]["features"]["card.limit"] for n in range(20)] == [100 + n for n in range(20)],
         {k: v[0][1]["features"].get("card.limit") for k, v in told.items()})
    answer = engine.score(auth("h1", 5, now_ms()), explain="full")
    case("a request too, and is fresh", answer["status"] == "scored" and answer["features"]["card.limit"] == 105 and answer["features"]["card.segment"] == "gold"
         and answer["freshness"]["card"]["facts_age_ms"] >= YEAR_MS, answer)
    sources = json.loads(engine.ask("GET", "/sources", port=engine.admin)[1])["sources"]
    delay = [p["delay_ms"] for s in sources if s["name"] == "limits" for p in s["partitions"]]
    case("what has been true for a year is no queue", all(d is None or d < 60000 for d in delay), delay)

    status, text = engine.ask("POST", "/v1/profiles", {"type": "profile", "card": {"number": card(7)}, "limit": "9"})
    case("a profile that is copied needs a time", status == 422 and json.loads(text)["pointer"] == "/since", text)
    before = broker.length("auths")
    first, second = now_ms() - 2000, now_ms() - 1000
    for since, amount in ((first, "700"), (second, "800")):
        status, text = engine.ask("POST", "/v1/profiles", {"type": "profile", **limit(7, since, limit=amount)})
        case(f"told over HTTP: {amount}", status == 200, text)
    case("is known", known(7) == (800, "gold"), known(7))
    case("both are copied", wait_length(broker, "auths", before + 2, 20) == before + 2)
    writer.put("auths", auth("last", 7, now_ms()), 0)
    writer.put("auths", auth("last2", 7, now_ms()), 1)
    writer.flush()
    wait_for("the copies are read", lambda: {"last", "last2"} <= set(decisions(broker.get("scores"))), 20, 0.2)
    case("and tell nothing new", known(7) == (800, "gold"), known(7))
    told = decisions(broker.get("scores"))
    case("nobody answers a profile", all(len(v) == 1 for v in told.values()) and not any("limit" in k for k in told), list(told)[:30])
    writer.put("limits", limit(7, first + 1, segment="late"))
    writer.put("limits", limit(7, now_ms(), limit="900", currency="EUR"))
    writer.flush()
    wait_for("a raise arrives", lambda: known(7)[0] == 900, 20, 0.1)
    case("beside what was said of it before", known(7) == (900, "late"), known(7))
    writer.close()
    case("it stops cleanly", engine.stop() == 0)
finally:
    if engine and engine.alive():
        engine.kill()
    broker.stop()
done()
