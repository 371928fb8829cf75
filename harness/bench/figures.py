"""From stored runs to figures: one `CellFigures` per cell of a session. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.compare.verdict import MIN_SHARE
from ..analysis.statistics.bootstrap import (
    median_interval,
    paired_ratio_interval,
)
from ..analysis.statistics.interval import CONFIDENCE, Interval
from ..analysis.statistics.permutation import signed_rank_p
from ..analysis.statistics.run_tests import difference, paired_difference
from .errors import ResultsDamaged
from .floor import Floor, step_floor
from .plan import Plan
from .store import Json, Store, steps_from_blob

PAIRS = 6
"""Common rounds from which medians of pairs are taken: signed ranks of fewer cannot reach 95%."""

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class CellFigures:
    """One cell's runs and what follows from them. Times in ns, memory in bytes.

    `runs` are rows of the results file in the order of their rounds. Everything else is None or
    empty where there are none. `step_ns` is the median over runs of the device time per decode
    step, `floor_share` the part of it that the hardware's floor would take.
    """

    cell: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    floor: Floor

    @property
    def key(self) -> str:
        """As `Cell.key`."""
        return str(self.cell["key"])

    @property
    def strategy(self) -> str:
        """As it was asked for."""
        return str(self.cell["strategy"])

    @property
    def error(self) -> str | None:
        """Why it could not be measured."""
        error: str | None = self.cell["error"]
        return error

    def column(self, name: str) -> Float:
        """A column of the runs, shape (runs with a value,)."""
        return np.array([run[name] for run in self.runs if run[name] is not None], np.float64)

    @property
    def wall(self) -> Float:
        """Runtime of each run, ns."""
        return self.column("wall_ns")

    @property
    def median(self) -> Interval | None:
        """Median runtime with its interval, ns."""
        return median_interval(self.wall)

    @property
    def median_ns(self) -> float | None:
        """Median runtime."""
        return float(np.median(self.wall)) if len(self.runs) else None

    @property
    def std_ns(self) -> float | None:
        """Standard deviation of the runtime over runs, with n - 1."""
        return float(self.wall.std(ddof=1)) if len(self.runs) > 1 else None

    @property
    def steps(self) -> Float:
        """Device time per decode step of each run (between events, gaps included), ns."""
        return np.array(
            [
                r["decode_ns"] / (r["steps_executed"] - 1)
                for r in self.runs
                if r["steps_executed"] > 1
            ]
        )

    @property
    def step_ns(self) -> float | None:
        """Median of `steps`."""
        return float(np.median(self.steps)) if len(self.steps) else None

    @property
    def tokens_per_s(self) -> Float:
        """Tokens kept, all rows together, per second of runtime; one value a run."""
        batch = self.cell["batch_size"]
        return np.array([batch * r["steps_kept"] / r["wall_ns"] * 1e9 for r in self.runs])

    def steps_of_runs(self) -> tuple[NDArray[np.int64], ...]:
        """Each run's decode steps by the host's clock, ns."""
        return tuple(steps_from_blob(run["steps_ns"]) for run in self.runs)

    @property
    def floor_share(self) -> float | None:
        """Floor over measured step: 1 is the hardware's limit."""
        if self.floor.ns is None or not self.step_ns:
            return None
        return self.floor.ns / self.step_ns

    def most(self, name: str) -> int | None:
        """The largest value of a column, or None where nothing was recorded."""
        values = self.column(name)
        return int(values.max()) if len(values) else None

    @property
    def fragmentation_bytes(self) -> int | None:
        """Peak reserved less peak allocated."""
        reserved, allocated = self.most("peak_reserved_bytes"), self.most("peak_allocated_bytes")
        return None if reserved is None or allocated is None else reserved - allocated

    @property
    def fragmentation_share(self) -> float | None:
        """Fragmentation as a share of what is reserved."""
        reserved, lost = self.most("peak_reserved_bytes"), self.fragmentation_bytes
        return lost / reserved if reserved and lost is not None else None

    @property
    def prepare_ns(self) -> int | None:
        """What the first visit took to build, compile, record and make the first steps."""
        return int(self.runs[0]["prepare_ns"]) if self.runs else None

    @property
    def compile_ns(self) -> int | None:
        """torch.compile's own account, over all visits."""
        return int(self.column("compile_ns").sum()) if self.runs else None

    @property
    def capture_ns(self) -> int | None:
        """Recording of CUDA graphs on the first visit, its warm-up included."""
        return int(self.runs[0]["capture_ns"]) if self.runs else None


