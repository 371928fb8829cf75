"""Two streams in turn, each with its pinned slot: safe, and as published."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ..registry import choice
from ..stopping import StopCheck
from ..strategy import HostSyncs

if TYPE_CHECKING:
    import torch

    from ...runtime.base import Runtime, Stream


class TwoStreams(StopCheck):
    """Even steps go to one stream and odd steps to another; each waits for the one before."""

    streams: Sequence[Stream] = ()

    def begin(self, runtime: Runtime) -> None:
        if not self.streams or runtime is not self.runtime:
            # Kept from run to run: memory freed on a stream serves that stream alone, so new ones
            # would have the driver asked for all of it again.
            self.streams = [runtime.new_stream(), runtime.new_stream()]
        super().begin(runtime)
        self.outer = runtime.current_stream()
        self.slots = [runtime.new_flag(), runtime.new_flag()]
        # The prompt, the buffers and the cache were made on the outer stream.
        for stream in self.streams:
            stream.wait_stream(self.outer)

    def on_stream(self, step: int) -> AbstractContextManager[Any]:
        here, before = step % 2, (step + 1) % 2
        # First of all: a step's memory may be given out again once the step after it has begun.
        self.streams[here].wait_stream(self.streams[before])
        return self.runtime.use_stream(self.streams[here])

    def publish(self, step: int, flag: torch.Tensor) -> None:
        self.slots[step % 2].copy_from(flag)

    def end(self) -> None:
        for stream in self.streams:
            self.outer.wait_stream(stream)


@choice("stop_check", "pingpong")
class PingPong(TwoStreams):
    """The host waits for the event of the previous step's copy before it reads that slot."""

    summary = "two streams in turn, wait for the event of the previous step's flag copy"

    @classmethod
    def host_syncs(cls, every_k: int) -> HostSyncs:
        return HostSyncs(event_waits=1)

    def expected_event_waits(self, executed: int) -> int:
        return max(0, executed - 1)

    def begin(self, runtime: Runtime) -> None:
        super().begin(runtime)
        self.landed = [runtime.new_event(), runtime.new_event()]

    def publish(self, step: int, flag: torch.Tensor) -> None:
        super().publish(step, flag)
        self.landed[step % 2].record()

    def should_stop(self, step: int) -> bool:
        if step == 0:
            return False
        before = (step + 1) % 2
        self.landed[before].synchronize()
        return self.slots[before].load()


@choice("stop_check", "pingpong-published")
class PingPongPublished(TwoStreams):
    """The article's loop: reads the previous step's slot without waiting for its copy.

    `wait_stream` orders streams and never holds the host, so the slot may still hold an older
    value. The loop then overruns, by as much as the launch queue is deep. It neither masks rows
    that have ended nor trims. Unsafe; kept for comparison.
    """

    summary = "two streams in turn, read the previous step's slot without waiting (unsafe)"
    safe = False
    masks = False

    def should_stop(self, step: int) -> bool:
        return step > 0 and self.slots[(step + 1) % 2].load()
