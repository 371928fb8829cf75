"""The verdict in words, from traces whose figures are known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.analysis.answer.compose import answer_of
from harness.analysis.reports.base import Report
from harness.analysis.reports.verdict import findings
from harness.analysis.scenes.entries import entries_of

from ..conftest import ROOT
from .build import analyzed, loop

KINETO = ROOT / "tests" / "kineto" / "data"


def said(report: Report) -> list[str]:
    found = findings(report, entries_of(report.traces))
    return ["".join(p.text for p in s) for s in (found.headline, *found.details)]


def test_one_trace_names_the_drain_and_what_usually_helps(tmp_path: Path) -> None:
    told = said(analyzed(loop(tmp_path / "a.sqlite", slow=None)))
    assert told[0] == "The GPU idles 28.0 µs of every 88.0 µs step, 32% of the time."
    assert told[1].startswith(
        "The host waits for the GPU in Step * (cudaStreamSynchronize, once a step), for "
    )
    assert any(line.startswith("Remove the wait, or wait for the step before") for line in told)
    assert any(line.startswith("That would win ") for line in told)


def test_unknown_launches_are_to_be_recorded_not_removed(tmp_path: Path) -> None:
    path = loop(tmp_path / "a.sqlite", slow=None)
    with closing(sqlite3.connect(path)) as db, db:
        # The gap before each step now ends with a kernel whose launch is in no row.
        db.execute(
            "DELETE FROM CUPTI_ACTIVITY_KIND_RUNTIME WHERE correlationId IN "
            "(SELECT correlationId FROM CUPTI_ACTIVITY_KIND_KERNEL WHERE rowid % 3 = 1)"
        )
        db.execute(
            "DELETE FROM CUPTI_ACTIVITY_KIND_RUNTIME WHERE correlationId NOT IN "
            "(SELECT correlationId FROM CUPTI_ACTIVITY_KIND_KERNEL)"
        )
    told = said(analyzed(path))
    assert any(line.startswith("To learn what it waits for: record CUDA API") for line in told)
    assert not any(line.startswith("What usually removes it") for line in told)


def test_a_faster_strategy_of_the_same_work_removes_it(tmp_path: Path) -> None:
    work = {"origin": "synthetic", "workload": {"batch_size": 16}}
    report = analyzed(
        loop(tmp_path / "a.sqlite", "sync", steps=40, manifest=work | {"label": "sync"}),
        loop(
            tmp_path / "b.sqlite", "free", steps=40, waits=False, manifest=work | {"label": "free"}
        ),
    )
    told = said(report)
    assert told[0].startswith("With sync (synthetic), the GPU idles ")
    best = next(line for line in told if line.startswith("free (synthetic) removes "))
    assert "too few" not in best
    assert "what work" not in best
    found = findings(report, entries_of(report.traces))
    assert found.best is not None
    assert found.best.name == "free"


@pytest.mark.parametrize(
    "other",
    [{"workload": {"batch_size": 32}}, {"workload": {"batch_size": 16}, "origin": "simulated"}],
)
def test_different_work_or_origin_is_not_compared(tmp_path: Path, other: dict[str, object]) -> None:
    first = {"origin": "measured", "workload": {"batch_size": 16}, "label": "slow"}
    report = analyzed(
        loop(tmp_path / "a.sqlite", origin="measured", manifest=first),
        loop(
            tmp_path / "b.sqlite",
            origin=other.get("origin", "measured"),
            waits=False,
            manifest=first | {"label": "fast"} | other,
        ),
    )
    told = " ".join(said(report))
    assert "removes" not in told.replace("usually removes it", "")
    assert told.startswith("With slow, the GPU idles")


def test_few_steps_and_unknown_work_are_admitted() -> None:
    report = analyzed(KINETO / "h100_decode_side.json.gz", KINETO / "h100_decode_graph.json.gz")
    told = " ".join(said(report))
    assert "h100_decode_graph removes 95% of it" in told
    assert "steps vary too much to say that another recording would agree" in told
    assert "neither recording says what work it did" in told


def test_a_busy_gpu_is_called_busy() -> None:
    told = said(analyzed(ROOT / "traces" / "example-pipelined.sqlite"))
    assert told[0].startswith("The GPU idles 13.0 µs of every 430 µs step, 3.0%")
    report = analyzed(ROOT / "traces" / "example-pipelined.sqlite")
    series = report.traces[0].series[0]
    assert series.steady is not None
    calm = replace(series, steady=replace(series.steady, idle_ns=1000.0))
    told = said(replace(report, traces=(replace(report.traces[0], series=(calm,)),)))
    assert told[0].startswith("The GPU is kept busy: it idles only 1.00 µs of every ")
    assert told[1].startswith("No change on the host would win 5% of a step")


def test_without_steps_the_device_is_spoken_of(public_traces: Path) -> None:
    told = said(analyzed(public_traces / "h100_2gpu_copy_bound.sqlite"))
    assert told[0] == "GPU 0 idles 6.56 ms of the 969 ms recorded (0.7%)."
    assert (
        "Figures per step cannot be given: the trace holds no NVTX ranges but those of operators "
        "and libraries; no loop is sure in the launches: 78 operations come back 9 times on stream "
        "7, but nothing marks them as a step: no wait, no loop inside; a layer would look the "
        "same, with a copy to the device or without." in told
    )


def test_the_page_and_the_terminal_have_one_answer_without_steps(public_traces: Path) -> None:
    copies, graphs = (
        public_traces / f"{n}.sqlite" for n in ("h100_2gpu_copy_bound", "graph_level")
    )
    told = said(analyzed(copies))
    assert told[1].startswith("Copies between host and GPU run for 921 ms (95%, in 227 copies)")
    assert any(line.startswith("Copy less: keep data on the GPU") for line in told)
    (trace,) = analyzed(copies).traces
    answer = answer_of(trace)
    shown = ["".join(p.text for p in s) for s in (answer.lead, *answer.because, *answer.remedy)]
    assert told[: len(shown)] == shown
    both = said(analyzed(copies, graphs))
    assert both[0].startswith("graph_level: GPU 0 (NVIDIA GeForce RTX 3060) idles")


def test_one_step_has_its_figures_in_the_page() -> None:
    told = said(analyzed(ROOT / "tests" / "data" / "h100_bert_with_stack.json.gz"))
    assert told[0] == "The GPU idles 3.60 ms of one step of 3.91 ms (92%), as recorded."
    assert not any("cannot be given" in line for line in told)


def test_nothing_to_say_is_said() -> None:
    assert said(Report(())) == ["No trace could be analysed."]


CALIBRATED = {
    "unprofiled_step_ns": {"mean": 80_000, "runs": 3},
    "profiled_step_ns": {"mean": 100_000},
}


@pytest.mark.parametrize(
    ("verdict", "end"),
    [
        ("worse", ")."),
        ("not significant", "; not certain: the runs differ among themselves by as much)."),
    ],
)
def test_the_figures_without_the_profiler_stand_last(
    tmp_path: Path, verdict: str, end: str
) -> None:
    """Steps with 60 us of work take 80 us unrecorded: 20 us idle, a quarter."""
    calibration = CALIBRATED | {"inflation": {"verdict": verdict}}
    manifest = {"manifest_version": 1, "calibration": calibration}
    told = said(analyzed(loop(tmp_path / "a.sqlite", manifest=manifest)))
    assert told[-1] == (
        "All this is as recorded. In separate runs without the profiler, sync (synthetic) takes "
        f"80.0 µs a step and the GPU idles 20.0 µs of it (25%{end}"
    )


def test_idle_time_without_the_profiler_is_given_from_where_to_where(tmp_path: Path) -> None:
    plain = {"mean": 80_000, "runs": 3, "mean_low": 50_000, "mean_high": 110_000}
    manifest = {"manifest_version": 1, "calibration": CALIBRATED | {"unprofiled_step_ns": plain}}
    told = said(analyzed(loop(tmp_path / "a.sqlite", manifest=manifest)))
    assert told[-1].endswith("idles 20.0 µs of it (25%; between 0.00 µs and 50.0 µs).")


def test_the_faster_one_without_the_profiler_stands_beside_it(tmp_path: Path) -> None:
    work = {"origin": "synthetic", "workload": {"batch_size": 16}, "calibration": CALIBRATED}
    free = CALIBRATED | {"unprofiled_step_ns": {"mean": 60_000, "runs": 3}}
    told = said(
        analyzed(
            loop(tmp_path / "a.sqlite", "sync", steps=40, manifest=work),
            loop(
                tmp_path / "b.sqlite", "free", steps=40, waits=False,
                manifest=work | {"calibration": free},
            ),
        )
    )  # fmt: skip
    assert told[-1] == (
        "All this is as recorded. In separate runs without the profiler, sync (synthetic) takes "
        "80.0 µs a step and the GPU idles 20.0 µs of it (25%), free (synthetic) takes 60.0 µs a "
        "step and the GPU idles 0.00 µs of it (0.0%)."
    )
