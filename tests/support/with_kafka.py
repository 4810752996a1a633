"""Runs a command with a real Kafka broker beside it.

  python3 tests/support/with_kafka.py DIR COMMAND...

The command gets TIDE_KAFKA_BROKERS ("host:port"), or, where there can be no broker (no Java, no Maven, Maven Central out of reach),
TIDE_KAFKA_MISSING with the reason: then it decides what it can do without. Its exit code is the command's. The broker is the command's own and is ended
with it; its files are in DIR and are removed unless the command failed. With TIDE_KAFKA_SHARED=DIR2 it is one that runs in DIR2 for many commands (started here
if it does not run yet, as by `make stack`), and whoever has set the variable ends it: python3 tests/stack/stack.py stop DIR2.
"""

import os
import shlex
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
STACK = os.path.join(HERE, "..", "stack")
sys.path[:0] = [HERE, STACK]
from kafka import Kafka  # noqa: E402


def missing():
    """Why a broker cannot be started, or None."""
    for program, package in Kafka.needs.items():
        if shutil.which(program) is None and not (program == "mvn" and os.path.isdir(Kafka.libs)):
            return f"there is no {program}: install {package}"
    try:
        Kafka.fetch()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return "the jars cannot be fetched from Maven Central: " + " ".join(str(error).split())[-300:]
    return None


def note(text):
    """For the closing summary of the run (suite.sh), if this is one."""
    if os.environ.get("TIDE_NOTES"):
        with open(os.environ["TIDE_NOTES"], "a", encoding="utf-8") as file:
            file.write(text + "\n")


def shared(directory):
    """The brokers of the stack in `directory`."""
    subprocess.run([sys.executable, os.path.join(STACK, "stack.py"), "start", directory, "kafka"], check=True, stdout=sys.stderr)
    with open(os.path.join(directory, "env"), encoding="utf-8") as file:
        return dict(line.split("=", 1) for line in shlex.split(file.read(), comments=True))["TIDE_KAFKA_BROKERS"]


def main(words):
    if len(words) < 2:
        print("usage: with_kafka.py DIR COMMAND...", file=sys.stderr)
        return 2
    environment = dict(os.environ)
    broker, directory = None, os.path.join(words[0], f"kafka-{os.getpid()}")
    try:
        why = missing()
        if why:
            environment["TIDE_KAFKA_MISSING"] = why
            note(f"no real Kafka broker, its cases were skipped ({why})")
        elif os.environ.get("TIDE_KAFKA_SHARED"):
            environment["TIDE_KAFKA_BROKERS"] = shared(os.environ["TIDE_KAFKA_SHARED"])
        else:
            broker = Kafka(directory, stay=False)
            broker.start()
            environment.update(broker.env())
        code = subprocess.run(words[1:], env=environment).returncode
    finally:
        if broker:
            broker.stop()
    if broker and code == 0:
        shutil.rmtree(directory)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
