"""Coverage-guided fuzzing with atheris: the mutants that reach new lines are kept and mutated on.

    pip install -e '.[fuzz]'
    python -m tests.fuzz.guided --reader json --seconds 600           # bytes, from sound files
    python -m tests.fuzz.guided --reader sqlite --structure           # choices of our own mutators

Whatever the oracle calls broken is left as a `crash-*` file in the folder of the corpus; give its
name as the last argument to run it again.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["harness"]):
    import harness.analysis.gains.gpu
    import harness.analysis.readers.arrow.tables
    import harness.analysis.readers.join
    import harness.analysis.readers.kineto.tables
    import harness.analysis.readers.open
    import harness.analysis.readers.sqlite.arrow_stream
    import harness.manifest  # noqa: F401

    from . import bases, folders
    from .oracle import Depth
    from .targets import TARGETS, Target, run

_TABLE = "CUPTI_ACTIVITY_KIND_KERNEL"
_SEEDS = {
    "sqlite": lambda: [bases.sqlite_base(name) for name in bases.SQLITE],
    "json": lambda: [bases.json_base(name) for name in bases.JSON],
    "folder": lambda: [
        folders.written(folders.base_tables("loop"), layout)[f"{_TABLE}.{ending}"]
        for layout, ending in (("parquet", "parquet"), ("arrow file", "arrow"))
    ],
    "manifest": lambda: [TARGETS["manifest"].make("reorder", Random(1))],
    "gpu": lambda: [bases.gpu_base()],
}


@cache
def _others() -> dict[str, bytes | None]:
    files = folders.written(folders.base_tables("loop"))
    return {name: data for name, data in files.items() if not name.startswith(_TABLE)}


class Choices(Random):
    """A source of choices that reads them from the fuzzer's bytes; zeros when they run out."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._left = memoryview(data)

    def getrandbits(self, k: int, /) -> int:
        size = (k + 7) // 8
        taken, self._left = self._left[:size], self._left[size:]
        return int.from_bytes(taken, "little") & ((1 << k) - 1)

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)


def of_bytes(target: Target, data: bytes) -> None:
    """The fuzzer's bytes are the file; of a folder, the file of one table."""
    if target is TARGETS["folder"]:
        ending = "parquet" if data.startswith(b"PAR1") else "arrow"
        files = {**_others(), f"{_TABLE}.{ending}": data}
        data = folders.packed(files)
    run(target, data, "bytes:guided", depth=Depth.FIGURES)


def of_structure(target: Target, data: bytes) -> None:
    """The fuzzer's bytes are what one of our mutators chooses by."""
    if data:
        mutator = target.mutators[data[0] % len(target.mutators)]
        run(target, target.make(mutator, Choices(data[1:])), mutator, depth=Depth.FIGURES)


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reader", choices=sorted(TARGETS), required=True)
    parser.add_argument("--structure", action="store_true")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-out"))
    parser.add_argument("files", nargs="*", help="run these alone")
    asked = parser.parse_args()
    target = TARGETS[asked.reader]
    folder = asked.corpus / f"{asked.reader}-{'structure' if asked.structure else 'bytes'}"
    folder.mkdir(parents=True, exist_ok=True)
    if not asked.structure:
        for number, data in enumerate(_SEEDS[asked.reader]()):
            (folder / f"base-{number}").write_bytes(data)
    one = of_structure if asked.structure else of_bytes
    words = [
        sys.argv[0], f"-max_total_time={asked.seconds}", "-timeout=60", "-rss_limit_mb=4096",
        f"-artifact_prefix={folder}/", "-max_len=65536", "-len_control=0",
        *(asked.files or [str(folder)]),
    ]  # fmt: skip
    atheris.Setup(words, lambda data: one(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
