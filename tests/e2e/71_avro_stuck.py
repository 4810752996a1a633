"""A Schema Registry that never answers for one schema, on a real Kafka broker: only the partition whose messages have that schema stands still, and says why; the others are
decided meanwhile, and only requests for cards of the partition that stands still are refused. The engine is started anew in the middle and waits for the same schema. When
the registry answers, everything is decided once, as in a run that was never held up. Prints TAP.
"""

import http.server
import os
import struct
import sys
import threading

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, config, decisions, features, json, need_broker, now_ms, wait_decided, wait_for  # noqa: E402
from avro_bytes import record, text, whole  # noqa: E402
from http_server import tide  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTS, STUCK, SLOW = 4, 2, 9
BACKLOG, MORE = 160, 240
need_broker()

FIELDS = {"id": "string", "time": "long", "card": record("Card", number="string"), "merchant": "string", "amount": "string", "currency": "string"}
SCHEMA = json.dumps(record("Auth", **FIELDS))


class Registry(http.server.BaseHTTPRequestHandler):
    """Knows every schema; holds its answer for SLOW back until it is let go."""

    free, asked = threading.Event(), 0

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path.endswith(f"/{SLOW}"):
            Registry.asked += 1
            Registry.free.wait(240)
        try:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"schema": SCHEMA}).encode())
        except OSError:
            pass  # whoever asked has given up


def avro(schema, m):
    return b"\0" + struct.pack(">I", schema) + text(m["id"]) + whole(m["time"]) + text(m["card"]["number"]) + text(m["merchant"]) + text(m["amount"]) + text(m["currency"])


registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
registry.daemon_threads = True
threading.Thread(target=registry.serve_forever, daemon=True).start()


def message(n, at):
    number = n % 12  # the merchants of a partition are its own: what is read later in one changes nothing in another
    return auth(f"t{n}", number, at, f"m{number % PARTS}-{n % 3}", f"{1 + n * 7 % 90}.00")


