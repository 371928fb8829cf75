"""The steady step of a trace's own loop, as every analysis measures it."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..idle.choose.repeats import steps_in_memory
from ..idle.launched import find_launches
from ..idle.owners import WholeSteps
from ..idle.parts import WholeParts
from ..idle.steady import SteadyPeriods, steady_periods
from ..model.intervals import Int64
from ..model.schema import MAX_TIME
from ..model.trace import Trace
from ..question import Question
from ..store.whole import Whole
from .take_out import BareTimes


class SteadyStep(Struct, frozen=True, eq=False):
    """Of the series that launched most on one device."""

    ns: float
    steps: int
    device: int
    periods: SteadyPeriods

    def without(self, times: BareTimes) -> float:
        """The same between the same moments of the device, at their new times, ns."""
        runs = self.periods.runs
        edges = [_moved(times, self.device, edge) for edge in (runs.start, runs.end)]
        return float((edges[1] - edges[0]).sum()) / self.steps


def _moved(times: BareTimes, device: int, moment: Int64) -> Int64:
    """Moments of a device, as long after the work before them as recorded."""
    operations = times.recorded.trace.operations
    rows = np.flatnonzero(operations.device == device)
    rows = rows[np.argsort(operations.end[rows], kind="stable")]
    at = np.searchsorted(operations.end[rows], moment, side="right") - 1
    shift = (times.operations() - operations.start)[rows[np.maximum(at, 0)]]
    return moment + np.where(at >= 0, shift, 0)


def steady_step(trace: Trace) -> SteadyStep | None:
    """None where there is no steady state."""
    steps = steps_in_memory(trace, Whole(trace), Question()).steps
    launches = find_launches(WholeParts(trace, WholeSteps(steps)))
    if not launches.launched:
        return None
    key = max(launches.launched, key=lambda one: int(launches.launched[one].count.sum()))
    place, device = key
    series = steps.series[place]
    dead = ~launches.alive(place, len(series))
    found = steady_periods(launches.launched[key], series, dead, -MAX_TIME, MAX_TIME)
    if len(found) == 0 or found.own_edges:
        return None
    return SteadyStep(float(found.length.sum()) / len(found), len(found), device, found)
