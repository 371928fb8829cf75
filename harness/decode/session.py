"""From a workload to a run: runtime, model, decoder, window, and what came of it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import transformers

from ..analysis.model.remark import Warned
from ..nvtx import Ranges, nvtx_status
from ..runtime import open_runtime
from ..version import __version__
from .allocator import VARIABLES
from .availability import unavailable_reason
from .errors import StrategyCannotRun, WindowNotReached
from .loop import Decoder, Engine, Generation, Setup
from .models import check_length, find_eos, load_model, make_prompt
from .registry import host_syncs_of, is_safe
from .remarks import EndedInWindow
from .strategies import resolve
from .window import CaptureWindow
from .workload import DEVICES, Workload, check_among, eos_schedule

if TYPE_CHECKING:
    from ..runtime.base import Runtime
    from .strategy import Strategy

RESULT_VERSION = 1


def _silent(_: str) -> None:
    """No progress wanted."""


def make_decoder(
    model: Any, workload: Workload, runtime: Runtime, ranges: Ranges, strategy: Strategy
) -> Engine:
    """The decoder of `strategy`: a `loop.Decoder`, or that of its engine."""
    engine: Callable[[Setup], Engine] = Decoder
    if strategy.engine == "hf":
        from .hf import HfDecoder as engine
    elif strategy.engine == "device-loop":
        from .device_loop import DeviceLoopDecoder as engine
    setup = Setup(
        model=model,
        prompt=make_prompt(workload, model, runtime.device),
        strategy=strategy,
        workload=workload,
        runtime=runtime,
        ranges=ranges,
        eos_id=find_eos(workload, model),
        forced_steps=eos_schedule(workload),
    )
    return engine(setup)


def run(
    workload: Workload,
    *,
    runtime: Runtime | None = None,
    model: Any = None,
    progress: Callable[[str], None] = _silent,
    again_s: float = 0,
) -> tuple[Generation, dict[str, Any]]:
    """Run one workload; the generation, and its result as plain values (see docs/strategies.md).

    It is run again and again for `again_s` seconds afterwards, of which nothing is told.
    `runtime` and `model` are made from the workload where they are not given. Raises HarnessError
    when the strategy cannot run here or the capture window never opened.
    """
    strategy = resolve(workload)
    if runtime is None:
        check_among("device", workload.device, DEVICES)  # from Python; a plan may say another
        runtime = open_runtime(workload.device)
    reason = unavailable_reason(strategy, runtime.device.type)
    if reason and runtime.name in ("cpu", "cuda"):
        raise StrategyCannotRun(f"{strategy.name} cannot run here: {reason}")
    times = {}
    mark = runtime.now_ns()
    if model is None:
        progress(f"loading {workload.model}")
        model = load_model(workload, runtime.device)
    else:
        check_length(workload, model.config)
    times["load_ns"], mark = runtime.now_ns() - mark, runtime.now_ns()

    # A runtime with clocks of its own makes its own ranges.
    ranges = Ranges(workload.max_new_tokens, getattr(runtime, "make_range", None))
    decoder = make_decoder(model, workload, runtime, ranges, strategy)
    progress(f"preparing {strategy.name} ({workload.warmup_steps} warm-up steps)")
    decoder.prepare()
    times["prepare_ns"] = runtime.now_ns() - mark

    window = CaptureWindow(workload.steps, runtime, ranges)
    recording = "" if workload.steps is None else ", recording {}:{}".format(*workload.steps)
    progress(f"generating up to {workload.max_new_tokens} tokens{recording}")
    runtime.reset_peak_memory()
    compiled_before = graphs_compiled()
    generation = decoder.run(window)
    times |= {
        "prefill_ns": generation.prefill_ns,
        "decode_ns": generation.decode_ns,
        "generate_ns": generation.wall_ns,
    }
    result = {
        "result_version": RESULT_VERSION,
        "strategy": strategy.name,
        "choices": strategy.choices,
        "engine": strategy.engine,
        "safe": is_safe(strategy),
        "workload": workload.to_dict(),
        "runtime": runtime.name,
        "device": runtime.facts(),
        "versions": versions(),
        "allocator_environment": {name: os.environ.get(name) for name in VARIABLES},
        "steps": {
            "executed": generation.steps_executed,
            "needed": generation.steps_needed,
            "kept": generation.steps_kept,
            "overshoot": generation.overshoot,
        },
        "tokens": {
            "shape": list(generation.tokens.shape),
            "prompt_length": generation.prompt_length,
            "sha256": checksum(generation.tokens),
        },
        "declared_host_syncs_per_step": dataclasses.asdict(
            host_syncs_of(strategy, workload.every_k)
        ),
        "host_waits": None if strategy.engine == "hf" else dataclasses.asdict(runtime.counters),
        "ranges": {"issued": ranges.issued, **dataclasses.asdict(nvtx_status())},
        "window": {
            "steps": workload.steps,
            "opened": window.opened,
            "recorded_steps": window.recorded,
            "step_starts_ns": window.starts_ns,
        },
        "times": times,
        "memory": runtime.memory_statistics(),
        "graphs_compiled_in_run": graphs_compiled() - compiled_before,
    }
    _run_again(decoder, round(again_s * 1e9), generation.wall_ns)
    return generation, result


def _run_again(decoder: Engine, most_ns: int, last_ns: int) -> None:
    """As long as the next run is likely to end in time."""
    spent = 0
    while spent + last_ns <= most_ns:
        last_ns = decoder.run().wall_ns
        spent += last_ns


def check_window(workload: Workload, result: dict[str, Any]) -> Warned | None:
    """A warning if the run ended inside its window; raises HarnessError if it never opened."""
    if workload.steps is None:
        return None
    first, last = workload.steps
    executed, recorded = result["steps"]["executed"], result["window"]["recorded_steps"]
    if not result["window"]["opened"]:
        raise WindowNotReached(
            f"every row had ended after {executed} steps, before the window {first}:{last} opened",
            remedy=f"use --steps 0:{executed}, or --eos-id -1 to generate to the end",
        )
    if recorded < last - first:
        return EndedInWindow(
            f"every row had ended after {executed} steps: {recorded} of {last - first} recorded"
        )
    return None


def checksum(tokens: torch.Tensor) -> str:
    """SHA-256 of the token ids, row by row, as little-endian int64."""
    return hashlib.sha256(tokens.contiguous().numpy().astype("<i8").tobytes()).hexdigest()


def versions() -> dict[str, str | None]:
    """Versions of the harness and of what it runs on, as this process has them."""
    return {
        "harness": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "nvtx": nvtx_status().version,
        "cuda": torch.version.cuda,
    }


def graphs_compiled() -> int:
    """Graphs torch.compile has made in this process; more of them during a run is a recompile."""
    if "torch._dynamo" not in sys.modules:
        return 0
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])
