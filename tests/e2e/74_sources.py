"""What an operator sees and does about sources, on a real broker: /sources, /readyz while the epoch opens, metrics, a gap that stands still until it is accepted, a
waiver, the token, and the verbs of the command line. Every answer is checked against openapi.yaml. Prints TAP.
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, auth, config, features, json, need_broker, now_ms, outcome, wait_for  # noqa: E402
from http_server import JSON, TIDE, Document, Server, tide  # noqa: E402
from tap import TMP, case, done  # noqa: E402

PARTITIONS, COUNT, TOKEN = 3, 300, "0123456789abcdef-0123456789abcdef-token"
need_broker()
with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    document = Document(file.read())
token = os.path.join(TMP, "token")
with open(token, "w", encoding="utf-8") as file:
    file.write(TOKEN + "\n")
with open(os.path.join(TMP, "tokens"), "w", encoding="utf-8") as file:
    file.write(tide("tokens", "line", token, "--name", "operator", "--scopes", "monitor,operate"))
Server.token = TOKEN  # of those who look at metrics


class Opening(Server):
    """Does not wait until it is ready, only until its probes are answered."""

    def __init__(self, *words, journal, features):  # pylint: disable=super-init-not-called
        self.dir = os.path.join(TMP, f"server{next(Server.numbers)}")
        os.makedirs(self.dir, exist_ok=True)
        self.err = open(os.path.join(self.dir, "log"), "ab")
        self.command = [TIDE, "serve", "--features", features, "--journal", journal, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--dev-key", *words]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.err, text=True)
        self.found = None
        wait_for("it waits for its sources", lambda: self.find() or self.process.poll() is not None, 30, 0.05)
        self.admin = int(self.found[1])

    def find(self):
        self.found = re.search(r"event=waiting_for_sources .*admin=127\.0\.0\.1:(\d+)", self.log())
        return self.found


def ask(server, method, path, body=None, key=TOKEN):
    """(status, answer), which fits the document."""
    headers = {**(JSON if body is not None else {}), "Authorization": f"Bearer {key}" if key else "none"}
    status, got, text = server.ask(method, path, body, headers, admin=True)
    wrong = document.check(method, path, status, got, text)
    if wrong:
        case(f"{method} {path} fits the document", False, (status, wrong, text[:600]))
    return status, json.loads(text)


def partitions(server):
    return {(s["name"], p["partition"]): p for s in ask(server, "GET", "/sources")[1]["sources"] for p in s["partitions"]}


def problem(answer):
    return answer.get("type", "").rsplit(":", 1)[-1]


def source(server, *words, code=0):
    result = subprocess.run([TIDE, "source", *words, "--admin", f"127.0.0.1:{server.admin}"], capture_output=True, text=True, timeout=60)
    case(f"source {' '.join(words)}: exit code {code}", result.returncode == code, (result.returncode, result.stdout, result.stderr))
    return result.stdout + result.stderr


broker = Broker()
broker.start()
servers = []
try:
    broker.topics(auths=PARTITIONS, outcomes=1, scores=1, dead=1)
    writer = broker.writer()
    begin = now_ms() - 600000
    for n in range(COUNT):
        writer.put("auths", auth(f"t{n}", n % 30, begin + n * 1000), n % PARTITIONS, "k", begin + n * 1000)
    writer.put("outcomes", outcome("t0", 0, begin + 1))
    writer.put("auths", '{"id": 1', 2)
    writer.flush()
    file = features(os.path.join(TMP, "features.yaml"), budget="5s")
    settings = config(os.path.join(TMP, "config.yaml"), broker,
                      {"auths": {"topic": "auths", "key": "card", "silence": "1h"}, "outcomes": {"topic": "outcomes", "input": "outcomes", "silence": "1h", "gates": False}},
                      http={"tokens_file": os.path.join(TMP, "tokens")})
    words, journal = ("--config", settings), f"file:{TMP}/journal"
    server = Server(*words, journal=journal, features=file, level="info")
    servers.append(server)

    # --- what is to be seen
    wait_for("all are read", lambda: all(p["lag"] == 0 for p in partitions(server).values()), 20, 0.1)
    status, page = ask(server, "GET", "/sources")
    found = partitions(server)
    case("every partition is shown", set(found) == {("auths", 0), ("auths", 1), ("auths", 2), ("outcomes", 0)}, found)
    case("with its cursor and the end of its log", [found["auths", i]["cursor"] for i in range(3)] == [100, 100, 101]
         and all(p["cursor"] == p["end"] for p in found.values()), found)
    case("nothing stands still", all(p["stopped"] is False and p["trouble"] is None for p in found.values()), found)
    case("and who reads", page["ingests"] is True and page["ingester"] == page["engine"] == 1 and page["state"] == "open" and page["behind"] == 0, page)
    case("topics, gates and keys are those of the configuration", [(s["name"], s["topic"], s["gates"], s["key"]) for s in page["sources"]] ==
         [("auths", "auths", True, "card"), ("outcomes", "outcomes", False, "none")], page)
    case("it is ready", ask(server, "GET", "/readyz") == (200, {"ready": True}), ask(server, "GET", "/readyz"))
    health = ask(server, "GET", "/healthz")[1]
    case("/healthz says who reads", health["ingests"] is True and health["ingester"] == 1, health)
    wait_for("answers leave", lambda: ask(server, "GET", "/sources")[1]["unsent_answers"] == 0, 20, 0.1)
    metric = server.metric
    case("metrics: it reads", metric("tidemark_ingest_active") == 1 and metric("tidemark_ingest_claims_total") == 1)
    case("metrics: messages", metric("tidemark_ingest_messages_total") >= COUNT + 2, metric("tidemark_ingest_messages_total"))
    case("metrics: rejected by reason", metric('tidemark_ingest_rejected_total{source="auths",reason="syntax"}') == 1 == metric("tidemark_ingest_rejected_total"))
    case("metrics: letters", metric('tidemark_ingest_letters_total{letter="dead",result="arrived"}') == 1
         and metric('tidemark_ingest_letters_total{letter="score",result="arrived"}') == COUNT == metric("tidemark_ingest_emitted_total"))
    text = server.ask("GET", "/metrics", admin=True)[2]
    case("metrics: lag of zero is there", 'tidemark_source_lag_messages{source="auths",partition="1"} 0\n' in text, text[-3000:])
    case("metrics: partitions that are none are not", 'partition="3"' not in text and 'source="outcomes",partition="1"' not in text)
    case("metrics: a fresh cell is within its budget", metric('tidemark_freshness_age_seconds{entity="card"}') < 5
         == metric('tidemark_freshness_budget_seconds{entity="card"}') and metric("tidemark_freshness_stale") == 0,
         [line for line in text.splitlines() if "freshness" in line or "complete" in line])
    text = source(server, "list", "--token-file", token)
    case("the list has it", re.search(r"^  auths/1 +100 +100 +0 +\S+ +\S+ +ok$", text, re.M) and "it reads the sources" in text, text)
    case("as JSON as well", json.loads(source(server, "list", "--token-file", token, "--json"))["engine"] == 1)

    # --- waivers
    good = {"source": "auths", "partition": 1, "for": "10m"}
    for name, body, key, status, kind in (("no token", good, None, 401, "unauthorized"), ("no such partition", {**good, "partition": 7}, TOKEN, 404, "unknown-source"),
                                          ("for ever", {**good, "for": "8d"}, TOKEN, 422, "invalid-field"), ("no duration", {**good, "for": "x"}, TOKEN, 422, "invalid-field"),
                                          ("no partition", {**good, "partition": -1}, TOKEN, 422, "invalid-field")):
        got, answer = ask(server, "POST", "/sources/waive", body, key)
        case(f"waive: {name}", got == status and problem(answer) == kind, (got, answer))
    case("nothing was waived", not any(p["waived_until"] for p in partitions(server).values()))
    status, answer = ask(server, "POST", "/sources/waive", good)
    case("a waiver is journaled", status == 200 and answer["until"] and answer["position"], answer)
    wait_for("it shows", lambda: partitions(server)["auths", 1]["waived_until"] == answer["until"], 5, 0.05)
    case("of that partition alone", [k for k, p in partitions(server).items() if p["waived_until"]] == [("auths", 1)])
    case("metrics: waived", metric('tidemark_source_waived{source="auths",partition="1"}') == 1 == metric("tidemark_source_waived"))
    case("the verb needs the token", "token" in source(server, "waive", "auths", "1", "--for", "0s", code=3))
    source(server, "waive", "auths", "all", "--for", "5m", "--token-file", token)
    wait_for("all are waived", lambda: len([k for k, p in partitions(server).items() if p["waived_until"]]) == 3, 5, 0.05)
    case("an end is a waiver of nothing", "waited for again" in source(server, "waive", "auths", "all", "--for", "0s", "--token-file", token))
    wait_for("none is waived", lambda: not any(p["waived_until"] for p in partitions(server).values()), 5, 0.05)
    source(server, "waive", "auths", "one", "--for", "1m", code=2)
    source(server, "waive", "nothing", "1", "--for", "1m", "--token-file", token, code=2)

    # --- a gap while nobody reads: the epoch does not open, and says what it waits for
    gap = {"source": "auths", "partition": 1, "cursor": "begin"}
    status, answer = ask(server, "POST", "/sources/accept-gap", gap)
    case("what is read has no gap to accept", status == 409 and problem(answer) == "conflict" and "does not stand still" in answer["detail"], answer)
    case("it stops cleanly", server.stop() == 0)
    for n in range(COUNT, COUNT + 60):
        writer.put("auths", auth(f"t{n}", n % 30, now_ms()), n % PARTITIONS, "k")
    writer.flush()
    broker.pipe("cut", "auths", "1", "110")
    server = Opening(*words, journal=journal, features=file)
    servers.append(server)
    wait_for("it stands still", lambda: ask(server, "GET", "/readyz")[1].get("stopped"), 30, 0.1)
    wait_for("the others are read", lambda: ask(server, "GET", "/sources")[1]["behind"] == 1, 30, 0.1)
    status, answer = ask(server, "GET", "/readyz")
    case("/readyz says what the epoch waits for", status == 503 and answer["why"] == "opening: auths/1 at 100 of 120, 1 partition behind", answer)
    case("and why that stands still", answer["stopped_partitions"] == 1 and answer["stopped"][0]["source"] == "auths" and answer["stopped"][0]["partition"] == 1
         and "accept-gap" in answer["stopped"][0]["why"], answer)
    case("it lives", ask(server, "GET", "/livez")[0] == 200 and ask(server, "GET", "/healthz")[1]["state"] == "barrier")
    here = partitions(server)["auths", 1]
    case("/sources too", here["stopped"] is True and here["cursor"] == 100 and here["target"] == 120 and here["trouble"], here)
    case("metrics: it stands still", server.metric('tidemark_source_stopped{source="auths",partition="1"}') == 1 == server.metric("tidemark_source_stopped")
         and server.metric("tidemark_ingest_opening_partitions") == 1)
    text = source(server, "list", "--token-file", token, code=1)
    case("the list says so", "stands still: " in text and "engine 1 is barrier" in text, text)
    for name, body, status, kind in (("not the one that stands still", {**gap, "partition": 0}, 409, "conflict"), ("before the log", {**gap, "cursor": 100}, 422, "invalid-field"),
                                     ("behind its end", {**gap, "cursor": 121}, 422, "invalid-field"), ("a word", {**gap, "cursor": "now"}, 422, "invalid-field"),
                                     ("no such partition", {**gap, "partition": 9}, 404, "unknown-source")):
        got, answer = ask(server, "POST", "/sources/accept-gap", body)
        case(f"accept-gap: {name}", got == status and problem(answer) == kind, (got, answer))
    case("and the log is told", "110 to 120" in ask(server, "POST", "/sources/accept-gap", {**gap, "cursor": 100})[1]["detail"])
    source(server, "accept-gap", "auths", "1", "--cursor", "x", "--token-file", token, code=2)
    source(server, "accept-gap", "auths", "0", "--cursor", "end", "--token-file", token, code=1)
    text = source(server, "accept-gap", "auths", "1", "--cursor", "begin", "--token-file", token)
    case("the gap is accepted", re.match(r"auths/1 goes on at 110 instead of 100, journaled at \d+-\d+", text), text)
    status, answer = ask(server, "POST", "/sources/accept-gap", gap)
    case("the same word again is not taken for another", status == 409, answer)
    wait_for("the epoch opens", lambda: ask(server, "GET", "/readyz")[0] == 200, 20, 0.1)
    wait_for("and all are read", lambda: partitions(server)["auths", 1]["lag"] == 0, 20, 0.1)
    case("nothing stands still any more", ask(server, "GET", "/readyz")[1] == {"ready": True} and partitions(server)["auths", 1]["cursor"] == 120)
    wait_for("answers leave", lambda: ask(server, "GET", "/sources")[1]["unsent_answers"] == 0, 20, 0.1)
    case("what stood behind the gap was counted, what was in it was not", len({m["key"] for m in broker.get("scores")}) == COUNT + 50, broker.length("scores"))

    # --- a gap under a running engine: the others go on
    before = partitions(server)
    case("it stops cleanly once more", server.stop() == 0)
    case("the token is in no log", not any(TOKEN in s.log() for s in servers))
    case("what an operator did is", "event=gap_accepted client=operator source=auths partition=1 from=100 to=110" in server.log() and "event=source_waived" in servers[0].log())

    # --- the journal has it all
    shown = subprocess.run([TIDE, "inspect", f"{TMP}/journal", "--records"], capture_output=True, text=True, timeout=60)
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    kinds = {r.get("type") for r in records}
    case("inspect shows the records", shown.returncode == 0 and {"sources", "start", "claim", "targets", "waive", "emitted"} <= kinds, (shown.returncode, kinds, shown.stderr))
    case("the jump among them", any(r.get("type") == "start" and r.get("jump") and r.get("cursor") == 110 and r.get("from") == 100 for r in records),
         [r for r in records if r.get("type") == "start"])
    case("audit proves every decision again", tide("audit", "--journal", f"file:{TMP}/journal").startswith(f"{COUNT + 50} decisions "))
    text = tide("explain", f"t{COUNT + 31}", "--journal", f"file:{TMP}/journal", "--dev-key")
    case("explain says which message it was", "offset 110 of auths/1" in text, text[:300])
finally:
    for one in servers:
        if one.process.poll() is None:
            one.process.kill()
    broker.stop()
done()
