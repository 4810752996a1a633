"""A flood: hundreds of clients that send the next request as soon as they have an answer, with a deadline that not all of them can be given. Decisions
go on being scored, whoever is not scored gets the fallback's decision, 503 says that it is overload, and afterwards everything is as before. Prints TAP.

How many are scored depends on the machine and is not tested here: tests/unit/81_admit.c does that in simulated time.
"""

import collections
import json
import os
import select
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import Document, Server, auth, case, done  # noqa: E402

with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    document = Document(file.read())

CLIENTS, SECONDS = 400, 4


def request(n, timeout_ms):
    data = json.dumps(auth(n, f"4{n % 997:015d}")).encode()
    return (f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTidemark-Timeout-Ms: {timeout_ms}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def ask_again(server, n):
    """The same message with time enough."""
    headers = {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "10000"}
    return json.loads(server.ask("POST", "/v1/score", auth(n, f"4{n % 997:015d}"), headers)[2])


def split(data):
    """(status, headers, body) of one whole response, or None."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    lines = head.decode().split("\r\n")
    headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
    return (int(lines[0].split()[1]), headers, body.decode()) if len(body) >= int(headers["content-length"]) else None


def flood(server, timeout_ms, seconds):
    """Every client always has one request under way. Gives [(n, when, status, headers, body)], and how many had no answer at the end."""
    poll, client, answers = select.epoll(), {}, []
    number = 0
    for _ in range(CLIENTS):
        sock = server.socket()
        client[sock.fileno()] = [sock, b"", number]
        poll.register(sock.fileno(), select.EPOLLIN)
        sock.sendall(request(number, timeout_ms))
        number += 1
    end = time.monotonic() + seconds
    while client and time.monotonic() < end + 20:
        for fd, _ in poll.poll(0.1):
            sock, data, n = client[fd]
            chunk = sock.recv(65536)
            answer = split(data + chunk)
            if answer is None and chunk:
                client[fd][1] = data + chunk
                continue
            if answer:
                answers.append((n, time.monotonic(), *answer))
            if not chunk or time.monotonic() >= end:
                poll.unregister(fd)
                sock.close()
                del client[fd]
                continue
            client[fd][1:] = [b"", number]
            sock.sendall(request(number, timeout_ms))
            number += 1
    left = len(client)
    for sock, _, _ in client.values():
        sock.close()
    return answers, number - len(answers), left


# Few may be worked on and few may wait, and the commits are small: so that it is too much on any machine.
server = Server("--set", "queue.http=32", "--set", "commit.max_batch=8", level="error", deadline=None)
begin = time.monotonic()
answers, missing, left = flood(server, 100, SECONDS)
bodies = [json.loads(body) for _, _, _, _, body in answers]
counts = collections.Counter((status, body["status"], body.get("cause")) for (_, _, status, _, _), body in zip(answers, bodies))
case("every request has an answer", missing == 0 and left == 0, (missing, left))
case("200 or 503, nothing else", {a[2] for a in answers} <= {200, 503}, counts)
scored = [a for a, body in zip(answers, bodies) if body["status"] == "scored"]
case("some are scored", len(scored) > 0, counts)
case("all the time", all(any(begin + s < a[1] <= begin + s + 2 for a in scored) for s in range(0, SECONDS - 1)), counts)
refused = [(a, body) for a, body in zip(answers, bodies) if body["status"] != "scored"]
case("not all are", len(refused) > 0, counts)
case("who is refused has the fallback's decision", all(body["status"] == "refused" and body["by"] == "F02" and body["decision"] == "approve" for _, body in refused),
     [body for _, body in refused if body["by"] != "F02"][:1])
case("503 is overload and nothing else is", all((a[2] == 503) == (body["cause"] == "overload") for a, body in refused), counts)
case("it says when to come again", all(a[3].get("retry-after") == "1" for a, _ in refused if a[2] == 503))
case("the other refusals are for the deadline", {body["cause"] for _, body in refused} <= {"overload", "deadline"}, counts)
wrong = [w for a in answers[:: max(1, len(answers) // 500)] for w in [document.check("POST", "/v1/score", *a[2:])] if w]
case("each is as documented", not wrong, wrong[:1])
again = [ask_again(server, a[0]) for a in scored[:100]]
case("what was scored is counted", all(b["duplicate"] for b in again), [b for b in again if not b["duplicate"]][:1])
again = [(body["counted"], ask_again(server, a[0])["duplicate"]) for a, body in refused[:100]]
case("what was refused is not, unless it says maybe", all(counted == "maybe" or not duplicate for counted, duplicate in again), again[:3])
body = ask_again(server, 10_000_000)
case("afterwards it scores as before", body["status"] == "scored" and not body["duplicate"], body)
case("nothing is left under way", server.settled("tidemark_http_in_flight", 0), server.metric("tidemark_http_in_flight"))
case("it stops cleanly", server.stop() == 0)

# A stop in the middle of it: whoever waits is let in or told.
server = Server("--set", "queue.http=32", "--set", "commit.max_batch=8", level="error", deadline=None)
sockets = [server.socket() for _ in range(200)]
for n, sock in enumerate(sockets):
    sock.sendall(request(n, 5000))
code = server.stop()
whole = True
for sock in sockets:
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    whole = whole and (not data or split(data) is not None)
    sock.close()
case("a stop in the middle of it exits 0", code == 0, code)
case("and cuts no answer in two", whole)
assert os.path.isdir(os.path.dirname(server.dir))
done()
