"""One engine reads a real Kafka broker: every message is counted, every scored one answered in the scores topic, every bad one in the dead-letter topic, across a
clean restart and a kill -9, and every value is that of `tidemark replay` over the same messages. Prints TAP.
"""

import os
import random
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, card, config, decisions, features, json, need_broker, now_ms, outcome, wait_for, wait_length  # noqa: E402
from http_server import Server, tide  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTITIONS, CARDS, COUNT, SPAN_MS = 3, 60, 30000, 90 * 60000
need_broker()
rng = random.Random(70)
begin = now_ms() - SPAN_MS - 60000
history = "2026-01-01T00:00:00Z"

# In the order of their times, which differ: (topic, partition, time, message), every one a line of the log for replay.
log, used = [], set()


def place(topic, partition, message, at):
    while at in used:
        at += 1
    used.add(at)
    log.append((topic, partition, at, {**message, "time": at}))


for n in range(COUNT):
    number, at = rng.randrange(CARDS), begin + n * SPAN_MS // COUNT
    txn = auth(f"t{n}", number, at, f"m{rng.randrange(12)}", f"{rng.randrange(1, 9000) / 100:.2f}")
    place("auths", number % PARTITIONS, txn, at)
    if rng.random() < 0.3:
        place("outcomes", 0, outcome(f"t{n}", number, at, rng.choice(["00", "05"])), at + 200)
    if rng.random() < 0.02:  # sent twice, the times milliseconds apart
        place("auths", number % PARTITIONS, txn, at + 7)
log.sort(key=lambda item: item[2])
bad = [("syntax", '{"id": "b0", "card": {"number": "' + card(1) + '"}, "time": '), ("missing", {"id": "b1", "time": begin, "card": {"number": card(2)}}),
       ("currency", {**auth("b2", 3, begin), "currency": "XYZ"}), ("decimals", auth("b3", 4, begin, amount="1.005")),
       ("future", auth("b4", 5, now_ms() + 3600000)), ("syntax", {**auth("b5", 6, begin), "time": "yesterday"})]

