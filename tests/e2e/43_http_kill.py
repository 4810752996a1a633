"""kill -9 under load, several times: every acknowledged transaction is counted after the restart, its retry gets the first answer, and
what was not acknowledged counts at most once, however often it is sent. Prints TAP.
"""

import http.client
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, "tests/support")
from http_server import TMP, Server, auth, case, done, tide  # noqa: E402
from processes import wait_for  # noqa: E402

ROUNDS, CLIENTS, CARDS = 5, 8, 20
journal = f"file:{TMP}/journal"
rng = random.Random(4343)
sent, acknowledged, lock = {}, {}, threading.Lock()


def card(n):
    return f"40000000000{n % CARDS:05d}"


def client(server, numbers, stop):
    connection = server.connect(timeout=10)
    while not stop.is_set():
        with lock:
            n = next(numbers)
            sent[n] = card(n)
        try:
            status, answer = server.post("/v1/score", auth(n, card(n)), connection=connection)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return  # it was killed: whether this one is in the journal is not known
        if status == 200 and answer["counted"] is True:
            with lock:
                acknowledged[n] = answer
    connection.close()


def count_up():
    n = 0
    while True:
        n += 1
        yield n


numbers = count_up()
restarts = []
for round_ in range(ROUNDS):
    server = Server("--set", "snapshot.every=50ms", journal=journal, level="info")
    restarts.append(server.at)
    stop = threading.Event()
    threads = [threading.Thread(target=client, args=(server, numbers, stop)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    enough = len(acknowledged) + 50
    time.sleep(rng.uniform(0.3, 0.8))
    wait_for("some are acknowledged", lambda: len(acknowledged) >= enough, 20)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(60)
    stop.set()
    for thread in threads:
        thread.join()

case("many were acknowledged before a kill", len(acknowledged) > 200, len(acknowledged))
case("and some were not", len(sent) > len(acknowledged), (len(sent), len(acknowledged)))
case("each start opened an epoch of its own", restarts == [f"{e}-{1 if e == 1 else 0}" for e in range(1, ROUNDS + 1)], restarts)
server = Server(journal=journal, level="info")
connection = server.connect()
lost, other = [], []
for n, first in acknowledged.items():
    answer = server.post("/v1/score", auth(n, card(n)), connection=connection)[1]
    if answer["duplicate"] is not True:
        lost.append(n)
    elif answer.get("first_position") != first["position"] or any(answer[k] != first[k] for k in ("id", "status", "decision", "by", "score")):
        other.append((n, first, answer))
case("no acknowledged transaction is lost", not lost, lost[:5])
case("each retry gets the first answer", not other, other[:1])
for n in set(sent) - set(acknowledged):
    for _ in range(2):
        answer = server.post("/v1/score", auth(n, card(n)), connection=connection)[1]
    if answer["duplicate"] is not True:
        other.append(n)
case("what was not acknowledged counts once, however often it is sent", not other, other[:1])
expected = {}
for number in sent.values():
    expected[number] = expected.get(number, 0) + 1
wrong = {}
for number, count in expected.items():
    features = server.post("/v1/features", {"card": {"number": number}}, connection=connection)[1]["features"]
    if features["card.attempts_24h"] != count:
        wrong[number] = (features["card.attempts_24h"], count)
case("every card's count is the number of its transactions", not wrong, wrong)
connection.close()
case("it stops cleanly", server.stop() == 0)
case("and audit agrees over all epochs", "digests that agree: 1" in tide("audit", "--journal", journal))
assert os.path.isdir(f"{TMP}/journal/snapshots")
done()
