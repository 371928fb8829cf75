"""Traces that are nearly nothing, or too much of something: every view still stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.exports.base import exporters
from harness.analysis.figures.standalone import figure
from harness.analysis.figures.text import account, painted, timeline
from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.analysis.scenes.entries import entries_of
from harness.analysis.writer.writer import TraceBuilder
from harness.show import plot

from .build import US, loop
from .page import Page

Odd = Callable[[TraceBuilder, int], None]


def host_only(trace: TraceBuilder, thread: int) -> None:
    for k in range(5):
        trace.nvtx(k * 100 * US, k * 100 * US + 90 * US, f"Step {k}", thread=thread)


def one_operation(trace: TraceBuilder, thread: int) -> None:
    trace.launch(10 * US, 12 * US, 20 * US, 30 * US, thread=thread)


def one_step(trace: TraceBuilder, thread: int) -> None:
    trace.nvtx(5 * US, 90 * US, "Step 0", thread=thread)
    trace.launch(10 * US, 12 * US, 20 * US, 30 * US, thread=thread)
    trace.launch(40 * US, 42 * US, 50 * US, 60 * US, thread=thread)


def no_gap(trace: TraceBuilder, thread: int) -> None:
    for k in range(6):
        trace.nvtx(k * 10 * US, (k + 1) * 10 * US, f"Step {k}", thread=thread)
        trace.launch(
            k * 10 * US + 1, k * 10 * US + 2, 100 * US + k * 10 * US, 110 * US + k * 10 * US,
            thread=thread,
        )  # fmt: skip


def dead_steps(trace: TraceBuilder, thread: int) -> None:
    for k in range(8):
        begin = k * 100 * US
        trace.nvtx(begin, begin + 90 * US, f"Step {k}", thread=thread)
        if k % 2:
            trace.launch(
                begin + US, begin + 2 * US, begin + 10 * US, begin + 40 * US, thread=thread
            )


def no_launches(trace: TraceBuilder, thread: int) -> None:
    """GPU rows whose calls were not recorded: every cause is unknown."""
    process = trace.process(1000)
    for k in range(6):
        trace.kernel(
            k * 50 * US, k * 50 * US + 20 * US, name="k", correlation=k + 1, process=process
        )
        trace.nvtx(k * 50 * US, k * 50 * US + 40 * US, f"Step {k}", thread=thread)


def unclosed(trace: TraceBuilder, thread: int) -> None:
    for k in range(5):
        end = None if k == 4 else k * 100 * US + 90 * US
        trace.nvtx(k * 100 * US, end, f"Step {k}", thread=thread)
        trace.launch(
            k * 100 * US + US, k * 100 * US + 2 * US, k * 100 * US + 5 * US,
            k * 100 * US + 30 * US, thread=thread,
        )  # fmt: skip


def many_streams(trace: TraceBuilder, thread: int) -> None:
    for k in range(6):
        begin = k * 200 * US
        trace.nvtx(begin, begin + 150 * US, f"Step {k}", thread=thread)
        for s in range(12):
            trace.launch(
                begin + s * US, begin + s * US + 500, begin + 20 * US + s * 300,
                begin + 100 * US, thread=thread, stream=s, name="ncclKernel" if s == 3 else "k",
            )  # fmt: skip


def deep_ranges(trace: TraceBuilder, thread: int) -> None:
    for k in range(5):
        begin = k * 200 * US
        trace.nvtx(begin, begin + 190 * US, f"Step {k}", thread=thread)
        for depth in range(40):
            trace.nvtx(
                begin + depth * US + 1, begin + 180 * US - depth * US, f"level {depth}",
                thread=thread,
            )  # fmt: skip
        trace.launch(
            begin + 60 * US, begin + 62 * US, begin + 70 * US, begin + 90 * US, thread=thread
        )


def nanoseconds(trace: TraceBuilder, thread: int) -> None:
    for k in range(6):
        trace.nvtx(k * 10, k * 10 + 9, f"Step {k}", thread=thread)
        trace.launch(k * 10 + 1, k * 10 + 2, k * 10 + 4, k * 10 + 6, thread=thread)


def ages(trace: TraceBuilder, thread: int) -> None:
    hour = 3_600_000_000_000
    for k in range(6):
        trace.nvtx(k * hour, k * hour + hour - 1, f"Step {k}", thread=thread)
        trace.launch(k * hour + 1, k * hour + 2, k * hour + 4, k * hour + 6, thread=thread)


ODD = [
    host_only, one_operation, one_step, no_gap, dead_steps, no_launches, unclosed,
    many_streams, deep_ranges, nanoseconds, ages,
]  # fmt: skip


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_every_view_stands(tmp_path: Path, make: Odd) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic", strategy="odd")
    thread = trace.thread(trace.process(1000), 1000, "python")
    make(trace, thread)
    path = tmp_path / "odd.sqlite"
    trace.write(path)
    report = Report((analyze(path),))
    page = Page(reporters()["html"].render(report, Terminal()))
    assert "synthetic" in page.text
    assert "nan" not in page.text.lower().replace("nanosecond", "")
    plot(report, Terminal(80))
    for entry in entries_of(report.traces):
        for moment in entry.moments():
            drawn = [*timeline(moment.scene, 80), *account(moment.scene, 80)]
            assert max(map(len, painted(drawn, color=False).splitlines())) <= 80
            assert figure(moment.scene, "t", "s").endswith("</svg>\n")
    for exporter in exporters().values():
        for rows, there in (("gaps", report.traces[0].gaps), ("steps", report.traces[0].series)):
            if exporter.name != "parquet" or there:
                b"".join(exporter.chunks(report.traces, rows))
            else:
                with pytest.raises(TraceError, match=f"no {rows} to export"):
                    b"".join(exporter.chunks(report.traces, rows))


def test_a_window_of_steps_has_its_page(tmp_path: Path) -> None:
    path = loop(tmp_path / "a.sqlite", steps=30)
    report = Report((analyze(path, Question(steps=(10, 25))),))
    page = Page(reporters()["html"].render(report, Terminal()))
    assert page.rows("steps")[0]["steady_steps"][1] == "13"


def test_two_devices_and_two_runs_are_told_apart(public_traces: Path, tmp_path: Path) -> None:
    two = analyze(public_traces / "h100_2gpu_copy_bound.sqlite")
    runs = [analyze(loop(tmp_path / f"{k}.sqlite")) for k in "ab"]
    names = [entry.name for entry in entries_of([two, *runs])]
    assert names == [
        "h100_2gpu_copy_bound · GPU 0",
        "h100_2gpu_copy_bound · GPU 1",
        "sync · run 1",
        "sync · run 2",
    ]
