"""Requests whose copies stand in Kafka before they are answered (`http.log: kafka`): each acknowledged transaction is in the topic, marked; a copy that is read back counts
nothing; while the broker is down a request ends with the fallback and `counted: maybe`, and when it is back a retry gets its answer, counted once. Prints TAP.
"""

import concurrent.futures
import os
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, card, config, decisions, features, json, need_broker, now_ms, wait_decided, wait_for  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTITIONS, CARDS, COUNT = 3, 20, 200
need_broker()
broker, engines, cell = Broker(), [], None


def attempts(one):
    """Of each card."""
    return [json.loads(one.ask("POST", "/v1/features", {"card": {"number": card(n)}})[1])["features"]["card.attempts_24h"] for n in range(CARDS)]


try:
    broker.start()
    broker.topics(auths=PARTITIONS, scores=1, dead=1)
    cell = Cell("cell", replicas=1)
    path = features(os.path.join(TMP, "features.yaml"), "1h")
    words = ["--config", config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "silence": "1h"}}, http={"log": "kafka", "log_source": "auths"},
                                engine={"heartbeat": "200ms"}, ingest={"claim_timeout": "800ms", "merge_wait": "100ms"}, fold={"history_from": "2026-01-01T00:00:00Z"},
                                kafka={"message.timeout.ms": 4000}), "--features", path]
    cell.verb("init", "--features", path, "--dev-key")
    for n in (1, 2):
        engines.append(Engine(f"engine{n}", *words, *cell.words(), "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/journal{n}"))
        engines[-1].launch()

    for one in engines:  # what is asked before the empty topics are known to be empty is refused as stale, counted, and stays so
        wait_for(f"{one.name} knows how fresh it is", lambda: one.score(auth("fresh", CARDS, now_ms()), count=False)["status"] == "scored", 30, 0.1)
    for n, one in enumerate(engines):  # a broker that has just begun gives producers no number for a while, and no copy arrives before they have one
        wait_for(f"copies of {one.name} arrive", lambda: one.score(auth(f"w{n}", CARDS, now_ms()))["status"] == "scored", 30, 0.2)
    messages = [auth(f"h{n}", n % CARDS, now_ms()) for n in range(COUNT)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: engines[n % 2].score(messages[n]), range(COUNT)))
    case("requests to two engines are acknowledged, none as the repetition of its own copy",
         all(a["status"] == "scored" and a["counted"] is True and a["duplicate"] is False for a in answers),
         [a for a in answers if a["status"] != "scored" or a["counted"] is not True or a["duplicate"]][:1])
    copies = [m for m in broker.get("auths") if json.loads(m["value"])["id"].startswith("h")]  # what is in Kafka at the moment of the last answer
    case("each stands in Kafka before that", sorted(json.loads(m["value"])["id"] for m in copies) == sorted(m["id"] for m in messages), len(copies))
    case("marked as a copy", all("tidemark-copy" in m["headers"] for m in copies), copies[0]["headers"])
    retries = [engines[(n + 1) % 2].score(messages[n]) for n in range(0, COUNT, 10)]
    case("a retry says that it is one", all(a["duplicate"] is True and a["counted"] is False for a in retries)
         and [a["first_position"] for a in retries] == [answers[n]["position"] for n in range(0, COUNT, 10)], retries[:1])
    wait_decided(broker, COUNT + len(engines), 20)
    case("a copy that is read back counts nothing", [attempts(one) for one in engines] == [[COUNT // CARDS] * CARDS] * 2, [attempts(one) for one in engines])
    scores = decisions(broker.get("scores"))
    def first(answer):
        return answer["decision"], answer["by"], answer.get("first_position", answer["position"])
    other = [(a, scores.get(a["id"])) for a in answers if a["id"] not in scores or first(scores[a["id"]][0][1]) != first(a)]
    case("and its decision is the one that was answered", not other, other[:1])

    broker.kill()
    began = time.monotonic()
    lone = auth("down", 1, now_ms())
    answer = engines[0].score(lone)
    case("without a broker a request ends with the fallback, in time", answer["status"] == "refused" and answer["counted"] == "maybe" and time.monotonic() - began < 10,
         (time.monotonic() - began, answer))
    broker.restart()

    def again():
        found = engines[1].score(lone)
        return found if found["status"] == "scored" else None
    answer = wait_for("a retry at the other engine is answered", again, 30, 0.3)
    case("with the broker back a retry gets the stored answer", answer["duplicate"] is True, answer)
    wait_for("its copy is read", lambda: "down" in decisions(broker.get("scores")), 20, 0.3)
    case("which is that of its copies", {first(value) for _, value in decisions(broker.get("scores"))["down"]} == {first(answer)}, answer)
    case("it is counted once", [attempts(one)[1] for one in engines] == [COUNT // CARDS + 1] * 2, [attempts(one)[1] for one in engines])
    for one in engines:
        case(f"{one.name} stops cleanly", one.stop() == 0)
finally:
    for one in engines:
        if one.alive():
            one.process.stop()
    if cell:
        cell.stop()
    broker.stop()
done()
