"""Runs a command with a Redis group of its own beside it: a primary and replicas without sentinels, ended with the command.

  python3 tests/support/with_redis.py DIR REPLICAS COMMAND...

The command gets TIDE_REDIS_URL (the program's user, for the cell `default`), TIDE_REDIS_RESTORE_URL (who may make a journal), TIDE_REDIS_ADMIN_URL and TIDE_REDIS_NODES ("host:port ..." of all, the primary first). Its exit
code is the command's. DIR/redis holds the servers' files and is removed at the end unless the command failed.
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from redis_stack import Group  # noqa: E402


def main(words):
    if len(words) < 3 or not words[1].isdigit():
        print("usage: with_redis.py DIR REPLICAS COMMAND...", file=sys.stderr)
        return 2
    directory, replicas = os.path.join(words[0], f"redis-{os.getpid()}"), int(words[1])
    group = Group(directory, replicas=replicas, sentinels=0, min_replicas=min(1, replicas), maxmemory="2gb").start()
    try:
        environment = {**os.environ, "TIDE_REDIS_URL": group.url(), "TIDE_REDIS_RESTORE_URL": group.url(user="tidemark-restore"),
                       "TIDE_REDIS_ADMIN_URL": group.url(user="admin"),
                       "TIDE_REDIS_NODES": " ".join(f"{node.host}:{node.port}" for node in group.nodes)}
        code = subprocess.run(words[2:], env=environment).returncode
    finally:
        group.stop()
    if code == 0:
        shutil.rmtree(directory)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
