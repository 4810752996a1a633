"""A pipeline that scikit-learn fits to exported rows, imported: every score is scikit-learn's, here and in a replay; and one parameter that was flipped on the way is caught and named. Prints TAP.

scikit-learn is Debian's python3-sklearn; without it the cases are skipped, with CI=true they fail.
"""

import csv
import json
import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from optional import missing, python_with  # noqa: E402
from tap import TMP, case, done  # noqa: E402

TIDE = os.environ.get("TIDE_BIN", "build/tidemark")
FEATURES = "config/defaults/features.yaml"
INPUTS = ["amount", "cnp", "night", "amount_over_usual", "card.attempts_24h", "card.idle", "new_country", "ip.cards_1h", "merchant.tiny_1h"]
FIT = """
import sys
sys.path.insert(0, "model")
import joblib, numpy, sklearn_export
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
rows = sklearn_export.read_rows(sys.argv[1])
median = make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(sklearn_export.log1p, kw_args={"columns": [0, 4, 5]}), StandardScaler(),
                       LogisticRegression(C=0.5, max_iter=5000, class_weight="balanced"))
constant = make_pipeline(SimpleImputer(strategy="constant", fill_value=1.5), StandardScaler(), LogisticRegression(max_iter=5000))
other = make_pipeline(SimpleImputer(), StandardScaler(with_mean=False), LogisticRegression(max_iter=5000, penalty="l2"))
for name, pipeline in (("median", median), ("constant", constant), ("other", other)):
    joblib.dump(pipeline.fit(rows.x, rows.fraud), f"{sys.argv[2]}/{name}.joblib")
joblib.dump(make_pipeline(SimpleImputer(), LogisticRegression(max_iter=5000)).fit(rows.x, rows.fraud), f"{sys.argv[2]}/bad.joblib")
"""


def at(name):
    return os.path.join(TMP, name)


def run(*words):
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def tide(*words):
    return run(TIDE, *words, "--log-level", "error")


def imported(name, document=None):
    if document:
        with open(at(f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
    return tide("model", "import", at(f"{name}.json"), "--features", FEATURES, "--rows", at(f"{name.split('-')[0]}.csv"), "--output", at(f"{name}.model"))


python = python_with("sklearn", "numpy", "joblib")
if not python:
    missing("scikit-learn's pipelines", "there is no python3-sklearn: run make deps")
    done()

with open(at("inputs"), "w", encoding="utf-8") as file:
    file.write("\n".join(INPUTS) + "\n")
subprocess.run([TIDE, "generate", "--seed", "91", "--transactions", "8000", "--days", "40", "--output", at("log.jsonl")], check=True, capture_output=True)
code, said = tide("export", "--features", FEATURES, "--input", at("log.jsonl"), "--dev-key", "--inputs", at("inputs"), "--label-delay", "0s", "--output", at("rows.csv.gz"))
case("rows are exported", code == 0, said)
code, said = run(python, "-c", FIT, at("rows.csv.gz"), TMP)
case("scikit-learn fits pipelines to them", code == 0, said)
for name in ("median", "constant", "other"):
    code, said = run(python, "model/sklearn_export.py", at(f"{name}.joblib"), "--rows", at("rows.csv.gz"), "--name", name, "--output", at(f"{name}.json"), "--scored", at(f"{name}.csv"))
    case(f"{name}: the exporter writes it", code == 0, said)
    code, said = imported(name)
    case(f"{name}: every score is scikit-learn's", code == 0 and "scores: all 8,000 are the same" in said, said)
    case(f"{name}: preprocessing is that of the rows", "preprocessing: that of the 8,000 training rows" in said, said)
    with open(at(f"{name}.csv"), encoding="utf-8") as file:
        case(f"{name}: scores that say something", len({row["score"] for row in csv.DictReader(file)}) > 5000)
code, said = run(python, "model/sklearn_export.py", at("bad.joblib"), "--rows", at("rows.csv.gz"), "--name", "bad", "--output", at("bad.json"))
case("another pipeline is refused by name", code != 0 and "not SimpleImputer, LogisticRegression" in said and not os.path.exists(at("bad.json")), said)

code, said = tide("model", "describe", at("median.model"))
case("describe says that classes were weighed", code == 0 and "a score is no share of fraud" in said, said)
code, said = tide("replay", "--features", FEATURES, "--input", at("log.jsonl"), "--dev-key", "--model", at("median.model"), "--output", at("decisions"))
with open(at("median.csv"), encoding="utf-8") as file:
    theirs = sorted((int(row["time_ms"]), round(float(row["score"]), 6)) for row in csv.DictReader(file))
with open(at("decisions"), encoding="utf-8") as file:
    ours = [json.loads(line) for line in file]
ours = [d["score"] for d in sorted((d for d in ours if not d["duplicate"] and not d.get("advised") and d["score"] is not None), key=lambda d: d["event_time"])]
case("a replay scores as scikit-learn does", len(ours) == len(theirs) and all(abs(a - b) <= 1.01e-6 for a, (_, b) in zip(ours, theirs)), f"{len(ours)} {len(theirs)}")

# --- one flipped parameter is caught, and named where it is preprocessing
with open(at("median.json"), encoding="utf-8") as file:
    whole = file.read()
k = INPUTS.index("ip.cards_1h")
flips = {
    "mean": (lambda d: d["inputs"][0].update(mean=d["inputs"][0]["mean"] + 0.05), "amount: mean "),
    "scale": (lambda d: d["inputs"][4].update(scale=d["inputs"][4]["scale"] * 1.02), "card.attempts_24h: scale "),
    "imputation": (lambda d: d["inputs"][k]["impute"].update(absent=0.0, empty=0.0), "ip.cards_1h: mean "),
    "median": (lambda d: d["inputs"][k]["impute"].update(median=d["inputs"][k]["impute"]["median"] + 1), "ip.cards_1h: median "),
    "transform": (lambda d: d["inputs"][5].update(transform={"kind": "none"}), "card.idle: mean "),
    "clip": (lambda d: d["inputs"][8].update(transform={"kind": "clip", "lo": 0, "hi": 1}), "merchant.tiny_1h: mean "),
    "coefficient": (lambda d: d["inputs"][1].update(coefficient=d["inputs"][1]["coefficient"] + 0.01), "coefficients or the intercept are others"),
    "intercept": (lambda d: d.update(intercept=d["intercept"] + 0.01), "coefficients or the intercept are others"),
}
for name, (flip, named) in flips.items():
    document = json.loads(whole)
    flip(document)
    code, said = imported(f"median-{name}", document)
    case(f"a flipped {name} is caught", code == 1 and " differ, most on line " in said and not os.path.exists(at(f"median-{name}.model")), said)
    case(f"and named: {named.strip()}", named in said, said.replace("\n", " | "))
done()