broker = Broker()
broker.start()
servers = []
try:
    broker.topics(auths=PARTITIONS, outcomes=1, scores=2, dead=1)
    writer = broker.writer()
    offsets = {}

    def put(topic, partition, message, at=0):
        writer.put(topic, message, partition, str(partition), at)
        offsets[topic, partition] = offsets.get((topic, partition), -1) + 1
        return offsets[topic, partition]

    paths = {"features": features(os.path.join(TMP, "features.yaml"), budget="10s")}
    paths["config"] = config(os.path.join(TMP, "config.yaml"), broker,
                             {"auths": {"topic": "auths", "key": "card", "silence": "1h"}, "outcomes": {"topic": "outcomes", "input": "outcomes", "key": "card", "silence": "1h"}},
                             fold={"history_from": history}, snapshot={"every": "1s"})
    journal = f"file:{TMP}/journal"

    def engine():
        servers.append(Server("--config", paths["config"], journal=journal, features=paths["features"], level="info"))
        return servers[-1]

    places = {}
    for i, (topic, partition, at, message) in enumerate(log):
        put(topic, partition, message, at)
        if i % 3000 == 0 and i // 3000 < len(bad):
            reason, wrong = bad[i // 3000]
            places[i // 3000] = (i // 3000 % PARTITIONS, put("auths", i // 3000 % PARTITIONS, wrong, at), reason)
    writer.flush()
    scored = sum(topic == "auths" for topic, _, _, _ in log)

    # Stopped and killed while it reads what its first epoch waits for: no answer leaves before that is read.
    # Small entries keep it busy for longer than it takes to stop it.
    early = Engine("early", "--config", paths["config"], "--features", paths["features"], "--journal", journal, "--set", "commit.max_batch=16")
    for name, end in (("stopped", early.stop), ("killed", early.kill)):
        early.launch(wait=False)
        wait_for("it reads", early.ingests, 20)
        time.sleep(0.05)
        code = end()
        case(f"it is {name} while it reads", broker.length("scores") < scored and code in (0, None), (broker.length("scores"), code))
    server = engine()
    wait_length(broker, "scores", scored, 60)
    wait_for("everything is answered", lambda: len(decisions(broker.get("scores"))) == COUNT, 60, 0.5)
    case("every bad one is in the dead-letter topic", wait_length(broker, "dead", len(bad), 10) >= len(bad), broker.length("dead"))
    case("readyz", server.ask("GET", "/readyz", admin=True)[0] == 200)

    messages = broker.get("scores")
    found = decisions(messages)
    by_place = {}
    for message in messages:
        h = message["headers"]
        by_place.setdefault((h["tidemark-source"], h["tidemark-partition"], h["tidemark-offset"]), set()).add((message["key"], message["value"]))
    case("every message has a decision", len(by_place) == scored, (len(by_place), scored))
    case("and what was emitted twice is the same, byte for byte", all(len(values) == 1 for values in by_place.values()),
         [values for values in by_place.values() if len(values) > 1][:1])
    case("the key is the transaction", all(m["key"] == json.loads(m["value"])["id"] for m in messages))
    names = {"tidemark-position", "tidemark-policy", "tidemark-features", "tidemark-source", "tidemark-partition", "tidemark-offset"}
    case("headers say where it stands and what decided", all(set(m["headers"]) == names for m in messages), messages[0]["headers"])

    # --- replay of the same messages, in the order of time
    lines = os.path.join(TMP, "log.jsonl")
    with open(lines, "w", encoding="utf-8") as file:
        for _, _, _, message in log:
            file.write(json.dumps(message) + "\n")
    tide("replay", "--features", paths["features"], "--dev-key", "--input", lines, "--output", f"{TMP}/out.jsonl", "--emit-features", "--history-from", history)
    with open(f"{TMP}/out.jsonl", encoding="utf-8") as file:
        replayed = [json.loads(line) for line in file]
    case("replay decides as many", len(replayed) == scored, (len(replayed), scored))
    differs, order = [], {}
    for place, values in by_place.items():
        value = json.loads(next(iter(values))[1])
        order.setdefault(value["id"], []).append(value)
    for value in replayed:
        live = sorted(order[value["id"]], key=lambda v: [int(x) for x in v["position"].replace(".", "-").split("-")])
        mine = live[1 if value["duplicate"] else 0]
        for name in ("id", "status", "decision", "by", "score", "reasons", "counted", "duplicate", "event_time", "features", "states"):
            if mine.get(name) != value.get(name):
                differs.append((value["id"], name, mine.get(name), value.get(name)))
    case("every decision, reason, feature and state is that of replay", not differs, (len(differs), [d[:1] + tuple(json.dumps(x) for x in d[1:]) for d in differs[:6]]))
    case("more than one kind of decision is among them", {"D1", "R1", "else"} <= {value["by"] for value in replayed}, {value["by"] for value in replayed})
    case("nothing was refused", all(value["status"] == "scored" for value in replayed))

    # --- dead letters
    dead = broker.get("dead")
    said = {(int(m["headers"]["tidemark-partition"]), int(m["headers"]["tidemark-offset"]), m["headers"]["tidemark-reason"]) for m in dead}
    case("dead letters tell place and reason", said == set(places.values()), (said, places))
    case("one that left twice is the same", len({(m["value"], m["headers"]["tidemark-offset"], m["headers"]["tidemark-partition"]) for m in dead}) == len(bad), len(dead))
    case("no card number is in them", not any(card(n) in json.dumps(m) for m in dead for n in range(1, 7)), dead)
    case("what is not secret is kept", any('"b2"' in (m["value"] or "") for m in dead))

    # --- the same cell over HTTP
    fresh = auth("now", 1, now_ms())
    put("auths", 1, fresh)
    writer.flush()
    wait_for("its decision", lambda: "now" in decisions(broker.get("scores")), 15)
    _, again = server.post("/v1/score", {**fresh, "time": fresh["time"] + 3})
    case("what came by Kafka is a duplicate over HTTP, milliseconds apart", again["duplicate"] is True, again)
    first = decisions(broker.get("scores"))["now"][0][1]
    case("and gets the first answer", again["decision"] == first["decision"] and again["first_position"] == first["position"], again)
    _, one = server.post("/v1/score", auth("http", 1, now_ms()), explain="full")
    case("a request sees what came by Kafka", one["status"] == "scored" and one["features"]["card.attempts_24h"] == first["features"]["card.attempts_24h"] + 1, one)
    writer.close()
    case("it stops cleanly in the end", server.stop() == 0)
    case("audit agrees with what was decided", "digests that agree" in tide("audit", "--journal", journal))
finally:
    for server in servers:
        if server.process.poll() is None:
            server.stop()
    broker.stop()
done()
