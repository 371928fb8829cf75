"""One side of a comparison from a session of a results file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from ..analysis.compare.sample_sets import merged
from ..analysis.compare.samples import SESSIONS, Sample, Side, Subject
from ..analysis.statistics.interval import Float
from ..analysis.statistics.run_tests import neighbours_alike
from .figures import CellFigures, Figures
from .store import Json

_WORKLOAD = ("model", "dtype", "prompt_length", "max_new_tokens", "batch_size")


def session_side(name: str, figures: Figures, strategy: str | None = None) -> Side:
    """A subject per cell; with `strategy`, only its cells, keyed by batch size and length alone.

    `runtime` is a gate. `step` is the host's clock per decode step: each run's mean where there are
    several runs, blocks of steps where there is one. Runs of one round of a session are pairs.
    """
    subjects = []
    alike = neighbours_alike([np.log(cell.wall) for cell in figures.cells.values()])
    for cell in figures.cells.values():
        if cell.runs and strategy in (None, cell.strategy):
            shape = f"b{cell.cell['batch_size']} t{cell.cell['max_new_tokens']}"
            samples = _samples(cell, str(figures.session["id"]), alike)
            subjects.append(Subject(cell.key if strategy is None else shape, samples))
    return Side(name, _metadata(figures, strategy), tuple(subjects))


def history_side(name: str, sides: Sequence[Side]) -> Side:
    """What several sessions measured, each session one run: they show how much sessions differ."""
    runs: dict[str, dict[str, list[Sample]]] = {}
    for subject in (subject for side in sides for subject in side.subjects):
        for metric, sample in subject.samples.items():
            runs.setdefault(subject.key, {}).setdefault(metric, []).append(sample)
    subjects = []
    for key, by_metric in runs.items():
        samples = {}
        for metric, many in by_metric.items():
            values = tuple(np.array([one.estimate]) for one in many)
            samples[metric] = replace(many[0], runs=values, rounds=(), session=SESSIONS)
        subjects.append(Subject(key, samples))
    return Side(name, {}, tuple(subjects))


def _samples(cell: CellFigures, session: str, alike: float) -> dict[str, Sample]:
    each = [int(run["round"]) for run in cell.runs]

    def sample(metric: str, unit: str, runs: Sequence[Float], rounds: list[int]) -> Sample:
        return Sample(
            metric,
            unit,
            tuple(runs),
            gate=False,
            rounds=tuple(rounds),
            session=session,
            alike=alike,
        )

    def of_column(metric: str, column: str) -> Sample:
        kept = [run for run in cell.runs if run[column] is not None]
        values = [np.array([run[column]], np.float64) for run in kept]
        return sample(metric, "bytes", values, [int(run["round"]) for run in kept])

    found = [replace(sample("runtime", "ns", _each(cell.wall), each), gate=True)]
    # The edge steps are no steps of the loop: the first is left out by the clock, the last here.
    steps = [run[:-1].astype(np.float64) for run in cell.steps_of_runs()]
    if all(map(len, steps)):
        # The gate where one run is all there is; otherwise runtime says it already.
        found.append(replace(sample("step", "ns", steps, each), gate=len(steps) == 1))
    tokens = sample("throughput", "1/s", _each(cell.tokens_per_s), each)
    found.append(replace(tokens, better="higher"))
    found.append(of_column("peak allocated", "peak_allocated_bytes"))
    found.append(of_column("peak reserved", "peak_reserved_bytes"))
    return {sample.metric: sample for sample in found if sample.runs}


def _each(values: Float) -> list[Float]:
    return list(values.reshape(-1, 1))


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
