"""`harness compare` on traces, folders and results: what it prints and how it exits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.compare.sample_sets import merged
from harness.analysis.compare.samples import Sample
from harness.analysis.compare.verdict import Ratio, compare_samples
from harness.analysis.writer.writer import TraceBuilder

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
    assert (found["step"]["verdict"], found["step"]["gate"]) == ("these runs differ", True)
    # The kernel is as long as before: all of the change is idle time.
    assert found["busy"]["verdict"] == "not significant"
    assert (found["busy"]["better"], found["busy"]["gate"]) == (None, False)
    assert (found["idle"]["verdict"], found["idle"]["gate"]) == ("these runs differ", True)
    medians = [name for name in found if name.startswith("median ")]
    assert medians == ["median step", "median idle"]
    assert found["median step"]["before"] == pytest.approx(100_000, rel=0.02)
    causes = [name for name in found if name.startswith("idle: ")]
    assert sum(found[name]["before"] for name in causes) == pytest.approx(found["idle"]["before"])


def test_a_chosen_metric_is_compared_once(
    here, steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    write_trace(tmp_path / "b.sqlite", steps(120))
    compared = []

    def noted(key: str, before: Sample, *more: object) -> Ratio:
        compared.append(before)
        return compare_samples(key, before, *more)

    monkeypatch.setattr("harness.analysis.compare.comparison.compare_samples", noted)
    done = here("compare", "a.sqlite", "b.sqlite", "--metric", "step", cwd=tmp_path)
    assert (done.returncode, len(compared)) == (0, 1)
    wrong = here("compare", "a.sqlite", "b.sqlite", "--metric", "stop", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "no metric is called 'stop' here; use step, median step, busy, " in wrong.stderr


@pytest.mark.parametrize(
    ("before", "after", "args", "code"),
    [
        (100, 120, [], 0),  # without a limit nothing fails
        (100, 120, ["--fail-above", "5%"], 3),
        (100, 120, ["--fail-above", "0.05"], 3),
        (100, 120, ["--fail-above", "100%"], 0),
        (120, 100, ["--fail-above", "0%"], 0),  # faster
        (100, 100, ["--fail-above", "0%"], 0),  # not significant
        (100, 120, ["--fail-above", "30%"], 3),  # by idle time, which is 40% more
        (100, 120, ["--fail-above", "30%", "--metric", "step"], 0),
        (100, 120, ["--fail-above", "5%", "--metric", "busy"], 0),
        (100, 120, ["--fail-above", "5%", "--metric", "idle"], 3),
    ],
)
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_exit_codes(
    here, tmp_path: Path, before: int, after: int, args: list, code: int, runs: int
) -> None:
    rng = np.random.default_rng(before + after)
    for name, mean in (("a", before), ("b", after)):
        for k in range(runs):
            steps = rng.normal(mean, 2, 40).tolist()
            write_trace(tmp_path / name / f"{k}.sqlite", steps, manifest={"label": "loop"})
    done = here("compare", "a", "b", *args, cwd=tmp_path)
    if before == after and runs < 3:
        code = done.returncode  # by chance one of them looks slower, or none
    if runs < 3 and code == 3:
        code = 4  # nobody knows how much runs differ
    assert done.returncode == code, done.stdout + done.stderr
    assert ("harness: regression:" in done.stderr) == (code == 3)
    assert ("harness: cannot judge:" in done.stderr) == (code == 4)
    passed = bool(args) and code == 0 and "busy" not in args
    assert ("passed, but these are two single runs" in done.stderr) == (passed and runs == 1)
    assert ("passed, but 2 and 2 runs are too few" in done.stderr) == (passed and runs == 2)
    lenient = here("compare", "a", "b", *args, "--unjudged", "pass", cwd=tmp_path)
    assert lenient.returncode == (3 if code == 3 else 0)
    assert ("harness: cannot judge:" in lenient.stderr) == (code == 4)


def test_the_ways_to_end_stand_in_the_help(here, tmp_path: Path) -> None:
    said = " ".join(here("compare", "--help", cwd=tmp_path).stdout.split())
    assert "Exit codes: 0 nothing is known to be worse; 1 error; 2 usage; 3 regression; 4" in said


def test_a_slow_first_step_is_as_much_of_a_doubt_as_one_in_the_middle(here, tmp_path: Path) -> None:
    """The capture's edge often makes it: one interior step of 1.4 ms among nineteen of 1 ms."""
    rng = np.random.default_rng(3)
    write_trace(tmp_path / "a.sqlite", rng.normal(1000, 2, 21).tolist(), busy_us=300)
    for name, slow in (("first", 1), ("middle", 10)):
        steps = rng.normal(1000, 2, 21)
        steps[slow] = 1400
        write_trace(tmp_path / f"{name}.sqlite", steps.tolist(), busy_us=300)
        done = here("compare", "a.sqlite", f"{name}.sqlite", "--format", "json", cwd=tmp_path)
        step = ratios(done.stdout)["step"]
        assert step["verdict"] == "not significant"
        assert (round(step["low"], 2), round(step["high"], 2)) == (0.97, 1.07)
        assert step["ratio"] == pytest.approx(1 + 0.4 / 19, abs=2e-3)


