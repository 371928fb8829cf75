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
        "Code is compiled for **{spent}** a step, in `{where}`; the GPU idles through "
        "**{idle}** of that."
    ),
    (
        "Compile before the loop: warm up each shape that occurs, or mark sizes as dynamic."
        " `TORCH_LOGS=recompiles` names the guard that failed."
    ),
    "launch",
    _fits,
)
