"""A whole cell under test: a Redis group with sentinels, several engines, and the care of an operator: what died is started again, replicas follow the primary.

Everything runs either on the loopback or on hosts of its own (netns.py): three with a Redis and a sentinel each, then one per engine.
"""

import http.client
import os
import subprocess
import time

import processes
from chaos_load import FEATURES
from processes import free_port, wait_for, write
from redis_stack import Group, Place
from resp import RedisError


class Engine:
    """One engine process. `command(engine)` gives its command line."""

    def __init__(self, cluster, name, place, command):
        self.cluster, self.name, self.place, self.command = cluster, name, place, command
        self.port, self.admin = free_port(), free_port()
        self.dir = os.path.join(cluster.dir, name)
        self.log = os.path.join(self.dir, "log")
        self.process = None
        self.down = True  # on purpose
        self.exits = []   # codes of ends that nobody asked for
        os.makedirs(self.dir, exist_ok=True)

    def launch(self):
        self.process = processes.start(self.command(self), self.log, namespace=self.place.namespace)
        self.down = False

    def alive(self):
        return self.process is not None and self.process.alive()

    def kill(self):
        self.down = True
        if self.process is not None:
            self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def stop(self):
        """Its exit code, None when it did not run."""
        self.down = True
        if not self.alive():
            return None
        self.process.stop(60)
        return self.process.child.returncode

    def readiness(self, path="/readyz"):
        """(status, text) of the probe; (0, why) when it does not answer."""
        connection = http.client.HTTPConnection(self.place.reach, self.admin, timeout=1)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()

    def ready(self):
        return self.readiness()[0] == 200


class Cluster:
    """command(engine): see Engine. needed: how many replicas an acknowledgement needs (q). network: netns.Network or None.

    appendfsync: `always`, because some faults start a node that was killed as a primary again. With `everysec` Redis puts off writing to its AOF for up to two
    seconds while the disk is busy with the last fsync, and has answered all the same: a primary that is killed and comes back as one may lack what all had."""

    def __init__(self, directory, command, engines=2, needed=2, network=None, down_after_ms=700, failover_timeout_ms=1500, appendfsync="always"):
        self.dir, self.network, self.needed = os.path.abspath(directory), network, needed
        os.makedirs(self.dir, exist_ok=True)
        self.redis_hosts = [network.host() for _ in range(3)] if network else []
        self.engine_hosts = [network.host() for _ in range(engines)] if network else []

        def place(host):
            return Place(host.address, host.outside, host)
        redis_places = [place(host) for host in self.redis_hosts] * 2 or None
        self.group = Group(os.path.join(self.dir, "redis"), replicas=2, sentinels=3, min_replicas=1, down_after_ms=down_after_ms,
                           failover_timeout_ms=failover_timeout_ms, places=redis_places, appendfsync=appendfsync)
        self.engines = [Engine(self, f"engine{n + 1}", place(self.engine_hosts[n]) if network else Place(), command) for n in range(engines)]
        self.paused = []
        self.failovers = 0
        self.known_primary = None

    def start(self, before_engines=None):
        self.group.start()
        self.note_primary(self.group.nodes[0])
        if before_engines is not None:
            before_engines(self)
        for engine in self.engines:
            engine.launch()
        for engine in self.engines:
            wait_for(f"{engine.name} is ready (see {engine.log})", engine.ready, 30)
        return self

    def targets(self):
        return {engine.name: (engine.place.reach, engine.port) for engine in self.engines}

    def stop(self):
        for server in self.paused:
            server.resume()
        codes = [engine.stop() for engine in self.engines]
        self.group.stop()
        if self.network:
            self.network.close()
        return codes

    def note_primary(self, node):
        """Counts a failover when another node, or the same one started anew, is the primary."""
        now = (node.name, node.process.pid)
        if self.known_primary not in (None, now):
            self.failovers += 1
        self.known_primary = now

    def replicas(self):
        primary = self.group.wait_primary()
        return [node for node in self.group.nodes if node is not primary]

    def pause(self, server):
        """SIGSTOP, and until the kernel says that it stands still."""
        server.pause()
        wait_for(f"{server.name} stands still", lambda: state_of(server.process.pid) == "T", 5)
        self.paused.append(server)

    def resume(self, server):
        server.resume()
        self.paused.remove(server)

    def as_replica(self, node, primary):
        """Starts a node that is down, as an operator would: it may only come back as a replica."""
        node.configure(primary)
        node.launch()

    def keep(self):
        """What a supervisor does: an engine that ended by itself is started again, and its exit code kept."""
        for engine in self.engines:
            if not engine.down and not engine.alive():
                engine.exits.append(engine.process.child.returncode)
                engine.launch()

    def repair(self, seconds=60):
        """Everything runs, one primary, all others follow it. Raises TimeoutError."""
        end = time.monotonic() + seconds
        for server in list(self.paused):
            self.resume(server)
        if self.network:
            self.network.heal()
        for sentinel in self.group.sentinels:
            if not sentinel.alive():
                sentinel.launch()
        named = wait_for("what the sentinels name", self.group.primary, 20)
        if not named.alive():
            named.launch()
            named.ready()
        for node in self.group.nodes:
            if not node.alive():
                self.as_replica(node, named)
        primary = self.find_primary(end)
        while True:
            try:
                for node in self.group.nodes:
                    if node is not primary:
                        role = node.ask("ROLE")
                        if role[0] != b"slave" or (role[1].decode(), role[2]) != (primary.host, primary.port):
                            node.follow(primary)
                self.group.wait_replicas(primary, len(self.group.nodes) - 1, 8, patient=False)
                if self.find_primary(end) is primary:
                    break
                primary = self.find_primary(end)  # the sentinels have moved it meanwhile
            except (OSError, RedisError):
                if time.monotonic() > end:
                    raise
                primary = self.find_primary(end)
                time.sleep(0.1)
        self.note_primary(primary)
        for engine in self.engines:
            if not engine.alive():
                if not engine.down:
                    engine.exits.append(engine.process.child.returncode)
                engine.launch()
        return primary

    def find_primary(self, end):
        """The one that the sentinels name. Where it says of itself that it is a replica (a hand was quicker than the sentinels), it is made the primary again."""
        while time.monotonic() < end:
            node = self.group.primary()
            role = node.role() if node is not None and node.alive() else None
            if role == "replica":
                node.promote()
            if role is not None:
                return node
            time.sleep(0.05)
        raise TimeoutError(f"no primary: the sentinels name {node.name if node else None}, which does not answer")


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


