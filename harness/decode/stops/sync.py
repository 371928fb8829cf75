"""Read the flag every step: exact, and the queue runs dry each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import choice
from ..stopping import StopCheck
from ..strategy import HostSyncs

if TYPE_CHECKING:
    import torch


@choice("stop_check", "sync")
class Sync(StopCheck):
    """The host reads the flag from the device after every step."""

    summary = "read the flag from the device every step"

    @classmethod
    def host_syncs(cls, every_k: int) -> HostSyncs:
        return HostSyncs(reads=1)

    def expected_reads(self, executed: int) -> int:
        return executed

    def publish(self, step: int, flag: torch.Tensor) -> None:
        self.flag = flag

    def should_stop(self, step: int) -> bool:
        return self.runtime.read_flag(self.flag)
