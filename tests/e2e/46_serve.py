"""The life of a server: what it refuses to start with, what it goes on with, what it answers to signals, and that the other verbs read the journal that it
wrote. Prints TAP.
"""

import os
import signal
import socket
import sys
import threading

sys.path.insert(0, "tests/support")
from http_server import SHIPPED, TMP, Server, auth, case, done, login, outcome, refuses, tide  # noqa: E402
from processes import wait_for  # noqa: E402


def write(name, text):
    path = os.path.join(TMP, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


with open(SHIPPED, encoding="utf-8") as file:
    shipped = file.read()

# --- a life

server = Server(level="info")
journal = server.journal
first = server.post("/v1/score", auth(1))[1]
server.post("/v1/events", login(2))
server.post("/v1/outcomes", outcome(1))
declined = server.post("/v1/score", auth(3), explain="full")[1]
case("the outcome is seen by the next", declined["features"]["card.declines_1h"] == 1)
server.process.send_signal(signal.SIGHUP)
wait_for("it is read", lambda: "event=reloaded" in server.log(), 20)
case("SIGHUP reads the configuration again, and goes on", "event=reloaded" in server.log() and server.post("/v1/score", auth(4))[0] == 200)
taken = server.port
refuses("a port that is taken", 4, f"cannot listen on 127.0.0.1 port {taken}", "--features", SHIPPED, "--journal", "memory", "--dev-key", "--listen",
        f"127.0.0.1:{taken}")
refuses("a journal in use", 4, "lock|in use|another process", "--features", SHIPPED, "--journal", journal, "--dev-key")
case("SIGINT ends it as SIGTERM does", server.stop(signal.SIGINT) == 0)
with socket.socket() as probe:
    case("nobody listens any more", probe.connect_ex(("127.0.0.1", taken)) != 0)

server = Server(journal=journal, level="info")
case("it goes on from its snapshot", "event=snapshot_used" in server.log())
again = server.post("/v1/score", auth(1))[1]
case("and knows what was", again["duplicate"] is True and again["first_position"] == first["position"])
case("SIGTERM", server.stop() == 0)
for name in os.listdir(os.path.join(journal[5:], "snapshots")):
    path = os.path.join(journal[5:], "snapshots", name, "MANIFEST")
    if os.path.exists(path):
        os.remove(path)
server = Server(journal=journal, level="info")
case("without a snapshot it folds the journal", "event=snapshot_used" not in server.log() and server.post("/v1/score", auth(1))[1]["duplicate"] is True)
server.stop()

# --- the other verbs

case("audit agrees over three epochs", "digests that agree: 3" in tide("audit", "--journal", journal))
text = tide("explain", "000000000003/000001/900001", "--journal", journal)
case("explain shows a decision", "by else" in text or "by " in text, text[:200])
case("inspect prints it", "fence" in tide("inspect", journal[5:]).lower())
result = tide("doctor", "--journal", journal, code=None)
case("doctor looks at it", result.returncode in (0, 1) and "corrupt" not in result.stdout.lower(), result.stdout[-300:] + result.stderr[-200:])

# --- what it refuses

tide("keys", "generate", os.path.join(TMP, "a.key"))
refuses("another key than the journal's", 3, "was written under key", "--features", SHIPPED, "--journal", journal, "--key-file", os.path.join(TMP, "a.key"))
refuses("no key", 3, "a key is needed", "--features", SHIPPED, "--journal", "memory")
other = write("other.yaml", shipped + "\n# a comment\n")
refuses("another feature file than the journal's", 3, "another version of the feature file", "--features", other, "--journal", journal, "--dev-key")
refuses("another limit than the journal's", 3, "lateness", "--features", SHIPPED, "--journal", journal, "--dev-key", "--set", "fold.lateness=1d")
log = os.path.join(TMP, "log.jsonl")
tide("generate", "--seed", "1", "--transactions", "50", "--output", log)
tide("replay", "--features", SHIPPED, "--dev-key", "--input", log, "--journal", f"file:{TMP}/replayed", "--log-level", "error")
refuses("a journal of replay", 3, "replay", "--features", SHIPPED, "--journal", f"file:{TMP}/replayed", "--dev-key")
reserved = write("reserved.yaml", shipped.replace("device: {at: /device, optional: true}", "device: {at: /options/device, optional: true}"))
refuses("a feature file that reads /options", 3, "options", "--features", reserved, "--journal", "memory", "--dev-key")
refuses("no feature file", 3, "features.file", "--journal", "memory")
refuses("an address that is none", 2, "is not an address", "--features", SHIPPED, "--journal", "memory", "--dev-key", "--admin", "nowhere")
refuses("a limit out of range", 3, "http.request_timeout", "--features", SHIPPED, "--journal", "memory", "--dev-key", "--set",
        "http.request_timeout=1ms")
refuses("a journal where none can be", 4, "/proc|cannot", "--features", SHIPPED, "--journal", "file:/proc/tidemark", "--dev-key")
with open(os.path.join(journal[5:], sorted(n for n in os.listdir(journal[5:]) if os.path.isfile(os.path.join(journal[5:], n)) and not n.startswith("LOCK"))[0]), "r+b") as file:
    file.seek(400)
    byte = file.read(1)
    file.seek(400)
    file.write(bytes([byte[0] ^ 1]))
refuses("a journal with a flipped bit", 5, "corrupt|broken|CRC|damaged", "--features", SHIPPED, "--journal", journal, "--dev-key")

# --- in memory, with several threads

server = Server("--set", "http.threads=4", "--cell", "eu", "--set", "fold.history_from=2020-01-01T00:00:00Z",
                journal="memory", level="warn")
answer = server.post("/v1/score", auth(1))[1]
case("in memory the answer says so", answer["provenance"]["durability"] == "memory" and answer["provenance"]["cell"] == "eu")
case("with history, nothing is warming", answer["freshness"]["card"] == {"state": "fresh", "age_ms": 0})
results = []


def many(begin):
    connection = server.connect()
    for n in range(begin, begin + 200):
        results.append(server.post("/v1/score", auth(n, f"40000{begin:011d}"), connection=connection)[1]["counted"])
    connection.close()


threads = [threading.Thread(target=many, args=(1000 * (t + 1),)) for t in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
case("eight clients on four threads, each transaction once", results == [True] * 1600, results.count(True))
counts = [server.post("/v1/features", {"card": {"number": f"40000{1000 * (t + 1):011d}"}})[1]["features"]["card.attempts_1h"] for t in range(8)]
case("and none is lost", counts == [200] * 8, counts)
case("it stops", server.stop() == 0)
done()
