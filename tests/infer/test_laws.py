"""What has no period is refused, what has one is found: for any sequence."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.analysis.idle.infer.infer import _likeness
from harness.analysis.idle.infer.period import Loop, NoLoop, Places, find_loop, regular_spacing

from .loops import shuffled

BODY = st.lists(st.integers(0, 12), min_size=3, max_size=60)


def primitive(word: list[int]) -> bool:
    """Is the word no repetition of a shorter one?"""
    n = len(word)
    return all(n % d or word[:d] * (n // d) != word for d in range(1, n))


@settings(max_examples=150, deadline=None)
@given(st.integers(120, 3000), st.integers(2, 40), st.integers(0, 2**31))
def test_random_sequences_have_no_loop(length: int, alphabet: int, seed: int) -> None:
    assert isinstance(find_loop(shuffled(length, alphabet, seed)), NoLoop)


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 80), st.integers(8, 40), st.integers(0, 2**31))
def test_a_regular_mark_in_random_work_is_no_loop(period: int, repeats: int, seed: int) -> None:
    """One operation at a steady distance does not make the rest of it repeat."""
    tokens = shuffled(period * repeats, 12, seed)
    tokens[::period] = 99
    assert isinstance(find_loop(tokens), NoLoop)


@settings(max_examples=200, deadline=None)
@given(BODY, st.integers(6, 40))
def test_a_planted_period_is_found(body: list[int], repeats: int) -> None:
    assume(primitive(body))
    loop = find_loop(np.array(body * repeats))
    assert isinstance(loop, Loop)
    # A shorter one only if the word nearly repeats inside itself.
    if loop.period != len(body):
        part = body[: loop.period]
        assert Places(np.array(body)).common(np.array(part * 60)) >= 0.9 * len(body)
    else:
        assert loop.agreement == 1.0
        assert set(np.diff(loop.marks).tolist()) == {len(body)}


@settings(max_examples=100, deadline=None)
@given(
    st.integers(25, 80),
    st.integers(8, 30),
    st.lists(
        st.tuples(st.integers(0, 29), st.integers(0, 200)), max_size=3, unique_by=lambda x: x[0]
    ),
    st.integers(0, 2**31),
)
def test_now_and_then_an_operation_more(
    period: int, repeats: int, extras: list[tuple[int, int]], seed: int
) -> None:
    body = list(range(period))
    steps = [list(body) for _ in range(repeats)]
    for step, place in extras:
        steps[step % repeats].insert(place % period, 777)
    loop = find_loop(np.array([t for step in steps for t in step]))
    assert isinstance(loop, Loop)
    assert loop.period == period


@pytest.mark.parametrize("layers", [2, 3, 6, 12, 48])
@pytest.mark.parametrize("layer", [3, 11, 40])
@pytest.mark.parametrize("around", [4, 9])
def test_the_outer_loop(layers: int, layer: int, around: int) -> None:
    if around <= 0.05 * layer:
        pytest.fail("this test is about models whose head is no rounding error of a layer")
    step = [*range(100, 100 + around), *[t for _ in range(layers) for t in range(layer)]]
    loop = find_loop(np.array(step * 15))
    assert isinstance(loop, Loop)
    assert loop.period == len(step)
    if layers >= 3:
        assert loop.inner is not None
        assert loop.inner[0] == layer


def test_a_phase_before_and_after() -> None:
    before, after = shuffled(200, 30, 1) + 500, shuffled(200, 30, 2) + 900
    loop = find_loop(np.concatenate((before, np.tile(np.arange(50), 20), after)))
    assert isinstance(loop, Loop)
    assert loop.period == 50
    assert loop.marks[0] >= 200
    assert loop.marks[-1] < 1200


def test_too_short_a_loop_in_other_work() -> None:
    tokens = np.concatenate((shuffled(2000, 40, 1), np.tile(np.arange(100, 120), 12)))
    assert isinstance(find_loop(tokens), NoLoop)


@given(st.lists(st.integers(0, 5), max_size=40), st.lists(st.integers(0, 5), max_size=40))
def test_common_subsequence(a: list[int], b: list[int]) -> None:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            best = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else best
    found = Places(np.array(a, np.int64)).common(np.array(b, np.int64))
    assert found == table[-1][-1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=4, max_size=40))
def test_likeness_is_the_cosine_of_counts(rows: list[tuple[int, int]]) -> None:
    rows = [*((k, k) for k in range(4)), *rows]  # every group has a row
    work = np.zeros((4, 6))
    for group, token in rows:
        work[group, token] += 1
    norm = np.linalg.norm(work, axis=1)
    found = _likeness(*np.array(rows, np.int32).T, main=2)
    assert found == pytest.approx(work @ work[2] / (norm * norm[2]))


def test_as_many_streams_as_operations_fit_any_memory() -> None:
    many = np.arange(200_000, dtype=np.int32)  # a table would take 320 GB
    found = _likeness(many, many, main=3)
    assert np.flatnonzero(found).tolist() == [3]


@given(st.integers(2, 12), st.integers(3, 12), st.integers(0, 11))
def test_regular_spacing(spacing: int, count: int, start: int) -> None:
    off = np.zeros(spacing * count, np.bool_)
    off[start % spacing :: spacing] = True
    assert regular_spacing(off) == spacing


def test_cost_grows_little_faster_than_the_trace() -> None:
    """n log n: a hundred times the operations in much less than ten thousand times the time."""

    def seconds(repeats: int) -> float:
        tokens = np.tile(np.arange(250), repeats)
        begun = time.process_time()
        assert isinstance(find_loop(tokens), Loop)
        return time.process_time() - begun

    few, many = min(seconds(40) for _ in range(3)), seconds(4000)
    assert many < 100 * 10 * few, (few, many)


def test_marks_are_a_period_apart() -> None:
    loop = find_loop(np.tile(np.arange(30), 10))
    assert isinstance(loop, Loop)
    assert all(b - a == 30 for a, b in pairwise(loop.marks.tolist()))