@dataclasses.dataclass(frozen=True)
class Figures:
    """A session: its row, workers, clocks, plan, and its cells by key in the plan's order."""

    session: Mapping[str, Any]
    workers: Sequence[Mapping[str, Any]]
    clocks: Sequence[Mapping[str, Any]]
    plan: Plan
    cells: Mapping[str, CellFigures]

    @property
    def device(self) -> dict[str, Any]:
        """The runtime's facts about the device that was measured."""
        return Json(self.workers[0]["device"]).value({}) if self.workers else {}


def load(store: Store, session: str | None = None) -> Figures:
    """Figures of one session (the newest, or the one whose id begins so)."""
    row = store.session(session)
    workers = store.rows("workers", session=row["id"])
    device = Json(workers[0]["device"]).value({}) if workers else {}
    runs: dict[int, list[dict[str, Any]]] = {}
    for run in store.rows("runs", session=row["id"]):
        runs.setdefault(run["cell"], []).append(run)
    cells = {}
    for cell in sorted(store.rows("cells", session=row["id"]), key=lambda cell: cell["position"]):
        floor = step_floor(
            Json(cell["floor_work"]).value(None),
            device,
            cell["dtype"],
            row["bandwidth_bytes_per_s"],
        )
        mine = sorted(runs.get(cell["id"], ()), key=lambda run: run["round"])
        cells[cell["key"]] = CellFigures(cell, mine, floor)
    try:
        plan = Plan.from_json(row["plan"])
    except ValueError:
        raise ResultsDamaged(
            f"{store.path} is damaged: the plan of session {row['id']} cannot be read"
        ) from None
    return Figures(
        session=row,
        workers=workers,
        clocks=store.rows("clocks", session=row["id"]),
        plan=plan,
        cells=cells,
    )


@dataclasses.dataclass(frozen=True)
class Against:
    """How one cell's runtime stands to another's: `estimate` is theirs over the baseline's, by the
    medians or, paired, the median over rounds; `ratio` has the interval too."""

    estimate: float
    ratio: Interval | None
    p: float | None
    """None, as the interval: no test of so few runs could find anything at 95%."""

    @property
    def significant(self) -> bool:
        """Whether test and interval agree, at 95%, that they differ, by the least that counts."""
        if self.ratio is None or self.p is None or self.p > 0.05:
            return False
        if abs(self.estimate - 1) < MIN_SHARE:
            return False
        return not self.ratio.low <= 1 <= self.ratio.high


def against(baseline: CellFigures, other: CellFigures) -> Against:
    """Runtime of `other` over that of `baseline`, round by round where they share rounds: medians
    from `PAIRS` rounds on, fewer by Student's t, as runs of different rounds. Both have runs."""
    mine = {run["round"]: run["wall_ns"] for run in other.runs}
    theirs = {run["round"]: run["wall_ns"] for run in baseline.runs}
    common = sorted(mine.keys() & theirs.keys())
    if len(common) >= PAIRS:
        before = np.array([theirs[r] for r in common], np.float64)
        after = np.array([mine[r] for r in common], np.float64)
        p = signed_rank_p(np.log(after / before))
        estimate = float(np.median(after / before))
        return Against(estimate, paired_ratio_interval(before, after), p)
    estimate = float(np.median(other.wall) / np.median(baseline.wall))
    if common:
        before, after = (np.log([by_round[r] for r in common]) for by_round in (theirs, mine))
        found = paired_difference(before, after)
    else:
        found = difference(np.log(baseline.wall), np.log(other.wall))
    if found is None:
        return Against(estimate, None, None)
    low, high = np.exp(found.interval(CONFIDENCE)).tolist()
    middle = float(np.exp(found.mean))
    return Against(middle, Interval(middle, low, high, CONFIDENCE, "t test"), found.p)
