"""Golden files of tests/golden/30_sklearn.c: the same rows fitted by scikit-learn.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scikit-learn && make && /tmp/venv/bin/python tests/golden/sklearn_parity.py build/tidemark

Generates a log, lets `tidemark train --export` write the rows as the fold had them, and fits SimpleImputer(median), the transforms that train chose,
StandardScaler and LogisticRegression(L2, lbfgs) to them. Writes tests/golden/model/rows.csv.gz (the rows, scikit-learn's score last) and
tests/golden/model/sklearn.json (per input median, transform, mean, scale, coefficient; the measures). The test needs neither Python nor scikit-learn.
"""

import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile

import numpy
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

INPUTS = ["amount", "cnp", "night", "amount_over_usual", "amount_z", "spend_jump", "card.attempts_24h", "card.declines_1h", "card.idle",
          "card.jump", "new_country", "ip.cards_1h"]
L2 = 2.5
OUT = "tests/golden/model"


def tide(*words):
    subprocess.run([sys.argv[1], *words], check=True, stdout=subprocess.DEVNULL)


def transformed(column, transform):
    if transform["kind"] == "log1p":
        return numpy.log1p(numpy.maximum(column, 0))
    if transform["kind"] == "clip":
        return numpy.clip(column, transform["lo"], transform["hi"])
    return column


with tempfile.TemporaryDirectory() as tmp:
    path = {name: os.path.join(tmp, name) for name in ("log.jsonl", "inputs", "rows.csv", "model.json")}
    with open(path["inputs"], "w", encoding="utf-8") as file:
        file.write("\n".join(INPUTS) + "\n")
    tide("generate", "--seed", "12", "--transactions", "5000", "--days", "30", "--output", path["log.jsonl"])
    tide("train", "--features", "config/defaults/features.yaml", "--input", path["log.jsonl"], "--dev-key", "--inputs", path["inputs"], "--output",
         path["model.json"], "--export", path["rows.csv"], "--label-delay", "0s", "--split", "1", "--l2", str(L2), "--log-level", "error")
    with open(path["model.json"], encoding="utf-8") as file:
        ours = json.load(file)
    with open(path["rows.csv"], encoding="utf-8") as file:
        rows = list(csv.reader(file))

assert rows[0][4:] == [entry["feature"] for entry in ours["inputs"]]
raw = numpy.array([[float(cell) if cell else numpy.nan for cell in row[4:]] for row in rows[1:]])
fraud = numpy.array([int(row[2]) for row in rows[1:]])

imputer = SimpleImputer(strategy="median").fit(raw)
columns = imputer.transform(raw)
columns = numpy.column_stack([transformed(columns[:, i], entry["transform"]) for i, entry in enumerate(ours["inputs"])])
pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=1 / L2, solver="lbfgs", tol=1e-14, max_iter=100000)).fit(columns, fraud)
scaler, regression = pipeline[0], pipeline[1]
score = pipeline.predict_proba(columns)[:, 1]

os.makedirs(OUT, exist_ok=True)
with open(f"{OUT}/rows.csv.gz", "wb") as raw_file, gzip.GzipFile(fileobj=raw_file, mode="wb", mtime=0, filename="") as file:
    file.write((",".join(["fraud"] + rows[0][4:] + ["sklearn"]) + "\n").encode())
    for row, s in zip(rows[1:], score):
        file.write((",".join([row[2]] + row[4:] + [f"{s:.9f}"]) + "\n").encode())
golden = {
    "made_with": f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}",
    "l2": L2,
    "inputs": [{"feature": entry["feature"], "transform": entry["transform"], "median": float(imputer.statistics_[i]), "mean": float(scaler.mean_[i]),
                "scale": float(scaler.scale_[i]), "coefficient": float(regression.coef_[0][i])} for i, entry in enumerate(ours["inputs"])],
    "intercept": float(regression.intercept_[0]),
    "roc_auc": float(roc_auc_score(fraud, score)),
    "average_precision": float(average_precision_score(fraud, score)),
}
with open(f"{OUT}/sklearn.json", "w", encoding="utf-8") as file:
    json.dump(golden, file, indent=1)
    file.write("\n")
print(f"{len(rows) - 1} rows, {fraud.sum()} of them fraud")
for entry, theirs in zip(ours["inputs"], golden["inputs"]):
    print(f"{entry['feature']:24} {entry['coefficient']:+.9f} {theirs['coefficient']:+.9f}")
print(f"{'intercept':24} {ours['intercept']:+.9f} {golden['intercept']:+.9f}")
