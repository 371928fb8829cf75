"""Garbage collection."""

from __future__ import annotations

from ...gains.ladder import Rung
from ...model.evidence import GARBAGE_COLLECTION, kind_of
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "host" and kind_of(rung.where) == GARBAGE_COLLECTION


KIND = Kind(
    "garbage-collection",
    "garbage collection",
    (
        "Python's garbage collector runs on the thread that launches, and the GPU runs dry "
        "meanwhile."
    ),
    (
        "Python's garbage collector runs for **{spent}** a step on the thread that launches "
        "(`{where}`); the GPU idles for **{idle}** of that."
    ),
    (
        "Call `gc.freeze()` after start-up and `gc.disable()` before the loop; then call "
        "`gc.collect()` every N steps, while the GPU has work queued."
    ),
    "launch",
    _fits,
)
