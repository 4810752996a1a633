"""Sources of a cell of two engines, as an operator sees them: both know the cursors, one reads and knows the ends; the other names it, sends an operator's jump there, and
takes a waiver that holds for both. A takeover shows. Prints TAP.
"""

import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, config, features, json, need_broker, now_ms, wait_for  # noqa: E402
from http_server import TIDE  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
broker, engines, cell = Broker(), [], None


def page(engine):
    return json.loads(engine.ask("GET", "/sources", port=engine.admin)[1])


def partitions(engine):
    return {p["partition"]: p for p in page(engine)["sources"][0]["partitions"]}


def order(engine, what, **body):
    status, text = engine.ask("POST", f"/sources/{what}", {"source": "auths", **body}, port=engine.admin)
    return status, json.loads(text)


try:
    broker.start()
    broker.topics(auths=2, scores=1, dead=1)
    writer = broker.writer()
    for n in range(100):
        writer.put("auths", auth(f"t{n}", n, now_ms()), n % 2)
    writer.flush()
    file = features(os.path.join(TMP, "features.yaml"))
    settings = config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "key": "card"}}, engine={"heartbeat": "300ms"}, ingest={"claim_timeout": "3s"})
    cell = Cell("cell", replicas=1)
    cell.verb("init", "--features", file, "--dev-key")
    words = ["--config", settings, "--features", file, *cell.words()]
    for n in (1, 2):
        engines.append(Engine(f"engine{n}", *words, "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/journal{n}").launch())
    wait_for("all is read", lambda: all(p["cursor"] == 50 for e in engines for p in partitions(e).values()), 30, 0.1)
    wait_for("both know who reads", lambda: all(page(e)["ingester"] for e in engines), 10, 0.1)
    reads = page(engines[0])["ingester"]
    reader, other = engines[reads - 1], engines[2 - reads]
    case("both name the same one", page(other)["ingester"] == reads and page(reader)["ingests"] and not page(other)["ingests"], (page(reader), page(other)))
    health = json.loads(other.ask("GET", "/healthz", port=other.admin)[1])
    case("/healthz too", health["ingester"] == reads and health["ingests"] is False, health)
    case("both know the cursors", [p["cursor"] for p in partitions(other).values()] == [50, 50], page(other))
    wait_for("the reader knows the ends", lambda: [p["end"] for p in partitions(reader).values()] == [50, 50], 10, 0.1)
    case("the other does not, and says so", all(p["end"] is None and p["lag"] is None and p["stopped"] is None for p in partitions(other).values()), page(other))
    metrics = {e: e.ask("GET", "/metrics", port=e.admin)[1] for e in engines}
    case("metrics: one reads", "tidemark_ingest_active 1\n" in metrics[reader] and "tidemark_ingest_active 0\n" in metrics[other])
    case("metrics: the lag is the reader's, completeness is everybody's", "tidemark_source_lag_messages{" in metrics[reader] and "tidemark_source_lag_messages{" not in metrics[other]
         and 'tidemark_source_complete_age_seconds{source="auths",partition="1"}' in metrics[other])
    status, answer = order(other, "accept-gap", partition=0, cursor="end")
    case("a jump is sent to the reader", status == 409 and f"engine {reads} reads the sources" in answer["detail"], (status, answer))
    shown = subprocess.run([TIDE, "source", "list", "--admin", f"127.0.0.1:{other.admin}"], capture_output=True, text=True, timeout=60)
    case("the list names it", shown.returncode == 0 and f"engine {reads} reads the sources" in shown.stdout, shown)
    status, answer = order(other, "waive", partition=1, **{"for": "5m"})
    case("a waiver is taken by any", status == 200, (status, answer))
    wait_for("and holds for both", lambda: all(partitions(e)[1]["waived_until"] == answer["until"] for e in engines), 10, 0.1)
    case("only for that partition", all(partitions(e)[0]["waived_until"] is None for e in engines))
    reader.kill()
    wait_for("the other takes over", lambda: page(other)["ingests"], 30, 0.1)
    case("and knows the ends now", wait_for("ends", lambda: [p["end"] for p in partitions(other).values()] == [50, 50], 20, 0.1))
    case("a jump of what is read is refused there", order(other, "accept-gap", partition=0, cursor="end")[0] == 409)
    case("the waiver has outlived the takeover", partitions(other)[1]["waived_until"] == answer["until"])
    case("it stops cleanly", other.stop() == 0)
finally:
    for one in engines:
        if one.alive():
            one.kill()
    if cell:
        cell.stop()
    broker.stop()
done()
