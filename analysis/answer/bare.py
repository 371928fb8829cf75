"""What the steps take when nothing records, as measured, as proved, or as guessed."""

from __future__ import annotations

from ..bare.estimate import Estimate
from ..bare.result import Bare
from ..figures.units import human, share
from ..idle.figures import Steady
from ..model.text import plain
from ..report import TraceReport
from ..unrecorded import UNSAID
from ..verdicts.calibration import read_calibration
from .sentence import Piece, Sentence

SAME = 1e-6
"""Share by which two figures of one step may differ."""
LITTLE = 0.01
"""Share of a step below which nobody needs to know what its recorder may cost."""


def beside_recorder(report: TraceReport, series: int | None) -> tuple[Sentence, ...]:
    """Of the series with that place: what a step takes with its recorder, or what of it may be the
    recorder's, or why it is as recorded though more was to be expected. One sentence, or none."""
    if report.bare is not None:
        return _proved(report, series)
    told = () if report.estimate is None or series is None else _guessed(report.estimate)
    if report.as_recorded and report.as_recorded not in UNSAID:
        why = plain(report.as_recorded, 300)
        return ((Piece(f"All this is as recorded: {why}."),), *told)
    return told


def _proved(report: TraceReport, series: int | None) -> tuple[Sentence, ...]:
    found = report.bare
    if found is None:
        return ()
    if series is None:
        return ((Piece("All this is without the recorder."),),)
    summary = report.series[series]
    steady = summary.steady
    recorded = report.recorded_ns[series] if series < len(report.recorded_ns) else None
    if steady is None or recorded is None:
        return ()
    measured = ""
    if abs(recorded - found.recorded_ns) <= SAME * recorded:
        low, high = found.measured_interval_ns
        measured = f" (measured beside it: {human(low)} to {human(high)})"
    return (
        (
            Piece("Without the recorder a step takes "),
            Piece(human(steady.period_ns), "strong"),
            Piece(f"{measured}; with it "),
            Piece(human(recorded), "strong"),
            Piece(f"{_more(recorded / steady.period_ns - 1, found)}."),
        ),
    )


def _more(added: float, found: Bare) -> str:
    """By how much, and what that is for each launch; nothing where it is next to nothing."""
    if added < LITTLE:
        return ""
    node = f" and {human(found.costs.node_gap)} a node of a graph" if found.nodes else ""
    return f" ({share(added)} more; it costs {human(found.launch_ns)} a launch{node})"


def _guessed(found: Estimate) -> tuple[Sentence, ...]:
    """What of a step as recorded may be the recorder's."""
    lines: list[Sentence] = []
    launch = _span(found.launch_low_ns, found.launch_high_ns)
    if found.high_ns > LITTLE * found.step_ns:
        lines.append(
            (
                Piece(f"By an estimate, the recorder costs {launch} a launch: "),
                Piece(_span(found.low_ns, found.high_ns), "strong"),
                Piece(f" of the step's {human(found.step_ns)} may be its own."),
            )
        )
    if found.node_high_ns:
        nodes = _span(found.node_low_ns, found.node_high_ns)
        lines.append(
            (
                Piece("A long "),
                Piece("cudaGraphLaunch", "code"),
                Piece(f" is the recorder's too: {nodes} a node, since nodes were recorded."),
            )
        )
    return tuple(lines)


def _span(low: float, high: float) -> str:
    """From one duration to another; one where a person could not tell them apart.

    >>> _span(4_000, 6_500), _span(900, 900)
    ('4.00 µs to 6.50 µs', '900 ns')
    """
    first, last = human(max(low, 0.0)), human(max(high, 0.0))
    return last if first == last else f"{first} to {last}"


def without_profiler(report: TraceReport, steady: Steady) -> tuple[Sentence, ...]:
    """One sentence of runs of their own without the profiler, or none where the manifest has none:
    processes differ for other reasons too, so blocks beside the recorded steps take their place."""
    found = read_calibration(report.trace.source.manifest)
    if found is None or report.bare is not None:
        return ()
    idle, interval = found.idle_ns(steady), found.idle_interval_ns(steady)
    between = f", between {human(interval[0])} and {human(interval[1])}" if interval else ""
    doubt = f"; not certain: {found.doubt}" if found.doubt else ""
    return (
        (
            Piece("As recorded in separate runs, a step without the profiler takes "),
            Piece(human(found.unprofiled_ns), "strong"),
            Piece(" and the GPU idles "),
            Piece(human(idle), "strong"),
            Piece(f" of it ({share(idle / found.unprofiled_ns)}{between}{doubt})."),
        ),
    )
