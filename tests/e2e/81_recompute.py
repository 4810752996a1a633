"""`stale: recompute` beside `stale: fallback`, live: two cells read one topic of a real broker, with a budget that the facts of a quiet log are within only part of the time. What the one
refuses the other judges again when fresher facts are there; when the source is gone for good, both refuse, each within its deadline. The journal has one decision of each, that of the
answer. Prints TAP.
"""

import json
import os
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import FEATURES, Broker, Engine, auth, config, features, need_broker, now_ms  # noqa: E402
from http_server import tide  # noqa: E402
from processes import wait_for  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
ASKED = 50
broker, engines = Broker(), []
broker.start()


def metric(one, name):
    for line in one.ask("GET", "/metrics", port=one.admin)[1].splitlines():
        if line.startswith(f"tidemark_{name} "):
            return float(line.split()[1])
    return None


def ask_all(one, name, count):
    """(answers, seconds each took)"""
    found = []
    for n in range(count):
        began = time.monotonic()
        status, text = one.ask("POST", "/v1/score", {**auth(f"{name}{n}", n % 7, now_ms()), "options": {}})
        found.append((json.loads(text), time.monotonic() - began))
        time.sleep(0.037)  # drifts through the period of the facts
    return found


try:
    broker.topics(auths=1)
    for policy in ("fallback", "recompute"):
        path = os.path.join(TMP, policy)
        broker.topics(**{f"{policy}_scores": 1, f"{policy}_dead": 1})
        words = ["--config", config(f"{path}.yaml", broker, {"auths": {"topic": "auths", "key": "card", "silence": "1h"}}, f"{policy}_scores", f"{policy}_dead",
                                    fold={"out_of_orderness": "500ms"}, engine={"heartbeat": "500ms"}),
                 "--features", features(f"{path}.features", "620ms", "620ms", FEATURES.replace("stale: fallback", f"stale: {policy}")), "--journal", f"file:{path}.journal"]
        engines.append(Engine(policy, *words).launch())
    plain, again = engines
    wait_for("both know how fresh a card's features are", lambda: all(metric(one, 'freshness_age_seconds{entity="card"}') is not None for one in engines), 60)
    told = {one.name: ask_all(one, one.name, ASKED) for one in engines}
    refused = {name: sum(answer["status"] == "refused" for answer, _ in found) for name, found in told.items()}
    judged = [answer for answer, _ in told["fallback"] if answer["freshness"]]  # what is refused at release, a millisecond later, says so in words alone
    ages = sorted(answer["freshness"]["card"]["age_ms"] for answer in judged)
    print(f"# ages at the journal's end: {ages[0]}..{ages[len(ages) // 2]}..{ages[-1]} ms", flush=True)
    slow = max(took for _, took in told["recompute"])
    print(f"# refused of {ASKED}: fallback {refused['fallback']}, recompute {refused['recompute']}; the slowest judged again took {slow * 1000:.0f} ms", flush=True)
    case("with fallback some are refused as stale", refused["fallback"] >= ASKED // 10 and all(a["cause"] == "stale" for a, _ in told["fallback"] if a["status"] == "refused"), refused)
    case("judged again they are scored", refused["recompute"] * 5 <= refused["fallback"], refused)
    waited, fresh = metric(again, "engine_recomputed_total"), metric(again, "engine_recomputed_fresh_total")
    case("and the metrics say how many waited, and that it helped", waited and fresh and fresh >= waited * 0.8, (waited, fresh))
    case("nobody waits where it is not asked for", metric(plain, "engine_recomputed_total") == 0)
    case("all are counted once", all(a["counted"] is True and not a["duplicate"] for found in told.values() for a, _ in found))

    # --- and the document that an operator reads says the same
    hour = json.loads(tide("features", "budget", os.path.join(TMP, "fallback.features"), "--engine", f"127.0.0.1:{plain.admin}", "--json"))
    card = next(group["last_hour"] for group in hour["groups"] if group["entity"] == "card")
    case("the budget's last hour has the refusals by cause", hour["answers"]["causes"] == {"stale": refused["fallback"]} and hour["answers"]["scored"] == ASKED - refused["fallback"],
         hour["answers"])
    worst = card["age_ms"]["max"]  # unknown where the first look was before the first fact
    case("and the ages, around the budget", 450 <= card["age_ms"]["p50"] <= 900 and (worst is None or worst >= card["age_ms"]["p50"]) and 0 < card["beyond"] <= hour["looks"], card)
    late = sum(answer["status"] == "refused" for answer in judged)  # the others were within the budget when they were judged, and their values fresh
    case("and the stale values", card["values"]["stale"] > 0 and late > 0 and card["values"]["stale"] % late == 0, (card["values"], late))

    # --- the broker is gone: nothing will be fresh
    broker.kill()
    time.sleep(2)
    found = ask_all(again, "gone", 3)
    case("without its source it refuses as stale", all(a["status"] == "refused" and a["cause"] == "stale" for a, _ in found), found[:1])
    case("after a second at the most, its deadline being further away", all(0.5 < took < 2.5 for _, took in found), [took for _, took in found])
    codes = [one.stop() for one in engines]
    case("they stop cleanly", codes == [0, 0], codes)
    audit = tide("audit", "--journal", f"file:{TMP}/recompute.journal", code=None)
    case("an audit of the journal needs nothing else", audit.returncode == 0, audit.stdout[-200:] + audit.stderr[-200:])
    told_last = told["recompute"][-1][0]
    explained = tide("explain", told_last["id"], "--journal", f"file:{TMP}/recompute.journal", "--dev-key", code=None)
    case("and explains the decision that was told", explained.returncode == 0 and told_last["decision"] in explained.stdout, explained.stderr[-300:])
finally:
    for one in engines:
        if one.alive():
            one.process.stop()
    broker.stop()
done()
