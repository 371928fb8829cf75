"""Simulated runs, each made once."""

from __future__ import annotations

import functools

import pytest
from msgspec import structs

from harness.analysis.gains.gpu import Gpu, load_gpu


def changed(gpu: Gpu, **values: float) -> Gpu:
    """The GPU with some of its numbers changed; keys are `section_key`."""
    table = dict(gpu.values)
    for name, value in values.items():
        section, _, key = name.partition("_")
        assert (section, key) in table
        table[section, key] = value
    return structs.replace(gpu, values=table)


@functools.cache
def slow_gpu() -> Gpu:
    """Every kernel takes 100 us and more: the host runs ahead, as in front of a large batch."""
    return changed(load_gpu("h100"), kernels_elementwise_ns=100_000)


@functools.cache
def run(strategy: str, gpu: str = "h100", **fields):
    """A tiny model with real values; cached, since nothing changes it."""
    torch = pytest.importorskip(
        "torch", reason="simulating needs torch (pip install '.[strategies]')"
    )
    torch.set_num_threads(1)  # a tiny model is slower on two threads than on one
    from harness.decode.workload import Workload
    from harness.simgpu.run import simulate

    fields = {
        "model": "tiny", "device": "cpu", "batch_size": 4, "prompt_length": 6, "eos_id": -1,
        "max_new_tokens": 16, "steps": (3, 13), "warmup_steps": 1, **fields,
    }  # fmt: skip
    chosen = slow_gpu() if gpu == "slow" else load_gpu(gpu)
    values = fields.pop("values", "auto")
    return simulate(Workload(strategy=strategy, **fields), chosen, values=values)
