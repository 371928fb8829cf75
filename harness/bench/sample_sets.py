"""One side of a comparison from a session of a results file."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..analysis.compare.sample_sets import merged
from ..analysis.compare.verdict import Sample, Side, Subject
from .figures import CellFigures, Figures
from .store import Json

_WORKLOAD = ("model", "dtype", "prompt_length", "max_new_tokens", "batch_size")


def session_side(name: str, figures: Figures, strategy: str | None = None) -> Side:
    """A subject per cell; with `strategy`, only its cells, keyed by batch size and length alone.

    `runtime` is a gate. `step` is the host's clock per decode step: each run's mean where there are
    several runs, blocks of steps where there is one.
    """
    subjects = []
    for cell in figures.cells.values():
        if cell.runs and strategy in (None, cell.strategy):
            shape = f"b{cell.cell['batch_size']} t{cell.cell['max_new_tokens']}"
            subjects.append(Subject(cell.key if strategy is None else shape, _samples(cell)))
    return Side(name, _metadata(figures, strategy), tuple(subjects))


def _samples(cell: CellFigures) -> dict[str, Sample]:
    found = [Sample("runtime", "ns", _each(cell.wall))]
    steps = [run.astype(np.float64) for run in cell.steps_of_runs() if len(run)]
    if steps:
        # The gate where one run is all there is; otherwise runtime says it already.
        found.append(Sample("step", "ns", tuple(steps), gate=len(steps) == 1))
    found.append(Sample("throughput", "1/s", _each(cell.tokens_per_s), "higher", gate=False))
    for metric, column in (
        ("peak allocated", "peak_allocated_bytes"),
        ("peak reserved", "peak_reserved_bytes"),
    ):
        values = cell.column(column)
        if len(values):
            found.append(Sample(metric, "bytes", _each(values), gate=False))
    return {sample.metric: sample for sample in found}


def _each(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Any, ...]:
    return tuple(values.reshape(-1, 1))


def _metadata(figures: Figures, strategy: str | None) -> dict[str, Any]:
    session = figures.session
    git = Json(session["git"]).value({})
    return {
        "origin": "measured",
        "strategy": strategy,
        "device": figures.device,
        "host": Json(session["host"]).value({}),
        "git": git,
        "versions": merged([Json(worker["versions"]).value({}) for worker in figures.workers]),
        "workload": {
            name: sorted({getattr(cell.workload, name) for cell in figures.plan.cells})
            for name in _WORKLOAD
        },
        "protocol": {"rounds": figures.plan.protocol.rounds, "status": session["status"]},
        "label": session["label"],
    }
