"""Every node has lost the journal: engines refuse, `tidemark restore` writes it back from a mirror, and they go on with exact counts. Prints TAP."""

import os
import shutil
import sys
import time

sys.path.insert(0, "tests/support")
from processes import wait_for  # noqa: E402
from redis_cell import Cell, audit, mirrored, stop_all  # noqa: E402
from tap import case, done  # noqa: E402

CARDS = [f"c{n}" for n in range(50)]
KEY = "tidemark:{default}:journal"
cell = Cell("restore", replicas=2)
SNAP = ["--set", "snapshot.every=300ms", "--set", "journal.keep=1s"]
running = []


# What the ACL example gives to people who restore, and no more.
RIGHTS = ("reset on >{} ~tidemark:{{default}}:* +ping +role +info +time +wait +exists +type +xadd +xrange +xlen +xinfo|stream +xtrim +xdel +xsetid +xgroup|create "
          "+xgroup|destroy +rename +renamenx +del")


def longest():
    """The mirror that ends last: whoever stopped last has heartbeats that the other has not."""
    return max((1, 2), key=lambda number: audit(cell.mirror(number))["entries"])


def restore(*words, code=0, mirror=None, user="restorer"):
    """As a user who may rename."""
    return cell.verb("restore", "--from", cell.mirror(mirror or longest()), *words, code=code, user=user)


def start():
    running[:] = cell.engines((1, 2), *SNAP)


def stop():
    codes = stop_all(running)
    running.clear()
    return codes


def rows():
    return cell.primary.ask("XRANGE", KEY, "-", "+")


