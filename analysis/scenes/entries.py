"""What a report draws: one entry for each step series on each device of each trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct

from ..idle.attribute import Attribution
from ..idle.figures import DeviceSummary, SeriesSummary, Steady
from ..idle.gaps import DeviceGaps
from ..idle.per_step import StepFigures
from ..report import TraceReport, positions
from ..verdicts.judge import Level
from .moments import Moment, device_moments, figures_of, telling_moments


class Entry(Struct, frozen=True, eq=False, dict=True):
    """One series of steps on one device; `series` is None for a device without steps."""

    key: str
    """Short and safe in markup: `e1`."""
    name: str
    """Unique in the report, without the origin."""
    report: TraceReport
    position: int
    """Into the report's gaps, devices and attributions."""
    series: SeriesSummary | None

    @property
    def origin(self) -> str:
        """`measured`, `simulated` or `synthetic`."""
        return self.report.trace.source.origin

    @property
    def title(self) -> str:
        """The name; what was not measured always says so."""
        return self.name if self.origin == "measured" else f"{self.name} ({self.origin})"

    @property
    def gaps(self) -> DeviceGaps:
        return self.report.gaps[self.position]

    @property
    def split(self) -> Attribution:
        return self.report.attributions[self.position]

    @property
    def device(self) -> DeviceSummary:
        return self.report.devices[self.position]

    @property
    def believed(self) -> bool:
        """Whether busy and idle figures of the device may be shown at all."""
        return self.report.level("device") is not Level.INVALID

    @property
    def causes_believed(self) -> bool:
        """Whether the split by cause may be shown."""
        return self.believed and self.report.calls_believed

    @property
    def steady(self) -> Steady | None:
        """Steady-state figures, where they can be given and believed."""
        return self.series.steady if self.series is not None and self.believed else None

    @cached_property
    def figures(self) -> StepFigures | None:
        """Per-step figures, where there are steps."""
        return figures_of(self.report, self.series) if self.series is not None else None

    def moments(self) -> tuple[Moment, ...]:
        """The median and the worst gap."""
        if self.series is not None:
            found = telling_moments(self.report, self.series)
            if found:
                return found
        return device_moments(self.report, self.position)


def entries_of(reports: Sequence[TraceReport]) -> tuple[Entry, ...]:
    """Every series on every device, traces by label; devices without steps stand for themselves."""
    found: list[tuple[str, TraceReport, int, SeriesSummary | None]] = []
    for report in sorted(reports, key=lambda r: r.label):
        covered: set[int] = set()
        rows: list[tuple[int, SeriesSummary | None]] = []
        for summary in report.series:
            position, _ = positions(report, summary)
            covered.add(position)
            rows.append((position, summary))
        rows += [(k, None) for k in range(len(report.gaps)) if k not in covered]
        several = len({position for position, _ in rows}) > 1
        found += [
            (_name(report, position, summary, rows, several), report, position, summary)
            for position, summary in rows
        ]
    total = Counter(name for name, *_ in found)
    seen: Counter[str] = Counter()
    result = []
    for number, (name, report, position, one) in enumerate(found, start=1):
        shown = name
        if total[name] > 1:
            seen[name] += 1
            shown = f"{name} · run {seen[name]}"
        result.append(Entry(f"e{number}", shown, report, position, one))
    return tuple(result)


def _name(
    report: TraceReport,
    position: int,
    summary: SeriesSummary | None,
    rows: list[tuple[int, SeriesSummary | None]],
    several: bool,
) -> str:
    # A label that already ends in its origin would say it twice.
    name = report.label
    for origin in ("(simulated)", "(synthetic)"):
        if name.endswith(origin):
            name = name.removesuffix(origin).rstrip()
            break
    if several:
        name += f" · GPU {report.gaps[position].device.ordinal}"
    same = [one for at, one in rows if at == position and one is not None]
    if summary is not None and len(same) > 1:
        patterns = {one.pattern for one in same}
        name += f" · {summary.pattern}" if len(patterns) > 1 else f" · thread {summary.tid}"
    return name
