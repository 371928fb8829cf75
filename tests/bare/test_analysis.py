"""An analysis of a recording that proves what its loop is without the recorder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.analysis.analyze import analyze
from harness.analysis.answer.compose import answer_of
from harness.analysis.bare.prior import Prior
from harness.analysis.idle.sizes import quiet
from harness.analysis.model.trace import Trace
from harness.analysis.predict.program import Program, play
from harness.analysis.predict.to_trace import fill, recorded_place
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.store.opened import Store
from harness.analysis.writer.writer import TraceBuilder
from harness.cli import cli

from .support import TIMING, cost, costly, loop, recorded
from .test_comes_back import LOOPS
from .test_proof import blocks

INSIDE, OUTSIDE = 2_000, 1_000


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what the recorder of these traces costs; and a range of it."""
    half = cost(INSIDE // 2, OUTSIDE // 2)
    found = {"made-up": Prior("made-up", half, half, "a test", "2026-12-01")}
    found["cupti-full"] = Prior("cupti-full", half, cost(INSIDE, OUTSIDE), "a test", "2026-12-01")
    for place in ("prior", "proof"):
        monkeypatch.setattr(f"harness.analysis.bare.{place}.priors", lambda: found)


def written(path: Path, program: Program, table: dict[str, Any] | None) -> Path:
    trace = TraceBuilder(producer="cupti", origin="measured")
    trace.device(0, name="GPU", uuid="u0")
    fill(trace, play(program, TIMING), recorded_place)
    trace.write(path)
    manifest: dict[str, Any] = {"manifest_version": 1, "origin": "measured", "exit_code": 0}
    if table is not None:
        manifest["bare"] = table
    path.with_suffix(".json").write_text(json.dumps(manifest))
    return path


def recording(
    folder: Path, name: str, *, proof: bool = True, called: str = "run"
) -> tuple[Path, Trace, Trace]:
    """The file, and the trace as recorded and as it was without the recorder."""
    program = loop(LOOPS[name], steps=24)
    long = costly(program, INSIDE, OUTSIDE)
    bare_trace, trace = recorded(program, TIMING), recorded(long, TIMING)
    bare, slow = analyze(bare_trace).series[0].steady, analyze(trace).series[0].steady
    assert bare is not None
    assert slow is not None
    table = blocks(bare.period_ns, slow.period_ns) if proof else None
    return written(folder / f"{called}.sqlite", long, table), trace, bare_trace


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", ["host_bound", "item", "mixed", "two_streams"])
def test_all_figures_are_those_without_the_recorder(tmp_path: Path, name: str) -> None:
    path, trace, bare = recording(tmp_path, name)
    found, truth = analyze(path), analyze(bare)
    assert found.bare is not None, found.as_recorded
    assert found.as_recorded == ""
    mine, true = found.series[0].steady, truth.series[0].steady
    long = analyze(trace).series[0].steady
    assert mine is not None
    assert true is not None
    assert long is not None
    # The blocks say nothing of the host's time where the device bounds the step, but the prior.
    host = ("host_ns",) if name in ("host_bound", "item") else ()
    for figure in ("period_ns", "busy_ns", "idle_ns", *host):
        assert getattr(mine, figure) == pytest.approx(getattr(true, figure), rel=0.02, abs=500)
    for cause, ns in true.causes.items():
        assert mine.causes.get(cause, 0) == pytest.approx(ns, abs=0.02 * true.period_ns)
    assert found.recorded_ns == (long.period_ns,)
    assert mine.busy_ns + mine.idle_ns == pytest.approx(mine.period_ns)
    assert [one.code for one in found.verdicts] == [
        one.code for one in analyze(path, Question(as_recorded=True)).verdicts
    ]


@pytest.mark.usefixtures("known")
def test_as_recorded_is_there_for_whoever_asks(tmp_path: Path) -> None:
    path, trace, _ = recording(tmp_path, "host_bound")
    raw = analyze(path, Question(as_recorded=True))
    assert raw.bare is None
    steady, true = raw.series[0].steady, analyze(trace).series[0].steady
    assert steady is not None
    assert steady == true
    text = answer_of(raw).text
    assert "as recorded" in text
    assert "Without the recorder" not in text


@pytest.mark.usefixtures("known")
def test_the_answer_says_what_a_step_takes_with_and_without(tmp_path: Path) -> None:
    path, _, _ = recording(tmp_path, "item")
    text = answer_of(analyze(path)).text
    assert "without its recorder over" in text.replace(",", "")
    assert "Without the recorder a step takes" in text
    assert "measured beside it" in text
    assert "; with it " in text
    assert "as recorded" not in text


@pytest.mark.usefixtures("known")
def test_where_the_proof_fails_the_answer_says_why(tmp_path: Path) -> None:
    program = costly(loop(LOOPS["host_bound"], steps=24), INSIDE, OUTSIDE)
    table = blocks(1_000.0, 30_000.0)
    text = answer_of(analyze(written(tmp_path / "run.sqlite", program, table))).text
    assert "All this is as recorded: without what the recorder costs a step misses" in text


@pytest.mark.usefixtures("known")
def test_without_blocks_a_known_recorder_is_guessed_at(tmp_path: Path) -> None:
    path, trace, bare = recording(tmp_path, "host_bound", proof=False)
    found = analyze(path)
    guess = found.estimate
    assert found.bare is None
    assert guess is not None
    long, true = analyze(trace).series[0].steady, analyze(bare).series[0].steady
    assert long is not None
    assert true is not None
    assert guess.high_ns == long.period_ns - true.period_ns
    assert guess.low_ns == guess.high_ns / 2
    text = answer_of(found).text
    assert "By an estimate, the recorder costs 1.50 µs to 3.00 µs a launch: 30.0 µs to" in text
    assert answer_of(analyze(path, Question(gains=False))).text.count("estimate") == 0


def test_no_recorder_is_guessed_at_whose_costs_nobody_measured(tmp_path: Path) -> None:
    program = costly(loop(LOOPS["host_bound"], steps=24), INSIDE, OUTSIDE)
    table = blocks(1, 1, 0, reason="a test")
    found = analyze(written(tmp_path / "run.sqlite", program, table))
    assert found.as_recorded == "no bare blocks: a test"
    assert found.estimate is None


@pytest.mark.usefixtures("known")
def test_edges_that_a_user_names_are_moments_of_the_recording(tmp_path: Path) -> None:
    path, trace, _ = recording(tmp_path, "host_bound")
    begun = sorted(trace.ranges.start.tolist())
    asked = {"start": begun[4], "end": begun[20]}
    one, other = (analyze(path, Question(as_recorded=raw, **asked)) for raw in (True, False))
    steps = [found.series[0].table.number.tolist() for found in (one, other)]
    assert steps[0] == steps[1]


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(one) for one in arguments], prog_name="harness")
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("known")
def test_commands_tell_the_two_apart(tmp_path: Path) -> None:
    path, _, _ = recording(tmp_path, "item")
    shown = json.loads(run("gaps", path, "--format", "json"))
    assert shown["traces"][0]["as_recorded"] is None
    assert shown["traces"][0]["bare"]["recorder"] == "made-up"
    raw = json.loads(run("gaps", path, "--format", "json", "--as-recorded"))
    assert raw["traces"][0]["bare"] is None
    assert raw["traces"][0]["as_recorded"]
    steps = [one["traces"][0]["series"][0]["steady"]["period_ns"] for one in (shown, raw)]
    assert steps[0] < steps[1]
    assert "without the recorder" in run("predict", "--from", path).lower()
    assert "as recorded" in run("predict", "--from", path, "--as-recorded")
    page = tmp_path / "page.html"
    run("report", path, "-o", page)
    assert "without" in page.read_text()
    run("report", path, "-o", page, "--as-recorded", "--force")
    assert "Without the recorder" not in page.read_text()


