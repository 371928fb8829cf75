"""Code loaded by the driver."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "module-loading"


KIND = Kind(
    "module-loading",
    "code loaded in the loop",
    (
        "The driver loads a kernel's code in the loop, at its first launch or right after it was "
        "compiled."
    ),
    (
        "The driver loads kernels that were not loaded yet (`{call}` in `{where}`, {count}). "
        "With what the host does right before, such as to compile them, that takes **{spent}** a "
        "step."
    ),
    (
        "Run every kernel once before the loop, keep what was compiled at run time, or load all "
        "at the start: `CUDA_MODULE_LOADING=EAGER`."
    ),
    "launch",
    _fits,
)
