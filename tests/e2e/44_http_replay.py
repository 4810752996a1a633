"""Replay and HTTP give byte-identical decisions for the same order of events: one generated log goes through `tidemark replay` and, message by
message, through a server; id, status, decision, by, score, reasons and every feature with its state must be the same bytes. Prints TAP.
"""

import json
import os
import sys

sys.path.insert(0, "tests/support")
from http_server import SHIPPED, TMP, Server, case, done, tide  # noqa: E402

MODEL = "config/defaults/model.json"
SAME = ("id", "status", "decision", "by", "score", "cause", "detail", "reasons", "counted", "duplicate", "id_conflict", "event_time", "features", "states")
ROUTE = {"auth": "/v1/score", "advice": "/v1/score", "login": "/v1/events", "card_add": "/v1/events", "refund": "/v1/events", "outcome": "/v1/outcomes",
         "label": "/v1/outcomes"}
log, out = os.path.join(TMP, "log.jsonl"), os.path.join(TMP, "decisions.jsonl")
tide("generate", "--seed", "44", "--transactions", "3000", "--days", "40", "--duplicates", "3", "--reused-ids", "3", "--out-of-order", "3", "--late", "0.5",
     "--output", log)
with open(log, encoding="utf-8") as file:  # no route takes list entries: neither side sees them
    without = [line for line in file if json.loads(line)["type"] != "list"]
with open(log, "w", encoding="utf-8") as file:
    file.writelines(without)
tide("replay", "--features", SHIPPED, "--dev-key", "--input", log, "--output", out, "--emit-features", "--model", MODEL, "--log-level", "error")
with open(log, encoding="utf-8") as file:
    lines = [line.strip() for line in file]
with open(out, encoding="utf-8") as file:
    replayed = file.read().splitlines()


def members(text):
    """The bytes of the members that must agree, by name: the text between a member's key and the next one's."""
    value = json.loads(text)
    return {name: json.dumps(value[name]) for name in SAME if name in value}, text


def slice_of(text, name, following):
    """The member as it was written, byte for byte."""
    begin = text.index(f'"{name}":')
    return text[begin:text.index(following, begin)]


server = Server("--model", MODEL, level="info")
connection = server.connect()
kinds, differences, answers, bad = {}, [], [], 0
for line in lines:
    kind = json.loads(line)["type"]
    path = ROUTE[kind]
    kinds[kind] = kinds.get(kind, 0) + 1
    body = line[:-1] + ',"options":{"explain":"full"}}' if path == "/v1/score" else line
    status, _, text = server.ask("POST", path, body.encode(), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "10000"},
                                 connection=connection)
    bad += status != 200
    if path == "/v1/score":
        answers.append(text)
case("all kinds of messages were sent", len(kinds) >= 5, kinds)
case("each was taken", bad == 0, bad)
case("as many decisions as replay gave", len(answers) == len(replayed), (len(answers), len(replayed)))
for one, two in zip(replayed, answers):
    a, b = members(one)[0], members(two)[0]
    if a != b:
        differences.append(({k: v for k, v in a.items() if b.get(k) != v}, {k: v for k, v in b.items() if a.get(k) != v}))
    elif '"features":{}' not in one and slice_of(one, "features", ',"states"') != slice_of(two, "features", ',"states"'):
        differences.append("the numbers of the features are written otherwise")
    elif slice_of(one, "id", ',"counted"') != slice_of(two, "id", ',"counted"'):
        differences.append("id to reasons are written otherwise")
case("every decision is the same, with every feature", not differences, f"{len(differences)}: {str(differences[:1])[:250]}")
seen = [json.loads(answer) for answer in answers]
case("among them duplicates, conflicts, late ones and refusals",
     all(any(test(a) for a in seen) for test in (lambda a: a["duplicate"], lambda a: "id_conflict" in a, lambda a: a.get("cause") == "late",
                                                lambda a: a["status"] == "refused", lambda a: a["decision"] == "decline")))
scores = [a["score"] for a in seen if a["score"] is not None]
case("the model scored", len(scores) > 1000 and len(set(scores)) > 100, len(scores))
models = {a["provenance"]["model"] for a in seen if a["score"] is not None and not a["duplicate"]}
case("and is named in the answers", len(models) == 1 and "@" in str(models), models)
connection.close()
case("the server stops", server.stop() == 0)
case("audit folds what it wrote to the same state", "digests that agree: 1" in tide("audit", "--journal", server.journal))
done()
