"""An engine as one might write it in an afternoon, to show that the chaos harness finds what is wrong with it.

It appends every transaction to a Redis stream, folds the stream into counts, and answers. It does not wait for replicas (unless told to), fences nobody,
keeps its state and its position when the primary changes, and starts again from what the new primary has.

  python3 careless_engine.py HOST PORT SENTINEL,SENTINEL... USER PASSWORD WAIT
"""

import http.server
import json
import sys
import threading

from resp import Redis, RedisError

KEY = "tidemark:{default}:journal"


class State:
    def __init__(self, sentinels, user, password, wait):
        self.sentinels, self.user, self.password, self.wait = sentinels, user, password, wait
        self.lock = threading.Lock()
        self.redis, self.last = None, "-"
        self.cards, self.shops, self.seen = {}, {}, {}

    def connect(self):
        for host, port in self.sentinels:
            try:
                with Redis(host, port, timeout=1) as sentinel:
                    place = sentinel("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tidemark")
                self.redis = Redis(place[0].decode(), int(place[1]), self.user, self.password, timeout=1)
                return
            except (OSError, RedisError, TypeError):
                continue
        raise ConnectionError("no sentinel knows a primary")

    def fold(self):
        while True:
            page = self.redis("XRANGE", KEY, self.last, "+", "COUNT", 500)
            for at, fields in page:
                self.last = f"({at.decode()}"
                message = json.loads(fields[1])
                if message["id"] in self.seen:
                    continue
                card, shop = self.cards.setdefault(message["card"], [0, 0]), self.shops.setdefault(message["merchant"], [0])
                card[0] += 1
                card[1] += round(float(message["amount"]) * 100)
                shop[0] += 1
                self.seen[message["id"]] = (at.decode() + ".0", card[0], card[1], shop[0])
            if len(page) < 500:
                return

    def score(self, message):
        with self.lock:
            try:
                if self.redis is None:
                    self.connect()
                self.fold()
                duplicate = message["id"] in self.seen
                if not duplicate:
                    self.redis("XADD", KEY, "*", "b", json.dumps(message))
                    if self.wait and self.redis("WAIT", self.wait, 500) < self.wait:
                        raise ConnectionError("too few replicas")
                    self.fold()
                position, attempts, total, shop = self.seen[message["id"]]
            except (OSError, RedisError, KeyError) as error:
                if self.redis is not None:
                    self.redis.close()
                self.redis = None
                return {"id": message["id"], "status": "refused", "decision": "decline", "by": "else", "score": None, "counted": "maybe", "duplicate": False,
                        "cause": str(error)}
            answer = {"id": message["id"], "status": "scored", "decision": "approve", "by": "else", "score": None, "counted": not duplicate, "duplicate": duplicate,
                      "first_position" if duplicate else "position": position}
            if not duplicate:
                answer["features"] = {"card.attempts_24h": attempts, "card.total_24h": total / 100, "merchant.attempts_24h": shop}
            return answer


    def features(self, message):
        with self.lock:
            count, total = self.cards.get(message["card"], (0, 0))
            return {"features": {"card.attempts_24h": count, "card.total_24h": total / 100}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message.pop("options", None)
        answer = self.server.state.features if self.path == "/v1/features" else self.server.state.score
        body = json.dumps(answer(message)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    host, port, places, user, password, wait = sys.argv[1:]
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    server.state = State([(p.split(":")[0], int(p.split(":")[1])) for p in places.split(",")], user, password, int(wait))
    server.serve_forever()
