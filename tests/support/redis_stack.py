"""Real Redis servers for the local stack, the chaos runs and the benchmarks: a primary, replicas and sentinels, and everything that can happen to them.

Every server has a directory of its own (configuration, data, log) and is an object with the verbs of an accident: kill, pause, resume, wipe,
copy_rdb, start_from_rdb. Users and their rights are those of config/redis/users.acl on each node, because Redis does not replicate them, and `admin` for the harness.
Passwords are random per stack.
"""

import hashlib
import os
import secrets
import shutil
import socket

import processes
from processes import Process, free_port, wait_for, write
from resp import Redis, RedisError

NAME = "tidemark"  # what the sentinels call the group

ACL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config", "redis", "users.acl")


def acl(cell, passwords):
    """The users file that ships with Tidemark, filled in as its README says, and `admin` for the harness."""
    with open(ACL, encoding="ascii") as file:
        text = file.read().replace("{CELL}", "{" + cell + "}")
    for user, password in passwords.items():
        text = text.replace(f"#SHA256_OF_THE_PASSWORD_OF_{user} ", f"#{hashlib.sha256(password.encode()).hexdigest()} ")
    if "SHA256_OF" in text:
        raise RuntimeError(f"{ACL} has a user that nobody has a password for")
    return text + f"user admin reset on #{hashlib.sha256(passwords['admin'].encode()).hexdigest()} ~* &* +@all\n"


NODE = """# Written by tests/support/redis_stack.py; Sentinel may rewrite it.
port {port}
bind {bind}
protected-mode no
dir "{dir}"
aclfile "{dir}/users.acl"
masteruser replica
masterauth {replica}
appendonly yes
appendfsync {appendfsync}
save ""
dbfilename dump.rdb
maxmemory {maxmemory}
maxmemory-policy noeviction
min-replicas-to-write {min_replicas}
min-replicas-max-lag 2
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-diskless-load disabled
repl-ping-replica-period 1
repl-timeout 10
repl-backlog-ttl 0
set-proc-title no
daemonize no
"""

SENTINEL = """# Written by tests/support/redis_stack.py; the sentinel rewrites it.
port {port}
bind {bind}
protected-mode no
dir "{dir}"
set-proc-title no
daemonize no
sentinel monitor {name} {host} {master_port} {quorum}
sentinel auth-user {name} sentinel
sentinel auth-pass {name} {password}
sentinel down-after-milliseconds {name} {down_after_ms}
sentinel failover-timeout {name} {failover_timeout_ms}
sentinel parallel-syncs {name} 1
"""


# Every connection with TLS, those of replicas and sentinels among each other too; behind the lines above, of which it takes `port` back.
TLS = """port 0
tls-port {port}
tls-cert-file "{pair.cert}"
tls-key-file "{pair.key}"
tls-ca-cert-file "{pair.ca}"
tls-auth-clients yes
tls-replication yes
"""


class Place:
    """Where a server runs: the address for its peers, the one by which this program reaches it, and the network namespace (netns.Host)."""

    def __init__(self, host="127.0.0.1", reach=None, namespace=None):
        self.host, self.reach, self.namespace = host, reach or host, namespace


class Server:
    """One process of the group: its place, its files, its accidents."""

    program = "redis-server"

    def __init__(self, group, name, place):
        self.group, self.name, self.port = group, name, free_port()
        self.host, self.reach, self.namespace = place.host, place.reach, place.namespace
        self.bind = self.host if self.host == self.reach else f"{self.host} {self.reach}"
        self.dir = os.path.join(group.dir, name)
        self.conf = os.path.join(self.dir, "redis.conf")
        self.log = os.path.join(self.dir, "log")
        self.process = None

    def tls(self):
        return TLS.format(port=self.port, pair=self.group.tls) if self.group.tls else ""

    def alive(self):
        return self.process is not None and self.process.alive()

    def launch(self, *extra):
        if self.alive():
            raise RuntimeError(f"{self.name} runs already")
        self.process = processes.start([self.program, self.conf, *extra], self.log, self.dir, stay=self.group.stay, namespace=self.namespace)
        try:
            wait_for(f"{self.name} listens on {self.reach}:{self.port}", self.listening, 15)
        except TimeoutError as error:
            raise RuntimeError(f"{error}; see {self.log}:\n{processes.tail(self.log)}") from None

    def listening(self):
        if not self.alive():
            raise RuntimeError(f"{self.name} ended; see {self.log}:\n{processes.tail(self.log)}")
        with socket.create_connection((self.reach, self.port), timeout=1):
            return True

    def kill(self):
        if self.process is not None:
            self.process.kill()

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def pause(self):
        return self.process.pause()

    def resume(self):
        return self.process.resume()

    def record(self):
        return {"name": self.name, "host": self.host, "port": self.port, "process": self.process.record if self.process else None}


