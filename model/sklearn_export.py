"""A scikit-learn pipeline as JSON for `tidemark model import`, and its scores for checking that they are the same.

    tidemark export --features my.yaml --input log.jsonl --key-file card.key --output rows.csv
    ... fit a pipeline to read_rows("rows.csv"), joblib.dump(pipeline, "pipeline.joblib") ...
    python3 model/sklearn_export.py pipeline.joblib --rows rows.csv --name cards --output pipeline.json --scored scored.csv
    tidemark model import pipeline.json --features my.yaml --rows scored.csv --output model.json

The pipeline is SimpleImputer, then if wanted FunctionTransformer(log1p, kw_args={"columns": [...]}) with the function below, StandardScaler,
LogisticRegression: what Tidemark computes, in its order. Anything else is refused, since it could not be scored the same. The rows are those it was
fitted to; of them come the quantiles that drift is measured against. model/import.h describes the format.
"""

import argparse
import csv
import gzip
import json
from datetime import datetime, timezone

import numpy

FIRST = ("set", "event", "card", "time_ms", "fraud", "score")
QUANTILES = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)


class Rows:
    """Rows of `tidemark export`: names and x of the values (NaN where nothing was there), fraud, time_ms."""

    def __init__(self, path):
        with gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader)
            values = [i for i, name in enumerate(header) if name not in FIRST and not name.endswith(":state")]
            table = list(reader)
        self.names = [header[i] for i in values]
        self.x = numpy.array([[float(row[i]) if row[i] else numpy.nan for i in values] for row in table], dtype=float)
        self.fraud = numpy.array([int(row[header.index("fraud")]) for row in table])
        self.time_ms = numpy.array([int(row[header.index("time_ms")]) for row in table])


def read_rows(path):
    return Rows(path)


def log1p(x, columns):
    """log1p of some columns, negative values counted as 0, for a FunctionTransformer between imputer and scaler."""
    x = numpy.array(x, dtype=float)
    x[:, columns] = numpy.log1p(numpy.maximum(x[:, columns], 0))
    return x


def steps_of(pipeline):
    """(imputer, columns under log1p, scaler, regression); ValueError says what cannot be taken over."""
    steps = [step for _, step in pipeline.steps]
    names = [type(step).__name__ for step in steps]
    columns = []
    if len(steps) == 4 and names[1] == "FunctionTransformer":
        if steps[1].func is None or steps[1].func.__name__ != "log1p" or set(steps[1].kw_args or {}) != {"columns"}:
            raise ValueError('a FunctionTransformer must be FunctionTransformer(log1p, kw_args={"columns": [...]}) with the log1p of this file')
        columns = list(steps[1].kw_args["columns"])
        del steps[1], names[1]
    if names != ["SimpleImputer", "StandardScaler", "LogisticRegression"]:
        raise ValueError(f"the pipeline must be SimpleImputer, StandardScaler, LogisticRegression, not {', '.join(names)}")
    imputer, scaler, regression = steps
    if imputer.add_indicator or not numpy.isnan(imputer.missing_values) or numpy.isnan(numpy.asarray(imputer.statistics_, dtype=float)).any():
        raise ValueError("the imputer must replace NaN, add no indicators, and have a value for every column")
    if list(regression.classes_) != [0, 1]:
        raise ValueError(f"the regression must tell 0 from 1, not {list(regression.classes_)}")
    return imputer, columns, scaler, regression


