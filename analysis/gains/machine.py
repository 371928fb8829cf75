"""Two kinds of virtual clock: the host's, and one for each stream.

The host calls, and each call takes the time it is told to take. Work that it queues starts on its
stream when the launch has reached the device, the work before it has ended and what it was told to
wait for has happened. The host enqueues in program order and every dependency points backwards, so
each time is known as soon as the work is queued: the clocks need no event loop and no randomness.
All times are integer nanoseconds.

    machine = Machine(Timing(latency_ns=5_000))
    done = machine.launch(Work("gemm", 20_000), stream=7, call_ns=3_000)
    machine.synchronize(done.end, call_ns=1_000)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

from msgspec import Struct, field
from msgspec.structs import asdict

from .errors import NegativeTime
from .log import Log
from .work import COPY, ON_DEVICE, Span, Work

NEVER = -(2**61)
"""Before all times, ns."""


class Timing(Struct, frozen=True):
    """The constants of a device and its driver, ns.

    `latency_ns`: from the begin of a launch call to the earliest start of its work. `gap_ns`: what
    a stream needs from one queued operation to the next. `event_ns`: from the moment an event
    passes to the start of what waited for it on another stream. `wake_ns`: from the end of awaited
    work to the return of the call that waited. `node_gap_ns`: between two nodes of one graph.
    `queue_depth`: launches that one stream holds, unfinished ones counted, before the host has to
    wait in the launch call.
    """

    latency_ns: int = 0
    gap_ns: int = 0
    event_ns: int = 0
    wake_ns: int = 0
    node_gap_ns: int = 0
    queue_depth: int = 1024

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < (1 if name == "queue_depth" else 0):
                raise NegativeTime(f"{name} is {value}")


class _Stream(Struct):
    tail: int | None = None
    """End of the last operation; None where there was none."""
    held_until: int = 0
    """What comes next must not start before this."""
    pending: deque[int] = field(default_factory=deque)
    """Ends of the launches that may not be over yet, oldest first."""

    @property
    def drained(self) -> int:
        """When everything queued so far, waits included, is over."""
        return max(self.tail or 0, self.held_until)


class Machine:
    """One host thread and the streams it feeds. `now` is the host's clock.

    `log` receives every call, operation and wait; see `log.Log`.
    """

    def __init__(self, timing: Timing, *, start: int = 0, log: Log | None = None) -> None:
        self.timing = timing
        self.now = start
        self.log = Log() if log is None else log
        self._streams: dict[Hashable, _Stream] = {}
        self._engine_free: dict[str, int] = {}

    # The host

    def spend(self, ns: int) -> None:
        """The host computes for `ns`."""
        if ns < 0:
            raise NegativeTime(f"the host cannot spend {ns} ns", remedy="give a time >= 0")
        self.now += ns

    def call(self, name: str, ns: int) -> None:
        """A CUDA call that takes `ns` and concerns no work: cudaMalloc, cudaEventQuery, ..."""
        begin = self.now
        self.spend(ns)
        self.log.call(begin, self.now, name)

    def synchronize(
        self, until: int, call_ns: int, *, api: str, kind: str = "stream", stream: Hashable = 7
    ) -> None:
        """A call that returns once the instant `until` has passed; at least `call_ns` long."""
        begin = self.now
        self.spend(call_ns)
        if until > begin:
            self.now = max(self.now, until + self.timing.wake_ns)
        self.log.wait(begin, self.now, api, kind, stream)

    # The device

    def launch(
        self,
        work: Work,
        stream: Hashable,
        call_ns: int,
        *,
        api: str = "cudaLaunchKernel_v7000",
    ) -> Span:
        """Queue one operation; the times at which it runs."""
        return self.submit((work,), stream, call_ns, api=api)[0]

    def submit(
        self,
        works: Sequence[Work],
        stream: Hashable,
        call_ns: int,
        *,
        api: str,
        graph: int | None = None,
        whole: bool = False,
    ) -> tuple[Span, ...]:
        """Queue what one call launches, in order: a kernel, a copy, or the nodes of a graph.

        `graph` is the graph's id; `whole` logs its nodes as one row. A copy with a pageable host
        end holds the host until it is over.
        """
        lane = self._lane(stream)
        begin = self.now
        reached = self._admit(lane, begin)
        self.now = reached + call_ns
        ready = max(reached + self.timing.latency_ns, lane.held_until)
        gap = self.timing.gap_ns
        spans = []
        held: int | None = None
        for work in works:
            start = ready if lane.tail is None else max(ready, lane.tail + gap)
            if work.kind == COPY and work.direction != ON_DEVICE:
                start = max(start, self._engine_free.get(work.direction, 0))
                self._engine_free[work.direction] = start + work.duration_ns
                if work.pageable:
                    held = start + work.duration_ns
            lane.tail = start + work.duration_ns
            spans.append(Span(start, lane.tail))
            gap = self.timing.node_gap_ns
        lane.pending.append(spans[-1].end)
        if held is not None:
            self.now = max(self.now, held + self.timing.wake_ns)
        self.log.launch(begin, self.now, api, works, spans, stream, graph, whole)
        return tuple(spans)

    def record(self, stream: Hashable, call_ns: int, *, api: str = "cudaEventRecord_v3020") -> int:
        """Place an event behind all work of the stream so far; the instant at which it passes."""
        lane = self._lane(stream)
        begin = self.now
        self.spend(call_ns)
        self.log.call(begin, self.now, api)
        return max(begin + self.timing.latency_ns, lane.drained)

    def hold(
        self, stream: Hashable, until: int, call_ns: int, *, api: str = "cudaStreamWaitEvent_v3020"
    ) -> None:
        """Later work of `stream` starts after the event passing at `until`; the host goes on."""
        lane = self._lane(stream)
        begin = self.now
        self.spend(call_ns)
        lane.held_until = max(lane.held_until, until + self.timing.event_ns)
        self.log.wait(begin, self.now, api, "stream-wait", stream)

    def drained(self) -> int:
        """When all work queued so far is over, on all streams."""
        return max((lane.drained for lane in self._streams.values()), default=0)

    def occupy(self, stream: Hashable, until: int) -> None:
        """The stream is busy until then with work that was queued before this machine began."""
        lane = self._lane(stream)
        lane.tail = until if lane.tail is None else max(lane.tail, until)

    def _lane(self, stream: Hashable) -> _Stream:
        found = self._streams.get(stream)
        if found is None:
            found = self._streams[stream] = _Stream()
        return found

    def _admit(self, lane: _Stream, begin: int) -> int:
        """When the stream's queue has room for one more."""
        pending = lane.pending
        while pending and pending[0] <= begin:
            pending.popleft()
        room = len(pending) - self.timing.queue_depth
        return begin if room < 0 else max(begin, pending[room])
