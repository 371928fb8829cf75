"""What a strategy is: a name for four choices, and what it promises. Imports no torch."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class HostSyncs:
    """Host synchronisations per step: what holds the host until the device has got somewhere.

    `reads` are blocking reads of a value on the device (they drain the queue), `event_waits` are
    waits for the event of an earlier step's copy (they leave this step's work queued). None where
    the number depends on the installed transformers.
    """

    reads: float | None = 0.0
    event_waits: float | None = 0.0

    def __str__(self) -> str:
        if self.reads is None:
            return "as transformers"
        parts = []
        if 0 < self.reads < 1:
            parts.append(f"1 read in {1 / self.reads:.3g}")
        elif self.reads:
            parts.append(f"{self.reads:.3g} read{'s' if self.reads > 1 else ''}")
        if self.event_waits:
            parts.append(f"{self.event_waits:.3g} event wait")
        return ", ".join(parts) or "none"


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A named combination of the four choices, or a loop that is not ours (engine "hf":
    transformers' own `generate`) or not the host's (engine "device-loop").

    `requires` names what the strategy needs beyond what its choices need (a key of
    `availability.REQUIREMENTS`). `order` places it in listings.
    """

    name: str
    summary: str
    cache: str = "dynamic"
    execution: str = "eager"
    stop_check: str = "sync"
    allocator: str = "default"
    engine: str = "loop"
    requires: tuple[str, ...] = ()
    order: int = 1000

    @property
    def choices(self) -> dict[str, str]:
        """The four choices, by kind."""
        return {
            "cache": self.cache,
            "execution": self.execution,
            "stop_check": self.stop_check,
            "allocator": self.allocator,
        }
