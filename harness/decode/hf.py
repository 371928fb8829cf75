"""transformers' own `generate`, annotated and measured like the loop, to compare with.

Its steps are found from outside: the forward pass by the model's hooks, the stop check by the
classes `StopCheck` and `DeferredStopCheck` that `generate` looks up in its module (transformers
5.17 to 5.23). Its synchronisations are its own; the runtime does not count them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from transformers import EosTokenCriteria, GenerationConfig, LogitsProcessor
from transformers.generation import utils

from .errors import TransformersVersion
from .loop import Generation, Setup
from .state import NO_EOS, steps_needed
from .window import CaptureWindow, Window

if TYPE_CHECKING:
    from ..nvtx import Ranges
    from ..runtime.base import Runtime


class HfDecoder:
    """`model.generate` behind the interface of `loop.Decoder`.

    Greedy tokens equal the loop's. Sampled tokens do not: transformers draws with
    torch.multinomial.
    """

    def __init__(self, setup: Setup) -> None:
        self.model, self.prompt, self.workload = setup.model, setup.prompt, setup.workload
        self.runtime, self.ranges, self.eos_id = setup.runtime, setup.ranges, setup.eos_id
        self.deferred = setup.strategy.stop_check == "deferred"
        self.mask = torch.ones_like(self.prompt)
        self.forced = _ForcedEnd(setup.forced_steps, self.eos_id, self.prompt.device)

    def prepare(self) -> None:
        """Generate `warmup_steps` tokens and throw them away."""
        steps = min(self.workload.warmup_steps, self.workload.max_new_tokens)
        if steps:
            self._generate(steps, _Steps(self.runtime, self.ranges, None), NO_EOS)
        self.runtime.synchronize()

    def run(self, window: Window | None = None) -> Generation:
        """Generate up to `max_new_tokens` tokens a row from the prompt."""
        torch.manual_seed(self.workload.seed)
        self.runtime.synchronize()
        self.runtime.counters.reset()
        self.ranges.reset()
        steps = _Steps(self.runtime, self.ranges, window)
        began_ns = self.runtime.now_ns()
        sequences = self._generate(self.workload.max_new_tokens, steps, self.eos_id)
        steps.mark_end()
        self.runtime.synchronize()
        ended_ns = self.runtime.now_ns()

        tokens, prompt_length = sequences.cpu(), self.prompt.shape[1]
        kept = tokens.shape[1] - prompt_length
        return Generation(
            tokens=tokens,
            prompt_length=prompt_length,
            steps_executed=steps.executed,
            steps_needed=steps_needed(tokens, prompt_length, kept, self.eos_id),
            steps_kept=kept,
            prefill_ns=steps.marks[1].elapsed_ns(steps.marks[0]),
            decode_ns=steps.marks[2].elapsed_ns(steps.marks[1]),
            wall_ns=ended_ns - began_ns,
        )

    def _generate(self, new_tokens: int, steps: _Steps, eos_id: int) -> torch.Tensor:
        temperature = self.workload.temperature
        sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
        config = GenerationConfig(
            max_new_tokens=new_tokens,
            do_sample=bool(temperature),
            # What rows that have ended go on emitting; without an end nobody ends.
            pad_token_id=max(self.eos_id, 0),
            **sampling,
        )
        self.forced.step = 0
        # The model's own settings (an end token, a repetition penalty) would come in beside ours.
        kept, self.model.generation_config = self.model.generation_config, GenerationConfig()
        hooks = [
            self.model.register_forward_pre_hook(steps.forward_begins),
            self.model.register_forward_hook(steps.forward_ends),
        ]
        try:
            with _stop_checks(steps, self.deferred):
                steps.begin()
                return self.model.generate(
                    self.prompt,
                    attention_mask=self.mask,
                    generation_config=config,
                    logits_processor=[self.forced] if self.forced.steps is not None else [],
                    stopping_criteria=[_End(eos_id, self.prompt.device, steps)],
                )
        finally:
            self.model.generation_config = kept
            for hook in hooks:
                hook.remove()
            steps.close()


class _Steps:
    """Opens and closes the ranges of a run whose loop is not ours."""

    def __init__(self, runtime: Runtime, ranges: Ranges, window: Window | None) -> None:
        self.ranges = ranges
        self.window = window or CaptureWindow(None, runtime, ranges)
        self.marks = [runtime.new_event(timing=True) for _ in range(3)]
        self.executed = 0
        self.open = contextlib.ExitStack()
        self.forward = contextlib.ExitStack()

    def begin(self) -> None:
        self.marks[0].record()
        self._open_step()

    def _open_step(self) -> None:
        self.window.before(self.executed)
        self.open.enter_context(self.ranges.steps[self.executed])

    def forward_begins(self, *_: Any) -> None:
        self.forward.enter_context(self.ranges.forward)

    def forward_ends(self, *_: Any) -> None:
        self.forward.close()

    def check_begins(self) -> None:
        self.open.enter_context(self.ranges.stop_check)

    def check_ends(self, stopping: bool) -> None:
        self.open.close()
        self.window.after(self.executed)
        if self.executed == 0:
            self.marks[1].record()
        self.executed += 1
        if not stopping:
            self._open_step()

    def mark_end(self) -> None:
        self.marks[2].record()

    def close(self) -> None:
        self.forward.close()
        self.open.close()
        self.window.close()


class _End(EosTokenCriteria):  # type: ignore[misc]  # transformers is not followed
    """transformers' own criterion; being called is where its stop check begins."""

    def __init__(self, eos_id: int, device: torch.device, steps: _Steps) -> None:
        super().__init__(torch.tensor([eos_id], device=device))
        self.steps = steps

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.steps.check_begins()
        return super().__call__(*args, **kwargs)


