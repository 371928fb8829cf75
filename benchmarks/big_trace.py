#!/usr/bin/env python
"""Time `harness gaps` on ten million kernels: in memory, within a budget, and the second look.

    python benchmarks/big_trace.py [--kernels 10000000] [--memory 2GB] [--repeats 1] [--peers]

Every entry is a whole process on the same file, a real export repeated in time (grow.py), about
2 GB at the default size; the rows of `shuffled` are the same in no order. Entries take turns. All
ratios are to a bare scan of the same columns in the same run. `--peers` times NVIDIA's gaps rule
and GPU projection too (see gaps_vs_peers.py), which takes many times as long. Needs three times
the size of the trace in the temporary directory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from gaps_vs_peers import HERE, entries
from grow import real
from timed import Entry, machine


def ours(trace: Path, folder: Path, options: argparse.Namespace) -> list[Entry]:
    """Our ways of looking at a trace, the one that fills the cache before those that use it."""
    base = [sys.executable, "-m", "harness", "gaps", str(trace), "--step", options.step]
    base += ["--format", "json"]
    window = ["--start", options.start, "--end", options.end]
    kept = [*base, "--memory", options.memory]
    return [
        Entry("in memory", [*base, "--no-cache", "--memory", "1TB"], folder),
        Entry(f"--memory {options.memory}", [*kept, "--no-cache"], folder),
        Entry("first look, kept", base, folder),
        Entry("second look, same question", kept, folder),
        Entry("second look, a window", [*kept, *window], folder),
        Entry("second look, 20 steps", [*kept, "--steps", options.steps], folder),
        Entry("second look, another question", [*kept, "--definitions"], folder),
    ]


def forget_answers(cache: Path) -> None:
    """Keep the columns, and nothing that was found in them: every question is a new one."""
    for answer in cache.rglob("answers/*.bin"):
        answer.unlink()


def table(timed: list[Entry], floor: Entry) -> str:
    """Markdown: medians, and the highest peak."""
    wall, cpu = statistics.median(floor.wall_s), statistics.median(floor.cpu_s)
    lines = [
        "| process | wall s | CPU s | peak MB | wall / bare scan | CPU / bare scan |",
        "|---|---|---|---|---|---|",
    ]
    for entry in timed:
        mine, used = statistics.median(entry.wall_s), statistics.median(entry.cpu_s)
        lines.append(
            f"| {entry.name} | {mine:.2f} | {used:.2f} | {max(entry.peak_mb):.0f} "
            f"| {mine / wall:.2f} | {used / cpu:.2f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, help="real export to grow")
    parser.add_argument("--kernels", type=int, default=10_000_000)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--step", default="Step *", help="NVTX ranges that are steps")
    parser.add_argument("--start", default="100s")
    parser.add_argument("--end", default="101s")
    parser.add_argument("--steps", default="30:50")
    parser.add_argument("--peers", action="store_true", help="NVIDIA's tools too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as scratch:
        folder = Path(scratch)
        source = options.trace or real(folder)
        cache, empty = folder / "cache", folder / "empty"
        empty.mkdir()
        os.environ |= {"HARNESS_CACHE": str(cache), "TMPDIR": scratch}
        trace, mixed = folder / "grown.sqlite", folder / "shuffled.sqlite"
        for target, more in ((trace, []), (mixed, ["--shuffle"])):
            # In a process of its own: a child's peak memory would count what its parent took.
            grow = [sys.executable, HERE / "grow.py", source, target]
            grow += ["--kernels", str(options.kernels), *more]
            told = subprocess.run(grow, stdout=subprocess.PIPE, text=True, check=False)
            if told.returncode:
                return 1
        _, floor, *peers = entries(trace, empty, options.step, as_shipped=False)
        timed = ours(trace, empty, options)
        budget = timed[1].command
        shuffled = [str(mixed) if part == str(trace) else part for part in budget]
        timed.insert(2, Entry(f"shuffled, --memory {options.memory}", shuffled, empty))
        timed = [floor, *timed, *(peers if options.peers else [])]
        for repeat in range(options.repeats):
            for entry in timed:
                print(f"{repeat + 1}/{options.repeats} {entry.name}", file=sys.stderr)
                if "--definitions" in entry.command or "--start" in entry.command:
                    forget_answers(cache)
                entry.run()
                print(
                    f"    {entry.wall_s[-1]:.1f} s, CPU {entry.cpu_s[-1]:.1f} s, "
                    f"{entry.peak_mb[-1]:.0f} MB",
                    file=sys.stderr,
                )
        size = trace.stat().st_size / 1e6
    rows = ", ".join(
        line.strip().replace("CUPTI_ACTIVITY_KIND_", "") for line in told.stdout.splitlines()
    )
    print(f"{source.name} grown to {size:,.0f} MB: {rows}")
    print("; ".join(machine()))
    print(f"{options.repeats} interleaved repeats; load average {os.getloadavg()[0]:.1f}\n")
    print(table(timed, floor))
    return 0


if __name__ == "__main__":
    sys.exit(main())
