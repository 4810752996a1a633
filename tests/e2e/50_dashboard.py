"""Alerts and dashboard against what they are about: promtool checks the rules and runs their unit tests; a real Prometheus on loopback scrapes a running engine, loads the rules and evaluates every
query of both. Each query must give data, or be one about things that this engine does not have (sources, replicas), and then each metric, label and value in it must be documented. Prints TAP.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, "tests/support")
import processes  # noqa: E402
from http_server import Server, auth, outcome, rfc3339, tide  # noqa: E402
from tap import TMP, case, done, skip  # noqa: E402

RULES, UNIT, BOARD, RUNBOOK = "config/prometheus/tidemark.rules.yaml", "config/prometheus/tidemark.rules.test.yaml", "config/grafana/tidemark.json", "config/prometheus/README.md"

# --- without a server: form, runbook, unit tests

with open(RULES, encoding="utf-8") as file:
    alerts = [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]
with open(UNIT, encoding="utf-8") as file:
    units = yaml.safe_load(file)["tests"]
with open(BOARD, encoding="utf-8") as file:
    board = json.load(file)
with open(RUNBOOK, encoding="utf-8") as file:
    sections = set(re.findall(r"^### (\w+)$", file.read(), re.M))
names = [alert["alert"] for alert in alerts]
case("every alert has a severity, a summary, what to do and a runbook", all(a["labels"]["severity"] in ("page", "ticket") and {"summary", "action", "runbook"} == set(a["annotations"]) for a in alerts))
case("each runbook section is there, and none is of no alert", sections == set(names) and all(a["annotations"]["runbook"] == f"{RUNBOOK}#{a['alert'].lower()}" for a in alerts), sections ^ set(names))
tested = {name: {bool(row.get("exp_alerts")) for test in units for row in test["alert_rule_test"] if row["alertname"] == name} for name in names}
case("each alert is tested to fire, and to be quiet", all(seen == {True, False} for seen in tested.values()), {n: s for n, s in tested.items() if s != {True, False}})
panels = [panel for panel in board["panels"] if panel["type"] != "row"]
case("panels of the dashboard have titles and places of their own", len({p["title"] for p in panels}) == len(panels) == len({json.dumps(p["gridPos"]) for p in panels}) and len({p["id"] for p in board["panels"]}) == len(board["panels"]))
queries = [(alert["alert"], alert["expr"]) for alert in alerts] + [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def reference():
    """{metric: labels} of the reference page, and the words that it knows causes by."""
    page = tide("docs", "options")
    table = page.split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
    metrics = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `tidemark_"):
            name, labels = cells[0].strip("`"), set(re.findall(r"`(\w+)`", cells[2]))
            for suffix in ("_bucket", "_sum", "_count") if cells[1] == "histogram" else ("",):
                metrics[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return metrics, set(re.findall(r"^\| `(\w+)` \|", page.split("\n## Causes\n", 1)[1].split("\n## ", 1)[0], re.M))


metrics, causes = reference()
SCRAPED = {"job", "instance", "le"}


def selectors(expression):
    """(metric, {label: values that are asked for}) of each selector, and the labels that are grouped by."""
    found = [(match[1], {label: value.split("|") for label, _, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', match[2] or "")}) for match in re.finditer(r"\b(tidemark_\w+|up)(?:\{([^}]*)\})?", expression)]
    grouped = {label for match in re.finditer(r"\b(?:by|without|on|ignoring|group_left) \(([^)]*)\)", expression) for label in re.findall(r"\w+", match[1])}
    return found, grouped


unknown = []
for name, expression in queries:
    found, grouped = selectors(expression)
    if not found:
        unknown.append((name, "no metric"))
    allowed = set(SCRAPED)
    for metric, matchers in found:
        labels = metrics.get(metric, set() if metric == "up" else None)
        if labels is None:
            unknown.append((name, metric))
            continue
        allowed |= labels
        unknown += [(name, metric, label) for label in matchers if label not in labels | SCRAPED]
    unknown += [(name, "grouped by", label) for label in grouped - allowed]
case("every metric and label in every query is documented", not unknown, unknown)
missing = [program for program in ("prometheus", "promtool") if shutil.which(program) is None]
if missing:
    if os.environ.get("CI") == "true":
        sys.exit(f"there is no {missing[0]}: config/packages-browser.txt")
    skip("promtool, and every query against a real Prometheus", f"there is no {missing[0]}: run make deps (config/packages-browser.txt)")
    done()
for words in (["check", "rules", RULES], ["test", "rules", UNIT]):
    result = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=300)
    case("promtool " + " ".join(words), result.returncode == 0, result.stdout + result.stderr)

# --- a real Prometheus and a real engine

server = Server("--set", "model.file=config/defaults/model.json")
port = processes.free_port()
directory = os.path.join(TMP, "prometheus")
os.makedirs(directory, exist_ok=True)
settings = {"global": {"scrape_interval": "500ms", "evaluation_interval": "1s"}, "rule_files": [os.path.abspath(RULES)],
            "scrape_configs": [{"job_name": "tidemark", "static_configs": [{"targets": [f"127.0.0.1:{server.admin}"]}]}]}
processes.write(os.path.join(directory, "prometheus.yml"), yaml.safe_dump(settings))
prometheus = processes.start(["prometheus", f"--config.file={directory}/prometheus.yml",
                              f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], os.path.join(directory, "log"))


def api(path, **parameters):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=60) as response:
        return json.load(response)["data"]


def listens():
    try:
        return api("status/buildinfo")
    except OSError:
        return False


def traffic(begin):
    for n in range(begin, begin + 20):
        server.post("/v1/score", auth(n, f"40000000000{n % 5:05d}"))
        server.post("/v1/outcomes", outcome(n, "05", f"40000000000{n % 5:05d}"))
    server.post("/v1/score", auth(begin + 90, at=rfc3339(-10 * 86400)))


try:
    processes.wait_for("Prometheus listens", listens, 60, 0.1)
    traffic(0)
    processes.wait_for("it has scraped", lambda: api("query", query="tidemark_answers_total")["result"], 30, 0.1)
    traffic(100)
    processes.wait_for("it has scraped what changed", lambda: api("query", query="sum(rate(tidemark_rule_hits_total[5m])) > 0 and sum(rate(tidemark_answers_by_rule_total{cause=\"late\"}[5m])) > 0")["result"], 30, 0.1)
    text = server.ask("GET", "/metrics", admin=True)[2]
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    sampled = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}
    values = causes.copy() | {value for line in text.splitlines() for value in re.findall(r'="([^"]*)"', line)}
    asked = {metric for _, expression in queries for metric, _ in selectors(expression)[0]} - {"up"}
    case("every metric in every query is on the page of the engine", all(metric in families or metric.rsplit("_", 1)[0] in families for metric in asked), asked - families)
    strange = {(name, value) for name, expression in queries for _, matchers in selectors(expression)[0] for label, wanted in matchers.items() for value in wanted if value not in values | {"tidemark"}}
    case("every value that a label is compared with is one that it can have", not strange, strange)
    empty, wrong = [], []
    for name, expression in queries:
        # With `bool` a comparison says 0 or 1 and leaves nothing out, so a quiet alert has data as well.
        asks = re.sub(r"(?<= )(==|!=|>=|<=|>|<)(?= )", r"\1 bool", expression)
        try:
            data = api("query", query=asks)["result"]
        except urllib.error.HTTPError as error:
            wrong.append((name, json.load(error).get("error")))
            continue
        if not data and all(metric in sampled or metric == "up" for metric, _ in selectors(expression)[0]):
            empty.append((name, asks))
    case("every query is understood", not wrong, wrong)
    case("every query whose metrics have samples gives data", not empty, empty)
    with_data = [name for name, expression in queries if all(metric in sampled or metric == "up" for metric, _ in selectors(expression)[0])]
    case("and most have: the rest is about sources, replicas, labels and a registry, which this engine does not have", len(with_data) >= 40 and all(
        any(metric.startswith(("tidemark_source_", "tidemark_ingest_", "tidemark_freshness_", "tidemark_journal_", "tidemark_drift_", "tidemark_feedback_", "tidemark_registry_")) for metric, _ in selectors(e)[0]) for n, e in queries if n not in with_data), len(with_data))

    def rules():
        return [rule for group in api("rules")["groups"] for rule in group["rules"]]
    processes.wait_for("all alerts are evaluated", lambda: len(rules()) == len(alerts) and all(rule["health"] != "unknown" for rule in rules()), 30, 0.2)
    loaded = rules()
    case("Prometheus has evaluated all alerts without an error", len(loaded) == len(alerts) and all(rule["health"] == "ok" for rule in loaded), [(r["name"], r["health"], r.get("lastError")) for r in loaded if r["health"] != "ok"])
    firing = {rule["name"] for rule in loaded if rule["state"] == "firing"}
    case("none fires over a healthy engine", not firing, firing)
    case("the engine stops cleanly", server.stop() == 0)
    processes.wait_for("that it is gone is noticed", lambda: {rule["name"]: rule["state"] for group in api("rules")["groups"] for rule in group["rules"]}["TidemarkDown"] == "pending", 20, 0.2)
    case("that it is gone is noticed", True)
finally:
    prometheus.stop(10)
    if server.process.poll() is None:
        server.stop()
done()
