"""The Python API for a loop of one's own: annotate it, time it, record it, read the trace.

    from harness import decode, profile

`docs/api.md` is the worked example. Importing this module imports neither torch nor numpy.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from .capture.window import Window
from .decode.errors import StepsUsedTwice, WindowOutsideRun
from .errors.options import NothingToDo
from .nvtx import Range, Ranges
from .question import Means, Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .analysis.report import TraceReport
    from .analysis.statistics.interval import Interval
    from .capture.session import Recording

__all__ = ["Means", "Question", "Steps", "Timings", "Window", "gaps", "record", "steps", "time"]


class Steps:
    """A loop's steps: iterating opens `Step N` around each, and the profiler's window around some.

    `forward` and `stop_check` are ranges to use inside a step (`with steps.forward:`). After the
    loop `steps_ns` holds the host's clock.
    """

    def __init__(
        self, count: int, *, window: tuple[int, int] | None = None, device: str = "auto"
    ) -> None:
        """`count`: the most steps there can be. `window`: half-open, the steps to record; None
        records nothing. `device`: "cpu", "cuda" or "auto". Raises UsageError for a window that does
        not lie within the steps, HarnessError where the device is not there."""
        from .bench.clock import StepClock
        from .decode.window import CaptureWindow
        from .runtime import open_runtime

        if window is not None and not 0 <= window[0] < window[1] <= count:
            raise WindowOutsideRun(
                f"the window {window[0]}:{window[1]} does not lie within {count} steps",
                remedy=f"use for example (0, {count})",
            )
        self.count = count
        self._runtime = open_runtime(device)
        self._ranges = Ranges(count)
        self._window = CaptureWindow(window, self._runtime, self._ranges)
        self._clock = StepClock(self._runtime)
        self._used = False

    @property
    def forward(self) -> Range:
        """The range `Model Forward`."""
        return self._ranges.forward

    @property
    def stop_check(self) -> Range:
        """The range `Check Stop Condition`."""
        return self._ranges.stop_check

    @property
    def steps_ns(self) -> NDArray[np.int64]:
        """Length of each step but the first, by the host's clock; int64 ns, shape (steps - 1,)."""
        return self._clock.steps_ns()

    def __iter__(self) -> Iterator[int]:
        """The steps 0, 1, ...; `break` ends the last one and closes the window. Only once."""
        if self._used:
            raise StepsUsedTwice("these steps were iterated before")
        self._used = True
        try:
            for step in range(self.count):
                self._window.before(step)
                self._clock.before(step)
                with self._ranges.steps[step]:
                    try:
                        yield step
                    finally:
                        self._clock.after(step)
                self._window.after(step)
        finally:
            self._window.close()


def steps(count: int, *, window: tuple[int, int] | None = None, device: str = "auto") -> Steps:
    """`for step in profile.steps(100, window=(30, 50)):` annotates a loop; see `Steps`."""
    return Steps(count, window=window, device=device)


@dataclasses.dataclass(frozen=True)
class Timings:
    """Wall times of functions, run in turn: `ns[name]` is int64 ns, shape (rounds,), by round."""

    ns: Mapping[str, NDArray[np.int64]]
    warmup_ns: Mapping[str, tuple[int, ...]]

    def median(self, name: str) -> Interval | None:
        """Median in ns with its bootstrap interval; None for fewer than 2 rounds."""
        import numpy as np

        from .analysis.statistics.bootstrap import median_interval

        return median_interval(self.ns[name].astype(np.float64))

    def ratio(self, before: str, after: str) -> tuple[Interval | None, float]:
        """(median of after / before round by round with its interval, p of the signed-rank test).

        They differ significantly where p <= 0.05 and the interval leaves 1 out; fewer than 6 rounds
        cannot.
        """
        import numpy as np

        from .analysis.statistics.bootstrap import paired_ratio_interval
        from .analysis.statistics.permutation import signed_rank_p

        a, b = (self.ns[name].astype(np.float64) for name in (before, after))
        return paired_ratio_interval(a, b), signed_rank_p(np.log(b / a))


def time(
    functions: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 10,
    device: str = "auto",
    seed: int = 0,
) -> Timings:
    """Time functions against each other as `harness bench` does, in this process.

    Each is called until two calls in a row differ by less than 5% (at most 6 times, and no further
    after a second); then every round calls all of them once, in random order. The device is
    synchronised before and after each call.
    """
    import numpy as np

    from .runtime import open_runtime

    if not functions or rounds < 1:
        raise NothingToDo("nothing to time", remedy="give functions, and 1 round or more")
    runtime = open_runtime(device)

    def once(function: Callable[[], object]) -> int:
        runtime.synchronize()
        began = runtime.now_ns()
        function()
        runtime.synchronize()
        return runtime.now_ns() - began

    warmup = {}
    for name, function in functions.items():
        spent = [once(function)]
        while len(spent) < 6 and sum(spent) < 1e9:
            spent.append(once(function))
            if abs(spent[-1] - spent[-2]) <= 0.05 * spent[-2]:
                break
        warmup[name] = tuple(spent)
    times: dict[str, list[int]] = {name: [] for name in functions}
    shuffle = random.Random(seed).shuffle
    for _ in range(rounds):
        turn = list(functions)
        shuffle(turn)
        for name in turn:
            times[name].append(once(functions[name]))
    return Timings({name: np.array(ns, np.int64) for name, ns in times.items()}, warmup)


def record(
    argv: Sequence[str] = (),
    *,
    strategies: Sequence[str] = (),
    output_dir: str | os.PathLike[str] = "traces",
    name: str | None = None,
    capture: str = "auto",
    capture_range: str | None = None,
    window: Window | None = None,
    force: bool = False,
    **workload: Any,
) -> tuple[Recording, ...]:
    """What `harness profile` does: record a command, or decode strategies of a workload.

    `window` says when a command is recorded (`Window(steps=(30, 50))`, `Window(delay_s=60)`); None:
    once its pace has settled. `workload` takes the fields of `decode.Workload` (`batch_size=16`,
    `device="cpu"`, ...). Each recording's `files` are its paths by suffix. Raises CaptureError,
    UsageError.
    """
    from .capture.plans import Output
    from .capture.profile_run import Request, run
    from .decode.workload import Workload

    request = Request(
        workload=Workload(**workload),
        output=Output(folder=Path(output_dir), name=name, force=force),
        strategies=tuple(strategies),
        argv=tuple(argv),
        capture=capture,
        capture_range=capture_range,
        window=window,
        given=frozenset(workload) - {"device"},
    )
    return run(request).recordings


def gaps(
    trace: str | os.PathLike[str],
    question: Question | None = None,
    means: Means | None = None,
    *,
    step: str | None = None,
) -> TraceReport:
    """What `harness gaps` computes, as objects; `step` is a glob for NVTX ranges that are steps.

    A trace that is larger than the memory that `means` allow gives the figures without the rows.
    Without `means` nothing is cached. Raises TraceError if the file cannot be read.
    """
    from .analysis.question import patterns_of
    from .run.exports import sqlite_of
    from .run.one_trace import run

    question, means = question or Question(), means or Means(cached=False)
    if step is not None:
        question = structs.replace(question, patterns=patterns_of([step], []))
    with sqlite_of(os.fspath(trace), means) as sqlite:
        return run(sqlite, question, means)
