"""What of a recorded step may be its recorder's, where nobody measured steps without it.

A range from what the recorder is known to cost elsewhere: no proof, and no figure goes by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ..model.trace import Trace
from .costs import graph_nodes

if TYPE_CHECKING:
    from .prior import Prior


class Estimate(Struct, frozen=True):
    """Times in ns."""

    recorder: str
    launch_low_ns: int
    """What it costs a launch, at least."""
    launch_high_ns: int
    step_ns: float
    """The steady step as recorded."""
    low_ns: float
    """What of it may be the recorder's: by how much shorter it is without its least costs, and
    without its largest."""
    high_ns: float
    node_low_ns: int = 0
    """What it costs the launch of a graph for each node; 0 where no nodes were recorded."""
    node_high_ns: int = 0


def estimate(trace: Trace) -> Estimate | None:
    """None where nothing is known of the trace's recorder, or there is no steady step."""
    from .prior import prior, recorder_of

    known = prior(recorder_of(trace))
    return None if known is None else estimate_by(trace, known)


def estimate_by(trace: Trace, known: Prior) -> Estimate | None:
    """By what is known of this recorder."""
    from .step import steady_step
    from .take_out import read_recorded

    step = steady_step(trace)
    if step is None:
        return None
    recorded = read_recorded(trace, with_ranges=known.high.range > 0)
    low, high = (step.ns - step.without(one) for one in recorded.without([known.low, known.high]))
    nodes = bool(graph_nodes(trace.operations).any())
    launches = [one.inside.launch + one.outside.launch for one in (known.low, known.high)]
    return Estimate(
        known.recorder, launches[0], launches[1], step.ns, low, high,
        known.low.node if nodes else 0, known.high.node if nodes else 0,
    )  # fmt: skip
