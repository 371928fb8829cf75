"""`harness predict --gpu ... --batch-size ... --strategy ...`: what each would take, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..analysis.gains.gpu import Gpu
from ..analysis.idle.figures import Steady
from ..analysis.model.remark import Warned
from ..analysis.predict.figures import steady_of
from ..analysis.reports.base import Column, Table, Value
from ..decode.models import find_eos
from ..decode.workload import Workload
from .costs import floor_ns
from .forward import ShapeForward, build_meta
from .remarks import RacesPredicted
from .run import simulate
from .show import Outcome

STRATEGIES = ("kv-cache", "pipelined", "compiled", "pipelined-compiled", "cuda-graph-deferred")
WINDOW = 20
"""Steps in the middle of the generation whose steady state is shown."""


@dataclass(frozen=True)
class Grid:
    """What to predict: every combination."""

    gpus: tuple[Gpu, ...]
    batch_sizes: tuple[int, ...]
    strategies: tuple[str, ...] = STRATEGIES
    workload: Workload = dataclasses.field(default_factory=Workload)


@dataclass(frozen=True)
class Cell:
    """One combination with its figures; `step_ns` is the mean over all decode steps."""

    gpu: Gpu
    batch_size: int
    strategy: str
    step_ns: float
    steady: Steady
    floor_ns: float
    races: int


def predict_grid(grid: Grid, progress: Callable[[str], None] = lambda _: None) -> Outcome:
    """Simulate every combination; the gain is against the first strategy of the same row group.

    Raises HarnessError where a strategy cannot be simulated, UsageError for unknown names.
    """
    total = len(grid.gpus) * len(grid.batch_sizes) * len(grid.strategies)
    progress(f"building {grid.workload.model}")
    base = dataclasses.replace(
        grid.workload, device="cpu", strategy=grid.strategies[0], steps=window(grid.workload)
    )
    meta = build_meta(base)
    shapes = ShapeForward(meta, find_eos(base, meta))
    cells: list[Cell] = []
    for gpu in grid.gpus:
        for batch in grid.batch_sizes:
            for name in grid.strategies:
                progress(f"{len(cells) + 1}/{total}  {gpu.key}  batch {batch}  {name}")
                workload = dataclasses.replace(base, strategy=name, batch_size=batch)
                cells.append(cell(workload, gpu, shapes))
    return Outcome(
        "predict", (_table(grid, cells),), _warnings(cells), (("model", grid.workload.model),)
    )


def window(workload: Workload) -> tuple[int, int]:
    """The steps in the middle of the generation, at least four of them where there are as many."""
    last = workload.max_new_tokens
    first = max(1, (last - WINDOW) // 2)
    return first, min(last, first + WINDOW)


def cell(workload: Workload, gpu: Gpu, shapes: ShapeForward) -> Cell:
    """Simulate one combination; `workload.steps` is the window that is looked at."""
    # A whole generation first: what a growing cache makes the allocator ask of the driver, it asks
    # once, and a timing of repeated runs does not show it.
    workload = dataclasses.replace(workload, warmup_steps=workload.max_new_tokens)
    done = simulate(workload, gpu, shapes=shapes, prime=True)
    executed = done.result["steps"]["executed"]
    return Cell(
        gpu=gpu,
        batch_size=workload.batch_size,
        strategy=done.strategy,
        step_ns=done.result["times"]["decode_ns"] / max(1, executed - 1),
        steady=steady_of(done.log),
        floor_ns=floor_ns(done.step_ops, gpu),
        races=len(done.runtime.races),
    )


_COLUMNS = (
    Column("gpu", "GPU"),
    Column("batch_size", "batch", "int"),
    Column("strategy", "strategy"),
    Column("step_ns", "step µs", "us"),
    Column("inter_step_idle_ns", "gap µs", "us"),
    Column("idle_share", "idle", "percent"),
    Column("limiter", "limiter"),
    Column("saved_share", "saved", "percent"),
    Column("floor_ns", "floor µs", "us"),
    Column("floor_ratio", "x floor", "number"),
    Column("tokens_per_s", "tokens/s", "int"),
)


def _table(grid: Grid, cells: list[Cell]) -> Table:
    rows: list[tuple[Value, ...]] = []
    # By file: a copy of a built-in one that was changed may have kept its name.
    first: dict[tuple[Path, int], float] = {}
    for one in cells:
        base = first.setdefault((one.gpu.path, one.batch_size), one.step_ns)
        saved = None if one.strategy == grid.strategies[0] else 1 - one.step_ns / base
        rows.append(
            (
                one.gpu.key, one.batch_size, one.strategy, one.step_ns, one.steady.inter_ns,
                one.steady.idle_ns / one.steady.period_ns, one.steady.limiter, saved,
                one.floor_ns, one.step_ns / one.floor_ns,
                round(one.batch_size * 1e9 / one.step_ns),
            )
        )  # fmt: skip
    work = grid.workload
    first_step, last_step = window(work)
    notes = (
        "Predicted, not measured: operations from the model's shapes on this machine, durations by "
        "roofline plus a minimum, host constants of one measured machine (docs/simulator.md says "
        "how far off they were on an H100).",
        "After one whole generation, which fills the allocator's pools. 'step' is the mean over "
        f"all decode steps after the prefill; 'gap' (idle between steps), "
        f"'idle' and 'limiter' are of steps {first_step} to {last_step - 1}; 'saved' is against "
        f"{grid.strategies[0]}.",
        "'floor' is what must be read once a step (weights, cache) at the data sheet's bandwidth.",
    )
    title = (
        f"Predicted (simulated): {work.model}, {work.dtype}, {work.max_new_tokens} new tokens "
        f"after {work.prompt_length}"
    )
    return Table("predictions", title, _COLUMNS, tuple(rows), notes)


def _warnings(cells: list[Cell]) -> tuple[Warned, ...]:
    return tuple(
        RacesPredicted(
            f"{one.gpu.key} batch {one.batch_size} {one.strategy}: {one.races} host-device races "
            "from the first shown step on: the host read a flag before its copy had landed"
        )
        for one in cells
        if one.races
    )
