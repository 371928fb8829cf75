"""Real exports by other people's programs, against figures worked out by an independent script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ORACLE = [
    ("power_iteration", 0, 1_790_613_909, 658_549_185, 3777),
    ("h100_2gpu_copy_bound", 0, 969_447_605, 6_557_358, 2183),
    ("h100_2gpu_copy_bound", 1, 969_258_578, 6_447_873, 2183),
    ("graph_level", 0, 186_815, 179_007, 5),
    ("mpi_saxpy_old_schema", 0, 1_097_327_843, 724_054_763, 19),
]
FILES = sorted({name for name, *_ in ORACLE})


@pytest.fixture(scope="module")
def traces(public_traces: Path) -> dict[str, dict]:
    import subprocess
    import sys

    paths = [str(public_traces / f"{name}.sqlite") for name in FILES]
    run = subprocess.run(
        [sys.executable, "-m", "harness", "gaps", *paths, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return {Path(t["path"]).stem: t for t in json.loads(run.stdout)["traces"]}


@pytest.mark.parametrize(("name", "device", "span", "idle", "gaps"), ORACLE)
def test_device_figures_to_the_nanosecond(
    traces: dict[str, dict], name: str, device: int, span: int, idle: int, gaps: int
) -> None:
    found = next(d for d in traces[name]["devices"] if d["device"] == device)
    assert (found["window_ns"], found["idle_ns"], found["gap_count"]) == (span, idle, gaps)
    assert found["busy_ns"] + found["idle_ns"] == found["window_ns"]
    assert sum(found["causes"].values()) == idle


@pytest.mark.parametrize("name", FILES)
def test_what_is_taken_for_steps_is_said_and_device_figures_are_given(
    traces: dict[str, dict], name: str
) -> None:
    codes = [v["code"] for v in traces[name]["verdicts"]]
    if name == "power_iteration":
        assert traces[name]["chosen"]["globs"] == ["Step * to *"]
        assert {"device-only", "inferred-steps"}.isdisjoint(codes)
    else:
        taken = "inferred-steps" if name == "mpi_saxpy_old_schema" else "device-only"
        assert taken in codes
    assert all(d["idle_ns"] is not None for d in traces[name]["devices"])


def test_copy_bound_trace_is_not_called_idle(traces: dict[str, dict]) -> None:
    for device in traces["h100_2gpu_copy_bound"]["devices"]:
        assert device["idle_ns"] / device["window_ns"] < 0.01


def test_launches_still_queued_at_the_end_are_not_missing(traces: dict[str, dict]) -> None:
    codes = [v["code"] for v in traces["h100_2gpu_copy_bound"]["verdicts"]]
    assert "launches-without-gpu-rows" not in codes
    assert "launches-unknown" in codes  # the slice begins after these launches


def test_graph_level_rows_are_named(traces: dict[str, dict]) -> None:
    verdicts = {v["code"]: v for v in traces["graph_level"]["verdicts"]}
    assert "2 CUDA graph launches" in verdicts["graph-level"]["reason"]


def test_old_schema_reads_and_its_duplicates_are_counted(traces: dict[str, dict]) -> None:
    old = traces["mpi_saxpy_old_schema"]
    assert old["producer_version"] == "2022.2.1.31"
    assert old["duplicate_api_rows"] == 38
    assert not [v for v in old["verdicts"] if v["code"] == "launches-without-gpu-rows"]


def test_power_iteration_steps(harness, public_traces: Path) -> None:
    path = public_traces / "power_iteration.sqlite"
    run = harness("gaps", path, "--step", "Step *", "--format", "json")
    trace = json.loads(run.stdout)["traces"][0]
    (series,) = trace["series"]
    (device,) = trace["devices"]
    kinds = [series[f"{k}_ns"] for k in ("inter", "intra", "unassigned", "boundary")]
    assert series["steps"] == 44
    assert sum(kinds) == device["idle_ns"] == 658_549_185
    steady = series["steady"]
    assert steady["steps"] == 42
    assert sum(steady["causes"].values()) == pytest.approx(steady["idle_ns"], abs=0.01)
    assert steady["busy_ns"] + steady["idle_ns"] == pytest.approx(steady["period_ns"], abs=0.01)
    # Its idle time is file output after a copy to the host: the ranges say so.
    assert next(iter(device["host_ranges"])) == "IO *"
    # The copy held the host until the GPU had nothing to do; the synchronise after it began then.
    assert next(iter(device["drained_by"])) == "Copy * · cudaMemcpyAsync"
