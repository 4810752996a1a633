"""q < N on real servers: two replicas, of which one must have a commit; a real broker that has everything. The replica that lags is made the primary, and what was acknowledged
behind it is on no server any more. Prints TAP.

Two engines answer over HTTP and read a topic meanwhile. Each time one replica is killed (one that stands still would find the rest in its socket when it goes on), traffic goes on
with the other one, then primary and other replica die at once and the sentinels have only the first one, started again, left. The engines find their history taken back, begin again from a snapshot that stands, and read back from Kafka what
was lost, before anything is acknowledged. The recorder's rules are those of q = N; the topics are the truth for what is counted in the end, and of each message that was decided
twice the decision that was let go in the highest epoch says that it supersedes and is the one that engines tell.

The first time, and then every second time, the primary of before is the only one left after that: the end that had been lost stands again, and what was decided meanwhile is gone.

CASES=n rounds (1); SEED=n.
"""

import collections
import http.client
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, "tests/support")
import chaos_history  # noqa: E402
from chaos_cluster import Cluster, redis_engine, verb  # noqa: E402
from chaos_faults import Run  # noqa: E402
from chaos_load import Load  # noqa: E402
from kafka_cell import Broker, config, need_broker  # noqa: E402
from processes import wait_for  # noqa: E402
from redis_cell import audit  # noqa: E402
from tap import TMP, case, done  # noqa: E402

ROUNDS, SEED = int(os.environ.get("TIDE_CASES") or 1), int(os.environ.get("TIDE_SEED") or 44)
PARTITIONS = 3
need_broker()
broker, cluster, load = Broker(), None, None


def command(engine):
    return [*redis_engine(engine), "--config", os.path.join(TMP, "config.yaml"), "--dev-key", "--set", f"registry.url=dir:{TMP}/registry"]


def make_journal(cell):
    result = verb(cell, "init", "--config", os.path.join(TMP, "config.yaml"), user="tidemark-restore")
    if result.returncode != 0:
        raise RuntimeError(f"tidemark init: {result.returncode}: {result.stderr}")


class Producer:
    """Puts transactions of cards of their own into the topic, at a steady pace."""

    def __init__(self):
        self.writer, self.stopping, self.n = broker.writer("message.timeout.ms=240000"), threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        rng = random.Random(SEED)
        while not self.stopping.is_set():
            self.n += 1
            self.writer.put("auths", {"id": f"k{self.n}", "card": f"kafka{self.n % 40}", "merchant": f"kafka{rng.randrange(5)}", "amount": "1.00", "currency": "EUR"},
                            self.n % PARTITIONS)
            self.writer.push()
            time.sleep(0.01)
        self.writer.close()

    def stop(self):
        self.stopping.set()
        self.thread.join(60)


class Probe:
    """Asks an engine for /readyz as an orchestrator does, only more often, and remembers what it said; and how often /livez said no."""

    def __init__(self, engine):
        self.engine, self.stopping, self.told, self.dead = engine, threading.Event(), {}, 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            status, body = self.engine.readiness()
            why = json.loads(body).get("why") if status else None
            self.told[status, why] = self.told.get((status, why), 0) + 1
            self.dead += self.engine.readiness("/livez")[0] == 503
            time.sleep(0.02)

    def stop(self):
        self.stopping.set()
        self.thread.join(60)
        return self.told


def survive(run, lone, dead, seconds=40):
    """Everything but `lone`, which was down, dies; the sentinels have only that."""
    was = run.primary()
    at = time.monotonic()
    for node in dead:
        node.kill()
    cluster.as_replica(lone, was)
    run.group.wait_primary(other_than=was, seconds=seconds)
    if run.group.primary() is not lone:
        raise RuntimeError(f"the sentinels name {run.group.primary().name}, and {lone.name} is all that runs")
    cluster.note_primary(lone)
    return at


def traffic(at, what):
    wait_for("traffic", lambda: load.acknowledged_since(time.monotonic() - 0.5), 60)
    print(f"# {what}: acknowledged again {time.monotonic() - at:.1f} s later", flush=True)


def left_behind(run):
    """A replica that was away is all that is left."""
    primary = run.primary()
    lagging, other = run.rng.sample(run.replicas(), 2)
    lagging.kill()
    run.hold(0.4, 1.5)
    at = survive(run, lagging, [other, primary])
    for node in (primary, other):
        cluster.as_replica(node, lagging)
    traffic(at, "a replica that was away")


