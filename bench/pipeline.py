"""The driver of bench_pipeline: starts a Kafka broker, a Redis primary with two replicas and one engine, on this machine, and prints what the pipeline does.

  python3 bench/pipeline.py [--quick] [--small] [--backlog=N] [--rates=N,N,...] [--kafka=NAME=VALUE,...]

Rows: catching up with ten minutes of messages that waited in Kafka (the engine is stopped meanwhile, and goes on in the same epoch); a new cell that
begins with such a backlog, and answers nothing before it has read it; and an open loop at fixed rates, with the latency from the intended sending to the decision being
read from the scores topic. Messages come to the log at their own times. q = N = 2: every entry has been acknowledged by both replicas. With each row, the share of the machine's processors that each server took, and
the threads of the engine and of the broker. The second half of the backlog is told by itself too: what only beginnings cost is not in it. The feature file is the shipped one; --small: a file of two entities and ten values. --kafka: settings of librdkafka for the engine, as the
operator's file would have them. --quick: a little of each, for a test. Each row
ends with the number of decisions, and how many of them were the fallback's.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, "tests/support")
made = "TIDE_TMP" not in os.environ
if made:
    os.environ["TIDE_TMP"] = tempfile.mkdtemp(prefix="bench-pipeline-")
from kafka_cell import TIDE, Broker, Engine, config, wait_for  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP  # noqa: E402

def option(name, default):
    return next((word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")), default)


QUICK, SMALL = "--quick" in sys.argv, "--small" in sys.argv
PARTITIONS, SCORES = 6, 3
BENCH = os.path.join(os.path.dirname(TIDE), "bench", "bench_pipeline")
BACKLOG = int(option("backlog", 3000 if QUICK else 600000))
SECONDS = 2 if QUICK else 10
RATES = [int(rate) for rate in option("rates", "500" if QUICK else "1000,5000,10000,20000,50000").split(",")]
KAFKA = dict(pair.split("=", 1) for pair in option("kafka", "").split(",") if pair)
TICK = os.sysconf("SC_CLK_TCK")
SMALL_FILE = """tidemark: 1
name: small
event: {id: [rrn, stan, acquirer], time: time, amount: amount in EUR, key: pan}
inputs:
  default: {rrn: /rrn, stan: /stan, acquirer: /acquirer, kind: {at: /type, default: auth}, time: {at: /at, as: rfc3339}, amount: {at: /amount/value, currency: /amount/currency}, pan: /card/number, merchant: /merchant/id}
entities: {card: pan, merchant: merchant}
features:
  card: {attempts: "count over 1m, 1h, 24h with current", spend: "sum of amount over 1h, 24h with current", merchants: distinct of merchant over 1h, idle: time since previous}
  merchant: {seen: count over 10m with current, cards: distinct of card over 10m cap 100, usual: mean of amount over 1h}
freshness: {default: {budget: 15s, stale: fallback, warming: mark, consistency: quorum}}
policy:
  decisions: [approve, review]
  rules: [{R1: review when card.attempts_1m > 5}, {else: approve}]
  fallback: [{else: review}]
"""


def cpu_of(pid):
    """Seconds of processor time of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def threads_of(pid):
    """Seconds by thread name."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        fields = text.rpartition(")")[2].split()
        name = text[text.index("(") + 1:text.rindex(")")]
        found[f"{name}/{task}"] = (int(fields[11]) + int(fields[12])) / TICK
    return found


class Meter:
    """What each server took of the processors between two moments, in percent of one processor."""

    def __init__(self, servers, engine):
        self.servers, self.inside = servers, {"engine": engine.process.pid, "broker": servers["broker"]}
        self.begin()

    def begin(self):
        self.at, self.was = time.monotonic(), {name: cpu_of(pid) for name, pid in self.servers.items()}
        self.threads = {name: threads_of(pid) for name, pid in self.inside.items()}
        self.children = os.times().children_user + os.times().children_system

    def inside_of(self, name):
        """Seconds by thread, those of one name together."""
        found = {}
        for thread, total in threads_of(self.inside[name]).items():
            short = thread.rpartition("/")[0]
            found[short] = found.get(short, 0) + total - self.threads[name].get(thread, 0)
        return found

    def end(self, count):
        """Percent of one processor, and microseconds of processor time per transaction, of each server and of threads."""
        seconds = time.monotonic() - self.at
        took = {name: cpu_of(pid) - self.was[name] for name, pid in self.servers.items()}
        all_servers = 1e6 * sum(took.values()) / count
        took["load"] = os.times().children_user + os.times().children_system - self.children

        def show(times):
            return ", ".join(f"{name} {100 * t / seconds:.0f} % {1e6 * t / count:.1f} us" for name, t in sorted(times.items(), key=lambda item: -item[1])
                             if 100 * t >= seconds)
        inside = "; ".join(f"in the {name}: {show(self.inside_of(name))}" for name in self.inside)
        return f"processors: all servers {all_servers:.1f} us: {show(took)}; {inside}"


def run(*words):
    result = subprocess.run([BENCH, *map(str, words)], capture_output=True, text=True, timeout=280)
    if result.returncode != 0:
        print(f"# {result.stderr.strip().splitlines()[-1] if result.stderr.strip() else result.returncode}")
    return result.returncode, [float(word) for word in result.stdout.split()]


def refused(engine):
    """Decisions so far that were the fallback's."""
    text = engine.ask("GET", "/metrics", port=engine.admin)[1]
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("tidemark_decisions_refused_total ")))


