"""What the steps take when nothing records, where that was measured."""

from __future__ import annotations

from ..figures.units import human, share
from ..idle.figures import Steady
from ..report import TraceReport
from ..verdicts.calibration import read_calibration
from .sentence import Piece, Sentence


def without_profiler(report: TraceReport, steady: Steady) -> tuple[Sentence, ...]:
    """One sentence, or none where no calibration stands in the manifest."""
    found = read_calibration(report.trace.source.manifest)
    if found is None:
        return ()
    idle, interval = found.idle_ns(steady), found.idle_interval_ns(steady)
    between = f", between {human(interval[0])} and {human(interval[1])}" if interval else ""
    doubt = f"; not certain: {found.doubt}" if found.doubt else ""
    return (
        (
            Piece("Without the profiler a step takes "),
            Piece(human(found.unprofiled_ns), "strong"),
            Piece(" and the GPU idles "),
            Piece(human(idle), "strong"),
            Piece(f" of it ({share(idle / found.unprofiled_ns)}{between}{doubt})."),
        ),
    )