broker = Broker()
broker.start()
engine = None
try:
    broker.topics(auths=PARTS, scores=1, dead=1)
    writer = broker.writer()
    rules = features(os.path.join(TMP, "features.yaml"), budget="4s", merchant="24h")
    settings = config(os.path.join(TMP, "config.yaml"), broker,
                      {"auths": {"topic": "auths", "key": "card", "silence": "1h", "format": "avro", "schemas": f"http://127.0.0.1:{registry.server_address[1]}"}},
                      fold={"history_from": "2026-01-01T00:00:00Z"})

    def put(m, schema):
        part = int(m["card"]["number"]) % PARTS
        writer.put("auths", "hex:" + avro(schema if part == STUCK else 1, m).hex(), part, at_ms=m["time"], headers={"traceparent": f"00-{int(m['id'][1:]) + 1:032x}-00f067aa0ba902b7-01"})

    def page(path):
        return json.loads(engine.ask("GET", path, port=engine.admin)[1])

    def stuck_page():
        return next((p for p in page("/readyz").get("stopped", []) if p["partition"] == STUCK), None)

    def asked(number):
        return engine.score(auth(f"http{now_ms()}", number, now_ms(), f"m{number % PARTS}-0"), count=False)

    # --- a backlog that can be read, and then the schema that does not come
    log = [message(n, now_ms() - (BACKLOG - n) * 20000 - 2000) for n in range(BACKLOG)]
    for m in log:
        put(m, 1)
    writer.flush()
    engine = Engine("engine", "--features", rules, "--config", settings, "--journal", f"file:{TMP}/journal").launch()
    case("what can be read is decided", wait_decided(broker, BACKLOG, 60), broker.length("scores"))
    begin = now_ms()
    log += [message(n, begin + (n - BACKLOG)) for n in range(BACKLOG, BACKLOG + MORE)]
    late = [m for m in log[BACKLOG:] if int(m["card"]["number"]) % PARTS == STUCK]
    for m in log[BACKLOG:]:
        put(m, SLOW)
    writer.flush()
    others = BACKLOG + MORE - len(late)
    case("the other partitions go on", wait_decided(broker, others, 60), (broker.length("scores"), others))
    wait_for("it says so", stuck_page, 30, 0.1)
    case("the one that stands still says why", f"schema {SLOW}" in stuck_page()["why"] and len(page("/readyz")["stopped"]) == 1, page("/readyz"))
    rows = [row for row in engine.ask("GET", "/metrics", port=engine.admin)[1].splitlines() if row.startswith("tidemark_source_stopped{")]
    case("metrics: that one alone", sorted(rows) == [f'tidemark_source_stopped{{source="auths",partition="{p}"}} {int(p == STUCK)}' for p in range(PARTS)], rows)
    wait_for("its cards are refused", lambda: asked(STUCK).get("cause") == "stale", 30, 0.2)
    refused, scored = asked(STUCK), asked(STUCK + 1)
    case("a request for a card in it is refused", refused["status"] == "refused" and f"auths/{STUCK}" in refused["detail"], refused)
    case("one for another card is scored", scored["status"] == "scored", scored)
    case("nothing is thrown away", broker.length("dead") == 0 and broker.length("scores") == others)
    wait_for("the registry is asked again, behind the time-out of the first request", lambda: Registry.asked >= 2, 30, 0.1)

    # --- started anew while it waits: the same schema, the same place
    case("it stops", engine.stop() == 0)
    engine.launch(wait=False)
    wait_for("it reads again", lambda: os.path.exists(engine.log) and engine.ingests(), 30, 0.1)
    wait_for("it waits again", stuck_page, 30, 0.1)
    case("an engine that starts anew waits for the same", f"schema {SLOW}" in stuck_page()["why"], stuck_page())

    # --- the registry answers
    Registry.free.set()
    case("it goes on when the registry does", wait_decided(broker, BACKLOG + MORE, 60), broker.length("scores"))
    wait_for("nothing stands still", lambda: not page("/readyz").get("stopped"), 30, 0.1)
    wait_for("its cards are scored", lambda: asked(STUCK)["status"] == "scored", 30, 0.2)
    case("it stops in the end", engine.stop() == 0)
    writer.close()

    # --- as if nothing had been
    messages = broker.get("scores")
    live = decisions(messages)
    case("each message has one decision", sorted(live) == sorted(m["id"] for m in log) and all(len(found) == 1 for found in live.values()), len(live))
    case("and is counted once", all(found[0][1]["counted"] is True and found[0][1]["duplicate"] is False for found in live.values()))
    traces = {txn: found[0][0].get("traceparent", "-").split("-")[1] for txn, found in live.items()}
    case("with its traceparent", all(trace == f"{int(txn[1:]) + 1:032x}" for txn, trace in traces.items()), [(txn, trace) for txn, trace in traces.items() if trace != f"{int(txn[1:]) + 1:032x}"])
    places = {p: [int(m["headers"]["tidemark-offset"]) for m in messages if m["headers"]["tidemark-partition"] == str(p)] for p in range(PARTS)}
    case("in the order of its partition", all(place == sorted(place) for place in places.values()), places)
    lines = os.path.join(TMP, "log.jsonl")
    with open(lines, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(m) + "\n" for m in sorted(log, key=lambda m: m["time"]))
    tide("replay", "--features", rules, "--dev-key", "--input", lines, "--output", f"{TMP}/out.jsonl", "--emit-features", "--history-from", "2026-01-01T00:00:00Z")
    with open(f"{TMP}/out.jsonl", encoding="utf-8") as file:
        replayed = [json.loads(line) for line in file]
    names = ("status", "decision", "by", "reasons", "counted", "duplicate", "event_time", "features", "states")
    differs = [(value["id"], name, live[value["id"]][0][1].get(name), value.get(name)) for value in replayed for name in names
               if live[value["id"]][0][1].get(name) != value.get(name)]
    case("every decision, feature and state is that of a run without trouble", len(replayed) == len(log) and not differs, (len(differs), differs[:3]))
    case("more than one kind of decision is among them", len({value["by"] for value in replayed}) >= 2, {value["by"] for value in replayed})
finally:
    if engine and engine.alive():
        engine.stop()
    Registry.free.set()
    broker.stop()
    registry.shutdown()
done()
