"""The registry beside a running engine, on a real etcd cluster of three: rollouts arrive, and whatever happens to etcd, scoring goes on with the versions in force.

A client scores all the time. Every answer must be scored, and by a model that a rollout had named; at the end all of them are looked at. Prints TAP.
"""

import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error

sys.path[:0] = ["tests/support", "tests/stack"]
import processes  # noqa: E402
from certificates import Authority  # noqa: E402
from etcd_cell import Client, Cluster  # noqa: E402
from http_server import SHIPPED, TIDE, TMP, Server, auth, case, done, tide  # noqa: E402

MODEL = "config/defaults/model.json"


def policy(name):
    """The shipped policy with one more rule, under a name of its own."""
    with open(SHIPPED, encoding="utf-8") as file:
        section = re.search(r"(?m)^policy:\n(?:[ #].*\n|\n)*", file.read())[0]
    rule = f"    - {name.upper()}: decline when card.attempts_1h > 1000\n"
    return f"name: {name}\n" + section.replace("  rules:\n", "  rules:\n" + rule, 1)


class Registry:
    def __init__(self, url, *words):
        self.words = ["--registry", url, "--cell", "eu", *words]

    def run(self, *words, code=0, why=True):
        command = [TIDE, *words, *self.words, *(["--why", "a test"] if why else [])]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert code is None or result.returncode == code, (words, result.returncode, result.stderr, result.stdout)
        return result

    def versions(self, kind):
        return {row["name"]: row for row in json.loads(self.run(kind, "list", "--json", why=False).stdout)}

    def engines(self):
        return json.loads(self.run("engines", "--json", why=False).stdout)


