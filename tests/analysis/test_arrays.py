from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.model.arrays import FirstMatch, factorize, ordered

ints = st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**62), 2**62)), max_size=60)


@given(ints)
def test_factorize_gives_back_the_values(values: list[int]) -> None:
    array = np.array(values, np.int64)
    codes, distinct = factorize(array)
    assert distinct.tolist() == sorted(set(values))
    assert distinct[codes].tolist() == values


@given(ints, ints)
def test_first_match_is_list_index(keys: list[int], table: list[int]) -> None:
    found = FirstMatch(np.array(table, np.int64)).find(np.array(keys, np.int64))
    assert found.tolist() == [table.index(k) if k in table else -1 for k in keys]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
def test_ordered_sorts_by_both_keys(rows: list[tuple[int, int]]) -> None:
    first = np.array([r[0] for r in rows], np.int64)
    second = np.array([r[1] for r in rows], np.int64)
    order = ordered(first, second)
    index = np.arange(len(rows)) if order is None else order
    assert [rows[k] for k in index] == sorted(rows)
