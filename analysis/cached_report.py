"""A report without rows, as bytes: what a second look at the same question reads."""

from __future__ import annotations

from msgspec.structs import replace

from .bare.costs import Costs, PerCall
from .bare.estimate import Estimate
from .bare.result import Bare
from .gains.busy import Busy, Kernel
from .gains.ladder import Ladder, Rung
from .gains.of_series import SeriesGains
from .gains.stalls import Stalls
from .idle.census import ProcessCount
from .idle.choose.choice import Chosen
from .idle.definitions import Definition
from .idle.details import DeviceDetails, StreamFigures, TopGap
from .idle.figures import DeviceSummary, HostSeries, SeriesSummary, Steady, StepTable
from .idle.steps import Steps
from .model.verdict import Level, Verdict
from .outline import outlined_gaps, outlined_trace
from .question import Question
from .report import TraceReport
from .statistics.interval import Interval
from .statistics.quantiles import Quantiles
from .store.codec import decode, encode
from .store.opened import Store

_KNOWN = (
    DeviceSummary, Quantiles, SeriesSummary, Steady, StepTable, HostSeries, Verdict, Level,
    DeviceDetails, TopGap, StreamFigures, Definition, ProcessCount, SeriesGains, Ladder, Rung, Busy,
    Kernel, Stalls, Chosen, Bare, Estimate, Costs, PerCall, Interval,
)  # fmt: skip
_FIGURES = (
    "devices", "all_window_ns", "all_idle_ns", "series", "host", "verdicts", "gains", "work",
    "processes", "chosen", "bare", "as_recorded", "recorded_ns", "estimate",
)  # fmt: skip


def pack(report: TraceReport, question: Question) -> bytes:
    """The figures of a report, with the details that the question wants."""
    details = tuple(report.details(k, question) for k in range(len(report.gaps)))
    gaps = tuple(
        (g.device.index, g.window_start, g.window_end, g.idle_ns, len(g)) for g in report.gaps
    )
    counts = (report.steps.unassigned, report.steps.ambiguous)
    figures = tuple(getattr(report, name) for name in _FIGURES)
    return encode((figures, gaps, counts, details))


def unpack(data: bytes, store: Store, question: Question) -> TraceReport:
    """The report that `pack` was given. Raises StoreError where the bytes are something else."""
    figures, gaps, (unassigned, ambiguous), details = decode(data, _KNOWN)
    return TraceReport(
        trace=outlined_trace(store),
        path=question.path or str(store.path),
        label=question.label or store.source.label,
        **dict(zip(_FIGURES, figures, strict=True)),
        gaps=tuple(outlined_gaps(store.devices[device], *rest) for device, *rest in gaps),
        attributions=(),
        steps=Steps((), unassigned, ambiguous),
        detailed=details,
    )


def key_of(question: Question) -> str:
    """All that a report depends on besides the trace, as text."""
    patterns = tuple(pattern.regex.pattern for pattern in question.patterns)
    texts = tuple(pattern.text for pattern in question.patterns)
    plain = replace(question, patterns=(), label=None, path=None, all_tables=False)
    return repr((patterns, texts, plain))
