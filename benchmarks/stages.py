#!/usr/bin/env python
"""Where the time of `harness gaps` goes: each stage, and what could not cost less.

    python benchmarks/stages.py [--kernels 1000000] [--repeats 5] [--trace FILE]

Stages run one after another in this process, as `analyze` runs them, each repeat from the start;
the lowest wall time of each is shown with the CPU time of the same repeat. The first time is what a
process of its own pays: memory that it never touched before. `floor` rows are not stages: they are
the same bytes touched with as little work as numpy knows.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from grow import GrowError, grow, real
from msgspec import structs
from timed import machine

from harness.analysis.analyze import analyze
from harness.analysis.idle.assign import find_steps
from harness.analysis.idle.counts import count_rows
from harness.analysis.idle.device_totals import DeviceTotals
from harness.analysis.idle.gaps import DeviceGaps, device_gaps
from harness.analysis.idle.launched import Extent, find_launches
from harness.analysis.idle.owners import WholeSteps
from harness.analysis.idle.parts import END, WholeParts
from harness.analysis.idle.sizes import Sizes
from harness.analysis.idle.split import Split, split_whole
from harness.analysis.model.memory import reuse_freed_memory
from harness.analysis.model.trace import Trace
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.join import _TABLES
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.reports.base import Report, Terminal, reporter
from harness.analysis.statistics.sample import Sample
from harness.analysis.store.whole import Whole


class Clock:
    """Wall and CPU seconds of each stage, by repeat."""

    def __init__(self) -> None:
        self.taken: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        times = (time.perf_counter() - wall, time.process_time() - cpu)
        self.taken.setdefault(name, []).append(times)
        return result


def stages(clock: Clock, path: Path, step: str) -> None:
    """One look at the trace."""
    database = open_database(path)
    clock("read the columns", lambda: database.read_all(_TABLES))
    trace = clock("the same, and join them to a trace", lambda: open_trace(path))
    steps = clock("find steps", lambda: find_steps(trace, (StepPattern.glob(step),)))
    parts = WholeParts(trace, WholeSteps(steps))
    clock("find what they launched", lambda: find_launches(parts))
    gaps = clock("find gaps", lambda: found_gaps(trace))
    split = clock("attribute gaps to causes", lambda: [split_whole(trace, g, {}) for g in gaps])
    clock("add them up", lambda: [add_up(*one) for one in zip(gaps, split, strict=True)])
    clock("count rows, for verdicts", lambda: count_rows(Whole(trace), Sizes.all(trace)))


def found_gaps(trace: Trace) -> list[DeviceGaps]:
    found = (device_gaps(trace, device, None, None) for device in trace.devices)
    return [gaps for gaps in found if gaps is not None]


def add_up(gaps: DeviceGaps, split: Split) -> None:
    """What of a device's totals is worked out for every gap."""
    extent = Extent(0, gaps.window_start, gaps.window_end)
    DeviceTotals(gaps.device, extent, None, None, Sample(END)).add(split, gaps.length)


def whole(clock: Clock, path: Path, step: str) -> None:
    """A look as `harness gaps` has it, the table included, and the floors."""
    options = Question(patterns=(StepPattern.glob(step),))
    report = clock("all of it, in one call", lambda: analyze(path, options))
    clock("draw the table", lambda: reporter("table").render(Report((report,)), Terminal()))
    clock("floor: read the file's bytes", lambda: np.fromfile(path, np.uint8))
    operations = report.trace.operations
    columns = [c for c in structs.astuple(operations) if isinstance(c, np.ndarray)]
    clock("floor: copy the operations' columns", lambda: [c.copy() for c in columns])
    clock("floor: sort as many integers as gaps", lambda: np.sort(report.gaps[0].start[::-1]))


def start_up(clock: Clock) -> None:
    words = [sys.executable, "-c", "import harness.gaps, harness.analysis.reports.table"]
    clock("start Python, import what is needed", lambda: subprocess.run(words, check=True))


def table(clock: Clock) -> str:
    """Markdown: lowest wall time of each stage, the CPU time of that repeat, the first time."""
    lines = ["| stage | wall ms | CPU ms | first wall ms |", "|---|---:|---:|---:|"]
    for name, taken in clock.taken.items():
        wall, cpu = min(taken)
        shown = "" if name.startswith("start") else f"{cpu * 1e3:.0f}"
        lines.append(f"| {name} | {wall * 1e3:.0f} | {shown} | {taken[0][0] * 1e3:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, help="real export to grow")
    parser.add_argument("--kernels", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--step", default="Step *", help="NVTX ranges that are steps")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as scratch:
        source = options.trace or real(Path(scratch))
        path = Path(scratch) / "grown.sqlite"
        try:
            counts = grow(source, path, options.kernels)
        except (GrowError, OSError, sqlite3.Error) as error:
            print(f"stages: {error}", file=sys.stderr)
            return 1
        reuse_freed_memory()
        clock = Clock()
        for _ in range(options.repeats):
            start_up(clock)
            stages(clock, path, options.step)
            whole(clock, path, options.step)
        size = path.stat().st_size / 1e6
    print(f"{source.name} grown to {size:,.0f} MB, {sum(counts.values()):,} rows")
    print("; ".join(machine()))
    print(f"lowest of {options.repeats}\n")
    print(table(clock))
    return 0


if __name__ == "__main__":
    sys.exit(main())
