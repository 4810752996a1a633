"""A real Kafka broker for the e2e tests, what tests put into its topics and read out of them, and the files of an engine that reads it.

Messages are put and read by build/tests/tool/kafka_pipe. A test names its topics itself and has a broker of its own, which it may kill.
"""

import http.client
import json
import os
import subprocess
import sys
import time

import yaml

from tap import TMP, done, skip

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "stack"))
from kafka import Kafka  # noqa: E402
import processes  # noqa: E402
import with_kafka  # noqa: E402
from processes import free_port, wait_for  # noqa: E402

TIDE = os.environ.get("TIDE_BIN", "build/tidemark")

PIPE = os.path.join(os.path.dirname(TIDE), "tests", "tool", "kafka_pipe")

FEATURES = """tidemark: 1
name: kafka
event: {id: id, time: time, amount: amount in EUR, score: kind = auth, key: pan}
inputs:
  default: {id: /id, kind: {at: /kind, default: auth}, time: {at: /time, as: epoch_ms, optional: true}, amount: {at: /amount, currency: /currency}, pan: /card/number, merchant: /merchant}
  outcomes: {when: {/type: outcome}, type: outcome, id: /id, time: {at: /time, as: epoch_ms}, pan: /card/number, result: {at: /result, map: {"00": approved, "*": declined}}}
entities: {card: pan, merchant: merchant}
features:
  card:
    attempts: count over 1m, 1h, 24h with current
    declines: count over 1h where result = declined
    spend: sum of amount over 1h, 24h with current
    merchants: distinct of merchant over 1h
    idle: time since previous
  merchant:
    seen: count over 10m with current
    cards: distinct of card over 1h
freshness:
  default: {budget: BUDGET, stale: fallback, warming: mark, consistency: quorum}
  merchant: {budget: MERCHANT, stale: fallback, warming: mark, consistency: quorum}
policy:
  decisions: [approve, review, decline]
  rules:
    - D1: decline when card.declines_1h >= 2 say "{card.declines_1h} declines in an hour"
    - R1: review when card.attempts_1m > 3
    - R2: review when merchant.cards_1h > 40
    - else: approve
  fallback: [{F1: approve when amount <= 1.00}, {else: decline}]
"""


def need_broker():
    """Ends the test as skipped where there can be no broker; with CI=true that is a failure."""
    why = with_kafka.missing()
    if why and os.environ.get("CI") == "true":
        sys.exit(f"a real broker is required: {why}")
    if why:
        with_kafka.note(f"{os.path.basename(sys.argv[0])} was skipped: {why}")
        skip("a real Kafka broker", why)
        done()


class Broker(Kafka):
    """Its own, ended with the test."""

    def __init__(self, name="kafka"):
        super().__init__(os.path.join(TMP, name), stay=False)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()

    def pipe(self, what, *words, **more):
        result = subprocess.run([PIPE, what, self.address, *words], capture_output=True, text=True, timeout=240, **more)
        if result.returncode != 0:
            raise RuntimeError(f"kafka_pipe {what} {words}: {result.stderr[-500:]}")
        return result.stdout

    def topics(self, **partitions):
        self.pipe("topics", *(f"{name}:{count}" for name, count in partitions.items()))

    def get(self, *topics):
        """All messages of topics as dicts, in the order of their offsets within a partition."""
        return [json.loads(line) for line in self.pipe("get", *topics).splitlines()]

    def length(self, *topics):
        return sum(int(line.split("\t")[3]) - int(line.split("\t")[2]) for line in self.pipe("ends", *topics).splitlines())

    def writer(self, *settings):
        return Writer(self, settings)


