"""Any decoder-only causal model with transformers' cache API: GPT-2, Llama, Qwen2, Qwen3."""

import pytest
import torch

from harness.decode.availability import unavailable_reason
from harness.decode.registry import find_strategy

from .support import decode, make_workload, reference

FAMILIES = ["tiny", "llama-tiny", "qwen2-tiny", "qwen-tiny"]
NAMES = [
    "baseline",
    "kv-cache",
    "static-cache",
    "pipelined",
    "deferred",
    "cuda-graph",
    "hf-generate",
]


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_tokens_equal_the_synchronous_loops(name, model):
    workload = make_workload((2, 7, None, 9), model=model)
    generation, _ = decode(name, workload)
    assert torch.equal(generation.tokens, reference(workload))


def test_one_rotary_model_compiled():
    strategy = find_strategy("deferred-compiled")
    if unavailable_reason(strategy, "cpu"):
        pytest.skip(unavailable_reason(strategy, "cpu"))
    workload = make_workload((2, 7, None, 9), model="qwen-tiny")
    generation, _ = decode(strategy, workload)
    assert torch.equal(generation.tokens, reference(workload))


@pytest.mark.parametrize("model", FAMILIES)
def test_a_tiny_model_says_different_things(model):
    """Tokens that never change would hide a wrong cache from every test here."""
    tokens = reference(make_workload(model=model))[:, -12:]
    assert len(tokens.unique()) > 10
