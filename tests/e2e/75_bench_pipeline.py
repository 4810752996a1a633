"""The benchmark of the whole pipeline, small, so that it does not rot: every row has all its decisions. Prints TAP."""

import os
import re
import subprocess
import sys

sys.path.insert(0, "tests/support")
from kafka_cell import TIDE, need_broker  # noqa: E402
from tap import case, done  # noqa: E402

need_broker()
bench = os.path.join(os.path.dirname(TIDE), "bench", "bench_pipeline")
result = subprocess.run([bench, "--quick", "--small"], capture_output=True, text=True, timeout=900)
case("it runs", result.returncode == 0, result.stderr[-300:])
rows = [line for line in result.stdout.splitlines() if line and not line.startswith((" ", "#"))]
for name, count in (("ten minutes behind, catching up", "3000 decisions"), ("open loop, 500/s", "1000 of 1000 decisions"), ("a new cell, ten minutes behind", "3000 decisions")):
    row = next((row for row in rows if row.startswith(name)), "")
    case(f"{name}: all decisions", re.search(rf" {count}, \d+ refused$", row) and "NOT ALL" not in row and re.search(r"[1-9]\d* txn/s", row), row or result.stdout[-300:])
done()