def rfc3339(ms):
    return datetime.fromtimestamp(int(ms) // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{int(ms) % 1000:03d}Z"


def quantiles(values, digits):
    """Eleven numbers that do not fall, of as many digits as Tidemark keeps."""
    kept = [float(f"{q:.{digits}g}") for q in numpy.quantile(values, QUANTILES)] if len(values) else [0.0] * len(QUANTILES)
    return [max(kept[: i + 1]) for i in range(len(kept))]


def shares(values, at):
    """The share of the values at or below each."""
    return [float(f"{(values <= q).mean():.9g}") if len(values) else q_at for q, q_at in zip(at, QUANTILES)]


def input_of(i, name, column, value, transformed, scaler, coefficient):
    """One input, and what its place in the intercept is. A scaler that leaves the mean or the deviation alone is written as one that does not, with the same product."""
    there = column[~numpy.isnan(column)]
    median = float(numpy.median(there)) if len(there) else 0.0
    sketch = quantiles(there, 12)
    mean = float(scaler.mean_[i]) if scaler.with_mean else float(transformed.mean())
    scale = float(scaler.scale_[i]) if scaler.with_std else float(transformed.std()) or 1.0
    divisor = float(scaler.scale_[i]) if scaler.with_std else 1.0
    document = {
        "feature": name,
        "impute": {"median": median} if value == median else {"median": median, "absent": value, "empty": value},
        "mean": mean,
        "scale": scale,
        "coefficient": coefficient * scale / divisor if scale != divisor else coefficient,
        "training": {"missing": float(f"{1 - len(there) / len(column):.6g}"), "quantiles": sketch, "shares": shares(there, sketch)},
    }
    return document, 0.0 if scaler.with_mean else coefficient * mean / divisor


def export(pipeline, rows, name, version="1"):
    """The document, as a dict. `rows` are those that the pipeline was fitted to."""
    imputer, columns, scaler, regression = steps_of(pipeline)
    if len(imputer.statistics_) != len(rows.names):
        raise ValueError(f"the pipeline has {len(imputer.statistics_)} inputs, the rows have {len(rows.names)} values")
    score = numpy.round(pipeline.predict_proba(rows.x)[:, 1], 6)
    sketch = quantiles(score, 6)
    training = {
        "rows": len(rows.fraud),
        "fraud": int(rows.fraud.sum()),
        "from": rfc3339(rows.time_ms.min()),
        "to": rfc3339(rows.time_ms.max()),
        "l2": 1 / regression.C,
        "score_quantiles": sketch,
        "score_shares": shares(score, sketch),
    }
    if regression.class_weight is not None:
        count = numpy.bincount(rows.fraud, minlength=2)
        weight = len(rows.fraud) / (2 * count) if regression.class_weight == "balanced" else [regression.class_weight.get(k, 1) for k in (0, 1)]
        training["class_weight"] = {"genuine": float(weight[0]), "fraud": float(weight[1])}
    filled = imputer.transform(rows.x)
    filled = log1p(filled, columns) if columns else filled
    inputs, intercept = [], float(regression.intercept_[0])
    for i, feature in enumerate(rows.names):
        document, more = input_of(i, feature, rows.x[:, i], float(imputer.statistics_[i]), filled[:, i], scaler, float(regression.coef_[0][i]))
        document["transform"] = {"kind": "log1p" if i in columns else "none"}
        inputs.append(document)
        intercept += more
    return {"tidemark_pipeline": 1, "name": name, "version": version, "inputs": inputs, "intercept": intercept, "training": training}


def write_scored(path, pipeline, rows):
    """The rows again with the pipeline's scores: what `tidemark model import --rows` compares with."""
    score = pipeline.predict_proba(rows.x)[:, 1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(["time_ms", "fraud", "score"] + rows.names) + "\n")
        for time_ms, fraud, s, x in zip(rows.time_ms, rows.fraud, score, rows.x):
            file.write(",".join([str(time_ms), str(fraud), f"{s:.9f}"] + ["" if numpy.isnan(v) else repr(float(v)) for v in x]) + "\n")


def main():
    import joblib  # pylint: disable=import-outside-toplevel

    parser = argparse.ArgumentParser(description="Write a scikit-learn pipeline as JSON for `tidemark model import`.")
    parser.add_argument("pipeline", help="the fitted pipeline, written by joblib.dump")
    parser.add_argument("--rows", required=True, help="the rows that it was fitted to, a CSV of `tidemark export`")
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--version", default="1", help="its version (1)")
    parser.add_argument("--output", required=True, help="where the JSON goes")
    parser.add_argument("--scored", help="where the rows go with the pipeline's scores")
    args = parser.parse_args()
    rows, pipeline = read_rows(args.rows), joblib.load(args.pipeline)
    try:
        document = export(pipeline, rows, args.name, args.version)
    except ValueError as error:
        raise SystemExit(f"sklearn_export: {error}") from None
    with open(args.output, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    if args.scored:
        write_scored(args.scored, pipeline, rows)


if __name__ == "__main__":
    main()
