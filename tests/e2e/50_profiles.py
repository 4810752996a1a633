"""Facts about entities from the outside: told over HTTP, read by decisions, kept over a restart, the same in replay, back-fill, audit and explain. Prints TAP.
"""

import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import TIDE, TMP, Server, case, done, rfc3339, tide, with_profiles  # noqa: E402
from processes import wait_for  # noqa: E402

FEATURES = os.path.join(TMP, "facts.yaml")  # the golden one, for a cell that has just begun
with open("tests/golden/features/facts.yaml", encoding="utf-8") as source, open(FEATURES, "w", encoding="utf-8") as target:
    target.write(source.read().replace("card: {budget: 10s,", "card: {budget: 10s, warming: mark,"))
PAN, OTHER = "4000000000000002", "4000000000000010"
serial = 0


def auth(amount, pan=PAN, at=None, **more):
    global serial
    serial += 1
    return {"id": f"e{serial}", "amount": amount, "currency": "EUR", "card": {"number": pan}, **({"time": at} if at else {}), **more}


def limits(pan=PAN, at=None, **facts):
    if "limit" in facts:
        facts.setdefault("currency", "EUR")
    return {"type": "limits", "card": {"number": pan}, **({"time": at} if at else {}), **facts}


def post(name, path, body, status=200, holds=lambda v: True, **options):
    got, value = server.post(path, body, **options)
    case(name, got == status and holds(value), (got, value))
    return value


# --- over HTTP

server = Server(features=FEATURES)
post("nobody told a limit", "/v1/score", auth(5000), holds=lambda v: v["decision"] == "approve" and "facts_age_ms" not in v["freshness"]["card"])
told = post("a limit is told", "/v1/profiles", limits(limit="1000.00", segment="G"), holds=lambda v: v["status"] == "accepted")
post("the next decision knows it", "/v1/score", auth(5000), holds=lambda v: (v["decision"], v["by"]) == ("decline", "L1")
     and v["reasons"][0]["text"].endswith("of a limit of 1000.00"), after=told["position"])
post("with its age", "/v1/score", auth(1), explain="full",
     holds=lambda v: v["features"]["card.limit"] == 1000 and v["features"]["card.segment"] == "gold" and 0 <= v["freshness"]["card"]["facts_age_ms"] < 60000)
post("another card does not", "/v1/score", auth(5000, OTHER), holds=lambda v: v["decision"] == "approve")
post("a word that the map leaves out tells nothing", "/v1/profiles", limits(segment="B"), 422, lambda v: v["type"].endswith("missing-field"))
post("a raise", "/v1/profiles", limits(limit=200000))
post("is known at once, and the segment is as it was", "/v1/score", auth(5000), explain="full",
     holds=lambda v: v["decision"] == "approve" and v["features"]["card.limit"] == 200000 and v["features"]["card.segment"] == "gold")
post("one that begins tomorrow", "/v1/profiles", limits(limit=10, at=rfc3339(86400)))
post("is not", "/v1/score", auth(5000), explain="full", holds=lambda v: v["features"]["card.limit"] == 200000)
post("what was true 91 days ago is too old", "/v1/profiles", limits(OTHER, rfc3339(-91 * 86400), limit=1))
post("and refuses a guess", "/v1/score", auth(1, OTHER), holds=lambda v: (v["status"], v["decision"], v["cause"]) == ("refused", "decline", "stale")
     and "budget for facts of card" in v["detail"] and v["freshness"]["card"]["state"] == "stale")
post("a question sees the same", "/v1/features", {"card": {"number": OTHER}}, holds=lambda v: v["states"]["card.limit"] == "stale")
post("a shop that is nothing", "/v1/profiles", {"type": "shop", "shop": {"id": "m1"}, "since": 1700000000}, 422, lambda v: v["type"].endswith("missing-field"))
post("a shop that is something", "/v1/profiles", {"type": "shop", "shop": {"id": "m1", "kind": "crypto"}, "since": 1700000000})
post("is old and only marked", "/v1/score", auth(1, merchant="m1"), explain="full",
     holds=lambda v: v["features"]["merchant.segment"] == "crypto" and v["states"]["merchant.segment"] == "stale" and v["by"] == "L2")
case("facts are counted", wait_for("metrics", lambda: server.metric("tidemark_facts_told_total") == 6, 10, 0.1))
post("a message of another kind", "/v1/profiles", auth(1), 422, lambda v: v["type"].endswith("wrong-record"))
case("it stops with a snapshot", server.stop() == 0 and "snapshot_written" in server.log())
journal = server.journal
server = Server(features=FEATURES, journal=journal)
post("after a restart everything is known", "/v1/score", auth(5000), explain="full", holds=lambda v: v["features"]["card.limit"] == 200000 and v["decision"] == "approve")
server.stop()
text = tide("inspect", "--records", journal.removeprefix("file:"))
case("the journal shows profiles, and no card number", '"credit_limit"' in text and '"profile"' in text and PAN not in text and OTHER not in text)
tide("audit", "--journal", journal, "--log-level", "error")
case("audit proves the decisions", True)
shown = tide("explain", "e3", "--journal", journal, "--dev-key", "--log-level", "error")
case("explain shows what was known then", any("card.limit" in line and " 1000 " in line and "fact credit_limit" in line for line in shown.splitlines()), shown)

# --- replay, in order of time, and in CSV

rng = random.Random(50)
BASE = 1767614400


def when(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BASE + second))


rows, second = [], 0
for n in range(400):
    second += rng.choice([0, 1, 60, 3600])
    pan = rng.choice([PAN, OTHER, "4000000000000028"])
    if rng.random() < 0.3:
        facts = {"limit": f"{rng.randrange(1, 40) * 100}.00"} if rng.random() < 0.7 else {"segment": rng.choice("GS")}
        rows.append(limits(pan, when(second - rng.choice([0, 0, 5, 7200])), **facts))
    else:
        rows.append(auth(rng.randrange(1, 3000), pan, when(second)))
