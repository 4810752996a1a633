"""Receipts: a decision of each kind is proven from journal, archive and snapshots; a receipt, a journal, an archive, a model that was changed is told, with what differs. Prints TAP."""

import glob
import hashlib
import json
import os
import re
import shutil
import signal
import sys

sys.path.insert(0, "tests/support")
from http_server import TMP, Server, auth, case, done, rfc3339, tide  # noqa: E402

FEATURES, MODEL = "config/defaults/features.yaml", "config/defaults/model.json"
JOURNAL, LOG, OUT = (os.path.join(TMP, name) for name in ("journal", "log.jsonl", "decisions.jsonl"))


def replay(log, journal, *words):
    shutil.rmtree(journal, ignore_errors=True)
    tide("replay", "--features", FEATURES, "--dev-key", "--input", log, "--journal", f"file:{journal}", "--log-level", "error", *words)


def receipt_of(decision, journal=JOURNAL):
    path = os.path.join(TMP, f"receipt-{decision['position']}.json")
    tide("explain", decision["id"], "--journal", f"file:{journal}", "--position", decision["position"], "--receipt", path)
    return path


def verify(path, *words, journal=JOURNAL):
    """(exit code, what it said)"""
    result = tide("verify", path, "--journal", f"file:{journal}", "--log-level", "error", *words, code=None)
    return result.returncode, result.stdout + result.stderr


def forge(path, change):
    """The receipt with its content changed and sealed again, as somebody does who knows how."""
    with open(path, encoding="utf-8") as file:
        text = file.read().rstrip("\n")
    body = change(text[:text.rindex(',"checksum":"')])
    forged = os.path.join(TMP, "forged.json")
    with open(forged, "w", encoding="utf-8") as file:
        file.write(f'{body},"checksum":"{hashlib.sha256(body.encode()).hexdigest()}"}}\n')
    return forged


def swap(old, new):
    def change(body):
        assert old in body, old
        return body.replace(old, new, 1)
    return change


tide("generate", "--seed", "11", "--transactions", "12000", "--days", "20", "--duplicates", "2", "--out-of-order", "2", "--output", LOG)
with open(LOG, encoding="utf-8") as file:
    late = next(message for message in map(json.loads, file) if message.get("type") == "auth")
late.update(rrn="999999999999", stan="999999")
with open(LOG, "a", encoding="utf-8") as file:
    file.write(json.dumps(late) + "\n")
replay(LOG, JOURNAL, "--model", MODEL, "--output", OUT, "--snapshot-every", "8", "--trim", "--journal-segment-kib", "64", "--batch", "256")
with open(OUT, encoding="utf-8") as file:
    decisions = [json.loads(line) for line in file]
case("the journal has an archive and snapshots", glob.glob(f"{JOURNAL}/archive/*.tdz") and os.listdir(f"{JOURNAL}/snapshots"))
kinds = {
    "by a rule": next(d for d in reversed(decisions) if d["status"] == "scored" and d["by"] not in ("else", "M01") and not d["duplicate"]),
    "with a score": next(d for d in reversed(decisions) if d.get("score") is not None),
    "the fallback's": next(d for d in decisions if d["status"] == "refused" and d["cause"] == "late"),
    "a duplicate": next(d for d in reversed(decisions) if d["duplicate"]),
    "the first": decisions[0],
    "the last": next(d for d in reversed(decisions) if d["status"] == "scored"),
}
paths = {}
for kind, decision in kinds.items():
    paths[kind] = receipt_of(decision)
    near, whole = verify(paths[kind]), verify(paths[kind], "--whole")
    case(f"proven: {kind}", near[0] == 0 and "proven: " in near[1] and whole[0] == 0 and "from the beginning" in whole[1], (near, whole))
case("from the nearest snapshot, where there is one", "from the snapshot at" in verify(paths["the last"])[1], verify(paths["the last"]))
case("as JSON", json.loads(verify(paths["the last"], "--json", "--whole")[1]) == {
    "proven": True, "position": kinds["the last"]["position"], "entries": int(kinds["the last"]["position"].split("-")[1].split(".")[0]) + 1, "whole": True, "differences": []})
