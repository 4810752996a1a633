"""Topics that change under a cell that reads them, on a real broker: one that does not exist yet, partitions that appear later, a log that was deleted and written again while nobody
read. What cannot be trusted stands still, says so, and goes on when somebody says from where; nothing is counted twice or left out in between. Prints TAP.
"""

import os
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, config, decisions, features, json, need_broker, now_ms, wait_decided, wait_for  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
broker, engine = Broker(), None


def page(path="/readyz"):
    status, text = engine.ask("GET", path, port=engine.admin)
    return status, json.loads(text)


def said(event):
    with open(engine.log, encoding="utf-8", errors="replace") as file:
        return [line for line in file if f"event={event} " in line]


try:
    broker.start()
    broker.topics(auths=2, scores=1, dead=1)
    path = features(os.path.join(TMP, "features.yaml"), budget="3s")
    sources = {"auths": {"topic": "auths", "silence": "1h"}, "more": {"topic": "later", "silence": "1h"}}
    engine = Engine("engine", "--config", config(os.path.join(TMP, "config.yaml"), broker, sources, fold={"history_from": "2026-01-01T00:00:00Z"}), "--features", path,
                    "--journal", f"file:{TMP}/journal")
    log, writer = [], broker.writer()

    def send(count, partitions, topic="auths"):
        for _ in range(count):
            log.append(auth(f"t{len(log)}", len(log) % 10, now_ms()))
            writer.put(topic, log[-1], len(log) % partitions)
        writer.flush()

    # --- a topic that is not there
    send(20, 2)
    engine.launch(wait=False)
    wait_for("it asks for the topic", lambda: os.path.exists(engine.log) and said("source_unanswered"), 30, 0.1)
    time.sleep(1)
    case("without one of its topics nothing is open", page()[0] == 503 and broker.length("scores") == 0, page())
    case("the log names it", "topic later" in said("source_unanswered")[0], said("source_unanswered")[:1])
    case("and so does /readyz", "topic later" in page()[1].get("unanswered", ""), page())
    case("metrics: a question has no answer", "tidemark_ingest_unanswered 1\n" in engine.ask("GET", "/metrics", port=engine.admin)[1])
    broker.topics(later=1)
    wait_for("it goes on when the topic is there", engine.ready, 40)
    case("and everything is decided", wait_decided(broker, 20, 30), broker.length("scores"))
    send(5, 1, "later")
    case("from either topic", wait_decided(broker, 25, 30), broker.length("scores"))

    # --- partitions that appear later
    writer.close()
    broker.pipe("grow", "auths", "4")
    writer = broker.writer()  # one that knows of them
    send(40, 4)
    case("partitions that appear later are read from their first message", wait_decided(broker, 65, 60), broker.length("scores"))
    def cursors():
        return {(p["partition"], p["cursor"]) for source in page("/sources")[1]["sources"] if source["name"] == "auths" for p in source["partitions"]}
    case("and are part of the source", wait_for("all partitions are known", lambda: cursors() == {(0, 20), (1, 20), (2, 10), (3, 10)}, 20, 0.2), cursors())
    case("a request for now is answered", engine.score(auth("q1", 1, now_ms()), count=False)["status"] == "scored")

    # --- no broker
    broker.kill()
    wait_for("without a broker a request is refused", lambda: engine.score(auth("q3", 1, now_ms()), count=False).get("cause") == "stale", 30, 0.2)
    wait_for("/readyz says what is missing", lambda: page()[1].get("unanswered"), 40, 0.2)
    writer.close()
    broker.restart()
    writer = broker.writer()
    wait_for("with it back one is answered", lambda: engine.score(auth("q4", 1, now_ms()), count=False)["status"] == "scored", 40, 0.2)
    wait_for("and nothing is missing", lambda: not page()[1].get("unanswered"), 20, 0.2)
    send(8, 4)
    case("it reads on", wait_decided(broker, 73, 60), broker.length("scores"))

    # --- a log that was written again
    writer.close()
    case("it stops", engine.stop() == 0)
    lengths = {int(row.split("\t")[1]): int(row.split("\t")[3]) for row in broker.pipe("ends", "auths").splitlines()}
    broker.pipe("drop", "auths")

    def made_again():
        try:
            broker.topics(auths=4)
        except RuntimeError:  # it is still being deleted
            return False
        return True
    wait_for("the topic is there again", made_again, 30, 0.5)
    writer, before = broker.writer(), len(log)
    for partition, length in lengths.items():
        for _ in range(length + 5):
            log.append(auth(f"t{len(log)}", len(log) % 10, now_ms()))
            writer.put("auths", log[-1], partition)
    writer.flush()
    engine.launch(wait=False)
    wait_for("it stands still", lambda: len(page()[1].get("stopped", [])) == 4, 40, 0.2)
    why = [p["why"] for p in page()[1]["stopped"]]
    case("a log that was written again is not read on", all("cut and written again" in text and "accept-gap" in text for text in why), why)
    case("and nothing of it was decided", len(decisions(broker.get("scores"))) == 73, broker.length("scores"))
    case("the epoch does not open", page()[0] == 503)

    def accepted(partition):
        """(status, text); None while the engine, which begins to read anew behind each jump, asks to try again."""
        status, text = engine.ask("POST", "/sources/accept-gap", {"source": "auths", "partition": partition, "cursor": "begin"}, port=engine.admin)
        return None if status == 409 and "try again" in text else (status, text)
    for partition in lengths:
        status, text = wait_for("it is looked at", lambda p=partition: accepted(p), 30, 0.2)
        case(f"somebody says from where: partition {partition}", status == 200, (status, text))
    case("then all of it is decided", wait_decided(broker, len(log), 60), (broker.length("scores"), len(log), before))
    wait_for("it is ready", engine.ready, 30)
    found = decisions(broker.get("scores"))
    case("each message once, copies are the same", sorted(found) == sorted(m["id"] for m in log)
         and all(len({json.dumps(value) for _, value in copies}) == 1 and copies[0][1]["counted"] is True for copies in found.values()),
         {txn: copies for txn, copies in found.items() if len(copies) != 1})
    wait_for("a request for now is answered again", lambda: engine.score(auth("q2", 1, now_ms()), count=False)["status"] == "scored", 20, 0.2)
    writer.close()
    case("it stops in the end", engine.stop() == 0)
finally:
    if engine and engine.alive():
        engine.process.stop()
    broker.stop()
done()
