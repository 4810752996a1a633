"""What a user may not do on a real Kafka broker with ACLs: where the topic of a source may not be written, `ingest.barrier: marker` is refused at the start by name; where a topic may
not be read any more, its partitions stand still and say so, other sources go on, and it is read again from its place when it may be. Prints TAP.
"""

import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from kafka_cell import TIDE, Broker, Engine, auth, config, decisions, features, json, need_broker, now_ms, wait_decided, wait_for  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
broker, engine = Broker(), None
broker.more = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nallow.everyone.if.no.acl.found=true\n"


def acl(what, *words):
    broker.run(broker.java("kafka.admin.AclCommand", "--bootstrap-server", broker.address, what, *(["--force"] if what == "--remove" else []), *words), 60)


def page():
    return json.loads(engine.ask("GET", "/readyz", port=engine.admin)[1])


def stopped():
    return {(p["source"], p["partition"]): p["why"] for p in page().get("stopped", [])}


try:
    broker.start()
    broker.topics(auths=2, advices=1, scores=1, dead=1)
    everyone = ("--allow-principal", "User:*", "--operation", "All")
    no_write, no_read = (("--deny-principal", "User:*", "--operation", operation, "--topic", topic) for operation, topic in (("Write", "auths"), ("Read", "advices")))
    path = features(os.path.join(TMP, "features.yaml"))
    sources = {"auths": {"topic": "auths", "key": "card"}, "advices": {"topic": "advices", "gates": False}}
    words = ["--config", config(os.path.join(TMP, "config.yaml"), broker, sources, fold={"history_from": "2026-01-01T00:00:00Z"}, kafka={"topic.metadata.refresh.interval.ms": 1000}),
             "--features", path, "--journal", f"file:{TMP}/journal"]

    # --- marks where nothing may be written
    acl("--add", *everyone, "--topic", "auths", "--topic", "advices")
    acl("--add", *no_write)
    result = subprocess.run([TIDE, "serve", *words, "--dev-key", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", "ingest.barrier=marker"],
                            capture_output=True, text=True, timeout=60)
    case("marker is refused", result.returncode == 3 and "topic auths" in result.stderr and "ingest.barrier: log_end" in result.stderr, (result.returncode, result.stderr[-600:]))
    case("and nothing was begun", not os.path.exists(f"{TMP}/journal") or broker.length("scores") == 0)
    acl("--remove", *no_write)
    engine = Engine("engine", *words, "--set", "ingest.barrier=marker").launch()
    case("it starts when it may write", engine.ready())

    # --- a topic that may not be read any more
    writer, log = broker.writer(), []

    def send(topic, count, partitions):
        for _ in range(count):
            log.append(auth(f"t{len(log)}", len(log) % 7, now_ms(), **({"kind": "auth"})))
            writer.put(topic, log[-1], len(log) % partitions)
        writer.flush()

    send("auths", 40, 2)
    send("advices", 20, 1)
    case("both are read", wait_decided(broker, 60, 30), broker.length("scores"))
    acl("--add", *no_read)
    wait_for("it stands still", lambda: ("advices", 0) in stopped(), 60, 0.2)
    case("and says why", "allow the user" in stopped()["advices", 0] and len(stopped()) == 1, page())
    send("auths", 40, 2)
    send("advices", 20, 1)
    case("the other source goes on", wait_decided(broker, 100, 30), broker.length("scores"))
    acl("--remove", *no_read)
    case("it is read on when it may be", wait_decided(broker, 120, 60), broker.length("scores"))
    wait_for("nothing stands still", lambda: not stopped(), 30, 0.2)
    found = decisions(broker.get("scores"))
    case("each message once", sorted(found) == sorted(m["id"] for m in log) and all(len(copies) == 1 and copies[0][1]["counted"] is True for copies in found.values()),
         {txn: len(copies) for txn, copies in found.items() if len(copies) != 1})
    case("no dead letter", broker.length("dead") == 0)
    writer.close()
    case("it stops cleanly", engine.stop() == 0)
finally:
    if engine and engine.alive():
        engine.stop()
    broker.stop()
done()
