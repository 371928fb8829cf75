"""How this command line was called, for the commands that it proposes to type next."""

from __future__ import annotations

import os
import shutil
import sys


def called() -> str:
    """`harness` where that is what a shell finds, else the path of the script that runs.

    A virtual environment that was not activated is on no PATH: there `harness` runs nothing.
    """
    script = sys.argv[0]
    if os.path.basename(script) != "harness" or not os.path.isfile(script):
        return "harness"  # called as a module, or from Python
    found = shutil.which("harness")
    if found is not None and os.path.samefile(found, script):
        return "harness"
    near = os.path.relpath(script)
    if near.startswith(os.pardir):
        return os.path.abspath(script)
    return near if os.sep in near else os.path.join(os.curdir, near)
