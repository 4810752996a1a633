"""The chaos harness against an engine that does not keep the promise, on real servers: it must find out. Prints TAP.

careless_engine.py acknowledges before the replicas have the transaction and believes whatever primary it meets. Without this test a harness that finds
nothing in the real engine would prove little.
"""

import os
import sys

sys.path.insert(0, "tests/support")
import chaos_faults  # noqa: E402
import chaos_run  # noqa: E402
from chaos_cluster import Cluster  # noqa: E402
from tap import TMP, case, done  # noqa: E402


def command(engine):
    group = engine.cluster.group
    sentinels = ",".join(f"{sentinel.host}:{sentinel.port}" for sentinel in group.sentinels)
    return [sys.executable, "tests/support/careless_engine.py", "127.0.0.1", str(engine.port), sentinels, "tidemark", group.passwords["tidemark"], "0"]


cluster = Cluster(os.path.join(TMP, "cluster"), command)
for engine in cluster.engines:
    engine.admin = engine.port  # it has one listener
try:
    cluster.start()
    faults = [chaos_faults.promote_without_tail, chaos_faults.pause_replicas, chaos_faults.promote_and_back, chaos_faults.kill_engine]
    report = chaos_run.run(cluster, seed=7, faults=faults, count=6)
    for line in report.lines():
        print("#", line[:300])
    rules = {violation.rule for violation in report.violations}
    case("the run went through", report.stuck is None and not report.unprobed and not report.trouble, report.stuck or report.trouble)
    case("under traffic", report.counts["acknowledged"] > 100, report.counts)
    case("an acknowledged transaction that was lost is found", "lost" in rules, rules)
    case("an acknowledgement without replicas is found", "quorum" in rules, rules)
    case("engines that the harness killed do not count as ended", report.exits == [], report.exits)
finally:
    cluster.stop()
done()
