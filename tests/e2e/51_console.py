"""The operator's console in headless Chromium, over real engines: what a person sees when all is well, when a source is silent, when a replica is lost, when the engine is gone; who gets in and who does
not; a decision looked up and explained; texts of strangers that would like to be markup. Pictures of each are left in build/console/. Prints TAP.
"""

import json
import os
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, "tests/support")
from browser import Browser, need_browser  # noqa: E402
from http_server import Server, tide  # noqa: E402
from redis_cell import Cell  # noqa: E402
from processes import wait_for  # noqa: E402
from tap import TMP, case, done, skip  # noqa: E402
import kafka_cell  # noqa: E402
import with_kafka  # noqa: E402

need_browser()
PICTURES = "build/console"
EVIL = "<img src=x onerror=\"document.title='owned'\">"
CARD = "4000000000000077"
FEATURES = f"""tidemark: 1
name: console
event: {{id: id, time: time, amount: amount in EUR, score: kind = auth, key: pan}}
inputs:
  default: {{id: /id, kind: {{at: /kind, default: auth}}, time: {{at: /time, as: epoch_ms, optional: true}}, amount: {{at: /amount, currency: /currency}}, pan: /card/number, merchant: /merchant}}
  outcomes: {{when: {{/type: outcome}}, type: outcome, id: /id, pan: /card/number, result: {{at: /result, map: {{"00": approved, "*": declined}}}}}}
entities: {{card: pan, merchant: merchant}}
features:
  card: {{attempts: "count over 1m, 1h, 24h with current", declines: count over 1h where result = declined, spend: "sum of amount over 1h, 24h"}}
  merchant: {{seen: count over 10m with current}}
freshness:
  default: {{budget: 10s, stale: fallback, warming: mark, consistency: quorum}}
policy:
  decisions: [approve, review, decline]
  rules:
    - D1: decline when card.declines_1h >= 2 say "{{card.declines_1h}} declines <b>here</b> {EVIL.replace('"', "'")}"
    - R1: review when card.attempts_1m > 3 say "{{card.attempts_1m}} attempts in a minute"
    - S1: shadow decline when card.spend_1h > 100
    - else: approve
  fallback: [{{F1: approve when amount <= 1.00}}, {{else: decline}}]
"""


def write(name, text):
    with open(os.path.join(TMP, name), "w", encoding="utf-8") as file:
        file.write(text)
    return os.path.join(TMP, name)


def message(number, card=CARD, merchant=EVIL, amount="12.50"):
    return {"id": number, "card": {"number": card}, "amount": amount, "currency": "EUR", "merchant": merchant}


def token(name, scopes):
    """(the token, its line)"""
    line = tide("tokens", "generate", os.path.join(TMP, name + ".token"), "--name", name, "--scopes", scopes).strip()
    with open(os.path.join(TMP, name + ".token"), encoding="utf-8") as file:
        return file.read().strip(), line


def on(admin):
    return f"http://127.0.0.1:{admin}/console"


def board(page, url):
    page.open(url)
    page.wait("!document.getElementById('board').hidden && document.querySelector('#tiles .tile')")
    return page


def fits(page, name):
    """Wide, narrow, dark: a picture of each, and no need to scroll sideways."""
    for width, height, dark in ((1280, 900, False), (1280, 900, True), (390, 844, False)):
        page.size(width, height, dark)
        page.wait("document.fonts.status === 'loaded'")
        time.sleep(0.3)
        case(f"{name}: fits {width} px{' in the dark' if dark else ''}", page.overflows() <= 0, page.overflows())
        page.picture(f"{PICTURES}/{name}-{width}{'-dark' if dark else ''}.png")
    page.size(1280, 900)


def head(page):
    return page.text("#verdict .head").replace("\n", " ")


def log_in(page, key):
    page.type("#token", key)
    page.key("Enter")


