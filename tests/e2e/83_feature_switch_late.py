"""Another feature file in a cell with an engine that joined late: its log does not begin with the cell's beginning, so it cannot count it anew. The others go over without it, and it
takes their state behind the switch. Prints TAP.
"""

import concurrent.futures
import os
import subprocess
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import tide  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from redis_cell import FEATURES, Cell, audit  # noqa: E402
from tap import TMP, case, done  # noqa: E402

CARDS = [f"c{n}" for n in range(50)]
NEXT = FEATURES.replace("name: cell", "name: next").replace("attempts: count over 24h with current", 'attempts: "count over 1h, 24h with current"')
cell = Cell("late")
ports = [free_port() for _ in range(3)]
os.makedirs(os.path.join(TMP, "registry"))
registry = "dir:" + os.path.join(TMP, "registry")
at = ["--registry", registry, "--cell", "default", "--why", "a test"]
words = ["--set", "snapshot.every=300ms", "--set", "journal.keep=1s", "--set", "snapshot.peers=" + ",".join(f"127.0.0.1:{port}" for port in ports),
         "--set", f"registry.url={registry}", "--set", "registry.lease=6s"]


def engine(number):
    return cell.engine(number, *words, admin=f"127.0.0.1:{ports[number - 1]}")


def file_of(server):
    return cell.healthz(server)["provenance"]["features"].split("@")[0]


def position(server):
    return tuple(int(n) for n in cell.healthz(server)["folded"].split("-"))


next_file = os.path.join(TMP, "next.yaml")
with open(next_file, "w", encoding="utf-8") as file:
    file.write(NEXT)
running = {}
cell.verb("init")
try:
    with concurrent.futures.ThreadPoolExecutor() as starts:  # side by side: the first may otherwise trim what the second has to begin with
        running[1], running[2] = starts.map(engine, (1, 2))
    for _ in range(4):
        cell.send([running[1], running[2]], 500)
        time.sleep(0.7)
    wait_for("the journal is trimmed", lambda: not cell.primary.ask("XRANGE", "tidemark:{default}:journal", "-", "+", "COUNT", 1)[0][0].decode().startswith("1-0"), 20)
    running[3] = engine(3)
    cell.send([running[3]], 100)
    for name in cell.features, next_file:
        tide("features", "push", name, *at)
    tide("features", "validate", "next", *at, "--journal", "file:" + cell.mirror(1), "--min-events", "1", "--max-decision-shift", "100")
    tide("features", "rollout", "next", *at)
    wait_for("the two go over", lambda: file_of(running[1]) == file_of(running[2]) == "next", 40)
    case("the engines that have the whole log do not wait for the one that has not", True)
    try:
        code = running[3].process.wait(60)
    except subprocess.TimeoutExpired:
        code = None
    case("that one ends and says why", code not in (0, None) and "takes a snapshot from a peer" in running[3].log(), (code, running[3].log()[-600:]))
    case("its snapshots were put aside, not removed", any(n.startswith("snapshots.until-") for n in os.listdir(cell.engine_dir(3))), os.listdir(cell.engine_dir(3)))

    def again():
        try:
            running[3] = engine(3)
        except RuntimeError:  # the peers have no snapshot from behind the switch yet
            return False
        return True

    wait_for("it starts with the state of a peer", again, 40)
    wait_for("it has the next file", lambda: file_of(running[3]) == "next", 20)
    answers = cell.send(list(running.values()), 600)
    case("all three answer under the next file", {a["provenance"]["features"].split("@")[0] for a in answers} == {"next"}, answers[-1])
    last = max(tuple(int(n) for n in a["position"].partition(".")[0].split("-")) for a in answers)
    for server in running.values():
        wait_for("all have folded it", lambda s=server: position(s) >= last, 10)
    told = [cell.counts(server, CARDS) for server in running.values()]
    case("and say the same of every card", told[0] == told[1] == told[2], [a for a in zip(*told) if len({str(x) for x in a}) > 1][:1])
    case("which is what was sent, also before the file was there", all(f["card.attempts_1h"] == f["card.attempts_24h"] == 2700 / 50 for _, f in told[2]), told[2][:1])
    case("no engine found that another had decided otherwise", all(server.metric("tidemark_journal_diverged_total") == 0 for server in running.values()))
finally:
    codes = [server.stop() for server in running.values()]
    cell.stop()
case("they stop cleanly", codes == [0, 0, 0], codes)
found = audit(cell.mirror(1))
case("an audit finds every decision as it was", found["same"], found)
done()
