"""Three engines on one cell in Redis: any answers for any card, a retry may go anywhere, and all are restarted one after the other without a request that nobody
answered. Prints TAP.
"""

import http.client
import json
import os
import sys
import time

sys.path.insert(0, "tests/support")
import chaos_history  # noqa: E402
from chaos_cluster import Cluster, Engine, init, redis_engine, verb  # noqa: E402
from chaos_load import Load  # noqa: E402
from processes import wait_for  # noqa: E402
from redis_stack import Place, Sentinel  # noqa: E402
from tap import TMP, case, done  # noqa: E402


class Retrying(Load):
    """Clients that send again elsewhere until they have an acknowledged answer."""

    def run(self, number, rng):
        connections = {}
        while not self.stopping.is_set():
            txn, card, bit = self.draw()
            engines = rng.sample(sorted(self.targets), len(self.targets))
            for turn in range(100):
                attempt = self.send(connections, number, engines[turn % len(engines)], txn, card, bit)
                if attempt.acknowledged:
                    break
                time.sleep(0.01)
            else:
                self.trouble.append(f"nobody answered txn {txn} in {turn + 1} tries")
            time.sleep(rng.uniform(0, 0.02))


cluster = Cluster(os.path.join(TMP, "cell"), redis_engine, engines=3)
try:
    cluster.start(init)
    again = verb(cluster, "init", user="tidemark-restore")
    case("init refuses a second time", again.returncode != 0 and "already" in again.stderr, again.stderr)
    clients = [http.client.HTTPConnection(engine.place.reach, engine.port, timeout=30) for engine in cluster.engines]

    def ask(client, path, body, options=None):
        client.request("POST", path, json.dumps({**body, "options": options or {}}), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
        return json.loads(client.getresponse().read())

    message = {"id": "first", "card": "c", "merchant": "m", "amount": "1.00", "currency": "EUR"}
    first = ask(clients[0], "/v1/score", message)
    case("one engine counts it", first["counted"] is True and first["provenance"]["durability"] == "strong", first)
    retries = [ask(client, "/v1/score", message) for client in clients]
    case("a retry gets the first answer from every engine", all(r["duplicate"] and r["first_position"] == first["position"] and r["decision"] == first["decision"]
                                                                for r in retries), retries)
    wrong = 0
    for n in range(60):
        scored = ask(clients[n % 3], "/v1/score", {**message, "id": f"n{n}"})
        features = ask(clients[(n + 1) % 3], "/v1/features", {"card": "c"}, {"after": scored["position"].split(".")[0]})["features"]
        wrong += features["card.attempts_24h"] != n + 2
    case("read your writes at another engine with `after`", wrong == 0, wrong)
    for client in clients:
        client.close()

    # One sentinel that names a replica for ever, and is asked first: seen after two failovers at once.
    group = cluster.group
    odd, group.sentinel_quorum = Sentinel(group, "sentinel9", Place()), 9
    odd.configure(group.nodes[1])
    odd.launch()
    group.sentinels.insert(0, odd)
    more = Engine(cluster, "engine9", Place(), redis_engine)
    more.launch()
    wait_for("an engine that asks a sentinel with another opinion first", more.ready, 30)
    case("a sentinel that names the wrong node keeps no engine from starting", odd.primary() == (group.nodes[1].host, group.nodes[1].port) and more.ready())
    codes = more.stop()
    odd.kill()
    group.sentinels.remove(odd)

    load = Retrying(cluster.targets(), clients=6, seed=61, deadline_ms=5000).start()
    codes = []
    for engine in cluster.engines:
        moment = time.monotonic()
        wait_for("traffic", lambda moment=moment: load.acknowledged_since(moment), 20)
        codes.append(engine.stop())
        engine.launch()
        wait_for(f"{engine.name} is ready", engine.ready, 30)
    moment = time.monotonic()
    wait_for("traffic", lambda: load.acknowledged_since(moment), 20)
    load.stop()
    counts = chaos_history.summary(load.attempts)
    case("three engines were restarted, one after the other", codes == [0, 0, 0], codes)
    case("and every transaction has been answered by somebody", not load.trouble and counts["acknowledged"] == counts["transactions"] > 30, (load.trouble[:1], counts))
    case("every card could be asked in the end", load.probe() == [])
    violations = chaos_history.check(load.attempts)
    case("nothing was lost, nothing counted twice, one order everywhere", not violations, violations[0] if violations else "")
    case("each engine answered some", len({a.engine for a in load.attempts if a.first}) == 3)
    case("and no engine ended by itself", all(engine.exits == [] for engine in cluster.engines))
finally:
    codes = cluster.stop()
case("they stop cleanly", codes == [0, 0, 0], codes)
done()
