"""The decode loop, from top to bottom: prefill, decode one token, check whether to stop.

What varies is handed in: a cache, an execution and a stop check, one file or class each. Step N
makes new token N; step 0 is the prefill.
"""

from __future__ import annotations

import dataclasses
import functools
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import torch

from .registry import choice_class
from .state import DecodeState, steps_needed
from .window import CaptureWindow, Window

if TYPE_CHECKING:
    from ..nvtx import Ranges
    from ..runtime.base import Runtime
    from .caches import CacheChoice
    from .execution import Forward, Step
    from .stopping import StopCheck
    from .strategy import Strategy
    from .workload import Workload


@dataclasses.dataclass(frozen=True)
class Generation:
    """What a run gave.

    `tokens`: int64 [batch, prompt_length + steps_kept] on the host. `steps_executed`: forward
    passes made. `steps_needed`: those the synchronous loop would have made. `steps_kept`: those
    whose tokens are in `tokens`; a loop that does not trim keeps all. `prefill_ns` and `decode_ns`
    are device time between events (with the gaps in between), `wall_ns` is the host's clock around
    the loop and a final synchronise.
    """

    tokens: torch.Tensor
    prompt_length: int
    steps_executed: int
    steps_needed: int
    steps_kept: int
    prefill_ns: int
    decode_ns: int
    wall_ns: int

    @property
    def overshoot(self) -> int:
        """Steps executed for nothing."""
        return self.steps_executed - self.steps_needed


def prefill(
    model: Any, cache: CacheChoice, state: DecodeState, forward_range: AbstractContextManager[Any]
) -> None:
    """Run the prompt through the model and choose each row's first new token."""
    with forward_range:
        output = model(**cache.prefill_inputs(state))
    state.advance(output.logits[:, -1])


def decode_one_token(
    forward: Forward,
    cache: CacheChoice,
    state: DecodeState,
    forward_range: AbstractContextManager[Any],
    step: int,
) -> None:
    """Feed the last token back and choose the next."""
    with forward_range:
        output = forward(**cache.decode_inputs(state, step))
    state.advance(output.logits[:, -1])


@dataclasses.dataclass(frozen=True)
class Setup:
    """Everything a decoder is made of.

    `prompt` is int64 [batch, prompt_length] on the runtime's device; `eos_id` a token, or -1;
    `forced_steps` the step at which each row is made to end, or None.
    """

    model: Any
    prompt: torch.Tensor
    strategy: Strategy
    workload: Workload
    runtime: Runtime
    ranges: Ranges
    eos_id: int
    forced_steps: tuple[int | None, ...] | None = None


class Engine(Protocol):
    """What makes tokens: `Decoder`, or one of the other engines."""

    def prepare(self) -> None:
        """Compile, record, warm up: once."""

    def run(self, window: Window | None = None) -> Generation:
        """Generate from the prompt; may be called again and again."""


def _unprepared(step: int) -> None:
    raise RuntimeError("prepare() comes before run()")


class Decoder:
    """A model with a strategy: `prepare` once (compile, record, warm up), then `run` repeatedly."""

    def __init__(self, setup: Setup) -> None:
        self.model, self.runtime, self.ranges = setup.model, setup.runtime, setup.ranges
        self.workload = workload = setup.workload
        strategy, prompt = setup.strategy, setup.prompt
        new = workload.max_new_tokens
        self.stop: StopCheck = choice_class("stop_check", strategy.stop_check)(workload)
        self.cache: CacheChoice = choice_class("cache", strategy.cache)(
            self.model, slots=prompt.shape[1] + new - 1
        )
        self.execution = choice_class("execution", strategy.execution)()
        with torch.inference_mode():
            self.state = DecodeState(
                prompt,
                new,
                setup.eos_id,
                temperature=workload.temperature,
                forced_steps=setup.forced_steps,
                masks=self.stop.masks,
            )
        self._step: Step = _unprepared

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
    def prepare(self) -> None:
        """Compile or record the decode step, then run `warmup_steps` of it and throw them away."""
        forward = self.execution.prepare_forward(self.model, self.cache)

        def make_step(forward_range: AbstractContextManager[Any]) -> Step:
            return functools.partial(
                decode_one_token, forward, self.cache, self.state, forward_range
            )

        self._rewind()
        prefill(self.model, self.cache, self.state, self.ranges.forward)
        if self.workload.max_new_tokens > 1:
            self._step = self.execution.record(
                make_step, self._rewind, self.runtime, self.ranges.forward
            )
        warm_up = min(self.workload.warmup_steps, self.workload.max_new_tokens)
        if warm_up:
            self._begin()
            self._loop(warm_up, None, stops=False)
        self.runtime.synchronize()

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
    def run(self, window: Window | None = None) -> Generation:
        """Generate up to `max_new_tokens` tokens a row from the prompt."""
        torch.manual_seed(self.workload.seed)
        self._begin()
        self.runtime.synchronize()
        self.runtime.counters.reset()
        self.ranges.reset()
        began_ns = self.runtime.now_ns()
        executed, marks = self._loop(self.workload.max_new_tokens, window, stops=True)
        self.runtime.synchronize()
        ended_ns = self.runtime.now_ns()

        state, tokens = self.state, self.state.tokens.cpu()
        needed = steps_needed(tokens, state.prompt_length, executed, state.eos_id)
        kept = needed if self.stop.masks else executed
        return Generation(
            tokens=tokens[:, : state.prompt_length + kept],
            prompt_length=state.prompt_length,
            steps_executed=executed,
            steps_needed=needed,
            steps_kept=kept,
            prefill_ns=marks[1].elapsed_ns(marks[0]),
            decode_ns=marks[2].elapsed_ns(marks[1]),
            wall_ns=ended_ns - began_ns,
        )

    def _loop(self, steps: int, window: Window | None, *, stops: bool) -> tuple[int, list[Any]]:
        """Up to `steps` steps; how many were made, and events at the start, after step 0, at the
        end. `stops` False goes on whatever the stop check says."""
        runtime, ranges, state, stop = self.runtime, self.ranges, self.state, self.stop
        marks = [runtime.new_event(timing=True) for _ in range(3)]
        window = window or CaptureWindow(None, runtime, ranges)
        marks[0].record()
        executed = 0
        try:
            for step in range(steps):
                window.before(step)
                with ranges.steps[step], stop.on_stream(step):
                    if step == 0:
                        prefill(self.model, self.cache, state, ranges.forward)
                        marks[1].record()
                    else:
                        self._step(step)
                    with ranges.stop_check:
                        stop.publish(step, state.all_finished)
                        stopping = stop.should_stop(step)
                executed += 1
                window.after(step)
                if stopping and stops:
                    break
        finally:
            window.close()
        stop.end()
        marks[2].record()
        return executed, marks

    def _begin(self) -> None:
        self._rewind()
        self.stop.begin(self.runtime)

    def _rewind(self) -> None:
        self.cache.begin()
        self.state.reset()
