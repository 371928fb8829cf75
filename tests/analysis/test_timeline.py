"""Labelled host time against an oracle that looks at every nanosecond."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.model.nesting import build_timeline, innermost

SIZE = 50
rows = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(0, SIZE), st.integers(0, 3)), max_size=20
)


@given(rows, st.integers(0, SIZE), st.integers(0, SIZE))
def test_the_lowest_label_wins_everywhere(
    given_rows: list[tuple[int, int, int]], lo: int, hi: int
) -> None:
    line = np.full(SIZE + 1, 9)
    for start, end, label in given_rows:
        if end > start:
            line[start:end] = np.minimum(line[start:end], label)
    table = np.array(given_rows, np.int64).reshape(-1, 3)
    timeline = build_timeline(table[:, 0], table[:, 1], table[:, 2].astype(np.int8), 4)
    assert (timeline.start[1:] >= timeline.end[:-1]).all()
    lo, hi = min(lo, hi), max(lo, hi)
    spent = timeline.spent(np.array([lo]), np.array([hi]))[:, 0]
    assert spent.tolist() == [int((line[lo:hi] == k).sum()) for k in range(4)]


def nested(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Push/pop ranges as one thread makes them: a random walk of pushes and pops."""
    result, stack, time = [], [], 0
    for push in draw(st.lists(st.booleans(), max_size=24)):
        time += draw(st.integers(0, 3))
        if push or not stack:
            stack.append(time)
        else:
            result.append((stack.pop(), time))
    while stack:
        time += draw(st.integers(0, 3))
        result.append((stack.pop(), time))
    return sorted(result, key=lambda r: (r[0], -r[1]))


@given(st.composite(nested)())
def test_innermost_range_owns_each_instant(ranges: list[tuple[int, int]]) -> None:
    line = [-1] * 200
    for k, (start, end) in enumerate(ranges):
        for t in range(start, end):
            line[t] = k  # sorted by (start, -end): a later row that covers t lies deeper
    start = np.array([r[0] for r in ranges], np.int64)
    end = np.array([r[1] for r in ranges], np.int64)
    stretches, owner = innermost(start, end)
    found = [-1] * 200
    for a, b, k in zip(stretches.start, stretches.end, owner, strict=True):
        for t in range(int(a), int(b)):
            assert found[t] == -1
            found[t] = int(k)
    # Equal ranges are told apart by position alone: compare what they cover.
    same = [(ranges[k] if k >= 0 else None) for k in line]
    assert [(ranges[k] if k >= 0 else None) for k in found] == same


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), max_size=20))
def test_of_ranges_that_do_not_nest_the_last_started_owns_each_instant(
    rows: list[tuple[int, int]],
) -> None:
    """Start/end ranges overlap as they like; nothing that one of them covers is nobody's."""
    ranges = sorted(((a, a + length) for a, length in rows), key=lambda r: (r[0], -r[1]))
    expected = [
        max((k for k, (a, b) in enumerate(ranges) if a <= t < b), default=-1) for t in range(90)
    ]
    start = np.array([r[0] for r in ranges], np.int64)
    end = np.array([r[1] for r in ranges], np.int64)
    stretches, owner = innermost(start, end)
    found = [-1] * 90
    for a, b, k in zip(stretches.start, stretches.end, owner, strict=True):
        for t in range(int(a), int(b)):
            found[t] = int(k)
    named = [(ranges[k] if k >= 0 else None) for k in expected]
    assert [(ranges[k] if k >= 0 else None) for k in found] == named


def test_a_hundred_thousand_ranges_open_at_once() -> None:
    n = 100_000
    start = np.arange(n, dtype=np.int64)
    begin = time.process_time()
    stretches, owner = innermost(start, 10 * n - start)
    assert time.process_time() - begin < 20  # 0.5 s here; level by level it took minutes
    assert (len(stretches), int(owner.max())) == (2 * n - 1, n - 1)