with open(paths["with a score"], encoding="utf-8") as file:
    text = file.read()
case("the same decision gives the same bytes", open(receipt_of(kinds["with a score"]), encoding="utf-8").read() == text)
case("the receipt holds the answer", json.loads(text)["answer"]["score"] == kinds["with a score"]["score"] and '"pan"' not in text)

hashed = json.loads(text)["features"]["hash"]
with open(FEATURES, "rb") as file:
    case("the feature file is named by BLAKE2b-256 of its bytes", hashed == hashlib.blake2b(file.read(), digest_size=32).hexdigest(), hashed)

# --- receipts that were changed

path = paths["with a score"]
changed = os.path.join(TMP, "changed.json")
with open(changed, "w", encoding="utf-8") as file:
    file.write(text.replace('"decision":"approve"', '"decision":"decline"', 1) if '"decision":"approve"' in text else text.replace('"score":0', '"score":1', 1))
code, said = verify(changed)
case("a receipt that was edited is refused", code == 5 and "changed or is damaged" in said, said)
receipt = json.loads(text)
forgeries = {
    "answer.decision": swap('"decision":"%s"' % receipt["answer"]["decision"], '"decision":"review"' if receipt["answer"]["decision"] != "review" else '"decision":"approve"'),
    "answer.score": lambda body: re.sub(r'"score":[0-9.e-]+', '"score":0.5', body, count=1),
    "answer.features.card.attempts_1h": lambda body: re.sub(r'"card.attempts_1h":[0-9]+', '"card.attempts_1h":77', body, count=1),
    "entry.sha256": swap(receipt["entry"]["sha256"], "0" * 64),
    "model.hash": swap(receipt["model"]["hash"], "1" * 64),
    "features.hash": swap(receipt["features"]["hash"], "2" * 64),
    "policy": swap('"policy":null', '"policy":{"name":"p","hash":"00"}'),
    "rollout": swap(f'"rollout":{receipt["rollout"]}', '"rollout":77'),
    "key": swap(f'"key":"{receipt["key"]}"', '"key":"00000001"'),
    "before.digest": swap(receipt["before"]["digest"], "3" * 32),
    "after.state": swap(receipt["after"]["state"], "4" * 16),
    "answer": lambda body: body[:body.index(',"answer":')],
}
for place, change in forgeries.items():
    code, said = verify(forge(path, change))
    lines = [line for line in said.splitlines() if line.startswith("  ")]
    case(f"forged: {place}", code == 1 and [line.split(":")[0].strip() for line in lines] == [place] and "the receipt says" in said, said)
nothing = kinds["with a score"]["position"].split(".")[0] + ".65000"
code, said = verify(forge(path, swap(f'"position":"{receipt["position"]}"', f'"position":"{nothing}"')))
case("forged: a place without a decision", code == 1 and "the journal makes none there" in said, said)
code, said = verify(forge(path, swap(f'"position":"{receipt["position"]}"', '"position":"1-999999.1"')))
case("forged: a place beyond the journal", code == 5 and "no entry at 1-999999" in said, said)
for name, content, code_is in (("no JSON", "{", 5), ("no receipt", '{"a":1}', 5), ("of another format", '{"tidemark_receipt":2}', None), ("empty", "", 5)):
    with open(changed, "w", encoding="utf-8") as file:
        file.write(content)
    code, said = verify(changed)
    case(f"a file that is {name}", (code == code_is if code_is else code in (3, 4, 5)) and "proven" not in said, (code, said))
case("a file that is not there", verify(f"{TMP}/none.json")[0] == 4 and verify(path, journal=f"{TMP}/nowhere")[0] == 4, (verify(f"{TMP}/none.json"), verify(path, journal=f"{TMP}/nowhere")))

# --- a history that was written anew: its own checksums are all in order

