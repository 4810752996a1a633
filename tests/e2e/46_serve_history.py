"""A served cell that begins after a back-fill: what it answers is what a replay after the same history says, what was counted as history is not counted
again, it goes on from its own snapshots, and neither it nor audit goes on without the history. Prints TAP.
"""

import json
import os
import shutil
import sys

sys.path.insert(0, "tests/support")
from http_server import SHIPPED, TMP, Server, case, done, refuses, tide  # noqa: E402


def at(name):
    return os.path.join(TMP, name)


common = ("--features", SHIPPED, "--dev-key", "--log-level", "error")
tide("generate", "--seed", "31", "--transactions", "2000", "--output", at("all.jsonl"))
with open(at("all.jsonl"), encoding="utf-8") as file, open(at("log.jsonl"), "w", encoding="utf-8") as out:
    lines = [(json.loads(line), line) for line in file]
    known = max((m for m, _ in lines if m["type"] == "auth"), key=lambda m: m["at"])
    out.writelines(line for m, line in lines if m["at"] <= known["at"])  # labels come weeks later: behind them every event is late
events = [m for m, _ in lines if m["type"] == "auth"]
cards = [m["card"]["number"] for m in events]
busy = next(m for m in reversed(events) if m["card"]["number"] == max(cards, key=cards.count))
new = {**busy, "rrn": "999999999999", "stan": "999999", "at": known["at"]}
new.pop("original", None)
with open(at("new.jsonl"), "w", encoding="utf-8") as file:
    file.write(json.dumps(new) + "\n")

# --- what a replay says
tide("backfill", *common, "--input", at("log.jsonl"), "--output", at("base"))
tide("replay", *common, "--input", at("new.jsonl"), "--output", at("new.out"), "--emit-features", "--start-from", at("base"))
with open(at("new.out"), encoding="utf-8") as file:
    replayed = json.loads(file.readline())
case("the history counts", replayed["features"]["card.attempts_30d"] > 5, replayed)

# --- a cell
journal, history = at("journal"), at("history")
tide("backfill", *common, "--live", "--input", at("log.jsonl"), "--output", history)
shutil.copytree(history, os.path.join(journal, "snapshots"))
server = Server(journal=f"file:{journal}")
status, answer = server.post("/v1/score", new, explain="full")[:2]
case("its first answer is that of the replay", status == 200 and all(answer[k] == replayed[k] for k in ("decision", "by", "features")), (answer, replayed))
status, again = server.post("/v1/score", known)[:2]
case("what was history gets no second decision", status == 422 and "counted before" in again["detail"], again)
status, more = server.post("/v1/score", {**new, "rrn": "999999999998"}, explain="full")[:2]
case("and counts once", more["features"]["card.attempts_30d"] == answer["features"]["card.attempts_30d"] + 1, more)
case("it ends", server.stop() == 0)
server = Server(journal=f"file:{journal}")
status, more = server.post("/v1/score", {**new, "rrn": "999999999997"}, explain="full")[:2]
case("it goes on from its own snapshot", more["features"]["card.attempts_30d"] == answer["features"]["card.attempts_30d"] + 2, more)
case("and ends again", server.stop() == 0)

# --- nobody goes on without the history
proof = tide("audit", "--journal", f"file:{journal}", "--start-from", history)
case("audit proves it with the history", "3 decisions in" in proof, proof)
refused = tide("audit", "--journal", f"file:{journal}", code=None)
case("and not without", refused.returncode == 5 and "back-fill" in refused.stderr, refused.stderr)
bare = at("bare")
shutil.copytree(journal, bare, ignore=shutil.ignore_patterns("snapshots", "LOCK"))
refuses("nor does an engine", 5, "back-fill", *common, "--journal", f"file:{bare}")
other = at("other")
shutil.copytree(history, os.path.join(other, "snapshots"))
with open(at("key"), "w", encoding="utf-8") as file:
    file.write("17" * 32 + "\n")
os.chmod(at("key"), 0o600)
refuses("nor does one with another key", 3, "under another key", "--features", SHIPPED, "--log-level", "error", "--key-file", at("key"), "--journal", f"file:{other}")
clock = at("clock")
shutil.copytree(at("base"), os.path.join(clock, "snapshots"))
refuses("a history for a replay is refused", 3, "--live", *common, "--journal", f"file:{clock}")
done()