class Load:
    """One client that scores all the time and keeps every answer."""

    def __init__(self, server):
        self.server, self.answers, self.bad, self.stopping = server, [], [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        connection, n = self.server.connect(), 1000
        while not self.stopping:
            n += 1
            try:
                status, answer = self.server.post("/v1/score", auth(n), connection=connection)
                (self.answers if status == 200 and answer["status"] == "scored" else self.bad).append(answer)
            except OSError as error:
                self.bad.append(str(error))
                connection = self.server.connect()
            time.sleep(0.005)

    def stop(self):
        self.stopping = True
        self.thread.join()

    def go_on(self, count=30):
        """That many more answers come."""
        begin = len(self.answers)
        return until(lambda: len(self.answers) - begin >= count, 30)


def until(condition, seconds=20):
    try:
        return processes.wait_for("it", condition, seconds, 0.05)
    except (TimeoutError, RuntimeError, AssertionError):
        return False


def write(name, text):
    path = os.path.join(TMP, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def in_force(load, model=None, policy=None):
    """The last answer was made with these."""
    if not load.answers:
        return False
    told = load.answers[-1]["provenance"]
    return (model is None or (told.get("model") or "").startswith(model)) and (policy is None or policy in told["policy"])


log = os.path.join(TMP, "log.jsonl")
tide("generate", "--transactions", "2000", "--output", log)
events = ["--log", log, "--dev-key"]
cluster = Cluster(TMP).start()
registry = Registry(f"etcd://{cluster.address}/t")
server = load = None
try:
    # --- versions
    case("a feature file is pushed", "issuer-default@" in registry.run("features", "push", SHIPPED).stdout)
    case("and again: it is there already", "already" in registry.run("features", "push", SHIPPED).stdout)
    registry.run("model", "push", MODEL)
    result = registry.run("features", "rollout", "issuer-default", code=3)
    case("nothing is rolled out that was not validated", "never validated" in result.stderr, result.stderr)
    result = registry.run("model", "rollout", "issuer-default-1", code=3)
    case("a model needs the cell's feature file first", "nothing was rolled out" in result.stderr, result.stderr)
    registry.run("features", "validate", "issuer-default", *events)
    registry.run("features", "rollout", "issuer-default")
    result = registry.run("model", "validate", "issuer-default-1", *events)
    case("a model passes: replay parity, no shift", "2002 scores" in result.stdout or "0 differ" in result.stdout, result.stdout)
    registry.run("policy", "push", write("short.yaml", "name: short\npolicy:\n  decisions: [approve, decline]\n  rules:\n    - else: approve\n"))
    result = registry.run("policy", "validate", "short", *events, code=1)
    case("a policy that cannot be in force with this feature file does not pass", "are not those of the feature file" in result.stdout, result.stdout)
    with open(SHIPPED, encoding="utf-8") as file:
        section = re.search(r"(?m)^policy:\n(?:[ #].*\n|\n)*", file.read())[0]
    mild = section.replace("  rules:\n", "  rules:\n    - MILD: decline when card.attempts_1h >= 1\n", 1)
    registry.run("policy", "push", write("mild.yaml", mild), "--name", "harsh")
    result = registry.run("policy", "validate", "harsh", *events, code=1)
    case("one that changes more decisions than the limit does not pass", "of decisions change" in result.stdout, result.stdout)
    for name in ("easy", "other", "third"):
        registry.run("policy", "push", write(f"{name}.yaml", policy(name)))
    result = registry.run("policy", "rollout", "harsh", code=3)
    case("and is not rolled out", "did not pass" in result.stderr, result.stderr)
    for name in ("easy", "other", "third"):
        registry.run("policy", "validate", name, *events)
    case("states follow", {name: row["state"] for name, row in registry.versions("policy").items()} == {"easy": "validated", "other": "validated", "third": "validated", "short": "failed", "harsh": "failed"} and registry.versions("features")["issuer-default"]["state"] == "live")

    # --- an engine
    server = Server("--cell", "eu", "--set", f"registry.url=etcd://{cluster.address}/t", "--set", "registry.timeout=500ms", "--set", "registry.lease=3s", level="info",
                    deadline="2s")
    load = Load(server)
    case("the engine finds the registry", until(lambda: "event=registry_found" in server.log()))
    case("it is listed", until(lambda: [e["engine"] for e in registry.engines()] == [1] and registry.engines()[0]["ready"]))
    case("its metrics say that the registry is up", until(lambda: server.metric("tidemark_registry_up") == 1 and server.metric("tidemark_registry_revision") > 0))
    registry.run("model", "rollout", "issuer-default-1")
    case("a rollout arrives", until(lambda: in_force(load, model="issuer-default-1@")), load.answers[-1]["provenance"])
    case("the engine's card says which", until(lambda: registry.engines()[0]["rollout"] == 2))
    registry.run("policy", "rollout", "easy")
    case("a policy arrives", until(lambda: in_force(load, policy="easy@")), load.answers[-1]["provenance"])

    settings = write("cell.yaml", f"cell: {{name: eu}}\nfeatures: {{file: {SHIPPED}}}\nkeys: {{development: true}}\njournal: {{kind: memory}}\nregistry: {{url: \"etcd://{cluster.address}/t\"}}\n")
    result = tide("doctor", "--config", settings, code=None)
    case("doctor looks at the registry", "the last rollout of cell eu is 3" in result.stdout, result.stdout)
    result = tide("doctor", "--config", settings, "--set", "registry.url=etcd://127.0.0.1:1", code=None)
    case("and says when it is out of reach", "no answer from etcd at http://127.0.0.1:1" in result.stdout, result.stdout)
    result = tide("config", "check", "--config", settings, "--set", "registry.url=etcd://root:secret@127.0.0.1:1", code=None)
    case("a password in the address is refused, and not shown", result.returncode == 3 and "registry.password_file" in result.stderr and "secret" not in result.stderr, result.stderr)

    # --- the leader dies
    leader = until(cluster.leader)
    leader.process.kill()
    case("the leader is killed: scoring goes on", load.go_on())
    done_by = time.monotonic() + 30
    while (result := registry.run("policy", "rollout", "other", code=None)).returncode == 4 and time.monotonic() < done_by:
        case("until there is a new one the command line says to try again", "answer" in result.stderr, result.stderr)
    case("a rollout goes through the other two", result.returncode == 0 or "in force already" in result.stderr, result.stderr)
    case("and arrives", until(lambda: in_force(load, policy="other@"), 30), load.answers[-1]["provenance"])
    leader.launch()

    # --- all of it dies
    begin = server.log().count("event=registry_lost")
    for node in cluster.nodes:
        node.process.kill()
    case("all are killed: the log says so, once", until(lambda: server.log().count("event=registry_lost") == begin + 1, 30))
    case("the metric says so", until(lambda: server.metric("tidemark_registry_up") == 0))
    case("the engine is ready and scoring goes on", server.ask("GET", "/readyz", admin=True)[0] == 200 and load.go_on())
    result = registry.run("policy", "list", code=4, why=False)
    case("the command line says that nobody answers", "no answer from etcd" in result.stderr, result.stderr)
    for node in cluster.nodes:
        node.begin()
    for node in cluster.nodes:
        node.ready()
    case("it is back, and the log says so", until(lambda: "event=registry_back" in server.log(), 30))
    case("once each", server.log().count("event=registry_lost") == begin + 1, server.log().count("event=registry_lost"))
    registry.run("policy", "rollback")
    case("a rollback arrives", until(lambda: in_force(load, policy="easy@")), load.answers[-1]["provenance"])
    case("the engine is listed again", until(lambda: [e["rollout"] for e in registry.engines()] == [5]), registry.engines())

    # --- compaction, while it watches and while the watch is cut
    client = Client(cluster.nodes[0].url)
    client.compact()
    registry.run("policy", "rollout", "other")
    case("after a compaction a rollout arrives", until(lambda: in_force(load, policy="other@")), load.answers[-1]["provenance"])
    for node in cluster.nodes:
        node.process.kill()
    for node in cluster.nodes:
        node.begin()
    for node in cluster.nodes:
        node.ready()
    client.put("/t/cells/eu/rollouts-noise", "x")
    client.compact()
    registry.run("policy", "rollback")
    case("and where the watch was cut before it", until(lambda: in_force(load, policy="easy@"), 30), load.answers[-1]["provenance"])

    # --- corrupt values
    versions = registry.versions("policy")
    content = f"/t/content/policy/{versions['third']['hash']}"
    was = client.get(content)[content]
    client.put(content, was.replace(b"> 1000", b"> 0001"))
    result = registry.run("policy", "rollout", "third", code=5)
    case("content that is not its hash's is not rolled out, and named", "content/policy/" in result.stderr and "corrupt" in result.stderr, result.stderr)
    rollouts = client.get("/t/cells/eu/rollouts/")
    last_key = max(rollouts)
    last = json.loads(rollouts[last_key])
    key = "/t/cells/eu/rollouts/%020d" % (int(last_key[-20:]) + 1)
    forged = {**last, "number": last["number"] + 1, "policy": versions["third"]["hash"]}
    client.put(key, json.dumps(forged))
    case("an engine does not bring it into the journal either, and names it", until(lambda: "event=rollout_not_offered" in server.log() and "content/policy/" in server.log()))
    client.put(key, '{"number":')
    case("a document that is none is named", until(lambda: "is no JSON object" in server.log()))
    result = registry.run("policy", "list", code=5, why=False)
    case("by the command line too", key[3:] in result.stderr, result.stderr)
    client.put(key, json.dumps({**forged, "models": [{"hash": versions["third"]["hash"], "role": "live", "weight": 3}]}))
    case("so is one that cannot be in force", until(lambda: server.log().count("event=rollout_not_offered") >= 3), server.log()[-400:])
    case("nothing has changed meanwhile", load.go_on() and in_force(load, policy="easy@"), load.answers[-1]["provenance"])
    client.put(content, was)
    client.put(key, json.dumps(forged))
    case("mended, it arrives", until(lambda: in_force(load, policy="third@")), load.answers[-1]["provenance"])

    client.put("/t/cells/eu/engines/9", "{}")
    result = registry.run("engines", code=5, why=False)
    case("a card that is none is named", "cells/eu/engines/9" in result.stderr, result.stderr)
    result = registry.run("policy", "rollout", "easy")
    case("and keeps nobody from rolling out", "warning" in result.stderr and until(lambda: in_force(load, policy="easy@")), result.stderr)
    registry.run("policy", "rollout", "third")
    case("nor back", until(lambda: in_force(load, policy="third@")))

    # --- nobody answers in time
    for node in cluster.nodes:
        node.process.pause()
    begin = server.log().count("event=registry_lost")
    case("etcd that hangs is lost as well, and scoring goes on", until(lambda: server.log().count("event=registry_lost") > begin, 40) and load.go_on())
    for node in cluster.nodes:
        node.process.resume()
    case("and comes back", until(lambda: server.metric("tidemark_registry_up") == 1, 30))

    # --- users
    client.enable_users("/t/")
    case("etcd that asks for users is told with what to set", until(lambda: "registry.user" in server.log(), 30), server.log()[-300:])
    case("scoring goes on", load.go_on() and in_force(load, policy="third@"))
    good, wrong = write("good.password", "secret\n"), write("wrong.password", "not it\n")
    result = registry.run("policy", "list", code=3, why=False)
    case("without a user the command line says so", "registry.user" in result.stderr, result.stderr)
    login = Registry(f"etcd://{cluster.address}/t", "--set", "registry.user=tidemark", "--set", f"registry.password_file={wrong}")
    result = login.run("policy", "list", code=3, why=False)
    case("a wrong password is told, and not shown", "does not accept user tidemark" in result.stderr and "not it" not in result.stderr, result.stderr)
    login = Registry(f"etcd://{cluster.address}/t", "--set", "registry.user=tidemark", "--set", f"registry.password_file={good}")
    case("the right one works", "live" in {row["state"] for row in login.versions("policy").values()})
    elsewhere = Registry(f"etcd://{cluster.address}/elsewhere", "--set", "registry.user=tidemark", "--set", f"registry.password_file={good}")
    result = elsewhere.run("policy", "list", code=3, why=False)
    case("a prefix that the user's role does not have is told", "grant its role" in result.stderr, result.stderr)

    # --- the end
    load.stop()
    named = {"issuer-default-1"}
    models = {(a["provenance"].get("model") or "").split("@")[0] for a in load.answers} - {""}
    case("every request was scored", not load.bad and len(load.answers) > 300, f"{len(load.answers)} {load.bad[:2]}")
    case("by versions that a rollout had named", models == named, models)
    case("a clean stop", server.stop() == 0)
    server = load = None

    # --- a full store
    full = Cluster(os.path.join(TMP, "full"), 1, ["--quota-backend-bytes", "200000"]).start()
    try:
        small = Registry(f"etcd://{full.address}/t")
        small.run("features", "push", SHIPPED)
        filler, n = Client(full.nodes[0].url), 0
        while n < 100:
            try:
                filler.put(f"/t/filler/{n}", "x" * 20000)
            except urllib.error.HTTPError:
                break
            n += 1
        result = small.run("model", "push", MODEL, code=4)
        case("a full etcd is told as such", "etcd is full" in result.stderr, result.stderr)
        case("reading goes on", small.versions("features")["issuer-default"]["state"] == "draft")
        engine = Server("--cell", "eu", "--set", f"registry.url=etcd://{full.address}/t", level="info")
        case("an engine cannot announce itself, says so, and scores", until(lambda: "event=registry_full" in engine.log()) and engine.post("/v1/score", auth(1))[1]["status"] == "scored",
             engine.log()[-300:])
        engine.stop()
    finally:
        full.stop()

    # --- TLS, with certificates of clients
    authority, stranger = Authority(os.path.join(TMP, "ca"), "Test CA"), Authority(os.path.join(TMP, "other-ca"), "Other CA")
    node, client_pair, strange_pair = authority.issue("etcd", "serverAuth,clientAuth"), authority.issue("engine", "clientAuth"), stranger.issue("engine", "clientAuth")
    secure = Cluster(os.path.join(TMP, "secure"), 1, ["--cert-file", node.cert, "--key-file", node.key, "--client-cert-auth", "--trusted-ca-file", authority.cert])
    secure.nodes[0].tls = ssl.create_default_context(cafile=authority.cert)
    secure.nodes[0].tls.load_cert_chain(client_pair.cert, client_pair.key)
    secure.start()
    try:
        def over_tls(ca, pair, scheme="etcds"):
            words = [f"registry.ca={ca.cert}", f"registry.cert={pair.cert}", f"registry.key={pair.key}"] if pair else [f"registry.ca={ca.cert}"]
            return Registry(f"{scheme}://{secure.address}/t", "--set", "registry.timeout=1s", *(w for word in words for w in ("--set", word)))

        case("with TLS and a certificate of its own it works", "issuer-default@" in over_tls(authority, client_pair).run("features", "push", SHIPPED).stdout)
        result = over_tls(stranger, client_pair).run("policy", "list", code=3, why=False)
        case("an etcd that nobody vouches for is not talked to", "no trust" in result.stderr, result.stderr)
        for name, pair in (("without a certificate", None), ("with one of another authority", strange_pair)):
            result = over_tls(authority, pair).run("policy", "list", code=None, why=False)
            case(f"{name} etcd does not talk to it", result.returncode in (3, 4) and "etcd" in result.stderr, f"{result.returncode} {result.stderr}")
        result = over_tls(authority, client_pair, "etcd").run("policy", "list", code=3, why=False)
        case("certificates without TLS are a mistake that is told", "etcds://" in result.stderr, result.stderr)
    finally:
        secure.stop()

    # --- a directory instead of etcd, and validation on an engine's own journal
    local = Registry(f"dir:{TMP}/registry")
    engine = Server("--cell", "eu", "--set", f"registry.url=dir:{TMP}/registry", level="info")
    for n in range(200):
        assert engine.post("/v1/score", auth(n))[1]["status"] == "scored"
    engine.stop()
    local.run("features", "push", SHIPPED)
    local.run("model", "push", MODEL)
    for name in ("easy", "harsh"):
        local.run("policy", "push", os.path.join(TMP, "mild.yaml") if name == "harsh" else write("easy2.yaml", policy(name)), "--name", name)
    counted = ["--journal", engine.journal, "--min-events", "200"]
    local.run("features", "validate", "issuer-default", *counted)
    local.run("features", "rollout", "issuer-default")
    result = local.run("model", "validate", "issuer-default-1", *counted)
    case("a journal's events are judged again under a version", "200 judged, 200 with a score" in result.stdout and "200 events judged by both" in result.stdout, result.stdout)
    result = local.run("model", "validate", "issuer-default-1", "--journal", engine.journal, code=1)
    case("too few events prove nothing", "--min-events" in result.stdout, result.stdout)
    local.run("model", "validate", "issuer-default-1", *counted)
    local.run("policy", "validate", "easy", *counted)
    local.run("model", "rollout", "issuer-default-1", "--shadow")
    engine = Server("--cell", "eu", "--set", f"registry.url=dir:{TMP}/registry", journal=engine.journal, level="info")
    case("an engine takes its rollouts from a directory", until(lambda: local.engines() and local.engines()[0]["rollout"] == 2), local.engines())
    local.run("model", "promote")
    case("a promotion arrives", until(lambda: (engine.post("/v1/score", auth(1000 + int(time.monotonic() * 100)))[1]["provenance"].get("model") or "").startswith("issuer-default-1@")))
    result = local.run("model", "retire", "issuer-default-1", code=3)
    case("a live version is not retired", "take it out first" in result.stderr, result.stderr)
    local.run("policy", "rollout", "easy", "--dry-run")
    case("a dry run writes nothing", local.versions("policy")["easy"]["state"] == "validated")
    local.run("model", "rollback", "--to", "1")
    local.run("model", "retire", "issuer-default-1")
    result = local.run("model", "rollout", "issuer-default-1", code=3)
    case("a retired version is not rolled out", "was retired by" in result.stderr, result.stderr)
    result = local.run("model", "rollback", "--to", "2", code=3)
    case("nor gone back to", "was retired by" in result.stderr, result.stderr)
    result = local.run("policy", "validate", "easy", "--log", log, "--dev-key", "--since", "2026-02-20T00:00:00Z", "--min-events", "1")
    judged = int(re.search(r"events +(\d+) judged", result.stdout)[1])
    case("validation can look at recent events alone", 0 < judged < 1500, result.stdout)
    running = [subprocess.Popen([TIDE, "policy", "rollout", ("easy", "own")[n % 2], *local.words, "--why", f"race {n}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for n in range(6)]
    ends = [(p.communicate(timeout=60), p.returncode) for p in running]
    won = sum(code == 0 for _, code in ends)
    written = len([name for name in os.listdir(f"{TMP}/registry/cells/eu/rollouts") if name.isdigit()])
    case("of people who roll out at once each either writes the next one or is told why not", 1 <= won and written == 4 + won
         and all(code == 0 or "somebody else" in out[1] or "in force already" in out[1] for out, code in ends), f"{won} {written} {ends}")
    mistaken = write("mistaken.yaml", policy("strict").replace("card.attempts_1h > 1000", "card.attempts_1x > 1000"))
    line = next(n for n, text in enumerate(open(mistaken, encoding="utf-8"), 1) if "attempts_1x" in text)
    result = tide("policy", "check", mistaken, "--features", SHIPPED, code=None)
    case("a mistake in a policy is told at its line", result.returncode == 3 and f"mistaken.yaml:{line}:" in result.stderr, result.stderr)
    tests = "tests:\n  - {name: quiet, events: [{at: 0s}], expect: {decision: %s}}\n"
    for decision, code in (("approve", 0), ("decline", 1)):
        checked = write("tested.yaml", policy("strict") + tests % decision)
        result = tide("policy", "check", checked, "--features", SHIPPED, code=None)
        case(f"its own tests run: {decision}", result.returncode == code, f"{result.returncode} {result.stdout} {result.stderr}")
    result = local.run("policy", "diff", "easy", "harsh", code=1, why=False)
    case("the difference of two policies", "-     - EASY: decline" in result.stdout and "+     - MILD: decline" in result.stdout, result.stdout)
    case("the engine ends, and its card with it or soon after", engine.stop() == 0)
finally:
    if load:
        load.stop()
    if server:
        server.stop()
    cluster.stop()
done()