shutil.rmtree(PICTURES, ignore_errors=True)
browser = Browser()
servers, cell, broker = [], None, None
try:
    # --- who gets in

    key, line = token("night", "monitor,read,score,facts")
    other, other_line = token("gateway", "score")
    spare = token("spare", "monitor")[1]
    tokens = write("tokens", "\n".join((line, other_line, spare)) + "\n")
    server = Server("--set", f"http.tokens_file={tokens}", "--set", "cell.name=eu-1", features=write("features.yaml", FEATURES))
    servers.append(server)
    server.token = key
    page = browser.page().size(1280, 900).open(on(server.admin))
    page.wait("!document.getElementById('login').hidden")
    case("before a login nothing of the cell is shown", "eu-1" not in page.text() and page.eval("document.getElementById('board').hidden"), page.text())
    case("the token field has the focus, and hides what is typed", page.eval("document.activeElement.id") == "token" and page.eval("document.activeElement.type") == "password")
    log_in(page, "x" * 40)
    page.wait("document.getElementById('login-why').textContent")
    case("a wrong token is refused and forgotten", "not known" in page.text("#login-why") and page.eval("document.getElementById('token').value") == "", page.text("#login"))
    page.picture(f"{PICTURES}/login-wrong.png")
    log_in(page, other)
    page.wait("document.getElementById('login-why').textContent.includes('monitor')")
    case("so is one that may not look", page.eval("document.getElementById('board').hidden"))
    log_in(page, key)
    page.wait("!document.getElementById('board').hidden")
    case("the right one opens the board", "eu-1" in page.text("header") and "night" in page.text("#foot"), page.text("#foot"))
    case("the cookie is out of reach of scripts, and the token is kept nowhere", page.eval("document.cookie + Object.values({...localStorage, ...sessionStorage}).join()") == "")

    # --- all is well

    first = None
    for n in range(40):
        status, answer = server.post("/v1/score", message(f"t{n}", CARD if n < 6 else f"40000000000{n % 7:05d}", EVIL if n < 6 else f"m{n % 3}"))
        first = first or answer
        if n < 2:
            server.post("/v1/outcomes", {"type": "outcome", "id": f"t{n}", "card": {"number": CARD}, "result": "05"})
    last = server.post("/v1/score", message("t99"))[1]
    page.wait("document.querySelector('#decisions .legend b') && document.querySelectorAll('#rules tbody tr').length === 6 && [...document.querySelectorAll('#rules tbody tr')].some((row) => row.cells[2].textContent !== '0')", 30)
    case("what is well is said to be", head(page) == "✓ All is well" and page.eval("document.title").startswith("✓ eu-1"), (head(page), page.text("#verdict")))
    case("each group stands there with its budget", all(name in page.text("#freshness") for name in ("card", "merchant", "FRESH", "10 s")), page.text("#freshness"))
    case("and each rule with its hits, shadow rules too", all(code in page.text("#rules") for code in ("D1", "R1", "S1", "SHADOW", "F1")), page.text("#rules"))
    case("pictures say in words what they show", all(page.eval(f"[...document.querySelectorAll('#{panel} svg')].every((s) => s.getAttribute('aria-label') || s.getAttribute('aria-hidden'))") for panel in ("decisions", "journal", "latency")))
    fits(page, "healthy")

    # --- with the keyboard alone

    board(page, on(server.admin))
    order = []
    for _ in range(12):
        page.key("Tab")
        order.append(page.eval("document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20) || document.activeElement.tagName"))
        if order[-1] == "position":
            break
    case("everything is reached with the tabulator, the look-up as well", {"theme", "position"} <= set(order) and order[0].startswith("Skip"), order)
    case("and one sees where one is", page.eval("getComputedStyle(document.activeElement).outlineStyle") == "solid")

    # --- a decision, looked up

    page.call("Input.insertText", text=last["position"])
    page.key("Enter")
    page.wait("document.querySelector('#found .ruling')")
    found = page.text("#found")
    case("a decision is found by its position", last["decision"] in found and f"by {last['by']}" in found and last["position"] in found, found[:300])
    case("with the events in its card's windows", page.eval("document.querySelectorAll('#found svg.wide circle').length") == 6, page.eval("document.querySelectorAll('#found svg.wide circle').length"))
    case("declined and open ones apart", page.eval("document.querySelectorAll('#found svg.wide circle.k3').length") == 2)
    case("and its windows by name", all(text in page.text("#found svg.wide") or text in page.eval("document.querySelector('#found svg.wide').textContent") for text in ("1 min", "1 h", "1 d")))
    case("the card is shown as the beginning of its hash", CARD not in page.eval("document.documentElement.outerHTML") and re.search(r"pan\s+[0-9a-f]{8}…", found), found)
    case("a merchant's name is text, whatever it says", EVIL in found and page.eval("document.querySelectorAll('#found img, #rules img, #rules b b').length") == 0 and page.eval("document.title") != "owned", found)
    case("so is the text of a rule", "<b>here</b>" in page.text("#rules") and "<b>here</b>" in found, found[:600])
    fits(page, "explained")
    page.eval("[...document.querySelectorAll('#found .tabs button')].find((b) => b.textContent === 'merchant').click()")
    case("another entity has its own windows", "10 min" in page.eval("document.querySelector('#found svg.wide').textContent") and page.eval("document.activeElement.textContent") == "merchant")
    page.eval("document.querySelector('details').open = true")
    page.type("[data-at='/id']", "t3")
    page.type("[data-at='/card/number']", CARD)
    case("a card number is typed like a password", page.eval("document.querySelector(\"[data-at='/card/number']\").type") == "password")
    page.eval("document.querySelector('#by-message').requestSubmit()")
    page.wait("document.querySelector('#found .ruling') && document.querySelector('#found').innerText.includes('explain t3')")
    case("a decision is found by the transaction, and the card's number is gone from the page", page.eval("document.querySelector(\"[data-at='/card/number']\").value") == "")
    page.eval("document.getElementById('position').value = '1-99999.0'; document.querySelector('#by-position').requestSubmit()")
    page.wait("document.querySelector('#found .error')")
    case("what is not there is said not to be", "No decision" in page.text("#found") or "no event" in page.text("#found"), page.text("#found"))
    page.picture(f"{PICTURES}/not-found.png")
    addresses = {re.sub(r"^(https?://[^/]+).*", r"\1", url) for url in browser.requested if url.startswith("http")}
    case("nothing was asked for anywhere else", addresses == {f"http://127.0.0.1:{server.admin}"}, addresses)
    case("no address has a key, an id or a query in it", not any(word in url for url in browser.requested for word in (CARD, "?", "t3", last["position"])), [u for u in browser.requested if "?" in u])
    case("the page broke no rule of its own, and no script failed", page.said == [] or all("401" in text or "404" in text or "403" in text for text in page.said), page.said)

    # --- the session ends

    write("tokens", "\n".join((other_line, spare)) + "\n")
    server.process.send_signal(signal.SIGHUP)
    page.wait("!document.getElementById('login').hidden", 20)
    case("a session whose token is gone is over, and says so", "over" in page.text("#login-why") and page.eval("document.getElementById('board').hidden") and page.eval("document.querySelector('#found').children.length") == 0, page.text("#login-why"))
    page.picture(f"{PICTURES}/session-over.png")
    write("tokens", "\n".join((line, other_line, spare)) + "\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for("the list is read", lambda: server.log().count("event=reloaded") == 2, 10)
    log_in(page, key)
    page.wait("!document.getElementById('board').hidden")
    page.eval("document.getElementById('logout').requestSubmit()")
    page.wait("!document.getElementById('login').hidden")
    page.open(on(server.admin))
    page.wait("!document.getElementById('login').hidden")
    case("after a logout the browser has no session", page.eval("document.getElementById('board').hidden"))

    # --- the engine is gone

    log_in(page, key)
    page.wait("!document.getElementById('board').hidden")
    case("the engine stops cleanly under the eyes of the console", server.stop() == 0)
    page.wait("document.querySelector('#verdict .head')?.textContent.includes('No contact')", 30)
    case("a page without contact says since when, and does not look alive", re.search(r"No contact with the engine since \d\d:\d\d:\d\d UTC", head(page)) and page.eval("document.body.classList.contains('old')")
         and page.eval("document.getElementById('age').textContent").startswith("as of"), head(page))
    page.picture(f"{PICTURES}/no-contact.png")
    everything = b"".join(open(os.path.join(base, name), "rb").read() for base, _, names in os.walk(server.dir) for name in names)
    case("no card number and no token is in what the engine wrote", CARD.encode() not in everything and key.encode() not in everything)

    # --- a replica is lost

    cell = Cell("redis", replicas=2)
    cell.verb("init", user="tidemark-restore")
    server = cell.engine(1)
    servers.append(server)
    for n in range(5):
        server.post("/v1/score", {"id": f"r{n}", "card": "c", "amount": "1.00", "currency": "EUR"})
    time.sleep(0.01)  # what bears the same millisecond is left out with the transaction itself
    place = server.post("/v1/score", {"id": "r9", "card": "c", "amount": "1.00", "currency": "EUR"})[1]["position"]
    status, _, text = server.ask("POST", "/explain", {"position": place}, admin=True)
    case("a decision is explained from the journal in Redis as well", status == 200 and json.loads(text)["complete"] and len(json.loads(text)["events"]) == 5, text[:300])
    page = board(browser.page().size(1280, 900), on(server.admin))
    page.wait("document.querySelector('#journal .dots')")
    case("both replicas are there", head(page) == "✓ All is well" and "2 of 2" in page.text("#journal"), (head(page), page.text("#journal")))
    cell.group.nodes[2].kill()
    page.wait("document.getElementById('verdict').className === 'bad'", 30)
    page.wait("document.querySelectorAll('#journal .dots i.off').length === 1 && document.getElementById('verdict').innerText.includes('replicas can acknowledge')", 30)
    said = page.text("#verdict")
    case("the loss is said in the first line, with what it means", "does not commit" in head(page) and "1 of 2 replicas can acknowledge, 2 are needed" in said, said)
    fits(page, "replica-lost")
    text = server.ask("GET", "/metrics", admin=True)[2]
    case("metrics say the same", "\ntidemark_journal_replicas 2\n" in text and "\ntidemark_journal_quorum 2\n" in text and "\ntidemark_journal_replicas_online" not in text and server.metric("tidemark_journal_wait_short_total") >= 1, text[-2000:])
    cell.group.nodes[2].launch()
    page.wait("document.getElementById('verdict').className !== 'bad' && document.getElementById('journal').innerText.includes('2 of 2')", 40)
    case("it commits again when the replica is back, and the short WAITs stay in sight", "WAIT came back short" in page.text("#verdict") and server.post("/v1/score", {"id": "back", "card": "c", "amount": "1.00", "currency": "EUR"})[1]["status"] == "scored")
    server.stop()

    # --- a source is silent

    why = with_kafka.missing()
    if why and os.environ.get("CI") == "true":
        sys.exit(f"a real broker is required: {why}")
    if why:
        skip("a silent source", why)
    else:
        broker = kafka_cell.Broker()
        broker.start()
        broker.topics(auths=8, scores=1, dead=1)
        writer = broker.writer()
        settings = kafka_cell.config(os.path.join(TMP, "sources.yaml"), broker, {"auths": {"topic": "auths", "key": "card", "silence": "4s"}})
        server = Server("--config", settings, "--set", "cell.name=eu-3", features=kafka_cell.features(os.path.join(TMP, "kafka.yaml"), budget="5s", merchant="5s"))
        servers.append(server)

        def speak(begin, until):
            """Messages until the page says so; how many."""
            n = begin
            end = time.monotonic() + 30
            while time.monotonic() < end:
                for _ in range(20):
                    writer.put("auths", kafka_cell.auth(f"k{n}", n % 30, kafka_cell.now_ms()), n % 8, "k")
                    n += 1
                writer.flush()
                if until():
                    return n
                time.sleep(0.2)
            raise TimeoutError(page.text("#verdict"))

        page = board(browser.page().size(1280, 900), on(server.admin))
        n = speak(0, lambda: head(page) == "✓ All is well" and "FRESH" in page.text("#freshness") and "heard" in page.text("#sources") and page.eval("document.querySelectorAll('#sources .part.good').length") == 8)
        case("a source that speaks keeps its groups fresh", "lag" in page.text("#sources").lower(), page.text("#sources"))
        question = {"message": {"id": "k1", "card": {"number": kafka_cell.card(1)}}}
        # A partition is heard when its messages are read; they are decided a little later.
        wait_for("a message is decided", lambda: server.ask("POST", "/explain", question, admin=True)[0] == 200, 20)
        status, _, text = server.ask("POST", "/explain", question, admin=True)
        case("so is the decision on a message of a source", status == 200 and json.loads(text)["complete"] and json.loads(text)["answer"]["id"] == "k1", text[:300])
        fits(page, "sources")
        page.wait("document.querySelector('#verdict').className === 'bad' && document.querySelector('#freshness').innerText.includes('STALE') && document.querySelector('#sources').innerText.includes('SILENT')", 40)
        said = page.text("#verdict")
        case("a silent one is named, with the groups that wait for it", "auths is silent" in said and "card is stale" in said.lower() and "its budget is 5 s" in said, said)
        case("decisions on messages are counted", wait_for("all are decided", lambda: server.metric("tidemark_ingest_decisions_total") >= n > 0, 20))
        case("the title of the tab says it too", page.eval("document.title").startswith("✕ eu-3"))
        status, refused = server.post("/v1/score", {"id": "now", "card": {"number": "4000000000000001"}, "amount": "5.00", "currency": "EUR", "merchant": "m1"})
        case("and what the page says is what happens", refused["status"] == "refused" and refused["cause"] == "stale", refused)
        page.wait("document.querySelector('#refusals').innerText.includes('stale')", 20)
        fits(page, "stale")
        speak(n, lambda: page.eval("document.querySelector('#freshness').innerText.includes('STALE')") is False)
        case("it is fresh again without anybody's doing", "auths is silent" not in page.text("#verdict"), page.text("#verdict"))
        case("the engine stops cleanly", server.stop() == 0)
finally:
    browser.stop()
    for server in servers:
        if server.process.poll() is None:
            server.stop()
    if cell:
        cell.group.stop()
    if broker:
        broker.stop()
done()
