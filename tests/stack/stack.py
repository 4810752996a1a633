"""The local stack: real servers on free loopback ports under build/stack/, for trying Tidemark by hand and for tests.

  python3 tests/stack/stack.py start|stop|status [DIR] [redis] [etcd] [kafka]      (make stack, make stack-stop, make stack-status)

`start` may be repeated: what runs stays, what has ended is started again with its data. `stop` ends exactly what was started here: a process
is known by number, start tick and command line (tests/support/processes.py), recorded in DIR/MEMBER/stack.json. DIR/env has the URLs, with
passwords; only its owner can read it. Services that the distribution may have started for itself are never looked at.
"""

import fcntl
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import processes  # noqa: E402
from etcd import Etcd  # noqa: E402
from kafka import Kafka  # noqa: E402
from redis_stack import Group  # noqa: E402


class Redis:
    """The member `redis`: one group, described by its record."""

    needs = {"redis-server": "redis-server", "redis-sentinel": "redis-sentinel"}

    def __init__(self, directory):
        self.group = Group(directory, stay=True)

    def recall(self, record):
        self.group.recall(record)

    def record(self):
        return self.group.record()

    def start(self):
        self.group.start()

    def restart(self):
        self.group.restart()

    def stop(self):
        self.group.stop()

    def rows(self):
        primary = self.group.primary()
        for server in self.group.servers:
            role = "sentinel" if server in self.group.sentinels else "primary" if server is primary else "replica"
            yield server.name, f"{server.host}:{server.port}", server.process, role

    def env(self):
        return {"TIDE_REDIS_URL": self.group.sentinel_url(), "TIDE_REDIS_PASSWORD_FILE": self.group.password_file(),
                "TIDE_REDIS_RESTORE_URL": self.group.sentinel_url("tidemark-restore"), "TIDE_REDIS_RESTORE_PASSWORD_FILE": self.group.password_file("tidemark-restore"),
                "TIDE_REDIS_DIRECT_URL": self.group.url(self.group.primary()),
                "TIDE_REDIS_ADMIN_URL": self.group.url(self.group.primary(), "admin")}


MEMBERS = {"redis": Redis, "etcd": Etcd, "kafka": Kafka}


def missing(member):
    """What has to be installed, as (program, package) pairs."""
    return [(program, package) for program, package in MEMBERS[member].needs.items() if shutil.which(program) is None]


class Stack:
    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        # Two commands at the same time would start everything twice.
        self.lock = open(os.path.join(self.dir, "lock"), "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def file(self, member):
        return os.path.join(self.dir, member, "stack.json")

    def recorded(self, member):
        """The member as an earlier run left it, or None."""
        record = processes.load(self.file(member))
        if record is None:
            return None
        server = MEMBERS[member](os.path.join(self.dir, member))
        server.recall(record)
        return server

    def start(self, members):
        for member in members:
            server = self.recorded(member)
            if server is not None:
                try:
                    server.restart()
                finally:
                    processes.save(self.file(member), server.record())
                continue
            # What a start that failed left behind, for its log to be read.
            shutil.rmtree(os.path.join(self.dir, member), ignore_errors=True)
            server = MEMBERS[member](os.path.join(self.dir, member))
            server.start()
            processes.save(self.file(member), server.record())
        self.write_env()

    def write_env(self):
        values = {}
        for member in MEMBERS:
            server = self.recorded(member)
            if server is not None:
                values.update(server.env())
        processes.write(os.path.join(self.dir, "env"), "".join(f"{name}='{value}'\n" for name, value in values.items()))

    def stop(self):
        """Everything, or it says what it could not end. The data goes with the servers."""
        for member in MEMBERS:
            server = self.recorded(member)
            if server is not None:
                server.stop()
                shutil.rmtree(os.path.join(self.dir, member))
        if os.path.exists(os.path.join(self.dir, "env")):
            os.remove(os.path.join(self.dir, "env"))

    def status(self):
        """Prints a line for each server; how many do not run."""
        down = count = 0
        for member in MEMBERS:
            server = self.recorded(member)
            for name, place, process, role in server.rows() if server is not None else ():
                alive = process is not None and process.alive()
                count, down = count + 1, down + (not alive)
                print(f"{name:<12} {place:<22} {'pid ' + str(process.pid) if alive else 'not running':<14} {role if alive else ''}".rstrip())
        if count == 0:
            print("nothing is started; make stack")
        return down


def main(words):
    known = ("start", "stop", "status")
    if not words or words[0] not in known:
        print(f"usage: stack.py {'|'.join(known)} [DIR] [{'] ['.join(MEMBERS)}]", file=sys.stderr)
        return 2
    members = [word for word in words[1:] if word in MEMBERS] or ["redis"]
    places = [word for word in words[1:] if word not in MEMBERS]
    if len(places) > 1 or any("/" not in place for place in places):
        print(f"stack.py: {places} is neither a directory (with a /) nor one of {', '.join(MEMBERS)}", file=sys.stderr)
        return 2
    for member in members if words[0] == "start" else ():
        for program, package in missing(member):
            print(f"stack.py: {member} needs {program}: apt-get install {package}", file=sys.stderr)
        if missing(member):
            return 1
    stack = Stack(places[0] if places else "build/stack")
    if words[0] == "stop":
        stack.stop()
        return 0
    if words[0] == "start":
        stack.start(members)
        print(f"URLs: {os.path.relpath(stack.dir)}/env; make stack-stop ends it")
    return 1 if stack.status() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