log, out = os.path.join(TMP, "log.jsonl"), os.path.join(TMP, "out")


def write(path, made):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in made)


def replay(path, output, *more):
    tide("replay", "--features", FEATURES, "--dev-key", "--log-level", "error", "--emit-features", "--input", path, "--output", output, *more)
    with open(output, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


write(log, rows)
decisions = replay(log, out, "--journal", f"file:{TMP}/replayed")
known = {}  # per card: (time, limit) as told, by position
want = []
for row in rows:
    pan = row["card"]["number"]
    if row.get("type") == "limits":
        if "limit" in row:
            known.setdefault(pan, {})[row["time"]] = float(row["limit"])
    else:
        kept = sorted(known.get(pan, {}))[-2:]
        before = [t for t in kept if t <= row["time"]]
        want.append(known[pan][before[-1]] if before else None)
case("replay reads what was true at each event's time", [d["features"]["card.limit"] for d in decisions] == want and any(want) and None in want,
     [(d["features"]["card.limit"], w) for d, w in zip(decisions, want)][:20])
tide("audit", "--journal", f"file:{TMP}/replayed", "--decisions", out, "--log-level", "error")
case("audit proves a replay", True)
server = Server(features=FEATURES)
served = []
for row in rows:
    status, value = server.post("/v1/profiles" if row.get("type") == "limits" else "/v1/score", row, **({} if row.get("type") == "limits" else {"explain": "full"}))
    if row.get("type") != "limits":
        served.append(value)
server.stop()
same = ("status", "decision", "by", "cause", "detail", "reasons", "features", "states")
case("a server gives the same decisions", [[a.get(k) for k in same] for a in served] == [[a.get(k) for k in same] for a in decisions])
bad = [limits(PAN, when(0)), {"type": "limits", "time": when(0), "limit": 5, "currency": "EUR"}, limits(PAN, when(0), limit="a lot")]
write(os.path.join(TMP, "bad.jsonl"), rows[:50] + bad)
result = subprocess.run([TIDE, "replay", "--features", FEATURES, "--dev-key", "--log-level", "error", "--input", os.path.join(TMP, "bad.jsonl"), "--output",
                         os.path.join(TMP, "bad.out"), "--rejects", os.path.join(TMP, "rejects")], capture_output=True, text=True, timeout=60)
with open(os.path.join(TMP, "rejects"), encoding="utf-8") as file:
    rejects = file.read()
case("what tells nothing, about nobody, or nonsense is rejected", result.returncode in (0, 1) and len(rejects.splitlines()) == 3 and PAN not in rejects, rejects)

# --- history

half = len(rows) // 2
write(os.path.join(TMP, "history.jsonl"), rows[:half])
write(os.path.join(TMP, "live.jsonl"), rows[half:])
tide("backfill", "--features", FEATURES, "--dev-key", "--log-level", "error", "--input", os.path.join(TMP, "history.jsonl"), "--output", os.path.join(TMP, "snap"))
rest = replay(os.path.join(TMP, "live.jsonl"), os.path.join(TMP, "rest"), "--journal", f"file:{TMP}/after", "--start-from", os.path.join(TMP, "snap"))
case("a back-fill knows what was told before it", [d["features"]["card.limit"] for d in rest] == want[-len(rest):] and any(want[-len(rest):][:3]))

# --- training: what the issuer knows of its customers, as inputs of a model

shipped, log, rows = with_profiles(), os.path.join(TMP, "made.jsonl"), os.path.join(TMP, "rows.csv")
tide("generate", "--profiles", "--seed", "50", "--transactions", "8000", "--days", "60", "--output", log)
with open(os.path.join(TMP, "inputs"), "w", encoding="utf-8") as file:
    file.write("limit_share absent=0 {value} of the limit\naccount_days\ncard.limit transform=log1p\namount\n")
words = ["train", "--features", shipped, "--inputs", os.path.join(TMP, "inputs"), "--input", log, "--dev-key", "--label-delay", "0s", "--log-level", "error"]
tide(*words, "--output", os.path.join(TMP, "model.json"), "--export", rows)
with open(log, encoding="utf-8") as file:
    made = [json.loads(line) for line in file]
limit, want = {}, []
for row in made:
    pan = row.get("card", {}).get("par") or row.get("card", {}).get("number")
    if row["type"] == "profile":
        limit[pan] = row["limit"]["value"]
    elif row["type"] == "auth":
        want.append(limit.get(pan))
with open(rows, encoding="utf-8") as file:
    table = [line.rstrip("\n").split(",") for line in file]
at = table[0].index("card.limit")
got = [float(row[at]) if row[at] else None for row in table[1:]]
other = [(n, g, w) for n, (g, w) in enumerate(zip(got, want)) if g != w]
case("rows hold the limit that was told before each decision", len(got) == len(want) and not other and None in got and len(set(got)) > 100, (len(got), len(want), other[:5]))
with open(os.path.join(TMP, "model.json"), encoding="utf-8") as file:
    model = json.load(file)
case("the model knows what it reads", "fact credit_limit, amount" in json.dumps(model))
tide("replay", "--features", shipped, "--dev-key", "--log-level", "error", "--input", log, "--output", os.path.join(TMP, "scored"), "--model", os.path.join(TMP, "model.json"))
with open(os.path.join(TMP, "scored"), encoding="utf-8") as file:
    scores = [json.loads(line)["score"] for line in file]
case("and scores with it", sum(s is not None for s in scores) > 7000, sum(s is not None for s in scores))
done()
