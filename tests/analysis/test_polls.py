"""A run of queries that ends when the work is done is one wait; other queries are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.idle.figures import Steady
from harness.analysis.model.polling import IDLE_CALL, QUERY, PollFinder
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, report
from .test_causes import split

NOT_READY = 600


def one_gap(answers: Sequence[int], between: str | None = None) -> TraceBuilder:
    """A kernel until 20; queries of 1 us, every 4 us from 10 on, with these answers; one more call
    after each, if any; a kernel launched at 80."""
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    for k, answer in enumerate(answers):
        at = 10 + 4 * k
        trace.api(
            at * US, (at + 1) * US, "cudaEventQuery_v3020", thread=thread, return_value=answer
        )
        if between:
            trace.api((at + 2) * US, (at + 3) * US, between, thread=thread)
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    return trace


def drained(found: TraceReport) -> dict[str, int]:
    return found.devices[0].drained_by


def test_a_poll_waits_from_its_first_query_to_the_one_that_succeeds(tmp_path: Path) -> None:
    found = report(one_gap([NOT_READY] * 4 + [0]), tmp_path)  # the last one at [26, 27)
    assert split(found) == {"sync": 27 - 20, "host": 80 - 27, "launch": 10, "queue": 10}
    assert drained(found) == {"cudaEventQuery": 80 * US}


def test_queries_that_never_succeed_are_no_wait(tmp_path: Path) -> None:
    found = report(one_gap([NOT_READY] * 5), tmp_path)
    assert split(found) == {"api": 2, "host": 58, "launch": 10, "queue": 10}
    assert drained(found) == {}


def test_queries_that_succeed_at_once_are_no_wait(tmp_path: Path) -> None:
    found = report(one_gap([0] * 5), tmp_path)
    assert split(found)["api"] == 2
    assert drained(found) == {}


def test_a_poll_that_begins_on_an_idle_gpu_drained_nothing(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    for at, answer in ((22, NOT_READY), (30, 0)):
        trace.api(at * US, (at + 1) * US, "cudaStreamQuery", thread=thread, return_value=answer)
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    found = report(trace, tmp_path)
    assert split(found)["sync"] == 31 - 22
    assert drained(found) == {}


def test_what_wrappers_call_between_queries_does_not_end_a_poll(tmp_path: Path) -> None:
    found = report(one_gap([NOT_READY] * 4 + [0], between="cudaGetLastError"), tmp_path)
    assert split(found)["sync"] == 27 - 20
    assert drained(found) == {"cudaEventQuery": 80 * US}


def test_work_between_queries_ends_a_poll(tmp_path: Path) -> None:
    found = report(one_gap([NOT_READY] * 4 + [0], between="cudaEventRecord_v3020"), tmp_path)
    assert "sync" not in split(found)
    assert drained(found) == {}


def polling_loop(queries: int, wait: str | None = None) -> TraceBuilder:
    """Steps of 750 us, busy 500: the host launches for 10, waits until 530 by so many queries or by
    one call, then works for 200 and more."""
    trace, thread = builder()
    for step in range(20):
        base = 1000 + 750 * step
        trace.nvtx(base * US, (base + 745) * US, f"Step {step}", thread=thread)
        trace.launch(
            (base + 10) * US, (base + 20) * US, (base + 25) * US, (base + 525) * US, thread=thread
        )
        if wait:
            trace.wait((base + 30) * US, (base + 530) * US, thread=thread, api_name=wait)
        apart = 500 // max(queries, 1)
        for k in range(queries):
            at, last = base + 30 + k * apart, k == queries - 1
            trace.api(
                at * US, (base + 530 if last else at + 1) * US, "cudaEventQuery_v3020",
                thread=thread, return_value=0 if last else NOT_READY,
            )  # fmt: skip
    return trace


def steady(trace: TraceBuilder, folder: Path) -> Steady:
    (series,) = report(trace, folder).series
    assert series.steady is not None
    return series.steady


@pytest.mark.parametrize("queries", [2, 100])
def test_a_polling_loop_has_the_figures_of_one_that_waits(tmp_path: Path, queries: int) -> None:
    polls = steady(polling_loop(queries), tmp_path)
    waits = steady(polling_loop(0, "cudaEventSynchronize_v3020"), tmp_path)
    assert (polls.limiter, polls.recoverable_ns) == ("sync", 250 * US)
    assert polls.causes == waits.causes
    assert polls.host_ns == waits.host_ns == 250 * US
    assert list(polls.drained_by.values()) == list(waits.drained_by.values()) == [250 * US]


NAMES = (*sorted(QUERY)[:2], sorted(IDLE_CALL)[0], "cudaLaunchKernel")
CALLS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, len(NAMES) - 1), st.booleans()), max_size=40
)


def slowly(calls: list[tuple[int, int, bool]]) -> list[tuple[int, int]]:
    """The definition, call by call."""
    found, first, before = [], None, None
    for row, (thread, name, failed) in enumerate(calls):
        if thread != before:
            first, before = None, thread
        if NAMES[name] in IDLE_CALL:
            continue
        if NAMES[name] not in QUERY:
            first = None
        elif failed:
            first = row if first is None else first
        else:
            found += [(first, row)] if first is not None else []
            first = None
    return found


@given(calls=CALLS, most=st.integers(1, 12))
def test_any_stretches_find_the_same_polls(calls: list[tuple[int, int, bool]], most: int) -> None:
    calls = sorted(calls, key=lambda call: call[0])
    thread, name = (np.array([c[k] for c in calls], np.int32) for k in (0, 1))
    failed = np.array([c[2] for c in calls], np.bool_)
    finder, found = PollFinder(NAMES), []
    for low in range(0, len(calls), most):
        some = slice(low, low + most)
        found += finder.add(thread[some], name[some], failed[some])
    assert found == slowly(calls)