def row(name, text, cpu):
    print(f"{name:<34} {text}\n{'':<34} {cpu}", flush=True)


def main():
    broker, cell, engines = Broker(), None, []
    log = os.path.join(TMP, "log.jsonl")
    subprocess.run([TIDE, "generate", "--seed", "1", "--transactions", "3000" if QUICK else "400000", *([] if QUICK else ["--cards", "400000", "--merchants", "100000"]),
                    "--output", log], check=True, stderr=subprocess.DEVNULL)
    features = "config/defaults/features.yaml"
    if SMALL:
        features = os.path.join(TMP, "features.yaml")
        with open(features, "w", encoding="utf-8") as file:
            file.write(SMALL_FILE)
    try:
        broker.start()
        cell = Cell("cell", replicas=2, maxmemory="3gb")
        cell.features = features

        def launch(number, topic, wait):
            path = config(os.path.join(TMP, f"{topic}.yaml"), broker, {"auths": {"topic": topic, "key": "card", "silence": "1h"}}, f"{topic}_scores", f"{topic}_dead",
                          scores={"features": "none"}, kafka={"queued.max.messages.kbytes": 65536, **KAFKA}, snapshot={"every": "0s"})
            engines.append(Engine(f"engine{number}", "--config", path, "--features", features, *cell.words(), "--set", f"engine.id={number}",
                                  "--set", f"journal.dir={TMP}/journal{number}", "--log-level", "warn"))
            engines[-1].launch(wait)
            servers = {"broker": broker.process.pid, "engine": engines[-1].process.pid}
            servers.update({node.name: node.process.pid for node in cell.group.nodes})
            return engines[-1], Meter(servers, engines[-1])

        def topics(name):
            broker.topics(**{name: PARTITIONS, f"{name}_scores": SCORES, f"{name}_dead": 1})

        topics("live")
        cell.verb("init", "--features", features, "--dev-key")
        engine, meter = launch(1, "live", True)
        run("run", broker.address, "live", PARTITIONS, log, 500, 2, "live_scores")  # everything is warm
        done = broker.length("live_scores")
        fell = refused(engine)
        engine.process.pause()
        run("fill", broker.address, "live", PARTITIONS, log, BACKLOG, 600000)
        meter.begin()
        engine.process.resume()
        run("until", broker.address, "live_scores", done + BACKLOG // 2)
        there, second = broker.length("live_scores") - done, Meter(meter.servers, engine)
        code, _ = run("until", broker.address, "live_scores", done + BACKLOG)
        seconds, rest = time.monotonic() - meter.at, time.monotonic() - second.at
        row("ten minutes behind, catching up", f"{BACKLOG / seconds:8.0f} txn/s   {seconds:.2f} s" + (" NOT ALL" if code else "")
            + f"   {BACKLOG} decisions, {refused(engine) - fell} refused", meter.end(BACKLOG))
        if there < BACKLOG:
            row("of it the last", f"{(BACKLOG - there) / rest:8.0f} txn/s   {rest:.2f} s   {BACKLOG - there} decisions", second.end(BACKLOG - there))
        for rate in RATES:
            fell = refused(engine)
            meter.begin()
            code, found = run("run", broker.address, "live", PARTITIONS, log, rate, SECONDS, "live_scores")
            if not found:
                row(f"open loop, {rate}/s", "nothing was answered", "")
                continue
            sent, answered, seconds, p50, p99, p999, most, behind, twice = found
            row(f"open loop, {rate}/s", f"{answered / seconds:8.0f} txn/s   p50 {p50:.1f} p99 {p99:.1f} p99.9 {p999:.1f} max {most:.0f} ms, sent {behind:.0f} ms late at most   "
                f"{answered:.0f} of {sent:.0f} decisions, {refused(engine) - fell} refused" + (f", {twice:.0f} twice" if twice else ""), meter.end(sent))
        engine.stop()
        # A new cell, whose first epoch is open only when the backlog has been read.
        cell.group.nodes[0].ask("FLUSHALL", timeout=60.0)
        topics("fresh")
        run("fill", broker.address, "fresh", PARTITIONS, log, BACKLOG, 600000)
        cell.verb("init", "--features", features, "--dev-key")
        engine, meter = launch(2, "fresh", False)
        wait_for("the epoch is open", engine.ready, 240, 0.05)
        opened = time.monotonic() - meter.at
        code, _ = run("until", broker.address, "fresh_scores", BACKLOG)
        seconds = time.monotonic() - meter.at
        row("a new cell, ten minutes behind", f"{BACKLOG / seconds:8.0f} txn/s   open after {opened:.2f} s, all answers out after {seconds:.2f} s" + (" NOT ALL" if code else "")
            + f"   {BACKLOG} decisions, {refused(engine)} refused", meter.end(BACKLOG))
        engine.stop()
    finally:
        for one in engines:
            if one.alive():
                one.process.stop()
        if cell:
            cell.stop()
        broker.stop()
    if made:
        shutil.rmtree(TMP)


main()
