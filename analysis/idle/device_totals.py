"""Figures of one device that grow with every part of a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ..model.arrays import factorize
from ..model.communication import KNOWN, Communication
from ..model.intervals import Int64
from ..model.schema import Kind
from ..model.trace import Device, Trace
from ..statistics.sample import Sample
from .attribute import largest_first, sum_by_code
from .causes import causes
from .cover import Cover
from .definitions import Clipped
from .figures import DeviceSummary
from .launched import Extent
from .split import Split


class ByCause:
    """Idle time of some gaps by cause, and by what drained the queue."""

    def __init__(self) -> None:
        self.ns = np.zeros(len(causes()), np.int64)
        """Shape (causes,)."""
        self._drained: Counter[int] = Counter()

    def add(self, split: Split, length: Int64, some: slice | Int64 = slice(None)) -> None:
        """`length`: of all gaps of the split, ns; `some`: the gaps that count."""
        for k in split.used:
            self.ns[k] += split.time[k, some].sum()
        drains = split.drains[some]
        sums = sum_by_code(drains, length[some], int(drains.max(initial=-1)) + 1)
        for code in np.flatnonzero(sums).tolist():
            self._drained[code] += int(sums[code])

    def named(self) -> dict[str, int]:
        """Every cause."""
        names = (cause.name for cause in causes())
        return dict(zip(names, self.ns.tolist(), strict=True))

    def drained(self, names: Iterable[str]) -> dict[str, int]:
        """Largest first. `names`: by their number."""
        said = list(names)
        return largest_first({said[code]: ns for code, ns in self._drained.items()})


class DeviceTotals:
    """One device over the window, so far. Times in ns."""

    def __init__(
        self,
        device: Device,
        extent: Extent,
        lo: int | None,
        hi: int | None,
        lengths: Sample,
        communicates: Communication = KNOWN,
    ) -> None:
        self.device, self.lengths = device, lengths
        self._communicates = communicates
        self.window_start = extent.first_start if lo is None else lo
        self.window_end = extent.last_end if hi is None else hi
        self.operations = extent.operations
        self.by_cause = ByCause()
        self.paused = 0
        """Idle time in pauses of the recording."""
        self.skewed = self.skew_ns = 0
        self._host: Counter[str] = Counter()
        self._handoffs: Counter[str] = Counter()
        self._communication, self._not_graphs = Cover(), Cover()

    @property
    def idle(self) -> int:
        return int(self.by_cause.ns.sum())

    @property
    def gaps(self) -> int:
        return self.lengths.count

    def add(self, split: Split, length: Int64) -> None:
        """Gaps that a part closed; `length`: theirs."""
        self.by_cause.add(split, length)
        self.lengths.add(length)
        self._host.update(split.host)
        self._handoffs.update(split.handoffs)
        self.skewed += split.skewed
        self.skew_ns = max(self.skew_ns, split.skew_ns)

    def cover(self, trace: Trace, found: Clipped, *, graphs: bool) -> None:
        """Operations that are new; `graphs`: some of the trace are graphs recorded whole."""
        codes, ids = factorize(found.operations.name[found.rows])
        named = self._communicates.which(trace.strings[i] for i in ids.tolist())
        if named.any():
            mask = named[codes]
            self._communication.add(found.start[mask], found.end[mask])
        if graphs:
            mask = found.operations.kind[found.rows] != Kind.GRAPH
            self._not_graphs.add(found.start[mask], found.end[mask])

    def summary(self, drains: Iterable[str], *, graphs: bool) -> DeviceSummary:
        """`drains`: names of what drained the queue, by their number."""
        window = self.window_end - self.window_start
        busy = window - self.idle
        return DeviceSummary(
            window_start_ns=self.window_start,
            window_end_ns=self.window_end,
            window_ns=window,
            busy_ns=busy,
            idle_ns=self.idle,
            operations=self.operations,
            gap_count=self.gaps,
            gaps=self.lengths.quantiles(),
            causes=self.by_cause.named(),
            drained_by=self.by_cause.drained(drains),
            host_ranges=largest_first(self._host),
            handoffs=largest_first(self._handoffs),
            communication_ns=self._communication.busy,
            graph_level_ns=busy - self._not_graphs.busy if graphs else 0,
        )
