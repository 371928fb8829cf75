"""All figures of one trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from .bare.estimate import Estimate
from .bare.result import Bare
from .gains.busy import Busy
from .gains.of_series import SeriesGains
from .idle.attribute import Attribution
from .idle.census import ProcessCount
from .idle.choose.choice import Chosen
from .idle.details import DeviceDetails, device_details
from .idle.figures import DeviceSummary, HostSeries, SeriesSummary, Steady
from .idle.gaps import DeviceGaps
from .idle.steps import Steps
from .model.shown import shown_without
from .model.trace import Trace
from .question import Question
from .verdicts.judge import Level, Verdict


class TraceReport(Struct, frozen=True):
    """All figures of one trace."""

    trace: Trace
    path: str
    """The file as the user named it."""
    label: str
    devices: tuple[DeviceSummary, ...]
    """One for each entry of `gaps`."""
    all_window_ns: int
    all_idle_ns: int
    """Idle means that no device works."""
    series: tuple[SeriesSummary, ...]
    host: tuple[HostSeries, ...]
    verdicts: tuple[Verdict, ...]
    gaps: tuple[DeviceGaps, ...]
    attributions: tuple[Attribution, ...]
    steps: Steps
    gains: tuple[SeriesGains, ...] = ()
    """Of the series with most operations; none where nobody asked."""
    chosen: Chosen | None = None
    """What was taken for steps; None where they were asked for."""
    work: Busy | None = None
    """What the device that did most was busy with, in all: where there are no steps."""
    processes: tuple[ProcessCount, ...] = ()
    """Who was recorded, whatever the window."""
    kept: Mapping[str, tuple[Any, ...]] | None = None
    """None: the trace is whole. Else its arrays are empty, and this holds the rows of the views
    that need them, by name (see `reports.slim`)."""
    bare: Bare | None = None
    """The proof that all this is what the loop takes without its recorder; None: it is as recorded.
    Verdicts are of the trace as recorded, either way."""
    as_recorded: str = ""
    """Why there is no proof; empty where there is one."""
    recorded_ns: tuple[float | None, ...] = ()
    """Of each series, its step as recorded, where all this is bare."""
    estimate: Estimate | None = None
    """What of the recorded step may be the recorder's, where that is no more than guessed."""
    detailed: tuple[DeviceDetails, ...] | None = None
    """What was wanted of each device, where the report holds no rows to work it out from."""

    def __repr__(self) -> str:
        return shown_without(self, "gaps", "attributions", "steps", "kept", "detailed")

    def details(self, device: int, question: Question = Question()) -> DeviceDetails:  # noqa: B008
        """What the question wants of the `device`-th entry of `gaps`."""
        if self.detailed is not None:
            found = self.detailed[device]
            return replace(found, top=found.top[: question.top])
        split = self.attributions[device]
        return device_details(self.trace, self.gaps[device], split, self.steps, question)

    def asked(self, question: Question) -> Question:
        """The question with the steps named that were chosen for this trace: what to type to get
        the same again."""
        return self.chosen.asked(question) if self.chosen else question

    @property
    def empty(self) -> bool:
        """Nothing that was asked for can be given: neither device, step nor host figures."""
        idle = self.gaps and self.level("device") is not Level.INVALID
        return not idle and not self.host

    def limiter(self, steady: Steady) -> str | None:
        """What bounds the period; None where it would go by calls that cannot be believed."""
        known = self.calls_believed or steady.limiter == "gpu"
        return steady.limiter if known else None

    @property
    def calls_believed(self) -> bool:
        """Whether what goes by the host's calls may be shown: causes, and `host_ns`."""
        return self.level("causes") is not Level.INVALID

    def level(self, figures: str) -> Level:
        """The worst verdict that touches these figures (`device`, `steps` or `causes`)."""
        levels = [v.level for v in self.verdicts if v.figures in (figures, "all")]
        return next((x for x in (Level.INVALID, Level.DEGRADED) if x in levels), Level.OK)


def positions(report: TraceReport, summary: SeriesSummary) -> tuple[int, int]:
    """Where a summary's device stands in `report.gaps`, and its series in `report.steps.series`."""
    device = next(k for k, g in enumerate(report.gaps) if g.device.index == summary.device)
    series = next(
        k
        for k, one in enumerate(report.steps.series)
        if (one.pattern, one.thread.pid, one.thread.tid)
        == (summary.pattern, summary.pid, summary.tid)
        # A wildcard and a regular expression may be one text, and match other ranges.
        and np.array_equal(one.start, summary.table.start)
    )
    return device, series
