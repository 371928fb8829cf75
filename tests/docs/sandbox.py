"""A folder that has whatever the documentation's commands name, and programs that stand in.

What takes a GPU, a cluster or minutes is replaced at its edge: nsys by a program that answers like
it, the processes of the simulator and of `harness bench` by the same code in this process.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

from harness.capture.processes import Ended

from ..analysis import columnar, ranks
from ..bench import sessions
from ..capture import fake_nsys
from ..conftest import ROOT

TRACES = ROOT / "traces"
KINETO = ROOT / "tests" / "kineto" / "data" / "h100_decode_sync.json.gz"


_LAUNCHER = """#!/bin/sh
# A launcher of ranks that starts one.
while [ $# -gt 0 ]; do
  case "$1" in
    --nproc-per-node|-n) shift 2 ;;
    --no-python) shift ;;
    *) break ;;
  esac
done
case "$1" in *.py) set -- python "$@" ;; esac
RANK=0 WORLD_SIZE=2 exec "$@"
"""
_LOOP = "import sys\nprint('a loop of', len(sys.argv) - 1, 'options')\n"
_TINY = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 32, "n_layer": 2,
    "n_head": 4, "vocab_size": 128, "n_positions": 512, "bos_token_id": 126, "eos_token_id": 127,
}  # fmt: skip


def build(folder: Path) -> None:
    """Fill `folder`; everything in it is test input, and none of it measured here."""
    traces = folder / "traces"
    traces.mkdir(parents=True)
    for path in TRACES.iterdir():
        if path.suffix in (".sqlite", ".json", ".db"):
            shutil.copy(path, traces)
    copies = {
        "example-sync": ("before", "main/loop", "traces/run-a"),
        "example-pipelined": ("after", "branch/loop", "traces/run-b"),
    }
    for source, names in copies.items():
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            for suffix in (".sqlite", ".json"):
                shutil.copy(TRACES / (source + suffix), folder / (name + suffix))
    for name in ("main", "branch"):
        _label(folder / name / "loop.json", "loop")
    shutil.copy(TRACES / "example-sync.sqlite", folder / "run.sqlite")
    _other_names(folder / "run.sqlite")
    for name in ("huge", "clean"):
        shutil.copy(TRACES / "example-sync.sqlite", folder / f"{name}.sqlite")
    (folder / "run.nsys-rep").write_bytes(b"a report")
    for name in ("job", "run"):
        names = [f"{name}-rank{rank}.sqlite" for rank in range(3)]
        hosts = [[10] * 14, [10] * 14, [60] * 14]
        ranks.job(folder, hosts, [[85] * 14] * 3, names=names, waits=True)
    (folder / "runs").mkdir()
    shutil.copy(TRACES / "example-sync.sqlite", folder / "runs" / "a.sqlite")
    columnar.folder_of(TRACES / "example-sync.sqlite", folder / "run_pqtdir")
    shutil.copy(KINETO, folder / "trace.json.gz")
    shutil.copy(KINETO, folder / "run.json.gz")
    (folder / "trace.json").write_bytes(gzip.decompress(KINETO.read_bytes()))
    for name in ("my_loop.py", "train.py", "loop.py"):
        (folder / name).write_text(_LOOP)
    (folder / "my-model").mkdir()
    (folder / "my-model" / "config.json").write_text(json.dumps(_TINY))
    shutil.copy(ROOT / "analysis" / "gains" / "gpus" / "l40s.toml", folder / "my-machine.toml")
    _results(folder / "results.db")
    _programs(folder / "bin", folder / "run.sqlite")


def _label(manifest: Path, label: str) -> None:
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"label": label}))


_LOADER = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"


def _other_names(trace: Path) -> None:
    """Every `Step N` is a `train_step N` and a `train N` too, and begins with a batch and a
    checkpoint of 5 us each; the first begins at 1.3 s, on an H100."""
    base = sqlite3.connect(trace)
    with base:
        base.execute("UPDATE TARGET_INFO_GPU SET name = 'NVIDIA H100 80GB HBM3'")
        for table, columns in _time_columns(base):
            changes = ", ".join(f'"{column}" = "{column}" + 1300000000' for column in columns)
            base.execute(f'UPDATE "{table}" SET {changes}')
        names = base.execute("SELECT id, value FROM StringIds WHERE value LIKE 'Step %'").fetchall()
        columns = [row[1] for row in base.execute("PRAGMA table_info(NVTX_EVENTS)")]
        copied = ", ".join(f'"{column}"' for column in columns if column != "textId")
        new = base.execute("SELECT max(id) FROM StringIds").fetchone()[0]
        for number, name in names:
            for word in ("train_step", "train"):
                new += 1
                base.execute(
                    "INSERT INTO StringIds (id, value) VALUES (?, ?)",
                    (new, name.replace("Step", word)),
                )
                base.execute(
                    f"INSERT INTO NVTX_EVENTS ({copied}, textId) SELECT {copied}, ? "
                    "FROM NVTX_EVENTS WHERE textId = ?",
                    (new, number),
                )
        for place, name in enumerate((_LOADER, "checkpoint")):
            new += 1
            base.execute("INSERT INTO StringIds (id, value) VALUES (?, ?)", (new, name))
            others = ", ".join(f'"{c}"' for c in columns if c not in ("textId", "start", "end"))
            base.execute(
                f"INSERT INTO NVTX_EVENTS ({others}, start, end, textId) "
                f"SELECT {others}, start + ?, start + ?, ? FROM NVTX_EVENTS JOIN StringIds "
                "ON textId = id WHERE value LIKE 'Step %'",
                (5000 * place, 5000 * (place + 1), new),
            )
    base.close()


def _time_columns(base: sqlite3.Connection) -> list[tuple[str, list[str]]]:
    tables = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = []
    for table in tables:
        columns = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
        times = [column for column in ("start", "end") if column in columns]
        if times:
            found.append((table, times))
    return found


def _results(path: Path) -> None:
    """Two sessions, called by the days that the documentation names."""
    walls = {"kv-cache": [9, 8, 9, 8, 9, 8], "pipelined": [7, 6, 7, 6, 7, 6]}
    for day in ("20261101", "20261123"):
        made = sessions.write(path, walls, length=100)
        base = sqlite3.connect(path)
        with base:
            base.execute("PRAGMA foreign_keys = OFF")
            base.execute("UPDATE sessions SET id = ? WHERE id = ?", (f"{day}-120000", made))
            for table in ("workers", "cells", "runs", "clocks"):
                base.execute(
                    f"UPDATE {table} SET session = ? WHERE session = ?", (f"{day}-120000", made)
                )
        base.close()


def _programs(folder: Path, export: Path) -> None:
    """nsys, its GUI, two launchers, and ourselves, for PATH."""
    nsys = Path(fake_nsys.install(folder))
    # What it exports is a whole trace, so that the commands have something to say.
    nsys.write_text(
        nsys.read_text().replace(
            "    base = sqlite3.connect(output)",
            f"    import shutil; shutil.copy({str(export)!r}, output); sys.exit(0)\n"
            "    base = sqlite3.connect(output)",
        )
    )
    for name, text in {
        "nsys-ui": "#!/bin/sh\nexit 0\n",
        "torchrun": _LAUNCHER,
        "srun": _LAUNCHER,
        "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        "harness": f'#!/bin/sh\nexec "{sys.executable}" -m harness "$@"\n',
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def copy(template: Path, folder: Path) -> None:
    """A folder of one's own: links where nothing writes, copies where something may."""

    def link(source: str, target: str) -> None:
        (shutil.copy if source.endswith(".db") else os.link)(source, target)

    shutil.copytree(template, folder, copy_function=link, dirs_exist_ok=True)


