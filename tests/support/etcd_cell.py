"""etcd for tests of the registry: one node or a cluster on loopback, the gateway's calls, and a proxy whose Nth request goes wrong.

  python3 tests/support/etcd_cell.py DIR      for tests in C: starts one node and a proxy before it, prints "NODE_PORT PROXY_PORT", serves until it is killed

The proxy takes GET /control/WORD?...: `fault?after=N&mode=M` (the N-th request from now on, counted from 0, fails; modes below), `count` (requests since the fault was set),
`users` (a user `tidemark` with password `secret` who may do all under /t/, authentication on), `restart` (kill -9 and start: tokens are forgotten), `compact`,
`revision`, `put?key=K&value=V` (past us, as another program would).
"""

import base64
import http.client
import http.server
import json
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "stack")]
import processes  # noqa: E402
from etcd import Etcd  # noqa: E402

MODES = ("refuse", "lose", "status", "leader", "token", "garbage", "nothing", "half", "slow")


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


class Client:
    """The gateway of one endpoint, as root where there are users."""

    def __init__(self, url, user=None, password=None):
        self.url, self.user, self.password = url, user, password

    def ask(self, path, timeout=30, token=None, **body):
        headers = {"Authorization": token} if token else {}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.loads(response.read())

    def call(self, path, timeout=30, **body):
        token = self.ask("/v3/auth/authenticate", name=self.user, password=self.password)["token"] if self.user else None
        return self.ask(path, timeout, token, **body)

    def put(self, key, value):
        return self.call("/v3/kv/put", key=b64(key), value=b64(value))

    def get(self, prefix):
        """{key: value} of all that begins so."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        pairs = self.call("/v3/kv/range", key=b64(prefix), range_end=b64(end)).get("kvs", [])
        return {base64.b64decode(pair["key"]).decode(): base64.b64decode(pair.get("value", "")) for pair in pairs}

    def revision(self):
        return int(self.call("/v3/kv/range", key=b64("/none"))["header"]["revision"])

    def compact(self):
        self.call("/v3/kv/compaction", revision=str(self.revision()))

    def enable_users(self, prefix):
        """root, and a user tidemark/secret whose role reads and writes under the prefix."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        self.call("/v3/auth/user/add", name="root", password="secret")
        self.call("/v3/auth/user/grant", user="root", role="root")
        self.call("/v3/auth/role/add", name="engine")
        self.call("/v3/auth/role/grant", name="engine", perm={"permType": "READWRITE", "key": b64(prefix), "range_end": b64(end)})
        self.call("/v3/auth/user/add", name="tidemark", password="secret")
        self.call("/v3/auth/user/grant", user="tidemark", role="engine")
        self.call("/v3/auth/enable")
        self.user, self.password = "root", "secret"


class Cluster:
    def __init__(self, directory, count=3, flags=()):
        self.nodes = [Etcd(os.path.join(directory, f"etcd-{i}"), f"n{i}", False, flags) for i in range(count)]
        for node in self.nodes:
            node.members = self.nodes

    def start(self):
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.ready()
        return self

    def stop(self):
        for node in self.nodes:
            node.stop()

    @property
    def address(self):
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def leader(self):
        """The node that leads, by its own word."""
        for node in self.nodes:
            try:
                status = Client(node.url).ask("/v3/maintenance/status")
            except (urllib.error.URLError, OSError):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return node
        return None


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, node):
        super().__init__(("127.0.0.1", 0), Handler)
        self.node, self.client = node, Client(node.url)
        self.lock = threading.Lock()
        self.count, self.at, self.mode = 0, -1, "refuse"
        self.restarts = queue.Queue()

    def serve(self):
        """Servers end with the thread that started them, so restarts are this thread's."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        while True:
            done = self.restarts.get()
            self.node.process.kill()
            self.node.launch()
            done.set()

    def handle_error(self, request, client_address):
        pass  # a client that went away

    def fault(self):
        """The mode if this request is the one that fails."""
        with self.lock:
            self.count += 1
            return self.mode if self.count - 1 == self.at else None

    def control(self, word, query):
        if word == "fault":
            assert query["mode"] in MODES, query
            with self.lock:
                self.count, self.at, self.mode = 0, int(query["after"]), query["mode"]
        elif word == "count":
            with self.lock:
                return self.count
        elif word == "users":
            self.client.enable_users("/t/")
        elif word == "restart":
            done = threading.Event()
            self.restarts.put(done)
            done.wait()
        elif word == "compact":
            self.client.compact()
        elif word == "revision":
            return self.client.revision()
        elif word == "put":
            self.client.put(query["key"], query["value"])
        else:
            raise ValueError(word)
        return 0


class Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        answer = self.server.control(url.path.rsplit("/", 1)[1], dict(urllib.parse.parse_qsl(url.query)))
        self.answer(200, str(answer).encode())

    def answer(self, status, body, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def hang_up(self):
        self.close_connection = True
        self.connection.close()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = self.server.fault()
        if mode == "refuse":
            return self.hang_up()
        if mode == "status":
            return self.answer(502, b"<html>Bad Gateway</html>")
        if mode == "leader":
            return self.answer(503, b'{"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14}')
        if mode == "token":
            return self.answer(401, b'{"error":"etcdserver: invalid auth token","message":"etcdserver: invalid auth token","code":16}')
        if mode == "garbage":
            return self.answer(200, b'{"header":{"revision":"7"},"kvs":[{"key":"###"}],"responses":7')
        if mode == "nothing":
            return self.answer(200, b"{}")
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.node.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            if "Authorization" in self.headers:
                headers["Authorization"] = self.headers["Authorization"]
            upstream.request("POST", self.path, body, headers)
            response = upstream.getresponse()
            self.relay(response, mode)
        except OSError:
            self.hang_up()
        finally:
            upstream.close()

    def relay(self, response, mode):
        if self.path.startswith("/v3/watch"):
            return self.stream(response, mode)
        data = response.read()
        if mode == "lose":
            return self.hang_up()
        if mode == "half":
            self.answer(response.status, data[: len(data) // 2], len(data))
            return self.hang_up()
        if mode == "slow":
            time.sleep(0.5)
        self.answer(response.status, data)

    def stream(self, response, mode):
        self.send_response(response.status)
        self.send_header("Connection", "close")
        self.end_headers()
        while mode is None:
            data = response.read1(65536)
            if not data:
                break
            self.wfile.write(data)
            self.wfile.flush()
        self.hang_up()


def main(words):
    if len(words) != 1:
        print("usage: etcd_cell.py DIR", file=sys.stderr)
        return 2
    node = Etcd(words[0], stay=False)
    node.launch()
    proxy = Proxy(node)
    print(node.port, proxy.server_address[1], flush=True)
    proxy.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
