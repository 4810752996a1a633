"""Two engines on real Redis and a real broker, killed with -9 while they read: what was put into Kafka, the journal and the scores topic agree in the end. Each valid
transaction is counted once and has a decision, copies are the same byte for byte, each bad message is a dead letter. Outcomes come ahead of their transactions, some
transactions come by HTTP as well, at the same moment, milliseconds apart, at any engine; the broker is killed meanwhile. Prints TAP.

CASES=n kills (6); SEED=n.
"""

import http.client
import os
import random
import sys
import threading
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, card, config, features, json, need_broker, now_ms, outcome, wait_for  # noqa: E402
from redis_cell import Cell, audit  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTITIONS, CARDS = 4, 60
KILLS, SEED = int(os.environ.get("TIDE_CASES") or 6), int(os.environ.get("TIDE_SEED") or 73)
need_broker()
rng = random.Random(SEED)
broker, engines, cell, load = Broker(), [], None, None


class Load:
    """Puts messages at a steady pace, and sends some of them by HTTP as well."""

    def __init__(self):
        self.writer = broker.writer("message.timeout.ms=240000", "reconnect.backoff.max.ms=200")
        self.rng = random.Random(SEED + 1)
        self.stopping = threading.Event()
        self.place = {}      # (topic, partition) -> messages put
        self.kind = {}       # (topic, partition, offset) -> id of a valid transaction, None: bad, "": an outcome
        self.declined = {}   # id -> the last outcome put
        self.card = {}       # id -> card
        self.http = {}       # id -> answers
        self.waiting, self.more = [], threading.Condition()
        self.n = 0
        self.failure = None
        self.threads = [threading.Thread(target=self.guard, args=(self.run,)), *(threading.Thread(target=self.guard, args=(self.ask,)) for _ in range(4))]
        for thread in self.threads:
            thread.start()

    def guard(self, what):
        try:
            what()
        except Exception as error:  # told by the main thread; it must not end silently here
            self.failure = error

    def put(self, topic, partition, message, kind):
        where = self.place.get((topic, partition), 0)
        self.place[topic, partition] = where + 1
        self.kind[topic, partition, where] = kind
        self.writer.put(topic, message, partition)

    def one(self):
        self.n += 1
        txn, number, at, draw = f"t{self.n}", self.rng.randrange(CARDS), now_ms(), self.rng.random()
        partition = number % PARTITIONS
        if draw < 0.02:
            wrong = self.rng.choice([{"id": txn, "card": {"number": card(number)}}, "{", {**auth(txn, number, at), "currency": "XYZ"}, "[]"])
            return self.put("auths", partition, wrong, None)
        self.card[txn] = number
        message = auth(txn, number, at, f"m{self.rng.randrange(9)}", f"{self.rng.randrange(1, 9000) / 100:.2f}")
        if draw < 0.3:  # its outcome is there before it
            self.declined[txn] = self.rng.random() < 0.5
            self.put("outcomes", 0, outcome(txn, number, at, "05" if self.declined[txn] else "00"), "")
        if 0.2 < draw < 0.4:  # at an engine at the same time
            with self.more:
                self.waiting.append({**message, "time": at + self.rng.randrange(-5, 6)})
                self.more.notify()
        self.put("auths", partition, message, txn)
        if 0.4 < draw < 0.44:  # and twice in Kafka
            self.put("auths", partition, {**message, "time": at + 3}, txn)
        return None

    def run(self):
        while not self.stopping.is_set():
            for _ in range(self.rng.randrange(1, 7)):
                self.one()
            self.writer.push()
            time.sleep(0.01)
        self.writer.close()

    def ask(self):
        while True:
            with self.more:
                self.more.wait_for(lambda: self.waiting or self.stopping.is_set(), 1)
                if not self.waiting:
                    if self.stopping.is_set():
                        return
                    continue
                message = self.waiting.pop()
            for one in random.sample(engines, 2):  # at both: a retry may go anywhere
                try:
                    answer = one.score(message)
                except (OSError, http.client.HTTPException):
                    continue  # it is down, or was killed meanwhile
                self.http.setdefault(message["id"], []).append(answer)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(300)


def position(text):
    return [int(part) for part in text.replace(".", "-").split("-")]


