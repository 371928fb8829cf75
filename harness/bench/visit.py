"""One visit of one cell, in this process: build, warm up, measure, and say what it took.

Used by the worker process and by the Python API; imports torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..decode import models, session
from ..decode.availability import unavailable_reason
from ..decode.errors import StrategyCannotRun
from ..decode.strategies import resolve
from ..decode.workload import Workload
from ..nvtx import Ranges
from ..runtime import open_runtime
from .clock import StepClock
from .floor import model_shape, step_work
from .plan import Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..decode.loop import Engine, Generation
    from ..runtime.base import Runtime

# Each batch size and length is a version of one compiled function; PyTorch gives up after 8.
COMPILED_VERSIONS = 4096


@dataclasses.dataclass(frozen=True)
class Measured:
    """One timed run. Times in ns, memory in bytes.

    `decode_ns` and `prefill_ns` are between device events, `wall_ns` is the host's clock around the
    run and a final synchronise; `steps_ns` (int64, shape (steps executed - 1,)) is the host's
    clock, empty where one launch made several steps. Fragmentation is reserved less allocated, at
    their peaks. `allocation_retries` counts the times that the allocator had to give its cache back
    to serve a request, in this run; `compiled_in_run` the graphs compiled in it. Memory is None
    where the device keeps no account.
    """

    wall_ns: int
    prefill_ns: int
    decode_ns: int
    steps_executed: int
    steps_needed: int
    steps_kept: int
    steps_ns: NDArray[np.int64]
    tokens_sha256: str
    peak_allocated_bytes: int | None
    peak_reserved_bytes: int | None
    allocation_retries: int | None
    device_allocations: int | None
    compiled_in_run: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.__dict__, "steps_ns": self.steps_ns.tolist()}


@dataclasses.dataclass(frozen=True)
class Visit:
    """What came of a visit. `compile_ns` is torch.compile's own account, `capture_ns` the recording
    of CUDA graphs with its warm-up; both lie within `prepare_ns` and the warm-up."""

    run: Measured
    prepare_ns: int
    compile_ns: int
    capture_ns: int
    warmup_ns: tuple[int, ...]
    stable: bool
    floor_work: dict[str, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.__dict__, "warmup_ns": list(self.warmup_ns), "run": self.run.to_dict()}


class Bench:
    """One process's runtime and models; a model is loaded once, whatever strategies use it."""

    def __init__(self, device: str, *, progress: Callable[[str], None] = lambda _: None) -> None:
        self.runtime: Runtime = open_runtime(device)
        self.progress = progress
        self.load_ns: dict[str, int] = {}
        self._models: dict[tuple[str, str, int], Any] = {}

    def visit(self, workload: Workload, protocol: Protocol, *, first: bool) -> Visit:
        """Measure `workload` once. `first`: warm up until stable, not only by count.

        Raises HarnessError where the strategy cannot run here, UsageError where the workload does
        not fit the model, and whatever PyTorch raises.
        """
        workload = dataclasses.replace(workload, steps=None)
        strategy = resolve(workload)
        reason = unavailable_reason(strategy, self.runtime.device.type)
        if reason:
            raise StrategyCannotRun(f"{strategy.name} cannot run here: {reason}")
        model = self._model(workload)
        self._release()
        began_compiling = compile_ns()
        ranges = Ranges(workload.max_new_tokens)
        with self._timed_capture() as capture:
            mark = time.perf_counter_ns()
            decoder = session.make_decoder(model, workload, self.runtime, ranges, strategy)
            decoder.prepare()
            prepare_ns = time.perf_counter_ns() - mark
        warmup, stable = self._warm_up(decoder, protocol, first)
        measured = self._measure(decoder)
        work = None
        if strategy.engine != "hf":
            prompt = len(workload.prompt_tokens or ()) or workload.prompt_length
            work = dataclasses.asdict(
                step_work(
                    model_shape(model),
                    strategy.cache,
                    workload.batch_size,
                    prompt,
                    measured.steps_executed,
                    workload.dtype,
                )
            )
        del decoder
        return Visit(
            run=measured,
            prepare_ns=prepare_ns,
            compile_ns=compile_ns() - began_compiling,
            capture_ns=sum(capture),
            warmup_ns=warmup,
            stable=stable,
            floor_work=work,
        )

    def _model(self, workload: Workload) -> Any:
        key = (workload.model, workload.dtype, workload.seed)
        if key not in self._models:
            self.progress(f"loading {workload.model}")
            self._models.clear()
            mark = time.perf_counter_ns()
            self._models[key] = models.load_model(workload, self.runtime.device)
            self.load_ns["/".join(map(str, key))] = time.perf_counter_ns() - mark
        model = self._models[key]
        models.check_length(workload, model.config)
        return model

    def _release(self) -> None:
        """Give back what the last visit left, so that this one's memory is its own."""
        gc.collect()
        if self.runtime.name == "cuda":
            import torch

            torch.cuda.empty_cache()

    def _warm_up(
        self, decoder: Engine, protocol: Protocol, first: bool
    ) -> tuple[tuple[int, ...], bool]:
        """(wall time of each warm-up run, whether the last two agreed)."""
        times: list[int] = []
        began = time.perf_counter()
        while True:
            times.append(decoder.run(StepClock(self.runtime)).wall_ns)
            stable = len(times) > 1 and _agree(times[-2], times[-1], protocol.stable_within)
            done = stable or not first or time.perf_counter() - began > protocol.warmup_s
            if len(times) >= protocol.warmup_most or (len(times) >= protocol.warmup_runs and done):
                return tuple(times), stable or len(times) == 1

    def _measure(self, decoder: Engine) -> Measured:
        clock = StepClock(self.runtime)
        gc.collect()
        self.runtime.reset_peak_memory()
        before, graphs = self.runtime.memory_statistics(), session.graphs_compiled()
        gc.disable()  # a collection in the middle costs milliseconds, and is nobody's strategy
        try:
            generation: Generation = decoder.run(clock)
        finally:
            gc.enable()
        memory = self.runtime.memory_statistics()

        def grown(name: str) -> int | None:
            return memory[name] - before.get(name, 0) if name in memory else None

        return Measured(
            wall_ns=generation.wall_ns,
            prefill_ns=generation.prefill_ns,
            decode_ns=generation.decode_ns,
            steps_executed=generation.steps_executed,
            steps_needed=generation.steps_needed,
            steps_kept=generation.steps_kept,
            steps_ns=clock.steps_ns(),
            tokens_sha256=session.checksum(generation.tokens),
            peak_allocated_bytes=memory.get("peak_allocated_bytes"),
            peak_reserved_bytes=memory.get("peak_reserved_bytes"),
            allocation_retries=grown("allocation_retries"),
            device_allocations=grown("device_allocations"),
            compiled_in_run=session.graphs_compiled() - graphs,
        )

    @contextlib.contextmanager
    def _timed_capture(self) -> Iterator[list[int]]:
        """Time the runtime's graph captures inside the context."""
        spent: list[int] = []
        plain = self.runtime.capture_graph

        def timed(*args: Any, **values: Any) -> Any:
            mark = time.perf_counter_ns()
            try:
                return plain(*args, **values)
            finally:
                spent.append(time.perf_counter_ns() - mark)

        self.runtime.capture_graph = timed  # type: ignore[method-assign]
        try:
            yield spent
        finally:
            self.runtime.capture_graph = plain  # type: ignore[method-assign]


def _agree(before: int, after: int, within: float) -> bool:
    return abs(after - before) <= within * before


def compile_ns() -> int:
    """Wall time that torch.compile has spent in this process, ns; 0 where it was not used."""
    if "torch._dynamo" not in sys.modules:
        return 0
    from torch._dynamo.utils import calculate_time_spent

    seconds: float = calculate_time_spent().get("total_wall_time", 0.0)
    return round(seconds * 1e9)


def allow_many_versions() -> None:
    """Let one compiled function have a version for every batch size and length of a session."""
    from torch._dynamo import config

    config.recompile_limit = COMPILED_VERSIONS
    config.accumulated_recompile_limit = COMPILED_VERSIONS
