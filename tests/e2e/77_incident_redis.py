"""The incident on the journal's side, with real servers: replicas that stand still, a primary that is gone, an engine that was stopped and goes on, a clock that is stepped. Each
time: what is refused says why, nothing is scored that could not be established or is older than its budget, and it recovers by itself; with numbers. TIDE_STOPPED_S: for how long
the engine is stopped (6; 30 is the form in which operators know it). Prints TAP.
"""

import http.client
import json
import os
import struct
import subprocess
import sys
import time
from datetime import datetime

sys.path.insert(0, "tests/support")
from asking import Asking, ask, causes, event_s, refused, say, scored  # noqa: E402
from chaos_cluster import TIDE, Cluster, init, redis_engine  # noqa: E402
from chaos_load import FEATURES  # noqa: E402
from processes import wait_for, write  # noqa: E402
from tap import TMP, case, done  # noqa: E402

BUDGET_S, STOPPED_S, SKEW_MS = 2, float(os.environ.get("TIDE_STOPPED_S", "6")), 500
CLOCK = os.path.join(TMP, "clock_shift.so")
subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", CLOCK, "tests/preload/clock_shift.c", "-ldl"], check=True)


def clock_of(engine):
    return os.path.join(engine.dir, "clock")


def set_clock(engine, offset_ms):
    with open(clock_of(engine), "r+b" if os.path.exists(clock_of(engine)) else "wb") as file:
        file.write(struct.pack("<q", offset_ms))


def shifted_engine(engine):
    """An engine whose wall clock this test sets; a sanitizer's library must not mind that it comes second."""
    set_clock(engine, 0)
    return ["env", f"LD_PRELOAD={CLOCK}", f"TIDE_CLOCK={clock_of(engine)}", "ASAN_OPTIONS=verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", ""),
            *redis_engine(engine), "--set", "http.max_deadline=120s"]


def message(txn, card):
    return {"id": txn, "card": card, "merchant": "m", "amount": "1.00", "currency": "EUR"}


def start_asking(engine, name, **more):
    return Asking((engine.place.reach, engine.port), name, lambda txn: message(txn, name), **more)


def is_told(answer):
    return answer.get("status") == "scored" or answer.get("duplicate")


def in_flight(engine):
    """Requests in entries that the journal has been given and has not confirmed."""
    status, text = engine.readiness("/healthz")
    return json.loads(text)["in_flight"] if status else 0


