"""The ladder of gains: what each change would win of a step, the largest first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from ..model.communication import KNOWN, Communication
from ..model.intervals import Int64, Intervals, complement, covered_before, union
from ..question import AskedChange
from ..readers.range_cpu import RangeCpu
from .asked import offer_of
from .batch import Variant, replay
from .changes import Costs, Offer, changes, host_time, one_graph, place
from .constants import measure
from .gpu import Gpu, find_gpu, load_gpu
from .late import LEAST_NS
from .loop import Loop
from .machine import Timing
from .read_loop import read_loop
from .stretch import Stretch

REFERENCE = "h100"
"""The GPU file that lends the costs of calls where none describes the machine of the trace."""
SHOWN = 0.01
"""Share of the step below which a gain is none, however exact the replay: as for a comparison."""
BATCH_BYTES = 64 * 10**6
"""What the arrays of one batch of variants may take; more variants are played in turn."""


class Rung(Struct, frozen=True):
    """What one change would win. Times in ns a step."""

    change: str
    """Name of the change."""
    where: str
    call: str
    gain_ns: float
    step_ns: float
    """The step that is left."""
    spent_ns: float
    """What of a step the change concerns: time of the host, of calls, or of operations."""
    idle_ns: float
    """For how long the GPU idled meanwhile, of time of the host and of waits."""
    blocked_ns: float | None
    """Of time of the host, for how long of it the thread had no core; None where not known."""
    launching: float
    """Share of time of the host that is spent between launches which one graph could hold."""
    count: float
    """How often it happens in a step."""
    detail: str
    """What tells its kind, where change and call do not."""
    of_host: bool
    """It concerns the host, its waits or other ranks; else the GPU."""
    gaps_ns: float = 0.0
    """What of the gain shorter gaps between queued operations may account for."""
    unsure_ns: float = 0.0
    """What of the gain hangs on figures of another machine: beside the replay's error, it may be
    off by as much."""


class Ladder(Struct, frozen=True):
    """The gains of one loop. Times in ns a step, as recorded or as replayed."""

    rungs: tuple[Rung, ...]
    """Largest first; those below `error_ns` are not among them."""
    recorded_ns: float
    """The step as recorded, in the steps that were replayed."""
    replayed_ns: float
    error_ns: float
    """How far the replay may be off: what it misses the mean by, and twice the standard error of
    what it misses each step by; of a part of the steps, also by how much these differ from all."""
    steps: int
    """Steps that were replayed, and the stretches that they stand in."""
    of_steps: int
    """The steady steps that they were taken from."""
    stretches: int
    calls: int
    without_call: int
    """Operations that no known call launched: they are left out."""
    clocks: int
    """Threads that were replayed as one host each."""
    lent: str
    """Where the costs of calls that changes add come from."""
    asked: tuple[Rung, ...]
    """What was asked for by name, in that order, whatever it wins."""
    left_out: int
    """Offers whose gain was too small to show."""


def loops_of(
    pieces: Iterable[Stretch],
    device_name: str,
    cpu: RangeCpu | None = None,
    communication: Communication = KNOWN,
) -> list[Loop]:
    """The stretches as arrays; those without work are left out. `device_name`: as the driver says
    it; `cpu`: for how long threads ran, where somebody noted it; `communication`: what works
    between ranks."""
    lender = _lender(device_name)
    loops = [read_loop(piece, _timing(piece, lender), cpu, communication) for piece in pieces]
    return [loop for loop in loops if loop.steps and len(loop.action)]


def _lender(device_name: str) -> Gpu:
    return find_gpu(device_name) or load_gpu(REFERENCE)


def ladder(
    loops: Sequence[Loop],
    device_name: str,
    asked: Sequence[AskedChange] = (),
    means: Sequence[float] = (),
    of_steps: int = 0,
) -> Ladder:
    """Every change of the stretches of one loop, played; and those that are asked for by name.

    `means`, where the loops are a part of the steady steps: what a step takes in all of them, ns,
    and without stalled ones. The steps that are replayed may be other steps by as much. `of_steps`:
    how many steady steps there are, if more than the loops have.
    Raises NoSuchRange where one of these means no range of the loop.
    """
    lender = _lender(device_name)
    costs = _costs(lender)
    steps = sum(loop.steps for loop in loops)
    recorded = np.concatenate([np.diff(step_ends(loop, loop.recorded_end)) for loop in loops])
    offers = [
        offer
        for change in changes()
        for offer in change.offers(loops)
        if offer.most_ns >= SHOWN * recorded.mean()
    ]
    named = [offer_of(one, loops) for one in asked]
    played = _played(loops, [*offers, *named], costs)
    replayed, each = played[0], played.mean(axis=1)
    each = np.maximum(each, [0.0, *(offer.least_ns for offer in (*offers, *named))])
    error, base = _error(recorded, replayed), float(each[0])
    error += min((abs(mean - float(recorded.mean())) for mean in means), default=0.0)
    rungs = [
        _rung(loops, offer, base, step_ns)
        for offer, step_ns in zip(offers, each[1 : 1 + len(offers)].tolist(), strict=True)
        if worth_showing(base - step_ns, error, base)
    ]
    rungs.sort(key=lambda rung: -rung.gain_ns)
    told = [
        _rung(loops, one, base, ns)
        for one, ns in zip(named, each[1 + len(offers) :].tolist(), strict=True)
    ]
    return Ladder(
        rungs=tuple(rungs),
        recorded_ns=float(recorded.mean()),
        replayed_ns=float(each[0]),
        error_ns=error,
        steps=steps,
        of_steps=max(steps, of_steps),
        stretches=len(loops),
        calls=sum(loop.actions for loop in loops),
        without_call=sum(loop.stretch.without_call for loop in loops),
        clocks=max(loop.clocks for loop in loops),
        lent=lender.key,
        asked=tuple(told),
        left_out=len(offers) - len(rungs),
    )


def worth_showing(gain_ns: float, error_ns: float, step_ns: float) -> bool:
    """Whether a gain is above the error of the replay, and worth a word beside the step."""
    return gain_ns > error_ns and gain_ns >= SHOWN * step_ns


def _rung(loops: Sequence[Loop], offer: Offer, base: float, step_ns: float) -> Rung:
    """`base`: the replayed step, ns."""
    of_host = {change.name: change.of_host for change in changes()}
    return Rung(
        change=offer.change,
        where=offer.where,
        call=offer.call,
        gain_ns=base - step_ns,
        step_ns=step_ns,
        spent_ns=offer.spent_ns,
        idle_ns=idle_during(loops, offer),
        blocked_ns=blocked_during(loops, offer),
        launching=launching_share(loops, offer),
        count=offer.count,
        detail=offer.detail,
        of_host=of_host.get(offer.change, True),
        gaps_ns=offer.gaps_ns,
        unsure_ns=offer.unsure_ns,
    )


def _timing(piece: Stretch, lender: Gpu) -> Timing:
    """The trace's own constants; what it does not show is the GPU file's."""
    found = measure(piece.trace, longest_gap_ns=LEAST_NS)
    borrowed = {name: getattr(lender.timing, name) for name in found.stood_in}
    values = {one.name: one.value for one in found.estimates}
    return Timing(**values | borrowed)


def _costs(lender: Gpu) -> Costs:
    names = ("event_record_ns", "event_wait_ns", "graph_launch_ns", "graph_node_ns")
    return Costs(**{name: lender.ns("host", name) for name in names}, source=lender.key)


def _played(loops: Sequence[Loop], offers: Sequence[Offer], costs: Costs) -> Int64:
    """Length of each step, as it is and with each of the offers; shape (1 + offers, steps)."""
    rows = [[] for _ in range(1 + len(offers))]  # type: list[list[Int64]]
    for loop in loops:
        most = max(1, BATCH_BYTES // (8 * 6 * (loop.actions + len(loop.action) + 1)))
        for low in range(0, len(rows), most):
            some = [
                offers[k - 1].apply(loop, costs) if k else Variant.of(loop)
                for k in range(low, min(low + most, len(rows)))
            ]
            ends = replay(loop, some)
            for k, own in enumerate(step_ends(loop, ends)):
                rows[low + k].append(np.diff(own))
    return np.stack([np.concatenate(row) for row in rows])


def step_ends(loop: Loop, ends: Int64) -> Int64:
    """When the work of each step and of all before it ended, ns: (..., operations) to (..., steps
    + 1). A step without work ends with the one before it, the first one with the begin of the
    stretch."""
    steps = loop.step[loop.action]
    order = np.argsort(steps, kind="stable")
    reach = np.maximum.accumulate(ends[..., order], axis=-1)
    at = np.searchsorted(steps[order], np.arange(loop.steps + 1), side="right") - 1
    return np.where(at >= 0, reach[..., np.maximum(at, 0)], loop.stretch.begin)


def _error(recorded: Int64, replayed: Int64) -> float:
    missed = replayed - recorded
    spread = float(np.std(missed, ddof=1)) / math.sqrt(len(missed)) if len(missed) > 1 else 0.0
    return abs(float(missed.mean())) + 2 * spread


_OF_RANGES = (host_time.CHANGE.name, place.CHANGE.name)
"""Changes of what the host does in a range."""


def idle_during(loops: Sequence[Loop], offer: Offer) -> float:
    """For how long a step's GPU idled while the host was in the range that an offer of host time
    concerns, ns a step, as recorded."""
    total = 0
    for loop in loops if offer.change in _OF_RANGES else ():
        sites = [k for k, name in enumerate(loop.sites) if name == offer.where]
        mine = np.isin(loop.piece_site, sites) & loop.counted[loop.piece_action]
        spans = union(loop.piece_start[mine], (loop.piece_start + loop.piece_ns)[mine])
        idle = _idle(loop)
        total += int((covered_before(idle, spans.end) - covered_before(idle, spans.start)).sum())
    return total / max(1, sum(loop.steps for loop in loops))


def blocked_during(loops: Sequence[Loop], offer: Offer) -> float | None:
    """For how long of the time of the host that an offer concerns its thread was blocked, ns a
    step: in a lock, a file or a sleep, or behind other threads; None where nobody noted it."""
    if offer.change != host_time.CHANGE.name:
        return None
    wall = ran = 0
    for loop in loops:
        mine = [k for k, name in enumerate(loop.sites) if name == offer.where]
        wall += int(loop.site_wall[mine].sum())
        ran += int(loop.site_ran[mine].sum())
    return offer.spent_ns * (1 - ran / wall) if wall else None


def launching_share(loops: Sequence[Loop], offer: Offer) -> float:
    """Of the time of the host that an offer concerns, what is spent between launches that one graph
    could hold: it is the price of launching, not something else that the host does."""
    total = between = 0
    for loop in loops if offer.change in _OF_RANGES else ():
        sites = [k for k, name in enumerate(loop.sites) if name == offer.where]
        mine = np.isin(loop.piece_site, sites) & loop.counted[loop.piece_action]
        inside = np.zeros(loop.actions, np.bool_)
        for run in one_graph.graphs_of(loop):
            inside[run[1:]] = True
        total += int(loop.piece_ns[mine].sum())
        between += int(loop.piece_ns[mine & inside[loop.piece_action]].sum())
    return between / total if total else 0.0


def _idle(loop: Loop) -> Intervals:
    """When none of the streams worked, from the begin of the stretch to its last operation."""
    busy = union(loop.recorded_start, loop.recorded_end)
    begin, end = loop.stretch.begin, int(loop.recorded_end.max())
    running = int(loop.running.max(initial=begin))
    return complement(busy, max(begin, running), end)
