"""What happened, as rows: filled by `machine.Machine`, turned into a trace by `export`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from .work import Span, Work


class Call(NamedTuple):
    """One CUDA call on the host, ns."""

    start: int
    end: int
    name: str
    correlation: int


class Operation(NamedTuple):
    """One operation of the device, ns; `graph` is None outside graphs, `node` its place inside."""

    start: int
    end: int
    name: str
    kind: str
    stream: Hashable
    correlation: int
    direction: str
    size: int
    pageable: bool
    graph: int | None
    node: int


class Wait(NamedTuple):
    """One wait, of the host (`stream`, `event`, `device`) or of a stream (`stream-wait`)."""

    start: int
    end: int
    kind: str
    stream: Hashable
    correlation: int


class RangeRow(NamedTuple):
    """One range of host time."""

    start: int
    end: int
    name: str
    color: int | None


class Log:
    """Rows in the order in which they were made; nothing is kept while `recording` is False."""

    def __init__(self) -> None:
        self.recording = True
        self.calls: list[Call] = []
        self.operations: list[Operation] = []
        self.waits: list[Wait] = []
        self.ranges: list[RangeRow] = []
        self._correlation = 0

    def call(self, start: int, end: int, name: str) -> int:
        """A call; returns the correlation id it was given."""
        self._correlation += 1
        if self.recording:
            self.calls.append(Call(start, end, name, self._correlation))
        return self._correlation

    def wait(self, start: int, end: int, name: str, kind: str, stream: Hashable) -> None:
        """A call that waits, or makes a stream wait."""
        correlation = self.call(start, end, name)
        if self.recording:
            self.waits.append(Wait(start, end, kind, stream, correlation))

    def launch(
        self,
        start: int,
        end: int,
        name: str,
        works: Sequence[Work],
        spans: Sequence[Span],
        stream: Hashable,
        graph: int | None,
        whole: bool,
    ) -> None:
        """A call with the operations it launched."""
        correlation = self.call(start, end, name)
        if not self.recording:
            return
        if whole and graph is not None:
            self.operations.append(
                Operation(
                    spans[0].start, spans[-1].end, "graph", "graph", stream, correlation,
                    "on-device", 0, False, graph, 0,
                )
            )  # fmt: skip
            return
        for node, (work, span) in enumerate(zip(works, spans, strict=True)):
            self.operations.append(
                Operation(
                    span.start, span.end, work.name, work.kind, stream, correlation,
                    work.direction, work.size, work.pageable, graph, node,
                )
            )  # fmt: skip

    def range(self, start: int, end: int, name: str, color: int | None = None) -> None:
        """A closed range."""
        if self.recording:
            self.ranges.append(RangeRow(start, end, name, color))
