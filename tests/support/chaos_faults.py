"""The faults of a chaos run. Each is a function of a Run: it does its harm, holds it, and leaves the rest to Cluster.repair.

Where a fault makes an acknowledgement impossible, it says so: `with run.blackout(why)` around the time in which fewer replicas than needed can be
reached. The checker holds the engines to it.
"""

import contextlib
import random
import time

from chaos_history import Blackout
from processes import wait_for
from redis_stack import NAME
from resp import RedisError


class Run:
    def __init__(self, cluster, load, seed):
        self.cluster, self.load, self.rng = cluster, load, random.Random(seed)
        self.group = cluster.group
        self.blackouts = []
        self.undecided = 0  # failovers that the sentinels did not finish in time
        self.rows = []  # (fault, begin, healed, recovered, longest gap)

    def hold(self, low, high):
        end = time.monotonic() + self.rng.uniform(low, high)
        while time.monotonic() < end:
            self.cluster.keep()
            time.sleep(0.05)

    def wait(self, what, condition, seconds=60):
        """As wait_for, with the supervisor at work."""
        def kept():
            self.cluster.keep()
            return condition()
        return wait_for(what, kept, seconds, 0.05)

    @contextlib.contextmanager
    def blackout(self, why):
        begin = time.monotonic()
        yield
        self.blackouts.append(Blackout(begin, time.monotonic(), why))

    @contextlib.contextmanager
    def short_of(self, away, why):
        """A blackout if `away` replicas too few remain of those needed."""
        if 2 - away < self.cluster.needed:
            with self.blackout(why):
                yield
        else:
            yield

    def primary(self):
        return self.group.wait_primary()

    def replicas(self):
        return self.cluster.replicas()

    @contextlib.contextmanager
    def no_sentinels(self):
        """Nobody interferes with what is done by hand. They are killed, not stopped: one that stood still takes 30 s to trust its clock again (TILT)."""
        stopped = [s for s in self.group.sentinels if s.alive()]
        for sentinel in stopped:
            sentinel.kill()
        yield
        for sentinel in stopped:
            sentinel.launch()

    def new_primary(self, old):
        """Waits until the sentinels have chosen; where they do not come to it, the repair has to do."""
        try:
            self.cluster.note_primary(self.group.wait_primary(other_than=old, seconds=8, patient=False))
        except TimeoutError:
            self.undecided += 1

    def strike(self, fault, limit_s=60):
        """One fault from harm to recovery. Raises TimeoutError when nothing is acknowledged any more after the repair."""
        begin = time.monotonic()
        fault(self)
        self.cluster.repair()
        healed = time.monotonic()

        repaired = healed

        def recovered():
            nonlocal repaired
            self.cluster.keep()
            if time.monotonic() > repaired + 4:  # the sentinels may have begun something else meanwhile
                self.cluster.repair()
                repaired = time.monotonic()
            return self.load.acknowledged_since(healed)
        wait_for(f"an acknowledged transaction after {fault.__name__} and its repair", recovered, limit_s, 0.02)
        end = time.monotonic()
        self.rows.append((fault.__name__, begin, healed, end, self.load.gap(begin, end)))


# --- processes that die

def kill_primary(run):
    """The sentinels choose another; the old one comes back as a replica."""
    old = run.primary()
    old.kill()
    with run.short_of(1, "one of three nodes is dead"):
        run.new_primary(old)
        run.hold(0, 0.5)


def kill_primary_and_start_it(run):
    """It comes back at once, before or after the sentinels have moved on, and believes that it is the primary still."""
    old = run.primary()
    old.kill()
    with run.short_of(1, "one of three nodes is dead"):
        run.hold(0, 1.5)
    old.launch()
    old.ready()
    run.hold(0, 2)


def kill_replica(run):
    node = run.rng.choice(run.replicas())
    node.kill()
    with run.short_of(1, "a replica is dead"):
        run.hold(0.2, 1.5)


def kill_replicas(run):
    for node in run.replicas():
        node.kill()
    with run.blackout("both replicas are dead"):
        run.hold(0.2, 1.5)


def kill_all_redis(run):
    """As when a supervisor restarts everything. What was acknowledged stands in every AOF, so nothing may be lost."""
    primary = run.primary()
    for node in [primary, *run.replicas()]:
        node.kill()
    with run.blackout("all nodes are dead"):
        run.hold(0.1, 0.5)
    with run.no_sentinels():
        for node in run.group.nodes:
            node.launch()
        for node in run.group.nodes:
            node.ready()


def kill_sentinels(run):
    for sentinel in run.rng.sample(run.group.sentinels, run.rng.choice([1, 2, 3])):
        sentinel.kill()
    run.hold(0.2, 1)


def kill_engine(run):
    run.rng.choice(run.cluster.engines).kill()
    run.hold(0.1, 1)


def kill_engines(run):
    for engine in run.cluster.engines:
        engine.kill()


def kill_engine_and_primary(run):
    run.rng.choice(run.cluster.engines).kill()
    kill_primary(run)


# --- processes that stand still

def pause_primary(run):
    """Another one is chosen meanwhile; when the old one goes on it still has its clients and takes itself for the primary."""
    old = run.primary()
    run.cluster.pause(old)
    with run.short_of(1, "one of three nodes stands still"):
        run.new_primary(old)
        run.hold(0, 1)
    run.cluster.resume(old)
    run.hold(0.3, 1)


