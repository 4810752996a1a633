"""Receipts of a cell on Redis: after a takeover by another engine, and after the first one's death, each engine's mirror proves the decisions of both; drift and feedback are the same on
both. Prints TAP."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, "tests/support")
from processes import wait_for  # noqa: E402
from redis_cell import Cell, mirrored  # noqa: E402
from http_server import tide  # noqa: E402
from tap import TMP, case, done  # noqa: E402

SNAP = ["--set", "snapshot.every=300ms", "--set", "journal.keep=1m"]

def receipt_of(answer, mirror, name):
    path = os.path.join(TMP, f"{name}.json")
    tide("explain", answer["id"], "--journal", f"file:{mirror}", "--receipt", path)
    return path

def verify(path, cell, number, *words):
    engine = cell.engine_dir(number)
    result = tide("verify", path, "--journal", f"file:{engine}/mirror", *(words or ("--snapshots", f"{engine}/snapshots")), "--log-level", "error", code=None)
    return result.returncode, result.stdout + result.stderr

def entry_of(answer):
    return tuple(map(int, answer["position"].partition(".")[0].split("-")))

def feedback(server, decisions):
    for _ in range(600):
        value = json.loads(server.ask("GET", "/feedback", admin=True)[2])
        if value["decisions"] >= decisions:
            break
        time.sleep(0.1)
    return value

cell = Cell("receipts")
try:
    cell.verb("init")
    one, two = cell.engine(1, *SNAP), cell.engine(2, *SNAP)
    before = cell.send([one], 400, cards=10)  # R1 declines, too
    case("some were declined, some approved", {a["decision"] for a in before} == {"approve", "decline"})
    seen = feedback(two, 400)
    case("an engine that decided nothing has seen all of it", feedback(one, 400) == seen and seen["decisions"] == 400 and len(seen["rules"]) == 2, seen)
    one.stop(signal.SIGKILL)
    after = cell.send([two], 200, cards=10)
    behind = max(entry_of(answer) for answer in after)
    wait_for("the mirror", lambda: mirrored(cell.mirror(2)) >= 600, 20, 0.2)
    wait_for("a snapshot behind all of it", lambda: any(tuple(map(int, name.split("-")[1:])) >= behind for name in os.listdir(f"{cell.engine_dir(2)}/snapshots") if name.startswith("snap-")),
             20, 0.1)
    again = json.loads(two.ask("POST", "/v1/score", json.dumps({"id": "t7", "amount": 1.0, "currency": "EUR", "card": "c7"}))[2])
    case("a retry at the other engine is a duplicate of the first one's decision", again["duplicate"] is True and again["decision"] == before[7]["decision"], again)
    two.stop()
    answers = {"first": before[0], "declined": next(a for a in before if a["decision"] == "decline"), "after": after[-1]}
    paths = {name: receipt_of(answer, cell.mirror(2), name) for name, answer in answers.items()}
    case("the mirror of the one that lives proves both engines' decisions", all(verify(p, cell, 2)[0] == 0 for p in paths.values()), [verify(p, cell, 2) for p in paths.values()])
    case("from the beginning as well", all(verify(p, cell, 2, "--whole")[0] == 0 for p in paths.values()))
    entry = json.load(open(paths["after"], encoding="utf-8"))["entry"]
    case("the receipt says which engine wrote the entry", entry["engine"] == 2 and json.load(open(paths["first"], encoding="utf-8"))["entry"]["engine"] == 1, entry)
    code, said = verify(paths["after"], cell, 1, "--whole")
    case("the dead one's mirror ends before that, and says so", code == 5 and "has no entry" in said, (code, said))
    case("but proves what it has", verify(paths["first"], cell, 1, "--whole")[0] == 0)
    one = cell.engine(1, *SNAP)
    wait_for("it has the rest", lambda: mirrored(cell.mirror(1)) >= 600, 20, 0.2)
    one.stop()
    code, said = verify(paths["after"], cell, 1)
    case("back again it has the rest, too", code == 0, (code, said))
finally:
    cell.stop()
done()
