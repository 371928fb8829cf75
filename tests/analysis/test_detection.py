"""Faults planted into recordings of an H100 are caught; a small run of benchmarks/detection.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from detection import NO_ALARM, tallied, verdicts
from faults import FAULTS

SQLITE = ROOT / "traces" / "h100-kv-cache.sqlite"
GRAPH = ROOT / "traces" / "h100-cuda-graph.sqlite"
JSON = ROOT / "tests" / "kineto" / "data" / "h100_decode_sync.json.gz"
OTHERS = {
    "graph nodes lost": GRAPH,  # the others have none
    "step ranges lost": None,
}


def traces(kind: str) -> list[Path]:
    if kind in OTHERS:
        one = OTHERS[kind]
        return [one] if one else []
    return [SQLITE, JSON]


CAUGHT = [(one.kind, one.size) for one in FAULTS if traces(one.kind)]
FAINT = {
    # Most waits return later than that after their work: in this trace one does 4.1 us after.
    ("GPU clock ahead", "5 µs"): [GRAPH],
}


@pytest.mark.parametrize(("kind", "size"), CAUGHT)
def test_a_planted_fault_is_caught(tmp_path: Path, kind: str, size: str) -> None:
    faults = [one for one in FAULTS if (one.kind, one.size) == (kind, size)]
    found, alarms = tallied(FAINT.get((kind, size), traces(kind)), faults, 1, tmp_path)
    assert not alarms
    tally = found[kind, size]
    assert tally.planted > 0
    assert tally.caught == tally.planted


@pytest.mark.parametrize("path", sorted((ROOT / "traces").glob("*.sqlite")), ids=lambda p: p.stem)
def test_a_good_trace_raises_no_alarm(path: Path) -> None:
    assert set(verdicts(path)) <= NO_ALARM
