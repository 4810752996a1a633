"""Three engines under load on one Redis trio while models and a policy are rolled out, a canary's weight is changed, and all is taken back: every recorded answer against the journal.

Two engines hear of the registry, the third is cut off from it: its registry is a port where nobody listens. The journal says at which position each rollout took effect; from
there on no answer may be by a version that is not in force, whatever engine gave it, and no card may change its model within one rollout. Prints TAP, and the times of the switches.
"""

import bisect
import collections
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, "tests/support")
from http_server import JSON, Document, tide  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from redis_cell import Cell, audit  # noqa: E402
from tap import TMP, case, done  # noqa: E402

FEATURES = """tidemark: 1
name: cell
event: {id: id, time: time, amount: amount in EUR}
inputs:
  default:
    id: /id
    kind: {at: /kind, default: auth}
    time: {at: /time, as: epoch_ms, optional: true}
    amount: {at: /amount, currency: /currency}
    card: {at: /card, optional: true}
    label: {at: /label, optional: true}
entities: {card: card}
features:
  card: {attempts: count over 24h with current, total: sum of amount over 24h with current}
freshness:
  default: {budget: 1h, stale: fallback, warming: mark, consistency: quorum}
policy:
  decisions: [approve, decline]
  rules:
    - M1: decline when score >= 0.5
    - R1: decline when card.attempts_24h > 100000
    - else: approve
  fallback: [{else: decline}]
"""
STRICT = """policy:
  decisions: [approve, decline]
  rules:
    - S1: decline when amount > 70
    - M1: decline when score >= 0.5
    - else: approve
  fallback: [{else: decline}]
"""
CARDS, ENOUGH = 60, 60
SHIFTS = ["--max-decision-shift", "100", "--max-score-shift", "100"]


def at(name):
    return os.path.join(TMP, name)


def write(name, text):
    with open(at(name), "w", encoding="utf-8") as file:
        file.write(text)
    return at(name)


def make_log():
    rng, when, lines = random.Random(5), 1700000000000, []
    for n in range(3000):
        when += rng.randrange(1, 60000)
        amount = rng.randrange(1, 100)
        fraud = rng.random() < (0.6 if amount > 60 else 0.1)
        lines.append(json.dumps({"id": f"h{n}", "time": when, "amount": f"{amount}.00", "currency": "EUR", "card": f"c{rng.randrange(40)}",
                                 "label": "fraud" if fraud else "genuine"}))
    return write("log.jsonl", "\n".join(lines) + "\n")


class Load:
    """Clients that ask the engines in turn and write down every answer."""

    def __init__(self, servers, clients=4):
        self.servers, self.answers, self.trouble, self.stopping = servers, [], [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, client):
        rng, sent = random.Random(client), 0
        connections = [server.connect() for server in self.servers]
        while not self.stopping.is_set():
            engine, card = sent % len(connections), rng.randrange(CARDS)
            body = {"id": f"{client}-{sent}", "amount": f"{rng.randrange(1, 100)}.00", "currency": "EUR", "options": {"explain": "full"}}
            if card:  # card 0: a message without one
                body["card"] = f"c{card}"
            sent += 1
            try:
                connections[engine].request("POST", "/v1/score", json.dumps(body), {**JSON, "Tidemark-Timeout-Ms": "5000"})
                response = connections[engine].getresponse()
                self.answers.append((engine, card, body, json.loads(response.read())))
                if response.status != 200:
                    self.trouble.append(response.status)
            except OSError as error:
                self.trouble.append(error)
                return
            time.sleep(0.002)

    def count(self, engine, begin):
        """Answers of one engine since there were `begin` of all."""
        return sum(one[0] == engine for one in self.answers[begin:])

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def place(text):
    epoch, rest = text.split("-")
    seq, _, index = rest.partition(".")
    return int(epoch), int(seq), int(index or 0)


