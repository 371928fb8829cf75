"""Which gain the answer is about, and of what kind it is."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ..gains.ladder import Ladder, Rung
from ..gains.of_series import SeriesGains
from ..idle.figures import Steady
from .kinds import Kind, kind_named, kinds

WORTH = 0.05
"""Share of a step that the largest gain must reach; below, the GPU itself is the limit."""
EQUAL = 0.02
"""Share of the largest gain within which another is as good as equal to it."""
MOSTLY = 0.5
"""Share of its time from which time of the host is the price of launching."""
STALLED = 0.7
"""Share of the largest gain that stalled steps may explain before it is theirs."""


class Chosen(Struct, frozen=True):
    """`rung` is None where no change is worth it; `at_most`: its gain is idle time, not replayed;
    `stalled`: it is that of a few steps."""

    kind: Kind
    rung: Rung | None
    at_most: bool = False
    stalled: bool = False


def kind_of(rung: Rung) -> Kind:
    """The first kind that fits."""
    if rung.change == "host" and rung.launching >= MOSTLY:
        return kind_named("eager-launches")
    return next(kind for kind in kinds() if kind.fits(rung))


def choose(gains: SeriesGains, steady: Steady, *, causes_believed: bool) -> Chosen:
    """The largest gain among what the host, its waits or other ranks do, if it is worth it; of
    those that are as good as equal the change that is listed first."""
    step = steady.period_ns
    found = gains.ladder
    graph = found is not None and any(rung.change == "graph" for rung in found.rungs)
    options = [
        Chosen(kind_of(rung), rung)
        for rung in (found.rungs if found else ())
        if rung.of_host and not (graph and rung.change == "host" and rung.launching >= MOSTLY)
    ]
    options += _by_cause(steady, found) if causes_believed else []
    worth = [one for one in options if one.rung and one.rung.gain_ns >= WORTH * step]
    if not worth:
        return _on_the_gpu(found, step)
    best = max(one.rung.gain_ns for one in worth if one.rung)
    equal = [one for one in worth if one.rung and one.rung.gain_ns >= (1 - EQUAL) * best]
    chosen = min(equal, key=lambda one: _place(one.rung))
    stalls = gains.stalls
    excess = stalls.excess_ns if stalls else 0.0
    assert chosen.rung is not None
    return replace(chosen, stalled=excess >= STALLED * chosen.rung.gain_ns)


def _place(rung: Rung | None) -> int:
    from ..gains.changes import changes

    names = [change.name for change in changes()]
    return names.index(rung.change) if rung and rung.change in names else len(names)


def _on_the_gpu(found: Ladder | None, step: float) -> Chosen:
    for rung in found.rungs if found else ():
        if not rung.of_host and rung.change != "kernel" and rung.gain_ns >= WORTH * step:
            return Chosen(kind_of(rung), rung)
    return Chosen(kind_named("gpu"), None)


def _by_cause(steady: Steady, found: Ladder | None) -> list[Chosen]:
    """Idle time whose cause is a kind of its own: no change of the loop stands for it."""
    options = []
    for kind in kinds():
        idle = sum(steady.causes.get(name, 0.0) for name in kind.causes)
        if idle > 0:
            step = found.replayed_ns if found else steady.period_ns
            rung = Rung("cause", "", "", idle, step - idle, idle, idle, 0.0, 0.0, True)
            options.append(Chosen(kind, rung, at_most=True))
    return options
