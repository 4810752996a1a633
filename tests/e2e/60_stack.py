"""The local stack starts, can be started again, fails over, and its end touches nothing but what it started. Prints TAP."""

import json
import os
import subprocess
import sys
import time

sys.path[:0] = ["tests/support", "tests/stack"]
import processes  # noqa: E402
from redis_stack import Group  # noqa: E402
from resp import Redis, RedisError  # noqa: E402
from tap import TMP, case, done  # noqa: E402

DIR = os.path.join(TMP, "stack")
RECORD = os.path.join(DIR, "redis", "stack.json")


def stack(verb, *members, code=0):
    result = subprocess.run([sys.executable, "tests/stack/stack.py", verb, DIR, *members], capture_output=True, text=True, timeout=120)
    if result.returncode != code:
        print(f"# {verb}: {result.returncode}\n# " + (result.stdout + result.stderr).replace("\n", "\n# "))
    return result


def urls():
    with open(os.path.join(DIR, "env"), encoding="utf-8") as file:
        return dict(line.strip().replace("'", "").split("=", 1) for line in file)


def connect(url):
    user, _, rest = url.removeprefix("redis://").partition(":")
    password, _, place = rest.partition("@")
    host, _, port = place.partition(":")
    return Redis(host, int(port), user, password)


def recorded():
    with open(RECORD, encoding="utf-8") as file:
        return json.load(file)["servers"]


def everything():
    """(pid, start) of every process there is."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return {(pid, processes.started_at(pid)) for pid in pids}


def ours():
    """Processes that have the directory in their command line."""
    return [pid for pid, _ in everything() if any(DIR in word for word in processes.command_of(pid)) and pid != os.getpid()]


# Bystanders: a server of the same program, and a process whose number an old record names.
bystander = Group(os.path.join(TMP, "bystander"), replicas=0, sentinels=0, min_replicas=0).start()
sleeper = subprocess.Popen(["sleep", "600"])
try:
    case("status before", "nothing is started" in stack("status").stdout)
    case("an unknown member is refused", stack("start", "oracle", code=2).returncode == 2)
    case("it starts", stack("start").returncode == 0)
    first = recorded()
    case("three nodes, three sentinels", [row["name"] for row in first] == ["redis1", "redis2", "redis3", "sentinel1", "sentinel2", "sentinel3"], first)
    case("all on ports of their own on the loopback", len({row["port"] for row in first} | {6379, 26379}) == 8 and all(row["host"] == "127.0.0.1" for row in first))
    case("the URLs can be read by their owner alone", os.stat(os.path.join(DIR, "env")).st_mode & 0o777 == 0o600)

    with connect(urls()["TIDE_REDIS_DIRECT_URL"]) as redis:
        case("the program's user may write its stream", redis("XADD", "tidemark:{default}:journal", "1-*", "b", "entry") == b"1-0")
        case("and both replicas get it", redis("WAIT", 2, 5000) == 2)
        refused = redis.pipeline([["XADD", "other", "1-*", "b", "x"], ["XDEL", "tidemark:{default}:journal", "1-0"], ["XSETID", "tidemark:{default}:journal", "9-0"],
                                  ["DEL", "tidemark:{default}:journal"], ["RENAME", "tidemark:{default}:journal", "tidemark:{default}:y"], ["CONFIG", "SET", "maxmemory", "1"], ["FLUSHALL"]])
        case("nothing else", all(isinstance(reply, RedisError) and "NOPERM" in str(reply) for reply in refused), refused)
    place = first[0]
    with Redis(place["host"], place["port"]) as redis:
        case("and nobody without a password", "NOAUTH" in str(redis.pipeline([["PING"]])[0]))
    with connect(urls()["TIDE_REDIS_ADMIN_URL"]) as admin:
        settings = admin.pipeline([["CONFIG", "GET", name] for name in ("appendonly", "maxmemory-policy", "repl-backlog-ttl", "min-replicas-to-write")])
        case("as a deployment should be", [row[1] for row in settings] == [b"yes", b"noeviction", b"0", b"1"], settings)

    case("it starts again", stack("start").returncode == 0)
    case("and nothing changed", recorded() == first)
    processes.Process(first[0]["process"]).kill()
    case("status sees what has ended", "not running" in stack("status", code=1).stdout)
    group = Group(os.path.join(DIR, "redis"), stay=True).recall(json.load(open(RECORD, encoding="utf-8")))
    group.wait_primary(other_than=group.nodes[0])
    case("the sentinels made another one the primary", group.primary() in group.nodes[1:])
    case("start brings it back", stack("start").returncode == 0)
    second = recorded()
    case("and leaves the others alone", second[1:] == first[1:] and second[0]["process"]["pid"] != first[0]["process"]["pid"])
    group.recall(json.load(open(RECORD, encoding="utf-8")))
    processes.wait_for("the old primary follows", lambda: group.nodes[0].role() == "replica", 30)
    case("as a replica, with the data", group.nodes[0].ask("XLEN", "tidemark:{default}:journal") == 1)
    with connect(urls()["TIDE_REDIS_DIRECT_URL"]) as redis:
        case("the URL names the new primary", redis("ROLE")[0] == b"master")

    # A number that was given to somebody else meanwhile.
    record = json.load(open(RECORD, encoding="utf-8"))
    lost = processes.Process(record["servers"][5]["process"])
    record["servers"][5]["process"] = {**record["servers"][5]["process"], "pid": sleeper.pid}
    processes.save(RECORD, record)
    before = everything()
    case("it stops", stack("stop").returncode == 0)
    case("a stranger with a recorded number is left alone", sleeper.poll() is None)
    lost.stop()  # the one whose number this test had overwritten
    time.sleep(0.1)
    ended = {pid for pid, start in before - everything() if start is not None}
    known = {row["process"]["pid"] for row in second}
    case("nothing of it runs any more", not ours(), ours())
    case("all its servers are among what ended", known <= ended, (known, ended))
    case("a server of the same program still answers", bystander.nodes[0].ask("PING") == b"PONG")
    case("nothing is left in the directory but its lock", os.listdir(DIR) == ["lock"], os.listdir(DIR))
    case("stopping twice is no error", stack("stop").returncode == 0)
finally:
    stack("stop")
    bystander.stop()
    sleeper.kill()
done()
