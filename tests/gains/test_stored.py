"""A stored trace, read in parts of any size, has the stretches and gains of the trace in memory."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.gains.batch import Variant, replay
from harness.analysis.gains.ladder import ladder
from harness.analysis.gains.ladder import loops_of as read_loops
from harness.analysis.gains.stretch import Stretch, chosen_runs, stretches
from harness.analysis.idle.sizes import Sizes
from harness.analysis.idle.steps import StepSeries
from harness.analysis.model.errors import TraceError
from harness.analysis.model.trace import Trace
from harness.analysis.question import DEFAULT_STEP, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.store.opened import Store
from harness.analysis.store.whole import Whole
from tests.store.invent import invent
from tests.store.test_chunks import stored

from .support import steps_of

SIZES = (Sizes(1, 1), Sizes(50, 30))


def assert_same(one: object, other: object) -> None:
    """To the last field, arrays value by value and type by type."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()
    elif hasattr(one, "__struct_fields__") and not isinstance(one, Trace):
        for name in one.__struct_fields__:
            assert_same(getattr(one, name), getattr(other, name))
    elif isinstance(one, Trace):
        for name in ("operations", "calls", "ranges", "synchronizations", "strings"):
            assert_same(getattr(one, name), getattr(other, name))
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_same(mine, its)
    else:
        assert one == other


def runs_of(series: StepSeries, random: Random) -> list[tuple[int, int]]:
    """Some neighbours, and what would be chosen."""
    if len(series) < 2:
        return []
    first = random.randrange(1, len(series))
    chosen = chosen_runs(np.arange(1, len(series)), random.choice((1.0, 40_000.0)))
    return [(first, random.randrange(first + 1, len(series) + 1)), *chosen]


def found_in(
    source: Trace | Store, pattern: StepPattern, sizes: Sizes | None, seed: int
) -> list[tuple[list[Stretch], object]] | str:
    """The stretches of each series on each device, and their gains; what is said where no steps can
    be found."""
    random, found = Random(seed), []
    try:
        steps, launches = steps_of(source, (pattern,), sizes)
    except TraceError as error:
        return str(error)
    tables = source if isinstance(source, Store) else Whole(source)
    for (place, _), launched in sorted(launches.launched.items()):
        runs = runs_of(steps.series[place], random)
        pieces = list(stretches(tables, steps.series[place], launched, runs))
        loops = read_loops(pieces, "")
        found.append((pieces, ladder(loops, "") if loops else None))
    return found


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), pattern=st.sampled_from([DEFAULT_STEP, StepPattern.glob("*")]))
def test_stretches_and_gains_are_those_of_the_trace_in_memory(
    seed: int, pattern: StepPattern
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trace = open_trace(invent(seed, Path(folder) / "t.sqlite"))
        store = stored(trace, Path(folder) / "store")
        whole = found_in(trace, pattern, None, seed)
        for sizes in SIZES:
            assert_same(found_in(store, pattern, sizes, seed), whole)


RECORDED = Path(__file__).parents[2] / "traces" / "h100-pipelined.sqlite"


def test_a_recording_has_the_same_gains_in_parts_of_any_size(tmp_path: Path) -> None:
    trace = open_trace(RECORDED)
    store = stored(trace, tmp_path / "store")
    whole = analyze(trace)
    (of_whole,) = whole.gains
    assert of_whole.ladder is not None
    assert len(of_whole.ladder.rungs) >= 3
    for sizes in (Sizes(1_000, 1_000), Sizes(10**6, 10**6)):
        (found,) = analyze(store, sizes=sizes).gains
        assert found.ladder == of_whole.ladder


def test_gains_are_the_same_however_many_variants_are_played_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from harness.analysis.gains import ladder as module

    trace = open_trace(RECORDED)
    at_once = found_in(trace, DEFAULT_STEP, None, 0)
    monkeypatch.setattr(module, "BATCH_BYTES", 1)
    assert_same(found_in(trace, DEFAULT_STEP, None, 0), at_once)


def test_a_variant_does_not_depend_on_those_beside_it() -> None:
    pieces = found_in(open_trace(RECORDED), DEFAULT_STEP, None, 0)[0][0]
    for loop in read_loops(pieces, ""):
        plain, other = Variant.of(loop), Variant.of(loop)
        other.before = loop.before // 2
        other.waits = {0: (), 3: ()}
        other.released = {1, 2}
        alone = [replay(loop, [one])[0].tolist() for one in (plain, other)]
        for order in itertools.permutations((0, 1, 0)):
            found = replay(loop, [(plain, other)[k] for k in order])
            assert found.tolist() == [alone[k] for k in order]
        assert alone[0] != alone[1]


def test_a_stretch_has_no_more_than_its_steps() -> None:
    trace = open_trace(RECORDED)
    steps, launches = steps_of(trace)
    ((key, launched),) = launches.launched.items()
    series = steps.series[key[0]]
    for piece in stretches(Whole(trace), series, launched, [(3, 6), (9, 11)]):
        calls = piece.trace.calls
        assert calls.start.min() >= piece.begin == series.start[piece.first - 1]
        assert calls.start.max() < piece.end == series.start[piece.stop]
        assert piece.step_start.tolist() == series.start[piece.first - 1 : piece.stop].tolist()
        assert len(calls) == np.count_nonzero(
            (trace.calls.start >= piece.begin) & (trace.calls.start < piece.end)
        )
