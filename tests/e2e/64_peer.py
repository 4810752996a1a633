"""An engine that begins where the journal was trimmed: it takes a snapshot from a peer or a shared directory, and then says exactly what the others say. Prints TAP."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, "tests/support")
from processes import free_port, wait_for  # noqa: E402
from redis_cell import Cell, audit  # noqa: E402
from certificates import Authority  # noqa: E402
from http_server import tide  # noqa: E402
from tap import case, done  # noqa: E402

CARDS = [f"c{n}" for n in range(50)]
cell = Cell("peer")
ports = [free_port() for _ in range(3)]
PEERS = ["--set", "snapshot.peers=" + ",".join(f"127.0.0.1:{port}" for port in ports)]
SNAP = ["--set", "snapshot.every=300ms", "--set", "journal.keep=3s"]  # starting must take less
running = []
# Who is refused asks again and again for ten seconds before: meanwhile the test goes on.
pool = ThreadPoolExecutor(8)


def later(number, *words):
    return pool.submit(cell.refuses, number, *words)


def engine(number, *words, admin="127.0.0.1:0"):
    running.append(cell.engine(number, *SNAP, *words, admin=admin))
    return running[-1]


def first_entry():
    return cell.primary.ask("XRANGE", "tidemark:{default}:journal", "-", "+", "COUNT", 1)[0][0].decode()


def last_entry():
    return tuple(int(n) for n in cell.primary.ask("XREVRANGE", "tidemark:{default}:journal", "+", "-", "COUNT", 1)[0][0].decode().split("-"))


def stands_at(server):
    return tuple(int(n) for n in cell.healthz(server)["folded"].split("-"))


def trim_beyond(position, server):
    """Sends until the journal begins behind the position: snapshots, time and the other engines must have gone on."""
    for _ in range(200):
        cell.send([server], 50)
        if tuple(int(n) for n in first_entry().split("-")) > position:
            return
        time.sleep(0.2)
    raise TimeoutError(f"the journal still begins at {first_entry()}")


try:
    cell.verb("init")
    with ThreadPoolExecutor() as starts:  # side by side: one might trim what the other, without peers, has to begin with
        first = starts.submit(engine, 1, *PEERS, admin=f"127.0.0.1:{ports[0]}")
        two = engine(2, admin=f"127.0.0.1:{ports[1]}")
        one = first.result()
    running.sort(key=lambda server: server is not one)
    status, got, _ = two.ask("GET", "/snapshot", admin=True)
    case("an engine without peers gives its state to nobody", status == 404 and "json" in got["content-type"], status)
    for _ in range(4):
        answers = cell.send([one, two], 500)
        time.sleep(0.7)
    wait_for("the journal is trimmed", lambda: not first_entry().startswith("1-0"), 20)
    case("all were scored", all(a["status"] == "scored" for a in answers))
    print(f"# the journal begins at {first_entry()}")

    alone, away = later(7), later(8, "--set", f"snapshot.peers=127.0.0.1:{free_port()}")
    code, said = cell.refuses(3, "--set", "snapshot.peers=http://x/")
    case("and what a list of peers looks like", code != 0 and "HOST:PORT" in said, said[-400:])

    three = engine(3, *PEERS, admin=f"127.0.0.1:{ports[2]}")
    case("the third takes it from the peer", "event=peer_snapshot from=127.0.0.1:" in three.log(), three.log()[-500:])
    case("the one that gives nothing was passed over", "status 404" in three.log(), three.log()[-500:])
    answers += cell.send([one, two, three], 600)
    position = max((tuple(int(n) for n in a["position"].partition(".")[0].split("-")) for a in answers))
    for server in running:
        wait_for("all have folded it", lambda s=server: stands_at(s) >= position, 10)
    told = [cell.counts(server, CARDS) for server in running]
    case("it says of every card what the others say", told[0] == told[1] == told[2], [a for a in zip(*told) if len({str(x) for x in a}) > 1][:1])
    case("and that is what was sent", all(status == 200 and f["card.attempts_24h"] == 2600 / 50 for status, f in told[2]), told[2][:1])

    four = engine(4, "--set", f"snapshot.shared_dir={cell.engine_dir(1)}/snapshots")
    case("the fourth takes it from the shared directory", f"event=peer_snapshot from={cell.engine_dir(1)}" in four.log(), four.log()[-500:])
    wait_for("it has folded all", lambda: stands_at(four) >= position, 10)
    case("and says the same", cell.counts(four, CARDS) == told[0])

    # A peer of another history: its snapshot is of an entry that this journal does not hold.
    other = Cell("stranger")
    running_other = None
    try:
        other.verb("init")
        port = free_port()
        running_other = other.engine(1, "--set", f"snapshot.peers=127.0.0.1:{port}", "--set", "snapshot.every=200ms", admin=f"127.0.0.1:{port}")
        other.send([running_other], 50)
        snapshots = f"{other.engine_dir(1)}/snapshots"
        wait_for("its snapshot", lambda: os.path.isdir(snapshots) and any(n.startswith("snap-") for n in os.listdir(snapshots)), 10)
        strange = later(9, "--set", f"snapshot.peers=127.0.0.1:{port}")
    except BaseException:
        if running_other:
            running_other.stop()
        other.stop()
        raise

    # With certificates and tokens: a peer gives its state to who has both, and to nobody else.
    home = f"{cell.dir}/tls"
    authority = Authority(home, "cell")
    pair, shown = authority.issue("engine", "serverAuth"), authority.issue("peer", "clientAuth")
    line = tide("tokens", "generate", f"{home}/peer.token", "--name", "peer", "--scopes", "snapshot,monitor")
    with open(f"{home}/tokens", "w", encoding="utf-8") as file:
        file.write(line)
    guarded = free_port()
    five = engine(5, "--set", f"snapshot.shared_dir={cell.engine_dir(1)}/snapshots", "--set", f"snapshot.peers=127.0.0.1:{guarded}", "--set", f"http.admin_tls_cert={pair.cert}", "--set",
                  f"http.admin_tls_key={pair.key}", "--set", f"http.admin_tls_client_ca={authority.cert}", "--set", f"http.tokens_file={home}/tokens", admin=f"127.0.0.1:{guarded}")
    running.remove(five)
    snapshots = f"{cell.engine_dir(5)}/snapshots"
    wait_for("its snapshot", lambda: os.path.isdir(snapshots) and any(n.startswith("snap-") for n in os.listdir(snapshots)), 10)
    ASK = ["--set", f"snapshot.peers=127.0.0.1:{guarded}"]
    CA, TOKEN = ["--set", f"snapshot.peer_ca={authority.cert}"], ["--set", f"snapshot.peer_token_file={home}/peer.token"]
    CERT = ["--set", f"snapshot.peer_cert={shown.cert}", "--set", f"snapshot.peer_key={shown.key}"]
    denied = (("plain HTTP", ASK, "gives no snapshot"), ("no certificate", ASK + CA + TOKEN, "status 403"), ("no token", ASK + CA + CERT, "status 401"),
              ("a token in clear", ASK + TOKEN, "need snapshot.peer_ca"))
    outcomes = [later(20 + n, *ask) for n, (_, ask, _) in enumerate(denied)]
    six = engine(6, *ASK, *CA, *CERT, *TOKEN)
    case("it gives it to who has both", f"event=peer_snapshot from=127.0.0.1:{guarded}" in six.log(), six.log()[-400:])
    code, said = alone.result()
    case("without peers a new engine says what it lacks", code != 0 and "was trimmed" in said and "snapshot.peers" in said, said[-400:])
    code, said = away.result()
    case("with peers that are away, why", code != 0 and "peer_snapshot_passed_over" in said and "was trimmed" in said, said[-400:])
    code, said = strange.result()
    case("the snapshot of another cell is refused", code != 0 and "does not hold the entry" in said or "another entry" in said, said[-400:])
    running_other.stop()
    other.stop()
    for (name, _, why), outcome in zip(denied, outcomes):
        code, said = outcome.result()
        case(f"a peer with certificates and tokens gives nothing to {name}", code != 0 and why in said, said[-400:])
    case("the five and the six stop", five.stop() == 0 and six.stop() == 0)
    running.remove(six)

    codes = [server.stop() for server in reversed(running)]  # the first one last: the others must not trim beyond what it has
    case("all stop cleanly", codes == [0] * 4, codes)
    whole = audit(cell.mirror(1))
    case("the first engine's mirror is whole", whole["same"] and whole["decisions"] == 2600, whole)
    # Away for longer than journal.keep: its own snapshots are behind the trim.
    one = engine(1, *PEERS, admin=f"127.0.0.1:{ports[0]}")
    newest = max(tuple(int(n) for n in name.split("-")[1:]) for name in os.listdir(f"{cell.engine_dir(2)}/snapshots") if name.startswith("snap-"))
    trim_beyond(newest, one)
    two = engine(2, *PEERS, admin=f"127.0.0.1:{ports[1]}")
    case("an engine that was away too long takes one too", "event=peer_snapshot" in two.log(), two.log()[-600:])
    case("its mirror was moved aside, not deleted", any(n.startswith("mirror.until-") for n in os.listdir(cell.engine_dir(2))), os.listdir(cell.engine_dir(2)))
    case("and it says the same", cell.counts(one, CARDS) == cell.counts(two, CARDS))

    # One that stood still while the others trimmed beyond it, with and without its connections: it has lost nothing, but cannot go on from where it is.
    for cut in (False, True):
        two.process.send_signal(signal.SIGSTOP)
        trim_beyond(last_entry(), one)  # of all that it can have
        if cut:
            cell.primary.ask("CLIENT", "KILL", "TYPE", "normal")
        two.process.send_signal(signal.SIGCONT)
        code = two.process.wait(120)
        how = "whose connections were cut" if cut else "that was stopped"
        case(f"an engine {how} ends and says why", code not in (0, -6) and "was trimmed" in two.log(), (code, two.log()[-300:]))
        case("and does not take it for a loss", not os.path.exists(f"{cell.engine_dir(2)}/snapshots/HISTORY-LOST"))
        two = engine(2, *PEERS, admin=f"127.0.0.1:{ports[1]}")
        position = stands_at(one)
        wait_for("it has folded all", lambda: stands_at(two) >= position, 10)
        case("started again it says what the other says", cell.counts(one, CARDS) == cell.counts(two, CARDS))
    case("both stop cleanly", (one.stop(), two.stop()) == (0, 0))
    running.clear()
finally:
    for server in running:
        if server.process.poll() is None:
            server.process.terminate()
    cell.stop()
done()
