"""Traces as one side of a comparison: what a subject is called, so that runs find each other."""

from __future__ import annotations

import doctest
from pathlib import Path

from harness.analysis.analyze import analyze
from harness.analysis.compare import sample_sets as sides
from harness.analysis.compare.comparison import compare
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

US = 1000


def run_on_two_gpus(path: Path, pid: int) -> TraceReport:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    thread = trace.thread(trace.process(pid), pid, "MainThread")
    for gpu in range(2):
        trace.device(gpu, name="Test GPU", uuid=f"gpu-{gpu}")
    for step in range(14):
        at = step * 100
        trace.nvtx(at * US, (at + 50) * US, f"Step {step}", thread=thread)
        for gpu in range(2):
            call = at + 2 + 2 * gpu
            trace.launch(
                call * US, (call + 2) * US, (at + 10) * US, (at + 30 + 10 * gpu) * US,
                thread=thread, device=gpu,
            )  # fmt: skip
    trace.write(path)
    return analyze(path, Question(label="train"))


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(sides).failed == 0


def test_runs_of_other_process_ids_are_runs_of_one_thing(tmp_path: Path) -> None:
    runs = [run_on_two_gpus(tmp_path / f"{pid}.sqlite", pid) for pid in (70, 80, 90)]
    before, after = sides.trace_side("a", runs[:2]), sides.trace_side("b", runs[2:])
    names = ["train (GPU 0)", "train (GPU 1)"]
    assert [one.key for one in before.subjects] == names
    found = compare(before, after)
    assert (found.only_before, found.only_after) == ((), ())
    busy = {one.subject: one for one in found.ratios if one.metric == "busy"}
    assert [(busy[n].before, busy[n].runs) for n in names] == [
        (20 * US, (2, 1)),
        (30 * US, (2, 1)),
    ]


def test_threads_go_by_their_order_and_patterns_by_their_text() -> None:
    places = [(7, 8, "a", 0), (7, 9, "a", 0), (7, 9, "b", 0)]
    assert sides._places(places) == ["(thread 1, a)", "(thread 2, a)", "(thread 2, b)"]