TIDE = os.environ.get("TIDE_BIN", "build/tidemark")


def redis_words(cluster, user="tidemark"):
    """How a verb of the program names the cell's journal."""
    return ["--journal", cluster.group.sentinel_url(user), "--set", f"journal.password_file={cluster.group.password_file(user)}",
            "--set", f"journal.quorum={cluster.needed}"]


def redis_engine(engine):
    """The command line of `tidemark serve` on the cluster's Redis."""
    features = os.path.join(engine.cluster.dir, "features.yaml")
    if not os.path.exists(features):
        write(features, FEATURES)
    return [TIDE, "serve", "--features", features, *redis_words(engine.cluster), *listen(engine), "--set", f"engine.id={engine.name[-1]}",
            "--set", f"journal.dir={engine.dir}/journal", "--set", "snapshot.every=500ms", "--log-level", "info", "--set", "log.limit=0"]


def file_engine(engine):
    """The same on a file journal of its own."""
    features = os.path.join(engine.cluster.dir, "features.yaml")
    if not os.path.exists(features):
        write(features, FEATURES)
    return [TIDE, "serve", "--features", features, "--journal", f"file:{engine.dir}/journal", *listen(engine), "--log-level", "info", "--set", "log.limit=0"]


def listen(engine):
    host = "0.0.0.0" if engine.place.namespace else "127.0.0.1"
    return ["--listen", f"{host}:{engine.port}", "--admin", f"{host}:{engine.admin}"]


def init(cluster):
    """Makes the cell's journal; nothing else may."""
    result = verb(cluster, "init", user="tidemark-restore")
    if result.returncode != 0:
        raise RuntimeError(f"tidemark init: {result.returncode}: {result.stderr}")


def verb(cluster, name, *words, user="tidemark"):
    """Runs a verb of the program on the cell's journal, on the first engine's host."""
    host = cluster.engines[0].place.namespace
    command = [TIDE, name, *redis_words(cluster, user), *words]
    return subprocess.run(host.inside(*command) if host else command, capture_output=True, text=True, timeout=120)