class Node(Server):
    """A server with data."""

    def configure(self, primary=None):
        os.makedirs(self.dir, exist_ok=True)
        write(os.path.join(self.dir, "users.acl"), acl(self.group.cell, self.group.passwords))
        text = NODE.format(port=self.port, bind=self.bind, dir=self.dir, replica=self.group.passwords["replica"], min_replicas=self.group.min_replicas,
                           maxmemory=self.group.maxmemory, appendfsync=self.group.appendfsync)
        if primary is not None:
            text += f"replicaof {primary.host} {primary.port}\n"
        write(self.conf, text + self.tls())

    def admin(self, timeout=5.0):
        return Redis(self.reach, self.port, "admin", self.group.passwords["admin"], timeout, self.group.tls and self.group.tls.context())

    def ask(self, *words, timeout=30.0):
        with self.admin(timeout) as redis:
            return redis(*words)

    def role(self):
        """primary, replica, or None when it does not answer."""
        try:
            return {b"master": "primary", b"slave": "replica"}[self.ask("ROLE", timeout=1.0)[0]]
        except (OSError, RedisError):
            return None

    def promote(self):
        """By hand, whatever it lacks."""
        self.ask("REPLICAOF", "NO", "ONE")

    def follow(self, primary):
        self.ask("REPLICAOF", primary.host, primary.port)

    def wipe(self):
        """Its data is gone, as with a new disk. Not while it runs."""
        if self.alive():
            raise RuntimeError(f"{self.name} runs")
        shutil.rmtree(os.path.join(self.dir, "appendonlydir"), ignore_errors=True)
        if os.path.exists(os.path.join(self.dir, "dump.rdb")):
            os.remove(os.path.join(self.dir, "dump.rdb"))

    def copy_rdb(self, path):
        """A backup of its data as of now."""
        with self.admin(30.0) as redis:
            redis("SAVE")
        shutil.copyfile(os.path.join(self.dir, "dump.rdb"), path)

    def start_from_rdb(self, path):
        """Starts with an old backup. With `appendonly yes` and no AOF Redis 7 would begin empty and ignore the RDB, so the AOF is switched on
        afterwards, as its documentation says."""
        self.wipe()
        shutil.copyfile(path, os.path.join(self.dir, "dump.rdb"))
        self.launch("--appendonly", "no")
        self.ready()
        self.ask("CONFIG", "SET", "appendonly", "yes")

    def ready(self, seconds=20):
        """Waits until its data is loaded."""
        def loaded():
            try:
                with self.admin() as redis:
                    return redis.info("persistence")["loading"] == "0"
            except RedisError as error:
                if str(error).startswith("LOADING"):
                    return False
                raise
        wait_for(f"{self.name} has loaded its data", loaded, seconds)


class Sentinel(Server):
    program = "redis-sentinel"

    def configure(self, primary):
        os.makedirs(self.dir, exist_ok=True)
        self.conf = os.path.join(self.dir, "sentinel.conf")
        write(self.conf, SENTINEL.format(port=self.port, bind=self.bind, dir=self.dir, name=NAME, host=primary.host, master_port=primary.port,
                                         quorum=self.group.sentinel_quorum, password=self.group.passwords["sentinel"],
                                         down_after_ms=self.group.down_after_ms, failover_timeout_ms=self.group.failover_timeout_ms) + self.tls())

    def ask(self, *words, timeout=2.0):
        with Redis(self.reach, self.port, timeout=timeout, tls=self.group.tls and self.group.tls.context()) as redis:
            return redis(*words)

    def primary(self):
        """(host, port) as this sentinel has it; None when it does not answer."""
        try:
            host, port = self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            return host.decode(), int(port)
        except (OSError, RedisError, TypeError):
            return None


