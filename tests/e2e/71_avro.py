"""One engine reads Avro from a real Kafka broker, with schemas from a Schema Registry over HTTP and then from a directory: every decision and feature is that of
`tidemark replay` over the same content in JSON. While the registry is in trouble nothing is decided and nothing is thrown away; a schema that it does not know is a dead
letter, masked. Prints TAP.
"""

import http.server
import os
import random
import struct
import sys
import threading

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, auth, card, config, decisions, features, json, need_broker, now_ms, wait_decided, wait_for, wait_length  # noqa: E402
from avro_bytes import record, text, whole  # noqa: E402
from http_server import Server, tide  # noqa: E402
from tap import TMP, case, done  # noqa: E402

COUNT, CARDS, SPAN_MS = 600, 12, 30 * 60000
need_broker()
rng = random.Random(71)
begin = now_ms() - SPAN_MS - 60000


CARD = record("Card", number="string")
SCHEMAS = {
    7: record("Auth", id="string", time="long", card=CARD, merchant="string", amount="string", currency="string"),
    8: record("Auth", currency={"type": "enum", "name": "Currency", "symbols": ["USD", "EUR", "XYZ"]}, merchant=["null", "string"],
              amount={"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}, card=CARD,
              time={"type": "long", "logicalType": "timestamp-micros"}, id="bytes", later=["null", "double"]),
    9: record("Auth", id="string", time={"type": "long", "logicalType": "timestamp-millis"}, card=CARD, merchant="string", amount="double", currency="string"),
}


def avro(schema, message):
    pan, minor = text(message["card"]["number"]), round(float(message["amount"]) * 100)
    head = b"\0" + struct.pack(">I", schema)
    if schema == 8:
        amount = minor.to_bytes(5, "big", signed=True)
        return (head + whole(["USD", "EUR", "XYZ"].index(message["currency"])) + whole(1) + text(message["merchant"]) + whole(len(amount)) + amount + pan
                + whole(message["time"] * 1000) + text(message["id"]) + whole(1) + struct.pack("<d", float("nan")))
    amount = struct.pack("<d", float(message["amount"])) if schema == 9 else text(message["amount"])
    return head + text(message["id"]) + whole(message["time"]) + pan + text(message["merchant"]) + amount + text(message["currency"])


# --- a registry that can be in trouble
class Registry(http.server.BaseHTTPRequestHandler):
    well, asked = False, 0

    def log_message(self, *args):
        pass

    def do_GET(self):
        Registry.asked += 1
        number = int(self.path.rsplit("/", 1)[1])
        status, body = 503, {"error_code": 50302, "message": "no leader"}
        if Registry.well and number in SCHEMAS:
            status, body = 200, {"schema": json.dumps(SCHEMAS[number])}
        elif Registry.well:
            status, body = 404, {"error_code": 40403, "message": "Schema not found"}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
threading.Thread(target=registry.serve_forever, daemon=True).start()
directory = os.path.join(TMP, "schemas")
os.makedirs(directory)
for schema, body in SCHEMAS.items():
    with open(os.path.join(directory, f"{schema}.avsc"), "w", encoding="utf-8") as file:
        json.dump(body, file)

log = [auth(f"t{n}", rng.randrange(CARDS), begin + n * SPAN_MS // COUNT, f"m{rng.randrange(5)}", f"{rng.randrange(1, 9000) / 100:.2f}") for n in range(COUNT)]
broker = Broker()
broker.start()
servers = []
try:
    broker.topics(auths=1, scores=1, dead=1)
    writer = broker.writer()
    paths = {"features": features(os.path.join(TMP, "features.yaml"))}

    def engine(schemas):
        path = config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "key": "card", "format": "avro", "schemas": schemas}},
                      fold={"history_from": "2026-01-01T00:00:00Z"})
        servers.append(Server("--config", path, journal=f"file:{TMP}/journal", features=paths["features"], level="info"))
        return servers[-1]

    def put(data):
        writer.put("auths", "hex:" + data.hex(), 0)

    def send(messages, schema):
        for message in messages:
            put(avro(schema, message))
        writer.flush()

    # --- trouble: it waits
    half = COUNT // 2
    server = engine(f"http://127.0.0.1:{registry.server_address[1]}")
    send(log[:half], 7)
    wait_for("the registry is asked again and again", lambda: Registry.asked >= 3, 30, 0.05)
    case("nothing is decided without a schema", broker.length("scores") == 0)
    case("and nothing is thrown away", broker.length("dead") == 0)
    case("the log says what it waits for", "schema_awaited" in server.log() and "status 503" in server.log(), server.log()[-500:])
    Registry.well = True
    case("it goes on when the registry does", wait_decided(broker, half, 30), broker.length("scores"))
    asked = Registry.asked

    # --- another schema in the middle, and what is bad
    send(log[half:half + 100], 8)
    case("a schema that is new", wait_decided(broker, half + 100, 30), broker.length("scores"))
    case("is asked for once", Registry.asked == asked + 1, (Registry.asked, asked))
    wrong = {**auth("bad", 3, begin + SPAN_MS), "currency": "XYZ"}
    put(avro(7, log[0])[:30])
    put(avro(8, wrong))
    put(struct.pack(">BI", 0, 99) + avro(7, log[1])[5:])
    put(json.dumps(log[2]).encode())
    writer.flush()
    case("bad ones are dead letters", wait_length(broker, "dead", 4, 30) == 4, broker.length("dead"))
    dead = [(m["headers"]["tidemark-reason"], m["value"]) for m in broker.get("dead")]
    case("with the reason", sorted(reason for reason, _ in dead) == ["currency", "syntax", "syntax", "unknown_name"], dead)
    case("without a card number", not any(card(n) in (value or "") for _, value in dead for n in range(CARDS)), dead)
    shown = next(json.loads(value) for reason, value in dead if reason == "currency")
    case("as JSON where it can be read", shown["id"] == "bad" and shown["card"] == {"number": "***"} and shown["amount"] == 10.0, shown)
    case("it stops cleanly", server.stop() == 0)

    # --- schemas from a directory
    server = engine(directory)
    send(log[half + 100:], 9)
    case("a directory of schemas does as well", wait_decided(broker, COUNT, 30), broker.length("scores"))
    case("no registry is asked", Registry.asked == asked + 2, (Registry.asked, asked))
    case("it stops cleanly in the end", server.stop() == 0)
    writer.close()

    # --- the same in JSON
    lines = os.path.join(TMP, "log.jsonl")
    with open(lines, "w", encoding="utf-8") as file:
        for message in log:
            file.write(json.dumps(message) + "\n")
    tide("replay", "--features", paths["features"], "--dev-key", "--input", lines, "--output", f"{TMP}/out.jsonl", "--emit-features",
         "--history-from", "2026-01-01T00:00:00Z")
    with open(f"{TMP}/out.jsonl", encoding="utf-8") as file:
        replayed = [json.loads(line) for line in file]
    live = decisions(broker.get("scores"))
    names = ("status", "decision", "by", "reasons", "counted", "duplicate", "event_time", "features", "states")
    differs = [(value["id"], name, live[value["id"]][0][1].get(name), value.get(name)) for value in replayed for name in names
               if live[value["id"]][0][1].get(name) != value.get(name)]
    case("every decision, feature and state is that of JSON", len(replayed) == COUNT and not differs, (len(replayed), len(differs), differs[:3]))
    case("more than one kind of decision is among them", len({value["by"] for value in replayed}) >= 2, {value["by"] for value in replayed})
finally:
    for server in servers:
        if server.process.poll() is None:
            server.stop()
    broker.stop()
    registry.shutdown()
done()
