"""Where rows break a law that every GPU keeps (`idle/physics`): what follows for the figures."""

from __future__ import annotations

from collections.abc import Sequence

from ..idle.device_totals import DeviceTotals
from ..idle.physics.call_ids import CallsLost
from ..idle.physics.clock import BeforeLaunch, EarlyReturns
from ..idle.physics.graph_nodes import NodesLost
from ..idle.physics.laws import Physics
from ..idle.physics.streams import Overlap
from ..model.verdict import Level, Verdict
from . import codes
from .remedies import AGAIN, SEE_DOCTOR

NOT_BELIEVED = 0.01
"""Share of rows or of time that is wrong from which a figure is not believed at all."""
SKEWED_GAPS = 0.01
"""Share of gaps that end before their launch which is no accident."""
CLOCK_TOUCHES = 0.05
"""Share of idle time whose cause a clock error may change, from which no cause is believed."""


def judge_physics(
    physics: Physics, calls: CallsLost, devices: Sequence[DeviceTotals]
) -> list[Verdict]:
    """One verdict for each law that is broken; none where there is no figure to doubt."""
    if not devices:
        return []
    window = sum(one.window_end - one.window_start for one in devices)
    return [
        *_before_launch(physics.before_launch, window),
        *_overlap(physics.overlap),
        *_nodes(physics.nodes),
        *_calls(calls),
        *_returns(physics.early_returns, devices),
    ]


def judge_skew(physics: Physics, devices: Sequence[DeviceTotals]) -> list[Verdict]:
    """Gaps that end before the launch of the operation after them began."""
    skewed, total = (sum(getattr(one, name) for one in devices) for name in ("skewed", "gaps"))
    # Where single rows are early it is no clock, and more than causes are wrong.
    if skewed <= SKEWED_GAPS * total or _rows_are_early(physics.before_launch):
        return []
    worst = max(one.skew_ns for one in devices)
    return [
        Verdict(
            "causes",
            _clock_level(worst, devices),
            codes.CLOCK_SKEW,
            f"{skewed} of {total} gaps end before the launch of their operation began (by up to "
            f"{worst / 1000:.1f} µs): host and GPU clocks disagree; clamped",
            "causes are uncertain by that much; idle time is not affected",
        )
    ]


def _clock_level(error_ns: int, devices: Sequence[DeviceTotals]) -> Level:
    """What an error of this size between the clocks does to the causes: each gap has an edge."""
    idle, gaps = sum(one.idle for one in devices), sum(one.gaps for one in devices)
    return Level.INVALID if error_ns * gaps >= CLOCK_TOUCHES * idle else Level.DEGRADED


def _level(share: float) -> Level:
    return Level.INVALID if share >= NOT_BELIEVED else Level.DEGRADED


def _rows_are_early(found: BeforeLaunch) -> bool:
    """Whether rows begin long before their launch, and not all: then it would be the clock."""
    return 0 < 2 * found.early <= found.joined


def _before_launch(found: BeforeLaunch, window: int) -> list[Verdict]:
    if not _rows_are_early(found):
        return []
    share = max(found.early / found.joined, found.worst_ns / window if window else 1.0)
    begin = "begins" if found.early == 1 else "begin"
    return [
        Verdict(
            "device",
            _level(share),
            codes.OPERATIONS_BEFORE_LAUNCH,
            f"{found.early} of {found.joined} GPU operations {begin} before the call that launched "
            f"them, by up to {found.worst_ns / 1e6:.3f} ms: their times are wrong, or the ids that "
            "name their launch",
            SEE_DOCTOR,
        )
    ]


def _overlap(found: Overlap) -> list[Verdict]:
    # Below that there is hardware that ends one kernel while it begins the next.
    if found.share < NOT_BELIEVED:
        return []
    one = found.operations == 1
    which = "1 operation still runs" if one else f"{found.operations} operations still run"
    return [
        Verdict(
            "device",
            Level.INVALID,
            codes.STREAM_OVERLAP,
            f"{which} when the next on {'its' if one else 'their'} stream has begun, for "
            f"{found.ns / 1e6:.3f} ms in all ({found.share:.1%} of the time of all operations): a "
            "stream runs one after the other",
            "record again: starts or ends of operations are wrong",
        )
    ]


def _nodes(found: NodesLost) -> list[Verdict]:
    if not found.lost:
        return []
    return [
        Verdict(
            "device",
            _level(found.share),
            codes.GRAPH_NODES_MISSING,
            f"{found.lost} of {found.expected} graph nodes ({found.share:.2%}) left no GPU "
            f"operation in {found.launches} launch{'' if found.launches == 1 else 'es'}, and did "
            "in others of the same graph: busy time is missing, and shows as idle",
            AGAIN + "; --cuda-graph-trace=graph records graphs whole",
        )
    ]


def _calls(found: CallsLost) -> list[Verdict]:
    # Fewer may be a call more of a kind that is not recorded.
    if found.share < NOT_BELIEVED:
        return []
    return [
        Verdict(
            "device",
            Level.INVALID,
            codes.CALLS_MISSING,
            f"about {found.lost} of {found.expected} CUDA calls ({found.share:.2%}) left no row: "
            "steps, or what lies between waits, that used equally many correlation ids lack "
            "calls; what these launched is missing too, and shows as idle",
            AGAIN,
        )
    ]


def _returns(found: EarlyReturns, devices: Sequence[DeviceTotals]) -> list[Verdict]:
    if not found.broken:
        return []
    return [
        Verdict(
            "causes",
            _clock_level(found.worst_ns, devices),
            codes.CLOCK_AHEAD,
            f"{found.broken} of {found.waits} waits return before the work they wait for ends (by "
            f"up to {found.worst_ns / 1000:.1f} µs): the GPU's clock is ahead of the host's",
            "causes are uncertain by at least that much; idle time is not affected",
        )
    ]