class Group:
    """A primary with replicas, and sentinels that watch them.

    replicas: N of the deployment. min_replicas: below so many connected ones the primary refuses writes. stay: the servers outlive this
    program (`make stack`). places: a Place for each node and then each sentinel; by default all on 127.0.0.1. tls: a certificate for all of them and this program
    (certificates.Pair), or None for plain connections.
    """

    def __init__(self, directory, replicas=2, sentinels=3, min_replicas=1, stay=False, down_after_ms=1500, failover_timeout_ms=5000, maxmemory="512mb",
                 cell="default", appendfsync="everysec", places=None, tls=None):
        self.dir = os.path.abspath(directory)
        self.stay, self.min_replicas, self.maxmemory, self.cell, self.appendfsync = stay, min_replicas, maxmemory, cell, appendfsync
        self.down_after_ms, self.failover_timeout_ms = down_after_ms, failover_timeout_ms
        self.sentinel_quorum = sentinels // 2 + 1
        self.tls = tls
        self.passwords = {user: secrets.token_hex(16) for user in ("admin", "replica", "sentinel", "tidemark", "tidemark-restore")}
        places = places or [Place()] * (1 + replicas + sentinels)
        self.nodes = [Node(self, f"redis{n + 1}", places[n]) for n in range(1 + replicas)]
        self.sentinels = [Sentinel(self, f"sentinel{n + 1}", places[1 + replicas + n]) for n in range(sentinels)]

    @property
    def scheme(self):
        return "rediss" if self.tls else "redis"

    @property
    def servers(self):
        return self.nodes + self.sentinels

    def start(self):
        """Starts everything; on failure ends what it started."""
        try:
            os.makedirs(self.dir, mode=0o700, exist_ok=True)
            primary = self.nodes[0]
            for node in self.nodes:
                node.configure(None if node is primary else primary)
                node.launch()
            self.wait_replicas(primary, len(self.nodes) - 1)
            for sentinel in self.sentinels:
                sentinel.configure(primary)
                sentinel.launch()
            self.wait_sentinels()
        except BaseException:
            self.stop()
            raise
        return self

    def restart(self):
        """Starts again what does not run, with the data and the roles that it had."""
        for server in self.servers:
            if not server.alive():
                server.launch()
        for node in self.nodes:
            node.ready()

    def wait_replicas(self, primary, count, seconds=20, patient=True):
        def connected():
            with primary.admin() as redis:
                info = redis.info("replication")
            online = [v for k, v in info.items() if k.startswith("slave") and "state=online" in v]
            return info["role"] == "master" and len(online) >= count
        wait_for(f"{primary.name} has {count} replicas", connected, seconds, patient=patient)

    def wait_sentinels(self, seconds=20):
        """Until each knows every replica and every other sentinel; before that there may be no quorum for a failover."""
        def ready(sentinel):
            rows = sentinel.ask("SENTINEL", "MASTER", NAME)
            state = dict(zip(rows[::2], rows[1::2]))
            return (int(state[b"num-slaves"]) >= len(self.nodes) - 1 and int(state[b"num-other-sentinels"]) >= len(self.sentinels) - 1
                    and b"down" not in state[b"flags"])
        for sentinel in self.sentinels:
            wait_for(f"{sentinel.name} knows the group", lambda s=sentinel: ready(s), seconds)

    def stop(self):
        """Sentinels first, so that they start no failover meanwhile."""
        for server in self.sentinels + self.nodes:
            server.stop()

    def primary(self):
        """The node that most sentinels name, or without sentinels the one that says so itself; None."""
        votes = [place for place in (sentinel.primary() for sentinel in self.sentinels if sentinel.alive()) if place]
        for node in self.nodes:
            if votes and votes.count((node.host, node.port)) * 2 > len(votes):
                return node
        if self.sentinels:
            return None
        return next((node for node in self.nodes if node.role() == "primary"), None)

    def wait_primary(self, other_than=None, seconds=30, patient=True):
        """A primary that most sentinels name and that says so itself."""
        def found():
            node = self.primary()
            return node if node is not None and node is not other_than and node.role() == "primary" else None
        return wait_for("a primary", found, seconds, patient=patient)

    def url(self, node=None, user="tidemark"):
        node = node or self.nodes[0]
        return f"{self.scheme}://{user}:{self.passwords[user]}@{node.host}:{node.port}"

    def sentinel_url(self, user="tidemark"):
        """Without the password, which the program reads from a file."""
        places = ",".join(f"{sentinel.host}:{sentinel.port}" for sentinel in self.sentinels)
        return f"{self.scheme}+sentinel://{user}@{places}/{NAME}"

    def password_file(self, user="tidemark"):
        path = os.path.join(self.dir, f"{user}.password")
        if not os.path.exists(path):
            write(path, self.passwords[user] + "\n")
        return path

    def record(self):
        return {"passwords": self.passwords, "servers": [server.record() for server in self.servers]}

    def recall(self, record):
        """Becomes the group that an earlier run has recorded."""
        if [row["name"] for row in record["servers"]] != [server.name for server in self.servers]:
            raise RuntimeError(f"{self.dir} holds a group of another shape: make stack-stop, then remove it")
        self.passwords = record["passwords"]
        for server, row in zip(self.servers, record["servers"]):
            server.host, server.reach, server.port = row["host"], row["host"], row["port"]
            server.process = Process(row["process"]) if row["process"] else None
            if isinstance(server, Sentinel):
                server.conf = os.path.join(server.dir, "sentinel.conf")
        return self
