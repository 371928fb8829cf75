"""Copy the flag to pinned memory each step, and read the copy some steps later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import choice
from ..stopping import StopCheck
from ..strategy import HostSyncs

if TYPE_CHECKING:
    import torch

    from ...runtime.base import Runtime


@choice("stop_check", "deferred")
class Deferred(StopCheck):
    """One stream and a ring of `lag + 1` pinned slots, each with the event of its copy.

    After queuing step i the host waits for the event of step i - lag and reads that slot. By then
    step i - lag + 1 to i are queued, so the device has work while the host looks. At most `lag`
    steps are executed too many; their tokens are trimmed.
    """

    summary = "wait for the event of an earlier step's flag copy, one stream"

    @classmethod
    def host_syncs(cls, every_k: int) -> HostSyncs:
        return HostSyncs(event_waits=1)

    def expected_event_waits(self, executed: int) -> int:
        return max(0, executed - self.workload.lag)

    def begin(self, runtime: Runtime) -> None:
        super().begin(runtime)
        self.lag = self.workload.lag
        # A flag that is never looked at needs no slot of its own.
        depth = min(self.lag, self.workload.max_new_tokens)
        self.slots = [runtime.new_flag() for _ in range(depth + 1)]
        self.landed = [runtime.new_event() for _ in self.slots]

    def publish(self, step: int, flag: torch.Tensor) -> None:
        index = step % len(self.slots)
        self.slots[index].copy_from(flag)
        self.landed[index].record()

    def should_stop(self, step: int) -> bool:
        if step < self.lag:
            return False
        index = (step - self.lag) % len(self.slots)
        self.landed[index].synchronize()
        return self.slots[index].load()
