"""Communication that nothing hides."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "exposed-communication",
    "communication that nothing hides",
    "The GPU is kept busy, for a good part by communication beside which no other kernel runs.",
    (
        "No change on the host would win 5% of a step; much of the GPU's time goes to "
        "communication between ranks, beside which no other kernel runs."
    ),
    (
        "See whether ranks wait for a late one: `harness gaps RANKS --by rank`. Else let "
        "communication overlap with computing, or send less: smaller types, fewer and larger "
        "messages."
    ),
    "gpu",
    _fits,
)
