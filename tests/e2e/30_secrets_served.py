"""What a serving engine leaves behind has no card number, key, token or password in it: logs, journal, snapshots, metrics, what the verbs print of them, and no core file. It is
run with everything that is secret at once, at the most talkative level, and asked things good and bad. Also: what it may do as a process. Prints TAP."""

import http.client
import json
import os
import pwd
import resource
import shutil
import signal
import ssl
import subprocess
import sys

sys.path.insert(0, "tests/support")
from http_server import JSON, SHIPPED, TIDE, Server, TMP, auth, case, done, login, outcome, tide  # noqa: E402
from certificates import Authority  # noqa: E402
from processes import wait_for  # noqa: E402

HERE = os.path.join(TMP, "secrets")
LEFT = os.path.join(TMP, "left")
os.makedirs(HERE)
os.makedirs(LEFT)


def file_of(name, text=None):
    path = os.path.join(HERE, name)
    if text is not None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o600)
    with open(path, encoding="utf-8") as file:
        return file.read()


def keep(name, text):
    with open(os.path.join(LEFT, name), "w", encoding="utf-8") as file:
        file.write(text)


tide("keys", "generate", os.path.join(HERE, "hash.key"))
line = tide("tokens", "generate", os.path.join(HERE, "client.token"), "--name", "client", "--scopes", "score,facts,read,monitor")
file_of("tokens", line)
token = file_of("client.token").strip()
stranger = "stranger-" + "5" * 40
authority = Authority(HERE, "cell")
own, client = authority.issue("server", "serverAuth"), authority.issue("client", "clientAuth")
password = "redis-password-47110815"
file_of("redis.password", password + "\n")
config = os.path.join(HERE, "tidemark.yaml")
file_of("tidemark.yaml", f"""features: {{file: {os.path.abspath(SHIPPED)}}}
keys: {{file: {HERE}/hash.key}}
journal: {{password_file: {HERE}/redis.password}}
http: {{tokens_file: {HERE}/tokens, tls_cert: {own.cert}, tls_key: {own.key}, tls_client_ca: {authority.cert}, admin_tls_cert: {own.cert}, admin_tls_key: {own.key}}}
""")
PANS = [f"4{n:015d}" for n in range(770000, 770040)]
key = file_of("hash.key").strip()
SECRETS = {"a card number": [pan.encode() for pan in PANS], "the hash key": [key.encode(), bytes.fromhex(key)], "a token": [token.encode(), stranger.encode()],
           "the TLS key": [text.encode() for text in file_of("server.key").splitlines()[1:-1]], "a password": [password.encode()]}


def no_core_limit():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def limit_of(pid, name):
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return next(text[len(name):].split()[:2] for text in file if text.startswith(name))


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(text.rstrip("\n").split(":\t", 1) for text in file if ":\t" in text)


server = Server("--config", config, dev_key=False)
server.tls = ssl.create_default_context(cafile=authority.cert)
server.tls.load_cert_chain(client.cert, client.key)
server.admin_tls = ssl.create_default_context(cafile=authority.cert)
server.token = token
for n, pan in enumerate(PANS):
    assert server.post("/v1/score", auth(n, pan), explain="full")[0] == 200
    server.post("/v1/events", login(1000 + n, pan))
    server.post("/v1/outcomes", outcome(n, card=pan))
pan = PANS[0]
CARD = {"card": {"number": pan}}
bad = [{**auth(1, pan), "card": {"number": {"pan": pan}}}, {**auth(1, pan), "amount": {"value": "x", "currency": "EUR"}}, {"type": "none", **CARD}, {"options": {"x": 1}, **CARD},
       b'{"card": ' + pan.encode(), pan.encode() * 2000]
# A number in a field that is not declared secret is quoted to who sent it, and to nobody else.
for body in ({**auth(1), "amount": {"value": pan, "currency": "EUR"}}, {**auth(1), "options": {pan: 1}}, {**auth(1), "at": pan}):
    server.post("/v1/score", body)
answers = "".join(server.ask("POST", path, body, JSON)[2] for path in ("/v1/score", "/v1/features", "/v1/decisions/lookup", "/v1/outcomes") for body in bad)
for path in (f"/v1/{pan}", f"/v1/score?pan={pan}&token={token}"):
    answers += server.ask("POST", path, auth(1, pan), JSON)[2]
for value in (f"Bearer {stranger}", f"Basic {token}", f"Bearer {token}{pan}", stranger):
    answers += server.ask("POST", "/v1/score", auth(1, pan), {**JSON, "Authorization": value})[2]
answers += server.ask("POST", "/v1/score", auth(1, pan), {**JSON, "Tidemark-Timeout-Ms": token, "traceparent": pan})[2]
plain = server.tls
server.tls = ssl.create_default_context(cafile=authority.cert)
answers += server.ask("POST", "/v1/score", auth(1, pan), JSON)[2]
server.tls = plain
keep("refusals", answers)
keep("metrics", server.ask("GET", "/metrics", admin=True)[2])
keep("health", server.ask("GET", "/healthz", admin=True)[2])
file_of("tokens", f"client score {token}\n")  # a mistake that people make
server.process.send_signal(signal.SIGHUP)
wait_for("it is read", lambda: "event=reload_refused" in server.log(), 20)
case("what was asked was refused and answered", "event=reload_refused" in server.log() and "event=http_refused" in server.log() and answers.count("urn:tidemark") > 20,
     answers.count("urn:tidemark"))
