"""Headless Chromium for tests, driven over the DevTools protocol with the standard library alone: open a page, evaluate, wait, type, take a picture.

The protocol is JSON over a WebSocket (RFC 6455) on loopback; what is needed of it are a handshake, masked text frames out and whole frames in. The browser is Debian's
package `chromium` (config/packages-browser.txt), has a profile of its own in the test's directory, and is ended with the test. Where it cannot be installed the test says so and
skips; with CI=true that is a failure.
"""

import base64
import json
import os
import shutil
import socket
import struct
import sys
import time
import urllib.request

import processes
from tap import TMP, done, skip

PROGRAM = "chromium"


def need_browser():
    """Ends the test as skipped where there is no browser; with CI=true that is a failure."""
    if shutil.which(PROGRAM):
        return
    why = f"there is no {PROGRAM}: run make deps-browser (config/packages-browser.txt)"
    if os.environ.get("CI") == "true":
        sys.exit(why)
    skip("a headless browser", why)
    done()


class Socket:
    """One WebSocket to a page."""

    def __init__(self, url):
        host, _, path = url.removeprefix("ws://").partition("/")
        name, port = host.rsplit(":", 1)
        self.sock = socket.create_connection((name, int(port)), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        if b" 101 " not in head.splitlines()[0]:
            raise RuntimeError(f"no WebSocket: {head[:200]!r}")

    def read(self, count):
        data = b""
        while len(data) < count:
            chunk = self.sock.recv(min(65536, count - len(data)))
            if not chunk:
                raise RuntimeError("the browser has closed the connection")
            data += chunk
        return data

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        length = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data)) if len(data) < 65536 else struct.pack("!BQ", 0xFF, len(data))
        self.sock.sendall(b"\x81" + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self):
        text = b""
        while True:
            first, second = self.read(2)
            length = second & 0x7F
            if length >= 126:
                length = struct.unpack("!H" if length == 126 else "!Q", self.read(2 if length == 126 else 8))[0]
            data = self.read(length)
            if first & 0x0F in (0, 1):
                text += data
                if first & 0x80:
                    return text.decode()


class Page:
    def __init__(self, browser, target):
        self.browser, self.id, self.number, self.said = browser, target["id"], 0, []
        self.socket = Socket(target["webSocketDebuggerUrl"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.note(message)

    def note(self, message):
        """What the page complains about: exceptions, and what its policy has refused."""
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.said.append(parameters["exceptionDetails"].get("exception", {}).get("description") or parameters["exceptionDetails"]["text"])
        if method == "Log.entryAdded" and parameters["entry"]["source"] in ("security", "javascript", "violation", "other"):
            self.said.append(parameters["entry"]["text"])
        if method == "Network.requestWillBeSent":
            self.browser.requested.append(parameters["request"]["url"])

    def size(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}, {"name": "prefers-reduced-motion", "value": "reduce"}])
        return self

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")
        return self

    def eval(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, seconds=20):
        end = time.monotonic() + max(seconds, processes.PATIENCE_S)
        while time.monotonic() < end:
            value = self.eval(f"(() => {{ try {{ const v = {expression}; return v instanceof Node || v; }} catch (e) {{ return null; }} }})()")
            if value:
                return value
            time.sleep(0.05)
        raise TimeoutError(f"{expression} did not become true within {seconds} s: {self.text()[:600]!r}")

    def text(self, selector="body"):
        return self.eval(f"document.querySelector({json.dumps(selector)})?.innerText") or ""

    def type(self, selector, text):
        self.eval(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def key(self, key, code=None, shift=False):
        for kind in ("rawKeyDown", "char", "keyUp") if key == "Enter" else ("rawKeyDown", "keyUp"):
            more = {"text": "\r"} if kind == "char" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode={"Tab": 9, "Enter": 13}.get(key, 0), modifiers=8 if shift else 0, **more)

    def picture(self, path, whole=True):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.eval("scrollTo(0, 0)")
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **({"clip": self.clip()} if whole else {}))["data"])
        with open(path, "wb") as file:
            file.write(data)
        return len(data)

    def clip(self):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def overflows(self):
        """Pixels that the page is wider than its window."""
        return self.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")


class Browser:
    def __init__(self, *words):
        self.requested = []  # every address that any page asked for
        self.dir = os.path.join(TMP, "browser")
        os.makedirs(self.dir, exist_ok=True)
        self.process = processes.start([PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-extensions",
                                        "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={self.dir}/profile", *words, "about:blank"],
                                       os.path.join(self.dir, "log"))
        port = os.path.join(self.dir, "profile", "DevToolsActivePort")
        processes.wait_for("the browser listens", lambda: os.path.exists(port) and open(port, encoding="ascii").read().count("\n") >= 1, 60)
        with open(port, encoding="ascii") as file:
            self.port = int(file.readline())

    def page(self, url="about:blank"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?{url}", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as response:
            return Page(self, json.load(response))

    def stop(self):
        if self.process.alive():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/version", timeout=5) as response:
                    Socket(json.load(response)["webSocketDebuggerUrl"]).send(json.dumps({"id": 1, "method": "Browser.close"}))
                self.process.wait_end(10)
            except (OSError, RuntimeError):
                pass
        self.process.stop(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