class _ForcedEnd(LogitsProcessor):  # type: ignore[misc]  # transformers is not followed
    """Makes the end token the only choice of the rows whose turn it is."""

    def __init__(
        self, steps: tuple[int | None, ...] | None, eos_id: int, device: torch.device
    ) -> None:
        self.eos_id, self.step = eos_id, 0
        self.steps: torch.Tensor | None = None
        if steps is not None and any(step is not None for step in steps):
            rows = [-1 if step is None else step for step in steps]
            self.steps = torch.tensor(rows, device=device)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        due: torch.Tensor = self.steps == self.step
        self.step += 1
        scores = scores.masked_fill(due[:, None], float("-inf"))
        scores[:, self.eos_id].masked_fill_(due, 0.0)
        return scores


@contextlib.contextmanager
def _stop_checks(steps: _Steps, deferred: bool) -> Iterator[None]:
    """Swap transformers' stop checks for ones that tell `steps` when they are done.

    `deferred` also switches DeferredStopCheck on: transformers keeps it to Apple's devices.
    """
    if not (hasattr(utils, "StopCheck") and hasattr(utils, "DeferredStopCheck")):
        raise TransformersVersion("the installed transformers has no StopCheck to hook into")
    plain, late = utils.StopCheck, utils.DeferredStopCheck

    class Check(plain):  # type: ignore[misc, valid-type]  # found at run time
        def __call__(self, *args: Any, **kwargs: Any) -> bool:
            stopping: bool = super().__call__(*args, **kwargs)
            steps.check_ends(stopping)
            return stopping

    class LateCheck(late):  # type: ignore[misc, valid-type]  # found at run time
        def __call__(self, *args: Any, **kwargs: Any) -> bool:
            stopping: bool = super().__call__(*args, **kwargs)
            steps.check_ends(stopping)
            return stopping

        @staticmethod
        def is_supported(*args: Any, **kwargs: Any) -> bool:
            return deferred

    utils.StopCheck, utils.DeferredStopCheck = Check, LateCheck
    try:
        yield
    finally:
        utils.StopCheck, utils.DeferredStopCheck = plain, late