def there_and_back(run):
    """The same, and then the primary of before is all that is left, with the end that had been lost; what was decided meanwhile it does not have."""
    primary = run.primary()
    lagging, other = run.rng.sample(run.replicas(), 2)
    lagging.kill()
    run.hold(0.4, 1.5)
    at = survive(run, lagging, [other, primary])
    cluster.as_replica(other, lagging)
    traffic(at, "there")
    run.hold(1.0, 2.0)
    at = survive(run, primary, [other, lagging])
    for node in (lagging, other):
        cluster.as_replica(node, primary)
    traffic(at, "and back")


def last_decisions(messages):
    """(source, partition, offset) -> all that left, the one that stands last."""
    found = {}
    for message in messages:
        h = message["headers"]
        value = json.loads(message["value"])
        epoch = int(h.get("tidemark-epoch") or h["tidemark-position"].split("-")[0])
        found.setdefault((int(h["tidemark-partition"]), int(h["tidemark-offset"])), []).append((epoch, h, value))
    for all_ in found.values():
        all_.sort(key=lambda one: one[0])
    return found


def told(engine, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=30)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def first_place(answer):
    return answer.get("first_position") or answer["position"]


def log_of(engine):
    with open(engine.log, encoding="utf-8", errors="replace") as file:
        return file.read()


