"""Any chunking gives the figures of the whole, to the nanosecond."""

from __future__ import annotations

import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.cached_report import pack, unpack
from harness.analysis.idle.sizes import Sizes
from harness.analysis.model.errors import TraceError
from harness.analysis.model.trace import Trace
from harness.analysis.question import DEFAULT_STEP, Question, StepPattern
from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.statistics.quantiles import Quantiles
from harness.analysis.statistics.sample import Sample
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace
from harness.analysis.writer.writer import TraceBuilder

from .compare import figures, in_detail, ordered
from .invent import invent

PATTERNS = (
    (DEFAULT_STEP,),
    (StepPattern.glob("*"),),
    (StepPattern.glob("Step *"), StepPattern.glob("*Step*")),
    (StepPattern.glob("inner"), StepPattern.of_regex("Model|Check")),
)


def stored(trace: Trace, folder: Path) -> Store:
    folder.mkdir()
    save_trace(trace, read_metadata(open_database(trace.path)), folder)
    return Store(folder, trace.path)


def whole(trace: Trace, question: Question) -> object:
    """Every figure of the trace in memory, or what is said where there is none."""
    try:
        return ordered(figures(analyze(trace, question)))
    except TraceError as error:
        return str(error)


def chunked(store: Store, question: Question, sizes: Sizes) -> object:
    try:
        report = analyze(store, in_detail(question), sizes)
    except TraceError as error:
        return str(error)
    found = ordered(figures(report))
    # And what is kept of it is the same again.
    assert ordered(figures(unpack(pack(report, in_detail(question)), store, question))) == found
    return found


