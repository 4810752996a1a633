"""Redis with TLS: where this build has it (pkg-config finds hiredis_ssl), a cell on real servers that take nothing else - nodes, replication and sentinels - begins, commits,
fails over, and refuses a node or a client with a wrong certificate; where it has not, rediss:// is refused with what to do. Prints TAP.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, "tests/support")
from certificates import Authority  # noqa: E402
from http_server import Server, tide  # noqa: E402
from processes import wait_for  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

# What the Makefile asks; without pkg-config it builds without TLS.
HAS_TLS = shutil.which("pkg-config") is not None and subprocess.run(["pkg-config", "--exists", "hiredis_ssl", "openssl"], check=False).returncode == 0


def without_tls():
    for scheme, rest in (("rediss", ""), ("rediss+sentinel", "/tidemark")):
        began = time.monotonic()
        result = tide("init", "--journal", f"{scheme}://127.0.0.1:6379{rest}", code=None)
        case(f"{scheme}:// is refused where hiredis has no TLS", result.returncode == 3 and "hiredis_ssl was not found" in result.stderr, (result.returncode, result.stderr))
        case("without asking anybody", time.monotonic() - began < 5)
    result = tide("serve", "--journal", "rediss://127.0.0.1:6379", "--features", "config/defaults/features.yaml", "--dev-key", code=None)
    case("an engine does not start either", result.returncode == 3 and "hiredis_ssl was not found" in result.stderr, (result.returncode, result.stderr))
    result = tide("doctor", "--journal", "rediss://127.0.0.1:6379", "--features", "config/defaults/features.yaml", "--dev-key", code=None)
    case("the doctor says so", result.returncode == 1 and "hiredis_ssl was not found" in result.stdout + result.stderr, (result.returncode, result.stdout))


def settings(**keys):
    return [word for name, value in keys.items() for word in ("--set", f"journal.{name}={value}")]


def with_tls():
    ours, theirs = Authority(os.path.join(TMP, "ca"), "cell"), Authority(os.path.join(TMP, "other"), "somebody")
    both = "serverAuth,clientAuth"
    node, engine_pair, stranger = ours.issue("node", both), ours.issue("engine", "clientAuth"), theirs.issue("stranger", both)
    good = {"tls_ca": ours.cert, "tls_cert": engine_pair.cert, "tls_key": engine_pair.key}
    cell = Cell("cell", replicas=2, sentinels=3, tls=node, down_after_ms=800, failover_timeout_ms=3000)
    servers = []
    try:
        def refused(name, url=None, code=(3, 4, 5, 6), want="", **keys):
            result = cell.verb("init", *settings(**keys), code=None, url=url)
            case(name, result.returncode in code and want in result.stderr, (result.returncode, result.stderr))

        refused("a node of another authority is refused", want="certificate is refused", **{**good, "tls_ca": theirs.cert})
        refused("a node with another name is refused", want="certificate is refused", **{**good, "tls_server_name": "redis.example"})
        refused("a client without a certificate is refused by the node", tls_ca=ours.cert)
        refused("and one with a stranger's", tls_ca=ours.cert, tls_cert=stranger.cert, tls_key=stranger.key)
        refused("a plain connection comes to nothing", url=cell.url.replace("rediss", "redis"))
        refused("a file that is not there is named", code=(3,), want="tls_ca /nowhere", **{**good, "tls_ca": "/nowhere"})
        refused("a key without its certificate", code=(3,), want="belong together", tls_ca=ours.cert, tls_key=engine_pair.key)
        refused("a key of somebody else", code=(3,), want="tls_key", **{**good, "tls_key": stranger.key})
        cell.verb("init", *settings(**good))
        case("a cell begins", cell.primary.ask("EXISTS", "tidemark:{default}:journal") == 1)

        for n in (1, 2):
            servers.append(Server(*cell.words()[2:], *settings(dir=cell.engine_dir(n), **good), "--set", f"engine.id={n}", journal=cell.group.sentinel_url(), features=cell.features,
                                  dev_key=False))
        told = []

        def score(server, txn):
            try:
                answer = server.post("/v1/score", {"id": txn, "card": "c", "amount": "1.00", "currency": "EUR"})[1]
            except (OSError, http.client.HTTPException):
                return None
            if answer.get("counted") is True:
                told.append(txn)
            return answer
        for n in range(40):
            score(servers[n % 2], f"a{n}")
        case("requests to two engines are acknowledged", len(told) == 40, len(told))
        result = cell.verb("doctor", *settings(**good), "--features", cell.features, code=None, url=cell.group.sentinel_url(), user="tidemark")
        case("the doctor sees nodes and sentinels", "certificate" not in result.stdout and "cannot be reached" not in result.stdout and "primary" in result.stdout, result.stdout)

        old = cell.group.wait_primary()
        old.kill()
        cell.group.wait_primary(other_than=old)
        old.launch()
        wait_for("both engines count again", lambda: all((score(server, f"b{n}-{time.monotonic()}") or {}).get("counted") is True for n, server in enumerate(servers)), 60, 0.2)
        for n in range(20):
            score(servers[n % 2], f"c{n}")
        counts = {json.loads(server.ask("POST", "/v1/features", {"card": "c"})[2])["features"]["card.attempts_24h"] for server in servers}
        case("a failover loses and doubles nothing that was acknowledged", len(counts) == 1 and counts.pop() >= len(told) >= 62, (counts, len(told)))
        case("they stop cleanly", [server.stop() for server in servers] == [0, 0])
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
        cell.stop()


if HAS_TLS:
    with_tls()
else:
    without_tls()
done()
