"""The choice does not depend on how a trace is cut, nor on what does not concern it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.idle.choose import repeats
from harness.analysis.idle.choose.choice import choose
from harness.analysis.idle.sizes import Sizes
from harness.analysis.question import Question
from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace
from harness.analysis.store.whole import Whole

from ..store.compare import figures, in_detail, ordered
from .loops import Program

NAMES = (
    "train_step {k}", "step {k}", "work", "forward", "layer {k}", "epoch {k}", "mix {k}", "data",
    "Step {k}", "aten::mm", "ProfilerStep#{k}", "Optimizer.step#SGD.step", "step {k} (log)",
    "execute_context_0(0)_generation_2(2)", "execute_context_1(9)_generation_2(2)",
)  # fmt: skip


def invented(seed: int) -> Program:
    """Ranges in ranges, on one to three threads, some of which launch."""
    random = Random(seed)
    first = Program()
    for thread in range(random.randrange(1, 4)):
        program = first if thread == 0 else Program(101 + thread, trace=first.trace)
        names = random.sample(NAMES, random.randrange(1, 6))
        launches = random.choice((0, 1, 1))

        def play(depth: int, program: Program = program, names=names, launches=launches) -> None:
            name = names[depth]
            for k in range(random.choice((1, 2, 3, 4, 7))):
                inner = depth + 1 < len(names) and random.random() < 0.8
                inside = (lambda: play(depth + 1)) if inner else launches * random.randrange(4)
                program.range(name.format(k=k), inside)
                program.rest(random.choice((1, 5, 5, 5, 90)))
                if random.random() < 0.2:
                    program.launch(random.randrange(3))

        play(0)
    first.launch()
    return first


def stored(path: Path, folder: Path) -> Store:
    folder.mkdir()
    save_trace(open_trace(path), read_metadata(open_database(path)), folder)
    return Store(folder, path)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), host_rows=st.integers(1, 60))
def test_any_chunking_chooses_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, host_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("choice")
    path = invented(seed).write(folder)
    trace = open_trace(path)
    expected = choose(Whole(trace), Sizes.all(trace))
    store = stored(path, folder / "store")
    assert choose(store, Sizes(1, host_rows)) == expected


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 60), small=st.booleans())
def test_any_chunking_of_a_trace_whose_steps_nobody_names_gives_the_same_figures(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, *, small: bool
) -> None:
    folder = tmp_path_factory.mktemp("figures")
    path = invented(seed).write(folder)
    store = stored(path, folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        if not small:
            patch.setattr(repeats, "MOST_OPERATIONS", 0)
        whole = analyze(open_trace(path))
        parts = analyze(store, in_detail(Question()), Sizes(size, size))
    assert ordered(figures(parts)) == ordered(figures(whole))


@pytest.mark.parametrize("seed", range(40))
def test_what_is_typed_next_chooses_the_same(tmp_path: Path, seed: int) -> None:
    trace = open_trace(invented(seed).write(tmp_path))
    first = analyze(trace)
    if first.chosen is not None and (first.chosen.ranges or first.chosen.repeats):
        again = analyze(trace, first.asked(Question()))
        assert again.devices == first.devices
        assert [one.steady for one in again.series] == [one.steady for one in first.series]


@pytest.mark.parametrize("seed", range(20))
def test_operators_and_a_range_around_all_change_nothing(tmp_path: Path, seed: int) -> None:
    plain = open_trace(invented(seed).write(tmp_path))
    program = invented(seed)
    program.range("main", 0)
    program.trace.nvtx(1, program.now * 1000, "main program", thread=program.thread)
    for k in range(50):
        at = (1000 + 7 * k) * 1000
        program.trace.nvtx(at, at + 900, "aten::linear", thread=program.thread)
    more = open_trace(program.write(tmp_path))
    assert choose(Whole(more), Sizes.all(more)) == choose(Whole(plain), Sizes.all(plain))


def test_a_large_trace_says_that_repeats_were_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program()
    for _ in range(20):
        program.launch(5)
        program.rest(200)
    path = program.write(tmp_path)
    monkeypatch.setattr(repeats, "MOST_OPERATIONS", 99)
    for report in (analyze(path), analyze(stored(path, tmp_path / "store"))):
        (verdict,) = (v for v in report.verdicts if v.figures == "steps")
        assert (verdict.code, str(verdict.level)) == ("device-only", "invalid")
        assert "unasked among 99 GPU operations" in verdict.reason
        assert report.steps.series == ()
