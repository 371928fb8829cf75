"""Which row of a lane a span goes to."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.scenes.lanes import stacked

SPANS = st.lists(st.tuples(st.integers(-20, 40), st.integers(1, 20)), max_size=30)


@given(SPANS, st.booleans())
def test_rows_hold_no_overlaps_and_nested_ones_show_depth(spans, nested: bool) -> None:
    ordered = sorted(((a, a + n) for a, n in spans), key=lambda span: (span[0], -span[1]))
    start = np.array([a for a, _ in ordered], np.int64)
    end = np.array([b for _, b in ordered], np.int64)
    rows = stacked(start, end, nested=nested).tolist()
    for k, (lo, _) in enumerate(ordered):
        still_open = {rows[j] for j in range(k) if ordered[j][1] > lo}
        if nested:
            assert rows[k] == max(still_open, default=-1) + 1
        else:
            assert rows[k] == min(set(range(k + 1)) - still_open)


def test_ranges_that_are_never_closed_cost_no_more_than_their_number() -> None:
    count = 200_000  # a row for each: looking at all open ones for each takes an hour
    start = np.arange(count)
    rows = stacked(start, np.full(count, count), nested=True)
    assert np.array_equal(rows, start)
