#!/usr/bin/env python
"""The main job, once: record a decode loop, say why its GPU idles, and try what the answer says.

    python scripts/demo.py [FOLDER]

With a GPU it records for real; without one it simulates an L40S, and every figure says so. The
commands are printed as you would type them; everything lands in FOLDER, `demo` by default.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SLOW, FAST = "kv-cache", "cuda-graph"


def main() -> int:
    os.chdir(ROOT)
    folder = sys.argv[1] if len(sys.argv) > 1 else "demo"
    slow = record(SLOW, folder)
    run("gaps", slow)
    fast = record(FAST, folder)
    before, after = step_of(slow), step_of(fast)
    print(
        f"With one CUDA graph a step takes {after / 1e6:.2f} ms, instead of {before / 1e6:.2f} ms."
    )
    run("report", slow, fast, "-o", f"{folder}/report.html", "--force")
    return 0


def record(strategy: str, folder: str) -> str:
    """Each recording replaces the last one of its name when it is whole, not before."""
    name = ("--strategy", strategy, "--name", strategy)
    run("profile", *name, "-o", folder, "--force", "-q", quiet=True)
    return f"{folder}/{strategy}.sqlite"


def step_of(trace: str) -> float:
    """How long a step of a recording takes, ns."""
    command = [*harness(), "gaps", trace, "--format", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    (series,) = json.loads(done.stdout)["traces"][0]["series"]
    step: float = series["steady"]["period_ns"]
    return step


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
