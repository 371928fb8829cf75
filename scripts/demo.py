#!/usr/bin/env python
"""The main job, once: record four decode strategies, and say why the GPU idles between steps.

With a GPU it records for real; without one it simulates an L40S, and every figure says so. The
commands are printed as you would type them; everything lands in `demo/`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STRATEGIES = ("baseline", "kv-cache", "pipelined", "compiled")


def main() -> int:
    os.chdir(ROOT)
    for strategy in STRATEGIES:
        # Each recording replaces the last one of its name when it is whole, not before.
        run(
            "profile",
            "--strategy",
            strategy,
            "--name",
            strategy,
            "-o",
            "demo",
            "--force",
            quiet=True,
        )
    target = Path("demo")
    traces = [str(target / f"{strategy}.sqlite") for strategy in STRATEGIES]
    print()
    run("report", *traces, "-o", "demo/report.html", "--force")
    print()
    # Last, because its own last lines say what to type next.
    run("gaps", *traces)
    print("\nThe same as a page, for a browser: demo/report.html")
    return 0


def harness() -> list[str]:
    """The command as this environment's user would type it."""
    beside = Path(sys.executable).parent / "harness"
    return [os.path.relpath(beside)] if beside.exists() else [sys.executable, "-m", "harness"]


def run(*args: str, quiet: bool = False) -> None:
    """Print and run one harness command; its own message has said what failed."""
    command = [*harness(), *args]
    print(f"$ {shlex.join(command)}", flush=True)
    done = subprocess.run(command, stdout=subprocess.DEVNULL if quiet else None, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
