"""More than can be answered: the queue is bounded, what does not fit is answered at once with 503, Retry-After and the fallback's decision, and
the rest is still scored. And a journal that cannot be written: refusals, probes that say why. Prints TAP.
"""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import TIDE, TMP, Document, Server, auth, case, done, login, statuses  # noqa: E402

with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    document = Document(file.read())


def bytes_of(path, body, timeout_ms=10000):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTidemark-Timeout-Ms: {timeout_ms}\r\nConnection: close\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def burst(server, path, bodies):
    """All at once, each on a connection of its own: (status, headers in lower case, body)."""
    sockets = [server.socket() for _ in bodies]
    for sock, body in zip(sockets, bodies):
        sock.sendall(bytes_of(path, body))
    out = {sock: b"" for sock in sockets}
    left = set(sockets)
    while left:
        ready = select.select(list(left), [], [], 60)[0]
        assert ready, "no answer within 60 s"
        for sock in ready:
            chunk = sock.recv(65536)
            out[sock] += chunk
            if not chunk:
                left.discard(sock)
                sock.close()
    answers = []
    for sock in sockets:
        head, _, body = out[sock].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        answers.append((int(lines[0].split()[1]), headers, body.decode()))
    return answers


# --- a queue of four, two records to an entry

server = Server("--set", "queue.http=4", "--set", "commit.max_batch=2")
answers = burst(server, "/v1/score", [auth(n) for n in range(300)])
full = [a for a in answers if a[0] == 503]
case("all are answered", len(answers) == 300 and {a[0] for a in answers} <= {200, 503}, {a[0] for a in answers})
case("some are scored", sum(a[0] == 200 and json.loads(a[2])["status"] == "scored" for a in answers) >= 4)
case("some do not fit", len(full) >= 10, len(full))
wrong = [w for a in answers for w in [document.check("POST", "/v1/score", *a)] if w]
case("each is as documented", not wrong, wrong[:1])
bodies = [json.loads(a[2]) for a in full]
case("503 says when to come again", all(a[1].get("retry-after") == "1" for a in full))
case("and has the fallback's decision", all(b["status"] == "refused" and b["cause"] == "overload" and b["by"] == "F02" and b["decision"] == "approve"
                                           and b["counted"] is False for b in bodies), bodies[:1])
again = [server.post("/v1/score", auth(n))[1] for n in range(300)]
counted = [i for i, a in enumerate(answers) if a[0] == 200]
case("those that were counted are known", all(again[i]["duplicate"] for i in counted))
case("those that were refused were not counted", not any(again[i]["duplicate"] for i in range(300) if i not in counted))
answers = burst(server, "/v1/events", [login(1000 + n) for n in range(200)])
kinds = {json.loads(a[2]).get("type", "accepted").rsplit(":", 1)[-1] for a in answers}
case("events are refused with a problem, for there is no decision", kinds == {"accepted", "overload"}, kinds)
case("it has Retry-After too", all(a[1].get("retry-after") == "1" for a in answers if a[0] == 503))
wrong = [w for a in answers for w in [document.check("POST", "/v1/events", *a)] if w]
case("and is as documented", not wrong, wrong[:1])
status, _, text = server.ask("POST", "/v1/score/batch", [auth(2000 + n) for n in range(50)])
causes = [a.get("cause") for a in json.loads(text)["answers"]]
case("a batch beyond the queue has both", status == 200 and "overload" in causes and None in causes, causes)
case("refusals are counted by cause", server.metric("tidemark_answers_by_rule_total", 'cause="overload"') >= len(full))
case("so are messages that the inbox had no room for, or the core", server.metric("tidemark_inbox_refused_total") + server.metric("tidemark_engine_refused_total") >= len(full))
case("it is ready all the time", server.ask("GET", "/readyz", admin=True)[0] == 200)
case("it stops cleanly", server.stop() == 0)

# --- a stop under load: everything that was taken is answered

server = Server()
sockets = [server.socket() for _ in range(50)]
for n, sock in enumerate(sockets):
    sock.sendall(bytes_of("/v1/score", auth(3000 + n)))
code = server.stop(signal.SIGTERM)
got = []
for sock in sockets:
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    got += statuses(data)
    sock.close()
case("a stop under load exits 0", code == 0, code)
case("and answers what it answers", set(got) <= {200}, got)

# --- a journal that cannot grow


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (131072, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


popen = subprocess.Popen
subprocess.Popen = lambda *a, **k: popen(*a, preexec_fn=small_files, **k)
server = Server(level="error")
subprocess.Popen = popen
n, last = 4000, {}
while n < 8000 and last.get("status") != "refused":
    status, last = server.post("/v1/score", auth(n, f"40000{n:011d}"))
    n += 1
case("when the disk is full the fallback answers", status == 200 and last["status"] == "refused" and last["decision"] == "approve", last)
case("at once with the cause", last["cause"] == "unavailable" and "cannot commit" in last["detail"] and last["counted"] in (False, "maybe"), last)
first_refused = n - 1
for path, body in (("/v1/events", login(1)), ("/v1/features", {"card": {"number": "4000"}}), ("/v1/decisions/lookup", auth(4000, "4000000000004000"))):
    status, headers, text = server.ask("POST", path, body)
    case(f"{path}: 503 unavailable", status == 503 and "unavailable" in text and not document.check("POST", path, status, headers, text), text)
deadline = time.monotonic() + 60
while server.ask("GET", "/readyz", admin=True)[0] == 200 and time.monotonic() < deadline:
    time.sleep(0.05)
status, headers, text = server.ask("GET", "/readyz", admin=True)
case("readyz says no, and why", status == 503 and json.loads(text)["ready"] is False and "no room" in json.loads(text)["journal"]
     and not document.check("GET", "/readyz", status, headers, text), text)
status, headers, text = server.ask("GET", "/healthz", admin=True)
case("healthz as well", status == 503 and not document.check("GET", "/healthz", status, headers, text), text)
case("livez still says yes, or why not", server.ask("GET", "/livez", admin=True)[0] in (200, 503))
resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
deadline = time.monotonic() + 60
while server.ask("GET", "/readyz", admin=True)[0] != 200 and time.monotonic() < deadline:
    time.sleep(0.05)
case("with room again it is ready by itself", server.ask("GET", "/readyz", admin=True)[0] == 200)
status, answer = server.post("/v1/score", auth(first_refused, f"40000{first_refused:011d}"))
case("a retry of what was refused is scored, once", status == 200 and answer["status"] == "scored", answer)
status, answer = server.post("/v1/score", auth(n, f"40000{n:011d}"))
case("and what comes then", status == 200 and answer["status"] == "scored" and not answer["duplicate"], answer)
server.process.kill()
server.process.wait()
server = Server(journal=server.journal, level="error")
for number in (4000, first_refused, n):
    status, answer = server.post("/v1/score", auth(number, f"40000{number:011d}"))
    case(f"what was acknowledged is there ({number})", status == 200 and answer["duplicate"] is True, answer)
case("and it stops cleanly", server.stop() == 0)
assert TIDE and os.path.isdir(TMP)
done()
