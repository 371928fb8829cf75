#!/usr/bin/env python
"""How time and memory grow with the trace: ours and all peers, from 0.1 to 10 million kernels.

    python benchmarks/sizes.py [--kernels 100000,1000000,10000000] [--peers FOLDER]

Every entry is a whole process on the same work: a real export repeated in time (grow.py), and for
Holistic Trace Analysis (HTA) the same rows in torch.profiler's layout (as_kineto.py). nsys-ai and
HTA come from PyPI into environments of their own in FOLDER, made where they are not there yet;
NVIDIA's two are timed where nsys is on PATH, the projection with its join order restored (see
gaps_vs_peers.py). Ratios are of CPU time, to `harness gaps` at the same size. The growth exponent
is the slope of log(CPU time) over log(kernels) between the two largest sizes that were measured: 1
is linear. Medians of three runs; what takes over a minute runs once. What takes too long, too much
memory, or would by its growth, is listed with the reason.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from gaps_vs_peers import HERE, entries
from grow import real
from kineto_vs_hta import HTA
from timed import Entry, EntryFailed, machine

PYPI = {"nsys-ai": "nsys-ai", "HTA": "HolisticTraceAnalysis"}

# Its extension of DuckDB for SQLite files comes from the network; where there is none, it falls
# back to SQLite after a wait that is not its own work.
NSYS_AI = """
import sys, duckdb
def refuse(*_, **__): raise duckdb.Error("not asked")
duckdb.connect = refuse
from nsys_ai.__main__ import main
sys.argv = ["nsys-ai", "skill", "run", "gpu_idle_gaps", sys.argv[1]]
main()
"""


@dataclass
class Row:
    """One tool over all sizes; `why` says of a size what kept it from being measured."""

    name: str
    cells: dict[int, Entry] = field(default_factory=dict)
    why: dict[int, str] = field(default_factory=dict)

    def cpu(self, kernels: int) -> float:
        return statistics.median(self.cells[kernels].cpu_s)

    def grown(self, kernels: int) -> tuple[float, float]:
        """CPU seconds and peak MB to be expected of a size, if growth goes on as it did."""
        below = [k for k in self.cells if k < kernels]
        if not below:
            return 0.0, 0.0
        nearest = max(below)
        times = (kernels / nearest) ** max(self.exponent() or 1.0, 1.0)
        return self.cpu(nearest) * times, max(self.cells[nearest].peak_mb) * kernels / nearest

    def exponent(self) -> float | None:
        """Of the last two sizes; None where there are no two."""
        sizes = sorted(self.cells)[-2:]
        if len(sizes) < 2:
            return None
        return math.log(self.cpu(sizes[1]) / self.cpu(sizes[0])) / math.log(sizes[1] / sizes[0])


def peer_pythons(folder: Path) -> dict[str, str]:
    """The interpreter of each peer's environment; the package installed where it is not."""
    found = {}
    for name, package in PYPI.items():
        python = folder / name / "bin" / "python"
        if not python.exists():
            print(f"installing {package} in {python.parent.parent}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", package]
            subprocess.run(install, check=True)
        found[name] = str(python)
    return found


def version(python: str, package: str) -> str:
    """Of an installed package, as that interpreter knows it."""
    ask = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [python, "-c", ask], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def commands(
    trace: Path, folder: Path, pythons: dict[str, str], options: argparse.Namespace
) -> list[Entry]:
    """What is timed on one size, cheapest first."""
    ours, floor, *nvidia = entries(trace, folder, options.step, as_shipped=False)
    ours.name = "harness gaps"
    json = trace.with_suffix(".kineto.json")
    base = [word for word in ours.command if word != "--no-cache"]
    second = Entry("harness gaps, second look", base, folder)
    other = Entry("harness gaps, second look, new question", [*base, "--top", "40"], folder)
    kineto = [str(json) if word == str(trace) else word for word in ours.command]
    return [
        floor,
        ours,
        second,
        other,
        *nvidia,
        Entry("nsys-ai gpu_idle_gaps", [pythons["nsys-ai"], "-c", NSYS_AI, "COPY"], folder),
        Entry("harness gaps, the same as torch.profiler's JSON", kineto, folder),
        Entry("HTA idle time breakdown, that JSON", [pythons["HTA"], "-c", HTA, str(json)], folder),
    ]


def reason(row: Row, kernels: int, options: argparse.Namespace) -> str:
    """Why a size is not even tried, or nothing."""
    if row.why:
        return "smaller one failed"
    seconds, megabytes = row.grown(kernels)
    if seconds > options.limit:
        return f"over {options.limit} s expected"
    if megabytes > options.memory_gb * 1000:
        return f"{megabytes / 1000:.0f} GB expected"
    return ""