rewritten, other = os.path.join(TMP, "rewritten"), os.path.join(TMP, "other.jsonl")
with open(LOG, encoding="utf-8") as from_file, open(other, "w", encoding="utf-8") as to_file:
    done_one = False
    for line in from_file:
        message = json.loads(line)
        if not done_one and "amount" in message:
            message["amount"]["value"] += 1
            done_one = True
        to_file.write(json.dumps(message, separators=(",", ":")) + "\n" if done_one and "amount" in message else line)
replay(other, rewritten, "--model", MODEL, "--batch", "256")
case("its journal is sound", tide("audit", "--journal", f"file:{rewritten}", code=0))
code, said = verify(paths["the last"], journal=rewritten)
case("one amount, thousands of decisions before: the chain says so", code == 1 and "before.digest" in said and "after." in said, said)
replay(LOG, rewritten, "--batch", "256")
code, said = verify(path, journal=rewritten)
case("without the model that scored: it is named", code == 1 and "model" in said and receipt["model"]["name"] in said, said)

# --- a journal and an archive that were damaged, cut, thrown away

packed = sorted(glob.glob(f"{JOURNAL}/archive/*.tdz"))
with open(packed[len(packed) // 2], "rb") as file:
    archived = bytearray(file.read())
archived[len(archived) // 2] ^= 0x20
with open(packed[len(packed) // 2], "wb") as file:
    file.write(archived)
code, said = verify(paths["the last"], "--whole")
case("a changed archive is corrupt", code == 5 and "proven" not in said, said)
case("which a later snapshot does not need", verify(paths["the last"])[0] == 0, verify(paths["the last"]))
os.unlink(packed[0])  # as journal.archive_keep removes the oldest
for words in (("audit",), ("explain", "999999999999/999999/900001", "--dev-key"), ("drift",)):
    result = tide(*words, "--journal", f"file:{JOURNAL}", "--log-level", "error", code=None)
    case(f"{words[0]} says that the beginning is gone", result.returncode not in (0, 1) and "begins at" in result.stderr and "journal.archive_keep" in result.stderr
         and not result.stdout, (result.returncode, result.stderr))
shutil.rmtree(f"{JOURNAL}/archive")
case("nor does it need the archive at all", verify(paths["the last"])[0] == 0, verify(paths["the last"]))
code, said = verify(paths["the first"])
case("an early decision does, and it is said", code in (4, 5) and "archive" in said, (code, said))
shutil.rmtree(f"{JOURNAL}/snapshots")
code, said = verify(paths["the last"])
case("without either nothing is proven", code in (4, 5) and "--snapshots" in said, (code, said))

# --- a serving engine: before and after a restart, by its own snapshots

server = Server("--model", MODEL)
answers = [server.post("/v1/score", auth(n))[1] for n in range(40)]
answers += [server.post("/v1/score", auth(50, at=rfc3339(-9 * 86400)))[1], server.post("/v1/score", auth(3))[1]]
refused = next(a for a in answers if a["status"] == "refused")
live = {"refused": refused, "a duplicate": answers[-1], "the last": answers[39]}
case("the engine refused, and knew a duplicate", answers[-1]["duplicate"] is True)
where = f"{server.dir}/journal"
live_paths = {kind: receipt_of(answer, journal=where) for kind, answer in live.items()}
case("proven while it serves", all(verify(p, journal=where)[0] == 0 for p in live_paths.values()))
server.stop(signal.SIGKILL)
server = Server("--model", MODEL, journal=f"file:{where}")
server.post("/v1/score", auth(100))
server.stop()
case("proven after a kill and a restart", all(verify(p, journal=where)[0] == 0 and verify(p, "--whole", journal=where)[0] == 0 for p in live_paths.values()))
for words in (("--journal", "memory"), ("--journal", f"file:{JOURNAL}", "--whole", "--snapshots", "x")):
    tide("verify", path, *words, code=2)
tide("verify", code=2)
case("wrong command lines are told", True)
done()
