"""A whole cell leaves no secret behind: topics of scores and dead letters, Redis' files, mirrors and snapshots, logs, metrics, pages, what verbs print. Cards come over Kafka
and HTTP, good and broken; one engine is killed, one stopped. (30_secrets_served.py has one engine and its crash.) Only the topic that the cards came in by holds them. Prints TAP.
"""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, "tests/support")
from kafka_cell import TIDE, Broker, Engine, auth, card, config, features, need_broker, now_ms, outcome, wait_for, wait_length  # noqa: E402
from http_server import tide  # noqa: E402
from redis_cell import Cell  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
CARDS, LEFT = 60, os.path.join(TMP, "left")
os.makedirs(LEFT)
broker, cell, engines = Broker(), None, []
broker.start()


def keep(name, text):
    with open(os.path.join(LEFT, name), "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def engine(number, *words):
    one = Engine(f"engine{number}", *words, "--set", f"engine.id={number}", "--set", f"journal.dir={TMP}/engine{number}/journal")
    one.command.remove("--dev-key")
    one.command += ["--key-file", key, "--log-level", "debug"]
    engines.append(one)
    return one


def admin(one, path):
    result = subprocess.run(["curl", "-sS", "-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{one.admin}{path}"], capture_output=True, text=True, timeout=120)
    return result.stdout + result.stderr


def post(one, body, path="/v1/score", bearer=None):
    text = body if isinstance(body, str) else json.dumps(body)
    result = subprocess.run(["curl", "-sS", "-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {bearer or token}", "--data-binary", text,
                             f"http://127.0.0.1:{one.port}{path}"], capture_output=True, text=True, timeout=120)
    return result.stdout


try:
    key, token_file, tokens = (os.path.join(TMP, name) for name in ("hash.key", "token", "tokens"))
    tide("keys", "generate", key)
    line = tide("tokens", "generate", token_file, "--name", "all", "--scopes", "score,facts,read,monitor,operate")
    with open(tokens, "w", encoding="utf-8") as file:
        file.write(line)
    os.chmod(tokens, 0o600)
    token = read(token_file)
    broker.topics(auths=2, scores=1, dead=1)
    cell = Cell("cell", replicas=1)
    file = features(os.path.join(TMP, "features.yaml"))
    cell.verb("init", "--features", file, "--key-file", key)
    words = ["--config", config(os.path.join(TMP, "tidemark.yaml"), broker, {"auths": {"topic": "auths", "key": "card"}}), "--features", file, *cell.words(), "--set", f"http.tokens_file={tokens}",
             "--set", "snapshot.every=300ms"]
    one, two = engine(1, *words), engine(2, *words)
    one.launch()
    two.launch()

    # --- cards, over Kafka and HTTP, as they should be and not
    writer = broker.writer()
    good = 0
    for n in range(CARDS):
        writer.put("auths", auth(f"k{n}", n, now_ms()), n % 2, card(n))  # its key too is the card
        good += 1
        pan = card(n)
        if n % 5 == 0:
            writer.put("auths", outcome(f"k{n}", n, now_ms()), n % 2)
            # A card's number where the feature file declares no secret is no secret to anybody; what is declared is, in whatever the rest looks like.
            for bad in ({**auth(f"b{n}", n, now_ms()), "amount": "1.x"}, {**auth(f"b{n}", n, now_ms()), "time": "soon"}, {"card": {"number": pan}}, '{"card":{"number":"' + pan,
                        {**auth(f"b{n}", n, now_ms()), "card": {"number": {"pan": pan}}}, {**auth(f"b{n}", n, now_ms()), "currency": "?"}, {"type": "outcome", "card": {"number": pan}, "result": "x"}):
                writer.put("auths", bad, n % 2, pan, headers={"trace": pan})
    writer.flush()
    writer.close()
    for n in range(0, CARDS, 3):
        post((one, two)[n % 2], auth(f"h{n}", n, now_ms()))
        post((one, two)[n % 2], {"card": {"number": card(n)}}, "/v1/features")
        post((one, two)[n % 2], {**auth(f"h{n}", n, now_ms()), "amount": {"x": card(n)}})
        post((one, two)[n % 2], auth(f"h{n}", n, now_ms()), bearer="stranger-" + "7" * 30)
    wait_length(broker, "scores", good, 30)
    wait_for("dead letters", lambda: broker.length("dead") >= CARDS // 5 * 5, 20)
    for one_of in (one, two):
        for path in ("/metrics", "/sources", "/healthz", "/readyz", "/budget"):
            keep(f"{one_of.name}{path.replace('/', '_')}", admin(one_of, path))
    access = ["--token-file", token_file]
    address = f"127.0.0.1:{one.admin}"
    keep("source_list", tide("source", "list", "--admin", address, *access, code=None).stdout)
    keep("waive", tide("source", "waive", "auths", "0", "--for", "1s", "--admin", address, *access))
    keep("budget", tide("features", "budget", file, "--engine", address, *access))
    time.sleep(0.7)
    one.kill()
    case("a killed engine leaves no core file", not [name for name in os.listdir(".") if name.startswith("core")] and not [n for n in os.listdir(one.dir) if n.startswith("core")])
    case("the other stops", two.stop() == 0)
    mirror = f"{TMP}/engine2/journal/mirror"
    for name, command in (("inspect", ["inspect", mirror]), ("records", ["inspect", "--records", mirror]), ("audit", ["audit", "--journal", f"file:{mirror}"]),
                          ("explain", ["explain", "k1", "--journal", f"file:{mirror}", "--key-file", key]), ("doctor", ["doctor", *words[:4]])):
        result = tide(*command, code=None)
        keep(name, result.stdout + result.stderr)

    # --- what is left
    letters, scores = broker.get("dead"), broker.get("scores")
    keep("topic_dead", json.dumps(letters))
    keep("topic_scores", json.dumps(scores))
    case("there are dead letters and scores to look at", len(letters) >= CARDS // 5 * 5 and len(scores) >= good, (len(letters), len(scores)))
    SECRETS = {"a card number": [card(n).encode() for n in range(CARDS)], "the hash key": [read(key).encode(), bytes.fromhex(read(key))], "a token": [token.encode(), b"stranger-"],
               "a password": [value.encode() for value in cell.group.passwords.values()]}
    # Where they are by right: the operator's own files, and the topic that they came in by.
    own = {"redis.conf", "users.acl", "sentinel.conf", "hash.key", "token", "tokens"}
    places = [os.path.join(base, name) for top in (LEFT, one.dir, two.dir, cell.dir) for base, _, names in os.walk(top) for name in names
              if name not in own and not name.endswith(".password")]
    found, size = {}, 0
    for path in places:
        with open(path, "rb") as stream:
            data = stream.read()
        size += len(data)
        for what, texts in SECRETS.items():
            if any(text in data for text in texts):
                found.setdefault(what, []).append(os.path.relpath(path, TMP))
    case("files of every kind", len(places) > 20 and size > 200000 and any("appendonly" in p for p in places) and any("snapshots" in p for p in places), (len(places), size))
    print(f"# {len(places)} files, {size} bytes", flush=True)
    for what in SECRETS:
        case(f"{what} is in none of it", what not in found, found.get(what))
    given = json.dumps(broker.get("auths"))
    case("(and would be found: the topic of the cards has all of them)", all(card(n) in given for n in range(CARDS)))
finally:
    for one in engines:
        if one.alive():
            one.process.stop()
    if cell:
        cell.stop()
    broker.stop()
done()
