"""The rows that train fits to, against what replay says of the same log, and against a shorter log.

Values are those of the decision's moment: a log that ends earlier gives the same values for all it has. The exported score is the score that replay gives
with the same model. Labels are joined from the log here once more, by identity and amount. Prints TAP.
"""

import csv
import json
import os
import subprocess
import sys
from datetime import datetime, timezone

TIDE = os.environ.get("TIDE_BIN", "build/tidemark")
TMP = os.environ.get("TIDE_TMP", "/tmp")
FEATURES = "config/defaults/features.yaml"
INPUTS = ["amount", "cnp", "card.attempts_24h", "card.idle", "amount_z", "ip.cards_1h", "merchant.decline_rate_1h", "device.cards_24h"]
cases = []


def case(name, good, detail=""):
    cases.append(good)
    print(f"{'ok' if good else 'not ok'} {len(cases)} - {name}{'' if good else ' # ' + detail}")


def tide(*words):
    return subprocess.run([TIDE, *words, "--log-level", "error"], capture_output=True, text=True, check=True).stdout


def at(name):
    return os.path.join(TMP, name)


def train(log, rows, model, *more):
    report = tide("train", "--features", FEATURES, "--dev-key", "--inputs", at("inputs"), "--input", log, "--output", model, "--export", rows, "--json", *more)
    return json.loads(report), list(csv.DictReader(open(rows, encoding="utf-8")))


def ms(text):
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp() * 1000 + 0.5)


with open(at("inputs"), "w", encoding="utf-8") as file:
    file.write("\n".join(INPUTS) + "\n")
tide("generate", "--seed", "77", "--transactions", "9000", "--days", "45", "--duplicates", "1", "--out-of-order", "2", "--reused-ids", "1", "--late", "0.2",
     "--output", at("log.jsonl"))
report, rows = train(at("log.jsonl"), at("rows.csv"), at("model.json"), "--label-delay", "0s", "--split", "0.7")
tide("replay", "--features", FEATURES, "--dev-key", "--input", at("log.jsonl"), "--model", at("model.json"), "--output", at("decisions"), "--emit-features")
decisions = [json.loads(line) for line in open(at("decisions"), encoding="utf-8")]
usable = [d for d in decisions if not d["duplicate"] and not d.get("advised") and d["features"]]
usable.sort(key=lambda d: ms(d["event_time"]))  # stable: of one moment in journal order

case("a row for every decision that a model may learn from", len(rows) == len(usable) == report["rows"], f"{len(rows)} {len(usable)}")
case("and none for the others", report["decisions"] - report["duplicates"] - report["advised"] - report["unknown"] == len(rows))
case("times agree", all(int(row["time_ms"]) == ms(d["event_time"]) for row, d in zip(rows, usable)))
case("scores agree", all(float(row["score"]) == d["score"] for row, d in zip(rows, usable)))
case("scores differ among themselves", len({row["score"] for row in rows}) > 1000)


def value(d, name):
    got = d["features"][name]
    if got is not None and d["states"].get(name, "").startswith("saturated"):
        got += 1
    return got


for name in INPUTS[2:]:
    wrong = [(row[name], value(d, name)) for row, d in zip(rows, usable) if (float(row[name]) if row[name] else None) != value(d, name)]
    case(f"values of {name}", not wrong, str(wrong[:1]))

# Labels, once more: the latest event of the identity before the label that has its amount, else the latest, else the first behind it.
messages = [json.loads(line) for line in open(at("log.jsonl"), encoding="utf-8")]
answers = iter(decisions)
events, labels = {}, []
for number, message in enumerate(messages):
    key = (message.get("rrn"), message.get("stan"), message.get("acquirer"), (message.get("card") or {}).get("par") or (message.get("card") or {}).get("number"))
    if message["type"] in ("auth", "advice"):
        answer = next(answers)
        if not answer["duplicate"]:
            events.setdefault(key, []).append((number, message["amount"], answer))
    elif message["type"] == "label":
        labels.append((number, key, message.get("amount"), message["label"]))
for number, key, amount, label in labels:
    found = events.get(key, [])
    before = [event for event in found if event[0] < number]
    named = [event for event in before if event[1] == amount]
    meant = named[-1:] or before[-1:] or found[:1]
    for event in meant:
        event[2]["fraud"] = label == "fraud"
case("labels agree", all(row["fraud"] == str(int(d.get("fraud", False))) for row, d in zip(rows, usable)))
case("there is fraud on both sides of the split", report["train_fraud"] > 10 and report["test_fraud"] > 5, str(report))
case("the split is by time", max(int(r["time_ms"]) for r in rows if r["set"] == "train") < min(int(r["time_ms"]) for r in rows if r["set"] == "test"))
case("at the share that was asked for", abs(report["train"] / report["rows"] - 0.7) < 0.01)

# A log that ends earlier knows nothing of what follows.
cut = len(messages) * 2 // 3
with open(at("log.jsonl"), encoding="utf-8") as whole, open(at("short.jsonl"), "w", encoding="utf-8") as short:
    for number, line in enumerate(whole):
        if number < cut:
            short.write(line)
_, early = train(at("short.jsonl"), at("early.csv"), at("early.json"), "--label-delay", "0s", "--split", "0.7")
last = max(int(row["time_ms"]) for row in early)
case("the shorter log has rows", len(early) > 3000)
wanted = {}
for row in rows:
    wanted.setdefault((row["time_ms"],) + tuple(row[name] for name in INPUTS), []).append(row)
case("the same values where the log ends earlier", all((row["time_ms"],) + tuple(row[name] for name in INPUTS) in wanted for row in early))

# What is left out.
late, kept = train(at("log.jsonl"), at("kept.csv"), at("kept.json"), "--label-delay", "20d", "--skip", "5d", "--gap", "3d", "--split", "0.5")
# The log ends with whatever comes last, which may be a label.
end = max([max(ms(d["event_time"]) for d in decisions)] + [ms(m["at"]) for m in messages if m["type"] in ("label", "outcome")])
day = 86400000
begin = min(ms(d["event_time"]) for d in decisions)
case("rows too young for their label are left out", max(int(r["time_ms"]) for r in kept) <= end - 20 * day)
case("and all others are there", len(kept) == sum(begin + 5 * day <= int(r["time_ms"]) <= end - 20 * day for r in rows))
split = min(int(r["time_ms"]) for r in kept if r["set"] == "test")
case("the gap is three days", all((r["set"] == "gap") == (split - 3 * day <= int(r["time_ms"]) < split) for r in kept))
case("and counted", late["gap"] == sum(r["set"] == "gap" for r in kept) > 0)
print(f"1..{len(cases)}")
sys.exit(not all(cases))