def counted_once(engine, asking):
    """Every transaction sent again until it is acknowledged: then the card has as many attempts as there were transactions, whatever was said at first."""
    client = http.client.HTTPConnection(engine.place.reach, engine.port, timeout=30)
    for txn in asking.ids:
        wait_for(f"{txn} is acknowledged", lambda txn=txn: is_told(ask(client, message(txn, asking.name))), 30)
    client.request("POST", "/v1/features", json.dumps({"card": asking.name}), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
    count = json.loads(client.getresponse().read())["features"]["card.attempts_24h"]
    client.close()
    return "" if count == len(asking.ids) else f"{count} attempts of {len(asking.ids)} transactions"


def commits(engine, until_s, of):
    """Commit times, in seconds, of the entries of one engine in the log as another has copied it, which holds all that was written until then."""
    entries = []

    def copied():
        shown = subprocess.run([TIDE, "inspect", os.path.join(engine.dir, "journal", "mirror")], capture_output=True, text=True, timeout=60, check=False).stdout
        entries[:] = [(entry["engine"], datetime.fromisoformat(entry["commit"].replace("Z", "+00:00")).timestamp()) for entry in map(json.loads, shown.splitlines())]
        return any(number == int(engine.name[-1]) and commit_s >= until_s for number, commit_s in entries)

    wait_for("the other engine has copied the log", copied, 20)
    return [commit_s for number, commit_s in entries if number == int(of.name[-1])]


cluster = Cluster(os.path.join(TMP, "cell"), shifted_engine, engines=2, down_after_ms=1500, failover_timeout_ms=3000)
write(os.path.join(cluster.dir, "features.yaml"), FEATURES.replace("budget: 1h", f"budget: {BUDGET_S}s").replace("> 20", "> 1000000"))
codes = []
try:
    cluster.start(init)
    one, two = cluster.engines

    # --- the replicas stand still
    asking = start_asking(one, "replicas")
    time.sleep(0.5)
    for node in cluster.replicas():
        cluster.pause(node)
    began = time.time()
    asking.first(refused, began)
    time.sleep(3)
    resumed = time.time()
    for node in list(cluster.paused):
        cluster.resume(node)
    back = asking.first(scored, resumed)
    time.sleep(0.5)
    told = asking.stop()
    during = [t for t in told if t.sent > began and t.got < resumed]
    case("replicas stand still: the first request is refused", during and refused(during[0]), during[:1])
    case("and all others: none is scored without a quorum", not any(map(scored, during)), next(filter(scored, during), ""))
    case("each with a cause that says so", set(causes(during)) <= {"quorum", "deadline", "unavailable"}, causes(during))
    case("what may be in the log is not called uncounted", all(t.answer["counted"] == "maybe" for t in during if t.answer["cause"] == "quorum"), causes(during))
    case("it recovers by itself", back - resumed < 5, back - resumed)
    say("replicas paused", during, recovered=back - resumed)
    wrong = counted_once(one, asking)
    case("and each transaction counts once", not wrong, wrong)

    # --- the primary is gone
    asking = start_asking(one, "primary")
    time.sleep(0.5)
    old = cluster.group.wait_primary()
    began = time.time()
    old.kill()
    wait_for("the sentinels name another one", lambda: cluster.group.primary() if cluster.group.primary() is not old else None, 30)
    named = time.time()
    time.sleep(1)
    repair = time.time()
    cluster.repair()  # an operator starts what died as a replica, and sees to it that all follow
    repaired = time.time()
    back = asking.first(scored, repaired)
    time.sleep(0.5)
    told = asking.stop()
    during = [t for t in told if t.sent > began and t.got < repair]
    case("the primary is gone: the first request is refused", during and refused(during[0]), during[:1])
    case("none is scored until all replicas are there again", not any(map(scored, during)), next(filter(scored, during), ""))
    case("each with a cause", set(causes(during)) <= {"quorum", "deadline", "unavailable"}, causes(during))
    case("it recovers by itself at the new primary", back - repaired < 10, back - repaired)
    say("primary killed", during, failover=named - began, repair=repaired - repair, recovered=back - repaired)
    wrong = counted_once(two, asking)
    case("and each transaction counts once", not wrong, wrong)
    wait_for("both engines are ready", lambda: one.ready() and two.ready(), 30)

    # --- the engine is stopped while it waits for an acknowledgement, and goes on
    asking = start_asking(one, "stopped", clients=12, timeout_ms=90000, pause_s=0.005)
    time.sleep(0.5)
    primary = cluster.group.wait_primary()
    cluster.pause(primary)
    wait_for("something is on its way", lambda: in_flight(one) > 0, 20)
    time.sleep(0.1)  # from the engine's books to its socket
    one.pause()
    stopped = time.time()
    cluster.resume(primary)
    time.sleep(STOPPED_S)
    resumed = time.time()
    one.resume()
    back = asking.first(scored, resumed)
    time.sleep(0.5)
    told = asking.stop()
    across = [t for t in told if t.sent < stopped and t.got > resumed]
    old_scores = [t for t in told if scored(t) and t.got - event_s(t.answer) > BUDGET_S + 1]  # its way back to a client that was not waked up at once
    late = [t for t in across if t.answer.get("cause") == "stale"]
    case("the engine is stopped and goes on: requests were on their way", len(across) >= 6, len(across))
    case("nothing is scored that is older than its budget", not old_scores, old_scores[:1])
    case("what was acknowledged and too old is refused as stale, and counted", late and all(t.answer["counted"] is True for t in late), across[:1])
    case("and says how old", all("the decision took" in t.answer["detail"] for t in late), late[:1])
    case("it goes on by itself", back - resumed < 5, back - resumed)
    say(f"engine stopped for {STOPPED_S:g} s", across, recovered=back - resumed)
    with open(one.log, encoding="utf-8") as file:
        logged = sum("event=answer_late" in line for line in file)
    case("the log names the positions of what was not told", logged == len(late), (logged, len(late)))
    connection = http.client.HTTPConnection(two.place.reach, two.port, timeout=30)
    if late:
        again = ask(connection, message(late[0].id, "stopped"))
        case("the journal's decision stands: a retry gets it anywhere", again["status"] == "scored" and again["duplicate"] and
             again["first_position"] == late[0].answer["position"], again)
    wrong = counted_once(one, asking)
    case("and each transaction counts once", not wrong, wrong)

    # --- the clock
    for step in (3000, -3000):
        asking, other = start_asking(one, f"clock{step}"), start_asking(two, f"other{step}", timeout_ms=5000)
        time.sleep(0.5)
        set_clock(one, step)
        began = time.time()
        asking.first(refused, began)
        time.sleep(1)
        where = one.readiness()[1]
        resumed = time.time()
        written = [commit_s for commit_s in commits(two, resumed, one) if commit_s > began + 0.05]
        set_clock(one, 0)
        set_right = time.time()
        back = asking.first(scored, set_right)
        time.sleep(0.3)
        told, beside = asking.stop(), other.stop()
        during = [t for t in told if t.sent > began + 0.05 and t.got < resumed]
        case(f"the clock is {step} ms off: nothing is scored", during and not any(map(scored, during)), next(filter(scored, during), len(during)))
        case("and nothing is written that it has stamped", not written, (began, written))
        case("it says why", "clock" in where, where)
        with open(one.log, encoding="utf-8") as file:
            stepped = [line for line in file if "event=clock_stepped" in line]
        case("the log names the step", len(stepped) == 1 + (step < 0) and abs(int(stepped[-1].split("ms=")[1].split()[0]) - step) < 50, stepped)
        case("the other engine goes on", all(map(scored, beside)), causes(beside))
        case("set right, it goes on by itself", back - set_right < 5, back - set_right)
        say(f"clock stepped by {step} ms", during, refused=min(t.got for t in told if t.sent > began and refused(t)) - began, recovered=back - set_right)
        wrong = counted_once(two, asking)
        case("and each transaction counts once", not wrong, wrong)
    for turn, step in enumerate((SKEW_MS - 200, 0, 200 - SKEW_MS, 0)):
        asking = start_asking(one, f"little{turn}", timeout_ms=5000)
        time.sleep(0.2)
        set_clock(one, step)
        time.sleep(0.5)
        told = asking.stop()
        case(f"{step} ms are within what is allowed", all(map(scored, told)), causes(told))
        wrong = counted_once(two, asking)  # whose own clock may be behind what was stamped last
        case("and what was stamped ahead is counted when asked about now", not wrong, wrong)
    connection.close()
finally:
    codes = cluster.stop()
case("they stop cleanly", codes == [0, 0], codes)
done()
