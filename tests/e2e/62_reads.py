"""What an engine says about a card that others have counted for: by default nobody is told less than had been acknowledged before the question, whichever
engine is asked; `eventual` may be behind and does not write. Prints TAP.
"""

import http.client
import json
import os
import sys

sys.path.insert(0, "tests/support")
from chaos_cluster import Cluster, init, redis_engine  # noqa: E402
from tap import TMP, case, done  # noqa: E402

cluster = Cluster(os.path.join(TMP, "cell"), redis_engine, engines=2)


def ask(client, path, body, options=None):
    client.request("POST", path, json.dumps({**body, "options": options or {}}), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
    response = client.getresponse()
    return response.status, json.loads(response.read())


def count(answer):
    return answer[1]["features"]["card.attempts_24h"]


try:
    cluster.start(init)
    one, two = [http.client.HTTPConnection(engine.place.reach, engine.port, timeout=30) for engine in cluster.engines]
    message = {"card": "c", "merchant": "m", "amount": "1.00", "currency": "EUR"}
    behind = {None: 0, "strong": 0, "quorum": 0, "eventual": 0}
    unknown = 0
    for n in range(200):
        scored = ask(one, "/v1/score", {**message, "id": f"t{n}"})
        assert scored[1]["counted"] is True, scored
        kind = list(behind)[n % 4]
        told = ask(two, "/v1/features", {"card": "c"}, {"consistency": kind} if kind else None)
        behind[kind] += count(told) < n + 1
        if n % 10 == 0:
            unknown += ask(two, "/v1/decisions/lookup", {**message, "id": f"t{n}"})[0] != 200
    case("by default another engine's answer counts all", behind[None] == 0, behind)
    case("`quorum` and `strong` count all", behind["quorum"] == behind["strong"] == 0, behind)
    print(f"# of 50 `eventual` answers {behind['eventual']} were behind, as they may be (78_token holds an engine back and sees it)", flush=True)
    case("a decision that was acknowledged can be looked up anywhere", unknown == 0, unknown)
    places = [int(ask(two, "/v1/features", {"card": "c"}, {"consistency": "eventual"})[1]["position"].split("-")[1].split(".")[0]) for _ in range(100)]
    case("`eventual` writes nothing", places[-1] - places[0] < 50, (places[0], places[-1]))  # but for heartbeats, meanwhile

    # Both replicas stand still: nothing can be established, and an answer would be a guess.
    for node in cluster.replicas():
        cluster.pause(node)
    status, answer = ask(two, "/v1/features", {"card": "c"})
    case("without a quorum a question is refused, and says so", status == 503 and "features" not in answer, (status, answer))
    for node in list(cluster.paused):
        cluster.resume(node)
finally:
    codes = cluster.stop()
case("they stop cleanly", codes == [0, 0], codes)
done()
