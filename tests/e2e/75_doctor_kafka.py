"""`tidemark doctor --config` over a real broker: it finds nothing to fix where nothing is, and names each thing that is wrong: no broker, a missing topic, a
compacted one, a short retention, the producers' clocks, a message of the future, a refused setting, a source that the feature file does not know. Prints TAP.
"""

import json
import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from kafka_cell import Broker, auth, config, features, need_broker, now_ms  # noqa: E402
from processes import free_port  # noqa: E402
from http_server import TIDE  # noqa: E402
from tap import TMP, case, done  # noqa: E402

need_broker()
file = features(os.path.join(TMP, "features.yaml"))
count = 0


def doctor(address, sources, kafka=None, **sections):
    """(exit code, [(level, what, text)] about sources)"""
    global count
    count += 1
    broker_like = type("Where", (), {"address": address})
    settings = config(os.path.join(TMP, f"config{count}.yaml"), broker_like, sources, kafka=kafka or {}, features={"file": file}, keys={"development": True},
                      journal={"dir": os.path.join(TMP, "journal")}, **sections)
    result = subprocess.run([TIDE, "doctor", "--config", settings, "--json"], capture_output=True, text=True, timeout=120)
    if not result.stdout.startswith("{"):
        return result.returncode, [("error", "", result.stderr)]
    found = json.loads(result.stdout)["findings"]
    return result.returncode, [(f["level"], f["what"], f["text"]) for f in found
                               if f["what"] in ("kafka", "source", "scores", "dead_letters", "copies", "token") or f["level"] == "fix"]


def has(name, result, level, what, *words):
    case(name, any(f[0] == level and f[1] == what and all(word in f[2] for word in words) for f in result[1]), result)


nobody = f"127.0.0.1:{free_port()}"
auths = {"auths": {"topic": "auths", "key": "card"}}
result = doctor(nobody, auths)
has("nobody answers", result, "fix", "kafka", "no broker answers", "refused")
case("exit code 1", result[0] == 1, result)
result = doctor(nobody, auths, kafka={"enable.auto.commit": "true"})
case("a setting that Tidemark owns is named", result[0] != 0 and any("enable.auto.commit" in f[2] for f in result[1]), result)
result = doctor(nobody, {"auths": {"topic": "auths", "input": "nothing"}})
case("a shape that the feature file does not have is named", result[0] != 0 and any("nothing" in f[2] for f in result[1]), result)
result = doctor(nobody, auths, http={"tokens_file": os.path.join(TMP, "no-such-file")})
has("a token file that is not there", result, "fix", "token", "no-such-file")

broker = Broker()
broker.start()
try:
    broker.pipe("topics", "auths:3", "scores:2", "dead:1", "short:1:retention.ms=60000", "week:1:retention.ms=864000000:message.timestamp.type=LogAppendTime",
                "compact:1:cleanup.policy=compact", "strict:1:min.insync.replicas=2", "later:2", "sized:1:retention.bytes=1000000:max.message.bytes=4000000")
    writer = broker.writer()
    for n in range(10):
        writer.put("auths", auth(f"t{n}", n, now_ms()), n % 3)
    writer.put("later", auth("l", 1, now_ms()), 1, at_ms=now_ms() + 60000)
    writer.flush()
    result = doctor(broker.address, {"week": {"topic": "week"}})
    case("where nothing is wrong there is nothing to fix", result[0] == 0 and not any(level == "fix" for level, _, _ in result[1]), result)
    has("brokers", result, "ok", "kafka", "1 broker answers")
    case("a topic with the broker's clock that keeps enough gets no note", not any(level == "note" and what == "source" for level, what, _ in result[1]), result)
    has("answers", result, "ok", "scores", "2 partitions", "1 copy")
    has("dead letters", result, "ok", "dead_letters", "1 partition,")
    result = doctor(broker.address, {**auths, "short": {"topic": "short", "gates": False}, "compact": {"topic": "compact"}, "missing": {"topic": "missing"},
                                     "later": {"topic": "later"}, "sized": {"topic": "sized"}}, scores={"topic": "strict"})
    case("exit code 1 where there is something to fix", result[0] == 1, result)
    has("partitions and messages", result, "ok", "source", "auths (topic auths)", "3 partitions", "about 10 messages")
    has("whose clock it is", result, "note", "source", "auths (topic auths)", "LogAppendTime")
    has("what is kept too short", result, "fix", "source", "short (topic short)", "1m", "7d")
    case("the clock of what does not gate is not asked for", not any("short" in text and "LogAppendTime" in text for _, _, text in result[1]), result)
    has("what is compacted", result, "fix", "source", "compact (topic compact)", "cleanup.policy=delete")
    has("what is not there", result, "fix", "source", "missing (topic missing)", "does not exist")
    has("what comes from the future", result, "fix", "source", "later (topic later)", "in 1 partitions", "clock")
    has("what forgets by size", result, "note", "source", "sized (topic sized)", "retention.bytes 1000000")
    has("what takes more than is counted", result, "note", "source", "sized (topic sized)", "4000000")
    has("what cannot be written", result, "fix", "scores", "min.insync.replicas is 2", "1 copies")
    case("nothing was made by asking", broker.pipe("ends", "auths").count("\n") == 3 and doctor(broker.address, {"m": {"topic": "missing"}})[0] == 1)
finally:
    broker.stop()
done()
