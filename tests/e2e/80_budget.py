"""`tidemark features budget` beside a running engine: what it promises is what the engine does, and the last hour is what the engine has just seen. Prints TAP."""

import json
import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from http_server import JSON, SHIPPED, TIDE, Server, TMP, auth, case, done, tide  # noqa: E402
from processes import wait_for  # noqa: E402


def budget(*words, file=SHIPPED):
    result = subprocess.run([TIDE, "features", "budget", file, *words], capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


code, out, err = budget()
case("the document of the shipped file", code == 0 and all(f"\n{name}: " in out for name in ("card", "merchant", "ip")), (code, err))
case("names budgets, levels and what is done", "10s behind an event, level quorum" in out and "mark: its values are used" in out)
code, out, err = budget("--json")
value = json.loads(out)
card = next(g for g in value["groups"] if g["entity"] == "card")
case("as JSON", code == 0 and card["budget_ms"] == 10000 and card["consistency"] == "quorum" and card["stale"] == "fallback", card)
case("without the card's values nothing is approved but by lists", card["nothing_else"] == {"decision": "decline", "by": "fallback.else", "cause": "stale", "unanswered": "V01"},
     card["nothing_else"])
code, out, err = budget("--model", "config/defaults/model.json", "--json")
known = {g["entity"]: {r["code"]: r["without"] for r in g["rules"]} for g in json.loads(out)["groups"]}
case("with the model it is known what the score reads", known["card"]["M01"] == "unanswered" and "decides" in (rules["M01"] for rules in known.values()),
     {name: rules["M01"] for name, rules in known.items()})

server = Server()
for n in range(20):
    server.ask("POST", "/v1/score", auth(n))
address = f"127.0.0.1:{server.admin}"
wait_for("it has looked twice, and counted all", lambda: (lambda hour: hour["looks"] >= 2 and hour["answers"]["scored"] + hour["answers"]["refused"] >= 20)(
    json.loads(server.ask("GET", "/budget", admin=True)[2])), 20, 0.1)
code, out, err = budget("--engine", address, "--json")
value = json.loads(out)
hour = next(g for g in value["groups"] if g["entity"] == "card")["last_hour"]
case("an engine's hour", code == 0 and value["looks"] >= 2 and hour["age_ms"]["max"] == 0 and hour["beyond"] == 0, (code, err, hour))
answers = value["answers"]
case("has its answers", answers["scored"] + answers["refused"] == 20 and answers["late"] == 0, answers)
case("and the values that decisions read", sum(hour["values"].values()) >= 20 * 50, hour["values"])
code, out, err = budget("--engine", address)
case("as text", code == 0 and "last hour     age now 0.0 s, p50 0.0 s" in out and "beyond the budget 0.0 % of the time" in out and "\nEngine " in out, out[-300:])
other = os.path.join(TMP, "other.yaml")
with open(SHIPPED, encoding="utf-8") as file, open(other, "w", encoding="utf-8") as to:
    to.write(file.read() + "# another one\n")
code, out, err = budget("--engine", address, file=other)
case("an engine of another file is not taken for this one's", code == 1 and out == "" and "runs the feature file" in err, (code, err))
code, out, err = budget("--engine", "127.0.0.1:1")
case("nobody there", code == 4 and "127.0.0.1:1" in err, (code, err))
status, _, text = server.ask("GET", "/budget", admin=True)
case("/budget names no card", status == 200 and "4000" not in text.replace("\"p50\"", ""), text[:200])
case("it stops cleanly", server.stop() == 0)
done()
