"""What a recording measured beside itself: steps with the recorder and without, in turn.

They stand in the manifest, as the table `bare`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct, ValidationError, convert

from ..model.text import plain
from ..statistics.interval import Float

VERSION = 1
NOT_MEASURED = "no steps without the recorder were measured beside it"
_Time = Annotated[float, Meta(gt=0, lt=2**60)]


class Block(Struct, frozen=True):
    """Steps one after the other, all recorded or none; times in ns."""

    recorded: bool
    steps_ns: tuple[_Time, ...]
    """How long each step took, from its begin to that of the next."""
    clock: Literal["host", "gpu"] = "host"
    at_ns: float = 0
    """When it began, by a clock of the recording's own."""
    window: bool = False
    """It is what was recorded for the trace."""

    @property
    def step_ns(self) -> float:
        """The mean step."""
        return math.fsum(self.steps_ns) / len(self.steps_ns)


class Blocks(Struct, frozen=True):
    """All of them, in order of time."""

    recorder: str
    made_bare: str
    """How the steps of the bare ones came to have no recorder: `finalised`, or `before the first
    record`."""
    blocks: tuple[Block, ...]
    library_version: int = 0

    @property
    def bare(self) -> tuple[Block, ...]:
        """Those without a recorder."""
        return tuple(one for one in self.blocks if not one.recorded)


class NoBlocks(Struct, frozen=True):
    """There are none, or none that can be read."""

    reason: str
    """Ends no sentence."""


class _Table(Struct, frozen=True):
    version: int
    recorder: str = ""
    library_version: int = 0
    made_bare: str = ""
    reason: str | None = None
    blocks: tuple[Block, ...] = ()


def read_blocks(manifest: Mapping[str, Any]) -> Blocks | NoBlocks:
    """The manifest's table `bare`. It is a stranger's word: what makes no sense is no proof."""
    table = manifest.get("bare")
    if table is None:
        return NoBlocks(NOT_MEASURED)
    try:
        found = convert(table, _Table)
    except ValidationError as error:
        return NoBlocks(f"the manifest's table of bare blocks cannot be read ({_said(error)})")
    if found.version != VERSION:
        return NoBlocks(f"the manifest's table of bare blocks is of version {found.version}, "
                        f"and {VERSION} is known here")  # fmt: skip
    if found.reason or not found.blocks:
        why = plain(found.reason or "the recording gives none", 200)
        return NoBlocks(f"no bare blocks: {why}")
    for k, one in enumerate(found.blocks, start=1):
        if not one.steps_ns:
            return NoBlocks(f"bare block {k} of the manifest has no steps")
        if not all(math.isfinite(ns) for ns in (*one.steps_ns, one.at_ns)):
            return NoBlocks(f"bare block {k} of the manifest has times that are no numbers")
    ordered = tuple(sorted(found.blocks, key=lambda one: one.at_ns))
    if all(one.recorded for one in ordered):
        return NoBlocks("no bare blocks: all of them were recorded")
    return Blocks(found.recorder, plain(found.made_bare, 80), ordered, found.library_version)


def _said(error: ValidationError) -> str:
    return plain(str(error), 120)


def pairs_of(blocks: Blocks) -> tuple[Float, Float]:
    """Mean steps of bare blocks, and of the recorded block next to each in time, ns; shapes
    (pairs,). By one clock; a recorded block has one partner, as long as there are enough."""
    all_of, used = blocks.blocks, set()
    bare, recorded = [], []
    for k, one in enumerate(all_of):
        if one.recorded:
            continue
        beside = [
            j
            for j in (k - 1, k + 1)
            if 0 <= j < len(all_of) and all_of[j].recorded and all_of[j].clock == one.clock
        ]
        if not beside:
            continue
        partner = next((j for j in beside if j not in used), beside[0])
        used.add(partner)
        bare.append(one.step_ns)
        recorded.append(all_of[partner].step_ns)
    return np.array(bare, np.float64), np.array(recorded, np.float64)
