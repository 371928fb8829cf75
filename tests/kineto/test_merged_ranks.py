"""Files of several ranks merged into one: processes, ids and GPUs are each rank's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.readers.kineto.merged import plain_pids
from harness.analysis.report import TraceReport

from .kineto_json import Event, kineto_2_11
from .test_damaged_names import loop

US = 1000


def of_rank(events: list[Event], rank: str, device: int, pid: int, late_us: int) -> list[Event]:
    made = []
    for one in events:
        gpu = one["cat"] == "kernel"
        own: dict[str, Any] = {"pid": f"[{rank}] {device if gpu else pid}"}
        if gpu:
            start = int(float(one["ts"].text)) + late_us
            own |= {"ts": start, "args": one["args"] | {"device": device}}
        made.append(one | own)
    return made


def merged(folder: Path, devices: tuple[int, int], pids: tuple[int, int]) -> TraceReport:
    path = folder / "t.json"
    first, second = (of_rank(loop(), f"TP0{k}", devices[k], pids[k], 37 * k) for k in range(2))
    head = '"distributedInfo": {"rank": 0, "world_size": 2},'
    path.write_bytes(kineto_2_11([*first, *second], head=head))
    return analyze(path)


@pytest.mark.parametrize("devices", [(0, 1), (1, 0), (0, 0)])
@pytest.mark.parametrize("pids", [(100, 100), (100, 200)])
def test_each_rank_has_its_own_gpu(
    tmp_path: Path, devices: tuple[int, int], pids: tuple[int, int]
) -> None:
    found = merged(tmp_path, devices, pids)
    assert [(d.window_ns, d.busy_ns, d.idle_ns) for d in found.devices] == [
        (1360 * US, 840 * US, 520 * US)
    ] * 2
    assert sorted(d.ordinal for d in found.trace.devices) == [0, 1]
    assert [s.steady.period_ns for s in found.series if s.steady] == [100 * US] * 2
    assert found.verdicts == ()
    assert [one.operations for one in found.processes] == [14, 14]


def test_the_rank_is_told_and_the_head_of_one_file_names_no_other(tmp_path: Path) -> None:
    found = merged(tmp_path, (0, 1), (100, 100))
    assert sorted(s.thread_name for s in found.series) == ["[TP00]", "[TP01]"]
    assert (found.label, found.trace.source.rank) == ("t", None)


def test_numbers_stay_where_they_tell_processes_apart() -> None:
    assert plain_pids(["[TP00] 5", "[TP01] 6", 7, "Spans"]) == [5, 6, 7, "Spans"]
    assert plain_pids(["[TP00] 5", "[TP01] 5", 6]) == ["[TP00] 5", "[TP01] 5", 6]


def test_ranks_without_names_are_not_called_unrecorded(tmp_path: Path) -> None:
    """Both ranks count their calls from 1, and no GPU row says whose it is: none is missing."""
    events = [
        one | {"pid": device if one["cat"] == "kernel" else pid}
        | ({"args": one["args"] | {"device": device}} if one["cat"] == "kernel" else {})
        for device, pid in ((0, 100), (1, 200))
        for one in loop()
    ]  # fmt: skip
    path = tmp_path / "t.json"
    path.write_bytes(kineto_2_11(events))
    found = analyze(path)
    assert [(d.busy_ns, d.idle_ns) for d in found.devices] == [(840 * US, 520 * US)] * 2
    (said,) = found.verdicts
    assert (said.figures, said.level, said.code) == ("steps", "degraded", "process-not-recorded")
    assert "there are enough for all launches" in said.reason
    assert "[TP00]" in said.remedy
