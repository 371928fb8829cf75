"""Interval laws, against an oracle that looks at every nanosecond."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.model.intervals import (
    Intervals,
    clip,
    complement,
    covered_before,
    intersect,
    pieces,
    union,
)

SIZE = 60
spans = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=25)


def cells(rows: list[tuple[int, int]]) -> np.ndarray:
    """The oracle: one boolean a nanosecond."""
    line = np.zeros(SIZE + 2, np.bool_)
    for start, end in rows:
        if end > start:
            line[start:end] = True
    return line


def merged(rows: list[tuple[int, int]]) -> Intervals:
    return union([a for a, _ in rows], [b for _, b in rows])


def line_of(a: Intervals) -> np.ndarray:
    return cells(list(zip(a.start.tolist(), a.end.tolist(), strict=True)))


def is_normal(a: Intervals) -> bool:
    return bool((a.end > a.start).all() and (a.start[1:] > a.end[:-1]).all())


@given(spans)
def test_union_covers_what_its_rows_cover(rows: list[tuple[int, int]]) -> None:
    assert np.array_equal(line_of(merged(rows)), cells(rows))
    assert is_normal(merged(rows))


@given(spans)
def test_union_is_idempotent(rows: list[tuple[int, int]]) -> None:
    once = merged(rows)
    assert union(once.start, once.end) == once


@given(spans, st.integers(0, SIZE), st.integers(0, SIZE))
def test_busy_and_idle_make_the_window(rows: list[tuple[int, int]], lo: int, hi: int) -> None:
    busy, idle = clip(merged(rows), lo, hi), complement(merged(rows), lo, hi)
    assert busy.total + idle.total == max(hi - lo, 0)
    assert is_normal(idle)
    assert not (line_of(busy) & line_of(idle)).any()


@given(spans, spans)
def test_intersections_with_a_set_and_its_complement_partition(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    a, b = merged(first), merged(second)
    both, rest = intersect(a, b), intersect(a, complement(b, 0, SIZE))
    assert np.array_equal(line_of(both), cells(first) & cells(second))
    assert np.array_equal(line_of(rest), cells(first) & ~cells(second))
    assert both.total + rest.total == a.total


@given(spans, spans)
def test_pieces_name_both_sides(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    a, b = merged(first), merged(second)
    start, end, in_a, in_b = pieces(a, b)
    assert ((a.start[in_a] <= start) & (end <= a.end[in_a])).all()
    assert ((b.start[in_b] <= start) & (end <= b.end[in_b])).all()
    assert (end > start).all()
    assert int((end - start).sum()) == intersect(a, b).total


@given(spans, st.lists(st.integers(-5, SIZE + 5), max_size=10))
def test_covered_before_counts_cells(rows: list[tuple[int, int]], instants: list[int]) -> None:
    line = cells(rows)
    expected = [int(line[: max(t, 0)].sum()) for t in instants]
    assert covered_before(merged(rows), instants).tolist() == expected
