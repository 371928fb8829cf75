"""What a strategy is: a name for four choices, and what it promises. Imports no torch."""

from __future__ import annotations

import dataclasses
from typing import Any


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

    @property
    def safe(self) -> bool:
        """Whether its tokens equal the synchronous loop's, whatever the timing."""
        from .registry import choice_class

        return bool(choice_class("stop_check", self.stop_check).safe)

    @property
    def needs(self) -> tuple[str, ...]:
        """Everything it needs to run, for example ("cuda", "compiler")."""
        from .registry import choice_class

        needed = [n for kind, name in self.choices.items() for n in choice_class(kind, name).needs]
        return tuple(dict.fromkeys([*needed, *self.requires]))

    def host_syncs(self, every_k: int = 8) -> HostSyncs:
        """Declared host synchronisations per decode step."""
        from .registry import choice_class

        if self.engine == "hf":
            return HostSyncs(reads=None, event_waits=None)
        if self.engine == "device-loop":
            return HostSyncs()  # one read when all is over
        stop = choice_class("stop_check", self.stop_check).host_syncs(every_k)
        hidden = choice_class("cache", self.cache).reads_per_step
        if self.execution != "eager":
            hidden = 0.0  # the check behind them is skipped while tracing
        return HostSyncs(reads=stop.reads + hidden, event_waits=stop.event_waits)

    def unavailable_reason(self, device: str = "auto") -> str | None:
        """Why it cannot run on `device` ("cpu", "cuda", "auto") here, in one line; None if it can.

        Imports torch; never raises.
        """
        from .availability import unavailable_reason

        return unavailable_reason(self, device)

    def describe(self, device: str = "auto", every_k: int = 8) -> dict[str, Any]:
        """Plain values for `harness strategies --json`."""
        syncs = self.host_syncs(every_k)
        return {
            "name": self.name,
            "summary": self.summary,
            "choices": self.choices,
            "engine": self.engine,
            "needs": list(self.needs),
            "safe": self.safe,
            "host_reads_per_step": syncs.reads,
            "host_event_waits_per_step": syncs.event_waits,
            "unavailable_reason": self.unavailable_reason(device),
        }
