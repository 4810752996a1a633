"""Back-pressure from end to end: both replicas of the journal stand still while messages pour into Kafka. Nothing is acknowledged without them, so nothing is counted; the engine
stops reading when its share of memory is full, and does not grow with what waits in the broker. When the replicas go on, all of it is counted once and answered. The same where
the broker takes no answers: the outbox fills, and messages wait. Prints TAP.
"""

import os
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, config, features, json, need_broker, now_ms, wait_for  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTITIONS, HELD, FIRST, MANY, FILLER = 3, 2000, 300, 60000, "x" * 2400
need_broker()
broker, engine, cell = Broker(), None, None


def put(writer, first, count, base):
    for n in range(first, first + count):
        writer.put("auths", {**auth(f"t{n}", n % 50, base + n), "note": FILLER}, n % PARTITIONS)
    return writer.flush()


def resident_mib():
    with open(f"/proc/{engine.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def metric(name):
    text = engine.ask("GET", "/metrics", port=engine.admin)[1]
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((f"tidemark_{name} ", f"tidemark_{name}{{")))


try:
    broker.start()
    broker.topics(auths=PARTITIONS, scores=1, dead=1)
    cell = Cell("cell", replicas=2)
    path = features(os.path.join(TMP, "features.yaml"), "1d", "1d")
    words = ["--config", config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "silence": "1h"}},
                                fold={"history_from": "2026-01-01T00:00:00Z"}, ingest={"max_held": HELD},
                                kafka={"queued.max.messages.kbytes": 1024, "fetch.message.max.bytes": 262144}), "--features", path]
    cell.verb("init", "--features", path, "--dev-key")
    engine = Engine("engine", *words, *cell.words(), "--set", "engine.id=1", "--set", f"journal.dir={TMP}/journal")
    engine.launch()
    writer, base = broker.writer(), now_ms() - 3600_000
    put(writer, 0, FIRST, base)
    wait_for("the first are counted", lambda: metric("events_counted_total") == FIRST, 60)
    for node in cell.group.nodes[1:]:
        node.pause()
    before = resident_mib()
    case("the broker has them all", put(writer, FIRST, MANY, base) == FIRST + MANY)
    samples, last = [], None
    for _ in range(60):  # until it does not grow any more
        time.sleep(0.25)
        samples.append(resident_mib())
        if len(samples) > 12 and max(samples[-12:]) - min(samples[-12:]) < 0.5:
            break
    waiting = MANY * (len(FILLER) + 150) / 2**20
    case("nothing is counted without the replicas", metric("events_counted_total") == FIRST)
    case("what waits stays in the broker", samples[-1] - before < waiting * 0.6,  # what the window and the clients hold is some tens of MiB, however much waits
          f"{before:.0f} -> {samples[-1]:.0f} MiB while {waiting:.0f} MiB wait")
    print(f"# {before:.0f} MiB before, {samples[-1]:.0f} MiB with {waiting:.0f} MiB waiting", flush=True)
    for node in cell.group.nodes[1:]:
        node.resume()
    wait_for("all are counted", lambda: metric("events_counted_total") == FIRST + MANY, 120)
    case("each once", metric("events_duplicate_total") == 0)
    wait_for("all are answered", lambda: broker.length("scores") >= FIRST + MANY, 60)
    ids = {json.loads(message["value"])["id"] for message in broker.get("scores")}
    case("and each has a decision", len(ids) == FIRST + MANY, len(ids))
    case("it stops cleanly", engine.stop() == 0)
    writer.close()
finally:
    if cell:
        for node in cell.group.nodes[1:]:
            node.resume()
    if engine and engine.alive():
        engine.kill()
    if cell:
        cell.stop()
    broker.stop()
done()
