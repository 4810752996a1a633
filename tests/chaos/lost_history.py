"""What no replication can save: the primary comes back with an empty disk or with an old backup, and its replicas follow it. Prints TAP.

Everything that was acknowledged after that is gone from every server, and the servers are in perfect order among themselves. Engines that have released it know
better: they refuse everything, say why, and do not begin anew. Nothing may be acknowledged until somebody decides.
"""

import os
import sys
import time

sys.path.insert(0, "tests/support")
import chaos_history  # noqa: E402
from chaos_cluster import Cluster, init, redis_engine  # noqa: E402
from chaos_faults import Run  # noqa: E402
from chaos_load import Load  # noqa: E402
from processes import wait_for  # noqa: E402
from tap import TMP, case, done  # noqa: E402


def scenario(name, harm):
    """harm(run) brings the servers back up without the history; from there on nothing may be acknowledged."""
    cluster = Cluster(os.path.join(TMP, name), redis_engine, engines=2)
    try:
        cluster.start(init)
        load = Load(cluster.targets(), clients=4, seed=3).start()
        run = Run(cluster, load, 3)
        begin = time.monotonic()
        wait_for("traffic", lambda: load.acknowledged_since(begin), 20)
        run.hold(1, 1.1)
        harm(run)
        cluster.group.wait_replicas(cluster.group.nodes[0], 2)
        moment = time.monotonic()
        with run.blackout(f"the history is gone ({name})"):
            run.hold(4, 4.1)
            ready = [engine.ready() for engine in cluster.engines]
            # One that is started anew has its snapshot, which is ahead of the log.
            cluster.engines[0].stop()
            cluster.engines[0].launch()
            run.hold(3, 3.1)
        load.stop()
        asked = [a for a in load.attempts if a.sent >= moment]
        violations = chaos_history.check(load.attempts, run.blackouts)
        case(f"{name}: many were acknowledged before", chaos_history.summary(load.attempts)["acknowledged"] > 50)
        case(f"{name}: engines still answer", sum(a.status is not None for a in asked) > 10, len(asked))
        case(f"{name}: and acknowledge nothing", not any(a.acknowledged for a in asked), next((str(a.position) for a in asked if a.acknowledged), ""))
        case(f"{name}: with a decision all the same", all(a.decision and a.decision[2] for a in asked if a.status == 200))
        case(f"{name}: and are not ready", ready == [False] * len(ready), ready)
        case(f"{name}: no violation", not violations, violations[0] if violations else "")
        with open(cluster.engines[1].log, encoding="utf-8", errors="replace") as file:
            log = file.read()
        case(f"{name}: the log says what is missing", "history" in log or "released" in log, log[-300:])
    finally:
        cluster.stop()


def wiped(run):
    """A new disk, and a supervisor that starts the primary at once."""
    primary = run.group.nodes[0]
    with run.no_sentinels():
        primary.kill()
        primary.wipe()
        primary.launch()
        primary.ready()


def old_backup(run):
    """All three were restored from a backup that is some seconds old."""
    primary = run.group.nodes[0]
    backup = os.path.join(run.cluster.dir, "backup.rdb")
    primary.copy_rdb(backup)
    run.hold(1, 1.1)
    with run.no_sentinels():
        for node in run.group.nodes:
            node.kill()
        primary.start_from_rdb(backup)
        for node in run.group.nodes[1:]:
            node.wipe()
            run.cluster.as_replica(node, primary)


scenario("wiped", wiped)
scenario("old-backup", old_backup)
done()