def questions(random: Random) -> Question:
    """A window, steps, a pattern or a device, often none of them."""
    lo, hi = (random.choice((None, None, random.randrange(6000))) for _ in range(2))
    if lo is not None and hi is not None and lo >= hi:
        lo, hi = hi, lo + 1
    steps = random.choice((None, None, (random.randrange(3), None), (None, 5), (1, 4)))
    return Question(
        patterns=random.choice(PATTERNS),
        start=lo,
        end=hi,
        capture=random.random() < 0.15,
        steps=steps or (None, None),
        device=random.choice((None, None, None, 0, 1)),
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_chunking_gives_the_same_figures(
    tmp_path_factory: pytest.TempPathFactory, seed: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    random = Random(seed)
    path = invent(seed, folder / "trace.sqlite", size=random.choice((4, 12, 40)))
    try:
        trace = open_trace(path)
    except TraceError:
        return  # nothing was invented that could be analysed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = stored(trace, folder / "store")
        question = questions(random)
        most = max(len(trace.operations), 1)
        sizes = Sizes(
            data.draw(st.integers(1, most), label="operations at once"),
            data.draw(st.integers(1, 100), label="calls and ranges at once"),
        )
        assert chunked(store, question, sizes) == whole(trace, question)


@pytest.mark.parametrize("seed", range(4))
def test_cuts_at_every_operation(tmp_path: Path, seed: int) -> None:
    trace = open_trace(invent(seed, tmp_path / "trace.sqlite"))
    store = stored(trace, tmp_path / "store")
    assert chunked(store, Question(), Sizes(1, 1)) == whole(trace, Question())


@pytest.mark.parametrize("sizes", [Sizes(97, 50), Sizes(1500, 10**6)])
@pytest.mark.parametrize(
    "name", ["power_iteration", "h100_2gpu_copy_bound", "graph_level", "mpi_saxpy_old_schema"]
)
def test_real_exports(public_traces: Path, tmp_path: Path, name: str, sizes: Sizes) -> None:
    trace = open_trace(public_traces / f"{name}.sqlite")
    question = Question(patterns=(StepPattern.glob("*"),))
    store = stored(trace, tmp_path / "store")
    assert chunked(store, question, sizes) == whole(trace, question)


def test_our_own_recordings(tmp_path: Path) -> None:
    for path in sorted((Path(__file__).parents[2] / "traces").glob("*.sqlite")):
        trace = open_trace(path)
        store = stored(trace, tmp_path / path.stem)
        for asked in ({}, {"steps": (4, 9)}):
            question = Question(**asked, as_recorded=True)  # as what is read in parts always is
            found, expected = chunked(store, question, Sizes(500, 700)), whole(trace, question)
            assert found == expected


@given(
    values=st.lists(st.integers(0, 2**62) | st.integers(0, 40), min_size=1, max_size=60),
    limit=st.integers(1, 20),
    parts=st.integers(1, 5),
)
def test_quantiles_of_a_sample_that_nobody_holds(values: list[int], limit: int, parts: int) -> None:
    values = [value // len(values) for value in values]  # their sum fits, as it does in any window
    sample = Sample(limit)
    for part in np.array_split(np.array(values, np.int64), parts):
        sample.add(part)
    assert sample.quantiles() == Quantiles.of(np.array(values, np.int64))


def test_rows_that_are_not_held_cannot_be_asked_for(tmp_path: Path) -> None:
    trace = open_trace(invent(1, tmp_path / "trace.sqlite"))
    report = analyze(stored(trace, tmp_path / "store"))
    rows: Any = report.trace.operations, report.trace.strings, report.gaps[0].start
    for one in rows:
        for ask in (len, list, np.asarray, lambda x: x[0], lambda x: x.start):
            with pytest.raises(AttributeError, match="not in memory"):
                ask(one)


def loop_on(devices: int, names: tuple[str, ...]) -> TraceBuilder:
    """Steps of these names; in each, one kernel on every device, all starting together."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    process = trace.process(100)
    thread = trace.thread(process, 100, "MainThread")
    for device in range(devices):
        trace.device(device, name="GPU", uuid=f"uuid-{device}")
    for k, name in enumerate(names):
        at = 1_000 * (k + 1)
        trace.nvtx(at, at + 900, name, thread=thread)
        for device in range(devices):
            if device and k % 2 == 0:
                trace.launch(at + 10, at + 20, at + 100, at + 150, thread=thread, device=device)
            trace.launch(at + 200, at + 210, at + 400, at + 500, thread=thread, device=device)
    return trace


def test_a_cut_between_operations_that_start_together(tmp_path: Path) -> None:
    loop_on(2, tuple(f"Step {n}" for n in range(4))).write(tmp_path / "t.sqlite")
    trace = open_trace(tmp_path / "t.sqlite")
    store = stored(trace, tmp_path / "store")
    expected = whole(trace, Question())
    for size in range(1, len(trace.operations) + 1):
        assert chunked(store, Question(), Sizes(size, 100)) == expected, size


def test_a_wildcard_and_an_expression_of_the_same_text(tmp_path: Path) -> None:
    loop_on(1, ("Step 0", "Step 1", "Step.2")).write(tmp_path / "t.sqlite")
    trace = open_trace(tmp_path / "t.sqlite")
    store = stored(trace, tmp_path / "store")
    question = Question((StepPattern.glob("Step.*"), StepPattern.of_regex("Step.*")))
    assert [len(one) for one in analyze(trace, question).steps.series] == [1, 3]
    assert chunked(store, question, Sizes(1, 100)) == whole(trace, question)


def test_a_window_of_a_trace_without_a_device(tmp_path: Path) -> None:
    builder = TraceBuilder(producer="builder", origin="synthetic")
    thread = builder.thread(builder.process(100), 100)
    for n in range(4):
        builder.nvtx(1_000 * n + 900, 1_000 * n + 1_800, f"Step {n}", thread=thread)
    builder.write(tmp_path / "t.sqlite")
    trace = open_trace(tmp_path / "t.sqlite")
    store = stored(trace, tmp_path / "store")
    for start, end in ((None, 800), (None, 2_000), (2_000, None)):
        question = Question(start=start, end=end, steps=(1, 3))
        assert chunked(store, question, Sizes(9, 9)) == whole(trace, question)


def test_a_dead_step_began_at_no_time_on_the_gpu(tmp_path: Path) -> None:
    builder = loop_on(1, tuple(f"Step {n}" for n in range(4)))
    builder.nvtx(9_000, 9_100, "Step 4", thread=builder.thread(builder.process(100), 100))
    builder.write(tmp_path / "t.sqlite")
    trace = open_trace(tmp_path / "t.sqlite")
    store = stored(trace, tmp_path / "store")
    assert chunked(store, Question(), Sizes(2, 2)) == whole(trace, Question())
    rows = figures(analyze(store, in_detail(Question()), Sizes(2, 2)))["by_step"]
    assert [row["gpu_start_ns"] is None for row in rows] == [False] * 4 + [True]
