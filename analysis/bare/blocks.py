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
from .ratio import Pairs

VERSION = 1
NOT_MEASURED = "no steps without the recorder were measured beside it"
_Time = Annotated[float, Meta(ge=1, lt=2**60)]
Clock = Literal["host", "gpu"]
AHEAD = 1.02
"""By so much longer are steps on the GPU where the host runs ahead of it."""


class Block(Struct, frozen=True):
    """Steps one after the other, all recorded or none; times in ns."""

    recorded: bool
    steps: Annotated[int, Meta(gt=0, lt=2**31)]
    host_ns: _Time
    """All of them together, from begin to begin, by the host's clock."""
    gpu_ns: _Time | None = None
    """By the GPU's, between events: of a host that runs ahead."""
    at_ns: float | None = None
    """When it began, by a clock of the recording's own."""

    def step_ns(self, clock: Clock) -> float:
        """The mean step."""
        return (self.host_ns if clock == "host" else self.gpu_ns or 0.0) / self.steps


class Blocks(Struct, frozen=True):
    """All of them, in order of time."""

    recorder: str
    made_bare: str
    """How the steps of the bare ones came to have no recorder."""
    blocks: tuple[Block, ...]
    library_version: int = 0

    @property
    def clock(self) -> Clock:
        """Whose clock tells the steps: the GPU's where the host does not wait for it."""
        gpu = [one.gpu_ns for one in self.blocks]
        if None in gpu:
            return "host"
        host_ns = math.fsum(one.host_ns for one in self.blocks)
        return "gpu" if math.fsum(ns or 0.0 for ns in gpu) > AHEAD * host_ns else "host"

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
        found = _read(table)
    except ValidationError as error:
        return NoBlocks(f"the manifest's table of bare blocks cannot be read ({_said(error)})")
    if found.version != VERSION:
        version = plain(str(found.version), 20)
        return NoBlocks(f"the manifest's table of bare blocks is of version {version}, "
                        f"and {VERSION} is known here")  # fmt: skip
    if found.reason or not found.blocks:
        why = plain(found.reason or "the recording gives none", 200)
        return NoBlocks(f"no bare blocks: {why}")
    for k, one in enumerate(found.blocks, start=1):
        times = (one.host_ns, one.gpu_ns or 0.0, one.at_ns or 0.0)
        if not all(math.isfinite(ns) for ns in times):
            return NoBlocks(f"bare block {k} of the manifest has times that are no numbers")
    if all(one.recorded for one in found.blocks):
        return NoBlocks("no bare blocks: all of them were recorded")
    ordered = found.blocks
    if all(one.at_ns is not None for one in ordered):
        ordered = tuple(sorted(ordered, key=lambda one: one.at_ns or 0.0))
    recorder, made_bare = plain(found.recorder, 80), plain(found.made_bare, 80)
    return Blocks(recorder, made_bare, ordered, found.library_version)


def _read(table: Any) -> _Table:
    given = _given(table)
    if isinstance(given, dict) and isinstance(given.get("blocks"), list):
        given["blocks"] = [_given(one) for one in given["blocks"]]
    return convert(given, _Table)


def _given(table: Any) -> Any:
    """Without what is null, which says no more than what is left out."""
    if not isinstance(table, Mapping):
        return table
    return {name: value for name, value in table.items() if value is not None}


def _said(error: ValidationError) -> str:
    return plain(str(error), 120)


def pairs_of(blocks: Blocks) -> Pairs:
    """Each recorded block between two without a recorder, one before and one after: so a host that
    drifts cancels."""
    rows, clock = blocks.blocks, blocks.clock
    ns = np.array([one.step_ns(clock) for one in rows], np.float64)
    with_recorder = np.array([one.recorded for one in rows], np.bool_)
    middle = np.flatnonzero(~with_recorder[:-2] & with_recorder[1:-1] & ~with_recorder[2:]) + 1
    before, after = ns[middle - 1], ns[middle + 1]
    shared = np.diff(middle, prepend=-2) == 2
    return Pairs((before + after) / 2, ns[middle], np.abs(np.log(before / after)), shared)
