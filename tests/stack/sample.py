"""The sample on the local stack (make run-stack): two engines on Redis score a generated log, the primary is killed meanwhile, and nothing that was acknowledged
is lost.

Starts the stack where it does not run yet and leaves it running (make stack-stop). The engines, the log and their files are under build/run-stack.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import processes  # noqa: E402
from stack import Stack  # noqa: E402

TIDE = os.path.abspath(os.environ.get("TIDE_BIN", "build/tidemark"))
DIR = "build/run-stack"
FEATURES = "config/defaults/features.yaml"
MESSAGES = int(os.environ.get("TRANSACTIONS", "3000"))


def say(text):
    print(f"\n{text}", flush=True)


def run(*words):
    say(f"$ tidemark {' '.join(words)}")
    result = subprocess.run([TIDE, *words], capture_output=True, text=True, timeout=120)
    print((result.stdout + result.stderr).strip(), flush=True)
    return result.returncode


def engine(number, words):
    """(process, connection) of one more engine."""
    log = os.path.join(DIR, f"engine{number}.log")
    if os.path.exists(log):
        os.remove(log)
    command = ["serve", "--features", FEATURES, "--dev-key", *words, "--set", f"engine.id={number}", "--set", f"snapshot.dir={DIR}/snapshots{number}",
               "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    print(f"$ tidemark {' '.join(command)}", flush=True)
    process = processes.start([TIDE, *command], log)

    def ready():
        if not process.alive():
            raise RuntimeError(f"the engine ended:\n{processes.tail(log)}")
        return re.search(r"ready on http://127\.0\.0\.1:(\d+)", processes.tail(log, 50))
    port = int(processes.wait_for(f"engine {number} is ready", ready, 30)[1])
    return process, http.client.HTTPConnection("127.0.0.1", port, timeout=10)


def send(connections, message, tries=400):
    """The first acknowledged answer, wherever it comes from, and how many were none."""
    for turn in range(tries):
        connection = connections[turn % len(connections)]
        connection.request("POST", "/v1/score", message, {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "500"})
        answer = json.loads(connection.getresponse().read())
        if answer.get("counted") is True or answer.get("duplicate"):
            return answer, turn
        time.sleep(0.05)
    raise RuntimeError(f"nobody acknowledged in {tries} tries; the last answer: {answer}")


def main():
    os.makedirs(DIR, exist_ok=True)
    stack = Stack("build/stack")
    stack.start(["redis"])
    stack.status()
    group = stack.recorded("redis").group
    words = ["--journal", group.sentinel_url(), "--set", f"journal.password_file={group.password_file()}"]
    restore = ["--journal", group.sentinel_url("tidemark-restore"), "--set", f"journal.password_file={group.password_file('tidemark-restore')}"]
    if run("init", *restore) != 0:
        print("(that is no mistake: it is there from the last time, and goes on)")
    else:  # a new cell: snapshots of an earlier one would make the engines refuse it as a cell that lost its history
        for number in (1, 2):
            shutil.rmtree(os.path.join(DIR, f"snapshots{number}"), ignore_errors=True)
    log = os.path.join(DIR, "log.jsonl")
    seed = str(int(time.time()))  # other transactions every time: those of the last time are remembered
    if run("generate", "--seed", seed, "--transactions", str(MESSAGES), "--output", log) != 0:
        return 1
    with open(log, encoding="utf-8") as file:
        messages = [json.loads(line) for line in file if '"type":"auth"' in line]
    for n, message in enumerate(messages):
        del message["at"]  # it happens now: the engine stamps it
        messages[n] = json.dumps(message)
    say("Two engines on one cell; either answers for any card.")
    engines = [engine(number, words) for number in (1, 2)]
    connections = [connection for _, connection in engines]
    try:
        decisions, kept, refused, begin = {}, [], 0, time.monotonic()
        for n, message in enumerate(messages):
            if n == len(messages) // 2:
                primary = group.primary()
                say(f"{n} scored in {time.monotonic() - begin:.1f} s. Now the primary is killed: kill -9 {primary.process.pid} ({primary.name}). With q = N nothing can be "
                    "acknowledged before all three nodes run again, so every answer is the fallback; then it is started as a replica of the new one.")
                primary.kill()
                killed = time.monotonic()
                connections[0].request("POST", "/v1/score", message, {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "500"})
                answer = json.loads(connections[0].getresponse().read())
                print("meanwhile:", json.dumps({name: answer.get(name) for name in ("status", "decision", "by", "cause", "counted")}), flush=True)
                new = group.wait_primary(other_than=primary)
                primary.configure(new)
                primary.launch()
                processes.save(stack.file("redis"), group.record())
                print(f"{new.name} is the primary", flush=True)
            answer, tries = send(connections[n % 2:] + connections[:n % 2], message)
            if n == len(messages) // 2:
                print(f"acknowledged again {time.monotonic() - killed:.1f} s after the kill, at position {answer.get('first_position', answer['position'])}", flush=True)
            refused += tries
            kept.append((message, answer))
            decisions[answer["decision"]] = decisions.get(answer["decision"], 0) + 1
        say(f"{len(messages)} scored in all: {decisions}; {refused} times the answer was a fallback and the message was sent again.")
        lost = 0
        for message, first in kept:
            again, _ = send(connections, message)
            lost += not again.get("duplicate") or again["decision"] != first["decision"]
        print(f"Sent again once more, all of them: {len(kept) - lost} get their first answer, {lost} were lost.", flush=True)
    finally:
        for process, connection in engines:
            connection.close()
            process.stop()
    stack.write_env()
    say("The stack goes on running; make stack-stop ends it.")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