def pause_primary_shortly(run):
    """Shorter than the sentinels wait."""
    old = run.primary()
    run.cluster.pause(old)
    with run.short_of(1, "the primary stands still"):
        run.hold(0.1, 0.4)
    run.cluster.resume(old)


def pause_replica(run):
    node = run.rng.choice(run.replicas())
    run.cluster.pause(node)
    with run.short_of(1, "a replica stands still"):
        run.hold(0.2, 2)
    run.cluster.resume(node)


def pause_replicas(run):
    nodes = run.replicas()
    for node in nodes:
        run.cluster.pause(node)
    with run.blackout("both replicas stand still"):
        run.hold(0.2, 2)
    for node in nodes:
        run.cluster.resume(node)


def pause_engine(run):
    """Long enough that others move on; what it had under way comes out afterwards."""
    engine = run.rng.choice(run.cluster.engines)
    if engine.alive():
        run.cluster.pause(engine)
        run.hold(0.5, 3)
        run.cluster.resume(engine)


def pause_engine_over_failover(run):
    """It wakes up in another epoch."""
    engine = run.rng.choice(run.cluster.engines)
    if engine.alive():
        run.cluster.pause(engine)
    kill_primary(run)
    if engine in run.cluster.paused:
        run.cluster.resume(engine)


# --- roles

def ordered_failover(run):
    old = run.primary()
    for sentinel in run.group.sentinels:
        try:
            sentinel.ask("SENTINEL", "FAILOVER", NAME)
            break
        except RedisError as error:
            if not str(error).startswith(("NOGOODSLAVE", "INPROG")):
                raise
    else:
        return
    run.new_primary(old)


def promote_and_back(run):
    """By hand, under live connections: a replica becomes the primary, the others follow it, and back again."""
    primary, (one, two) = run.primary(), run.replicas()
    with run.no_sentinels():
        one.promote()
        run.hold(0, 0.3)
        two.follow(one)
        run.hold(0, 0.3)
        primary.follow(one)
        run.cluster.note_primary(one)
        run.hold(0.2, 1.5)
        primary.promote()
        one.follow(primary)
        run.hold(0, 0.3)
        two.follow(primary)
        run.cluster.note_primary(primary)
        run.hold(0, 0.5)


def promote_without_tail(run):
    """A replica stands still while the others go on, and is made the primary: what it lacks is gone."""
    primary, (one, two) = run.primary(), run.replicas()
    with run.no_sentinels():
        run.cluster.pause(one)
        with run.short_of(1, "a replica stands still"):
            run.hold(0.2, 0.8)
            run.cluster.pause(primary)  # what waits in its sockets for the replica is not to come
            primary.kill()
        run.cluster.paused.remove(primary)
        run.cluster.resume(one)
        one.promote()
        two.follow(one)
        run.cluster.note_primary(one)
        run.hold(0, 0.5)
        run.cluster.as_replica(primary, one)
        run.hold(0.2, 1)


def flap(run):
    """A replica goes to and fro between two primaries that both take themselves for one."""
    primary, (one, two) = run.primary(), run.replicas()
    with run.no_sentinels():
        one.promote()
        with run.short_of(1, "two primaries share one replica"):
            for _ in range(run.rng.randrange(3, 8)):
                two.follow(run.rng.choice([primary, one]))
                run.hold(0.05, 0.5)
        one.follow(primary)
        two.follow(primary)
        run.hold(0.1, 0.5)


def wipe_replica(run):
    node = run.rng.choice(run.replicas())
    node.kill()
    with run.short_of(1, "a replica is dead"):
        node.wipe()
        run.hold(0, 0.5)


# --- the network

def cut(run, away, why, low=0.5, high=4):
    redis_away = sum(host in away for host in run.cluster.redis_hosts)
    run.cluster.network.cut(away)
    with run.short_of(min(redis_away, 3 - redis_away), why):
        run.hold(low, high)
    run.cluster.network.heal()


def cut_primary(run):
    """The primary alone, or with some of the engines."""
    primary = run.primary()
    away = [primary.namespace] + [host for host in run.cluster.engine_hosts if run.rng.random() < 0.5]
    cut(run, away, "the primary is cut off from its replicas", 1, 4)


def cut_replica(run):
    cut(run, [run.rng.choice(run.replicas()).namespace], "a replica is cut off")


def cut_engine(run):
    cut(run, [run.rng.choice(run.cluster.engine_hosts)], "nothing of Redis is cut off")


def cut_somewhere(run):
    hosts = run.cluster.network.hosts
    cut(run, run.rng.sample(hosts, run.rng.randrange(1, len(hosts))), "the nodes of Redis are on two sides")


def flicker(run):
    """Many short cuts in different places."""
    for _ in range(run.rng.randrange(3, 8)):
        hosts = run.cluster.network.hosts
        run.cluster.network.cut(run.rng.sample(hosts, run.rng.randrange(1, len(hosts))))
        run.hold(0.05, 0.4)
        run.cluster.network.heal()
        run.hold(0, 0.2)


FAULTS = [kill_primary, kill_primary_and_start_it, kill_replica, kill_replicas, kill_all_redis, kill_sentinels, kill_engine, kill_engines, kill_engine_and_primary,
          pause_primary, pause_primary_shortly, pause_replica, pause_replicas, pause_engine, pause_engine_over_failover, ordered_failover, promote_and_back,
          promote_without_tail, flap, wipe_replica]
NETWORK = [cut_primary, cut_replica, cut_engine, cut_somewhere, flicker]