log = make_log()
write("inputs", "amount\ncard.attempts_24h\n")
write("strict.yaml", STRICT)
REGISTRY = ["--registry", f"dir:{at('registry')}", "--cell", "default", "--who", "anna"]
cell = Cell("cell", replicas=2)
with open(cell.features, "w", encoding="utf-8") as file:
    file.write(FEATURES)
for name, l2 in (("alpha", "1"), ("beta", "3000")):
    tide("train", "--features", cell.features, "--input", log, "--inputs", at("inputs"), "--output", at(f"{name}.json"), "--name", name, "--l2", l2,
         "--label-delay", "0s", "--log-level", "error")


def registry(*words):
    return tide(*words, *REGISTRY, "--log-level", "error")


registry("features", "push", cell.features, "--why", "the file of the engines")
registry("features", "validate", "cell", "--log", log, "--why", "first", *SHIFTS)
registry("model", "push", at("alpha.json"), "--name", "alpha", "--why", "first")
registry("model", "push", at("beta.json"), "--name", "beta", "--why", "second")
registry("policy", "push", at("strict.yaml"), "--name", "strict", "--why", "large amounts")

taken = tide("model", "push", at("beta.json"), "--name", "gamma", "--why", "x", "--registry", f"dir:{at('registry')}", "--who", "model.file", code=None)
case("nobody acts under the name of a model file", taken.returncode == 2 and "model.file" in taken.stderr, taken.stderr)
cell.verb("init")
near = ["--set", f"registry.url=dir:{at('registry')}"]
far = ["--set", f"registry.url=etcd://127.0.0.1:{free_port()}", "--set", "registry.timeout=200ms"]
servers = [cell.engine(1, *near), cell.engine(2, *near), cell.engine(3, *far)]
load = None
switches = {}
try:
    registry("features", "rollout", "cell", "--why", "what runs")
    for name in ("alpha", "beta"):
        registry("model", "validate", name, "--log", log, "--why", "shown", *SHIFTS)
    registry("policy", "validate", "strict", "--log", log, "--why", "shown", *SHIFTS)
    load = Load(servers)

    def in_force(server):
        return cell.healthz(server).get("rollout", {}).get("number", 0)

    def switch(number, *words):
        """Rolls out, and waits until every engine says so; when each did, from the moment the verb had ended."""
        registry(*words)
        begun, seen = time.monotonic(), {}

        def watch(n):
            wait_for(f"engine {n + 1} to switch to {number}", lambda: in_force(servers[n]) >= number, 30, 0.002)
            seen[n] = time.monotonic() - begun

        threads = [threading.Thread(target=watch, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        switches[number] = seen
        # Each answers under it, and so often that most cards are asked.
        wait_for(f"answers under rollout {number}", lambda begin=len(load.answers): all(load.count(n, begin) >= ENOUGH for n in range(3)), 30)
        return len(seen) == 3

    wait_for("the third engine finds its registry lost", lambda: "registry_lost" in servers[2].log(), 20)
    wait_for("the first one finds its own", lambda: "registry_found" in servers[0].log(), 20)
    case("the third engine is cut off", "registry_found" not in servers[2].log(), servers[2].log()[-300:])
    switched = [switch(2, "model", "rollout", "alpha", "--why", "the first model"),
                switch(3, "model", "rollout", "beta", "--canary", "3000", "--why", "a canary"),
                switch(4, "model", "rollout", "beta", "--canary", "6000", "--why", "more of it"),
                switch(5, "policy", "rollout", "strict", "--why", "large amounts")]
    # One with a card, without which nobody knows a retry.
    old = next(answer for answer in reversed(load.answers) if answer[1] and answer[3]["provenance"]["policy"].startswith("p-5/strict@") and answer[3]["by"] == "S1")
    switched.append(switch(6, "policy", "rollback", "--why", "too strict"))
    switched.append(switch(7, "model", "promote", "beta", "--why", "it is better"))
    switched.append(switch(8, "policy", "rollout", "strict", "--shadow", "--why", "what would it do"))
    switched.append(switch(9, "model", "rollout", "alpha", "--shadow", "--why", "and that one"))
    case("every engine has switched to every rollout", all(switched), switches)
    again = servers[2].post("/v1/score", {**old[2]})[1]
    case("a retry is answered by the policy of then", again["duplicate"] and again["by"] == "S1" and again["provenance"]["policy"] == old[3]["provenance"]["policy"], again)
    load.stop()
    case("nobody was left without an answer", not load.trouble, load.trouble[:3])

    # ---- what the journal says
    wait_for("the mirror of the first engine", lambda: cell.healthz(servers[0])["folded"] == cell.healthz(servers[1])["folded"], 20)
    def mirrored():
        found = []
        for line in tide("inspect", cell.mirror(1), "--records").splitlines():
            record = json.loads(line)
            if record.get("type") == "rollout" and (not found or record["number"] > found[-1]["number"]):
                found.append({**record, "at": place(record["position"])})
        return found
    # It is written a little behind the fold.
    wait_for("the last rollout in the mirror", lambda: [r["number"] for r in mirrored()][-1:] == [9], 30)
    rollouts = mirrored()
    case("the journal has each rollout, in their order", [r["number"] for r in rollouts] == list(range(1, 10)), [r["number"] for r in rollouts])
    places = [r["at"] for r in rollouts]

    def at_position(answer):
        return rollouts[bisect.bisect_right(places, place(answer["position"])) - 1]

    answers = [(engine, card, answer, at_position(answer)) for engine, card, _, answer in load.answers if place(answer["position"]) > places[0]]
    wrong_model, wrong_policy, models = [], [], collections.defaultdict(set)
    for engine, card, answer, rollout in answers:
        allowed = {m["hash"][:8] for m in rollout["models"] if m["role"] in ("live", "canary") and m["weight"]}
        model = answer["provenance"]["model"]
        if (model is None) != (not allowed) or (model and model.split("@")[1] not in allowed):
            wrong_model.append((engine, answer, rollout))
        policy = answer["provenance"]["policy"]
        if not (policy.startswith("p-5/strict@") and policy.endswith(rollout["policy"][:8]) if rollout["policy"] else policy.startswith("cell@")):
            wrong_policy.append((engine, answer, rollout))
        models[rollout["number"], card].add(model)
    case("no answer by a model that was not in force at its position", not wrong_model, wrong_model[:1])
    case("nor by another policy", not wrong_policy, wrong_policy[:1])
    case("no card has two models under one rollout, whatever engine is asked", all(len(found) == 1 for found in models.values()),
         [item for item in models.items() if len(item[1]) > 1][:3])
    by_engine = collections.Counter((engine, rollout["number"]) for engine, _, _, rollout in answers)
    case("each engine has answered under each of them", all(by_engine[e, n] > 20 for e in range(3) for n in range(2, 10)), by_engine)

    def cards(number, name):
        return {card for (n, card), found in models.items() if n == number and any(m and m.startswith(name) for m in found)}
    def asked(number):
        return {card for n, card in models if n == number}
    third, more = cards(3, "beta"), cards(4, "beta")  # where a busy machine asked some cards under one of them only, those say nothing
    case("a canary that grows keeps its cards", third & asked(4) <= more and more - third and 0 not in more, (sorted(third), sorted(more)))
    case("and has about its share", 0.1 < len(third) / len(asked(3)) < 0.5 and 0.4 < len(more) / len(asked(4)) < 0.8, (len(third), len(more)))
    case("a rollback brings the same routing back", all((cards(n, "beta") ^ more) & asked(n) & asked(4) == set() for n in (5, 6)) and cards(7, "beta") == asked(7),
         sorted(cards(6, "beta") ^ more))
    declined = [a for _, _, a, r in answers if r["number"] == 5 and a["by"] == "S1"]
    case("the policy has decided while it was in force, and not before or after", declined and not [a for _, _, a, r in answers if r["number"] != 5 and a["by"] == "S1"],
         len(declined))
    told = tide("explain", old[2]["id"], "--journal", f"file:{cell.mirror(1)}", "--position", old[3]["position"])
    case("explain says by which version", f"policy {old[3]['provenance']['policy']}, by rollout 5 of anna" in told and old[3]["provenance"]["model"] in told, told[:600])
    shadowed = [a for _, _, a, r in answers if r["number"] == 9]
    case("shadows speak and decide nothing", all([s["model"].split("@")[0] for s in a["shadow"]] == ["alpha"] and a["provenance"]["model"].startswith("beta@")
                                                 and (a["shadow_policy"]["decision"] != a["decision"]) == a["shadow_policy"]["differs"] for a in shadowed), shadowed[:1])
    case("where the policies differ is counted", servers[1].metric("tidemark_shadow_decisions_other_total") >= sum(a["shadow_policy"]["differs"] for a in shadowed) > 0)
    with open("engine/http/openapi.yaml", encoding="utf-8") as file:
        document = Document(file.read())
    wrong = [w for _, _, a, _ in answers[::7] + answers[-20:] if (w := document.check_value({"$ref": "#/components/schemas/Answer"}, a))]
    wrong += [w for s in servers if (w := document.check_value({"$ref": "#/components/schemas/Probe"}, cell.healthz(s)))]
    case("answers and /healthz are as the document has them", not wrong, wrong[:1])
    case("no engine has decided otherwise than another", all(cell.healthz(s)["state"] == "open" and not s.metric("tidemark_journal_diverged_total") for s in servers))
    case("the engines say how often", servers[2].metric("tidemark_rollouts_total") >= 9 and servers[2].metric("tidemark_rollout_number") == 9)
    extra = cell.engine(4, *near, "--model", at("alpha.json"))
    wait_for("the log to say so", lambda: "event=model_file_ignored rollout=9" in extra.log(), 20)
    case("a model file does not undo what was rolled out", cell.healthz(extra)["provenance"]["model"].startswith("beta@"), cell.healthz(extra)["provenance"])
    case("and the engine stops like the others", extra.stop() == 0)
    for number, seen in switches.items():
        last, first = max(seen.values()), min(seen.values())
        print(f"# rollout {number}: in force {1000 * first:.0f} ms after the verb had ended, on the last engine {1000 * (last - first):.0f} ms later")
    print(f"# {len(answers)} answers under 9 rollouts")
finally:
    if load:
        load.stop()
    codes = [server.stop() for server in servers]
    cell.stop()
case("they stop cleanly", codes == [0, 0, 0], codes)
proof = audit(cell.mirror(1))
case("the journal audits: the same answers once more, without a registry", proof["same"] is True and proof["decisions"] >= len(answers), (proof, len(answers)))
mirror, receipts = ("--journal", f"file:{cell.mirror(1)}"), []
for number in (3, 5, 9):
    answer = next(a for _, _, a, r in answers if r["number"] == number)
    tide("explain", answer["id"], *mirror, "--position", answer["position"], "--receipt", at(f"{number}.json"))
    with open(at(f"{number}.json"), encoding="utf-8") as file:
        receipt = json.load(file)
    policy = receipt["policy"]["name"] if receipt["policy"] else None
    receipts.append((receipt["rollout"], receipt["model"]["name"] == answer["provenance"]["model"], policy == (answer["provenance"]["policy"] if number == 5 else None)))
    tide("verify", at(f"{number}.json"), *mirror, "--whole", code=0)
case("receipts name the versions of then, and are proven", receipts == [(n, True, True) for n in (3, 5, 9)], receipts)
seen = json.loads(tide("drift", *mirror, "--json"))["models"]
case("drift knows who is live and who is a shadow", [(m["model"].split("@")[0], m["shadow"]) for m in seen] == [("beta", False), ("alpha", True)], [m["model"] for m in seen])
said = json.loads(tide("drift", *mirror, "--feedback", "--json"))
case("and counts what labels would say of both", {m["model"].split("@")[0] for m in said["models"]} == {"alpha", "beta"} and {r["rule"] for r in said["rules"]} >= {"M1", "R1"},
     said["rules"])
done()
