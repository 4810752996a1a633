"""Read your writes at any engine: with the position of an answer as `after`, an engine that is held back waits until it has folded that, and refuses when it has not by the
deadline; it never answers from an older state. The engine is held back by a proxy between it and Redis that keeps what the server says. Prints TAP.
"""

import json
import select
import socket
import sys
import threading
import time

sys.path.insert(0, "tests/support")
from http_server import JSON, Server  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import case, done  # noqa: E402


class Proxy:
    """Hands bytes on between an engine and a server; what the server says waits while it is held."""

    def __init__(self, host, port):
        self.target, self.held, self.lock = (host, port), False, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            engine, _ = self.listener.accept()
            threading.Thread(target=self.hand_on, args=(engine, socket.create_connection(self.target)), daemon=True).start()

    def hold(self, held):
        """When it returns, nothing that the server says is handed on any more, or everything is again."""
        with self.lock:
            self.held = held

    def hand_on(self, engine, server):
        other = {engine: server, server: engine}
        while True:
            readable, _, _ = select.select([engine] if self.held else [engine, server], [], [], 0.02)
            for one in readable:
                with self.lock:
                    if one is server and self.held:
                        continue
                    data = one.recv(1 << 16)
                    if data:
                        other[one].sendall(data)
                if not data:
                    engine.close()
                    server.close()
                    return


def post(server, path, body, timeout_ms=5000):
    began = time.monotonic()
    status, _, text = server.ask("POST", path, json.dumps(body), {**JSON, "Tidemark-Timeout-Ms": str(timeout_ms)})
    return status, json.loads(text), time.monotonic() - began


def message(n, **options):
    return {"id": f"t{n}", "amount": 1.0, "currency": "EUR", "card": "c", "options": options}


def attempts(answer):
    return answer["features"]["card.attempts_24h"]


cell = Cell("cell", replicas=1)
servers = []
try:
    cell.verb("init", "--features", cell.features)
    one = cell.engine(1)
    servers.append(one)
    proxy = Proxy(cell.primary.host, cell.primary.port)
    two = Server(*cell.words()[2:], "--set", "engine.id=2", "--set", f"journal.dir={cell.engine_dir(2)}", "--set", "journal.timeout=60s",
                 journal=f"redis://tidemark@127.0.0.1:{proxy.port}", features=cell.features, dev_key=False)
    servers.append(two)

    wrong, n = [], 0
    for n in range(1, 101):
        token = post(one, "/v1/score", message(n))[1]["position"]
        status, answer, _ = post(two, "/v1/features", {"card": "c", "options": {"after": token, "consistency": "eventual"}})
        if status != 200 or attempts(answer) != n:
            wrong.append((n, status, answer))
    case("what one engine acknowledged is read at the other with its token, even where nothing else is waited for", not wrong, wrong[:1])

    proxy.hold(True)
    token = post(one, "/v1/score", message(n + 1))[1]["position"]
    status, answer, _ = post(two, "/v1/features", {"card": "c", "options": {"consistency": "eventual"}})
    case("held back, it is behind", status == 200 and attempts(answer) == n, answer)
    status, answer, took = post(two, "/v1/features", {"card": "c", "options": {"after": token, "consistency": "eventual"}}, 500)
    case("a question with the token is refused at its deadline, not answered older", status == 504 and "features" not in answer and 0.45 < took < 5, (status, answer, took))
    status, answer, took = post(two, "/v1/score", message(n + 2, after=token), 500)
    case("a score too: the fallback, with its cause", status == 200 and answer["status"] == "refused" and answer["cause"] == "deadline" and 0.45 < took < 5, (answer, took))
    case("nothing of it is counted", answer["counted"] is False and answer["position"] is None, answer)
    status, answer, _ = post(two, "/v1/decisions/lookup", message(n + 1, after=token), 500)
    case("and a lookup", status == 504, (status, answer))
    status, answer, _ = post(one, "/v1/features", {"card": "c", "options": {"after": token}}, 500)
    case("the other engine knows it", status == 200 and attempts(answer) == n + 1, answer)

    waiting = []
    asker = threading.Thread(target=lambda: waiting.append((*post(two, "/v1/score", message(n + 3, after=token, explain="full"), 10000), time.monotonic())))
    asker.start()
    time.sleep(0.7)
    case("with time left it waits", not waiting, waiting)
    released = time.monotonic()
    proxy.hold(False)
    asker.join(60)
    status, answer, took, at = waiting[0]
    case("until it has folded the position", answer["status"] == "scored" and at > released, (answer, took))
    case("and counts what the token stands for", attempts(answer) == n + 2, answer)
    case("behind it", [int(x) for x in answer["position"].replace(".", "-").split("-")] > [int(x) for x in token.replace(".", "-").split("-")], (answer["position"], token))
    print(f"# answered after {took:.2f} s, held for 0.7 s of them", flush=True)
    status, answer, took = post(two, "/v1/score", message(n + 4, after="999-1"), 300)
    case("a position that nobody has reached is waited for, and refused", answer["status"] == "refused" and answer["cause"] == "deadline" and took < 5, (answer, took))
finally:
    codes = [server.stop() for server in servers]
    cell.stop()
case("they stop cleanly", codes == [0, 0], codes)
done()
