"""Every kind of record from a topic of its own, on a real broker with TLS and passwords: events, outcomes, labels, rates and heartbeats, each with its shape. A rate converts what comes
behind it; a label changes what is counted; heartbeat records keep a silent source alive and nothing else does; a message's traceparent goes with its decision. A wrong password is told and
reads nothing. Prints TAP.
"""

import os
import sys
import time

sys.path.insert(0, "tests/support")
from certificates import Authority  # noqa: E402
from kafka_cell import FEATURES, Broker, Engine, auth, card, config, decisions, features, free_port, json, need_broker, now_ms, outcome, wait_decided, wait_for, wait_length  # noqa: E402
from tap import TMP, case, done  # noqa: E402

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MORE = """  labels: {type: label, id: /id, time: {at: /time, as: epoch_ms}, pan: /card/number, label: /label}
  rates: {type: rate, time: {at: /time, as: epoch_ms}, currency: /currency, rate: /rate}
  beats: {when: {/type: beat}, type: heartbeat, time: {at: /time, as: epoch_ms}}
entities:"""
need_broker()
broker, engine = Broker(), None
server = Authority(os.path.join(TMP, "ca"), "brokers").issue("broker", "serverAuth")
with open(os.path.join(TMP, "broker.pem"), "w", encoding="ascii") as out:
    for part in server.key, server.cert:
        with open(part, encoding="ascii") as file:
            out.write(file.read())
secure = free_port()
broker.more = f"""listeners=PLAINTEXT://127.0.0.1:{broker.port},CONTROLLER://127.0.0.1:{broker.controller},SASL_SSL://127.0.0.1:{secure}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker.port},SASL_SSL://127.0.0.1:{secure}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_tidemark="right";
ssl.keystore.type=PEM
ssl.keystore.location={TMP}/broker.pem
"""


def ask_features(number):
    return json.loads(engine.ask("POST", "/v1/features", {"card": {"number": card(number)}})[1])


try:
    broker.start()
    broker.topics(auths=1, outcomes=1, labels=1, rates=1, scores=1, dead=1)
    text = FEATURES.replace("entities:", MORE, 1).replace("    idle: time since previous", "    idle: time since previous\n    frauds: count over 24h where label = fraud")
    path = features(os.path.join(TMP, "features.yaml"), budget="4s", text=text)
    sources = {"auths": {"topic": "auths", "silence": "2s"}, "outcomes": {"topic": "outcomes", "input": "outcomes", "gates": False},
               "labels": {"topic": "labels", "input": "labels", "gates": False}, "rates": {"topic": "rates", "input": "rates", "gates": False}}
    for name in "right", "wrong":
        with open(os.path.join(TMP, name), "w", encoding="ascii") as file:
            file.write(name + "\n")

    def settings(password):
        return config(os.path.join(TMP, f"{password}.yaml"), broker, sources, fold={"history_from": "2026-01-01T00:00:00Z"}, engine={"heartbeat": "200ms"},
                      kafka={"bootstrap.servers": f"127.0.0.1:{secure}", "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "tidemark",
                             "sasl.password_file": os.path.join(TMP, password), "ssl.ca.location": server.ca})
    writer = broker.writer()
    for n in range(3):
        writer.put("auths", auth(f"t{n}", 1, now_ms()), 0, headers={"traceparent": TRACE} if n == 1 else None)
    writer.flush()

    # --- passwords
    engine = Engine("refused", "--config", settings("wrong"), "--features", path, "--journal", f"file:{TMP}/none").launch(wait=False)

    def refused():
        with open(engine.log, encoding="utf-8", errors="replace") as file:
            return [line for line in file if "uthentication" in line]
    wait_for("a wrong password is told", lambda: os.path.exists(engine.log) and refused(), 30, 0.2)
    case("and reads nothing", broker.length("scores") == 0 and engine.ask("GET", "/readyz", port=engine.admin)[0] == 503)
    case("the password is in no line", not any("wrong\n" in line or "=wrong" in line for line in open(engine.log, encoding="utf-8")), refused()[:1])
    case("it stops", engine.stop() == 0)
    engine = Engine("engine", "--config", settings("right"), "--features", path, "--journal", f"file:{TMP}/journal").launch()
    case("with the right one it reads and writes through TLS", wait_decided(broker, 3, 30), broker.length("scores"))
    traces = {txn: found[0][0].get("traceparent") for txn, found in decisions(broker.get("scores")).items()}
    case("a traceparent goes with the decision of its message", traces == {"t0": None, "t1": TRACE, "t2": None}, traces)

    # --- rates and labels
    other = {**auth("usd", 2, now_ms()), "currency": "USD", "amount": "100.00"}
    writer.put("auths", other, 0)
    writer.flush()
    wait_length(broker, "scores", 4, 20)
    case("a currency without a rate is refused", decisions(broker.get("scores"))["usd"][0][1].get("cause") == "no_rate", decisions(broker.get("scores"))["usd"])
    writer.put("rates", {"time": now_ms(), "currency": "USD", "rate": "0.50"}, 0)
    writer.flush()
    wait_for("the rate is read", lambda: {s["name"]: s["partitions"][0]["cursor"] for s in json.loads(engine.ask("GET", "/sources", port=engine.admin)[1])["sources"]}["rates"] == 1, 20, 0.1)
    writer.put("auths", {**other, "id": "usd2", "time": now_ms()}, 0)
    writer.flush()
    wait_length(broker, "scores", 5, 20)
    spent = decisions(broker.get("scores"))["usd2"][0][1]["features"]["card.spend_24h"]
    case("one converts what comes behind it", spent == 50.0, spent)
    writer.put("labels", {"id": "t0", "time": now_ms(), "card": {"number": card(1)}, "label": "fraud"}, 0)
    writer.put("outcomes", outcome("t1", 1, now_ms(), "05"), 0)
    writer.flush()
    told = wait_for("both are counted", lambda: (lambda f: f if f["card.frauds_24h"] == 1 and f["card.declines_1h"] == 1 else None)(ask_features(1)["features"]), 20, 0.1)
    case("labels and outcomes change what is counted, and count nothing", told["card.attempts_24h"] == 3, told)

    # --- heartbeats
    def status():
        asked.append(engine.score(auth("q", 1, now_ms()), count=False))
        return asked[-1]["status"]
    asked = []
    wait_for("a silent source is refused", lambda: status() == "refused", 20, 0.2)
    writer.put("labels", {"id": "t2", "time": now_ms(), "card": {"number": card(1)}, "label": "genuine"}, 0)
    writer.flush()
    time.sleep(0.5)
    case("messages of another source are no sign of it", status() == "refused")

    def beat():
        writer.put("auths", {"type": "beat", "time": now_ms()}, 0)
        writer.flush()
        return status()
    wait_for("a heartbeat record wakes it", lambda: beat() == "scored", 20, 0.2)
    until, statuses = time.monotonic() + 7, set()  # longer than the silence and the budget
    while time.monotonic() < until:
        statuses.add(beat())
        time.sleep(0.2)
    case("heartbeat records keep it alive", statuses == {"scored"}, (statuses, asked[-1]))
    case("and are no decisions", broker.length("scores") == 5 and broker.length("dead") == 0, (broker.length("scores"), broker.get("dead")[:1]))
    wait_for("without them it is refused again", lambda: status() == "refused", 20, 0.2)
    writer.close()
    case("it stops in the end", engine.stop() == 0)
finally:
    if engine and engine.alive():
        engine.process.stop()
    broker.stop()
done()
