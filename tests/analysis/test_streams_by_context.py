"""A stream's number is its CUDA context's: two contexts of a process may both have a stream 7."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.reports.base import Report, Terminal, reporter
from harness.analysis.scenes.lanes import stream_lanes
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder
from .test_physics import broken


def at_once(context: int, *, device: int = 0) -> TraceBuilder:
    """Kernels of 60 us, each beside one of `context`, all on streams 7."""
    trace, thread = builder()
    for k in range(20):
        for late, place in ((0, (0, 1)), (20, (device, context))):
            at = k * 100 * US + late * US
            trace.launch(
                at, at + 2 * US, at + 10 * US, at + 70 * US, thread=thread,
                device=place[0], context=place[1],
            )  # fmt: skip
    return trace


@pytest.mark.parametrize(("context", "wrong"), [(1, True), (2, False)])
def test_streams_of_two_contexts_overlap(tmp_path: Path, context: int, wrong: bool) -> None:
    assert ("stream-overlap" in broken(at_once(context), tmp_path)) == wrong


def test_streams_of_two_green_contexts_overlap(tmp_path: Path) -> None:
    """They share the context that they are made of."""
    path = tmp_path / "trace.sqlite"
    at_once(1).write(path)
    with sqlite3.connect(path) as file:
        file.execute(
            "UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET greenContextId = 3 + (start / 10000) % 10 / 2"
        )
    assert not any(v.code == "stream-overlap" for v in analyze(path, Question()).verdicts)


@pytest.mark.parametrize("context", [1, 2])
def test_torch_profiler_names_the_context(tmp_path: Path, context: int) -> None:
    events = []
    for k in range(20):
        for late, place in ((0, 1), (20, context)):
            at, correlation = k * 100 + late, 2 * k + late // 20 + 1
            args = {"device": 0, "context": place, "stream": 7, "correlation": correlation}
            for cat, name, tid, start, took in (
                ("cuda_runtime", "cudaLaunchKernel", 5, at, 2), ("kernel", "k", 7, at + 10, 60),
            ):  # fmt: skip
                pid = 5 if cat == "cuda_runtime" else 0
                events.append(
                    {"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": tid, "ts": start,
                     "dur": took, "args": args}
                )  # fmt: skip
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    said = {v.code for v in analyze(path, Question()).verdicts}
    assert ("stream-overlap" in said) == (context == 1)


@pytest.mark.parametrize("context", [1, 2])
def test_a_wait_is_for_its_own_contexts_stream(tmp_path: Path, context: int) -> None:
    """It returns while the first context's work still runs."""
    trace, thread = builder()
    for k in range(20):
        at = k * 100 * US
        trace.launch(at, at + 3, at + 60 * US, at + 90 * US, thread=thread)
        trace.launch(at, at + 3, at + 10 * US, at + 20 * US, thread=thread, context=2)
        trace.wait(at + 5 * US, at + 64 * US, thread=thread, context=context)
    assert ("clock-ahead" in broken(trace, tmp_path)) == (context == 1)


def test_people_read_the_recorders_number(tmp_path: Path) -> None:
    path = tmp_path / "trace.sqlite"
    at_once(2).write(path)
    build_store(path, tmp_path, 64 << 20, lambda *_: None)
    question = Question(by="stream")
    for source in (path, Store(tmp_path, path)):
        streams = analyze(source, question).details(0, question).streams
        assert [(s.stream, s.context, s.operations) for s in streams] == [(7, 1, 20), (7, 2, 20)]
    trace = open_trace(path)
    lanes = stream_lanes(trace, trace.operations.start.argsort())
    assert [lane.title for lane in lanes] == ["stream 7", "stream 7 (context no. 2)"]


def test_a_table_says_which_context_only_where_it_has_to(tmp_path: Path) -> None:
    """Two contexts on two GPUs are told apart by these; files have the column all the same."""
    question = Question(by="stream")
    for context, device, numbers in ((2, 0, ["1", "2"]), (2, 1, ["", ""])):
        path = tmp_path / "trace.sqlite"
        at_once(context, device=device).write(path, force=True)
        told = Report((analyze(path, question),), question=question)
        shown = {name: reporter(name).render(told, Terminal()) for name in ("csv", "json", "table")}
        rows = csv.DictReader(shown["csv"].splitlines())
        assert [row["context"] for row in rows] == numbers
        found = json.loads(shown["json"])["by_stream"]
        assert [row["context"] for row in found] == [int(n) if n else None for n in numbers]
        assert ("context no." in shown["table"]) == any(numbers)


def test_streams_of_one_number_stand_together(tmp_path: Path) -> None:
    trace, thread = builder()
    for stream, context in ((7, 1), (7, 2), (20, 1)):
        trace.launch(0, 2, 10, 20, thread=thread, stream=stream, context=context)
    question = Question(by="stream")
    path = tmp_path / "trace.sqlite"
    trace.write(path)
    streams = analyze(path, question).details(0, question).streams
    assert [(s.stream, s.context) for s in streams] == [(7, 1), (7, 2), (20, None)]


def test_one_context_keeps_the_recorders_number(tmp_path: Path) -> None:
    """So do numbers that one context alone uses, whatever it is called."""
    trace, thread = builder()
    for stream, context in ((7, 1), (13, 2)):
        trace.launch(0, 2, 10, 20, thread=thread, stream=stream, context=context)
    path = tmp_path / "trace.sqlite"
    trace.write(path)
    assert sorted(open_trace(path).operations.stream.tolist()) == [7, 13]
