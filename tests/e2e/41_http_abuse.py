"""Clients that mean harm or are broken: too slow, too long, cut short, not HTTP at all, by the thousand, gone before the answer. None of them may
take the server down, hold a connection beyond the limits, leave something behind, or make one message out of another. Prints TAP.
"""

import json
import os
import resource
import select
import socket
import struct
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import Document, Server, auth, case, done, raw, statuses  # noqa: E402

with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    document = Document(file.read())
server = Server("--set", "http.request_timeout=1s", "--set", "http.idle_timeout=1s", "--set", "http.max_body=4096B", "--set", "http.max_connections=600", "--set", "process.core_dumps=true", level="info")  # its descriptors are counted below
LIBRARY = {400, 414, 431, 500, 501, 505}  # what the HTTP library says by itself


def message(n, body=None, extra="", path="/v1/score", method="POST"):
    data = body if body is not None else json.dumps(auth(n)).encode()
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(data)}\r\n\r\n".encode() + data


def chunked(n, chunks, extra=""):
    head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}Transfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


def sends(name, data, expected, timeout=60, half_close=False):
    """Sends, reads to the end; the statuses must be `expected` or, where it is a set, at most one of them (none: the connection is closed)."""
    out = raw(server, data, timeout, half_close)
    got = statuses(out)
    good = got == expected if isinstance(expected, list) else len(got) <= 1 and set(got) <= expected
    case(name, good, f"{got} {out[-200:]!r}")
    return out


def counted(n):
    """Whether transaction n is in the journal."""
    status, _ = server.post("/v1/decisions/lookup", {k: auth(n)[k] for k in ("rrn", "stan", "acquirer", "card")})
    assert status in (200, 404)
    return status == 200


# --- too slow

def trickle(name, data, step, expected):
    begin = time.monotonic()
    with server.socket() as sock:
        out = b""
        for at in range(0, len(data), step):
            try:
                sock.sendall(data[at:at + step])
            except OSError:
                break
            if select.select([sock], [], [], 0.05)[0]:
                chunk = sock.recv(65536)
                out += chunk
                if not chunk:
                    break
        try:
            while chunk := sock.recv(65536):
                out += chunk
        except OSError:
            pass
    took = time.monotonic() - begin
    got = statuses(out)
    case(name, got == expected and 0.8 < took < 8, f"{got} after {took:.1f} s")
    if got == [408]:
        head, _, text = out.partition(b"\r\n\r\n")
        headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head.decode().split("\r\n")[1:]}
        case("it is the documented 408", not document.check("POST", "/v1/score", 408, headers, text.decode()), text)


