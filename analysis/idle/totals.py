"""All figures of a trace, which grow with every part: `for part in parts: totals.add(part)`.

Promise: however a trace is cut into parts, the figures are the same to the nanosecond.
"""

from __future__ import annotations

import os
from functools import partial

from ..model.communication import Communication
from ..model.schema import MAX_TIME
from ..question import Question
from ..statistics.sample import Sample
from .attribute import Attribution
from .counts import Counted
from .cover import Cover
from .definitions import Clipped
from .details import DetailTotals, DeviceDetails
from .device_totals import DeviceTotals
from .figures import DeviceSummary, SeriesSummary
from .gaps import DeviceGaps, gap_kinds
from .launched import Launched, Launches
from .narrow import Narrowed
from .parts import END, Part, Parts, StoredParts, WholeParts
from .pauses import paused, without_causes
from .series_totals import SeriesTotals

_HELD = 1 << 16
"""Gap lengths that are always held in memory."""


class Totals:
    """The devices looked at, and the step series on them."""

    def __init__(
        self,
        parts: Parts,
        question: Question,
        counted: Counted,
        narrowed: Narrowed,
        walked: Launches,
        window: tuple[int | None, int | None],
        devices: tuple[int, ...],
    ) -> None:
        """`walked`: what all steps launched in the window; `window`: ns, None where the operations
        decide; `devices`: those looked at."""
        source = parts.source
        self._parts, self._narrowed = parts, narrowed
        self._graphs, self._top = counted.graphs > 0, question.top > 0
        self._drains: dict[str, int] = {}
        self._everywhere = Cover()
        self._window = (
            -MAX_TIME if window[0] is None else window[0],
            MAX_TIME if window[1] is None else window[1],
        )
        launched = narrowed.launched(walked)
        communicates = Communication(question.comm)
        self.devices = {
            device: DeviceTotals(
                source.devices[device],
                walked.extents[device],
                *window,
                _lengths(parts),
                communicates,
            )
            for device in devices
        }
        self._series = {
            (k, device): SeriesTotals(series, launched[k, device], dead, *self._window)
            for k, (series, dead) in enumerate(
                zip(narrowed.steps.series, narrowed.dead(walked), strict=True)
            )
            for device in devices
            if (k, device) in launched
        }
        self._details: dict[int, DetailTotals] = {}
        if isinstance(parts, StoredParts):
            self._details = {device: DetailTotals(source, question) for device in devices}
        self._rows: dict[int, tuple[DeviceGaps, Attribution]] = {}

    def extend(self, part: Part) -> None:
        """Where other definitions are wanted, all parts are shown before any is added."""
        for device in self._details.keys() & part.devices:
            self._details[device].extend(self._clipped(part, device))

    def _clipped(self, part: Part, device: int) -> Clipped:
        total = self.devices[device]
        rows = part.rows_of(device)
        return Clipped.to(part.operations, rows, total.window_start, total.window_end)

    def add(self, part: Part) -> None:
        """Every part once, in their order."""
        for device in part.devices:
            self._add_device(part, device)
        if len(self.devices) > 1:
            found = Clipped.to(part.operations, part.rows, *self._window)
            self._everywhere.add(found.start, found.end)

    def _add_device(self, part: Part, device: int) -> None:
        total, details = self.devices[device], self._details.get(device)
        gaps = part.gaps(device)
        again = partial(self._parts.split, part, names=self._drains)
        split = again(gaps)
        pauses = [one.pauses for (_, on), one in self._series.items() if on == device]
        rows = paused(gaps, pauses)
        if len(rows):
            split = without_causes(gaps, rows, split, again)
            total.paused += int(gaps.length[rows].sum())
        if split.whole:
            self._rows[device] = gaps, split.whole
        total.add(split, gaps.length)
        found = self._clipped(part, device)
        total.cover(part.trace, found, graphs=self._graphs)
        kinds = []
        for k, place in enumerate(self._narrowed.place):
            known = self._series.get((k, device))
            if known or (details and self._top):
                one = self._narrowed.series_of(k, part.owned.step_of[place])
                kinds.append((one, *gap_kinds(gaps, one)))
            if known:
                known.add(gaps, split, *kinds[-1][1:], part.seen, again)
        if details:
            details.add(part.trace, gaps, split, kinds, found, self._parts.call_name)

    @property
    def rows(self) -> list[tuple[DeviceGaps, Attribution]]:
        """Of a trace in memory: all of each device."""
        return [self._rows[device] for device in self.devices if device in self._rows]

    def everywhere(self) -> tuple[int, int]:
        """(window ns, idle ns) of all devices together: idle means that not one of them works."""
        found = self.devices.values()
        if not found:
            return 0, 0
        window = max(one.window_end for one in found) - min(one.window_start for one in found)
        idle = sum(one.idle for one in found)
        return window, idle if len(found) == 1 else window - self._everywhere.busy

    def summaries(self) -> tuple[DeviceSummary, ...]:
        """One a device."""
        graphs, drains = self._graphs, self._drains
        return tuple(one.summary(drains, graphs=graphs) for one in self.devices.values())

    @property
    def launched(self) -> list[tuple[int, Launched]]:
        """For each of `series`: which of the step series it is, and what that launched there."""
        return [(k, total.launched) for (k, _), total in self._series.items()]

    def series(self) -> tuple[SeriesSummary, ...]:
        """One for each series on each device where it launched anything."""
        return tuple(
            total.summary(
                self._parts, self._narrowed.steps.series[k], self.devices[device], self._drains
            )
            for (k, device), total in self._series.items()
        )

    def details(self) -> tuple[DeviceDetails, ...] | None:
        """One a device; None for a trace in memory, whose rows are there to be asked."""
        if isinstance(self._parts, WholeParts):
            return None
        return tuple(
            self._details[k].result(one.idle, one.gaps, one.window_end - one.window_start)
            for k, one in self.devices.items()
        )


def _lengths(parts: Parts) -> Sample:
    """An empty sample; of a stored trace one that may go to a file."""
    if isinstance(parts, WholeParts):
        return Sample(END)
    # Beside the store there is room for large files; a cache may be read-only.
    folder = parts.source.folder
    return Sample(
        max(parts.sizes.operations, _HELD), str(folder) if os.access(folder, os.W_OK) else None
    )
