"""A time of 0 far from all others is none: the row is left out and the others keep their clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.report import TraceReport

from .kineto_json import Event, Raw, kineto_2_11
from .test_damaged_names import loop

US = 1000


def shifted(by_us: int, lost: int, duration_us: int) -> list[Event]:
    """The loop `by_us` later, but for the `lost`-th kernel, whose time is 0."""
    made, kernel = [], 0
    for one in loop():
        late = dict(one)
        late["ts"] = Raw(f"{by_us + int(float(one['ts'].text))}")
        if one["cat"] == "kernel":
            if kernel == lost:
                late |= {"ts": Raw("0"), "dur": Raw(str(duration_us))}
            kernel += 1
        made.append(late)
    return made


def read(folder: Path, events: list[Event]) -> TraceReport:
    path = folder / "t.json"
    data = kineto_2_11(events)
    start = data.rindex(b",\n  {")  # "Record Window End" has a clock of its own
    path.write_bytes(data[:start] + data[data.index(b"\n  ]", start) :])
    return analyze(path)


@pytest.mark.parametrize("duration_us", [0, 5])
@pytest.mark.parametrize("by_us", [1_615_207_264_501_000, 4_909_914_217_285])
def test_the_row_is_left_out(tmp_path: Path, by_us: int, duration_us: int) -> None:
    found = read(tmp_path, shifted(by_us, 4, duration_us))
    (device,) = found.devices
    assert (device.window_ns, device.busy_ns, device.idle_ns) == (1360 * US, 780 * US, 580 * US)
    assert found.trace.dropped.null == 1
    said = {v.code for v in found.verdicts}
    assert "rows-dropped" in said
    assert "launches-without-gpu-rows" not in said


def test_the_first_row(tmp_path: Path) -> None:
    (device,) = read(tmp_path, shifted(4_909_914_217_285, 0, 5)).devices
    assert (device.window_ns, device.busy_ns, device.idle_ns) == (1260 * US, 780 * US, 480 * US)


def test_a_clock_that_begins_at_0_is_one(tmp_path: Path) -> None:
    found = read(tmp_path, shifted(0, 0, 60))
    (device,) = found.devices
    assert found.trace.dropped.total == 0
    assert (device.window_ns, device.busy_ns) == (1480 * US, 840 * US)
