"""Clients of an engine that write down what they were told when, and what may be said of it: for tests that break something meanwhile.

An engine is the address (host, port) of its scoring listener. Times are those of this machine's wall clock, as the engines' are.
"""

import calendar
import collections
import http.client
import json
import threading
import time

from processes import wait_for

Told = collections.namedtuple("Told", "id sent got answer")


class Asking:
    """A few clients that ask one engine for scores without a pause, each transaction once, and write down what they were told when."""

    def __init__(self, address, name, message, clients=4, timeout_ms=400, pause_s=0.03):
        self.address, self.name, self.message, self.timeout_ms, self.pause_s = address, name, message, timeout_ms, pause_s
        self.told, self.stopping, self.ids = [], threading.Event(), []
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        client, n = None, 0
        while not self.stopping.is_set():
            txn, n = f"{self.name}-{number}-{n}", n + 1
            self.ids.append(txn)
            client = client or http.client.HTTPConnection(*self.address, timeout=120)
            sent = time.time()
            answer = ask(client, self.message(txn), self.timeout_ms)
            self.told.append(Told(txn, sent, time.time(), answer))
            time.sleep(self.pause_s)
        if client:
            client.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(150)
        return self.told

    def first(self, what, after, seconds=30):
        """When the first request that was sent after this moment got such an answer."""
        def found():
            return min((t.got for t in list(self.told) if t.sent >= after and what(t)), default=None)
        return wait_for(f"{self.name}: such an answer", found, seconds)


def ask(client, body, timeout_ms=5000, path="/v1/score"):
    client.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": str(timeout_ms)})
    return json.loads(client.getresponse().read())


def scored(told):
    return told.answer.get("status") == "scored"


def refused(told):
    return told.answer.get("status") == "refused"


def causes(told):
    return dict(collections.Counter(t.answer.get("cause", t.answer.get("type")) for t in told if not scored(t)))


def event_s(answer):
    return calendar.timegm(time.strptime(answer["event_time"][:19], "%Y-%m-%dT%H:%M:%S")) + int(answer["event_time"][20:23]) / 1000


def say(what, told, **figures):
    text = ", ".join(f"{name} {value:.2f} s" for name, value in figures.items())
    print(f"# {what}: {len(told)} requests, {sum(map(scored, told))} scored; {text}; causes {causes(told)}", flush=True)
