"""A `tidemark serve` under test, a client for it, and a checker of answers against openapi.yaml; used by tests/e2e/4x_*.py.

The checker knows the part of JSON Schema that the document uses and refuses to pass over a keyword that it does not know, so that a schema
cannot say something that is not checked.
"""

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import time

import yaml

from processes import wait_for
from tap import TMP, case, done  # noqa: F401  (the tests take them from here)

TIDE = os.environ.get("TIDE_BIN", "build/tidemark")
SHIPPED = "config/defaults/features.yaml"
JSON = {"Content-Type": "application/json"}


def tide(*words, code=0):
    result = subprocess.run([TIDE, *words], capture_output=True, text=True, timeout=120)
    assert code is None or result.returncode == code, (words, result.returncode, result.stderr)
    return result.stdout if code is not None else result


def refuses(name, code, words, *args):
    """A case: `serve` with these words ends with the code, says the words on stderr and nothing else."""
    command = [TIDE, "serve", *args]
    for option in ("--listen", "--admin"):
        command += [] if option in args else [option, "127.0.0.1:0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    case(name, result.returncode == code and re.search(words, result.stderr) and not result.stdout, f"{result.returncode} {result.stderr[-250:]!r}")


class Server:
    """Starts at once and waits until it is ready. Everything it writes goes into `dir`.

    The default deadline is long, because a busy machine may take 100 ms for anything; what is about deadlines names its own, or says deadline=None.
    """

    numbers = itertools.count(1)
    tls = admin_tls = None  # ssl.SSLContext, where the listener has TLS
    token = None  # sent with every request that names no headers of authorization

    def __init__(self, *words, journal=None, features=SHIPPED, dev_key=True, level="debug", deadline="5s", admin="127.0.0.1:0"):
        self.dir = os.path.join(TMP, f"server{next(Server.numbers)}")
        os.makedirs(self.dir, exist_ok=True)
        self.journal = journal or f"file:{self.dir}/journal"
        self.command = [TIDE, "serve", "--features", features, "--journal", self.journal, "--listen", "127.0.0.1:0", "--admin", admin, "--set", "log.limit=0",
                        "--log-level", level, *(["--dev-key"] if dev_key else []), *(["--set", f"http.default_deadline={deadline}"] if deadline else []), *words]
        self.err = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.err, text=True)
        line = self.process.stdout.readline()
        match = re.match(r"tidemark serve: ready on https?://127\.0\.0\.1:(\d+), admin https?://127\.0\.0\.1:(\d+), at (\d+-\d+)$", line.strip())
        if not match:
            self.process.wait(30)
            raise RuntimeError(f"serve said {line!r} and {self.log()[-500:]!r}")
        self.port, self.admin, self.at = int(match[1]), int(match[2]), match[3]

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, sig=signal.SIGTERM):
        """Its exit code."""
        self.process.send_signal(sig)
        code = self.process.wait(120)
        self.process.stdout.close()
        self.err.close()
        return code

    def connect(self, admin=False, timeout=60):
        port, tls = (self.admin, self.admin_tls) if admin else (self.port, self.tls)
        if tls:
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=tls)
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def socket(self, timeout=60):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, method, path, body=None, headers=None, admin=False, connection=None):
        """(status, headers in lower case, text) on a connection of its own, unless one is given."""
        own = connection is None
        connection = connection or self.connect(admin)
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        headers = dict(JSON if headers is None and data is not None else headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read().decode()
        if own:
            connection.close()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, text

    def post(self, path, body, connection=None, **options):
        """(status, parsed body) of a message with options."""
        if options and isinstance(body, dict):
            body = {**body, "options": options}
        status, _, text = self.ask("POST", path, body, connection=connection)
        return status, json.loads(text)

    def metric(self, name, label=""):
        """The sum of a family's rows that have the label, or the value of one row with its labels."""
        text = self.ask("GET", "/metrics", admin=True)[2]
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return sum(float(value) for key, value in rows if key == name or (key.split("{")[0] == name and label in key))

    def settled(self, name, value, label=""):
        """Whether metric() comes to be that: what counts an answer may do it just behind the answer."""
        try:
            return wait_for(name, lambda: self.metric(name, label) == value, 60)
        except TimeoutError:
            return False


def raw(server, data, timeout=60, half_close=False):
    """Sends bytes and reads until the other side closes."""
    with server.socket(timeout) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was closed before everything was out; what it said may still be there
        out = b""
        try:
            while chunk := sock.recv(65536):
                out += chunk
        except ConnectionResetError:
            pass
        return out


def statuses(data):
    """The statuses of the responses in a stream of them."""
    found, at = [], 0
    while match := re.compile(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n((?:[^\r]+\r\n)*)\r\n").match(data, at):
        found.append(int(match[1]))
        length = re.search(rb"(?im)^content-length: (\d+)", match[2])
        at = match.end() + (int(length[1]) if length and found[-1] != 100 else 0)
    return found


# --- the document

class Document:
    METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
    KNOWN = {"type", "properties", "required", "additionalProperties", "items", "oneOf", "enum", "pattern", "minimum", "maximum", "minItems", "nullable",
             "description", "format", "default", "example", "$ref"}

    def __init__(self, text):
        self.root = yaml.safe_load(text)
        self.used = set()

    def resolve(self, node):
        seen = 0
        while "$ref" in node:
            self.used.add(node["$ref"])
            assert node["$ref"].startswith("#/"), node["$ref"]
            target = self.root
            for part in node["$ref"][2:].split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node, seen = target, seen + 1
            assert seen < 10, "a reference that refers to itself"
        return node

    def operations(self):
        for path, item in self.root["paths"].items():
            for method in self.METHODS:
                if method in item:
                    yield path, method, item[method]

    def check_value(self, schema, value, at="body"):
        """None, or what is wrong."""
        schema = self.resolve(schema)
        unknown = set(schema) - self.KNOWN
        assert not unknown, f"the checker does not know {unknown}"
        if value is None and schema.get("nullable"):
            return None
        if "oneOf" in schema:
            wrong = [self.check_value(one, value, at) for one in schema["oneOf"]]
            return None if wrong.count(None) == 1 else f"{at} fits {wrong.count(None)} of {len(wrong)} alternatives: {wrong}"
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
        kind = schema.get("type")
        if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
            return f"{at} is {value!r}, not {kind}"
        if "enum" in schema and value not in schema["enum"]:
            return f"{at} is {value!r}, none of {schema['enum']}"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return f"{at} is {value!r}, which does not match {schema['pattern']}"
        if schema.get("format") == "date-time" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            return f"{at} is {value!r}, no time"
        if value is not None and not isinstance(value, (str, bool, dict, list)):
            if value < schema.get("minimum", value) or value > schema.get("maximum", value):
                return f"{at} is {value}, out of range"
        if isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                return f"{at} is too short"
            for i, item in enumerate(value):
                wrong = self.check_value(schema.get("items", {}), item, f"{at}[{i}]")
                if wrong:
                    return wrong
        if isinstance(value, dict):
            missing = [name for name in schema.get("required", []) if name not in value]
            if missing:
                return f"{at} lacks {missing}"
            for name, member in value.items():
                inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
                if inner is False:
                    return f"{at} has {name}, which the document does not know"
                wrong = self.check_value(inner, member, f"{at}.{name}") if isinstance(inner, dict) else None
                if wrong:
                    return wrong
        return None

    def check(self, method, path, status, headers, text):
        """None, or how a response differs from the document."""
        operation = self.root["paths"].get(path, {}).get(method.lower())
        if operation is None:  # an unknown path or method: a problem all the same
            if status not in (404, 405, 431, 413):
                return f"{status} for what the document does not have"
            response = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        elif str(status) not in operation["responses"]:
            return f"{status} is not among {list(operation['responses'])}"
        else:
            response = self.resolve(operation["responses"][str(status)])
        for name, header in response.get("headers", {}).items():
            header = self.resolve(header)
            if name.lower() not in headers and header.get("required"):
                return f"the header {name} is missing"
        media = headers.get("content-type", "").split(";")[0]
        if media not in response.get("content", {}):
            return f"{status} has the media type {media!r}, not {list(response.get('content', {}))}"
        if not media.endswith("json"):
            return None
        value = json.loads(text)
        if media == "application/problem+json" and value.get("status") != status:
            return f"the problem says {value.get('status')}, the response {status}"
        return self.check_value(response["content"][media]["schema"], value)


# --- messages for the shipped feature file

def auth(n, card="4000000000000002", **more):
    message = {"type": "auth", "rrn": f"{n:012d}", "stan": "000001", "acquirer": "900001", "card": {"number": card},
               "amount": {"value": 12.5, "currency": "EUR"}, "merchant": {"id": "m1"}, "entry": "chip"}
    message.update(more)
    return message


def login(n, card="4000000000000002"):
    return {"type": "login", "rrn": f"{n:012d}", "stan": "000002", "acquirer": "900001", "card": {"number": card}}


def outcome(n, code="05", card="4000000000000002"):
    return {"type": "outcome", "rrn": f"{n:012d}", "stan": "000001", "acquirer": "900001", "card": {"number": card}, "response_code": code}


def with_profiles():
    """A feature file that is the shipped one, and reads facts of cards besides: profile() is a message of it, and so is what `generate --profiles` writes."""
    with open(SHIPPED, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("\ninputs:\n", """
inputs:
  profiles:
    type: profile
    when: {/type: profile}
    entity: card
    facts: {credit_limit: {at: /limit/value, as: amount, currency: /limit/currency}, segment: /segment, opened: {at: /opened, as: rfc3339}}
""", 1).replace("\nfeatures:\n  card:\n", """
features:
  card:
    limit: fact credit_limit
    segment: fact segment
    opened: fact opened
""", 1).replace("\nderived:\n", """
derived:
  limit_share: amount / card.limit
  account_days: (time - card.opened) / 1d
""", 1)
    assert text.count("fact") >= 3 and "profiles:" in text
    path = os.path.join(TMP, "with_profiles.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def profile(card="4000000000000002", **facts):
    if "limit" in facts:
        facts["limit"] = {"value": facts["limit"], "currency": "EUR"}
    return {"type": "profile", "card": {"number": card}, **facts}


def rfc3339(seconds_from_now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))
