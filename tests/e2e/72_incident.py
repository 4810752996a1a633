"""Ninety minutes behind, in three forms. (1) The messages wait in Kafka: read later, across a kill and a takeover, each feature and decision is that of the run that
read them as they came. (2) They wait before Kafka: the log is read to its end, and a request for now is refused all the same. (3) A source falls
silent: refused after its `silence`; one partition that stands still refuses its own cards and no other's; a quiet night refuses nothing. A count by processing time,
made here only to be compared with, differs visibly. Prints TAP.
"""

import os
import random
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, Engine, auth, config, decisions, features, json, need_broker, now_ms, outcome, wait_for, wait_length  # noqa: E402
from http_server import tide  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTITIONS, CARDS, COUNT, SPAN_MS, LIVE = 4, 400, 40000, 90 * 60000, 300
HISTORY = "2026-01-01T00:00:00Z"
NAMES = ("id", "status", "decision", "by", "score", "reasons", "counted", "duplicate", "event_time", "features", "states")
need_broker()
rng = random.Random(72)
broker = Broker()
broker.start()
engines, cell = [], None


def engine(name, words):
    engines.append(Engine(name, *words))
    return engines[-1]


def settings(name, sources, budget, **more):
    """The files of a cell with topics of its own; what its engines are started with."""
    path = os.path.join(TMP, name)
    broker.topics(**{f"{name}_scores": 1, f"{name}_dead": 1})
    return ["--config", config(f"{path}.yaml", broker, sources, f"{name}_scores", f"{name}_dead", fold={"history_from": HISTORY, "out_of_orderness": "500ms"},
                               engine={"heartbeat": "300ms"}, ingest={"claim_timeout": "1s"}, **more),
            "--features", features(f"{path}.features", budget)]


def answers(name):
    """ID -> its first decision, and the messages."""
    messages = broker.get(f"{name}_scores")
    return {txn: found[0][1] for txn, found in decisions(messages).items()}, messages


def differences(one, other, ids):
    return [(txn, name, one[txn].get(name), other[txn].get(name)) for txn in ids for name in NAMES if one[txn].get(name) != other[txn].get(name)]


def by_processing_time(messages, window_ms):
    """How many attempts of the card a count by arrival would have found for each transaction: the wrong way to count."""
    seen, counts = {}, {}
    for message in messages:
        txn = json.loads(message["value"])["id"]
        if txn in counts:
            continue
        times = seen.setdefault(card_of[txn], [])
        times.append(message["time"])
        counts[txn] = sum(t > message["time"] - window_ms for t in times)
    return counts


