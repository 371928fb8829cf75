"""No stream waits for an event of another stream."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.communication import Communication
from ...model.names import operation_name
from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of


def removable(loop: Loop) -> list[int]:
    """Numbers of the holds whose streams do not carry communication: a collective needs its data,
    and what follows it needs its result."""
    trace, communication = loop.stretch.trace, Communication()
    known: dict[int, bool] = {}
    lanes = set()
    for lane, row in zip(loop.lane.tolist(), loop.row.tolist(), strict=True):
        name = int(trace.operations.name[row])
        if name not in known:
            known[name] = communication.is_communication(operation_name(trace, row))
        if known[name]:
            lanes.add(lane)
    return [
        number
        for number, hold in enumerate(loop.holds)
        if hold.lane not in lanes
        and not (hold.target >= 0 and int(loop.lane[hold.target]) in lanes)
    ]


def _released(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.released = set(removable(loop))
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    sites = []
    for loop in loops:
        actions = [loop.holds[number].action for number in removable(loop)]
        sites += [loop.sites[int(loop.site[one])] for one in actions if loop.step[one] > 0]
    if not sites:
        return []
    where = max(sorted(set(sites)), key=sites.count)
    count = len(sites) / steps
    return [Offer(CHANGE.name, where, "cudaStreamWaitEvent", 0.0, count, float("inf"), _released)]


CHANGE = Change(
    "stream-waits",
    _offers,
    "without waits between streams",
    assumes="no trace says whether a wait between streams is needed",
)
