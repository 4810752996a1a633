"""Every fault once against real servers: the promise from outside, on Redis with two replicas, three sentinels and three engines. Prints TAP.

  make chaos                           each fault once, with the rest of tests/chaos
  make chaos-campaign CASES=300 SEED=9 until 300 failovers have happened, in another order

Hosts are network namespaces where they can be made (root), so that the network can be cut; otherwise those faults are left out and named. The run's report stands
in the log and, for a campaign, in build/chaos-SEED.txt as well.
"""

import http.client
import json
import os
import sys

sys.path.insert(0, "tests/support")
import netns  # noqa: E402

lacking = netns.why_not()
if lacking is None:
    netns.enter_hub()

import chaos_faults  # noqa: E402
import chaos_run  # noqa: E402
from chaos_cluster import Cluster, Engine, init, redis_engine  # noqa: E402
from processes import wait_for  # noqa: E402
from tap import TMP, case, done, skip  # noqa: E402

SEED = int(os.environ.get("TIDE_SEED") or 1)
CASES = int(os.environ.get("TIDE_CASES") or 0)


def features_of(connection, card):
    """What an engine counts of a card, when it comes to it."""
    def answer():
        connection.request("POST", "/v1/features", json.dumps({"card": f"card{card}"}), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
        response = connection.getresponse()
        text = response.read()
        return json.loads(text)["features"] if response.status == 200 else None
    return wait_for(f"an answer about card {card}", answer, 30)


def unlike(cluster, cards):
    """Cards of which the running engines and one that starts without a snapshot count something else."""
    place = cluster.engines[0].place
    fresh = Engine(cluster, "engine9", place, redis_engine)
    fresh.launch()
    wait_for("an engine without a snapshot is ready", fresh.ready, 60)
    asked = [*cluster.engines, fresh]
    connections = [http.client.HTTPConnection(engine.place.reach, engine.port, timeout=30) for engine in asked]
    found = []
    for card in range(cards):
        told = [features_of(connection, card) for connection in connections]
        if any((one["card.attempts_24h"], one["card.total_24h"]) != (told[0]["card.attempts_24h"], told[0]["card.total_24h"]) for one in told):
            found.append((card, told))
    for connection in connections:
        connection.close()
    fresh.stop()
    return found


network = netns.Network() if lacking is None else None
cluster = Cluster(os.path.join(TMP, "cluster"), redis_engine, engines=3, network=network)
faults = chaos_faults.FAULTS + (chaos_faults.NETWORK if network else [])
codes = None
try:
    cluster.start(init)
    many = (lambda report, harm, load: cluster.failovers >= CASES) if CASES else None
    report = chaos_run.run(cluster, SEED, faults, count=len(faults) if not CASES else 1 << 30, until=many, say=lambda line: print("#", line, flush=True))
    lines = [f"seed {SEED}", *report.lines()]
    for line in lines:
        print("#", line[:400])
    if CASES:
        with open(f"build/chaos-{SEED}.txt", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    case("after every fault transactions are acknowledged again", report.stuck is None, report.stuck)
    case("every fault struck", {row[0] for row in report.rows} == {fault.__name__ for fault in faults} or CASES, [row[0] for row in report.rows])
    case("many were acknowledged", report.counts["acknowledged"] > 20 * report.faults, report.counts)
    case("and many questions about cards answered", report.counts["questions answered"] > 5 * report.faults, report.counts)
    case("over several epochs", report.epochs > 5, report.epochs)
    for rule in ("own", "twice", "stranger", "lost", "order", "position", "answer", "refused", "quorum", "shop"):
        found = [violation for violation in report.violations if violation.rule == rule]
        case(f"no violation: {rule}", not found, found[0] if found else "")
    case("every card could be asked in the end", not report.unprobed, report.unprobed[:5])
    case("no answer that is none", not report.trouble, report.trouble[:1])
    case("no engine ended by itself", not report.exits, report.exits)
    differ = unlike(cluster, report.cards)
    case("an engine that folds the journal from its beginning counts the same", not differ, differ[:1])
    codes = [engine.stop() for engine in cluster.engines]
    case("engines stop cleanly", codes == [0] * len(codes), codes)
finally:
    cluster.stop()
if lacking is not None:
    skip("faults of the network", lacking)
done()
