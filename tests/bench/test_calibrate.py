"""What the profiler adds: measured twice by one clock, shown with both figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.verdicts.calibration import read_calibration
from harness.capture.calibrate import compare_periods

from .traces import write_trace


def test_periods_by_hand() -> None:
    found = compare_periods([[100, 110, 90, 100], [120] * 4], [[150, 170, 160, 160]], (30, 36))
    assert found["unprofiled_step_ns"] == {
        "mean": 110.0,  # of the runs' means, 100 and 120
        "median": 115.0,
        "low": 90.0,
        "high": 120.0,
        "runs": 2,
        "steps": 8,
    }
    assert found["profiled_step_ns"]["mean"] == 160.0
    assert found["inflation"]["ratio"] == pytest.approx(160 / 110)
    assert found["inflation"]["verdict"] == "too few"  # 4 steps say nothing for certain
    assert "steps 31 to 34" in found["method"]
    json.dumps(found)


def test_a_real_inflation_has_an_interval() -> None:
    plain = [[1000 * (level + k % 7) for k in range(18)] for level in (1000, 1003, 998)]
    found = compare_periods(plain, [[1000 * (1100 + k % 5) for k in range(18)]])["inflation"]
    assert found["low"] < found["ratio"] < found["high"]
    assert found["ratio"] == pytest.approx(1.1, abs=0.01)
    assert found["verdict"] == "worse"


def test_the_unprofiled_step_has_an_interval() -> None:
    """3 runs: 2 degrees of freedom, t = 4.303."""
    plain = [[level] * 8 for level in (1000, 1010, 1050)]
    found = compare_periods(plain, [[1200] * 8])["unprofiled_step_ns"]
    half = 4.303 * np.std([1000, 1010, 1050], ddof=1) / np.sqrt(3)
    assert (found["mean_low"], found["mean_high"]) == pytest.approx(
        (1020 - half, 1020 + half), rel=1e-4
    )
    assert "mean_low" not in compare_periods(plain[:2], [[1200] * 8])["unprofiled_step_ns"]


def test_runs_that_differ_are_no_sure_measure() -> None:
    """The ratio lies in its interval, and a slow run among three widens it."""
    plain = [[level + k % 7 for k in range(18)] for level in (1000, 1010, 1300)]
    found = compare_periods(plain, [[1200 + k % 5 for k in range(18)]])
    mean = (1000 + 1010 + 1300) / 3 + sum(k % 7 for k in range(18)) / 18
    assert found["unprofiled_step_ns"]["mean"] == pytest.approx(mean)
    inflation = found["inflation"]
    assert inflation["low"] < inflation["ratio"] < inflation["high"]
    # One run against 3: their spread for both, 2 degrees of freedom, t = 4.303.
    logs = np.log([level + sum(k % 7 for k in range(18)) / 18 for level in (1000, 1010, 1300)])
    half = 4.303 * logs.std(ddof=1) * np.sqrt(4 / 3)
    assert np.log(inflation["high"] / inflation["low"]) == pytest.approx(2 * half, rel=1e-3)
    assert inflation["verdict"] == "not significant"


CALIBRATION = {
    "method": "made up",
    "unprofiled_step_ns": {"mean": 80_000, "runs": 3},
    "profiled_step_ns": {"mean": 100_000},
}


def test_gaps_show_both_figures(here, tmp_path: Path) -> None:
    """A step of 100 us with 50 us of work, 80 us without the profiler: 30 us of idle time."""
    write_trace(tmp_path / "a.sqlite", [100] * 30, manifest={"calibration": CALIBRATION})
    done = here("gaps", "a.sqlite", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    (row,) = data["calibration"]
    assert row["profiled_step_ns"] == 100_000
    assert row["unprofiled_step_ns"] == 80_000
    assert row["profiler_added_share"] == pytest.approx(0.25)
    assert row["recorded_idle_ns"] == pytest.approx(50_000)
    assert row["corrected_idle_ns"] == pytest.approx(30_000)
    assert (row["corrected_idle_low_ns"], row["corrected_idle_high_ns"]) == (None, None)
    assert data["traces"][0]["calibration"] == CALIBRATION
    table = here("gaps", "a.sqlite", "--tables", "all", cwd=tmp_path).stdout
    assert "As recorded: what the profiler added by separate runs" in table
    assert "25.0%" in table
    assert "not certain" not in table


def test_corrected_idle_time_has_the_doubt_of_the_unprofiled_step(here, tmp_path: Path) -> None:
    """50 us of work: idle time is what is left of 45 to 115 us, but never less than none."""
    plain = {"mean": 80_000, "runs": 3, "mean_low": 45_000, "mean_high": 115_000}
    calibration = {**CALIBRATION, "unprofiled_step_ns": plain}
    write_trace(tmp_path / "a.sqlite", [100] * 30, manifest={"calibration": calibration})
    done = here("gaps", "a.sqlite", "--format", "json", cwd=tmp_path)
    (row,) = json.loads(done.stdout)["calibration"]
    assert row["corrected_idle_low_ns"] == 0
    assert row["corrected_idle_high_ns"] == pytest.approx(65_000)


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        ("not significant", "the runs differ among themselves by as much"),
        ("too few", "the steps are too few to tell"),
        ("worse", None),
        (["worse"], None),
    ],
)
def test_what_is_not_certain_is_said_below(
    here, tmp_path: Path, verdict: object, why: str | None
) -> None:
    doubted = {**CALIBRATION, "inflation": {"ratio": 1.25, "verdict": verdict}}
    for name in "abcde":
        write_trace(tmp_path / f"{name}.sqlite", [100] * 30, manifest={"calibration": doubted})
    one, all_five = (
        here("gaps", "a.sqlite", "--tables", "all", cwd=tmp_path),
        here("gaps", *(f"{n}.sqlite" for n in "abcde"), "--tables", "all", cwd=tmp_path),
    )
    assert (one.returncode, all_five.returncode) == (0, 0), all_five.stderr
    for done, names in ((one, "a.sqlite"), (all_five, "a.sqlite, b.sqlite, c.sqlite and 2 more")):
        said = " ".join(done.stdout.split())
        assert (f"What the profiler added is not certain for {names}: {why}." in said) == (
            why is not None
        )


def test_a_step_that_is_all_busy_has_no_idle_time_left(here, tmp_path: Path) -> None:
    lower = {**CALIBRATION, "unprofiled_step_ns": {"mean": 45_000, "runs": 1}}
    write_trace(tmp_path / "a.sqlite", [100] * 30, manifest={"calibration": lower})
    done = here("gaps", "a.sqlite", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["calibration"][0]["corrected_idle_ns"] == 0


@pytest.mark.parametrize(
    "calibration",
    [
        None,
        "much",
        {},
        {"unprofiled_step_ns": {}, "profiled_step_ns": {"mean": 1}},
        {"unprofiled_step_ns": {"mean": 0}, "profiled_step_ns": {"mean": 1}},
        {"unprofiled_step_ns": {"mean": True}, "profiled_step_ns": {"mean": 1}},
        {"unprofiled_step_ns": {"mean": 1e300}, "profiled_step_ns": {"mean": 1}},
        {"unprofiled_step_ns": {"mean": "1"}, "profiled_step_ns": {"mean": 1}},
    ],
)
def test_a_manifest_that_makes_no_sense_has_no_calibration(calibration: Any) -> None:
    assert read_calibration({"calibration": calibration}) is None


def test_a_program_of_ones_own_is_refused(here, tmp_path: Path) -> None:
    done = here("profile", "--calibrate", "--", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "--calibrate compares the steps of the harness's own strategies" in done.stderr


def test_a_real_recording_is_calibrated(environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("nsys") is None:
        pytest.skip("nsys is not on PATH: a real calibration not checked (.ci/install-nsys)")
    argv = (
        "profile", "--strategy", "kv-cache", "--device", "cpu", "--capture", "nsys", "--model",
        "tiny", "--batch-size", "2", "--calibrate", "--tables", "all", "--name", "k", "-o", "out",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "harness", *argv],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "k.json").read_text())
    found = manifest["calibration"]
    # 20 steps make 19 periods; the first follows the synchronisation at the edge.
    assert found["profiled_step_ns"]["steps"] == 18
    assert (found["unprofiled_step_ns"]["runs"], found["unprofiled_step_ns"]["steps"]) == (3, 54)
    with_it, without = found["profiled_step_ns"]["mean"], found["unprofiled_step_ns"]["mean"]
    # How large it is, is the machine's affair.
    assert found["inflation"]["ratio"] == pytest.approx(with_it / without)
    assert min(with_it, without) > 0
    assert "calibrated: " in done.stderr
    assert "As recorded: what the profiler added by separate runs" in done.stdout
    assert [name for name in os.listdir(tmp_path / "out") if name.startswith(".")] == []
