"""Input pipeline."""

from __future__ import annotations

from ...gains.ladder import Rung
from ...model.evidence import INPUT_PIPELINE, kind_of
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "host" and (
        kind_of(rung.where) == INPUT_PIPELINE or rung.where.startswith("enumerate(DataLoader)")
    )


KIND = Kind(
    "input-pipeline",
    "input pipeline",
    "The loop waits for its next batch: the DataLoader is slower than the GPU.",
    (
        "The thread that launches waits **{spent}** a step for its next batch, in `{where}`; the "
        "GPU idles for **{idle}** of that."
    ),
    (
        "Have the batch ready in time: use more DataLoader workers, a larger `prefetch_factor`, "
        "`persistent_workers=True`, or cheaper transforms."
    ),
    "launch",
    _fits,
)
