"""Server processes of the tests, and the certainty that a signal reaches only them.

A process is known by three things: its number, the clock tick at which it started (/proc/PID/stat, field 22) and its command line. A number
alone may have been given to somebody else meanwhile. No signal is sent before all three agree, and nothing is ever ended by name.
"""

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

PR_SET_PDEATHSIG = 1
_ports_given = set()


def free_port():
    """A port on which nobody listens, outside of the range from which the kernel takes ports for outgoing connections: a server that is killed
    finds it free again. With TIDE_PORTS=I/N only ports that are I modulo N: who runs beside this one has others, also those that are free just now (run.sh)."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low, high = map(int, file.read().split())
    share, shares = map(int, os.environ.get("TIDE_PORTS", "0/1").split("/"))
    for _ in range(4000):
        port = random.SystemRandom().randrange(10240, 65000)
        if low <= port <= high or port in _ports_given or port % shares != share:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise RuntimeError("no free port between 10240 and 65000 outside of net.ipv4.ip_local_port_range")


def started_at(pid):
    """The tick at which a process started; None when there is none, or when it has ended and waits to be collected."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


class Process:
    """One server. `record` is what a later run needs to know it again."""

    def __init__(self, record):
        self.record = record
        self.child = None

    @property
    def pid(self):
        return self.record["pid"]

    def alive(self):
        if self.child is not None:
            return self.child.poll() is None  # ended means collected: before that some thread of it may still hold a port
        return self.record["start"] is not None and started_at(self.pid) == self.record["start"] and command_of(self.pid) == self.record["command"]

    def signal(self, number):
        """False, and nothing is sent, when it is not running any more."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait_end(self, seconds):
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        if not self.wait_end(PATIENCE_S):
            raise RuntimeError(f"process {self.pid} survived SIGKILL for {PATIENCE_S} s: {' '.join(self.record['command'])}")

    def stop(self, seconds=10):
        """SIGTERM, then SIGKILL. A stopped process is continued, so that it can end."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not self.wait_end(seconds):
            self.kill()

    def pause(self):
        return self.signal(signal.SIGSTOP)

    def resume(self):
        return self.signal(signal.SIGCONT)


def start(command, log, directory=None, stay=False, environment=None, namespace=None):
    """Starts a server; its output goes to the file `log`. Unless it shall `stay`, the kernel ends it with the thread that called this, however
    that ends. `namespace`: a network namespace (netns.py) to run in."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def in_child():
        if not stay:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        if namespace is not None:
            namespace.enter(libc)

    with open(log, "ab") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=directory, start_new_session=True, env=environment,
                                 preexec_fn=in_child)
    # Popen returns after exec succeeded, so the command line is the server's.
    process = Process({"pid": child.pid, "start": started_at(child.pid), "command": command_of(child.pid)})
    process.child = child
    return process


def tail(path, count=15):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-count:])
    except OSError as error:
        return f"({error})"


def write(path, text, mode=0o600):
    """Writes a file at once or not at all; threads that write the same one do not meet."""
    fresh = f"{path}.{threading.get_native_id()}"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


def save(path, record):
    write(path, json.dumps(record, indent=1) + "\n")


def load(path):
    """None when there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


PATIENCE_S = 60  # what must come comes at once on most machines, and on some in a minute; waiting for it longer proves no less


def wait_for(what, condition, seconds, pause=0.02, patient=True):
    """The first true value of condition(); what it raises as OSError counts as not yet. It has PATIENCE_S at the least, unless somebody goes on without it: patient=False."""
    end = time.monotonic() + (max(seconds, PATIENCE_S) if patient else seconds)
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            last = value
        except OSError as error:
            last = error
        time.sleep(pause)
    raise TimeoutError(f"{what}: not after {seconds} s (last: {last!r})")
