"""One chaos run from start to report: faults in random order, all of them once before any comes again, then the last look and the check.

`run(...)` gives a Report; nothing is judged while the run goes on.
"""

import random
import time

import chaos_history
from chaos_faults import FAULTS, NETWORK, Run
from chaos_load import Load


ACKNOWLEDGED, ANSWERED = 25, 6  # transactions and questions around each fault, at the least: a slow machine takes longer to come to that


class Report:
    def __init__(self):
        self.faults = 0
        self.violations = []
        self.stuck = None        # what did not come back
        self.exits = []          # (engine, code) of ends that nobody asked for
        self.trouble = []        # answers that are none
        self.counts = {}
        self.rows = []
        self.failovers = 0
        self.epochs = 0
        self.unprobed = []
        self.cards = 0           # used
        self.blackouts = 0
        self.undecided = 0
        self.seconds = 0.0

    def lines(self):
        counts = ", ".join(f"{name} {value}" for name, value in self.counts.items())
        yield f"{self.seconds:.0f} s, {self.faults} faults, {self.failovers} failovers ({self.undecided} left to the repair), {self.epochs} epochs, {self.blackouts} blackouts; {counts}; violations {len(self.violations)}"
        kinds = {}
        for name, begin, healed, end, gap in self.rows:
            kinds.setdefault(name, []).append((gap, end - healed))
        for name in sorted(kinds):
            gaps, after = sorted(g for g, _ in kinds[name]), sorted(a for _, a in kinds[name])
            yield (f"{name:<28} {len(gaps):>4} times  without an answer {gaps[len(gaps) // 2]:6.2f} s, at most {gaps[-1]:6.2f} s;  back after the repair "
                   f"{after[len(after) // 2]:5.2f} s, at most {after[-1]:5.2f} s")
        shown = {}
        for violation in self.violations:
            shown.setdefault(violation.rule, []).append(violation)
        for rule, all_ in shown.items():
            yield f"VIOLATION {rule}: {len(all_)}"
            yield from (f"    {violation}" for violation in all_[:4])
        if self.stuck:
            yield f"STUCK {self.stuck}"
        for engine, code in self.exits[:20]:
            yield f"{engine} ended by itself with {code}"


def run(cluster, seed, faults=None, count=0, seconds=0.0, clients=6, until=None, pause_s=0.02, say=None):
    """Starts nothing and stops nothing of the cluster. Goes on until `count` faults have struck and `seconds` have passed, or until(report) is true."""
    report, rng = Report(), random.Random(seed)
    kinds = list(faults if faults is not None else FAULTS + (NETWORK if cluster.network else []))
    load = Load(cluster.targets(), clients=clients, seed=seed, pause_s=pause_s).start()
    harm = Run(cluster, load, seed)
    begin = time.monotonic()
    deck = []
    try:
        harm.hold(0.5, 0.6)
        while (report.faults < count or time.monotonic() - begin < seconds) and not (until and until(report, harm, load)):
            if not deck:
                deck = rng.sample(kinds, len(kinds))
            fault = deck.pop()
            report.faults += 1
            if say:
                say(f"{time.monotonic() - begin:7.1f} {fault.__name__}")
            traffic = load.acknowledged + ACKNOWLEDGED, load.answered + ANSWERED
            harm.strike(fault)
            harm.hold(0, 0.5)
            harm.wait("traffic enough", lambda: load.acknowledged >= traffic[0] and load.answered >= traffic[1])
    except TimeoutError as error:
        report.stuck = f"{fault.__name__}: {error}"
    load.stop()
    if report.stuck is None:
        report.unprobed = load.probe()
    report.seconds = time.monotonic() - begin
    report.rows, report.blackouts, report.failovers = harm.rows, len(harm.blackouts), cluster.failovers
    report.undecided = harm.undecided
    report.trouble, report.cards = load.trouble, len(load.cards)
    report.exits = [(engine.name, code) for engine in cluster.engines for code in engine.exits]
    report.counts = chaos_history.summary(load.attempts)
    report.epochs = len({a.position[0] for a in load.attempts if a.first and a.position})
    report.counts["questions answered"] = sum(read.total is not None for read in load.reads)
    report.violations = chaos_history.check(load.attempts, harm.blackouts, load.reads)
    return report
