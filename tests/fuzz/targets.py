"""The readers under test: the mutants of each one, and what is demanded of what it makes of them.

A mutant is named by its target, its mutator and a source of choices, and nothing else decides what
it is: `make(target, mutator, Random(7))` is the same bytes everywhere.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from msgspec.structs import replace

from harness.analysis.analyze import analyze
from harness.analysis.gains.gpu import read_gpu
from harness.analysis.model.errors import TraceError
from harness.analysis.model.schema import MAX_TIME, Table
from harness.analysis.model.trace import Trace
from harness.analysis.readers.metadata import read_source
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import Columns, Database, open_database
from harness.manifest import RunManifest, read_manifest
from harness.simgpu.gpu_writer import to_toml
from tests.analysis.test_metamorphic import figures

from . import bases, blobs, brute, folders, layouts, oracle, tables, toml_writer, trees
from .oracle import Broken, Depth, Figures, Outcome, in_time

Check = Callable[[Path, bool, Depth], Outcome]
"""The mutant's file, whether its change must not matter, how much to ask of it."""


@dataclass(frozen=True)
class Target:
    """One reader. `weight`: its share of a long run."""

    name: str
    suffix: str
    mutators: tuple[str, ...]
    make: Callable[[str, Random], bytes]
    check: Check
    weight: int
    unseen: frozenset[str] = frozenset()


def run(target: Target, data: bytes, mutator: str, *, depth: Depth = Depth.TEXT) -> Outcome:
    """Write the mutant, have it read, and judge. Raises whatever is no refusal."""
    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        path = Path(folder) / f"mutant{target.suffix}"
        path.write_bytes(data)
        before = sorted(p.name for p in path.parent.iterdir())
        unseen = mutator in target.unseen
        with in_time():
            try:
                found = target.check(path, unseen, depth)
            except TraceError as error:
                if unseen:
                    raise Broken(f"what must not matter is refused: {error}") from error
                found = Outcome("refused", oracle.one_line(error, path))
        if sorted(p.name for p in path.parent.iterdir()) != before:
            raise Broken("something was written beside the file")
        return found


@cache
def _fast() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


_BYTES = tuple(f"bytes:{name}" for name in blobs.MUTATORS)


def _spoiled(base: bytes, mutator: str, random: Random) -> bytes:
    data = bytearray(base)
    blobs.MUTATORS[mutator.removeprefix("bytes:")].apply(data, random)
    return bytes(data)


# SQLite


def _make_sqlite(mutator: str, random: Random) -> bytes:
    name = random.choice(bases.SQLITE)
    base = bases.sqlite_base(name)
    if mutator.startswith("bytes:"):
        data = _spoiled(base, mutator, random)
    else:
        data = tables.mutate(base, mutator, random)
    return data


