"""What no replication can save: the primary comes back with an empty disk or with an old backup, and its replicas follow it. Prints TAP.

Everything that was acknowledged after that is gone from every server, and the servers are in perfect order among themselves. Engines that have answered from it
know better. Where the journal is not there they wait and refuse; where another one is in its place they end with the reason, and end again whenever a supervisor
starts them, until somebody restores the journal or accepts the loss. Nothing is acknowledged in between.
"""

import os
import re
import sys
import time

sys.path.insert(0, "tests/support")
import chaos_history  # noqa: E402
from chaos_cluster import Cluster, init, redis_engine  # noqa: E402
from chaos_faults import Run  # noqa: E402
from chaos_load import Load  # noqa: E402
from processes import wait_for  # noqa: E402
from tap import TMP, case, done  # noqa: E402


def scenario(name, harm, code, says):
    """harm(run) brings the servers back up without the history; from there on nothing may be acknowledged. code: with which engines end, None: they go on and wait."""
    cluster = Cluster(os.path.join(TMP, name), redis_engine, engines=2)
    try:
        cluster.start(init)
        load = Load(cluster.targets(), clients=4, seed=3).start()
        run = Run(cluster, load, 3)
        begin = time.monotonic()
        wait_for("traffic", lambda: load.acknowledged_since(begin), 20)
        run.hold(1, 1.1)
        run.wait("many are acknowledged", lambda: load.acknowledged > 50)
        harm(run)
        cluster.group.wait_replicas(cluster.group.nodes[0], 2)
        moment = time.monotonic()
        with run.blackout(f"the history is gone ({name})"):
            run.hold(6, 6.1)  # engines that ended are started again on the way
            if code is not None:
                run.wait("engines have ended more than once", lambda: all(len(engine.exits) > 1 for engine in cluster.engines))
        load.stop()
        violations = chaos_history.check(load.attempts, run.blackouts)
        case(f"{name}: many were acknowledged before", chaos_history.summary(load.attempts)["acknowledged"] > 50)
        case(f"{name}: none after", not any(a.acknowledged for a in load.attempts if a.sent >= moment))
        case(f"{name}: no violation", not violations, violations[0] if violations else "")
        for engine in cluster.engines:
            if code is None:
                status, text = engine.readiness()
                case(f"{name}: {engine.name} is not ready", status == 503, status)
                case(f"{name}: {engine.name} goes on answering", any(a.engine == engine.name and a.status == 200 and a.decision[2] for a in load.attempts if a.sent > moment + 2))
                case(f"{name}: {engine.name} never ended", engine.exits == [], engine.exits)
            else:
                with open(engine.log, encoding="utf-8", errors="replace") as file:
                    text = file.read()
                case(f"{name}: {engine.name} ended with the code for it, more than once", len(engine.exits) > 1 and set(engine.exits) == {code}, engine.exits)
            case(f"{name}: {engine.name} says what is wrong and what to do", re.search(says, text), text[-300:])
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


scenario("wiped", wiped, None, "has no journal.*tidemark restore")
scenario("old-backup", old_backup, 4, "--accept-loss")
done()