def reconcile(messages, dead):
    """What was put against what came out."""
    score, differ = {}, []
    for message in messages:
        h = message["headers"]
        where = h["tidemark-source"], int(h["tidemark-partition"]), int(h["tidemark-offset"])
        if score.setdefault(where, message["value"]) != message["value"]:
            differ.append((where, score[where], message["value"]))
    wanted = {where for where, kind in load.kind.items() if where[0] == "auths" and kind}
    case("every valid transaction has a decision, and nothing else has", set(score) == wanted, (len(score), len(wanted), sorted(wanted - set(score))[:5]))
    case("copies are the same, byte for byte", not differ, differ[:1])
    print(f"# {len(messages) - len(score)} decisions left twice", flush=True)

    # One count per id: of all answers to one id, by Kafka or HTTP, the earliest is the first and all others name it.
    answers = {}
    for where, value in score.items():
        value = json.loads(value)
        if value["id"] != load.kind[where]:
            differ.append((where, value["id"]))
        answers.setdefault(value["id"], []).append(value)
    by_http = 0
    for txn, given in load.http.items():
        good = [a for a in given if a.get("counted") is True or a.get("duplicate") is True]
        by_http += len(good)
        answers.setdefault(txn, []).extend(good)
    first = {txn: [a for a in given if not a["duplicate"]] for txn, given in answers.items()}
    firsts = {txn: {a["position"] for a in given} for txn, given in first.items()}
    lone = {txn for txn, given in firsts.items() if len(given) != 1}
    # A request that was counted, and whose engine died before it answered: only the others know its position.
    unheard = {txn for txn in lone if not firsts[txn] and txn in {m for m in load.card} and len({a["first_position"] for a in answers[txn]}) == 1}
    case("each transaction is counted once", lone == unheard, [(txn, answers[txn]) for txn in sorted(lone - unheard)[:2]])
    told = [(txn, a) for txn, given in answers.items() for a in given
            if a["duplicate"] and txn not in unheard and firsts[txn] and a["first_position"] not in firsts[txn]]
    case("every duplicate names the first", not told, told[:2])
    other = [txn for txn, given in answers.items() if len({(a["decision"], a["by"]) for a in given}) != 1]
    case("and has its decision", not other, [(txn, answers[txn]) for txn in other[:1]])
    case("and its answer bears its id", not differ, differ[:2])
    met = sum(1 for txn in load.http if txn in answers and any(a["duplicate"] for a in answers[txn]))
    case("transactions met by HTTP and Kafka", met > 5 and any(not a["duplicate"] for g in load.http.values() for a in g), (met, by_http))
    print(f"# {by_http} answers over HTTP to {len(load.http)} of {len(answers)} transactions; {len(unheard)} counted by requests that nobody heard the end of",
          flush=True)

    letters = {}
    for message in dead:
        h = message["headers"]
        letters.setdefault(("auths", int(h["tidemark-partition"]), int(h["tidemark-offset"])), set()).add((message["value"], h["tidemark-reason"]))
    bad = {where for where, kind in load.kind.items() if kind is None}
    case("every bad message is a dead letter, and nothing else is", set(letters) == bad, (len(letters), len(bad), sorted(bad ^ set(letters))[:5]))
    case("and its copies are the same", all(len(found) == 1 for found in letters.values()))


def counts():
    """Both engines know of each card what was put."""
    attempts, declines = dict.fromkeys(range(CARDS), 0), dict.fromkeys(range(CARDS), 0)
    for txn, number in load.card.items():
        attempts[number] += 1
        declines[number] += load.declined.get(txn, False)
    for one in engines:
        wrong = []
        for number in range(CARDS):
            values = json.loads(one.ask("POST", "/v1/features", {"card": {"number": card(number)}})[1])["features"]
            if (values["card.attempts_24h"], values["card.declines_1h"]) != (attempts[number], declines[number]):
                wrong.append((number, values["card.attempts_24h"], attempts[number], values["card.declines_1h"], declines[number]))
        case(f"{one.name} has counted each transaction once, and each outcome", not wrong, (len(wrong), wrong[:4]))


try:
    broker.start()
    broker.topics(auths=PARTITIONS, outcomes=1, scores=2, dead=1)
    cell = Cell("cell", replicas=2)
    path = features(os.path.join(TMP, "features.yaml"), "1h")
    sources = {"auths": {"topic": "auths", "key": "card", "silence": "1h"}, "outcomes": {"topic": "outcomes", "input": "outcomes", "silence": "1h"}}
    words = ["--config", config(os.path.join(TMP, "config.yaml"), broker, sources, fold={"history_from": "2026-01-01T00:00:00Z"}, engine={"heartbeat": "200ms"},
                                ingest={"claim_timeout": "600ms", "merge_wait": "100ms"}, snapshot={"every": "2s"}), "--features", path]
    cell.verb("init", "--features", path, "--dev-key")
    for n in (1, 2):
        engines.append(Engine(f"engine{n}", *words, *cell.words(), "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/journal{n}"))
        engines[-1].launch()
    load = Load()
    readers = 0
    for kill in range(KILLS):
        time.sleep(rng.uniform(0.1, 1.2))
        def reading():
            return [one for one in engines if one.ingests()]
        # Mostly the one that reads, however long it takes until there is one; otherwise anybody, in whatever he is about.
        victims = wait_for("one reads", reading, 60)[-1:] if rng.random() < 0.6 else rng.sample(engines, rng.choice([1, 1, 1, 2]))
        for one in victims:
            readers += one.ingests()
            one.kill()
        if kill % 25 == KILLS % 25 // 2:
            broker.kill()
            broker.restart()
        time.sleep(rng.uniform(0, 0.5))
        for one in victims:
            one.launch(wait=False)
        if load.failure:
            raise load.failure
    time.sleep(1)
    load.stop()
    if load.failure:
        raise load.failure
    for one in engines:
        wait_for(f"{one.name} is ready", one.ready, 60)
    total = sum(load.place[key] for key in load.place)
    case("everything put is in Kafka", broker.length("auths", "outcomes") == total, (broker.length("auths", "outcomes"), total))
    wanted = sum(1 for where, kind in load.kind.items() if where[0] == "auths" and kind)

    def answered():
        return len({(m["headers"]["tidemark-partition"], m["headers"]["tidemark-offset"]) for m in broker.get("scores")}) >= wanted
    try:
        wait_for("all decisions", answered, 60, 1)
    except TimeoutError as error:
        print(f"# {error}", flush=True)
    print(f"# {KILLS} kills, {readers} of them of the engine that was reading; {total} messages, {wanted} to be decided, seed {SEED}", flush=True)
    case("engines were killed while they read", readers >= KILLS / 3, readers)
    reconcile(broker.get("scores"), broker.get("dead"))
    counts()
    for one in engines:
        case(f"{one.name} stops cleanly", one.stop() == 0)
    results = [audit(os.path.join(TMP, f"journal{n}", "mirror")) for n in (1, 2)]
    case("audit decides all of it again at both, the same", all(r["same"] for r in results) and len({r["decisions"] for r in results}) == 1, results)
finally:
    if load:
        load.stop()
    for one in engines:
        if one.alive():
            one.process.stop()
    if cell:
        cell.stop()
    broker.stop()
done()