@pytest.mark.usefixtures("known")
def test_two_sides_are_compared_without_recorders_or_both_with(tmp_path: Path) -> None:
    host, _, bare_host = recording(tmp_path, "host_bound", called="host")
    item, _, bare_item = recording(tmp_path, "item", called="item")
    plain, _, _ = recording(tmp_path, "item", called="plain", proof=False)
    truth = [analyze(one).series[0].steady for one in (bare_host, bare_item)]
    assert truth[0] is not None
    assert truth[1] is not None

    def ratio(*arguments: object) -> tuple[float, list[str]]:
        found = json.loads(run("compare", *arguments, "--format", "json"))
        (step,) = (one for one in found["ratios"] if one["metric"] == "step")
        return step["ratio"], found["notes"]

    bare, notes = ratio(host, item)
    assert bare == pytest.approx(truth[1].period_ns / truth[0].period_ns, rel=0.02)
    assert any("without their recorders" in note for note in notes)
    mixed, notes = ratio(host, plain)
    assert any("as recorded" in note for note in notes)
    assert mixed == ratio(host, item, "--as-recorded")[0]


def test_a_trace_that_is_read_in_parts_says_that_it_is_as_recorded(
    tmp_path: Path, known: Callable[[], None]
) -> None:
    from harness.analysis.store.build import build_store

    path, _, _ = recording(tmp_path, "host_bound")
    folder = tmp_path / "store"
    folder.mkdir()
    build_store(path, folder, 10**9, quiet)
    found = analyze(Store(folder, path))
    assert found.bare is None
    assert found.as_recorded == "a trace that is read in parts is analysed as it was recorded"
    assert "All this is as recorded: a trace that is read in parts" in answer_of(found).text
    whole = analyze(Store(folder, path).trace())
    assert whole.bare == analyze(open_trace(path)).bare


@pytest.mark.usefixtures("known")
def test_a_kept_answer_says_the_same(tmp_path: Path) -> None:
    from harness.analysis.cached_report import pack, unpack
    from harness.analysis.store.build import build_store

    for proof in (True, False):
        path, _, _ = recording(tmp_path, "item", proof=proof, called=f"run-{proof}")
        folder = tmp_path / f"store-{proof}"
        folder.mkdir()
        build_store(path, folder, 10**9, quiet)
        question = Question()
        report = analyze(path, question)
        again = unpack(pack(report, question), Store(folder, path), question)
        for name in ("bare", "estimate", "as_recorded", "recorded_ns", "verdicts"):
            assert getattr(again, name) == getattr(report, name), name
        assert (report.bare is None) is (report.estimate is not None)
        assert answer_of(again).text == answer_of(report).text


@pytest.mark.usefixtures("known")
def test_without_steps_the_window_is_said_to_be_bare(tmp_path: Path) -> None:
    path, _, _ = recording(tmp_path, "item")
    found = analyze(path, Question(patterns=(StepPattern.glob("no such range"),)))
    assert found.series == ()
    assert found.bare is not None
    assert "All this is without the recorder." in answer_of(found).text
