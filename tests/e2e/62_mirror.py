"""Two engines on one Redis journal: memory there stays bounded, and each engine's mirror holds every decision ever made. Prints TAP."""

import sys
import threading
import time

sys.path.insert(0, "tests/support")
from processes import wait_for  # noqa: E402
from redis_cell import Cell, audit, stop_all  # noqa: E402
from tap import case, done  # noqa: E402

SNAP = ["--set", "snapshot.every=300ms", "--set", "journal.keep=1s"]
SEND = 6000

cell = Cell("mirror")
try:
    cell.verb("init")
    one, two = cell.engines((1, 2), *SNAP)
    lengths, stop = [], threading.Event()

    def added():
        """Entries that the journal has had, by the stream's own count."""
        rows = cell.primary.ask("XINFO", "STREAM", "tidemark:{default}:journal")
        return dict(zip(rows[::2], rows[1::2]))[b"entries-added"]

    def watch():
        while not stop.wait(0.05):
            lengths.append(cell.length())
    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = []
    for _ in range(6):
        answers += cell.send([one, two], SEND // 6)
        time.sleep(1)
        wait_for("a trim", lambda: cell.length() < added() / 2, 20)
    wait_for("and of nearly all", lambda: cell.length() < added() / 4, 20)
    time.sleep(0.2)  # the watcher's last look is behind it
    stop.set()
    watcher.join()
    case("all are scored", all(a["status"] == "scored" and a["counted"] is True for a in answers), [a for a in answers if a["status"] != "scored"][:1])
    case("the two stop cleanly", stop_all((one, two)) == [0, 0], one.log()[-300:])
    audits = [audit(cell.mirror(n)) for n in (1, 2)]
    entries = audits[0]["entries"]
    print(f"# {entries} entries, at most {max(lengths)} of them in Redis, at the end {lengths[-1]}")
    case("the mirrors hold every decision", [a["decisions"] for a in audits] == [SEND, SEND], audits)
    case("and no fewer entries than the journal ever had", all(a["entries"] > lengths[-1] for a in audits), audits)
    case("what is in Redis is bounded", max(lengths) < entries * 3 / 4 and lengths[-1] < entries / 4, (max(lengths), lengths[-1], entries))

    # Again: the mirror goes on where it ended, over a stop of both. Nothing is trimmed now: the other engine comes later.
    SNAP[-1] = "journal.keep=1m"
    one = cell.engine(1, *SNAP)
    again = cell.send([one], 200)
    look = cell.counts(one, ["c1"])[0][1]
    case("counts go on", look["card.attempts_24h"] == (SEND + 200) / 50, look)
    case("it stops cleanly", one.stop() == 0)
    first = audit(cell.mirror(1))
    case("its mirror went on", first["decisions"] == SEND + 200, first)
    # Engine 2 was away for that; it fills its mirror from the journal.
    two = cell.engine(2, *SNAP)
    two.stop()
    second = audit(cell.mirror(2))
    case("that of the other was filled", second["decisions"] == SEND + 200, second)

    # A journal that lost the mirror's end is refused.
    cell.primary.ask("FLUSHALL")
    code, said = cell.refuses(1)
    case("a journal that is gone is refused", code != 0 and "no journal" in said, said)
    cell.verb("init")
    code, said = cell.refuses(1)
    case("and a new one in its place", code == 4 and "--accept-loss" in said, (code, said))
finally:
    cell.stop()
done()
