"""Drift and feedback of a running engine: what GET /drift and GET /feedback say is what `tidemark drift` finds in its journal, goes on over a restart and a kill, and begins anew only
where the file beside the snapshot is gone. A log whose amounts grow tenfold is severe, and one like the training is not. Prints TAP.
"""

import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, "tests/support")
from http_server import TMP, Server, auth, case, done, outcome, tide  # noqa: E402

MODEL = "config/defaults/model.json"
WORDS = ("--model", MODEL, "--set", "fold.history_from=2020-01-01T00:00:00Z", "--set", "feedback.genuine_after=0s")


def page(server, path, until=lambda page: True):
    """The page is of the last second: asked until it has what was sent."""
    for _ in range(600):
        status, _, text = server.ask("GET", path, admin=True)
        value = json.loads(text)
        if status == 200 and until(value):
            return value
        time.sleep(0.1)
    return value


def send(server, first, count, label=None):
    for at in range(first, first + count, 100):
        batch = [auth(n, card=f"40000000000{n % 50:05d}") for n in range(at, min(at + 100, first + count))]
        server.post("/v1/score/batch", batch)
    for n in range(first, first + count, 10):
        if label:
            server.post("/v1/outcomes", {**outcome(n, card=f"40000000000{n % 50:05d}"), "type": "label", "label": label})


def decided(count):
    return lambda value: value["decisions"] >= count


def scored(count):
    return lambda value: value["models"] and value["models"][0]["rows"] >= count


def offline(server, *words):
    return json.loads(tide("drift", "--journal", f"file:{server.dir}/journal", "--json", "--genuine-after", "0s", "--log-level", "error", *words))


server = Server(*WORDS)
first = page(server, "/drift")
case("before anything there is no model to speak of", first == {"models": []}, first)
send(server, 1000, 300, label="fraud")
drift = page(server, "/drift", scored(300))
feedback = page(server, "/feedback", lambda v: v["labels"] >= 30 and v["decisions"] >= 300)
window = drift["models"][0]["short"]
case("every decision is in both windows", window["rows"] == drift["models"][0]["long"]["rows"] == 300, window["rows"])
case("the same message again and again is not what the model was trained on", window["score"]["severity"] == "severe" and window["score"]["psi"] > 0.25, window["score"])
case("an input that is never there shows in its own bin", any(i["missing"] == 1 and i["severity"] == "severe" for i in window["inputs"]))
case("labels are counted", feedback["labels"] == 30 and feedback["labels_unmatched"] == 0 and feedback["all"]["fraud"] == 30, feedback)
case("a repetition is none", server.post("/v1/score", auth(1000, card="4000000000000000"))[1]["duplicate"] is True and page(server, "/drift")["models"][0]["rows"] == 300)
server.post("/v1/outcomes", {**outcome(1000, card="4000000000000000"), "type": "label", "label": "genuine"})
feedback = page(server, "/feedback", lambda v: v["labels_corrected"] == 1)
case("a corrected label changes sides", feedback["all"]["fraud"] == 29 and feedback["labels"] == 31, feedback["all"])
case("metrics say the same", server.metric("tidemark_drift_severity", 'input="score"') == 4 and server.metric("tidemark_feedback_weight", 'label="fraud"') == 29
     and abs(server.metric('tidemark_drift_psi{window="short",input="score"}') - window["score"]["psi"]) < 1e-6)
known = {rule["rule"]: rule["true"]["precision"] for rule in feedback["rules"] if rule["true"]["fraud"] + rule["true"]["genuine"] > 0}
told = dict(re.findall(r'^tidemark_feedback_rule_precision\{rule="([^"]*)"\} (\S+)$', server.ask("GET", "/metrics", admin=True)[2], re.M))
case("and of each rule, under its own code", known and told.keys() == known.keys() and all(abs(float(told[rule]) - known[rule]) < 1e-6 for rule in known), (known, told))
case("no key and no id in them", "00000000100" not in json.dumps([drift, feedback]))

# --- over a restart, and a kill

drift, feedback = page(server, "/drift"), page(server, "/feedback")
case("the journal gives the same, offline", offline(server) == drift and offline(server, "--feedback") == feedback)
journal, where = server.journal, server.dir
case("it stops", server.stop() == 0)
server = Server(*WORDS, journal=journal)
case("what was seen before the stop is known after it", page(server, "/drift", scored(300)) == drift and page(server, "/feedback", decided(300)) == feedback)
case("and it says so", "watch_taken_up" in server.log())
send(server, 2000, 100, label="genuine")
drift, feedback = page(server, "/drift", scored(400)), page(server, "/feedback", lambda v: v["labels"] >= 41)
server.stop(signal.SIGKILL)
server = Server(*WORDS, journal=journal)
case("nor is anything counted twice after a kill: the rest comes from the journal",
     page(server, "/drift", scored(400)) == drift and page(server, "/feedback", lambda v: v["labels"] >= 41) == feedback)
server.stop()
os.unlink(os.path.join(where, "journal", "snapshots", "watch.tdw"))
server = Server(*WORDS, journal=journal)
case("without its file it begins anew, and says so", page(server, "/drift") == {"models": []} and page(server, "/feedback")["decisions"] == 0
     and "watch_begins_anew" in server.log())
case("as it does with one that was changed", server.stop() == 0)
with open(os.path.join(where, "journal", "snapshots", "watch.tdw"), "r+b") as file:
    file.seek(20)
    byte = file.read(1)
    file.seek(20)
    file.write(bytes([byte[0] ^ 1]))
server = Server(*WORDS, journal=journal)
case("which is not believed", page(server, "/feedback")["decisions"] == 0 and "watch_begins_anew" in server.log())
asked = tide("drift", "--admin", f"127.0.0.1:{server.admin}", code=0)
case("the verb asks an engine", "No model has scored" in asked, asked)
server.stop()

# --- logs

log, grown = os.path.join(TMP, "log.jsonl"), os.path.join(TMP, "grown.jsonl")
tide("generate", "--seed", "7", "--transactions", "20000", "--days", "20", "--output", log)
with open(log, encoding="utf-8") as from_file, open(grown, "w", encoding="utf-8") as to_file:
    for line in from_file:
        message = json.loads(line)
        if "amount" in message:
            message["amount"]["value"] = round(message["amount"]["value"] * 10, 2)
        to_file.write(json.dumps(message) + "\n")
common = ("drift", "--features", "config/defaults/features.yaml", "--model", MODEL, "--dev-key", "--log-level", "error", "--long-window", "2d")


def amount_of(path):
    value = json.loads(tide(*common, "--input", path, "--json"))
    return next(i for i in value["models"][0]["long"]["inputs"] if i["input"] == "amount")


case("amounts like those of the training have not drifted", amount_of(log)["severity"] == "none", amount_of(log))
case("amounts ten times as large have, severely", amount_of(grown)["severity"] == "severe" and amount_of(grown)["ks_p"] < 1e-6, amount_of(grown))
tide(*common, "--input", grown, "--fail-on", "severe", code=1)
tide(*common, "--input", grown, code=0)
case("--fail-on decides the exit code", True)
table = tide(*common, "--input", grown, "--feedback")
case("a table of labels", "AUC 0." in table and "precision" in table, table[:400])
for words in ((), ("--admin", "127.0.0.1:1", "--input", log), ("--input", log), ("--journal", "memory"), ("--journal", "file:x", "--window", "1s"),
              ("--journal", "file:x", "--long-window", "90d"), ("--journal", "file:x", "--keep", "1d")):
    tide("drift", *words, code=2)
case("wrong command lines are told", True)
done()