case("core dumps are off", limit_of(server.process.pid, "Max core file size") == ["0", "0"])
status = status_of(server.process.pid)
case("it cannot get new privileges", status["NoNewPrivs"] == "1")
case("it stops", server.stop() == 0)
keep("print-config", subprocess.run([TIDE, "serve", "--config", config, "--print-config"], capture_output=True, text=True, timeout=120).stdout)
keep("inspect", tide("inspect", server.journal[5:]) + tide("inspect", "--records", server.journal[5:]))
keep("audit", tide("audit", "--journal", server.journal))
for name in ("keys check", "config check"):
    result = subprocess.run([TIDE, *name.split(), os.path.join(HERE, "hash.key") if "keys" in name else config], capture_output=True, text=True, timeout=120)
    keep(name.replace(" ", "-"), result.stdout + result.stderr)
result = subprocess.run([TIDE, "serve", "--config", config, "--journal", f"redis://someone:{password}@127.0.0.1:1"], capture_output=True, text=True, timeout=120)
case("a password in an address is refused", result.returncode == 3 and "journal.password_file" in result.stderr, result.stderr[-300:])
keep("refused-url", result.stdout + result.stderr)

places = [os.path.join(base, name) for top in (LEFT, server.dir) for base, _, names in os.walk(top) for name in names]
found = {}
for path in places:
    with open(path, "rb") as file:
        data = file.read()
    for what, texts in SECRETS.items():
        if any(text in data for text in texts):
            found.setdefault(what, []).append(os.path.relpath(path, TMP))
case("there is something to look at", len(places) > 10 and sum(os.path.getsize(path) for path in places) > 100000, len(places))
for what in SECRETS:
    case(f"{what} is in none of it", what not in found, found.get(what))

# --- a crash

file_of("tokens", line)
for allowed in (False, True):
    words = ["--set", "process.core_dumps=true"] if allowed else []
    crash = os.path.join(TMP, f"crash{allowed}")
    os.makedirs(crash)
    process = subprocess.Popen([os.path.abspath(TIDE), "serve", "--config", config, "--journal", "memory", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=crash, preexec_fn=no_core_limit)
    ready = process.stdout.readline()
    cores = limit_of(process.pid, "Max core file size")
    if not allowed:
        process.send_signal(signal.SIGSEGV)
        _, code = os.waitpid(process.pid, 0)
        case("a crash leaves no core file", "ready" in ready and os.WIFSIGNALED(code) and not os.WCOREDUMP(code) and not os.listdir(crash), (ready, code, os.listdir(crash)))
    else:
        case("unless it is told to", cores == ["unlimited", "unlimited"], cores)
        process.terminate()
        process.wait(120)
    process.stdout.close()

# --- a user of its own

command = [os.path.abspath(TIDE), "serve", "--features", os.path.abspath(SHIPPED), "--dev-key", "--journal", "memory", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
result = subprocess.run([*command, "--set", "process.user=nobody-of-this-name"], capture_output=True, text=True, timeout=120)
case("a user that is none is refused", result.returncode == 3 and "there is no user" in result.stderr, result.stderr[-200:])
if os.geteuid() == 0:
    result = subprocess.run([*command, "--set", "process.user=root"], capture_output=True, text=True, timeout=120)
    case("root is no user to become", result.returncode == 3 and "without privileges" in result.stderr, result.stderr[-200:])
    nobody = pwd.getpwnam("nobody")
    # Its files must be its own: what it cannot read is found before anything is begun. They are named from where the process stands, because the way to them may lead through a
    # directory that only root may enter, as /root is.
    place = os.path.join(TMP, "nobody")
    os.makedirs(place)
    shutil.copy(os.path.join(HERE, "hash.key"), place)
    shutil.copyfile(SHIPPED, os.path.join(place, "features.yaml"))
    os.chmod(os.path.join(place, "features.yaml"), 0o644)
    command[3] = "features.yaml"
    result = subprocess.run([*command[:4], *command[5:], "--key-file", "hash.key", "--set", "process.user=nobody"], cwd=place, capture_output=True, text=True, timeout=120)
    case("a key that the user cannot read is told at the start", result.returncode == 4 and "cannot read the key file" in result.stderr, (result.returncode, result.stderr[-200:]))
    process = subprocess.Popen([*command, "--set", "process.user=nobody"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    ready = process.stdout.readline()
    status = status_of(process.pid)
    ids = [status["Uid"].split(), status["Gid"].split()]
    case("started as root it becomes the user for good", "ready" in ready and ids == [[str(nobody.pw_uid)] * 4, [str(nobody.pw_gid)] * 4], (ready, ids))
    case("and has no capability", int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, status["CapPrm"])
    case("its memory is nobody's to read", os.stat(f"/proc/{process.pid}/environ").st_uid == 0)
    process.terminate()
    case("it ends", process.wait(120) == 0)
    process.stdout.close()
else:
    result = subprocess.run([*command, "--set", "process.user=nobody"], capture_output=True, text=True, timeout=120)
    case("who is not root cannot become another user", result.returncode == 3 and "only root" in result.stderr, result.stderr[-200:])
done()