try:
    cell.group.passwords["restorer"] = "correct-horse"
    for node in cell.group.nodes:
        node.ask("ACL", "SETUSER", "restorer", *RIGHTS.format("correct-horse").split())
    cell.verb("init")
    start()
    answers = cell.send(running, 800)
    time.sleep(1.5)  # for the journal to be trimmed
    wait_for("both mirrors have them", lambda: all(mirrored(cell.mirror(n)) == 800 for n in (1, 2)), 20, 0.2)
    old_copy = os.path.join(cell.dir, "old")
    before = rows()
    answers += cell.send(running, 800)
    time.sleep(1.5)
    wait_for("and those", lambda: all(mirrored(cell.mirror(n)) == 1600 for n in (1, 2)), 20, 0.2)
    told = cell.counts(running[0], CARDS)
    case("all were counted", all(f["card.attempts_24h"] == 1600 / 50 for _, f in told))
    shutil.copytree(cell.mirror(1), old_copy)
    some = rows()
    wait_for("a mirror has all of it", lambda: max(mirrored(cell.mirror(n), "entries") for n in (1, 2)) > int(some[-1][0].split(b"-")[1]), 20, 0.1)

    # Lost while the engines run, and somebody begins a new journal in its place.
    cell.primary.ask("FLUSHALL")
    cell.verb("init")
    for server in running:
        wait_for("it ended", lambda s=server: s.process.poll() is not None, 20)
    codes = [server.process.returncode for server in running]
    case("both engines end: what they answered from is gone", codes == [4, 4], codes)
    case("and leave a marker", all(os.path.exists(f"{cell.engine_dir(n)}/snapshots/HISTORY-LOST") for n in (1, 2)))
    running.clear()
    code, said = cell.refuses(1)
    case("a start is refused", code == 4 and "--accept-loss" in said, said[-300:])

    # The session outlived the flush, so a heartbeat may have been the first entry of the new stream: that is for a person to take away.
    if cell.length() > 0:
        result = restore(code=None)
        case("what is no beginning of the mirror is left as it is", result.returncode == 4 and "left as it is" in result.stderr and cell.length() > 0, result.stderr)
        cell.primary.ask("DEL", KEY)
    result = restore(code=None, user="tidemark")
    case("an engine's own user may not restore", result.returncode != 0 and "ACL example" in result.stderr, result.stderr)
    text = restore()
    case("restore says what is there again", "is there again" in text and "read back" in text, text)
    whole = audit(cell.mirror(longest()))
    again = rows()  # heartbeats may stand behind what was there
    at = again.index(some[0]) if some[0] in again else len(again)
    case("every entry of the mirror is in Redis", cell.length() == whole["entries"] and again[at:at + len(some)] == some, (cell.length(), whole["entries"], at))
    case("on the replicas too", all(node.ask("XLEN", KEY) == whole["entries"] for node in cell.group.nodes))
    case("and nothing beside it", cell.primary.ask("EXISTS", KEY + ":restore") == 0)
    case("again: nothing to do", "already" in restore())

    start()
    case("engines start without --accept-loss", True)
    case("and know every card", cell.counts(running[0], CARDS) == told and cell.counts(running[1], CARDS) == told)
    again = cell.send(running, 400)
    case("they go on", all(a["status"] == "scored" and a["counted"] is True for a in again))
    case("counts are exact", all(f["card.attempts_24h"] == 2000 / 50 for _, f in cell.counts(running[1], CARDS)))
    case("the markers are gone", not any(os.path.exists(f"{cell.engine_dir(n)}/snapshots/HISTORY-LOST") for n in (1, 2)))
    case("they stop cleanly", stop() == [0, 0])
    audits = [audit(cell.mirror(n)) for n in (1, 2)]
    case("both mirrors tell the whole story", all(a["same"] and a["decisions"] == 2000 for a in audits), audits)

    # A journal that goes beyond the mirror is not touched.
    length, last = cell.length(), rows()[-1][0]
    shutil.move(cell.mirror(1), cell.mirror(1) + ".kept")
    shutil.copytree(old_copy, cell.mirror(1))
    result = restore(code=None, mirror=1)
    case("a mirror that ends before the journal is refused", result.returncode != 0 and "left as it is" in result.stderr, result.stderr)
    case("and the journal is as it was", (cell.length(), rows()[-1][0]) == (length, last))
    shutil.rmtree(cell.mirror(1))
    shutil.move(cell.mirror(1) + ".kept", cell.mirror(1))

    # All came back with an old copy, and the restore before was stopped half-way.
    cell.primary.ask("FLUSHALL")
    for row in before:
        cell.primary.ask("XADD", KEY, row[0], *row[1])
    code, said = cell.refuses(2)
    case("an old copy is refused", code == 4 and "--accept-loss" in said, said[-300:])
    cell.primary.ask("XADD", KEY + ":restore", "1-0", "b", "something else")
    result = restore(code=None)
    case("what an earlier restore left of another mirror is not built upon", result.returncode != 0 and "DEL" in result.stderr, result.stderr)
    cell.primary.ask("DEL", KEY + ":restore")
    text = restore()
    case("a beginning is made whole", "is there again" in text and cell.length() == max(a["entries"] for a in audits), text)
    case("and what stood there is gone", sorted(k for k in cell.primary.ask("KEYS", "*") if b"journal" in k) == [KEY.encode()])

    # Stopped half-way: the next one goes on behind what is there.
    whole_rows = rows()
    cell.primary.ask("FLUSHALL")
    for row in whole_rows[:20]:
        cell.primary.ask("XADD", KEY + ":restore", row[0], *row[1])
    text = restore()
    case("a restore that was stopped goes on", "is there again" in text and rows() == whole_rows, text)

    # Only the end, for want of room.
    cell.primary.ask("FLUSHALL")
    everything = max(a["entries"] for a in audits)
    newest = sorted(tuple(int(n) for n in name.split("-")[1:]) for name in os.listdir(f"{cell.engine_dir(1)}/snapshots") if name.startswith("snap-"))[0]
    newest2 = sorted(tuple(int(n) for n in name.split("-")[1:]) for name in os.listdir(f"{cell.engine_dir(2)}/snapshots") if name.startswith("snap-"))[0]
    begin = min(newest, newest2)
    result = restore("--begin-at", "1-0", code=None)
    case("not from a fence", result.returncode == 2 and "fence" in result.stderr, result.stderr)
    restore("--begin-at", f"{begin[0]}-{begin[1]}")
    case("the end alone", 0 < cell.length() < everything, (cell.length(), everything))
    start()
    case("is enough for engines with their snapshots", all(f["card.attempts_24h"] == 2000 / 50 for _, f in cell.counts(running[0], CARDS)))
    case("they stop cleanly too", stop() == [0, 0])
finally:
    for server in running:
        if server.process.poll() is None:
            server.process.terminate()
    cell.stop()
done()
