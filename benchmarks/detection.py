#!/usr/bin/env python
"""How many planted faults the verdicts catch, and how often they alarm where nothing is wrong.

    python benchmarks/detection.py [FOLDER ...] [--seeds 3] [--kind TEXT]

Plants every fault of faults.py at several sizes into every good trace of `traces/`, `tests/data`
and `tests/kineto/data`, and of the folders named, and analyses what comes out. A fault is caught
where the analysis gives a verdict, or a higher level, that the untouched trace does not have. A
fault that a trace has nothing to be planted in (graph nodes where there is no graph) does not
count.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults import FAULTS, Fault, opened

from harness.analysis.analyze import analyze

HERE = Path(__file__).resolve().parent.parent
GOOD = (HERE / "traces", HERE / "tests" / "data", HERE / "tests" / "kineto" / "data")
NO_ALARM = frozenset(
    {"host-only", "device-only", "inferred-steps", "few-steps", "graph-level", "profiler-overhead"}
)
"""What a sound recording may be told: it has no steps, or few; nothing in it is wrong."""


@dataclass
class Tally:
    """Of one kind and size."""

    planted: int = 0
    caught: int = 0
    invalid: int = 0


def verdicts(path: Path) -> dict[str, str]:
    """Code to level of what is said of a trace; of one that is refused, why."""
    try:
        return {v.code: str(v.level) for v in analyze(path).verdicts}
    except Exception as error:  # a refusal is an answer
        return {type(error).__name__: "invalid"}


def good_traces(folders: Sequence[Path], scratch: Path) -> Iterator[Path]:
    """Every trace of these folders; packed exports are unpacked."""
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.name.endswith(".sqlite.gz"):
                plain = scratch / path.name.removesuffix(".gz")
                plain.write_bytes(gzip.decompress(path.read_bytes()))
                yield plain
            elif path.name.endswith((".sqlite", ".json.gz")):
                yield path


def tallied(
    traces: Sequence[Path], faults: Sequence[Fault], seeds: int, scratch: Path
) -> tuple[dict[tuple[str, str], Tally], list[str]]:
    """What was caught by (kind, size), and the false alarms on the untouched traces."""
    found: dict[tuple[str, str], Tally] = {}
    alarms = []
    for path in traces:
        sound = verdicts(path)
        alarms += [f"{path.name}: {code}" for code in sound if code not in NO_ALARM]
        for fault in faults:
            tally = found.setdefault((fault.kind, fault.size), Tally())
            for seed in range(seeds if fault.by_chance else 1):
                recording = opened(path)
                if len(recording.gpu) < 20 or not fault.plant(recording, random.Random(seed)):
                    break
                bad = scratch / f"planted{path.suffixes[0]}"
                recording.save(bad)
                new = {level for code, level in verdicts(bad).items() if sound.get(code) != level}
                tally.planted += 1
                tally.caught += bool(new)
                tally.invalid += "invalid" in new
                bad.unlink()
    return found, alarms


def table(found: dict[tuple[str, str], Tally]) -> list[str]:
    """In Markdown."""
    lines = ["| fault | size | caught | of them invalid |", "|---|---|---|---|"]
    lines += [
        f"| {kind} | {size} | {tally.caught} of {tally.planted} | {tally.invalid} |"
        for (kind, size), tally in found.items()
    ]
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="more folders of good traces")
    parser.add_argument("--seeds", type=int, default=3, help="times that each chance is taken")
    parser.add_argument("--kind", default="", help="only the faults whose kind holds this text")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        traces = list(good_traces((*GOOD, *given.folders), scratch))
        faults = [fault for fault in FAULTS if given.kind in fault.kind]
        found, alarms = tallied(traces, faults, given.seeds, scratch)
    print("\n".join(table(found)))
    print(f"\nFalse alarms on {len(traces)} untouched traces: {len(alarms)}")
    print("".join(f"  {alarm}\n" for alarm in alarms), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