trickle("a request line byte by byte", message(1), 1, [408])
trickle("header lines byte by byte", b"POST /v1/score HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(2000)), 9, [408])
trickle("a body byte by byte", message(2), len(message(2)) // 60, [408])
trickle("a chunked body byte by byte", chunked(3, [bytes([c]) for c in json.dumps(auth(3)).encode()]), 30, [408])
begin = time.monotonic()
sends("a connection on which nothing comes", b"", {408})
case("is cut at the read time-out", 0.8 < time.monotonic() - begin < 8)  # which is 10 s unless it is set
begin = time.monotonic()
sends("one that stays open after its answer", message(4), [200])
case("is closed when it has been idle", 0.8 < time.monotonic() - begin < 30, time.monotonic() - begin)
case("none of the slow was counted", not any(counted(n) for n in (1, 2, 3)) and counted(4))

# --- too long

sends("a body that says it has 10 GB", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n", [413])
sends("a length beyond 64 bits", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", LIBRARY | {413})
sends("a body a little too long", message(5, b" " * 5000), [413])
sends("chunks that are too long together", chunked(5, [b" " * 1000] * 10), [413])
sends("chunks without an end in sight", chunked(5, [b" " * 4000] * 100), {413})
sends("a body that waits to be asked for", message(6, extra="Expect: 100-continue\r\n"), [100, 200])
out = raw(server, b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 9999\r\n\r\n")
case("one that waits and is too long is not asked for", statuses(out) == [413], out[:200])
sends("header lines beyond our limit", message(7, extra="X: " + "x" * 9000 + "\r\n"), [431])
sends("header lines beyond any measure", b"POST /v1/score HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100000, LIBRARY)
sends("an address beyond any measure", b"POST /" + b"v" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", LIBRARY)
sends("one header line beyond any measure", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300000 + b"\r\n\r\n", LIBRARY)

# --- cut short, broken, or not HTTP

with server.socket() as sock:
    sock.sendall(message(8)[:-20])
sends("a body shorter than it says, then the end", message(9)[:-20], {400, 408}, half_close=True)
sends("half a header, then the end", b"POST /v1/score HTT", LIBRARY | {408}, half_close=True)
sends("a chunked body without its last chunk", chunked(10, [json.dumps(auth(10)).encode()])[:-5], {400, 408}, half_close=True)
for name, tail in (("a chunk size that is none", b"zz\r\n{}\r\n0\r\n\r\n"), ("a negative chunk size", b"-5\r\n{}\r\n0\r\n\r\n"),
                   ("a chunk size beyond 64 bits", b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), ("an enormous chunk", b"7fffffffffffffff\r\n{}"),
                   ("a chunk without its end", b"2\r\n{}x\r\n0\r\n\r\n"), ("no chunk size", b"\r\n{}\r\n0\r\n\r\n")):
    sends(name, b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + tail, LIBRARY | {408, 413})
for name, data in (("no HTTP", b"hello\r\n\r\n"), ("zero bytes", b"\0" * 500 + b"\r\n\r\n"), ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 300),
                   ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("HTTP/0.9", b"GET /livez\r\n\r\n"), ("HTTP/3.7", b"POST /v1/score HTTP/3.7\r\nHost: x\r\n\r\n"),
                   ("no method", b" /v1/score HTTP/1.1\r\nHost: x\r\n\r\n"), ("a header without a colon", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nnocolon\r\n\r\n"),
                   ("a header without a name", b"POST /v1/score HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"), ("a space before the colon", b"POST /v1/score HTTP/1.1\r\nHost : x\r\n\r\n"),
                   ("a zero byte in a header", b"POST /v1/score HTTP/1.1\r\nHost: x\0y\r\n\r\n"), ("no Host", b"POST /v1/score HTTP/1.1\r\n\r\n"),
                   ("only line ends", b"\r\n" * 3000), ("a negative length", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
                   ("a length that is none", b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\nhello")):
    sends(name, data, LIBRARY | {404, 405, 408, 415}, half_close=True)
sends("an address of another host", b"GET http://example.org/v1/score HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {404, 405, 400})
sends("an address with escapes is the same address", message(11, path="/v1/%73core", extra="Connection: close\r\n"), [200])
sends("one with a zero byte in it is none", message(12, path="/v1/score%00", extra="Connection: close\r\n"), LIBRARY | {404, 200})
sends("dots lead nowhere", message(13, path="/v1/../v1/score", extra="Connection: close\r\n"), [404])
case("nothing that was cut short was counted", not any(counted(n) for n in (5, 7, 8, 9, 10)))

# --- one message made out of another

inner = message(21)
out = raw(server, b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
          + b"0\r\n\r\n" + inner, half_close=True)
case("length and chunks at once do not smuggle a request in", not counted(21) or statuses(out) == [400, 200], out[:300])
out = raw(server, b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 400\r\n\r\n{}" + message(22), half_close=True)
case("neither do two lengths", len(statuses(out)) <= 2 and (not counted(22) or statuses(out)[0] in (400, 422)), out[:300])

# --- many requests on one connection

pipeline = b"".join(message(100 + n) for n in range(60)) + message(160, extra="Connection: close\r\n")
out = raw(server, pipeline)
ids = [line[7:19] for line in out.decode().replace('}HTTP', '}\nHTTP').split("\n") if line.startswith('{"id":"')]
case("sixty-one requests in one go", statuses(out) == [200] * 61, len(statuses(out)))
case("are answered in their order", ids == [f"{100 + n:012d}" for n in range(61)], ids[:5])
mixed = message(170) + b"GET /v1/openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n" + message(171, b"{") + message(172, path="/nothing") + message(173, extra="Connection: close\r\n")
sends("good and bad ones mixed", mixed, [200, 200, 400, 404, 200])
sends("bytes behind the last request", message(174, extra="Connection: close\r\n") + b"garbage", [200])

# --- half-closed, and gone

sends("a client that has said all it has to say still gets its answer", message(180), {200}, half_close=True)
for n in range(190, 230):
    sock = server.socket()
    sock.sendall(message(n))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()  # a reset, while the answer is being made
batch = json.dumps([auth(n) for n in range(240, 300)]).encode()
for _ in range(5):
    sock = server.socket()
    sock.sendall(message(0, batch, path="/v1/score/batch"))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
case("clients that go away are no trouble", server.post("/v1/score", auth(181))[0] == 200)

# --- by the thousand

limit = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
crowded = Server("--set", "http.request_timeout=6s", "--set", "http.idle_timeout=6s", "--set", "http.max_connections=600", level="info")
idle, refused = [], 0
for n in range(900):
    try:
        sock = crowded.socket()
        idle.append(sock)
    except OSError:
        refused += 1
# At once, and one of the last that can be among them: they are cut after 6 s.
case("one of them is served", b"200 OK" in (idle[500].sendall(message(300)), idle[500].recv(65536))[1])
open_most, deadline = 0, time.monotonic() + 5
while open_most < 600 and time.monotonic() < deadline:
    open_most = max(open_most, crowded.metric("tidemark_http_connections"))
case("no more connections than the limit are kept", 500 <= open_most <= 610, open_most)
status, deadline = None, time.monotonic() + 60
while status != 200 and time.monotonic() < deadline:
    try:
        status = crowded.post("/v1/score", auth(301))[0]
    except OSError:
        time.sleep(0.2)
case("the idle ones are cut, and there is room again", status == 200, status)
for sock in idle:
    sock.close()
case("it stops cleanly too", crowded.stop() == 0)

# --- what is left of all that

case("no connection is left over", server.settled("tidemark_http_connections", 1), server.metric("tidemark_http_connections"))
case("no request is", server.settled("tidemark_http_in_flight", 0))
case("cuts were counted", server.metric('tidemark_http_connections_cut_total{limit="request_timeout"}') >= 5)
descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
case("no descriptor is", descriptors < 60, descriptors)
case("it still scores", server.post("/v1/score", auth(302))[1]["status"] == "scored")
case("and stops cleanly", server.stop() == 0)

# --- a limit per address

server = Server("--set", "http.max_connections_per_address=3", level="info")
socks = [server.socket() for _ in range(6)]
served = 0
for n, sock in enumerate(socks):
    try:
        sock.sendall(message(400 + n))
        served += b"200 OK" in sock.recv(65536)
    except OSError:
        pass
    sock.close()
case("an address has no more than its connections", served == 3, served)
case("this one stops as well", server.stop() == 0)
done()
