"""`ingest.barrier: marker` through failovers of Redis under two engines that read a real Kafka broker: each epoch waits for marks that an engine has written to every partition,
and not for what the broker tells. Marks are counted, decide nothing, are no dead letters and no messages; every message is counted once. Prints TAP.
"""

import os
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, card, config, decisions, features, json, need_broker, now_ms, wait_decided, wait_for  # noqa: E402
from http_server import tide  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTS, CARDS, STEP = 3, 15, 120
need_broker()
broker, engines, cell = Broker(), [], None


def marks():
    """(partition, offset) of each mark in the topic."""
    return {(m["partition"], m["offset"]) for m in broker.get("auths") if "tidemark-mark" in m["headers"]}


def metric(name):
    rows = [row for one in engines for row in one.ask("GET", "/metrics", port=one.admin)[1].splitlines() if row.startswith(name + " ")]
    return sum(float(row.split()[1]) for row in rows)


def attempts(one):
    return [json.loads(one.ask("POST", "/v1/features", {"card": {"number": card(n)}})[1])["features"]["card.attempts_24h"] for n in range(CARDS)]


try:
    broker.start()
    broker.topics(auths=PARTS, scores=1, dead=1)
    cell = Cell("cell", replicas=2, sentinels=3, down_after_ms=800, failover_timeout_ms=3000)
    path = features(os.path.join(TMP, "features.yaml"))
    words = ["--config", config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "key": "card", "silence": "1h"}}, engine={"heartbeat": "200ms"},
                                ingest={"claim_timeout": "800ms", "merge_wait": "100ms", "barrier": "marker"}, fold={"history_from": "2026-01-01T00:00:00Z"}),
             "--features", path]
    cell.verb("init", "--features", path, "--dev-key")
    for n in (1, 2):
        engines.append(Engine(f"engine{n}", *words, *cell.words(cell.group.sentinel_url()), "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/journal{n}").launch())
    writer, log = broker.writer(), []

    def send():
        for _ in range(STEP):
            log.append(auth(f"t{len(log)}", len(log) % CARDS, now_ms()))
            writer.put("auths", log[-1], len(log) % CARDS % PARTS)
        writer.flush()

    send()
    case("messages are decided", wait_decided(broker, STEP, 60), broker.length("scores"))
    begin = marks()
    case("marks stand in every partition", {partition for partition, _ in begin} == set(range(PARTS)), begin)

    old = cell.group.wait_primary()
    old.kill()
    send()  # while there is no primary
    cell.group.wait_primary(other_than=old)
    old.launch()  # as a replica: a commit waits for both
    case("the messages of a failover are decided", wait_decided(broker, 2 * STEP, 60), broker.length("scores"))
    for one in engines:
        wait_for(f"{one.name} is ready again", one.ready, 30)
    late = marks()
    case("the new epoch has marks of its own", {partition for partition, _ in late - begin} == set(range(PARTS)), (len(begin), len(late)))

    def targets():
        """Of each epoch, in the copy of the journal that engine 1 writes; None where it cannot be read just now."""
        result = tide("inspect", os.path.join(TMP, "journal1", "mirror"), "--records", code=None)
        records = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
        return [{(t["partition"], t["end"] - 1) for t in record["targets"]} for record in records if record["type"] == "targets"] if result.returncode == 0 else None
    waited = wait_for("the copy has the targets of both epochs", lambda: (lambda found: found if found and len(found) >= 2 else None)(targets()), 20, 0.2)
    late = marks()  # a loaded machine may have failed over once more: all that an epoch waited for stand there
    case("what it waited for are marks", all(len(ends) == PARTS and ends <= late for ends in waited) and waited[-1] <= late - begin, (waited, sorted(late)))
    case("they were read and counted", metric("tidemark_ingest_marks_total") >= PARTS, metric("tidemark_ingest_marks_total"))

    reader = wait_for("one reads", lambda: next((one for one in engines if one.ingests()), None), 20)
    reader.kill()
    send()
    case("a takeover goes on behind them", wait_decided(broker, 3 * STEP, 60), broker.length("scores"))
    reader.launch()
    wait_for("nothing stands still", lambda: all(one.ready() for one in engines), 30)
    time.sleep(0.5)
    found = decisions(broker.get("scores"))
    case("each message has a decision, and copies are the same", sorted(found) == sorted(m["id"] for m in log)
         and all(len({json.dumps(value) for _, value in copies}) == 1 for copies in found.values()), len(found))
    case("no mark is a dead letter", broker.length("dead") == 0, broker.get("dead")[:1])
    case("each is counted once, at both", [attempts(one) for one in engines] == [[3 * STEP // CARDS] * CARDS] * 2, [attempts(one) for one in engines])
    writer.close()
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
