"""From a trace to the loops that are replayed, as an analysis finds them; shared by these tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from harness.analysis.gains.batch import Variant, replay
from harness.analysis.gains.changes import Change, changes
from harness.analysis.gains.ladder import loops_of as read_loops
from harness.analysis.gains.ladder import step_ends
from harness.analysis.gains.loop import Loop
from harness.analysis.gains.machine import Timing
from harness.analysis.gains.read_loop import read_loop
from harness.analysis.gains.stretch import Stretch, chosen_runs, stretches
from harness.analysis.idle.assign import find_steps
from harness.analysis.idle.kept import known_steps
from harness.analysis.idle.launched import Launched, Launches, find_launches
from harness.analysis.idle.owners import WholeSteps
from harness.analysis.idle.parts import WholeParts
from harness.analysis.idle.sizes import Sizes, quiet
from harness.analysis.idle.steps import Steps, StepSeries
from harness.analysis.model.trace import Trace
from harness.analysis.question import DEFAULT_STEP, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.store.opened import Store
from harness.analysis.store.whole import Whole
from harness.analysis.writer.writer import TraceBuilder

US = 1_000


def reopened(trace: TraceBuilder) -> Trace:
    """What was built, written and read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.sqlite"
        trace.write(path)
        return open_trace(path)


def steps_of(
    source: Trace | Store,
    patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,),
    sizes: Sizes | None = None,
) -> tuple[Steps, Launches]:
    """All series of steps, and what they launched."""
    if isinstance(source, Store):
        steps, launches, _ = known_steps(source, patterns, sizes or Sizes(), quiet)
        return steps.steps, launches
    steps = find_steps(source, patterns)
    return steps, find_launches(WholeParts(source, WholeSteps(steps)))


def busiest(steps: Steps, launches: Launches) -> tuple[StepSeries, Launched]:
    """The series that launched most on one device."""
    place, device = max(launches.launched, key=lambda key: int(launches.launched[key].count.sum()))
    return steps.series[place], launches.launched[place, device]


def stretches_of(
    source: Trace | Store,
    patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,),
    *,
    runs: list[tuple[int, int]] | None = None,
    sizes: Sizes | None = None,
) -> list[Stretch]:
    """The stretches of the busiest series: all steps but the first and the last, unless others
    are asked for."""
    series, launched = busiest(*steps_of(source, patterns, sizes))
    tables = source if isinstance(source, Store) else Whole(source)
    if runs is None:
        steady = np.arange(1, len(series) - 1)
        calls = tables.calls.rows / max(1, len(series))
        runs = chosen_runs(steady, calls)
    return list(stretches(tables, series, launched, runs))


def loops_of(source: Trace | Store, timing: Timing, **asked: object) -> list[Loop]:
    return [read_loop(one, timing) for one in stretches_of(source, **asked)]  # type: ignore[arg-type]


def read_as_asked(
    source: Trace | Store, patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,)
) -> list[Loop]:
    """The loops that an analysis replays."""
    return read_loops(stretches_of(source, patterns), "")


def change(name: str) -> Change:
    (found,) = (one for one in changes() if one.name == name)
    return found


def ends(loop: Loop, *variants: Variant) -> np.ndarray:
    """Of each operation in each variant, the loop as it is first: (1 + variants, operations)."""
    return replay(loop, [Variant.of(loop), *variants])


def misses(loop: Loop) -> float:
    """Share of the recorded step by which the replayed one differs."""
    recorded = np.diff(step_ends(loop, loop.recorded_end)).mean()
    replayed = np.diff(step_ends(loop, ends(loop)[0])).mean()
    return float(replayed / recorded - 1)
