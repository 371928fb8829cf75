"""`harness compare` on traces, folders and results: what it prints and how it exits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.compare.sample_sets import merged

from .sessions import write
from .traces import write_trace

STEADY = (10.0, 10.1, 9.9, 10.05, 9.95, 10.0)


@pytest.fixture
def steps() -> Callable[..., list[float]]:
    """Step times of a loop; every test draws the same ones, whatever ran before it."""
    rng = np.random.default_rng(0)
    return lambda mean_us, count=40: rng.normal(mean_us, 2, count).tolist()


def ratios(stdout: str) -> dict[str, dict]:
    return {row["metric"]: row for row in json.loads(stdout)["ratios"]}


def test_traces_by_their_steps(here, steps, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    write_trace(tmp_path / "b.sqlite", steps(120))
    done = here("compare", "a.sqlite", "b.sqlite", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = ratios(done.stdout)
    assert found["step"]["ratio"] == pytest.approx(1.2, abs=0.02)
    assert found["step"]["low"] < 1.2 < found["step"]["high"]
    assert (found["step"]["verdict"], found["step"]["gate"]) == ("worse", True)
    # The kernel is as long as before: all of the change is idle time.
    assert found["busy"]["verdict"] == "not significant"
    assert found["idle"]["verdict"] == "worse"
    causes = [name for name in found if name.startswith("idle: ")]
    assert sum(found[name]["before"] for name in causes) == pytest.approx(found["idle"]["before"])


@pytest.mark.parametrize(
    ("before", "after", "args", "code"),
    [
        (100, 120, [], 0),  # without a limit nothing fails
        (100, 120, ["--fail-above", "5%"], 3),
        (100, 120, ["--fail-above", "0.05"], 3),
        (100, 120, ["--fail-above", "30%"], 0),
        (120, 100, ["--fail-above", "0%"], 0),  # faster
        (100, 100, ["--fail-above", "0%"], 0),  # not significant
        (100, 120, ["--fail-above", "5%", "--metric", "busy"], 0),
        (100, 120, ["--fail-above", "5%", "--metric", "idle"], 3),
    ],
)
def test_exit_codes(here, tmp_path: Path, before: int, after: int, args: list, code: int) -> None:
    rng = np.random.default_rng(before + after)
    for name, mean in (("a", before), ("b", after)):
        write_trace(tmp_path / f"{name}.sqlite", rng.normal(mean, 2, 40).tolist())
    done = here("compare", "a.sqlite", "b.sqlite", *args, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("harness: regression:" in done.stderr) == (code == 3)


def test_a_single_slow_step_is_no_regression(here, steps, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    disturbed = steps(100)
    disturbed[20] = 900  # raises the mean by 20%
    write_trace(tmp_path / "b.sqlite", disturbed)
    done = here("compare", "a.sqlite", "b.sqlite", "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "= not" in done.stdout


def test_folders_resample_runs(here, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for folder, mean in (("main", 100), ("branch", 110)):
        for k in range(5):
            write_trace(
                tmp_path / folder / f"run-{k}.sqlite",
                rng.normal(mean, 2, 20).tolist(),
                manifest={"label": "loop", "strategy": "loop", "versions": {"torch": folder}},
            )
    args = ("compare", "main", "branch")
    done = here(*args, "--fail-above", "5%", "--format", "json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    found = ratios(done.stdout)["step"]
    assert (found["runs_before"], found["runs_after"]) == (5, 5)
    assert found["method"] == "bootstrap of runs"
    data = json.loads(done.stdout)
    assert data["differences"] == [{"key": "versions.torch", "before": "main", "after": "branch"}]
    assert data["regressions"] == [["loop", "step"]]
    table = here(*args, cwd=tmp_path).stdout
    assert table.index("versions.torch") < table.index("loop: after / before")
    assert "- worse" in table
    assert max(map(len, table.splitlines())) <= 80


def test_three_runs_are_too_few_whatever_they_show(here, steps, tmp_path: Path) -> None:
    for folder, mean in (("main", 100), ("branch", 150)):
        for k in range(3):
            write_trace(tmp_path / folder / f"{k}.sqlite", steps(mean), manifest={"label": "loop"})
    done = here("compare", "main", "branch", "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 0
    assert "? too few" in done.stdout
    assert "4 runs on each side are the least" in " ".join(done.stdout.split())


def test_a_file_that_cannot_be_read_is_named_and_left_out(here, steps, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_trace(tmp_path / folder / "good.sqlite", steps(100))
    (tmp_path / "b" / "bad.sqlite").write_text("nothing" * 100)
    done = here("compare", "a", "b", cwd=tmp_path)
    assert done.returncode == 0
    assert "left out: b/bad.sqlite" in done.stdout


def test_traces_without_a_gpu_compare_their_host_steps(here, steps, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100), gpu=False)
    write_trace(tmp_path / "b.sqlite", steps(130), gpu=False)
    done = here("compare", "a.sqlite", "b.sqlite", "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 3
    assert "host step" in done.stdout


def test_results_by_session_and_strategy(here, tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    slow = tuple(1.2 * ms for ms in STEADY)
    first = write(path, {"kv-cache": STEADY, "pipelined": slow})
    done = here("compare", "r.db#kv-cache", "r.db#pipelined", "--format", "json", cwd=tmp_path)
    found = ratios(done.stdout)
    assert found["runtime"]["subject"] == "b2 t11"
    assert found["runtime"]["ratio"] == pytest.approx(1.2, rel=1e-3)
    assert (found["runtime"]["verdict"], found["throughput"]["verdict"]) == ("worse", "worse")
    write(tmp_path / "new.db", {"kv-cache": slow, "pipelined": slow})
    both = here("compare", f"r.db@{first}", "new.db", "--fail-above", "5%", cwd=tmp_path)
    assert both.returncode == 3
    assert "kv-cache b2 t11: runtime is worse by 20.0%" in both.stderr
    assert "pipelined b2 t11: runtime" not in both.stderr


def test_real_sessions_against_themselves_show_no_change(here, session: Path) -> None:
    done = here("compare", "results.db", "results.db", "--fail-above", "0%", cwd=session)
    assert done.returncode == 0
    assert done.stdout.count("= not") == 3 * 3


def test_strategies_of_a_real_session(here, session: Path) -> None:
    done = here("compare", "results.db#kv-cache", "results.db#baseline", cwd=session)
    assert done.returncode == 0
    assert "runtime" in done.stdout
    assert done.stdout.splitlines()[3].split() == ["strategy", "kv-cache", "baseline"]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["a.sqlite", "none.sqlite"], 1, "none.sqlite does not exist"),
        (["a.sqlite", "text.db"], 1, "text.db"),
        (["a.sqlite", "empty"], 1, "empty has no steps and no runs to compare"),
        (["a.sqlite", "a.sqlite", "--metric", "nothing"], 1, "use step, busy, idle"),
        (["a.sqlite", "a.sqlite", "--fail-above", "much"], 2, "is not a share"),
        (["a.sqlite", "a.sqlite", "--confidence", "10%"], 2, "use 50% to 99.9%"),
        (["a.sqlite", "a.sqlite", "-o", "out.xyz"], 2, "no format ends with"),
        (["a.sqlite", "a.sqlite", "-o", "there.json"], 1, "there.json exists"),
        (["r.db#none", "r.db"], 1, "measured no 'none'; it has kv-cache"),
        (["r.db", "a.sqlite"], 1, "nothing stands on both sides"),
        (["a.sqlite", "a.sqlite", "--step", "Nothing *"], 1, "no steps and no runs"),
    ],
)
def test_one_line_says_what_is_wrong(
    steps, here, tmp_path: Path, args: list, code: int, says: str
) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    (tmp_path / "text.db").write_text("nothing" * 100)
    (tmp_path / "there.json").write_text("mine")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "r.db", {"kv-cache": STEADY, "pipelined": STEADY})
    done = here("compare", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "there.json").read_text() == "mine"


def test_output_files_by_their_ending(here, steps, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    for name, begins in (("c.md", "**a"), ("c.csv", "subject,metric"), ("c.json", "{")):
        done = here("compare", "a.sqlite", "a.sqlite", "-o", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert (tmp_path / name).read_text().startswith(begins)


def test_what_several_recordings_differ_in_is_listed() -> None:
    assert merged([{"a": 1, "b": {"c": 2}}, {"a": 3, "b": {"c": 2}}, {"d": 4}]) == {
        "a": [1, 3],
        "b": {"c": 2},
        "d": 4,
    }


@pytest.mark.parametrize(("asked", "title"), [("99.9%", "99.9% interval"), ("0.9", "90% interval")])
def test_an_interval_is_called_by_its_confidence(
    steps, here, tmp_path: Path, asked: str, title: str
) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    done = here("compare", "a.sqlite", "a.sqlite", "--confidence", asked, cwd=tmp_path)
    assert f"  {title}  " in done.stdout
