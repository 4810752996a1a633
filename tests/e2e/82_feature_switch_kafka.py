"""Another feature file in a cell that reads a real Kafka broker: two engines go over to it at one position while messages flow, the one that reads is killed while it prepares, and a field
that only the new file names is decoded from the messages behind. Every message is decided once and counted once, under one file or the other. Prints TAP.
"""

import os
import sys
import threading
import time

sys.path.insert(0, "tests/support")
from kafka_cell import FEATURES, Broker, Engine, auth, card, config, decisions, features, json, need_broker, now_ms, wait_for, wait_length  # noqa: E402
from http_server import tide  # noqa: E402
from redis_cell import Cell, audit  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTS, CARDS = 3, 12
NEXT = (FEATURES.replace("name: kafka", "name: next").replace("merchant: /merchant}", "merchant: /merchant, ip: {at: /ip, optional: true}}", 1)
        .replace("    idle: time since previous", "    idle: time since previous\n    ips: distinct of ip over 1h with current"))
need_broker()
broker, engines, cell, load = Broker(), [], None, None


class Load:
    """A steady stream of messages, each with an ip, whether the file in force knows it or not."""

    def __init__(self):
        self.writer, self.log, self.stopping, self.failure = broker.writer(), [], threading.Event(), None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                n = len(self.log)
                self.log.append(auth(f"t{n}", n % CARDS, now_ms(), ip=f"10.0.0.{n // CARDS % 7}"))
                self.writer.put("auths", self.log[-1], n % CARDS % PARTS)
                self.writer.push()
                time.sleep(0.004)
            self.writer.close()
        except Exception as error:  # told by the main thread
            self.failure = error

    def stop(self):
        self.stopping.set()
        self.thread.join(60)


def in_force(one):
    return json.loads(one.ask("GET", "/healthz", port=one.admin)[1])["provenance"]["features"].split("@")[0]


def place(value):
    return [int(n) for n in value["position"].replace(".", "-").split("-")]


try:
    broker.start()
    broker.topics(auths=PARTS, scores=1, dead=1)
    cell = Cell("cell", replicas=1)
    first, second = features(os.path.join(TMP, "features.yaml")), features(os.path.join(TMP, "next.yaml"), text=NEXT)
    registry = "dir:" + os.path.join(TMP, "registry")
    os.makedirs(os.path.join(TMP, "registry"))
    at = ["--registry", registry, "--cell", "default", "--why", "a test"]
    words = ["--config", config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "key": "card", "silence": "1h"}}, engine={"heartbeat": "200ms"},
                                ingest={"claim_timeout": "800ms", "merge_wait": "100ms"}, fold={"history_from": "2026-01-01T00:00:00Z"}),
             "--features", first, "--set", f"registry.url={registry}", "--set", "registry.lease=6s"]
    cell.verb("init", "--features", first, "--dev-key")
    for n in (1, 2):
        engines.append(Engine(f"engine{n}", *words, *cell.words(), "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/journal{n}").launch())
    load = Load()
    wait_for("messages are decided", lambda: broker.length("scores") >= 500, 60, 0.2)
    for name in first, second:
        tide("features", "push", name, *at)
    tide("features", "validate", "next", *at, "--journal", f"file:{TMP}/journal1/mirror", "--min-events", "1", "--max-decision-shift", "100")
    tide("features", "rollout", "next", *at)
    reader = wait_for("one reads", lambda: next((one for one in engines if one.ingests()), None), 20, 0.1)
    reader.kill()  # while it prepares, or has just gone over
    time.sleep(0.3)
    reader.launch(wait=False)
    wait_for("both go over", lambda: all(one.ready() and in_force(one) == "next" for one in engines), 60, 0.2)
    switched = len(load.log)
    wait_for("messages are decided under it", lambda: len(load.log) > switched + 400, 60, 0.2)
    load.stop()
    if load.failure:
        raise load.failure
    count = len(load.log)
    wait_for("every message is decided", lambda: len(decisions(broker.get("scores"))) >= count, 60, 0.5)

    found = decisions(broker.get("scores"))
    case("each message has a decision and copies are the same", sorted(found) == sorted(m["id"] for m in load.log)
         and all(len({json.dumps(value) for _, value in copies}) == 1 for copies in found.values()), (len(found), count))
    values = sorted((copies[0][1] for copies in found.values()), key=place)
    files = [found[value["id"]][0][0]["tidemark-features"].split("@")[0] for value in values]
    cut = files.index("next") if "next" in files else count
    case("the switch is one cut through the total order", 0 < cut < count and set(files[:cut]) == {"kafka"} and set(files[cut:]) == {"next"}, (cut, count))
    has = ["card.ips_1h" in value["features"] for value in values]
    case("headers name the file that decided, copies too", has == [file == "next" for file in files]
         and all(len({h["tidemark-features"] for h, _ in copies}) == 1 for copies in found.values()), (has.index(True), cut))
    case("all are counted once", all(value["counted"] is True and value["duplicate"] is False for value in values))
    case("none is a dead letter", broker.length("dead") == 0, broker.get("dead")[:1])
    wrong = []
    for n in range(CARDS):
        mine = [m for m in load.log if m["card"]["number"] == card(n)]
        for one in engines:
            told = json.loads(one.ask("POST", "/v1/features", {"card": {"number": card(n)}})[1])["features"]
            if told["card.attempts_24h"] != len(mine) or told["card.ips_1h"] != 7:
                wrong.append((one.name, n, told["card.attempts_24h"], len(mine), told["card.ips_1h"]))
    case("both engines have counted each message once, and the new field from all that came behind", not wrong, wrong[:3])
    ips = [value for value in values[cut:] if value["features"].get("card.ips_1h") is not None]
    case("decisions behind the switch have the field's feature", len(ips) == count - cut, (len(ips), count - cut))
    late = [value for value in values[cut:] if value["states"]["card.ips_1h"] != "warming"]
    case("which is warming", not late, late[:1])
    for one in engines:
        case(f"{one.name} stops cleanly", one.stop() == 0)
    results = [audit(os.path.join(TMP, f"journal{n}", "mirror")) for n in (1, 2)]
    case("an audit finds every decision as it was, at both", all(r["same"] for r in results), results)
finally:
    if load:
        load.stop()
    for one in engines:
        if one.alive():
            one.process.stop()
    if cell:
        cell.stop()
    broker.stop()
done()
