"""A CPU program recorded by a real nsys, exported by it, and read by `harness gaps`.

The program measures its own steps from just inside and just outside each range: what nsys
recorded, and we report, must lie between the two.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.idle.assign import find_steps
from harness.analysis.readers.open import open_trace

from .nvidia import Nsys, unavailable

pytestmark = pytest.mark.nsys

STEPS = 12
LAST_GOOD_NVTX = (0, 2, 11)
"""Newer ones ask nsys whether a domain is on, hear no, and record nothing (NVIDIA/NVTX#126)."""

CLOCK_ERROR = 1e-3
"""nsys reads another clock than Python does; they drift apart by less than this."""

PROGRAM = """
import json, sys, time
import nvtx

steps = []
for number in range(30, 30 + int(sys.argv[2])):
    outside = time.perf_counter_ns()
    with nvtx.annotate(f"Step {number}", color="blue"):
        inside, wall = time.perf_counter_ns(), time.time_ns()
        with nvtx.annotate("Model Forward", color="green"):
            time.sleep(0.002 + 0.001 * (number % 5))
        with nvtx.annotate("Check Stop Condition", color="purple"):
            time.sleep(0.001)
        inside_end = time.perf_counter_ns()
    outside_end = time.perf_counter_ns()
    steps.append([outside, inside, inside_end, outside_end, wall])
with open(sys.argv[1], "w") as file:
    json.dump(steps, file)
"""


@dataclass(frozen=True)
class Recording:
    sqlite: Path
    report: Path
    steps: list[list[int]]
    """Per step: just before the range, just inside, just before its end, just after; wall clock."""

    def bounds(self, step: int) -> tuple[float, float]:
        """Shortest and longest that the range of a step can have been, ns."""
        outside, inside, inside_end, outside_end, _ = self.steps[step]
        return (inside_end - inside) * (1 - CLOCK_ERROR), (outside_end - outside) * (
            1 + CLOCK_ERROR
        )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("recording")
    nsys = Nsys.find(folder)
    try:
        version = importlib.metadata.version("nvtx")
    except importlib.metadata.PackageNotFoundError:
        unavailable("the nvtx package is not installed: pip install 'nvtx==0.2.11'")
    if tuple(int(part) for part in version.split(".")[:3]) > LAST_GOOD_NVTX:
        unavailable(f"nvtx {version} records no ranges under this nsys: install nvtx==0.2.11")
    program, measured = folder / "program.py", folder / "measured.json"
    program.write_text(PROGRAM)
    sqlite = nsys.record([sys.executable, str(program), str(measured), str(STEPS)])
    return Recording(sqlite, sqlite.with_suffix(".nsys-rep"), json.loads(measured.read_text()))


def harness(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "gaps", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def report(*arguments: str | Path, **environment: str) -> dict[str, Any]:
    done = harness(*arguments, "--format", "json", **environment)
    assert done.returncode == 0, done.stderr
    (trace,) = json.loads(done.stdout)["traces"]
    return trace


def test_steps_are_found_and_the_trace_is_called_host_only(recording: Recording) -> None:
    trace = report(recording.sqlite)
    assert trace["origin"] == "measured"
    assert trace["devices"] == []
    assert [verdict["code"] for verdict in trace["verdicts"]] == ["host-only"]
    (series,) = trace["host_series"]
    assert series["steps"] == STEPS
    assert series["unclosed"] == 0


def test_host_step_times_are_those_the_program_measured(recording: Recording) -> None:
    (series,) = report(recording.sqlite)["host_series"]
    interior = range(1, STEPS - 1)  # the first and the last step are left out
    duration = series["duration"]
    assert duration["count"] == len(interior)
    low, high = (sum(column) for column in zip(*map(recording.bounds, interior), strict=True))
    assert low <= duration["sum_ns"] <= high
    assert high - low < 0.1 * high, "the program measured too coarsely to say anything"
    shortest, longest = (
        [choose(column) for column in zip(*map(recording.bounds, interior), strict=True)]
        for choose in (min, max)
    )
    assert shortest[0] <= duration["min_ns"] <= shortest[1]
    assert longest[0] <= duration["max_ns"] <= longest[1]


def test_every_step_lies_where_the_program_was_in_it(recording: Recording) -> None:
    trace = open_trace(recording.sqlite)
    (series,) = find_steps(trace).series
    assert series.number.tolist() == list(range(30, 30 + STEPS))
    zero = trace.source.session_start_utc_ns
    assert zero is not None
    for step, (start, end) in enumerate(
        zip(series.start.tolist(), series.end.tolist(), strict=True)
    ):
        low, high = recording.bounds(step)
        assert low <= end - start <= high
        wall = recording.steps[step][4]
        assert start - 20e6 <= wall - zero <= end + 20e6


def test_durations_are_those_of_nvidias_own_summary(recording: Recording, nsys: Nsys) -> None:
    (series,) = find_steps(open_trace(recording.sqlite)).series
    mine = {
        f"Step {number}": str(end - start)
        for number, start, end in zip(
            series.number.tolist(), series.start.tolist(), series.end.tolist(), strict=True
        )
    }
    rows = nsys.report(recording.sqlite, "nvtxppsum", "nvtx_pushpop_sum")
    theirs = {row["Range"].removeprefix(":"): row["Total Time (ns)"] for row in rows}
    assert {name: theirs[name] for name in mine} == mine


def test_table_for_people_gives_host_times_and_the_remedy(recording: Recording) -> None:
    done = harness(recording.sqlite)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "host-only" in done.stdout
    assert "--trace=cuda" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_report_is_exported_into_a_cache_and_read(recording: Recording, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    copy = alone / "run.nsys-rep"
    copy.write_bytes(recording.report.read_bytes())
    trace = report(copy, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert trace["host_series"] == report(recording.sqlite)["host_series"]
    assert [path.name for path in alone.iterdir()] == ["run.nsys-rep"]


def test_the_arrow_export_of_the_same_report_says_the_same(recording: Recording) -> None:
    """nsys 2022.4 writes no folders of tables, but the same tables into one Arrow file."""
    arrow = recording.report.with_suffix(".arrow")
    command = ["nsys", "export", "--type", "arrow", "-o", str(arrow), str(recording.report)]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    traces = [report(path) for path in (arrow, recording.sqlite)]
    for trace in traces:
        del trace["path"], trace["answer"]["next"]
    assert traces[0] == traces[1]
    assert traces[0]["host_series"][0]["steps"] == STEPS