class Writer:
    """Puts messages into topics, in their order."""

    def __init__(self, broker, settings):
        self.process = subprocess.Popen([PIPE, "put", broker.address, *settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def put(self, topic, value, partition=-1, key="", at_ms=0, headers=None):
        value = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        header = ";".join(f"{k}={v}" for k, v in (headers or {}).items())
        self.process.stdin.write(f"{topic}\t{partition}\t{at_ms}\t{key}\t{header}\t{value}\n")

    def push(self):
        """Hands over what was put, without waiting for it."""
        self.process.stdin.flush()

    def flush(self):
        """Waits until everything put so far has arrived; how many that are."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"kafka_pipe put ended with {self.process.wait(10)}")
        return int(line)

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(240)
        self.process.stdout.close()
        if code != 0:
            raise RuntimeError(f"kafka_pipe put ended with {code}")


def features(path, budget="1h", merchant="1h", text=FEATURES):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("BUDGET", budget).replace("MERCHANT", merchant))
    return path


class Engine:
    """An engine that is not waited for: it may be killed before it has read what its epoch began with."""

    def __init__(self, name, *words):
        self.name, self.port, self.admin, self.process = name, free_port(), free_port(), None
        self.dir = os.path.join(TMP, name)
        os.makedirs(self.dir, exist_ok=True)
        self.log = os.path.join(self.dir, "log")
        self.command = [TIDE, "serve", *words, "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}", "--dev-key", "--set", "log.limit=0"]

    def launch(self, wait=True):
        self.process = processes.start(self.command, self.log)
        if wait:
            wait_for(f"{self.name} is ready", self.ready, 60)
        return self

    def alive(self):
        return self.process is not None and self.process.alive()

    def kill(self):
        self.process.kill()

    def stop(self):
        """Its exit code."""
        self.process.stop(60)
        return self.process.child.returncode

    def ask(self, method, path, body=None, port=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ready(self):
        if not self.alive():
            raise RuntimeError(f"{self.name} ended: {processes.tail(self.log, 5)}")
        return self.ask("GET", "/readyz", port=self.admin)[0] == 200

    def score(self, message, **options):
        return json.loads(self.ask("POST", "/v1/score", {**message, "options": options})[1])

    def ingests(self):
        """It is the one that reads, by its log."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            last = [line for line in file if "event=ingest_" in line][-1:]
        return bool(last) and "ingest_begin" in last[0] and self.alive()


def config(path, broker, sources, scores_topic="scores", dead_topic="dead", **sections):
    """An operator's file. sources: name -> keys of the source; sections: name -> its keys, over what stands here."""
    whole = {"sources": sources, "scores": {"topic": scores_topic, "features": "all"}, "dead_letters": {"topic": dead_topic},
             "kafka": {"bootstrap.servers": broker.address, "fetch.wait.max.ms": 5, "reconnect.backoff.max.ms": 200}}
    for name, keys in sections.items():
        whole[name] = {**whole.get(name, {}), **keys}
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(whole, file)
    return path


def now_ms():
    return time.time_ns() // 1000000


def card(n):
    return f"4000{n:012d}"


def auth(txn, number, time_ms, merchant="m1", amount="10.00", **more):
    return {"id": txn, "time": time_ms, "card": {"number": card(number)}, "merchant": merchant, "amount": amount, "currency": "EUR", **more}


def outcome(txn, number, time_ms, result="00"):
    return {"type": "outcome", "id": txn, "time": time_ms, "card": {"number": card(number)}, "result": result}


def decisions(messages):
    """The scores topic as ID -> list of (its headers, the decision), in the order in which they left."""
    found = {}
    for message in messages:
        value = json.loads(message["value"])
        found.setdefault(value["id"], []).append((message["headers"], value))
    return found


def wait_length(broker, topic, count, seconds):
    """Waits until a topic has so many messages; how many it has."""
    try:
        wait_for(f"{count} messages in {topic}", lambda: broker.length(topic) >= count, seconds, 0.2)
    except TimeoutError:
        pass
    return broker.length(topic)


def wait_decided(broker, count, seconds):
    """Waits until so many messages have a decision. Answers may leave again, by who does not know that they had left: copies do not count."""
    return wait_for(f"{count} messages are decided", lambda: len(decisions(broker.get("scores"))) == count, seconds, 0.3)
