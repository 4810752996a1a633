"""A single real Kafka broker (KRaft, its own controller) as a member of the local stack.

Debian has no package of it: the jars come from Maven Central by pom.xml, once, into build/kafka/ (they outlive make stack-stop). Needs a Java 17
run-time and Maven, which nothing else of Tidemark needs.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import sys

import processes

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build")

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={dir}/data
num.network.threads=1
num.io.threads=2
num.partitions=6
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
# It lives for minutes beside everything else on one machine. The optimizing compiler would take more of the processors meanwhile (5 to 8 us a transaction, seen) than its
# code gives back, and a small heap needs no collector with threads of its own.
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


class Kafka:
    needs = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
    libs = os.path.join(BUILD, "kafka", "libs")
    more = ""  # lines of server.properties, of a test

    def __init__(self, directory, stay=True):
        self.dir = os.path.abspath(directory)
        self.stay = stay  # it outlives who starts it
        self.port, self.controller = processes.free_port(), processes.free_port()
        self.process = None

    def java(self, *words):
        return ["java", "-Xmx512m", *JVM, "-cp", f"{self.libs}/*", *words]

    @classmethod
    def fetch(cls):
        """The jars, or nothing: a download that broke off is not taken for a whole one. One fetches, others wait for it."""
        os.makedirs(os.path.dirname(cls.libs), exist_ok=True)
        with open(f"{cls.libs}.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.isdir(cls.libs):
                return
            print("fetching Kafka's jars from Maven Central, once", file=sys.stderr, flush=True)
            fresh = f"{cls.libs}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            cls.run(["mvn", "-q", "-B", "-f", os.path.join(HERE, "pom.xml"),
                     "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"], 600)
            os.rename(fresh, cls.libs)

    @staticmethod
    def run(command, seconds):
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed with {result.returncode}:\n{result.stdout[-1500:]}{result.stderr[-1500:]}")
        return result.stdout

    def launch(self):
        log = os.path.join(self.dir, "log")
        properties = os.path.join(self.dir, "server.properties")
        self.process = processes.start(self.java("kafka.Kafka", properties), log, self.dir, stay=self.stay)
        try:
            processes.wait_for(f"Kafka is started on 127.0.0.1:{self.port}", lambda: self.listening(log), 180, 0.1)
        except BaseException as error:
            self.stop()
            raise RuntimeError(f"{error}; see {log}:\n{processes.tail(log)}") from error

    def listening(self, log):
        if not self.process.alive():
            raise RuntimeError("Kafka ended")
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return "Kafka Server started" in processes.tail(log, 400)

    def start(self):
        self.fetch()
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        properties = os.path.join(self.dir, "server.properties")
        processes.write(properties, PROPERTIES.format(port=self.port, controller=self.controller, dir=self.dir) + self.more)
        cluster = self.run(self.java("kafka.tools.StorageTool", "random-uuid"), 180).split()[-1]
        self.run(self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties), 180)
        self.launch()

    def restart(self):
        if not self.process.alive():
            self.launch()

    def stop(self):
        if self.process is not None:
            self.process.stop(30)

    def record(self):
        return {"port": self.port, "controller": self.controller, "process": self.process.record}

    def recall(self, record):
        self.port, self.controller = record["port"], record["controller"]
        self.process = processes.Process(record["process"])

    def rows(self):
        yield "kafka", f"127.0.0.1:{self.port}", self.process, "one broker"

    def env(self):
        return {"TIDE_KAFKA_BROKERS": f"127.0.0.1:{self.port}"}