try:
    # --- 1: in Kafka

    broker.topics(auths=PARTITIONS, outcomes=2)
    writer = broker.writer()
    lines, card_of = [], {}

    def put(n, at):
        number = rng.randrange(CARDS)
        message = auth(f"t{n}", number, at, f"m{rng.randrange(12)}", f"{rng.randrange(1, 9000) / 100:.2f}")
        card_of[f"t{n}"] = number
        writer.put("auths", message, number % PARTITIONS, str(number), at)
        lines.append(message)
        if n % 4 == 0 and n:
            of = rng.randrange(max(0, n - 20), n)
            lines.append(outcome(f"t{of}", card_of[f"t{of}"], at + 1, rng.choice(["00", "05"])))
            return lambda: writer.put("outcomes", lines[-1], card_of[f"t{of}"] % 2, "", at + 1)
        return None

    first = now_ms() - SPAN_MS
    for n in range(COUNT):
        later = put(n, first + n * (SPAN_MS - 2000) // COUNT)
        if later:
            later()
    writer.flush()
    sources = {"auths": {"topic": "auths", "key": "card", "silence": "10m"}, "outcomes": {"topic": "outcomes", "input": "outcomes", "silence": "10m"}}
    punctual = engine("punctual", [*settings("live", sources, "3s"), "--journal", f"file:{TMP}/live"]).launch()
    for n in range(COUNT, COUNT + LIVE):  # each one arrives before the next: the logs are filled in the order of the events
        later = put(n, now_ms())
        writer.flush()
        time.sleep(0.01)
        if later:
            later()
            writer.flush()
            time.sleep(0.01)
    total = COUNT + LIVE
    wait_length(broker, "live_scores", total, 30)
    live, _ = answers("live")
    case("the punctual run decides everything", len(live) == total, (len(live), total))
    case("and refuses nothing", all(v["status"] == "scored" for v in live.values()), next((v for v in live.values() if v["status"] != "scored"), ""))
    asked = punctual.score(auth("now", 1, now_ms()))
    case("a request for now is answered, fresh", asked["status"] == "scored", asked)

    time.sleep(4)  # more than the budget
    cell = Cell("cell", replicas=1)
    cell.verb("init", "--features", os.path.join(TMP, "live.features"), "--dev-key")
    words = settings("late", sources, "3s", commit={"max_batch": 16})
    late = [engine(f"late{n}", [*words, *cell.words(), "--set", f"engine.id={n}", "--set", f"journal.dir={TMP}/late{n}"]) for n in (1, 2)]
    late[0].launch(wait=False)
    wait_for("one engine reads", late[0].ingests, 20)
    late[1].launch(wait=False)
    wait_for("it has written something", lambda: cell.length() > 10, 20)
    behind = cell.length()
    late[0].kill()
    wait_for("the other one takes over", late[1].ingests, 20)
    took = cell.length()
    late[0].launch(wait=False)
    time.sleep(0.2)
    late[1].kill()
    wait_for("and back", late[0].ingests, 20)
    again = cell.length()
    late[1].launch(wait=False)
    for one in late:
        wait_for(f"{one.name} is ready", one.ready, 60)
    wait_length(broker, "late_scores", total, 60)
    case("they were killed while they read", 3 < behind <= took <= again < cell.length() - 50, (behind, took, again, cell.length()))
    found, messages = answers("late")
    case("the late run decides everything", len(found) == total, (len(found), total))
    refused = sum(v["status"] != "scored" for v in found.values())
    case("less than 1 % is refused", refused * 100 < total, (refused, next((v for v in found.values() if v["status"] != "scored"), "")))
    wrong = differences(live, found, live) if len(found) == len(live) else ["not all"]
    case("every feature and decision is that of the punctual run", not wrong, (len(wrong), wrong[:3]))
    path = os.path.join(TMP, "log.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    tide("replay", "--features", os.path.join(TMP, "live.features"), "--dev-key", "--input", path, "--output", f"{TMP}/out.jsonl", "--emit-features",
         "--history-from", HISTORY)
    with open(f"{TMP}/out.jsonl", encoding="utf-8") as file:
        replayed = {value["id"]: value for value in map(json.loads, file)}
    wrong = differences(replayed, found, replayed) if len(found) == len(replayed) else ["not all"]
    case("and that of replay", not wrong, (len(wrong), wrong[:3]))
    counts = by_processing_time(messages, 60000)
    off = sum(counts[txn] != found[txn]["features"]["card.attempts_1m"] for txn in counts)
    declined = sum(count > 3 for count in counts.values())
    right = sum(found[txn]["features"]["card.attempts_1m"] > 3 for txn in counts)
    print(f"# attempts in a minute: by processing time {off} of {total} counts are wrong; more than 3 attempts {declined} times, by event time {right} times", flush=True)
    case("a count by processing time differs visibly", off > total / 2, off)
    for one in (punctual, *late):
        case(f"{one.name} stops cleanly", one.stop() == 0)

    # --- 2: before Kafka

    broker.topics(up_auths=2)
    up = engine("up", [*settings("up", {"auths": {"topic": "up_auths", "key": "none", "silence": "10m"}}, "3s"), "--journal", f"file:{TMP}/up"]).launch()

    def feed(seconds, behind_ms, until=lambda: False):
        """A message for each of two partitions every 20 ms, appended now, of events so long ago."""
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end and not until():
            for partition in range(2):
                writer.put("up_auths", auth(f"u{rng.getrandbits(40)}", partition, now_ms() - behind_ms, "m"), partition)
            writer.push()
            n += 1
            time.sleep(0.02)
        return n

    def now_is(one, number=1, **more):
        return one.score(auth(f"q{rng.getrandbits(40)}", number, now_ms(), "m"), count=False, **more)

    feed(2, 0)
    asked = now_is(up)
    case("while messages come in time a request is answered", asked["status"] == "scored", asked)
    began = time.monotonic()
    feed(10, SPAN_MS, lambda: now_is(up)["status"] == "refused")
    took = time.monotonic() - began
    asked = now_is(up)
    case("a queue before Kafka, its log read to the end: refused within the budget", took < 3 and asked.get("cause") == "stale", (took, asked))
    print(f"# refused {took:.2f} s after the queue began; {asked.get('detail')}", flush=True)
    feed(1, SPAN_MS)
    case("and it stays so", now_is(up).get("cause") == "stale")
    case("up stops cleanly", up.stop() == 0)

    # --- 3: silent, stuck, quiet

    broker.topics(quiet_auths=PARTITIONS)
    quiet = engine("quiet", [*settings("quiet", {"auths": {"topic": "quiet_auths", "key": "card", "silence": "1h"}}, "3s"), "--journal", f"file:{TMP}/quiet"]).launch()
    for number in range(40):
        writer.put("quiet_auths", auth(f"k{number}", number, now_ms(), "m"), number % PARTITIONS)
    writer.flush()
    wait_length(broker, "quiet_scores", 40, 10)
    silent = engine("silent", [*settings("silent", {"auths": {"topic": "quiet_auths", "key": "card", "silence": "2s"}}, "3s"), "--journal", f"file:{TMP}/silent"])
    silent.launch()
    began = time.monotonic()
    early = now_is(silent)
    time.sleep(6)
    statuses = [now_is(quiet, number)["status"] for number in range(40)]
    case("a quiet night refuses nothing", statuses == ["scored"] * 40, statuses.count("scored"))
    asked = now_is(silent)
    case("a silent source is fresh before its silence is up", early["status"] == "scored", early)
    case("and refused after it and the budget", asked.get("cause") == "stale", asked)

    quiet.process.pause()
    for n in range(10):  # a message that waits in the socket, and others that nobody will ever read
        writer.put("quiet_auths", auth(f"gone{n}", 2, now_ms(), "m"), 2)
        writer.flush()
        time.sleep(0.02)
    ends = {int(line.split("\t")[1]): line.split("\t")[3] for line in broker.pipe("ends", "quiet_auths").splitlines()}
    broker.pipe("cut", "quiet_auths", "2", ends[2])
    quiet.process.resume()
    time.sleep(5)
    statuses = [now_is(quiet, number)["status"] == "refused" for number in range(40)]
    own = [number % PARTITIONS == 2 for number in range(40)]
    case("a partition that stands still refuses its own cards", all(r for r, o in zip(statuses, own) if o), now_is(quiet, 2))
    case("and no other's", not any(r for r, o in zip(statuses, own) if not o), statuses)
    with open(quiet.log, encoding="utf-8") as file:
        said = [line for line in file if "event=partition_stopped" in line]
    case("the log says which and why, once", len(said) == 1 and "source=auths partition=2" in said[0] and "reason=" in said[0], said)
    status, text = quiet.ask("GET", "/readyz", port=quiet.admin)
    case("readyz says so too", "auths" in text and "gap" in text, (status, text))
    case("silent stops cleanly", silent.stop() == 0)
    case("quiet stops cleanly", quiet.stop() == 0)
    writer.close()
finally:
    for one in engines:
        if one.alive():
            one.process.stop()
    if cell:
        cell.stop()
    broker.stop()
done()
