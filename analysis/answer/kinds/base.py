"""What a kind is."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ...gains.ladder import Rung


class Kind(Struct, frozen=True):
    """`because` says why the GPU idles or what takes its time, and `remedy` what to do, both as
    sentences for `answer.sentence`. `because` may hold `{where}`, `{call}`, `{spent}`, `{idle}`,
    `{count}`, `{number}` and `{gain}`, which a rung fills in."""

    name: str
    title: str
    """As a heading: a noun."""
    means: str
    """What it is, in a sentence without figures, as `harness explain` says it."""
    because: str
    remedy: str
    old_word: str
    """What `limiter` called it: `gpu`, `launch`, `sync` or `mixed`."""
    fits: Callable[[Rung], bool]
    causes: tuple[str, ...] = ()
    """Causes of idle time that are of this kind, where no change of the loop stands for it."""


def never(rung: Rung) -> bool:
    """For kinds that no change of a loop stands for: their idle time is told by its cause."""
    del rung
    return False
