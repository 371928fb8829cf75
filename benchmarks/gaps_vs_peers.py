#!/usr/bin/env python
"""Time `harness gaps` on a million kernels, against reading the same columns and against NVIDIA.

    python benchmarks/gaps_vs_peers.py [--kernels 1000000] [--repeats 5] [--trace FILE]

Every entry is a whole process, from start to exit, on the same file: a real export repeated in
time (grow.py). Entries take turns, so that a busy machine is busy for all of them; a first run of
each is not timed, so that files and bytecode are where a second run finds them. Peers are NVIDIA's
gaps rule and its GPU projection report, where nsys is on PATH.

The projection report joins ranges with operations in an order that NVIDIA asks for with a LEFT
JOIN. SQLite 3.40, which Debian's package runs it on, sees through that and takes the other order,
whose cost grows with ranges x operations: hours at this size. So the peer is timed on a copy of
the report with the order restored by one word (CROSS JOIN): its best case. `--as-shipped` times
the untouched report too; mind the size.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path

from grow import GrowError, grow, real
from timed import Entry, machine

HERE = Path(__file__).parent
JOIN = re.compile(r"\bJOIN(\s+temp\.NVTX_EVENTS_RIDX AS rt\b)")


def entries(trace: Path, folder: Path, step: str, *, as_shipped: bool) -> list[Entry]:
    """What is timed; the first is ours, the second the floor."""
    python = [sys.executable]
    ours = [*python, "-m", "harness", "gaps", str(trace), "--step", step, "--format", "json"]
    ours.append("--no-cache")  # every look is a first one
    found = [
        Entry("harness gaps", ours, folder),
        Entry(
            "bare scan of the same columns", [*python, str(HERE / "scan.py"), str(trace)], folder
        ),
    ]
    nsys = shutil.which("nsys")
    if nsys is None:
        print("nsys is not on PATH: NVIDIA's tools are not timed", file=sys.stderr)
        return found
    helped = restored_report(nsys, folder.parent / "restored")
    csv = ["--format", "csv", "--output", "-"]
    rule = [nsys, "analyze", *csv, "--rule", "gpu-starv", str(trace)]
    projection = [nsys, "stats", *csv, "--report", "nvtxgpuproj", str(trace)]
    found.append(Entry("NVIDIA gaps rule", rule, folder))
    found.append(Entry("NVIDIA GPU projection, join order restored", projection, helped))
    if as_shipped:
        found.append(Entry("NVIDIA GPU projection, as shipped", projection, folder))
    return found


def restored_report(nsys: str, folder: Path) -> Path:
    """A folder with NVIDIA's report, one word changed; nsys prefers reports of its own folder."""
    root = Path(os.path.realpath(nsys)).parent
    places = [root / "reports", Path("/usr/lib/nsight-systems/host-linux-x64/reports")]
    source = next((p for place in places if (p := place / "nvtxgpuproj.py").exists()), None)
    if source is None:
        raise SystemExit(f"gaps_vs_peers: no nvtxgpuproj.py in {', '.join(map(str, places))}")
    text, changed = JOIN.subn(r"CROSS JOIN\1", source.read_text())
    if changed != 1:
        raise SystemExit(f"gaps_vs_peers: {source} is not the report that this script knows")
    folder.mkdir()
    (folder / source.name).write_text(text)
    return folder


def table(timed: list[Entry]) -> str:
    """Markdown. Medians say what a user saw here, the lowest what the code costs undisturbed."""
    ours, floor = timed[0], timed[1]
    median = statistics.median
    lines = [
        "| process | wall s, median | wall s, lowest | CPU s, lowest | peak MB "
        "| wall / bare scan, medians | lowest |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in timed:
        lines.append(
            f"| {entry.name} | {median(entry.wall_s):.2f} | {min(entry.wall_s):.2f} "
            f"| {min(entry.cpu_s):.2f} | {max(entry.peak_mb):.0f} "
            f"| {median(entry.wall_s) / median(floor.wall_s):.2f} "
            f"| {min(entry.wall_s) / min(floor.wall_s):.2f} |"
        )
    peers = [entry for entry in timed[2:] if "as shipped" not in entry.name]
    if peers:
        medians = sum(median(peer.wall_s) for peer in peers) / median(ours.wall_s)
        lowest = sum(min(peer.wall_s) for peer in peers) / min(ours.wall_s)
        cpu = sum(min(peer.cpu_s) for peer in peers) / min(ours.cpu_s)
        lines += [
            "",
            f"NVIDIA's two together, against `harness gaps`: {medians:.1f} x its wall time by "
            f"medians, {lowest:.1f} x by the lowest, {cpu:.1f} x its CPU time.",
        ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, help="real export to grow")
    parser.add_argument("--kernels", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--step", default="Step *", help="NVTX ranges that are steps")
    parser.add_argument("--as-shipped", action="store_true", help="also the untouched projection")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as scratch:
        folder = Path(scratch)
        source = options.trace or real(folder)
        empty = folder / "empty"
        empty.mkdir()
        trace = folder / "grown.sqlite"
        try:
            counts = grow(source, trace, options.kernels)
        except (GrowError, OSError, sqlite3.Error) as error:
            print(f"gaps_vs_peers: {error}", file=sys.stderr)
            return 1
        timed = entries(trace, empty, options.step, as_shipped=options.as_shipped)
        for repeat in range(options.repeats + 1):
            for entry in timed:
                print(f"{repeat}/{options.repeats} {entry.name}", file=sys.stderr)
                entry.run(timed=repeat > 0)
        size = trace.stat().st_size / 1e6
    rows = ", ".join(
        f"{count:,} {name.removeprefix('CUPTI_ACTIVITY_KIND_')}" for name, count in counts.items()
    )
    print(f"{source.name} grown to {size:,.0f} MB: {rows}")
    print("; ".join(machine()))
    print(f"{options.repeats} interleaved repeats; load average {os.getloadavg()[0]:.1f}\n")
    print(table(timed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
