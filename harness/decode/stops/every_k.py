"""Read the flag every k-th step: fewer drains, up to k - 1 steps too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import choice
from ..stopping import StopCheck
from ..strategy import HostSyncs

if TYPE_CHECKING:
    import torch


@choice("stop_check", "every-k")
class EveryK(StopCheck):
    """The host reads the flag after steps k-1, 2k-1, ...; k is `Workload.every_k`."""

    summary = "read the flag from the device every k-th step (--every-k)"

    @classmethod
    def host_syncs(cls, every_k: int) -> HostSyncs:
        return HostSyncs(reads=1 / every_k)

    def expected_reads(self, executed: int) -> int:
        return executed // self.workload.every_k

    def publish(self, step: int, flag: torch.Tensor) -> None:
        self.flag = flag

    def should_stop(self, step: int) -> bool:
        if (step + 1) % self.workload.every_k:
            return False
        return self.runtime.read_flag(self.flag)
