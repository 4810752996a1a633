"""`tidemark doctor` on real servers: nothing to fix on a sound deployment, and each thing set up wrongly is found and named with what to do. Prints TAP."""

import json
import sys

sys.path.insert(0, "tests/support")
from redis_cell import Cell  # noqa: E402
from tap import case, done  # noqa: E402

cell = Cell("doctor", replicas=2, sentinels=3)
MONITOR = cell.group.sentinels[1]


def doctor(*words, **how):
    result = cell.verb("doctor", "--json", *words, code=None, **how)
    findings = json.loads(result.stdout)["findings"]
    return result.returncode, [f for f in findings if f["what"] in ("redis", "replica", "sentinel")]


def fixes(found):
    return [f for f in found[1] if f["level"] == "fix"]


def wrong(name, says, *words, level="fix", **how):
    """Now one thing is wrong: exactly that is found."""
    found = doctor(*words, **how)
    of_level = [f for f in found[1] if f["level"] == level]
    case(name, any(says in f["text"] for f in of_level), (of_level, says))
    if level == "fix":
        case(f"{name}: exit code 1, and nothing else is blamed", found[0] == 1 and all(says in f["text"] for f in of_level), of_level)


class Set:
    """CONFIG SET on a node, and back."""

    def __init__(self, node, name, value):
        self.node, self.name, self.value = node, name, value

    def __enter__(self):
        self.was = self.node.ask("CONFIG", "GET", self.name)[1]
        self.node.ask("CONFIG", "SET", self.name, self.value)

    def __exit__(self, *_):
        self.node.ask("CONFIG", "SET", self.name, self.was)


try:
    primary, replica, other = cell.group.nodes
    sentinels = cell.group.sentinel_url()
    found = doctor()
    case("a new cell is told how to begin", not fixes(found) and any("tidemark init" in f["text"] for f in found[1]), found)
    cell.verb("init")
    for url, name in ((None, "by its address"), (sentinels, "by its sentinels")):
        found = doctor(url=url)
        case(f"a sound deployment, named {name}, has nothing to fix", found[0] == 0 and not fixes(found), fixes(found))
        case(f"all three nodes were looked at, named {name}", sum("version 7" in f["text"] for f in found[1]) == 3, found)
    case("and all sentinels", sum(f["what"] == "sentinel" and "quorum 2 of 3" in f["text"] for f in found[1]) == 3, found)

    with Set(primary, "maxmemory-policy", "allkeys-lru"):
        wrong("eviction on the primary", "maxmemory-policy is allkeys-lru")
    with Set(replica, "maxmemory-policy", "volatile-lru"):
        wrong("eviction on a replica", "maxmemory-policy is volatile-lru")
    with Set(other, "appendonly", "no"):
        wrong("a replica without AOF", "appendonly is off")
    with Set(primary, "appendfsync", "no"):
        wrong("an AOF that is never synced", "appendfsync is no")
    with Set(primary, "repl-backlog-ttl", "3600"):
        wrong("a backlog that is forgotten", "repl-backlog-ttl is 3600")
    with Set(primary, "min-replicas-to-write", "0"):
        wrong("a primary that writes alone", "min-replicas-to-write is 0", level="note")
    with Set(primary, "maxmemory", "0"):
        wrong("no bound to memory", "maxmemory is not set")
    with Set(replica, "maxmemory", "100mb"):
        wrong("a replica with less memory", "primary's 512 MiB")
    wrong("a replica named as the journal", "is a replica, not the primary", url=cell.url.rpartition(":")[0] + f":{replica.port}")
    wrong("more replicas than configured", "journal.replicas says at most 1", replicas=1)
    wrong("too few for a commit", "a commit needs 3", replicas=3)
    wrong("a replica nobody configured", "is not in journal.nodes", "--set", f"journal.nodes={primary.host}:{primary.port},{replica.host}:{replica.port}")
    with open(cell.group.password_file(), encoding="utf-8") as file:
        secret = file.read().strip()
    case("the password is never shown", secret not in json.dumps(doctor()), "shown")
    replica.ask("ACL", "SETUSER", "tidemark", "resetpass", ">something-else")
    wrong("a replica with another password", "users stand in each node's own ACL file", user="tidemark")
    replica.ask("ACL", "SETUSER", "tidemark", "resetpass", f">{secret}")
    found = doctor(user="tidemark")
    case("an engine's own user sees enough to find nothing wrong", found[0] == 0 and not fixes(found), fixes(found))
    wrong("a primary that does not answer", "cannot be reached", url="redis://tidemark@127.0.0.1:1")

    MONITOR.ask("SENTINEL", "SET", "tidemark", "quorum", "4")
    wrong("a quorum that cannot be", "its quorum is 4 of 3", url=sentinels)
    MONITOR.ask("SENTINEL", "SET", "tidemark", "quorum", "2")
    MONITOR.ask("SENTINEL", "SET", "tidemark", "down-after-milliseconds", "120000")
    wrong("a sentinel that waits for minutes", "down-after-milliseconds is 120000", url=sentinels)
    MONITOR.ask("SENTINEL", "SET", "tidemark", "down-after-milliseconds", "1500")
    wrong("a name that the sentinels do not know", "does not know a primary by the name elsewhere", url=sentinels.replace("/tidemark", "/elsewhere"))
    MONITOR.kill()
    wrong("a sentinel that is away", "cannot be reached", url=sentinels)
finally:
    cell.stop()
done()
