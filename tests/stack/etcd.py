"""A single etcd as a member of the local stack: one process on two free loopback ports, its data beside it.

One node, because what is tried by hand is the registry's protocol; three nodes and what happens when one dies belong to the registry's tests
(tests/support/etcd_cell.py), which make clusters and nodes with TLS of this class.
"""

import os
import urllib.error
import urllib.request

import processes


class Etcd:
    needs = {"etcd": "etcd-server"}

    def __init__(self, directory, name="tidemark", stay=True, flags=()):
        self.dir, self.name, self.stay, self.flags = os.path.abspath(directory), name, stay, list(flags)
        self.port, self.peer_port = processes.free_port(), processes.free_port()
        self.members = [self]
        self.tls = None  # ssl.SSLContext of a client, where the flags give it TLS
        self.process = None

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def peer(self):
        return f"http://127.0.0.1:{self.peer_port}"

    def begin(self):
        """Starts the process and does not wait for it: members of a cluster wait for each other."""
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        cluster = ",".join(f"{member.name}={member.peer}" for member in self.members)
        command = ["etcd", "--name", self.name, "--data-dir", os.path.join(self.dir, "data"), "--listen-client-urls", self.url, "--advertise-client-urls",
                   self.url, "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer, "--initial-cluster", cluster, *self.flags]
        self.process = processes.start(command, os.path.join(self.dir, "log"), self.dir, stay=self.stay)

    def ready(self):
        log = os.path.join(self.dir, "log")
        try:
            processes.wait_for(f"etcd answers on {self.url}", self.healthy, 20)
        except BaseException as error:
            self.stop()
            raise RuntimeError(f"{error}; see {log}:\n{processes.tail(log)}") from error

    def launch(self):
        self.begin()
        self.ready()

    def healthy(self):
        if not self.process.alive():
            raise RuntimeError("etcd ended")
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1, context=self.tls) as response:
                return b'"health":"true"' in response.read()
        except urllib.error.HTTPError:
            return False  # it listens and has no leader yet

    def start(self):
        self.launch()

    def restart(self):
        if not self.process.alive():
            self.launch()

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def record(self):
        return {"port": self.port, "peer_port": self.peer_port, "process": self.process.record}

    def recall(self, record):
        self.port, self.peer_port = record["port"], record["peer_port"]
        self.process = processes.Process(record["process"])

    def rows(self):
        yield "etcd", f"127.0.0.1:{self.port}", self.process, "one node"

    def env(self):
        return {"TIDE_ETCD_URL": self.url}
