"""The picture of the console in README.md, taken again: an engine on a journal of its own, some minutes of traffic with a burst on one card, and the page as a browser shows it.

  make console-picture          writes engine/http/console.png
"""

import os
import random
import sys
import tempfile
import threading
import time

os.environ.setdefault("TIDE_TMP", tempfile.mkdtemp())
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser  # noqa: E402
from http_server import Server, auth, outcome, rfc3339  # noqa: E402

SECONDS = int(os.environ.get("TIDE_SECONDS", "240"))


def traffic(server, ends):
    rng, n, begin = random.Random(7), 0, time.monotonic()
    connection = server.connect()
    while not ends.is_set():
        n += 1
        busy = 90 < time.monotonic() - begin < 130
        card = "4000000000000077" if busy and rng.random() < 0.4 else f"40000000{rng.randrange(10**8):08d}"
        message = auth(n, card, amount={"value": round(rng.lognormvariate(3.2, 1), 2), "currency": "EUR"}, merchant={"id": f"m{rng.randrange(40)}"}, entry=rng.choice(["chip", "chip", "ecom"]))
        if rng.random() < 0.004:
            message["at"] = rfc3339(-10 * 86400)
        server.post("/v1/score", message, connection=connection)
        if rng.random() < 0.5 or card.endswith("77"):
            server.post("/v1/outcomes", outcome(n, "05" if card.endswith("77") or rng.random() < 0.05 else "00", card), connection=connection)
        time.sleep(rng.expovariate(60))
    connection.close()


server, ends = Server("--set", "model.file=config/defaults/model.json", "--set", "cell.name=eu-issuing", deadline="1s"), threading.Event()
sender = threading.Thread(target=traffic, args=(server, ends))
sender.start()
try:
    with Browser() as browser:
        page = browser.page().size(1280, 850).open(f"http://127.0.0.1:{server.admin}/console")
        page.wait("!document.getElementById('board').hidden")
        time.sleep(SECONDS)
        print(page.picture(sys.argv[1], whole=False), "bytes")
finally:
    ends.set()
    sender.join()
    server.stop()
