"""What a python test prints: one line of TAP per case, the plan at the end, the exit code."""

import os
import sys

TMP = os.environ.get("TIDE_TMP", "/tmp")
cases = []


def case(name, good, detail=""):
    cases.append(bool(good))
    first = str(detail).splitlines()[:1]
    print(f"{'ok' if good else 'not ok'} {len(cases)} - {name}{'' if good else ' # ' + (first[0][:300] if first else '')}", flush=True)
    return good


def done():
    print(f"1..{len(cases)}")
    sys.exit(0 if all(cases) else 1)


def skip(name, why):
    cases.append(True)
    print(f"ok {len(cases)} - {name} # SKIP {why}", flush=True)
