"""Training sets and training, side by side with other tools: the same rows from the same log by DuckDB and Polars, the same regression by scikit-learn.

  python3 bench/training.py [--install] [--quick] [--transactions=N] [--rounds=N]

First the log: authorizations and fraud labels as JSON lines. From it each tool makes point-in-time rows: counts, sums and distinct counts over 1h, 24h and 30d and the time since the
previous event, for card and merchant; the merchant's share of fraud over 30d delayed by 7d, counting only labels that had come; and whether the row turned out as fraud, without rows
younger than the label delay. All outputs are compared first, row by row and value by value; only then times are told: medians of interleaved runs, each a process
of its own, from the log to the CSV, with one thread and with all. Within a rival's time, `windows` is what its engine took for the windows themselves, on tables in memory. The second log is a quarter as long, and a fifth
of it is one merchant's.

DuckDB and Polars are no Debian packages: --install puts them into a virtual environment under build/bench-training (never done by make test, nor by make bench).
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.abspath(__file__)
DIR = "build/bench-training"
PYTHON = os.path.join(DIR, "venv", "bin", "python3")
TIDE = os.environ.get("TIDE_BIN", "build/tidemark")
PACKAGES = ["duckdb", "polars", "pyarrow", "numpy", "scikit-learn"]
HOUR = 3600000
WINDOWS = {"1h": HOUR, "24h": 24 * HOUR, "30d": 720 * HOUR}
SPAN, DELAY, LABEL_DELAY = 720 * HOUR, 168 * HOUR, 720 * HOUR
FEATURES = """tidemark: 1
name: training-bench
event: {id: [rrn, stan, acquirer], time: time, amount: amount in EUR, key: pan}
inputs:
  default: {rrn: /rrn, stan: /stan, acquirer: /acquirer, time: {at: /at, as: rfc3339}, amount: {at: /amount/value, currency: /amount/currency}, pan: /card/number, merchant: /merchant/id}
  labels: {when: {/type: label}, type: label, rrn: /rrn, stan: /stan, acquirer: /acquirer, time: {at: /at, as: rfc3339}, pan: /card/number, label: /label}
entities: {card: {key: pan, keep: 120d}, merchant: {key: merchant, keep: 120d}}
features:
  card: {attempts: "count over 1h, 24h, 30d", spend: "sum of amount over 1h, 24h, 30d", merchants: "distinct of merchant over 1h, 24h, 30d", idle: time since previous}
  merchant:
    attempts: count over 1h, 24h, 30d
    spend: sum of amount over 1h, 24h, 30d
    cards: distinct of card over 1h, 24h, 30d
    idle: time since previous
    fraud_rate: rate of label = fraud over 30d delayed 7d
