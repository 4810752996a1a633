"""Hosts in network namespaces, joined by bridges that can be cut in two while everything runs.

  +-- hub: the harness (10.78.0.254) -------------------------------+
  |   bridge A ---+--- veth --- 10.77.0.1 [host 1] 10.78.0.1 ---+   |
  |               +--- veth --- 10.77.0.2 [host 2] 10.78.0.2 ---+-- bridge C
  |   bridge B        (a cut moves veths of some hosts to B)    |   |
  +-----------------------------------------------------------------+

Servers speak with each other over 10.77 only; the harness and its clients reach every host over 10.78, whatever is cut. All namespaces are without
a name: they belong to the harness (`unshare -n`) and to a process per host that holds it, and the kernel removes them and all their links with the
last process inside, also when the harness is killed. So nothing of the machine's own network is touched and nothing is left behind.
"""

import os
import shutil
import subprocess
import sys

import processes

CLONE_NEWNET = 0x40000000
MARK = "TIDE_IN_HUB"


def why_not():
    """None when namespaces can be made here, else the reason."""
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    result = subprocess.run(["unshare", "-n", "ip", "link", "add", "probe", "type", "bridge"], capture_output=True, text=True)
    return None if result.returncode == 0 else f"network namespaces cannot be made: {result.stderr.strip()}"


def enter_hub():
    """Runs this program again inside of a network namespace of its own; returns there."""
    if os.environ.get(MARK) != str(os.getpid()):
        os.environ[MARK] = str(os.getpid())  # exec keeps the number
        os.execvp("unshare", ["unshare", "-n", "--", sys.executable, *sys.argv])


def run(*words):
    result = subprocess.run(words, capture_output=True, text=True, timeout=20)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {result.stderr.strip()}")


class Fresh:
    """Enters a new namespace."""

    @staticmethod
    def enter(libc):
        if libc.unshare(CLONE_NEWNET) != 0:
            os._exit(1)


class Host:
    """A namespace with two addresses: `address` for its peers, `outside` for the harness."""

    def __init__(self, network, number):
        self.network, self.number = network, number
        self.address, self.outside = f"10.77.0.{number}", f"10.78.0.{number}"
        self.holder = processes.start(["sleep", "infinity"], os.devnull, namespace=Fresh)
        self.fd = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        inside = self.inside("ip")
        for name, bridge, address in (("p", "A", self.address), ("o", "C", self.outside)):
            run("ip", "link", "add", "name", f"{name}{number}", "type", "veth", "peer", "name", f"eth{name}", "netns", str(self.holder.pid))
            run("ip", "link", "set", f"{name}{number}", "master", bridge, "up")
            run(*inside, "addr", "add", f"{address}/24", "dev", f"eth{name}")
            run(*inside, "link", "set", f"eth{name}", "up")
        run(*inside, "link", "set", "lo", "up")

    def inside(self, *words):
        """The words of a command that runs here."""
        return ["nsenter", "-t", str(self.holder.pid), "-n", *words]

    def enter(self, libc):
        """In the child, before exec."""
        if libc.setns(self.fd, CLONE_NEWNET) != 0:
            os._exit(1)


class Network:
    """Call enter_hub() first."""

    def __init__(self):
        run("ip", "link", "set", "lo", "up")
        for bridge in "ABC":
            run("ip", "link", "add", "name", bridge, "type", "bridge")
            run("ip", "link", "set", bridge, "up")
        run("ip", "addr", "add", "10.78.0.254/24", "dev", "C")
        self.hosts = []

    def host(self):
        self.hosts.append(Host(self, len(self.hosts) + 1))
        return self.hosts[-1]

    def cut(self, away):
        """`away` on one side, all others on the other. Packets between them vanish; connections neither end nor fail at once, as with a dead switch."""
        for host in self.hosts:
            run("ip", "link", "set", f"p{host.number}", "master", "B" if host in away else "A")

    def heal(self):
        self.cut([])

    def close(self):
        for host in self.hosts:
            os.close(host.fd)
            host.holder.kill()