@cache
def _figures_of(data: bytes, suffix: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"base{suffix}"
        path.write_bytes(data)
        return figures(analyze(path))


def _closest(wanted: list[bytes], suffix: str) -> Callable[[Figures], Figures]:
    """Figures of the base that a mutant came from: the one with the same figures, else any."""
    known = [_figures_of(data, suffix) for data in wanted]

    def choose(found: Figures) -> Figures:
        return next((one for one in known if one == found), known[0])

    return choose


def _check_sqlite(path: Path, unseen: bool, depth: Depth) -> Outcome:
    base = _closest([bases.sqlite_base(name) for name in bases.SQLITE], ".sqlite")
    return oracle.judged(path, brute.of_sqlite(path), base, unseen=unseen, depth=depth)


# Folders of Parquet and Arrow tables


def _check_folder(path: Path, unseen: bool, depth: Depth) -> Outcome:
    """Unpacked under the archive's own name, which a refusal has to say."""
    folder = path.parent / "unpacked" / path.name
    try:
        folders.unpack(path.read_bytes(), folder)
        there = sorted(p.name for p in folder.iterdir())
        found = oracle.judged(
            folder, brute.of_folder(folder), _closest_folder(), unseen=unseen, depth=depth
        )
        if sorted(p.name for p in folder.iterdir()) != there:
            raise Broken("something was written into the folder")
        return found
    finally:
        shutil.rmtree(folder.parent)


@cache
def _closest_folder() -> Callable[[Figures], Figures]:
    known = []
    with tempfile.TemporaryDirectory() as place:
        for name in bases.SQLITE:
            folder = Path(place) / name
            folders.unpack(folders.packed(folders.written(folders.base_tables(name))), folder)
            known.append(figures(analyze(folder)))
    return lambda found: next((one for one in known if one == found), known[0])


# torch.profiler's JSON


def _make_json(mutator: str, random: Random) -> bytes:
    name = random.choice(bases.JSON)
    if mutator in layouts.MUTATORS:
        return layouts.MUTATORS[mutator].apply(bases.json_tree(name), random)
    if mutator.startswith("bytes:"):
        return _spoiled(bases.json_base(name), mutator, random)
    tree = trees.mutate(bases.json_tree(name), mutator, random)
    return layouts.written(tree, random)


def _check_json(path: Path, unseen: bool, depth: Depth) -> Outcome:
    base = _closest([bases.json_base(name) for name in bases.JSON], ".json")
    return oracle.judged(path, brute.of_json(path), base, unseen=unseen, depth=depth)


# The manifest beside a trace


def _make_manifest(mutator: str, random: Random) -> bytes:
    base = bases.manifest_tree()
    if mutator.startswith("bytes:"):
        return _spoiled(json.dumps(base, indent=2).encode(), mutator, random)
    return json.dumps(trees.mutate(base, mutator, random), indent=2).encode()


def _check_manifest(path: Path, unseen: bool, depth: Depth) -> Outcome:
    """By the strict reader; and beside a trace, whose figures it may not touch."""
    refusal = ""
    try:
        known = read_manifest(path)
        if not isinstance(known, RunManifest) or known.origin not in ("measured", "simulated",
                                                                      "synthetic"):  # fmt: skip
            raise Broken(f"read as {known!r}")
        oracle.finite(json.loads(json.dumps(known.result or {}, default=str)))
    except TraceError as error:
        refusal = oracle.one_line(error, path)
    trace = _loop(path.with_suffix(".sqlite"))
    if trace.source.origin == "measured":
        raise Broken("a manifest made a synthetic trace a measured one")
    base = _figures_of(bases.sqlite_base("loop"), ".sqlite")
    found = base
    if depth >= Depth.TEXT:
        report = analyze(trace)
        oracle.drawn(report, deep=depth is Depth.ALL)
        found = figures(report)
        for key in ("devices", "all", "host"):
            if found[key] != base[key]:
                raise Broken(f"a manifest changed {key}")
        if not refusal:
            return oracle.outcome(report, found, base, unseen=unseen)
    return Outcome("refused", refusal) if refusal else Outcome("same")


def _loop(path: Path) -> Trace:
    """The trace with its manifest; its rows, which are always the same, are read once."""
    return replace(_rows_of_loop(), path=path, source=read_source(_Known(path)))


class _Known(Database):
    """The tables of the loop, read once, at any path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, table: Table) -> Columns:
        return _table_of_loop(table)


@cache
def _table_of_loop(table: Table) -> Columns:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.sqlite"
        path.write_bytes(bases.sqlite_base("loop"))
        return open_database(path).read(table)


@cache
def _rows_of_loop() -> Trace:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.sqlite"
        path.write_bytes(bases.sqlite_base("loop"))
        return open_trace(path)


# Simulated GPUs


def _make_gpu(mutator: str, random: Random) -> bytes:
    if mutator.startswith("bytes:"):
        return _spoiled(bases.gpu_base(), mutator, random)
    return toml_writer.written(trees.mutate(bases.gpu_tree(), mutator, random)).encode(
        "utf-8", "surrogatepass"
    )


def _check_gpu(path: Path, unseen: bool, depth: Depth) -> Outcome:
    gpu = read_gpu(path)
    for key, value in gpu.values.items():
        if not math.isfinite(value) or not 0 <= value < MAX_TIME * 1e6:
            raise Broken(f"{key} is {value}")
    if any(not source.strip() for source in gpu.sources.values()):
        raise Broken("a number without a source")
    if min(gpu.bandwidth, gpu.rate("float16"), gpu.timing.queue_depth) <= 0:
        raise Broken("a GPU that can do nothing")
    if not gpu.name.isprintable():
        raise Broken(f"the name {gpu.name[:40]!r} does not fit a line")
    again = path.with_name("again.toml")
    again.write_text(to_toml(gpu), "utf-8")
    second = read_gpu(again)
    again.unlink()
    if (second.values, second.sources, second.name) != (gpu.values, gpu.sources, gpu.name):
        raise Broken("written and read again, it is another GPU")
    base = _gpu_values()
    return Outcome("same" if dict(gpu.values) == base else "changed")


@cache
def _gpu_values() -> dict[tuple[str, str], float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.toml"
        path.write_bytes(bases.gpu_base())
        return dict(read_gpu(path).values)


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "sqlite", ".sqlite", (*tables.MUTATORS, *_BYTES), _make_sqlite, _check_sqlite,
            8, frozenset(tables.UNSEEN),
        ),
        Target(
            "folder", ".zip", (*folders.MUTATORS, *_BYTES), folders.make, _check_folder,
            8, folders.UNSEEN,
        ),
        Target(
            "json", ".json",
            (*layouts.MUTATORS, *trees.MUTATORS, *_BYTES),
            _make_json, _check_json, 25, frozenset(layouts.MUTATORS),
        ),
        Target(
            "manifest", ".json", (*trees.MUTATORS, *_BYTES), _make_manifest,
            _check_manifest, 30,
        ),
        Target("gpu", ".toml", (*trees.MUTATORS, *_BYTES), _make_gpu, _check_gpu, 37),
    )
}  # fmt: skip
