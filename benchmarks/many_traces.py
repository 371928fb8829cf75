#!/usr/bin/env python
"""Time `harness gaps` on many traces: on all cores, on one, and against a loop of NVIDIA's rule.

    python benchmarks/many_traces.py [--traces 100] [--repeats 3] [--trace FILE] [--kernels 0]

Every entry is a whole process, from start to exit, over the same files: links to one real export
(grown by grow.py where `--kernels` asks for more). NVIDIA's rule looks at one file a process, so
its entry is a shell loop, as people write it. Parquet folders of the same export are an entry of
their own where pyarrow is installed. Entries take turns, so that a busy machine is busy for all.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sqlite3
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from grow import GrowError, grow, real
from timed import Entry, machine

ALL_CORES = "harness gaps, all cores"


def make_links(source: Path, folder: Path, count: int) -> list[Path]:
    """So many traces at the cost of one; the system reads it from memory, as for all entries."""
    folder.mkdir()
    copy = folder / f"run0{source.suffix}"
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, copy)
    links = [copy]
    for k in range(1, count):
        links.append(folder / f"run{k}{source.suffix}")
        links[-1].symlink_to(copy)
    return links


def parquet_folder(source: Path, folder: Path) -> Path | None:
    """The same export as a folder of Parquet tables, as `nsys export --type parquetdir` lays it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        print("pyarrow is not installed: Parquet is not timed", file=sys.stderr)
        return None
    folder.mkdir()
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            cursor = database.execute(f'SELECT * FROM "{name}"')
            columns, rows = [c[0] for c in cursor.description], cursor.fetchall()
            if rows:
                values = zip(*rows, strict=True)
                table = pa.table(dict(zip(columns, values, strict=True)))
                pq.write_table(table, folder / f"{name}.parquet")
    return folder


def entries(links: list[Path], parquet: list[Path], folder: Path, step: str) -> list[Entry]:
    """What is timed; the first is what a user types."""

    def ours(paths: list[Path], *more: str) -> list[str]:
        options = ["--step", step, "--by", "strategy", "--format", "json", *more]
        return [sys.executable, "-m", "harness", "gaps", *map(str, paths), *options]

    found = [
        Entry(ALL_CORES, ours(links), folder),
        Entry("harness gaps --jobs 1", ours(links, "--jobs", "1"), folder),
    ]
    if parquet:
        found.append(Entry("the same as Parquet folders, all cores", ours(parquet), folder))
    one = [sys.executable, "-m", "harness", "gaps", "--step", step, "--format", "json"]
    found.append(Entry("a loop of `harness gaps`, a file each", looped(one, links), folder))
    nsys = shutil.which("nsys")
    if nsys is None:
        print("nsys is not on PATH: NVIDIA's rule is not timed", file=sys.stderr)
        return found
    rule = [nsys, "analyze", "--format", "csv", "--output", "-", "--rule", "gpu-starv"]
    found.append(Entry("a loop of NVIDIA's gaps rule", looped(rule, links), folder))
    return found


def looped(command: list[str], links: list[Path]) -> list[str]:
    """One process a file, one after the other."""
    files = " ".join(shlex.quote(str(link)) for link in links)
    return ["sh", "-ec", f'for file in {files}; do {shlex.join(command)} "$file"; done']


def table(timed: list[Entry]) -> str:
    """Markdown; ratios are to the first entry, of the same repeats."""
    median = statistics.median
    lines = [
        "| | wall s, median | wall s, lowest | wall / all cores, lowest |",
        "|---|---|---|---|",
    ]
    for entry in timed:
        ratio = min(entry.wall_s) / min(timed[0].wall_s)
        lines.append(
            f"| {entry.name} | {median(entry.wall_s):.2f} | {min(entry.wall_s):.2f} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, help="real export to multiply")
    parser.add_argument("--traces", type=int, default=100)
    parser.add_argument("--kernels", type=int, default=0, help="grow it to so many kernels first")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", default="Step *", help="NVTX ranges that are steps")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as scratch:
        folder = Path(scratch)
        source = options.trace or real(folder)
        empty = folder / "empty"
        empty.mkdir()
        if options.kernels:
            try:
                grow(source, folder / "grown.sqlite", options.kernels)
            except (GrowError, OSError, sqlite3.Error) as error:
                print(f"many_traces: {error}", file=sys.stderr)
                return 1
            source = folder / "grown.sqlite"
        links = make_links(source, folder / "traces", options.traces)
        tables = parquet_folder(source, folder / "one_pqtdir")
        parquet = make_links(tables, folder / "parquet", options.traces) if tables else []
        timed = entries(links, parquet, empty, options.step)
        for repeat in range(options.repeats):
            for entry in timed:
                print(f"{repeat + 1}/{options.repeats} {entry.name}", file=sys.stderr)
                entry.run()
        size = source.stat().st_size / 1e6
    print(f"{options.traces} traces of {size:,.1f} MB ({(options.trace or source).name})")
    print("; ".join(machine()))
    print(f"{options.repeats} interleaved repeats; load average {os.getloadavg()[0]:.1f}\n")
    print(table(timed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
