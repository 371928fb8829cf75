"""`python -m harness.bench.worker`: the process that measures, one for each allocator setting.

Requests come in and answers go out as JSON, one a line, on standard input and output. Whatever else
writes to standard output (compilers do) lands on standard error. Ends when standard input does.

Request: {"op": "visit", "workload": {...}, "protocol": {...}, "first": bool}.
Answers: {"event": "ready", ...facts} once; {"event": "progress", "text"};
{"event": "visit", ...} or {"event": "error", "kind", "message", "fatal"}.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import IO, Any

from ..analysis.model.errors import TraceError
from ..decode.allocator import VARIABLES, allocator_environment, apply_environment
from ..decode.workload import Workload
from .plan import Protocol

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m harness.bench.worker", description=__doc__)
    parser.add_argument("--allocator", default="default")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    parent = os.getppid()
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    # Compilers and their helpers inherit 0 and 1: they must not read or write our lines.
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    apply_environment(allocator_environment(options.allocator), os.environ)
    with contextlib.suppress(BrokenPipeError):
        _serve(options.device, requests, answers)


def _die_with(parent: int) -> None:
    """Ask for SIGKILL when the parent dies: nothing may go on measuring unattended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


def _serve(device: str, requests: IO[str], answers: IO[str]) -> None:
    def answer(**fields: Any) -> None:
        answers.write(json.dumps(fields) + "\n")

    try:
        from . import visit  # torch comes with it, after the allocator's variable was set

        visit.allow_many_versions()
        bench = visit.Bench(device, progress=lambda text: answer(event="progress", text=text))
        answer(event="ready", **_facts(bench))
    except Exception as error:
        answer(event="error", **_error(error), fatal=True)
        return
    for line in requests:
        request = json.loads(line)
        try:
            found = bench.visit(
                Workload.from_dict(request["workload"]),
                Protocol(**request["protocol"]),
                first=request["first"],
            )
            told = found.to_dict()
        except TraceError as error:
            answer(event="error", **_error(error), fatal=False)
        except Exception as error:
            # A device that failed once cannot be trusted with the next figure: start afresh.
            answer(event="error", **_error(error), fatal=True)
            return
        else:
            answer(event="visit", **told)


def _facts(bench: Any) -> dict[str, Any]:
    import torch

    from ..decode.session import versions
    from ..nvtx import loaded_tool

    return {
        "pid": os.getpid(),
        "runtime": bench.runtime.name,
        "device": bench.runtime.facts(),
        "versions": versions(),
        "environment": {name: os.environ.get(name) for name in VARIABLES},
        "threads": torch.get_num_threads(),
        "profiler": loaded_tool(),
    }


def _error(error: Exception) -> dict[str, str]:
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else ""
    kind = type(error).__name__
    return {
        "kind": kind,
        "message": first if isinstance(error, TraceError) else f"{kind}: {first}"[:300],
    }


if __name__ == "__main__":
    main()
