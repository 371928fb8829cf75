"""What the profiler added to a step, as the manifest beside a trace says, and idle time without it.

The GPU's own work is taken as it was recorded: kernels do not get longer because the host is slower
to launch them. So the idle time of an unprofiled step is its period less the recorded busy time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..idle.figures import Steady

_DOUBTS = {
    "not significant": "the runs differ among themselves by as much",
    "too few": "the steps are too few to tell",
}


class Calibration(Struct, frozen=True):
    """Mean step times by the host's clock in the target, ns."""

    unprofiled_ns: float
    profiled_ns: float
    runs: int
    """Unprofiled runs."""
    method: str
    doubt: str = ""
    """Why nobody can be sure that the profiler added anything; empty where one can."""
    interval_ns: tuple[float, float] | None = None
    """95% interval of the unprofiled step, by how much its runs differ; None where not known."""

    @property
    def added(self) -> float:
        """Share by which the profiler lengthened the step: 0.1 is 10%."""
        return self.profiled_ns / self.unprofiled_ns - 1

    def idle_ns(self, steady: Steady) -> float:
        """Idle time per step without the profiler; 0 where the step is all busy."""
        return max(0.0, self.unprofiled_ns - steady.busy_ns)

    def idle_interval_ns(self, steady: Steady) -> tuple[float, float] | None:
        """95% interval of `idle_ns`, the busy time taken as it was recorded."""
        if self.interval_ns is None:
            return None
        low, high = (max(0.0, end - steady.busy_ns) for end in self.interval_ns)
        return low, high


def read_calibration(manifest: Mapping[str, Any]) -> Calibration | None:
    """The manifest's `calibration`; None where there is none, or nothing that makes sense."""
    found = manifest.get("calibration")
    if not isinstance(found, Mapping):
        return None
    plain, slowed = (_mean(found.get(f"{name}_step_ns")) for name in ("unprofiled", "profiled"))
    if plain is None or slowed is None:
        return None
    runs = found["unprofiled_step_ns"].get("runs")
    inflation = found.get("inflation")
    verdict = inflation.get("verdict") if isinstance(inflation, Mapping) else None
    return Calibration(
        plain,
        slowed,
        runs if isinstance(runs, int) else 1,
        str(found.get("method", "")),
        _DOUBTS.get(verdict, "") if isinstance(verdict, str) else "",
        _interval(found["unprofiled_step_ns"]),
    )


def _interval(figures: Any) -> tuple[float, float] | None:
    low, high = (_mean(figures, f"mean_{end}") for end in ("low", "high"))
    return None if low is None or high is None or low > high else (low, high)


def _mean(figures: Any, name: str = "mean") -> float | None:
    value = figures.get(name) if isinstance(figures, Mapping) else None
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**60
    return float(value) if good and value is not None else None
