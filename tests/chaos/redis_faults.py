"""Every fault once against real servers: the promise from outside, on Redis with two replicas, three sentinels and three engines. Prints TAP.

  make chaos                    each fault once
  make chaos CASES=500 SEED=9   a campaign of 500 faults in another order

Hosts are network namespaces where they can be made (root), so that the network can be cut; otherwise those faults are left out and named. The run's report stands
in the log and, for a campaign, in build/chaos-SEED.txt.
"""

import os
import sys

sys.path.insert(0, "tests/support")
import netns  # noqa: E402

lacking = netns.why_not()
if lacking is None:
    netns.enter_hub()

import chaos_faults  # noqa: E402
import chaos_run  # noqa: E402
from chaos_cluster import Cluster, init, redis_engine, verb  # noqa: E402
from tap import TMP, case, done, skip  # noqa: E402

SEED = int(os.environ.get("TIDE_SEED") or 1)
CASES = int(os.environ.get("TIDE_CASES") or 0)

network = netns.Network() if lacking is None else None
cluster = Cluster(os.path.join(TMP, "cluster"), redis_engine, engines=3, network=network)
faults = chaos_faults.FAULTS + (chaos_faults.NETWORK if network else [])
codes = None
try:
    cluster.start(init)
    report = chaos_run.run(cluster, SEED, faults, count=CASES or len(faults), say=lambda line: print("#", line, flush=True))
    lines = [f"seed {SEED}", *report.lines()]
    for line in lines:
        print("#", line[:400])
    if CASES:
        with open(f"build/chaos-{SEED}.txt", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    case("after every fault transactions are acknowledged again", report.stuck is None, report.stuck)
    case("every fault struck", {row[0] for row in report.rows} == {fault.__name__ for fault in faults} or CASES, [row[0] for row in report.rows])
    case("many were acknowledged", report.counts["acknowledged"] > 20 * report.faults, report.counts)
    case("over several epochs", report.epochs > 5, report.epochs)
    for rule in ("own", "twice", "stranger", "lost", "order", "position", "answer", "refused", "quorum", "shop"):
        found = [violation for violation in report.violations if violation.rule == rule]
        case(f"no violation: {rule}", not found, found[0] if found else "")
    case("every card could be asked in the end", not report.unprobed, report.unprobed[:5])
    case("no answer that is none", not report.trouble, report.trouble[:1])
    case("no engine ended by itself", not report.exits, report.exits)
    codes = [engine.stop() for engine in cluster.engines]
    case("engines stop cleanly", codes == [0] * len(codes), codes)
    audit = verb(cluster, "audit")
    case("audit folds the journal to the same decisions", audit.returncode == 0, audit.stdout[-200:] + audit.stderr[-300:])
finally:
    cluster.stop()
if lacking is not None:
    skip("faults of the network", lacking)
done()
