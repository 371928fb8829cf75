"""Compilation in the loop."""

from __future__ import annotations

from ...gains.ladder import Rung
from ...model.evidence import COMPILATION, kind_of
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "host" and (
        kind_of(rung.where) == COMPILATION or rung.where.endswith("(dynamo_timed)")
    )


KIND = Kind(
    "compilation",
    "compilation in the loop",
    (
        "`torch.compile` or Triton compiles code in the loop, and the GPU has nothing to do "
        "meanwhile."
    ),
    (
        "The host compiles code for **{spent}** a step, in `{where}`; the GPU idles for "
        "**{idle}** of that."
    ),
    (
        "Compile before the loop: run each shape that occurs once, or mark sizes as dynamic. "
        "`TORCH_LOGS=recompiles` names the guard that failed."
    ),
    "launch",
    _fits,
)
