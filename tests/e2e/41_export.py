"""Exported rows: those of train, value by value; nothing secret in them; cut by time, compressed, bare and with states as asked; and the scores of the fold with a model. Prints TAP."""

import csv
import gzip
import json
import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from tap import TMP, case, done  # noqa: E402

TIDE = os.environ.get("TIDE_BIN", "build/tidemark")
FEATURES, MODEL = "config/defaults/features.yaml", "config/defaults/model.json"
INPUTS = ["amount", "cnp", "card.attempts_24h", "card.idle", "amount_z", "ip.cards_1h", "merchant.decline_rate_1h", "device.cards_24h"]


def at(name):
    return os.path.join(TMP, name)


def tide(*words, code=0, key=("--dev-key",)):
    result = subprocess.run([TIDE, *words, *key, "--log-level", "error"], capture_output=True, text=True, check=False)
    assert result.returncode == code, f"{words}: {result.returncode} {result.stderr}"
    return result.stdout + result.stderr


def export(name, *more, **options):
    said = tide("export", "--features", FEATURES, "--input", at("log.jsonl"), "--output", at(name), *more, **options)
    with open(at(name), "rb") as file:
        data = file.read()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    if name.endswith(".zst"):
        data = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    text = data.decode()
    return said, text, list(csv.DictReader(text.splitlines()))


with open(at("inputs"), "w", encoding="utf-8") as file:
    file.write("\n".join(INPUTS) + "\n")
subprocess.run([TIDE, "generate", "--seed", "78", "--transactions", "6000", "--days", "40", "--duplicates", "1", "--out-of-order", "2", "--late", "0.2", "--output",
                at("log.jsonl")], check=True, capture_output=True)
common = ("--inputs", at("inputs"), "--label-delay", "5d", "--skip", "2d")
said, text, rows = export("rows.csv", *common)
tide("train", "--features", FEATURES, "--input", at("log.jsonl"), "--output", at("model.json"), "--export", at("train.csv"), *common)
with open(at("train.csv"), encoding="utf-8") as file:
    trained = list(csv.DictReader(file))

case("it says what it wrote", f"{len(rows):,} rows of 8 values" in said, said)
case("the columns are known and in order", list(rows[0]) == ["event", "card", "time_ms", "fraud"] + INPUTS)
case("as many rows as train has", len(rows) == len(trained) > 4000, f"{len(rows)} {len(trained)}")
same = [all(row[name] == other[name] for name in list(other)[4:] + ["time_ms", "fraud"]) for row, other in zip(rows, trained)]
case("each the same, value by value", all(same), same.index(False) if not all(same) else "")
case("with frauds and without", 5 < sum(row["fraud"] == "1" for row in rows) < len(rows) / 10)

# --- secrets
with open(at("log.jsonl"), encoding="utf-8") as file:
    messages = [json.loads(line) for line in file]
secrets = {value for message in messages for value in (message.get("card") or {}).values()} | {message["rrn"] for message in messages if "rrn" in message}
cells = {cell for row in rows for cell in row.values()}
case("neither a card nor an id stands in it", not secrets & cells and len(secrets) > 1000)
case("events have names of their own", len({row["event"] for row in rows}) == len(rows))
cards = {(message.get("card") or {}).get("par") or (message.get("card") or {}).get("number") for message in messages if message["type"] == "auth"}
case("cards can be told apart, and rows of one told together", len(cards) / 2 < len({row["card"] for row in rows}) <= len(cards), str(len(cards)))
case("the same key gives the same names", export("again.csv", *common)[1] == text)
subprocess.run([TIDE, "keys", "generate", at("card.key")], check=True, capture_output=True)
_, _, other = export("other.csv", *common, key=("--key-file", at("card.key")))
case("another key gives others", not {row["event"] for row in rows} & {row["event"] for row in other} and not {row["card"] for row in rows} & {row["card"] for row in other})
case("and the same values", [[row[name] for name in INPUTS] for row in rows] == [[row[name] for name in INPUTS] for row in other])

