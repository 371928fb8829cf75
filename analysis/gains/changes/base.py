"""What a change is: it looks at a loop for what it could change, and makes variants of the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from ..batch import Variant
from ..loop import Loop


class Costs(Struct, frozen=True):
    """What the calls that a change adds take on this machine, ns; `source` names its GPU file."""

    event_record_ns: int
    event_wait_ns: int
    graph_launch_ns: int
    graph_node_ns: int
    source: str


class Offer(Struct, frozen=True):
    """One thing that could be changed, in all stretches of a loop."""

    change: str
    """Name of the change."""
    where: str
    """The range, the kernel or the cause that it concerns; empty where it concerns all."""
    call: str
    """The call, as a person calls it; empty where it is none."""
    spent_ns: float
    """What of a step it concerns: time of the host, of calls, or of operations."""
    count: float
    """How often it happens in a step."""
    most_ns: float
    """No more than this can be won of a step."""
    apply: Callable[[Loop, Costs], Variant]
    detail: str = ""
    """What tells its kind, where change and call do not."""
    gaps_ns: float = 0.0
    """What of the gain shorter gaps between queued operations may account for."""
    unsure_ns: float = 0.0
    """What of the gain hangs on figures of another machine: the gain may be off by as much."""
    least_ns: float = 0.0
    """A step with it is no shorter than this: what is done beside the step takes so long."""


class Change(Struct, frozen=True):
    """`offers` gives what there is to change in the stretches of one loop; `does` says what the
    change is, with `{where}` (`{name}` without quotes) and `{call}`; `assumes` what it takes for
    granted, if anything."""

    name: str
    offers: Callable[[Sequence[Loop]], list[Offer]]
    does: str
    of_host: bool = True
    """It changes what the host, its waits or other ranks do; else what the GPU does."""
    assumes: str = ""


def steps_of(loops: Sequence[Loop]) -> int:
    """How many steps the stretches count together."""
    return sum(loop.steps for loop in loops)
