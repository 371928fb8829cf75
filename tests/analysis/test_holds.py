"""Host functions and other contexts, wherever causes are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.model.schema import Switch
from harness.analysis.question import Question
from harness.analysis.readers.residency import Residency
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.analysis.reports.tables.details import cause_rows, steps
from harness.analysis.scenes.states import gap_states
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.analysis.writer.writer import TraceBuilder
from harness.scrub.scrub import scrub

from .build import US, builder, report
from .columnar import FORMATS, folder_of, streams_of

SPENT = {"host-function": 30, "other-context": 10}
"""Of each step, us."""


def loop() -> TraceBuilder:
    """Steps of two kernels, at [20, 50) and [100, 120); the second one was launched long before.
    A host function is waited for at [55, 85), and another context has the GPU at [80, 95)."""
    trace, thread = builder()
    process = trace.process(100)
    for number in range(14):
        at = 1_000 + 500 * number
        trace.nvtx(at * US, (at + 40) * US, f"Step {number}", thread=thread)
        for call, start, end in ((10, 20, 50), (20, 100, 120)):
            trace.launch(
                (at + call) * US, (at + call + 5) * US, (at + start) * US, (at + end) * US,
                thread=thread,
            )  # fmt: skip
        trace.host_function((at + 55) * US, (at + 85) * US, process=process)
        for context, begin, end in ((1, 0, 80), (2, 80, 95), (1, 95, 500)):
            trace.context_switch((at + begin) * US, begin=True, context=context)
            trace.context_switch((at + end) * US, begin=False, context=context)
    return trace


def test_every_view_names_them(tmp_path: Path) -> None:
    found = report(loop(), tmp_path)
    (device,) = found.devices
    for name, each in SPENT.items():
        assert device.causes[name] == 14 * each * US
    known = {row[3]: row[4:7] for row in cause_rows(found)}
    for name, each in SPENT.items():
        assert known[name] == (14 * each * US, 14 * each * US / device.idle_ns, 14)
    (series,) = found.series
    assert series.steady is not None
    assert {name: series.steady.causes[name] for name in SPENT} == {
        name: each * US for name, each in SPENT.items()
    }
    by_step = steps(Report((found,), (), Question(by="step")))
    at = [column.name for column in by_step.columns].index("mostly")
    assert by_step.rows[0][at] == "host-function 60%, other-context 20%"
    for name in ("json", "html", "table", "csv", "md"):
        shown = reporters()[name].render(Report((found,), (), Question(by="cause")), Terminal())
        assert all(cause in shown for cause in SPENT), name


def test_the_states_of_a_gap_stand_where_they_were(tmp_path: Path) -> None:
    found = report(loop(), tmp_path)
    gaps, split = found.gaps[0], found.attributions[0]
    states = gap_states(found.trace, gaps, split, np.array([0]))
    assert [
        (split.causes[cause].name, start // US - 1_000, end // US - 1_000)
        for start, end, cause in zip(states.start, states.end, states.cause, strict=True)
    ] == [
        ("queue", 50, 55), ("host-function", 55, 85), ("other-context", 85, 95), ("queue", 95, 100),
    ]  # fmt: skip


@pytest.mark.parametrize("layout", [*FORMATS, "one file"])
def test_parquet_and_arrow_hold_them_too(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "trace.sqlite"
    loop().write(path)
    if layout == "one file":
        other = streams_of(path, tmp_path / "trace.arrows")
    else:
        other = folder_of(path, tmp_path / "trace_pqtdir", layout)
    one, two = (analyze(source).devices[0].causes for source in (path, other))
    assert one == two
    assert all(one[name] for name in SPENT)


def test_a_scrubbed_copy_holds_them(tmp_path: Path) -> None:
    path = tmp_path / "trace.sqlite"
    loop().write(path)
    scrub(path, tmp_path / "clean.sqlite")
    one, two = (analyze(p).devices[0].causes for p in (path, tmp_path / "clean.sqlite"))
    assert one == two


def hidden(trace: TraceBuilder, folder: Path) -> tuple[str, int]:
    """Of the one series: its limiter, and what is recoverable, us; also within a budget."""
    path = folder / "trace.sqlite"
    trace.write(path, force=True)
    built = folder / f"built-{len(list(folder.iterdir()))}"
    built.mkdir()
    build_store(path, built, 1 << 20, lambda what, done, total: None)
    found = []
    for source in (path, Store(built, path)):
        (series,) = analyze(source).series
        assert series.steady is not None
        found.append((series.steady.limiter, round(series.steady.recoverable_ns / US)))
    assert found[0] == found[1]
    return found[0]


def ahead(second: tuple[int, int]) -> tuple[TraceBuilder, int]:
    """Steps of 1000, of kernels at [10, 310) and at `second`, both launched by 11; then a wait."""
    trace, thread = builder()
    for number in range(14):
        at = 1_000 * number
        for call, (start, end) in ((0, (10, 310)), (6, second)):
            trace.launch(
                (at + call) * US, (at + call + 5) * US, (at + start) * US, (at + end) * US,
                thread=thread,
            )  # fmt: skip
        trace.wait((at + 12) * US, (at + second[1] + 2) * US, thread=thread)
        trace.nvtx(at * US, (at + 990) * US, f"Step {number}", thread=thread)
    return trace, trace.process(100)


def test_a_microsecond_leaves_the_limiter_as_it_was(tmp_path: Path) -> None:
    """Busy 880, and 90 idle for which the host was ahead: 30 are left."""
    trace, process = ahead((400, 980))
    assert hidden(trace, tmp_path) == ("gpu", 30)
    for number in range(14):
        at = 1_000 * number + 350
        trace.host_function(at * US, (at + 1) * US, process=process)
    assert hidden(trace, tmp_path) == ("gpu", 30)


@pytest.mark.parametrize(
    ("kind", "left"), [("function", 50), ("context", 50), ("a wait of unknown length besides", 54)]
)
def test_hiding_waits_does_not_win_what_held_the_device(
    tmp_path: Path, kind: str, left: int
) -> None:
    """Of 1000 busy 450, and 500 idle for which the host was ahead, up to 498 of them held."""
    trace, process = ahead((810, 960))
    for number in range(14):
        at = 1_000 * number
        if kind == "context":
            for context, begin, end in ((21, 0, 310), (30, 310, 808), (21, 808, 990)):
                trace.context_switch((at + begin) * US, begin=True, context=context)
                trace.context_switch((at + end) * US, begin=False, context=context)
        else:
            trace.host_function((at + 312) * US, (at + 808) * US, process=process)
        if kind == "a wait of unknown length besides":
            trace.api((at + 5) * US, (at + 6) * US, "cuStreamWaitValue32", thread=process | 100)
    assert hidden(trace, tmp_path) == ("gpu", left)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 30), st.sampled_from((7, 8)), st.integers(0, 2), st.sampled_from((0, 1, 9))
    ),
    max_size=40,
)


@given(events=EVENTS)
def test_stretches_are_those_that_a_plain_walk_finds(
    events: list[tuple[int, int, int, int]],
) -> None:
    """(time, tag, context, GPU id); of the ids 9 is unknown, and the events count up."""
    names = ("timestamp", "tag", "contextId", "gpuId")
    columns = np.array(events, np.int64).reshape(-1, 4).T
    rows = dict(zip(names, columns, strict=True))
    rows |= {"seqNo": np.arange(len(events)), "globalPid": np.full(len(events), -1)}
    found = Residency(rows, {0: 0, 1: 1})
    expected = []
    known = [event for event in sorted(events, key=lambda e: e[0]) if event[3] != 9]
    begin = Switch.BEGIN
    for gpu in (0, 1):
        opened: dict[int, tuple[int, int]] = {}
        mine = [event for event in known if event[3] == gpu]
        for place, (time, tag, context, _) in enumerate(mine):
            if tag == begin:
                opened[context] = place, time
            elif context in opened:
                expected.append((gpu, context, opened.pop(context)[1], time))
        for context, (place, time) in opened.items():
            others = [event[0] for event in mine[place + 1 :] if event[1] == begin]
            expected.append((gpu, context, time, min(others, default=mine[-1][0])))
    got = [
        (*found.numbers[context], start, end)
        for context, start, end in zip(
            found.context.tolist(), found.start.tolist(), found.end.tolist(), strict=True
        )
    ]
    assert sorted(got) == sorted(one for one in expected if one[3] > one[2])