# --- what is asked for
middle = rows[len(rows) // 2]["time_ms"]
_, _, late = export("late.csv", *common, "--from", middle)
_, _, early = export("early.csv", *common, "--until", middle)
case("--from and --until cut at a moment", early + late == rows and int(early[-1]["time_ms"]) < int(middle) <= int(late[0]["time_ms"]))
case("gzip by the name", export("rows.csv.gz", *common)[1] == text)
case("zstd by the name", export("rows.csv.zst", *common)[1] == text)
case("to standard output", tide("export", "--features", FEATURES, "--input", at("log.jsonl"), "--output", "-", *common).startswith(text))
_, bare, values = export("bare.csv", *common, "--features-only")
case("only the values", list(values[0]) == INPUTS and [list(row.values()) for row in values] == [[row[name] for name in INPUTS] for row in rows])
_, _, stated = export("stated.csv", *common, "--states")
case("with states beside the values", list(stated[0])[4:8] == ["amount", "amount:state", "cnp", "cnp:state"])
case("the same values", [[row[name] for name in INPUTS] for row in stated] == [[row[name] for name in INPUTS] for row in rows])
states = {row[f"{name}:state"] for row in stated for name in INPUTS}
case("an empty cell is absent or empty, no other is", all((row[name] == "") == (row[f"{name}:state"] in ("absent", "empty")) for row in stated for name in INPUTS) and "fresh" in states, states)
_, _, wide = export("wide.csv", "--label-delay", "5d", "--skip", "2d")
case("without a list every value", len(wide[0]) > 150 and all(row[name] == other[name] for row, other in zip(wide, rows) for name in INPUTS if name in row))
report = json.loads(export("json.csv", *common, "--json")[0])
case("as JSON it adds up", report["decisions"] - sum(report[k] for k in ("duplicates", "advised", "uncounted", "unknown", "skipped", "immature", "outside")) == report["rows"] == len(rows), report)

# --- with a model: the fold's scores, the model's inputs, and the two agree
_, _, scored = export("scored.csv", "--model", MODEL, "--states", "--label-delay", "5d", "--skip", "2d")
with open(MODEL, encoding="utf-8") as file:
    inputs = [entry["feature"] for entry in json.load(file)["inputs"]]
case("a model brings its inputs and scores", [name for name in scored[0] if not name.endswith(":state")][4:] == ["score"] + inputs and len({row["score"] for row in scored}) > 500)
checked = tide("model", "check", MODEL, "--rows", at("scored.csv"), key=())
case("which model check computes again", f"scores: all {len(scored):,} are the same" in checked, checked)
with open(at("scored.csv"), encoding="utf-8") as file:
    lines = file.read().splitlines()
cut = lines[100].split(",")
cut[4] = "0.123456"
lines[100] = ",".join(cut)
with open(at("wrong.csv"), "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
checked = tide("model", "check", MODEL, "--rows", at("wrong.csv"), key=(), code=1)
case("and a score that is not its own it names", "scores: 1 of " in checked and "line 101:" in checked and "the file 0.123456" in checked, checked)
refused = tide("model", "check", MODEL, "--rows", at("rows.csv"), key=(), code=3)
case("rows of other inputs are refused by name", "has no column" in refused, refused)
refused = tide("export", "--features", FEATURES, "--input", at("log.jsonl"), "--output", at("none.csv"), "--from", "2031-01-01T00:00:00Z", code=3)
case("no rows are said, and no file is left", "no row is left" in refused and not os.path.exists(at("none.csv")), refused)
with open(at("log.jsonl"), encoding="utf-8") as file, open(at("bad.jsonl"), "w", encoding="utf-8") as bad:
    bad.write(file.read() + '{"type":"auth"}\n{\n')
for verb in ("export", "train"):
    told = tide(verb, "--features", FEATURES, "--input", at("bad.jsonl"), "--output", at("bad.out"), *common)
    case(f"{verb} tells that messages were rejected", "2 messages were rejected; replay --rejects" in told, told)
case("and nothing where none were", "rejected" not in said, said)
done()