def call(words: list[str]) -> int:
    """`harness WORDS` in this process; its exit code."""
    from harness.cli import main

    argv, sys.argv = sys.argv, ["harness", *words]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = argv
    raise AssertionError("harness ended without an exit code")


def simulate_here(config: Any, argv: tuple[str, ...], progress: Any) -> Ended:
    """`harness.simgpu.target` in this process, in the place of a process of its own."""
    from harness.simgpu.target import target

    place = argv.index("harness.simgpu.target")
    try:
        target.main(list(argv[place + 1 :]), standalone_mode=False)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    return Ended(code, None, None, False, (), 0.0)


class WorkerHere:
    """A measuring process of `harness bench`, in this process; models are loaded once."""

    bench: Any = None

    def __init__(self, allocator: str, device: str, progress: Any) -> None:
        from harness.bench import visit, worker

        self.allocator, self.seen, self.alive, self.start_ns = allocator, set(), True, 1
        WorkerHere.bench = self.bench or visit.Bench("cpu", progress=progress)
        self.facts = worker._facts(self.bench) | {"profiler": None}

    def visit(self, cell: Any, protocol: Any) -> dict[str, Any]:
        first = cell.key not in self.seen
        self.seen.add(cell.key)
        return self.bench.visit(cell.workload, protocol, first=first).to_dict()

    def end(self) -> None:
        self.alive = False
