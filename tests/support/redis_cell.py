"""A cell on real Redis servers for the e2e tests: a primary, its replicas, and engines (`http_server.Server`) with a directory each.

Smaller than the cluster of the chaos runs: nobody keeps it alive, and sentinels only where a test asks for them.
"""

import concurrent.futures
import json
import os
import subprocess

from http_server import JSON, Server, tide
from redis_stack import Group
from tap import TMP

FEATURES = """tidemark: 1
name: cell
event: {id: id, time: time, amount: amount in EUR}
inputs:
  default: {id: /id, kind: {at: /kind, default: auth}, time: {at: /time, as: epoch_ms, optional: true}, amount: {at: /amount, currency: /currency}, card: /card}
entities: {card: card}
features:
  card: {attempts: count over 24h with current, total: sum of amount over 24h with current}
freshness:
  default: {budget: 1h, stale: fallback, warming: mark, consistency: quorum}
policy:
  decisions: [approve, decline]
  rules: [{R1: decline when card.attempts_24h > 20}, {else: approve}]
  fallback: [{else: decline}]
"""


class Cell:
    def __init__(self, name, replicas=1, sentinels=0, **more):
        self.dir, self.replicas = os.path.join(TMP, name), replicas
        os.makedirs(self.dir, exist_ok=True)
        self.features = os.path.join(self.dir, "features.yaml")
        with open(self.features, "w", encoding="utf-8") as file:
            file.write(FEATURES)
        self.group = Group(os.path.join(self.dir, "redis"), replicas=replicas, sentinels=sentinels, min_replicas=0, **more).start()
        self.primary = self.group.nodes[0]
        self.sent = 0

    @property
    def url(self):
        return f"{self.group.scheme}://tidemark@{self.primary.host}:{self.primary.port}"

    def words(self, url=None, replicas=None, user="tidemark"):
        replicas = self.replicas if replicas is None else replicas
        url = (url or self.url).replace("//tidemark@", f"//{user}@")
        return ["--journal", url, "--set", f"journal.password_file={self.group.password_file(user)}", "--set", f"journal.replicas={replicas}",
                "--set", f"journal.quorum={replicas}"]

    def verb(self, name, *words, code=0, url=None, replicas=None, user="admin"):
        """Runs a verb on the cell's journal, as people do it; its output, or with code=None the result."""
        return tide(name, *self.words(url, replicas, user), *words, code=code)

    def engine_dir(self, number):
        return os.path.join(self.dir, f"engine{number}")

    def mirror(self, number):
        return os.path.join(self.engine_dir(number), "mirror")

    def engine(self, number, *words, admin="127.0.0.1:0"):
        return Server(*self.words()[2:], "--set", f"engine.id={number}", "--set", f"journal.dir={self.engine_dir(number)}", *words, journal=self.url,
                      features=self.features, dev_key=False, admin=admin)

    def engines(self, numbers, *words):
        """They start side by side: with a short journal.keep the first may otherwise trim what the second has to begin with."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return list(pool.map(lambda number: self.engine(number, *words), numbers))

    def refuses(self, number, *words):
        """Starts an engine that must not start; (exit code, what it said)."""
        result = subprocess.run([*tide_serve(self, number), *words], capture_output=True, text=True, timeout=180)
        return result.returncode, result.stderr

    def length(self):
        return self.primary.ask("XLEN", "tidemark:{default}:journal")

    def send(self, servers, count, cards=50, clients=8):
        """count transactions with ids of their own, spread over servers; the answers in order of their ids."""
        first, self.sent = self.sent, self.sent + count

        def some(client):
            connections = [server.connect() for server in servers]
            answers = {}
            for n in range(first + client, first + count, clients):
                connection = connections[n % len(connections)]
                body = json.dumps({"id": f"t{n}", "amount": 1.0, "currency": "EUR", "card": f"c{n % cards}"})
                connection.request("POST", "/v1/score", body, {**JSON, "Tidemark-Timeout-Ms": "5000"})
                answers[n] = json.loads(connection.getresponse().read())
            for connection in connections:
                connection.close()
            return answers
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            parts = list(pool.map(some, range(clients)))
        return [answer for _, answer in sorted((n, a) for part in parts for n, a in part.items())]

    def counts(self, server, cards):
        """What an engine says of each card now; counts nothing and writes nothing."""
        found = []
        for card in cards:
            status, _, text = server.ask("POST", "/v1/features", json.dumps({"card": card}), JSON)
            value = json.loads(text)
            found.append((status, value.get("features", value)))
        return found

    def healthz(self, server):
        return json.loads(server.ask("GET", "/healthz", admin=True)[2])

    def stop(self):
        self.group.stop()


def tide_serve(cell, number):
    return [os.environ.get("TIDE_BIN", "build/tidemark"), "serve", "--features", cell.features, *cell.words(), "--set", f"engine.id={number}",
            "--set", f"journal.dir={cell.engine_dir(number)}", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]


def stop_all(servers):
    """Their exit codes. Side by side, for the same reason as engines()."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(lambda server: server.stop(), servers))


def mirrored(mirror, what="decisions"):
    """How many decisions (or entries) a mirror holds that is being written; 0 when it cannot be read just now."""
    result = tide("audit", "--journal", f"file:{mirror}", "--json", "--log-level", "error", code=None)
    return json.loads(result.stdout)[what] if result.returncode == 0 else 0


def audit(mirror):
    return json.loads(tide("audit", "--journal", f"file:{mirror}", "--json"))
