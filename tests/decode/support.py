"""Shared pieces: a tiny model per family, an independent reference loop, a stand-in for CUDA."""

from __future__ import annotations

import functools

import torch

from harness.decode import models, session
from harness.decode.registry import find_strategy
from harness.decode.strategy import Strategy
from harness.decode.workload import Workload
from harness.nvtx import Range, Ranges
from harness.runtime.cpu import CpuRuntime

torch.set_num_threads(1)  # a tiny model is slower on two threads than on one

BATCH, PROMPT, NEW, EOS = 4, 6, 12, 127

# What each row ends at (None: never), for the correctness contract. Steps count from 0.
PATTERNS = {
    "no EOS": (None, None, None, None),
    "EOS at the prefill": (0, 0, 0, 0),
    "EOS at step 1": (1, None, None, None),
    "all rows at step 1": (1, 1, 1, 1),
    "ragged": (2, 7, 4, 9),
    "ragged, one never": (2, 7, None, 9),
    "last step": (NEW - 1, 3, 5, NEW - 1),
    "all rows at once": (6, 6, 6, 6),
    "batch 1": (5,),
    "batch 1, never": (None,),
}


class FakeGraphRuntime(CpuRuntime):
    """A CPU that claims CUDA's abilities: recording keeps the step, replaying calls it."""

    name = "fake"

    def __init__(self, flag_delay=0):
        super().__init__(flag_delay)
        self.log: list[str] = []

    def capture_graph(self, step, warm_up):
        warm_up()
        self.log.append("captured")
        log = self.log

        class Recorded:
            def replay(self):
                log.append("replay")
                step()

        return Recorded()

    def capture_loop(self, step, warm_up, finished, position, limit):
        warm_up()
        self.log.append("captured loop")
        log = self.log

        class Repeated:
            def run(self):
                log.append("loop")
                while not finished and position < limit:
                    step()

        return Repeated()

    def profiler_start(self):
        self.log.append("profiler start")

    def profiler_stop(self):
        self.log.append("profiler stop")

    def synchronize(self):
        self.log.append("synchronize")
        super().synchronize()


@functools.cache
def tiny_model(name: str = "tiny"):
    return models.load_model(Workload(model=name, max_new_tokens=50), torch.device("cpu"))


def quiet_ranges(steps: int) -> Ranges:
    return Ranges(steps, make=lambda name, colour: Range(lambda: None, lambda: None))


def make_workload(pattern=(None,) * BATCH, **fields) -> Workload:
    fields = {"model": "tiny", "device": "cpu", "prompt_length": PROMPT, "steps": None, **fields}
    fields.setdefault("max_new_tokens", NEW)
    fields.setdefault("warmup_steps", 2)
    fields.setdefault("eos_id", EOS)
    text = ",".join("never" if step is None else str(step) for step in pattern)
    return Workload(batch_size=len(pattern), force_eos_at=text, **fields)


def decode(strategy: str | Strategy, workload: Workload, runtime=None, model=None, window=None):
    """Prepare and run one decoder; the generation, and the decoder."""
    if isinstance(strategy, str):
        strategy = find_strategy(strategy)
    runtime = runtime or FakeGraphRuntime()
    ranges = quiet_ranges(workload.max_new_tokens)
    model = model or tiny_model(workload.model)
    decoder = session.make_decoder(model, workload, runtime, ranges, strategy)
    decoder.prepare()
    return decoder.run(window), decoder


@torch.no_grad()
def reference(workload: Workload, model=None) -> torch.Tensor:
    """The synchronous greedy loop, written another way: row lists, no cache, no masking tensor."""
    model = model or tiny_model(workload.model)
    steps = models.eos_schedule(workload) or (None,) * workload.batch_size
    rows = models.make_prompt(workload, model, torch.device("cpu")).tolist()
    ended = [False] * len(rows)
    for step in range(workload.max_new_tokens):
        choices = model(torch.tensor(rows), use_cache=False).logits[:, -1].argmax(-1).tolist()
        for index, row in enumerate(rows):
            token = EOS if ended[index] or steps[index] == step else choices[index]
            row.append(token)
            ended[index] = ended[index] or token == EOS
        if all(ended):
            break
    return torch.tensor(rows)
