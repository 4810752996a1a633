"""The engine that reads the sources is stopped (SIGSTOP) and goes on, beside another one, on a real Kafka and a real Redis: the other takes over and stays fresh, nobody is told a
score that is older than its budget, neither while nobody reads nor by the one that wakes up with what it had read before, and each message counts once. TIDE_STOPPED_S: for how long
(6). Prints TAP.
"""

import http.client
import json
import os
import sys
import threading
import time

sys.path.insert(0, "tests/support")
from asking import Asking, event_s, refused, say, scored  # noqa: E402
from kafka_cell import Broker, Engine, auth, card, config, decisions, features, need_broker, now_ms, wait_for  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
BUDGET_S, STOPPED_S = 3, float(os.environ.get("TIDE_STOPPED_S", "6"))
broker, cell, engines, feeding = Broker(), None, [], threading.Event()
sent = []


def feed(writer):
    """A message for each of two cards every 20 ms, for as long as the test goes on."""
    while not feeding.is_set():
        for number in range(2):
            sent.append(f"m{len(sent)}")
            writer.put("auths", auth(sent[-1], number, now_ms()), number, card(number))
        writer.flush()
        time.sleep(0.02)


def request(txn):
    message = auth(txn, 7, 0)
    del message["time"]
    return message


def older(told):
    """Scores that were older than the budget when they came, by their own age or by the time that they took."""
    return [t for t in told if scored(t) and (t.answer["freshness"]["card"]["age_ms"] > BUDGET_S * 1000 or t.got - event_s(t.answer) > BUDGET_S + 0.3)]


def attempts(one, number):
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
    connection.request("POST", "/v1/features", json.dumps({"card": {"number": card(number)}}), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
    value = json.loads(connection.getresponse().read())
    connection.close()
    return value.get("features", {}).get("card.attempts_24h")


broker.start()
try:
    broker.topics(auths=2, scores=1, dead=1)
    cell = Cell("cell", replicas=1)
    file = features(os.path.join(TMP, "features.yaml"), f"{BUDGET_S}s", f"{BUDGET_S}s")
    cell.verb("init", "--features", file, "--dev-key")
    settings = config(os.path.join(TMP, "tidemark.yaml"), broker, {"auths": {"topic": "auths", "key": "card", "silence": "1h"}}, fold={"out_of_orderness": "500ms"},
                      engine={"heartbeat": "300ms"}, ingest={"claim_timeout": "1s"})
    for n in (1, 2):
        engines.append(Engine(f"engine{n}", "--config", settings, "--features", file, *cell.words(), "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/engine{n}/journal",
                              "--set", "http.max_deadline=120s").launch())
    reader = wait_for("one reads", lambda: next((one for one in engines if one.ingests()), None), 20)
    other = next(one for one in engines if one is not reader)
    writer = broker.writer()
    feeder = threading.Thread(target=feed, args=(writer,), daemon=True)
    feeder.start()
    time.sleep(2)
    at = {one: Asking(("127.0.0.1", one.port), one.name, request, timeout_ms=90000 if one is reader else 400) for one in engines}
    time.sleep(1)
    before = [t for one in engines for t in list(at[one].told)]
    case("while all run all is scored", before and all(map(scored, before)), next((t for t in before if not scored(t)), len(before)))

    reader.process.pause()
    stopped = time.time()
    wait_for("the other one reads", other.ingests, 20)
    took_over = time.time()
    time.sleep(max(0, stopped + STOPPED_S - time.time()))
    resumed = time.time()
    reader.process.resume()
    back = at[reader].first(scored, resumed)
    time.sleep(1.5)
    told = {one: at[one].stop() for one in engines}
    feeding.set()
    feeder.join(10)
    during = [t for t in told[other] if stopped < t.sent < resumed]
    across = [t for t in told[reader] if stopped - 0.05 < t.sent < resumed < t.got]
    case("the other one takes over", took_over - stopped < 5, took_over - stopped)
    case("and answers all the while", len(during) > 20 and sum(map(scored, during)) > len(during) / 2, (len(during), sum(map(scored, during))))
    case("what it refuses is stale, for as long as nobody reads", all(t.answer["cause"] in ("stale", "deadline") for t in during if refused(t)), next(filter(refused, during), ""))
    case("the one that was stopped had requests waiting", len(across) >= 1, len(across))
    case("nobody is told a score that is older than its budget", not older(told[reader]) and not older(told[other]), (older(told[reader]) + older(told[other]))[:1])
    case("and it goes on by itself", back - resumed < 5, back - resumed)
    say("asked of the other one", during, takeover=took_over - stopped)
    say(f"asked of the one that was stopped for {STOPPED_S:g} s", across, recovered=back - resumed)

    wait_for("every message has its answer", lambda: len(decisions(broker.get("scores"))) >= len(sent), 30, 0.5)
    found = decisions(broker.get("scores"))
    case("each message has its answer", set(found) == set(sent), (len(found), len(sent)))
    again = [txn for txn, values in found.items() if len({json.dumps(value, sort_keys=True) for _, value in values}) > 1]
    case("and only one, however often it left", not again, again[:3])
    counts = [attempts(one, number) for one in engines for number in range(2)]
    case("and counts once, on both engines", counts == [len(sent) / 2] * 4, (counts, len(sent)))
    writer.close()
    codes = [one.stop() for one in engines]
    case("they stop cleanly", codes == [0, 0], codes)
finally:
    feeding.set()
    for one in engines:
        if one.alive():
            one.process.stop()
    if cell:
        cell.stop()
    broker.stop()
done()
