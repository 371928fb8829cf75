"""One workload on a simulated GPU: the real decode loop, against virtual clocks."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..analysis.gains.gpu import Gpu
from ..analysis.gains.log import Call, Log, Operation, RangeRow, Wait
from ..analysis.predict.figures import builder
from ..analysis.predict.to_trace import fill
from ..decode import session
from ..decode.availability import not_simulated
from ..decode.models import find_eos, load_model
from ..decode.strategies import resolve
from ..decode.workload import Workload
from ..errors.options import UnknownChoice
from .costs import Op
from .device import SimDevice
from .dispatch import Recorder
from .errors import CannotSimulate
from .forward import SMALL, ShapeForward, build_meta, parameters
from .runtime import SimRuntime

VALUES = ("auto", "real", "shapes")
LEAD_NS = 1_000
"""Where a simulated trace begins: NVIDIA's gaps rule leaves out kernels that start at 0."""


@dataclass(frozen=True)
class Simulated:
    """What a run left. `values` is `real` or `shapes`; `step_ops` the operations of its last decode
    step, as the model asked for them, before any fusion."""

    runtime: SimRuntime
    strategy: str
    result: dict[str, Any]
    values: str
    step_ops: tuple[Op, ...]

    @property
    def log(self) -> Log:
        """The recorded window, in times since the profiler was started."""
        return shifted(self.runtime.sim.machine.log, LEAD_NS - self.runtime.opened_at)

    def write(self, path: Path, *, force: bool = False) -> None:
        """The window as a trace in Nsight's schema, marked as simulated."""
        gpu = self.runtime.sim.gpu
        trace = builder(
            self.strategy,
            gpu.name,
            {"SIMULATED_GPU_FILE": gpu.path.name, "SIMULATED_VALUES": self.values},
        )
        trace.duration(self.runtime.closed_at - self.runtime.opened_at + LEAD_NS)
        fill(trace, self.log)
        trace.write(path, force=force)


def shifted(log: Log, by: int) -> Log:
    """The same rows, `by` ns later."""
    moved = Log()
    moved.calls = [Call(r.start + by, r.end + by, *r[2:]) for r in log.calls]
    moved.operations = [Operation(r.start + by, r.end + by, *r[2:]) for r in log.operations]
    moved.waits = [Wait(r.start + by, r.end + by, *r[2:]) for r in log.waits]
    moved.ranges = [RangeRow(r.start + by, r.end + by, *r[2:]) for r in log.ranges]
    return moved


def simulate(
    workload: Workload,
    gpu: Gpu,
    *,
    values: str = "auto",
    whole_graphs: bool = False,
    shapes: ShapeForward | None = None,
    prime: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Simulated:
    """Run `workload` on `gpu`.

    `values`: `real` computes the model on this machine's CPU, `shapes` makes tokens up, `auto`
    computes models of up to 5 million parameters. `whole_graphs` records a CUDA graph as one row.
    `shapes` is the forward pass of an earlier run of the same model and end token, used again.
    `prime` spends no time on warming up: it only fills the allocator's pools.
    Raises HarnessError where the strategy cannot be simulated.
    """
    strategy = resolve(workload)
    reason = not_simulated(strategy)
    if reason:
        raise CannotSimulate(f"{strategy.name} cannot be simulated: {reason}")
    if values not in VALUES:
        raise UnknownChoice(f"--values is {values!r}", remedy=f"use {', '.join(VALUES)}")
    sim = SimDevice(gpu, expandable=strategy.allocator == "expandable")
    sim.whole_graphs, sim.priming = whole_graphs, prime
    runtime = SimRuntime(sim)
    recorder = Recorder(sim.take)
    if shapes is not None:
        meta = shapes.meta
    else:
        progress(f"building {workload.model}")
        meta = build_meta(workload)
        if values == "auto":
            values = "real" if parameters(meta) <= SMALL else "shapes"
        if values == "shapes":
            shapes = ShapeForward(meta, find_eos(workload, meta))
    if shapes is None:
        model = load_model(workload, runtime.device)
    else:
        values = "shapes"
        shapes.sink = functools.partial(sim.take, space=1)
        shapes.begin = functools.partial(sim.next_pass, 1)
        model = shapes.model
    sim.weight_bytes = sum(p.numel() * p.element_size() for p in meta.parameters())
    with recorder, _compiled_by(sim), _no_collector():
        _, result = session.run(workload, runtime=runtime, model=model, progress=progress)
        recorder.forget()
    step_ops = sim.last_step if shapes is None else shapes.last_ops
    result["simulated"] = {
        "gpu": gpu.key,
        "values": values,
        "races": [
            {"slot": r.slot, "step": r.step, "copied_in_step": r.copied_in,
             "early_ns": r.early_ns, "wrong_value": r.wrong}
            for r in runtime.races
        ],
    }  # fmt: skip
    return Simulated(runtime, strategy.name, result, values, tuple(step_ops))


@contextlib.contextmanager
def _compiled_by(sim: SimDevice) -> Iterator[None]:
    """torch.compile gives back the model itself, whose operations are then fused by `costs.fused`:
    real compilation would take minutes, and make code for this machine."""
    original = torch.compile

    def compiled(model: Any = None, **_: Any) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            with sim.compiled():
                return model(*args, **kwargs)

        return forward

    torch.compile = compiled
    try:
        yield
    finally:
        torch.compile = original


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """No garbage collection, so that memory is freed at the same point of every run."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