producer, probes = None, []
try:
    broker.start()
    broker.topics(auths=PARTITIONS, scores=2, dead=1)
    config(os.path.join(TMP, "config.yaml"), broker, {"auths": {"topic": "auths", "silence": "1h"}}, http={"log": "kafka", "log_source": "auths"},
           engine={"heartbeat": "200ms"}, ingest={"claim_timeout": "800ms", "merge_wait": "50ms"}, fold={"history_from": "2026-01-01T00:00:00Z"})
    cluster = Cluster(os.path.join(TMP, "cell"), command, engines=2, needed=1)
    cluster.start(make_journal)
    load = Load(cluster.targets(), clients=4, seed=SEED).start()
    producer = Producer()
    probes = [Probe(engine) for engine in cluster.engines]
    begin = time.monotonic()
    wait_for("traffic", lambda: load.acknowledged_since(begin), 30)
    run = Run(cluster, load, SEED)
    for n in range(ROUNDS):
        run.hold(1.0, 2.0)
        (left_behind if n % 2 else there_and_back)(run)
        cluster.repair()
    run.hold(1.0, 1.1)
    cluster.repair()
    for engine in cluster.engines:
        wait_for(f"{engine.name} is ready", engine.ready, 60)
    left = load.probe()
    load.stop()
    producer.stop()
    case("every card could be asked in the end", not left, left[:5])
    case("every answer was one", not load.trouble, load.trouble[:3])
    exits = [(e.name, e.exits) for e in cluster.engines if e.exits]
    case("no engine ended", not exits and all(e.alive() for e in cluster.engines), exits)

    returns = {e.name: log_of(e).count("event=history_taken_back") for e in cluster.engines}
    case("engines found their history taken back and went on, each time", all(n >= ROUNDS for n in returns.values()), returns)
    for probe in probes:
        told_ready = probe.stop()
        print(f"# /readyz of {probe.engine.name}: {sorted(told_ready.items(), key=str)}", flush=True)
        away = [n for (status, why), n in told_ready.items() if status == 503 and "a failover has taken back" in (why or "")]
        case(f"{probe.engine.name} said while it returned why it was not ready", away, told_ready)
        wrong = [(status, why) for status, why in told_ready if "accept the loss" in (why or "")]
        case("and asked nobody to do what it does itself", not wrong and not probe.dead, (wrong, probe.dead))
    kept = [name for e in cluster.engines for name in os.listdir(os.path.join(e.dir, "journal")) if ".lost-" in name]
    case("what was lost is kept beside the mirrors", len(kept) >= ROUNDS, kept)
    summary = chaos_history.summary(load.attempts)
    print(f"# {summary}; {producer.n} by Kafka; taken back {returns}; kept {kept}", flush=True)
    violations = chaos_history.check(load.attempts, [], load.reads)
    for violation in violations[:5]:
        print(f"# {violation}", flush=True)
    case("what clients saw keeps the promise", not violations, len(violations))

    topic = {}
    for message in broker.get("auths"):
        topic[message["partition"], message["offset"]] = json.loads(message["value"])
    ids = {value["id"] for value in topic.values()}
    missing = [a.txn for a in load.attempts if a.acknowledged and f"t{a.txn}" not in ids]
    case("everything acknowledged stands in the topic", not missing, missing[:5])

    def decided():
        return last_decisions(broker.get("scores"))
    wait_for("a decision on every message", lambda: set(decided()) >= set(topic), 60, 1)
    scores = decided()
    case("every message has a decision, and nothing else has", set(scores) == set(topic), (len(scores), len(topic)))
    changed = {where: all_ for where, all_ in scores.items() if len({h["tidemark-position"] for _, h, _ in all_}) > 1}
    flagged = sum(1 for all_ in scores.values() if "tidemark-supersedes" in all_[-1][1])
    print(f"# {len(topic)} messages, {len(changed)} decided again, {flagged} of which the last decision says that it may supersede one", flush=True)
    case("failovers changed decisions", len(changed) > 0)
    silent = [all_ for all_ in changed.values() if all_[-1][1].get("tidemark-supersedes") != "true"]
    case("every changed decision says that it supersedes", not silent, silent[:1])
    same = [all_ for all_ in changed.values() if all_[-1][0] == all_[-2][0] and all_[-1][1]["tidemark-position"] != all_[-2][1]["tidemark-position"]]
    case("and one of the highest epoch stands", not same, same[:1])

    # A copy is sent when its request's entry has a position. One that got it from a server that could not say so any more is in the log without a copy; nobody was told a decision on it.
    perhaps = {a.txn: f"card{a.card}" for a in load.attempts if f"t{a.txn}" not in ids and a.counted is not False}
    spare, seen = collections.Counter(perhaps.values()), []
    for engine in cluster.engines:
        wrong, counts = [], {}
        for value in {v["id"]: v for v in topic.values()}.values():
            counts[value["card"]] = counts.get(value["card"], 0) + 1
        for where in random.Random(SEED).sample(sorted(changed), min(200, len(changed))):
            status, answer = told(engine, "/v1/decisions/lookup", {k: v for k, v in topic[where].items() if k != "options"})
            if status != 200 or first_place(answer) != first_place(scores[where][-1][2]) or answer.get("supersedes") is not True:
                wrong.append((where, status, answer, [(e, v["position"], v.get("first_position")) for e, _, v in scores[where]]))
        case(f"{engine.name} tells the decision that stands, and that it supersedes", not wrong, wrong[:1])
        acknowledged = {f"t{a.txn}": a for a in load.attempts if a.first}
        by_id = {v["id"]: v for v in topic.values()}
        silent, moved = [], 0
        for id_, attempt in acknowledged.items():
            status, answer = told(engine, "/v1/decisions/lookup", {k: v for k, v in by_id[id_].items() if k != "options"})
            stands = status == 200 and first_place(answer)
            moved += stands != "%d-%d.%d" % attempt.position
            if not stands or (stands != "%d-%d.%d" % attempt.position and answer.get("supersedes") is not True):
                silent.append((id_, attempt.position, status, answer))
        print(f"# {len(acknowledged)} were told a decision over HTTP, {moved} of which stand elsewhere now", flush=True)
        case(f"{engine.name} says it of every decision that a caller was told and that stands elsewhere now", not silent, silent[:1])
        off = []
        seen.append({})
        for card, count in sorted(counts.items()):
            status, answer = told(engine, "/v1/features", {"card": card})
            seen[-1][card] = answer.get("features")
            if status != 200 or not count <= answer["features"]["card.attempts_24h"] <= count + spare[card]:
                off.append((card, count, spare[card], status, answer.get("features")))
        case(f"{engine.name} has counted each transaction of the topic once", not off, (len(off), off[:3]))
    case("and both the same", seen[0] == seen[1], [(card, seen[0][card], seen[1][card]) for card in seen[0] if seen[0][card] != seen[1][card]][:1])
    print(f"# {len(perhaps)} requests of {len(spare)} cards may be in the log without a copy", flush=True)
    codes = [engine.stop() for engine in cluster.engines]
    case("engines stop cleanly", codes == [0, 0], codes)
    results = [audit(os.path.join(e.dir, "journal", "mirror")) for e in cluster.engines]
    case("audit decides all of it again at both, the same", all(r["same"] for r in results) and len({(r["decisions"], r["superseding"]) for r in results}) == 1, results)
    case("and says how many supersede", results[0]["superseding"] >= len({topic[where]["id"] for where in changed}) / 2, (results[0], len(changed)))
    epochs = json.load(open(os.path.join(TMP, "registry", "cells", "default", "epoch"), encoding="utf-8"))["epoch"]
    highest = max(all_[-1][0] for all_ in scores.values())
    case("the registry has the highest epoch", epochs >= highest, (epochs, highest))
finally:
    for probe in probes:
        probe.stop()
    if producer:
        producer.stop()
    if load:
        load.stop()
    if cluster:
        cluster.stop()
    broker.stop()
done()
