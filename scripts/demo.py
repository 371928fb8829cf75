#!/usr/bin/env python
"""The main job, once: record a decode loop, say why its GPU idles, and try what the answer says.

With a GPU it records for real; without one it simulates an L40S, and every figure says so. The
commands are printed as you would type them; everything lands in `demo/`.
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
    record(SLOW)
    print()
    run("gaps", f"demo/{SLOW}.sqlite")
    print()
    record(FAST)
    before, after = step_of(SLOW), step_of(FAST)
    print(
        f"With one CUDA graph a step takes {after / 1e6:.2f} ms, instead of {before / 1e6:.2f} ms."
    )
    both = [f"demo/{name}.sqlite" for name in (SLOW, FAST)]
    run("report", *both, "-o", "demo/report.html", "--force")
    return 0


def record(strategy: str) -> None:
    """Each recording replaces the last one of its name when it is whole, not before."""
    run("profile", "--strategy", strategy, "--name", strategy, "-o", "demo", "--force", quiet=True)


def step_of(name: str) -> float:
    """How long a step of a recording takes, ns."""
    command = [*harness(), "gaps", f"demo/{name}.sqlite", "--format", "json"]
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
