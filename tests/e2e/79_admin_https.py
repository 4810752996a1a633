"""The operators' verbs at an admin listener behind TLS: what they need to be let in, what they say when they are not, and that neither token nor key is repeated. Prints TAP."""

import json
import os
import subprocess
import sys

sys.path.insert(0, "tests/support")
from certificates import Authority  # noqa: E402
from http_server import TIDE, Server, TMP, case, done, tide  # noqa: E402


def token(name, scopes):
    """(path of the token's file, its line for the engine)"""
    path = os.path.join(TMP, name)
    return path, tide("tokens", "generate", path, "--name", name, "--scopes", scopes).strip()


ours, other = Authority(os.path.join(TMP, "ours"), "ours"), Authority(os.path.join(TMP, "other"), "other")
pair, client, foreign = ours.issue("engine", "serverAuth"), ours.issue("operator", "clientAuth"), other.issue("stranger", "clientAuth")
monitor, line = token("monitor", "monitor")
score, more = token("score", "score")
with open(os.path.join(TMP, "tokens"), "w", encoding="utf-8") as file:
    file.write(line + "\n" + more + "\n")
os.chmod(file.name, 0o600)
server = Server("--set", f"http.admin_tls_cert={pair.cert}", "--set", f"http.admin_tls_key={pair.key}", "--set", f"http.admin_tls_client_ca={ours.cert}", "--set",
                f"http.tokens_file={file.name}")
said = ""


def ask(*words):
    """(exit code, what it printed, what it said)"""
    global said
    result = subprocess.run([TIDE, "source", "list", "--admin", f"127.0.0.1:{server.admin}", *words], capture_output=True, text=True, timeout=60)
    said += result.stdout + result.stderr
    return result.returncode, result.stdout, result.stderr


access = ["--ca", ours.cert, "--cert", client.cert, "--key", client.key]
code, out, err = ask(*access, "--token-file", monitor)
case("with authority, certificate and token it answers", code == 0 and "the cell has no sources" in out, (code, out, err))
code, out, err = ask(*access, "--token-file", monitor, "--json")
case("also as it came", code == 0 and json.loads(out)["sources"] == [], (code, out, err))
code, out, err = ask("--token-file", monitor)
case("by plain HTTP there is no answer, and a hint", code == 4 and ("--ca" in err or "no answer" in err), (code, err))
code, out, err = ask("--ca", other.cert, "--cert", client.cert, "--key", client.key, "--token-file", monitor)
case("an authority that the listener's certificate is not of", code == 4 and "certificate" in err, (code, err))
code, out, err = ask("--ca", ours.cert, "--token-file", monitor)
case("no certificate where one is asked for", code in (3, 4) and out == "", (code, err))
code, out, err = ask("--ca", ours.cert, "--cert", foreign.cert, "--key", foreign.key, "--token-file", monitor)
case("a certificate of somebody else's", code in (3, 4) and out == "", (code, err))
code, out, err = ask(*access)
case("no token", code == 3 and "token" in err, (code, err))
code, out, err = ask(*access, "--token-file", score)
case("a token of another scope", code == 3 and "monitor" in err, (code, err))
code, out, err = ask("--ca", ours.cert, "--cert", client.cert)
case("a certificate without its key", code == 2 and "--key" in err, (code, err))
code, out, err = ask("--cert", client.cert, "--key", client.key)
case("a certificate without an authority", code == 2 and "--ca" in err, (code, err))
code, out, err = ask("--ca", os.path.join(TMP, "none.pem"))
case("a file that is not there", code != 0 and out == "", (code, err))
result = subprocess.run([TIDE, "source", "waive", "auths", "0", "--for", "1m", "--admin", f"127.0.0.1:{server.admin}", *access, "--token-file", monitor],
                        capture_output=True, text=True, timeout=60)
said += result.stdout + result.stderr
case("who may only look may not decide", result.returncode == 3 and "operate" in result.stderr, result)
for path in (monitor, score, client.key):
    with open(path, encoding="utf-8") as file:
        secret = file.read().strip().splitlines()[1 if path == client.key else 0]
    case(f"{os.path.basename(path)} is not repeated", secret not in said and secret not in server.log())
case("it stops cleanly", server.stop() == 0)
done()