freshness: {default: {budget: 15s, stale: fallback, warming: mark, consistency: quorum}}
policy: {decisions: [approve], rules: [{else: approve}], fallback: [{else: approve}]}
"""
NAMES = [f"{e}.{f}_{w}" for e, f in (("card", "attempts"), ("card", "spend"), ("card", "merchants")) for w in WINDOWS] + ["card.idle"]
NAMES += [f"merchant.{f}_{w}" for f in ("attempts", "spend", "cards") for w in WINDOWS] + ["merchant.idle", "merchant.fraud_rate_30d"]


def at(name):
    return os.path.join(DIR, name)


def option(name, default):
    return int(next((word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")), default))


# ---- the rivals; each runs in a process of its own: --run=TOOL THREADS

# Events of one millisecond and entity stand in the order of the log. A key of a thousandth of a millisecond makes them different, so that a window (t - W, t] of earlier events is the
# range from key - (W - 1) * 1000 to key - 1.
def duckdb_rows(threads):
    import duckdb  # pylint: disable=import-outside-toplevel,import-error

    db = duckdb.connect()
    db.execute(f"SET threads = {threads}")
    began = time.perf_counter()
    db.execute(f"""CREATE TABLE log AS SELECT row_number() OVER () AS pos, type, epoch_ms("at"::TIMESTAMP) AS t, rrn || '/' || stan || '/' || acquirer AS id, card.number AS card,
               merchant.id AS merchant, CAST(round(amount.value * 100) AS BIGINT) AS cents, label FROM read_json('{at("log.jsonl")}', format = 'newline_delimited',
               columns = {{type: 'VARCHAR', "at": 'VARCHAR', rrn: 'VARCHAR', stan: 'VARCHAR', acquirer: 'VARCHAR', card: 'STRUCT(number VARCHAR)', merchant: 'STRUCT(id VARCHAR)',
               amount: 'STRUCT("value" DECIMAL(18, 2))', label: 'VARCHAR'}})""")
    read = time.perf_counter() - began
    frames, values = [], []
    for entity, other, many in (("card", "merchant", "merchants"), ("merchant", "card", "cards")):
        for name, window in WINDOWS.items():
            frame = f"{entity}_{name}"
            frames.append(f"{frame} AS (PARTITION BY {entity} ORDER BY {entity}_key RANGE BETWEEN {(window - 1) * 1000} PRECEDING AND 1 PRECEDING)")
            values.append(f'count(*) OVER {frame} AS "{entity}.attempts_{name}", coalesce(sum(cents) OVER {frame}, 0) / 100 AS "{entity}.spend_{name}", '
                          f'count(DISTINCT {other}) OVER {frame} AS "{entity}.{many}_{name}"')
        values.append(f'(t - lag(t) OVER (PARTITION BY {entity} ORDER BY {entity}_key)) / 1000 AS "{entity}.idle"')
    frames.append(f"late AS (PARTITION BY merchant ORDER BY merchant_key RANGE BETWEEN {(SPAN + DELAY - 1) * 1000} PRECEDING AND {DELAY * 1000 - 999} PRECEDING)")
    chosen = ", ".join(f'"{name}"' for name in NAMES)
    query = f"""CREATE TABLE result AS
      WITH keyed AS (SELECT *, t * 1000 + row_number() OVER (PARTITION BY card, t ORDER BY pos) - 1 AS card_key,
                       t * 1000 + row_number() OVER (PARTITION BY merchant, t ORDER BY pos) - 1 AS merchant_key FROM log WHERE type = 'auth'),
      fraud AS (SELECT e.id, e.merchant, e.t, l.pos FROM log l JOIN keyed e ON e.id = l.id WHERE l.type = 'label' AND l.label = 'fraud'),
      known AS (SELECT e.pos, count(*) AS frauds FROM keyed e JOIN fraud f ON f.merchant = e.merchant AND f.t <= e.t - {DELAY} AND f.t > e.t - {DELAY + SPAN} AND f.pos < e.pos GROUP BY e.pos),
      windows AS (SELECT pos, id, t, count(*) OVER late AS late, {", ".join(values)} FROM keyed WINDOW {", ".join(frames)})
      SELECT t AS time_ms, (id IN (SELECT id FROM fraud))::INT AS fraud, {chosen} FROM
        (SELECT w.*, CASE WHEN late > 0 THEN coalesce(frauds, 0) / late END AS "merchant.fraud_rate_30d" FROM windows w LEFT JOIN known USING (pos))
      WHERE t <= (SELECT max(t) FROM log) - {LABEL_DELAY} ORDER BY t, pos"""
    db.execute(query)
    queried = time.perf_counter() - began - read
    db.execute(f"COPY result TO '{at('duckdb.csv')}' (HEADER)")
    return read, queried


def polars_rows(threads):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl  # pylint: disable=import-outside-toplevel,import-error

    began = time.perf_counter()
    schema = {name: pl.String for name in ("type", "at", "rrn", "stan", "acquirer", "label")}
    schema |= {"card": pl.Struct({"number": pl.String}), "merchant": pl.Struct({"id": pl.String}), "amount": pl.Struct({"value": pl.Float64})}
    log = pl.read_ndjson(at("log.jsonl"), schema=schema).with_row_index("pos").select(
        pl.col("pos").cast(pl.Int64), "type", pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms").dt.epoch("ms").alias("t"), pl.concat_str("rrn", "stan", "acquirer", separator="/").alias("id"),
        pl.col("card").struct.field("number").cast(pl.Categorical).to_physical().alias("card"), pl.col("merchant").struct.field("id").cast(pl.Categorical).to_physical().alias("merchant"),
        (pl.col("amount").struct.field("value") * 100).round().cast(pl.Int64).alias("cents"), "label")
    read = time.perf_counter() - began
    events = log.filter(pl.col("type") == "auth").with_columns(*[(pl.col("t") * 1000 + pl.int_range(pl.len()).over(e, "t")).alias(f"{e}_key") for e in ("card", "merchant")])
    frauds = log.filter((pl.col("type") == "label") & (pl.col("label") == "fraud")).select("id", pl.col("pos").alias("known")).join(events.select("id", "merchant", pl.col("t").alias("ft")), on="id")
    out = events
    for entity, other, many in (("card", "merchant", "merchants"), ("merchant", "card", "cards")):
        key = f"{entity}_key"
        # Counts and sums are differences of running ones, found by an as-of join; distinct needs the windows themselves.
        rows = events.sort(key).with_columns(pl.int_range(1, pl.len() + 1).over(entity).alias("n"), pl.col("cents").cum_sum().over(entity).alias("sum"), pl.col("t").shift(1).over(entity).alias("before"))
        running = rows.select(entity, pl.col(key).alias("left"), pl.col("n").alias("n0"), pl.col("sum").alias("sum0"))

        def until(frame, name, offset, running=running, entity=entity, key=key):
            found = frame.select("pos", entity, (pl.col(key) - offset).alias("left")).sort("left").join_asof(running.sort("left"), on="left", by=entity, strategy="backward", check_sortedness=False)
            return frame.join(found.select("pos", pl.col("n0").fill_null(0).alias(f"n_{name}"), pl.col("sum0").fill_null(0).alias(f"sum_{name}")), on="pos")

        values = [((pl.col("t") - pl.col("before")) / 1000).alias(f"{entity}.idle")]
        for name, window in WINDOWS.items():
            rows = until(rows, name, (window - 1) * 1000 + 1)
            values += [(pl.col("n") - 1 - pl.col(f"n_{name}")).alias(f"{entity}.attempts_{name}"), ((pl.col("sum") - pl.col("cents") - pl.col(f"sum_{name}")) / 100).alias(f"{entity}.spend_{name}")]
        if entity == "merchant":
            rows = until(until(rows, "left", (SPAN + DELAY - 1) * 1000 + 1), "right", DELAY * 1000 - 999)
            known = rows.select("pos", "t", "merchant").join(frauds, on="merchant").filter(
                (pl.col("ft") <= pl.col("t") - DELAY) & (pl.col("ft") > pl.col("t") - DELAY - SPAN) & (pl.col("known") < pl.col("pos"))).group_by("pos").agg(pl.len().alias("frauds"))
            rows = rows.join(known, on="pos", how="left").with_columns((pl.col("n_right") - pl.col("n_left")).alias("late"))
            values.append(pl.when(pl.col("late") > 0).then(pl.col("frauds").fill_null(0) / pl.col("late")).alias("merchant.fraud_rate_30d"))
        out = out.join(rows.select("pos", *values), on="pos")
        ordered = events.sort(entity, key)
        for name, window in WINDOWS.items():
            distinct = ordered.rolling(index_column=key, period=f"{(window - 1) * 1000}i", closed="left", group_by=entity).agg(pl.col(other).n_unique().alias(f"{entity}.{many}_{name}"))
            out = out.join(ordered.select("pos").with_columns(distinct.get_column(f"{entity}.{many}_{name}")), on="pos")
    out = out.filter(pl.col("t") <= log.get_column("t").max() - LABEL_DELAY).sort("t", "pos").select(
        pl.col("t").alias("time_ms"), pl.col("id").is_in(frauds.get_column("id").implode()).cast(pl.Int8).alias("fraud"), *NAMES)
    queried = time.perf_counter() - began - read
    out.write_csv(at("polars.csv"))
    return read, queried


def run_rival(tool, threads):
    read, query = {"duckdb": duckdb_rows, "polars": polars_rows}[tool](threads)
    print(json.dumps({"read": read, "query": query}))


# ---- sklearn, as a process: --fit=ROWS

def run_fit(tolerance):
    import numpy  # pylint: disable=import-outside-toplevel,import-error
    from sklearn.linear_model import LogisticRegression  # pylint: disable=import-outside-toplevel,import-error
    from sklearn.preprocessing import StandardScaler  # pylint: disable=import-outside-toplevel,import-error

    sys.path.insert(0, "model")
    import sklearn_export  # pylint: disable=import-outside-toplevel

    with open(at("fit.json"), encoding="utf-8") as file:
        model = json.load(file)
    rows = sklearn_export.read_rows(at("fit.csv"))
    assert rows.names == [entry["feature"] for entry in model["inputs"]]
    began, cpu = time.perf_counter(), time.process_time()
    x = rows.x.copy()
    for i, entry in enumerate(model["inputs"]):
        column = x[:, i]
        column[numpy.isnan(column)] = numpy.median(column[~numpy.isnan(column)])
        kind = entry["transform"]
        if kind["kind"] == "log1p":
            x[:, i] = numpy.log1p(numpy.maximum(column, 0))
        elif kind["kind"] == "clip":
            x[:, i] = numpy.clip(column, kind["lo"], kind["hi"])
    z = StandardScaler().fit_transform(x)
    fit = LogisticRegression(C=1.0, tol=tolerance, max_iter=100000).fit(z, rows.fraud)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ours = numpy.array([entry["coefficient"] for entry in model["inputs"]])
    print(json.dumps({"seconds": seconds, "cpu": cpu, "steps": int(fit.n_iter_[0]), "off": float(numpy.abs(fit.coef_[0] - ours).max()), "rows": len(rows.fraud)}))


# ---- the comparison

def measured(words):
    """Runs a process: its wall time, processor time and largest memory, and what it said."""
    began = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {process.returncode}")
    return {"total": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024, "said": said}


def rival(tool, threads):
    run = measured([PYTHON, HERE, f"--run={tool}", str(threads)])
    return {**run, **json.loads(run["said"].splitlines()[-1]), "total": run["total"]}


def tidemark():
    return measured([TIDE, "export", "--features", at("features.yaml"), "--input", at("log.jsonl"), "--dev-key", "--label-delay", "30d", "--output", at("tidemark.csv"), "--log-level", "error"])


def value_of(name, text):
    """Money in cents, times in ms: Polars divides by a constant by multiplying, which is off in the last bit."""
    if text in ("", "NULL"):
        return None
    return round(float(text) * 100) if ".spend_" in name else round(float(text) * 1000) if name.endswith(".idle") else float(text)


def values_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return [[row["time_ms"], row["fraud"]] + [value_of(name, row[name]) for name in NAMES] for row in rows]


def compare():
    """Every row and value of the three, or an end with the first difference."""
    ours = values_of(at("tidemark.csv"))
    for tool in ("duckdb", "polars"):
        theirs = values_of(at(f"{tool}.csv"))
        if len(ours) != len(theirs):
            raise SystemExit(f"{tool} has {len(theirs)} rows, tidemark {len(ours)}")
        for number, (a, b) in enumerate(zip(ours, theirs)):
            if a != b:
                name, x, y = next((n, x, y) for n, x, y in zip(["time_ms", "fraud"] + NAMES, a, b) if x != y)
                raise SystemExit(f"row {number + 1}: {name} is {y} by {tool} and {x} by tidemark")
    frauds = sum(row[1] == "1" for row in ours)
    rates = sum(1 for row in ours if row[-1])
    print(f"equal: {len(ours):,} rows of {len(NAMES)} values by all three; {frauds:,} of them fraud, {rates:,} with a fraud rate above 0")


def make_log(transactions, hot):
    subprocess.run([TIDE, "generate", "--seed", "31", "--transactions", str(transactions), "--days", "90", "--outcomes", "none", "--hot-merchant", str(hot), "--output", at("all.jsonl")], check=True, capture_output=True)
    with open(at("all.jsonl"), encoding="utf-8") as source, open(at("log.jsonl"), "w", encoding="utf-8") as log:
        log.writelines(line for line in source if line.startswith(('{"type":"auth"', '{"type":"label"')))
    os.remove(at("all.jsonl"))
    with open(at("features.yaml"), "w", encoding="utf-8") as file:
        file.write(FEATURES)


def training_sets(transactions, rounds, threads, hot):
    make_log(transactions, hot)
    runs = {}
    for number in range(rounds):
        runs.setdefault("tidemark, 1 thread", []).append(tidemark())
        for tool in ("duckdb", "polars"):
            for count in sorted({1, threads}):
                runs.setdefault(f"{tool}, {count} thread{'s' if count > 1 else ''}", []).append(rival(tool, count))
        if number == 0:  # in a process of its own: what forks from a large one looks as large
            print(f"\n{transactions:,} authorizations{f', {hot} % of them at one merchant' if hot else ''}: {measured([sys.executable, HERE, '--compare'])['said'].strip()}")
    ours = runs["tidemark, 1 thread"]
    print(f"from the log to the CSV, median of {rounds}; load {os.getloadavg()[0]:.1f}")
    for name, of in runs.items():
        wall, cpu = (statistics.median(run[field] for run in of) for field in ("total", "cpu"))
        text = f"{name:20} wall {wall:7.2f} s  cpu {cpu:7.2f} s  {transactions / cpu:9,.0f} rows per cpu second  {max(run['mib'] for run in of):6,.0f} MiB"
        if of is not ours:
            text += f"  read {statistics.median(run['read'] for run in of):6.2f} s  windows {statistics.median(run['query'] for run in of):6.2f} s"
            text += f"  {wall / statistics.median(run['total'] for run in ours):5.2f} times the wall, {cpu / statistics.median(run['cpu'] for run in ours):5.2f} times the cpu"
        print(text, flush=True)


def training(transactions, rounds):
    """The regression by itself: the shipped inputs, no own imputations, so that scikit-learn can do the same."""
    with open("config/defaults/model.inputs", encoding="utf-8") as file, open(at("inputs"), "w", encoding="utf-8") as out:
        out.writelines(line.split()[0] + "\n" for line in file if line.strip() and not line.startswith("#"))
    subprocess.run([TIDE, "generate", "--seed", "2026", "--transactions", str(transactions), "--days", "60", "--output", at("fit.jsonl")], check=True, capture_output=True)
    subprocess.run([TIDE, "train", "--features", "config/defaults/features.yaml", "--input", at("fit.jsonl"), "--dev-key", "--inputs", at("inputs"), "--label-delay", "0s", "--split", "1", "--output", at("fit.json"),
                    "--export", at("fit.csv"), "--log-level", "error"], check=True, capture_output=True)
    runs = {"tidemark": [], "scikit-learn, tol 1e-4": [], "scikit-learn, tol 1e-9": []}
    for _ in range(rounds):
        said = measured(["build/bench/bench_train", at("fit.csv"), at("fit.json")])["said"]
        runs["tidemark"].append(json.loads(said.splitlines()[-1]))
        for tolerance in ("1e-4", "1e-9"):
            runs[f"scikit-learn, tol {tolerance}"].append(json.loads(measured([PYTHON, HERE, f"--fit={tolerance}"])["said"].splitlines()[-1]))
    off = runs["scikit-learn, tol 1e-9"][0]["off"]
    if off > 1e-3:
        raise SystemExit(f"coefficients differ by {off}: no comparison of times")
    rows, inputs = runs["tidemark"][0]["rows"], len(json.load(open(at("fit.json"), encoding="utf-8"))["inputs"])
    print(f"\nfitting {rows:,} rows of {inputs} values, from raw values to coefficients, median of {rounds}; coefficients agree to {off:.1e}")
    for name, of in runs.items():
        wall, cpu = (statistics.median(run[field] for run in of) for field in ("seconds", "cpu"))
        print(f"{name:24} wall {wall:7.2f} s  cpu {cpu:7.2f} s  off by {of[0]['off']:.1e}, {of[0]['steps']} steps", flush=True)


def main():
    word = next((word for word in sys.argv[1:] if word.startswith(("--run=", "--fit="))), "")
    if word.startswith("--run="):
        run_rival(word.partition("=")[2], int(sys.argv[-1]))
        return
    if word.startswith("--fit="):
        run_fit(float(word.partition("=")[2]))
        return
    if "--compare" in sys.argv:
        compare()
        return
    os.makedirs(DIR, exist_ok=True)
    if "--install" in sys.argv:
        subprocess.run([sys.executable, "-m", "venv", at("venv")], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    if not os.path.exists(PYTHON):
        raise SystemExit(f"{PYTHON} is not there: python3 bench/training.py --install puts {', '.join(PACKAGES)} into it")
    quick = "--quick" in sys.argv
    transactions, rounds, threads = option("transactions", 10000 if quick else 200000), option("rounds", 1 if quick else 3), os.cpu_count() or 1
    said = measured([PYTHON, "-c", "import duckdb, polars, sklearn; print(f'duckdb {duckdb.__version__}, polars {polars.__version__}, scikit-learn {sklearn.__version__}')"])["said"].strip()
    print(f"{said}; {threads} processors, load {os.getloadavg()[0]:.1f}")
    training_sets(transactions, rounds, threads, 0)
    training_sets(transactions // 4, rounds, threads, 20)
    training(transactions, rounds)


main()