def measure(
    kernels: int, rows: dict[str, Row], pythons: dict[str, str], options: argparse.Namespace
) -> str:
    """Time every tool on one size; returns what the trace holds."""
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as scratch:
        folder = Path(scratch)
        source = options.trace or real(folder)
        empty = folder / "empty"
        empty.mkdir()
        os.environ["HARNESS_CACHE"] = str(folder / "cache")
        trace = folder / "grown.sqlite"
        # In a process of its own: a child's peak memory would count what its parent took.
        grow = [sys.executable, HERE / "grow.py", source, trace, "--kernels", str(kernels)]
        told = subprocess.run(grow, stdout=subprocess.PIPE, text=True, check=True).stdout
        timed = commands(trace, empty, pythons, options)
        for entry in timed:
            row = rows.setdefault(entry.name, Row(entry.name))
            if why := reason(row, kernels, options):
                row.why[kernels] = why
                continue
            try:
                _run(entry, trace, folder, options)
                row.cells[kernels] = entry
            except EntryFailed as failed:
                print(f"    {failed}", file=sys.stderr)
                row.why[kernels] = "failed: " + str(failed).partition(": ")[2][:60]
        size = trace.stat().st_size / 1e6
    counts = [
        " ".join(line.split()).replace("CUPTI_ACTIVITY_KIND_", "") for line in told.split("\n")
    ]
    return f"{size:,.0f} MB: " + ", ".join(filter(None, counts))


def _run(entry: Entry, trace: Path, folder: Path, options: argparse.Namespace) -> None:
    """All runs of one entry, after what it needs was made."""
    entry.limit_s, entry.memory = options.limit, int(options.memory_gb * 1e9)
    json = trace.with_suffix(".kineto.json")
    if str(json) in entry.command and not json.exists():
        subprocess.run([sys.executable, HERE / "as_kineto.py", trace, json], check=True)
    if "second look" in entry.name:
        entry.run(timed=False)  # the first look, which keeps the columns
    copy = folder / "copy.sqlite"
    if "COPY" in entry.command:  # nsys-ai writes indexes into the file that it is given
        entry.command = [str(copy) if word == "COPY" else word for word in entry.command]
    for k in range(options.repeats):
        if sum(entry.wall_s) > 60:
            break
        if str(copy) in entry.command:
            shutil.copyfile(trace, copy)
        if "new question" in entry.name:
            entry.command[-1] = str(41 + k)
        entry.run()
        print(
            f"  {entry.name}: {entry.wall_s[-1]:.2f} s, CPU {entry.cpu_s[-1]:.2f} s, "
            f"{entry.peak_mb[-1]:.0f} MB",
            file=sys.stderr,
        )
    copy.unlink(missing_ok=True)


def table(rows: dict[str, Row], sizes: list[int]) -> str:
    """Markdown: wall time, its ratio to ours, and peak memory at each size; the exponent."""
    ours = rows["harness gaps"]
    names = [f"{k / 1e6:g}M" for k in sizes]
    head = [f"{what} {n}" for what in ("wall s,", "CPU / ours,", "peak MB,") for n in names]
    lines = [f"| process | {' | '.join(head)} | growth |", "|---" * (len(head) + 2) + "|"]
    for row in rows.values():
        cells = [
            f"{statistics.median(row.cells[k].wall_s):.2f}" if k in row.cells else row.why[k]
            for k in sizes
        ]
        cells += [
            f"{row.cpu(k) / ours.cpu(k):.1f}" if k in row.cells and k in ours.cells else ""
            for k in sizes
        ]
        cells += [f"{max(row.cells[k].peak_mb):.0f}" if k in row.cells else "" for k in sizes]
        exponent = row.exponent()
        last = f"{exponent:.2f}" if exponent is not None else ""
        lines.append(f"| {row.name} | {' | '.join(cells)} | {last} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, help="real export to grow")
    parser.add_argument("--kernels", default="100000,1000000,10000000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", default="Step *", help="NVTX ranges that are steps")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments, to keep")
    parser.add_argument("--limit", type=int, default=900, help="s that one run may take")
    parser.add_argument("--memory-gb", type=float, default=16, help="GB that one run may take")
    options = parser.parse_args()
    sizes = sorted(int(k) for k in options.kernels.split(","))
    with tempfile.TemporaryDirectory(prefix="harness-peers-") as scratch:
        pythons = peer_pythons(options.peers or Path(scratch))
        rows: dict[str, Row] = {}
        held = []
        for kernels in sizes:
            print(f"{kernels:,} kernels", file=sys.stderr)
            held.append(measure(kernels, rows, pythons, options))
        versions = [f"{p} {version(pythons[name], p)}" for name, p in PYPI.items()]
    print("; ".join([*machine(), *versions]))
    print(f"medians of up to {options.repeats}; load average {os.getloadavg()[0]:.1f}")
    print("\n".join(held) + "\n")
    print(table(rows, sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