def test_a_single_slow_step_is_no_regression(here, steps, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    disturbed = steps(100)
    disturbed[20] = 900  # raises the mean by 20%
    write_trace(tmp_path / "b.sqlite", disturbed)
    done = here("compare", "a.sqlite", "b.sqlite", "--fail-above", "5%", cwd=tmp_path)
    # The mean is 20% more and the median is not: two single runs cannot say which will stay.
    assert done.returncode == 4, done.stderr
    assert "cannot judge: a -> b: step was worse by 2" in done.stderr
    assert "median" not in done.stderr
    assert "- worse" not in done.stdout


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
    assert (found["method"], found["spread_known"]) == ("t test of runs", True)
    data = json.loads(done.stdout)
    assert data["differences"] == [{"key": "versions.torch", "before": "main", "after": "branch"}]
    gated = ("step", "median step", "idle", "median idle")
    assert data["regressions"] == [["loop", metric] for metric in gated]
    assert data["unjudged"] == []
    table = here(*args, cwd=tmp_path).stdout
    assert table.index("versions.torch") < table.index("loop: after / before")
    assert "- worse" in table
    assert max(map(len, table.splitlines())) <= 80


def test_two_runs_a_side_are_too_few_whatever_they_show(here, steps, tmp_path: Path) -> None:
    for folder, mean in (("main", 100), ("branch", 200)):
        for k in range(2):
            write_trace(tmp_path / folder / f"{k}.sqlite", steps(mean), manifest={"label": "loop"})
    done = here("compare", "main", "branch", "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 4
    assert "? too few" in done.stdout
    assert "3 runs on one side are the least" in " ".join(done.stdout.split())
    assert "2 against 2 is too few to show how much runs differ" in done.stderr


def test_two_single_traces_are_judged_by_a_folder_of_earlier_ones(
    here, steps, tmp_path: Path
) -> None:
    for k in range(4):
        path = tmp_path / "main" / f"{k}.sqlite"
        write_trace(path, steps(100 + 0.3 * k), manifest={"label": "loop"})
    for name, mean in (("old", 100), ("new", 120)):
        write_trace(tmp_path / f"{name}.sqlite", steps(mean))
    args = ("compare", "old.sqlite", "new.sqlite", "--fail-above", "5%")
    assert here(*args, cwd=tmp_path).returncode == 4
    assert here(*args, "--history", "main", cwd=tmp_path).returncode == 3
    few = here(*args, "--history", "old.sqlite", cwd=tmp_path)
    assert few.returncode == 4
    assert "was not needed, or has fewer than 3 runs" in few.stdout
    assert here(*args, "--history", "none", cwd=tmp_path).returncode == 1


def test_sessions_of_a_results_file_show_how_much_sessions_differ(here, tmp_path: Path) -> None:
    """The rounds of each agree to 1%, the sessions to 5%: 8% more in one is no news."""
    path = tmp_path / "r.db"
    for scale in (1.0, 1.06, 0.96, 1.03):
        write(path, {"kv-cache": tuple(scale * ms for ms in STEADY)})
    write(tmp_path / "new.db", {"kv-cache": tuple(1.11 * ms for ms in STEADY)})
    write(tmp_path / "far.db", {"kv-cache": tuple(1.5 * ms for ms in STEADY)})
    args = ("--fail-above", "5%", "--history", "r.db")
    assert here("compare", "r.db", "new.db", *args[:2], cwd=tmp_path).returncode == 3
    done = here("compare", "r.db", "new.db", *args, "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ratios(done.stdout)["runtime"]["method"] == "t test by history"
    assert here("compare", "r.db", "far.db", *args, cwd=tmp_path).returncode == 3


def test_idle_time_is_a_gate_beside_the_step(here, steps, tmp_path: Path) -> None:
    """The kernels get shorter by what the idle time grows: the step alone sees nothing."""
    for folder, busy in (("main", 950), ("branch", 901)):
        for k in range(3):
            write_trace(
                tmp_path / folder / f"{k}.sqlite", steps(1000), busy_us=busy,
                manifest={"label": "loop"},
            )  # fmt: skip
    done = here("compare", "main", "branch", "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 3
    assert "regression: loop: idle is worse by 9" in done.stderr
    assert "step is worse" not in done.stderr
    step = here("compare", "main", "branch", "--fail-above", "5%", "--metric", "step", cwd=tmp_path)
    assert step.returncode == 0


def test_a_gpu_that_is_busy_for_less_of_its_time_is_not_called_better(
    here, steps, tmp_path: Path
) -> None:
    """It may wait elsewhere, for other ranks in another communication library."""
    for folder, busy in (("main", 900), ("branch", 330)):
        for k in range(3):
            write_trace(
                tmp_path / folder / f"{k}.sqlite", steps(1000), busy_us=busy,
                manifest={"label": "loop"},
            )  # fmt: skip
    done = here("compare", "main", "branch", "--format", "json", cwd=tmp_path)
    busy = ratios(done.stdout)["busy"]
    assert (busy["ratio"], busy["verdict"]) == (pytest.approx(0.367, abs=1e-3), "differs")


def test_gpus_of_traces_with_other_names_are_compared_one_by_one(here, tmp_path: Path) -> None:
    for name, gap in (("before", 100), ("after", 60)):
        trace = TraceBuilder(producer="builder", origin="synthetic")
        for gpu in range(2):
            thread = trace.thread(trace.process(1000 + gpu), 1000 + gpu, "python")
            trace.device(gpu, name="Test GPU", uuid=f"GPU-{gpu}")
            for step in range(20):
                at = step * 1_000_000
                trace.nvtx(at, at + 990_000, f"Step {step}", thread=thread)
                end = at + 1_000_000 - gap * 1000 * (gpu + 1)
                trace.launch(at + 10, at + 20, at + 30, end, thread=thread, device=gpu)
        trace.write(tmp_path / f"{name}.sqlite")
    done = here("compare", "before.sqlite", "after.sqlite", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    idle = {row["subject"]: (row["before"] / 1e3, row["after"] / 1e3)
            for row in json.loads(done.stdout)["ratios"] if row["metric"] == "idle"}  # fmt: skip
    assert idle == {
        "before -> after (thread 1, GPU 0)": pytest.approx((100, 60), abs=0.1),
        "before -> after (thread 2, GPU 1)": pytest.approx((200, 120), abs=0.1),
    }


def test_traces_without_steps_are_compared_by_their_whole_window(here, tmp_path: Path) -> None:
    for name, busy in (("a", 50), ("b", 25)):
        trace = TraceBuilder(producer="builder", origin="synthetic")
        thread = trace.thread(trace.process(100, "python"), 100, "python")
        trace.device(0, name="Test GPU", uuid="GPU-0")
        for k in range(10):
            at = k * 100_000
            trace.launch(at, at + 10, at + 20, at + 20 + busy * 1000, thread=thread)
        trace.launch(10**6, 10**6 + 10, 10**6 + 20, 10**6 + 30, thread=thread)
        trace.write(tmp_path / f"{name}.sqlite")
    args = ("compare", "a.sqlite", "b.sqlite", "--format", "json")
    done = here(*args, "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    found = ratios(done.stdout)
    assert list(found) == ["window", "window busy", "window idle", "idle share"]
    assert (found["window busy"]["before"], found["window busy"]["after"]) == (500_010, 250_010)
    assert found["idle share"]["before"] == pytest.approx(50, abs=0.01)
    assert found["idle share"]["after"] == pytest.approx(75, abs=0.01)
    assert {name for name in found if found[name]["gate"]} == {"idle share"}
    asked = here(*args, "--step", "Step *x", cwd=tmp_path)
    assert (asked.returncode, "no steps" in asked.stderr) == (1, True)


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
    assert done.returncode == 4
    assert "median host step" in done.stdout


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
        (["a.sqlite", "a.sqlite", "--metric", "nothing"], 1, "use step, median step, busy, idle"),
        (["a.sqlite", "a.sqlite", "--fail-above", "much"], 2, "is not a share"),
        (["a.sqlite", "a.sqlite", "--fail-above", "5"], 2, "'5' would be 500%; use 5% or 0.05"),
        (["a.sqlite", "a.sqlite", "--fail-above", "1.5"], 2, "would be 150%"),
        (["a.sqlite", "a.sqlite", "--confidence", "95"], 2, "would be 9500%"),
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


def test_whole_windows_of_which_one_has_no_idle_time(here, tmp_path: Path) -> None:
    write_trace(tmp_path / "one.sqlite", [100.0])
    write_trace(tmp_path / "two.sqlite", [100.0, 100.0])
    done = here("compare", "one.sqlite", "two.sqlite", "--fail-above", "5%", cwd=tmp_path)
    assert done.returncode == 4
    assert "idle share was worse (" in done.stderr
    assert "passed" not in done.stderr


def test_steps_against_a_trace_without_a_steady_state(here, steps, tmp_path: Path) -> None:
    write_trace(tmp_path / "a.sqlite", steps(100))
    write_trace(tmp_path / "one.sqlite", [100.0])
    done = here("compare", "a.sqlite", "one.sqlite", cwd=tmp_path)
    assert done.returncode == 1
    assert "one of a.sqlite and one.sqlite has steps in steady state" in done.stderr
