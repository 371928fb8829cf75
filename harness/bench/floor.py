"""The least time a decode step can take on a GPU: bytes over bandwidth, or FLOPs over peak rate.

Nominal figures of data sheets, so 100% cannot be reached: the best decoders reach 70 to 85%. What
must move for one step: every weight once (position embeddings apart, and a tied embedding once, as
the head), the keys and values of the tokens attended to, and the logits, written and read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the floor needs to know of a model.

    `streamed`: weights read once a step. `kv_elements`: key and value elements per token and
    sequence, over all layers. `attention_flops`: per token generated and token attended to.
    """

    streamed: int
    kv_elements: int
    attention_flops: int
    vocabulary: int


@dataclasses.dataclass(frozen=True)
class Work:
    """What one mean decode step (the prefill left out) must move and compute."""

    bytes: float
    flops: float
    context: float
    """Tokens attended to, on average; with a static cache all its slots."""


def model_shape(model: Any) -> Shape:
    """Read a causal model of transformers; needs its weights, not torch itself."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    layers = config.num_hidden_layers
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    head = model.get_output_embeddings()
    # A looked-up table moves a few rows; the head moves whole, tied to a table or not.
    looked_up = {
        id(module.weight)
        for module in model.modules()
        if type(module).__name__ == "Embedding"
        and (head is None or module.weight is not head.weight)
    }
    return Shape(
        streamed=sum(p.numel() for p in model.parameters() if id(p) not in looked_up),
        kv_elements=2 * layers * kv_heads * width,
        attention_flops=4 * layers * heads * width,
        vocabulary=config.vocab_size,
    )


def step_work(shape: Shape, cache: str, batch: int, prompt: int, new: int, dtype: str) -> Work:
    """Mean decode step of a run: steps 1 to new - 1, which attend to prompt + step tokens.

    Without a cache every step computes the whole sequence and its logits; with a static one it
    attends to every slot, filled or not.
    """
    size = ELEMENT_BYTES[dtype]
    context = float(prompt + new - 1) if cache == "static" else prompt + new / 2
    logits = 2 * batch * shape.vocabulary * size
    dense = 2.0 * shape.streamed
    if cache == "none":
        # Logits of every position are written, those of the last are read.
        written = batch * (context + 1) * shape.vocabulary * size
        flops = batch * context * (dense + shape.attention_flops * context / 2)
        return Work(shape.streamed * size + written, flops, context)
    moved = shape.streamed * size + batch * context * shape.kv_elements * size + logits
    return Work(moved, batch * (dense + shape.attention_flops * context), context)


@dataclasses.dataclass(frozen=True)
class Floor:
    """The floor of one mean step, or why there is none. `bound` is `memory` or `compute`."""

    ns: float | None
    bound: str | None
    source: str


def step_floor(
    work: Mapping[str, float] | None,
    device: Mapping[str, Any],
    dtype: str,
    bandwidth: float | None = None,
) -> Floor:
    """`work`: a `Work` as plain values. `device`: the runtime's facts. `bandwidth`: bytes/s that
    the user gives, which replaces the data sheet's; the compute floor then needs a known GPU too.
    """
    from ..analysis.gains.gpu import find_gpu

    name = str(device.get("name", ""))
    gpu = find_gpu(name) if device.get("type") == "cuda" else None
    if work is None:
        return Floor(None, None, "this strategy has no floor of its own")
    if gpu is None and bandwidth is None:
        what = name if device.get("type") == "cuda" else "a CPU"
        return Floor(None, None, f"memory bandwidth of {what} unknown: give --bandwidth")
    if gpu is None:
        assert bandwidth is not None
        return Floor(work["bytes"] / bandwidth * 1e9, "memory", "--bandwidth")
    memory_ns = work["bytes"] / (bandwidth or gpu.nominal_bandwidth) * 1e9
    source = "--bandwidth" if bandwidth else f"data sheet of {gpu.name}"
    tf32 = dtype == "float32" and device.get("tf32_matmul")
    compute_ns = work["flops"] / gpu.rate("tf32" if tf32 else dtype, nominal=True) * 1e9
    bound = "memory" if memory_ns >= compute_ns else "compute"
    return Floor(max(memory_ns, compute_ns), bound, source)
