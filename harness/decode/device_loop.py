"""The loop that the device runs: step, stop test and repeat are one CUDA graph.

The host launches once and looks when all is over, so there is no check to hide. A window that is
recorded is a launch of its own, in the range `Steps 30:50`: with no host between them, single steps
have no range.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from .errors import StrategyIsGreedy
from .loop import Decoder, Setup, decode_one_token, prefill
from .window import CaptureWindow, Window


class DeviceLoopDecoder(Decoder):
    """A `loop.Decoder` whose decode steps are launched together. Greedy only."""

    def __init__(self, setup: Setup) -> None:
        if setup.workload.temperature:
            raise StrategyIsGreedy(
                f"{setup.strategy.name} is greedy: the random numbers of a recorded step move on "
                "only when the host replays it"
            )
        super().__init__(setup)
        self.limit = torch.zeros_like(self.state.position)
        self.loop: Any = None

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
    def prepare(self) -> None:
        """Record the loop, then run `warmup_steps` of it and throw them away."""
        nothing = contextlib.nullcontext()

        def step() -> None:
            decode_one_token(self.model, self.cache, self.state, nothing, 1)

        def warm_up() -> None:
            for _ in range(self.execution.warm_ups):
                self._rewind()
                step()

        self._rewind()
        prefill(self.model, self.cache, self.state, self.ranges.forward)
        if self.workload.max_new_tokens > 1:
            state = self.state
            self.loop = self.runtime.capture_loop(
                step, warm_up, state.all_finished, state.position, self.limit
            )
        steps = min(self.workload.warmup_steps, self.workload.max_new_tokens)
        if steps:
            self._begin()
            self._loop(steps, None, stops=False)
        self.runtime.synchronize()

    def _loop(self, steps: int, window: Window | None, *, stops: bool) -> tuple[int, list[Any]]:
        runtime, ranges, state = self.runtime, self.ranges, self.state
        marks = [runtime.new_event(timing=True) for _ in range(3)]
        window = window or CaptureWindow(None, runtime, ranges)
        edges = sorted({*(window.steps or ()), steps})
        marks[0].record()
        executed, finished = 1, False
        try:
            window.before(0)
            with ranges.steps[0]:
                prefill(self.model, self.cache, state, ranges.forward)
                marks[1].record()
            window.after(0)
            while executed < steps and not finished:
                until = min(edge for edge in edges if edge > executed)
                window.before(executed)
                self.limit.fill_(state.prompt_length + until)
                with ranges.span(executed, until):
                    with ranges.forward:
                        self.loop.run()
                    with ranges.stop_check:
                        finished = runtime.read_flag(state.all_finished)
                begun, executed = executed, int(state.position) - state.prompt_length
                for step in range(begun, executed):
                    window.after(step)
                if executed == begun:
                    break  # every row had ended before the first of these steps
        finally:
            window.close()
        marks[2].record()
        return executed, marks
