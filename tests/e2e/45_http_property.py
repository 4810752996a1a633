"""Requests made at random from openapi.yaml, most of them slightly wrong: every answer must be one that the document has for that route, in
status, media type and shape, and the server must be the same afterwards. TIDE_SEED and TIDE_CASES make it another or a longer run. Prints TAP.
"""

import json
import os
import random
import sys

sys.path.insert(0, "tests/support")
from http_server import Document, Server, auth, case, done, login, outcome, profile, rfc3339, with_profiles  # noqa: E402

with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    document = Document(file.read())
seed = int(os.environ.get("TIDE_SEED") or 45)
count = int(os.environ.get("TIDE_CASES") or 4000)
rng = random.Random(seed)
TEXTS = ["", "a", "m1", "4000000000000002", "💳", "\u0000", "\u202e", "x" * 70, "y" * 3000, "1e5", "null", "\ud800", "../../etc", "%s%n", "' or 1=1"]
NUMBERS = [0, -1, 1, 0.1, 12.345, 1e300, -0.0, 2**53 + 1, 10**30, 1e-9, 10**12]


def anything(depth=0):
    roll = rng.random()
    if depth < 4 and roll < 0.15:
        return {rng.choice(TEXTS[:6] + ["type", "card", "options", "amount"]): anything(depth + 1) for _ in range(rng.randrange(4))}
    if depth < 4 and roll < 0.25:
        return [anything(depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice([None, True, False, rng.choice(TEXTS), rng.choice(NUMBERS), rng.choice(TEXTS)])


def of_schema(schema):
    """A value that the document allows, by its own words."""
    schema = document.resolve(schema)
    if "oneOf" in schema:
        return of_schema(rng.choice(schema["oneOf"]))
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        return {name: of_schema(inner) for name, inner in schema.get("properties", {}).items() if name in schema.get("required", []) or rng.random() < 0.5}
    if kind == "array":
        return [of_schema(schema["items"]) for _ in range(max(schema.get("minItems", 0), rng.randrange(7)))]
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "integer":
        return rng.choice([0, 1, 1700000000000, 5])
    if kind == "string" and schema.get("format") == "date-time":
        return rfc3339(rng.randrange(-10**6, 10))
    return rng.choice(["0-0", "0-7", "1-0", "1-1.0", "1-1", "1-2.3", "2-7"]) if "pattern" in schema else rng.choice(["a", "b"])


def message(schema):
    """What `inputs:` of the feature file wants, with the options that the document allows."""
    if document.resolve(schema).get("type") == "array":
        return [message(document.resolve(schema)["items"]) for _ in range(rng.randrange(8))]
    n, card = rng.randrange(300), f"40000000000{rng.randrange(12):05d}"
    made = rng.choice([auth, auth, auth, login, outcome, lambda n, card: profile(card, limit=n, segment=f"s{n % 3}")])(n, card=card)
    if rng.random() < 0.3:
        made["at"] = rfc3339(rng.choice([-10**6, -3600, -5, 5, 500]))
    for name, values in (("ip", ["10.0.0.1", "::1", "nowhere"]), ("email", ["a@b.c", "A.b+c@D.e"]), ("device", ["d1", "d2"]), ("entry", ["ecom", "chip"])):
        if rng.random() < 0.3:
            made[name] = rng.choice(values)
    made.update(of_schema(schema))
    return made


def spoil(value):
    """One thing changed somewhere."""
    if isinstance(value, list) and value:
        at = rng.randrange(len(value))
        return value[:at] + [spoil(value[at])] + value[at + 1:]
    if not isinstance(value, dict) or not value or rng.random() < 0.1:
        return anything()
    value, name = dict(value), rng.choice(list(value))
    roll = rng.random()
    if roll < 0.25:
        del value[name]
    elif roll < 0.6:
        value[name] = spoil(value[name])
    elif roll < 0.8:
        value[name] = anything()
    else:
        value[rng.choice(["options", "extra", "card", "at"])] = anything()
    return value


def spoil_bytes(data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        roll = rng.random()
        if roll < 0.4 and data:
            data[at % len(data)] = rng.randrange(256)
        elif roll < 0.7:
            del data[at:at + rng.randrange(1, 9)]
        else:
            data[at:at] = rng.choice([b"{", b"}", b'"', b"\\", b"\xff", b"\0", b",", b"[[[[", b"0" * 50, b'"a":1,"a":1'])
    return bytes(data)


def headers():
    chosen = {}
    if rng.random() < 0.95:
        chosen["Content-Type"] = rng.choice(["application/json"] * 20 + ["application/json; charset=utf-8", "text/plain", "", "application/jsonx"])
    if rng.random() < 0.3:
        chosen["Tidemark-Timeout-Ms"] = str(rng.choice([20, 50, 100, 0, -1, "x", 10001, 1.5]))
    else:
        chosen["Tidemark-Timeout-Ms"] = "100"
    if rng.random() < 0.2:
        chosen["traceparent"] = rng.choice(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "junk", ""])
    if rng.random() < 0.02:
        chosen["X-Long"] = "x" * rng.choice([100, 8300, 20000])
    return chosen


server = Server("--set", "http.max_body=8192B", "--set", "http.max_batch=5", level="warn", features=with_profiles())
routes = [(path, method, operation) for path, method, operation in document.operations() if "servers" not in document.root["paths"][path]]
wrong, met = [], {}
connection = server.connect()
memory = 0


def resident():
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


for n in range(count):
    path, method, operation = rng.choice(routes)
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        value = message(schema)
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
            value = spoil(value)
        body = json.dumps(value).encode()
        if rng.random() < 0.1:
            body = spoil_bytes(body)
        if rng.random() < 0.01:
            body += b" " * 9000
    verb = rng.choice(["GET", "PUT", "DELETE", "POST", "PATCH", "HEAD", "OPTIONS"]) if rng.random() < 0.03 else method.upper()
    try:
        status, got, text = server.ask(verb, path, body, headers(), connection=connection)
    except (OSError, ValueError) as error:
        wrong.append((n, verb, path, repr(error)))
        connection.close()
        if server.process.poll() is not None:
            break
        continue
    met[(path, status)] = met.get((path, status), 0) + 1
    why = document.check(verb, path, status, got, text) if verb not in ("HEAD",) else None
    if why:
        wrong.append((n, verb, path, body, why))
    if n == count // 2:
        memory = resident()
case(f"{count} requests (seed {seed}): every answer is one of the document's", not wrong, f"{len(wrong)}: {str(wrong[:1])[:280]}")
case("the server lives", server.process.poll() is None)
case("some of each kind were met", all(sum(k for (_, status), k in met.items() if status == s) > 3 for s in (200, 400, 405, 413, 415, 422, 431)), met)
case("and on every route good ones", all(met.get((path, 200)) for path, _, _ in routes), met)
case("the second half needs hardly more memory than the first", resident() < memory + 16 * 1024 * 1024, (memory, resident()))
connection.close()
case("nothing is left under way", server.settled("tidemark_http_in_flight", 0))
case("it stops cleanly", server.stop() == 0)
done()
