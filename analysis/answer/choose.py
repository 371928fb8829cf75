"""Which gain the answer is about, and of what kind it is."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ..gains.busy import Busy
from ..gains.changes import changes
from ..gains.ladder import Ladder, Rung
from ..gains.of_series import SeriesGains
from ..gains.stalls import Stalls
from ..idle.figures import Steady, launching_ns
from .kinds import Kind, kind_named, kinds

WORTH = 0.05
"""Share of a step that the largest gain must reach; below, the GPU itself is the limit."""
EQUAL = 0.02
"""Share of the largest gain within which another is as good as equal to it."""
MOSTLY = 0.5
"""Share of its time from which time of the host is the price of launching; of the idle time, from
which it lies before launches or inside them; of a gain, from which a cause explains it."""
MUCH = 0.25
"""Share of a step in which communication or copies run beside no kernel, from which a GPU that is
kept busy is kept busy by them."""
EXACT = frozenset(
    {
        "garbage-collection", "compilation", "module-loading", "slow-launches", "input-pipeline",
        "allocator",
    }
)  # fmt: skip
"""Kinds that say why a step stalls, and what to do."""
STALLED = 0.7
"""Share of the largest gain that stalled steps may explain before it is theirs."""


class Chosen(Struct, frozen=True):
    """What the answer is about.

    `rung` is what would be won, None where no change is worth it; `about` is what it is said of:
    a part of it, where the change is of several things in one place. `at_most`: the gain is idle
    time, and not replayed.
    """

    kind: Kind
    rung: Rung | None
    about: Rung | None
    at_most: bool = False
    stalls: Stalls | None = None
    """The steps that it happens in, where these are few and stall for it."""


def kind_of(rung: Rung, among: tuple[Rung, ...] = ()) -> Kind:
    """The first kind that fits; of a place that of the larger of its parts `among` the rungs, where
    none is that of time of the host."""
    return _about(rung, among)[0]


def _about(rung: Rung, among: tuple[Rung, ...]) -> tuple[Kind, Rung]:
    if rung.change == "place":
        parts = [one for one in among if one.where == rung.where and one.change in _PARTS]
        # Neither part may win by itself: as long as one is there the other is hidden behind it.
        both = replace(rung, change="host")
        rung = max(parts, key=lambda one: one.gain_ns, default=both)
    if rung.change in _RANGES and rung.launching >= MOSTLY:
        graph = next((one for one in among if one.change == "graph"), rung)
        return kind_named("eager-launches"), graph
    return next(kind for kind in kinds() if kind.fits(rung)), rung


_PARTS = ("host", "wait")
_RANGES = ("host", "place")


def choose(gains: SeriesGains, steady: Steady, *, causes_believed: bool) -> Chosen:
    """The largest gain among what the host, its waits or other ranks do, if it is worth it; of
    those that are as good as equal the change that is listed first."""
    step, found = steady.period_ns, gains.ladder
    options = [_option(rung, found.rungs) for rung in candidates(found)] if found else []
    if causes_believed:
        named = _by_cause(steady, found)
        told = sum(one.rung.gain_ns for one in named if one.rung)
        options = [one for one in options if not _explained(one, told)] + named
        options = [_ahead(one, steady) for one in options]
    # Nothing wins more than a step: such steps are not those that the figures count.
    worth = [one for one in options if one.rung and WORTH * step <= one.rung.gain_ns < step]
    best = max((one.rung.gain_ns for one in worth if one.rung), default=0.0)
    stalls = gains.stalls if gains.stalls and gains.stalls.excess_ns < step else None
    if stalls and stalls.excess_ns >= max(STALLED * best, WORTH * step):
        for one in worth:
            gain = one.rung.gain_ns if one.rung else 0.0
            if one.kind.name in EXACT and gain >= STALLED * stalls.excess_ns:
                return replace(one, stalls=stalls)
        return _stalled(stalls)
    if not worth:
        return _on_the_gpu(found, gains.busy, step)
    equal = [one for one in worth if one.rung and one.rung.gain_ns >= (1 - EQUAL) * best]
    return min(equal, key=lambda one: _place(one.rung))


def candidates(found: Ladder) -> list[Rung]:
    """What the host, its waits and other ranks do. Where one graph is an option, time of the host
    that is the price of launching is no other."""
    graph = any(rung.change == "graph" for rung in found.rungs)
    return [
        rung
        for rung in found.rungs
        if rung.of_host and not (graph and rung.change in _RANGES and rung.launching >= MOSTLY)
    ]


def _option(rung: Rung, among: tuple[Rung, ...]) -> Chosen:
    kind, about = _about(rung, among)
    return Chosen(kind, rung, about)


def _explained(one: Chosen, told_ns: float) -> bool:
    """Whether work that starts late does so for causes that are a kind of their own; `told_ns`: for
    how long these let the GPU idle."""
    late = one.rung is not None and one.rung.change == "held-starts"
    return late and one.rung is not None and told_ns >= MOSTLY * one.rung.gain_ns


def _ahead(one: Chosen, steady: Steady) -> Chosen:
    """The host is ahead where the GPU mostly idles with work queued, and a graph would win by its
    shorter gaps: launches are not late there."""
    rung = one.about
    if one.kind.name != "eager-launches" or rung is None:
        return one
    late = launching_ns(steady) >= MOSTLY * steady.idle_ns
    if late or rung.gaps_ns < MOSTLY * rung.gain_ns:
        return one
    return replace(one, kind=kind_named("queue-gaps"))


def _place(rung: Rung | None) -> int:
    names = [change.name for change in changes()]
    return names.index(rung.change) if rung and rung.change in names else len(names)


def _on_the_gpu(found: Ladder | None, busy: Busy | None, step: float) -> Chosen:
    for rung in found.rungs if found else ():
        if not rung.of_host and rung.change != "kernel" and rung.gain_ns >= WORTH * step:
            return Chosen(kind_of(rung), rung, rung)
    return Chosen(kind_named(mostly(busy, step)), None, None)


def host_close_behind(found: Ladder, busy: Busy) -> Rung | None:
    """The heaviest kernel, left out, where hardly a step would be shorter and the GPU would have
    little to do in what is left of it: the host needs almost as long."""
    kernels = [rung for rung in found.rungs if rung.change == "kernel"]
    if not kernels:
        return None
    rung = max(kernels, key=lambda one: one.spent_ns)
    work = busy.kernel_ns + busy.copy_ns - rung.spent_ns
    won = rung.gain_ns >= MOSTLY * rung.spent_ns
    return None if won or work >= MOSTLY * rung.step_ns else rung


def mostly(busy: Busy | None, step: float) -> str:
    """What a GPU that is kept busy does, as the name of a kind."""
    if busy is None:
        return "gpu"
    talks, copies = busy.communication_alone_ns, busy.copy_alone_ns
    if max(talks, copies) < MUCH * step:
        return "gpu"
    return "exposed-communication" if talks >= copies else "copy-bound"


def _by_cause(steady: Steady, found: Ladder | None) -> list[Chosen]:
    """Idle time whose cause is a kind of its own: no change of the loop stands for it."""
    options = []
    for kind in kinds():
        idle = sum(steady.causes.get(name, 0.0) for name in kind.causes)
        if idle > 0:
            step = found.replayed_ns if found else steady.period_ns
            rung = _counted("cause", "", idle, step - idle)
            options.append(Chosen(kind, rung, rung, at_most=True))
    return options


def _stalled(stalls: Stalls) -> Chosen:
    rung = stalled_steps(stalls)
    return Chosen(kind_named("stalled-step"), rung, rung)


def stalled_steps(stalls: Stalls) -> Rung:
    """What the loop would win without the stalls of these steps."""
    return _counted("stalled", named(stalls), stalls.excess_ns, stalls.without_ns)


def _counted(change: str, where: str, gain: float, left: float) -> Rung:
    """A gain that no replay gave: idle time, or the time of steps."""
    return Rung(
        change=change, where=where, call="", gain_ns=gain, step_ns=left, spent_ns=gain,
        idle_ns=gain, blocked_ns=None, launching=0.0, count=0.0, detail="", of_host=True,
    )  # fmt: skip


def named(stalls: Stalls) -> str:
    """The stalled steps as a person calls them."""
    numbers = [str(number) for number in stalls.numbers]
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return f"{'step' if len(numbers) == 1 else 'steps'} {', '.join(numbers[:3])}{more}"
