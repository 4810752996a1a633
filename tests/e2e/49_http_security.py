"""Certificates, tokens and rates on real sockets: who is refused and how, on every route, what a reload changes, and that no token is repeated anywhere. Prints TAP."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings

sys.path.insert(0, "tests/support")
from http_server import JSON, SHIPPED, TIDE, Document, Server, TMP, auth, case, done, login, outcome, profile, tide, with_profiles  # noqa: E402
from certificates import Authority  # noqa: E402

CARD = {"card": {"number": "4000000000000002"}}
with open("engine/http/openapi.yaml", encoding="utf-8") as file:
    document = Document(file.read())
routes = [(row[1], row[2], row[3], row[5]) for row in (line.split("\t") for line in tide("docs", "routes").splitlines()) if row[0] == "route"]
GUARDED = [r for r in routes if r[3] != "open"]
seen, problems = set(), set()


def path_of(name):
    return os.path.join(TMP, name)


def write(name, text):
    with open(path_of(name), "w", encoding="utf-8") as file:
        file.write(text)
    return path_of(name)


def token(name, scopes):
    """(the token, its line)"""
    line = tide("tokens", "generate", path_of(name + ".token"), "--name", name, "--scopes", scopes).strip()
    with open(path_of(name + ".token"), encoding="utf-8") as file:
        return file.read().strip(), line


def ask(server, method, path, body=None, key=None, headers=None, admin=False):
    """(status, problem type or None, headers); the answer is held against the document."""
    all_headers = {**(JSON if body is not None else {}), **({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
    status, got, text = server.ask(method, path, body, all_headers, admin)
    wrong = document.check(method, path, status, got, text)
    seen.add((path, method.lower(), status))
    kind = json.loads(text).get("type", "").rsplit(":", 1)[-1] if "problem" in got.get("content-type", "") else None
    if kind:
        problems.add(kind)
    # What fresh answers look like is the business of 40_http_routes.
    if status >= 400 and wrong and "freshness" not in wrong:
        case(f"{method} {path} is as documented", False, wrong)
    return status, kind, got


def body_of(path):
    return {"/v1/score": auth(1), "/v1/score/batch": [auth(1)], "/v1/events": login(2), "/v1/outcomes": outcome(1), "/v1/profiles": profile(segment="a"),
            "/v1/features": CARD, "/sources/accept-gap": {"source": "none", "partition": 0, "cursor": "begin"},
            "/sources/waive": {"source": "none", "partition": 0, "for": "1m"}, "/v1/decisions/lookup": {k: auth(1)[k] for k in ("rrn", "stan", "acquirer", "card")},
            "/explain": {"message": {k: auth(1)[k] for k in ("rrn", "stan", "acquirer", "card")}}}.get(path)


def hup(server, event):
    before = server.log().count(f"event={event}")
    server.process.send_signal(signal.SIGHUP)
    for _ in range(1200):
        if server.log().count(f"event={event}") > before:
            return True
        time.sleep(0.05)
    return False


def refuses(name, words, *args):
    result = subprocess.run([TIDE, "serve", "--features", SHIPPED, "--journal", "memory", "--dev-key", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *args],
                            capture_output=True, text=True, timeout=120)
    case(name, result.returncode != 0 and words in result.stderr and not result.stdout, f"{result.returncode} {result.stderr[-300:]!r}")
    return result.stderr


# --- tokens

SCOPES = sorted({r[3] for r in GUARDED}) + ["operate"]
keys, lines = {}, {}
for scope in dict.fromkeys(SCOPES):
    keys[scope], lines[scope] = token(scope, scope)
keys["two"], lines["two"] = token("two", "score,read")
keys["other"], _ = token("other", "score")  # in no list
tokens = write("tokens", "# who may ask what\n\n" + "\n".join(lines.values()) + "\n")
case("the file of a token is its owner's", os.stat(path_of("two.token")).st_mode & 0o777 == 0o600)
case("a line has the hash and not the token", keys["two"] not in lines["two"] and len(lines["two"].split()[2]) == 64)
case("the line of a token that is there is the same", tide("tokens", "line", path_of("two.token"), "--name", "two", "--scopes", "score,read").strip() == lines["two"])
case("sha256sum makes the same hash",
     subprocess.run(["sha256sum"], input=keys["two"].encode(), capture_output=True, timeout=60).stdout.split()[0].decode() == lines["two"].split()[2])
case("a token is never overwritten", tide("tokens", "generate", path_of("two.token"), "--name", "x", "--scopes", "read", code=None).returncode == 4)
case("scopes are words of the list", "score, facts" in tide("tokens", "generate", path_of("no.token"), "--name", "x", "--scopes", "admin", code=None).stderr
     and not os.path.exists(path_of("no.token")))

server = Server("--set", f"http.tokens_file={tokens}", level="debug", features=with_profiles())
for listener, method, path, scope in GUARDED:
    admin, body = listener == "admin", body_of(path)
    status, kind, got = ask(server, method, path, body, admin=admin)
    case(f"{path}: no token", (status, kind) == (401, "unauthorized") and got["www-authenticate"] == 'Bearer realm="tidemark"', (status, got))
    status, kind, got = ask(server, method, path, body, keys["other"], admin=admin)
    case(f"{path}: an unknown token", (status, kind) == (401, "unauthorized") and "invalid_token" in got["www-authenticate"], (status, got))
    wrong = next(s for s in SCOPES if s != scope)
    status, kind, got = ask(server, method, path, body, keys[wrong], admin=admin)
    case(f"{path}: a token of another scope", (status, kind) == (403, "forbidden") and f'scope="{scope}"' in got["www-authenticate"], (status, got))
    status, kind, _ = ask(server, method, path, body, keys[scope], admin=admin)
    case(f"{path}: the right one", status in ((404,) if path == "/snapshot" or path.startswith("/sources/") else (200,)), (status, kind))
for _, method, path, scope in routes:
    if scope == "open":
        status, _, _ = server.ask(method, path, admin=path != "/v1/openapi.yaml")
        case(f"{path} is open", status == {"/console/login": 400, "/console/logout": 303}.get(path, 200), status)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def login_as(key, **headers):
    """(status, the cookie or None)"""
    status, _, got = ask(server, "POST", "/console/login", f"token={key}".encode(), headers={**FORM, **headers}, admin=True)
    return status, got.get("set-cookie", "").split(";")[0] or None


case("a login with an unknown token, and with one that may not look", [login_as(keys["other"]), login_as(keys["read"])] == [(401, None), (403, None)])
case("a login or a logout from another page", login_as(keys["monitor"], Origin="http://evil.example") == (403, None) == login_as(keys["monitor"], **{"Sec-Fetch-Site": "cross-site"})
     and ask(server, "POST", "/console/logout", headers={"Origin": "http://evil.example"}, admin=True)[0] == 403)
status, _, got = ask(server, "POST", "/console/login", f"token={keys['monitor']}".encode(), headers=FORM, admin=True)
cookie = got["set-cookie"].split(";")[0]
case("a login gives a session that scripts and other sites do not get", status == 303 and {"HttpOnly", "SameSite=Strict", "Path=/"} <= {word.strip() for word in got["set-cookie"].split(";")}, got)
case("a session is a number of its own", re.fullmatch(f"tidemark_{server.admin}=[0-9a-f]{{64}}", cookie) and keys["monitor"] not in cookie, cookie)
SEEN_BY = {r[2]: r[3] for r in GUARDED if r[0] == "admin" and r[1] == "GET"}
with_session = {path: ask(server, "GET", path, headers={"Cookie": cookie}, admin=True)[0] for path in SEEN_BY}
case("it reads what its token may read, and no more", all((status in (200, 404)) == (SEEN_BY[path] == "monitor") for path, status in with_session.items())
     and ask(server, "POST", "/explain", body_of("/explain"), headers={"Cookie": cookie}, admin=True)[0] == 403, with_session)
case("it decides nothing, even where its token may", [ask(server, "POST", path, body_of(path), headers={"Cookie": login_as(keys[who])[1] or cookie}, admin=True)[0] for path in ("/sources/waive", "/sources/accept-gap")
                                                     for who in ("monitor", "operate")] == [401] * 4)
case("neither does it ask for decisions", ask(server, "POST", "/v1/score", auth(1), headers={"Cookie": cookie})[0] == 401)
for name, value in (("one digit changed", cookie[:-1] + ("0" if cookie[-1] != "0" else "1")), ("cut", cookie[:-1]), ("nothing", cookie.split("=")[0] + "="), ("the token", cookie.split("=")[0] + "=" + keys["monitor"])):
    case(f"no session: {name}", ask(server, "GET", "/status", headers={"Cookie": value}, admin=True)[:2] == (401, "unauthorized"))
case("a logout ends it", ask(server, "POST", "/console/logout", headers={"Cookie": cookie}, admin=True)[0] == 303 and ask(server, "GET", "/status", headers={"Cookie": cookie}, admin=True)[0] == 401)
kept = login_as(keys["two"])[1], login_as(keys["monitor"])[1]
case("a second session is there until its token is taken away", kept[0] is None and ask(server, "GET", "/status", headers={"Cookie": kept[1]}, admin=True)[0] == 200)
many_more = [login_as(keys["monitor"])[1] for _ in range(64)]
case("of more sessions than there is room for the one that was used longest ago ends", ask(server, "GET", "/status", headers={"Cookie": kept[1]}, admin=True)[0] == 401
     and all(ask(server, "GET", "/status", headers={"Cookie": one}, admin=True)[0] == 200 for one in many_more[-3:]))
case("a token of two scopes has both", [ask(server, "POST", p, body_of(p), keys["two"])[0] for p in ("/v1/score", "/v1/features", "/v1/events")] == [200, 200, 403])
for name, value in (("another scheme", f"Basic {keys['score']}"), ("nothing behind the scheme", "Bearer"), ("one character less", f"Bearer {keys['score'][:-1]}"),
                    ("one more", f"Bearer {keys['score']}x"), ("the hash", f"Bearer {lines['score'].split()[2]}"), ("two tokens", f"Bearer {keys['score']} {keys['score']}"),
                    ("other letters", f"Bearer {keys['score'].swapcase()}")):
    status, kind, _ = ask(server, "POST", "/v1/score", auth(3), headers={"Authorization": value})
    case(f"not taken: {name}", (status, kind) == (401, "unauthorized"), status)
case("the scheme may be written as one likes", ask(server, "POST", "/v1/score", auth(3), headers={"Authorization": f"bearer {keys['score']}"})[0] == 200)
before = server.metric("tidemark_engine_records_total") if server.ask("GET", "/metrics", None, {}, True)[0] == 200 else None
case("metrics need their token as well", before is None)
status, _, page = server.ask("GET", "/metrics", None, {"Authorization": f"Bearer {keys['monitor']}"}, True)
case("refusals are counted by type", 'problems_total{type="unauthorized"}' in page and 'code="403"' in page)
connection = server.connect()
answers = [server.ask("POST", "/v1/score", auth(9 + n), {**JSON, "Authorization": f"Bearer {keys[who]}"}, connection=connection)[0]
           for n, who in enumerate(("score", "other", "read", "score"))]
case("every request of a connection is judged by itself", answers == [200, 401, 403, 200], answers)
connection.close()
status = server.ask("POST", "/v1/score", b" " * 60000, {**JSON})[0]
case("a long body without a token is not looked at", status == 401, status)

# --- a reload

del lines["two"]
keys["new"], lines["new"] = token("new", "score")
write("tokens", "\n".join(lines.values()) + "\n")
case("a list that is changed is read on SIGHUP", hup(server, "reloaded"))
monitor_line = lines.pop("monitor")
write("tokens", "\n".join(lines.values()) + "\n")
case("a token that is taken away takes its sessions with it", hup(server, "reloaded") and ask(server, "GET", "/status", headers={"Cookie": many_more[-1]}, admin=True)[0] == 401)
lines["monitor"] = monitor_line
case("who is left out is refused, who is new is not", [ask(server, "POST", "/v1/score", auth(20), keys[w])[0] for w in ("two", "new")] == [401, 200])
write("tokens", "new score " + keys["new"] + "\n")
case("a list with a mistake changes nothing", hup(server, "reload_refused") and ask(server, "POST", "/v1/score", auth(21), keys["new"])[0] == 200)
case("the log says the line and not the token", "tokens:1:" in server.log() and keys["new"] not in server.log())
case("refusals are in the log, with who and why", "event=http_refused" in server.log() and "client=read" in server.log() and "from=127.0.0.1" in server.log())
server.stop()
everything = b"".join(open(os.path.join(base, name), "rb").read() for base, _, names in os.walk(server.dir) for name in names)
case("no token is in anything that it wrote", not any(key.encode() in everything for key in keys.values()) and b"http_refused" in everything)
case("and no hash of one", not any(line.split()[2].encode() in everything for line in lines.values()))

for name, text, words in (("an empty list", "# nobody\n", "holds no token"), ("a scope that is none", lines["read"].replace(" read ", " admin "), "second word"),
                          ("`open` is nobody's scope", lines["read"].replace(" read ", " open "), "second word"),
                          ("a token for its hash", f"a read {keys['read']}", "third word"), ("two words", "a read", "third word"),
                          ("a name twice", lines["read"] + "\n" + lines["read"], "name stands"), ("a token twice", lines["read"] + "\n" + lines["read"].replace("read", "x", 1), "another name"),
                          ("a name that is none", "?" + lines["read"], "first word"), ("four words", lines["read"] + " x", "fourth")):
    err = refuses(f"a list with a mistake: {name}", words, "--set", f"http.tokens_file={write('wrong', text)}")
    case("and it is not repeated", keys["read"] not in err and lines["read"].split()[2] not in err)
refuses("no list", "cannot open the file of tokens", "--set", "http.tokens_file=/nowhere")
os.chmod(write("anybody", lines["read"] + "\n"), 0o666)
refuses("a list that everybody may write", "chmod o-w", "--set", f"http.tokens_file={path_of('anybody')}")

# --- rates

server = Server("--set", "http.rate=1", "--set", "http.burst=8", "--set", f"http.tokens_file={write('tokens', chr(10).join(lines.values()))}", journal="memory", level="warn")


def many(count, path="/v1/score", who="score"):
    return [ask(server, "POST", path, auth(100 + n) if path == "/v1/score" else body_of(path), keys[who])[:2] for n in range(count)]


statuses = [s for s, _ in many(14)]
case("a burst is taken, then no more", statuses[:8] == [200] * 8 and statuses.count(429) >= 4, statuses)
status, got, text = server.ask("POST", "/v1/score", auth(200), {**JSON, "Authorization": f"Bearer {keys['score']}"})
answer = json.loads(text)
case("who asks too often gets the fallback's decision all the same", status == 429 and answer["status"] == "refused" and answer["decision"] and answer["cause"] == "overload"
     and answer["counted"] is False, answer)
case("and is told when to come again", 1 <= int(got["retry-after"]) <= 2, got)
case("another client is not disturbed", ask(server, "POST", "/v1/score", auth(201), keys["new"])[0] == 200)
status, _, text = server.ask("POST", "/v1/score/batch", [auth(300 + n) for n in range(50)], {**JSON, "Authorization": f"Bearer {keys['new']}"})
case("a batch that is let in is answered as a whole", status == 200 and len(json.loads(text)["answers"]) == 50, status)
status, got, text = server.ask("POST", "/v1/score/batch", [auth(400), auth(401)], {**JSON, "Authorization": f"Bearer {keys['new']}"})
seen.add(("/v1/score/batch", "post", status))
case("and paid for: the next one waits", status == 429 and int(got["retry-after"]) >= 5 and all(a["decision"] for a in json.loads(text)["answers"]), (status, got))
for path, who in (("/v1/features", "read"), ("/v1/decisions/lookup", "read"), ("/v1/events", "facts"), ("/v1/outcomes", "facts"), ("/v1/profiles", "facts")):
    found = [many(1, path, who)[0] for _ in range(12)]
    case(f"{path} beyond the rate is a problem", (429, "rate-limited") in found, found)
time.sleep(1.1)
case("after a rest it is taken again", ask(server, "POST", "/v1/score", auth(210), keys["score"])[0] == 200)
server.stop()
server = Server("--set", "http.rate=1000000", journal="memory", level="warn")
case("a high rate lets everything through", {s for s, _ in [ask(server, "POST", "/v1/score", auth(n))[:2] for n in range(50)]} == {200})
server.stop()
config = write("rate.yaml", "http: {rate: 1, burst: 1}\n")
server = Server("--config", config, journal="memory", level="info")
first = [ask(server, "POST", "/v1/score", auth(n))[0] for n in range(6)]
write("rate.yaml", "http: {rate: 0}\n")
case("without tokens the address is counted; a reload lifts the limit", 429 in first and hup(server, "reloaded")
     and {ask(server, "POST", "/v1/score", auth(50 + n))[0] for n in range(6)} == {200}, first)
server.stop()

# --- TLS

good, stranger = Authority(path_of("good"), "cell"), Authority(path_of("stranger"), "stranger")
own = good.issue("server", "serverAuth")
clients = {"good": good.issue("client", "clientAuth"), "wrong authority": stranger.issue("client", "clientAuth"), "a server's": good.issue("other-server", "serverAuth"),
           "expired": good.issue("old", "clientAuth", days=-1), "none": None}
TLS = ("--set", f"http.tls_cert={own.cert}", "--set", f"http.tls_key={own.key}", "--set", f"http.admin_tls_cert={own.cert}", "--set", f"http.admin_tls_key={own.key}")
MUTUAL = (*TLS, "--set", f"http.tls_client_ca={good.cert}", "--set", f"http.admin_tls_client_ca={good.cert}")


def context(client=None, authority=good, versions=None, ciphers=None):
    found = ssl.create_default_context(cafile=authority.cert)
    found.check_hostname = True
    if versions:
        found.minimum_version = found.maximum_version = versions
    if ciphers:
        found.set_ciphers(ciphers)
    if client:
        found.load_cert_chain(client.cert, client.key)
    return found


server = Server(*TLS, "--set", f"http.tokens_file={write('tokens', chr(10).join(lines.values()))}", level="warn")
server.tls = server.admin_tls = context()
status, _, got = ask(server, "POST", "/console/login", f"token={keys['monitor']}".encode(), headers={**FORM, "Origin": f"https://127.0.0.1:{server.admin}"}, admin=True)
case("a session that was opened over TLS travels over TLS only", status == 303 and "Secure" in {word.strip() for word in got["set-cookie"].split(";")}, got)
case("and is one", ask(server, "GET", "/status", headers={"Cookie": got["set-cookie"].split(";")[0]}, admin=True)[0] == 200)
server.stop()
server = Server(*TLS, level="info")
server.tls = server.admin_tls = context()
case("a request over TLS", server.post("/v1/score", auth(1))[0] == 200 and server.ask("GET", "/metrics", admin=True)[0] == 200)
for version, name in ((ssl.TLSVersion.TLSv1_2, "1.2"), (ssl.TLSVersion.TLSv1_3, "1.3")):
    server.tls = context(versions=version)
    case(f"TLS {name} is spoken", server.post("/v1/score", auth(2))[0] == 200)


def shakes(server, found):
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain, found.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            return sock.version()
    except (ssl.SSLError, ConnectionError):
        return None


warnings.simplefilter("ignore", DeprecationWarning)  # of asking for old versions
with_old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
with_old.check_hostname, with_old.verify_mode = False, ssl.CERT_NONE
with_old.set_ciphers("ALL:@SECLEVEL=0")
with_old.minimum_version, with_old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
case("TLS 1.0 and 1.1 are not", shakes(server, with_old) is None)
case("nor ciphers without forward secrecy", shakes(server, context(versions=ssl.TLSVersion.TLSv1_2, ciphers="AES128-GCM-SHA256")) is None)
case("nor CBC", shakes(server, context(versions=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256")) is None)
case("a client that trusts another authority goes away", shakes(server, context(authority=stranger)) is None)
server.tls = None
try:
    status = server.ask("POST", "/v1/score", auth(3))[0]
except (http.client.HTTPException, ConnectionError):
    status = None
case("plain HTTP is not answered", status != 200, status)
with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
    sock.sendall(bytes(range(1, 251)) * 2)  # no head of a TLS record, behind which more would be waited for
    try:
        sock.recv(100)
    except ConnectionError:
        pass
server.tls = context()
case("noise ends its own connection only", server.post("/v1/score", auth(4))[0] == 200)
results = []
threads = [threading.Thread(target=lambda t=t: results.extend(server.post("/v1/score", auth(1000 * t + n))[0] for n in range(20))) for t in range(1, 5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
case("several at once", results == [200] * 80, results[:5])

# new certificates on SIGHUP
kept = server.connect()
server.ask("POST", "/v1/score", auth(5), connection=kept)
number = ssl.get_server_certificate(("127.0.0.1", server.port))
good.issue("server", "serverAuth")
case("a reload takes the new certificate", hup(server, "reloaded") and ssl.get_server_certificate(("127.0.0.1", server.port)) != number)
status, got, _ = server.ask("POST", "/v1/score", auth(6), connection=kept)
case("an open connection gets its answer, and is closed behind it", status == 200 and got.get("connection") == "close", got)
kept.close()
now = ssl.get_server_certificate(("127.0.0.1", server.port))
with open(own.key, encoding="utf-8") as file:
    key = file.read()
write("good/server.key", "no key")
case("a key that is none is refused, and the old one stays", hup(server, "reload_refused") and ssl.get_server_certificate(("127.0.0.1", server.port)) == now)
write("good/server.key", key)
case("it stops", server.stop() == 0)
everything = b"".join(open(os.path.join(base, name), "rb").read() for base, _, names in os.walk(server.dir) for name in names)
case("nothing of the key is in what it wrote", not any(line.encode() in everything for line in key.splitlines()[1:-1]))

# client certificates
server = Server(*MUTUAL, level="info", features=with_profiles())
for name, client in clients.items():
    server.tls = server.admin_tls = context(client)
    refusal = {"none": "none was shown", "expired": "expired", "a server's": "not one for clients", "wrong authority": "not trusted"}.get(name)
    for listener, method, path, scope in GUARDED if name in ("none", "good") else [("api", "POST", "/v1/score", "score"), ("admin", "GET", "/metrics", "monitor")]:
        status, kind, _ = ask(server, method, path, body_of(path), admin=listener == "admin")
        if client is clients["good"]:
            case(f"{path}: a good client certificate", status in (200, 404), status)
        else:
            case(f"{path}: {name}", (status, kind) == (403, "client-certificate"), (status, kind))
    if refusal:
        case("it is told why", refusal in server.ask("POST", "/v1/score", auth(1))[2])
    case(f"probes are open: {name}", server.ask("GET", "/livez", admin=True)[0] == 200)
server.tls = context(clients["none"])
case("what such a client sends is not counted", server.log().count("http_refused") > 5)
server.stop()

# both
server = Server(*MUTUAL, "--set", f"http.tokens_file={write('tokens', chr(10).join(lines.values()))}", "--set", "http.threads=2", journal="memory", level="warn")
server.tls = server.admin_tls = context(clients["good"])
case("certificate and token are both asked for", [ask(server, "POST", "/v1/score", auth(1), k)[0] for k in (None, keys["read"], keys["score"])] == [401, 403, 200])
server.tls = context()
case("a token alone does not do", ask(server, "POST", "/v1/score", auth(1), keys["score"])[:2] == (403, "client-certificate"))
server.stop()

# mistakes
pair = lambda cert, key: ("--set", f"http.tls_cert={cert}", "--set", f"http.tls_key={key}")  # noqa: E731
refuses("a certificate without its key", "go together", "--set", f"http.tls_cert={own.cert}")
refuses("authorities without a certificate", "needs both", "--set", f"http.admin_tls_client_ca={good.cert}")
refuses("the key of another certificate", "no pair", *pair(own.cert, clients["good"].key))
refuses("a file that is no PEM", "no pair", *pair(tokens, own.key))
refuses("a certificate that is not there", "cannot open the certificate", *pair("/nowhere", own.key))
refuses("authorities that are none", "no certificate of an authority", *pair(own.cert, own.key), "--set", f"http.tls_client_ca={tokens}")

missing = sorted((path, method, status) for path, method, operation in document.operations() for status in map(int, operation["responses"])
                 if status in (401, 403, 429) and (path, method, status) not in seen)
case("every refusal that is documented was met", not missing, missing)
case("and every type of problem", problems >= {"unauthorized", "forbidden", "client-certificate", "rate-limited"}, problems)
done()
