"""Clients of a chaos run: they send transactions to several engines at once and write down every request with what came of it.

Amounts are chosen so that an answer tells which transactions it has counted (chaos_history.py). A request without an acknowledged answer is often sent again, to any
engine, as a caller would do; sometimes it is given up.
"""

import http.client
import json
import random
import threading
import time

from chaos_history import BITS, Attempt, Read

FEATURES = """tidemark: 1
name: chaos
event:
  id: id
  time: time
  amount: amount in EUR
inputs:
  default:
    id: /id
    kind: {at: /kind, default: auth}
    time: {at: /time, as: epoch_ms, optional: true}
    amount: {at: /amount, currency: /currency}
    card: /card
    merchant: /merchant
entities:
  card: card
  merchant: merchant
features:
  card:
    attempts: count over 24h with current
    total: sum of amount over 24h with current
  merchant:
    attempts: count over 24h with current
freshness:
  default: {budget: 1h, stale: fallback, warming: mark, consistency: quorum}
policy:
  decisions: [approve, decline]
  rules:
    - R1: decline when card.attempts_24h > 20
    - else: approve
  fallback:
    - else: decline
"""
PROBE = BITS - 1  # the bit of a card that only the last look at it uses
SHOPS = 5


class Load:
    """targets: name -> (host, port), may change while it runs. Threads inherit the network namespace of whoever calls start()."""

    def __init__(self, targets, clients=6, seed=1, deadline_ms=1500, pause_s=0.02, hot=3, cold=120):
        self.targets, self.deadline_ms, self.pause_s = targets, deadline_ms, pause_s
        self.attempts, self.reads = [], []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.rng = random.Random(seed)
        self.cards = []  # next bit of each card ever used
        self.hot = [self.new_card() for _ in range(hot)]
        self.cold = [self.new_card() for _ in range(cold)]
        self.txns = 0
        self.trouble = []
        self.acknowledged = self.answered = 0  # transactions and questions
        self.threads = [threading.Thread(target=self.run, args=(n, random.Random(seed * 1000 + n)), daemon=True) for n in range(clients)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def new_card(self):
        self.cards.append(0)
        return len(self.cards) - 1

    def draw(self):
        """(txn, card, bit) of a transaction that nobody has sent yet. A few cards are hot, so that requests for them overlap; the others live long."""
        with self.lock:
            pool = self.hot if self.rng.random() < 0.4 else self.cold
            index = self.rng.randrange(len(pool))
            card = pool[index]
            bit = self.cards[card]
            self.cards[card] += 1
            if bit + 1 == PROBE:
                pool[index] = self.new_card()
            self.txns += 1
            return self.txns, card, bit

    def run(self, number, rng):
        connections = {}
        try:
            while not self.stopping.is_set():
                txn, card, bit = self.draw()
                for _ in range(rng.choice([1, 3, 6, 12])):
                    attempt = self.send(connections, number, rng.choice(sorted(self.targets)), txn, card, bit)
                    if attempt.acknowledged or self.stopping.is_set():
                        break
                    time.sleep(rng.uniform(0.01, 0.2))
                if rng.random() < 0.3:
                    self.read(connections, rng.choice(sorted(self.targets)), card)
                time.sleep(rng.uniform(0, 2 * self.pause_s))
        except Exception as error:  # a thread that dies quietly would look like a calm run
            self.trouble.append(f"client {number}: {error!r}")
            raise
        finally:
            for connection in connections.values():
                connection.close()

    def send(self, connections, client, engine, txn, card, bit):
        host, port = self.targets[engine]
        shop = f"shop{card % SHOPS}"
        attempt = Attempt(txn, card, bit, shop, client, engine, time.monotonic())
        cents = 1 << bit
        body = json.dumps({"id": f"t{txn}", "card": f"card{card}", "merchant": shop, "amount": f"{cents // 100}.{cents % 100:02d}", "currency": "EUR",
                           "options": {"explain": "full"}})
        with self.lock:
            self.attempts.append(attempt)  # before it is sent: what is under way when the run ends counts as sent
        connection = connections.get(engine)
        try:
            if connection is None:
                connection = connections[engine] = http.client.HTTPConnection(host, port, timeout=self.deadline_ms / 1000 + 2)
            connection.request("POST", "/v1/score", body, {"Content-Type": "application/json", "Tidemark-Timeout-Ms": str(self.deadline_ms)})
            response = connection.getresponse()
            text = response.read()
            attempt.ended = time.monotonic()  # before what others look for it by
            if response.status in (200, 429, 503):
                attempt.take(response.status, json.loads(text))
                with self.lock:
                    self.acknowledged += attempt.first
            else:
                attempt.error = f"{response.status} {text[:200]!r}"
                self.trouble.append(attempt.error)
        except (OSError, http.client.HTTPException) as error:
            attempt.error, attempt.ended = repr(error), time.monotonic()
            if connection is not None:
                connection.close()
            connections.pop(engine, None)
        return attempt

    def read(self, connections, engine, card):
        """What a card's window holds, asked by its key alone."""
        host, port = self.targets[engine]
        read = Read(card, engine, time.monotonic())
        with self.lock:
            self.reads.append(read)
        connection = connections.get(engine)
        try:
            if connection is None:
                connection = connections[engine] = http.client.HTTPConnection(host, port, timeout=self.deadline_ms / 1000 + 2)
            connection.request("POST", "/v1/features", json.dumps({"card": f"card{card}"}),
                               {"Content-Type": "application/json", "Tidemark-Timeout-Ms": str(self.deadline_ms)})
            response = connection.getresponse()
            text = response.read()
            read.ended = time.monotonic()
            if response.status == 200:
                features = json.loads(text)["features"]
                read.attempts, read.total = features["card.attempts_24h"], round(features["card.total_24h"] * 100)
                with self.lock:
                    self.answered += 1
            elif response.status not in (429, 503, 504):  # overload, no journal, the deadline
                self.trouble.append(f"features: {response.status} {text[:200]!r}")
        except (OSError, http.client.HTTPException):
            if connection is not None:
                connection.close()
            connections.pop(engine, None)

    def probe(self, seconds=120):
        """When all is calm again: one more transaction of every card, until it is acknowledged. Shows what each card's window holds in the end. Returns the cards that
        could not be asked."""
        connections, end, left = {}, time.monotonic() + seconds, []
        for card in range(len(self.cards)):
            with self.lock:
                self.txns += 1
                txn = self.txns
            turn = 0
            while True:
                engine = sorted(self.targets)[(card + turn) % len(self.targets)]
                attempt = self.send(connections, -1, engine, txn, card, PROBE)
                if attempt.acknowledged:
                    break
                turn += 1
                if time.monotonic() > end:
                    left.append(card)
                    break
                time.sleep(0.05)
        for connection in connections.values():
            connection.close()
        return left

    def acknowledged_since(self, moment):
        """Whether a request that was sent after it has been acknowledged."""
        with self.lock:
            for attempt in reversed(self.attempts):
                if attempt.sent > moment and attempt.first:
                    return True
                if attempt.sent < moment - 10:
                    return False
        return False

    def gap(self, begin, end):
        """The longest time within [begin, end] in which no acknowledged answer came."""
        with self.lock:
            times = sorted(a.ended for a in self.attempts if a.first and begin <= a.ended <= end)
        points = [begin, *times, end]
        return max(b - a for a, b in zip(points, points[1:]))
