"""What some tests need and not every machine has: a Python with certain modules, a browser.

Where it is missing the test says so and skips those cases; with CI=true that is a failure, because nobody reads what a pipeline has skipped.
"""

import os
import shutil
import subprocess
import sys

from tap import case, skip


def missing(name, why):
    if os.environ.get("CI") == "true":
        case(name, False, why)
    else:
        skip(name, why)


def python_with(*modules):
    """A Python that has the modules: this one, or Debian's, whose packages another one before it in the PATH does not see. None if neither."""
    for program in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(program) and subprocess.run([program, "-c", "import " + ",".join(modules)], capture_output=True, check=False).returncode == 0:
            return program
    return None


def chromium():
    """The program, or None (config/packages-browser.txt)."""
    return shutil.which("chromium")
