"""What is compared: figures of runs, gathered by subject and by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from ..statistics.interval import Float

Better = Literal["lower", "higher"]


SESSIONS = "sessions"
"""The `session` of a sample each of whose runs is a session."""


class Sample(Struct, frozen=True):
    """One figure of one thing, measured once or more.

    `runs` holds one array per run: its steps in order (shape (steps,)), or its one value (shape
    (1,)). `unit` is `ns`, `bytes`, `1/s`, `%` or what else the caller prints. `better` says which
    way is good; None for a figure that is neither (it is compared, never judged). `gate` says
    whether `--fail-above` looks at it. A run's value is the `statistic` of its steps.
    """

    metric: str
    unit: str
    runs: tuple[Float, ...]
    better: Better | None = "lower"
    gate: bool = True
    statistic: Literal["mean", "median"] = "mean"
    rounds: tuple[int, ...] = ()
    """The round of each run; runs of one round of one `session` are pairs."""
    session: str = ""
    alike: float = 0.0
    """How much neighbouring rounds of the session correlate."""
    repeats: bool = False
    """Every run gives the same to the nanosecond, as a simulation does."""

    @property
    def values(self) -> Float:
        """One value a run, shape (runs,)."""
        of = np.mean if self.statistic == "mean" else np.median
        return np.array([of(run) for run in self.runs], np.float64)

    @property
    def estimate(self) -> float:
        """Geometric mean of the runs' values; their mean where one of them is not positive."""
        values = self.values
        if (values == values[0]).all():
            return float(values[0])
        return float(np.exp(np.log(values).mean()) if values.min() > 0 else values.mean())


class Subject(Struct, frozen=True):
    """What is compared: a strategy at a batch size and length, or the steps of a trace.

    `key` pairs it with its counterpart: `name` and `place` (`(GPU 0)`) together, where it has them.
    `samples` by metric, in the order to be shown.
    """

    key: str
    samples: Mapping[str, Sample]
    name: str = ""
    place: str = ""


class Side(Struct, frozen=True):
    """One side: its name, what is known about how it was made, and its subjects."""

    name: str
    metadata: Mapping[str, Any]
    subjects: tuple[Subject, ...]
    notes: tuple[str, ...] = ()


def paired(
    before: Mapping[str, Subject], after: Mapping[str, Subject]
) -> tuple[dict[str, Subject], dict[str, Subject]]:
    """Both sides under common keys, where one thing under two names stands on them.

    Two single subjects are a pair whatever they are called. Several of one name on each side, as
    the GPUs of a trace, are paired by their place.
    """
    here, there = dict(before), dict(after)
    if here.keys() == there.keys():
        return here, there
    if len(here) == len(there) == 1:
        ((a, first),), ((b, second),) = here.items(), there.items()
        return {f"{a} -> {b}": first}, {f"{a} -> {b}": second}
    names = [{subject.name for subject in side.values()} for side in (here, there)]
    if any(len(one) != 1 or "" in one for one in names) or names[0] == names[1]:
        return here, there
    (a,), (b,) = names
    # One name in one place is one subject, so no two get the same key.
    return (
        {f"{a} -> {b} {subject.place}".rstrip(): subject for subject in here.values()},
        {f"{a} -> {b} {subject.place}".rstrip(): subject for subject in there.values()},
    )
