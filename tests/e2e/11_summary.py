"""The summary against a recount: the log and the decisions are read again here, joined by identity, and every number must agree.

The recount shares nothing with engine/cli/tally.c: a dictionary per identity (id and card), labels in order of the log, the latest event
whose amount the label names. Prints TAP.
"""

import json
import os
import subprocess
import sys

TIDE = os.environ.get("TIDE_BIN", "build/tidemark")
TMP = os.environ.get("TIDE_TMP", "/tmp")
FEATURES = "config/defaults/features.yaml"
cases = []


def case(name, good, detail=""):
    cases.append(good)
    print(f"{'ok' if good else 'not ok'} {len(cases)} - {name}{'' if good else ' # ' + detail}")


def tide(*words):
    return subprocess.run([TIDE, *words], capture_output=True, text=True, check=True).stdout


log, out = os.path.join(TMP, "log.jsonl"), os.path.join(TMP, "decisions.jsonl")
tide("generate", "--seed", "33", "--transactions", "8000", "--days", "40", "--duplicates", "2", "--reused-ids", "3", "--out-of-order", "2",
     "--late", "0.5", "--output", log)
summary = json.loads(tide("replay", "--features", FEATURES, "--dev-key", "--input", log, "--output", out, "--json", "--log-level", "error"))

decisions = [json.loads(line) for line in open(out, encoding="utf-8")]
messages = [json.loads(line) for line in open(log, encoding="utf-8")]


def identity(message):
    card = message["card"].get("par") or message["card"]["number"]
    return (message["rrn"], message["stan"], message["acquirer"], card)


rows, by_identity, labels, early = [], {}, 0, []
answers = iter(decisions)
for message in messages:
    if message["type"] in ("auth", "advice"):
        answer = next(answers)
        assert answer["id"] == "/".join((message["rrn"], message["stan"], message["acquirer"]))
        if not answer["duplicate"]:
            row = {"answer": answer, "amount": message["amount"], "card": identity(message)[3], "fraud": False}
            rows.append(row)
            by_identity.setdefault(identity(message), []).append(row)
    elif message["type"] == "label":
        labels += 1
        found = by_identity.get(identity(message), [])
        if not found:
            early.append(message)
            continue
        same = [row for row in found if row["amount"] == message.get("amount")]
        (same or found)[-1]["fraud"] = message["label"] == "fraud"

# A label before its event waits for it.
unmatched = 0
for message in early:
    found = by_identity.get(identity(message), [])
    if found:
        found[0]["fraud"] = message["label"] == "fraud"
    unmatched += not found

case("every decision has its message", next(answers, None) is None)
case("decisions", summary["decisions"] == len(decisions))
case("duplicates", summary["duplicates"] == sum(answer["duplicate"] for answer in decisions))
case("there are duplicates, conflicts, late events and fraud", min(summary["duplicates"], summary["conflicts"], summary["late"], summary["all"]["fraud"]) > 0)
case("conflicts", summary["conflicts"] == sum(row["answer"].get("id_conflict", False) for row in rows))
case("late", summary["late"] == sum(row["answer"].get("cause") == "late" for row in rows))
case("refused", summary["refused"] == sum(row["answer"]["status"] == "refused" for row in rows))
case("labels", summary["labels"] == labels and summary["labels_unmatched"] == unmatched, f"{labels} {unmatched}")
for decision, count in summary["by_decision"].items():
    case(f"decision {decision}", count == sum(row["answer"]["decision"] == decision for row in rows))


def effect(chosen):
    return {"hits": len(chosen), "fraud": sum(row["fraud"] for row in chosen), "genuine": sum(not row["fraud"] for row in chosen),
            "customers": len({row["card"] for row in chosen if not row["fraud"]})}


def agrees(name, said, chosen):
    want = effect(chosen)
    got = {key: said[key] for key in want}
    case(name, got == want, f"said {got}, counted {want}")


agrees("all", summary["all"], rows)
agrees("stopped", summary["stopped"], [row for row in rows if row["answer"]["decision"] != "approve"])
for rule in summary["rules"]:
    decided = sum(row["answer"]["by"] == rule["code"] and row["answer"]["status"] == "scored" for row in rows)
    case(f"rule {rule['code']} decided", rule["decided"] == decided, f"said {rule['decided']}, counted {decided}")
    if rule["code"] != "else" and not rule["shadow"]:  # shadow rules are no reasons
        agrees(f"rule {rule['code']}", rule, [row for row in rows if any(reason["code"] == rule["code"] for reason in row["answer"]["reasons"]
                                                                           if row["answer"]["status"] == "scored")])
# Top reasons: the texts as they were first given, not the templates with their braces.
report = tide("replay", "--features", FEATURES, "--dev-key", "--input", log, "--output", os.devnull, "--summary", "--log-level", "error")
top = [line.split(None, 2) for line in report.split("\nTop reasons")[1].splitlines()[1:6]]
case("there are five top reasons, most frequent first", len(top) == 5 and all(int(a[0].replace(",", "")) >= int(b[0].replace(",", "")) for a, b in zip(top, top[1:])),
     str(top))
for count, code, text in top:
    given = next(reason["text"] for row in rows if row["answer"]["by"] == code and row["answer"]["status"] == "scored"
                 for reason in row["answer"]["reasons"] if reason["code"] == code)
    case(f"the reason of {code} is its first one, filled in", text == given and "{" not in text, f"said {text}, given {given}")
print(f"1..{len(cases)}")
sys.exit(not all(cases))
